"""A field from above: rows of young crop plants on bare soil, and weeds between and in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from ...geometry import Geometry
from .camera import linear, photograph, rgb
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .textures import fractal, noise

CROP, WEED, SOIL = range(1, 4)

_SHIFT = 4  # OpenCV draws in sixteenths of a pixel
_SOILS = ((126, 98, 74), (108, 86, 68), (146, 120, 92), (92, 74, 60), (120, 104, 88))
_GREENS = ((74, 122, 52), (90, 134, 60), (64, 108, 60), (98, 138, 74), (84, 118, 80))

_T = np.linspace(0, 1, 11)  # along a leaf, from its base to its tip
_WIDTHS = {
    "ovate": np.where(_T < 0.28, 0.13, np.sin(np.pi * np.clip((_T - 0.2) / 0.8, 0, 1) ** 0.8) ** 0.8),
    "blade": np.sin(np.pi * (0.12 + 0.88 * _T)).clip(0) ** 0.6,
    "round": np.where(_T < 0.35, 0.12, np.sqrt(np.clip(1 - ((_T - 0.68) / 0.33) ** 2, 0, 1))),
    "lobed": np.clip(_T * 2.5, 0.15, 1) * (1 - 0.9 * _T**3) * (0.72 + 0.28 * np.cos(6.5 * np.pi * _T)),
}
"""Width of a leaf along its length, as a share of its widest."""

_HABITS = {"ovate": (5, 10, 0.51), "blade": (3, 8, 0.13), "round": (4, 9, 0.55), "lobed": (4, 8, 0.38)}
"""Fewest leaves, one more than the most, and breadth of a leaf as a share of its length."""


@dataclass(frozen=True)
class Plant:
    """A plant with its middle at x, y; all in pixels. Higher ones cover lower ones."""

    class_id: int
    x: float
    y: float
    radius: float
    height: float


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
        light = np.zeros((*self.size_hw, 3), np.float32)
        sun, tilt = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.normal(0, 7))
        if rng.random() < 0.15:
            tilt += np.pi / 2
        green = linear(_GREENS[rng.integers(len(_GREENS))]) * rng.uniform(0.8, 1.1)
        grain = 1 + 0.09 * noise(rng, self.size_hw, 2.0)[..., None]
        covered = np.zeros(self.size_hw, np.uint8)
        plants = self._crop(rng, tilt) + self._weeds(rng)
        for plant in sorted(plants, key=lambda plant: -plant.height):
            place = _window(plant, self.size_hw)
            if place is None or canvas.labels[place].all():
                continue
            mask, colors = _draw_plant(rng, plant, place, green, sun)
            visible = canvas.claim(plant.class_id, mask, place, min_px=10)
            if visible is not None:
                light[place][visible] = (colors * grain[place])[visible]
                covered[place] |= mask.view(np.uint8)
        soil = canvas.labels == 0
        ground = _soil(rng, self.size_hw, tilt, self.row_mm / self.spacing_mm, sun)
        ground *= _shade(rng, covered, sun, self.spacing_mm)[..., None]
        light[soil] = ground[soil]
        canvas.claim(SOIL, soil, stuff=True)
        cast = rgb(rng.uniform(0.94, 1.06), 1.0, rng.uniform(0.9, 1.1))
        pixels = photograph(
            rng,
            light * cast * np.float32(rng.uniform(1.0, 1.6)),
            blur_px=rng.uniform(0.4, 0.75),
            noise=rng.uniform(0.01, 0.035),
            vignetting=rng.uniform(0, 0.25),
        )
        return Scene(
            pixels, canvas.labels, np.array(canvas.class_ids), Geometry((self.spacing_mm,) * 2, "mm")
        )

    def _crop(self, rng: np.random.Generator, tilt: float) -> list[Plant]:
        """The plants of the rows, which are turned by ``tilt``."""
        px = 1 / self.spacing_mm
        reach = 0.6 * float(np.hypot(*self.size_hw))
        radius = self.plant_mm * px / 2 * rng.uniform(0.6, 1.25)  # the field has grown so far
        row, step = self.row_mm * px, max(radius * 1.35, rng.uniform(140, 230) * px)
        ahead, aside = np.array([np.sin(tilt), np.cos(tilt)]), np.array([np.cos(tilt), -np.sin(tilt)])
        middle = np.array(self.size_hw[::-1]) / 2
        plants = []
        for across in np.arange(-reach - rng.uniform(0, row), reach, row):
            for along in np.arange(-reach - rng.uniform(0, step), reach, step):
                if rng.random() < 0.07:
                    continue  # did not come up
                off_row, off_step = rng.normal(0, 0.03) * row, rng.normal(0, 0.09) * step
                x, y = middle + (across + off_row) * aside + (along + off_step) * ahead
                size = radius * float(np.clip(rng.lognormal(0, 0.2), 0.5, 1.5))
                plants.append(Plant(CROP, x, y, size, size * rng.uniform(0.8, 1.2)))
        return plants

    def _weeds(self, rng: np.random.Generator) -> list[Plant]:
        """Weeds in patches, most of them small and low."""
        height, width = self.size_hw
        area_m2 = height * width * (self.spacing_mm / 1000) ** 2
        patches = noise(rng, (16, 16), 5)
        plants = []
        for _ in range(min(5000, rng.poisson(self.weeds * rng.uniform(6, 45) * area_m2))):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            if patches[int(y * 15.99 / height), int(x * 15.99 / width)] < rng.normal(-0.3, 0.6):
                continue
            size = max(2.2, rng.lognormal(np.log(28), 0.45) / self.spacing_mm)
            plants.append(Plant(WEED, x, y, size, size * rng.uniform(0.3, 1.0)))
        return plants


def _window(plant: Plant, size_hw: tuple[int, int]) -> tuple[slice, slice] | None:
    """The part of the picture that a plant may cover; None where there is none."""
    reach = plant.radius * 1.35 + 2
    top, bottom = max(0, int(plant.y - reach)), min(size_hw[0], int(plant.y + reach) + 2)
    left, right = max(0, int(plant.x - reach)), min(size_hw[1], int(plant.x + reach) + 2)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def _leaves(
    angles: np.ndarray, bends: np.ndarray, lengths: np.ndarray, breadth: float, shape: str
) -> tuple[np.ndarray, np.ndarray]:
    """Outlines (L, 22, 2) and midribs (L, 11, 2), x and y from the plant's middle, of leaves that grow from there."""
    turned = angles[:, None] + bends[:, None] * _T
    ahead = np.stack([np.cos(turned), np.sin(turned)], -1)
    ribs = np.zeros((len(angles), 11, 2))
    np.cumsum(ahead[:, :-1] * lengths[:, None, None] / 10, axis=1, out=ribs[:, 1:])
    aside = np.stack([-ahead[..., 1], ahead[..., 0]], -1)
    aside *= (_WIDTHS[shape] * lengths[:, None] * breadth / 2)[..., None]
    return np.concatenate([ribs + aside, (ribs - aside)[:, ::-1]], 1), ribs


