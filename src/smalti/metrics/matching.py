"""One-to-one partners of objects: what reaches an IoU, and the best assignment where several do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..overlaps import Matches, OverlapTable
from ..segmentation import Segmentation

THRESHOLDS = tuple(twentieths / 20 for twentieths in range(10, 20))
"""IoU from 0.5 to 0.95."""


def match_objects(table: OverlapTable, thresholds: Sequence[float] = THRESHOLDS) -> list[Matches]:
    """One-to-one pairs of objects with IoU >= each of the thresholds: as many as can be, then of the largest IoU.

    The rule of StarDist (Schmidt et al., MICCAI 2018) and Cellpose. Above 0.5 and without overlap inside a side it is
    every pair that reaches the threshold. Two label maps are matched by ``match_objects(overlap(truth, predicted))``.
    Raises ``InputError`` for thresholds outside 0..1 or none.
    """
    if not len(thresholds) or not all(0 < threshold <= 1 for threshold in thresholds):
        raise InputError(f"thresholds are IoUs above 0 and up to 1, at least one, got {list(thresholds)}")
    iou = table.iou
    kept = iou >= min(thresholds)
    truth, predicted, iou = table.truth[kept], table.predicted[kept], iou[kept]
    contested = len(np.unique(truth)) < len(truth) or len(np.unique(predicted)) < len(predicted)
    matches = []
    for threshold in thresholds:
        chosen = np.flatnonzero(iou >= threshold)
        if contested:
            weight = 1 + iou[chosen] / (2 * len(chosen) + 1)
            chosen = chosen[best_assignment(truth[chosen], predicted[chosen], weight)]
        matches.append(Matches(truth[chosen], predicted[chosen], iou[chosen]))
    return matches


def best_assignment(truth: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the pairs (P,) of the one-to-one assignment with the largest sum of ``weight`` > 0.

    Solved over the pairs alone, without a dense matrix of all objects: memory grows with the pairs.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    _, rows, row_pairs = np.unique(truth, return_inverse=True, return_counts=True)
    _, columns, column_pairs = np.unique(predicted, return_inverse=True, return_counts=True)
    chosen = (row_pairs[rows] == 1) & (column_pairs[columns] == 1)  # no rival on either side
    contested = np.flatnonzero(~chosen)
    if not len(contested):
        return np.flatnonzero(chosen)
    _, rows = np.unique(truth[contested], return_inverse=True)
    _, columns = np.unique(predicted[contested], return_inverse=True)
    weight = weight[contested]
    height, width = rows.max() + 1, columns.max() + 1
    # Each row has a column of its own that stands for no partner, so an assignment of all rows exists.
    none = 1 + weight.max()
    costs = csr_array(
        (
            np.concatenate([none - weight, np.full(height, none)]),
            (np.concatenate([rows, np.arange(height)]), np.concatenate([columns, width + np.arange(height)])),
        ),
        shape=(height, width + height),
    )
    row, column = min_weight_full_bipartite_matching(costs)
    partner = np.full(height, -1)
    partner[row] = column
    chosen[contested[partner[rows] == columns]] = True
    return np.flatnonzero(chosen)


def class_places(side: Segmentation) -> np.ndarray:
    """Place of each segment's class in the class set, (N,)."""
    order = np.argsort(side.classes.ids)
    return order[np.searchsorted(side.classes.ids, side.class_ids, sorter=order)]
