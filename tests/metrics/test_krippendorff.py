"""Krippendorff's alpha against the worked example of its author."""

import numpy as np
import pytest

from smalti.metrics.krippendorff import coincidences, krippendorff_alpha

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units, 0: missing
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)
VOTES = np.stack([(label == OBSERVERS).sum(axis=0) for label in range(1, 6)], axis=1)


def test_the_example_of_its_author():
    assert krippendorff_alpha(coincidences(VOTES)) == pytest.approx(0.743, abs=5e-4)


def test_counts_stand_for_repeated_units():
    counts = np.arange(1, 13)
    assert np.allclose(coincidences(VOTES, counts), coincidences(np.repeat(VOTES, counts, axis=0)))


def test_ends_of_the_scale():
    assert krippendorff_alpha(coincidences(np.array([[3, 0], [0, 3]]))) == 1
    assert krippendorff_alpha(coincidences(np.array([[1, 1], [1, 1]]))) < 0
    assert np.isnan(krippendorff_alpha(coincidences(np.array([[3, 0], [2, 0]]))))
    assert np.isnan(krippendorff_alpha(coincidences(np.array([[1, 0], [0, 1]]))))
    rng = np.random.default_rng(0)
    by_chance = np.stack([np.bincount(row, minlength=3) for row in rng.integers(0, 3, (20_000, 4))])
    assert abs(krippendorff_alpha(coincidences(by_chance))) < 0.01
