"""Active contours: on shapes one can see, and against scikit-image's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_gradient_magnitude
from skimage import data, segmentation

from smalti.classical.contours import ChanVese, GeodesicContour, chan_vese_phase, move_contour
from smalti.errors import InputError
from smalti.image import Image
from smalti.segmenter import Prompts, make_segmenter


def disks() -> np.ndarray:
    y, x = np.indices((70, 110))
    return np.where((y - 35) ** 2 + (x - 30) ** 2 < 15**2, 1, 0) + np.where(
        (y - 30) ** 2 + (x - 80) ** 2 < 18**2, 2, 0
    )


def noisy(truth: np.ndarray) -> Image:
    rng = np.random.default_rng(0)
    return Image.from_array(((truth > 0) * 120 + rng.integers(20, 60, truth.shape)).astype(np.uint8))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_two_phases_of_a_noisy_image(polarity):
    truth = disks()
    image = noisy(truth)
    if polarity == "dark":
        image = Image(255 - image.pixels)
    found = ChanVese(polarity=polarity).predict(image)
    assert len(found) == 2
    assert iou(found.labels > 0, truth > 0) > 0.97


def test_smoothness_swallows_specks():
    plane = np.zeros((40, 40), np.uint8)
    plane[10:30, 10:30] = 200
    plane[3, 3] = 200
    assert len(ChanVese(smoothness=0.5).predict(Image.from_array(plane))) == 1


def test_phases_are_scikit_images_when_values_fill_the_scale():
    photo = data.camera()[::4, ::4].astype(float)
    photo = (photo - photo.min()) / (photo.max() - photo.min())
    theirs = segmentation.chan_vese(photo, mu=0.2, max_num_iter=30, tol=1e-3)
    assert np.array_equal(chan_vese_phase(photo, 0.2, 30, 1e-3), theirs)


def test_contrast_counts_on_the_full_scale():
    """The cost of a contour is weighed against the step itself, so a step of 2 of 255 is not worth one."""
    rng = np.random.default_rng(0)
    plane = rng.integers(100, 103, (30, 30)).astype(np.uint8)
    many = ChanVese(smoothness=1e-5).predict(Image.from_array(plane))
    few = ChanVese(smoothness=0.1).predict(Image.from_array(plane))
    assert len(few) < len(many)


def test_the_border_shrinks_onto_all_objects():
    truth = disks()
    found = GeodesicContour().predict(noisy(truth))
    assert len(found) == 2
    assert iou(found.labels > 0, truth > 0) > 0.85


def test_each_box_shrinks_onto_its_object():
    truth = disks()
    found = GeodesicContour().predict(noisy(truth), Prompts(boxes=[[14, 8, 56, 52], [6, 56, 54, 104]]))
    assert [iou(found.mask(k), truth == k) > 0.85 for k in (1, 2)] == [True, True]


def test_scribbles_grow_to_the_edges_around_them():
    truth = disks()
    scribbles = np.zeros(truth.shape, int)
    scribbles[33:38, 28:33] = 1
    scribbles[28:33, 78:83] = 2
    found = GeodesicContour().predict(noisy(truth), Prompts(scribbles=scribbles))
    assert [iou(found.mask(k), truth == k) > 0.85 for k in (1, 2)] == [True, True]


def test_a_box_with_nothing_in_it_gives_no_segment():
    flat = Image.from_array(np.zeros((30, 30), np.uint8))
    assert len(GeodesicContour().predict(flat, Prompts(boxes=[[5, 5, 20, 20]]))) == 0
    assert len(GeodesicContour().predict(flat)) == 0


@pytest.mark.parametrize("smoothing", [0, 1, 2])
@pytest.mark.parametrize("grow", [False, True])
def test_contour_is_scikit_images(smoothing, grow):
    """Its smoothing alternates between two orders over calls, so one of two calls is ours."""
    photo = data.coins()[200:303, :120] / 255
    gradient = gaussian_gradient_magnitude(photo, 2)
    start = np.zeros(photo.shape, bool)
    start[50:70, 40:60] = True
    start = start if grow else ~np.zeros_like(start)
    start[[0, 1, -2, -1]] = start[:, [0, 1, -2, -1]] = False
    ours = move_contour(gradient, start, grow, 0.03, smoothing, 15)
    theirs = [
        segmentation.morphological_geodesic_active_contour(
            -gradient, 15 + odd, start, smoothing, threshold=-0.03, balloon=1 if grow else -1
        )
        for odd in (0, 1, 0)
    ]
    assert min((ours != one).mean() for one in (theirs[0], theirs[2])) < 1e-3


def test_a_ball_in_a_volume():
    z, y, x = np.indices((30, 30, 30))
    ball = (z - 15) ** 2 + (y - 15) ** 2 + (x - 15) ** 2 < 8**2
    found = GeodesicContour(sigma_px=1).predict(Image.from_array(ball.astype(np.uint8) * 200, ndim=3))
    assert iou(found.labels > 0, ball) > 0.8


@pytest.mark.parametrize("span", [1e-200, 5e-324])
def test_chan_vese_refuses_pixels_of_next_to_no_range_in_words(span):
    plane = np.zeros((8, 8))
    plane[2:5, 2:5] = span
    with pytest.raises(InputError, match="chan-vese needs pixels that span 1e-30"):
        make_segmenter("chan-vese").predict(Image.from_array(plane))


@pytest.mark.parametrize("smoothness", [0, 1e6])
def test_chan_vese_at_the_ends_of_smoothness(smoothness):
    plane = np.zeros((8, 8))
    plane[2:5, 2:5] = 1e-29
    assert make_segmenter("chan-vese", smoothness=smoothness).predict(Image.from_array(plane)).shape == (8, 8)
