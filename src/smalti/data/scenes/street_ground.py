"""The ground, the horizon and the sky of a street: asphalt with markings, slabs, grass, far roofs and trees, clouds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from .camera import linear, rgb
from .facades import Block, roof_line
from .perspective import View, coverage
from .textures import fractal, noise

_GRASSES = ((96, 116, 58), (112, 118, 70), (84, 108, 60))
_SLABS = ((150, 146, 140), (164, 154, 142), (140, 140, 142), (170, 150, 136))
_KERB, _PAINT, _YELLOW = linear((178, 174, 168)), linear((222, 222, 216)), linear((224, 180, 60))


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


@dataclass(frozen=True, eq=False)
class Plane:
    """The ground below each pixel: where it is in metres, and what a pixel spans there; all broadcast to (h, w)."""

    x: np.ndarray  # (h, w) to the right of the camera
    z: np.ndarray  # (h, 1) ahead
    wide: np.ndarray  # (h, 1)
    deep: np.ndarray  # (h, 1)
    grit: np.ndarray  # (h, w) roughness of the surface, about 0

    def across(self, low: float, high: float) -> np.ndarray:
        """How much of each pixel lies between ``low`` and ``high`` metres to the right, (h, w)."""
        return _between(self.x, self.wide, low, high)

    def ahead(self, low: float, high: float) -> np.ndarray:
        """How much of each pixel lies between ``low`` and ``high`` metres ahead, (h, 1)."""
        return _between(self.z, self.deep, low, high)


def _between(middle: np.ndarray, span: np.ndarray, low: float, high: float) -> np.ndarray:
    half = span / 2
    return np.clip((np.minimum(middle + half, high) - np.maximum(middle - half, low)) / span, 0, 1)


def draw_ground(
    rng: np.random.Generator,
    view: View,
    layout: Layout,
    blocks: list[list[Block]],
    shadow: np.ndarray,
    free: np.ndarray,
    light: np.ndarray,
) -> Iterator[tuple[str, np.ndarray]]:
    """Shade the ``free`` (H, W) pixels of the ground in ``light``; gives each kind of ground with its mask."""
    height = view.size_hw[0]
    first = int(np.ceil(view.horizon_y + view.focal_px * view.height_m / layout.end))
    if first >= height:
        return
    plane = _plane(rng, view, first)
    x, z = plane.x, plane.z
    road = (x > layout.road[0]) & (x < layout.road[1])
    paved = (x > layout.pavement[0]) & (x < layout.pavement[1]) & ~road
    kind = road * np.uint8(2) + paved  # 0 grass, 1 pavement, 2 road

    asphalt = linear((rng.uniform(86, 126),) * 3) * rgb(1.0, 0.99, 1.01)
    grass, slab = linear(_GRASSES[rng.integers(3)]), linear(_SLABS[rng.integers(4)])
    tone = np.where(road, _asphalt(rng, layout, plane), 0)
    tone = np.where(paved, _slabs(rng, plane), tone)
    np.copyto(tone, np.clip(1 + 0.3 * plane.grit, 0.3, 2), where=kind == 0)
    albedo = np.stack([grass, slab, asphalt]).astype(np.float32)[kind] * tone[..., None].astype(np.float32)
    for color, share in _markings(rng, layout, plane):
        _mix(albedo, color, share * road)
    for edge, sign in ((layout.road[0], -1), (layout.road[1], 1)):
        _mix(albedo, _KERB, plane.across(*sorted((edge, edge + sign * 0.18))) * (kind > 0))

    sunlit = _sunlit(view, layout, blocks, plane) * (1 - shadow[0, first:])
    direct = view.sunlight * np.float32(max(0.0, view.sun[1]))
    arriving = view.ambient(1.0) * (1 - shadow[1, first:])[..., None] + direct * sunlit[..., None]
    shaded = view.through_air(albedo * arriving, z)
    room = free[first:]
    light[first:][room] = shaded[room]
    for number, name in enumerate(("grass", "pavement", "road")):
        mask = np.zeros(view.size_hw, bool)
        mask[first:] = (kind == number) & room
        yield name, mask


def _plane(rng: np.random.Generator, view: View, first: int) -> Plane:
    """The ground below the rows from ``first`` on."""
    height, width = view.size_hw
    rows = np.arange(first, height, dtype=np.float32)
    z = (view.focal_px * view.height_m / (rows - view.horizon_y))[:, None].astype(np.float32)
    wide = z / view.focal_px
    deep = z**2 / (view.focal_px * view.height_m)
    x = (np.arange(width, dtype=np.float32) - np.float32(view.middle_x))[None] * wide
    rough = fractal(rng, (256, 256), 16, octaves=5, gain=0.75)
    # Near ones show the fine grain, which a far pixel averages away.
    grit = _sampled(rough, x * 24, z * 24) * np.exp(-deep * 3) + 0.6 * _sampled(rough, x * 4, z * 4)
    return Plane(x, z, wide, deep, grit)


def _sampled(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A texture, mirrored for ever, between its values at every u, v (which broadcast)."""
    u, v = np.broadcast_arrays(u, v)
    return cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _mix(albedo: np.ndarray, color: np.ndarray, share: np.ndarray) -> None:
    """Cover ``albedo`` (h, w, 3) with a colour by ``share`` (h, w)."""
    there = share > 0.004
    part = albedo[there]
    albedo[there] = part + (color - part) * share[there][:, None].astype(np.float32)


