"""COCO's numbers against pycocotools, hotcoco, and the rules of boundary AP and void written out."""

import json
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.metrics.average_precision import (
    AveragePrecision,
    BoundaryAveragePrecision,
    average_precision,
    hotcoco_average_precision,
)
from smalti.metrics.pair import Pair
from smalti.segmentation import Segmentation

GOLDEN = Path(__file__).parents[1] / "golden"
MADE = runpy.run_path(str(GOLDEN / "make_coco_ap.py"))
KEPT = json.loads((GOLDEN / "coco_ap.json").read_text())["numbers"]
CLASSES = ClassSet([Class(3, "cat", (255, 0, 0)), Class(1, "grass", (0, 255, 0), False)])


def of(masks, class_ids=None, **fields):
    masks = np.array(masks, bool)
    class_ids = [3] * len(masks) if class_ids is None else class_ids
    return Segmentation.from_masks(
        masks, shape=masks.shape[1:], class_ids=class_ids, classes=CLASSES, **fields
    )


def block(y, x, height, width, shape=(40, 40)):
    mask = np.zeros(shape, bool)
    mask[y : y + height, x : x + width] = True
    return mask


@pytest.mark.parametrize("case", MADE["CASES"])
def test_numbers_are_those_of_pycocotools(case):
    theirs = np.array(KEPT[case])
    theirs[theirs < 0] = np.nan
    ours = np.array(list(average_precision(MADE["pairs"](**MADE["CASES"][case])).values()))
    assert np.allclose(ours, theirs, rtol=0, atol=1e-12, equal_nan=True)


