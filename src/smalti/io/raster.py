"""Reading PNG, JPEG, WebP, BMP, GIF, TIFF and ``.npy`` into an ``Image``.

Headers are read and checked here, before memory is taken. Pixels are decoded by OpenCV where it gives what
the file holds (a 12-megapixel JPEG in 58 ms against Pillow's 112 ms), else by Pillow (palettes, CMYK, BMP,
GIF), tifffile or numpy.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..errors import ReadError
from ..geometry import Geometry
from ..image import Image, default_channels
from .decoding import (
    Decoded,
    Request,
    check_pixels,
    damaged,
    decode_by_opencv,
    decode_by_pillow,
    exif_orientation,
    first_line,
    opencv_takes,
    oriented,
    pillow_header,
    pillow_pixels,
)
from .png import decode_png
from .source import MAX_PIXELS, Source, opened, peek, signature, unreadable

MAX_CHANNELS_LAST = 16
"""Longest last axis of a 3-axis ``.npy`` that is taken for channels; a longer one is the x of a volume."""


def read_image(
    source: Source,
    *,
    page: int | None = None,
    max_pixels: int = MAX_PIXELS,
    spacing: Geometry | str | None = None,
    ndim: int | None = None,
) -> Image:
    """The image in a path, bytes or a binary file; its format is known by its first bytes, not by its name.

    The dtype is the file's and values are not rescaled: 16 bits stay 16, 1 bit becomes bool. (PNG greys of 2
    and 4 bits are widened to 8 as the format defines them.) Palettes become RGB or RGBA, CMYK becomes RGB,
    and the EXIF orientation is applied, so that the picture is as people see it. Of an animation the first
    frame is read.

    ``page`` (from 0) reads one page of a TIFF; without it the pages are a volume (D, H, W, C). ``spacing``,
    such as ``"0.5um"``, overrides the file's. Only TIFF's own resolution is taken for a spacing: in PNG and
    JPEG it is a printing hint that cameras and editors fill with 72 or 96 dpi whatever was photographed.
    ``ndim`` says how many axes of a ``.npy`` are spatial; without it three axes are (H, W, C) when the last
    is at most 16 long, else (D, H, W).

    Raises ``ReadError``: no file, empty, cut short, damaged, of another format, complex or object values, or
    more than ``max_pixels`` in the header.
    """
    with opened(source) as (file, name):
        decoded = decode(file, Request(name, page, max_pixels, ndim=ndim))
    pixels = decoded.pixels
    geometry = decoded.geometry
    if spacing is not None:
        geometry = Geometry.parse(spacing, pixels.ndim - 1) if isinstance(spacing, str) else spacing
    return Image(pixels, decoded.channels or default_channels(pixels.shape[-1]), geometry, name)


def decode(file: BinaryIO, request: Request) -> Decoded:
    """The contents of an open file, by the decoder of whatever its first bytes say it is."""
    head = peek(file)
    kind = signature(head)
    decoder = _DECODERS.get(kind or "")
    if decoder is None:
        raise unreadable(request.name, head)
    if request.page is not None and request.page != 0 and kind != "tif":
        raise ReadError(
            f"page {request.page} of {request.name} was wanted; only TIFF has pages: leave page out"
        )
    try:
        return decoder(file, request)
    except MemoryError as error:
        raise ReadError(f"{request.name} does not fit into memory; read one page or a crop of it") from error
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{request.name} cannot be read: {error}") from error
    except Exception as error:  # decoders raise a dozen kinds on damaged files
        raise damaged(request.name, (kind or "").upper(), first_line(error)) from error


# JPEG

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_BETWEEN_SCANS = (0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE)  # tables, the next scan, the height, a comment


@dataclass(frozen=True)
class JpegHeader:
    """What stands before the pixels of a JPEG."""

    height: int
    width: int
    components: tuple[tuple[int, int], ...]  # sampling factors of each, across and down
    exif: bytes | None
    baseline: bool
    scans: int  # where the first begins

    @property
    def blocks(self) -> int:
        """Number of 8 x 8 blocks that are coded, at least: without the padding to whole units."""
        most_x, most_y = (max(factors) for factors in zip(*self.components, strict=True))
        return sum(
            -(-self.width * x // (8 * most_x)) * -(-self.height * y // (8 * most_y))
            for x, y in self.components
        )


def _jpeg(file: BinaryIO, request: Request) -> Decoded:
    name = request.name
    data = file.read()
    header = jpeg_header(data, name)
    check_pixels(name, (header.height, header.width), request.max_pixels)
    _check_scans(data, header, name)
    orientation = exif_orientation(header.exif)
    components = len(header.components)
    if components not in (1, 3) or not opencv_takes(header.height, header.width):
        pixels = decode_by_pillow("JpegImagePlugin", "JpegImageFile", data, request)
    else:
        import cv2

        flags = cv2.IMREAD_GRAYSCALE if components == 1 else cv2.IMREAD_COLOR_RGB
        pixels = decode_by_opencv(data, flags | cv2.IMREAD_IGNORE_ORIENTATION, "JPEG", name)
        pixels = pixels.reshape(header.height, header.width, -1)
    return Decoded(oriented(pixels, orientation))


def jpeg_header(data: bytes, name: str) -> JpegHeader:
    """What the segments before the first scan say."""
    position, size, exif = 2, None, None
    components: tuple[tuple[int, int], ...] = ()
    baseline = False
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise damaged(name, "JPEG", f"no marker at byte {position}")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) >= 6:
            size = struct.unpack(">HH", body[1:5])
            baseline = marker in (0xC0, 0xC1)
            components = tuple((body[at] >> 4, body[at] & 15) for at in range(7, len(body), 3))
            if len(components) != body[5] or not all(x and y for x, y in components):
                raise damaged(name, "JPEG", "its components are not described")
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and exif is None:
            exif = body
        elif marker == 0xDA:
            if size is None:
                raise damaged(name, "JPEG", "its size is missing")
            height, width = size
            return JpegHeader(height, width, components, exif, baseline, position)
        position += 2 + length
    raise damaged(name, "JPEG", f"it is cut short after {len(data)} bytes, its end is missing")


def _check_scans(data: bytes, header: JpegHeader, name: str) -> None:
    """Raise ``ReadError`` for scans that do not reach an end, or are too short for the pixels.

    Decoders fill what is missing of a cut JPEG with grey and only warn. Inside the coded pixels FF is followed
    by 0 or a restart (D0 to D7), so the next marker ends the scan. A block takes 2 bits at least in a baseline
    JPEG, where progressive ones pass over many blocks at once. Damage that leaves the markers and most of the
    bytes there is not found.
    """
    position, coded = header.scans, 0
    while True:
        begin = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        found = _JPEG_MARKER.search(data, begin)
        if found is None:
            break
        marker = data[found.start() + 1]
        if data[position + 1] == 0xDA:
            coded += found.start() - begin
        elif data[begin : found.start()].strip(b"\xff"):  # fill bytes may stand before a marker
            raise damaged(name, "JPEG", f"no marker at byte {begin}")
        if marker == 0xD9:
            if header.baseline and 8 * coded < 2 * header.blocks:
                raise damaged(name, "JPEG", f"{coded} bytes cannot code its {header.blocks} blocks")
            return
        if not (marker in _BETWEEN_SCANS or 0xE0 <= marker <= 0xEF):
            raise damaged(name, "JPEG", f"the marker FF {marker:02X} at byte {found.start()} is out of place")
        position = found.start()
    raise damaged(name, "JPEG", f"it is cut short after {len(data)} bytes, its end is missing")


# WebP, BMP, GIF


def _webp(file: BinaryIO, request: Request) -> Decoded:
    data = file.read()
    # RIFF: the length counts what follows it, chunks padded to even lengths; the last pad byte is often left
    # out
    if len(data) < 8 + int.from_bytes(data[4:8], "little") - 1:
        raise damaged(request.name, "WebP", f"it is cut short after {len(data)} bytes")
    header = pillow_header("WebPImagePlugin", "WebPImageFile", data, request)
    exif = header.info.get("exif")
    if getattr(header, "is_animated", False):
        pixels = pillow_pixels(header, request)
    else:
        import cv2

        pixels = decode_by_opencv(data, cv2.IMREAD_UNCHANGED, "WebP", request.name)
        order = cv2.COLOR_BGRA2RGBA if pixels.shape[-1] == 4 else cv2.COLOR_BGR2RGB
        cv2.cvtColor(pixels, order, dst=pixels)
    return Decoded(oriented(pixels, exif_orientation(exif)))


def _bmp(file: BinaryIO, request: Request) -> Decoded:
    return Decoded(decode_by_pillow("BmpImagePlugin", "BmpImageFile", file.read(), request))


def _gif(file: BinaryIO, request: Request) -> Decoded:
    return Decoded(decode_by_pillow("GifImagePlugin", "GifImageFile", file.read(), request))


# TIFF and .npy


def _tiff(file: BinaryIO, request: Request) -> Decoded:
    from .tiff import decode_tiff

    return decode_tiff(file, request)


def _npy(file: BinaryIO, request: Request) -> Decoded:
    name = request.name
    try:
        version = np.lib.format.read_magic(file)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(file)
    except Exception as error:  # numpy raises what Python's own parser makes of a damaged header
        raise damaged(name, ".npy", first_line(error)) from error
    if dtype.hasobject or dtype.kind not in "buif":
        raise ReadError(f"{name} holds {dtype}, wanted bool, integers or floats; save its numbers alone")
    if dtype.itemsize > 8:
        raise ReadError(f"{name} holds {dtype}, wanted 64 bits at most; save it as float64")
    if any(isinstance(length, bool) for length in shape):  # True is an int to numpy's reader
        raise damaged(name, ".npy", f"its shape is {shape}")
    ndim = request.ndim or _npy_ndim(shape, request.stored)
    if ndim not in (2, 3) or len(shape) not in (ndim, ndim + 1):
        axes = "(H, W) or (D, H, W)" if request.stored else "(H, W), (H, W, C), (D, H, W) or (D, H, W, C)"
        raise ReadError(f"{name} holds an array of shape {shape}, wanted {axes}")
    check_pixels(name, shape[:ndim], request.max_pixels, shape[ndim] if len(shape) > ndim else 1)
    wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
    start = file.tell()
    if file.seek(0, io.SEEK_END) - start < wanted:
        raise damaged(name, ".npy", f"it is cut short, {wanted} bytes of values were promised")
    file.seek(0)
    pixels = np.load(file, allow_pickle=False)
    if pixels.ndim == ndim:
        pixels = pixels[..., np.newaxis]
    return Decoded(pixels.astype(dtype.newbyteorder("="), order="C", copy=False))


def _npy_ndim(shape: tuple[int, ...], stored: bool) -> int:
    if stored:
        return len(shape)
    return 2 if len(shape) < 3 or (len(shape) == 3 and shape[-1] <= MAX_CHANNELS_LAST) else 3


_DECODERS: dict[str, Callable[[BinaryIO, Request], Decoded]] = {
    "png": decode_png,
    "jpg": _jpeg,
    "webp": _webp,
    "bmp": _bmp,
    "gif": _gif,
    "tif": _tiff,
    "npy": _npy,
}
