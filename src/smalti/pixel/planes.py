"""The planes that features are: an image's channels as float32, and what a family makes of them at one scale.

Everything here is (D, H, W), an image being a volume of one slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from ..compiled import colors, filters, histograms, slic
from ..errors import InputError
from ..image import Image

CUT = 4.0
"""Standard deviations at which a Gaussian is cut. At 3 its second differences would show the cut as a false line."""

CUT_WINDOW = 3.0
"""The same for the window of a structure tensor: nothing is derived from that."""

DOG_RATIO = 1.6
"""Width of the wider Gaussian over that of the narrower: the nearest to a Laplacian (Marr and Hildreth, 1980)."""

BOX = math.sqrt(3)
"""Pixels to each side of a box over its standard deviation."""

HIGHEST = 2.0**31
"""Products of larger values might not fit into float32."""

LIGHT_STEPS, ROOT_STEPS = 4096, 16384
"""Steps of the tables of colours: between them a line is at most 0.01 units of Lab away."""

SUPERPIXEL, ROUNDS = 3.0, 3
"""Side of a superpixel's cell in sigmas, and how often its pixels are found anew."""

ROUNDING = 4e-15
"""A variance below this share of the mean square is rounding: a constant image has none."""

Sigmas = tuple[float, ...]
RGB = ("red", "green", "blue")
COLORS = ("lightness", "a of Lab", "b of Lab", "hue to red", "hue to green", "saturation")


def radius_of(sigma: float, cut: float) -> int:
    """Pixels to each side of a Gaussian that is cut ``cut`` standard deviations from its middle."""
    return int(cut * sigma + 0.5)


def box_radius(sigma: float) -> int:
    """Pixels to each side of the box that is about as wide as a Gaussian of ``sigma``."""
    return int(BOX * sigma + 0.5)


def gaussian_kernel(sigma: float, cut: float) -> np.ndarray:
    """Weights from the middle on, (radius + 1,) float32; both sides together sum to 1."""
    weights = np.exp(-0.5 * (np.arange(radius_of(sigma, cut) + 1) / sigma) ** 2)
    return (weights / (2 * weights.sum() - weights[0])).astype(np.float32)


def reach_of(family: str, sigmas: Sigmas) -> tuple[int, ...]:
    """How many pixels away along each axis a family looks at this scale."""
    if family == "position":
        return (0,) * len(sigmas)
    if family == "superpixel":
        # A round looks two cells further; then come the pixel's superpixel beside its cell, and the cell's far side.
        return tuple((2 * ROUNDS + 2) * side - 1 for side in cell_sides(sigmas))
    if family in ("mean", "std", "entropy", "median"):
        return tuple(box_radius(sigma) for sigma in sigmas)
    if family == "dog":
        return tuple(radius_of(DOG_RATIO * sigma, CUT) for sigma in sigmas)
    if family == "structure":
        return tuple(radius_of(sigma / 2, CUT) + 1 + radius_of(sigma, CUT_WINDOW) for sigma in sigmas)
    differences = 0 if family in ("gaussian", "color") else 1
    return tuple(radius_of(sigma, CUT) + differences for sigma in sigmas)


def cell_sides(sigmas: Sigmas) -> tuple[int, ...]:
    """Pixels along each axis of a superpixel's cell."""
    return tuple(max(1, int(SUPERPIXEL * sigma + 0.5)) for sigma in sigmas)


def kept_channels(channels: tuple[str, ...]) -> tuple[str, ...]:
    """The channels that features are made of: all but alpha, unless there is no other."""
    return tuple(name for name in channels if name != "alpha") or channels


def mean_name(channels: tuple[str, ...]) -> str:
    """What the mean of the channels is called: brightness, unless one of them already is."""
    return "brightness" if "brightness" not in channels else "mean of channels"


