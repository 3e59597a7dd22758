"""Growing, filling, splitting, merging: on small arrays by eye, and against the references on photographs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data, segmentation

from smalti.classical.regions import (
    Felzenszwalb,
    FloodFill,
    MeanShift,
    RegionGrowing,
    SplitAndMerge,
    grow_regions,
    join_alike,
    split_by_variance,
)
from smalti.image import Image
from smalti.segmenter import Prompts

ROW = np.array([[10, 12, 14, 60, 62, 64, 12]], np.uint8)


def labels_of(method, array, prompts=None, ndim=2) -> list:
    given = () if prompts is None else (prompts,)
    return method.predict(Image.from_array(np.asarray(array), ndim), *given).labels.tolist()


def test_regions_grow_to_the_nearest_mean():
    prompts = Prompts(points_yx=[[0, 0], [0, 5]], point_labels=[1, 2])
    assert labels_of(RegionGrowing(tolerance=1), ROW, prompts) == [[1, 1, 1, 2, 2, 2, 2]]
    assert labels_of(RegionGrowing(tolerance=0.1), ROW, prompts) == [[1, 1, 1, 2, 2, 2, 0]]


def test_background_grows_and_is_left_out():
    prompts = Prompts(points_yx=[[0, 0], [0, 5]], point_labels=[0, 1])
    assert labels_of(RegionGrowing(tolerance=1), ROW, prompts) == [[0, 0, 0, 1, 1, 1, 1]]


def test_growth_follows_the_mean_and_not_the_last_pixel():
    """A slope of equal steps stops once it is too far from the mean of what has been taken."""
    values = np.arange(10.0).reshape(1, 10, 1)
    markers = np.zeros((1, 10), np.int32)
    markers[0, 0] = 1
    assert grow_regions(values, markers, 2).tolist() == [[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]]
    assert markers.sum() == 1


def test_growth_over_corners_is_asked_for():
    diagonal = np.eye(3, dtype=np.uint8) * 200
    prompts = Prompts(points_yx=[[0, 0]])
    assert np.sum(labels_of(RegionGrowing(tolerance=0.1), diagonal, prompts)) == 1
    assert np.sum(labels_of(RegionGrowing(tolerance=0.1, connectivity=2), diagonal, prompts)) == 3


def test_growth_in_a_volume():
    volume = np.zeros((3, 3, 3), np.uint8)
    volume[:, 1, 1] = 200
    found = labels_of(RegionGrowing(tolerance=0.1), volume, Prompts(points_yx=[[0, 1, 1]]), ndim=3)
    assert np.array_equal(found, volume // 200)


def test_a_fill_stops_at_the_tolerance_and_at_gaps():
    assert labels_of(FloodFill(tolerance=3 / 255), ROW, Prompts(points_yx=[[0, 1]])) == [
        [1, 1, 1, 0, 0, 0, 0]
    ]


def test_a_scribble_widens_what_may_be_filled():
    scribbles = np.zeros((1, 7), int)
    scribbles[0, 2:4] = 1
    assert labels_of(FloodFill(tolerance=5 / 255), ROW, Prompts(scribbles=scribbles)) == [[1] * 7]


def test_fills_may_overlap_and_background_wins():
    flat = Image.from_array(np.zeros((2, 3), np.uint8))
    both = FloodFill().predict(flat, Prompts(points_yx=[[0, 0], [1, 2]], point_labels=[1, 2]))
    assert both.overlapping
    assert both.areas_px.tolist() == [6, 6]
    none = FloodFill().predict(flat, Prompts(points_yx=[[0, 0], [1, 2]], point_labels=[1, 0]))
    assert len(none) == 0


@pytest.mark.parametrize("seed_yx", [(50, 450), (200, 300), (380, 20)])
def test_fill_is_opencvs(seed_yx):
    photo = data.coffee()
    filled = FloodFill(tolerance=20 / 255).predict(Image.from_array(photo), Prompts(points_yx=[seed_yx]))
    reached = np.zeros((photo.shape[0] + 2, photo.shape[1] + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    cv2.floodFill(photo.copy(), reached, seed_yx[::-1], 0, (20,) * 3, (20,) * 3, flags)
    assert np.array_equal(filled.mask(1), reached[1:-1, 1:-1] == 1)


def test_a_quadtree_splits_only_what_varies():
    plane = np.zeros((4, 4, 1))
    plane[0, 0] = 1
    assert split_by_variance(plane, 0.1, 1).tolist() == [
        [4, 5, 1, 1],
        [6, 7, 1, 1],
        [2, 2, 3, 3],
        [2, 2, 3, 3],
    ]
    assert len(np.unique(split_by_variance(plane, 0.1, 2))) == 4
    assert len(np.unique(split_by_variance(plane, 1, 1))) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 13), (64, 3)])
def test_every_pixel_is_in_one_block(shape):
    values = np.random.default_rng(0).random((*shape, 2))
    labels = split_by_variance(values, 0, 1)
    assert sorted(labels.ravel()) == list(range(1, labels.size + 1))


def test_split_and_merge_finds_the_two_halves_across_blocks():
    plane = np.zeros((32, 32), np.uint8)
    plane[:, 12:] = 200
    found = SplitAndMerge().predict(Image.from_array(plane))
    assert found.areas_px.tolist() == [32 * 12, 32 * 20]
    assert found.classes.names == ("region",)


def test_pixels_join_along_chains_of_alike():
    row = np.array([0, 1, 2, 9, 10, 2], float).reshape(1, 6, 1)
    assert join_alike(row, 1).tolist() == [[1, 1, 1, 2, 2, 3]]


def test_mean_shift_joins_noise_and_keeps_the_step():
    rng = np.random.default_rng(0)
    plane = np.where(np.arange(40) < 15, 60, 180) + rng.integers(-6, 7, (30, 40))
    found = MeanShift().predict(Image.from_array(plane.astype(np.uint8)))
    assert found.areas_px.tolist() == [30 * 15, 30 * 25]


def test_mean_shift_is_the_same_at_every_depth():
    photo = data.coffee()[:80, :90]
    eight, sixteen, floats = (
        MeanShift().predict(Image.from_array(pixels))
        for pixels in (photo, photo.astype(np.uint16) * 257, photo / 255)
    )
    assert eight == sixteen == floats


def test_felzenszwalb_is_scikit_images():
    photo = data.coffee()[:150, :200]
    found = Felzenszwalb(scale=200, sigma_px=0.8, min_area_px=30).predict(Image.from_array(photo))
    theirs = segmentation.felzenszwalb(photo, scale=200, sigma=0.8, min_size=30)
    assert np.array_equal(found.labels, theirs + 1)


@pytest.mark.parametrize("method", [Felzenszwalb(), SplitAndMerge(), MeanShift()])
def test_a_photograph_becomes_a_workable_number_of_regions(method):
    found = method.predict(Image.from_array(data.coffee()))
    assert found.coverage == 1
    assert 20 < len(found) < 400
    assert found.areas_px.min() >= method.min_area_px
