"""NIfTI datasets: Decathlon and nnU-Net layouts, pairs by name, classes, void, and records that lie."""

from __future__ import annotations

import json

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io.medical import read_nifti, write_nifti
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation

nibabel = pytest.importorskip("nibabel", reason="the extra medical is not installed")

AFFINE = np.array([[-1, 0, 0, 5], [0, 1, 0, -6], [0, 0, 2, 7], [0, 0, 0, 1]], float)
PLACE = Geometry((2, 1, 1), "mm", AFFINE, "RAS")
CLASSES = ClassSet([Class(1, "liver", (200, 30, 30)), Class(4, "tumour", (30, 200, 30), thing=False)])


def put(path, values, geometry=PLACE):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, Image.from_array(np.asarray(values), 3, geometry=geometry))


def image(value=0.0):
    return np.full((3, 4, 5), value, np.float32)


def labels(*numbers):
    values = np.zeros((3, 4, 5), np.uint8)
    for index, number in enumerate(numbers):
        values[index % 3, index % 4, 1:4] = number
    return values


def describe(folder, **content):
    (folder / "dataset.json").write_text(json.dumps(content))


def decathlon(folder):
    put(folder / "imagesTr" / "case_1.nii.gz", image())
    put(folder / "labelsTr" / "case_1.nii.gz", labels(1, 4))
    put(folder / "imagesTs" / "case_2.nii.gz", image())
    describe(
        folder,
        name="Livers",
        licence="CC-BY-SA 4.0",
        modality={"0": "CT"},
        labels={"0": "background", "1": "liver", "4": "facade"},
        training=[{"image": "./imagesTr/case_1.nii.gz", "label": "./labelsTr/case_1.nii.gz"}],
        test=["./imagesTs/case_2.nii.gz"],
    )


def test_decathlon_layout(tmp_path):
    decathlon(tmp_path)
    found = Dataset.open(tmp_path)
    assert (found.format, found.names, found.splits) == ("nifti", ["case_1", "case_2"], ("train", "test"))
    assert {each.id: each.name for each in found.classes} == {1: "liver", 4: "facade"}
    truth = found["case_1"].truth
    assert truth.class_ids.tolist() == [1, 4] and truth.areas_px.tolist() == [3, 3]
    assert np.array_equal(truth.geometry.affine, AFFINE) and not found["case_2"].annotated
    assert found["case_1"].provenance == Provenance("Livers", "CC-BY-SA 4.0")
    assert found.sizes() == [(3, 4, 5)] * 2
    (tmp_path / "dataset.json").unlink()
    by_folder = Dataset.open(tmp_path)
    assert by_folder.names == found.names and by_folder.splits == found.splits
    assert by_folder.classes.names == ("class 1", "class 4")


def test_pairs_are_found_without_a_description(tmp_path):
    for number in range(3):
        put(tmp_path / "imagesTr" / f"case_{number}.nii.gz", image())
        put(tmp_path / "labelsTr" / f"case_{number}.nii.gz", labels(1))
    found = Dataset.open(tmp_path)
    assert found.format == "nifti"
    assert [sample.annotated for sample in found] == [True] * 3
    assert found.read_mask(tmp_path / "labelsTr" / "case_1.nii.gz")[0].areas_px.tolist() == [3]


