"""Which mask belongs to which image, found by the names of folders and files alone.

Folders say what is in them (``images`` against ``masks``, ``JPEGImages`` against ``SegmentationClass``, ``train`` against
``trainannot``), or the names of files do (``a_image.png`` against ``a_mask.png``), or the kind of file (``a.jpg`` against
``a.png``). What is left of a folder's path when its role is taken out must be the same on both sides.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from ...errors import InputError
from .format import Problem
from .images import PICTURES
from .tree import Tree, inside

MASK_SUFFIXES = (*PICTURES, ".npy")

_IMAGE_WORDS = frozenset(
    "image images img imgs jpegimages leftimg8bit input inputs picture pictures photo photos frame frames "
    "original originals sat".split()
)
_MASK_WORDS = frozenset(
    "mask masks label labels annotation annotations annot annots ann anns gt groundtruth truth target targets "
    "trimap trimaps seg segs segmentation segmentations segmentationclass segmentationobject segmentationclassraw "
    "segmentationclassaug gtfine gtcoarse instances instance semantic labelids labeltrainids instanceids manual".split()
)
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_DECATHLON = {"imagestr": "train", "labelstr": "train", "imagests": "test", "labelsts": "test"}
_SEPARATORS = re.compile(r"[_\- .]+")
_LOSSY = (".jpg", ".jpeg", ".webp")  # what photographs are kept in and masks are not

Role = Literal["image", "mask", ""]


class Pair(NamedTuple):
    """An image and its mask by their paths below the root, either of which may be missing."""

    name: str
    image: str | None
    mask: str | None
    split: str | None
    group: str | None


@dataclass(frozen=True)
class Pairing:
    """The pairs of a tree in the order of their images, and what was left over.

    ``choices`` names the folders of masks where several belong to the same images, so that a person must say which.
    """

    pairs: Sequence[Pair]
    problems: Sequence[Problem] = ()
    choices: Sequence[str] = ()

    @property
    def masks(self) -> list[str]:
        """Paths of all masks that have an image."""
        return [pair.mask for pair in self.pairs if pair.mask is not None]


@dataclass(frozen=True)
class _Folder:
    """What the path of a folder says of the files in it."""

    role: Role
    kind: str  # the part that gives the role, as written: masks of two kinds are two truths
    context: tuple[str, ...]  # the other parts, splits under their own names: the same for images and masks
    shown: tuple[str, ...]  # the other parts as written, for names
    split: str | None
    inner: tuple[str, ...]  # the other parts that are no split: city, sequence, tile


_Files = dict[str, list[str]]  # stem to paths, several where only the suffix differs
_found: WeakKeyDictionary[Tree, dict[tuple[str, ...], Pairing]] = WeakKeyDictionary()


def find_pairs(tree: Tree, images: str = "", masks: str = "", group: str = "auto") -> Pairing:
    """Images of ``tree`` with their masks; no file is opened.

    ``images`` and ``masks`` name a folder, below the root or else of this name at any depth, or are a glob such as
    ``**/*_mask.png``; each empty if names shall tell. ``group`` is ``folder`` (the folders that are no role and no
    split), ``none``, a regular expression whose first bracket is searched for in the name, or ``auto``: the folder, where
    the files' names start anew in each (frames of sequences) or begin with it (cities).

    A mask without an image is a ``Problem``, an image without a mask a pair without one. Samples are named by the
    path of the image without its suffix, its role, and, where these were needed to find the mask, words like ``_image``.
    """
    key = (images, masks, group)
    known = _found.setdefault(tree, {})
    if key not in known:
        known[key] = _find(tree, images, masks, group)
    return known[key]


def _find(tree: Tree, images: str, masks: str, group: str) -> Pairing:
    folders = _by_role(tree, images, masks)
    contexts: dict[tuple[str, ...], _Context] = defaultdict(_Context)
    for path, (folder, files) in folders.items():
        contexts[folder.context].add(path, folder, files)
    if not masks:
        for context in contexts.values():
            if not context.masks:
                context.split_folders()
    with_masks = [context for context in contexts.values() if context.masks]
    choices = {kind: None for context in with_masks if len(context.masks) > 1 for kind in context.masks}
    matches = [_Match.of(context) for context in contexts.values() if context.counts(bool(images))]
    _match_across(matches)
    problems = [problem for match in matches for problem in match.problems]
    entries = [entry for match in matches for entry in match.entries()]
    order = {path: index for index, path in enumerate(tree.paths)}
    entries.sort(key=lambda entry: order[entry.image])
    return Pairing(_named(entries, group, problems), tuple(problems), tuple(choices))


def split_of(word: str) -> str | None:
    """The split that a folder's name means: ``training`` is train, ``val2017`` val, ``stage1_test`` test.

    >>> split_of("validation"), split_of("street")
    ('val', None)
    """
    words = [_SPLITS.get(each.rstrip("0123456789")) for each in _SEPARATORS.split(word.lower())]
    return next((each for each in words if each), None)


# Folders


def _by_role(tree: Tree, images: str, masks: str) -> dict[str, tuple[_Folder, _Files]]:
    """Each folder with pictures, or each part of one where globs choose among its files."""
    wanted_images = _Wanted.of(tree, images, "image")
    wanted_masks = _Wanted.of(tree, masks, "mask")
    found: dict[str, tuple[_Folder, _Files]] = {}
    plain = _pictures(tree.paths)
    if wanted_images is None and wanted_masks is None:
        return {path: (_describe(path), files) for path, files in plain.items()}
    for path, files in plain.items():
        for wanted in (wanted_masks, wanted_images):
            if wanted is None:
                continue
            taken, files = wanted.take(files)
            if taken:
                found[f"{path}\0{wanted.role}"] = wanted.describe(path), taken
        if files and (wanted_images is None or wanted_masks is None):
            folder = _describe(path)
            given = "mask" if wanted_images is None else "image"
            if folder.role != given:
                other: Role = "image" if given == "mask" else "mask"
                if folder.role == other or other == "image":
                    found[path] = folder, files
    return found


def _pictures(paths: Iterable[str]) -> dict[str, _Files]:
    """Folder to stem to paths, of the files that may be images or masks."""
    suffixes = frozenset(
        each for suffix in MASK_SUFFIXES for each in (suffix[1:], suffix[1:].upper(), suffix[1:].title())
    )
    found: dict[str, _Files] = {}
    last: str | None = None
    files: _Files = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        stem, _, suffix = name.rpartition(".")
        if suffix in suffixes and stem:
            if folder != last:
                files, last = found.setdefault(folder, {}), folder
            if stem in files:
                files[stem].append(path)
            else:
                files[stem] = [path]
    return found


@cache
def _describe(path: str) -> _Folder:
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
            exact = part_split is not None and part.lower().rstrip("0123456789") in _SPLITS
            context.append(part_split if exact and part_split else part)
            shown.append(part)
            if part_split is None:
                inner.append(part)
        split = split or part_split
    return _Folder(role, kind, tuple(context), tuple(shown), split, tuple(inner))


@cache
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
    words = _SEPARATORS.split(lower)
    role: Role = (
        "mask"
        if not _MASK_WORDS.isdisjoint(words)
        else "image"
        if not _IMAGE_WORDS.isdisjoint(words)
        else ""
    )
    rest = next((word for word in _SEPARATORS.split(part) if split_of(word)), "") if role else ""
    return role, rest, split_of(rest) if rest else None


@dataclass(frozen=True)
class _Wanted:
    """Files that a person named as images or masks."""

    role: Role
    text: str
    pattern: re.Pattern[str] | None  # of a glob
    anchored: bool  # a folder below the root, not one of this name anywhere

    @classmethod
    def of(cls, tree: Tree, text: str, role: Role) -> _Wanted | None:
        if not text:
            return None
        if any(sign in text for sign in "*?["):
            return cls(role, text, re.compile(_glob(text)), False)
        text = inside(text)
        prefix = f"{text}/"
        return cls(role, text, None, any(path.startswith(prefix) for path in tree.paths))

    def take(self, files: _Files) -> tuple[_Files, _Files]:
        """The files that are meant, and the others."""
        taken: _Files = {}
        left: _Files = {}
        for stem, paths in files.items():
            for path in paths:
                (taken if self._has(path) else left).setdefault(stem, []).append(path)
        return taken, left

    def describe(self, path: str) -> _Folder:
        """What the rest of a folder's path says, once the named part is taken out."""
        if self.pattern is not None:
            folder = _describe(path)
            return _Folder(
                self.role, folder.kind or self.text, folder.context, folder.shown, folder.split, folder.inner
            )
        parts, named = path.split("/"), self.text.split("/")
        starts = [0] if self.anchored else range(len(parts))
        start = next(index for index in starts if parts[index : index + len(named)] == named)
        rest = _describe("/".join(parts[:start] + parts[start + len(named) :]))
        own = [_role(part)[1:] if _role(part)[0] else (part, split_of(part)) for part in named]
        shown = tuple(text for text, split in own if split and text)
        split = next((split for _, split in own if split), None)
        return _Folder(
            self.role,
            self.text,
            (*((split,) if split else ()), *rest.context),
            shown + rest.shown,
            split or rest.split,
            rest.inner,
        )

    def _has(self, path: str) -> bool:
        if self.pattern is not None:
            return self.pattern.match(path) is not None
        return path.startswith(f"{self.text}/") or (not self.anchored and f"/{self.text}/" in path)


def _glob(text: str) -> str:
    """A regular expression for a glob in which ``*`` stays inside a folder and ``**`` does not."""
    parts = ["(?:.*/)?" if part == "**/" else translate(part)[4:-3] for part in re.split(r"(\*\*/)", text)]
    return "".join(part.replace(".*", "[^/]*") if part != "(?:.*/)?" else part for part in parts) + r"\Z"


