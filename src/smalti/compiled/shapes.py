"""Outlines, hulls and topology of segments, straight from their runs.

Every loop takes the segments one by one, so overlap needs no special case and nothing is kept per pixel.
Runs come as ``place`` gives them: ``row``, ``first`` and ``stop`` (R,) inside the segment's own box, where
rows count on from plane to plane, and ``sizes`` (N, 3) holds the boxes' depth, height and width (depth 1 in
2-D).
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

NOTHING = np.int64(2**62)  # no column is there
_BY_NEIGHBOURS = np.zeros(
    (3, 3, 5, 3), np.int64
)  # horizontal, vertical, diagonal neighbours -> lengths of the same
for _across, _down, _diagonal in np.ndindex(3, 3, 5):
    _steps = _across + _down
    if _steps in (2, 3) and _diagonal <= 2:
        _BY_NEIGHBOURS[_across, _down, _diagonal] = (6 * _across // _steps, 6 * _down // _steps, 0)
    elif (_steps, _diagonal) in ((0, 2), (1, 3)):
        _BY_NEIGHBOURS[_across, _down, _diagonal] = (0, 0, 6)
    elif _steps == 1 and _diagonal in (1, 2):
        _BY_NEIGHBOURS[_across, _down, _diagonal] = (3 * _across, 3 * _down, 3)
SIXTHS = _BY_NEIGHBOURS.reshape(45, 3)


@compiled
def place(offsets, start, stop, boxes, height, width):
    """Runs of the flattened image to runs in their segment's box ``(zmin, ymin, xmin, zmax, ymax, xmax)``."""
    rows = np.empty(start.size, np.int32)
    firsts = np.empty(start.size, np.int32)
    stops = np.empty(start.size, np.int32)
    for k in range(offsets.size - 1):
        rows_per_plane = boxes[k, 4] - boxes[k, 1]
        line = -1
        line_start = 0
        row = 0
        for run in range(offsets[k], offsets[k + 1]):
            begin = np.int64(start[run])
            if line >= 0 and begin < line_start + width:
                pass
            elif line >= 0 and begin < line_start + 2 * width and boxes[k, 3] - boxes[k, 0] == 1:
                line += 1
                line_start += width
                row += 1
            else:
                line = begin // width
                line_start = line * width
                z = line // height
                row = (z - boxes[k, 0]) * rows_per_plane + line - z * height - boxes[k, 1]
            rows[run] = row
            firsts[run] = begin - line_start - boxes[k, 2]
            stops[run] = stop[run] - line_start - boxes[k, 2]
    return rows, firsts, stops


@compiled
def _index_rows(table, row, begin, end, num_rows):
    """``table[r]:table[r + 1]`` become the runs of row r among ``begin:end``."""
    run = begin
    for r in range(num_rows):
        while run < end and row[run] < r:
            run += 1
        table[r] = run
    table[num_rows] = end


@compiled
def _repaint(border, spans, count, base, table, first, stop, r, num_rows):
    """Clear the ``count`` spans of the row of ``border`` that begins at ``base`` and paint the border pixels
    of row ``r``: those whose neighbour left, right, above or below is not in the segment. The row has a pixel
    of margin at either side; row ``num_rows`` has none to paint. Returns the number of new ``spans``."""
    if count > 0:
        for x in range(base + 1 + spans[0, 0], base + 1 + spans[count - 1, 1]):
            border[x] = 0
    if r == num_rows:
        return 0
    count = 0
    inner = 0 < r < num_rows - 1
    above, above_end = (table[r - 1], table[r]) if inner else (0, 0)
    below, below_end = (table[r + 1], table[r + 2]) if inner else (0, 0)
    for run in range(table[r], table[r + 1]):
        edge = first[run]  # where the span being grown begins
        last = stop[run] - 1
        while above < above_end and below < below_end:
            low = max(first[run] + 1, first[above], first[below])
            high = min(last, stop[above], stop[below])
            if low < high:  # low:high is covered above and below: no border
                spans[count, 0] = edge
                spans[count, 1] = low
                count += 1
                edge = high
            if min(stop[above], stop[below]) >= last:
                break
            if stop[above] <= stop[below]:
                above += 1
            else:
                below += 1
        spans[count, 0] = edge
        spans[count, 1] = stop[run]
        count += 1
    for span in range(count):
        for x in range(base + 1 + spans[span, 0], base + 1 + spans[span, 1]):
            border[x] = 1
    return count


