"""Pictures sampled by OpenCV: what types, channels and sizes it takes, and what of these it is fast at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .moves import Bend, Rows, Stage, is_affine, shifted

LARGEST = 32000
"""Pixels a side; OpenCV addresses them with 16 bits."""


_EXACT = frozenset(map(np.dtype, (np.uint8, np.uint16, np.float32)))


def sampleable(array: np.ndarray, nearest: bool) -> np.ndarray:
    """The values in a type that OpenCV samples well.

    Its linear interpolation is exact for 8 bits, unsigned 16 bits and float32; for the other types it knows only
    32 places between two pixels (OpenCV 5.0), so they are interpolated in float32.
    """
    dtype = array.dtype
    if dtype.kind == "b":
        return array.view(np.uint8)
    if dtype in _EXACT:
        return array
    if not nearest or dtype == np.float16:
        return array.astype(np.float32)
    if dtype == np.int8:
        return array.astype(np.int16)
    if dtype in (np.int16, np.int32, np.float64):
        return array
    if dtype.itemsize == 8 and array.min() >= -(2**31) and array.max() < 2**31:
        return array.astype(np.int32)
    return array.astype(np.float64)


def shrunk(array: np.ndarray, rows: Rows) -> tuple[np.ndarray, Rows]:
    """The picture averaged over blocks where neighbours of the result lie two pixels or more apart.

    Otherwise pixels between would be passed over, and fine texture would come out as a coarse one (aliasing).
    """
    if not is_affine(rows):
        return array, rows
    (a, b, _), (d, e, _), (_, _, i) = rows
    steps = math.hypot(a, b) / i, math.hypot(d, e) / i
    if steps[0] < 2 - 1e-9 and steps[1] < 2 - 1e-9:
        return array, rows
    blocks = [
        min(length, max(1, int(step + 1e-9))) for length, step in zip(array.shape[:2], steps, strict=True)
    ]
    missing = [-length % block for length, block in zip(array.shape[:2], blocks, strict=True)]
    if any(missing):
        array = with_edge(array, 0, missing[0], 0, missing[1])
    size = [length // block for length, block in zip(array.shape[:2], blocks, strict=True)]
    down, right = ((block - 1) / 2 for block in blocks)
    first, second, last = shifted(rows, down, right)
    scaled = [[value / blocks[0] for value in first], [value / blocks[1] for value in second], last]
    return resized(array, size, cv2.INTER_AREA), scaled


def resized(array: np.ndarray, size_hw: Sequence[int], interpolation: int) -> np.ndarray:
    """A picture (H, W, C) brought to another size, four channels at a time."""
    size = (int(size_hw[1]), int(size_hw[0]))
    parts = [
        cv2.resize(np.ascontiguousarray(array[..., first : first + 4]), size, interpolation=interpolation)
        for first in range(0, array.shape[-1], 4)
    ]
    if len(parts) == 1:
        return parts[0].reshape(*size[::-1], -1)
    return np.concatenate([part.reshape(*size[::-1], -1) for part in parts], axis=-1)


def with_edge(array: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """The picture (H, W, C) with its outermost pixels repeated."""
    wider = cv2.copyMakeBorder(array, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return wider.reshape(*wider.shape[:2], array.shape[-1])


def flipped(array: np.ndarray, flips: Sequence[bool]) -> np.ndarray:
    """The picture (H, W, C) reversed along rows, columns or both. numpy copies each channel by itself, slowly."""
    if array.shape[-1] > 4 or array.dtype.itemsize > 8:
        return np.array(array[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1], order="C")
    bits = array.view({1: np.uint8, 2: np.int16, 4: np.int32, 8: np.float64}[array.dtype.itemsize])
    turned = cv2.flip(bits, -1 if all(flips) else 1 if flips[1] else 0)
    return turned.reshape(array.shape).view(array.dtype)


def sample_by_matrix(
    array: np.ndarray, rows: Rows, size_hw: tuple[int, ...], fill: float, nearest: bool, mirror: bool
) -> np.ndarray:
    """The picture (H, W, C) at ``rows @ p`` for every pixel p of a result."""
    (a, b, c), (d, e, f), (g, h, i) = rows  # of y, x; OpenCV has them of x, y
    flags = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    size, value = (size_hw[1], size_hw[0]), (fill,) * 4
    mode = cv2.BORDER_REFLECT_101 if mirror else cv2.BORDER_CONSTANT
    if g == h == 0:
        lines = np.array([[e / i, d / i, f / i], [b / i, a / i, c / i]])
        return by_channels(
            array, lambda planes: cv2.warpAffine(planes, lines, size, None, flags, mode, value)
        )
    whole = np.array([[e, d, f], [b, a, c], [h, g, i]])
    return by_channels(
        array, lambda planes: cv2.warpPerspective(planes, whole, size, None, flags, mode, value)
    )


def sample_by_maps(
    array: np.ndarray, maps: Sequence[np.ndarray], fill: float, nearest: bool, mirror: bool
) -> np.ndarray:
    """The picture (H, W, C) at places ``maps``: rows and columns, (H, W) float32 each."""
    ys, xs = maps
    flag, value = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR, (fill,) * 4
    mode = cv2.BORDER_REFLECT_101 if mirror else cv2.BORDER_CONSTANT
    return by_channels(array, lambda planes: cv2.remap(planes, xs, ys, flag, None, mode, value))


def by_channels(array: np.ndarray, sample: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Sample (H, W, C) in the shapes that OpenCV is fast and exact at: one channel, or four.

    Three take 2.3 times as long as four (OpenCV 5.0, 256 x 256 uint8: 0.49 and 0.21 ms), so a fourth is added; two
    are sampled at 32 places between two pixels only.
    """
    channels = array.shape[-1]
    if channels == 1:
        return sample(array[..., 0])[..., np.newaxis]
    if channels == 4:
        return sample(array)
    if channels == 3 and array.dtype in _EXACT:
        return cv2.cvtColor(sample(cv2.cvtColor(array, cv2.COLOR_RGB2RGBA)), cv2.COLOR_RGBA2RGB)
    wide = np.zeros((*array.shape[:2], -(-channels // 4) * 4), array.dtype)
    wide[..., :channels] = array
    parts = [sample(np.ascontiguousarray(wide[..., first : first + 4])) for first in range(0, channels, 4)]
    return np.ascontiguousarray(np.concatenate(parts, axis=-1)[..., :channels])


def coordinates(stages: Sequence[Stage], size_hw: tuple[int, ...]) -> list[np.ndarray]:
    """Where each pixel of the result comes from: rows and columns, (H, W) float32 each."""
    last = stages[-1]
    assert not isinstance(last, Bend)
    matrix: np.ndarray | None = last
    ys, xs = (np.arange(length, dtype=np.float64) for length in size_hw)
    rows = [(row[0] * ys)[:, np.newaxis] + (row[1] * xs + row[2]) for row in last]
    flat = not last[2, :2].any()
    maps = [(row if flat else row / rows[2]).astype(np.float32) for row in rows[:2]]
    for stage in reversed(stages[:-1]):
        if isinstance(stage, Bend):
            offsets = _offsets_at(stage, maps, matrix, size_hw)
            maps = [at + offsets[..., axis] for axis, at in enumerate(maps)]
            matrix = None
        elif (stage != np.eye(3)).any():
            parts = [
                np.float32(row[0]) * maps[0] + np.float32(row[1]) * maps[1] + np.float32(row[2])
                for row in stage
            ]
            flat = not stage[2, :2].any()
            maps = parts[:2] if flat else [parts[0] / parts[2], parts[1] / parts[2]]
    return maps


def _offsets_at(
    bend: Bend, maps: Sequence[np.ndarray], matrix: np.ndarray | None, size_hw: tuple[int, ...]
) -> np.ndarray:
    """The displacement at the places of ``maps``, which are those of ``matrix`` where that is given."""
    # four channels, which OpenCV samples faster than two
    offsets = np.concatenate([bend.offsets, np.zeros_like(bend.offsets)], axis=-1)
    if matrix is not None:
        lookup = (bend.to_points @ matrix)[[1, 0, 2]][:, [1, 0, 2]]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(offsets, lookup, size_hw[::-1], None, flags, cv2.BORDER_REPLICATE)
    lookup = bend.to_points.astype(np.float32)
    ys, xs = (at * lookup[axis, axis] + lookup[axis, -1] for axis, at in enumerate(maps))
    return cv2.remap(offsets, xs, ys, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)


def cut_to_reach(
    array: np.ndarray, rows: Rows, low: Sequence[float], high: Sequence[float]
) -> tuple[np.ndarray, Rows] | None:
    """The part of a picture that positions ``low`` to ``high`` need, and its matrix; None where there is none."""
    height, width = array.shape[:2]
    top, left = (max(0, math.floor(max(at, -1.0)) - 2) for at in low)
    bottom, right = (
        min(height, math.ceil(min(high[0], height)) + 3),
        min(width, math.ceil(min(high[1], width)) + 3),
    )
    if top >= bottom or left >= right:
        return None
    return array[top:bottom, left:right], shifted(rows, top, left)
