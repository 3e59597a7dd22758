"""Seeded region growing over a queue of candidate pixels."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from .jit import compiled


@compiled
def grow(values, shape, moves, labels, tolerance):
    """Grow the regions of ``labels`` in place, each time by the pixel that is nearest to a region beside it.

    ``values`` (P, C) of the flattened volume of ``shape`` (3,), ``moves`` (M, 3) to the neighbours, ``labels`` (P,)
    with 0 for pixels to be reached. Nearest means the least Euclidean distance to the region's mean at the time
    the pixel became a candidate, then the earliest candidate. A pixel farther than ``tolerance`` from the mean the
    region has when its turn comes is left for another region.
    """
    num_channels = values.shape[1]
    top = 0
    for pixel in range(labels.size):
        top = max(top, labels[pixel])
    sums = np.zeros((top + 1, num_channels))
    areas = np.zeros(top + 1)
    for pixel in range(labels.size):
        if labels[pixel] > 0:
            areas[labels[pixel]] += 1
            for channel in range(num_channels):
                sums[labels[pixel], channel] += values[pixel, channel]

    queue = [(0.0, 0, 0, 0)]
    queue.pop()
    order = 0
    for seed in range(labels.size):
        if labels[seed] > 0:
            order = _push_neighbours(
                queue, order, seed, np.int64(labels[seed]), values, shape, moves, labels, sums, areas
            )
    while len(queue) > 0:
        _, _, pixel, region = heappop(queue)
        if labels[pixel] != 0:
            continue
        if _distance(values, pixel, sums, areas, region) > tolerance:
            continue
        labels[pixel] = region
        areas[region] += 1
        for channel in range(num_channels):
            sums[region, channel] += values[pixel, channel]
        order = _push_neighbours(queue, order, pixel, region, values, shape, moves, labels, sums, areas)


@compiled
def _distance(values, pixel, sums, areas, region):
    total = 0.0
    for channel in range(values.shape[1]):
        difference = values[pixel, channel] - sums[region, channel] / areas[region]
        total += difference * difference
    return np.sqrt(total)


@compiled
def _push_neighbours(queue, order, pixel, region, values, shape, moves, labels, sums, areas):
    z, rest = divmod(pixel, shape[1] * shape[2])
    y, x = divmod(rest, shape[2])
    for move in range(len(moves)):
        to_z, to_y, to_x = z + moves[move, 0], y + moves[move, 1], x + moves[move, 2]
        if 0 <= to_z < shape[0] and 0 <= to_y < shape[1] and 0 <= to_x < shape[2]:
            beside = (to_z * shape[1] + to_y) * shape[2] + to_x
            if labels[beside] == 0:
                heappush(
                    queue, (_distance(values, beside, sums, areas, region), order, np.int64(beside), region)
                )
                order += 1
    return order
