"""Thin lines compared: how much of one lies near another."""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def near_alike(places, own, others, offsets, counts):
    """Add to ``counts`` (2, K) of each class how many of ``places`` it has, and how many have its like nearby.

    ``own`` and ``others`` (flat) hold the class of each pixel that lies on a line, 0 elsewhere; ``offsets`` are where
    to look, the nearest first.
    """
    for place in places:
        kind = own[place]
        counts[0, kind] += 1
        for offset in offsets:
            if others[place + offset] == kind:
                counts[1, kind] += 1
                break


@compiled
def count_bands(first, second, in_first, in_second, counts):
    """Add to ``counts`` (3, K) the pixels of each class in both bands, in the first and in the second.

    ``first`` and ``second`` (flat) are classes, ``in_first`` and ``in_second`` (flat, bool) the bands.
    """
    for x in range(first.size):
        if in_first[x]:
            counts[1, first[x]] += 1
            if in_second[x] and first[x] == second[x]:
                counts[0, first[x]] += 1
        if in_second[x]:
            counts[2, second[x]] += 1


@compiled
def near_count(places, line, offsets):
    """How many of ``places`` (flat) have a pixel of ``line`` (flat, bool) at one of ``offsets``, the nearest first.

    The lines of two like shapes are mostly close, so most places stop after a few looks: 4 times faster than
    distance transforms (DAVIS's "dog" against itself a frame late, 8 pixels, cut to its box; 2026-11).
    """
    found = 0
    for place in places:
        for offset in offsets:
            if line[place + offset]:
                found += 1
                break
    return np.int64(found)
