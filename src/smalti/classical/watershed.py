"""Watersheds: touching objects parted along their necks, and basins of the gradient."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from ..image import Image
from ..postprocess.flooding import depth_markers, part_touching, watershed
from ..prompts import given_prompts, segment_markers
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts
from .adjacency import REGION
from .grey import check_ndim, full_scale, grey_plane
from .threshold import Foreground, otsu_threshold


class Watershed(Foreground):
    """Objects beyond a threshold, touching ones parted where they are narrow, one segment each.

    The image is smoothed, its ground flattened if asked for, thresholded, and holes filled; the distance of each
    pixel from the ground then has a peak in the middle of every object, from which its basin is flooded.
    """

    name: ClassVar[str] = "watershed"
    source: ClassVar[str] = (
        "Beucher and Lantuejoul (1979) for the watershed; Vincent and Soille, Watersheds in digital spaces, IEEE "
        "PAMI 13 (1991); markers: Soille, Morphological Image Analysis, 2nd ed. (2003), section 6.3.3"
    )

    sigma_px: float = Field(
        2.0, ge=0, le=100, description="Standard deviation of the Gaussian applied first."
    )
    flatten_px: float = Field(
        0.0,
        ge=0,
        le=10_000,
        description="Standard deviation of the Gaussian that is taken for uneven ground and subtracted; 0 does not.",
    )
    threshold: float | None = Field(
        None,
        description="Grey value of the objects' edge, above the ground if that is flattened; Otsu's if none.",
    )
    fill_holes: bool = Field(
        True, description="Whether ground that one object encloses belongs to the object."
    )
    min_depth_px: float = Field(
        2.0, gt=0, description="How much narrower, in pixels of radius, the neck between two objects must be."
    )

    def predict(self, image: Image) -> Segmentation:
        """One segment per object; touching objects are parted."""
        check_ndim(image, self.name, self.ndims)
        mask = self.foreground(grey_plane(image, self.channel))
        labels = part_touching(mask, self.min_depth_px, min(self.connectivity, image.ndim))
        if self.min_area_px > 1:
            areas = np.bincount(labels.reshape(-1))
            labels = np.where(areas[labels] >= self.min_area_px, labels, 0)
        return Segmentation.from_labels(labels, geometry=image.geometry)

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask (*S,) of the objects, touching ones not yet parted."""
        from scipy.ndimage import binary_fill_holes, gaussian_filter

        if self.sigma_px:
            plane = gaussian_filter(plane, self.sigma_px, output=np.float64, mode="nearest")
        if self.flatten_px:
            plane = plane - gaussian_filter(plane, self.flatten_px, output=np.float64, mode="nearest")
        mask = self.beyond(plane, otsu_threshold(plane) if self.threshold is None else self.threshold)
        return binary_fill_holes(mask) if self.fill_holes else mask


class GradientWatershed(Method):
    """Basins of the gradient, which meet along edges: of what prompts mark, or of every flat place.

    With points or scribbles, one segment per number marked; mark background too, as every pixel goes to the mark
    whose basin reaches it. Without, one region per place where the gradient is low.
    """

    name: ClassVar[str] = "gradient-watershed"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    prompts: ClassVar[tuple[str, ...]] = ("points", "scribbles")
    source: ClassVar[str] = (
        "Meyer and Beucher, Morphological segmentation, J. Vis. Commun. Image Repr. 1 (1990)"
    )

    channel: str = Field("grey", description="Channel to look at; grey is the only one, or the luma of RGB.")
    sigma_px: float = Field(
        2.0, gt=0, le=100, description="Standard deviation of the Gaussian whose gradient is taken."
    )
    min_depth: float = Field(
        0.01,
        gt=0,
        description="Depth of a basin of its own in gradient (full scale 1, per pixel), when nothing is marked.",
    )
    connectivity: int = Field(
        1,
        ge=1,
        le=3,
        description="Axes one step of the flood may move along: 1 over edges, 2 over corners too.",
    )

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """Segments of the numbers marked by points or scribbles, or regions that cover the whole image."""
        from scipy.ndimage import gaussian_gradient_magnitude

        check_ndim(image, self.name, self.ndims)
        given = given_prompts(self, image, prompts)
        plane = full_scale(grey_plane(image, self.channel))
        gradient = gaussian_gradient_magnitude(plane, self.sigma_px, mode="nearest")
        connectivity = min(self.connectivity, image.ndim)
        if given is None:
            markers = depth_markers(-gradient, self.min_depth, connectivity=connectivity)
            labels = watershed(gradient, markers, connectivity=connectivity)
            return Segmentation.from_labels(labels, classes=REGION, geometry=image.geometry)
        markers, background = segment_markers(given, image.shape)
        labels = watershed(gradient, markers, connectivity=connectivity)
        return Segmentation.from_labels(np.where(labels == background, 0, labels), geometry=image.geometry)
