"""Decision trees on small whole numbers: features as codes, and trees grown from histograms.

A feature enters as its *code*, 0 to 255: how many of the feature's edges, at most 255, lie below the value. A node
sends codes up to its threshold left. It is one uint32, so that a tree of some thousand nodes stays in the first cache
beside the codes of the pixels that walk it, and the children of a node stand side by side:

    bits 0..7 threshold | bits 8..15 feature | bits 16..30 left child within the tree | bit 31 set in leaves

A leaf is its own left child and its threshold is the highest, so that a walk which has arrived stays there. On the
way from 8-byte nodes and 2-byte codes to these the walk became 1.5 times as fast (100 trees of 1,460 nodes, 60
features, 512 x 512 pixels; 2026-11).
"""

import numpy as np

from .jit import compiled

LEAF = 1 << 31
SORTED_UP_TO = 48
"""Rows of a node up to which they are sorted; more are counted into a histogram."""
MOST_ASKED = 8
"""Edges in one cell up to which a value is compared with as many."""


@compiled
def code(values, bits, edges, edge_bits, cells, codes):
    """Write into ``codes`` (N,) uint8 how many ``edges`` (E,) lie below each of ``values`` (N,).

    ``bits`` and ``edge_bits`` are the same floats seen as int32, whose order is theirs once negative ones are turned
    round: cut into ``cells`` (C + 1,) uint8, which is scratch, they are fine where the values are small and edges
    dense. An edge in an earlier cell than a value lies below it; only those of the same cell are compared.
    """
    count = edges.size
    if count == 0:
        codes[:] = 0
        return
    order = np.empty(count, np.int64)
    negative = 0
    for j in range(count):
        order[j] = np.int64(edge_bits[j]) ^ (np.int64(edge_bits[j]) >> 31 & 0x7FFFFFFF)
        negative += order[j] < 0
    below = above = np.int64(0)  # between the last negative edge and the first other one is no cell
    if 0 < negative < count:
        below, above = order[negative - 1], order[negative]
        order[negative:] -= above - below
    first, span = order[0], order[count - 1] - order[0]
    shift = 0
    while span >> shift >= cells.size - 1:
        shift += 1
    j = most = 0
    for cell in range(cells.size):
        begin = j
        while j < count and (order[j] - first) >> shift <= cell:
            j += 1
        cells[cell] = begin
        most = max(most, j - begin)
    beyond = np.full(count + most, np.inf, np.float32)
    beyond[:count] = edges
    for i in range(values.size):
        value = values[i]
        at = np.int64(bits[i]) ^ (np.int64(bits[i]) >> 31 & 0x7FFFFFFF)
        at = min(at, below) + max(at - above, 0) - first
        begin = np.uint64(cells[np.uint64(max(0, min(at, span)) >> shift)])
        found = begin
        if most <= MOST_ASKED:  # as many comparisons for each value: none that the processor guesses wrong
            for j in range(most):
                found += np.uint64(beyond[begin + np.uint64(j)] < value)
        else:
            while beyond[found] < value:
                found += np.uint64(1)
        codes[i] = found


