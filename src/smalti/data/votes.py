"""What several annotators say of each pixel, kept as the few different patterns of votes there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..segmentation import Segmentation

VOID = -1
"""The label of an annotator who does not say."""

MAX_TABLE = 1 << 22  # patterns are counted in a table up to this size, sorted above


class Votes:
    """The labels that ``A`` annotators give every pixel of an image.

    Of five annotators and three classes there are at most 4**5 patterns, and most pixels share a few. Everything that
    depends on a pixel's votes alone (majority, STAPLE, agreement) is worked out once per pattern.

    ``said`` (U, A) int32 is what each annotator says in each pattern, ``VOID`` for nothing, ``counts`` (U,) how many
    pixels have it, and ``place`` (*S,) int32 which pattern each pixel has.
    """

    def __init__(self, said: np.ndarray, counts: np.ndarray, place: np.ndarray) -> None:
        self.said = said
        self.counts = counts
        self.place = place

    @classmethod
    def of_maps(cls, maps: Sequence[np.ndarray], voids: Sequence[np.ndarray | None]) -> Votes:
        """Of a label map (*S,) of integers from 0 for each annotator, and where each is void."""
        place = np.zeros(maps[0].shape, np.int64)
        said = np.zeros((1, 0), np.int32)
        for labels, void in zip(maps, voids, strict=True):
            base = int(labels.max()) + 2
            place *= base
            place += labels + 1 if void is None else np.where(void, 0, labels + 1)
            used, place = _renumbered(place, len(said) * base)
            said = np.column_stack([said[used // base], used % base - 1]).astype(np.int32)
        counts = np.bincount(place.reshape(-1), minlength=len(said))
        return cls(said, counts, place.astype(np.int32))

    def majority(self) -> tuple[np.ndarray, np.ndarray]:
        """The label most annotators give in each pattern (U,), and how many (U,).

        ``VOID`` where two labels have equally many votes, and where nobody says anything.
        """
        supporters = np.zeros(self.said.shape, np.int32)
        for annotator in range(self.said.shape[1]):
            supporters += self.said == self.said[:, annotator, None]
        supporters[self.said == VOID] = 0
        rows = np.arange(len(self.said))
        winner = self.said[rows, supporters.argmax(axis=1)]
        most = supporters.max(axis=1)
        tied = ((supporters == most[:, None]) & (self.said != winner[:, None])).any(axis=1)
        return np.where(tied, VOID, winner), most

    @property
    def voters(self) -> np.ndarray:
        """How many annotators say something in each pattern, (U,)."""
        return np.count_nonzero(self.said != VOID, axis=1)

    def differing(self) -> np.ndarray:
        """Share of the annotators who say something that do not say what most say, in each pattern, (U,)."""
        _, most = self.majority()
        return 1 - most / np.maximum(self.voters, 1) * (self.voters > 0) - (self.voters == 0)

    def tally(self, num_labels: int) -> np.ndarray:
        """How many annotators give each label 0..num_labels - 1 in each pattern, (U, L)."""
        tally = np.zeros((len(self.said), num_labels), np.int64)
        for column in self.said.T:
            rows = np.flatnonzero(column != VOID)
            tally[rows, column[rows]] += 1
        return tally

    def without(self, annotator: int) -> Votes:
        """The votes of all others."""
        return Votes(np.delete(self.said, annotator, axis=1), self.counts, self.place)


def check_truths(truths: Sequence[Segmentation], fewest: int = 1) -> None:
    """Raise ``InputError`` unless these are ``fewest`` or more segmentations of one shape with the same classes."""
    if len(truths) < fewest:
        raise InputError(f"wanted the truths of {fewest} or more annotators, got {len(truths)}")
    for truth in truths[1:]:
        if truth.shape != truths[0].shape or truth.classes != truths[0].classes:
            raise InputError(
                f"truths of one image must share shape and classes: {truths[0].shape} {truths[0].classes} and "
                f"{truth.shape} {truth.classes}"
            )


def void_of(truth: Segmentation) -> np.ndarray | None:
    """Where ``truth`` is void (*S,) bool, None where it is nowhere."""
    return truth.void if truth.void_px else None


def _renumbered(keys: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The different keys in 0..size - 1, ascending, and the number of each one of ``keys`` among them."""
    if size > max(MAX_TABLE, keys.size // 4):
        used, numbers = np.unique(keys, return_inverse=True)
        return used, numbers.reshape(keys.shape)
    present = np.zeros(size, bool)
    present[keys.reshape(-1)] = True
    used = np.flatnonzero(present)
    lookup = np.zeros(size, np.int64)
    lookup[used] = np.arange(len(used))
    return used, lookup[keys]
