"""Objects cut to what is sure enough of them, and kept in one piece."""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def cut_objects(labels, sureness, count, extent, min_peak):
    """Take from the objects 1..count of ``labels`` (P,), in place, what is below ``extent`` of their highest sureness.

    Objects whose highest is below ``min_peak`` go altogether.
    """
    peaks = np.zeros(count + 1, sureness.dtype)
    for pixel in range(labels.size):
        label = labels[pixel]
        peaks[label] = max(peaks[label], sureness[pixel])
    for pixel in range(labels.size):
        peak = peaks[labels[pixel]]
        if peak < min_peak or sureness[pixel] < extent * peak:
            labels[pixel] = 0


@compiled
def keep_largest_pieces(labels, count):
    """Take from the objects 1..count of ``labels`` (D, H, W), in place, all but the largest piece of each.

    A piece hangs together by its pixels' faces; of equally large ones the first in scan order stays. Returns the
    pixels of what stays, (count + 1,) int64.
    """
    depth, height, width = labels.shape
    flat = labels.reshape(-1)
    piece_of = np.zeros(flat.size, np.int32)
    largest = np.zeros(count + 1, np.int64)
    chosen = np.zeros(count + 1, np.int32)
    stack = np.empty(flat.size, np.int32)
    piece = 0
    for first in range(flat.size):
        label = flat[first]
        if label == 0 or piece_of[first] != 0:
            continue
        piece += 1
        piece_of[first] = piece
        stack[0] = first
        top, area = 1, 0
        while top > 0:
            top -= 1
            place = np.int64(stack[top])
            area += 1
            x = place % width
            y = place // width % height
            z = place // (width * height)
            for side in range(6):
                if side == 0:
                    inside, near = x > 0, place - 1
                elif side == 1:
                    inside, near = x + 1 < width, place + 1
                elif side == 2:
                    inside, near = y > 0, place - width
                elif side == 3:
                    inside, near = y + 1 < height, place + width
                elif side == 4:
                    inside, near = z > 0, place - width * height
                else:
                    inside, near = z + 1 < depth, place + width * height
                if inside and flat[near] == label and piece_of[near] == 0:
                    piece_of[near] = piece
                    stack[top] = near
                    top += 1
        if area > largest[label]:
            largest[label] = area
            chosen[label] = piece
    for pixel in range(flat.size):
        if flat[pixel] != 0 and piece_of[pixel] != chosen[flat[pixel]]:
            flat[pixel] = 0
    return largest
