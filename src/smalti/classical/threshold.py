"""Global thresholds: one grey value for the whole image divides objects from ground."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..classes import ClassSet
from ..errors import InputError
from ..image import Image
from ..segmentation import Segmentation
from ..segmenter import Method
from .grey import Polarity, check_ndim, grey_plane, pieces


class Foreground(Method):
    """What every method that divides objects from ground shares: the plane and how pieces are made."""

    ndims: ClassVar[tuple[int, ...]] = (2, 3)

    channel: str = Field("grey", description="Channel to look at; grey is the only one, or the luma of RGB.")
    polarity: Polarity = Field(
        "bright",
        description="Whether the objects are brighter or darker than the ground.",
    )
    connectivity: int = Field(
        1,
        ge=1,
        le=3,
        description="Axes a step may move along when pieces are joined: 1 edges, 2 corners too.",
    )
    min_area_px: int = Field(1, ge=1, description="Pieces with fewer pixels are dropped.")

    def predict(self, image: Image) -> Segmentation:
        """One segment per connected piece of the foreground."""
        check_ndim(image, self.name, self.ndims)
        mask = self.foreground(grey_plane(image, self.channel))
        labels = pieces(mask, self.connectivity, self.min_area_px)
        return Segmentation.from_labels(labels, geometry=image.geometry, copy=False)

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask (*S,) of the objects in a grey ``plane``; a constant plane has none."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its foreground is")

    def beyond(self, plane: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
        """Pixels above the threshold, or below it when the objects are dark; never those equal to it."""
        return plane > threshold if self.polarity == "bright" else plane < threshold


class Fixed(Foreground):
    """Pixels beyond a given grey value, one segment per connected piece."""

    name: ClassVar[str] = "fixed"
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 10.3"

    threshold: float = Field(
        128.0,
        description="Grey value on the image's own scale; equal pixels are ground.",
    )

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond the threshold."""
        return self.beyond(plane, self.threshold)


