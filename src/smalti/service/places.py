"""Images one by one, with what is labelled in them already, from files or from a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError, ReadError
from ..image import Image
from ..sample import Sample
from .actions import Reading, read_named
from .datasets import Opening, open_dataset
from .inputs import STDIN, find_images

_LISTS = (".json", ".zip")


@dataclass(frozen=True, eq=False)
class Place:
    """An image that is read when asked for. ``known`` gives what is labelled, bool (*S,): None is nothing of it."""

    name: str
    load: Callable[[], Image]
    known: Callable[[], np.ndarray | None] = lambda: None


def find_places(
    named: Sequence[str], opening: Opening | None = None, reading: Reading | None = None
) -> list[Place]:
    """The images of a dataset, where one is named, else those that files, folders and globs mean.

    Where a folder is no dataset its images are meant. Raises as ``find_images`` and ``open_dataset`` do, and
    ``InputError`` for options that belong to the other kind.
    """
    opening, reading = opening or Opening(), reading or Reading()
    if STDIN.name in named:
        raise InputError("images are read more than once, and standard input cannot be; give files")
    path = Path(named[0])
    refusal = None
    if len(named) == 1 and (path.is_dir() or (path.is_file() and path.suffix.lower() in _LISTS)):
        try:
            dataset = open_dataset(path, opening)
        except InputError as error:
            if opening != Opening():
                raise
            refusal = error
        else:
            if reading != Reading():
                raise InputError(
                    f"{path} is a dataset, whose images are read as it says; leave the options out"
                )
            samples = [sample for sample in dataset if sample.load_image is not None]
            return [
                Place(each.name, partial(getattr, each, "image"), partial(labelled, each)) for each in samples
            ]
    if opening != Opening():
        raise InputError("formats and splits belong to one dataset; name its folder, or leave them out")
    try:
        paths = find_images(named)
    except ReadError:
        if refusal is not None:
            raise refusal from None
        raise
    return [Place(str(each), partial(read_named, each, reading)) for each in paths]


def labelled(sample: Sample) -> np.ndarray | None:
    """The pixels (bool *S) of which any annotator says what they are; None where there is no annotation."""
    if not sample.annotated:
        return None
    truths = sample.truths
    known = np.zeros(truths[0].shape, bool)
    for truth in truths:
        if not truth.void_px:
            return np.ones(truth.shape, bool)
        if truth.shape != known.shape:
            raise InputError(f"sample {sample.name!r}: its annotations differ in size")
        known |= ~truth.void
    return known
