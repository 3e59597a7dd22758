"""Sizes of many images, remembered between runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ReadError
from ..io.headers import image_size
from ..io.remembered import from_column, recall, remember, to_column
from ..sample import SampleList

Size = tuple[int, ...]

_GONE = (-1, -1, -1)


def image_sizes(dataset: Path | None, samples: SampleList) -> list[Size | None]:
    """Size of each sample's image, None where there is no image or it cannot be read.

    What the headers said is kept in the user's cache folder for the ``dataset`` of this path, with the stamp of each
    file: one that has another stamp is looked at again.
    """
    files = samples.image_files
    stamps = np.array([_GONE if path is None else _stamp(path) for path in files], np.int64).reshape(-1, 3)
    known = _Known.nothing() if dataset is None else _Known.recalled(dataset)
    rows = known.rows(files)
    current = (rows >= 0) & (stamps[:, 0] >= 0)
    current[current] = (known.stamps[rows[current]] == stamps[current]).all(axis=1)
    sizes: list[Size | None] = [
        known.sizes[row] if so else None for row, so in zip(rows, current, strict=True)
    ]
    changed: dict[str, int] = {}
    for index in np.flatnonzero(~current).tolist():
        path = files[index]
        try:
            if path is None:
                sample = samples[index]
                sizes[index] = None if sample.load_image is None else sample.image.shape
            elif stamps[index, 0] >= 0:
                sizes[index] = image_size(path)
                changed[path] = index
        except (OSError, ReadError):
            pass
    if changed and dataset is not None:
        known.but(changed, stamps, sizes).remember(dataset)
    return sizes


def _stamp(path: str) -> tuple[int, int, int]:
    """Bytes, time of last change, and of the file's own record, which copying a time does not set back; both in ns."""
    try:
        status = os.stat(path)  # noqa: PTH116  # many files; Path costs more than the call
    except OSError:
        return _GONE
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True)
class _Known:
    """Files with their stamps, (N, 3), and the sizes of the images in them."""

    paths: list[str]
    stamps: np.ndarray
    sizes: list[Size]

    @classmethod
    def nothing(cls) -> _Known:
        return cls([], np.empty((0, 3), np.int64), [])

    @classmethod
    def recalled(cls, dataset: Path) -> _Known:
        kept = recall("sizes", dataset)
        try:
            paths, stamps, shapes = from_column(kept["paths"]), kept["stamps"], kept["shapes"]
            if stamps.shape != (len(paths), 3) or shapes.shape != (len(paths), 3):
                return cls.nothing()
            sizes = map(tuple, shapes.tolist()) if shapes[:, 0].all() else map(_size, shapes.tolist())
            return cls(paths, stamps, list(sizes))
        except (KeyError, ValueError, UnicodeDecodeError):
            return cls.nothing()

    def rows(self, files: Sequence[str | None]) -> np.ndarray:
        """Where each file stands, -1 for those that are not known."""
        if self.paths == files:
            return np.arange(len(files))
        row = {path: index for index, path in enumerate(self.paths)}
        return np.array([-1 if path is None else row.get(path, -1) for path in files], np.int64)

    def but(self, changed: dict[str, int], stamps: np.ndarray, sizes: list[Size | None]) -> _Known:
        """These with what was found out anew: for each of its paths the row of ``stamps`` and ``sizes``."""
        row = {path: index for index, path in enumerate(self.paths)}
        kept = [index for path, index in row.items() if path not in changed]
        found = {path: size for path, index in changed.items() if (size := sizes[index]) is not None}
        return _Known(
            [self.paths[index] for index in kept] + list(found),
            np.concatenate([self.stamps[kept], stamps[[changed[path] for path in found]]]),
            [self.sizes[index] for index in kept] + list(found.values()),
        )

    def remember(self, dataset: Path) -> None:
        shapes = np.array([(0, *size) if len(size) == 2 else size for size in self.sizes], np.int64)
        remember("sizes", dataset, {"paths": to_column(self.paths), "stamps": self.stamps, "shapes": shapes})


def _size(shape: list[int]) -> Size:
    """Pictures are kept with a depth of 0."""
    return (shape[1], shape[2]) if shape[0] == 0 else tuple(shape)
