"""Masks as run lengths and polygons: examples to check by eye, round trips, and pycocotools' own answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from smalti.errors import InputError
from smalti.masks import (
    Polygon,
    decode_rle,
    encode_rle,
    encode_rles,
    fill_coco_polygons,
    fill_polygons,
    polygon_from_coco,
    polygon_to_coco,
    rle_from_runs,
    rles_from_runs,
    runs_from_rle,
    simplify_polygon,
    trace_polygons,
    trace_runs,
)
from smalti.runs import Runs

masks_2d = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
mask_stacks = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=9))
coordinates = (
    st.floats(-20, 40) | st.integers(-5, 25).map(float) | st.integers(-50, 250).map(lambda n: n / 10)
)
SPECIAL_SHAPES = [(1, 1), (1, 7), (7, 1), (1, 9), (16, 8)]


def drawn(picture: str) -> np.ndarray:
    """A mask from lines of ``#`` and ``.``."""
    return np.array([[sign == "#" for sign in line] for line in picture.split()])


RING = drawn("#### #..# #..# ####")
TOUCHING_ITSELF = drawn("### #.# ##.")  # the hole reaches the outside at a corner
DIAGONAL = drawn("#. .#")
ISLAND = drawn("##### #...# #.#.# #...# #####")
DIAGONAL_HOLES = drawn("#### #.## ##.# ####")


def pycocotools_rle(mask: np.ndarray) -> dict:
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(length) for length in rle["size"]], "counts": rle["counts"].decode()}


def signed_area(ring_xy: np.ndarray) -> float:
    x, y = ring_xy.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


# Run-length encoding


def test_counts_go_down_the_columns():
    mask = drawn(".## .#.")
    assert encode_rle(mask) == pycocotools_rle(mask)
    assert decode_rle({"size": [2, 3], "counts": [2, 3, 1]}).tolist() == mask.tolist()


@given(masks_2d)
def test_rle_is_what_pycocotools_writes(mask):
    assert encode_rle(mask) == pycocotools_rle(mask)
    assert encode_rle(np.asfortranarray(mask)) == pycocotools_rle(mask)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.001, 0.02, 0.5, 0.98]))
@settings(max_examples=20)
def test_long_counts_are_what_pycocotools_writes(seed, density):
    mask = np.random.default_rng(seed).random((211, 173)) < density
    assert encode_rle(mask) == pycocotools_rle(mask)


@given(mask_stacks)
def test_a_stack_is_encoded_as_its_masks_in_any_memory_order(masks):
    expected = [pycocotools_rle(mask) for mask in masks]
    assert encode_rles(masks) == expected
    assert encode_rles(np.asfortranarray(masks.transpose(1, 2, 0)).transpose(2, 0, 1)) == expected
    assert encode_rles(masks[::-1, :, ::-1]) == [pycocotools_rle(mask) for mask in masks[::-1, :, ::-1]]


def test_a_stack_of_no_masks_has_no_rles():
    assert encode_rles(np.zeros((0, 4, 5), bool)) == []


@given(masks_2d)
def test_rle_round_trip(mask):
    rle = json.loads(json.dumps(encode_rle(mask)))
    decoded = decode_rle(rle)
    assert decoded.dtype == bool and np.array_equal(decoded, mask)
    assert np.array_equal(decode_rle({**rle, "counts": rle["counts"].encode()}), mask)


@given(masks_2d)
def test_uncompressed_counts_decode_as_pycocotools_does(mask):
    flat = mask.ravel(order="F").astype(int)
    changes = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
    counts = np.diff([0, *changes, mask.size]).tolist()
    assert np.array_equal(decode_rle({"size": list(mask.shape), "counts": counts}), mask)
    height, width = mask.shape
    peer = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    assert np.array_equal(decode_rle(peer), mask)


def test_counts_of_zero_join_what_they_separate():
    assert decode_rle({"size": [2, 2], "counts": [0, 1, 0, 2, 1, 0]}).tolist() == [[1, 1], [1, 0]]


@given(mask_stacks)
def test_runs_become_rles_and_come_back(masks):
    runs = Runs.of_masks(masks)
    rles = rles_from_runs(runs, masks.shape[1:])
    assert rles == encode_rles(masks)
    for k, rle in enumerate(rles, 1):
        start, stop = runs_from_rle(rle)
        assert start.dtype == stop.dtype == np.int32
        assert [start.tolist(), stop.tolist()] == [part.tolist() for part in runs.of(k)]
        assert rle_from_runs(start, stop, masks.shape[1:]) == rle


