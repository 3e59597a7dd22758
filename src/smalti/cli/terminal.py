"""What commands share: tables, progress and options that mean the same everywhere."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output and nothing else.")]


def progress(outcomes: Any, total: int, what: str) -> Any:
    """The outcomes as they come, under a bar with the time left on a terminal when there is more than one."""
    if total < 2 or not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, total=total, description=what, console=Console(stderr=True), transient=True)


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
