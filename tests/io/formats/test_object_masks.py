"""A mask file for each object."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(2, "cell", (1, 2, 3)), Class(5, "dirt", (4, 5, 6), thing=False)])


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.asarray(array, np.uint8)).save(path)


def bar(start, stop, value=255):
    mask = np.zeros((2, 6), np.uint8)
    mask[:, start:stop] = value
    return mask


def kaggle(folder, name="id1", masks=((0, 2), (1, 4))):
    save(folder / name / "images" / f"{name}.png", np.zeros((2, 6, 3)))
    for k, (start, stop) in enumerate(masks):
        save(folder / name / "masks" / f"{k:02}ab{k}.png", bar(start, stop))
    return folder


def named(truth):
    return [truth.classes.of(class_id).name for class_id in truth.class_ids]


def test_a_folder_for_each_image(tmp_path):
    kaggle(kaggle(tmp_path), "id2", [(5, 6)] * 2)
    dataset = Dataset.open(tmp_path)
    assert dataset.format == "object-masks"
    assert dataset.names == ["id1", "id2"]
    truth = dataset["id1"].truth
    assert truth.areas_px.tolist() == [4, 6]
    assert truth.overlapping
    assert dataset.classes.names == ("object",)
    assert len(dataset["id1"].truth_paths) == 2


def test_a_folder_of_masks_for_each_image(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((2, 6, 3)))
        save(tmp_path / "masks" / name / "1.png", bar(0, 3, 1))
        save(tmp_path / "masks" / name / "2.png", bar(2, 4, 1))
    dataset = Dataset.open(tmp_path)
    assert (dataset.format, dataset.names) == ("object-masks", ["a", "b"])
    assert dataset["b"].truth.areas_px.tolist() == [6, 4]


def test_names_of_masks_begin_with_their_images_and_tell_the_class(tmp_path):
    for name in ("a", "a_1"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((2, 6, 3)))
        for k, kind in enumerate(("cell", "dirt", "cell")):
            save(tmp_path / "masks" / f"{name}_{kind}_{k}.png", bar(k, k + 1))
    dataset = Dataset.open(tmp_path)
    assert dataset.format == "object-masks"
    assert dataset.classes.names == ("cell", "dirt")
    for name in ("a", "a_1"):
        assert sorted(named(dataset[name].truth)) == ["cell", "cell", "dirt"]


def test_a_mask_of_a_class_nobody_listed_is_a_problem(tmp_path):
    save(tmp_path / "images" / "a.png", np.zeros((2, 6, 3)))
    for kind in ("cell_1", "mud_1", "7"):
        save(tmp_path / "masks" / f"a_{kind}.png", bar(0, 1))
    with pytest.raises(ReadError, match="class"):
        Dataset.open(tmp_path, "object-masks", classes=["cell", "dirt"])
    dataset = Dataset.open(tmp_path, "object-masks", classes=["cell", "dirt"], faulty="skip")
    assert {problem.file for problem in dataset.problems} == {"masks/a_7.png", "masks/a_mud_1.png"}
    assert named(dataset["a"].truth) == ["cell"]


def test_an_image_without_masks_has_no_truth(tmp_path):
    kaggle(tmp_path)
    save(tmp_path / "id9" / "images" / "id9.png", np.zeros((2, 6, 3)))
    assert [sample.annotated for sample in Dataset.open(tmp_path)] == [True, False]


def test_masks_of_two_sizes_name_the_file(tmp_path):
    kaggle(tmp_path)
    save(tmp_path / "id1" / "masks" / "z.png", np.zeros((3, 3)))
    with pytest.raises(ReadError, match=r"z\.png is a mask of \(3, 3\)"):
        Dataset.open(tmp_path)["id1"].truth  # noqa: B018


def test_a_folder_with_one_mask_per_image_is_another_format(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((2, 6, 3)))
        save(tmp_path / "masks" / f"{name}.png", bar(0, 3))
    assert Dataset.open(tmp_path).format == "binary-masks"


def test_overlaps_void_and_all_else_survive(tmp_path):
    masks = np.array([bar(0, 3), bar(2, 5), bar(0, 0)]) > 0
    truth = Segmentation.from_masks(
        masks,
        class_ids=[5, 2, 2],
        scores=[0.5, 1, 0.25],
        classes=CLASSES,
        void=bar(5, 6) > 0,
        attributes={"track_id": [3, 0, 9], "note": ["wet", "", ""]},
    )
    sample = Sample.of("p/one", Image(np.zeros((2, 6, 3), np.uint8)), truth, split="test", group="p")
    nothing = Sample.of("none", Image(np.zeros((2, 6, 3), np.uint8)), truth[:0].replace(void=None))
    bare = Sample.of("bare", Image(np.zeros((2, 6, 3), np.uint8)))
    blind = Sample("blind", None, lambda: (truth[:1],))
    report = Dataset([sample, nothing, bare, blind], CLASSES).write(tmp_path / "out", "object-masks")
    assert not report, list(report.lines())
    back = Dataset.open(tmp_path / "out")
    assert back.format == "object-masks"
    assert back["p/one"].truth == truth
    assert len(back["none"].truth) == 0
    assert not back["bare"].annotated


@pytest.mark.parametrize("name", ["../../../x.png", "/x.png", "sub/x.png"])
def test_a_list_cannot_lead_outside(tmp_path, name):
    save(tmp_path / "x.png", bar(0, 1))
    folder = kaggle(tmp_path / "data")
    content = {"segments": [{"id": name, "class": "cell"}]}
    (folder / "id1" / "masks" / "objects.segments.json").write_text(json.dumps(content))
    with pytest.raises(ReadError, match=r"x\.png"):
        Dataset.open(folder, "object-masks", classes=["cell"])["id1"].truth  # noqa: B018


def test_an_empty_list_of_classes_is_refused(tmp_path):
    with pytest.raises(InputError):
        Dataset.open(kaggle(tmp_path), "object-masks", classes=[])


@pytest.mark.realdata
def test_dsb2018_as_kaggle_has_it(data_dir):
    dataset = Dataset.open(data_dir / "dsb2018" / "original_layout")
    assert (dataset.format, len(dataset), dataset.splits) == ("object-masks", 3, ("train",))
    labels = Dataset.open(data_dir / "dsb2018", "instance-maps", images="images")
    for sample in dataset:
        merged = labels[sample.name.removeprefix("stage1_train/")].truth
        assert len(sample.truth) == len(merged) == len(sample.truth_paths)
        assert sample.truth.shape == sample.image.shape
        assert sorted(sample.truth.areas_px) == sorted(
            merged.areas_px
        )  # hardly any pixel overlaps, here none


def test_two_images_of_one_name_are_a_problem_of_the_file(tmp_path):
    for name in ("a.jpg", "a.png", "b.png"):
        save(tmp_path / "images" / name, np.zeros((2, 6, 3)))
    for name in ("a", "b"):
        save(tmp_path / "masks" / name / "1.png", bar(0, 3))
        save(tmp_path / "masks" / name / "2.png", bar(2, 4))
    with pytest.raises(ReadError, match=r"^images/a\.png: it and .*a\.jpg are images of one name"):
        Dataset.open(tmp_path, "object-masks")
    assert Dataset.open(tmp_path, "object-masks", faulty="skip").names == ["a", "b"]