def test_records_that_lie_are_problems(tmp_path):
    decathlon(tmp_path)
    content = json.loads((tmp_path / "dataset.json").read_text())
    content["training"] += [
        {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/case_1.nii.gz"},
        {"image": "./imagesTr/case_1.nii.gz", "label": "./labelsTr/gone.nii.gz"},
        {"image": "../../x.nii.gz", "label": None},
        {"image": 3},
        {"image": "./imagesTr/case_1.nii.gz"},
    ]
    describe(tmp_path, **content)
    with pytest.raises(ReadError, match=r"record 1 \(train\).*gone.nii.gz"):
        Dataset.open(tmp_path)
    found = Dataset.open(tmp_path, faulty="skip")
    assert found.names == ["case_1", "case_2"] and len(found.problems) == 5
    assert "outside" in str(found.problems[2]) and "twice" in str(found.problems[4])


@pytest.mark.parametrize(
    "given", [{"labels": 3}, {"labels": {"1": 2.5}}, {"labels": {"liver": "x"}}, {"labels": {"a": [-1]}}]
)
def test_a_description_that_cannot_be_one_is_refused(tmp_path, given):
    decathlon(tmp_path)
    describe(tmp_path, **given)
    with pytest.raises(ReadError, match="dataset.json"):
        Dataset.open(tmp_path)


def test_channels_in_files_of_their_own(tmp_path):
    for number in range(2):
        put(tmp_path / "imagesTr" / f"case_{number:04}.nii.gz", image(number))
        put(tmp_path / "imagesTr" / f"other_{number:04}.nii.gz", image(number))
    put(tmp_path / "labelsTr" / "case.nii.gz", labels(2))
    put(tmp_path / "labelsTr" / "other.nii.gz", labels(1))
    found = Dataset.open(tmp_path)
    assert found.names == ["case", "other"] and found[0].image_path is None
    assert found[0].image.channels == ("channel_0", "channel_1")
    describe(tmp_path, channel_names={"0": "CT", "1": "PET"}, labels={"background": 0, "a": 1, "b": 2})
    found = Dataset.open(tmp_path)
    assert found[0].image.channels == ("CT", "PET") and found[0].image.pixels[0, 0, 0].tolist() == [0, 1]
    assert found.classes.names == ("a", "b") and found[0].truth.class_ids.tolist() == [2]


def test_contrasts_of_one_patient_are_channels(tmp_path):
    for number, contrast in enumerate(["flair", "t1", "t1ce", "t2"]):
        put(tmp_path / "P1" / f"P1_{contrast}.nii.gz", image(number))
    put(tmp_path / "P1" / "P1_seg.nii.gz", labels(1, 2, 4))
    (sample,) = Dataset.open(tmp_path)
    assert sample.name == "P1/P1" and sample.image.channels == ("flair", "t1", "t1ce", "t2")
    assert sample.truth.class_ids.tolist() == [1, 2, 4]


def test_regions_of_several_numbers_overlap(tmp_path):
    decathlon(tmp_path)
    describe(tmp_path, labels={"background": 0, "all": [1, 4], "core": [4], "ignore": 9})
    truth = Dataset.open(tmp_path)["case_1"].truth
    assert truth.overlapping and truth.areas_px.tolist() == [6, 3]
    put(tmp_path / "labelsTr" / "case_1.nii.gz", labels(1, 9, 7))
    with pytest.raises(ReadError, match="number 7"):
        Dataset.open(tmp_path)["case_1"].truths  # noqa: B018
    put(tmp_path / "labelsTr" / "case_1.nii.gz", labels(1, 9))
    truth = Dataset.open(tmp_path)["case_1"].truth
    assert truth.void_px == 3 and truth.areas_px.tolist() == [3]


def test_an_image_and_its_labels_may_be_named(tmp_path):
    put(tmp_path / "ct.nii.gz", image())
    put(tmp_path / "organs.nii.gz", labels(1))
    assert not any(sample.annotated for sample in Dataset.open(tmp_path, "nifti"))
    (sample,) = Dataset.open(tmp_path, "nifti", images="ct.nii.gz", labels="organs.nii.gz")
    assert sample.truth.areas_px.tolist() == [3]
    (alone,) = Dataset.open(tmp_path / "ct.nii.gz")
    assert alone.name == "ct" and alone.image.shape == (3, 4, 5)


def test_labels_of_another_grid_are_refused(tmp_path):
    decathlon(tmp_path)
    moved = AFFINE.copy()
    moved[0, 3] += 3
    put(tmp_path / "labelsTr" / "case_1.nii.gz", labels(1), Geometry((2, 1, 1), "mm", moved, "RAS"))
    with pytest.raises(ReadError, match="3.0 voxels away"):
        Dataset.open(tmp_path)["case_1"].truths  # noqa: B018
    assert len(Dataset.open(tmp_path, "nifti", same_place=False)["case_1"].truth) == 1
    put(tmp_path / "labelsTr" / "case_1.nii.gz", np.zeros((3, 4, 6), np.uint8))
    with pytest.raises(ReadError, match=r"\(3, 4, 6\), its image case_1.nii.gz \(3, 4, 5\)"):
        Dataset.open(tmp_path)["case_1"].truths  # noqa: B018


def test_numbers_nobody_named_and_fractions_are_refused(tmp_path):
    decathlon(tmp_path)
    put(tmp_path / "labelsTr" / "case_1.nii.gz", labels(1, 2))
    with pytest.raises(ReadError, match=r"number 2 on 3 pixels.*dataset.json"):
        Dataset.open(tmp_path)["case_1"].truths  # noqa: B018
    assert Dataset.open(tmp_path, "nifti", void=2)["case_1"].truth.void_px == 3
    put(tmp_path / "labelsTr" / "case_1.nii.gz", labels(1).astype(np.float64))
    assert len(Dataset.open(tmp_path)["case_1"].truth) == 1
    put(tmp_path / "labelsTr" / "case_1.nii.gz", labels(1) * 0.5)
    with pytest.raises(ReadError, match="whole numbers"):
        Dataset.open(tmp_path)["case_1"].truths  # noqa: B018


def dataset(truth, **fields):
    pixels = np.random.default_rng(0).normal(size=(*truth.shape, 1)).astype(np.float32)
    return Dataset([Sample.of("p/1", Image(pixels, geometry=truth.geometry), truth, **fields)], CLASSES)


def rich():
    masks = np.zeros((4, 3, 4, 5), bool)
    masks[0, :, :2], masks[1, 0, 3], masks[2, 1, 3] = True, True, True  # the fourth is empty
    void = np.zeros((3, 4, 5), bool)
    void[0, 0] = True  # on a segment too
    return Segmentation.from_masks(
        masks,
        class_ids=[4, 1, 1, 1],
        scores=[1, 0.5, 1, 1],
        classes=CLASSES,
        geometry=PLACE,
        void=void,
        attributes={"track_id": [0, 7, 8, 9], "reader": ["", "eve", "", ""]},
    )


def test_objects_scores_attributes_and_void_come_back(tmp_path):
    report = dataset(rich(), split="val", group="anna", metadata={"age": 41}).write(tmp_path / "out", "nifti")
    assert not report, list(report.lines())
    (sample,) = Dataset.open(tmp_path / "out")
    assert sample.truth == rich() and (sample.split, sample.group) == ("val", "anna")
    assert Dataset.open(tmp_path / "out").classes == CLASSES
    semantic = read_nifti(tmp_path / "out" / "labelsTr" / "p" / "1.nii.gz")
    assert semantic.pixels.dtype == np.uint8 and set(np.unique(semantic.pixels)) == {0, 1, 4, 5}
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["labels"] == {"0": "background", "1": "liver", "4": "tumour", "5": "ignore"}


def test_plain_classes_need_no_further_file(tmp_path):
    truth = Segmentation.from_labels(labels(1, 2), class_ids=[1, 4], classes=CLASSES, geometry=PLACE)
    report = dataset(truth, split="train").write(tmp_path / "out", "nifti")
    assert not report, list(report.lines())
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    wanted = {
        "dataset.json",
        "classes.json",
        "smalti-loss.json",
        "imagesTr/p/1.nii.gz",
        "labelsTr/p/1.nii.gz",
    }
    assert files == wanted


def test_overlap_is_flattened_and_told(tmp_path):
    masks = np.ones((2, 3, 4, 5), bool)
    masks[1, 1:] = False
    truth = Segmentation.from_masks(masks, class_ids=[4, 1], classes=CLASSES, geometry=PLACE)
    report = dataset(truth).write(tmp_path / "out", "nifti")
    assert report.total.overlap_flattened == 20
    assert Dataset.open(tmp_path / "out")[0].truth.areas_px.tolist() == [20, 40]


def test_damaged_lists_of_segments_are_refused(tmp_path):
    dataset(rich()).write(tmp_path / "out", "nifti")
    path = tmp_path / "out" / "instancesTr" / "p" / "1.segments.json"
    content = json.loads(path.read_text())
    del content["segments"][0]
    path.write_text(json.dumps(content))
    with pytest.raises(ReadError, match="number 1 is not in 1.segments.json"):
        Dataset.open(tmp_path / "out")[0].truths  # noqa: B018


def test_folders_of_something_else_are_not_taken(tmp_path):
    with pytest.raises(ReadError, match="no NIfTI"):
        Dataset.open(tmp_path, "nifti")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ReadError, match="no NIfTI file"):
        Dataset.open(tmp_path / "a.txt", "nifti")
    with pytest.raises(InputError, match="half|same_place|auto"):
        Dataset.open(tmp_path, "nifti", version="3")


