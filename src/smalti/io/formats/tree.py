"""The files of a dataset: listed once, safely, and never looked for outside."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path, PurePosixPath

from ...errors import ReadError
from .listing import Listing

_LISTS = ("annotations", "annotation")  # a list in such a folder names images beside the folder


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
    def listing(self) -> Listing:
        """All files below the root; for a focus those beside and below it, as its images may be there."""
        return Listing.of(self.root)

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files below the root, ``/`` between parts, in the order people count.

        ``2.png`` comes before ``10.png``, and the files of a folder before those of the folders in it.
        """
        return self.listing.paths

    @cached_property
    def path_set(self) -> frozenset[str]:
        """The same for asking whether a file is there."""
        return frozenset(self.paths)

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that have files, each with a slash at its end; empty for the root."""
        return self.listing.folders

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Paths that end in one of ``suffixes`` (lower case, such as ``.png`` or ``.nii.gz``)."""
        found = self.listing.with_endings({suffix[suffix.rfind(".") :] for suffix in suffixes})
        if all(suffix.rfind(".") == 0 for suffix in suffixes):
            return found
        return [path for path in found if path.lower().endswith(suffixes)]

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
