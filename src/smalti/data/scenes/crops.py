"""A field from above: rows of young crop plants on bare soil, and weeds between and in them."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from ...geometry import Geometry
from .camera import linear, photograph, rgb
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .textures import fractal, noise

CROP, WEED, SOIL = range(1, 4)

_SHIFT = 4
_SOILS = ((126, 98, 74), (108, 86, 68), (146, 120, 92), (92, 74, 60), (120, 104, 88))
_GREENS = ((74, 128, 52), (92, 142, 60), (64, 112, 60), (104, 148, 74), (84, 122, 84))


class CropRows(SceneKind):
    """Plants in rows seen straight from above, each an object, with weeds of other shapes among them."""

    name: ClassVar[str] = "crop-rows"
    title: ClassVar[str] = "crop plants in rows and weeds on soil, from straight above; spacing in mm"
    classes = colored(
        ("crop", True, (0, 158, 115)), ("weed", True, (213, 94, 0)), ("soil", False, (120, 96, 76))
    )

    size_hw: tuple[int, int] = Field((256, 256), description="Height and width of the image in pixels.")
    spacing_mm: float = Field(4.0, gt=0, le=100, description="Size of a pixel on the ground in millimetres.")
    row_mm: float = Field(400.0, ge=50, le=5000, description="Distance between rows in millimetres.")
    plant_mm: float = Field(
        190.0, ge=20, le=2000, description="Mean diameter of a crop plant in millimetres."
    )
    weeds: float = Field(0.5, ge=0, le=1, description="How many weeds, from none to overgrown.")

    @field_validator("size_hw")
    @classmethod
    def _check_size(cls, size_hw: tuple[int, int]) -> tuple[int, int]:
        return check_size(size_hw)

    def draw(self, seed: int, index: int) -> Scene:
        rng = self.rng(seed, index)
        canvas = Canvas.of(self.size_hw)
        sun = rng.uniform(0, 2 * np.pi)
        light = np.zeros((*self.size_hw, 3), np.float32)
        tilt = np.deg2rad(rng.normal(0, 7)) + (np.pi / 2 if rng.random() < 0.15 else 0.0)
        plants = self._plants(rng, tilt)
        green = linear(_GREENS[rng.integers(len(_GREENS))]) * rng.uniform(0.85, 1.2)
        shade = np.zeros(self.size_hw, np.uint8)
        for _, class_id, x, y, radius in sorted(plants, reverse=True):  # the highest first
            drawn = _plant(rng, self.size_hw, class_id, x, y, radius, green, sun)
            if drawn is None:
                continue
            mask, colors, place = drawn
            visible = canvas.claim(class_id, mask, place, min_px=10)
            if visible is not None:
                light[place][visible] = colors[visible]
                shade[place] |= mask.view(np.uint8)
        soil = canvas.labels == 0
        ground = _soil(rng, self.size_hw, tilt, self.row_mm / self.spacing_mm, sun)
        reach = rng.uniform(8, 40) / self.spacing_mm
        move = np.array([[1, 0, -np.cos(sun) * reach], [0, 1, -np.sin(sun) * reach]])
        moved = cv2.warpAffine(shade, move, self.size_hw[::-1], flags=cv2.INTER_NEAREST)
        dark = cv2.GaussianBlur(np.maximum(moved, shade).astype(np.float32), (0, 0), max(0.6, reach / 5))
        ground *= (1 - np.float32(rng.uniform(0.35, 0.7)) * dark)[..., None]
        light[soil] = ground[soil]
        canvas.claim(SOIL, soil, stuff=True)
        pixels = photograph(
            rng,
            light
            * np.float32(rng.uniform(1.1, 1.7))
            * rgb(rng.uniform(0.94, 1.06), 1.0, rng.uniform(0.9, 1.1)),
            blur_px=rng.uniform(0.4, 0.75),
            noise=rng.uniform(0.01, 0.035),
            vignetting=rng.uniform(0, 0.25),
        )
        return Scene(
            pixels, canvas.labels, np.array(canvas.class_ids), Geometry((self.spacing_mm,) * 2, "mm")
        )

    def _plants(self, rng: np.random.Generator, tilt: float) -> list[tuple[float, int, float, float, float]]:
        """Height, class, x, y and radius in pixels of every plant, in rows turned by ``tilt``."""
        height, width = self.size_hw
        px = 1 / self.spacing_mm
        reach = 0.6 * float(np.hypot(height, width))
        grown = rng.uniform(0.6, 1.25)
        radius = self.plant_mm * px / 2 * grown
        row, step = self.row_mm * px, max(radius * 1.35, rng.uniform(140, 230) * px)
        ahead, aside = np.array([np.sin(tilt), np.cos(tilt)]), np.array([np.cos(tilt), -np.sin(tilt)])
        middle = np.array([width, height]) / 2
        plants: list[tuple[float, int, float, float, float]] = []
        for across in np.arange(-reach - rng.uniform(0, row), reach, row):
            for along in np.arange(-reach - rng.uniform(0, step), reach, step):
                if rng.random() < 0.07:
                    continue  # did not come up
                spot = (
                    middle
                    + (across + rng.normal(0, 0.03) * row) * aside
                    + (along + rng.normal(0, 0.09) * step) * ahead
                )
                size = radius * float(np.clip(rng.lognormal(0, 0.2), 0.5, 1.5))
                plants.append((size * rng.uniform(0.8, 1.2), CROP, spot[0], spot[1], size))
        if self.weeds > 0:
            area_m2 = height * width * (self.spacing_mm / 1000) ** 2
            patches = noise(rng, (16, 16), 5)
            for _ in range(rng.poisson(self.weeds * rng.uniform(6, 45) * area_m2)):
                x, y = rng.uniform(0, width), rng.uniform(0, height)
                if patches[int(y * 15.99 / height), int(x * 15.99 / width)] < rng.normal(-0.3, 0.6):
                    continue
                size = max(2.2, rng.lognormal(np.log(28), 0.45) * px)
                plants.append((size * rng.uniform(0.3, 1.0), WEED, x, y, size))
        return plants


def _leaf(
    base: np.ndarray, angle: float, length: float, breadth: float, shape: str, bend: float
) -> tuple[np.ndarray, np.ndarray]:
    """Outline (N, 2) and midrib (M, 2) of a leaf that starts at ``base`` (x, y) and grows towards ``angle``."""
    t = np.linspace(0, 1, 11)
    turned = angle + bend * t
    steps = np.stack([np.cos(turned), np.sin(turned)], 1) * length / 10
    axis = base + np.concatenate([np.zeros((1, 2)), np.cumsum(steps[:-1], 0)])
    width = {
        "ovate": np.where(t < 0.28, 0.13, np.sin(np.pi * np.clip((t - 0.2) / 0.8, 0, 1) ** 0.8) ** 0.8),
        "blade": np.sin(np.pi * np.clip(0.12 + 0.88 * t, 0, 1)) ** 0.6,
        "round": np.where(t < 0.35, 0.12, np.sqrt(np.clip(1 - ((t - 0.68) / 0.33) ** 2, 0, 1))),
        "lobed": np.clip(t * 2.5, 0.15, 1) * (1 - 0.9 * t**3) * (0.72 + 0.28 * np.cos(6.5 * np.pi * t)),
    }[shape] * (breadth / 2)
    across = np.stack([-np.sin(turned), np.cos(turned)], 1) * width[:, None]
    return np.concatenate([axis + across, (axis - across)[::-1]]), axis


def _plant(
    rng: np.random.Generator,
    size_hw: tuple[int, int],
    class_id: int,
    x: float,
    y: float,
    radius: float,
    green: np.ndarray,
    sun: float,
) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]] | None:
    """Mask (h, w) bool, light (h, w, 3) and place of a plant; None outside of the picture."""
    height, width = size_hw
    reach = radius * 1.35 + 2
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = min(width, int(x + reach) + 2), min(height, int(y + reach) + 2)
    if left >= right or top >= bottom:
        return None
    mask = np.zeros((bottom - top, right - left), np.uint8)
    colors = np.zeros((*mask.shape, 3), np.float32)
    corner = np.array([left, top])
    if class_id == CROP:
        shape, count, breadth = "ovate", int(rng.integers(5, 10)), rng.uniform(0.42, 0.6)
        tint = green
    else:
        shape = ("blade", "round", "lobed")[rng.integers(3)]
        count = {
            "blade": int(rng.integers(3, 8)),
            "round": int(rng.integers(4, 9)),
            "lobed": int(rng.integers(4, 8)),
        }[shape]
        breadth = {"blade": 0.13, "round": 0.55, "lobed": 0.38}[shape] * rng.uniform(0.8, 1.2)
        tint = linear(_GREENS[rng.integers(len(_GREENS))]) * rng.uniform(0.7, 1.3)
    start = rng.uniform(0, 2 * np.pi)
    middle = np.array([x, y])
    for number in range(count):  # the outer, older leaves lie below the younger ones
        angle = start + number * 2.4 + rng.normal(0, 0.18)  # the golden angle, as leaves grow
        length = radius * (1.08 - 0.5 * number / count) * rng.uniform(0.85, 1.12)
        outline, axis = _leaf(middle, angle, length, breadth * length, shape, rng.normal(0, 0.35))
        young = 0.85 + 0.4 * number / count
        facing = 1 + 0.22 * np.cos(angle - sun)
        leaf = (
            tint
            * np.float32(young * facing * rng.uniform(0.85, 1.15))
            * rgb(rng.uniform(0.85, 1.2), 1, 0.9)
        )
        whole = np.round((outline - corner) * 2**_SHIFT).astype(np.int32)
        if radius > 7:  # the shadow on the leaves below
            dropped = whole - np.round(
                np.array([np.cos(sun), np.sin(sun)]) * radius * 0.05 * 2**_SHIFT
            ).astype(np.int32)
            shadow = np.zeros(mask.shape, np.uint8)
            cv2.fillPoly(shadow, [dropped], 1, cv2.LINE_8, _SHIFT)
            colors[shadow.view(bool)] *= np.float32(0.55)
        cv2.fillPoly(mask, [whole], 1, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(colors, [whole], tuple(map(float, leaf)), cv2.LINE_8, _SHIFT)
        if breadth * length > 5:
            half = len(outline) // 2
            darker = np.round((np.concatenate([outline[:half], axis[::-1]]) - corner) * 2**_SHIFT).astype(
                np.int32
            )
            cv2.fillPoly(
                colors,
                [darker],
                tuple(map(float, leaf * (1 - 0.16 * np.sin(angle - sun)))),
                cv2.LINE_8,
                _SHIFT,
            )
            rib = np.round((axis[:-2] - corner) * 2**_SHIFT).astype(np.int32)
            cv2.polylines(colors, [rib], False, tuple(map(float, leaf * 1.35 + 0.02)), 1, cv2.LINE_AA, _SHIFT)
    inside = mask.view(bool)
    if not inside.any():
        return None
    colors *= (1 + 0.09 * noise(rng, mask.shape, 2.0))[..., None]
    np.maximum(colors, 0.004, out=colors)
    return inside, colors, (slice(top, bottom), slice(left, right))


def _soil(
    rng: np.random.Generator, size_hw: tuple[int, int], tilt: float, row_px: float, sun: float
) -> np.ndarray:
    """Light (H, W, 3) of clods, crumbs, stones and straw under a low sun."""
    height = fractal(rng, size_hw, rng.uniform(14, 26), octaves=5, gain=0.72)
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    across = (x * np.float32(np.cos(tilt)) - y * np.float32(np.sin(tilt))) / np.float32(row_px)
    ridges = np.sin(2 * np.pi * across + np.float32(rng.uniform(0, 6.3))) * np.float32(rng.uniform(0, 1.2))
    slope = np.cos(sun) * cv2.Sobel(height + ridges, cv2.CV_32F, 1, 0) + np.sin(sun) * cv2.Sobel(
        height, cv2.CV_32F, 0, 1
    )
    damp = noise(rng, size_hw, max(size_hw) * 0.35)
    tone = np.clip(1 + 0.1 * damp + 0.1 * height - rng.uniform(0.05, 0.11) * slope, 0.25, 2.2)
    color = linear(_SOILS[rng.integers(len(_SOILS))]) * rng.uniform(0.8, 1.2)
    soil = color * tone[..., None].astype(np.float32)
    bits = size_hw[0] * size_hw[1] / 65536
    for _ in range(rng.poisson(rng.uniform(0, 14) * bits)):  # stones
        at = (int(rng.integers(size_hw[1])), int(rng.integers(size_hw[0])))
        axes = (int(rng.integers(1, 5)), int(rng.integers(1, 4)))
        stone = linear((rng.uniform(140, 200),) * 3) * rgb(1.05, 1.0, 0.93)
        cv2.ellipse(
            soil, at, axes, float(rng.uniform(0, 180)), 0, 360, tuple(map(float, stone)), -1, cv2.LINE_AA
        )
    for _ in range(rng.poisson(rng.uniform(0, 10) * bits)):  # straw
        start = np.array([rng.uniform(0, size_hw[1]), rng.uniform(0, size_hw[0])])
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(5, 26)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        straw = linear((196, 172, 120)) * rng.uniform(0.6, 1.1)
        cv2.line(soil, tuple(map(int, start)), tuple(map(int, end)), tuple(map(float, straw)), 1, cv2.LINE_AA)
    return soil.astype(np.float32)
