"""COCO instances: the pixels are those of pycocotools, and records that lie are named."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as reference
from pycocotools.coco import COCO

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io.encode import write_image
from smalti.io.formats.coco_annotations import Checks, annotations_of, segments_of
from smalti.masks import encode_rle
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation

SIZE = (6, 8)
CLASSES = ClassSet(
    [Class(1, "cell", (230, 159, 0)), Class(7, "dirt", (86, 180, 233)), Class(9, "ground", (0, 0, 9), False)]
)
SQUARE = [1, 1, 4, 1, 4, 4, 1, 4]
IDS = {1: 1, 7: 7, 9: 9}


def picture(path: Path, size: tuple[int, int] = SIZE) -> None:
    write_image(path, Image(np.zeros((*size, 1), np.uint8)))


def annotation(**changes: Any) -> dict[str, Any]:
    record = {"id": 1, "image_id": 5, "category_id": 1, "segmentation": [SQUARE], "iscrowd": 0}
    return {key: value for key, value in (record | changes).items() if value != "absent"}


def content(*annotations: Any, **changes: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "a.png", "height": 6, "width": 8}],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "cell"}, {"id": 7, "name": "dirt"}],
    } | changes


def put(folder: Path, found: Any, name: str = "annotations/instances_train2017.json") -> Path:
    """A dataset of one image and one JSON."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    if not (folder / "images").exists():
        picture(folder / "images" / "a.png")
    return folder


def problems(folder: Path) -> list[str]:
    return [str(problem) for problem in Dataset.open(folder, "coco", faulty="skip").problems]


# Pixels


