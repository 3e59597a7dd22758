"""The hills of a height map: every place climbs to its summit, then shallow hills go to the ones beside them.

Maps are flat and padded by one place on every side; what is outside, or not looked at, is minus infinity high. Only
the passes between hills are sorted, not the places: 0.04 s for 1024 x 1024 with 576 discs, where markers and a flood
from them, which go through the places from high to low and wait for memory, take 0.18 s.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def climb(height, offsets):
    """Number of the hill of each place, in scan order of their summits from 0, -1 outside; and the summits' places.

    A step goes to the highest neighbour, of equally high ones to the first in scan order, which of places as high as
    this one may only be an earlier one. A plateau can so have several hills.
    """
    up = np.full(height.size, -1, np.int32)
    count = 0
    for place in range(height.size):
        best, highest = place, height[place]
        if highest == -np.inf:
            continue
        for offset in offsets:
            near = place + offset
            if height[near] > highest or (height[near] == highest and near < best):
                best, highest = near, height[near]
        up[place] = best
        count += best == place
    summits = np.empty(count, np.int32)
    hill = np.full(height.size, -1, np.int32)
    count = 0
    for place in range(height.size):
        if up[place] == place:
            hill[place] = count
            summits[count] = place
            count += 1
    for place in range(height.size):
        if up[place] < 0:
            continue
        end = place
        while hill[end] < 0:
            end = np.int64(up[end])
        number = hill[end]
        step = place
        while hill[step] < 0:
            hill[step] = number
            step = np.int64(up[step])
    return hill, summits


@compiled
def find_passes(height, hill, offsets):
    """Every pair of neighbours of two hills: the lower of their heights (E,) and their hills (E, 2), in scan order.

    ``offsets`` lead to the later half of a place's neighbours.
    """
    count = 0
    for place in range(height.size):
        if hill[place] >= 0:
            for offset in offsets:
                near = hill[place + offset]
                count += near >= 0 and near != hill[place]
    levels = np.empty(count, np.float32)
    sides = np.empty((count, 2), np.int32)
    count = 0
    for place in range(height.size):
        if hill[place] >= 0:
            for offset in offsets:
                near = hill[place + offset]
                if near >= 0 and near != hill[place]:
                    levels[count] = min(height[place], height[place + offset])
                    sides[count, 0] = hill[place]
                    sides[count, 1] = near
                    count += 1
    return levels, sides


@compiled
def _root(joined, number):
    while joined[number] != number:
        joined[number] = joined[joined[number]]
        number = np.int64(joined[number])
    return number


@compiled
def merge_hills(summit_heights, levels, sides, order, min_depth):
    """Number from 1 of what each hill belongs to, (M,) int32, in the order of the summits that stay.

    Passes are taken in ``order``, from high to low. Where one joins what no higher one has, the side of the lower
    summit (the later of equally high ones) ends: if it rises no more than ``min_depth`` above the pass, that hill goes
    to the hill beyond the pass.
    """
    joined = np.arange(summit_heights.size).astype(np.int32)
    into = joined.copy()
    for k in order:
        low, high = _root(joined, np.int64(sides[k, 0])), _root(joined, np.int64(sides[k, 1]))
        if low == high:
            continue
        beyond = sides[k, 1]
        if summit_heights[low] > summit_heights[high] or (
            summit_heights[low] == summit_heights[high] and low < high
        ):
            low, high = high, low
            beyond = sides[k, 0]
        if float(summit_heights[low]) - float(levels[k]) <= min_depth:
            into[low] = beyond
        joined[low] = high
    numbers = np.zeros(into.size, np.int32)
    count = 0
    for number in range(into.size):
        if into[number] == number:
            count += 1
            numbers[number] = count
    for number in range(into.size):
        end = number
        while into[end] != end:
            end = np.int64(into[end])
        numbers[number] = numbers[end]
    return numbers
