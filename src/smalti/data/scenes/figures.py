"""What stands in a street, drawn in perspective: cars, trucks, people, trees, lamp posts and signs."""

from __future__ import annotations

import numpy as np

from .camera import linear, rgb
from .perspective import Raster, Stage, View
from .textures import fractal

_PAINT = (
    (235, 235, 232), (190, 194, 198), (120, 124, 130), (40, 42, 46), (150, 28, 30), (36, 60, 120), (60, 100, 150),
    (70, 84, 70), (200, 180, 150), (110, 60, 40), (20, 24, 40), (222, 180, 50),
)  # fmt: skip
_CLOTHES = (
    (40, 44, 60), (30, 30, 32), (150, 40, 44), (60, 90, 150), (210, 205, 195), (90, 110, 80), (190, 150, 60),
    (120, 80, 110), (80, 70, 60), (200, 110, 60), (70, 130, 140), (160, 160, 165),
)  # fmt: skip
_SKIN = ((236, 196, 170), (210, 160, 125), (160, 110, 80), (105, 70, 52))
_HAIR = ((30, 24, 22), (70, 46, 30), (130, 100, 60), (150, 146, 140))
_LEAVES = ((70, 104, 44), (54, 88, 40), (92, 122, 52), (60, 96, 64), (110, 118, 50))
RUBBER, GLASS = linear((30, 30, 32)), 0.05


def _box(
    x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], inset: tuple[float, ...]
) -> np.ndarray:
    """Corners (2, 2, 2, 3) of a block, by right, up and ahead; its top is drawn in by (sides, near, far)."""
    corners = np.zeros((2, 2, 2, 3))
    for i in range(2):
        for j in range(2):
            for k in range(2):
                shift_x = (inset[0], -inset[0])[i] * j
                shift_z = (inset[1], -inset[2])[k] * j
                corners[i, j, k] = x[i] + shift_x, y[j], z[k] + shift_z
    return corners


def _faces(raster: Raster, view: View, corners: np.ndarray, lights: dict[str, np.ndarray]) -> None:
    """Fill the sides of a block that the camera sees: ``top``, ``side`` and ``near``."""
    flat = view.project(corners)
    left, right = corners[0, 0, 0, 0], corners[1, 0, 0, 0]
    if view.height_m > corners[0, 1, 0, 1]:
        raster.polygon(flat[[0, 1, 1, 0], 1, [0, 0, 1, 1]], lights["top"])
    if left > 0 or right < 0:
        side = 0 if left > 0 else 1
        raster.polygon(flat[side, [0, 1, 1, 0], [0, 0, 1, 1]], lights["side"])
    raster.polygon(flat[[0, 1, 1, 0], [0, 0, 1, 1], 0], lights["near"])


def _quad(
    raster: Raster, view: View, x: tuple[float, float], y: tuple[float, float], z: float, light: np.ndarray
) -> None:
    """Fill an upright rectangle at distance ``z``, inside what is painted."""
    points = np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])
    raster.polygon(view.project(points), light, grow=False)


def _body_lights(view: View, paint: np.ndarray, x: float) -> dict[str, np.ndarray]:
    facing = (-1.0 if x > 0 else 1.0, 0.0, 0.0)
    shine = 0.04 * view.skylight
    return {
        "top": paint * view.lit((0, 1, 0)) + 2 * shine,
        "side": paint * view.lit(facing) + shine,
        "near": paint * view.lit((0, 0.1, -1)) + shine,
    }


def _wheels(
    raster: Raster, view: View, x: tuple[float, float], z: tuple[float, float], radius: float
) -> None:
    """Round wheels on the side that is seen, and the treads of the nearer axle."""
    for low, high in ((x[0], x[0] + 0.22), (x[1] - 0.22, x[1])):
        points = np.array([(u, v, z[0] + 0.1) for u, v in ((low, 0), (high, 0), (high, 0.4), (low, 0.4))])
        raster.polygon(view.project(points), RUBBER * view.ambient(0))
    if x[0] > 0 or x[1] < 0:
        plane = x[0] if x[0] > 0 else x[1]
        angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for middle in (z[0] + 0.19 * (z[1] - z[0]), z[1] - 0.2 * (z[1] - z[0])):
            ring = np.stack(
                [np.full(14, plane), radius + radius * np.sin(angles), middle + radius * np.cos(angles)], -1
            )
            raster.polygon(view.project(ring), RUBBER * view.ambient(0.3))
            hub = ring * (1, 0.5, 0.5) + (0, radius / 2, middle / 2)
            raster.polygon(view.project(hub), linear((120, 122, 126)) * view.ambient(0.3), grow=False)


