"""One pass over truth and predictions: of each image a few numbers are kept, and all scores are made of them.

Memory grows with these statistics and not with the images: nothing of a picture is kept.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..classes import ClassSet
from ..data.agreement import kind_of
from ..data.dataset import Dataset
from ..errors import InputError, SmaltiError, unknown_name
from ..metrics.clip import ClipMetric
from ..metrics.error_types import SegmentStates, segment_states
from ..metrics.metric import Additive, Metric
from ..metrics.pair import Pair
from ..sample import Sample
from ..segmentation import Segmentation
from ..table import Table
from .measures import TASKS, Task, metrics_for
from .predictions import Alignment, Predictions, align_classes, find_predictions

MEASURED = ("segments", "median_area_px", "pixels", "brightness", "contrast")
"""Columns of images that are measured; the last two only if asked for."""
OF_SEGMENTS = ("object size", "at image border", "class")
"""Columns of segments, where segments are objects."""
NEED_SCORES = ("average_precision", "boundary_average_precision", "calibration")
MOST_OF_COCO = 100
LOOKED_AT = 20
"""Images looked at to tell which task the truth is for."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was kept of each of n images, in the order of the truth.

    ``kept[i][j]`` is what ``metrics[i]`` keeps of image ``names[j]``; ``columns`` (n,) are what slices are made by;
    ``confusion`` (K + 1, K + 1) pixels of all images, row = class in truth, 0 = none; ``objects`` a row for each
    segment of truth and each predicted one. ``tolerance`` is that of the metrics that have one; ``seconds`` says where
    the time went.
    """

    task: Task
    classes: ClassSet
    names: tuple[str, ...]
    groups: tuple[str | None, ...]
    columns: Mapping[str, np.ndarray]
    metrics: tuple[Metric, ...]
    kept: tuple[Sequence[Any], ...]
    confusion: np.ndarray
    objects: Table
    tolerance: float | str = 2.0
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    truth: Dataset | None = None
    predictions: Predictions | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def unit(self) -> str:
        """What the names are of: ``image``, or ``clip`` where frames were scored together."""
        return "clip" if any(isinstance(metric, ClipMetric) for metric in self.metrics) else "image"

    def metric(self, name: str) -> tuple[Metric, Sequence[Any]]:
        """A metric by name, with what it kept. Raises ``InputError``."""
        for metric, kept in zip(self.metrics, self.kept, strict=True):
            if metric.name == name:
                return metric, kept
        raise InputError(
            f"no metric {name} was measured; there are {', '.join(m.name for m in self.metrics)}"
        )

    @property
    def clusters(self) -> np.ndarray | None:
        """Number of each image's group (n,), an image without one being its own; None where no image has any."""
        if all(group is None for group in self.groups):
            return None
        both = zip(self.names, self.groups, strict=True)
        keys = [("image", name) if group is None else ("group", group) for name, group in both]
        number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        return np.array([number[key] for key in keys])

    def pair(self, name: str) -> tuple[Sample, Pair]:
        """The sample of this name, and its truth and prediction read once more."""
        assert self.truth is not None and self.predictions is not None
        sample = self.truth[name]
        predicted = self.predictions.loads.get(name)
        truth = sample.truth
        found = _nothing(truth) if predicted is None else predicted()
        align = align_classes(truth.classes, self.predictions.classes)
        return sample, Pair(truth.replace(classes=self.classes), align(found).replace(void=None))


