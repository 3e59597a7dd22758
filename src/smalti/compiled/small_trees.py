"""Trees of few leaves, decided by bits instead of walked: a tree's leaves that can still be reached are the bits of one
number per pixel.

Every inner node that sends a pixel right takes away the leaves on its left; the first leaf that is left over is where
a walk would have ended. Each node is asked of all pixels of a block at once, which the processor does 8 or more at a
time, and no step waits for another (Lucchese et al., QuickScorer, SIGIR 2015).
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # comes with numba
from numba import types
from numba.extending import intrinsic

from .jit import compiled

MOST_LEAVES = 32
LEAF = 1 << 31
BLOCK = 512
"""Pixels that all trees are asked for before the next: their codes stay in the cache."""
ALL, ONE, WIDE = np.uint32(0xFFFFFFFF), np.uint32(1), np.uint64(0xFFFFFFFF)
ORDER = np.uint32(0x077CB531)
"""Times a number of one bit, its highest five bits tell which (Leiserson, Prokop and Randall 1998)."""
TOP = np.uint32(27)


@intrinsic
def add_four(context: Any, sums: Any, at: Any, values: Any, first: Any) -> Any:
    """Add 4 of flat float32 ``values`` from ``first`` on to 4 of ``sums`` from ``at`` on, by one instruction.

    The compiler makes single additions of a loop that is so short.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        four = ir.VectorType(ir.FloatType(), 4).as_pointer()
        places = [
            builder.bitcast(
                builder.gep(context.make_array(kind)(context, builder, array).data, [index]), four
            )
            for kind, array, index in zip(signature.args[::2], arguments[::2], arguments[1::2], strict=True)
        ]
        total = builder.fadd(*(builder.load(place, align=4) for place in places))
        builder.store(total, places[0], align=4)
        return context.get_dummy_value()

    return types.void(sums, types.intp, values, types.intp), generate


@compiled
def are_small(nodes, roots):
    """Whether no tree has more than ``MOST_LEAVES`` leaves; arguments as those of ``trees.add_trees``."""
    for root in roots:
        at, end, leaves = root, root + 1, 0
        while at < end:
            if end - root > 2 * MOST_LEAVES - 1:
                return False
            if nodes[at] < LEAF:
                end = max(end, root + np.int64(nodes[at] >> 16) + 2)
            else:
                leaves += 1
                if leaves > MOST_LEAVES:
                    return False
            at += 1
    return True


@compiled
def add_small_trees(codes, nodes, leaf_of, leaves, roots, sums):
    """What ``trees.add_trees`` does, bit for bit, for trees that ``are_small``."""
    n, kinds = sums.shape
    trees = roots.size
    # of each inner node its feature and threshold, and the leaves that are left where it sends a pixel right
    begin = np.zeros(trees + 1, np.int64)
    asked = np.empty((trees * (MOST_LEAVES - 1), 2), np.uint8)
    kept = np.empty(trees * (MOST_LEAVES - 1), np.uint32)
    leaf_at = np.zeros((trees, MOST_LEAVES), np.int64)
    below = np.empty(2 * MOST_LEAVES, np.int64)
    place = np.empty(2 * MOST_LEAVES, np.int64)
    inner = 0
    for t in range(trees):
        root = roots[t]
        size = 1
        at = 0
        while at < size:
            if nodes[root + at] < LEAF:
                size = max(size, np.int64(nodes[root + at] >> 16) + 2)
            at += 1
        for at in range(size - 1, -1, -1):
            node = np.int64(nodes[root + at])
            below[at] = 1 if node >= LEAF else below[node >> 16] + below[(node >> 16) + 1]
        place[0] = 0
        for at in range(size):
            node = np.int64(nodes[root + at])
            if node >= LEAF:
                leaf_at[t, ((ONE << np.uint32(place[at])) * ORDER & WIDE) >> TOP] = leaf_of[root + at]
                continue
            left = node >> 16
            place[left] = place[at]
            place[left + 1] = place[at] + below[left]
            asked[inner, 0], asked[inner, 1] = node >> 8 & 0xFF, node & 0xFF
            kept[inner] = ALL ^ (((ONE << np.uint32(below[left])) - ONE) << np.uint32(place[at]))
            inner += 1
        begin[t + 1] = inner
    width = (kinds + 3) // 4 * 4
    values = np.zeros((leaves.shape[0], width), np.float32)
    values[:, :kinds] = leaves
    found = np.empty((BLOCK, width), np.float32)
    flat_values, flat_found = values.reshape(-1), found.reshape(-1)
    reached = np.empty(BLOCK, np.uint32)
    for first in range(0, n, BLOCK):
        count = min(n - first, BLOCK)
        found[:] = 0
        for t in range(trees):
            reached[:] = ALL
            for node in range(begin[t], begin[t + 1]):
                keep, threshold = kept[node], asked[node, 1]
                row = codes[asked[node, 0], first : first + count]
                for i in range(count):
                    reached[i] &= keep if row[i] > threshold else ALL
            for i in range(count):
                lowest = reached[i] & (ALL - reached[i] + ONE)
                leaf = leaf_at[t, (lowest * ORDER & WIDE) >> TOP]
                for k in range(0, width, 4):
                    add_four(flat_found, i * width + k, flat_values, leaf * width + k)
        for i in range(count):
            for k in range(kinds):
                sums[first + i, k] += found[i, k]
