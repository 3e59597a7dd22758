"""YOLO's outlines: holes and pieces come back, and what a YAML says of places is not followed outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io.encode import write_image
from smalti.io.formats.outlines import polygon_runs
from smalti.io.formats.yolo import one_ring
from smalti.masks import trace_polygons
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(4, "cell", (230, 159, 0)), Class(2, "ground", (0, 0, 9), thing=False)])
SQUARE = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"  # 2 x 4 pixels in the middle of 4 x 8


def picture(path: Path, size: tuple[int, int] = (4, 8)) -> None:
    write_image(path, Image(np.zeros((*size, 1), np.uint8)))


def put(folder: Path, labels: str | None = SQUARE, image: str = "images/train/a.png", **content: Any) -> Path:
    """A dataset of one image."""
    picture(folder / image)
    if labels is not None:
        path = folder / Path(image.replace("images", "labels")).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(labels, encoding="utf-8")
    (folder / "labels").mkdir(exist_ok=True)
    content = {"train": "images/train", "names": ["cell", "dirt"]} | content
    content = {key: value for key, value in content.items() if value != "absent"}
    (folder / "data.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def problems(folder: Path) -> list[str]:
    return [str(problem) for problem in Dataset.open(folder, "yolo", faulty="skip").problems]


def sample_of(name: str, truth: Segmentation, **fields: Any) -> Sample:
    return Sample.of(name, Image(np.zeros((*truth.shape, 1), np.uint8)), truth, **fields)


# Pixels


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_one_ring_is_all_of_them(mask: np.ndarray) -> None:
    polygons = trace_polygons(mask)
    if polygons:
        ring = one_ring(polygons)
        runs = polygon_runs([ring], mask.shape)
        assert np.array_equal(runs.paint(mask.shape)[0] > 0, mask)


@given(
    labels=arrays(np.uint8, st.tuples(st.integers(1, 13), st.integers(1, 13)), elements=st.integers(0, 3)),
)
def test_holes_and_pieces_come_back(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray) -> None:
    truth = Segmentation.from_labels(labels, classes=CLASSES)
    report = Dataset([sample_of("a", truth)], CLASSES).write(tmp_path_factory.mktemp("yolo") / "out", "yolo")
    assert not report, list(report.lines())


@pytest.mark.parametrize("size", [(3, 7), (1013, 997), (4096, 3000)])
def test_corners_of_pixels_survive_being_divided(tmp_path: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros(size, np.int32)
    for k in range(1, 30):
        y, x = (int(rng.integers(0, length)) for length in size)
        labels[y : y + int(rng.integers(1, 40)), x : x + int(rng.integers(1, 40))] = k
    truth = Segmentation.from_labels(labels, classes=CLASSES)
    assert Dataset([sample_of("a", truth)], CLASSES).write(tmp_path / "out", "yolo").exact


def test_holes_behind_bridges_are_seen_by_other_readers() -> None:
    """OpenCV, which Ultralytics fills outlines with, sees the hole as well, if not the bridge's own pixels."""
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:35] = True
    mask[12:28, 12:28] = False
    ring = one_ring(trace_polygons(mask)).round().astype(np.int32)
    bridged = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [ring], 1).astype(bool)
    exterior = trace_polygons(mask)[0].exterior_xy.round().astype(np.int32)
    filled = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [exterior], 1).astype(bool)
    assert np.count_nonzero(bridged != mask) < 0.6 * np.count_nonzero(filled != mask)


def test_pixels_belong_by_their_centres(tmp_path: Path) -> None:
    truth = Dataset.open(put(tmp_path))[0].truth
    assert truth.boxes.tolist() == [[1, 2, 3, 6]]
    assert truth.areas_px.tolist() == [8]


def test_outlines_joined_as_ultralytics_joins_them_are_two_pieces(tmp_path: Path) -> None:
    labels = "1 0 0 0.25 0 0.25 0.5 0 0.5 0 0 0.5 0.5 1 0.5 1 1 0.5 1 0.5 0.5\n"
    truth = Dataset.open(put(tmp_path, labels))[0].truth
    wanted = np.zeros((4, 8), bool)
    wanted[:2, :2] = wanted[2:, 4:] = True
    assert np.array_equal(truth.mask(1), wanted)
    assert truth.class_ids.tolist() == [2]


# What is kept


def several() -> list[Sample]:
    truth = Segmentation.from_labels(np.array([[1, 2, 0], [1, 2, 2]]), class_ids=[4, 2], classes=CLASSES)
    none = Segmentation.from_labels(np.zeros((2, 3), int), class_ids=[], classes=CLASSES)
    return [
        sample_of("a", truth, split="train"),
        sample_of("b/a", truth, split="val", group="p", metadata={"site": "x"}),
        sample_of("c", none, split="fold 3"),
        sample_of("d", truth, provenance=Provenance(licence="CC0-1.0")),
        Sample.of("e", Image(np.zeros((2, 3, 1), np.uint8)), split="test"),
    ]