coordinates = st.floats(-3, 14, allow_nan=False, width=32) | st.integers(-2, 12).map(float)
polygons = st.lists(coordinates, min_size=6, max_size=14).map(lambda flat: flat[: len(flat) // 2 * 2])


@given(segmentation=st.lists(polygons, min_size=1, max_size=3))
def test_polygons_cover_what_pycocotools_says(segmentation: list[list[float]]) -> None:
    wanted = reference.decode(reference.merge(reference.frPyObjects(segmentation, 9, 11))).astype(bool)
    found = segments_of([annotation(segmentation=segmentation)], (9, 11), IDS, CLASSES)
    assert np.array_equal(found.mask(1), wanted)


@given(mask=arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_cover_what_pycocotools_says(mask: np.ndarray) -> None:
    compressed = encode_rle(mask)
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    counts = np.diff([0, *edges, flat.size]).tolist()
    for rle in (compressed, {"size": list(mask.shape), "counts": counts}):
        checks = Checks()
        assert checks.fault(annotation(segmentation=rle), mask.shape) == ""
        assert not list(checks.late())
        found = segments_of([annotation(segmentation=rle)], mask.shape, IDS, CLASSES)
        assert np.array_equal(found.mask(1), mask)


@given(
    masks=arrays(bool, st.tuples(st.integers(0, 3), st.just(7), st.just(9))),
    form=st.sampled_from(["auto", "rle", "polygon"]),
    crowd=st.booleans(),
)
def test_written_segments_come_back(masks: np.ndarray, form: Any, crowd: bool) -> None:
    truth = Segmentation.from_masks(
        masks,
        shape=(7, 9),
        class_ids=[1] * len(masks),
        classes=CLASSES,
        attributes={"crowd": np.full(len(masks), crowd)},
    )
    records = annotations_of(truth, form)
    for record, mask in zip(records, masks, strict=True):
        rle = record["segmentation"]
        if isinstance(rle, list):
            rle = reference.merge(reference.frPyObjects(rle, 7, 9))
        assert np.array_equal(reference.decode(rle).astype(bool), mask)
        assert record["area"] == mask.sum()
        if record["area"]:
            assert record["bbox"] == reference.toBbox(rle).tolist()
        assert record["iscrowd"] == crowd
        assert isinstance(record["segmentation"], dict) or form == "polygon" or not crowd
    back = segments_of(records, (7, 9), IDS, CLASSES)
    assert all(np.array_equal(one, other) for one, other in zip(back.masks(), masks, strict=True))


# Everything else that is kept


def dataset(**fields: Any) -> Dataset:
    """A hole, an overlap, a crowd, a segment without pixels, void, scores and attributes."""
    masks = np.zeros((4, *SIZE), bool)
    masks[0, 1:4, 1:4] = True
    masks[0, 2, 2] = False
    masks[1, 3:6, 3:8] = True
    masks[2, 0, ::2] = True
    void = np.zeros(SIZE, bool)
    void[5] = True
    truth = Segmentation.from_masks(
        masks,
        class_ids=[1, 7, 9, 1],
        scores=[1, 0.25, 1, 1],
        classes=CLASSES,
        void=void,
        attributes={
            "crowd": np.array([False, False, True, False]),
            "track_id": np.array([3, 0, 4, 0]),
            "source_id": np.array([12, 7, 99, 3]),
            "kind": np.array(["", "round", "", ""]),
            "angle": np.array([0.5, 0, 0, 0]),
        },
    )
    image = Image(np.arange(48, dtype=np.uint8).reshape(*SIZE, 1))
    return Dataset([Sample.of("street/a", image, truth, **fields)], CLASSES)


def test_nothing_is_lost(tmp_path: Path) -> None:
    origin = Provenance("instrument 7", "CC-BY-SA-4.0", "somebody", "2026-05-31", "ab12")
    written = dataset(split="fold 1/3", group="p1", provenance=origin, metadata={"site": "x", "age": 3})
    report = written.write(tmp_path / "out", "coco")
    assert not report, list(report.lines())
    (found,) = Dataset.open(tmp_path / "out")
    assert found.split == "fold 1/3"
    assert found.group == "p1"
    assert found.provenance == origin
    assert found.metadata == {"site": "x", "age": 3}
    assert found.truth == written[0].truth
    (path,) = (tmp_path / "out" / "annotations").iterdir()
    listed = json.loads(path.read_text(encoding="utf-8"))
    assert sorted(each["id"] for each in listed["annotations"]) == [3, 7, 12, 99]
    assert listed["licenses"] == [
        {"id": 1, "name": "CC-BY-SA-4.0", "url": "https://creativecommons.org/licenses/by-sa/4.0/"}
    ]


def test_written_files_are_what_pycocotools_reads(tmp_path: Path) -> None:
    dataset(split="train").write(tmp_path / "out", "coco")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "out" / "annotations" / "instances_train.json"))
    truth = dataset()[0].truth
    for k, key in enumerate([12, 7, 99, 3], 1):
        assert np.array_equal(coco.annToMask(coco.anns[key]).astype(bool), truth.mask(k))
        assert coco.anns[key]["iscrowd"] == (k == 3)
    assert (tmp_path / "out" / "train" / coco.imgs[1]["file_name"]).is_file()


def test_each_split_has_its_json(tmp_path: Path) -> None:
    whole = [
        Sample("a", image.load_image, image.load_truths, split=split)
        for image, split in zip(dataset(), ["val"], strict=True)
    ]
    truth, image = dataset()[0].truth, dataset()[0].image
    whole += [
        Sample.of("b", image, truth, split="train"),
        Sample.of("c", image, truth),
        Sample.of("d", image),
    ]
    report = Dataset(whole, CLASSES).write(tmp_path / "out", "coco")
    assert not report
    names = sorted(path.name for path in (tmp_path / "out" / "annotations").iterdir())
    assert names == ["instances.json", "instances_train.json", "instances_val.json"]
    back = Dataset.open(tmp_path / "out")
    assert {sample.name: sample.split for sample in back} == {"a": "val", "b": "train", "c": None, "d": None}
    assert not back["d"].annotated
    alone = Dataset.open(tmp_path / "out" / "annotations" / "instances_val.json")
    assert alone.names == ["a"]
    assert alone[0].image.shape == SIZE


def test_numbers_for_names_are_the_ids_of_images(tmp_path: Path) -> None:
    truth, image = dataset()[0].truth, dataset()[0].image
    found = Dataset(
        [Sample.of("000000000139", image, truth), Sample.of("000000000020", image, truth)], CLASSES
    )
    assert found.write(tmp_path / "out", "coco").exact
    listed = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text(encoding="utf-8"))
    assert [record["id"] for record in listed["images"]] == [139, 20]
    assert {record["image_id"] for record in listed["annotations"]} == {139, 20}
    assert [record["id"] for record in listed["annotations"]] == list(range(1, 9))  # source ids come twice
    assert [each.truth.attributes["source_id"].tolist() for each in Dataset.open(tmp_path / "out")] == [
        [12, 7, 99, 3]
    ] * 2


