"""The worst images as three pictures: truth, prediction, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import SmaltiError
from ..image import Image
from ..io.display import to_display
from ..metrics.pair import Pair
from ..metrics.panoptic import joined_stuff
from ..page.pictures import Picture, outlines, picture
from ..sample import Sample
from ..segmentation import Segmentation
from .evaluator import Evaluation

SIDE_PX = 320

MISSED, FALSE, CONFUSED, VOID = (213, 94, 0), (0, 114, 178), (204, 121, 167), (128, 128, 128)
"""Colours of the difference (Okabe and Ito 2008): only in truth, only predicted, of another class or segment, void."""


@dataclass(frozen=True)
class Exhibit:
    """One image of the gallery."""

    name: str
    score: float
    pictures: tuple[Picture, ...]


def exhibits(evaluation: Evaluation, places: list[int], scores: np.ndarray) -> list[Exhibit]:
    """The images at these places of the evaluation; one that cannot be read again is left out."""
    found = []
    for place in places:
        name = evaluation.names[place]
        try:
            sample, pair = evaluation.pair(name)
            found.append(Exhibit(name, float(scores[place]), _pictures(sample, pair)))
        except SmaltiError:
            continue
    return found


def _pictures(sample: Sample, pair: Pair) -> tuple[Picture, ...]:
    image = None if sample.load_image is None else sample.image
    if image is not None and image.shape != pair.truth.shape:
        image = None
    sides = pair.truth, pair.predicted
    if pair.truth.ndim == 3:
        z = _worst_slice(pair)
        sides = _slice(pair.truth, z), _slice(pair.predicted, z)
        image = None if image is None else Image(image.pixels[z], image.channels)
    height, width = sides[0].shape
    shown = np.full((height, width, 3), 255, np.uint8) if image is None else to_display(image)
    place = 0, 0, height, width
    made = [
        picture(shown, place, f"{sample.name}, {what}", [(kind, _all(side, place))], SIDE_PX)
        for side, kind, what in zip(sides, ("truth", "predicted"), ("truth", "prediction"), strict=True)
    ]
    joined = Pair(joined_stuff(sides[0]), joined_stuff(sides[1]))
    difference = picture(
        _difference(shown, joined), place, f"{sample.name}, difference", (), SIDE_PX, stretch=False
    )
    return (*made, difference)


def _all(side: Segmentation, place: tuple[int, int, int, int]) -> str:
    return outlines(side, np.arange(1, len(side) + 1), place)


def _difference(shown: np.ndarray, pair: Pair) -> np.ndarray:
    """The image in grey, with what differs in colour, (H, W, 3) uint8."""
    grey = shown.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.6 + 90
    first, second = pair.class_maps
    labels = [side.panoptic().labels for side in (pair.truth, pair.predicted)]
    states = {
        MISSED: (labels[0] > 0) & (labels[1] == 0),
        FALSE: (labels[0] == 0) & (labels[1] > 0),
        CONFUSED: (labels[0] > 0) & (labels[1] > 0) & ((first != second) | _other_object(pair, *labels)),
    }
    for color, where in states.items():
        grey[where] = 0.25 * grey[where] + 0.75 * np.array(color)
    if pair.void is not None:
        grey[pair.void] = VOID
    return np.clip(grey, 0, 255).astype(np.uint8)


def _other_object(pair: Pair, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pixels whose predicted segment has most of its pixels in another segment of truth."""
    table = pair.table
    if not len(table.truth) or pair.truth.overlapping or pair.predicted.overlapping:
        return np.zeros(truth.shape, bool)
    best = np.zeros(len(pair.predicted) + 1, np.int64)
    order = np.argsort(table.pixels, kind="stable")
    best[table.predicted[order]] = table.truth[order]
    return np.asarray((best[predicted] != truth) & (truth > 0) & (predicted > 0))


def _worst_slice(pair: Pair) -> int:
    first, second = pair.class_maps
    return int(np.argmax(np.count_nonzero(first != second, axis=(1, 2))))


def _slice(side: Segmentation, z: int) -> Segmentation:
    flat = side.panoptic()
    return Segmentation.from_labels(
        flat.labels[z],
        class_ids=flat.class_ids,
        classes=side.classes,
        void=side.void[z] if side.void_px else None,
    )
