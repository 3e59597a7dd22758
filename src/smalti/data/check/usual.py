"""What is usual in a set, learnt from a stream of numbers with bounded memory."""

from __future__ import annotations

import numpy as np

KEPT = 20_000


class Usual:
    """A fair sample of a stream of numbers, and where its middle and its edges lie.

    Up to ``KEPT`` numbers are kept, each with the same chance (reservoir sampling: Vitter 1985, algorithm R,
    seeded).
    """

    def __init__(self) -> None:
        self._kept = np.zeros(0)
        self._rng = np.random.default_rng(0)
        self.count = 0
        self._known: dict[str, float] = {}

    def add(self, values: np.ndarray) -> None:
        """Take more numbers; those that are not finite are left out."""
        values = np.asarray(values, np.float64).reshape(-1)
        values = values[np.isfinite(values)]
        self._known.clear()
        room = KEPT - len(self._kept)
        first, later = values[:room], values[room:]
        self._kept = np.concatenate([self._kept, first])
        self.count += len(first)
        if len(later):
            place = self._rng.integers(0, self.count + 1 + np.arange(len(later)))
            inside = place < KEPT
            self._kept[place[inside]] = later[inside]
            self.count += len(later)

    def __len__(self) -> int:
        """How many numbers were given."""
        return self.count

    def quantile(self, q: float | list[float]) -> np.ndarray:
        """Quantiles of the stream; NaN where nothing was given."""
        if not len(self._kept):
            return np.full(np.shape(q), np.nan)
        return np.asarray(np.quantile(self._kept, q))

    @property
    def median(self) -> float:
        """The middle; NaN where nothing was given."""
        if "median" not in self._known:
            self._known["median"] = float(np.median(self._kept)) if len(self._kept) else float("nan")
        return self._known["median"]

    @property
    def spread(self) -> float:
        """Median absolute deviation, scaled to the standard deviation of a normal distribution."""
        if "spread" not in self._known:
            apart = np.abs(self._kept - self.median)
            self._known["spread"] = float(1.4826 * np.median(apart)) if len(apart) else float("nan")
        return self._known["spread"]

    def share_below(self, value: float) -> float:
        """Share of the stream that is lower than ``value``."""
        return float(np.mean(self._kept < value)) if len(self._kept) else float("nan")


def certainty(value: float, doubtful: float, sure: float) -> float:
    """0.5 where ``value`` is ``doubtful``, 0.95 where it is ``sure``, a logistic curve between and beyond."""
    slope = np.log(0.95 / 0.05) / (sure - doubtful)
    return float(1 / (1 + np.exp(-np.clip(slope * (value - doubtful), -30, 30))))
