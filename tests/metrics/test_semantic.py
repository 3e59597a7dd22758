"""Scores of classes: the formulas, void, and nothing against nothing."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.metrics.pair import Pair
from smalti.metrics.semantic import Classes, ClassOverlap, class_overlap
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(7, "road", (1, 2, 3), False), Class(3, "car", (4, 5, 6))])  # ids not in order


def of(rows, void=None):
    return Segmentation.from_semantic_map(np.array(rows), CLASSES, void=void)


def test_iou_and_dice_by_hand():
    found = class_overlap(of([[7, 7, 7, 3], [0, 0, 3, 3]]), of([[7, 7, 3, 3], [0, 7, 3, 0]]))
    assert found.pixels.tolist() == [[1, 1, 0], [0, 2, 1], [1, 0, 2]]
    assert found.iou.tolist() == [2 / 4, 2 / 4]
    assert found.dice.tolist() == [4 / 6, 4 / 6]
    assert (found.mean_iou, found.accuracy) == (0.5, 5 / 8)


def test_a_class_on_neither_side_is_left_out_of_the_mean():
    found = class_overlap(of([[7, 7]]), of([[7, 0]]))
    assert found.iou[0] == 0.5
    assert np.isnan(found.iou[1])
    assert found.mean_iou == 0.5


def test_nothing_against_nothing_is_perfect_and_against_something_nought():
    nothing, something = of([[0, 0]]), of([[3, 0]])
    assert class_overlap(nothing, nothing).mean_iou == class_overlap(nothing, nothing).mean_dice == 1
    assert class_overlap(nothing, something).mean_iou == class_overlap(something, nothing).mean_iou == 0


def test_void_of_either_side_is_not_counted():
    truth, predicted = of([[7, 9, 3, 3]], void=9), of([[7, 3, 9, 7]], void=9)
    assert class_overlap(truth, predicted).pixels.tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_against_counting_one_class_at_a_time():
    rng = np.random.default_rng(0)
    first, second = rng.choice([0, 3, 7], (2, 30, 40))
    found = class_overlap(of(first), of(second))
    for k, class_id in enumerate((7, 3)):
        one, other = first == class_id, second == class_id
        assert found.iou[k] == (one & other).sum() / (one | other).sum()
        assert found.dice[k] == 2 * (one & other).sum() / (one.sum() + other.sum())


def test_other_classes_are_refused():
    other = Segmentation.from_labels(np.ones((1, 2), int))
    with pytest.raises(InputError, match="same classes"):
        class_overlap(of([[7, 7]]), other)


GOLDEN = Path(__file__).parents[1] / "golden"
MADE = runpy.run_path(str(GOLDEN / "make_semantic.py"))
CASES = json.loads((GOLDEN / "semantic.json").read_text(encoding="utf-8"))["cases"]


def pair_of(case):
    truth, predicted, void = MADE["maps"](case)
    classes = ClassSet.from_names([f"class {k}" for k in range(1, case["classes"] + 1)])
    seen = Segmentation.from_semantic_map(np.where(void, 255, truth), classes, void=255)
    return Pair(seen, Segmentation.from_semantic_map(predicted, classes))


def test_every_golden_case_is_tried():
    assert [{k: case[k] for k in made} for case, made in zip(CASES, MADE["CASES"], strict=True)] == MADE[
        "CASES"
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed {case['seed']}")
def test_as_scikit_learn_has_them(case):
    pair, wanted = pair_of(case), case["scores"]
    assert pair.class_pixels.tolist() == wanted["confusion"]
    found = {
        none: {name: values[0] for name, values in metric.score([metric.keep(pair)], np.ones((1, 1))).items()}
        for none in ("counted", "averaged", "void")
        for metric in [Classes(none)]
    }
    for name in ("accuracy", "kappa", "mcc"):
        assert found["counted"][name] == found["averaged"][name] == pytest.approx(wanted[name])
        assert found["void"][name] == pytest.approx(wanted[f"{name}_where_classed"])
    for name in ("dice", "precision", "recall"):
        of_class = np.array(wanted[name], np.float64)
        assert np.allclose(found["counted"][name], of_class, equal_nan=True)
        mean = {"dice": "mean_dice", "precision": "mean_precision", "recall": "mean_accuracy"}[name]
        assert found["counted"][mean] == pytest.approx(np.nanmean(of_class))
    assert np.allclose(np.nan_to_num(found["counted"]["iou"]), wanted["iou"])
    assert found["averaged"]["mean_accuracy"] == pytest.approx(wanted["balanced_accuracy"])
    table = ClassOverlap(pair.truth.classes, pair.class_pixels)
    for none, scores in found.items():
        for name, values in table.scores(none).items():
            assert np.allclose(values, scores[name], equal_nan=True), name


def test_images_summed_are_one_large_image():
    pairs = [Pair(of(rows), of(other)) for rows, other in (([[7, 3]], [[7, 7]]), ([[0, 3]], [[3, 3]]))]
    metric = Classes()
    both = metric.score([metric.keep(pair) for pair in pairs], np.array([[1, 1], [1, 0], [0, 2]]))
    whole = class_overlap(of([[7, 3, 0, 3]]), of([[7, 7, 3, 3]])).scores()
    for name, values in both.items():
        assert np.allclose(values[0], whole[name], equal_nan=True)
    assert both["iou"].shape == (3, 2)
    assert both["accuracy"].tolist() == [0.5, 0.5, 0.5]
    table = class_overlap(pairs[0].truth, pairs[0].predicted) + class_overlap(
        pairs[1].truth, pairs[1].predicted
    )
    assert table.scores()["mcc"] == pytest.approx(both["mcc"][0])


def test_frequent_classes_weigh_more_by_frequency():
    scores = class_overlap(of([[7, 7, 7, 3]]), of([[7, 7, 7, 7]])).scores()
    assert scores["mean_iou"] == pytest.approx((3 / 4 + 0) / 2)
    assert scores["weighted_iou"] == pytest.approx((3 * 3 / 4 + 0) / 4)


def test_nothing_at_all_has_no_mean_and_no_kappa():
    scores = class_overlap(of([[0, 0]]), of([[0, 0]])).scores()
    assert scores["accuracy"] == 1
    assert np.isnan([scores["mean_iou"], scores["weighted_iou"], scores["kappa"]]).all()
    assert scores["mcc"] == 0
    unlabelled = class_overlap(of([[0, 0]]), of([[3, 0]])).scores("void")
    assert all(np.isnan(values).all() for values in unlabelled.values())


@given(st.integers(0, 2**32 - 1))
def test_scores_keep_to_their_ranges_and_sides_may_be_swapped(seed):
    rng = np.random.default_rng(seed)
    first, second = (of(rng.choice([0, 3, 7], (5, 6), p=rng.dirichlet(np.ones(3)))) for _ in range(2))
    there, back = class_overlap(first, second).scores(), class_overlap(second, first).scores()
    for name in ("iou", "dice", "mean_iou", "accuracy", "kappa", "mcc"):
        assert np.allclose(there[name], back[name], equal_nan=True)
    assert np.allclose(there["precision"], back["recall"], equal_nan=True)
    for name, values in there.items():
        least = -1 if name in ("kappa", "mcc") else 0
        assert ((values >= least) & (values <= 1 + 1e-12) | np.isnan(values)).all()
    same = class_overlap(first, first).scores()
    assert all(((values == 1) | np.isnan(values)).all() for name, values in same.items() if name != "mcc")


def test_an_unknown_treatment_is_refused():
    with pytest.raises(InputError, match="counted"):
        Classes("ignored")
