"""Distances between the surfaces of two masks: Hausdorff and its percentile, mean distances, normalised surface Dice.

In volumes and images (where the surface is a contour), in the unit of the geometry, pixels where no spacing is known.
Tools disagree on what a surface is made of; ``definition`` names whose way is taken:

- ``"metrics-reloaded"``, the default: pixels of the mask with a neighbour outside along an axis, beyond the border of
  the image being outside; each counts once. As in the reference implementation of Maier-Hein et al., Metrics reloaded,
  Nature Methods 2024. A percentile is taken of each direction, by linear interpolation; the larger one counts.
- ``"monai"``: the same elements, and infinity where one side has no surface, as MONAI's functions give it. Its average
  surface distance is ``SurfaceDistances.mean_to_truth`` unless it is asked for the symmetric one.
- ``"deepmind"``: cells between 2 x 2 (x 2) pixels of which some are inside, weighted by the length or area of the
  surface through them (Nikolov et al., Clinically applicable segmentation, JMIR 2021; the surface-distance package),
  which is that of marching cubes (Lorensen and Cline 1987). A percentile is the distance of the element at which the
  weights, sorted by distance, add up to that share. Infinity where one side has no surface.

How far apart tools are on the same masks: Podobnik and Vrtovec, HDilemma, MICCAI 2024.

Where neither side has a surface nothing exists and everything is NaN (the reference implementation says 0, and
surface-distance infinity for the Hausdorff distance). Where one side has, the NSD is 0 and a distance is what
``absent`` says: ``"nan"`` (not defined, and left out of means), ``"diagonal"`` of the image (a penalty, so that finding
nothing does not pay) or ``"infinite"``. Void on either side is part of no mask, and what touches it is no surface, as
nobody drew a line there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ..errors import InputError, unknown_name
from ..geometry import Geometry
from ..segmentation import Segmentation
from .boundary import Reach, Tolerance
from .metric import Score, Scores
from .pair import Pair
from .per_class import ImageMeans, class_masks, with_classes
from .surface_elements import elements, nearest, padded, window

Definition = Literal["metrics-reloaded", "monai", "deepmind"]
Absent = Literal["nan", "diagonal", "infinite"]

DEFINITIONS: dict[str, Absent] = {"metrics-reloaded": "nan", "monai": "infinite", "deepmind": "infinite"}
"""The definitions, and what distances are where one side has no surface unless the caller says."""

ROUNDING = 1e-6  # share by which a distance may pass the tolerance: 3 steps of 0.7 are 2.1


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance of every surface element of each side to the nearest one of the other, and the elements' weights.

    ``to_predicted`` and ``truth_weights`` (N,) belong to the elements of truth, ``to_truth`` and ``predicted_weights``
    (M,) to those of the prediction; weights are None where all elements count alike. Distances are infinite where the
    other side has none. ``diagonal`` is that of the image.
    """

    to_predicted: np.ndarray
    to_truth: np.ndarray
    truth_weights: np.ndarray | None
    predicted_weights: np.ndarray | None
    diagonal: float
    absent: Absent

    @property
    def sides(self) -> int:
        """How many sides have a surface, 0 to 2."""
        return int(len(self.to_predicted) > 0) + int(len(self.to_truth) > 0)

    def hausdorff(self, percentile: float = 100.0) -> float:
        """The largest distance of an element to the other surface (Huttenlocher et al., PAMI 1993), the larger one of
        both directions; with ``percentile`` that of each direction's distances, such as 95 for HD95."""
        if not 0 <= percentile <= 100:
            raise InputError(f"a percentile is 0 to 100, got {percentile}")
        if self.sides < 2:
            return self._undefined()
        return max(
            _percentile(self.to_predicted, self.truth_weights, percentile),
            _percentile(self.to_truth, self.predicted_weights, percentile),
        )

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: the mean over the elements of both sides together."""
        if self.sides < 2:
            return self._undefined()
        (first, size), (second, other) = self._sums()
        return (first + second) / (size + other)

    @property
    def masd(self) -> float:
        """Mean average surface distance: the mean of the two directions' means (Beneš and Zitová, J Microscopy 2015).

        Unlike in the ASSD, a side with more surface counts no more than the other."""
        return (self.mean_to_predicted + self.mean_to_truth) / 2

    @property
    def mean_to_predicted(self) -> float:
        """Mean distance from the surface of truth to the predicted one."""
        if self.sides < 2:
            return self._undefined()
        distance, size = self._sums()[0]
        return distance / size

    @property
    def mean_to_truth(self) -> float:
        """Mean distance from the predicted surface to that of truth."""
        if self.sides < 2:
            return self._undefined()
        distance, size = self._sums()[1]
        return distance / size

    def nsd(self, tolerance: float) -> float:
        """Normalised surface Dice (Nikolov et al. 2021): the share of both surfaces that lies within ``tolerance``
        (inclusive) of the other one. 0 where one side has none, NaN where neither has."""
        if self.sides == 0:
            return math.nan
        limit = tolerance * (1 + ROUNDING)
        near = size = 0.0
        for away, weights in self._directions():
            within = away <= limit
            near += float(np.count_nonzero(within) if weights is None else weights[within].sum())
            size += float(len(away) if weights is None else weights.sum())
        return near / size

    def _directions(self) -> tuple[tuple[np.ndarray, np.ndarray | None], ...]:
        return (self.to_predicted, self.truth_weights), (self.to_truth, self.predicted_weights)

    def _sums(self) -> list[tuple[float, float]]:
        """Weighted sum of the distances and sum of the weights of each direction."""
        return [
            (float(away.sum()), float(len(away)))
            if weights is None
            else (float(away @ weights), float(weights.sum()))
            for away, weights in self._directions()
        ]

    def _undefined(self) -> float:
        if self.sides == 0 or self.absent == "nan":
            return math.nan
        return self.diagonal if self.absent == "diagonal" else math.inf


def surface_distances(
    truth: np.ndarray,
    predicted: np.ndarray,
    spacing: Sequence[float] | None = None,
    *,
    definition: Definition = "metrics-reloaded",
    absent: Absent | None = None,
    void: np.ndarray | None = None,
) -> SurfaceDistances:
    """The distances between the surfaces of two masks (*S,) bool, in the unit of ``spacing`` or in pixels.

    Found once; Hausdorff distance, means and NSD are read from them. Only the part of the image that holds the masks is
    looked at, and distances only where there is surface, which is exact. ``absent`` is what distances are where one
    side has no surface, by default what the definition says. Raises ``InputError`` for arrays that are no masks of one
    shape, and ``UnknownName`` for a definition.

    >>> square = np.zeros((8, 8), bool)
    >>> square[2:5, 2:5] = True
    >>> surface_distances(square, np.roll(square, 2, axis=1), (0.5, 0.25)).hausdorff()
    0.5
    """
    absent = _checked(definition, absent)
    for mask in (truth, predicted) if void is None else (truth, predicted, void):
        if mask.dtype != bool or mask.ndim not in (2, 3) or mask.shape != truth.shape:
            raise InputError(
                f"masks must be bool, 2-D or 3-D and of one shape, got {mask.dtype} {mask.shape} "
                f"beside {truth.shape}; write labels == k"
            )
    steps = (1.0,) * truth.ndim if spacing is None else tuple(float(step) for step in spacing)
    if len(steps) != truth.ndim or not all(math.isfinite(step) and step > 0 for step in steps):
        raise InputError(f"spacing must be {truth.ndim} positive numbers, one per axis, got {spacing}")
    diagonal = math.dist([0.0] * truth.ndim, [n * step for n, step in zip(truth.shape, steps, strict=True)])
    planar = truth.ndim == 2
    box = window(truth, predicted)
    (points, weights), (others, other_weights) = (
        elements(padded(mask, void, box), planar, definition == "deepmind", steps)
        for mask in (truth, predicted)
    )
    volume_steps = (min(steps), *steps) if planar else steps
    return SurfaceDistances(
        nearest(points, others, volume_steps),
        nearest(others, points, volume_steps),
        weights,
        other_weights,
        diagonal,
        absent,
    )


def hausdorff(
    truth: Segmentation,
    predicted: Segmentation,
    percentile: float = 100.0,
    *,
    definition: Definition = "metrics-reloaded",
    absent: Absent | None = None,
) -> np.ndarray:
    """Hausdorff distance of each class, (K,), or its percentile (95 for HD95), in the unit of the geometry.

    max over both directions of the percentile of min distances; see ``SurfaceDistances.hausdorff`` and this module for
    the definitions. NaN for a class on neither side, as ``absent`` says for one on one side only. Raises ``InputError``
    when shapes, classes or spacings differ.
    """
    return _of_classes(truth, predicted, definition, absent, lambda found: found.hausdorff(percentile))


def average_surface_distance(
    truth: Segmentation,
    predicted: Segmentation,
    *,
    definition: Definition = "metrics-reloaded",
    absent: Absent | None = None,
) -> np.ndarray:
    """Average symmetric surface distance (ASSD) of each class, (K,): sum of all distances of both directions over the
    number (or area) of all elements. Otherwise as ``hausdorff``."""
    return _of_classes(truth, predicted, definition, absent, lambda found: found.assd)


def mean_average_surface_distance(
    truth: Segmentation,
    predicted: Segmentation,
    *,
    definition: Definition = "metrics-reloaded",
    absent: Absent | None = None,
) -> np.ndarray:
    """Mean of the two directions' mean distances (MASD) of each class, (K,). Otherwise as ``hausdorff``."""
    return _of_classes(truth, predicted, definition, absent, lambda found: found.masd)


