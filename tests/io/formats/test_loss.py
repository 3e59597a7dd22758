"""Each kind of loss is counted by hand-made pairs whose difference is known."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io.formats.loss import Loss, LossReport, compare, compare_segmentations
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet.from_names(["a", "b"])


def three():
    """A ring of 32 pixels (class a), a block of 32 (a) and one of 88 (b)."""
    labels = np.zeros((20, 30), int)
    labels[2:8, 2:8] = 1
    labels[4:6, 4:6] = 0
    labels[10:18, 5:9] = 2
    labels[10:18, 9:20] = 3
    return Segmentation.from_labels(labels, class_ids=[1, 1, 2], classes=CLASSES)


def relabelled(change, **columns):
    labels = three().labels.copy()
    change(labels)
    given = {"class_ids": [1, 1, 2], "classes": CLASSES} | columns
    return Segmentation.from_labels(labels, **given)


def test_same_segments_in_another_order_lose_nothing():
    assert not compare_segmentations(three(), three()[[2, 0, 1]])


def test_filled_hole():
    def fill(labels):
        labels[4:6, 4:6] = 1

    loss = compare_segmentations(three(), relabelled(fill))
    assert (loss.pixels_changed, loss.holes_lost) == (4, 1)
    assert not loss.exact


def test_pixels_that_went_to_a_neighbour_count_on_both_sides():
    def shift(labels):
        labels[10:13, 8] = 3

    assert compare_segmentations(three(), relabelled(shift)).pixels_changed == 6


def test_merged_and_split_segments_are_compared_as_one():
    merged = three().merge([1, 1, 2])
    loss = compare_segmentations(three(), merged)
    assert (loss.segments_merged, loss.pixels_changed, loss.segments_lost) == (1, 0, 0)
    loss = compare_segmentations(merged, three())
    assert (loss.segments_split, loss.pixels_changed, loss.segments_added) == (1, 0, 0)


def test_lost_and_added_segments():
    loss = compare_segmentations(three(), three()[[1]])
    assert (loss.segments_lost, loss.pixels_changed) == (2, 120)
    loss = compare_segmentations(three()[[1]], three())
    assert (loss.segments_added, loss.pixels_changed) == (2, 120)


def test_everything_against_nothing():
    nothing = Segmentation.from_labels(np.zeros((20, 30), int), class_ids=[], classes=CLASSES)
    assert compare_segmentations(three(), nothing).segments_lost == 3
    assert compare_segmentations(nothing, three()).segments_added == 3
    assert not compare_segmentations(nothing, nothing)


def test_flattened_overlap():
    masks = np.zeros((2, 20, 30), bool)
    masks[0, :10] = masks[1, 5:15] = True
    both = Segmentation.from_masks(masks)
    loss = compare_segmentations(both, both.panoptic())
    assert (loss.overlap_flattened, loss.pixels_changed) == (150, 150)
    assert not compare_segmentations(both, both[::-1])


def test_equal_masks_twice_are_two_segments():
    masks = np.zeros((2, 4, 4), bool)
    masks[:, 1:3] = True
    twice = Segmentation.from_masks(masks)
    assert not compare_segmentations(twice, twice)
    loss = compare_segmentations(twice, twice[[0]])
    assert (loss.segments_merged, loss.pixels_changed) == (1, 0)


def test_a_small_segment_inside_a_large_one_finds_its_own():
    masks = np.zeros((2, 20, 20), bool)
    masks[0, 2:18, 2:18] = masks[1, 5:8, 5:8] = True
    nested = Segmentation.from_masks(masks)
    assert not compare_segmentations(nested, nested[[1, 0]])


def test_segments_without_pixels():
    masks = np.zeros((2, 4, 4), bool)
    masks[0, 1] = True
    found = Segmentation.from_masks(masks)
    assert not compare_segmentations(found, found)
    assert compare_segmentations(found, found[[0]]).segments_lost == 1


def test_void():
    void = np.zeros((20, 30), bool)
    void[0] = True
    loss = compare_segmentations(three().replace(void=void), three())
    assert loss.void_changed == 30
    assert not loss.exact


def test_class_by_name_and_kind_not_by_number():
    renumbered = ClassSet([Class(7, "b", (1, 2, 3)), Class(9, "a", (4, 5, 6))])
    same = three().replace(class_ids=[9, 9, 7], classes=renumbered)
    assert not compare_segmentations(three(), same)
    stuff = ClassSet.from_names(["a", "b"], thing=False)
    assert compare_segmentations(three(), three().replace(classes=stuff)).classes_changed == 3
    assert compare_segmentations(three(), three().replace(class_ids=[1, 1, 1])).classes_changed == 1


def test_scores_and_attributes():
    wanted = three().replace(
        scores=[0.5, 1, 1],
        attributes={"crowd": [True, False, False], "source_id": [11, 12, 13], "note": ["", "x", ""]},
    )
    loss = compare_segmentations(wanted, three())
    assert loss.scores_changed == 1
    assert loss.attributes_changed == {"crowd": 1, "source_id": 3, "note": 1}
    as_text = wanted.replace(attributes={**wanted.attributes, "source_id": ["11", "12", "13"]})
    assert not compare_segmentations(wanted, as_text)


def test_geometry():
    placed = three().replace(geometry=Geometry((0.5, 0.5), "um", np.eye(3), "EPSG:4326"))
    assert compare_segmentations(placed, three()).fields_lost == ("spacing", "affine", "crs")
    nearly = Geometry((0.5000000001, 0.5), "um", np.eye(3), "EPSG:4326")
    assert not compare_segmentations(placed, three().replace(geometry=nearly))


def test_another_size_is_no_comparison():
    loss = compare_segmentations(three(), Segmentation.from_labels(np.ones((4, 4), int)))
    assert loss.segments_lost == 3
    assert "became" in loss.image_changed


def test_volumes_and_their_union():
    labels = np.zeros((3, 5, 5), int)
    labels[:2, 1:3, 1:3] = 1
    volume = Segmentation.from_labels(labels)
    labels[2, 1, 1] = 1
    assert compare_segmentations(volume, Segmentation.from_labels(labels)).pixels_changed == 1


def sample(**fields):
    image = Image(np.zeros((20, 30, 1), np.uint8))
    return Sample.of("x", image, three(), **fields)


def test_what_a_sample_says_of_itself():
    wanted = sample(
        split="train", group="g", provenance=Provenance(licence="MIT", author="A"), metadata={"site": "north"}
    )
    assert compare(wanted, sample()).fields_lost == ("split", "group", "licence", "author", "site")
    assert not compare(wanted, wanted)
    assert not compare(sample(), wanted)


def test_further_annotators():
    image = Image(np.zeros((20, 30, 1), np.uint8))
    several = Sample("x", lambda: image, lambda: (three(), three()))
    assert compare(several, sample()).annotators_lost == 1


def test_changed_images():
    brighter = Sample.of("x", Image(np.full((20, 30, 1), 9, np.uint8)), three())
    assert compare(sample(), brighter).image_changed == "600 of 600 values differ"
    assert compare(sample(), Sample("x", None, lambda: (three(),))).image_changed == "the image is not kept"


def test_report_sums_up_and_tells_in_words():
    report = LossReport(
        {
            "x": Loss(pixels_changed=4, attributes_changed={"crowd": 1}),
            "y": Loss(pixels_changed=3),
            "z": Loss(),
        },
        "yolo",
        ("classes not kept: sky",),
    )
    assert report.total.pixels_changed == 7
    assert bool(report) and not report.exact
    assert list(report.lines()) == [
        "3 samples as yolo, 2 of them with a loss",
        "  7 pixels changed",
        "  crowd of 1 segments dropped",
        "  classes not kept: sky",
    ]
    content = report.to_json()
    assert content["total"] == {"pixels_changed": 7, "attributes_changed": {"crowd": 1}}
    assert set(content["by_sample"]) == {"x", "y"}


@pytest.mark.parametrize("field", ["pixels_changed", "scores_changed", "annotators_lost", "holes_lost"])
def test_every_count_is_a_loss(field):
    assert Loss(**{field: 1})
    assert not Loss()
