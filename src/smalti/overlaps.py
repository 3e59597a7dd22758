"""How the segments of two segmentations overlap: the table that every comparison starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import compiled
from .errors import InputError
from .segmentation import Segmentation


class Matches(NamedTuple):
    """One-to-one pairs of segments: numbers in truth and predicted (P,), and their IoU (P,)."""

    truth: np.ndarray
    predicted: np.ndarray
    iou: np.ndarray


@dataclass(frozen=True, eq=False)
class OverlapTable:
    """Every pair of segments that share pixels, sorted by truth then predicted number.

    ``truth`` and ``predicted`` (P,) are segment numbers from 1, ``pixels`` (P,) what they share; ``truth_areas``
    (N,) and ``predicted_areas`` (M,) are whole areas, so IoU and Dice need nothing else.
    """

    truth: np.ndarray
    predicted: np.ndarray
    pixels: np.ndarray
    truth_areas: np.ndarray
    predicted_areas: np.ndarray
    size: int

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, (P,)."""
        union = self.truth_areas[self.truth - 1] + self.predicted_areas[self.predicted - 1] - self.pixels
        return self.pixels / union

    @property
    def dice(self) -> np.ndarray:
        """Twice the intersection over the sum of the areas, of each pair, (P,)."""
        return 2 * self.pixels / (self.truth_areas[self.truth - 1] + self.predicted_areas[self.predicted - 1])

    def matrix(self) -> np.ndarray:
        """Dense table (N + 1, M + 1) of shared pixels, row and column 0 being "no segment".

        It sums to the number of pixels where neither side overlaps itself; with overlap it may not be asked for.
        """
        rows, columns = len(self.truth_areas) + 1, len(self.predicted_areas) + 1
        table = np.zeros((rows, columns), np.int64)
        table[self.truth, self.predicted] = self.pixels
        table[1:, 0] = self.truth_areas - table[1:].sum(axis=1)
        table[0, 1:] = self.predicted_areas - table[1:, 1:].sum(axis=0)
        table[0, 0] = self.size - table.sum()
        if table.min() < 0:
            raise InputError("segments of one side overlap each other, so no table sums to the image")
        return table

    def match(self, min_iou: float = 0.5, inclusive: bool = False) -> Matches:
        """Pairs with IoU > ``min_iou`` (>= when ``inclusive``), each segment in one at most.

        From 0.5 on, and without overlap inside a side, no segment has two partners (Kirillov et al., Panoptic
        Segmentation, CVPR 2019, theorem 1); otherwise the assignment with the largest sum of IoU is taken.
        """
        iou = self.iou
        kept = iou >= min_iou if inclusive else iou > min_iou
        truth, predicted, iou = self.truth[kept], self.predicted[kept], iou[kept]
        repeats = len(np.unique(truth)) < len(truth) or len(np.unique(predicted)) < len(predicted)
        if repeats:
            chosen = best_assignment(truth, predicted, iou)
            truth, predicted, iou = truth[chosen], predicted[chosen], iou[chosen]
        return Matches(truth, predicted, iou)


