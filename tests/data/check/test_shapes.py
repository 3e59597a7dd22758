"""Outlines that cross themselves or leave the image, as tools keep them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.data.check.shapes import clipped, outside, self_crossings, shape_findings
from smalti.masks import Polygon, polygon_to_coco, trace_polygons


def star(seed, points=12):
    """A ring that cannot cross itself: its points go once around a centre."""
    rng = np.random.default_rng(seed)
    turn = (np.arange(points) + rng.uniform(0, 0.8, points)) * 2 * np.pi / points
    reach = rng.uniform(5, 20, points)
    return 50 + np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1)


def area(ring):
    x, y = ring.T
    return abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def test_a_bow_tie_crosses_once_and_its_smaller_loop_is_measured():
    (found,) = self_crossings(np.array([[0, 0], [12, 12], [12, 0], [0, 8]]))
    assert found.point_xy == pytest.approx((4.8, 4.8), abs=1e-4)
    assert found.loop_px == pytest.approx(0.5 * 8 * 4.8, abs=1e-3)


def test_a_crossing_through_a_point_of_the_ring_is_one():
    ring = np.array([[0, 0], [5, 5], [10, 10], [10, 0], [5, 5], [0, 10]])
    assert len(self_crossings(ring)) <= 1  # the two halves only meet in the point
    through = np.array([[0, 0], [10, 10], [10, 0], [5, 5], [0, 10]])
    assert len(self_crossings(through)) == 1


@given(st.integers(0, 10_000), st.integers(5, 60))
def test_a_ring_around_a_centre_does_not_cross_itself(seed, points):
    assert self_crossings(star(seed, points)) == []


@given(st.integers(0, 10_000))
def test_traced_outlines_do_not_cross_themselves(seed):
    mask = np.random.default_rng(seed).random((9, 9)) < 0.6
    assert all(not self_crossings(ring) for polygon in trace_polygons(mask) for ring in polygon.rings_xy)


@pytest.mark.parametrize("seed", range(5))
def test_the_way_to_a_hole_and_back_is_no_crossing(seed):
    y, x = np.indices((40, 40)) - 20
    top, left = np.random.default_rng(seed).integers(-4, 5, 2)
    ring = (np.hypot(y, x) < 15) & (np.hypot(y - top, x - left) > 6)
    (polygon,) = trace_polygons(ring)
    assert self_crossings(np.reshape(polygon_to_coco(polygon), (-1, 2))) == []


@given(st.integers(0, 10_000))
def test_clipping_keeps_what_is_inside(seed):
    ring = star(seed)
    assert area(clipped(ring, (100, 100))) == pytest.approx(area(ring))
    halves = area(clipped(ring, (100, 50))) + area(clipped(ring - [50, 0], (100, 50)))
    assert halves == pytest.approx(area(ring))


def test_how_far_outside():
    square = np.array([[-6, 10], [14, 10], [14, 20], [-6, 20]])
    assert outside(square, (40, 40)) == (6.0, pytest.approx(0.3))
    assert outside(square + [10, 0], (40, 40)) == (0.0, 0.0)
    assert outside(square - [100, 0], (40, 40)) == (106.0, 1.0)


def test_findings_name_the_record_and_the_place():
    polygons = [
        ("annotation 7", Polygon([[0, 0], [12, 12], [12, 0], [0, 8]])),
        ("annotation 8", Polygon([[30, 5], [47, 5], [47, 15], [30, 15]])),
        ("annotation 9", Polygon([[5, 25], [15, 25], [15, 35]])),
    ]
    crossing, beyond = shape_findings("a", ("a.json",), polygons, (40, 40))
    assert (crossing.code, beyond.code) == ("self-crossing", "outside-image")
    assert crossing.measured["record"] == "annotation 7"
    assert "annotation 8" in beyond.message
    assert beyond.measured["distance_px"] == 7
    assert beyond.box == (5, 30, 15, 40)
