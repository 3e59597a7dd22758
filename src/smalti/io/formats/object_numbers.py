"""Masks whose numbers are objects, read into segments and written from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, ReadError
from ...geometry import Geometry
from ...segmentation import Segmentation
from .mask_classes import NONE, VOID
from .mask_kinds import read_numbers
from .numbering import Encoding, Numbering, numbers_in, relabelled, write_mask
from .segment_lists import SUFFIX, read_segments, write_segments

_MAX_16_BITS = 65535
_MAX_32_BITS = 2**32 - 1


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
            meanings = {number: self._class_id(number, path) for number in numbers}
            void |= {number for number in numbers if meanings[number] == VOID}
            ids = [number for number in numbers if meanings[number] > 0]
            columns = {"class_ids": [meanings[number] for number in ids]}
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
        try:
            return Segmentation.from_labels(
                labels,
                classes=self.numbering.classes,
                geometry=geometry,
                void=unclear,
                attributes=attributes,
                copy=False,
                **columns,
            )
        except InputError as error:
            raise ReadError(f"{path}: {error}") from error

    def _class_id(self, number: int, path: Path) -> int:
        """Class id of an object's number, ``VOID`` if it is of a void class."""
        if number in self.void:
            return VOID
        if number == 0:
            return NONE if self.divisor is None else self.numbering.ids.get(0, NONE)
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