def test_splits_groups_names_and_classes_are_kept(tmp_path: Path) -> None:
    whole = several()
    report = Dataset(whole, CLASSES).write(tmp_path / "out", "yolo")
    assert not report, list(report.lines())
    found = Dataset.open(tmp_path / "out")
    assert found.format == "yolo"
    assert found.classes == CLASSES
    for one in whole:
        other = found[one.name]
        assert (one.split, one.group, one.annotated) == (other.split, other.group, other.annotated)
    content = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text(encoding="utf-8"))
    assert content["names"] == {0: "cell", 1: "ground"}
    assert content["val"] == "images/val"
    assert content["train"] == ["images/train", "images/fold_3", "images/rest"]


@pytest.mark.parametrize("split", [None, "train", "fold"])
def test_a_yaml_always_has_what_training_needs(tmp_path: Path, split: str | None) -> None:
    truth = several()[0].truth
    report = Dataset([sample_of("a", truth, split=split)], CLASSES).write(tmp_path / "out", "yolo")
    assert not report
    content = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text(encoding="utf-8"))
    for key in ("train", "val"):
        folders = content[key] if isinstance(content[key], list) else [content[key]]
        assert all((tmp_path / "out" / folder).is_dir() for folder in folders)
    (found,) = Dataset.open(tmp_path / "out")
    assert found.split == split


def test_the_report_states_what_yolo_has_no_place_for(tmp_path: Path) -> None:
    masks = np.zeros((2, 4, 4), bool)
    masks[0, :2] = True
    truth = Segmentation.from_masks(
        masks, scores=[0.5, 1], classes=CLASSES, void=~masks[0], attributes={"crowd": [True, False]}
    )
    loss = Dataset([sample_of("a", truth)], CLASSES).write(tmp_path / "out", "yolo").total
    assert (loss.pixels_changed, loss.void_changed, loss.scores_changed, loss.segments_lost) == (0, 8, 1, 1)
    assert loss.attributes_changed == {"crowd": 1}


