"""From light to pixels: what a lens and a sensor do to a scene that has been shaded."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_STEPS = 4096


def linear(color: Sequence[float] | np.ndarray) -> np.ndarray:
    """Display values 0..255 as amounts of light 0..1 (gamma 2.2)."""
    return ((np.asarray(color, np.float64) / 255) ** 2.2).astype(np.float32)


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    """An amount of light, or a share of it, as (3,) float32."""
    return np.array([red, green, blue], np.float32)


def _display_curve() -> np.ndarray:
    """Display value 0..255 of light 0..2 in equal steps: gamma 2.2, highlights rolled off instead of clipped."""
    light = np.linspace(0, 2, _STEPS)
    rolled = np.where(light < 0.7, light, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)))
    return np.round(255 * rolled ** (1 / 2.2)).astype(np.uint8)


_DISPLAY = _display_curve()


def vignette(size_hw: Sequence[int], strength: float) -> np.ndarray:
    """Share of light (H, W) float32 that reaches each pixel: 1 in the middle, 1 - ``strength`` in the corners."""
    height, width = size_hw
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] ** 2
    return 1 - np.float32(strength / 2) * (y + x)


def photograph(
    rng: np.random.Generator,
    light: np.ndarray,
    *,
    blur_px: float = 0.6,
    noise: float = 0.01,
    vignetting: float = 0.15,
) -> np.ndarray:
    """Light (H, W, 3) float32, white at 1, as an 8-bit picture: blurred, darker to the corners, noisy, on display.

    The noise grows with the root of the light, as counted photons do, above a floor of the electronics.
    """
    light = cv2.GaussianBlur(light, (0, 0), blur_px) if blur_px > 0 else light.copy()
    light *= vignette(light.shape[:2], vignetting)[..., None]
    np.clip(light, 0, 2, out=light)
    if noise > 0:
        spread = np.sqrt(light * np.float32(noise**2) + np.float32((noise / 6) ** 2))
        light += spread * rng.standard_normal(light.shape, dtype=np.float32)
    light *= np.float32((_STEPS - 1) / 2)
    np.clip(light, 0, _STEPS - 1, out=light)
    return _DISPLAY[light.astype(np.int16)]
