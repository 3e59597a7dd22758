"""From what a person points at to the marker map a method grows from."""

from __future__ import annotations

import numpy as np

from .errors import InputError
from .image import Image
from .segmenter import Method, Prompts, check_prompts


def given_prompts(method: Method, image: Image, prompts: Prompts | None) -> Prompts | None:
    """The prompts, checked to lie in the image and to be of the kinds the method takes; None when there are none.

    Raises ``InputError`` for a kind the method would have to ignore.
    """
    if not prompts:
        return None
    check_prompts(method, prompts)
    prompts.check(image.shape)
    return prompts


def needed_prompts(method: Method, image: Image, prompts: Prompts | None) -> Prompts:
    """``given_prompts`` for a method that can do nothing without: ``InputError`` says which kinds to give."""
    given = given_prompts(method, image, prompts)
    if given is None:
        raise InputError(
            f"{method.name} needs prompts that say where the objects are: give {' or '.join(method.takes)}"
        )
    return given


def prompt_markers(prompts: Prompts, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Points and scribbles as one marker map (*S,) int32 and the number that stands for background in it.

    0 is not said, positive numbers are the segments as they were numbered, and one more than the highest of them is
    background, whether or not anything is marked so. Boxes mark nothing. Raises ``InputError`` when one pixel is said
    to be two things.
    """
    markers = (
        np.zeros(shape, np.int32) if prompts.scribbles is None else np.array(prompts.scribbles, np.int32)
    )
    if prompts.points_yx is not None and prompts.point_labels is not None:
        labels = np.where(prompts.point_labels == 0, -1, prompts.point_labels)
        for point, label in zip(prompts.points_yx.astype(np.intp), labels, strict=True):
            place = tuple(point)
            if markers[place] not in (0, label):
                raise InputError(
                    f"pixel {point.tolist()} is marked as two things, {markers[place]} and {label} (-1 is background)"
                )
            markers[place] = label
    background = int(markers.max()) + 1
    markers[markers == -1] = background
    return markers, background


def segment_markers(prompts: Prompts, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """``prompt_markers`` with the marked numbers made 1..N, in ascending order, and N + 1 for background.

    Raises ``InputError`` when only background is marked.
    """
    markers, background = prompt_markers(prompts, shape)
    if background == 1:
        raise InputError("the prompts mark no segment; mark at least one pixel of an object with 1")
    marked = markers > 0
    given = markers[marked]
    numbers = np.append(np.unique(given[given < background]), background).astype(np.int32)
    markers[marked] = np.searchsorted(numbers, given) + 1
    return markers, len(numbers)
