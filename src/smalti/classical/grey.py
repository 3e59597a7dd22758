"""From an image to the grey or colour planes a method works on, and from a mask to its pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..errors import InputError
from ..image import Image

Polarity = Literal["bright", "dark"]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey: ITU-R BT.601, as in OpenCV and Pillow."""


def check_ndim(image: Image, name: str, ndims: Sequence[int]) -> None:
    """Raise ``InputError`` unless the method called ``name`` works on images of this many axes."""
    if image.ndim not in ndims:
        wanted = " or ".join(f"{ndim}-D" for ndim in ndims)
        hint = "choose one slice of the volume (--page)" if image.ndim == 3 else "give it a volume"
        raise InputError(f"{name} takes {wanted} images, got {image.ndim}-D; {hint}")


def check_finite(pixels: np.ndarray) -> np.ndarray:
    """The pixels themselves, in this machine's byte order; ``InputError`` when any of them is NaN or infinite."""
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)  # compiled loops know no other
    if pixels.dtype.kind == "f":
        bad = pixels.size - int(np.isfinite(pixels).sum())
        if bad:
            raise InputError(
                f"{bad} of {pixels.size} pixels are NaN or infinite; fill them first, for example with numpy.nan_to_num"
            )
    return pixels


def grey_plane(image: Image, channel: str) -> np.ndarray:
    """One number per pixel, (*S,), on the image's own scale.

    ``channel`` names a channel of the image, or is "grey": the only channel there is, or the luma (BT.601) of red,
    green and blue. Any other set of channels is not guessed at: ``InputError`` asks for a name. Integers stay
    integers (luma rounded), bool becomes uint8.
    """
    if channel in image.channels:
        plane = image.channel(channel)
    elif channel == "grey" and image.num_channels == 1:
        plane = image.pixels[..., 0]
    elif channel == "grey" and image.channels[:3] == ("red", "green", "blue"):
        colors = check_finite(image.pixels[..., :3])
        luma = colors @ np.array(LUMA, np.float64 if colors.dtype.itemsize > 2 else np.float32)
        plane = luma if colors.dtype.kind == "f" else np.rint(luma).astype(colors.dtype)
    else:
        raise InputError(
            f"the image has {image.num_channels} channels ({', '.join(image.channels)}); "
            f"{'choose one of them: ' if channel == 'grey' else f'none is called {channel!r}: '}channel=NAME"
        )
    plane = check_finite(plane)
    return plane.view(np.uint8) if plane.dtype == bool else plane


def color_planes(image: Image) -> np.ndarray:
    """All colour information per pixel, (*S, C): every channel but alpha, finite, dtype as it came."""
    kept = [index for index, name in enumerate(image.channels) if name != "alpha"]
    return check_finite(image.pixels[..., kept])


def rgb_planes(image: Image, name: str) -> np.ndarray:
    """Red, green and blue, (H, W, 3), for a method defined on colour; a grey image is repeated thrice."""
    if image.channels[:3] == ("red", "green", "blue"):
        return check_finite(image.pixels[..., :3])
    if image.num_channels == 1:
        return check_finite(np.repeat(image.pixels, 3, axis=-1))
    raise InputError(
        f"{name} takes colour (red, green, blue) or grey images, got channels {', '.join(image.channels)}"
    )


ROUNDING = 1e-5
"""Floats this far outside 0..1 are there by rounding, as after a blur, and are taken as 0 or 1."""


def check_full_scale(pixels: np.ndarray) -> np.ndarray:
    """The pixels themselves, where their dtype says what full scale is; floats a rounding outside 0..1 are clipped.

    Raises ``InputError`` for floats outside 0..1, whose white nobody has named, and for negative integers.
    """
    if pixels.dtype.kind in "bu":
        return pixels
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind == "i":
        if low < 0:
            raise InputError(
                f"pixels of type {pixels.dtype} must lie in 0..{np.iinfo(pixels.dtype).max}, got {low}..{high}; "
                "shift them to 0 or more first"
            )
        return pixels
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise InputError(
            f"pixels of type {pixels.dtype} must lie in 0..1, got {low:g}..{high:g}; divide them by their white "
            "first (255 for values of 8 bits), or give them as integers"
        )
    return pixels if low >= 0 and high <= 1 else np.clip(pixels, 0, 1)


def full_scale(pixels: np.ndarray, dtype: type[np.floating] = np.float64) -> np.ndarray:
    """The same pixels on the scale 0..1 on which an algorithm is defined: the rule is the dtype's, not the image's.

    Integers are divided by the largest value of their dtype, bool is 0 and 1, and floats must be on that scale
    already; none of them is stretched to the range it happens to have. Raises as ``check_full_scale`` does.
    """
    pixels = check_full_scale(pixels)
    if pixels.dtype.kind not in "ui":
        return pixels.astype(dtype)
    wide = np.float64 if pixels.dtype.itemsize > 2 else dtype  # float32 does not hold all of int32
    return (pixels.astype(wide) / wide(np.iinfo(pixels.dtype).max)).astype(dtype, copy=False)


def eight_bit(colors: np.ndarray) -> np.ndarray:
    """Colours for an algorithm that exists for 8 bits only: full scale 0..1 to 0..255, rounded."""
    if colors.dtype == np.uint8:
        return np.ascontiguousarray(colors)
    return np.rint(full_scale(colors) * 255).astype(np.uint8)


def pieces(mask: np.ndarray, connectivity: int = 1, min_area_px: int = 1) -> np.ndarray:
    """Connected pieces of a bool mask (*S,), numbered 1..N in scan order, (*S,) int32.

    ``connectivity`` is the number of axes one step may move along: in 2-D, 1 joins over edges (4 neighbours) and
    2 over corners too (8); in 3-D, 1, 2, 3 give 6, 18 and 26. Pieces below ``min_area_px`` pixels are dropped.
    """
    if mask.ndim == 2:
        import cv2

        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            mask.view(np.uint8), connectivity=4 if connectivity == 1 else 8, ltype=cv2.CV_32S
        )
        areas = stats[:, cv2.CC_STAT_AREA]
    else:
        from scipy import ndimage

        footprint = ndimage.generate_binary_structure(mask.ndim, min(connectivity, mask.ndim))
        labels, _ = ndimage.label(mask, footprint, output=np.int32)
        areas = np.bincount(labels.reshape(-1))
    kept = areas >= min_area_px
    kept[0] = False
    if kept[1:].all():
        return labels
    return (np.cumsum(kept) * kept).astype(np.int32)[labels]
