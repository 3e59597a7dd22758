"""How often intervals hold the truth: data drawn from a known world, again and again.

    python benchmarks/interval_coverage.py           # 500 draws of each case, a table
    python benchmarks/interval_coverage.py 2000 pq   # more draws, one case
    python benchmarks/interval_coverage.py --write   # the table of docs/evaluate.md

The truth of a case is the score of 1,000,000 images. 500 draws tell a share of 95 % to within 1 % (standard error).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pages import put_table

from smalti.classes import ClassSet
from smalti.metrics.interval import interval
from smalti.metrics.means import ratio
from smalti.metrics.metric import Additive, Score, Scores
from smalti.metrics.pair import Pair
from smalti.metrics.panoptic import Panoptic
from smalti.metrics.semantic import Classes

CLASSES = ClassSet.from_names([f"class {k}" for k in range(8)])
OBJECTS = np.geomspace(4, 0.6, 8)  # of each class in an image: from common to rare
FOUND = np.linspace(0.9, 0.5, 8)  # chance that one is found


class MeanOfImages(Additive):
    """The mean of a number that each image has."""

    scores = (Score("mean", "mean"),)
    name, headline = "mean", "mean"

    def keep(self, pair: Pair) -> np.ndarray:
        raise NotImplementedError  # only simulated numbers come here

    def of_totals(self, totals: np.ndarray) -> Scores:
        return {"mean": ratio(totals[..., 0], totals[..., 1])}


def hardness(generator: np.random.Generator, images: int, group: int, shared: float) -> np.ndarray:
    """How easy each image is (images, 1), normal: part its own, part (``shared``) that of its group."""
    of_group = generator.normal(0, shared, (-(-images // group), 1)).repeat(group, axis=0)[:images]
    return of_group + generator.normal(0, 0.5, (images, 1))


def panoptic_counts(generator: np.random.Generator, images: int, group: int) -> np.ndarray:
    """Statistics of PQ: crowded and empty images, easy and hard ones, rare classes."""
    easy = hardness(generator, images, group, 0.7)
    objects = generator.poisson(OBJECTS * np.exp(generator.normal(0, 0.5, (images, 1))))
    chance = 1 / (1 + (1 / FOUND - 1) * np.exp(-easy))
    found = generator.binomial(objects, chance)
    extra = generator.poisson(0.5 * OBJECTS * (1 - chance))
    return np.concatenate([found * (0.6 + 0.3 * chance), found, objects - found, extra], axis=1)


def dice_of_images(generator: np.random.Generator, images: int, group: int) -> np.ndarray:
    """Dice of each image and a one: most near 0.9, and a tail of bad ones."""
    dice = 1 / (1 + np.exp(-2.2 - hardness(generator, images, group, 0.8)))
    return np.concatenate([dice, np.ones((images, 1))], axis=1)


def dice_with_failures(generator: np.random.Generator, images: int, group: int) -> np.ndarray:
    """The same with 3 % of the images missed altogether: half of all samples of 20 images have no such image."""
    dice = dice_of_images(generator, images, group)
    dice[generator.random(images) < 0.03, 0] = 0
    return dice


def class_pixels(generator: np.random.Generator, images: int, group: int) -> np.ndarray:
    """Pixels of four classes of very different size from image to image, which a few images dominate."""
    easy = hardness(generator, images, group, 0.8)
    there = generator.random((images, 4)) < [1, 0.9, 0.7, 0.5]
    area = np.exp(generator.normal(7, 1, (images, 4))) * there
    chance = 1 / (1 + np.exp(-2 - easy))
    shared = area * chance
    predicted = shared + area * (1 - chance) * generator.random((images, 4))
    none = np.full((images, 1), 1e5)
    return np.concatenate([0.9 * none, shared, none, area, none, predicted], axis=1)


@dataclass(frozen=True)
class World:
    """A metric, one of its scores, and where its statistics come from, in groups of so many images."""

    metric: Additive
    score: str
    draw: Callable[[np.random.Generator, int, int], np.ndarray]
    group: int = 1


WORLDS = {
    "pq": World(Panoptic(CLASSES), "pq", panoptic_counts),
    "pq-of-classes": World(Panoptic(CLASSES), "pq_of_class", panoptic_counts),
    "pq-groups-of-5": World(Panoptic(CLASSES), "pq", panoptic_counts, 5),
    "mean-dice": World(MeanOfImages(), "mean", dice_of_images),
    "mean-dice-groups-of-5": World(MeanOfImages(), "mean", dice_of_images, 5),
    "mean-dice-rare-failures": World(MeanOfImages(), "mean", dice_with_failures),
    "pooled-dice": World(Classes(), "mean_dice", class_pixels),
    "pooled-dice-groups-of-5": World(Classes(), "mean_dice", class_pixels, 5),
}


def truth(world: World) -> np.ndarray:
    """The score of a million images."""
    generator = np.random.default_rng(10**6)
    total = sum(world.draw(generator, 100_000, world.group).sum(axis=0) for _ in range(10))
    return world.metric.of_totals(np.asarray(total)[None])[world.score][0]


def coverage(world: World, count: int, draws: int = 500, **settings: object) -> float:
    """The share of ``draws`` in which the 95 % interval of ``count`` images or groups holds the truth."""
    wanted = truth(world)
    held = []
    for draw in range(draws):
        kept = world.draw(np.random.default_rng([count, draw]), count * world.group, world.group)
        groups = None if world.group == 1 else np.arange(len(kept)) // world.group
        found = interval(world.metric, kept, groups, seed=draw, **settings)[world.score]  # type: ignore[arg-type]
        held.append(np.mean((found.low <= wanted) & (wanted <= found.high)))
    return float(np.mean(held))


KINDS: dict[str, dict[str, object]] = {
    "bca, widened (default)": {},
    "percentile, widened": {"method": "percentile"},
    "bca": {"widened": False},
    "percentile": {"method": "percentile", "widened": False},
}


DEFAULT = next(iter(KINDS))


def main() -> None:
    """Print a row for each world and kind of interval; --write puts those of the default kind into the page."""
    arguments = [each for each in sys.argv[1:] if each != "--write"]
    draws = int(arguments[0]) if arguments else 500
    sizes = (20, 50, 200)
    head = [
        f"How often 95 % intervals held the truth in {draws} draws of made-up data, n images or groups each:",
        "",
        "| score | " + " | ".join(f"n = {size}" for size in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]
    lines = []
    for name in arguments[1:] or WORLDS:
        for kind, settings in KINDS.items():
            if "--write" in sys.argv and kind != DEFAULT:
                continue
            shares = [coverage(WORLDS[name], size, draws, **settings) for size in sizes]
            cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
            print(f"| {name} | {kind} | {cells} |", flush=True)
            if kind == DEFAULT:
                lines.append(f"| {name} | {cells} |")
    if "--write" in sys.argv:
        put_table("evaluate.md", "coverage", "\n".join([*head, *lines]))


if __name__ == "__main__":
    main()
