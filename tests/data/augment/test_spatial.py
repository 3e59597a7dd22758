"""Image and truth move together, labels keep their values, and moves do what their names say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from smalti.data.augment import Chain, make_augmentation, sample_rng
from smalti.data.augment.moves import Bend, about, along_axes
from smalti.data.augment.warp import Warp
from smalti.errors import InputError

MOVES = [
    "flip:probability=1",
    "flip:probability=1;axis=y",
    "quarter-turn:turns=[1]",
    "quarter-turn:turns=[3]",
    "rotate:degrees=[25,25];tilt_degrees=[10,10]",
    "scale:factor=[1.4,1.4]",
    "scale:factor=[0.7,0.7]",
    "scale:factor=[1,1];stretch=[1.3,1.3]",
    "shift:share=[0.13,0.13]",
    "shear:degrees=[12,12]",
    "elastic:amplitude_px=[2,2];distance_px=12",
    "perspective:share=[0.15,0.15]",
    "crop:size=[29]",
    "pad:size=[63]",
    "resize:size=[33]",
    "resize:size=[70];fit=inside",
]
NEUTRAL = [
    "rotate:degrees=[0,0];tilt_degrees=[0,0]",
    "scale:factor=[1,1]",
    "shift:share=[0,0]",
    "shear:degrees=[0,0]",
    "elastic:amplitude_px=[0,0]",
    "perspective:share=[0,0]",
    "crop:size=[41,47]",
    "pad:size=[41,47]",
    "resize:size=[41,47]",
    "quarter-turn:turns=[0]",
]


def blobs(shape, seed=0, count=6):
    """A label map with bent outlines, one number for each blob."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 3)
    labels, _ = ndimage.label(noise > np.quantile(noise, 0.6))
    return np.minimum(labels, count).astype(np.int32)


def moved(steps, pixels, labels, rng=None, spacing=None, void=None, **settings):
    chain = Chain.make({"steps": [steps] if isinstance(steps, str) else steps, **settings})
    return chain.apply_arrays(pixels, labels, rng or sample_rng(0, 1), spacing=spacing, void=void)


@pytest.mark.parametrize("step", MOVES)
def test_an_image_that_is_its_label_map_stays_so(step):
    labels = blobs((41, 47))
    for pixels in (labels.astype(np.uint8), labels.astype(np.float32), np.stack([labels] * 3, -1)):
        pixels = pixels.reshape(*labels.shape, -1)
        found = moved(step, pixels, labels, interpolation="nearest", fill=0)
        assert (found.pixels == found.labels[..., np.newaxis]).all()
        assert set(np.unique(found.labels)) <= set(np.unique(labels))


@pytest.mark.parametrize("spacing", [None, (1, 1, 1), (2.5, 1, 1), (6, 1, 1), (1, 1, 5)])
@pytest.mark.parametrize("step", [step for step in MOVES if "perspective" not in step])
def test_so_does_a_volume(step, spacing):
    labels = blobs((12, 21, 25))
    found = moved(
        step,
        labels[..., np.newaxis].astype(np.uint16),
        labels,
        spacing=spacing,
        interpolation="nearest",
        fill=0,
    )
    assert (found.pixels[..., 0] == found.labels).all()


def test_chains_of_moves_keep_them_together_too():
    labels = blobs((41, 47))
    steps = [step for step in MOVES if not step.startswith(("crop", "resize", "pad"))]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(steps))[:5]
        found = moved(
            [steps[k] for k in order], labels[..., np.newaxis], labels, interpolation="nearest", fill=0
        )
        assert (found.pixels[..., 0] == found.labels).all()


