"""Scores of outlines: do two segmentations draw the same lines, within a tolerance."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np

from .. import compiled
from ..classes import ClassSet
from ..errors import InputError
from ..geometry import Geometry
from ..segmentation import Segmentation
from .means import mean_over_classes, ratio
from .metric import Additive, Score, Scores
from .pair import Pair, check_classes, class_numbers
from .void import check_shapes, void_of_either

Tolerance = float | str
"""A distance in pixels, or a length with its unit such as ``"1.5um"`` where the spacing is known."""

MAX_OFFSETS = 300  # steps up to which looking at each from every boundary pixel beats painting or distances
MAX_DISK = 4.5  # pixels up to which painting a disk around every boundary pixel beats a distance transform


def boundary_f(truth: Segmentation, predicted: Segmentation, tolerance: Tolerance = 2.0) -> np.ndarray:
    """Boundary F of each class, (K,): 2PR / (P + R), P the share of predicted boundary pixels that have one of truth
    within ``tolerance`` (Euclidean, inclusive), R the same the other way round.

    A class's boundary are its pixels with a neighbour along an axis that is not of the class. The image's own border is
    none, nor is that of void, where nobody drew a line. NaN for a class with no boundary on either side, 0 with one on
    one side only. After Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013; they
    take a tolerance of 0.75 % of the image's diagonal. Distances know the spacing: 1.5 pixels along a coarse axis are
    1.5 pixels, "1.5um" are 1.5 µm along every axis. Raises ``InputError`` when shapes or classes differ.
    """
    check_classes(truth, predicted)
    maps = class_numbers(truth), class_numbers(predicted)
    return _f_of_classes(truth, maps, void_of_either(truth, predicted), tolerance)


def _f_of_classes(
    truth: Segmentation, maps: tuple[np.ndarray, np.ndarray], void: np.ndarray | None, tolerance: Tolerance
) -> np.ndarray:
    """Boundary F of each class, (K,)."""
    reach = Reach.of(tolerance, truth.geometry, truth.ndim)
    lines = [np.where(_boundary(numbers, void), numbers, 0) for numbers in maps]
    offsets = reach.offsets()
    if offsets is not None:
        counts = _near_alike(lines[0], lines[1], offsets, len(truth.classes))
        total, other_total = counts[0, 0, 1:], counts[1, 0, 1:]
        recall, precision = ratio(counts[0, 1, 1:], total), ratio(counts[1, 1, 1:], other_total)
        scores = ratio(2 * precision * recall, precision + recall)
        scores[(total + other_total > 0) & np.isnan(scores)] = 0
        return scores
    scores = np.full(len(truth.classes), np.nan)
    present = np.union1d(*lines)
    for number in present[present > 0]:
        scores[number - 1] = _f_score(lines[0] == number, lines[1] == number, reach)
    return scores


def _near_alike(first: np.ndarray, second: np.ndarray, offsets: np.ndarray, num_classes: int) -> np.ndarray:
    """Of either side the pixels on lines per class, and those with a line of it in reach: (2, 2, K + 1)."""
    margin = np.abs(offsets).max(axis=0)
    padded = [np.pad(side, [(int(m), int(m)) for m in margin]) for side in (first, second)]
    strides = np.array(padded[0].strides) // padded[0].itemsize
    jumps = (offsets * strides).sum(axis=1)
    counts = np.zeros((2, 2, num_classes + 1), np.int64)
    flat = [side.reshape(-1) for side in padded]
    for count, own, other in ((counts[0], flat[0], flat[1]), (counts[1], flat[1], flat[0])):
        compiled.contours.near_alike(np.flatnonzero(own != 0), own, other, jumps, count)
    return counts


def outline_f(truth: Segmentation, predicted: Segmentation, tolerance: Tolerance = 2.0) -> float:
    """Boundary F of the lines between segments, whatever their class; 1 where neither side has a line.

    Boundary pixels are those with a neighbour along an axis in another segment, on both sides of a line; otherwise as
    ``boundary_f``. The benchmark of Martin, Fowlkes and Malik (PAMI 2004) thins lines and assigns their pixels one to
    one, which gives slightly lower values. Raises ``OverlapError`` where segments overlap.
    """
    check_shapes(truth, predicted)
    void = void_of_either(truth, predicted)
    first, second = (_boundary(side.labels, void) for side in (truth, predicted))
    score = _f_score(first, second, Reach.of(tolerance, truth.geometry, truth.ndim))
    return 1.0 if np.isnan(score) else score


def boundary_iou(truth: Segmentation, predicted: Segmentation, width: Tolerance | None = None) -> np.ndarray:
    """Boundary IoU of each class, (K,): the IoU of the bands inside the outlines, NaN for a class on neither side.

    A band are a class's pixels that a cube of ``width`` pixels around them does not keep inside the class (chessboard
    distance, the image's border counting as outline), as in Cheng et al., Boundary IoU, CVPR 2021. By default the width
    is theirs, 2 % of the image's diagonal, at least one pixel. Void pixels are in no band and
    make none. Raises ``InputError`` when shapes or classes differ.
    """
    check_classes(truth, predicted)
    maps = class_numbers(truth), class_numbers(predicted)
    return ratio(*_band_overlap(truth, maps, void_of_either(truth, predicted), width))


def _band_overlap(
    truth: Segmentation, maps: tuple[np.ndarray, np.ndarray], void: np.ndarray | None, width: Tolerance | None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each class in the bands of both sides, and of either, (K,) each."""
    if width is None:
        width = max(1.0, float(np.rint(0.02 * np.linalg.norm(truth.shape))))
    steps = Reach.of(width, truth.geometry, truth.ndim).whole_steps()
    bands = [_band(numbers, steps, void) for numbers in maps]
    counts = np.zeros((3, len(truth.classes) + 1), np.int64)
    compiled.contours.count_bands(*(side.reshape(-1) for side in (*maps, *bands)), counts)
    shared, first, second = counts[:, 1:]
    return shared, first + second - shared