@compiled
def border_steps(offsets, row, first, stop, sizes, weights):
    """Length of each segment's border in sixths of a horizontal, vertical and diagonal step, (N, 3), 2-D.

    ``weights`` is ``SIXTHS``: what a border pixel adds, by the number of its border neighbours. Three rows of
    border pixels are kept, in a ring.
    """
    count = offsets.size - 1
    steps = np.zeros((count, 3), np.int64)
    if count == 0:
        return steps
    table = np.empty(sizes[:, 1].max() + 1, np.int64)
    widest = sizes[:, 2].max()
    pitch = widest + 2
    border = np.zeros(3 * pitch, np.uint8)
    spans = np.empty((3, widest // 2 + 1, 2), np.int64)
    num_spans = np.zeros(3, np.int64)
    for k in range(count):
        num_rows = sizes[k, 1]
        _index_rows(table, row, offsets[k], offsets[k + 1], num_rows)
        across = down = diagonal = 0
        for r in range(num_rows + 1):  # paint row r, then count row r - 1
            new, old, oldest = r % 3, (r + 2) % 3, (r + 1) % 3
            num_spans[new] = _repaint(
                border, spans[new], num_spans[new], new * pitch, table, first, stop, r, num_rows
            )
            for span in range(num_spans[old]):
                for x in range(spans[old, span, 0], spans[old, span, 1]):
                    here = old * pitch + x
                    above = oldest * pitch + x
                    below = new * pitch + x
                    code = (
                        15 * (border[here] + border[here + 2])
                        + 5 * (border[above + 1] + border[below + 1])
                        + (border[above] + border[above + 2] + border[below] + border[below + 2])
                    )
                    across += weights[code, 0]
                    down += weights[code, 1]
                    diagonal += weights[code, 2]
        steps[k, 0] = across
        steps[k, 1] = down
        steps[k, 2] = diagonal
        for slot in range(3):
            _repaint(
                border, spans[slot], num_spans[slot], slot * pitch, table, first, stop, num_rows, num_rows
            )
            num_spans[slot] = 0
    return steps


@compiled
def euler_numbers_2d(offsets, row, first, stop, sizes):
    """Euler number of each segment as 8-connected, (N,): its runs minus the pairs of them that touch."""
    count = offsets.size - 1
    numbers = np.zeros(count, np.int64)
    for k in range(count):
        end = offsets[k + 1]
        above = offsets[k]
        touching = 0
        for run in range(offsets[k], end):
            while row[above] < row[run] - 1 or (row[above] == row[run] - 1 and stop[above] < first[run]):
                above += 1
            other = above
            while row[other] == row[run] - 1 and first[other] <= stop[run]:
                touching += 1
                other += 1
        numbers[k] = end - offsets[k] - touching
    return numbers


@compiled
def _stretches(first, stop, a, a_end, b, b_end, c, c_end, d, d_end):
    """Connected stretches of the union of up to four rows of runs; runs that touch are connected."""
    count = 0
    reach = np.int64(-1)
    far = NOTHING
    while True:
        x_a = np.int64(first[a]) if a < a_end else far
        x_b = np.int64(first[b]) if b < b_end else far
        x_c = np.int64(first[c]) if c < c_end else far
        x_d = np.int64(first[d]) if d < d_end else far
        x = min(x_a, x_b, x_c, x_d)
        if x == far:
            return count
        if x > reach:
            count += 1
        if x == x_a:
            reach = max(reach, stop[a])
            a += 1
        elif x == x_b:
            reach = max(reach, stop[b])
            b += 1
        elif x == x_c:
            reach = max(reach, stop[c])
            c += 1
        else:
            reach = max(reach, stop[d])
            d += 1


@compiled
def euler_numbers_3d(offsets, row, first, stop, sizes):
    """Euler number of each segment as 26-connected, (N,).

    The Euler number adds up over the pieces space is cut into by the planes between voxels: the rows (+), the
    faces between two rows (-), the lines between four (+). On each, it is the number of connected stretches.
    """
    count = offsets.size - 1
    numbers = np.zeros(count, np.int64)
    if count == 0:
        return numbers
    table = np.empty((sizes[:, 0] * sizes[:, 1]).max() + 1, np.int64)
    for k in range(count):
        depth, height = sizes[k, 0], sizes[k, 1]
        _index_rows(table, row, offsets[k], offsets[k + 1], depth * height)
        total = offsets[k + 1] - offsets[k]
        for z in range(depth + 1):
            for y in range(height + 1):
                r = z * height + y
                a = b = c = d = (np.int64(0), np.int64(0))
                if z < depth and y < height:
                    a = (table[r], table[r + 1])
                if z < depth and y > 0:
                    b = (table[r - 1], table[r])
                if z > 0 and y < height:
                    c = (table[r - height], table[r - height + 1])
                if z > 0 and y > 0:
                    d = (table[r - height - 1], table[r - height])
                if z < depth:
                    total -= _stretches(first, stop, a[0], a[1], b[0], b[1], 0, 0, 0, 0)
                if y < height:
                    total -= _stretches(first, stop, a[0], a[1], c[0], c[1], 0, 0, 0, 0)
                total += _stretches(first, stop, a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1])
        numbers[k] = total
    return numbers


@compiled
def _shared(first, stop, a, a_end, b, b_end, shift):
    """Pixels x of row a for which x + ``shift`` is in row b."""
    total = 0
    while a < a_end and b < b_end:
        low = max(np.int64(first[a]), first[b] - shift)
        high = min(np.int64(stop[a]), stop[b] - shift)
        if low < high:
            total += high - low
        if stop[a] <= stop[b] - shift:
            a += 1
        else:
            b += 1
    return total


@compiled
def chords(offsets, row, first, stop, sizes, directions):
    """Stretches that each segment cuts from all pixel lines along each of ``directions`` (M, 3) as (dz, dy,
    dx), (N, M). No direction may point back: dz, then dy, then dx is the first that is not 0 and is
    positive."""
    count = offsets.size - 1
    out = np.zeros((count, len(directions)), np.int64)
    if count == 0:
        return out
    table = np.empty((sizes[:, 0] * sizes[:, 1]).max() + 1, np.int64)
    for k in range(count):
        depth, height = sizes[k, 0], sizes[k, 1]
        _index_rows(table, row, offsets[k], offsets[k + 1], depth * height)
        area = 0
        for run in range(offsets[k], offsets[k + 1]):
            area += stop[run] - first[run]
        for direction in range(len(directions)):
            dz, dy, dx = directions[direction]
            joined = 0
            for z in range(depth - dz):
                for y in range(max(0, -dy), min(height, height - dy)):
                    a = z * height + y
                    b = a + dz * height + dy
                    joined += _shared(first, stop, table[a], table[a + 1], table[b], table[b + 1], dx)
            out[k, direction] = area - joined
    return out


@compiled
def _left_edge(xs, length, corner_r, corner_x):
    """Corners of the left side of the convex hull of the points (r, xs[r]); returns their number.

    Andrew (1979), monotone chain. Rows without a point hold ``NOTHING``.
    """
    top = 0
    for r in range(length):
        x = xs[r]
        if x == NOTHING:
            continue
        while top >= 2:
            r0, x0 = corner_r[top - 2], corner_x[top - 2]
            if (corner_x[top - 1] - x0) * (r - r0) < (x - x0) * (corner_r[top - 1] - r0):
                break
            top -= 1
        corner_r[top] = r
        corner_x[top] = x
        top += 1
    return top


@compiled
def _sum_of_first_pixels(corner_r, corner_x, num_corners):
    """Sum over the pixel rows (odd r) of the first pixel (even x, halved) on or right of a left edge."""
    total = 0
    for corner in range(num_corners - 1):
        r0, x0 = corner_r[corner], corner_x[corner]
        rise, run = corner_r[corner + 1] - r0, corner_x[corner + 1] - x0
        for r in range(r0 + 1 - r0 % 2, corner_r[corner + 1], 2):
            total -= -(x0 * rise + run * (r - r0)) // (2 * rise)  # rounded up
    return total


@compiled
def _reach_row(lefts, rights, r, first, stop):
    """Widen half rows r - 1, r, r + 1 to the edge midpoints of pixels first:stop in row r: columns are
    doubled, so that pixel x reaches from 2x - 1 to 2x + 1 in its own row. ``rights`` are mirrored, -x."""
    left = 2 * np.int64(first)
    right = 2 - 2 * np.int64(stop)
    lefts[r] = min(lefts[r], left - 1)
    rights[r] = min(rights[r], right - 1)
    for side in (r - 1, r + 1):
        lefts[side] = min(lefts[side], left)
        rights[side] = min(rights[side], right)


@compiled
def hull_areas(offsets, row, first, stop, sizes):
    """Pixels centred in or on the convex hull of each segment's pixel-edge midpoints, (N,), 2-D. Exact."""
    count = offsets.size - 1
    areas = np.zeros(count, np.int64)
    if count == 0:
        return areas
    longest = 2 * sizes[:, 1].max() + 1
    lefts = np.empty(longest, np.int64)
    rights = np.empty(longest, np.int64)
    corner_r = np.empty(longest, np.int64)
    corner_x = np.empty(longest, np.int64)
    for k in range(count):
        if offsets[k] == offsets[k + 1]:
            continue
        length = 2 * sizes[k, 1] + 1
        lefts[:length] = NOTHING
        rights[:length] = NOTHING
        for run in range(offsets[k], offsets[k + 1]):
            _reach_row(lefts, rights, 2 * np.int64(row[run]) + 1, first[run], stop[run])
        areas[k] = sizes[k, 1]
        for edge in (lefts, rights):
            num_corners = _left_edge(edge, length, corner_r, corner_x)
            areas[k] -= _sum_of_first_pixels(corner_r, corner_x, num_corners)
    return areas


@compiled
def hull_candidates(row, first, stop, depth, height):
    """Voxel-face midpoints of one segment that can be corners of its convex hull, (P, 3), doubled: voxel
    (z, y, x) is centred at (2z + 1, 2y + 1, 2x). They are the corners of the hull of each half plane."""
    length = 2 * height + 1
    lefts = np.full((2 * depth + 1, length), NOTHING)
    rights = np.full((2 * depth + 1, length), NOTHING)
    for run in range(row.size):
        plane = np.int64(row[run]) // height
        r = 2 * (row[run] - plane * height) + 1
        plane = 2 * plane + 1
        _reach_row(lefts[plane], rights[plane], r, first[run], stop[run])
        for side in (plane - 1, plane + 1):
            lefts[side, r] = min(lefts[side, r], 2 * np.int64(first[run]))
            rights[side, r] = min(rights[side, r], 2 - 2 * np.int64(stop[run]))
    points = np.empty((2 * (2 * depth + 1) * length, 3), np.int64)
    corner_r = np.empty(length, np.int64)
    corner_x = np.empty(length, np.int64)
    found = 0
    for plane in range(2 * depth + 1):
        for edge, sign in ((lefts, 1), (rights, -1)):
            for corner in range(_left_edge(edge[plane], length, corner_r, corner_x)):
                points[found, 0] = plane
                points[found, 1] = corner_r[corner]
                points[found, 2] = sign * corner_x[corner]
                found += 1
    return points[:found].copy()


@compiled
def count_inside(normals, limits, depth, height, width):
    """Voxels of a box whose centre (2z + 1, 2y + 1, 2x) has ``normals @ centre <= limits`` (F,)."""
    total = 0
    for z in range(depth):
        for y in range(height):
            low = 0
            high = width - 1
            for face in range(limits.size):
                slope = 2 * normals[face, 2]
                rest = limits[face] - normals[face, 0] * (2 * z + 1) - normals[face, 1] * (2 * y + 1)
                if slope > 0:
                    high = min(high, rest // slope)
                elif slope < 0:
                    low = max(low, -(rest // -slope))
                elif rest < 0:
                    high = -1
                if high < low:
                    break
            total += max(0, high - low + 1)
    return total
