"""From the coordinates of a map to the pixel corners of an image: reference systems and affines."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from ..errors import InputError, ReadError
from ..geometry import Geometry
from ..optional import require
from .geojson import WGS84

PIXELS = "pixels"
"""Stands for a reference system where coordinates are pixel corners of the image."""

_URN = re.compile(r"urn:(?:x-)?ogc:def:crs:([a-z]+):[^:]*:(\w+)", re.IGNORECASE)

Move = Callable[[np.ndarray], np.ndarray]  # points (P, 2) in the world to pixel corners (P, 2)


def same_crs(one: str | None, other: str | None) -> bool:
    """Whether two names mean one reference system; nothing is looked up."""
    return _plain_crs(one) == _plain_crs(other)


def _plain_crs(crs: str | None) -> str | None:
    """One name for the ways to name a system."""
    if crs is None:
        return None
    text = crs.strip()
    match = _URN.fullmatch(text)
    text = f"{match[1]}:{match[2]}" if match else text
    upper = text.upper().replace(" ", "")
    return "WGS84" if upper in WGS84 else upper


def to_pixels_of(
    size: tuple[int, int], geometry: Geometry, named: str | None, asked: str, points: np.ndarray, name: str
) -> Move:
    """The way from the coordinates of a file ``name`` to pixel corners of an image of ``size`` (H, W).

    ``named`` is the system that the file names, ``asked`` the one that a person says it has, ``image`` meaning the
    image's and ``pixels`` none. Without either it is WGS 84 (RFC 7946), unless the ``points`` (P, 2) of the file cannot
    be degrees and lie on the image. Raises ``ReadError`` where there is no way, ``MissingExtra`` where it needs pyproj.
    """
    affine = geometry.affine if geometry.affine is not None and geometry.affine.shape == (3, 3) else None
    given = asked or named
    if affine is None:
        if given is None or asked in (PIXELS, "image"):
            return lambda points: points
        raise ReadError(f"{name} is in {given}, its image lies nowhere (no affine); crs=pixels takes pixels")
    if asked == PIXELS:
        return lambda points: points
    if not np.linalg.det(affine[:2, :2]):
        raise ReadError(f"{name}: the affine of its image puts all pixels on one line")
    inverse = np.linalg.inv(affine[:2, :2])

    def to_pixels(points: np.ndarray) -> np.ndarray:
        return (points - affine[:2, 2]) @ inverse.T

    if asked == "image" or geometry.crs is None or same_crs(given or "WGS84", geometry.crs):
        return to_pixels
    if given is None and _cannot_be_degrees(points, to_pixels, size):
        return to_pixels
    project = _projection(given or "EPSG:4326", geometry.crs, name)
    return lambda points: to_pixels(project(points))


def _cannot_be_degrees(points: np.ndarray, to_pixels: Move, size: tuple[int, int]) -> bool:
    """Whether coordinates without a system are surely the image's: none is a longitude, and they lie on the image."""
    if not len(points) or (np.abs(points) <= [360, 90]).all(axis=1).any():
        return False
    return touches(to_pixels(points), size)


def _projection(source: str, target: str, name: str) -> Move:
    pyproj = require("pyproj", "geo")
    try:
        transformer = pyproj.Transformer.from_crs(_for_proj(source), _for_proj(target), always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise ReadError(
            f"{name}: no way from {source} to {target[:60]}: {str(error).splitlines()[0]}; give crs=..."
        ) from error

    def project(points: np.ndarray) -> np.ndarray:
        if not len(points):
            return points
        moved = np.column_stack(transformer.transform(points[:, 0], points[:, 1]))
        if not np.isfinite(moved).all():
            raise InputError(f"its coordinates have no place in {target[:60]}")
        return moved

    return project


def _for_proj(crs: str) -> str:
    return "EPSG:4326" if _plain_crs(crs) == "WGS84" else crs


def touches(points: np.ndarray, size: tuple[int, int], reach: float = 0.0) -> bool:
    """Whether the box around points (P, 2), widened by ``reach``, and an image of ``size`` (H, W) share anything."""
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    return bool((high >= 0).all() and (low <= size[::-1]).all())
