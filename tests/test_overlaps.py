"""The overlap table agrees with counting by hand, and matching with its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti.errors import InputError
from smalti.overlaps import confusion, mask_iou, nms, overlap
from smalti.segmentation import Segmentation

SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 70)),
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9)),
)
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.int32, shape, elements=st.integers(0, 6))] * 2)
)


@given(PAIRS)
def test_the_table_sums_to_the_pixel_count(pair):
    truth, predicted = map(Segmentation.from_labels, pair)
    table = overlap(truth, predicted).matrix()
    expected = np.zeros_like(table)
    np.add.at(expected, (truth.labels, predicted.labels), 1)
    assert np.array_equal(table, expected)
    assert table.sum() == pair[0].size


@given(PAIRS)
def test_runs_and_labels_give_the_same_table(pair):
    truth, predicted = map(Segmentation.from_labels, pair)
    # The same segments twice over: every pixel is contested, so the table is counted over runs.
    doubled = Segmentation.concatenate([truth, truth])
    twice = overlap(doubled, predicted)
    once = overlap(truth, predicted)
    assert np.array_equal(twice.truth, np.concatenate([once.truth, once.truth + len(truth)]))
    assert np.array_equal(twice.pixels, np.concatenate([once.pixels, once.pixels]))


@given(PAIRS)
def test_label_maps_are_taken_as_they_are(pair):
    truth, predicted = pair
    table = overlap(truth, predicted)
    expected = np.zeros((truth.max() + 1, predicted.max() + 1), np.int64)
    np.add.at(expected, (truth, predicted), 1)
    assert np.array_equal(table.matrix(), expected)
    for dtype in (np.uint8, np.int64, np.uint32, ">i4"):
        assert np.array_equal(overlap(truth.astype(dtype), predicted).matrix(), expected)
    with pytest.raises(InputError, match="negative"):
        overlap(truth - 7, predicted)


def test_many_segments_grow_the_table():
    labels = np.arange(1, 40_001, dtype=np.int32).reshape(200, 200)
    one = Segmentation.from_labels(labels)
    other = Segmentation.from_labels(labels[::-1].copy())
    table = overlap(one, other)
    assert len(table.pixels) == 40_000
    assert (table.pixels == 1).all()
    assert np.array_equal(table.predicted, other.labels[::-1].ravel()[np.argsort(one.labels[::-1].ravel())])


def test_iou_and_dice_by_eye():
    truth = Segmentation.from_labels(np.array([[1, 1, 1, 0]]))
    predicted = Segmentation.from_labels(np.array([[0, 1, 1, 1]]))
    table = overlap(truth, predicted)
    assert table.iou.tolist() == [0.5]
    assert table.dice.tolist() == [pytest.approx(2 / 3)]
    assert len(table.match(0.5).iou) == 0
    assert len(table.match(0.5, inclusive=True).iou) == 1


@given(PAIRS, st.sampled_from([0.0, 0.1, 0.3, 0.5]))
def test_matching_is_one_to_one_and_the_best(pair, min_iou):
    table = overlap(*map(Segmentation.from_labels, pair))
    matches = table.match(min_iou)
    assert len(set(matches.truth)) == len(matches.truth)
    assert len(set(matches.predicted)) == len(matches.predicted)
    assert (matches.iou > min_iou).all()
    iou = np.zeros((7, 7))
    iou[table.truth, table.predicted] = np.where(table.iou > min_iou, table.iou, 0)
    best = (
        max(iou[1:, list(order)].trace() for order in itertools.permutations(range(1, 7)))
        if len(pair[0])
        else 0
    )
    assert matches.iou.sum() == pytest.approx(best)


@given(hnp.arrays(bool, (4, 5, 9)), hnp.arrays(bool, (3, 5, 9)))
def test_mask_iou_of_all_pairs(masks, others):
    shared = (masks[:, None] & others).sum((2, 3))
    union = (masks[:, None] | others).sum((2, 3))
    found = mask_iou(Segmentation.from_masks(masks), Segmentation.from_masks(others))
    assert np.allclose(found, shared / np.maximum(union, 1))


@given(hnp.arrays(bool, (6, 5, 9)), st.permutations(range(6)), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_nms_is_the_greedy_definition(masks, order, max_iou):
    scores = (np.array(order) + 1) / 10
    found = nms(Segmentation.from_masks(masks, scores=scores), max_iou)
    kept = []
    for k in np.argsort(-scores):
        ious = [(masks[k] & masks[m]).sum() / max((masks[k] | masks[m]).sum(), 1) for m in kept]
        if all(iou <= max_iou for iou in ious):
            kept.append(k)
    assert sorted(found.scores) == sorted(scores[kept])


def test_nms_spares_other_classes_unless_told():
    from smalti.classes import ClassSet

    masks = np.ones((2, 3, 3), bool)
    one = Segmentation.from_masks(
        masks, class_ids=[1, 2], scores=[0.9, 0.8], classes=ClassSet.from_names("ab")
    )
    assert len(nms(one)) == 2
    assert nms(one, per_class=False).scores.tolist() == [0.9]


@given(
    st.integers(1, 9000).flatmap(
        lambda size: st.tuples(*[hnp.arrays(np.uint8, size, elements=st.integers(0, 4), fill=st.just(2))] * 2)
    ),
    st.sampled_from([None, 0, 3]),
)
def test_confusion_counts_pairs(pair, void):
    truth, predicted = pair
    expected = np.zeros((5, 5), int)
    counted = truth != void if void is not None else np.ones(truth.shape, bool)
    np.add.at(expected, (truth[counted], predicted[counted]), 1)
    assert np.array_equal(confusion(truth, predicted, 5, void=void), expected)


def test_bad_input_is_refused_in_words():
    one, other = (Segmentation.from_labels(np.ones(shape, int)) for shape in [(2, 3), (3, 2)])
    for compare in (overlap, mask_iou):
        with pytest.raises(InputError, match="one shape"):
            compare(one, other)
    with pytest.raises(InputError, match=r"pixel \(0, 1\)"):
        confusion(np.array([[0, 255]]), np.array([[0, 1]]), 2)
    assert confusion(np.array([[0, 255]]), np.array([[0, 1]]), 2, void=255).sum() == 1
    with pytest.raises(InputError, match="integers"):
        confusion(np.zeros((1, 2)), np.zeros((1, 2), int), 2)
    with pytest.raises(InputError, match="max_iou"):
        nms(one, 2)
    with pytest.raises(InputError, match="two label maps"):
        overlap(one, np.ones((2, 3), int))
    with pytest.raises(InputError, match="num_classes"):
        confusion(np.zeros((1, 2), int), np.zeros((1, 2), int), 0)
    contested = Segmentation.from_masks(np.ones((2, 2, 3), bool))
    with pytest.raises(InputError, match="overlap each other"):
        overlap(contested, one).matrix()