def surface_dice(
    truth: Segmentation,
    predicted: Segmentation,
    tolerance: Tolerance,
    *,
    definition: Definition = "metrics-reloaded",
) -> np.ndarray:
    """Normalised surface Dice (NSD) of each class at a tolerance, (K,), 0 to 1.

    The share of both surfaces that lies within ``tolerance`` of the other one. A number is in the unit of the geometry,
    pixels where there is no spacing; ``"2mm"`` says the unit. NaN for a class on neither side, 0 on one side only.
    Raises ``InputError`` when shapes, classes or spacings differ, or the tolerance is in another unit.
    """
    limit = distance_in_unit(tolerance, _geometry(Pair(truth, predicted)))
    return _of_classes(truth, predicted, definition, None, lambda found: found.nsd(limit))


class SurfaceValues(NamedTuple):
    """The values (K, V) of one image, and the unit of its distances."""

    values: np.ndarray
    unit: str


@dataclass(frozen=True)
class Surfaces(ImageMeans):
    """Surface distances of each class, as the mean over the images in which they exist.

    ``one_sided`` is the share of the images with any surface of a class that have it on one side only: with
    ``absent="nan"`` their distances are in no mean, and this says how many are missing. Distances are in the unit of
    the images' geometry; ``score`` raises ``InputError`` where images have different ones. The tolerance of the NSD is
    as for ``surface_dice``.
    """

    tolerance: Tolerance = 2.0
    definition: Definition = "metrics-reloaded"
    absent: Literal["nan", "diagonal"] = "nan"

    name: ClassVar[str] = "surface"
    keeps: ClassVar[Any] = SurfaceValues
    values: ClassVar[tuple[str, ...]] = ("hausdorff", "hausdorff95", "assd", "masd", "nsd", "one_sided")
    scores: ClassVar[tuple[Score, ...]] = with_classes(
        Score("hausdorff", "Hausdorff distance", "lower"),
        Score("hausdorff95", "Hausdorff distance, 95th percentile", "lower"),
        Score("assd", "Average symmetric surface distance", "lower"),
        Score("masd", "Mean average surface distance", "lower"),
        Score("nsd", "Normalised surface Dice"),
        Score("one_sided", "Surface on one side only", "lower"),
    )
    headline: ClassVar[str] = "nsd"

    def __post_init__(self) -> None:
        _checked(self.definition, self.absent)
        if self.absent not in ("nan", "diagonal"):
            raise InputError(f"a mean needs absent='nan' or 'diagonal', got {self.absent!r}")

    def keep(self, pair: Pair) -> SurfaceValues:
        limit = distance_in_unit(self.tolerance, _geometry(pair))
        kept = np.full((len(pair.truth.classes), len(self.values)), np.nan)
        for place, found in _each_class(pair, self.definition, self.absent):
            if found.sides:
                kept[place] = (
                    found.hausdorff(),
                    found.hausdorff(95),
                    found.assd,
                    found.masd,
                    found.nsd(limit),
                    found.sides == 1,
                )
        return SurfaceValues(kept, _geometry(pair).unit)

    def score(self, kept: Sequence[Any], weights: np.ndarray) -> Scores:
        units = sorted({each.unit for each in kept if not np.isnan(each.values).all()})
        if len(units) > 1:
            raise InputError(
                f"surfaces were measured in {' and '.join(units)}; distances in different units have no mean: "
                "give all images a spacing in one unit, or none"
            )
        return super().score([each.values for each in kept], weights)


