"""COCO JSON: pycocotools reads back the same masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools.coco import COCO

from smalti.classes import ClassSet
from smalti.errors import InputError
from smalti.io.coco import to_coco, write_coco
from smalti.segmentation import Segmentation

FORMS = ["auto", "rle", "polygon"]


@pytest.fixture
def found() -> Segmentation:
    """A square with a hole, two pieces that touch at a corner, one pixel."""
    labels = np.zeros((7, 9), int)
    labels[1:4, 1:4] = 1
    labels[2, 2] = 0
    labels[4, 5] = labels[5, 6] = 2
    labels[0, 8] = 3
    classes = ClassSet.from_names(["cell", "dirt"])
    return Segmentation.from_labels(labels, class_ids=[1, 2, 1], scores=[1, 0.5, 0.25], classes=classes)


def loaded(content: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = json.loads(json.dumps(content))
    coco.createIndex()
    return coco


def masks_of(coco: COCO, image_id: int = 1) -> list[np.ndarray]:
    annotations = sorted(coco.imgToAnns[image_id], key=lambda annotation: annotation["id"])
    return [coco.annToMask(annotation).astype(bool) for annotation in annotations]


@pytest.mark.parametrize("form", FORMS)
def test_pycocotools_gives_the_same_masks(found: Segmentation, form: str) -> None:
    masks = masks_of(loaded(to_coco([("a.png", found)], segmentation=form)))
    assert len(masks) == 3
    for k, mask in enumerate(masks, 1):
        assert np.array_equal(mask, found.mask(k))


@given(labels=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
@settings(max_examples=60, deadline=None)
def test_any_labels_come_back(labels: np.ndarray) -> None:
    segmentation = Segmentation.from_labels(labels)
    for form in FORMS:
        content = to_coco([("a.png", segmentation)], segmentation=form)
        masks = masks_of(loaded(content))
        assert all(np.array_equal(mask, segmentation.mask(k)) for k, mask in enumerate(masks, 1))
        assert [annotation["area"] for annotation in content["annotations"]] == segmentation.areas_px.tolist()


def test_fields(found: Segmentation) -> None:
    content = to_coco([("a.png", found)], info={"method": "otsu", "parameters": {"bins": 256}})
    assert content["info"]["method"] == "otsu" and content["info"]["parameters"] == {"bins": 256}
    assert content["images"] == [{"id": 1, "file_name": "a.png", "width": 9, "height": 7}]
    with_hole, pieces, pixel = content["annotations"]
    assert with_hole["segmentation"]["size"] == [7, 9] and isinstance(
        with_hole["segmentation"]["counts"], str
    )
    assert with_hole["bbox"] == [1, 1, 3, 3] and with_hole["area"] == 8
    assert len(pieces["segmentation"]) == 2 and pieces["bbox"] == [5, 4, 2, 2]
    assert pieces["category_id"] == 2 and pieces["score"] == 0.5 and pieces["iscrowd"] == 0
    assert pixel["segmentation"] == [[8, 0, 9, 0, 9, 1, 8, 1]]
    assert [annotation["id"] for annotation in content["annotations"]] == [1, 2, 3]
    assert [(entry["id"], entry["name"], entry["isthing"]) for entry in content["categories"]] == [
        (1, "cell", 1),
        (2, "dirt", 1),
    ]


def test_several_images_share_one_file(found: Segmentation, tmp_path: Path) -> None:
    path = tmp_path / "all.coco.json"
    other = Segmentation.from_labels(np.ones((2, 3), int), classes=found.classes)
    empty = Segmentation.from_labels(np.zeros((1, 1), int))
    with pytest.raises(InputError, match=r"class 1 is .*'object'"):
        to_coco([("a.png", found), ("c.png", empty)])
    write_coco(path, [("a.png", found), ("b.png", other), ("c.png", empty.replace(classes=found.classes))])
    coco = COCO(str(path))
    assert sorted(coco.imgs) == [1, 2, 3] and sorted(coco.anns) == [1, 2, 3, 4]
    assert coco.anns[4]["image_id"] == 2 and coco.annToMask(coco.anns[4]).all()
    assert [entry.name for entry in tmp_path.iterdir()] == ["all.coco.json"]


def test_overlapping_and_empty_segments() -> None:
    masks = np.zeros((3, 6, 6), bool)
    masks[0, 1:5, 1:5] = masks[1, 2:4, 2:6] = True
    segmentation = Segmentation.from_masks(masks)
    for form in FORMS:
        content = to_coco([("a.png", segmentation)], segmentation=form)
        assert np.array_equal(masks_of(loaded(content)), masks)
        assert content["annotations"][2]["area"] == 0


def test_result_without_segments_is_read() -> None:
    content = to_coco([("a.png", Segmentation.from_labels(np.zeros((1, 1), int)))])
    assert content["annotations"] == [] and len(content["categories"]) == 1
    assert loaded(content).getAnnIds() == []


def test_what_coco_cannot_hold_is_refused(found: Segmentation) -> None:
    with pytest.raises(InputError, match="volume"):
        to_coco([("a.tif", Segmentation.from_labels(np.ones((2, 3, 4), int)))])
    with pytest.raises(InputError, match=r"repeated: a\.png"):
        to_coco([("a.png", found), ("a.png", found)])
    with pytest.raises(InputError, match="auto, rle or polygon"):
        to_coco([("a.png", found)], segmentation="mask")  # type: ignore[arg-type]
