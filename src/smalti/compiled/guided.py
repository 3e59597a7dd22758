"""The guided filter's two loops: sums over boxes and the linear model of each pixel.

A sum is added up anew for each pixel, in one order wherever the pixel lies: running sums and integral images would
carry rounding along, and a tile would differ from the whole in its last bits.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def box_sums(volume, radius_z, radius):
    """Sums (D, H, W) float64 over the boxes of 2 * radius + 1 pixels around each, cut at the edges of ``volume``."""
    depth, height, width = volume.shape
    sums = np.empty((depth, height, width), np.float64)
    line = np.empty(width, np.float64)
    for z in range(depth):
        for y in range(height):
            line[:] = 0
            for other in range(max(y - radius, 0), min(y + radius + 1, height)):
                row = volume[z, other]
                for x in range(width):
                    line[x] += row[x]
            total = sums[z, y]
            total[:] = 0
            for step in range(-radius, radius + 1):
                low, high = max(0, -step), min(width, width - step)
                for x in range(low, high):
                    total[x] += line[x + step]
    if radius_z == 0:
        return sums
    result = np.zeros((depth, height, width), np.float64)
    for z in range(depth):
        for other in range(max(z - radius_z, 0), min(z + radius_z + 1, depth)):
            for y in range(height):
                row, total = sums[other, y], result[z, y]
                for x in range(width):
                    total[x] += row[x]
    return result


@compiled
def fit_lines(counts, guide_sums, square_sums, sums, product_sums, eps, slopes, offset):
    """Slopes (C, P) and offset (P,) of the line through each pixel's box (He, Sun and Tang 2013, eq. 19 and 20).

    All sums are over the boxes: of the guide (C, P), of its products of channels (C * (C + 1) / 2, P) row by row of
    the lower triangle, of the plane (P,) and of its products with the guide (C, P). ``counts`` (P,) are the boxes'
    pixels. The symmetric system is solved by Cholesky's square roots; ``eps`` > 0 keeps it positive.
    """
    channels, pixels = guide_sums.shape
    factor = np.zeros((channels, channels), np.float64)
    slope = np.zeros(channels, np.float64)
    for pixel in range(pixels):
        count = counts[pixel]
        mean = sums[pixel] / count
        k = 0
        for i in range(channels):
            mean_i = guide_sums[i, pixel] / count
            slope[i] = product_sums[i, pixel] / count - mean_i * mean
            for j in range(i + 1):
                value = square_sums[k, pixel] / count - mean_i * (guide_sums[j, pixel] / count)
                k += 1
                if i == j:
                    value = max(value, 0.0) + eps
                for m in range(j):
                    value -= factor[i, m] * factor[j, m]
                # Rounding can leave a channel that repeats another a hair below eps.
                factor[i, j] = np.sqrt(max(value, 0.5 * eps)) if i == j else value / factor[j, j]
        for i in range(channels):
            for m in range(i):
                slope[i] -= factor[i, m] * slope[m]
            slope[i] /= factor[i, i]
        for i in range(channels - 1, -1, -1):
            for m in range(i + 1, channels):
                slope[i] -= factor[m, i] * slope[m]
            slope[i] /= factor[i, i]
        for i in range(channels):
            slopes[i, pixel] = slope[i]
            mean -= slope[i] * (guide_sums[i, pixel] / count)
        offset[pixel] = mean
