"""Annotated samples as the arrays that crops are cut from, kept in memory as far as they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
from scipy.ndimage import find_objects

from ..data.augment import make_augmentation
from ..errors import InputError
from ..runtime.preparation import Preparation, Statistics
from ..sample import Sample
from ..values import ImageKind

VOID = -1
"""The label of pixels that nobody knows."""
MOST_PLACES = 4096
"""Pixels of each class of an image that crops may lie around."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """One annotated image: ``pixels`` (*S, C) as they came, ``labels`` (*S,) int32 numbers of segments, 0 none and -1
    void, the class id of each segment, (N,), and what its pixels are normalised by."""

    pixels: np.ndarray
    labels: np.ndarray
    class_ids: np.ndarray
    statistics: Statistics

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return self.pixels.nbytes + self.labels.nbytes

    @cached_property
    def void(self) -> bool:
        """Whether there are pixels that nobody knows."""
        return bool(self.labels.min() < 0)

    def drawn(self, focus: str, rng: np.random.Generator) -> np.ndarray | None:
        """A place (ndim,) that shows a class, each as often, or with the focus ``segment`` the middle of one of them.

        None where nothing is labelled.
        """
        places = list(self._classes.values()) if focus == "class" else [self._middles]
        if not places or not len(places[0]):
            return None
        chosen = places[int(rng.integers(len(places)))]
        return chosen[int(rng.integers(len(chosen)))]

    @cached_property
    def _classes(self) -> dict[int, np.ndarray]:
        """Up to ``MOST_PLACES`` pixels (n, ndim) of each class, drawn evenly: to look for all takes 20 ms a crop."""
        rng = np.random.default_rng(0)
        flat = self.labels.reshape(-1)
        of_segments = np.concatenate([[0], self.class_ids, [0]])[flat]  # -1, void, is the last
        found = {}
        for class_id in np.unique(self.class_ids).tolist():
            places = np.flatnonzero(of_segments == class_id)
            if len(places):
                places = rng.choice(places, min(len(places), MOST_PLACES), replace=False)
                found[class_id] = np.stack(np.unravel_index(places, self.labels.shape), axis=1)
        return found

    @cached_property
    def _middles(self) -> np.ndarray:
        """The middle of the box of each segment that has a pixel, (n, ndim)."""
        boxes = [box for box in find_objects(np.maximum(self.labels, 0)) if box is not None]
        return np.array([[(each.start + each.stop - 1) / 2 for each in box] for box in boxes])


class Material(Sequence[Arrays]):
    """The samples by number. Those read are kept up to ``most_bytes``; then those not asked for longest go.

    Images are checked against ``kind``; they and their labels have the size that ``preparation`` brings them to.
    Thread-safe.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        kind: ImageKind,
        preparation: Preparation,
        most_bytes: int = 4_000_000_000,
    ) -> None:
        self.samples = samples
        self.kind = kind
        self.preparation = preparation
        self.most_bytes = most_bytes
        self._kept: OrderedDict[int, Arrays] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number):  # type: ignore[no-untyped-def]  # Sequence's overloads add nothing here
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        arrays = self._read(self.samples[number])
        with self._lock:
            if number not in self._kept:
                self._kept[number] = arrays
                self._bytes += arrays.bytes
            while self._bytes > self.most_bytes and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= gone.bytes
        return arrays

    def _read(self, sample: Sample) -> Arrays:
        image, truth = sample.image, sample.truth
        if truth.shape != image.shape:
            raise InputError(f"sample {sample.name!r}: the image is {image.shape}, its truth {truth.shape}")
        try:
            image = self.kind.taken(image)
        except InputError as error:
            raise InputError(f"sample {sample.name!r}: {error}") from error
        flat = truth.panoptic()
        labels = flat.labels.astype(np.int32)
        if flat.void_px:
            labels[flat.void] = VOID
        statistics = self.preparation.statistics(image)
        pixels, class_ids = self.preparation.resampled(image), flat.class_ids
        if pixels.shape[:-1] != labels.shape:
            resized = make_augmentation("resize", size=pixels.shape[:-1]).apply_arrays(
                labels[..., np.newaxis], labels, np.random.default_rng(0), class_ids=class_ids, void=VOID
            )
            assert resized.labels is not None and resized.class_ids is not None
            labels, class_ids = resized.labels, resized.class_ids
        return Arrays(np.ascontiguousarray(pixels), labels, class_ids, statistics)
