"""DICOM images: slices in the order of space, values in real units, and series that are none refused."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import ReadError
from smalti.io import read
from smalti.io.dicom import arrange, group_series, read_dicom
from smalti.io.dicom_files import read_header

pydicom = pytest.importorskip("pydicom", reason="the extra medical is not installed")

CT = "1.2.840.10008.5.1.4.1.1.2"


def slice_of(
    path, z=0.0, *, values=None, series="1.2.3", axes=(1, 0, 0, 0, 1, 0), xy=(-10.0, 20.0), **changes
):
    """A CT slice of 3 rows and 4 columns whose values say where it lies."""
    values = np.full((3, 4), z + 100, np.int16) if values is None else values
    content = pydicom.Dataset()
    content.file_meta = pydicom.dataset.FileMetaDataset()
    content.file_meta.TransferSyntaxUID = changes.pop("syntax", "1.2.840.10008.1.2.1")
    content.file_meta.MediaStorageSOPClassUID = content.SOPClassUID = changes.pop("sop_class", CT)
    content.SOPInstanceUID = content.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    content.SeriesInstanceUID, content.StudyInstanceUID, content.FrameOfReferenceUID = series, "1.2", "1.9"
    content.PatientID, content.Modality = "anna", "CT"
    content.Rows, content.Columns = values.shape[:2]
    content.SamplesPerPixel = 1 if values.ndim == 2 else 3
    content.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        content.PlanarConfiguration = 0
    content.BitsAllocated = content.BitsStored = 8 * values.itemsize
    content.HighBit, content.PixelRepresentation = content.BitsStored - 1, int(values.dtype.kind == "i")
    if z is not None:
        content.ImagePositionPatient, content.ImageOrientationPatient = [*xy, z], list(axes)
    content.PixelSpacing, content.SliceThickness = [0.5, 0.75], 2.0
    for name, value in changes.items():
        setattr(content, name, value)
    content.PixelData = values.tobytes()
    content.save_as(path, enforce_file_format=True)
    return path


def test_slices_are_sorted_by_where_they_lie(tmp_path):
    for name, z in (("c.dcm", 4.0), ("a.dcm", 6.0), ("b.dcm", 2.0)):
        slice_of(tmp_path / name, z, InstanceNumber=int(z))
    image = read(tmp_path)
    assert image.pixels[:, 0, 0, 0].tolist() == [102, 104, 106]
    assert image.geometry.spacing == (2, 0.5, 0.75) and image.geometry.unit == "mm"
    # RAS: DICOM's first two coordinates with the other sign
    wanted = [[-0.75, 0, 0, 10], [0, -0.5, 0, -20], [0, 0, 2, 2], [0, 0, 0, 1]]
    assert image.geometry.affine.tolist() == wanted and image.geometry.crs == "RAS"


def test_the_normal_says_which_way_is_up(tmp_path):
    """Rows run to the left and columns up: the normal is (0, 1, 0), so the slice further back comes last."""
    for name, y in (("a.dcm", 5.0), ("b.dcm", 3.0)):
        path = slice_of(
            tmp_path / name, 0.0, axes=(0, 0, 1, 1, 0, 0), values=np.full((3, 4), int(y), np.int16)
        )
        content = pydicom.dcmread(path)
        content.ImagePositionPatient = [0, y, 0]
        content.save_as(path)
    image = read_dicom(tmp_path)
    assert image.pixels[:, 0, 0, 0].tolist() == [3, 5]
    assert image.geometry.affine[:3, 2].tolist() == [0, -2, 0]


def test_values_are_rescaled_slice_by_slice(tmp_path):
    stored = np.array([[0, 4095]] * 2, np.uint16)
    slice_of(tmp_path / "a.dcm", 0.0, values=stored, RescaleSlope=1, RescaleIntercept=-1024)
    slice_of(tmp_path / "b.dcm", 2.0, values=stored, RescaleSlope=1, RescaleIntercept=-1000)
    image = read_dicom(tmp_path)
    assert image.pixels.dtype == np.int16
    assert image.pixels[:, 0, :, 0].tolist() == [[-1024, 3071], [-1000, 3095]]
    slice_of(tmp_path / "b.dcm", 2.0, values=stored, RescaleSlope="0.5", RescaleIntercept=0)
    image = read_dicom(tmp_path)
    assert image.pixels.dtype == np.float32 and image.pixels[1, 0, 1, 0] == 2047.5


def test_a_single_file_is_a_picture(tmp_path):
    image = read(slice_of(tmp_path / "a.dcm", 3.0))
    assert image.shape == (3, 4) and image.geometry.spacing == (0.5, 0.75)
    assert image.geometry.affine[2, 3] == 3
    nowhere = read(slice_of(tmp_path / "b.dcm", None, values=np.zeros((3, 4), np.uint8)))
    assert nowhere.shape == (3, 4) and nowhere.geometry.affine is None
    colors = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(read(slice_of(tmp_path / "c.dcm", None, values=colors)).pixels, colors)
    nameless = slice_of(tmp_path / "IM0001", 3.0)
    assert read(nameless).shape == (3, 4) and read(nameless.read_bytes()).shape == (3, 4)


def test_what_is_no_volume_is_refused_by_one_line(tmp_path):
    def fails(folder, word):
        with pytest.raises(ReadError, match=word) as raised:
            read_dicom(folder)
        assert "\n" not in str(raised.value)

    def series(name, *heights, **last):
        folder = tmp_path / name
        folder.mkdir()
        for number, z in enumerate(heights):
            slice_of(folder / f"{number}.dcm", z, **(last if number == len(heights) - 1 else {}))
        return folder

    fails(series("gap", 0.0, 2.0, 4.0, 8.0), "4.00 mm between 2.dcm and 3.dcm")
    fails(series("twice", 0.0, 2.0, 2.0), "two slices at 2 mm, 1.dcm and 2.dcm")
    fails(series("sizes", 0.0, 2.0, values=np.zeros((5, 4), np.int16)), "different sizes")
    fails(series("turned", 0.0, 2.0, axes=(0, 1, 0, 1, 0, 0)), "turned")
    fails(series("spacings", 0.0, 2.0, PixelSpacing=[0.5, 0.8]), "pixel spacings")
    fails(series("shifted", 0.0, 2.0, 4.0, xy=(-9.0, 20.0)), "shifted|lie")
    fails(series("nowhere", 0.0, None, values=np.zeros((3, 4), np.int16)), "does not say where it lies")
    fails(series("two", 0.0, 2.0, series="1.2.4"), "2 series")
    fails(series("none"), "without DICOM")


def test_a_tilted_stack_keeps_its_slant(tmp_path):
    for number in range(3):
        slice_of(tmp_path / f"{number}.dcm", 2.0 * number, xy=(-10.0, 20.0 + number))
    affine = read_dicom(tmp_path).geometry.affine
    assert affine[:3, 2].tolist() == [0, -1, 2]


def test_files_without_series_numbers_are_one_series_in_each_folder(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            slice_of(tmp_path / folder / str(number), 2.0 * number, series="")
    headers = [read_header(path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    groups = group_series(headers)
    assert [arrange(group).shape for group in groups] == [(2, 3, 4), (2, 3, 4)]


def test_damaged_files_are_refused_by_one_line(tmp_path):
    whole = slice_of(tmp_path / "a.dcm", 1.0).read_bytes()
    lossless = slice_of(tmp_path / "b.dcm", 1.0)
    content = pydicom.dcmread(lossless)
    content.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    content.PixelData = pydicom.encaps.encapsulate([b"1234"])
    content["PixelData"].is_undefined_length = True
    content.save_as(lossless)
    cases = [
        (whole[:-10], "damaged"),
        (whole[:200], "damaged|no pixels|another kind"),
        (b"hello" * 100, "no DICOM"),
        (lossless.read_bytes(), "python-gdcm"),
        (whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20]), "deflated|damaged"),
        (slice_of(tmp_path / "c.dcm", 1.0, Rows=60000, Columns=60000).read_bytes(), "max-pixels"),
        (slice_of(tmp_path / "d.dcm", 1.0, NumberOfFrames=2_000_000_000).read_bytes(), "frames"),
        (slice_of(tmp_path / "e.dcm", 1.0, TotalPixelMatrixRows=9).read_bytes(), "whole slide"),
        (slice_of(tmp_path / "f.dcm", 1.0, axes=(1, 0, 0, 1, 0, 0)).read_bytes(), "perpendicular"),
        (slice_of(tmp_path / "g.dcm", 1.0, sop_class="1.2.840.10008.5.1.4.1.1.66.4").read_bytes(), "dataset"),
    ]
    for data, word in cases:
        with pytest.raises(ReadError, match=word) as raised:
            read_dicom(data)
        assert "\n" not in str(raised.value)


# Real data


@pytest.mark.realdata
def test_real_series_lies_where_its_nifti_lies(data_dir):
    pytest.importorskip("nibabel", reason="the extra medical is not installed")
    folder = data_dir / "totalseg_ct_sample"
    series, labels = read(folder / "example_ct_dicom"), read(folder / "example_seg_dicom.nii.gz")
    assert series.shape == labels.shape == (20, 512, 512) and series.pixels.dtype == np.int16
    assert series.geometry.spacing == labels.geometry.spacing == (2, 0.9765625, 0.9765625)
    # the NIfTI has its rows the other way round: row y there is row 511 - y here, at the same place
    flip = np.array([[1, 0, 0, 0], [0, -1, 0, 511], [0, 0, 1, 0], [0, 0, 0, 1]], float)
    assert np.array_equal(series.geometry.affine @ flip, labels.geometry.affine)
    bone = labels.pixels[:, ::-1] > 0
    assert series.pixels[bone].mean() > series.pixels[~bone].mean()  # organs are denser than air and table


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["23x38x3", "24x38x3"])
def test_a_multiframe_file_is_its_slices(data_dir, name):
    folder = data_dir / "dicom_seg_samples" / "dcmqi" / name
    single, multi = read(folder / "image"), read(folder / "multiframe" / "mf.dcm")
    assert np.array_equal(single.pixels, multi.pixels)
    assert np.allclose(single.geometry.affine, multi.geometry.affine)
    assert single.geometry.spacing == multi.geometry.spacing
