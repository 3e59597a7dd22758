"""What a metric is to the evaluator: what it keeps of each image, and the scores of any weighted set of images.

Numbers over many images are not means of numbers of images: PQ, IoU and AP are ratios of sums. So a metric keeps a few
numbers of each image, and makes scores of them for many weightings of the images at once. All images once is the score;
a thousand resamples are its interval; the images of one site are a slice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from .pair import Pair

Scores = Mapping[str, np.ndarray]
"""Name of a score to its values: (B,) for each of B weightings, or (B, K) where it is per class."""


@dataclass(frozen=True)
class Score:
    """A number that a metric gives. ``better`` says which way: a difference of ``zero`` is best for counts."""

    name: str
    title: str
    better: Literal["higher", "lower", "zero"] = "higher"
    unit: str = ""
    per_class: bool = False


class Metric(ABC):
    """A family of scores. Subclasses may have settings; they must be picklable."""

    name: ClassVar[str]
    scores: ClassVar[tuple[Score, ...]]
    headline: ClassVar[str]  # the score that stands for the family
    keeps: ClassVar[Any] = np.ndarray  # what ``keep`` gives: an array, or a named tuple of arrays

    @abstractmethod
    def keep(self, pair: Pair) -> Any:
        """What is kept of one image: as little as the scores need."""

    @abstractmethod
    def score(self, kept: Sequence[Any], weights: np.ndarray) -> Scores:
        """The scores of B weightings (B, n) of the n images whose statistics are ``kept``.

        A score that does not exist for a weighting (no object of the class, nothing matched) is NaN.
        """


class Additive(Metric):
    """A metric whose statistics are a vector (S,) of each image that may be summed over images."""

    @abstractmethod
    def keep(self, pair: Pair) -> np.ndarray:
        """The statistics of one image, (S,) float64."""

    @abstractmethod
    def of_totals(self, totals: np.ndarray) -> Scores:
        """The scores of summed statistics, (B, S)."""

    def score(self, kept: Sequence[np.ndarray], weights: np.ndarray) -> Scores:
        return self.of_totals(weights @ np.asarray(kept, np.float64))