def _slabs(rng: np.random.Generator, plane: Plane) -> np.ndarray:
    """Brightness (h, w) of a pavement of slabs with joints."""
    size = rng.uniform(0.5, 1.1)
    columns, rows = plane.x / size, plane.z / size
    joints = np.maximum(
        coverage(columns, plane.wide / size, 0, 0.03 / size),
        coverage(rows, plane.deep / size, 0, 0.03 / size),
    )
    tint = rng.normal(0, 0.07, (64, 64)).astype(np.float32)
    slab = tint[np.floor(rows).astype(np.int32) & 63, np.floor(columns).astype(np.int32) & 63]
    return (1 + 0.07 * plane.grit + slab * np.clip(1 - plane.deep / size, 0, 1)) * (1 - 0.5 * joints)


def _asphalt(rng: np.random.Generator, layout: Layout, plane: Plane) -> np.ndarray:
    """Brightness (h, w) of asphalt with wheel tracks and mended patches."""
    tone = 1 + 0.13 * plane.grit
    from_middle = np.abs(np.abs(np.abs(plane.x - layout.centre) - layout.lane / 2) - 0.75)
    tone -= 0.08 * np.exp(-((from_middle / 0.3) ** 2))
    for _ in range(int(rng.integers(0, 4))):
        left, near = rng.uniform(*layout.road), rng.uniform(4, 40)
        patch = plane.across(left, left + rng.uniform(0.6, 2.5)) * plane.ahead(
            near, near + rng.uniform(0.8, 6)
        )
        tone *= 1 + (-0.3, -0.18, 0.15)[rng.integers(3)] * patch
    return tone


