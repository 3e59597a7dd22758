"""What the decoders share: the request, the answer, and the checks between header and pixels."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ReadError
from ..geometry import UNKNOWN, Geometry
from .source import MAX_PIXELS

# OpenCV's own limits (CV_IO_MAX_IMAGE_PIXELS and _WIDTH): above them it refuses, with noise, and Pillow is
# asked
_OPENCV_PIXELS, _OPENCV_SIDE = 2**30, 2**20


@dataclass(frozen=True)
class Request:
    """What is wanted of a file, passed to the decoder of its format."""

    name: str
    page: int | None = None
    max_pixels: int = MAX_PIXELS
    stored: bool = False  # values as stored (a label map) rather than as seen: palette indices, white as 0
    ndim: int | None = None


@dataclass(frozen=True)
class Decoded:
    """What a file holds: pixels (*S, C), and the names and geometry it gives them."""

    pixels: np.ndarray
    channels: tuple[str, ...] = ()
    geometry: Geometry = UNKNOWN


def check_pixels(name: str, shape: Sequence[int], max_pixels: int, channels: int = 1) -> None:
    """Raise ``ReadError`` for a header that promises more than ``max_pixels``, before memory is taken for
    them.

    More than four channels count as several pixels, four to a pixel, so that a picture cannot hide in depth.
    """
    if min(shape, default=0) < 1 or channels < 1:
        raise ReadError(f"{name} says it has no pixels ({' x '.join(map(str, shape))}); the file is damaged")
    pixels = math.prod(int(length) for length in shape) * -(-channels // 4)
    if pixels > max_pixels:
        size = " x ".join(map(str, shape)) + (f" x {channels} channels" if channels > 4 else "")
        raise ReadError(
            f"{name} says it has {size} pixels, more than the limit of {max_pixels:,}; "
            f"if you trust it, raise the limit: --max-pixels {pixels} (max_pixels={pixels})"
        )


def damaged(name: str, kind: str, what: str) -> ReadError:
    """The error for a file that breaks its own format."""
    return ReadError(f"{name} is a damaged {kind} file: {what}; get a whole copy of it")


def first_line(error: Exception) -> str:
    """What a library says went wrong, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def pillow_array(picture: Any) -> np.ndarray:
    """The values of a Pillow picture, ours to write to. Its bits are 0 and 255 inside and become 0 and 1."""
    values = np.array(picture)
    return values.view(np.uint8) != 0 if values.dtype == bool else values


def oriented(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels (H, W, C) turned as EXIF 2.32 says: 5 to 8 swap the axes, then each may be flipped."""
    if orientation == 1:
        return pixels
    swapped, flip_y, flip_x = orientation >= 5, orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[-1] > 4:
        turned = pixels.swapaxes(0, 1) if swapped else pixels
        return np.ascontiguousarray(turned[:: -1 if flip_y else 1, :: -1 if flip_x else 1])

    import cv2  # 12 megapixels on their side in 17 ms; numpy takes 96 ms

    channels = pixels.shape[-1]
    if swapped:
        pixels = cv2.transpose(pixels)
    if flip_y or flip_x:
        pixels = cv2.flip(pixels, {(True, False): 0, (False, True): 1, (True, True): -1}[flip_y, flip_x])
    return pixels.reshape(*pixels.shape[:2], channels)


def opencv_takes(height: int, width: int) -> bool:
    """Whether the size is within OpenCV's own limits."""
    return height * width < _OPENCV_PIXELS and max(height, width) < _OPENCV_SIDE


def decode_by_opencv(data: bytes, flags: int, kind: str, name: str) -> np.ndarray:
    """Pixels as ``cv2.imdecode`` gives them. Raises ``ReadError`` where it gives none."""
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise damaged(name, kind, f"it cannot be decoded ({error.err})") from error
    if pixels is None:
        raise damaged(name, kind, "it cannot be decoded")
    return pixels


def decode_by_pillow(module: str, plugin: str, data: bytes, request: Request) -> np.ndarray:
    """Pixels (H, W, C) as Pillow's plugin for the format gives them."""
    return pillow_pixels(pillow_header(module, plugin, data, request), request)


def pillow_header(module: str, plugin: str, data: bytes, request: Request) -> Any:
    """The picture as Pillow opens it, nothing decoded, its size within the limit.

    The plugin is called itself and not through ``PIL.Image.open``, whose own limit is process-wide and lower.
    """
    from importlib import import_module

    kind = plugin.removesuffix("ImageFile").upper()
    try:
        picture = getattr(import_module(f"PIL.{module}"), plugin)(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise damaged(request.name, kind, first_line(error)) from error
    check_pixels(request.name, picture.size[::-1], request.max_pixels)
    return picture


def pillow_pixels(picture: Any, request: Request) -> np.ndarray:
    """Pixels (H, W, C) of what Pillow opened: as seen, or as stored where a label map is wanted."""
    try:
        if not request.stored:
            transparent = "transparency" in picture.info
            wanted = {
                "P": "RGBA" if transparent else "RGB",
                "PA": "RGBA",
                "CMYK": "RGB",
                "YCCK": "RGB",
                "YCbCr": "RGB",
                "LAB": "RGB",
            }
            picture = picture.convert(wanted.get(picture.mode, picture.mode))
        pixels = pillow_array(picture)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        raise damaged(request.name, str(picture.format), first_line(error)) from error
    return pixels.reshape(*pixels.shape[:2], -1)


def exif_orientation(exif: bytes | None) -> int:
    """The EXIF orientation 1..8 of the first directory; 1, as it lies, when there is none that makes sense.

    Read by hand: one tag of a TIFF directory, where Pillow would warn aloud about broken ones.
    """
    block = (exif or b"").removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", block, entry)
            if tag == 0x0112 and kind == 3 and 1 <= value <= 8:
                return value
    except struct.error:  # points outside itself; the pixels are still good
        pass
    return 1
