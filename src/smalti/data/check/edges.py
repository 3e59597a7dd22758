"""How well outlines lie on the edges of their image: the one measurement that suspicious masks are judged by.

Along each outline, brightness is looked at on short lines across it. Its slope, averaged with its sign over a short
arc, is large where the arc lies on an edge and cancels out in texture and noise. Moving the arcs in, out or aside
and asking where the slopes are steepest tells where the edges are; the idea is that of active contours driven by
the gradient along their normals (Cootes et al., Active shape models, CVIU 61, 1995, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ... import compiled
from ...image import Image
from ...io.display import to_display
from ...segmentation import Segmentation

ARC_PX = 12
"""Length of an arc: long against the grain of noise, short against the objects."""
MAX_POINTS = 6000
"""Points of the outlines that are looked at in one image; of longer ones, arcs at random."""
REACH_PX = 8
"""How far in and out edges are looked for."""
SHIFT_PX = 12
"""How far aside they are looked for."""

_SMOOTH = 3  # half the stretch of outline that a normal is taken from
_SHIFT_SIGMA_PX = 1.5  # blur that lets a step of two pixels miss no edge


@dataclass(frozen=True)
class Arcs:
    """Short pieces of the outlines of all segments of a picture.

    ``points_xy`` and ``normals_xy`` (P, 2) are points on the border between pixels, in pixel corners, and the
    outward normals there; points of arc i are ``first[i]:first[i + 1]``. ``segment`` (A,) is whose outline it is,
    1..N, and ``beside`` (A,) the segment it lies against, 0 for none.
    """

    points_xy: np.ndarray
    normals_xy: np.ndarray
    first: np.ndarray
    segment: np.ndarray
    beside: np.ndarray

    def __len__(self) -> int:
        return len(self.segment)

    @property
    def lengths(self) -> np.ndarray:
        """Points of each arc, (A,)."""
        return np.diff(self.first)

    def thinned(self) -> Arcs:
        """The same arcs with every second point."""
        return Arcs(
            self.points_xy[::2], self.normals_xy[::2], (self.first + 1) // 2, self.segment, self.beside
        )

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the points of each arc: (P, ...) to (A, ...)."""
        lengths = self.lengths.reshape(-1, *(1,) * (values.ndim - 1))
        return np.add.reduceat(values, self.first[:-1], axis=0) / lengths


