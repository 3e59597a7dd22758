"""What is settled after training, on images not learned from: how planes are decoded, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..metrics.interval import interval
from ..metrics.metric import Metric
from ..metrics.pair import Pair
from ..pixel.calibration import decision_weights
from ..pixel.tuning import objects_right
from ..postprocess.centers import CenterDecoding
from ..postprocess.decode import BorderDecoding
from ..postprocess.decoding import undecided_objects
from ..postprocess.tuning import tune_instances
from ..runtime.fitted import FittedNetwork
from ..sample import Sample
from ..segmentation import Segmentation

MOST_TUNED = 60
"""Images that decoding is tuned on, evenly chosen."""
PIXELS = 200_000
"""Pixels of all of them that the factors of classes are tuned on."""
LINE_FACTORS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""What the classes of thin lines are tried with."""


def tuned(model: FittedNetwork, samples: Sequence[Sample], metric: Metric) -> FittedNetwork:
    """The model with the decoding, or the factors of its classes, that suit images it has not learned from best."""
    chosen = [samples[at] for at in _evenly(len(samples), MOST_TUNED)]
    truths = [sample.truth.replace(classes=model.classes) for sample in chosen]
    if model.task == "semantic":
        if metric.name == "tolerance_f1":
            return _for_lines(model, chosen, truths, metric)
        return _for_classes(model, chosen, truths)
    way: type[Any] = CenterDecoding if model.planes.centers else BorderDecoding
    found = [
        undecided_objects(
            model.predict_planes(sample.image), model.planes, model.task, model.classes, way, truth.geometry
        )
        for sample, truth in zip(chosen, truths, strict=True)
    ]
    images: list[Any] = [image for image, _ in found]
    class_ids = found[0][1]
    if not len(class_ids):
        return model
    decoding = tune_instances(
        truths, images, class_ids, model.classes, objects_right, model.decoding or way()
    )
    return replace(model, decoding=decoding)


def _for_classes(
    model: FittedNetwork, samples: Sequence[Sample], truths: Sequence[Segmentation]
) -> FittedNetwork:
    """The factors of the highest mean IoU over pixels drawn from all images."""
    rng = np.random.default_rng(0)
    each = max(1, PIXELS // len(samples))
    probabilities, targets = [], []
    for sample, truth in zip(samples, truths, strict=True):
        known = model.targets.map(truth).reshape(-1)
        places = np.flatnonzero(known >= 0)
        if len(places) > each:
            places = rng.choice(places, each, replace=False)
        planes = model.predict_scores(sample.image).reshape(len(model.targets), -1)
        probabilities.append(planes[:, places].T.astype(np.float64))
        targets.append(known[places].astype(np.int64))
    flat = np.concatenate(targets)
    if not len(flat):
        return model
    return replace(model, factors=decision_weights(np.concatenate(probabilities), flat, np.ones(len(flat))))


def _for_lines(
    model: FittedNetwork, samples: Sequence[Sample], truths: Sequence[Segmentation], metric: Metric
) -> FittedNetwork:
    """The factor of all classes beside background with the highest score of the metric."""
    planes = [model.predict_planes(sample.image) for sample in samples]
    classes = np.array(model.targets.class_ids) > 0
    best, highest = model, -np.inf
    for factor in LINE_FACTORS:
        tried = replace(model, factors=np.where(classes, factor, 1.0))
        kept = [
            metric.keep(Pair(truth, tried.decode(each, truth.geometry)))
            for truth, each in zip(truths, planes, strict=True)
        ]
        score = float(np.nan_to_num(metric.score(kept, np.ones((1, len(kept))))[metric.headline][0]))
        if score > highest + 1e-9:
            best, highest = tried, score
    return best


def scored(model: FittedNetwork, samples: Sequence[Sample], metric: Metric) -> dict[str, Any]:
    """The headline of the metric on the samples with its 95 % interval over images, or groups of them.

    It is of the images that decoding was tuned on, and so a little too good.
    """
    kept = [
        metric.keep(Pair(sample.truth.replace(classes=model.classes), model.predict(sample.image)))
        for sample in samples
    ]
    groups = [sample.group for sample in samples]
    grouped = groups if all(group is not None for group in groups) else None
    found = interval(metric, kept, groups=grouped)[metric.headline]
    return {
        "metric": metric.headline,
        "value": float(found.value),
        "low": float(found.low),
        "high": float(found.high),
        "images": len(samples),
    }


def _evenly(count: int, most: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))