def test_spacing_and_place_are_kept(tmp_path: Path) -> None:
    geometry = Geometry((0.5, 0.5), "um", np.diag([2.0, 3.0, 1.0]), "EPSG:4326")
    truth = dataset()[0].truth.replace(geometry=geometry)
    sample = Sample.of("a", Image(dataset()[0].image.pixels, geometry=Geometry((0.5, 0.5), "um")), truth)
    assert not Dataset([sample], CLASSES).write(tmp_path / "out", "coco")


def test_only_the_first_annotator_is_kept_and_the_report_says_so(tmp_path: Path) -> None:
    truth, image = dataset()[0].truth, dataset()[0].image
    sample = Sample("a", lambda: image, lambda: (truth, truth))
    report = Dataset([sample], CLASSES).write(tmp_path / "out", "coco")
    assert report.exact
    assert report.total.annotators_lost == 1


def test_volumes_are_refused(tmp_path: Path) -> None:
    truth = Segmentation.from_labels(np.ones((2, 3, 4), int))
    sample = Sample.of("v", Image(np.zeros((2, 3, 4, 1), np.uint8)), truth)
    with pytest.raises(InputError, match="volume"):
        Dataset([sample], truth.classes).write(tmp_path / "out", "coco")


def test_samples_without_image_come_back(tmp_path: Path) -> None:
    truth = dataset()[0].truth
    sample = Sample("x.y", None, lambda: (truth,))
    report = Dataset([sample], CLASSES).write(tmp_path / "out", "coco")
    assert not report
    assert Dataset.open(tmp_path / "out").names == ["x.y"]


# Reading other tools' files


def test_origin_is_read(tmp_path: Path) -> None:
    found = content(
        images=[
            {
                "id": 5,
                "file_name": "a.png",
                "height": 6,
                "width": 8,
                "license": 3,
                "flickr_url": "http://farm.example/1.jpg",
                "coco_url": "http://coco.example/1.jpg",
                "date_captured": "2013-11-14 17:02:52",
            }
        ],
        licenses=[{"id": 3, "name": "Attribution", "url": "http://creativecommons.org/licenses/by/2.0/"}],
    )
    (sample,) = Dataset.open(put(tmp_path, found))
    assert sample.provenance == Provenance(
        "http://farm.example/1.jpg", "CC-BY-2.0", "", "2013-11-14T17:02:52"
    )
    assert sample.split == "train"
    assert len(sample.truth) == 0


@pytest.mark.parametrize(
    ("json_name", "image_name", "file_name"),
    [
        ("annotations/instances_val2017.json", "val2017/a.png", "a.png"),
        ("annotations/instances_default.json", "images/a.png", "a.png"),
        ("valid/_annotations.coco.json", "valid/a.png", "a.png"),
        ("labels.json", "data/a.png", "a.png"),
        ("result.json", "images/a.png", "images\\a.png"),
        ("coco.json", "pictures/deep/a.png", "a.png"),
        ("coco.json", "images/x/a.png", "./x/a.png"),
    ],
)
def test_images_are_found_where_tools_put_them(
    tmp_path: Path, json_name: str, image_name: str, file_name: str
) -> None:
    (tmp_path / "images").mkdir()
    picture(tmp_path / image_name)
    images = [{"id": 5, "file_name": file_name, "height": 6, "width": 8}]
    put(tmp_path, content(annotation(), images=images), json_name)
    (sample,) = Dataset.open(tmp_path, "coco")
    assert sample.image_path == tmp_path / image_name
    assert sample.split == ("val" if "val" in json_name else None)
    (sample,) = Dataset.open(tmp_path / json_name)
    assert sample.image.shape == SIZE


def test_keypoints_and_captions_beside_instances_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, content(annotation()))
    put(tmp_path, content({"id": 1, "image_id": 5, "caption": "a"}), "annotations/captions_train2017.json")
    put(tmp_path, content(annotation(id=2)), "annotations/person_keypoints_train2017.json")
    (sample,) = Dataset.open(tmp_path)
    assert sample.truth.attributes["source_id"].tolist() == [1]


def test_category_0_is_class_1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    categories = [{"id": 0, "name": "cell"}, {"id": 1, "name": "dirt", "isthing": 0, "color": [1, 2, 3]}]
    put(tmp_path, content(annotation(category_id=0), annotation(id=2), categories=categories))
    with caplog.at_level("INFO", "smalti"):
        found = Dataset.open(tmp_path)
    assert "category 0" in caplog.text
    assert found.classes.ids.tolist() == [1, 2]
    assert found.classes.named("dirt") == Class(2, "dirt", (1, 2, 3), thing=False)
    assert found[0].truth.class_ids.tolist() == [1, 2]


