"""An image: pixels as they came, named channels, and where they lie in the world."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .errors import InputError, unknown_name
from .geometry import UNKNOWN, Geometry

_CHANNEL_NAMES = {
    1: ("grey",),
    2: ("grey", "alpha"),
    3: ("red", "green", "blue"),
    4: ("red", "green", "blue", "alpha"),
}


def default_channels(count: int) -> tuple[str, ...]:
    """Names for ``count`` channels nobody has named: grey, red-green-blue (-alpha), or by number."""
    return _CHANNEL_NAMES.get(count) or tuple(f"channel_{index}" for index in range(count))


@dataclass(frozen=True, eq=False)
class Image:
    """The pixels of one image, ``(H, W, C)`` or ``(D, H, W, C)``, in the dtype they came in.

    Nothing is rescaled or reordered. ``channels`` names the last axis; ``source`` says where it came from.
    Raises ``InputError`` for empty, complex or non-numeric pixels and for names that do not fit.
    """

    pixels: np.ndarray
    channels: tuple[str, ...] = ()
    geometry: Geometry = field(default=UNKNOWN)
    source: str | None = None

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels)
        if pixels.ndim not in (3, 4):
            raise InputError(
                f"pixels must be (H, W, C) or (D, H, W, C), got shape {pixels.shape}; "
                "Image.from_array adds the channel axis of a grey array"
            )
        if pixels.dtype.kind not in "buif":
            raise InputError(f"pixels must be bool, integer or float, got {pixels.dtype}")
        if pixels.dtype.itemsize > 8:
            raise InputError(f"pixels of {pixels.dtype} are not taken; convert them to float64")
        if 0 in pixels.shape:
            raise InputError(f"an image needs at least one pixel and one channel, got shape {pixels.shape}")
        channels = tuple(self.channels) or default_channels(pixels.shape[-1])
        if len(channels) != pixels.shape[-1] or len(set(channels)) != len(channels):
            raise InputError(
                f"{pixels.shape[-1]} channels need as many different names, got {', '.join(channels)}"
            )
        self.geometry.check_ndim(pixels.ndim - 1)
        object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "channels", channels)

    @classmethod
    def from_array(
        cls,
        array: np.ndarray,
        ndim: int = 2,
        channels: tuple[str, ...] = (),
        geometry: Geometry = UNKNOWN,
        source: str | None = None,
    ) -> Image:
        """An image of ``ndim`` spatial axes: a grey array has just these, a colour one has channels last.

        Whether ``(30, 512, 512)`` is a volume or a picture of 512 channels is not guessed: ``ndim`` says it.
        """
        array = np.asarray(array)
        if array.ndim == ndim:
            array = array[..., np.newaxis]
        if array.ndim != ndim + 1:
            raise InputError(
                f"an image of {ndim} spatial axes has {ndim} or {ndim + 1} axes, got shape {array.shape}; "
                f"{'say ndim=3 for a volume' if ndim == 2 else 'say ndim=2 for a picture'}"
            )
        return cls(array, channels, geometry, source)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along the spatial axes, ``(H, W)`` or ``(D, H, W)``."""
        return self.pixels.shape[:-1]

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return self.pixels.ndim - 1

    @property
    def num_channels(self) -> int:
        """Length of the last axis."""
        return self.pixels.shape[-1]

    def channel(self, name: str) -> np.ndarray:
        """The pixels of one channel, ``(*S,)``, as a view. Raises ``UnknownName``."""
        if name not in self.channels:
            raise unknown_name("channel", name, self.channels)
        return self.pixels[..., self.channels.index(name)]

    def without_alpha(self) -> Image:
        """The image without its channel ``alpha``, which says what is shown and not what is there, if it has others."""
        if "alpha" not in self.channels or self.num_channels == 1:
            return self
        at = self.channels.index("alpha")
        channels = self.channels[:at] + self.channels[at + 1 :]
        if at == len(channels):  # a view: the image may be large
            return replace(self, pixels=self.pixels[..., :at], channels=channels)
        return replace(self, pixels=np.delete(self.pixels, at, axis=-1), channels=channels)

    def with_pixels(self, pixels: np.ndarray, channels: tuple[str, ...] | None = None) -> Image:
        """The same place in the world with other ``pixels`` (*S, C), as a filter makes them."""
        if pixels.shape[:-1] != self.shape:
            raise InputError(f"new pixels must cover {self.shape}, got {pixels.shape[:-1]}")
        if channels is None:
            channels = self.channels if pixels.shape[-1] == self.num_channels else ()
        return replace(self, pixels=pixels, channels=channels)

    def __repr__(self) -> str:
        size = " x ".join(str(length) for length in self.shape)
        return f"Image({size}, {self.num_channels} channels {self.pixels.dtype}, spacing {self.geometry})"
