"""Flooding from markers in the order of (elevation, time of entry), on a padded flat grid.

One int32 per pixel, ``state``, is the queue's key, the mask, the visited mark and the result in one:

    2 * level      may be flooded, and is the only pixel of its level
    2 * level + 1  may be flooded, and shares its level with other pixels
    -1             never flooded: padding, or outside the mask
    ~label < -1    flooded from the marker with this label

Neighbours are then found by adding offsets without a border check, and one read tells all about each of them.
A level is a dense rank of the elevation, so floats and integers are flooded by the same loop.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

DIGIT = 9  # bits a pass of the radix sort; with 11, the places written to no longer fit the first-level cache
RADIX = 1 << DIGIT
SHARED = 1  # set in the state of a pixel that shares its level


@compiled
def masked_keys(bits, mask, row_start, kind):
    """Unsigned keys that sort like the values whose ``bits`` (rows, width) are given, where ``mask`` is set.

    ``kind`` is the number type: 0 unsigned, 1 signed, 2 float. ``row_start`` is the place of each row's first pixel
    in the padded grid. Returns the keys, their pixels' places and the number of NaNs.
    """
    rows, width = bits.shape
    number = 0
    for row in range(rows):
        for column in range(width):
            number += mask[row, column]
    keys = np.empty(number, bits.dtype)
    places = np.empty(number, np.int32)
    word = bits.dtype.type
    top = word(1) << word(8 * bits.itemsize - 1)
    infinity = word(0x7F800000 if bits.itemsize == 4 else 0x7FF0000000000000)
    nans = 0
    k = 0
    for row in range(rows):
        for column in range(width):
            if mask[row, column]:
                key = bits[row, column]
                if kind == 1:
                    key = key ^ top
                elif kind == 2:
                    if key & (top - word(1)) > infinity:
                        nans += 1
                    if key == top:  # -0.0 is 0.0
                        key = word(0)
                    key = ~key if key & top else key | top
                keys[k] = key
                places[k] = row_start[row] + column
                k += 1
    return keys, places, nans


@compiled
def _sort_pairs(pairs, num_bits):
    """``pairs`` (uint64: key << 32 | item) in stable ascending order of their keys of ``num_bits`` bits."""
    digits = (num_bits + DIGIT - 1) // DIGIT
    counts = np.zeros((digits, RADIX), np.uint32)
    mask = np.uint64(RADIX - 1)
    for k in range(pairs.size):
        for digit in range(digits):
            counts[digit, (pairs[k] >> np.uint64(32 + digit * DIGIT)) & mask] += np.uint32(1)
    others = np.empty_like(pairs)
    for digit in range(digits):
        shift = np.uint64(32 + digit * DIGIT)
        count = counts[digit]
        total = np.uint32(0)
        for value in range(RADIX):
            number = count[value]
            count[value] = total
            total += number
        for k in range(pairs.size):
            pair = pairs[k]
            value = (pair >> shift) & mask
            to = count[value]
            count[value] = to + np.uint32(1)
            others[to] = pair
        pairs, others = others, pairs
    return pairs


@compiled
def place_ranks(keys, places, state):
    """Write the level of every pixel into ``state``: the dense rank of its key.

    Returns the pixels' places in the order of their levels, and where each level begins among them.
    Keys that span more than 32 bits are sorted in two rounds, lower half first.
    """
    number = keys.size
    queue = np.empty(number, np.int32)
    if number == 0:
        return queue, np.zeros(1, np.int32)
    lowest = keys[0]
    highest = keys[0]
    for k in range(number):
        lowest = min(lowest, keys[k])
        highest = max(highest, keys[k])
    used = np.uint64(0)
    for k in range(number):
        used |= np.uint64(keys[k] - lowest)
    shift = np.uint64(0)  # floats that were integers, or of lower precision, end in zeros
    while used != np.uint64(0) and used & np.uint64(1) == np.uint64(0):
        used >>= np.uint64(1)
        shift += np.uint64(1)
    num_bits = 0
    while used != np.uint64(0):
        used >>= np.uint64(1)
        num_bits += 1
    half = np.uint64(32)
    low = np.uint64(0xFFFFFFFF)
    pairs = np.empty(number, np.uint64)
    for k in range(number):
        pairs[k] = ((np.uint64(keys[k] - lowest) >> shift) << half) | np.uint64(k)
    pairs = _sort_pairs(pairs, min(num_bits, 32))
    if num_bits > 32:
        for k in range(number):
            item = pairs[k] & low
            pairs[k] = ((np.uint64(keys[item] - lowest) >> shift) & ~low) | item
        pairs = _sort_pairs(pairs, num_bits - 32)
    first = np.empty(number + 1, np.int32)
    level = 0
    begin = 0
    key = keys[pairs[0] & low]
    for k in range(1, number + 1):
        following = key
        if k < number:
            following = keys[pairs[k] & low]
        if k == number or following != key:
            mark = 2 * level + (k - begin > 1)
            for j in range(begin, k):
                place = places[pairs[j] & low]
                queue[j] = place
                state[place] = mark
            first[level] = begin
            level += 1
            begin = k
            key = following
    first[level] = number
    return queue, first[: level + 1]


@compiled
def place_levels(values, mask, row_start, lowest, levels, state):
    """As ``place_ranks``, for integers (rows, width) from ``lowest`` in so few ``levels`` that each may have one."""
    first = np.zeros(levels + 1, np.int32)
    rows, width = values.shape
    for row in range(rows):
        for column in range(width):
            if mask[row, column]:
                level = np.int64(values[row, column]) - lowest
                state[row_start[row] + column] = 2 * level + SHARED
                first[level + 1] += 1
    for level in range(levels):
        first[level + 1] += first[level]
    return np.empty(first[levels], np.int32), first


@compiled
def _lowest_bit(word):
    """Number of the lowest bit set in an int64 that is not 0: the exponent of that bit as a float."""
    return ((np.float64(word & -word).view(np.int64) >> 52) & 0x7FF) - 1023


@compiled
def _add(words, base, level):
    """Enter ``level`` into the tree of waiting levels: 64 bits a word, each bit a word of the floor below."""
    for start in base:
        word = start + (level >> 6)
        before = words[word]
        words[word] = before | (np.int64(1) << (level & 63))
        if before != 0:
            return
        level >>= 6


@compiled
def _take(words, base, level):
    """Take the lowest ``level`` out of the tree; gives the next one, or -1 when none waits."""
    for floor in range(base.size):
        word = base[floor] + (level >> 6)
        rest = words[word] & ~(np.int64(1) << (level & 63))
        words[word] = rest
        level >>= 6
        if rest != 0:
            level = level << 6 | _lowest_bit(rest)
            for below in range(floor - 1, -1, -1):
                level = level << 6 | _lowest_bit(words[base[below] + level])
            return level
    return -1


@compiled
def flood(state, queue, first, offsets, seeds, seed_labels):
    """Flood ``state`` in place from the places ``seeds``.

    Level v waits in ``queue[head[v]:tail[v]]``, first in, first out; the place of a pixel that is alone on its level
    stands there from the start. A tree of bits over the levels says which of them wait: it takes a few words in
    the nearest cache, where a heap of pixels takes logarithmically many reads of memory.
    """
    levels = first.size - 1
    base = np.zeros(6, np.int64)
    size = (levels + 63) >> 6
    total = size
    floors = 1
    while size > 1:
        size = (size + 63) >> 6
        base[floors] = total
        total += size
        floors += 1
    base = base[:floors]
    words = np.zeros(total, np.int64)
    head = first
    tail = first[:-1].copy()
    lowest = levels
    for k in range(seeds.size):
        place = seeds[k]
        mark = state[place]
        if mark >= 0:
            state[place] = ~seed_labels[k]
            level = mark >> 1
            queue[tail[level]] = place
            tail[level] += 1
            _add(words, base, np.int64(level))
            lowest = min(lowest, level)
    if lowest == levels:
        return
    level = lowest
    while level >= 0:
        place = queue[head[level]]
        head[level] += 1
        if head[level] >= tail[level]:
            after = _take(words, base, level)
        else:
            after = level
        label = state[place]
        for k in range(offsets.size):
            neighbor = place + offsets[k]
            mark = state[neighbor]
            if mark >= 0:
                state[neighbor] = label
                to = np.int64(mark >> 1)
                if mark & SHARED:
                    end = tail[to]
                    queue[end] = neighbor
                    tail[to] = end + 1
                    if head[to] == end:
                        _add(words, base, to)
                        if to < after or after < 0:
                            after = to
                else:
                    _add(words, base, to)
                    if to < after or after < 0:
                        after = to
        level = after
