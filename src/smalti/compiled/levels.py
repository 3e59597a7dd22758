"""Runs of the pixels where coarse planes, interpolated to the size of the image, are above a threshold.

Between four coarse values interpolation is bilinear and so between the lowest and the highest of them: cells with all
four above are whole stretches of runs, cells with none above are passed over, and only cells that the outline crosses
are looked into. In one row of such a cell the interpolated value is linear, so its crossing is computed, and the
pixels whose value is within rounding of the threshold are evaluated in float32 in the order of operations that torch
has. The work so follows the coarse plane and the outlines, never the pixels of the image.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from .jit import compiled

HALF = np.float32(0.5)
ONE = np.float32(1)
ZERO = np.float32(0)
INFINITE = np.int32(0x7F800000)  # bits of float32 infinity: what is finite is below
WITHOUT_SIGN = np.int32(0x7FFFFFFF)
ROUNDING = (
    2.0**-20
)  # more than three times what the roundings of a value sum to, as a share of the largest around it
SMALLEST = 1e-37  # what rounding may lose below the normal numbers of float32
NEAR_PX = 3  # cells with no more pixels are evaluated whole
ALL_OUT, CROSSED, ALL_IN = np.uint8(0), np.uint8(1), np.uint8(2)  # what a cell may be


@intrinsic
def _fma(typing_context, a, b, c):
    """``a * b + c`` with one rounding, as the compilers of torch make of its interpolation."""
    signature = types.float32(types.float32, types.float32, types.float32)

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return signature, generate


@compiled
def axis_weights(size, out_size):
    """Where each of ``out_size`` places lies between ``size`` coarse ones along one axis, in torch's float32.

    Gives the lower neighbour (out_size,), the weights of it and of the next, and for each coarse place c the
    first output place at or after it, ``(size + 1,)``: those between c and c + 1 are ``first[c]:first[c + 1]``.
    """
    lower = np.empty(out_size, np.int64)
    near = np.empty(out_size, np.float32)
    far = np.empty(out_size, np.float32)
    first = np.full(size + 1, out_size, np.int64)
    scale = np.float32(np.float32(size) / np.float32(out_size))
    reached = 0
    for i in range(out_size):
        if size == out_size:
            lower[i], far[i] = i, ZERO
        else:
            place = max(_fma(scale, np.float32(i) + HALF, -HALF), ZERO)
            lower[i] = min(np.int64(place), size - 1)
            far[i] = min(max(place - np.float32(lower[i]), ZERO), ONE)
        near[i] = ONE - far[i]
        while reached <= lower[i]:
            first[reached] = i
            reached += 1
    return lower, near, far, first


@compiled
def extents(plane, bits, low):
    """First and one past the last column above ``low`` of each row (0, 0 if none), and whether all is finite."""
    height, width = plane.shape
    begins = np.zeros(height, np.int64)
    ends = np.zeros(height, np.int64)
    top = np.int32(0)
    for y in range(height):
        row = plane[y]
        row_bits = bits[y]
        above = 0
        for x in range(width):
            above += row[x] > low
            top = max(top, row_bits[x] & WITHOUT_SIGN)
        if above:
            begins[y], ends[y] = _extent(row, 0, width, low)
    return begins, ends, top < INFINITE


@compiled
def _extent(row, begin, end, low):
    while begin < end and row[begin] <= low:
        begin += 1
    if begin == end:
        return 0, 0
    while row[end - 1] <= low:
        end -= 1
    return begin, end


@compiled
def _union(begin, end, other_begin, other_end):
    """The stretch that covers two of columns, of which an empty one ends at 0."""
    if end == 0:
        return other_begin, other_end
    if other_end == 0:
        return begin, end
    return min(begin, other_begin), max(end, other_end)


@compiled
def _add(starts, stops, row_first, found, start, stop):
    """Append a run to the table, or lengthen the last one of this row where it touches it."""
    if found > row_first and stops[found - 1] == start:
        stops[found - 1] = stop
        return found
    starts[found] = start
    stops[found] = stop
    return found + 1


@compiled
def _states(upper, lower, begin, end, low, high, states):
    """Whether each cell of ``begin:end`` is out, in or may be crossed; without a branch, so many at a time."""
    # From 0 on: where an index might be negative, numba looks at each, and one at a time.
    one, two = upper[begin:end], upper[begin + 1 : end + 1]
    three, four = lower[begin:end], lower[begin + 1 : end + 1]
    out = states[begin:end]
    for cell in range(out.size):
        any_above = (one[cell] > low) | (two[cell] > low) | (three[cell] > low) | (four[cell] > low)
        all_reach = (one[cell] >= high) & (two[cell] >= high) & (three[cell] >= high) & (four[cell] >= high)
        out[cell] = np.uint8(any_above) + np.uint8(all_reach)


@compiled
def _cells(upper, lower, begin, end, first_x, left, right, low, high, states, spans, scales):
    """The stretches of one band of cells: whole ones that are in, and one by one those the outline may cross.

    ``spans`` (S, 3) are the first and one past the last pixel and the cell, -1 where all are in; ``scales`` the
    largest coarse value around the cell. Only pixels in ``left:right`` count. Returns the number of spans.
    """
    last = upper.size - 1
    _states(upper, lower, begin, min(end, last), low, high, states)
    if end > last:
        corners = (upper[last], lower[last])
        states[last] = ALL_OUT if max(corners) <= low else ALL_IN if min(corners) >= high else CROSSED
    states[end] = CROSSED  # so that every stretch ends
    count = 0
    cell = begin
    while cell < end:
        first = cell
        state = states[cell]
        cell += 1
        if state != CROSSED:
            while states[cell] == state:
                cell += 1
        if state == ALL_OUT:
            continue
        p, q = max(first_x[first], left), min(first_x[cell], right)
        if p >= q:
            continue
        spans[count, 0], spans[count, 1], spans[count, 2] = p, q, -1
        if state != ALL_IN:
            after = min(cell, last)
            spans[count, 2] = first
            above_scale = max(abs(upper[first]), abs(upper[after]))
            scales[count] = max(above_scale, max(abs(lower[first]), abs(lower[after])))
        count += 1
    return count


@compiled
def _crossing(far_x, begin, end, place, guess):
    """First pixel of ``begin:end`` that lies at ``place`` of its cell (0..1) or after it, searched from ``guess``."""
    pixel = min(max(guess, begin), end)
    while pixel > begin and far_x[pixel - 1] >= place:
        pixel -= 1
    while pixel < end and far_x[pixel] < place:
        pixel += 1
    return pixel


@compiled
def _band(
    upper, lower, begin, end, rows, left, right, axis_y, axis_x, levels, work, starts, stops, found
):  # fmt: skip
    """Add the runs of the image rows ``rows[0]:rows[1]``, which lie between two coarse rows.

    ``begin:end`` are the cells that may hold something, ``left:right`` the columns of the image that count,
    ``axis_y`` and ``axis_x`` what ``axis_weights`` gave, ``levels`` (threshold, low, high): what is at most low stays
    out and what is at least high in, whatever it is mixed with. Returns the table, which may have grown.
    """
    _, near_y, far_y, _ = axis_y
    lower_x, near_x, far_x, first_x = axis_x
    threshold, low, high = levels
    states, spans, scales = work
    out_width = lower_x.size
    count = _cells(upper, lower, begin, end, first_x, left, right, low, high, states, spans, scales)
    if count == 0:
        return starts, stops, found
    pixels_a_cell = out_width / upper.size
    for y in range(rows[0], rows[1]):
        if found + out_width // 2 + 1 > starts.size:
            starts = np.concatenate((starts, np.empty(max(starts.size, out_width), np.int64)))
            stops = np.concatenate((stops, np.empty(starts.size - stops.size, np.int64)))
        row_first = found
        base = y * out_width
        near, far = near_y[y], far_y[y]
        for span in range(count):
            p, q, cell = spans[span, 0], spans[span, 1], spans[span, 2]
            if cell < 0:
                found = _add(starts, stops, row_first, found, base + p, base + q)
                continue
            after = min(cell + 1, upper.size - 1)
            unsure, sure = p, q  # the pixels to be evaluated
            slope = 0.0
            if q - p > NEAR_PX:
                a = np.float64(upper[cell]) * near + np.float64(lower[cell]) * far - threshold
                b = np.float64(upper[after]) * near + np.float64(lower[after]) * far - threshold
                error = ROUNDING * (scales[span] + abs(threshold)) + SMALLEST
                if a > error and b > error:
                    found = _add(starts, stops, row_first, found, base + p, base + q)
                    continue
                if a < -error and b < -error:
                    continue
                if abs(b - a) > 4 * error:
                    slope = b - a
                    one, other = (-error - a) / slope, (error - a) / slope
                    lowest, highest = min(one, other), max(one, other)
                    guess = np.int64((cell + min(max(lowest, 0.0), 1.0) + 0.5) * pixels_a_cell)
                    unsure = _crossing(far_x, p, q, lowest, guess)
                    sure = unsure
                    while sure < q and far_x[sure] <= highest:
                        sure += 1
            if slope < 0 and p < unsure:
                found = _add(starts, stops, row_first, found, base + p, base + unsure)
            for x in range(unsure, sure):
                above = _fma(upper[cell], near_x[x], upper[after] * far_x[x])
                below = _fma(lower[cell], near_x[x], lower[after] * far_x[x])
                if _fma(above, near, below * far) > np.float32(threshold):
                    found = _add(starts, stops, row_first, found, base + x, base + x + 1)
            if slope > 0 and sure < q:
                found = _add(starts, stops, row_first, found, base + sure, base + q)
    return starts, stops, found


@compiled
def _work(width):
    """Room for the states, spans and scales of one band's cells."""
    return np.empty(width + 1, np.uint8), np.empty((width, 3), np.int64), np.empty(width, np.float32)


