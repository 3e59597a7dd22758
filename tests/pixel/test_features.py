"""Features of pixels: the numbers of other libraries, whole and in tiles, in pixels and in lengths."""

import json
from typing import get_args

import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2hsv, rgb2lab

from smalti.compiled import filters
from smalti.errors import InputError
from smalti.geometry import UNKNOWN, Geometry
from smalti.image import Image
from smalti.pixel.features import Family, FeatureBank, Window

FAMILIES = get_args(Family)
SIGMA = 1.4
BOX = 2 * int(np.sqrt(3) * SIGMA + 0.5) + 1


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def only(family, image, sigma=SIGMA, **settings):
    """All planes of one family at one scale, (F, *S)."""
    return FeatureBank(families=(family,), sigmas_px=(sigma,), **settings).compute(image)


def by_name(bank, image):
    return dict(
        zip((f.name for f in bank.features(image.channels, image.ndim)), bank.compute(image), strict=True)
    )


def blurred(plane, sigma):
    return ndimage.gaussian_filter(plane.astype(np.float64), sigma, mode="nearest", truncate=4)


WIDE = 9  # an image that is wide enough beyond its edge


def blurred_wide(plane, sigma):
    return blurred(np.pad(plane, WIDE, mode="edge"), sigma)


def cropped(planes, ndim):
    return planes[(..., *[slice(WIDE, -WIDE)] * ndim)]


def slope(plane, axis):
    return ndimage.correlate1d(plane, [-0.5, 0, 0.5], axis, mode="nearest")


def curvature(plane, axis):
    return ndimage.correlate1d(plane, [1, -2, 1], axis, mode="nearest")


def eigenvalues(elements):
    """Eigenvalues, largest first, of symmetric matrices from ``elements[a][b]`` (*S,)."""
    matrices = np.stack([np.stack(row, axis=-1) for row in elements], axis=-2)
    return np.moveaxis(np.linalg.eigvalsh(matrices)[..., ::-1], -1, 0)


@pytest.fixture(params=[(31, 42), (9, 14, 21)], ids=["2-D", "3-D"])
def plane(request):
    return noise(*request.param)


@pytest.fixture
def grey(plane):
    return Image.from_array(plane, plane.ndim)


