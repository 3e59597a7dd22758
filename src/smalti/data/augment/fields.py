"""Random numbers by the million: noise for every pixel, and fields that change slowly over the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np


@cache
def _quantiles(count: int) -> np.ndarray:
    """``count`` equally likely values of the standard normal distribution, float32, of variance 1."""
    from scipy.special import ndtri

    values = ndtri((np.arange(count) + 0.5) / count)
    values = (values / values.std()).astype(np.float32)
    values.flags.writeable = False
    return values


def random_bytes(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Evenly distributed bytes, uint8."""
    count = math.prod(shape)
    words = rng.integers(0, 2**64, -(-count // 8), np.uint64)
    return words.astype("<u8", copy=False).view(np.uint8)[:count].reshape(shape)


def byte_normals(sigma: float) -> np.ndarray:
    """For each byte a value of a normal distribution, (256,) int16: noise for 8-bit pixels by one look-up.

    256 equally likely values: the standard deviation is right, the tails end at 2.9 sigma.
    """
    return np.rint(_quantiles(256) * np.float32(sigma)).astype(np.int16)


def normals(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Standard normal values, float32, from 65536 equally likely ones (tails to 4.3).

    3.6 times as fast as ``standard_normal`` (0.20 and 0.74 ms for 256 x 256).
    """
    count = math.prod(shape)
    words = rng.integers(0, 2**64, -(-count // 4), np.uint64)
    draws = words.astype("<u8", copy=False).view(np.uint16)[:count]
    found = np.empty(count, np.float32)
    return np.take(_quantiles(65536), draws, out=found, mode="wrap").reshape(shape)


def smooth_field(shape: Sequence[int], distance_px: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """A field (*S,) float32 around 0 of deviation about 1 that changes over ``distance_px`` along each axis."""
    points = [
        max(2, int(np.ceil(length / each)) + 1) for length, each in zip(shape, distance_px, strict=True)
    ]
    field = rng.standard_normal(points, np.float32)
    if len(shape) == 2:
        return _enlarged(field, shape)
    planes = np.stack([_enlarged(plane, shape[1:]) for plane in field])
    columns = planes.reshape(len(planes), -1)
    # cubic along z as well; in strips, as OpenCV takes rows of limited length
    strips = [
        _enlarged(
            np.ascontiguousarray(columns[:, first : first + 16384]),
            (shape[0], min(16384, columns.shape[1] - first)),
        )
        for first in range(0, columns.shape[1], 16384)
    ]
    return np.concatenate(strips, axis=1).reshape(*shape)


def _enlarged(field: np.ndarray, size: Sequence[int]) -> np.ndarray:
    return cv2.resize(field, (int(size[1]), int(size[0])), interpolation=cv2.INTER_CUBIC)
