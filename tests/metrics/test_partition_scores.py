"""Rand, information and covering: scikit-image's and scikit-learn's numbers kept, and their definitions written out."""

import importlib.util
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat
from scipy.ndimage import label

from smalti.errors import InputError
from smalti.metrics.pair import Pair
from smalti.metrics.partition import (
    Contingency,
    Partition,
    adapted_rand,
    adjusted_rand_index,
    covering,
    probabilistic_rand_index,
    rand_index,
    variation_of_information,
)
from smalti.segmentation import Segmentation

GOLDEN = Path(__file__).parents[1] / "golden"
OFFICIAL_ROWS = {"100007": 1, "107014": 16, "123057": 31, "147077": 46, "163096": 61, "189029": 76}


def maker():
    spec = importlib.util.spec_from_file_location("make_partition", GOLDEN / "make_partition.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = maker()
KEPT = json.loads((GOLDEN / "partition.json").read_text(encoding="utf-8"))["cases"]


def segments(*rows, void=None):
    return Segmentation.from_labels(np.array(rows), void=None if void is None else np.array(void, bool))


def both(case):
    return [Segmentation.from_labels(labels) for labels in MAKER.label_maps(**MAKER.CASES[case])]


SMALL = st.lists(st.integers(0, 3), min_size=12, max_size=12).map(lambda row: np.array(row).reshape(3, 4))


def of_all_pairs(truth, predicted):
    """Pairs of pixels together on both sides, in truth, in the prediction, and on which the sides agree."""
    counts = np.zeros(4, int)
    for one, other in combinations(range(truth.size), 2):
        near, found = (side.flat[one] == side.flat[other] for side in (truth, predicted))
        counts += [near and found, near, found, near == found]
    return counts


def test_every_golden_case_is_tried():
    assert KEPT.keys() == MAKER.CASES.keys()


@pytest.mark.parametrize("background", ["region", "truth_ignored"])
@pytest.mark.parametrize("case", KEPT)
def test_adapted_rand_and_information_as_scikit_image_has_them(case, background):
    truth, predicted = both(case)
    kept = KEPT[case][background]
    found = adapted_rand(truth, predicted, background)
    assert [found.error, found.recall, found.precision] == pytest.approx(kept["adapted_rand"], abs=1e-12)
    assert variation_of_information(truth, predicted, background) == pytest.approx(kept["vi"], abs=1e-12)


@pytest.mark.parametrize("case", KEPT)
def test_rand_indices_as_scikit_learn_has_them(case):
    assert rand_index(*both(case)) == pytest.approx(KEPT[case]["rand_index"], abs=1e-12)
    assert adjusted_rand_index(*both(case)) == pytest.approx(KEPT[case]["ari"], abs=1e-12)


@given(SMALL, SMALL)
def test_rand_scores_count_pairs_of_pixels(truth, predicted):
    sides = Segmentation.from_labels(truth), Segmentation.from_labels(predicted)
    together, near, found, agree = of_all_pairs(truth, predicted)
    scores = adapted_rand(*sides)
    assert scores.f == pytest.approx(2 * together / (near + found) if near + found else 1)
    assert scores.precision == pytest.approx(together / found if found else 1)
    assert scores.recall == pytest.approx(together / near if near else 1)
    assert rand_index(*sides) == pytest.approx(agree / 66)


@given(SMALL, SMALL)
def test_the_other_way_round_swaps_what_has_a_direction(truth, predicted):
    one, other = Segmentation.from_labels(truth), Segmentation.from_labels(predicted)
    there, back = variation_of_information(one, other), variation_of_information(other, one)
    assert (there.split, there.merge) == pytest.approx((back.merge, back.split))
    assert adapted_rand(one, other).precision == pytest.approx(adapted_rand(other, one).recall)
    assert adjusted_rand_index(one, other) == pytest.approx(adjusted_rand_index(other, one))
    assert adjusted_rand_index(one, other) >= -0.5


@given(SMALL)
def test_the_same_regions_are_perfect(labels):
    again = Segmentation.from_labels(np.array([2, 4, 1, 3])[labels])
    found = Partition().of_totals(Partition().keep(Pair(again, again))[None])
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {s.name: 0.0 if s.better == "lower" else 1.0 for s in Partition.scores}
    )


def test_halves_cost_a_bit_of_split_and_of_merge_the_other_way_round():
    whole, halves = segments([1, 1, 1, 1]), segments([1, 1, 2, 2])
    assert variation_of_information(whole, halves) == (1, 0)
    assert variation_of_information(halves, whole) == (0, 1)
    assert variation_of_information(whole, halves).total == 1


def test_background_is_a_region_is_ignored_in_truth_or_on_both_sides():
    truth, predicted = segments([0, 0, 1, 1, 1, 1]), segments([1, 1, 1, 1, 0, 0])
    assert Contingency.of(truth, predicted, "region").total == 6
    assert Contingency.of(truth, predicted, "truth_ignored").total == 4
    assert Contingency.of(truth, predicted, "ignored").total == 2
    assert adapted_rand(truth, predicted, "region").recall == pytest.approx(3 / 7)
    assert adapted_rand(truth, predicted, "truth_ignored").recall == pytest.approx(2 / 6)
    assert adapted_rand(truth, predicted, "ignored").recall == 1
    with pytest.raises(InputError, match="background"):
        rand_index(truth, predicted, "none")


