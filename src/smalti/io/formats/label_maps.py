"""Masks that hold a number for each pixel: of its class (``LabelMaps``) or of its object (``InstanceMaps``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ...classes import OBJECT, ClassSet
from ...errors import InputError, ReadError
from ...geometry import Geometry
from ...sample import Sample
from ...segmentation import Segmentation
from .class_lists import VOID, ClassList, Entry, class_list, found_list, write_class_list
from .format import Annotations, Recognised
from .mask_folders import MaskFolder, of_all
from .mask_kinds import palette_of, read_mask
from .numbering import (
    VOID_NUMBER,
    Encoding,
    Numbering,
    as_tuple,
    complete,
    numbers_in,
    own_list,
    relabelled,
    write_mask,
)
from .segment_lists import SUFFIX, read_segments, write_segments
from .tree import Tree

MAX_CLASSES = 256
"""Most numbers that are taken for classes when no list names them."""

_NUMBERS = "A known list (cityscapes, cityscapes-train, camvid, voc), a file, or names with their numbers."
_MAX_16_BITS = 65535
_MAX_32_BITS = 2**32 - 1


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
        return self.annotations(tree, pairing, numbering.classes, partial(read_classes, numbering))

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        listed = class_list(Tree(folder), self.classes)
        if listed is None:
            listed = own_list(classes, self.void, self.background)
        else:
            listed = complete(listed, self.void, self.background)
        encoding = Encoding.of(listed, classes)
        write_class_list(folder, listed.entries)
        return self.write_folder(folder, samples, partial(_put_classes, encoding))

    def numbering(self, tree: Tree, masks: Sequence[str]) -> Numbering:
        """What the numbers of the masks mean. Reads all of them if there is no list of classes."""
        listed = class_list(tree, self.classes)
        if listed is None:
            listed = self._found(tree, masks)
        listed = complete(listed, self.void, self.background)
        if masks and not listed.colored:
            listed = _in_palette_colors(listed, palette_of(tree, masks[0]))
        return Numbering.of(listed)

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


def read_numbers(path: Path) -> tuple[np.ndarray, Geometry]:
    """A mask of numbers and its spacing. Raises ``ReadError`` for a coloured one."""
    mask = read_mask(path)
    if mask.colored:
        raise ReadError(f"{path} is coloured, wanted a number for each pixel; open the folder as color-masks")
    return mask.values, mask.geometry


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
        return self.write_folder(folder, samples, put, masks="instances/{place}")


@dataclass(frozen=True)
class ObjectReader:
    """How the numbers of objects are read."""

    numbering: Numbering
    divisor: int | None
    void: tuple[int, ...]

    def truth(self, values: np.ndarray, path: Path, geometry: Geometry) -> Segmentation:
        """The segments of a mask (*S,) of object numbers. Raises ``ReadError`` naming the file."""
        present = numbers_in(values)
        numbers = present.tolist()
        beside = path.with_name(path.stem + SUFFIX)
        void = set(self.void)
        columns: dict[str, Any]
        if beside.is_file():
            listed = read_segments(beside, self.numbering.classes, int)
            ids = [int(number) for number in listed.ids]
            if isinstance(listed.void, int):
                void.add(listed.void)
            unknown = sorted(set(numbers) - {0} - void - set(ids))
            if unknown:
                raise ReadError(
                    f"{path}: the number {unknown[0]} is not in {beside.name}; correct one of them"
                )
            columns = {"class_ids": listed.class_ids, "scores": listed.scores}
            attributes = dict(listed.attributes)
        else:
            void |= {number for number in numbers if self._class_id(number, path) == VOID}
            ids = [number for number in numbers if number and number not in void]
            columns = {"class_ids": [self._class_id(number, path) for number in ids]}
            attributes = {} if self.divisor is None else {"crowd": self._crowd(columns["class_ids"], ids)}
        order = {number: k for k, number in enumerate(ids, 1)}
        labels = relabelled(
            values, present, [0 if number in void else order.get(number, 0) for number in numbers]
        )
        if ids != list(range(1, len(ids) + 1)):
            attributes.setdefault("source_id", np.array(ids, np.int64))
        unclear = None
        if not void.isdisjoint(numbers):
            unclear = relabelled(values, present, [number in void for number in numbers]) > 0
        return Segmentation.from_labels(
            labels,
            classes=self.numbering.classes,
            geometry=geometry,
            void=unclear,
            attributes=attributes,
            copy=False,
            **columns,
        )

    def _class_id(self, number: int, path: Path) -> int:
        """Class id of an object's number, ``VOID`` if it is of a void class."""
        if number == 0 or number in self.void:
            return 0
        if self.divisor is None:
            if len(self.numbering.classes) != 1:
                raise ReadError(
                    f"{path} does not say of which of {len(self.numbering.classes)} classes its objects are; give "
                    "divisor=1000 if their numbers do, or a list of one class"
                )
            return int(self.numbering.classes.ids[0])
        value = number // self.divisor if number >= self.divisor else number
        if value not in self.numbering.ids:
            raise ReadError(f"{path}: {number} is of class {value}, which is not in {self.numbering.origin}")
        return self.numbering.ids[value]

    def _crowd(self, class_ids: Sequence[int], ids: Sequence[int]) -> np.ndarray:
        """A thing whose number is that of its class is a group outlined as one."""
        assert self.divisor is not None
        pairs = zip(class_ids, ids, strict=True)
        return np.array(
            [number < self.divisor and self.numbering.classes.of(each).thing for each, number in pairs], bool
        )


