"""Truth and prediction of one image, and what metrics ask of the two, found out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import compiled
from ..errors import InputError
from ..overlaps import OverlapTable, confusion, overlap
from ..segmentation import Segmentation
from .void import both_judged, check_shapes, void_of_either


@dataclass(frozen=True, eq=False)
class Pair:
    """The truth and the prediction of one image, of one shape and one class set.

    Everything below is computed when it is first asked for and kept, so that all metrics of an image share one overlap
    table. Raises ``InputError`` when shapes or classes differ.
    """

    truth: Segmentation
    predicted: Segmentation

    def __post_init__(self) -> None:
        check_classes(self.truth, self.predicted)

    @cached_property
    def judged(self) -> tuple[Segmentation, Segmentation]:
        """Both sides without the pixels that are void in either; segments keep their numbers and may be empty."""
        return both_judged(self.truth, self.predicted)

    @property
    def table(self) -> OverlapTable:
        """Every pair of judged segments that share pixels."""
        return self._counted[0]

    @property
    def void_areas(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of each segment of both sides that are void on either, (N,) and (M,) int64."""
        return self._counted[1]

    @cached_property
    def _counted(self) -> tuple[OverlapTable, tuple[np.ndarray, np.ndarray]]:
        truth, predicted, void = self.truth, self.predicted, self.void
        if void is None:
            nothing = np.zeros(len(truth), np.int64), np.zeros(len(predicted), np.int64)
            return overlap(truth, predicted), nothing
        if truth.overlapping or predicted.overlapping:
            table = overlap(*self.judged)
            return table, (truth.areas_px - table.truth_areas, predicted.areas_px - table.predicted_areas)
        areas, lost = (
            (np.zeros(len(truth) + 1, np.int64), np.zeros(len(predicted) + 1, np.int64)) for _ in range(2)
        )
        flat = (each.reshape(-1) for each in (truth.labels, predicted.labels, void))
        keys, pixels = compiled.judged.count_judged_pairs(*flat, *areas, *lost)
        order = np.argsort(keys)
        keys = keys[order]
        pairs = keys >> 32, keys & 0xFFFFFFFF, pixels[order]
        return OverlapTable(*pairs, areas[0][1:], areas[1][1:], void.size), (lost[0][1:], lost[1][1:])

    @cached_property
    def class_maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of every pixel's class on both sides, (*S,): 1..K in the order of the class set, 0 none."""
        return class_numbers(self.truth), class_numbers(self.predicted)

    @cached_property
    def class_pixels(self) -> np.ndarray:
        """Pixels of each pair of classes, (K + 1, K + 1) int64, read-only: row = truth, column = predicted, 0 none."""
        truth, predicted = self.class_maps
        count = len(self.truth.classes) + 1
        if self.void is not None:
            truth = np.where(self.void, np.int32(count), truth)
        pixels = confusion(truth, predicted, count, void=count)
        pixels.flags.writeable = False
        return pixels

    @cached_property
    def void(self) -> np.ndarray | None:
        """Pixels (*S,) bool that are void on either side and count for neither; None where there are none."""
        return void_of_either(self.truth, self.predicted)


def check_classes(truth: Segmentation, predicted: Segmentation) -> None:
    """Raise ``InputError`` unless both sides have the same shape and classes."""
    check_shapes(truth, predicted)
    if truth.classes != predicted.classes:
        raise InputError(
            f"both sides must have the same classes, got {truth.classes} and {predicted.classes}; "
            "replace(classes=...) gives one side those of the other"
        )


def class_numbers(segmentation: Segmentation) -> np.ndarray:
    """Number of every pixel's class in its class set, (*S,): 1..K in order, 0 none; uint8 where that has room."""
    flat = segmentation.panoptic()
    numbers = segmentation.classes.places(flat.class_ids) + 1
    kind = np.uint8 if len(segmentation.classes) < 254 else np.int32
    return np.take(np.concatenate([[0], numbers]).astype(kind), flat.labels)
