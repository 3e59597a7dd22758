"""A sample on its way through a chain: pixels and truth, and the moves and tones not carried out yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ...errors import InputError
from .warp import Bend, Border, Interpolation, Stage, Warp, joined, moved_points

Curve = Callable[[np.ndarray, float, float], np.ndarray]
"""Values (..., C) or (..., 1) of any shape in floats, lowest and highest value of the image -> new values."""

LIMIT = 3.0
"""Axes whose spacing is more than this many times the finest do not turn, bend or grow: nnU-Net's threshold of
anisotropy (Isensee et al., Nature Methods 18, 2021), beyond which it augments slice by slice."""


@dataclass
class Truth:
    """What one source says: label maps (*S,) that belong together, where it is void (*S,) uint8, its weight."""

    layers: list[np.ndarray]
    void: np.ndarray | None
    weight: float = 1.0


@dataclass
class Draft:
    """Pixels (*S, C) and truths that move together; augmentations change it by its methods.

    ``class_ids`` (N,) are there where labels number segments, None where they are class ids themselves. ``outside``
    is the label of places beyond the image, ``void_label`` that of places of which nothing is known, if there is
    one. ``spacing`` (ndim,) is in any unit. Moves and tones are kept until pixels are needed (``settle``), so that
    moves are done as one and tones as one table.
    """

    pixels: np.ndarray
    truths: list[Truth]
    spacing: np.ndarray
    class_ids: np.ndarray | None = None
    void_label: int | None = None
    channels: tuple[str, ...] | None = None
    border: Border = "void"
    fill: float | None = None
    interpolation: Interpolation = "linear"
    value_range: tuple[float, float] | None = None
    partner: Callable[[np.random.Generator], Draft] | None = None
    parts: list[Any] = field(default_factory=list)  # where the segments come from, in the order of their numbers

    def __post_init__(self) -> None:
        self.shape: tuple[int, ...] = self.pixels.shape[:-1]
        self.moved = np.eye(self.ndim + 1)  # from pixels of the result to those of the image that came
        self.bent = False  # whether ``moved`` says it only roughly, or several images are in one
        self.own = False  # whether the pixels are a copy that may be written to
        self.areas_px: np.ndarray | None = None  # of each segment, as large as it would be were it all inside
        self._stages: list[Stage] = []
        self._curves: list[Curve] = []

    # What it is like

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.pixels.ndim - 1

    @property
    def finest(self) -> float:
        """Spacing of the finest axis."""
        return float(self.spacing.min())

    @property
    def turning(self) -> np.ndarray:
        """Axes fine enough to turn, bend and grow, (ndim,) bool; all where there is no spacing."""
        return self.spacing <= LIMIT * self.finest

    @property
    def num_values(self) -> int:
        """Channels that hold values: all but alpha."""
        named = self.channels is not None and len(self.channels) > 1 and self.channels[-1] == "alpha"
        return self.pixels.shape[-1] - named

    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that strengths are relative to, and that values are kept between.

        0 and 255 for 8 bits; otherwise the image's own, as it stands when first asked for.
        """
        if self.value_range is None:
            dtype = self.pixels.dtype
            if dtype == bool:
                raise InputError("values of a bool image cannot be changed; only spatial augmentations suit it")
            if dtype == np.uint8:
                self.value_range = (0.0, 255.0)
            else:
                values = self.pixels[..., : self.num_values]
                low, high = float(values.min()), float(values.max())
                if not np.isfinite([low, high]).all():
                    finite = values[np.isfinite(values)]
                    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
                self.value_range = (low, high)
        return self.value_range

    # Moves

    def move(
        self,
        matrix: np.ndarray | None = None,
        *,
        bend: Bend | None = None,
        shape: Sequence[int] | None = None,
    ) -> None:
        """Take the pixel p of a result of ``shape`` from ``matrix(p)``, displaced by ``bend``, of what there is now.

        Indices are z, y, x and homogeneous. The spacing follows.
        """
        if bend is not None:
            self._stages.append(bend)
            self.bent = True
        if matrix is not None:
            last = self._stages[-1] if self._stages else None
            if last is None or isinstance(last, Bend):
                self._stages.append(matrix)
            else:
                self._stages[-1] = last @ matrix
            if (matrix[-1, :-1] != 0).any():
                self.bent = True
            else:
                steps = self.spacing[:, np.newaxis] * matrix[:-1, :-1]
                self.spacing = np.sqrt((steps**2).sum(axis=0)) / matrix[-1, -1]
        if shape is not None:
            self.shape = tuple(int(length) for length in shape)

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Where ``points`` (P, ndim) of the settled arrays will lie after the moves so far, bends left out."""
        matrices = [stage for stage in self._stages if not isinstance(stage, Bend)]
        return moved_points(np.linalg.inv(joined(matrices)), points) if matrices else points

    def tone(self, curve: Curve) -> None:
        """Change values by a curve, joined with those before and after."""
        self.limits()
        self._curves.append(curve)

    def settle(self) -> Draft:
        """Carry out what was kept, so that ``pixels`` and ``truths`` are as they should be."""
        if self._stages or self.shape != self.pixels.shape[:-1]:
            self._settle_moves()
        if self._curves:
            self._settle_tones()
        return self

    def _settle_moves(self) -> None:
        stages = self._stages or [np.eye(self.ndim + 1)]
        warp = Warp(self.pixels.shape[:-1], self.shape, stages, self.border)
        covers = warp.covers()
        fill = self.fill
        if fill is None:
            fill = 0.0 if covers or self.pixels.dtype == bool else self.limits()[0]
        self._count_areas()
        for truth in self.truths:
            if truth.void is None and not covers and self.void_label is None:
                truth.void = np.zeros(self.pixels.shape[:-1], np.uint8)
            truth.layers = [warp.on_labels(layer, self.void_label or 0) for layer in truth.layers]
            truth.void = None if truth.void is None else warp.on_labels(truth.void, 1)
        self.pixels = warp.on_pixels(self.pixels, fill, self.interpolation)
        self.own = True
        if self.areas_px is not None and warp.stages:
            matrix = joined(warp.stages)
            self.areas_px = self.areas_px / max(abs(float(np.linalg.det(matrix[:-1, :-1]))), 1e-12)
        matrices = [stage for stage in stages if not isinstance(stage, Bend)]
        self.moved = self.moved @ joined(matrices) if matrices else self.moved
        self._stages = []

    def _count_areas(self) -> None:
        """Pixels of each segment before anything is cut off."""
        if self.class_ids is not None and self.areas_px is None:
            self.areas_px = self.present_px().astype(np.float64)

    def present_px(self) -> np.ndarray:
        """Pixels of each segment now, (N,)."""
        count = 0 if self.class_ids is None else len(self.class_ids)
        areas = np.zeros(count + 1, np.int64)
        for truth in self.truths:
            for layer in truth.layers:
                areas += np.bincount(layer.reshape(-1), minlength=count + 1)
        return areas[1:]

    # Values

    def _settle_tones(self) -> None:
        low, high = self.limits()
        curves, self._curves = self._curves, []
        if self.pixels.dtype == np.uint8:
            values = np.arange(256, dtype=np.float32)[:, np.newaxis]
            for curve in curves:
                values = curve(values, low, high).clip(low, high)
            table = np.rint(values).astype(np.uint8)
            self._look_up(table)
        else:
            values = self.floats()
            for curve in curves:
                values = curve(values, low, high).clip(low, high)
            self.put(values)

    def _look_up(self, table: np.ndarray) -> None:
        """Replace 8-bit values by a table (256, 1) for all channels or (256, C) for each."""
        values, channels = self.values, self.num_values
        if table.shape[1] == 1 and values.flags.c_contiguous:
            flat = values.reshape(values.shape[0], -1)
            self.pixels = cv2.LUT(flat, table[:, 0]).reshape(values.shape)
            self.own = True
            return
        shape = values.shape
        flat = np.ascontiguousarray(values).reshape(shape[0], -1, channels)
        table = np.ascontiguousarray(np.broadcast_to(table, (256, channels)))
        if channels <= 4:
            found = cv2.LUT(flat, table.reshape(1, 256, channels))
        else:
            found = np.stack([table[:, k][flat[..., k]] for k in range(channels)], axis=-1)
        self.put(found.reshape(shape))

    @property
    def values(self) -> np.ndarray:
        """The pixels without alpha, (*S, C)."""
        channels = self.num_values
        return self.pixels if channels == self.pixels.shape[-1] else self.pixels[..., :channels]

    def floats(self) -> np.ndarray:
        """The values in float32, or float64 where they need it; a copy."""
        dtype = self.pixels.dtype
        short = dtype.itemsize <= 2 or dtype == np.float32
        return self.values.astype(np.float32 if short else np.float64)

    def put(self, values: np.ndarray) -> None:
        """Set the values (*S, C) of all but alpha. Others than 8-bit ones are clipped, rounded and cast."""
        dtype = self.pixels.dtype
        if values.dtype != dtype or dtype.kind == "f":
            low, high = self.limits()
            np.clip(values, low, high, out=values)
            if dtype.kind in "ui":
                np.rint(values, out=values)
            values = values.astype(dtype, copy=False)
        if self.num_values < self.pixels.shape[-1]:
            values = np.concatenate([values, self.pixels[..., self.num_values :]], axis=-1)
        self.pixels = values
        self.own = True
