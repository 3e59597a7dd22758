"""What truths show: how large, how thick and how crowded segments are, and where in the image classes lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.measure import label

from ..segmentation import Segmentation

FACES_TO_LENGTH = {2: np.pi / 4, 3: 2 / 3}
"""Length of an outline, or area of a surface, per face between pixels, in the mean over all directions."""


@dataclass(frozen=True)
class Shown:
    """How much of what one truth has: ``areas_px`` of the classes ``class_ids`` (K,) in it, and what nobody labelled.

    ``several`` says that a class has more than one segment.
    """

    shape: tuple[int, ...]
    class_ids: np.ndarray
    areas_px: np.ndarray
    counts: np.ndarray
    background_px: int
    void_px: int
    several: bool


def show(truth: Segmentation) -> Shown:
    """The amounts of one truth. Segments without a pixel do not count, of overlapping ones the surest is seen."""
    flat = truth.panoptic()
    seen = flat.areas_px > 0
    ids, place, counts = np.unique(flat.class_ids[seen], return_inverse=True, return_counts=True)
    areas = np.bincount(place, flat.areas_px[seen], minlength=len(ids)).astype(np.int64)
    size = int(np.prod(truth.shape))
    void = flat.void_px
    if void and flat.areas_px.sum():
        void = int(np.count_nonzero(flat.void & (flat.labels == 0)))
    covered = int(flat.areas_px.sum())
    return Shown(truth.shape, ids, areas, counts, size - covered - void, void, bool((counts > 1).any()))


@dataclass(frozen=True)
class Measured:
    """The shapes of one truth's N segments, all (N,), and of the M connected pieces they consist of, (M,), if found.

    ``areas_px`` and ``thickness_px`` are of segments (thickness: twice the area by the length of the outline, in 3-D
    twice the volume by the surface, which of a strip is its width); ``touching`` says that another thing begins at
    most one pixel away; ``centers`` (N, ndim) are places as shares of the image's length, 0.5 the middle.
    """

    class_ids: np.ndarray
    areas_px: np.ndarray
    thickness_px: np.ndarray
    touching: np.ndarray
    centers: np.ndarray
    piece_class_ids: np.ndarray | None = None
    piece_areas_px: np.ndarray | None = None


def measure(truth: Segmentation, with_pieces: bool = True) -> Measured:
    """The shapes of one truth, in pixels whatever the spacing; finding the pieces takes longer than all else."""
    flat = truth.panoptic()
    labels, count, ndim = flat.labels, len(flat), flat.ndim
    things = np.array([False, *(flat.classes.of(class_id).thing for class_id in flat.class_ids)])
    faces = np.zeros(count + 1)
    touching = np.zeros(count + 1, bool)
    crowded = np.count_nonzero(things) > 1
    for axis in range(ndim):
        for step in (1, 2) if crowded else (1,):  # 2: with one pixel between
            ahead = [slice(None)] * ndim
            behind = list(ahead)
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            low, high = labels[tuple(behind)], labels[tuple(ahead)]
            differ = low != high
            low, high = low[differ], high[differ]
            if step == 1:
                faces += np.bincount(low, minlength=count + 1) + np.bincount(high, minlength=count + 1)
            if crowded:
                both = things[low] & things[high]
                touching[low[both]] = touching[high[both]] = True
    areas = flat.areas_px.astype(np.float64)
    outline = faces[1:] * FACES_TO_LENGTH[ndim]
    widest = float(min(flat.shape))
    thickness = np.full(count, widest)
    np.divide(2 * areas, outline, out=thickness, where=outline > 0)
    shapes = flat.class_ids, areas, np.minimum(thickness, widest), touching[1:], _centers(flat)
    return Measured(*shapes, *(_pieces(flat) if with_pieces else ()))


def _pieces(flat: Segmentation) -> tuple[np.ndarray, np.ndarray]:
    """Class ids and areas of the connected pieces of all segments, (M,) each."""
    labels = flat.labels
    pieces, number = label(labels, background=0, connectivity=1, return_num=True)
    sizes = np.bincount(pieces.reshape(-1), minlength=number + 1)[1:]
    owners = np.zeros(number + 1, np.int64)
    owners[pieces.reshape(-1)] = labels.reshape(-1)
    return np.concatenate([[0], flat.class_ids])[owners[1:]], sizes.astype(np.float64)


def _centers(flat: Segmentation) -> np.ndarray:
    """Mean place of each segment's pixels along each axis, as a share of the image's length, (N, ndim)."""
    runs = flat.runs
    start, stop = runs.start.astype(np.int64), runs.stop.astype(np.int64)
    lengths = (stop - start).astype(np.float64)
    place = np.stack(np.unravel_index(start, flat.shape)).astype(np.float64) + 0.5
    place[-1] += (lengths - 1) / 2
    segment = runs.segment - 1
    areas = np.maximum(np.bincount(segment, lengths, minlength=len(flat)), 1)
    sums = [np.bincount(segment, lengths * axis, minlength=len(flat)) for axis in place]
    return np.stack(sums, axis=1) / areas[:, None] / np.array(flat.shape)


def radii_px(areas_px: np.ndarray, ndim: int) -> np.ndarray:
    """Radius of the disc, or ball, that is as large as each area."""
    return np.sqrt(areas_px / np.pi) if ndim == 2 else np.cbrt(areas_px * 0.75 / np.pi)
