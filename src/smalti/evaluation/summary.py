"""All scores of an evaluation with their intervals, as rows that a table, a JSON and a page are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..metrics.interval import Interval, interval
from ..metrics.metric import Metric, Score
from .evaluator import Evaluation
from .slices import Slice, slices

NOTHING = "on neither side of any image"
BLOCK = 256  # images scored one by one at a time


@dataclass(frozen=True)
class ScoreRow:
    """One score of one metric, of all classes or of one. Missing ones are NaN, and ``note`` says why."""

    metric: str
    name: str
    title: str
    class_name: str | None
    value: float
    low: float
    high: float
    better: str
    unit: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, None for what does not exist."""
        return {key: _plain(value) for key, value in asdict(self).items() if value not in (None, "")}


@dataclass(frozen=True, eq=False)
class Summary:
    """What is reported of an evaluation: scores with intervals, slices, and the score of each image.

    ``level`` is that of the intervals; ``unit`` what was drawn for them, ``drawn`` how many there are; ``of_image``
    (n,) the headline of each image by itself.
    """

    evaluation: Evaluation
    rows: tuple[ScoreRow, ...]
    slices: tuple[Slice, ...]
    of_image: np.ndarray
    level: float
    unit: str
    drawn: int
    note: str = ""

    @property
    def headline(self) -> ScoreRow:
        """The number that stands for the task."""
        metric = self.evaluation.metrics[0]
        return self.row(metric.name, metric.headline)

    def row(self, metric: str, name: str, class_name: str | None = None) -> ScoreRow:
        """One score."""
        return next(
            row for row in self.rows if (row.metric, row.name, row.class_name) == (metric, name, class_name)
        )

    def of_metric(self, metric: str, per_class: bool = False) -> tuple[ScoreRow, ...]:
        """The scores of one metric, those of all classes or those of each."""
        return tuple(
            row for row in self.rows if row.metric == metric and (row.class_name is not None) == per_class
        )

    def worst(self, count: int) -> list[int]:
        """Places of the images with the lowest headline (the highest where lower is better), the worst first."""
        sign = 1 if self.headline.better == "higher" else -1
        order = np.argsort(sign * self.of_image, kind="stable")
        return [int(place) for place in order if not np.isnan(self.of_image[place])][:count]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        evaluation = self.evaluation
        return {
            "kind": "evaluation",
            "task": evaluation.task,
            "truth": str(evaluation.truth.path) if evaluation.truth is not None else None,
            "predictions": evaluation.predictions.place or None
            if evaluation.predictions is not None
            else None,
            "predictions_as": evaluation.predictions.origin if evaluation.predictions is not None else None,
            "images": len(evaluation),
            "groups": None if evaluation.clusters is None else int(evaluation.clusters.max()) + 1,
            "classes": [
                {"id": each.id, "name": each.name, "thing": each.thing} for each in evaluation.classes
            ],
            "level": self.level,
            "interval_by": self.unit,
            "note": self.note,
            "notes": list(evaluation.notes),
            "missing": list(evaluation.missing),
            "headline": self.headline.to_json(),
            "scores": [row.to_json() for row in self.rows],
            "slices": [each.to_json() for each in self.slices],
            "confusion": evaluation.confusion.tolist(),
            "of_image": {
                name: _plain(float(value))
                for name, value in zip(evaluation.names, self.of_image, strict=True)
            },
            "seconds": {name: round(value, 3) for name, value in evaluation.seconds.items()},
        }


def summarise(
    evaluation: Evaluation,
    by: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    count: int = 1000,
    seed: int = 0,
) -> Summary:
    """Every score with its interval of ``level`` from ``count`` resamples of images, or of groups where there are any.

    ``by`` names the columns of slices, all that there are by default. Raises as ``slices`` and ``interval`` do.
    """
    rows: list[ScoreRow] = []
    unit, drawn, note = "image", len(evaluation), ""
    for metric, kept in zip(evaluation.metrics, evaluation.kept, strict=True):
        found = interval(metric, kept, evaluation.clusters, level, count=count, seed=seed)
        for score in metric.scores:
            if score.name in found:
                told = found[score.name]
                unit, drawn, note = told.unit, told.drawn, told.note
                unit = evaluation.unit if unit == "image" else unit
                rows += _rows(metric, score, told, evaluation)
    return Summary(
        evaluation,
        tuple(rows),
        slices(evaluation, by, level=level, count=count, seed=seed),
        score_of_images(evaluation),
        level,
        unit,
        drawn,
        note,
    )


def score_of_images(evaluation: Evaluation) -> np.ndarray:
    """The headline of every image by itself, (n,); NaN where it does not exist."""
    metric, kept = evaluation.metrics[0], evaluation.kept[0]
    found = []
    for begin in range(0, len(kept), BLOCK):
        part = kept[begin : begin + BLOCK]
        found.append(metric.score(part, np.eye(len(part)))[metric.headline])
    return np.concatenate(found)


def _rows(metric: Metric, score: Score, told: Interval, evaluation: Evaluation) -> list[ScoreRow]:
    if not score.per_class:
        return [_row(metric, score, None, float(told.value), float(told.low), float(told.high))]
    columns = told.value.tolist(), told.low.tolist(), told.high.tolist()
    names = evaluation.classes.names
    return [_row(metric, score, name, *values) for name, *values in zip(names, *columns, strict=True)]


def _row(
    metric: Metric, score: Score, class_name: str | None, value: float, low: float, high: float
) -> ScoreRow:
    why = ""
    if np.isnan(value):
        why = NOTHING if class_name is not None else "there is nothing to measure it on"
    return ScoreRow(
        metric.name, score.name, score.title, class_name, value, low, high, score.better, score.unit, why
    )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