def _draw_plant(
    rng: np.random.Generator, plant: Plant, place: tuple[slice, slice], green: np.ndarray, sun: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mask (h, w) bool and light (h, w, 3) of a plant in its window, leaf upon leaf."""
    size = (place[0].stop - place[0].start, place[1].stop - place[1].start)
    mask, colors = np.zeros(size, np.uint8), np.zeros((*size, 3), np.float32)
    shape, tint = "ovate", green
    if plant.class_id == WEED:
        shape = ("blade", "round", "lobed")[rng.integers(3)]
        tint = linear(_GREENS[rng.integers(len(_GREENS))]) * rng.uniform(0.7, 1.3)
    fewest, most, breadth = _HABITS[shape]
    count, breadth = int(rng.integers(fewest, most)), breadth * rng.uniform(0.8, 1.2)
    order = np.arange(count) / count  # the outer, older leaves lie below the younger ones
    angles = (
        rng.uniform(0, 2 * np.pi) + np.arange(count) * 2.4 + rng.normal(0, 0.18, count)
    )  # the golden angle
    lengths = plant.radius * (1.08 - 0.5 * order) * rng.uniform(0.85, 1.12, count)
    outlines, ribs = _leaves(angles, rng.normal(0, 0.35, count), lengths, breadth, shape)
    tones = (0.85 + 0.4 * order) * (1 + 0.22 * np.cos(angles - sun)) * rng.uniform(0.85, 1.15, count)
    yellow = rng.uniform(0.85, 1.2, count)
    middle = np.array([plant.x - place[1].start, plant.y - place[0].start])
    whole = np.round((outlines + middle) * 2**_SHIFT).astype(np.int32)
    halves = np.concatenate([outlines[:, :11], ribs[:, ::-1]], 1)
    half = np.round((halves + middle) * 2**_SHIFT).astype(np.int32)
    rib = np.round((ribs[:, :-2] + middle) * 2**_SHIFT).astype(np.int32)
    drop = np.array([np.cos(sun), np.sin(sun)]) * plant.radius * 0.05 * 2**_SHIFT
    dark = tuple(map(float, tint * 0.45))
    for k in range(count):
        leaf = tint * np.float32(tones[k]) * rgb(yellow[k], 1, 0.9)
        if plant.radius > 7:  # the shadow on the leaves below; what falls outside of the plant is not seen
            cv2.fillPoly(colors, [whole[k] - np.round(drop).astype(np.int32)], dark, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(mask, [whole[k]], 1, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(colors, [whole[k]], tuple(map(float, leaf)), cv2.LINE_8, _SHIFT)
        if breadth * lengths[k] > 5:
            tilted = leaf * np.float32(1 - 0.16 * np.sin(angles[k] - sun))
            cv2.fillPoly(colors, [half[k]], tuple(map(float, tilted)), cv2.LINE_8, _SHIFT)
            cv2.polylines(
                colors, [rib[k]], False, tuple(map(float, leaf * 1.35 + 0.02)), 1, cv2.LINE_AA, _SHIFT
            )
    return mask.view(bool), np.maximum(colors, np.float32(0.004), out=colors)


def _shade(rng: np.random.Generator, covered: np.ndarray, sun: float, spacing_mm: float) -> np.ndarray:
    """Light (H, W) left on the soil beside and below the plants."""
    reach = rng.uniform(8, 40) / spacing_mm
    move = np.array([[1, 0, -np.cos(sun) * reach], [0, 1, -np.sin(sun) * reach]])
    moved = cv2.warpAffine(covered, move, covered.shape[::-1], flags=cv2.INTER_NEAREST)
    dark = cv2.GaussianBlur(np.maximum(moved, covered).astype(np.float32), (0, 0), max(0.6, reach / 5))
    return 1 - np.float32(rng.uniform(0.35, 0.7)) * dark


def _soil(
    rng: np.random.Generator, size_hw: tuple[int, int], tilt: float, row_px: float, sun: float
) -> np.ndarray:
    """Light (H, W, 3) of clods, crumbs, stones and straw under a low sun."""
    height = fractal(rng, size_hw, rng.uniform(14, 26), octaves=5, gain=0.72)
    y, x = np.ogrid[: size_hw[0], : size_hw[1]]
    across = ((x * np.cos(tilt) - y * np.sin(tilt)) / row_px).astype(np.float32)
    ridges = np.sin(2 * np.pi * across + np.float32(rng.uniform(0, 6.3))) * np.float32(rng.uniform(0, 1.2))
    slope = np.float32(np.cos(sun)) * cv2.Sobel(height + ridges, cv2.CV_32F, 1, 0)
    slope += np.float32(np.sin(sun)) * cv2.Sobel(height, cv2.CV_32F, 0, 1)
    damp = noise(rng, size_hw, max(size_hw) * 0.35)
    tone = np.clip(1 + 0.1 * damp + 0.1 * height - rng.uniform(0.05, 0.11) * slope, 0.25, 2.2)
    soil = linear(_SOILS[rng.integers(len(_SOILS))]) * np.float32(rng.uniform(0.8, 1.2)) * tone[..., None]
    bits = size_hw[0] * size_hw[1] / 65536
    for _ in range(rng.poisson(rng.uniform(0, 14) * bits)):  # stones
        at = (int(rng.integers(size_hw[1])), int(rng.integers(size_hw[0])))
        axes = (int(rng.integers(1, 5)), int(rng.integers(1, 4)))
        stone = tuple(map(float, linear((rng.uniform(130, 185),) * 3) * rgb(1.05, 1.0, 0.93)))
        cv2.ellipse(soil, at, axes, float(rng.uniform(0, 180)), 0, 360, stone, -1, cv2.LINE_AA)
    for _ in range(rng.poisson(rng.uniform(0, 10) * bits)):  # straw
        start = np.array([rng.uniform(0, size_hw[1]), rng.uniform(0, size_hw[0])])
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(5, 26)
        ends = np.round([start, start + length * np.array([np.cos(angle), np.sin(angle)])]).astype(int)
        straw = tuple(map(float, linear((196, 172, 120)) * rng.uniform(0.6, 1.1)))
        cv2.line(soil, ends[0].tolist(), ends[1].tolist(), straw, 1, cv2.LINE_AA)
    return soil
