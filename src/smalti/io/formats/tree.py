"""The files of a dataset: listed once, safely, and never looked for outside."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from pathlib import Path, PurePosixPath

import numpy as np

from ...errors import InputError, ReadError
from ..remembered import from_column, recall, remember, to_column

MAX_FILES = 5_000_000
LOSS_REPORT = "smalti-loss.json"
"""What a conversion writes beside the files of the format; no part of the dataset, so it is not listed."""

_HIDDEN = ("__MACOSX", LOSS_REPORT)
_LISTS = ("annotations", "annotation")  # a list in such a folder names images beside the folder
_WORTH_KEEPING = 2_000  # files; fewer are listed as fast as a listing is recalled
_SETTLED_NS = 2_000_000_000  # a folder changed just before it was listed may change again within one tick
_DIGITS = str.maketrans("123456789", "000000000")


class Tree:
    """The files below one folder, or one file alone, as they were when listed.

    Hidden files and folders (``.git``, ``._image.png``, ``__MACOSX``) and loss reports are not listed. Links are
    followed, each folder once, so links in a circle end. ``root`` is the folder; ``focus`` is the path of the one file
    that was asked for, such as a COCO JSON, or None for the whole folder; of a file in ``annotations/`` the root is the
    folder above, where its images are.

    The listing of a large folder is kept between runs; it is made anew when any folder of it has changed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        if path.is_dir():
            self.root, self.focus = path, None
        elif path.is_file():
            above = path.absolute().parent.name.lower() in _LISTS
            self.root = path.absolute().parent.parent if above else path.parent
            self.focus = f"{path.absolute().parent.name}/{path.name}" if above else path.name
        else:
            where = "" if path.parent.is_dir() else f" (there is no folder {path.parent})"
            raise ReadError(f"no file or folder {path}{where}; check the name")

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files below the root, ``/`` between parts, in the order people count.

        ``2.png`` comes before ``10.png``, and the files of a folder before those of the folders in it. For a focus
        these are the files beside and below it, as its images may be there.
        """
        kept = _recalled(self.root)
        if kept is not None:
            return kept
        listed_ns = time.time_ns()
        found = _Found()
        found.walk(self.root)
        names = found.names
        paths = tuple(
            folder + name for folder in sorted(names, key=natural) for name in _in_order(names[folder])
        )
        settled = (
            max((changed for _, _, changed in found.folders.values()), default=0) < listed_ns - _SETTLED_NS
        )
        if len(paths) >= _WORTH_KEEPING and settled and not found.linked:
            remember(
                "listings",
                self.root,
                {
                    "paths": to_column(list(paths)),
                    "folders": to_column([folder or "." for folder in found.folders]),
                    "stamps": np.array(list(found.folders.values()), np.int64),
                },
            )
        return paths

    @cached_property
    def path_set(self) -> frozenset[str]:
        """The same for asking whether a file is there."""
        return frozenset(self.paths)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The folders that have files, each with a slash at its end; empty for the root."""
        return tuple(dict.fromkeys(path[: path.rfind("/") + 1] for path in self.paths))

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Paths that end in one of ``suffixes`` (lower case, such as ``.png`` or ``.nii.gz``)."""
        wanted = {suffix[suffix.rfind(".") :] for suffix in suffixes} & self._by_ending.keys()
        if len(wanted) == 1:
            among = self._by_ending[next(iter(wanted))].copy()
        else:
            among = list(compress(self.paths, map(wanted.__contains__, self._endings))) if wanted else []
        if all(suffix.rfind(".") == 0 for suffix in suffixes):
            return among
        return [path for path in among if path.lower().endswith(suffixes)]

    @cached_property
    def _endings(self) -> list[str]:
        """What stands from the last point of each path on, in lower case."""
        return [path[path.rfind(".") :].lower() for path in self.paths]

    @cached_property
    def _by_ending(self) -> dict[str, list[str]]:
        """Paths by their endings: twenty formats look for theirs."""
        return {
            ending: list(compress(self.paths, map(ending.__eq__, self._endings)))
            for ending in set(self._endings)
            if "/" not in ending
        }

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


def _in_order(names: list[str]) -> list[str]:
    """Names in natural order; where all have their digits in the same places, that is the order of letters."""
    if len({name.translate(_DIGITS) for name in names}) <= 1:
        return sorted(names)
    return sorted(names, key=natural)


@dataclass
class _Found:
    """What is below a folder: the names of the files in each folder, and what tells that a folder is still the same.

    ``linked`` says that a link leads elsewhere: where it leads may change without any folder here doing so.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, tuple[int, int, int]] = field(
        default_factory=dict
    )  # device, inode, time of last change in ns
    linked: bool = False

    def walk(self, root: Path) -> None:
        """List all below ``root``. Raises ``ReadError`` for a folder that cannot be listed."""
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
                self.folders[prefix] = status.st_dev, status.st_ino, status.st_mtime_ns
                names, below = self._list(folder)
            except OSError as error:
                raise ReadError(f"{folder} cannot be listed: {error.strerror or error}") from error
            waiting += [(f"{prefix}{name}/", path) for name, path in below]
            count += len(names)
            if count > MAX_FILES:
                raise InputError(f"{root} holds more than {MAX_FILES} files; name the dataset's own folder")
            if names:
                self.names[prefix] = names

    def _list(self, folder: str) -> tuple[list[str], list[tuple[str, str]]]:
        """Names of the files in one folder, and the folders in it with their paths."""
        names: list[str] = []
        below: list[tuple[str, str]] = []
        with os.scandir(folder) as entries:
            for each in entries:
                name = each.name
                if name[0] == "." or name in _HIDDEN:
                    continue
                if each.is_symlink():
                    self.linked = True
                    if not os.path.exists(each.path):  # noqa: PTH110  # leads nowhere, or to itself
                        continue
                if each.is_file():
                    names.append(name)
                elif each.is_dir():
                    below.append((name, each.path))
        return names, below


def _recalled(root: Path) -> tuple[str, ...] | None:
    """The kept listing of ``root`` if none of its folders has changed since."""
    kept = recall("listings", root)
    if not kept:
        return None
    try:
        for folder, stamp in zip(from_column(kept["folders"]), kept["stamps"].tolist(), strict=True):
            status = (root / folder).stat()
            if [status.st_dev, status.st_ino, status.st_mtime_ns] != stamp:
                return None
        return tuple(from_column(kept["paths"]))
    except (OSError, KeyError, ValueError):
        return None
