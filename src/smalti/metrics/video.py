"""Scores of masks through a clip: region and contour of each object as DAVIS has them, and steadiness in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from .. import compiled
from ..classes import ClassSet
from ..errors import InputError
from ..overlaps import best_assignment
from ..segmentation import Segmentation
from .clip import Clip, ClipMetric, tracked
from .means import ratio
from .metric import Score, Scores
from .pair import Pair

Partners = Literal["id", "best"]

DAVIS_TOLERANCE = 0.008  # of the image's diagonal, rounded up to whole pixels


@dataclass(frozen=True, eq=False)
class ObjectScores:
    """Region similarity and contour accuracy of N objects of truth in each of T frames, (N, T) each.

    ``keys[n]`` is the place of the object's class in ``classes`` and its ``track_id``.
    """

    classes: ClassSet
    keys: tuple[tuple[int, int], ...]
    j: np.ndarray
    f: np.ndarray


def object_scores(
    frames: Sequence[Pair],
    partners: Partners = "id",
    drop_ends: bool = False,
    tolerance: float = DAVIS_TOLERANCE,
) -> ObjectScores:
    """J and F of each object of truth in each frame of a clip (Perazzi et al., A benchmark dataset and evaluation
    methodology for video object segmentation, CVPR 2016; Pont-Tuset et al., The 2017 DAVIS challenge, 2017).

    J is the IoU of the object's mask and its partner's, 1 where both are empty; F see ``contour_accuracy``. The partner
    is the predicted track of the same class and ``track_id`` (``"id"``, DAVIS semi-supervised), or the one of the
    one-to-one assignment with the largest sum over objects of the mean J (``"best"``, as TrackEval; DAVIS unsupervised
    takes the mean of J and F). An object without one has empty masks beside it; predicted tracks without one count for
    nothing, as in DAVIS. ``drop_ends`` leaves out the first and the last frame, as DAVIS does where the first is given.
    Void of either side is in no mask. Stuff is one object a class; crowds are none. Frames are asked for twice.
    Raises ``InputError`` as ``Clip.of``, and where no frame is left.
    """
    if partners not in ("id", "best"):
        raise InputError(f"partners must be 'id' or 'best', got {partners!r}")
    if drop_ends and len(frames) < 3:
        raise InputError(
            f"without its ends a clip of {len(frames)} frames has none; drop_ends needs 3 or more"
        )
    clip = Clip.of(frames)
    truth, predicted = clip.truth, clip.predicted
    areas, other_areas = (side.by_frame(side.judged, clip.num_frames) for side in (truth, predicted))
    inside = slice(1, -1) if drop_ends else slice(None)
    partner = _partners_by_id(clip) if partners == "id" else _best_partners(clip, areas, other_areas, inside)

    of, other = clip.pair_tracks
    chosen = partner[of] == other
    shared = np.zeros(areas.shape, np.int64)
    shared[of[chosen], clip.pair_frame[chosen]] = clip.pixels[chosen]
    facing = np.pad(other_areas, [(0, 1), (0, 0)])[partner]  # partner -1 is the row of noughts
    union = areas + facing - shared
    j = np.where(union > 0, ratio(shared, union), 1.0)

    segments, other_segments = (side.by_frame(side.segment, clip.num_frames) for side in (truth, predicted))
    f = np.ones(j.shape)
    for number, pair in enumerate(frames):
        if len(truth) == 0 or (drop_ends and number in (0, clip.num_frames - 1)):
            continue
        differ = np.flatnonzero(j[:, number] < 1)
        if not len(differ):
            continue
        judged = tracked(pair).judged
        reach = _reach(judged[0].shape, tolerance)
        for n in differ:
            k = other_segments[partner[n], number] if partner[n] >= 0 else 0
            f[n, number] = _contour_f(_cut(judged, (int(segments[n, number]), int(k))), reach)
    return ObjectScores(clip.classes, truth.keys, j[:, inside], f[:, inside])


def contour_accuracy(truth: np.ndarray, predicted: np.ndarray, tolerance: float = DAVIS_TOLERANCE) -> float:
    """F = 2PR / (P + R) of the contours of two masks (*S,) bool, as in DAVIS: P is the share of predicted contour
    pixels with one of truth within ``tolerance``, R the other way round.

    The tolerance is a share of the image's diagonal, rounded up to whole pixels; 1 or more is pixels. A mask's contour
    are the pixels that differ from the next one along any axis or from the next one along several, so it lies half on
    the mask and half outside, and the image's border is none; ``boundary_f`` takes the pixels on both sides of the
    line, which tells the same shapes apart with a band twice as thick. 1 where neither mask has a contour, 0 where one
    has. Raises ``InputError`` when the shapes differ.
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    if truth.shape != predicted.shape:
        raise InputError(f"both masks must have one shape, got {truth.shape} and {predicted.shape}")
    return _contour_f((truth, predicted), _reach(truth.shape, tolerance))


