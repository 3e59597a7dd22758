"""Which mask belongs to which image, found by the names of folders and files alone.

Folders say what is in them (``images`` against ``masks``, ``JPEGImages`` against ``SegmentationClass``, ``train``
against ``trainannot``), or the names of files do (``a_image.png`` against ``a_mask.png``), or the kind of file
(``a.jpg`` against ``a.png``). What is left of a folder's path without its role must be the same on both sides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import repeat
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ...errors import InputError
from .format import Problem
from .roles import IMAGE_WORDS, LOSSY, MASK_WORDS, SPLITS, Files, Folder, by_role, without
from .tree import Tree


class Pair(NamedTuple):
    """An image and its mask by their paths below the root, either of which may be missing."""

    name: str
    image: str | None
    mask: str | None
    split: str | None
    group: str | None
    fields: Mapping[str, Any] | None = None  # what else is known of the sample


@dataclass(frozen=True)
class Pairing:
    """The pairs of a tree in the order of their images, and what was left over.

    ``choices`` names the folders of masks where several belong to the same images, so that a person must say which.
    """

    pairs: Sequence[Pair]
    problems: Sequence[Problem] = ()
    choices: Sequence[str] = ()

    @cached_property
    def masks(self) -> list[str]:
        """Paths of all masks that have an image."""
        return [pair.mask for pair in self.pairs if pair.mask is not None]


_found: WeakKeyDictionary[Tree, dict[tuple[str, ...], Pairing]] = WeakKeyDictionary()


def find_pairs(tree: Tree, images: str = "", masks: str = "", group: str = "auto") -> Pairing:
    """Images of ``tree`` with their masks; no file is opened.

    ``images`` and ``masks`` name a folder, below the root or else of this name at any depth, or are a glob such as
    ``**/*_mask.png``; each empty if names shall tell. ``group`` is ``folder`` (the folders that are no role and no
    split), ``none``, a regular expression whose first bracket is searched for in the name, or ``auto``: the folder,
    where the files' names start anew in each (frames of sequences) or begin with it (cities).

    A mask without an image is a ``Problem``, an image without a mask a pair without one. Samples are named by the
    path of the image without its suffix, its role and, where that was needed to find the mask, words like ``_image``.
    """
    key = (images, masks, group)
    known = _found.setdefault(tree, {})
    if key not in known:
        known[key] = _find(tree, images, masks, group)
    return known[key]


def _find(tree: Tree, images: str, masks: str, group: str) -> Pairing:
    contexts: dict[tuple[str, ...], _Context] = {}
    for place, (folder, files) in enumerate(by_role(tree, images, masks)):
        contexts.setdefault(folder.context, _Context(folder.context)).add(folder, files, place)
    if not masks:
        for context in contexts.values():
            if not context.masks:
                context.split_folders()
    in_order = sorted(contexts.values(), key=lambda context: context.place)
    matches = [_Match.of(context) for context in in_order if context.counts(bool(images))]
    choices = dict.fromkeys(
        kind for context in contexts.values() if len(context.masks) > 1 for kind in context.masks
    )
    choices |= dict.fromkeys(_match_across(matches, named=bool(images)))
    problems = [problem for match in matches for problem in match.problems]
    pairs = _pairs([part for match in matches for part in match.parts()], group, problems)
    return Pairing(pairs, tuple(problems), tuple(choices))


# Matching


@dataclass
class _Context:
    """The folders that go together: those of images, and those of masks by kind."""

    parts: tuple[str, ...]
    images: list[tuple[Folder, Files]] = field(default_factory=list)
    masks: dict[str, Files] = field(default_factory=dict)
    place: float = math.inf  # of the first images among all folders

    def add(self, folder: Folder, files: Files, place: int) -> None:
        if folder.role != "mask":
            self.place = min(self.place, place)
            self.images.append((folder, files))
        elif folder.kind not in self.masks:
            self.masks[folder.kind] = files
        else:
            for stem, path in files:
                self.masks[folder.kind].add(stem, path)

    def counts(self, named: bool) -> bool:
        """Whether its pictures are a part of the dataset: with masks, in a folder of images, or in a split."""
        return bool(named or self.masks) or any(folder.role or folder.split for folder, _ in self.images)

    def split_folders(self) -> None:
        """Tell images and masks apart that lie in one folder."""
        for index, (folder, files) in enumerate(self.images):
            told = _told_by_word(files) or _told_by_suffix(files)
            if told is not None:
                self.images[index] = folder, told[0]
                for stem, path in told[1]:
                    self.masks.setdefault("", Files()).add(stem, path)


def _told_by_word(files: Files) -> tuple[Files, Files] | None:
    """Images and masks of one folder by words in their names; None where no mask finds its image."""
    bare = {stem: without(stem, MASK_WORDS) for stem in files.first}
    whole = [stem for stem in files.first if bare[stem] == stem]
    keys = {*whole, *(without(stem, IMAGE_WORDS) for stem in whole)}
    images, masks = Files(), Files()
    for stem, path in files:
        is_mask = bare[stem] != stem and (bare[stem] in keys or without(bare[stem], IMAGE_WORDS) in keys)
        (masks if is_mask else images).add(stem, path)
    return (images, masks) if masks else None


def _told_by_suffix(files: Files) -> tuple[Files, Files] | None:
    """Photographs and the masks of the same name in a format without loss; None where there are none."""
    images, masks = Files(), Files()
    doubles: dict[str, list[str]] = {}
    for stem, path in files.more:
        doubles.setdefault(stem, [files.first[stem]]).append(path)
    for stem, path in files.first.items():
        both = sorted(doubles.get(stem, ()), key=lambda each: not each.lower().endswith(LOSSY))
        if [each.lower().endswith(LOSSY) for each in both] == [True, False]:
            images.add(stem, both[0])
            masks.add(stem, both[1])
        else:
            for each in both or [path]:
                images.add(stem, each)
    return (images, masks) if masks else None


class _Part(NamedTuple):
    """The images of one folder by their keys, and the masks that may have the same."""

    folder: Folder
    images: dict[str, str]
    masks: dict[str, str]


@dataclass
class _Match:
    """Images and masks of one context by the keys they share."""

    kind: str
    split: str | None
    images: list[tuple[Folder, dict[str, str]]]
    masks: dict[str, str]
    problems: list[Problem]
    across: dict[str, str] = field(default_factory=dict)  # key to a mask of another context
    matched: bool = False

    @classmethod
    def of(cls, context: _Context) -> _Match:
        """Whole names are tried first; without words like ``_mask`` where more find each other that way."""
        problems: list[Problem] = []
        of_images = [(folder, files) for folder, files in context.images if folder.role] or context.images
        kind, masks = next(iter(context.masks.items()), ("", Files()))
        stems = {stem for _, files in of_images for stem in files.first}
        lonely = masks.first.keys() - stems
        bare = bool(lonely) and _better_bare(stems, masks.first, len(masks.first) - len(lonely))
        images = [
            (folder, _keyed(files, _bare_image if bare else None, "images", problems))
            for folder, files in of_images
        ]
        chosen = _keyed(masks, _bare_mask if bare else None, "masks", problems)
        split = next((part for part in context.parts if part in SPLITS.values()), None)
        match = cls(kind, split, images, chosen, problems)
        if bare:
            lonely = chosen.keys() - {key for _, keys in images for key in keys}
        match.matched = len(lonely) < len(chosen)
        if match.matched and lonely:
            match.problems += [_lonely(path) for key, path in chosen.items() if key in lonely]
        return match

    def parts(self) -> Iterator[_Part]:
        masks = self.masks if self.matched else self.across
        return (_Part(folder, images, masks) for folder, images in self.images)


def _keyed(
    files: Files, key: Callable[[str], str] | None, what: str, problems: list[Problem]
) -> dict[str, str]:
    """Paths by what their stems are without words such as ``_mask``; of two with one key the first."""
    if key is None:
        problems += [_twice(path, files.first[stem], what) for stem, path in files.more]
        return files.first
    found: dict[str, str] = {}
    for stem, path in files:
        other = found.setdefault(key(stem), path)
        if other is not path:
            problems.append(_twice(path, other, what))
    return found


def _match_across(matches: list[_Match], named: bool) -> list[str]:
    """Masks whose folders differ from their images' in more than the role: by names that are there once only.

    Where the images were ``named``, masks in folders without any are nobody's concern. Gives the folders of masks
    that belong to images which have others already, and the kinds of those.
    """
    if all(match.matched or not match.masks for match in matches):
        return []
    owners: dict[str, list[_Match]] = {}
    for match in matches:
        for _, images in match.images:
            for key in images:
                owners.setdefault(key, []).append(match)
    choices: list[str] = []
    for match in matches:
        if match.matched or not match.masks or (named and not match.images):
            continue
        lonely: dict[str, str] = {}
        for key, path in match.masks.items():
            homes = [
                each
                for each in owners.get(key, ())
                if None in (each.split, match.split) or each.split == match.split
            ]
            if len(homes) == 1 and homes[0] is not match and homes[0].matched:
                choices += [homes[0].kind, path.rpartition("/")[0]]
            elif len(homes) == 1 and key not in homes[0].across:
                homes[0].across[key] = path
            else:
                lonely[key] = path
        if sum(len(images) for _, images in match.images) == 1 and len(lonely) == len(match.masks):
            folder = next(iter(lonely.values())).rpartition("/")[0]
            match.problems.append(
                Problem(
                    folder,
                    "",
                    f"its {len(lonely)} masks lie beside one image and none has its name, as masks of objects do; open "
                    "that folder as object-masks, or name the images= and masks= that are meant",
                )
            )
        else:
            match.problems += [_lonely(path) for path in lonely.values()]
    return choices


def _better_bare(stems: set[str], masks: Iterable[str], whole: int) -> bool:
    bare = {_bare_image(stem) for stem in stems}
    return sum(_bare_mask(stem) in bare for stem in masks) > whole


def _bare_image(stem: str) -> str:
    return without(stem, IMAGE_WORDS)


def _bare_mask(stem: str) -> str:
    return without(without(stem, MASK_WORDS), IMAGE_WORDS)


def _lonely(path: str) -> Problem:
    return Problem(path, "", "no image belongs to this mask; add the image or take the mask away")


def _twice(path: str, other: str, what: str) -> Problem:
    return Problem(path, "", f"it and {other} are {what} of one name; keep one of them")


# Names and groups


def _pairs(parts: list[_Part], group: str, problems: list[Problem]) -> list[Pair]:
    pairs: list[Pair] = []
    for part, its_group in zip(parts, _groups(parts, group), strict=True):
        prefix = "".join(f"{each}/" for each in part.folder.shown)
        keys = list(part.images)
        names = [prefix + key for key in keys] if prefix else keys
        columns = names, part.images.values(), map(part.masks.get, keys)
        same = repeat(part.folder.split), repeat(its_group), repeat(None)
        pairs += map(_as_pair, zip(*columns, *same, strict=False))
    if len({pair.name for pair in pairs}) < len(pairs) or any(pair.name[-1:] in ("", "/") for pair in pairs):
        pairs = _unique(pairs, problems)
    if group not in ("auto", "folder", "none"):
        pattern = _group_pattern(group)
        pairs = [
            pair._replace(group=found[1] if (found := pattern.search(pair.name)) else None) for pair in pairs
        ]
    return pairs


_as_pair: Callable[[Iterable[Any]], Pair] = partial(tuple.__new__, Pair)  # a third of the time of calling it


def _unique(pairs: list[Pair], problems: list[Problem]) -> list[Pair]:
    """Names by the whole path of the image where they would be another's or empty."""
    kept: dict[str, Pair] = {}
    for pair in pairs:
        name = pair.name.rstrip("/")
        assert pair.image is not None
        if not name or name in kept:
            name = pair.image.rpartition(".")[0]
        if name in kept:
            problems.append(_twice(pair.image, str(kept[name].image), "images"))
        else:
            kept[name] = pair._replace(name=name)
    return list(kept.values())


def _group_pattern(group: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise InputError(f"group {group!r} is no regular expression: {error}") from error
    if pattern.groups < 1:
        raise InputError(f"group {group!r} needs a bracket around what names the group, such as ([^/]+)_")
    return pattern


def _groups(parts: list[_Part], group: str) -> list[str | None]:
    """The group of each part's images."""
    keys: dict[tuple[str, ...], set[str]] = {}
    for part in parts:
        keys.setdefault(part.folder.inner, set()).update(part.images)
    if group not in ("auto", "folder") or not any(keys):
        return [None] * len(parts)
    common = _common(list(keys)) if len(keys) > 1 else 0
    anew = len(set().union(*keys.values())) < sum(map(len, keys.values()))
    names: dict[tuple[str, ...], str | None] = {}
    for inner, its in keys.items():
        begins = bool(inner) and all(key.startswith(inner[-1]) for key in its)
        use = group == "folder" or (anew and len(keys) > 1) or begins
        names[inner] = ("/".join(inner[common:]) or None) if use else None
    return [names[part.folder.inner] for part in parts]


def _common(paths: list[tuple[str, ...]]) -> int:
    """How many first parts all ``paths`` share."""
    count = 0
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        count += 1
    return count
