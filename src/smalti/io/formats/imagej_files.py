"""Which files of a folder hold the ImageJ regions of which image, and what is in them.

The regions of ``cells.tif`` are in ``cells.zip``, ``cells.roi``, ``cells_rois.zip``, ``RoiSet_cells.zip`` or in a
folder called so, beside the image or one folder below or elsewhere, if only one image is called so; those in
``RoiSet.zip`` belong to the one image beside it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import ReadError
from ..archives import Archive
from .images import PICTURES
from .tree import Tree

_TOKENS = re.compile(r"^(?:roi_?set[ _-]+)|[ _-]*(?:roi_?set|rois?)$", re.IGNORECASE)


def region_files(tree: Tree) -> tuple[dict[str, list[str]], list[str]]:
    """The files with regions of each image, and those whose image is not there."""
    by_place: dict[tuple[str, str], str] = {}
    by_stem: dict[str, list[str]] = {}
    by_folder: dict[str, list[str]] = {}
    for path in tree.with_suffix(*PICTURES):
        folder, stem = posixpath.split(posixpath.splitext(path)[0])
        for each in {stem, stem.removesuffix(".ome")}:
            by_place.setdefault((folder, each), path)
            by_stem.setdefault(each, []).append(path)
        by_folder.setdefault(folder, []).append(path)

    def image_of(folder: str, stem: str) -> str | None:
        for each in dict.fromkeys((stem, _TOKENS.sub("", stem))):
            near = by_place.get((folder, each)) or by_place.get((posixpath.dirname(folder), each))
            if near is not None or len(by_stem.get(each, ())) == 1:
                return near or by_stem[each][0]
        alone = by_folder.get(folder, [])
        return alone[0] if len(alone) == 1 and not _TOKENS.sub("", stem) else None

    sets: dict[str, list[str]] = {}
    unmatched = []
    for path in [tree.focus] if tree.focus is not None else tree.with_suffix(".roi", ".zip"):
        folder, stem = posixpath.split(posixpath.splitext(path)[0])
        image = image_of(folder, stem)
        if image is None and path.lower().endswith(".roi"):
            image = image_of(*posixpath.split(folder))  # a folder of regions, called as the image
        if image is not None:
            sets.setdefault(image, []).append(path)
        elif path.lower().endswith(".roi") or tree.head(path, 2) == b"PK":
            unmatched.append(path)
    return sets, unmatched


def region_contents(path: Path) -> Iterator[tuple[str, str, bytes | ReadError]]:
    """Record, name without suffix and bytes of each region in a ``.roi`` file or an archive."""
    if path.suffix.lower() == ".roi":
        try:
            yield "", path.stem, path.read_bytes()
        except OSError as error:
            raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
        return
    with Archive(path) as archive:
        for name, message in archive.refused:
            yield f"member {name}", "", ReadError(message)
        for member in archive.members:
            if member.name.lower().endswith(".roi"):
                stem = posixpath.basename(member.name)[: -len(".roi")]
                try:
                    yield f"member {member.name}", stem, archive.read(member)
                except ReadError as error:
                    yield f"member {member.name}", stem, error
