"""The annotated sets that networks are scored on: those of the forest, whole, and volumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from forest_sets import (
    MEAN_IOU,
    Measure,
    Parts,
    QualitySet,
    changed,
    class_set,
    listed_parts,
    parted,
    renamed,
)
from forest_sets import SETS as FOREST_SETS

from smalti.data.dataset import Dataset
from smalti.metrics.semantic import Classes
from smalti.segmentation import Segmentation


def open_hippocampus(folder: Path) -> Parts:
    found = Dataset.open(folder / "msd_hippocampus")
    dataset = changed(found, *renamed(["anterior", "posterior"]))
    train, test = listed_parts(folder, "msd_hippocampus")
    return parted(dataset, _named(dataset, train), _named(dataset, test))


def _named(dataset: Dataset, files: list[str]) -> list[str]:
    """The samples whose names end as the files do."""
    ends = {name.rpartition("/")[2]: name for name in dataset.names}
    return [ends[Path(file).name.removesuffix(".gz").removesuffix(".nii")] for file in files]


def open_camvid_with_val(folder: Path) -> Parts:
    """Its own split for validation stays with the training part, each sample in its split."""
    found = Dataset.open(folder / "camvid", classes="camvid")
    dataset = changed(found, *renamed(found.classes.names))
    return dataset.filter(lambda sample: sample.split in ("train", "val")), dataset.split("test")


def any_defect(segmentation: Segmentation) -> Segmentation:
    """All classes as one."""
    classes = class_set(["defect"])
    return Segmentation.from_semantic_map((segmentation.semantic_map() > 0).astype(np.int32), classes)


DICE = Classes()
SETS: dict[str, QualitySet] = {
    **{name: replace(each, learned=10**6) for name, each in FOREST_SETS.items()},
    "msd_hippocampus": QualitySet(
        "msd_hippocampus",
        "hippocampus in magnetic resonance, 3-D",
        "classes",
        open_hippocampus,
        (
            Measure("mean Dice", DICE, "mean_dice"),
            Measure("Dice anterior", DICE, "dice", "anterior"),
            Measure("Dice posterior", DICE, "dice", "posterior"),
        ),
        "splits.json, 66 / 21 volumes",
        10**6,
    ),
}
SETS["camvid"] = replace(SETS["camvid"], open=open_camvid_with_val)
SETS["magnetic_tile"] = replace(
    SETS["magnetic_tile"],
    measures=(
        Measure("F1 of any defect", Classes(), "dice", "defect", any_defect),
        Measure("mean F1", Classes(), "mean_dice"),
        *(
            Measure(f"F1 {name}", Classes(), "dice", name)
            for name in ("Blowhole", "Break", "Crack", "Fray", "Uneven")
        ),
        MEAN_IOU,
    ),
)
