"""The class that wins each pixel of an image that is worked through part by part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..classes import ClassSet
from ..geometry import Geometry
from ..segmentation import Segmentation
from .decode import most_probable, won_segments
from .targets import Targets
from .uncertainty import entropy, margin


class Winners:
    """What ``decode.semantic`` gives of a whole image, gathered from parts of it: memory for one number a pixel.

    ``factors`` (K,) are what probabilities are multiplied by before the largest wins. With ``unsure`` each segment has
    the attributes ``margin`` and ``entropy``, their means over its pixels.
    """

    def __init__(
        self, shape: Sequence[int], targets: Targets, factors: np.ndarray, unsure: bool = False
    ) -> None:
        self.targets, self.factors = targets, factors
        self.winners = np.empty(shape, np.uint8 if len(targets) <= 256 else np.int32)
        self.sums = np.zeros(len(targets))
        self.unsure = np.zeros((2, len(targets))) if unsure else None

    def add(
        self, place: tuple[slice, ...], probabilities: np.ndarray, unsure_of: np.ndarray | None = None
    ) -> None:
        """A part (K, *S) that lies at ``place``; it is as unsure as ``unsure_of`` where that is given."""
        best, won = most_probable(probabilities, self.factors)
        self.winners[place] = best
        self.sums += won
        if self.unsure is not None:
            measured = probabilities if unsure_of is None else unsure_of
            for row, measure in zip(self.unsure, (margin, entropy), strict=True):
                row += np.bincount(best.reshape(-1), measure(measured).reshape(-1), len(self.targets))

    def segments(self, classes: ClassSet, geometry: Geometry) -> Segmentation:
        """One segment per class that won somewhere, once every part was added."""
        found = won_segments(self.winners, self.sums, self.targets.class_ids, classes, geometry)
        if self.unsure is None:
            return found
        places = [self.targets.class_ids.index(class_id) for class_id in found.class_ids]
        means = self.unsure[:, places] / found.areas_px
        return found.replace(attributes={"margin": means[0], "entropy": means[1]})
