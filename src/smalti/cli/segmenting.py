"""Commands on images: predict, methods, measure, view, demo."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .terminal import AsJson, end_with, print_parameters, print_table, progress, table_of

if TYPE_CHECKING:
    from ..segmenter import Method
    from ..service.actions import Outcome, Reading

commands = typer.Typer()

Spacing = Annotated[
    str | None, typer.Option(help="Distance between pixels, such as 0.5um, or per axis 2x0.5x0.5um.")
]
Page = Annotated[
    int | None, typer.Option(min=0, help="Page of a multi-page file, from 0; all pages are a volume.")
]
MaxPixels = Annotated[int | None, typer.Option(min=1, help="Refuse images of more pixels than this.")]


@commands.command("predict")
def predict_command(
    images: Annotated[
        list[str], typer.Argument(help="Images, folders or quoted globs; - is standard input.")
    ],
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="Name of the method; see: smalti methods.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A fitted model in place of a method: the file smalti fit wrote.")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(help="What carries out the network of --model, such as openvino; see: smalti bench."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the method, name=value; repeatable.")
    ] = None,
    before: Annotated[
        list[str] | None, typer.Option(help="A step on the image first, as gaussian:sigma_px=2; repeatable.")
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(help="A step on the segments, as drop-small:min_area_px=50; repeatable."),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(help="A box prompt, ymin,xmin,ymax,xmax in pixels; repeatable.")
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(help="A point prompt, y,x or y,x,LABEL: 0 is ground, k segment k; repeatable."),
    ] = None,
    scribbles: Annotated[
        Path | None, typer.Option(help="Label map of scribbles: 0 not said, 255 ground, k segment k.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the outputs.")] = Path("out"),
    formats: Annotated[
        str, typer.Option(help="What to write: labels, overlay, table, coco, geojson.")
    ] = "labels,overlay,table",
    spacing: Spacing = None,
    page: Page = None,
    max_pixels: MaxPixels = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Images segmented at the same time.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Segment images: label map, overlay and table of each."""
    from ..segmenter import make_segmenter
    from ..service.actions import check_formats, predict_files
    from ..service.inputs import find_images
    from ..service.prompts import read_prompts

    given = {"--set": settings, "--box": box, "--point": point, "--scribbles": scribbles}
    named = [name for name, value in given.items() if value]
    chosen = _chosen(method, model, runtime, settings or [], named)
    if before or after:
        chosen = make_segmenter("pipeline", before=before or [], method=chosen, after=after or [])
    wanted = [name.strip() for name in formats.split(",")]
    check_formats(wanted)
    prompts = read_prompts(box or [], point or [], scribbles)
    paths = find_images(images)
    outcomes = []
    try:
        for outcome in progress(
            predict_files(paths, chosen, out, wanted, reading_of(spacing, page, max_pixels), prompts, jobs),
            len(paths),
            "segmenting",
        ):
            outcomes.append(outcome)
            if as_json:
                typer.echo(json.dumps(outcome.to_json()))
    except KeyboardInterrupt:
        typer.echo(
            f"smalti: interrupted; {len(outcomes)} of {len(paths)} images are done, and their files whole",
            err=True,
        )
        raise typer.Exit(130) from None
    if not as_json:
        _print_outcomes([outcome for outcome in outcomes if outcome.error is None])
    end_with([(one.image, one.error) for one in outcomes if one.error is not None], len(outcomes))


def _chosen(
    method: str | None, model: Path | None, runtime: str | None, settings: list[str], given: list[str]
) -> Method:
    """The method, or the fitted model, that is asked for; ``given`` are the options only a method may have."""
    from ..segmenter import make_segmenter, parse_settings
    from ..service.models import Model

    if method is not None and model is not None:
        raise InputError(
            f"--method {method} and --model {model}: give one of them, a fitted model has its method"
        )
    if runtime is not None and model is None:
        raise InputError(f"--runtime {runtime} is for fitted networks; name one with --model")
    if method is not None:
        return make_segmenter(method, **parse_settings(settings))
    if model is None:
        raise InputError(
            "what shall segment? give --method NAME (see: smalti methods) or --model FILE (see: smalti fit)"
        )
    if "--set" in given:
        raise InputError(
            f"{model} is fitted already and keeps its parameters; give --set to smalti fit, and leave it out here"
        )
    if given:
        raise InputError(
            f"{model} is fitted already and takes no prompts; leave {' and '.join(given)} out, or use a method"
        )
    return Model.of(model, runtime)


