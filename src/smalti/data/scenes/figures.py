"""What stands in a street, drawn in perspective: people, trees, lamp posts and signs."""

from __future__ import annotations

import numpy as np

from .camera import linear
from .perspective import Raster, Stage
from .textures import noise

_CLOTHES = (
    (40, 44, 60), (30, 30, 32), (150, 40, 44), (60, 90, 150), (210, 205, 195), (90, 110, 80), (190, 150, 60),
    (120, 80, 110), (80, 70, 60), (200, 110, 60), (70, 130, 140), (160, 160, 165),
)  # fmt: skip
_SKIN = ((236, 196, 170), (210, 160, 125), (160, 110, 80), (105, 70, 52))
_HAIR = ((30, 24, 22), (70, 46, 30), (130, 100, 60), (150, 146, 140))
_LEAVES = ((70, 104, 44), (54, 88, 40), (92, 122, 52), (60, 96, 64), (110, 118, 50))
_SHOES, _BARK, _STEEL = linear((30, 30, 32)), linear((96, 80, 64)), linear((110, 112, 110))
_RED, _BLUE, _WHITE, _YELLOW = (
    linear(color) for color in ((190, 24, 30), (20, 70, 160), (236, 236, 232), (240, 190, 30))
)


def person(rng: np.random.Generator, stage: Stage, x: float, z: float) -> Raster | None:
    """Somebody who stands or walks at ``x``, ``z``."""
    view = stage.view
    height = rng.uniform(1.1, 1.3) if rng.random() < 0.12 else rng.uniform(1.55, 1.92)
    scale = view.focal_px / z * height / 1.75  # everything below is for somebody 1.75 m tall
    foot = view.project(np.array([x, 0.0, z]))

    def at(right: float, up: float) -> np.ndarray:
        return np.array([foot[0] + right * scale, foot[1] - up * scale])

    raster = stage.raster(np.array([at(-0.6, 1.8), at(0.6, 0)]))
    if raster is None:
        return None
    light = view.lit((0, 0.3, -0.7))
    top, trousers, bag = (linear(_CLOTHES[rng.integers(len(_CLOTHES))]) * light for _ in range(3))
    skin = linear(_SKIN[rng.integers(len(_SKIN))]) * light
    hair = linear(_HAIR[rng.integers(len(_HAIR))]) * light
    stride, broad = rng.uniform(0.02, 0.28), rng.uniform(0.85, 1.2)
    for sign, dim in ((1, 0.75), (-1, 1.0)):
        knee, toe = at(sign * stride * 0.75, 0.47), sign * stride
        raster.limb(at(sign * 0.06, 0.92), knee, 0.17 * scale, trousers * dim)
        raster.limb(knee, at(toe, 0.05), 0.13 * scale, trousers * dim)
        raster.limb(at(toe - 0.07, 0.04), at(toe + 0.11, 0.04), 0.09 * scale, _SHOES * light)
    raster.limb(at(0.16 * broad, 1.38), at(0.2 * broad + stride * 0.6, 0.9), 0.11 * scale, top * 0.8)
    shoulder, waist = 0.2 * broad, 0.165 * broad
    hem = 0.55 if rng.random() < 0.25 else 0.85
    torso = ((-shoulder, 1.42), (-0.07, 1.5), (0.07, 1.5), (shoulder, 1.42), (waist, hem), (-waist, hem))
    raster.polygon(np.array([at(*point) for point in torso]), top)
    if rng.random() < 0.3:
        raster.polygon(np.array([at(0.08, 1.4), at(0.25, 1.35), at(0.25, 1.0), at(0.08, 0.98)]), bag)
    raster.limb(at(-0.17 * broad, 1.38), at(-0.2 * broad - stride * 0.5, 0.88), 0.11 * scale, top * 0.92)
    raster.limb(at(0, 1.45), at(0, 1.58), 0.1 * scale, skin)
    raster.ellipse(at(0, 1.63), (0.105 * scale, 0.13 * scale), skin)
    raster.ellipse(at(-0.01, 1.68), (0.11 * scale, 0.085 * scale), hair)
    return raster