@compiled
def level_runs(planes, bits, axis_y, axis_x, levels, boxes):
    """Runs of each of the planes ``(N, h, w)`` float32, and the number of the first plane that is not finite, or N.

    ``bits`` is the same memory as int32, ``boxes`` (N, 4) where in the image each may lie.
    """
    count, height, width = planes.shape
    first_y = axis_y[3]
    work = _work(width)
    offsets = np.zeros(count + 1, np.int64)
    starts = np.empty(4096, np.int64)
    stops = np.empty(4096, np.int64)
    found = 0
    for k in range(count):
        plane = planes[k]
        begins, ends, finite = extents(plane, bits[k], levels[1])
        if not finite:
            return offsets, starts[:0], stops[:0], k
        for y in range(height):
            below = min(y + 1, height - 1)
            rows = max(first_y[y], boxes[k, 0]), min(first_y[y + 1], boxes[k, 2])
            begin, end = _union(begins[y], ends[y], begins[below], ends[below])
            if end == 0 or rows[0] >= rows[1]:
                continue
            starts, stops, found = _band(
                plane[y], plane[below], max(begin - 1, 0), end, rows, boxes[k, 1], boxes[k, 3],
                axis_y, axis_x, levels, work, starts, stops, found,
            )  # fmt: skip
        offsets[k + 1] = found
    return offsets, starts[:found], stops[:found], count


