"""Which images a YOLO dataset has: ``data.yaml`` with a folder, folders or a list of files for each split.

https://docs.ultralytics.com/datasets/segment/ describes the keys. ``path`` says where the dataset lies on the machine
it was made on; folders are looked for there if it is inside the dataset, else beside the YAML. As Ultralytics' own
reader does, ``../train/images`` is taken for ``train/images`` where that is what is there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ...errors import ReadError
from .documents import read_yaml
from .format import Problem
from .images import PICTURES
from .roles import split_of
from .tree import Tree, inside

_USUAL = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")
_MOST_YAML = 50
_MOST_CLASSES = 100_000
_HIGHEST_CLASS = 2**31 - 2


@dataclass
class YoloList:
    """The classes and images that a dataset lists, in order, each image with its splits and its name."""

    names: dict[int, str] = field(default_factory=dict)
    images: dict[str, list[str]] = field(default_factory=dict)  # path to splits
    stems: dict[str, str] = field(default_factory=dict)  # path to its name below the folder that was listed
    splits: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    origin: str = ""

    def split(self, path: str) -> str | None:
        """The split of an image; None for one that is in all of several, as where nothing was split."""
        splits = self.images[path]
        return None if len(splits) == len(self.splits) > 1 else splits[0] or None

    def add(self, path: str, split: str, stem: str) -> None:
        """Add an image to a split."""
        self.images.setdefault(path, []).append(split)
        self.stems.setdefault(path, stem)


def yaml_of(tree: Tree) -> str | None:
    """The YAML of a dataset: the one asked for, else one in the root that has ``names`` and a split."""
    if tree.focus is not None:
        return tree.focus if tree.focus.lower().endswith((".yaml", ".yml")) else None
    names = [name for name in tree.with_suffix(".yaml", ".yml") if "/" not in name][:_MOST_YAML]
    names.sort(key=lambda name: _USUAL.index(name) if name in _USUAL else len(_USUAL))
    return next((name for name in names if _has_keys(tree.head(name, 1 << 16))), None)


def _has_keys(head: bytes) -> bool:
    keys = {line.partition(b":")[0].strip() for line in head.splitlines() if line[:1] not in b" #-"}
    return b"names" in keys and not keys.isdisjoint(key.encode() for key in _SPLIT_KEYS)


def read_list(tree: Tree) -> YoloList:
    """The classes and images of a tree. Raises ``ReadError`` for a YAML that cannot be read."""
    path = yaml_of(tree)
    if path is None:
        return _by_folders(tree)
    content = read_yaml(tree.file(path))
    found = YoloList(origin=path)
    found.names = _names(content, path, found.problems)
    keys = [key for key in _SPLIT_KEYS if content.get(key)]
    if not keys:
        found.problems.append(Problem(path, "", "it has no train, val or test; all images here are taken"))
        whole = _by_folders(tree)
        found.images, found.stems, found.splits = whole.images, whole.stems, whole.splits
    bases = list(_bases(tree, content.get("path")))
    for key in keys:
        split = split_of(key) or key
        found.splits.append(split)
        entries = content[key] if isinstance(content[key], list) else [content[key]]
        for entry in entries:
            try:
                _add_entry(tree, found, bases, entry, split)
            except ReadError as error:
                found.problems.append(Problem(path, key, str(error)))
    return found


def _names(content: dict[str, Any], path: str, problems: list[Problem]) -> dict[int, str]:
    """Number of each class in the label files to its name."""
    given, count = content.get("names"), content.get("nc")
    if given is None and isinstance(count, int) and 0 < count <= _MOST_CLASSES:
        return {index: f"class_{index}" for index in range(count)}
    if isinstance(given, list):
        given = dict(enumerate(given))
    if not isinstance(given, dict) or len(given) > _MOST_CLASSES:
        raise ReadError(f"{path}: wanted a list or table of classes under 'names', got {given!r:.60}")
    names: dict[int, str] = {}
    for key, value in given.items():
        text = str(value).strip()
        number = int(key) if str(key).isdecimal() and len(str(key)) <= 10 else -1
        if not 0 <= number < _HIGHEST_CLASS or not text or isinstance(value, dict | list):
            wanted = f"wanted a number below {_HIGHEST_CLASS} and a name"
            problems.append(Problem(path, f"names, {key!r:.40}", f"{wanted}, got {value!r:.60}"))
            continue
        names[number] = f"{text} ({number})" if text in names.values() else text
    if isinstance(count, int) and count != len(given):
        problems.append(Problem(path, "nc", f"it says {count} classes and names {len(given)}; correct one"))
    return names


def _bases(tree: Tree, told: Any) -> Iterator[str]:
    """Folders that the entries of a YAML may start from, with a slash: what ``path`` says, the YAML's own."""
    if isinstance(told, str) and told:
        parts = PurePosixPath(told.replace("\\", "/")).parts
        for start in range(len(parts)):  # its last parts may be here: datasets/mine of /home/me/datasets/mine
            folder = "/".join(parts[start:]) + "/"
            if ".." not in parts[start:] and any(path.startswith(folder) for path in tree.paths):
                yield folder
                break
    yield ""


