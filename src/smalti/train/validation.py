"""How good a network is while it learns: its segments of validation images, scored as the evaluator scores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
from torch import nn

from ..image import Image
from ..metrics.metric import Metric
from ..metrics.pair import Pair
from ..runtime.fitted import FittedNetwork
from ..sample import Sample
from ..segmentation import Segmentation
from .model import with_networks
from .pictures import MOST_SHOWN, Shown

MOST_VALIDATED_PX = 40_000_000
"""Pixels of the validation images that are looked at each time, of all of them together."""
MOST_KEPT_BYTES = 500_000_000
"""Memory of the images that are kept between validations; the others are read each time."""


class Validation:
    """Scores a network on ``samples`` by ``metric``; ``shown`` are some of them with what it made of them last.

    ``model`` is the fitted network but for its weights. Of many samples ``most`` are looked at, evenly chosen.
    """

    def __init__(self, samples: Sequence[Sample], model: FittedNetwork, metric: Metric) -> None:
        self.samples = samples
        self.model = model
        self.metric = metric
        self.main = metric.headline
        self.shown: tuple[Shown, ...] = ()
        self._kept: dict[int, tuple[Image, Segmentation]] = {}
        self._bytes = 0
        size = int(np.prod(self._pair(0)[1].shape))
        self.most = max(1, min(len(samples), MOST_VALIDATED_PX // size))

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        """The scores of the whole, higher for better; the headline is 0 where it has no value."""
        model = with_networks(self.model, [network])
        kept, shown = [], list[Shown]()
        for number in evenly(len(self.samples), self.most):
            image, truth = self._pair(number)
            predicted = model.predict(image)
            kept.append(self.metric.keep(Pair(truth, predicted)))
            if len(shown) < MOST_SHOWN:
                shown.append(Shown(self.samples[number].name, image, truth, predicted))
        self.shown = tuple(shown)
        scores = self.metric.score(kept, np.ones((1, len(kept))))
        whole = {
            score.name for score in self.metric.scores if not score.per_class and score.better == "higher"
        }
        found = {name: float(values[0]) for name, values in scores.items() if name in whole}
        return {self.main: float(np.nan_to_num(found.pop(self.main))), **found}

    def seconds(self, network: nn.Module, long_s: float) -> float:
        """Seconds that one image takes with this network; the first, which is slower, counts if it took ``long_s``."""
        most, self.most = self.most, 1
        for self.most in (1, min(most, 3)):
            start = perf_counter()
            self(network)
            each = (perf_counter() - start) / self.most
            if each > long_s:
                break
        self.most = most
        return each

    def _pair(self, number: int) -> tuple[Image, Segmentation]:
        """An image and its truth in the classes of the model."""
        if number in self._kept:
            return self._kept[number]
        sample = self.samples[number]
        pair = sample.image, sample.truth.replace(classes=self.model.classes)
        if self._bytes + pair[0].pixels.nbytes <= MOST_KEPT_BYTES:
            self._kept[number] = pair
            self._bytes += pair[0].pixels.nbytes
        return pair


def evenly(count: int, most: int) -> list[int]:
    """Up to ``most`` of the numbers below ``count``, the first and the last of them among these."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))
