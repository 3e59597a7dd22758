"""Ridges: thin structures such as cracks, vessels and fibres, found by the curvature across them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..image import Image
from ..segmentation import Segmentation
from ..segmenter import Method
from .grey import Polarity, check_ndim, grey_plane, pieces
from .threshold import connected_to, hysteresis_thresholds

RidgeFilter = Literal["frangi", "meijering", "sato"]


def ridge_response(
    plane: np.ndarray, ridge_filter: RidgeFilter, sigmas_px: tuple[float, ...], polarity: Polarity = "bright"
) -> np.ndarray:
    """How much each pixel looks like part of a thin line, the highest over all ``sigmas_px``, (*S,) float64.

    A line of width w answers best at sigma = w / 2 or so. sato: curvature times sigma squared, in grey
    values; frangi: 0 to 1; meijering: 0 to 1 where 1 is the strongest in the image. A constant plane gives
    zeros.
    """
    from skimage import filters

    plane = plane.astype(np.float64)
    low, high = plane.min(), plane.max()
    if low == high:
        return np.zeros(plane.shape)
    # Differences along an axis need two pixels on it: a single one is repeated.
    padding = [(0, int(length == 1)) for length in plane.shape]
    response = getattr(filters, ridge_filter)(
        np.pad(plane - low, padding, mode="edge"),
        sigmas=sigmas_px,
        black_ridges=polarity == "dark",
        mode="reflect",
    )
    return response[tuple(slice(length) for length in plane.shape)]


class Ridge(Method):
    """Thin structures where a ridge filter answers, followed by hysteresis; one segment per connected piece.

    A pixel is possible above ``low`` and sure above ``high``; pieces of possible pixels that hold a sure one
    count.
    """

    name: ClassVar[str] = "ridge"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = (
        "Frangi et al., Multiscale vessel enhancement filtering, MICCAI (1998); "
        "Sato et al., Med. Image Anal. 2 (1998); "
        "Meijering et al., Cytometry A 58 (2004)"
    )

    filter: RidgeFilter = Field("sato", description="Ridge filter: frangi, meijering or sato.")
    sigmas_px: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        (1.0, 2.0, 3.0),
        min_length=1,
        description="Scales in pixels: about half the widths of the lines looked for.",
    )
    polarity: Polarity = Field(
        "bright",
        description="Whether the lines are brighter or darker than the ground.",
    )
    low: float | None = Field(
        None,
        ge=0,
        description="Least response of a possible pixel; left out, the lower one of Otsu's split in three.",
    )
    high: float | None = Field(
        None,
        ge=0,
        description="Least response of a sure pixel; left out, the upper one of Otsu's split in three.",
    )
    channel: str = Field("grey", description="Channel to look at; grey is the only one, or the luma of RGB.")
    connectivity: int = Field(
        2,
        ge=1,
        le=3,
        description="Axes a step may move along when pieces are joined: 1 edges, 2 corners too.",
    )
    min_area_px: int = Field(1, ge=1, description="Pieces with fewer pixels are dropped.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must be at most high, got {self.low:g} and {self.high:g}")
        return self

    def predict(self, image: Image) -> Segmentation:
        """One segment per connected thin structure."""
        check_ndim(image, self.name, self.ndims)
        plane = grey_plane(image, self.channel)
        response = ridge_response(plane, self.filter, self.sigmas_px, self.polarity)
        low, high = hysteresis_thresholds(response, self.low, self.high)
        mask = connected_to(response > high, response > low, self.connectivity)
        labels = pieces(mask, self.connectivity, self.min_area_px)
        return Segmentation.from_labels(labels, geometry=image.geometry, copy=False)