@compiled
def _stretch_x(row, begin, end, axis_x, out):
    """One coarse row interpolated along x, at the places ``begin:end``."""
    lower_x, near_x, far_x, _ = axis_x
    last = row.size - 1
    for x in range(begin, end):
        cell = lower_x[x]
        out[x] = _fma(row[cell], near_x[x], row[min(cell + 1, last)] * far_x[x])


@compiled
def _stretch_y(upper, lower, near, far, begin, end, out):
    """Two rows of places interpolated along y, at the places ``begin:end``."""
    one, other, made = upper[begin:end], lower[begin:end], out[begin:end]
    for x in range(made.size):
        made[x] = _fma(one[x], near, other[x] * far)


@compiled
def _needed(begins, ends, lower_y, axis_x, valid_hw, needed):
    """Which columns of each row in between are to be computed, into ``needed`` (valid height, 2); ends at 0 for none.

    They are those with a coarse value above low around them, here or in the next rows, and one more on either side.
    All others are below, and so are all their neighbours.
    """
    height = begins.size
    first_x = axis_x[3]
    valid_height, valid_width = valid_hw
    needed[:, 0] = valid_width
    needed[:, 1] = 0
    for row in range(valid_height):
        above, under = lower_y[row], min(lower_y[row] + 1, height - 1)
        begin, end = _union(begins[above], ends[above], begins[under], ends[under])
        if end == 0:
            continue
        left = max(min(first_x[max(begin - 1, 0)], valid_width) - 1, 0)
        right = min(first_x[end] + 1, valid_width)
        for around in range(max(row - 1, 0), min(row + 2, valid_height)):
            needed[around, 0] = min(needed[around, 0], left)
            needed[around, 1] = max(needed[around, 1], right)


