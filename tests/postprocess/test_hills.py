"""Hills of a height map against the markers and the watershed they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import InputError
from smalti.postprocess.flooding import depth_markers, watershed
from smalti.postprocess.hills import part_hills


def test_shallow_hill_goes_as_a_whole_to_the_one_beyond_its_pass():
    height = np.array([9, 4, 5, 4, 2, 7, 1])
    assert part_hills(height, 0).tolist() == [1, 1, 2, 2, 3, 3, 3]
    assert part_hills(height, 1).tolist() == [1, 1, 1, 1, 2, 2, 2]
    assert part_hills(height, 5).tolist() == [1] * 7


def test_pieces_of_the_mask_have_a_hill_each():
    mask = np.array([True, True, False, True, False])
    assert part_hills(np.zeros(5), 3, mask).tolist() == [1, 1, 0, 2, 0]
    assert part_hills(np.zeros((4, 5)), 0, np.zeros((4, 5), bool)).max() == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(30,), (11, 13), (5, 6, 7)]), st.booleans())
def test_summits_are_those_of_depth_markers(seed, shape, whole):
    rng = np.random.default_rng(seed)
    height = rng.integers(0, 5, shape) if whole else rng.random(shape).astype(np.float32)
    mask = rng.random(shape) < 0.9
    depth = float(rng.choice([0.1, 0.3, 1.0, 2.0]))
    connectivity = int(rng.integers(1, len(shape) + 1))
    hills = part_hills(height, depth, mask, connectivity)
    markers = depth_markers(height, depth, mask, connectivity)
    assert np.array_equal(hills[markers > 0], markers[markers > 0])
    assert hills.max() == markers.max()
    assert np.array_equal(hills > 0, mask)


def test_parts_are_those_of_the_watershed_where_every_hill_stays():
    rng = np.random.default_rng(3)
    height = rng.random((20, 30)).astype(np.float32)
    markers = depth_markers(height, 0)
    assert np.array_equal(part_hills(height, 0), watershed(-height, markers))


@pytest.mark.parametrize(
    ("height", "settings"),
    [
        (np.array([[1.0, np.nan]]), {"min_depth": 0}),
        (np.array([[1.0, np.inf]]), {"min_depth": 0}),
        (np.zeros((3, 3)), {"min_depth": -1}),
        (np.zeros((3, 3)), {"min_depth": 0, "connectivity": 3}),
        (np.zeros((3, 3)), {"min_depth": 0, "mask": np.ones((3, 2), bool)}),
    ],
)
def test_what_cannot_be_parted_is_refused(height, settings):
    with pytest.raises(InputError):
        part_hills(height, **settings)
