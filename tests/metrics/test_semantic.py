"""Scores of classes: the formulas, void, and nothing against nothing."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.metrics.semantic import class_overlap
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
