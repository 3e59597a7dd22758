"""How far two predictions of one image are the same, whoever carried out the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..metrics.pair import Pair
from ..overlaps import best_assignment, overlap
from ..postprocess.targets import Task
from ..segmentation import Segmentation


@dataclass
class Agreement:
    """The agreement of two predictors over the images that were added, from 0 to 1.

    Semantic: the share of pixels that have the same class, or none, on both sides. Objects: segments of the same class
    are matched one to one, so that the sum of their IoU is largest; the agreement is twice that sum divided by the
    number of segments on both sides, so what has no partner counts as 0 wherever it is. Where both sides found
    nothing they agree.
    """

    task: Task
    same: float = 0.0
    all: float = 0.0

    def add(self, reference: Segmentation, other: Segmentation) -> None:
        """One more image. Raises ``InputError`` where shapes or classes differ."""
        if self.task == "semantic":
            pixels = Pair(reference, other).class_pixels
            self.same += float(np.trace(pixels))
            self.all += float(pixels.sum())
            return
        table = overlap(reference, other)
        alike = reference.class_ids[table.truth - 1] == other.class_ids[table.predicted - 1]
        truth, predicted, iou = table.truth[alike], table.predicted[alike], table.iou[alike]
        chosen = best_assignment(truth, predicted, iou)
        self.same += 2 * float(iou[chosen].sum())
        self.all += len(reference) + len(other)

    @property
    def value(self) -> float:
        """From 0, nothing is the same, to 1, everything is."""
        return self.same / self.all if self.all else 1.0
