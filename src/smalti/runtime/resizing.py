"""Planes brought to another size: linear between the middles of pixels, averaged where they get fewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

_ROWS = 32_000
"""Longest side that OpenCV is given; its coordinates are of 16 bits in places."""


def resized(planes: np.ndarray, shape: Sequence[int], last: bool = False) -> np.ndarray:
    """Planes (C, *S) at another ``shape``, float32; (*shape, C) if the channels are to come ``last``.

    Pixels are areas, so corners stay at corners (``align_corners=False`` elsewhere), and what lies beyond the edge is
    as at the edge. Along an axis that gets shorter each new pixel is an average weighted by a triangle as wide as two
    of the new pixels, so that no fine pattern turns into a coarse one; this is what Pillow calls bilinear, and torch
    bilinear with ``antialias``.
    """
    shape = tuple(shape)
    out = np.empty((*shape, len(planes)) if last else (len(planes), *shape), np.float32)
    for channel, plane in enumerate(planes):
        found = _resized(plane, shape)
        if last:
            out[..., channel] = found
        else:
            out[channel] = found
    return out


def _resized(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    values = np.ascontiguousarray(plane, np.float32)
    grows = all(new >= old for new, old in zip(shape, plane.shape, strict=True))
    if plane.ndim == 2 and grows and max(shape) <= _ROWS:  # the same numbers, 10x as fast
        return cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    for axis in sorted(
        range(plane.ndim), key=lambda axis: shape[axis] / plane.shape[axis]
    ):  # what shrinks, first
        if shape[axis] != values.shape[axis]:
            moved = np.moveaxis(values, axis, 0)
            rest = moved.shape[1:]
            mixed = _weights(moved.shape[0], shape[axis]) @ moved.reshape(moved.shape[0], -1)
            values = np.ascontiguousarray(np.moveaxis(mixed.reshape(shape[axis], *rest), 0, axis))
    return values


def _weights(old: int, new: int) -> Any:
    """How much each of ``old`` pixels along an axis has in each of ``new`` ones, a sparse (new, old) float32."""
    from scipy import sparse

    ratio = old / new
    reach = max(1.0, ratio)  # half the triangle, in old pixels
    centers = (np.arange(new) + 0.5) * ratio - 0.5
    first = np.floor(centers - reach).astype(np.int64) + 1
    places = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 1)
    weights = np.maximum(0, 1 - np.abs(places - centers[:, None]) / reach)
    if ratio > 1:  # a triangle that hangs over the edge is cut there, as Pillow does
        weights[(places < 0) | (places >= old)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    columns = np.clip(places, 0, old - 1)
    rows = np.broadcast_to(np.arange(new)[:, None], places.shape)
    matrix = sparse.coo_array((weights.ravel(), (rows.ravel(), columns.ravel())), shape=(new, old))
    return matrix.tocsr().astype(np.float32)