# Real data


@pytest.mark.realdata
def test_hippocampus(data_dir, tmp_path):
    found = Dataset.open(data_dir / "msd_hippocampus")
    assert len(found) == 87 and found.splits == ("train",) and found.classes.ids.tolist() == [1, 2]
    for sample in found:
        stored = np.asanyarray(nibabel.load(sample.truth_paths[0]).dataobj)
        truth = sample.truth
        counts = dict(zip(truth.class_ids.tolist(), truth.areas_px.tolist(), strict=True))
        assert counts == {number: int((stored == number).sum()) for number in (1, 2)}
    report = found[:12].write(tmp_path / "out", "nifti")
    assert not report, list(report.lines())
    for sample in Dataset.open(tmp_path / "out"):
        for folder in ("imagesTr", "labelsTr"):
            one = nibabel.load(data_dir / "msd_hippocampus" / folder / f"{sample.name}.nii.gz")
            two = nibabel.load(tmp_path / "out" / folder / f"{sample.name}.nii.gz")
            assert one.affine.tobytes() == two.affine.tobytes()
            assert one.header["pixdim"].tobytes() == two.header["pixdim"].tobytes()
            assert (one.header["qform_code"], one.header["sform_code"]) == (
                two.header["qform_code"],
                two.header["sform_code"],
            )
            assert np.array_equal(np.asanyarray(one.dataobj), np.asanyarray(two.dataobj))


@pytest.mark.realdata
def test_totalsegmentator_pairs(data_dir):
    folder = data_dir / "totalseg_ct_sample"
    for image_name, label_name in [
        ("example_ct_sm", "example_seg"),
        ("example_ct_sm", "example_seg_fast"),
        ("example_mr_sm", "example_seg_mr"),
    ]:
        (sample,) = Dataset.open(
            folder, "nifti", images=f"{image_name}.nii.gz", labels=f"{label_name}.nii.gz"
        )
        stored = np.asanyarray(nibabel.load(folder / f"{label_name}.nii.gz").dataobj)
        truth = sample.truth
        numbers, counts = np.unique(stored[stored > 0], return_counts=True)
        assert truth.class_ids.tolist() == numbers.tolist() and truth.areas_px.tolist() == counts.tolist()
        assert np.array_equal(sample.image.geometry.affine, truth.geometry.affine)
    assert (
        len(
            Dataset.open(folder, "nifti", images="example_ct_sm.nii.gz", labels="example_seg.nii.gz")[0].truth
        )
        == 41
    )
