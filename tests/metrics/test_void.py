"""What is void on either side is taken from both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import InputError
from smalti.metrics.void import both_judged, without
from smalti.segmentation import Segmentation


@given(st.integers(0, 2**32 - 1))
def test_each_segment_loses_the_region_and_keeps_its_number(seed):
    rng = np.random.default_rng(seed)
    shape = (3, 5, 6) if seed % 2 else (6, 7)
    masks = rng.random((4, *shape)) < rng.choice([0.1, 0.5])  # they overlap, some may be empty
    region = rng.random(shape) < 0.4
    left = without(Segmentation.from_masks(masks, attributes={"track_id": [4, 3, 2, 1]}), region)
    assert np.array_equal(np.stack(list(left.masks())), masks & ~region)
    assert np.array_equal(left.void, region)
    assert left.attributes["track_id"].tolist() == [4, 3, 2, 1]


def test_label_maps_too():
    labels = np.array([[1, 1, 2, 2]])
    left = without(Segmentation.from_labels(labels), np.array([[False, True, True, True]]))
    assert left.labels.tolist() == [[1, 0, 0, 0]]
    assert left.areas_px.tolist() == [1, 0]


def test_both_sides_lose_the_void_of_both():
    truth = Segmentation.from_labels(np.array([[1, 1, 1]]), void=np.array([[True, False, False]]))
    predicted = Segmentation.from_labels(np.array([[1, 1, 1]]), void=np.array([[False, False, True]]))
    assert [side.labels.tolist() for side in both_judged(truth, predicted)] == [[[0, 1, 0]]] * 2
    with pytest.raises(InputError, match="one shape"):
        both_judged(truth, Segmentation.from_labels(np.ones((2, 3), int)))
