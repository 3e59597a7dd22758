"""Sizes of many images, remembered between runs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import ReadError
from ..io.headers import image_size
from ..io.remembered import from_column, recall, remember, to_column
from ..sample import SampleList

# Bytes and time of last change in ns, then the size: a file with other ones is looked at again.
_Entry = tuple[int, int, tuple[int, ...]]


def image_sizes(dataset: Path | None, samples: SampleList) -> list[tuple[int, ...] | None]:
    """Size of each sample's image, None where there is no image or it cannot be read.

    What the headers said is kept in the user's cache folder for the ``dataset`` of this path.
    """
    known = {} if dataset is None else _recalled(dataset)
    sizes: list[tuple[int, ...] | None] = []
    changed: dict[str, _Entry] = {}
    for index, path in enumerate(samples.image_files):
        size = None
        try:
            if path is None:
                sample = samples[index]
                size = None if sample.load_image is None else sample.image.shape
            else:
                status = os.stat(path)  # noqa: PTH116  # many files; Path costs more than the call
                entry = known.get(path)
                if entry is None or entry[0] != status.st_size or entry[1] != status.st_mtime_ns:
                    entry = status.st_size, status.st_mtime_ns, image_size(path)
                    changed[path] = entry
                size = entry[2]
        except (OSError, ReadError):
            pass
        sizes.append(size)
    if changed and dataset is not None:
        _remember(dataset, known | changed)
    return sizes


def _recalled(dataset: Path) -> dict[str, _Entry]:
    kept = recall("sizes", dataset)
    if not kept:
        return {}
    try:
        paths, rows = from_column(kept["paths"]), kept["rows"].tolist()
        shapes = {
            row: tuple(row[row[0] == 0 :])
            for row in map(tuple, np.unique(kept["rows"][:, 2:], axis=0).tolist())
        }
        return {
            path: (size, changed_ns, shapes[depth, height, width])
            for path, (size, changed_ns, depth, height, width) in zip(paths, rows, strict=True)
        }
    except (KeyError, ValueError, IndexError):
        return {}


def _remember(dataset: Path, known: dict[str, _Entry]) -> None:
    """Pictures have a depth of 0."""
    rows = [
        (size, changed_ns, *(0,) * (3 - len(shape)), *shape) for size, changed_ns, shape in known.values()
    ]
    remember("sizes", dataset, {"paths": to_column(list(known)), "rows": np.array(rows, np.int64)})
