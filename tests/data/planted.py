"""Datasets with known faults: made-up images with exact truth, into which a seeded script plants mistakes.

``cell_set`` draws cells, single and touching, on an uneven ground; ``land_set`` fields, water, woods and roads that
cover the whole image. Both have texture, blur and noise. Each function of ``PLANTERS`` spoils one sample and says what it did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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


# Faults of one sample. Each function gives the spoilt draft and the segments it spoilt.

Spoilt = tuple[Draft, tuple[int, ...]]
"""None instead where a draft has no place for the fault."""


def _with_labels(draft: Draft, labels: np.ndarray, class_ids: np.ndarray | None = None) -> Draft:
    truth = draft.truth
    ids = truth.class_ids if class_ids is None else class_ids
    void = truth.void if truth.void_px else None
    return replace(
        draft, truth=Segmentation.from_labels(labels, class_ids=ids, classes=truth.classes, void=void)
    )


def _with_masks(draft: Draft, masks: list[np.ndarray], class_ids: list[int]) -> Draft:
    return replace(
        draft, truth=Segmentation.from_masks(masks, class_ids=class_ids, classes=draft.truth.classes)
    )


def _inner(truth: Segmentation, margin: int = 8) -> list[int]:
    """Segments that keep away from the image's border."""
    low, high = truth.boxes[:, :2], truth.boxes[:, 2:]
    inside = ((low >= margin) & (high <= np.array(truth.shape) - margin)).all(axis=1)
    return (np.flatnonzero(inside) + 1).tolist()


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the nearest pixel of ``mask``."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)


