"""The seven annotated sets that forests are scored on: how each is opened, split, and what its score is.

Splits are official where there is one for the files at hand (camvid, cwfid: by their files), otherwise those of the
``splits.json`` beside the sets. Training images are every n-th of the training part, so that a set takes minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import label

from smalti.classes import Class, ClassSet, segment_colors
from smalti.data.dataset import Dataset
from smalti.metrics.instance import Instances
from smalti.metrics.metric import Metric
from smalti.metrics.partition import Partition
from smalti.metrics.semantic import Classes
from smalti.metrics.thin import ClDice, ToleranceF1
from smalti.sample import Sample
from smalti.segmentation import Segmentation

Parts = tuple[Dataset, Dataset]
"""Training and test part."""
View = Callable[[Segmentation], Segmentation]


@dataclass(frozen=True)
class Measure:
    """A score of a set: which of which metric, of one class where one is named, of what is seen in both sides."""

    title: str
    metric: Metric
    score: str
    class_name: str | None = None
    view: View | None = None


@dataclass(frozen=True)
class QualitySet:
    """A set, what is found in it, its scores (the first is its number), and how much of it is learned from.

    ``learned`` is the most training images, ``pixels`` the most pixels of them all together. ``two_sides`` are the
    numbers of the two classes (0 background) that a threshold may tell apart, None where there are more.
    """

    name: str
    title: str
    finds: Literal["objects", "classes", "lines"]
    open: Callable[[Path], Parts]
    measures: tuple[Measure, ...]
    split: str
    learned: int
    pixels: int = 100_000
    two_sides: tuple[int, int] | None = None

    def parts(self, folder: Path, quick: bool = False) -> Parts:
        """The training images that are learned from, and all test images."""
        train, test = self.open(folder)
        wanted = min(len(train), max(3, self.learned // 4) if quick else self.learned)
        chosen = np.linspace(0, len(train) - 1, wanted).round().astype(int)
        return train.with_samples([train[int(index)] for index in chosen]), test


def class_set(names: Sequence[str], thing: bool = False) -> ClassSet:
    """Classes 1..K."""
    colors = segment_colors(len(names)).tolist()
    return ClassSet(
        Class(k, name, tuple(color), thing)
        for k, (name, color) in enumerate(zip(names, colors, strict=True), 1)
    )


def changed(
    dataset: Dataset, classes: ClassSet, truth: Callable[[Sample, Segmentation], Segmentation]
) -> Dataset:
    """The dataset with other classes and truths, its images without alpha, which says nothing in any of the sets."""

    def made(sample: Sample) -> Sample:
        return replace(
            sample,
            load_image=lambda: sample.image.without_alpha(),
            load_truths=lambda: (truth(sample, sample.truth),),
        )

    return Dataset([made(sample) for sample in dataset], classes, path=dataset.path)


def renamed(names: Sequence[str], thing: bool = False) -> tuple[ClassSet, Callable[..., Segmentation]]:
    """Classes 1..K in place of as many with the ids 1..K, the pixels unchanged."""
    classes = class_set(names, thing)
    return classes, lambda sample, truth: truth.replace(classes=classes)


def parted(dataset: Dataset, train: Sequence[str], test: Sequence[str]) -> Parts:
    """The samples of these names, in their order."""
    train_part, test_part = (dataset.with_samples([dataset[name] for name in part]) for part in (train, test))
    return train_part, test_part


def listed(folder: Path, name: str) -> Mapping[str, list[str]]:
    return json.loads((folder / "splits.json").read_text(encoding="utf-8"))[name]


def open_dsb2018(folder: Path) -> Parts:
    dataset = changed(Dataset.open(folder / "dsb2018", images="images"), *renamed(["nucleus"], thing=True))
    return parted(dataset, *listed_parts(folder, "dsb2018"))


def listed_parts(folder: Path, name: str) -> tuple[list[str], list[str]]:
    split = listed(folder, name)
    return split["train"], split["test"]


def open_camvid(folder: Path) -> Parts:
    found = Dataset.open(folder / "camvid", classes="camvid")
    dataset = changed(found, *renamed(found.classes.names))
    return dataset.split("train"), dataset.split("test")


def open_magnetic_tile(folder: Path) -> Parts:
    names = ("Blowhole", "Break", "Crack", "Fray", "Uneven")
    classes = class_set(names)

    def of_folder(sample: Sample, truth: Segmentation) -> Segmentation:
        defect = sample.name.split("/")[0].removeprefix("MT_")
        class_id = names.index(defect) + 1 if defect in names else 0
        return Segmentation.from_semantic_map((truth.semantic_map() > 0) * class_id, classes)

    dataset = changed(Dataset.open(folder / "magnetic_tile"), classes, of_folder)
    return parted(dataset, *listed_parts(folder, "magnetic_tile"))


def open_crackforest(folder: Path) -> Parts:
    dataset = changed(Dataset.open(folder / "crackforest"), *renamed(["crack"]))
    return parted(dataset, *listed_parts(folder, "crackforest"))


def open_cwfid(folder: Path) -> Parts:
    colors = {"crop": "#00ff00", "weed": "#ff0000"}
    found = Dataset.open(folder / "cwfid", masks="annotations", classes=colors)
    dataset = changed(found, *renamed(found.classes.names))
    return parted(dataset, ("002", "016", "031"), ("010", "021", "044"))


def open_isbi2012_em(folder: Path) -> Parts:
    classes = class_set(["membrane", "cell"])

    def both(sample: Sample, truth: Segmentation) -> Segmentation:
        return Segmentation.from_semantic_map(1 + (truth.semantic_map() > 0), classes)

    dataset = changed(Dataset.open(folder / "isbi2012_em"), classes, both)
    return parted(dataset, *listed_parts(folder, "isbi2012_em"))


def open_dubai_aerial(folder: Path) -> Parts:
    colors = {
        "building": "#3c1098",
        "land": "#8429f6",
        "road": "#6ec1e4",
        "vegetation": "#fedd3a",
        "water": "#e2a929",
        "unlabeled": ["#9b9b9b", "#000000"],
    }
    found = Dataset.open(folder / "dubai_aerial", classes=colors)
    dataset = changed(found, *renamed(found.classes.names))
    tiles = listed_parts(folder, "dubai_aerial")
    return parted(
        dataset, *([name for name in dataset.names if name.split("/")[0] in part] for part in tiles)
    )


def cells(segmentation: Segmentation) -> Segmentation:
    """The connected pieces of the cell interiors of isbi2012_em, whatever their class: what Rand scores compare."""
    labels = label(segmentation.semantic_map() == 2)[0]
    void = segmentation.void if segmentation.void_px else None
    return Segmentation.from_labels(labels, void=void)


MEAN_IOU = Measure("mIoU", Classes(), "mean_iou")
ACCURACY = Measure("pixel accuracy", Classes(), "accuracy")
OBJECTS = Instances()

SETS: dict[str, QualitySet] = {
    each.name: each
    for each in (
        QualitySet(
            "dsb2018",
            "nuclei",
            "objects",
            open_dsb2018,
            (
                Measure("AP50", OBJECTS, "object_accuracy50"),
                Measure("AP75", OBJECTS, "object_accuracy75"),
                Measure("AP50 to 95", OBJECTS, "object_accuracy"),
            ),
            "splits.json, 466 / 93 images",
            240,
            two_sides=(0, 1),
        ),
        QualitySet(
            "camvid",
            "driving scenes, 11 classes",
            "classes",
            open_camvid,
            (MEAN_IOU, ACCURACY),
            "official train and the 18 official test images at hand",
            90,
        ),
        QualitySet(
            "magnetic_tile",
            "defects of magnetic tiles, 5 classes",
            "classes",
            open_magnetic_tile,
            (
                MEAN_IOU,
                *(
                    Measure(f"IoU {name}", Classes(), "iou", name)
                    for name in ("Blowhole", "Break", "Crack", "Fray", "Uneven")
                ),
            ),
            "splits.json, 203 / 64 images",
            203,
        ),
        QualitySet(
            "crackforest",
            "cracks in asphalt",
            "lines",
            open_crackforest,
            (
                Measure("F1 within 2 px", ToleranceF1(2.0), "tolerance_f1"),
                Measure("F1 within 5 px", ToleranceF1(5.0), "tolerance_f1"),
                Measure("clDice", ClDice(), "cldice"),
            ),
            "splits.json, 60 / 19 images",
            60,
            two_sides=(0, 1),
        ),
        QualitySet(
            "cwfid",
            "crop, weed, soil",
            "classes",
            open_cwfid,
            (
                Measure("mIoU", Classes("averaged"), "mean_iou"),
                Measure("IoU crop", Classes(), "iou", "crop"),
                Measure("IoU weed", Classes(), "iou", "weed"),
            ),
            "official, 3 / 3 images at hand",
            3,
        ),
        QualitySet(
            "isbi2012_em",
            "membranes in electron microscopy",
            "classes",
            open_isbi2012_em,
            (
                MEAN_IOU,
                Measure("F1 of membrane within 2 px", ToleranceF1(2.0), "tolerance_f1_of_class", "membrane"),
                Measure("adapted Rand F of cells", Partition("truth_ignored"), "rand_f", view=cells),
            ),
            "splits.json, 15 / 5 slices of one stack",
            15,
            two_sides=(1, 2),
        ),
        QualitySet(
            "dubai_aerial",
            "land cover, 5 classes",
            "classes",
            open_dubai_aerial,
            (MEAN_IOU, ACCURACY),
            "splits.json, tiles 1 to 3 / tile 5",
            27,
        ),
    )
}
"""Every set by name."""