def recall(values: np.ndarray) -> np.ndarray:
    """Share of the frames with a value over 0.5, of (..., T)."""
    return (values > 0.5 + np.finfo(float).eps).mean(axis=-1)


def decay(values: np.ndarray) -> np.ndarray:
    """How much the mean over the first quarter of the frames lies above that over the last, of (..., T).

    Quarters share their end frames, as in DAVIS; its code of 2017 counts frames in 8 bits and so is wrong from the
    257th on, this is not.
    """
    ends = np.floor(np.linspace(0, values.shape[-1] - 1, 5) + 0.5 + 1e-10).astype(int)
    return values[..., : ends[1] + 1].mean(axis=-1) - values[..., ends[3] :].mean(axis=-1)


class Davis(ClipMetric):
    """J, F and J&F of the objects of clips: means over objects of the means over frames, their recall and decay; see
    ``object_scores``. Every object weighs alike, whichever clip it is in. NaN without an object in truth."""

    name: ClassVar[str] = "davis"
    headline: ClassVar[str] = "j_and_f"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("j_and_f", "J&F"),
        Score("j", "Region similarity J"),
        Score("j_recall", "J recall"),
        Score("j_decay", "J decay", better="lower"),
        Score("f", "Contour accuracy F"),
        Score("f_recall", "F recall"),
        Score("f_decay", "F decay", better="lower"),
    )

    def __init__(self, partners: Partners = "id", drop_ends: bool = False) -> None:
        self.partners = partners
        self.drop_ends = drop_ends

    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        found = object_scores(frames, self.partners, self.drop_ends)
        of_object = [measure(values) for values in (found.j, found.f) for measure in (_mean, recall, decay)]
        return np.array([len(found.keys), *(values.sum() for values in of_object)], np.float64)

    def of_totals(self, totals: np.ndarray) -> Scores:
        means = ratio(totals[:, 1:], np.broadcast_to(totals[:, :1], totals[:, 1:].shape))
        names = ("j", "j_recall", "j_decay", "f", "f_recall", "f_decay")
        scores = dict(zip(names, means.T, strict=True))
        return {"j_and_f": (scores["j"] + scores["f"]) / 2, **scores}


