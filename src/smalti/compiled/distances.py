"""Surfaces of masks, and how far each of their elements lies from another surface.

Masks come padded by one pixel on every side, (D + 2, H + 2, W + 2) uint8: 0 outside, 1 inside, 2 void. An image is a
volume of one slice and ``planar``: nothing is compared along z. What touches void is no surface.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def _with_room(found, more):
    """The rows found so far, with room for as many again and ``more``."""
    longer = np.empty((2 * found.shape[0] + more, found.shape[1]), found.dtype)
    longer[: found.shape[0]] = found
    return longer


@compiled
def boundary_pixels(padded, planar):
    """Pixels of the mask with a neighbour outside along an axis, in scan order, (N, 3) int32 without the padding."""
    depth, height, width = padded.shape[0] - 2, padded.shape[1] - 2, padded.shape[2] - 2
    found = np.empty((1024, 3), np.int32)
    count = 0
    flags = np.zeros(width // 8 * 8 + 8, np.uint8)
    words = flags.view(np.uint64)
    for z in range(depth):
        for y in range(height):
            row = padded[z + 1, y + 1]
            left, here, right = row[:width], row[1 : width + 1], row[2:]
            up, down = padded[z + 1, y, 1 : width + 1], padded[z + 1, y + 2, 1 : width + 1]
            above, below = padded[z, y + 1, 1 : width + 1], padded[z + 2, y + 1, 1 : width + 1]
            if planar:
                above, below = here, here
            for x in range(width):
                open_ = (left[x] == 0) | (right[x] == 0) | (up[x] == 0) | (down[x] == 0)
                open_ |= (above[x] == 0) | (below[x] == 0)
                flags[x] = (here[x] == 1) & open_
            if count + width > found.shape[0]:
                found = _with_room(found, width)
            for word in range(words.shape[0]):
                if words[word]:
                    for x in range(8 * word, 8 * word + 8):
                        if flags[x]:
                            found[count, 0], found[count, 1], found[count, 2] = z, y, x
                            count += 1
    return found[:count]


@compiled
def boundary_cells(padded, planar):
    """Cells between 2 x 2 x 2 pixels (planar: 2 x 2) of which some but not all are inside, and their codes.

    Cell (z, y, x) lies at the corner of pixels z - 1 and z, and so on. The code has a bit for each pixel, the first in
    scan order the highest. Cells (N, 3) int32 in scan order and codes (N,) uint8.
    """
    depth, height, width = padded.shape[0] - 1, padded.shape[1] - 1, padded.shape[2] - 1
    found = np.empty((1024, 4), np.int32)
    count = 0
    flags = np.zeros(width // 8 * 8 + 8, np.uint8)
    codes = np.zeros(width, np.uint8)
    words = flags.view(np.uint64)
    full = 15 if planar else 255
    for z in range(1, 2) if planar else range(depth):
        for y in range(height):
            row_a, row_b = padded[z, y], padded[z, y + 1]
            a, b, c, d = row_a[:width], row_a[1:], row_b[:width], row_b[1:]
            if planar:
                for x in range(width):
                    void = (a[x] | b[x] | c[x] | d[x]) & 2
                    code = np.uint8((a[x] << 3) | (b[x] << 2) | (c[x] << 1) | d[x])
                    codes[x] = code
                    flags[x] = (void == 0) & (code != 0) & (code != full)
            else:
                row_e, row_f = padded[z + 1, y], padded[z + 1, y + 1]
                e, f, g, h = row_e[:width], row_e[1:], row_f[:width], row_f[1:]
                for x in range(width):
                    void = (a[x] | b[x] | c[x] | d[x] | e[x] | f[x] | g[x] | h[x]) & 2
                    code = np.uint8(
                        (a[x] << 7) | (b[x] << 6) | (c[x] << 5) | (d[x] << 4)
                        | (e[x] << 3) | (f[x] << 2) | (g[x] << 1) | h[x]
                    )  # fmt: skip
                    codes[x] = code
                    flags[x] = (void == 0) & (code != 0) & (code != full)
            if count + width > found.shape[0]:
                found = _with_room(found, width)
            for word in range(words.shape[0]):
                if words[word]:
                    for x in range(8 * word, 8 * word + 8):
                        if flags[x]:
                            found[count, 0], found[count, 1], found[count, 2] = z, y, x
                            found[count, 3] = codes[x]
                            count += 1
    return found[:count, :3].copy(), found[:count, 3].astype(np.uint8)


@compiled
def _by_block(points, side, blocks):
    """The points sorted by the block they lie in, and where each block's points begin, (blocks + 1,)."""
    count = points.shape[0]
    begin = np.zeros(blocks[0] * blocks[1] * blocks[2] + 1, np.int64)
    block_of = np.empty(count, np.int64)
    for p in range(count):
        bz, by, bx = points[p, 0] // side[0], points[p, 1] // side[1], points[p, 2] // side[2]
        block_of[p] = (bz * blocks[1] + by) * blocks[2] + bx
        begin[block_of[p] + 1] += 1
    for block in range(begin.shape[0] - 1):
        begin[block + 1] += begin[block]
    place = begin[:-1].copy()
    ordered = np.empty((count, 3), np.int32)
    for p in range(count):
        row = place[block_of[p]]
        place[block_of[p]] += 1
        ordered[row, 0], ordered[row, 1], ordered[row, 2] = points[p, 0], points[p, 1], points[p, 2]
    return ordered, begin


