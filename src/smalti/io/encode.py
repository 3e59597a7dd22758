"""Writing an ``Image`` into PNG, JPEG, WebP, BMP, TIFF and ``.npy``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError, WriteError, unknown_name
from ..image import Image
from .writing import replacing

# Level 6, zlib's own choice, takes twice as long as 3 for a fifth less.
PNG_LEVEL = 3
JPEG_QUALITY = 95


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write ``image`` in the format of the path's suffix, whole or not at all.

    Without loss except in JPEG. Only TIFF keeps the spacing; only TIFF and ``.npy`` hold volumes, floats and
    any number of channels. Raises ``InputError`` for an image that the format cannot hold, naming formats
    that can, and ``WriteError`` for a place that cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _ENCODERS:
        raise unknown_name("image format to write", suffix or Path(path).name, _ENCODERS)
    native = image.pixels.dtype.newbyteorder("=")
    image = image.with_pixels(image.pixels.astype(native, copy=False))
    with replacing(path) as partial, partial.open("wb") as file:
        _ENCODERS[suffix](file, image)


def encode_label_png(labels: np.ndarray) -> bytes:
    """PNG of a label map (H, W) uint16, without the row filters that PNG has for photographs.

    Of 14,400 cells on 4096² it takes 0.11 s to write and 0.05 s to read (with filters 0.29 s and 0.11 s) and is
    as large, 2.0 MB.
    """
    import cv2

    return _opencv(".png", labels, [*_png_options(), cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE])


def _png_options() -> list[int]:
    import cv2

    level = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
    return [*level, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]


def _png(file: BinaryIO, image: Image) -> None:
    _check(image, "PNG", {"bool": (1,), "uint8": (1, 2, 3, 4), "uint16": (1, 3, 4)})
    pixels = image.pixels
    if pixels.dtype == bool or image.num_channels == 2:
        from PIL import Image as PillowImage

        PillowImage.fromarray(pixels[..., 0] if pixels.dtype == bool else pixels).save(
            file, "PNG", compress_level=PNG_LEVEL
        )
    else:
        file.write(_opencv(".png", _opencv_order(pixels), _png_options()))


def _jpeg(file: BinaryIO, image: Image) -> None:
    import cv2

    _check(image, "JPEG", {"uint8": (1, 3)})
    file.write(_opencv(".jpg", _opencv_order(image.pixels), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]))


def _webp(file: BinaryIO, image: Image) -> None:
    import cv2

    _check(image, "WebP", {"uint8": (3, 4)})
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101]  # above 100 OpenCV takes it for lossless
    file.write(_opencv(".webp", _opencv_order(image.pixels), lossless))


def _bmp(file: BinaryIO, image: Image) -> None:
    _check(image, "BMP", {"uint8": (1, 3)})
    file.write(_opencv(".bmp", _opencv_order(image.pixels), []))


def _tiff(file: BinaryIO, image: Image) -> None:
    from .tiff import encode_tiff

    encode_tiff(file, image)


def _npy(file: BinaryIO, image: Image) -> None:
    np.save(file, image.pixels, allow_pickle=False)


def _check(image: Image, format: str, held: dict[str, tuple[int, ...]]) -> None:
    """Raise ``InputError`` unless ``held`` lists the image's dtype and number of channels."""
    dtype, count = str(image.pixels.dtype), image.num_channels
    if image.ndim != 2:
        raise InputError(f"{format} holds no volume of {image.shape}; write .tif or .npy")
    if count not in held.get(dtype, ()):
        wanted = " or ".join(f"{name} of {', '.join(map(str, counts))}" for name, counts in held.items())
        raise InputError(
            f"{format} holds {wanted} channels, got {dtype} of {count}; write .tif or .npy, which hold it"
        )
    if count in (2, 4) and image.channels[-1] != "alpha":
        raise InputError(
            f"{format} takes the last of {count} channels for alpha, got {', '.join(image.channels)}; "
            "write .tif"
        )


def _opencv_order(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    return pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]


def _opencv(suffix: str, pixels: np.ndarray, options: list[int]) -> bytes:
    import cv2

    try:
        encoded, content = cv2.imencode(suffix, pixels, options)
    except cv2.error as error:
        raise WriteError(f"{suffix} could not be written: {error.err}; write .tif or .npy") from error
    if not encoded:
        raise WriteError(f"{suffix} cannot hold {pixels.shape} pixels; write .tif or .npy")
    return content.tobytes()


_ENCODERS: dict[str, Callable[[BinaryIO, Image], None]] = {
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".webp": _webp,
    ".bmp": _bmp,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".npy": _npy,
}
