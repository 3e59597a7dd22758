"""Cars, vans, lorries and buses, built from blocks and drawn in perspective."""

from __future__ import annotations

import numpy as np

from .camera import linear, rgb
from .perspective import Raster, Stage, View

_PAINT = (
    (235, 235, 232), (190, 194, 198), (120, 124, 130), (40, 42, 46), (150, 28, 30), (36, 60, 120), (60, 100, 150),
    (70, 84, 70), (200, 180, 150), (110, 60, 40), (20, 24, 40), (222, 180, 50),
)  # fmt: skip
_RUBBER, _RIM, _PLATE = linear((30, 30, 32)), linear((120, 122, 126)), linear((225, 222, 200))

Span = tuple[float, float]


def _block(x: Span, y: Span, z: Span, inset: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """Corners (2, 2, 2, 3) of a block, by right, up and ahead; its top is drawn in by (sides, near, far) metres."""
    corners = np.empty((2, 2, 2, 3))
    corners[..., 0] = np.array(x)[:, None, None]
    corners[..., 1] = np.array(y)[None, :, None]
    corners[..., 2] = np.array(z)[None, None, :]
    corners[:, 1, :, 0] += np.array([inset[0], -inset[0]])[:, None]
    corners[:, 1, :, 2] += np.array([inset[1], -inset[2]])[None]
    return corners


def _faces(raster: Raster, view: View, corners: np.ndarray, lights: dict[str, np.ndarray]) -> None:
    """Fill the faces of a block that the camera sees: ``top``, ``side`` and ``near``."""
    flat = view.project(corners)
    left, right = corners[0, 0, 0, 0], corners[1, 0, 0, 0]
    if view.height_m > corners[0, 1, 0, 1]:
        raster.polygon(flat[[0, 1, 1, 0], 1, [0, 0, 1, 1]], lights["top"])
    if left > 0 or right < 0:
        raster.polygon(flat[0 if left > 0 else 1, [0, 1, 1, 0], [0, 0, 1, 1]], lights["side"])
    raster.polygon(flat[[0, 1, 1, 0], [0, 0, 1, 1], 0], lights["near"])


def _panel(raster: Raster, view: View, x: Span, y: Span, z: float, light: np.ndarray) -> None:
    """Fill an upright rectangle at distance ``z``, inside what is painted."""
    points = np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])
    raster.polygon(view.project(points), light, grow=False)


def _lights(view: View, paint: np.ndarray, x: float) -> dict[str, np.ndarray]:
    """Light of the faces of a painted block at ``x``; lacquer mirrors a little of the sky."""
    shine = 0.04 * view.skylight
    return {
        "top": paint * view.lit((0, 1, 0)) + 2 * shine,
        "side": paint * view.lit((-1.0 if x > 0 else 1.0, 0, 0)) + shine,
        "near": paint * view.lit((0, 0.1, -1)) + shine,
    }


def _under(raster: Raster, view: View, x: Span, y: Span, z: Span) -> None:
    """The dark parts between body and road."""
    block = _block((x[0] + 0.1, x[1] - 0.1), y, (z[0] + 0.1, z[1] - 0.1))
    _faces(raster, view, block, dict.fromkeys(("top", "side", "near"), _RUBBER * 0.5 * view.ambient(-1)))


def _treads(raster: Raster, view: View, x: Span, z: float) -> None:
    """The tyres of the nearer axle, seen from their end."""
    dark = _RUBBER * view.ambient(0)
    for low, high in ((x[0], x[0] + 0.22), (x[1] - 0.22, x[1])):
        tread = np.array([(u, v, z + 0.1) for u, v in ((low, 0), (high, 0), (high, 0.4), (low, 0.4))])
        raster.polygon(view.project(tread), dark)


def _wheels(raster: Raster, view: View, x: Span, z: Span, radius: float) -> None:
    """Round wheels on the side that is seen, if one is."""
    if x[0] <= 0 <= x[1]:
        return
    plane = x[0] if x[0] > 0 else x[1]
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for middle in (z[0] + 0.19 * (z[1] - z[0]), z[1] - 0.2 * (z[1] - z[0])):
        ring = np.stack(
            [np.full(14, plane), radius + radius * np.sin(angles), middle + radius * np.cos(angles)], -1
        )
        raster.polygon(view.project(ring), _RUBBER * view.ambient(0.3))
        hub = ring * (1, 0.5, 0.5) + (0, radius / 2, middle / 2)
        raster.polygon(view.project(hub), _RIM * view.ambient(0.3), grow=False)


def _lamps(rng: np.random.Generator, oncoming: bool) -> np.ndarray:
    lamp = rgb(1.0, 0.98, 0.9) if oncoming else rgb(0.55, 0.02, 0.02)
    return lamp * np.float32(1.3 if rng.random() < 0.4 else 0.55)


