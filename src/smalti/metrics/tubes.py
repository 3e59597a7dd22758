"""Panoptic scores of video: segments followed through frames are tubes, and tubes are matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ..errors import InputError
from ..overlaps import OverlapTable
from .clip import Clip, ClipMetric, Tracks
from .means import mean_over_classes, ratio
from .metric import Score, Scores
from .pair import Pair
from .panoptic import PanopticQuality
from .semantic import class_overlap

WINDOWS = (1, 2, 3, 4)
"""Frames of the windows that VPQ is the mean over."""


def _scores(windows: tuple[int, ...]) -> tuple[Score, ...]:
    return (
        Score("vpq", "VPQ"),
        Score("vsq", "Segmentation quality of tubes"),
        Score("vrq", "Recognition quality of tubes"),
        Score("vpq_of_class", "VPQ of each class", per_class=True),
        *(Score(f"vpq_{size}", f"VPQ, windows of {size}") for size in windows),
    )


class VideoPanoptic(ClipMetric):
    """Video panoptic quality: PQ of tubes (Kim et al., Video Panoptic Segmentation, CVPR 2020).

    A window of k frames slides over the clip a frame at a time. A tube is a track inside it; the IoU of two tubes is
    the sum of their intersections over the sum of their unions, and those of one class with IoU > 0.5 match. PQ, SQ and
    RQ of each class come from all windows of k frames of all clips; VPQ_k is their mean over the classes on either
    side, and VPQ the mean over the window sizes, 1 to 4 by default. The paper labels every fifth frame and names its
    windows 0, 5, 10 and 15 after the distance they span; give the labelled frames.

    Void and crowds are as in ``panoptic_quality``, over the tube: void on either side counts for neither, and a tube
    without a partner is no fault where more than half of it is void or crowd of its class on the other side. Clips
    shorter than k have no windows of k frames; sizes that no clip has, and classes on neither side, are NaN and left
    out of the means. A track whose class changes is two tubes (the paper's code takes the class of the window's first
    frame).
    """

    name: ClassVar[str] = "video_panoptic"
    headline: ClassVar[str] = "vpq"
    scores: ClassVar[tuple[Score, ...]] = _scores(WINDOWS)

    def __init__(self, windows: Sequence[int] = WINDOWS) -> None:
        self.windows = tuple(int(size) for size in windows)
        if not self.windows or min(self.windows) < 1 or len(set(self.windows)) < len(self.windows):
            raise InputError(f"windows must be different numbers of frames from 1, got {windows}")
        self.scores = _scores(self.windows)  # type: ignore[misc]  # the windows are a setting

    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        clip = Clip.of(frames)
        found = [tube_quality(clip, size) for size in self.windows]
        return np.concatenate([part for one in found for part in _counts(one)]).astype(np.float64)

    def of_totals(self, totals: np.ndarray) -> Scores:
        counts = totals.reshape(len(totals), len(self.windows), 4, -1)
        matched_iou, found, missed, extra = np.moveaxis(counts, 2, 0)
        weight = found + (missed + extra) / 2
        pq = ratio(matched_iou, weight)
        sq = np.where(weight > 0, np.nan_to_num(ratio(matched_iou, found)), np.nan)
        of_window = mean_over_classes(pq)
        scores = {
            "vpq": mean_over_classes(of_window),
            "vsq": mean_over_classes(mean_over_classes(sq)),
            "vrq": mean_over_classes(mean_over_classes(ratio(found, weight))),
            "vpq_of_class": mean_over_classes(pq.swapaxes(1, 2)),
        }
        return scores | {f"vpq_{size}": of_window[:, place] for place, size in enumerate(self.windows)}


def tube_quality(clip: Clip, size: int) -> PanopticQuality:
    """Tubes of every window of ``size`` frames matched at IoU > 0.5 and counted; see ``VideoPanoptic``.

    A window of one frame is ``panoptic_quality``. Nothing is counted where the clip is shorter.
    """
    truth, predicted = clip.truth, clip.predicted
    starts = max(clip.num_frames - size + 1, 0)
    kept = clip.same_class
    tracks, others = (side[kept] for side in clip.pair_tracks)
    entry, start = _windows(clip.pair_frame[kept], size, starts)
    width, other_width = len(truth), len(predicted)
    truth_tube, predicted_tube = start * width + tracks[entry], start * other_width + others[entry]
    keys, inverse = np.unique(truth_tube * (starts * other_width + 1) + predicted_tube, return_inverse=True)
    pixels = np.bincount(inverse, clip.pixels[kept][entry], len(keys)).astype(np.int64)
    whole, judged, excused = _tubes(truth, size, starts)
    other_whole, other_judged, other_excused = _tubes(predicted, size, starts)
    pairs = OverlapTable(
        keys // (starts * other_width + 1) + 1,
        keys % (starts * other_width + 1) + 1,
        pixels,
        judged,
        other_judged,
        0,
    ).match(0.5)
    missed, extra = (
        (area > 0) & (2 * free <= area) for area, free in ((whole, excused), (other_whole, other_excused))
    )
    missed[pairs.truth - 1] = extra[pairs.predicted - 1] = False

    count = len(clip.classes)
    class_of, other_class_of = np.tile(truth.class_of, starts), np.tile(predicted.class_of, starts)
    found_classes = class_of[pairs.truth - 1]
    return PanopticQuality(
        clip.classes,
        np.bincount(found_classes, pairs.iou, count),
        np.bincount(found_classes, minlength=count),
        np.bincount(class_of[missed], minlength=count),
        np.bincount(other_class_of[extra], minlength=count),
    )


def _windows(frame: np.ndarray, size: int, starts: int) -> tuple[np.ndarray, np.ndarray]:
    """Every entry of every window: the index of the entry, and where the window starts."""
    start = frame[:, None] - np.arange(size)
    entry = np.broadcast_to(np.arange(len(frame))[:, None], start.shape)
    inside = (start >= 0) & (start < starts)
    return entry[inside], start[inside]


def _tubes(side: Tracks, size: int, starts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole, judged and excused pixels of each track in each window, (starts * N,) int64 each."""
    entry, start = _windows(side.frame, size, starts)
    tube = start * len(side) + side.track[entry]
    sums = (
        np.bincount(tube, values[entry], starts * len(side)).astype(np.int64)
        for values in (side.whole, side.judged, side.excused)
    )
    whole, judged, excused = sums
    return whole, judged, excused


