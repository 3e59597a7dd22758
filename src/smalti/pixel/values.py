"""What kind of numbers pixels are, so that the same numbers in another dtype are told instead of misread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import InputError, ReadError
from ..image import Image

FAR_OFF = 32.0
"""Times the brightest value that was learned from: beyond it, in a dtype that was not, numbers mean something else.
The same numbers in uint8 and uint16, or in uint8 and as floats, are 257 and 255 times apart."""


def highest(image: Image) -> float:
    """The value farthest from 0 as features see it: unsigned integers are shares of their dtype's largest value."""
    pixels = image.pixels
    if pixels.dtype.kind == "b":
        return 1.0
    most = max(float(pixels.max()), -float(pixels.min()))
    return most / float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else most


@dataclass(frozen=True)
class Values:
    """The dtypes of the images that were learned from, and the value farthest from 0 of them all; see ``highest``."""

    dtypes: tuple[str, ...] = ()
    highest: float = 0.0

    def and_those_of(self, image: Image) -> Self:
        """With another image's."""
        dtypes = tuple(sorted({*self.dtypes, str(image.pixels.dtype)}))
        return type(self)(dtypes, max(self.highest, highest(image)))

    def check(self, image: Image) -> None:
        """Raise ``InputError`` for an image of a dtype that was not learned from whose values are on another scale."""
        dtype = str(image.pixels.dtype)
        if not self.highest or dtype in self.dtypes:
            return
        here = highest(image)
        if 0 < here < self.highest / FAR_OFF or here > self.highest * FAR_OFF:
            raise InputError(
                f"the forest learned from {' and '.join(self.dtypes)} pixels up to {self.highest:.4g} (of unsigned "
                f"integers, the share of their largest value), these {dtype} pixels go up to {here:.4g}; "
                f"convert them to {self.dtypes[0]}"
            )

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return {"dtypes": list(self.dtypes), "highest": self.highest}

    @classmethod
    def restored(cls, said: Mapping[str, Any]) -> Self:
        """From ``described``. Raises ``ReadError`` for what cannot be."""
        dtypes, value = tuple(str(name) for name in said["dtypes"]), float(said["highest"])
        if not 0 <= value < float("inf") or len(dtypes) > 16:
            raise ReadError(f"the values of pixels go up to a finite number, not {value}")
        return cls(dtypes, value)
