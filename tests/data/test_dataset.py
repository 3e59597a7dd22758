"""A dataset: lazy, indexable, written and opened again."""

import json
import os

import numpy as np
import pytest
from PIL import Image as PillowImage

from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError, UnknownName, WriteError
from smalti.image import Image
from smalti.io.encode import write_image
from smalti.provenance import Provenance
from smalti.sample import Sample, SampleList
from smalti.segmentation import Segmentation

CLASSES = ClassSet.from_names(["cell", "dirt"])


def sample(name, size=(8, 12), **fields):
    labels = np.zeros(size, int)
    labels[2:5, 2:7] = 1
    labels[5:7, 1:4] = 2
    truth = Segmentation.from_labels(labels, class_ids=[1, 2], classes=CLASSES)
    pixels = np.random.default_rng(len(name)).integers(0, 255, (*size, 3), dtype=np.uint8)
    return Sample.of(name, Image(pixels), truth, **fields)


@pytest.fixture
def dataset():
    return Dataset(
        [
            sample("train/1", split="train", group="p1", provenance=Provenance(licence="MIT")),
            sample("train/2", split="train", metadata={"site": "north", "age": 3.5}),
            sample("test/1", (9, 20), split="test"),
        ],
        CLASSES,
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_by_number_name_and_slice(dataset):
    assert dataset[0] is dataset["train/1"]
    assert dataset[1:].names == ["train/2", "test/1"]
    assert dataset[1:].classes is CLASSES
    with pytest.raises(UnknownName, match="nearest: train/1"):
        dataset["train/11"]


def test_splits_and_filters(dataset):
    assert dataset.splits == ("train", "test")
    assert dataset.split("train").names == ["train/1", "train/2"]
    assert dataset.filter(lambda each: each.group == "p1").names == ["train/1"]
    with pytest.raises(UnknownName):
        dataset.split("val")


def test_names_are_unique():
    with pytest.raises(InputError, match="repeated: a"):
        Dataset([sample("a"), sample("a")], CLASSES)


def test_everything_comes_back_from_smaltis_own_format(dataset, tmp_path):
    report = dataset.write(tmp_path / "out", strict=True)
    assert not report
    back = Dataset.open(tmp_path / "out")
    assert back.format == "smalti"
    assert back.names == dataset.names
    for one, other in zip(dataset, back, strict=True):
        assert one.truth == other.truth
        assert np.array_equal(one.image.pixels, other.image.pixels)
        assert (one.split, one.group, one.provenance) == (other.split, other.group, other.provenance)
        assert dict(one.metadata) == dict(other.metadata)


def test_opening_reads_no_pixels(dataset, tmp_path):
    dataset.write(tmp_path / "out")
    for path in (tmp_path / "out" / "images").rglob("*.png"):
        path.write_bytes(b"broken")
    back = Dataset.open(tmp_path / "out")
    assert len(back) == 3
    with pytest.raises(ReadError, match="1.png"):
        back[0].image  # noqa: B018


def test_several_annotators_come_back(tmp_path):
    one, other = sample("x").truth, sample("x").truth[[0]]
    image = sample("x").image
    several = Dataset([Sample("x", lambda: image, lambda: (one, other))], CLASSES)
    several.write(tmp_path / "out", strict=True)
    assert Dataset.open(tmp_path / "out")[0].truths == (one, other)


def test_images_are_copied_byte_for_byte(dataset, tmp_path):
    dataset.write(tmp_path / "one")
    back = Dataset.open(tmp_path / "one")
    back.write(tmp_path / "two")
    for path in (tmp_path / "one" / "images").rglob("*.png"):
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert twin.read_bytes() == path.read_bytes()


def test_the_loss_report_lies_in_the_folder(dataset, tmp_path):
    dataset.write(tmp_path / "out")
    content = json.loads((tmp_path / "out" / "smalti-loss.json").read_text())
    assert content["samples"] == 3
    assert content["samples_with_loss"] == 0


def test_nothing_is_overwritten(dataset, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(WriteError, match="not empty"):
        dataset.write(tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_a_failed_conversion_leaves_nothing(dataset, tmp_path):
    def fail():
        raise ReadError("gone")

    broken = dataset.with_samples([*dataset, Sample("broken", fail, None)])
    with pytest.raises(ReadError, match="gone"):
        broken.write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_no_samples_are_not_written(tmp_path):
    with pytest.raises(InputError, match="no sample"):
        Dataset([], CLASSES).write(tmp_path / "out")


def test_sizes_come_from_headers_and_are_remembered(dataset, tmp_path, monkeypatch):
    dataset.write(tmp_path / "out")
    sizes = [(8, 12), (8, 12), (9, 20)]
    assert Dataset.open(tmp_path / "out").sizes() == sizes

    def never(path):
        raise AssertionError("looked again")

    monkeypatch.setattr("smalti.data.sizes.image_size", never)
    assert Dataset.open(tmp_path / "out").sizes() == sizes
    monkeypatch.undo()


def test_a_changed_file_is_looked_at_again(dataset, tmp_path):
    dataset.write(tmp_path / "out")
    assert Dataset.open(tmp_path / "out").sizes()[0] == (8, 12)
    path = tmp_path / "out" / "images" / "train" / "1.png"
    write_image(path, Image(np.zeros((30, 40, 3), np.uint8)))
    os.utime(path, ns=(1, 1))
    assert Dataset.open(tmp_path / "out").sizes()[0] == (30, 40)


def test_unreadable_images_have_no_size(dataset, tmp_path):
    dataset.write(tmp_path / "out")
    (tmp_path / "out" / "images" / "train" / "1.png").write_bytes(b"x")
    assert Dataset.open(tmp_path / "out").sizes()[0] is None


def test_records_that_lie_stop_or_are_left_out(dataset, tmp_path):
    dataset.write(tmp_path / "out")
    manifest = tmp_path / "out" / "smalti.json"
    content = json.loads(manifest.read_text())
    content["samples"][0]["image"] = "images/train/nowhere.png"
    content["samples"][1]["truths"] = ["../../secret.npz"]
    manifest.write_text(json.dumps(content, separators=(",", ":")))
    with pytest.raises(ReadError, match=r"smalti.json, sample 0.*nowhere.png.*1 more"):
        Dataset.open(tmp_path / "out")
    back = Dataset.open(tmp_path / "out", faulty="skip")
    assert back.names == ["test/1"]
    assert "leads outside" in str(back.problems[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(smalti=99),
        lambda content: content.update(samples={}),
        lambda content: content.update(classes=[{"id": 0}]),
    ],
)
def test_a_manifest_that_lies_is_refused(dataset, tmp_path, change):
    dataset.write(tmp_path / "out")
    manifest = tmp_path / "out" / "smalti.json"
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content, separators=(",", ":")))
    with pytest.raises(ReadError, match="smalti.json"):
        Dataset.open(tmp_path / "out", "smalti")


def test_annotations_that_lie_are_refused(dataset, tmp_path):
    dataset.write(tmp_path / "out")
    back = Dataset.open(tmp_path / "out")
    path = back[0].truth_paths[0]
    columns = dict(np.load(path))
    whole = path.read_bytes()
    for change in (
        {"stop": columns["stop"] + 1_000_000},
        {"class_ids": np.array([1, 99])},
        {"offsets": np.array([0, 1])},
        {"shape": np.array([8])},
        {"start": columns["start"].astype(object)},
    ):
        np.savez(path, **(columns | change))
        with pytest.raises(ReadError, match="1.npz"):
            back[0].truth  # noqa: B018
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match="cut short"):
        back[0].truth  # noqa: B018


