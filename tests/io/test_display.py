"""Values shown as colours."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.image import Image
from smalti.io.display import CHECKER, to_display


def is_checker(picture: np.ndarray) -> bool:
    return bool(np.isin(picture, CHECKER).all() and (picture[..., :1] == picture).all())


def test_8_bit_values_stay_as_they_are() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(to_display(Image.from_array(grey)), np.repeat(grey[..., np.newaxis], 3, axis=-1))
    color = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    shown = to_display(Image.from_array(color))
    assert np.array_equal(shown, color)
    assert not np.shares_memory(shown, color)


def test_bool_is_black_and_white() -> None:
    shown = to_display(Image.from_array(np.array([[True, False]])))
    assert shown.tolist() == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize(
    "dtype", [np.uint16, np.int16, np.int8, np.uint32, np.int64, np.float16, np.float32, float]
)
def test_other_values_are_stretched_over_all_shades(dtype: type) -> None:
    ramp = np.linspace(0, 100, 1000).astype(dtype).reshape(20, 50)
    shown = to_display(Image.from_array(ramp))
    assert shown.dtype == np.uint8 and shown.shape == (20, 50, 3)
    assert shown.min() == 0 and shown.max() == 255
    assert (np.diff(shown[..., 0].reshape(-1).astype(int)) >= 0).all()


def test_one_hot_pixel_does_not_darken_the_rest() -> None:
    pixels = np.tile(np.linspace(0, 1, 1000), (20, 1))
    pixels[3, 3] = 1e6
    assert to_display(Image.from_array(pixels)).mean() > 100


def test_few_bright_pixels_on_black_are_seen() -> None:
    pixels = np.zeros((100, 100), np.uint16)
    pixels[5, 5] = 7
    shown = to_display(Image.from_array(pixels))
    assert shown[5, 5].tolist() == [255] * 3 and shown[0, 0].tolist() == [0] * 3


def test_colors_are_stretched_together_and_other_channels_apart() -> None:
    pixels = np.stack([np.linspace(0, 1, 400), np.linspace(0, 2, 400), np.linspace(0, 4, 400)], axis=-1)
    pixels = pixels.reshape(20, 20, 3)
    shown = to_display(Image.from_array(pixels))
    assert shown[-1, -1, 2] > 3 * shown[-1, -1, 0] > 0
    apart = to_display(Image.from_array(pixels, channels=("dapi", "actin", "tubulin")))
    assert apart[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("value, shade", [(0.0, 0), (3.5, 128), (-2.0, 128)])
def test_constant_image(value: float, shade: int) -> None:
    assert (to_display(Image.from_array(np.full((3, 4), value))) == shade).all()


def test_values_without_number() -> None:
    pixels = np.tile(np.linspace(0, 1, 50), (40, 1))
    pixels[:, :5] = np.nan
    pixels[0, 10], pixels[0, 11] = np.inf, -np.inf
    shown = to_display(Image.from_array(pixels))
    assert is_checker(shown[:, :5]) and len(np.unique(shown[:, :5])) == 2
    assert shown[0, 10, 0] == 255 and shown[0, 11, 0] == 0
    assert is_checker(to_display(Image.from_array(np.full((9, 9), np.nan))))
    assert (to_display(Image.from_array(np.full((2, 2), np.inf))) == 255).all()


def test_widest_floats_do_not_overflow() -> None:
    pixels = np.array([[-1.7e308, 0.0, 1.7e308]])
    assert to_display(Image.from_array(pixels))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
def test_any_number_of_channels(count: int, dtype: type) -> None:
    pixels = (np.arange(20 * 20 * count).reshape(20, 20, count) % 251).astype(dtype)
    before = pixels.copy()
    shown = to_display(Image.from_array(pixels))
    assert shown.shape == (20, 20, 3) and shown.dtype == np.uint8
    assert np.array_equal(pixels, before)


def test_two_channels_are_magenta_and_green() -> None:
    pixels = np.array([[[200, 0], [0, 100]]], np.uint8)
    shown = to_display(Image.from_array(pixels, channels=("dapi", "actin")))
    assert shown.tolist() == [[[200, 0, 200], [0, 100, 0]]]


def test_seven_channels_show_the_first_three() -> None:
    pixels = np.arange(7, dtype=np.uint8).reshape(1, 1, 7)
    assert to_display(Image.from_array(pixels)).tolist() == [[[0, 1, 2]]]


@pytest.mark.parametrize("dtype, opaque", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)])
def test_transparent_pixels_show_the_checkerboard(dtype: type, opaque: float) -> None:
    pixels = np.zeros((20, 20, 4), dtype)
    pixels[..., 0] = np.arange(20)
    pixels[10:, :, 3] = opaque
    shown = to_display(Image.from_array(pixels))
    assert is_checker(shown[:10])
    assert (shown[10:, :, 1:] == 0).all() and shown[10, 19, 0] > 0


def test_image_of_nothing_but_alpha_is_shown_as_it_is() -> None:
    image = Image.from_array(np.array([[9]], np.uint8), channels=("alpha",))
    assert to_display(image).tolist() == [[[9, 9, 9]]]


def test_volume_is_refused() -> None:
    with pytest.raises(InputError, match="choose one slice"):
        to_display(Image.from_array(np.zeros((2, 3, 4)), ndim=3))
