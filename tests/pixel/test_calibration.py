"""Probabilities that are wrong in a known way are put right."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.pixel.calibration import Calibration, calibrate, decision_weights, mean_iou, target_ious


def sharpened(count=20_000, kinds=3, power=3.0, seed=0):
    """Probabilities (N, K), the same too sure by ``power``, and what happened (N,)."""
    generator = np.random.default_rng(seed)
    right = generator.dirichlet(np.full(kinds, 1.2), count)
    happened = (generator.random((count, 1)) > right.cumsum(1)).sum(1)
    wrong = right**power
    return right, (wrong / wrong.sum(1, keepdims=True)).astype(np.float32), happened


def gap(probabilities, happened):
    """How far the mean probability of a class lies from its frequency, the mean over tenths of the pixels."""
    apart = []
    for number in range(probabilities.shape[1]):
        order = np.argsort(probabilities[:, number])
        for part in np.array_split(order, 10):
            apart.append(abs(probabilities[part, number].mean() - (happened[part] == number).mean()))
    return np.mean(apart)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_probabilities_that_are_too_sure_are_put_right(kind):
    _, wrong, happened = sharpened()
    calibration = calibrate(kind, wrong, happened, np.ones(len(happened)))
    _, fresh, later = sharpened(seed=1)
    found = calibration.apply(fresh.T).T
    assert found.dtype == np.float32
    assert found.sum(1) == pytest.approx(1, abs=1e-5)
    assert gap(fresh, later) > 0.06
    assert gap(found, later) < 0.02


def test_the_temperature_is_the_power_that_was_taken():
    right, wrong, happened = sharpened(power=2.5)
    calibration = calibrate("temperature", wrong, happened, np.ones(len(happened)))
    assert calibration.temperature == pytest.approx(2.5, rel=0.05)
    assert np.abs(calibration.apply(wrong.T).T - right).max() < 0.02


def test_isotonic_curves_rise_and_meet_the_frequencies():
    _, wrong, happened = sharpened()
    calibration = calibrate("isotonic", wrong, happened, np.ones(len(happened)))
    for number, (x, y) in enumerate(calibration.knots):
        assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
        assert x[0] == 0 and x[-1] == 1 and y[0] >= 0 and y[-1] <= 1
        curve = np.interp(wrong[:, number], x, y)
        assert curve.mean() == pytest.approx((happened == number).mean(), abs=1e-3)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_weights_count_as_rows_do(kind):
    _, wrong, happened = sharpened(2000)
    times = np.random.default_rng(3).integers(1, 4, len(happened))
    weighted = calibrate(kind, wrong, happened, times.astype(float))
    again = calibrate(kind, np.repeat(wrong, times, 0), np.repeat(happened, times), np.ones(times.sum()))
    assert weighted.apply(wrong.T) == pytest.approx(again.apply(wrong.T), abs=0.01)


def test_nothing_is_learned_from_next_to_nothing():
    probabilities = np.full((19, 2), 0.5, np.float32)
    assert calibrate("isotonic", probabilities, np.zeros(19, int), np.ones(19)).kind == "none"
    assert calibrate("none", *sharpened()[1:], np.ones(20_000)).kind == "none"
    same = np.random.default_rng(0).random((2, 5, 6)).astype(np.float32)
    assert np.array_equal(Calibration().apply(same), same)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
@pytest.mark.parametrize("what", ["certain", "one class", "one value"])
def test_odd_probabilities(kind, what):
    generator = np.random.default_rng(0)
    happened = generator.integers(0, 2, 100) if what != "one class" else np.zeros(100, int)
    probabilities = np.eye(2, dtype=np.float32)[happened] if what != "one value" else np.full((100, 2), 0.5)
    calibration = calibrate(kind, probabilities.astype(np.float32), happened, np.ones(100))
    for asked in ([1, 0], [0, 1], [0.5, 0.5], [0.9, 0.1]):
        found = calibration.apply(np.array(asked, np.float32)[:, np.newaxis])
        assert np.isfinite(found).all() and (found >= 0).all()
        assert found.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kind", ["none", "temperature", "isotonic"])
def test_it_is_the_same_after_json(kind):
    _, wrong, happened = sharpened(3000)
    calibration = calibrate(kind, wrong, happened, np.ones(len(happened)))
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    planes = wrong.T.reshape(3, 50, 60)
    assert np.array_equal(again.apply(planes), calibration.apply(planes))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "platt"},
        {"temperature": 0},
        {"temperature": -1},
        {"knots": [[[0, 1], [0]]]},
        {"knots": [[[1, 0], [0, 1]]]},
        {"knots": [[[0, 1], [0, float("nan")]]]},
        {"knots": [[[], []]]},
        {"knots": 3},
    ],
)
def test_anything_else_is_refused(changes):
    with pytest.raises((ValueError, TypeError)):
        Calibration.from_json({"kind": "isotonic", "temperature": 1.0, "knots": []} | changes)


def test_target_ious():
    chosen, targets = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    assert target_ious(chosen, targets, np.ones(5), 3) == pytest.approx([1 / 3, 2 / 4, np.nan], nan_ok=True)
    weighted = target_ious(chosen, targets, np.array([2.0, 1, 1, 1, 1]), 3)
    assert weighted[0] == pytest.approx(2 / 4)
    assert mean_iou(chosen, targets, np.ones(5), 3) == pytest.approx(5 / 12)


def test_decision_weights_ask_for_a_rare_class_more_often():
    generator = np.random.default_rng(0)
    targets = (generator.random(5000) < 0.05).astype(int)
    said = np.clip(0.15 + 0.25 * targets + 0.1 * generator.normal(size=5000), 0.01, 0.99)
    probabilities = np.stack([1 - said, said], 1).astype(np.float32)
    factors = decision_weights(probabilities, targets, np.ones(5000))
    assert factors[1] > factors[0] and factors.max() == 1
    before, after = (
        mean_iou((probabilities * each).argmax(1), targets, np.ones(5000), 2)
        for each in (np.ones(2), factors)
    )
    assert after > before + 0.05


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 4, 8, 100]), st.integers(2, 5))
def test_decision_weights_never_lower_the_mean_iou(seed, levels, kinds):
    """Also where many probabilities are equal, as those of isotonic curves are."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(kinds, 60))
    probabilities = generator.integers(0, levels, (count, kinds)).astype(np.float32) + np.float32(0.01)
    probabilities /= probabilities.sum(1, keepdims=True)
    targets, weights = generator.integers(0, kinds, count), generator.uniform(0.1, 3, count)
    factors = decision_weights(probabilities, targets, weights)
    assert (factors > 0).all() and factors.max() == 1
    before, after = (
        mean_iou((probabilities * each).argmax(1), targets, weights, kinds)
        for each in (np.ones(kinds), factors)
    )
    assert after >= before - 1e-6
