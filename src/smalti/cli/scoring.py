"""Commands on predictions: evaluate them, compare two models, list the metrics."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .datasets import Fold, Format, Options, SkipFaulty, Split, Splits, opening_of, tolerance_of
from .terminal import AsJson, counting, print_table, table_of

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from ..evaluation.summary import Summary

commands = typer.Typer()

MOST_CLASSES = 30
"""Classes printed; the report has all."""

Level = Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")]
Resamples = Annotated[int, typer.Option(min=100, help="Resamples behind each interval.")]
Seed = Annotated[int, typer.Option(min=0, help="Another seed, other resamples.")]


@commands.command("evaluate")
def evaluate_command(
    truth: Annotated[Path, typer.Argument(help="Annotated dataset, in any format.")],
    predicted: Annotated[
        Path,
        typer.Argument(
            help="A model, or predictions: a dataset, COCO results, a folder of masks named as images."
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            help="semantic, instance, panoptic, regions, thin or video, where it is not to be found out."
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Metrics in place of the task's, with commas; see: smalti metrics.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Columns to compare parts by, with commas, such as site,brightness; by default all that need no image."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json and what smalti compare needs.")
    ] = None,
    tolerance: Annotated[
        str, typer.Option(help="How far outlines may differ: pixels, or a length as 1.5um.")
    ] = "2",
    level: Level = 0.95,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Images scored at the same time.")
    ] = None,
    format: Format = None,
    options: Options = None,
    skip_faulty: SkipFaulty = False,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    as_json: AsJson = False,
) -> None:
    """Score predictions against truth: every metric with its interval, what goes wrong, and where."""
    from ..service.scoring import Scoring, evaluate_predictions, names_of

    scoring = Scoring(
        task, names_of(metrics), names_of(by), tolerance_of(tolerance), level, resamples, seed, jobs
    )
    with counting("scoring images", None) as progress:
        summary = evaluate_predictions(
            truth,
            predicted,
            opening_of(format, options, skip_faulty, splits, split, fold),
            scoring,
            out,
            progress,
        )
    if as_json:
        typer.echo(json.dumps(summary.to_json()))
        return
    _print_summary(summary, scoring.by is not None)
    if out is not None:
        typer.echo(f"\nreport: {out / 'report.html'}")


def _interval(summary: Summary) -> str:
    from ..evaluation.plots import counted, span

    if not span(summary.headline):
        return "(one image tells of no other, so there is no interval)"
    return f"({summary.level:.0%} interval {span(summary.headline)}, {counted(summary.drawn, summary.unit)})"


def _print_summary(summary: Summary, asked: bool) -> None:
    from ..evaluation.plots import counted, span, told
    from ..evaluation.slices import SURE
    from ..service.scoring import rows_for_terminal

    evaluation, headline = summary.evaluation, summary.headline
    typer.echo(
        f"{counted(len(evaluation), evaluation.unit)}, {evaluation.task}: {headline.title} {told(headline.value)} "
        f"{_interval(summary)}\n"
    )
    for note in (*evaluation.notes, summary.note):
        if note:
            typer.echo(f"note: {note}", err=True)
    table = table_of("score", "#value", "#interval")
    for row in rows_for_terminal(summary):
        table.add_row(row.title, told(row.value), span(row))
    print_table(table)
    per_class = summary.of_metric(evaluation.metrics[0].name, per_class=True)
    if len(evaluation.classes) > 1 and per_class:
        first = [row for row in per_class if row.name == per_class[0].name and not math.isnan(row.value)]
        table = table_of("class", f"#{per_class[0].title}", "#interval")
        for row in first[:MOST_CLASSES]:
            table.add_row(row.class_name, told(row.value), span(row))
        typer.echo()
        print_table(table)
        absent = len(evaluation.classes) - len(first)
        if absent or len(first) > MOST_CLASSES:
            more = max(0, len(first) - MOST_CLASSES)
            typer.echo(f"{more} more classes; {absent} are on neither side of any image and in no mean")
    errors = {row.name: row for row in summary.of_metric("errors")}
    gains = sorted(
        ((name.removeprefix("gain_"), row) for name, row in errors.items() if name.startswith("gain_")),
        key=lambda each: -each[1].value,
    )
    if any(row.value > 0 for _, row in gains):
        table = table_of("what goes wrong", "#segments", "#PQ gained if mended", "#interval")
        for kind, row in gains:
            if errors[f"count_{kind}"].value:
                count = f"{errors[f'count_{kind}'].value:.0f}"
                table.add_row(kind.replace("_", " "), count, f"{row.value:+.3f}", span(row))
        typer.echo()
        print_table(table)
    if asked:
        table = table_of("part", "#images", "#score", "#the rest", "#p, corrected")
        for each in summary.slices:
            label = f"{each.column.replace('_', ' ')}: {each.label}"
            p = "-" if math.isnan(each.p_corrected) else f"{each.p_corrected:.3f}"
            table.add_row(label, str(each.images), told(each.value), told(each.rest), p)
        typer.echo()
        print_table(table)
        return
    sure = [each for each in summary.slices if each.worse and each.p_corrected < SURE]
    if sure:
        table = table_of("surely worse than the rest", "#images", "#score", "#the rest", "#p, corrected")
        for each in sure[:8]:
            label = f"{each.column.replace('_', ' ')}: {each.label}"
            table.add_row(
                label, str(each.images), told(each.value), told(each.rest), f"{each.p_corrected:.3f}"
            )
        typer.echo()
        print_table(table)


@commands.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(help="Folder that smalti evaluate --out wrote for one model.")],
    second: Annotated[Path, typer.Argument(help="The same for the other, on the same images.")],
    level: Level = 0.95,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say whether one model is better than another on the same images, and how many more images would settle it."""
    from ..service.scoring import compare_models

    found = compare_models(first, second, level, resamples, seed)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    _print_comparison(found)


