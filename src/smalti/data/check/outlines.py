"""What the outlines of one annotation tell by the edges they lie on: fit, necks, and seams between neighbours."""

from __future__ import annotations

from dataclasses import dataclass

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
MOST_DENTED = 30
"""Dented segments that are looked at in one image, the largest."""

_COARSE = np.array(
    [(y, x) for y in range(-SHIFT_PX, SHIFT_PX + 1, 2) for x in range(-SHIFT_PX, SHIFT_PX + 1, 2)]
)
_FINE = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])


@dataclass(frozen=True)
class Fits:
    """How outlines lie on the edges of the image: of all of them (first entry, segment 0) and of single segments (K,).

    ``arcs`` is how much outline there was to tell by, ``fit`` how well it lies on edges where it is, 0..1, and ``home``
    the share of it that has an edge there not much weaker than the strongest nearby. ``offset_px`` is how far outside
    the outline the edges are, below 0 inside; ``offset_fit`` how well an outline would fit there and
    ``agree`` the share
    of the outline that says so. ``shift_yx`` (K, 2) and ``shift_fit`` are the same for moving aside, ``back_fit`` for
    moving as far the other way: outlines that are too large find edges both ways. ``onto`` is the share of a segment
    that would then lie on others, whose edges are their own. ``stands_out`` and ``shift_stands_out`` say by how many
    deviations the fit here, and that aside, is better than for other moves.
    """

    segment: np.ndarray
    arcs: np.ndarray
    fit: np.ndarray
    home: np.ndarray
    offset_px: np.ndarray
    offset_gain: np.ndarray
    offset_fit: np.ndarray
    agree: np.ndarray
    shift_yx: np.ndarray
    shift_gain: np.ndarray
    shift_fit: np.ndarray
    back_fit: np.ndarray
    onto: np.ndarray
    stands_out: np.ndarray
    shift_stands_out: np.ndarray


@dataclass(frozen=True)
class Necks:
    """Segments (K,) that have a neck: pixels of the smaller part, how narrow the neck is against the parts (0..1), and
    how steep the brightness is along it against the outline and against its surroundings."""

    segment: np.ndarray
    area_px: np.ndarray
    narrow: np.ndarray
    seam: np.ndarray
    seam_above_floor: np.ndarray


@dataclass(frozen=True)
class Touching:
    """Pairs (K,) of things of one class that lie against each other: length of their contact against the root of the
    smaller area, how steep the brightness is there against the rest of their outlines, solidity of both together and of
    the more solid one."""

    one: np.ndarray
    other: np.ndarray
    contact: np.ndarray
    seam: np.ndarray
    together: np.ndarray
    apart: np.ndarray


@dataclass(frozen=True)
class Outlines:
    """What the outlines of one annotation tell; ``things`` are segment numbers and ``solidity`` theirs."""

    fits: Fits
    necks: Necks
    touching: Touching
    things: np.ndarray
    solidity: np.ndarray


def outlines(image: Image, truth: Segmentation, labels: np.ndarray) -> Outlines | None:
    """What the outlines of a picture's ``truth`` tell; None where there is none to tell by. ``labels`` is
    its label map."""
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
    solid = np.full(len(truth) + 1, np.nan)
    solid[things] = solidity
    return Outlines(
        _fits(truth, labels, arcs, slopes, smooth),
        _necks(truth, smooth, things[solidity < DENTED]),
        _touching(truth, arcs, slopes, solid, is_thing),
        things,
        solidity,
    )


def _solidity(runs: Runs, shape: tuple[int, ...]) -> np.ndarray:
    segments = Segmentation.from_runs(shape, runs)
    return measure(segments, properties=["solidity"])["solidity"]


def _fits(
    truth: Segmentation, labels: np.ndarray, arcs: Arcs, slopes: np.ndarray, smooth: np.ndarray
) -> Fits:
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

    shifts, _, _ = _rows(arcs, saturating(shift_scores(arcs, smooth, _COARSE)))
    best, middle = shifts.argmax(axis=1), len(_COARSE) // 2
    shift_fit = shifts.max(axis=1)
    shift = _COARSE[best].copy()
    if best[0] != middle:
        around = shift[0] + _FINE
        shift[0] = around[saturating(shift_scores(arcs, smooth, around)).mean(axis=0).argmax()]
    middles = np.median(shifts, axis=1)
    spreads = 1.4826 * np.median(np.abs(shifts - middles[:, None]), axis=1) + 1e-6
    onto = np.zeros(len(segment))
    for index in range(1, len(segment)):
        if np.abs(shift[index]).max() > 2:
            onto[index] = _covered(truth, labels, int(segment[index]), shift[index])
    return Fits(
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
    )


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


def _necks(truth: Segmentation, smooth: np.ndarray, dented: np.ndarray) -> Necks:
    """Necks of the ``dented`` segments, found where the distance to the outline has two hills."""
    rows = []
    largest = dented[np.argsort(-truth.areas_px[dented - 1], kind="stable")][:MOST_DENTED]
    for k in largest.tolist():
        crop, place = truth.crop(k)
        found = _neck(crop, smooth, place)
        if found is not None:
            rows.append((k, *found))
    columns = np.array(rows, np.float64).reshape(-1, 5).T
    return Necks(columns[0].astype(np.int64), *columns[1:])


def _neck(
    crop: np.ndarray, smooth: np.ndarray, place: tuple[slice, ...]
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


def _touching(
    truth: Segmentation, arcs: Arcs, slopes: np.ndarray, solid: np.ndarray, is_thing: np.ndarray
) -> Touching:
    """Things of one class that lie against each other for more than a corner."""
    strength, _ = _strength(slopes)
    beside = arcs.beside
    same = (beside > 0) & is_thing[arcs.segment - 1]
    same[same] &= truth.class_ids[arcs.segment[same] - 1] == truth.class_ids[beside[same] - 1]
    low, high = np.minimum(arcs.segment, beside)[same], np.maximum(arcs.segment, beside)[same]
    pairs, which = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    lengths = arcs.lengths[same]
    rows = []
    for index, (one, other) in enumerate(pairs.tolist()):
        member = which.reshape(-1) == index
        rest = ((arcs.segment == one) & (beside != other)) | ((arcs.segment == other) & (beside != one))
        if rest.sum() < 2:
            continue
        contact = lengths[member].sum() / 2 / np.sqrt(min(truth.areas_px[one - 1], truth.areas_px[other - 1]))
        seam = np.average(strength[same][member], weights=lengths[member]) / max(
            np.median(strength[rest]), 1e-6
        )
        rows.append((one, other, contact, seam))
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    one, other = columns[:2].astype(np.int64)
    together = np.zeros(len(one))
    if len(one):
        both = np.stack([one, other], axis=1).reshape(-1)
        unions = truth.runs.take(both - 1).merge(
            np.repeat(np.arange(1, len(one) + 1), 2), len(one), truth.shape[1]
        )
        together = _solidity(unions, truth.shape)
    return Touching(one, other, columns[2], columns[3], together, np.fmax(solid[one], solid[other]))
