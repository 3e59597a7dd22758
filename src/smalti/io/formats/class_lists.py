"""What the numbers or colours in mask files mean, from lists that datasets have beside them or that a person gives.

Files that are read, in the dataset's folder: ``classes.json`` (ours, and lists of names with colours or numbers),
``classes.txt``, ``labels.txt``, ``class_names.txt`` and ``*.names`` (a name in each line, or LabelMe's and CVAT's
forms), ``label_colors.txt`` (CamVid: ``R G B name``), ``class_dict.csv`` (``name,r,g,b``), ``labelmap.txt`` (CVAT),
``objectInfo150.txt`` (ADE20K) and ``id2label.json``.

A class keeps its number as its id. Where 0 is a class too, which no id may be, all ids are one more than the numbers
(CamVid: sky is 0 in the file and class 1 here). Names in a list without numbers are 1, 2, 3 ...; or 0, 1, 2 ... if the
first one is a background. Of one name listed twice, with two colours, the class is one. Void, ``unlabeled`` and
``ignore`` are no classes: of what is painted so nobody has said what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from ...classes import Class, ClassSet, segment_colors
from ...errors import InputError, ReadError
from ..writing import replacing
from .documents import read_json
from .known_classes import KNOWN_CLASSES
from .tree import Tree

CLASSES = "classes.json"
VOID = -1  # where an id of a class stands for others
NONE = 0

_BACKGROUND_NAMES = ("background", "_background_", "__background__", "bg")
_VOID_NAMES = ("void", "ignore", "__ignore__", "ignored", "unlabeled", "unlabelled", "unlabel", "unknown")
_MAX_ENTRIES = 100_000

Color = tuple[int, int, int]
ClassOption = str | list[Any] | dict[str, Any] | None


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


def class_list(tree: Tree, option: ClassOption) -> ClassList | None:
    """The list a person gives, or the one that lies in the folder, or None.

    ``option`` is the name of a known list (``cityscapes``, ``cityscapes-train``, ``camvid``, ``voc``), a file below the
    folder or elsewhere, a list of names, a list of ``{"id", "name", "color", "thing", "void", "background"}`` in which
    only the name must be, or names with a number, a colour (``"#rrggbb"`` or three numbers) or several colours each.
    Raises ``ReadError`` for a file that is none, ``InputError`` for anything else.
    """
    if option is None:
        beside = list(takewhile(lambda path: "/" not in path, tree.paths))  # files come before folders
        found = next(
            ((path, parse) for wanted, parse in _FILES for path in beside if _is_list(path, wanted)), None
        )
        return None if found is None else _from_file(tree.file(found[0]), found[1])
    if not isinstance(option, str):
        return _parse(option, "classes")
    if option in KNOWN_CLASSES:
        entries = tuple(
            Entry(
                label.name,
                label.value,
                label.color,
                label.thing,
                "void" if label.void else "background" if label.background else "class",
            )
            for label in KNOWN_CLASSES[option]
        )
        return ClassList(entries, f"the list {option}")
    path = tree.file(option) if option in tree.path_set else Path(option)
    if not path.is_file():
        raise InputError(
            f"classes={option!r} is no file and none of the known lists {', '.join(KNOWN_CLASSES)}; "
            "give one of them, a file, or the names as a list"
        )
    name = path.name.lower()
    parse = next((parse for wanted, parse in _FILES if _is_list(name, wanted)), None)
    return _from_file(path, parse or (_read_json if name.endswith(".json") else _read_lines))


def found_list(entries: Sequence[Entry]) -> ClassList:
    """The list of what reading all masks found."""
    return ClassList(tuple(entries), "what the masks hold")


def write_class_list(folder: Path, entries: Iterable[Entry]) -> None:
    """Put ``classes.json`` into ``folder``."""
    records = []
    for entry in entries:
        record: dict[str, Any] = {
            "id": entry.value,
            "name": entry.name,
            "color": entry.color,
            "thing": entry.thing,
        }
        record |= {"void": entry.kind == "void"} | (
            {"background": True} if entry.kind == "background" else {}
        )
        records.append({key: value for key, value in record.items() if value is not None})
    with replacing(folder / CLASSES) as part:
        part.write_text(json.dumps(records, indent=1, ensure_ascii=False), encoding="utf-8")


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


# Forms of lists


def _parse(content: Any, origin: str) -> ClassList:
    """Any JSON value that is a list of classes. Raises ``InputError``."""
    if isinstance(content, Mapping):
        for key in ("classes", "labels", "categories", "id2label"):
            if isinstance(content.get(key), list | dict):
                return _parse(content[key], origin)
        entries = [entry for name, given in content.items() for entry in _named(str(name), given, origin)]
    elif isinstance(content, list):
        entries = [_listed(given, f"{origin}, entry {index}") for index, given in enumerate(content)]
    else:
        raise InputError(f"{origin}: wanted a list of classes, got {content!r}")
    if not entries or len(entries) > _MAX_ENTRIES:
        raise InputError(f"{origin}: wanted 1 to {_MAX_ENTRIES} classes, got {len(entries)}")
    return ClassList(tuple(entries), origin)


def _named(name: str, given: Any, origin: str) -> list[Entry]:
    """``{"road": 3}``, ``{"road": "#804080"}``, ``{"road": ["#804080", "#000000"]}`` and ``{"3": "road"}``."""
    if type(given) is int:
        return [_entry(name, given, None)]
    color = parse_color(given)
    if color is not None:
        return [_entry(name, None, color)]
    if name.isdecimal() and isinstance(given, str) and given:
        return [_entry(given, int(name), None)]
    colors = [parse_color(each) for each in given] if isinstance(given, list) else [None]
    if not colors or None in colors:
        raise InputError(f"{origin}: {name!r} has {given!r}, wanted a number or a colour such as '#804080'")
    return [_entry(name, None, each) for each in colors]


def _listed(given: Any, origin: str) -> Entry:
    if isinstance(given, str) and given:
        return _entry(given, None, None)
    if not isinstance(given, Mapping):
        raise InputError(f"{origin}: wanted a name or an object, got {given!r}")
    name = next((given[key] for key in ("name", "title", "label") if isinstance(given.get(key), str)), "")
    value = next((given[key] for key in ("id", "value") if given.get(key) is not None), None)
    color = given.get("color")
    if not name:
        raise InputError(f"{origin}: it has no name")
    if value is not None and type(value) is not int:
        raise InputError(f"{origin}: {name!r} has the number {value!r}, wanted a whole one")
    parsed = parse_color(color)
    if color is not None and parsed is None:
        raise InputError(
            f"{origin}: {name!r} has the colour {color!r}, wanted '#rrggbb' or three numbers 0..255"
        )
    thing = given.get("thing", given.get("isthing", True))
    entry = _entry(name, value, parsed, bool(thing))
    if given.get("background") is True:
        return replace(entry, kind="background")
    if isinstance(given.get("void"), bool):
        return replace(entry, kind="void" if given["void"] else "class")
    return entry


def _entry(name: str, value: int | None, color: Color | None, thing: bool = True) -> Entry:
    """An entry whose name tells whether it is a class."""
    lower = name.lower()
    if lower in _VOID_NAMES:
        return Entry(name, value, color, thing, "void")
    if lower in _BACKGROUND_NAMES and value in (None, 0):
        return Entry(name, value, color, thing, "background")
    return Entry(name, value, color, thing)


# Files


def _is_list(path: str, wanted: str) -> bool:
    return path.lower().endswith(wanted) if wanted.startswith(".") else path.lower() == wanted


def _from_file(path: Path, parse: Callable[[Path], ClassList]) -> ClassList:
    try:
        return parse(path)
    except InputError as error:
        raise ReadError(f"{error}; correct the file, or give classes=...") from error


def _read_json(path: Path) -> ClassList:
    return _parse(read_json(path, (list, dict)), str(path))


def _read_lines(path: Path) -> ClassList:
    """A name in each line, or a colour and a name, or CVAT's ``name:r,g,b:parts:actions``."""
    entries = []
    for number, line in _lines(path):
        colored = re.fullmatch(r"(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(.+)", line)
        mapped = re.fullmatch(r"([^:]+):(\d{1,3}),(\d{1,3}),(\d{1,3}):.*", line)
        name, channels = line, None
        if colored:
            name, channels = colored[4], colored.groups()[:3]
        elif mapped:
            name, channels = mapped[1], mapped.groups()[1:]
        color = None if channels is None else parse_color([int(each) for each in channels])
        if channels is not None and color is None:
            raise InputError(f"{path}, line {number}: {', '.join(channels)} is no colour of 0..255")
        entries.append(_entry(name.strip(), None, color))
    return _of_lines(path, entries)


