"""Cityscapes' folders."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError
from smalti.image import Image
from smalti.io.formats.known_classes import CITYSCAPES, CITYSCAPES_TRAIN
from smalti.sample import Sample
from smalti.segmentation import Segmentation

NUMBERS = np.array([[7, 26, 26000, 26001], [24003, 0, 29000, 11]], np.uint16)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(array).save(path)


def folder_of(folder, kinds=("instanceIds", "labelIds"), annotations="gtFine"):
    for split, city in (("train", "aachen"), ("val", "ulm")):
        stem = f"{split}/{city}/{city}_000000_000019"
        save(folder / "leftImg8bit" / f"{stem}_leftImg8bit.png", np.zeros((2, 4, 3), np.uint8))
        labels = np.where(NUMBERS > 999, NUMBERS // 1000, NUMBERS).astype(np.uint8)
        for kind, mask in (("instanceIds", NUMBERS), ("labelIds", labels), ("color", labels)):
            if kind in kinds:
                save(folder / annotations / f"{stem}_{annotations}_{kind}.png", mask)
    return folder


def named(truth):
    return [truth.classes.of(class_id).name for class_id in truth.class_ids]


def test_34_labels_and_19_to_train_on():
    assert [label.value for label in CITYSCAPES] == list(range(34))
    assert [label.value for label in CITYSCAPES_TRAIN] == [*range(19), 255]
    assert {label.name: label.value for label in CITYSCAPES_TRAIN}["bicycle"] == 18
    assert sum(label.thing and not label.void for label in CITYSCAPES) == 8


def test_splits_cities_and_names(tmp_path):
    dataset = Dataset.open(folder_of(tmp_path))
    assert dataset.format == "cityscapes"
    assert dataset.names == ["train/aachen/aachen_000000_000019", "val/ulm/ulm_000000_000019"]
    assert dataset.splits == ("train", "val")
    assert [sample.group for sample in dataset] == ["aachen", "ulm"]
    assert len(dataset.classes) == 19


def test_numbers_are_stuff_crowds_and_objects(tmp_path):
    truth = Dataset.open(folder_of(tmp_path))[0].truth
    assert named(truth) == ["road", "building", "car", "person", "car", "car"]
    assert truth.attributes["crowd"].tolist() == [False, False, True, False, False, False]
    assert truth.attributes["source_id"].tolist() == [7, 11, 26, 24003, 26000, 26001]
    assert truth.void.tolist() == [[False] * 4, [False, True, True, False]]  # unlabeled, and a caravan


def test_labels_alone_are_read_where_there_are_no_objects(tmp_path):
    truth = Dataset.open(folder_of(tmp_path, kinds=("labelIds",)))[0].truth
    assert named(truth) == ["road", "building", "person", "car"]


def test_coarse_annotations_are_an_option(tmp_path):
    folder = folder_of(tmp_path, annotations="gtCoarse")
    assert not Dataset.open(folder, "cityscapes")[0].annotated
    assert len(Dataset.open(folder, "cityscapes", annotations_of="gtCoarse")[0].truth) == 6


def test_images_of_a_test_split_have_no_truth(tmp_path):
    folder = folder_of(tmp_path)
    save(folder / "leftImg8bit" / "test" / "bonn" / "bonn_1_leftImg8bit.png", np.zeros((2, 4, 3), np.uint8))
    dataset = Dataset.open(folder)
    assert [(sample.split, sample.annotated) for sample in dataset] == [
        ("test", False),
        ("train", True),
        ("val", True),
    ]


def test_what_is_written_has_cityscapes_names_and_numbers(tmp_path):
    dataset = Dataset.open(folder_of(tmp_path / "one"))
    report = dataset.write(tmp_path / "two", "cityscapes")
    assert not report, list(report.lines())
    stem = "gtFine/train/aachen/aachen_000000_000019_gtFine"
    with PillowImage.open(tmp_path / "two" / f"{stem}_instanceIds.png") as picture:
        found = np.asarray(picture)
    assert found.tolist() == [[7, 26, 26000, 26001], [24003, 0, 0, 11]]
    with PillowImage.open(tmp_path / "two" / f"{stem}_labelIds.png") as picture:
        assert np.asarray(picture).tolist() == [[7, 26, 26, 26], [24, 0, 0, 11]]
    with PillowImage.open(tmp_path / "two" / f"{stem}_color.png") as picture:
        assert picture.getpixel((0, 0)) == (128, 64, 128)
    assert not (tmp_path / "two" / "classes.json").exists()


def test_classes_of_others_are_listed_beside(tmp_path):
    classes = ClassSet([Class(3, "soil", (1, 2, 3), thing=False), Class(64, "weed", (4, 5, 6))])
    labels = np.array([[1, 1, 2, 3], [4, 4, 0, 0]])
    void = np.zeros((2, 4), bool)
    void[1, 3] = True
    truth = Segmentation.from_labels(labels, class_ids=[3, 64, 64, 3], classes=classes, void=void)
    dataset = Dataset([Sample.of("a", Image(np.zeros((2, 4, 3), np.uint8)), truth)], classes)
    report = dataset.write(tmp_path / "out", "cityscapes")
    assert report.total.exact
    assert report.total.segments_merged == 1  # soil is stuff: its two segments are one
    back = Dataset.open(tmp_path / "out")
    assert back.classes == classes
    assert np.array_equal(back["a"].truth.void, void)


def test_classes_that_do_not_fit_are_refused(tmp_path):
    classes = ClassSet([Class(65, "weed", (4, 5, 6))])
    truth = Segmentation.from_labels(np.array([[1]]), classes=classes)
    dataset = Dataset([Sample.of("a", Image(np.zeros((1, 1, 3), np.uint8)), truth)], classes)
    with pytest.raises(InputError, match="64"):
        dataset.write(tmp_path / "out", "cityscapes")


def test_a_thousand_objects_of_a_class_are_the_most(tmp_path):
    truth = Segmentation.from_labels(np.arange(1, 1002).reshape(1, -1))
    dataset = Dataset([Sample.of("a", Image(np.zeros((1, 1001, 1), np.uint8)), truth)], truth.classes)
    with pytest.raises(InputError, match="1000"):
        dataset.write(tmp_path / "out", "cityscapes")
    fewer = Dataset([Sample.of("a", Image(np.zeros((1, 1001, 1), np.uint8)), truth[:1000])], truth.classes)
    assert not fewer.write(tmp_path / "out", "cityscapes")
