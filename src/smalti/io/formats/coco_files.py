"""Which of a dataset's files are COCO's JSON, and where the files lie that these name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import ReadError
from .documents import read_json
from .format import Problem
from .images import PICTURES
from .roles import split_of
from .tree import Tree, inside

HEAD_BYTES = 1 << 16
_FIRST_KEY = re.compile(rb'\s*\{\s*"(info|images|annotations|categories|licenses|type)"\s*:')
_KEYS = (
    b'"images"',
    b'"annotations"',
    b'"categories"',
    b'"licenses"',
    b'"file_name"',
    b'"image_id"',
    b'"supercategory"',
)
_PREFIXES = re.compile(
    r"^(_?annotations|instances|panoptic|person_keypoints|stuff|image_info|coco)(?=[_.\-]|$)[_.\-]*"
)
_OTHER_KINDS = ("captions", "image_info", "person_keypoints", "stuff", "dataset-meta")
_ANNOTATION_FOLDERS = ("annotations", "annotation", "labels", "json")
_IMAGE_FOLDERS = ("images", "data", "JPEGImages", "input_images")
_MOST_FILES = 200


@dataclass(frozen=True)
class CocoFile:
    """One JSON file of a dataset, its path below the folder, and what its name says of images and split."""

    path: str
    content: dict[str, Any]
    told_apart: bool = False  # its token is one of several different ones

    @property
    def token(self) -> str:
        """The file's name without words that say its kind: ``val2017`` of ``instances_val2017.json``."""
        stem = posixpath.basename(self.path).rpartition(".")[0]
        return _PREFIXES.sub("", stem)

    @property
    def folder(self) -> str:
        """The file's folder with a slash, empty for the root."""
        return self.path.rpartition("/")[0] + "/" if "/" in self.path else ""

    @cached_property
    def split(self) -> str | None:
        """As ``info`` says it, else the name of the file or of its folder."""
        info = self.content.get("info")
        told = info.get("split") if isinstance(info, Mapping) else None
        if isinstance(told, str) and told:
            return told
        folder = posixpath.basename(self.folder[:-1])
        return split_of(self.token) or split_of(folder) or (self.token if self.told_apart else "") or None

    def table(self, name: str) -> list[Any]:
        """The records under ``name``, none where there is no such key. Raises ``ReadError`` unless it is a list."""
        records = self.content.get(name)
        if records is None:
            return []
        if not isinstance(records, list):
            raise ReadError(f"{self.path}: wanted a list under {name!r}, got {type(records).__name__}")
        return records


def evidence(head: bytes) -> int:
    """How many of COCO's keys the beginning of a file shows; 0 for one that does not begin as COCO's do."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    first = _FIRST_KEY.match(head)
    if first is None or (first[1] == b"type" and b'"instances"' not in head[:200]):
        return 0
    return sum(key in head for key in _KEYS)


def candidates(tree: Tree) -> list[str]:
    """JSON files that begin as COCO's do: those of ``annotations`` and the root, else those further down."""
    if tree.focus is not None:
        return [tree.focus]
    names = tree.with_suffix(".json")
    high = [
        name
        for name in names
        if "/" not in name or (name.count("/") == 1 and name.lower().startswith("annotations/"))
    ]
    for group in (high, names):
        if len(group) > _MOST_FILES:  # COCO's are few, and a folder of LabelMe's has as many as images
            group = [
                name
                for name in group
                if _PREFIXES.match(posixpath.basename(name)) or "coco" in name.rpartition("/")[2]
            ]
        found = [name for name in group[:_MOST_FILES] if evidence(tree.head(name, HEAD_BYTES))]
        if found:
            return found
    return []


def read_files(tree: Tree, panoptic: bool, problems: list[Problem]) -> list[CocoFile]:
    """The JSON files of instances, or of panoptic segments, among the ``candidates``.

    Of a folder's files with captions, keypoints and the like are left out where there are others; those that cannot
    be read become ``problems``. Raises ``ReadError`` where there is none, and where none can be read.
    """
    names = candidates(tree)
    if tree.focus is None and not panoptic:
        names = [name for name in names if not names_panoptic(name)]
        main = [name for name in names if not posixpath.basename(name).startswith(_OTHER_KINDS)]
        names = main or names
    files = []
    unread: list[tuple[str, ReadError]] = []
    for name in names:
        try:
            content = read_json(tree.file(name))
        except ReadError as error:
            unread.append((name, error))
            continue
        images, annotations = content.get("images"), content.get("annotations")
        if not isinstance(images, list) or not isinstance(annotations, list | None):
            if tree.focus is not None:
                raise ReadError(
                    f"{tree.file(name)}: wanted COCO's lists of images and annotations, got the keys "
                    f"{', '.join(map(repr, list(content)[:8])) or 'none'}"
                )
            continue
        first = next((each for each in annotations or () if isinstance(each, dict)), {})
        is_panoptic = "segments_info" in first or (not first and names_panoptic(name))
        if is_panoptic == panoptic:
            files.append(CocoFile(name, content))
        elif tree.focus is not None and first:
            other = "coco-panoptic" if is_panoptic else "coco"
            raise ReadError(f"{tree.file(name)} is of another kind of COCO's files; open it as {other}")
        elif tree.focus is not None:
            files.append(CocoFile(name, content))
    if unread and not files:
        raise unread[0][1]
    problems += [Problem.of_file(name, tree.file(name), error) for name, error in unread]
    if not files:
        kind = "panoptic segments" if panoptic else "instances"
        raise ReadError(f"{tree.root} has no JSON of COCO {kind}, which has lists of images and annotations")
    told_apart = len({file.token for file in files}) == len(files) > 1
    return [replace(file, told_apart=told_apart) for file in files]