def test_categories_of_several_files_are_matched_by_name(tmp_path: Path) -> None:
    put(tmp_path, content(annotation()))
    picture(tmp_path / "images" / "b.png")
    other = content(
        annotation(image_id=1, category_id=1),
        annotation(id=2, image_id=1, category_id=2),
        images=[{"id": 1, "file_name": "b.png", "height": 6, "width": 8}],
        categories=[{"id": 1, "name": "dirt"}, {"id": 2, "name": "cell"}, {"id": 7, "name": "road"}],
    )
    put(tmp_path, other, "annotations/instances_val2017.json")
    found = Dataset.open(tmp_path)
    assert found.classes.names == ("cell", "dirt", "road")
    assert found["b"].truth.class_ids.tolist() == [7, 1]
    assert found.splits == ("train", "val")


def test_one_category_name_twice_stays_two_classes(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "cell"}, {"id": 1, "name": "cell"}]
    found = Dataset.open(put(tmp_path, content(annotation(), categories=categories)))
    assert found.classes.names == ("cell", "cell (1)")


def test_images_of_one_name_in_two_splits_get_their_folders(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / split / "a.png")
        put(tmp_path, content(annotation()), f"annotations/instances_{split}.json")
    assert Dataset.open(tmp_path).names == ["train/a", "val/a"]


def test_size_may_be_unsaid(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "a.png"}]
    (sample,) = Dataset.open(put(tmp_path, content(annotation(), images=images)))
    assert sample.truth.shape == SIZE


def test_missing_images_may_be_accepted(tmp_path: Path) -> None:
    put(tmp_path, content(annotation()))
    (tmp_path / "images" / "a.png").unlink()
    (sample,) = Dataset.open(tmp_path, "coco", need_images=False)
    assert sample.load_image is None
    assert sample.truth.areas_px.tolist() == [9]


# Lies

RLE = {"size": [6, 8], "counts": [0, 48]}
LIES = {
    "there is no|that of no image": annotation(image_id=6),
    "no category 3": annotation(category_id=3),
    "must sum to 48, got 47": annotation(segmentation=RLE | {"counts": [7, 40]}),
    "must sum to 48": annotation(segmentation=RLE | {"counts": "07"}),
    "negative": annotation(segmentation=RLE | {"counts": [-2, 50]}),
    "characters": annotation(segmentation=RLE | {"counts": "0 é"}),
    "text or a flat list": annotation(segmentation=RLE | {"counts": [["a"]]}),
    "8 x 6 and its image 6 x 8": annotation(segmentation={"size": [8, 6], "counts": [0, 48]}),
    r"\[height, width\]": annotation(segmentation={"size": 48, "counts": [0, 48]}),
    "number from 0 or a text, got -4": annotation(id=-4),
    "got True": annotation(id=True),
    "2 points": annotation(segmentation=[[1, 1, 4, 4]]),
    "7 numbers": annotation(segmentation=[[1, 1, 4, 4, 5, 5, 6]]),
    "not finite": annotation(segmentation=[[1, 1, 4, 4, 5, float("nan")]]),
    "not finite or beyond": annotation(segmentation=[[1, 1, 4, 4, 5, 1e300]]),
    "no list of numbers": annotation(segmentation=SQUARE),
    "no list of numbers x0": annotation(segmentation=[["a"] * 6]),
    "got str": annotation(segmentation="RLE"),
    "iscrowd is 0 or 1": annotation(iscrowd=2),
    "from 0 to 1, got 97": annotation(score=97),
    "lists or objects": annotation(image_id=[5]),
    "a box and no mask": annotation(segmentation="absent", bbox=[1, 1, 2, 2]),
    "keypoints and a box and no mask": annotation(segmentation=[], bbox=[1, 1, 2, 2], keypoints=[1, 2, 2]),
    "does not say its image_id": annotation(image_id="absent"),
    "wanted an object": 7,
}


@pytest.mark.parametrize("words", LIES)
def test_annotations_that_lie_are_left_out(tmp_path: Path, words: str) -> None:
    put(tmp_path, content(LIES[words], annotation(id=2)))
    with pytest.raises(ReadError, match=words) as raised:
        Dataset.open(tmp_path, "coco")
    assert "instances_train2017.json, annotation" in str(raised.value)
    assert "\n" not in str(raised.value)
    found = Dataset.open(tmp_path, "coco", faulty="skip")
    assert len(found.problems) == 1
    assert found[0].truth.attributes["source_id"].tolist() == [2]


