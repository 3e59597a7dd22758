"""The watershed against its definition and scikit-image, and the markers against reconstruction."""

from __future__ import annotations

import heapq
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import generate_binary_structure, label
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed as peer_watershed

from smalti.errors import InputError
from smalti.postprocess.flooding import depth_markers, distance_markers, edge_distance, watershed


def flood_with_a_heap(elevation, markers, mask, connectivity):
    """The definition, one pixel at a time: lowest water first, then first come, first served."""
    steps = [
        step for step in product((-1, 0, 1), repeat=elevation.ndim) if 0 < np.abs(step).sum() <= connectivity
    ]
    steps.sort(key=lambda step: np.abs(step).sum())
    labels = np.where(mask, markers, 0)
    heap = [(elevation[place], age, place) for age, place in enumerate(zip(*np.nonzero(labels), strict=True))]
    heapq.heapify(heap)
    age = len(heap)
    while heap:
        level, _, place = heapq.heappop(heap)
        for step in steps:
            near = tuple(int(a) + b for a, b in zip(place, step, strict=True))
            inside = all(0 <= a < size for a, size in zip(near, elevation.shape, strict=True))
            if inside and mask[near] and labels[near] == 0:
                labels[near] = labels[place]
                heapq.heappush(heap, (max(level, elevation[near]), age, near))
                age += 1
    return labels


