"""The forest of smalti as the table has it, and the same with scikit-learn's trees in place of ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np
from forest_peers import Fitted
from forest_sets import QualitySet

from smalti.data.dataset import Dataset
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.pixel.cascade import Cascade
from smalti.pixel.features import Window
from smalti.pixel.forest import FittedForest, Forest
from smalti.pixel.material import Material
from smalti.pixel.sampling import counted, draw
from smalti.pixel.training import MOST_OF_ONE


def forest(wanted: QualitySet, train: Dataset, pixels: int, seed: int) -> Fitted:
    """The forest with its defaults, but for the number of pixels; for lines, tuned for lines."""
    return _fitted(Forest(pixels=pixels, seed=seed, tuned_by=_tuned_by(wanted)), train)


def one_forest(wanted: QualitySet, train: Dataset, pixels: int, seed: int) -> Fitted:
    """One forest alone: no second one that sees what the first one said, and no pixels chosen by its errors."""
    return _fitted(Forest(pixels=pixels, seed=seed, tuned_by=_tuned_by(wanted), context_px=(), hard=0), train)


def _tuned_by(wanted: QualitySet) -> Literal["iou", "line_f1"]:
    return "line_f1" if wanted.finds == "lines" else "iou"


def _fitted(settings: Forest, train: Dataset) -> Fitted:
    begun = perf_counter()
    fitted = settings.fit(train, classes=train.classes)
    return Fitted(fitted.predict, perf_counter() - begun, int(fitted.report["pixels"]))


@dataclass(frozen=True, eq=False)
class SklearnTrees:
    """What a fitted forest asks of its ``Cascade``, answered by scikit-learn from the same features."""

    cascade: Cascade
    forest: Any

    @property
    def channels(self) -> tuple[str, ...]:
        return self.cascade.channels

    def taken(self, image: Image) -> Image:
        return self.cascade.taken(image)

    def reach(self, geometry: Geometry) -> tuple[int, ...]:
        return self.cascade.reach(geometry)

    def probabilities(self, image: Image, window: Window | None = None) -> np.ndarray:
        rows = self.cascade.bank.compute(image, self.cascade.wanted, window).reshape(
            len(self.cascade.wanted), -1
        )
        found = np.zeros((image.pixels[..., 0].size, self.cascade.trees.kinds), np.float32)
        found[:, self.forest.classes_] = self.forest.predict_proba(np.ascontiguousarray(rows.T))
        return found.T.reshape(-1, *image.shape)


def same_forest(wanted: QualitySet, train: Dataset, pixels: int, seed: int) -> Fitted:
    """``one_forest`` with the trees of scikit-learn: as many, as deep, with as large leaves.

    Features, pixels and their weights, and what becomes of probabilities are ours; what was tuned for that
    (calibration, factors, seeds of objects) is what our own trees were tuned to. The seconds to fit are those of
    scikit-learn: features, pixels, trees.
    """
    from sklearn.ensemble import RandomForestClassifier

    settings = Forest(pixels=pixels, seed=seed, tuned_by=_tuned_by(wanted), context_px=(), hard=0)
    ours = settings.fit(train, classes=train.classes)
    begun = perf_counter()
    chosen = settings.chosen(strokes=False, objects=ours.task != "semantic", few=False)
    rows, known, weights = sampled_rows(ours, train, chosen.balance)
    forest = RandomForestClassifier(
        n_estimators=settings.trees,
        min_samples_leaf=chosen.min_leaf,
        max_depth=settings.max_depth,
        n_jobs=-1,
        random_state=seed,
    ).fit(rows, known, weights)
    seconds = perf_counter() - begun
    theirs = replace(ours, cascade=SklearnTrees(ours.cascade, forest))  # type: ignore[arg-type]
    return Fitted(theirs.predict, seconds, len(known))


def sampled_rows(
    ours: FittedForest, train: Dataset, balance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, F), targets (N,) and weights (N,) of the pixels that a forest without a second look learned from."""
    settings, cascade, targets = ours.settings, ours.cascade, ours.targets
    material = Material(settings, list(train), train.classes)
    count = min(MOST_OF_ONE, settings.pixels // len(material.parts))
    rows, known, weights = [], [], []
    for number in range(len(material.parts)):
        part = material.load(number, cascade.reach)
        generator = np.random.default_rng([settings.seed, 0, number])
        places, own = draw(part.targets, count, len(targets), generator)
        features = cascade.bank.compute(part.image, cascade.wanted, part.window)
        rows.append(features.reshape(len(features), -1)[:, places].T)
        known.append(part.targets.reshape(-1)[places])
        weights.append(own)
    told = np.concatenate(known)
    return (
        np.concatenate(rows),
        told,
        counted(settings, targets.names, told, np.concatenate(weights), balance),
    )
