"""Two models on the same images: every difference with its interval, and how many more images would settle it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..metrics import interval
from ..metrics.metric import Score
from .evaluator import Evaluation
from .measures import takes_tolerance
from .summary import score_of_images


@dataclass(frozen=True)
class DifferenceRow:
    """One score of two models: ``difference`` is the second less the first, ``verdict`` what that says."""

    metric: str
    name: str
    title: str
    class_name: str | None
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    more_needed: float
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, None for what does not exist or is infinite."""
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """Differences between two evaluations on the images both have.

    ``of_image`` maps names to the headline of either model on that image alone; ``unit`` is what was drawn.
    """

    rows: tuple[DifferenceRow, ...]
    images: int
    unit: str
    drawn: int
    level: float
    of_image: Mapping[str, tuple[float, float]]
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> DifferenceRow:
        """The difference in the number that stands for the task."""
        return self.rows[0]

    def moved(self, count: int = 10) -> list[tuple[str, float, float]]:
        """Images whose headline changed most, with what it was and is."""
        both = [
            (name, one, other)
            for name, (one, other) in self.of_image.items()
            if one == one and other == other
        ]
        return sorted(both, key=lambda each: -abs(each[2] - each[1]))[:count]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "kind": "comparison",
            "images": self.images,
            "level": self.level,
            "drawn_by": self.unit,
            "drawn": self.drawn,
            "notes": list(self.notes),
            "scores": [row.to_json() for row in self.rows],
            "moved_most": [
                {"image": name, "first": one, "second": other} for name, one, other in self.moved(20)
            ],
        }


def compare(
    first: Evaluation, second: Evaluation, *, level: float = 0.95, count: int = 1000, seed: int = 0
) -> Comparison:
    """The second model less the first, on the same images, paired.

    Images that one of them lacks are left out and said so. Raises ``InputError`` for other tasks or classes, and where
    they have no image or no metric in common.
    """
    if first.task != second.task:
        raise InputError(
            f"the first was scored as {first.task}, the second as {second.task}; score both alike"
        )
    if first.classes != second.classes:
        raise InputError(
            f"the first has the classes {', '.join(first.classes.names)}, the second "
            f"{', '.join(second.classes.names)}; score both against one truth"
        )
    if first.tolerance != second.tolerance and any(map(takes_tolerance, first.metrics)):
        raise InputError(
            f"the first was scored with a tolerance of {first.tolerance}, the second of {second.tolerance}; score both "
            "alike"
        )
    if first.metrics[0].name != second.metrics[0].name:
        raise InputError(
            f"the first was scored by {first.metrics[0].name}, the second by {second.metrics[0].name}; score both alike"
        )
    place = {name: index for index, name in enumerate(second.names)}
    both = [(index, place[name]) for index, name in enumerate(first.names) if name in place]
    if not both:
        raise InputError("the two evaluations have no image in common")
    ones, others = ([pair[side] for pair in both] for side in (0, 1))
    notes = []
    for name, evaluation, used in (("first", first, ones), ("second", second, others)):
        if len(used) < len(evaluation):
            notes.append(
                f"{len(evaluation) - len(used)} images of the {name} are left out: the other lacks them"
            )
    clusters = None if first.clusters is None else first.clusters[ones]
    rows: list[DifferenceRow] = []
    unit, drawn = "image", len(both)
    there = {metric.name for metric in second.metrics}
    for metric, kept in zip(first.metrics, first.kept, strict=True):
        if metric.name not in there:
            continue
        other = second.metric(metric.name)[1]
        found = interval.compare(
            metric,
            [kept[i] for i in ones],
            [other[i] for i in others],
            clusters,
            level,
            count=count,
            seed=seed,
        )
        ordered = sorted(metric.scores, key=lambda score: score.name != metric.headline)
        for score in ordered:
            if score.name in found:
                told = found[score.name]
                unit, drawn = told.unit, told.drawn
                rows += _rows(metric.name, score, told, first.classes.names)
    if not rows:
        raise InputError("the two evaluations have no metric in common")
    of_image = zip(
        score_of_images(first)[ones].tolist(), score_of_images(second)[others].tolist(), strict=True
    )
    named = {first.names[i]: pair for i, pair in zip(ones, of_image, strict=True)}
    return Comparison(tuple(rows), len(both), unit, drawn, level, named, tuple(notes))


def _rows(
    metric: str, score: Score, told: interval.Difference, classes: Sequence[str]
) -> Iterator[DifferenceRow]:
    """A row for the score, or one for each class."""
    names: list[str | None] = list(classes) if score.per_class else [None]
    columns = (told.first, told.second, told.value, told.low, told.high, told.p, told.more_needed)
    lists = (np.atleast_1d(column).tolist() for column in columns)
    for class_name, first, second, difference, low, high, p, more in zip(names, *lists, strict=True):
        verdict = _verdict(score.better, difference, low, high)
        yield DifferenceRow(
            metric,
            score.name,
            score.title,
            class_name,
            first,
            second,
            difference,
            low,
            high,
            p,
            more,
            verdict,
        )


def _verdict(better: str, difference: float, low: float, high: float) -> str:
    if np.isnan(difference):
        return "not there"
    if np.isnan(low) or low <= 0 <= high:
        return "undecided"
    if better == "zero":
        return "changed"
    return "better" if (difference > 0) == (better == "higher") else "worse"
