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

# What read_counts found.
FINE, UNKNOWN_CHARACTER, CUT_SHORT, TOO_LONG = 0, 1, 2, 3


@compiled
def _grown(array, needed):
    """``array`` with room for ``needed`` elements."""
    if needed <= array.size:
        return array
    larger = np.empty(max(needed, 2 * array.size), array.dtype)
    larger[: array.size] = array
    return larger


@compiled
def _edge(start, stop, line, edge):
    """Where edge ``2 * run`` (begin) or ``2 * run + 1`` (end) lies in the line that begins at pixel ``line``."""
    if edge % 2:
        return stop[edge // 2] - line
    return start[edge // 2] - line


@compiled
def _line_changes(start, stop, above, below, end, line_above, line_below, line, changes, found):
    """Append the stretches (line, begin, end) in which two neighbouring lines differ; returns how many there are.

    The upper line has the runs ``above:below``, the lower one ``below:end``. Their edges are merged in ascending
    order; two at the same place cancel.
    """
    upper, last_upper = 2 * above, 2 * below
    lower, last_lower = 2 * below, 2 * end
    begin = -1
    while upper < last_upper or lower < last_lower:
        if lower == last_lower:
            place = _edge(start, stop, line_above, upper)
            upper += 1
        elif upper == last_upper:
            place = _edge(start, stop, line_below, lower)
            lower += 1
        else:
            place = _edge(start, stop, line_above, upper)
            other = _edge(start, stop, line_below, lower)
            if place == other:
                upper += 1
                lower += 1
                continue
            if place < other:
                upper += 1
            else:
                place = other
                lower += 1
        if begin < 0:
            begin = place
        else:
            changes[found, 0] = line
            changes[found, 1] = begin
            changes[found, 2] = place
            found += 1
            begin = -1
    return found


@compiled
def transpose_runs(start, stop, width, height):
    """Runs of the transposed image, which has rows of ``height``, from the runs of one with rows of ``width``.

    Both ascend and never cross the end of a row. int64 in, int64 out.
    """
    num_runs = start.size
    changes = np.empty((2 * num_runs, 3), np.int64)
    found = 0
    above = below = 0  # runs of the row above: above:below
    previous = -2
    left, right = width, 0
    while below < num_runs:
        row = start[below] // width
        line = row * width
        end = below
        while end < num_runs and start[end] < line + width:
            left = min(left, start[end] - line)
            right = max(right, stop[end] - line)
            end += 1
        if previous != row - 1 and above < below:  # an empty row ends what was above it
            found = _line_changes(
                start, stop, above, below, below, previous * width, 0, previous + 1, changes, found
            )
            above = below
        found = _line_changes(start, stop, above, below, end, line - width, line, row, changes, found)
        above, below, previous = below, end, row
    if above < below:
        found = _line_changes(
            start, stop, above, below, below, previous * width, 0, previous + 1, changes, found
        )
    if found == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)

    place = np.zeros(right - left + 1, np.int64)  # how many edges begin at a column, summed: edges before it
    for change in range(found):
        place[changes[change, 1] - left] += 1
        place[changes[change, 2] - left] -= 1
    edges = 0
    inside = 0
    for x in range(right - left):
        inside += place[x]
        place[x] = edges
        edges += inside
    new_start = np.empty(edges // 2, np.int64)
    new_stop = np.empty(edges // 2, np.int64)
    for change in range(found):
        y = changes[change, 0]
        for x in range(changes[change, 1] - left, changes[change, 2] - left):
            edge = place[x]
            place[x] += 1
            if edge % 2:
                new_stop[edge // 2] = (x + left) * height + y
            else:
                new_start[edge // 2] = (x + left) * height + y
    return new_start, new_stop


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
def paint(mask, start, stop):
    """Set the runs in a flat uint8 ``mask``."""
    for run in range(start.size):
        mask[start[run] : stop[run]] = 1
