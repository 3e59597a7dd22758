"""Writing so that a file is either whole or not there."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SmaltiError, WriteError

_HINTS = {
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder",
    errno.EISDIR: "a folder stands there; choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path``, with its suffix; what is written there becomes ``path`` at the end.

    The folder is made if needed. When the block fails, the temporary file goes and ``path`` stays as it was;
    a killed process can leave a hidden temporary file behind but never half of ``path``. A link is followed.
    Raises ``WriteError`` when the place cannot be written; ``OSError`` inside the block becomes one too.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "new" / "table.csv") as partial:
    ...     _ = partial.write_text("area")
    >>> (folder / "new" / "table.csv").read_text()
    'area'
    """
    shown = Path(path)
    target = Path(os.path.realpath(shown))
    # a name of our own and not tempfile's, whose files only their owner may read
    partial = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(4)}{target.suffix}")
    try:
        try:
            if target.is_dir():
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            target.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except SmaltiError:
        raise
    except OSError as error:
        hint = _HINTS.get(error.errno or 0)
        reason = error.strerror or str(error)
        raise WriteError(f"cannot write {shown}: {reason}" + (f"; {hint}" if hint else "")) from error
