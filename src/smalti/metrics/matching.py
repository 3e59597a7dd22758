"""One-to-one partners of objects: what reaches an IoU, and the best assignment where several do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..overlaps import Matches, OverlapTable, best_assignment

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
