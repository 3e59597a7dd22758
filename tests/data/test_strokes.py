"""Simulated strokes: on what they say they are on, spread over the classes, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from scenery import LAND
from scipy.ndimage import label

from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.data.scenes import SCENES, make_scene, scene_classes, scenes
from smalti.data.strokes import scribbled, strokes
from smalti.errors import InputError
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CELL = ClassSet.from_names(["cell"])


def said(truth):
    """What a scribble may say at each pixel: -1 background, k class k, 0 nothing where it is void."""
    return np.where(truth.void, 0, truth.semantic_map(background=-1))


@pytest.fixture(params=SCENES)
def truth(request):
    size = {"size_dhw": (6, 64, 80)} if request.param == "volume" else {"size_hw": (96, 128)}
    return make_scene(request.param, 1, seed=4, task="instance", **size).truth


def test_no_stroke_touches_another_class_or_void(truth):
    rng = np.random.default_rng(0)
    void = rng.random(truth.shape) < 0.02
    truth = truth.replace(void=void)
    for seed in range(5):
        drawn = strokes(truth, 20, seed=seed, width_px=4)
        assert drawn.any()
        assert drawn.dtype == np.int32 and drawn.shape == truth.shape
        assert (drawn[drawn != 0] == said(truth)[drawn != 0]).all()


def test_every_class_has_a_stroke_while_strokes_last(truth):
    present = np.unique(said(truth))
    drawn = strokes(truth, max(10, len(present)), seed=0)
    assert set(np.unique(drawn)) == {0, *present.tolist()}


def test_the_rest_goes_to_large_classes_by_the_root_of_their_area():
    labels = np.ones((200, 340), np.uint8)
    labels[:, 20:] = 2  # 16 times as large: of 20 strokes more it has 16
    classes = ClassSet.from_names(["narrow", "wide"])
    truth = Segmentation.from_labels(labels, class_ids=[1, 2], classes=classes)
    counts = np.zeros(2)
    for seed in range(5):
        drawn = strokes(truth, 22, seed=seed, width_px=1, length_px=1)
        counts += [np.count_nonzero(drawn == k) for k in (1, 2)]
    assert 0.7 < counts[1] / counts.sum() < 0.85  # by the area it would be 0.9


def test_with_more_classes_than_strokes_every_class_comes_up_in_some_image():
    squares = np.arange(1, 26).reshape(5, 5).repeat(20, axis=0).repeat(20, axis=1)
    classes = ClassSet.from_names([f"class {k}" for k in range(25)])
    truth = Segmentation.from_semantic_map(squares, classes)
    found = [set(np.unique(strokes(truth, 10, seed=seed))) - {0} for seed in range(20)]
    assert {len(each) for each in found} == {10}
    assert set.union(*found) == set(range(1, 26))


def test_strokes_are_lines_away_from_the_edge_of_large_segments():
    labels = np.zeros((200, 300), np.uint8)
    labels[20:180, 30:270] = 1
    for seed in range(10):
        drawn = strokes(Segmentation.from_labels(labels), 1, seed=seed, background=False, length_px=60)
        y, x = np.nonzero(drawn)
        assert y.min() >= 22 and y.max() < 178 and x.min() >= 32 and x.max() < 268
        assert label(drawn, np.ones((3, 3)))[1] == 1
        assert 60 <= len(y) <= 400  # 3 pixels wide, 30 to 90 long and rounded at both ends
        assert np.ptp(y) + np.ptp(x) > 15


def test_wider_and_longer_strokes_cover_more():
    truth = Segmentation.from_labels(np.ones((200, 200), np.uint8))
    covered = [
        np.count_nonzero(strokes(truth, 10, seed=1, width_px=width, length_px=length))
        for width, length in ((3, 20), (7, 20), (7, 80))
    ]
    assert covered[0] * 1.5 < covered[1] and covered[1] * 1.5 < covered[2]


def test_small_and_thin_segments_are_drawn_in():
    labels = np.zeros((40, 60), np.uint8)
    labels[5, 7] = 1  # one pixel
    labels[20, 5:55] = 2  # a crack
    truth = Segmentation.from_labels(labels)
    drawn = strokes(truth, 40, seed=0)
    assert drawn[5, 7] == 1
    assert np.count_nonzero(drawn[20] == 1) >= 10
    assert np.count_nonzero(drawn == 1) == drawn[5, 7] + np.count_nonzero(drawn[20] == 1)


def test_segments_without_a_stroke_come_first():
    labels = np.arange(1, 13).reshape(3, 4).repeat(16, axis=0).repeat(16, axis=1)
    truth = Segmentation.from_labels(labels)
    counts = [len(np.unique(labels[strokes(truth, 12, seed=seed) == 1])) for seed in range(8)]
    assert np.mean(counts) >= 9.5  # with no memory it would be 7.8: 12 (1 - (11 / 12)^12)


def test_strokes_of_a_volume_lie_in_slices():
    labels = np.zeros((12, 50, 50), np.uint8)
    labels[3:9, 5:45, 5:45] = 1
    drawn = strokes(Segmentation.from_labels(labels), 3, seed=0, background=False)
    slices = np.flatnonzero((drawn == 1).any(axis=(1, 2)))
    assert 1 <= len(slices) <= 3 and slices.min() >= 3 and slices.max() < 9
    assert label(drawn, np.ones((3, 3, 3)))[1] <= 3


def test_the_seed_decides():
    truth = make_scene("cells", 0, seed=1).truth
    assert np.array_equal(strokes(truth, 10, seed=3), strokes(truth, 10, seed=3))
    assert not np.array_equal(strokes(truth, 10, seed=3), strokes(truth, 10, seed=4))


def test_background_is_left_out_when_it_is_not_wanted():
    truth = make_scene("cells", 0, seed=1, task="instance").truth
    assert strokes(truth, 10, seed=0).min() == -1
    assert strokes(truth, 10, seed=0, background=False).min() == 0


def test_where_nothing_is_known_nothing_is_drawn():
    nothing = Segmentation.from_labels(np.zeros((9, 9), np.uint8))
    assert not strokes(nothing, 10, seed=0, background=False).any()
    assert not strokes(nothing.replace(void=np.ones((9, 9), bool)), 10, seed=0).any()


def test_overlapping_segments_and_touching_ones_are_drawn_in():
    masks = np.zeros((2, 40, 60), bool)
    masks[0, :, :40], masks[1, :, 20:] = True, True
    truth = Segmentation.from_masks(masks, class_ids=[1, 3], scores=[0.5, 1], classes=LAND)
    drawn = strokes(truth, 20, seed=0)
    assert set(np.unique(drawn)) == {0, 1, 3}
    assert not (drawn[:, 20:] == 1).any() and not (drawn[:, :20] == 3).any()


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"width_px": 0}, {"length_px": 0}, {"length_px": float("nan")}]
)
def test_settings_out_of_bounds_are_refused(wrong):
    truth = Segmentation.from_labels(np.ones((5, 5), np.uint8))
    with pytest.raises(InputError, match=next(iter(wrong))):
        strokes(truth, seed=0, **wrong)
    with pytest.raises(InputError, match=next(iter(wrong))):
        scribbled(Dataset([], CELL), **wrong)


def test_a_scribbled_dataset_knows_nothing_but_the_strokes():
    dataset = Dataset(scenes("cells", 3, task="instance"), scene_classes("cells", "instance"))
    sparse = scribbled(dataset, 8, seed=2)
    assert sparse.names == dataset.names and sparse.classes == dataset.classes
    for before, after in zip(dataset, sparse, strict=True):
        truth, left = before.truth, after.truth
        known = ~left.void
        assert 0 < np.count_nonzero(known) < 0.2 * known.size
        assert np.array_equal(left.semantic_map()[known], truth.semantic_map()[known])
        assert np.any(known & (left.semantic_map() == 0)), "background strokes stay background"
        assert not left.semantic_map()[~known].any()
        assert (left.areas_px > 0).all()
        assert len({tuple(np.unique(truth.labels[left.mask(k)])) for k in range(1, len(left) + 1)}) == len(
            left
        )
        assert np.array_equal(before.image.pixels, after.image.pixels)


def test_strokes_of_a_sample_do_not_depend_on_the_others():
    dataset = Dataset(scenes("cells", 3), scene_classes("cells"))
    whole, part = scribbled(dataset, seed=1), scribbled(dataset[1:], seed=1)
    assert whole[1].truth == part[0].truth
    assert whole[1].truth == whole[1].truth
    assert whole[1].truth != scribbled(dataset, seed=2)[1].truth


def test_samples_without_annotation_and_with_several_stay_so():
    image = Image(np.zeros((30, 30, 1), np.uint8))
    two_truths = tuple(
        Segmentation.from_labels(np.pad(np.ones((n, n), np.uint8), (0, 30 - n))) for n in (10, 20)
    )
    dataset = Dataset(
        [Sample.of("bare", image), Sample("both", lambda: image, lambda: two_truths, split="train")], CELL
    )
    sparse = scribbled(dataset, 4)
    assert not sparse["bare"].annotated
    assert len(sparse["both"].truths) == 2 and sparse["both"].split == "train"
    for truth, left in zip(two_truths, sparse["both"].truths, strict=True):
        assert np.array_equal(left.labels[~left.void], truth.labels[~left.void])
