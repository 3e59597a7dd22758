"""Flooding from markers, level by level, on a padded flat grid.

One int32 per pixel, ``state``, is the queue's key, the visited mark, the mask and the result in one:

    level >= 0   may be flooded, at this level (a dense rank of its elevation)
    -1           never flooded: padding, or outside the mask
    ~label < -1  flooded from the marker with this label

Neighbours are then found by adding offsets without a border check, and one read tells all about each of them.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

DIGIT = 11  # bits; 2048 counters stay in the first-level cache, 32-bit keys take three passes, 64-bit six
RADIX = 1 << DIGIT


@compiled
def masked_keys(bits, mask, row_start, kind):
    """Unsigned keys that sort like the values whose ``bits`` (rows, width) are given, where ``mask`` is set.

    ``kind`` is the number type: 0 unsigned, 1 signed, 2 float. Returns the keys, the pixels' places in the padded
    grid, and how many values are NaN. ``row_start`` is the place of each row's first pixel.
    """
    rows, width = bits.shape
    number = 0
    for row in range(rows):
        for column in range(width):
            number += mask[row, column]
    keys = np.empty(number, bits.dtype)
    places = np.empty(number, np.int32)
    zero = bits.dtype.type(0)
    one = bits.dtype.type(1)
    top = one << bits.dtype.type(8 * bits.itemsize - 1)
    infinity = bits.dtype.type(0x7F800000 if bits.itemsize == 4 else 0x7FF0000000000000)
    nans = 0
    k = 0
    for row in range(rows):
        for column in range(width):
            if mask[row, column]:
                key = bits[row, column]
                if kind == 1:
                    key = key ^ top
                elif kind == 2:
                    if key & (top - one) > infinity:
                        nans += 1
                    if key == top:  # -0.0 is 0.0
                        key = zero
                    key = ~key if key & top else key | top
                keys[k] = key
                places[k] = row_start[row] + column
                k += 1
    return keys, places, nans


@compiled
def sort_places(keys, places):
    """Both arrays in ascending order of the keys: a radix sort that skips the digits all keys share."""
    number = keys.size
    digits = (8 * keys.itemsize + DIGIT - 1) // DIGIT
    counts = np.zeros((digits, RADIX), np.int32)
    last = keys.dtype.type(RADIX - 1)
    for k in range(number):
        key = keys[k]
        for digit in range(digits):
            counts[digit, (key >> keys.dtype.type(digit * DIGIT)) & last] += 1
    other_keys = np.empty_like(keys)
    other_places = np.empty_like(places)
    for digit in range(digits):
        shift = keys.dtype.type(digit * DIGIT)
        count = counts[digit]
        if number == 0 or count[(keys[0] >> shift) & last] == number:
            continue
        total = 0
        for value in range(RADIX):
            total, count[value] = total + count[value], total
        for k in range(number):
            value = (keys[k] >> shift) & last
            to = count[value]
            count[value] = to + 1
            other_keys[to] = keys[k]
            other_places[to] = places[k]
        keys, other_keys = other_keys, keys
        places, other_places = other_places, places
    return keys, places


@compiled
def place_ranks(keys, places, state):
    """Write the dense rank of each sorted key into ``state``; gives where each rank's run of keys begins."""
    number = keys.size
    levels = 0
    for k in range(number):
        if k == 0 or keys[k] != keys[k - 1]:
            levels += 1
    first = np.empty(levels, np.int32)
    level = -1
    for k in range(number):
        if k == 0 or keys[k] != keys[k - 1]:
            level += 1
            first[level] = k
        state[places[k]] = level
    return first


@compiled
def place_levels(values, mask, row_start, lowest, levels, state):
    """Write integer ``values`` (rows, width) less ``lowest`` into ``state`` where ``mask`` is set.

    Gives where each of the ``levels`` begins in a queue with room for all, as ``place_ranks`` does.
    """
    counts = np.zeros(levels, np.int32)
    rows, width = values.shape
    for row in range(rows):
        for column in range(width):
            if mask[row, column]:
                level = np.int64(values[row, column]) - lowest
                state[row_start[row] + column] = level
                counts[level] += 1
    total = 0
    for level in range(levels):
        total, counts[level] = total + counts[level], total
    return counts


@compiled
def _rise(heap, size, level):
    """Put ``level`` on a binary heap of ``size``, smallest on top."""
    child = size
    while child > 0:
        parent = (child - 1) >> 1
        if heap[parent] <= level:
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = level


@compiled
def _sink(heap, size):
    """Take the top off a binary heap of ``size``."""
    level = heap[size - 1]
    size -= 1
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= level:
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = level


@compiled
def flood(state, first, offsets, seeds, seed_labels, queue):
    """Flood ``state`` in place from the places ``seeds`` in the order of (level, time of entry).

    ``queue`` has room for every pixel once: level v waits in ``queue[head[v]:tail[v]]``, first in, first out.
    The level being served only rises; levels below it that fill again (a basin behind a pass, without a marker)
    are kept in a heap of levels, which is served first.
    """
    levels = first.size
    head = first
    tail = first.copy()
    lower = np.empty(levels, np.int32)
    num_lower = 0
    for k in range(seeds.size):
        place = seeds[k]
        level = state[place]
        if level >= 0:
            state[place] = ~seed_labels[k]
            queue[tail[level]] = place
            tail[level] += 1
    current = 0
    while True:
        if num_lower > 0:
            level = lower[0]
        else:
            while current < levels and head[current] == tail[current]:
                current += 1
            if current == levels:
                return
            level = current
        place = queue[head[level]]
        head[level] += 1
        if level < current and head[level] == tail[level]:
            _sink(lower, num_lower)
            num_lower -= 1
        label = state[place]
        for k in range(offsets.size):
            neighbor = place + offsets[k]
            level = state[neighbor]
            if level >= 0:
                state[neighbor] = label
                end = tail[level]
                if level < current and head[level] == end:
                    _rise(lower, num_lower, level)
                    num_lower += 1
                queue[end] = neighbor
                tail[level] = end + 1
