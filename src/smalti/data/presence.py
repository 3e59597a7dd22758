"""Which classes are in which sample, and how much of each: what splits are stratified by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, SmaltiError
from ..sample import Sample
from .dataset import Dataset

CHUNK = 256  # samples whose truths are asked for at a time


@dataclass(frozen=True, eq=False)
class ClassPresence:
    """Pixels of each class in each sample, (n, K) int64: rows as ``names``, columns as ``classes``.

    A sample without annotation has none of any.
    """

    names: tuple[str, ...]
    classes: ClassSet
    pixels: np.ndarray

    def __post_init__(self) -> None:
        wanted = (len(self.names), len(self.classes))
        if self.pixels.shape != wanted or self.pixels.dtype.kind not in "ui":
            raise InputError(
                f"class presence is whole pixels {wanted}, got {self.pixels.dtype} {self.pixels.shape}"
            )

    @property
    def present(self) -> np.ndarray:
        """Whether each sample has each class, (n, K) bool."""
        return self.pixels > 0

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Pixels (n, K) of the samples called so, in their order. Raises ``InputError`` for one that is not known."""
        if tuple(names) == self.names:
            return self.pixels
        rows = {name: row for row, name in enumerate(self.names)}
        missing = [name for name in names if name not in rows]
        if missing:
            raise InputError(
                f"class presence is not known of {len(missing)} samples, such as {missing[0]!r}; "
                "compute it of the whole dataset"
            )
        return self.pixels[[rows[name] for name in names]]


def class_presence(dataset: Dataset, workers: int | None = None) -> ClassPresence:
    """Pixels of each class in the first truth of each sample, read in threads, one truth per thread in memory.

    Where segments of a class overlap, their shared pixels count for each. Raises ``ReadError`` as the truths do,
    with the sample's name before it where it is not there yet.
    """
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    ids = dataset.classes.ids

    def count(sample: Sample) -> np.ndarray:
        if not sample.annotated:
            return np.zeros(len(ids), np.int64)
        try:
            truth = sample.truth
        except SmaltiError as error:
            if sample.name in str(error):
                raise
            raise type(error)(f"sample {sample.name!r}: {error}") from error
        columns = truth.classes.places(truth.class_ids)
        return np.bincount(columns, truth.areas_px, minlength=len(ids)).astype(np.int64)

    pixels = np.zeros((len(dataset), len(ids)), np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(dataset), CHUNK):
            chunk = dataset[start : start + CHUNK]
            pixels[start : start + len(chunk)] = list(pool.map(count, chunk))
    return ClassPresence(tuple(dataset.names), dataset.classes, pixels)
