"""Features of each pixel: what is around it, at several scales, as float32 planes that a forest learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..errors import InputError
from ..geometry import METRES, Geometry
from ..image import Image
from ..segmenter import Parameters
from .planes import COLORS, RGB, Scale, Sources, kept_channels, mean_name, reach_of

Family = Literal[
    "gaussian", "dog", "laplacian", "gradient", "structure", "hessian",
    "mean", "std", "entropy", "median", "color", "position", "superpixel",
]  # fmt: skip
Sigma = Annotated[float, Field(gt=0)]

WIDEST_PX = 500.0
"""A sigma of more pixels than this is taken for one given in the wrong unit."""

TITLES = {"dog": "difference of gaussians"}
COLORED = ""  # where other features have a channel: made of three of them, and so after these


@dataclass(frozen=True)
class Window:
    """Which part of a larger image is looked at: its first pixel (ndim,) and the size of the whole (ndim,)."""

    origin: tuple[int, ...]
    whole: tuple[int, ...]

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ``InputError`` unless a part of ``shape`` lies there."""
        fits = len(self.origin) == len(self.whole) == len(shape) and all(
            first >= 0 and first + length <= full
            for first, length, full in zip(self.origin, shape, self.whole, strict=True)
        )
        if not fits:
            raise InputError(f"a window of {shape} at {self.origin} does not lie in an image of {self.whole}")


@dataclass(frozen=True)
class Feature:
    """One number for each pixel: its unique ``name``, and what it is made of where it is made of one thing only."""

    name: str
    family: str
    channel: str | None
    sigma: float | None


@dataclass(frozen=True)
class _Part:
    """A feature and where it comes from: the scale by its number, and which of several results it is."""

    feature: Feature
    scale: int
    index: int = 0


MOST_SCALES = 32


