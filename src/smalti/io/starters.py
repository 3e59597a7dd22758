"""Models that come with the package, found by name where a file is asked for."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ReadError

FOLDER = Path(__file__).with_name("models")

STARTERS: dict[str, str] = {}
"""Name of each model to what it finds; it is ``models/NAME.smalti``."""


def model_path(model: str | os.PathLike[str]) -> Path:
    """The file of a model: the file itself, or that of a starter called so where there is no such file.

    Raises ``ReadError`` for neither, with what there is.
    """
    path = Path(model)
    if path.exists():
        return path
    name = os.fspath(model)
    if name in STARTERS:
        return FOLDER / f"{name}.smalti"
    there = f", or take one that comes with smalti: {', '.join(STARTERS)}" if STARTERS else ""
    raise ReadError(f"no file {path}; check the name, or make it with smalti fit{there}")
