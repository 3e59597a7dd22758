"""Files appear whole or not at all: written under a temporary name beside their place, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import SmaltiError, WriteError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it becomes ``path`` when the block ends well.

    The folder is made where it is missing. When the block fails, the temporary file is removed and what stood at
    ``path`` stays. Raises ``WriteError`` when the place cannot be written or the disk is full.
    """
    path = Path(path)
    # The suffix stays last: some writers choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, SmaltiError):
            raise
        reason = error.strerror or str(error)
        raise WriteError(f"cannot write {path}: {reason}; choose another folder or make room") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
