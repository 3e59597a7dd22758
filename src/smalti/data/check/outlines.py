"""What the outlines of one annotation tell by the edges they lie on: fit, necks, and seams between neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...image import Image
from ...measurements import measure
from ...postprocess.flooding import edge_distance, part_touching
from ...runs import Runs
from ...segmentation import Segmentation
from .edges import (
    REACH_PX,
    SHIFT_PX,
    Arcs,
    arcs_of,
    brightness,
    by_segment,
    profiles,
    saturating,
    shift_scores,
)

MIN_ARCS = 4
"""Arcs an outline needs to be judged by itself: about 50 pixels of it."""
DENTED = 0.94
"""Only segments of lower solidity can be two."""
MOSTLY_SOLID = 0.85
"""Where half of an image's things are less solid than this, dents say nothing."""
LARGEST = 0.2
"""A thing of more than this share of the image is not looked at for necks."""
MOST_DENTED = 30
"""Dented segments that are looked at in one image, the largest."""

_COARSE = np.array(
    [(y, x) for y in range(-SHIFT_PX, SHIFT_PX + 1, 2) for x in range(-SHIFT_PX, SHIFT_PX + 1, 2)]
)
_FINE = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])


class Fit(NamedTuple):
    """How the outline of a segment lies on the edges of the image; segment 0 stands for all outlines together.

    ``arcs`` is how much outline there was to tell by, ``fit`` how well it lies on edges where it is, 0..1, and ``home``
    the share of it that has an edge there not much weaker than the strongest nearby. ``offset_px`` is how far outside
    the outline the edges are, below 0 inside; ``offset_fit`` how well an outline would fit there, ``offset_gain`` that
    against here, and ``agree`` the share of the outline that says so. ``shift_yx``, ``shift_fit`` and ``shift_gain``
    are the same for moving aside, ``back_fit`` for moving as far the other way: outlines that are too large find edges
    both ways. ``onto`` is the share of a segment that would then lie on others, whose edges are their own.
    ``stands_out`` and ``shift_stands_out`` say by how many deviations the fit here, and that aside, is better than for
    other moves. ``everywhere`` is ``shift_gain`` in that quarter of the outline, by place, in which it is least.
    """

    segment: int
    arcs: int
    fit: float
    home: float
    offset_px: float
    offset_gain: float
    offset_fit: float
    agree: float
    shift_yx: tuple[int, int]
    shift_gain: float
    shift_fit: float
    back_fit: float
    onto: float
    stands_out: float
    shift_stands_out: float
    everywhere: float


class Neck(NamedTuple):
    """A segment that has a neck: pixels of the smaller part, how narrow the neck is against the parts (0..1), and how
    steep the brightness is along it against the outline and against its surroundings."""

    segment: int
    area_px: float
    narrow: float
    seam: float
    seam_above_floor: float


class Pair(NamedTuple):
    """Two things of one class that lie against each other: length of their contact against the root of the smaller
    area, how steep the brightness is there against the rest of their outlines, and solidity of both together."""

    one: int
    other: int
    contact: float
    seam: float
    together: float


@dataclass(frozen=True)
class Outlines:
    """What the outlines of one annotation tell: the fit of all of them first, then that of segments that have enough.

    ``things`` are the numbers of segments that are things, ``solidity`` (K,) theirs.
    """

    fits: list[Fit]
    necks: list[Neck]
    touching: list[Pair]
    things: np.ndarray
    solidity: np.ndarray


def outlines(image: Image, truth: Segmentation, labels: np.ndarray) -> Outlines | None:
    """What the outlines of a picture's ``truth`` tell; None where there is none to tell by. ``labels`` is its label
    map."""
    if truth.void_px:
        labels = np.where(truth.void & (labels == 0), -1, labels)
    arcs = arcs_of(truth, labels, np.random.default_rng(0))
    if len(arcs) < MIN_ARCS:
        return None
    smooth = brightness(image)
    slopes = profiles(arcs, smooth)
    is_thing = np.array([truth.classes.of(each).thing for each in truth.class_ids], bool)
    things = np.flatnonzero(is_thing & (truth.areas_px >= 30)) + 1
    solidity = _solidity(truth.runs.take(things - 1), truth.shape) if len(things) else np.zeros(0)
    return Outlines(
        _fits(truth, labels, arcs, slopes, smooth),
        _necks(truth, smooth, _dented(truth, things, solidity)),
        _touching(truth, arcs, slopes, is_thing),
        things,
        solidity,
    )


def _dented(truth: Segmentation, things: np.ndarray, solidity: np.ndarray) -> np.ndarray:
    """Things that may be two, where most are one piece without dents; what fills the image is none of them."""
    if len(things) >= 5 and np.median(solidity) < MOSTLY_SOLID:
        return things[:0]
    small = truth.areas_px[things - 1] <= LARGEST * np.prod(truth.shape)
    return things[(solidity < DENTED) & small]


