"""Commands on datasets: what they are, convert, check, split, agree, augment, make up, fetch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .terminal import AsJson, counting, downloading, print_parameters, print_rows, print_table, table_of

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
Fold = Annotated[
    str | None, typer.Option(help="Of a file of folds, the one that is val; all others are train.")
]


def opening_of(
    format: str | None,
    options: list[str] | None,
    skip_faulty: bool = False,
    splits: Path | None = None,
    split: str | None = None,
    fold: str | None = None,
) -> Opening:
    """How the options of a command say a dataset is to be opened."""
    from ..segmenter import parse_settings
    from ..service.datasets import Opening

    return Opening(format, parse_settings(options or []), skip_faulty, splits, fold, split)


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
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    as_json: AsJson = False,
) -> None:
    """Say what a dataset is: format and why, samples, splits, classes."""
    from ..service.datasets import describe, open_dataset

    content = describe(open_dataset(source, opening_of(format, options, skip_faulty, splits, split, fold)))
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    counts = ", ".join(f"{name} {count}" for name, count in content["splits"].items())
    groups = f" in {content['groups']} groups" if content["groups"] else ""
    typer.echo(
        f"{content['path']}: {content['format']} ({content['reason']})\n"
        f"{content['samples']} samples{groups}, {content['annotated']} annotated{f': {counts}' if counts else ''}"
    )
    table = table_of("#id", "class", "kind")
    for entry in content["classes"]:
        table.add_row(str(entry["id"]), entry["name"], "thing" if entry["thing"] else "stuff")
    print_table(table)
    _echo_notes(content["notes"], content["problems"])


def _echo_notes(notes: Sequence[str], problems: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}")
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
    fold: Fold = None,
    strict: Annotated[bool, typer.Option(help="Refuse any loss: write nothing then.")] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Where images come from if nobody said, as licence=CC0-1.0 or source=...; repeatable."
        ),
    ] = None,
    skip_faulty: SkipFaulty = False,
    as_json: AsJson = False,
) -> None:
    """Write a dataset in another format, and say exactly what is lost."""
    from ..segmenter import parse_settings
    from ..service.datasets import convert

    opening = opening_of(format, options, skip_faulty, splits, split, fold)
    stated = {name: str(value) for name, value in parse_settings(origin or []).items()}
    dataset, report = convert(
        source, destination, to, opening, parse_settings(to_options or []), strict, stated
    )
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
        return
    typer.echo(f"{source}: {dataset.format} ({dataset.reason})")
    _echo_notes(dataset.notes, [str(problem) for problem in dataset.problems])
    typer.echo("\n".join(report.lines()))
    typer.echo(f"written: {destination}")


@commands.command("scenes")
def scenes_command(
    name: Annotated[str | None, typer.Argument(help="A kind of scene, to see its parameters.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder to write into.")] = None,
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
    as_json: AsJson = False,
) -> None:
    """Make up scenes with exact truth, to try things on or for a first fit; without --out, list the kinds."""
    from ..segmenter import parse_settings
    from ..service import catalogue
    from ..service.datasets import write_scenes

    if out is None:
        _list_or_show(catalogue.list_scenes, catalogue.show_scene, name, "smalti scenes NAME", as_json)
        return
    kind = name or kind
    report = write_scenes(out, kind, n, seed, task.value, to, parse_settings(settings or []))
    if report:
        typer.echo("\n".join(report.lines()))
    typer.echo(f"{n} {kind} scenes written: {out}")


@commands.command("split")
def split_command(
    source: Source,
    out: Annotated[Path, typer.Option(help="JSON file to write: which sample belongs where, and why.")],
    shares: Annotated[
        str | None,
        typer.Option(help="Names and shares of the splits; train=0.7,val=0.15,test=0.15 by default."),
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Instead: this many folds.")] = None,
    by: Annotated[
        str, typer.Option(help="What stays together: group, a column of metadata such as site, or none.")
    ] = "group",
    seed: Annotated[int, typer.Option(help="Another seed, another draw.")] = 0,
    format: Format = None,
    options: Options = None,
    skip_faulty: SkipFaulty = False,
) -> None:
    """Split a dataset by groups, classes spread evenly, and write it down."""
    from ..service.datasets import open_dataset, parse_shares, split_dataset

    dataset = open_dataset(source, opening_of(format, options, skip_faulty))
    parts = None if shares is None else parse_shares(shares)
    table, misses = split_dataset(dataset, parts, folds, seed, None if by == "none" else by, out)
    print_rows(table)
    for name, (has, asked) in misses.items():
        typer.echo(
            f"{name} has {has:.0%} of the images instead of {asked:.0%}: groups are too large for other shares",
            err=True,
        )
    typer.echo(f"\nwritten: {out}; use it with --splits")


@commands.command("agreement")
def agreement_command(
    source: Source,
    tolerance: Annotated[
        str, typer.Option(help="How far outlines may differ: pixels, or a length as 1.5um.")
    ] = "2",
    worst: Annotated[
        int, typer.Option(min=1, help="How many of the images disagreed on most are listed.")
    ] = 10,
    format: Format = None,
    options: Options = None,
    skip_faulty: SkipFaulty = False,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    as_json: AsJson = False,
) -> None:
    """Say how far the annotators of a dataset agree, and on which images least."""
    from ..service.catalogue import json_rows
    from ..service.datasets import open_dataset

    dataset = open_dataset(source, opening_of(format, options, skip_faulty, splits, split, fold))
    from ..data.agreement import measure_agreement

    found = measure_agreement(dataset, tolerance=tolerance_of(tolerance))
    if as_json:
        tables = {name: json_rows(getattr(found, name)) for name in ("images", "annotators", "classes")}
        typer.echo(json.dumps({"kind": found.kind, "scores": found.scores, **tables}))
        return
    means = ", ".join(f"{name} {value:.3f}" for name, value in found.scores.items())
    typer.echo(f"{len(found.images)} images with several truths ({found.kind}): {means}\n")
    print_rows(found.annotators)
    typer.echo("\nimages, most disagreement first")
    print_rows(found.images, limit=worst)


def tolerance_of(text: str) -> float | str:
    """Pixels as a number, a length as it is."""
    try:
        return float(text)
    except ValueError:
        return text


@commands.command("augment")
def augment_command(
    source: Source,
    preview: Annotated[Path, typer.Option(help="Contact sheet to write: samples and what becomes of them.")],
    step: Annotated[
        list[str] | None,
        typer.Option(
            help="A preset (photo, microscopy, aerial, medical; by default the one for the first image) or a step as "
            "rotate:degrees=[-9,9]; repeatable."
        ),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Samples shown.")] = 4,
    columns: Annotated[int, typer.Option(min=1, help="Variants of each.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed, other variants.")] = 0,
    format: Format = None,
    options: Options = None,
    skip_faulty: SkipFaulty = False,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
) -> None:
    """Look at what augmentation makes of a dataset before anything is trained on it."""
    from ..service.datasets import augment_sheet, open_dataset

    dataset = open_dataset(source, opening_of(format, options, skip_faulty, splits, split, fold))
    used = augment_sheet(dataset, step or [], preview, rows, columns, seed)
    typer.echo(f"{', '.join(used)}: written: {preview}")


@commands.command("augmentations")
def augmentations_command(
    name: Annotated[str | None, typer.Argument(help="An augmentation, to see its parameters.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the augmentations, or show one with its parameters."""
    from ..service import catalogue

    _list_or_show(
        catalogue.list_augmentations, catalogue.show_augmentation, name, "smalti augmentations NAME", as_json
    )


