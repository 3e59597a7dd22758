"""Scribbles as a person would draw them, made from a full truth: what is learned from little is tried with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count as count_up
from typing import Any
from zlib import crc32

import cv2
import numpy as np

from ..errors import InputError
from ..sample import Sample, SampleList
from ..segmentation import Segmentation
from .dataset import Dataset

BACKGROUND = -1
TURNS = (0.0, 0.2, -0.2, 0.45, -0.45, 0.8, -0.8)
"""Changes of heading, in radians a pixel, that the hand considers at every step; the first of equally good ones."""
LOOK_AHEAD_PX = 3.0
MARGIN_PX = 2.5
"""How far the side of a line stays from where its segment ends, where there is room."""
TRIED_STARTS = 3
MOST_TURN = 2.4
"""Radians that a line may turn to either side of its start: a hand does not go round in circles in a small object."""


def strokes(
    truth: Segmentation,
    count: int = 10,
    *,
    seed: int | Sequence[int],
    width_px: int = 3,
    length_px: float | None = None,
    background: bool = True,
) -> np.ndarray:
    """Scribbles of ``count`` strokes on ``truth``, (*S,) int32: 0 not said, -1 background, k class k.

    A stroke is a smooth, curved line ``width_px`` wide inside one segment, or inside the background, which is what is
    neither void nor in a segment: away from its edge where there is room, along its middle where it is thin, and short
    where it is small. Elsewhere it is between half and one and a half of ``length_px`` long, by default a sixth of the
    image's shorter side. In a volume each lies in one slice. No stroke touches void or another class.

    Every class that is there has a stroke while there are strokes (which ones, where there are more classes, is
    drawn); further ones go by the root of the class's area. Segments of a class are chosen by the root of their area
    as well, those without a stroke first. The same seed and truth give the same strokes; all 0 where nothing is known.
    Raises ``InputError`` for a count or a width below 1, or a length that is not positive.
    """
    if count < 1 or width_px < 1:
        raise InputError(f"count is 1 stroke or more and width_px 1 or more, got {count} and {width_px}")
    if length_px is not None and not 0 < length_px < math.inf:
        raise InputError(f"length_px must be positive, got {length_px}")
    rng = np.random.default_rng(seed)
    length_px = min(truth.shape[-2:]) / 6 if length_px is None else length_px
    regions, class_of = _regions(truth, background)
    areas = np.bincount(regions.reshape(-1), minlength=len(class_of))
    areas[0] = 0
    drawn = np.zeros(truth.shape, np.int32)
    times = np.zeros(len(class_of), np.int64)
    starts: list[tuple[int, ...]] = []
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width_px, width_px))
    for class_id in _shared_out(rng, class_of, areas, count):
        own = class_of == class_id
        weights = np.sqrt(areas) * own * 0.25 ** (times - times[own & (areas > 0)].min())
        region = int(rng.choice(len(weights), p=weights / weights.sum()))
        times[region] += 1
        z, mask = _slice(rng, regions, region)
        place = _window(mask)
        depth = _depth(mask, place)
        least = width_px / 2 + MARGIN_PX
        start = _start(rng, depth, z, place, starts, least)
        starts.append((z, start[0] + place[0].start, start[1] + place[1].start))
        path = _walk(rng, depth, start, rng.uniform(0.5, 1.5) * length_px, least)
        line = np.zeros(depth.shape, np.uint8)
        cv2.polylines(line, [np.round(path[:, ::-1]).astype(np.int32)], False, 1)
        line[start] = 1  # a single point is no line to OpenCV
        line = cv2.dilate(line, pen)
        plane = drawn[z] if drawn.ndim == 3 else drawn
        plane[place][(line > 0) & (depth > 0)] = class_id
    return drawn


def scribbled(
    dataset: Dataset,
    count: int = 10,
    seed: int = 0,
    *,
    width_px: int = 3,
    length_px: float | None = None,
    background: bool = True,
) -> Dataset:
    """The dataset with nothing left of each truth but the pixels under its ``strokes``; all others are void.

    A segment that has a stroke keeps its class and its attributes. Under a stroke on the background a pixel is neither
    void nor in a segment, as it was. The strokes of a sample depend on its name and on ``seed``, not on the others,
    and are drawn anew whenever the truth is asked for. Samples without an annotation stay without one.
    """
    samples = dataset.samples
    draw = partial(
        strokes, count=count, width_px=width_px, length_px=length_px, background=background
    )  # checked now, by a truth of one pixel, so that a mistake does not come up in the middle of a training
    draw(Segmentation.from_labels(np.ones((1, 1), np.uint8)), seed=seed)

    def made(index: int) -> Sample:
        sample = samples[index]
        if sample.load_truths is None:
            return sample
        return replace(sample, load_truths=partial(_only_strokes, sample, seed, draw))

    return dataset.with_samples(SampleList(samples.names, samples.image_files, made))


def _only_strokes(sample: Sample, seed: int, draw: Any) -> tuple[Segmentation, ...]:
    """The truths of a sample under the strokes of each."""
    name = crc32(sample.name.encode())
    return tuple(_under(truth, draw(truth, seed=[seed, name, k])) for k, truth in enumerate(sample.truths))


def _under(truth: Segmentation, scribbles: np.ndarray) -> Segmentation:
    flat = truth.panoptic()
    kept = np.where(scribbles > 0, flat.labels, 0)
    there = np.bincount(kept.reshape(-1), minlength=len(flat) + 1)[1:] > 0
    columns = {
        "class_ids": flat.class_ids,
        "scores": flat.scores,
        "classes": flat.classes,
        "geometry": flat.geometry,
        "attributes": flat.attributes,
    }
    return Segmentation.from_labels(kept, void=scribbles == 0, **columns)[there]  # type: ignore[arg-type]


def _regions(truth: Segmentation, background: bool) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (*S,) of what may be drawn in, 0 void, 1..N the segments, N + 1 background; the class of each number."""
    flat = truth.panoptic()
    regions = flat.labels.copy()
    if background:
        regions[regions == 0] = len(flat) + 1
    if truth.void_px:
        regions[truth.void] = 0
    return regions, np.concatenate([[0], flat.class_ids, [BACKGROUND]]).astype(np.int32)


