"""What scribbles on one image say: a sample whose other pixels are void."""

from __future__ import annotations

import numpy as np

from ..classes import Class, ClassSet, segment_colors
from ..errors import InputError
from ..image import Image
from ..sample import Sample
from ..segmentation import Segmentation
from ..segmenter import GROUND
from .settings import ForestSettings


def check_for_scribbles(settings: ForestSettings) -> None:
    """Raise ``InputError`` for what strokes on one image cannot teach."""
    if settings.task not in ("auto", "semantic"):
        raise InputError(
            f"scribbles show classes, not the objects of the task {settings.task}; give samples for it"
        )
    if settings.tuned_by != "iou":
        raise InputError("scribbles are too few to tune for lines; give samples for tuned_by=line_f1")


def scribbled_sample(image: Image, scribbles: np.ndarray, classes: ClassSet | None) -> Sample:
    """An image whose truth are scribbles, all else void. Raises ``InputError`` for ones that cannot be used."""
    marked = scribble_targets(scribbles, image.shape)
    numbers = np.unique(marked[marked > 0]).tolist()
    if not numbers:
        raise InputError(
            "the scribbles mark no class; mark at least one pixel with 1, and background with -1 "
            "(255 in a PNG)"
        )
    if classes is None:
        colors = segment_colors(len(numbers)).tolist()
        classes = ClassSet(
            Class(number, f"class {number}", tuple(color))
            for number, color in zip(numbers, colors, strict=True)
        )
    for number in numbers:
        if number not in classes.ids:
            raise InputError(f"the scribbles mark class {number}, which is not one of {classes.ids.tolist()}")
    truth = Segmentation.from_semantic_map(np.maximum(marked, 0), classes, geometry=image.geometry)
    return Sample.of("image", image, truth.replace(void=marked == 0))


def scribble_targets(scribbles: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Scribbles (*S,) checked, int32: 0 = not said, -1 = background, k = class k. Raises ``InputError``.

    In uint8, which has no negative numbers and is what a PNG gives, 255 is background.
    """
    scribbles = np.asarray(scribbles)
    if scribbles.dtype == np.uint8:
        scribbles = np.where(scribbles == GROUND, -1, scribbles.astype(np.int32))
    if scribbles.shape != shape:
        raise InputError(
            f"scribbles must cover the image, {shape}, got {scribbles.shape}; draw them on the image at its own size"
        )
    if scribbles.dtype.kind not in "iu":
        raise InputError(f"scribbles must be integers, 0 where nothing is said, got {scribbles.dtype}")
    if scribbles.size and (scribbles.min() < -1 or scribbles.max() > 30_000):
        raise InputError(
            f"scribbles are 0 not said, -1 (255 in a PNG) background, k class k up to 30000, "
            f"got {scribbles.min()} to {scribbles.max()}"
        )
    return scribbles.astype(np.int32)