def video_consistency(frames: Sequence[Pair], length: int = 8) -> np.ndarray:
    """Video consistency of every window of ``length`` frames, (T - length + 1,): of the pixels that are of one class in
    truth throughout the window, the share that is predicted so throughout (Miao et al., VSPW, CVPR 2021, VC_n).

    A pixel void on either side in one of the frames is left out; so are those without a class in truth. NaN for a
    window without any. None of this asks for optical flow, so it needs the camera or the scene to stand still enough
    for truth to be constant somewhere.
    """
    if length < 1:
        raise InputError(f"length is a number of frames from 1, got {length}")
    stands, right, before = np.zeros(0), np.zeros(0), np.zeros(0)
    windows = []
    for number, pair in enumerate(frames):
        truth, predicted = pair.class_maps
        if number == 0:
            stands = right = np.zeros(truth.shape, np.int32)
            before = truth
        # For how many frames truth has stood still, and for how many the prediction has been right.
        known = truth > 0 if pair.void is None else (truth > 0) & ~pair.void
        stands = np.where(known, stands * (truth == before) + 1, 0)
        right = np.where(known & (predicted == truth), right + 1, 0)
        before = truth
        if number >= length - 1:
            still = stands >= length
            windows.append((np.count_nonzero(still & (right >= length)), np.count_nonzero(still)))
    counts = np.array(windows, np.float64).reshape(-1, 2)
    return ratio(counts[:, 0], counts[:, 1])


def steadiness(frames: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """IoU of each track with itself in the frame before, of truth and of predicted: (E,) and (E',), an entry for each
    track and two consecutive frames of which it is in one at least.

    What moves overlaps less with its past, so the number means something beside that of truth alone: as much below it
    as the prediction flickers. Varghese et al. (Unsupervised temporal consistency metric for video segmentation in
    highly-automated driving, CVPR workshops 2020) warp the frame before by optical flow instead. The T of DAVIS 2016,
    the cost of warping contours onto each other, is not offered: the DAVIS of 2017 withdrew it. Pixels void on either
    side in either frame count for nothing.
    """
    found: tuple[list[float], list[float]] = ([], [])
    last: Pair | None = None
    for pair in frames:
        for side, values in enumerate(found):
            if last is not None:
                values.extend(_kept_of(last.judged[side], pair.judged[side]))
        last = pair
    return np.array(found[0], np.float64), np.array(found[1], np.float64)


class TemporalConsistency(ClipMetric):
    """Video consistency VC over windows of ``length`` frames (mean over all windows), and the mean steadiness of truth
    and of predicted; see ``video_consistency`` and ``steadiness``. ``flicker`` is the first less the second: 0 where
    the prediction changes as much as truth does, negative where it is stiffer. NaN for clips that are too short."""

    name: ClassVar[str] = "temporal_consistency"
    headline: ClassVar[str] = "vc"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("vc", "Video consistency"),
        Score("steadiness_truth", "IoU with the frame before, truth"),
        Score("steadiness_predicted", "IoU with the frame before, predicted"),
        Score("flicker", "Change beyond that of truth", better="zero"),
    )

    def __init__(self, length: int = 8) -> None:
        self.length = length

    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        parts = (video_consistency(frames, self.length), *steadiness(frames))
        kept = [part[~np.isnan(part)] for part in parts]
        return np.array([value for part in kept for value in (part.sum(), len(part))], np.float64)

    def of_totals(self, totals: np.ndarray) -> Scores:
        vc, truth, predicted = ratio(totals[:, ::2], totals[:, 1::2]).T
        return {
            "vc": vc,
            "steadiness_truth": truth,
            "steadiness_predicted": predicted,
            "flicker": truth - predicted,
        }


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=-1)


def _partners_by_id(clip: Clip) -> np.ndarray:
    """The predicted track of each true one (N,), -1 for none."""
    numbers = {key: number for number, key in enumerate(clip.predicted.keys)}
    return np.array([numbers.get(key, -1) for key in clip.truth.keys], np.int64)


def _best_partners(clip: Clip, areas: np.ndarray, other_areas: np.ndarray, inside: slice) -> np.ndarray:
    """As ``_partners_by_id``, by the largest sum of J; frames in which both tracks are empty have a J of 1."""
    empty, other_empty = areas[:, inside] == 0, other_areas[:, inside] == 0
    sums = empty.astype(np.float64) @ other_empty.T.astype(np.float64)
    frame = clip.pair_frame
    kept = np.zeros(clip.num_frames, bool)
    kept[inside] = True
    of, other = clip.pair_tracks
    np.add.at(sums, (of[kept[frame]], other[kept[frame]]), clip.iou[kept[frame]])
    sums[clip.truth.class_of[:, None] != clip.predicted.class_of] = 0
    rows, columns = np.nonzero(sums)
    chosen = best_assignment(rows, columns, sums[rows, columns])
    partner = np.full(len(clip.truth), -1)
    partner[rows[chosen]] = columns[chosen]
    return partner