# Matching


@dataclass
class _Context:
    """The folders that go together: those of images, and those of masks by kind."""

    images: dict[str, tuple[_Folder, _Files]] = field(default_factory=dict)
    masks: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # kind to stem to paths

    def add(self, path: str, folder: _Folder, files: _Files) -> None:
        if folder.role == "mask":
            kind = self.masks.setdefault(folder.kind, {})
            for stem, paths in files.items():
                kind.setdefault(stem, []).extend(paths)
        else:
            self.images[path] = folder, files

    def counts(self, named: bool) -> bool:
        """Whether its pictures are a part of the dataset: with masks, in a folder of images, or in a split."""
        return named or any(
            self.masks or folder.role or folder.split for folder, _ in self.images.values()
        ) or bool(self.masks)

    def split_folders(self) -> None:
        """Tell images and masks apart that lie in one folder."""
        for path, (folder, files) in list(self.images.items()):
            images, masks = _told_by_word(files) or _told_by_suffix(files) or (files, {})
            self.images[path] = folder, images
            if masks:
                self.masks.setdefault("", {}).update(masks)


def _told_by_word(files: _Files) -> tuple[_Files, _Files] | None:
    """Images and masks of one folder by words in their names; None where no mask finds its image."""
    bare = {stem: _without(stem, _MASK_WORDS) for stem in files}
    images = {stem: paths for stem, paths in files.items() if bare[stem] == stem}
    keys = set(images) | {_without(stem, _IMAGE_WORDS) for stem in images}
    masks = {
        stem: paths
        for stem, paths in files.items()
        if stem not in images and (bare[stem] in keys or _without(bare[stem], _IMAGE_WORDS) in keys)
    }
    if not masks:
        return None
    return {stem: paths for stem, paths in files.items() if stem not in masks}, masks


