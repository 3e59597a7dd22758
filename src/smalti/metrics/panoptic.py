"""Panoptic quality: objects found and how well, things and stuff alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..classes import ClassSet
from ..overlaps import overlap
from ..segmentation import Segmentation
from .semantic import check_classes, mean_of_present, ratio
from .void import both_judged


@dataclass(frozen=True, eq=False)
class PanopticQuality:
    """What was matched, per class of ``classes`` in order (K,), and the scores that follow.

    ``matched_iou`` sums the IoU of the matched pairs, ``found`` counts them (true positives), ``missed`` the segments
    of truth without a partner, ``extra`` the predicted ones. Counts of several images may be added (``+``).
    """

    classes: ClassSet
    matched_iou: np.ndarray
    found: np.ndarray
    missed: np.ndarray
    extra: np.ndarray

    @property
    def pq_of_class(self) -> np.ndarray:
        """PQ = sum of IoU / (TP + FP / 2 + FN / 2) of each class, (K,); NaN for a class on neither side."""
        return ratio(self.matched_iou, self._weight)

    @property
    def sq_of_class(self) -> np.ndarray:
        """Segmentation quality, the mean IoU of the matched pairs of each class, (K,); NaN without any."""
        return ratio(self.matched_iou, self.found)

    @property
    def rq_of_class(self) -> np.ndarray:
        """Recognition quality, TP / (TP + FP / 2 + FN / 2), the F1 of objects, (K,); NaN as for PQ."""
        return ratio(self.found, self._weight)

    @property
    def pq(self) -> float:
        """Mean PQ over the classes on either side; 1 where neither side has a segment."""
        return mean_of_present(self.pq_of_class)

    @property
    def sq(self) -> float:
        """Mean SQ over the classes on either side, 0 for one without a match; 1 where neither side has a segment."""
        present = self._weight > 0
        return mean_of_present(np.nan_to_num(self.sq_of_class[present]))

    @property
    def rq(self) -> float:
        """Mean RQ over the classes on either side; 1 where neither side has a segment."""
        return mean_of_present(self.rq_of_class)

    @property
    def _weight(self) -> np.ndarray:
        return self.found + (self.missed + self.extra) / 2

    def __add__(self, other: PanopticQuality) -> PanopticQuality:
        return PanopticQuality(
            self.classes,
            self.matched_iou + other.matched_iou,
            self.found + other.found,
            self.missed + other.missed,
            self.extra + other.extra,
        )


def panoptic_quality(truth: Segmentation, predicted: Segmentation) -> PanopticQuality:
    """Segments of one class matched at IoU > 0.5, and counted (Kirillov et al., Panoptic Segmentation, CVPR 2019).

    Segments of one class of stuff are one. Pixels that are void on either side count for neither (the paper knows void
    in truth alone), and a segment without a partner is no fault where more than half of it is void on the other side,
    or void and ``crowd`` of its class. Crowds themselves are neither matched nor missed. Where segments of one side
    overlap, partners are the assignment with the largest sum of IoU. Raises ``InputError`` when shapes or classes
    differ.
    """
    check_classes(truth, predicted)
    truth, predicted = joined_stuff(truth), joined_stuff(predicted)
    seen, other = both_judged(truth, predicted)
    table = overlap(seen, other)
    crowds, other_crowds = crowd_segments(truth), crowd_segments(predicted)
    same = seen.class_ids[table.truth - 1] == other.class_ids[table.predicted - 1]
    single = ~crowds[table.truth - 1] & ~other_crowds[table.predicted - 1]
    kept = same & single
    pairs = replace(
        table, truth=table.truth[kept], predicted=table.predicted[kept], pixels=table.pixels[kept]
    ).match(0.5)

    # What lies in a crowd of the same class on the other side, and what void took.
    in_crowd = np.bincount(
        table.truth - 1, table.pixels * (same & other_crowds[table.predicted - 1]), len(truth)
    )
    other_in_crowd = np.bincount(
        table.predicted - 1, table.pixels * (same & crowds[table.truth - 1]), len(predicted)
    )
    excused = 2 * (truth.areas_px - seen.areas_px + in_crowd) > truth.areas_px
    other_excused = 2 * (predicted.areas_px - other.areas_px + other_in_crowd) > predicted.areas_px
    unmatched, extra = np.ones(len(truth), bool), np.ones(len(predicted), bool)
    unmatched[pairs.truth - 1] = extra[pairs.predicted - 1] = False
    unmatched &= ~crowds & ~excused & (truth.areas_px > 0)
    extra &= ~other_crowds & ~other_excused & (predicted.areas_px > 0)

    ids = truth.classes.ids
    found_ids = truth.class_ids[pairs.truth - 1]
    return PanopticQuality(
        truth.classes,
        _per_class(ids, found_ids, pairs.iou),
        _per_class(ids, found_ids).astype(np.int64),
        _per_class(ids, truth.class_ids[unmatched]).astype(np.int64),
        _per_class(ids, predicted.class_ids[extra]).astype(np.int64),
    )


def joined_stuff(segmentation: Segmentation) -> Segmentation:
    """The same with one segment per class of stuff; crowds stay as they are."""
    crowds = crowd_segments(segmentation)
    stuff = np.array([not segmentation.classes.of(i).thing for i in segmentation.class_ids], bool) & ~crowds
    ids = segmentation.class_ids[stuff]
    if len(np.unique(ids)) == len(ids):
        return segmentation
    keys = -np.arange(1, len(segmentation) + 1, dtype=np.int64)
    keys[stuff] = ids
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))  # groups numbered by their first member: the rest keeps its order
    return segmentation.merge(order[inverse] + 1)


def crowd_segments(segmentation: Segmentation) -> np.ndarray:
    """Which segments outline a group as one, (N,) bool."""
    crowds = segmentation.attributes.get("crowd")
    return np.zeros(len(segmentation), bool) if crowds is None else crowds.astype(bool)


def _per_class(ids: np.ndarray, class_ids: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum of the weights (or how many) of each class in the order of ``ids``, (K,)."""
    order = np.argsort(ids)
    place = order[np.searchsorted(ids, class_ids, sorter=order)]
    return np.bincount(place, weights, minlength=len(ids))
