"""One shape of LabelMe: its record checked, its pixels, and the records of a segmentation."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...errors import InputError
from ...masks import MAX_COORDINATE, Polygon, polygon_to_coco, trace_runs
from ...runs import Runs
from ...segmentation import Segmentation
from .. import read
from .outlines import Shape, crop_runs, ellipse_runs, line_runs, polygon_runs, rectangle_xy, united
from .records import rows

THIN = ("line", "linestrip", "point", "points")
"""Kinds of shapes that cover no pixels."""

Kind = Literal["auto", "polygon", "mask"]

_POINTS = {  # kind of shape to how many points it has, at least and at most
    "polygon": (3, None),
    "rectangle": (2, 4),
    "oriented_rectangle": (4, 4),
    "rotation": (4, 4),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "points": (1, None),
    "mask": (1, 2),
}
_MOST_POLYGONS = 16  # pieces of one segment that are still handy as polygons to edit


@dataclass(frozen=True, eq=False)
class Drawn:
    """A checked shape."""

    record: str  # which one, for messages
    label: str
    kind: str
    points_xy: np.ndarray
    group_id: int | str | None
    mask: str
    score: float
    attributes: dict[str, Any]

    def runs(self, shape: Shape, line_width_px: float) -> Runs:
        """Its pixels in an image of ``shape``, cut off outside. Raises ``InputError`` and ``ReadError`` for a mask
        that is damaged."""
        points = self.points_xy
        if self.kind == "mask":
            return _mask_runs(self.mask, points, shape)
        if self.kind == "circle":
            radius = float(np.hypot(*(points[1] - points[0])))
            return ellipse_runs((points[0, 0], points[0, 1]), (radius, radius), shape)
        if self.kind == "points":
            return united([line_runs(point[None], line_width_px, shape) for point in points], shape)
        if self.kind in THIN:
            return line_runs(points, line_width_px, shape)
        if len(points) == 2:
            points = rectangle_xy(*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
        return polygon_runs([points], shape)


def parse_shape(name: str, record: dict[str, Any]) -> Drawn:
    """One record checked. Raises ``InputError``."""
    kind = record.get("shape_type") or "polygon"
    if not isinstance(kind, str) or kind not in _POINTS:
        raise InputError(f"the shape type {kind!r} is not known; there are: {', '.join(_POINTS)}")
    points = record.get("points")
    try:
        array = np.asarray(points if points else np.empty((0, 2)))
    except ValueError:
        array = np.empty(0, object)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise InputError(f"points are [x, y] each, got {str(points)[:80]}")
    array = array.astype(np.float64)
    if not (np.abs(array) <= MAX_COORDINATE).all():
        raise InputError("points are finite numbers of pixels")
    fewest, most = _POINTS[kind]
    if not fewest <= len(array) <= (most or len(array)) or (kind, len(array)) == ("rectangle", 3):
        wanted = f"{fewest}" if most == fewest else f"{fewest} or {most}" if most else f"{fewest} or more"
        raise InputError(f"a {kind} has {wanted} points, got {len(array)}")
    mask = record.get("mask")
    if kind == "mask" and (not isinstance(mask, str) or not mask):
        raise InputError("a mask needs its PNG in base64 under 'mask'")
    group_id = record.get("group_id")
    if isinstance(group_id, bool) or not isinstance(group_id, int | str | None):
        raise InputError(f"group_id is a whole number or null, got {group_id!r}")
    score = 1.0 if record.get("score") is None else record["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InputError(f"a score is a number from 0 to 1, got {score!r}")
    attributes = _attributes(record, group_id)
    return Drawn(name, record["label"], kind, array, group_id, mask or "", float(score), attributes)


def _attributes(record: dict[str, Any], group_id: int | str | None) -> dict[str, Any]:
    """Group, description, flags and whatever else tools put under ``attributes``."""
    attributes: dict[str, Any] = {}
    if isinstance(group_id, int):
        attributes["group_id"] = group_id
    if isinstance(record.get("description"), str) and record["description"]:
        attributes["description"] = record["description"]
    if isinstance(record.get("difficult"), bool):
        attributes["difficult"] = record["difficult"]
    for key in ("flags", "attributes"):
        if isinstance(record.get(key), dict):
            attributes |= record[key]
    return attributes


def _mask_runs(text: str, points_xy: np.ndarray, shape: Shape) -> Runs:
    """The pixels of a PNG in base64 whose corners are ``points_xy``, the second one a pixel of the mask too."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InputError(f"its mask is no base64: {error}") from error
    pixels = read(content, max_pixels=4 * shape[0] * shape[1] + 1).pixels
    corners = np.round(points_xy).astype(np.int64)
    if len(corners) == 2 and (np.abs(np.ptp(corners, axis=0) + 1 - pixels.shape[1::-1]) > 1).any():
        wide, high = (np.ptp(corners, axis=0) + 1).tolist()
        raise InputError(
            f"its points span {high} x {wide} pixels, its mask has {pixels.shape[0]} x {pixels.shape[1]}"
        )
    left, top = corners.min(axis=0).tolist()
    return crop_runs(pixels[..., 0] != 0, top, left, shape)


