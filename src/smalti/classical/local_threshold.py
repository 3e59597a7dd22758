"""Local thresholds: every pixel is compared with those around it, so uneven light does not matter."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator, Field

from .blur import gaussian_blur
from .grey import Polarity
from .threshold import Foreground


def _odd(window_px: int) -> int:
    if window_px % 2 == 0:
        raise ValueError(f"a window needs a middle pixel: an odd number, such as {window_px + 1}")
    return window_px


OddWindow = Annotated[int, AfterValidator(_odd)]
"""Width of a window in pixels, odd so that it has a middle."""

ROUNDING = 1e-9
"""Differences below this share of a plane's range are rounding of running sums, and count as none."""


def local_mean(plane: np.ndarray, window_px: int) -> np.ndarray:
    """Mean of the window around each pixel, (*S,) float64. The plane is mirrored at its edges."""
    plane = plane.astype(np.float64, copy=False)
    if plane.ndim == 2:
        import cv2

        return cv2.boxFilter(plane, -1, (window_px, window_px), borderType=cv2.BORDER_REFLECT)
    from scipy import ndimage

    return ndimage.uniform_filter(plane, window_px, mode="reflect")


def local_gaussian_mean(plane: np.ndarray, window_px: int) -> np.ndarray:
    """Gaussian-weighted mean of the window, three standard deviations from middle to edge, (*S,) float64."""
    return gaussian_blur(plane.astype(np.float64, copy=False), (window_px - 1) / 6, window_px // 2)


def local_mean_and_std(plane: np.ndarray, window_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the window around each pixel, both (*S,) float64."""
    plane = plane.astype(np.float64)
    middle = plane.mean()  # without it the difference of two large squares would be mostly rounding
    plane -= middle
    mean = local_mean(plane, window_px)
    variance = local_mean(plane * plane, window_px) - mean * mean
    return mean + middle, np.sqrt(np.maximum(variance, 0))


class AdaptiveMean(Foreground):
    """Pixels further than ``offset`` from the mean of the window around them; one segment per piece.

    The offset counts towards the objects for either polarity: bright pixels lie above mean + offset, dark
    ones below mean - offset. (OpenCV's ``C`` and scikit-image's ``offset`` are always subtracted: theirs for
    bright objects is minus this one.)
    """

    name: ClassVar[str] = "adaptive-mean"
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 10.3"

    window_px: OddWindow = Field(35, ge=3, le=9999, description="Width of the window in pixels, odd.")
    offset: float = Field(0.0, description="How far beyond the local mean objects lie, in grey values.")

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond their own local mean."""
        # Without the lowest value a constant plane is zeros, whose mean has no rounding.
        plane = plane.astype(np.float64) - float(plane.min())
        margin = self.offset + ROUNDING * plane.max()
        return self.beyond(plane, self.local(plane) + (margin if self.polarity == "bright" else -margin))

    def local(self, plane: np.ndarray) -> np.ndarray:
        """What each pixel is compared with, (*S,)."""
        return local_mean(plane, self.window_px)


class AdaptiveGaussian(AdaptiveMean):
    """As adaptive-mean, with a Gaussian-weighted mean: near pixels count more, without box-shaped halos.

    The standard deviation is a sixth of the window: three of them from its middle to its edge.
    """

    name: ClassVar[str] = "adaptive-gaussian"

    def local(self, plane: np.ndarray) -> np.ndarray:
        """What each pixel is compared with, (*S,)."""
        return local_gaussian_mean(plane, self.window_px)


class Niblack(Foreground):
    """Pixels more than ``k`` local standard deviations from their local mean; one segment per piece.

    Dark pixels lie below mean - k * std, bright ones above mean + k * std: a larger k keeps fewer pixels for
    either polarity. (Niblack prints mean + k * std with k = -0.2 for dark text.)
    """

    name: ClassVar[str] = "niblack"
    source: ClassVar[str] = "Niblack, An Introduction to Digital Image Processing (1986), pp. 115-116"

    polarity: Polarity = Field(
        "dark",
        description="Whether the objects are brighter or darker than the ground.",
    )
    window_px: OddWindow = Field(25, ge=3, le=9999, description="Width of the window in pixels, odd.")
    k: float = Field(
        0.2, ge=-10, le=10, description="Local standard deviations between the local mean and the threshold."
    )

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond their own local threshold."""
        plane = plane.astype(np.float64) - float(plane.min())
        mean, std = local_mean_and_std(plane, self.window_px)
        margin = self.k * std + ROUNDING * plane.max()
        return self.beyond(plane, mean + (margin if self.polarity == "bright" else -margin))


class Sauvola(Foreground):
    """Text on an uneven page: below mean * (1 + k * (std / max_std - 1)); one segment per piece.

    Where the page is flat the threshold falls well below the mean, so clean paper stays clean. The mean is
    measured from black, which is 0, or the lowest grey value where that is negative. Bright text is the same
    on the inverted page, measured down from the highest grey value.
    """

    name: ClassVar[str] = "sauvola"
    source: ClassVar[str] = (
        "Sauvola and Pietikainen, Adaptive document image binarization, Pattern Recogn. 33 (2000), eq. 5"
    )

    polarity: Polarity = Field(
        "dark",
        description="Whether the objects are brighter or darker than the ground.",
    )
    window_px: OddWindow = Field(25, ge=3, le=9999, description="Width of the window in pixels, odd.")
    k: float = Field(
        0.2,
        ge=0,
        le=1,
        description="How far the threshold falls below the mean where it is flat.",
    )
    max_std: float | None = Field(
        None,
        gt=0,
        description="Largest local standard deviation expected, R in the paper; left out, half the image's "
        "range.",
    )

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask of the pixels beyond their own local threshold."""
        plane = plane.astype(np.float64)
        low, high = plane.min(), plane.max()
        if low == high:
            return np.zeros(plane.shape, bool)
        depth = plane - min(low, 0.0) if self.polarity == "dark" else high - plane
        mean, std = local_mean_and_std(depth, self.window_px)
        max_std = (high - low) / 2 if self.max_std is None else self.max_std
        return depth < mean * (1 + self.k * (std / max_std - 1)) - ROUNDING * (high - low)
