"""GeoJSON features as segments: polygons laid onto the pixel grid of an image, wherever they were drawn.

A pixel belongs to a polygon that covers its centre (``masks.fill_polygons``). Coordinates are those of the image's
reference system, of another one (then pyproj moves them), or pixel corners of an image that lies nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError
from ..geometry import Geometry
from ..masks import MAX_COORDINATE
from ..runs import Runs
from ..segmentation import Segmentation
from .formats.outlines import line_runs, polygon_runs
from .formats.records import checked_size, columns
from .placing import Move, to_pixels_of, touches

_OWN = ("class", "score", "segment", "void")  # properties with a meaning of their own
_GEOMETRIES = (
    *("Polygon", "MultiPolygon", "GeometryCollection"),
    *("Point", "LineString", "MultiPoint", "MultiLineString"),
)
_LABELS = ("class", "class_name", "label", "category", "classification")  # where others keep the class


@dataclass(frozen=True)
class Feature:
    """One feature: its shapes as rings, lines and points (P, 2) of x, y, and what is said of it."""

    record: str  # which one, for messages
    properties: Mapping[str, Any]
    polygons: tuple[tuple[np.ndarray, ...], ...] = ()
    lines: tuple[np.ndarray, ...] = ()  # a point is a line of one

    @property
    def void(self) -> bool:
        """Whether it says that nobody has said what there is."""
        return self.properties.get("void") is True

    def points(self) -> np.ndarray:
        """All of its points (P, 2)."""
        rings = [ring for polygon in self.polygons for ring in polygon]
        return np.concatenate([*rings, *self.lines]) if rings or self.lines else np.empty((0, 2))


@dataclass(frozen=True)
class Collection:
    """The features of a file, its reference system (None where it names none), and the records that lie.

    ``size_hw`` is the size of the image whose pixel corners the coordinates are, where the file says so.
    """

    features: tuple[Feature, ...]
    crs: str | None = None
    size_hw: tuple[int, int] | None = None
    problems: tuple[tuple[str, str], ...] = ()  # record and message
    members: Mapping[str, Any] = field(default_factory=dict)  # what else the file has at its top


def parse_features(content: Any, name: str, lines: bool = False) -> Collection:
    """The features in the content of a GeoJSON file: a collection, one feature or geometry, or a list of features.

    ``lines`` says whether lines and points, which cover no pixels, are taken. Raises ``ReadError`` for what is none.
    """
    top = content if isinstance(content, Mapping) else {}
    found = content if isinstance(content, list) else top.get("features")
    if top.get("type") == "Feature":
        found = [content]
    elif top.get("type") in _GEOMETRIES:
        found = [{"type": "Feature", "geometry": content}]
    if not isinstance(found, list):
        raise ReadError(f"{name} is no GeoJSON: wanted a FeatureCollection, got type {top.get('type')!r}")
    features, problems = [], []
    for index, record in enumerate(found):
        where = f"feature {index}"
        try:
            if not isinstance(record, Mapping) or record.get("type") != "Feature":
                raise InputError(f"wanted an object of type Feature, got {str(record)[:60]!r}")
            features.append(_feature(record, where, lines))
        except InputError as error:
            problems.append((where, str(error)))
    members = {
        key: value for key, value in top.items() if key not in ("features", "type", "geometry", "coordinates")
    }
    try:
        size = _size(top)
    except InputError as error:
        raise ReadError(f"{name}, its member 'image': {error}") from error
    return Collection(tuple(features), _named_crs(top, name), size, tuple(problems), members)


def class_of(feature: Feature, label: str = "") -> str:
    """The name of a feature's class: its property ``label``, or one of those that tools use; else "object".

    A property may be an object with a name, as QuPath has it; ``a.b`` looks into it.
    """
    for key in (label,) if label else _LABELS:
        value: Any = feature.properties
        for part in key.split(".") if key not in feature.properties else (key,):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            value = value.get("name")
        if value is not None and value != "" and not isinstance(value, list):
            return str(value)
    return "object"


def segments_of(
    collection: Collection,
    shape: tuple[int, ...],
    geometry: Geometry,
    classes: ClassSet,
    *,
    name: str,
    label: str = "",
    crs: str = "",
    buffer_px: float | None = None,
    all_there: bool = True,
) -> Segmentation:
    """The segments on an image of ``shape`` (H, W): those that touch it, in the order of the features.

    ``crs`` says in which system the coordinates are, ``image`` meaning the image's; else the file's own is taken, and
    WGS 84 where it names none (RFC 7946), unless the numbers cannot be degrees and lie on the image. ``buffer_px`` is
    how far a line or point reaches. Raises ``ReadError`` naming file and feature; also where there are features and
    none touches the image, unless not ``all_there``.
    """
    size = (int(shape[0]), int(shape[1]))
    move = _way(collection, size, geometry, crs, name)
    runs: list[Runs] = []
    kept: list[Feature] = []
    voids: list[Runs] = []
    for feature in collection.features:
        try:
            points = move(feature.points())
            if len(points) and not touches(points, size, buffer_px or 0.0):
                continue
            placed = _runs_of(feature, move, size, buffer_px)
        except InputError as error:
            raise ReadError(f"{name}, {feature.record}: {error}") from error
        if feature.void:
            voids.append(placed)
        else:
            runs.append(placed)
            kept.append(feature)
    if collection.features and not kept and not voids and all_there:
        raise ReadError(
            f"{name}: none of its {len(collection.features)} features touches the image of {size[0]} x {size[1]} "
            "pixels; is it of another image, or another reference system? (crs=EPSG:..., image or pixels)"
        )
    void = None
    if voids:
        void = Runs.concatenate(voids).merge(np.ones(len(voids), np.int64), 1, size[1])
    return Segmentation.from_runs(
        size,
        Runs.concatenate(runs),
        class_ids=[classes.named(class_of(each, label)).id for each in kept],
        scores=[_score(each) for each in kept],
        classes=classes,
        geometry=geometry,
        void=void,
        attributes=_attributes(kept, label),
    )


# Records


def _feature(record: Mapping[str, Any], where: str, lines: bool) -> Feature:
    properties = record.get("properties")
    if not isinstance(properties, Mapping | None):
        raise InputError(f"its properties are {str(properties)[:60]!r}, wanted an object")
    properties = dict(properties or {})
    number = record.get("id")
    if isinstance(number, int | str) and not isinstance(number, bool) and number != properties.get("segment"):
        properties.setdefault("source_id", number)
    polygons: list[tuple[np.ndarray, ...]] = []
    paths: list[np.ndarray] = []
    _shapes(record.get("geometry"), polygons, paths)
    if paths and not lines:
        raise InputError(
            "lines and points cover no pixels; give buffer_px= to make them wide, or leave it out"
        )
    return Feature(where, properties, tuple(polygons), tuple(paths))


def _shapes(geometry: Any, polygons: list[tuple[np.ndarray, ...]], paths: list[np.ndarray]) -> None:
    """Add the shapes of a geometry, which may be null: a feature without a place."""
    if geometry is None:
        return
    if not isinstance(geometry, Mapping):
        raise InputError(f"its geometry is {str(geometry)[:60]!r}, wanted an object")
    kind, given = geometry.get("type"), geometry.get("coordinates", [])
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if not isinstance(members, list) or any(
            isinstance(each, Mapping) and each.get("type") == kind for each in members
        ):
            raise InputError("its GeometryCollection has no list of plain geometries")
        for each in members:
            _shapes(each, polygons, paths)
        return
    if not isinstance(given, list):
        raise InputError(f"its coordinates are {str(given)[:60]!r}, wanted a list")
    if kind in ("Polygon", "MultiPolygon"):
        for rings in [given] if kind == "Polygon" else given:
            if not isinstance(rings, list):
                raise InputError("a polygon is a list of rings")
            if rings:
                polygons.append(tuple(_ring(ring) for ring in rings))
    elif kind in ("Point", "LineString"):
        paths.append(_points([given] if kind == "Point" else given))
    elif kind == "MultiPoint":
        paths.extend(_points([point]) for point in given)
    elif kind == "MultiLineString":
        paths.extend(_points(line) for line in given)
    else:
        raise InputError(f"its geometry is of type {kind!r}, wanted Polygon or MultiPolygon")


def _ring(given: Any) -> np.ndarray:
    points = _points(given)
    if len(points) > 1 and (points[0] == points[-1]).all():
        points = points[:-1]
    if len(points) < 3:
        raise InputError(f"a ring has {len(points)} different points, wanted 3 at least")
    return points


def _points(given: Any) -> np.ndarray:
    """Points (P, 2); heights are left out."""
    try:
        points = np.array([(point[0], point[1]) for point in given], np.float64)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        points = np.empty((0, 2))
    if not len(points) or not (np.abs(points) <= MAX_COORDINATE).all():
        raise InputError(f"its coordinates are {str(given)[:60]}, wanted finite pairs [x, y], up to 2**31")
    return points


def _named_crs(top: Mapping[str, Any], name: str) -> str | None:
    """What the member ``crs`` of 2008 names."""
    crs = top.get("crs")
    if crs is None:
        return None
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    named = properties.get("name") if isinstance(properties, Mapping) else None
    if not isinstance(named, str):
        raise ReadError(f"{name}: its 'crs' is {str(crs)[:80]}, wanted the name of one; give crs=EPSG:...")
    return named


def _size(top: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size of the image whose pixels are meant, None where they are not. Raises ``InputError``."""
    image = top.get("image")
    if not isinstance(image, Mapping) or not str(image.get("coordinates", "")).startswith("pixel"):
        return None
    return checked_size(image.get("height"), image.get("width"))


