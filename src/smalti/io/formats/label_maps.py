"""Masks that hold a number for each pixel: of its class (``LabelMaps``) or of its object (``InstanceMaps``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ...classes import OBJECT, ClassSet
from ...errors import InputError, ReadError
from ...sample import Sample
from ...segmentation import Segmentation
from .class_lists import class_list, write_class_list
from .format import Annotations, Recognised
from .mask_classes import NONE, VOID, VOID_NUMBER, ClassList, Entry, found_list
from .mask_folders import MaskFolder, of_all
from .mask_kinds import palette_of, read_numbers
from .numbering import (
    Encoding,
    Numbering,
    as_tuple,
    complete,
    numbers_in,
    own_list,
    shown_numbers,
    write_mask,
)
from .object_numbers import ObjectReader, put_objects, read_objects
from .tree import Tree

MAX_CLASSES = 256
"""Most numbers that are taken for classes when no list names them."""

_NUMBERS = "A known list (cityscapes, cityscapes-train, camvid, voc), a file, or names with their numbers."


class LabelMaps(MaskFolder):
    """A mask beside each image whose numbers, or palette indices, are classes: CamVid, ADE20K, VOC, Cityscapes.

    Classes come from ``classes`` or from a list in the folder (see ``class_lists``). Without one, opening reads all
    masks, in threads, to see which numbers there are, and calls them "class 7" and so on.
    """

    name: ClassVar[str] = "label-maps"
    title: ClassVar[str] = "label maps"
    source: ClassVar[str] = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html"

    classes: str | list[Any] | dict[str, Any] | None = Field(None, description=_NUMBERS)
    void: int | tuple[int, ...] | None = Field(
        None,
        description="Numbers where nobody said what is there; else those the list calls void, or 255.",
    )
    background: int | tuple[int, ...] | None = Field(
        None,
        description="Numbers of no segment; else 0, unless the list names it; [] makes 0 a class.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        return self.recognise_as(tree, "classes")

    def open(self, tree: Tree) -> Annotations:
        pairing = self.one_pairing(tree)
        numbering = self.numbering(tree, pairing.masks)
        found = self.annotations(tree, pairing, numbering.classes, partial(read_classes, numbering))
        return replace(found, notes=self._notes(tree, numbering))

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        listed = class_list(Tree(folder), self.classes)
        if listed is None:
            listed = own_list(classes, self.void, self.background)
        else:
            listed = complete(listed, self.void, self.background)
        encoding = Encoding.of(listed, classes)
        write_class_list(folder, listed.entries)
        return self.write_folder(folder, samples, classes, partial(_put_classes, encoding))

    def numbering(self, tree: Tree, masks: Sequence[str]) -> Numbering:
        """What the numbers of the masks mean. Reads all of them if there is no list of classes."""
        listed = class_list(tree, self.classes)
        if listed is None:
            listed = self._found(tree, masks)
        listed = complete(listed, self.void, self.background)
        if masks and not listed.colored:
            listed = _in_palette_colors(listed, palette_of(tree, masks[0]))
        return Numbering.of(listed)

    def _notes(self, tree: Tree, numbering: Numbering) -> tuple[str, ...]:
        """What was taken for granted of the numbers."""
        listed = class_list(tree, self.classes)
        meant = {meaning: number for number, meaning in numbering.ids.items() if meaning < 1}
        none = f"; {meant[NONE]} is taken for no segment" if self.background is None and NONE in meant else ""
        void = f"{',' if none else ';'} {meant[VOID]} for void" if self.void is None and VOID in meant else ""
        if listed is None:
            numbers = [number for number, meaning in numbering.ids.items() if meaning > 0]
            if not numbers:
                return (f"no list of classes, and no numbers that could be some{none}{void}",)
            called = f"{len(numbers)} numbers from {numbers[0]} to {numbers[-1]} are called 'class {numbers[0]}' ..."
            return (f"no list of classes: the {called}{none}{void}",)
        if listed.numbered:
            return ()
        counted = complete(listed, self.void, self.background)
        return (f"names without numbers are counted: {shown_numbers(counted)}{none}{void}",)

    def _found(self, tree: Tree, masks: Sequence[str]) -> ClassList:
        """What the numbers in all masks may mean; masks that cannot be read say so when their truth is asked for."""
        present = of_all(_numbers_of, [tree.file(path) for path in masks])
        numbers = sorted({number for each in present for number in each})
        known = {*as_tuple(self.void), *((0,) if self.background is None else as_tuple(self.background))}
        classes = [number for number in numbers if number not in known]
        if self.void is None and classes != [VOID_NUMBER]:
            classes = [number for number in classes if number != VOID_NUMBER]
        if len(classes) > MAX_CLASSES:
            raise InputError(
                f"{tree.root}: {len(classes)} numbers are more than classes have; open it as instance-maps, or name "
                "the classes with classes="
            )
        return found_list([Entry(f"class {number}", number) for number in classes])


def read_classes(numbering: Numbering, path: Path) -> tuple[Segmentation, ...]:
    """The truth in a mask of class numbers."""
    values, geometry = read_numbers(path)
    if values.ndim != 2:
        raise ReadError(f"{path} is a volume of {values.shape}; open the folder as stacks")
    return (numbering.truth(values, path, geometry),)


def _numbers_of(path: Path) -> list[int]:
    try:
        return [int(number) for number in numbers_in(read_numbers(path)[0])]
    except ReadError:
        return []


def _in_palette_colors(listed: ClassList, palette: np.ndarray | None) -> ClassList:
    if palette is None:
        return listed
    colors = [(int(red), int(green), int(blue)) for red, green, blue in palette]
    entries = (
        entry
        if entry.color or entry.value is None or entry.value >= len(colors)
        else replace(entry, color=colors[entry.value])
        for entry in listed.entries
    )
    return replace(listed, entries=tuple(entries))


def _put_classes(encoding: Encoding, place: Path, truth: Segmentation) -> Path:
    return write_mask(place, encoding.values(truth), truth.geometry)


class InstanceMaps(MaskFolder):
    """A mask beside each image whose numbers are objects: 0 for none, each other number a segment.

    All are of one class, "object" unless a list names another, or of ``number // divisor`` (Cityscapes: 26003 is a
    car, 26 a crowd of cars), or of what ``NAME.segments.json`` beside the mask says, which smalti writes where there is
    more to say than pixels. Numbers that are not 1, 2, 3 ... are kept as ``source_id``.
    """

    name: ClassVar[str] = "instance-maps"
    title: ClassVar[str] = "instance maps"
    source: ClassVar[str] = "https://bbbc.broadinstitute.org/BBBC039"

    classes: str | list[Any] | dict[str, Any] | None = Field(None, description=_NUMBERS)
    divisor: int | None = Field(
        None, ge=2, le=1_000_000, description="Number of an object divided by this is that of its class."
    )
    void: int | tuple[int, ...] | None = Field(
        None, description="Numbers in masks where nobody said what is there; else those of void classes."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        return self.recognise_as(tree, "objects")

    def open(self, tree: Tree) -> Annotations:
        pairing = self.one_pairing(tree)
        reader = self.reader(tree, pairing.masks)
        return self.annotations(tree, pairing, reader.numbering.classes, partial(read_objects, reader))

    def reader(self, tree: Tree, masks: Sequence[str]) -> ObjectReader:
        """What the numbers of the masks mean. Reads all of them if there is a divisor and no list of classes."""
        listed = class_list(tree, self.classes)
        if listed is None and self.divisor is not None:
            divisor = self.divisor
            present = of_all(_numbers_of, [tree.file(path) for path in masks])
            numbers = {number for each in present for number in each} - set(as_tuple(self.void))
            classes = {number // divisor if number >= divisor else number for number in numbers} - {0}
            listed = found_list([Entry(f"class {number}", number) for number in sorted(classes)])
        if listed is None:
            numbering = Numbering(OBJECT, {}, "the one class")
        else:
            numbering = Numbering.of(complete(listed, None, None))
        return ObjectReader(numbering, self.divisor, as_tuple(self.void))

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        listed = class_list(Tree(folder), self.classes)
        listed = own_list(classes, None, None) if listed is None else complete(listed, None, None)
        encoding = Encoding.of(listed, classes)
        write_class_list(folder, listed.entries)
        put = partial(put_objects, encoding, self.divisor)
        return self.write_folder(folder, samples, classes, put, masks="instances/{place}")