class TestNumbersAreThoseOfOthers:
    def test_gaussian(self, plane, grey):
        assert only("gaussian", grey)[0] == pytest.approx(blurred(plane, SIGMA), abs=1e-6)

    def test_dog(self, plane, grey):
        expected = blurred(plane, SIGMA) - blurred(plane, 1.6 * SIGMA)
        assert only("dog", grey)[0] == pytest.approx(expected, abs=1e-6)

    def test_gradient(self, plane, grey):
        smooth = blurred_wide(plane, SIGMA)
        squares = sum(slope(smooth, axis) ** 2 for axis in range(plane.ndim))
        expected = SIGMA * np.sqrt(cropped(squares, plane.ndim))
        assert only("gradient", grey)[0] == pytest.approx(expected, abs=1e-6)

    def test_laplacian(self, plane, grey):
        smooth = blurred_wide(plane, SIGMA)
        expected = SIGMA**2 * sum(curvature(smooth, axis) for axis in range(plane.ndim))
        expected = cropped(expected, plane.ndim)
        assert only("laplacian", grey)[0] == pytest.approx(expected, abs=5e-6)

    def test_laplacian_is_nearly_that_of_the_continuous_gaussian(self, plane, grey):
        expected = 9 * ndimage.gaussian_laplace(plane.astype(np.float64), 3, mode="nearest")
        assert only("laplacian", grey, 3.0)[0] == pytest.approx(
            expected, abs=0.05 * float(abs(expected).max())
        )

    def test_hessian(self, plane, grey):
        smooth, axes = blurred_wide(plane, SIGMA), range(plane.ndim)
        elements = [
            [curvature(smooth, a) if a == b else slope(slope(smooth, a), b) for b in axes] for a in axes
        ]
        expected = SIGMA**2 * cropped(eigenvalues(elements), plane.ndim)
        assert only("hessian", grey) == pytest.approx(expected, abs=5e-6)

    def test_structure(self, plane, grey):
        fine, axes = blurred_wide(plane, SIGMA / 2), range(plane.ndim)
        slopes = [SIGMA * cropped(slope(fine, axis), plane.ndim) for axis in axes]
        elements = [
            [ndimage.gaussian_filter(slopes[a] * slopes[b], SIGMA, mode="nearest", truncate=3) for b in axes]
            for a in axes
        ]
        assert only("structure", grey) == pytest.approx(eigenvalues(elements), abs=2e-6)

    def test_mean_and_std(self, plane, grey):
        mean = ndimage.uniform_filter(plane.astype(np.float64), BOX, mode="nearest")
        square = ndimage.uniform_filter(plane.astype(np.float64) ** 2, BOX, mode="nearest")
        assert only("mean", grey)[0] == pytest.approx(mean, abs=1e-6)
        assert only("std", grey)[0] == pytest.approx(np.sqrt(square - mean**2), abs=1e-6)

    def test_std_of_large_values(self, plane, grey):
        shifted = Image.from_array(plane + np.float32(1000), plane.ndim)
        assert only("std", shifted)[0] == pytest.approx(only("std", grey)[0], abs=1e-4)

    def test_median(self, plane, grey):
        assert np.array_equal(only("median", grey)[0], ndimage.median_filter(plane, BOX, mode="nearest"))

    def test_median_of_many_equal_values(self, plane):
        coarse = np.round(plane * 3)
        found = only("median", Image.from_array(coarse, plane.ndim))[0]
        assert np.array_equal(found, ndimage.median_filter(coarse, BOX, mode="nearest"))

    def test_entropy(self, plane, grey):
        def bits(window):
            shares = np.bincount((window * 16).astype(int)) / window.size
            return -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()

        expected = ndimage.generic_filter(plane, bits, BOX, mode="nearest")
        assert only("entropy", grey)[0] == pytest.approx(expected, abs=1e-5)

    def test_entropy_between_other_values(self, plane, grey):
        shifted = Image.from_array(plane * 200 - 50, plane.ndim)
        found = only("entropy", shifted, value_range=(-50, 150))[0]
        assert found == pytest.approx(only("entropy", grey)[0], abs=0.2)
        assert not only("entropy", Image.from_array(plane - 50, plane.ndim)).any()

    def test_colors(self, plane):
        pixels = noise(*plane.shape, 3)
        smooth = np.stack([blurred(pixels[..., channel], SIGMA) for channel in range(3)], axis=-1)
        found = only("color", Image(pixels))
        assert found[:3] == pytest.approx(np.moveaxis(rgb2lab(smooth), -1, 0), abs=0.02)
        hue, saturation, _ = np.moveaxis(rgb2hsv(smooth), -1, 0)
        assert found[5] == pytest.approx(saturation, abs=1e-5)
        turn = np.arctan2(found[4], found[3]) / (2 * np.pi)
        apart = np.abs((turn - hue + 0.5) % 1 - 0.5)[saturation > 0.1]
        assert apart.max() < 0.005  # the hue of HSV goes around a hexagon, this one around a circle

    def test_dark_colors(self):
        pixels = np.linspace(0, 0.1, 300, dtype=np.float32).reshape(10, 10, 3)
        found = only("color", Image(pixels), 0.1)  # a sigma so small changes nothing
        assert found[:3] == pytest.approx(np.moveaxis(rgb2lab(pixels), -1, 0), abs=0.02)

    def test_colors_need_red_green_and_blue(self):
        bank = FeatureBank(families=("gaussian", "color"))
        assert {f.family for f in bank.features(("red", "green"), 2)} == {"gaussian"}
        assert {f.family for f in bank.features(("nir", "blue", "green", "red"), 2)} == {"gaussian", "color"}

    def test_position(self, plane, grey):
        found = only("position", grey)
        for axis, length in enumerate(plane.shape):
            lines = np.moveaxis(found[axis], axis, 0)
            assert lines == pytest.approx(
                np.broadcast_to(
                    ((np.arange(length) + 0.5) / length).reshape(-1, *[1] * (plane.ndim - 1)), lines.shape
                )
            )


