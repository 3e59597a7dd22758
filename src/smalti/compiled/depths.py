"""How deep in its object every pixel of a label map lies, for all objects at once."""

from __future__ import annotations

import math

import numpy as np

from .jit import compiled


@compiled
def start_depths(labels, step):
    """Square of the distance along the last axis of each pixel of an object in ``labels`` (N, W) to the nearest one
    of something else, (N, W) float32, 0 where labels are 0 or less; infinite where nothing else is in sight.

    What lies beyond the edge is nothing else, nor are labels below 0, which hide what is behind them. ``step`` is the
    length of a pixel.
    """
    rows, width = labels.shape
    squares = np.zeros(labels.shape, np.float32)
    for row in range(rows):
        first = 0
        while first < width:
            label = labels[row, first]
            last = first + 1
            while last < width and labels[row, last] == label:
                last += 1
            if label > 0:
                opened = first > 0 and labels[row, first - 1] >= 0
                closed = last < width and labels[row, last] >= 0
                for x in range(first, last):
                    near = np.inf
                    if opened:
                        near = float(x - first + 1)
                    if closed:
                        near = min(near, float(last - x))
                    squares[row, x] = (near * step) ** 2
            first = last
    return squares


@compiled
def spread_depths(labels, squares, step):
    """Take the middle axis of ``labels`` (A, L, B) into account in ``squares`` (A, L, B), in place.

    The lower envelope of the parabolas over each stretch of an object, and of 0 where something else begins, after
    Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of Computing 8 (2012), section 2.1.
    """
    outer, length, inner = labels.shape
    square = np.float32(step * step)
    sites = np.empty(length + 2, np.int64)
    heights = np.empty(length + 2, np.float32)
    begins = np.empty(length + 3, np.float32)
    halves = np.empty(length + 2, np.float32)  # a product takes less than a quotient: 1.5x in all
    for apart in range(1, length + 2):
        halves[apart] = 0.5 / (square * apart)
    for a in range(outer):
        for b in range(inner):
            place = 0
            while place < length:
                label = labels[a, place, b]
                if label <= 0:
                    place += 1
                    continue
                first, count = place, 0
                if first > 0 and labels[a, first - 1, b] >= 0:
                    sites[0], heights[0], begins[0], count = first - 1, 0, -np.inf, 1
                while place < length and labels[a, place, b] >= 0:
                    inside = labels[a, place, b] == label
                    value = squares[a, place, b] if inside else np.float32(0)
                    if value < np.inf:
                        begin = np.float32(-np.inf)
                        while count > 0:
                            middle = np.float32(0.5) * np.float32(place + sites[count - 1])
                            begin = (value - heights[count - 1]) * halves[place - sites[count - 1]] + middle
                            if begin > begins[count - 1]:
                                break
                            count -= 1
                        sites[count], heights[count] = place, value
                        begins[count] = begin if count > 0 else np.float32(-np.inf)
                        count += 1
                    if not inside:
                        break
                    place += 1
                if count == 0:
                    continue
                begins[count] = np.inf
                site = 0
                for here in range(first, place):
                    while begins[site + 1] < here:
                        site += 1
                    squares[a, here, b] = heights[site] + square * np.float32((here - sites[site]) ** 2)


@compiled
def as_shares(labels, squares, count):
    """Make of ``squares`` (P,), in place, the distance over the largest in its object of 1..count; no end in sight
    is as far as the farthest."""
    largest = np.zeros(count + 1, np.float32)
    for pixel in range(labels.size):
        label = labels[pixel]
        if label > 0 and squares[pixel] < np.inf:
            largest[label] = max(largest[label], squares[pixel])
    for pixel in range(labels.size):
        label = labels[pixel]
        if label > 0:
            if squares[pixel] == np.inf:
                squares[pixel] = 1
            else:
                squares[pixel] = math.sqrt(squares[pixel] / largest[label])