@pytest.mark.parametrize("step", MOVES)
def test_a_marked_place_lands_on_the_same_place_in_both(step):
    labels = np.zeros((60, 64), np.uint8)
    labels[18:27, 36:45] = 1
    pixels = (labels * 200)[..., np.newaxis]
    found = moved(step, pixels, labels, fill=0)
    if found.labels.any():
        bright = found.pixels[..., 0] / 200
        weights = [(bright * axis).sum() / bright.sum() for axis in np.indices(bright.shape)]
        middle = [axis.mean() for axis in np.nonzero(found.labels)]
        assert np.abs(np.subtract(weights, middle)).max() < 0.5


@pytest.mark.parametrize("step", NEUTRAL)
def test_neutral_settings_change_nothing(step):
    labels = blobs((41, 47))
    pixels = np.random.default_rng(0).integers(0, 255, (41, 47, 3)).astype(np.uint8)
    found = moved(step, pixels, labels)
    assert np.array_equal(found.pixels, pixels)
    assert np.array_equal(found.labels, labels)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 2, 3, 4, 6]),
    st.sampled_from(["u1", "u2", "f4", "f8", "?", "i8"]),
)
def test_flips_twice_and_four_quarter_turns_change_nothing(height, width, channels, dtype):
    pixels = np.random.default_rng(0).integers(0, 2**7, (height, width, channels)).astype(dtype)
    labels = np.random.default_rng(1).integers(0, 9, (height, width))
    for axis, turned in (("x", np.s_[:, ::-1]), ("y", np.s_[::-1])):
        once = moved(f"flip:probability=1;axis={axis}", pixels, labels)
        assert np.array_equal(once.pixels, pixels[turned])
        assert np.array_equal(once.labels, labels[turned])
        twice = moved(f"flip:probability=1;axis={axis}", once.pixels, once.labels)
        assert np.array_equal(twice.pixels, pixels)
    for turns in range(4):
        found = moved(f"quarter-turn:turns=[{turns}]", pixels, labels)
        assert np.array_equal(found.pixels, np.rot90(pixels, turns))
        assert np.array_equal(found.labels, np.rot90(labels, turns))
    assert np.array_equal(moved(["quarter-turn:turns=[1]"] * 4, pixels, labels).pixels, pixels)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_volumes_flip_along_the_axis_named(axis):
    labels = blobs((5, 6, 7))
    found = moved(f"flip:probability=1;axis={axis}", labels[..., np.newaxis], labels)
    assert np.array_equal(found.labels, np.flip(labels, "zyx".index(axis)))
    assert np.array_equal(found.pixels[..., 0], found.labels)


def test_rotation_turns_anticlockwise_by_its_degrees():
    labels = blobs((40, 40))
    found = moved("rotate:degrees=[90,90]", labels[..., np.newaxis].astype(np.uint8), labels)
    assert np.array_equal(found.labels, np.rot90(labels))
    assert np.array_equal(found.pixels[..., 0], np.rot90(labels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("dtype", "slack"),
    [(np.uint8, 0.51), (np.uint16, 0.51), (np.int16, 0.51), (np.float32, 0.01), (np.int32, 0.51)],
)
def test_linear_interpolation_is_that_of_scipy(dtype, slack, channels):
    smooth = (
        ndimage.gaussian_filter(np.random.default_rng(0).random((60, 66, channels)), (2, 2, 0)) * 600 - 200
    )
    pixels = smooth.clip(0).astype(dtype)
    found = moved("rotate:degrees=[17,17]", pixels, None)
    angle = np.deg2rad(17)
    linear = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    center = np.array([29.5, 32.5])
    for channel in range(channels):
        expected = ndimage.affine_transform(
            pixels[..., channel].astype(float), linear, center - linear @ center, order=1
        )
        apart = np.abs(expected - found.pixels[..., channel])[15:-15, 15:-15]
        assert apart.max() <= slack


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_volumes_are_interpolated_as_by_scipy(dtype):
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).random((20, 24, 22)), 1.5)
    pixels = (smooth * 400 - (200 if dtype == np.int16 else 0)).astype(dtype)
    matrix = about((9.5, 11.5, 10.5), ndimage_rotation(20, 10))
    found = Warp(pixels.shape, pixels.shape, [matrix], "void").on_pixels(
        pixels[..., np.newaxis], 0, "linear"
    )[..., 0]
    expected = ndimage.affine_transform(pixels.astype(float), matrix[:3, :3], matrix[:3, 3], order=1)
    inside = np.s_[5:-5, 5:-5, 5:-5]
    assert np.abs(expected - found)[inside].max() <= (0.51 if np.dtype(dtype).kind in "ui" else 1e-3)
    labels = (pixels > np.median(pixels)).astype(np.int32)
    nearest = Warp(pixels.shape, pixels.shape, [matrix], "void").on_labels(labels, 7)
    theirs = ndimage.affine_transform(labels, matrix[:3, :3], matrix[:3, 3], order=0)
    assert (nearest != theirs)[inside].mean() < 0.001


