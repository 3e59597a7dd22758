"""The value of each pixel by itself: brightness, contrast, gamma, colours, noise.

Strengths are relative to the image's range of values, and results stay in it: 0 to 255 for 8 bits, otherwise from
the image's own lowest to its own highest value, or what the chain's ``value_range`` says.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ...errors import InputError
from .augmentation import (
    Augmentation,
    Degrees,
    Kind,
    Ratios,
    Shares,
    SignedShares,
    Span,
    Within,
    between,
    between_ratios,
)
from .draft import Draft
from .fields import byte_normals, normals, random_bytes

Draws = float | np.ndarray


class Tone(Augmentation):
    """What changes values by a curve. The curves of a chain are joined; 8-bit pixels are looked up once."""

    kind: ClassVar[Kind] = "tone"

    per_channel: bool = Field(False, description="Whether each channel is changed by numbers of its own.")

    def _draws(self, draft: Draft, span: Span, rng: np.random.Generator, ratios: bool = False) -> Draws:
        """One draw, or one for each channel, (C,) float32."""
        draw = between_ratios if ratios else between
        if not self.per_channel:
            return draw(span, rng)
        return np.array([draw(span, rng) for _ in range(draft.num_values)], np.float32)


class Brightness(Tone):
    """Brighter or darker: values times a factor, plus a shift."""

    name: ClassVar[str] = "brightness"
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 3.2"

    shift: SignedShares = Field((-0.2, 0.2), description="Added, as a share of the range of values.")
    factor: Ratios = Field(
        (1.0, 1.0), description="Multiplied before, counted from the lowest value; a ratio."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        shift, factor = self._draws(draft, self.shift, rng), self._draws(draft, self.factor, rng, ratios=True)
        draft.tone(partial(_brightened, shift=shift, factor=factor))


def _brightened(values: np.ndarray, low: float, high: float, *, shift: Draws, factor: Draws) -> np.ndarray:
    return (values - low) * factor + (low + shift * (high - low))


class Contrast(Tone):
    """Differences to the mean value made larger or smaller."""

    name: ClassVar[str] = "contrast"
    source: ClassVar[str] = (
        "Isensee et al., nnU-Net, Nature Methods 18 (2021), supplement on data augmentation"
    )

    factor: Ratios = Field((0.75, 1.33), description="How much larger differences become; drawn as a ratio.")
    around: Literal["mean", "middle"] = Field(
        "mean", description="The value that stays: the image's mean, or the middle of its range."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        factor = self._draws(draft, self.factor, rng, ratios=True)
        if self.around == "middle":
            center: Draws = sum(draft.limits()) / 2
        else:
            means = draft.means()
            center = means if self.per_channel else sum(means.tolist()) / len(means)
        draft.tone(partial(_contrasted, factor=factor, center=center))


def _contrasted(values: np.ndarray, low: float, high: float, *, factor: Draws, center: Draws) -> np.ndarray:
    return (values - center) * factor + center


class Gamma(Tone):
    """Dark values pulled apart and bright ones together, or the other way round."""

    name: ClassVar[str] = "gamma"
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 3.2"

    exponent: Ratios = Field(
        (0.7, 1.5), description="Power of values from 0 to 1; below 1 is brighter; a ratio."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        draft.tone(partial(_powered, exponent=self._draws(draft, self.exponent, rng, ratios=True)))


def _powered(values: np.ndarray, low: float, high: float, *, exponent: Draws) -> np.ndarray:
    if high <= low:
        return values
    share = np.minimum(np.maximum((values - low) / (high - low), 0), 1)
    return share**exponent * (high - low) + low


class Filter(Augmentation):
    """What changes pixels in another way than by a curve."""

    kind: ClassVar[Kind] = "filter"


# Luma and two chroma axes of NTSC (Rec. BT.470), rows of red, green and blue.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


class HueSaturation(Filter):
    """Colours turned around the colour circle and made stronger or paler; brightness and greys stay.

    Needs red, green and blue; grey has no hue and stays. Done in YIQ: one matrix for pixels of any type.
    """

    name: ClassVar[str] = "hue-saturation"
    source: ClassVar[str] = "Haeberli, Matrix operations for image processing (1993)"

    hue_degrees: Degrees = Field((-18.0, 18.0), description="How far hues are turned.")
    saturation: Annotated[Span, Within(0, 5)] = Field(
        (0.7, 1.3), description="Factor of how strong colours are."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        angle, strength = np.deg2rad(between(self.hue_degrees, rng)), between(self.saturation, rng)
        if draft.pixels.shape[-1] in (1, 2):
            return
        colors = draft.channels is None or draft.channels[:3] == ("red", "green", "blue")
        if draft.pixels.shape[-1] not in (3, 4) or not colors:
            named = ", ".join(draft.channels or ()) or f"{draft.pixels.shape[-1]} channels"
            raise InputError(f"hue-saturation needs red, green and blue (and alpha), got {named}")
        draft.settle()
        turn = strength * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.eye(3)
        middle[1:, 1:] = turn
        matrix = np.linalg.inv(_TO_YIQ) @ middle @ _TO_YIQ
        pixels = draft.pixels[..., :3]
        values = pixels if pixels.dtype == np.uint8 else draft.floats()[..., :3]
        flat = np.ascontiguousarray(values).reshape(values.shape[0], -1, 3)
        turned = cv2.transform(flat, matrix.astype(np.float32)).reshape(values.shape)
        if draft.num_values > 3:
            turned = np.concatenate([turned, draft.values[..., 3:].astype(turned.dtype)], axis=-1)
        draft.put(turned)


class ChannelShuffle(Filter):
    """Channels in another order. An image of one channel stays."""

    name: ClassVar[str] = "channel-shuffle"
    source: ClassVar[str] = (
        "Liu et al., SSD: single shot multibox detector, ECCV (2016), its photometric distortions"
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        draft.settle()
        draft.put(np.ascontiguousarray(draft.values[..., rng.permutation(draft.num_values)]))


class ChannelDropout(Filter):
    """Some channels emptied, as when a stain or a lamp fails. At least one is left."""

    name: ClassVar[str] = "channel-dropout"
    source: ClassVar[str] = (
        "Tompson et al., Efficient object localization using CNNs, CVPR (2015): whole channels dropped"
    )

    count: int = Field(1, ge=1, le=64, description="Channels emptied, at most all but one.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        channels = draft.num_values
        dropped = rng.permutation(channels)[: min(self.count, channels - 1)]
        if len(dropped):
            draft.settle()
            values = draft.values.copy()
            values[..., dropped] = draft.limits()[0]
            draft.put(values)


class GaussianNoise(Filter):
    """Noise of a normal distribution on each pixel and channel."""

    name: ClassVar[str] = "gaussian-noise"
    source: ClassVar[str] = (
        "Bishop, Training with noise is equivalent to Tikhonov regularization, Neural Comput. 7 (1995)"
    )

    sigma: Shares = Field((0.0, 0.05), description="Standard deviation, as a share of the range of values.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        low, high = draft.limits()
        sigma = between(self.sigma, rng) * (high - low)
        draft.settle()
        values = draft.values
        if values.dtype == np.uint8:
            noise = cv2.LUT(_flat(random_bytes(values.shape, rng)), byte_normals(sigma))
            noisy = cv2.add(_flat(np.ascontiguousarray(values)), noise, dtype=cv2.CV_8U)
            draft.put(noisy.reshape(values.shape))
            return
        noise = normals(values.shape, rng)
        noise *= np.float32(sigma)
        noisy = draft.floats()
        noisy += noise
        draft.put(noisy)


class PoissonNoise(Filter):
    """The noise of counting photons: its variance grows with the value.

    The normal distribution of the same mean and variance is used, which from some ten photons on is hardly told
    from Poisson's. The lowest value of the range counts as none.
    """

    name: ClassVar[str] = "poisson-noise"
    source: ClassVar[str] = "Hasinoff, Photon, Poisson noise, in Computer Vision: A Reference Guide (2014)"

    photons: Annotated[Span, Within(5, 1e9)] = Field(
        (50.0, 500.0),
        description="Counted where the value is the highest; fewer are noisier. Drawn as a ratio.",
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        photons = between_ratios(self.photons, rng)
        low, high = draft.limits()
        draft.settle()
        values = draft.values
        # the variance of value v is (v - low) * (high - low) / photons
        if values.dtype == np.uint8:
            roots = np.sqrt(np.arange(256) * (255 / photons)).astype(np.float32)
            pixels = _flat(np.ascontiguousarray(values))
            table = byte_normals(256.0).astype(np.float32) / np.float32(256)
            noise = cv2.LUT(_flat(random_bytes(values.shape, rng)), table) * cv2.LUT(pixels, roots)
            draft.put(cv2.add(pixels, noise, dtype=cv2.CV_8U).reshape(values.shape))
            return
        noisy = draft.floats()
        variance = (noisy - noisy.dtype.type(low)).clip(0) * noisy.dtype.type((high - low) / photons)
        noisy += np.sqrt(variance) * normals(values.shape, rng)
        draft.put(noisy)


def _flat(values: np.ndarray) -> np.ndarray:
    """The same pixels as one plane, which OpenCV's functions of single values are fastest on."""
    return values.reshape(values.shape[0], -1)
