"""A result's pixels taken from where its moves say, once for the image and once for each label map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ... import compiled
from ...errors import InputError
from .moves import (
    WHOLE,
    Bend,
    Stage,
    is_whole,
    joined,
    keeps_slices,
    mirrored,
    reach,
    shifted,
    simplified,
)
from .sampling import (
    LARGEST,
    coordinates,
    cut_to_reach,
    flipped,
    sample_by_maps,
    sample_by_matrix,
    sampleable,
    shrunk,
    with_edge,
)

Border = Literal["void", "mirror"]
Interpolation = Literal["linear", "nearest"]


class Warp:
    """How an array of ``shape`` (ndim axes) becomes one of ``out_shape``, ready to be carried out on several arrays.

    ``stages`` lead from the source to the result: its pixel p comes from ``stages[0](stages[1](... p))``. A pixel
    is outside where the nearest pixel of the source does not exist. Moves by whole pixels interpolate nothing.
    """

    def __init__(
        self, shape: tuple[int, ...], out_shape: tuple[int, ...], stages: Sequence[Stage], border: Border
    ) -> None:
        self.shape = shape
        self.out_shape = out_shape
        self.mirror = border == "mirror"
        self.stages = simplified(stages, len(shape))
        only = self.stages[0]
        self.matrix = only if len(self.stages) == 1 and not isinstance(only, Bend) else None
        self.rows = [] if self.matrix is None else self.matrix.tolist()
        self.whole = self.matrix is not None and is_whole(self.rows)
        self.low, self.high = (
            ([-math.inf], [math.inf]) if self.matrix is None else reach(self.rows, out_shape)
        )
        ends = zip(self.low, self.high, shape, strict=False)
        # how far pixels of the result lie beyond the middles of the outermost pixels of the source
        self.beyond = max(max(-low, high - length + 1) for low, high, length in ends)
        self._maps: list[np.ndarray] | None = None

    @property
    def covers(self) -> bool:
        """Whether surely no pixel of the result is outside."""
        return self.mirror or self.beyond < 0.5 - WHOLE

    @property
    def keeps_all(self) -> bool:
        """Whether the result surely has the same pixels in other places."""
        return self.whole and math.prod(self.shape) == math.prod(self.out_shape) and self.covers

    @property
    def shrinkage(self) -> float:
        """Pixels of the source to one of the result, roughly where it bends."""
        return max(abs(float(np.linalg.det(joined(self.stages, len(self.shape))[:-1, :-1]))), 1e-9)

    def on_labels(self, labels: np.ndarray, outside: int) -> np.ndarray:
        """A label map (*S,), each pixel that of the nearest in the source, ``outside`` where there is none."""
        return self._carried_out(labels[..., np.newaxis], outside, nearest=True)[..., 0]

    def on_pixels(self, pixels: np.ndarray, fill: float, interpolation: Interpolation) -> np.ndarray:
        """Pixels (*S, C) in their dtype, ``fill`` where there are none."""
        return self._carried_out(pixels, fill, interpolation == "nearest" or pixels.dtype.kind == "b")

    def _carried_out(self, array: np.ndarray, fill: float, nearest: bool) -> np.ndarray:
        if self.whole:
            return self._moved(array, fill)
        kept, array = array.dtype, sampleable(array, nearest)
        if len(self.shape) == 3:
            moved = self._sampled_volume(array, fill, nearest)
        elif array.dtype == np.int32 and fill >= 0:
            # the same bits taken for floats: twice as fast, and rounded to the nearest as the other types are
            bits = float(np.array(fill, np.int32).view(np.float32))
            moved = self._sampled(array.view(np.float32), bits, nearest).view(np.int32)
        else:
            moved = self._sampled(array, fill, nearest)
        if moved.dtype == kept:
            return moved
        if moved.dtype.kind == "f" and kept.kind in "ui":
            limits = np.iinfo(kept)
            moved = np.rint(moved).clip(limits.min, limits.max)
        return moved.view(bool) if kept.kind == "b" else moved.astype(kept)

    def _moved(self, array: np.ndarray, fill: float) -> np.ndarray:
        """The array turned, flipped, cut and padded, always a copy."""
        ndim = len(self.shape)
        parts: list[slice | np.ndarray] = []
        place, flips, axes = [], [], []
        for axis in range(ndim):
            source = next(k for k in range(ndim) if round(self.rows[k][axis]))
            sign, start = round(self.rows[source][axis]), round(self.rows[source][-1])
            length, wanted = self.shape[source], self.out_shape[axis]
            axes.append(source)
            flips.append(sign < 0)
            if self.mirror and not self._covers_axis(source):
                parts.append(mirrored(start + sign * np.arange(wanted), length))
                place.append(slice(0, wanted))
                continue
            low = -start if sign > 0 else start - length + 1  # of the result, where the source begins
            first = max(0, low)
            last = max(first, min(wanted, low + length))
            place.append(slice(first, last))
            ends = (start + sign * first, start + sign * (last - 1))
            parts.append(slice(min(ends), max(ends) + 1) if last > first else slice(0, 0))
        view = array if axes == list(range(ndim)) else array.transpose(*axes, ndim)
        if any(isinstance(part, np.ndarray) for part in parts):
            for axis, part in enumerate(parts):
                at = (
                    part
                    if isinstance(part, np.ndarray)
                    else np.arange(part.start, part.stop)[:: -1 if flips[axis] else 1]
                )
                view = view.take(at, axis=axis)
            return np.ascontiguousarray(view)
        view = view[tuple(parts)]
        complete = view.shape[:-1] == self.out_shape
        if complete and any(flips) and axes == [0, 1]:
            return flipped(view, flips)
        view = view[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
        if complete:
            return np.array(view, order="C")
        result = np.full((*self.out_shape, array.shape[-1]), fill, array.dtype)
        result[tuple(place)] = view
        return result

    def _covers_axis(self, axis: int) -> bool:
        """Whether no pixel of the result lies outside along an axis of the source."""
        return self.low[axis] > -0.5 and self.high[axis] < self.shape[axis] - 0.5

    def _sampled(self, array: np.ndarray, fill: float, nearest: bool) -> np.ndarray:
        """A picture (H, W, C) sampled by OpenCV."""
        # One more pixel of the edge all around: up to half a pixel beyond the middle of the last pixel is still
        # inside, and is not to be mixed with the fill.
        wider = not nearest and not self.mirror and self.beyond > 0
        if self.matrix is None:
            if self._maps is None:
                self._maps = coordinates(self.stages, self.out_shape)
            maps = self._maps
            if wider:
                array, maps = with_edge(array, 1, 1, 1, 1), [at + np.float32(1) for at in maps]
            _check_size(array.shape, self.out_shape)
            return sample_by_maps(array, maps, fill, nearest, self.mirror)
        rows = self.rows
        if not self.mirror or self.beyond <= 0:
            cut = cut_to_reach(array, rows, self.low, self.high)
            if cut is None:
                return np.full((*self.out_shape, array.shape[-1]), fill, array.dtype)
            array, rows = cut
        if not nearest:
            array, rows = shrunk(array, rows)
        if wider:
            array, rows = with_edge(array, 1, 1, 1, 1), shifted(rows, -1, -1)
        _check_size(array.shape, self.out_shape)
        return sample_by_matrix(array, rows, self.out_shape, fill, nearest, self.mirror)

    def _sampled_volume(self, array: np.ndarray, fill: float, nearest: bool) -> np.ndarray:
        for axis in range(3):
            if self.matrix is not None and keeps_slices(self.rows, axis):
                return self._sampled_slices(array, fill, nearest, axis)
        bends = [stage for stage in self.stages if isinstance(stage, Bend)]
        matrices = [stage for stage in self.stages if not isinstance(stage, Bend)]
        if len(bends) > 1:
            raise InputError("a volume can be bent once only; leave out one of the elastic steps")
        matrix, inner = matrices[0], matrices[1] if bends else np.eye(4)
        return compiled.warping.sample_volume(
            np.ascontiguousarray(array),
            *(np.ascontiguousarray(each[:3]) for each in (matrix, matrix @ inner, inner)),
            bends[0].offsets if bends else np.zeros((2, 2, 2, 3), np.float32),
            np.ascontiguousarray((bends[0].to_points if bends else np.eye(4))[:3]),
            np.array(self.out_shape),
            array.dtype.type(fill),
            not nearest,
            np.float32(0.5 if array.dtype.kind in "ui" else 0),
            self.mirror,
            bool(bends),
        )

    def _sampled_slices(self, array: np.ndarray, fill: float, nearest: bool, axis: int) -> np.ndarray:
        """Slice by slice where whole slices go to whole slices along ``axis``."""
        assert self.matrix is not None
        rest = [k for k in range(3) if k != axis]
        plane = Warp(
            tuple(self.shape[k] for k in rest),
            tuple(self.out_shape[k] for k in rest),
            (self.matrix[np.ix_([*rest, 3], [*rest, 3])],),
            "mirror" if self.mirror else "void",
        )
        at = round(self.rows[axis][-1]) + round(self.rows[axis][axis]) * np.arange(self.out_shape[axis])
        if self.mirror:
            at = mirrored(at, self.shape[axis])
        result = np.full((*self.out_shape, array.shape[-1]), fill, array.dtype)
        source, target = np.moveaxis(array, axis, 0), np.moveaxis(result, axis, 0)
        for index, number in enumerate(at.tolist()):
            if 0 <= number < self.shape[axis]:
                target[index] = plane._carried_out(np.ascontiguousarray(source[number]), fill, nearest)
        return result


def _check_size(shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
    longest = max(*shape[:2], *out_shape)
    if longest > LARGEST:
        raise InputError(f"at most {LARGEST} pixels a side can be warped, got {longest}; crop more")
