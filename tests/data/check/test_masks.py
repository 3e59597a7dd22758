"""Pieces, holes, overlaps and void: told where they are the exception, noted once where they are the rule."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.check import check
from smalti.data.dataset import Dataset
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

THINGS = ClassSet.from_names(["cell"])
SIDE = 80


def blocks():
    """Four blocks of 20 x 20 pixels apart from each other, (80, 80)."""
    labels = np.zeros((SIDE, SIDE), int)
    for k, (y, x) in enumerate(((8, 8), (8, 50), (50, 8), (50, 50)), 1):
        labels[y : y + 20, x : x + 20] = k
    return labels


def sample(index, labels, classes=THINGS, **fields):
    truth = labels
    if not isinstance(labels, Segmentation):
        truth = Segmentation.from_labels(
            labels, class_ids=[1] * int(np.max(labels)), classes=classes, **fields
        )
    pixels = np.random.default_rng(index).integers(0, 255, (*truth.shape, 3), dtype=np.uint8)
    return Sample.of(f"s{index}", Image(pixels), truth)


def told(spoilt, *, of=12, classes=THINGS):
    """Findings of a set of good blocks whose first samples are ``spoilt``."""
    samples = [sample(index, each, classes) for index, each in enumerate(spoilt)]
    samples += [sample(index, blocks(), classes) for index in range(len(spoilt), of)]
    return [
        finding
        for finding in check(Dataset(samples, classes)).findings
        if finding.code not in ("unused-class", "class-imbalance")
    ]


def test_good_blocks_are_good():
    assert told([]) == []


def crumb():
    labels = blocks()
    labels[38:40, 38:40] = 1
    return labels


def hole():
    labels = blocks()
    labels[15:18, 15:18] = 0
    return labels


@pytest.mark.parametrize(("spoil", "code", "pixels"), [(crumb, "stray-pixels", 4), (hole, "island", 9)])
def test_an_exception_is_told_with_its_place_and_a_rule_is_one_note(spoil, code, pixels):
    (finding,) = told([spoil()])
    assert (finding.code, finding.samples, finding.segments) == (code, ("s0",), (1,))
    assert finding.measured["pixels"] == pixels
    assert finding.fixable
    (note,) = told([spoil() for _ in range(9)])
    assert (note.code, note.severity, note.samples, note.fixable) == (code, "info", (), False)
    assert "9 of 12 annotations" in note.message


def test_ragged_edges_and_tips_at_the_border_are_no_strays():
    labels = blocks()
    labels[29, 10] = 1  # one pixel between it and its block
    labels[0, 40] = 1  # may go on outside
    assert told([labels]) == []


def test_half_of_an_object_behind_another_is_no_stray():
    labels = blocks()
    labels[60:75, 30:38] = 3
    labels[60:75, 29] = 0
    assert told([labels]) == []


def test_an_island_that_several_segments_enclose_is_a_gap_between_them():
    labels = np.zeros((SIDE, SIDE), int)
    labels[20:40, 20:30], labels[20:40, 30:40] = 1, 2
    labels[28:31, 29:31] = 0
    assert told([labels]) == []


def test_void_inside_a_segment_is_an_island_too():
    labels, void = hole(), np.zeros((SIDE, SIDE), bool)
    void[15:18, 15:18] = True
    truth = Segmentation.from_labels(labels, class_ids=[1] * 4, classes=THINGS, void=void)
    assert [finding.code for finding in told([truth])] == ["island"]


def test_a_speck_among_blocks_is_tiny_and_a_block_cut_by_the_border_is_not():
    labels = blocks()
    labels[36:38, 36] = 5
    labels[30:50, 78:] = 6
    (finding,) = told([labels])
    assert (finding.code, finding.segments, finding.measured["pixels"]) == ("tiny-segment", (5,), 2)


def masks_of(labels):
    return [labels == k for k in range(1, labels.max() + 1)]


def test_one_object_twice_is_an_error_and_half_of_it_an_overlap():
    twice, half = np.zeros((2, SIDE, SIDE), bool)
    twice[8:28, 9:28] = half[8:28, 18:38] = True
    spoilt = [
        Segmentation.from_masks([*masks_of(blocks()), mask], class_ids=[1] * 5, classes=THINGS)
        for mask in (twice, half)
    ]
    findings = {finding.code: finding for finding in told(spoilt)}
    assert findings["duplicate-instance"].segments == (1, 5)
    assert findings["duplicate-instance"].severity == "error"
    assert findings["overlap"].samples == ("s1",)
    assert findings["overlap"].measured["pixels"] == 200


def test_overlap_is_a_note_where_the_set_is_full_of_it_and_nothing_where_it_is_a_crowd():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[8:28, 18:38] = True
    masks = [*masks_of(blocks()), mask]
    overlapping = Segmentation.from_masks(masks, class_ids=[1] * 5, classes=THINGS)
    (note,) = told([overlapping] * 6)
    assert (note.code, note.severity) == ("overlap", "info")
    crowd = {"crowd": [False] * 4 + [True]}
    assert told([Segmentation.from_masks(masks, class_ids=[1] * 5, classes=THINGS, attributes=crowd)]) == []


def test_empty_annotations_are_told_unless_the_set_has_many():
    empty = Segmentation.from_labels(np.zeros((SIDE, SIDE), int), class_ids=[], classes=THINGS)
    (finding,) = told([empty])
    assert (finding.code, finding.severity) == ("empty-truth", "warning")
    assert {finding.severity for finding in told([empty] * 4)} == {"info"}


def test_segments_without_pixels():
    truth = Segmentation.from_labels(blocks(), class_ids=[1] * 6, classes=THINGS)
    (finding,) = told([truth])
    assert (finding.code, finding.segments) == ("empty-segment", (5, 6))


def test_void_all_over_and_unusually_much():
    everywhere, much = np.ones((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    much[:60] = True
    spoilt = [
        Segmentation.from_labels(np.zeros((SIDE, SIDE), int), class_ids=[], classes=THINGS, void=everywhere),
        Segmentation.from_labels(
            np.where(much, 0, blocks() > 0).astype(int), class_ids=[1], classes=THINGS, void=much
        ),
    ]
    assert {finding.code: finding.samples for finding in told(spoilt)} == {
        "all-void": ("s0",),
        "mostly-void": ("s1",),
    }


def with_band(labels):
    """A band of two pixels around every block, as segment 5."""
    ground = labels == 0
    band = np.zeros_like(ground)
    for y, x in ((0, 1), (0, -1), (1, 0), (-1, 0), (0, 2), (0, -2), (2, 0), (-2, 0), (1, 1), (-1, -1)):
        band |= np.roll(labels > 0, (y, x), (0, 1)) & ground
    return np.where(band, 5, labels)


@pytest.mark.parametrize(
    ("name", "labels", "found"),
    [
        ("rim", with_band(blocks()), True),
        ("ignore", np.where(np.indices((SIDE, SIDE))[0] < 6, 5, blocks()), True),
        ("class 255", np.where(np.indices((SIDE, SIDE))[0] < 6, 5, blocks()), True),
        ("soil", np.where(np.indices((SIDE, SIDE))[0] < 6, 5, blocks()), False),
    ],
)
def test_a_class_that_looks_like_void(name, labels, found):
    classes = ClassSet([*THINGS, Class(2, name, (9, 9, 9), thing=False)])
    truth = Segmentation.from_labels(labels, class_ids=[1] * 4 + [2], classes=classes)
    findings = [finding for finding in told([truth] * 12, classes=classes) if finding.code == "void-class"]
    assert [finding.measured["class"] for finding in findings] == ([name] if found else [])


def test_volumes_are_checked_too():
    labels = np.zeros((10, 24, 24), int)
    labels[2:8, 3:13, 3:13] = 1
    labels[4:6, 6:8, 6:8] = 0
    labels[5, 20, 20] = 1
    samples = [
        sample(index, Segmentation.from_labels(each, classes=THINGS))
        for index, each in enumerate([labels] + [np.where(labels > 0, 1, 0) * 0 + _cube()] * 8)
    ]
    codes = {finding.code for finding in check(Dataset(samples, THINGS)).findings}
    assert {"island", "stray-pixels"} <= codes


def _cube():
    labels = np.zeros((10, 24, 24), int)
    labels[2:8, 3:13, 3:13] = 1
    return labels
