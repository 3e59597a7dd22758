"""How sure probabilities are, pixel by pixel, segment by segment, and where a look is most worth it. Large = unsure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..segmentation import Segmentation


class Place(NamedTuple):
    """A box (2 * ndim,), ``ymin, xmin, ymax, xmax``, half open, and the mean of the map over what counts in it."""

    box: tuple[int, ...]
    value: float


def margin(probabilities: np.ndarray) -> np.ndarray:
    """1 - (p1 - p2) of each pixel, p1 and p2 being its two highest probabilities, (*S,) float32, 0..1.

    1 where two classes are equally likely, 0 where one is certain, whatever the rest of the classes. Takes
    ``probabilities`` (K, *S) that sum to 1. With one class everything is certain.
    """
    _check_planes(probabilities)
    first = probabilities[0].astype(np.float32)
    second = np.zeros_like(first)
    for plane in probabilities[1:]:
        np.maximum(second, np.minimum(first, plane), out=second)
        np.maximum(first, plane, out=first)
    if len(probabilities) == 1:
        return np.zeros_like(first)
    return np.clip(1 - (first - second), 0, 1)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of each pixel's classes over log K, its largest value, (*S,) float32, 0..1 (Shannon 1948).

    1 where all K classes are equally likely, 0 where one is certain. ``probabilities`` (K, *S) sum to 1.
    """
    _check_planes(probabilities)
    total = np.zeros(probabilities.shape[1:], np.float32)
    if len(probabilities) == 1:
        return total
    tiny = np.finfo(np.float32).tiny
    for plane in probabilities:
        plane = plane.astype(np.float32, copy=False)
        total -= plane * np.log(np.maximum(plane, tiny))
    total /= np.float32(math.log(len(probabilities)))
    return np.clip(total, 0, 1, out=total)


def of_segments(segmentation: Segmentation, values: np.ndarray) -> np.ndarray:
    """Mean of ``values`` (*S,) over each segment's pixels, (N,) float64; NaN for a segment without pixels."""
    if values.shape != segmentation.shape:
        raise InputError(f"values must be {segmentation.shape} as the segmentation is, got {values.shape}")
    sums = np.zeros(len(segmentation))
    for layer in segmentation.layers():
        sums += np.bincount(layer.reshape(-1), values.reshape(-1), len(segmentation) + 1)[1:]
    areas = segmentation.areas_px
    return np.divide(sums, areas, out=np.full(len(segmentation), np.nan), where=areas > 0)


def most_uncertain_place(
    values: np.ndarray,
    size_px: int | Sequence[int],
    known: np.ndarray | None = None,
    least_free: float = 0.5,
) -> Place | None:
    """The box of ``size_px`` (one length, or one per axis) whose mean of ``values`` (*S,) is highest.

    Pixels of ``known`` (bool (*S,)), which somebody labelled already, do not count, and a box is looked at only if at
    least ``least_free`` of it is not known; None if there is none such. A box is never larger than the image. Of
    equally high ones the first in scan order.
    """
    return next(iter(most_uncertain_places(values, size_px, known, least_free, 1)), None)


def most_uncertain_places(
    values: np.ndarray,
    size_px: int | Sequence[int],
    known: np.ndarray | None = None,
    least_free: float = 0.5,
    most: int = 10,
) -> list[Place]:
    """The ``most`` boxes that ``most_uncertain_place`` would give one after the other, none of which overlap."""
    sizes = (size_px,) * values.ndim if isinstance(size_px, int | np.integer) else tuple(size_px)
    if len(sizes) != values.ndim or min(sizes) < 1:
        raise InputError(f"size_px is one length of at least 1, or {values.ndim} of them, got {size_px}")
    if known is not None and (known.shape != values.shape or known.dtype != bool):
        raise InputError(f"known must be bool {values.shape}, got {known.dtype} {known.shape}")
    if not 0 < least_free <= 1:
        raise InputError(f"least_free is above 0 and up to 1, got {least_free}")
    if not np.isfinite(values).all():
        raise InputError("values must be finite numbers")
    size = tuple(min(int(want), have) for want, have in zip(sizes, values.shape, strict=True))
    free = np.ones(values.shape, bool) if known is None else ~known
    # Whole numbers, so that equal boxes come out equal wherever they lie: 2**20 steps of the highest value.
    top = float(np.abs(values).max()) or 1.0
    steps = np.rint(values.astype(np.float64) * (2**20 / top)).astype(np.int64) * free
    count = _box_sums(free.astype(np.int64), size)
    allowed = count >= max(1, math.ceil(least_free * math.prod(size)))
    mean = np.where(allowed, _box_sums(steps, size) / np.maximum(count, 1), -np.inf)
    places: list[Place] = []
    while len(places) < most:
        corner = np.unravel_index(int(mean.argmax()), mean.shape)
        if mean[corner] == -np.inf:
            break
        low = tuple(int(start) for start in corner)
        high = tuple(start + length for start, length in zip(low, size, strict=True))
        inside = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
        places.append(Place((*low, *high), float(values[inside][free[inside]].mean(dtype=np.float64))))
        near = (slice(max(0, at - by + 1), at + by) for at, by in zip(low, size, strict=True))
        mean[tuple(near)] = -np.inf
    return places


def _box_sums(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Sums (int64) over every box of ``size`` that lies inside, by running sums along one axis after the other."""
    for axis, length in enumerate(size):
        sums = np.cumsum(values, axis=axis)
        ends = np.moveaxis(sums, axis, 0)[length - 1 :].copy()
        ends[1:] -= np.moveaxis(sums, axis, 0)[:-length]
        values = np.moveaxis(ends, 0, axis)
    return values


def _check_planes(probabilities: np.ndarray) -> None:
    if probabilities.ndim < 2 or not len(probabilities):
        raise InputError(f"probabilities are (K, *S), a plane per class, got shape {probabilities.shape}")
