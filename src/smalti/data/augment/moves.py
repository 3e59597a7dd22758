"""Moves of pixels: homogeneous matrices of array indices (z, y, x), and bends.

A move says where the pixel p of its result comes from; whole numbers are the middles of pixels. Matrices are small
and there are many of them, so they are read as lists of Python's numbers: numpy needs microseconds to look at each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul

import numpy as np

WHOLE = 1e-6
"""Pixels by which a move may miss whole ones and still be taken for a shift of whole pixels."""


@dataclass(frozen=True, eq=False)
class Bend:
    """A smooth displacement: ``offsets`` (*G, ndim) float32 in pixels, at points ``step`` (ndim,) pixels apart.

    The first point lies at ``start`` (ndim,). Between points the displacement is linear, beyond them constant.
    """

    offsets: np.ndarray
    start: np.ndarray
    step: np.ndarray

    @property
    def to_points(self) -> np.ndarray:
        """Matrix from pixels to positions among the points, (ndim + 1, ndim + 1)."""
        matrix = np.diag([*(1 / self.step), 1.0])
        matrix[:-1, -1] = -self.start / self.step
        return matrix


Stage = np.ndarray | Bend
Rows = list[list[float]]  # a matrix as numbers of Python


def along_axes(scales: Iterable[float], offsets: Iterable[float]) -> np.ndarray:
    """Matrix of ``scale * p + offset`` along each axis."""
    scales, offsets = list(scales), list(offsets)
    matrix = np.zeros((len(scales) + 1,) * 2)
    for axis, (scale, offset) in enumerate(zip(scales, offsets, strict=True)):
        matrix[axis, axis], matrix[axis, -1] = scale, offset
    matrix[-1, -1] = 1
    return matrix


def translation(offsets: Sequence[float] | np.ndarray) -> np.ndarray:
    """Matrix that adds ``offsets`` (ndim,)."""
    return along_axes([1.0] * len(offsets), offsets)


def about(center: Sequence[float], linear: np.ndarray | Rows) -> np.ndarray:
    """Matrix that does ``linear`` (ndim, ndim) and leaves ``center`` (ndim,) where it is."""
    rows = [
        [*row, middle - sum(map(mul, row, center))]
        for row, middle in zip(linear if isinstance(linear, list) else linear.tolist(), center, strict=True)
    ]
    return np.array([*rows, [0.0] * len(center) + [1.0]])


def moved_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``points`` (P, ndim) through a matrix."""
    moved = points @ matrix[:, :-1].T + matrix[:, -1]
    return moved[:, :-1] / moved[:, -1:]


def joined(stages: Sequence[Stage], ndim: int) -> np.ndarray:
    """All matrices of the stages in one, the bends left out."""
    found = [stage for stage in stages if not isinstance(stage, Bend)]
    if not found:
        return np.eye(ndim + 1)
    matrix = found[0]
    for stage in found[1:]:
        matrix = matrix @ stage
    return matrix


def simplified(stages: Sequence[Stage], ndim: int) -> list[Stage]:
    """Neighbouring matrices multiplied; a matrix stands first, last and between bends."""
    simple: list[Stage] = []
    for stage in stages:
        if isinstance(stage, Bend):
            if not simple or isinstance(simple[-1], Bend):
                simple.append(np.eye(ndim + 1))
            simple.append(stage)
        elif simple and not isinstance(simple[-1], Bend):
            simple[-1] = simple[-1] @ stage
        else:
            simple.append(stage)
    if not simple or isinstance(simple[-1], Bend):
        simple.append(np.eye(ndim + 1))
    return simple


def shifted(rows: Rows, top: float, left: float) -> Rows:
    """The matrix of a picture to positions counted from ``top`` and ``left``."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    return [
        [a - top * g, b - top * h, c - top * i],
        [d - left * g, e - left * h, f - left * i],
        [g, h, i],
    ]


def is_affine(rows: Rows) -> bool:
    """Whether the last row says nothing."""
    return not any(rows[-1][:-1])


def is_whole(rows: Rows) -> bool:
    """Whether whole pixels come from whole pixels: a signed permutation of the axes and whole offsets."""
    if not is_affine(rows) or any(abs(value - round(value)) > WHOLE for row in rows for value in row):
        return False
    ones = [[abs(round(value)) for value in row[:-1]] for row in rows[:-1]]
    return all(sum(row) == 1 for row in ones) and all(sum(column) == 1 for column in zip(*ones, strict=True))


def keeps_slices(rows: Rows, axis: int) -> bool:
    """Whether whole slices along ``axis`` come from whole slices."""
    row = rows[axis]
    apart = all(abs(row[k]) < 1e-12 and abs(rows[k][axis]) < 1e-12 for k in range(len(rows) - 1) if k != axis)
    return apart and abs(abs(row[axis]) - 1) < 1e-9 and abs(row[-1] - round(row[-1])) < WHOLE


def reach(rows: Rows, shape: Sequence[int]) -> tuple[list[float], list[float]]:
    """Lowest and highest position that the pixels of a result of ``shape`` come from, along each axis."""
    ndim = len(shape)
    if is_affine(rows):
        low, high = [], []
        for row in rows[:-1]:
            least = most = row[-1]
            for value, length in zip(row, shape, strict=False):
                if value < 0:
                    least += value * (length - 1)
                else:
                    most += value * (length - 1)
            low.append(least / rows[-1][-1])
            high.append(most / rows[-1][-1])
        return low, high
    corners = [[(length - 1) * (bits >> k & 1) for k, length in enumerate(shape)] for bits in range(2**ndim)]
    weights = [
        sum(a * b for a, b in zip(rows[-1], corner, strict=False)) + rows[-1][-1] for corner in corners
    ]
    if min(weights) <= 0:
        return [-math.inf] * ndim, [math.inf] * ndim
    moved = moved_points(np.array(rows), np.array(corners, float))
    return moved.min(axis=0).tolist(), moved.max(axis=0).tolist()


def mirrored(at: np.ndarray, length: int) -> np.ndarray:
    """Indices reflected about the middles of the first and last pixel until they are inside."""
    if length == 1:
        return np.zeros_like(at)
    at = np.abs(at) % (2 * length - 2)
    return np.where(at < length, at, 2 * length - 2 - at)
