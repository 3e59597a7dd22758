"""What the names of folders and files say of the pictures in them: image or mask, which split, which part of a set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from ...errors import InputError
from .images import PICTURES
from .listing import Listing
from .tree import Tree, inside

MASK_SUFFIXES = (*PICTURES, ".npy")
LOSSY = (".jpg", ".jpeg", ".webp")  # what photographs are kept in and masks are not
IMAGE_WORDS = frozenset(
    ["image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "input", "inputs", "picture", "pictures"]
    + ["photo", "photos", "frame", "frames", "original", "originals", "sat"]
)
MASK_WORDS = frozenset(
    ["mask", "masks", "label", "labels", "annotation", "annotations", "annot", "annots", "ann", "anns", "gt"]
    + ["groundtruth", "truth", "target", "targets", "trimap", "trimaps", "seg", "segs", "segmentation"]
    + [
        "segmentations",
        "segmentationclass",
        "segmentationobject",
        "segmentationclassraw",
        "segmentationclassaug",
    ]
    + ["gtfine", "gtcoarse", "instance", "instances", "semantic", "manual", "labelids", "labeltrainids"]
    + ["instanceids"]
)
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Name of a folder to the split that its files belong to."""

_ALONE = frozenset(
    ["frame", "frames", "original", "originals", "sat", "semantic"]
)  # no role as part of a longer name
_DECATHLON = {"imagestr": "train", "labelstr": "train", "imagests": "test", "labelsts": "test"}
_SEPARATORS = re.compile(r"[_\- .]+")
_WORD = re.compile(r"[^_\- .]+")
_NUMBERED = re.compile(r"([^0-9]+)[0-9]+")
_GLOB_SIGN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|[^*?\[]+|\[")
_SUFFIXES = frozenset(MASK_SUFFIXES)

Role = Literal["image", "mask", ""]


@dataclass(frozen=True)
class Folder:
    """What the path of a folder says of the files in it."""

    role: Role
    kind: str  # the part that gives the role, as written: masks of two kinds are two truths
    context: tuple[str, ...]  # the other parts, splits under their own names: the same for images and masks
    shown: tuple[str, ...]  # the other parts as written, for names
    split: str | None
    inner: tuple[str, ...]  # the other parts that are no split: city, sequence, tile


@dataclass(frozen=True)
class Files:
    """Pictures by their stems, and those that differ from another by their suffix only."""

    first: dict[str, str] = field(default_factory=dict)  # stem to path
    more: list[tuple[str, str]] = field(default_factory=list)  # stem and path

    def add(self, stem: str, path: str) -> None:
        if self.first.setdefault(stem, path) is not path:
            self.more.append((stem, path))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self.first.items()
        yield from self.more

    def __bool__(self) -> bool:
        return bool(self.first)


def split_of(word: str) -> str | None:
    """The split that a folder's name means: ``training`` is train, ``val2017`` val, ``stage1_test`` test.

    >>> split_of("validation"), split_of("street")
    ('val', None)
    """
    words = [SPLITS.get(each.rstrip("0123456789")) for each in _SEPARATORS.split(word.lower())]
    return next((each for each in words if each), None)


def by_role(tree: Tree, images: str, masks: str) -> Iterator[tuple[Folder, Files]]:
    """Each folder with pictures, or each part of one where globs choose among its files."""
    wanted_images = Wanted.of(tree, images, "image")
    wanted_masks = Wanted.of(tree, masks, "mask")
    for path, files in pictures(tree.listing).items():
        folder = describe(path)
        for wanted in (wanted_masks, wanted_images):
            if wanted is not None:
                taken, files = wanted.take(files)
                if taken:
                    yield wanted.describe(path), taken
        named = wanted_masks if folder.role == "mask" else wanted_images
        if files and named is None:
            yield folder, files


def pictures(listing: Listing) -> dict[str, Files]:
    """Folder to the files in it that may be images or masks."""
    found: dict[str, Files] = {}
    for folder, paths, ending in listing.by_folder(_SUFFIXES):
        begin = len(folder)
        if ending is not None:
            stems = [path[begin : -len(ending)] for path in paths]
        else:
            stems = [path[begin : path.rfind(".")] for path in paths]
        files = Files(dict(zip(stems, paths, strict=True)))
        if len(files.first) < len(paths) or "" in files.first:
            files = Files()
            for stem, path in zip(stems, paths, strict=True):
                if stem:
                    files.add(stem, path)
        if files:
            found[folder[:-1]] = files
    return found


@lru_cache(maxsize=10_000)
def describe(path: str) -> Folder:
    """The first folder of the path that has a role gives it, with further ones of the same word."""
    role: Role = ""
    kind, split, word = "", None, ""
    context: list[str] = []
    shown: list[str] = []
    inner: list[str] = []
    for part in path.split("/") if path else ():
        part_role, rest, part_split = _role(part)
        if part_role and not role:
            role, kind, word = part_role, part, part.lower()
            if part_split:
                context.append(part_split)
                if rest:
                    shown.append(rest)
        elif part_role and part_role == role and word.startswith(part.lower()):
            continue
        else:
            part_split = split_of(part)
            exact = part_split is not None and part.lower().rstrip("0123456789") in SPLITS
            context.append(part_split if exact and part_split else part)
            shown.append(part)
            if part_split is None:
                inner.append(part)
        split = split or part_split
    return Folder(role, kind, tuple(context), tuple(shown), split, tuple(inner))


@lru_cache(maxsize=10_000)
def _role(part: str) -> tuple[Role, str, str | None]:
    """Role of a folder by its name, what it says of a split as written, and the split that is."""
    lower = part.lower()
    if lower in _DECATHLON:
        return ("image" if lower.startswith("image") else "mask"), "", _DECATHLON[lower]
    if lower in ("ground_truth", "ground-truth", "ground truth"):
        return "mask", "", None
    if lower.endswith("annot") and lower != "annot" and not _SEPARATORS.search(lower):
        rest = part[:-5]
        return "mask", rest, split_of(rest)
    words = {word for word in _SEPARATORS.split(lower) if word == lower or word not in _ALONE}
    role: Role = (
        "mask" if not MASK_WORDS.isdisjoint(words) else "image" if not IMAGE_WORDS.isdisjoint(words) else ""
    )
    rest = next((word for word in _SEPARATORS.split(part) if split_of(word)), "") if role else ""
    return role, rest, split_of(rest) if rest else None


@dataclass(frozen=True)
class Wanted:
    """Files that a person named as images or masks."""

    role: Role
    text: str
    pattern: re.Pattern[str] | None  # of a glob
    anchored: bool  # a folder below the root, not one of this name anywhere

    @classmethod
    def of(cls, tree: Tree, text: str, role: Role) -> Wanted | None:
        if not text:
            return None
        if any(sign in text for sign in "*?["):
            try:
                return cls(role, text, re.compile(_glob(text)), False)
            except re.error as error:
                raise InputError(f"{role}s={text!r} is no glob: {error}") from error
        text = inside(text)
        prefix = f"{text}/"
        return cls(role, text, None, any(path.startswith(prefix) for path in tree.paths))

    def take(self, files: Files) -> tuple[Files, Files]:
        """The files that are meant, under what the first ``*`` of a glob's file name stands for; and the others."""
        taken, left = Files(), Files()
        for stem, path in files:
            if self.pattern is None:
                (taken if self._has(path) else left).add(stem, path)
            elif match := self.pattern.match(path):
                key = match.groupdict().get("key") or stem
                taken.add(key.removesuffix(path[path.rindex(".") :]), path)
            else:
                left.add(stem, path)
        return taken, left

    def describe(self, path: str) -> Folder:
        """What the rest of a folder's path says, once the named part is taken out."""
        if self.pattern is not None:
            folder = describe(path)
            return Folder(
                self.role, folder.kind or self.text, folder.context, folder.shown, folder.split, folder.inner
            )
        parts, named = path.split("/"), self.text.split("/")
        starts = [0] if self.anchored else range(len(parts))
        start = next(index for index in starts if parts[index : index + len(named)] == named)
        rest = describe("/".join(parts[:start] + parts[start + len(named) :]))
        own = [_role(part)[1:] if _role(part)[0] else (part, split_of(part)) for part in named]
        shown = tuple(text for text, split in own if split and text)
        split = next((split for _, split in own if split), None)
        return Folder(
            self.role,
            self.text,
            (*((split,) if split else ()), *rest.context),
            shown + rest.shown,
            split or rest.split,
            rest.inner,
        )

    def _has(self, path: str) -> bool:
        return path.startswith(f"{self.text}/") or (not self.anchored and f"/{self.text}/" in path)


def unnamed(tree: Tree, text: str) -> list[str] | None:
    """The folders that have pictures, where ``text`` names none of these; None where it is empty or does."""
    wanted = Wanted.of(tree, text, "mask")
    found = pictures(tree.listing) if wanted is not None else {}
    return None if wanted is None or any(wanted.take(files)[0] for files in found.values()) else list(found)


def _glob(text: str) -> str:
    """A regular expression for a glob in which ``*`` stays inside a folder and ``**`` does not."""
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    folder, slash, name = text.rpartition("/")
    told = []
    for whole in (folder + slash, name):
        parts = [
            signs.get(part)
            or (part.replace("[!", "[^") if len(part) > 1 and part[0] == "[" else re.escape(part))
            for part in _GLOB_SIGN.findall(whole)
        ]
        told.append("".join(parts))
    return told[0] + told[1].replace(signs["*"], f"(?P<key>{signs['*']})", 1) + r"\Z"


def without(stem: str, words: frozenset[str]) -> str:
    """A file's stem without ``words`` at its beginning and end.

    >>> without("munich_01_gtFine_labelIds", MASK_WORDS), without("mask007", MASK_WORDS)
    ('munich_01', '007')
    """
    found = list(_WORD.finditer(stem))
    first, last = 0, len(found) - 1
    while last >= first and found[last].group().lower() in words:
        last -= 1
    while first <= last and found[first].group().lower() in words:
        first += 1
    if last - first == len(found) - 1:
        numbered = _NUMBERED.fullmatch(found[0].group()) if found else None
        return stem[numbered.end(1) :] if numbered and numbered[1].lower() in words else stem
    return stem[found[first].start() : found[last].end()] if first <= last else ""
