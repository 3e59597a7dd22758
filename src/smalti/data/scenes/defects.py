"""Surfaces as inspection cameras see them, most of them flawless: brushed metal, ceramic, castings, with faults."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from .camera import vignette
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .textures import fractal, noise, rough_disc

SCRATCH, CRACK, PIT, STAIN, SURFACE = range(1, 6)

Spot = tuple[int, np.ndarray, np.ndarray, tuple[slice, slice]]
"""One defect: its class, mask (h, w) bool, change of brightness (h, w), and where it lies."""


class Defects(SceneKind):
    """A machined or glazed surface in grey, lit from one side, with none, one or a few defects."""

    name: ClassVar[str] = "defects"
    title: ClassVar[str] = (
        "metal, tile and cast surfaces with scratches, cracks, pits and stains; many have none"
    )
    classes = colored(
        ("scratch", True, (230, 159, 0)),
        ("crack", True, (213, 94, 0)),
        ("pit", True, (204, 121, 167)),
        ("stain", True, (0, 158, 115)),
        ("surface", False, (110, 114, 122)),
    )

    size_hw: tuple[int, int] = Field((256, 256), description="Height and width of the image in pixels.")
    flawless: float = Field(0.5, ge=0, le=1, description="Share of the images without any defect.")
    max_defects: int = Field(4, ge=1, le=100, description="Defects that one image may have.")
    surface: Literal["any", "brushed", "tile", "cast"] = Field("any", description="What the surface is.")
    contrast: float = Field(1.0, gt=0, le=4, description="How clearly defects stand out; 0.5 is hard to see.")

    @field_validator("size_hw")
    @classmethod
    def _check_size(cls, size_hw: tuple[int, int]) -> tuple[int, int]:
        return check_size(size_hw)

    def draw(self, seed: int, index: int) -> Scene:
        rng = self.rng(seed, index)
        surface = ("brushed", "tile", "cast")[rng.integers(3)] if self.surface == "any" else self.surface
        grey = {"brushed": _brushed, "tile": _tile, "cast": _cast}[surface](rng, self.size_hw)
        canvas = Canvas.of(self.size_hw)
        count = 0 if rng.random() < self.flawless else int(rng.integers(1, self.max_defects + 1))
        for _ in range(count):
            found = (_scratch, _crack, _pit, _stain)[rng.integers(4)](rng, self.size_hw)
            class_id, mask, change, place = found
            visible = canvas.claim(class_id, mask, place, min_px=8)
            if visible is not None:
                grey[place][visible] *= 1 + self.contrast * change[visible]
        canvas.claim(SURFACE, canvas.labels == 0, stuff=True)
        return Scene(_expose(rng, grey), canvas.labels, np.array(canvas.class_ids))


def _brushed(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """Metal with fine parallel streaks across the picture, brighter along the band that mirrors the lamp."""
    streaks = 0.6 * noise(rng, size_hw, (1, size_hw[1] * 0.5)) + 0.4 * noise(rng, size_hw, (1, 24))
    streaks += 0.5 * noise(rng, size_hw, (3, size_hw[1] * 0.9))
    y = np.linspace(-1, 1, size_hw[0], dtype=np.float32)[:, None]
    sheen = np.exp(-(((y - np.float32(rng.uniform(-1, 1))) / np.float32(rng.uniform(0.4, 1.2))) ** 2))
    grey = rng.uniform(0.3, 0.5) + rng.uniform(0.1, 0.25) * sheen
    grey = np.maximum(grey * (1 + rng.uniform(0.04, 0.09) * streaks), 0.02).astype(np.float32)
    return np.ascontiguousarray(grey.T if rng.random() < 0.5 and size_hw[0] == size_hw[1] else grey)


def _tile(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """Glazed or magnetic tile: even, with a soft cloud and a speckle."""
    cloud = fractal(rng, size_hw, max(size_hw) * 0.4, octaves=3)
    speckle = noise(rng, size_hw, rng.uniform(1.2, 2.5))
    grey = rng.uniform(0.25, 0.6) * (1 + 0.06 * cloud + rng.uniform(0.01, 0.05) * speckle)
    return np.maximum(grey, 0.02).astype(np.float32)


def _cast(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """A rough casting: bumps lit from one side."""
    height = fractal(rng, size_hw, rng.uniform(5, 9), octaves=3, gain=0.6)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * np.gradient(height, axis=1) + np.sin(angle) * np.gradient(height, axis=0)
    cloud = noise(rng, size_hw, max(size_hw) * 0.5)
    grey = rng.uniform(0.22, 0.45) * (1 + 0.08 * cloud + rng.uniform(0.12, 0.3) * slope)
    return np.maximum(grey, 0.02).astype(np.float32)


def _somewhere(rng: np.random.Generator, size_hw: tuple[int, int], margin: float = 0.06) -> np.ndarray:
    """A point (x, y) not too near the border."""
    height, width = size_hw
    return np.array([rng.uniform(margin, 1 - margin) * width, rng.uniform(margin, 1 - margin) * height])


def _box(points: np.ndarray, margin: float, size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """The part of the picture that holds points (N, 2) of x, y; at least a pixel."""
    low = np.floor(points.min(0) - margin).astype(int)
    high = np.ceil(points.max(0) + margin).astype(int) + 1
    left, top = np.clip(low, 0, (size_hw[1] - 1, size_hw[0] - 1))
    right, bottom = np.clip(high, (left + 1, top + 1), (size_hw[1], size_hw[0]))
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def _stroke(mask: np.ndarray, points: np.ndarray, widths: np.ndarray, place: tuple[slice, slice]) -> None:
    """Draw a line (N, 2) of x, y whose width changes from point to point into ``mask`` (h, w) uint8."""
    shift = 4
    corner = np.array([place[1].start, place[0].start])
    along = np.gradient(points, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
    reach = (
        across * np.maximum(widths - 1, 0.02)[:, None] / 2
    )  # a filled outline is a pixel wider than its polygon
    left, right = points - corner + reach, points - corner - reach
    for k in range(len(points) - 1):
        quad = np.stack([left[k], left[k + 1], right[k + 1], right[k]])
        cv2.fillConvexPoly(mask, np.round(quad * 2**shift).astype(np.int32), 1, cv2.LINE_8, shift)


def _scratch(rng: np.random.Generator, size_hw: tuple[int, int]) -> Spot:
    """A long shallow arc, bright where its edge catches the lamp, or dark."""
    start, angle = _somewhere(rng, size_hw), rng.uniform(0, np.pi)
    length = min(size_hw) * rng.uniform(0.12, 0.75)
    t = np.linspace(-0.5, 0.5, 24)[:, None]
    ahead, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    points = start + length * (t * ahead + rng.normal(0, 0.18) * (t**2 - 0.08) * aside)
    widths = rng.uniform(1.0, 3.2) * np.clip(2.4 * (1 - np.abs(2 * t[:, 0])), 0.35, 1)
    place = _box(points, 3, size_hw)
    mask = np.zeros([part.stop - part.start for part in place], np.uint8)
    _stroke(mask, points, widths, place)
    sign = 1.0 if rng.random() < 0.65 else -0.75
    grain = 1 + 0.25 * noise(rng, mask.shape, 3)
    return SCRATCH, mask.view(bool), np.float32(sign * rng.uniform(0.4, 0.75)) * np.clip(grain, 0.3, 2), place


def _crack(rng: np.random.Generator, size_hw: tuple[int, int]) -> Spot:
    """A dark jagged line that forks and thins out."""
    lines: list[tuple[np.ndarray, np.ndarray]] = []

    def grow(start: np.ndarray, angle: float, length: float, width: float, forks: int) -> None:
        steps = max(3, int(length / 4))
        turns = angle + np.cumsum(rng.normal(0, 0.28, steps)) * 0.6 + rng.normal(0, 0.35, steps)
        points = start + np.cumsum(4.0 * np.stack([np.cos(turns), np.sin(turns)], 1), 0)
        points = np.concatenate([start[None], points])
        lines.append((points, np.linspace(width, 1.0, len(points))))
        for _ in range(forks):
            at = int(rng.integers(1, len(points)))
            side = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
            grow(points[at], side, length * rng.uniform(0.2, 0.5), max(1.0, width * 0.7), 0)

    grow(
        _somewhere(rng, size_hw),
        rng.uniform(0, 2 * np.pi),
        min(size_hw) * rng.uniform(0.2, 0.6),
        rng.uniform(1.5, 3.5),
        int(rng.integers(0, 4)),
    )
    place = _box(np.concatenate([points for points, _ in lines]), 4, size_hw)
    mask = np.zeros([part.stop - part.start for part in place], np.uint8)
    for points, widths in lines:
        _stroke(mask, points, widths, place)
    change = np.full(mask.shape, -rng.uniform(0.45, 0.75), np.float32)
    return CRACK, mask.view(bool), change * np.clip(1 + 0.2 * noise(rng, mask.shape, 4), 0.4, 1.3), place


def _blot(
    rng: np.random.Generator, size_hw: tuple[int, int], radius: float, roughness: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[slice, slice]]:
    """Depth (h, w) inside a rough round shape, 0 outside; its y and x from the middle in radii; where it lies."""
    middle = _somewhere(rng, size_hw)
    reach = radius * 1.8 + 2
    place = _box(np.stack([middle - reach, middle + reach]), 0, size_hw)
    y, x = np.mgrid[place].astype(np.float32)
    x, y = (x - np.float32(middle[0])) / np.float32(radius), (y - np.float32(middle[1])) / np.float32(radius)
    stretch = np.float32(rng.uniform(0.75, 1.3))
    outline = rough_disc(rng, np.arctan2(y, x), roughness, waves=7)
    return np.clip(1 - np.hypot(x * stretch, y / stretch) / outline, 0, 1), y, x, place


def _pit(rng: np.random.Generator, size_hw: tuple[int, int]) -> Spot:
    """A small hole: dark floor, one wall in the light and one in shadow."""
    radius = rng.uniform(2.5, 9) * min(size_hw) / 256
    depth, y, x, place = _blot(rng, size_hw, max(2.2, radius), 0.18)
    lamp = rng.uniform(0, 2 * np.pi)
    wall = (np.cos(lamp) * x + np.sin(lamp) * y) * np.clip(1 - 3 * np.abs(depth - 0.2), 0, 1)
    return (
        PIT,
        depth > 0,
        (-rng.uniform(0.35, 0.6) * np.clip(depth * 3, 0.55, 1) + 0.5 * wall).astype(np.float32),
        place,
    )


def _stain(rng: np.random.Generator, size_hw: tuple[int, int]) -> Spot:
    """A dried spot of something: hardly darker or paler inside, a clearer rim."""
    radius = rng.uniform(10, 34) * min(size_hw) / 256
    depth, _, _, place = _blot(rng, size_hw, max(4.0, radius), 0.25)
    mottled = 1 + 0.25 * fractal(rng, depth.shape, max(2.0, radius / 3), octaves=3)
    rim = 1 + 0.9 * np.exp(-depth * radius / 2.0)
    sign = -1 if rng.random() < 0.7 else 0.8
    return STAIN, depth > 0, (sign * rng.uniform(0.11, 0.22) * mottled * rim).astype(np.float32), place


def _expose(rng: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """The picture (H, W, 1) uint8 of an industrial camera with a lamp at one side."""
    angle, falling = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.2)
    y = np.linspace(-1, 1, grey.shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, grey.shape[1], dtype=np.float32)[None]
    lamp = 1 + np.float32(falling) * (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
    seen = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.45, 0.8)) * lamp
    seen *= vignette(grey.shape, rng.uniform(0, 0.2))
    spread = np.float32(rng.uniform(0.008, 0.025)) * np.sqrt(np.maximum(seen, 0.01))
    seen += spread * rng.standard_normal(grey.shape, dtype=np.float32)
    shown = np.clip(seen, 0, 1) ** np.float32(0.75)
    return np.round(255 * shown).astype(np.uint8)[..., None]
