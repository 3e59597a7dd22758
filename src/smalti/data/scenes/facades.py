"""Buildings along a street: blocks with storeys, windows and shops, drawn in perspective on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import linear
from .perspective import View, coverage
from .textures import fractal

# Paint, brick, stone and concrete, as display colours.
_WALLS = (
    (168, 94, 74), (146, 78, 64), (190, 120, 92), (206, 190, 160), (222, 214, 200), (226, 204, 150), (214, 178, 160),
    (176, 186, 190), (150, 150, 148), (196, 196, 190), (120, 110, 104), (186, 170, 150), (160, 176, 160),
)  # fmt: skip
_SHOPS = (
    (60, 66, 80),
    (96, 40, 40),
    (40, 80, 64),
    (190, 160, 60),
    (50, 90, 140),
    (150, 150, 150),
    (30, 30, 34),
)

_GRIME = 128  # side of the texture of weathering, five texels a metre


@dataclass(frozen=True, eq=False)
class Block:
    """One building: from ``near`` to ``far`` metres ahead, its height, and what its walls look like."""

    near: float
    far: float
    height: float
    depth: float
    wall: np.ndarray  # (3,) share of light it gives back
    storey: float
    ground_floor: float
    pitch: float  # metres from window to window
    window_share: tuple[float, float]  # of the pitch, of the storey
    shop: np.ndarray | None
    panes: np.ndarray  # (rows, columns) brightness of each window
    grime: np.ndarray  # (128, 128) weathering, repeated


def street_blocks(rng: np.random.Generator, greenery: float, far_m: float) -> list[Block]:
    """The buildings of one side, near to far, with gaps between some of them."""
    character = rng.uniform(6, 20)  # how high this street is built
    gappy = rng.uniform(0.05, 0.3) + 0.5 * greenery * rng.random()
    blocks = []
    z = rng.uniform(0.5, 6.0)
    grime = fractal(rng, (_GRIME, _GRIME), (30, 12), octaves=3, gain=0.7)
    while z < far_m:
        if rng.random() < gappy:
            z += rng.uniform(3, 14)
        length = rng.uniform(8, 26)
        storey = rng.uniform(2.8, 3.6)
        ground = rng.uniform(3.2, 4.4)
        storeys = max(1, round((character * rng.uniform(0.6, 1.4) - ground) / storey))
        office = rng.random() < 0.2
        shares = (rng.uniform(0.35, 0.6), rng.uniform(0.45, 0.65))
        blocks.append(
            Block(
                near=z,
                far=z + length,
                height=ground + storeys * storey + rng.uniform(0.4, 1.2),
                depth=rng.uniform(8, 20),
                wall=linear(_WALLS[rng.integers(len(_WALLS))]) * rng.uniform(0.75, 1.1),
                storey=storey,
                ground_floor=ground,
                pitch=length / max(2, round(length / rng.uniform(2.2, 3.6))),
                window_share=(rng.uniform(0.75, 0.95), rng.uniform(0.6, 0.85)) if office else shares,
                shop=linear(_SHOPS[rng.integers(len(_SHOPS))]) if rng.random() < 0.55 else None,
                panes=rng.beta(0.8, 2.2, (12, 16)).astype(np.float32),
                grime=np.roll(grime, tuple(rng.integers(0, _GRIME, 2)), (0, 1)),
            )
        )
        z += length
    return blocks


def roof_line(blocks: list[Block], z: np.ndarray) -> np.ndarray:
    """Height of the buildings at ``z`` metres ahead, 0 in the gaps."""
    heights = np.zeros(np.shape(z), np.float32)
    for block in blocks:
        heights[(z >= block.near) & (z < block.far)] = block.height
    return heights


def _surface(
    view: View,
    block: Block,
    along: np.ndarray,
    up: np.ndarray,
    wide: np.ndarray | float,
    tall: np.ndarray | float,
) -> np.ndarray:
    """Share of light (h, w, 3) that a wall gives back, windows and shops on it.

    ``along`` (1, w) and ``up`` (h, w) are metres from the corner of the wall, ``wide`` and ``tall`` (1, w) or numbers
    what a pixel spans there.
    """
    share_x, share_y = block.window_share
    if float(np.min(tall)) > block.storey / 2.5:  # too far away for windows
        return np.broadcast_to(block.wall * np.float32(1 - 0.6 * share_x * share_y), (*up.shape, 3))
    above = up - np.float32(block.ground_floor)
    low = above <= 0
    upper = ~low & (up < block.height - 0.5)
    columns, rows = along / block.pitch, above / block.storey
    span_x, span_y = wide / block.pitch, tall / block.storey
    x, y = (1 - share_x) / 2, (1 - share_y) * 0.55
    pane_x, pane_y = 0.12 / block.pitch, 0.1 / block.storey

    opening = coverage(columns, span_x, x, x + share_x) * coverage(rows, span_y, y, y + share_y) * upper
    glass = coverage(columns, span_x, x + pane_x, x + share_x - pane_x) * upper
    glass = glass * coverage(rows, span_y, y + pane_y, y + share_y - pane_y)
    pane = block.panes[rows.astype(np.int32) % 12, columns.astype(np.int32) % 16]
    mirrored = (0.05 + 0.5 * pane) * glass
    ground = (block.ground_floor - up) / tall  # rows below the first floor
    board: np.ndarray = np.zeros(up.shape, np.float32)
    if block.shop is None:
        door = coverage(columns, span_x, x, x + share_x * 0.9) * low
        door = door * np.clip(ground - 0.9 / tall, 0, 1) * np.clip(up / tall - 0.9 / tall, 0, 1)
        mirrored += (0.04 + 0.3 * pane) * door
        opening += door
        glass += door
    else:
        front = coverage(columns / 2, span_x / 2, 0.06, 0.94) * low
        front = front * np.clip(ground - 1.15 / tall, 0, 1) * np.clip(up / tall - 0.5 / tall, 0, 1)
        board = np.clip(ground - 0.3 / tall, 0, 1) * np.clip(1.0 / tall - ground, 0, 1) * low
        mirrored += (0.06 + 0.25 * pane) * front
        opening += front + board
        glass += front
    grime = block.grime[(up * 5).astype(np.int32) % _GRIME, (along * 5).astype(np.int32) % _GRIME]
    ledge = 1 + 0.25 * ((up > block.height - 0.45) | (np.abs(above) < 0.12))
    parts = np.empty((*up.shape, 4), np.float32)
    parts[..., 0] = (1 - opening) * (1 + 0.09 * grime) * ledge
    parts[..., 1] = np.maximum(opening - glass - board, 0)
    parts[..., 2] = mirrored
    parts[..., 3] = board
    frame = np.minimum(block.wall * 1.5 + 0.06, 0.75)
    shop = block.wall if block.shop is None else block.shop
    return parts @ np.stack([block.wall, frame, view.skylight, shop]).astype(np.float32)


def draw_wall(
    view: View,
    block: Block,
    line: float,
    opposite: float,
    across: list[Block],
    exposed: float,
    taken: np.ndarray,
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray] | None:
    """The long wall of a block that stands at x = ``line``: where, its mask and its light; None if not in view.

    ``across`` are the blocks at x = ``opposite``, whose shadow falls on it; ``exposed`` is how much sky it sees.
    Where all is ``taken`` (H, W) by what stands before it, it is not in view.
    """
    height, width = view.size_hw
    columns = np.arange(width) - view.middle_x
    columns[columns == 0] = 1e-6
    z = view.focal_px * line / columns
    found = np.flatnonzero((z >= block.near) & (z < block.far))
    if len(found) == 0:
        return None
    z = z[found].astype(np.float32)
    top = view.horizon_y - (block.height - view.height_m) * view.focal_px / z.min()
    bottom = view.horizon_y + view.height_m * view.focal_px / z.min()
    rows = np.arange(max(0, int(top)), min(height, int(bottom) + 2), dtype=np.float32)
    if len(rows) == 0:
        return None
    place = np.s_[int(rows[0]) : int(rows[-1]) + 1, int(found[0]) : int(found[-1]) + 1]
    if taken[place].all():
        return None
    tall = z / np.float32(view.focal_px)
    up = view.height_m - (rows[:, None] - view.horizon_y) * tall[None]
    mask = (up >= 0) & (up < block.height)
    along = (z - np.float32(block.near))[None]
    wide = z[None] ** 2 / np.float32(view.focal_px * abs(line))

    normal = (-np.sign(line), 0.0, 0.0)
    lit = np.full(up.shape, max(0.0, float(np.dot(normal, view.sun))), np.float32)
    if view.sun[0] * normal[0] > 1e-3:
        reach = (opposite - line) / view.sun[0]
        shaded_to = roof_line(across, z + reach * view.sun[2]) - reach * view.sun[1]
        lit *= np.clip((up - shaded_to[None]) / 0.3 + 0.5, 0, 1)
    corner = 0.65 + 0.35 * np.clip(up / 4, 0, 1)  # less sky is seen from the foot of a wall
    arriving = view.ambient(0.0) * exposed * corner[..., None] + view.sunlight * lit[..., None]
    light = view.through_air(_surface(view, block, along, up, wide, tall[None]) * arriving, z[None])
    return place, mask, light.astype(np.float32)


def draw_front(
    view: View, block: Block, line: float, exposed: float, taken: np.ndarray
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray] | None:
    """The end of a block that faces the camera, seen where a gap lies before it; as ``draw_wall``."""
    height, width = view.size_hw
    scale = view.focal_px / block.near
    sides = sorted(view.middle_x + scale * np.array([line, line + np.sign(line) * block.depth]))
    columns = np.arange(max(0, int(np.ceil(sides[0]))), min(width, int(np.floor(sides[1])) + 1))
    top = view.horizon_y + (view.height_m - block.height) * scale
    bottom = view.horizon_y + view.height_m * scale
    rows = np.arange(max(0, int(np.ceil(top))), min(height, int(np.floor(bottom)) + 1), dtype=np.float32)
    if len(columns) == 0 or len(rows) == 0:
        return None
    place = np.s_[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
    if taken[place].all():
        return None
    along = np.abs((columns - view.middle_x) / scale - line).astype(np.float32)
    up = np.broadcast_to(view.height_m - (rows[:, None] - view.horizon_y) / scale, (len(rows), len(columns)))
    corner = 0.65 + 0.35 * np.clip(up / 4, 0, 1)
    sunlit = view.sunlight * max(0.0, -float(view.sun[2]))
    arriving = (view.ambient(0.0) * exposed + sunlit) * corner[..., None]
    light = view.through_air(
        _surface(view, block, along[None], up, 1 / scale, 1 / scale) * arriving, block.near
    )
    return place, np.ones(up.shape, bool), light.astype(np.float32)