def best_assignment(truth: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the pairs (P,) of the one-to-one assignment with the largest sum of ``weight`` > 0.

    Solved over the pairs alone, without a dense matrix of all objects: memory grows with the pairs.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    _, rows, row_pairs = np.unique(truth, return_inverse=True, return_counts=True)
    _, columns, column_pairs = np.unique(predicted, return_inverse=True, return_counts=True)
    chosen = (row_pairs[rows] == 1) & (column_pairs[columns] == 1)  # no rival on either side
    contested = np.flatnonzero(~chosen)
    if not len(contested):
        return np.flatnonzero(chosen)
    _, rows = np.unique(truth[contested], return_inverse=True)
    _, columns = np.unique(predicted[contested], return_inverse=True)
    weight = weight[contested]
    height, width = rows.max() + 1, columns.max() + 1
    # Each row has a column of its own that stands for no partner, so an assignment of all rows exists.
    none = 1 + weight.max()
    costs = csr_array(
        (
            np.concatenate([none - weight, np.full(height, none)]),
            (np.concatenate([rows, np.arange(height)]), np.concatenate([columns, width + np.arange(height)])),
        ),
        shape=(height, width + height),
    )
    row, column = min_weight_full_bipartite_matching(costs)
    partner = np.full(height, -1)
    partner[row] = column
    chosen[contested[partner[rows] == columns]] = True
    return np.flatnonzero(chosen)


def overlap(truth: Segmentation | np.ndarray, predicted: Segmentation | np.ndarray) -> OverlapTable:
    """The pairs of segments of two segmentations, or of two label maps, of one image that share pixels.

    A label map (*S,) of integers is taken as it is: segment k is label k, up to the highest, and 0 is none.
    Pixels are compared as labels where nothing overlaps, run by run where something does. Raises ``InputError``
    when the shapes differ or a label is negative.
    """
    if isinstance(truth, np.ndarray) and isinstance(predicted, np.ndarray):
        return _overlap_of_labels(truth, predicted)
    if not (isinstance(truth, Segmentation) and isinstance(predicted, Segmentation)):
        raise InputError(
            f"overlap takes two Segmentations or two label maps, got {type(truth).__name__} and "
            f"{type(predicted).__name__}; make one with Segmentation.from_labels"
        )
    _check_shapes(truth.shape, predicted.shape)
    if truth.overlapping or predicted.overlapping:
        keys, pixels = _count_runs(truth, predicted)
        areas = truth.areas_px, predicted.areas_px
    else:
        flat = truth.labels.reshape(-1), predicted.labels.reshape(-1)
        keys, pixels, areas = _count_labels(*flat, len(truth), len(predicted))
    return _table(keys, pixels, *areas, math.prod(truth.shape))


def _overlap_of_labels(truth: np.ndarray, predicted: np.ndarray) -> OverlapTable:
    _check_shapes(truth.shape, predicted.shape)
    flat, tops = [], []
    for labels in (truth, predicted):
        if labels.dtype.kind not in "bui" or labels.size == 0:
            raise InputError(f"label maps must hold integers, got {labels.dtype} of shape {labels.shape}")
        if labels.dtype != np.int32:
            if labels.dtype.itemsize >= 4 and labels.max() >= 2**31:
                raise InputError(f"labels must be below {2**31}, got {labels.max()}; renumber them")
            labels = labels.astype(np.int32)
        labels = np.ascontiguousarray(labels).reshape(-1)
        top = int(
            labels.view(np.uint32).max()
        )  # one pass for both ends: seen so, negative ones are the highest
        if top >= 2**31:
            raise InputError("labels must be 0 or more; negative ones were given")
        flat.append(labels)
        tops.append(top)
    keys, pixels, areas = _count_labels(flat[0], flat[1], tops[0], tops[1])
    return _table(keys, pixels, *areas, truth.size)


def _count_labels(
    truth: np.ndarray, predicted: np.ndarray, truth_top: int, predicted_top: int
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Keys, counts and both sides' areas of two flat label maps in one pass."""
    areas = np.zeros(truth_top + 1, np.int64), np.zeros(predicted_top + 1, np.int64)
    keys, pixels = compiled.overlaps.count_label_pairs(truth, predicted, *areas)
    return keys, pixels, (areas[0][1:], areas[1][1:])


def _table(
    keys: np.ndarray, pixels: np.ndarray, truth_areas: np.ndarray, predicted_areas: np.ndarray, size: int
) -> OverlapTable:
    order = np.argsort(keys)
    keys = keys[order]
    return OverlapTable(keys >> 32, keys & 0xFFFFFFFF, pixels[order], truth_areas, predicted_areas, size)


def _count_runs(truth: Segmentation, predicted: Segmentation) -> tuple[np.ndarray, np.ndarray]:
    sides = []
    for side in (truth, predicted):
        order = np.argsort(side.runs.start, kind="stable")
        sides.append((side.runs.segment[order], side.runs.start[order], side.runs.stop[order]))
    longest = int((sides[1][2] - sides[1][1]).max(initial=0))
    return compiled.overlaps.count_run_pairs(*sides[0], *sides[1], longest, len(predicted))


def mask_iou(segments: Segmentation, others: Segmentation) -> np.ndarray:
    """IoU of every segment with every other, (N, M), 0 where either is empty. Segments may overlap."""
    _check_shapes(segments.shape, others.shape)
    return compiled.overlaps.iou_matrix(
        segments.runs.offsets,
        segments.runs.start,
        segments.runs.stop,
        _boxes_zyx(segments),
        others.runs.offsets,
        others.runs.start,
        others.runs.stop,
        _boxes_zyx(others),
    )


def nms(segmentation: Segmentation, max_iou: float = 0.5, per_class: bool = True) -> Segmentation:
    """Non-maximum suppression by masks: from the surest down, segments whose IoU with a kept one is > ``max_iou``
    are dropped; those of another class are no rivals unless ``per_class`` is False."""
    if not 0 <= max_iou <= 1:
        raise InputError(f"max_iou must be 0..1, got {max_iou}")
    order = np.argsort(-segmentation.scores, kind="stable")
    groups = segmentation.class_ids if per_class else np.zeros(len(segmentation), np.int32)
    runs = segmentation.runs
    kept = compiled.overlaps.suppress(
        order,
        runs.offsets,
        runs.start,
        runs.stop,
        _boxes_zyx(segmentation),
        groups,
        segmentation.areas_px,
        float(max_iou),
    )
    return segmentation[kept]


def confusion(
    truth_map: np.ndarray, predicted_map: np.ndarray, num_classes: int, void: int | None = None
) -> np.ndarray:
    """Pixels of each pair of classes, (K, K): row = true class, column = predicted class, 0..K - 1.

    Both maps hold integers of one shape. Pixels whose true class is ``void`` are not counted. Raises
    ``InputError`` for a class outside 0..K - 1.
    """
    truth_map, predicted_map = (
        array.astype(array.dtype.newbyteorder("="), copy=False)
        for array in (np.asarray(truth_map), np.asarray(predicted_map))
    )
    if not isinstance(num_classes, int | np.integer) or num_classes < 1:
        raise InputError(f"num_classes must be a whole number from 1, got {num_classes}")
    if void is not None and not -(2**31) <= void < 2**32:
        raise InputError(f"void must be a class number, got {void}")
    _check_shapes(truth_map.shape, predicted_map.shape)
    if np.uint64 in (truth_map.dtype, predicted_map.dtype):
        raise InputError("maps of 64-bit unsigned integers are not taken; give any smaller type")
    if truth_map.dtype.kind not in "ui" or predicted_map.dtype.kind not in "ui":
        raise InputError(f"maps must hold integers, got {truth_map.dtype} and {predicted_map.dtype}")
    counts, bad = compiled.overlaps.confusion(
        np.ascontiguousarray(truth_map).reshape(-1),
        np.ascontiguousarray(predicted_map).reshape(-1),
        num_classes,
        -(2**62) if void is None else void,
    )
    if bad >= 0:
        pair = truth_map.reshape(-1)[bad], predicted_map.reshape(-1)[bad]
        raise InputError(
            f"classes must be 0..{num_classes - 1}, got truth {pair[0]} and predicted {pair[1]} at pixel "
            f"{tuple(int(i) for i in np.unravel_index(bad, truth_map.shape))}; name the class without a label void="
        )
    return counts


def _boxes_zyx(segmentation: Segmentation) -> np.ndarray:
    """Boxes as (N, 6) whatever the number of axes; a picture is a volume of one slice."""
    if segmentation.ndim == 3:
        return segmentation.boxes
    boxes = np.zeros((len(segmentation), 6), np.int64)
    boxes[:, [1, 2, 4, 5]] = segmentation.boxes
    boxes[:, 3] = segmentation.areas_px > 0
    return boxes


def _check_shapes(truth: tuple[int, ...], predicted: tuple[int, ...]) -> None:
    if truth != predicted:
        raise InputError(f"both sides must have one shape, got {truth} and {predicted}; resample one of them")
