"""What the numbers or colours in mask files mean, from lists that datasets have beside them or that a person gives.

Files that are read, in the dataset's folder: ``classes.json`` (ours, and lists of names with colours or numbers),
``classes.txt``, ``labels.txt``, ``class_names.txt`` and ``*.names`` (a name in each line, or LabelMe's and CVAT's
forms), ``label_colors.txt`` (CamVid: ``R G B name``), ``class_dict.csv`` (``name,r,g,b``), ``labelmap.txt`` (CVAT),
``objectInfo150.txt`` (ADE20K) and ``id2label.json``.

Names in a list without numbers are 1, 2, 3 ...; or 0, 1, 2 ... if the first one is a background. Of one name listed
twice, with two colours, the class is one. Void, ``unlabeled`` and ``ignore`` are no classes: of what is painted so
nobody has said what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from ...errors import InputError, ReadError
from ..writing import replacing
from .documents import read_json
from .known_classes import KNOWN_CLASSES
from .mask_classes import ClassList, Color, Entry, parse_color
from .tree import Tree

CLASSES = "classes.json"
_BACKGROUND_NAMES = ("background", "_background_", "__background__", "bg")
_VOID_NAMES = ("void", "ignore", "__ignore__", "ignored", "unlabeled", "unlabelled", "unlabel", "unknown")
_MAX_ENTRIES = 100_000

ClassOption = str | list[Any] | dict[str, Any] | None


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
