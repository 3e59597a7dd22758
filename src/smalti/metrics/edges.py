"""Boundaries against those several people drew, as the Berkeley benchmark scores them, without MATLAB.

A soft map of edges is cut at many thresholds and thinned to lines of one pixel. The pixels of each set of lines are
assigned one to one to those of each annotator, none further apart than 0.75 % of the image's diagonal. Recall is the
share of all annotators' pixels that are matched; precision the share of predicted pixels that are matched to *some*
annotator (Martin, Fowlkes, Malik, PAMI 2004; Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, sec. 3.2).

    counts = [boundary_counts(edges, [region_boundaries(truth) for truth in truths]) for edges, truths in images]
    ods(counts).f, ois(counts).f, average_precision(counts)

The benchmark's own assignment leaves pixels alone at 100 times the largest distance and may do so only through six
random connections of each; here it is exact: as many pairs as there can be, and of those the nearest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from .. import compiled
from ..errors import InputError
from ..segmentation import Segmentation
from .means import ratio
from .metric import Additive, Score, Scores
from .pair import Pair

MAX_DISTANCE = 0.0075  # of the image's diagonal
STEPS_PER_PIXEL = 100  # distances are whole hundredths of a pixel in the assignment
ALONE = 100  # cost of one pair less, in largest distances; in the benchmark's graph, too, that is one outlier more
THRESHOLDS = np.arange(1, 100) / 100
THRESHOLDS.flags.writeable = False


class EdgeScore(NamedTuple):
    """F = 2PR / (P + R), and the threshold that gives it, NaN where each image has its own."""

    f: float
    precision: float
    recall: float
    threshold: float


@dataclass(frozen=True, eq=False)
class EdgeCounts:
    """Pixels of lines at each of the ``thresholds`` (T,), of one image or (``+``) of several.

    ``matched_truth`` of the ``truth`` pixels are matched, summed over annotators; ``matched_predicted`` of the
    ``predicted`` ones are matched to at least one annotator; all (T,) int64.
    """

    thresholds: np.ndarray
    matched_truth: np.ndarray
    truth: np.ndarray
    matched_predicted: np.ndarray
    predicted: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """(T,), 0 where nothing is predicted."""
        return self.matched_predicted / np.maximum(self.predicted, 1)

    @property
    def recall(self) -> np.ndarray:
        """(T,), 0 where nobody drew a line."""
        return self.matched_truth / np.maximum(self.truth, 1)

    @property
    def f(self) -> np.ndarray:
        """F = 2PR / (P + R), (T,), 0 where both are 0."""
        return _f(self.precision, self.recall)

    def at(self, index: int) -> EdgeCounts:
        """The counts at one threshold alone."""
        place = slice(index, index + 1)
        return EdgeCounts(self.thresholds[place], *(column[place] for column in self._columns))

    def __add__(self, other: EdgeCounts) -> EdgeCounts:
        if not np.array_equal(self.thresholds, other.thresholds):
            raise InputError("counts at different thresholds cannot be added; count all images at the same")
        sums = (one + another for one, another in zip(self._columns, other._columns, strict=True))
        return EdgeCounts(self.thresholds, *sums)

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.matched_truth, self.truth, self.matched_predicted, self.predicted


def boundary_counts(
    edges: np.ndarray,
    truths: Sequence[np.ndarray],
    thresholds: Sequence[float] | np.ndarray = THRESHOLDS,
    max_distance: float = MAX_DISTANCE,
    thinned: bool = True,
) -> EdgeCounts:
    """Lines of ``edges`` >= each threshold, (H, W) numbers 0..1 or bool, against those of each annotator, (H, W) bool.

    ``max_distance`` is a share of the diagonal, inclusive. ``thinned=False`` takes the thresholded maps as they are;
    truths are never thinned (``region_boundaries`` gives them thin). Thresholds ascend, 0 not among them, for it would
    make every pixel an edge. Raises ``InputError`` for shapes that differ, NaN, and no truth.
    """
    edges, thresholds = np.asarray(edges), np.asarray(thresholds, dtype=np.float64)
    if edges.ndim != 2 or edges.size == 0 or edges.dtype.kind not in "bf":
        raise InputError(f"edges must be (H, W) floats 0..1 or bool, got {edges.dtype} {edges.shape}")
    if edges.dtype.kind == "f" and not (edges.min() >= 0 and edges.max() <= 1):
        raise InputError(f"edges must be numbers from 0 to 1, got {edges.min()}..{edges.max()}")
    if thresholds.ndim != 1 or not len(thresholds) or not (np.diff(thresholds, prepend=0) > 0).all():
        raise InputError("thresholds must ascend and be above 0")
    sides = [_Lines.of(truth, max_distance, edges.shape) for truth in truths]
    if not sides:
        raise InputError("no truth to compare with; give the lines of at least one annotator")
    counts = np.zeros((4, len(thresholds)), np.int64)
    counts[1] = sum(side.count for side in sides)
    before = -1
    for k, threshold in enumerate(thresholds):
        lines = edges >= threshold
        marked = int(np.count_nonzero(lines))
        if marked == before:  # higher thresholds only take pixels away: the same number are the same pixels
            counts[:, k] = counts[:, k - 1]
            continue
        before = marked
        lines = thin(lines) if thinned else lines
        matched = np.zeros(int(np.count_nonzero(lines)), bool)
        for side in sides:
            paired = side.partners(lines) >= 0
            counts[0, k] += np.count_nonzero(paired)
            matched |= paired
        counts[2:, k] = np.count_nonzero(matched), len(matched)
    return EdgeCounts(thresholds, *counts)


def correspondence(
    truth: np.ndarray, predicted: np.ndarray, max_distance: float = MAX_DISTANCE
) -> np.ndarray:
    """Pairs (P, 2) of pixels of two sets of lines (H, W) bool, as flat indices of truth and predicted, one to one.

    As many as can be made of pixels no further apart than ``max_distance`` of the diagonal, and of those the least sum
    of distances (rounded to hundredths of a pixel). A pair more is given up only if it would lengthen the others by
    over 100 times that distance in all, as in the benchmark.
    """
    side = _Lines.of(truth, max_distance, predicted.shape)
    partners = side.partners(predicted)
    kept = partners >= 0
    return np.stack([np.flatnonzero(truth)[partners[kept]], np.flatnonzero(predicted)[kept]], axis=1)


def thin(lines: np.ndarray) -> np.ndarray:
    """Lines (H, W) bool taken down to a width of one pixel, none of them torn, (H, W) bool.

    Guo and Hall, CACM 1989, which MATLAB's ``bwmorph(..., 'thin', inf)`` and scikit-image's ``thin`` compute too.
    """
    padded = np.zeros((lines.shape[0] + 2, lines.shape[1] + 2), np.uint8)
    padded[1:-1, 1:-1] = lines
    compiled.edges.thin(padded.reshape(-1), padded.shape[1])
    return padded[1:-1, 1:-1].view(bool)


def region_boundaries(segmentation: Segmentation) -> np.ndarray:
    """The thin lines (H, W) bool between segments, and between segments and none; the image's border is no line.

    A pixel is on a line where it, the next to the right, the next below and the one across differ (the benchmark's
    ``seg2bdry`` at the image's size); then the lines are thinned, as in BSDS500's ``Boundaries``. There is no line
    where one of the four is void. Raises ``InputError`` for a volume, ``OverlapError`` where segments overlap.
    """
    if segmentation.ndim != 2:
        raise InputError(f"lines between regions are drawn in images, got a volume {segmentation.shape}")
    lines = _block_differs(segmentation.labels)
    if segmentation.void_px:
        void = segmentation.void
        lines &= ~(_block_differs(void) | void)
    return thin(lines)


def ods(counts: Sequence[EdgeCounts]) -> EdgeScore:
    """Best F of all images at one threshold (optimal dataset scale).

    Counts are summed over the images; between neighbouring thresholds precision and recall are interpolated in
    steps of a 99th, as the benchmark does. Of one image it is that image's best F.
    """
    total = _total(counts)
    step = np.linspace(0, 1, 100)
    columns = [total.recall, total.precision, total.thresholds]
    if len(total.thresholds) > 1:
        columns = [np.outer(column[:-1], 1 - step) + np.outer(column[1:], step) for column in columns]
    recall, precision, threshold = (column.reshape(-1) for column in columns)
    f = _f(precision, recall)
    best = int(np.argmax(f))
    return EdgeScore(float(f[best]), float(precision[best]), float(recall[best]), float(threshold[best]))


def ois(counts: Sequence[EdgeCounts]) -> EdgeScore:
    """F of the counts summed over images, each at the threshold of its own best F (optimal image scale)."""
    _total(counts)
    best = [count.at(int(np.argmax(count.f))) for count in counts]
    sums = [sum(count._columns[k] for count in best) for k in range(4)]
    pooled = EdgeCounts(np.array([np.nan]), *(np.asarray(column) for column in sums))
    return EdgeScore(float(pooled.f[0]), float(pooled.precision[0]), float(pooled.recall[0]), float("nan"))


def average_precision(counts: Sequence[EdgeCounts]) -> float:
    """Area under precision over recall of all images together, 0..1.

    Precision is interpolated linearly at recalls 0, 0.01 .. 1, is 0 outside the recalls that were reached, and summed
    with a width of 0.01, as in the benchmark. 0 where all thresholds have one recall.
    """
    total = _total(counts)
    recall, place = np.unique(total.recall, return_index=True)
    if len(recall) < 2:
        return 0.0
    precision = np.interp(np.linspace(0, 1, 101), recall, total.precision[place], left=0, right=0)
    return float(precision.sum() / 100)


class Edges(Additive):
    """Lines between segments against those of truth, thinned and assigned one to one, pooled over images.

    Both sides are ``region_boundaries``. F is NaN where neither side has a line and 0 where one side has some;
    precision is NaN without a predicted line, recall without one of truth.
    """

    name: ClassVar[str] = "edges"
    headline: ClassVar[str] = "edge_f"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("edge_f", "Boundary F, one to one"),
        Score("edge_precision", "Boundary precision, one to one"),
        Score("edge_recall", "Boundary recall, one to one"),
    )

    def __init__(self, max_distance: float = MAX_DISTANCE) -> None:
        self.max_distance = max_distance

    def keep(self, pair: Pair) -> np.ndarray:
        """Matched pixels, those of truth and those predicted, (3,)."""
        truth, predicted = (region_boundaries(side) for side in pair.judged)
        matched = len(correspondence(truth, predicted, self.max_distance))
        return np.array([matched, np.count_nonzero(truth), np.count_nonzero(predicted)], np.float64)

    def of_totals(self, totals: np.ndarray) -> Scores:
        matched, truth, predicted = totals.T
        return {
            "edge_f": ratio(2 * matched, truth + predicted),
            "edge_precision": ratio(matched, predicted),
            "edge_recall": ratio(matched, truth),
        }


@dataclass(frozen=True, eq=False)
class _Lines:
    """One annotator's pixels, numbered in scan order, ready to be found from near by.

    ``numbers`` is padded by the reach and flat, -1 off the lines; ``offsets`` lead to all places within reach, nearest
    first, at ``costs``.
    """

    count: int
    reach: int
    numbers: np.ndarray
    offsets: np.ndarray
    costs: np.ndarray
    alone: int

    @classmethod
    def of(cls, lines: np.ndarray, max_distance: float, shape: tuple[int, ...]) -> _Lines:
        lines = np.asarray(lines)
        if lines.dtype != bool or lines.shape != shape:
            raise InputError(f"lines of truth must be bool {shape}, got {lines.dtype} {lines.shape}")
        limit = max_distance * math.hypot(*shape)
        if not 0 <= limit < 1000:
            raise InputError(f"max_distance is a share of the diagonal such as 0.0075, got {max_distance}")
        reach = int(np.ceil(limit))
        numbers = np.full([length + 2 * reach for length in shape], -1, np.int32)
        count = int(np.count_nonzero(lines))
        numbers[reach : reach + shape[0], reach : reach + shape[1]][lines] = np.arange(count)
        dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
        away = np.hypot(dy, dx)
        order = np.argsort(away, kind="stable")
        order = order[away[order] <= limit]
        return cls(
            count,
            reach,
            numbers.reshape(-1),
            (dy * numbers.shape[1] + dx)[order],
            np.rint(away[order] * STEPS_PER_PIXEL).astype(np.int64),
            int(np.ceil(ALONE * limit * STEPS_PER_PIXEL)) + 1,
        )

    def partners(self, lines: np.ndarray) -> np.ndarray:
        """For each pixel of other ``lines`` (H, W) bool in scan order the number of its partner, -1 for none."""
        y, x = np.nonzero(lines)
        width = lines.shape[1] + 2 * self.reach
        places = (y + self.reach) * width + x + self.reach
        found: np.ndarray = compiled.edges.correspond(
            places, self.numbers, self.count, self.offsets, self.costs, self.alone
        )
        return found


def _block_differs(values: np.ndarray) -> np.ndarray:
    """Where a pixel and its neighbours to the right, below and across are not all the same, (H, W) bool."""
    differs = np.zeros(values.shape, bool)
    right, below = values[:, 1:] != values[:, :-1], values[1:] != values[:-1]
    differs[:, :-1] |= right
    differs[:-1] |= below
    differs[:-1, :-1] |= right[1:] | below[:, 1:]
    return differs


def _f(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return np.nan_to_num(ratio(2 * precision * recall, precision + recall))


def _total(counts: Sequence[EdgeCounts]) -> EdgeCounts:
    if not counts:
        raise InputError("no images; give the counts of at least one")
    total = counts[0]
    for count in counts[1:]:
        total = total + count
    return total
