"""A grid of tiles fixed to the image, each with the halo it needs around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from ..errors import InputError

Place = tuple[slice, ...]


@dataclass(frozen=True)
class Tile:
    """One tile: ``inner`` is its own part of the image, ``outer`` that with the halo, as far as the image goes."""

    inner: Place
    outer: Place

    @property
    def origin(self) -> tuple[int, ...]:
        """First pixel of ``outer`` along each axis."""
        return tuple(axis.start for axis in self.outer)

    @property
    def inside(self) -> Place:
        """Where ``inner`` lies in an array of ``outer``."""
        return tuple(
            slice(own.start - around.start, own.stop - around.start)
            for own, around in zip(self.inner, self.outer, strict=True)
        )

    def widened(self, halo: Sequence[int], shape: Sequence[int]) -> Tile:
        """The same tile of an image of ``shape`` with ``halo`` pixels around it, as far as the image goes."""
        outer = tuple(
            slice(max(0, own.start - around), min(length, own.stop + around))
            for own, around, length in zip(self.inner, halo, shape, strict=True)
        )
        return Tile(self.inner, outer)


def tiles(shape: Sequence[int], size: Sequence[int], halo: Sequence[int]) -> Iterator[Tile]:
    """The tiles of an image of ``shape``, in scan order; those at the far edges are smaller.

    ``size`` is a tile's own, without the ``halo`` pixels that are added on each side.

    >>> [tile.outer for tile in tiles((10,), (4,), (2,))]
    [(slice(0, 6, None),), (slice(2, 10, None),), (slice(6, 10, None),)]
    """
    if len(shape) != len(size) or len(shape) != len(halo) or min(size) < 1 or min(halo) < 0:
        raise InputError(f"size and halo need a number for each of {len(shape)} axes, got {size} and {halo}")
    for start in product(*(range(0, length, step) for length, step in zip(shape, size, strict=True))):
        inner = tuple(
            slice(at, min(at + step, length)) for at, step, length in zip(start, size, shape, strict=True)
        )
        yield Tile(inner, inner).widened(halo, shape)
