"""What training begins with: weights of a file, a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..deep.weights import read_state, safetensors_state
from ..errors import InputError
from ..io.bundle import SUFFIX, load, read_bundle
from ..runtime.fitted import WEIGHTS, FittedNetwork
from .fitting import Start


def start_of(weights: Path | None, freeze: str | None, teacher: Path | None) -> Start:
    """The files read. Raises ``ReadError``, and ``InputError`` for a bundle without weights or a model no network."""
    taught_by = None if teacher is None else load(teacher)
    if taught_by is not None and not isinstance(taught_by, FittedNetwork):
        raise InputError(f"{teacher} is no network, which a teacher must be")
    return Start(_state(weights), "" if weights is None else str(weights), freeze, taught_by)


def _state(path: Path | None) -> Mapping[str, Tensor] | None:
    if path is None or path.suffix.lower() != SUFFIX:
        return None if path is None else read_state(path)
    files = read_bundle(path).files
    if WEIGHTS not in files:
        raise InputError(
            f"{path} holds no {WEIGHTS}, so training cannot begin with it; it was exported without"
        )
    return safetensors_state(files[WEIGHTS])
