"""Consensus of annotators: majority, STAPLE and common segments.

The numbers of ``SIMPLEITK`` are those of SimpleITK 2.5.7, got by this script from the maps of ``noisy_disks``::

    images = [sitk.GetImageFromArray(each) for each in noisy_disks(5, 4, num_classes=1)]
    binary = sitk.STAPLEImageFilter()
    binary.SetForegroundValue(1)
    probability = sitk.GetArrayFromImage(binary.Execute(images))
    print(binary.GetSensitivity(), binary.GetSpecificity(), probability.sum(), probability[18, 36])

    images = [sitk.GetImageFromArray(each) for each in noisy_disks(6, 5, num_classes=2)]
    labels = sitk.MultiLabelSTAPLEImageFilter()
    labels.SetLabelForUndecidedPixels(9)
    labels.SetTerminationUpdateThreshold(1e-8)
    print(np.bincount(sitk.GetArrayFromImage(labels.Execute(images)).ravel()))
    print([labels.GetConfusionMatrix(each) for each in range(5)])  # row = said, column = true, a last row unused

    vote = sitk.LabelVotingImageFilter()
    vote.SetLabelForUndecidedPixels(9)
    for count in (5, 4):
        print(np.bincount(sitk.GetArrayFromImage(vote.Execute(images[:count])).ravel()))
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.classes import Class, ClassSet
from smalti.data.consensus import common_segments, majority, match_segments, staple
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.segmentation import Segmentation

ONE, TWO = ClassSet.from_names(["a"]), ClassSet.from_names(["a", "b"])
SIMPLEITK = {
    "sensitivity": [0.9481176076631125, 0.929658645330958, 0.6916151503621691, 0.8842428725603654],
    "specificity": [0.968912263931408, 0.9076395178962825, 0.991848818112739, 0.7704313960541358],
    "sum": 445.81371616226545,
    "pixel": 0.008888010723063583,
    "labels": [1570, 314, 116],
    "confusion": [
        [0.977148381, 0.040182056, 0.00851328, 0.01560017, 0.935499386, 0.122379001]
        + [0.007251449, 0.024318558, 0.869107719],
        [0.904129278, 0.032477963, 0.0, 0.076432759, 0.857996377, 0.112361434]
        + [0.019437964, 0.10952566, 0.887638566],
        [0.992964696, 0.401268878, 0.008739178, 0.001284169, 0.579607689, 0.454609586]
        + [0.005751136, 0.019123433, 0.536651237],
        [0.774522093, 0.074761026, 0.026741178, 0.191637059, 0.601196812, 0.305665345]
        + [0.033840848, 0.324042162, 0.667593477],
        [0.865743195, 0.076220727, 0.055644095, 0.075884549, 0.870196417, 0.08711615]
        + [0.058372256, 0.053582856, 0.857239755],
    ],
    "votes": {5: [1563, 307, 104, 26], 4: [1515, 283, 88, 114]},
}


def noisy_disks(seed, count, num_classes):
    """Maps (40, 50) uint8 of ``count`` annotators who see a disk, of two classes with its core, each elsewhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :50]
    maps = []
    for dy, dx, radius, wrong in [
        (0, 0, 12, 0.02),
        (1, 2, 13, 0.05),
        (-2, 1, 10, 0.01),
        (3, -3, 15, 0.10),
        (0, 1, 12, 0.2),
    ]:
        away = np.hypot(y - 18 - dy, x - 24 - dx)
        labels = (away < radius).astype(np.uint8)
        if len(maps) == count:
            break
        if num_classes == 1:
            labels ^= rng.random(labels.shape) < wrong
        else:
            labels[away < radius / 2] = 2
            slips = rng.random(labels.shape) < wrong
            labels[slips] = rng.integers(0, 3, slips.sum())
        maps.append(labels)
    return maps


def truths_of(maps, classes, void=None, **fields):
    return [Segmentation.from_semantic_map(np.array(each), classes, void=void, **fields) for each in maps]


def test_binary_staple_is_simpleitks():
    found = staple(truths_of(noisy_disks(5, 4, 1), ONE))
    assert found.converged
    assert found.class_ids.tolist() == [0, 1]
    assert np.allclose(found.sensitivity[:, 1], SIMPLEITK["sensitivity"], atol=1e-7)
    assert np.allclose(found.specificity[:, 1], SIMPLEITK["specificity"], atol=1e-7)
    assert np.allclose(found.specificity[:, 1], found.sensitivity[:, 0])
    probability = found.probability(1)
    assert probability.sum(dtype=float) == pytest.approx(SIMPLEITK["sum"], abs=1e-4)
    assert probability[18, 36] == pytest.approx(SIMPLEITK["pixel"], rel=1e-5)
    assert np.array_equal(found.segmentation.semantic_map(), probability > 0.5)


