"""Nuclei under a fluorescence microscope: touching, bright and faint, in and out of focus, over haze and dust."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from ...geometry import Geometry
from .camera import vignette
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .textures import fractal, noise, rough_disc

NUCLEUS, BACKGROUND = 1, 2


class Cells(SceneKind):
    """Stained nuclei on a dark ground in one grey channel, as widefield fluorescence shows them."""

    name: ClassVar[str] = "cells"
    title: ClassVar[str] = "nuclei in fluorescence, touching and of varied brightness; spacing in µm"
    classes = colored(("nucleus", True, (86, 180, 233)), ("background", False, (64, 64, 72)))

    size_hw: tuple[int, int] = Field((256, 256), description="Height and width of the image in pixels.")
    spacing_um: float = Field(
        0.5, gt=0, le=10, description="Distance between neighbouring pixels in micrometres."
    )
    diameter_um: float = Field(11.0, gt=0, le=1000, description="Mean diameter of a nucleus in micrometres.")
    density: float = Field(
        0.5, ge=0, le=1, description="How crowded the culture is, from empty to confluent."
    )
    bit_depth: Literal[8, 16] = Field(8, description="Bits of a pixel; 16 keeps a camera's twelve.")

    @field_validator("size_hw")
    @classmethod
    def _check_size(cls, size_hw: tuple[int, int]) -> tuple[int, int]:
        return check_size(size_hw)

    def draw(self, seed: int, index: int) -> Scene:
        rng = self.rng(seed, index)
        radius_px = max(2.5, self.diameter_um / self.spacing_um / 2)
        labels, nearness = _lay_nuclei(rng, self.size_hw, radius_px, self.density)
        canvas = Canvas.of(self.size_hw)
        for number, found in enumerate(_boxes(labels), 1):
            if found is not None:
                canvas.claim(NUCLEUS, _largest_piece(labels[found] == number), found, min_px=12)
        light = _glow(rng, canvas.labels, nearness, len(canvas.class_ids), radius_px)
        canvas.claim(BACKGROUND, canvas.labels == 0, stuff=True)
        return Scene(
            _expose(rng, light, radius_px, self.bit_depth),
            canvas.labels,
            np.array(canvas.class_ids),
            Geometry((self.spacing_um,) * 2, "um"),
        )


def _boxes(labels: np.ndarray) -> list[tuple[slice, ...] | None]:
    """The box of each label from 1 to the highest, None for one without pixels."""
    from scipy.ndimage import find_objects

    return find_objects(labels)


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask: a neighbour may cut a sliver off a nucleus, which is not one more."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    return mask if count <= 2 else pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])


def _lay_nuclei(
    rng: np.random.Generator, size_hw: tuple[int, int], radius_px: float, density: float
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (H, W) int32 of roundish nuclei, many of them in clumps, and how deep each pixel lies in its own.

    Where two meet, a pixel goes to the one it lies deeper in, so that they press against each other along a line.
    The depth is 1 in the middle and 0 at the outline.
    """
    height, width = size_hw
    crowd = density * rng.uniform(0.35, 1.0) * 0.75  # share of the picture that nuclei cover
    wanted = max(1 if density > 0 else 0, round(crowd * height * width / (np.pi * radius_px**2)))
    clumping, stretch = rng.uniform(0.15, 0.65), rng.uniform(1.15, 1.9)
    labels = np.zeros(size_hw, np.int32)
    nearness = np.zeros(size_hw, np.float32)
    middles, radii = np.zeros((0, 2)), np.zeros(0)
    for _ in range(wanted * 3):
        if len(radii) == wanted:
            break
        size = radius_px * float(np.clip(rng.lognormal(0, 0.18), 0.55, 1.7))
        if len(radii) and rng.random() < clumping:  # beside one that is there
            k, angle = int(rng.integers(len(radii))), rng.uniform(0, 2 * np.pi)
            away = (size + radii[k]) * rng.uniform(0.88, 1.06)
            y, x = middles[k] + away * np.array([np.sin(angle), np.cos(angle)])
        else:
            y, x = rng.uniform(-size / 2, height + size / 2), rng.uniform(-size / 2, width + size / 2)
        reach = int(size * 1.8) + 2
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        place = np.s_[top : max(top, int(y) + reach + 1), left : max(left, int(x) + reach + 1)]
        squared = (middles[:, 0] - y) ** 2 + (middles[:, 1] - x) ** 2
        if 0 in labels[place].shape or (squared < (0.78 * (size + radii)) ** 2).any():
            continue
        middles, radii = np.vstack([middles, (y, x)]), np.append(radii, size)
        depth = _roundish(rng, labels[place].shape, (y - top, x - left), size, stretch)
        deeper = depth > nearness[place]
        labels[place][deeper] = len(radii)
        nearness[place][deeper] = depth[deeper]
    return labels, nearness


