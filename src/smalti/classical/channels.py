"""Steps on the channels of an image before a method: one grey, some of them, or colour in another space."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from ..errors import InputError, unknown_name
from ..image import Image
from ..segmenter import ImageStep
from .color_range import SPACES, to_color_space
from .grey import check_finite, check_ndim, full_scale, grey_plane


class GreyStep(ImageStep):
    """Red, green and blue as one channel, their luma (BT.601); others go. Keeps the dtype; bool becomes uint8."""

    name: ClassVar[str] = "grey"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "ITU-R BT.601, as in OpenCV and Pillow"

    def apply(self, image: Image) -> Image:
        """The image with the one channel ``grey``; raises ``InputError`` for channels that are no colours."""
        check_ndim(image, self.name, self.ndims)
        return image.with_pixels(grey_plane(image.without_alpha(), "grey")[..., np.newaxis], ("grey",))


def _named(value: object) -> object:
    """Names as a person types them, ``red,green``."""
    return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"each channel can be taken once, got {', '.join(names)}")
    return names


class ChannelsStep(ImageStep):
    """Some channels of an image, in the order they are asked for, such as ``channels:names=red``."""

    name: ClassVar[str] = "channels"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "selection by name"

    names: Annotated[tuple[str, ...], BeforeValidator(_named), AfterValidator(_different)] = Field(
        ("red", "green", "blue"), min_length=1, description="The names of the channels to keep, in order."
    )

    def apply(self, image: Image) -> Image:
        """The image with these channels; raises ``UnknownName`` for one it does not have."""
        check_ndim(image, self.name, self.ndims)
        for name in self.names:
            if name not in image.channels:
                raise unknown_name("channel", name, image.channels)
        kept = [image.channels.index(name) for name in self.names]
        return image.with_pixels(image.pixels[..., kept], self.names)


class ColorSpaceStep(ImageStep):
    """Colour in another space, float32: hue (degrees), saturation, value, or lightness, a, b.

    The new channels bear these names.
    Integers are divided by the highest value of their type first; floats must lie in 0..1.
    """

    name: ClassVar[str] = "color-space"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "CIE 015: Colorimetry (2018); Smith, Color gamut transform pairs, SIGGRAPH (1978)"

    space: Literal["hsv", "lab"] = Field(
        "hsv",
        description="hsv: hue, saturation, value; lab: lightness, a, b.",
    )
    keep: bool = Field(
        False,
        description="Whether red, green and blue stay, with their values, before the new ones.",
    )

    def apply(self, image: Image) -> Image:
        """The image with the new channels, in place of red, green and blue or after all others."""
        check_ndim(image, self.name, self.ndims)
        if image.channels[:3] != ("red", "green", "blue"):
            raise InputError(
                f"color-space takes red, green and blue, got channels {', '.join(image.channels)}"
            )
        colors = to_color_space(full_scale(check_finite(image.pixels[..., :3]), np.float32), self.space)
        names = tuple(channel for channel, _, _ in SPACES[self.space])
        kept = image.channels if self.keep else image.channels[3:]
        old = image.pixels[..., image.num_channels - len(kept) :].astype(np.float32)
        if self.keep:
            return image.with_pixels(np.concatenate([old, colors], axis=-1), (*kept, *names))
        return image.with_pixels(np.concatenate([colors, old], axis=-1), (*names, *kept))