def car(rng: np.random.Generator, stage: Stage, x: float, z: float, oncoming: bool) -> Raster | None:
    """A car whose nearer end is at ``z``; ``oncoming`` shows its front."""
    length, width = rng.uniform(3.7, 4.8), rng.uniform(1.7, 1.9)
    waist, height = rng.uniform(0.85, 1.0), rng.uniform(1.4, 1.75)
    sides, ends = (x - width / 2, x + width / 2), (z, z + length)
    estate = rng.random() < 0.5
    bonnet, boot = rng.uniform(0.9, 1.2), 0.1 if estate else rng.uniform(0.35, 0.8)
    before, behind = (bonnet, boot) if oncoming else (boot, bonnet)
    paint = linear(_PAINT[rng.integers(len(_PAINT))]) * rng.uniform(0.8, 1.1)

    body = _box(sides, (0.2, waist), ends, (0.06, 0.05, 0.05))
    cabin = _box(
        (sides[0] + 0.07, sides[1] - 0.07),
        (waist - 0.02, height),
        (z + before, z + length - behind),
        (0.16, 0.4, 0.4),
    )
    ground = _box(sides, (0.0, 0.2), ends, (0, 0, 0))
    raster = stage.raster(view.project(np.concatenate([body, cabin, ground])).reshape(-1, 2))
    if raster is None:
        return None
    lights = _body_lights(view, paint, x)
    under = _box((sides[0] + 0.1, sides[1] - 0.1), (0.12, 0.3), (z + 0.1, z + length - 0.1), (0, 0, 0))
    _faces(raster, view, under, dict.fromkeys(("top", "side", "near"), RUBBER * 0.5 * view.ambient(-1)))
    _wheels(raster, view, sides, ends, 0.32)
    _faces(raster, view, body, lights)
    if sides[0] > 0 or sides[1] < 0:
        _wheels(raster, view, sides, ends, 0.32)  # the side was painted over them
    glass = view.skylight * (GLASS + rng.uniform(0.02, 0.14)) * rgb(0.9, 1.0, 1.05)
    _faces(raster, view, cabin, {"top": lights["top"], "side": glass * 0.8, "near": glass})
    _pillars(raster, view, cabin, lights, x)

    lamp = rgb(1.0, 0.98, 0.9) if oncoming else rgb(0.55, 0.02, 0.02)
    shine = lamp * (1.3 if rng.random() < 0.4 else 0.55)
    low = waist - 0.32
    for edge, sign in ((sides[0] + 0.06, 1), (sides[1] - 0.06, -1)):
        spread = sorted((edge, edge + sign * 0.3))
        _quad(raster, view, (spread[0], spread[1]), (low, low + 0.17), z, shine)
    if oncoming:
        _quad(raster, view, (x - 0.45, x + 0.45), (low - 0.12, low + 0.1), z, RUBBER)
    _quad(raster, view, (sides[0], sides[1]), (0.2, 0.36), z, paint * 0.35 * view.ambient(0))
    _quad(raster, view, (x - 0.26, x + 0.26), (0.4, 0.52), z, linear((225, 222, 200)) * view.lit((0, 0, -1)))
    return raster


