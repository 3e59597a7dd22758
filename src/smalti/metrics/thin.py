"""Scores of thin structures (vessels, roads, cracks): are they connected the same way, and in the right place.

A vessel two pixels wide that is drawn one pixel beside has an IoU of a third and is right for every purpose. clDice
asks whether the centre line of each side runs inside the other; the tolerance F1 whether pixels of each side have one
of the other nearby.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import unknown_name
from ..segmentation import Segmentation
from .boundary import Reach, Tolerance
from .means import mean_over_classes, ratio
from .metric import Additive, Score, Scores
from .pair import Pair
from .per_class import ImageMeans, class_masks, with_classes
from .surface_elements import window

Of = Literal["pixels", "skeleton"]


@dataclass(frozen=True, eq=False)
class CenterLines:
    """Pixels of the centre lines of each class (K,), and how many of them lie inside the other side's mask.

    Counts of several images may be added (``+``).
    """

    truth: np.ndarray
    truth_inside: np.ndarray
    predicted: np.ndarray
    predicted_inside: np.ndarray

    @property
    def topology_precision(self) -> np.ndarray:
        """Share of the predicted centre line inside truth, (K,); NaN for a class that is not predicted."""
        return ratio(self.predicted_inside, self.predicted)

    @property
    def topology_sensitivity(self) -> np.ndarray:
        """Share of truth's centre line inside the prediction, (K,); NaN for a class that is not in truth."""
        return ratio(self.truth_inside, self.truth)

    @property
    def cl_dice(self) -> np.ndarray:
        """2PS / (P + S) of precision and sensitivity, (K,); NaN for a class on neither side, 0 on one side only."""
        return _harmonic(self.topology_precision, self.topology_sensitivity)

    def __add__(self, other: CenterLines) -> CenterLines:
        return CenterLines(
            self.truth + other.truth,
            self.truth_inside + other.truth_inside,
            self.predicted + other.predicted,
            self.predicted_inside + other.predicted_inside,
        )


def center_lines(truth: Segmentation, predicted: Segmentation) -> CenterLines:
    """What clDice is made of (Shit et al., clDice, CVPR 2021), in images and volumes.

    The centre line of a class is the skeleton of its mask as scikit-image thins it (Zhang and Suen 1984 in images, Lee
    et al. 1994 in volumes); the paper leaves the choice open. The grid is taken as it is, whatever the spacing. Pixels
    that are void on either side belong to neither. Raises ``InputError`` when shapes or classes differ.
    """
    return _center_lines(Pair(truth, predicted))


def cl_dice(truth: Segmentation, predicted: Segmentation) -> np.ndarray:
    """The clDice of each class, (K,), 0 to 1: harmonic mean of topology precision and sensitivity.

    NaN for a class on neither side, 0 for one on one side only; otherwise as ``center_lines``.
    """
    return center_lines(truth, predicted).cl_dice


