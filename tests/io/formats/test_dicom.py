"""DICOM-SEG datasets: segmentation objects on the slices they were drawn on, of every kind, read and written."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io import read
from smalti.sample import Sample
from smalti.segmentation import Segmentation

pydicom = pytest.importorskip("pydicom", reason="the extra medical is not installed")
highdicom = pytest.importorskip("highdicom", reason="the extra medical is not installed")

CLASSES = ClassSet([Class(1, "liver", (200, 30, 30)), Class(2, "vessel", (30, 30, 200), thing=False)])
OBLIQUE = np.array([[-0.6, 0, 0, 10], [0, -0.5, 0, -20.5], [0, 0, 2.5, 30], [0, 0, 0, 1]])
PLACE = Geometry((2.5, 0.5, 0.6), "mm", OBLIQUE, "RAS")
LIVER = highdicom.sr.CodedConcept("10200004", "SCT", "Liver")
TISSUE = highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")


def volume(dtype=np.int16, shape=(3, 4, 5), place=PLACE):
    pixels = np.arange(np.prod(shape)).reshape(*shape, 1) - 1000
    return Image(pixels.astype(dtype), geometry=place)


def written(folder, truth, image=None, name="case", **fields):
    image = Image(np.zeros((*truth.shape, 1), np.uint8), geometry=truth.geometry) if image is None else image
    return Dataset([Sample.of(name, image, truth, **fields)], CLASSES).write(folder, "dicom-seg")


def empty_series(folder):
    """Three slices without a segmentation, and their headers as pydicom has them."""
    truth = Segmentation.from_labels(np.zeros((3, 4, 5), int), class_ids=[], classes=CLASSES, geometry=PLACE)
    written(folder, truth, volume())
    (folder / "case" / "seg-1.dcm").unlink()
    (folder / "classes.json").unlink()
    return [pydicom.dcmread(path) for path in sorted((folder / "case").glob("0*.dcm"))]


def put_seg(path, sources, values, kind="BINARY", labels=("Left lobe",), **options):
    """A segmentation object as highdicom writes it."""
    described = [
        highdicom.seg.SegmentDescription(
            number, label, TISSUE, LIVER, "MANUAL", tracking_uid=highdicom.UID(), tracking_id=label
        )
        for number, label in enumerate(labels, 1)
    ]
    content = highdicom.seg.Segmentation(
        sources,
        values,
        kind,
        described,
        highdicom.UID(),
        7,
        highdicom.UID(),
        1,
        "tests",
        "tests",
        "1",
        "1",
        **options,
    )
    content.save_as(path)
    return content


def corner(*indices, shape=(3, 4, 5)):
    values = np.zeros(shape, np.uint8)
    for index in indices:
        values[index] = 1
    return values


# Reading


def test_binary_frames_find_their_slices(tmp_path):
    sources = empty_series(tmp_path)
    put_seg(tmp_path / "s.dcm", sources, corner((0, 1, 2), (2, 3, 4)))  # the middle slice has no frame
    (sample,) = Dataset.open(tmp_path)
    truth = sample.truth
    assert sample.name == "case" and sample.group is None and truth.shape == sample.image.shape
    assert np.array_equal(truth.mask(1), corner((0, 1, 2), (2, 3, 4)) > 0)
    assert truth.classes.names == ("Left lobe",) and truth.attributes["source_id"].tolist() == [1]
    assert truth.attributes["tracking_id"].tolist() == ["Left lobe"]
    assert truth.attributes["type"].tolist() == ["10200004^Liver^SCT"]
    assert np.array_equal(truth.geometry.affine, sample.image.geometry.affine)
    by_type = Dataset.open(tmp_path, "dicom-seg", class_from="type")
    assert by_type.classes.names == ("Liver",) and len(by_type[0].truth) == 1


def test_segments_may_overlap_and_share_a_class(tmp_path):
    sources = empty_series(tmp_path)
    values = np.stack([corner((0, 1, 2), (0, 1, 3)), corner((0, 1, 2)), corner((1, 0, 0))], axis=-1)
    put_seg(tmp_path / "s.dcm", sources, values, labels=("a", "b", "b"))
    truth = Dataset.open(tmp_path)[0].truth
    assert truth.overlapping and truth.areas_px.tolist() == [2, 1, 1]
    assert [truth.classes.of(i).name for i in truth.class_ids] == ["a", "b", "b"]


def test_fractions_become_pixels_and_a_score(tmp_path):
    sources = empty_series(tmp_path)
    values = np.zeros((3, 4, 5), np.float32)
    values[0, 0, :3] = 1.0, 0.6, 0.2
    put_seg(tmp_path / "s.dcm", sources, values, "FRACTIONAL", max_fractional_value=100)
    truth = Dataset.open(tmp_path)[0].truth
    assert truth.areas_px.tolist() == [2] and truth.scores.tolist() == pytest.approx([0.8])
    assert Dataset.open(tmp_path, "dicom-seg", threshold=0.1)[0].truth.areas_px.tolist() == [3]
    put_seg(tmp_path / "s.dcm", sources, values, "FRACTIONAL", fractional_type="OCCUPANCY")
    assert Dataset.open(tmp_path)[0].truth.scores.tolist() == [1]


def test_label_maps(tmp_path):
    sources = empty_series(tmp_path)
    put_seg(
        tmp_path / "s.dcm", sources, corner((0, 1, 2)) + 2 * corner((2, 3, 4)), "LABELMAP", labels=("a", "b")
    )
    truth = Dataset.open(tmp_path)[0].truth
    assert truth.mask(1)[0, 1, 2] and truth.mask(2)[2, 3, 4] and truth.areas_px.tolist() == [1, 1]


def test_several_objects_are_annotators_or_one_truth(tmp_path):
    sources = empty_series(tmp_path)
    put_seg(tmp_path / "1.dcm", sources, corner((0, 1, 2)), labels=("a",))
    put_seg(tmp_path / "2.dcm", sources, corner((1, 1, 2)), labels=("b",))
    (sample,) = Dataset.open(tmp_path)
    assert [len(truth) for truth in sample.truths] == [1, 1] and len(sample.truth_paths) == 2
    (sample,) = Dataset.open(tmp_path, "dicom-seg", together=True)
    assert len(sample.truths) == 1 and len(sample.truth) == 2
    (sample,) = Dataset.open(tmp_path / "2.dcm")
    assert len(sample.truths) == 1 and sample.truth.classes.names == ("b",) and sample.load_image is not None


def test_an_object_without_its_images_keeps_its_own_slices(tmp_path):
    sources = empty_series(tmp_path)
    put_seg(tmp_path / "s.dcm", sources, corner((0, 1, 2), (2, 3, 4)))
    shutil.rmtree(tmp_path / "case")
    (sample,) = Dataset.open(tmp_path)
    assert sample.load_image is None and sample.name == "s"
    assert np.array_equal(sample.truth.mask(1), corner((0, 1, 2), (2, 3, 4)) > 0)
    assert sample.truth.geometry.spacing == PLACE.spacing
    assert np.allclose(sample.truth.geometry.affine, OBLIQUE)


def test_a_turned_or_cropped_object_is_laid_on_the_grid(tmp_path):
    """Its rows run down the image and only a part of it is there: a grid of whole steps all the same."""
    sources = empty_series(tmp_path)
    part = corner((0, 0, 1), (1, 1, 0), shape=(3, 3, 2))
    content = put_seg(tmp_path / "s.dcm", sources, corner((0, 0, 0), (1, 0, 0), (2, 0, 0)))
    content.Rows, content.Columns = 3, 2
    content.PixelData = pydicom.pixels.pack_bits(part.ravel())
    for z, group in enumerate(content.PerFrameFunctionalGroupsSequence):
        group.PlanePositionSequence[0].ImagePositionPatient = [
            -10 + 2 * 0.6,
            20.5 + 1 * 0.5,
            30 + 2.5 * z,
        ]  # x 2, y 1
    shared = content.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 1, 0, 0]
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.6, 0.5]
    content.save_as(tmp_path / "s.dcm")
    truth = Dataset.open(tmp_path)[0].truth
    assert np.array_equal(truth.mask(1), corner((0, 2, 2), (1, 1, 3)) > 0)


def test_objects_of_another_grid_are_refused(tmp_path):
    sources = empty_series(tmp_path)
    content = put_seg(tmp_path / "s.dcm", sources, corner((0, 1, 2)))
    shared = content.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.8, 0.8]
    content.save_as(tmp_path / "s.dcm")
    with pytest.raises(ReadError, match="another grid"):
        Dataset.open(tmp_path)[0].truths  # noqa: B018
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.5, 0.6]
    group = content.PerFrameFunctionalGroupsSequence[0]
    group.PlanePositionSequence[0].ImagePositionPatient[2] = 30 + 2.5 * 9
    content.save_as(tmp_path / "s.dcm")
    with pytest.raises(ReadError, match="outside"):
        Dataset.open(tmp_path)[0].truths  # noqa: B018


def test_objects_and_series_that_lie_are_problems(tmp_path):
    sources = empty_series(tmp_path)
    good = put_seg(tmp_path / "s.dcm", sources, corner((0, 1, 2)))
    content = pydicom.dcmread(tmp_path / "s.dcm")
    del content.SegmentSequence
    content.save_as(tmp_path / "bad.dcm")
    cut = pydicom.dcmread(tmp_path / "s.dcm")
    cut.PixelData = b"\0\0"
    cut.save_as(tmp_path / "cut.dcm")
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "case", broken)
    for path in broken.glob("*.dcm"):
        slice_ = pydicom.dcmread(path)
        slice_.SeriesInstanceUID, slice_.SOPInstanceUID = "1.2.99", pydicom.uid.generate_uid()
        slice_.ImagePositionPatient[2] = 30
        slice_.save_as(path)
    found = Dataset.open(tmp_path, "dicom-seg", faulty="skip")
    assert found.names == ["case"] and len(found[0].truth_paths) == 2
    problems = {problem.file: problem.message for problem in found.problems}
    assert "describes no segment" in problems["bad.dcm"]
    assert "two slices at" in next(message for file, message in problems.items() if file.startswith("broken"))
    with pytest.raises(ReadError, match="cut.dcm"):
        found[0].truths  # noqa: B018
    content = pydicom.dcmread(tmp_path / "s.dcm")
    groups = [*content.PerFrameFunctionalGroupsSequence, *content.SharedFunctionalGroupsSequence]
    for group in groups:
        if "SegmentIdentificationSequence" in group:
            group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 5
    (tmp_path / "cut.dcm").unlink()
    content.save_as(tmp_path / "s.dcm")
    with pytest.raises(ReadError, match="segment 5, which is not described"):
        Dataset.open(tmp_path, faulty="skip")[0].truths  # noqa: B018
    assert good.SegmentSequence


# Writing


@settings(max_examples=12)
@given(masks=arrays(bool, (3, 2, 3, 4)), void=st.booleans())
def test_no_pixel_is_lost(tmp_path_factory, masks, void):
    truth = Segmentation.from_masks(
        masks,
        class_ids=[1, 2, 1],
        scores=[1, 0.25, 1],
        classes=CLASSES,
        geometry=PLACE,
        void=masks[0] ^ masks[1] if void else None,
        attributes={"track_id": [0, 4, 5], "reader": ["", "eve", "bob"]},
    )
    folder = tmp_path_factory.mktemp("dicom") / "out"
    report = written(folder, truth, name="p/1", split="val", group="anna")
    assert not report, list(report.lines())
    (back,) = Dataset.open(folder)
    assert back.truth == truth and (back.name, back.split, back.group) == ("p/1", "val", "anna")


def test_highdicom_reads_what_is_written(tmp_path):
    labels = corner((0, 1, 2)) + 2 * corner((2, 3, 4), (2, 3, 3))
    truth = Segmentation.from_labels(labels, class_ids=[1, 2], classes=CLASSES, geometry=PLACE)
    assert not written(tmp_path / "out", truth, volume())
    seg = highdicom.seg.segread(tmp_path / "out" / "case" / "seg-1.dcm")
    assert [seg.get_segment_description(k).segment_label for k in (1, 2)] == ["liver", "vessel"]
    uids = [
        pydicom.dcmread(path).SOPInstanceUID for path in sorted((tmp_path / "out" / "case").glob("0*.dcm"))
    ]
    found = seg.get_pixels_by_source_instance(uids, combine_segments=True, ignore_spatial_locations=True)
    assert np.array_equal(found, labels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_images_of_16_bits_come_back_exactly(tmp_path, dtype):
    image = volume(dtype)
    truth = Segmentation.from_labels(corner((0, 1, 2)), classes=CLASSES, geometry=PLACE)
    assert not written(tmp_path / "out", truth, image)
    back = read(tmp_path / "out" / "case" / "0001.dcm")
    assert back.pixels.dtype == dtype and np.array_equal(back.pixels[..., 0], image.pixels[0, ..., 0])


def test_other_images_are_put_down_closely_and_told(tmp_path):
    rng = np.random.default_rng(0)
    image = Image(rng.normal(50, 20, (3, 4, 5, 1)), geometry=PLACE)
    truth = Segmentation.from_labels(corner((0, 1, 2)), classes=CLASSES, geometry=PLACE)
    report = written(tmp_path / "out", truth, image)
    assert report.exact and report.total.image_changed
    back = Dataset.open(tmp_path / "out")[0].image
    step = np.ptp(image.pixels) / 65535
    assert np.abs(back.pixels - image.pixels).max() <= step
    with pytest.raises(InputError, match="2 channels"):
        written(tmp_path / "two", truth, Image(rng.normal(size=(3, 4, 5, 2)), geometry=PLACE))
    with pytest.raises(InputError, match="no numbers"):
        written(tmp_path / "nan", truth, Image(np.full((3, 4, 5, 1), np.nan), geometry=PLACE))
    with pytest.raises(InputError, match="no image"):
        Dataset([Sample("a", None, lambda: (truth,))], CLASSES).write(tmp_path / "none", "dicom-seg")


@pytest.mark.parametrize("sign", [1, -1])
def test_pixels_go_before_places(tmp_path, sign):
    """DICOM sorts slices along their normal, so a volume that is left-handed keeps its order and loses its affine."""
    affine = OBLIQUE @ np.diag([1, 1, sign, 1])
    place = Geometry(PLACE.spacing, "mm", affine, "RAS")
    truth = Segmentation.from_labels(corner((0, 1, 2)), classes=CLASSES, geometry=place)
    report = written(tmp_path / "out", truth, volume(place=place))
    assert report.exact and not report.total.image_changed
    assert report.total.fields_lost == (() if sign == 1 else ("affine",))


def test_slices_that_were_dicom_are_copied(tmp_path):
    sources = empty_series(tmp_path / "a")
    put_seg(tmp_path / "a" / "s.dcm", sources, corner((0, 1, 2)))
    found = Dataset.open(tmp_path / "a")
    report = found.write(tmp_path / "b", "dicom-seg")
    assert not report, list(report.lines())
    for path in sorted((tmp_path / "a" / "case").glob("0*.dcm")):
        assert path.read_bytes() == (tmp_path / "b" / "case" / path.name).read_bytes()
    assert Dataset.open(tmp_path / "b")[0].truth == found[0].truth


def test_bare_slices_get_a_segmentation(tmp_path):
    """Slices that lack what every DICOM file should have, such as a patient's name."""
    sources = empty_series(tmp_path / "a")
    for path, content in zip(sorted((tmp_path / "a" / "case").glob("0*.dcm")), sources, strict=True):
        for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber", "SpecificCharacterSet"):
            del content[keyword]
        content.save_as(path)
    (sample,) = Dataset.open(tmp_path / "a", "dicom-seg")
    truth = Segmentation.from_labels(corner((0, 1, 2)), classes=CLASSES, geometry=sample.image.geometry)
    drawn = Sample("a", sample.load_image, lambda: (truth,))
    assert not Dataset([drawn], CLASSES).write(tmp_path / "b", "dicom-seg")


