"""The border class: the pixels it is learned from, and the decoding that suits its probabilities best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from .. import compiled
from ..classes import ClassSet
from ..errors import InputError
from ..geometry import Geometry
from ..segmentation import Segmentation
from .decode import BorderDecoding, Landscape

MAX_WIDTH_PX = 30

GRID: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("min_depth", (0.05, 0.1, 0.2, 0.3, 0.4)),
    ("smoothing", (0.1, 0.2, 0.3, 0.4)),
    ("border_weight", (0.0, 0.5, 1.0, 2.0)),
    ("distance_weight", (0.0, 0.25, 0.5, 1.0)),
    ("extent", (0.3, 0.4, 0.45, 0.5, 0.6)),
    ("min_peak", (0.4, 0.5, 0.6, 0.7)),
)
"""Values tried of each field, in the order of the search; smallest areas follow the objects of truth."""

ROUNDS = 2

CLEAR = 2.0
"""Standard errors by which a value must be better. Tuned on half of some nuclei (7 or 12 images) and tried on the other
half, 12 times: with 0 the mean of TP / (TP + FP + FN) at IoU 0.5 to 0.9 changed by -0.04 to 0.04, with 1 by -0.01 to
0.05, with 2 by 0 to 0.05."""


def border_targets(
    truth: Segmentation, width_px: int = 2, radius_share: float = 0.4, rim: bool = True
) -> np.ndarray:
    """Pixels where objects end, against each other or the ground, (*S,) bool: the rest of each is its interior.

    A pixel of an object is border if something else lies within ``width_px``, but never more than ``radius_share`` of
    the object's own radius (that of the disc or ball of its size), and at least its outermost pixels; ground is, if
    two objects lie within half of what is border inside them, and at least where it touches both. Without ``rim`` an
    object ends only against another one. Lengths are in pixels of the finest axis where the spacing differs by axis.

    Stuff is ground here, pixels that are void or beyond the image are no end of anything. Where segments overlap the
    surest counts. Raises ``InputError`` for a width outside 1..30.

    Which is better no trial could tell: of nuclei (DSB 2018, 24 fluorescence and 14 stained images, forests of 10 and
    8 others, ``instances`` at its defaults) TP / (TP + FP + FN) at IoU 0.5 was 0.705 with a rim of 1 px, 0.702 with
    2 px and 0.720 without when classes were drawn as often as they are, 0.700, 0.712 and 0.703 when drawn more
    evenly; the standard error of the differences is 0.01. A rim has pixels in every image that has objects, so it is
    the default.
    """
    if not 1 <= width_px <= MAX_WIDTH_PX or width_px != int(width_px):
        raise InputError(f"width_px is a whole number from 1 to {MAX_WIDTH_PX}, got {width_px}")
    if not radius_share >= 0:
        raise InputError(f"radius_share is 0 or more, got {radius_share}")
    flat = truth.panoptic()
    things = np.array([flat.classes.of(class_id).thing for class_id in flat.class_ids], bool)
    numbers = np.concatenate([[0], np.arange(1, len(flat) + 1) * things]).astype(np.int32)
    labels = numbers[flat.labels]
    if flat.void_px:
        labels[flat.void] = -1
    reaches = np.concatenate([[0], np.minimum(width_px, radius_share * _radii_px(flat))])
    ground_reaches = np.maximum(reaches / 2, 1).astype(np.int64)
    ground_reaches[0] = ground_reaches.max()
    reaches = np.maximum(reaches, 1).astype(np.int64)
    steps, firsts = _ball(int(width_px), flat.ndim, flat.geometry)
    volume = labels.reshape((1,) * (3 - flat.ndim) + labels.shape)
    found = compiled.borders.mark_borders(volume, steps, firsts, reaches, ground_reaches, rim)
    return found.reshape(labels.shape).view(bool)


def tune_instances(
    truths: Sequence[Segmentation],
    probabilities: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    class_ids: Sequence[int] | np.ndarray,
    classes: ClassSet,
    score: Callable[[Segmentation, Segmentation], float],
    start: BorderDecoding | None = None,
) -> BorderDecoding:
    """The decoding whose mean ``score(truth, predicted)`` over the images is highest, by a search along one field
    after the other, twice; it begins at ``start`` and leaves a field for another value only if that is better.

    ``probabilities`` are (interior (K, *S), border (*S,), background (*S,)) of each image, best of images that the
    model has not learned from. A score that is NaN (nothing on either side) is left out. The same input gives the same
    result. Raises ``InputError`` without images or when the numbers differ.
    """
    if not truths or len(truths) != len(probabilities):
        raise InputError(
            f"every image needs a truth and its probabilities, got {len(truths)} and {len(probabilities)}"
        )
    landscapes = [
        Landscape(*planes, truth.geometry) for truth, planes in zip(truths, probabilities, strict=True)
    ]

    def scores_of(decoding: BorderDecoding) -> np.ndarray:
        scores = [
            float(score(truth, landscape.objects(class_ids, classes, decoding)))
            for truth, landscape in zip(truths, landscapes, strict=True)
        ]
        return np.array(scores)

    best = start or BorderDecoding()
    highest = scores_of(best)
    grid = (*GRID, ("min_area_px", _small_areas(truths)))
    for _ in range(ROUNDS):
        before = best
        for field, values in grid:
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


def _radii_px(segmentation: Segmentation) -> np.ndarray:
    """Radius of the disc, or ball, as large as each segment, in pixels of the finest axis, (N,)."""
    sizes = segmentation.areas_px * np.prod(_steps_px(segmentation.ndim, segmentation.geometry))
    return np.sqrt(sizes / np.pi) if segmentation.ndim == 2 else np.cbrt(sizes * 0.75 / np.pi)


def _steps_px(ndim: int, geometry: Geometry) -> np.ndarray:
    """Length of one pixel along each axis, in pixels of the finest one, (ndim,)."""
    spacing = np.ones(ndim) if geometry.spacing is None else np.array(geometry.spacing)
    return spacing / spacing.min()


def _ball(radius: int, ndim: int, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Steps (M, 3) to the pixels within ``radius``, near ones first, and how many lie within 0..radius each."""
    length_of = _steps_px(ndim, geometry)
    reaches = [range(-int(radius / length), int(radius / length) + 1) for length in length_of]
    steps = np.array(list(product(*reaches)))
    lengths = np.sqrt(((steps * length_of) ** 2).sum(axis=1))
    order = np.argsort(lengths, kind="stable")
    order = order[(lengths[order] > 0) & (lengths[order] <= radius)]
    padded = np.zeros((len(order), 3), np.int64)
    padded[:, 3 - ndim :] = steps[order]
    return padded, np.searchsorted(lengths[order], np.arange(radius + 1), side="right")
