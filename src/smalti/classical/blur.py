"""The Gaussian blur that methods and steps share, in 2-D and 3-D."""

from __future__ import annotations

from typing import Literal

import numpy as np


def gaussian_blur(
    plane: np.ndarray,
    sigma_px: float,
    radius_px: int | None = None,
    edge: Literal["mirrored", "repeated"] = "mirrored",
) -> np.ndarray:
    """A plane or volume (*S,) of float32 or float64 blurred, in its dtype.

    The Gaussian is cut ``radius_px`` from its middle, at four standard deviations if left out. Beyond its ``edge``
    the image goes on mirrored, the outermost pixel twice, or with that pixel repeated.
    """
    radius_px = int(4 * sigma_px + 0.5) if radius_px is None else radius_px
    if plane.ndim == 2:
        import cv2

        border = cv2.BORDER_REFLECT if edge == "mirrored" else cv2.BORDER_REPLICATE
        size = 2 * radius_px + 1
        return cv2.GaussianBlur(plane, (size, size), sigma_px, borderType=border)
    from scipy import ndimage

    mode = "reflect" if edge == "mirrored" else "nearest"
    return ndimage.gaussian_filter(plane, sigma_px, radius=radius_px, mode=mode)