def _roundish(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    middle: tuple[float, float],
    radius: float,
    stretch: float,
) -> np.ndarray:
    """Depth (h, w) float32 in a turned, waved ellipse about ``middle`` (y, x): 1 in the middle, 0 outside."""
    long, turn = rng.uniform(1.0, stretch) ** 0.5, rng.uniform(0, np.pi)
    v = (np.arange(shape[0]) - middle[0]).astype(np.float32)[:, None]
    u = (np.arange(shape[1]) - middle[1]).astype(np.float32)[None]
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = (cos * u + sin * v) / np.float32(long), (cos * v - sin * u) * np.float32(long)
    outline = rough_disc(rng, np.arctan2(across, along), 0.08)
    return np.clip(1 - np.sqrt(along**2 + across**2) / (np.float32(radius) * outline), 0, 1)


def _glow(
    rng: np.random.Generator, labels: np.ndarray, nearness: np.ndarray, count: int, radius_px: float
) -> np.ndarray:
    """Light (H, W) float32 of the stain: every nucleus of its own brightness and grain, some of them blurred."""
    size_hw = labels.shape
    brightness = np.concatenate([[0], np.clip(rng.lognormal(-0.3, 0.33, count), 0.22, 2.0)]).astype(
        np.float32
    )
    dividing = rng.random(count + 1) < 0.04
    brightness[dividing] *= 1.8
    brightness[0] = 0
    chromatin = fractal(rng, size_hw, radius_px * 0.45, octaves=3, gain=0.7)
    grain = np.where(dividing, 0.28, rng.uniform(0.08, 0.2, count + 1)).astype(np.float32)
    holes = noise(rng, size_hw, radius_px * 0.4)
    thickness = np.sqrt(np.clip(nearness * 3.5, 0, 1))  # thinner towards the rim
    light = brightness[labels] * (0.55 + 0.45 * thickness) * (1 + grain[labels] * chromatin)
    light *= 1 - 0.35 * np.clip((holes - 1.1) * 2, 0, 1) * (nearness > 0.25)  # nucleoli take no stain
    np.maximum(light, 0, out=light)

    far = rng.random(count + 1) < 0.1  # out of focus; their light spreads, their outline stays what it is
    sharp = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.7, 1.1))
    if far[1:].any() and count:
        blurred = cv2.GaussianBlur(light * far[labels], (0, 0), radius_px * 0.16)
        sharp = cv2.GaussianBlur(light * ~far[labels], (0, 0), rng.uniform(0.7, 1.1)) + blurred
    return sharp


def _expose(rng: np.random.Generator, light: np.ndarray, radius_px: float, bit_depth: int) -> np.ndarray:
    """What the camera counts, (H, W, 1): haze, uneven illumination, dust, photons, read noise."""
    size_hw = light.shape
    haze = cv2.GaussianBlur(light, (0, 0), radius_px * 1.6)
    ground = rng.uniform(0.015, 0.05) * np.exp(0.35 * noise(rng, size_hw, max(size_hw) * 0.6))
    light = light + rng.uniform(0.05, 0.16) * haze + ground
    for _ in range(rng.poisson(size_hw[0] * size_hw[1] / 22_000)):  # debris glows too and is no nucleus
        y, x, spread = rng.uniform(0, size_hw[0]), rng.uniform(0, size_hw[1]), rng.uniform(0.7, 1.9)
        v = np.arange(max(0, int(y) - 6), min(size_hw[0], int(y) + 7), dtype=np.float32)[:, None]
        u = np.arange(max(0, int(x) - 6), min(size_hw[1], int(x) + 7), dtype=np.float32)[None]
        spot = np.exp(-((v - y) ** 2 + (u - x) ** 2) / (2 * spread**2)) * rng.uniform(0.1, 0.7)
        light[int(v[0, 0]) : int(v[-1, 0]) + 1, int(u[0, 0]) : int(u[0, -1]) + 1] += spot
    light *= vignette(size_hw, rng.uniform(0, 0.35))
    photons = rng.uniform(150, 900)  # of a nucleus of brightness 1
    counted = rng.poisson(np.maximum(light, 0) * photons).astype(np.float32) / np.float32(photons)
    counted += rng.standard_normal(size_hw, dtype=np.float32) * np.float32(rng.uniform(0.004, 0.012))
    counted = counted / rng.uniform(1.6, 2.6) + 0.02
    if bit_depth == 16:
        return np.clip(counted * 4095, 0, 4095).astype(np.uint16)[..., None]
    return np.clip(counted * 255, 0, 255).astype(np.uint8)[..., None]
