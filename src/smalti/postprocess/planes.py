"""What the planes that a network gives are: classes, and where asked for centres, offsets and depth of objects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError
from .targets import Targets

AXES = ("z", "y", "x")
MAX_OFFSET_UNIT_PX = 1e4

BLOCK = 1 << 15
"""Pixels whose planes are activated together: what lies in the processor's cache is not fetched four times."""


@dataclass(frozen=True)
class Planes:
    """The P planes of a network, in this order: a logit of each of ``targets``; with ``centers`` a logit of the heat
    around objects' centres and ``ndim`` offsets from each pixel to the centre of its object; with ``distance`` a logit
    of how deep in its object a pixel lies.

    Offsets are along z, y, x in units of ``offset_unit_px`` pixels. Depth is the distance to where the object ends as
    a share of the largest in that object. ``Planes(targets, ndim)`` is what a forest gives.
    """

    targets: Targets
    ndim: int
    centers: bool = False
    distance: bool = False
    offset_unit_px: float = 1.0

    def __post_init__(self) -> None:
        if self.ndim not in (2, 3):
            raise InputError(f"planes are of images of 2 or 3 axes, got {self.ndim}")
        if not 0 < self.offset_unit_px <= MAX_OFFSET_UNIT_PX:
            raise InputError(
                f"offset_unit_px is above 0 and up to {MAX_OFFSET_UNIT_PX:g}, got {self.offset_unit_px}"
            )

    def __len__(self) -> int:
        return len(self.targets) + self.centers * (1 + self.ndim) + self.distance

    @property
    def classes(self) -> slice:
        """Where the targets are along the P axis."""
        return slice(0, len(self.targets))

    @property
    def heat(self) -> int | None:
        """Where the heat of centres is, if there is any."""
        return len(self.targets) if self.centers else None

    @property
    def offsets(self) -> slice | None:
        """Where the offsets are, if there are any."""
        first = len(self.targets) + 1
        return slice(first, first + self.ndim) if self.centers else None

    @property
    def distance_at(self) -> int | None:
        """Where the depth is, if there is any."""
        return len(self) - 1 if self.distance else None

    @property
    def names(self) -> tuple[str, ...]:
        """What to call each plane, (P,)."""
        centers = ("center", *(f"offset {axis}" for axis in AXES[-self.ndim :])) if self.centers else ()
        return (*self.targets.names, *centers, *(("distance",) if self.distance else ()))

    def check(self, planes: np.ndarray) -> None:
        """Raise ``InputError`` unless ``planes`` are (P, *S)."""
        if planes.ndim != 1 + self.ndim or len(planes) != len(self):
            raise InputError(
                f"wanted {len(self)} planes ({', '.join(self.names)}) of {self.ndim} axes, got {planes.shape}"
            )

    def activated(self, planes: np.ndarray) -> np.ndarray:
        """What the network said (P, *S), as probabilities that sum to 1 over the targets, heat and depth from 0 to 1,
        and offsets in pixels, (P, *S) float32.

        A contiguous float32 array that may be written is changed itself and given back, anything else is copied.
        Raises ``InputError`` for another number of planes. NaN stays NaN, for the decoding to refuse.
        """
        self.check(planes)
        if planes.dtype != np.float32 or not (planes.flags.c_contiguous and planes.flags.writeable):
            planes = np.array(planes, np.float32, order="C")
        flat = planes.reshape(len(self), -1)
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, flat.shape[1], BLOCK):
                block = flat[:, first : first + BLOCK]
                _softmax(block[self.classes])
                if self.heat is not None:
                    _sigmoid(block[self.heat])
                if self.distance_at is not None:
                    _sigmoid(block[self.distance_at])
                if self.offsets is not None and self.offset_unit_px != 1:
                    block[self.offsets] *= np.float32(self.offset_unit_px)
        return planes

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "targets": self.targets.described(),
            "ndim": self.ndim,
            "centers": self.centers,
            "distance": self.distance,
            "offset_unit_px": self.offset_unit_px,
        }

    @classmethod
    def restored(cls, said: Mapping[str, Any], classes: ClassSet) -> Planes:
        """From ``described``; every class is one of ``classes``. Raises ``ReadError`` for what cannot be."""
        try:
            targets = Targets.restored(said["targets"], classes)
            ndim, flags, unit = said["ndim"], (said["centers"], said["distance"]), said["offset_unit_px"]
            if type(ndim) is not int or not all(type(flag) is bool for flag in flags):
                raise ReadError("ndim is a whole number, centers and distance are true or false")
            if type(unit) not in (int, float) or not math.isfinite(unit):
                raise ReadError(f"offset_unit_px is a number, not {unit!r}")
            return cls(targets, ndim, *flags, float(unit))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ReadError(f"not the planes of a network ({type(error).__name__}: {error})") from error


def _softmax(logits: np.ndarray) -> None:
    """Over the first axis, in place."""
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)


def _sigmoid(logits: np.ndarray) -> None:
    """In place; exp may be infinite, the quotient is then 0."""
    np.negative(logits, out=logits)
    np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