class FeatureBank(Parameters):
    """Features of several families at several scales.

    Each family at each sigma, of each channel or of their mean (``detail_of``):

    * ``gaussian``: each channel smoothed; ``dog``: that minus itself smoothed 1.6 times as wide
    * ``gradient`` (its length), ``laplacian``, ``hessian`` (eigenvalues, largest first): central differences of it
    * ``structure``: eigenvalues of the structure tensor, gradients at half of sigma averaged over sigma
    * ``mean``, ``std``, ``median``, ``entropy`` (of 16 bins between ``value_range``, in bits): over the box whose
      standard deviation is about sigma, ``int(sqrt(3) * sigma + 0.5)`` pixels to each side
    * ``color``, of images with red, green and blue: Lab (of sRGB at 0..1; what lies beyond is clipped), the direction
      of the hue times the chroma, and HSV's saturation, of the smoothed colours

    and without a sigma: ``position``, 0..1 along each axis, and ``superpixel``, mean and standard deviation of each
    channel over the pixel's own superpixel, whose cell is three times the middle sigma wide.

    Unsigned integers are divided by the highest value of their type, bool is 0 and 1, other values are taken as they
    are. Derivatives are multiplied by sigma to the power of their order, so that they stay the same when the pixels
    become smaller. An alpha channel is left out. Beyond its edge an image goes on with its outermost pixel.
    """

    name: ClassVar[str] = "features"

    families: tuple[Family, ...] = Field(
        ("gaussian", "laplacian", "gradient", "structure", "hessian", "std", "color"),
        min_length=1,
        max_length=MOST_SCALES,
        description="Which kinds of features.",
    )
    sigmas_px: tuple[Sigma, ...] = Field(
        (0.7, 1.5, 3.0, 6.0, 12.0),
        min_length=1,
        max_length=MOST_SCALES,
        description="Scales in pixels of the finest axis; other axes follow the spacing where it is known.",
    )
    sigmas: tuple[Sigma, ...] | None = Field(
        None,
        max_length=MOST_SCALES,
        description="The same scales in the unit of the spacing; used where the image's spacing is known.",
    )
    sigmas_unit: str | None = Field(None, description="The unit of sigmas; that of the spacing unless given.")
    detail_of: Literal["channels", "brightness"] = Field(
        "brightness",
        description="What all but gaussian, color and superpixel are taken of: each channel, or their mean.",
    )
    value_range: tuple[float, float] = Field(
        (0.0, 1.0), description="Lowest and highest value that entropy tells apart; others count as these."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.families)) < len(self.families):
            raise ValueError(f"families must differ, got {', '.join(self.families)}")
        for name, sigmas in (("sigmas_px", self.sigmas_px), ("sigmas", self.sigmas or self.sigmas_px)):
            written = [f"{sigma:g}" for sigma in sigmas]
            if sorted(set(sigmas)) != list(sigmas) or len(set(written)) < len(written):
                raise ValueError(f"{name} must rise and differ, got {', '.join(written)}")
        if self.sigmas is not None and len(self.sigmas) != len(self.sigmas_px):
            raise ValueError(
                f"sigmas and sigmas_px are the same scales, got {len(self.sigmas)} and {len(self.sigmas_px)}"
            )
        if max(self.sigmas_px) > WIDEST_PX:
            raise ValueError(f"sigmas_px must be at most {WIDEST_PX:g}, got {max(self.sigmas_px):g}")
        if not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"value_range must rise, got {self.value_range}")
        return self

    def features(self, channels: tuple[str, ...], ndim: int) -> tuple[Feature, ...]:
        """The features of an image with these channels and ``ndim`` axes, in the order of their numbers."""
        return tuple(part.feature for part in self._parts(tuple(channels), ndim))

    def _parts(self, channels: tuple[str, ...], ndim: int) -> list[_Part]:
        kept = kept_channels(channels)
        plain = self.detail_of == "channels" or len(kept) == 1
        detail = kept if plain else (mean_name(kept),)
        results = {"hessian": ndim, "structure": ndim}
        scales = self.sigmas or self.sigmas_px
        unit = "px" if self.sigmas is None else self.sigmas_unit or "units"
        parts: list[_Part] = []
        for family in self.families:
            title = TITLES.get(family, family)
            if family == "position":
                for axis, letter in enumerate("zyx"[3 - ndim :]):
                    parts.append(_Part(Feature(f"position {letter}", family, None, None), -1, axis))
            elif family == "superpixel":
                for channel in kept:
                    for index, what in enumerate(("mean", "std")):
                        name = f"superpixel {what} of {channel}"
                        parts.append(_Part(Feature(name, family, channel, None), -1, index))
            elif family == "color":
                if set(RGB) <= set(channels):
                    for scale, sigma in enumerate(scales):
                        for index, what in enumerate(COLORS):
                            feature = Feature(f"{what} at {sigma:g} {unit}", family, None, sigma)
                            parts.append(_Part(feature, scale, index))
            else:
                for channel in kept if family == "gaussian" else detail:
                    for scale, sigma in enumerate(scales):
                        for index in range(results.get(family, 1)):
                            which = f" {index + 1}" if family in results else ""
                            name = f"{title}{which} of {channel} at {sigma:g} {unit}"
                            parts.append(_Part(Feature(name, family, channel, sigma), scale, index))
        return parts

    def in_units(self, geometry: Geometry) -> Self:
        """The same bank, its scales in the unit of the spacing where there is one and they are not yet."""
        if self.sigmas is not None or geometry.spacing is None:
            return self
        finest = min(geometry.spacing)
        sigmas = tuple(sigma * finest for sigma in self.sigmas_px)
        return self.model_copy(update={"sigmas": sigmas, "sigmas_unit": geometry.unit})

    def sigmas_in(self, geometry: Geometry, ndim: int) -> list[tuple[float, ...]]:
        """Each scale in pixels along each axis of an image that lies so. Raises ``InputError`` for absurd ones."""
        spacing = geometry.spacing or (1.0,) * ndim
        if self.sigmas is not None and geometry.known:
            factor = 1.0 if self.sigmas_unit is None else _times(self.sigmas_unit, geometry.unit)
            scales = tuple(sigma * factor for sigma in self.sigmas)
        else:
            scales = tuple(sigma * min(spacing) for sigma in self.sigmas_px)
        in_pixels = [tuple(sigma / step for step in spacing) for sigma in scales]
        if max(in_pixels[-1]) > WIDEST_PX:
            raise InputError(
                f"sigma {scales[-1]:g} {geometry.unit} is {max(in_pixels[-1]):g} pixels at a spacing of {geometry}, "
                f"more than {WIDEST_PX:g}; give sigmas in {geometry.unit}"
            )
        return in_pixels

    def reach(
        self,
        ndim: int,
        geometry: Geometry,
        wanted: Sequence[int] | None = None,
        channels: tuple[str, ...] = RGB,
    ) -> tuple[int, ...]:
        """How many pixels away along each axis the wanted features look, (ndim,).

        With so many pixels around it a part of an image has, bit for bit, the features the whole has there.
        """
        parts = self._parts(channels, ndim)
        scales = self.sigmas_in(geometry, ndim)
        farthest = (0,) * ndim
        for family, scale in {(part.feature.family, part.scale) for part in _chosen(parts, wanted).values()}:
            away = reach_of(family, scales[scale] if scale >= 0 else scales[len(scales) // 2])
            farthest = tuple(map(max, farthest, away))
        return farthest

    def planes(
        self, image: Image, wanted: Sequence[int] | None = None, window: Window | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """The number of each wanted feature and its plane, float32 (*S,), in an order that shares what they need.

        ``window`` says where in a larger image ``image`` lies. Raises ``InputError`` for pixels that are NaN,
        infinite or beyond 2**31, for a window that does not fit and for a feature there is not.
        """
        chosen = _chosen(self._parts(image.channels, image.ndim), wanted)
        if window is None:
            window = Window((0,) * image.ndim, image.shape)
        window.check(image.shape)
        return self._made(Sources(image), chosen, self.sigmas_in(image.geometry, image.ndim), window)

    def compute(
        self, image: Image, wanted: Sequence[int] | None = None, window: Window | None = None
    ) -> np.ndarray:
        """The wanted features, (F, *S) float32, in the order of ``wanted``. Raises as ``planes`` does."""
        numbers = (
            list(range(len(self._parts(image.channels, image.ndim)))) if wanted is None else list(wanted)
        )
        result = np.empty((len(numbers), *image.shape), np.float32)
        rows: dict[int, list[int]] = {}
        for row, number in enumerate(numbers):
            rows.setdefault(int(number), []).append(row)
        for number, plane in self.planes(image, numbers, window):
            for row in rows[number]:
                result[row] = plane
        return result

    def _made(
        self, sources: Sources, chosen: dict[int, _Part], scales: list[tuple[float, ...]], window: Window
    ) -> Iterator[tuple[int, np.ndarray]]:
        yield from _placed(sources, chosen, scales[len(scales) // 2], window)
        for number, sigmas in enumerate(scales):
            made = Scale(sources, sigmas, self.value_range)
            here = [(index, part) for index, part in chosen.items() if part.scale == number]
            colored = any(part.feature.family == "color" for _, part in here)
            by_channel: dict[str, list[tuple[int, _Part]]] = {}
            for index, part in here:
                by_channel.setdefault(part.feature.channel or COLORED, []).append((index, part))
            for channel in sorted(by_channel, key=COLORED.__eq__):
                for index, part in by_channel[channel]:
                    plane = made.plane(part.feature.family, channel, part.index)
                    yield index, plane.reshape(sources.shape)
                made.drop(channel, smoothed=not (colored and channel in RGB))


def _times(unit: str, other: str) -> float:
    """How many of the ``other`` unit one ``unit`` is. Raises ``InputError`` where that cannot be said."""
    if unit == other:
        return 1.0
    if unit not in METRES or other not in METRES:
        raise InputError(
            f"sigmas are in {unit} and the spacing in {other}, which cannot be converted; give both alike"
        )
    return METRES[unit] / METRES[other]


def _chosen(parts: list[_Part], wanted: Sequence[int] | None) -> dict[int, _Part]:
    """The parts with these numbers, in ascending order; ``InputError`` for a number there is not."""
    if wanted is None:
        return dict(enumerate(parts))
    for number in wanted:
        if not 0 <= number < len(parts):
            raise InputError(f"there are features 0 to {len(parts) - 1} of this image, got {number}")
    return {number: parts[number] for number in sorted({int(number) for number in wanted})}


def _placed(
    sources: Sources, chosen: dict[int, _Part], sigmas: tuple[float, ...], window: Window
) -> Iterator[tuple[int, np.ndarray]]:
    """The features without a scale: where a pixel lies, and what its superpixel is like."""
    for index, part in chosen.items():
        if part.feature.family == "position":
            axis, length = part.index, sources.shape[part.index]
            at = (np.arange(length) + window.origin[axis] + 0.5) / window.whole[axis]
            along = at.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(len(sources.shape))])
            yield index, np.broadcast_to(along, sources.shape)
    of_superpixels = [item for item in chosen.items() if item[1].feature.family == "superpixel"]
    if of_superpixels:
        labels, mean_and_std = sources.superpixels(sigmas, window.origin)
        for index, part in of_superpixels:
            numbers = mean_and_std[part.index][:, sources.kept.index(part.feature.channel or "")]
            yield index, numbers[labels].reshape(sources.shape)
