"""Commands on fitted models: fit one, say what it is, why it decides so, and what to annotate for a better one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import Interrupted
from .datasets import Fold, Format, SkipFaulty, Source, Split, Splits, opening_of
from .segmenting import MaxPixels, Page, Spacing, reading_of
from .terminal import AsJson, counting, end_with, print_table, table_of
from .training import stopping, training

if TYPE_CHECKING:
    from ..service.explanation import Explanation
    from ..service.models import Fitted
    from ..service.suggestions import Suggestions
    from ..train.plan import Plan

commands = typer.Typer()


class By(StrEnum):
    """What uncertainty is."""

    margin = "margin"
    entropy = "entropy"


FormatOptions = Annotated[
    list[str] | None,
    typer.Option("--format-set", help="An option of the dataset's format, name=value; repeatable."),
]
FittedModel = Annotated[Path, typer.Argument(help="A model, name.smalti.")]

MOST_FEATURES = 20
"""Features printed; ``--json`` has all."""
BAR = 24
"""Length of the longest bar, in letters."""

MOST_CLASSES = 30
"""Classes printed; ``--json`` has all."""

PLACES = {"seconds": "{:.1f}", "seconds_of": "{:.2f}", "oob_accuracy": "{:.1%}"}
TITLES = {"oob_accuracy": "out-of-bag accuracy", "oob_iou": "out-of-bag IoU", "seconds_of": "seconds"}
KINDS = {"oob_iou": "class"}  # what the names of a report's tables are; those of others speak for themselves


@commands.command("fit")
def fit_command(
    source: Source,
    out: Annotated[Path, typer.Option(help="File of the model to write, name.smalti.")],
    method: Annotated[str, typer.Option("--method", "-m", help="Name of a method that learns.")] = "forest",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the method, name=value; repeatable.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to learn from; train where there is one, else all samples.")
    ] = None,
    format: Format = None,
    options: FormatOptions = None,
    splits: Splits = None,
    fold: Fold = None,
    skip_faulty: SkipFaulty = False,
    task: Annotated[
        str | None,
        typer.Option(help="semantic, instance or panoptic; what the annotations are unless given."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Time that a network may take to train, such as 10m or 1h30m.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Plan (JSON) to follow; one is made and kept in name.run otherwise.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the training that was stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a method to an annotated dataset and write the model."""
    from ..segmenter import parse_settings
    from ..service.models import fit_model
    from ..service.training import Training, seconds_of
    from ..train.distributed import leading

    silent = not leading()  # of several processes one speaks
    opening = opening_of(format, options, skip_faulty, splits, split, fold)
    given = parse_settings(settings or []) | ({} if task is None else {"task": task})
    budget_s = None if budget is None else seconds_of(budget)

    def told(plan: Plan) -> None:
        if not as_json:
            typer.echo(f"{plan.explain()}\n", err=True)

    with counting("fitting", None) as progress, training(as_json or silent) as watch, stopping() as stopped:
        work = Training(budget_s, plan, resume, watch, told, stopped)
        try:
            fitted = fit_model(source, out, method, given, opening, progress, work)
        except Interrupted as error:
            raise Interrupted(f"{error}; to go on, give the same command with --resume") from error
    if silent:
        return
    if as_json:
        typer.echo(json.dumps(fitted.to_json()))
        return
    _print_fitted(fitted)


def _print_fitted(fitted: Fitted) -> None:
    typer.echo(f"{fitted.method} learned from {fitted.source} in {fitted.seconds:.1f} s\n")
    rows = {"images": fitted.images, "classes": ", ".join(fitted.classes[:MOST_CLASSES])}
    _print_report(rows | {key: value for key, value in fitted.report.items() if key not in rows})
    typer.echo(f"\nwritten: {fitted.path} ({_size(fitted.bytes)})")
    typer.echo(f"next: smalti predict IMAGES --model {fitted.path}   or: smalti info {fitted.path}")


@commands.command("info")
def info_command(
    model: FittedModel,
    as_json: AsJson = False,
) -> None:
    """Say what a fitted model is: method, classes, channels, from what it was made, how good, its parts."""
    from ..service.models import describe_model

    content = describe_model(model)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    manifest = content["manifest"]
    kind = ", ".join(_plain(manifest[key]) for key in ("method", "task") if key in manifest)
    typer.echo(
        f"{model}: {kind or 'no method named'}; {_size(content['bytes'])}, "
        f"written by smalti {_plain(manifest.get('smalti'))}\n"
    )
    rows = {key: manifest[key] for key in ("classes", "channels") if key in manifest}
    for key in ("made", "report"):
        if isinstance(manifest.get(key), dict):
            rows |= manifest[key]
    _print_report(rows)
    table = table_of("part", "#bytes")
    for name, part in manifest["parts"].items():
        table.add_row(_plain(name), f"{part['bytes']:,}")
    typer.echo()
    print_table(table)