def tree(rng: np.random.Generator, stage: Stage, x: float, z: float, shrub: bool = False) -> Raster | None:
    """A tree whose crown lets some sky through, or a shrub without a trunk."""
    view = stage.view
    crown = rng.uniform(0.5, 1.3) if shrub else rng.uniform(1.3, 2.8)
    trunk = 0.0 if shrub else rng.uniform(1.8, 3.4)
    middle_y = crown * 0.55 if shrub else trunk + crown * 0.85
    scale = view.focal_px / z
    foot = view.project(np.array([x, 0.0, z]))
    corner = foot - np.array([1.2 * crown, middle_y + 1.2 * crown]) * scale
    raster = stage.raster(np.array([corner, foot + (1.2 * crown * scale, 0)]))
    if raster is None:
        return None
    if trunk:
        bark = _BARK * view.lit((-np.sign(x) * 0.5, 0, -0.6)) * 0.8
        girth = max(1.0, rng.uniform(0.14, 0.3) * scale)
        raster.limb(foot, foot - (0, (trunk + 0.4 * crown) * scale), girth, bark)
    shape = raster.mask.shape
    up = ((foot[1] - raster.top - np.arange(shape[0])) / scale - middle_y).astype(np.float32)[:, None]
    right = ((raster.left - foot[0] + np.arange(shape[1])) / scale).astype(np.float32)[None]
    bulge = np.full(shape, -9, np.float32)
    shade = np.zeros(shape, np.float32)
    sun = view.sun[:2] / max(1e-6, float(np.linalg.norm(view.sun[:2])))
    for _ in range(6 if shrub else 9):  # a crown is a heap of balls of leaves
        angle, away = rng.uniform(0, 2 * np.pi), crown * 0.62 * rng.uniform(0, 1) ** 0.5
        cx, cy = away * np.cos(angle), away * np.sin(angle) * (0.6 if shrub else 1.0)
        radius = crown * rng.uniform(0.34, 0.54)
        dy, dx = up - np.float32(cy), right - np.float32(cx)
        inside = np.float32(radius) - np.sqrt(dy * dy + dx * dx)
        toward = dy * np.float32(sun[1] / radius) + dx * np.float32(sun[0] / radius)
        higher = inside > bulge
        np.copyto(bulge, inside, where=higher)
        np.copyto(shade, toward, where=higher)
    leaves = noise(rng, shape, max(1.0, 0.22 * scale)) + 0.6 * noise(rng, shape, max(1.0, 0.09 * scale))
    ragged = bulge + np.float32(0.13 * crown) * leaves > 0
    if shrub:
        ragged &= up > -middle_y
    color = linear(_LEAVES[rng.integers(len(_LEAVES))]) * rng.uniform(0.7, 1.3)
    bright = np.clip(0.55 + 0.4 * shade[ragged] + 0.22 * leaves[ragged], 0.08, 1.6)[:, None]
    raster.light[ragged] = color * (view.ambient(0.3) * (0.5 + 0.5 * bright) + view.sunlight * 0.75 * bright)
    raster.mask[ragged] = 1
    return raster


def lamp_post(rng: np.random.Generator, stage: Stage, x: float, z: float) -> Raster | None:
    """A street lamp with an arm over the road."""
    view = stage.view
    height, arm = rng.uniform(5, 8), -np.sign(x) * rng.uniform(0.8, 1.8)
    points = view.project(np.array([(x, 0, z), (x, height, z), (x + arm, height + 0.25, z)]))
    raster = stage.raster(points, margin=3)
    if raster is None:
        return None
    scale = view.focal_px / z
    light = _STEEL * rng.uniform(0.5, 1.3) * view.lit((-np.sign(x) * 0.6, 0, -0.6))
    raster.limb(points[0], points[1], max(1.0, 0.14 * scale), light)
    raster.limb(points[1], points[2], max(0.8, 0.08 * scale), light)
    raster.ellipse(points[2], (max(1.0, 0.3 * scale), max(0.6, 0.09 * scale)), light * 1.3)
    return raster


def road_sign(
    rng: np.random.Generator, stage: Stage, x: float, z: float
) -> tuple[Raster | None, Raster | None]:
    """The plate of a traffic sign, and its pole."""
    view = stage.view
    height, radius = rng.uniform(2.2, 2.7), rng.uniform(0.3, 0.42)
    scale = view.focal_px / z
    points = view.project(np.array([(x, 0, z), (x, height, z), (x, height + 2 * radius, z)]))
    plate = stage.raster(points[1:], margin=2 + radius * scale * 1.3)
    pole = stage.raster(points, margin=2)
    if pole is not None:
        pole.limb(points[0], points[2], max(1.0, 0.08 * scale), _STEEL * view.lit((0, 0, -1)))
    if plate is None:
        return None, pole
    light = view.lit((0, 0, -1)) + 0.25 * view.skylight
    middle, reach = (points[1] + points[2]) / 2, radius * scale
    shape = int(rng.integers(4))
    if shape == 0:
        plate.ellipse(middle, (reach, reach), _RED * light)
        plate.ellipse(middle, (reach * 0.72, reach * 0.72), _WHITE * light, grow=False)
    elif shape == 1:
        plate.ellipse(middle, (reach, reach), _BLUE * light)
        plate.limb(
            middle - (0, reach * 0.6), middle + (0, reach * 0.6), max(0.8, reach * 0.3), _WHITE * light
        )
    else:
        angles = np.arange(shape + 1) * 2 * np.pi / (shape + 1) - np.pi / 2
        ring = np.stack([np.cos(angles), np.sin(angles)], -1) * reach * 1.15
        plate.polygon(middle + ring, (_RED if shape == 2 else _WHITE) * light)
        plate.polygon(middle + ring * 0.65, (_WHITE if shape == 2 else _YELLOW) * light, grow=False)
    return plate, pole