def _reach(shape: tuple[int, ...], tolerance: float) -> np.ndarray:
    """The steps (M, ndim) that stay within the tolerance, the shortest first."""
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise InputError(f"tolerance must be above 0, got {tolerance}")
    pixels = tolerance if tolerance >= 1 else float(np.ceil(tolerance * np.linalg.norm(shape)))
    most = int(pixels)
    steps = np.indices((2 * most + 1,) * len(shape)).reshape(len(shape), -1).T - most
    squares = (steps**2).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    return steps[order[squares[order] <= pixels**2]]


def _cut(judged: tuple[Segmentation, Segmentation], numbers: tuple[int, int]) -> list[np.ndarray]:
    """The masks of a segment of either side (0 for none), cut to the box of both and a pixel around it."""
    ndim = judged[0].ndim
    there = [
        (place, side, number)
        for place, (side, number) in enumerate(zip(judged, numbers, strict=True))
        if number and side.areas_px[number - 1]
    ]
    boxes = np.array([side.boxes[number - 1] for _, side, number in there])
    low = np.maximum(boxes[:, :ndim].min(axis=0) - 1, 0)
    high = np.minimum(boxes[:, ndim:].max(axis=0) + 1, judged[0].shape)
    masks = [np.zeros(high - low, bool) for _ in judged]
    for place, side, number in there:
        mask, inside = side.crop(number)
        masks[place][tuple(slice(a.start - b, a.stop - b) for a, b in zip(inside, low, strict=True))] = mask
    return masks


def _contour(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from one of the next ones; beyond the end it goes on as it was."""
    padded = np.pad(mask, [(0, 1)] * mask.ndim, mode="edge")
    contour = np.zeros(mask.shape, bool)
    for step in list(np.ndindex((2,) * mask.ndim))[1:]:
        contour |= (
            mask != padded[tuple(slice(by, by + size) for by, size in zip(step, mask.shape, strict=True))]
        )
    return contour


def _contour_f(masks: Sequence[np.ndarray], reach: np.ndarray) -> float:
    """F of the contours of two masks; ``reach`` are the steps of ``_reach``."""
    margin = int(reach.max())
    first, second = (np.pad(_contour(mask), margin) for mask in masks)
    offsets = reach @ (np.array(first.strides) // first.itemsize)
    first, second = first.reshape(-1), second.reshape(-1)
    places, others = np.flatnonzero(first), np.flatnonzero(second)
    if not len(places) or not len(others):
        return float(len(places) == len(others))
    precision = compiled.contours.near_count(others, first, offsets) / len(others)
    found = compiled.contours.near_count(places, second, offsets) / len(places)
    return 2 * precision * found / (precision + found) if precision + found else 0.0


def _kept_of(before: Segmentation, now: Segmentation) -> list[float]:
    """IoU of each track in two consecutive frames of one side."""
    two = Clip.of([Pair(before, now)])
    areas: dict[tuple[int, int], int] = {}
    for side in (two.truth, two.predicted):
        for track, area in zip(side.track, side.judged.tolist(), strict=True):
            areas[side.keys[track]] = areas.get(side.keys[track], 0) + area
    shared = {
        two.truth.keys[of]: pixels
        for of, other, pixels in zip(*two.pair_tracks, two.pixels.tolist(), strict=True)
        if two.truth.keys[of] == two.predicted.keys[other]
    }
    return [shared.get(key, 0) / (area - shared.get(key, 0)) for key, area in areas.items() if area]