@compiled
def grow(
    codes, kinds_of, weights, rows, kinds, tried, min_leaf, max_depth, seed, splits, leaf_of, leaves, gains
):
    """Grow one tree, the split of each node the best of ``tried`` features drawn at random, by the Gini impurity.

    ``codes`` (N, F) uint8, ``kinds_of`` (N,) class of each row from 0 to ``kinds`` - 1, ``weights`` (N,) float64,
    ``rows`` (n,) the rows to learn from, which are put in another order. No leaf has fewer than ``min_leaf`` rows.
    Nodes are split in the order they were made, level by level, as long as ``splits`` has room. Written are
    ``splits`` (M, 3) int32 (feature, threshold, left child; -1 in leaves), ``leaf_of`` (M,), ``leaves`` (n, K) and,
    added up, ``gains`` (F,): the impurity that splits by each feature took away. Gives the number of nodes and of
    leaves. Breiman (2001).
    """
    features = codes.shape[1]
    order = np.arange(features)
    histogram = np.zeros((256, kinds))
    counts = np.zeros(256, np.int64)
    total = np.zeros(kinds)
    left = np.zeros(kinds)
    at_code = np.empty(SORTED_UP_TO, np.int64)
    at_row = np.empty(SORTED_UP_TO, np.int64)
    room = splits.shape[0]
    begin_of, end_of, depth_of = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    begin_of[0], end_of[0], depth_of[0] = 0, rows.size, 0
    node, node_count, leaf_count = -1, 1, 0
    state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)
    while node + 1 < node_count:
        node += 1
        begin, end, depth = begin_of[node], end_of[node], depth_of[node]
        n = end - begin
        total[:] = 0.0
        for i in range(begin, end):
            total[kinds_of[rows[i]]] += weights[rows[i]]
        weight, squares = 0.0, 0.0
        for k in range(kinds):
            weight += total[k]
            squares += total[k] * total[k]
        best_gain, best_feature, best_code = 1e-12 * weight, -1, 0
        if (
            n >= 2 * min_leaf
            and depth < max_depth
            and node_count + 2 <= room
            and squares < weight * weight * (1 - 1e-12)
        ):
            parent = squares / weight
            useful = 0
            for drawn in range(features):
                # xorshift64*, Vigna (2016): a generator of its own for each tree, whatever thread it grows in
                state ^= state >> np.uint64(12)
                state ^= state << np.uint64(25)
                state ^= state >> np.uint64(27)
                random = (state * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(33)
                other = drawn + np.int64(random % np.uint64(features - drawn))
                order[drawn], order[other] = order[other], order[drawn]
                feature = order[drawn]
                low, high = np.int64(codes[rows[begin], feature]), np.int64(codes[rows[begin], feature])
                for i in range(begin + 1, end):
                    value = np.int64(codes[rows[i], feature])
                    low = min(low, value)
                    high = max(high, value)
                if low == high:
                    continue
                useful += 1
                left[:] = 0.0
                left_weight, left_squares, right_squares = 0.0, 0.0, squares
                before, passed = low, 0
                if n <= SORTED_UP_TO:
                    for i in range(n):
                        row = rows[begin + i]
                        value = np.int64(codes[row, feature])
                        j = i
                        while j > 0 and at_code[j - 1] > value:
                            at_code[j] = at_code[j - 1]
                            at_row[j] = at_row[j - 1]
                            j -= 1
                        at_code[j] = value
                        at_row[j] = row
                    for i in range(n):
                        value = at_code[i]
                        if value != before:
                            if i >= min_leaf and n - i >= min_leaf:
                                right_weight = weight - left_weight
                                if left_weight > 0 and right_weight > 0:
                                    gain = left_squares / left_weight + right_squares / right_weight - parent
                                    if gain > best_gain:
                                        best_gain, best_feature, best_code = (
                                            gain,
                                            feature,
                                            (before + value) >> 1,
                                        )
                            before = value
                        k = kinds_of[at_row[i]]
                        w = weights[at_row[i]]
                        left_squares += w * (2 * left[k] + w)
                        right_squares += w * (w - 2 * (total[k] - left[k]))
                        left[k] += w
                        left_weight += w
                else:
                    for i in range(begin, end):
                        row = rows[i]
                        value = np.int64(codes[row, feature])
                        histogram[value, kinds_of[row]] += weights[row]
                        counts[value] += 1
                    for value in range(low, high + 1):
                        if counts[value] == 0:
                            continue
                        if passed >= min_leaf and n - passed >= min_leaf:
                            right_weight = weight - left_weight
                            if left_weight > 0 and right_weight > 0:
                                gain = left_squares / left_weight + right_squares / right_weight - parent
                                if gain > best_gain:
                                    best_gain, best_feature, best_code = gain, feature, (before + value) >> 1
                        before = value
                        passed += counts[value]
                        for k in range(kinds):
                            w = histogram[value, k]
                            left_squares += w * (2 * left[k] + w)
                            right_squares += w * (w - 2 * (total[k] - left[k]))
                            left[k] += w
                            left_weight += w
                            histogram[value, k] = 0.0
                        counts[value] = 0
                if useful >= tried and best_feature >= 0:
                    break
        if best_feature < 0:
            splits[node, 0] = splits[node, 1] = splits[node, 2] = -1
            leaf_of[node] = leaf_count
            for k in range(kinds):
                leaves[leaf_count, k] = total[k] / weight if weight > 0 else 1.0 / kinds
            leaf_count += 1
            continue
        gains[best_feature] += best_gain
        i, j = begin, end - 1
        while i <= j:
            if codes[rows[i], best_feature] <= best_code:
                i += 1
            else:
                rows[i], rows[j] = rows[j], rows[i]
                j -= 1
        splits[node, 0], splits[node, 1], splits[node, 2] = best_feature, best_code, node_count
        leaf_of[node] = -1
        for side in range(2):
            begin_of[node_count + side] = i if side else begin
            end_of[node_count + side] = end if side else i
            depth_of[node_count + side] = depth + 1
        node_count += 2
    return node_count, leaf_count
