"""What is decided by how well it does on parts of the material, as trees say that have not seen them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np

from ..classes import ClassSet
from ..metrics.instance import count_objects
from ..metrics.thin import near_pixels
from ..postprocess.decode import BorderDecoding, Landscape, most_probable, won_segments
from ..postprocess.targets import Targets, object_planes
from ..postprocess.tuning import tune_instances
from ..segmentation import Segmentation
from .calibration import mean_iou
from .fitted import smoothed
from .material import Part

Found = Sequence[tuple[Part, np.ndarray]]
"""Parts, each with the calibrated probabilities (K, *S) of trees that have not seen it."""

SMOOTHINGS = (0, 2, 4, 8)
"""Radii of the guided filter that are tried."""
LINE_TOLERANCE_PX = 2.0
LINE_STEPS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
SHAPE_ALONE = BorderDecoding.make(
    {"border_weight": 0.0, "distance_weight": 2.0, "min_depth": 0.05, "min_peak": 0.7}
)
"""How objects are parted where no border was learned: at their necks. From strokes on 120 images of DSB 2018, AP50 of
60 others was 0.673 so, 0.647 with a depth of 0.15 and a peak of 0.6 (leaves of one pixel; 2026-11)."""


def best_smoothing(found: Found, targets: Targets, factors: np.ndarray) -> int:
    """The radius of the guided filter whose choice of classes has the highest mean IoU."""
    scores = []
    for radius in SMOOTHINGS:
        chosen, known = [], []
        for part, planes in found:
            truth = part.targets.reshape(-1)
            winners, _ = most_probable(smoothed(planes, part.image.pixels, radius), factors)
            labelled = truth >= 0
            chosen.append(winners.reshape(-1)[labelled].astype(np.int64))
            known.append(truth[labelled].astype(np.int64))
        everything = np.concatenate(known)
        scores.append(mean_iou(np.concatenate(chosen), everything, np.ones(len(everything)), len(targets)))
    return SMOOTHINGS[int(np.argmax(scores))]


def best_for_lines(
    found: Found, targets: Targets, factors: np.ndarray, smoothing_px: int | None
) -> tuple[int, np.ndarray]:
    """The radius, and what all classes but background are weighed with, of the highest F1 within 2 pixels."""
    classes = np.array(targets.class_ids) > 0
    best: tuple[float, int, np.ndarray] = (-1.0, 0, factors)
    for radius in SMOOTHINGS if smoothing_px is None else (smoothing_px,):
        planes = [smoothed(each, part.image.pixels, radius) for part, each in found]
        for step in LINE_STEPS:
            tried = np.where(classes, factors * step, factors)
            counts = [
                near_pixels(part.truth, _chosen(part, each, targets, tried), LINE_TOLERANCE_PX)
                for (part, _), each in zip(found, planes, strict=True)
            ]
            score = float(np.nanmean(reduce(add, counts).f1))
            if score > best[0]:
                best = score, radius, tried
    return best[1], best[2]


def _chosen(part: Part, planes: np.ndarray, targets: Targets, factors: np.ndarray) -> Segmentation:
    winners, sums = most_probable(planes, factors)
    return won_segments(winners, sums, targets.class_ids, part.truth.classes, part.truth.geometry)


def best_decoding(found: Found, targets: Targets, classes: ClassSet) -> BorderDecoding:
    """How objects are best parted."""
    planes = [object_planes(each, targets) for _, each in found]
    truths = [part.truth.replace(classes=classes) for part, _ in found]
    landscapes = [Landscape(*each[:3], truth.geometry) for truth, each in zip(truths, planes, strict=True)]
    return tune_instances(truths, landscapes, planes[0][3], classes, objects_right, BorderDecoding())


def objects_right(truth: Segmentation, predicted: Segmentation) -> np.ndarray:
    """TP and TP + FP + FN at IoU 0.5 to 0.9, (5, 2): what the parting of objects is tuned by."""
    counts = count_objects(truth, predicted, thresholds=(0.5, 0.6, 0.7, 0.8, 0.9))
    found, missed, extra = (each.sum(axis=1) for each in (counts.found, counts.missed, counts.extra))
    return np.stack([found, found + missed + extra], axis=1)
