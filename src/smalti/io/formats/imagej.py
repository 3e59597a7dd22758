"""ImageJ regions of interest: ``.roi`` files and RoiSet archives beside the images they belong to.

A region has a name and a group but no class, no score and no piece in another slice. These are written as properties
of the region, which ImageJ keeps, the class also as the colour of its outline; what concerns the whole image is JSON in
the comment of the archive. Regions drawn by others are one class, or one for each group, or take it from their names;
see ``class_from``.
"""

from __future__ import annotations

import json
import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN, Geometry
from ...image import Image
from ...masks import Polygon, trace_polygons, trace_runs
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..archives import Archive
from ..source import MAX_PIXELS
from ..writing import replacing
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .imagej_files import region_contents, region_files
from .imagej_roi import AREAS, Roi, decode_roi, encode_roi
from .images import place_image
from .outlines import Shape, united
from .records import about, columns, extent, from_about, read_classes, rows, unannotated, write_classes
from .tree import Tree, inside

_NUMBERS = re.compile(r"[\s_#:.-]*\d[\d\s_#:.-]*$")
_OWN = ("class", "score", "segment")  # properties with a meaning of their own
_OTHER = "attribute."  # before the name of an attribute that is called as one of them


@dataclass(frozen=True)
class _Region:
    file: Path
    record: str  # which one, for messages
    roi: Roi
    class_name: str