def _score(feature: Feature) -> float:
    score: Any = feature.properties.get("score")
    return float(score) if _is_score(score) else 1.0


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _attributes(features: Sequence[Feature], label: str) -> dict[str, np.ndarray]:
    """Properties that say something of at least one segment, all but those with a meaning of their own."""
    meant = (*_OWN, label or "classification")
    records = [
        {
            key.removeprefix("attribute."): value
            for key, value in feature.properties.items()
            if (key not in meant or (key == "score" and not _is_score(value))) and value is not None
        }
        for feature in features
    ]
    empty = {key for record in records for key in record} - {
        key for record in records for key, value in record.items() if value != ""
    }
    return columns([{key: value for key, value in each.items() if key not in empty} for each in records])


# Places


def _way(collection: Collection, size: tuple[int, int], geometry: Geometry, crs: str, name: str) -> Move:
    if collection.size_hw is not None and not crs:
        if collection.size_hw != size:
            raise ReadError(f"{name} is of an image of {collection.size_hw} pixels, this one is {size}")
        return lambda points: points
    points = np.concatenate([feature.points() for feature in collection.features] or [np.empty((0, 2))])
    return to_pixels_of(size, geometry, collection.crs, crs, points, name)


def _runs_of(feature: Feature, move: Move, size: tuple[int, int], buffer_px: float | None) -> Runs:
    """The pixels of all shapes of a feature together."""
    parts = [polygon_runs([move(ring) for ring in rings], size) for rings in feature.polygons]
    if buffer_px is not None:
        parts += [line_runs(move(path), 2 * buffer_px, size) for path in feature.lines]
    if len(parts) == 1:
        return parts[0]
    return Runs.concatenate(parts).merge(np.ones(len(parts), np.int64), 1, size[1]) if parts else _NOTHING


_NOTHING = Runs(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))
