"""Calibration: whether a score of 0.8 is right eight times out of ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import InputError
from .means import ratio
from .metric import Additive, Score, Scores
from .pair import Pair
from .panoptic import found_segments

Binning = Literal["width", "mass"]
"""Bins of one width over 0..1, or bins that hold as many scores each."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """The reliability curve, a point for each bin (..., bins): how many scores, their mean, and how many were right.

    ``mean_score`` and ``share_right`` are NaN for an empty bin. A calibrated source has them equal (DeGroot and
    Fienberg, The Statistician 1983); above the diagonal it is too modest, below too sure.
    """

    count: np.ndarray
    mean_score: np.ndarray
    share_right: np.ndarray

    @classmethod
    def of_sums(cls, count: np.ndarray, score: np.ndarray, right: np.ndarray) -> Reliability:
        """The curve of what was summed in each bin: scores, their values, how many were right."""
        return cls(count, ratio(score, count), ratio(right, count))

    @property
    def gap(self) -> np.ndarray:
        """How far each bin lies off the diagonal, (..., bins); NaN for an empty one."""
        return np.abs(self.mean_score - self.share_right)

    @property
    def ece(self) -> np.ndarray:
        """Expected calibration error, the mean gap of a score, 0..1: sum of count x gap / sum of count.

        Naeini, Cooper, Hauskrecht, AAAI 2015. NaN where there is no score.
        """
        return ratio(np.nansum(self.count * self.gap, axis=-1), self.count.sum(axis=-1))

    @property
    def mce(self) -> np.ndarray:
        """Maximum calibration error, the largest gap of a bin, 0..1 (Naeini et al. 2015); NaN where there is none.

        A bin with a single score can set it: to be read beside ``count``.
        """
        largest = np.where(np.isnan(self.gap), -1.0, self.gap).max(axis=-1)
        return np.where(largest < 0, np.nan, largest)


def reliability(scores: np.ndarray, right: np.ndarray, bins: int = 15, by: Binning = "width") -> Reliability:
    """The reliability curve of scores (N,) 0..1 and whether what they stand for was ``right`` (N,) bool.

    A bin holds the scores above its lower edge up to and with its upper one, as Guo et al. (ICML 2017) have them; 0
    is in the first. ``by="mass"`` fills the bins evenly instead (Nguyen and O'Connor, EMNLP 2015); equal scores may
    be parted there, by their order. Raises ``InputError`` for scores outside 0..1, NaN among them.
    """
    scores, right = check_scores(scores, right)
    check_bins(bins)
    if by not in ("width", "mass"):
        raise InputError(f"by must be 'width' or 'mass', got {by!r}")
    if by == "width":
        place = bin_of(scores, bins)
    else:
        place = np.empty(len(scores), np.int64)
        place[np.argsort(scores, kind="stable")] = np.arange(len(scores)) * bins // max(len(scores), 1)
    return Reliability.of_sums(*_sums(place, scores, right, bins))


def brier_score(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean of (score - right)^2 of scores (N,) 0..1 and ``right`` (N,) bool: 0 is best, 1 worst; NaN for no score.

    The half of what Brier (Monthly Weather Review 1950) wrote for two outcomes, as scikit-learn has it.
    """
    scores, right = check_scores(scores, right)
    return float(np.square(scores - right).mean()) if len(scores) else float("nan")


def dense_reliability(
    probabilities: np.ndarray,
    truth_map: np.ndarray,
    void: np.ndarray | None = None,
    bins: int = 15,
    by: Binning = "width",
) -> Reliability:
    """The reliability curve of the likeliest class of every pixel (Guo et al. 2017).

    ``probabilities`` (*S, K) 0..1, ``truth_map`` (*S,) the place 0..K - 1 of the true class on the last axis; ``void``
    (*S,) bool are pixels left out. Raises ``InputError`` for anything else.
    """
    probabilities, truth = _dense(probabilities, truth_map, void)
    likeliest = probabilities.argmax(axis=1)
    score = np.minimum(probabilities[np.arange(len(truth)), likeliest], 1.0)
    return reliability(score, likeliest == truth, bins, by)


def dense_brier_score(
    probabilities: np.ndarray, truth_map: np.ndarray, void: np.ndarray | None = None
) -> float:
    """Mean over pixels of the sum over classes of (probability - 1 if true else 0)^2, 0 is best, 2 worst.

    Brier, Monthly Weather Review 1950. Arguments as for ``dense_reliability``; NaN where no pixel is judged.
    """
    probabilities, truth = _dense(probabilities, truth_map, void)
    if not len(truth):
        return float("nan")
    of_truth = probabilities[np.arange(len(truth)), truth]
    return float((np.square(probabilities).sum(axis=1) - 2 * of_truth + 1).mean())


@dataclass(frozen=True)
class Calibration(Additive):
    """ECE, MCE and Brier score of the segments' scores, right being a segment with a partner.

    Partners are of the class and at IoU > 0.5, as for panoptic quality; what that excuses (crowds, void) is not
    asked. Kept of an image are three sums for each of ``bins`` bins of one width, and that of squared errors.
    NaN where nothing was predicted. A prediction without scores says 1 of everything and is judged as that.
    """

    bins: int = 15

    name: ClassVar[str] = "calibration"
    headline: ClassVar[str] = "ece"
    scores: ClassVar[tuple[Score, ...]] = (
        Score("ece", "Expected calibration error", "lower"),
        Score("mce", "Maximum calibration error", "lower"),
        Score("brier", "Brier score", "lower"),
    )

    def __post_init__(self) -> None:
        check_bins(self.bins)

    def keep(self, pair: Pair) -> np.ndarray:
        found = found_segments(pair)
        right = np.zeros(len(found.predicted), bool)
        right[found.pairs.predicted - 1] = True
        judged = right | found.extra
        scores, right = found.predicted.scores[judged], right[judged]
        sums = _sums(bin_of(scores, self.bins), scores, right, self.bins)
        return np.concatenate([*sums, [np.square(scores - right).sum()]])

    def of_totals(self, totals: np.ndarray) -> Scores:
        curve = self.curve(totals)
        return {
            "ece": curve.ece,
            "mce": curve.mce,
            "brier": ratio(totals[..., -1], curve.count.sum(axis=-1)),
        }

    def curve(self, totals: np.ndarray) -> Reliability:
        """The reliability curve of summed statistics (..., S)."""
        return Reliability.of_sums(*np.split(totals[..., :-1], 3, axis=-1))


def bin_of(scores: np.ndarray, bins: int) -> np.ndarray:
    """The bin 0..bins - 1 of each score (N,): above its lower edge, up to its upper one."""
    edges = np.linspace(0, 1, bins + 1)
    return np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)


