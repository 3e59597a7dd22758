"""What is kept of each sample until the whole set is known: small, and without a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .finding import Finding
from .outlines import Outlines
from .pictures import Picture


@dataclass(frozen=True)
class Named:
    """Which sample something is about."""

    index: int
    name: str
    files: tuple[str, ...]
    split: str | None
    group: str | None


@dataclass(frozen=True)
class Spots:
    """Small places in an annotation: the segment (P,) each belongs to, its pixels, a measure of it, and its box."""

    segment: np.ndarray
    area: np.ndarray
    measure: np.ndarray
    box: np.ndarray

    def __len__(self) -> int:
        return len(self.segment)


@dataclass(frozen=True)
class Pairs:
    """Pairs of segments (P,) that share pixels: numbers, IoU, share of the smaller one, and whether of one class."""

    one: np.ndarray
    other: np.ndarray
    pixels: np.ndarray
    iou: np.ndarray
    share: np.ndarray
    same_class: np.ndarray

    def __len__(self) -> int:
        return len(self.one)

    def take(self, chosen: np.ndarray) -> Pairs:
        """Some of the pairs."""
        return Pairs(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Contacts:
    """How the classes of a picture lie beside each other.

    ``meets[(one, other)]`` counts pixel edges between two classes, ``one`` < ``other``, 0 being no segment and -1
    void; ``pixels`` and ``thin_px`` of each class: all, and those no farther than ``THIN_PX`` from its border.
    """

    meets: dict[tuple[int, int], int]
    pixels: dict[int, int]
    thin: dict[int, int]


@dataclass(frozen=True)
class Truth:
    """What is kept of one annotation, number ``number`` of its sample, until the whole set is known."""

    number: int
    size: int
    class_ids: np.ndarray
    areas_px: np.ndarray
    boxes: np.ndarray
    void_px: int
    digest: bytes
    object_size: float
    crumbs: Spots
    islands: Spots
    smallest: Spots
    pairs: Pairs
    contacts: Contacts
    outlines: Outlines | None

    @property
    def volume(self) -> bool:
        """Whether it is of a volume, in voxels."""
        return self.boxes.shape[1] == 6


@dataclass(frozen=True)
class Examined:
    """One sample: what is certainly wrong with it, and what has to be compared with the others."""

    where: Named
    findings: tuple[Finding, ...]
    picture: Picture | None
    truths: tuple[Truth, ...]
