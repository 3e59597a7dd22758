"""LabelMe: one JSON beside each image, with the shapes that were drawn on it.

The fields are those of LabelMe 5 (https://github.com/wkentaro/labelme, ``labelme/_label_file.py``): coordinates are
x, y with (0, 0) at the corner of the first pixel; a ``mask`` is a PNG in base64 whose first pixel lies at its first
point; shapes of one label and ``group_id`` are pieces of one object; the label ``__ignore__`` is no label at all. Keys
that LabelMe does not know it keeps when it saves, so score, attributes, split and origin survive an edit.

A polygon has the pixels whose centre is inside, so a mask outlined along its pixels' edges comes back as it was.
(LabelMe's own export draws with Pillow, which takes the pixels that the outline touches, too.)
"""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN, Geometry
from ...image import Image
from ...masks import Polygon
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..writing import replacing
from .documents import read_json
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import PICTURES, place_image
from .labelme_shapes import THIN, Drawn, Kind, parse_shape, shape_records
from .outlines import Shape, united
from .records import (
    CLASSES,
    about,
    checked_size,
    columns,
    extent,
    from_about,
    picture_truths,
    read_classes,
    unannotated,
    write_classes,
)
from .tree import Tree, inside

LABELS = "labels.txt"
VERSION = "5.8.1"  # of LabelMe, whose fields these are

_KEYS = (
    b'"shapes"',
    b'"imagePath"',
    b'"imageData"',
    b'"imageHeight"',
    b'"imageWidth"',
    b'"flags"',
    b'"version"',
)