def _solidity(runs: Runs, shape: tuple[int, ...]) -> np.ndarray:
    segments = Segmentation.from_runs(shape, runs)
    return measure(segments, properties=["solidity"])["solidity"]


def _fits(
    truth: Segmentation, labels: np.ndarray, arcs: Arcs, slopes: np.ndarray, smooth: np.ndarray
) -> list[Fit]:
    offsets, counts, segment = _rows(arcs, saturating(slopes))
    peak = offsets.argmax(axis=1)
    offset = peak + _beyond(offsets, peak) - REACH_PX
    own = slopes.argmax(axis=1) - REACH_PX
    at_home = slopes[:, REACH_PX - 1 : REACH_PX + 2].max(axis=1) >= 0.5 * slopes.max(axis=1)
    members = [(arcs.segment == k) | (k == 0) for k in segment]
    agree = [np.mean(np.abs(own[each] - at) <= 1.5) for each, at in zip(members, offset, strict=True)]
    home = [np.mean(at_home[each]) for each in members]
    offset_fit = offsets.max(axis=1)
    here = offsets[:, REACH_PX - 1 : REACH_PX + 2].max(axis=1)

    scores = saturating(shift_scores(arcs, smooth, _COARSE))
    shifts, _, _ = _rows(arcs, scores)
    best, middle = shifts.argmax(axis=1), len(_COARSE) // 2
    shift_fit = shifts.max(axis=1)
    shift = _COARSE[best].copy()
    if best[0] != middle:
        around = shift[0] + _FINE
        shift[0] = around[saturating(shift_scores(arcs, smooth, around)).mean(axis=0).argmax()]
    middles = np.median(shifts, axis=1)
    spreads = 1.4826 * np.median(np.abs(shifts - middles[:, None]), axis=1) + 1e-6
    middle_xy = arcs.mean(arcs.points_xy)
    everywhere = [
        _least_gain(middle_xy[each], scores[each][:, [middle, at]])
        for each, at in zip(members, best, strict=True)
    ]
    onto = np.zeros(len(segment))
    for index in range(1, len(segment)):
        if np.abs(shift[index]).max() > 2:
            onto[index] = _covered(truth, labels, int(segment[index]), shift[index])
    columns = (
        segment,
        counts,
        shifts[:, middle],
        np.array(home),
        offset,
        offset_fit / np.maximum(here, 1e-6),
        offset_fit,
        np.array(agree),
        shift,
        shift_fit / np.maximum(shifts[:, middle], 1e-6),
        shift_fit,
        shifts[np.arange(len(shifts)), len(_COARSE) - 1 - best],
        onto,
        (shifts[:, middle] - middles) / spreads,
        (shift_fit - middles) / spreads,
        np.array(everywhere),
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [Fit(*row)._replace(shift_yx=(row[8][0], row[8][1])) for row in rows]


def _least_gain(middle_xy: np.ndarray, scores: np.ndarray) -> float:
    """How much better arcs (A,) at ``middle_xy`` fit at a second place than at a first (A, 2), in the quarter of the
    picture, left and right, then top and bottom, where they do least.

    What was moved fits better all over. Where an outline is drawn roughly, or runs beside something with stronger
    edges than its object, one side gains and another loses.
    """
    x, y = middle_xy.T
    right = x > np.median(x)
    quarters = []
    for side in (right, ~right):
        low = y > np.median(y[side]) if side.any() else side
        quarters += [side & low, side & ~low]
    means = [scores[quarter].mean(axis=0) for quarter in quarters if quarter.any()]
    return float(min(there / max(here, 1e-6) for here, there in means))


def _covered(truth: Segmentation, labels: np.ndarray, k: int, shift: np.ndarray) -> float:
    """Share of segment ``k`` that lies on other segments once it is moved."""
    start, stop = truth.runs.of(k)
    width = labels.shape[1]
    y, x = np.divmod(np.asarray(start, np.int64), width)
    middle = x + (np.asarray(stop) - start) // 2  # one pixel a run is enough to tell
    y, x = y + shift[0], middle + shift[1]
    inside = (y >= 0) & (y < labels.shape[0]) & (x >= 0) & (x < width)
    below = labels[y[inside], x[inside]]
    return float(np.sum(((below > 0) & (below != k)) * (stop - start)[inside]) / max(1, np.sum(stop - start)))


def _rows(arcs: Arcs, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of ``values`` (A, T) over all arcs and over those of each segment that has enough; how many; which."""
    numbers, counts, means = by_segment(arcs, values)
    enough = counts >= MIN_ARCS
    return (
        np.concatenate([values.mean(axis=0)[None], means[enough]]),
        np.concatenate([[len(arcs)], counts[enough]]),
        np.concatenate([[0], numbers[enough]]),
    )


def _beyond(rows: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Place of each row's maximum between samples, by the parabola through it and its neighbours, -0.5..0.5."""
    at = np.arange(len(rows))
    inner = np.clip(peak, 1, rows.shape[1] - 2)
    left, middle, right = rows[at, inner - 1], rows[at, inner], rows[at, inner + 1]
    bend = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(bend < 0, 0.5 * (left - right) / bend, 0.0)
    return np.where(peak == inner, np.clip(found, -0.5, 0.5), 0.0)


def _strength(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steepest slope within two pixels of each outline, and the usual slope further inside."""
    return slopes[:, REACH_PX - 2 : REACH_PX + 3].max(axis=1), np.median(slopes[:, : REACH_PX - 3], axis=1)


def _necks(truth: Segmentation, smooth: np.ndarray, dented: np.ndarray) -> list[Neck]:
    """Necks of the ``dented`` segments, found where the distance to the outline has two hills."""
    largest = dented[np.argsort(-truth.areas_px[dented - 1], kind="stable")][:MOST_DENTED]
    found = ((k, _neck(*truth.crop(k), smooth)) for k in largest.tolist())
    return [Neck(k, *told) for k, told in found if told is not None]


def _neck(
    crop: np.ndarray, place: tuple[slice, ...], smooth: np.ndarray
) -> tuple[float, float, float, float] | None:
    import cv2
    from scipy.ndimage import binary_fill_holes

    padded = binary_fill_holes(np.pad(crop, 1))
    depth = edge_distance(padded)
    parts = part_touching(padded, max(0.75, 0.12 * float(depth.max())), 2)
    areas = np.bincount(parts.reshape(-1))
    if len(areas) < 3:
        return None
    first, second = np.argsort(-areas[1:], kind="stable")[:2] + 1
    one, other = parts == first, parts == second
    cut = (cv2.dilate(one.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & other
    if not cut.any():
        return None
    narrow = float(depth[cut].max() / min(depth[one].max(), depth[other].max()))
    margin = REACH_PX + 2
    window = tuple(slice(max(0, each.start - margin), each.stop + margin) for each in place)
    view = smooth[window]
    labels = np.zeros(view.shape[:2], np.int32)
    top, left = (each.start - wide.start for each, wide in zip(place, window, strict=True))
    inside = (slice(top, top + crop.shape[0]), slice(left, left + crop.shape[1]))
    labels[inside] = np.where(one, 1, np.where(other, 2, 0))[1:-1, 1:-1]
    arcs = arcs_of(Segmentation.from_labels(labels), labels, np.random.default_rng(0), 0)
    on_seam = arcs.beside > 0
    if not on_seam.any() or on_seam.all():
        return float(areas[second]), narrow, 0.0, 0.0
    strength, floor = _strength(profiles(arcs, view))
    seam = float(strength[on_seam].mean())
    return (
        float(areas[second]),
        narrow,
        seam / max(float(np.median(strength[~on_seam])), 1e-6),
        seam / max(float(floor[on_seam].mean()), 1e-6),
    )


def _touching(truth: Segmentation, arcs: Arcs, slopes: np.ndarray, is_thing: np.ndarray) -> list[Pair]:
    """Things of one class that lie against each other for more than a corner."""
    strength, _ = _strength(slopes)
    beside = arcs.beside
    same = (beside > 0) & is_thing[arcs.segment - 1]
    same[same] &= truth.class_ids[arcs.segment[same] - 1] == truth.class_ids[beside[same] - 1]
    low, high = np.minimum(arcs.segment, beside)[same], np.maximum(arcs.segment, beside)[same]
    pairs, which = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    which, lengths = which.reshape(-1), arcs.lengths[same]
    found = []
    for index, (one, other) in enumerate(pairs.tolist()):
        member = which == index
        rest = ((arcs.segment == one) & (beside != other)) | ((arcs.segment == other) & (beside != one))
        if rest.sum() < 2:
            continue
        smaller = min(truth.areas_px[one - 1], truth.areas_px[other - 1])
        seam = np.average(strength[same][member], weights=lengths[member])
        seam /= max(np.median(strength[rest]), 1e-6)
        found.append(Pair(one, other, float(lengths[member].sum() / 2 / np.sqrt(smaller)), float(seam), 0.0))
    if not found:
        return []
    both = np.array([(pair.one, pair.other) for pair in found]).reshape(-1)
    groups = np.repeat(np.arange(1, len(found) + 1), 2)
    unions = truth.runs.take(both - 1).merge(groups, len(found), truth.shape[1])
    together = _solidity(unions, truth.shape).tolist()
    return [pair._replace(together=value) for pair, value in zip(found, together, strict=True)]
