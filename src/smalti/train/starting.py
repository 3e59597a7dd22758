"""What training begins with: weights of a file, a teacher."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, ReadError
from ..io.bundle import SUFFIX, load, read_bundle
from ..runtime.fitted import WEIGHTS, FittedNetwork
from .fitting import Start


def start_of(weights: Path | None, freeze: str | None, teacher: Path | None) -> Start:
    """The files read. Raises ``ReadError``, and ``InputError`` for a bundle without weights or a model no network."""
    taught_by = None
    if teacher is not None:
        taught_by = load(teacher)
        if not isinstance(taught_by, FittedNetwork):
            raise InputError(f"{teacher} is no network, which a teacher must be")
    return Start(_content(weights), "" if weights is None else str(weights), freeze, taught_by)


def _content(path: Path | None) -> bytes | None:
    if path is None:
        return None
    if path.suffix.lower() == SUFFIX:
        files = read_bundle(path).files
        if WEIGHTS not in files:
            raise InputError(
                f"{path} holds no {WEIGHTS}, so training cannot begin with it; it was exported without"
            )
        return files[WEIGHTS]
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
