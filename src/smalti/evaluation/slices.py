"""Where a model is worse than elsewhere: scores of parts of the images and of parts of the objects, tested.

A slice is the images with one value of a column (a site, a scanner, the darkest quarter) or the segments of one kind
(the smallest quarter, those at the image's border). Parts of the images are tested against the rest by permutation: how
often a difference as large comes about when images, or whole groups of them, are dealt to the part at random. Parts of
the segments are tested within images (Cochran, Mantel and Haenszel, JNCI 22, 1959), so that hard images do not count
against them. P-values are corrected for looking at many slices (Holm, Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import InputError, unknown_name
from ..metrics.error_types import FOUND, STATES, TYPES
from ..metrics.interval import resamples
from .evaluator import OF_SEGMENTS, Evaluation

QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
MOST_VALUES = 50
"""A column of text with more different values is a name and makes no slices."""
FEWEST_IMAGES = 3
BLOCK = 256  # weightings scored at a time


@dataclass(frozen=True)
class Slice:
    """One part and how it compares with the rest.

    ``measure`` is the score compared; ``images`` and, for parts of the objects, ``segments`` how many there are;
    ``value`` with its interval, ``rest`` that of everything else, ``p`` two-sided and ``p_corrected`` for all slices.
    """

    column: str
    label: str
    measure: str
    images: int
    segments: int | None
    value: float
    low: float
    high: float
    rest: float
    p: float
    better: str = "higher"
    p_corrected: float = float("nan")

    @property
    def difference(self) -> float:
        """This part less the rest."""
        return self.value - self.rest

    @property
    def worse(self) -> bool:
        """Whether this part does worse than the rest."""
        return self.difference > 0 if self.better == "lower" else self.difference < 0

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, None for what does not exist."""
        content = {**asdict(self), "difference": self.difference}
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in content.items()
        }


def slices(
    evaluation: Evaluation,
    by: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    count: int = 1000,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """Every part of every column in ``by`` (all there are, if not given), the most surely worst first.

    Numbers with more than four values are cut into quarters. Raises ``UnknownName`` for a column nobody has.
    """
    columns = dict(evaluation.columns)
    known = known_columns(evaluation)
    for name in by or ():
        if name not in known:
            raise unknown_name("column", name, known)
    if len(evaluation) < 2 * FEWEST_IMAGES:
        return ()
    weights = resamples(len(evaluation), evaluation.clusters, count, seed)
    found: list[Slice] = []
    for name in known if by is None else by:
        parts = _of_objects(evaluation, name) if name in OF_SEGMENTS and name not in columns else None
        if parts is None:
            found += _image_slices(evaluation, name, columns[name], weights, level, seed)
        else:
            found += _object_slices(evaluation, name, parts, weights, level)
    found = _without_mirrors(found)
    corrected = holm([each.p for each in found])
    told = [
        Slice(**{**asdict(each), "p_corrected": value}) for each, value in zip(found, corrected, strict=True)
    ]
    return tuple(sorted(told, key=lambda each: (not each.worse, each.p_corrected, -abs(each.difference))))


def known_columns(evaluation: Evaluation) -> list[str]:
    """Columns that slices can be made by."""
    return list(dict.fromkeys([*evaluation.columns, *(OF_SEGMENTS if _has_objects(evaluation) else ())]))


def _without_mirrors(found: Sequence[Slice]) -> list[Slice]:
    """Of two parts that are all there is of a column the worse one: the other says the same."""
    parts: dict[str, list[Slice]] = {}
    for each in found:
        parts.setdefault(each.column, []).append(each)
    kept: list[Slice] = []
    for both in parts.values():
        mirrored = len(both) == 2 and both[0].value == both[1].rest and both[1].value == both[0].rest
        kept += [next((each for each in both if each.worse), both[0])] if mirrored else both
    return kept


SURE = 0.05
"""Corrected p-value below which a part is said to be surely worse."""


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for how many there are; NaN stays and does not count.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, np.float64)
    order = [int(index) for index in np.argsort(values) if not np.isnan(values[index])]
    corrected = np.full(len(values), np.nan)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, float(values[index]) * (len(order) - place)))
        corrected[index] = highest
    return corrected.tolist()


def _has_objects(evaluation: Evaluation) -> bool:
    return evaluation.task in ("instance", "panoptic")


def _image_slices(
    evaluation: Evaluation, name: str, column: np.ndarray, weights: np.ndarray, level: float, seed: int
) -> Iterator[Slice]:
    metric, kept = evaluation.metrics[0], evaluation.kept[0]
    headline = metric.headline
    better = next(score.better for score in metric.scores if score.name == headline)

    def scored(of: np.ndarray) -> np.ndarray:
        blocks = [
            metric.score(kept, of[begin : begin + BLOCK])[headline] for begin in range(0, len(of), BLOCK)
        ]
        return np.concatenate(blocks)

    clusters = evaluation.clusters
    for label, members in _parts(column):
        if not FEWEST_IMAGES <= members.sum() <= len(members) - FEWEST_IMAGES:
            continue
        parts = np.stack([members, ~members]).astype(np.float64)
        value, rest = scored(parts)
        drawn = scored(weights * members)
        dealt = _dealt(members, clusters, len(weights), seed)
        differences = scored(dealt) - scored(1 - dealt)
        there = ~np.isnan(differences)
        as_large = np.abs(differences[there]) >= abs(value - rest) - 1e-12
        yield Slice(
            name,
            label,
            headline,
            int(members.sum()),
            None,
            float(value),
            *_ends(drawn, level),
            float(rest),
            float((as_large.sum() + 1) / (there.sum() + 1))
            if value == value and rest == rest
            else float("nan"),
            better,
        )