@pytest.mark.parametrize("shape", SPECIAL_SHAPES)
@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks_of_special_shapes(shape, value):
    mask = np.full(shape, value)
    assert encode_rle(mask) == pycocotools_rle(mask)
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)
    assert np.array_equal(fill_polygons(trace_polygons(mask), shape), mask)
    assert len(trace_polygons(mask)) == value


def test_zeros_and_ones_are_a_mask_and_labels_are_not():
    assert encode_rle(np.eye(3, dtype=np.uint8)) == encode_rle(np.eye(3, dtype=bool))
    with pytest.raises(InputError, match="labels == k"):
        encode_rle(np.array([[0, 2]]))
    with pytest.raises(InputError, match="float64"):
        encode_rle(np.zeros((2, 2)))


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2, 2), (0, 4), (4, 0)])
def test_masks_of_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="got"):
        encode_rle(np.zeros(shape, bool))
    with pytest.raises(InputError, match="got"):
        trace_polygons(np.zeros(shape, bool))


@pytest.mark.parametrize(
    ("rle", "complaint"),
    [
        ({"size": [2, 2], "counts": [1, 2]}, "must sum to 4, got 3"),
        ({"size": [2, 2], "counts": [1, 5]}, "must sum to 4, got 6"),
        ({"size": [2, 2], "counts": []}, "must sum to 4, got 0"),
        ({"size": [2, 2], "counts": ""}, "must sum to 4, got 0"),
        ({"size": [2, 2], "counts": [2**62, 2**62, 2**62, 2**62, 4]}, "must sum to 4"),
        ({"size": [2, 2], "counts": [2**70, 4]}, "flat list of integers"),
        ({"size": [2, 2], "counts": np.array([2**63], np.uint64)}, "below 2\\*\\*63"),
        ({"size": [2, 2], "counts": [5, -1]}, "negative, got -1 at index 1"),
        ({"size": [2, 2], "counts": [1.5, 2.5]}, "flat list of integers"),
        ({"size": [2, 2], "counts": [[1, 3], [2]]}, "flat list of integers"),
        ({"size": [2, 2], "counts": None}, "flat list of integers"),
        ({"size": [2, 2], "counts": "2~"}, "got '~' at character 1"),
        ({"size": [2, 2], "counts": "2 2"}, "got ' ' at character 1"),
        ({"size": [2, 2], "counts": "é"}, "at character 0"),
        ({"size": [2, 2], "counts": "2R"}, "cut short"),
        ({"size": [2, 2], "counts": "o" * 20}, "more than 60 bits"),
        ({"size": [2, 2], "counts": "O"}, "negative"),
        ({"size": [4], "counts": [4]}, r"\[height, width\]"),
        ({"size": [2, 0], "counts": [0]}, r"\[height, width\]"),
        ({"size": [2.0, 2.0], "counts": [4]}, r"\[height, width\]"),
        ({"size": 4, "counts": [4]}, r"\[height, width\]"),
        ({"counts": [4]}, "'size' and 'counts'"),
        ([1, 2], "got list"),
    ],
)
def test_damaged_rles_are_refused_with_a_reason(rle, complaint):
    with pytest.raises(InputError, match=complaint):
        decode_rle(rle)


@given(st.binary(max_size=30))
def test_any_bytes_decode_or_are_refused(text):
    try:
        mask = decode_rle({"size": [5, 6], "counts": text})
    except InputError:
        return
    assert mask.shape == (5, 6)


def test_runs_outside_the_image_are_refused():
    with pytest.raises(InputError, match="is the shape right"):
        rle_from_runs([3], [9], (2, 4))


# Polygons


def test_a_rectangle_is_its_four_corners():
    (polygon,) = trace_polygons(drawn("..... .###. .###."))
    assert polygon.exterior_xy.tolist() == [[1, 1], [4, 1], [4, 3], [1, 3]]
    assert polygon.holes_xy == () and polygon.area_px == 6


def test_a_ring_has_a_hole():
    (polygon,) = trace_polygons(RING)
    assert polygon.exterior_xy.tolist() == [[0, 0], [4, 0], [4, 4], [0, 4]]
    (hole,) = polygon.holes_xy
    assert sorted(hole.tolist()) == [[1, 1], [1, 3], [3, 1], [3, 3]]
    assert polygon.area_px == 12


