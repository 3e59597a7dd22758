"""Scores of objects as those who count cells use them: found, missed, extra, split, merged, and how well outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from ..errors import InputError
from ..overlaps import OverlapTable, best_assignment
from ..segmentation import Segmentation
from .matching import THRESHOLDS, match_objects
from .means import ratio
from .metric import Additive, Score, Scores
from .pair import Pair
from .panoptic import crowd_segments

LEAST_PART = 0.1
"""IoU a part of a split object must have with it; a smaller one is a speck."""

Jaccard = Literal["kumar", "one-to-one", "cellpose"]


class ObjectCounts(NamedTuple):
    """Objects matched at each of T thresholds, by class (K,) in the order of the class set; stuff has none.

    ``found`` (true positives, by the class in truth), ``missed`` (false negatives), ``extra`` (false positives) and
    ``matched_iou``, the sum of the IoU of the pairs, are (T, K); ``split`` and ``merged`` (K,). ``num_truth`` and
    ``num_predicted`` are the objects on each side. ``Instances`` adds the counts of several images up.
    """

    thresholds: np.ndarray
    found: np.ndarray
    missed: np.ndarray
    extra: np.ndarray
    matched_iou: np.ndarray
    split: np.ndarray
    merged: np.ndarray
    num_truth: int
    num_predicted: int

    @property
    def accuracy(self) -> np.ndarray:
        """TP / (TP + FP + FN) over all classes at each threshold, (T,); NaN without an object on either side.

        Called average precision by the cell community (Caicedo et al., Nucleus segmentation across imaging
        experiments: the 2018 Data Science Bowl, Nature Methods 2019; StarDist; Cellpose). It is no area under a curve.
        """
        return ratio(self._found, self._found + self._missed + self._extra)

    @property
    def f1(self) -> np.ndarray:
        """2 TP / (2 TP + FP + FN) at each threshold, (T,); NaN without an object on either side."""
        return ratio(2 * self._found, 2 * self._found + self._missed + self._extra)

    @property
    def precision(self) -> np.ndarray:
        """TP / (TP + FP) at each threshold, (T,); NaN where nothing is predicted."""
        return ratio(self._found, self._found + self._extra)

    @property
    def recall(self) -> np.ndarray:
        """TP / (TP + FN) at each threshold, (T,); NaN without an object in truth."""
        return ratio(self._found, self._found + self._missed)

    @property
    def mean_matched_iou(self) -> np.ndarray:
        """Mean IoU of the matched pairs, (T,): StarDist's mean_matched_score; NaN where nothing matches."""
        return ratio(self.matched_iou.sum(axis=1), self._found)

    @property
    def mean_truth_iou(self) -> np.ndarray:
        """Mean over the objects of truth of the IoU with their partner, 0 without one, (T,): StarDist's
        mean_true_score; NaN without an object in truth."""
        return ratio(self.matched_iou.sum(axis=1), self._found + self._missed)

    @property
    def _found(self) -> np.ndarray:
        return self.found.sum(axis=1)

    @property
    def _missed(self) -> np.ndarray:
        return self.missed.sum(axis=1)

    @property
    def _extra(self) -> np.ndarray:
        return self.extra.sum(axis=1)


def count_objects(
    truth: Segmentation,
    predicted: Segmentation,
    thresholds: Sequence[float] = THRESHOLDS,
    class_aware: bool = True,
) -> ObjectCounts:
    """Objects found, missed, extra, split and merged in one image, 2-D or 3-D.

    Partners are those of ``match_objects``, of one class unless ``class_aware`` is False. Pixels that are void on
    either side count for neither. Crowds are neither found nor missed, and an object without a partner is no fault
    where more than half of it is void on the other side, or void and crowd (of its class).

    An object is split where at least two predicted ones lie by more than half in it and together cover more than half
    of it; predicted objects merge where it is so the other way round (over- and under-segmentation of Hoover et al.,
    An experimental comparison of range image segmentation algorithms, PAMI 1996, with T just above 0.5). Parts with an
    IoU of 0.1 or less are specks and none (the least that Caicedo et al., Cytometry A 2019, count). A split object may
    also be found, by its larger part.

    Raises ``InputError`` when shapes or classes differ and for thresholds as ``match_objects``.
    """
    return _Objects(Pair(truth, predicted), class_aware).counts(thresholds)


