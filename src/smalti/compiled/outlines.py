"""Rings around pixels: traced from runs, filled by pixel centre, filled by COCO's rule, and simplified.

Every run has two vertical edges: edge ``2 * run`` at its begin and ``2 * run + 1`` at its end. A ring follows its
begin-edges up and its end-edges down, so the pixels of the segment are always on the right-hand side on a screen,
and horizontal edges join one vertical edge to the next. Tracing is the search for these joints, line by line.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def _place(start, stop, width, edge):
    """Row and x of a vertical edge."""
    row = start[edge // 2] // width
    if edge % 2:
        return row, stop[edge // 2] - row * width
    return row, start[edge // 2] - row * width


@compiled
def _join(after, one, other, middle):
    """Let the one of two edges that ends at a line be followed by the other, which begins there.

    Edges below ``middle`` lie above the line: of these the odd ones, which go down, end there.
    """
    if (one < middle) == (one % 2 == 1):
        after[one] = other
    else:
        after[other] = one


@compiled
def _join_line(start, stop, width, above, below, end, after, saddles, num_saddles):
    """Join all edges that meet at the line between runs ``above:below`` and the next row's ``below:end``.

    Where two pixels touch diagonally the edges are joined around the pixels of the segment, which counts as
    connected along edges only; the place is noted as a saddle (begin-edge, end-edge).
    """
    upper, lower = 2 * above, 2 * below
    middle, last = 2 * below, 2 * end
    waiting = -1
    while upper < middle or lower < last:
        if lower == last:
            take_upper, take_lower = True, False
        elif upper == middle:
            take_upper, take_lower = False, True
        else:
            x_above = _place(start, stop, width, upper)[1]
            x_below = _place(start, stop, width, lower)[1]
            take_upper, take_lower = x_above <= x_below, x_below <= x_above
        if take_upper and take_lower:
            if upper % 2 == lower % 2:
                _join(after, upper, lower, middle)  # straight on
            else:
                begin_edge, end_edge = (lower, upper) if upper % 2 else (upper, lower)
                _join(after, waiting, end_edge, middle)
                waiting = begin_edge
                saddles[num_saddles, 0] = begin_edge
                saddles[num_saddles, 1] = end_edge
                num_saddles += 1
        else:
            edge = upper if take_upper else lower
            if waiting < 0:
                waiting = edge
            else:
                _join(after, waiting, edge, middle)
                waiting = -1
        upper += take_upper
        lower += take_lower
    return num_saddles


@compiled
def _join_segment(start, stop, width, first, last, after, saddles):
    """Join the edges of runs ``first:last``, those of one segment; returns how many saddles it has."""
    num_saddles = 0
    above = below = first
    previous = -2
    while below < last:
        row = start[below] // width
        end = below
        while end < last and start[end] < (row + 1) * width:
            end += 1
        if previous != row - 1 and above < below:
            num_saddles = _join_line(start, stop, width, above, below, below, after, saddles, num_saddles)
            above = below
        num_saddles = _join_line(start, stop, width, above, below, end, after, saddles, num_saddles)
        above, below, previous = below, end, row
    return _join_line(start, stop, width, above, below, below, after, saddles, num_saddles)


@compiled
def _follow(after, edge, marks, mark):
    """Mark all edges of a ring."""
    while marks[edge] < 0:
        marks[edge] = mark
        edge = after[edge]


@compiled
def _split_at_saddles(after, component, saddles):
    """Join the edges of saddles inside one connected piece the other way round.

    A ring that passes one point twice becomes two rings that pass it once. Both sides of such a point are
    connected through the piece, so one of the two rings lies around a hole.
    """
    before = np.empty_like(after)
    for edge in range(after.size):
        before[after[edge]] = edge
    for saddle in range(len(saddles)):
        begin_edge, end_edge = saddles[saddle]
        if component[begin_edge] != component[end_edge]:
            continue
        if end_edge < begin_edge:  # the end-edge comes from above, so both edges arrive at the saddle
            one, other = begin_edge, end_edge
        else:
            one, other = before[begin_edge], before[end_edge]
        after[one], after[other] = after[other], after[one]
        before[after[one]], before[after[other]] = one, other


@compiled
def trace_runs(offsets, start, stop, width):
    """Rings around the runs of every segment, corner vertices only.

    Returns the vertices (x, y) one ring after the other, where each ring begins, its piece, and where each
    segment's pieces begin. A piece is what is connected along pixel edges; its rings are its exterior, which
    comes first, and its holes. Rings come in the order of their topmost left edge.
    """
    num_segments = offsets.size - 1
    num_edges = 2 * start.size
    after = np.empty(num_edges, np.int64)
    component = np.full(num_edges, -1, np.int64)
    pieces = np.zeros(num_segments + 1, np.int64)
    num_pieces = 0
    for k in range(num_segments):
        first, last = offsets[k], offsets[k + 1]
        low, high = 2 * first, 2 * last
        saddles = np.empty((high - low, 2), np.int64)
        num_saddles = _join_segment(start, stop, width, first, last, after, saddles)
        for edge in range(low, high):
            # The first edge of an exterior is the begin of its top run. That of a hole is the end of the run
            # to its left, whose begin is done already and lies in the same piece.
            if component[edge] < 0 and edge % 2 == 0:
                _follow(after, edge, component, num_pieces)
                num_pieces += 1
            elif component[edge] < 0:
                _follow(after, edge, component, component[edge - 1])
        pieces[k + 1] = num_pieces
        if num_saddles:
            here = after[low:high] - low
            _split_at_saddles(here, component[low:high], saddles[:num_saddles] - low)
            after[low:high] = here + low

    num_vertices = 0
    for edge in range(num_edges):
        if _place(start, stop, width, edge)[1] != _place(start, stop, width, after[edge])[1]:
            num_vertices += 2
    vertices = np.empty((num_vertices, 2), np.float64)
    ring_offsets = np.zeros(num_vertices // 4 + 1, np.int64)
    ring_piece = np.empty(num_vertices // 4, np.int64)
    num_rings = 0
    used = 0
    for first_edge in range(num_edges):
        if component[first_edge] < 0:
            continue
        ring_piece[num_rings] = component[first_edge]
        edge = first_edge
        while component[edge] >= 0:
            component[edge] = -1
            row, x = _place(start, stop, width, edge)
            next_x = _place(start, stop, width, after[edge])[1]
            if x != next_x:
                y = row + edge % 2  # begin-edges go up, end-edges down
                vertices[used, 0] = x
                vertices[used, 1] = y
                vertices[used + 1, 0] = next_x
                vertices[used + 1, 1] = y
                used += 2
            edge = after[edge]
        num_rings += 1
        ring_offsets[num_rings] = used
    return vertices, ring_offsets[: num_rings + 1], ring_piece[:num_rings], pieces


@compiled
def _first_row(y):
    """First row whose pixel centres are at ``y`` or below it."""
    return np.int64(np.ceil(y - 0.5))


@compiled
def fill_polygon(mask, xy, ring_offsets):
    """Set the pixels of ``mask`` (H, W) uint8 whose centre is inside the rings, by the even-odd rule.

    A centre on an edge belongs to the side of larger x, or of larger y on a horizontal edge. Each edge is taken
    from its upper end to its lower one, whichever way its ring goes, so two polygons that share an edge agree
    about every centre to the last bit.
    """
    height, width = mask.shape
    top = max(0, _first_row(xy[:, 1].min()))
    bottom = min(height, _first_row(xy[:, 1].max()))
    left = max(0, _first_row(xy[:, 0].min()))
    right = min(width, _first_row(xy[:, 0].max()))
    if top >= bottom or left >= right:
        return
    crossed = np.zeros((bottom - top, right - left + 1), np.uint8)
    for ring in range(ring_offsets.size - 1):
        for vertex in range(ring_offsets[ring], ring_offsets[ring + 1]):
            follower = vertex + 1 if vertex + 1 < ring_offsets[ring + 1] else ring_offsets[ring]
            x0, y0 = xy[vertex]
            x1, y1 = xy[follower]
            if y0 > y1:
                x0, y0, x1, y1 = x1, y1, x0, y0
            for row in range(max(top, _first_row(y0)), min(bottom, _first_row(y1))):
                y = row + 0.5 - y0
                crossing = x0 + y * ((x1 - x0) / (y1 - y0))
                column = np.int64(min(max(np.ceil(crossing - 0.5), left), right))
                # the quotient is rounded; the product decides, and is exact for coordinates of few digits
                while column > left and (x1 - x0) * y <= (column - 0.5 - x0) * (y1 - y0):
                    column -= 1
                while column < right and (x1 - x0) * y > (column + 0.5 - x0) * (y1 - y0):
                    column += 1
                crossed[row - top, column - left] ^= 1
    for row in range(bottom - top):
        inside = 0
        for column in range(right - left):
            inside ^= crossed[row, column]
            if inside:
                mask[row + top, column + left] = 1


@compiled
def _coco_row(v, height):
    """Row at which COCO lets a column change where the outline passes point ``v`` of the 5x finer grid."""
    return min(max((v + 2) // 5, 0), height)


@compiled
def coco_crossings(xy, height, width):
    """Where a ring's outline enters or leaves the columns of an image, as COCO's tools decide it; sorted.

    The rule (Lin et al. 2014, COCO API): vertices are rounded to a grid 5 times finer than the pixels; each edge
    is walked there one step at a time along its longer side, the other coordinate rounded; wherever the walk goes
    from third to fourth fifth of a pixel column, the column changes at the pixel row nearest to the upper of the
    two steps. Only these steps are visited here, not the whole walk. Positions are ``column * height + row``.
    """
    num = len(xy)
    x = np.empty(num + 1, np.int64)
    y = np.empty(num + 1, np.int64)
    for vertex in range(num):
        x[vertex] = np.int64(5 * xy[vertex, 0] + 0.5)
        y[vertex] = np.int64(5 * xy[vertex, 1] + 0.5)
    x[num], y[num] = x[0], y[0]
    room = 0
    for edge in range(num):
        room += min(abs(x[edge + 1] - x[edge]) // 5 + 2, width)
    positions = np.empty(room, np.int64)
    found = 0
    for edge in range(num):
        x0, y0, x1, y1 = x[edge], y[edge], x[edge + 1], y[edge + 1]
        dx, dy = abs(x1 - x0), abs(y1 - y0)
        if dx == 0:
            continue
        if (dx >= dy and x0 > x1) or (dx < dy and y0 > y1):
            x0, y0, x1, y1 = x1, y1, x0, y0
        slope = (y1 - y0) / dx if dx >= dy else (x1 - x0) / dy
        first = max(0, -((2 - min(x0, x1)) // 5))
        last = min(width - 1, (max(x0, x1) - 3) // 5)
        for column in range(first, last + 1):
            if dx >= dy:
                step = 5 * column + 2 - x0
                v = min(np.int64(y0 + slope * step + 0.5), np.int64(y0 + slope * (step + 1) + 0.5))
            elif slope > 0:  # the first step that is in the fourth fifth
                wanted = 5 * column + 3
                step = np.int64((wanted - 0.5 - x0) / slope)
                while step > 0 and np.int64(x0 + slope * (step - 1) + 0.5) >= wanted:
                    step -= 1
                while np.int64(x0 + slope * step + 0.5) < wanted:
                    step += 1
                v = y0 + step - 1
            else:  # the first step that is back in the third fifth
                wanted = 5 * column + 2
                step = np.int64((wanted + 0.5 - x0) / slope)
                while step > 0 and np.int64(x0 + slope * (step - 1) + 0.5) <= wanted:
                    step -= 1
                while np.int64(x0 + slope * step + 0.5) > wanted:
                    step += 1
                v = y0 + step - 1
            positions[found] = column * height + _coco_row(v, height)
            found += 1
    return np.sort(positions[:found])


@compiled
def runs_of_crossings(positions, size):
    """Stretches of a flat image from the sorted places where it changes; an open end runs to ``size``."""
    start = np.empty(positions.size // 2 + 1, np.int64)
    stop = np.empty(positions.size // 2 + 1, np.int64)
    found = 0
    for index in range(0, positions.size, 2):
        end = positions[index + 1] if index + 1 < positions.size else size
        if positions[index] < end:
            start[found] = positions[index]
            stop[found] = end
            found += 1
    return start[:found], stop[:found]


@compiled
def _farthest(xy, vertex):
    """The vertex farthest from a given one."""
    best, found = -1.0, vertex
    for other in range(len(xy)):
        distance = (xy[other, 0] - xy[vertex, 0]) ** 2 + (xy[other, 1] - xy[vertex, 1]) ** 2
        if distance > best:
            best, found = distance, other
    return found


@compiled
def simplify_ring(xy, tolerance):
    """Which vertices of a ring Douglas and Peucker (1973) keep, ``(n,)`` bool.

    The ring is opened at two far vertices; between two kept ones the vertex farthest from their segment is kept
    if it is more than ``tolerance`` away, and then both halves are looked at.
    """
    num = len(xy)
    one = _farthest(xy, 0)
    other = _farthest(xy, one)
    kept = np.zeros(num, np.bool_)
    kept[one] = kept[other] = True
    waiting = np.empty((num + 2, 2), np.int64)  # stretches of the ring, ends may exceed num
    waiting[0] = min(one, other), max(one, other)
    waiting[1] = max(one, other), min(one, other) + num
    count = 2
    while count:
        count -= 1
        begin, end = waiting[count]
        x0, y0 = xy[begin % num]
        dx, dy = xy[end % num, 0] - x0, xy[end % num, 1] - y0
        length = dx * dx + dy * dy
        best, found = tolerance * tolerance, -1
        for vertex in range(begin + 1, end):
            x, y = xy[vertex % num, 0] - x0, xy[vertex % num, 1] - y0
            along = min(max((x * dx + y * dy) / length, 0.0), 1.0) if length > 0 else 0.0
            distance = (x - along * dx) ** 2 + (y - along * dy) ** 2
            if distance > best:
                best, found = distance, vertex
        if found >= 0:
            kept[found % num] = True
            waiting[count] = begin, found
            waiting[count + 1] = found, end
            count += 2
    return kept