def test_pixels_that_touch_at_a_corner_are_two_polygons():
    assert [polygon.exterior_xy.tolist() for polygon in trace_polygons(DIAGONAL)] == [
        [[0, 0], [1, 0], [1, 1], [0, 1]],
        [[1, 1], [2, 1], [2, 2], [1, 2]],
    ]


def test_an_exterior_that_touches_itself_becomes_exterior_and_hole():
    (polygon,) = trace_polygons(TOUCHING_ITSELF)
    assert len(polygon.exterior_xy) == 6 and len(polygon.holes_xy) == 1
    assert sorted(polygon.holes_xy[0].tolist()) == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_holes_that_touch_are_two_holes():
    (polygon,) = trace_polygons(DIAGONAL_HOLES)
    assert [len(hole) for hole in polygon.holes_xy] == [4, 4]


def test_an_island_in_a_hole_is_a_polygon_of_its_own():
    outer, island = trace_polygons(ISLAND)
    assert outer.area_px == 16 and len(outer.holes_xy) == 1
    assert island.area_px == 1 and not island.holes_xy


@given(masks_2d)
@settings(max_examples=300)
def test_polygons_lose_nothing(mask):
    polygons = trace_polygons(mask)
    assert np.array_equal(fill_polygons(polygons, mask.shape), mask)
    assert sum(polygon.area_px for polygon in polygons) == mask.sum()


@given(masks_2d)
@settings(max_examples=300)
def test_rings_are_simple_turn_at_every_vertex_and_wind_as_geojson_wants(mask):
    for polygon in trace_polygons(mask):
        assert signed_area(polygon.exterior_xy) > 0
        assert all(signed_area(hole) < 0 for hole in polygon.holes_xy)
        for ring in polygon.rings_xy:
            assert len(np.unique(ring, axis=0)) == len(ring)
            steps = np.roll(ring, -1, axis=0) - ring
            assert ((steps == 0).sum(axis=1) == 1).all()  # along one axis
            assert ((steps[:, 0] == 0) != (np.roll(steps[:, 0], 1) == 0)).all()  # then along the other
        for hole in polygon.holes_xy:  # all of the hole lies in this exterior
            inside = fill_polygons([Polygon(polygon.exterior_xy)], mask.shape)
            assert inside[fill_polygons([Polygon(hole)], mask.shape)].all()


@given(mask_stacks)
def test_tracing_runs_is_tracing_each_mask(masks):
    together = trace_runs(Runs.of_masks(masks), masks.shape[1:])
    assert len(together) == len(masks)
    for polygons, mask in zip(together, masks, strict=True):
        assert [[ring.tolist() for ring in polygon.rings_xy] for polygon in polygons] == [
            [ring.tolist() for ring in polygon.rings_xy] for polygon in trace_polygons(mask)
        ]


def test_a_pixel_is_filled_when_its_centre_is_inside():
    triangle = Polygon(np.array([[0, 0], [3, 0], [0, 3]]))
    # centres on the slanted edge belong to the side of larger x, which is outside here
    assert fill_polygons([triangle], (3, 3)).tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]


@given(
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6),
    st.tuples(st.floats(1, 18), st.floats(1, 18)),
)
def test_neighbours_share_every_pixel_exactly_once(points, apex):
    # a fan around an apex inside the frame: rays to the frame's border cut it into triangles
    angles = np.unique(np.round([np.arctan2(y - 9, x - 9) for x, y in points] + [-3, -1, 1, 3], 6))
    rim = np.column_stack([9.5 + 40 * np.cos(angles), 9.5 + 40 * np.sin(angles)])
    claims = sum(
        fill_polygons([Polygon(np.array([apex, here, there]))], (19, 19)).astype(int)
        for here, there in zip(rim, np.roll(rim, -1, axis=0), strict=True)
    )
    assert (claims == 1).all()


def test_polygons_beyond_the_image_are_cut_off():
    everything = Polygon(np.array([[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]]))
    assert fill_polygons([everything], (3, 4)).all()
    elsewhere = Polygon(everything.exterior_xy + 3e6)
    assert not fill_polygons([elsewhere], (3, 4)).any()


def test_no_polygons_fill_nothing():
    assert not fill_polygons([], (3, 4)).any() and not fill_coco_polygons([], 3, 4).any()


