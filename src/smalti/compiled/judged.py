"""Counting the pixels two label maps share outside void."""

from __future__ import annotations

import numpy as np

from .jit import compiled
from .overlaps import BLOCK, _count_block, _empty_table, _pairs_of, _with_room


@compiled
def count_judged_pairs(truth, predicted, void, truth_areas, predicted_areas, truth_lost, predicted_lost):
    """As ``count_label_pairs`` for flat maps, of the pixels that are not ``void``; those are added to what is lost.

    Void pixels count as label 0 in the areas. Blocks without void are read where they lie, others from a copy in the
    cache, so that no map is made without void.
    """
    table = _empty_table(4 * BLOCK)
    changes = np.zeros(BLOCK, np.uint8)
    first = np.empty(BLOCK, truth.dtype)
    second = np.empty(BLOCK, predicted.dtype)
    used = 0
    for block in range(0, truth.size, BLOCK):
        some_truth = truth[block : block + BLOCK]
        some_predicted = predicted[block : block + BLOCK]
        some_void = void[block : block + BLOCK]
        table = _with_room(table, used, BLOCK)
        size = some_truth.size
        hole = False
        for x in range(size):  # no branch in these two loops, so vectorised
            hole |= some_void[x]
        if not hole:
            used += _count_block(some_truth, some_predicted, changes, table, truth_areas, predicted_areas)
            continue
        for x in range(size):
            first[x] = some_truth[x] * (not some_void[x])
            second[x] = some_predicted[x] * (not some_void[x])
        x = 0
        while x < size:
            begin = x
            if some_void[x]:
                label, other = some_truth[x], some_predicted[x]
                while x < size and some_void[x] and some_truth[x] == label and some_predicted[x] == other:
                    x += 1
                truth_lost[label] += x - begin
                predicted_lost[other] += x - begin
            else:
                x += 1
        used += _count_block(first[:size], second[:size], changes, table, truth_areas, predicted_areas)
    return _pairs_of(table)
