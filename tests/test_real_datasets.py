"""Public datasets as they are downloaded: each opens with the samples and classes that it documents."""

from __future__ import annotations

import pytest

from smalti.data.dataset import Dataset

DUBAI = {
    "building": "#3c1098",
    "land": "#8429f6",
    "road": "#6ec1e4",
    "vegetation": "#fedd3a",
    "water": "#e2a929",
    "unlabeled": ["#9b9b9b", "#000000"],
}

# folder, options, format, samples of each split (None: no split), classes
SETS = [
    ("dsb2018", {"images": "images"}, "instance-maps", {None: 559}, 1),
    ("camvid", {"classes": "camvid"}, "label-maps", {"train": 367, "val": 51, "test": 18}, 11),
    ("coco_panoptic_subset", {"format": "coco", "faulty": "skip"}, "coco", {"train": 50}, 80),
    ("coco_panoptic_subset", {"format": "coco-panoptic"}, "coco-panoptic", {"train": 50, "val": 60}, 133),
    ("bsds500", {}, "bsds", {"train": 40, "val": 30, "test": 40}, 1),
    ("crackforest", {}, "bsds", {None: 79}, 1),
    ("magnetic_tile", {}, "binary-masks", {None: 267}, 1),
    ("cwfid", {"masks": "annotations"}, "color-masks", {None: 6}, 2),
    ("davis2016", {}, "binary-masks", {None: 150}, 1),
    ("dubai_aerial", {"classes": DUBAI}, "color-masks", {None: 36}, 5),
    ("isbi2012_em", {}, "binary-masks", {None: 20}, 1),
    (
        "oxford_pets_sample",
        {"masks": "catdog_masks", "classes": ["cat", "dog"]},
        "label-maps",
        {None: 31},
        2,
    ),
    ("msd_hippocampus", {}, "nifti", {"train": 87}, 2),
    ("alphamatting_lowres", {"masks": "gt_training_lowres"}, "binary-masks", {"train": 4}, 1),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "options", "format_name", "splits", "classes"), SETS)
def test_it_opens(data_dir, folder, options, format_name, splits, classes):
    found = Dataset.open(data_dir / folder, **options)
    assert found.format == format_name, found.reason
    assert {split: sum(sample.split == split for sample in found) for split in splits} == splits
    assert len(found) == sum(splits.values())
    assert len(found.classes) == classes
    annotated = [sample for sample in found if sample.annotated]
    assert annotated
    for sample in (annotated[0], annotated[-1]):
        assert sample.truth.shape == sample.image.shape
    assert None not in found.sizes()