def test_an_id_used_twice_counts_once(tmp_path: Path) -> None:
    put(tmp_path, content(annotation(), annotation(category_id=7)))
    assert problems(tmp_path) == [
        "annotations/instances_train2017.json, annotation 1: its id is another annotation's already; "
        "give each its own"
    ]


def test_the_sound_polygons_of_an_annotation_are_kept(tmp_path: Path) -> None:
    put(tmp_path, content(annotation(segmentation=[[5, 5, 6, 6], SQUARE])))
    found = Dataset.open(tmp_path, "coco", faulty="skip")
    assert "polygon 1 of 2 has 2 points" in str(found.problems[0])
    assert found[0].truth.areas_px.tolist() == [9]


def test_boxes_alone_are_one_problem(tmp_path: Path) -> None:
    boxes = [annotation(id=k, segmentation="absent", bbox=[1, 1, 2, 2]) for k in range(50)]
    put(tmp_path, content(*boxes))
    assert problems(tmp_path) == [
        "annotations/instances_train2017.json: all of its 50 annotations are left out: "
        "it has a box and no mask; segmentation needs polygons or run lengths"
    ]


def test_without_categories_everything_is_an_object(tmp_path: Path) -> None:
    put(tmp_path, content(annotation(category_id="absent"), categories=[]))
    found = Dataset.open(tmp_path, "coco", faulty="skip")
    assert "no categories" in str(found.problems[0])
    assert found[0].truth.classes.names == ("object",)
    assert len(found[0].truth) == 1


SAME = {"file_name": "a.png", "height": 6, "width": 8}


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (SAME | {"id": 5}, "another image's already"),
        (SAME | {"id": 6}, "a.png is another image's already"),
        (SAME | {"id": 6, "file_name": "./a.png"}, "a.png is another image's already"),
        (SAME | {"id": 6, "file_name": "b.png"}, "b.png is not there"),
        (SAME | {"id": 6, "file_name": "../../a.png"}, "leads outside"),
        (SAME | {"id": 6, "file_name": "/etc/a.png"}, "leads outside"),
        (SAME | {"id": 6, "file_name": None}, "file_name"),
        (SAME | {"id": -6}, "got -6"),
        (SAME | {"id": None}, "got None"),
        (SAME | {"id": 6, "file_name": "images/a.png", "height": -6}, "height and width"),
        (SAME | {"id": 6, "file_name": "images/a.png", "height": 10**9, "width": 10**9}, "pixels"),
        (SAME | {"id": 6, "file_name": "images/a.png", "smalti": {"metadata": 3}}, "metadata"),
        ("a.png", "wanted an object"),
    ],
)
def test_images_that_lie_are_left_out_with_their_annotations(tmp_path: Path, image: Any, words: str) -> None:
    key = image.get("id") if isinstance(image, dict) else None
    more = [annotation(id=2, image_id=6)] if key == 6 else []
    put(tmp_path, content(annotation(), *more, images=[SAME | {"id": 5}, image]))
    (problem,) = problems(tmp_path)
    assert words in problem
    assert Dataset.open(tmp_path, "coco", faulty="skip").names == ["a"]


@pytest.mark.parametrize(
    ("category", "words"),
    [
        ({"id": -1, "name": "x"}, "got -1"),
        ({"id": 1, "name": "x"}, "another category's"),
        ({"id": 2, "name": ""}, "needs a name"),
        ({"id": "2", "name": "x"}, "got '2'"),
        (3, "got None"),
    ],
)
def test_categories_that_lie_are_left_out(tmp_path: Path, category: Any, words: str) -> None:
    put(tmp_path, content(annotation(), categories=[{"id": 1, "name": "cell"}, category]))
    (problem,) = problems(tmp_path)
    assert words in problem


def test_no_image_at_all_is_one_problem(tmp_path: Path) -> None:
    images = [SAME | {"id": k, "file_name": f"{k}.png"} for k in range(9)]
    put(tmp_path, content(annotation(), images=images))
    (problem,) = problems(tmp_path)
    assert "none of its 9 images is there" in problem
    assert "need_images" in problem


