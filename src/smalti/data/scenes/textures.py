"""Random textures: noise of a chosen grain, its sums over octaves, and the shapes that rough outlines are cut from."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_GRAIN = (
    8.0  # the coarsest grain made directly: OpenCV interpolates in 32nds of a cell, which would show as steps
)


def noise(
    rng: np.random.Generator, size_hw: Sequence[int], grain_px: float | tuple[float, float]
) -> np.ndarray:
    """Smooth noise (H, W) float32 about 0 with a deviation near 1, whose bumps are ``grain_px`` (y, x) apart.

    Random numbers on a coarse grid, joined by cubic interpolation ("value noise").
    """
    height, width = (int(length) for length in size_hw)
    grain_y, grain_x = grain_px if isinstance(grain_px, tuple) else (grain_px, grain_px)
    grain_y, grain_x = max(1.0, grain_y), max(1.0, grain_x)
    if grain_y == grain_x == 1.0:
        return rng.standard_normal((height, width), dtype=np.float32)
    zoom_y, zoom_x = max(1.0, grain_y / _GRAIN), max(1.0, grain_x / _GRAIN)
    rows, columns = int(height / zoom_y) + 2, int(width / zoom_x) + 2
    grain_y, grain_x = grain_y / zoom_y, grain_x / zoom_x
    grid = rng.standard_normal((int(rows / grain_y) + 4, int(columns / grain_x) + 4), dtype=np.float32)
    grid *= np.float32(1.25)  # interpolation flattens
    matrix = np.array([[1 / grain_x, 0, rng.uniform(1, 2)], [0, 1 / grain_y, rng.uniform(1, 2)]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    fine = cv2.warpAffine(grid, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT)
    if zoom_y > 1 or zoom_x > 1:
        size = (max(width, round(columns * zoom_x)), max(height, round(rows * zoom_y)))
        fine = cv2.resize(fine, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(fine[:height, :width])


def fractal(
    rng: np.random.Generator,
    size_hw: Sequence[int],
    grain_px: float | tuple[float, float],
    octaves: int = 4,
    gain: float = 0.5,
) -> np.ndarray:
    """Noise of ``grain_px`` and ever finer noise on it, each octave ``gain`` times as strong; deviation near 1."""
    grain_y, grain_x = grain_px if isinstance(grain_px, tuple) else (grain_px, grain_px)
    total = np.zeros(tuple(size_hw), np.float32)
    power = 0.0
    for octave in range(octaves):
        share = gain**octave
        total += np.float32(share) * noise(rng, size_hw, (grain_y / 2**octave, grain_x / 2**octave))
        power += share**2
    total /= np.float32(power**0.5)
    return total


def rough_disc(rng: np.random.Generator, angles: np.ndarray, roughness: float, waves: int = 5) -> np.ndarray:
    """Radius of a roughened unit circle at each of ``angles``: some waves of falling height around it."""
    radius = np.ones(np.shape(angles), np.float32)
    for wave in range(2, waves + 2):
        height, phase = rng.normal(0, roughness / wave), rng.uniform(0, 2 * np.pi)
        radius += np.float32(height) * np.cos(wave * angles + phase, dtype=np.float32)
    return radius
