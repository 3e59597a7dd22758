"""A pinhole camera in a street: where metres lie in the picture, and what light falls on what faces where."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from .scene import Canvas

_SHIFT = 4  # OpenCV draws in sixteenths of a pixel


@dataclass(frozen=True, eq=False)
class View:
    """A camera ``height_m`` above the road, looking along it, in the light of one day.

    World axes in metres: x right of the camera, y up from the road, z ahead. Light is (3,) float32, red first.
    """

    size_hw: tuple[int, int]
    focal_px: float
    middle_x: float
    horizon_y: float
    height_m: float
    sun: np.ndarray  # (3,) unit vector towards it
    sunlight: np.ndarray  # on a surface that faces the sun
    skylight: np.ndarray  # on a surface that faces up
    haze: np.ndarray  # what distance turns into
    clear_m: float  # distance after which about a third of the light is left

    def project(self, points: np.ndarray) -> np.ndarray:
        """Column and row (..., 2) of points (..., 3) in metres."""
        points = np.asarray(points, np.float64)
        scale = self.focal_px / points[..., 2]
        return np.stack(
            [
                self.middle_x + points[..., 0] * scale,
                self.horizon_y + (self.height_m - points[..., 1]) * scale,
            ],
            -1,
        )

    def lit(self, normal: tuple[float, float, float]) -> np.ndarray:
        """Light (3,) on a surface with this ``normal`` where nothing stands between it and the sun."""
        facing = max(0.0, float(np.dot(normal, self.sun)))
        return (self.ambient(normal[1]) + self.sunlight * facing).astype(np.float32)

    def ambient(self, up: float) -> np.ndarray:
        """Light (3,) from the sky alone on a surface whose normal points ``up`` so far, -1..1."""
        return (self.skylight * (0.7 + 0.3 * up)).astype(np.float32)

    def through_air(self, light: np.ndarray, z: np.ndarray | float) -> np.ndarray:
        """``light`` (..., 3) as it looks from ``z`` (...) metres away."""
        left = np.exp(np.asarray(z, np.float32) / np.float32(-self.clear_m))[..., None]
        return light * left + self.haze * (1 - left)


@dataclass
class Raster:
    """A piece of the picture that a figure is painted on: which pixels it covers, and their light.

    Coordinates are those of the whole picture; whatever lies outside of the piece is cut off.
    """

    top: int
    left: int
    mask: np.ndarray  # (h, w) uint8, 1 where painted
    light: np.ndarray = field(repr=False)  # (h, w, 3) float32

    @property
    def place(self) -> tuple[slice, slice]:
        """Where the piece lies in the picture."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def polygon(self, points: np.ndarray, light: np.ndarray, grow: bool = True) -> None:
        """Fill a convex polygon (N, 2); without ``grow`` only what is painted already takes its light."""
        whole = np.round((points - (self.left, self.top)) * 2**_SHIFT).astype(np.int32)
        if grow:
            cv2.fillConvexPoly(self.mask, whole, 1, cv2.LINE_8, _SHIFT)
        cv2.fillConvexPoly(self.light, whole, tuple(map(float, light)), cv2.LINE_8, _SHIFT)

    def ellipse(
        self, middle: np.ndarray, radii: tuple[float, float], light: np.ndarray, grow: bool = True
    ) -> None:
        """Fill an ellipse with half axes ``radii`` (x, y)."""
        angles = np.linspace(0, 2 * np.pi, max(8, min(32, int(4 * max(radii)))), endpoint=False)
        ring = np.stack([middle[0] + radii[0] * np.cos(angles), middle[1] + radii[1] * np.sin(angles)], -1)
        self.polygon(ring, light, grow)

    def limb(self, start: np.ndarray, end: np.ndarray, width: float, light: np.ndarray) -> None:
        """Fill a bar between two points (2,), ``width`` pixels wide."""
        along = np.asarray(end, float) - start
        length = float(np.hypot(*along)) or 1.0
        across = np.array([-along[1], along[0]]) / length * width / 2
        self.polygon(np.array([start + across, end + across, end - across, start - across]), light)


@dataclass(frozen=True, eq=False)
class Stage:
    """A picture in the making: figures come onto it from front to back, and its light follows its truth."""

    view: View
    canvas: Canvas
    light: np.ndarray  # (H, W, 3) float32

    def raster(self, points: np.ndarray, margin: float = 1) -> Raster | None:
        """The piece that holds points (N, 2) of columns and rows; None where none of it can be seen."""
        height, width = self.view.size_hw
        left, top = np.floor(points.min(0) - margin).astype(int)
        right, bottom = np.ceil(points.max(0) + margin + 1).astype(int)
        left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
        if left >= right or top >= bottom or self.canvas.labels[top:bottom, left:right].all():
            return None
        shape = (bottom - top, right - left)
        return Raster(int(top), int(left), np.zeros(shape, np.uint8), np.zeros((*shape, 3), np.float32))

    def put(
        self, class_id: int, raster: Raster | None, z: float, *, stuff: bool = True, min_px: int = 1
    ) -> bool:
        """Let a painted piece, ``z`` metres away, have the pixels that are free; False where they are too few."""
        if raster is None:
            return False
        visible = self.canvas.claim(
            class_id, raster.mask.view(bool), raster.place, stuff=stuff, min_px=min_px
        )
        if visible is None:
            return False
        self.light[raster.place][visible] = self.view.through_air(raster.light[visible], z)
        return True


def coverage(position: np.ndarray, footprint: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """How much of each pixel lies in the stretches ``low..high`` of a pattern of period 1, as a share 0..1.

    ``position`` is where the middle of the pixel lies in periods and ``footprint`` how long the pixel is; so a
    pattern fades to its mean where it becomes too fine for the pixels.
    """
    footprint = np.maximum(footprint, 1e-4)

    def inside(t: np.ndarray) -> np.ndarray:
        whole = np.floor(t)
        return whole * (high - low) + np.clip(t - whole - low, 0, high - low)

    half = footprint / 2
    return (inside(position + half) - inside(position - half)) / footprint
