"""The .mat files of the Berkeley benchmark: one truth for each annotator."""

import numpy as np
import pytest
from scipy.io import savemat

from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io.encode import write_image

REGIONS = np.array([[1, 1, 2, 2], [1, 3, 3, 2], [3, 3, 3, 2]], np.uint16)


def write_truth(path, *maps):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.empty((1, len(maps)), object)
    for index, regions in enumerate(maps):
        cells[0, index] = {"Segmentation": regions, "Boundaries": np.zeros(regions.shape, np.uint8)}
    savemat(path, {"groundTruth": cells})


@pytest.fixture
def folder(tmp_path):
    for split, name in (("train", "2"), ("test", "10"), ("test", "9")):
        (tmp_path / "images" / split).mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "images" / split / f"{name}.png", Image(np.zeros((3, 4, 3), np.uint8)))
        write_truth(tmp_path / "groundTruth" / split / f"{name}.mat", REGIONS, np.ones((3, 4), np.uint16))
    return tmp_path


def test_every_annotator_is_a_truth(folder):
    found = Dataset.open(folder)
    assert found.format == "bsds"
    assert found.names == ["test/9", "test/10", "train/2"]
    assert found["train/2"].split == "train"
    first, second = found["train/2"].truths
    assert np.array_equal(first.labels, REGIONS)
    assert len(second) == 1
    assert found["test/9"].image.shape == (3, 4)


def test_cracks_are_told_from_the_ground(tmp_path):
    folder = tmp_path / "crack_pictures"
    (folder / "image").mkdir(parents=True)
    write_image(folder / "image" / "001.png", Image(np.zeros((3, 4, 3), np.uint8)))
    savemat_folder = folder / "groundTruth"
    savemat_folder.mkdir()
    savemat(savemat_folder / "001.mat", {"groundTruth": {"Segmentation": REGIONS.astype(np.uint8)}})
    (sample,) = Dataset.open(folder)
    assert sample.truth.classes.names == ("crack",)
    assert np.array_equal(sample.truth.mask(1), REGIONS == 2)
    (sample,) = Dataset.open(folder, "bsds", kind="regions")
    assert len(sample.truth) == 3


def test_truth_without_image_is_a_problem(folder):
    (folder / "images" / "train" / "2.png").unlink()
    with pytest.raises(ReadError, match=r"train/2\.mat.*no image"):
        Dataset.open(folder, "bsds")
    assert len(Dataset.open(folder, "bsds", faulty="skip")) == 2


@pytest.mark.parametrize("content", [b"nothing", b"MATLAB 5.0 MAT-file" + bytes(200), b""])
def test_damaged_files_are_refused_by_one_line(folder, content):
    (folder / "groundTruth" / "train" / "2.mat").write_bytes(content)
    with pytest.raises(ReadError, match=r"2\.mat") as raised:
        Dataset.open(folder, "bsds")["train/2"].truth  # noqa: B018
    assert "\n" not in str(raised.value)


def test_other_records_are_refused(folder):
    path = folder / "groundTruth" / "train" / "2.mat"
    for content in ({"other": 1}, {"groundTruth": {"Boundaries": 1}}, {"groundTruth": np.ones(3)}):
        savemat(path, content)
        with pytest.raises(ReadError, match=r"2\.mat"):
            Dataset.open(folder, "bsds")["train/2"].truth  # noqa: B018
    write_truth(path, REGIONS.astype(np.float64))
    with pytest.raises(ReadError, match="whole numbers"):
        Dataset.open(folder, "bsds")["train/2"].truth  # noqa: B018


def test_it_is_only_read(folder, tmp_path_factory):
    with pytest.raises(InputError, match="only read"):
        Dataset.open(folder).write(tmp_path_factory.mktemp("out") / "x", "bsds")


@pytest.mark.realdata
def test_bsds500(data_dir):
    found = Dataset.open(data_dir / "bsds500")
    assert found.format == "bsds"
    assert [len(found.split(split)) for split in ("train", "val", "test")] == [40, 30, 40]
    truths = [sample.truths for sample in found]
    assert 4 < np.mean([len(each) for each in truths]) < 6
    for sample, drawn in zip(found[:10], truths, strict=False):
        assert all(truth.shape == sample.image.shape and truth.coverage == 1 for truth in drawn)


@pytest.mark.realdata
def test_crackforest(data_dir):
    found = Dataset.open(data_dir / "crackforest")
    assert len(found) == 79
    assert found.classes.names == ("crack",)
    shares = [sample.truth.coverage for sample in found]
    assert 0 < np.mean(shares) < 0.05