def check_bins(bins: int) -> None:
    """Raise ``InputError`` unless there is a bin."""
    if not isinstance(bins, int | np.integer) or bins < 1:
        raise InputError(f"bins must be a whole number from 1, got {bins!r}")


def check_scores(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (N,) float64 and bool; raise ``InputError`` where they are not that."""
    scores, right = np.asarray(scores, np.float64), np.asarray(right)
    if scores.ndim != 1 or right.shape != scores.shape or (right.dtype != bool and right.size):
        raise InputError(
            f"wanted scores (N,) and right (N,) bool, got {scores.shape} and {right.dtype} {right.shape}"
        )
    if not ((scores >= 0) & (scores <= 1)).all():
        raise InputError("scores must be numbers from 0 to 1")
    return scores, right.astype(bool)


def _sums(
    place: np.ndarray, scores: np.ndarray, right: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = np.bincount(place, minlength=bins).astype(np.float64)
    return count, np.bincount(place, scores, bins), np.bincount(place, right, bins)


def _dense(
    probabilities: np.ndarray, truth_map: np.ndarray, void: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The judged pixels: probabilities (P, K) and the place of the true class (P,)."""
    probabilities, truth_map = np.asarray(probabilities), np.asarray(truth_map)
    if probabilities.ndim < 2 or probabilities.shape[:-1] != truth_map.shape:
        raise InputError(
            f"wanted probabilities (*S, K) and a map (*S,), got {probabilities.shape} and {truth_map.shape}"
        )
    if probabilities.dtype.kind != "f" or truth_map.dtype.kind not in "ui":
        raise InputError(
            f"wanted probabilities as floats and a map of integers, got {probabilities.dtype} and {truth_map.dtype}"
        )
    judged = np.ones(truth_map.shape, bool) if void is None else ~np.asarray(void, bool)
    if judged.shape != truth_map.shape:
        raise InputError(f"void must be of the map's shape {truth_map.shape}, got {judged.shape}")
    chosen, truth = probabilities[judged].astype(np.float64), truth_map[judged].astype(np.int64)
    count = probabilities.shape[-1]
    if len(truth) and (truth.min() < 0 or truth.max() >= count):
        raise InputError(
            f"the map must hold 0..{count - 1} where it is not void, got {truth.min()}..{truth.max()}"
        )
    if not ((chosen >= 0) & (chosen <= 1 + 1e-6)).all():
        raise InputError("probabilities must be numbers from 0 to 1")
    return chosen, truth
