"""GeoJSON beside the images it lies on: GeoTIFFs in any reference system, or pictures with pixel coordinates.

``NAME.geojson`` belongs to the image of the same name, beside it or the only one so called. Written are exact pixel
outlines in the world's coordinates where the image is a GeoTIFF, else in pixels, with class, score and attributes as
properties; what is known of a sample is the member ``smalti`` at the top, and ``classes.json`` has the classes.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN, Geometry
from ...sample import Sample
from ...segmentation import Segmentation
from ...table import Table
from .. import read
from ..decoding import Request
from ..features import Collection, class_of, parse_features, segments_of
from ..geo import nodata_of
from ..geojson import to_geojson
from ..headers import image_size
from ..source import opened
from ..tiff import tiff_extent
from ..writing import replacing
from .documents import read_json
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import PICTURES, place_image
from .records import about, from_about, picture_truths, read_classes, write_classes
from .roles import IMAGE_WORDS, MASK_WORDS, split_of, without
from .tree import Tree, inside

_TIFF = (".tif", ".tiff")
_WORDS = IMAGE_WORDS | MASK_WORDS | {"geojson", "polygons", "footprints", "buildings", "fields", "roads"}
_OWN = ("segment", "class", "score", "void")  # properties with a meaning of their own
_MEMBER = "smalti"


class GeoJson(AnnotationFormat):
    """GeoJSON polygons over GeoTIFFs, or over pictures in pixel coordinates as slide viewers write them."""

    name: ClassVar[str] = "geojson"
    title: ClassVar[str] = "GeoJSON"
    source: ClassVar[str] = "https://www.rfc-editor.org/rfc/rfc7946"

    label: str = Field(
        "", description="Property that names the class; else class, label, category or classification."
    )
    images: str = Field("", description="File or glob of the images, such as **/*_ms.tif; empty for all.")
    labels: str = Field("", description="File or glob of the GeoJSONs; a single file belongs to all images.")
    match: str = Field(
        "", description="Regular expression whose bracket is the same in the names of image and GeoJSON."
    )
    crs: str = Field(
        "", description="Reference system of the coordinates: EPSG:4326 and the like, image, or pixels."
    )
    buffer_px: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="How far lines and points reach, in pixels; else they are problems.",
    )
    nodata: bool = Field(True, description="Pixels without data in all bands of a GeoTIFF are void.")

    @field_validator("match")
    @classmethod
    def _is_pattern(cls, given: str) -> str:
        try:
            if given and re.compile(given).groups < 1:
                raise ValueError(f"{given!r} needs a bracket around what both names share, such as (img\\d+)")
        except re.error as error:
            raise ValueError(f"{given!r} is no regular expression: {error}") from error
        return given

    def recognise(self, tree: Tree) -> Recognised | None:
        for path in _geojsons(tree)[:50]:
            head = tree.head(path)
            if b'"FeatureCollection"' in head or b'"Feature"' in head:
                return Recognised(0.9, f"{path} has GeoJSON features")
        return None

    def open(self, tree: Tree) -> Annotations:
        images = [path for path in tree.with_suffix(*PICTURES) if _is_meant(path, self.images)]
        labels = [path for path in _geojsons(tree) if _is_meant(path, self.labels)]
        if not labels:
            raise ReadError(f"{tree.root / (tree.focus or '')} has no GeoJSON; check the folder and labels=")
        pairs, problems = self._pairs(tree, images, labels)
        names: dict[str, None] = {}
        collections: dict[str, Collection] = {}
        for path in labels:
            try:
                file = tree.file(path)
                found = parse_features(read_json(file, (dict, list)), str(file), self.buffer_px is not None)
                _told(found)
            except (ReadError, InputError) as error:
                problems.append(Problem(path, "", str(error).removeprefix(str(tree.file(path))).lstrip(" :")))
                continue
            collections[path] = found
            problems += [Problem(path, record, message) for record, message in found.problems]
            names |= dict.fromkeys(class_of(each, self.label) for each in found.features if not each.void)
        if len(labels) == len(problems) and not collections and len(labels) == 1:
            raise ReadError(f"{tree.file(labels[0])}: {problems[-1].message}")
        classes = read_classes(tree, names)
        samples = []
        for image, label in pairs:
            if label is None or label in collections:
                told = {} if label is None else _told(collections[label])
                samples.append(self._sample(tree, image, label, told, classes, len(labels) < len(pairs)))
        return Annotations(samples, classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        names = []
        for sample in samples:
            truths = picture_truths(sample, self.title)
            name = inside(sample.name)
            image = _place(sample, folder, name, truths)
            if truths:
                truth = truths[0]
                extent = None if image is None else _extent(folder / image)
                told = _plain(about(sample)) | {"shape": list(truth.shape)}
                content = {_MEMBER: told} | _content(
                    truth, extent
                )  # first, so that the head of the file tells
                with replacing(folder / f"{name}.geojson") as part:
                    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
                    part.write_text(text, encoding="utf-8")
            names.append(name)
        write_classes(folder, classes)
        return names

    # Pairs

    def _pairs(
        self, tree: Tree, images: Sequence[str], labels: Sequence[str]
    ) -> tuple[list[tuple[str | None, str | None]], list[Problem]]:
        """Images with their GeoJSON, then GeoJSONs that need no image."""
        if self.labels and len(labels) == 1:
            return [(image, labels[0]) for image in images] or [(None, labels[0])], []
        index = _Index.of(images, self.match)
        pairs: dict[str, str] = {}
        alone: list[str] = []
        problems: list[Problem] = []
        for path in labels:
            image = index.image_of(path, len(labels) == 1)
            if image is None:
                alone.append(path)
            elif image in pairs:
                message = (
                    f"it and {pairs[image]} belong to one image, {image}; keep one, or name it with labels="
                )
                problems.append(Problem(path, "", message))
            else:
                pairs[image] = path
        folders = {posixpath.dirname(image) for image in pairs}
        told = [path for path in alone if f'"{_MEMBER}"'.encode() in tree.head(path, 64)]
        problems += [
            Problem(path, "", "no image is called as it is; name it with images=, or give match=")
            for path in alone
            if path not in told
        ]
        unlabelled = [
            image
            for image in images
            if tree.focus is None
            and image not in pairs
            and (self.images or posixpath.dirname(image) in folders)
        ]
        found: list[tuple[str | None, str | None]] = [
            (image, pairs.get(image)) for image in images if image in pairs
        ]
        return [*found, *((None, path) for path in told), *((image, None) for image in unlabelled)], problems

    def _sample(
        self,
        tree: Tree,
        image: str | None,
        label: str | None,
        told: Mapping[str, Any],
        classes: ClassSet,
        shared: bool,
    ) -> Sample:
        place = image or label or ""
        image_path = None if image is None else tree.file(image)
        label_path = None if label is None else tree.file(label)
        fields = from_about(told)
        if fields["split"] is None and not told:
            fields["split"] = next((s for s in map(split_of, place.split("/")[:-1]) if s), None)
        load = None if label_path is None else partial(self._truths, label_path, image_path, classes, shared)
        return Sample(
            posixpath.splitext(place)[0],
            None if image_path is None else partial(read, image_path),
            load,
            image_path,
            () if label_path is None else (label_path,),
            **fields,
        )

    # Reading

    def _truths(
        self, path: Path, image: Path | None, classes: ClassSet, shared: bool
    ) -> tuple[Segmentation, ...]:
        found = parse_features(read_json(path, (dict, list)), str(path), self.buffer_px is not None)
        ours = found.members.get(_MEMBER)
        if image is None:
            shape = ours.get("shape") if isinstance(ours, Mapping) else None
            if not isinstance(shape, list) or len(shape) != 2 or found.size_hw is None:
                raise ReadError(f"{path} has no image and does not say its size; put the image beside it")
            extent = _Extent(found.size_hw, UNKNOWN)
        else:
            extent = _extent(image)
        try:
            truth = segments_of(
                found,
                extent.shape,
                extent.geometry,
                classes,
                name=str(path),
                label=self.label,
                crs=self.crs,
                buffer_px=self.buffer_px,
                all_there=not shared,
            )
        except InputError as error:
            raise ReadError(f"{path}: {error}") from error
        if self.nodata and extent.nodata is not None and image is not None and ours is None:
            truth = _with_nodata(truth, image, extent.nodata)
        return (truth,)


@dataclass(frozen=True)
class _Extent:
    shape: tuple[int, ...]
    geometry: Geometry
    nodata: float | None = None


def _extent(image: Path) -> _Extent:
    """Size and place of an image, from its header where that says it."""
    if image.suffix.lower() not in _TIFF:
        return _Extent(image_size(image), UNKNOWN)
    with opened(image) as (file, name):
        shape, geometry, tags = tiff_extent(file, Request(name))
    if len(shape) != 2:
        raise ReadError(f"{image} is a volume of {shape}, GeoJSON lies on pictures")
    return _Extent(shape, geometry, nodata_of(tags))


def _with_nodata(truth: Segmentation, image: Path, nodata: float) -> Segmentation:
    pixels = read(image).pixels
    empty = (np.isnan(pixels) if np.isnan(nodata) else pixels == nodata).all(axis=-1)
    return truth.replace(void=truth.void | empty) if empty.any() else truth


def _told(collection: Collection) -> dict[str, Any]:
    """What smalti has written of the sample. Raises ``InputError`` for what it cannot have written."""
    told = collection.members.get(_MEMBER, {})
    if not isinstance(told, Mapping):
        raise InputError(f"its member {_MEMBER!r} is {told!r:.60}, wanted an object")
    told = dict(told)
    metadata = told.get("metadata")
    if isinstance(metadata, Mapping):
        told["metadata"] = {name: value for name, value in metadata.items() if value is not None}
    from_about(told)
    return told


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a sample as JSON has it: numbers that do not exist are null."""
    metadata = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in told.get("metadata", {}).items()
    }
    return {**told, **({"metadata": metadata} if metadata else {})}