def ndimage_rotation(one, other):
    a, b = np.deg2rad(one), np.deg2rad(other)
    first = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]])
    return first @ np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])


def test_a_volume_bent_and_turned_is_that_of_scipy():
    shape = (14, 18, 20)
    pixels = ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 1.5).astype(np.float32)
    offsets = np.random.default_rng(1).normal(0, 1, (4, 4, 4, 3)).astype(np.float32)
    bend = Bend(offsets, np.full(3, -4.0), np.full(3, 8.0))
    first, last = about((6.5, 8.5, 9.5), ndimage_rotation(8, 5)), along_axes([1.1, 0.9, 1.05], [0.5, 1, -0.5])
    found = Warp(shape, shape, [first, bend, last], "void").on_pixels(pixels[..., np.newaxis], 0, "linear")[
        ..., 0
    ]
    places = np.indices(shape).reshape(3, -1).astype(float)
    inner = last[:3, :3] @ places + last[:3, 3:]
    points = (inner + 4) / 8
    bent = inner + [
        ndimage.map_coordinates(offsets[..., k], points, order=1, mode="nearest") for k in range(3)
    ]
    source = first[:3, :3] @ bent + first[:3, 3:]
    expected = ndimage.map_coordinates(pixels, source, order=1, mode="nearest").reshape(shape)
    inside = ((source > -0.49) & (source < np.array(shape)[:, np.newaxis] - 0.51)).all(axis=0).reshape(shape)
    assert inside.mean() > 0.5
    assert np.abs(expected - found)[inside].max() < 1e-3
    assert (found[~inside & (np.abs(source - 0.5).min(axis=0).reshape(shape) > 1)] == 0).mean() > 0.9


def test_turning_there_and_back_is_exact_for_moves_are_joined():
    pixels = np.random.default_rng(0).integers(0, 255, (50, 50, 3)).astype(np.uint8)
    found = moved(
        [
            "rotate:degrees=[33,33]",
            "scale:factor=[1.7,1.7]",
            "scale:factor=[0.588235294117647,0.588235294117647]",
            "rotate:degrees=[-33,-33]",
        ],
        pixels,
        None,
    )
    assert np.array_equal(found.pixels, pixels)


def test_what_a_crop_cuts_off_comes_back_in_by_a_later_rotation():
    pixels = np.full((80, 80, 1), 200, np.uint8)
    labels = np.ones((80, 80), np.uint8)
    found = moved(["crop:size=[40];around=center", "rotate:degrees=[45,45]"], pixels, labels, void=255)
    assert (found.labels == 1).all()
    assert (found.pixels == 200).all()


def test_outside_is_void_and_fill_just_there():
    pixels = np.full((31, 37, 3), 90, np.uint8)
    labels = np.ones((31, 37), np.uint8)
    found = moved("rotate:degrees=[30,30]", pixels, labels, void=255, fill=7)
    assert set(np.unique(found.labels)) == {1, 255}
    known = ndimage.binary_erosion(found.labels == 1, iterations=2, border_value=1)
    unknown = ndimage.binary_erosion(found.labels == 255, iterations=2, border_value=1)
    assert (found.pixels[known] == 90).all()
    assert (found.pixels[unknown] == 7).all()


