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
    ("distance_weight", (0.0, 0.25, 0.5, 1.0, 2.0)),
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

CLEAR = 1.0
"""Standard errors by which a value must be better. Tuned on eight images of nuclei and tried on 20 others, ten times
for each of two networks: TP / (TP + FP + FN) at IoU 0.5 changed by -0.13 to 0.03 with 0, by -0.02 to 0.03 with 1, its
mean 0.009, and by -0.02 to 0.02 with 2, its mean 0. With 35 images see docs/why/networks.md."""

Count = Callable[[Segmentation, Segmentation], np.ndarray]
"""What of an image is right, and what is right or wrong, (T, 2) by T measures, from its truth and what was found."""

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
    count: Count,
    start: D,
) -> D:
    """The decoding with the highest score on all images together, by a search along one field after the other, twice;
    it begins at ``start`` and leaves a field for another value only if that is clearly better.

    The score is the share that is right, the mean over the measures of ``count``, each summed over the images: so an
    image counts by what is in it. Better is clear when it is more than its standard error, by the jackknife
    (Efron, 1982). ``images`` are best such that the model has not learned from. The same input gives the same result.
    Raises ``InputError`` without images or when the numbers differ.
    """
    if not truths or len(truths) != len(images):
        raise InputError(f"every image needs a truth and its planes, got {len(truths)} and {len(images)}")

    def counted(decoding: D) -> np.ndarray:
        return np.stack(
            [
                count(truth, image.objects(class_ids, classes, decoding))
                for truth, image in zip(truths, images, strict=True)
            ]
        )

    best = start
    highest = counted(best)
    grid: Grid = BORDER_GRID if isinstance(start, BorderDecoding) else CENTER_GRID
    for _ in range(ROUNDS):
        before = best
        for field, values in (*grid, ("min_area_px", _small_areas(truths))):
            for value in values:
                if value == getattr(best, field):
                    continue
                other = best.model_copy(update={field: value})
                reached = counted(other)
                if _clearly_higher(reached, highest):
                    best, highest = other, reached
        if best == before:
            break
    return best


def _clearly_higher(counts: np.ndarray, others: np.ndarray) -> bool:
    """Whether the share that is right in counts (N, T, 2) of N images is higher by more than its standard error."""
    gain = _share_right(counts.sum(axis=0)) - _share_right(others.sum(axis=0))
    number = len(counts)
    error = 0.0
    if number > 1:  # by the gains without each of the images
        without = [_share_right(each.sum(axis=0) - each) for each in (counts, others)]
        error = math.sqrt((number - 1) * np.var(without[0] - without[1]))
    return bool(gain > max(CLEAR * error, 1e-9))


def _share_right(counts: np.ndarray) -> np.ndarray:
    """Of counts (..., T, 2) what is right of all, the mean over the measures (...); 0 where there is nothing."""
    right, everything = counts[..., 0], counts[..., 1]
    return np.mean(right / np.maximum(everything, 1e-9), axis=-1)


def _small_areas(truths: Sequence[Segmentation]) -> tuple[int, ...]:
    """Sizes at the small end of the objects there are: shares of their 5 % quantile."""
    areas = np.concatenate([truth.areas_px for truth in truths])
    if not len(areas):
        return ()
    smallest = float(np.quantile(areas, 0.05))
    return tuple(sorted({max(1, round(share * smallest)) for share in (0.25, 0.5, 1.0)}))