@commands.command("methods")
def methods_command(
    name: Annotated[str | None, typer.Argument(help="A method or step, to see its parameters.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the methods and steps, or show one with its parameters."""
    from ..service import catalogue

    if name is None:
        entries = catalogue.list_methods()
        if as_json:
            typer.echo(json.dumps(entries, indent=2))
        else:
            _print_families(entries)
        return
    entry = catalogue.show_method(name)
    if as_json:
        typer.echo(json.dumps(entry, indent=2))
    else:
        _print_method(entry)


@commands.command("measure")
def measure_command(
    labels: Annotated[Path, typer.Argument(help="A label map: PNG, TIFF or .npy.")],
    image: Annotated[Path | None, typer.Option(help="Its image, for the intensities.")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write instead of printing.")] = None,
    spacing: Spacing = None,
    page: Annotated[int | None, typer.Option(min=0, help="Page of the image, from 0.")] = None,
    max_pixels: MaxPixels = None,
    as_json: AsJson = False,
) -> None:
    """Measure the segments of a label map, as CSV."""
    from ..service.actions import check_output, measure_file

    if page is not None and image is None:
        raise InputError("--page picks a page of the image; name it with --image")
    if out is not None:
        if out.suffix.lower() != ".csv":
            raise InputError(f"the table is written as .csv, not {out.name}; for JSON use --json")
        check_output(out, [labels, image])
    table = measure_file(labels, image, reading_of(spacing, page, max_pixels))
    if out is not None:
        from ..io.writing import replacing

        with replacing(out) as temporary:
            table.to_csv(temporary)
    if as_json:
        from ..service.catalogue import json_rows

        typer.echo(json.dumps({"units": dict(table.units), "segments": json_rows(table)}))
    elif out is not None:
        typer.echo(f"{len(table)} segments measured in {out}")
    else:
        table.to_csv(sys.stdout)


@commands.command("view")
def view_command(
    image: Annotated[Path, typer.Argument(help="The image.")],
    labels: Annotated[Path, typer.Argument(help="Its label map.")],
    out: Annotated[Path, typer.Option(help="PNG file to write.")],
    page: Page = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Draw a label map over its image."""
    from ..service.actions import check_output, view_file

    check_output(out, [image, labels])
    typer.echo(view_file(image, labels, out, reading_of(None, page, max_pixels)))


@commands.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the pictures and index.html.")] = Path("out/demo"),
    as_json: AsJson = False,
) -> None:
    """Segment real photographs and show them side by side."""
    from ..service.demo import SCENES, run_demo

    rows = []
    for row in progress(run_demo(out), len(SCENES), "demo"):
        rows.append(row)
        if as_json:
            typer.echo(json.dumps(row.outcome.to_json() | {"method": row.method}))
    if not as_json:
        _print_demo(rows)
        typer.echo(f"\nPictures side by side: {out / 'index.html'}")


def reading_of(spacing: str | None, page: int | None, max_pixels: int | None) -> Reading:
    """How the options of a command say images are to be read."""
    from ..service.actions import Reading

    return Reading(spacing, page, max_pixels)


def _print_outcomes(outcomes: list[Outcome]) -> None:
    if not outcomes:
        return
    table = table_of("image", "#segments", "#coverage", "#median size", "#seconds")
    for one in outcomes:
        table.add_row(
            one.image, str(one.segments), f"{one.coverage:.1%}", one.size_text, f"{one.seconds:.2f}"
        )
    print_table(table)
    written = [path for one in outcomes for path in one.outputs.values()]
    typer.echo(
        f"written: {' '.join(written[:6])}{f' and {len(written) - 6} more' if len(written) > 6 else ''}"
    )


def _print_demo(rows: list[Any]) -> None:
    table = table_of("image", "method", "#segments", "#median size", "#seconds")
    for row in rows:
        one = row.outcome
        table.add_row(row.title, row.method, str(one.segments), one.size_text, f"{one.seconds:.2f}")
    print_table(table)


def _print_families(entries: list[dict[str, Any]]) -> None:
    from rich.text import Text

    table = table_of("name", "what it does", "takes")
    family = None
    for entry in entries:
        if entry["family"] != family:
            family = entry["family"]
            table.add_section()
            table.add_row(Text(family, style="bold"))
        table.add_row(
            f"  {entry['name']}", entry["summary"], " ".join(entry["takes"]).replace(" as prompts", "")
        )
    print_table(table)
    typer.echo("\nOne of them, with its parameters: smalti methods NAME")


def _print_method(entry: dict[str, Any]) -> None:
    typer.echo(f"{entry['name']} ({entry['family']}): {entry['summary']}")
    typer.echo(f"takes: {', '.join(entry['takes'])}\nsource: {entry['source']}\n")
    print_parameters(entry["parameters"])
    typer.echo(f"\nexample: {entry['example']}")
