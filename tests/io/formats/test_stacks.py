"""Volumes as stacks of pages and of slices."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io import write_image, write_labels
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(3, "bone", (1, 2, 3)), Class(8, "air", (4, 5, 6), thing=False)])
SHAPE = (3, 4, 5)


def volume(dtype=np.uint8):
    labels = np.zeros(SHAPE, dtype)
    labels[0, 1:3, 1:3] = 1
    labels[1, 1:3, 1:4] = 1
    labels[1, 2, 2] = 0  # a hole
    labels[2] = 2
    return labels


def pair(folder, labels, name="a", geometry=None):
    geometry = geometry or Geometry()
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    write_image(
        folder / "images" / f"{name}.tif", Image(np.zeros((*labels.shape, 1), np.uint8), geometry=geometry)
    )
    write_labels(folder / "masks" / f"{name}.tif", labels, geometry)
    return folder


def slices(folder, labels):
    for part, pixels in (("image", np.zeros(labels.shape, np.uint8)), ("label", labels)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for z, plane in enumerate(pixels):
            PillowImage.fromarray(plane).save(folder / part / f"{z}.png")
    return folder


def test_pages_are_slices_of_a_volume(tmp_path):
    dataset = Dataset.open(pair(tmp_path, volume(), geometry=Geometry.parse("2x0.5x0.5um", 3)))
    assert dataset.format == "stacks"
    truth = dataset["a"].truth
    assert truth.shape == dataset["a"].image.shape == SHAPE
    assert truth.areas_px.tolist() == [9, 20]
    assert truth.geometry.spacing == pytest.approx((2, 0.5, 0.5))


def test_a_list_of_classes_makes_numbers_classes(tmp_path):
    folder = pair(tmp_path, volume())
    truth = Dataset.open(folder, "stacks", classes={"bone": 1, "air": 2})["a"].truth
    assert [truth.classes.of(class_id).name for class_id in truth.class_ids] == ["bone", "air"]
    objects = Dataset.open(folder, "stacks", classes=["bone"], holds="objects")["a"].truth
    assert objects.class_ids.tolist() == [1, 1]
    found = Dataset.open(folder, "stacks", holds="classes")
    assert found.classes.names == ("class 1", "class 2")


def test_slices_of_a_folder_are_one_volume(tmp_path):
    labels = np.repeat(volume(), 4, axis=0)  # 12 slices: 10.png comes after 9.png
    dataset = Dataset.open(slices(tmp_path / "brain", labels), "stacks", slices=True, spacing="50x4x4nm")
    (sample,) = dataset
    assert sample.name == "brain"
    assert np.array_equal(sample.truth.labels, labels)
    assert sample.image.shape == labels.shape
    assert sample.image.geometry.spacing == sample.truth.geometry.spacing == (50, 4, 4)


def test_each_folder_of_slices_is_a_volume_of_its_own(tmp_path):
    for case in ("p1", "p2"):
        slices(tmp_path / case, volume())
    dataset = Dataset.open(tmp_path, "stacks", slices=True)
    assert dataset.names == ["p1", "p2"]
    assert [sample.truth.shape for sample in dataset] == [SHAPE, SHAPE]


def test_a_slice_without_a_mask_is_a_problem(tmp_path):
    folder = slices(tmp_path, volume())
    (folder / "label" / "1.png").unlink()
    with pytest.raises(ReadError, match="1 of 3 slices have no mask"):
        Dataset.open(folder, "stacks", slices=True)
    (sample,) = Dataset.open(folder, "stacks", slices=True, faulty="skip")
    assert not sample.annotated


def test_slices_of_two_sizes_name_the_file(tmp_path):
    folder = slices(tmp_path, volume())
    PillowImage.fromarray(np.zeros((2, 2), np.uint8)).save(folder / "label" / "1.png")
    with pytest.raises(ReadError, match=r"1\.png"):
        Dataset.open(folder, "stacks", slices=True)[0].truth  # noqa: B018


def test_pictures_are_no_volumes(tmp_path):
    folder = slices(tmp_path, volume())
    with pytest.raises(ReadError, match="slices=true"):
        Dataset.open(folder, "stacks")[0].truth  # noqa: B018


def test_a_bad_spacing_is_told(tmp_path):
    with pytest.raises(InputError, match="spacing"):
        Dataset.open(pair(tmp_path, volume()), "stacks", spacing="4 nm x")


def test_everything_of_a_volume_survives(tmp_path):
    void = np.zeros(SHAPE, bool)
    void[0, 0] = True
    truth = Segmentation.from_labels(
        volume(),
        class_ids=[3, 8, 3],
        scores=[0.5, 1, 1],
        classes=CLASSES,
        geometry=Geometry.parse("2x0.5x0.5mm", 3),
        void=void,
        attributes={"note": ["broken", "", "gone"]},
    )
    image = Image(np.zeros((*SHAPE, 1), np.int16), geometry=truth.geometry)
    samples = [
        Sample.of("train/a", image, truth, split="train"),
        Sample.of("b", image, truth[:0].replace(void=None)),
    ]
    report = Dataset(samples, CLASSES).write(tmp_path / "out", "stacks")
    assert not report, list(report.lines())
    back = Dataset.open(tmp_path / "out")
    assert back.format == "stacks"
    assert back["train/a"].truth.attributes["note"].tolist() == ["broken", "", "gone"]


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 1, 1), (1, 1, 1), (3, 3, 3), (4, 3, 3)])
def test_flat_and_tiny_volumes_come_back(tmp_path, shape):
    truth = Segmentation.from_labels(np.ones(shape, np.uint8))
    dataset = Dataset([Sample.of("a", Image(np.zeros((*shape, 1), np.uint8)), truth)], truth.classes)
    report = dataset.write(tmp_path / "out", "stacks")
    assert not report, list(report.lines())


def test_pictures_are_refused_with_formats_that_hold_them(tmp_path):
    truth = Segmentation.from_labels(np.ones((2, 2), np.uint8))
    dataset = Dataset([Sample.of("a", Image(np.zeros((2, 2, 1), np.uint8)), truth)], truth.classes)
    with pytest.raises(InputError, match="instance-maps"):
        dataset.write(tmp_path / "out", "stacks")


@pytest.mark.realdata
def test_isbi2012_is_a_volume_of_slices(data_dir):
    dataset = Dataset.open(data_dir / "isbi2012_em", slices=True, spacing="50x4x4nm")
    (sample,) = dataset
    truth = sample.truth
    wanted = []
    for z in range(20):
        with PillowImage.open(data_dir / "isbi2012_em" / "label" / f"{z}.png") as picture:
            wanted.append(np.asarray(picture) == 255)
    assert np.array_equal(truth.labels > 0, wanted)
    assert sample.image.shape == (20, 512, 512)


@pytest.mark.realdata
def test_isbi2012_is_twenty_pictures_too(data_dir):
    dataset = Dataset.open(data_dir / "isbi2012_em")
    assert (dataset.format, len(dataset)) == ("binary-masks", 20)