def _markings(
    rng: np.random.Generator, layout: Layout, plane: Plane
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Colours of paint with the share (h, w) of each pixel that it covers."""
    worn = np.clip(0.9 + 0.16 * plane.grit, 0, 1)
    white = _PAINT * np.float32(rng.uniform(0.75, 1.0))
    line = plane.across(layout.centre - 0.07, layout.centre + 0.07)
    dash, start = (0.33, 0.5, 1.0)[rng.integers(3)], rng.random()
    if dash < 1:
        line = line * coverage(plane.z / 9 + start, plane.deep / 9, 0, dash)
    yield (_YELLOW if rng.random() < 0.25 else white), line * worn
    for place, edge in enumerate(layout.road):
        sign = 1 if place == 0 else -1
        if layout.parking[place]:
            inner = edge + sign * 2.1
            bays = coverage(plane.z / 5.8 + start, plane.deep / 5.8, 0, 0.1 / 5.8)
            yield white, plane.across(*sorted((edge, inner))) * bays * worn
        elif rng.random() < 0.5:
            inner = edge + sign * 0.35
        else:
            continue
        yield white, plane.across(inner - 0.05, inner + 0.05) * worn
    if rng.random() < 0.35:  # a crossing, and the line where one stops
        near = rng.uniform(6, 26)
        yield white, coverage(plane.x, plane.wide, 0.25, 0.75) * plane.ahead(near, near + 3.2) * worn
        mine = sorted((layout.centre, layout.centre + layout.side * layout.lane))
        yield white, plane.ahead(near - 1.6, near - 1.2) * plane.across(*mine) * worn


def _sunlit(view: View, layout: Layout, blocks: list[list[Block]], plane: Plane) -> np.ndarray:
    """How much of the sun gets past the buildings to the ground, (h, w)."""
    lit = np.ones(plane.x.shape, np.float32)
    for line, side in zip(layout.building, blocks, strict=True):
        if view.sun[0] * line > 1e-3:
            reach = (line - plane.x) / view.sun[0]  # metres of ray up to the line of the buildings
            roofs = roof_line(side, plane.z + reach * view.sun[2])
            lit *= np.where(reach > 0, np.clip((reach * view.sun[1] - roofs) / 0.4 + 0.5, 0, 1), 1)
    return cv2.GaussianBlur(lit, (0, 0), 0.7)


def draw_horizon(
    rng: np.random.Generator, view: View, layout: Layout, free: np.ndarray, light: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Trees and roofs beyond the end of the street, over the ``free`` pixels; gives each kind with its mask."""
    height, width = view.size_hw
    away = layout.end * 1.2
    scale = view.focal_px / away
    bottom = view.horizon_y + view.height_m * view.focal_px / layout.end
    band = slice(max(0, int(bottom - 24 * scale)), min(height, int(bottom) + 2))
    if band.start >= band.stop or not free[band].any():
        return
    rows = np.arange(band.start, band.stop, dtype=np.float32)[:, None]
    above = (bottom - rows) / np.float32(scale)  # metres
    crowns = 5 + 3 * noise(rng, (1, width), 5 * scale) + 1.2 * noise(rng, (1, width), 1.2 * scale)
    steps = np.repeat(rng.uniform(2, 20, width), max(3, int(9 * scale)))[:width][None]
    speckle = fractal(rng, (len(rows), width), max(1.0, 1.5 * scale), octaves=2)
    trees = free[band] & (above < crowns + 0.6 * speckle)
    roofs = free[band] & (above < steps) & ~trees
    wall = linear((150, 140, 130)) * view.lit((0, 0.2, -1))
    panes = 1 - 0.35 * coverage(above / 3.2, 1 / (3.2 * scale), 0.3, 0.8)
    leaves = linear((70, 96, 56)) * view.lit((0, 0.6, -0.6)) * 0.8
    shade = np.clip(1 + 0.25 * speckle, 0.4, 1.8)
    for kind, mask, color, tone in (
        ("vegetation", trees, leaves, shade),
        ("building", roofs, wall, np.broadcast_to(panes, shade.shape)),
    ):
        light[band][mask] = view.through_air(color * tone[mask][:, None], away)
        whole = np.zeros(view.size_hw, bool)
        whole[band] = mask
        yield kind, whole


def draw_sky(rng: np.random.Generator, view: View, free: np.ndarray, light: np.ndarray) -> None:
    """Blue or grey over the ``free`` pixels, paler towards the horizon, with or without clouds."""
    height, width = view.size_hw
    overcast = float(view.sunlight[0]) < 0.5
    depth, cover, cloudy = rng.uniform(1.5, 3), rng.uniform(-0.3, 1.3), rng.random() < 0.8
    clouds = fractal(rng, view.size_hw, (height * 0.16, width * 0.3), octaves=5, gain=0.55)[free][:, None]
    up = np.clip((view.horizon_y - np.nonzero(free)[0].astype(np.float32)) / view.focal_px, 0, 2)[:, None]
    zenith = rgb(0.6, 0.63, 0.68) if overcast else view.haze * rgb(0.3, 0.5, 0.85)
    sky = view.haze + (zenith - view.haze) * (1 - np.exp(-up * np.float32(depth)))
    if overcast:
        sky *= 1 + 0.09 * clouds
    elif cloudy:
        share = np.clip((clouds - np.float32(cover)) * 0.9, 0, 0.9)
        sky += (rgb(1.0, 0.98, 0.96) * (0.9 + 0.12 * clouds) - sky) * share
    light[free] = sky
