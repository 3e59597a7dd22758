"""Entropy and median of the box around each pixel, from counts that are moved along with it.

Volumes are (D, H, W), an image is a volume of one slice. Beyond its edge it goes on with its outermost pixel. Counts
are whole numbers, so that what was counted before does not matter: a part of a volume gives what the whole gives.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

BINS = 16
STEP = 64  # ranks that are counted together, so that a median is found in few steps


@compiled
def local_entropy(bins, radii, terms):
    """Sum of ``terms[count]`` over the counts of the 16 values of ``bins``, uint8, in each box, (D, H, W) float32.

    ``radii`` are the box's pixels to each side along z, y and x.
    """
    radius_z, radius_y, radius_x = radii
    depth, height, width = bins.shape
    result = np.empty((depth, height, width), np.float32)
    columns = np.empty((width, BINS), np.int32)
    counts = np.empty(BINS, np.int32)
    for z in range(depth):
        columns.fill(0)
        for y in range(-radius_y, radius_y):
            _count(columns, bins, z, radius_z, min(max(y, 0), height - 1), 1)
        for y in range(height):
            _count(columns, bins, z, radius_z, min(y + radius_y, height - 1), 1)
            counts.fill(0)
            for x in range(-radius_x, radius_x):
                come = columns[min(max(x, 0), width - 1)]
                for value in range(BINS):
                    counts[value] += come[value]
            for x in range(width):
                come, gone = columns[min(x + radius_x, width - 1)], columns[max(x - radius_x, 0)]
                entropy = 0.0
                for value in range(BINS):
                    counts[value] += come[value]
                    entropy += terms[counts[value]]
                    counts[value] -= gone[value]
                result[z, y, x] = entropy
            _count(columns, bins, z, radius_z, max(y - radius_y, 0), -1)
    return result


@compiled
def _count(columns, bins, z, radius_z, y, by):
    """Add the values in row y of the slices around z to the counts of their columns, ``by`` 1 or -1."""
    for near in range(z - radius_z, z + radius_z + 1):
        row = bins[min(max(near, 0), bins.shape[0] - 1), y]
        for x in range(row.size):
            columns[x, row[x]] += by


@compiled
def local_median(ranks, radii, levels):
    """The middle one of ``ranks`` (D, H, W) int32 below ``levels`` in each box, (D, H, W) int32.

    A running histogram (Huang et al., IEEE ASSP 27, 1979) of two levels: the place in the coarse one and how many
    lie below it are kept from pixel to pixel.
    """
    radius_z, radius_y, radius_x = radii
    depth, height, width = ranks.shape
    result = np.empty((depth, height, width), np.int32)
    fine, coarse = np.zeros(levels // STEP * STEP + STEP, np.int32), np.zeros(levels // STEP + 1, np.int32)
    half = (2 * radius_z + 1) * (2 * radius_y + 1) * (2 * radius_x + 1) // 2
    at, below = 0, 0
    for z in range(depth):
        for y in range(height):
            for x in range(-radius_x, radius_x):
                below += _put(fine, coarse, ranks, z, y, x, radius_z, radius_y, 1, at)
            for x in range(width):
                below += _put(fine, coarse, ranks, z, y, x + radius_x, radius_z, radius_y, 1, at)
                while below > half:
                    at -= 1
                    below -= coarse[at]
                while below + coarse[at] <= half:
                    below += coarse[at]
                    at += 1
                rank, left = at * STEP, half - below
                while left >= fine[rank]:
                    left -= fine[rank]
                    rank += 1
                result[z, y, x] = rank
                below += _put(fine, coarse, ranks, z, y, x - radius_x, radius_z, radius_y, -1, at)
            for x in range(width - radius_x, width + radius_x):
                below += _put(fine, coarse, ranks, z, y, x, radius_z, radius_y, -1, at)
    return result


@compiled
def _put(fine, coarse, ranks, z, y, x, radius_z, radius_y, by, at):
    """Add the box's column at x to the histogram, ``by`` 1 or -1; by how much that changes what is below ``at``."""
    depth, height, width = ranks.shape
    x, below = min(max(x, 0), width - 1), 0
    for near in range(z - radius_z, z + radius_z + 1):
        here = min(max(near, 0), depth - 1)
        for row in range(y - radius_y, y + radius_y + 1):
            rank = ranks[here, min(max(row, 0), height - 1), x]
            fine[rank] += by
            coarse[rank // STEP] += by
            if rank // STEP < at:
                below += by
    return below
