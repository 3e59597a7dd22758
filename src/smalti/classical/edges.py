"""Discontinuities: edges found by first or second derivatives, and the regions they enclose.

All four methods share the way from edges to regions. Edges are widened by ``closing_px``, which bridges gaps
of up to twice that. Whatever cannot be reached from outside the image without crossing an edge, from pixel
side to pixel side, is enclosed. Pixels of the widened edges go to the enclosed region or to the outside,
whichever is nearer, so the outline runs along the middle of the edge, and open lines leave nothing. A region
that the image's border cuts off has no closed outline and is not found, nor is one of less than
``closing_px`` from middle to edge.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..image import Image
from ..segmentation import Segmentation
from ..segmenter import Method
from .blur import gaussian_blur
from .grey import check_ndim, grey_plane, pieces
from .threshold import otsu_threshold

ROUNDING = 1e-9
"""Slopes below this share of a plane's range are rounding, and count as none."""


def smoothed(plane: np.ndarray, sigma_px: float) -> np.ndarray:
    """The plane (H, W) above its lowest value, as float64, blurred by a Gaussian; 0 leaves it sharp."""
    plane = plane.astype(np.float64) - float(plane.min())  # so that a constant plane is exactly 0
    if sigma_px == 0:
        return plane
    return gaussian_blur(plane, sigma_px, int(np.ceil(4 * sigma_px)))


def slopes(plane: np.ndarray, operator: Literal["sobel", "scharr"]) -> tuple[np.ndarray, np.ndarray]:
    """Derivative along y and along x of a plane (H, W) float64, in grey values per pixel."""
    import cv2

    filtered = cv2.Sobel if operator == "sobel" else cv2.Scharr
    scale = 1 / 8 if operator == "sobel" else 1 / 32  # the kernels' sum of weights for a slope of one
    return tuple(
        filtered(plane, cv2.CV_64F, dx, 1 - dx, scale=scale, borderType=cv2.BORDER_REFLECT) for dx in (0, 1)
    )