def _add_entry(tree: Tree, found: YoloList, bases: list[str], entry: Any, split: str) -> None:
    """Add what one value of a split means: a folder of images, or a text file that lists them."""
    if not isinstance(entry, str) or not entry:
        raise ReadError(f"wanted a folder or a text file of images, got {entry!r:.60}")
    name = entry.replace("\\", "/")
    while name.startswith("../"):
        name = name[3:]
    name = "" if name.rstrip("/") in (".", "") else inside(name)
    if name.lower().endswith(".txt"):
        for base in bases:
            if base + name in tree.path_set:
                _add_lines(tree, found, bases, base + name, split)
                return
        raise ReadError(f"the list of images {entry} is not there")
    for base in bases:
        folder = f"{base}{name}/" if name else base
        images = [path for path in tree.with_suffix(*PICTURES) if path.startswith(folder)]
        for path in images:
            stem = posixpath.splitext(path[len(folder) :])[0]
            found.add(path, split, stem.removeprefix("images/"))
        if images:
            return
    why = "; names that lead outside are taken for those here" if entry.startswith("..") else ""
    raise ReadError(f"there are no images in {entry}{why}")


def _add_lines(tree: Tree, found: YoloList, bases: list[str], path: str, split: str) -> None:
    """Add the images that a text file lists, a path in each line, those that start with ./ from its own folder."""
    try:
        lines = tree.file(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error
    own = path.rpartition("/")[0]
    starts = list(dict.fromkeys([f"{own}/" if own else "", *bases, ""]))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            name = inside(line.strip())
            place = next((start + name for start in starts if start + name in tree.path_set), None)
            if place is None:
                raise ReadError(f"the image {line.strip()} is not there")
            found.add(place, split, posixpath.splitext(name.rpartition("images/")[2])[0])
        except ReadError as error:
            found.problems.append(Problem(path, f"line {number}", str(error)))


def _by_folders(tree: Tree) -> YoloList:
    """All images that lie in or below a folder called ``images``; their splits by the names of folders."""
    found = YoloList()
    for name in ("classes.txt", "obj.names", "labels/classes.txt"):
        if name in tree.path_set and not found.names:
            try:
                lines = tree.file(name).read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ReadError(f"{name} cannot be read: {error}") from error
            found.names = dict(enumerate(line.strip() for line in lines if line.strip()))
            found.origin = name
    for path in tree.with_suffix(*PICTURES):
        *folders, _ = path.split("/")
        if "images" in folders:
            split = next((each for part in folders if (each := split_of(part))), "")
            stem = posixpath.splitext(path)[0].split("/")
            kept = [part for part in stem if part != "images" and not (split_of(part) and part in folders)]
            found.add(path, split, "/".join(kept))
    return found


def label_path(image: str) -> str:
    """Where the labels of an image lie: the last ``images`` of its path is ``labels``; else beside it."""
    stem = posixpath.splitext(image)[0]
    parts = stem.split("/")
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            return "/".join([*parts[:index], "labels", *parts[index + 1 :]]) + ".txt"
    return f"{stem}.txt"
