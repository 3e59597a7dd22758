"""One shape of CVAT: its XML element checked, its pixels, and back.

Coordinates are x, y with (0, 0) at the corner of the first pixel. A mask is a row of counts over the rows of its box,
first of pixels outside. Turned boxes and ellipses have ``rotation`` in degrees, clockwise on a screen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...errors import InputError
from ...masks import MAX_COORDINATE
from ...runs import Runs
from .outlines import Shape, crop_runs, ellipse_runs, polygon_runs, rectangle_xy
from .records import xml_text

KINDS = ("polygon", "mask", "box", "ellipse")
"""Elements that cover pixels."""

THIN = ("polyline", "points", "cuboid", "skeleton")
"""Elements that do not."""

Specs = Mapping[tuple[str, str], str]
"""Label and attribute to how it is put in: ``checkbox``, ``number``, ``text``, ``select`` or ``radio``."""

FLAGS = ("occluded", "z_order", "group_id", "source")
"""XML attributes of an element that are attributes of its segment."""

_NUMBERS = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}


@dataclass(frozen=True, eq=False)
class Drawn:
    """A checked shape. ``numbers`` are its points (P, 2), its counts, or its corners or centre and radii."""

    kind: str
    label: str
    numbers: np.ndarray
    place: tuple[int, int, int, int] = (0, 0, 0, 0)  # left, top, width and height of a mask
    degrees: float = 0.0
    z_order: int = 0
    score: float = 1.0
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def runs(self, shape: Shape) -> Runs:
        """Its pixels in an image of ``shape``, cut off outside."""
        if self.kind == "polygon":
            if len(self.numbers) < 3:  # between two keyframes an outline may shrink to nothing
                return crop_runs(np.zeros((0, 0), bool), 0, 0, shape)
            return polygon_runs([self.numbers], shape)
        if self.kind == "box":
            left, top, right, bottom = self.numbers.tolist()
            return polygon_runs([rectangle_xy(left, top, right, bottom, self.degrees)], shape)
        if self.kind == "ellipse":
            cx, cy, rx, ry = self.numbers.tolist()
            return ellipse_runs((cx, cy), (rx, ry), shape, self.degrees)
        x, y, width, height = self.place
        inside = np.arange(len(self.numbers)) % 2 == 1
        mask = np.repeat(inside, self.numbers).reshape(height, width)
        return crop_runs(mask, y, x, shape)


def parse_shape(element: ElementTree.Element, label: str, specs: Specs, shape: Shape) -> Drawn:
    """The shape of an element in an image of ``shape``. Raises ``InputError`` for one that lies."""
    kind = element.tag
    place = (0, 0, 0, 0)
    if kind == "polygon":
        numbers = _points(element.get("points", ""))
    elif kind == "mask":
        place = (
            _whole(element, "left"),
            _whole(element, "top"),
            _whole(element, "width"),
            _whole(element, "height"),
        )
        numbers = _counts(element.get("rle", ""), *place[2:], shape)
    else:
        numbers = np.array([_number(element, name) for name in _NUMBERS[kind]])
        if kind == "box" and (numbers[:2] > numbers[2:]).any():
            raise InputError(f"its bottom right lies before its top left: {numbers.tolist()}")
        if kind == "ellipse" and (numbers[2:] < 0).any():
            raise InputError(f"the radii of an ellipse are 0 or more, got {numbers[2:].tolist()}")
    attributes: dict[str, Any] = {}
    for name in FLAGS[:3]:
        if element.get(name) not in (None, "0", ""):
            value = _whole(element, name)
            attributes[name] = bool(value) if name == "occluded" else value
    if element.get("source", "manual") != "manual":
        attributes["source"] = element.get("source")
    for each in element.iterfind("attribute"):
        name = each.get("name", "")
        attributes[name] = _value(each.text or "", specs.get((label, name), "text"))
    score = attributes.pop("score", 1.0)
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        attributes["score"], score = score, 1.0
    return Drawn(
        kind,
        label,
        numbers,
        place,
        _number(element, "rotation") if element.get("rotation") else 0.0,
        _whole(element, "z_order") if element.get("z_order") else 0,
        float(score),
        attributes,
    )


def polygon_element(ring_xy: np.ndarray) -> ElementTree.Element:
    """A ``polygon`` of whole or fractional corners."""
    points = ";".join(f"{_text(x)},{_text(y)}" for x, y in ring_xy.tolist())
    return ElementTree.Element("polygon", points=points)


def mask_element(mask: np.ndarray, top: int, left: int) -> ElementTree.Element:
    """A ``mask`` of a crop (h, w) bool that lies at ``top``, ``left``; one pixel outside where it is empty."""
    mask = mask if mask.size else np.zeros((1, 1), bool)
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.concatenate([[0] if flat[0] else [], changes, [flat.size]]).astype(np.int64)
    counts = np.diff(ends, prepend=0)
    height, width = mask.shape
    numbers = {"left": left, "top": top, "width": width, "height": height}
    return ElementTree.Element(
        "mask",
        {
            "rle": ", ".join(map(str, counts.tolist())),
            **{name: str(value) for name, value in numbers.items()},
        },
    )


def add_attributes(
    element: ElementTree.Element, attributes: Mapping[str, Any], score: float
) -> dict[str, Any]:
    """Put a segment's attributes into its element: CVAT's own as XML attributes, the rest, returned, as elements."""
    left = dict(attributes)
    for name, wanted in zip(FLAGS, (bool, int, int, str), strict=True):
        if type(left.get(name)) is wanted:
            value = left.pop(name)
            element.set(name, xml_text(value) if wanted is str else str(int(value)))
    element.attrib.setdefault("source", "manual")
    element.attrib.setdefault("occluded", "0")
    element.attrib.setdefault("z_order", "0")
    if score != 1:
        left["score"] = float(score)
    for name, value in left.items():
        each = ElementTree.SubElement(element, "attribute", name=xml_text(name))
        each.text = str(value).lower() if isinstance(value, bool) else xml_text(_text(value))
    return left


def input_type(values: Sequence[Any]) -> str:
    """How values of an attribute are put in."""
    if all(isinstance(value, bool) for value in values):
        return "checkbox"
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return "number" if numbers else "text"


def _text(value: Any) -> str:
    return (
        str(int(value))
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53
        else str(value)
    )


def _number(element: ElementTree.Element, name: str) -> float:
    text = element.get(name, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MAX_COORDINATE:
        raise InputError(f"{name} is a number of pixels or degrees, got {text!r}")
    return value


def _whole(element: ElementTree.Element, name: str) -> int:
    value = _number(element, name)
    if value != int(value):
        raise InputError(f"{name} is a whole number, got {element.get(name)!r}")
    return int(value)


def _points(text: str) -> np.ndarray:
    try:
        points = np.array([point.split(",") for point in text.split(";")], np.float64)
    except ValueError:
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) <= MAX_COORDINATE).all():
        raise InputError(f"points are x,y;x,y;..., got {text[:60]!r}")
    if len(points) < 3:
        raise InputError(f"a polygon has 3 points or more, got {len(points)}")
    return points


def _counts(text: str, width: int, height: int, shape: Shape) -> np.ndarray:
    if width < 1 or height < 1 or width > 2 * shape[1] or height > 2 * shape[0]:
        raise InputError(f"its box is {height} x {width}, the image {shape[0]} x {shape[1]}")
    try:
        counts = np.array(text.split(",") if text.strip() else [], np.int64)
    except (ValueError, OverflowError):
        raise InputError(f"rle is whole numbers with commas between, got {text[:60]!r}") from None
    if (counts < 0).any() or (counts > width * height).any() or counts.sum() != width * height:
        total = sum(counts.tolist())
        raise InputError(
            f"the counts of a mask of {height} x {width} are 0 or more and sum to {width * height}, got "
            + (f"{counts.min()}" if (counts < 0).any() else f"a sum of {total}")
        )
    return counts


def _value(text: str, kind: str) -> bool | int | float | str:
    """The value of an attribute by how it is put in; text where it is not what that promises."""
    if kind == "checkbox" and text.strip().lower() in ("true", "false"):
        return text.strip().lower() == "true"
    if kind == "number":
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text