@compiled
def _tree(ordered, begin, blocks):
    """Boxes around the points of the blocks, of 2 x 2 x 2 of them, and so on up to one that holds all.

    Blocks along each axis (L, 3) and the first box (L,) of each level, the blocks first; least and greatest pixel of
    each box (boxes, 3), the greatest -1 where it is empty.
    """
    levels = 1
    while (max(blocks[0], blocks[1], blocks[2]) - 1) >> (levels - 1):
        levels += 1
    counts = np.empty((levels, 3), np.int64)
    first = np.zeros(levels + 1, np.int64)
    for level in range(levels):
        for axis in range(3):
            counts[level, axis] = ((blocks[axis] - 1) >> level) + 1
        first[level + 1] = first[level] + counts[level, 0] * counts[level, 1] * counts[level, 2]
    low = np.full((first[levels], 3), np.iinfo(np.int32).max, np.int32)
    high = np.full((first[levels], 3), -1, np.int32)
    for block in range(begin.shape[0] - 1):
        for p in range(begin[block], begin[block + 1]):
            for axis in range(3):
                low[block, axis] = min(low[block, axis], ordered[p, axis])
                high[block, axis] = max(high[block, axis], ordered[p, axis])
    for level in range(1, levels):
        ny, nx = counts[level, 1], counts[level, 2]
        below_y, below_x = counts[level - 1, 1], counts[level - 1, 2]
        for z in range(counts[level - 1, 0]):
            for y in range(below_y):
                for x in range(below_x):
                    child = first[level - 1] + (z * below_y + y) * below_x + x
                    box = first[level] + ((z >> 1) * ny + (y >> 1)) * nx + (x >> 1)
                    for axis in range(3):
                        low[box, axis] = min(low[box, axis], low[child, axis])
                        high[box, axis] = max(high[box, axis], high[child, axis])
    return counts, first, low, high


@compiled
def _gap(at, low, high):
    """Pixels along an axis from ``at`` to the nearest one from low to high, 0 between them."""
    if at < low:
        return low - at
    return at - high if at > high else 0


