"""Scores of classes: how well two segmentations agree on the class of every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..segmentation import Segmentation
from .means import mean_of_present, mean_over_classes, ratio
from .metric import Additive, Score, Scores
from .pair import Pair
from .pair import check_classes as check_classes  # asked for here as well
from .pair import class_numbers as class_numbers

Unclassed = Literal["counted", "averaged", "void"]
"""What the pixels are that belong to no segment.

``"counted"``: none is one more class to accuracy, kappa and Matthews, as it is to scikit-learn, but not to means over
classes. ``"averaged"``: it is one in those means too, as the background of PASCAL VOC. ``"void"``: pixels that have no
class in truth are not judged at all, as the unlabelled ones of Cityscapes.
"""


@dataclass(frozen=True, eq=False)
class ClassOverlap:
    """Pixels of each pair of classes, and the scores that follow from them.

    ``pixels`` (K + 1, K + 1) int64: row = class in truth, column = class in predicted, row and column 0 "no segment",
    then the classes of ``classes`` in order. Tables of several images may be added. Scores of one class (K,) are NaN
    where they do not exist; means leave those out, and are 1 where neither side has a class, as both say the same.
    """

    classes: ClassSet
    pixels: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class (Jaccard 1912), (K,); NaN for a class on neither side."""
        return self.scores()["iou"]

    @property
    def dice(self) -> np.ndarray:
        """2 |A and B| / (|A| + |B|) of each class (Dice 1945), (K,), which is the F1 of its pixels; NaN as for IoU."""
        return self.scores()["dice"]

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes on either side; 1 where neither side has any, as both say the same."""
        return mean_of_present(self.iou)

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the classes on either side; 1 where neither side has any."""
        return mean_of_present(self.dice)

    @property
    def accuracy(self) -> float:
        """Share of pixels with the same class or none on both sides; 1 where no pixel is judged."""
        total = int(self.pixels.sum())
        return float(np.trace(self.pixels)) / total if total else 1.0

    def scores(self, none: Unclassed = "counted") -> dict[str, np.ndarray]:
        """All scores of ``class_scores``, () or (K,), NaN for what does not exist."""
        pixels = self.pixels.astype(np.float64)
        if none == "void":
            pixels[0] = 0
        counts = np.diagonal(pixels), pixels.sum(axis=1), pixels.sum(axis=0)
        return class_scores(*counts, none)

    def __add__(self, other: ClassOverlap) -> ClassOverlap:
        if self.classes != other.classes:
            raise InputError(f"tables of one class set may be added, got {self.classes} and {other.classes}")
        return ClassOverlap(self.classes, self.pixels + other.pixels)


def class_overlap(truth: Segmentation, predicted: Segmentation) -> ClassOverlap:
    """The pixels of each pair of classes of two segmentations of one image.

    Pixels that are void on either side are not counted. Where segments overlap, a pixel has the class it has in
    ``Segmentation.semantic_map``. Raises ``InputError`` when shapes or classes differ.
    """
    return ClassOverlap(truth.classes, Pair(truth, predicted).class_pixels)


