"""Objects found, missed, split and merged, against StarDist, Cellpose and the definitions written out."""

import json
import runpy
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.metrics.instance import Instances, aggregated_jaccard, count_error, count_objects
from smalti.metrics.matching import THRESHOLDS, best_assignment, match_objects
from smalti.metrics.pair import Pair
from smalti.overlaps import overlap
from smalti.segmentation import Segmentation

GOLDEN = Path(__file__).parents[1] / "golden"
MADE = runpy.run_path(str(GOLDEN / "make_cells.py"))
KEPT = json.loads((GOLDEN / "cells.json").read_text())
CLASSES = ClassSet(
    [Class(7, "cell", (255, 0, 0)), Class(2, "debris", (0, 255, 0)), Class(4, "gel", (0, 0, 255), False)]
)


def of(labels, class_ids=None, **fields):
    classes = {} if class_ids is None else {"class_ids": class_ids, "classes": CLASSES}
    return Segmentation.from_labels(np.array(labels), **classes, **fields)


def random_maps(seed):
    """Two label maps of blocks that overlap in every way."""
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(2):
        labels = np.zeros((12, 12), int)
        for label in range(1, rng.integers(1, 7)):
            y, x = rng.integers(0, 10, 2)
            labels[y : y + rng.integers(2, 7), x : x + rng.integers(2, 7)] = label
        maps.append(np.unique(labels, return_inverse=True)[1].reshape(labels.shape))
    return maps


@pytest.mark.parametrize("case", MADE["CASES"])
def test_counts_and_scores_are_those_of_stardist(case):
    truth, predicted = (of(labels) for labels in MADE["label_maps"](**MADE["CASES"][case]))
    ours = count_objects(truth, predicted, KEPT["thresholds"])
    for level, theirs in enumerate(KEPT["numbers"][case]["stardist"]):
        assert (ours.found[level, 0], ours.extra[level, 0], ours.missed[level, 0]) == (
            theirs["tp"],
            theirs["fp"],
            theirs["fn"],
        )
        assert (ours.num_truth, ours.num_predicted) == (theirs["n_true"], theirs["n_pred"])
        for name in ("precision", "recall", "accuracy", "f1"):
            assert getattr(ours, name)[level] == pytest.approx(theirs[name], abs=1e-12)
        # StarDist keeps IoUs in 32 bits, and gives 0 where nothing was matched.
        assert np.nan_to_num(ours.mean_matched_iou[level]) == pytest.approx(
            theirs["mean_matched_score"], abs=1e-6
        )
        assert ours.mean_truth_iou[level] == pytest.approx(theirs["mean_true_score"], abs=1e-6)


@pytest.mark.parametrize("case", MADE["CASES"])
def test_accuracy_and_jaccard_index_are_those_of_cellpose(case):
    truth, predicted = (of(labels) for labels in MADE["label_maps"](**MADE["CASES"][case]))
    theirs = KEPT["numbers"][case]["cellpose"]
    ours = count_objects(truth, predicted, KEPT["thresholds"])
    assert ours.found[:, 0].tolist() == theirs["tp"]
    assert ours.extra[:, 0].tolist() == theirs["fp"]
    assert ours.missed[:, 0].tolist() == theirs["fn"]
    assert np.allclose(ours.accuracy, theirs["ap"], atol=1e-6)
    assert aggregated_jaccard(truth, predicted, "cellpose") == pytest.approx(theirs["aji"], abs=1e-12)


def test_same_is_one_and_apart_is_nought():
    labels = np.array([[1, 1, 0, 2], [0, 3, 3, 2]])
    same = count_objects(of(labels), of(labels))
    assert (same.accuracy == 1).all() and (same.f1 == 1).all() and (same.mean_matched_iou == 1).all()
    apart = count_objects(of([[1, 1, 0, 0]]), of([[0, 0, 1, 1]]))
    assert (apart.accuracy == 0).all() and (apart.f1 == 0).all() and np.isnan(apart.mean_matched_iou).all()
    for definition in ("kumar", "one-to-one", "cellpose"):
        assert aggregated_jaccard(of(labels), of(labels), definition) == 1
        assert aggregated_jaccard(of([[1, 1, 0, 0]]), of([[0, 0, 1, 1]]), definition) == 0