def _pillars(raster: Raster, view: View, cabin: np.ndarray, lights: dict[str, np.ndarray], x: float) -> None:
    """Frames around the glass: roof edge and pillars in the colour of the body."""
    flat = view.project(cabin)
    scale = view.focal_px / cabin[0, 0, 0, 2]
    width = 0.07 * scale
    if width < 0.8:
        return
    side = None if cabin[0, 0, 0, 0] <= 0 <= cabin[1, 0, 0, 0] else (0 if x > 0 else 1)
    for i in (0, 1):
        raster.limb(flat[i, 0, 0], flat[i, 1, 0], width, lights["near"])
    raster.limb(flat[0, 1, 0], flat[1, 1, 0], width, lights["near"])
    if side is not None:
        raster.limb(flat[side, 1, 0], flat[side, 1, 1], width, lights["side"])
        middle = (flat[side, :, 0] + flat[side, :, 1]) / 2
        raster.limb(middle[0], middle[1], width, lights["side"])
        raster.limb(flat[side, 0, 1], flat[side, 1, 1], width, lights["side"])


def truck(rng: np.random.Generator, stage: Stage, x: float, z: float, oncoming: bool) -> Raster | None:
    """A lorry, van or bus whose nearer end is at ``z``."""
    length, width, height = rng.uniform(5.5, 10), rng.uniform(2.1, 2.5), rng.uniform(2.4, 3.4)
    sides, ends = (x - width / 2, x + width / 2), (z, z + length)
    paint = linear(_PAINT[rng.integers(len(_PAINT))]) * rng.uniform(0.8, 1.1)
    bus = rng.random() < 0.4
    body = _box(sides, (0.45, height), ends, (0.03, 0.05, 0.05))
    ground = _box(sides, (0.0, 0.2), ends, (0, 0, 0))
    raster = stage.raster(view.project(np.concatenate([body, ground])).reshape(-1, 2))
    if raster is None:
        return None
    lights = _body_lights(view, paint, x)
    under = _box((sides[0] + 0.15, sides[1] - 0.15), (0.3, 0.6), (z + 0.1, z + length - 0.1), (0, 0, 0))
    _faces(raster, view, under, dict.fromkeys(("top", "side", "near"), RUBBER * 0.5 * view.ambient(-1)))
    _wheels(raster, view, sides, ends, 0.45)
    _faces(raster, view, body, lights)
    glass = view.skylight * (GLASS + rng.uniform(0.02, 0.12))
    if bus or oncoming:
        _quad(
            raster, view, (sides[0] + 0.15, sides[1] - 0.15), (1.35, min(2.5, height - 0.3)), z + 0.03, glass
        )
    else:
        for edge in (x - 0.03, sides[0] + 0.05, sides[1] - 0.1):
            _quad(raster, view, (edge, edge + 0.05), (0.5, height - 0.1), z, lights["near"] * 0.6)
    if (sides[0] > 0 or sides[1] < 0) and bus:
        plane = sides[0] if sides[0] > 0 else sides[1]
        count = int(length / 1.3)
        for number in range(count):
            low, high = (z + length * (number + share) / count for share in (0.1, 0.9))
            pane = np.array(
                [
                    (plane, 1.4, low),
                    (plane, 1.4, high),
                    (plane, height - 0.5, high),
                    (plane, height - 0.5, low),
                ]
            )
            raster.polygon(view.project(pane), glass * 0.8, grow=False)
    lamp = rgb(1.0, 0.98, 0.9) if oncoming else rgb(0.55, 0.02, 0.02)
    for edge in (sides[0] + 0.1, sides[1] - 0.4):
        _quad(raster, view, (edge, edge + 0.3), (0.6, 0.78), z, lamp)
    _wheels(raster, view, sides, ends, 0.45)
    return raster


