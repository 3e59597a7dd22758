"""What annotations say besides pixels, as the plain values that JSON and XML hold.

Columns of attributes become a record for each segment and back; what a sample knows of itself becomes one record;
and ``classes.json`` keeps the classes of a dataset whose format has only names for them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...classes import Class, ClassSet, segment_colors
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN, Geometry
from ...provenance import UNKNOWN_ORIGIN, Provenance
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..headers import image_size
from ..source import MAX_PIXELS
from ..writing import replacing
from .images import PICTURES
from .tree import Tree

CLASSES = "classes.json"
"""Classes with id, name, colour and whether they are things, as ``ClassSet.to_json`` writes them."""

_INT64 = 2**63


def columns(records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """A column (N,) for each name in any of N records: bool, whole numbers, floats, else text.

    Segments that do not have it get False, 0 or "". Values of several kinds, lists and objects become text.
    """
    names = dict.fromkeys(name for record in records for name in record)
    return {str(name): _column([record.get(name) for record in records]) for name in names}


def _column(values: list[Any]) -> np.ndarray:
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return np.array([value is True for value in values], bool)
    whole = [type(value) is int and -_INT64 <= value < _INT64 for value in given]
    if all(whole):
        return np.array([0 if value is None else value for value in values], np.int64)
    if all(is_whole or type(value) is float for is_whole, value in zip(whole, given, strict=True)):
        return np.array([0.0 if value is None else float(value) for value in values])
    return np.array(["" if value is None else str(value) for value in values])


def rows(truth: Segmentation) -> list[dict[str, Any]]:
    """The attributes of each segment as plain values; False, 0 and "", which say nothing, are left out."""
    found: list[dict[str, Any]] = [{} for _ in range(len(truth))]
    for name, column in sorted(
        truth.attributes.items()
    ):  # so that what is read and written again is the same
        for record, value in zip(found, column.tolist(), strict=True):
            if value:
                record[name] = value
    return found


def about(sample: Sample) -> dict[str, Any]:
    """Split, group, origin and metadata of a sample, those that are known."""
    record: dict[str, Any] = {
        "split": sample.split,
        "group": sample.group,
        "provenance": sample.provenance.to_json(),
        "metadata": dict(sample.metadata),
    }
    return {name: value for name, value in record.items() if value}


def from_about(record: Any) -> dict[str, Any]:
    """The fields of ``Sample`` that ``about`` wrote. Raises ``InputError`` for what it cannot have written."""
    if not isinstance(record, Mapping):
        raise InputError(f"wanted an object with split, group, provenance and metadata, got {record!r}")
    split, group = record.get("split"), record.get("group")
    metadata, origin = record.get("metadata", {}), record.get("provenance", {})
    if not isinstance(split, str | None) or not isinstance(group, str | None):
        raise InputError(f"split and group are text, got {split!r} and {group!r}")
    if not isinstance(metadata, Mapping) or not isinstance(origin, Mapping):
        raise InputError("provenance and metadata are objects with a value for each name")
    for name, value in metadata.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError(f"metadata are text and numbers, got {name}: {value!r}")
    return {
        "split": split,
        "group": group,
        "provenance": Provenance.from_json(origin) if origin else UNKNOWN_ORIGIN,
        "metadata": dict(metadata),
    }


def write_classes(folder: Path, classes: ClassSet) -> None:
    """Put ``classes.json`` into ``folder``."""
    with replacing(folder / CLASSES) as part:
        part.write_text(classes.to_json(), encoding="utf-8")


def read_classes(
    tree: Tree, names: Iterable[str], colors: Mapping[str, tuple[int, int, int]] | None = None
) -> ClassSet:
    """Classes of the ``names`` that annotations use.

    Those of ``classes.json`` come first and as they are there, where it is one that smalti wrote; the rest have the
    next free ids, in the order given, and the colour that ``colors`` has for them.
    """
    known: tuple[Class, ...] = ()
    if CLASSES in tree.path_set:
        try:
            known = tuple(ClassSet.from_json(tree.file(CLASSES).read_text(encoding="utf-8")))
        except (InputError, ReadError, OSError, ValueError):
            known = ()  # a file of that name that is somebody else's
    taken = {entry.name for entry in known}
    new = [name for name in dict.fromkeys(names) if name and name not in taken]
    first = max((entry.id for entry in known), default=0) + 1
    palette = segment_colors(len(known) + len(new)).tolist()[len(known) :]
    added = (
        Class(number, name, tuple((colors or {}).get(name, color)))
        for number, (name, color) in enumerate(zip(new, palette, strict=True), first)
    )
    return ClassSet([*known, *added])


def picture_truths(sample: Sample, title: str) -> tuple[Segmentation, ...]:
    """The truths of a sample, none where it has no annotation. Raises ``InputError`` for those of a volume."""
    truths = sample.truths if sample.annotated else ()
    for truth in truths:
        if truth.ndim != 2:
            raise InputError(
                f"{sample.name} is a volume of {truth.shape} and {title} holds pictures; write smalti or nifti"
            )
    return truths


def extent(path: Path) -> tuple[tuple[int, ...], Geometry]:
    """Size and spacing of an image file; for PNG and JPEG, which keep no spacing, from the header alone."""
    if path.suffix.lower() in (".tif", ".tiff"):
        image = read(path)
        return image.shape, image.geometry
    return image_size(path), UNKNOWN


def checked_size(height: Any, width: Any, what: str = "height and width") -> tuple[int, int]:
    """A size that a file says, in pixels. Raises ``InputError`` for one that cannot be.

    Whole numbers may be written as 480.0 but not as text, and are at most ``MAX_PIXELS`` together.
    """
    sides = (height, width)
    whole = all(type(side) is int or (type(side) is float and side.is_integer()) for side in sides)
    if not whole or min(sides) < 1 or height * width > MAX_PIXELS:
        raise InputError(
            f"{what} are whole numbers of pixels, {MAX_PIXELS} in all at most, got {height!r:.60} and {width!r:.60}"
        )
    return int(height), int(width)


def xml_text(text: str) -> str:
    """``text`` without the characters that XML cannot hold."""
    return "".join(letter if letter >= " " or letter in "\t\n" else "?" for letter in text)


def unannotated(
    tree: Tree, taken: set[str], folders: set[str], names: set[str], below: str = ""
) -> list[Sample]:
    """Samples of the pictures in ``folders`` that are not ``taken``: nobody has annotated them yet.

    Their names are those of the files without suffix, and with it where ``names`` has that already. Of a path that has
    a folder called ``below`` it is what follows.
    """
    samples = []
    names = set(names)
    for path in tree.with_suffix(*PICTURES):
        if path in taken or posixpath.dirname(path) not in folders:
            continue
        name = posixpath.splitext(path)[0]
        name = (name.partition(f"{below}/")[2] or name) if below else name
        name = path if name in names else name
        names.add(name)
        file = tree.file(path)
        samples.append(Sample(name, partial(read, file), None, file))
    return samples