def test_staple_of_several_labels_is_simpleitks():
    found = staple(truths_of(noisy_disks(6, 5, 2), TWO))
    assert np.bincount(found.segmentation.semantic_map().ravel()).tolist() == SIMPLEITK["labels"]
    wanted = np.array(SIMPLEITK["confusion"]).reshape(5, 3, 3).transpose(0, 2, 1)
    assert np.allclose(found.confusion, wanted, atol=1e-6)
    assert np.allclose(sum(found.probability(class_id) for class_id in (0, 1, 2)), 1)


@pytest.mark.parametrize("count", [4, 5])
def test_majority_is_simpleitks_with_ties_void(count):
    vote = majority(truths_of(noisy_disks(6, 5, 2)[:count], TWO))
    counts = np.bincount(vote.semantic_map(void=3).ravel())
    assert counts.tolist() == SIMPLEITK["votes"][count]


def slow_staple(maps, void, num_labels, iterations):
    """The equations of Warfield et al. 2004, pixel by pixel in float64, an annotator's void being no evidence."""
    maps = [np.ravel(each) for each in maps]
    weights = np.stack([sum((m == s).astype(float) for m in maps) for s in range(num_labels)], axis=1)
    prior = weights.sum(axis=0) / weights.sum()
    judged = weights.sum(axis=1) > 0
    weights[judged] /= weights[judged].sum(axis=1, keepdims=True)
    for _ in range(iterations):
        confusion = []
        for m in maps:
            seen = judged & (m != void)
            table = np.array(
                [
                    [weights[seen & (m == said), true].sum() for said in range(num_labels)]
                    for true in range(num_labels)
                ]
            )
            confusion.append(table / table.sum(axis=1, keepdims=True))
        weights = np.tile(prior, (len(maps[0]), 1))
        for m, table in zip(maps, confusion, strict=True):
            seen = m != void
            weights[seen] *= table[:, m[seen]].T
        weights /= weights.sum(axis=1, keepdims=True)
    return np.array(confusion), weights


def test_void_is_no_evidence_and_no_vote():
    maps = noisy_disks(6, 4, 2)
    rng = np.random.default_rng(1)
    for each in maps:
        each[rng.random(each.shape) < 0.2] = 9
        each[:3, :3] = 9
    truths = truths_of(maps, TWO, void=9)
    found = staple(truths, max_iterations=7, tolerance=0)
    confusion, weights = slow_staple(maps, 9, 3, 7)
    assert (found.iterations, found.converged) == (7, False)
    assert np.allclose(found.confusion, confusion)
    assert np.allclose(found.probability(2).ravel(), weights[:, 2], atol=1e-6)
    for consensus in (found.segmentation, majority(truths)):
        assert consensus.void[:3, :3].all()
    alone = np.array([[1, 9, 9], [2, 9, 9]])
    assert (
        majority(truths_of([alone, alone[::-1] * 0 + 9], TWO, void=9)).semantic_map(void=9).tolist()
        == alone.tolist()
    )


def test_a_prior_may_be_given_in_part():
    truths = truths_of(noisy_disks(6, 5, 2), TWO)
    assert np.allclose(staple(truths, {0: 0.7, 1: 0.2, 2: 0.1}).prior, [0.7, 0.2, 0.1])
    part = staple(truths, {2: 0.5}).prior
    assert part[2] == 0.5
    assert part.sum() == pytest.approx(1)
    own = staple(truths).prior
    assert part[0] / part[1] == pytest.approx(own[0] / own[1])
    for wrong in ({1: 1.5}, {1: -0.1}, {0: 0.1, 1: 0.1, 2: 0.1}):
        with pytest.raises(InputError, match="sum to 1"):
            staple(truths, wrong)


def test_who_is_wrong_is_found_out():
    maps = noisy_disks(6, 5, 2)
    found = staple(truths_of(maps, TWO))
    right = [np.mean(each == found.segmentation.semantic_map()) for each in maps]
    mean_sensitivity = found.sensitivity @ found.prior
    assert int(np.argmin(right)) == int(np.argmin(mean_sensitivity)) == 3


def test_volumes_and_one_annotator():
    volume = np.random.default_rng(0).integers(0, 3, (3, 4, 5))
    spacing = Geometry((3, 1, 1), "mm")
    (truth,) = truths_of([volume], TWO, geometry=spacing)
    for consensus in (majority([truth]), staple([truth] * 3).segmentation):
        assert np.array_equal(consensus.semantic_map(), volume)
        assert consensus.geometry is spacing


