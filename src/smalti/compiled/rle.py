"""Runs along rows to runs along columns and back, and COCO's way of writing run lengths as text.

COCO counts pixels down the columns, smalti's runs go along the rows. Neither direction paints the image: a pixel
that differs from its neighbour above begins or ends a run of its column, so the stretches in which a row differs
from the row above, sorted by column, are the answer. The work follows the length of the outline.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

TEXT_OF_ZERO = 48  # COCO writes 6 bits a character from "0" on: 5 of the number and 1 for "more follows"
MAX_CHARACTERS = 12  # 60 bits, more than any count of pixels needs

NO_EDGE = np.iinfo(np.int64).max  # ends a list of edges

# What read_counts found.
FINE, UNKNOWN_CHARACTER, CUT_SHORT, TOO_LONG = 0, 1, 2, 3


@compiled
def _grown(array, needed):
    """``array`` with room for ``needed`` elements."""
    if needed <= array.size:
        return array
    larger = np.empty(max(needed, 2 * array.size), array.dtype)
    for index in range(array.size):  # assigning to a slice would compile numba's shape messages: 3 s more
        larger[index] = array[index]
    return larger


@compiled
def _merge_line(above, below, line, flips, lines, found):
    """Append the places where two neighbouring lines begin or cease to differ; returns how many there are in all.

    ``above`` and ``below`` are the edges of their runs, ascending and ended by ``NO_EDGE``; two at one place
    cancel. Without branches, which on noise are mispredicted half the time (3.5x slower there).
    """
    upper = lower = 0
    while True:
        one, other = above[upper], below[lower]
        place = min(one, other)
        if place == NO_EDGE:
            return found
        flips[found] = place
        lines[found // 2] = line
        found += one != other
        upper += one == place
        lower += other == place


@compiled
def transpose_runs(start, stop, width, height):
    """Runs of the transposed image, which has rows of ``height``, from the runs of one with rows of ``width``.

    Both ascend and never cross the end of a row. int64 in, int64 out.
    """
    num_runs = start.size
    flips = np.empty(4 * num_runs + 1, np.int64)  # two a stretch in which a row differs from the row above
    lines = np.empty(2 * num_runs + 1, np.int64)  # the row of each such stretch
    found = 0
    above = np.empty(2 * min(num_runs, width) + 1, np.int64)
    below = np.empty_like(above)
    none = np.full(1, NO_EDGE)
    above[0] = NO_EDGE
    previous = -1
    left, right = width, 0
    run = 0
    while run < num_runs:
        row = start[run] // width
        line = row * width
        edges = 0
        while run < num_runs and start[run] < line + width:
            below[edges] = start[run] - line
            below[edges + 1] = stop[run] - line
            edges += 2
            run += 1
        below[edges] = NO_EDGE
        left = min(left, below[0])
        right = max(right, below[edges - 1])
        if previous != row - 1:  # an empty row ends what was above it
            found = _merge_line(above, none, previous + 1, flips, lines, found)
            above[0] = NO_EDGE
        found = _merge_line(above, below, row, flips, lines, found)
        above, below = below, above
        previous = row
    found = _merge_line(above, none, previous + 1, flips, lines, found)
    if found == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)

    place = np.zeros(right - left + 1, np.int64)  # where the next edge of each column goes
    for flip in range(0, found, 2):
        place[flips[flip] - left] += 1
        place[flips[flip + 1] - left] -= 1
    num_edges = 0
    stretches = 0
    for x in range(right - left):
        stretches += place[x]
        place[x] = num_edges
        num_edges += stretches
    edges_down = np.empty(num_edges, np.int64)
    for flip in range(0, found, 2):
        y = lines[flip // 2]
        for x in range(flips[flip], flips[flip + 1]):
            edges_down[place[x - left]] = x * height + y
            place[x - left] += 1
    return edges_down[::2].copy(), edges_down[1::2].copy()


@compiled
def counts_of_runs(start, stop, size):
    """COCO's counts: background, segment, background, ... along the flat image; runs that touch are one."""
    counts = np.empty(2 * start.size + 1, np.int64)
    used = 0
    place = 0
    run = 0
    while run < start.size:
        counts[used] = start[run] - place
        place = start[run]
        while run + 1 < start.size and start[run + 1] == stop[run]:
            run += 1
        counts[used + 1] = stop[run] - place
        place = stop[run]
        used += 2
        run += 1
    if place < size or used == 0:
        counts[used] = size - place
        used += 1
    return counts[:used]


