"""What the numbers and colours of masks mean: entries of a list, and the classes and ids that come of them.

A class keeps its number as its id. Where 0 is a class too, which no id may be, all ids are one more than the numbers
(CamVid: sky is 0 in the file and class 1 here).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from ...classes import Class, ClassSet, segment_colors
from ...errors import InputError

VOID = -1  # where an id of a class stands for others
NONE = 0
VOID_NUMBER = 255
"""What masks of 8 bits hold where nobody said what is there, by custom (Pascal VOC's border, Cityscapes' train ids)."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Entry:
    """One number or colour of a mask and what it means."""

    name: str
    value: int | None = None
    color: Color | None = None
    thing: bool = True
    kind: Literal["class", "void", "background"] = "class"


@dataclass(frozen=True)
class ClassList:
    """The numbers and colours of masks, in the order of the list. Raises ``InputError`` for a number said twice.

    ``origin`` says where the list comes from, for messages.
    """

    entries: tuple[Entry, ...]
    origin: str

    def __post_init__(self) -> None:
        values = [entry.value for entry in self.entries if entry.value is not None]
        if any(not 0 <= value < 2**31 - 1 for value in values):
            raise InputError(
                f"{self.origin}: numbers in masks are 0 to {2**31 - 2}, got {min(values)}..{max(values)}"
            )
        if values and not self.numbered:
            raise InputError(f"{self.origin}: some classes have a number and some have none; number them all")
        meanings: dict[Any, str] = {}
        for entry in self.entries:
            key = entry.value if values else entry.color
            if key is not None and meanings.setdefault(key, entry.name) != entry.name:
                raise InputError(f"{self.origin}: {key} is both {meanings[key]!r} and {entry.name!r}")

    @property
    def numbered(self) -> bool:
        """Whether every entry has its number."""
        return all(entry.value is not None for entry in self.entries)

    @property
    def colored(self) -> bool:
        """Whether every entry has its colour."""
        return bool(self.entries) and all(entry.color is not None for entry in self.entries)

    @cached_property
    def classes(self) -> ClassSet:
        """The classes, each name once, with the ids that the module's text explains."""
        first: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.kind == "class":
                first.setdefault(entry.name, entry)
        colors = segment_colors(len(first)).tolist()
        by_number = all(entry.value is not None for entry in first.values())
        shift = int(any(entry.value == 0 for entry in first.values()))
        return ClassSet(
            Class(
                entry.value + shift if by_number and entry.value is not None else index + 1,
                entry.name,
                entry.color or tuple(colors[index]),
                entry.thing,
            )
            for index, entry in enumerate(first.values())
        )

    def ids(self) -> dict[int, int]:
        """Number in a mask to class id, ``NONE`` or ``VOID``."""
        return {entry.value: self._meaning(entry) for entry in self.entries if entry.value is not None}

    def color_ids(self) -> dict[Color, int]:
        """Colour in a mask to class id, ``NONE`` or ``VOID``; a class where void has the same."""
        found: dict[Color, int] = {}
        for entry in sorted(self.entries, key=lambda entry: entry.kind != "class"):
            if entry.color is not None:
                found.setdefault(entry.color, self._meaning(entry))
        return found

    def _meaning(self, entry: Entry) -> int:
        if entry.kind == "class":
            return self.classes.named(entry.name).id
        return VOID if entry.kind == "void" else NONE

    def with_numbers(self, zero_is_class: bool = False) -> ClassList:
        """Entries without numbers are counted, from 1, or from 0 if that is a class or the first is background.

        Where ``__ignore__`` stands before the background, as LabelMe writes it, it is -1, which masks hold as 255.
        """
        if self.numbered:
            return self
        kinds = [entry.kind for entry in self.entries[:2]]
        start = -1 if kinds == ["void", "background"] else int(kinds[0] != "background" and not zero_is_class)
        return replace(
            self,
            entries=tuple(
                replace(entry, value=255 if value < 0 else value)
                for value, entry in enumerate(self.entries, start)
            ),
        )

    def with_meanings(self, void: Iterable[int], background: Iterable[int]) -> ClassList:
        """These numbers mean void and background, whatever the list says."""
        meant: dict[int, Literal["void", "background"]] = dict.fromkeys(background, "background")
        meant |= dict.fromkeys(void, "void")
        kept = tuple(entry for entry in self.entries if entry.value not in meant)
        return replace(
            self, entries=kept + tuple(Entry(kind, value, kind=kind) for value, kind in meant.items())
        )


def found_list(entries: Iterable[Entry]) -> ClassList:
    """The list of what reading all masks found."""
    return ClassList(tuple(entries), "what the masks hold")


def parse_color(given: Any) -> Color | None:
    """The colour that ``"#rrggbb"`` or three numbers 0..255 mean; None for anything else."""
    if isinstance(given, str):
        if re.fullmatch("#?[0-9a-fA-F]{6}", given):
            digits = given.lstrip("#")
            return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
        given = re.split(r"[\s,]+", given.strip("()[] "))
        if not all(re.fullmatch("[0-9]{1,3}", part) for part in given):
            return None
        given = [int(part) for part in given]
    if not isinstance(given, list | tuple) or len(given) != 3:
        return None
    if any(type(value) is not int or not 0 <= value <= 255 for value in given):
        return None
    return given[0], given[1], given[2]


def hex_color(color: Sequence[int]) -> str:
    """``#rrggbb``."""
    return "#" + "".join(f"{int(value):02x}" for value in color)
