"""Matching of the objects of two label maps, as those who count cells do it."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from harness import Comparison, row
from overlap import cells

from smalti.metrics.matching import match_objects
from smalti.overlaps import Matches, overlap

THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
NOTE = "14,400 cells a side on 4096 x 4096, from the label maps; ours at ten thresholds"


def match_all(truth: np.ndarray, predicted: np.ndarray) -> list[Matches]:
    """Ours: the partners at every threshold."""
    return match_objects(overlap(truth, predicted), THRESHOLDS)


if find_spec("stardist"):
    from stardist.matching import matching

    def against_stardist() -> Comparison:
        truth, predicted = cells(4096, 0), cells(4096, 1)

        def agree(theirs: object, ours: list[Matches]) -> bool:
            same_iou = np.isclose(theirs.mean_matched_score, ours[0].iou.mean())  # type: ignore[attr-defined]
            return theirs.tp == len(ours[0].iou) and bool(same_iou)  # type: ignore[attr-defined]

        return Comparison(
            lambda: matching(truth, predicted, thresh=0.5),
            lambda: match_all(truth, predicted),
            agree,
            f"{NOTE}, StarDist's at 0.5 alone, which fills a matrix of 14,400 x 14,400 several times",
        )

    row("match-14k-stardist", peer="stardist matching", target=100, repeats=1)(against_stardist)
    row("match-14k-memory", peer="stardist matching", what="memory", limit_mb=100, repeats=1)(
        against_stardist
    )


if find_spec("cellpose") and find_spec("fastremap") and find_spec("fill_voids"):
    from cellpose.metrics import average_precision

    @row("match-14k-cellpose", peer="cellpose metrics.average_precision", target=100, repeats=1)
    def against_cellpose() -> Comparison:
        truth, predicted = cells(4096, 0), cells(4096, 1)
        return Comparison(
            lambda: average_precision(truth, predicted, threshold=[0.5]),
            lambda: match_all(truth, predicted),
            lambda theirs, ours: int(theirs[1][0]) == len(ours[0].iou),
            f"{NOTE}, Cellpose's at 0.5 alone",
        )
