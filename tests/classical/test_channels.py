"""Steps on channels: their names, units and values, and what they refuse."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from smalti.classical.channels import ChannelsStep, ColorSpaceStep, GreyStep
from smalti.classical.threshold import Otsu
from smalti.errors import InputError, UnknownName
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.pipeline import Pipeline
from smalti.segmenter import make_step


def test_colour_spaces_have_names_and_units() -> None:
    image = Image.from_array(np.uint8([[[0, 255, 0], [255, 255, 255]]]))
    hsv = ColorSpaceStep().apply(image)
    assert hsv.pixels.dtype == np.float32
    assert hsv.channel("hue").tolist() == [[120, 0]] and hsv.channel("value").tolist() == [[1, 1]]
    both = ColorSpaceStep(space="lab", keep=True).apply(image)
    assert both.channels == ("red", "green", "blue", "lightness", "a", "b")
    assert both.channel("green").tolist() == [[255, 255]]
    assert both.channel("lightness")[0, 1] == pytest.approx(100, abs=1e-3)
    with pytest.raises(InputError, match="takes red, green and blue"):
        ColorSpaceStep().apply(Image.from_array(np.zeros((3, 3))))


def test_a_method_can_look_at_a_new_channel() -> None:
    image = Image.from_array(data.immunohistochemistry())
    found = Pipeline(before=("color-space",), method=Otsu(channel="saturation")).predict(image)
    assert 0.05 < found.coverage < 0.95


def test_grey_is_the_luma_of_opencv_to_a_level() -> None:
    pixels = data.astronaut()
    found = GreyStep().apply(Image(pixels))
    assert found.channels == ("grey",) and found.pixels.dtype == np.uint8
    off = found.pixels[..., 0].astype(int) - cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    assert np.abs(off).max() <= 1


def test_grey_of_grey_and_of_alpha_and_of_volumes() -> None:
    generator = np.random.default_rng(0)
    for shape in ((5, 6, 1), (5, 6, 2), (3, 5, 6, 1)):
        pixels = generator.integers(0, 256, shape).astype(np.uint16)
        found = GreyStep().apply(Image(pixels))
        assert found.channels == ("grey",)
        assert np.array_equal(found.pixels[..., 0], pixels[..., 0])
    with pytest.raises(InputError, match="choose one of them"):
        GreyStep().apply(Image(np.zeros((4, 4, 7), np.uint8)))


def test_channels_by_name_and_in_order() -> None:
    pixels = np.random.default_rng(0).random((4, 5, 4)).astype(np.float32)
    image = Image(pixels, ("dapi", "gfp", "actin", "alpha"), Geometry((0.5, 0.5), "um"))
    step = make_step("channels", names="actin, dapi")
    found = step.apply(image)
    assert found.channels == ("actin", "dapi") and found.geometry == image.geometry
    assert np.array_equal(found.pixels, pixels[..., [2, 0]])
    assert make_step(**step.describe()) == step


def test_channels_that_are_not_there_or_twice() -> None:
    image = Image(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UnknownName, match="nearest: green"):
        ChannelsStep(names=("gren",)).apply(image)
    with pytest.raises(InputError, match="each channel can be taken once"):
        make_step("channels", names="red,red")
    with pytest.raises(InputError):
        make_step("channels", names=[])


def test_a_grey_model_takes_colour_through_a_step() -> None:
    image = Image(data.astronaut())
    assert len(Pipeline(before=("grey",), method=Otsu()).predict(image))
    assert len(Pipeline(before=("channels:names=red",), method=Otsu(channel="red")).predict(image))
