"""Steps on segments: drawn shapes, overlap, volumes, what is kept, and photographs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from smalti.classes import ClassSet
from smalti.classical.threshold import Otsu
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.pipeline import Pipeline
from smalti.postprocess.clean import ClearBorder, DropSmall, FillHoles, Smooth, SplitTouching
from smalti.segmentation import Segmentation
from smalti.segmenter import make_step

STEPS = [DropSmall, FillHoles, Smooth, SplitTouching, ClearBorder]
CLASSES = ClassSet.from_names(["cell", "dirt"])


def drawn(picture: str) -> np.ndarray:
    """A label map drawn with digits in lines of text, a dot for none."""
    return np.array([[int(mark.replace(".", "0")) for mark in line] for line in picture.split()], np.int32)


def segments(picture: str, **columns) -> Segmentation:
    return Segmentation.from_labels(drawn(picture), **columns)


def discs(centers_yx, radius: float, shape=(60, 80)) -> np.ndarray:
    """One mask per disc, (N, H, W)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.array([(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centers_yx])


# Drop small


def test_small_segments_are_dropped_and_the_rest_keeps_its_columns() -> None:
    before = segments("1.22 ..22 3333", class_ids=[1, 2, 1], scores=[0.1, 0.2, 0.3], classes=CLASSES)
    after = DropSmall(min_area_px=2).apply(before)
    assert np.array_equal(after.labels, drawn("..11 ..11 2222"))
    assert after.class_ids.tolist() == [2, 1] and after.scores.tolist() == [0.2, 0.3]


def test_small_in_physical_units() -> None:
    before = segments("1.22 ..22 3333", geometry=Geometry((2.0, 0.5), "um"))
    assert len(DropSmall(min_area_px=1, min_area=4).apply(before)) == 2
    assert len(DropSmall(min_area_px=1, min_area=4.01).apply(before)) == 0
    with pytest.raises(InputError, match="known spacing"):
        DropSmall(min_area=4).apply(segments("1"))


# Fill holes


def test_holes_are_filled_but_not_bays_nor_other_segments() -> None:
    before = segments("11111. 1.1.1. 1112.. 1.1111 111.11")
    expected = drawn("11111. 1111.. 1112.. 111111 111.11")
    expected[1] = drawn("111.1.")[0]
    assert np.array_equal(FillHoles().apply(before).labels, expected)


def test_ground_in_nested_rings_goes_to_the_inner_one() -> None:
    after = FillHoles().apply(segments("11111 1...1 1.2.1 1...1 11111"))
    assert np.array_equal(after.labels, drawn("11111 11111 11211 11111 11111"))
    rings = segments("1111111 1.....1 1.222.1 1.2.2.1 1.222.1 1.....1 1111111")
    assert FillHoles().apply(rings).areas_px.tolist() == [40, 9]


def test_large_holes_stay_when_asked_to() -> None:
    before = segments("11111111 1..11.11 11111111")
    assert FillHoles(max_area_px=1).apply(before).areas_px.tolist() == [22]
    assert FillHoles().apply(before).areas_px.tolist() == [24]


def test_holes_of_overlapping_segments_are_filled_one_by_one() -> None:
    ring = drawn("111 1.1 111") > 0
    center = ~ring
    line = drawn("... 111 ...") > 0
    after = FillHoles().apply(Segmentation.from_masks(np.array([ring, center, line])))
    assert after.overlapping and after.areas_px.tolist() == [9, 1, 3]


def test_holes_as_scipy_on_a_photograph_and_in_a_volume() -> None:
    coins = Otsu(min_area_px=100).predict(Image.from_array(data.coins()))
    after = FillHoles().apply(coins)
    for k in range(1, len(coins) + 1):
        assert np.array_equal(after.mask(k), ndimage.binary_fill_holes(coins.mask(k)))
    shell = np.ones((5, 5, 5), np.int32)
    shell[1:4, 1:4, 1:4] = 0
    assert FillHoles().apply(Segmentation.from_labels(shell)).areas_px.tolist() == [125]
    shell[0, 2, 2] = 0  # open to the outside
    assert FillHoles().apply(Segmentation.from_labels(shell)).areas_px.tolist() == [97]


# Smooth


def test_spikes_go_and_straight_outlines_stay() -> None:
    mask = np.zeros((40, 40), np.int32)
    mask[10:30, 10:30] = 1
    spiked = mask.copy()
    spiked[20, 30:36] = 1
    spiked[30, 20] = 1
    after = Smooth().apply(Segmentation.from_labels(spiked)).labels
    assert not after[20, 31:].any()
    assert after[12:28, 10:30].all() and not after[31:].any()


def test_common_borders_are_smoothed_without_gap_or_overlap() -> None:
    labels = np.zeros((30, 40), np.int32)
    labels[5:25, 5:20] = 1
    labels[5:25, 20:35] = 2
    labels[14, 17:20] = 2  # a tooth
    after = Smooth().apply(Segmentation.from_labels(labels))
    assert not after.overlapping and after.labels[14, 18] == 1
    assert (after.labels[10:20, 8:32] > 0).all()


def test_outlines_at_the_image_edge_stay() -> None:
    labels = np.ones((20, 20), np.int32)
    assert np.array_equal(Smooth().apply(Segmentation.from_labels(labels)).labels, labels)
    labels[:, 10:] = 2
    assert np.array_equal(Smooth().apply(Segmentation.from_labels(labels)).labels, labels)


def test_specks_are_dropped_by_smoothing_with_their_columns() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[2, 2] = 1
    labels[8:18, 8:18] = 2
    for masks in (labels, None):
        before = Segmentation.from_labels(labels, class_ids=[1, 2], scores=[0.5, 0.7], classes=CLASSES)
        if masks is None:
            twice = [labels == 1, labels == 2, labels == 2]
            before = Segmentation.from_masks(
                twice, class_ids=[1, 2, 2], scores=[0.5, 0.7, 0.6], classes=CLASSES
            )
        after = Smooth().apply(before)
        assert after.class_ids[0] == 2 and after.scores[0] == 0.7 and len(after) == len(before) - 1


def test_smoothing_volumes() -> None:
    labels = np.zeros((12, 12, 12), np.int32)
    labels[3:9, 3:9, 3:9] = 1
    labels[6, 6, 9:12] = 1
    after = Smooth(sigma_px=1).apply(Segmentation.from_labels(labels))
    assert after.labels[6, 6, 6] and not after.labels[6, 6, 10]


# Split touching


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0), (1.0, 1.2)])
def test_two_touching_discs_are_cut_at_the_neck(spacing) -> None:
    masks = discs([(30, 25), (30, 46)], 12)
    geometry = None if spacing is None else Geometry(spacing, "um")
    joined = Segmentation.from_labels(
        masks.any(axis=0).astype(np.int32), class_ids=[2], scores=[0.4], classes=CLASSES, geometry=geometry
    )
    after = SplitTouching().apply(joined)
    assert len(after) == 2
    assert after.class_ids.tolist() == [2, 2] and after.scores.tolist() == [0.4, 0.4]
    assert not after.overlapping and after.areas_px.sum() == joined.areas_px.sum()
    assert after.labels[30, 25] != after.labels[30, 46]
    cut = np.flatnonzero(np.diff(after.labels[30, 15:56].astype(int))) + 15
    assert len(cut) == 1 and 34 <= cut[0] <= 36