def _counts(found: PanopticQuality) -> tuple[np.ndarray, ...]:
    return found.matched_iou, found.found, found.missed, found.extra


class SegmentationTracking(ClipMetric):
    """Segmentation and tracking quality, STQ = sqrt(SQ AQ) (Weber et al., STEP: Segmenting and Tracking Every Pixel,
    NeurIPS datasets and benchmarks 2021).

    SQ is the mean IoU of classes over the pixels of all frames. AQ is the mean over the tubes of true things g of
    1 / |g| times the sum over predicted things p of TPA * TPA / (|g| + |p| - TPA), TPA the pixels the two tubes share
    in the clip: an IoU of identities that weighs by pixels and has no threshold. A tube is all of a track in the clip;
    identities need not agree in class, that is for SQ.

    Void of either side counts for neither (the paper's code, of deeplab2, charges predicted things for their pixels in
    void of truth). Pixels in a crowd of the other side count for SQ and not for AQ. Clips are summed: SQ over all
    pixels, AQ over all true tubes. Pixels without a segment and outside void are of no class, so a class predicted
    there is an error of it. NaN: AQ without a true thing, SQ without any class, STQ without either.
    """

    name: ClassVar[str] = "segmentation_tracking"
    headline: ClassVar[str] = "stq"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("stq", "STQ"),
        Score("aq", "Association quality"),
        Score("sq", "Segmentation quality"),
        Score("iou_of_class", "IoU of each class", per_class=True),
    )

    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        quality, tubes = association_quality(Clip.of(frames))
        pixels = np.sum([class_overlap(pair.truth, pair.predicted).pixels for pair in frames], axis=0)
        shared = np.diagonal(pixels)[1:]
        union = pixels.sum(axis=0)[1:] + pixels.sum(axis=1)[1:] - shared
        return np.concatenate([[quality, tubes], shared, union]).astype(np.float64)

    def of_totals(self, totals: np.ndarray) -> Scores:
        quality, tubes = totals[:, 0], totals[:, 1]
        shared, union = np.split(totals[:, 2:], 2, axis=1)
        iou = ratio(shared, union)
        aq, sq = ratio(quality, tubes), mean_over_classes(iou)
        return {"stq": np.sqrt(aq * sq), "aq": aq, "sq": sq, "iou_of_class": iou}


def association_quality(clip: Clip) -> tuple[float, int]:
    """Sum of the association quality of the true things of a clip, and how many there are; see
    ``SegmentationTracking``."""
    truth, predicted = clip.truth, clip.predicted
    sizes = [
        np.bincount(side.track, side.judged - side.crowded, len(side)) * side.thing
        for side in (truth, predicted)
    ]
    tracks, others = clip.pair_tracks
    kept = truth.thing[tracks] & predicted.thing[others]
    width = max(len(predicted), 1)
    keys, inverse = np.unique(tracks[kept] * width + others[kept], return_inverse=True)
    shared = np.bincount(inverse, clip.pixels[kept], len(keys))
    size, other_size = sizes[0][keys // width], sizes[1][keys % width]
    some = (size > 0) & (other_size > 0)  # overlapping crowds may take what is shared
    shared, size, other_size = shared[some], size[some], other_size[some]
    return float(np.sum(shared**2 / (size + other_size - shared) / size)), int((sizes[0] > 0).sum())