@compiled
def stretched_level_runs(planes, bits, between, valid_hw, axis_y, axis_x, all_levels, boxes):
    """As ``level_runs`` of planes that are first interpolated to a size in between and cut to ``valid_hw``.

    ``between`` are the two ``axis_weights`` of that, ``all_levels`` the levels for it and for what follows. Rows of
    the size in between are made when needed, two at a time, and only where something may be above.
    """
    count, height, _ = planes.shape
    valid_height, valid_width = valid_hw
    between_y, between_x = between
    lower_y, near_y, far_y, _ = between_y
    levels = all_levels[1]
    first_y = axis_y[3]
    work = _work(valid_width)
    needed = np.empty((valid_height, 2), np.int64)
    coarse = np.empty((2, valid_width), np.float32)  # interpolated along x; row r in place r % 2
    coarse_made = np.empty((2, 3), np.int64)  # its number, and of which columns
    rows = np.empty((2, valid_width), np.float32)  # and along y
    rows_made = np.empty(2, np.int64)
    offsets = np.zeros(count + 1, np.int64)
    starts = np.empty(4096, np.int64)
    stops = np.empty(4096, np.int64)
    found = 0
    for k in range(count):
        plane = planes[k]
        begins, ends, finite = extents(plane, bits[k], all_levels[0][1])
        if not finite:
            return offsets, starts[:0], stops[:0], k
        _needed(begins, ends, lower_y, between_x, valid_hw, needed)
        coarse_made[:] = -1
        rows_made[:] = -1
        for y in range(valid_height):
            out_rows = max(first_y[y], boxes[k, 0]), min(first_y[y + 1], boxes[k, 2])
            below = min(y + 1, valid_height - 1)
            begin, end = _union(needed[y, 0], needed[y, 1], needed[below, 0], needed[below, 1])
            if out_rows[0] >= out_rows[1] or begin >= end:
                continue
            for row in (y, below):
                made = rows[row % 2]
                if rows_made[row % 2] != row:
                    above, under = lower_y[row], min(lower_y[row] + 1, height - 1)
                    left, right = needed[row, 0], needed[row, 1]
                    for source in (above, under):
                        ready = coarse_made[source % 2]
                        if ready[0] != source or ready[1] > left or ready[2] < right:
                            _stretch_x(plane[source], left, right, between_x, coarse[source % 2])
                            ready[0], ready[1], ready[2] = source, left, right
                    one, other = coarse[above % 2], coarse[under % 2]
                    for near_row in range(max(row - 1, 0), min(row + 2, valid_height)):
                        if needed[near_row, 1] > 0:
                            made[needed[near_row, 0] : needed[near_row, 1]] = levels[1]
                    _stretch_y(one, other, near_y[row], far_y[row], left, right, made)
                    rows_made[row % 2] = row
            starts, stops, found = _band(
                rows[y % 2], rows[below % 2], begin, end - (end < valid_width), out_rows, boxes[k, 1], boxes[k, 3],
                axis_y, axis_x, levels, work, starts, stops, found,
            )  # fmt: skip
        offsets[k + 1] = found
    return offsets, starts[:found], stops[:found], count