class ImageJRoi(AnnotationFormat):
    """ImageJ's regions of interest, in volumes one for each slice."""

    name: ClassVar[str] = "imagej-roi"
    title: ClassVar[str] = "ImageJ ROI"
    source: ClassVar[str] = "https://imagej.net/ij/developer/source/ij/io/RoiDecoder.java.html"

    class_from: Literal["auto", "name", "group", "nothing"] = Field(
        "auto",
        description="What tells the class: a property, else the group (auto), the name without numbers, the group, "
        "or nothing.",
    )
    void: str = Field(
        "__ignore__", min_length=1, description="Class of regions where nobody said what there is."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        for name in [tree.focus] if tree.focus is not None else tree.with_suffix(".roi", ".zip"):
            head = tree.head(name, 512)
            if name.lower().endswith(".roi") and head.startswith(b"Iout"):
                return Recognised(0.95, f"{name} is an ImageJ region")
            length = int.from_bytes(head[26:28], "little")
            if head.startswith(b"PK\5\6") and b'{"shape": [' in head:
                return Recognised(0.95, f"{name} is an archive of no ImageJ regions")
            if head.startswith(b"PK\3\4") and head[30 : 30 + length].lower().endswith(b".roi"):
                return Recognised(0.95, f"{name} is an archive of ImageJ regions")
        return None

    def open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        sets, unmatched = region_files(tree)
        found: dict[str, tuple[str | None, list[str], dict[str, Any]]] = {}
        names: set[str] = set()
        for image, paths in [*sets.items(), *((None, [path]) for path in unmatched)]:
            name = posixpath.splitext(paths[0] if image is None else image)[0]
            told: dict[str, Any] = {}
            lies: list[Problem] = []
            for path in paths:
                try:
                    comment = _comment(tree.file(path))
                    told |= comment
                    for record, region in self._regions(tree.file(path)):
                        if isinstance(region, str):
                            lies.append(Problem(path, record, region, name))
                        else:
                            names.add(region.class_name)
                except (ReadError, InputError) as error:
                    lies.append(
                        Problem(path, "", str(error).removeprefix(str(tree.file(path))).lstrip(" ,:"), name)
                    )
            problems += lies
            if image is None and "shape" not in told:
                message = "there is no image called as it is; put it beside, with the same name"
                problems.append(Problem(paths[0], "", message, name))
            elif name in found:
                problems.append(Problem(paths[0], "", f"there is another image {name}; rename one", name))
            else:
                found[name] = image, paths, told
        if not found and not problems:
            raise ReadError(f"{tree.root / (tree.focus or '')} has no ImageJ regions (.roi or .zip)")
        classes = read_classes(tree, sorted(names - {self.void}))
        samples = [self._sample(tree, name, *entry, classes) for name, entry in found.items()]
        if tree.focus is None:
            folders = {posixpath.dirname(path) for path in sets}
            samples += unannotated(tree, set(sets), folders, set(found))
        return Annotations(samples, classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        if self.void in classes.names:
            raise InputError(
                f"a class is called {self.void!r}, which means void here; set void to another name"
            )
        names = []
        for sample in samples:
            name = inside(sample.name)
            place_image(sample, folder, name)
            if sample.annotated:
                truth = sample.truth
                told = json.dumps({"shape": truth.shape} | about(sample)).encode()
                with (
                    replacing(folder / f"{name}.zip") as part,
                    zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive,
                ):
                    archive.comment = told if len(told) < 2**16 else b""
                    for member, content in self._encoded(truth):
                        archive.writestr(zipfile.ZipInfo(member), content, zipfile.ZIP_DEFLATED)
            names.append(name)
        write_classes(folder, classes)
        return names

    # Reading

    def _regions(self, path: Path) -> Iterator[tuple[str, _Region | str]]:
        """The regions of a file with the record's name; text for one that cannot be pixels."""
        for record, stem, content in region_contents(path):
            if isinstance(content, ReadError):
                yield record, str(content).removeprefix(str(path)).lstrip(" ,:")
                continue
            try:
                roi = decode_roi(content)
                if roi.kind not in AREAS:
                    raise InputError(f"a region of the kind {roi.kind} covers no pixels; it is left out")
                if min(roi.position[1:3]) > 1:
                    raise InputError(
                        f"it lies in slice {roi.position[1]} of frame {roi.position[2]}, wanted one stack; "
                        "split the hyperstack"
                    )
                if "score" in roi.properties:
                    _score(roi)
                yield record, _Region(path, record, roi, self._class(roi, roi.name or stem))
            except InputError as error:
                yield record, str(error)

    def _class(self, roi: Roi, name: str) -> str:
        if self.class_from == "name":
            return _NUMBERS.sub("", name) or "object"
        if self.class_from == "auto" and roi.properties.get("class"):
            return roi.properties["class"]
        if self.class_from in ("auto", "group") and roi.group:
            return f"group {roi.group}"
        return "object"

    def _sample(
        self,
        tree: Tree,
        name: str,
        image: str | None,
        paths: list[str],
        told: dict[str, Any],
        classes: ClassSet,
    ) -> Sample:
        files = tuple(tree.file(path) for path in paths)
        image_path = None if image is None else tree.file(image)
        shape = tuple(told["shape"]) if "shape" in told else None
        return Sample(
            name,
            None if image_path is None else partial(_read_image, image_path, shape),
            partial(self._truths, files, image_path, shape, classes),
            image_path,
            files,
            **from_about(told),
        )

    def _truths(
        self,
        files: tuple[Path, ...],
        image_path: Path | None,
        told: tuple[int, ...] | None,
        classes: ClassSet,
    ) -> tuple[Segmentation, ...]:
        shape, geometry = _extent(files[0], image_path, told)
        members: dict[Any, list[_Region]] = {}
        voids: list[Runs] = []
        for path in files:
            for record, region in self._regions(path):
                if isinstance(region, str):
                    continue
                if region.class_name == self.void:
                    voids.append(_placed(region, shape))
                else:
                    key = region.roi.properties.get("segment", (path, record))
                    members.setdefault(key, []).append(region)
        pieces = [(index, each) for index, group in enumerate(members.values(), 1) for each in group]
        runs = Runs.concatenate([_placed(each, shape) for _, each in pieces])
        firsts = [group[0] for group in members.values()]
        truth = Segmentation.from_runs(
            shape,
            runs.merge(np.array([index for index, _ in pieces], np.int64), len(firsts), shape[-1]),
            class_ids=[classes.named(each.class_name).id for each in firsts],
            scores=[_score(each.roi) for each in firsts],
            classes=classes,
            geometry=geometry,
            void=united(voids, shape) if voids else None,
            attributes=columns([_attributes(each.roi) for each in firsts]),
        )
        return (truth,)

    # Writing

    def _encoded(self, truth: Segmentation) -> Iterator[tuple[str, bytes]]:
        """Name in the archive and content of each region."""
        taken: set[str] = set()
        flat = trace_runs(truth.runs, truth.shape) if truth.ndim == 2 else None
        for index, attributes in enumerate(rows(truth)):
            entry = truth.classes.of(truth.class_ids[index])
            name = str(attributes.pop("source_id", "")) or f"{entry.name}-{index + 1:04}"
            group = attributes.get("group", 0)
            group = attributes.pop("group") if isinstance(group, int) and 0 < group < 256 else 0
            told = {"class": entry.name}
            if truth.scores[index] != 1:
                told["score"] = repr(float(truth.scores[index]))
            told |= {_OTHER + key if key in _OWN else key: _told(value) for key, value in attributes.items()}
            slices = [(0, flat[index])] if flat is not None else list(_slices(*truth.crop(index + 1)))
            if len(slices) > 1:
                told["segment"] = str(index + 1)
            for position, polygons in slices:
                yield (
                    _member(name, taken),
                    encode_roi(
                        polygons,
                        name=name,
                        position=position,
                        group=group,
                        color=entry.color,
                        properties=told,
                    ),
                )
        if truth.void_px:
            void = truth.void
            slices = (
                [(0, trace_polygons(void))] if truth.ndim == 2 else list(_slices(void, (slice(0, 0),) * 3))
            )
            for position, polygons in slices:
                yield (
                    _member(self.void, taken),
                    encode_roi(polygons, name=self.void, position=position, properties={"class": self.void}),
                )


def _comment(path: Path) -> dict[str, Any]:
    """What the comment of an archive says of its image; nothing where somebody else wrote it."""
    if path.suffix.lower() != ".zip":
        return {}
    with Archive(path) as archive:
        try:
            told = json.loads(archive.comment)
        except ValueError:
            return {}
    shape = told.get("shape") if isinstance(told, dict) else None
    if not isinstance(shape, list):
        return {}
    whole = all(type(length) is int and length > 0 for length in shape)
    if not whole or len(shape) not in (2, 3) or int(np.prod(shape, dtype=object)) > MAX_PIXELS:
        raise InputError(f"its comment says the shape {shape}; wanted 2 or 3 numbers of pixels")
    from_about(told)
    return told


def _extent(
    path: Path, image_path: Path | None, told: tuple[int, ...] | None
) -> tuple[tuple[int, ...], Geometry]:
    if image_path is None:
        assert told is not None, "open leaves out regions that have neither image nor size"
        return told, UNKNOWN
    shape, geometry = extent(image_path)
    if told == (1, *shape):
        return told, UNKNOWN
    if told is not None and told != shape:
        raise ReadError(
            f"{path} was drawn on an image of {told}, {image_path} is {shape}; is it another image?"
        )
    return shape, geometry


def _read_image(path: Path, told: tuple[int, ...] | None) -> Image:
    """The image; a volume where one of a single slice was drawn on, which its file cannot tell from a picture."""
    image = read(path)
    return (
        image if told != (1, *image.shape) else Image(image.pixels[None], image.channels, source=image.source)
    )


def _placed(region: _Region, shape: tuple[int, ...]) -> Runs:
    """The pixels of a region, in a volume those of its slice, or of every slice where it names none."""
    size: Shape = shape[-2], shape[-1]
    runs = region.roi.runs(size)
    channel, z, t, plain = region.roi.position
    position = max(z, t) or (plain if channel <= 0 else 0)
    depth = shape[0] if len(shape) == 3 else 1
    if position < 0 or position > depth:
        where = f"{region.file}, {region.record}" if region.record else str(region.file)
        raise ReadError(f"{where}: it lies in slice {position}, the image has {depth}")
    if len(shape) == 2:
        return runs
    slices = range(depth) if position == 0 else range(position - 1, position)
    area = size[0] * size[1]
    start = np.concatenate([runs.start.astype(np.int64) + z * area for z in slices])
    stop = np.concatenate([runs.stop.astype(np.int64) + z * area for z in slices])
    return Runs(np.array([0, len(start)], np.int64), start, stop)


def _score(roi: Roi) -> float:
    text = roi.properties.get("score", "1")
    try:
        score = float(text)
    except ValueError:
        score = -1
    if not 0 <= score <= 1:
        raise InputError(f"a score is a number from 0 to 1, got {text!r}")
    return score


def _attributes(roi: Roi) -> dict[str, Any]:
    """Name, group and properties of a region."""
    attributes: dict[str, Any] = {"source_id": roi.name} if roi.name else {}
    if roi.group:
        attributes["group"] = roi.group
    for key, text in roi.properties.items():
        if key not in _OWN:
            attributes[key.removeprefix(_OTHER)] = _value(text)
    return attributes


def _value(text: str) -> bool | int | float | str:
    """A property's value: a bool or number where it looks like one, else text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _told(value: Any) -> str:
    """The text that ``_value`` makes the same value of."""
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _value(value) == value and value == value.strip() else json.dumps(value)


def _member(name: str, taken: set[str]) -> str:
    """A file name in the archive that is not taken yet."""
    plain = re.sub(r"[\x00-\x1f/\\:*?\"<>|]", "_", name)[:100].strip(". ") or "region"
    number, member = 1, plain
    while member.lower() in taken:
        number += 1
        member = f"{plain}-{number}"
    taken.add(member.lower())
    return f"{member}.roi"


def _slices(crop: np.ndarray, place: tuple[slice, ...]) -> Iterator[tuple[int, list[Polygon]]]:
    """The outlines of a mask (d, h, w) in each slice that has any of it, with the slice's number from 1.

    A mask without pixels is one outline of nothing.
    """
    top, left = place[1].start, place[2].start
    used = np.flatnonzero(crop.any(axis=(1, 2))) if crop.size else np.zeros(0, int)
    for z in used.tolist():
        moved = [
            Polygon(polygon.exterior_xy + [left, top], tuple(hole + [left, top] for hole in polygon.holes_xy))
            for polygon in trace_polygons(crop[z])
        ]
        yield place[0].start + z + 1, moved
    if not len(used):
        yield 0, []
