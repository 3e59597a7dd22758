"""Uncertainty of pixels, segments and places, by numbers one can work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from smalti.errors import InputError
from smalti.postprocess.uncertainty import entropy, margin, most_uncertain_place, of_segments
from smalti.segmentation import Segmentation

PROBABILITIES = np.array([[1, 0.5, 0.6, 1 / 3], [0, 0.5, 0.1, 1 / 3], [0, 0, 0.3, 1 / 3]], np.float32)[
    :, None
]


def test_margin_is_one_less_the_lead_of_the_first():
    assert margin(PROBABILITIES)[0] == pytest.approx([0, 1, 0.7, 1], abs=1e-6)
    assert margin(PROBABILITIES[::-1])[0] == pytest.approx([0, 1, 0.7, 1], abs=1e-6)


def test_entropy_is_a_share_of_the_highest():
    some = -(0.6 * np.log(0.6) + 0.1 * np.log(0.1) + 0.3 * np.log(0.3)) / np.log(3)
    assert entropy(PROBABILITIES)[0] == pytest.approx([0, np.log(2) / np.log(3), some, 1], abs=1e-6)


@pytest.mark.parametrize("measure", [margin, entropy])
def test_maps_lie_in_bounds_in_volumes_too_and_one_class_is_sure(measure):
    planes = np.random.default_rng(0).dirichlet(np.full(5, 0.1), (3, 4, 5)).transpose(3, 0, 1, 2)
    found = measure(planes.astype(np.float32))
    assert found.shape == (3, 4, 5) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    assert not measure(np.ones((1, 4, 4), np.float32)).any()
    with pytest.raises(InputError):
        measure(np.ones(4, np.float32))


def test_segments_have_their_means_also_where_they_overlap():
    values = np.arange(12.0).reshape(3, 4)
    masks = np.zeros((3, 3, 4), bool)
    masks[0, 0], masks[1, :, 0] = True, True
    found = of_segments(Segmentation.from_masks(masks), values)
    assert found[:2].tolist() == [1.5, 4.0]
    assert np.isnan(found[2])
    with pytest.raises(InputError):
        of_segments(Segmentation.from_masks(masks), values[:2])


def test_most_uncertain_place_is_the_box_with_the_highest_mean():
    values = np.zeros((6, 8))
    values[3:5, 5:7] = 0.8
    values[0, 0] = 1
    assert most_uncertain_place(values, 2) == ((3, 5, 5, 7), pytest.approx(0.8))
    assert most_uncertain_place(values, 1).box == (0, 0, 1, 1)
    assert most_uncertain_place(values, (1, 100)) == ((3, 0, 4, 8), pytest.approx(0.2))
    assert most_uncertain_place(np.full((4, 4), 0.5), 3).box == (0, 0, 3, 3)


@pytest.mark.parametrize("shape", [(17, 23), (6, 7, 9)])
def test_as_a_mean_filter_finds_it(shape):
    values = np.random.default_rng(1).random(shape)
    place = most_uncertain_place(values, 3)
    means = ndimage.uniform_filter(values, 3)[(slice(1, -1),) * len(shape)]
    assert place.value == pytest.approx(means.max())
    assert place.box[: len(shape)] == np.unravel_index(means.argmax(), means.shape)


def test_what_is_known_does_not_count():
    values = np.zeros((6, 8))
    values[3:5, 5:7] = 0.8
    values[0:2, 0:2] = 0.6
    known = np.zeros((6, 8), bool)
    known[3:5, 5:7] = True
    assert most_uncertain_place(values, 2, known) == ((0, 0, 2, 2), pytest.approx(0.6))
    known[4, 6] = False  # a quarter of the box is left
    assert most_uncertain_place(values, 2, known).box == (0, 0, 2, 2)
    assert most_uncertain_place(values, 2, known, least_free=0.25) == ((3, 5, 5, 7), pytest.approx(0.8))
    assert most_uncertain_place(values, 2, np.ones((6, 8), bool)) is None


@pytest.mark.parametrize(
    "arguments", [{"size_px": 0}, {"size_px": (2, 2, 2)}, {"known": np.zeros((4, 4))}, {"least_free": 0}]
)
def test_boxes_that_do_not_fit_are_refused(arguments):
    with pytest.raises(InputError):
        most_uncertain_place(**{"values": np.zeros((4, 4)), "size_px": 2, **arguments})
    with pytest.raises(InputError):
        most_uncertain_place(np.full((4, 4), np.nan), 2)
