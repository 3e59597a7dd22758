"""Scribbling live: each update is what a fresh start would give, and leaves a model that can be kept."""

import numpy as np
import pytest

import smalti
from smalti.classes import ClassSet
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.pixel.features import FeatureBank
from smalti.pixel.forest import Forest
from smalti.pixel.live import LiveForest

BANK = FeatureBank(families=("gaussian", "gradient"), sigmas_px=(1.0, 3.0))
FOREST = Forest(features=BANK, trees=20)


def a_picture(channels=1, seed=0, spacing=None):
    """A bright square and a striped one on a dark ground, (60, 80)."""
    generator = np.random.default_rng(seed)
    plane = np.full((60, 80), 40.0)
    plane[8:30, 8:36] = 170
    plane[32:56, 44:76] = 110 + 60 * (np.arange(32) % 4 < 2)
    pixels = plane[..., np.newaxis] + generator.normal(0, 12, (60, 80, channels))
    geometry = Geometry() if spacing is None else Geometry(spacing, "um")
    return Image(np.clip(pixels, 0, 255).astype(np.uint8), geometry=geometry)


def first_strokes():
    marks = np.zeros((60, 80), np.int8)
    marks[18, 10:34] = 1
    marks[2:4, 5:75] = -1
    marks[40:56, 4:6] = -1
    return marks


def more_strokes():
    marks = first_strokes()
    marks[44, 46:74] = 2
    return marks


def test_an_update_is_what_a_fresh_start_gives():
    image = a_picture()
    live = LiveForest(FOREST, image)
    live.update(more_strokes())
    live.update(first_strokes())
    found = live.update(more_strokes())
    fresh = LiveForest(FOREST, image)
    assert found == fresh.update(more_strokes())
    assert np.array_equal(live.probabilities, fresh.probabilities)


def test_strokes_change_what_is_found():
    image = a_picture()
    live = LiveForest(FOREST, image)
    before = live.update(first_strokes())
    assert before.class_ids.tolist() == [1]
    after = live.update(more_strokes())
    assert after.class_ids.tolist() == [1, 2]
    truth = np.zeros((60, 80), int)
    truth[8:30, 8:36], truth[32:56, 44:76] = 1, 2
    assert (after.semantic_map() == truth).mean() > 0.85
    assert live.probabilities.shape == (3, 60, 80)
    assert live.probabilities.sum(0) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(np.array([0, 1, 2])[live.probabilities.argmax(0)], after.semantic_map())


@pytest.mark.parametrize("spacing", [None, (0.5, 0.5)])
def test_the_model_finds_in_the_image_what_the_update_did(spacing, tmp_path):
    image = a_picture(channels=3, spacing=spacing)
    live = LiveForest(FOREST, image)
    found = live.update(more_strokes())
    assert found.geometry is image.geometry
    assert np.array_equal(live.model.predict_scores(image), live.probabilities)
    assert live.model.predict(image) == found
    live.model.save(tmp_path / "live.smalti")
    assert smalti.load(tmp_path / "live.smalti").predict(image) == found
    other = live.model.predict(a_picture(channels=3, seed=5, spacing=spacing))
    assert (other.semantic_map() == found.semantic_map()).mean() > 0.9


def test_the_model_of_an_image_with_a_spacing_finds_the_same_at_half_of_it():
    live = LiveForest(FOREST, a_picture(spacing=(1.0, 1.0)))
    coarse = live.update(more_strokes()).semantic_map()
    twice = a_picture(spacing=(1.0, 1.0)).pixels.repeat(2, 0).repeat(2, 1)
    fine = live.model.predict(Image(twice, geometry=Geometry((0.5, 0.5), "um"))).semantic_map()
    assert (fine[::2, ::2] == coarse).mean() > 0.93


def test_a_few_pixels_are_enough_to_begin_with():
    marks = np.zeros((60, 80), int)
    marks[18, 20:22] = 1
    marks[3, 60:62] = -1
    found = LiveForest(FOREST, a_picture()).update(marks).semantic_map()
    assert found[18, 21] == 1 and found[3, 61] == 0
    assert (found[10:28, 10:34] == 1).mean() > 0.8
    assert (found[40:, :40] == 0).mean() > 0.8


def test_classes_have_names_and_balance_and_weights_count():
    image = a_picture(seed=3)
    marks = first_strokes()
    marks[:, 37] = 1  # dark pixels that are said to be of class 1
    names = ClassSet.from_names(("bright", "dull"))
    live = LiveForest(FOREST, image)
    found = live.update(marks, names)
    assert found.classes == names
    assert live.model.targets.names == ("background", "bright")
    shares = []
    for factor in (0.1, 1, 10):
        weighted = LiveForest(FOREST.model_copy(update={"class_weights": {"bright": factor}}), image)
        shares.append((weighted.update(marks, names).semantic_map() == 1).mean())
    assert shares[0] < shares[1] < shares[2]


def test_a_volume():
    pixels = np.random.default_rng(0).normal(40, 6, (9, 30, 30))
    pixels[2:7, 8:22, 8:22] += 100
    image = Image(pixels.astype(np.uint8)[..., np.newaxis], geometry=Geometry((2.0, 1.0, 1.0), "um"))
    marks = np.zeros((9, 30, 30), int)
    marks[4, 12, 10:20], marks[4, 2, 2:28] = 1, -1
    live = LiveForest(FOREST, image)
    found = live.update(marks).semantic_map()
    assert (found == (pixels > 90)).mean() > 0.8
    assert live.model.predict(image).semantic_map().tolist() == found.tolist()


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (np.zeros((60, 80), int), "mark no class"),
        (np.zeros((60, 79), int), "must cover the image"),
        (-np.ones((60, 80), int), "mark no class"),
        (np.eye(60, 80, dtype=int), "only 'class 1' is labelled"),
    ],
)
def test_marks_that_are_not_enough_are_refused_and_do_no_harm(marks, said):
    live = LiveForest(FOREST, a_picture())
    found = live.update(first_strokes())
    with pytest.raises(InputError, match=said):
        live.update(marks)
    assert live.update(first_strokes()) == found


def test_nan_is_refused():
    with pytest.raises(InputError, match="NaN"):
        LiveForest(FOREST, np.full((9, 9), np.nan, np.float32))


def test_more_features_than_trees_take_are_refused():
    with pytest.raises(InputError, match="up to 256 features, these are 602"):
        LiveForest(FOREST, Image(np.zeros((8, 8, 300), np.uint8)))


def test_settings_that_strokes_cannot_follow_are_refused():
    with pytest.raises(InputError, match="leave select out"):
        LiveForest(FOREST.model_copy(update={"select": 3}), a_picture())
