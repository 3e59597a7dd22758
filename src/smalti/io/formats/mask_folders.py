"""A folder of images and a folder of masks: what the formats that are kept so share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError, SmaltiError
from ...image import Image
from ...sample import Sample, SampleList
from ...segmentation import Segmentation
from .. import read
from .class_lists import class_list
from .format import AnnotationFormat, Annotations, ReadMask, Recognised, typed_options
from .images import PICTURES, place_image
from .mask_kinds import Kind, look
from .pairing import Pair, Pairing, find_pairs
from .records import about
from .roles import split_of, unnamed
from .sample_lists import SAMPLES, listed_format, read_samples, write_samples
from .tree import Tree, inside

_Read = TypeVar("_Read")
_IMAGE_SUFFIXES = {2: PICTURES, 3: (".tif", ".tiff")}


class MaskFolder(AnnotationFormat):
    """Images in one folder and a mask for each in another; see ``pairing`` for how they find each other."""

    images: str = Field(
        "", description="Folder or glob of the images, such as images or **/*_sat.jpg; empty to go by names."
    )
    masks: str = Field(
        "", description="Folder or glob of the masks, such as trimaps or **/*_mask.png; empty to go by names."
    )
    group: str = Field(
        "auto",
        description="Group of a sample: auto, none, folder, or a regular expression with a bracket, for its name.",
    )

    def recognise_as(self, tree: Tree, kind: Kind, *, by_list: bool = True) -> Recognised | None:
        """Whether the masks of ``tree`` are of this kind, judged ``by_list`` of classes too."""
        if tree.focus is not None:
            return None
        told = None if self.images or self.masks else listed_format(tree)
        if told is not None:
            return Recognised(0.95, f"{SAMPLES} says so") if told == self.name else None
        listed = None
        with suppress(SmaltiError):  # with a list that is wrong the masks are what they are; open says it
            listed = class_list(tree, getattr(self, "classes", None)) if by_list else None
        self.check_named(tree)
        try:
            pairing = self.pairing(tree)
        except SmaltiError:
            return None
        if not pairing.choices:
            found = look(tree, pairing.masks, listed)
            if found is None or found.kind != kind:
                return None
            return Recognised(0.6 if listed is None else 0.7, found.reason)
        fitting: dict[str, str] = {}
        for choice in filter(None, pairing.choices):
            found = look(tree, find_pairs(tree, self.images, choice).masks, listed)
            if found is not None and found.kind == kind:
                fitting[f"masks={choice}"] = f"masks={choice}, where {found.reason}"
        return Recognised(0.4, " or ".join(fitting.values()), tuple(fitting)) if fitting else None

    def check_named(self, tree: Tree) -> None:
        """Raise ``InputError`` where ``images`` or ``masks`` name nothing that is there."""
        for text, role in ((self.images, "images"), (self.masks, "masks")):
            folders = unnamed(tree, text)
            if folders is not None:
                there = ", ".join(each or "." for each in folders[:10]) or "none"
                more = ", ..." if len(folders) > 10 else ""
                raise InputError(
                    f"{tree.root}: {role}={text} names no picture; folders with pictures: {there}{more}"
                )

    def pairing(self, tree: Tree) -> Pairing:
        """Images and masks, by the list of samples if there is one and nothing else is asked for."""
        listed = None if self.images or self.masks else read_samples(tree)
        return find_pairs(tree, self.images, self.masks, self.group) if listed is None else listed

    def one_pairing(self, tree: Tree) -> Pairing:
        """The same. Raises ``ReadError`` where there is no image, ``InputError`` where the masks must be chosen."""
        if tree.focus is not None:
            raise ReadError(
                f"{tree.root / tree.focus} is one file; give the folder that has images and masks"
            )
        self.check_named(tree)
        pairing = self.pairing(tree)
        if pairing.choices:
            typed = typed_options([f"masks={choice}" for choice in pairing.choices if choice])
            raise InputError(f"{tree.root}: images have masks of several kinds; choose with {typed}")
        if not pairing.pairs and not pairing.problems:
            raise ReadError(f"{tree.root} has no folder of images; name them with images= and masks=")
        return pairing

    def annotations(
        self,
        tree: Tree,
        pairing: Pairing,
        classes: ClassSet,
        load: ReadMask,
        load_image: Callable[[Path], Image] = read,
    ) -> Annotations:
        """The samples of the pairs, whose truths ``load(path of the mask)`` reads; it must be picklable."""
        pairs, above = pairing.pairs, os.path.join(tree.root, "")  # noqa: PTH118  # Path drops the separator
        samples = SampleList(
            [pair.name for pair in pairs],
            [None if pair.image is None else above + pair.image for pair in pairs],
            _Maker(tree.root, pairs, load, load_image).sample,
        )
        return Annotations(samples, classes, pairing.problems, read_mask=load)

    def write_folder(
        self,
        folder: Path,
        samples: Iterable[Sample],
        classes: ClassSet,
        put: Callable[[Path, Segmentation], Path],
        images: str = "images/{place}",
        masks: str = "masks/{place}",
        ndim: int = 2,
    ) -> list[str]:
        """Write images and masks; ``put(path without suffix, truth)`` writes a mask and gives its path.

        ``images`` and ``masks`` say where, with the ``place`` of a sample and the ``name`` that is its last part.
        """
        if self.images or self.masks:
            raise InputError(
                "images= and masks= say what to read; what is written lies in folders of its own"
            )
        pairs: list[Pair] = []
        taken: set[str] = set()
        for sample in samples:
            truth = sample.truths[0] if sample.annotated else None
            if truth is not None and truth.ndim != ndim:
                kind, others = (
                    ("volume", "stacks, nifti") if ndim == 2 else ("picture", "instance-maps, label-maps")
                )
                raise InputError(
                    f"{sample.name} is a {kind} of {truth.shape}, not for {self.title}; write {others} or smalti"
                )
            place = _place(sample, taken)
            where = {"place": place, "name": place.rpartition("/")[2]}
            image = place_image(sample, folder, images.format(**where), _IMAGE_SUFFIXES[ndim])
            mask = None if truth is None else put(folder / masks.format(**where), truth)
            fields = about(sample)
            split, group = fields.pop("split", None), fields.pop("group", None)
            mask_name = None if mask is None else mask.relative_to(folder).as_posix()
            pairs.append(Pair(inside(sample.name), image, mask_name, split, group, fields or None))
        derived = self.pairing(Tree(folder))
        found = {pair.name: pair for pair in derived.pairs}
        other = derived.choices or derived.problems or any(found.get(pair.name) != pair for pair in pairs)
        if other or (derived.masks and type(self).make({}).recognise(Tree(folder)) is None):
            write_samples(folder, pairs, self.name)
        return [pair.name for pair in pairs]


def of_all(read_one: Callable[[Path], _Read], paths: Sequence[Path]) -> list[_Read]:
    """``read_one`` of each path, in threads, in order."""
    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        return list(pool.map(read_one, paths))


@dataclass(frozen=True)
class _Maker:
    """Makes the sample of each pair."""

    root: Path
    pairs: Sequence[Pair]
    load: Callable[[Path], tuple[Segmentation, ...]]
    load_image: Callable[[Path], Image]

    def sample(self, index: int) -> Sample:
        """The sample of pair ``index``."""
        pair = self.pairs[index]
        image = None if pair.image is None else self.root / pair.image
        mask = None if pair.mask is None else self.root / pair.mask
        return Sample(
            pair.name,
            None if image is None else partial(self.load_image, image),
            None if mask is None else partial(self.load, mask),
            image,
            () if mask is None else (mask,),
            pair.split,
            pair.group,
            **(pair.fields or {}),
        )


def _place(sample: Sample, taken: set[str]) -> str:
    """Where a sample's files go: its name, in the folder of its split."""
    name = inside(sample.name)
    first = name.split("/")[0]
    place = (
        name if sample.split is None or split_of(first) == sample.split else inside(f"{sample.split}/{name}")
    )
    while place.lower() in taken:
        place += "_"
    taken.add(place.lower())
    return place
