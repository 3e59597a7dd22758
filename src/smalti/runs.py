"""Runs: the pixels of many segments as stretches of consecutive pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import compiled
from .errors import InputError


@dataclass(frozen=True, eq=False)
class Runs:
    """The pixels of N segments, which may overlap.

    ``start`` and ``stop`` (R,) are half-open stretches of the flattened (C order) image. Those of segment k are
    ``offsets[k - 1]:offsets[k]``, ascending, as long as can be, and never across the end of a row, so that a
    run's place in the image is one division. int32 up to 2**31 pixels, int64 above. The arrays become read-only.
    """

    offsets: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __post_init__(self) -> None:
        for column in (self.offsets, self.start, self.stop):
            if isinstance(column, np.ndarray):
                column.flags.writeable = False

    @classmethod
    def of_labels(cls, labels: np.ndarray, num_segments: int) -> Runs:
        """Runs of a label map ``(*S,)`` int32 whose labels are 0..num_segments; that they are is not checked."""
        flat = np.ascontiguousarray(labels).reshape(-1)
        return cls(*compiled.runs.find_runs(flat, labels.shape[-1], num_segments, index_array(labels.size)))

    @classmethod
    def of_masks(cls, masks: np.ndarray) -> Runs:
        """Runs of a stack of masks ``(N, *S)`` bool."""
        flat = np.ascontiguousarray(masks).reshape(-1).view(np.uint8)
        if flat.ctypes.data % 8:
            flat = flat.copy()
        words = flat[: flat.size // 8 * 8].view(np.uint64)
        index = index_array(math.prod(masks.shape[1:]))
        return cls(*compiled.runs.find_mask_runs(flat, words, len(masks), masks.shape[-1], index))

    @classmethod
    def concatenate(cls, parts: Sequence[Runs]) -> Runs:
        """The segments of all parts, one after the other."""
        if not parts:
            return cls(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.stop for part in parts]),
        )

    def __len__(self) -> int:
        """Number of segments."""
        return len(self.offsets) - 1

    @property
    def segment(self) -> np.ndarray:
        """Segment number 1..N of each run, ``(R,)`` int32."""
        return np.repeat(np.arange(1, len(self) + 1, dtype=np.int32), np.diff(self.offsets))

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each segment, ``(N,)`` int64."""
        ends = np.concatenate([[0], np.cumsum(self.stop - self.start, dtype=np.int64)])
        return ends[self.offsets[1:]] - ends[self.offsets[:-1]]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.offsets.nbytes + self.start.nbytes + self.stop.nbytes

    def of(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Starts and stops of segment ``k`` (1..N)."""
        part = slice(self.offsets[k - 1], self.offsets[k])
        return self.start[part], self.stop[part]

    def take(self, indices: np.ndarray) -> Runs:
        """The segments at the given 0-based ``indices``, in that order."""
        lengths = np.diff(self.offsets)[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        runs = np.arange(offsets[-1]) + np.repeat(self.offsets[indices] - offsets[:-1], lengths)
        return Runs(offsets, self.start[runs], self.stop[runs])

    def merge(self, groups: np.ndarray, num_groups: int, width: int) -> Runs:
        """Segment k joins group ``groups[k - 1]`` (1..num_groups, 0 drops it); a group's runs are united."""
        group = np.repeat(np.asarray(groups, np.int64), np.diff(self.offsets))
        kept = np.flatnonzero(group)
        order = kept[np.lexsort((self.start[kept], group[kept]))]
        group, start, stop = compiled.runs.unite(group[order], self.start[order], self.stop[order], width)
        lengths = np.bincount(group, minlength=num_groups + 1)[1:]
        return Runs(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), start, stop)

    def paint(self, shape: tuple[int, ...], order: np.ndarray | None = None) -> tuple[np.ndarray, int]:
        """A label map ``shape`` int32, and how many pixels were painted more than once.

        Segments are painted in ``order`` (0-based), ascending by default; a later one covers an earlier one.
        """
        labels = np.zeros(math.prod(shape), np.int32)
        if order is None:
            order = np.arange(len(self))
        covered = compiled.runs.paint(labels, self.offsets, self.start, self.stop, order)
        return labels.reshape(shape), int(covered)

    def boxes(self, shape: tuple[int, ...]) -> np.ndarray:
        """Bounding boxes ``(N, 2 * ndim)``: lowest then one past the highest index along each axis."""
        boxes = compiled.runs.boxes(self.offsets, self.start, self.stop, shape[-2], shape[-1])
        return boxes if len(shape) == 3 else boxes[:, [1, 2, 4, 5]]

    def crop(self, k: int, box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Mask of segment ``k`` inside its ``box`` (2 * ndim,), bool."""
        ndim = len(shape)
        low, size = box[:ndim], box[ndim:] - box[:ndim]
        crop = np.zeros((1,) * (3 - ndim) + tuple(size), np.uint8)
        origin = (0,) * (3 - ndim) + tuple(low)
        start, stop = self.of(k)
        compiled.runs.paint_crop(crop, start, stop, *origin, shape[-2], shape[-1])
        return crop.reshape(tuple(size)).view(bool)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ``InputError`` unless these are well-formed runs of an image of ``shape``."""
        columns = [np.asarray(column) for column in (self.offsets, self.start, self.stop)]
        if any(column.ndim != 1 or column.dtype.kind not in "ui" for column in columns):
            raise InputError("offsets, start and stop must be one-dimensional integer arrays")
        offsets, start, stop = (
            column.astype(np.int64) for column in columns
        )  # unsigned differences would wrap
        if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(start) or len(start) != len(stop):
            raise InputError("offsets must begin with 0 and end with the number of runs")
        if (np.diff(offsets) < 0).any():
            raise InputError("offsets must not fall")
        if len(start) == 0:
            return
        if start.min() < 0 or stop.max() > math.prod(shape):
            raise InputError(
                f"runs must lie in 0..{math.prod(shape)}, got {start.min()}..{stop.max()}; is the shape right?"
            )
        if (stop <= start).any() or (start // shape[-1] != (stop - 1) // shape[-1]).any():
            raise InputError("every run needs start < stop inside one row of the image")
        same_segment = np.ones(len(start), bool)
        same_segment[offsets[:-1][offsets[:-1] < len(start)]] = False
        gap = start[1:] - stop[:-1]
        touching = (gap < 0) | ((gap == 0) & (start[1:] % shape[-1] != 0))
        if (touching & same_segment[1:]).any():
            raise InputError("runs of one segment must ascend and not touch")


def index_array(size: int) -> np.ndarray:
    """An empty array of the integer type that can index ``size`` pixels: tells compiled code which to use."""
    return np.empty(0, np.int32 if size < 2**31 else np.int64)
