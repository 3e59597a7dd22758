"""Edges closed into regions: shapes seen by eye, photographs, gaps, nesting, and odd planes."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data, feature, filters

from smalti.classical.edges import (
    Canny,
    Log,
    Scharr,
    Sobel,
    crossing_strength,
    enclosed_regions,
    slopes,
)
from smalti.errors import InputError
from smalti.image import Image
from smalti.segmenter import make_segmenter

METHODS = [Sobel, Scharr, Canny, Log]


def drawing(picture: str) -> np.ndarray:
    """A mask drawn with # in lines of text."""
    return np.array([[mark == "#" for mark in line] for line in picture.split()])


def labels_of(method, array) -> np.ndarray:
    return method.predict(Image.from_array(array)).labels


def square(value: float = 200, ground: float = 10, dtype: type = np.uint8) -> np.ndarray:
    plane = np.full((40, 50), ground, dtype)
    plane[10:25, 15:35] = value
    return plane


def test_enclosed_region_and_its_outline() -> None:
    edges = drawing("....... .#####. .#...#. .#...#. .#####. .......")
    expected = drawing("....... ..###.. .#####. .#####. ..###.. .......")  # corners are nearer to the outside
    assert np.array_equal(enclosed_regions(edges) > 0, expected)


def test_open_lines_and_regions_cut_by_the_border_leave_nothing() -> None:
    assert not enclosed_regions(drawing("....... .#####. .#...#. .#..... .#####. .......")).any()
    assert not enclosed_regions(drawing(".#...#. .#...#. .#####. .......")).any()


def test_dangling_lines_are_cut_off() -> None:
    found = enclosed_regions(
        drawing("........... .#####..... .#...#..... .#...###### .#####..... ...........")
    )
    assert not found[:, 7:].any() and found[2:4, 2:5].all()


def test_outline_runs_along_the_middle_of_a_thick_edge() -> None:
    edges = np.zeros((30, 30), bool)
    edges[4:26, 4:26] = True
    edges[10:20, 10:20] = False  # an edge of six pixels: three of them are inside
    expected = np.zeros((30, 30), bool)
    expected[7:23, 7:23] = True
    found = enclosed_regions(edges) > 0
    assert found[7:23, 10:20].all() and not found[:7].any() and not found[23:].any()
    assert np.count_nonzero(found != expected) <= 12  # rounded corners


def test_nested_outlines_divide_when_asked_to() -> None:
    edges = drawing("........... .#########. .#...#...#. .#...#...#. .#...#...#. .#########. ...........")
    assert enclosed_regions(edges).max() == 1
    nested = enclosed_regions(edges, nested=True)
    assert nested.max() == 2 and nested[3, 3] == 1 and nested[3, 7] == 2


@pytest.mark.parametrize("turned", [False, True])
def test_gaps_are_bridged(turned) -> None:
    y, x = np.mgrid[:40, :40] - 20
    if turned:
        y, x = y + x, y - x
    edges = np.maximum(abs(y), abs(x)) == 12
    whole = enclosed_regions(edges, 2)
    edges[18:22, 20:] = False  # four pixels of the upright square, its corner of the turned one
    assert not enclosed_regions(edges, 0).any()
    bridged = enclosed_regions(edges, 2)
    assert np.mean((bridged > 0) != (whole > 0)) < 0.02


def test_the_border_is_no_edge() -> None:
    edges = np.zeros((20, 20), bool)
    edges[5, :] = edges[:, 5] = True
    assert not enclosed_regions(edges, 2).any()
    edges[:] = False
    edges[[0, 19]] = edges[:, [0, 19]] = True
    assert enclosed_regions(edges, 2)[1:-1, 1:-1].all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_square_is_found_bright_or_dark(method, dtype) -> None:
    plane = square(dtype=dtype)
    for array in (plane, 210 - plane):
        found = labels_of(method(), array) > 0
        truth = plane == 200
        assert np.count_nonzero(found & truth) / np.count_nonzero(found | truth) > 0.75
        assert found[12:23, 17:33].all()


def test_sharp_sobel_edges_give_the_square_back() -> None:
    plane = square()
    found = labels_of(Sobel(sigma_px=0, closing_px=0, threshold=20), plane) > 0
    assert np.count_nonzero(found != (plane == 200)) <= 4  # its corners


@pytest.mark.parametrize("method", METHODS)
def test_scale_and_shift_of_floats_do_not_matter(method) -> None:
    plane = square(dtype=np.float64) + np.random.default_rng(0).normal(0, 2, (40, 50))
    expected = labels_of(method(), plane)
    assert np.array_equal(labels_of(method(), plane * 1e-4 - 7), expected)


@pytest.mark.parametrize("method", METHODS)
def test_constant_and_tiny_planes_have_no_regions(method) -> None:
    for shape in [(1, 1), (1, 9), (9, 1), (2, 2), (33, 20)]:
        for value in (0, 0.1, 7):
            assert not labels_of(method(), np.full(shape, value)).any()
        labels_of(method(nested=True), np.random.default_rng(0).random(shape))


def test_coins_by_canny_are_24() -> None:
    assert len(Canny(min_area_px=100).predict(Image.from_array(data.coins()))) == 24


def test_slopes_as_scikit_image() -> None:
    coins = data.coins().astype(np.float64)
    for operator, reference in (("sobel", filters.sobel), ("scharr", filters.scharr)):
        steepness = np.hypot(*slopes(coins, operator))
        # Its kernels span two pixels, and it divides the magnitude by the root of two: a slope of one is root two.
        assert np.allclose(steepness, reference(coins) * np.sqrt(2) / 2)


def test_slope_of_a_ramp_is_in_grey_values_per_pixel() -> None:
    ramp = np.tile(np.arange(9.0) * 3, (9, 1))
    for operator in ("sobel", "scharr"):
        dy, dx = slopes(ramp, operator)
        assert np.allclose(dx[:, 1:-1], 3) and np.allclose(dy, 0)


def test_canny_edges_as_scikit_image() -> None:
    coins = data.coins()
    found = Canny(sigma_px=2, low=5, high=10).edges(coins)
    # A slope of 1 is 8 there.
    reference = feature.canny(coins.astype(np.float64), 2, 5 * 8, 10 * 8)
    near = np.array([np.roll(reference, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]).any(axis=0)
    assert np.mean(near[found]) > 0.95
    assert 0.8 < found.sum() / reference.sum() < 1.25


def test_zero_crossings_leave_no_way_around() -> None:
    laplacian = np.random.default_rng(3).normal(size=(30, 30))
    marked = crossing_strength(laplacian) > 0
    free = ~marked
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        both = free[first] & free[second]
        assert ((laplacian[first] >= 0) == (laplacian[second] >= 0))[both].all()


def test_thresholds_are_checked() -> None:
    with pytest.raises(InputError, match="low must be at most high"):
        make_segmenter("canny", low=5, high=2)
    with pytest.raises(InputError, match="needs a high"):
        make_segmenter("canny", low=5)
    with pytest.raises(InputError, match="2-D"):
        Sobel().predict(Image.from_array(np.zeros((3, 4, 5)), ndim=3))
    with pytest.raises(InputError, match="channel=NAME"):
        Log().predict(Image.from_array(np.zeros((3, 4, 7))))