@st.composite
def floods(draw, dtypes, distinct=False):
    """Elevation, markers, mask and connectivity of a small random flood."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    size = int(np.prod(shape))
    values = rng.permutation(size) if distinct else rng.integers(0, draw(st.integers(1, 40)), size)
    if dtype.kind == "f":
        values = (values - size / 3) / 7
    elif dtype.kind == "i":
        values = values - values.max() // 2
    elevation = values.reshape(shape).astype(dtype)
    markers = np.where(
        rng.random(shape) < draw(st.sampled_from([0.02, 0.1, 0.5])), rng.integers(1, 9, shape), 0
    )
    mask = rng.random(shape) < draw(st.sampled_from([0.5, 0.8, 1.0]))
    return elevation, markers, mask, draw(st.integers(1, len(shape)))


def test_two_basins_meet_at_the_pass():
    elevation = np.array([[0, 1, 2, 9, 3, 0]])
    markers = np.array([[1, 0, 0, 0, 0, 2]])
    assert watershed(elevation, markers).tolist() == [[1, 1, 1, 1, 2, 2]]


def test_a_plateau_is_shared_out_by_distance():
    markers = np.array([[5, 0, 0, 0, 0, 0, 3]])
    assert watershed(np.zeros((1, 7)), markers).tolist() == [[5, 5, 5, 5, 3, 3, 3]]


def test_a_basin_behind_a_pass_is_filled_before_the_water_rises_on():
    elevation = np.array([[0, 4, 1, 1, 3, 2]])
    markers = np.array([[1, 0, 0, 0, 0, 2]])
    assert watershed(elevation, markers).tolist() == [[1, 1, 2, 2, 2, 2]]


def test_water_that_breaks_into_a_basin_from_both_sides_meets_in_the_middle():
    elevation = np.array([[0, 3, 1, 2, 1, 3, 0]])
    markers = np.array([[1, 0, 0, 0, 0, 0, 2]])
    assert watershed(elevation, markers).tolist() == [[1, 1, 1, 1, 2, 2, 2]]


def test_water_does_not_cross_the_mask_and_what_it_cannot_reach_stays_zero():
    mask = np.array([[1, 1, 0, 1, 1]], bool)
    markers = np.array([[1, 0, 2, 0, 0]])
    assert watershed(np.zeros((1, 5)), markers, mask).tolist() == [[1, 1, 0, 0, 0]]


def test_connectivity_decides_whether_corners_leak():
    mask = np.eye(2, dtype=bool)
    markers = np.array([[7, 0], [0, 0]])
    assert watershed(np.zeros((2, 2)), markers, mask, connectivity=1).tolist() == [[7, 0], [0, 0]]
    assert watershed(np.zeros((2, 2)), markers, mask, connectivity=2).tolist() == [[7, 0], [0, 7]]


@settings(max_examples=150, deadline=None)
@given(floods(["uint8", "int16", "uint16", "int64", "float32", "float64"]))
def test_labels_are_those_of_the_definition(flood):
    assert np.array_equal(watershed(*flood), flood_with_a_heap(*flood))


@settings(max_examples=150, deadline=None)
@given(floods(["int32", "uint16", "float32", "float64"], distinct=True))
def test_labels_are_scikit_images_where_no_two_pixels_are_equally_high(flood):
    elevation, markers, mask, connectivity = flood
    assert np.array_equal(watershed(*flood), peer_watershed(elevation, markers, connectivity, mask=mask))


@settings(max_examples=150, deadline=None)
@given(floods(["uint8", "int32", "float32", "float64"]))
def test_labels_are_scikit_images_where_no_two_markers_are_equally_high(flood):
    elevation, markers, mask, connectivity = flood
    elevation = 1000.0 * elevation
    elevation[markers > 0] += np.arange(np.count_nonzero(markers))
    labels = watershed(elevation, markers, mask, connectivity)
    assert np.array_equal(labels, peer_watershed(elevation, markers, connectivity, mask=mask))


@pytest.mark.parametrize("shape", [(90, 110), (20, 30, 25)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_are_scikit_images_on_noise(shape, dtype):
    rng = np.random.default_rng(3)
    elevation = rng.normal(size=shape)
    elevation[0, 0] *= 1e12  # an outlier, so that most values agree in their upper bits
    elevation = elevation.astype(dtype)
    markers = np.where(rng.random(shape) < 0.01, rng.integers(1, 1000, shape), 0)
    mask = rng.random(shape) < 0.9
    assert np.array_equal(watershed(elevation, markers, mask), peer_watershed(elevation, markers, mask=mask))


def test_double_precision_is_kept():
    elevation = np.array([[0, 1 + 2e-16, 1 + 4e-16, 1, 0]])
    markers = np.array([[1, 0, 0, 0, 2]])
    assert watershed(elevation, markers).tolist() == [[1, 1, 2, 2, 2]]
    elevation = np.array([[1e300, 1 + 2e-16, 1 + 4e-16, 1, -1e300]])
    assert watershed(elevation, np.array([[0, 1, 0, 2, 0]])).tolist() == [[1, 1, 2, 2, 2]]


def test_wide_integers_are_compared_exactly():
    top = 2**63 - 1
    elevation = np.array([[0, top - 1, top, top - 2, -top - 1]])
    markers = np.array([[1, 0, 0, 0, 2]])
    assert watershed(elevation, markers).tolist() == [[1, 1, 2, 2, 2]]


def test_minus_zero_is_zero_and_infinities_are_levels():
    elevation = np.array([[-np.inf, -0.0, 0.0, -0.0, np.inf, 0.0]])
    markers = np.array([[1, 0, 0, 2, 0, 0]])
    assert watershed(elevation, markers).tolist() == [[1, 1, 2, 2, 2, 2]]


@pytest.mark.parametrize("dtype", [bool, np.float16, ">f4", ">u2"])
def test_other_number_types_are_flooded_too(dtype):
    elevation = np.array([[0, 1, 0, 0]]).astype(dtype)
    assert watershed(elevation, np.array([[1, 0, 0, 2]])).tolist() == [[1, 1, 2, 2]]


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0, 2)])
def test_empty_arrays_give_empty_labels(shape):
    labels = watershed(np.zeros(shape), np.zeros(shape, int))
    assert labels.shape == shape and labels.dtype == np.int32
    assert depth_markers(np.zeros(shape), 1).shape == shape


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 9), (9, 1), (1, 1, 1), (1, 5, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_thin_arrays_are_flooded(shape, dtype):
    markers = np.zeros(shape, np.uint8)
    markers.flat[0] = 4
    assert (watershed(np.zeros(shape, dtype), markers) == 4).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_no_mask_pixel_and_no_marker_give_zeros(dtype):
    elevation = np.ones((4, 5), dtype)
    assert not watershed(elevation, np.ones((4, 5), int), np.zeros((4, 5), bool)).any()
    assert not watershed(elevation, np.zeros((4, 5), int)).any()


def test_every_pixel_may_be_a_marker_and_labels_may_be_large():
    markers = np.arange(2**31 - 1, 2**31 - 21, -1).reshape(4, 5)
    assert np.array_equal(watershed(np.zeros((4, 5)), markers), markers)


def test_inputs_are_left_as_they_were_and_may_be_views():
    rng = np.random.default_rng(0)
    elevation, markers = rng.random((12, 14)), (rng.random((12, 14)) < 0.1).astype(np.int32)
    mask = rng.random((12, 14)) < 0.8
    kept = [elevation.copy(), markers.copy(), mask.copy()]
    labels = watershed(elevation[::-1, ::2].T, markers[::-1, ::2].T, mask[::-1, ::2].T)
    copies = [array[::-1, ::2].T.copy() for array in kept]
    assert np.array_equal(labels, watershed(*copies))
    assert all(np.array_equal(a, b) for a, b in zip(kept, (elevation, markers, mask), strict=True))


def test_nan_is_refused_inside_the_mask_only():
    elevation = np.array([[0.0, np.nan, 1.0]])
    markers = np.array([[1, 0, 0]])
    with pytest.raises(InputError, match="1 of 3 pixels of elevation are NaN"):
        watershed(elevation, markers)
    assert watershed(elevation, markers, ~np.isnan(elevation)).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"markers": np.zeros((3, 4), int)}, "shape of elevation"),
        ({"markers": np.zeros((3, 3))}, "integers"),
        ({"markers": np.full((3, 3), -1)}, "from 0 to"),
        ({"markers": np.full((3, 3), 2**31)}, "from 0 to"),
        ({"mask": np.ones((3, 4), bool)}, "mask must be bool"),
        ({"mask": np.ones((3, 3), int)}, "mask must be bool"),
        ({"connectivity": 0}, "connectivity is 1 to 2"),
        ({"connectivity": 3}, "connectivity is 1 to 2"),
        ({"elevation": np.zeros((3, 3), complex)}, "elevation must be bool, integers or floats"),
        ({"elevation": np.zeros(())}, "at least one axis"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        watershed(**{"elevation": np.zeros((3, 3)), "markers": np.zeros((3, 3), int)} | change)


def test_a_peak_needs_its_depth_for_a_marker():
    height = np.array([[0, 5, 3, 4, 0, 2, 0]])
    assert depth_markers(height, 0).tolist() == [[0, 1, 0, 2, 0, 3, 0]]
    assert depth_markers(height, 1).tolist() == [[0, 1, 0, 0, 0, 2, 0]]
    assert depth_markers(height, 2).tolist() == [[0, 1, 0, 0, 0, 0, 0]]


def test_a_flat_top_has_one_marker():
    assert depth_markers(np.array([[0, 2, 2, 2, 0, 2, 0]]), 0).tolist() == [[0, 1, 0, 0, 0, 2, 0]]
    assert depth_markers(np.full((3, 4), 7, np.uint8), 0).sum() == 1


def test_every_piece_of_the_mask_has_a_marker():
    mask = np.array([[1, 0, 1, 1, 0, 1]], bool)
    assert depth_markers(np.zeros((1, 6)), 100, mask).tolist() == [[1, 0, 2, 0, 0, 3]]


def test_peaks_too_near_each_other_leave_the_higher():
    height = np.array([[3, 0, 5, 0, 4, 0, 0, 2]])
    assert depth_markers(height, 0, min_distance_px=2).tolist() == [[1, 0, 2, 0, 3, 0, 0, 4]]
    assert depth_markers(height, 0, min_distance_px=3).tolist() == [[0, 0, 1, 0, 0, 0, 0, 2]]
    apart = np.array([[1, 1, 1, 0, 1, 1, 1, 1]], bool)
    assert depth_markers(height, 0, apart, min_distance_px=3).tolist() == [[0, 0, 1, 0, 2, 0, 0, 3]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([(17, 23), (7, 8, 9)]))
def test_markers_are_the_h_maxima(seed, depth, shape):
    height = np.random.default_rng(seed).integers(0, 12, shape).astype(float)
    footprint = generate_binary_structure(len(shape), 1)
    lowered = reconstruction(height - depth, height, footprint=footprint)
    hills, number = label(local_maxima(lowered, footprint), footprint)
    markers = depth_markers(height, depth)
    assert markers.max() == number
    assert np.array_equal(np.unique(hills[markers > 0]), np.arange(1, number + 1))


def test_touching_discs_have_a_marker_each():
    y, x = np.mgrid[:40, :70]
    mask = (np.hypot(y - 20, x - 20) < 15) | (np.hypot(y - 20, x - 46) < 15)
    markers = distance_markers(mask, min_depth_px=1)
    assert markers.max() == 2
    labels = watershed(-edge_distance(mask), markers, mask)
    assert np.array_equal(labels > 0, mask)
    assert labels[20, 20] != labels[20, 46]
    assert distance_markers(mask, min_depth_px=20).max() == 1


def test_touching_balls_have_a_marker_each():
    z, y, x = np.mgrid[:24, :24, :44]
    mask = (z - 12) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 < 100
    mask |= (z - 12) ** 2 + (y - 12) ** 2 + (x - 29) ** 2 < 100
    assert distance_markers(mask).max() == 2


def test_distance_is_to_the_nearest_pixel_outside():
    mask = np.array([[0, 1, 1, 1, 1, 0]], bool)
    assert edge_distance(mask).tolist() == [[0, 1, 2, 2, 1, 0]]
    assert edge_distance(mask[np.newaxis]).tolist() == [[[0, 1, 2, 2, 1, 0]]]
    assert edge_distance(np.ones((2, 3), bool)).tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    "wrong", [{"min_depth": -1}, {"min_depth": np.nan}, {"min_depth": 1, "min_distance_px": -1}]
)
def test_bad_depth_or_distance_is_refused(wrong):
    with pytest.raises(InputError, match="0 or more"):
        depth_markers(np.zeros((2, 2)), **wrong)
