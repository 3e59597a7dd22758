"""Scores of thin structures against their definitions, on lines that can be checked by eye."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from skimage.morphology import skeletonize

from smalti.classes import ClassSet
from smalti.errors import InputError, UnknownName
from smalti.geometry import Geometry
from smalti.metrics.pair import Pair
from smalti.metrics.thin import (
    ClDice,
    ToleranceF1,
    center_lines,
    cl_dice,
    near_pixels,
    skeleton,
    tolerance_f1,
)
from smalti.segmentation import Segmentation

TWO = ClassSet.from_names(["a", "b"])


def of(semantic_map, geometry=None, void=None):
    return Segmentation.from_semantic_map(np.asarray(semantic_map), TWO, geometry=geometry, void=void)


def road(row, width=3, start=2, stop=38, shape=(24, 40)):
    mask = np.zeros(shape, bool)
    mask[row - width // 2 : row + width // 2 + 1, start:stop] = True
    return mask


def blobs(seed, shape):
    noise = np.random.default_rng(seed).random(shape)
    for axis in [*range(len(shape))] * 2:
        noise = sum(np.roll(noise, step, axis) for step in (-1, 0, 1)) / 3
    return noise > np.median(noise)


@pytest.mark.parametrize("shape", [(30, 40), (8, 16, 18)])
@pytest.mark.parametrize("seed", range(4))
def test_cl_dice_is_that_of_the_paper(shape, seed):
    truth, predicted = blobs(seed, shape), blobs(seed + 50, shape)
    line, other = skeletonize(truth) > 0, skeletonize(predicted) > 0
    precision, sensitivity = (other & truth).sum() / other.sum(), (line & predicted).sum() / line.sum()
    found = center_lines(of(truth), of(predicted))
    assert found.topology_precision[0] == pytest.approx(precision)
    assert found.topology_sensitivity[0] == pytest.approx(sensitivity)
    assert found.cl_dice[0] == pytest.approx(2 * precision * sensitivity / (precision + sensitivity))
    assert np.isnan(found.cl_dice[1])


def test_cl_dice_is_blind_to_width_and_sees_a_gap():
    truth, wide, gap = road(12), road(12, 7), road(12)
    gap[:, 18:26] = False
    assert cl_dice(of(truth), of(wide))[0] > 0.9 > (truth & wide).sum() / (truth | wide).sum()
    found = center_lines(of(truth), of(gap))
    assert found.topology_precision[0] == 1
    assert found.topology_sensitivity[0] < 0.8


@pytest.mark.parametrize("of_", ["pixels", "skeleton"])
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999), tolerance=st.sampled_from([0, 1, 1.5, 3]), shape=st.sampled_from([(12, 15), (5, 8, 9)])
)  # fmt: skip
def test_tolerance_f1_of_every_pair_of_pixels(of_, seed, tolerance, shape):
    sides = [blobs(seed + k, shape) for k in (0, 5000)]
    lines = [skeletonize(side) > 0 if of_ == "skeleton" else side for side in sides]
    assume(all(line.any() for line in lines))  # of some volumes skimage leaves no skeleton at all
    apart = cdist(*(np.argwhere(line).astype(float) for line in lines))
    recall, precision = ((apart.min(axis=axis) <= tolerance + 1e-9).mean() for axis in (1, 0))
    found = near_pixels(*map(of, sides), tolerance, of=of_)
    assert found.precision[0] == pytest.approx(precision)
    assert found.recall[0] == pytest.approx(recall)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
    assert found.f1[0] == pytest.approx(f1)


def test_a_shifted_crack_is_found_within_the_tolerance():
    truth, shifted = of(road(10, 1)), of(road(13, 1))
    assert tolerance_f1(truth, shifted, 3)[0] == 1
    assert tolerance_f1(truth, shifted, 2)[0] == 0
    geometry = Geometry((0.5, 2.0), "m")
    truth, shifted = of(road(10, 1), geometry), of(road(13, 1), geometry)
    assert tolerance_f1(truth, shifted, "1.5m")[0] == 1
    assert tolerance_f1(truth, shifted, "1.4m")[0] == 0
    with pytest.raises(InputError, match="spacing, which is unknown"):
        tolerance_f1(of(road(10)), of(road(10)), "1m")


def test_skeletons_count_no_width():
    truth, wide = of(road(12, 3)), of(road(12, 9))
    assert tolerance_f1(truth, wide, 1)[0] < 0.8
    assert tolerance_f1(truth, wide, 1, of="skeleton")[0] > 0.9


@pytest.mark.parametrize("score", [cl_dice, tolerance_f1])
def test_perfect_empty_and_one_side_alone(score):
    something, nothing = of(road(12)), of(np.zeros((24, 40), int))
    assert score(something, something).tolist()[0] == 1
    assert np.isnan(score(nothing, nothing)).all()
    assert score(something, nothing)[0] == score(nothing, something)[0] == 0
    first, second = of(road(12)), of(road(13))
    assert score(first, second)[0] == score(second, first)[0]


def test_void_belongs_to_neither():
    half = road(12).astype(int)
    half[:, 20:] = 2
    truth = Segmentation.from_semantic_map(half, ClassSet.from_names(["a"]), void=2)
    predicted = Segmentation.from_semantic_map(road(12), ClassSet.from_names(["a"]))
    for score in (cl_dice, tolerance_f1):
        assert score(truth, predicted)[0] == score(predicted, truth)[0] == 1
    assert near_pixels(truth, predicted).predicted[0] == 3 * 18


def test_a_single_pixel_and_nothing_have_a_skeleton():
    dot = np.zeros((5, 6), bool)
    assert not skeleton(dot).any()
    dot[4, 5] = True
    assert np.array_equal(skeleton(dot), dot)


def test_only_known_kinds_of_pixels():
    with pytest.raises(UnknownName, match="pixels, skeleton"):
        tolerance_f1(of(road(3)), of(road(3)), of="edges")
    with pytest.raises(UnknownName):
        ToleranceF1(of="edges")


def test_cl_dice_of_a_set_is_the_mean_of_its_images():
    gap = road(12)
    gap[:, 10:30] = False
    nothing = np.zeros((24, 40), int)
    pairs = [Pair(of(road(12)), of(other)) for other in (road(12), gap, nothing)]
    metric = ClDice()
    kept = [metric.keep(pair) for pair in pairs]
    found = metric.score(kept, np.array([[1.0, 1, 1], [3, 1, 0]]))
    assert set(found) == {score.name for score in metric.scores}
    each = [cl_dice(pair.truth, pair.predicted)[0] for pair in pairs]
    assert found["cldice"] == pytest.approx([np.mean(each), (3 * each[0] + each[1]) / 4])
    assert found["topology_precision"] == pytest.approx([1, 1])  # the third image predicts nothing
    assert found["topology_sensitivity_of_class"][:, 0] == pytest.approx(
        [np.mean([k[0, 2] for k in kept]), (3 * kept[0][0, 2] + kept[1][0, 2]) / 4]
    )
    assert np.isnan(found["cldice_of_class"][:, 1]).all()


def test_tolerance_f1_of_a_set_is_that_of_its_pixels_together():
    pairs = [Pair(of(road(10, 1)), of(road(11, 1))), Pair(of(road(10, 1)), of(road(15, 3, stop=20)))]
    metric = ToleranceF1(tolerance=1)
    kept = [metric.keep(pair) for pair in pairs]
    found = metric.score(kept, np.array([[1.0, 1], [1, 0], [0, 1]]))
    assert set(found) == {score.name for score in metric.scores}
    assert found["tolerance_precision"] == pytest.approx([36 / (36 + 54), 1, 0])
    assert found["tolerance_recall"] == pytest.approx([0.5, 1, 0])
    assert found["tolerance_f1"] == pytest.approx([2 * 0.4 * 0.5 / 0.9, 1, 0])
    together = near_pixels(pairs[0].truth, pairs[0].predicted, 1) + near_pixels(
        pairs[1].truth, pairs[1].predicted, 1
    )
    assert together.f1[0] == pytest.approx(found["tolerance_f1_of_class"][0, 0])


@pytest.mark.parametrize("metric", [ClDice(), ToleranceF1()])
def test_a_thousand_resamples_of_many_images(metric):
    kept = [metric.keep(Pair(of(road(12)), of(road(row)))) for row in (11, 12, 13)]
    many = [kept[k % 3] for k in range(600)]
    weights = np.random.default_rng(0).multinomial(600, np.full(600, 1 / 600), 1000).astype(float)
    scores = metric.score(many, weights)
    assert scores[metric.headline].shape == (1000,)
    assert scores[f"{metric.headline}_of_class"].shape == (1000, 2)
