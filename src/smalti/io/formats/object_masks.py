"""A mask file for each object: ``ID/images/ID.png`` with ``ID/masks/*.png`` (Kaggle's Data Science Bowl 2018),
``images/NAME.png`` with ``masks/NAME/*.png`` or with ``masks/NAME_CLASS_3.png``. Objects may overlap.

smalti writes the first of these, and ``ID/masks/objects.segments.json`` with class, score and attributes of each mask
and the mask of what is void (see ``segment_lists``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ...classes import OBJECT, ClassSet
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN
from ...image import Image
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..headers import image_size
from .class_lists import class_list, write_class_list
from .color_masks import middle, read_grey
from .format import Annotations, Problem, Recognised
from .mask_classes import Entry, found_list
from .mask_folders import MaskFolder
from .numbering import complete, own_list, write_mask
from .pairing import Pair, Pairing, find_pairs
from .roles import MASK_WORDS, Files, Folder, by_role, describe, pictures
from .sample_lists import listed_format, read_samples
from .segment_lists import SUFFIX, read_segments, write_segments
from .tree import Tree, inside

LIST = f"objects{SUFFIX}"
_VOID = "void"

_SEPARATOR = re.compile(r"[_\- .]")
_NUMBERED = re.compile(r"(.*?)[_\- ]?[0-9]*")


class ObjectMasks(MaskFolder):
    """One mask file per object, so that objects may overlap.

    The class of an object is what its file's name says between the image's name and its number, where that is in the
    list of classes or, without a list, where all masks are named so; else there is one class, "object".
    """

    name: ClassVar[str] = "object-masks"
    title: ClassVar[str] = "masks of objects"
    source: ClassVar[str] = "https://www.kaggle.com/c/data-science-bowl-2018/data"

    classes: str | list[Any] | dict[str, Any] | None = Field(
        None, description="A file, or the names of classes as they stand in the names of masks."
    )
    threshold: float | None = Field(
        None, description="Values above it are the object; else half of the range."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        if tree.focus is not None or listed_format(tree) not in (None, self.name):
            return None
        if any(folder and folder + LIST in tree.path_set for folder in tree.folders):
            return Recognised(0.95, f"masks have {LIST} beside them")
        try:
            pairing = find_pairs(tree, self.images, self.masks)
            if pairing.masks and not pairing.problems:
                return None  # every image has one mask
            found = list(_found(tree, self.images, self.masks))
        except InputError:
            return None
        several = sum(len(each.masks) > 1 and not each.same_name for each in found)
        if not several:
            return None
        certainty = 0.8 if several > 0.3 * len(found) else 0.2
        return Recognised(certainty, f"{several} of {len(found)} images have several masks of their own")

    def open(self, tree: Tree) -> Annotations:
        if tree.focus is not None:
            raise ReadError(
                f"{tree.root / tree.focus} is one file; give the folder that has images and masks"
            )
        self.check_named(tree)
        listed = read_samples(tree)
        found = list(_found(tree, self.images, self.masks)) if listed is None else _listed(tree, listed)
        if not found:
            raise ReadError(
                f"{tree.root} has no folder of images with masks; name them with images= and masks="
            )
        problems = [] if listed is None else list(listed.problems)
        classes, by_name = self._classes(tree, found)
        samples: dict[str, Sample] = {}
        for each in found:
            other = samples.get(each.pair.name)
            if other is not None:
                message = f"it and {other.image_path} are images of one name; keep one of them"
                problems.append(Problem(str(each.pair.image), "", message, each.pair.name))
                continue
            samples[each.pair.name], lies = _sample(tree, each, classes, by_name, self.threshold)
            problems += lies
        return Annotations(list(samples.values()), classes, problems)

    def pairing(self, tree: Tree) -> Pairing:
        return Pairing([each.pair for each in _found(tree, self.images, self.masks)])

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        write_class_list(folder, own_list(classes, None, None).entries)
        return self.write_folder(
            folder, samples, classes, _put, images="{place}/images/{name}", masks="{place}/masks/" + LIST
        )

    def _classes(self, tree: Tree, found: Sequence[_Found]) -> tuple[ClassSet, bool]:
        """The classes, and whether the names of masks tell them."""
        listed = class_list(tree, self.classes)
        names = [each.class_name(path) for each in found for path in each.masks]
        if listed is not None:
            classes = complete(listed, None, None).classes
            if not len(classes) and names:
                raise InputError(f"{listed.origin} has no class; give classes=[name]")
            return classes, len(classes) > 1
        if any(each.told for each in found) or not names or "" in names:
            return OBJECT, False
        kinds = sorted(set(names))
        return found_list([Entry(name, number) for number, name in enumerate(kinds, 1)]).classes, True


@dataclass
class _Found:
    """An image and the masks of its objects, by their paths."""

    pair: Pair
    masks: list[str] = field(default_factory=list)
    prefix: str = ""  # of the masks' names, before the class
    told: str | None = None  # the list beside the masks

    @property
    def same_name(self) -> bool:
        """Whether there is one mask, named as the image: then it may as well be of all objects."""
        image = "" if self.pair.image is None else _stem(self.pair.image)
        return [_stem(path) for path in self.masks] == [image]

    def class_name(self, path: str) -> str:
        """What a mask's name says between the image's name and a number; empty if that is no name."""
        rest = _stem(path)
        rest = rest[len(self.prefix) :] if rest.startswith(self.prefix) else rest
        name = _NUMBERED.fullmatch(rest.strip("_- "))
        told = name[1] if name else ""
        return (
            "" if not re.match("[A-Za-z]", told) or told.lower() in MASK_WORDS | {"object", "obj"} else told
        )


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _found(tree: Tree, images: str, masks: str) -> Iterator[_Found]:
    """Images with the masks that belong to each."""
    of_images: list[tuple[Folder, Files]] = []
    of_masks: dict[tuple[str, ...], list[str]] = {}
    for folder, files in by_role(tree, images, masks):
        if folder.role == "mask":
            of_masks.setdefault(folder.context, []).extend(path for _, path in files)
        elif folder.role == "image":
            of_images.append((folder, files))
    told_of = {
        describe(path.rpartition("/")[0]).context: path for path in tree.paths if path.endswith(f"/{LIST}")
    }
    for folder, files in of_images:
        together = of_masks.get(folder.context, [])
        alone = len(files.first) == 1 and not files.more
        owned = {} if alone else _by_prefix(files.first, together)
        for stem, image in files:
            inner = (*folder.context, stem)
            told = told_of.get(inner) or (told_of.get(folder.context) if alone else None)
            own = of_masks.get(inner) or (together if alone else owned.get(stem, []))
            if told:
                own = [path for path in own if _stem(path) != _VOID]
            prefix = stem if all(_stem(path).startswith(stem) for path in own) else ""
            name = "/".join(folder.shown if alone and folder.shown else (*folder.shown, stem))
            yield _Found(Pair(name, image, told, folder.split, None), own, prefix, told)


def _by_prefix(images: Iterable[str], masks: list[str]) -> dict[str, list[str]]:
    """Masks by the longest stem of an image that their names begin with, up to a separator."""
    stems = set(images)
    found: dict[str, list[str]] = {}
    for path in masks:
        name = _stem(path)
        cuts = [match.start() for match in _SEPARATOR.finditer(name)]
        owner = next((name[:cut] for cut in reversed([*cuts, len(name)]) if name[:cut] in stems), None)
        if owner is not None:
            found.setdefault(owner, []).append(path)
    return found


def _listed(tree: Tree, listed: Pairing) -> list[_Found]:
    """What the list of samples names, with the masks beside each list of objects."""
    folders = pictures(tree.listing)
    found = []
    for pair in listed.pairs:
        folder = "" if pair.mask is None else pair.mask.rpartition("/")[0]
        files = folders.get(folder, Files()) if pair.mask else Files()
        found.append(_Found(pair, [path for stem, path in files if stem != _VOID], "", pair.mask))
    return found


@dataclass(frozen=True)
class _Reader:
    """How the masks of one image are read."""

    image: Path | None
    masks: tuple[Path, ...]
    class_ids: tuple[int, ...]
    told: Path | None
    classes: ClassSet
    threshold: float | None

    def truths(self) -> tuple[Segmentation, ...]:
        """The one truth. Raises ``ReadError`` naming the file."""
        masks, class_ids = self.masks, self.class_ids
        columns: dict[str, Any] = {}
        void_file: Path | None = None
        if self.told is not None:
            listed = read_segments(self.told, self.classes, str)
            masks = tuple(self.told.parent / _plain(str(each), self.told) for each in listed.ids)
            class_ids = listed.class_ids
            columns = {"scores": listed.scores, "attributes": listed.attributes}
            void_file = (
                None if listed.void is None else self.told.parent / _plain(str(listed.void), self.told)
            )
        shape: tuple[int, ...] | None = None
        geometry = UNKNOWN
        void: np.ndarray | None = None
        if void_file is not None:
            image, void = self._mask(void_file)
            shape, geometry = void.shape, image.geometry
        runs = []
        for path in masks:
            image, mask = self._mask(path)
            if shape is not None and mask.shape != shape:
                raise ReadError(f"{path} is a mask of {mask.shape}, others of this image are {shape}")
            shape, geometry = mask.shape, image.geometry
            runs.append(Runs.of_masks(mask[None]))
        if shape is None:
            if self.image is None:
                raise ReadError(f"{self.told} lists no mask and there is no image, so nothing tells the size")
            shape = image_size(self.image)
        truth = Segmentation.from_runs(
            shape,
            Runs.concatenate(runs),
            class_ids=class_ids,
            classes=self.classes,
            geometry=geometry,
            void=void if void is not None and void.any() else None,
            **columns,
        )
        return (truth,)

    def _mask(self, path: Path) -> tuple[Image, np.ndarray]:
        image, grey = read_grey(path)
        return image, grey > (middle(grey, path) if self.threshold is None else self.threshold)


def _plain(name: str, told: Path) -> str:
    if "/" in inside(name):
        raise ReadError(f"{told} names the mask {name!r}, wanted a file beside it")
    return name


def _sample(
    tree: Tree, found: _Found, classes: ClassSet, by_name: bool, threshold: float | None
) -> tuple[Sample, list[Problem]]:
    """The sample, and the masks whose names are of no class."""
    problems: list[Problem] = []
    masks: list[Path] = []
    class_ids: list[int] = []
    known = {entry.name.lower(): entry.id for entry in classes}
    for path in found.masks:
        name = found.class_name(path) if by_name else classes[0].name
        class_id = None if found.told else known.get(name.lower())
        if class_id is None and not found.told:
            told = f"names the class {name!r}, which is not in the list" if name else "names no class"
            problems.append(
                Problem(path, "", f"it {told}; add the class or rename the file", found.pair.name)
            )
            continue
        masks.append(tree.root / path)
        class_ids.append(class_id or 0)
    told_path = None if found.told is None else tree.root / found.told
    image = None if found.pair.image is None else tree.root / found.pair.image
    reader = _Reader(image, tuple(masks), tuple(class_ids), told_path, classes, threshold)
    annotated = bool(found.masks) or told_path is not None
    sample = Sample(
        found.pair.name,
        None if image is None else partial(read, image),
        reader.truths if annotated else None,
        image,
        (*masks, *(() if told_path is None else (told_path,))),
        found.pair.split,
        found.pair.group,
        **(found.pair.fields or {}),
    )
    return sample, problems


def _put(told: Path, truth: Segmentation) -> Path:
    """Write the mask of each segment, of what is void, and the list of them, whose path is given."""
    names: list[int | str] = []
    for k in range(1, len(truth) + 1):
        path = write_mask(told.with_name(f"{k:05d}"), truth.mask(k) * 255, truth.geometry)
        names.append(path.name)
    void = None
    if truth.void_px or not names:
        void = write_mask(told.with_name(_VOID), truth.void * 255, truth.geometry).name
    write_segments(told, truth, names, void)
    return told
