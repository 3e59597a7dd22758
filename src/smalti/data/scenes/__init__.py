"""Made-up scenes with exact truth: streets, cells, defects, crop rows and moving objects, each found by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...classes import ClassSet
from ...errors import InputError
from ...sample import Sample
from ...segmenter import load_class
from .scene import DEFAULT_SPLITS, SceneKind, Task

SCENES: dict[str, str] = {
    "street": "smalti.data.scenes.street:Street",
    "cells": "smalti.data.scenes.cells:Cells",
    "defects": "smalti.data.scenes.defects:Defects",
    "crop-rows": "smalti.data.scenes.crops:CropRows",
    "moving": "smalti.data.scenes.moving:Moving",
    "volume": "smalti.data.scenes.volume:Volume",
}
"""Name of each kind of scene to the ``module:Class`` it is loaded from on first use."""


def scene_kind(kind: str, **parameters: Any) -> SceneKind:
    """A kind of scene by name with these parameters; the rest have their defaults.

    Raises ``UnknownName`` for a kind or parameter nobody knows and ``InputError`` for a value out of bounds.
    """
    return load_class("kind of scene", kind, SCENES).make(parameters)


def scene_classes(kind: str, task: Task = "panoptic") -> ClassSet:
    """The classes that the truth of ``kind`` uses: for ``instance`` its things alone."""
    return scene_kind(kind).classes_of(task)


def make_scene(
    kind: str,
    index: int,
    seed: int = 0,
    *,
    task: Task = "panoptic",
    splits: Sequence[float] = DEFAULT_SPLITS,
    **parameters: Any,
) -> Sample:
    """Scene number ``index`` of the endless series that ``seed`` starts, drawn when image or truth is asked for.

    The same kind, seed, index and parameters give the same scene everywhere, however many others are made.
    ``task`` is what the truth says: ``panoptic`` all segments, ``semantic`` one per class, ``instance`` the things
    alone. ``splits`` are the shares of train, val and test; of a video whole clips go into one of them.

    >>> sample = make_scene("cells", 7, seed=1, size_hw=(64, 96))
    >>> sample.name, sample.split, sample.image.shape == sample.truth.shape
    ('cells-00007', 'train', True)
    """
    return scene_kind(kind, **parameters).sample(index, seed, task=task, splits=splits)


def scenes(
    kind: str,
    n: int,
    seed: int = 0,
    *,
    task: Task = "panoptic",
    splits: Sequence[float] = DEFAULT_SPLITS,
    **parameters: Any,
) -> list[Sample]:
    """The first ``n`` scenes of a series; see ``make_scene``. Nothing is drawn yet."""
    if n < 1:
        raise InputError(f"n must be 1 or more scenes, got {n}")
    series = scene_kind(kind, **parameters)
    return [series.sample(index, seed, task=task, splits=splits) for index in range(n)]