def aggregated_jaccard(
    truth: Segmentation,
    predicted: Segmentation,
    definition: Jaccard = "kumar",
    class_aware: bool = True,
) -> float:
    """Aggregated Jaccard index: pixels shared by partners over pixels of partners and of all without one.

    - ``"kumar"``: every object of truth takes the predicted one with the largest IoU, which several may take; predicted
      ones that nobody took are added below (Kumar et al., IEEE TMI 2017, algorithm 1).
    - ``"one-to-one"``, AJI+: partners are the assignment with the largest sum of IoU (Graham et al., HoVer-Net, Medical
      Image Analysis 2019), so that no predicted object is counted twice.
    - ``"cellpose"``: most pairs of IoU >= 0.5, then the largest IoU, over all pixels that are an object's on either
      side (Stringer et al., Cellpose, Nature Methods 2021, its ``metrics``).

    Void, crowds and classes as in ``count_objects``. NaN without an object on either side, 0 with objects on one only.
    Raises ``InputError`` when shapes or classes differ and for another definition.
    """
    objects = _Objects(Pair(truth, predicted), class_aware)
    shared, united = objects.jaccard(definition)
    return shared / united if united else float("nan")


def count_error(truth: Segmentation, predicted: Segmentation) -> int:
    """Predicted objects less those of truth: 0 for equal numbers, also for none. Void and crowds as in
    ``count_objects``, whose errors it raises."""
    objects = _Objects(Pair(truth, predicted), class_aware=True)
    return int(objects.faulty[1].sum() - objects.faulty[0].sum())


