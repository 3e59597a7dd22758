"""Superpixels whose reach is known: each pixel belongs to its own cell of a grid or to one beside it.

SLIC without parameters ("SLICO", Achanta et al., IEEE PAMI 34, 2012, and the authors' code) on a grid of cells that
is anchored to the whole image, with a fixed number of rounds and no step that makes superpixels connected, as
gSLICr has it (Ren, Prisacariu and Reid, arXiv:1509.04232).
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

FLAT = 1e-12  # colours squared: where all of a superpixel are alike, others are as far as can be


@compiled
def superpixels(values, offset, side, rounds):
    """The superpixel of each pixel, (D, H, W) int32, and the mean and standard deviation of each, (N, C) float32.

    ``values`` (D, H, W, C) float32. Cells have ``side`` (3,) pixels, of which ``offset`` (3,) lie before the first
    one of the volume. In each of ``rounds`` a pixel goes to the nearest superpixel: the distance to its middle in
    sides, squared, and that to its colour over the largest there was in it, squared.
    """
    depth, height, width, _ = values.shape
    cells = np.empty(3, np.int64)
    for axis in range(3):
        cells[axis] = (values.shape[axis] - 1 + offset[axis]) // side[axis] + 1
    labels = np.empty((depth, height, width), np.int32)
    for z in range(depth):
        for y in range(height):
            cz, cy = (z + offset[0]) // side[0], (y + offset[1]) // side[1]
            for x in range(width):
                labels[z, y, x] = (cz * cells[1] + cy) * cells[2] + (x + offset[2]) // side[2]
    middles, colors, widest, spread = _measured(values, labels, offset, side, cells)
    for _ in range(rounds):
        for z in range(depth):
            for y in range(height):
                for x in range(width):
                    at = (z + offset[0], y + offset[1], x + offset[2])
                    labels[z, y, x] = _nearest(at, values[z, y, x], side, cells, middles, colors, widest)
        middles, colors, widest, spread = _measured(values, labels, offset, side, cells)
    return labels, colors.astype(np.float32), spread


@compiled
def _nearest(at, color, side, cells, middles, colors, widest):
    """The nearest superpixel of the pixel's own cell and those around it; of equals the first."""
    cz, cy, cx = at[0] // side[0], at[1] // side[1], at[2] // side[2]
    best, nearest = np.inf, np.int64(-1)
    for nz in range(max(cz - 1, 0), min(cz + 2, cells[0])):
        for ny in range(max(cy - 1, 0), min(cy + 2, cells[1])):
            for nx in range(max(cx - 1, 0), min(cx + 2, cells[2])):
                k = (nz * cells[1] + ny) * cells[2] + nx
                if widest[k] < 0:
                    continue
                dz = (at[0] - nz * side[0] - middles[k, 0]) / side[0]
                dy = (at[1] - ny * side[1] - middles[k, 1]) / side[1]
                dx = (at[2] - nx * side[2] - middles[k, 2]) / side[2]
                apart = 0.0
                for channel in range(color.size):
                    difference = color[channel] - colors[k, channel]
                    apart += difference * difference
                apart = apart / (widest[k] + FLAT) + (dz * dz + dy * dy + dx * dx)
                if apart < best:
                    best, nearest = apart, k
    return nearest


@compiled
def _measured(values, labels, offset, side, cells):
    """Middle, mean colour, largest squared distance from it (-1 if empty) and its standard deviation of each.

    Middles are counted from the corner of the superpixel's cell, so that they do not depend on where the volume begins.
    """
    count = cells[0] * cells[1] * cells[2]
    depth, height, width, channels = values.shape
    places, sizes = np.zeros((count, 3), np.int64), np.zeros(count, np.int64)
    colors, spread = np.zeros((count, channels)), np.zeros((count, channels))
    widest = np.full(count, -1.0)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                k = labels[z, y, x]
                sizes[k] += 1
                places[k, 0] += z + offset[0] - k // (cells[1] * cells[2]) * side[0]
                places[k, 1] += y + offset[1] - k // cells[2] % cells[1] * side[1]
                places[k, 2] += x + offset[2] - k % cells[2] * side[2]
                for channel in range(channels):
                    colors[k, channel] += values[z, y, x, channel]
    middles = np.zeros((count, 3))
    for k in range(count):
        for axis in range(3):
            middles[k, axis] = places[k, axis] / max(sizes[k], 1)
        for channel in range(channels):
            colors[k, channel] /= max(sizes[k], 1)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                k = labels[z, y, x]
                apart = 0.0
                for channel in range(channels):
                    difference = values[z, y, x, channel] - colors[k, channel]
                    spread[k, channel] += difference * difference
                    apart += difference * difference
                widest[k] = max(widest[k], apart)
    for k in range(count):
        for channel in range(channels):
            spread[k, channel] = np.sqrt(spread[k, channel] / max(sizes[k], 1))
    return middles, colors, widest, spread.astype(np.float32)
