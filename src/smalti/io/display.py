"""Values of any kind as colours on a screen. For viewing only: nothing is measured from what is made here."""

from __future__ import annotations

import math

import numpy as np

from ..errors import InputError
from ..image import Image

CHECKER = (104, 136)  # greys of the squares shown where there is no value


def to_display(image: Image) -> np.ndarray:
    """The pixels of a 2-D ``image`` as an (H, W, 3) uint8 RGB picture, FOR VIEWING ONLY.

    8-bit values stay as they are and bool becomes 0 or 255. Other integers and floats are stretched so that
    their 0.5th percentile is black and their 99.5th white (of at most a million finite pixels); what lies
    beyond is clipped, infinities included. Red, green and blue are stretched together, other channels each by
    itself. A channel of one value is shown black if it is 0, else mid-grey.

    Shown are: one channel as grey; red, green and blue where the first three are so named; two other channels
    in magenta and green (told apart with any common colour vision); of three or more others the first three,
    as red, green and blue. Where the image has alpha it is laid over a grey checkerboard, and so are NaNs.
    Raises ``InputError`` for a volume.
    """
    if image.ndim != 2:
        raise InputError(f"a picture has 2 axes, got a volume of {image.shape}; choose one slice of it")
    shown = [index for index, name in enumerate(image.channels) if name != "alpha"][:3] or [0]
    pixels = image.pixels[..., shown]
    together = image.channels[:3] == ("red", "green", "blue")
    missing = np.isnan(pixels).any(axis=-1) if pixels.dtype.kind == "f" else None
    if pixels.dtype == bool:
        picture = pixels.view(np.uint8) * np.uint8(255)
    elif pixels.dtype == np.uint8:
        picture = pixels
    elif together:
        picture = _stretch(pixels)
    else:
        picture = np.stack([_stretch(pixels[..., index]) for index in range(len(shown))], axis=-1)
    if len(shown) == 1:
        picture = np.repeat(picture, 3, axis=-1)
    elif len(shown) == 2:
        picture = picture[..., [0, 1, 0]]
    picture = np.array(picture, order="C")
    if missing is not None and missing.any():
        picture[missing] = checkerboard(image.shape)[missing]
    if "alpha" in image.channels and image.num_channels > 1:
        picture = blend(checkerboard(image.shape), picture, _opacity(image.channel("alpha")))
    return picture


def _stretch(pixels: np.ndarray) -> np.ndarray:
    step = max(1, math.isqrt(pixels.size // 1_000_000))
    sample = pixels[::step, ::step].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        sample = pixels[np.isfinite(pixels)].astype(np.float64)
    if not sample.size:
        return np.where(pixels == np.inf, 255, 0).astype(np.uint8)
    low, high = np.percentile(sample, [0.5, 99.5])
    if low == high:  # nearly all pixels are alike: show what is not
        finite = pixels[np.isfinite(pixels)].astype(np.float64)
        low, high = finite.min(), finite.max()
    if low == high:
        return np.full(pixels.shape, 0 if low == 0 else 128, np.uint8)
    # halves, so that the widest floats do not overflow; single precision is enough for short numbers
    kind: type = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
    scaled = (pixels.astype(kind) * 0.5 - kind(low / 2)) * kind(255 / (high / 2 - low / 2))
    return np.nan_to_num(np.rint(scaled.clip(0, 255))).astype(np.uint8)


def checkerboard(shape: tuple[int, ...], side: int = 8) -> np.ndarray:
    """The neutral grey squares (H, W, 3) that stand where there is no value."""
    rows, columns = (np.arange(length) // side for length in shape)
    grey = np.array(CHECKER, np.uint8)[(rows[:, np.newaxis] + columns) % 2]
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)


def _opacity(alpha: np.ndarray) -> np.ndarray:
    """Alpha as 0..1 float32: the full range of integers, floats as they are."""
    if alpha.dtype.kind in "ui":
        return alpha.astype(np.float32) / np.iinfo(alpha.dtype).max
    return np.nan_to_num(alpha.astype(np.float32)).clip(0, 1)


def blend(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """``above`` painted over ``below``, both (..., 3), with ``opacity`` (...) 0..1."""
    share = opacity[..., np.newaxis]
    return np.rint(below * (1 - share) + above * share).astype(np.uint8)
