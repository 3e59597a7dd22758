"""How far a score may be trusted: bootstrap intervals over images or groups of them, and two models on the same images.

Images of one patient, video or slide are alike, so what is drawn is the group, not the image (Davison and Hinkley,
Bootstrap Methods and their Application, 1997, sec. 3.8). The images must be a random sample of those the score is to
hold for: an interval says nothing of other hospitals, cameras or years.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from .metric import Additive, Metric

Method = Literal["percentile", "bca"]
"""Percentiles of the resampled scores, or those corrected for bias and skewness (Efron, JASA 1987)."""

BLOCK_BYTES = 1 << 25  # of weights at a time: 800 resamples of 5,000 images
FEW = 10  # groups below which the interval is known to hold the truth too seldom
MOST_LEFT_OUT = 200  # blocks of the jackknife behind BCa


@dataclass(frozen=True, eq=False, kw_only=True)
class Interval:
    """A score with its interval; ``value``, ``low``, ``high`` and ``exists`` are () or, for a score per class, (K,).

    ``drawn`` images (or groups, see ``unit``) were drawn with replacement. ``exists`` is the share of resamples in
    which the score exists: a rare class is missing from some, and they are left out. NaN where a score does not exist.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    method: Method
    unit: Literal["image", "group"]
    drawn: int
    exists: np.ndarray
    note: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Difference(Interval):
    """The score of the ``second`` model less that of the ``first`` on the same images, with its interval.

    ``p`` is two-sided, by permutation: how often a difference at least as large comes about when the two are swapped
    in random images (or groups), as they might be if nothing told them apart. All swaps where they are few enough,
    otherwise random ones, counted with the one observed (Phipson and Smyth 2010), so never 0.

    ``more_needed`` is how many more images (or groups) such a comparison would need to settle the sign: 0 where the
    interval leaves out 0, infinite where the two do not differ. See ``images_needed``.
    """

    first: np.ndarray
    second: np.ndarray
    p: np.ndarray
    more_needed: np.ndarray


def resamples(
    n: int, groups: Sequence[Any] | np.ndarray | None = None, count: int = 1000, seed: int = 0
) -> np.ndarray:
    """How often each of n images is in each of ``count`` samples drawn with replacement, (count, n) float64.

    With ``groups``, a name for each image, as many groups are drawn as there are, each with all its images. Rows do
    not depend on how many follow them.
    """
    index, total = group_index(n, groups)
    drawn = np.concatenate([*_draws(total, count, seed, count)])
    return drawn if groups is None else drawn[:, index]


def interval(
    metric: Metric,
    kept: Sequence[Any],
    groups: Sequence[Any] | np.ndarray | None = None,
    level: float = 0.95,
    *,
    count: int = 1000,
    seed: int = 0,
    method: Method = "bca",
    widened: bool = True,
) -> dict[str, Interval]:
    """Every score of a metric with its bootstrap interval, from what it ``kept`` of each image.

    ``widened`` moves the percentiles outwards as Student's t of so few is wider than the normal curve and the spread
    of a sample smaller than that of what it was drawn from (Hesterberg, The American Statistician 2015, sec. 3.3).
    The defaults are what held the truth most evenly in ``benchmarks/interval_coverage.py``, whose table is in
    ``docs/evaluate.md``: 93 to 97 % of 500 draws of 20, 50 and 200 images or groups, but for scores that a few images
    decide (rare failures, pixels pooled over very unequal images), which did in 88 to 91 % for 20 and 50.
    Memory does not grow with ``count`` beyond the scores. Raises ``InputError`` for no image, a level outside 0..1 or
    fewer than 100 resamples.
    """
    _check(len(kept), level, count, method)
    sample = Sample.of(metric, kept, groups)
    value = sample.score(np.ones((1, sample.drawn)))
    resampled = sample.score_all(_draws(sample.drawn, count, seed))
    left_out = sample.score(_left_out(sample.drawn, seed)) if method == "bca" else None
    note = _note(sample)
    intervals = {}
    for name, values in resampled.items():
        skew = None if left_out is None else left_out[name]
        low, high = _ends(value[name][0], values, skew, level, sample.drawn, widened)
        intervals[name] = Interval(
            value=value[name][0],
            low=low,
            high=high,
            level=level,
            method=method,
            unit=sample.unit,
            drawn=sample.drawn,
            exists=1 - np.isnan(values).mean(axis=0),
            note=note,
        )
    return intervals