class Boundaries(Additive):
    """Boundary IoU of each class, its bands pooled over images, and boundary F, the mean over images that show it.

    ``tolerance`` is that of ``boundary_f``, ``width`` that of ``boundary_iou``.
    """

    name: ClassVar[str] = "boundaries"
    headline: ClassVar[str] = "mean_boundary_iou"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("mean_boundary_iou", "Boundary IoU"),
        Score("mean_boundary_f", "Boundary F"),
        Score("boundary_iou", "Boundary IoU", per_class=True),
        Score("boundary_f", "Boundary F", per_class=True),
    )

    def __init__(self, classes: ClassSet, tolerance: Tolerance = 2.0, width: Tolerance | None = None) -> None:
        self.classes = classes
        self.tolerance = tolerance
        self.width = width

    def keep(self, pair: Pair) -> np.ndarray:
        shared, either = _band_overlap(pair.truth, pair.class_maps, pair.void, self.width)
        f = _f_of_classes(pair.truth, pair.class_maps, pair.void, self.tolerance)
        there = ~np.isnan(f)
        return np.concatenate([shared, either, np.where(there, f, 0), there])

    def of_totals(self, totals: np.ndarray) -> Scores:
        shared, either, f, images = np.split(totals, 4, axis=1)
        iou, mean_f = ratio(shared, either), ratio(f, images)
        return {
            "mean_boundary_iou": mean_over_classes(iou),
            "mean_boundary_f": mean_over_classes(mean_f),
            "boundary_iou": iou,
            "boundary_f": mean_f,
        }


