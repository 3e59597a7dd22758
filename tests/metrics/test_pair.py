"""What all metrics of an image share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.metrics.pair import Pair
from smalti.metrics.void import both_judged
from smalti.overlaps import overlap
from smalti.segmentation import Segmentation


@pytest.mark.parametrize("overlapping", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_table_is_that_of_the_judged_sides(overlapping, seed):
    rng = np.random.default_rng(seed)
    shape = (90, 120) if seed % 2 else (3, 5, 7)  # more pixels than are counted at a time, and fewer

    def side():
        void = np.sort((rng.random(shape) < rng.choice([0, 0.3])).ravel()).reshape(shape)
        if overlapping:
            return Segmentation.from_masks(rng.random((3, *shape)) < 0.4, void=void)
        labels = np.sort(rng.integers(0, 5, shape).ravel()).reshape(shape)
        return Segmentation.from_labels(rng.permutation(labels), class_ids=[1] * 6, void=void)

    truth, predicted = side(), side()
    pair, judged = Pair(truth, predicted), both_judged(truth, predicted)
    wanted = overlap(*judged)
    for name in ("truth", "predicted", "pixels", "truth_areas", "predicted_areas", "size"):
        assert np.array_equal(getattr(pair.table, name), getattr(wanted, name)), name
    for lost, whole, left in zip(pair.void_areas, (truth, predicted), judged, strict=True):
        assert lost.tolist() == (whole.areas_px - left.areas_px).tolist()
