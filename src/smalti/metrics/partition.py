"""Scores of partitions: regions whose class does not count, as people cut up a photograph or a volume of cells.

All of them follow from one table of how many pixels each region of truth shares with each predicted one, the
``Contingency``; the functions of two segmentations make it and ask it.

Which pixels are counted is ``background``, for those in no segment:

- ``"region"``: they are a region of their side, as label 0 is to scikit-learn and scikit-image's
  ``variation_of_information``.
- ``"truth_ignored"``: those of truth are left out, those of the prediction are a region (the foreground-restricted
  scores of Arganda-Carreras et al. 2015; ``ignore_labels=(0,)``, the default of scikit-image's
  ``adapted_rand_error``).
- ``"ignored"``: only pixels in a segment on both sides are counted.

Pixels that are void on either side never count. Segments that overlap on one side are an ``InputError``. Where nothing
is left to count, two partitions do not contradict each other: they score as the same partition does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np

from ..errors import InputError
from ..overlaps import OverlapTable, overlap
from ..segmentation import Segmentation
from .means import ratio
from .metric import Additive, Score, Scores
from .pair import Pair
from .void import both_judged

Background = Literal["region", "truth_ignored", "ignored"]


class AdaptedRand(NamedTuple):
    """F, precision and recall of pairs of pixels, 0..1."""

    f: float
    precision: float
    recall: float

    @property
    def error(self) -> float:
        """1 - F, 0 for the same partition."""
        return 1 - self.f


class VariationOfInformation(NamedTuple):
    """In bits, 0 and more: ``split`` grows with regions cut up, ``merge`` with regions run together."""

    split: float
    merge: float

    @property
    def total(self) -> float:
        """The variation of information, split + merge."""
        return self.split + self.merge


@dataclass(frozen=True)
class PartitionScores:
    """``covering`` of the first side by the second and ``covered`` the other way round, 0..1; ``rand_f`` 0..1; ``vi``
    in bits, 0 for the same partition."""

    covering: float
    covered: float
    rand_f: float
    vi: float


@dataclass(frozen=True, eq=False)
class Contingency:
    """How many counted ``pixels`` (P,) region ``truth`` (P,) shares with region ``predicted`` (P,), from 0.

    Each pair is listed once. In float64 sums of squares are exact up to 2**53, that is for 9 * 10^7 pixels at least.
    """

    truth: np.ndarray
    predicted: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of_table(
        cls, table: OverlapTable, background: Background = "region", void_px: int = 0
    ) -> Contingency:
        """From the table of judged segments, ``void_px`` being how many pixels are void on either side.

        No segments of one side may overlap; the table alone cannot always tell.
        """
        if background not in get_args(Background):
            raise InputError(f"background is one of {', '.join(get_args(Background))}, got {background!r}")
        truth, predicted = table.truth.astype(np.int64), table.predicted.astype(np.int64)
        pixels = table.pixels.astype(np.int64)
        alone = table.truth_areas - _sums(truth - 1, pixels, len(table.truth_areas))
        other_alone = table.predicted_areas - _sums(predicted - 1, pixels, len(table.predicted_areas))
        nowhere = table.size - void_px - pixels.sum() - alone.sum() - other_alone.sum()
        if background != "ignored":
            rows = np.arange(1, len(alone) + 1)
            truth, predicted = np.append(truth, rows), np.append(predicted, np.zeros_like(rows))
            pixels = np.append(pixels, alone)
        if background == "region":
            columns = np.arange(len(other_alone) + 1)
            truth, predicted = np.append(truth, np.zeros_like(columns)), np.append(predicted, columns)
            pixels = np.concatenate([pixels, [nowhere], other_alone])
        kept = pixels > 0
        return cls(truth[kept], predicted[kept], pixels[kept].astype(np.float64))

    @classmethod
    def of(
        cls, truth: Segmentation, predicted: Segmentation, background: Background = "region"
    ) -> Contingency:
        """Of two segmentations of one shape; classes are not looked at."""
        check_partitions(truth, predicted)
        void_px = 0
        if truth.void_px or predicted.void_px:
            void_px = int(np.count_nonzero(truth.void | predicted.void))
        return cls.of_table(overlap(*both_judged(truth, predicted)), background, void_px)

    @cached_property
    def total(self) -> float:
        """Counted pixels."""
        return float(self.pixels.sum())

    @cached_property
    def truth_areas(self) -> np.ndarray:
        """Counted pixels of each region of truth, 0 for a number that is not used."""
        return np.bincount(self.truth, self.pixels)

    @cached_property
    def predicted_areas(self) -> np.ndarray:
        """Counted pixels of each predicted region, 0 for a number that is not used."""
        return np.bincount(self.predicted, self.pixels)

    @cached_property
    def pairs(self) -> tuple[float, float, float]:
        """Ordered pairs of pixels in one region of both sides, of truth, and of the prediction."""
        both, truth, predicted = (
            float(np.square(areas).sum() - self.total)
            for areas in (self.pixels, self.truth_areas, self.predicted_areas)
        )
        return both, truth, predicted

    @property
    def adapted_rand(self) -> AdaptedRand:
        """See ``adapted_rand``."""
        both, truth, predicted = self.pairs
        f = 2 * both / (truth + predicted) if truth + predicted else 1.0
        return AdaptedRand(f, both / predicted if predicted else 1.0, both / truth if truth else 1.0)

    @property
    def rand_index(self) -> float:
        """See ``rand_index``."""
        both, truth, predicted = self.pairs
        pairs = self.total * (self.total - 1)
        return 1 - (truth + predicted - 2 * both) / pairs if pairs else 1.0

    @property
    def adjusted_rand_index(self) -> float:
        """See ``adjusted_rand_index``."""
        both, truth, predicted = self.pairs
        if both == truth == predicted:
            return 1.0
        expected = truth * predicted / (self.total * (self.total - 1))
        return (both - expected) / ((truth + predicted) / 2 - expected)

    @property
    def variation_of_information(self) -> VariationOfInformation:
        """See ``variation_of_information``."""
        if not self.total:
            return VariationOfInformation(0.0, 0.0)
        share = self.pixels / self.total
        split = -float(share @ np.log2(self.pixels / self.truth_areas[self.truth]))
        merge = -float(share @ np.log2(self.pixels / self.predicted_areas[self.predicted]))
        return VariationOfInformation(max(split, 0.0), max(merge, 0.0))

    @property
    def best_iou(self) -> tuple[np.ndarray, np.ndarray]:
        """IoU of each region of truth with the best predicted one, and of each predicted one with the best of truth."""
        union = self.truth_areas[self.truth] + self.predicted_areas[self.predicted] - self.pixels
        best, other_best = np.zeros(len(self.truth_areas)), np.zeros(len(self.predicted_areas))
        np.maximum.at(best, self.truth, self.pixels / union)
        np.maximum.at(other_best, self.predicted, self.pixels / union)
        return best, other_best

    @property
    def covered_px(self) -> tuple[float, float]:
        """Areas times best IoU, summed over the regions of truth and over those predicted."""
        best, other_best = self.best_iou
        return float(self.truth_areas @ best), float(self.predicted_areas @ other_best)


def adapted_rand(
    truth: Segmentation, predicted: Segmentation, background: Background = "region"
) -> AdaptedRand:
    """F = 2 * both / (truth + predicted), where both, truth, predicted count the pairs of different pixels that lie in
    one region of both sides, of truth, of the prediction; precision = both / predicted, recall = both / truth.

    Arganda-Carreras et al., Frontiers in Neuroanatomy 2015; the adapted Rand error is 1 - F. What scikit-image's
    ``adapted_rand_error`` calls precision is divided by the pairs of its first argument: with truth there, as its
    documentation has it, that is recall here. A quotient without pairs is 1.
    """
    return Contingency.of(truth, predicted, background).adapted_rand


def rand_index(truth: Segmentation, predicted: Segmentation, background: Background = "region") -> float:
    """Share of the pairs of different pixels on which both sides agree whether they lie in one region (Rand, JASA
    1971), 0..1; 1 where there are fewer than two pixels."""
    return Contingency.of(truth, predicted, background).rand_index


def adjusted_rand_index(
    truth: Segmentation, predicted: Segmentation, background: Background = "region"
) -> float:
    """(both - expected) / (mean(truth, predicted) - expected) of the pairs of pixels in one region, with expected =
    truth * predicted / all pairs (Hubert and Arabie, J. Classification 1985).

    0 on average for regions at random, 1 for the same partition, -0.5 and more. 1 where nothing can differ.
    """
    return Contingency.of(truth, predicted, background).adjusted_rand_index


def variation_of_information(
    truth: Segmentation, predicted: Segmentation, background: Background = "region"
) -> VariationOfInformation:
    """Split H(predicted | truth) and merge H(truth | predicted), in bits (Meila, J. Multivariate Analysis 2007).

    A region cut into two halves costs its share of the pixels in split, two regions of equal size run together cost
    theirs in merge. 0 and 0 where nothing is counted.
    """
    return Contingency.of(truth, predicted, background).variation_of_information


def covering(
    truths: Segmentation | Sequence[Segmentation],
    predicted: Segmentation,
    background: Background = "region",
) -> float:
    """Mean over the counted pixels of the best IoU that their region of truth has with any predicted one, 0..1.

    Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, sec. 3.1. With several annotators the mean is over the pixels of all of
    them, as that benchmark takes it. 1 where nothing is counted.
    """
    tables = _contingencies(truths, predicted, background)
    total = sum(table.total for table in tables)
    return sum(table.covered_px[0] for table in tables) / total if total else 1.0


def probabilistic_rand_index(
    truths: Segmentation | Sequence[Segmentation],
    predicted: Segmentation,
    background: Background = "region",
) -> float:
    """Mean of the Rand index with each annotator, 0..1.

    Unnikrishnan, Pantofaru, Hebert, PAMI 2007, eq. 4, with the chance that two pixels lie in one region estimated as
    the share of annotators who put them in one.
    """
    return float(np.mean([table.rand_index for table in _contingencies(truths, predicted, background)]))


def partition_scores(truth: Segmentation, predicted: Segmentation) -> PartitionScores:
    """Covering, adapted Rand F and variation of information of two partitions of one image.

    Counted over the pixels that lie in a segment on both sides and are void on neither. Where there is none, the
    partitions do not contradict each other: 1, 1, 1 and 0.
    """
    table = Contingency.of(truth, predicted, "ignored")
    covered, other_covered = table.covered_px if table.total else (1.0, 1.0)
    total = table.total or 1.0
    return PartitionScores(
        covered / total,
        other_covered / total,
        table.adapted_rand.f,
        table.variation_of_information.total,
    )


class Partition(Additive):
    """Regions against regions, whatever their class: means over images, covering over the pixels of all images.

    An image without a counted pixel is left out; without any image every score is NaN.
    """

    name: ClassVar[str] = "partition"
    headline: ClassVar[str] = "rand_f"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("rand_f", "Adapted Rand F"),
        Score("rand_precision", "Adapted Rand precision"),
        Score("rand_recall", "Adapted Rand recall"),
        Score("rand_index", "Rand index"),
        Score("ari", "Adjusted Rand index"),
        Score("vi", "Variation of information", "lower", "bit"),
        Score("vi_split", "Variation of information, split", "lower", "bit"),
        Score("vi_merge", "Variation of information, merge", "lower", "bit"),
        Score("covering", "Covering of truth"),
    )

    def __init__(self, background: Background = "region") -> None:
        self.background: Background = background

    def keep(self, pair: Pair) -> np.ndarray:
        """Whether the image counts, its scores but the last, its covered pixels and its pixels, (11,)."""
        check_partitions(pair.truth, pair.predicted)
        void_px = 0 if pair.void is None else int(np.count_nonzero(pair.void))
        table = Contingency.of_table(pair.table, self.background, void_px)
        if not table.total:
            return np.zeros(11)
        f, precision, recall = table.adapted_rand
        split, merge = table.variation_of_information
        values = [f, precision, recall, table.rand_index, table.adjusted_rand_index]
        values += [split + merge, split, merge, table.covered_px[0], table.total]
        return np.array([1.0, *values])

    def of_totals(self, totals: np.ndarray) -> Scores:
        images, covered, pixels = totals[:, 0], totals[:, 9], totals[:, 10]
        means = {score.name: ratio(totals[:, k], images) for k, score in enumerate(self.scores[:-1], 1)}
        return means | {"covering": ratio(covered, pixels)}


def check_partitions(*sides: Segmentation) -> None:
    """Raise ``InputError`` where segments of one side overlap, for no pixel may be in two regions."""
    for side in sides:
        if side.overlapping:
            raise InputError("segments overlap, so they are no partition; panoptic() gives each pixel to one")


def _contingencies(
    truths: Segmentation | Sequence[Segmentation], predicted: Segmentation, background: Background
) -> list[Contingency]:
    truths = [truths] if isinstance(truths, Segmentation) else truths
    if not len(truths):
        raise InputError("no truth to compare with; give at least one")
    return [Contingency.of(truth, predicted, background) for truth in truths]


def _sums(groups: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sum of the whole ``values`` of each group, (count,) int64."""
    sums = np.zeros(count, np.int64)
    np.add.at(sums, groups, values)
    return sums
