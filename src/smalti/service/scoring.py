"""Actions on predictions in the user's words: evaluate them, compare two models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WriteError
from .datasets import Opening, open_dataset

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from ..evaluation.summary import Summary


@dataclass(frozen=True)
class Scoring:
    """How predictions are to be scored; what is None is found out or has its default."""

    task: str | None = None
    metrics: tuple[str, ...] | None = None
    by: tuple[str, ...] | None = None
    tolerance: float | str = 2.0
    level: float = 0.95
    resamples: int = 1000
    seed: int = 0
    jobs: int | None = None


def evaluate_predictions(
    truth: Path,
    predicted: Path,
    opening: Opening | None = None,
    scoring: Scoring = Scoring(),
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Score the predictions at one place against the truth at another.

    With ``out`` a folder is written: ``report.html``, ``report.json``, and ``statistics.npz`` for ``compare_models``.
    Raises as opening a dataset and ``evaluate`` do, and ``WriteError`` for a folder that lies in the truth.
    """
    from ..data.dataset import check_outside
    from ..evaluation.evaluator import evaluate
    from ..evaluation.report import write_report
    from ..evaluation.statistics import FILE, save_statistics
    from ..evaluation.summary import summarise

    dataset = open_dataset(truth, opening or Opening())
    if out is not None:
        if out.exists() and not out.is_dir():
            raise WriteError(f"{out} is a file; give a folder for the report")
        check_outside(out, dataset.path)
    evaluation = evaluate(
        dataset,
        predicted,
        scoring.task,  # type: ignore[arg-type]  # evaluate says what it may be
        metrics=scoring.metrics,
        tolerance=scoring.tolerance,
        by=scoring.by or (),
        jobs=scoring.jobs,
        progress=progress,
    )
    summary = summarise(
        evaluation, scoring.by, level=scoring.level, count=scoring.resamples, seed=scoring.seed
    )
    if out is not None:
        write_report(summary, out)
        save_statistics(evaluation, out / FILE)
    return summary


def compare_models(
    first: Path, second: Path, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """The second model less the first, from the folders that ``evaluate_predictions`` wrote for them.

    Raises ``ReadError`` for other folders and ``InputError`` for evaluations that cannot be compared.
    """
    from ..evaluation.comparison import compare
    from ..evaluation.statistics import load_statistics

    return compare(load_statistics(first), load_statistics(second), level=level, count=resamples, seed=seed)


def list_metrics() -> list[dict[str, Any]]:
    """Every metric: name, the tasks it is scored for unless other ones are asked for, and its scores."""
    from ..classes import OBJECT
    from ..evaluation.measures import METRICS, OF_TASK, make_metric

    rows = []
    for name in METRICS:
        metric = make_metric(name, OBJECT)
        tasks = [task for task, names in OF_TASK.items() if name in names]
        scores = [
            {"name": each.name, "title": each.title, "better": each.better, "unit": each.unit}
            for each in metric.scores
        ]
        rows.append({"name": name, "tasks": tasks, "summary": _first_sentence(metric), "scores": scores})
    return rows


def _first_sentence(thing: object) -> str:
    return " ".join((type(thing).__doc__ or "").split("\n\n")[0].replace("``", "").split())


def names_of(text: str | None) -> tuple[str, ...] | None:
    """The names a person types with commas between; None for nothing."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def rows_for_terminal(summary: Summary, most: int = 8) -> Sequence[Any]:
    """The headline of the task's first metric and the scores beside it, then the headline of each other metric."""
    first, *others = summary.evaluation.metrics
    rows = list(summary.of_metric(first.name))[:most]
    for metric in others:
        if metric.name != "errors":
            rows.append(summary.row(metric.name, metric.headline))
    return rows
