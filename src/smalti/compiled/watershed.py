"""Flooding in the order of (water level at entry, time of entry), on a padded flat grid.

One int32 per pixel, ``state``, is the queue's key, the mask, the visited mark and the result in one:

    2 * level      may be flooded, and is the only pixel of its level
    2 * level + 1  may be flooded, and shares its level with other pixels
    -1             never flooded: padding, or outside the mask
    ~label < -1    flooded from the marker with this label

Neighbours are then found by adding offsets without a border check, and one read tells all about each of them.
A level is a dense rank of the elevation, so floats and integers are flooded by the same loop.

A place is an index into the padded grid. Places, levels and offsets are unsigned because numba tests every signed
index for being negative (an earlier form of the flood took 1.1 to 1.3 times as long); steps backwards are offsets
modulo 2**64.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

MAX_DIGIT = (
    10  # bits a pass of the radix sort; with 11, what it writes to no longer fits the first-level cache
)
SHARED = 1  # set in the state of a pixel that shares its level
ZERO = np.uint64(0)
ONE = np.uint64(1)
SIX = np.uint64(6)  # a word of the waiting levels has 2**6 bits
LAST = np.uint64(63)
HALF = np.uint64(32)  # a pair of the sort is key << 32 | item
ITEM = np.uint64(0xFFFFFFFF)


@compiled
def masked_keys(bits, mask, row_start, kind):
    """Unsigned keys that sort like the values whose ``bits`` (rows, width) are given, where ``mask`` is set.

    ``kind`` is the number type: 0 unsigned, 1 signed, 2 float. ``row_start`` is the place of each row's first pixel.
    Returns the keys, their pixels' places and the number of NaNs.
    """
    rows, width = bits.shape
    number = 0
    for row in range(rows):
        for column in range(width):
            number += mask[row, column]
    keys = np.empty(number, bits.dtype)
    places = np.empty(number, np.uint32)
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
    """``pairs`` (key << 32 | item) in stable ascending order of their keys of ``num_bits`` bits, by radix sort."""
    digits = (num_bits + MAX_DIGIT - 1) // MAX_DIGIT
    if digits == 0:
        return pairs
    digit_bits = (num_bits + digits - 1) // digits
    radix = 1 << digit_bits
    digit_mask = np.uint64(radix - 1)
    counts = np.zeros((digits, radix), np.uint32)
    for pair in pairs:
        for digit in range(digits):
            counts[digit, (pair >> np.uint64(32 + digit * digit_bits)) & digit_mask] += np.uint32(1)
    others = np.empty_like(pairs)
    for digit in range(digits):
        shift = np.uint64(32 + digit * digit_bits)
        place = counts[digit]
        total = np.uint32(0)
        for value in range(radix):
            number = place[value]
            place[value] = total
            total += number
        for pair in pairs:
            value = (pair >> shift) & digit_mask
            to = place[value]
            place[value] = to + np.uint32(1)
            others[to] = pair
        pairs, others = others, pairs
    return pairs


@compiled
def _sort_within(pairs, keys):
    """Finish the order of ``pairs`` whose items differ in ``keys`` beyond the 32 bits they were sorted by.

    Pairs of equal 32 bits are sorted by insertion, stable. False when there are too many of them for that.
    """
    moves = 0
    for k in range(1, pairs.size):
        pair = pairs[k]
        high = pair >> HALF
        if pairs[k - 1] >> HALF != high:
            continue
        key = keys[pair & ITEM]
        j = k
        while j > 0 and pairs[j - 1] >> HALF == high and keys[pairs[j - 1] & ITEM] > key:
            pairs[j] = pairs[j - 1]
            j -= 1
        pairs[j] = pair
        moves += k - j
        if moves > 2 * pairs.size:
            return False
    return True


@compiled
def sort_places(keys, places):
    """The ``places`` in ascending order of their keys, stable, and where each level (distinct key) begins in them.

    Keys are sorted as differences to the lowest, without the zeros they all end in. Where that leaves more than 32
    bits (most float64) the upper 32 are sorted and the few equal ones put in order after; where they are not few
    (an outlier far from the rest), the lower 32 bits are sorted first and the rest after. ``places`` may be reused.
    """
    number = keys.size
    if number == 0:
        return places, np.zeros(1, np.uint32)
    lowest = keys[0]
    for key in keys:
        lowest = min(lowest, key)
    used = ZERO
    for key in keys:
        used |= np.uint64(key - lowest)
    shift = ZERO
    while used != ZERO and used & ONE == ZERO:
        used >>= ONE
        shift += ONE
    num_bits = 0
    while used != ZERO:
        used >>= ONE
        num_bits += 1
    pairs = np.empty(number, np.uint64)
    levels = 1
    if num_bits <= 32:
        for k in range(number):
            pairs[k] = ((np.uint64(keys[k] - lowest) >> shift) << HALF) | np.uint64(places[k])
        pairs = _sort_pairs(pairs, num_bits)
        queue = places
        queue[0] = pairs[0] & ITEM
        for k in range(1, number):
            levels += pairs[k] >> HALF != pairs[k - 1] >> HALF
            queue[k] = pairs[k] & ITEM
        first = np.empty(levels + 1, np.uint32)
        level = 0
        first[0] = 0
        for k in range(1, number):
            if pairs[k] >> HALF != pairs[k - 1] >> HALF:
                level += 1
                first[level] = k
    else:
        upper = shift + np.uint64(num_bits - 32)
        for k in range(number):
            pairs[k] = ((np.uint64(keys[k] - lowest) >> upper) << HALF) | np.uint64(k)
        pairs = _sort_pairs(pairs, 32)
        if not _sort_within(pairs, keys):
            for k in range(number):
                pairs[k] = ((np.uint64(keys[k] - lowest) >> shift) << HALF) | np.uint64(k)
            pairs = _sort_pairs(pairs, 32)
            for k in range(number):
                item = pairs[k] & ITEM
                pairs[k] = ((np.uint64(keys[item] - lowest) >> shift) & ~ITEM) | item
            pairs = _sort_pairs(pairs, num_bits - 32)
        queue = np.empty(number, np.uint32)
        queue[0] = places[pairs[0] & ITEM]
        begins = np.empty(number, np.uint32)
        begins[0] = 0
        previous = keys[pairs[0] & ITEM]
        for k in range(1, number):
            item = pairs[k] & ITEM
            queue[k] = places[item]
            key = keys[item]
            if key != previous:
                previous = key
                begins[levels] = k
                levels += 1
        first = np.empty(levels + 1, np.uint32)
        first[:levels] = begins[:levels]
    first[levels] = number
    return queue, first


@compiled
def place_levels(queue, first, state):
    """Write the level of every pixel of a sorted ``queue`` into ``state``."""
    for level in range(first.size - 1):
        shared = first[level + 1] - first[level] > 1
        for k in range(first[level], first[level + 1]):
            state[queue[k]] = 2 * level + shared


@compiled
def place_integers(values, mask, row_start, lowest, levels, state):
    """As ``sort_places`` and ``place_levels``, for integers (rows, width) of so small a range that each is a level.

    The queue comes back with room for every pixel and nothing in it.
    """
    first = np.zeros(levels + 1, np.uint32)
    rows, width = values.shape
    for row in range(rows):
        for column in range(width):
            if mask[row, column]:
                level = np.int64(values[row, column]) - lowest
                state[row_start[row] + column] = 2 * level + SHARED
                first[level + 1] += np.uint32(1)
    for level in range(levels):
        first[level + 1] += first[level]
    return np.empty(first[levels], np.uint32), first


@compiled
def _lowest_bit(word):
    """Number of the lowest bit set in a uint64 that is not 0: the exponent of that bit as a float."""
    return np.uint64((np.float64(word & (~word + ONE)).view(np.int64) >> 52) - 1023)


@compiled
def flood(state, queue, first, offsets, markers, row_start):
    """Flood ``state`` in place from the pixels of ``markers`` (rows, width) that are not 0, in scan order.

    The water only rises. Pixels above it wait in the queue of their level, ``queue[first[v]:tail[v]]``; one that is
    alone on its level stands there from the start. A bit per level says whether anything waits. Pixels at or
    below the water are entered at once: when their turn comes in ``wave``, which begins with those that waited.
    """
    levels = np.uint64(first.size - 1)
    waiting = np.zeros((levels + LAST) >> SIX, np.uint64)
    tail = first[:-1].copy()
    wave = np.empty(queue.size, np.uint32)
    rows, width = markers.shape
    for row in range(rows):
        for column in range(width):
            label = markers[row, column]
            if label != 0:
                place = np.uint64(row_start[row] + column)
                mark = state[place]
                if mark >= 0:
                    state[place] = ~label
                    level = np.uint64(mark >> 1)
                    queue[tail[level]] = place
                    tail[level] += np.uint32(1)
                    waiting[level >> SIX] |= ONE << (level & LAST)
    for word in range(waiting.size):
        while waiting[word] != ZERO:
            level = np.uint64(word) << SIX | _lowest_bit(waiting[word])
            waiting[word] &= waiting[word] - ONE
            start = first[level]
            length = max(tail[level], start + np.uint32(1)) - start
            wave[:length] = queue[start : start + length]
            end = np.uint64(length)
            k = ZERO
            while k < end:
                place = np.uint64(wave[k])
                k += ONE
                label = state[place]
                for offset in offsets:
                    neighbor = place + offset
                    mark = state[neighbor]
                    if mark >= 0:
                        state[neighbor] = label
                        to = np.uint64(mark >> 1)
                        if to <= level:
                            wave[end] = neighbor
                            end += ONE
                            continue
                        if mark & SHARED:
                            queue[tail[to]] = neighbor
                            tail[to] += np.uint32(1)
                        waiting[to >> SIX] |= ONE << (to & LAST)


@compiled
def _summit(parent, place):
    """Highest pixel of the hill ``place`` is on; halves the way there for those who come after."""
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = np.int64(parent[place])
    return place


@compiled
def find_summits(height, queue, offsets, min_depth, parent, kept):
    """Set ``kept`` at the highest pixel of every hill that rises more than ``min_depth`` above its last pass.

    ``height`` is flat and padded, ``queue`` its places from high to low. Hills grow downwards; where two meet, the
    lower one ends and joins the other, of equal ones the later in scan order. ``parent`` (-1 everywhere at first)
    is left as the forest of who joined whom, which has one root for every connected piece.
    """
    for place in queue:
        level = float(height[place])
        home = np.int64(-1)
        for offset in offsets:
            neighbor = np.uint64(place) + offset
            if parent[neighbor] < 0:
                continue
            other = _summit(parent, np.int64(neighbor))
            if home < 0:
                home = other
            elif other != home:
                if height[other] > height[home] or (height[other] == height[home] and other < home):
                    home, other = other, home
                if float(height[other]) - level > min_depth:
                    kept[other] = True
                parent[other] = home
        if home < 0:
            home = np.int64(place)
        parent[place] = home
    for place in queue:
        if parent[place] == place:
            kept[place] = True


@compiled
def find_pieces(parent, places):
    """The root of the tree of ``parent`` that each of the ``places`` is in."""
    roots = np.empty(places.size, np.int64)
    for k in range(places.size):
        roots[k] = _summit(parent, np.int64(places[k]))
    return roots