@commands.command("suggest")
def suggest_command(
    model: FittedModel,
    images: Annotated[list[str], typer.Argument(help="Images, folders or quoted globs, or one dataset.")],
    most: Annotated[int, typer.Option(min=1, help="How many places to suggest.")] = 10,
    size: Annotated[int, typer.Option(min=1, help="Height and width of a place in pixels.")] = 128,
    by: Annotated[
        By, typer.Option(help="margin: two classes are close; entropy: many are possible.")
    ] = By.margin,
    out: Annotated[Path | None, typer.Option(help="Folder for suggest.html and the places as PNG.")] = None,
    spacing: Spacing = None,
    page: Page = None,
    max_pixels: MaxPixels = None,
    format: Format = None,
    options: FormatOptions = None,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    skip_faulty: SkipFaulty = False,
    as_json: AsJson = False,
) -> None:
    """Say which image, and which place in it, to annotate next."""
    from ..service.suggesting import suggest

    opening = opening_of(format, options, skip_faulty, splits, split, fold)
    reading = reading_of(spacing, page, max_pixels)
    with counting("looking", None) as progress:
        told = suggest(model, images, most, size, by.value, out, opening, reading, progress)
    if as_json:
        typer.echo(json.dumps(told.to_json()))
    else:
        _print_suggestions(told, most)
    end_with(told.failed, told.looked_at)


def _print_suggestions(told: Suggestions, most: int) -> None:
    if told.annotated:
        typer.echo(f"{told.annotated} of {told.looked_at} images are annotated already and were passed over")
    if told.nothing is not None:
        typer.echo(f"nothing to suggest: {told.nothing}")
    else:
        volume = any(len(each.box) == 6 for each in told.items)
        columns = ("#rank", "image", *(("#z",) if volume else ()), "#y", "#x", "#height", "#width")
        table = table_of(*columns, f"#{told.by}", "wavers between")
        for rank, each in enumerate(told.items, 1):
            place = each.to_json()
            box = [str(place.get(key, "")) for key in ("z", "y", "x", "height", "width")]
            pair = " and ".join(f"{_plain(name)} {share:.0%}" for name, share in each.between)
            row = box if volume else box[1:]
            table.add_row(str(rank), _plain(each.image), *row, f"{each.uncertainty:.3f}", pair)
        print_table(table)
        if len(told.items) < most:
            typer.echo("elsewhere the model is certain, or it looks the same")
    if told.page is not None:
        typer.echo(f"\nwritten: {told.page}")


@commands.command("explain")
def explain_command(
    model: FittedModel,
    images: Annotated[
        list[str] | None, typer.Argument(help="Images, folders or quoted globs to show it on; needs --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for explain.html.")] = None,
    spacing: Spacing = None,
    page: Page = None,
    max_pixels: MaxPixels = None,
    as_json: AsJson = False,
) -> None:
    """Say what a fitted model looks at, and show where it finds each class."""
    from ..service.explaining import explain

    named = images or []
    with counting("looking", len(named) or None) as progress:
        told = explain(model, named, out, reading_of(spacing, page, max_pixels), progress)
    if as_json:
        typer.echo(json.dumps(told.to_json()))
    else:
        _print_explanation(told)
    end_with(told.failed, len(told.images) + len(told.failed))


def _print_explanation(told: Explanation) -> None:
    kind = f"{told.method}, {told.task}" if told.task else told.method
    typer.echo(
        f"{told.model}: {_plain(kind)}; classes {', '.join(map(_plain, told.classes[:MOST_CLASSES]))}\n"
    )
    if told.families is not None:
        _print_bars("family", told.families["family"].tolist(), told.families["importance"].tolist())
        typer.echo()
    if told.features is not None:
        names = told.features["feature"].tolist()
        _print_bars("feature", names, told.features["importance"].tolist())
        if len(names) > MOST_FEATURES:
            typer.echo(f"and {len(names) - MOST_FEATURES} more of less importance")
        typer.echo()
    _print_report(dict(told.report))
    if told.page is not None:
        typer.echo(f"\nwritten: {told.page}")


def _print_bars(head: str, names: Sequence[str], values: Sequence[float]) -> None:
    table = table_of(head, "#importance", "")
    longest = max(values, default=0) or 1.0
    for name, value in list(zip(names, values, strict=True))[:MOST_FEATURES]:
        table.add_row(_plain(name), f"{value:.3f}", "█" * round(BAR * value / longest))
    print_table(table)


def _print_report(report: dict[str, Any]) -> None:
    """What is told of a model, one row each; what is told of many, such as each class, in a table."""
    table = table_of("of the model", "value")
    of_many = {key: value for key, value in report.items() if isinstance(value, dict)}
    for key, value in report.items():
        if key not in of_many:
            table.add_row(_title(key), _cell(key, value))
    print_table(table)
    for key, values in of_many.items():
        table = table_of(KINDS.get(key, "part"), f"#{_title(key)}")
        for name, value in list(values.items())[:MOST_CLASSES]:
            table.add_row(_plain(name), _cell(key, value))
        typer.echo()
        print_table(table)
        if key == "oob_iou" and None in values.values():
            typer.echo("- is not judged: it is labelled in one place only, which all trees have seen")
        if len(values) > MOST_CLASSES:
            typer.echo(f"and {len(values) - MOST_CLASSES} more")


def _title(key: str) -> str:
    return TITLES.get(key, _plain(key).replace("_", " "))


def _cell(key: str, value: Any) -> str:
    if key in PLACES and isinstance(value, int | float):
        return PLACES[key].format(value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int):
        return _plain(f"{value:,}")
    if isinstance(value, list):
        names = [each.get("name", each) if isinstance(each, dict) else each for each in value]
        more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
        return ", ".join(_plain(name) for name in names[:MOST_CLASSES]) + more
    return _plain(value)


def _plain(value: Any) -> str:
    """Text of a stranger's file as a terminal may be given it: one line, no commands to the terminal."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= 200 else f"{text[:197]}..."


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
