from __future__ import annotations
import numpy as np
from ..errors import InputError
from .. import compiled
def watershed(elevation, markers, mask=None, connectivity=1):
    shape = elevation.shape
    from time import perf_counter as t
    T=[t()]
    padded = tuple(n + 2 for n in shape)
    inner = (slice(1, -1),) * elevation.ndim
    state = np.full(padded, -1, np.int32)
    strides = np.array(state.strides) // 4
    row_start = np.zeros(1, np.int64)
    for n, s in zip(shape[:-1], strides[:-1]):
        row_start = (row_start[:, None] + (np.arange(1, n + 1) * s)[None]).ravel()
    row_start += 1
    width = shape[-1]
    if mask is None: mask = np.ones(shape, bool)
    mask2 = mask.reshape(-1, width)
    flat = state.reshape(-1)
    if elevation.dtype.itemsize <= 2 and elevation.dtype.kind in 'iu':
        info = np.iinfo(elevation.dtype)
        lo, levels = info.min, info.max - info.min + 1
        queue, first = compiled.watershed.place_levels(elevation.reshape(-1, width), mask2, row_start, lo, levels, flat)
        T.append(t())
    else:
        kind = {"u": 0, "i": 1, "f": 2}[elevation.dtype.kind]
        keys, places, nans = compiled.watershed.masked_keys(elevation.view(f"u{elevation.itemsize}").reshape(-1, width), mask2, row_start, kind)
        T.append(t())
        queue, first = compiled.watershed.place_ranks(keys, places, flat)
    T.append(t())
    import itertools
    steps = [s for s in itertools.product((-1,0,1), repeat=elevation.ndim) if 0 < np.abs(s).sum() <= connectivity]
    steps.sort(key=lambda s: np.abs(s).sum())
    offsets = (np.array(steps) @ strides)
    where = np.flatnonzero(markers)
    seeds = row_start[where // width] + where % width
    T.append(t())
    compiled.watershed.flood(flat, queue, first, offsets, seeds, markers.reshape(-1)[where].astype(np.int32))
    T.append(t())
    labels = np.invert(state[inner])
    np.maximum(labels, 0, out=labels)
    T.append(t())
    watershed.times = np.diff(T)*1e3
    return labels