# Finding images


def _geojsons(tree: Tree) -> list[str]:
    if tree.focus is not None:
        return [tree.focus] if tree.focus.lower().endswith((".geojson", ".json")) else []
    found = tree.with_suffix(".geojson")
    return found or [path for path in tree.with_suffix(".json") if b'"FeatureCollection"' in tree.head(path)]


def _is_meant(path: str, pattern: str) -> bool:
    """Whether a path is the file, or fits the glob, that a person named; anything does where nothing was."""
    pattern = inside(pattern) if pattern else ""
    folders = pattern.removeprefix("**/") != pattern
    return (
        not pattern
        or path == pattern
        or fnmatchcase(path, pattern)
        or (folders and fnmatchcase(path, pattern.removeprefix("**/")))
    )


@dataclass(frozen=True)
class _Index:
    """Images by their place, their names, and what is left of these without words such as ``_image``."""

    by_place: Mapping[str, str]
    by_key: Mapping[str, Sequence[str]]
    by_folder: Mapping[str, Sequence[str]]
    pattern: str

    @classmethod
    def of(cls, images: Sequence[str], pattern: str) -> _Index:
        by_key: dict[str, list[str]] = {}
        by_folder: dict[str, list[str]] = {}
        for path in images:
            for key in _keys(path, pattern):
                by_key.setdefault(key, []).append(path)
            by_folder.setdefault(posixpath.dirname(path), []).append(path)
        return cls({posixpath.splitext(path)[0]: path for path in images}, by_key, by_folder, pattern)

    def image_of(self, label: str, alone: bool) -> str | None:
        """The image of a GeoJSON; the only one beside the only GeoJSON is, whatever they are called."""
        near = None if self.pattern else self.by_place.get(posixpath.splitext(label)[0])
        if near is not None:
            return near
        for key in _keys(label, self.pattern):
            found = self.by_key.get(key, ())
            if len(found) == 1:
                return found[0]
        beside = self.by_folder.get(posixpath.dirname(label), ())
        return beside[0] if alone and len(beside) == 1 else None


