"""What went wrong with each segment, in types one can act on, and what each type costs.

The types are those of TIDE (Bolya et al., TIDE: a general toolbox for identifying object detection errors, ECCV 2020),
with split and merged objects told apart from poor outlines, as they are counted in microscopy. The cost of a type is
what panoptic quality would gain if all errors of this type, and only these, were mended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..classes import ClassSet
from ..overlaps import overlap
from ..segmentation import Segmentation
from .means import ratio
from .metric import Additive, Score, Scores
from .pair import Pair
from .panoptic import crowd_segments, joined_stuff
from .void import both_judged

TYPES = ("missed", "hallucinated", "wrong class", "poor boundary", "split", "merged", "duplicate")
"""What can be wrong: each of them with truth, with predicted segments, or with both."""
OF_PREDICTIONS = ("hallucinated", "duplicate")
"""Types that predicted segments are counted of; the others are counted of segments of truth."""
FOUND, VOID, CROWD = "found", "void", "crowd"
STATES = (FOUND, *TYPES, VOID, CROWD)
"""What can be said of a segment: found, wrong in one way, or not counted as void or a crowd says nothing of it."""

SOME_IOU = 0.1
"""A predicted segment with less has nothing to do with the one of truth (TIDE's background threshold)."""
HALF = 0.5


@dataclass(frozen=True, eq=False)
class SegmentStates:
    """One side's segments: class ids, areas in pixels and boxes before void was taken out, best IoU, and state.

    ``state`` (N,) are places in ``STATES``; ``iou`` is that of the partner where found, else the largest IoU with any
    segment of the same class; ``at_border`` says that the box ends at the image's border; ``scores`` are 1 in truth.
    """

    class_ids: np.ndarray
    areas_px: np.ndarray
    iou: np.ndarray
    state: np.ndarray
    at_border: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.state)

    def are(self, name: str) -> np.ndarray:
        """Which segments have this state, (N,) bool."""
        return self.state == STATES.index(name)


def segment_states(pair: Pair) -> tuple[SegmentStates, SegmentStates]:
    """The state of every segment of truth and of the prediction; segments of one class of stuff are one.

    Found: IoU > 0.5 with a segment of its class (Kirillov et al., CVPR 2019). Else, in this order,

    - wrong class: IoU > 0.5 with a segment of another class that has no partner;
    - split: two or more predicted segments, each with more than half of itself in it, cover more than half of it;
    - merged: a predicted segment covers more than half of it, and of another segment of truth;
    - poor boundary: IoU of 0.1 or more with a predicted segment of its class that has no partner;
    - missed. A predicted segment that none of this explains is a duplicate where a found segment of truth has an IoU of
      0.1 or more with it or holds more than half of it, else hallucinated.

    Segments that void took more than half of are ``void``, crowds and what lies in them ``crowd``.
    """
    truth, predicted = joined_stuff(pair.truth), joined_stuff(pair.predicted)
    seen, other = both_judged(truth, predicted)
    table = overlap(seen, other)
    t, p = table.truth - 1, table.predicted - 1
    same = seen.class_ids[t] == other.class_ids[p]
    crowds, other_crowds = crowd_segments(truth), crowd_segments(predicted)
    single = ~crowds[t] & ~other_crowds[p]
    state = np.full(len(truth), STATES.index("missed"))
    other_state = np.full(len(predicted), STATES.index("hallucinated"))
    iou, other_iou = np.zeros(len(truth)), np.zeros(len(predicted))
    np.maximum.at(iou, t[same & single], table.iou[same & single])
    np.maximum.at(other_iou, p[same & single], table.iou[same & single])

    kept = same & single
    pairs = replace(
        table, truth=table.truth[kept], predicted=table.predicted[kept], pixels=table.pixels[kept]
    ).match(0.5)
    found, has_partner = np.zeros(len(truth), bool), np.zeros(len(predicted), bool)
    found[pairs.truth - 1] = has_partner[pairs.predicted - 1] = True
    iou[pairs.truth - 1], other_iou[pairs.predicted - 1] = pairs.iou, pairs.iou

    in_truth = table.pixels / np.maximum(seen.areas_px[t], 1)  # share of the segment of truth
    in_predicted = table.pixels / np.maximum(other.areas_px[p], 1)
    open_pair = single & ~found[t]
    free = ~has_partner[p]
    # Later ones overrule, so the first of the list in the docstring comes last.
    poor = open_pair & same & free & (table.iou >= SOME_IOU)
    state[t[poor]] = STATES.index("poor boundary")
    best = poor & (table.iou == iou[t])
    other_state[p[best]] = STATES.index("poor boundary")

    covers = single & same & (in_truth > HALF)
    num_covered = np.bincount(p[covers], minlength=len(predicted))
    merging = open_pair & covers & (num_covered[p] > 1)
    state[t[merging]] = STATES.index("merged")
    other_state[p[merging & free]] = STATES.index("merged")

    part = open_pair & same & free & (in_predicted > HALF)
    num_parts = np.bincount(t[part], minlength=len(truth))
    covered = np.bincount(t[part], table.pixels[part], minlength=len(truth))
    parted = part & (num_parts[t] > 1) & (covered[t] > HALF * seen.areas_px[t])
    state[t[parted]] = STATES.index("split")
    other_state[p[parted]] = STATES.index("split")

    confused = open_pair & ~same & free & (table.iou > HALF)
    state[t[confused]] = STATES.index("wrong class")
    other_state[p[confused]] = STATES.index("wrong class")

    beside = single & same & found[t] & free & ((table.iou >= SOME_IOU) | (in_predicted > HALF))
    unexplained = other_state == STATES.index("hallucinated")
    repeated = np.bincount(p[beside], minlength=len(predicted)) > 0
    other_state[unexplained & repeated] = STATES.index("duplicate")

    state[found] = other_state[has_partner] = STATES.index(FOUND)
    _excuse(
        state, found, truth, seen, crowds, np.bincount(t, table.pixels * (same & other_crowds[p]), len(truth))
    )
    _excuse(
        other_state,
        has_partner,
        predicted,
        other,
        other_crowds,
        np.bincount(p, table.pixels * (same & crowds[t]), len(predicted)),
    )
    return _states(truth, iou, state), _states(predicted, other_iou, other_state)