@compiled
def runs_of_counts(counts, width):
    """Runs along the flat image from COCO's counts, cut at the ends of its rows of ``width``.

    Counts of 0 are allowed anywhere; runs they separate are joined.
    """
    pieces = 0
    place = 0
    for index in range(counts.size):
        if index % 2 and counts[index]:
            pieces += (place + counts[index] - 1) // width - place // width + 1
        place += counts[index]
    start = np.empty(pieces, np.int64)
    stop = np.empty(pieces, np.int64)
    found = 0
    place = 0
    for index in range(counts.size):
        end = place + counts[index]
        if index % 2:
            while place < end:
                row_end = min(end, (place // width + 1) * width)
                if found and stop[found - 1] == place and place % width:
                    stop[found - 1] = row_end
                else:
                    start[found] = place
                    stop[found] = row_end
                    found += 1
                place = row_end
        place = end
    return start[:found], stop[:found]


@compiled
def _write_counts(counts, text, used):
    """Append COCO's text for ``counts``: from the fourth on, a count less the one two before it."""
    text = _grown(text, used + MAX_CHARACTERS * counts.size)
    for index in range(counts.size):
        number = counts[index]
        if index > 2:
            number -= counts[index - 2]
        while True:
            bits = number & 31
            number >>= 5
            # the sign is the highest of the five bits, so one more group follows until it says so
            if number == (-1 if bits & 16 else 0):
                text[used] = bits + TEXT_OF_ZERO
                used += 1
                break
            text[used] = bits + 32 + TEXT_OF_ZERO
            used += 1
    return text, used


@compiled
def encode_runs(offsets, start, stop, height, width, by_column):
    """COCO's text of each segment, as one uint8 array, and where each begins, ``(N + 1,)``.

    ``by_column`` says that the runs are those of the transposed image already.
    """
    num_segments = offsets.size - 1
    places = np.zeros(num_segments + 1, np.int64)
    text = np.empty(1024, np.uint8)
    used = 0
    for k in range(num_segments):
        down = start[offsets[k] : offsets[k + 1]]
        until = stop[offsets[k] : offsets[k + 1]]
        if not by_column:
            down, until = transpose_runs(down, until, width, height)
        text, used = _write_counts(counts_of_runs(down, until, height * width), text, used)
        places[k + 1] = used
    return text[:used], places


@compiled
def read_counts(text):
    """Counts written in COCO's ``text`` (uint8), what was wrong with it, and at which character."""
    counts = np.empty(text.size, np.int64)
    found = 0
    number = 0
    shift = 0
    for index in range(text.size):
        bits = np.int64(text[index]) - TEXT_OF_ZERO
        if bits < 0 or bits > 63:
            return counts[:found], UNKNOWN_CHARACTER, index
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            if shift >= 5 * MAX_CHARACTERS:
                return counts[:found], TOO_LONG, index
            continue
        if bits & 16:
            number |= np.int64(-1) << shift
        if found > 2:
            number += counts[found - 2]
        counts[found] = number
        found += 1
        number = 0
        shift = 0
    return counts[:found], (CUT_SHORT if shift else FINE), text.size


@compiled
def fill_their_images(text, ends, sizes):
    """Whether each of many COCO texts, one after the other in ``text`` up to ``ends``, has counts of its size."""
    fine = np.zeros(ends.size, np.bool_)
    begin = 0
    for k in range(ends.size):
        counts, problem, _ = read_counts(text[begin : ends[k]])
        begin = ends[k]
        left = sizes[k]
        for index in range(counts.size):
            if counts[index] < 0 or counts[index] > left:
                left = -1
                break
            left -= counts[index]
        fine[k] = problem == FINE and left == 0
    return fine


@compiled
def paint(mask, start, stop):
    """Set the runs in a flat uint8 ``mask``."""
    for run in range(start.size):
        mask[start[run] : stop[run]] = 1
