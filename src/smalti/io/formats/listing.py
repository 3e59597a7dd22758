"""All files below a folder, in order, by folder and by ending; listed once and remembered until a folder changes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import numpy as np

from ...errors import InputError, ReadError
from ..remembered import from_column, recall, remember, to_column

MAX_FILES = 5_000_000
LOSS_REPORT = "smalti-loss.json"
"""What a conversion writes beside the files of the format; no part of the dataset, so it is not listed."""

_HIDDEN = ("__MACOSX", LOSS_REPORT)
_WORTH_KEEPING = 2_000  # files; fewer are listed as fast as a listing is recalled
_SETTLED_NS = 2_000_000_000  # a folder changed just before it was listed may change again within one tick
_DIGITS = str.maketrans("123456789", "000000000")
_KIND = "listings-2"


@dataclass(frozen=True, eq=False)
class Listing:
    """Files below a folder: those of one folder stand together, in the order people count.

    ``folders`` have a slash at their end, the root is empty; the files of ``folders[k]`` are ``paths`` from
    ``stops[k - 1]`` to ``stops[k]``. ``ending_of`` (N,) says which of ``endings``, what stands from the last point of
    the name on in lower case, each path has; names without a point have an empty one.
    """

    paths: tuple[str, ...]
    folders: tuple[str, ...]
    stops: np.ndarray
    endings: tuple[str, ...]
    ending_of: np.ndarray

    @classmethod
    def of(cls, root: Path) -> Listing:
        """The files below ``root``, as remembered if no folder has changed. Raises ``ReadError``."""
        kept = _recalled(root)
        if kept is not None:
            return kept
        listed_ns = time.time_ns()
        found = _Found()
        found.walk(root)
        folders = sorted(found.names, key=natural)
        listing = cls.of_names({folder: _in_order(found.names[folder]) for folder in folders})
        settled = (
            max((changed for _, _, changed in found.folders.values()), default=0) < listed_ns - _SETTLED_NS
        )
        if len(listing.paths) >= _WORTH_KEEPING and settled and not found.linked:
            listing.remember(root, found.folders)
        return listing

    @classmethod
    def of_names(cls, names: Mapping[str, Sequence[str]]) -> Listing:
        """Of the names of the files in each folder, in order."""
        endings = [
            name[name.rfind(".") :].lower() if "." in name else "" for each in names.values() for name in each
        ]
        known = {ending: index for index, ending in enumerate(dict.fromkeys(endings))}
        return cls(
            tuple(folder + name for folder, each in names.items() for name in each),
            tuple(names),
            np.cumsum([len(each) for each in names.values()], dtype=np.int64),
            tuple(known),
            np.array([known[ending] for ending in endings], np.int32),
        )

    def with_endings(self, wanted: set[str]) -> list[str]:
        """Paths that have one of these endings, in order."""
        codes = [code for code, ending in enumerate(self.endings) if ending in wanted]
        if not codes:
            return []
        if len(codes) == len(self.endings):
            return list(self.paths)
        found = np.isin(self.ending_of, codes) if len(codes) > 1 else self.ending_of == codes[0]
        return take(self.paths, np.flatnonzero(found))

    def by_folder(self, wanted: frozenset[str]) -> Iterator[tuple[str, list[str], str | None]]:
        """Each folder with files that have one of the endings: its name, their paths, and the ending if it is one."""
        codes = [code for code, ending in enumerate(self.endings) if ending in wanted]
        found = np.flatnonzero(np.isin(self.ending_of, codes))
        bounds = np.searchsorted(found, self.stops).tolist()
        begin = 0
        for folder, stop in zip(self.folders, bounds, strict=True):
            places = found[begin:stop]
            begin = stop
            if len(places):
                kinds = self.ending_of[places]
                alike = bool((kinds == kinds[0]).all())
                yield folder, take(self.paths, places), self.endings[int(kinds[0])] if alike else None

    def remember(self, root: Path, folders: dict[str, tuple[int, int, int]]) -> None:
        """Keep the listing, with what tells of each folder that it is still the same."""
        columns = {
            "paths": to_column(list(self.paths)),
            "with_files": to_column([folder or "." for folder in self.folders]),
            "stops": self.stops,
            "endings": to_column([ending or "." for ending in self.endings]),
            "ending_of": self.ending_of,
            "folders": to_column([folder or "." for folder in folders]),
            "stamps": np.array(list(folders.values()), np.int64),
        }
        remember(_KIND, root, columns)


def take(paths: tuple[str, ...], places: np.ndarray) -> list[str]:
    """The paths at ``places``."""
    if len(places) < 2:
        return [paths[place] for place in places.tolist()]
    return list(itemgetter(*places.tolist())(paths))


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


def _recalled(root: Path) -> Listing | None:
    """The kept listing of ``root`` if none of its folders has changed since."""
    kept = recall(_KIND, root)
    if not kept:
        return None
    try:
        for folder, stamp in zip(from_column(kept["folders"]), kept["stamps"].tolist(), strict=True):
            status = (root / folder).stat()
            if [status.st_dev, status.st_ino, status.st_mtime_ns] != stamp:
                return None
        listing = Listing(
            tuple(from_column(kept["paths"])),
            tuple("" if folder == "." else folder for folder in from_column(kept["with_files"])),
            kept["stops"],
            tuple("" if ending == "." else ending for ending in from_column(kept["endings"])),
            kept["ending_of"],
        )
        count = len(listing.paths)
        whole = (
            listing.stops.shape == (len(listing.folders),)
            and listing.ending_of.shape == (count,)
            and (not count or (listing.stops[-1] == count and listing.ending_of.min() >= 0))
            and listing.ending_of.max(initial=-1) < len(listing.endings)
        )
        return listing if whole else None
    except (OSError, KeyError, ValueError, IndexError, UnicodeDecodeError):
        return None
