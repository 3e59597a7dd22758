"""Counting the pixels two segmentations share: label map against label map, runs against runs."""

from __future__ import annotations

import numpy as np

from .jit import compiled

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Knuth, TAOCP 3, 6.4: multiplicative hashing
ZEROS = np.uint64(0)
BYTE_NUMBERS = np.uint64(
    0x0001020304050607
)  # times 1 << 8 i, byte i is on top: the place of a mark in its word
BLOCK = 4096  # pixels whose change marks are made together; they stay in the first-level cache


@compiled
def _slot(table, key):
    """Row of ``table`` (a power of two of rows: key, count; key -1 is free) where ``key`` stands or would go."""
    bits = table.shape[0] - 1
    slot = np.int64((np.uint64(key) * GOLDEN) >> np.uint64(40)) & bits
    while table[slot, 0] != key and table[slot, 0] != -1:
        slot = (slot + 1) & bits
    return slot


@compiled
def _empty_table(rows):
    table = np.zeros((rows, 2), np.int64)
    table[:, 0] = -1
    return table


@compiled
def _with_room(table, used, more):
    """The table, made longer until ``more`` further keys leave it half empty."""
    rows = table.shape[0]
    while 2 * (used + more) > rows:
        rows *= 2
    if rows == table.shape[0]:
        return table
    longer = _empty_table(rows)
    for old in range(table.shape[0]):
        if table[old, 0] != -1:
            slot = _slot(longer, table[old, 0])
            longer[slot, 0] = table[old, 0]
            longer[slot, 1] = table[old, 1]
    return longer


@compiled
def _pairs_of(table):
    """Keys and counts of the rows in use."""
    kept = np.flatnonzero(table[:, 0] != -1)
    return table[kept, 0], table[kept, 1]


@compiled
def _mark_changes(truth, predicted, changes):
    """Set ``changes[x]`` where either map differs from the pixel before; no branches, so vectorised."""
    changes[:] = 0
    changes[0] = 1
    for x in range(1, truth.size):
        changes[x] = (truth[x] != truth[x - 1]) | (predicted[x] != predicted[x - 1])


@compiled
def _count_block(truth, predicted, changes, table, truth_areas, predicted_areas):
    """Count the pairs of one block into ``table`` and its labels into the areas; returns how many pairs were new."""
    _mark_changes(truth, predicted, changes)
    words = changes.view(np.uint64)
    places = np.empty(BLOCK + 1, np.int64)
    shared = np.empty(
        BLOCK, np.int64
    )  # stretches that lie in a segment on both sides, gathered without a branch
    found = 0
    kept = 0
    for word in range(words.size):
        marks = words[word]
        while marks != ZEROS:
            low = marks & (ZEROS - marks)
            marks ^= low
            x = 8 * word + np.int64((BYTE_NUMBERS * low) >> np.uint64(56))
            places[found] = x
            shared[kept] = found
            found += 1
            kept += (truth[x] != 0) & (predicted[x] != 0)
    places[found] = truth.size
    for stretch in range(found):
        x = places[stretch]
        truth_areas[truth[x]] += places[stretch + 1] - x
        predicted_areas[predicted[x]] += places[stretch + 1] - x
    new = 0
    for stretch in shared[:kept]:
        x = places[stretch]
        key = np.int64(truth[x]) << 32 | np.int64(predicted[x])
        slot = _slot(table, key)
        new += table[slot, 0] == -1
        table[slot, 0] = key
        table[slot, 1] += places[stretch + 1] - x
    return new


@compiled
def count_label_pairs(truth, predicted, truth_areas, predicted_areas):
    """Pairs of segments that share pixels, as keys ``truth << 32 | predicted`` and counts, unsorted.

    Flat label maps; the pixels of each label, 0 included, are added to the areas. The pixels go by as stretches over
    which neither label changes, so the hash table is asked once a stretch. It grows between blocks only: a table
    that may change inside the loop made it three times slower.
    """
    table = _empty_table(4 * BLOCK)
    changes = np.zeros(BLOCK, np.uint8)
    used = 0
    for block in range(0, truth.size, BLOCK):
        some_truth = truth[block : block + BLOCK]
        some_predicted = predicted[block : block + BLOCK]
        table = _with_room(table, used, BLOCK)
        used += _count_block(some_truth, some_predicted, changes, table, truth_areas, predicted_areas)
    return _pairs_of(table)


@compiled
def _count_run(segment, start, stop, other_segments, other_starts, other_stops, first, table):
    """Count one run against the runs of the other table from ``first`` on; returns how many pairs were new."""
    new = 0
    other = first
    while other < other_starts.size and other_starts[other] < stop:
        shared = min(stop, other_stops[other]) - max(start, other_starts[other])
        if shared > 0:
            key = np.int64(segment) << 32 | np.int64(other_segments[other])
            slot = _slot(table, key)
            new += table[slot, 0] == -1
            table[slot, 0] = key
            table[slot, 1] += shared
        other += 1
    return new


