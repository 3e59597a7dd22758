"""What is settled after training, on images not learned from: how planes are decoded, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
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
from ..postprocess.tuning import BORDER_GRID, CENTER_GRID, tune_instances
from ..runtime.fitted import FittedNetwork
from ..sample import Sample
from ..segmentation import Segmentation
from .validation import evenly

MOST_TUNED = 60
"""Images that decoding is tuned on, evenly chosen."""
LEAST_TUNED = 6
"""As many as that are, however little time there is."""
PIXELS = 200_000
"""Pixels of all of them that the factors of classes are tuned on."""
LINE_FACTORS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""What the classes of thin lines are tried with."""


@dataclass(frozen=True, eq=False)
class Unseen:
    """A sample and the model that has not learned from it, which is to judge it."""

    sample: Sample
    judge: FittedNetwork

    def truth(self) -> Segmentation:
        """The truth in the classes of the model."""
        return self.sample.truth.replace(classes=self.judge.classes)


def tuned(
    model: FittedNetwork, unseen: Sequence[Unseen], metric: Metric, seconds: float | None = None
) -> FittedNetwork:
    """The model with the decoding, or the factors of its classes, that suit images it has not learned from best.

    Of many images ``MOST_TUNED`` are looked at, fewer where ``seconds`` are too short for the search.
    """
    chosen = [unseen[at] for at in evenly(len(unseen), MOST_TUNED)]
    if model.task == "semantic":
        chosen = _in_time(chosen, seconds, lambda each: each.judge.predict_scores(each.sample.image))
        if metric.name == "tolerance_f1":
            return _for_lines(model, chosen, metric)
        return _for_classes(model, chosen)
    return _for_objects(model, chosen, seconds)


def _in_time(chosen: list[Unseen], seconds: float | None, work: Any, times: float = 1.0) -> list[Unseen]:
    """As many of them as ``work``, done so many ``times`` on each, has time for."""
    if seconds is None:
        return chosen
    work(chosen[0])  # the first time says nothing: kernels are compiled, memory is asked for
    start = perf_counter()
    work(chosen[0])
    each = times * (perf_counter() - start)
    most = max(LEAST_TUNED, int(seconds / max(each, 1e-6)))
    return [chosen[at] for at in evenly(len(chosen), most)]


def _for_objects(model: FittedNetwork, chosen: list[Unseen], seconds: float | None) -> FittedNetwork:
    """The decoding of the most objects found."""
    centers = model.planes.centers
    way: type[Any] = CenterDecoding if centers else BorderDecoding
    start = model.decoding or way()

    def undecided(each: Unseen) -> tuple[Any, np.ndarray]:
        planes = each.judge.predict_planes(each.sample.image)
        return undecided_objects(
            planes, model.planes, model.task, model.classes, way, each.sample.truth.geometry
        )

    first, class_ids = undecided(chosen[0])
    if not len(class_ids):
        return model
    truth = chosen[0].truth()
    tries = 1.5 * sum(len(values) for _, values in (CENTER_GRID if centers else BORDER_GRID))

    def decode(each: Unseen) -> None:
        objects_right(truth, first.objects(class_ids, model.classes, start))

    chosen = _in_time(chosen, seconds, decode, tries)
    decoding = tune_instances(
        [each.truth() for each in chosen],
        [first if each is chosen[0] else undecided(each)[0] for each in chosen],
        class_ids,
        model.classes,
        objects_right,
        start,
    )
    return replace(model, decoding=decoding)


def _for_classes(model: FittedNetwork, chosen: Sequence[Unseen]) -> FittedNetwork:
    """The factors of the highest mean IoU over pixels drawn from all images."""
    rng = np.random.default_rng(0)
    most = max(1, PIXELS // len(chosen))
    probabilities, targets = [], []
    for each in chosen:
        known = model.targets.map(each.truth()).reshape(-1)
        places = np.flatnonzero(known >= 0)
        if len(places) > most:
            places = rng.choice(places, most, replace=False)
        planes = each.judge.predict_scores(each.sample.image).reshape(len(model.targets), -1)
        probabilities.append(planes[:, places].T.astype(np.float64))
        targets.append(known[places].astype(np.int64))
    flat = np.concatenate(targets)
    if not len(flat):
        return model
    return replace(model, factors=decision_weights(np.concatenate(probabilities), flat, np.ones(len(flat))))


def _for_lines(model: FittedNetwork, chosen: Sequence[Unseen], metric: Metric) -> FittedNetwork:
    """The factor of all classes beside background with the highest score of the metric."""
    planes = [each.judge.predict_planes(each.sample.image) for each in chosen]
    truths = [each.truth() for each in chosen]
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


def scored(unseen: Sequence[Unseen], metric: Metric, most: int | None = None) -> dict[str, Any]:
    """The headline of the metric on the samples with its 95 % interval over images, or groups of them.

    Each is judged by its own model. It is of the images that decoding was tuned on, and so a little too good. Of many
    samples ``most`` are looked at. An end that is not known, as of a single image, is None.
    """
    chosen = [unseen[at] for at in evenly(len(unseen), most or len(unseen))]
    kept = [metric.keep(Pair(each.truth(), each.judge.predict(each.sample.image))) for each in chosen]
    groups = [each.sample.group for each in chosen]
    grouped = groups if all(group is not None for group in groups) else None
    found = interval(metric, kept, groups=grouped)[metric.headline]
    ends = {"value": found.value, "low": found.low, "high": found.high}
    numbers = {name: float(end) if np.isfinite(end) else None for name, end in ends.items()}
    return {"metric": metric.headline, **numbers, "images": len(chosen)}
