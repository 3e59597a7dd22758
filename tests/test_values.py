"""What kind of numbers a forest learned from: told when others come, and an alpha channel that is none of them."""

import numpy as np
import pytest

import smalti
from smalti.data.scenes import make_scene
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.pixel.features import FeatureBank
from smalti.pixel.forest import Forest
from smalti.pixel.live import LiveForest
from smalti.sample import Sample
from smalti.segmentation import Segmentation
from smalti.values import Values, highest

FOREST = Forest(features=FeatureBank(families=("gaussian", "gradient"), sigmas_px=(1.0, 3.0)), trees=15)


def scene():
    return make_scene("cells", 0, task="instance", size_hw=(96, 96))


@pytest.fixture(scope="module")
def fitted():
    sample = scene()
    assert sample.image.pixels.dtype == np.uint8
    return FOREST.fit([sample])


@pytest.mark.parametrize(
    ("pixels", "value"),
    [
        (np.full((2, 2), 51, np.uint8), 0.2),
        (np.full((2, 2), 65535, np.uint16), 1.0),
        (np.array([[-3.0, 2.0]]), 3.0),
        (np.array([[-7, 2]], np.int16), 7.0),
        (np.ones((2, 2), bool), 1.0),
    ],
)
def test_the_value_farthest_from_zero(pixels, value):
    assert highest(Image.from_array(pixels)) == pytest.approx(value)


def test_the_same_numbers_in_another_dtype_are_refused(fitted):
    pixels = scene().image.pixels
    assert fitted.cascade.values.kinds == ("uint8",)
    for other in (np.uint16, np.float32, np.int16):
        for predict in (fitted.predict, fitted.predict_scores):
            with pytest.raises(
                InputError, match=r"learned from uint8 pixels .*; bring them to the scale of uint8"
            ):
                predict(Image(pixels.astype(other)))


def test_the_same_shares_in_another_dtype_and_dark_images_are_not(fitted):
    pixels = scene().image.pixels
    expected = fitted.predict(Image(pixels))
    swapped = (pixels.astype(np.uint16) * 257).astype(">u2")
    for other in (pixels.astype(np.uint16) * 257, swapped, pixels / np.float32(255), pixels / 255.0):
        assert np.array_equal(fitted.predict(Image(other)).labels, expected.labels)
    assert len(fitted.predict(Image(np.zeros_like(pixels)))) == 0
    dark = (pixels / 255 * 0.02).astype(np.float32)
    for other in (
        np.zeros(pixels.shape, np.float32),
        dark,
        np.minimum(pixels, 1),
        (dark * 65535).astype("u2"),
    ):
        fitted.predict(Image(other))


def test_byte_order_and_size_of_floats_are_no_kinds():
    big = np.full((2, 2), 300, ">u2")
    assert Values().and_those_of(Image.from_array(big)).kinds == ("uint16",)
    both = Values().and_those_of(Image.from_array(np.ones((2, 2), np.float32)))
    both.check(Image.from_array(np.full((2, 2), 900.0)))


def test_what_is_not_finite_has_no_say():
    pixels = np.array([[0.5, np.nan], [np.inf, -0.75]])
    assert highest(Image.from_array(pixels)) == 0.75
    assert highest(Image.from_array(np.full((1, 2), np.nan))) == 0


def test_it_is_kept_in_the_file(fitted, tmp_path):
    fitted.save(tmp_path / "m.smalti")
    again = smalti.load(tmp_path / "m.smalti")
    assert again.cascade.values == fitted.cascade.values != Values()
    with pytest.raises(ReadError, match="finite number"):
        Values.restored({"kinds": ["uint8"], "highest": float("inf")})
    for kinds in ([], "uint8", ["uint8", "\x1b[31m"], None):
        with pytest.raises(ReadError, match="kinds of pixels"):
            Values.restored({"kinds": kinds, "highest": 1.0})


def test_what_a_forest_of_several_dtypes_takes():
    sample = scene()
    same = Sample.of("b", Image(sample.image.pixels.astype(np.float32)), sample.truth)
    both = FOREST.fit([sample, same])
    assert both.cascade.values == Values(("float", "uint8"), float(same.image.pixels.max()))
    both.predict(sample.image)
    both.predict(same.image)


def rgba(alpha):
    sample = make_scene("street", 0, task="semantic", size_hw=(64, 64))
    pixels = sample.image.pixels
    return Image(np.concatenate([pixels, np.full((64, 64, 1), alpha, np.uint8)], axis=-1)), sample


def test_alpha_is_no_channel_of_a_forest():
    image, sample = rgba(255)
    plain = FOREST.fit([sample])
    from_rgba = FOREST.fit([Sample.of("a", image, sample.truth)])
    assert from_rgba.channels == plain.channels == ("red", "green", "blue")
    expected = plain.predict_scores(sample.image)
    for model in (plain, from_rgba):
        for shown in (image, rgba(0)[0], sample.image):
            assert np.array_equal(model.predict_scores(shown), expected)


def test_nor_of_a_live_one():
    image, sample = rgba(255)
    marks = np.zeros((64, 64), np.int32)
    marks[5, 5:60], marks[60, 5:60] = 1, 2
    found = LiveForest(FOREST, image).update(marks)
    assert np.array_equal(found.labels, LiveForest(FOREST, sample.image).update(marks).labels)


def test_an_image_of_nothing_but_alpha_keeps_it():
    only = Image(np.zeros((4, 4, 1), np.uint8), ("alpha",))
    assert only.without_alpha() is only
    assert Image(np.zeros((4, 4, 2), np.uint8)).without_alpha().channels == ("grey",)


def test_an_array_in_place_of_an_image(fitted):
    with pytest.raises(InputError, match="an Image is wanted, got ndarray"):
        fitted.predict(np.zeros((4, 4), np.uint8))


def test_one_image_with_its_truth_teaches_objects():
    sample = scene()
    fitted = FOREST.fit(sample.image, sample.truth)
    assert fitted.task == "instance"
    found = fitted.predict(sample.image)
    assert isinstance(found, Segmentation) and abs(len(found) - len(sample.truth)) <= 0.3 * len(sample.truth)


def test_8_bit_scribbles_have_their_ground_at_255():
    image, _ = rgba(255)
    marks = np.zeros((64, 64), np.int32)
    marks[5, 5:60], marks[60, 5:60] = 1, -1
    in_bytes = np.where(marks == -1, 255, marks).astype(np.uint8)
    fitted = FOREST.fit(image, in_bytes)
    assert fitted.targets.names == ("background", "class 1")
    assert np.array_equal(fitted.predict_scores(image), FOREST.fit(image, marks).predict_scores(image))
    live = LiveForest(FOREST, image)
    assert np.array_equal(live.update(in_bytes).labels, live.update(marks).labels)


def test_what_a_notebook_shows_is_one_line(fitted):
    assert repr(fitted) == "FittedForest(instance: background, nucleus, border; 15 trees, 13 features)"


def test_a_name_in_place_of_data():
    with pytest.raises(InputError, match=r"Dataset.open for a dataset, smalti.read for an image"):
        FOREST.fit("dishes")


def test_a_class_that_is_in_one_place_only_is_not_judged():
    pixels = np.random.default_rng(0).integers(0, 50, (64, 64)).astype(np.uint8)
    marks = np.zeros((64, 64), int)
    marks[2, 2:60], marks[60, 2:60], marks[40, 5:9] = -1, -1, 1
    fitted = FOREST.fit(pixels, marks)
    assert fitted.report["oob_iou"]["class 1"] is None
    assert "| class 1 | not judged |" in fitted.to_bundle().card
