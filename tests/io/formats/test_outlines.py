"""Shapes drawn into a part of the image are what they are when drawn over the whole of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from smalti.errors import InputError
from smalti.io.formats.outlines import crop_runs, ellipse_runs, line_runs, polygon_runs, rectangle_xy, turned
from smalti.masks import Polygon, fill_polygons

SHAPE = (13, 17)
quarters = st.integers(-60, 120).map(lambda number: number / 4)
points = st.lists(st.tuples(quarters, quarters), min_size=3, max_size=7).map(np.array)


def painted(runs, shape=SHAPE):
    runs.check(shape)
    return runs.paint(shape)[0] > 0


def centers():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    return np.stack([x, y], axis=-1)


@given(ring=points, hole=points)
def test_polygons(ring, hole):
    wanted = fill_polygons([Polygon(ring, (hole,))], SHAPE)
    assert (painted(polygon_runs([ring, hole], SHAPE)) == wanted).all()


@given(
    center=st.tuples(quarters, quarters),
    radii=st.tuples(*[st.integers(1, 40)] * 2),
    degrees=st.integers(-360, 360),
)
def test_ellipses(center, radii, degrees):
    away = turned(centers().reshape(-1, 2), np.array(center), -degrees).reshape(*SHAPE, 2) - center
    distance = ((away / radii) ** 2).sum(axis=-1)
    mask = painted(ellipse_runs(center, radii, SHAPE, degrees))
    sure = np.abs(distance - 1) > 1e-9
    assert (mask == (distance <= 1))[sure].all()


@given(line=points, width=st.integers(1, 20))
def test_lines(line, width):
    wanted = np.zeros(SHAPE, bool)
    for start, stop in pairwise(line):
        along = stop - start
        place = np.clip((centers() - start) @ along / max(along @ along, 1e-30), 0, 1)
        wanted |= ((centers() - start - place[..., None] * along) ** 2).sum(axis=-1) <= (
            width / 2
        ) ** 2 + 1e-9
    assert (painted(line_runs(line, width, SHAPE)) <= wanted).all()
    assert painted(line_runs(line, width + 1e-6, SHAPE)).sum() >= wanted.sum()


@given(
    mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=30)),
    top=st.integers(-30, 30),
    left=st.integers(-30, 30),
)
def test_crops(mask, top, left):
    wide = np.zeros((100, 100), bool)
    wide[40 + top : 40 + top + mask.shape[0], 40 + left : 40 + left + mask.shape[1]] = mask
    wanted = wide[40 : 40 + SHAPE[0], 40 : 40 + SHAPE[1]]
    assert (painted(crop_runs(mask, top, left, SHAPE)) == wanted).all()


def test_a_quarter_turn_is_clockwise_on_a_screen():
    corners = turned(np.array([[1.0, 0.0]]), np.zeros(2), 90)
    assert np.allclose(corners, [[0, 1]])
    assert np.allclose(rectangle_xy(0, 0, 4, 2, 90).min(axis=0), [1, -1])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: polygon_runs([np.array([[0, 0], [1, np.nan], [2, 2]])], SHAPE),
        lambda: ellipse_runs((0, np.inf), (1, 1), SHAPE),
        lambda: ellipse_runs((0, 0), (-1, 1), SHAPE),
        lambda: line_runs(np.array([[0, np.nan]]), 1, SHAPE),
    ],
)
def test_what_is_no_shape(draw):
    with pytest.raises(InputError):
        draw()