def _excuse(
    state: np.ndarray,
    found: np.ndarray,
    whole: Segmentation,
    judged: Segmentation,
    crowds: np.ndarray,
    in_crowd_px: np.ndarray,
) -> None:
    """Mark, in place, what void or a crowd of the other side excuses, and crowds and empty segments themselves."""
    excused = 2 * (whole.areas_px - judged.areas_px + in_crowd_px) > whole.areas_px
    by_crowd = 2 * in_crowd_px > whole.areas_px
    state[~found & excused] = STATES.index(VOID)
    state[~found & excused & by_crowd | crowds] = STATES.index(CROWD)
    state[~found & (whole.areas_px == 0)] = STATES.index(VOID)


def _states(side: Segmentation, iou: np.ndarray, state: np.ndarray) -> SegmentStates:
    ndim = side.ndim
    at_border = ((side.boxes[:, :ndim] == 0) | (side.boxes[:, ndim:] == np.array(side.shape))).any(axis=1)
    return SegmentStates(
        side.class_ids, side.areas_px, iou, state, at_border & (side.areas_px > 0), side.scores
    )


class ErrorTypes(Additive):
    """How often each type of error happens, and what panoptic quality would gain if it did not.

    A mended segment of truth is found with the mean IoU of those of its class that are found (of all classes, where its
    own has none), and the predicted segments of this type are no false positives any more. Gains do not sum to
    1 - PQ: mending two types gains more than each alone, and found segments still lack 1 - SQ.
    """

    name: ClassVar[str] = "errors"
    headline: ClassVar[str] = "errors"
    scores: tuple[Score, ...] = (Score("errors", "Errors a segment of truth", "lower"),)  # type: ignore[misc]

    def __init__(self, classes: ClassSet) -> None:
        self.classes = classes
        gains = (Score(f"gain_{_key(kind)}", f"PQ gained without {kind}", "lower") for kind in TYPES)
        counts = (Score(f"count_{_key(kind)}", f"{kind.capitalize()} segments", "lower") for kind in TYPES)
        self.scores = (*self.scores, *gains, *counts)

    def keep(self, pair: Pair) -> np.ndarray:
        return self.of_states(*segment_states(pair))

    def of_states(self, truth: SegmentStates, predicted: SegmentStates) -> np.ndarray:
        """The statistics of one image: per class the sum of IoU, found, missed and false ones of each type."""
        rows = np.zeros((len(self.classes), 2 + 2 * len(TYPES)))
        place, other_place = (self.classes.places(side.class_ids) for side in (truth, predicted))
        found = truth.are(FOUND)
        np.add.at(rows, (place[found], 0), truth.iou[found])
        np.add.at(rows, (place[found], 1), 1)
        for column, kind in enumerate(TYPES, 2):
            np.add.at(rows, (place[truth.are(kind)], column), 1)
            np.add.at(rows, (other_place[predicted.are(kind)], column + len(TYPES)), 1)
        return rows.reshape(-1)

    def of_totals(self, totals: np.ndarray) -> Scores:
        rows = totals.reshape(len(totals), len(self.classes), -1)
        iou, found = rows[..., 0], rows[..., 1]
        wrong, false = rows[..., 2 : 2 + len(TYPES)], rows[..., 2 + len(TYPES) :]
        fn, fp = wrong.sum(axis=-1), false.sum(axis=-1)
        pq = _mean_pq(iou, found, fn, fp)
        everywhere = ratio(iou.sum(axis=1), found.sum(axis=1))[:, None]
        usual = ratio(iou, found)
        usual = np.where(np.isnan(usual), np.where(np.isnan(everywhere), 1.0, everywhere), usual)
        scores = {"errors": ratio((fn + fp).sum(axis=1), (found + fn).sum(axis=1))}
        for index, kind in enumerate(TYPES):
            mended = wrong[..., index]
            better = _mean_pq(iou + mended * usual, found + mended, fn - mended, fp - false[..., index])
            scores[f"gain_{_key(kind)}"] = better - pq
            counted = false if kind in OF_PREDICTIONS else wrong
            scores[f"count_{_key(kind)}"] = counted[..., index].sum(axis=1)
        return scores


def _key(kind: str) -> str:
    return kind.replace(" ", "_")


def _mean_pq(iou: np.ndarray, found: np.ndarray, missed: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Mean over the classes (B, K) that are on either side, (B,); 1 where none is."""
    pq = ratio(iou, found + (missed + extra) / 2)
    counted = (~np.isnan(pq)).sum(axis=1)
    return np.where(counted > 0, np.nansum(pq, axis=1) / np.maximum(counted, 1), 1.0)
