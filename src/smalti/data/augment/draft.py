"""A sample on its way through a chain: pixels and truth, and the moves and tones not carried out yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from ...errors import InputError
from .moves import Bend, Stage, is_affine, joined, moved_points
from .warp import Border, Interpolation, Warp

Curve = Callable[[np.ndarray, float, float], np.ndarray]
"""Values (..., C) or (..., 1) in floats, lowest and highest value of the image -> new values (..., C) or (..., 1)."""

_DRAWS = 8  # for a sample that can be mixed with this one
_EVERY_BYTE = np.arange(256, dtype=np.float32)[:, np.newaxis]

LIMIT = 3.0
"""Axes whose spacing is more than this many times the finest do not turn, bend or grow: nnU-Net's threshold of
anisotropy (Isensee et al., Nature Methods 18, 2021), beyond which it augments slice by slice."""


@dataclass
class Truth:
    """What one source says: label maps (*S,) that belong together, where it is void (*S,) uint8, its weight."""

    layers: list[np.ndarray]
    void: np.ndarray | None = None
    weight: float = 1.0


@dataclass
class Draft:
    """Pixels (*S, C) and truths that move together; augmentations change it by its methods.

    ``class_ids`` (N,) are there where labels number segments, and None where they are class ids themselves;
    ``things`` (N,) bool says which segments are countable. What is not known has the label ``void_label`` where
    there is one, or is kept in maps of its own (``keeps_void``). ``spacing`` (ndim,) is in any unit; where there is
    none, all axes count alike. ``parts`` are where the segments come from, in the order of their numbers, and
    ``areas_px`` how large each would be were it all inside and in front, 0 where it was empty. ``bent`` says that
    ``moved`` is only roughly so, or that several images are in one.

    Moves and tones are kept until pixels are needed (``settle``), so that moves are done as one, and tones by one
    table.
    """

    pixels: np.ndarray
    truths: list[Truth]
    spacing: np.ndarray | None = None
    class_ids: np.ndarray | None = None
    things: np.ndarray | None = None
    void_label: int | None = None
    keeps_void: bool = False
    channels: tuple[str, ...] | None = None
    border: Border = "void"
    fill: float | None = None
    interpolation: Interpolation = "linear"
    value_range: tuple[float, float] | None = None
    partner: Callable[[np.random.Generator], Draft] | None = None
    parts: list[Any] = field(default_factory=list)
    bent: bool = False
    areas_px: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.pixels = native(self.pixels)
        self.shape: tuple[int, ...] = self.pixels.shape[:-1]
        self._done: list[Stage] = []
        self._came = [self.pixels, *(layer for truth in self.truths for layer in truth.layers)]
        self._stages: list[Stage] = []
        self._curves: list[Curve] = []

    def own(self, array: np.ndarray) -> np.ndarray:
        """The array, or a copy where it is still one of those that came."""
        return np.array(array) if any(array is each for each in self._came) else array

    # What it is like

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.pixels.ndim - 1

    @property
    def coarseness(self) -> np.ndarray:
        """Spacing of each axis as a multiple of the finest, (ndim,)."""
        return np.ones(self.ndim) if self.spacing is None else self.spacing / self.spacing.min()

    @property
    def turning(self) -> np.ndarray:
        """Axes fine enough to turn, bend and grow, (ndim,) bool."""
        return self.coarseness <= LIMIT

    @property
    def num_values(self) -> int:
        """Channels that hold values: all but alpha."""
        named = self.channels is not None and len(self.channels) > 1 and self.channels[-1] == "alpha"
        return self.pixels.shape[-1] - named

    @property
    def values(self) -> np.ndarray:
        """The pixels without alpha, (*S, C)."""
        channels = self.num_values
        return self.pixels if channels == self.pixels.shape[-1] else self.pixels[..., :channels]

    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that strengths are relative to, and that values are kept between.

        0 and 255 for 8 bits; otherwise the image's own, as it stands when first asked for.
        """
        if self.value_range is None:
            dtype = self.pixels.dtype
            if dtype.kind == "b":
                raise InputError(
                    "values of a bool image cannot be changed; only spatial augmentations suit it"
                )
            if dtype == np.uint8:
                self.value_range = (0.0, 255.0)
            else:
                self.value_range = _own_range(self.values)
        return self.value_range

    def means(self) -> np.ndarray:
        """Mean value of each channel as it will be after the tones so far, (C,) float32."""
        self._settle_moves()
        values = self.values
        if values.shape[-1] <= 4 and values.dtype in (np.uint8, np.uint16, np.float32):
            flat = np.ascontiguousarray(values).reshape(values.shape[0], -1, values.shape[-1])
            means = np.array(cv2.mean(flat)[: values.shape[-1]], np.float32)
        else:
            means = values.mean(axis=tuple(range(values.ndim - 1)), dtype=np.float64).astype(np.float32)
        if not np.isfinite(means).all():
            finite = np.where(np.isfinite(values), values, np.nan).reshape(-1, values.shape[-1])
            means = np.array(
                [np.nanmean(each) if (each == each).any() else 0 for each in finite.T], np.float32
            )
        return self._toned(means, self._curves)

    # Moves

    def move(
        self,
        matrix: np.ndarray | None = None,
        *,
        bend: Bend | None = None,
        shape: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        """Take the pixel p of a result of ``shape`` from ``matrix(p)`` of what there is now, displaced by ``bend``.

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
            if not is_affine(matrix.tolist()):
                self.bent = True
            elif self.spacing is not None:
                steps = self.spacing[:, np.newaxis] * matrix[:-1, :-1]
                self.spacing = np.sqrt((steps**2).sum(axis=0)) / matrix[-1, -1]
        if shape is not None:
            self.shape = tuple(int(length) for length in shape)

    @property
    def moved(self) -> np.ndarray:
        """Matrix from the pixels as they are to those of the image that came, bends left out."""
        return joined(self._done, self.ndim)

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Where ``points`` (P, ndim) of the arrays will lie after the moves so far, bends left out."""
        matrix = joined(self._stages, self.ndim)
        return moved_points(np.linalg.inv(matrix), points)

    def tone(self, curve: Curve) -> None:
        """Change values by a curve, joined with those before and after."""
        self.limits()
        self._curves.append(curve)

    def settle(self) -> None:
        """Carry out what was kept, so that ``pixels`` and ``truths`` are as they should be."""
        self._settle_moves()
        self._settle_tones()

    def _settle_moves(self) -> None:
        if not self._stages and self.shape == self.pixels.shape[:-1]:
            return
        stages, self._stages = self._stages, []
        warp = Warp(self.pixels.shape[:-1], self.shape, stages, self.border)
        if self.areas_px is None and not warp.keeps_all:
            self.count_areas()
        if self.areas_px is not None:
            self.areas_px = self.areas_px / warp.shrinkage
        fill, covers = self.fill, warp.covers
        if fill is None:
            fill = 0.0 if covers or self.pixels.dtype.kind == "b" else self.limits()[0]
        outside = self.void_label or 0
        for truth in self.truths:
            if truth.void is None and self.keeps_void and not covers:
                truth.void = np.zeros(self.pixels.shape[:-1], np.uint8)
            truth.layers = [warp.on_labels(layer, outside) for layer in truth.layers]
            truth.void = None if truth.void is None else warp.on_labels(truth.void, 1)
        self.pixels = warp.on_pixels(self.pixels, fill, self.interpolation)
        self._done += stages

    # Truth

    def count_areas(self) -> None:
        """Remember how large segments are, before something is cut off or covered."""
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

    def blank(self, place: tuple[slice, ...]) -> None:
        """Make a part of the truth void."""
        if self.void_label is None and not self.keeps_void:
            raise InputError("void is to be written and no label means void; give void=, such as void=255")
        self.count_areas()
        for truth in self.truths:
            if self.keeps_void:
                truth.void = np.zeros(self.shape, np.uint8) if truth.void is None else truth.void.copy()
                truth.void[place] = 1
            truth.layers = [layer.copy() for layer in truth.layers]
            for layer in truth.layers:
                layer[place] = self.void_label or 0

    # Values

    def _toned(self, values: np.ndarray, curves: Sequence[Curve]) -> np.ndarray:
        """Floats (..., C) or (..., 1) after the curves, kept between the limits after each."""
        low, high = self.limits()
        for curve in curves:
            values = np.minimum(np.maximum(curve(values, low, high), low), high)
        return values

    def _settle_tones(self) -> None:
        table = self.take_table()
        if table is not None:
            self.put(looked_up(np.ascontiguousarray(self.values), table))
        elif self._curves:
            curves, self._curves = self._curves, []
            self.put(self._toned(self.floats(), curves))

    def take_table(self) -> np.ndarray | None:
        """What tones make of each 8-bit value, (256, 1) or (256, C) uint8, to be done by whoever asks."""
        if not self._curves or self.pixels.dtype != np.uint8:
            return None
        curves, self._curves = self._curves, []
        return np.rint(self._toned(_EVERY_BYTE, curves)).astype(np.uint8)

    def floats(self) -> np.ndarray:
        """The values in float32, or float64 where they need it; a copy."""
        dtype = self.pixels.dtype
        short = dtype.itemsize <= 2 or dtype == np.float32
        return self.values.astype(np.float32 if short else np.float64)

    def put(self, values: np.ndarray) -> None:
        """Set the values (*S, C) of all but alpha, kept between the limits, rounded and cast where need be.

        The array is handed over and may be changed.
        """
        dtype = self.pixels.dtype
        if dtype != np.uint8 or values.dtype != dtype:
            low, high = self.limits()
            if values.dtype.kind in "ui":
                low, high = int(np.ceil(low)), int(np.floor(high))
            values = np.clip(values, low, high, out=values)
            if dtype.kind in "ui" and values.dtype.kind == "f":
                values = np.rint(values, out=values)
            values = values.astype(dtype, copy=False)
        if self.num_values < self.pixels.shape[-1]:
            values = np.concatenate([values, self.pixels[..., self.num_values :]], axis=-1)
        self.pixels = values

    # Others

    def clone(self) -> Draft:
        """The same once more, to be changed by itself."""
        self.settle()
        twin = replace(self, truths=[replace(truth, layers=list(truth.layers)) for truth in self.truths])
        twin.parts, twin.bent = list(self.parts), self.bent
        return twin

    def another(self, rng: np.random.Generator) -> Draft:
        """Another sample to mix with, drawn at random; this one once more where there are no others.

        Those with other channels, axes or types are passed over, as a grey photograph among coloured ones is. Raises
        ``InputError`` where several draws bring none that fits.
        """
        if len(self.truths) > 1:
            raise InputError("mixup must be the last step that mixes samples; put the others before it")
        if self.partner is None:
            return self.clone()
        for _ in range(_DRAWS):
            other = self.partner(rng)
            if other._makeup == self._makeup:
                return other
        one, two = (
            f"{each[0]}-D {each[2]} of {each[1]} channels{' with' if each[4] else ' without'} truth"
            + ("" if each[3] else " of segments")
            for each in (self._makeup, other._makeup)
        )
        raise InputError(
            f"samples that are mixed must be alike: {_DRAWS} draws for one of {one} brought none, the last {two}; "
            "mix those that are alike, or make all of them so"
        )

    @property
    def _makeup(self) -> tuple[int, int, np.dtype, bool, bool]:
        """What must be the same in samples that are mixed."""
        return (
            self.ndim,
            self.pixels.shape[-1],
            self.pixels.dtype,
            self.class_ids is None,
            len(self.truths) > 0,
        )

    def join(self, other: Draft) -> int:
        """Take over the segments of another one, and give how much their numbers go up."""
        self.bent = True
        if self.pixels.dtype not in (np.uint8, bool):
            (low, high), (low2, high2) = self.limits(), other.limits()
            self.value_range = (min(low, low2), max(high, high2))
        if self.class_ids is None or other.class_ids is None:
            return 0
        self.count_areas()
        other.count_areas()
        offset = len(self.class_ids)
        self.class_ids = np.concatenate([self.class_ids, other.class_ids])
        assert self.areas_px is not None and other.areas_px is not None
        self.areas_px = np.concatenate([self.areas_px, other.areas_px])
        if self.things is not None and other.things is not None:
            self.things = np.concatenate([self.things, other.things])
        self.parts = self.parts + other.parts
        return offset


def looked_up(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """8-bit values (*S, C) through a table, (256, 1) for all channels or (256, C)."""
    channels = values.shape[-1]
    if table.shape[1] == 1:
        return cv2.LUT(values.reshape(values.shape[0], -1), table[:, 0]).reshape(values.shape)
    if channels <= 4:
        flat = values.reshape(values.shape[0], -1, channels)
        return cv2.LUT(flat, table.reshape(1, 256, channels)).reshape(values.shape)
    return np.stack([table[:, k][values[..., k]] for k in range(channels)], axis=-1)


def native(array: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _own_range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return low, high