def _print_comparison(found: Comparison) -> None:
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    headline = found.headline
    typer.echo(
        f"{headline.title}: {headline.first:.3f} and {headline.second:.3f} on {found.images} images, "
        f"difference {headline.difference:+.3f} ({found.level:.0%} interval {headline.low:+.3f} to "
        f"{headline.high:+.3f}, p {headline.p:.3f}): {_said(headline.verdict)}"
        f"{_more(headline.more_needed, found.unit)}\n"
    )
    table = table_of("score", "#first", "#second", "#difference", "#interval", "#p", "second is")
    for row in found.rows:
        if row.class_name is None and row.metric != "errors" and not math.isnan(row.difference):
            table.add_row(
                row.title,
                f"{row.first:.3f}",
                f"{row.second:.3f}",
                f"{row.difference:+.3f}",
                "" if math.isnan(row.low) else f"{row.low:+.3f} to {row.high:+.3f}",
                "" if math.isnan(row.p) else f"{row.p:.3f}",
                row.verdict,
            )
    print_table(table)
    moved = found.moved(5)
    if moved:
        table = table_of("images that changed most", "#first", "#second")
        for name, one, other in moved:
            table.add_row(name, f"{one:.3f}", f"{other:.3f}")
        typer.echo()
        print_table(table)


def _said(verdict: str) -> str:
    return {"better": "the second is better", "worse": "the second is worse"}.get(verdict, verdict)


def _more(needed: float, unit: str) -> str:
    if math.isnan(needed) or needed == 0:
        return ""
    return f"; some {needed:,.0f} more {unit}s would settle it" if math.isfinite(needed) else ""


@commands.command("metrics")
def metrics_command(as_json: AsJson = False) -> None:
    """List the metrics, the tasks they belong to and what they measure."""
    from ..service.scoring import list_metrics

    entries = list_metrics()
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    table = table_of("name", "task", "what it is")
    for entry in entries:
        table.add_row(entry["name"], ", ".join(entry["tasks"]) or "on request", entry["summary"])
    print_table(table)
