"""Nuclei in a stack of slices: a confocal volume whose slices lie further apart than its pixels."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from ...geometry import Geometry
from .scene import Canvas, Scene, SceneKind, check_size, colored

NUCLEUS, BACKGROUND = 1, 2


class Volume(SceneKind):
    """Stained nuclei in three dimensions in one grey channel, fainter and more blurred with depth."""

    name: ClassVar[str] = "volume"
    title: ClassVar[str] = "3-D stack of nuclei with thicker slices than pixels; spacing in µm"
    classes = colored(("nucleus", True, (86, 180, 233)), ("background", False, (64, 64, 72)))

    size_dhw: tuple[int, int, int] = Field(
        (24, 128, 128), description="Slices, height and width of the volume."
    )
    spacing_um: tuple[float, float, float] = Field(
        (2.0, 0.5, 0.5), description="Distance between slices, rows and columns in micrometres."
    )
    diameter_um: float = Field(11.0, gt=0, le=1000, description="Mean diameter of a nucleus in micrometres.")
    density: float = Field(0.5, ge=0, le=1, description="How crowded the tissue is.")

    @field_validator("size_dhw")
    @classmethod
    def _check_size(cls, size_dhw: tuple[int, int, int]) -> tuple[int, int, int]:
        if size_dhw[0] < 2:
            raise ValueError("a volume needs 2 slices or more")
        check_size(size_dhw[1:], largest=2048)
        return check_size(size_dhw, smallest=2, largest=2048)

    @field_validator("spacing_um")
    @classmethod
    def _check_spacing(cls, spacing_um: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(spacing_um) <= 0 or max(spacing_um) > 100:
            raise ValueError("spacings are lengths above 0 and up to 100 µm")
        return spacing_um

    def draw(self, seed: int, index: int) -> Scene:
        rng = self.rng(seed, index)
        labels, depth = self._lay(rng)
        canvas = Canvas.of(self.size_dhw)
        from scipy.ndimage import find_objects

        for number, found in enumerate(find_objects(labels), 1):
            if found is not None:
                canvas.claim(NUCLEUS, labels[found] == number, found, min_px=12)
        pixels = self._glow(rng, canvas.labels, depth, len(canvas.class_ids))
        canvas.claim(BACKGROUND, canvas.labels == 0, stuff=True)
        return Scene(pixels, canvas.labels, np.array(canvas.class_ids), Geometry(self.spacing_um, "um"))

    def _lay(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Labels (D, H, W) int32 of turned ellipsoids, and how deep (0..1) each voxel lies in its own."""
        shape = np.array(self.size_dhw)
        spacing = np.array(self.spacing_um)
        extent = shape * spacing
        radius = self.diameter_um / 2
        share = 0.8 * self.density * rng.uniform(0.4, 1.0)
        wanted = round(share * float(np.prod(extent)) / (4 / 3 * np.pi * radius**3))
        labels, depth = np.zeros(self.size_dhw, np.int32), np.zeros(self.size_dhw, np.float32)
        middles, radii = np.zeros((0, 3)), np.zeros(0)
        for _ in range(wanted * 3):
            if len(radii) >= max(wanted, int(self.density > 0)):
                break
            size = radius * float(np.clip(rng.lognormal(0, 0.15), 0.6, 1.5))
            if len(radii) and rng.random() < 0.5:  # beside one that is there
                k = int(rng.integers(len(radii)))
                way = rng.normal(0, 1, 3)
                middle = middles[k] + way / np.linalg.norm(way) * (size + radii[k]) * rng.uniform(0.8, 1.0)
            else:
                middle = rng.uniform(-0.2 * radius, extent + 0.2 * radius)
            if ((middle < -size) | (middle > extent + size)).any():
                continue
            if (np.sum((middles - middle) ** 2, 1) < (0.72 * (size + radii)) ** 2).any():
                continue
            low = np.maximum(0, np.floor((middle - 1.5 * size) / spacing)).astype(int)
            high = np.minimum(shape, np.ceil((middle + 1.5 * size) / spacing) + 1).astype(int)
            if (low >= high).any():
                continue
            middles, radii = np.vstack([middles, middle]), np.append(radii, size)
            place = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            inside = _ellipsoid(rng, place, spacing, middle, size)
            deeper = inside > depth[place]
            labels[place][deeper] = len(radii)
            depth[place][deeper] = inside[deeper]
        return labels, depth

    def _glow(
        self, rng: np.random.Generator, labels: np.ndarray, depth: np.ndarray, count: int
    ) -> np.ndarray:
        """What the microscope counts, (D, H, W, 1) uint8."""
        brightness = np.concatenate([[0], np.clip(rng.lognormal(-0.2, 0.35, count), 0.25, 2)]).astype(
            np.float32
        )
        light = brightness[labels] * (0.6 + 0.4 * np.sqrt(np.clip(depth * 3, 0, 1)))
        grain = rng.standard_normal(labels.shape, dtype=np.float32)
        light *= 1 + 0.5 * self._blurred(grain, 1.0, 0.6)
        light = self._blurred(np.maximum(light, 0), 0.35, 1.4)  # the point spread is longer along z
        z = np.arange(labels.shape[0], dtype=np.float32)[:, None, None] * np.float32(self.spacing_um[0])
        light *= np.exp(-z / np.float32(rng.uniform(60, 250)))
        light += rng.uniform(0.02, 0.06)
        photons = rng.uniform(60, 250)
        counted = rng.poisson(light * photons).astype(np.float32) / np.float32(photons)
        counted += rng.standard_normal(labels.shape, dtype=np.float32) * np.float32(0.01)
        return np.clip(counted / 1.9 * 255, 0, 255).astype(np.uint8)[..., None]

    def _blurred(self, volume: np.ndarray, aside_um: float, along_um: float) -> np.ndarray:
        """Gaussian blur by ``aside_um`` in the slices and ``along_um`` across them."""
        aside = max(0.4, aside_um / self.spacing_um[1])
        flat = np.stack([cv2.GaussianBlur(plane, (0, 0), aside) for plane in volume])
        z = np.arange(len(volume)) * self.spacing_um[0]
        weights = np.exp(-((z[:, None] - z[None]) ** 2) / (2 * along_um**2))
        weights /= weights.sum(1, keepdims=True)
        return (weights.astype(np.float32) @ flat.reshape(len(volume), -1)).reshape(volume.shape)


def _ellipsoid(
    rng: np.random.Generator, place: tuple[slice, ...], spacing: np.ndarray, middle: np.ndarray, size: float
) -> np.ndarray:
    """Depth (d, h, w) float32 in a turned ellipsoid: 1 in its ``middle``, 0 outside. Lengths are micrometres."""
    turn = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0] / (size * np.clip(rng.normal(1, 0.15, 3), 0.7, 1.4))
    steps = [
        np.arange(part.start, part.stop) * step - at
        for part, step, at in zip(place, spacing.tolist(), middle.tolist(), strict=True)
    ]
    squared = np.zeros([len(step) for step in steps], np.float32)
    for axis in range(3):
        z, y, x = ((step * turn[k, axis]).astype(np.float32) for k, step in enumerate(steps))
        squared += (z[:, None, None] + y[:, None] + x) ** 2
    return np.clip(1 - np.sqrt(squared), 0, 1)
