"""Drawn shapes as pixels: polygons, ellipses, lines with a width, and masks that lie in a box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...errors import InputError
from ...masks import MAX_COORDINATE, Polygon, fill_polygons
from ...runs import Runs

Shape = tuple[int, int]  # height and width of the image in pixels

_NOTHING = Runs(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))


def polygon_runs(rings_xy: Sequence[np.ndarray], shape: Shape) -> Runs:
    """The pixels whose centre lies in the rings (P, 2), by the even-odd rule of ``masks.fill_polygons``.

    Coordinates name pixel corners; what lies outside the image is cut off. Raises ``InputError`` for rings of fewer
    than 3 points and for coordinates that are not finite.
    """
    polygon = Polygon(rings_xy[0], tuple(rings_xy[1:]))
    points = np.concatenate(polygon.rings_xy)
    box = _clipped(points.min(axis=0), points.max(axis=0), shape)
    if box is None:
        return _NOTHING
    top, left, bottom, right = box
    moved = Polygon(*_shifted(polygon, np.array([left, top], np.float64)))
    return crop_runs(fill_polygons([moved], (bottom - top, right - left)), top, left, shape)


def rectangle_xy(left: float, top: float, right: float, bottom: float, degrees: float = 0.0) -> np.ndarray:
    """The corners (4, 2) of a rectangle, turned clockwise on a screen about its centre."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    return turned(corners, corners.mean(axis=0), degrees) if degrees else corners


def turned(points_xy: np.ndarray, center_xy: np.ndarray, degrees: float) -> np.ndarray:
    """Points (P, 2) turned about a centre, clockwise on a screen, where y points down."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return (points_xy - center_xy) @ np.array([[cos, sin], [-sin, cos]]) + center_xy


def ellipse_runs(
    center_xy: tuple[float, float], radii_xy: tuple[float, float], shape: Shape, degrees: float = 0.0
) -> Runs:
    """The pixels whose centre lies in an ellipse or on its edge, turned clockwise on a screen by ``degrees``."""
    center = _finite(center_xy)
    radii = _finite(radii_xy)
    if (radii < 0).any():
        raise InputError(f"the radii of an ellipse are 0 or more, got {radii.tolist()}")
    reach = radii if degrees % 180 == 0 else np.full(2, radii.max())
    box = _clipped(center - reach, center + reach, shape)
    if box is None or not radii.all():
        return _NOTHING
    dx, dy = _offsets(box, center)
    if degrees:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        dx, dy = dx * cos + dy * sin, dy * cos - dx * sin
    return crop_runs((dx / radii[0]) ** 2 + (dy / radii[1]) ** 2 <= 1, box[0], box[1], shape)


def line_runs(points_xy: np.ndarray, width_px: float, shape: Shape) -> Runs:
    """The pixels whose centre is at most half of ``width_px`` away from a line through points (P, 2).

    Ends and corners are round; a line of one point is a disc.
    """
    points = _finite(points_xy)
    half = width_px / 2
    box = _clipped(points.min(axis=0) - half, points.max(axis=0) + half, shape)
    if box is None:
        return _NOTHING
    top, left, bottom, right = box
    mask = np.zeros((bottom - top, right - left), bool)
    for start, stop in zip(points, points[1:] if len(points) > 1 else points, strict=False):
        part = _clipped(np.minimum(start, stop) - half, np.maximum(start, stop) + half, shape)
        if part is None:
            continue
        dx, dy = _offsets(part, start)
        along_x, along_y = stop - start
        length = along_x**2 + along_y**2
        place = np.clip((dx * along_x + dy * along_y) / length, 0, 1) if length else 0.0
        near = (dx - place * along_x) ** 2 + (dy - place * along_y) ** 2 <= half**2
        mask[part[0] - top : part[2] - top, part[1] - left : part[3] - left] |= near
    return crop_runs(mask, top, left, shape)


def crop_runs(mask: np.ndarray, top: int, left: int, shape: Shape) -> Runs:
    """The pixels of a mask (h, w) bool that lies in an image with its corner at ``top``, ``left``, cut off outside."""
    height, width = shape
    mask = mask[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    top, left = max(0, top), max(0, left)
    if not mask.size:
        return _NOTHING
    runs = Runs.of_masks(np.ascontiguousarray(mask)[None])
    row, first = np.divmod(runs.start.astype(np.int64), mask.shape[1])
    start = (row + top) * width + left + first
    return Runs(runs.offsets, start, start + (runs.stop - runs.start))


def united(parts: Sequence[Runs], shape: Sequence[int]) -> Runs:
    """All segments of ``parts`` as one, in an image of ``shape``."""
    runs = Runs.concatenate(parts)
    return runs.merge(np.ones(len(runs), np.int64), 1, shape[-1])


def _shifted(polygon: Polygon, origin: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    return polygon.exterior_xy - origin, tuple(hole - origin for hole in polygon.holes_xy)


def _clipped(low_xy: np.ndarray, high_xy: np.ndarray, shape: Shape) -> tuple[int, int, int, int] | None:
    """Top, left, bottom and right of the pixels between two corners that are in the image; None if there are none."""
    left, top = (max(0, math.floor(value)) for value in low_xy)
    right, bottom = (min(end, math.ceil(value)) for value, end in zip(high_xy, shape[::-1], strict=True))
    return (top, left, bottom, right) if top < bottom and left < right else None


def _offsets(box: tuple[int, int, int, int], origin_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From ``origin_xy`` to the centres of the pixels of a box: x (1, w) and y (h, 1)."""
    top, left, bottom, right = box
    return (
        np.arange(left, right)[None, :] + 0.5 - origin_xy[0],
        np.arange(top, bottom)[:, None] + 0.5 - origin_xy[1],
    )


def _finite(values: object) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if not (np.abs(array) <= MAX_COORDINATE).all():
        raise InputError(f"coordinates are finite numbers, got {array.ravel()[:8].tolist()}")
    return array