def car(rng: np.random.Generator, stage: Stage, x: float, z: float, oncoming: bool) -> Raster | None:
    """A car whose nearer end is at ``z``; ``oncoming`` shows its front."""
    view = stage.view
    length, width = rng.uniform(3.7, 4.8), rng.uniform(1.7, 1.9)
    waist, height = rng.uniform(0.85, 1.0), rng.uniform(1.4, 1.75)
    sides, ends = (x - width / 2, x + width / 2), (z, z + length)
    bonnet, boot = rng.uniform(0.9, 1.2), 0.1 if rng.random() < 0.5 else rng.uniform(0.35, 0.8)
    before, behind = (bonnet, boot) if oncoming else (boot, bonnet)
    paint = linear(_PAINT[rng.integers(len(_PAINT))]) * rng.uniform(0.8, 1.1)
    body = _block(sides, (0.2, waist), ends, (0.06, 0.05, 0.05))
    cabin = _block(
        (sides[0] + 0.07, sides[1] - 0.07),
        (waist - 0.02, height),
        (z + before, z + length - behind),
        (0.16, 0.4, 0.4),
    )
    outline = np.concatenate([body, cabin, _block(sides, (0, 0.2), ends)])
    raster = stage.raster(view.project(outline).reshape(-1, 2))
    if raster is None:
        return None
    lights = _lights(view, paint, x)
    _under(raster, view, sides, (0.12, 0.3), ends)
    _treads(raster, view, sides, z)
    _faces(raster, view, body, lights)
    _wheels(raster, view, sides, ends, 0.32)
    glass = view.skylight * rng.uniform(0.07, 0.19) * rgb(0.9, 1.0, 1.05)
    _faces(raster, view, cabin, {"top": lights["top"], "side": glass * 0.8, "near": glass})
    _pillars(raster, view, cabin, lights, x)

    shine, low = _lamps(rng, oncoming), waist - 0.32
    for lamp in ((sides[0] + 0.06, sides[0] + 0.36), (sides[1] - 0.36, sides[1] - 0.06)):
        _panel(raster, view, lamp, (low, low + 0.17), z, shine)
    if oncoming:
        _panel(raster, view, (x - 0.45, x + 0.45), (low - 0.12, low + 0.1), z, _RUBBER)
    _panel(raster, view, sides, (0.2, 0.36), z, paint * 0.35 * view.ambient(0))
    _panel(raster, view, (x - 0.26, x + 0.26), (0.4, 0.52), z, _PLATE * view.lit((0, 0, -1)))
    return raster


def _pillars(raster: Raster, view: View, cabin: np.ndarray, lights: dict[str, np.ndarray], x: float) -> None:
    """Frames around the glass, in the colour of the body, where a pixel is fine enough to show them."""
    flat = view.project(cabin)
    width = 0.07 * view.focal_px / cabin[0, 0, 0, 2]
    if width < 0.8:
        return
    for i in (0, 1):
        raster.limb(flat[i, 0, 0], flat[i, 1, 0], width, lights["near"])
    raster.limb(flat[0, 1, 0], flat[1, 1, 0], width, lights["near"])
    if not cabin[0, 0, 0, 0] <= 0 <= cabin[1, 0, 0, 0]:
        near, far = flat[0 if x > 0 else 1, :, 0], flat[0 if x > 0 else 1, :, 1]
        raster.limb(near[1], far[1], width, lights["side"])
        raster.limb((near[0] + far[0]) / 2, (near[1] + far[1]) / 2, width, lights["side"])
        raster.limb(far[0], far[1], width, lights["side"])


def truck(rng: np.random.Generator, stage: Stage, x: float, z: float, oncoming: bool) -> Raster | None:
    """A van, lorry or bus whose nearer end is at ``z``."""
    view = stage.view
    length, width, height = rng.uniform(5.5, 10), rng.uniform(2.1, 2.5), rng.uniform(2.4, 3.4)
    sides, ends = (x - width / 2, x + width / 2), (z, z + length)
    paint = linear(_PAINT[rng.integers(len(_PAINT))]) * rng.uniform(0.8, 1.1)
    bus = rng.random() < 0.4
    body = _block(sides, (0.36, height), ends, (0.03, 0.05, 0.05))
    raster = stage.raster(view.project(np.concatenate([body, _block(sides, (0, 0.2), ends)])).reshape(-1, 2))
    if raster is None:
        return None
    lights = _lights(view, paint, x)
    _under(raster, view, sides, (0.2, 0.5), ends)
    _treads(raster, view, sides, z)
    _faces(raster, view, body, lights)
    glass = view.skylight * rng.uniform(0.07, 0.17)
    if bus or oncoming:
        pane = (sides[0] + 0.15, sides[1] - 0.15)
        _panel(raster, view, pane, (1.35, min(2.5, height - 0.3)), z + 0.03, glass)
    else:  # the doors of the hold
        for edge in (x - 0.03, sides[0] + 0.05, sides[1] - 0.1):
            _panel(raster, view, (edge, edge + 0.05), (0.5, height - 0.1), z, lights["near"] * 0.6)
    if bus and not sides[0] <= 0 <= sides[1]:
        plane = sides[0] if sides[0] > 0 else sides[1]
        count = int(length / 1.3)
        for number in range(count):
            low, high = (z + length * (number + share) / count for share in (0.1, 0.9))
            corners = ((1.4, low), (1.4, high), (height - 0.5, high), (height - 0.5, low))
            pane_xyz = np.array([(plane, up, ahead) for up, ahead in corners])
            raster.polygon(view.project(pane_xyz), glass * 0.8, grow=False)
    shine = _lamps(rng, oncoming)
    for edge in (sides[0] + 0.1, sides[1] - 0.4):
        _panel(raster, view, (edge, edge + 0.3), (0.6, 0.78), z, shine)
    _wheels(raster, view, sides, ends, 0.45)
    return raster