@dataclass(frozen=True, eq=False)
class NearPixels:
    """Pixels of each class (K,) on both sides, and how many have one of the other side nearby.

    Counts of several images may be added (``+``).
    """

    truth: np.ndarray
    truth_near: np.ndarray
    predicted: np.ndarray
    predicted_near: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """Share of predicted pixels near truth (correctness), (K,); NaN for a class that is not predicted."""
        return ratio(self.predicted_near, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """Share of truth's pixels near a predicted one (completeness), (K,); NaN for a class not in truth."""
        return ratio(self.truth_near, self.truth)

    @property
    def f1(self) -> np.ndarray:
        """2PR / (P + R), (K,); NaN for a class on neither side, 0 for one on one side only."""
        return _harmonic(self.precision, self.recall)

    def __add__(self, other: NearPixels) -> NearPixels:
        return NearPixels(
            self.truth + other.truth,
            self.truth_near + other.truth_near,
            self.predicted + other.predicted,
            self.predicted_near + other.predicted_near,
        )


def near_pixels(
    truth: Segmentation, predicted: Segmentation, tolerance: Tolerance = 2.0, *, of: Of = "pixels"
) -> NearPixels:
    """Precision and recall of pixels within a tolerance, as used for roads and cracks.

    A predicted pixel is right with a pixel of truth within ``tolerance`` (Euclidean, inclusive; pixels, or a length
    such as ``"3m"``), one of truth is found with a predicted one within it: completeness and correctness of Heipke et
    al. 1997, relaxed precision and recall of Mnih and Hinton (ECCV 2010). ``of="skeleton"`` compares the centre lines
    of both sides, so that width counts for nothing and wide roads no more than narrow ones. Pixels that are void on
    either side belong to neither. Raises ``InputError`` when shapes or classes differ, or where a length needs a
    spacing, and ``UnknownName`` for ``of``.
    """
    return _near_pixels(Pair(truth, predicted), tolerance, of)


def tolerance_f1(
    truth: Segmentation, predicted: Segmentation, tolerance: Tolerance = 2.0, *, of: Of = "pixels"
) -> np.ndarray:
    """F1 of pixels within a tolerance of each class, (K,), 0 to 1; see ``near_pixels``.

    NaN for a class on neither side, 0 for one on one side only.
    """
    return near_pixels(truth, predicted, tolerance, of=of).f1


@dataclass(frozen=True)
class ClDice(ImageMeans):
    """The clDice with topology precision and sensitivity, as the mean over images, as in the paper.

    An image counts for precision where the class is predicted and for sensitivity where it is in truth.
    """

    name: ClassVar[str] = "cldice"
    values: ClassVar[tuple[str, ...]] = ("cldice", "topology_precision", "topology_sensitivity")
    scores: ClassVar[tuple[Score, ...]] = with_classes(
        Score("cldice", "clDice"),
        Score("topology_precision", "Topology precision"),
        Score("topology_sensitivity", "Topology sensitivity"),
    )
    headline: ClassVar[str] = "cldice"

    def keep(self, pair: Pair) -> np.ndarray:
        lines = _center_lines(pair)
        return np.stack([lines.cl_dice, lines.topology_precision, lines.topology_sensitivity], axis=1)


@dataclass(frozen=True)
class ToleranceF1(Additive):
    """F1, precision and recall within a tolerance, of the pixels of all images together."""

    tolerance: Tolerance = 2.0
    of: Of = "pixels"

    name: ClassVar[str] = "tolerance_f1"
    scores: ClassVar[tuple[Score, ...]] = with_classes(
        Score("tolerance_f1", "F1 within a tolerance"),
        Score("tolerance_precision", "Precision within a tolerance"),
        Score("tolerance_recall", "Recall within a tolerance"),
    )
    headline: ClassVar[str] = "tolerance_f1"

    def __post_init__(self) -> None:
        _check_of(self.of)

    def keep(self, pair: Pair) -> np.ndarray:
        found = _near_pixels(pair, self.tolerance, self.of)
        return np.concatenate([found.truth, found.truth_near, found.predicted, found.predicted_near]).astype(
            float
        )

    def of_totals(self, totals: np.ndarray) -> Scores:
        found = NearPixels(*np.split(totals, 4, axis=1))
        scores: dict[str, np.ndarray] = {}
        for name, values in (
            ("tolerance_f1", found.f1),
            ("tolerance_precision", found.precision),
            ("tolerance_recall", found.recall),
        ):
            scores[name] = mean_over_classes(values)
            scores[f"{name}_of_class"] = values
        return scores


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Centre line of a mask (*S,) bool, (*S,) bool, one pixel wide and connected as the mask is."""
    from skimage.morphology import skeletonize

    line = np.zeros(mask.shape, bool)
    box = window(mask)
    if mask[box].size:
        line[box] = skeletonize(mask[box]) > 0
    return line


def _center_lines(pair: Pair) -> CenterLines:
    counts = np.zeros((4, len(pair.truth.classes)), np.int64)
    for place, truth, predicted in _judged_masks(pair):
        line, other = skeleton(truth), skeleton(predicted)
        counts[:, place] = (
            np.count_nonzero(line),
            np.count_nonzero(line & predicted),
            np.count_nonzero(other),
            np.count_nonzero(other & truth),
        )
    return CenterLines(*counts)


def _near_pixels(pair: Pair, tolerance: Tolerance, of: Of) -> NearPixels:
    _check_of(of)
    geometry = pair.truth.geometry if pair.truth.geometry.known else pair.predicted.geometry
    reach = Reach.of(tolerance, geometry, pair.truth.ndim)
    counts = np.zeros((4, len(pair.truth.classes)), np.int64)
    for place, *masks in _judged_masks(pair):
        truth, predicted = (skeleton(mask) for mask in masks) if of == "skeleton" else masks
        counts[:, place] = (
            np.count_nonzero(truth),
            np.count_nonzero(truth & reach.near(predicted)),
            np.count_nonzero(predicted),
            np.count_nonzero(predicted & reach.near(truth)),
        )
    return NearPixels(*counts)


def _judged_masks(pair: Pair) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    kept = True if pair.void is None else ~pair.void
    return ((place, truth & kept, predicted & kept) for place, truth, predicted in class_masks(pair))


def _check_of(of: str) -> None:
    if of not in ("pixels", "skeleton"):
        raise unknown_name("kind of pixels", of, ("pixels", "skeleton"))


def _harmonic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """2ab / (a + b); 0 where one of them does not exist or both are 0, NaN where neither exists."""
    a, b = np.nan_to_num(first), np.nan_to_num(second)
    scores = np.divide(2 * a * b, a + b, out=np.zeros(np.shape(a)), where=a + b > 0)
    scores[np.isnan(first) & np.isnan(second)] = np.nan
    return scores
