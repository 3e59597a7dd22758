"""The files of a dataset: listed once, safely, and never looked for outside."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ...errors import InputError, ReadError

MAX_FILES = 5_000_000
LOSS_REPORT = "smalti-loss.json"
"""What a conversion writes beside the files of the format; no part of the dataset, so it is not listed."""

_HIDDEN = ("__MACOSX", LOSS_REPORT)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below the root of a tree: its path with ``/`` between parts, bytes, and time of last change."""

    path: str
    size: int
    changed_ns: int


class Tree:
    """The files below one folder, or one file alone, as they were when listed.

    Hidden files and folders (``.git``, ``._image.png``, ``__MACOSX``) and loss reports are not listed. Links are followed, each folder
    once, so links in a circle end. ``root`` is the folder; ``focus`` is the path of the one file that was asked for,
    such as a COCO JSON, or None for the whole folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        if path.is_dir():
            self.root, self.focus = path, None
        elif path.is_file():
            self.root, self.focus = path.parent, path.name
        else:
            where = "" if path.parent.is_dir() else f" (there is no folder {path.parent})"
            raise ReadError(f"no file or folder {path}{where}; check the name")

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All files, in the order people count: ``2.png`` before ``10.png``.

        For a focus these are the files beside and below it, as its images may be there.
        """
        return tuple(sorted(_walk(self.root), key=lambda entry: natural(entry.path)))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files below the root."""
        return tuple(entry.path for entry in self.entries)

    @cached_property
    def path_set(self) -> frozenset[str]:
        """The same for asking whether a file is there."""
        return frozenset(self.paths)

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Paths that end in one of ``suffixes`` (lower case, such as ``.png`` or ``.nii.gz``)."""
        return [path for path in self.paths if path.lower().endswith(suffixes)]

    def file(self, name: str) -> Path:
        """The place of a file named in the dataset. Raises ``ReadError`` for one outside of it."""
        return self.root / inside(name)

    def head(self, name: str, size: int = 4096) -> bytes:
        """The first bytes of a file; none where it cannot be read."""
        try:
            with self.file(name).open("rb") as file:
                return file.read(size)
        except (OSError, ReadError):
            return b""


def inside(name: str) -> str:
    """A file name of a dataset made plain: parts separated by ``/``, no ``.``.

    Raises ``ReadError`` for names that would lead outside: absolute ones, drives, ``..``, zero bytes.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or "\0" in name or parts[0].startswith("/") or ".." in parts or ":" in parts[0]:
        raise ReadError(f"the file name {name!r} leads outside of the dataset or is none; it is refused")
    return "/".join(parts)


def natural(name: str) -> tuple[object, ...]:
    """Sorts names as people count.

    >>> sorted(["a10", "a2", "b1"], key=natural)
    ['a2', 'a10', 'b1']
    """
    return tuple(
        (0, int(part), part) if part[0] in "0123456789" else (1, part)
        for part in re.findall("[0-9]+|[^0-9]+", name)
    )


def _walk(root: Path) -> Iterator[Entry]:
    waiting = [("", str(root))]
    seen = set()
    count = 0
    while waiting:
        prefix, folder = waiting.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116  # many folders; Path costs more than the call
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as found:
                for each in found:
                    if each.name.startswith(".") or each.name in _HIDDEN:
                        continue
                    if each.is_dir():
                        waiting.append((f"{prefix}{each.name}/", each.path))
                    elif each.is_file():
                        status = each.stat()
                        count += 1
                        yield Entry(prefix + each.name, status.st_size, status.st_mtime_ns)
        except OSError as error:
            raise ReadError(f"{folder} cannot be listed: {error.strerror or error}") from error
        if count > MAX_FILES:
            raise InputError(f"{root} holds more than {MAX_FILES} files; name the dataset's own folder")