@pytest.mark.parametrize("background", ["region", "truth_ignored", "ignored"])
def test_void_pixels_of_either_side_count_for_neither(background):
    truth = segments([1, 1, 2, 2, 0, 1], void=[[0, 0, 0, 0, 0, 1]])
    predicted = segments([1, 1, 2, 2, 0, 2])
    assert Contingency.of(truth, predicted, background).total == (5 if background == "region" else 4)
    assert variation_of_information(truth, predicted, background).total == 0
    assert covering(truth, predicted, background) == 1


def test_nothing_to_count_contradicts_nothing_and_is_no_image_of_the_metric():
    nothing = segments([0, 0, 0])
    assert adapted_rand(nothing, nothing, "ignored") == (1, 1, 1)
    assert variation_of_information(nothing, nothing, "ignored") == (0, 0)
    assert covering(nothing, nothing, "ignored") == rand_index(nothing, nothing, "ignored") == 1
    metric = Partition("ignored")
    kept = [metric.keep(Pair(nothing, nothing)), metric.keep(Pair(segments([1, 1, 2]), segments([1, 1, 1])))]
    found = metric.score(kept, np.array([[1, 1], [1, 0], [0, 2]]))
    assert found["vi"] == pytest.approx([found["vi"][2], np.nan, found["vi"][2]], nan_ok=True)
    assert found["covering"] == pytest.approx([5 / 9, np.nan, 5 / 9], nan_ok=True)


def test_overlapping_segments_are_no_partition():
    masks = np.array([[[1, 1, 0]], [[0, 1, 1]]], bool)
    twice, once = Segmentation.from_masks(masks), segments([1, 1, 2])
    for sides in ((twice, once), (once, twice)):
        with pytest.raises(InputError, match="overlap"):
            rand_index(*sides)
        with pytest.raises(InputError, match="overlap"):
            Partition().keep(Pair(*sides))


def test_covering_of_several_annotators_is_a_mean_over_all_their_pixels():
    predicted = segments([1, 1, 1, 1])
    halves, whole = segments([1, 1, 2, 2]), segments([1, 1, 1, 0])
    assert covering(halves, predicted) == 0.5
    assert covering([halves, whole], predicted, "ignored") == pytest.approx((4 * 0.5 + 3 * 1.0) / 7)
    with pytest.raises(InputError, match="at least one"):
        covering([], predicted)


def test_probabilistic_rand_index_by_the_share_of_annotators_who_join_two_pixels():
    rng = np.random.default_rng(3)
    truths, predicted = rng.integers(1, 4, (5, 3, 4)), rng.integers(1, 4, (3, 4))
    total = 0.0
    for one, other in combinations(range(12), 2):
        joined = np.mean([truth.flat[one] == truth.flat[other] for truth in truths])
        total += joined if predicted.flat[one] == predicted.flat[other] else 1 - joined
    sides = [Segmentation.from_labels(truth) for truth in truths]
    found = probabilistic_rand_index(sides, Segmentation.from_labels(predicted))
    assert found == pytest.approx(total / 66)


def test_the_metric_is_a_mean_over_images_and_covering_one_over_pixels():
    pairs = [Pair(*both(case)) for case in ("moved", "split", "unrelated", "volume")]
    metric = Partition()
    kept = [metric.keep(pair) for pair in pairs]
    found = metric.score(kept, np.array([[1, 1, 1, 1], [0, 2, 1, 0]]))
    assert found.keys() == {score.name for score in metric.scores}
    each = [adjusted_rand_index(pair.truth, pair.predicted) for pair in pairs]
    assert found["ari"] == pytest.approx([np.mean(each), (2 * each[1] + each[2]) / 3])
    best = [covering(pair.truth, pair.predicted) * pair.table.size for pair in pairs]
    sizes = [pair.table.size for pair in pairs]
    assert found["covering"][0] == pytest.approx(sum(best) / sum(sizes))
    assert found["vi"] == pytest.approx(found["vi_split"] + found["vi_merge"])


@pytest.mark.realdata
@pytest.mark.parametrize("name", OFFICIAL_ROWS)
def test_the_published_covering_of_gpb_owt_ucm(data_dir, name):
    """To six digits, in which the benchmark keeps the sums and the quotient."""
    folder = data_dir / "bsds500"
    ucm = loadmat(folder / "ucm2" / "test" / f"{name}.mat")["ucm2"]
    records = loadmat(folder / "groundTruth" / "test" / f"{name}.mat")["groundTruth"].reshape(-1)
    truths = [Segmentation.from_labels(record["Segmentation"][0, 0]) for record in records]
    row = np.loadtxt(folder / "ucm2" / "test_eval" / "eval_cover_img.txt")[OFFICIAL_ROWS[name] - 1]
    regions = Segmentation.from_labels(label(ucm <= row[1])[0][1::2, 1::2])
    assert covering(truths, regions) == pytest.approx(row[2], abs=2e-6)