def compare(
    metric: Metric,
    first: Sequence[Any],
    second: Sequence[Any],
    groups: Sequence[Any] | np.ndarray | None = None,
    level: float = 0.95,
    *,
    count: int = 1000,
    seed: int = 0,
    method: Method = "bca",
    widened: bool = True,
    power: float = 0.8,
) -> dict[str, Difference]:
    """Every score of the ``second`` model less that of the ``first``, from what the metric kept of the same images.

    Both are resampled together, so what makes an image hard for both cancels out. Other arguments as for
    ``interval``; ``power`` is that of ``images_needed``. Raises ``InputError`` where the models have not as many
    images each; that they are the same ones, in one order, is the caller's promise.
    """
    if len(first) != len(second):
        raise InputError(f"both models need the same images, got {len(first)} and {len(second)}")
    _check(len(first), level, count, method)
    sides = [Sample.of(metric, side, groups) for side in (first, second)]
    drawn, unit = sides[0].drawn, sides[0].unit
    everyone = np.ones((1, drawn))
    one, other = (side.score(everyone) for side in sides)
    resampled = [side.score_all(_draws(drawn, count, seed)) for side in sides]
    left_out = [side.score(_left_out(drawn, seed)) for side in sides] if method == "bca" else None
    all_swaps, swapped = _swapped(sides, count, seed)
    note = _note(sides[0])
    differences = {}
    for name in one:
        value = other[name][0] - one[name][0]
        values = _minus(resampled[1][name], resampled[0][name])
        skew = None if left_out is None else _minus(left_out[1][name], left_out[0][name])
        low, high = _ends(value, values, skew, level, drawn, widened)
        more = images_needed(value, _spread(values), drawn, level, power)
        differences[name] = Difference(
            value=value,
            low=low,
            high=high,
            level=level,
            method=method,
            unit=unit,
            drawn=drawn,
            exists=1 - np.isnan(values).mean(axis=0),
            note=note,
            first=one[name][0],
            second=other[name][0],
            p=_p_value(value, swapped[name], all_swaps),
            more_needed=np.where((low > 0) | (high < 0), 0.0, more),
        )
    return differences


