"""What one person drew in Label Studio: the results of an annotation as regions, and their pixels.

Lengths are percent of the image's width or height. A rectangle turns about its top left corner, an ellipse about its
centre, clockwise on a screen. A region may come as several results with one id: what was drawn, its label, and
answers to questions about it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InputError
from ...masks import MAX_COORDINATE
from ...runs import Runs
from .. import read
from .label_studio_brush import check_brush, decode_brush
from .outlines import Shape, crop_runs, ellipse_runs, polygon_runs, rectangle_xy, turned
from .records import checked_size

_THIN = ("keypoint", "vector", "brushpoint")
_ANSWERS = ("choices", "textarea", "rating", "number", "taxonomy", "datetime")


@dataclass(frozen=True, eq=False)
class Region:
    """A checked region. ``numbers`` are percent: points (P, 2), or x, y, and sizes or radii."""

    record: str  # which one, for messages
    kind: str
    label: str
    shape: Shape
    numbers: np.ndarray
    degrees: float = 0.0
    content: bytes = b""  # of a brush or bitmask
    score: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def runs(self, least_alpha: int) -> Runs:
        """Its pixels. Raises ``InputError`` for a brush that is damaged and ``ReadError`` for such a bitmask."""
        height, width = self.shape
        if self.kind == "brush":
            return crop_runs(decode_brush(self.content, self.shape, least_alpha), 0, 0, self.shape)
        if self.kind == "bitmask":
            pixels = read(self.content, max_pixels=height * width).pixels
            if pixels.shape[:2] != self.shape:
                raise InputError(f"its bitmask has {pixels.shape[:2]} pixels, the image {self.shape}")
            return crop_runs(pixels[..., -1] > 0, 0, 0, self.shape)
        scale = np.array([width, height]) / 100
        if self.kind == "polygon":
            return polygon_runs([self.numbers * scale], self.shape)
        (x, y), (w, h) = (self.numbers.reshape(2, 2) * scale).tolist()
        if self.kind == "ellipse":
            return ellipse_runs((x, y), (w, h), self.shape, self.degrees)
        corners = rectangle_xy(x, y, x + w, y + h)
        return polygon_runs(
            [turned(corners, corners[0], self.degrees) if self.degrees else corners], self.shape
        )


@dataclass(frozen=True, eq=False)
class Drawn:
    """All that one annotation says: its regions, answers about the whole image, and what is wrong with the rest."""

    regions: list[Region]
    answers: dict[str, str]
    lies: list[tuple[str, str]]  # record and message


def parse_results(results: list[Any], size: Shape | None) -> Drawn:
    """The regions of an annotation's results; ``size`` is that of the task where it says one."""
    groups: dict[str, list[dict[str, Any]]] = {}
    drawn = Drawn([], {}, [])
    for number, result in enumerate(results):
        if not isinstance(result, dict) or not isinstance(result.get("value", {}), dict):
            drawn.lies.append((f"result {number}", f"wanted an object with a value, got {str(result)[:60]}"))
        elif result.get("type") != "relation":
            groups.setdefault(str(result.get("id") or number), []).append(result)
    for key, members in groups.items():
        record = f"region {key}"
        shapes = [each for each in members if _kind(each) not in _ANSWERS and _is_drawn(each)]
        answers = {str(each.get("from_name")): _answer(each) for each in members if _kind(each) in _ANSWERS}
        if not shapes and len(answers) == len(members):
            drawn.answers.update(answers)
            continue
        try:
            for region in _regions(record, members, shapes, answers, size):
                size = size or region.shape
                drawn.regions.append(region)
        except InputError as error:
            drawn.lies.append((record, str(error)))
    return drawn