class Sources:
    """The channels of an image and their mean as float32 (D, H, W), each made when first wanted."""

    def __init__(self, image: Image) -> None:
        pixels = image.pixels
        self.kept = kept_channels(image.channels)
        self.image = image
        self.shape = image.shape
        self.planar = image.ndim == 2
        self.volume = (1, *image.shape) if self.planar else image.shape
        self._made: dict[str, np.ndarray] = {}
        if pixels.dtype.kind == "f":
            bad = pixels.size - int(np.isfinite(pixels).sum())
            if bad:
                raise InputError(
                    f"{bad} of {pixels.size} pixels are NaN or infinite; fill them first, "
                    "for example with numpy.nan_to_num"
                )
        if pixels.dtype.kind in "fi" and pixels.dtype.itemsize > 2:
            most = max(float(pixels.max()), -float(pixels.min()))
            if most > HIGHEST:
                raise InputError(
                    f"pixels must lie within 2**31 of 0, got {most:g}; divide them by their white"
                )

    def channel(self, name: str) -> np.ndarray:
        """One channel, or the mean of all. Unsigned integers and bool are 0..1, others have their own scale."""
        if name not in self._made:
            if name in self.image.channels:
                self._made[name] = self._scaled(self.image.channel(name))
            else:
                total = self.channel(self.kept[0])
                for other in self.kept[1:]:
                    total = total + self.channel(other)
                self._made[name] = total / np.float32(len(self.kept))
        return self._made[name]

    def _scaled(self, plane: np.ndarray) -> np.ndarray:
        wide = plane.dtype.itemsize > 2 and plane.dtype.kind == "u"  # float32 does not hold all of uint32
        values: np.ndarray = plane.astype(np.float64 if wide else np.float32).reshape(self.volume)
        if plane.dtype.kind == "u":
            values = values / values.dtype.type(np.iinfo(plane.dtype).max)
        return np.ascontiguousarray(values, np.float32)

    def superpixels(self, sigmas: Sigmas, origin: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
        """The superpixel of each pixel, (D, H, W), and of each the mean and standard deviation of the channels, (N, C).

        ``origin`` is the image's first pixel in the whole that the cells are anchored to.
        """
        values = np.stack([self.channel(name) for name in self.kept], axis=-1)
        flat = (1,) * (3 - len(sigmas))
        side = np.array(flat + cell_sides(sigmas))
        offset = np.array((0,) * len(flat) + origin) % side
        labels, mean, std = slic.superpixels(values, offset, side, ROUNDS)
        return labels, [mean, std]


class Scale:
    """What the families make of the sources at one scale; what several need is made once and kept until dropped."""

    def __init__(self, sources: Sources, sigmas: Sigmas, value_range: tuple[float, float]) -> None:
        self.sources = sources
        self.sigmas = sigmas
        self.planar = sources.planar
        self.lengths = np.array((1.0,) * (3 - len(sigmas)) + sigmas, np.float32)
        z, y, x = (0,) * (3 - len(sigmas)) + tuple(box_radius(sigma) for sigma in sigmas)
        self.radii = (z, y, x)
        self.value_range = value_range
        self._kept: dict[tuple[str, str], np.ndarray] = {}

    def plane(self, family: str, channel: str | None, index: int) -> np.ndarray:
        """The ``index``-th result (D, H, W) of a family, of one channel."""
        name = channel or ""
        match family:
            case "gaussian":
                return self._gaussian(name)
            case "dog":
                return self._gaussian(name) - self._blurred(self.sources.channel(name), DOG_RATIO, CUT, 0)
            case "gradient":
                return filters.gradient_magnitude(self._smooth(name), self.lengths, self.planar)
            case "laplacian":
                return self._laplacian(name)
            case "hessian":
                return self._once(family, name, self._hessian)[index]
            case "structure":
                return self._once(family, name, self._structure)[index]
            case "mean" | "std":
                return self._once("moments", name, self._moments)[("mean", "std").index(family)]
            case "entropy":
                return self._entropy(name)
            case "median":
                return self._median(name)
            case _:
                return self._once(family, name, lambda _: self._color())[index]

    def drop(self, channel: str, smoothed: bool = True) -> None:
        """Let go of what was made of a channel; of its ``smoothed`` self too."""
        for kind, of in list(self._kept):
            if of == channel and (smoothed or kind != "smooth"):
                del self._kept[kind, of]

    def _once(self, kind: str, channel: str, make: Callable[[str], np.ndarray]) -> np.ndarray:
        if (kind, channel) not in self._kept:
            self._kept[kind, channel] = make(channel)
        return self._kept[kind, channel]

    def _blurred(self, plane: np.ndarray, times: float, cut: float, pad: int) -> np.ndarray:
        return self._weighed(plane, [gaussian_kernel(sigma * times, cut) for sigma in self.sigmas], pad)

    def _weighed(self, plane: np.ndarray, kernels: list[np.ndarray], pad: int) -> np.ndarray:
        """The plane weighted along each axis, with ``pad`` more pixels on each side; computed in its own dtype."""
        one = np.ones(1, plane.dtype)
        odd = [np.append(kernel, np.zeros(1 - kernel.size % 2, kernel.dtype)) for kernel in kernels]
        z, y, x = (one, *odd) if self.planar else odd
        return filters.smooth(plane.reshape(-1), plane.shape, (z, y, x), 0 if self.planar else pad, pad)

    def _smooth(self, channel: str) -> np.ndarray:
        """The smoothed channel with a pixel more on each side, for differences."""
        return self._once(
            "smooth", channel, lambda name: self._blurred(self.sources.channel(name), 1, CUT, 1)
        )

    def _gaussian(self, channel: str) -> np.ndarray:
        return self._smooth(channel)[slice(None) if self.planar else slice(1, -1), 1:-1, 1:-1]

    def _hessian(self, channel: str) -> np.ndarray:
        return filters.hessian_eigenvalues(self._smooth(channel), self.lengths, self.planar)

    def _neighbours(self, padded: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.float32]]:
        """Along each axis the pixels before and after each of a padded plane, and sigma; y and x first, then z."""
        middle = [slice(1, -1)] * 3
        if self.planar:
            middle[0] = slice(None)
        for axis in (1, 2) if self.planar else (1, 2, 0):
            before, after = list(middle), list(middle)
            before[axis], after[axis] = slice(None, -2), slice(2, None)
            yield padded[tuple(before)], padded[tuple(after)], self.lengths[axis]

    def _laplacian(self, channel: str) -> np.ndarray:
        smooth = self._smooth(channel)
        twice = 2 * self._gaussian(channel)
        result = np.zeros(self.sources.volume, np.float32)
        for before, after, sigma in self._neighbours(smooth):
            curvature = before + after
            curvature -= twice
            curvature *= sigma * sigma
            result += curvature
        return result

    def _structure(self, channel: str) -> np.ndarray:
        fine = self._blurred(self.sources.channel(channel), 0.5, CUT, 1)
        slopes = [(after - before) * (sigma / 2) for before, after, sigma in self._neighbours(fine)]
        pairs = [(0, 0), (0, 1), (1, 1)] + ([] if self.planar else [(2, 2), (2, 0), (2, 1)])
        products = [self._blurred(slopes[a] * slopes[b], 1, CUT_WINDOW, 0) for a, b in pairs]
        return filters.eigenvalues(np.stack(products))

    def _moments(self, channel: str) -> np.ndarray:
        """Mean and standard deviation over the box, (2, D, H, W). In float64: squares are much alike."""
        values = self.sources.channel(channel).astype(np.float64)
        kernels = [np.full(radius + 1, 1 / (2 * radius + 1)) for radius in self.radii[-len(self.sigmas) :]]
        mean = self._weighed(values, kernels, 0)
        square = self._weighed(values * values, kernels, 0)
        variance = square - mean * mean
        variance[variance <= ROUNDING * square] = 0
        return np.stack([mean, np.sqrt(variance)], dtype=np.float32)

    def _entropy(self, channel: str) -> np.ndarray:
        low, high = self.value_range
        steps = np.float32(histograms.BINS / (high - low))
        bins = np.clip((self.sources.channel(channel) - np.float32(low)) * steps, 0, histograms.BINS - 1)
        total = math.prod(2 * radius + 1 for radius in self.radii)
        shares = np.arange(total + 1) / total
        terms = -shares * np.log2(np.maximum(shares, 1 / total))
        return histograms.local_entropy(bins.astype(np.uint8), self.radii, terms)

    def _median(self, channel: str) -> np.ndarray:
        values, ranks = np.unique(self.sources.channel(channel), return_inverse=True)
        ranks = ranks.reshape(self.sources.volume).astype(np.int32)
        return values[histograms.local_median(ranks, self.radii, values.size)]

    def _color(self) -> np.ndarray:
        red, green, blue = (self._gaussian(name).reshape(-1) for name in RGB)
        light, root = color_tables()
        planes = colors.color_planes(red, green, blue, light, root)
        return planes.reshape(len(COLORS), *self.sources.volume)


@cache
def color_tables() -> tuple[np.ndarray, np.ndarray]:
    """Light of sRGB values, and the root in Lab of the light, both at equal steps from 0 to 1, float32."""
    value = np.linspace(0, 1, LIGHT_STEPS + 1)
    light = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    value = np.linspace(0, 1, ROOT_STEPS + 1)
    root = np.where(value > 0.008856, np.cbrt(value), 7.787 * value + 16 / 116)
    return light.astype(np.float32), root.astype(np.float32)
