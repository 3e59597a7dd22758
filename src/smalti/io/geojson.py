"""GeoJSON (RFC 7946): segments as polygons with properties, for maps, slide viewers and drawing tools.

The way back, features as segments, is in ``features.py``.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..masks import Polygon, trace_polygons, trace_runs
from ..segmentation import Segmentation
from ..table import Table
from .writing import replacing

# what people call the one reference system RFC 7946 knows: WGS 84, longitude before latitude
WGS84 = {
    "EPSG:4326",
    "OGC:CRS84",
    "CRS84",
    "WGS84",
    "URN:OGC:DEF:CRS:OGC:1.3:CRS84",
    "URN:OGC:DEF:CRS:EPSG::4326",
}


def to_geojson(
    segmentation: Segmentation,
    properties: Table | None = None,
    *,
    world: bool | None = None,
) -> dict[str, Any]:
    """A FeatureCollection with one feature for each segment, its number as ``id``.

    Geometries are pixel outlines, exact: a Polygon where the segment is in one piece, else a MultiPolygon,
    holes kept, null for a segment without pixels. Exteriors run counter-clockwise in the coordinates written
    (RFC 7946, 3.1.6). Properties are ``segment``, ``class``, ``score`` and the columns of ``properties``, a
    table of one row for each segment such as ``measure`` gives, under their names with unit; numbers that do
    not exist are null. Where nobody said what there is, a last feature has the property ``void``.

    Coordinates are x, y. With ``world`` they are those of the segmentation's affine, a 3 x 3 matrix that
    takes pixel corners (x, y, 1) to the world as georeferenced rasters have it; without, pixel corners, x to
    the right and y down. By default the world where there is such an affine; a spacing alone says no place.
    Raises ``InputError`` for a volume, a table of other segments, and ``world=True`` without an affine.
    """
    if segmentation.ndim != 2:
        raise InputError(
            f"GeoJSON describes pictures, got a volume of {segmentation.shape}; "
            "write it as a label map (TIFF)"
        )
    geometry = segmentation.geometry
    placed = geometry.affine is not None and geometry.affine.shape == (3, 3)
    if world and not placed:
        raise InputError("world coordinates need a 3 x 3 affine in the geometry; leave world out for pixels")
    affine = geometry.affine if placed and world is not False else None
    if affine is not None and not np.linalg.det(affine[:2, :2]):
        raise InputError("the affine puts all pixels on one line; leave it out or give the right one")

    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if affine is None:
        height, width = segmentation.shape
        collection["image"] = {
            "width": width,
            "height": height,
            "coordinates": "pixel corners, x right, y down",
        }
    elif geometry.crs is not None and geometry.crs.upper().replace(" ", "") not in WGS84:
        # RFC 7946 has WGS 84 only and took "crs" of the 2008 specification out, but lets those who agree on
        # another system use it. QGIS and GDAL still read the member; without it they would put the metres of
        # a projected system down as degrees.
        collection["crs"] = {"type": "name", "properties": {"name": _crs_name(geometry.crs)}}
    traced = trace_runs(segmentation.runs, segmentation.shape)
    collection["features"] = [
        {"type": "Feature", "id": row["segment"], "geometry": _geometry(polygons, affine), "properties": row}
        for polygons, row in zip(traced, _rows(segmentation, properties), strict=True)
    ]
    if segmentation.void_px:
        place = _geometry(trace_polygons(segmentation.void), affine)
        collection["features"].append({"type": "Feature", "geometry": place, "properties": {"void": True}})
    return collection


def write_geojson(
    path: str | os.PathLike[str],
    segmentation: Segmentation,
    properties: Table | None = None,
    *,
    world: bool | None = None,
) -> None:
    """Write ``to_geojson`` as a file. Raises like it, and ``WriteError`` where the file cannot be written."""
    content = json.dumps(
        to_geojson(segmentation, properties, world=world),
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    with replacing(path) as part:
        Path(part).write_text(content, encoding="utf-8")


def _crs_name(crs: str) -> str:
    """EPSG codes as the URN that the specification of 2008 asks for; anything else as it is."""
    return re.sub(r"^\s*EPSG\s*:\s*(\d+)\s*$", r"urn:ogc:def:crs:EPSG::\1", crs, flags=re.IGNORECASE)


def _geometry(polygons: list[Polygon], affine: np.ndarray | None) -> dict[str, Any] | None:
    if not polygons:
        return None
    pieces = [[_ring(ring_xy, affine) for ring_xy in polygon.rings_xy] for polygon in polygons]
    if len(pieces) == 1:
        return {"type": "Polygon", "coordinates": pieces[0]}
    return {"type": "MultiPolygon", "coordinates": pieces}


def _ring(ring_xy: np.ndarray, affine: np.ndarray | None) -> list[list[float]]:
    """A closed ring. Traced ones run the right way round in pixels; an affine that mirrors must turn them."""
    closed = np.concatenate([ring_xy, ring_xy[:1]])
    if affine is None:
        return closed.astype(np.int64).tolist()  # corners of pixels are whole numbers
    if np.linalg.det(affine[:2, :2]) < 0:
        closed = closed[::-1]
    return (closed @ affine[:2, :2].T + affine[:2, 2]).tolist()


def _rows(segmentation: Segmentation, table: Table | None) -> list[dict[str, Any]]:
    names = {entry.id: entry.name for entry in segmentation.classes}
    rows: list[dict[str, Any]] = [
        {"segment": k, "class": names[class_id], "score": score}
        for k, (class_id, score) in enumerate(
            zip(segmentation.class_ids.tolist(), segmentation.scores.tolist(), strict=True), 1
        )
    ]
    if table is None:
        return rows
    if len(table) != len(rows):
        raise InputError(f"properties must have {len(rows)} rows, one for each segment, got {len(table)}")
    for heading, column in zip(table.header, table.columns.values(), strict=True):
        values = column.tolist()
        if heading == "segment" and values != list(range(1, len(rows) + 1)):
            raise InputError("properties are of other segments: their segment column is not 1 to the last")
        for row, value in zip(rows, values, strict=True):
            row[heading] = None if isinstance(value, float) and not math.isfinite(value) else value
    return rows
