"""One ImageJ region of interest: its binary form, its pixels, and back.

The layout is that of ``ij.io.RoiDecoder`` (ImageJ 1.53t, big-endian): a header of 64 bytes, coordinates as shorts that
count from the top left of the bounds or as floats, a second header with position, name, group and properties.

Coordinates name pixel corners. ImageJ fills outlines by the even-odd rule and takes the pixels whose centre is inside;
a centre exactly on an edge belongs to the side of *smaller* x (of smaller y on a horizontal edge), the other way round
than ``masks.fill_polygons``. An oval takes the centres inside its ellipse or on it. Both as its own ``getMask`` does,
bit for bit on the outlines tried (``tests/io/formats/test_imagej.py``).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import InputError
from ...masks import Polygon
from ...runs import Runs
from .outlines import Shape, ellipse_runs, polygon_runs, rectangle_xy

KINDS = {
    0: "polygon",
    1: "rectangle",
    2: "oval",
    3: "line",
    4: "freeline",
    5: "polyline",
    6: "nothing",
    7: "freehand",
    8: "traced",
    9: "angle",
    10: "points",
}
AREAS = ("polygon", "rectangle", "oval", "freehand", "traced", "composite", "ellipse", "rotated rectangle")
"""Kinds that cover pixels."""

_MAGIC = b"Iout"
_VERSION = 228  # the first with groups
_HEADER = 64
_SECOND = 64
_MAX_SHORT = 2**15 - 1
_SUBTYPES = {1: "text", 2: "arrow", 3: "ellipse", 4: "image", 5: "rotated rectangle"}
_SPLINE, _SUBPIXEL = 1, 128
_MOVE, _LINE, _QUADRATIC, _CUBIC, _CLOSE = range(5)
_COORDINATES = {_MOVE: 1, _LINE: 1, _QUADRATIC: 2, _CUBIC: 3, _CLOSE: 0}  # points of each part of a path
_FLATNESS = 0.01  # px a curve may leave its chords, as in ImageJ's ShapeRoi.getMask


@dataclass(frozen=True, eq=False)
class Roi:
    """A region of interest.

    ``rings_xy`` are the outlines (P, 2) of all kinds but rectangles and ovals, which have ``box``: left, top, right,
    bottom. ``position`` is channel, slice and frame from 1, and the plain position in a stack; 0 means any.
    """

    kind: str
    rings_xy: tuple[np.ndarray, ...] = ()
    box: tuple[float, float, float, float] = (0, 0, 0, 0)
    name: str = ""
    position: tuple[int, int, int, int] = (0, 0, 0, 0)
    group: int = 0
    color: tuple[int, int, int] | None = None
    arc: int = 0  # diameter of a rectangle's round corners
    properties: Mapping[str, str] = field(default_factory=dict)

    def runs(self, shape: Shape) -> Runs:
        """The pixels ImageJ gives it in an image of ``shape``, cut off outside."""
        left, top, right, bottom = self.box
        if self.kind == "oval":
            radii = (right - left) / 2, (bottom - top) / 2
            return ellipse_runs(((left + right) / 2, (top + bottom) / 2), radii, shape)
        if self.kind == "rectangle":
            return _fill([_rounded(self.box, self.arc) if self.arc else rectangle_xy(*self.box)], shape)
        rings = [ring for ring in self.rings_xy if len(ring) > 2]
        return _fill(rings, shape) if rings else _fill([np.zeros((3, 2))], shape)


def decode_roi(content: bytes) -> Roi:
    """The region in a ``.roi`` file. Raises ``InputError`` for what is none, is cut short or lies."""
    if len(content) < _HEADER or content[:4] != _MAGIC:
        what = "it is too short" if content[:4] == _MAGIC else f"it begins with {content[:4]!r}"
        raise InputError(f"it is no ImageJ region ({what})")
    version, kind_number, top, left, bottom, right, count = struct.unpack_from(">hBxhhhhH", content, 4)
    box_floats = struct.unpack_from(">4f", content, 18)
    _, path_size, stroke, _, subtype, options = struct.unpack_from(">hiIIhh", content, 34)
    arc, plain, second = struct.unpack_from(">hii", content, 54)
    kind = KINDS.get(kind_number)
    if kind is None or version < 217:
        raise InputError(f"it is a region of type {kind_number} in version {version}, which is not known")
    extra = _second_header(content, second, version)
    subpixel = bool(options & _SUBPIXEL) and version >= 222
    box: tuple[float, float, float, float] = (left, top, right, bottom)
    rings: tuple[np.ndarray, ...] = ()
    if path_size > 0:
        kind, rings = "composite", _path_rings(_numbers(content, _HEADER, path_size, "f4", "its path"))
    elif subtype in (3, 5) and kind == "freehand":
        kind = _SUBTYPES[subtype]
        (ratio,) = struct.unpack_from(">f", content, 52)
        rings = ((_ellipse_xy if subtype == 3 else _turned_xy)(*_finite(box_floats), *_finite([ratio])),)
    elif subtype in (1, 2, 4):
        kind = _SUBTYPES[subtype]
    elif kind in ("rectangle", "oval"):
        if subpixel and version >= 223:
            x, y, width, height = _finite(box_floats)
            box = _whole_box(x, y, width, height)
        if box[0] > box[2] or box[1] > box[3]:
            raise InputError(
                f"its right {box[2]} and bottom {box[3]} lie before its left {box[0]} and top {box[1]}"
            )
        box = box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)  # ImageJ's are never empty
    elif kind in ("polygon", "freehand", "traced"):
        if options & _SPLINE:
            raise InputError(
                "it is drawn as a spline; in ImageJ run Edit > Selection > Interpolate and save it again"
            )
        if count == 0:
            (count,) = struct.unpack_from(">i", content, 18)
        rings = (_vertices(content, count, left, top, subpixel),)
    color = None if stroke == 0 else ((stroke >> 16) & 255, (stroke >> 8) & 255, stroke & 255)
    return Roi(
        kind, rings, box, extra.name, (*extra.position, plain), extra.group, color, arc, extra.properties
    )


def encode_roi(
    polygons: Sequence[Polygon],
    *,
    name: str = "",
    position: int = 0,
    group: int = 0,
    color: tuple[int, int, int] | None = None,
    properties: Mapping[str, str] | None = None,
) -> bytes:
    """A ``.roi`` file of polygons whose corners are whole numbers: exact for outlines traced from a mask.

    One ring is a traced region; pieces and holes are a composite of straight lines; nothing is a composite that goes
    nowhere. ``position`` is the slice from 1, 0 for any.
    """
    rings = [ring for polygon in polygons for ring in polygon.rings_xy] or [np.zeros((2, 2))]
    corners = np.concatenate(rings)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    bounds = [int(min(value, _MAX_SHORT)) for value in (top, left, bottom, right)]
    count, path_size, body = 0, 0, b""
    if len(rings) == 1 and polygons and max(right, bottom) <= _MAX_SHORT:
        kind, count = 8, len(rings[0])
        body = (rings[0] - [left, top]).T.astype(">i2").tobytes()
    else:
        kind, body = 1, _path(rings).astype(">f4").tobytes()
        path_size = len(body) // 4
    title = name.encode("utf-16-be", "replace")
    lines = (f"{_escaped(key, _IN_KEYS)}: {_escaped(value)}\n" for key, value in (properties or {}).items())
    told = "".join(lines).encode("utf-16-be", "replace")
    second = _HEADER + len(body)
    stroke = 0 if color is None else 255 << 24 | color[0] << 16 | color[1] << 8 | color[2]
    header = struct.pack(">4shBx4hH", _MAGIC, _VERSION, kind, *bounds, count if count < 2**16 else 0)
    header += struct.pack(">i12x", count if count >= 2**16 else 0)
    header += struct.pack(">hiIIhhhhii", 0, path_size, stroke, 0, 0, 0, 0, 0, position, second)
    text = second + _SECOND
    tail = struct.pack(">4x3i2i", 0, 0, 0, text if name else 0, len(title) // 2)
    tail += struct.pack(">ihBBif2i", 0, 0, group, 0, 0, 0.0, text + len(title) if told else 0, len(told) // 2)
    return header + body + tail.ljust(_SECOND, b"\0") + title + told


# Reading


@dataclass(frozen=True)
class _Extra:
    position: tuple[int, int, int] = (0, 0, 0)
    name: str = ""
    group: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)


def _second_header(content: bytes, offset: int, version: int) -> _Extra:
    """Older files have none, or a shorter one."""
    if offset <= 0 or offset + 24 > len(content):
        return _Extra()
    channel, position, frame, name_at, name_length = struct.unpack_from(">5i", content, offset + 4)
    group, properties = 0, ""
    if version >= 228 and offset + 36 <= len(content):
        group = content[offset + 30]
    if version >= 224 and offset + 48 <= len(content):
        told_at, told_length = struct.unpack_from(">2i", content, offset + 40)
        properties = _text(content, told_at, told_length, "its properties")
    name = _text(content, name_at, name_length, "its name")
    return _Extra((channel, position, frame), name, group, _properties(properties))


def _text(content: bytes, offset: int, length: int, what: str) -> str:
    if offset == 0 or length == 0:
        return ""
    if offset < 0 or length < 0 or offset + 2 * length > len(content):
        raise InputError(f"{what} would lie at bytes {offset} to {offset + 2 * length} of {len(content)}")
    return content[offset : offset + 2 * length].decode("utf-16-be", "replace")


def _numbers(content: bytes, offset: int, count: int, dtype: str, what: str) -> np.ndarray:
    size = count * int(dtype[1])
    if count < 0 or offset + size > len(content):
        raise InputError(
            f"{what} would take {size} bytes, {len(content) - offset} are there; it is cut short"
        )
    with np.errstate(invalid="ignore"):  # what is no number is found by whoever needs one
        return np.frombuffer(content, f">{dtype}", count, offset).astype(np.float64)


def _vertices(content: bytes, count: int, left: int, top: int, subpixel: bool) -> np.ndarray:
    """The outline (count, 2): shorts beside the bounds, negative ones taken for 0, or floats in the image."""
    if count < 3:
        raise InputError(f"an outline has 3 points or more, got {count}")
    whole = _numbers(content, _HEADER, 2 * count, "i2", f"its outline of {count} points").reshape(2, count).T
    if not subpixel:
        return np.maximum(whole, 0) + [left, top]
    return _finite(_numbers(content, _HEADER + 4 * count, 2 * count, "f4", "its outline").reshape(2, count).T)


def _path_rings(path: np.ndarray) -> tuple[np.ndarray, ...]:
    """The rings of a composite: parts of a path, each with its kind and points; curves become chords."""
    rings: list[list[np.ndarray]] = []
    position = 0
    while position < len(path):
        kind = path[position]
        if kind not in _COORDINATES:
            raise InputError(f"number {position} of its path is {kind:g}, wanted a kind of part, 0 to 4")
        stop = position + 1 + 2 * _COORDINATES[int(kind)]
        if stop > len(path):
            raise InputError("its path ends in the middle of a part; it is cut short")
        points = _finite(path[position + 1 : stop].reshape(-1, 2))
        if kind == _MOVE:
            rings.append([points])
        elif not rings:
            raise InputError("its path does not begin with a place to start from")
        elif kind == _CLOSE:
            rings.append([rings[-1][0][:1]])  # the pen is back where the ring began
        elif kind == _LINE:
            rings[-1].append(points)
        else:
            rings[-1].append(_curve(np.concatenate([rings[-1][-1][-1:], points])))
        position = stop
    return tuple(np.concatenate(ring) for ring in rings if sum(map(len, ring)) > 2)


def _curve(control_xy: np.ndarray, level: int = 0) -> np.ndarray:
    """Points along a Bezier curve of 3 or 4 control points, without its first.

    Halved until its control points lie at the chord, at most ten times over, as ``FlatteningPathIterator`` does.
    """
    chord = control_xy[-1] - control_xy[0]
    inner = control_xy[1:-1] - control_xy[0]
    length = float(chord @ chord)
    along = np.clip(inner @ chord / length, 0, 1) if length else np.zeros(len(inner))
    away = inner - along[:, None] * chord
    if level == 10 or (away**2).sum(axis=1).max() < _FLATNESS**2:
        return control_xy[-1:]
    left, right, points = [], [], control_xy
    while len(points):  # de Casteljau: the ends of the shrinking rows are the controls of both halves
        left.append(points[0])
        right.append(points[-1])
        points = (points[:-1] + points[1:]) / 2
    halves = np.array(left), np.array(right[::-1])
    return np.concatenate([_curve(half, level + 1) for half in halves])


def _ellipse_xy(x0: float, y0: float, x1: float, y1: float, ratio: float) -> np.ndarray:
    """The 72 corners ImageJ gives an ellipse with these ends of its long axis; ``ratio`` is short to long."""
    angle = np.arange(72) * 5 * np.pi / 180
    long = math.hypot(x1 - x0, y1 - y0)
    along, across = np.cos(angle) * long / 2, np.sin(angle) * long * ratio / 2
    turn = math.atan2(y1 - y0, x1 - x0)
    x = (x0 + x1) / 2 + along * math.cos(turn) - across * math.sin(turn)
    y = (y0 + y1) / 2 + along * math.sin(turn) + across * math.cos(turn)
    return np.stack([x, y], axis=1)


def _turned_xy(x0: float, y0: float, x1: float, y1: float, width: float) -> np.ndarray:
    """The corners of a rectangle along the line between two points, ``width`` across it."""
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    across = np.array([y1 - y0, x0 - x1]) / length * width / 2
    start, stop = np.array([x0, y0]), np.array([x1, y1])
    return np.stack([start - across, start + across, stop + across, stop - across])


def _whole_box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    left, top = math.trunc(x), math.trunc(y)  # as Java casts
    return left, top, left + math.ceil(width), top + math.ceil(height)


def _rounded(box: tuple[float, float, float, float], arc: int) -> np.ndarray:
    """A rectangle with corners of the diameter ``arc``."""
    left, top, right, bottom = box
    rx, ry = min(arc, right - left) / 2, min(arc, bottom - top) / 2
    quarter = np.arange(0, 91, 2) * np.pi / 180
    parts = [
        (center_x + rx * np.cos(quarter + turn), center_y + ry * np.sin(quarter + turn))
        for center_x, center_y, turn in (
            (right - rx, bottom - ry, 0),
            (left + rx, bottom - ry, np.pi / 2),
            (left + rx, top + ry, np.pi),
            (right - rx, top + ry, 1.5 * np.pi),
        )
    ]
    return np.concatenate([np.stack(part, axis=1) for part in parts])


def _finite(values: object) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if not (np.abs(array) < 2**31).all():
        raise InputError(f"its coordinates are no numbers of pixels: {array.ravel()[:4].tolist()}")
    return array


def _fill(rings: Sequence[np.ndarray], shape: Shape) -> Runs:
    """Even-odd, a centre on an edge to the side of smaller x and y: the rule of ``polygon_runs`` in a mirror."""
    mirrored = polygon_runs([np.array([shape[1], shape[0]]) - ring for ring in rings], shape)
    last = shape[0] * shape[1]
    return Runs(mirrored.offsets, last - mirrored.stop[::-1], last - mirrored.start[::-1])


_PAIR = re.compile(r"((?:\\.|[^\\:= \t])*)[ \t]*[:=]?[ \t]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_IN_KEYS = r"[\\\n\r:= \t#!]"


def _properties(text: str) -> dict[str, str]:
    """The lines ``key: value`` of Java's properties."""
    found = {}
    for line in re.split(r"[\r\n]+", text):
        match = _PAIR.match(line.lstrip(" \t\f"))
        if match and match[1] and line[0] not in "#!":
            found[_unescaped(match[1])] = _unescaped(match[2])
    return found


def _unescaped(text: str) -> str:
    def letter(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _LETTERS.get(code, code)

    return _ESCAPE.sub(letter, text)


def _escaped(text: str, characters: str = r"[\\\n\r]") -> str:
    letters = {character: letter for letter, character in _LETTERS.items()}
    return re.sub(characters, lambda match: "\\" + letters.get(match[0], match[0]), text)


# Writing


def _path(rings: Sequence[np.ndarray]) -> np.ndarray:
    """A path of straight lines around each ring."""
    parts = []
    for ring in rings:
        lines = np.column_stack([np.full(len(ring), _LINE), ring])
        lines[0, 0] = _MOVE
        parts += [lines.ravel(), np.array([_CLOSE])]
    return np.concatenate(parts)
