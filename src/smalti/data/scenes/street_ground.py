"""The ground, the horizon and the sky of a street: asphalt with markings, slabs, grass, far roofs and trees, clouds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from .camera import linear
from .facades import Block, roof_line
from .perspective import View, coverage
from .textures import fractal, noise


@dataclass(frozen=True)
class Layout:
    """Across the street, in metres from the camera, left and right: edges of road and pavements, lines of buildings."""

    centre: float  # line between the directions
    lane: float
    road: tuple[float, float]
    parking: tuple[bool, bool]
    pavement: tuple[float, float]
    building: tuple[float, float]
    side: int  # 1 where one drives on the right, -1 on the left
    end: float  # where the street ends


def draw_ground(
    rng: np.random.Generator,
    view: View,
    layout: Layout,
    blocks: list[list[Block]],
    shadow: np.ndarray,
    free: np.ndarray,
    light: np.ndarray,
) -> Iterator[tuple[str, np.ndarray]]:
    """Shade the ``free`` (H, W) pixels of the ground in ``light``; gives the mask of each kind of ground."""
    height, width = view.size_hw
    first = int(np.ceil(view.horizon_y + view.focal_px * view.height_m / layout.end))
    if first >= height:
        return
    rows = np.arange(first, height, dtype=np.float32)
    z = view.focal_px * view.height_m / (rows - view.horizon_y)
    per_px = z / np.float32(view.focal_px)  # metres across a pixel
    deep = (z**2 / np.float32(view.focal_px * view.height_m))[
        :, None
    ]  # metres a pixel spans along the street
    x = (np.arange(width, dtype=np.float32) - np.float32(view.middle_x))[None] * per_px[:, None]
    z, per_px = z[:, None], per_px[:, None]

    road = (x > layout.road[0]) & (x < layout.road[1])
    paved = (x > layout.pavement[0]) & (x < layout.pavement[1]) & ~road
    rough = fractal(rng, (256, 256), 16, octaves=5, gain=0.75)
    grit = _sampled(rough, x * 24, z * 24) * np.exp(-deep * 3) + 0.6 * _sampled(rough, x * 4, z * 4)

    albedo = np.empty((*x.shape, 3), np.float32)
    albedo[:] = _grass(rng, grit)
    slabs = _slabs(rng, x, z, per_px, deep, grit)
    albedo[paved] = slabs[paved]
    albedo[road] = _road(rng, layout, x, z, per_px, deep, grit)[road]
    for edge, sign in ((layout.road[0], -1), (layout.road[1], 1)):
        kerb = _band(x, per_px, *sorted((edge, edge + sign * 0.18)))[..., None] * (paved | road)[..., None]
        albedo += (linear((178, 174, 168)) * (1 + 0.05 * grit)[..., None] - albedo) * kerb

    lit = np.ones(x.shape, np.float32)
    for line, side in zip(layout.building, blocks, strict=True):
        if view.sun[0] * line > 1e-3:
            reach = (line - x) / np.float32(view.sun[0])
            roofs = roof_line(side, z + reach * np.float32(view.sun[2]))
            lit *= np.where(
                reach > 0, np.clip((reach * np.float32(view.sun[1]) - roofs) / 0.4 + 0.5, 0, 1), 1
            )
    lit = cv2.GaussianBlur(lit, (0, 0), 0.7) * (1 - shadow[0, first:])
    sunlit = view.sunlight * np.float32(max(0.0, view.sun[1]))
    arriving = view.ambient(1.0) * (1 - shadow[1, first:])[..., None] + sunlit * lit[..., None]
    shaded = view.through_air(albedo * arriving, z)

    room = free[first:]
    light[first:][room] = shaded[room]
    for kind, where in (("road", road), ("pavement", paved), ("grass", ~road & ~paved)):
        mask = np.zeros(view.size_hw, bool)
        mask[first:] = where & room
        yield kind, mask


def _sampled(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A texture, mirrored for ever, between its values at every u, v (which broadcast)."""
    u, v = np.broadcast_arrays(np.float32(u), np.float32(v))
    return cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _band(x: np.ndarray, per_px: np.ndarray, low: float, high: float) -> np.ndarray:
    """How much of each pixel lies between ``low`` and ``high`` metres across."""
    return np.clip((np.minimum(x + per_px / 2, high) - np.maximum(x - per_px / 2, low)) / per_px, 0, 1)


def _grass(rng: np.random.Generator, grit: np.ndarray) -> np.ndarray:
    color = linear(((96, 116, 58), (112, 118, 70), (84, 108, 60))[rng.integers(3)])
    return color * np.clip(1 + 0.3 * grit, 0.3, 2)[..., None]


def _slabs(
    rng: np.random.Generator,
    x: np.ndarray,
    z: np.ndarray,
    per_px: np.ndarray,
    deep: np.ndarray,
    grit: np.ndarray,
) -> np.ndarray:
    """Pavement of slabs with joints."""
    color = linear(((150, 146, 140), (164, 154, 142), (140, 140, 142), (170, 150, 136))[rng.integers(4)])
    size = rng.uniform(0.5, 1.1)
    joints = np.maximum(
        coverage(x / size, per_px / size, 0, 0.03 / size), coverage(z / size, deep / size, 0, 0.03 / size)
    )
    tint = rng.normal(0, 0.07, (64, 64)).astype(np.float32)
    slab = tint[np.floor(z / size).astype(np.int32) & 63, np.floor(x / size).astype(np.int32) & 63]
    slab = slab * np.clip(1 - deep / size, 0, 1)
    return color * ((1 + 0.07 * grit + slab) * (1 - 0.5 * joints))[..., None]


