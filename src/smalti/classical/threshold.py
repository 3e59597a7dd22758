"""Global thresholds: one grey value for the whole image divides objects from ground."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from ..image import Image
from ..segmentation import Segmentation
from ..segmenter import Method
from .grey import Polarity, check_ndim, grey_plane, pieces


class Foreground(Method):
    """What every method that divides objects from ground shares: the plane it looks at and how pieces are made."""

    ndims: ClassVar[tuple[int, ...]] = (2, 3)

    channel: str = Field("grey", description="Channel to look at; grey is the only one, or the luma of RGB.")
    polarity: Polarity = Field("bright", description="Whether the objects are brighter or darker than the ground.")
    connectivity: int = Field(
        1, ge=1, le=3, description="Axes a step may move along when pieces are joined: 1 edges, 2 corners too."
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

    threshold: float = Field(128.0, description="Grey value on the image's own scale; equal pixels are ground.")

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond the threshold."""
        return self.beyond(plane, self.threshold)


def otsu_threshold(plane: np.ndarray, bins: int = 256) -> float:
    """Grey value that best splits the histogram of a plane in two: larger values are the upper class.

    Otsu (1979), eq. 14: the split with the largest between-class variance. 8-bit planes are split between whole
    values whatever ``bins`` says. A constant plane has no split; its own value comes back, so nothing is above it.
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
    # Over a gap in the histogram every split is as good: its middle is the most robust one.
    return float(edges[(best[0] + best[-1]) // 2 + 1])


def histogram(plane: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (B,) and edges (B + 1,) over the plane's own range.

    Integers that span at most ``bins`` values (8-bit always) get one bin a value, edges half way between.
    """
    low, high = plane.min(), plane.max()
    if plane.dtype.kind in "ui" and int(high) - int(low) < max(bins, 256):
        counts = np.bincount((plane - low).reshape(-1), minlength=int(high) - int(low) + 1)
        return counts, np.arange(len(counts) + 1) + (float(low) - 0.5)
    return np.histogram(plane, bins)


class Otsu(Foreground):
    """Objects beyond the grey value that best splits the histogram in two, one segment per connected piece."""

    name: ClassVar[str] = "otsu"
    source: ClassVar[str] = "Otsu, A threshold selection method from gray-level histograms, IEEE SMC 9 (1979)"

    bins: int = Field(256, ge=2, le=65536, description="Histogram bins used to find the threshold.")

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond Otsu's threshold."""
        return self.beyond(plane, otsu_threshold(plane, self.bins))