def test_single_objects_and_shallow_necks_stay_whole() -> None:
    one = Segmentation.from_masks(discs([(30, 30)], 12))
    assert SplitTouching().apply(one) == one
    close = Segmentation.from_labels(discs([(30, 30), (30, 36)], 12).any(axis=0))
    assert SplitTouching().apply(close) == close
    joined = Segmentation.from_labels(discs([(30, 25), (30, 46)], 12).any(axis=0))
    assert len(SplitTouching(min_depth_px=11).apply(joined)) == 1


def test_pieces_of_one_segment_follow_each_other() -> None:
    masks = discs([(15, 20), (15, 37), (45, 60)], 10)
    labels = (masks[:2].any(axis=0) * 1 + masks[2] * 2).astype(np.int32)
    after = SplitTouching().apply(Segmentation.from_labels(labels, class_ids=[1, 2], classes=CLASSES))
    assert after.class_ids.tolist() == [1, 1, 2]
    assert after.labels[45, 60] == 3


def test_overlapping_and_touching_segments_are_split_each_by_itself() -> None:
    pair = discs([(30, 25), (30, 46)], 12).any(axis=0)
    disc = discs([(30, 35)], 15)[0]
    after = SplitTouching().apply(Segmentation.from_masks(np.array([pair, disc])))
    assert len(after) == 3 and np.array_equal(after.mask(3), disc)


