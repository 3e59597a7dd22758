"""The watershed from markers, against scikit-image's, on what it is used for and on what is hard for it.

Both get the same arrays. At most one pixel in a thousand may differ: where marker pixels are equally high,
scikit-image's heap decides which goes first, ours is the first in scan order.
"""

from __future__ import annotations

import numpy as np
from harness import Comparison, row
from scipy import ndimage
from skimage import data
from skimage.feature import peak_local_max
from skimage.segmentation import watershed as peer_watershed
from skimage.transform import resize

from smalti.postprocess.flooding import watershed

PITCH = 34  # pixels from cell to cell: 14,000 cells on 4096 x 4096
MAX_DIFFERING = 0.001
TARGET = 4


def cells(shape: tuple[int, ...], pitch: float, seed: int = 0) -> np.ndarray:
    """Mask of round cells at random places, most of which touch or overlap others."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    for _ in range(int(np.prod(shape) / pitch ** len(shape))):
        center = [rng.uniform(0, size) for size in shape]
        radius = rng.uniform(0.35, 0.62) * pitch
        box = tuple(
            slice(max(0, int(at - radius)), min(size, int(at + radius) + 2))
            for at, size in zip(center, shape, strict=True)
        )
        apart = sum((axis - at) ** 2 for axis, at in zip(np.ogrid[box], center, strict=True))
        mask[box] |= apart < radius**2
    return mask


def peaks(height: np.ndarray, mask: np.ndarray, min_distance_px: int) -> np.ndarray:
    """A marker on each peak of ``height``."""
    markers = np.zeros(height.shape, np.int32)
    places = peak_local_max(height, min_distance=min_distance_px, labels=mask.astype(np.int32))
    markers[tuple(places.T)] = np.arange(1, len(places) + 1)
    return markers


def noisy_gradient(mask: np.ndarray) -> np.ndarray:
    """Gradient of a blurred, noisy picture of the cells, float32, 0 to 1."""
    rng = np.random.default_rng(1)
    grey = ndimage.distance_transform_edt(mask) + rng.normal(0, 0.5, mask.shape)
    gradient = ndimage.gaussian_gradient_magnitude(grey.astype(np.float32), 1.5)
    return gradient / gradient.max()


def flat_places(gradient: np.ndarray) -> np.ndarray:
    """A marker wherever the smoothed gradient is lowest around."""
    smooth = ndimage.gaussian_filter(gradient.astype(np.float32), 3)
    return peaks(-smooth, np.ones(gradient.shape, bool), 10)


def compare(elevation: np.ndarray, markers: np.ndarray, mask: np.ndarray | None, what: str) -> Comparison:
    share = 100 if mask is None else 100 * mask.mean()
    return Comparison(
        peer=lambda: peer_watershed(elevation, markers, mask=mask),
        ours=lambda: watershed(elevation, markers, mask),
        agree=lambda peer, ours: bool((peer != ours).mean() <= MAX_DIFFERING),
        note=f"{what}, {elevation.dtype}, {markers.max()} markers, {share:.0f} % in the mask; one thread",
    )


def distance_case(shape: tuple[int, ...], pitch: float, dtype: type) -> Comparison:
    mask = cells(shape, pitch)
    distance = ndimage.distance_transform_edt(mask)
    return compare(-distance.astype(dtype), peaks(distance, mask, 5), mask, "distance of touching cells")


def gradient_case(dtype: type, masked: bool) -> Comparison:
    mask = cells((1024, 1024), PITCH)
    gradient = noisy_gradient(mask)
    markers = flat_places(gradient)
    if dtype != np.float32:
        gradient = (gradient * np.iinfo(dtype).max).astype(dtype)
    return compare(gradient, markers, mask if masked else None, "gradient of noisy cells")


def photograph_case(dtype: type) -> Comparison:
    coins = resize(data.coins(), (1024, 1024), order=3, preserve_range=True).astype(np.float32)
    gradient = ndimage.generic_gradient_magnitude(coins, ndimage.sobel)
    elevation = np.clip(gradient / 2, 0, 255).astype(dtype) if dtype == np.uint8 else gradient
    return compare(elevation, flat_places(gradient), None, "gradient of a photograph of coins")


@row("watershed-2d", peer="scikit-image watershed", target=TARGET)
def distance_2d() -> Comparison:
    return distance_case((1024, 1024), PITCH, np.float64)


@row("watershed-2d-gradient", peer="scikit-image watershed", target=TARGET)
def gradient_2d() -> Comparison:
    return gradient_case(np.float32, masked=True)


@row("watershed-2d-gradient-whole", peer="scikit-image watershed", target=TARGET)
def gradient_2d_whole() -> Comparison:
    return gradient_case(np.float32, masked=False)


@row("watershed-2d-gradient-8-bit", peer="scikit-image watershed", target=TARGET)
def gradient_2d_8_bit() -> Comparison:
    return gradient_case(np.uint8, masked=True)


@row("watershed-2d-gradient-16-bit", peer="scikit-image watershed", target=TARGET)
def gradient_2d_16_bit() -> Comparison:
    return gradient_case(np.uint16, masked=True)


@row("watershed-2d-photograph", peer="scikit-image watershed", target=TARGET)
def photograph() -> Comparison:
    return photograph_case(np.float32)


@row("watershed-2d-photograph-8-bit", peer="scikit-image watershed", target=TARGET)
def photograph_8_bit() -> Comparison:
    return photograph_case(np.uint8)


@row("watershed-2d-noise", peer="scikit-image watershed", target=TARGET)
def noise() -> Comparison:
    rng = np.random.default_rng(2)
    markers = np.zeros((1024, 1024), np.int32)
    markers.flat[rng.choice(markers.size, 50, replace=False)] = np.arange(1, 51)
    return compare(rng.random(markers.shape, np.float32), markers, None, "white noise")


@row("watershed-3d", peer="scikit-image watershed", target=TARGET, repeats=5)
def distance_3d() -> Comparison:
    return distance_case((128, 256, 256), 30, np.float64)


@row("watershed-3d-gradient", peer="scikit-image watershed", target=TARGET, repeats=5)
def gradient_3d() -> Comparison:
    mask = cells((128, 256, 256), 30)
    distance = ndimage.distance_transform_edt(mask)
    return compare(noisy_gradient(mask), peaks(distance, mask, 5), mask, "gradient of noisy balls")
