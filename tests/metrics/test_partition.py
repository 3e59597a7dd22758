"""Scores of partitions against scikit-image's and a best match written out."""

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error, variation_of_information

from smalti.metrics.partition import partition_scores
from smalti.segmentation import Segmentation


def random_partitions(seed):
    rng = np.random.default_rng(seed)
    first = np.kron(rng.integers(1, 9, (4, 5)), np.ones((6, 6), int))
    second = np.roll(first, rng.integers(0, 4, 2), (0, 1))
    second[rng.random(second.shape) < 0.1] = 3
    return first, second


@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_image_has_them(seed):
    first, second = random_partitions(seed)
    found = partition_scores(Segmentation.from_labels(first), Segmentation.from_labels(second))
    assert found.vi == pytest.approx(sum(variation_of_information(first, second)))
    assert 1 - found.rand_f == pytest.approx(adapted_rand_error(first, second)[0])


def test_covering_by_the_best_partner_of_each_region():
    first, second = random_partitions(7)
    found = partition_scores(Segmentation.from_labels(first), Segmentation.from_labels(second))
    for one, other, covering in ((first, second, found.covering), (second, first, found.covered)):
        total = 0.0
        for label in np.unique(one):
            mask = one == label
            best = max((mask & (other == k)).sum() / (mask | (other == k)).sum() for k in np.unique(other))
            total += mask.sum() * best
        assert covering == pytest.approx(total / one.size)


def test_the_same_partition_is_perfect_whatever_its_numbers():
    labels = np.array([[1, 1, 2], [3, 3, 2]])
    again = np.array([[3, 3, 1], [2, 2, 1]])
    found = partition_scores(Segmentation.from_labels(labels), Segmentation.from_labels(again))
    assert (found.covering, found.covered, found.rand_f, found.vi) == (1, 1, 1, 0)


def test_only_what_both_sides_cut_up_counts():
    truth = Segmentation.from_labels(np.array([[1, 1, 2, 2, 0]]))
    other = Segmentation.from_labels(
        np.array([[0, 1, 2, 1, 1]]), void=np.array([[False] * 3 + [True, False]])
    )
    found = partition_scores(truth, other)
    assert (found.covering, found.rand_f, found.vi) == (1, 1, 0)
    nothing = Segmentation.from_labels(np.zeros((1, 5), int))
    assert partition_scores(truth, nothing).covering == 1
