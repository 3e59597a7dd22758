"""Features are kept by importance, and the place only where it is of use: tried with gains made up here."""

import numpy as np
import pytest

from smalti.pixel.selection import PLACE_GAIN, most_important, selected
from smalti.pixel.trees import MAX_FEATURES


def by_number(wanted):
    """Features of high numbers gain most."""
    return np.array(wanted, float)


def test_the_most_important_ones_in_ascending_order():
    assert most_important([4, 1, 9, 3], 2, by_number) == [4, 9]
    assert most_important([4, 1], 5, by_number) == [1, 4]


@pytest.mark.parametrize("count", [MAX_FEATURES + 1, 3 * MAX_FEATURES + 5])
def test_more_than_trees_can_take_at_once(count):
    asked = []

    def gains(wanted):
        asked.append(len(wanted))
        return by_number(wanted)

    kept = most_important(list(range(count)), 10, gains)
    assert kept == list(range(count - 10, count))
    assert max(asked) <= MAX_FEATURES


@pytest.mark.parametrize(("gain", "kept"), [(2 * PLACE_GAIN, [0, 1, 2, 3]), (PLACE_GAIN / 2, [0, 1])])
def test_the_place_is_kept_where_unseen_images_gain_by_it(gain, kept):
    families = ["gaussian", "hessian", "position", "position"]
    found = selected(families, 99, True, by_number, lambda wanted: 0.5 + gain * (2 in wanted))
    assert found == kept
    assert selected(families, 99, False, by_number, lambda wanted: 0.0) == [0, 1, 2, 3]
    if 2 in kept:
        assert selected(families, 2, True, by_number, lambda wanted: 0.5 + gain * (2 in wanted)) == [2, 3]