def test_dicom_goes_to_nifti_and_back_to_the_same_place(tmp_path):
    pytest.importorskip("nibabel", reason="the extra medical is not installed")
    truth = Segmentation.from_labels(corner((0, 1, 2)), classes=CLASSES, geometry=PLACE)
    written(tmp_path / "a", truth, volume())
    Dataset.open(tmp_path / "a").write(tmp_path / "b", "nifti")
    assert not Dataset.open(tmp_path / "b").write(tmp_path / "c", "dicom-seg")
    assert np.array_equal(Dataset.open(tmp_path / "c")[0].truth.geometry.affine, OBLIQUE)


# Real data


def rasters(folder, name):
    return read(folder / name).pixels[..., 0]


def of_file(dataset, name):
    """The truth that a file holds."""
    for sample in dataset:
        for number, path in enumerate(sample.truth_paths):
            if path.as_posix().endswith(name):
                return sample, sample.truths[number]
    raise AssertionError(name)


@pytest.mark.realdata
def test_real_segments_are_the_documented_rasters(data_dir):
    folder = data_dir / "dicom_seg_samples" / "dcmqi"
    found = Dataset.open(folder)
    assert len(found) == 5 and found.reason.endswith("with segmentations")
    for name, raster, owner in [
        ("dcmqi/liver.dcm", "liver_seg.nrrd", "ct-3slice"),
        ("sparse-labelmap-noppv.dcm", "sparse_labelmap_noppv_seg.nrrd", "24x38x3/image"),
        ("sparse-labelmap-ppv5.dcm", "sparse_labelmap_ppv5_seg.nrrd", "24x38x3/image"),
        ("23x38x3/seg/label.seg", "23x38x3/nrrd/label.nrrd", "23x38x3/image"),
        ("24x38x3/seg/label.seg", "24x38x3/nrrd/label.nrrd", "24x38x3/image"),
    ]:
        sample, truth = of_file(found, name)
        assert sample.name == owner and [truth.classes.of(i).name for i in truth.class_ids] == ["Liver"]
        assert np.array_equal(truth.mask(1), rasters(folder, raster) == 1)
        place = read(folder / raster).geometry
        assert np.allclose(truth.geometry.affine, place.affine, atol=1e-5)
    sample, truth = of_file(found, "partial_overlaps.dcm")
    assert truth.overlapping and len(truth) == 5
    seen = []
    for number in (1, 2, 3):
        raster = rasters(folder, f"partial_overlaps-{number}.nrrd")
        for value in np.unique(raster)[1:].tolist():
            assert np.array_equal(truth.mask(value), raster == value)
            seen.append(value)
    assert sorted(seen) == [1, 2, 3, 4, 5]


