"""GeoJSON: polygons whose area is the number of pixels, in pixels or in the world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.classes import ClassSet
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.io.geojson import to_geojson, write_geojson
from smalti.segmentation import Segmentation
from smalti.table import Table

NORTH_UP = np.array([[10.0, 0, 500000], [0, -10, 4600000], [0, 0, 1]])


@pytest.fixture
def labels() -> np.ndarray:
    """A square with a hole, two pieces, one pixel."""
    labels = np.zeros((7, 9), int)
    labels[1:4, 1:4] = 1
    labels[2, 2] = 0
    labels[5, 1:3] = labels[5, 4] = 2
    labels[0, 8] = 3
    return labels


def signed_area(ring: list[list[float]]) -> float:
    assert ring[0] == ring[-1] and len(ring) >= 4
    x, y = np.array(ring, float).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def area(geometry: dict[str, Any]) -> float:
    """Shoelace area with holes taken off; every ring must run the way RFC 7946 asks."""
    pieces = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    total = 0.0
    for exterior, *holes in pieces:
        assert signed_area(exterior) > 0 and all(signed_area(hole) < 0 for hole in holes)
        total += signed_area(exterior) + sum(signed_area(hole) for hole in holes)
    return total


def test_small_map(labels: np.ndarray) -> None:
    before = labels.copy()
    classes = ClassSet.from_names(["cell", "dirt"])
    found = Segmentation.from_labels(labels, class_ids=[1, 1, 2], scores=[1, 0.5, 0.25], classes=classes)
    content = to_geojson(found)
    assert content["type"] == "FeatureCollection" and "crs" not in content
    assert content["image"] == {"width": 9, "height": 7, "coordinates": "pixel corners, x right, y down"}
    holed, pieces, pixel = content["features"]
    assert holed["geometry"]["type"] == "Polygon" and len(holed["geometry"]["coordinates"]) == 2
    assert pieces["geometry"]["type"] == "MultiPolygon" and len(pieces["geometry"]["coordinates"]) == 2
    assert pixel["geometry"]["coordinates"] == [[[8, 0], [9, 0], [9, 1], [8, 1], [8, 0]]]
    assert pixel == json.loads(json.dumps(pixel))
    assert pixel["id"] == 3 and pixel["properties"] == {"segment": 3, "class": "dirt", "score": 0.25}
    assert np.array_equal(labels, before)


@given(labels=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
@settings(max_examples=60, deadline=None)
def test_area_is_the_number_of_pixels(labels: np.ndarray) -> None:
    for affine, pixel_area in (
        (None, 1),
        (NORTH_UP, 100),
        (np.array([[0, 2.0, 5], [3, 0, 7], [0, 0, 1]]), 6),
    ):
        segmentation = Segmentation.from_labels(labels, geometry=Geometry(affine=affine))
        features = to_geojson(segmentation)["features"]
        areas = [area(feature["geometry"]) for feature in features]
        assert np.allclose(areas, segmentation.areas_px * pixel_area)


def test_world_coordinates_name_their_system(labels: np.ndarray) -> None:
    geometry = Geometry(affine=NORTH_UP, crs="EPSG:32633")
    content = to_geojson(Segmentation.from_labels(labels, geometry=geometry))
    assert content["crs"] == {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    corners = np.array(content["features"][2]["geometry"]["coordinates"][0])
    assert corners.min(axis=0).tolist() == [500080, 4599990] and corners.max(axis=0).tolist() == [
        500090,
        4600000,
    ]
    assert "image" not in content
    assert "crs" not in to_geojson(Segmentation.from_labels(labels, geometry=geometry), world=False)


@pytest.mark.parametrize("crs", ["EPSG:4326", "epsg:4326", "OGC:CRS84", "WGS 84", None])
def test_wgs84_is_not_named(labels: np.ndarray, crs: str | None) -> None:
    geometry = Geometry(affine=np.diag([1e-4, -1e-4, 1]), crs=crs)
    assert "crs" not in to_geojson(Segmentation.from_labels(labels, geometry=geometry))


def test_spacing_alone_leaves_pixel_coordinates(labels: np.ndarray) -> None:
    segmentation = Segmentation.from_labels(labels, geometry=Geometry.parse("0.5um"))
    assert area(to_geojson(segmentation)["features"][0]["geometry"]) == 8
    with pytest.raises(InputError, match="3 x 3 affine"):
        to_geojson(segmentation, world=True)
    flat = Segmentation.from_labels(labels, geometry=Geometry(affine=np.diag([1.0, 0, 1])))
    with pytest.raises(InputError, match="one line"):
        to_geojson(flat)


def test_measurements_become_properties(labels: np.ndarray) -> None:
    table = Table(
        {
            "segment": np.array([1, 2, 3]),
            "area": np.array([8.0, 3.0, 1.0]),
            "solidity": np.array([1, np.nan, np.inf]),
        },
        {"area": "um2"},
    )
    segmentation = Segmentation.from_labels(labels)
    rows = [feature["properties"] for feature in to_geojson(segmentation, table)["features"]]
    assert rows[0] == {"segment": 1, "class": "object", "score": 1.0, "area_um2": 8.0, "solidity": 1.0}
    assert rows[1]["solidity"] is None and rows[2]["solidity"] is None
    with pytest.raises(InputError, match="3 rows"):
        to_geojson(segmentation, Table({"area": np.array([1.0])}))
    with pytest.raises(InputError, match="other segments"):
        to_geojson(segmentation, Table({"segment": np.array([2, 3, 4])}))


def test_overlapping_and_empty_segments_and_none_at_all() -> None:
    masks = np.zeros((3, 6, 6), bool)
    masks[0, 1:5, 1:5] = masks[1, 2:4, 2:6] = True
    features = to_geojson(Segmentation.from_masks(masks))["features"]
    assert [area(feature["geometry"]) for feature in features[:2]] == [16, 8]
    assert features[2]["geometry"] is None
    assert to_geojson(Segmentation.from_labels(np.zeros((1, 1), int)))["features"] == []


def test_volume_is_refused() -> None:
    with pytest.raises(InputError, match="volume"):
        to_geojson(Segmentation.from_labels(np.ones((2, 3, 4), int)))


def test_file_holds_what_was_made(labels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cells.geojson"
    segmentation = Segmentation.from_labels(labels, classes=ClassSet.from_names(["Zelle für Zelle"]))
    write_geojson(path, segmentation)
    assert json.loads(path.read_text(encoding="utf-8")) == to_geojson(segmentation)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cells.geojson"]
