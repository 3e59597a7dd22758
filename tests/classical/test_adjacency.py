"""Which regions touch, and how they merge."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.classical.adjacency import merge_close, merge_small, neighbour_pairs, region_means

LABELS = np.array([[1, 1, 2, 2], [1, 3, 3, 2], [4, 4, 4, 4]])


def values_of(labels: np.ndarray, of: list[float]) -> np.ndarray:
    return np.array(of, float)[labels - 1][..., np.newaxis]


def test_neighbours_share_an_edge_and_are_named_once():
    assert neighbour_pairs(LABELS).tolist() == [[1, 2], [1, 3], [1, 4], [2, 3], [2, 4], [3, 4]]
    assert neighbour_pairs(np.array([[1, 2], [3, 1]])).tolist() == [[1, 2], [1, 3]]
    assert neighbour_pairs(np.array([[5]])).shape == (0, 2)
    assert neighbour_pairs(np.array([[[1]], [[2]]])).tolist() == [[1, 2]]


def test_means_and_areas_of_regions():
    areas, means = region_means(LABELS, np.arange(12.0).reshape(3, 4, 1))
    assert areas.tolist() == [0, 3, 3, 2, 4]
    assert means[1:, 0].tolist() == [(0 + 1 + 4) / 3, (2 + 3 + 7) / 3, 5.5, 9.5]


@pytest.mark.parametrize(
    ("distance", "merged"),
    [
        (0, [[1, 1, 2, 2], [1, 3, 3, 2], [4, 4, 4, 4]]),
        (1, [[1, 1, 1, 1], [1, 2, 2, 1], [3, 3, 3, 3]]),
        (99, [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]),
    ],
)
def test_close_neighbours_merge(distance, merged):
    assert merge_close(LABELS, values_of(LABELS, [10, 11, 20, 30]), distance).tolist() == merged


def test_merged_regions_take_their_common_mean():
    """1 and 2 merge to 0.5, from which 1.6 is too far though it is near 1."""
    labels = np.array([[1, 2, 3]])
    assert merge_close(labels, values_of(labels, [0, 1, 2.1]), 1.05).tolist() == [[1, 1, 2]]


def test_what_comes_near_by_merging_merges_too():
    """2 and 3 merge to 10, and only that is near enough to 1."""
    labels = np.array([[1, 2, 3]])
    assert merge_close(labels, values_of(labels, [7, 11, 9]), 3.5).tolist() == [[1, 1, 1]]


def test_a_long_row_of_equals_is_one_region():
    labels = np.arange(1, 20_001).reshape(100, 200)
    assert merge_close(labels, np.zeros((100, 200, 1)), 0).max() == 1


def test_no_neighbours_are_left_closer_than_asked():
    rng = np.random.default_rng(0)
    labels = np.arange(1, 401).reshape(20, 20)
    values = rng.random((20, 20, 3))
    merged = merge_close(labels, values, 0.4)
    _, means = region_means(merged, values)
    one, other = neighbour_pairs(merged).T
    assert (np.linalg.norm(means[one] - means[other], axis=1) > 0.4).all()


def test_small_regions_join_the_nearest_in_value():
    merged = merge_small(LABELS, values_of(LABELS, [10, 40, 30, 70]), 3)
    assert merged.tolist() == [[1, 1, 2, 2], [1, 2, 2, 2], [3, 3, 3, 3]]


def test_small_regions_join_each_other_until_large_enough():
    labels = np.arange(1, 10).reshape(3, 3)
    merged = merge_small(labels, np.arange(9.0).reshape(3, 3, 1), 3)
    assert np.bincount(merged.ravel())[1:].min() >= 3


def test_an_image_smaller_than_asked_stays():
    assert merge_small(np.array([[1, 1]]), np.zeros((1, 2, 1)), 50).tolist() == [[1, 1]]


def test_more_regions_than_the_root_of_what_int32_holds():
    values = np.random.default_rng(0).integers(0, 4, (400, 400, 1)).astype(float)
    labels = np.arange(1, 400 * 400 + 1, dtype=np.int32).reshape(400, 400)
    merged = merge_small(labels, values, 4)
    assert np.bincount(merged.reshape(-1))[1:].min() >= 4
