"""Commands on networks: import one that others exported."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .terminal import AsJson, print_table, table_of

if TYPE_CHECKING:
    from ..service.importing import Imported

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