@pytest.mark.parametrize(
    ("ring", "complaint"),
    [
        ([[0, 0], [1, 1]], "at least 3 vertices"),
        ([0, 0, 1, 1, 2, 2], "shape"),
        ([[0, 0], [1, np.nan], [1, 1]], "finite"),
        ([[0, 0], [1, np.inf], [1, 1]], "finite"),
        ([[0, 0], [1, 1e12], [1, 1]], "2\\*\\*31"),
    ],
)
def test_rings_that_are_none_are_refused(ring, complaint):
    with pytest.raises(InputError, match=complaint):
        Polygon(np.array(ring))


def test_a_polygon_does_not_change_with_the_array_it_came_from():
    corners = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]])
    polygon = Polygon(corners)
    corners[0] = 9
    assert polygon.exterior_xy[0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        polygon.exterior_xy[0] = 1


# COCO polygons


@given(
    st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8), min_size=1, max_size=3),
    st.integers(1, 30),
    st.integers(1, 30),
)
@settings(max_examples=500)
def test_coco_polygons_fill_as_pycocotools_fills_them(polygons, height, width):
    flat = [[float(number) for point in points for number in point] for points in polygons]
    expected = coco.decode(coco.merge(coco.frPyObjects(flat, height, width)))
    assert np.array_equal(fill_coco_polygons(flat, height, width), expected.astype(bool))


@given(masks_2d)
@settings(max_examples=300)
def test_traced_masks_lose_nothing_through_coco_polygons(mask):
    height, width = mask.shape
    flat = [polygon_to_coco(polygon) for polygon in trace_polygons(mask)]
    assert np.array_equal(fill_coco_polygons(flat, height, width), mask)
    if flat:
        by_pycocotools = coco.decode(coco.merge(coco.frPyObjects(flat, height, width)))
        assert np.array_equal(by_pycocotools.astype(bool), mask)
    even_odd = [polygon_from_coco(numbers) for numbers in flat]
    assert np.array_equal(fill_polygons(even_odd, mask.shape), mask)


def test_coco_lists_become_polygons_and_back():
    numbers = [1.0, 2.0, 5.5, 2.0, 3.0, 7.25]
    assert polygon_to_coco(polygon_from_coco(numbers)) == numbers


@pytest.mark.parametrize(
    "numbers", [[0, 0, 1, 1], [0, 0, 1, 1, 2, 2, 3], "abcdef", [[0, 0], [1, 1], [2, 0]], None]
)
def test_lists_that_are_no_coco_polygon_are_refused(numbers):
    with pytest.raises(InputError, match="flat list"):
        polygon_from_coco(numbers)


def test_a_flat_list_in_place_of_a_list_of_lists_is_refused():
    with pytest.raises(InputError, match="flat list"):
        fill_coco_polygons([0, 0, 4, 0, 4, 4], 5, 5)


# Simplifying


def test_vertices_within_the_tolerance_are_left_out():
    bumpy = Polygon(np.array([[0, 0], [5, 0.4], [10, 0], [10, 10], [5, 8], [0, 10]]))
    assert simplify_polygon(bumpy, 0.5).exterior_xy.tolist() == [[0, 0], [10, 0], [10, 10], [5, 8], [0, 10]]
    assert simplify_polygon(bumpy, 0).exterior_xy.tolist() == bumpy.exterior_xy.tolist()


def test_small_holes_go_and_small_exteriors_stay():
    (polygon,) = trace_polygons(np.pad(~drawn("... .#. ..."), 4, constant_values=True))
    assert len(polygon.holes_xy) == 1
    assert simplify_polygon(polygon, 2).holes_xy == ()
    assert len(simplify_polygon(polygon, 100).exterior_xy) == 4


@given(
    hnp.arrays(float, st.tuples(st.integers(3, 12), st.just(2)), elements=st.integers(0, 9)),
    st.floats(0, 5),
)
def test_left_out_vertices_are_near_the_simplified_ring(ring, tolerance):
    kept = simplify_polygon(Polygon(ring), tolerance).exterior_xy
    ends = np.roll(kept, -1, axis=0) - kept
    for vertex in ring:
        along = np.einsum("nd,nd->n", vertex - kept, ends) / np.maximum((ends**2).sum(axis=1), 1e-12)
        nearest = kept + np.clip(along, 0, 1)[:, np.newaxis] * ends
        assert np.sqrt(((vertex - nearest) ** 2).sum(axis=1)).min() <= tolerance + 1e-9


@pytest.mark.parametrize("tolerance", [-1, np.nan, np.inf])
def test_tolerances_that_are_none_are_refused(tolerance):
    with pytest.raises(InputError, match="tolerance_px"):
        simplify_polygon(trace_polygons(RING)[0], tolerance)
