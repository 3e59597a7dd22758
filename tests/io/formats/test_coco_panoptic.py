"""COCO panoptic: ids in colours, 0 is void, and what JSON and PNG say must agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as PillowImage

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io.encode import write_image
from smalti.io.formats.coco_panoptic import CocoPanoptic, read_ids
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(1, "cell", (230, 159, 0)), Class(92, "ground", (0, 0, 9), thing=False)])
IDS = np.array([[0, 258, 258, 258], [0, 65793, 65793, 258], [70000, 70000, 0, 0]])


def write_ids(path: Path, ids: np.ndarray) -> None:
    write_image(path, Image(np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)))


def segment(key: Any, **changes: Any) -> dict[str, Any]:
    return {"id": key, "category_id": 1, "iscrowd": 0, "area": 3, "bbox": [0, 0, 1, 1]} | changes


SEGMENTS = [segment(258), segment(65793, category_id=92), segment(70000, iscrowd=1)]


def put(folder: Path, segments: Any, ids: np.ndarray | None = IDS, **changes: Any) -> Path:
    record = {"image_id": 5, "file_name": "a.png", "segments_info": segments} | changes
    content = {
        "images": [{"id": 5, "file_name": "a.jpg", "height": 3, "width": 4}],
        "annotations": [record],
        "categories": [{"id": 1, "name": "cell", "isthing": 1}, {"id": 92, "name": "ground", "isthing": 0}],
    }
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations" / "panoptic_val2017.json").write_text(json.dumps(content), encoding="utf-8")
    write_image(folder / "val2017" / "a.jpg", Image(np.zeros((3, 4, 3), np.uint8)))
    if ids is not None:
        write_ids(folder / "annotations" / "panoptic_val2017" / "a.png", ids)
    return folder


def test_segments_are_those_of_the_colours(tmp_path: Path) -> None:
    found = Dataset.open(put(tmp_path, SEGMENTS))
    assert found.format == "coco-panoptic"
    assert [entry.thing for entry in found.classes] == [True, False]
    (sample,) = found
    truth = sample.truth
    assert sample.split == "val"
    assert np.array_equal(truth.void, IDS == 0)
    assert truth.attributes["source_id"].tolist() == [258, 65793, 70000]
    assert truth.attributes["crowd"].tolist() == [False, False, True]
    assert truth.class_ids.tolist() == [1, 92, 1]
    for k, key in enumerate([258, 65793, 70000], 1):
        assert np.array_equal(truth.mask(k), key == IDS)


def test_ids_come_back_byte_for_byte(tmp_path: Path) -> None:
    found = Dataset.open(put(tmp_path / "in", SEGMENTS))
    report = found.write(tmp_path / "out", "coco-panoptic")
    assert not report, list(report.lines())
    assert np.array_equal(read_ids(tmp_path / "out" / "annotations" / "panoptic_val" / "a.png"), IDS)
    (back,) = Dataset.open(tmp_path / "out")
    assert back.truth == found[0].truth


def of(truth: Segmentation, **fields: Any) -> Dataset:
    return Dataset([Sample.of("a/b", Image(np.zeros((*truth.shape, 1), np.uint8)), truth, **fields)], CLASSES)


@given(
    labels=arrays(np.int32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)),
    void=st.booleans(),
    ids=st.lists(st.sampled_from([0, 1, 2, 3, 2**24 - 1, 2**24]), min_size=3, max_size=3),
)
def test_any_labels_and_void_come_back(
    tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray, void: bool, ids: list[int]
) -> None:
    truth = Segmentation.from_labels(
        labels,
        class_ids=[1, 92, 1],
        classes=CLASSES,
        void=(labels == 0) if void else np.isin(labels, [2]),
        attributes={"source_id": np.array(ids)},
    )
    report = of(truth).write(tmp_path_factory.mktemp("panoptic") / "out", "coco-panoptic")
    assert report.exact
    lost = len(ids) - len({each for each in ids if each}) - ids.count(0)
    assert report.total.attributes_changed.get("source_id", 0) <= lost


def test_scores_attributes_and_where_samples_belong_are_kept(tmp_path: Path) -> None:
    truth = Segmentation.from_labels(
        np.array([[1, 2], [0, 2]]),
        class_ids=[1, 92, 1],
        scores=[0.5, 1, 1],
        classes=CLASSES,
        attributes={
            "source_id": np.array(["x", "y", ""]),
            "track_id": np.array([0, 4, 0]),
            "crowd": [True, False, False],
        },
    )
    whole = of(truth, split="fold 2", group="p", metadata={"site": "x"})
    report = whole.write(tmp_path / "out", "coco-panoptic")
    assert not report, list(report.lines())
    (found,) = Dataset.open(tmp_path / "out")
    assert found.truth.areas_px.tolist() == [1, 2, 0]  # the third has no pixel, and area 0 says so


def test_overlap_goes_to_the_surest_and_the_report_says_so(tmp_path: Path) -> None:
    masks = np.zeros((2, 2, 3), bool)
    masks[0, :, :2] = masks[1, :, 1:] = True
    truth = Segmentation.from_masks(masks, class_ids=[92, 1], classes=CLASSES)
    report = of(truth).write(tmp_path / "out", "coco-panoptic")
    assert report.total.overlap_flattened == 2
    assert report.total.pixels_changed == 2
    (found,) = Dataset.open(tmp_path / "out")
    assert found.truth.class_ids.tolist() == [92, 1]
    assert found.truth.areas_px.tolist() == [2, 4]


def test_images_without_annotation_stay_so(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 3, 1), np.uint8))
    truth = Segmentation.from_labels(np.ones((2, 3), int), classes=CLASSES)
    whole = Dataset([Sample.of("a", image), Sample.of("b", image, truth)], CLASSES)
    assert not whole.write(tmp_path / "out", "coco-panoptic")
    assert [sample.annotated for sample in Dataset.open(tmp_path / "out")] == [False, True]


def test_volumes_are_refused(tmp_path: Path) -> None:
    truth = Segmentation.from_labels(np.ones((2, 3, 4), int), classes=CLASSES)
    with pytest.raises(InputError, match="volume"):
        of(truth).write(tmp_path / "out", "coco-panoptic")


@pytest.mark.parametrize("mode", ["P", "RGBA", "L"])
def test_png_files_that_a_tool_made_smaller_are_read(tmp_path: Path, mode: str) -> None:
    ids = np.array([[65793, 0], [0, 65793]])  # equal bytes: a grey picture
    path = tmp_path / "a.png"
    write_ids(path, ids)
    PillowImage.open(path).convert(mode, palette=PillowImage.Palette.ADAPTIVE).save(path)
    assert np.array_equal(read_ids(path), ids)


def test_pictures_of_16_bits_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", Image(np.zeros((2, 2, 1), np.uint16)))
    with pytest.raises(ReadError, match="8-bit"):
        read_ids(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("segments", "ids", "words"),
    [
        (SEGMENTS[:2], IDS, "1 ids that segments_info does not list: 70000"),
        ([*SEGMENTS, segment(9)], IDS, "no pixel of segment 9"),
        (SEGMENTS, IDS[:2], "one of them is wrong"),
    ],
)
def test_png_and_json_that_disagree_are_refused(
    tmp_path: Path, segments: Any, ids: np.ndarray, words: str
) -> None:
    (sample,) = Dataset.open(put(tmp_path, segments, ids))
    with pytest.raises(ReadError, match=words) as raised:
        sample.truth  # noqa: B018
    assert "a.png" in str(raised.value)


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ([*SEGMENTS, segment(258)], "segment 258: its id is another segment's"),
        ([*SEGMENTS[:2], segment(70000, category_id=5)], "segment 70000: there is no category 5"),
        ([*SEGMENTS[:2], segment(70000, iscrowd=5)], "iscrowd is 0 or 1"),
        ([*SEGMENTS[:2], segment(70000, score=5)], "a score is a number from 0 to 1"),
        ([*SEGMENTS, segment(0)], "from 1 to 16777215, got 0"),
        ([*SEGMENTS, segment(-4)], "got -4"),
        ([*SEGMENTS, segment("7")], "got '7'"),
        ([*SEGMENTS, 4], "got None"),
    ],
)
def test_segments_that_lie_are_left_out(tmp_path: Path, segments: Any, words: str) -> None:
    found = Dataset.open(put(tmp_path, segments), faulty="skip")
    (problem,) = found.problems
    assert words in str(problem)
    assert problem.image == "a"
    truth = found[0].truth
    assert truth.attributes["source_id"].tolist()[:2] == [258, 65793]
    assert truth.void[2, 0] == (len(truth) == 2)  # of the pixels of one that is left out nobody knows


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_id": 6}, "that of no image"),
        ({"image_id": [6]}, "that of no image"),
        ({"file_name": "b.png"}, "b.png is not there"),
        ({"file_name": "../../b.png"}, "leads outside"),
        ({"file_name": None}, "name of its PNG"),
        ({"segments_info": {}}, "wanted a list under segments_info"),
    ],
)
def test_annotations_that_lie_are_left_out(tmp_path: Path, changes: Any, words: str) -> None:
    found = Dataset.open(put(tmp_path, SEGMENTS, **changes), "coco-panoptic", faulty="skip")
    (problem,) = found.problems
    assert words in str(problem)
    assert not found[0].annotated


def test_the_other_kind_of_coco_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, SEGMENTS) / "annotations" / "panoptic_val2017.json"
    with pytest.raises(ReadError, match="open it as coco-panoptic"):
        Dataset.open(path, "coco")
    assert Dataset.open(path)[0].image.shape == (3, 4)


@pytest.mark.realdata
def test_coco_2017_ids_come_back_byte_for_byte(data_dir: Path, tmp_path: Path) -> None:
    found = Dataset.open(data_dir / "coco_panoptic_subset", "coco-panoptic")
    assert [len(found.split(split)) for split in ("train", "val")] == [50, 60]
    assert sum(entry.thing for entry in found.classes) == 80
    assert len(found.classes) == 133
    listed = {}
    for path in sorted((data_dir / "coco_panoptic_subset" / "annotations").glob("panoptic_*.json")):
        for record in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            listed[record["file_name"]] = {each["id"]: each for each in record["segments_info"]}
    for sample in found:
        truth, segments = sample.truth, listed[sample.truth_paths[0].name]
        ids = truth.attributes["source_id"].tolist()
        assert set(ids) == segments.keys() == set(np.unique(read_ids(sample.truth_paths[0])).tolist()) - {0}
        for k, key in enumerate(ids):
            assert truth.areas_px[k] == segments[key]["area"]
            assert truth.class_ids[k] == segments[key]["category_id"]
    CocoPanoptic().write(tmp_path / "out", found, found.classes)
    back = Dataset.open(tmp_path / "out")
    assert back.names == found.names
    for one, other in zip(found, back, strict=True):
        assert np.array_equal(read_ids(one.truth_paths[0]), read_ids(other.truth_paths[0]))
        assert one.truth == other.truth


def test_a_void_of_another_size_names_the_map(tmp_path: Path) -> None:
    put(tmp_path, SEGMENTS, smalti={"void": {"size": [2, 2], "counts": [4]}})
    (sample,) = Dataset.open(tmp_path)
    with pytest.raises(ReadError, match=r"a\.png: the smalti.void of its annotation is \[2, 2\]"):
        sample.truth  # noqa: B018


@pytest.mark.parametrize("format", ["coco", "coco-panoptic"])
@pytest.mark.parametrize("split", ["..", "../../../evil", "/evil"])
def test_splits_that_lead_outside_are_refused(tmp_path: Path, split: str, format: str) -> None:
    truth = Segmentation.from_labels(np.ones((3, 4), int), class_ids=[1], classes=CLASSES)
    sample = Sample.of("a", Image(np.zeros((3, 4, 1), np.uint8)), truth, split=split)
    with pytest.raises((InputError, ReadError), match="leads outside"):
        Dataset([sample], CLASSES).write(tmp_path / "out", format)
    assert not list(tmp_path.iterdir())