def enclosed_regions(edges: np.ndarray, closing_px: int = 0, nested: bool = False) -> np.ndarray:
    """Regions enclosed by edges (H, W) bool, numbered 1..N, (H, W) int32.

    Gaps of up to twice ``closing_px`` pixels are bridged. (Morphological closing would not do it: the disk at
    the middle of a gap in a thin line is never covered by the disks around it.) Without ``nested`` only
    outermost outlines count and edges inside them are part of the region; with it, each stretch between edges
    is a region of its own. Edge pixels belong to what is nearest, to a region on a tie.
    """
    import cv2

    margin = closing_px + 1
    inner = (slice(margin, -margin),) * 2
    edges = np.pad(edges, margin)
    if closing_px:
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * closing_px + 1, 2 * closing_px + 1))
        edges = cv2.dilate(edges.view(np.uint8), disk).view(bool)
    spaces = pieces(~edges, connectivity=1)
    outside = spaces == spaces[0, 0]
    inside = ~(outside | edges)
    if not inside.any():
        return np.zeros(edges.shape, np.int32)[inner].copy()
    to_inside, nearest = cv2.distanceTransformWithLabels(
        (~inside).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    to_outside = cv2.distanceTransform((~outside).view(np.uint8), cv2.DIST_L2, 5)
    covered = inside | (edges & (to_inside <= to_outside))
    if not nested:
        return pieces(covered[inner].copy(), connectivity=1)
    region_of = np.zeros(int(nearest.max()) + 1, np.int32)
    region_of[nearest[inside]] = spaces[inside] - 1  # the first space is the outside
    return (region_of[nearest] * covered)[inner].copy()


class ClosedEdges(Method):
    """What the edge methods share: smoothing before, and the way from edges to the regions they enclose."""

    channel: str = Field("grey", description="Channel to look at; grey is the only one, or the luma of RGB.")
    sigma_px: float = Field(1.0, ge=0, le=100, description="Gaussian blur before, in pixels; 0 for none.")
    closing_px: int = Field(
        2,
        ge=0,
        le=100,
        description="Edges are joined over gaps of up to twice this many pixels.",
    )
    nested: bool = Field(
        False,
        description="Whether edges inside an outline divide it; otherwise all inside it is one segment.",
    )
    min_area_px: int = Field(1, ge=1, description="Regions with fewer pixels are dropped.")

    def predict(self, image: Image) -> Segmentation:
        """One segment per closed region."""
        check_ndim(image, self.name, self.ndims)
        edges = self.edges(grey_plane(image, self.channel))
        labels = enclosed_regions(edges, self.closing_px, self.nested)
        segmentation = Segmentation.from_labels(labels, geometry=image.geometry, copy=False)
        return segmentation[segmentation.areas_px >= self.min_area_px]

    def edges(self, plane: np.ndarray) -> np.ndarray:
        """Edge pixels of a grey plane, (H, W) bool; a constant plane has none."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its edges are")


class Sobel(ClosedEdges):
    """Regions enclosed by pixels whose Sobel slope is above a threshold."""

    name: ClassVar[str] = "sobel"
    source: ClassVar[str] = (
        "Sobel and Feldman (1968), in Duda and Hart, Pattern Classification (1973), p. 271"
    )

    operator: ClassVar[Literal["sobel", "scharr"]] = "sobel"

    threshold: float | None = Field(
        None,
        ge=0,
        description="Least slope of an edge in grey values per pixel; left out, Otsu's on the slopes.",
    )

    def edges(self, plane: np.ndarray) -> np.ndarray:
        """Pixels steeper than the threshold."""
        plane = smoothed(plane, self.sigma_px)
        steepness = np.hypot(*slopes(plane, self.operator))
        threshold = otsu_threshold(steepness) if self.threshold is None else self.threshold
        return steepness > max(threshold, ROUNDING * plane.max())


class Scharr(Sobel):
    """Regions enclosed by pixels whose Scharr slope, the same in all directions, is above a threshold."""

    name: ClassVar[str] = "scharr"
    source: ClassVar[str] = "Scharr, Optimale Operatoren in der Digitalen Bildverarbeitung, Heidelberg (2000)"
    operator: ClassVar[Literal["sobel", "scharr"]] = "scharr"


class Canny(ClosedEdges):
    """Regions enclosed by Canny edges: thin lines along the steepest slope, each with a sure pixel."""

    name: ClassVar[str] = "canny"
    source: ClassVar[str] = "Canny, A computational approach to edge detection, IEEE PAMI 8 (1986)"

    low: float | None = Field(
        None,
        ge=0,
        description="Least slope of a possible edge, grey values per pixel; left out, half of high.",
    )
    high: float | None = Field(
        None,
        ge=0,
        description="Least slope of a sure edge, grey values per pixel; left out, Otsu's on the slopes.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is None:
            raise ValueError(f"low {self.low:g} needs a high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must be at most high, got {self.low:g} and {self.high:g}")
        return self

    def edges(self, plane: np.ndarray) -> np.ndarray:
        """Canny edges, by Sobel slopes."""
        import cv2

        plane = smoothed(plane, self.sigma_px)
        dy, dx = slopes(plane, "sobel")
        steepness = np.hypot(dy, dx)
        steepest = steepness.max()
        if steepest <= ROUNDING * plane.max():
            return np.zeros(plane.shape, bool)
        high = otsu_threshold(steepness) if self.high is None else self.high
        low = high / 2 if self.low is None else self.low
        # OpenCV takes slopes as int16: the steepest is 30000, so the steps are finer than a 30000th of it.
        scale = 30000 / steepest
        dx, dy = (np.rint(slope * scale).astype(np.int16) for slope in (dx, dy))
        low, high = (min(max(threshold * scale, 1), 32000) for threshold in (low, high))
        return cv2.Canny(dx, dy, low, high, L2gradient=True) > 0


class Log(ClosedEdges):
    """Regions enclosed by zero crossings of the Laplacian of a Gaussian (Marr and Hildreth)."""

    name: ClassVar[str] = "log"
    source: ClassVar[str] = "Marr and Hildreth, Theory of edge detection, Proc. R. Soc. B 207 (1980)"

    sigma_px: float = Field(2.0, gt=0, le=100, description="Standard deviation of the Gaussian, in pixels.")
    threshold: float | None = Field(
        None,
        ge=0,
        description="Least change of the Laplacian over a crossing, grey values per pixel squared; "
        "left out, Otsu's, where pixels without a crossing count as 0.",
    )

    def edges(self, plane: np.ndarray) -> np.ndarray:
        """Pixels next to a strong zero crossing, on the side where the Laplacian is nearer to zero."""
        import cv2

        plane = smoothed(plane, self.sigma_px)
        laplacian = cv2.Laplacian(plane, cv2.CV_64F, ksize=1, borderType=cv2.BORDER_REFLECT)
        strength = crossing_strength(laplacian)
        strength[strength <= ROUNDING * plane.max()] = 0
        return strength > (otsu_threshold(strength) if self.threshold is None else self.threshold)


def crossing_strength(laplacian: np.ndarray) -> np.ndarray:
    """Change of a Laplacian (H, W) over the zero crossing at each pixel, 0 where none, (H, W) float64.

    Of two side neighbours of different sign the one nearer to zero is marked, so no path of side neighbours
    leads from plus to minus around the marks. Zero counts as plus.
    """
    strength = np.zeros_like(laplacian)
    for axis in (0, 1):
        values, marks = np.moveaxis(laplacian, axis, 0), np.moveaxis(strength, axis, 0)
        first, second = values[:-1], values[1:]
        change = np.where((first >= 0) != (second >= 0), np.abs(first - second), 0)
        nearer = np.abs(first) <= np.abs(second)
        np.maximum(marks[:-1], np.where(nearer, change, 0), out=marks[:-1])
        np.maximum(marks[1:], np.where(nearer, 0, change), out=marks[1:])
    return strength