def _keys(path: str, pattern: str) -> list[str]:
    stem = posixpath.splitext(posixpath.basename(path))[0]
    if pattern:
        found = re.search(pattern, stem)
        return [found[1]] if found else []
    return list(dict.fromkeys((stem, without(stem, _WORDS)))) if without(stem, _WORDS) else [stem]


# Writing


def _place(sample: Sample, folder: Path, name: str, truths: Sequence[Segmentation]) -> str | None:
    """Write the image; as GeoTIFF if the truth lies on the earth and the image is no TIFF."""
    if sample.load_image is None or not truths or truths[0].geometry.affine is None:
        return place_image(sample, folder, name)
    path = sample.image_path
    if path is not None and path.suffix.lower() in _TIFF:
        return place_image(sample, folder, name, _TIFF)
    image = sample.image
    if image.geometry.affine is None:
        image = replace(image, geometry=truths[0].geometry)
    placed = replace(sample, load_image=partial(_itself, image), image_path=None)
    return place_image(placed, folder, name, _TIFF)


def _itself(image: Any) -> Any:
    return image


def _content(truth: Segmentation, extent: _Extent | None) -> dict[str, Any]:
    """The features: in the world where the image that was written lies where the truth does, else in pixels."""
    here, there = truth.geometry.affine, None if extent is None else extent.geometry.affine
    world = here is not None and there is not None and np.array_equal(here, there) and here.shape == (3, 3)
    if world and extent is not None and truth.geometry.crs != extent.geometry.crs:
        world = False
    attributes = {
        f"attribute.{name}" if name in _OWN else name: column
        for name, column in sorted(truth.attributes.items())
    }
    return to_geojson(truth, Table(attributes) if attributes else None, world=world)