def evaluate(
    truth: Dataset,
    predicted: str | Path | Dataset | Mapping[str, Segmentation] | Predictions,
    task: Task | None = None,
    *,
    metrics: Sequence[str] | None = None,
    tolerance: float | str = 2.0,
    by: Sequence[str] = (),
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Score predictions against the first truth of every annotated sample.

    ``predicted`` is anything ``find_predictions`` takes. An image without a prediction counts as one in which nothing
    was found, and void in a prediction as nothing predicted there: only truth may leave pixels out. ``task`` is found
    out from the truth if not given: ``semantic``, ``instance``, ``panoptic`` or ``regions``; ``thin`` and ``video``
    must be asked for. ``metrics`` are names of metrics in place of the task's, ``tolerance`` a distance in pixels or a
    length such as ``"1.5um"`` for those that have one. ``by`` names columns for slices that cost reading the images,
    ``brightness`` and ``contrast``. Raises ``InputError`` where nothing can be compared, naming the image, and as
    reading does.
    """
    found = predicted if isinstance(predicted, Predictions) else find_predictions(truth, predicted)
    samples = [sample for sample in truth if sample.annotated]
    _check_columns(truth, by)
    align = align_classes(truth.classes, found.classes)
    task = task_of(truth) if task is None else task
    if task not in TASKS:
        raise InputError(f"task is one of {', '.join(TASKS)}, got {task!r}")
    chosen = metrics_for(task, align.classes, metrics, tolerance)
    one = _OneUnit(align, found, chosen, tuple(by))
    units = (
        _clips(samples)
        if any(isinstance(each, ClipMetric) for each in chosen)
        else [(each,) for each in samples]
    )
    jobs = min(4, os.cpu_count() or 1) if jobs is None else jobs
    looked: list[_Looked] = []
    start = perf_counter()
    for each in _in_order(one, units, jobs):
        looked.append(each)
        progress(len(looked), len(units))
    clips = len(units) < len(samples)
    objects = _objects(looked)
    return Evaluation(
        task,
        align.classes,
        tuple(str(unit[0].group) if clips else unit[0].name for unit in units),
        tuple(None if clips else unit[0].group for unit in units),
        _columns([unit[0] for unit in units], looked),
        chosen,
        tuple([each.kept[index] for each in looked] for index in range(len(chosen))),
        sum((each.confusion for each in looked), np.zeros((len(align.classes) + 1,) * 2, np.int64)),
        objects,
        tolerance,
        found.missing,
        (
            *(f"truth: {note}" for note in truth.notes),
            *(f"predictions: {note}" for note in found.notes),
            *align.notes,
            *_remarks(truth, found, samples, objects, chosen, sum(each.several for each in looked)),
        ),
        {
            "reading": sum(each.reading for each in looked),
            "scoring": sum(each.scoring for each in looked),
            "in all": perf_counter() - start,
        },
        truth,
        found,
    )


def _check_columns(truth: Dataset, by: Sequence[str]) -> None:
    """Raise ``UnknownName`` for a column that neither the samples nor an evaluation have."""
    known = {key for sample in truth for key in sample.metadata} | {*MEASURED, *OF_SEGMENTS, "split", "group"}
    for name in by:
        if name not in known:
            raise unknown_name("column", name, sorted(known))


def task_of(truth: Dataset) -> Task:
    """What the truth of the first annotated images is for."""
    seen = (sample.truth for sample in truth if sample.annotated)
    truths = list(islice(seen, LOOKED_AT))
    kind = kind_of(truths)
    if kind == "partition":
        return "regions"
    if kind == "semantic":
        return "semantic"
    return (
        "panoptic"
        if any(not each.classes.of(i).thing for each in truths for i in each.class_ids)
        else "instance"
    )


@dataclass(frozen=True)
class _Looked:
    """What is kept of one image or clip."""

    kept: tuple[Any, ...]
    confusion: np.ndarray
    states: tuple[tuple[SegmentStates, SegmentStates], ...]
    columns: Mapping[str, float]
    several: int  # images with more than one truth
    reading: float
    scoring: float


@dataclass(frozen=True)
class _OneUnit:
    """Reads and scores one image, or the frames of one clip."""

    align: Alignment
    predictions: Predictions
    metrics: tuple[Metric, ...]
    by: tuple[str, ...]

    def __call__(self, samples: Sequence[Sample]) -> _Looked:
        start = perf_counter()
        truths = [sample.truths for sample in samples]
        pairs = [self._pair(sample, given[0]) for sample, given in zip(samples, truths, strict=True)]
        columns = _image_columns(samples[0], self.by)
        read = perf_counter()
        try:
            states = tuple(segment_states(pair) for pair in pairs)
            kept = tuple(_kept(metric, pairs) for metric in self.metrics)
            confusion = sum(pair.class_pixels for pair in pairs)
        except SmaltiError as error:
            raise type(error)(f"{samples[0].name}: {error}") from error
        areas = np.concatenate([truth.areas_px[truth.areas_px > 0] for truth, _ in states])
        columns |= {
            "segments": float(len(areas)),
            "median_area_px": float(np.median(areas)) if len(areas) else float("nan"),
            "pixels": float(math.prod(pairs[0].truth.shape)),
        }
        several = sum(len(given) > 1 for given in truths)
        return _Looked(
            kept, np.asarray(confusion), states, columns, several, read - start, perf_counter() - read
        )

    def _pair(self, sample: Sample, truth: Segmentation) -> Pair:
        load = self.predictions.loads.get(sample.name)
        found = _nothing(truth) if load is None else load()
        if found.shape != truth.shape:
            raise InputError(
                f"{sample.name}: the prediction is {found.shape} and the truth {truth.shape}; predict at the size "
                "of the truth"
            )
        try:
            return Pair(truth.replace(classes=self.align.classes), self.align(found).replace(void=None))
        except InputError as error:
            raise InputError(f"{sample.name}: {error}") from error


def _kept(metric: Metric, pairs: Sequence[Pair]) -> Any:
    if isinstance(metric, ClipMetric):
        return metric.keep_clip(pairs)
    if len(pairs) == 1:
        return metric.keep(pairs[0])
    if not isinstance(metric, Additive):
        raise InputError(
            f"{metric.name} is of images and cannot be summed over the frames of a clip; leave it out"
        )
    return np.sum([metric.keep(pair) for pair in pairs], axis=0)


def _clips(samples: Sequence[Sample]) -> list[tuple[Sample, ...]]:
    """The frames of each clip, which is a group of samples; those without a group are one clip."""
    clips: dict[str | None, list[Sample]] = {}
    for sample in samples:
        clips.setdefault(sample.group, []).append(sample)
    return [tuple(frames) for frames in clips.values()]


def _nothing(truth: Segmentation) -> Segmentation:
    """A prediction without a segment."""
    return Segmentation.from_masks([], shape=truth.shape, classes=truth.classes, geometry=truth.geometry)


def _in_order(
    one: Callable[[Sequence[Sample]], _Looked], units: Sequence[Sequence[Sample]], jobs: int
) -> Iterator[_Looked]:
    """Each unit looked at, in order, ``jobs`` at a time and never more than a few ahead."""
    if jobs == 1:
        yield from map(one, units)
        return
    with ThreadPoolExecutor(jobs) as pool:
        waiting = []
        for unit in units:
            waiting.append(pool.submit(one, unit))
            if len(waiting) > 2 * jobs:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _image_columns(sample: Sample, by: Sequence[str]) -> dict[str, float]:
    """Columns that need the image."""
    if not {"brightness", "contrast"} & set(by) or sample.load_image is None:
        return {}
    pixels = sample.image.pixels.astype(np.float64)
    return {"brightness": float(pixels.mean()), "contrast": float(pixels.std())}


def _columns(samples: Sequence[Sample], looked: Sequence[_Looked]) -> dict[str, np.ndarray]:
    """What slices are made by: what the samples say, and what was measured."""
    columns: dict[str, np.ndarray] = {}
    for key in ("split", "group"):
        values = [getattr(sample, key) for sample in samples]
        if any(value is not None for value in values):
            columns[key] = np.array(["" if value is None else value for value in values])
    for key in dict.fromkeys(name for sample in samples for name in sample.metadata):
        given = [sample.metadata.get(key) for sample in samples]
        if all(value is None or isinstance(value, int | float) for value in given):
            columns[key] = np.array([np.nan if value is None else float(value) for value in given])
        else:
            columns[key] = np.array(["" if value is None else str(value) for value in given])
    for key in dict.fromkeys(name for each in looked for name in each.columns):
        columns.setdefault(key, np.array([each.columns.get(key, np.nan) for each in looked]))
    return columns


def _objects(looked: Sequence[_Looked]) -> Table:
    """A row for each segment of truth and each predicted one, with what became of it."""
    parts = [
        (index, side, states)
        for index, each in enumerate(looked)
        for both in each.states
        for side, states in enumerate(both)
    ]

    def joined(columns: list[np.ndarray], dtype: Any) -> np.ndarray:
        return np.concatenate(columns).astype(dtype) if columns else np.zeros(0, dtype)

    return Table(
        {
            "image": joined([np.full(len(states), index) for index, _, states in parts], np.int32),
            "predicted": joined([np.full(len(states), side) for _, side, states in parts], bool),
            "class_id": joined([states.class_ids for _, _, states in parts], np.int32),
            "area_px": joined([states.areas_px for _, _, states in parts], np.int64),
            "at_border": joined([states.at_border for _, _, states in parts], bool),
            "score": joined([states.scores for _, _, states in parts], np.float32),
            "iou": joined([states.iou for _, _, states in parts], np.float32),
            "state": joined([states.state for _, _, states in parts], np.int8),
        }
    )


def _remarks(
    truth: Dataset,
    found: Predictions,
    samples: Sequence[Sample],
    objects: Table,
    metrics: Sequence[Metric],
    several: int,
) -> list[str]:
    """What was left out or counted as nothing, and scores that rest on nothing."""

    def named(names: Sequence[str]) -> str:
        return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")

    remarks = []
    if found.missing:
        remarks.append(
            f"{len(found.missing)} of {len(samples)} images have no prediction and count as images in which nothing "
            f"was found: {named(found.missing)}"
        )
    if found.unused:
        remarks.append(f"{len(found.unused)} predictions belong to no annotated image: {named(found.unused)}")
    if len(samples) < len(truth):
        remarks.append(f"{len(truth) - len(samples)} samples are not annotated and left out")
    empty = len(samples) - len(np.unique(objects["image"][objects["predicted"]]))
    if empty > len(found.missing) and not any(isinstance(each, ClipMetric) for each in metrics):
        remarks.append(f"in {empty - len(found.missing)} images nothing was predicted")
    if several:
        remarks.append(f"{several} images have several truths; the first of each is scored against")
    if any(isinstance(each, ClipMetric) for each in metrics) and all(each.group is None for each in samples):
        remarks.append("the samples have no groups, so all of them are frames of one clip")
    predicted = objects["image"][objects["predicted"]]
    full = int((np.bincount(predicted, minlength=1) > MOST_OF_COCO).sum())
    if full and any(each.name.endswith("average_precision") for each in metrics):
        remarks.append(
            f"{full} images have more than {MOST_OF_COCO} predicted segments, and COCO's AP takes no more"
        )
    scores = objects["score"][objects["predicted"]]
    ranked = [each.name for each in metrics if each.name in NEED_SCORES]
    if ranked and len(scores) and (scores == 1).all():
        remarks.append(
            f"the predictions have no scores (all are 1), on which {' and '.join(ranked).replace('_', ' ')} rest"
        )
    return remarks
