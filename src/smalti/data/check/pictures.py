"""What is kept of each image: how it looks in a few numbers, and fingerprints that tell its copies.

The perceptual hash is that of Zauner, Implementation and benchmarking of perceptual image hash functions (2010),
section 3.2.1: the signs of low frequencies of the cosine transform about their median.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from ...image import Image

HASH_SIDE = 32
"""Pixels a side that the cosine transform is taken of; 8 x 8 frequencies are kept."""

LOOKS = ("brightness", "contrast", "red", "blue", "size", "aspect")
"""What drift is looked for in; red and blue are shares of the three colours."""


@dataclass(frozen=True)
class Picture:
    """One image in few bytes.

    ``digest`` is the SHA-256 of its pixels, ``hashes`` (8,) uint64 the perceptual hash of the image and of its
    seven flips and quarter turns; ``looks`` are the numbers of ``LOOKS``, NaN where an image has none.
    """

    shape: tuple[int, ...]
    channels: int
    dtype: str
    digest: bytes
    hashes: np.ndarray
    looks: tuple[float, ...]


def look(image: Image) -> Picture:
    """What is kept of an image."""
    pixels = image.pixels
    return Picture(
        image.shape,
        image.num_channels,
        pixels.dtype.name,
        _digest(pixels),
        perceptual_hashes(grey_slice(image)),
        _looks(image),
    )


def grey_slice(image: Image) -> np.ndarray:
    """An image, or the middle slice of a volume, as (H, W) float32: the mean of its channels but alpha."""
    pixels = image.pixels if image.ndim == 2 else image.pixels[image.shape[0] // 2]
    shown = [index for index, name in enumerate(image.channels) if name != "alpha"] or [0]
    if len(shown) < pixels.shape[-1]:
        pixels = pixels[..., shown]
    if pixels.dtype == np.uint8 and pixels.shape[-1] == 3:
        return cv2.transform(pixels, np.full((1, 3), 1 / 3, np.float32)).astype(np.float32)
    return np.nan_to_num(pixels.mean(axis=-1, dtype=np.float32), posinf=0, neginf=0)


def _digest(pixels: np.ndarray) -> bytes:
    digest = hashlib.sha256(f"{pixels.dtype.str} {pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).view(np.uint8).reshape(-1).data)
    return digest.digest()


def perceptual_hashes(grey: np.ndarray) -> np.ndarray:
    """The 64-bit hash of a picture (H, W) and of its flips and quarter turns, (8,) uint64, the picture's own first."""
    small = cv2.resize(grey, (HASH_SIDE, HASH_SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[1:9, 1:9]
    # mirroring an axis turns the sign of its odd frequencies; turning the picture transposes them
    odd = np.where(np.arange(1, 9) % 2, -1, 1)
    found = []
    for turned in (low, low.T):
        for rows in (1, odd):
            for columns in (1, odd):
                each = turned * np.reshape(rows, (-1, 1)) * np.reshape(columns, (1, -1))
                found.append(np.packbits(each > np.median(each)).view(np.uint64)[0])
    return np.array(found, np.uint64)


def _looks(image: Image) -> tuple[float, ...]:
    pixels = image.pixels
    axes = tuple(range(pixels.ndim - 1))
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[-1] <= 4:
        mean, deviation = (part[: pixels.shape[-1], 0] for part in cv2.meanStdDev(pixels))
    else:
        floats = pixels.astype(np.float64)
        known = np.isfinite(floats)
        floats = np.where(known, floats, 0)
        count = np.maximum(known.sum(axes), 1)
        mean = floats.sum(axes) / count
        deviation = np.sqrt(np.maximum((floats**2).sum(axes) / count - mean**2, 0))
    colored = image.channels[:3] == ("red", "green", "blue") and mean[:3].sum() > 0
    shown = slice(0, 3) if colored else slice(0, max(1, len(mean) - ("alpha" in image.channels)))
    shares = mean[:3] / mean[:3].sum() if colored else np.full(3, np.nan)
    height, width = image.shape[-2:]
    return (
        float(mean[shown].mean()),
        float(deviation[shown].mean()),
        float(shares[0]),
        float(shares[2]),
        float(np.prod(image.shape)),
        width / height,
    )
