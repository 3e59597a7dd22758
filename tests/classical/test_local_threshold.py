"""Local thresholds: by eye, against scikit-image and OpenCV on photographs, and on odd planes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data, filters

from smalti.classical.local_threshold import (
    AdaptiveGaussian,
    AdaptiveMean,
    Niblack,
    Sauvola,
    local_gaussian_mean,
    local_mean,
    local_mean_and_std,
)
from smalti.errors import InputError
from smalti.image import Image
from smalti.segmenter import make_segmenter

METHODS = [AdaptiveMean, AdaptiveGaussian, Niblack, Sauvola]


def mask_of(method, array, ndim: int = 2) -> np.ndarray:
    return method.predict(Image.from_array(np.asarray(array), ndim)).labels > 0


def spots(light: np.ndarray) -> np.ndarray:
    """Three spots 20 above an uneven light of 30 columns, 9 rows."""
    plane = np.tile(light, (9, 1))
    for column in (5, 15, 25):
        plane[4, column] += 20
    return plane


@pytest.mark.parametrize(
    "method", [AdaptiveMean(window_px=5, offset=8), AdaptiveGaussian(window_px=5, offset=8)]
)
def test_spots_are_found_on_uneven_light(method) -> None:
    plane = spots(np.arange(30) * 8.0)  # from 0 to 232: no global threshold would do
    expected = np.zeros((9, 30), bool)
    expected[4, [5, 15, 25]] = True
    assert np.array_equal(mask_of(method, plane), expected)
    dark = method.model_copy(update={"polarity": "dark"})
    assert np.array_equal(mask_of(dark, -plane), expected)


@pytest.mark.parametrize("method", [Niblack(window_px=9, k=2), Sauvola(window_px=9)])
def test_dark_text_is_the_default(method) -> None:
    page = np.full((20, 20), 200, np.uint8)
    page[10, 4:16] = 30
    assert np.array_equal(mask_of(method, page), page == 30)
    bright = method.model_copy(update={"polarity": "bright"})
    assert np.array_equal(mask_of(bright, 255 - page), page == 30)


def test_sauvola_keeps_flat_paper_clean_where_niblack_does_not() -> None:
    noise = np.random.default_rng(0).normal(200, 3, (40, 40))
    noise[20, 10:30] = 20
    assert mask_of(Sauvola(), noise).sum() == 20
    assert mask_of(Niblack(), noise).sum() > 200


def test_windows_mirror_the_edge() -> None:
    row = np.array([[1.0, 2, 6]])
    assert np.allclose(local_mean(row, 3), [[4 / 3, 3, 14 / 3]])
    assert np.allclose(local_mean(np.repeat(row[np.newaxis], 2, 0), 3), local_mean(row, 3))
    assert np.allclose(local_gaussian_mean(row[np.newaxis], 5)[0], local_gaussian_mean(row, 5))


def test_local_std_of_large_values_is_not_lost() -> None:
    plane = np.tile([1e7, 1e7 + 1], (4, 4))
    mean, std = local_mean_and_std(plane, 3)
    assert np.allclose(mean[:, 1:-1], plane[:, 1:-1] * 0 + 1e7 + 0.5, atol=0.2)
    assert np.allclose(std[:, 1:-1], np.sqrt(2) / 3, atol=1e-6)


# Against reference implementations, on photographs


@pytest.mark.parametrize("photo", [data.page, data.text, data.coins])
def test_adaptive_mean_as_scikit_image_and_opencv(photo) -> None:
    plane = photo()
    found = mask_of(AdaptiveMean(window_px=35, offset=-10), plane)  # brighter than mean - 10
    reference = plane > filters.threshold_local(plane, 35, method="mean", offset=10)
    assert np.mean(found != reference) < 1e-4
    dark = mask_of(AdaptiveMean(window_px=35, offset=10, polarity="dark"), plane)
    opencv = cv2.adaptiveThreshold(plane, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 35, 10) > 0
    inner = (slice(18, -18), slice(18, -18))  # OpenCV repeats the edge, and rounds the mean
    assert np.mean(dark[inner] != opencv[inner]) < 0.03


def test_adaptive_gaussian_as_scikit_image() -> None:
    page = data.page()
    reference = page < filters.threshold_local(page, 35, method="gaussian", offset=10)
    found = mask_of(AdaptiveGaussian(window_px=35, offset=10, polarity="dark"), page)
    assert np.mean(found != reference) < 0.002  # it cuts the Gaussian a little further out


@pytest.mark.parametrize("photo", [data.page, data.text])
def test_niblack_and_sauvola_as_scikit_image(photo) -> None:
    page = photo()
    inner = (slice(13, -13), slice(13, -13))  # it mirrors without repeating the edge pixel
    niblack = page < filters.threshold_niblack(page, 25, k=0.2)
    assert np.array_equal(mask_of(Niblack(), page)[inner], niblack[inner])
    sauvola = page < filters.threshold_sauvola(page, 25, k=0.2, r=128)
    assert np.array_equal(mask_of(Sauvola(max_std=128), page)[inner], sauvola[inner])


# Odd planes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, bool])
def test_constant_planes_have_no_foreground(method, dtype) -> None:
    for shape in [(1, 1), (1, 9), (40, 50)]:
        for polarity in ("bright", "dark"):
            for value in (0, 0.1, 1):
                assert not mask_of(method(polarity=polarity), np.full(shape, value, dtype)).any()


@pytest.mark.parametrize("method", [AdaptiveMean, AdaptiveGaussian])
def test_flat_patches_of_a_float_image_are_ground(method) -> None:
    plane = np.full((60, 60), 0.1)
    plane[40, 40] = 0.9
    found = mask_of(method(window_px=9), plane)
    assert found.sum() == 1 and found[40, 40]


@pytest.mark.parametrize("method", METHODS)
def test_windows_larger_than_the_image_and_volumes(method) -> None:
    rng = np.random.default_rng(1)
    mask_of(method(window_px=999), rng.random((7, 13)))
    mask_of(method(), -rng.random((1, 9)))
    volume = rng.random((1, 20, 30))
    flat = mask_of(method(window_px=9), np.repeat(volume, 3, 0), 3)
    assert np.array_equal(flat[1], mask_of(method(window_px=9), volume[0]))


def test_even_windows_are_refused() -> None:
    with pytest.raises(InputError, match="odd number, such as 25"):
        make_segmenter("sauvola", window_px=24)
