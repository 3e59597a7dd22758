"""Sizes of many images, remembered between runs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import ReadError
from ..io.headers import image_size
from ..io.remembered import from_column, recall, remember, to_column
from ..sample import SampleList

Size = tuple[int, ...]

# Bytes and time of last change in ns of each file, and its size: a file with other ones is looked at again.
_Known = tuple[dict[str, int], list[list[int]], list[Size]]
_NOTHING: _Known = {}, [], []


def image_sizes(dataset: Path | None, samples: SampleList) -> list[Size | None]:
    """Size of each sample's image, None where there is no image or it cannot be read.

    What the headers said is kept in the user's cache folder for the ``dataset`` of this path.
    """
    rows, stamps, shapes = _NOTHING if dataset is None else _recalled(dataset)
    sizes: list[Size | None] = []
    changed: dict[str, tuple[list[int], Size]] = {}
    for index, path in enumerate(samples.image_files):
        size = None
        try:
            if path is None:
                sample = samples[index]
                size = None if sample.load_image is None else sample.image.shape
            else:
                status = os.stat(path)  # noqa: PTH116  # many files; Path costs more than the call
                stamp = [status.st_size, status.st_mtime_ns]
                row = rows.get(path)
                if row is not None and stamps[row] == stamp:
                    size = shapes[row]
                else:
                    size = image_size(path)
                    changed[path] = stamp, size
        except (OSError, ReadError):
            pass
        sizes.append(size)
    if changed and dataset is not None:
        kept = {path: (stamps[row], shapes[row]) for path, row in rows.items()}
        _remember(dataset, kept | changed)
    return sizes


def _recalled(dataset: Path) -> _Known:
    kept = recall("sizes", dataset)
    try:
        paths, stamps, shapes = from_column(kept["paths"]), kept["stamps"].tolist(), kept["shapes"].tolist()
        if not len(paths) == len(stamps) == len(shapes):
            return _NOTHING
        return dict(zip(paths, range(len(paths)), strict=True)), stamps, [_size(shape) for shape in shapes]
    except (KeyError, ValueError, UnicodeDecodeError):
        return _NOTHING


def _size(shape: list[int]) -> Size:
    """Pictures are kept with a depth of 0."""
    return (shape[1], shape[2]) if shape[0] == 0 else tuple(shape)


def _remember(dataset: Path, known: dict[str, tuple[list[int], Size]]) -> None:
    shapes = [(0, *size) if len(size) == 2 else size for _, size in known.values()]
    columns = {
        "paths": to_column(list(known)),
        "stamps": np.array([stamp for stamp, _ in known.values()], np.int64),
        "shapes": np.array(shapes, np.int64),
    }
    remember("sizes", dataset, columns)