@compiled
def count_run_pairs(segments, starts, stops, other_segments, other_starts, other_stops, longest, num_others):
    """As ``count_label_pairs`` for two run tables sorted by start, in which segments may overlap.

    ``longest`` is the length of the longest run of the second table: a run that begins more than that before
    another cannot reach it, so each run of the first meets a short window of the second.
    """
    table = _empty_table(4 * BLOCK)
    used = 0
    window = 0
    for run in range(starts.size):
        while window < other_starts.size and other_starts[window] + longest <= starts[run]:
            window += 1
        table = _with_room(table, used, num_others)
        used += _count_run(
            segments[run], starts[run], stops[run], other_segments, other_starts, other_stops, window, table
        )
    return _pairs_of(table)


@compiled
def shared_pixels(starts, stops, other_starts, other_stops):
    """Pixels that two segments share: one merge over their ascending runs."""
    shared = 0
    run = 0
    other = 0
    while run < starts.size and other < other_starts.size:
        low = max(starts[run], other_starts[other])
        high = min(stops[run], other_stops[other])
        if high > low:
            shared += high - low
        if stops[run] < other_stops[other]:
            run += 1
        else:
            other += 1
    return shared


@compiled
def iou_matrix(offsets, starts, stops, boxes, others, other_starts, other_stops, other_boxes):
    """IoU of every segment of one run table with every one of another, (N, M); boxes (.., 6) spare most pairs."""
    rows = offsets.size - 1
    columns = others.size - 1
    areas = np.zeros(rows, np.int64)
    for k in range(rows):
        for run in range(offsets[k], offsets[k + 1]):
            areas[k] += stops[run] - starts[run]
    other_areas = np.zeros(columns, np.int64)
    for k in range(columns):
        for run in range(others[k], others[k + 1]):
            other_areas[k] += other_stops[run] - other_starts[run]
    iou = np.zeros((rows, columns))
    for k in range(rows):
        for m in range(columns):
            apart = False
            for axis in range(3):
                low = max(boxes[k, axis], other_boxes[m, axis])
                apart |= low >= min(boxes[k, axis + 3], other_boxes[m, axis + 3])
            if apart:
                continue
            shared = shared_pixels(
                starts[offsets[k] : offsets[k + 1]],
                stops[offsets[k] : offsets[k + 1]],
                other_starts[others[m] : others[m + 1]],
                other_stops[others[m] : others[m + 1]],
            )
            iou[k, m] = shared / max(areas[k] + other_areas[m] - shared, 1)
    return iou


@compiled
def suppress(order, offsets, starts, stops, boxes, groups, areas, max_iou):
    """Which segments greedy non-maximum suppression keeps, (N,) bool, going through them in ``order``."""
    kept = np.zeros(order.size, np.bool_)
    winners = np.empty(order.size, np.int64)
    found = 0
    for k in order:
        keep = True
        for place in range(found):
            m = winners[place]
            if groups[k] != groups[m]:
                continue
            apart = False
            for axis in range(3):
                apart |= max(boxes[k, axis], boxes[m, axis]) >= min(boxes[k, axis + 3], boxes[m, axis + 3])
            if apart or min(areas[k], areas[m]) <= max_iou * max(areas[k], areas[m]):
                continue  # even nested in each other their IoU, the ratio of areas, would be no larger
            shared = shared_pixels(
                starts[offsets[k] : offsets[k + 1]],
                stops[offsets[k] : offsets[k + 1]],
                starts[offsets[m] : offsets[m + 1]],
                stops[offsets[m] : offsets[m + 1]],
            )
            if shared > max_iou * (areas[k] + areas[m] - shared):
                keep = False
                break
        if keep:
            kept[k] = True
            winners[found] = k
            found += 1
    return kept


@compiled
def confusion(truth, predicted, num_classes, void):
    """Pixels of each (truth, predicted) pair of flat maps 0..num_classes - 1, (K, K); ``void`` truth is skipped.

    Returns the counts and the first bad pixel's index, or -1. Blocks of long stretches are counted a stretch at a
    time, noisy ones pixel by pixel: each way is 3 to 5 times slower on the other's blocks.
    """
    counts = np.zeros((num_classes, num_classes), np.int64)
    changes = np.zeros(BLOCK, np.uint8)
    words = changes.view(np.uint64)
    for block in range(0, truth.size, BLOCK):
        some_truth = truth[block : block + BLOCK]
        some_predicted = predicted[block : block + BLOCK]
        length = some_truth.size
        _mark_changes(some_truth, some_predicted, changes)
        noisy = changes.sum() > BLOCK // 8
        begin = 0
        first = np.int64(void)
        second = np.int64(0)
        for word in range(words.size):
            if words[word] == ZEROS and not noisy:
                continue
            for x in range(8 * word, min(8 * word + 8, length)):
                if noisy or changes[x]:
                    if first != void:
                        counts[first, second] += x - begin
                    begin = x
                    first = np.int64(some_truth[x])
                    second = np.int64(some_predicted[x])
                    if first != void and not (0 <= first < num_classes and 0 <= second < num_classes):
                        return counts, block + x
        if first != void:
            counts[first, second] += length - begin
    return counts, -1