def _told_by_suffix(files: _Files) -> tuple[_Files, _Files] | None:
    """Photographs and the masks of the same name in a format without loss; None where there are none."""
    images: _Files = {}
    masks: _Files = {}
    for stem, paths in files.items():
        photographs = [path for path in paths if path.lower().endswith(_LOSSY)]
        if len(paths) == 2 and len(photographs) == 1:
            images[stem] = photographs
            masks[stem] = [path for path in paths if path != photographs[0]]
        else:
            images[stem] = paths
    return (images, masks) if masks else None


class _Entry(NamedTuple):
    folder: _Folder
    key: str
    image: str
    mask: str | None


@dataclass
class _Match:
    """Images and masks of one context by the key they share."""

    images: dict[str, tuple[_Folder, str]]
    masks: dict[str, str]
    problems: list[Problem]
    across: dict[str, str] = field(default_factory=dict)  # key to a mask of another context

    @classmethod
    def of(cls, context: _Context) -> _Match:
        """Whole names are tried first; without words like ``_mask`` where more find each other that way."""
        problems: list[Problem] = []
        masks = next(iter(context.masks.values()), {})
        stems = {stem for _, files in context.images.values() for stem in files}
        bare = not masks.keys() <= stems and _better_bare(stems, masks)
        images: dict[str, tuple[_Folder, str]] = {}
        for folder, files in context.images.values():
            for stem, paths in files.items():
                key = _without(stem, _IMAGE_WORDS) if bare else stem
                for path in paths:
                    other = images.setdefault(key, (folder, path))[1]
                    if other != path:
                        problems.append(_twice(path, other, "images"))
        chosen: dict[str, str] = {}
        for stem, paths in masks.items():
            key = _bare_mask(stem) if bare else stem
            for path in paths:
                other = chosen.setdefault(key, path)
                if other != path:
                    problems.append(_twice(path, other, "masks"))
        match = cls(images, chosen, problems)
        if images and any(key in images for key in chosen):
            match._report_lonely()
        return match

    def _report_lonely(self) -> None:
        lonely = [path for key, path in self.masks.items() if key not in self.images]
        self.problems += [
            Problem(path, "", "no image belongs to this mask; add the image or take the mask away")
            for path in lonely
        ]

    def entries(self) -> Iterator[_Entry]:
        masks = self.masks or self.across
        for key, (folder, image) in self.images.items():
            yield _Entry(folder, key, image, masks.get(key))


