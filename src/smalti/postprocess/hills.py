"""A height map parted into those of its hills that matter."""

from __future__ import annotations

from itertools import product

import numpy as np

from .. import compiled
from ..errors import InputError

MAX_PIXELS = 2**31 - 1
"""With a border of one pixel around the image; places are int32."""


def part_hills(
    height: np.ndarray, min_depth: float, mask: np.ndarray | None = None, connectivity: int = 1
) -> np.ndarray:
    """Hills of ``height`` (*S,), numbered from 1 in scan order of their summits, (*S,) int32; 0 outside ``mask``.

    A pixel belongs to the summit that the steepest way up leads to. A hill that rises no more than ``min_depth`` above
    its pass to a higher one (an equally high one, if that is the earlier in scan order) belongs as a whole to the hill
    beyond that pass. So the summits that stay are those of ``flooding.depth_markers``, and the parts close to those of
    ``flooding.watershed`` from them, which gives the pixels of a shallow hill one by one to whose water comes first.

    Heights are compared as float32. ``connectivity`` is the number of axes one step may move along. Raises
    ``InputError`` for heights that are not finite in the mask and a mask of another shape.

    >>> part_hills(np.array([0, 5, 3, 4, 0, 2, 0]), min_depth=1)
    array([1, 1, 1, 1, 1, 2, 2], dtype=int32)
    """
    mask = np.ones(height.shape, bool) if mask is None else mask
    if mask.shape != height.shape or mask.dtype != bool:
        raise InputError(f"mask must be bool {height.shape}, got {mask.dtype} {mask.shape}")
    if not min_depth >= 0:
        raise InputError(f"min_depth is 0 or more, got {min_depth}")
    if not 1 <= connectivity <= height.ndim:
        raise InputError(f"connectivity is 1 to {height.ndim} for {height.ndim} axes, got {connectivity}")
    shape = tuple(length + 2 for length in height.shape)
    if np.prod(shape, dtype=np.float64) > MAX_PIXELS:
        raise InputError(f"maps of up to 2**31 pixels can be parted, got {height.shape}; cut it into tiles")
    inside = (slice(1, -1),) * height.ndim
    padded = np.full(shape, -np.inf, np.float32)
    np.copyto(
        padded[inside], height, where=mask, casting="same_kind" if height.dtype.kind == "f" else "unsafe"
    )
    if np.count_nonzero(np.isfinite(padded)) != np.count_nonzero(mask):
        raise InputError("heights must be finite numbers; leave the others out with mask")
    steps = [
        step for step in product((-1, 0, 1), repeat=height.ndim) if 0 < np.abs(step).sum() <= connectivity
    ]
    strides = np.cumprod((1, *shape[:0:-1]))[::-1]
    offsets = np.array(steps) @ strides
    flat = padded.reshape(-1)
    hill, summits = compiled.hills.climb(flat, offsets)
    levels, sides = compiled.hills.find_passes(flat, hill, offsets[offsets > 0])
    order = np.argsort(-levels, kind="stable")
    numbers = compiled.hills.merge_hills(flat[summits], levels, sides, order, float(min_depth))
    return np.append(numbers, np.int32(0))[hill.reshape(shape)[inside]]  # -1, outside, is the last