def test_nothing_against_nothing_has_no_score():
    nothing = of(np.zeros((3, 3), int))
    counts = count_objects(nothing, nothing)
    for scores in (counts.accuracy, counts.f1, counts.precision, counts.recall, counts.mean_truth_iou):
        assert np.isnan(scores).all()
    assert np.isnan(aggregated_jaccard(nothing, nothing))
    assert count_error(nothing, nothing) == 0


@given(st.integers(0, 10**6))
def test_sides_change_places(seed):
    truth, predicted = (of(labels) for labels in random_maps(seed))
    one, other = count_objects(truth, predicted), count_objects(predicted, truth)
    assert np.array_equal(one.found, other.found) and np.array_equal(one.missed, other.extra)
    assert np.array_equal(one.split, other.merged) and np.array_equal(one.merged, other.split)


def test_a_predicted_object_is_taken_twice_only_by_the_first_definition():
    truth, predicted = of([[1] * 6 + [2] * 4]), of([[1] * 10])
    assert aggregated_jaccard(truth, predicted) == (6 + 4) / (10 + 10)
    assert aggregated_jaccard(truth, predicted, "one-to-one") == 6 / (10 + 4)
    assert aggregated_jaccard(truth, predicted, "cellpose") == 6 / 10


@given(st.integers(0, 10**6))
def test_jaccard_index_by_the_paper(seed):
    truth, predicted = random_maps(seed)
    shared = united = 0
    used = set()
    for k in range(1, truth.max() + 1):
        mask = truth == k
        ious = {
            m: (mask & (predicted == m)).sum() / (mask | (predicted == m)).sum()
            for m in range(1, predicted.max() + 1)
        }
        best = max(ious, key=lambda m: (ious[m], -m), default=None)
        if best is None or ious[best] == 0:
            united += mask.sum()
            continue
        shared += (mask & (predicted == best)).sum()
        united += (mask | (predicted == best)).sum()
        used.add(best)
    united += sum((predicted == m).sum() for m in range(1, predicted.max() + 1) if m not in used)
    found = aggregated_jaccard(of(truth), of(predicted))
    assert found == pytest.approx(shared / united if united else np.nan, nan_ok=True)


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5))
def test_best_assignment_is_the_best_of_all(seed, rows, columns):
    rng = np.random.default_rng(seed)
    weight = np.round(rng.random((rows, columns)), 2) * (rng.random((rows, columns)) < 0.6)
    truth, predicted = np.nonzero(weight)
    chosen = best_assignment(truth + 1, predicted + 1, weight[truth, predicted])
    assert len(set(truth[chosen])) == len(chosen) == len(set(predicted[chosen]))
    wide = np.zeros((rows, columns + rows))
    wide[:, :columns] = weight
    best = max(wide[np.arange(rows), list(some)].sum() for some in permutations(range(columns + rows), rows))
    assert weight[truth, predicted][chosen].sum() == pytest.approx(best)


def test_exactly_at_the_threshold_is_a_match():
    table = overlap(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]]))
    assert [len(matches.iou) for matches in match_objects(table, [0.5, 0.55])] == [1, 0]


def test_most_pairs_win_before_the_largest_iou():
    # One pair of IoU 0.4 rules out two of 0.22 and 0.2; a threshold of 0.2 takes the two.
    truth = np.repeat([1, 1, 2], [2, 4, 3])[None]
    predicted = np.repeat([1, 2, 0], [2, 6, 1])[None]
    table = overlap(truth, predicted)
    pairs = match_objects(table, [0.2])[0]
    assert sorted(zip(pairs.truth, pairs.predicted, strict=True)) == [(1, 1), (2, 2)]