def stray_pixels(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """One to three clicks of a brush beside the object: single pixels or up to 2 x 2."""
    labels = draft.truth.labels.copy()
    k = int(rng.integers(1, len(draft.truth) + 1))
    far = _distance(labels == k)
    for _ in range(rng.integers(1, 4)):
        side = int(rng.integers(1, 3))
        free = np.argwhere(((far > 7) & (labels != k))[3:-4, 3:-4]) + 3
        y, x = free[rng.integers(len(free))]
        labels[y : y + side, x : x + side] = k
    return _with_labels(draft, labels), (k,)


def tiny_segment(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """A slip of the mouse that became an object of its own, 1 to 9 pixels."""
    labels = draft.truth.labels.copy()
    free = np.argwhere((_distance(labels > 0) > 3)[4:-4, 4:-4]) + 4
    y, x = free[rng.integers(len(free))]
    side = int(rng.integers(1, 4))
    labels[y : y + side, x : x + side] = len(draft.truth) + 1
    return _with_labels(draft, labels, np.append(draft.truth.class_ids, 1)), (len(draft.truth) + 1,)


def island(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """A place inside an object that the brush left out, 1 to about 30 pixels."""
    labels = draft.truth.labels.copy()
    radius = rng.uniform(0.5, 3)
    for k in rng.permutation(_large(draft.truth)).tolist():
        inside = cv2.distanceTransform(np.pad(labels == k, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        places = np.argwhere(inside > radius + 2.5)
        if len(places):
            break
    center = places[rng.integers(len(places))]
    labels[blob(rng, labels.shape, center.astype(float), radius, 0.05)] = 0
    return _with_labels(draft, labels), (k,)


def _large(truth: Segmentation, pixels: int = 250) -> list[int]:
    return (np.flatnonzero(truth.areas_px >= pixels) + 1).tolist() or [int(truth.areas_px.argmax()) + 1]


def empty_truth(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """Saved before anything was drawn."""
    return _with_labels(draft, np.zeros(draft.truth.shape, np.int32), draft.truth.class_ids[:0]), ()


def empty_segment(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """An object that was painted over and stayed in the list."""
    ids = np.append(draft.truth.class_ids, 1)
    return _with_labels(draft, draft.truth.labels.copy(), ids), (len(ids),)


def all_void(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """The whole image marked as not to be looked at."""
    truth = draft.truth
    return replace(
        draft,
        truth=Segmentation.from_labels(
            np.zeros(truth.shape, int), class_ids=[], classes=truth.classes, void=np.ones(truth.shape, bool)
        ),
    ), ()


def mostly_void(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """More than half of the image marked so."""
    truth = draft.truth
    void = np.zeros(truth.shape, bool)
    void[: int(truth.shape[0] * rng.uniform(0.6, 0.9))] = True
    labels = np.where(void, 0, truth.labels)
    kept = Segmentation.from_labels(labels, class_ids=truth.class_ids, classes=truth.classes, void=void)
    return replace(draft, truth=kept[kept.areas_px > 0]), ()


def duplicate_instance(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """One object drawn by two people: the second outline is a pixel off here and there."""
    truth = draft.truth
    k = int(rng.choice(_large(truth)))
    again = truth.mask(k)
    if rng.random() < 0.7:
        move = np.float32([[1, 0, rng.integers(-1, 2)], [0, 1, rng.integers(-1, 2)]])
        again = cv2.warpAffine(again.astype(np.uint8), move, again.shape[::-1]) > 0
    return _with_masks(draft, [*truth.masks(), again], [*truth.class_ids.tolist(), int(truth.class_ids[k - 1])]), (
        k,
        len(truth) + 1,
    )


def overlap(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """A new object drawn over half of another, in a set without overlap."""
    truth = draft.truth
    k = int(rng.choice(_large(truth)))
    mask = truth.mask(k)
    reach = int(0.5 * np.sqrt(mask.sum()))
    y, x = (int(each * reach) for each in rng.choice([(0, 1), (1, 0), (0, -1), (-1, 0), (0.7, 0.7)]))
    other = cv2.warpAffine(mask.astype(np.uint8), np.float32([[1, 0, x], [0, 1, y]]), mask.shape[::-1]) > 0
    return _with_masks(draft, [*truth.masks(), other], [*truth.class_ids.tolist(), 1]), (k, len(truth) + 1)


def _moved(labels: np.ndarray, y: int, x: int) -> np.ndarray:
    move = np.float32([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(labels.astype(np.float32), move, labels.shape[::-1], flags=cv2.INTER_NEAREST).astype(np.int32)


def _way(rng: np.random.Generator, low: float, high: float) -> tuple[int, int]:
    turn, length = rng.uniform(0, 2 * np.pi), rng.uniform(low, high)
    return round(length * np.sin(turn)), round(length * np.cos(turn))


def shifted(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """The annotation of another crop: all of it 3 to 10 pixels aside."""
    truth = draft.truth
    made = Segmentation.from_labels(
        _moved(truth.labels, *_way(rng, 3.2, 10)), class_ids=truth.class_ids, classes=truth.classes
    )
    return replace(draft, truth=made[made.areas_px > 0]), ()


def shifted_one(draft: Draft, rng: np.random.Generator) -> Spoilt | None:
    """One object moved by a slip of the mouse, 5 to 9 pixels, into free space."""
    labels = draft.truth.labels.copy()
    for k in rng.permutation(_inner(draft.truth, 10)).tolist():
        for _ in range(8):
            mask = _moved(labels == k, *_way(rng, 5, 9)) > 0
            if not labels[mask & (labels != k)].any():
                labels[labels == k] = 0
                labels[mask] = k
                return _with_labels(draft, labels), (k,)
    return None


def _grown(labels: np.ndarray, by: int, only: int = 0) -> np.ndarray:
    """Segments grown into what is free, or shrunk, by some pixels."""
    grown = np.zeros_like(labels)
    if by > 0:
        nearest, place = cv2.distanceTransformWithLabels(
            (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        number = np.zeros(place.max() + 1, np.int32)
        number[place[labels > 0]] = labels[labels > 0]
        grown = np.where(nearest <= by, number[place], 0).astype(np.int32)
    else:
        for k in np.unique(labels[labels > 0]):
            mask = np.pad(labels == k, 1, mode="edge").astype(np.uint8)
            grown[cv2.distanceTransform(mask, cv2.DIST_L2, 5)[1:-1, 1:-1] > -by] = k
    if only:
        grown = np.where((grown == only) | (labels == only), np.where(grown == only, only, 0), labels)
    return grown


def dilated(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """All masks 3 to 4 pixels too large."""
    return _with_labels(draft, _grown(draft.truth.labels, int(rng.integers(3, 5)))), ()


def eroded(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """All masks 3 to 4 pixels too small."""
    made = _with_labels(draft, _grown(draft.truth.labels, -int(rng.integers(3, 5))))
    return replace(made, truth=made.truth[made.truth.areas_px > 0]), ()


def dilated_one(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """One mask 4 to 5 pixels too large."""
    k = int(rng.choice(_inner(draft.truth) or _large(draft.truth)))
    return _with_labels(draft, _grown(draft.truth.labels, int(rng.integers(4, 6)), k)), (k,)


def eroded_one(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """One mask 4 pixels too small."""
    truth = draft.truth
    k = int(rng.choice([k for k in _large(truth, 350) if k in _inner(truth)] or _large(truth)))
    return _with_labels(draft, _grown(truth.labels, -4, k)), (k,)


def touching(truth: Segmentation) -> list[tuple[int, int]]:
    """Pairs of one class whose union has a neck worth the name: they touch along at least 5 pixels."""
    labels = truth.labels
    counts: dict[tuple[int, int], int] = {}
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        for pair in np.stack([one, other], axis=-1)[(one != other) & (one > 0) & (other > 0)].tolist():
            counts[min(pair), max(pair)] = counts.get((min(pair), max(pair)), 0) + 1
    return [
        pair
        for pair, count in sorted(counts.items())
        if count >= 5 and truth.class_ids[pair[0] - 1] == truth.class_ids[pair[1] - 1]
    ]


def merged(draft: Draft, rng: np.random.Generator) -> Spoilt | None:
    """Two touching objects under one outline."""
    pairs = [pair for pair in touching(draft.truth) if {*pair} <= {*_inner(draft.truth, 2)}]
    if not pairs:
        return None
    one, other = pairs[rng.integers(len(pairs))]
    labels = draft.truth.labels.copy()
    labels[labels == other] = one
    kept = _with_labels(draft, labels)
    return replace(kept, truth=kept.truth[kept.truth.areas_px > 0]), (one,)


def split(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """One object cut in two by a line that the image does not have."""
    truth = draft.truth
    k = int(rng.choice([k for k in _large(truth) if k in _inner(truth, 2)] or _large(truth)))
    labels = truth.labels.copy()
    ys, xs = np.nonzero(labels == k)
    turn = rng.uniform(0, np.pi)
    side = (ys - ys.mean()) * np.cos(turn) + (xs - xs.mean()) * np.sin(turn) > rng.uniform(-2, 2)
    labels[ys[side], xs[side]] = len(truth) + 1
    return _with_labels(draft, labels, np.append(truth.class_ids, truth.class_ids[k - 1])), (k, len(truth) + 1)


PLANTERS = {
    "stray-pixels": [("cells", stray_pixels), ("land", stray_pixels)],
    "tiny-segment": [("cells", tiny_segment)],
    "island": [("cells", island), ("land", island)],
    "empty-truth": [("cells", empty_truth)],
    "empty-segment": [("cells", empty_segment)],
    "all-void": [("cells", all_void)],
    "mostly-void": [("cells", mostly_void), ("land", mostly_void)],
    "duplicate-instance": [("cells", duplicate_instance)],
    "overlap": [("cells", overlap)],
    "shifted": [("cells", shifted), ("land", shifted), ("cells", shifted_one)],
    "dilated": [("cells", dilated), ("cells", dilated_one)],
    "eroded": [("cells", eroded), ("cells", eroded_one)],
    "merged": [("cells", merged)],
    "split": [("cells", split)],
}
"""Code of a finding to the sets and functions that plant its fault."""
