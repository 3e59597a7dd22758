"""Made-up images with exact truth: cells, single and touching, and pieces of country that have a class for every
pixel.

Both have texture, blur, uneven light and noise, so that what is judged by edges has something to go by.
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
        return Sample.of(self.name, Image(self.pixels), self.truth, split=self.split, group=self.group)


def grain(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Random texture (H, W) of mean 0 and deviation 1, as coarse as ``sigma`` in pixels."""
    texture = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), sigma)
    return (texture - texture.mean()) / texture.std()


def blob(
    rng: np.random.Generator,
    shape: tuple[int, int],
    center: np.ndarray,
    radius: float,
    wobble: float = 0.08,
    stretch: float = 1.0,
) -> np.ndarray:
    """A star-shaped outline filled, (H, W) bool."""
    reach = int(1.4 * radius * stretch) + 3
    top, left = (max(0, int(each) - reach) for each in center)
    y, x = np.mgrid[top : int(center[0]) + reach, left : int(center[1]) + reach] - center[:, None, None]
    turn = rng.uniform(0, np.pi)
    along = (np.cos(turn) * x + np.sin(turn) * y) / stretch
    across = -np.sin(turn) * x + np.cos(turn) * y
    angle = np.arctan2(across, along)
    edge = np.ones(y.shape)
    for k in range(2, 6):
        edge += wobble / (k - 1) * rng.uniform(-1, 1) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    inside = np.hypot(along, across) <= radius * edge
    mask = np.zeros(shape, bool)
    place = mask[top : top + len(inside), left : left + inside.shape[1]]
    place[:] = inside[: place.shape[0], : place.shape[1]]
    return mask


def cell_draft(rng: np.random.Generator, name: str, side: int = 160) -> Draft:
    """Cells on an uneven ground; some touch, with the faint seam that touching cells have."""
    shape = (side, side)
    labels = np.zeros(shape, np.int32)
    light = np.zeros(shape, np.float32)
    class_ids: list[int] = []
    count = int(rng.integers(7, 13) * (side / 160) ** 2)
    texture = 9 * grain(rng, shape, 2.5)
    for _ in range(12 * count):
        if len(class_ids) == count:
            break
        kind = 2 if rng.random() < 0.12 else 1
        radius, stretch = rng.uniform(9, 15), rng.uniform(1, 1.25) if kind == 1 else 1.5
        center = rng.uniform(2, side - 2, 2)
        touch = bool(class_ids) and rng.random() < 0.3
        if touch:
            center = _beside(rng, labels == rng.integers(1, len(class_ids) + 1), radius)
        if (center < 0).any() or (center >= side).any():
            continue
        mask = blob(rng, shape, center, radius, stretch=stretch)
        near = cv2.dilate(mask.view(np.uint8), np.ones((9, 9), np.uint8)) > 0
        new = mask & (labels == 0)
        if np.count_nonzero(labels[mask]) > 0.12 * mask.sum() or (not touch and labels[near].any()):
            continue
        if cv2.connectedComponents(new.view(np.uint8))[0] != 2 or new.sum() < 120:
            continue
        class_ids.append(kind)
        labels[new] = len(class_ids)
        inside = cv2.distanceTransform(new.view(np.uint8), cv2.DIST_L2, 5)
        height = rng.uniform(70, 130) * (1.4 if kind == 2 else 1)
        light[new] = (height * (0.75 + 0.25 * np.minimum(inside / (0.6 * radius), 1)) + texture)[new]
    light[_seams(labels)] *= 0.45
    ground = 40 + 8 * grain(rng, shape, 25) + 2 * grain(rng, shape, 3)
    grey = cv2.GaussianBlur((ground + light).astype(np.float32), (0, 0), 0.9)
    tint = np.array([0.75, 1.0, 0.85]) * rng.uniform(0.95, 1.05, 3)
    pixels = grey[..., None] * tint + rng.normal(0, 4, (*shape, 3))
    truth = Segmentation.from_labels(labels, class_ids=class_ids, classes=CELLS)
    return Draft(name, pixels.clip(0, 255).astype(np.uint8), truth)


def _beside(rng: np.random.Generator, mask: np.ndarray, radius: float) -> np.ndarray:
    """A centre from which a disc of this radius just touches a mask."""
    ys, xs = np.nonzero(mask)
    turn = rng.uniform(0, 2 * np.pi)
    reach = np.sqrt(len(ys) / np.pi) + radius * 0.92
    return np.array([ys.mean() + reach * np.sin(turn), xs.mean() + reach * np.cos(turn)])


def _seams(labels: np.ndarray) -> np.ndarray:
    """Pixels of one segment beside another one."""
    seams = np.zeros(labels.shape, bool)
    for one, other, first, second in (
        (labels[1:], labels[:-1], seams[1:], seams[:-1]),
        (labels[:, 1:], labels[:, :-1], seams[:, 1:], seams[:, :-1]),
    ):
        meets = (one != other) & (one > 0) & (other > 0)
        first |= meets
        second |= meets
    return seams


def land_draft(rng: np.random.Generator, name: str, side: int = 160) -> Draft:
    """A piece of country seen from above: every pixel has a class."""
    shape = (side, side)
    relief, wet = grain(rng, shape, 22), grain(rng, shape, 18)
    semantic = np.full(shape, 1, np.int32)
    semantic[wet > 0.9] = 3
    semantic[relief > 1.0] = 2
    start, end = (int(each) for each in rng.uniform(0, side, 2))
    width = int(rng.integers(5, 8))
    if rng.random() < 0.7:
        road = cv2.line(np.zeros(shape, np.uint8), (start, -4), (end, side + 4), 1, width)
        semantic[road > 0] = 4
    semantic = _without_crumbs(semantic)
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


def _without_crumbs(semantic: np.ndarray, pixels: int = 40) -> np.ndarray:
    """Pieces of a class that are smaller, as where fields of noise cross, join what is around them."""
    semantic = semantic.copy()
    for class_id in np.unique(semantic):
        count, pieces, stats, _ = cv2.connectedComponentsWithStats((semantic == class_id).astype(np.uint8))
        for k in range(1, count):
            if stats[k, cv2.CC_STAT_AREA] < pixels:
                piece = (pieces == k).astype(np.uint8)
                around = semantic[(cv2.dilate(piece, np.ones((3, 3), np.uint8)) > 0) & (piece == 0)]
                semantic[piece > 0] = np.bincount(around).argmax()
    return semantic
