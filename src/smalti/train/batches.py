"""Batches: crops of random places of random images, changed at random, each by random numbers of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ..data.augment import sample_rng
from ..data.augment.augmentation import Chain
from ..runtime.preparation import Preparation
from .material import VOID, Arrays

Build = Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
"""Targets (..., *S) of a crop's labels (*S,) and the class ids of its segments."""

AHEAD = 3
"""Batches that are made while one is learned from."""


@dataclass(frozen=True, eq=False)
class Batch:
    """``image`` (B, C, *S) normalised; ``targets`` (B, ..., *S) by name; ``numbers`` of the samples they are from."""

    image: Tensor
    targets: dict[str, Tensor]
    numbers: tuple[int, ...]


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


def ahead(make: Callable[[int], Batch], first: int, threads: int = 1) -> Iterator[Batch]:
    """Batches ``first``, ``first + 1``, ... in order, made by ``threads`` beside the one that asks for them."""
    numbers = count(first)
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
        try:
            while True:
                while len(waiting) < AHEAD + threads - 1:
                    waiting.append(pool.submit(make, next(numbers)))
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()
