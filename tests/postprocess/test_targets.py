"""What a pixel is told as: from the truth to numbers of targets, and scribbles checked."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.pixel.scribbles import scribble_targets
from smalti.postprocess.targets import Targets, task_of
from smalti.segmentation import Segmentation

RED = (255, 0, 0)
KINDS = ClassSet(
    [
        Class(7, "cell", RED),
        Class(3, "wall", RED, thing=False),
        Class(200, "dust", RED),
        Class(9, "never", RED),
    ]
)


def a_truth(class_ids=(7, 7, 3), void=None):
    """Two squares that touch along a column, and a stripe."""
    labels = np.zeros((12, 16), np.int32)
    labels[1:7, 1:6], labels[1:7, 6:12], labels[9:11] = 1, 2, 3
    return Segmentation.from_labels(labels, class_ids=class_ids, classes=KINDS, void=void)


def test_the_task_is_what_the_truth_is():
    assert [task_of(False, False), task_of(False, True)] == ["semantic", "semantic"]
    assert [task_of(True, False), task_of(True, True)] == ["instance", "panoptic"]


def test_a_class_may_be_called_background():
    classes = ClassSet.from_names(("background", "border"))
    targets = Targets.of([1, 2], classes, background=True, border_px=2)
    assert len(set(targets.names)) == 4
    assert targets.names[1:3] == ("background", "border")


def test_targets_are_the_classes_that_are_there_in_the_order_of_the_set():
    targets = Targets.of([200, 7], KINDS, background=True)
    assert targets.names == ("background", "cell", "dust")
    assert targets.class_ids == (0, 7, 200)
    assert len(targets) == 3 and not targets.bordered
    bordered = Targets.of([7], KINDS, background=False, border_px=2)
    assert bordered.names == ("cell", "border")
    assert bordered.class_ids == (7, -1)
    assert bordered.bordered


def test_map_names_each_pixel_and_leaves_void_out():
    void = np.zeros((12, 16), bool)
    void[:, 14:] = True
    truth = a_truth(void=void)
    found = Targets.of([7, 3], KINDS, background=True).map(truth)
    assert (found[:, 14:] == -1).all()
    expected = np.select([truth.semantic_map() == 7, truth.semantic_map() == 3], [1, 2], 0)
    assert np.array_equal(found[:, :14], expected[:, :14])


def test_a_class_that_is_no_target_is_not_said():
    found = Targets.of([7], KINDS, background=True).map(a_truth((7, 200, 7)))
    assert (found[1:7, 6:12] == -1).all()
    assert (found[1:7, 1:6] == 1).all() and found[0, 0] == 0


def test_without_background_what_is_nothing_is_not_said():
    found = Targets.of([7, 3], KINDS, background=False).map(a_truth())
    assert found[0, 0] == -1 and found[2, 2] == 0 and found[9, 0] == 1


def test_the_border_is_where_objects_end():
    void = np.zeros((12, 16), bool)
    void[:3] = True
    targets = Targets.of([7, 3], KINDS, background=True, border_px=1)
    found = targets.map(a_truth(void=void))
    border = len(targets) - 1
    assert (found[3:7, 5:7] == border).all()  # between the two squares
    assert (found[3:6, 3] == 1).all()
    assert (found[:3] == -1).all()
    assert (found[9:11] == 2).all()  # stuff has none


def test_two_targets_and_as_many_pixels_are_needed():
    targets = Targets.of([7, 200], KINDS, background=True)
    targets.check([1, 1, 1])
    with pytest.raises(InputError, match="only 'cell' is labelled"):
        targets.check([0, 9, 0])
    with pytest.raises(InputError, match="nothing is labelled"):
        targets.check([0, 0, 0])
    with pytest.raises(InputError, match="2 labelled pixels are fewer than the 3 classes"):
        targets.check([1, 1, 0])


def test_scribbles_are_checked():
    marks = np.array([[-1, 0, 2]], np.int8)
    found = scribble_targets(marks, (1, 3))
    assert found.dtype == np.int32 and np.array_equal(found, marks)
    assert scribble_targets([[0, 1, 5]], (1, 3)).tolist() == [[0, 1, 5]]
    for wrong, said in (
        (np.zeros((3, 1), int), r"must cover the image, \(1, 3\), got \(3, 1\)"),
        (marks.astype(float), "must be integers, .* got float64"),
        (marks.astype(bool), "must be integers"),
        (marks - 1, "got -2 to 1"),
        (np.array([[0, 0, 40_000]]), "up to 30000, got 0 to 40000"),
        (np.array([[0, 0, 2**64 - 1]], np.uint64), "up to 30000"),
    ):
        with pytest.raises(InputError, match=said):
            scribble_targets(wrong, (1, 3))
