"""The watersheds: on shapes one can see, on the coins, and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data, segmentation

from smalti.classical.watershed import (
    GradientWatershed,
    Watershed,
    part_touching,
)
from smalti.errors import InputError
from smalti.image import Image
from smalti.postprocess.flooding import distance_markers, edge_distance
from smalti.segmenter import Prompts, make_segmenter

# One row a line of coins in scikit-image's photograph; a point inside each, found by eye.
COIN_CENTRES = [
    [(54, 44), (56, 100), (51, 156), (51, 215), (53, 276), (43, 335)],
    [(124, 45), (125, 102), (127, 153), (124, 206), (120, 271), (124, 337)],
    [(197, 44), (195, 102), (198, 154), (193, 213), (194, 274), (187, 347)],
    [(260, 46), (266, 114), (262, 172), (263, 244), (263, 301), (268, 358)],
]


def disks(shape: tuple[int, ...], *centres_and_radii) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for *centre, radius in centres_and_radii:
        apart = sum((at - middle) ** 2 for at, middle in zip(np.indices(shape), centre, strict=True))
        mask |= apart <= radius**2
    return mask


def test_the_coins_are_24_and_each_is_whole():
    coins = Watershed(flatten_px=50, min_area_px=200).predict(Image.from_array(data.coins()))
    assert len(coins) == 24
    found = [coins.labels[centre] for row in COIN_CENTRES for centre in row]
    assert sorted(found) == list(range(1, 25))
    # A whole coin fills its box like a disk (pi / 4); half of one, or two, would not, nor be this round.
    height, width = (coins.boxes[:, 2:] - coins.boxes[:, :2]).T
    assert (np.abs(coins.areas_px / (height * width) - np.pi / 4) < 0.08).all()
    assert (np.maximum(height, width) / np.minimum(height, width) < 1.25).all()


@pytest.mark.parametrize("flatten_px", [30, 40, 60, 80])
@pytest.mark.parametrize("sigma_px", [1, 2])
def test_the_coins_stay_24_under_other_parameters(flatten_px, sigma_px):
    method = make_segmenter("watershed", flatten_px=flatten_px, sigma_px=sigma_px, min_area_px=200)
    assert len(method.predict(Image.from_array(data.coins()))) == 24


@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_touching_disks_are_parted_at_the_neck(polarity):
    mask = disks((40, 60), (20, 20, 12), (20, 40, 12))
    image = Image.from_array(np.where(mask == (polarity == "bright"), 200, 20).astype(np.uint8))
    found = Watershed(polarity=polarity, sigma_px=0).predict(image)
    assert len(found) == 2
    assert (found.labels > 0).sum() == mask.sum()
    assert found.labels[20, 20] == found.labels[20, 28] == 1
    assert found.labels[20, 40] == found.labels[20, 32] == 2


def test_touching_balls_of_a_volume_are_parted():
    mask = disks((24, 24, 40), (12, 12, 12, 8), (12, 12, 26, 8))
    found = Watershed(sigma_px=0).predict(Image.from_array(mask, ndim=3))
    assert len(found) == 2
    assert found.labels[12, 12, 12] != found.labels[12, 12, 26]


def test_how_deep_a_neck_must_be_is_the_callers():
    mask = disks((40, 60), (20, 22, 12), (20, 38, 12))
    assert part_touching(mask, 1).max() == 2
    assert part_touching(mask, 10).max() == 1


def test_holes_belong_to_the_object_only_if_asked_for():
    ring = disks((30, 30), (15, 15, 12)) & ~disks((30, 30), (15, 15, 4))
    image = Image.from_array(ring)
    filled, kept = (
        Watershed(sigma_px=0, min_depth_px=9, fill_holes=fill).predict(image) for fill in (True, False)
    )
    assert filled.labels[15, 15] == 1
    assert kept.labels[15, 15] == 0


def test_threshold_may_be_given_on_the_images_own_scale():
    step = Image.from_array(np.array([[0, 0, 0, 40, 40, 40, 90, 90, 90]], np.uint16))
    assert Watershed(sigma_px=0, threshold=50).predict(step).areas_px.tolist() == [3]
    assert Watershed(sigma_px=0, threshold=20).predict(step).areas_px.tolist() == [6]


def test_small_objects_are_dropped():
    image = Image.from_array(disks((40, 40), (10, 10, 2), (28, 28, 8)))
    assert len(Watershed(sigma_px=0).predict(image)) == 2
    assert len(Watershed(sigma_px=0, min_area_px=50).predict(image)) == 1


def test_parting_agrees_with_scikit_image_from_the_same_markers():
    mask = data.coins() > 110
    theirs = segmentation.watershed(-edge_distance(mask), distance_markers(mask, 2), mask=mask)
    # Distances on a grid come in few values, and where floods meet at one height the order of the queue decides.
    assert (part_touching(mask, 2) != theirs).mean() < 3e-3


def test_corners_count_in_the_plane_as_much_as_they_can():
    squares = Image.from_array(np.kron(np.eye(2, dtype=np.uint8), np.ones((4, 4), np.uint8)) * 200)
    counts = [
        len(Watershed(sigma_px=0, min_depth_px=9, connectivity=steps).predict(squares)) for steps in (1, 2, 3)
    ]
    assert counts == [2, 1, 1]


def test_gradient_basins_without_prompts_are_the_flat_places():
    plane = np.zeros((30, 60), np.uint8)
    plane[:, 20:40] = 100
    plane[:, 40:] = 200
    found = GradientWatershed().predict(Image.from_array(plane))
    assert len(found) == 3
    assert found.classes.names == ("region",)
    assert found.coverage == 1
    assert np.abs(found.areas_px - 600).max() <= 60


def test_gradient_basins_of_marks_meet_at_the_edge():
    plane = disks((40, 40), (20, 20, 10)) * np.uint8(150)
    prompts = Prompts(points_yx=[[20, 20], [2, 2]], point_labels=[1, 0])
    found = GradientWatershed(sigma_px=1).predict(Image.from_array(plane), prompts)
    assert len(found) == 1
    disk = plane > 0
    assert (found.mask(1) & disk).sum() / (found.mask(1) | disk).sum() > 0.85


def test_background_alone_is_refused():
    prompts = Prompts(points_yx=[[2, 2]], point_labels=[0])
    with pytest.raises(InputError, match="mark no segment"):
        GradientWatershed().predict(Image.from_array(np.zeros((5, 5))), prompts)
