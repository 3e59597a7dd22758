"""Windows to annotate: the unsure ones, apart from each other and unlike each other."""

from __future__ import annotations

import numpy as np
import pytest
from two_tones import forest, tones  # noqa: F401  # a fixture

from smalti import Image
from smalti.errors import InputError
from smalti.pixel.suggest import ALIKE, candidates, choose
from smalti.postprocess.uncertainty import entropy, margin, most_uncertain_places, of_segments


def planes_of(first, third=0.0):
    """Three classes: the first as probable as said, the third as said, and the rest."""
    first = np.asarray(first, np.float32)
    third = np.broadcast_to(np.float32(third), first.shape)
    return np.stack([first, 1 - first - third, third])


def window(number, share, turn=0, seed=0, third=0.0):
    """A candidate of one 8 x 8 window: a noisy image in which the first class has this probability."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8)).astype(np.uint8)
    (found,) = candidates(number, Image.from_array(pixels), planes_of(np.full((8, 8), share), third), 8, 1)
    return found if not turn else type(found)(**{**vars(found), "turn": turn})


class TestCandidates:
    def test_the_most_uncertain_window_comes_first_and_none_overlap(self):
        first = np.ones((32, 32))
        first[4:12, 20:28] = 0.5
        first[20:28, 2:10] = 0.7
        found = candidates(3, Image.from_array(np.zeros((32, 32), np.uint8)), planes_of(first), 8, 4)
        assert [each.place.box for each in found[:2]] == [(4, 20, 12, 28), (20, 2, 28, 10)]
        assert [each.place.value for each in found[:2]] == pytest.approx([1, 0.6])
        assert [(each.image, each.turn) for each in found] == [(3, turn) for turn in range(4)]
        taken = np.zeros((32, 32), int)
        for each in found:
            top, left, bottom, right = each.place.box
            taken[top:bottom, left:right] += 1
        assert taken.max() == 1

    def test_what_is_labelled_counts_neither_for_the_place_nor_for_the_classes(self):
        first = np.ones((16, 16))
        first[:, :8] = 0.5
        known = np.zeros((16, 16), bool)
        known[:, :8] = True
        first[4:8, 8:12] = 0.6
        (found,) = candidates(
            0, Image.from_array(np.zeros((16, 16), np.uint8)), planes_of(first), 4, 1, known=known
        )
        assert found.place.box == (4, 6, 8, 10)  # half of it is free, and that half is 0.6 and 0.4
        assert found.place.value == pytest.approx(0.8)
        assert found.probabilities == pytest.approx([0.6, 0.4, 0])

    def test_between_are_the_two_that_are_closest_where_it_is_unsure(self):
        planes = planes_of(np.full((8, 8), 0.98), 0.01)
        planes[:, :3] = np.array([0.02, 0.47, 0.51], np.float32)[:, None, None]
        (found,) = candidates(0, Image.from_array(np.zeros((8, 8), np.uint8)), planes, 8, 1)
        assert found.between == (2, 1)

    def test_entropy_prefers_many_possible_classes_and_margin_two_close_ones(self):
        planes = np.zeros((3, 4, 8), np.float32)
        planes[:, :, :4] = np.array([0.5, 0.5, 0])[:, None, None]
        planes[:, :, 4:] = np.array([0.44, 0.28, 0.28])[:, None, None]
        image = Image.from_array(np.zeros((4, 8), np.uint8))
        first = {by: candidates(0, image, planes, 4, 1, by)[0].place.box for by in ("margin", "entropy")}
        assert first == {"margin": (0, 0, 4, 4), "entropy": (0, 4, 4, 8)}

    def test_of_a_volume_a_square_in_one_slice(self):
        first = np.ones((5, 16, 16))
        first[3, 4:12, 4:12] = 0.5
        image = Image.from_array(np.zeros((5, 16, 16), np.uint8), ndim=3)
        (found,) = candidates(0, image, planes_of(first), 8, 1)
        assert found.place.box == (3, 4, 4, 4, 12, 12)

    def test_one_class_is_refused(self):
        with pytest.raises(InputError, match="one class"):
            candidates(0, Image.from_array(np.zeros((4, 4), np.uint8)), np.ones((1, 4, 4), np.float32), 4, 1)


class TestChoosing:
    def test_the_most_uncertain_one_is_first(self):
        assert choose([window(0, 0.9), window(1, 0.55, seed=1), window(2, 0.7, seed=2)], 1) == [1]

    def test_the_same_window_twice_is_one_suggestion(self):
        found = [window(0, 0.5), window(1, 0.5), window(2, 0.8, seed=5, third=0.1)]
        assert choose(found, 3) == [0, 2]

    def test_what_looks_alike_comes_after_what_does_not(self):
        near = window(1, 0.505)
        assert np.abs(near.probabilities - window(0, 0.5).probabilities).sum() / 4 < ALIKE
        found = [window(0, 0.5), near, window(2, 0.9, seed=5), window(0, 0.85, turn=1, seed=6)]
        assert choose(found, 4) == [0, 2, 3, 1]

    def test_other_images_come_before_a_second_window(self):
        found = [window(0, 0.5), window(0, 0.52, turn=1, seed=1), window(1, 0.8, seed=2)]
        assert choose(found, 3) == [0, 2, 1]

    def test_what_is_certain_is_left_out(self):
        assert choose([window(0, 1.0), window(1, 0.6, seed=1)], 5) == [1]
        assert choose([window(0, 1.0)], 5) == []
        assert choose([], 5) == []


def test_places_are_those_found_one_after_the_other():
    values = np.random.default_rng(4).random((20, 30))
    found = most_uncertain_places(values, 6, most=100)
    known = np.zeros(values.shape, bool)
    for place in found:
        top, left, bottom, right = place.box
        assert not known[top:bottom, left:right].any()
        known[top:bottom, left:right] = True
        assert place.value == pytest.approx(values[top:bottom, left:right].mean())
    assert [place.value for place in found] == sorted((place.value for place in found), reverse=True)
    free = np.lib.stride_tricks.sliding_window_view(~known, (6, 6)).all((2, 3))
    assert not free.any()  # there is no room for one more


def test_a_forest_tells_of_each_segment_how_unsure_it_is(forest):  # noqa: F811
    image = Image.from_array(np.hstack([tones(7), tones(8, between=np.s_[20:50, 10:60])] * 3))
    found, scores = forest.predict_with_uncertainty(image), forest.predict_scores(image)
    plain = forest.predict(image)
    assert np.array_equal(found.labels, plain.labels)
    assert np.array_equal(found.scores, plain.scores)
    assert found.attributes["margin"] == pytest.approx(of_segments(found, margin(scores)), abs=1e-5)
    assert found.attributes["entropy"] == pytest.approx(of_segments(found, entropy(scores)), abs=1e-5)
    assert (found.attributes["margin"] > 0).all()