def with_results(files: list[CocoFile], path: Path) -> list[CocoFile]:
    """The files with the segments of a list of results (https://cocodataset.org/#format-results) as annotations.

    Raises ``ReadError`` for a file that is no such list, and for a result of an image that none of the files has.
    """
    results = read_json(path, (list,))
    images = [
        {image.get("id") for image in file.table("images") if isinstance(image, dict)} for file in files
    ]
    parts: list[list[Any]] = [[] for _ in files]
    for number, result in enumerate(results):
        key = result.get("image_id") if isinstance(result, dict) else None
        if not isinstance(result, dict) or "segmentation" not in result or not isinstance(key, int | str):
            raise ReadError(
                f"{path}, result {number}: wanted image_id, category_id, segmentation and score, got {result!r:.80}"
            )
        place = next((index for index, known in enumerate(images) if key in known), None)
        if place is None:
            raise ReadError(f"{path}, result {number}: no image of {files[0].path} has the id {key!r:.40}")
        parts[place].append({**result, "id": number})
    return [
        replace(file, content={**file.content, "annotations": part})
        for file, part in zip(files, parts, strict=True)
    ]


def names_panoptic(name: str) -> bool:
    """Whether a file is called one of panoptic segments."""
    return "panoptic" in posixpath.basename(name).lower()


# Where files lie


class Places:
    """Finds the files that a JSON names by their names alone, in the folders where tools put them.

    For a JSON that was asked for by itself and lies in a folder such as ``annotations``, the folders of images
    beside that one count too.
    """

    def __init__(self, tree: Tree, files: Sequence[CocoFile], suffixes: tuple[str, ...] = PICTURES) -> None:
        self._suffixes = suffixes
        self._root, self.above = tree.root, ""
        self._paths: frozenset[str] | set[str] = tree.path_set
        if tree.focus is not None and tree.root.resolve().name.lower() in _ANNOTATION_FOLDERS:
            self._root, self.above = tree.root.resolve().parent, f"{tree.root.resolve().name}/"
            self._paths = {self.above + path for path in tree.paths}
            tokens = dict.fromkeys([*(file.token for file in files), *_IMAGE_FOLDERS])
            for name in (each for each in tokens if each and "/" not in each and each not in (".", "..")):
                if (self._root / name).is_dir():
                    self._paths |= {f"{name}/{path}" for path in Tree(self._root / name).paths}

    def folders(self, file: CocoFile, further: Iterable[str] = ()) -> list[str]:
        """Folders in which the files that ``file`` names may lie, the likeliest first, each with a slash."""
        own = self.above + file.folder
        above = own[:-1].rpartition("/")[0] + "/" if "/" in own[:-1] else ""
        tokens = [f"{each}/" for each in (file.token, file.split) if each]
        tokens += [f"{folder}/{each}" for folder in _IMAGE_FOLDERS for each in tokens]
        around = [above, "", own]
        return list(
            dict.fromkeys(
                [
                    *further,
                    *(place + each for place in around for each in tokens),
                    own,
                    *(f"{place}{each}/" for place in around for each in _IMAGE_FOLDERS),
                    *around,
                ]
            )
        )

    def find(self, name: str, folders: Sequence[str]) -> str | None:
        """Path of the file called ``name`` (may have folders itself) in the first of ``folders`` that has it.

        Else the only file of that name anywhere. Raises ``ReadError`` for names that lead outside.
        """
        for folder in folders:
            if folder + name in self._paths:
                return folder + name
        plain = inside(name)
        if plain != name:
            return self.find(plain, folders)
        same = self._by_name.get(posixpath.basename(name), ())
        ending = [path for path in same if path.endswith(f"/{name}")] or same
        return ending[0] if len(ending) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._paths:
            if path.lower().endswith(self._suffixes):
                found.setdefault(posixpath.basename(path), []).append(path)
        return found

    def path(self, path: str) -> str:
        """The place of a file that was found."""
        return f"{self._root}/{path}"
