"""What surfaces are made of: the pixels at a mask's edge, or the cells between pixels and the surface through them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from .. import compiled

BLOCK = 8  # pixels along the finest axis; 4 were no faster on an organ in 128 x 256 x 256, 16 half as fast
MOST_IN_BLOCK = (
    32  # elements in a block on average, beyond which it is halved: in noise 4 are twice as fast as 8
)


def window(*masks: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all masks, from 0 to 0 along every axis where they are empty."""
    inside: list[list[int]] = [[] for _ in masks[0].shape]
    for mask in masks:
        rows = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
        if not len(rows):
            continue
        # One look at every pixel: the other axes are read from what the rows have together.
        plane = np.bitwise_or.reduce(mask[rows[0] : rows[-1] + 1].view(np.uint8), axis=0)
        places = [rows, *np.nonzero(plane)]
        for axis, place in enumerate(places):
            inside[axis] += [int(place.min()), int(place.max()) + 1]
    return tuple(slice(min(ends, default=0), max(ends, default=0)) for ends in inside)


def padded(mask: np.ndarray, void: np.ndarray | None, box: tuple[slice, ...]) -> np.ndarray:
    """The box and one pixel around it, as ``compiled.distances`` wants it: 0 outside, 1 inside, 2 void."""
    inner = (slice(1, -1),) * mask.ndim
    framed = np.zeros([axis.stop - axis.start + 2 for axis in box], np.uint8)
    framed[inner] = mask[box]
    if void is not None:
        # Void may lie just outside the box too; beyond the image there is none.
        around = tuple(
            slice(max(axis.start - 1, 0), min(axis.stop + 1, n))
            for axis, n in zip(box, mask.shape, strict=True)
        )
        place = tuple(
            slice(part.start - axis.start + 1, part.stop - axis.start + 1)
            for part, axis in zip(around, box, strict=True)
        )
        framed[place][void[around]] = 2
    if mask.ndim == 3:
        return framed
    return np.concatenate([np.zeros_like(framed)[None], framed[None], np.zeros_like(framed)[None]])


def elements(
    framed: np.ndarray, planar: bool, cells: bool, steps: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Surface elements (N, 3) int32 of a padded mask and their weights (N,): boundary pixels, which all count alike
    (None), or cells between pixels, which count by the surface through them."""
    if not cells:
        return compiled.distances.boundary_pixels(framed, planar), None
    points, codes = compiled.distances.boundary_cells(framed, planar)
    return points, (contour_lengths(steps) if planar else surface_areas(steps))[codes]


def nearest(points: np.ndarray, others: np.ndarray, steps: tuple[float, ...]) -> np.ndarray:
    """Distance of each of ``points`` (N, 3) to the nearest of ``others`` (M, 3), infinite where there is none."""
    if not len(points) or not len(others):
        return np.full(len(points), np.inf)
    block = BLOCK
    while block > 1 and len(others) * block**3 > MOST_IN_BLOCK * math.prod(np.ptp(others, axis=0) + 1):
        block //= 2
    side = np.array([max(1, round(block * min(steps) / step)) for step in steps])
    return compiled.distances.nearest_distances(points, others, steps, side)


def contour_lengths(steps: tuple[float, ...]) -> np.ndarray:
    """Length of the contour through a cell of 2 x 2 pixels, by its code, (16,).

    A line along an axis between two pairs of pixels, half the diagonal around each corner that stands alone, so twice
    that where the two pixels inside lie across from each other.
    """
    lengths = np.zeros(16)
    half = math.hypot(*steps) / 2
    lengths[[1, 2, 4, 8, 7, 11, 13, 14]] = half
    lengths[[6, 9]] = 2 * half
    lengths[[3, 12]] = steps[1]
    lengths[[5, 10]] = steps[0]
    return lengths


def surface_areas(steps: tuple[float, ...]) -> np.ndarray:
    """Area of the surface through a cell of 2 x 2 x 2 pixels, by its code, (256,)."""
    codes, normals = _triangles()
    sz, sy, sx = steps
    return np.bincount(codes, np.linalg.norm(normals * (sy * sx, sz * sx, sz * sy), axis=1), minlength=256)


@cache
def _triangles() -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the marching cube of each code, corners halfway along its edges: the code (T,) and the normal
    (T, 3), as long as the triangle's area.

    Lorensen and Cline's cases hold for up to four pixels inside; beyond, what is outside is cut off in the same way.
    """
    from skimage.measure import marching_cubes

    codes, normals = [], []
    for code in range(1, 255):
        inside = code if code.bit_count() <= 4 else 255 - code
        cell = np.unpackbits(np.array([inside], np.uint8)).reshape(2, 2, 2).astype(np.float32)
        corners, faces, *_ = marching_cubes(cell, 0.5, method="lorensen")
        one, two, three = corners[faces].astype(float).transpose(1, 0, 2)
        normals.append(np.cross(two - one, three - one) / 2)
        codes.append(np.full(len(faces), code))
    return np.concatenate(codes), np.concatenate(normals)