def distance_in_unit(tolerance: Tolerance, geometry: Geometry) -> float:
    """A tolerance as a number in the unit of the geometry, pixels where there is no spacing.

    Raises ``InputError`` for a length where the spacing is unknown or in another unit, and for pixels where it is
    known.
    """
    reach = Reach.of(tolerance, geometry, 1 if geometry.spacing is None else len(geometry.spacing))
    if isinstance(tolerance, str) and geometry.spacing is not None and reach.steps != geometry.spacing:
        raise InputError(
            f"a tolerance of {tolerance} for surfaces measured in {geometry.unit}; give it in that unit"
        )
    return reach.distance


def _checked(definition: str, absent: str | None) -> Absent:
    if definition not in DEFINITIONS:
        raise unknown_name("definition", definition, DEFINITIONS)
    chosen = DEFINITIONS[definition] if absent is None else absent
    if chosen not in ("nan", "diagonal", "infinite"):
        raise unknown_name("value of absent", chosen, ("nan", "diagonal", "infinite"))
    return chosen  # type: ignore[return-value]


def _geometry(pair: Pair) -> Geometry:
    """The geometry of the side that has a spacing. Raises ``InputError`` where both have one and they differ."""
    first, second = pair.truth.geometry, pair.predicted.geometry
    if first.spacing is None or second.spacing is None:
        return second if first.spacing is None else first
    if first.unit != second.unit or not np.allclose(first.spacing, second.spacing, rtol=1e-4, atol=0):
        raise InputError(
            f"both sides must have one spacing, got {first} and {second}; "
            "replace(geometry=...) gives one side that of the other"
        )
    return first


def _each_class(
    pair: Pair, definition: Definition, absent: Absent | None
) -> Iterator[tuple[int, SurfaceDistances]]:
    spacing, void = _geometry(pair).spacing, pair.void
    for place, truth, predicted in class_masks(pair):
        yield (
            place,
            surface_distances(truth, predicted, spacing, definition=definition, absent=absent, void=void),
        )


def _of_classes(
    truth: Segmentation,
    predicted: Segmentation,
    definition: Definition,
    absent: Absent | None,
    score: Callable[[SurfaceDistances], float],
) -> np.ndarray:
    scores = np.full(len(truth.classes), np.nan)
    for place, found in _each_class(Pair(truth, predicted), definition, absent):
        scores[place] = score(found)
    return scores


def _percentile(away: np.ndarray, weights: np.ndarray | None, percentile: float) -> float:
    if weights is None:
        return float(away.max() if percentile == 100 else np.percentile(away, percentile))
    order = np.argsort(away)
    shares = np.cumsum(weights[order])
    place = int(np.searchsorted(shares / shares[-1], percentile / 100))
    return float(away[order[min(place, len(order) - 1)]])