class TestSuperpixels:
    def test_mean_and_std_are_those_of_groups_of_pixels_near_each_other(self):
        pixels = noise(37, 45, 2)
        found = only("superpixel", Image(pixels, ("a", "b")))
        _, groups = np.unique(found.reshape(4, -1), axis=1, return_inverse=True)
        side = int(3 * SIGMA + 0.5)
        assert groups.max() + 1 > 0.8 * (37 // side) * (45 // side)
        for group in range(groups.max() + 1):
            y, x = np.divmod(np.flatnonzero(groups == group), 45)
            inside = pixels[y, x]
            assert found[:, y[0], x[0]] == pytest.approx(
                np.stack([inside.mean(0), inside.std(0)], 1).ravel(), abs=1e-5
            )
            assert np.ptp(y) < 3 * side and np.ptp(x) < 3 * side

    def test_they_keep_to_edges(self):
        pixels = np.full((40, 40), 0.2, np.float32)
        pixels[:, 18:] = 0.9  # in the middle of a cell
        mean, std = only("superpixel", Image.from_array(pixels), 4.0)
        assert mean == pytest.approx(pixels, abs=1e-6)
        assert std.max() < 1e-6


def pieces_of(generator, shape, reach):
    """A random part of an image of ``shape``, and that part with its halo, both as slices."""
    low = [int(generator.integers(0, length)) for length in shape]
    high = [int(generator.integers(first + 1, length + 1)) for first, length in zip(low, shape, strict=True)]
    wide = [
        slice(max(first - away, 0), min(last + away, length))
        for first, last, away, length in zip(low, high, reach, shape, strict=True)
    ]
    return tuple(map(slice, low, high)), tuple(wide)


@pytest.mark.parametrize("geometry", [UNKNOWN, Geometry((2.5, 1, 0.8), "um")], ids=["pixels", "um"])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_tiles_with_their_halo_are_the_whole_bit_for_bit(family, ndim, geometry):
    if geometry.known:
        geometry = Geometry(geometry.spacing[-ndim:], "um")
    shape = (131, 67) if ndim == 2 else (19, 46, 55)
    pixels = noise(*shape, 3) + np.array([0, 0.2, -0.3], np.float32)
    bank = FeatureBank(families=(family,), sigmas_px=(0.6, 1.3))
    whole = bank.compute(Image(pixels, geometry=geometry))
    reach = bank.reach(ndim, geometry)
    generator = np.random.default_rng(len(family))
    smaller = False
    for _ in range(5):
        inner, wide = pieces_of(generator, shape, reach)
        smaller |= any(part.stop - part.start < full for part, full in zip(wide, shape, strict=True))
        window = Window(tuple(part.start for part in wide), shape)
        tile = bank.compute(Image(pixels[wide], geometry=geometry), window=window)
        at = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, wide, strict=True))
        assert np.array_equal(tile[(..., *at)], whole[(..., *inner)])
    assert smaller


def test_rows_longer_than_the_part_that_is_summed_at_a_time():
    pixels = noise(3, 4300)
    bank = FeatureBank(families=("gaussian", "std"), sigmas_px=(2.0,))
    whole = bank.compute(Image.from_array(pixels))
    assert whole[0] == pytest.approx(blurred(pixels, 2.0), abs=1e-6)
    tile = bank.compute(Image.from_array(pixels[:, 1990:4290]), window=Window((0, 1990), (3, 4300)))
    assert np.array_equal(tile[..., 8:-8], whole[..., 1998:4282])


def test_halo_is_what_the_wanted_features_need():
    bank = FeatureBank(families=("gaussian", "hessian", "position"), sigmas_px=(1, 5))
    names = [feature.name for feature in bank.features(("grey",), 2)]
    reach = {name: bank.reach(2, UNKNOWN, [number], ("grey",)) for number, name in enumerate(names)}
    assert reach["gaussian of grey at 1 px"] == (4, 4)
    assert reach["hessian 2 of grey at 5 px"] == (21, 21)
    assert reach["position x"] == (0, 0)
    assert bank.reach(2, UNKNOWN) == (21, 21)
    assert bank.reach(3, Geometry((5, 1, 1), "um")) == (5, 21, 21)


class TestLengths:
    def test_sigma_of_each_axis_follows_the_spacing(self):
        volume = noise(9, 20, 22)
        image = Image.from_array(volume, 3, geometry=Geometry((3, 0.5, 1), "um"))
        expected = blurred(volume, (2 / 6, 2, 1))
        assert only("gaussian", image, 2.0)[0] == pytest.approx(expected, abs=1e-6)
        smooth = blurred_wide(volume, (2 / 6, 2, 1))
        squares = sum((s * slope(smooth, axis)) ** 2 for axis, s in enumerate((2 / 6, 2, 1)))
        expected = np.sqrt(cropped(squares, 3))
        assert only("gradient", image, 2.0)[0] == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_half_the_spacing_is_twice_the_sigma_in_pixels(self, family):
        pixels = noise(40, 44, 3)
        bank = FeatureBank(families=(family,), sigmas_px=(9.0,), sigmas=(0.6,))
        for spacing, sigma in ((0.6, 1.0), (0.3, 2.0)):
            found = bank.compute(Image(pixels, geometry=Geometry((spacing, spacing), "um")))
            assert np.array_equal(found, only(family, Image(pixels), sigma))

    @pytest.mark.parametrize("family", ["laplacian", "gradient", "structure", "hessian", "dog", "std"])
    def test_values_stay_when_the_same_scene_has_twice_as_many_pixels(self, family):
        def scene(step):
            at = np.arange(0, 60, step)
            return Image.from_array(
                0.5 + 0.4 * np.sin(at / 5)[:, None] * np.cos(at / 7), geometry=Geometry((step, step), "um")
            )

        bank = FeatureBank(families=(family,), sigmas_px=(1.0,), sigmas=(4.0,))
        coarse, fine = bank.compute(scene(1.0)), bank.compute(scene(0.5))[:, ::2, ::2]
        inside = (slice(None), slice(20, 40), slice(20, 40))
        assert fine[inside] == pytest.approx(coarse[inside], abs=0.05 * float(abs(coarse).max()))

    def test_unknown_spacing_takes_pixels(self):
        image = Image(noise(20, 20, 1))
        bank = FeatureBank(families=("gaussian",), sigmas_px=(2.0,), sigmas=(0.001,))
        assert np.array_equal(bank.compute(image), only("gaussian", image, 2.0))

    def test_a_sigma_in_the_wrong_unit_is_told(self):
        bank = FeatureBank(sigmas_px=(1.0,), sigmas=(5.0,))
        image = Image(noise(9, 9, 1), geometry=Geometry((0.001, 0.001), "mm"))
        with pytest.raises(InputError, match="sigma 5 mm is 5000 pixels"):
            bank.compute(image)


