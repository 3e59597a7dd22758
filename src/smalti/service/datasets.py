"""Actions on datasets in the user's words: describe, convert, split, check, fetch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..data.dataset import Dataset
from ..io.formats.loss import LossReport

Task = Literal["panoptic", "semantic", "instance"]


@dataclass(frozen=True)
class Opening:
    """How a dataset is to be opened: by which format (None: recognised) and options, whole or in part."""

    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    skip_faulty: bool = False
    splits: Path | None = None  # a file that says which sample belongs where
    split: str | None = None  # only this one


def open_dataset(path: Path, opening: Opening = Opening()) -> Dataset:
    """The dataset at ``path``. Raises as ``Dataset.open`` does, and ``UnknownName`` for a split."""
    dataset = Dataset.open(
        path, opening.format, faulty="skip" if opening.skip_faulty else "raise", **opening.options
    )
    if opening.splits is not None:
        from ..data.splits import apply_splits

        dataset = apply_splits(dataset, opening.splits)
    return dataset if opening.split is None else dataset.split(opening.split)


def describe(dataset: Dataset) -> dict[str, Any]:
    """What a dataset is, without reading a pixel: format, why, samples of each split, classes, problems."""
    return {
        "path": str(dataset.path),
        "format": dataset.format,
        "reason": dataset.reason,
        "samples": len(dataset),
        "annotated": sum(sample.annotated for sample in dataset),
        "splits": dict(Counter(sample.split for sample in dataset if sample.split is not None)),
        "groups": len({sample.group for sample in dataset if sample.group is not None}),
        "classes": [{"id": entry.id, "name": entry.name, "thing": entry.thing} for entry in dataset.classes],
        "problems": [str(problem) for problem in dataset.problems],
    }


def convert(
    source: Path,
    destination: Path,
    to: str,
    opening: Opening = Opening(),
    options: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> tuple[Dataset, LossReport]:
    """Write a dataset in another format; gives what it was opened as and what was lost.

    Raises as ``Dataset.open`` and ``Dataset.write`` do; the source is never changed.
    """
    dataset = open_dataset(source, opening)
    return dataset, dataset.write(destination, to, strict=strict, **(options or {}))


def write_scenes(
    out: Path,
    kind: str,
    n: int,
    seed: int = 0,
    task: Task = "panoptic",
    format: str = "smalti",
    parameters: Mapping[str, Any] | None = None,
) -> LossReport:
    """Write ``n`` made-up scenes with their truth into a new folder; gives what the format could not hold."""
    from ..data.scenes import scene_classes, scenes

    made = scenes(kind, n, seed, task=task, **(parameters or {}))
    return Dataset(made, scene_classes(kind, task)).write(out, format)
