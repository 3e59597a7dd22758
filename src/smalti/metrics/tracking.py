"""Scores of identity: do tracks follow the same objects through a clip. HOTA, IDF1, and CLEAR MOT's counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..overlaps import best_assignment
from .clip import Clip, ClipMetric
from .means import mean_over_classes, ratio
from .metric import Score, Scores
from .pair import Pair

ALPHAS = np.arange(1, 20) * 0.05
"""IoU from which HOTA takes two masks for a match: 0.05, 0.10 .. 0.95."""

EPS = float(np.finfo(float).eps)  # an IoU of 0.15 counts at a threshold of 3 * 0.05, which is a hair more


@dataclass(frozen=True, eq=False)
class Detections:
    """The things of a clip that are judged, and the pairs of one class and one frame that share pixels.

    ``tracks`` and ``others`` (P,) are the tracks of each pair in truth and predicted, ``frame`` and ``iou`` (P,) what
    their names say; ``frame_counts`` (T, 2) how many things each frame has in truth and predicted, ``seen`` and
    ``other_seen`` in how many frames each track is, ``class_of`` and ``other_class_of`` which class it has.
    """

    classes: ClassSet
    frame: np.ndarray
    tracks: np.ndarray
    others: np.ndarray
    iou: np.ndarray
    frame_counts: np.ndarray
    seen: np.ndarray
    other_seen: np.ndarray
    class_of: np.ndarray
    other_class_of: np.ndarray

    @classmethod
    def of(cls, clip: Clip) -> Detections:
        """Things with a pixel outside void. One that is mostly void or crowd of its class on the other side, and has no
        partner with IoU > 0.5, is left out, as Voigtlaender et al. do (MOTS, CVPR 2019, section 5, there for predicted
        ones alone)."""
        truth, other = clip.truth, clip.predicted
        partnered = np.zeros(len(truth.frame), bool), np.zeros(len(other.frame), bool)
        close = clip.same_class & (clip.iou > 0.5)
        partnered[0][clip.truth_sighting[close]] = True
        partnered[1][clip.predicted_sighting[close]] = True
        counted = [
            side.thing[side.track] & (side.judged > 0) & (with_partner | (2 * side.excused <= side.whole))
            for side, with_partner in zip((truth, other), partnered, strict=True)
        ]
        kept = clip.same_class & counted[0][clip.truth_sighting] & counted[1][clip.predicted_sighting]
        tracks, others = (numbers[kept] for numbers in clip.pair_tracks)
        frames = [
            np.bincount(side.frame[which], minlength=clip.num_frames)
            for side, which in zip((truth, other), counted, strict=True)
        ]
        return cls(
            clip.classes,
            clip.pair_frame[kept],
            tracks,
            others,
            clip.iou[kept],
            np.stack(frames, axis=1),
            np.bincount(truth.track[counted[0]], minlength=len(truth)),
            np.bincount(other.track[counted[1]], minlength=len(other)),
            truth.class_of,
            other.class_of,
        )

    def by_class(self, of: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Sum of the weights (or how many) of each class, (K,) float64."""
        return np.bincount(of, weights, minlength=len(self.classes)).astype(np.float64)

    @property
    def true_counts(self) -> np.ndarray:
        """Things of truth over all frames, of each class, (K,)."""
        return self.by_class(self.class_of, self.seen)

    @property
    def predicted_counts(self) -> np.ndarray:
        """Predicted things over all frames, of each class, (K,)."""
        return self.by_class(self.other_class_of, self.other_seen)

    def in_frames(self, chosen: np.ndarray) -> list[np.ndarray]:
        """The chosen pairs (indices, ascending in frame) of each frame that has any."""
        return np.split(chosen, np.flatnonzero(np.diff(self.frame[chosen])) + 1) if len(chosen) else []


class Hota(ClipMetric):
    """Higher order tracking accuracy by mask IoU (Luiten et al., HOTA, IJCV 2021).

    For each threshold alpha of 0.05, 0.10 .. 0.95 the things of a frame are matched one to one, the pairs whose tracks
    agree most over the clip first (their eq. 18-19; one matching for all alpha). ``det_a`` = TP / (TP + FN + FP).
    ``ass_a`` is the mean over TP of TPA / (TPA + FNA + FPA), how much of the two tracks' frames are matches of the two.
    HOTA is the mean over alpha of sqrt(det_a * ass_a), and the rest are means over alpha as well; ``loc_a``, the mean
    IoU of the matches, over those alpha that have any (TrackEval takes it for 1 at the others; ``ass_a`` is 0 there in
    both).

    Things alone; pairs of one class alone, so that over all classes detections weigh alike, as in TrackEval's
    "det averaged". Clips are summed: ``ass_a`` is a mean over the matches of all. Crowds and void: see ``Detections``.
    NaN without a thing on either side; 0 with things on one side only.
    """

    name: ClassVar[str] = "hota"
    headline: ClassVar[str] = "hota"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("hota", "HOTA"),
        Score("det_a", "Detection accuracy"),
        Score("ass_a", "Association accuracy"),
        Score("loc_a", "Localisation accuracy"),
        Score("det_re", "Detection recall"),
        Score("det_pr", "Detection precision"),
        Score("ass_re", "Association recall"),
        Score("ass_pr", "Association precision"),
        Score("hota_of_class", "HOTA of each class", per_class=True),
    )

    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        return hota_counts(Detections.of(Clip.of(frames))).reshape(-1)

    def of_totals(self, totals: np.ndarray) -> Scores:
        counts = totals.reshape(len(totals), len(HOTA_COUNTS), len(ALPHAS), -1)
        of_class = _hota(counts.transpose(1, 0, 3, 2))
        return _hota(counts.sum(axis=3).swapaxes(0, 1)) | {"hota_of_class": of_class["hota"]}