def _road(
    rng: np.random.Generator,
    layout: Layout,
    x: np.ndarray,
    z: np.ndarray,
    per_px: np.ndarray,
    deep: np.ndarray,
    grit: np.ndarray,
) -> np.ndarray:
    """Asphalt with wheel tracks, mended patches and white or yellow lines."""
    base = linear((rng.uniform(86, 126),) * 3) * rgb(1.0, 0.99, 1.01)
    tone = 1 + 0.13 * grit
    for middle in (layout.centre - layout.lane / 2, layout.centre + layout.lane / 2):
        for track in (middle - 0.75, middle + 0.75):
            tone = tone - 0.08 * np.exp(-(((x - track) / 0.3) ** 2))
    for _ in range(int(rng.integers(0, 4))):
        left, near = rng.uniform(*layout.road), rng.uniform(4, 40)
        patch = _band(x, per_px, left, left + rng.uniform(0.6, 2.5))
        patch = patch * _band(z, deep, near, near + rng.uniform(0.8, 6))
        tone = tone * (1 + rng.choice([-0.3, -0.18, 0.15]) * patch)
    surface = base * tone[..., None]

    white = linear((222, 222, 216)) * rng.uniform(0.75, 1.0)
    centre = linear((224, 180, 60)) if rng.random() < 0.25 else white
    worn = np.clip(0.9 + 0.16 * grit, 0, 1)
    dash, start = rng.choice([0.33, 0.5, 1.0]), rng.random()
    line = _band(x, per_px, layout.centre - 0.07, layout.centre + 0.07)
    if dash < 1:
        line = line * coverage(z / 9 + start, deep / 9, 0, dash)
    surface = surface + (centre - surface) * (line * worn)[..., None]
    for place, edge in enumerate(layout.road):
        if layout.parking[place]:
            inner = edge + (2.1 if place == 0 else -2.1)
            line = _band(x, per_px, inner - 0.05, inner + 0.05)
            bays = _band(x, per_px, *sorted((edge, inner))) * coverage(
                z / 5.8 + start, deep / 5.8, 0, 0.1 / 5.8
            )
            line = np.maximum(line, bays)
        elif rng.random() < 0.5:
            inner = edge + (0.35 if place == 0 else -0.35)
            line = _band(x, per_px, inner - 0.05, inner + 0.05)
        else:
            continue
        surface = surface + (white - surface) * (line * worn)[..., None]
    if rng.random() < 0.35:  # a crossing, and the line where one stops
        near = rng.uniform(6, 26)
        stripes = coverage(x / 1.0, per_px / 1.0, 0.25, 0.75) * _band(z, deep, near, near + 3.2)
        stop = _band(z, deep, near - 1.6, near - 1.2) * _band(
            x, per_px, *sorted((layout.centre, layout.centre + layout.side * layout.lane))
        )
        surface = surface + (white - surface) * (np.maximum(stripes, stop) * worn)[..., None]
    return surface


def draw_horizon(
    rng: np.random.Generator, view: View, layout: Layout, free: np.ndarray, light: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Trees and roofs beyond the end of the street, over the ``free`` pixels; gives the mask of each kind."""
    height, width = view.size_hw
    scale = view.focal_px / (layout.end * 1.2)
    bottom = view.horizon_y + view.height_m * view.focal_px / layout.end
    rows = np.arange(height, dtype=np.float32)[:, None]
    above = (bottom - rows) / scale  # metres
    crowns = 5 + 3 * noise(rng, (1, width), 5 * scale) + 1.2 * noise(rng, (1, width), 1.2 * scale)
    steps = np.repeat(rng.uniform(2, 20, width), max(3, int(9 * scale)))[:width][None]
    speckle = fractal(rng, view.size_hw, max(1.0, 1.5 * scale), octaves=2)
    roofs = free & (above < steps) & (rows < bottom + 1)
    trees = free & (above < crowns + 0.6 * speckle) & (rows < bottom + 1)
    wall = linear((150, 140, 130)) * view.lit((0, 0.2, -1))
    panes = coverage(above / 3.2, 1 / (3.2 * scale), 0.3, 0.8)
    leaves = linear((70, 96, 56)) * view.lit((0, 0.6, -0.6)) * 0.8
    for kind, mask, color in (
        ("vegetation", trees, leaves * np.clip(1 + 0.25 * speckle, 0.4, 1.8)[..., None]),
        ("building", roofs & ~trees, np.broadcast_to(wall, light.shape) * (1 - 0.35 * panes)[..., None]),
    ):
        light[mask] = view.through_air(color[mask], layout.end * 1.2)
        yield kind, mask


def draw_sky(rng: np.random.Generator, view: View, free: np.ndarray, light: np.ndarray) -> None:
    """Blue or grey over the ``free`` pixels, paler towards the horizon, with or without clouds."""
    height, width = view.size_hw
    overcast = float(view.sunlight[0]) < 0.5
    up = np.clip((view.horizon_y - np.arange(height, dtype=np.float32)) / view.focal_px, 0, 2)[:, None, None]
    zenith = rgb(0.6, 0.63, 0.68) if overcast else view.haze * rgb(0.3, 0.5, 0.85)
    sky = view.haze + (zenith - view.haze) * (1 - np.exp(-up * rng.uniform(1.5, 3)))
    clouds = fractal(rng, view.size_hw, (height * 0.16, width * 0.3), octaves=5, gain=0.55)
    if overcast:
        sky = sky * (1 + 0.09 * clouds)[..., None]
    elif rng.random() < 0.8:
        share = np.clip((clouds - rng.uniform(-0.3, 1.3)) * 0.9, 0, 0.9)[..., None]
        sky = sky + (rgb(1.0, 0.98, 0.96) * (0.9 + 0.12 * clouds)[..., None] - sky) * share
    light[free] = np.broadcast_to(sky, light.shape)[free]