def test_edges_are_not_mixed_with_the_fill_inside_the_image():
    pixels = np.full((10, 10, 1), 200, np.uint8)
    for step in ("resize:size=[27]", "scale:factor=[1.5,1.5]", "resize:size=[4]"):
        assert (moved(step, pixels, None).pixels == 200).all()


@pytest.mark.parametrize("shape", [(30, 34), (9, 20, 24)])
def test_a_mirrored_border_leaves_no_void(shape):
    labels = blobs(shape) + 1
    pixels = (labels * 30)[..., np.newaxis].astype(np.uint8)
    for step in (
        "rotate:degrees=[40,40]",
        "shift:share=[0.3,0.3]",
        "scale:factor=[0.4,0.4]",
        "elastic:amplitude_px=[4,4]",
    ):
        found = moved(step, pixels, labels, void=255, border="mirror", interpolation="nearest")
        assert 255 not in found.labels
        assert (found.pixels[..., 0] == found.labels * 30).all()


def test_mirroring_reflects_about_the_middle_of_the_last_pixel():
    row = np.arange(1, 6, dtype=np.uint8).reshape(1, 5, 1)
    found = moved("shift:share=[0.4,0.4]", np.repeat(row, 5, axis=0), None, border="mirror")
    assert found.pixels[0, :, 0].tolist() == [3, 2, 1, 2, 3]


def test_shift_moves_down_and_right_by_its_share():
    labels = blobs((20, 20))
    found = moved("shift:share=[0.1,0.1]", labels[..., np.newaxis].astype(np.uint8), labels, void=255)
    assert np.array_equal(found.labels[2:, 2:], labels[:-2, :-2])
    assert (found.labels[:2] == 255).all()
    assert np.array_equal(found.pixels[2:, 2:, 0], labels[:-2, :-2])


def test_scale_makes_things_larger_by_its_factor():
    labels = np.zeros((100, 100), np.uint8)
    labels[40:60, 40:60] = 1
    for factor in (0.5, 1.5, 2.0):
        found = moved(f"scale:factor=[{factor},{factor}]", labels[..., np.newaxis], labels)
        assert (found.labels == 1).sum() == pytest.approx(400 * factor**2, rel=0.06)


def test_shrinking_averages_instead_of_skipping():
    stripes = np.zeros((120, 120, 1), np.uint8)
    stripes[:, ::2] = 200
    for factor in (0.25, 0.5):
        found = moved(f"scale:factor=[{factor},{factor}]", stripes, np.ones((120, 120), np.uint8))
        inside = ndimage.binary_erosion(found.labels == 1, iterations=2)
        assert np.abs(found.pixels[..., 0][inside].astype(int) - 100).max() < 12
    assert np.abs(moved("resize:size=[40]", stripes, None).pixels.astype(int) - 100).max() < 40


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0, 1], [2**31 - 1, 2**23]], np.int32),
        np.array([[0, -1], [-5, 2**30]], np.int32),
        np.array([[0, 65535], [1, 256]], np.uint16),
        np.array([[0, 2**32 - 1], [1, 256]], np.uint32),
        np.array([[0, 2**40], [1, 256]], np.int64),
        np.array([[0, 127], [1, -128]], np.int8),
    ],
)
def test_labels_of_any_integers_survive(labels):
    large = labels.repeat(20, axis=0).repeat(20, axis=1)
    warp = Warp(large.shape, large.shape, [about((19.5, 19.5), np.array([[0.8, 0.6], [-0.6, 0.8]]))], "void")
    found = warp.on_labels(large, 3)
    assert found.dtype == labels.dtype
    assert set(np.unique(found).tolist()) == {*labels.ravel().tolist(), 3}