@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(30, 40), (120, 100)]),
    crowds=st.sampled_from([0, 0.3]),
    empty=st.sampled_from([0, 0.4]),
    levels=st.integers(0, 4),
    false_alarms=st.sampled_from([0, 5, 130]),
    num_classes=st.integers(1, 3),
)
@settings(max_examples=15)
def test_numbers_are_those_of_hotcoco(seed, shape, **case):
    pairs = MADE["pairs"](seed, images=4, shape=shape, sides=(2, min(shape) // 2), **case)
    ours, theirs = average_precision(pairs), hotcoco_average_precision(pairs)
    assert list(ours) == list(theirs)
    assert np.allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-12, equal_nan=True)


def test_weights_are_repeated_images():
    pairs = MADE["pairs"](11, images=6, crowds=0.1)
    metric = AveragePrecision()
    kept = [metric.keep(pair) for pair in pairs]
    weights = np.array([[1.0] * 6, [0, 3, 1, 0, 2, 0], [2] * 6])
    together = metric.score(kept, weights)
    for draw, row in enumerate(weights.astype(int)):
        repeated = [one for one, times in zip(kept, row, strict=True) for _ in range(times)]
        alone = metric.score(repeated, np.ones((1, len(repeated))))
        for name in alone:
            assert np.allclose(together[name][draw], alone[name][0], atol=1e-12, equal_nan=True), name
    assert all(np.allclose(values[0], values[2], equal_nan=True) for values in together.values())


def test_metrics_give_the_scores_they_name_and_travel():
    pairs = MADE["pairs"](12, images=3)
    for metric in (AveragePrecision(), BoundaryAveragePrecision()):
        kept = pickle.loads(pickle.dumps([metric.keep(pair) for pair in pairs]))
        scores = pickle.loads(pickle.dumps(metric)).score(kept, np.ones((2, 3)))
        assert set(scores) == {score.name for score in metric.scores} and metric.headline in scores
        for score in metric.scores:
            assert scores[score.name].shape == ((2, 4) if score.per_class else (2,))
        by_class = scores[f"{metric.headline}_of_class"]
        assert scores[metric.headline] == pytest.approx(np.nanmean(by_class, axis=1))


def test_same_is_one_and_a_miss_is_nought():
    cat = of([block(2, 2, 20, 20)])
    same = np.array(list(average_precision([Pair(cat, cat)]).values()))
    assert same[~np.isnan(same)] == pytest.approx(1) and np.isnan(same).sum() == 4  # no medium or large one
    missed = average_precision([Pair(cat, of(np.zeros((0, 40, 40))))])
    assert missed["ap"] == missed["ar100"] == 0


def test_a_sure_mistake_halves_the_precision():
    truth = of([block(0, 0, 10, 10)])
    detections = [block(0, 0, 10, 10), block(20, 20, 10, 10)]
    assert average_precision([Pair(truth, of(detections, scores=[0.9, 0.8]))])["ap"] == pytest.approx(1)
    assert average_precision([Pair(truth, of(detections, scores=[0.8, 0.9]))])["ap"] == pytest.approx(0.5)


def test_stuff_is_left_out():
    grass = of([block(0, 0, 10, 10), block(20, 0, 10, 10)], [1, 3])
    scores = AveragePrecision().score([AveragePrecision().keep(Pair(grass, grass))], np.ones((1, 1)))
    assert scores["ap_of_class"][0, 0] == pytest.approx(1) and np.isnan(scores["ap_of_class"][0, 1])


def test_void_excuses_detections_and_objects_in_it():
    void = block(20, 0, 20, 40)
    truth = of([block(0, 0, 10, 10), block(15, 20, 12, 10)], void=void)
    detections = of([block(0, 0, 10, 10), block(25, 0, 10, 10)], scores=[0.5, 0.9])
    assert average_precision([Pair(truth, detections)])["ap"] == pytest.approx(1)
    assert average_precision([Pair(truth, detections.replace(void=None))])["ar100"] == 1
    seen = average_precision([Pair(truth.replace(void=None), detections)])
    assert seen["ap"] == pytest.approx(0.5 * 51 / 101)  # one of two objects, after a mistake


def test_boundary_ap_needs_the_outline():
    shape = (200, 200)
    truth = of([block(20, 20, 100, 100, shape)])
    close = of([block(22, 22, 96, 96, shape)])  # IoU 0.92; bands 6 wide share (4 * 94 - 16) * 4 pixels or so
    masks = average_precision([Pair(truth, close)])
    outlines = average_precision([Pair(truth, close)], boundary=True)
    assert masks["ap"] == pytest.approx(0.9)
    # A 6-pixel band of each square; of the inner one 4 of 6 rings lie in the outer one's.
    rings = [100**2 - 88**2, 96**2 - 84**2]
    shared = 96**2 - 88**2
    reached = np.linspace(0.5, 0.95, 10) <= shared / (sum(rings) - shared)
    assert outlines["ap"] == pytest.approx(reached.mean()) and 0 < reached.mean() < 0.9


@pytest.mark.parametrize("seed", range(3))
def test_bands_are_what_repeated_erosion_of_whole_masks_takes_away(seed):
    from scipy.ndimage import binary_erosion

    from smalti.metrics.average_precision import _boundary_ious

    rng = np.random.default_rng(seed)
    made = MADE["pairs"](seed, images=1, shape=(150, 200), sides=(8, 90), crowds=0.3)[0]
    rows = rng.integers(1, len(made.truth) + 1, 30)
    columns = rng.integers(1, len(made.predicted) + 1, 30)
    width = round(0.02 * np.hypot(150, 200))
    ious = []
    for row, column in zip(rows, columns, strict=True):
        bands = []
        for mask in (made.truth.mask(int(row)), made.predicted.mask(int(column))):
            bands.append(mask & ~binary_erosion(mask, np.ones((3, 3)), width))
        shared = (bands[0] & bands[1]).sum()
        ious.append(shared / (bands[0] | bands[1]).sum())
    assert np.allclose(_boundary_ious(made, rows, columns), ious)


def test_a_detection_in_a_crowd_is_excused_by_its_mask():
    shape = (200, 200)
    masks = [block(0, 0, 180, 180, shape), block(185, 185, 10, 10, shape)]
    truth = of(masks, attributes={"crowd": [True, False]})
    inside = of([block(60, 60, 40, 40, shape), masks[1]], scores=[0.9, 0.5])
    assert average_precision([Pair(truth, inside)], boundary=True)["ap"] == pytest.approx(1)


def test_boundary_of_the_image_is_outline_and_that_of_void_is_none():
    truth = of([block(0, 0, 40, 20)], void=block(0, 20, 40, 20))
    assert average_precision([Pair(truth, of([block(0, 0, 40, 24)]))], boundary=True)["ap"] == pytest.approx(
        1
    )


def test_volumes_are_taken():
    solid = np.zeros((1, 6, 12, 12), bool)
    solid[:, 1:5, 2:9, 2:9] = True
    for boundary in (False, True):
        assert average_precision([Pair(of(solid), of(solid))], boundary)["ap"] == pytest.approx(1)


def test_what_cannot_be_scored_is_refused():
    cat = of([block(0, 0, 10, 10)])
    other = cat.replace(classes=ClassSet([Class(3, "dog", (0, 0, 0))]))
    with pytest.raises(InputError, match="at least one Pair"):
        average_precision([])
    with pytest.raises(InputError, match="same classes"):
        average_precision([Pair(cat, cat), Pair(other, other)])
    void = cat.replace(void=block(0, 0, 1, 1))
    with pytest.raises(InputError, match="without void"):
        hotcoco_average_precision([Pair(void, cat)])