def test_split_and_merged_are_counted_by_class():
    truth = of([[1] * 10, [2] * 5 + [3] * 5], [7, 2, 2])
    predicted = of([[1] * 5 + [2] * 5, [3] * 10], [7, 7, 2])
    counts = count_objects(truth, predicted)
    assert counts.split.tolist() == [1, 0, 0] and counts.merged.tolist() == [0, 1, 0]
    assert counts.found[0].sum() == 2  # half of each is at 0.5


def test_specks_and_neighbours_split_nothing():
    speck = count_objects(of([[1] * 20]), of([[1] * 19 + [2]]))
    assert speck.split.sum() == 0 and speck.found[0, 0] == 1 and speck.extra[0, 0] == 1
    neighbour = count_objects(of([[1] * 6 + [0] * 6]), of([[1] * 4 + [2] * 8]))
    assert neighbour.split.sum() == 0  # the second lies mostly beside the object
    sparse = count_objects(of([[1] * 20]), of([[1] * 4 + [0] * 12 + [2] * 4]))
    assert sparse.split.sum() == 0  # less than half of it is covered


def test_classes_matter_unless_told_otherwise():
    truth, predicted = of([[1, 1, 0, 2, 2]], [7, 2]), of([[1, 1, 0, 2, 2]], [7, 7])
    aware = count_objects(truth, predicted)
    assert aware.found[0].tolist() == [1, 0, 0]
    assert aware.missed[0].tolist() == [0, 1, 0] and aware.extra[0].tolist() == [1, 0, 0]
    unaware = count_objects(truth, predicted, class_aware=False)
    assert unaware.found[0].tolist() == [1, 1, 0] and unaware.missed.sum() == unaware.extra.sum() == 0
    assert aggregated_jaccard(truth, predicted) == 2 / 6
    assert aggregated_jaccard(truth, predicted, class_aware=False) == 1


def test_stuff_has_no_objects():
    counts = count_objects(of([[1, 1, 2]], [4, 7]), of([[1, 0, 2]], [4, 7]))
    assert counts.num_truth == counts.num_predicted == 1 and counts.missed.sum() == 0


def test_crowds_are_neither_found_nor_missed():
    truth = of([[1] * 6 + [2] * 2], [7, 7], attributes={"crowd": [True, False]})
    predicted = of([[1, 1, 2, 2, 3, 3, 4, 4]], [7, 7, 2, 7])
    counts = count_objects(truth, predicted)
    assert counts.found[0].tolist() == [1, 0, 0] and counts.missed.sum() == 0
    assert counts.extra[0].tolist() == [0, 1, 0]  # debris in a crowd of cells
    assert count_error(truth, predicted) == 1


def test_void_excuses_what_lies_in_it():
    void = np.array([[True] * 4 + [False] * 4])
    truth = of([[0, 0, 0, 0, 1, 1, 0, 0]], void=void)
    counts = count_objects(truth, of([[2, 2, 2, 0, 1, 1, 3, 3]]))
    assert counts.found[0, 0] == 1 and counts.extra[0, 0] == 1 and counts.num_predicted == 2
    assert aggregated_jaccard(truth, of([[2, 2, 2, 0, 1, 1, 0, 0]])) == 1
    mostly = count_objects(of([[1, 1, 1, 1, 1, 0, 0, 0]]), of([[0] * 7 + [1]], void=void))
    assert mostly.missed.sum() == 0 and mostly.extra[0, 0] == 1


def test_overlapping_segments_and_volumes_are_taken():
    masks = np.zeros((2, 1, 2, 6), bool)
    masks[0, :, :, :4] = masks[1, :, :, 2:] = True
    both = Segmentation.from_masks(masks)
    assert count_objects(both, both).found[:, 0].tolist() == [2] * 10


