"""Pixels reach a network the same way at fitting and predicting, whole and in tiles, on 8 bits and on 16."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.runtime.preparation import Fixed, OfImage, Preparation, Statistics, unit
from smalti.runtime.resizing import resized
from smalti.values import ImageKind, Values


def an_image(shape=(20, 30), channels=3, dtype=np.uint8, seed=0, geometry=None):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 200, (*shape, channels)).astype(dtype)
    return Image(pixels) if geometry is None else Image(pixels, geometry=geometry)


def made(preparation, image):
    return preparation.prepared(preparation.resampled(image), preparation.statistics(image))


FIXED = Preparation(normalization=Fixed(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.1)))


class TestFixed:
    def test_eight_bits_are_shares_less_mean_over_std(self):
        image = an_image()
        wanted = (image.pixels / 255.0 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.1]
        planes = made(FIXED, image)
        assert planes.shape == (3, 20, 30)
        assert planes.dtype == np.float32
        assert np.abs(planes - np.moveaxis(wanted, -1, 0)).max() < 1e-5

    @pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float32, np.float64])
    def test_the_same_scene_in_other_numbers_is_the_same(self, dtype):
        image = an_image()
        top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1.0
        other = Image((image.pixels / 255.0 * top).astype(dtype))
        assert np.abs(made(FIXED, other) - made(FIXED, image)).max() < 1e-3

    def test_signed_numbers_are_as_they_are(self):
        scan = Image(np.array([[[-1000], [0]], [[40], [3000]]], np.int16))
        preparation = Preparation(normalization=Fixed(mean=(40,), std=(100,), low=(-160,), high=(240,)))
        assert made(preparation, scan).tolist() == [[[-2.0, pytest.approx(-0.4)], [0.0, 2.0]]]

    def test_raw_bytes_stay_exact(self):
        preparation = Preparation(normalization=Fixed(mean=(0,), std=(1 / 255,)))
        pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
        assert np.array_equal(made(preparation, Image(pixels))[0], pixels[..., 0])

    def test_volumes_too(self):
        image = an_image((4, 5, 6), 1)
        preparation = Preparation(normalization=Fixed(mean=(0.5,), std=(0.5,)))
        assert np.allclose(made(preparation, image)[0], image.pixels[..., 0] / 127.5 - 1, atol=1e-5)


class TestOfImage:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int32])
    def test_each_channel_has_mean_0_and_spread_1(self, dtype):
        planes = made(Preparation(normalization=OfImage()), an_image(dtype=dtype))
        assert np.abs(planes.mean((1, 2))).max() < 1e-4
        assert np.abs(planes.std((1, 2)) - 1).max() < 1e-4

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_percentiles_come_to_the_ends_and_what_is_beyond_is_clipped(self, dtype):
        pixels = np.arange(1000, dtype=dtype if dtype != np.uint8 else np.uint16).reshape(20, 50, 1)
        pixels = (pixels // 4).astype(np.uint8) if dtype == np.uint8 else pixels
        planes = made(Preparation(normalization=OfImage(by="percentiles", low=10, high=90)), Image(pixels))[0]
        assert planes.min() == -1
        assert planes.max() == pytest.approx(1)
        assert abs((planes == -1).mean() - 0.1) < 0.01
        assert abs((planes > 0.99999).mean() - 0.1) < 0.01

    @pytest.mark.parametrize("by", ["mean-std", "percentiles"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_an_image_of_one_value_is_0(self, by, dtype):
        image = Image(np.full((5, 5, 1), 7, dtype))
        assert not made(Preparation(normalization=OfImage(by=by)), image).any()

    @pytest.mark.parametrize("by", ["mean-std", "percentiles"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_dark_things_on_a_bright_ground_are_seen_as_bright_ones_on_a_dark_one(self, by, dtype):
        pixels = np.full((20, 30, 1), 40, dtype)
        pixels[4:9, 5:11] = 200
        turned = (240 - pixels).astype(dtype)
        bright = Preparation(normalization=OfImage(by=by, polarity="bright"))
        seen = [made(bright, Image(each)) for each in (pixels, turned)]
        assert np.allclose(*seen, atol=1e-5) and seen[0][0, 5, 6] > seen[0][0, 0, 0]
        assert np.array_equal(seen[0], made(Preparation(normalization=OfImage(by=by)), Image(pixels)))
        kept = Preparation(normalization=OfImage(by=by))
        assert not np.allclose(made(kept, Image(pixels)), made(kept, Image(turned)))

    @pytest.mark.parametrize(
        "normalization",
        [
            OfImage(),
            OfImage(by="percentiles"),
            OfImage(polarity="bright"),
            OfImage(by="percentiles", polarity="bright"),
            FIXED.normalization,
        ],
    )
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_tiles_agree_with_the_whole(self, normalization, dtype):
        preparation, image = Preparation(normalization=normalization), an_image(dtype=dtype)
        statistics = preparation.statistics(image)
        whole = preparation.prepared(image.pixels, statistics)
        part = preparation.prepared(image.pixels[3:11, 7:29], statistics)
        assert np.array_equal(part, whole[:, 3:11, 7:29])


class TestSizes:
    def test_an_image_is_brought_to_the_spacing_of_the_model_and_planes_back(self):
        image = an_image((40, 60), 1, geometry=Geometry((0.5, 1.0), "um"))
        preparation = Preparation(normalization=OfImage(), spacing=(1e-3, 1e-3), unit="mm")
        assert preparation.shape(image) == (20, 60)
        assert preparation.resampled(image).shape == (20, 60, 1)
        planes = np.ones((4, 20, 60), np.float32)
        assert preparation.restored_planes(planes, image.shape).shape == (4, 40, 60)

    def test_images_without_a_spacing_or_with_the_models_stay(self):
        preparation = Preparation(normalization=OfImage(), spacing=(1.0, 1.0), unit="um")
        for geometry in (None, Geometry((1.0, 1.0), "um")):
            image = an_image(geometry=geometry)
            assert preparation.resampled(image) is image.pixels

    def test_a_network_of_one_size_gets_it(self):
        preparation = Preparation(normalization=FIXED.normalization, size=(16, 24))
        assert made(preparation, an_image()).shape == (3, 16, 24)

    def test_a_spacing_far_off_is_told_before_memory_is_taken(self):
        image = an_image(geometry=Geometry((1.0, 1.0), "m"))
        preparation = Preparation(normalization=OfImage(), spacing=(1.0, 1.0), unit="um")
        with pytest.raises(InputError, match="--spacing"):
            preparation.resampled(image)

    def test_units_that_do_not_compare_are_told(self):
        image = an_image(geometry=Geometry((1.0, 1.0), "deg"))
        with pytest.raises(InputError, match="deg"):
            Preparation(normalization=OfImage(), spacing=(1.0, 1.0), unit="um").shape(image)

    def test_resizing_is_what_torch_calls_bilinear_with_antialias(self):
        torch = pytest.importorskip("torch")
        rng = np.random.default_rng(0)
        for old, new in [((17, 23), (40, 31)), ((40, 31), (17, 23)), ((30, 20), (13, 55)), ((1, 5), (3, 2))]:
            planes = rng.random((2, *old), np.float32)
            wanted = torch.nn.functional.interpolate(
                torch.from_numpy(planes)[None], size=new, mode="bilinear", antialias=True
            )
            assert np.abs(resized(planes, new) - wanted[0].numpy()).max() < 1e-5

    def test_volumes_are_resized_along_each_axis(self):
        planes = np.random.default_rng(0).random((1, 4, 6, 5), np.float32)
        grown = resized(planes, (8, 6, 5))
        assert np.array_equal(grown[0, 1], planes[0, 0] * np.float32(0.75) + planes[0, 1] * np.float32(0.25))
        assert abs(resized(planes, (2, 3, 10)).mean() - planes.mean()) < 0.1

    @given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(1, 9), st.integers(1, 9)))
    def test_an_even_plane_stays_even_at_any_size(self, old, new):
        assert np.allclose(resized(np.full((1, *old), 3.0), new), 3.0)


class TestRefusals:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_pixels_that_are_no_numbers(self, value):
        image = an_image(dtype=np.float32)
        image.pixels[2, 2, 1] = value
        with pytest.raises(InputError, match="NaN or infinite"):
            FIXED.resampled(image)

    def test_other_channels_and_axes(self):
        with pytest.raises(InputError, match="3 channels"):
            FIXED.statistics(an_image(channels=2))
        with pytest.raises(InputError, match="2 axes"):
            Preparation(normalization=OfImage(), size=(4, 4)).shape(an_image((3, 4, 5)))
        with pytest.raises(InputError, match="statistics"):
            FIXED.prepared(an_image(channels=2).pixels, Statistics((0.0,), (1.0,)))

    @pytest.mark.parametrize(
        "preparation",
        [
            FIXED,
            Preparation(normalization=OfImage(by="percentiles", high=95), spacing=(2.0, 0.5, 0.5), unit="mm"),
            Preparation(normalization=Fixed(mean=(1,), std=(2,), low=(0,), high=(9,)), size=(320, 240)),
        ],
    )
    def test_what_is_described_is_restored(self, preparation):
        assert Preparation.restored(preparation.described()) == preparation

    @pytest.mark.parametrize(
        "change",
        [
            {"normalization": None},
            {"normalization": {"kind": "code", "run": "x"}},
            {"normalization": {"kind": "fixed", "mean": [0.0], "std": [0.0]}},
            {"normalization": {"kind": "fixed", "mean": [float("nan")], "std": [1.0]}},
            {"normalization": {"kind": "fixed", "mean": [0.0], "std": [1.0, 1.0]}},
            {"normalization": {"kind": "fixed", "mean": [0.0], "std": [1.0], "low": [5.0], "high": [1.0]}},
            {"normalization": {"kind": "image", "by": "percentiles", "low": 50, "high": 50}},
            {"spacing": [1.0, 1.0]},
            {"spacing": [1.0, -1.0], "unit": "mm"},
            {"spacing": [1.0, 1.0], "unit": "parsec"},
            {"size": [10**9, 10**9]},
            {"size": [0, 4]},
            {"more": 1},
        ],
    )
    def test_damaged_descriptions_are_told(self, change):
        with pytest.raises(ReadError, match="preparation"):
            Preparation.restored(FIXED.described() | change)

    def test_units_are_those_of_values(self):
        assert unit(np.dtype(np.uint8)) * 255 == 1
        assert unit(np.dtype(np.float32)) == unit(np.dtype(np.int16)) == unit(np.dtype(bool)) == 1


class TestImageKind:
    def test_what_is_described_is_restored(self):
        kind = ImageKind(3, ("flair", "t1"), Values(("int16",), 900.0))
        assert ImageKind.restored(kind.described()) == kind

    @pytest.mark.parametrize(
        "change",
        [
            {"ndim": 4},
            {"ndim": "2"},
            {"channels": []},
            {"channels": "red"},
            {"channels": ["a", "a"]},
            {"channels": [["a"]]},
            {"values": None},
            {"values": {"kinds": ["text"], "highest": 1}},
        ],
    )
    def test_damaged_descriptions_are_told(self, change):
        kind = ImageKind(2, ("grey",), Values(("uint8",), 1.0))
        with pytest.raises(ReadError):
            ImageKind.restored(kind.described() | change)
