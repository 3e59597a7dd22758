"""Values change as their formulas say, in one look-up, and stay in their range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.data.augment import Chain, make_augmentation, sample_rng
from smalti.data.augment.fields import byte_normals, normals, random_bytes, smooth_field
from smalti.errors import InputError
from smalti.image import Image
from smalti.segmentation import Segmentation


def changed(step, pixels, index=0, **settings):
    chain = Chain.make({"steps": [step] if isinstance(step, str) else step, **settings})
    return chain.apply_arrays(pixels, None, sample_rng(0, index)).pixels


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)


def test_brightness_is_exact(noise):
    found = changed("brightness:shift=[0.2,0.2];factor=[1.5,1.5]", noise)
    assert np.array_equal(found, np.rint((noise * 1.5 + 51).clip(0, 255)).astype(np.uint8))


def test_contrast_keeps_the_mean_or_the_middle(noise):
    dim = noise // 2
    found = changed("contrast:factor=[0.5,0.5]", dim)
    assert found.mean() == pytest.approx(dim.mean(), abs=0.5)
    assert found.std() == pytest.approx(dim.std() / 2, rel=0.02)
    found = changed("contrast:factor=[0.5,0.5];around=middle", noise)
    assert np.array_equal(found, np.rint((noise - 127.5) * 0.5 + 127.5).astype(np.uint8))


def test_gamma_keeps_both_ends(noise):
    found = changed("gamma:exponent=[2,2]", noise)
    assert np.array_equal(found, np.rint((noise / 255) ** 2 * 255).astype(np.uint8))


@given(arrays(np.uint8, (5, 6, 2)), st.floats(-1, 1), st.floats(0.1, 10), st.floats(0.1, 10))
def test_tones_in_a_row_are_those_of_their_formulas_rounded_once(pixels, shift, factor, exponent):
    steps = [
        {"name": "brightness", "shift": [shift, shift]},
        {"name": "contrast", "factor": [factor, factor], "around": "middle"},
        {"name": "gamma", "exponent": [exponent, exponent]},
    ]
    values = (pixels + shift * 255).clip(0, 255)
    values = ((values - 127.5) * factor + 127.5).clip(0, 255)
    values = (values / 255) ** exponent * 255
    assert np.abs(changed(steps, pixels) - values).max() <= 0.5 + 1e-3


def test_contrast_goes_by_the_mean_after_the_tones_before_it(noise):
    steps = ["brightness:shift=[0.3,0.3]", "contrast:factor=[0.05,0.05]"]
    bright = changed(steps[0], noise // 2)
    assert changed(steps, noise // 2).mean() == pytest.approx(bright.mean(), abs=2)


def test_channels_can_change_each_by_itself(noise):
    found = changed("brightness:shift=[-0.3,0.3];per_channel=true", noise // 2 + 64).astype(int)
    apart = (found - (noise // 2 + 64)).reshape(-1, 3).mean(axis=0)
    assert len(set(apart.round(1))) == 3
    found = changed("contrast:per_channel=true;factor=[0.05,0.05]", noise)
    assert np.abs(found.reshape(-1, 3).mean(0) - noise.reshape(-1, 3).mean(0)).max() < 1


def test_strengths_of_longer_types_go_by_the_images_own_range():
    pixels = np.array([[[1000], [1500], [2000]]], np.uint16)
    assert changed("brightness:shift=[0.25,0.25]", pixels).ravel().tolist() == [1250, 1750, 2000]
    assert changed("gamma:exponent=[2,2]", pixels).ravel().tolist() == [1000, 1250, 2000]
    floats = pixels / 1000 - 3.0
    assert changed("brightness:shift=[0.25,0.25]", floats).ravel() == pytest.approx([-1.75, -1.25, -1])
    signed = pixels.astype(np.int16) - 3000
    assert changed("brightness:shift=[-0.5,-0.5]", signed).ravel().tolist() == [-2000, -2000, -1500]


def test_a_range_can_be_given():
    pixels = np.array([[[1000], [1500], [2000]]], np.uint16)
    found = changed("brightness:shift=[0.25,0.25]", pixels, value_range=(0, 4000))
    assert found.ravel().tolist() == [2000, 2500, 3000]
    with pytest.raises(InputError, match="lower and a higher"):
        Chain.make({"value_range": (3, 3)})


def test_the_range_is_that_of_the_whole_image_and_not_of_the_crop():
    pixels = np.zeros((40, 40, 1), np.float32)
    pixels[0, 0], pixels[20:, 20:] = 10, 5
    found = changed(["shift:share=[-0.5,-0.5]", "brightness:shift=[0.2,0.2]"], pixels)
    assert found[0, 0] == pytest.approx(7)


def test_nan_stays_where_it_is():
    pixels = np.random.default_rng(0).random((20, 20, 1)).astype(np.float32)
    pixels[3, 4] = np.nan
    found = changed(["brightness:shift=[0.1,0.1]", "contrast", "gaussian-noise"], pixels)
    assert np.argwhere(np.isnan(found[..., 0])).tolist() == [[3, 4]]


def test_alpha_is_no_value(noise):
    pixels = np.concatenate([noise, np.full((40, 50, 1), 77, np.uint8)], axis=-1)
    for step in (
        "brightness:shift=[0.2,0.2]",
        "gaussian-noise:sigma=[0.1,0.1]",
        "blur",
        "channel-shuffle",
        "hue-saturation",
        "cutout",
        "fog",
        "sharpen",
        "downscale",
    ):
        out, _ = Chain.make({"steps": [step]}).apply(Image(pixels), None, sample_rng(0, 2))
        assert (out.pixels[..., 3] == 77).all()
        assert not np.array_equal(out.pixels[..., :3], noise)


def test_bool_images_are_moved_but_not_toned():
    pixels = np.random.default_rng(0).random((20, 20, 1)) > 0.5
    assert changed("rotate:degrees=[20,20]", pixels).dtype == bool
    for step in ("brightness", "gaussian-noise", "cutout"):
        with pytest.raises(InputError, match="bool"):
            changed(step, pixels)


def test_hues_turn_and_greys_and_luma_stay(noise):
    luma = np.array([0.299, 0.587, 0.114])
    soft = noise // 4 + 96
    found = changed("hue-saturation:hue_degrees=[60,60];saturation=[1,1]", soft)
    assert np.abs(found @ luma - soft @ luma).max() < 1.5
    assert not np.array_equal(found, soft)
    grey = np.repeat(noise[..., :1], 3, axis=-1)
    assert np.abs(changed("hue-saturation:hue_degrees=[90,90]", grey).astype(int) - grey).max() <= 1
    pale = changed("hue-saturation:hue_degrees=[0,0];saturation=[0,0]", soft).astype(int)
    assert np.abs(pale - pale.mean(axis=-1, keepdims=True)).max() <= 1
    floats = changed(
        "hue-saturation:hue_degrees=[60,60];saturation=[1,1]",
        (soft / 255).astype(np.float32),
        value_range=(0, 1),
    )
    assert np.abs(floats * 255 - found).max() < 1


def test_hue_needs_colours():
    with pytest.raises(InputError, match="red, green and blue"):
        changed("hue-saturation", np.zeros((4, 4, 5), np.uint8))
    with pytest.raises(InputError, match="dapi"):
        image = Image(np.zeros((4, 4, 3), np.uint8), ("dapi", "actin", "tubulin"))
        make_augmentation("hue-saturation").apply(image, None, sample_rng(0, 0))


def test_grey_has_no_hue():
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    assert (changed("hue-saturation:hue_degrees=[60,60];saturation=[2,2]", grey) == grey).all()


def test_channels_are_shuffled_and_dropped(noise):
    orders = {
        tuple(
            int(k)
            for c in range(3)
            for k in range(3)
            if np.array_equal(changed("channel-shuffle", noise, i)[..., c], noise[..., k])
        )
        for i in range(30)
    }
    assert len(orders) == 6
    found = changed("channel-dropout:count=2", noise)
    assert sorted((found[..., k] == 0).all() for k in range(3)) == [False, True, True]
    assert np.array_equal(changed("channel-dropout:count=5", noise[..., :1]), noise[..., :1])


@pytest.mark.parametrize(("dtype", "high"), [(np.uint8, 255), (np.uint16, 4000), (np.float32, 1.0)])
def test_gaussian_noise_has_its_deviation(dtype, high):
    pixels = np.full((200, 200, 2), high / 2).astype(dtype)
    pixels[0, 0], pixels[0, 1] = 0, high
    found = changed("gaussian-noise:sigma=[0.05,0.05]", pixels).astype(float)[1:]
    assert found.std() == pytest.approx(0.05 * high, rel=0.03)
    assert found.mean() == pytest.approx(pixels[1:].mean(), rel=0.005)
    assert abs(np.corrcoef(found[..., 0].ravel(), found[..., 1].ravel())[0, 1]) < 0.03
    flat = found[..., 0]
    assert abs(np.corrcoef(flat[:, 1:].ravel(), flat[:, :-1].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(("dtype", "high"), [(np.uint8, 255), (np.uint16, 4000), (np.float32, 1.0)])
def test_poisson_noise_has_the_variance_of_counted_photons(dtype, high):
    for share in (0.2, 0.6):
        pixels = np.full((200, 200, 1), high * share).astype(dtype)
        pixels[0, 0], pixels[0, 1] = 0, high
        found = changed("poisson-noise:photons=[100,100]", pixels).astype(float)[1:] / high
        assert found.mean() == pytest.approx(share, rel=0.01)
        assert found.var() == pytest.approx(share / 100, rel=0.06)


def test_random_numbers_are_evenly_and_normally_distributed():
    rng = sample_rng(0, 0)
    counts = np.bincount(random_bytes((1 << 18,), rng), minlength=256)
    assert abs(counts - 1024).max() < 200
    draws = normals((1 << 18,), rng)
    assert draws.mean() == pytest.approx(0, abs=0.01)
    assert draws.std() == pytest.approx(1, abs=0.01)
    assert (draws**4).mean() == pytest.approx(3, abs=0.1)
    assert byte_normals(100).std() == pytest.approx(100, rel=0.01)


def test_smooth_fields_are_smooth_along_every_axis():
    for shape in ((60, 80), (20, 30, 40)):
        field = smooth_field(shape, [12] * len(shape), sample_rng(0, 0))
        assert field.shape == shape
        for axis in range(len(shape)):
            assert np.abs(np.diff(field, axis=axis)).max() < 0.8
        assert 0.3 < field.std() < 1.3


def test_blur_and_sharpen_undo_each_other_roughly(noise):
    smooth = changed("blur:sigma_px=[2,2]", noise)
    assert smooth.std() < 0.3 * noise.std()
    assert changed("sharpen:amount=[1,1]", smooth).std() > smooth.std()


def test_blur_goes_by_the_spacing():
    volume = np.zeros((21, 21, 21, 1), np.float32)
    volume[10, 10, 10] = 1
    step = make_augmentation("blur", sigma_px=[2, 2])

    def spread(spacing):
        found = step.apply_arrays(volume, None, sample_rng(0, 0), spacing=spacing).pixels[..., 0]
        return [
            float(np.sqrt((found * (axis - 10) ** 2).sum() / found.sum())) for axis in np.indices(found.shape)
        ]

    assert spread(None) == pytest.approx([2, 2, 2], rel=0.05)
    assert spread((2, 1, 1)) == pytest.approx([1, 2, 2], rel=0.05)
    assert spread((5, 1, 1)) == pytest.approx([0, 2, 2], rel=0.05)


def test_jpeg_is_close_at_high_quality_and_keeps_colours(noise):
    flat = np.zeros((32, 32, 3), np.uint8)
    flat[...] = (200, 60, 20)
    assert np.abs(changed("jpeg:quality=[95,95]", flat).astype(int) - flat).max() < 8
    rough = changed("jpeg:quality=[5,5]", noise).astype(int)
    assert (
        np.abs(rough - noise).mean()
        > np.abs(changed("jpeg:quality=[95,95]", noise).astype(int) - noise).mean()
    )
    with pytest.raises(InputError, match="jpeg needs 8-bit"):
        changed("jpeg", noise.astype(np.uint16))


def test_downscale_loses_detail_and_keeps_the_size(noise):
    found = changed("downscale:factor=[0.25,0.25]", noise)
    assert found.shape == noise.shape
    assert found.std() < 0.5 * noise.std()


def test_fog_brightens_and_flattens_the_dark():
    pixels = np.zeros((60, 60, 3), np.uint8)
    found = changed("fog:density=[0.5,0.5]", pixels)
    assert 0.25 * 255 < found.mean() < 0.7 * 255
    assert np.array_equal(changed("fog:density=[0,0]", pixels), pixels)


def test_a_shadow_only_darkens(noise):
    found = changed("shadow:darkness=[0.5,0.5]", noise)
    assert (found <= noise).all()
    assert (found < noise).mean() > 0.02


def test_cutout_cuts_boxes_and_may_say_so_in_the_truth(noise):
    labels = np.ones((40, 50), np.uint8)
    kept = make_augmentation("cutout").apply_arrays(noise | 1, labels, sample_rng(0, 0), void=255)
    assert (kept.pixels == 0).any()
    assert (kept.labels == 1).all()
    void = make_augmentation("cutout", truth="void").apply_arrays(
        noise | 1, labels, sample_rng(0, 0), void=255
    )
    assert np.array_equal(void.labels == 255, (void.pixels == 0).all(axis=-1))
    with pytest.raises(InputError, match="void="):
        make_augmentation("cutout", truth="void").apply_arrays(noise, labels, sample_rng(0, 0))
    _, found = make_augmentation("cutout", truth="void").apply(
        Image(noise), Segmentation.from_labels(labels), sample_rng(0, 0)
    )
    assert found.void_px == 2000 - found.areas_px[0] > 0
    for fill in ("mean", "noise"):
        other = changed(f"cutout:fill={fill}", noise)
        assert not np.array_equal(other, noise)


def test_a_bias_field_is_smooth_and_multiplies():
    pixels = np.full((50, 60, 1), 1000, np.uint16)
    pixels[0, 0], pixels[0, 1] = 0, 4000
    found = changed("bias-field:strength=[0.3,0.3]", pixels)[1:].astype(float)
    assert found.std() > 50
    assert np.abs(np.diff(found[..., 0], axis=1)).max() < 150


def test_floats_are_what_a_network_takes(noise):
    for pixels in (noise, noise[..., :1], noise.astype(np.float32), np.stack([noise] * 2)):
        found = Chain.make({"steps": ["brightness:shift=[0.1,0.1]"]}).apply_arrays(
            pixels,
            None,
            sample_rng(0, 0),
        )
        floats = found.floats(100, 50)
        assert floats.dtype == np.float32
        assert floats.flags.c_contiguous
        assert np.allclose(
            floats, (np.moveaxis(found.pixels, -1, 0).astype(np.float64) - 100) / 50, atol=1e-5
        )
    found = Chain.make({"steps": ["brightness:per_channel=true"]}).apply_arrays(noise, None, sample_rng(0, 0))
    floats = found.floats([1, 2, 3], [4, 5, 6])
    assert np.allclose(
        np.moveaxis(floats, 0, -1), (found.pixels - np.array([1.0, 2, 3])) / [4, 5, 6], atol=1e-5
    )