def test_pooled_over_images_as_if_they_were_one():
    images = [random_maps(seed) for seed in range(6)]
    metric = Instances()
    kept = [metric.keep(Pair(of(a), of(b))) for a, b in images]
    side_by_side = [np.concatenate([np.pad(pair[side], 1) for pair in images]) for side in (0, 1)]
    for side in (0, 1):
        offset = np.cumsum([0] + [pair[side].max() for pair in images])[:-1].repeat(14)[:, None]
        side_by_side[side] = (side_by_side[side] + offset) * (side_by_side[side] > 0)
    truth, predicted = (of(labels) for labels in side_by_side)
    scores = metric.score(kept, np.ones((1, 6)))
    counts = count_objects(truth, predicted)
    assert scores["object_accuracy"][0] == pytest.approx(counts.accuracy.mean())
    assert scores["object_accuracy75"][0] == pytest.approx(counts.accuracy[5])
    assert scores["object_f1_50"][0] == pytest.approx(counts.f1[0])
    assert scores["object_precision"][0] == pytest.approx(counts.precision[0])
    assert scores["object_recall"][0] == pytest.approx(counts.recall[0])
    assert scores["mean_matched_iou"][0] == pytest.approx(counts.mean_matched_iou[0], nan_ok=True)
    assert scores["mean_truth_iou"][0] == pytest.approx(counts.mean_truth_iou[0])
    assert scores["aji"][0] == pytest.approx(aggregated_jaccard(truth, predicted))
    assert scores["aji_plus"][0] == pytest.approx(aggregated_jaccard(truth, predicted, "one-to-one"))
    assert scores["split"][0] == counts.split.sum() and scores["merged"][0] == counts.merged.sum()
    errors = np.array([count_error(of(a), of(b)) for a, b in images])
    assert scores["count_error"][0] == np.abs(errors).mean() and scores["count_bias"][0] == errors.mean()
    assert scores["count_error_relative"][0] == np.abs(errors).sum() / counts.num_truth


def test_metric_gives_the_scores_it_names():
    metric = Instances()
    pairs = [
        Pair(of([[1, 1, 2]], [7, 2]), of([[1, 1, 0]], [7])),
        Pair(of([[0, 0, 0]], []), of([[0, 0, 0]], [])),
    ]
    weights = np.array([[1.0, 1], [0, 2], [3, 0]])
    scores = metric.score([metric.keep(pair) for pair in pairs], weights)
    assert set(scores) == {score.name for score in metric.scores} and metric.headline in scores
    for score in metric.scores:
        assert scores[score.name].shape == ((3, 3) if score.per_class else (3,))
    assert scores["object_accuracy"].tolist()[::2] == [0.5, 0.5] and np.isnan(scores["object_accuracy"][1])
    assert scores["missed"].tolist() == [1, 0, 3]
    assert scores["count_bias"].tolist() == [-0.5, 0, -1]
    of_class = scores["object_accuracy_of_class"]
    assert (
        of_class[0, :2].tolist() == [1, 0] and np.isnan(of_class[:, 2]).all() and np.isnan(of_class[1]).all()
    )


@pytest.mark.parametrize("thresholds", [[], [0.0], [1.5], [0.5, float("nan")]])
def test_thresholds_outside_are_refused(thresholds):
    with pytest.raises(InputError, match="above 0 and up to 1"):
        match_objects(overlap(np.array([[1]]), np.array([[1]])), thresholds)


def test_unknown_definition_and_unlike_images_are_refused():
    with pytest.raises(InputError, match="kumar, one-to-one and cellpose"):
        aggregated_jaccard(of([[1]]), of([[1]]), "dice")  # type: ignore[arg-type]
    with pytest.raises(InputError):
        count_objects(of([[1]]), of([[1, 1]]))


def test_thresholds_are_the_decimal_ones():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
