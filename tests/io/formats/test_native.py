"""smalti's own format keeps everything a sample knows, also of images that were no file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(1, "cell", (230, 159, 0))])
AFFINE_3D = np.array([[0.5, 0, 0, -3], [0, 0.5, 0, -4], [0, 0, 2, -5], [0, 0, 0, 1.0]])


def sample_of(name, image):
    labels = np.zeros(image.shape, np.int32)
    labels[..., 1:3, 1:4] = 1
    return Sample.of(name, image, Segmentation.from_labels(labels, classes=CLASSES, geometry=image.geometry))


IMAGES = {
    "one slice": Image(np.arange(30, dtype=np.uint8).reshape(1, 5, 6, 1)),
    "one slice in colour": Image(np.arange(90, dtype=np.uint8).reshape(1, 5, 6, 3)),
    "placed volume": Image(
        np.zeros((3, 5, 6, 1), np.uint8), (), Geometry((2, 0.5, 0.5), "mm", AFFINE_3D, "RAS+")
    ),
    "named channels": Image(np.zeros((5, 6, 3), np.uint8), ("dapi", "gfp", "cy5")),
    "named grey": Image(np.zeros((5, 6, 1), np.float32), ("height",)),
    "map": Image(
        np.zeros((5, 6, 4), np.uint16),
        ("blue", "green", "red", "infrared"),
        Geometry((10, 10), "m", np.array([[10, 0, 5e5], [0, -10, 4e6], [0, 0, 1.0]]), "EPSG:32633"),
    ),
}


def write(folder, *images):
    samples = [sample_of(f"s{index}", image) for index, image in enumerate(images)]
    return Dataset(samples, CLASSES).write(folder)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_comes_back_with_its_axes_channels_and_place(name, tmp_path):
    image = IMAGES[name]
    report = write(tmp_path / "out", image)
    (sample,) = Dataset.open(tmp_path / "out")
    found = sample.image
    assert np.array_equal(found.pixels, image.pixels) and found.pixels.dtype == image.pixels.dtype
    assert found.channels == image.channels
    one, other = image.geometry, found.geometry
    assert (one.spacing, one.unit, one.crs) == (other.spacing, other.unit, other.crs)
    assert (one.affine is None) == (other.affine is None)
    assert one.affine is None or np.array_equal(one.affine, other.affine)
    assert not report, list(report.lines())


def test_what_was_read_from_stacks_of_one_slice_stays_a_volume(tmp_path):
    report = Dataset([sample_of("a", IMAGES["one slice"])], CLASSES).write(tmp_path / "stacks", "stacks")
    assert not report.total.pixels_changed
    Dataset.open(tmp_path / "stacks", "stacks").write(tmp_path / "out")
    (sample,) = Dataset.open(tmp_path / "out")
    assert sample.image.shape == sample.truth.shape == (1, 5, 6)


def test_a_file_that_only_is_read_is_copied_byte_for_byte(tmp_path):
    write(tmp_path / "one", Image(np.zeros((5, 6, 3), np.uint8)))
    Dataset.open(tmp_path / "one").write(tmp_path / "two")
    assert (tmp_path / "one/images/s0.png").read_bytes() == (tmp_path / "two/images/s0.png").read_bytes()
    (record,) = json.loads((tmp_path / "two/smalti.json").read_text())["samples"]
    assert "pixels" not in record


def change(folder, **changes):
    manifest = folder / "smalti.json"
    content = json.loads(manifest.read_text())
    content["samples"][0] |= changes
    manifest.write_text(json.dumps(content, separators=(",", ":")))


PLAIN = {"ndim": 2, "channels": ["grey"]}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"image": 5}, "its image is 5, wanted the path of a file"),
        ({"truths": 5}, "its truths are 5, wanted a list of paths"),
        ({"truths": [5]}, "wanted a list of paths"),
        ({"name": 5}, "wanted an object with a name"),
        ({"split": []}, "split and group are text"),
        ({"metadata": 5}, "metadata are objects"),
        ({"provenance": {"source": 5}}, "provenance is text"),
        ({"image": "../a.png"}, "leads outside"),
        ({"pixels": 5}, "its pixels are 5, wanted an object"),
        ({"pixels": PLAIN | {"ndim": 4}}, "wanted 2 or 3"),
        ({"pixels": PLAIN | {"ndim": True}}, "wanted 2 or 3"),
        ({"pixels": PLAIN | {"channels": [["a"]]}}, "wanted a list of names"),
        ({"pixels": PLAIN | {"spacing": 5, "unit": "um"}}, "wanted a number for each axis"),
        ({"pixels": PLAIN | {"spacing": [1e999, 1], "unit": "um"}}, "wanted a number for each axis"),
        ({"pixels": PLAIN | {"spacing": [1, 1, 1], "unit": "um"}}, "3 axes for 2 spatial axes"),
        ({"pixels": PLAIN | {"spacing": [1, 1], "unit": "furlong"}}, "'furlong' is not one of"),
        ({"pixels": PLAIN | {"spacing": [1, 1], "unit": 5}}, "are text"),
        ({"pixels": PLAIN | {"affine": [[1, 0], [0]]}}, "not square"),
        ({"pixels": PLAIN | {"affine": [[10**400]]}}, "wanted rows of numbers"),
        ({"pixels": PLAIN | {"affine": "eye"}}, "wanted rows of numbers"),
        ({"pixels": PLAIN | {"crs": {}}}, "are text"),
    ],
)
def test_a_record_that_lies_is_named_in_words_of_the_manifest(changes, wanted, tmp_path):
    write(tmp_path / "out", *[Image(np.zeros((5, 6, 1), np.uint8))] * 2)
    change(tmp_path / "out", **changes)
    with pytest.raises(ReadError, match="smalti.json, sample 0: .*") as raised:
        Dataset.open(tmp_path / "out")
    assert wanted in str(raised.value)
    assert Dataset.open(tmp_path / "out", faulty="skip").names == ["s1"]


@pytest.mark.parametrize("told", [PLAIN | {"ndim": 3}, PLAIN | {"channels": ["a", "b"]}])
def test_pixels_that_are_not_as_the_manifest_says_name_the_file(told, tmp_path):
    write(tmp_path / "out", Image(np.zeros((5, 6, 1), np.uint8)))
    change(tmp_path / "out", pixels=told)
    (sample,) = Dataset.open(tmp_path / "out")
    if told["ndim"] == 3:
        assert sample.image.shape == (1, 5, 6)
        return
    with pytest.raises(ReadError, match=r"s0\.png: .*2|s0\.png.*need as many"):
        sample.image  # noqa: B018


def test_a_picture_that_is_a_volume_names_the_file(tmp_path):
    write(tmp_path / "out", Image(np.zeros((3, 5, 6, 1), np.uint8)))
    change(tmp_path / "out", pixels=PLAIN)
    (sample,) = Dataset.open(tmp_path / "out")
    with pytest.raises(ReadError, match=r"s0\.tif is \(3, 5, 6\), wanted 2 axes"):
        sample.image  # noqa: B018


def test_a_record_that_comes_twice_can_be_skipped(tmp_path):
    write(tmp_path / "out", *[Image(np.zeros((5, 6, 1), np.uint8))] * 2)
    change(tmp_path / "out", name="s1")
    with pytest.raises(ReadError, match="smalti.json, sample 1: there is a sample 's1' already"):
        Dataset.open(tmp_path / "out")
    assert Dataset.open(tmp_path / "out", faulty="skip").names == ["s1"]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("shape", np.ones((2, 2), int)),
        ("shape", np.array(5)),
        ("scores", np.array(["a"])),
        ("unit", np.ones(2)),
    ],
)
def test_arrays_of_the_wrong_kind_name_the_file_and_the_array(name, column, tmp_path):
    write(tmp_path / "out", Image(np.zeros((5, 6, 1), np.uint8), (), Geometry((1, 1), "um")))
    path = tmp_path / "out/truth/s0.npz"
    with np.load(path) as stored:
        columns = dict(stored) | {name: column}
    np.savez(path, **columns)
    (sample,) = Dataset.open(tmp_path / "out")
    with pytest.raises(ReadError, match=f"s0.npz: {name} is .*, wanted"):
        sample.truth  # noqa: B018