def arcs_of(truth: Segmentation, labels: np.ndarray, rng: np.random.Generator, margin_px: int = 2) -> Arcs:
    """Arcs of every outline of a picture's segments, but for what lies at void or within ``margin_px`` of the
    image's border.

    ``labels`` (H, W) is the truth as a label map, -1 where there is void.
    """
    height, width = truth.shape
    runs = truth.runs
    columns = (np.asarray(array, np.int64) for array in (runs.offsets, runs.start, runs.stop))
    vertices, rings, ring_piece, pieces = compiled.outlines.trace_runs(*columns, width)
    if not len(ring_piece):
        return _no_arcs()
    points, ring = _unit_steps(vertices, rings)
    points, normals = _smoothed(points, ring)
    segment = np.searchsorted(pieces, ring_piece, side="right")[ring]
    x, y = np.floor(points + normals).astype(np.int64).T
    beside = labels[y.clip(0, height - 1), x.clip(0, width - 1)]
    inner = ((points > margin_px) & (points < np.array([width, height]) - margin_px)).all(axis=1) & (
        beside >= 0
    )
    beside = np.where(beside == segment, 0, beside)
    # an arc ends where its ring or its neighbour does, where the border cuts it, and after ARC_PX points
    broken = np.ones(len(points), bool)
    broken[1:] = (ring[1:] != ring[:-1]) | ~inner[:-1] | (beside[1:] != beside[:-1])
    keep = np.flatnonzero(inner)
    begins = np.flatnonzero(broken[keep])
    lengths = np.diff(np.append(begins, len(keep)))
    counts = np.maximum(1, np.rint(lengths / ARC_PX)).astype(np.int64)
    stretch = np.repeat(np.arange(len(begins)), counts)
    step = np.arange(len(stretch)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.append(begins[stretch] + step * lengths[stretch] // counts[stretch], len(keep))
    size = np.diff(first)
    chosen = np.flatnonzero(size >= ARC_PX // 2)
    if size[chosen].sum() > MAX_POINTS:
        chosen = np.sort(rng.permutation(chosen)[: MAX_POINTS // ARC_PX])
    if not len(chosen):
        return _no_arcs()
    at = keep[np.concatenate([np.arange(first[i], first[i + 1]) for i in chosen])]
    heads = keep[first[:-1][chosen]]
    ends = np.concatenate([[0], np.cumsum(size[chosen])])
    return Arcs(points[at], normals[at], ends, segment[heads], beside[heads])


def _no_arcs() -> Arcs:
    none = np.zeros(0, np.int64)
    return Arcs(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(1, np.int64), none, none)


def _unit_steps(vertices: np.ndarray, rings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of every pixel edge along the rings, and which ring it is of."""
    count = np.diff(rings)
    ring = np.repeat(np.arange(len(count)), count)
    after = np.arange(1, len(vertices) + 1)
    after[rings[1:] - 1] = rings[:-1]
    move = vertices[after] - vertices
    length = np.abs(move).sum(axis=1).astype(np.int64)
    edge = np.repeat(np.arange(len(vertices)), length)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(length) - length, length)
    direction = move[edge] / length[edge, None]
    return vertices[edge] + (step[:, None] + 0.5) * direction, ring[edge]


def _smoothed(points: np.ndarray, ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points without the steps of pixels, and unit normals that point out of the segment."""
    count = np.bincount(ring)
    start = (np.cumsum(count) - count)[ring]
    place = np.arange(len(points)) - start
    size = count[ring]
    total = np.zeros_like(points)
    for offset in range(-_SMOOTH, _SMOOTH + 1):
        total += points[start + (place + offset) % size]
    ahead = points[start + (place + _SMOOTH) % size] - points[start + (place - _SMOOTH) % size]
    length = np.maximum(np.hypot(*ahead.T), 1e-6)[:, None]
    tangent = ahead / length
    # seen on a screen, exteriors are walked clockwise, so what lies to the left is outside; of holes too
    return total / (2 * _SMOOTH + 1), np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)


def brightness(image: Image, sigma_px: float = 1.0) -> np.ndarray:
    """The picture as float32 (H, W, C) of one or three channels, smoothed a little, its grain scaled to 1."""
    pixels = to_display(image)
    if (pixels[..., :1] == pixels).all():
        pixels = pixels[..., :1]
    smooth = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), sigma_px)
    return smooth[..., None] if smooth.ndim == 2 else smooth


def profiles(arcs: Arcs, smooth: np.ndarray) -> np.ndarray:
    """Slope of the brightness across each arc, (A, 2 * REACH_PX + 1), at distances -REACH_PX..REACH_PX outward."""
    reach = np.arange(-REACH_PX - 1, REACH_PX + 2, dtype=np.float32)
    # pixel centres lie half a pixel from the corners that outlines are measured from
    x, y = (
        (arcs.points_xy[:, axis, None] - 0.5 + arcs.normals_xy[:, axis, None] * reach).astype(np.float32)
        for axis in (0, 1)
    )
    total = np.zeros((len(arcs), 2 * REACH_PX + 1))
    for channel in range(smooth.shape[2]):
        plane = np.ascontiguousarray(smooth[..., channel])
        lines = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        means = arcs.mean(lines)
        total += (means[:, 2:] - means[:, :-2]) ** 2 / 4
    return np.sqrt(total)


def shift_scores(arcs: Arcs, smooth: np.ndarray, offsets_yx: np.ndarray) -> np.ndarray:
    """Slope of the brightness across each arc when it is moved by each of ``offsets_yx`` (T, 2): (A, T)."""
    arcs = arcs.thinned()
    rim = int(np.abs(offsets_yx).max()) + 1
    plane = cv2.GaussianBlur(_strongest_color(smooth), (0, 0), _SHIFT_SIGMA_PX)
    plane = cv2.copyMakeBorder(plane, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
    width = plane.shape[1]
    slopes = np.empty(plane.shape, np.complex64)  # both at once: looking them up is what takes the time
    slopes.real = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    slopes.imag = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    x, y = np.floor(arcs.points_xy).astype(np.int32).T + rim
    place = (y * width + x)[:, None] + (offsets_yx @ np.array([width, 1])).astype(np.int32)
    toward = arcs.normals_xy.astype(np.float32) @ np.array([1, -1j], np.complex64)
    return np.abs(arcs.mean((slopes.reshape(-1)[place] * toward[:, None]).real))


def _strongest_color(smooth: np.ndarray) -> np.ndarray:
    """The mixture (H, W) of channels along which the picture varies most from pixel to pixel."""
    if smooth.shape[2] == 1:
        return smooth[..., 0]
    steps = np.diff(smooth[::2, ::2], axis=1).reshape(-1, smooth.shape[2])
    _, directions = np.linalg.eigh(steps.T @ steps)
    return np.ascontiguousarray(smooth @ directions[:, -1].astype(np.float32))


def saturating(values: np.ndarray) -> np.ndarray:
    """Slopes (A, T) as 0..1, 0.5 for half of what is usual for an arc at its best: that all of an outline finds
    some edge counts for more than that a part of it finds a strong one."""
    usual = float(np.median(values.max(axis=1))) if len(values) else 0.0
    return values / (values + 0.5 * usual + 1e-6)


def by_segment(arcs: Arcs, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Segments that have arcs, how many each has, and the means of ``values`` (A, ...) over them."""
    order = np.argsort(arcs.segment, kind="stable")
    numbers, first, counts = np.unique(arcs.segment[order], return_index=True, return_counts=True)
    sums = np.add.reduceat(values[order], first, axis=0) if len(first) else values[:0]
    return numbers, counts, sums / counts.reshape(-1, *(1,) * (values.ndim - 1))
