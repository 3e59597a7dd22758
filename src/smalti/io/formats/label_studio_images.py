"""Where the images of Label Studio's tasks are: named by it in half a dozen ways, found here by name."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ...errors import InputError
from .images import PICTURES
from .tree import Tree, inside

_LOCAL = "/data/local-files/"
_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


def local_address(file: str) -> str:
    """How a task names a file below the folder that Label Studio serves local files from."""
    return f"{_LOCAL}?d={quote(file)}"


def is_picture(name: str) -> bool:
    """Whether a file name or address ends as those of pictures do."""
    return _parts(name).path.lower().endswith(PICTURES) or name.lower().endswith(PICTURES)


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise InputError(f"the image {address!r} is no address: {error}") from error


class Images:
    """Finds the images of tasks among the files of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._set = frozenset(tree.with_suffix(*PICTURES))
        for path in sorted(self._set):
            name = posixpath.basename(path)
            for each in {name, _UPLOAD.sub("", name)}:
                self._by_name.setdefault(each, []).append(path)

    def find(self, folder: str, reference: str) -> tuple[str | None, str, str]:
        """File of the image (None where it is not here), name of the sample, and address it came from.

        Raises ``ReadError`` for names that lead outside, ``InputError`` for an image that ought to be here.
        """
        split = _parts(reference.replace("\\", "/"))
        remote = len(split.scheme) > 1  # one letter is a drive
        if split.scheme == "data":
            raise InputError("its image is inside the task; save it as a file beside the JSON")
        place = split.path
        if place.startswith(_LOCAL) or place == _LOCAL.rstrip("/"):
            place = dict(each.partition("=")[::2] for each in split.query.split("&")).get("d", "")
        elif not remote:
            place = reference.replace("\\", "/")  # '?' and '#' may be part of a file's name
        parts = [
            part for part in unquote(place).split("/") if part not in ("", ".") and not part.endswith(":")
        ]
        if not parts:
            raise InputError(f"the image {reference!r} has no name")
        name = inside("/".join(parts))
        image = self._lookup(folder, name)
        plain = posixpath.basename(name) if remote or place.startswith("/") else name
        if image is not None:
            return image, posixpath.splitext(image)[0], reference if remote else ""
        if not remote and self._set and is_picture(name):
            raise InputError(f"the image {reference!r} is not there; put it beside the JSON")
        return (
            None,
            posixpath.splitext(plain)[0] if is_picture(plain) else plain,
            reference if remote else "",
        )

    def _lookup(self, folder: str, name: str) -> str | None:
        parts = name.split("/")
        for start in range(len(parts)):  # the longest end of the path that is here
            path = posixpath.join(folder, *parts[start:])
            if path in self._set:
                return path
        for each in (parts[-1], _UPLOAD.sub("", parts[-1])):
            alike = self._by_name.get(each, [])
            if len(alike) == 1:
                return alike[0]
        return None