class LabelMe(AnnotationFormat):
    """LabelMe's JSON files: polygons where they say a segment exactly, masks where it has holes."""

    name: ClassVar[str] = "labelme"
    title: ClassVar[str] = "LabelMe JSON"
    source: ClassVar[str] = "https://github.com/wkentaro/labelme"

    void: str = Field(
        "__ignore__", min_length=1, description="Label of shapes where nobody said what there is."
    )
    line_width_px: float = Field(
        0, ge=0, le=1000, description="Width to draw lines and points with; with 0 they are left out."
    )
    shapes: Kind = Field(
        "auto",
        description="Written shapes: polygons except for holes and crumbs (auto), or one kind for everything.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        if tree.focus is not None:
            names = [tree.focus] if tree.focus.lower().endswith(".json") else []
        else:
            names = [name for name in tree.with_suffix(".json") if name != CLASSES][:8]
        for name in names:
            head = tree.head(name)
            if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
                found = [key for key in _KEYS if key in head]
                if len(found) > 1 and found[0] in _KEYS[:3]:
                    keys = " and ".join(key.decode().strip('"') for key in found[:2])
                    return Recognised(0.95, f"{name} has LabelMe's {keys}")
        return None

    def open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        found: dict[str, tuple[str, str | None, dict[str, Any]]] = {}  # sample name to JSON, image, fields
        labels: set[str] = set()
        names = tree.with_suffix(".json") if tree.focus is None else [tree.focus]
        for path in names:
            if path == CLASSES and tree.focus is None:
                continue
            content, problem = _content(tree, path)
            if problem is not None:
                problems.append(problem)
            if content is None:
                continue
            image, fields, told = _belongings(tree, path, content)
            name = posixpath.splitext(path if image is None else image)[0]
            shapes, lies = self._parse(content)
            problems += [Problem(path, record, message, name) for record, message in told + lies]
            if image is None and fields is None:
                continue
            if name in found:
                other = found[name][0]
                problems.append(Problem(path, "", f"the image {name} has {other} already; keep one", name))
                continue
            found[name] = path, image, fields or {}
            labels |= {shape.label for shape in shapes}
        if not found and not problems:
            raise ReadError(f"{tree.root / (tree.focus or '')} has no LabelMe JSON; name the folder that has")
        listed = _listed(tree)
        classes = read_classes(
            tree, [name for name in [*listed, *sorted(labels)] if name not in (self.void, "_background_")]
        )
        samples = [self._sample(tree, name, *entry, classes) for name, entry in found.items()]
        if tree.focus is None:
            taken = {image for _, image, _ in found.values() if image is not None}
            folders = {posixpath.dirname(path) for path, _, _ in found.values()}
            samples += unannotated(tree, taken, folders, set(found))
        return Annotations(samples, classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        if self.void in classes.names:
            raise InputError(
                f"a class is called {self.void!r}, which means void here; set void to another name"
            )
        names = []
        for sample in samples:
            name = inside(sample.name)
            truths = picture_truths(sample, self.title)
            image = place_image(sample, folder, name)
            if truths:
                content: dict[str, Any] = {
                    "version": VERSION,
                    "flags": {},
                    "shapes": shape_records(truths[0], self.shapes, self.void),
                    "imagePath": "" if image is None else posixpath.basename(image),
                    "imageData": None,
                    "imageHeight": truths[0].shape[0],
                    "imageWidth": truths[0].shape[1],
                }
                if fields := about(sample):
                    content["smalti"] = fields
                with replacing(folder / f"{name}.json") as part:
                    part.write_text(
                        json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
                    )
            names.append(name)
        with replacing(folder / LABELS) as part:
            part.write_text("\n".join([self.void, "_background_", *classes.names]) + "\n", encoding="utf-8")
        write_classes(folder, classes)
        return names

    def polygons(self, sample: Sample) -> list[tuple[str, Polygon]]:
        if not sample.annotated:
            return []
        shapes, _ = self._parse(read_json(sample.truth_paths[0]))
        return [(each.record, Polygon(each.points_xy)) for each in shapes if each.kind == "polygon"]

    # Reading

    def _parse(self, content: dict[str, Any]) -> tuple[list[Drawn], list[tuple[str, str]]]:
        """The shapes that can be made pixels, and what is wrong with the others: record and message."""
        shapes, lies = [], []
        for number, record in enumerate(content["shapes"]):
            name = f"shape {number}"
            try:
                if not isinstance(record, dict):
                    raise InputError(f"wanted an object, got {type(record).__name__}")
                label = record.get("label")
                if not isinstance(label, str) or not label:
                    raise InputError(f"wanted a label, got {label!r}")
                name += f" ({label})"
                shapes.append(parse_shape(name, record))
                if shapes[-1].kind in THIN and not self.line_width_px:
                    shapes.pop()
                    raise InputError(
                        f"a {record['shape_type']} covers no pixels; set line_width_px to draw it with a width"
                    )
            except InputError as error:
                lies.append((name, str(error)))
        return shapes, lies

    def _sample(
        self,
        tree: Tree,
        name: str,
        path: str,
        image: str | None,
        fields: dict[str, Any],
        classes: ClassSet,
    ) -> Sample:
        file = tree.file(path)
        image_path = None if image is None else tree.file(image)
        embedded = fields.pop("embedded", False)
        if image_path is not None:
            load_image: Any = partial(read, image_path)
        else:
            load_image = partial(_embedded_image, file) if embedded else None
        load_truths = partial(self._truths, file, image_path, classes)
        return Sample(name, load_image, load_truths, image_path, (file,), **fields)

    def _truths(self, path: Path, image_path: Path | None, classes: ClassSet) -> tuple[Segmentation, ...]:
        content = read_json(path)
        if not isinstance(content.get("shapes"), list):
            raise ReadError(f"{path} has no shapes any more; open the dataset anew")
        shape, geometry = _extent(path, content, image_path)
        members: dict[Any, list[Drawn]] = {}
        voids: list[Runs] = []
        for number, each in enumerate(self._parse(content)[0]):
            if each.label == self.void:
                voids.append(_runs(path, each, shape, self.line_width_px))
            else:
                key = number if each.group_id is None else (each.label, each.group_id)
                members.setdefault(key, []).append(each)
        pieces = [(index, each) for index, group in enumerate(members.values(), 1) for each in group]
        runs = Runs.concatenate([_runs(path, each, shape, self.line_width_px) for _, each in pieces])
        groups = np.array([index for index, _ in pieces], np.int64)
        firsts = [group[0] for group in members.values()]
        truth = Segmentation.from_runs(
            shape,
            runs.merge(groups, len(firsts), shape[1]),
            class_ids=[classes.named(each.label).id for each in firsts],
            scores=[each.score for each in firsts],
            classes=classes,
            geometry=geometry,
            void=united(voids, shape) if voids else None,
            attributes=columns([each.attributes for each in firsts]),
        )
        return (truth,)


def _content(tree: Tree, path: str) -> tuple[dict[str, Any] | None, Problem | None]:
    """A LabelMe file, or what is wrong with it; neither for the JSON of something else."""
    file = tree.file(path)
    try:
        content = read_json(file, (dict, list))
    except ReadError as error:
        return None, Problem(path, "", str(error).removeprefix(str(file)).lstrip(": "))
    if not isinstance(content, dict) or not {"shapes", "imagePath"} & set(content):
        if tree.focus is not None:
            raise ReadError(f"{file} is no LabelMe JSON; wanted an object with shapes and imagePath")
        return None, None
    if not isinstance(content.get("shapes"), list):
        return None, Problem(path, "", f"wanted a list under 'shapes', got {content.get('shapes')!r}")
    return content, None


def _belongings(
    tree: Tree, path: str, content: dict[str, Any]
) -> tuple[str | None, dict[str, Any] | None, list[tuple[str, str]]]:
    """The image's path, the fields of the sample (None: it is left out), and what is wrong."""
    told: list[tuple[str, str]] = []
    fields: dict[str, Any] = {}
    try:
        fields = from_about(content["smalti"]) if "smalti" in content else {}
    except InputError as error:
        told.append(("smalti", str(error)))
    flags = content.get("flags")
    if isinstance(flags, dict) and flags:
        said = {str(name): str(value).lower() for name, value in flags.items() if isinstance(value, bool)}
        fields["metadata"] = {**said, **fields.get("metadata", {})}
    given = content.get("imagePath") or ""
    embedded = isinstance(content.get("imageData"), str) and bool(content["imageData"])
    image, wrong = _image_of(tree, path, str(given))
    if image is None and embedded:
        return None, fields | {"embedded": True}, told
    if wrong:
        return None, None, [*told, ("imagePath", wrong)]
    try:
        _declared(content)
    except InputError as error:
        return image, None if image is None else fields, [*told, ("imageHeight", str(error))]
    if image is None and content.get("imageHeight") is None:
        return None, None, [*told, ("imageHeight", "there is no image and no size; add one of them")]
    return image, fields, told


def _image_of(tree: Tree, path: str, given: str) -> tuple[str | None, str]:
    """The image file that a JSON names, or what is wrong with the name."""
    folder = posixpath.dirname(path)
    name = given.replace("\\", "/")
    if not name:
        return _same_stem(tree, path), ""
    full = posixpath.normpath(posixpath.join(folder, name))
    if full.startswith(("/", "../")):
        return (
            None,
            f"the image {given!r} is outside of the dataset; name it without folders, beside the JSON",
        )
    try:
        full = inside(full)
        if full in tree.path_set:
            return full, ""
        wrong = f"the image {given!r} is not there"
    except ReadError as error:
        wrong = str(error)
    moved = posixpath.join(folder, posixpath.basename(name))
    if moved in tree.path_set:
        return moved, ""
    if posixpath.splitext(posixpath.basename(name))[0] == posixpath.splitext(posixpath.basename(path))[0]:
        moved = _same_stem(tree, path) or ""
        if moved:
            return moved, ""
    return None, f"{wrong}; put it beside the JSON"


def _same_stem(tree: Tree, path: str) -> str | None:
    """A picture beside the JSON that is called as it is."""
    stem = posixpath.splitext(path)[0]
    names = (stem + suffix for suffix in (*PICTURES, *(suffix.upper() for suffix in PICTURES)))
    return next((name for name in names if name in tree.path_set), None)


def _listed(tree: Tree) -> list[str]:
    """Names in ``labels.txt``, which LabelMe is started with."""
    if LABELS not in tree.path_set:
        return []
    try:
        text = tree.file(LABELS).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{tree.file(LABELS)} cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _declared(content: dict[str, Any]) -> Shape | None:
    """The size that the JSON says; None if it says none. Raises ``InputError`` for one that cannot be."""
    size = content.get("imageHeight"), content.get("imageWidth")
    if size == (None, None):
        return None
    return checked_size(*size, "imageHeight and imageWidth")


def _extent(path: Path, content: dict[str, Any], image_path: Path | None) -> tuple[Shape, Geometry]:
    """Height, width and spacing, as the JSON and the image agree on. Raises ``ReadError``."""
    try:
        declared = _declared(content)
    except InputError as error:
        raise ReadError(f"{path}: {error}") from error
    there: tuple[int, ...]
    if image_path is not None:
        there, geometry = extent(image_path)
    elif content.get("imageData"):
        image = _embedded_image(path)
        there, geometry = image.shape, image.geometry
    elif declared is not None:
        return declared, UNKNOWN
    else:
        raise ReadError(f"{path} says no size, and there is no image; add one of them")
    if len(there) != 2 or (declared is not None and there != declared):
        wanted = "a picture" if declared is None else f"{declared[0]} x {declared[1]}"
        raise ReadError(
            f"{path}: imageHeight x imageWidth is {wanted}, the image {' x '.join(map(str, there))}; "
            "is it another image?"
        )
    return (there[0], there[1]), geometry


def _embedded_image(path: Path) -> Image:
    """The image that a JSON holds under ``imageData``."""
    try:
        return read(base64.b64decode(read_json(path).get("imageData") or "", validate=True))
    except (ValueError, ReadError) as error:
        raise ReadError(f"{path}, imageData: {error}") from error


def _runs(path: Path, drawn: Drawn, size: Shape, line_width_px: float) -> Runs:
    try:
        return drawn.runs(size, line_width_px)
    except (InputError, ReadError) as error:
        raise ReadError(f"{path}, {drawn.record}: {error}") from error