def images_needed(
    difference: np.ndarray, spread: np.ndarray, n: int, level: float = 0.95, power: float = 0.8
) -> np.ndarray:
    """How many images more than n would settle the sign of a difference whose standard error is ``spread``.

    n ((z(level) + z(power)) spread / difference)^2 - n, at least 1: with so many, an interval of ``level`` leaves out
    0 with a chance of ``power``. Assumes that the true difference is the one measured, that further images are like
    these, and that the spread falls with the root of their number; measured near 0 the difference may well be smaller
    in truth, and the number larger. Infinite for no difference, NaN for one that does not exist.
    """
    normal = NormalDist()
    reach = normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)
    difference, spread = np.asarray(difference, np.float64), np.asarray(spread, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(difference == 0, np.inf, n * np.square(reach * spread / difference))
        more = np.maximum(np.ceil(needed - n), 1.0)
    return np.where(np.isnan(difference), np.nan, more)


@dataclass(frozen=True)
class Sample:
    """What a metric kept of one model's images, and which of them are drawn together."""

    metric: Metric
    kept: Any  # what is kept of each: a sequence, or the rows (n, S) of an ``Additive``
    index: np.ndarray | None
    drawn: int
    unit: Literal["image", "group"]

    @classmethod
    def of(cls, metric: Metric, kept: Sequence[Any], groups: Sequence[Any] | np.ndarray | None) -> Sample:
        """Groups of a metric whose statistics may be summed are summed, once and for all resamples."""
        index, total = group_index(len(kept), groups)
        unit: Literal["image", "group"] = "image" if groups is None else "group"
        if not isinstance(metric, Additive):
            return cls(metric, kept, None if groups is None else index, total, unit)
        rows = np.asarray(kept, np.float64)
        if groups is not None:
            sums = np.zeros((total, rows.shape[1]))
            np.add.at(sums, index, rows)
            rows = sums
        return cls(metric, rows, None, total, unit)

    def score(self, drawn: np.ndarray) -> dict[str, np.ndarray]:
        """The scores of B ways (B, drawn) to weigh what is drawn."""
        weights = drawn if self.index is None else drawn[:, self.index]
        return dict(self.metric.score(self.kept, weights))

    def score_all(self, blocks: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        """The same of weights that come in blocks."""
        parts = [self.score(block) for block in blocks]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def group_index(n: int, groups: Sequence[Any] | np.ndarray | None) -> tuple[np.ndarray, int]:
    """The number 0..G - 1 of each image's group (n,), and G. Without groups each image is its own."""
    if groups is None:
        return np.arange(n), n
    if len(groups) != n:
        raise InputError(f"groups must name one for each of {n} images, got {len(groups)}")
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    return index, len(names)


def _draws(total: int, count: int, seed: int, rows: int | None = None) -> Iterator[np.ndarray]:
    """Blocks (.., total) float64 of how often each is drawn; the same rows whatever the size of the blocks."""
    generator = np.random.default_rng(seed)
    rows = rows or max(1, BLOCK_BYTES // (8 * total))
    for begin in range(0, count, rows):
        size = min(rows, count - begin)
        drawn = generator.integers(0, total, (size, total))
        drawn += total * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * total).reshape(size, total).astype(np.float64)


def _left_out(total: int, seed: int) -> np.ndarray:
    """Weights (L, total) that leave out one each, or one of 200 random blocks of them where they are many."""
    blocks = min(total, MOST_LEFT_OUT)
    block = np.random.default_rng(seed).permutation(total) % blocks
    return (block != np.arange(blocks)[:, None]).astype(np.float64)


def _swapped(sides: Sequence[Sample], count: int, seed: int) -> tuple[bool, dict[str, np.ndarray]]:
    """Differences with the two models swapped at random, and whether they are of every possible way to."""
    first, second = sides
    drawn = first.drawn
    exhaustive = drawn <= int(np.log2(count))
    both: Any
    if isinstance(first.kept, np.ndarray):
        both = np.concatenate([first.kept, second.kept])
    else:
        both = [*first.kept, *second.kept]
    index = None if first.index is None else np.concatenate([first.index, first.index + drawn])
    pool = Sample(first.metric, both, index, 2 * drawn, first.unit)
    generator = np.random.default_rng([seed, 1])

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if exhaustive:
            numbers = np.arange(2**drawn)
            swap = (numbers[:, None] >> np.arange(drawn)) & 1
            yield 1.0 - swap, swap.astype(np.float64)
            return
        rows = max(1, BLOCK_BYTES // (16 * drawn))
        for begin in range(0, count, rows):
            swap = generator.integers(0, 2, (min(rows, count - begin), drawn), np.int8)
            yield 1.0 - swap, swap.astype(np.float64)

    parts = []
    for stays, swaps in blocks():
        one, other = pool.score(np.hstack([stays, swaps])), pool.score(np.hstack([swaps, stays]))
        parts.append({name: _minus(other[name], one[name]) for name in one})
    return exhaustive, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _p_value(value: np.ndarray, swapped: np.ndarray, exhaustive: bool) -> np.ndarray:
    """Share of the swaps (B, ...) whose difference is at least as far from 0; NaN where there is no difference."""
    there = ~np.isnan(swapped)
    as_large = np.abs(np.where(there, swapped, 0)) >= np.abs(value) * (1 - 1e-9) - 1e-12
    extra = 0 if exhaustive else 1
    share = ((as_large & there).sum(axis=0) + extra) / np.maximum(there.sum(axis=0) + extra, 1)
    return np.where(np.isnan(value), np.nan, share)


def _minus(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The difference; infinite less infinite is none."""
    with np.errstate(invalid="ignore"):
        return values - others


def _spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis of the values that exist and are finite; NaN for fewer than two."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    mean = np.where(there, values, 0).sum(axis=0) / np.maximum(count, 1)
    squares = np.square(np.where(there, values - np.where(np.isfinite(mean), mean, 0), 0)).sum(axis=0)
    return np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)


def _ends(
    value: np.ndarray,
    resampled: np.ndarray,
    left_out: np.ndarray | None,
    level: float,
    drawn: int,
    widened: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the interval of a score () or (K,), of its resamples (B, ...); BCa with a jackknife (L, ...)."""
    if drawn < 2:
        return np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    from scipy.stats import norm, t

    tail = (1 + level) / 2
    reach = float(np.sqrt(drawn / (drawn - 1)) * t.ppf(tail, drawn - 1) if widened else norm.ppf(tail))
    ordered = np.sort(resampled, axis=0)  # NaN comes last
    shift, bend = np.zeros(value.shape), np.zeros(value.shape)
    if left_out is not None:
        shift, bend = _bias(value, resampled), _acceleration(left_out)
    ends = []
    for point in (-reach, reach):
        room = 1 - bend * (shift + point)
        # Where the skewness of very few turns the correction around, the percentile is taken.
        moved = np.where(room > 0, shift + (shift + point) / np.where(room > 0, room, 1), point)
        ends.append(np.where(np.isnan(value), np.nan, _quantile(ordered, norm.cdf(moved))))
    # BCa of very few may leave the value itself outside.
    return np.minimum(ends[0], value), np.maximum(ends[1], value)


def _bias(value: np.ndarray, resampled: np.ndarray) -> np.ndarray:
    """The normal score of the share of resamples below the value, ties by half (Efron 1987, sec. 3)."""
    from scipy.stats import norm

    below = (resampled < value).sum(axis=0) + (resampled == value).sum(axis=0) / 2
    count = np.maximum((~np.isnan(resampled)).sum(axis=0), 1)
    return norm.ppf(np.clip(below / count, 0.5 / count, 1 - 0.5 / count))


def _acceleration(left_out: np.ndarray) -> np.ndarray:
    """A sixth of the skewness of the influence of what was left out (Efron 1987, eq. 6.6)."""
    there = np.isfinite(left_out)
    mean = np.where(there, left_out, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    influence = np.where(there, mean - np.where(there, left_out, 0), 0)
    cubes, squares = (influence**3).sum(axis=0), np.square(influence).sum(axis=0)
    return np.divide(cubes, 6 * squares**1.5, out=np.zeros(np.shape(cubes)), where=squares > 0)


def _quantile(ordered: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The values (...) below which a ``share`` (...) of the ascending ones (B, ...) lie, NaN at their end left out."""
    count = (~np.isnan(ordered)).sum(axis=0)
    place = np.clip(share, 0, 1) * np.maximum(count - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    below, above = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in (low, high))
    part = place - low
    with np.errstate(invalid="ignore"):
        between = below + part * (above - below)
    return np.where((part == 0) | (below == above), below, between)


def _note(sample: Sample) -> str:
    if sample.drawn < 2:
        return f"one {sample.unit} only: its spread is not known, so there is no interval"
    if sample.drawn < FEW:
        return (
            f"only {sample.drawn} {sample.unit}s: the interval holds the truth less often than its level says; "
            f"it wants {FEW} or more"
        )
    return ""


def _check(images: int, level: float, count: int, method: str) -> None:
    if not images:
        raise InputError("no image was scored, so there is nothing to draw from")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95, got {level}")
    if count < 100:
        raise InputError(f"count must be 100 resamples or more, got {count}")
    if method not in ("percentile", "bca"):
        raise InputError(f"method must be 'percentile' or 'bca', got {method!r}")