def _regions(
    record: str,
    members: list[dict[str, Any]],
    shapes: list[dict[str, Any]],
    answers: dict[str, str],
    size: Shape | None,
) -> list[Region]:
    """A region for each label that one has. Raises ``InputError``."""
    if not shapes:
        kind = _kind(members[0])
        thin = kind in _THIN
        raise InputError(
            f"a {kind} covers no pixels; it is left out" if thin else f"the type {kind!r} is not known"
        )
    result = shapes[0]
    shape = _size(result)
    if size is not None and shape != size:
        raise InputError(f"it was drawn on {shape[0]} x {shape[1]} pixels, others on {size[0]} x {size[1]}")
    if result.get("image_rotation", 0):
        raise InputError(
            f"the image was turned by {result['image_rotation']} degrees; turn it back and export again"
        )
    labels = list(dict.fromkeys(label for each in members for label in _labels(each)))
    if not labels:
        raise InputError("it has no label; give it one in Label Studio")
    value = result["value"]
    kind, numbers, content = _drawing(value, shape)
    score = next((each["score"] for each in members if _is_score(each.get("score"))), None)
    attributes: dict[str, Any] = {"source_id": str(result["id"])} if result.get("id") else {}
    attributes |= answers | _meta(result.get("meta"))
    degrees = _number(value.get("rotation", 0), "rotation")
    return [
        Region(record, kind, label, shape, numbers, degrees, content, score, attributes) for label in labels
    ]


def _drawing(value: dict[str, Any], shape: Shape) -> tuple[str, np.ndarray, bytes]:
    """Kind, numbers in percent, and bytes of what was drawn."""
    nothing = np.zeros(0)
    if "rle" in value:
        rle = value["rle"]
        if not isinstance(rle, list) or not all(type(byte) is int and 0 <= byte < 256 for byte in rle):
            raise InputError("rle is a list of bytes, 0 to 255")
        content = bytes(rle)
        check_brush(content, shape)
        return "brush", nothing, content
    if "imageDataURL" in value:
        head, _, text = str(value["imageDataURL"]).partition(",")
        try:
            if not head.endswith(";base64"):
                raise ValueError(f"it begins with {head[:40]!r}")
            return "bitmask", nothing, base64.b64decode(text, validate=True)
        except ValueError as error:
            raise InputError(f"imageDataURL is a PNG in base64: {error}") from None
    if "points" in value:
        try:
            points = np.asarray(value["points"])
        except ValueError:
            points = nothing
        if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iuf" or len(points) < 3:
            raise InputError(f"points are [x, y] in percent, 3 or more, got {str(value['points'])[:60]}")
        if not (np.abs(points) <= MAX_COORDINATE / max(shape)).all():
            raise InputError("points are finite numbers of percent")
        return "polygon", points.astype(np.float64), b""
    ellipse = "radiusX" in value
    names = ("x", "y", "radiusX", "radiusY") if ellipse else ("x", "y", "width", "height")
    numbers = np.array([_number(value.get(name), name) for name in names])
    if (numbers[2:] < 0).any():
        raise InputError(f"{names[2]} and {names[3]} are 0 or more, got {numbers[2:].tolist()}")
    return "ellipse" if ellipse else "rectangle", numbers, b""


def _kind(result: dict[str, Any]) -> str:
    return str(result.get("type", "")).lower().removesuffix("labels") or "labels"


def _is_drawn(result: dict[str, Any]) -> bool:
    if _kind(result) in _THIN or "vertices" in result.get("value", {}):
        return False
    value = result.get("value", {})
    return any(name in value for name in ("rle", "imageDataURL", "points", "radiusX")) or (
        "width" in value and "height" in value
    )


def _labels(result: dict[str, Any]) -> list[str]:
    """The names under ``polygonlabels``, ``brushlabels``, ``labels`` ..."""
    for name, labels in result.get("value", {}).items():
        if name.endswith("labels") and isinstance(labels, list):
            return [label for label in labels if isinstance(label, str) and label]
    return []


def _answer(result: dict[str, Any]) -> str:
    value = result.get("value", {})
    given = next((value[name] for name in (*_ANSWERS, "text") if name in value), "")
    return ", ".join(map(str, given)) if isinstance(given, list) else str(given)


def _meta(meta: Any) -> dict[str, Any]:
    """Attributes among the metadata of a region; lists of text, as people type them there, joined."""
    found = {}
    for name, value in meta.items() if isinstance(meta, dict) else ():
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = ", ".join(value)
        if isinstance(value, bool | int | float | str):
            found[name] = value
    return found


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_COORDINATE:
        raise InputError(f"{name} is a number, got {value!r}")
    return float(value)


def _size(result: dict[str, Any]) -> Shape:
    size = result.get("original_height"), result.get("original_width")
    return checked_size(*size, "original_height and original_width")
