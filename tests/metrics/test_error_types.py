"""Every segment is in one state, and mending a type of error gains what it cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.classes import Class, ClassSet
from smalti.metrics.error_types import FOUND, STATES, TYPES, ErrorTypes, segment_states
from smalti.metrics.pair import Pair
from smalti.metrics.panoptic import panoptic_quality
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(1, "cell", (255, 0, 0)), Class(2, "dirt", (0, 255, 0))])


def boxes(*given, void=None, crowd=None):
    """Segments as (class, top, left, bottom, right) in an image of 40 x 40."""
    masks = np.zeros((len(given), 40, 40), bool)
    for mask, (_, top, left, bottom, right) in zip(masks, given, strict=True):
        mask[top:bottom, left:right] = True
    attributes = {} if crowd is None else {"crowd": np.array(crowd)}
    return Segmentation.from_masks(
        masks,
        class_ids=[each[0] for each in given],
        classes=CLASSES,
        void=void,
        attributes=attributes,
        shape=(40, 40),
    )


def states(truth, predicted):
    return [[STATES[code] for code in side.state] for side in segment_states(Pair(truth, predicted))]


CASES = {
    "found": ([(1, 5, 5, 15, 15)], [(1, 6, 5, 15, 15)], ["found"], ["found"]),
    "missed and hallucinated": (
        [(1, 5, 5, 15, 15)],
        [(1, 25, 25, 35, 35)],
        ["missed"],
        ["hallucinated"],
    ),
    "wrong class": ([(1, 5, 5, 15, 15)], [(2, 5, 5, 15, 14)], ["wrong class"], ["wrong class"]),
    "poor boundary": ([(1, 5, 5, 15, 15)], [(1, 10, 5, 20, 15)], ["poor boundary"], ["poor boundary"]),
    "split": (
        [(1, 5, 5, 15, 15)],
        [(1, 5, 5, 10, 15), (1, 10, 5, 15, 14)],
        ["split"],
        ["split", "split"],
    ),
    "merged": (
        [(1, 5, 5, 15, 15), (1, 15, 5, 25, 15)],
        [(1, 5, 5, 25, 15)],
        ["merged", "merged"],
        ["merged"],
    ),
    "merged into a larger one": (
        [(1, 5, 5, 25, 15), (1, 25, 5, 30, 15)],
        [(1, 5, 5, 30, 15)],
        ["found", "merged"],
        ["found"],
    ),
    "duplicate": (
        [(1, 5, 5, 15, 15)],
        [(1, 5, 5, 15, 15), (1, 6, 6, 10, 10)],
        ["found"],
        ["found", "duplicate"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_type_is_told(case):
    truth, predicted, wanted, other_wanted = CASES[case]
    assert states(boxes(*truth), boxes(*predicted)) == [wanted, other_wanted]


def test_void_and_crowds_excuse():
    void = np.zeros((40, 40), bool)
    void[20:] = True
    truth = boxes((1, 5, 5, 15, 15), (1, 0, 20, 18, 40), void=void, crowd=[False, True])
    predicted = boxes((1, 5, 5, 15, 15), (1, 25, 5, 35, 15), (1, 2, 22, 8, 30))
    assert states(truth, predicted) == [["found", "crowd"], ["found", "void", "crowd"]]


def test_segments_at_the_border_are_marked():
    (truth, _) = segment_states(Pair(boxes((1, 0, 5, 5, 15), (1, 5, 5, 15, 15)), boxes()))
    assert truth.at_border.tolist() == [True, False]


@pytest.mark.parametrize("case", [name for name in CASES if name != "found"])
def test_mending_the_only_type_of_error_leaves_no_false_ones(case):
    truth, predicted = boxes(*CASES[case][0]), boxes(*CASES[case][1])
    metric = ErrorTypes(CLASSES)
    scores = metric.score([metric.keep(Pair(truth, predicted))], np.ones((1, 1)))
    quality = panoptic_quality(truth, predicted)
    gains = {kind: scores[f"gain_{kind.replace(' ', '_')}"][0] for kind in TYPES}
    kinds = [kind for kind in TYPES if scores[f"count_{kind.replace(' ', '_')}"][0]]
    assert set(kinds) == set(CASES[case][2] + CASES[case][3]) - {"found"}
    if len(kinds) == 1:
        found = quality.found.sum()
        usual = quality.matched_iou.sum() / found if found else 1.0
        assert quality.pq + gains[kinds[0]] == pytest.approx(usual if quality.found.any() else 1.0)


labels = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed))


@given(rng=labels)
def test_counts_agree_with_panoptic_quality(rng):
    def side():
        grid = rng.integers(0, 5, (6, 6)).repeat(3, axis=0).repeat(3, axis=1)
        void = rng.random((6, 6)).repeat(3, axis=0).repeat(3, axis=1) < 0.1
        return Segmentation.from_labels(grid, class_ids=[1, 1, 2, 2], classes=CLASSES, void=void)

    truth, predicted = side(), side()
    quality = panoptic_quality(truth, predicted)
    states, others = segment_states(Pair(truth, predicted))
    wrong = np.isin(states.state, [STATES.index(kind) for kind in TYPES])
    false = np.isin(others.state, [STATES.index(kind) for kind in TYPES])
    assert states.are(FOUND).sum() == others.are(FOUND).sum() == quality.found.sum()
    assert wrong.sum() == quality.missed.sum()
    assert false.sum() == quality.extra.sum()
    metric = ErrorTypes(CLASSES)
    kept = metric.keep(Pair(truth, predicted))
    scores = metric.score([kept, kept], np.array([[1.0, 0.0], [1.0, 1.0]]))
    assert all(
        (scores[name][0] == pytest.approx(scores[name][1])) for name in scores if name.startswith("gain")
    )
