"""Crops of random places of random images, changed at random, each by random numbers of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..classes import ClassSet
from ..data.augment import sample_rng
from ..data.augment.augmentation import Chain
from ..postprocess.planes import Planes
from ..runtime.preparation import Preparation
from ..sample import Sample
from .batches import Batch
from .fingerprint import Fingerprint
from .material import VOID, Arrays, Material
from .plan import Plan
from .targets import crop_targets

Build = Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
"""Targets (..., *S) of a crop's labels (*S,) and the class ids of its segments."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Batch by number, the same whenever it is asked for: item k of all is made by random numbers of ``(seed, k)``.

    Every image is taken once in an epoch, in an order of the epoch's own, or with ``weights`` (n,) as often as they
    say. A share ``focused`` of the crops is made by the chain ``focus``, the others by ``anywhere``.
    """

    material: Sequence[Arrays]
    anywhere: Chain
    focus: Chain
    focused: float
    batch_size: int
    preparation: Preparation
    build: Build
    seed: int
    weights: np.ndarray | None = None

    def __call__(self, number: int) -> Batch:
        """Batch ``number``."""
        items = [self._item(number * self.batch_size + place) for place in range(self.batch_size)]
        names = items[0][1].keys()
        return Batch(
            torch.from_numpy(np.stack([image for image, _, _ in items])),
            {name: torch.from_numpy(np.stack([targets[name] for _, targets, _ in items])) for name in names},
            tuple(sample for _, _, sample in items),
        )

    def _item(self, item: int) -> tuple[np.ndarray, Mapping[str, np.ndarray], int]:
        rng = sample_rng(self.seed, item)
        number = self._drawn(item)
        arrays = self.material[number]
        chain = self.focus if rng.random() < self.focused else self.anywhere
        made = chain.apply_arrays(arrays.pixels, arrays.labels, rng, class_ids=arrays.class_ids, void=VOID)
        assert made.labels is not None and made.class_ids is not None
        statistics = arrays.statistics
        if statistics.low is None:
            image = made.floats(statistics.offset, statistics.scale)
        else:
            image = self.preparation.prepared(made.pixels, statistics)
        return image, self.build(made.labels, made.class_ids), number

    def _drawn(self, item: int) -> int:
        """The sample of an item: a shuffled pass over all of them after the other."""
        epoch, place = divmod(item, len(self.material))
        rng = np.random.default_rng([self.seed, epoch])
        if self.weights is None:
            return int(rng.permutation(len(self.material))[place])
        # systematic draws: as often as the weights say, but for less than one
        steps = (np.arange(len(self.material)) + rng.random()) / len(self.material)
        edges = np.cumsum(self.weights) / np.sum(self.weights)
        chosen = np.minimum(np.searchsorted(edges, steps), len(self.material) - 1)
        return int(rng.permutation(chosen)[place])


def crops_of(
    plan: Plan, found: Fingerprint, material: Material, planes: Planes, classes: ClassSet, seed: int
) -> Crops:
    """The crops that a plan asks for."""
    crop = {"name": "crop", "size": list(plan.crop_px)}
    described = {key: value for key, value in plan.augment.describe().items() if key != "name"}
    steps = described.pop("steps")
    anywhere = Chain.make({**described, "steps": (crop, *steps)})
    focus = Chain.make({**described, "steps": (crop | {"around": plan.focus}, *steps)})
    weights = rarity(found, material.samples) if plan.draw == "rare" else None

    def build(labels: np.ndarray, class_ids: np.ndarray) -> Mapping[str, np.ndarray]:
        return crop_targets(labels, class_ids, planes, classes, plan.spacing)

    return Crops(
        material,
        anywhere,
        focus,
        plan.focus_share,
        plan.batch_size,
        material.preparation,
        build,
        seed,
        weights,
    )


def rarity(found: Fingerprint, samples: Sequence[Sample]) -> np.ndarray:
    """How often each sample is drawn, (n,): by the rarest of its classes (repeat factors: Gupta et al., LVIS, 2019)."""
    factors = {each.id: 1 / math.sqrt(max(each.image_share, 1e-6)) for each in found.present}
    weights = []
    for sample in samples:
        present = np.unique(sample.truth.class_ids).tolist()
        weights.append(max((factors.get(class_id, 1.0) for class_id in present), default=1.0))
    return np.array(weights)
