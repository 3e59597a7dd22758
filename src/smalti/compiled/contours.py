"""Thin lines compared: how much of one lies near another."""

from __future__ import annotations

import numpy as np

from .jit import compiled


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
