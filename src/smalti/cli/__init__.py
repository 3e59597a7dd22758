"""The command line: parse, call one action, shape the answer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import Interrupted, SmaltiError
from . import datasets, learning, networks, scoring, segmenting

app = typer.Typer(
    name="smalti",
    help="Image segmentation: from raw images to masks you can measure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"smalti {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    debug: Annotated[
        bool, typer.Option(help="Show the traceback of an error; works after any command.")
    ] = False,
) -> None:
    """What holds for all commands. ``--debug`` is taken by ``main`` wherever it stands."""


app.add_typer(segmenting.commands)
app.add_typer(learning.commands)
app.add_typer(networks.commands)
app.add_typer(datasets.commands)
app.add_typer(scoring.commands)


def main() -> None:
    """The ``smalti`` command: one clear line for an error, and 2 to the shell, or 130 where somebody stopped it; a
    traceback with ``--debug``."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        sys.exit(app(args=arguments, prog_name="smalti", standalone_mode=True))
    except SmaltiError as error:
        if debug:
            raise
        typer.echo(f"smalti: {error}", err=True)
        sys.exit(130 if isinstance(error, Interrupted) else 2)
    except Exception as error:
        if debug:
            raise
        typer.echo(
            f"smalti: unexpected {type(error).__name__}: {error}; run it again with --debug for the traceback",
            err=True,
        )
        sys.exit(70)
