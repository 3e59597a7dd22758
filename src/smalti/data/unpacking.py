"""Unpacking archives of strangers: files and folders only, inside the folder only, no more than announced."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import InputError, ReadError, WriteError
from ..io.archives import Archive
from ..io.formats.tree import inside
from .transfer import FREE_BYTES, Report

MAX_FILES = 2_000_000
MAX_RATIO = 250
"""How many times its size an archive may unpack to; images and JSON stay below 20."""

_SMALL = 1 << 26  # bytes that do no harm, whatever their ratio
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)


def is_archive(path: Path) -> bool:
    """Whether a name ends like one that ``unpack`` takes."""
    return path.name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz"))


def unpack(archive: Path, folder: Path, *, report: Report | None = None) -> int:
    """Unpack a zip or tar archive into ``folder``; gives the number of files.

    Hidden files (``.DS_Store``, ``__MACOSX``) are left out. Raises ``ReadError`` for an archive that is damaged, leads
    out of the folder, holds links or devices, names a file twice, or would unpack to more than ``MAX_RATIO`` times
    its size, and ``WriteError`` where the disk has no room for it. What has been unpacked by then stays: unpack
    into a folder of its own and rename it at the end.
    """
    report = report or (lambda what, done, total: None)
    limit = max(_SMALL, MAX_RATIO * archive.stat().st_size)
    seen: set[str] = set()
    done = 0
    folder.mkdir(parents=True, exist_ok=True)
    with _in_words(archive):
        for name, size, file in _zip_members(archive, limit) if _is_zip(archive) else _tar_members(archive):
            if name in seen or len(seen) >= MAX_FILES:
                what = f"holds {name!r} twice" if name in seen else f"holds more than {MAX_FILES} files"
                raise ReadError(f"{archive} {what}; it is refused")
            seen.add(name)
            if done + size > limit:
                raise ReadError(
                    f"{archive} would unpack to more than {MAX_RATIO} times its size; it is refused"
                )
            free = shutil.disk_usage(folder).free
            if size + FREE_BYTES > free:
                raise WriteError(
                    f"{folder} has {free / 1e9:.2f} GB free, too little for {name}; free some space"
                )
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as target:
                copied = _copy(file, target, size)
            if copied != size:
                raise ReadError(f"{archive}: {name} declares {size} bytes and holds {copied}; it is damaged")
            done += size
            report(f"unpacking {archive.name}", done, None)
    return len(seen)


def _copy(file: IO[bytes], target: IO[bytes], size: int) -> int:
    """Copy up to a byte more than ``size``; gives how many there were."""
    copied = 0
    while chunk := file.read(min(1 << 20, size + 1 - copied)):
        copied += len(chunk)
        if copied > size:
            break
        target.write(chunk)
    return copied


def _is_zip(archive: Path) -> bool:
    return archive.name.lower().endswith(".zip")


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _zip_members(archive: Path, limit: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    with (
        Archive(archive, max_bytes=limit, max_ratio=MAX_RATIO) as listing,
        zipfile.ZipFile(archive) as zipped,
    ):
        if listing.refused:
            raise ReadError(f"{archive}: {listing.refused[0][1]}")
        for member in listing.members:
            mode = member.info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise ReadError(f"{archive}: {member.name} is a link or device, not a file; it is refused")
            if member.info.flag_bits & 1:
                raise ReadError(
                    f"{archive}: {member.name} is encrypted; unpack it with its password yourself"
                )
            with zipped.open(member.info) as file:
                yield member.name, member.size, file


def _tar_members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isdir():
                inside(member.name)
                continue
            name = inside(member.name)
            if not member.isfile():
                raise ReadError(f"{archive}: {name} is a link or device, not a file; it is refused")
            # The library's own filter knows platforms' oddities too; nothing but the name is taken from it.
            if hasattr(tarfile, "data_filter"):
                tarfile.data_filter(member, str(archive.parent))
            if _hidden(name):
                continue
            file = tar.extractfile(member)
            assert file is not None  # a regular file has content
            yield name, member.size, file


@contextmanager
def _in_words(archive: Path) -> Iterator[None]:
    try:
        yield
    except (ReadError, WriteError, InputError):
        raise
    except _DAMAGE as error:
        raise ReadError(
            f"{archive} is damaged or no such archive: {str(error) or 'it ends too early'}"
        ) from error
    except FileExistsError as error:
        raise ReadError(f"{archive} holds {error.filename} twice; it is refused") from error
    except OSError as error:
        if error.errno is None:  # bz2 and lzma say so of damaged data
            raise ReadError(f"{archive} is damaged: {error}") from error
        raise WriteError(f"{archive} cannot be unpacked: {error.strerror or error}") from error