class TestWanted:
    bank = FeatureBank(families=FAMILIES, sigmas_px=(0.8, 2.0))
    image = Image(noise(23, 29, 3))

    def test_a_subset_is_the_same_planes(self):
        whole = self.bank.compute(self.image)
        for seed in range(4):
            wanted = np.random.default_rng(seed).permutation(len(whole))[:7]
            assert np.array_equal(self.bank.compute(self.image, wanted), whole[wanted])
        for number in range(len(whole)):
            assert np.array_equal(self.bank.compute(self.image, [number, number])[1], whole[number])

    def test_planes_come_with_their_numbers(self):
        whole = self.bank.compute(self.image)
        seen = []
        for number, plane in self.bank.planes(self.image):
            assert plane.dtype == np.float32
            assert np.array_equal(plane, whole[number])
            seen.append(number)
        assert sorted(seen) == list(range(len(whole)))

    def test_what_several_need_is_made_once_and_what_none_needs_not_at_all(self, monkeypatch):
        calls = []
        smooth = filters.smooth
        monkeypatch.setattr(filters, "smooth", lambda *args: calls.append(args) or smooth(*args))
        names = [feature.name for feature in self.bank.features(self.image.channels, 2)]

        def smoothings(*wanted):
            calls.clear()
            self.bank.compute(self.image, [names.index(name) for name in wanted])
            return len(calls)

        assert smoothings("position x", "superpixel mean of red") == 0
        assert smoothings("gaussian of red at 2 px") == 1
        of_brightness = ("gradient of brightness at 2 px", "laplacian of brightness at 2 px")
        assert smoothings(*of_brightness, "hessian 1 of brightness at 2 px") == 1
        assert smoothings("gaussian of red at 2 px", "saturation at 2 px") == 3

    @pytest.mark.parametrize("number", [-1, 10_000])
    def test_a_number_there_is_not_is_told(self, number):
        with pytest.raises(InputError, match=f"got {number}"):
            self.bank.compute(self.image, [number])

    def test_none_wanted(self):
        assert self.bank.compute(self.image, []).shape == (0, 23, 29)
        assert self.bank.reach(2, UNKNOWN, []) == (0, 0)