def class_scores(
    shared: np.ndarray, truth: np.ndarray, predicted: np.ndarray, none: Unclassed = "counted"
) -> dict[str, np.ndarray]:
    """Every score of classes, of pixels counted per class (..., K + 1): agreed, in truth, in predicted; 0 is none.

    With a, t, p the three counts of a class, T, P their sums and A the sum of a over all classes, none included:

    - ``iou`` a / (t + p - a), ``dice`` 2a / (t + p), ``precision`` a / p, ``recall`` a / t, each (..., K)
    - ``mean_iou``, ``mean_dice``, ``mean_precision``: their means over the classes that have one; ``mean_accuracy`` is
      the mean recall, ``weighted_iou`` the mean IoU weighted by t (Long, Shelhamer, Darrell, CVPR 2015)
    - ``accuracy`` A / T
    - ``kappa`` (A T - sum t p) / (T^2 - sum t p): agreement beyond chance (Cohen 1960)
    - ``mcc`` (A T - sum t p) / sqrt((T^2 - sum t^2) (T^2 - sum p^2)): the correlation of Matthews for many classes
      (Gorodkin, Computational Biology and Chemistry 2004)

    ``Unclassed`` says what ``none`` means; for ``"void"`` the counts are of pixels with a class in truth, and
    predicted none is a miss. Nothing against nothing: means over classes and kappa are NaN, accuracy 1 where a pixel
    is judged. Where all pixels are of one class on both sides, kappa and Matthews have nothing to tell from chance:
    NaN for kappa, 0 for Matthews, as scikit-learn has them; so is Matthews where one side alone knows one class.
    """
    check_unclassed(none)
    first = 0 if none == "averaged" else 1
    union = truth + predicted - shared
    of_class = {
        "iou": ratio(shared, union),
        "dice": ratio(2 * shared, truth + predicted),
        "precision": ratio(shared, predicted),
        "recall": ratio(shared, truth),
    }
    weighted = np.where(truth > 0, np.nan_to_num(of_class["iou"]) * truth, 0.0)[..., first:].sum(axis=-1)
    total, agreed = truth.sum(axis=-1), shared.sum(axis=-1)
    by_chance = (truth * predicted).sum(axis=-1)
    spreads = (total**2 - (counts**2).sum(axis=-1) for counts in (truth, predicted))
    spread = np.sqrt(np.prod([np.maximum(each, 0) for each in spreads], axis=0))
    correlation = np.where(total > 0, np.nan_to_num(ratio(agreed * total - by_chance, spread)), np.nan)
    means = {
        "mean_iou": mean_over_classes(of_class["iou"][..., first:]),
        "mean_dice": mean_over_classes(of_class["dice"][..., first:]),
        "mean_precision": mean_over_classes(of_class["precision"][..., first:]),
        "mean_accuracy": mean_over_classes(of_class["recall"][..., first:]),
        "weighted_iou": ratio(weighted, truth[..., first:].sum(axis=-1)),
        "accuracy": ratio(agreed, total),
        "kappa": ratio(agreed * total - by_chance, total**2 - by_chance),
        "mcc": correlation,
    }
    return {name: values[..., 1:] for name, values in of_class.items()} | means


def check_unclassed(none: str) -> None:
    """Raise ``InputError`` for a treatment of unclassed pixels that is none."""
    if none not in ("counted", "averaged", "void"):
        raise InputError(f"none must be 'counted', 'averaged' or 'void', got {none!r}")


@dataclass(frozen=True)
class Classes(Additive):
    """The scores of ``class_scores``. Kept of an image are its pixels per class: agreed, in truth and in predicted.

    ``none`` is what pixels without a class are; by default scores equal scikit-learn's of all judged pixels, 0
    standing for none, with means over the labels 1..K. Classes on neither side of any image are NaN and in no mean.
    """

    none: Unclassed = "counted"

    name: ClassVar[str] = "classes"
    headline: ClassVar[str] = "mean_iou"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("mean_iou", "mean IoU"),
        Score("mean_dice", "mean Dice"),
        Score("mean_precision", "mean precision"),
        Score("mean_accuracy", "mean accuracy"),
        Score("weighted_iou", "IoU weighted by frequency"),
        Score("accuracy", "pixel accuracy"),
        Score("kappa", "Cohen's kappa"),
        Score("mcc", "Matthews correlation"),
        Score("iou", "IoU", per_class=True),
        Score("dice", "Dice", per_class=True),
        Score("precision", "precision", per_class=True),
        Score("recall", "recall", per_class=True),
    )

    def __post_init__(self) -> None:
        check_unclassed(self.none)

    def keep(self, pair: Pair) -> np.ndarray:
        pixels = pair.class_pixels.astype(np.float64)
        if self.none == "void":
            pixels[0] = 0
        return np.concatenate([np.diagonal(pixels), pixels.sum(axis=1), pixels.sum(axis=0)])

    def of_totals(self, totals: np.ndarray) -> Scores:
        shared, truth, predicted = np.split(totals, 3, axis=-1)
        return class_scores(shared, truth, predicted, self.none)
