"""Crops of random places of random images, changed at random, each by random numbers of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch

from ..classes import ClassSet
from ..data.augment import sample_rng
from ..data.augment.augmentation import Chain
from ..data.augment.draft import Draft
from ..data.augment.moves import translation
from ..data.augment.spatial import Spatial
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

JITTER = 0.25
"""How far from the middle of a crop the pixel that it lies around may be, as a share of its length."""
MARGIN = 1.0
"""What is cut out around a crop on each side, in its lengths: rotated by 45 degrees and made half as large it reaches
0.9 beyond; what lies further is taken for outside."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Batch by number, the same whenever it is asked for: item k of all is made by random numbers of ``(seed, k)``.

    Every image is taken once in an epoch, in an order of the epoch's own, or with ``weights`` (n,) as often as they
    say. A share ``focused`` of the crops of ``crop_px`` lies around a pixel of a class, each class of the image as
    often, or around a segment, as ``focus`` says. The crop is changed by ``chain``. Of several ``ranks`` that learn
    together each takes every so manyth item, so that together they take what one would by larger batches.
    """

    material: Sequence[Arrays]
    crop_px: tuple[int, ...]
    chain: Chain
    batch_size: int
    preparation: Preparation
    build: Build
    seed: int
    focus: str = "class"
    focused: float = 0.0
    weights: np.ndarray | None = None
    rank: int = 0
    ranks: int = 1
    _of_epoch: Callable[[int], np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_of_epoch", lru_cache(maxsize=4)(self._order))

    def __call__(self, number: int) -> Batch:
        """Batch ``number``."""
        first = number * self.batch_size
        items = [self._item((first + place) * self.ranks + self.rank) for place in range(self.batch_size)]
        names = items[0][1].keys()
        return Batch(
            torch.from_numpy(np.stack([image for image, _, _ in items])),
            {name: torch.from_numpy(np.stack([targets[name] for _, targets, _ in items])) for name in names},
            tuple(sample for _, _, sample in items),
        )

    def _item(self, item: int) -> tuple[np.ndarray, Mapping[str, np.ndarray], int]:
        rng = sample_rng(self.seed, item)
        epoch, place = divmod(item, len(self.material))
        number = int(self._of_epoch(epoch)[place])
        arrays = self.material[number]
        starts = self._starts(arrays, rng)
        # Cut first: marks of void, areas of segments and pixels of classes were looked for in all of the image. From
        # 2000 x 3000 pixels of 11 classes a crop of 256 took 56 ms of one core so and takes 8, from 360 x 480 it is 4.
        cut = tuple(
            slice(max(0, start - round(MARGIN * length)), max(1, start + length + round(MARGIN * length)))
            for start, length in zip(starts, self.crop_px, strict=True)
        )
        inner = tuple(start - piece.start for start, piece in zip(starts, cut, strict=True))
        window = Window(probability=1.0, size=self.crop_px, starts=inner)
        chain = self.chain.model_copy(update={"steps": (window, *self.chain.steps)})
        made = chain.apply_arrays(
            arrays.pixels[cut],
            arrays.labels[cut],
            rng,
            class_ids=arrays.class_ids,
            void=VOID if arrays.void else None,
        )
        assert made.labels is not None and made.class_ids is not None
        statistics = arrays.statistics
        if statistics.low is None:
            image = made.floats(statistics.offset, statistics.scale)
        else:
            image = self.preparation.prepared(made.pixels, statistics)
        return image, self.build(made.labels, made.class_ids), number

    def _starts(self, arrays: Arrays, rng: np.random.Generator) -> list[int]:
        """Where a crop begins, below 0 where the image is smaller: it is padded on both sides alike then."""
        target = arrays.drawn(self.focus, rng) if rng.random() < self.focused else None
        starts = []
        for axis, (length, wanted) in enumerate(zip(arrays.labels.shape, self.crop_px, strict=True)):
            room, draw = length - wanted, rng.random()
            if room < 0:
                starts.append(room // 2)
            elif target is None:
                starts.append(math.floor(draw * (room + 1)))
            else:
                middle = target[axis] + (2 * draw - 1) * JITTER * wanted
                starts.append(min(room, max(0, round(middle - (wanted - 1) / 2))))
        return starts

    def _order(self, epoch: int) -> np.ndarray:
        """The samples of an epoch's items."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.weights is None:
            return rng.permutation(len(self.material))
        # systematic draws: as often as the weights say, but for less than one
        steps = (np.arange(len(self.material)) + rng.random()) / len(self.material)
        edges = np.cumsum(self.weights) / np.sum(self.weights)
        chosen = np.minimum(np.searchsorted(edges, steps), len(self.material) - 1)
        return rng.permutation(chosen)


class Window(Spatial):
    """A piece of ``size`` that begins at ``starts``; what lies around it is image that later moves may bring in."""

    name: ClassVar[str] = "window"
    source: ClassVar[str] = "the place of a crop that was drawn before"

    size: tuple[int, ...]
    starts: tuple[int, ...]

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        draft.move(translation(list(self.starts)), shape=self.size)


def crops_of(
    plan: Plan,
    found: Fingerprint,
    material: Material,
    planes: Planes,
    classes: ClassSet,
    seed: int,
    rank: int = 0,
    ranks: int = 1,
) -> Crops:
    """The crops that a plan asks for."""

    def build(labels: np.ndarray, class_ids: np.ndarray) -> Mapping[str, np.ndarray]:
        return crop_targets(labels, class_ids, planes, classes, plan.spacing)

    return Crops(
        material,
        plan.crop_px,
        # Of a class that fills the image a crop shows less than a tenth, and it is that class none the less.
        plan.augment.model_copy(update={"min_visible": 0.0}),
        plan.batch_size,
        material.preparation,
        build,
        seed,
        plan.focus,
        plan.focus_share,
        draws(plan, found, material.samples),
        rank,
        ranks,
    )


def draws(plan: Plan, found: Fingerprint, samples: Sequence[Sample]) -> np.ndarray | None:
    """How often each sample is drawn, (n,); None for all alike."""
    if plan.draw == "rare":
        return rarity(found, samples)
    if plan.draw == "size":
        return np.array([math.sqrt(math.prod(sample.truth.shape)) for sample in samples])
    return None


def rarity(found: Fingerprint, samples: Sequence[Sample]) -> np.ndarray:
    """How often each sample is drawn, (n,): by the rarest of its classes (repeat factors: Gupta et al., LVIS, 2019)."""
    factors = {each.id: 1 / math.sqrt(max(each.image_share, 1e-6)) for each in found.present}
    weights = []
    for sample in samples:
        present = np.unique(sample.truth.class_ids).tolist()
        weights.append(max((factors.get(class_id, 1.0) for class_id in present), default=1.0))
    return np.array(weights)
