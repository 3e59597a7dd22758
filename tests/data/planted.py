"""Mistakes planted into made-up images by a seeded script, to see which of them a check finds.

Each function of ``SPOILERS`` spoils one sample as it happens to people and tools, and says which segments it
spoilt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from scenery import Draft, blob

from smalti.segmentation import Segmentation

Spoilt = tuple[Draft, tuple[int, ...]]
"""The spoilt draft and the numbers of the segments that are spoilt, none where all of it is."""
Spoiler = Callable[[Draft, np.random.Generator], Spoilt | None]
"""What spoils a draft; gives None where there is no place for the fault."""


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
        again = np.roll(again, 1, axis=int(rng.integers(2)))
    class_ids = [*truth.class_ids.tolist(), int(truth.class_ids[k - 1])]
    return _with_masks(draft, [*truth.masks(), again], class_ids), (k, len(truth) + 1)


def overlap(draft: Draft, rng: np.random.Generator) -> Spoilt:
    """A new object drawn over half of another, in a set without overlap."""
    truth = draft.truth
    k = int(rng.choice(_large(truth)))
    mask = truth.mask(k)
    reach = int(0.5 * np.sqrt(mask.sum()))
    y, x = (int(each * reach) for each in rng.choice([(0, 1), (1, 0), (0, -1), (-1, 0), (0.7, 0.7)]))
    other = _moved(mask, y, x) > 0
    return _with_masks(draft, [*truth.masks(), other], [*truth.class_ids.tolist(), 1]), (k, len(truth) + 1)


def _moved(labels: np.ndarray, y: int, x: int) -> np.ndarray:
    """Labels moved by whole pixels; what comes in from outside is 0."""
    padded = np.pad(labels, 16)
    return padded[16 - y : 16 - y + labels.shape[0], 16 - x : 16 - x + labels.shape[1]].astype(np.int32)


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
    class_ids = np.append(truth.class_ids, truth.class_ids[k - 1])
    return _with_labels(draft, labels, class_ids), (k, len(truth) + 1)


SPOILERS: dict[str, tuple[str, str, Spoiler]] = {
    "stray pixels": ("stray-pixels", "cells", stray_pixels),
    "stray pixels, semantic": ("stray-pixels", "land", stray_pixels),
    "tiny segment": ("tiny-segment", "cells", tiny_segment),
    "island": ("island", "cells", island),
    "island, semantic": ("island", "land", island),
    "empty annotation": ("empty-truth", "cells", empty_truth),
    "segment without pixels": ("empty-segment", "cells", empty_segment),
    "void all over": ("all-void", "cells", all_void),
    "mostly void": ("mostly-void", "cells", mostly_void),
    "mostly void, semantic": ("mostly-void", "land", mostly_void),
    "object annotated twice": ("duplicate-instance", "cells", duplicate_instance),
    "overlap": ("overlap", "cells", overlap),
    "all masks shifted": ("shifted", "cells", shifted),
    "semantic map shifted": ("shifted", "land", shifted),
    "one mask shifted": ("shifted", "cells", shifted_one),
    "all masks too large": ("dilated", "cells", dilated),
    "one mask too large": ("dilated", "cells", dilated_one),
    "all masks too small": ("eroded", "cells", eroded),
    "one mask too small": ("eroded", "cells", eroded_one),
    "two objects in one": ("merged", "cells", merged),
    "one object in two": ("split", "cells", split),
}
"""What is planted: the code it should be found by, the scenery it is planted in, and what plants it."""
