"""The size of an image from the first bytes of its file."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from ..errors import ReadError
from . import read
from .decoding import Request, exif_orientation
from .raster import jpeg_header
from .source import opened

_HEAD = 4096  # one page; holds the header of a PNG, and of a JPEG without preview or profile
_MORE = 1 << 18


def image_size(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Size of the image that ``io.read`` gives, (H, W) or (D, H, W), turned as EXIF asks.

    PNG, JPEG, TIFF and NIfTI say it in their headers; other files are read whole. Raises ``ReadError`` as ``io.read``
    does, but a file whose beginning is whole may be damaged further on.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise ReadError(f"{path} cannot be opened: {error.strerror or error}") from error
    try:
        head = os.read(handle, _HEAD)
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            size = _png_size(head)
        elif head.startswith(b"\xff\xd8\xff"):
            size = _jpeg_size(head) or _jpeg_size(head + os.read(handle, _MORE))
        else:
            size = None
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    finally:
        os.close(handle)
    if size is not None:
        return size
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        from .tiff import tiff_extent

        with opened(path) as (file, name):
            return tiff_extent(file, Request(name))[0]
    if os.fspath(path).lower().endswith((".nii", ".nii.gz")):
        from .medical import read_nifti_header

        return read_nifti_header(path).shape
    return read(Path(path)).shape


def _png_size(head: bytes) -> tuple[int, int] | None:
    """None where the chunks before the pixels are longer than ``head``: one of them may turn the image."""
    position = 8
    while position + 8 <= len(head):
        length, kind = struct.unpack_from(">I4s", head, position)
        if kind == b"IDAT":
            width, height = struct.unpack_from(">II", head, 16)
            return height, width
        if kind == b"eXIf":
            return None
        position += 12 + length
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """None where the segments before the pixels are longer than ``head``."""
    try:
        header = jpeg_header(head, "")
    except ReadError:
        return None
    turned = exif_orientation(header.exif) >= 5
    return (header.width, header.height) if turned else (header.height, header.width)
