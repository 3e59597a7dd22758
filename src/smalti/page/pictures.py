"""Pictures in a page: a place in an image, made small, and outlines of segments as lines over it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import cv2
import numpy as np

from .. import compiled
from ..segmentation import Segmentation

SIDE_PX = 240
"""Longest side of a picture; larger places are made smaller."""
DARK = 160
"""A place is dark of which 99 % has this value of 255 or less; fluorescence often has 30 to 100."""

_PNG_PX = 16_000  # larger pictures are JPEG, which is a fifth as large for photographs
_LONGEST_PATH = 60_000

Place = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels of the image, the last two exclusive."""


@dataclass(frozen=True)
class Picture:
    """A place in an image: ``uri`` is a ``data:`` address, ``size_hw`` the place's size in pixels of the image.

    ``lines`` are kinds of outlines (classes of the page's style) and their SVG paths in these pixels.
    """

    uri: str
    size_hw: tuple[int, int]
    caption: str
    lines: tuple[tuple[str, str], ...] = ()


def picture(
    shown: np.ndarray,
    place: Place,
    caption: str,
    lines: Sequence[tuple[str, str]] = (),
    side_px: int = SIDE_PX,
    stretch: bool = True,
) -> Picture:
    """A place of an image as it is shown, (H, W, 3) uint8; dark ones are brightened if ``stretch``."""
    top, left, bottom, right = place
    pixels = shown[top:bottom, left:right]
    if stretch:
        pixels = _visible(pixels)
    height, width = pixels.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return Picture(_data_uri(pixels), (height, width), caption, tuple(line for line in lines if line[1]))


def outlines(segmentation: Segmentation, numbers: np.ndarray, place: Place) -> str:
    """An SVG path of the outlines of some segments of a picture inside a place; cut short where it gets very long."""
    top, left, bottom, right = place
    boxes = segmentation.boxes[numbers - 1]
    seen = (boxes[:, 0] < bottom) & (boxes[:, 2] > top) & (boxes[:, 1] < right) & (boxes[:, 3] > left)
    numbers = numbers[seen & (segmentation.areas_px[numbers - 1] > 0)]
    runs = segmentation.runs.take(numbers - 1)
    columns = (np.asarray(array, np.int64) for array in (runs.offsets, runs.start, runs.stop))
    vertices, rings, _, _ = compiled.outlines.trace_runs(*columns, segmentation.shape[1])
    corner = np.array([left, top])
    found: list[str] = []
    length = 0
    for begin, end in pairwise(rings.tolist()):
        ring = vertices[begin:end].astype(int) - corner
        if ring.min() < max(bottom - top, right - left) and ring.max() > 0:
            found.append(_path(ring))
            length += len(found[-1])
            if length > _LONGEST_PATH:
                break
    return "".join(found)


def figure(shown: Picture) -> str:
    """The picture as HTML with its lines over it; pointing at it hides them."""
    height, width = shown.size_hw
    lines = ""
    if shown.lines:
        drawn = "".join(
            f'<path class="case" d="{path}"/><path class="{kind}" d="{path}"/>' for kind, path in shown.lines
        )
        lines = (
            f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
        )
    kind = "zoomed" if max(height, width) <= 120 else "whole"
    return (
        f'<figure tabindex="0" style="aspect-ratio:{width}/{height};width:min(100%,{17 * width / height:.2f}rem)">'
        f'<img class="{kind}" alt="{escape(shown.caption)}" src="{shown.uri}">{lines}</figure>'
    )


def _visible(pixels: np.ndarray) -> np.ndarray:
    """The same pixels, (H, W, 3) uint8; dark ones are shown from their 1st to their 99th percentile."""
    low, high = np.quantile(pixels, [0.01, 0.99])
    if high > DARK or high <= low:
        return pixels
    stretched = (pixels.astype(np.float32) - low) * (255 / (high - low))
    return stretched.clip(0, 255).astype(np.uint8)


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