def _read_table(path: Path) -> ClassList:
    """``name,r,g,b`` with a heading."""
    entries = []
    for number, line in _lines(path)[1:]:
        cells = [cell.strip() for cell in line.split(",")]
        color = parse_color(",".join(cells[1:4]))
        if color is None or not cells[0]:
            raise InputError(f"{path}, line {number}: wanted name,r,g,b, got {line!r}")
        entries.append(_entry(cells[0], None, color))
    return _of_lines(path, entries)


def _read_ade20k(path: Path) -> ClassList:
    """``Idx Ratio Train Val Stuff Name``, tabs between; the benchmark leaves 0, other objects, out of its scores."""
    entries = [Entry("other objects", 0, kind="void")]
    for number, line in _lines(path)[1:]:
        cells = line.split("\t")
        if len(cells) < 6 or not cells[0].strip().isdecimal():
            raise InputError(
                f"{path}, line {number}: wanted Idx, Ratio, Train, Val, Stuff, Name, got {line!r}"
            )
        name = cells[-1].strip()
        entries.append(Entry(name, int(cells[0]), thing=cells[4].strip() != "1"))
    return _of_lines(path, entries)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines that hold something and are no comment."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError(f"{path} is no text in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _of_lines(path: Path, entries: list[Entry]) -> ClassList:
    if not entries or len(entries) > _MAX_ENTRIES:
        raise InputError(f"{path}: wanted 1 to {_MAX_ENTRIES} classes, got {len(entries)}")
    return ClassList(tuple(entries), str(path))


_FILES: tuple[tuple[str, Callable[[Path], ClassList]], ...] = (
    (CLASSES, _read_json),
    ("classes.txt", _read_lines),
    ("labels.txt", _read_lines),
    ("class_names.txt", _read_lines),
    ("labelmap.txt", _read_lines),
    ("label_colors.txt", _read_lines),
    ("class_dict.csv", _read_table),
    ("objectinfo150.txt", _read_ade20k),
    ("id2label.json", _read_json),
    (".names", _read_lines),
)
"""Name or suffix of a file in the dataset's folder, in lower case, to what reads it; the first that is there counts."""
