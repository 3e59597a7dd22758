"""How good a network is while it learns: its segments of validation images, scored as the evaluator scores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from torch import nn

from ..deep.network import Activated
from ..metrics.metric import Metric
from ..metrics.pair import Pair
from ..runtime.engines import Torch
from ..runtime.fitted import FittedNetwork
from ..sample import Sample
from ..segmentation import Segmentation
from .pictures import MOST_SHOWN, Shown

MOST_VALIDATED_PX = 40_000_000
"""Pixels of the validation images that are looked at in each epoch, of all of them together, evenly chosen."""


class Validation:
    """Scores a network on ``samples``, by the first metric of the task; ``scored`` is the last look at them.

    ``model`` is the fitted network but for its weights. ``metric`` is the name of another metric.
    """

    def __init__(self, samples: Sequence[Sample], model: FittedNetwork, metric: Metric) -> None:
        self.samples = samples
        self.model = model
        self.metric = metric
        self.main = self.metric.headline
        self.shown: tuple[Shown, ...] = ()

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        model = with_network(self.model, network)
        kept, shown = [], list[Shown]()
        for sample, truth in zip(self.looked_at, self.truths, strict=True):
            image = sample.image
            predicted = model.predict(image)
            kept.append(self.metric.keep(Pair(truth, predicted)))
            if len(shown) < MOST_SHOWN:
                shown.append(Shown(sample.name, image, truth, predicted))
        self.shown = tuple(shown)
        scores = self.metric.score(kept, np.ones((1, len(kept))))
        whole = {
            score.name for score in self.metric.scores if not score.per_class and score.better == "higher"
        }
        found = {name: float(values[0]) for name, values in scores.items() if name in whole}
        return {self.main: np.nan_to_num(found.pop(self.main)), **found}

    @cached_property
    def looked_at(self) -> list[Sample]:
        """Those that are looked at in each epoch."""
        size = int(np.prod(self.samples[0].image.shape))
        count = max(1, min(len(self.samples), MOST_VALIDATED_PX // size))
        return [self.samples[at] for at in np.linspace(0, len(self.samples) - 1, count).round().astype(int)]

    @cached_property
    def truths(self) -> list[Segmentation]:
        """The truths of ``looked_at``, in the classes of the model."""
        return [sample.truth.replace(classes=self.model.classes) for sample in self.looked_at]


def with_network(model: FittedNetwork, *networks: nn.Module) -> FittedNetwork:
    """The model carried out by these networks in memory."""
    return replace(model, loaded=tuple(Torch(Activated(each, model.planes).eval()) for each in networks))
