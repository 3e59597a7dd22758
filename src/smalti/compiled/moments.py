"""Moments of segments and of the intensities under them, straight from their runs, segment by segment."""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def moments(offsets, row, first, stop, sizes):
    """Centroids (N, 3) inside the boxes and covariances (N, 3, 3) of the pixel centres, both in pixels.

    Sums of whole numbers in float64: exact up to 2**53, that is for every segment below 9,000 pixels across.
    A segment without pixels gets NaN.
    """
    count = offsets.size - 1
    centroids = np.full((count, 3), np.nan)
    covariances = np.full((count, 3, 3), np.nan)
    for k in range(count):
        height = sizes[k, 1]
        flat = sizes[k, 0] == 1
        n = sz = sy = sx = szz = syy = sxx = szy = szx = syx = 0.0
        for run in range(offsets[k], offsets[k + 1]):
            line = np.int64(row[run])
            length = np.int64(stop[run]) - first[run]
            ends = np.int64(stop[run]) + first[run] - 1
            twice = length * ends  # twice the sum of x over the run
            m = float(length)
            run_x = 0.5 * twice
            n += m
            sx += run_x
            sxx += (3 * twice * ends + length * (length * length - 1)) // 12
            if flat:
                y = float(line)
            else:
                plane = line // height
                y = float(line - plane * height)
                z = float(plane)
                sz += m * z
                szz += m * z * z
                szy += m * z * y
                szx += z * run_x
            sy += m * y
            syy += m * y * y
            syx += y * run_x
        if n > 0:
            centroids[k, 0] = sz / n
            centroids[k, 1] = sy / n
            centroids[k, 2] = sx / n
            scale = 1.0 / (n * n)
            covariances[k, 0, 0] = (n * szz - sz * sz) * scale
            covariances[k, 1, 1] = (n * syy - sy * sy) * scale
            covariances[k, 2, 2] = (n * sxx - sx * sx) * scale
            covariances[k, 0, 1] = covariances[k, 1, 0] = (n * szy - sz * sy) * scale
            covariances[k, 0, 2] = covariances[k, 2, 0] = (n * szx - sz * sx) * scale
            covariances[k, 1, 2] = covariances[k, 2, 1] = (n * syx - sy * sx) * scale
    return centroids, covariances


@compiled
def intensity_sums(offsets, start, stop, pixels, num_channels, zero):
    """Sum of each channel over each segment, (N, C) float64; NaN where a pixel is NaN.

    ``pixels`` is the flattened image, channels last. ``zero`` is 0 for integers and 0.0 for floats: what a
    run is summed in, exactly for integers of up to 32 bits.
    """
    count = offsets.size - 1
    sums = np.zeros((count, num_channels))
    for k in range(count):
        for run in range(offsets[k], offsets[k + 1]):
            begin, end = np.int64(start[run]), np.int64(stop[run])
            if num_channels == 1:
                total = zero
                for pixel in range(begin, end):
                    total += pixels[pixel]
                sums[k, 0] += total
            else:
                for channel in range(num_channels):
                    total = zero
                    for place in range(begin * num_channels + channel, end * num_channels, num_channels):
                        total += pixels[place]
                    sums[k, channel] += total
    return sums


@compiled
def intensity_squares(offsets, start, stop, pixels, num_channels, means):
    """Sum of the squared distances to ``means`` (N, C) of each channel over each segment, (N, C) float64."""
    count = offsets.size - 1
    squares = np.zeros((count, num_channels))
    for k in range(count):
        for run in range(offsets[k], offsets[k + 1]):
            begin, end = np.int64(start[run]), np.int64(stop[run])
            for channel in range(num_channels):
                mean = means[k, channel]
                total = 0.0
                for place in range(begin * num_channels + channel, end * num_channels, num_channels):
                    distance = pixels[place] - mean
                    total += distance * distance
                squares[k, channel] += total
    return squares


@compiled
def intensity_extremes(offsets, start, stop, pixels, num_channels):
    """Lowest and highest value of each channel in each segment, (N, C) each; NaN where a pixel is NaN."""
    count = offsets.size - 1
    lows = np.full((count, num_channels), np.nan)
    highs = np.full((count, num_channels), np.nan)
    for k in range(count):
        if offsets[k] == offsets[k + 1]:
            continue
        for channel in range(num_channels):
            low = high = pixels[np.int64(start[offsets[k]]) * num_channels + channel]
            for run in range(offsets[k], offsets[k + 1]):
                begin, end = np.int64(start[run]), np.int64(stop[run])
                for place in range(begin * num_channels + channel, end * num_channels, num_channels):
                    value = pixels[place]
                    if value < low or np.isnan(value):
                        low = value
                    if value > high or np.isnan(value):
                        high = value
            lows[k, channel] = low
            highs[k, channel] = high
    return lows, highs