class Instances(Additive):
    """Objects over IoU thresholds 0.5 to 0.95, pooled over images and classes; see ``count_objects``.

    ``class_aware=False`` lets objects of different classes be partners; those found then count for truth's class.
    """

    name: ClassVar[str] = "instances"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("object_accuracy", "Objects TP / (TP + FP + FN), IoU 0.5 to 0.95"),
        Score("object_accuracy50", "Objects TP / (TP + FP + FN) at IoU 0.5"),
        Score("object_accuracy75", "Objects TP / (TP + FP + FN) at IoU 0.75"),
        Score("object_accuracy90", "Objects TP / (TP + FP + FN) at IoU 0.9"),
        Score("object_f1", "F1 of objects, IoU 0.5 to 0.95"),
        Score("object_f1_50", "F1 of objects at IoU 0.5"),
        Score("object_precision", "Precision of objects at IoU 0.5"),
        Score("object_recall", "Recall of objects at IoU 0.5"),
        Score("mean_matched_iou", "Mean IoU of matched objects"),
        Score("mean_truth_iou", "Mean IoU of the objects of truth, 0 where missed"),
        Score("aji", "Aggregated Jaccard index"),
        Score("aji_plus", "Aggregated Jaccard index, one to one"),
        Score("missed", "Objects of truth without a partner", "lower"),
        Score("extra", "Predicted objects without a partner", "lower"),
        Score("split", "Split objects", "lower"),
        Score("merged", "Merged objects", "lower"),
        Score("count_error", "Error of the count of an image", "lower"),
        Score("count_error_relative", "Error of the counts over the objects there are", "lower"),
        Score("count_bias", "Objects too many in an image", "zero"),
        Score("object_accuracy_of_class", "Objects TP / (TP + FP + FN), IoU 0.5 to 0.95", per_class=True),
        Score("object_f1_50_of_class", "F1 of objects at IoU 0.5", per_class=True),
        Score("missed_of_class", "Objects of truth without a partner", "lower", per_class=True),
        Score("extra_of_class", "Predicted objects without a partner", "lower", per_class=True),
        Score("split_of_class", "Split objects", "lower", per_class=True),
        Score("merged_of_class", "Merged objects", "lower", per_class=True),
    )
    headline: ClassVar[str] = "object_accuracy"

    def __init__(self, class_aware: bool = True) -> None:
        self.class_aware = class_aware

    def keep(self, pair: Pair) -> np.ndarray:
        objects = _Objects(pair, self.class_aware)
        counts = objects.counts(THRESHOLDS)
        error = counts.num_predicted - counts.num_truth
        by_class = (
            counts.found,
            counts.missed,
            counts.extra,
            counts.matched_iou[0],
            counts.split,
            counts.merged,
        )
        totals = (*objects.jaccard("kumar"), *objects.jaccard("one-to-one"))
        return np.concatenate(
            [*(part.ravel() for part in by_class), [*totals, 1, abs(error), error, counts.num_truth]]
        ).astype(np.float64)

    def of_totals(self, totals: np.ndarray) -> Scores:
        by_class, (shared, united, shared_plus, united_plus, images, errors, bias, objects) = (
            totals[:, :-8],
            totals[:, -8:].T,
        )
        levels = len(THRESHOLDS)
        rows = by_class.reshape(len(totals), 3 * levels + 3, -1)
        found, missed, extra = (rows[:, part * levels : (part + 1) * levels] for part in range(3))
        matched_iou, split, merged = (rows[:, 3 * levels + part] for part in range(3))
        all_found, all_missed, all_extra = (part.sum(axis=2) for part in (found, missed, extra))
        accuracy = ratio(all_found, all_found + all_missed + all_extra)
        f1 = ratio(2 * all_found, 2 * all_found + all_missed + all_extra)
        first = 0
        return {
            "object_accuracy": accuracy.mean(axis=1),
            "object_accuracy50": accuracy[:, first],
            "object_accuracy75": accuracy[:, THRESHOLDS.index(0.75)],
            "object_accuracy90": accuracy[:, THRESHOLDS.index(0.9)],
            "object_f1": f1.mean(axis=1),
            "object_f1_50": f1[:, first],
            "object_precision": ratio(all_found, all_found + all_extra)[:, first],
            "object_recall": ratio(all_found, all_found + all_missed)[:, first],
            "mean_matched_iou": ratio(matched_iou.sum(axis=1), all_found[:, first]),
            "mean_truth_iou": ratio(matched_iou.sum(axis=1), (all_found + all_missed)[:, first]),
            "aji": ratio(shared, united),
            "aji_plus": ratio(shared_plus, united_plus),
            "missed": all_missed[:, first],
            "extra": all_extra[:, first],
            "split": split.sum(axis=1),
            "merged": merged.sum(axis=1),
            "count_error": ratio(errors, images),
            "count_error_relative": ratio(errors, objects),
            "count_bias": ratio(bias, images),
            "object_accuracy_of_class": ratio(found, found + missed + extra).mean(axis=1),
            "object_f1_50_of_class": ratio(2 * found, 2 * found + missed + extra)[:, first],
            "missed_of_class": missed[:, first],
            "extra_of_class": extra[:, first],
            "split_of_class": split,
            "merged_of_class": merged,
        }