def test_images_beyond_what_is_sampled_at_once_are_cropped_or_refused_in_words():
    pixels = np.arange(3 * 40_000, dtype=np.int32).reshape(3, 40_000, 1)
    for step in ("rotate:degrees=[1,1]", "elastic:distance_px=5000", "scale:factor=[1.1,1.1]"):
        with pytest.raises(InputError, match="crop more"):
            moved(step, pixels, None)
    assert moved("flip:probability=1", pixels, None).pixels[0, 0, 0] == 39_999
    small = moved(
        ["rotate:degrees=[3,3]", "crop:size=[3,50];around=center"], pixels, None, interpolation="nearest"
    )
    assert abs(int(small.pixels[1, 25, 0]) - 60_000) < 3
    assert moved("resize:size=[3,500]", pixels, None).pixels.shape == (3, 500, 1)


def test_a_coarse_axis_neither_turns_nor_grows():
    labels = blobs((6, 30, 34))
    pixels = labels[..., np.newaxis].astype(np.uint8)
    steps = ["rotate:degrees=[30,30];tilt_degrees=[40,40]", "scale:factor=[1.3,1.3]"]
    found = moved(steps, pixels, labels, spacing=(5, 1, 1))
    for z in range(6):
        flat = moved(steps, pixels[z], labels[z])
        assert np.array_equal(found.labels[z], flat.labels)
        assert np.array_equal(found.pixels[z], flat.pixels)
    tilted = moved(steps, pixels, labels, spacing=(2, 1, 1))
    assert not np.array_equal(tilted.labels, found.labels)


def test_volumes_turn_in_units_of_their_spacing():
    """A rod along z is as long along y after a quarter turn: half as many voxels become twice as many."""
    labels = np.zeros((21, 41, 41), np.uint8)
    labels[5:16, 19:22, 19:22] = 1
    found = moved(
        "rotate:degrees=[0,0];tilt_degrees=[90,90]", labels[..., np.newaxis], labels, spacing=(2, 1, 1)
    )
    extent = [at.max() - at.min() + 1 for at in np.nonzero(found.labels)]
    assert extent[0] <= 3
    assert max(extent[1:]) == pytest.approx(22, abs=1)


def test_bends_are_as_large_as_asked():
    ramp = np.arange(300, dtype=np.float32)[np.newaxis, :, np.newaxis].repeat(300, axis=0)
    found = moved("elastic:amplitude_px=[3,3];distance_px=20", ramp, None)
    offsets = (found.pixels - ramp)[40:-40, 40:-40, 0]
    assert 1.5 < offsets.std() < 3.5
    assert np.abs(np.diff(offsets, axis=0)).max() < 2  # smooth: no tears


def test_two_bends_of_a_volume_are_refused_in_words():
    labels = blobs((9, 20, 24))
    with pytest.raises(InputError, match="once only"):
        moved(["elastic", "elastic"], labels[..., np.newaxis], labels)


def test_two_bends_of_a_picture_are_both_done():
    labels = blobs((60, 60))
    both = moved(
        ["elastic:distance_px=20", "rotate:degrees=[5,5]", "elastic:distance_px=20"],
        labels[..., np.newaxis],
        labels,
    )
    one = moved(["elastic:distance_px=20", "rotate:degrees=[5,5]"], labels[..., np.newaxis], labels)
    assert not np.array_equal(both.labels, one.labels)


def test_perspective_moves_corners_by_at_most_its_share():
    pixels = np.full((100, 100, 1), 255, np.uint8)
    labels = np.ones((100, 100), np.uint8)
    for index in range(10):
        found = moved("perspective:share=[0.1,0.1]", pixels, labels, sample_rng(0, index), void=0)
        assert (found.labels[12:-12, 12:-12] == 1).all()


def test_step_names_tell_axis_of_pictures():
    labels = blobs((20, 24))
    found = make_augmentation("flip", axis="z", probability=1).apply_arrays(
        labels[..., np.newaxis], labels, sample_rng(0, 0)
    )
    assert np.array_equal(found.labels, labels)  # a picture has no slices to reverse
