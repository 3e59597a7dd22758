"""Scores of partitions: regions without a class that cover an image, as people cut up a photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..overlaps import overlap
from ..segmentation import Segmentation
from .void import both_judged


@dataclass(frozen=True)
class PartitionScores:
    """``covering`` of the first side by the second and ``covered`` the other way round, 0..1; ``rand_f`` 0..1; ``vi``
    in bits, 0 for the same partition."""

    covering: float
    covered: float
    rand_f: float
    vi: float


def partition_scores(truth: Segmentation, predicted: Segmentation) -> PartitionScores:
    """Covering, adapted Rand F and variation of information of two partitions of one image.

    Counted over the pixels that lie in a segment on both sides and are void on neither. Where there is none, the
    partitions do not contradict each other: 1, 1, 1 and 0. Segments must not overlap on one side.

    Covering: the mean over pixels of the best IoU that their region of truth has with any of the other side
    (Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, sec. 3.1). Adapted Rand F: the harmonic mean of precision and recall
    of pairs of pixels that lie in one region, 1 where there are no such pairs (1 minus the error of Arganda-Carreras et
    al., Frontiers in Neuroanatomy 2015). VI: H(truth | predicted) + H(predicted | truth) with logarithms of base 2
    (Meila, J. Multivariate Analysis 2007).
    """
    table = overlap(*both_judged(truth, predicted))
    pixels = table.pixels.astype(np.float64)
    total = pixels.sum()
    if total == 0:
        return PartitionScores(1.0, 1.0, 1.0, 0.0)
    areas = np.bincount(table.truth - 1, pixels)
    other_areas = np.bincount(table.predicted - 1, pixels)
    area, other_area = areas[table.truth - 1], other_areas[table.predicted - 1]
    iou = pixels / (area + other_area - pixels)
    best, other_best = np.zeros(len(areas)), np.zeros(len(other_areas))
    np.maximum.at(best, table.truth - 1, iou)
    np.maximum.at(other_best, table.predicted - 1, iou)
    together = np.square(pixels).sum() - total
    pairs = np.square(areas).sum() + np.square(other_areas).sum() - 2 * total
    rand_f = 2 * together / pairs if pairs else 1.0
    vi = float(-(pixels * (np.log2(pixels / area) + np.log2(pixels / other_area))).sum() / total)
    return PartitionScores(
        float((areas * best).sum() / total),
        float((other_areas * other_best).sum() / total),
        float(rand_f),
        max(vi, 0.0),
    )
