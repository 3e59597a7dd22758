"""The decoding whose objects agree best with the truth: a search along one field after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..segmentation import Segmentation
from .centers import CenterDecoding
from .decode import BorderDecoding

Grid = tuple[tuple[str, tuple[float, ...]], ...]

BORDER_GRID: Grid = (
    ("min_depth", (0.05, 0.1, 0.2, 0.3, 0.4)),
    ("smoothing", (0.1, 0.2, 0.3, 0.4)),
    ("border_weight", (0.0, 0.5, 1.0, 2.0)),
    ("distance_weight", (0.0, 0.25, 0.5, 1.0)),
    ("extent", (0.3, 0.4, 0.45, 0.5, 0.6)),
    ("min_peak", (0.4, 0.5, 0.6, 0.7)),
)
"""Values tried of each field, in the order of the search; smallest areas follow the objects of truth."""

CENTER_GRID: Grid = (
    ("min_heat", (0.05, 0.1, 0.2, 0.3, 0.5)),
    ("min_distance", (0.2, 0.35, 0.5, 0.7, 1.0)),
    ("smoothing", (0.0, 0.1, 0.2, 0.3)),
    ("reach", (1.0, 1.5, 2.0, 3.0)),
    ("extent", (0.3, 0.4, 0.45, 0.5, 0.6)),
    ("min_peak", (0.4, 0.5, 0.6, 0.7)),
)

ROUNDS = 2

CLEAR = 2.0
"""Standard errors by which a value must be better. Tuned on half of some nuclei (7 or 12 images) and tried on the other
half, 12 times: with 0 the mean of TP / (TP + FP + FN) at IoU 0.5 to 0.9 changed by -0.04 to 0.04, with 1 by -0.01 to
0.05, with 2 by 0 to 0.05."""

D = TypeVar("D", BorderDecoding, CenterDecoding)
Way = TypeVar("Way", BorderDecoding, CenterDecoding, contravariant=True)


class Decodable(Protocol[Way]):
    """One image, ready to be decoded: a ``decode.Landscape`` by a ``BorderDecoding``, ``centers.Votes`` by a
    ``CenterDecoding``."""

    def objects(
        self, class_ids: Sequence[int] | np.ndarray, classes: ClassSet, decoding: Way
    ) -> Segmentation:
        """Its objects."""
        ...


def tune_instances(
    truths: Sequence[Segmentation],
    images: Sequence[Decodable[D]],
    class_ids: Sequence[int] | np.ndarray,
    classes: ClassSet,
    score: Callable[[Segmentation, Segmentation], float],
    start: D,
) -> D:
    """The decoding whose mean ``score(truth, predicted)`` over the images is highest, by a search along one field
    after the other, twice; it begins at ``start`` and leaves a field for another value only if that is better.

    ``images`` are best such that the model has not learned from. A score that is NaN (nothing on either side) is left
    out. The same input gives the same result. Raises ``InputError`` without images or when the numbers differ.
    """
    if not truths or len(truths) != len(images):
        raise InputError(f"every image needs a truth and its planes, got {len(truths)} and {len(images)}")

    def scores_of(decoding: D) -> np.ndarray:
        scores = [
            float(score(truth, image.objects(class_ids, classes, decoding)))
            for truth, image in zip(truths, images, strict=True)
        ]
        return np.array(scores)

    best = start
    highest = scores_of(best)
    grid: Grid = BORDER_GRID if isinstance(start, BorderDecoding) else CENTER_GRID
    for _ in range(ROUNDS):
        before = best
        for field, values in (*grid, ("min_area_px", _small_areas(truths))):
            for value in values:
                if value == getattr(best, field):
                    continue
                other = best.model_copy(update={field: value})
                reached = scores_of(other)
                if _clearly_higher(reached, highest):
                    best, highest = other, reached
        if best == before:
            break
    return best


def _clearly_higher(scores: np.ndarray, others: np.ndarray) -> bool:
    """Whether scores of the same images are higher in the mean by more than the standard error of their difference.

    NaN on both sides is no difference, on one side it counts as 0.
    """
    both = ~(np.isnan(scores) & np.isnan(others))
    gains = (np.nan_to_num(scores) - np.nan_to_num(others))[both]
    if not len(gains):
        return False
    error = gains.std(ddof=1) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return bool(gains.mean() > max(CLEAR * error, 1e-9))


def _small_areas(truths: Sequence[Segmentation]) -> tuple[int, ...]:
    """Sizes at the small end of the objects there are: shares of their 5 % quantile."""
    areas = np.concatenate([truth.areas_px for truth in truths])
    if not len(areas):
        return ()
    smallest = float(np.quantile(areas, 0.05))
    return tuple(sorted({max(1, round(share * smallest)) for share in (0.25, 0.5, 1.0)}))
