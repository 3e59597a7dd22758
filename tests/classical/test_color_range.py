"""Colour ranges: named colours, hue through red, what each number type means, conversions by reference."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color, data

from smalti.classical.color_range import ColorRange, to_color_space
from smalti.classical.grey import full_scale
from smalti.errors import InputError
from smalti.image import Image
from smalti.segmenter import make_segmenter

RED, ORANGE, GREEN, BLUE, GREY, PINK = (
    (255, 0, 0),
    (255, 128, 0),
    (0, 255, 0),
    (0, 0, 255),
    (90, 90, 90),
    (255, 0, 60),
)
COLORS = np.uint8([[RED, ORANGE, GREEN, BLUE, GREY, PINK]])


def chosen(array: np.ndarray, **parameters) -> list[int]:
    """Columns of a one-row image inside the range."""
    found = make_segmenter("color-range", **parameters).predict(Image.from_array(array))
    return np.flatnonzero(found.labels[0]).tolist()


def test_default_is_everything_colourful() -> None:
    assert chosen(COLORS) == [0, 1, 2, 3, 5]


def test_hue_in_degrees_goes_through_red() -> None:
    assert chosen(COLORS, lower=[100, 0.5, 0.5], upper=[130, 1, 1]) == [2]
    assert chosen(COLORS, lower=[340, 0.5, 0.5], upper=[35, 1, 1]) == [0, 1, 5]


def test_both_ends_belong_to_the_range() -> None:
    assert chosen(COLORS, lower=[120, 1, 1], upper=[240, 1, 1]) == [2, 3]


def test_lab_and_rgb_ranges() -> None:
    assert chosen(COLORS, space="lab", lower=[0, -5, -5], upper=[100, 5, 5]) == [4]
    assert chosen(COLORS, space="rgb", lower=[0.9, 0, 0], upper=[1, 0.1, 0.1]) == [0]


@pytest.mark.parametrize(
    "array", [COLORS.astype(np.uint16) * 257, COLORS / 255, (COLORS / 255).astype(np.float32)]
)
def test_number_types_mean_the_same_colours(array) -> None:
    assert chosen(array, lower=[340, 0.5, 0.5], upper=[35, 1, 1]) == [0, 1, 5]


def test_values_that_are_no_colour_are_refused() -> None:
    for array in (COLORS.astype(np.float64), -COLORS.astype(np.int16)):
        with pytest.raises(InputError, match="must lie in 0"):
            chosen(array)
    with pytest.raises(InputError, match="NaN"):
        chosen(np.full((1, 1, 3), np.nan))


def test_grey_images_have_no_saturation() -> None:
    assert chosen(np.uint8([[0, 200]])) == []
    assert chosen(np.uint8([[0, 200]]), space="rgb", lower=[0.5] * 3, upper=[1] * 3) == [1]


def test_pieces_volumes_and_alpha() -> None:
    volume = np.zeros((2, 1, 3, 4), np.uint8)
    volume[..., 3] = 9
    volume[:, 0, 0, 0] = volume[0, 0, 2, 0] = 200
    found = ColorRange().predict(Image.from_array(volume, ndim=3))
    assert found.areas_px.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lower": [400, 0, 0]}, "hue goes from 0 to 360"),
        ({"lower": [0, 0.9, 0], "upper": [9, 0.1, 1]}, "lower saturation 0.9 is above"),
        ({"space": "lab"}, "say lower and upper for lab"),
        ({"space": "xyz"}, "space"),
        ({"lower": [0, 0]}, "lower"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(parameters, message) -> None:
    with pytest.raises(InputError, match=message):
        make_segmenter("color-range", **parameters)


def test_parameters_make_the_same_method_again() -> None:
    method = ColorRange(space="lab", lower=(0, 0, 0), upper=(50, 9, 9))
    assert make_segmenter(**method.describe()) == method


def test_conversions_as_scikit_image() -> None:
    photo = full_scale(data.coffee(), np.float32)
    hsv = to_color_space(photo, "hsv")
    turn = np.abs(hsv[..., 0] / 360 - color.rgb2hsv(photo)[..., 0])
    assert np.minimum(turn, 1 - turn).max() < 1e-4
    assert np.allclose(hsv[..., 1:], color.rgb2hsv(photo)[..., 1:], atol=1e-5)
    assert np.allclose(to_color_space(photo, "lab"), color.rgb2lab(photo), atol=1e-3)