def _list_or_show(
    list_all: Callable[[], list[dict[str, Any]]],
    show: Callable[[str], dict[str, Any]],
    name: str | None,
    command: str,
    as_json: bool,
) -> None:
    """Print what there is of a kind, or the one called ``name`` with its parameters."""
    content = list_all() if name is None else show(name)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    elif isinstance(content, dict):
        typer.echo(f"{content['name']}: {content['summary']}\n")
        print_parameters(content["parameters"])
    else:
        table = table_of("name", "what it does")
        for entry in content:
            table.add_row(entry["name"], entry["summary"])
        print_table(table)
        typer.echo(f"\nOne of them, with its parameters: {command}")


@commands.command("download")
def download_command(
    name: Annotated[str | None, typer.Argument(help="A public dataset; without it they are listed.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to put it into.")] = Path("data"),
    keep_archives: Annotated[bool, typer.Option(help="Keep the archives after unpacking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a public dataset, going on where an earlier try stopped; or list them."""
    from ..service.datasets import download, list_public

    entries = list_public()
    if name is None:
        if as_json:
            typer.echo(json.dumps(entries, indent=2))
            return
        table = table_of("name", "#MB", "commercial use", "what it is")
        for entry in entries:
            megabytes = "?" if entry["bytes"] is None else f"{entry['bytes'] / 1e6:,.0f}"
            table.add_row(entry["name"], megabytes, entry["commercial"], entry["title"])
        print_table(table)
        typer.echo("\nFetch one: smalti download NAME --out DIR")
        return
    with downloading() as report:
        place, unverified = download(name, out, report, keep_archives)
    (entry,) = (entry for entry in entries if entry["name"] == name)
    options = "".join(f" --set {key}={json.dumps(value)}" for key, value in entry["options"].items())
    typer.echo(f"{place}\nlicence: {entry['licence']}\nplease cite: {entry['citation']}")
    for line in unverified:
        typer.echo(f"no digest was published, so this is what came: {line}")
    typer.echo(f"open it: smalti dataset {place} --format {entry['format']}{options}")


@commands.command("licences")
def licences_command(
    source: Source,
    credits: Annotated[
        Path | None, typer.Option(help="CSV to write: whom to name, with source and licence.")
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Also look whether image files are still what they were.")
    ] = False,
    format: Format = None,
    options: Options = None,
    skip_faulty: SkipFaulty = False,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    as_json: AsJson = False,
) -> None:
    """Say which images may go into a commercial model, and what is not known of them."""
    from ..data.licences import NOTICE
    from ..service.catalogue import json_rows
    from ..service.datasets import open_dataset, review

    dataset = open_dataset(source, opening_of(format, options, skip_faulty, splits, split, fold))
    found, changed = review(dataset, credits, verify)
    if as_json:
        content = {"commercial": found.images, "licences": json_rows(found.table), "changed": changed}
        typer.echo(json.dumps(content, indent=2))
    else:
        typer.echo("\n".join(found.summary) + "\n")
        print_rows(found.table)
        for line in changed:
            typer.echo(line, err=True)
        typer.echo(f"\n{NOTICE}")
    if changed:
        raise typer.Exit(1)


@commands.command("check")
def check_command(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")] = Path("check"),
    fix: Annotated[
        Path | None, typer.Option(help="New folder for a copy with the safe repairs; the source stays.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Images looked at at the same time.")] = 1,
    format: Format = None,
    options: Options = None,
    splits: Splits = None,
    split: Split = None,
    fold: Fold = None,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with a dataset before anyone trains on it; exits with 1 where there are errors."""
    from ..service.datasets import check_dataset, fix_dataset, open_dataset

    dataset = open_dataset(source, opening_of(format, options, True, splits, split, fold))
    with counting("looking at images", len(dataset)) as progress:
        report = check_dataset(dataset, out, fix, jobs, progress)
    if not as_json:
        _print_report(report)
        typer.echo(f"\nreport: {out / 'report.html'}")
    repairs, kept = ([], 0) if fix is None else fix_dataset(dataset, report, fix)
    if as_json:
        typer.echo(json.dumps(report.to_json() | {"repairs": repairs}))
    elif fix is not None:
        for line in repairs:
            typer.echo(f"in the copy: {line}")
        typer.echo(f"copy: {fix}, with {kept} of {len(dataset)} samples")
    if report.failed:
        raise typer.Exit(1)


def _print_report(report: Any) -> None:
    content = report.to_json()
    words = {"error": "error", "warning": "warning", "info": "note"}
    counts = ", ".join(
        f"{count} {words[severity]}{'s' if count > 1 else ''}"
        for severity, count in content["counts"].items()
        if count
    )
    typer.echo(f"{content['dataset']}: {content['samples']} samples, {counts or 'nothing found'}")
    table = table_of("finding", "how bad", "#times", "first of them")
    for code, count in content["codes"].items():
        first = report.of(code)[0]
        table.add_row(code, first.severity, str(count), first.message)
    if content["codes"]:
        typer.echo()
        print_table(table)