HOTA_COUNTS = ("found", "truth", "predicted", "iou", "ass_a", "ass_re", "ass_pr")
"""Sums over the matches (how many, their IoU, three association ratios), and all things of truth and predicted."""


def hota_counts(things: Detections) -> np.ndarray:
    """What HOTA is made of, (7, 19, K) for each of ``HOTA_COUNTS``, each alpha and each class."""
    counts = np.zeros((len(HOTA_COUNTS), len(ALPHAS), len(things.classes)))
    counts[1], counts[2] = things.true_counts, things.predicted_counts
    if not len(things.iou):
        return counts

    # How well any two tracks agree: their alignment in each frame (each a soft match), then over the clip.
    width = len(things.other_seen)
    one = np.unique(things.frame * len(things.seen) + things.tracks, return_inverse=True)[1]
    two = np.unique(things.frame * width + things.others, return_inverse=True)[1]
    rivals = np.bincount(one, things.iou)[one] + np.bincount(two, things.iou)[two] - things.iou
    keys, pair = np.unique(things.tracks * width + things.others, return_inverse=True)
    seen, other_seen = things.seen[keys // width], things.other_seen[keys % width]
    soft = np.bincount(pair, things.iou / rivals)
    alignment = soft / (seen + other_seen - soft)

    weight = alignment[pair] * things.iou
    matched = [
        chosen[best_assignment(things.tracks[chosen], things.others[chosen], weight[chosen])]
        for chosen in things.in_frames(np.arange(len(pair)))
    ]
    matches = np.concatenate(matched)
    class_of = things.class_of[keys // width]
    for place, alpha in enumerate(ALPHAS):
        good = matches[things.iou[matches] >= alpha - EPS]
        together = np.bincount(pair[good], minlength=len(keys))
        counts[0, place] = things.by_class(class_of, together)
        counts[3, place] = things.by_class(class_of[pair[good]], things.iou[good])
        counts[4, place] = things.by_class(class_of, together**2 / (seen + other_seen - together))
        counts[5, place] = things.by_class(class_of, together**2 / seen)
        counts[6, place] = things.by_class(class_of, together**2 / other_seen)
    return counts


def _hota(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The scores (...) of counts (7, ..., 19)."""
    found, truth, predicted, iou, ass_a, ass_re, ass_pr = counts
    some = np.where(truth + predicted > 0, 0.0, np.nan)  # what there is nothing of has no association either

    def per_match(above: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
        return np.divide(above, found, out=otherwise.copy(), where=found > 0)

    detection = ratio(found, truth + predicted - found)
    association = per_match(ass_a, some)
    return {
        "hota": np.sqrt(detection * association).mean(axis=-1),
        "det_a": detection.mean(axis=-1),
        "ass_a": association.mean(axis=-1),
        "loc_a": mean_over_classes(per_match(iou, np.full_like(some, np.nan))),
        "det_re": ratio(found, truth).mean(axis=-1),
        "det_pr": ratio(found, predicted).mean(axis=-1),
        "ass_re": per_match(ass_re, some).mean(axis=-1),
        "ass_pr": per_match(ass_pr, some).mean(axis=-1),
    }


class Identity(ClipMetric):
    """Identity F1, precision and recall (Ristani et al., Performance measures and a data set for multi-target,
    multi-camera tracking, ECCV workshops 2016).

    Each track of truth has one predicted track at most and each predicted track one of truth, chosen over the whole
    clip so that the frames they share at IoU >= ``min_iou`` are most. ``id_recall`` = those frames (IDTP) over all
    sightings of truth, ``id_precision`` over all predicted ones, IDF1 = 2 IDTP / (truth + predicted). Things, classes,
    crowds and void as in HOTA; NaN where the denominator is nought.
    """

    name: ClassVar[str] = "identity"
    headline: ClassVar[str] = "idf1"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("idf1", "IDF1"),
        Score("id_precision", "ID precision"),
        Score("id_recall", "ID recall"),
        Score("idf1_of_class", "IDF1 of each class", per_class=True),
    )

    def __init__(self, min_iou: float = 0.5) -> None:
        self.min_iou = checked_iou(min_iou)

    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        return identity_counts(Detections.of(Clip.of(frames)), self.min_iou).reshape(-1)

    def of_totals(self, totals: np.ndarray) -> Scores:
        of_class = totals.reshape(len(totals), 3, -1)
        same, truth, predicted = of_class.sum(axis=2).T
        return {
            "idf1": ratio(2 * same, truth + predicted),
            "id_precision": ratio(same, predicted),
            "id_recall": ratio(same, truth),
            "idf1_of_class": ratio(2 * of_class[:, 0], of_class[:, 1] + of_class[:, 2]),
        }


def identity_counts(things: Detections, min_iou: float = 0.5) -> np.ndarray:
    """True positive identities, sightings of truth and predicted sightings of each class, (3, K)."""
    close = things.iou >= min_iou
    width = max(len(things.other_seen), 1)
    keys, together = np.unique(things.tracks[close] * width + things.others[close], return_counts=True)
    chosen = best_assignment(keys // width, keys % width, together.astype(np.float64))
    found = things.by_class(things.class_of[keys[chosen] // width], together[chosen])
    return np.stack([found, things.true_counts, things.predicted_counts])


class ClearMot(ClipMetric):
    """MOTA, ID switches and their kin (Bernardin and Stiefelhagen, Evaluating multiple object tracking performance: the
    CLEAR MOT metrics, 2008), by mask IoU >= ``min_iou``.

    In each frame the pairs of the frame before are kept where they still match, and the rest matched with the largest
    sum of IoU. A thing whose partner is another than the last it had, however long ago, is an ID switch. MOTA =
    1 - (FN + FP + switches) / things of truth, which can be negative; MOTP is the mean IoU of the matches; sMOTSA =
    (sum of IoU - FP - switches) / things of truth (Voigtlaender et al., MOTS, CVPR 2019). Things, classes, crowds and
    void as in HOTA; NaN where the denominator is nought.
    """

    name: ClassVar[str] = "clear_mot"
    headline: ClassVar[str] = "mota"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("mota", "MOTA"),
        Score("smotsa", "sMOTSA"),
        Score("motp", "MOTP"),
        Score("id_switches", "ID switches", better="lower", unit="switches"),
        Score("recall", "Recall"),
        Score("precision", "Precision"),
        Score("mota_of_class", "MOTA of each class", per_class=True),
    )

    def __init__(self, min_iou: float = 0.5) -> None:
        self.min_iou = checked_iou(min_iou)

    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        return clear_counts(Detections.of(Clip.of(frames)), self.min_iou).reshape(-1)

    def of_totals(self, totals: np.ndarray) -> Scores:
        of_class = totals.reshape(len(totals), 5, -1).swapaxes(0, 1)
        found, truth, predicted, iou, switches = of_class.sum(axis=2)
        extra, of_class_extra = predicted - found, of_class[2] - of_class[0]
        return {
            "mota": ratio(found - extra - switches, truth),
            "smotsa": ratio(iou - extra - switches, truth),
            "motp": ratio(iou, found),
            "id_switches": switches,
            "recall": ratio(found, truth),
            "precision": ratio(found, predicted),
            "mota_of_class": ratio(of_class[0] - of_class_extra - of_class[4], of_class[1]),
        }


def clear_counts(things: Detections, min_iou: float = 0.5) -> np.ndarray:
    """Matches, things of truth, predicted things, sum of the matches' IoU, ID switches of each class, (5, K)."""
    last = np.full(len(things.seen), -1)  # the partner a track had last
    before = last.copy()  # the one in the frame before
    matched, switched = [], []
    close = {int(things.frame[chosen[0]]): chosen for chosen in things.in_frames(_close(things, min_iou))}
    for number, (true_count, predicted_count) in enumerate(things.frame_counts):
        if not (true_count and predicted_count):
            continue  # as TrackEval does: a frame where one side is empty parts no pair
        chosen = close.get(number, np.zeros(0, np.int64))
        tracks, others = things.tracks[chosen], things.others[chosen]
        best = best_assignment(tracks, others, 1000.0 * (before[tracks] == others) + things.iou[chosen])
        tracks, others = tracks[best], others[best]
        switched.append(tracks[(last[tracks] >= 0) & (last[tracks] != others)])
        before[:] = -1
        last[tracks] = before[tracks] = others
        matched.append(chosen[best])
    pairs = np.concatenate([np.zeros(0, np.int64), *matched])
    switches = np.concatenate([np.zeros(0, np.int64), *switched])
    class_of = things.class_of[things.tracks[pairs]]
    return np.stack(
        [
            things.by_class(class_of),
            things.true_counts,
            things.predicted_counts,
            things.by_class(class_of, things.iou[pairs]),
            things.by_class(things.class_of[switches]),
        ]
    )


def checked_iou(min_iou: float) -> float:
    """Raises ``InputError`` unless it is an IoU."""
    if not 0 < min_iou <= 1:
        raise InputError(f"min_iou must be above 0 and at most 1, got {min_iou}")
    return float(min_iou)


def _close(things: Detections, min_iou: float) -> np.ndarray:
    return np.flatnonzero(things.iou >= min_iou - EPS)
