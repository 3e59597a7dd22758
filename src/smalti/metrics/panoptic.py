"""Panoptic quality: objects found and how well, things and stuff alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..overlaps import Matches
from ..segmentation import Segmentation
from .means import mean_of_present, mean_over_classes, ratio
from .metric import Additive, Score, Scores
from .pair import Pair


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


@dataclass(frozen=True, eq=False)
class Found:
    """Which segments have a partner: ``truth`` and ``predicted`` with stuff joined, their ``pairs``, and which of
    truth are ``missed`` (N,) and which predicted ones ``extra`` (M,), bool; the rest are excused."""

    truth: Segmentation
    predicted: Segmentation
    pairs: Matches
    missed: np.ndarray
    extra: np.ndarray


def panoptic_quality(truth: Segmentation, predicted: Segmentation) -> PanopticQuality:
    """Segments of one class matched at IoU > 0.5, and counted (Kirillov et al., Panoptic Segmentation, CVPR 2019).

    Segments of one class of stuff are one. Pixels that are void on either side count for neither (the paper knows void
    in truth alone), and a segment without a partner is no fault where more than half of it is void on the other side,
    or void and ``crowd`` of its class. Crowds themselves are neither matched nor missed. Where segments of one side
    overlap, partners are the assignment with the largest sum of IoU. Raises ``InputError`` when shapes or classes
    differ.
    """
    return quality_of(Pair(truth, predicted))


def quality_of(pair: Pair) -> PanopticQuality:
    """``panoptic_quality`` of a pair, from its overlap table."""
    found = found_segments(pair)
    classes = pair.truth.classes
    matched = found.truth.class_ids[found.pairs.truth - 1]
    return PanopticQuality(
        classes,
        _per_class(classes, matched, found.pairs.iou),
        _per_class(classes, matched),
        _per_class(classes, found.truth.class_ids[found.missed]),
        _per_class(classes, found.predicted.class_ids[found.extra]),
    )


def found_segments(pair: Pair) -> Found:
    """The segments matched, missed and made up as ``panoptic_quality`` counts them."""
    truth, predicted = joined_stuff(pair.truth), joined_stuff(pair.predicted)
    if truth is not pair.truth or predicted is not pair.predicted:
        pair = Pair(truth, predicted)
    table = pair.table
    lost, other_lost = pair.void_areas
    areas, other_areas = table.truth_areas + lost, table.predicted_areas + other_lost
    crowds, other_crowds = crowd_segments(truth), crowd_segments(predicted)
    same = truth.class_ids[table.truth - 1] == predicted.class_ids[table.predicted - 1]
    kept = same & ~crowds[table.truth - 1] & ~other_crowds[table.predicted - 1]
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
    excused = 2 * (lost + in_crowd) > areas
    other_excused = 2 * (other_lost + other_in_crowd) > other_areas
    missed, extra = np.ones(len(truth), bool), np.ones(len(predicted), bool)
    missed[pairs.truth - 1] = extra[pairs.predicted - 1] = False
    missed &= ~crowds & ~excused & (areas > 0)
    extra &= ~other_crowds & ~other_excused & (other_areas > 0)
    return Found(truth, predicted, pairs, missed, extra)


@dataclass(frozen=True)
class Panoptic(Additive):
    """PQ, SQ and RQ of each class and their means over all classes, things and stuff.

    Kept of an image are 4 K numbers: the sum of IoU of its matched pairs, how many they are, the missed and the extra
    segments of each class. ``classes`` are those of the images and say which are things. A class on neither side of
    any image is NaN and in no mean; SQ of a class without a match is NaN as well, and 0 in the mean, as the reference
    implementation of the paper has it. A mean over no class at all is NaN.
    """

    classes: ClassSet

    name: ClassVar[str] = "panoptic"
    headline: ClassVar[str] = "pq"
    scores: ClassVar[tuple[Score, ...]] = (
        *(
            Score(f"{short}{of}", f"{title}{who}")
            for of, who in (("", ""), ("_things", " of things"), ("_stuff", " of stuff"))
            for short, title in (("pq", "PQ"), ("sq", "SQ"), ("rq", "RQ"))
        ),
        Score("pq_of_class", "PQ", per_class=True),
        Score("sq_of_class", "SQ", per_class=True),
        Score("rq_of_class", "RQ", per_class=True),
    )

    def keep(self, pair: Pair) -> np.ndarray:
        if pair.truth.classes != self.classes:
            raise InputError(f"the metric is for {self.classes}, the image has {pair.truth.classes}")
        found = quality_of(pair)
        return np.concatenate([found.matched_iou, found.found, found.missed, found.extra])

    def of_totals(self, totals: np.ndarray) -> Scores:
        matched_iou, found, missed, extra = np.split(totals, 4, axis=-1)
        weight = found + (missed + extra) / 2
        of_class = {
            "pq": ratio(matched_iou, weight),
            "sq": ratio(matched_iou, found),
            "rq": ratio(found, weight),
        }
        averaged = of_class | {"sq": np.where((weight > 0) & (found == 0), 0.0, of_class["sq"])}
        things = np.array([each.thing for each in self.classes], bool)
        kinds = {"": np.ones(len(things), bool), "_things": things, "_stuff": ~things}
        means = {
            f"{short}{of}": mean_over_classes(values[..., chosen])
            for of, chosen in kinds.items()
            for short, values in averaged.items()
        }
        return means | {f"{short}_of_class": values for short, values in of_class.items()}


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


def _per_class(classes: ClassSet, class_ids: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum of the weights, or how many, of each class in the order of the set, (K,)."""
    return np.bincount(classes.places(class_ids), weights, minlength=len(classes))