@compiled
def _blocks_from_to(at, away, side, blocks):
    """First and last block along an axis that has pixels at most ``away`` from ``at``."""
    last = blocks - 1
    return min(max(at - away, 0) // side, last), min((at + away) // side, last)


@compiled
def nearest_distances(points, others, spacing, side):
    """Distance from each of ``points`` (N, 3) to the nearest of ``others`` (M, 3), M > 0, (N,) float64.

    Both int32, not negative. The others are put into blocks of ``side`` (3,) pixels, and those into an octree. A
    point's search begins with the one found for the point before, its neighbour in scan order: only the boxes that are
    nearer than that one can be are looked at. Exact.
    """
    sz, sy, sx = spacing
    blocks = np.ones(3, np.int64)
    for other in range(others.shape[0]):
        for axis in range(3):
            blocks[axis] = max(blocks[axis], others[other, axis] // side[axis] + 1)
    ordered, begin = _by_block(others, side, blocks)
    counts, first, low, high = _tree(ordered, begin, blocks)
    room = 7 * counts.shape[0] + 8
    open_boxes = np.empty((room, 4), np.int64)  # level, z, y, x
    open_apart = np.empty(room, np.float64)
    found = np.empty(points.shape[0], np.float64)
    last = 0
    for p in range(points.shape[0]):
        z, y, x = np.int64(points[p, 0]), np.int64(points[p, 1]), np.int64(points[p, 2])
        best = (
            ((ordered[last, 0] - z) * sz) ** 2
            + ((ordered[last, 1] - y) * sy) ** 2
            + ((ordered[last, 2] - x) * sx) ** 2
        )
        # Blocks that the ball around the point reaches, and the level at which they are at most two along each axis.
        reach = np.sqrt(best)
        away_z, away_y, away_x = np.int64(reach / sz) + 1, np.int64(reach / sy) + 1, np.int64(reach / sx) + 1
        low_z, high_z = _blocks_from_to(z, away_z, side[0], blocks[0])
        low_y, high_y = _blocks_from_to(y, away_y, side[1], blocks[1])
        low_x, high_x = _blocks_from_to(x, away_x, side[2], blocks[2])
        level = 0
        while high_z - low_z > 1 or high_y - low_y > 1 or high_x - low_x > 1:
            low_z, high_z, low_y, high_y = low_z >> 1, high_z >> 1, low_y >> 1, high_y >> 1
            low_x, high_x = low_x >> 1, high_x >> 1
            level += 1
        size = 0
        for bz in range(low_z, high_z + 1):
            for by in range(low_y, high_y + 1):
                for bx in range(low_x, high_x + 1):
                    box = first[level] + (bz * counts[level, 1] + by) * counts[level, 2] + bx
                    if high[box, 0] < 0:
                        continue
                    apart = (
                        (_gap(z, low[box, 0], high[box, 0]) * sz) ** 2
                        + (_gap(y, low[box, 1], high[box, 1]) * sy) ** 2
                        + (_gap(x, low[box, 2], high[box, 2]) * sx) ** 2
                    )
                    if apart < best:
                        open_boxes[size, 0], open_boxes[size, 1] = level, bz
                        open_boxes[size, 2], open_boxes[size, 3] = by, bx
                        open_apart[size] = apart
                        size += 1
        # The nearest box comes first, as what it holds decides about the others.
        for other in range(size - 1):
            if open_apart[other] < open_apart[size - 1]:
                for column in range(4):
                    here, there = open_boxes[other, column], open_boxes[size - 1, column]
                    open_boxes[other, column], open_boxes[size - 1, column] = there, here
                open_apart[other], open_apart[size - 1] = open_apart[size - 1], open_apart[other]
        while size:
            size -= 1
            if open_apart[size] >= best:
                continue
            level, bz = open_boxes[size, 0], open_boxes[size, 1]
            by, bx = open_boxes[size, 2], open_boxes[size, 3]
            if level == 0:
                block = (bz * blocks[1] + by) * blocks[2] + bx
                for other in range(begin[block], begin[block + 1]):
                    apart = (
                        ((ordered[other, 0] - z) * sz) ** 2
                        + ((ordered[other, 1] - y) * sy) ** 2
                        + ((ordered[other, 2] - x) * sx) ** 2
                    )
                    if apart < best:
                        best, last = apart, other
                continue
            level -= 1
            nz, ny, nx = counts[level, 0], counts[level, 1], counts[level, 2]
            # Of the eight boxes inside, the one on this point's side is put on top and comes next.
            near_z = z >= ((2 * bz + 1) * side[0]) << level
            near_y = y >= ((2 * by + 1) * side[1]) << level
            near_x = x >= ((2 * bx + 1) * side[2]) << level
            for child in range(7, -1, -1):
                cz = 2 * bz + ((child >> 2) ^ near_z)
                cy = 2 * by + ((child >> 1 & 1) ^ near_y)
                cx = 2 * bx + ((child & 1) ^ near_x)
                if cz >= nz or cy >= ny or cx >= nx:
                    continue
                box = first[level] + (cz * ny + cy) * nx + cx
                if high[box, 0] < 0:
                    continue
                apart = (
                    (_gap(z, low[box, 0], high[box, 0]) * sz) ** 2
                    + (_gap(y, low[box, 1], high[box, 1]) * sy) ** 2
                    + (_gap(x, low[box, 2], high[box, 2]) * sx) ** 2
                )
                if apart < best:
                    open_boxes[size, 0], open_boxes[size, 1] = level, cz
                    open_boxes[size, 2], open_boxes[size, 3] = cy, cx
                    open_apart[size] = apart
                    size += 1
        found[p] = np.sqrt(best)
    return found