@pytest.mark.parametrize("detail_of", ["channels", "brightness"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("ndim", [2, 3])
def test_names_are_unique_and_there_is_one_for_each_plane(channels, ndim, detail_of):
    bank = FeatureBank(families=FAMILIES, sigmas_px=(0.5, 1.1), detail_of=detail_of)
    image = Image(noise(*(6, 7, 8)[:ndim], channels))
    features = bank.features(image.channels, ndim)
    assert len({feature.name for feature in features}) == len(features) == len(bank.compute(image))
    for feature in features:
        assert feature.family in FAMILIES
        assert feature.channel is None or feature.channel in feature.name
    assert not any("alpha" in feature.name for feature in features)


def test_brightness_is_the_mean_of_the_channels_but_alpha():
    pixels = noise(12, 13, 4)
    bank = FeatureBank(families=("mean",), sigmas_px=(1.0,))
    found = by_name(bank, Image(pixels))["mean of brightness at 1 px"]
    expected = only("mean", Image.from_array(pixels[..., :3].mean(-1)), 1.0)[0]
    assert found == pytest.approx(expected, abs=1e-6)
    each = by_name(FeatureBank(families=("mean",), sigmas_px=(1.0,), detail_of="channels"), Image(pixels))
    assert list(each) == [f"mean of {channel} at 1 px" for channel in ("red", "green", "blue")]


def test_a_channel_called_brightness_is_not_the_mean():
    bank = FeatureBank(families=("gaussian", "mean"), sigmas_px=(1.0,))
    names = [feature.name for feature in bank.features(("brightness", "other"), 2)]
    assert names[-1] == "mean of mean of channels at 1 px"


def test_default_bank_of_a_picture():
    features = FeatureBank().features(("red", "green", "blue"), 2)
    assert 50 <= len(features) <= 90
    assert features[0].name == "gaussian of red at 0.7 px"
    assert {feature.sigma for feature in features} == set(FeatureBank().sigmas_px)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_constant_image_has_no_detail(ndim):
    bank = FeatureBank(families=FAMILIES, sigmas_px=(0.8, 3.0))
    image = Image(np.full((*(11, 12, 13)[:ndim], 3), 77, np.uint8))
    for name, plane in by_name(bank, image).items():
        if name.startswith(("gaussian", "mean", "median", "superpixel mean")):
            assert plane == pytest.approx(77 / 255, abs=1e-6), name
        elif name.startswith(("std", "entropy")):
            assert not plane.any(), name
        elif not name.startswith(("position", "lightness")):
            assert np.abs(plane).max() < (1e-3 if " of Lab" in name else 1e-5), name


@pytest.mark.parametrize("shape", [(1, 1), (33, 1), (1, 33), (1, 1, 1), (1, 7, 1)])
def test_images_of_one_pixel_along_an_axis(shape):
    bank = FeatureBank(families=FAMILIES)
    found = bank.compute(Image(noise(*shape, 3)))
    assert found.shape[1:] == shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("dtype", "white"),
    [
        (bool, 1),
        ("u1", 255),
        ("u2", 65535),
        (">u2", 65535),
        ("u4", 2**32 - 1),
        ("f8", 1),
        (">f4", 1),
        ("i2", 1),
    ],
)
def test_values_go_by_the_type(dtype, white):
    pixels = (noise(14, 15, 3) * white).round().astype(dtype)
    scaled = Image((pixels.astype(np.float64) / white).astype(np.float32))
    bank = FeatureBank(families=FAMILIES, sigmas_px=(1.0,))
    image = Image(pixels)
    before = pixels.copy()
    assert bank.compute(image) == pytest.approx(bank.compute(scaled), abs=1e-4)
    assert np.array_equal(image.pixels, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_told(bad):
    pixels = noise(8, 9, 3)
    pixels[2, 3, 1] = bad
    with pytest.raises(InputError, match="1 of 216 pixels are NaN or infinite"):
        FeatureBank().planes(Image(pixels))


def test_pixels_too_large_for_float32_products_are_told():
    with pytest.raises(InputError, match="divide"):
        FeatureBank().compute(Image(np.full((4, 4, 1), 1e12)))
    largest = np.array([[-(2**31), 2**31 - 1] * 8] * 16, np.int32)
    assert np.isfinite(FeatureBank().compute(Image.from_array(largest))).all()


@pytest.mark.parametrize(
    "window", [Window((0, 5), (9, 9)), Window((-1, 0), (9, 9)), Window((0,), (9,)), Window((2, 2), (9, 9))]
)
def test_a_window_outside_the_whole_is_told(window):
    with pytest.raises(InputError, match="window"):
        FeatureBank().compute(Image(noise(8, 8, 1)), window=window)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"families": ()}, "families"),
        ({"families": ("gaussian", "gaussian")}, "differ"),
        ({"families": ("gabor",)}, "gabor"),
        ({"sigmas_px": ()}, "sigmas_px"),
        ({"sigmas_px": (2.0, 1.0)}, "rise"),
        ({"sigmas_px": (1.0, 1.0000001)}, "differ"),
        ({"sigmas_px": (0.0,)}, "greater than 0"),
        ({"sigmas_px": (1e6,)}, "at most"),
        ({"sigmas": (1.0,)}, "same scales"),
        ({"value_range": (1.0, 1.0)}, "value_range"),
    ],
)
def test_settings_that_make_no_sense_are_told(settings, said):
    with pytest.raises(InputError, match=said):
        FeatureBank.make(settings)


def test_settings_survive_json():
    bank = FeatureBank(families=("hessian", "position"), sigmas_px=(1, 2), sigmas=(0.1, 0.2))
    written = json.loads(json.dumps(bank.describe()))
    assert written.pop("name") == "features"
    assert FeatureBank.make(written) == bank