def test_a_json_of_all_and_one_of_a_part_are_not_mixed(tmp_path: Path) -> None:
    put(tmp_path, content(annotation()), "annotations/all.json")
    put(tmp_path, content(annotation()), "annotations/train.json")
    (problem,) = problems(tmp_path)
    assert "1 of its images are in annotations/all.json too" in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"images": [], "annotations": [', "cut short"),
        ('{"images": 3, "annotations": []}', "lists of images and annotations"),
        ('{"images": [], "annotations": {}}', "lists of images and annotations"),
        ('{"images": [], "annotations": [], "categories": 3}', "wanted a list under 'categories'"),
        ("[]", "wanted an object"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "coco.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=words) as raised:
        Dataset.open(path, "coco")
    assert "\n" not in str(raised.value)


def test_what_shows_only_in_pixels_names_the_annotation(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "a.png"}]
    rle = {
        "size": [8, 6],
        "counts": [0, 48],
    }  # the image has no size in the JSON, so this cannot be seen before
    put(tmp_path, content(annotation(id=17, segmentation=rle), images=images))
    (sample,) = Dataset.open(tmp_path, "coco")
    with pytest.raises(ReadError, match=r"instances_train2017\.json, image 5, annotation 17"):
        sample.truth  # noqa: B018


# Real data


@pytest.mark.realdata
def test_coco_2017_is_as_pycocotools_reads_it(data_dir: Path) -> None:
    path = data_dir / "coco_panoptic_subset" / "annotations" / "instances_train2017.json"
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    found = Dataset.open(path)
    assert (len(found), len(found.classes), found.format) == (50, 80, "coco")
    assert found.classes.of(90).name == "toothbrush"
    count = crowds = 0
    for sample in found:
        truth = sample.truth
        assert truth.shape == sample.image.shape
        for k, key in enumerate(truth.attributes.get("source_id", []), 1):
            record = coco.anns[int(key)]
            assert np.array_equal(coco.annToMask(record).astype(bool), truth.mask(k))
            assert record["category_id"] == truth.class_ids[k - 1]
            count += 1
        crowds += int(np.sum(truth.attributes.get("crowd", 0)))
    assert (count, crowds) == (326, 4)
    licences = [sample.provenance.licence for sample in found]
    assert licences.count("CC-BY-NC-SA-2.0") == 13
    assert licences.count("No known copyright restrictions") == 1


@pytest.mark.realdata
def test_coco_2017_comes_back(data_dir: Path, tmp_path: Path) -> None:
    found = Dataset.open(data_dir / "coco_panoptic_subset" / "annotations" / "instances_train2017.json")
    report = found[:20].write(tmp_path / "out", "coco")
    assert not report, list(report.lines())
    ids = [set(each.truth.attributes.get("source_id", ())) for each in found[:20]]
    assert [set(each.truth.attributes.get("source_id", ())) for each in Dataset.open(tmp_path / "out")] == ids


@pytest.mark.parametrize(
    "outline",
    [
        [1e30, -1e30, 1, 1, 2, 2],
        [2.0**31, -(2.0**31) * 1.01, 1, 1, 2, 2],
        [float("nan"), 1, 1, 1, 2, 2],
        [float("inf"), 1, 1, 1, 2, 2],
        [10**400, -(10**400), 1, 1, 2, 2],
    ],
)
def test_coordinates_that_cancel_are_problems_when_opened(tmp_path: Path, outline: list[float]) -> None:
    put(tmp_path, content(annotation(id=17, segmentation=[outline])))
    (problem,) = problems(tmp_path)
    assert "annotation 17" in problem and "not finite or beyond" in problem


@pytest.mark.parametrize("void", [{"size": [3, 3], "counts": [9]}, {"size": [6, 8]}, 5, {"counts": [48]}])
def test_a_void_of_another_size_names_the_image(tmp_path: Path, void: Any) -> None:
    images = [{"id": 5, "file_name": "a.png", "height": 6, "width": 8, "smalti": {"void": void}}]
    put(tmp_path, content(annotation(), images=images))
    (problem,) = problems(tmp_path)
    assert "image 5: its smalti.void" in problem


def test_a_void_that_is_damaged_names_the_image(tmp_path: Path) -> None:
    void = {"size": [6, 8], "counts": [7]}
    images = [{"id": 5, "file_name": "a.png", "height": 6, "width": 8, "smalti": {"void": void}}]
    (sample,) = Dataset.open(put(tmp_path, content(annotation(), images=images)), "coco")
    with pytest.raises(ReadError, match=r"instances_train2017\.json, image 5, void: "):
        sample.truth  # noqa: B018
