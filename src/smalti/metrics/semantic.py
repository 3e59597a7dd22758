"""Scores of classes: how well two segmentations agree on the class of every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..overlaps import confusion
from ..segmentation import Segmentation
from .void import check_shapes


@dataclass(frozen=True, eq=False)
class ClassOverlap:
    """Pixels of each pair of classes, and the scores that follow from them.

    ``pixels`` (K + 1, K + 1) int64: row = class in truth, column = class in predicted, row and column 0 "no segment",
    then the classes of ``classes`` in order. Tables of several images may be added.
    """

    classes: ClassSet
    pixels: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class (Jaccard 1912), (K,); NaN for a class on neither side."""
        shared, truth, predicted = self._areas()
        return ratio(shared, truth + predicted - shared)

    @property
    def dice(self) -> np.ndarray:
        """2 |A and B| / (|A| + |B|) of each class (Dice 1945), (K,), which is the F1 of its pixels; NaN as for IoU."""
        shared, truth, predicted = self._areas()
        return ratio(2 * shared, truth + predicted)

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes on either side; 1 where neither side has any, as both say the same."""
        return mean_of_present(self.iou)

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the classes on either side; 1 where neither side has any."""
        return mean_of_present(self.dice)

    @property
    def accuracy(self) -> float:
        """Share of pixels with the same class or none on both sides; 1 where no pixel is judged."""
        total = int(self.pixels.sum())
        return float(np.trace(self.pixels)) / total if total else 1.0

    def _areas(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return (
            np.diagonal(self.pixels)[1:],
            self.pixels.sum(axis=1)[1:],
            self.pixels.sum(axis=0)[1:],
        )


def class_overlap(truth: Segmentation, predicted: Segmentation) -> ClassOverlap:
    """The pixels of each pair of classes of two segmentations of one image.

    Pixels that are void on either side are not counted. Where segments overlap, a pixel has the class it has in
    ``Segmentation.semantic_map``. Raises ``InputError`` when shapes or classes differ.
    """
    check_classes(truth, predicted)
    classes = truth.classes
    count = len(classes) + 1
    first, second = (class_numbers(side) for side in (truth, predicted))
    if truth.void_px or predicted.void_px:
        first[truth.void | predicted.void] = count
    pixels = confusion(first, second, count, void=count)
    return ClassOverlap(classes, pixels)


def check_classes(truth: Segmentation, predicted: Segmentation) -> None:
    """Raise ``InputError`` unless both sides have the same shape and classes."""
    check_shapes(truth, predicted)
    if truth.classes != predicted.classes:
        raise InputError(
            f"both sides must have the same classes, got {truth.classes} and {predicted.classes}; "
            "replace(classes=...) gives one side those of the other"
        )


def mean_of_present(scores: np.ndarray) -> float:
    """Mean of the scores (K,) that exist; 1 where none does."""
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if len(present) else 1.0


def class_numbers(segmentation: Segmentation) -> np.ndarray:
    """Number of every pixel's class in its class set, (*S,) int32: 1..K in order, 0 none."""
    flat = segmentation.panoptic()
    ids = segmentation.classes.ids
    order = np.argsort(ids)
    numbers = order[np.searchsorted(ids, flat.class_ids, sorter=order)] + 1
    lookup = np.concatenate([[0], numbers]).astype(np.int32)
    return lookup[flat.labels]


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One over the other (K,), NaN where that is nought."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
