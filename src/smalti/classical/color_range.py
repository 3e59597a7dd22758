"""A box in a colour space: pixels whose colour lies between two corners."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..image import Image
from ..segmentation import Segmentation
from ..segmenter import Method
from .grey import check_ndim, full_scale, pieces, rgb_planes

ColorSpace = Literal["hsv", "lab", "rgb"]

SPACES: dict[str, tuple[tuple[str, float, float], ...]] = {
    "hsv": (("hue", 0.0, 360.0), ("saturation", 0.0, 1.0), ("value", 0.0, 1.0)),
    "lab": (("lightness", 0.0, 100.0), ("a", -128.0, 128.0), ("b", -128.0, 128.0)),
    "rgb": (("red", 0.0, 1.0), ("green", 0.0, 1.0), ("blue", 0.0, 1.0)),
}
"""Channels of each colour space with their lowest and highest value; hue is in degrees."""


def to_color_space(rgb: np.ndarray, space: ColorSpace) -> np.ndarray:
    """Red, green, blue of 0..1 (*S, 3) in another colour space, (*S, 3) float32, in the units of ``SPACES``.

    RGB is taken as sRGB and Lab is CIE 1976 under D65. The hue of a grey pixel is 0.
    """
    if space == "rgb":
        return rgb.astype(np.float32)
    if space == "lab":
        # Not OpenCV's: it goes by a table and is up to 0.4 units away (OpenCV 5.0, random colours).
        from skimage.color import rgb2lab

        return rgb2lab(rgb).astype(np.float32)
    # Not OpenCV's: it adds a small number to each divisor, so that a pure colour has a saturation below 1.
    red, green, blue = np.moveaxis(rgb.astype(np.float32, copy=False), -1, 0)
    value = rgb.max(axis=-1)
    chroma = value - rgb.min(axis=-1)
    divisor = np.where(chroma > 0, chroma, 1)
    sextant = np.where(
        value == red,
        (green - blue) / divisor,
        np.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    saturation = chroma / np.where(value > 0, value, 1)
    return np.stack([sextant * 60 % 360, saturation, value], axis=-1, dtype=np.float32)


class ColorRange(Method):
    """Pixels whose colour lies between ``lower`` and ``upper``; one segment per connected piece.

    Both ends belong to the range. A lower hue above the upper one goes through red: 340 to 20 degrees.
    Integer images are divided by the highest value of their type; floats must lie in 0..1. The default takes
    everything that has a clear colour, of any hue.
    """

    name: ClassVar[str] = "color-range"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 6.7"

    space: ColorSpace = Field(
        "hsv", description="hsv: hue 0..360 degrees, saturation, value 0..1; lab: L 0..100, a, b; rgb: 0..1."
    )
    lower: tuple[float, float, float] = Field(
        (0.0, 0.3, 0.2), description="Lowest value of each channel, in the units of the space."
    )
    upper: tuple[float, float, float] = Field(
        (360.0, 1.0, 1.0),
        description="Highest value of each channel; a hue below the lower one goes through red.",
    )
    connectivity: int = Field(
        1,
        ge=1,
        le=3,
        description="Axes a step may move along when pieces are joined: 1 edges, 2 corners too.",
    )
    min_area_px: int = Field(1, ge=1, description="Pieces with fewer pixels are dropped.")

    @model_validator(mode="after")
    def _fits_the_space(self) -> Self:
        if self.space != "hsv" and not {"lower", "upper"} <= self.model_fields_set:
            raise ValueError(f"say lower and upper for {self.space}; their defaults are for hsv")
        for (channel, lowest, highest), lower, upper in zip(
            SPACES[self.space], self.lower, self.upper, strict=True
        ):
            if not (lowest <= lower <= highest and lowest <= upper <= highest):
                raise ValueError(f"{channel} goes from {lowest:g} to {highest:g}, got {lower:g} to {upper:g}")
            if lower > upper and channel != "hue":
                raise ValueError(f"lower {channel} {lower:g} is above the upper one {upper:g}")
        return self

    def predict(self, image: Image) -> Segmentation:
        """One segment per connected piece inside the range. Grey images have no hue and no saturation."""
        check_ndim(image, self.name, self.ndims)
        colors = to_color_space(full_scale(rgb_planes(image, self.name), np.float32), self.space)
        lower, upper = np.array(self.lower, np.float32), np.array(self.upper, np.float32)
        above, below = colors >= lower, colors <= upper
        inside = above & below
        if self.space == "hsv" and lower[0] > upper[0]:
            inside[..., 0] = above[..., 0] | below[..., 0]
        labels = pieces(np.all(inside, axis=-1), self.connectivity, self.min_area_px)
        return Segmentation.from_labels(labels, geometry=image.geometry, copy=False)