def test_a_sample_says_what_it_lacks():
    lonely = Sample("x")
    assert not lonely.annotated
    with pytest.raises(InputError, match="no image"):
        lonely.image  # noqa: B018
    with pytest.raises(InputError, match="no annotation"):
        lonely.truth  # noqa: B018
    with pytest.raises(InputError, match="the image is"):
        Sample.of("x", Image(np.zeros((3, 3, 1), np.uint8)), sample("y").truth)


def test_many_samples_are_made_only_when_asked_for():
    made = []

    def make(index):
        made.append(index)
        return sample(f"s{index}")

    lazy = Dataset(SampleList([f"s{i}" for i in range(1000)], [None] * 1000, make), CLASSES)
    assert len(lazy) == 1000
    assert lazy.names[-1] == "s999"
    part = lazy[990:]
    assert made == []
    assert part[3].name == "s993" and lazy["s7"].name == "s7"
    assert made == [993, 7]
    assert [each.name for each in part[::2]] == ["s990", "s992", "s994", "s996", "s998"]


def test_truths_of_other_classes_are_refused_by_any_format(tmp_path):
    dataset = Dataset([sample("a")], ClassSet.from_names(["z"]))
    for format in ("smalti", "yolo", "voc", "coco", "label-maps"):
        with pytest.raises(
            InputError, match="sample 'a' has the class 1 'cell', which its dataset does not have"
        ):
            dataset.write(tmp_path / format, format)
        assert not (tmp_path / format).exists()


def test_truths_of_some_of_the_classes_are_written_with_all(tmp_path):
    more = ClassSet.from_names(["cell", "dirt", "debris"])
    Dataset([sample("a")], more).write(tmp_path / "set")
    assert Dataset.open(tmp_path / "set")[0].truth.classes == more


def test_nothing_is_written_into_the_dataset_itself(dataset, tmp_path):
    dataset.write(tmp_path / "set")
    found = Dataset.open(tmp_path / "set")
    with pytest.raises(WriteError, match="lies in the dataset"):
        found.write(tmp_path / "set" / "inner", "coco")
    assert not (tmp_path / "set" / "inner").exists()


def test_a_refusal_names_the_folder_that_was_asked_for(dataset, tmp_path):
    unannotated = Dataset([Sample("a", dataset[0].load_image)], CLASSES)
    with pytest.raises(InputError, match="does not hold these samples") as refused:
        unannotated.write(tmp_path / "out", "labelme")
    assert str(tmp_path / "out") in str(refused.value)
    assert "/.out." not in str(refused.value)


def test_a_file_of_the_same_bytes_and_time_is_looked_at_again(tmp_path):
    (tmp_path / "set" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "set" / "SegmentationClass").mkdir()
    place, other = tmp_path / "set" / "JPEGImages" / "a.bmp", tmp_path / "other.bmp"
    PillowImage.new("RGB", (12, 8)).save(place)
    PillowImage.new("RGB", (8, 12)).save(other)
    PillowImage.new("L", (12, 8)).save(tmp_path / "set" / "SegmentationClass" / "a.png")
    assert Dataset.open(tmp_path / "set").sizes() == [(8, 12)]
    before = place.stat()
    assert other.stat().st_size == before.st_size
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(place)
    assert Dataset.open(tmp_path / "set").sizes() == [(12, 8)]
