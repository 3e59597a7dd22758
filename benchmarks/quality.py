"""What tables of quality share: scores of test images with their intervals, and cells that show them."""

from __future__ import annotations

from typing import Any

import numpy as np
from forest_sets import Measure

from smalti.data.dataset import Dataset
from smalti.metrics.interval import interval
from smalti.metrics.pair import Pair
from smalti.segmentation import Segmentation

FEWEST_GROUPS = 5
"""Groups of test images are drawn as a whole for the intervals where there are so many; else images are."""


def pair_of(measure: Measure, truth: Segmentation, found: Segmentation) -> Pair:
    """What the measure compares; classes are matched by being the same, void of predictions counts as nothing."""
    found = found.replace(classes=truth.classes, void=None)
    if measure.view is not None:
        truth, found = measure.view(truth), measure.view(found)
    return Pair(truth, found)


def groups_of(test: Dataset) -> list[str] | None:
    """The group of each test image, where there are enough of them to draw from."""
    groups = [sample.group or sample.name for sample in test]
    return groups if FEWEST_GROUPS <= len(set(groups)) < len(groups) else None


def scored(measure: Measure, kept: list[Any], train: Dataset, groups: list[str] | None) -> dict[str, Any]:
    """A score with its 95 % interval, None for what does not exist."""
    found = interval(measure.metric, kept, groups)[measure.score]
    place = () if measure.class_name is None else train.classes.names.index(measure.class_name)
    ends = (float(np.asarray(each)[place]) for each in (found.value, found.low, found.high))
    value, low, high = (round(each, 4) if np.isfinite(each) else None for each in ends)
    return {"title": measure.title, "value": value, "low": low, "high": high}


def score_cell(score: dict[str, Any]) -> str:
    if score["value"] is None:
        return "–"
    ends = "" if score["low"] is None else f" ({score['low']:.3f} to {score['high']:.3f})"
    return f"{score['value']:.3f}{ends}"
