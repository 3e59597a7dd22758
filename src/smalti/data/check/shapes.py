"""Outlines as annotation tools keep them: those that cross themselves and those that leave the image.

Once drawn as pixels neither can be seen any more, so formats that keep outlines are asked for them by a method
``polygons(sample) -> Sequence[tuple[str, Polygon]]``: which record it is, and what the file says, neither clipped
nor mended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...masks import Polygon
from .finding import Finding, counted_of
from .usual import certainty

OUTSIDE_PX = 1.0
"""Points farther out than this are told; tools put points on the border, and half a pixel is a matter of taste."""
LOOPS_PX = 1.0
"""Loops of one ring that together enclose fewer pixels than this are knots nobody can see."""


@dataclass(frozen=True)
class Crossing:
    """Where a ring crosses itself, and the pixels inside the smaller of the two loops it makes there."""

    point_xy: tuple[float, float]
    loop_px: float


def self_crossings(ring_xy: np.ndarray) -> list[Crossing]:
    """Where the edges of a ring (N, 2), closed by its first point, cross each other.

    Edges that only touch, meet in a point of the ring, or are walked to and fro (as COCO's way to holes is) do not
    cross.
    """
    ring_xy = np.asarray(ring_xy, np.float64)
    ring_xy = ring_xy[np.abs(ring_xy - np.roll(ring_xy, 1, axis=0)).sum(axis=1) > 0]
    # Points moved a hair, equal ones alike: a crossing that runs through a point of the ring becomes one like others.
    wave = np.sin(ring_xy @ np.array([[12.9898, 39.3468], [78.233, 11.1353]])) * 43758.5453
    ring_xy = ring_xy + 1e-6 * (wave - np.floor(wave))
    count = len(ring_xy)
    if count < 4:
        return []
    ends = np.roll(ring_xy, -1, axis=0)
    kept = ~_walked_back(ring_xy, ends)
    left = np.minimum(ring_xy[:, 0], ends[:, 0])
    order = np.argsort(left, kind="stable")
    last = np.searchsorted(left[order], np.maximum(ring_xy[:, 0], ends[:, 0])[order], side="right")
    found = []
    # edge order[p] can only meet those that begin, from left to right, before it ends: p + 1 .. last[p] - 1
    lengths = np.maximum(last - np.arange(count) - 1, 0)
    for begin, stop in _blocks(lengths):
        part = lengths[begin:stop]
        one = np.repeat(np.arange(begin, stop), part)
        other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(part) - part, part)
        i, j = np.sort([order[one], order[other]], axis=0)
        a, b, c, d = ring_xy[i], ends[i], ring_xy[j], ends[j]
        cross = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
        cross &= kept[i] & kept[j]
        for p, q in zip(i[cross].tolist(), j[cross].tolist(), strict=True):
            found.append(_crossing(ring_xy, ends, p, q))
    return found


def _walked_back(ring_xy: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which edges are also walked the other way: they enclose nothing, whatever they cross."""
    there = {(*start, *end) for start, end in zip(ring_xy.tolist(), ends.tolist(), strict=True)}
    return np.array(
        [(*end, *start) in there for start, end in zip(ring_xy.tolist(), ends.tolist(), strict=True)]
    )


def _blocks(lengths: np.ndarray, most: int = 2_000_000) -> list[tuple[int, int]]:
    """Stretches of rows that together have at most ``most`` pairs, or are one row."""
    bounds, total, begin = [], 0, 0
    for row, length in enumerate(lengths.tolist()):
        if total and total + length > most:
            bounds.append((begin, row))
            begin, total = row, 0
        total += length
    return [*bounds, (begin, len(lengths))]


def _side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Sign of the side of line a-b that c lies on."""
    return np.sign((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))


def _crossing(ring_xy: np.ndarray, ends: np.ndarray, i: int, j: int) -> Crossing:
    along, across = ends[i] - ring_xy[i], ends[j] - ring_xy[j]
    gap = ring_xy[j] - ring_xy[i]
    part = (gap[0] * across[1] - gap[1] * across[0]) / (along[0] * across[1] - along[1] * across[0])
    point = ring_xy[i] + part * along
    loop = _area(np.concatenate([[point], ring_xy[i + 1 : j + 1]]))
    rest = _area(np.concatenate([[point], ring_xy[j + 1 :], ring_xy[: i + 1]]))
    return Crossing((float(point[0]), float(point[1])), min(abs(loop), abs(rest)))


def _area(ring_xy: np.ndarray) -> float:
    x, y = ring_xy.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def clipped(ring_xy: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The part of a ring (N, 2) inside the image, (M, 2), by the four borders in turn (Sutherland and Hodgman
    1974)."""
    ring = np.asarray(ring_xy, np.float64)
    for axis, sign, bound in (
        (0, 1, 0.0),
        (0, -1, -float(size_hw[1])),
        (1, 1, 0.0),
        (1, -1, -float(size_hw[0])),
    ):
        if not len(ring):
            break
        depth = sign * ring[:, axis] - bound
        after, depth_after = np.roll(ring, -1, axis=0), np.roll(depth, -1)
        kept: list[np.ndarray] = []
        for point, ahead, here, there in zip(ring, after, depth, depth_after, strict=True):
            if here >= 0:
                kept.append(point)
            if here * there < 0:
                kept.append(point + (ahead - point) * here / (here - there))
        ring = np.array(kept).reshape(-1, 2)
    return ring


def outside(ring_xy: np.ndarray, size_hw: tuple[int, int]) -> tuple[float, float]:
    """How far the farthest point of a ring lies outside the image, in pixels, and the share of its area that does."""
    height, width = size_hw
    x, y = np.asarray(ring_xy, np.float64).T
    distance = float(max(0, -x.min(), x.max() - width, -y.min(), y.max() - height))
    whole = abs(_area(np.stack([x, y], axis=1)))
    if not distance or not whole:
        return distance, 0.0
    inner = clipped(np.stack([x, y], axis=1), size_hw)
    return distance, max(0.0, 1 - abs(_area(inner)) / whole) if len(inner) else 1.0


def shape_findings(
    sample: str, files: tuple[str, ...], polygons: Sequence[tuple[str, Polygon]], size_hw: tuple[int, int]
) -> list[Finding]:
    """What is wrong with the outlines of one sample whose image has the size ``size_hw``."""
    findings = []
    for record, polygon in polygons:
        for ring in polygon.rings_xy:
            found = self_crossings(ring)
            loops_px = sum(each.loop_px for each in found)
            if loops_px >= LOOPS_PX:
                worst = max(found, key=lambda each: each.loop_px)
                x, y = worst.point_xy
                half = int(np.ceil(np.sqrt(worst.loop_px))) + 2
                box = (int(y) - half, int(x) - half, int(y) + half, int(x) + half)
                findings.append(
                    Finding.of(
                        "self-crossing",
                        f"The outline of {record} in {sample} crosses itself {_times(len(found))}; "
                        f"the loop at x {x:.0f}, "
                        f"y {y:.0f} has {worst.loop_px:.1f} pixels.",
                        samples=(sample,),
                        files=files,
                        box=_inside(box, size_hw),
                        measured={"record": record, "crossings": len(found), "loops_px": loops_px},
                        certainty=certainty(loops_px, 0.5, 10),
                    )
                )
        distance, share = outside(polygon.exterior_xy, size_hw)
        if distance > OUTSIDE_PX:
            low, high = polygon.exterior_xy.min(axis=0), polygon.exterior_xy.max(axis=0)
            box = (int(low[1]), int(low[0]), int(np.ceil(high[1])), int(np.ceil(high[0])))
            findings.append(
                Finding.of(
                    "outside-image",
                    f"The outline of {record} in {sample} reaches {counted_of(round(distance), 'pixels')} beyond the "
                    f"image; {share:.0%} of it lies outside.",
                    samples=(sample,),
                    files=files,
                    box=_inside(box, size_hw),
                    measured={"record": record, "distance_px": distance, "share": share},
                    fixable=share < 1,
                )
            )
    return findings


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _inside(box: tuple[int, int, int, int], size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    top, left, bottom, right = box
    height, width = size_hw
    top, left = min(max(0, top), height - 1), min(max(0, left), width - 1)
    return top, left, min(max(top + 1, bottom), height), min(max(left + 1, right), width)
