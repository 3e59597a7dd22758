"""Lines one pixel wide, and which pixels of two sets of lines correspond, one to one."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from .jit import compiled

FAR = np.int64(2**31 - 1)


def _deletable() -> np.ndarray:
    """For each neighbourhood of 8 bits (E, NE, N, NW, W, SW, S, SE from the lowest) whether the first pass of thinning
    takes its pixel (bit 0) and whether the second does (bit 1)."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1 > 0
    east, north_east, north, north_west, west, south_west, south, south_east = bits.T
    ahead = np.roll(bits, -1, axis=1)  # the next neighbour anticlockwise
    straight = bits[:, ::2]
    crossings = (~straight & (ahead[:, ::2] | np.roll(bits, -2, axis=1)[:, ::2])).sum(axis=1)
    first = (straight | ahead[:, ::2]).sum(axis=1)
    second = (bits[:, 1::2] | ahead[:, 1::2]).sum(axis=1)
    fewest = np.minimum(first, second)
    taken = (crossings == 1) & (fewest >= 2) & (fewest <= 3)
    from_south_west = taken & ~((north_east | north | ~south_east) & east)
    from_north_east = taken & ~((south_west | south | ~north_west) & west)
    return (from_south_west + 2 * from_north_east).astype(np.uint8)


DELETABLE = _deletable()


@compiled
def thin(padded, width):
    """Thin the flat ``padded`` map (1 on lines, a border of 0 around, ``width`` with it) in place until it stays.

    Guo and Hall, Parallel thinning with two-subiteration algorithms, CACM 1989, as Lam, Lee and Suen, PAMI 1992,
    state it (p. 879): conditions G1, G2 and G3, then G1, G2 and G3'.
    """
    alive = np.flatnonzero(padded)
    gone = np.empty(alive.size, np.int64)
    unchanged = 0
    subpass = 1
    while unchanged < 2:
        count = 0
        kept = 0
        for place in alive:
            code = (
                padded[place + 1]
                | padded[place - width + 1] << 1
                | padded[place - width] << 2
                | padded[place - width - 1] << 3
                | padded[place - 1] << 4
                | padded[place + width - 1] << 5
                | padded[place + width] << 6
                | padded[place + width + 1] << 7
            )
            if DELETABLE[code] & subpass:
                gone[count] = place
                count += 1
            else:
                alive[kept] = place
                kept += 1
        alive = alive[:kept]
        for place in gone[:count]:
            padded[place] = 0
        unchanged = 0 if count else unchanged + 1
        subpass = 3 - subpass


@compiled
def correspond(places, numbers, num_columns, offsets, costs, alone):
    """The least-cost assignment, one to one, of pixels to the numbered pixels of a map near them.

    ``places`` (R,) in the flat padded map ``numbers``, which holds the number of each pixel of the other set and -1
    elsewhere; ``offsets`` (M,) to all places that are near, ``costs`` (M,) whole numbers below 2**31. A pixel without a
    partner costs ``alone``. Returns the partner of each place, (R,), -1 where there is none.

    One pixel after the other, each by the cheapest path of reassignments (Jonker and Volgenant, Computing 1987) found
    as Dijkstra does. ``price`` and ``height`` are the dual variables: price[row] + height[column] <= cost, equal for
    partners, height 0 for a column that nobody has, price = ``alone`` for a row that has none.
    """
    first = np.empty(places.size + 1, np.int64)
    first[0] = 0
    total = 0
    for row in range(places.size):
        for offset in offsets:
            total += numbers[places[row] + offset] >= 0
        first[row + 1] = total
    near = np.empty(total, np.int32)
    cost = np.empty(total, np.int64)
    k = 0
    for row in range(places.size):
        for m in range(offsets.size):
            column = numbers[places[row] + offsets[m]]
            if column >= 0:
                near[k] = column
                cost[k] = costs[m]
                k += 1

    price = np.zeros(places.size, np.int64)
    height = np.zeros(num_columns, np.int64)
    partner = np.full(places.size, -1, np.int64)
    holder = np.full(num_columns, -1, np.int64)
    away = np.full(num_columns, FAR)
    via = np.empty(num_columns, np.int64)
    reached = np.empty(num_columns, np.int64)
    settled = np.empty(num_columns, np.int64)
    for source in range(places.size):
        queue = [np.int64(0)]
        queue.pop()
        row, walked = source, np.int64(0)
        best, end_column, end_row = FAR, np.int64(-1), source
        num_reached = num_settled = 0
        while True:
            if walked + alone - price[row] < best:
                best, end_column, end_row = walked + alone - price[row], np.int64(-1), row
            for k in range(first[row], first[row + 1]):
                column = np.int64(near[k])
                length = walked + cost[k] - price[row] - height[column]
                if length < best and length < away[column]:
                    if away[column] == FAR:
                        reached[num_reached] = column
                        num_reached += 1
                    away[column] = length
                    via[column] = row
                    if holder[column] < 0:
                        best, end_column = length, column
                    else:
                        heappush(queue, length << 32 | column)
            row = -1
            while len(queue) > 0 and row < 0:
                key = heappop(queue)
                walked, column = key >> 32, key & 0xFFFFFFFF
                if walked >= best:
                    queue.clear()
                elif walked == away[column]:
                    row = holder[column]
            if row < 0:
                break
            settled[num_settled] = column
            num_settled += 1
        for column in settled[:num_settled]:
            height[column] += away[column] - best
            price[holder[column]] += best - away[column]
        price[source] += best
        for column in reached[:num_reached]:
            away[column] = FAR
        if end_column < 0:
            if end_row == source:
                continue
            end_column = partner[end_row]
            partner[end_row] = -1
        while True:
            row = via[end_column]
            before = partner[row]
            partner[row] = end_column
            holder[end_column] = row
            if row == source:
                break
            end_column = before
    return partner
