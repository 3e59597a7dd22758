"""The numbers of masks turned into segments of classes, and segments into numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import Geometry
from ...segmentation import Segmentation
from ..encode import encode_label_png
from ..labels import write_labels
from ..writing import replacing
from .mask_classes import NONE, VOID, VOID_NUMBER, ClassList, Entry


@dataclass(frozen=True)
class Numbering:
    """What each number in a mask means: a class id, ``NONE`` or ``VOID``."""

    classes: ClassSet
    ids: Mapping[int, int]
    origin: str

    @classmethod
    def of(cls, listed: ClassList) -> Numbering:
        """The meanings in a list whose entries all have numbers."""
        return cls(listed.classes, listed.ids(), listed.origin)

    def truth(self, values: np.ndarray, path: Path, geometry: Geometry) -> Segmentation:
        """One segment for each class in a mask ``values`` (*S,). Raises ``ReadError`` for numbers nobody listed."""
        present = numbers_in(values)
        meanings = [self.ids.get(value) for value in present.tolist()]
        if None in meanings:
            value = int(present[meanings.index(None)])
            raise ReadError(
                f"{path}: the number {value} on {np.count_nonzero(values == value)} pixels is not in {self.origin}; "
                "correct the mask, or say with classes=, void= or background= what it means"
            )
        class_ids = sorted({meaning for meaning in meanings if meaning is not None and meaning > 0})
        order = {class_id: k for k, class_id in enumerate(class_ids, 1)}
        labels = relabelled(values, present, [order.get(meaning or NONE, 0) for meaning in meanings])
        void = None
        if VOID in meanings:
            void = relabelled(values, present, [meaning == VOID for meaning in meanings]) > 0
        return Segmentation.from_labels(
            labels, class_ids=class_ids, classes=self.classes, geometry=geometry, void=void, copy=False
        )


def complete(
    listed: ClassList, void: int | tuple[int, ...] | None, background: int | tuple[int, ...] | None
) -> ClassList:
    """The list with a number for every entry, and with what 0 and 255 mean where it does not say.

    Numbers that a person calls ``void`` or ``background`` are that, whatever the list says. Raises ``InputError`` where
    the list has no numbers and these are what counting gives to a class: then it is counted otherwise than is meant.
    """
    counted = listed.with_numbers(zero_is_class=background is not None and 0 not in as_tuple(background))
    if not listed.numbered:
        _check_counted(counted, void, "void")
        _check_counted(counted, background, "background")
    listed = counted.with_meanings(as_tuple(void), as_tuple(background))
    named = {entry.value for entry in listed.entries}
    added = []
    if background is None and 0 not in named:
        added.append(Entry("background", 0, kind="background"))
    if (
        void is None
        and VOID_NUMBER not in named
        and not any(entry.kind == "void" for entry in listed.entries)
    ):
        added.append(Entry("void", VOID_NUMBER, kind="void"))
    return ClassList(listed.entries + tuple(added), listed.origin)


def _check_counted(listed: ClassList, numbers: int | tuple[int, ...] | None, what: str) -> None:
    for entry in listed.entries:
        if entry.kind == "class" and entry.value in as_tuple(numbers):
            names = [f'"{each.name}": {index}' for index, each in enumerate(listed.entries[:2])]
            raise InputError(
                f"{listed.origin}: names without numbers are counted ({shown_numbers(listed)}), so "
                f"{what}={entry.value} would be {entry.name!r}; number the names, as in {{{', '.join(names)}, ...}}"
            )


def shown_numbers(listed: ClassList) -> str:
    """The first numbers of a list with their names, for messages: ``1 sky, 2 building, ...``."""
    shown = [f"{entry.value} {entry.name}" for entry in listed.entries[:3]]
    return ", ".join([*shown, "..."] if len(listed.entries) > 3 else shown)


def own_list(
    classes: ClassSet, void: int | tuple[int, ...] | None, background: int | tuple[int, ...] | None
) -> ClassList:
    """The list to write classes with: their ids as numbers, 0 for none, and 255, or the next that is free, for void."""
    taken = set(classes.ids.tolist())
    none = (as_tuple(background) or (0,))[0]
    free = VOID_NUMBER if VOID_NUMBER not in {*taken, none} else max(*taken, none) + 1
    unclear = (as_tuple(void) or (free,))[0]
    for value, what in ((none, "background"), (unclear, "void")):
        if value in taken:
            raise InputError(f"{what} is to be {value}, which is a class; choose another number")
        taken.add(value)
    entries = [Entry(each.name, each.id, each.color, each.thing) for each in classes]
    entries.append(Entry("background", none, kind="background"))
    entries.append(Entry("void", unclear, kind="void"))
    return ClassList(tuple(entries), "the classes to write")


@dataclass(frozen=True)
class Encoding:
    """The number that a mask has for each class id, for void and for no segment."""

    value_of: Mapping[int, int]
    void: int
    none: int

    @classmethod
    def of(cls, listed: ClassList, classes: ClassSet) -> Encoding:
        """Classes are found in the list by their names. Raises ``InputError`` for one that is not there.

        A list without background, such as CamVid's, has void for what is no segment.
        """
        first: dict[tuple[str, str], int] = {}
        for entry in listed.entries:
            key = (entry.kind, entry.name if entry.kind == "class" else "")
            assert entry.value is not None
            first.setdefault(key, entry.value)
        missing = [each.name for each in classes if ("class", each.name) not in first]
        if missing:
            raise InputError(f"{listed.origin} has no class {', '.join(missing)}; give a list that has")
        void = first.get(("void", ""))
        none = first.get(("background", ""))
        if void is None and none is None:
            raise InputError(
                f"{listed.origin} has no number for pixels without a class; add one with void=255"
            )
        return cls(
            {each.id: first["class", each.name] for each in classes},
            none if void is None else void,  # type: ignore[arg-type]  # not both are None
            void if none is None else none,  # type: ignore[arg-type]
        )

    def values(self, truth: Segmentation) -> np.ndarray:
        """The mask (*S,) of a segmentation; where segments overlap the surest, void over all."""
        flat = truth.panoptic()
        numbers = [self.none, *(self.value_of[each] for each in flat.class_ids.tolist())]
        values = np.array(numbers, np.int64)[flat.labels]
        if truth.void_px:
            values[truth.void] = self.void
        return values


def write_mask(place: Path, values: np.ndarray, geometry: Geometry) -> Path:
    """Write a mask of numbers beside ``place``, a path without suffix; gives its path.

    PNG of 8 bits where they are enough, else of 16; TIFF, of as few bits, for volumes, larger numbers, and where there
    is a spacing.
    """
    highest = int(values.max())
    suffix = ".tif" if values.ndim == 3 or highest > 65535 or geometry.known else ".png"
    path = place.with_name(place.name + suffix)
    if suffix == ".png" and highest < 256:
        content = encode_label_png(values.astype(np.uint8))
        with replacing(path) as part:
            part.write_bytes(content)
    else:
        write_labels(path, values, geometry, small=True)
    return path


def numbers_in(values: np.ndarray) -> np.ndarray:
    """Every number in a mask once, ascending."""
    if values.dtype in (np.uint8, np.uint16):
        import cv2

        # numpy's bincount takes six times as long, and whether a number is there is all that is asked
        top = 2 ** (8 * values.dtype.itemsize)
        counts = cv2.calcHist([values.reshape(-1, values.shape[-1])], [0], None, [top], [0, top])
        return np.flatnonzero(counts)
    return np.unique(values)


def relabelled(values: np.ndarray, present: np.ndarray, labels: list[int] | list[bool]) -> np.ndarray:
    """Each of the ``present`` numbers of a mask (ascending) replaced by its label, (*S,) int32."""
    if values.dtype in (np.uint8, np.uint16):
        table = np.zeros(int(present[-1]) + 1, np.int32)
        table[present] = labels
        return np.take(table, values, mode="clip")  # faster than with a check, and nothing is above the last
    return np.array(labels, np.int32)[np.searchsorted(present, values)]


def as_tuple(numbers: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """None as no number and one number as a tuple of it."""
    return () if numbers is None else (numbers,) if isinstance(numbers, int) else numbers
