"""Where a model is worse than elsewhere: scores of parts of the images and of parts of the objects, tested.

A slice is the images with one value of a column (a site, a scanner, the darkest quarter) or the segments of one kind
(the smallest quarter, those at the image's border). Each is compared with all the rest by a bootstrap over images, or
over groups of images where there are any, and p-values are corrected for looking at many slices (Holm, A simple
sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import InputError, unknown_name
from ..metrics.error_types import FOUND, STATES, TYPES
from ..metrics.interval import resamples
from .evaluator import Evaluation

QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
MOST_VALUES = 50
"""A column of text with more different values is a name and makes no slices."""
FEWEST_IMAGES = 3
BLOCK = 256  # weightings scored at a time
OF_OBJECTS = ("object size", "at image border", "class")
"""Columns of segments that slices are made by where segments are objects."""


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
    known = [*columns, *(OF_OBJECTS if _has_objects(evaluation) else ())]
    for name in by or ():
        if name not in known:
            raise unknown_name("column", name, known)
    if len(evaluation) < 2 * FEWEST_IMAGES:
        return ()
    weights = resamples(len(evaluation), evaluation.clusters, count, seed)
    found: list[Slice] = []
    for name in known if by is None else by:
        parts = _of_objects(evaluation, name) if name in OF_OBJECTS and name not in columns else None
        if parts is None:
            found += _image_slices(evaluation, name, columns[name], weights, level)
        else:
            found += _object_slices(evaluation, name, parts, weights, level)
    corrected = holm([each.p for each in found])
    told = [
        Slice(**{**asdict(each), "p_corrected": value}) for each, value in zip(found, corrected, strict=True)
    ]
    return tuple(sorted(told, key=lambda each: (not each.worse, each.p_corrected, -abs(each.difference))))


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
    evaluation: Evaluation, name: str, column: np.ndarray, weights: np.ndarray, level: float
) -> Iterator[Slice]:
    metric, kept = evaluation.metrics[0], evaluation.kept[0]
    headline = metric.headline
    better = next(score.better for score in metric.scores if score.name == headline)

    def scored(of: np.ndarray) -> np.ndarray:
        blocks = [
            metric.score(kept, of[begin : begin + BLOCK])[headline] for begin in range(0, len(of), BLOCK)
        ]
        return np.concatenate(blocks)

    ones = np.ones((1, len(evaluation)))
    for label, members in _parts(column):
        if not FEWEST_IMAGES <= members.sum() <= len(members) - FEWEST_IMAGES:
            continue

        def compared(of: np.ndarray, members: np.ndarray = members) -> tuple[np.ndarray, np.ndarray]:
            return scored(of * members), scored(of * ~members)

        yield _compared(
            compared,
            weights,
            ones,
            level,
            column=name,
            label=label,
            measure=headline,
            better=better,
            images=int(members.sum()),
            segments=None,
        )


def _object_slices(
    evaluation: Evaluation, name: str, parts: list[tuple[str, np.ndarray]], weights: np.ndarray, level: float
) -> Iterator[Slice]:
    """Share of the segments of truth that were found, in one part of them against the others."""
    objects = evaluation.objects
    judged = ~objects["predicted"] & np.isin(
        objects["state"], [STATES.index(each) for each in (FOUND, *TYPES)]
    )
    found = judged & (objects["state"] == STATES.index(FOUND))
    ones = np.ones((1, len(evaluation)))

    def per_image(rows: np.ndarray) -> np.ndarray:
        return np.bincount(objects["image"][rows], minlength=len(evaluation)).astype(np.float64)

    for label, members in parts:
        here, there = judged & members, judged & ~members
        if not here.any() or not there.any():
            continue
        counts = [per_image(rows) for rows in (found & here, here, found & there, there)]

        def compared(of: np.ndarray, counts: list[np.ndarray] = counts) -> tuple[np.ndarray, np.ndarray]:
            sums = [of @ each for each in counts]
            with np.errstate(invalid="ignore", divide="ignore"):
                return sums[0] / sums[1], sums[2] / sums[3]

        yield _compared(
            compared,
            weights,
            ones,
            level,
            column=name,
            label=label,
            measure="found",
            images=int((counts[1] > 0).sum()),
            segments=int(here.sum()),
        )


def _compared(
    scores: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    weights: np.ndarray,
    ones: np.ndarray,
    level: float,
    **told: Any,
) -> Slice:
    (value,), (rest,) = scores(ones)
    drawn, drawn_rest = scores(weights)
    differences = (drawn - drawn_rest)[~np.isnan(drawn - drawn_rest)]
    p = _p_value(float(value - rest), differences)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.nanquantile(drawn, tails) if not np.isnan(drawn).all() else (np.nan, np.nan)
    return Slice(value=float(value), low=float(low), high=float(high), rest=float(rest), p=p, **told)


def _p_value(difference: float, drawn: np.ndarray) -> float:
    """Two-sided: twice the share of resampled differences on the other side of 0; by the normal curve where that is
    below what so many can tell, so that a correction for many slices leaves something over."""
    if not len(drawn):
        return float("nan")
    beyond = int(min((drawn <= 0).sum(), (drawn >= 0).sum()))
    counted = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
    if beyond or not difference:
        return counted
    spread = float(drawn.std())
    normal = math.erfc(abs(difference) / (spread * math.sqrt(2))) if spread else 0.0
    return max(min(counted, normal), 1e-6)


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
