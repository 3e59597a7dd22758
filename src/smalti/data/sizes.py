"""Sizes of many images, remembered between runs."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ReadError, WriteError
from ..io.headers import image_size
from ..io.writing import replacing
from ..sample import Sample

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int]  # bytes and time of last change in ns: a file with another one is looked at again
_Known = dict[str, tuple[_Stamp, tuple[int, ...]]]


def image_sizes(dataset: Path | None, samples: Sequence[Sample]) -> list[tuple[int, ...] | None]:
    """Size of each sample's image, None where there is no image file or it cannot be read.

    What the headers said is kept in the user's cache folder for the ``dataset`` of this path.
    """
    place = None if dataset is None else _cache_file(dataset)
    known = {} if place is None else _load(place)
    sizes: list[tuple[int, ...] | None] = []
    seen: _Known = {}
    changed = False
    for sample in samples:
        if sample.image_path is None:
            sizes.append(sample.image.shape if sample.load_image is not None else None)
            continue
        path = str(sample.image_path)
        try:
            status = os.stat(path)  # noqa: PTH116  # many files; Path costs more than the call
            stamp = status.st_size, status.st_mtime_ns
            entry = known.get(path)
            if entry is None or entry[0] != stamp:
                entry = stamp, image_size(path)
                changed = True
            seen[path] = entry
            sizes.append(entry[1])
        except (OSError, ReadError):
            sizes.append(None)
    if changed and place is not None:
        _save(place, known | seen)
    return sizes


def _cache_file(dataset: Path) -> Path:
    from platformdirs import user_cache_path

    digest = hashlib.sha256(str(dataset.resolve()).encode()).hexdigest()[:24]
    return Path(os.environ.get("SMALTI_CACHE") or user_cache_path("smalti")) / "sizes" / f"{digest}.npz"


def _load(place: Path) -> _Known:
    try:
        with np.load(place, allow_pickle=False) as columns:
            paths = columns["paths"].tobytes().decode().split("\0")
            stamps, sizes = columns["stamps"].tolist(), columns["sizes"].tolist()
    except (OSError, ValueError, KeyError, EOFError):
        return {}
    return {
        path: ((stamp[0], stamp[1]), tuple(size[size[0] == 0 :]))
        for path, stamp, size in zip(paths, stamps, sizes, strict=False)
    }


def _save(place: Path, known: _Known) -> None:
    """Pictures have a depth of 0. A cache that cannot be written costs time and nothing else."""
    sizes = [(0,) * (3 - len(size)) + tuple(size) for _, size in known.values()]
    try:
        with replacing(place) as part, part.open("wb") as file:
            np.savez(
                file,
                paths=np.frombuffer("\0".join(known).encode(), np.uint8),
                stamps=np.array([stamp for stamp, _ in known.values()], np.int64).reshape(-1, 2),
                sizes=np.array(sizes, np.int64).reshape(-1, 3),
            )
    except WriteError as error:
        _log.info("sizes are not remembered: %s", error)
