"""Volumes as multi-page TIFF files, an image and a mask of the same name, or as folders of numbered slices."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from ...classes import ClassSet
from ...errors import ReadError
from ...geometry import UNKNOWN, Geometry
from ...image import Image
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from .class_lists import class_list, write_class_list
from .format import Annotations, Problem, Recognised
from .label_maps import InstanceMaps, LabelMaps
from .mask_folders import MaskFolder
from .mask_kinds import OBJECT_WORDS, read_numbers
from .numbering import Encoding, Numbering, complete, own_list
from .object_numbers import ObjectReader, put_objects
from .pairing import Pair
from .segment_lists import SUFFIX
from .tree import Tree

_TIFF = (".tif", ".tiff")


class Stacks(MaskFolder):
    """Volumes with a mask each, the pages of a TIFF being z; or, with ``slices``, each folder of pictures a volume.

    Written are numbers of objects, with ``NAME.segments.json`` beside them where there is more to say, and the spacing.
    """

    name: ClassVar[str] = "stacks"
    title: ClassVar[str] = "stacks"
    source: ClassVar[str] = "https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/"

    classes: str | list[Any] | dict[str, Any] | None = Field(
        None, description="A known list, a file, or names with their numbers."
    )
    holds: Literal["auto", "classes", "objects"] = Field(
        "auto", description="What numbers in masks are; auto takes them for classes where a list names these."
    )
    void: int | tuple[int, ...] | None = Field(
        None, description="Numbers where nobody said what is there; else those the list calls void."
    )
    slices: bool = Field(
        False, description="The pictures of a folder, in the order people count, are one volume."
    )
    spacing: str = Field(
        "", description="Distance of neighbouring pixels along z, y and x, such as 50x4x4nm; else the files'."
    )

    @field_validator("spacing")
    @classmethod
    def _is_spacing(cls, given: str) -> str:
        if given:
            Geometry.parse(given, 3)
        return given

    def recognise(self, tree: Tree) -> Recognised | None:
        if self.slices and tree.focus is None and self.pairing(tree).masks:
            return Recognised(0.6, "each folder of slices is to be a volume")
        return self.recognise_as(tree, "volumes")

    def open(self, tree: Tree) -> Annotations:
        pairing = self.one_pairing(tree)
        reader = self._reader(tree, pairing.masks)
        classes = reader.classes if isinstance(reader, Numbering) else reader.numbering.classes
        geometry = Geometry.parse(self.spacing, 3) if self.spacing else UNKNOWN
        if self.slices:
            samples, problems = _of_slices(tree, pairing.pairs, reader, geometry)
            return Annotations(samples, classes, [*pairing.problems, *problems])
        load_image, load = partial(_read_image, geometry), partial(_read_truth, reader, geometry)
        return self.annotations(tree, pairing, classes, load, load_image)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        listed = class_list(Tree(folder), self.classes)
        listed = own_list(classes, None, None) if listed is None else complete(listed, None, None)
        encoding = Encoding.of(listed, classes)
        write_class_list(folder, listed.entries)
        put = partial(put_objects, encoding, None)
        return self.write_folder(folder, samples, classes, put, masks="instances/{place}", ndim=3)

    def _reader(self, tree: Tree, masks: Sequence[str]) -> _Reader:
        """What the numbers of the masks are."""
        told = any(posixpath.splitext(path)[0] + SUFFIX in tree.path_set for path in masks)
        named = any(word in path.lower() for path in masks[:1] for word in OBJECT_WORDS)
        listed = class_list(tree, self.classes)
        classes = (
            not told and not named and listed is not None if self.holds == "auto" else self.holds == "classes"
        )
        if classes:
            return LabelMaps.make({"classes": self.classes, "void": self.void}).numbering(tree, masks)
        return InstanceMaps.make({"classes": self.classes, "void": self.void}).reader(tree, masks)


_Reader = Numbering | ObjectReader


@dataclass(frozen=True)
class _Slices:
    """Pictures that are one volume, in order."""

    paths: tuple[Path, ...]
    geometry: Geometry

    def image(self) -> Image:
        """The pictures on top of each other."""
        images = [read(path) for path in self.paths]
        for path, image in zip(self.paths, images, strict=True):
            _check(path, image.pixels, images[0].pixels)
        return Image(np.stack([image.pixels for image in images]), images[0].channels, self.geometry)

    def truths(self, reader: _Reader) -> tuple[Segmentation, ...]:
        """The masks on top of each other: one number is one object or class through all slices."""
        masks = [read_numbers(path)[0] for path in self.paths]
        for path, mask in zip(self.paths, masks, strict=True):
            _check(path, mask, masks[0])
        return (reader.truth(np.stack(masks), self.paths[0], self.geometry),)


def _check(path: Path, slice_: np.ndarray, first: np.ndarray) -> None:
    if slice_.shape != first.shape or slice_.dtype != first.dtype:
        raise ReadError(
            f"{path} is {slice_.dtype} of {slice_.shape}, the first slice {first.dtype} of {first.shape}; slices of a "
            "volume are alike"
        )


def _of_slices(
    tree: Tree, pairs: Sequence[Pair], reader: _Reader, geometry: Geometry
) -> tuple[list[Sample], list[Problem]]:
    """A sample for each folder of images."""
    folders: dict[str, list[Pair]] = {}
    for pair in pairs:
        folders.setdefault((pair.image or "").rpartition("/")[0], []).append(pair)
    samples = []
    problems = []
    for folder, its in folders.items():
        name = posixpath.dirname(its[0].name) or tree.root.resolve().name or "volume"
        images = _Slices(tuple(tree.root / pair.image for pair in its if pair.image), geometry)
        masks = _Slices(tuple(tree.root / pair.mask for pair in its if pair.mask), geometry)
        whole = len(masks.paths) == len(its)
        if masks.paths and not whole:
            lacking = len(its) - len(masks.paths)
            problems.append(
                Problem(
                    folder,
                    "",
                    f"{lacking} of {len(its)} slices have no mask; add them or take the slices away",
                    name,
                )
            )
        samples.append(
            Sample(
                name,
                images.image,
                partial(masks.truths, reader) if whole else None,
                None,
                masks.paths if whole else (),
                its[0].split,
                its[0].group,
            )
        )
    return samples, problems


def _read_image(geometry: Geometry, path: Path) -> Image:
    image = read(path)
    if image.ndim == 2:
        _check_tiff(path, image.shape)
        image = Image(image.pixels[None], image.channels)
    return Image(image.pixels, image.channels, geometry if geometry.known else image.geometry)


def _read_truth(reader: _Reader, geometry: Geometry, path: Path) -> tuple[Segmentation, ...]:
    values, own = read_numbers(path)
    if values.ndim == 2:
        _check_tiff(path, values.shape)
        values, own = values[None], UNKNOWN
    return (reader.truth(values, path, geometry if geometry.known else own),)


def _check_tiff(path: Path, shape: tuple[int, ...]) -> None:
    """A TIFF of one page is a volume of one slice; other pictures are none."""
    if path.suffix.lower() not in _TIFF:
        raise ReadError(
            f"{path} is a picture of {shape}, wanted a volume; slices=true makes one of all pictures in a folder"
        )
