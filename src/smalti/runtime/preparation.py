"""What is done to pixels before a network sees them: brought to a size or spacing, and to numbers around 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InputError, ReadError
from ..geometry import LENGTH_UNITS, METRES, Geometry
from ..image import Image
from .resizing import resized

MAX_LENGTH = 1_000_000
"""Most pixels along an axis that an image is resampled to, and as many times 1000 in all; more is a wrong spacing."""

MOST_LOOKED_AT = 4_000_000
"""Pixels of a channel that percentiles are taken of: a regular grid of them where there are more. 8-bit: all."""

_NUMBER = Annotated[float, Field(ge=-1e30, le=1e30)]
_SPREAD = Annotated[float, Field(ge=1e-12, le=1e30)]
_CONFIG = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def unit(dtype: np.dtype) -> float:
    """What one step of pixels of this dtype counts: ``mean`` and ``std`` of a model are in these.

    Unsigned integers count as shares of their kind's largest, as they do in ``smalti.values``: 8 and 16 bits of the
    same scene, and floats from 0 to 1, mean the same. Floats, signed integers and bool count as they are.
    """
    return 1.0 / float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


@dataclass(frozen=True)
class Statistics:
    """What pixels (in their own numbers) become by ``(clip(pixels, low, high) - offset) / scale``, per channel (C,)."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


