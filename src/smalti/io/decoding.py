"""What the decoders share: the request, the answer, and the checks between header and pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ReadError
from ..geometry import UNKNOWN, Geometry
from .source import MAX_PIXELS


@dataclass(frozen=True)
class Request:
    """What is wanted of a file, passed to the decoder of its format."""

    name: str
    page: int | None = None
    max_pixels: int = MAX_PIXELS
    stored: bool = False  # values as stored (a label map) rather than as seen: palette indices, white as 0
    ndim: int | None = None


@dataclass(frozen=True)
class Decoded:
    """What a file holds: pixels (*S, C), and the names and geometry it gives them."""

    pixels: np.ndarray
    channels: tuple[str, ...] = ()
    geometry: Geometry = UNKNOWN


def check_pixels(name: str, shape: Sequence[int], max_pixels: int, channels: int = 1) -> None:
    """Raise ``ReadError`` for a header that promises more than ``max_pixels``, before memory is taken for
    them.

    More than four channels count as several pixels, four to a pixel, so that a picture cannot hide in depth.
    """
    if min(shape, default=0) < 1 or channels < 1:
        raise ReadError(f"{name} says it has no pixels ({' x '.join(map(str, shape))}); the file is damaged")
    pixels = math.prod(int(length) for length in shape) * -(-channels // 4)
    if pixels > max_pixels:
        size = " x ".join(map(str, shape)) + (f" x {channels} channels" if channels > 4 else "")
        raise ReadError(
            f"{name} says it has {size} pixels, more than the limit of {max_pixels:,}; "
            f"if you trust it, raise the limit: --max-pixels {pixels} (max_pixels={pixels})"
        )


def damaged(name: str, kind: str, what: str) -> ReadError:
    """The error for a file that breaks its own format."""
    return ReadError(f"{name} is a damaged {kind} file: {what}; get a whole copy of it")


def first_line(error: Exception) -> str:
    """What a library says went wrong, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def pillow_array(picture: Any) -> np.ndarray:
    """The values of a Pillow picture, ours to write to. Its bits are 0 and 255 inside and become 0 and 1."""
    values = np.array(picture)
    return values.view(np.uint8) != 0 if values.dtype == bool else values


def oriented(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels (H, W, C) turned as EXIF 2.32 says: 5 to 8 swap the axes, then each may be flipped."""
    if orientation == 1:
        return pixels
    swapped, flip_y, flip_x = orientation >= 5, orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[-1] > 4:
        turned = pixels.swapaxes(0, 1) if swapped else pixels
        return np.ascontiguousarray(turned[:: -1 if flip_y else 1, :: -1 if flip_x else 1])

    import cv2  # 12 megapixels on their side in 17 ms; numpy takes 96 ms

    channels = pixels.shape[-1]
    if swapped:
        pixels = cv2.transpose(pixels)
    if flip_y or flip_x:
        pixels = cv2.flip(pixels, {(True, False): 0, (False, True): 1, (True, True): -1}[flip_y, flip_x])
    return pixels.reshape(*pixels.shape[:2], channels)
