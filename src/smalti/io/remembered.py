"""What was found out about files of the user, kept between runs in the cache folder of the system.

``SMALTI_CACHE`` names another folder. Whatever is kept can be found out again: a cache that is missing, damaged or
cannot be written costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import WriteError
from .writing import replacing

_log = logging.getLogger(__name__)


def recall(kind: str, path: Path) -> dict[str, np.ndarray]:
    """The columns of this ``kind`` last kept for ``path``; none where there are none."""
    try:
        with _place(kind, path).open("rb") as file, np.load(file, allow_pickle=False) as columns:
            return {name: columns[name] for name in columns.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def remember(kind: str, path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Keep ``columns`` for ``path`` under ``kind``."""
    try:
        with replacing(_place(kind, path)) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **columns)
    except WriteError as error:
        _log.info("%s of %s are not remembered: %s", kind, path, error)


def to_column(texts: list[str]) -> np.ndarray:
    """Texts without zero bytes as one array of bytes."""
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), np.uint8)


def from_column(column: np.ndarray) -> list[str]:
    """The texts of ``to_column``."""
    whole = column.tobytes().decode("utf-8", "surrogateescape")
    return whole.split("\0") if whole else []


def _place(kind: str, path: Path) -> Path:
    from platformdirs import user_cache_path

    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:24]
    return Path(os.environ.get("SMALTI_CACHE") or user_cache_path("smalti")) / kind / f"{digest}.npz"