def read_objects(reader: ObjectReader, path: Path) -> tuple[Segmentation, ...]:
    """The truth in a mask of object numbers."""
    values, geometry = read_numbers(path)
    if values.ndim != 2:
        raise ReadError(f"{path} is a volume of {values.shape}; open the folder as stacks")
    return (reader.truth(values, path, geometry),)


def put_objects(encoding: Encoding, divisor: int | None, place: Path, truth: Segmentation) -> Path:
    """Write the mask of a segmentation, and what else is to be said beside it; where segments overlap the surest."""
    flat = truth.panoptic()
    if divisor is None:
        ids, told = _ids(flat)
    else:
        ids, told = divided_ids(flat, encoding, divisor, place)
        if len(set(ids)) < len(ids):  # pieces of stuff, and crowds of one class, are one
            order = {number: k for k, number in enumerate(dict.fromkeys(ids), 1)}
            flat, ids = flat.merge([order[number] for number in ids]), list(order)
    values = np.array([0, *ids], np.int64)[flat.labels]
    void = None
    if truth.void_px:
        highest = max(ids, default=0)
        void = _MAX_16_BITS if highest < _MAX_16_BITS else _MAX_32_BITS
        values[truth.void] = void
    more = set(flat.attributes) - told
    one_class = divisor is not None or len(flat.classes) == 1
    if void is not None or more or not one_class or (flat.scores != 1).any() or (flat.areas_px == 0).any():
        beside = place.with_name(place.name + SUFFIX)
        write_segments(beside, flat, ids, void, told - {"crowd"})
    return write_mask(place, values, truth.geometry)


def _ids(truth: Segmentation) -> tuple[list[int], set[str]]:
    """Numbers of the segments in the mask, and the attributes that they tell."""
    column = truth.attributes.get("source_id")
    if column is not None and column.dtype.kind in "ui" and len(column):
        ids = column.tolist()
        if len(set(ids)) == len(ids) and min(ids) >= 1 and max(ids) < _MAX_32_BITS:
            return ids, {"source_id"}
    return list(range(1, len(truth) + 1)), set()


def divided_ids(
    truth: Segmentation, encoding: Encoding, divisor: int, place: Path
) -> tuple[list[int], set[str]]:
    """Class number times ``divisor`` plus 0, 1, 2 ...; the class number alone for stuff and crowds.

    Also the attributes that these tell. Numbers under ``source_id`` are kept where they are such ones.
    """
    crowd = truth.attributes.get("crowd", np.zeros(len(truth), bool))
    source = truth.attributes.get("source_id", np.zeros(len(truth), np.int64))
    given = (
        source.tolist()
        if source.dtype.kind in "ui" and len(set(source.tolist())) == len(source)
        else [0] * len(truth)
    )
    values = [encoding.value_of[class_id] for class_id in truth.class_ids.tolist()]
    alone = [bool(crowd[k]) or not truth.classes.of(truth.class_ids[k]).thing for k in range(len(truth))]
    for value, class_id in zip(values, truth.class_ids, strict=True):
        if not 0 < value < divisor:
            name = truth.classes.of(class_id).name
            raise InputError(
                f"the class {name} has the number {value}, wanted 1..{divisor - 1} to multiply with"
            )
    kept = [
        not single and number // divisor == value
        for number, value, single in zip(given, values, alone, strict=True)
    ]
    taken = {number for number, keep in zip(given, kept, strict=True) if keep}
    ids: list[int] = []
    last: dict[int, int] = {}
    for number, value, single, keep in zip(given, values, alone, kept, strict=True):
        if single or keep:
            ids.append(value if single else number)
            continue
        number = last.get(value, value * divisor - 1) + 1
        while number in taken:
            number += 1
        last[value] = number
        if number // divisor != value:
            raise InputError(
                f"{place.name} has more than {divisor} objects of one class; choose another format"
            )
        ids.append(number)
    return ids, {"crowd", "source_id"}