def otsu_threshold(plane: np.ndarray, bins: int = 256) -> float:
    """Grey value that best splits the histogram of a plane in two: larger values are the upper class.

    Otsu (1979), eq. 14: the split with the largest between-class variance. 8-bit planes are split between
    whole values whatever ``bins`` says. A constant plane has no split; its own value comes back, so nothing
    is above it.
    """
    low, high = plane.min(), plane.max()
    if low == high:
        return float(low)
    counts, edges = histogram(plane, bins)
    centers = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    mass = np.cumsum(counts * centers)
    mean_below = mass[:-1] / np.maximum(below, 1)
    mean_above = (mass[-1] - mass[:-1]) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    # Over a gap in the histogram every split is as good: its middle is the most robust one. An equally good split
    # elsewhere is another gap's, and the middle between the two is none.
    gap = best[best - best[0] == np.arange(len(best))]
    return float(edges[(gap[0] + gap[-1]) // 2 + 1])


def histogram(plane: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (B,) and edges (B + 1,) over the plane's own range.

    Integers that span at most ``bins`` values (8-bit always) get one bin a value, edges half way between.
    Floats so close together that they have no room for ``bins`` bins get one bin a value too.
    """
    low, high = plane.min(), plane.max()
    if plane.dtype.kind in "ui" and int(high) - int(low) < max(bins, 256):
        steps = np.subtract(plane, low, dtype=np.int64)  # an int8 plane spans more than int8 holds
        counts = np.bincount(steps.reshape(-1), minlength=int(high) - int(low) + 1)
        return counts, np.arange(len(counts) + 1) + (float(low) - 0.5)
    low, high = float(low), float(high)
    if not np.isfinite(high - low):
        raise InputError(f"grey values from {low:g} to {high:g} are too far apart; divide them first")
    if (np.diff(np.linspace(low, high, bins + 1)) > 0).all():
        return np.histogram(plane.astype(np.float64, copy=False), bins, (low, high))
    values, counts = np.unique(plane, return_counts=True)
    return counts, np.concatenate([values[:1], values]).astype(np.float64)


class Otsu(Foreground):
    """Objects beyond the grey value that best splits the histogram in two; one segment per piece."""

    name: ClassVar[str] = "otsu"
    source: ClassVar[str] = "Otsu, A threshold selection method from gray-level histograms, IEEE SMC 9 (1979)"

    bins: int = Field(256, ge=2, le=65536, description="Histogram bins used to find the threshold.")

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond Otsu's threshold."""
        return self.beyond(plane, otsu_threshold(plane, self.bins))


def multi_otsu_thresholds(plane: np.ndarray, num_classes: int, bins: int = 256) -> np.ndarray:
    """The ``num_classes - 1`` grey values, ascending, that best split the histogram of a plane.

    The splits of Otsu (1979) for several classes: those with the largest between-class variance. They are
    found exactly, by dynamic programming over the occupied bins: ``num_classes * bins ** 2`` steps, where
    trying all splits takes ``bins ** (num_classes - 1)``. A threshold lies half way over the gap between its
    two classes. A plane with fewer occupied bins than classes has one class a bin, and so fewer thresholds: a
    constant one, none.
    """
    low, high = plane.min(), plane.max()
    if low == high:
        return np.zeros(0)
    counts, edges = histogram(plane, bins)
    occupied = np.flatnonzero(counts)
    centers = (edges[occupied] + edges[occupied + 1]) / 2
    centers -= centers.mean()
    weight = np.concatenate([[0], np.cumsum(counts[occupied])])
    mass = np.concatenate([[0], np.cumsum(counts[occupied] * centers)])
    size = len(occupied)
    num_classes = min(num_classes, size)

    # gain[i, j]: what a class of bins i..j adds to the between-class variance, up to a constant.
    begin, end = np.arange(size)[:, np.newaxis], np.arange(1, size + 1)
    gain = np.full((size, size), -np.inf)
    inside = begin < end
    squared = (mass[end] - mass[begin]) ** 2
    np.divide(squared, weight[end] - weight[begin], out=gain, where=inside)
    best = gain[0]
    first_bins = []
    for _ in range(num_classes - 1):
        # The last class begins at bin i + 1 and the classes before it are at their best on bins 0..i.
        total = best[:-1, np.newaxis] + gain[1:]
        first_bins.append(total.argmax(axis=0) + 1)
        best = total.max(axis=0)
    found = []
    last = size - 1
    for first in reversed(first_bins):
        found.append(first[last])
        last = first[last] - 1
    splits = np.array(found[::-1])
    return (edges[occupied[splits - 1] + 1] + edges[occupied[splits]]) / 2


class MultiOtsu(Method):
    """Levels of grey, from dark to bright, at the histogram's best splits: one segment per level."""

    name: ClassVar[str] = "multi-otsu"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = (
        "Otsu, A threshold selection method from gray-level histograms, IEEE SMC 9 (1979); "
        "Liao et al., A fast algorithm for multilevel thresholding, J. Inf. Sci. Eng. 17 (2001)"
    )

    num_classes: int = Field(
        3,
        ge=2,
        le=16,
        description="Levels of grey, called level_1 (darkest) and so on.",
    )
    channel: str = Field("grey", description="Channel to look at; grey is the only one, or the luma of RGB.")
    bins: int = Field(256, ge=2, le=2048, description="Histogram bins used to find the thresholds.")

    def predict(self, image: Image) -> Segmentation:
        """One segment of stuff per level that has pixels, which together cover the image.

        An image of fewer grey values than levels has the first levels only; a constant one is level_1 all
        over.
        """
        check_ndim(image, self.name, self.ndims)
        plane = grey_plane(image, self.channel)
        levels = np.searchsorted(multi_otsu_thresholds(plane, self.num_classes, self.bins), plane) + 1
        names = [f"level_{level}" for level in range(1, self.num_classes + 1)]
        classes = ClassSet.from_names(names, thing=False)
        return Segmentation.from_semantic_map(levels, classes, geometry=image.geometry)


def triangle_threshold(plane: np.ndarray, bins: int = 256) -> float:
    """Grey value at the foot of the histogram's peak, where its longer tail begins.

    The foot is the bin farthest below the line from the peak to the end of the tail.
    Zack, Rogers and Latt (1977). For a histogram that is one tall peak, the ground, with a long low tail, the
    objects. A constant plane has no tail; its own value comes back.
    """
    low, high = plane.min(), plane.max()
    if low == high:
        return float(low)
    counts, edges = histogram(plane, bins)
    peak = int(counts.argmax())
    last = len(counts) - 1
    end = 0 if peak > last - peak else last
    steps = np.arange(abs(end - peak) + 1)
    tail = counts[peak + steps * (1 if end > peak else -1)]
    line = tail[0] + (tail[-1] - tail[0]) * (steps / max(steps[-1], 1))
    foot = peak + int((line - tail).argmax()) * (1 if end > peak else -1)
    return float((edges[foot] + edges[foot + 1]) / 2)


class Triangle(Foreground):
    """Objects in the long tail of the histogram, beyond the foot of its peak; one segment per piece."""

    name: ClassVar[str] = "triangle"
    source: ClassVar[str] = (
        "Zack, Rogers and Latt, Automatic measurement of sister chromatid exchange frequency, "
        "J. Histochem. Cytochem. 25 (1977)"
    )

    bins: int = Field(256, ge=2, le=65536, description="Histogram bins used to find the threshold.")

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond the triangle threshold."""
        return self.beyond(plane, triangle_threshold(plane, self.bins))


def li_threshold(plane: np.ndarray) -> float:
    """Grey value whose two classes, each replaced by its mean, lose least cross-entropy against the plane.

    Li and Tam (1998), eq. 7: a fixed point, iterated from the mean grey value until it moves by less than
    half the smallest difference of two grey values. Values are taken relative to the lowest one, as
    logarithms need them positive. All values count, not bins of them. A constant plane has no split; its own
    value comes back.
    """
    low, high = plane.min(), plane.max()
    if low == high:
        return float(low)
    if plane.dtype.kind in "ui" and int(high) - int(low) < 2**16:
        counts, _ = histogram(plane, 2**16)
        values = np.flatnonzero(counts).astype(np.float64)
        counts = counts[counts > 0]
    else:
        values, counts = np.unique(plane, return_counts=True)
        values = values.astype(np.float64) - float(low)
    number = np.cumsum(counts)
    mass = np.cumsum(counts * values)
    tolerance = np.diff(values).min() / 2
    threshold = mass[-1] / number[-1]
    for _ in range(len(values)):  # far fewer are needed
        below = int(np.searchsorted(values, threshold, side="right")) - 1
        mean_below = mass[below] / number[below]
        if mean_below == 0:  # only the lowest value is left below: there is no logarithm, and no better split
            break
        mean_above = (mass[-1] - mass[below]) / (number[-1] - number[below])
        spread = np.log(mean_above) - np.log(mean_below)
        if spread == 0:  # as close as floats can be
            break
        moved = (mean_above - mean_below) / spread
        if abs(moved - threshold) <= tolerance:
            threshold = moved
            break
        threshold = moved
    return float(threshold + float(low))


class Li(Foreground):
    """Objects beyond the grey value of minimum cross-entropy, suits faint ones; one segment per piece."""

    name: ClassVar[str] = "li"
    source: ClassVar[str] = (
        "Li and Tam, An iterative algorithm for minimum cross entropy thresholding, "
        "Pattern Recogn. Lett. 19 (1998)"
    )

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond Li's threshold."""
        return self.beyond(plane, li_threshold(plane))


class Hysteresis(Foreground):
    """Pieces of possible pixels that hold a sure one: faint parts count where they hang on to a clear part.

    Bright objects are possible above ``low`` and sure above ``high``; dark ones are possible below ``high``
    and sure below ``low``.
    """

    name: ClassVar[str] = "hysteresis"
    source: ClassVar[str] = (
        "Canny, A computational approach to edge detection, IEEE PAMI 8 (1986), section VI"
    )

    low: float | None = Field(
        None, description="Lower grey value; left out, the lower threshold of Otsu's split in three."
    )
    high: float | None = Field(
        None, description="Upper grey value; left out, the upper threshold of Otsu's split in three."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must be at most high, got {self.low:g} and {self.high:g}")
        return self

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the possible pixels connected to a sure one."""
        low, high = hysteresis_thresholds(plane, self.low, self.high)
        sure, possible = (high, low) if self.polarity == "bright" else (low, high)
        return connected_to(self.beyond(plane, sure), self.beyond(plane, possible), self.connectivity)


def hysteresis_thresholds(plane: np.ndarray, low: float | None, high: float | None) -> tuple[float, float]:
    """Both thresholds; one that is not given is that of Otsu's split of the plane in three classes.

    A plane of two values is split between them, and a constant one at its own value. Raises ``InputError``
    where a given threshold and one found lie the wrong way round.
    """
    if low is None or high is None:
        found = multi_otsu_thresholds(plane, 3)
        found = found if len(found) else np.array([float(plane.min())])
        given = low if low is not None else high
        low = float(found[0]) if low is None else low
        high = float(found[-1]) if high is None else high
        if low > high:
            raise InputError(
                f"the given threshold {given:g} and the one found lie the wrong way round: low {low:g}, "
                f"high {high:g}; give both low and high"
            )
    return low, high


def connected_to(sure: np.ndarray, possible: np.ndarray, connectivity: int = 1) -> np.ndarray:
    """Mask (*S,) of the pieces of ``possible`` that hold at least one pixel of ``sure``."""
    labels = pieces(possible, connectivity)
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[labels[sure]] = True
    kept[0] = False
    return kept[labels]
