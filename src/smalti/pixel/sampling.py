"""Which pixels a forest learns from, and what each of them counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..errors import InputError
from .settings import ForestSettings

CELL_PX = 32
"""Side of the cells that the pixels of a few images are left out by together."""
FEW_IMAGES = 6


@dataclass(frozen=True, eq=False)
class Rows:
    """Labelled pixels: ``values`` (N, F) float32 of features, ``targets`` (N,), ``weights`` (N,), ``units`` (N,).

    A row's weight is the number of pixels it stands for; rows of one unit are left out of a tree together.
    """

    values: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    units: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def joined(cls, parts: list[Rows]) -> Self:
        """All rows of several images."""
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.weights for part in parts]),
            np.concatenate([part.units for part in parts]),
        )


def draw(
    targets: np.ndarray,
    count: int,
    kinds: int,
    generator: np.random.Generator,
    wrong: np.ndarray | None = None,
    hard: float = 0.0,
    power: float = 0.5,
    least: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Places of at most ``count`` labelled pixels of an image, and how many pixels each stands for.

    ``targets`` (*S,) is -1 where nothing is known. A class of n pixels gets a share proportional to n to the ``power``,
    with 0.5 its square root: rare ones are seen often enough to be learned, frequent ones in their variety. None gets
    less than ``least`` pixels, where it has them. With ``wrong`` (*S,), how wrong a first forest is there, a share of
    ``hard`` is drawn in proportion to it instead. The weights make up for all this, so that a tree learns how frequent
    things are: on nuclei, classes of equal weight cost 0.04 of AP50.
    """
    flat = targets.reshape(-1)
    labelled = np.flatnonzero(flat >= 0)
    if len(labelled) <= count:
        return labelled, np.ones(len(labelled))
    kind = flat[labelled]
    sizes = np.bincount(kind, minlength=kinds).astype(np.float64)
    shares = sizes**power
    # twice as many as asked for: what the other shares take away is less than half, and none is left out
    shares = np.maximum(shares / shares.sum(), 2 * np.minimum(sizes, least) / count)
    chance = (shares / np.maximum(sizes, 1) / shares.sum())[kind]
    if wrong is not None and hard > 0:
        error = np.maximum(wrong.reshape(-1)[labelled], 0) + 1e-6
        chance = (1 - hard) * chance + hard * error / error.sum()
    # systematic sampling: each pixel about its share, none drawn far more often than that
    order = generator.permutation(len(labelled))
    edges = np.cumsum(chance[order])
    at = (np.arange(count) + generator.random()) / count * edges[-1]
    drawn = order[np.minimum(np.searchsorted(edges, at), len(order) - 1)]
    unique, times = np.unique(drawn, return_counts=True)
    return labelled[unique], times / (count * chance[unique])


def cells_across(shape: tuple[int, ...]) -> list[int]:
    """Cells along each axis of an image of ``shape``."""
    return [-(-length // CELL_PX) for length in shape]


def cell_map(shape: tuple[int, ...], origin: tuple[int, ...], whole: tuple[int, ...]) -> np.ndarray:
    """Number of the cell that each pixel of a part of ``shape`` at ``origin`` of the ``whole`` lies in, (*S,) int64."""
    numbers = np.zeros((1,) * len(shape), np.int64)
    for axis, across in enumerate(cells_across(whole)):
        along = np.arange(origin[axis], origin[axis] + shape[axis]) // CELL_PX
        numbers = numbers * across + along.reshape(
            [-1 if other == axis else 1 for other in range(len(shape))]
        )
    return numbers


def leaf_size(asked: int, targets: np.ndarray) -> int:
    """Fewest rows of a leaf: as asked, or half of the rarest class where that is too small for a leaf of its own.

    One pixel of each of two classes are then told apart.
    """
    counts = np.bincount(targets)
    return min(asked, max(1, int(counts[counts > 0].min(initial=2 * asked)) // 2))


def class_factors(targets: np.ndarray, weights: np.ndarray, kinds: int, balance: float) -> np.ndarray:
    """What each row's weight is multiplied by: 0 leaves classes as frequent as they are, 1 makes them equal, (N,)."""
    mass = np.bincount(targets, weights, kinds)
    factors = np.where(mass > 0, (mass.sum() / np.maximum(mass, 1e-12)) ** balance, 0.0)
    return factors[targets]


def counted(
    settings: ForestSettings,
    names: Sequence[str],
    targets: np.ndarray,
    weights: np.ndarray,
    balance: float,
) -> np.ndarray:
    """What rows of these ``targets`` (N,), each standing for ``weights`` (N,) pixels, count to the trees, (N,).

    ``balance`` is that of ``class_factors``.
    """
    weights = by_class(settings, names, targets, weights)
    weights = weights * class_factors(targets, weights, len(names), balance)
    return weights / weights.mean()


def by_class(
    settings: ForestSettings, names: Sequence[str], targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The weights (N,) times those that the settings give to classes by name."""
    for name, factor in (settings.class_weights or {}).items():
        if name not in names:
            raise InputError(f"class_weights names {name!r}; there are {', '.join(names)}")
        if not factor > 0:
            raise InputError(f"class_weights are above 0, got {factor} for {name!r}")
        weights = np.where(targets == names.index(name), weights * factor, weights)
    return weights
