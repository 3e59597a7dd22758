"""Datasets with known faults: made-up images with exact truth, into which a seeded script plants mistakes.

``cell_set`` draws cells, single and touching, on an uneven ground; ``land_set`` fields, water, woods and roads that
cover the whole image. Both have texture, blur and noise. Each function of ``PLANTERS`` spoils one sample and says what it did.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from smalti.classes import Class, ClassSet
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CELLS = ClassSet([Class(1, "cell", (86, 180, 233)), Class(2, "mitosis", (230, 159, 0))])
LAND = ClassSet(
    [
        Class(1, "field", (240, 228, 66), thing=False),
        Class(2, "water", (0, 114, 178), thing=False),
        Class(3, "wood", (0, 158, 115), thing=False),
        Class(4, "road", (204, 121, 167), thing=False),
    ]
)


@dataclass(frozen=True)
class Draft:
    """A sample before it becomes one: pixels (H, W, 3) uint8 and its truth."""

    name: str
    pixels: np.ndarray
    truth: Segmentation
    split: str | None = None
    group: str | None = None

    def sample(self) -> Sample:
        image, truth = Image(self.pixels), self.truth
        return Sample(
            self.name, lambda: image, lambda: (truth,), split=self.split, group=self.group
        )


def grain(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Random texture (H, W) of mean 0 and deviation 1, as coarse as ``sigma`` in pixels."""
    field = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), sigma) if sigma else rng.normal(size=shape)
    return (field - field.mean()) / field.std()


def blob(rng: np.random.Generator, shape: tuple[int, int], center: np.ndarray, radius: float, wobble: float = 0.08, stretch: float = 1.0) -> np.ndarray:
    """A star-shaped outline filled, (H, W) bool."""
    y, x = np.indices(shape) - center[:, None, None]
    turn = rng.uniform(0, np.pi)
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    along = along / stretch
    angle = np.arctan2(across, along)
    reach = np.ones(shape)
    for k in range(2, 6):
        reach += wobble / (k - 1) * rng.uniform(-1, 1) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    return np.hypot(along, across) <= radius * reach


def cell_draft(rng: np.random.Generator, name: str, side: int = 160) -> Draft:
    """Cells on an uneven ground; some touch, with the faint seam that touching cells have."""
    shape = (side, side)
    labels = np.zeros(shape, np.int32)
    class_ids: list[int] = []
    count = rng.integers(7, 13)
    light = np.zeros(shape, np.float32)
    ground = 40 + 8 * grain(rng, shape, 25) + 2 * grain(rng, shape, 3)
    tries = 0
    while len(class_ids) < count and tries < 300:
        tries += 1
        kind = 2 if rng.random() < 0.12 else 1
        radius = rng.uniform(9, 15)
        touch = class_ids and rng.random() < 0.3
        center = rng.uniform(2, side - 2, 2)
        if touch:
            ys, xs = np.nonzero(labels == rng.integers(1, len(class_ids) + 1))
            if not len(ys):
                continue
            middle = np.array([ys.mean(), xs.mean()])
            turn = rng.uniform(0, 2 * np.pi)
            center = middle + (np.sqrt(len(ys) / np.pi) + radius * 0.92) * np.array([np.sin(turn), np.cos(turn)])
            if (center < 0).any() or (center >= side).any():
                continue
        mask = blob(rng, shape, center, radius, stretch=rng.uniform(1, 1.25) if kind == 1 else 1.5)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        covered = np.count_nonzero(labels[mask])
        if covered > 0.12 * mask.sum() or (not touch and labels[near].any()):
            continue
        new = mask & (labels == 0)
        pieces, parts = cv2.connectedComponents(new.astype(np.uint8))
        if pieces != 2 or new.sum() < 120:
            continue
        class_ids.append(kind)
        labels[new] = len(class_ids)
        inside = cv2.distanceTransform(new.astype(np.uint8), cv2.DIST_L2, 5)
        height = rng.uniform(70, 130) * (1.4 if kind == 2 else 1)
        body = height * (0.75 + 0.25 * np.minimum(inside / (0.6 * radius), 1)) + 9 * grain(rng, shape, 2.5)
        light[new] = body[new]
    seam = np.zeros(shape, bool)
    for axis in (0, 1):
        one, other = np.take(labels, range(side - 1), axis), np.take(labels, range(1, side), axis)
        meets = (one != other) & (one > 0) & (other > 0)
        for start in (0, 1):
            place = [slice(None), slice(None)]
            place[axis] = slice(start, side - 1 + start)
            seam[tuple(place)] |= meets
    light[seam] *= 0.45
    grey = cv2.GaussianBlur(ground.astype(np.float32) + light, (0, 0), 0.9)
    tint = np.array([0.75, 1.0, 0.85]) * rng.uniform(0.95, 1.05, 3)
    pixels = grey[..., None] * tint + rng.normal(0, 4, (*shape, 3))
    truth = Segmentation.from_labels(labels, class_ids=class_ids, classes=CELLS)
    return Draft(name, pixels.clip(0, 255).astype(np.uint8), truth)


def land_draft(rng: np.random.Generator, name: str, side: int = 160) -> Draft:
    """A piece of country seen from above: every pixel has a class."""
    shape = (side, side)
    relief, wet = grain(rng, shape, 22), grain(rng, shape, 18)
    semantic = np.full(shape, 1, np.int32)
    semantic[wet > 0.9] = 3
    semantic[relief > 1.0] = 2
    start, end = rng.uniform(0, side, 2)
    width = int(rng.integers(5, 8))
    road = cv2.line(np.zeros(shape, np.uint8), (int(start), -4), (int(end), side + 4), 1, width)
    if rng.random() < 0.7:
        semantic[road > 0] = 4
    colors = {1: (150, 140, 70), 2: (40, 70, 120), 3: (40, 85, 45), 4: (140, 135, 130)}
    grains = {1: (6, 4), 2: (3, 6), 3: (14, 2), 4: (4, 1.5)}
    pixels = np.zeros((*shape, 3), np.float32)
    for class_id, color in colors.items():
        strength, sigma = grains[class_id]
        shade = np.array(color) * rng.uniform(0.92, 1.08) + strength * grain(rng, shape, sigma)[..., None]
        pixels[semantic == class_id] = shade[semantic == class_id]
    pixels = cv2.GaussianBlur(pixels, (0, 0), 0.8) + rng.normal(0, 4, pixels.shape)
    truth = Segmentation.from_semantic_map(semantic, LAND)
    return Draft(name, pixels.clip(0, 255).astype(np.uint8), truth)