def person(rng: np.random.Generator, stage: Stage, x: float, z: float) -> Raster | None:
    """Somebody who stands or walks at ``x``, ``z``."""
    height = rng.uniform(1.1, 1.3) if rng.random() < 0.12 else rng.uniform(1.55, 1.92)
    scale = view.focal_px / z * height / 1.75
    foot = view.project(np.array([x, 0.0, z]))
    reach = np.array([(foot[0] - 0.6 * scale, foot[1] - 1.8 * scale), (foot[0] + 0.6 * scale, foot[1])])
    raster = stage.raster(reach)
    if raster is None:
        return None
    light = view.lit((0, 0.3, -0.7))
    colors = [linear(_CLOTHES[rng.integers(len(_CLOTHES))]) * light for _ in range(3)]
    top, trousers, bag = colors
    skin = linear(_SKIN[rng.integers(len(_SKIN))]) * light
    hair = linear(_HAIR[rng.integers(len(_HAIR))]) * light

    def at(right: float, up: float) -> np.ndarray:
        return np.array([foot[0] + right * scale, foot[1] - up * scale])

    stride = rng.uniform(0.02, 0.28)
    broad = rng.uniform(0.85, 1.2)
    for sign, dim in ((1, 0.75), (-1, 1.0)):
        knee = at(sign * stride * 0.75, 0.47)
        raster.limb(at(sign * 0.06, 0.92), knee, 0.17 * scale, trousers * dim)
        raster.limb(knee, at(sign * stride, 0.05), 0.13 * scale, trousers * dim)
        raster.limb(
            at(sign * stride - 0.07, 0.04), at(sign * stride + 0.11, 0.04), 0.09 * scale, RUBBER * light
        )
    raster.limb(at(0.16 * broad, 1.38), at(0.2 * broad + stride * 0.6, 0.9), 0.11 * scale, top * 0.8)
    shoulder, waist = 0.2 * broad, 0.15 * broad
    coat = 0.55 if rng.random() < 0.25 else 0.85
    raster.polygon(
        np.array(
            [
                at(-shoulder, 1.42),
                at(-0.07, 1.5),
                at(0.07, 1.5),
                at(shoulder, 1.42),
                at(waist * 1.1, coat),
                at(-waist * 1.1, coat),
            ]
        ),
        top,
    )
    if rng.random() < 0.3:
        raster.polygon(np.array([at(0.08, 1.4), at(0.25, 1.35), at(0.25, 1.0), at(0.08, 0.98)]), bag)
    raster.limb(at(-0.17 * broad, 1.38), at(-0.2 * broad - stride * 0.5, 0.88), 0.11 * scale, top * 0.92)
    raster.limb(at(0, 1.45), at(0, 1.58), 0.1 * scale, skin)
    raster.ellipse(tuple(at(0, 1.63)), (0.105 * scale, 0.13 * scale), skin)
    raster.ellipse(tuple(at(-0.01, 1.68)), (0.11 * scale, 0.085 * scale), hair)
    return raster


def tree(rng: np.random.Generator, stage: Stage, x: float, z: float, shrub: bool = False) -> Raster | None:
    """A tree whose crown lets some sky through, or a shrub without a trunk."""
    crown = rng.uniform(0.5, 1.3) if shrub else rng.uniform(1.3, 2.8)
    trunk = 0.0 if shrub else rng.uniform(1.8, 3.4)
    middle_y = crown * 0.55 if shrub else trunk + crown * 0.85
    scale = view.focal_px / z
    foot = view.project(np.array([x, 0.0, z]))
    reach = np.array(
        [
            (foot[0] - 1.4 * crown * scale, foot[1] - (middle_y + 1.5 * crown) * scale),
            (foot[0] + 1.4 * crown * scale, foot[1]),
        ]
    )
    raster = stage.raster(reach)
    if raster is None:
        return None
    if trunk:
        bark = linear((96, 80, 64)) * view.lit((-np.sign(x) * 0.5, 0, -0.6)) * 0.8
        girth = rng.uniform(0.14, 0.3) * scale
        raster.limb(foot, foot - (0, (trunk + 0.4 * crown) * scale), max(1.0, girth), bark)
    shape = raster.mask.shape
    v, u = np.ogrid[: shape[0], : shape[1]]
    v = (foot[1] - (v + raster.top)) / scale - middle_y  # metres above the middle of the crown
    u = (u + raster.left - foot[0]) / scale
    v, u = v.astype(np.float32), u.astype(np.float32)
    bulge = np.full(shape, -9, np.float32)
    shade = np.zeros(shape, np.float32)
    sun = view.sun / max(1e-6, float(np.linalg.norm(view.sun[:2])))
    for _ in range(7 if shrub else 11):
        angle, away = rng.uniform(0, 2 * np.pi), crown * 0.62 * rng.uniform(0, 1) ** 0.5
        cy, cx, radius = (
            away * np.sin(angle) * (0.6 if shrub else 1.0),
            away * np.cos(angle),
            crown * rng.uniform(0.32, 0.52),
        )
        inside = radius - np.sqrt((v - cy) ** 2 + (u - cx) ** 2)
        toward = ((v - cy) * sun[1] + (u - cx) * sun[0]) / radius
        higher = inside > bulge
        bulge = np.where(higher, inside, bulge)
        shade = np.where(higher, toward, shade)
    leaf_px = max(1.0, 0.22 * scale)
    leaves = fractal(rng, shape, leaf_px, octaves=2, gain=0.8)
    ragged = bulge + np.float32(0.13 * crown) * leaves > 0
    if shrub:
        ragged &= v > -middle_y
    color = linear(_LEAVES[rng.integers(len(_LEAVES))]) * rng.uniform(0.7, 1.3)
    bright = np.clip(0.55 + 0.4 * shade + 0.22 * leaves, 0.08, 1.6)[..., None]
    leafy = color * (view.ambient(0.3) * (0.5 + 0.5 * bright) + view.sunlight * 0.75 * bright)
    raster.light[ragged] = leafy[ragged]
    raster.mask[ragged] = 1
    return raster


