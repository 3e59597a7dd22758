"""Small pictures of findings: the place in the image, and the outlines as lines to lay over it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import SmaltiError
from ...image import Image
from ...io.display import to_display
from ...page.pictures import Picture, Place, outlines, picture
from ...sample import Sample
from ...segmentation import Segmentation
from .finding import Finding

LEAST_PX = 48
"""Shortest side of the place that is shown, so that one sees where one is."""
SAME_IMAGE = ("leakage", "duplicate", "near-duplicate", "sequence")


def thumbnails(finding: Finding, sample: Any) -> list[Picture]:
    """Pictures of a finding, none where there is nothing to show; ``sample(name)`` gives a sample of the set."""
    shown = 2 if finding.code in SAME_IMAGE else 1
    made = []
    for name in finding.samples[:shown]:
        try:
            made.append(_thumbnail(finding, sample(name)))
        except (SmaltiError, KeyError, IndexError):
            continue  # what cannot be read has no picture; the finding says why
    return made


def _thumbnail(finding: Finding, sample: Sample) -> Picture:
    image = sample.image
    truth = None
    if finding.code not in SAME_IMAGE and sample.annotated:
        try:
            truths = sample.truths
            truth = truths[finding.truth - 1] if finding.truth <= len(truths) else None
        except SmaltiError:
            truth = None
    if truth is not None and truth.shape != image.shape:
        truth = None
    box = np.array(finding.box or (0,) * image.ndim + image.shape)
    caption = sample.name
    if image.ndim == 3:
        z = _slice(finding, truth, box)
        image = Image(image.pixels[z], image.channels)
        truth = None if truth is None else _cut(truth, z)
        box = box[[1, 2, 4, 5]] if finding.box else np.array([0, 0, *image.shape])
        caption = f"{sample.name}, slice {z}"
    whole = (0, 0, image.shape[0], image.shape[1])
    place = _around(box, image.shape) if finding.box else whole
    lines = () if truth is None else _lines(truth, finding, place)
    return picture(to_display(image), place, caption, lines)


def _slice(finding: Finding, truth: Segmentation | None, box: np.ndarray) -> int:
    """The slice of a volume that shows most of the segments meant, else the middle of the place."""
    middle = int((box[0] + box[len(box) // 2]) // 2)
    if truth is None or not finding.segments:
        return middle
    chosen = truth.runs.take(np.array(finding.segments) - 1)
    planes = chosen.start // (truth.shape[1] * truth.shape[2])
    planes = planes[(planes >= box[0]) & (planes < box[len(box) // 2])]
    return int(np.bincount(planes).argmax()) if len(planes) else middle


def _cut(truth: Segmentation, z: int) -> Segmentation:
    masks = [mask[z] for mask in truth.masks()]
    return Segmentation.from_masks(
        masks, shape=truth.shape[1:], class_ids=truth.class_ids, classes=truth.classes
    )


def _around(box: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The box with some room around it, at least ``LEAST_PX`` a side where the image has them."""
    low, high = box[:2].astype(int), box[2:].astype(int)
    room = np.maximum((high - low) * 2 // 5, 8)
    room = np.maximum(room, (LEAST_PX - (high - low) + 1) // 2)
    low, high = low - room, high + room
    height_width = np.array(shape)
    over = np.maximum(-low, 0) - np.maximum(
        high - height_width, 0
    )  # a place at the border shows more of its other side
    low, high = np.maximum(low + np.minimum(over, 0), 0), np.minimum(high + np.maximum(over, 0), height_width)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _lines(truth: Segmentation, finding: Finding, place: Place) -> tuple[tuple[str, str], ...]:
    """Outlines inside a place: of the others, and over them of the segments meant, all where none is named."""
    numbers = np.arange(1, len(truth) + 1)
    named = np.isin(numbers, finding.segments) if finding.segments else np.ones(len(numbers), bool)
    return (
        ("others", outlines(truth, numbers[~named], place)),
        ("meant", outlines(truth, numbers[named], place)),
    )