def test_corners_hold_and_separate_parts_part() -> None:
    assert len(SplitTouching().apply(segments("1.. .1. ..1"))) == 1
    assert len(SplitTouching().apply(segments("11..11 11..11"))) == 2


def test_balls_are_split_in_a_volume() -> None:
    z, y, x = np.mgrid[:20, :20, :34]
    balls = (z - 10) ** 2 + (y - 10) ** 2 + (x - 10) ** 2 <= 64
    balls |= (z - 10) ** 2 + (y - 10) ** 2 + (x - 24) ** 2 <= 64
    assert len(SplitTouching().apply(Segmentation.from_labels(balls))) == 2


# Clear border


def test_segments_at_the_border_are_dropped() -> None:
    before = segments("1.... ..2.. ..... ...33")
    assert np.array_equal(ClearBorder().apply(before).labels, drawn("..... ..1.. ..... ....."))
    assert len(ClearBorder(margin_px=1).apply(before)) == 0
    assert len(ClearBorder(margin_px=1000).apply(before)) == 0
    volume = np.zeros((3, 3, 3), np.int32)
    volume[1, 1, 1], volume[0, 1, 1] = 1, 2
    assert len(ClearBorder().apply(Segmentation.from_labels(volume))) == 1


# All of them


@pytest.mark.parametrize("step", STEPS)
def test_nothing_to_do_and_single_pixels(step) -> None:
    geometry = Geometry((2.0, 3.0), "mm")
    for shape in [(1, 1), (1, 9), (33, 1), (7, 13)]:
        empty = Segmentation.from_labels(np.zeros(shape, np.int32), classes=CLASSES, geometry=geometry)
        after = step().apply(empty)
        assert len(after) == 0 and after.shape == shape
        assert after.classes == CLASSES and after.geometry is geometry
        step().apply(Segmentation.from_labels(np.ones(shape, np.int32)))
    hollow = Segmentation.from_masks(np.zeros((2, 4, 5), bool))  # segments without a pixel
    step().apply(hollow)
    step().apply(
        Segmentation.from_masks(np.concatenate([np.zeros((1, 4, 5), bool), np.ones((2, 4, 5), bool)]))
    )


@pytest.mark.parametrize("step", STEPS)
def test_segmentation_is_left_as_it_was_and_the_result_is_the_same_each_time(step) -> None:
    before = Otsu().predict(Image.from_array(data.coins()[:150, :200]))
    labels = before.labels.copy()
    first = step().apply(before)
    assert np.array_equal(before.labels, labels)
    assert step().apply(before) == first
    assert first.geometry is before.geometry
    assert make_step(**step().describe()) == step()


@pytest.mark.parametrize("step", STEPS)
def test_overlapping_or_not_gives_the_same_where_segments_are_apart(step) -> None:
    masks = discs([(20, 20), (40, 55)], 11)
    apart = Segmentation.from_masks(masks)
    doubled = Segmentation.from_masks(np.concatenate([masks, masks[:1]]))
    assert doubled.overlapping and not apart.overlapping
    assert step().apply(doubled)[:2] == step().apply(apart)


def test_coins_by_steps_are_24() -> None:
    method = Pipeline(method=Otsu(), after=("fill-holes", "drop-small:min_area_px=100", "smooth"))
    assert len(method.predict(Image.from_array(data.coins()))) == 24