def lamp_post(rng: np.random.Generator, stage: Stage, x: float, z: float) -> Raster | None:
    """A street lamp with an arm over the road."""
    height, arm = rng.uniform(5, 8), -np.sign(x) * rng.uniform(0.8, 1.8)
    points = view.project(np.array([(x, 0, z), (x, height, z), (x + arm, height + 0.25, z)]))
    raster = stage.raster(points, margin=3)
    if raster is None:
        return None
    scale = view.focal_px / z
    light = linear((110, 112, 110)) * rng.uniform(0.5, 1.3) * view.lit((-np.sign(x) * 0.6, 0, -0.6))
    raster.limb(points[0], points[1], max(1.0, 0.14 * scale), light)
    raster.limb(points[1], points[2], max(0.8, 0.08 * scale), light)
    raster.ellipse(tuple(points[2]), (max(1.0, 0.3 * scale), max(0.6, 0.09 * scale)), light * 1.3)
    return raster


def road_sign(
    rng: np.random.Generator, stage: Stage, x: float, z: float
) -> tuple[Raster | None, Raster | None]:
    """The plate of a traffic sign, and its pole."""
    height, radius = rng.uniform(2.2, 2.7), rng.uniform(0.3, 0.42)
    points = view.project(np.array([(x, 0, z), (x, height, z), (x, height + 2 * radius, z)]))
    plate = stage.raster(points[1:], margin=2 + radius * view.focal_px / z * 1.3)
    pole = stage.raster(points, margin=2)
    scale = view.focal_px / z
    light = view.lit((0, 0, -1)) + 0.25 * view.skylight
    if pole is not None:
        pole.limb(
            points[0], points[2], max(1.0, 0.08 * scale), linear((140, 140, 138)) * view.lit((0, 0, -1))
        )
    if plate is not None:
        middle, reach = (points[1] + points[2]) / 2, radius * scale
        red, blue, white, yellow = (
            linear(c) for c in ((190, 24, 30), (20, 70, 160), (236, 236, 232), (240, 190, 30))
        )
        shape = rng.integers(4)
        if shape == 0:
            plate.ellipse(tuple(middle), (reach, reach), red * light)
            plate.ellipse(tuple(middle), (reach * 0.72, reach * 0.72), white * light, grow=False)
        elif shape == 1:
            plate.ellipse(tuple(middle), (reach, reach), blue * light)
            plate.limb(
                middle - (0, reach * 0.6), middle + (0, reach * 0.6), max(0.8, reach * 0.3), white * light
            )
        else:
            corners = 3 if shape == 2 else 4
            angles = np.arange(corners) * 2 * np.pi / corners - np.pi / 2
            ring = np.stack([np.cos(angles), np.sin(angles)], -1) * reach * 1.15
            plate.polygon(middle + ring, (red if shape == 2 else white) * light)
            plate.polygon(middle + ring * 0.65, (white if shape == 2 else yellow) * light, grow=False)
    return plate, pole
