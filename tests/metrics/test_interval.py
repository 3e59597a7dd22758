"""Intervals: what is drawn, what scipy gives, how often they hold the truth, and what two models differ by."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, permutation_test

from smalti.classes import ClassSet
from smalti.errors import InputError
from smalti.metrics.interval import BLOCK_BYTES, compare, images_needed, interval, resamples
from smalti.metrics.metric import Additive, Metric, Score
from smalti.metrics.panoptic import Panoptic

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


class Mean(Additive):
    """The mean of a number of each image; what is kept is the number and a one."""

    name, headline = "mean", "mean"
    scores = (Score("mean", "mean"),)

    def keep(self, pair):
        raise NotImplementedError

    def of_totals(self, totals):
        with np.errstate(invalid="ignore"):
            return {"mean": totals[..., 0] / totals[..., 1]}


class Middle(Metric):
    """The weighted median, which no sum gives."""

    name, headline = "middle", "middle"
    scores = (Score("middle", "median"),)

    def keep(self, pair):
        raise NotImplementedError

    def score(self, kept: Sequence[float], weights: np.ndarray):
        order = np.argsort(kept)
        share = np.cumsum(weights[:, order], axis=1)
        return {"middle": np.asarray(kept)[order][(share >= share[:, -1:] / 2).argmax(axis=1)]}


def of(values):
    return [np.array([value, 1.0]) for value in values]


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 1000))
def test_as_many_are_drawn_as_there_are(n, group, seed):
    weights = resamples(n, count=20, seed=seed)
    assert weights.shape == (20, n)
    assert (weights.sum(axis=1) == n).all()
    names = [f"patient {k // group}" for k in range(n)]
    weights = resamples(n, names, count=20, seed=seed)
    first = np.arange(0, n, group)
    assert (weights == np.repeat(weights[:, first], group, axis=1)[:, :n]).all()
    assert (weights[:, first].sum(axis=1) == len(first)).all()


def test_the_same_seed_draws_the_same_however_many_follow():
    assert np.array_equal(resamples(7, count=50, seed=3), resamples(7, count=90, seed=3)[:50])
    assert not np.array_equal(resamples(7, count=50, seed=3), resamples(7, count=50, seed=4))


def test_blocks_of_weights_do_not_change_the_interval(monkeypatch):
    kept = of(np.random.default_rng(0).random(40))
    whole = interval(Mean(), kept)["mean"]
    monkeypatch.setattr("smalti.metrics.interval.BLOCK_BYTES", 8 * 40 * 7)
    in_blocks = interval(Mean(), kept)["mean"]
    assert BLOCK_BYTES > 8 * 40 * 1000
    assert (whole.low, whole.high) == (in_blocks.low, in_blocks.high)


@pytest.mark.parametrize(("method", "theirs"), [("percentile", "percentile"), ("bca", "BCa")])
def test_as_scipy_has_it(method, theirs):
    values = np.random.default_rng(1).exponential(size=60)
    ours = interval(Mean(), of(values), count=20_000, method=method, widened=False)["mean"]
    peer = bootstrap((values,), np.mean, n_resamples=20_000, method=theirs, rng=0).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert [ours.low, ours.high] == pytest.approx([peer.low, peer.high], abs=0.02 * values.std())


def test_widening_matters_for_few_and_not_for_many():
    values = np.random.default_rng(2).normal(size=1000)
    for n, least, most in ((10, 1.15, 1.4), (1000, 0.99, 1.01)):
        wide, narrow = (
            interval(Mean(), of(values[:n]), widened=w, method="percentile")["mean"] for w in (True, False)
        )
        assert least < (wide.high - wide.low) / (narrow.high - narrow.low) < most


def test_images_of_a_group_count_as_one():
    rng = np.random.default_rng(3)
    patients = rng.normal(size=30)
    once = interval(Mean(), of(patients))["mean"]
    tenfold, names = of(patients.repeat(10)), np.arange(30).repeat(10)
    grouped = interval(Mean(), tenfold, names)["mean"]
    assert grouped.low == pytest.approx(once.low)
    assert grouped.high == pytest.approx(once.high)
    assert (grouped.unit, grouped.drawn) == ("group", 30)
    alone = interval(Mean(), tenfold)["mean"]
    assert (grouped.high - grouped.low) > 2 * (alone.high - alone.low)


def test_metrics_that_no_sum_gives_are_drawn_by_group_too():
    rng = np.random.default_rng(4)
    values, names = rng.normal(size=40), np.arange(40) // 4
    found = interval(Middle(), values.tolist(), names, method="percentile", widened=False)["middle"]
    drawn = Middle().score(values, resamples(40, names))["middle"]
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_a_score_per_class_has_an_interval_per_class_and_a_missing_class_none():
    metric = Panoptic(ClassSet.from_names(["cell", "debris", "worm"]))
    rng = np.random.default_rng(5)
    found = rng.binomial(5, 0.7, (30, 3)) * [1, 1, 0]
    found[:, 1] *= np.arange(30) == 0  # debris is in one image only
    missed = rng.binomial(2, 0.4, (30, 3)) * [1, 0, 0]
    kept = np.concatenate([0.8 * found, found, missed, np.zeros((30, 3))], axis=1)
    pq = interval(metric, kept)["pq_of_class"]
    assert pq.low.shape == (3,)
    assert pq.low[0] < pq.value[0] < pq.high[0]
    assert pq.value[1] == pytest.approx(pq.low[1]) == pytest.approx(pq.high[1])
    assert 0.5 < pq.exists[1] < 0.75
    assert np.isnan([pq.value[2], pq.low[2], pq.high[2]]).all()
    assert (pq.exists[0], pq.exists[2]) == (1, 0)


def test_the_ends_hold_the_value_and_a_higher_level_is_wider():
    kept = of(np.random.default_rng(6).exponential(size=25))
    narrow, wide = (interval(Mean(), kept, level=level)["mean"] for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_one_image_has_no_interval_and_few_groups_are_told():
    one = interval(Mean(), of([0.5]))["mean"]
    assert one.value == 0.5
    assert np.isnan([one.low, one.high]).all()
    assert "one image" in one.note
    few = interval(Mean(), of(range(40)), np.arange(40) // 10)["mean"]
    assert "only 4 groups" in few.note
    assert interval(Mean(), of(range(10)))["mean"].note == ""


def test_infinite_scores_do_not_become_nan():
    found = interval(Middle(), [1.0, 2.0, 3.0, np.inf, np.inf, np.inf], method="percentile")["middle"]
    assert found.value == 3
    assert found.high == np.inf
    assert found.low >= 1


def test_the_difference_of_two_models_is_that_of_their_scores():
    rng = np.random.default_rng(7)
    hard = rng.normal(size=50)
    first, second = hard + rng.normal(0, 0.1, 50), hard + 0.2 + rng.normal(0, 0.1, 50)
    found = compare(Mean(), of(first), of(second))["mean"]
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert (found.first, found.second) == (pytest.approx(first.mean()), pytest.approx(second.mean()))
    assert found.low > 0
    assert found.p == pytest.approx(1 / 1001)
    assert found.more_needed == 0
    # Each by itself is far less certain than the difference: the images are hard for both.
    alone = interval(Mean(), of(first))["mean"]
    assert alone.high - alone.low > 3 * (found.high - found.low)
    back = compare(Mean(), of(second), of(first))["mean"]
    assert (back.value, back.p) == (pytest.approx(-found.value), found.p)


def test_all_swaps_are_tried_where_they_are_few_as_scipy_does():
    first, second = np.array([1.0, 2, 3, 4, 5, 6]), np.array([1.5, 2.1, 2.9, 4.8, 5.2, 6.9])
    found = compare(Mean(), of(first), of(second))["mean"]

    def difference(x, y, axis):
        return np.mean(y - x, axis=axis)

    peer = permutation_test((first, second), difference, permutation_type="samples", n_resamples=np.inf)
    assert found.p == pytest.approx(peer.pvalue)
    names = np.arange(12) // 2
    grouped = compare(Mean(), of(first.repeat(2)), of(second.repeat(2)), names)["mean"]
    assert grouped.p == pytest.approx(found.p)


def test_metrics_that_no_sum_gives_can_be_compared():
    rng = np.random.default_rng(8)
    first = rng.normal(size=60)
    found = compare(Middle(), first.tolist(), (first + 1).tolist(), np.arange(60) // 3)["middle"]
    assert found.value == pytest.approx(1)
    assert found.p < 0.01
    assert found.low > 0


def test_the_same_model_does_not_differ_from_itself():
    kept = of(np.random.default_rng(9).random(30))
    found = compare(Mean(), kept, kept)["mean"]
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert found.more_needed == np.inf


def test_p_is_even_where_nothing_differs():
    rng = np.random.default_rng(10)
    below = 0
    for draw in range(200):
        first, second = rng.exponential(size=(2, 15))
        below += compare(Mean(), of(first), of(second), count=200, seed=draw)["mean"].p <= 0.1
    assert 8 <= below <= 34  # 20 wanted; the ends are 3 standard deviations away


def test_so_many_images_settle_the_sign_as_often_as_said():
    rng = np.random.default_rng(11)
    effect, n = 0.3, 20
    more = images_needed(np.array(effect), np.array(1 / np.sqrt(n)), n)
    total = n + int(more)
    settled = 0
    for draw in range(200):
        first = rng.normal(size=total)
        second = first + rng.normal(effect, 1, total)
        settled += compare(Mean(), of(first), of(second), count=200, seed=draw)["mean"].low > 0
    assert settled / 200 == pytest.approx(0.8, abs=0.09)


def test_images_needed_by_hand():
    more = images_needed(np.array([0.1, 0.0, np.nan, 5.0]), np.array([0.1, 0.1, 0.1, 0.1]), 100)
    assert more[0] == np.ceil(100 * (1.959964 + 0.841621) ** 2 - 100)
    assert more[1] == np.inf
    assert np.isnan(more[2])
    assert more[3] == 1


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (0, {}, "no image"),
        (3, {"level": 95}, "level"),
        (3, {"count": 5}, "count"),
        (3, {"method": "student"}, "method"),
        (3, {"groups": ["a", "b"]}, "groups"),
    ],
)
def test_what_cannot_be_drawn_is_refused(images, settings, message):
    with pytest.raises(InputError, match=message):
        interval(Mean(), of(range(images)), **settings)


def test_two_models_need_as_many_images():
    with pytest.raises(InputError, match="same images"):
        compare(Mean(), of([1, 2]), of([1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "world", ["pq", "pq-of-classes", "pq-groups-of-5", "mean-dice", "mean-dice-groups-of-5"]
)
def test_the_interval_holds_the_truth_as_often_as_it_says(world, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from interval_coverage import WORLDS, coverage

    assert 0.93 <= coverage(WORLDS[world], 200, draws=500) <= 0.97
