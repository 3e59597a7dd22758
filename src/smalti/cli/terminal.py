"""What commands share: tables, progress and options that mean the same everywhere."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from ..table import Table

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output and nothing else.")]


def progress(outcomes: Any, total: int, what: str) -> Any:
    """The outcomes as they come, under a bar with the time left on a terminal when there is more than one."""
    if total < 2 or not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, total=total, description=what, console=Console(stderr=True), transient=True)


def end_with(failed: Sequence[tuple[str, str]], count: int) -> None:
    """Report which of ``count`` images failed, by name and error, and answer the shell with 1 where any did."""
    for name, error in failed:
        typer.echo(f"smalti: {error}" if error.startswith(name) else f"smalti: {name}: {error}", err=True)
    if failed:
        if count > 1:
            typer.echo(f"smalti: {len(failed)} of {count} images failed, the others are done", err=True)
        raise typer.Exit(1)


def table_of(*columns: str) -> Any:
    """An empty table for the terminal; a column that begins with # holds numbers, set to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        justify: Literal["right", "left"] = "right" if column.startswith("#") else "left"
        table.add_column(column.lstrip("#"), justify=justify, overflow="fold")
    return table


def print_table(renderable: Any) -> None:
    """Print a table, as wide as the terminal or wide enough for its rows when piped."""
    from rich.console import Console

    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120).print(renderable)


def print_parameters(parameters: list[dict[str, Any]], kind: str = "parameter") -> None:
    """Print what a method, step or format can be given."""
    table = table_of(kind, "#default", "allowed", "meaning")
    for parameter in parameters:
        table.add_row(
            parameter["name"],
            json.dumps(parameter["default"]),
            parameter["allowed"],
            parameter["description"],
        )
    print_table(table)


def print_rows(table: Table, limit: int | None = None) -> None:
    """Print the rows of a table of results, all or the first ``limit``."""
    shown = table_of(
        *(
            name if column.dtype.kind in "UO" else f"#{name}"
            for name, column in zip(table.header, table.columns.values(), strict=True)
        )
    )
    for index, row in enumerate(table.rows()):
        if limit is not None and index == limit:
            break
        shown.add_row(*(_cell(value) for value in row.values()))
    print_table(shown)
    if limit is not None and len(table) > limit:
        typer.echo(f"and {len(table) - limit} more")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3f}"
    return str(value)


@contextmanager
def downloading() -> Iterator[Callable[[str, int, int | None], None]]:
    """A function to tell of bytes that have come: shown as bars on a terminal, else not at all."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield report


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how many of how many are done: a bar on a terminal, else nothing.

    ``total`` is None where it is not known before.
    """
    from rich.console import Console
    from rich.progress import Progress

    if (total is not None and total < 2) or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)
