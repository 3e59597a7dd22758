"""The one representation: right whatever it was made from, immutable, and it checks itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti.classes import Class, ClassSet
from smalti.errors import InputError, OverlapError
from smalti.geometry import Geometry
from smalti.runs import Runs
from smalti.segmentation import Segmentation

SHAPES = st.one_of(
    st.tuples(st.integers(1, 7), st.integers(1, 19)),
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 17)),
)
LABELS = SHAPES.flatmap(lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(0, 5)))
MASKS = SHAPES.flatmap(
    lambda shape: st.integers(0, 4).flatmap(lambda count: hnp.arrays(bool, (count, *shape)))
)


def renumbered(labels):
    """Labels 1..N in ascending order of the old ones."""
    ids, new = np.unique(np.append(labels, 0), return_inverse=True)
    return new[:-1].reshape(labels.shape), len(ids) - 1


@given(LABELS)
def test_labels_to_runs_and_back_keep_every_pixel(labels):
    expected, count = renumbered(labels)
    found = Segmentation.from_labels(labels)
    assert len(found) == count
    assert np.array_equal(found.labels, expected)
    again = Segmentation.from_runs(found.shape, found.runs)
    assert np.array_equal(again.labels, expected)
    assert again == found
    assert np.array_equal(found.areas_px, np.bincount(expected.ravel(), minlength=count + 1)[1:])
    assert np.array_equal(again.areas_px, found.areas_px)


@given(MASKS)
def test_masks_to_runs_and_back_keep_every_pixel(masks):
    found = Segmentation.from_masks(masks)
    assert found.shape == masks.shape[1:]
    assert np.array_equal(np.array(list(found.masks())).reshape(masks.shape), masks)
    assert found == Segmentation.from_masks(iter(masks), shape=masks.shape[1:])
    assert found.overlapping == bool((masks.sum(0) > 1).any())
    assert found.coverage == pytest.approx(masks.any(0).mean() if len(masks) else 0)
    found.runs.check(found.shape)


@given(MASKS)
def test_layers_show_every_pixel_of_every_segment(masks):
    found = Segmentation.from_masks(masks)
    shown = np.zeros_like(masks)
    for layer in found.layers():
        for k in range(1, len(masks) + 1):
            shown[k - 1] |= layer == k
    assert np.array_equal(shown, masks)


@given(MASKS)
def test_boxes_and_crops_hold_the_masks(masks):
    found = Segmentation.from_masks(masks)
    ndim = masks.ndim - 1
    for k, mask in enumerate(masks, 1):
        box = found.boxes[k - 1]
        crop, place = found.crop(k)
        if mask.any():
            where = np.argwhere(mask)
            assert box.tolist() == [*where.min(0), *(where.max(0) + 1)]
            assert np.array_equal(crop, mask[place])
        else:
            assert box.tolist() == [0] * 2 * ndim
            assert crop.size == 0


@given(LABELS, st.data())
def test_choosing_keeps_pixels_and_renumbers(labels, data):
    whole = Segmentation.from_labels(labels)
    order = data.draw(st.permutations(range(len(whole))))[: data.draw(st.integers(0, len(whole)))]
    for source in (whole, Segmentation.from_runs(whole.shape, whole.runs)):
        chosen = source[np.array(order, int)]
        assert len(chosen) == len(order)
        for new, old in enumerate(order, 1):
            assert np.array_equal(chosen.mask(new), whole.mask(old + 1))


@given(MASKS, st.data())
def test_merging_unites_pixels(masks, data):
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(masks), max_size=len(masks))), int)
    groups = np.unique(np.append(groups, 0), return_inverse=True)[1][:-1]
    merged = Segmentation.from_masks(masks).merge(groups)
    merged.runs.check(merged.shape)
    for group in range(1, len(merged) + 1):
        assert np.array_equal(merged.mask(group), masks[groups == group].any(0))


@given(LABELS)
def test_merging_a_label_map_is_merging_its_runs(labels):
    from_labels = Segmentation.from_labels(labels)
    groups = np.arange(len(from_labels)) // 2 + 1
    assert from_labels.merge(groups) == Segmentation.from_runs(from_labels.shape, from_labels.runs).merge(
        groups
    )


@given(MASKS)
def test_concatenating_keeps_all_segments(masks):
    parts = [Segmentation.from_masks(masks[:1], shape=masks.shape[1:]), Segmentation.from_masks(masks[1:])]
    assert Segmentation.concatenate(parts) == Segmentation.from_masks(masks)


CLASSES = ClassSet([Class(3, "road", (9, 9, 9), thing=False), Class(5, "car", (1, 2, 3))])


def test_contested_pixels_go_to_the_surest_then_to_things():
    masks = np.array([[[1, 1, 1, 1]], [[0, 1, 1, 0]], [[0, 0, 1, 1]]], bool)
    one = Segmentation.from_masks(masks, class_ids=[3, 5, 5], scores=[0.5, 0.5, 0.9], classes=CLASSES)
    assert one.overlapping
    assert one.panoptic().labels.tolist() == [[1, 2, 3, 3]]
    assert one.semantic_map().tolist() == [[3, 5, 5, 5]]
    with pytest.raises(OverlapError, match=r"semantic_map\(\)"):
        _ = one.labels


def test_covered_segments_leave_the_panoptic_result():
    masks = np.array([[[1, 1]], [[1, 1]]], bool)
    one = Segmentation.from_masks(masks, scores=[0.2, 0.9]).panoptic()
    assert len(one) == 1
    assert one.scores.tolist() == [0.9]


def test_a_semantic_map_gives_one_segment_per_class_present():
    one = Segmentation.from_semantic_map(np.array([[0, 5, 255], [3, 5, 0]]), CLASSES, void=255)
    assert one.class_ids.tolist() == [3, 5]
    assert one.semantic_map(background=7).tolist() == [[7, 5, 7], [3, 5, 7]]
    with pytest.raises(InputError, match="void="):
        Segmentation.from_semantic_map(np.array([[0, 5, 255]]), CLASSES)


def test_labels_are_renumbered_without_columns_and_taken_as_numbers_with_them():
    gaps = np.array([[0, 7, 7, 70000]])
    assert Segmentation.from_labels(gaps).labels.tolist() == [[0, 1, 1, 2]]
    assert Segmentation.from_labels(gaps * 30_000).labels.tolist() == [[0, 1, 1, 2]]
    kept = Segmentation.from_labels(np.array([[0, 3]]), scores=[0.1, 0.2, 0.3])
    assert kept.areas_px.tolist() == [0, 0, 1]
    with pytest.raises(InputError, match="segment 3"):
        Segmentation.from_labels(np.array([[0, 3]]), scores=[0.1, 0.2])


def test_nobody_can_change_it():
    labels = np.array([[0, 1], [2, 2]], np.int32)
    one = Segmentation.from_labels(labels)
    labels[0, 0] = 2
    assert one.labels[0, 0] == 0
    for change in (lambda: one.labels.__setitem__((0, 0), 2), lambda: one.scores.__setitem__(0, 0)):
        with pytest.raises(ValueError, match="read-only"):
            change()
    with pytest.raises(AttributeError, match="immutable"):
        one.scores = np.zeros(2)
    other = one.replace(scores=[0.25, 0.5])
    assert other.scores.tolist() == [0.25, 0.5]
    assert np.array_equal(other.labels, one.labels)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Segmentation.from_labels(np.zeros((2, 2))), "integers"),
        (lambda: Segmentation.from_labels(np.zeros(4, int)), r"\(H, W\)"),
        (lambda: Segmentation.from_labels(np.zeros((0, 4), int)), "at least one pixel"),
        (lambda: Segmentation.from_labels(np.array([[-1, 2]])), "void"),
        (lambda: Segmentation.from_labels(np.array([[1, 2]]), scores=[0.5, 1.5]), "0 to 1"),
        (lambda: Segmentation.from_labels(np.array([[1, 2]]), scores=[0.5, np.nan]), "0 to 1"),
        (lambda: Segmentation.from_labels(np.array([[1, 2]]), class_ids=[1, 9]), "class set"),
        (
            lambda: Segmentation.from_labels(np.array([[1, 2]]), class_ids=[1, 1], scores=[1]),
            "one per segment",
        ),
        (lambda: Segmentation.from_masks(np.zeros((2, 3, 3))), "bool"),
        (lambda: Segmentation.from_masks([]), "shape="),
        (lambda: Segmentation.from_masks([np.zeros((2, 2), bool), np.zeros((2, 3), bool)]), "shape"),
        (lambda: Segmentation.from_labels(np.array([[1]]), geometry=Geometry((1, 1, 1), "um")), "axes"),
        (lambda: Segmentation.from_labels(np.array([[1, 2]]))[[0, 0]], "once"),
        (lambda: Segmentation.from_labels(np.array([[1, 2]])).merge([1, 3]), "every number"),
        (lambda: Segmentation.from_labels(np.array([[1, 2]])).mask(3), "1..2"),
        (lambda: Segmentation.concatenate([]), "at least one"),
    ],
)
def test_bad_input_is_refused_in_words(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize(
    ("offsets", "start", "stop", "words"),
    [
        ([0, 1], [0], [5], "one row"),
        ([0, 1], [2], [2], "start < stop"),
        ([0, 1], [7], [9], "lie in"),
        ([0, 2], [0, 1], [2, 3], "ascend"),
        ([0, 2], [0, 2], [2, 3], "touch"),
        ([0, 2, 1], [0], [1], "fall"),
        ([1, 1], [0], [1], "begin with 0"),
    ],
)
@pytest.mark.parametrize("dtype", [np.int64, np.uint32])
def test_malformed_runs_are_refused(offsets, start, stop, words, dtype):
    with pytest.raises(InputError, match=words):
        Segmentation.from_runs((2, 4), Runs(np.array(offsets), np.array(start, dtype), np.array(stop, dtype)))


def test_runs_are_whole_numbers():
    with pytest.raises(InputError, match="integer arrays"):
        Segmentation.from_runs((1, 9), Runs(np.array([0, 1]), np.array([0.5]), np.array([2.9])))


def test_what_a_result_gives_cannot_change_it():
    labels = np.array([[0, 1], [2, 2]], np.int32)
    start, stop = np.array([0, 2]), np.array([1, 3])
    for one in (
        Segmentation.from_labels(labels),
        Segmentation.from_runs((2, 2), Runs(np.array([0, 1, 2]), start, stop)),
    ):
        for array in (
            one.areas_px,
            one.boxes,
            one.runs.start,
            one.runs.stop,
            one.runs.offsets,
            one.class_ids,
        ):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 9
    view = labels[:]
    one = Segmentation.from_labels(view, copy=False)
    labels[0, 0] = 2
    assert one.labels[0, 0] == 0


@pytest.mark.parametrize("dtype", [">i4", ">u2", np.uint64, np.int8, bool])
def test_labels_of_any_integer_type(dtype):
    labels = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert Segmentation.from_labels(labels).areas_px.tolist() == [2]


def test_class_ids_are_never_rounded_or_wrapped():
    labels = np.array([[1, 2]])
    for class_ids in ([1.0, 2.2], [2**32 + 1, 1], [-1, 1]):
        with pytest.raises(InputError, match="class_ids"):
            Segmentation.from_labels(labels, class_ids=class_ids)


def test_repr_says_what_there_is():
    one = Segmentation.from_labels(np.array([[1, 2, 0]]), geometry=Geometry.parse("0.5um"))
    assert repr(one) == "Segmentation(1 x 3, 2 segments: object 2, spacing 0.5 um)"


def test_an_empty_result_is_a_result():
    one = Segmentation.from_labels(np.zeros((3, 4), int))
    assert len(one) == 0
    assert one.coverage == 0
    assert one.boxes.shape == (0, 4)
    assert len(one.panoptic()) == len(one.layers()) - 1 == 0
    assert len(one[one.scores > 0.5]) == 0