def _shared_out(rng: np.random.Generator, class_of: np.ndarray, areas: np.ndarray, count: int) -> list[int]:
    """The class of each stroke: every class once in a random order, further ones by the root of their area."""
    present = np.unique(class_of[areas > 0])
    if not len(present):
        return []
    first = rng.permutation(present)[:count]
    root = np.sqrt([areas[class_of == class_id].sum() for class_id in present])
    wanted = root / root.sum() * (count - len(first))
    more = np.floor(wanted).astype(np.int64)
    rest = count - len(first) - int(more.sum())
    more[np.argsort(more - wanted, kind="stable")[:rest]] += 1
    return [int(class_id) for class_id in np.concatenate([first, np.repeat(present, more)])]


def _slice(rng: np.random.Generator, regions: np.ndarray, region: int) -> tuple[int, np.ndarray]:
    """Number of a slice that has the region, by its area there, and the region's mask (H, W) in it; 0 in an image."""
    if regions.ndim == 2:
        return 0, regions == region
    mask = regions == region
    areas = mask.sum(axis=(1, 2))
    z = int(rng.choice(len(areas), p=areas / areas.sum()))
    return z, mask[z]


@dataclass(frozen=True)
class _Hand:
    """Where a hand may go in a region, and where it likes to: ``least`` deep it must, ``comfort`` deep it would."""

    depth: np.ndarray
    least: float
    comfort: float

    def at(self, y: float, x: float) -> float:
        """Depth at a place, 0 outside."""
        row, column = round(y), round(x)
        height, width = self.depth.shape
        return float(self.depth[row, column]) if 0 <= row < height and 0 <= column < width else 0.0


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    """The box of a mask that is not empty."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(y, y + height), slice(x, x + width)


def _depth(mask: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
    """How far each pixel of the mask in its box lies from what is outside, float32, 0 there.

    The image's edge is where the paper ends: to be kept away from as well, though less so.
    """
    (top, bottom), (left, right) = ((part.start, part.stop) for part in place)
    around = mask[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1]
    depth = cv2.distanceTransform(around.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    above, before = min(1, top), min(1, left)
    depth = depth[above : above + bottom - top, before : before + right - left]
    y, x = np.mgrid[top:bottom, left:right]
    height, width = mask.shape
    paper = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x))
    return np.minimum(depth, paper + 2).astype(np.float32)


def _start(
    rng: np.random.Generator,
    depth: np.ndarray,
    z: int,
    place: tuple[slice, slice],
    starts: list[tuple[int, ...]],
    least: float,
) -> tuple[int, int]:
    """Where to set the pen down: of a few random pixels, moved towards the middle, the farthest from earlier ones."""
    inside = np.flatnonzero(depth > 0)
    best, farthest = (0, 0), -1.0
    near = [start[1:] for start in starts if start[0] == z]
    for flat in rng.choice(inside, TRIED_STARTS).tolist():
        y, x = _deeper(depth, divmod(flat, depth.shape[1]), int(rng.integers(2, 12)), least)
        here = y + place[0].start, x + place[1].start
        away = min((math.dist(here, other) for other in near), default=0.0)
        if away > farthest:
            best, farthest = (y, x), away
    return best


def _deeper(depth: np.ndarray, place: tuple[int, int], steps: int, least: float) -> tuple[int, int]:
    """The pixel so many steps uphill, or more until it is ``least`` deep."""
    y, x = place
    for step in count_up():
        if step >= steps and depth[y, x] >= least:
            break
        top, left = max(0, y - 1), max(0, x - 1)
        around = depth[top : y + 2, left : x + 2]
        up, across = divmod(int(around.argmax()), around.shape[1])
        if around[up, across] <= depth[y, x]:
            break
        y, x = top + up, left + across
    return y, x


def _walk(
    rng: np.random.Generator, depth: np.ndarray, start: tuple[int, int], length_px: float, least: float
) -> np.ndarray:
    """Points (P, 2) y, x a pixel apart of a smooth line through ``start``, drawn to both sides of it."""
    room = float(depth[start])
    least = min(least, 0.6 * room)
    hand = _Hand(depth, least, min(2.5 * least, room))
    heading = max(
        rng.uniform(0, 2 * math.pi, 8).tolist(),
        key=lambda angle: min(
            hand.at(start[0] + away * math.sin(angle), start[1] + away * math.cos(angle))
            for away in (-LOOK_AHEAD_PX, LOOK_AHEAD_PX)
        ),
    )
    bends = rng.normal(0, 0.04, (2, math.ceil(length_px) + 1))
    one = _half(hand, start, heading, length_px / 2, bends[0])
    other = _half(hand, start, heading + math.pi, length_px - len(one), bends[1])
    return np.array([*one[::-1], start, *other], np.float64)


def _half(
    hand: _Hand, start: tuple[int, int], heading: float, length_px: float, bends: np.ndarray
) -> list[tuple[float, float]]:
    """The line from ``start``, without it, until it is long enough or cannot go on."""
    points: list[tuple[float, float]] = []
    (y, x), bend, first = (float(start[0]), float(start[1])), 0.0, heading
    for jerk in bends[: max(0, int(length_px))].tolist():
        bend = 0.85 * bend + jerk
        best, turn = -math.inf, 0.0
        for change in TURNS:
            angle = heading + bend + change
            sine, cosine = math.sin(angle), math.cos(angle)
            if hand.at(y + sine, x + cosine) < hand.least:
                continue
            ahead = hand.at(y + LOOK_AHEAD_PX * sine, x + LOOK_AHEAD_PX * cosine)
            liked = min(ahead, hand.comfort) / hand.comfort - 0.5 * abs(change)
            if liked > best:
                best, turn = liked, change
        heading += bend + turn
        if best == -math.inf or abs(heading - first) > MOST_TURN:
            break
        y, x = y + math.sin(heading), x + math.cos(heading)
        points.append((y, x))
    return points