class Fixed(BaseModel):
    """``(pixels - mean) / std`` with the numbers of the images that were learned from, one for each channel.

    In the ``unit`` of pixels: of unsigned integers, shares of their largest. With ``low`` and ``high`` pixels are
    clipped to them first.
    """

    model_config = _CONFIG

    kind: Literal["fixed"] = "fixed"
    mean: tuple[_NUMBER, ...] = Field(min_length=1, max_length=4096)
    std: tuple[_SPREAD, ...] = Field(min_length=1, max_length=4096)
    low: tuple[_NUMBER, ...] | None = None
    high: tuple[_NUMBER, ...] | None = None

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        lengths = {len(each) for each in (self.mean, self.std, self.low, self.high) if each is not None}
        if len(lengths) > 1 or (self.low is None) != (self.high is None):
            raise ValueError("mean, std, low and high have one number for each channel")
        if self.low and self.high and any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("low is at most high")
        return self

    def statistics(self, dtype: np.dtype) -> Statistics:
        """The same in the numbers of pixels of a ``dtype``: 0..255 for uint8."""
        step = unit(np.dtype(dtype))

        def own(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(value / step for value in values)

        clipped = () if self.low is None or self.high is None else (own(self.low), own(self.high))
        return Statistics(own(self.mean), own(self.std), *clipped)


class OfImage(BaseModel):
    """By each image's own numbers, channel by channel, so that exposure and stain do not matter.

    ``mean-std``: ``(pixels - mean) / std``. ``percentiles``: what lies between the percentiles ``low`` and ``high``
    comes to -1..1, the rest is clipped. A channel of one value comes to 0. ``bright`` turns an image over whose
    brightness has its tail on the dark side, so that things are bright on a dark ground in all of them: dark ones on a
    bright ground, as stains are, need not be learned anew.
    """

    model_config = _CONFIG

    kind: Literal["image"] = "image"
    by: Literal["mean-std", "percentiles"] = "mean-std"
    low: Annotated[float, Field(ge=0, le=50)] = 1.0
    high: Annotated[float, Field(ge=50, le=100)] = 99.8
    polarity: Literal["kept", "bright"] = "kept"

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low is below high")
        return self


class Preparation(BaseModel):
    """What is done to an image before the network. Immutable.

    ``spacing`` (in ``unit``, z, y, x) is what the model learned at: images of another one are resampled to it, those
    of none are taken as they are. ``factor`` then makes them smaller or larger. ``size`` is the one size that a
    network of fixed size takes.
    """

    model_config = _CONFIG

    normalization: Annotated[Fixed | OfImage, Field(discriminator="kind")]
    spacing: tuple[Annotated[float, Field(gt=0, le=1e12)], ...] | None = Field(default=None, max_length=3)
    unit: str | None = None
    factor: float = Field(default=1.0, ge=0.01, le=4)
    size: tuple[Annotated[int, Field(ge=1, le=65536)], ...] | None = Field(default=None, max_length=3)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.spacing is None) != (self.unit is None) or self.unit not in (None, *LENGTH_UNITS):
            raise ValueError(f"a spacing has a unit, one of {', '.join(LENGTH_UNITS)}")
        if self.spacing is not None and self.size is not None:
            raise ValueError("an image is brought to a spacing or to a size, not to both")
        return self

    def shape(self, image: Image) -> tuple[int, ...]:
        """The shape that the network sees ``image`` in, (*S,). Raises ``InputError`` for a spacing far off."""
        wanted = self.size or self.spacing
        if wanted is not None and len(wanted) != image.ndim:
            raise InputError(f"the model takes images of {len(wanted)} axes, this one has {image.ndim}")
        if self.size is not None:
            return self.size
        ratios = self._ratios(image.geometry, image.ndim)
        if ratios is None:
            return image.shape
        shape = tuple(
            max(1, round(length * ratio)) for length, ratio in zip(image.shape, ratios, strict=True)
        )
        if max(shape) > MAX_LENGTH or math.prod(shape) > 1000 * MAX_LENGTH:
            raise InputError(
                f"the image of {image.shape} pixels at {image.geometry} would become {shape} at the model's spacing "
                f"of {self.spacing} {self.unit}; check the spacing of the image (smalti predict --spacing)"
            )
        return shape

    def _ratios(self, geometry: Geometry, ndim: int) -> tuple[float, ...] | None:
        """How many times as many pixels along each axis; None where it stays, or either spacing is not known."""
        if self.spacing is None or self.unit is None or geometry.spacing is None:
            return None if self.factor == 1 else (self.factor,) * ndim
        if geometry.unit != self.unit and not {geometry.unit, self.unit} <= METRES.keys():
            raise InputError(
                f"the model learned from pixels in {self.unit}, the image's spacing is in {geometry.unit}"
            )
        factor = 1.0 if geometry.unit == self.unit else METRES[geometry.unit] / METRES[self.unit]
        factor *= self.factor
        ratios = tuple(own * factor / one for own, one in zip(geometry.spacing, self.spacing, strict=True))
        return None if all(abs(ratio - 1) < 1e-3 for ratio in ratios) else ratios

    def resampled(self, image: Image) -> np.ndarray:
        """The pixels (*S, C) in the shape that the network sees: as they are, or float32 if they are resampled.

        Tiles are cut from this. Raises ``InputError`` as ``shape`` does and for NaN or infinite pixels, which would
        spread over all that they touch.
        """
        if image.pixels.dtype.kind == "f" and not np.isfinite(image.pixels).all():
            raise InputError("the image has pixels that are NaN or infinite; fill them, for example with 0")
        shape = self.shape(image)
        if shape == image.shape:
            return image.pixels
        return resized(np.moveaxis(image.pixels, -1, 0), shape, last=True)

    def restored_planes(self, planes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Planes (P, *S) float32 of the network in the ``shape`` of the image, linearly; the same where it is so."""
        return planes if planes.shape[1:] == tuple(shape) else resized(planes, shape)

    def statistics(self, image: Image) -> Statistics:
        """What its pixels are brought to numbers around 0 by: of the whole image, so that its tiles agree.

        They hold for ``resampled`` pixels, too, as these are in the numbers of the image.
        """
        channels = image.num_channels
        chosen = self.normalization
        if isinstance(chosen, Fixed):
            if len(chosen.mean) != channels:
                raise InputError(f"the model takes {len(chosen.mean)} channels, the image has {channels}")
            return chosen.statistics(image.pixels.dtype)
        found = [_of_channel(image.pixels[..., channel], chosen) for channel in range(channels)]
        offset, scale = (tuple(float(each[place]) for each in found) for place in (0, 1))
        if chosen.polarity == "bright" and tail_of(image.pixels) < 0:
            scale = tuple(-each for each in scale)
        if chosen.by == "mean-std":
            return Statistics(offset, scale)
        ends = [(middle - half, middle + half) for middle, half in found]
        return Statistics(offset, scale, tuple(low for low, _ in ends), tuple(high for _, high in ends))

    def prepared(self, pixels: np.ndarray, statistics: Statistics) -> np.ndarray:
        """Pixels (*S, C) of a window as the network takes them, (C, *S) float32, in memory of their own."""
        planes = np.empty((pixels.shape[-1], *pixels.shape[:-1]), np.float32)
        if len(statistics.offset) != len(planes):
            raise InputError(
                f"statistics are of {len(statistics.offset)} channels, the pixels have {len(planes)}"
            )
        if pixels.dtype != np.uint8:
            for channel, plane in enumerate(planes):
                plane[...] = _applied(pixels[..., channel], statistics, channel)
            return planes
        flat = pixels.reshape(pixels.shape[0], -1, len(planes))
        if len(planes) in (3, 4):
            given = np.empty((len(planes), *flat.shape[:2]), np.uint8)
            cv2.split(
                flat, list(given)
            )  # into memory that is there: a multiple faster than where it makes its own
        else:
            given = np.ascontiguousarray(np.moveaxis(flat, -1, 0))
        for channel, plane in enumerate(planes):  # 2048 x 2048 RGB in 12 ms; by arithmetic in 23
            curve = _applied(np.arange(256, dtype=np.float32), statistics, channel)
            cv2.LUT(given[channel], curve, dst=plane.reshape(given[channel].shape))
        return planes

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return self.model_dump(mode="json")

    @classmethod
    def restored(cls, said: Mapping[str, Any]) -> Self:
        """From ``described``. Raises ``ReadError`` for what cannot be."""
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ReadError(f"the preparation of the model is damaged: {where}: {first['msg']}") from error


def tail_of(pixels: np.ndarray) -> float:
    """Above 0 where the brightness of pixels (..., C), the mean of their channels, has its long tail on the bright
    side, below 0 where on the dark one: its third central moment."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    parts = np.array_split(flat, max(1, flat.size >> 20))
    middle = sum(float(part.sum(dtype=np.float64)) for part in parts) / flat.size
    return sum(float(((part.mean(axis=1, dtype=np.float64) - middle) ** 3).sum()) for part in parts) / len(
        flat
    )


def _of_channel(plane: np.ndarray, chosen: OfImage) -> tuple[float, float]:
    """The number that comes to 0 and what comes to 1 above it, of one channel (*S,)."""
    parts = np.array_split(
        plane, max(1, min(len(plane), plane.size >> 20))
    )  # none is copied whole to 8 bytes a pixel
    if plane.dtype.kind in "bu" and plane.dtype.itemsize <= 2:  # by their counts: exact, and all of them
        most = 256**plane.dtype.itemsize
        counts = sum(np.bincount(part.reshape(-1), minlength=most) for part in parts)
        values = np.arange(most, dtype=np.float64)
        if chosen.by == "mean-std":
            middle = float(counts @ values) / plane.size
            return middle, math.sqrt(float(counts @ (values - middle) ** 2) / plane.size) or 1.0
        shares = np.array([chosen.low, chosen.high]) / 100
        low, high = (float(each) for each in np.searchsorted(np.cumsum(counts), shares * plane.size))
    elif chosen.by == "mean-std":
        middle = sum(float(part.sum(dtype=np.float64)) for part in parts) / plane.size
        squares = sum(float(np.square(part.astype(np.float64) - middle).sum()) for part in parts)
        spread = math.sqrt(squares / plane.size)
        return middle, spread if spread > 1e-12 * max(1.0, abs(middle)) else 1.0
    else:
        step = max(1, math.ceil((plane.size / MOST_LOOKED_AT) ** (1 / plane.ndim)))
        some = plane[(slice(None, None, step),) * plane.ndim]
        low, high = (float(end) for end in np.percentile(some, [chosen.low, chosen.high]))
    return (low + high) / 2, (high - low) / 2 or 1.0


def _applied(values: np.ndarray, statistics: Statistics, channel: int) -> np.ndarray:
    """Pixels of one channel brought to numbers around 0, float32."""
    offset, scale = statistics.offset[channel], statistics.scale[channel]
    if values.dtype == np.float64 or (values.dtype.kind in "iu" and values.dtype.itemsize > 2):
        values = values.astype(np.float64)  # float32 would round large numbers before the offset is taken off
    else:
        values = values.astype(np.float32)
    if statistics.low is not None and statistics.high is not None:
        np.clip(values, statistics.low[channel], statistics.high[channel], out=values)
    values -= offset
    values /= scale
    return values.astype(np.float32, copy=False)
