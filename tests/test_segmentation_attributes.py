"""What annotations say beyond pixels, class and score: void and further columns."""

import pickle

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.errors import InputError
from smalti.segmentation import Segmentation

LABELS = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [3, 3, 3, 0]])
VOID = LABELS == 0


def annotated():
    return Segmentation.from_labels(
        LABELS, void=VOID, attributes={"crowd": [False, True, False], "source_id": ["a", "bb", "c"]}
    )


def test_void_comes_back_as_given():
    found = annotated()
    assert np.array_equal(found.void, VOID)
    assert found.void_px == VOID.sum()
    assert Segmentation.from_labels(LABELS).void_px == 0
    assert not Segmentation.from_labels(LABELS).void.any()


def test_void_of_a_semantic_map_is_kept_apart_from_no_segment():
    classes = ClassSet.from_names(["a", "b"], thing=False)
    semantic_map = np.array([[1, 255], [0, 2]])
    found = Segmentation.from_semantic_map(semantic_map, classes, void=255)
    assert np.array_equal(found.void, [[False, True], [False, False]])
    assert np.array_equal(found.semantic_map(void=255), semantic_map)
    assert np.array_equal(found.semantic_map(), [[1, 0], [0, 2]])


def test_choosing_and_reordering_carries_the_columns():
    found = annotated()[[2, 0]]
    assert found.attributes["source_id"].tolist() == ["c", "a"]
    assert found.attributes["crowd"].dtype == bool
    assert np.array_equal(found.void, VOID)


def test_merging_keeps_the_first_members_attributes():
    found = annotated().merge([1, 0, 1])
    assert found.attributes["source_id"].tolist() == ["a"]
    assert found.void_px == VOID.sum()


def test_flattening_overlap_keeps_columns_and_void():
    masks = np.zeros((2, 3, 4), bool)
    masks[0, :2], masks[1, 1:] = True, True
    found = Segmentation.from_masks(masks, void=VOID, attributes={"track_id": [7, 8]}).panoptic()
    assert found.attributes["track_id"].tolist() == [7, 8]
    assert found.void_px == VOID.sum()


def test_concatenating_unites_void_and_fills_missing_attributes():
    one, two = annotated(), Segmentation.from_labels(LABELS, void=LABELS == 3)
    both = Segmentation.concatenate([one, two])
    assert both.void_px == (VOID | (LABELS == 3)).sum()
    assert both.attributes["crowd"].tolist() == [False, True, False, False, False, False]
    assert both.attributes["source_id"].tolist() == ["a", "bb", "c", "", "", ""]


def test_equality_sees_void_and_attributes():
    assert annotated() == annotated()
    assert annotated() != annotated().replace(void=None)
    assert annotated() != annotated().replace(attributes={})


def test_columns_cannot_be_written_and_survive_pickling():
    found = annotated()
    with pytest.raises(ValueError, match="read-only"):
        found.attributes["crowd"][0] = True
    with pytest.raises(TypeError):
        found.attributes["crowd"] = np.zeros(3, bool)
    assert pickle.loads(pickle.dumps(found)) == found


def test_empty_segmentations_keep_the_kind_of_a_column():
    found = Segmentation.from_labels(np.zeros((2, 2), int), attributes={"crowd": np.zeros(0, bool)})
    assert found.attributes["crowd"].dtype == bool


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"void": np.zeros((2, 2), bool)}, r"void must be bool \(3, 4\)"),
        ({"void": np.zeros((3, 4), int)}, "void must be bool"),
        ({"attributes": {"crowd": [True]}}, "'crowd' must have 3 values"),
        ({"attributes": {"note": [{}, {}, {}]}}, "must be bool, numbers or text"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        annotated().replace(**changes)
