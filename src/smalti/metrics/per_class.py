"""Scores made image by image and class by class: the masks they compare, and the mean of those that exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..segmentation import Segmentation
from .means import mean_over_classes
from .metric import Metric, Score, Scores
from .pair import Pair


def class_masks(pair: Pair) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Place in the class set and masks (*S,) bool of truth and prediction, of each class that either side has.

    A class's mask is the union of its segments. Where segments overlap, a pixel belongs to the classes of all of them.
    Void pixels are as they are.
    """
    sides = (pair.truth, pair.predicted)
    present = np.unique(np.concatenate([side.class_ids[side.areas_px > 0] for side in sides]))
    for place, class_id in enumerate(pair.truth.classes.ids.tolist()):
        if class_id in present:
            truth, predicted = (
                _union(side, class_id) if side.overlapping else numbers == place + 1
                for side, numbers in zip(sides, pair.class_maps, strict=True)
            )
            yield place, truth, predicted


def _union(segmentation: Segmentation, class_id: int) -> np.ndarray:
    mask = np.zeros(segmentation.shape, bool)
    for k in np.flatnonzero(segmentation.class_ids == class_id) + 1:
        crop, place = segmentation.crop(int(k))
        mask[place] |= crop
    return mask


class ImageMeans(Metric):
    """A metric that is a mean over images: (K, V) values of each image are kept, NaN where one does not exist.

    A class's score is the weighted mean over the images in which it exists; the score of all is the mean of the
    classes that have one. ``values`` are the scores of a class in the order in which they are kept.
    """

    values: ClassVar[tuple[str, ...]]

    def score(self, kept: Sequence[Any], weights: np.ndarray) -> Scores:
        values = np.stack(kept)  # n, K, V
        flat = values.reshape(len(values), -1)
        there = ~np.isnan(flat)
        sums = weights @ np.where(there, flat, 0.0)
        total = weights @ there
        means = np.full(sums.shape, np.nan)
        np.divide(sums, total, out=means, where=total > 0)
        means = means.reshape(len(weights), *values.shape[1:])
        scores: dict[str, np.ndarray] = {}
        for v, name in enumerate(self.values):
            scores[name] = mean_over_classes(means[:, :, v])
            scores[f"{name}_of_class"] = means[:, :, v]
        return scores


def with_classes(*scores: Score) -> tuple[Score, ...]:
    """Each score, and behind it the same for each class."""
    both = []
    for each in scores:
        both += [
            each,
            Score(f"{each.name}_of_class", f"{each.title} of the class", each.better, each.unit, True),
        ]
    return tuple(both)
