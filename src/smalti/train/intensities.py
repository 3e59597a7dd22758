"""The values of many images: of each a few thousand pixels, drawn at random, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..image import Image
from ..runtime.preparation import tail_of

DRAWN = 16_384
"""Pixels drawn of each image for its own mean and spread, which are known to a hundredth of the spread by them."""
KEPT = 4096
"""Of these the first are kept for the percentiles of all images together."""
CLEAR = 0.2
"""Spreads of an image by which segments and ground must differ to be called brighter or darker."""


def as_seen(pixels: np.ndarray) -> np.ndarray:
    """Pixels as networks see them, float32: unsigned integers are shares of their kind's largest value, as for
    ``smalti.values.highest``; other numbers are what they are."""
    if pixels.dtype.kind == "u":
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32)


class Intensity(BaseModel):
    """The values of one channel, as networks see them, over all images that were looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: float = Field(description="Mean of all pixels.")
    std: float = Field(ge=0, description="Their standard deviation.")
    low: float = Field(description="0.5th percentile.")
    high: float = Field(description="99.5th percentile.")
    labelled_mean: float | None = Field(
        default=None, description="Mean of the pixels of segments; none if there are none."
    )
    labelled_std: float | None = Field(default=None, ge=0, description="Their standard deviation.")
    labelled_low: float | None = Field(default=None, description="Their 0.5th percentile.")
    labelled_high: float | None = Field(default=None, description="Their 99.5th percentile.")


class Difference(BaseModel):
    """How much images differ from each other, which one mean for all of them does not follow."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    between: float = Field(
        ge=0,
        le=1,
        description="Share of the variance of pixels that lies between images, of the worst channel.",
    )
    contrast: float = Field(
        ge=1, description="Spread of the image at the 95th percentile of spreads over that at the 5th."
    )
    tail: float = Field(
        description="Spreads of an image from its mean to its 99.5th percentile, the median of the images; 2.6 of "
        "a normal distribution, more where few bright things lie on a dark ground."
    )
    told: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of these images in which the side is that of the tail of the brightness.",
    )
    brighter: float | None = Field(
        ge=0,
        le=1,
        description="Share of the images in which segments are brighter than what is around them, of those in "
        "which they clearly differ; none where no image has both.",
    )


@dataclass(frozen=True)
class Drawn:
    """Pixels of one image (n, C), and of which of them a segment is there, (n,) bool.

    ``side`` is 1 where its segments are brighter than the ground, -1 where darker, 0 where neither is clear; ``tail``
    is 1 where the brightness of all pixels has its long tail on the bright side, else -1. ``grey``
    says that the image shows no colour: one channel, or three alike.
    """

    pixels: np.ndarray
    labelled: np.ndarray
    side: int
    tail: int
    grey: bool


def draw(image: Image, labels: np.ndarray | None, unlabelled: np.ndarray | None, seed: int) -> Drawn:
    """Pixels of an image at random places, the same for the same ``seed``.

    ``labels`` (*S,) are above 0 where there is a segment, ``unlabelled`` (*S,) is true where nobody said.
    """
    flat = image.pixels.reshape(-1, image.num_channels)
    if len(flat) > DRAWN:
        places = np.random.default_rng(seed).integers(0, len(flat), DRAWN)
    else:
        places = np.random.default_rng(seed).permutation(len(flat))
    pixels = as_seen(flat[places])
    finite = np.isfinite(pixels).all(axis=1)
    places, pixels = places[finite], pixels[finite]
    labelled = np.zeros(len(places), bool) if labels is None else labels.reshape(-1)[places] > 0
    ground = ~labelled if unlabelled is None else ~labelled & ~unlabelled.reshape(-1)[places]
    grey = image.num_channels == 1 or (
        image.num_channels == 3 and bool((pixels[:, :1] == pixels).all()) and bool(len(pixels))
    )
    tail = 1 if len(pixels) and tail_of(pixels) >= 0 else -1
    return Drawn(pixels, labelled, _side(pixels, labelled, ground), tail, grey)


def _side(pixels: np.ndarray, labelled: np.ndarray, ground: np.ndarray) -> int:
    if not labelled.any() or not ground.any():
        return 0
    brightness = pixels.mean(axis=1)
    apart = float(brightness[labelled].mean() - brightness[ground].mean())
    return 0 if abs(apart) <= CLEAR * float(brightness.std()) else 1 if apart > 0 else -1


def summarised(drawn: Sequence[Drawn]) -> tuple[tuple[Intensity, ...], Difference]:
    """What the pixels of all images say, channel by channel, and how the images differ.

    Each image counts alike, however large it is. Images without a finite pixel are left out; where there is no other,
    all is 0.
    """
    used = [each for each in drawn if len(each.pixels)]
    if not used:
        channels = drawn[0].pixels.shape[1] if drawn else 0
        nothing = Intensity(mean=0, std=0, low=0, high=0)
        return (nothing,) * channels, Difference(between=0, contrast=1, tail=0, told=None, brighter=None)
    means = np.array([each.pixels.mean(axis=0, dtype=np.float64) for each in used])  # (n, C)
    variances = np.array([each.pixels.var(axis=0, dtype=np.float64) for each in used])
    between, within = means.var(axis=0), variances.mean(axis=0)
    total = between + within
    kept = np.concatenate([each.pixels[:KEPT] for each in used])
    labelled = np.concatenate([each.pixels[:KEPT][each.labelled[:KEPT]] for each in used])
    lows, highs = np.percentile(kept, (0.5, 99.5), axis=0)
    intensities = []
    for channel in range(means.shape[1]):
        own = {}
        if len(labelled):
            values = labelled[:, channel].astype(np.float64)
            low, high = np.percentile(values, (0.5, 99.5))
            own = {"labelled_mean": values.mean(), "labelled_std": values.std()}
            own |= {"labelled_low": low, "labelled_high": high}
        intensities.append(
            Intensity(
                mean=means[:, channel].mean(),
                std=float(np.sqrt(total[channel])),
                low=lows[channel],
                high=highs[channel],
                **own,
            )
        )
    return tuple(intensities), _difference(used, variances, between, total)


def _difference(
    used: Sequence[Drawn], variances: np.ndarray, between: np.ndarray, total: np.ndarray
) -> Difference:
    shares = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    spreads = np.sqrt(variances.max(axis=1))
    spreads = spreads[spreads > 0]
    contrast = 1.0
    if len(spreads):
        least, most = np.percentile(spreads, (5, 95))
        contrast = max(1.0, float(most / least))
    tails = []
    for each in used:
        brightness = each.pixels.mean(axis=1)
        spread = float(brightness.std())
        if spread > 0:
            tails.append((float(np.percentile(brightness, 99.5)) - float(brightness.mean())) / spread)
    clear = [each for each in used if each.side]
    sides = [each.side for each in clear]
    return Difference(
        between=float(np.clip(shares.max(initial=0), 0, 1)),
        contrast=contrast,
        tail=float(np.median(tails)) if tails else 0.0,
        told=sum(each.side == each.tail for each in clear) / len(clear) if clear else None,
        brighter=sides.count(1) / len(sides) if sides else None,
    )