# Writing


def shape_records(truth: Segmentation, kind: Kind, void: str) -> list[dict[str, Any]]:
    """The records of all segments, and of void as a mask with that label."""
    records = rows(truth)
    kept, free = _group_ids(truth, records)
    shapes = []
    for index, polygons in enumerate(trace_runs(truth.runs, truth.shape)):
        attributes = records[index]
        if kept[index] is not None:
            attributes.pop("group_id", None)
        entry: dict[str, Any] = {
            "label": truth.classes.of(truth.class_ids[index]).name,
            "points": [],
            "group_id": kept[index],
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        if isinstance(attributes.get("description"), str):
            entry["description"] = attributes.pop("description")
        if truth.scores[index] != 1:
            entry["score"] = float(truth.scores[index])
        if attributes:
            entry["attributes"] = attributes
        parts = _parts(truth, index + 1, polygons, kind)
        if len(parts) > 1 and entry["group_id"] is None:
            entry["group_id"] = free
            free += 1
        shapes += [entry | part for part in parts]
    if truth.void_px:
        shapes.append({"label": void, "group_id": None, "flags": {}} | _mask_record(truth.void, 0, 0))
    return shapes


def _parts(truth: Segmentation, k: int, polygons: Sequence[Polygon], kind: Kind) -> list[dict[str, Any]]:
    """Points, kind and mask of the shapes that together are segment ``k``."""
    holes = any(polygon.holes_xy for polygon in polygons)
    crumbs = len(polygons) > _MOST_POLYGONS
    if not polygons or kind == "mask" or (kind == "auto" and (holes or crumbs)):
        mask, place = truth.crop(k)
        return [_mask_record(mask, place[0].start, place[1].start)]
    rings = (np.reshape(polygon_to_coco(polygon), (-1, 2)) for polygon in polygons)  # holes cut open
    return [{"points": ring.tolist()} for ring in rings]


def _mask_record(mask: np.ndarray, top: int, left: int) -> dict[str, Any]:
    from PIL import Image as PillowImage

    mask = mask if mask.size else np.zeros((1, 1), bool)
    file = io.BytesIO()
    PillowImage.fromarray(mask).save(file, "PNG")
    bottom, right = top + mask.shape[0] - 1, left + mask.shape[1] - 1
    return {
        "points": [[float(left), float(top)], [float(right), float(bottom)]],
        "shape_type": "mask",
        "mask": base64.b64encode(file.getvalue()).decode("ascii"),
    }


def _group_ids(truth: Segmentation, records: list[dict[str, Any]]) -> tuple[list[int | None], int]:
    """The ``group_id`` of each segment, where no other of its class has the same, and the first that is free."""
    given = [record.get("group_id") for record in records]
    keys = list(zip(truth.class_ids.tolist(), given, strict=True))
    members = Counter(keys)
    kept = [
        number if type(number) is int and members[key] == 1 else None
        for key, number in zip(keys, given, strict=True)
    ]
    return kept, max((number for number in kept if number is not None), default=0) + 1
