"""The kind of images a model learned from, so that others are told instead of misread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .errors import InputError, ReadError
from .image import Image

FAR_ABOVE = 8.0
"""Times the brightest value that was learned from: beyond it, numbers of another kind mean something else."""
FAR_BELOW = 1 / 32
"""The same below, for numbers that would fit into the kind that was learned from. Dark floats are no error."""
KINDS = ("bool", "float", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def kind_of(image: Image) -> str:
    """What its numbers are, one of ``KINDS``: floats of any size mean the same."""
    dtype = image.pixels.dtype
    return "float" if dtype.kind == "f" else dtype.newbyteorder("=").name


def highest(image: Image) -> float:
    """The finite value farthest from 0 as features see it: unsigned integers are shares of their kind's largest."""
    pixels = image.pixels
    if pixels.dtype.kind == "u":
        return float(pixels.max()) / float(np.iinfo(pixels.dtype).max)
    if pixels.dtype.kind == "f":
        finite = np.isfinite(pixels)
        ends = (float(end(pixels, where=finite, initial=0)) for end in (np.max, np.min))
        return max(abs(end) for end in ends)
    return float(max(int(pixels.max()), -int(pixels.min())))


@dataclass(frozen=True)
class Values:
    """The kinds of the images that were learned from, and the value farthest from 0 of them all; see ``highest``."""

    kinds: tuple[str, ...] = ()
    highest: float = 0.0

    def and_those_of(self, image: Image) -> Self:
        """With another image's."""
        return type(self)(tuple(sorted({*self.kinds, kind_of(image)})), max(self.highest, highest(image)))

    def check(self, image: Image) -> None:
        """Raise ``InputError`` for an image of a kind that was not learned from whose values are on another scale.

        That is above ``FAR_ABOVE``, or below ``FAR_BELOW`` if they are unsigned integers and would fit into smaller
        ones that were learned from: 8-bit numbers in uint16, which are all but black there.
        """
        kind = kind_of(image)
        if not self.highest or kind in self.kinds:
            return
        here = highest(image)
        above = here > self.highest * FAR_ABOVE
        if above or (0 < here < self.highest * FAR_BELOW and self._would_fit(image)):
            raise InputError(
                f"the model learned from {' and '.join(self.kinds)} pixels up to {self.highest:.4g}, these {kind} "
                f"pixels go up to {here:.4g} (of unsigned integers that is the share of their largest value); "
                f"bring them to the scale of {self.kinds[0]}"
            )

    def _would_fit(self, image: Image) -> bool:
        smaller = [np.iinfo(kind).max for kind in self.kinds if kind.startswith("uint")]
        return image.pixels.dtype.kind == "u" and bool(smaller) and int(image.pixels.max()) <= max(smaller)

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return {"kinds": list(self.kinds), "highest": self.highest}

    @classmethod
    def restored(cls, said: Mapping[str, Any]) -> Self:
        """From ``described``. Raises ``ReadError`` for what cannot be."""
        kinds, value = said["kinds"], float(said["highest"])
        if not isinstance(kinds, list) or not kinds or not set(kinds) <= set(KINDS):
            raise ReadError(f"the kinds of pixels are some of {', '.join(KINDS)}")
        if not 0 <= value < float("inf"):
            raise ReadError(f"the values of pixels go up to a finite number, not {value}")
        return cls(tuple(kinds), value)


@dataclass(frozen=True)
class ImageKind:
    """What a model learned from: ``ndim`` axes, these ``channels`` in this order, pixels of these ``values``."""

    ndim: int
    channels: tuple[str, ...]
    values: Values = Values()

    def taken(self, image: Image) -> Image:
        """The image without alpha, its channels in the order they were learned in where they are the same by name.

        Raises ``InputError`` for an image with other channels, axes or values than were learned from.
        """
        if not isinstance(image, Image):
            raise InputError(f"an Image is wanted, got {type(image).__name__}; Image.from_array makes one")
        image = image.without_alpha()
        if image.ndim != self.ndim or image.num_channels != len(self.channels):
            had = f"{self.ndim} axes and {len(self.channels)} channels ({', '.join(self.channels)})"
            got = f"{image.ndim} axes and {image.num_channels} channels ({', '.join(image.channels)})"
            colored = self.channels == ("grey",) and "red" in image.channels and image.ndim == self.ndim
            hint = ", for example with smalti predict --before grey" if colored else ""
            raise InputError(
                f"the model learned from images of {had}, this one has {got}; bring it to those{hint}"
            )
        self.values.check(image)
        if image.channels != self.channels and set(image.channels) == set(self.channels):
            order = [image.channels.index(name) for name in self.channels]
            return Image(image.pixels[..., order], self.channels, image.geometry, image.source)
        return image

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return {"ndim": self.ndim, "channels": list(self.channels), "values": self.values.described()}

    @classmethod
    def restored(cls, said: Mapping[str, Any]) -> Self:
        """From ``described``. Raises ``ReadError`` for what cannot be."""
        try:
            ndim, channels = said["ndim"], said["channels"]
            if type(ndim) is not int or ndim not in (2, 3):
                raise ReadError(f"images have 2 or 3 axes, not {ndim!r}")
            if (
                not isinstance(channels, list)
                or not channels
                or not all(isinstance(one, str) for one in channels)
            ):
                raise ReadError("channels are a list of names")
            if len(set(channels)) < len(channels):
                raise ReadError(f"channels have different names, not {', '.join(channels)}")
            return cls(ndim, tuple(channels), Values.restored(said["values"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReadError(f"not a kind of images ({type(error).__name__}: {error})") from error
