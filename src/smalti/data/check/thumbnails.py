"""Small pictures of findings: the place in the image, and the outlines as lines to lay over it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ... import compiled
from ...errors import SmaltiError
from ...image import Image
from ...io.display import to_display
from ...sample import Sample
from ...segmentation import Segmentation
from .finding import Finding

SIDE_PX = 240
"""Longest side of a picture; larger places are made smaller."""
LEAST_PX = 48
"""Shortest side of the place that is shown, so that one sees where one is."""
SAME_IMAGE = ("leakage", "duplicate", "near-duplicate")

_PNG_PX = 16_000  # larger pictures are JPEG, which is a fifth as large for photographs
_LONGEST_PATH = 60_000


@dataclass(frozen=True)
class Thumbnail:
    """A picture of a place in an image.

    ``uri`` is a ``data:`` address; ``size_hw`` the place's size in pixels of the image. ``meant`` and ``others``
    are SVG paths in these pixels: outlines of the segments that the finding is about, and of the rest.
    """

    uri: str
    size_hw: tuple[int, int]
    caption: str
    meant: str = ""
    others: str = ""


def thumbnails(finding: Finding, sample: Any) -> list[Thumbnail]:
    """Pictures of a finding, none where there is nothing to show; ``sample(name)`` gives a sample of the set."""
    shown = 2 if finding.code in SAME_IMAGE else 1
    made = []
    for name in finding.samples[:shown]:
        try:
            made.append(_thumbnail(finding, sample(name)))
        except (SmaltiError, KeyError, IndexError):
            continue  # what cannot be read has no picture; the finding says why
    return made


def _thumbnail(finding: Finding, sample: Sample) -> Thumbnail:
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
    top, left, bottom, right = _around(box, image.shape) if finding.box else (0, 0, *image.shape)
    pixels = to_display(image)[top:bottom, left:right]
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE_PX / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    meant, others = ("", "") if truth is None else _paths(truth, finding, (top, left, bottom, right))
    return Thumbnail(_data_uri(pixels), (height, width), caption, meant, others)


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


def _paths(truth: Segmentation, finding: Finding, place: tuple[int, int, int, int]) -> tuple[str, str]:
    """Outlines inside a place: of the segments meant (all of them where none is named) and of the others."""
    top, left, bottom, right = place
    boxes = truth.boxes
    seen = (boxes[:, 0] < bottom) & (boxes[:, 2] > top) & (boxes[:, 1] < right) & (boxes[:, 3] > left)
    numbers = np.flatnonzero(seen & (truth.areas_px > 0)) + 1
    named = np.isin(numbers, finding.segments) if finding.segments else np.ones(len(numbers), bool)
    columns = (np.asarray(array, np.int64) for array in _runs(truth, numbers))
    vertices, rings, ring_piece, pieces = compiled.outlines.trace_runs(*columns, truth.shape[1])
    owner = np.searchsorted(pieces, ring_piece, side="right") - 1
    paths: tuple[list[str], list[str]] = ([], [])
    corner = np.array([left, top])
    for index in range(len(ring_piece)):
        ring = vertices[rings[index] : rings[index + 1]].astype(int) - corner
        if ring.min() < max(bottom - top, right - left) and ring.max() > 0:
            paths[0 if named[owner[index]] else 1].append(_path(ring))
    texts = ["".join(each) for each in paths]
    return texts[0][:_LONGEST_PATH], texts[1] if len(texts[1]) < _LONGEST_PATH else ""


def _runs(truth: Segmentation, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    runs = truth.runs.take(numbers - 1)
    return runs.offsets, runs.start, runs.stop


def _path(ring: np.ndarray) -> str:
    """An SVG path along pixel edges: a start and then steps, in turn across and along."""
    steps = np.diff(ring, axis=0)
    parts = [f"M{ring[0, 0]} {ring[0, 1]}"]
    parts += [f"h{x}" if x else f"v{y}" for x, y in steps.tolist()]
    return "".join([*parts, "z"])


def _data_uri(pixels: np.ndarray) -> str:
    if pixels.shape[0] * pixels.shape[1] <= _PNG_PX:
        kind, options = "png", [cv2.IMWRITE_PNG_COMPRESSION, 9]
    else:
        kind, options = "jpeg", [cv2.IMWRITE_JPEG_QUALITY, 85]
    encoded = cv2.imencode("." + kind, np.ascontiguousarray(pixels[..., ::-1]), options)[1]
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"
