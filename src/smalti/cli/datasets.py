"""Commands on datasets: what they are, convert, check, split, agree, augment, make up, fetch."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .terminal import AsJson, print_parameters, print_table, table_of

if TYPE_CHECKING:
    from ..service.datasets import Opening

commands = typer.Typer()


class Task(StrEnum):
    """What a segmentation says: classes, objects, or both."""

    panoptic = "panoptic"
    semantic = "semantic"
    instance = "instance"



Source = Annotated[
    Path, typer.Argument(help="Folder of a dataset, or a file that lists it such as a COCO JSON.")
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Its format, where it is not to be recognised; see: smalti formats."),
]
Options = Annotated[
    list[str] | None, typer.Option("--set", help="An option of its format, name=value; repeatable.")
]
SkipFaulty = Annotated[bool, typer.Option(help="Leave out records that lie instead of stopping.")]
Splits = Annotated[Path | None, typer.Option(help="File of splits, as smalti split writes it.")]
Split = Annotated[str | None, typer.Option(help="Only the samples of this split.")]


def _opening(
    format: str | None,
    options: list[str] | None,
    skip_faulty: bool = False,
    splits: Path | None = None,
    split: str | None = None,
) -> Opening:
    from ..segmenter import parse_settings
    from ..service.datasets import Opening

    return Opening(format, parse_settings(options or []), skip_faulty, splits, split)


@commands.command("formats")
def formats_command(
    name: Annotated[str | None, typer.Argument(help="A format, to see its options.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the annotation formats, or show one with its options."""
    from ..service import catalogue

    if name is not None:
        entry = catalogue.show_format(name)
        if as_json:
            typer.echo(json.dumps(entry, indent=2))
            return
        typer.echo(f"{entry['name']}: {entry['summary']}\n{_written(entry)}; source: {entry['source']}\n")
        print_parameters(entry["parameters"], "option")
        return
    entries = catalogue.list_formats()
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    table = table_of("name", "what it is", "written")
    for entry in entries:
        table.add_row(entry["name"], entry["title"], "yes" if entry["written"] else "only read")
    print_table(table)
    typer.echo("\nOne of them, with its options: smalti formats NAME")


def _written(entry: dict[str, Any]) -> str:
    return "read and written" if entry["written"] else "only read"


@commands.command("dataset")
def dataset_command(
    source: Source,
    format: Format = None,
    options: Options = None,
    skip_faulty: SkipFaulty = False,
    as_json: AsJson = False,
) -> None:
    """Say what a dataset is: format and why, samples, splits, classes."""
    from ..service.datasets import describe, open_dataset

    content = describe(open_dataset(source, _opening(format, options, skip_faulty)))
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    splits = ", ".join(f"{name} {count}" for name, count in content["splits"].items())
    groups = f" in {content['groups']} groups" if content["groups"] else ""
    typer.echo(
        f"{content['path']}: {content['format']} ({content['reason']})\n"
        f"{content['samples']} samples{groups}, {content['annotated']} annotated{f': {splits}' if splits else ''}"
    )
    table = table_of("#id", "class", "kind")
    for entry in content["classes"]:
        table.add_row(str(entry["id"]), entry["name"], "thing" if entry["thing"] else "stuff")
    print_table(table)
    _echo_problems(content["problems"])


def _echo_problems(problems: list[str]) -> None:
    for problem in problems[:20]:
        typer.echo(f"left out: {problem}", err=True)
    if len(problems) > 20:
        typer.echo(f"left out: {len(problems) - 20} more records", err=True)


@commands.command("convert")
def convert_command(
    source: Source,
    destination: Annotated[Path, typer.Argument(help="New folder to write into.")],
    to: Annotated[str, typer.Option(help="Format to write; see: smalti formats.")],
    format: Format = None,
    options: Options = None,
    to_options: Annotated[
        list[str] | None, typer.Option("--to-set", help="An option of the format written; repeatable.")
    ] = None,
    splits: Splits = None,
    split: Split = None,
    strict: Annotated[bool, typer.Option(help="Refuse any loss: write nothing then.")] = False,
    skip_faulty: SkipFaulty = False,
    as_json: AsJson = False,
) -> None:
    """Write a dataset in another format, and say exactly what is lost."""
    from ..segmenter import parse_settings
    from ..service.datasets import convert

    opening = _opening(format, options, skip_faulty, splits, split)
    dataset, report = convert(source, destination, to, opening, parse_settings(to_options or []), strict)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
        return
    typer.echo(f"{source}: {dataset.format} ({dataset.reason})")
    _echo_problems([str(problem) for problem in dataset.problems])
    typer.echo("\n".join(report.lines()))
    typer.echo(f"written: {destination}")


@commands.command("scenes")
def scenes_command(
    out: Annotated[Path, typer.Option(help="New folder to write into.")],
    kind: Annotated[
        str, typer.Option(help="street, cells, defects, crop-rows, moving (video) or volume (3-D).")
    ] = "street",
    task: Annotated[Task, typer.Option(help="What the truth says.")] = Task.panoptic,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many scenes.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed, other scenes; the same seed, the same.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the kind, name=value; repeatable.")
    ] = None,
    to: Annotated[str, typer.Option(help="Format to write; see: smalti formats.")] = "smalti",
) -> None:
    """Make up scenes with exact truth, to try things on or for a first fit."""
    from ..segmenter import parse_settings
    from ..service.datasets import write_scenes

    report = write_scenes(out, kind, n, seed, task.value, to, parse_settings(settings or []))
    if report:
        typer.echo("\n".join(report.lines()))
    typer.echo(f"{n} {kind} scenes written: {out}")