class _Objects:
    """The objects of one image: things that are neither crowds nor empty. Sides are truth and predicted."""

    def __init__(self, pair: Pair, class_aware: bool) -> None:
        sides, table = (pair.truth, pair.predicted), pair.table
        self.num_classes = len(pair.truth.classes)
        self.class_index = tuple(side.classes.places(side.class_ids) for side in sides)
        self.areas = table.truth_areas, table.predicted_areas
        things = np.array([one.thing for one in pair.truth.classes], bool)
        crowds = tuple(crowd_segments(side) for side in sides)
        self.objects = tuple(
            things[index] & ~crowd & (side.areas_px > 0)
            for side, crowd, index in zip(sides, crowds, self.class_index, strict=True)
        )
        rows, columns = table.truth - 1, table.predicted - 1
        both = self.objects[0][rows] & self.objects[1][columns]
        same = np.ones(len(rows), bool)
        if class_aware:
            same = self.class_index[0][rows] == self.class_index[1][columns]
        self.pairs = _chosen(table, both & same)
        self.shared_by_all = int(table.pixels[both].sum())
        # What void or a crowd took of an object without a partner; by more than half, it is no fault.
        in_crowd = (
            np.bincount(rows, table.pixels * (same & crowds[1][columns]), len(sides[0])),
            np.bincount(columns, table.pixels * (same & crowds[0][rows]), len(sides[1])),
        )
        self.faulty = tuple(
            there & (2 * (side.areas_px - judged + crowded) <= side.areas_px)
            for there, side, judged, crowded in zip(self.objects, sides, self.areas, in_crowd, strict=True)
        )

    def counts(self, thresholds: Sequence[float]) -> ObjectCounts:
        found, missed, extra, matched_iou = [], [], [], []
        for matches in match_objects(self.pairs, thresholds):
            found.append(self._per_class(0, matches.truth - 1))
            matched_iou.append(self._per_class(0, matches.truth - 1, matches.iou))
            missed.append(self._per_class(0, self._alone(0, matches.truth)))
            extra.append(self._per_class(1, self._alone(1, matches.predicted)))
        return ObjectCounts(
            np.array(thresholds, np.float64),
            np.stack(found),
            np.stack(missed),
            np.stack(extra),
            np.stack(matched_iou),
            self._per_class(0, self._divided(0)),
            self._per_class(1, self._divided(1)),
            int(self.faulty[0].sum()),
            int(self.faulty[1].sum()),
        )

    def jaccard(self, definition: Jaccard) -> tuple[int, int]:
        """Pixels shared and pixels united."""
        pairs = self.pairs
        if definition == "kumar":
            order = np.lexsort((pairs.predicted, -pairs.iou, pairs.truth))
            _, first = np.unique(pairs.truth[order], return_index=True)
            chosen = order[first]
        elif definition == "one-to-one":
            chosen = best_assignment(pairs.truth, pairs.predicted, pairs.iou)
        elif definition == "cellpose":
            fewest = min(there.sum() for there in self.objects)
            weight = (pairs.iou >= 0.5) + pairs.iou / (2 * max(fewest, 1))
            chosen = best_assignment(pairs.truth, pairs.predicted, weight)
        else:
            raise InputError(f"definitions are kumar, one-to-one and cellpose, got {definition!r}")
        rows, columns = pairs.truth[chosen], pairs.predicted[chosen]
        shared = int(pairs.pixels[chosen].sum())
        areas = self.areas
        if definition == "cellpose":
            both = sum(int(area[there].sum()) for area, there in zip(areas, self.objects, strict=True))
            return shared, both - self.shared_by_all
        united = int(areas[0][rows - 1].sum() + areas[1][columns - 1].sum()) - shared
        alone = (areas[0][self._alone(0, rows)], areas[1][self._alone(1, columns)])
        return shared, united + sum(int(area.sum()) for area in alone)

    def _alone(self, side: int, partners: np.ndarray) -> np.ndarray:
        """Places of the objects of a side that are not among the numbers of those with a partner."""
        alone = self.faulty[side].copy()
        alone[partners - 1] = False
        return np.flatnonzero(alone)

    def _divided(self, side: int) -> np.ndarray:
        """Places of the objects of a side that two or more of the other lie in and cover; see ``count_objects``."""
        numbers, others = (self.pairs.truth, self.pairs.predicted)[:: 1 if side == 0 else -1]
        pixels = self.pairs.pixels
        parts = (2 * pixels > self.areas[1 - side][others - 1]) & (self.pairs.iou > LEAST_PART)
        count = len(self.areas[side])
        several = np.bincount(numbers[parts] - 1, minlength=count) >= 2
        covered = np.bincount(numbers[parts] - 1, pixels[parts], count)
        return np.flatnonzero(several & (2 * covered > self.areas[side]))

    def _per_class(self, side: int, places: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(self.class_index[side][places], weights, self.num_classes)


def _chosen(table: OverlapTable, kept: np.ndarray) -> OverlapTable:
    return replace(table, truth=table.truth[kept], predicted=table.predicted[kept], pixels=table.pixels[kept])