@pytest.mark.realdata
def test_rasters_on_real_slices_come_back(data_dir, tmp_path):
    """Liver, spine and heart, drawn on the three slices, are written as one object and read again."""
    folder = data_dir / "dicom_seg_samples" / "dcmqi"
    names = ["liver", "spine", "heart"]
    masks = np.stack([rasters(folder, f"{name}_seg.nrrd") > 0 for name in names])
    found = Dataset.open(folder / "ct-3slice")
    (sample,) = found
    classes = ClassSet.from_names(names)
    truth = Segmentation.from_masks(
        masks, class_ids=[1, 2, 3], classes=classes, geometry=sample.image.geometry
    )
    drawn = Sample("ct", sample.load_image, lambda: (truth,))
    report = Dataset([drawn], classes).write(tmp_path / "out", "dicom-seg")
    assert not report, list(report.lines())
    assert Dataset.open(tmp_path / "out")[0].truth.areas_px.tolist() == masks.sum(axis=(1, 2, 3)).tolist()


@pytest.mark.realdata
def test_highdicoms_own_files(data_dir):
    found = Dataset.open(data_dir / "dicom_seg_samples" / "highdicom", faulty="skip")
    truths = {sample.name: sample.truth for sample in found if sample.annotated}
    areas = {name: truth.areas_px.tolist() for name, truth in truths.items()}
    assert areas == {
        "ct_image": [1832],
        "seg_image_cr_binary": [151],
        "seg_image_ct_binary": [638],
        "seg_image_ct_binary_fractional": [638],
        "seg_image_ct_binary_overlap": [64, 16],
        "seg_image_ct_true_fractional": [638],
    }
    assert truths["seg_image_ct_true_fractional"].scores.tolist() == pytest.approx([128 / 255])
    assert found["ct_image"].image.shape == truths["ct_image"].shape == (1, 128, 128)
    slides = [problem for problem in found.problems if "whole slide in tiles" in problem.message]
    assert len(slides) == len(found.problems) == 12
    for name in ("seg_image_ct_binary", "seg_image_ct_binary_overlap"):
        seg = highdicom.seg.segread(data_dir / "dicom_seg_samples" / "highdicom" / f"{name}.dcm")
        assert int(seg.pixel_array.sum()) == sum(areas[name])


@pytest.mark.realdata
def test_anonymised_slices_get_the_numbers_they_lack(data_dir, tmp_path):
    found = Dataset.open(data_dir / "totalseg_ct_sample" / "example_ct_dicom", "dicom-seg")
    (sample,) = found
    labels = np.zeros(sample.image.shape, int)
    labels[3, 100:200, 100:200] = 1
    classes = ClassSet.from_names(["box"])
    truth = Segmentation.from_labels(labels, classes=classes, geometry=sample.image.geometry)
    drawn = Sample("ct", sample.load_image, lambda: (truth,))
    report = Dataset([drawn], classes).write(tmp_path / "out", "dicom-seg")
    assert not report, list(report.lines())