class Reach:
    """How far a tolerance reaches: a distance, and the length of a step along each axis in the same unit."""

    def __init__(self, distance: float, steps: tuple[float, ...]) -> None:
        if not (np.isfinite(distance) and distance >= 0):
            raise InputError(f"a tolerance is 0 or more, got {distance}")
        self.distance = distance
        self.steps = steps

    @classmethod
    def of(cls, tolerance: Tolerance, geometry: Geometry, ndim: int) -> Reach:
        """Raises ``InputError`` for a length where the spacing is unknown or in another unit."""
        if not isinstance(tolerance, str):
            return cls(float(tolerance), (1.0,) * ndim)
        if match := re.fullmatch(r"\s*([0-9.eE+\-]+)\s*(px)?\s*", tolerance):
            try:
                return cls(float(match[1]), (1.0,) * ndim)
            except ValueError as error:
                raise InputError(f"tolerance {tolerance!r} is no number of pixels") from error
        length = Geometry.parse(tolerance, 1)
        assert length.spacing is not None
        if geometry.spacing is None:
            raise InputError(
                f"a tolerance of {tolerance} needs the image's spacing, which is unknown; give it in pixels"
            )
        if geometry.unit != length.unit:
            raise InputError(
                f"a tolerance of {tolerance} for an image in {geometry.unit}; give it in that unit"
            )
        return cls(length.spacing[0], geometry.spacing)

    def whole_steps(self) -> tuple[int, ...]:
        """The reach along each axis in pixels, at least one."""
        return tuple(max(1, round(self.distance / step)) for step in self.steps)

    def offsets(self) -> np.ndarray | None:
        """All steps (M, ndim) within reach, the shortest first; None where they are too many to try one by one."""
        limit = self.distance * (1 + 1e-5)
        sides = [int(limit / step) for step in self.steps]
        if np.prod([2.0 * side + 1 for side in sides]) > 4 * MAX_OFFSETS:
            return None
        grid = np.stack(np.meshgrid(*(np.arange(-side, side + 1) for side in sides), indexing="ij"), axis=-1)
        steps = grid.reshape(-1, len(sides))
        length = np.linalg.norm(steps * np.array(self.steps), axis=1)
        order = np.argsort(length, kind="stable")
        order = order[length[order] <= limit]
        return steps[order] if len(order) <= MAX_OFFSETS else None

    def near(self, boundary: np.ndarray) -> np.ndarray:
        """Which pixels have one of ``boundary`` (*S,) bool within reach, (*S,) bool."""
        if not boundary.any():
            return np.zeros(boundary.shape, bool)
        limit = self.distance * (1 + 1e-5)
        if boundary.ndim == 2 and self.steps[0] == self.steps[1]:
            import cv2

            limit /= self.steps[0]
            if limit < MAX_DISK:
                near = np.arange(-int(limit), int(limit) + 1)
                disk = near[:, None] ** 2 + near**2 <= limit**2
                return cv2.dilate(boundary.view(np.uint8), disk.view(np.uint8)).view(bool)
            away = cv2.distanceTransform((~boundary).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            return away <= limit
        from scipy.ndimage import distance_transform_edt

        return distance_transform_edt(~boundary, self.steps) <= limit


def _f_score(truth: np.ndarray, predicted: np.ndarray, reach: Reach) -> float:
    """F of two sets of boundary pixels (*S,) bool; NaN where both are empty."""
    if not truth.any() or not predicted.any():
        return float("nan") if truth.any() == predicted.any() else 0.0
    precision = float(np.mean(reach.near(truth)[predicted]))
    recall = float(np.mean(reach.near(predicted)[truth]))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(labels: np.ndarray, void: np.ndarray | None) -> np.ndarray:
    """Pixels with a neighbour along an axis of another label, neither of them void."""
    boundary = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(labels.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
        edge = labels[low] != labels[high]
        if void is not None:
            edge &= ~(void[low] | void[high])
        boundary[low] |= edge
        boundary[high] |= edge
    return boundary


def _band(numbers: np.ndarray, steps: tuple[int, ...], void: np.ndarray | None) -> np.ndarray:
    """Pixels (*S,) bool with another number (0 or more) within so many steps, or the end of the image.

    Void is looked through: it is of no number, and in no band.
    """
    kind = numbers.dtype if numbers.dtype == np.uint8 else np.uint16
    low = high = (numbers + 1).astype(kind, copy=False)
    if void is not None:
        low = np.where(void, np.iinfo(kind).max, low).astype(kind, copy=False)
        high = np.where(void, 0, high).astype(kind, copy=False)
    if numbers.ndim == 2:
        import cv2

        kernel = np.ones([2 * step + 1 for step in steps], np.uint8)
        low = cv2.erode(low, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        high = cv2.dilate(high, kernel)
    else:
        from scipy.ndimage import maximum_filter1d, minimum_filter1d

        for axis, step in enumerate(steps):
            low = minimum_filter1d(low, 2 * step + 1, axis, mode="constant", cval=0)
            high = maximum_filter1d(high, 2 * step + 1, axis, mode="nearest")
    band = low != high
    return band if void is None else band & ~void
