"""NIfTI and NRRD: axes, affines and spacings as the files have them, and damaged files refused."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io import read
from smalti.io.headers import image_size
from smalti.io.medical import read_nifti, read_nifti_header, whole_labels, write_nifti
from smalti.io.nrrd import read_nrrd

nibabel = pytest.importorskip("nibabel", reason="the extra medical is not installed")

AFFINE = np.array([[-0.5, 0, 0.1, 10], [0, 0.5, 0, -20.25], [0, 0.2, 2, 3], [0, 0, 0, 1]], np.float32).astype(
    float
)


def save(path, array_xyz, affine=AFFINE, **header):
    """A file as nibabel writes it."""
    picture = nibabel.Nifti1Image(array_xyz, affine, dtype=array_xyz.dtype)
    for name, value in header.items():
        picture.header[name] = value
    nibabel.save(picture, path)
    return path


def numbered(*shape, dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_x_is_the_last_axis_and_the_affine_takes_x_y_z(tmp_path):
    array = numbered(5, 4, 3)
    image = read(save(tmp_path / "a.nii.gz", array, xyzt_units=2))
    assert image.shape == (3, 4, 5) and image.pixels.flags.c_contiguous
    assert image.pixels[2, 1, 4, 0] == array[4, 1, 2]
    assert np.array_equal(image.geometry.affine, AFFINE) and image.geometry.crs == "RAS"
    assert image.geometry.spacing == tuple(
        float(s) for s in nibabel.load(tmp_path / "a.nii.gz").header.get_zooms()[::-1]
    )
    assert image.geometry.unit == "mm"


def test_further_axes_are_channels(tmp_path):
    array = numbered(5, 4, 3, 2)
    image = read(save(tmp_path / "a.nii", array))
    assert image.pixels.shape == (3, 4, 5, 2) and image.channels == ("channel_0", "channel_1")
    assert np.array_equal(image.pixels, array.transpose(2, 1, 0, 3))
    vectors = read(save(tmp_path / "b.nii", array[:, :, :, None, :]))
    assert np.array_equal(vectors.pixels, image.pixels)
    plane = read(save(tmp_path / "c.nii", numbered(5, 4)))
    assert plane.shape == (4, 5)
    with pytest.raises(ReadError, match="5 x 4 x 3 x 2 x 2"):
        read(save(tmp_path / "d.nii", numbered(5, 4, 3, 2, 2)))


def test_colours_become_channels(tmp_path):
    colors = np.zeros((5, 4, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colors["G"] = numbered(5, 4, 3, dtype=np.uint8)
    image = read(save(tmp_path / "a.nii", colors))
    assert image.channels == ("red", "green", "blue")
    assert np.array_equal(image.channel("green"), colors["G"].T)


def test_values_are_scaled_as_nibabel_does(tmp_path):
    path = save(tmp_path / "a.nii", numbered(5, 4, 3))
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([0.25, -1000], "<f4").tobytes()
    path.write_bytes(data)
    image = read(path)
    assert np.array_equal(image.pixels[..., 0], nibabel.load(path).get_fdata().T)
    assert image.pixels.dtype == np.float64


def test_without_codes_there_is_no_affine(tmp_path):
    picture = nibabel.Nifti1Image(numbered(5, 4, 3), None)
    nibabel.save(picture, tmp_path / "a.nii")
    geometry = read(tmp_path / "a.nii").geometry
    assert geometry.affine is None and geometry.crs is None and not geometry.known


def test_big_endian_values_are_native_here(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nibabel.save(nibabel.Nifti1Image(numbered(5, 4, 3), AFFINE, header), tmp_path / "a.nii")
    image = read(tmp_path / "a.nii")
    assert image.pixels.dtype == np.int16 and image.pixels.dtype.isnative
    assert np.array_equal(image.pixels[..., 0], numbered(5, 4, 3).T)


finite = st.floats(-1e4, 1e4, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3)


@settings(max_examples=25)
@given(arrays(np.float32, (3, 4), elements=finite), st.tuples(*[st.floats(2**-10, 2**10, width=32)] * 3))
def test_single_precision_affine_and_spacing_come_back_bit_for_bit(tmp_path_factory, rows, spacing):
    path = tmp_path_factory.mktemp("nifti") / "a.nii.gz"
    affine = np.vstack([rows.astype(np.float64), [0, 0, 0, 1]])
    write_nifti(path, Image(np.ones((2, 3, 4, 1), np.uint8), geometry=Geometry(spacing, "mm", affine, "RAS")))
    back = read(path).geometry
    assert back.affine.tobytes() == affine.tobytes() and back.spacing == spacing
    assert int(nibabel.load(path).header["sizeof_hdr"]) == 348
    assert np.array_equal(nibabel.load(path).affine, affine)


def test_an_affine_that_needs_doubles_becomes_version_two(tmp_path):
    affine = AFFINE.copy()
    affine[0, 3] = 0.1
    image = Image(np.ones((2, 3, 4, 1), np.uint8), geometry=Geometry((1, 1, 1), "mm", affine, "RAS"))
    write_nifti(tmp_path / "a.nii.gz", image)
    assert np.array_equal(read(tmp_path / "a.nii.gz").geometry.affine, affine)
    assert isinstance(nibabel.load(tmp_path / "a.nii.gz"), nibabel.Nifti2Image)
    write_nifti(tmp_path / "b.nii", image, version=1)
    assert isinstance(nibabel.load(tmp_path / "b.nii"), nibabel.Nifti1Image)
    assert np.allclose(read(tmp_path / "b.nii").geometry.affine, affine, rtol=1e-6)


def test_the_header_of_a_file_on_the_same_grid_is_kept(tmp_path):
    source = nibabel.Nifti1Image(numbered(5, 4, 3), None)
    source.header.set_qform(np.diag([0.7, 0.7, 3, 1]), 1)
    source.header.set_sform(None, 0)
    source.header.set_xyzt_units("mm", "sec")
    nibabel.save(source, tmp_path / "a.nii")
    image = read(tmp_path / "a.nii")
    labels = Image((image.pixels > 7).astype(np.uint8), geometry=image.geometry)
    write_nifti(tmp_path / "b.nii.gz", labels, like=tmp_path / "a.nii")
    back = nibabel.load(tmp_path / "b.nii.gz").header
    assert (int(back["qform_code"]), int(back["sform_code"]), int(back["xyzt_units"])) == (1, 0, 10)
    assert back.get_data_dtype() == np.uint8
    assert np.array_equal(back.get_qform(), source.header.get_qform())
    elsewhere = Image(labels.pixels, geometry=Geometry((3, 0.7, 0.7), "mm", AFFINE, "RAS"))
    write_nifti(tmp_path / "c.nii.gz", elsewhere, like=tmp_path / "a.nii")
    assert np.array_equal(read(tmp_path / "c.nii.gz").geometry.affine, AFFINE)


@pytest.mark.parametrize("shape", [(3, 4, 1), (3, 4, 3), (2, 3, 4, 1), (1, 3, 4, 5), (2, 3, 4, 2)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "uint16"])
def test_pixels_come_back(tmp_path, shape, dtype):
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    for name in ("a.nii", "a.nii.gz"):
        write_nifti(tmp_path / name, Image(pixels))
        back = read(tmp_path / name)
        assert back.pixels.dtype == dtype and np.array_equal(back.pixels, pixels)
        assert not back.geometry.known and image_size(tmp_path / name) == shape[:-1]
    one, two = tmp_path / "b.nii.gz", tmp_path / "c.nii.gz"
    write_nifti(one, Image(pixels))
    write_nifti(two, Image(pixels))
    assert one.read_bytes() == two.read_bytes()


def test_files_without_a_telling_name_are_known_by_their_first_bytes(tmp_path):
    path = save(tmp_path / "a.nii", numbered(5, 4, 3))
    assert read(path.read_bytes()).shape == (3, 4, 5)
    assert read_nifti(io.BytesIO(gzip.compress(path.read_bytes()))).shape == (3, 4, 5)


def test_labels_must_be_whole_and_not_negative(tmp_path):
    def labels(values):
        return whole_labels(read(save(tmp_path / "a.nii", np.array(values).reshape(-1, 1, 1))))

    assert labels([0.0, 1.0, 300.0]).ravel().tolist() == [0, 1, 300]
    with pytest.raises(ReadError, match=r"0\.5.*whole"):
        labels([0.0, 0.5])
    with pytest.raises(ReadError, match="nan"):
        labels([0.0, np.nan])
    with pytest.raises(ReadError, match="-1"):
        labels(np.array([0, -1], np.int16))
    with pytest.raises(ReadError, match="2 channels"):
        whole_labels(read(save(tmp_path / "a.nii", numbered(5, 4, 3, 2))))


def test_damaged_files_are_refused_by_one_line(tmp_path):
    whole = save(tmp_path / "a.nii", numbered(5, 4, 3)).read_bytes()
    huge, pair, strange = bytearray(whole), bytearray(whole), bytearray(whole)
    huge[42:48] = np.array([30000] * 3, "<i2").tobytes()
    pair[344:348] = b"ni1\0"
    strange[70:72] = b"\x07\x07"
    packed = gzip.compress(whole)
    for content, word in [
        (whole[:400], "damaged"),
        (whole[:100], "no NIfTI"),
        (bytes(huge), "max-pixels"),
        (bytes(pair), "pair"),
        (bytes(strange), "damaged"),
        (b"hello", "no NIfTI"),
        (packed[:-30], "damaged"),
        (gzip.compress(b"nothing"), "no NIfTI"),
    ]:
        with pytest.raises(ReadError, match=word) as raised:
            read_nifti(content)
        assert "\n" not in str(raised.value)
    assert read_nifti_header(whole).shape == (3, 4, 5)


def test_a_name_that_is_no_nifti_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.nii"):
        write_nifti(tmp_path / "a.tif", Image(np.ones((2, 3, 1))))


# NRRD


def nrrd(values, sizes, encoding="raw", kind="short", **fields):
    lines = ["NRRD0004", "# made by a test", f"type: {kind}", f"dimension: {len(sizes)}"]
    lines += [f"sizes: {' '.join(map(str, sizes))}", "endian: little", f"encoding: {encoding}"]
    lines += [f"{name.replace('_', ' ')}: {value}" for name, value in fields.items()]
    data = values if isinstance(values, bytes) else values.tobytes()
    return ("\n".join(lines) + "\n\n").encode() + (gzip.compress(data) if encoding == "gzip" else data)


PLACED = {
    "space": "left-posterior-superior",
    "space_directions": "(0.5,0,0) (0,0.5,0) (0,0,2)",
    "space_origin": "(-10,20,30)",
    "kinds": "domain domain domain",
}


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_nrrd_volume(encoding):
    values = numbered(3, 4, 5, dtype="<i2")
    image = read(nrrd(values, (5, 4, 3), encoding, **PLACED))
    assert np.array_equal(image.pixels[..., 0], values)
    assert image.geometry.spacing == (2, 0.5, 0.5)
    wanted = [[-0.5, 0, 0, 10], [0, -0.5, 0, -20], [0, 0, 2, 30], [0, 0, 0, 1]]
    assert image.geometry.affine.tolist() == wanted and image.geometry.crs == "RAS"


def test_nrrd_axis_that_is_no_direction_is_the_channels():
    values = numbered(3, 4, 5, 2, dtype="<i2")
    placed = PLACED | {
        "space_directions": "none (1,0,0) (0,1,0) (0,0,1)",
        "kinds": "vector domain domain domain",
    }
    image = read_nrrd(nrrd(values, (2, 5, 4, 3), **placed))
    assert np.array_equal(image.pixels, values)
    flat = read_nrrd(nrrd(numbered(4, 5, dtype="<i2"), (5, 4), spacings="0.5 2"))
    assert flat.shape == (4, 5) and flat.geometry.spacing == (2, 0.5)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (nrrd(b"12", (5, 4, 3)), "2 bytes of values, 120"),
        (nrrd(b"", (5, 4, 3), data_file="a.raw"), "a.raw"),
        (nrrd(b"", (5, 4, 3), kind="block"), "block"),
        (nrrd(b"", (5, 4, 3), "hex"), "hex"),
        (nrrd(b"", (50_000, 50_000, 50_000)), "max-pixels"),
        (nrrd(b"", (5, -4, 3)), "no pixels"),
        (b"NRRD0004\ntype: short\n\n", "lacks 'sizes'"),
        (b"NRRD0004\ntype: short", "does not end"),
        (b"hello", "no NRRD"),
    ],
)
def test_damaged_nrrd_is_refused_by_one_line(content, word):
    with pytest.raises(ReadError, match=word) as raised:
        read_nrrd(content)
    assert "\n" not in str(raised.value)


# Real data


@pytest.mark.realdata
def test_real_volumes_come_back_bit_for_bit(data_dir, tmp_path):
    paths = sorted((data_dir / "totalseg_ct_sample").glob("*.nii.gz"))
    paths += sorted((data_dir / "msd_hippocampus" / "imagesTr").glob("*.nii.gz"))[:10]
    assert len(paths) == 17
    for path in paths:
        image, source = read(path), nibabel.load(path)
        assert np.array_equal(image.pixels[..., 0], np.asanyarray(source.dataobj).T)
        write_nifti(tmp_path / "a.nii.gz", image, like=path)
        back = nibabel.load(tmp_path / "a.nii.gz")
        assert back.affine.tobytes() == source.affine.tobytes()
        assert back.get_data_dtype() == source.get_data_dtype()
        assert back.header["pixdim"].tobytes() == source.header["pixdim"].tobytes()
        for code in ("sform_code", "qform_code", "xyzt_units"):
            assert back.header[code] == source.header[code]