def _dealt(members: np.ndarray, clusters: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """Images dealt at random to a part of as many, (count, n) float64; groups whole where the part has them whole."""
    rng = np.random.default_rng([seed, 2])
    whole = clusters is not None and all(
        len(set(members[clusters == each].tolist())) == 1 for each in np.unique(clusters)
    )
    if clusters is None or not whole:
        return rng.permuted(np.tile(members, (count, 1)), axis=1).astype(np.float64)
    _, first, index = np.unique(clusters, return_index=True, return_inverse=True)
    return rng.permuted(np.tile(members[first], (count, 1)), axis=1)[:, index].astype(np.float64)


def _ends(drawn: np.ndarray, level: float) -> tuple[float, float]:
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _object_slices(
    evaluation: Evaluation, name: str, parts: list[tuple[str, np.ndarray]], weights: np.ndarray, level: float
) -> Iterator[Slice]:
    """Share of the segments of truth that were found, in one part of them against the others."""
    objects = evaluation.objects
    judged = ~objects["predicted"] & np.isin(
        objects["state"], [STATES.index(each) for each in (FOUND, *TYPES)]
    )
    found = judged & (objects["state"] == STATES.index(FOUND))

    def per_image(rows: np.ndarray) -> np.ndarray:
        return np.bincount(objects["image"][rows], minlength=len(evaluation)).astype(np.float64)

    for label, members in parts:
        here, there = judged & members, judged & ~members
        if not here.any() or not there.any():
            continue
        found_here, all_here, found_there, all_there = (
            per_image(rows) for rows in (found & here, here, found & there, there)
        )
        totals = weights @ all_here
        drawn = np.divide(weights @ found_here, totals, out=np.full(len(weights), np.nan), where=totals > 0)
        yield Slice(
            name,
            label,
            "found",
            int((all_here > 0).sum()),
            int(here.sum()),
            float(found_here.sum() / all_here.sum()),
            *_ends(drawn, level),
            float(found_there.sum() / all_there.sum()),
            mantel_haenszel(found_here, all_here, found_there, all_there),
        )


def mantel_haenszel(
    found: np.ndarray, of: np.ndarray, other_found: np.ndarray, other_of: np.ndarray
) -> float:
    """P-value that two shares are one in every image, (n,) counts each; NaN where no image tells.

    The test of Cochran, Mantel and Haenszel with continuity correction, one degree of freedom.

    >>> round(mantel_haenszel(*(np.array([k]) for k in (10.0, 100.0, 30.0, 100.0))), 4)
    0.0008
    """
    total, right = of + other_of, found + other_found
    told = total > 1
    total, right, of, found, other_of = (each[told] for each in (total, right, of, found, other_of))
    expected = of * right / total
    variance = of * other_of * right * (total - right) / (total**2 * (total - 1))
    if variance.sum() <= 0:
        return float("nan")
    apart = max(0.0, abs(float((found - expected).sum())) - 0.5)
    return math.erfc(apart / math.sqrt(2 * float(variance.sum())))


def _parts(column: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Labels and members (n,) bool of the parts of a column of texts or numbers."""
    if column.dtype.kind in "US":
        values = sorted(set(column.tolist()) - {""})
        return [(value, column == value) for value in values] if len(values) <= MOST_VALUES else []
    numbers = column.astype(np.float64)
    there = numbers[~np.isnan(numbers)]
    different = np.unique(there)
    if len(different) <= 4:
        return [(f"{value:g}", numbers == value) for value in different] if len(different) > 1 else []
    cuts = np.quantile(there, [0.25, 0.5, 0.75])
    place = np.searchsorted(cuts, numbers, side="right")
    return [
        (f"{QUARTERS[k]} ({_span(numbers[members])})", members)
        for k in range(4)
        if (members := (place == k) & ~np.isnan(numbers)).any()
    ]


def _span(numbers: np.ndarray) -> str:
    return f"{numbers.min():.4g} to {numbers.max():.4g}"


def _of_objects(evaluation: Evaluation, name: str) -> list[tuple[str, np.ndarray]]:
    objects = evaluation.objects
    truth = ~objects["predicted"] & (objects["area_px"] > 0)
    if name == "object size":
        area = objects["area_px"].astype(np.float64)
        return [(label, members & truth) for label, members in _parts(np.where(truth, area, np.nan))]
    if name == "at image border":
        return [("at the border", objects["at_border"] & truth), ("inside", ~objects["at_border"] & truth)]
    if name == "class":
        return [(each.name, (objects["class_id"] == each.id) & truth) for each in evaluation.classes]
    raise InputError(f"no column {name!r} of segments")