def _match_across(matches: list[_Match]) -> None:
    """Masks whose folders differ from their images' in more than the role: by names that are there once only."""
    owners: dict[str, list[_Match]] = defaultdict(list)
    for match in matches:
        if not match.masks:
            for key in match.images:
                owners[key].append(match)
    for match in matches:
        if not match.masks or any(key in match.images for key in match.masks):
            continue
        lonely: dict[str, str] = {}
        for key, path in match.masks.items():
            homes = owners.get(key, [])
            if len(homes) == 1 and key not in homes[0].across:
                homes[0].across[key] = path
            else:
                lonely[key] = path
        if len(match.images) == 1 and len(lonely) > 1 and len(lonely) == len(match.masks):
            first = next(iter(lonely.values()))
            match.problems.append(
                Problem(
                    first.rpartition("/")[0],
                    "",
                    f"{len(lonely)} masks lie beside one image and none has its name; they are masks of objects: "
                    "open this folder as object-masks, or name images= and masks= of the others",
                )
            )
        else:
            match.masks = lonely
            match._report_lonely()
        match.masks = {}


def _better_bare(stems: set[str], masks: Iterable[str]) -> bool:
    bare = {_without(stem, _IMAGE_WORDS) for stem in stems}
    whole = sum(stem in stems for stem in masks)
    return sum(_bare_mask(stem) in bare for stem in masks) > whole


def _bare_mask(stem: str) -> str:
    return _without(_without(stem, _MASK_WORDS), _IMAGE_WORDS)


def _without(stem: str, words: frozenset[str]) -> str:
    """A file's stem without ``words`` at its beginning and end.

    >>> _without("munich_01_gtFine_labelIds", _MASK_WORDS)
    'munich_01'
    """
    while True:
        head, separator, tail = re.match(r"(.*?)([_\- .]*)([^_\- .]*)\Z", stem, re.DOTALL).groups()  # type: ignore[union-attr]
        if tail.lower() not in words:
            break
        stem = head
    while stem:
        first, _, rest = re.match(r"([^_\- .]*)([_\- .]*)(.*)\Z", stem, re.DOTALL).groups()  # type: ignore[union-attr]
        if first.lower() not in words:
            break
        stem = rest
    return stem


def _twice(path: str, other: str, what: str) -> Problem:
    return Problem(path, "", f"it and {other} are {what} of one name; keep one of them")


# Names and groups


def _named(entries: list[_Entry], group: str, problems: list[Problem]) -> list[Pair]:
    grouped = _groups(entries, group)
    pairs: list[Pair] = []
    prefixes = {entry.folder.shown: "".join(f"{part}/" for part in entry.folder.shown) for entry in entries}
    taken: dict[str, str] = {}
    for entry, entry_group in zip(entries, grouped, strict=True):
        folder = entry.folder
        name = (prefixes[folder.shown] + entry.key).rstrip("/") or entry.image.rpartition(".")[0]
        if name in taken:
            name = entry.image.rpartition(".")[0]
            if name in taken:
                problems.append(_twice(entry.image, taken[name], "images"))
                continue
        taken[name] = entry.image
        pairs.append(Pair(name, entry.image, entry.mask, folder.split, entry_group))
    if group not in ("auto", "folder", "none"):
        pattern = _group_pattern(group)
        pairs = [
            pair._replace(group=found[1] if (found := pattern.search(pair.name)) else None) for pair in pairs
        ]
    return pairs


def _group_pattern(group: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise InputError(f"group {group!r} is no regular expression: {error}") from error
    if pattern.groups < 1:
        raise InputError(f"group {group!r} needs a bracket around what names the group, such as ([^/]+)_")
    return pattern


def _groups(entries: list[_Entry], group: str) -> list[str | None]:
    none: list[str | None] = [None] * len(entries)
    if group not in ("auto", "folder"):
        return none
    keys: dict[tuple[str, ...], set[str]] = {}
    for entry in entries:
        keys.setdefault(entry.folder.inner, set()).add(entry.key)
    if not any(keys):
        return none
    common = _common(list(keys)) if len(keys) > 1 else 0
    anew = len(set().union(*keys.values())) < sum(map(len, keys.values()))
    names: dict[tuple[str, ...], str | None] = {}
    for inner, its in keys.items():
        begins = bool(inner) and all(key.startswith(inner[-1]) for key in its)
        use = group == "folder" or (anew and len(keys) > 1) or begins
        names[inner] = ("/".join(inner[common:]) or None) if use else None
    return [names[entry.folder.inner] for entry in entries]


def _common(paths: list[tuple[str, ...]]) -> int:
    """How many first parts all ``paths`` share."""
    count = 0
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        count += 1
    return count
