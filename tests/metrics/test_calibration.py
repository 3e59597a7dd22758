"""Calibration: curves whose answer is known, and sums that add up over images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from smalti.errors import InputError
from smalti.metrics.calibration import (
    Calibration,
    brier_score,
    dense_brier_score,
    dense_reliability,
    reliability,
)
from smalti.metrics.pair import Pair
from smalti.segmentation import Segmentation


def test_a_curve_by_hand():
    curve = reliability(np.array([0.1, 0.2, 0.9, 0.7]), np.array([False, True, True, True]), bins=2)
    assert curve.count.tolist() == [2, 2]
    assert np.allclose(curve.mean_score, [0.15, 0.8])
    assert curve.share_right.tolist() == [0.5, 1]
    assert curve.ece == pytest.approx((0.35 + 0.2) / 2)
    assert curve.mce == pytest.approx(0.35)


def test_edges_belong_to_the_bin_below_and_nought_to_the_first():
    scores = np.array([0.0, 0.5, 0.5000001, 1.0])
    assert reliability(scores, np.ones(4, bool), bins=2).count.tolist() == [2, 2]


def test_bins_of_equal_mass_hold_as_many_each():
    scores = np.array([0.90, 0.91, 0.92, 0.93, 0.94, 0.99])
    right = np.array([True, False, True, True, True, True])
    assert reliability(scores, right, 3).count.tolist() == [0, 0, 6]
    curve = reliability(scores, right, 3, by="mass")
    assert curve.count.tolist() == [2, 2, 2]
    assert curve.share_right.tolist() == [0.5, 1, 1]
    assert curve.ece > reliability(scores, right, 3).ece


@pytest.mark.parametrize("by", ["width", "mass"])
def test_scores_that_are_the_chance_of_being_right_are_calibrated(by):
    rng = np.random.default_rng(0)
    scores = rng.random(200_000)
    right = rng.random(200_000) < scores
    assert reliability(scores, right, by=by).ece < 0.01
    too_sure = reliability(np.sqrt(scores), right, by=by)
    assert too_sure.ece == pytest.approx(2 / 3 - 1 / 2, abs=0.01)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_errors_lie_between_nought_and_one_and_the_mean_below_the_largest(seed, bins):
    rng = np.random.default_rng(seed)
    scores, right = rng.random(50).round(1), rng.random(50) < 0.5
    for by in ("width", "mass"):
        curve = reliability(scores, right, bins, by)
        assert curve.count.sum() == 50
        assert 0 <= curve.ece <= curve.mce + 1e-12 <= 1 + 1e-12
    assert brier_score(scores, right) == pytest.approx(brier_score_loss(right, scores))


def test_no_score_has_no_error():
    curve = reliability(np.array([]), np.array([], bool))
    assert np.isnan(curve.ece)
    assert np.isnan(curve.mce)
    assert np.isnan(brier_score(np.array([]), np.array([], bool)))


def test_dense_probabilities_are_judged_by_their_likeliest_class():
    probabilities = np.array([[[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]])
    truth = np.array([[0, 2, 255]])
    void = truth == 255
    curve = dense_reliability(probabilities, truth, void, bins=1)
    assert (curve.count[0], curve.share_right[0]) == (2, 0.5)
    assert curve.mean_score[0] == pytest.approx(0.65)
    wanted = (0.3**2 + 0.2**2 + 0.1**2 + 0.1**2 + 0.6**2 + 0.7**2) / 2
    assert dense_brier_score(probabilities, truth, void) == pytest.approx(wanted)
    with pytest.raises(InputError, match=r"0\.\.2"):
        dense_reliability(probabilities, truth)


def test_segments_without_a_partner_are_wrong_and_excused_ones_are_not_asked():
    void = np.zeros((1, 12), bool)
    void[0, 8:] = True
    truth = Segmentation.from_labels(np.array([[1, 1, 1, 0, 2, 2, 0, 0, 0, 0, 0, 0]]), void=void)
    labels = np.array([[1, 1, 1, 2, 0, 0, 0, 0, 3, 3, 3, 3]])
    predicted = Segmentation.from_labels(labels, scores=[0.8, 0.3, 0.9])
    metric = Calibration(bins=2)
    kept = metric.keep(Pair(truth, predicted))
    curve = metric.curve(kept)
    assert curve.count.tolist() == [1, 1]
    assert curve.share_right.tolist() == [0, 1]
    scores = metric.of_totals(kept[None])
    assert scores["ece"][0] == pytest.approx((0.3 + 0.2) / 2)
    assert scores["mce"][0] == pytest.approx(0.3)
    assert scores["brier"][0] == pytest.approx((0.3**2 + 0.2**2) / 2)


def test_sums_of_images_give_the_curve_of_all_their_segments():
    rng = np.random.default_rng(1)
    metric, kept, scores, right = Calibration(), [], [], []
    for _ in range(20):
        labels = np.arange(1, 7)[None].repeat(2, axis=0)
        score, there = rng.random(6), rng.random(6) < 0.6
        truth = Segmentation.from_labels(labels * there)
        kept.append(metric.keep(Pair(truth, Segmentation.from_labels(labels, scores=score))))
        scores.append(score)
        right.append(there)
    pooled = reliability(np.concatenate(scores), np.concatenate(right))
    found = metric.score(kept, np.ones((1, 20)))
    assert found["ece"][0] == pytest.approx(pooled.ece)
    assert found["mce"][0] == pytest.approx(pooled.mce)
    assert found["brier"][0] == pytest.approx(brier_score(np.concatenate(scores), np.concatenate(right)))
    nothing = metric.score(kept, np.zeros((1, 20)))
    assert all(np.isnan(values[0]) for values in nothing.values())


@pytest.mark.parametrize(
    ("scores", "right"),
    [([0.5, np.nan], [True, False]), ([1.1], [True]), ([0.5], [1]), ([0.5], [True, False])],
)
def test_what_is_no_score_is_refused(scores, right):
    with pytest.raises(InputError):
        reliability(np.array(scores), np.array(right))


def test_bins_and_their_kind_are_checked():
    with pytest.raises(InputError, match="bins"):
        Calibration(bins=0)
    with pytest.raises(InputError, match="width"):
        reliability(np.array([0.5]), np.array([True]), by="rank")