def test_truths_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="share shape"):
        majority(
            [Segmentation.from_labels(np.ones((2, 2), int)), Segmentation.from_labels(np.ones((2, 3), int))]
        )
    with pytest.raises(InputError, match="1 or more"):
        majority([])
    with pytest.raises(InputError, match="void everywhere"):
        staple(truths_of([np.full((2, 2), 9)] * 2, ONE, void=9))
    with pytest.raises(InputError, match="nobody used class 2"):
        staple(truths_of([np.ones((2, 2), int)] * 2, TWO)).probability(2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_majority_is_counting(seed, annotators):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 4, (annotators, 4, 5))  # 3 is void
    counts = np.stack([(maps == label).sum(axis=0) for label in range(3)])
    best = counts.max(axis=0)
    wanted = np.where((counts == best).sum(axis=0) == 1, counts.argmax(axis=0), 3)
    assert np.array_equal(majority(truths_of(maps, TWO, void=3)).semantic_map(void=3), wanted)


# Segments in common


def boxes(*places, size=(20, 30), class_ids=None, classes=None, **fields):
    """One segment per (top, left, height, width); they may overlap."""
    masks = np.zeros((len(places), *size), bool)
    for mask, (top, left, height, width) in zip(masks, places, strict=True):
        mask[top : top + height, left : left + width] = True
    return Segmentation.from_masks(masks, shape=size, class_ids=class_ids, classes=classes, **fields)


def test_objects_that_half_found_and_pixels_of_most_finders():
    truths = [
        boxes((2, 2, 6, 6), (12, 20, 4, 4)),
        boxes((2, 3, 6, 6)),
        boxes((2, 2, 6, 7), (12, 20, 4, 4)),
        boxes((15, 2, 3, 3)),
    ]
    found = common_segments(truths)
    assert len(found) == 2
    assert found.boxes.tolist() == [[2, 2, 8, 9], [12, 20, 16, 24]]
    assert found.attributes["found_by"].tolist() == [3, 2]
    assert found.scores.tolist() == [1, 1]
    assert not found.void_px
    assert len(common_segments(truths, min_share=0.75)) == 1
    assert len(common_segments(truths, min_share=0.25)) == 3
    with pytest.raises(InputError, match="min_share"):
        common_segments(truths, min_share=0)


def test_the_pixels_of_half_the_finders_are_void():
    found = common_segments([boxes((2, 2, 6, 6)), boxes((2, 3, 6, 6))])
    assert found.boxes.tolist() == [[2, 3, 8, 8]]
    assert np.argwhere(found.void).min(axis=0).tolist() == [2, 2]
    assert found.void_px == 12


def test_the_class_most_finders_say():
    truths = [boxes((2, 2, 6, 6), class_ids=[k], classes=TWO) for k in (2, 1, 2)]
    assert common_segments(truths).class_ids.tolist() == [2]
    assert common_segments(truths[1:]).class_ids.tolist() == [1]


def test_who_could_not_see_does_not_count():
    hidden = np.zeros((20, 30), bool)
    hidden[:10] = True
    truths = [boxes((2, 2, 6, 6)), boxes(void=hidden), boxes(void=hidden)]
    found = common_segments(truths)
    assert found.boxes.tolist() == [[2, 2, 8, 8]]
    assert len(common_segments([truths[0], boxes(), boxes()])) == 0
    crowd = boxes((0, 0, 10, 30), attributes={"crowd": [True]})
    assert common_segments([truths[0], crowd, crowd]).boxes.tolist() == [[2, 2, 8, 8]]


def test_stuff_is_one_object_and_nothing_overlaps():
    classes = ClassSet([Class(1, "sky", (0, 0, 255), False), Class(2, "car", (255, 0, 0))])
    rows = [[1, 1, 1, 1, 2, 2, 0, 0], [1, 1, 0, 0, 2, 2, 2, 0], [1, 1, 0, 0, 0, 0, 2, 2]]
    truths = [Segmentation.from_labels(np.array([row]), class_ids=[1, 2], classes=classes) for row in rows]
    found = common_segments(truths)
    assert not found.overlapping
    assert found.class_ids.tolist() == [1, 2]
    assert found.mask(1).tolist() == [[True, True] + [False] * 6]
    assert found.mask(2).tolist() == [[False] * 4 + [True, True, False, False]]


def test_one_annotator_never_has_two_segments_in_one_object():
    rng = np.random.default_rng(2)
    truths = [
        boxes(*((int(top), int(left), 6, 6) for top, left in rng.integers(0, 14, (8, 2)))) for _ in range(4)
    ]
    numbers = match_segments(truths, min_iou=0.2)
    for column in numbers:
        assert len(np.unique(column)) == len(column)
    every = np.unique(np.concatenate(numbers))
    assert every.tolist() == list(range(1, len(every) + 1))
    assert len(every) < 32


def test_cells_in_volumes():
    masks = np.zeros((2, 6, 8, 9), bool)
    masks[0, 1:4, 2:5, 2:5], masks[1, 3:5, 5:8, 6:9] = True, True
    truth = Segmentation.from_masks(masks)
    found = common_segments([truth] * 3)
    assert np.array_equal(np.stack(list(found.masks())), masks)
