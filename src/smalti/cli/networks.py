"""Commands on networks: import one that others exported, export one for other runtimes, measure them."""

from __future__ import annotations

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .datasets import Fold, Format, SkipFaulty, Split, Splits, opening_of
from .terminal import AsJson, counting, print_table, table_of

if TYPE_CHECKING:
    from ..service.exporting import Exported
    from ..service.importing import Imported
    from ..service.runtime_table import Latency, RuntimeRow, RuntimeTable

commands = typer.Typer()


class Task(StrEnum):
    """What segments are."""

    semantic = "semantic"
    instance = "instance"
    panoptic = "panoptic"


class Layout(StrEnum):
    """Where channels are."""

    first = "channels-first"
    last = "channels-last"


class Activation(StrEnum):
    """What the numbers of an output are."""

    logits = "logits"
    probabilities = "probabilities"
    sigmoid_logits = "sigmoid-logits"
    sigmoid_probabilities = "sigmoid-probabilities"
    map = "map"


@commands.command("import")
def import_command(
    graph: Annotated[Path, typer.Argument(help="The network, name.onnx.")],
    classes: Annotated[
        str, typer.Option(help="Names of its planes in their order, or of the numbers of its map: sky,road.")
    ],
    mean: Annotated[str, typer.Option(help="Taken off pixels times --scale: one number, or one a channel.")],
    std: Annotated[str, typer.Option(help="What they are then divided by: one number, or one a channel.")],
    out: Annotated[Path, typer.Option(help="File of the model to write, name.smalti.")],
    scale: Annotated[str, typer.Option(help="What pixels are multiplied by first, such as 1/255.")] = "1",
    pixels: Annotated[
        str, typer.Option(help="The pixels that this is said of: uint8, uint16, float.")
    ] = "uint8",
    channels: Annotated[
        str | None, typer.Option(help="Channels in the order it takes them: blue,green,red.")
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="Which of --classes is no segment; one called background is that.")
    ] = None,
    task: Annotated[Task, typer.Option(help="What its segments are.")] = Task.semantic,
    output: Annotated[str | None, typer.Option(help="Name of the output with the planes.")] = None,
    layout: Annotated[Layout | None, typer.Option(help="Where its input has the channels.")] = None,
    activation: Annotated[
        Activation | None, typer.Option(help="What its output is, where noise does not show it.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="The one size it is made for: 320x320, height first.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="The licence that it is under, kept in the model.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model of an ONNX network that others exported."""
    from ..runtime.foreign import Foreign
    from ..service.importing import import_network

    foreign = Foreign(
        classes=_names(classes),
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        scale=_numbers("--scale", scale)[0],
        pixels=pixels,
        channels=None if channels is None else _names(channels),
        background=background,
        task=task.value,
        output=output,
        layout=None if layout is None else layout.value,
        activation=None if activation is None else activation.value,
        size=None if size is None else _sides(size),
    )
    imported = import_network(graph, out, foreign, licence)
    if as_json:
        typer.echo(json.dumps(imported.to_json()))
        return
    _print_imported(imported)


def _print_imported(imported: Imported) -> None:
    table = table_of("of the network", "value")
    rows: dict[str, Any] = {
        "task": imported.task,
        "planes": ", ".join(imported.planes),
        "channels": ", ".join(imported.channels),
        **imported.report,
    }
    for name, value in rows.items():
        table.add_row(name, " x ".join(map(str, value)) if isinstance(value, list) else f"{value}")
    print_table(table)
    typer.echo(f"\nwritten: {imported.path} ({imported.bytes / 1e6:.1f} MB)")
    typer.echo(f"next: smalti predict IMAGES --model {imported.path}")


FittedModel = Annotated[
    Path, typer.Argument(help="The model, name.smalti, or the name of one that comes along.")
]
Metric = Annotated[
    str | None,
    typer.Option(help="What is scored by, where it is not the first of the task; see: smalti metrics."),
]
Most = Annotated[int, typer.Option("--n", min=1, help="Images that are taken at most, evenly chosen.")]
FormatOptions = Annotated[
    list[str] | None,
    typer.Option("--format-set", help="An option of the dataset's format, name=value; repeatable."),
]
Memory = Annotated[
    bool, typer.Option(help="Measure the memory of each runtime, in a process of its own for each.")
]


@commands.command("export")
def export_command(
    model: FittedModel,
    to: Annotated[
        str,
        typer.Option(
            help="onnx: a plain file for other programs; or a runtime: openvino-int8, openvino, ..."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write: name.onnx, or name.smalti for a runtime.")],
    data: Annotated[
        Path | None, typer.Option(help="Dataset that is measured on, and from which INT8 is calibrated.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Points (0.5: 0.005 of a score from 0 to 1) that may be lost against torch.")
    ] = 0.5,
    metric: Metric = None,
    pixels: Annotated[
        str | None,
        typer.Option(
            help="Of a plain file: the pixels it is given, uint8, uint16, float; else as learned from."
        ),
    ] = None,
    most: Most = 100,
    memory: Memory = True,
    format: Format = None,
    options: FormatOptions = None,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    skip_faulty: SkipFaulty = False,
    as_json: AsJson = False,
) -> None:
    """Write a network for another runtime, once it is measured what that loses; or as a plain ONNX file."""
    from ..service.exporting import Refused, export_model

    opening = opening_of(format, options, skip_faulty, splits, split, fold)
    try:
        with counting("measuring", None) as progress:
            exported = export_model(
                model,
                to,
                out,
                data,
                opening,
                tolerance=tolerance,
                metric=metric,
                pixels=pixels,
                most=most,
                memory=memory,
                progress=progress,
            )
    except Refused as error:
        if as_json:
            typer.echo(json.dumps({"refused": str(error), "measured": error.table.to_json()}))
        else:
            _print_runtimes(error.table)
        raise
    if as_json:
        typer.echo(json.dumps(exported.to_json()))
        return
    _print_exported(exported)


@commands.command("bench")
def bench_command(
    model: FittedModel,
    data: Annotated[
        Path | None, typer.Option(help="Dataset to run on and to score by; else images are made up.")
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(help="A runtime to measure; repeatable, all that there are by default."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Cores that each may use; all that there are by default.")
    ] = None,
    metric: Metric = None,
    most: Most = 100,
    memory: Memory = True,
    format: Format = None,
    options: FormatOptions = None,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    skip_faulty: SkipFaulty = False,
    as_json: AsJson = False,
) -> None:
    """Say how fast, how large and how good a network is on this machine, by each runtime."""
    from ..service.exporting import bench_model

    opening = opening_of(format, options, skip_faulty, splits, split, fold)
    with counting("measuring", None) as progress:
        table = bench_model(
            model,
            data,
            opening,
            runtimes=runtime,
            metric=metric,
            threads=threads,
            most=most,
            memory=memory,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(table.to_json()))
        return
    _print_runtimes(table)


def _print_exported(exported: Exported) -> None:
    if exported.table is not None:
        _print_runtimes(exported.table)
        if exported.calibration is not None:
            typer.echo(f"calibrated on {exported.calibration}")
        typer.echo()
    else:
        typer.echo(f"it gives {', '.join(exported.outputs)}")
        typer.echo(
            f"run by ONNX Runtime alone, {exported.agreement:.2%} of the pixels have the class they should have"
        )
    typer.echo(f"written: {exported.path} ({exported.bytes / 1e6:.1f} MB)")
    if exported.table is not None:
        typer.echo(f"next: smalti predict IMAGES --model {exported.path}")


def _print_runtimes(table: RuntimeTable) -> None:
    scored = [] if table.metric is None else [f"#{table.metric}"]
    shown = table_of(
        "runtime", "computes in", "#agrees", *scored, "#network ms", "#times", "#all ms", "#memory MB"
    )
    faster = table.faster
    for row in table.rows:
        if row.missing is None:
            memory = "-" if row.memory is None else f"{row.memory / 1e6:.0f}"
            times = f"{faster[row.runtime]:.2f}"
            shown.add_row(
                row.runtime,
                row.precision,
                f"{row.agreement:.4f}",
                *(_score(row) for _ in scored),
                _ms(row.run),
                times,
                _ms(row.predict),
                memory,
            )
    print_table(shown)
    typer.echo(
        f"\n{table.source}; {table.threads} {'thread' if table.threads == 1 else 'threads'}; {table.machine}\n"
        f"agrees: with the masks of {table.reference}; ms: median, in brackets 95th percentile; "
        "all: from pixels to segments"
    )
    for note in (*table.notes, *(f"{row.runtime}: {row.remark}" for row in table.rows if row.remark)):
        typer.echo(f"note: {note}")
    for row in table.rows:
        if row.missing is not None:
            typer.echo(f"not measured: {row.runtime}: {row.missing}")


def _score(row: RuntimeRow) -> str:
    score = row.score
    if score is None or math.isnan(score.value):
        return "-"
    return f"{score.value:.4f} ({score.low:.3f} to {score.high:.3f})"


def _ms(latency: Latency | None) -> str:
    return "-" if latency is None else f"{1000 * latency.median:.1f} ({1000 * latency.p95:.1f})"


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"names are separated by commas, got {text!r}")
    return names


def _numbers(option: str, text: str) -> list[float]:
    """Numbers separated by commas, each of which may be a fraction."""
    try:
        parts = [part.partition("/") for part in text.split(",")]
        return [float(top) / float(bottom) if slash else float(top) for top, slash, bottom in parts]
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{option} takes numbers separated by commas, such as 0.5,0.5,0.5 or 1/255, got {text!r}"
        ) from error


def _sides(text: str) -> list[int]:
    try:
        return [int(part) for part in text.lower().split("x")]
    except ValueError as error:
        raise InputError(f"--size takes whole numbers, such as 320x320, got {text!r}") from error