def test_overlap_is_kept(tmp_path: Path) -> None:
    masks = np.zeros((2, 4, 4), bool)
    masks[0, :3] = masks[1, 1:] = True
    truth = Segmentation.from_masks(masks, classes=CLASSES)
    assert not Dataset([sample_of("a", truth)], CLASSES).write(tmp_path / "out", "yolo")


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample("a", None, lambda: (Segmentation.from_labels(np.ones((2, 2), int)),)), "has no image"),
        (sample_of("a", Segmentation.from_labels(np.ones((2, 2, 2), int))), "volume"),
        (
            Sample(
                "a",
                lambda: Image(np.zeros((3, 3, 1), np.uint8)),
                lambda: (Segmentation.from_labels(np.ones((2, 2), int)),),
            ),
            "differ in size",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, sample: Sample, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Dataset([sample], ClassSet.from_names(["object"])).write(tmp_path / "out", "yolo")


# Other tools' datasets


@pytest.mark.parametrize(
    ("image", "content"),
    [
        ("images/train/a.png", {}),
        ("images/train/a.png", {"path": "../datasets/coco8-seg"}),
        ("images/train/a.png", {"path": "/home/me/datasets/mine", "names": {0: "cell", 1: "dirt"}}),
        ("images/train/a.png", {"path": "."}),
        ("mine/images/train/a.png", {"path": "../datasets/mine"}),
        ("train/images/a.png", {"train": "../train/images"}),
        ("train/images/a.png", {"train": "train", "nc": 2}),
        ("images/train/a.png", {"train": ["images/train"], "names": [False, 3]}),
    ],
)
def test_layouts_that_tools_write(tmp_path: Path, image: str, content: dict[str, Any]) -> None:
    (sample,) = Dataset.open(put(tmp_path, image=image, **content))
    assert (sample.name, sample.split) == ("a", "train")
    assert len(sample.truth) == 1
    assert Dataset.open(tmp_path / "data.yaml").format == "yolo"


def test_a_split_may_be_a_list_of_files(tmp_path: Path) -> None:
    put(tmp_path, train="lists/train.txt", val="lists/val.txt")
    put(tmp_path, image="images/b.png", train="lists/train.txt", val="lists/val.txt")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train.txt").write_text("./images/train/a.png\n\n./images/none.png\n../../x.png\n")
    (tmp_path / "lists" / "val.txt").write_text("images/b.png\n")
    found = Dataset.open(tmp_path, "yolo", faulty="skip")
    assert {sample.name: sample.split for sample in found} == {"train/a": "train", "b": "val"}
    assert [str(problem).partition(":")[0] for problem in found.problems] == [
        "lists/train.txt, line 3",
        "lists/train.txt, line 4",
    ]


def test_without_a_yaml_folders_tell(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "data.yaml").unlink()
    found = Dataset.open(tmp_path)
    assert found.format == "yolo"
    assert found.classes.names == ("class_0",)
    assert (found[0].name, found[0].split) == ("a", "train")
    (tmp_path / "classes.txt").write_text("cell\ndirt\n")
    assert Dataset.open(tmp_path).classes.names == ("cell", "dirt")


def test_images_without_labels_show_nothing_unless_none_has_any(tmp_path: Path) -> None:
    put(tmp_path, val="images/val")
    picture(tmp_path / "images" / "train" / "b.png")
    picture(tmp_path / "images" / "val" / "c.png")
    found = Dataset.open(tmp_path)
    assert len(found["b"].truth) == 0
    assert not found["c"].annotated
    assert not Dataset.open(tmp_path, missing_is_empty=False)["b"].annotated


def test_one_name_in_two_splits_gets_its_folder(tmp_path: Path) -> None:
    put(tmp_path, val="images/val")
    picture(tmp_path / "images" / "val" / "a.png")
    assert Dataset.open(tmp_path).names == ["images/train/a", "images/val/a"]


def test_ids_of_classes_are_one_more_than_numbers(tmp_path: Path) -> None:
    found = Dataset.open(put(tmp_path, SQUARE.replace("0", "7", 1), names={7: "x", 2: "y"}))
    assert found.classes.ids.tolist() == [3, 8]
    assert found[0].truth.class_ids.tolist() == [8]


# Lies


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.2 0.2", "a box and no outline"),
        ("0 0.5 0.5 0.2", "at least 3 points"),
        ("0 0 0 1 1 0 1 0", "got 8 numbers"),
        ("5 0 0 1 1 0 1", "no class 5; the highest is 1"),
        ("-1 0 0 1 1 0 1", "whole number from 0, got -1"),
        ("0.5 0 0 1 1 0 1", "whole number from 0, got 0.5"),
        ("nan 0 0 1 1 0 1", "whole number from 0, got nan"),
        ("0 0 0 640 480 0 480", "parts of width and height"),
        ("0 0 0 nan 1 0 1", "parts of width and height"),
        ("0 0 0 inf 1 0 1", "parts of width and height"),
        ("cell 0 0 1 1 0 1", "wanted a class and coordinates"),
    ],
)
def test_lines_that_lie_are_left_out(tmp_path: Path, line: str, words: str) -> None:
    put(tmp_path, f"{SQUARE}{line}\n")
    with pytest.raises(ReadError, match=words) as raised:
        Dataset.open(tmp_path)
    assert "labels/train/a.txt, line 2" in str(raised.value)
    assert len(Dataset.open(tmp_path, faulty="skip")[0].truth) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"val": "/etc"}, "leads outside"),
        ({"val": "../../etc"}, "no images in ../../etc"),
        ({"val": "images/../../etc"}, "leads outside"),
        ({"val": "images/val"}, "no images in images/val"),
        ({"val": "val.txt"}, "val.txt is not there"),
        ({"val": 7}, "got 7"),
        ({"nc": 3}, "says 3 classes and names 2"),
        ({"names": {0: "cell", "x": "dirt"}}, "got 'dirt'"),
        ({"names": {0: "cell", 1e20: "dirt"}}, "data.yaml, names, 1e+20: wanted a number below"),
        ({"names": {0: "cell", 10**20: "dirt"}}, "data.yaml, names, 100000000000000000000: wanted a number"),
        ({"train": "absent"}, "no train, val or test"),
    ],
)
def test_a_yaml_that_lies_is_a_problem(tmp_path: Path, content: dict[str, Any], words: str) -> None:
    put(tmp_path, **content)
    (problem,) = problems(tmp_path / "data.yaml")
    assert words in problem
    assert problem.startswith("data.yaml")
    assert Dataset.open(tmp_path / "data.yaml", "yolo", faulty="skip").names == ["a"]


def test_labels_without_image_are_a_problem(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "labels" / "train" / "b.txt").write_text(SQUARE)
    (problem,) = problems(tmp_path)
    assert "labels/train/b.txt" in problem
    assert "no image" in problem


@pytest.mark.parametrize("names", [7, "absent", "x"])
def test_a_yaml_without_classes_is_refused(tmp_path: Path, names: Any) -> None:
    put(tmp_path, names=names)
    with pytest.raises(ReadError, match="classes under 'names'"):
        Dataset.open(tmp_path / "data.yaml", "yolo")


@pytest.mark.realdata
def test_coco_2017_keeps_every_pixel(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "coco_panoptic_subset"
    for name in ("instances_train2017", "panoptic_val2017"):  # outlines that overlap; holes and many pieces
        found = Dataset.open(folder / "annotations" / f"{name}.json")[:8]
        loss = found.write(tmp_path / name, "yolo").total
        assert (loss.pixels_changed, loss.holes_lost, loss.overlap_flattened, loss.segments_lost) == (
            0,
            0,
            0,
            0,
        )
