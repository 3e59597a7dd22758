"""Which metrics a task is scored by, found by name and loaded when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Literal, get_args

from ..classes import ClassSet
from ..errors import InputError, unknown_name
from ..metrics.metric import Metric

Task = Literal["semantic", "instance", "panoptic", "regions", "thin", "video"]
TASKS: tuple[str, ...] = get_args(Task)

METRICS: dict[str, str] = {
    "average_precision": "smalti.metrics.average_precision:AveragePrecision",
    "boundaries": "smalti.metrics.boundary:Boundaries",
    "boundary_average_precision": "smalti.metrics.average_precision:BoundaryAveragePrecision",
    "calibration": "smalti.metrics.calibration:Calibration",
    "classes": "smalti.metrics.semantic:Classes",
    "cldice": "smalti.metrics.thin:ClDice",
    "clear_mot": "smalti.metrics.tracking:ClearMot",
    "davis": "smalti.metrics.video:Davis",
    "edges": "smalti.metrics.edges:Edges",
    "errors": "smalti.metrics.error_types:ErrorTypes",
    "hota": "smalti.metrics.tracking:Hota",
    "identity": "smalti.metrics.tracking:Identity",
    "instances": "smalti.metrics.instance:Instances",
    "panoptic": "smalti.metrics.panoptic:Panoptic",
    "partition": "smalti.metrics.partition:Partition",
    "segmentation_tracking": "smalti.metrics.tubes:SegmentationTracking",
    "surface": "smalti.metrics.surface:Surfaces",
    "temporal_consistency": "smalti.metrics.video:TemporalConsistency",
    "tolerance_f1": "smalti.metrics.thin:ToleranceF1",
    "video_panoptic": "smalti.metrics.tubes:VideoPanoptic",
}
"""Name of each metric to the ``module:Class`` it is loaded from."""

OF_TASK: dict[str, tuple[str, ...]] = {
    "semantic": ("classes", "boundaries"),
    "instance": ("instances", "average_precision", "panoptic", "calibration", "errors"),
    "panoptic": ("panoptic", "classes", "instances", "calibration", "errors"),
    "regions": ("partition",),
    "thin": ("cldice", "tolerance_f1", "classes"),
    "video": ("davis", "hota", "identity", "clear_mot", "video_panoptic", "temporal_consistency"),
}
"""Metrics of each task; the first one's headline is the number of the task."""


def metrics_for(
    task: Task, classes: ClassSet, names: Sequence[str] | None = None, tolerance: float | str = 2.0
) -> tuple[Metric, ...]:
    """The metrics called ``names``, or those of the task. Raises ``UnknownName``, and ``InputError`` for none."""
    chosen = OF_TASK[task] if names is None else tuple(dict.fromkeys(names))
    if not chosen:
        raise InputError(f"no metric is named; there are {', '.join(METRICS)}")
    return tuple(make_metric(name, classes, tolerance) for name in chosen)


def make_metric(name: str, classes: ClassSet, tolerance: float | str = 2.0) -> Metric:
    """One metric by name, for these classes. Raises ``UnknownName``."""
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    module, _, kind = METRICS[name].partition(":")
    found: Callable[..., Metric] = getattr(import_module(module), kind)
    given = {"classes": classes, "tolerance": tolerance}
    return found(**{key: value for key, value in given.items() if key in _parameters(found)})


def takes_tolerance(metric: Metric) -> bool:
    """Whether the scores of a metric depend on the tolerance."""
    return "tolerance" in _parameters(type(metric))


def _parameters(kind: Callable[..., Metric]) -> set[str]:
    from inspect import signature

    return set(signature(kind).parameters)
