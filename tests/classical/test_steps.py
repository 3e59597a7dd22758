"""Steps on an image: by eye, dtype and scale, against OpenCV and scikit-image, colour, alpha, odd input."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import color, data

from smalti.classical.channels import ColorSpaceStep
from smalti.classical.steps import (
    Bilateral,
    Clahe,
    FlattenBackground,
    Gaussian,
    Median,
    NlMeans,
    estimate_noise,
)
from smalti.classical.threshold import Otsu
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.pipeline import Pipeline
from smalti.segmenter import make_step

DENOISE = [Gaussian, Median, Bilateral, NlMeans]
KEEPING = [*DENOISE, Clahe]


def applied(step, array, ndim: int = 2) -> np.ndarray:
    pixels = step.apply(Image.from_array(np.asarray(array), ndim)).pixels
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def noisy_edge(sigma: float = 5.0) -> np.ndarray:
    plane = np.where(np.arange(40) < 20, 50.0, 200.0) + np.zeros((40, 1))
    return plane + np.random.default_rng(0).normal(0, sigma, plane.shape)


# By eye


def test_gaussian_of_a_point_is_the_bell() -> None:
    plane = np.zeros((21, 21))
    plane[10, 10] = 1
    found = applied(Gaussian(sigma_px=2), plane)
    assert found[10, 10] == pytest.approx(1 / (2 * np.pi * 4), rel=1e-3)
    assert found.sum() == pytest.approx(1, rel=1e-3)


def test_median_removes_a_speck_and_keeps_the_edge() -> None:
    plane = np.repeat(np.uint8([[10, 10, 10, 90, 90, 90]]), 5, 0)
    specked = plane.copy()
    specked[2, 1] = 255
    assert np.array_equal(applied(Median(), specked), plane)


@pytest.mark.parametrize("step", [Bilateral(sigma_grey=30), NlMeans(), NlMeans(strength=5)])
def test_noise_goes_and_the_edge_stays(step) -> None:
    plane = noisy_edge()
    found = applied(step, plane)
    assert found[:, :15].std() < plane[:, :15].std() / 2
    assert (found[:, 20] - found[:, 19]).min() > 100


def test_noise_is_estimated() -> None:
    assert estimate_noise(noisy_edge()) == pytest.approx(5, rel=0.1)
    assert estimate_noise(np.full((3, 4, 5), 0.1)) == 0


def test_clahe_stretches_a_dull_image() -> None:
    ramp = np.tile(np.linspace(100, 120, 64), (64, 1)).astype(np.uint8)
    assert np.ptp(applied(Clahe(clip_limit=10, tiles=1), ramp)) > 100


@pytest.mark.parametrize("method", ["gaussian", "opening", "rolling-ball"])
@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_uneven_light_becomes_even(method, polarity) -> None:
    sign = 1 if polarity == "bright" else -1
    light = 100 + np.add.outer(np.arange(60.0), np.arange(80.0)) / 2
    plane = light.copy()
    plane[28:32, 38:42] += sign * 50
    found = applied(FlattenBackground(method=method, radius_px=12, polarity=polarity), plane)
    ground = found[15:-15, 15:-15][np.abs(plane - light)[15:-15, 15:-15] == 0]
    assert np.ptp(ground) < np.ptp(light) / 4
    assert abs(np.median(found) - np.median(light)) < 10  # the level stays
    assert sign * (found[30, 40] - np.median(found)) > 30


def test_pages_are_easier_on_a_flat_background() -> None:
    page = Image.from_array(data.page())
    plain = Otsu(polarity="dark").predict(page).coverage
    flat = (
        Pipeline(before=("flatten-background:radius_px=25",), method=Otsu(polarity="dark"))
        .predict(page)
        .coverage
    )
    assert plain > 0.3 and flat < 0.2  # the shadow is no text


# Scale and dtype


@pytest.mark.parametrize("step", KEEPING)
@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int16, np.int32, np.uint64, np.float16, np.float32, np.float64]
)
def test_dtype_and_scale_are_kept(step, dtype) -> None:
    plane = np.clip(noisy_edge(), 0, 255).astype(dtype)
    image = Image.from_array(plane, geometry=Geometry((2, 2), "um"))
    before = plane.copy()
    found = step().apply(image)
    assert found.pixels.dtype == dtype
    assert found.channels == ("grey",) and found.geometry is image.geometry
    assert np.array_equal(plane, before)
    if step in DENOISE:
        assert abs(float(np.median(found.pixels[:, :15])) - 50) < 3
    assert np.array_equal(step().apply(image).pixels, found.pixels)


@pytest.mark.parametrize("step", [*KEEPING, FlattenBackground])
@pytest.mark.parametrize("value", [0, 0.1, 1])
def test_constant_and_tiny_images_stay(step, value) -> None:
    for shape in [(1, 1), (1, 9), (9, 1), (7, 13), (33, 1)]:
        for dtype in (bool, np.uint8, np.uint16, np.float32, np.float64):
            plane = np.full(shape, value, dtype)
            assert np.allclose(applied(step(), plane), plane, rtol=1e-6)
        assert applied(step(), np.random.default_rng(0).random(shape)).shape == shape


def test_int64_extremes_do_not_wrap() -> None:
    plane = np.full((3, 3), np.iinfo(np.int64).max)
    assert applied(Gaussian(), plane).min() > 2**62
    assert applied(Gaussian(), np.full((3, 3), np.iinfo(np.uint64).max)).min() > 2**63


def test_flat_background_of_integers_is_float_and_may_be_negative() -> None:
    assert applied(FlattenBackground(), data.coins()).dtype == np.float32
    assert applied(FlattenBackground(), data.coins().astype(np.int32)).dtype == np.float64


# Against reference implementations


def test_as_opencv_and_scipy() -> None:
    coins = data.coins()
    blurred = ndimage.gaussian_filter(coins.astype(float), 2)
    assert np.abs(applied(Gaussian(sigma_px=2), coins).astype(float) - blurred).max() <= 0.51
    assert np.allclose(applied(Gaussian(sigma_px=2), coins.astype(float)), blurred, atol=1e-9)
    assert np.array_equal(applied(Median(window_px=7), coins), cv2.medianBlur(coins, 7))
    assert np.array_equal(applied(Clahe(), coins), cv2.createCLAHE(2.0, (8, 8)).apply(coins))
    opened = coins - applied(FlattenBackground(method="opening", radius_px=10), coins)
    reference = cv2.morphologyEx(coins, cv2.MORPH_OPEN, np.ones((21, 21), np.uint8))
    assert np.allclose(opened + reference.mean(), reference, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("window_px", [3, 5, 7])
def test_median_means_the_same_for_all_types(dtype, window_px) -> None:
    coins = data.coins()[:60, :60]
    expected = ndimage.median_filter(coins, window_px, mode="nearest")
    assert np.array_equal(applied(Median(window_px=window_px), coins.astype(dtype)), expected)


def test_clahe_of_other_types_is_like_that_of_bytes() -> None:
    coins = data.coins()
    low, high = int(coins.min()), int(coins.max())
    stretched = np.rint((coins - float(low)) / (high - low) * 255).astype(np.uint8)
    expected = applied(Clahe(), stretched) / 255 * (high - low) + low
    found = applied(Clahe(), coins.astype(np.float64))
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
    assert found.min() >= low and found.max() <= high


# Channels


def test_alpha_is_passed_on() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4)).astype(np.uint8)
    image = Image.from_array(rgba)
    for step in [*KEEPING, FlattenBackground]:
        found = step().apply(image)
        assert found.channels == image.channels
        assert np.array_equal(found.channel("alpha"), rgba[..., 3])
    found = ColorSpaceStep().apply(image)
    assert found.channels == ("hue", "saturation", "value", "alpha")
    assert np.array_equal(found.channel("alpha"), rgba[..., 3])


def test_seven_channels_are_filtered_each_by_itself() -> None:
    many = np.random.default_rng(0).random((9, 9, 7)).astype(np.float32)
    for step in KEEPING:
        found = step().apply(Image.from_array(many))
        alone = applied(step(), many[..., 3])
        assert found.channels[3] == "channel_3"
        assert np.allclose(found.pixels[..., 3], alone, atol=1e-6)


def test_clahe_keeps_hue_and_saturation() -> None:
    coffee = data.coffee()[:100, :100] / 255
    before = color.rgb2hsv(coffee)
    after = color.rgb2hsv(applied(Clahe(), coffee))
    colorful = (before[..., 1] > 0.1) & (before[..., 2] > 0.05)
    assert np.allclose(after[colorful][:, :2], before[colorful][:, :2], atol=1e-6)
    with pytest.raises(InputError, match="0 or more"):
        applied(Clahe(), -coffee)


# Volumes and refusals


def test_volumes() -> None:
    volume = np.zeros((7, 7, 7), np.float32)
    volume[3, 3, 3] = 1
    assert np.allclose(applied(Gaussian(), volume, 3), ndimage.gaussian_filter(volume, 1))
    assert not applied(Median(), volume, 3).any()
    assert applied(NlMeans(), volume, 3).shape == volume.shape
    for step in (Bilateral, Clahe, FlattenBackground):
        with pytest.raises(InputError, match="2-D"):
            applied(step(), volume, 3)


@pytest.mark.parametrize("step", [*KEEPING, FlattenBackground])
def test_pixels_that_are_no_numbers_are_refused(step) -> None:
    with pytest.raises(InputError, match="NaN"):
        applied(step(), np.array([[0, np.nan]]))


def test_parameters_are_checked() -> None:
    for name, bad in [
        ("median", {"window_px": 4}),
        ("gaussian", {"sigma_px": 0}),
        ("gaussian", {"sigma": 1}),
    ]:
        with pytest.raises(InputError):
            make_step(name, **bad)


def test_what_would_take_hours_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="rolling-ball takes radius_px up to 200, got 2000"):
        make_step("flatten-background", method="rolling-ball", radius_px=2000)
    assert make_step("flatten-background", method="opening", radius_px=2000)
    volume = Image.from_array(np.zeros((3, 4, 5)), ndim=3)
    with pytest.raises(InputError, match="distance_px up to 10 for volumes, got 11"):
        make_step("nl-means", distance_px=11).apply(volume)
