"""Reading PNG, JPEG, WebP, BMP, GIF, TIFF and ``.npy`` into an ``Image``.

Headers are read and checked here, before memory is taken. Pixels are decoded by OpenCV where it gives what
the file holds (a 12-megapixel JPEG in 58 ms against Pillow's 112 ms; 16-bit PNG labels 4096² in 112 against
149 ms), else by Pillow (palettes, CMYK, BMP, GIF), tifffile or numpy.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ..errors import ReadError
from ..geometry import Geometry
from ..image import Image, default_channels
from .decoding import Decoded, Request, check_pixels, damaged, first_line, oriented, pillow_array
from .source import MAX_PIXELS, Source, opened, peek, signature, unreadable

# OpenCV's own limits (CV_IO_MAX_IMAGE_PIXELS and _WIDTH): above them it refuses, with noise, and Pillow is
# asked
_OPENCV_PIXELS, _OPENCV_SIDE = 2**30, 2**20

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


# PNG


def _png(file: BinaryIO, request: Request) -> Decoded:
    name = request.name
    head = file.read(29)
    if len(head) < 29 or head[12:16] != b"IHDR":
        raise damaged(name, "PNG", "its header is cut short")
    width, height, depth, color_type = struct.unpack(">IIBB", head[16:26])
    check_pixels(name, (height, width), request.max_pixels)
    file.seek(0)
    data, chunks = _png_parts(file.read(), name)
    orientation = _orientation(chunks.get(b"eXIf"))
    if color_type == 3:
        return Decoded(oriented(_pillow("PngImagePlugin", "PngImageFile", data, request), orientation))
    if not _opencv_takes(height, width):
        if depth == 16 and color_type != 0:
            raise ReadError(f"{name} has {height} x {width} pixels of 16-bit colour; convert it to TIFF")
        return Decoded(oriented(_pillow("PngImagePlugin", "PngImageFile", data, request), orientation))

    import cv2

    if color_type in (0, 2):
        flags = cv2.IMREAD_GRAYSCALE if color_type == 0 else cv2.IMREAD_COLOR_RGB
        pixels = _opencv(data, flags | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION, "PNG", name)
    else:  # grey and alpha comes as blue, green, red, alpha with three equal colours
        pixels = _opencv(data, cv2.IMREAD_UNCHANGED, "PNG", name)
        if color_type == 4:
            pixels = np.ascontiguousarray(pixels[..., [0, 3]])
        else:
            cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA, dst=pixels)
    pixels = pixels.reshape(height, width, -1)
    widened = {2: 85, 4: 17}.get(depth, 1)  # a grey of 2 or 4 bits times this fills 8
    if depth == 1:
        pixels = pixels != 0
    elif request.stored:
        if widened > 1:
            pixels //= widened
    elif b"tRNS" in chunks and color_type in (0, 2):  # one colour stands for transparent
        key = np.frombuffer(chunks[b"tRNS"], ">u2").astype(pixels.dtype) * pixels.dtype.type(widened)
        opaque = (pixels != key).any(axis=-1, keepdims=True)
        alpha = opaque.astype(pixels.dtype) * np.iinfo(pixels.dtype).max
        pixels = np.concatenate([pixels, alpha], axis=-1)
    return Decoded(oriented(pixels, orientation))


def _png_parts(data: bytes, name: str) -> tuple[bytes, dict[bytes, bytes]]:
    """The PNG without what does not bear on pixels, and the contents of its eXIf and tRNS chunks.

    Every chunk must be there, whole, up to IEND. The check sums are verified here (1 ms a megabyte), and profiles,
    comments and animations left out, because libpng prints what it finds wrong with them.
    """
    view = memoryview(data)
    kept, found = [view[:8]], {}
    position, kind, dropped = 8, b"", False
    while kind != b"IEND":
        if position + 12 > len(data):
            raise damaged(name, "PNG", "it is cut short, its end (IEND) is missing")
        kind = data[position + 4 : position + 8]
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            raise damaged(name, "PNG", f"it is cut short after {len(data)} bytes")
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise damaged(name, "PNG", f"the check sum at byte {end} is wrong")
        if kind in (b"eXIf", b"tRNS"):
            found[kind] = data[position + 8 : end]
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(view[position : end + 4])
        else:
            dropped = True
        position = end + 4
    return (b"".join(kept) if dropped else data), found


# JPEG


@dataclass(frozen=True)
class _JpegHeader:
    height: int
    width: int
    components: int
    exif: bytes | None


def _jpeg(file: BinaryIO, request: Request) -> Decoded:
    name = request.name
    data = file.read()
    header = _jpeg_header(data, name)
    check_pixels(name, (header.height, header.width), request.max_pixels)
    orientation = _orientation(header.exif)
    if header.components not in (1, 3) or not _opencv_takes(header.height, header.width):
        pixels = _pillow("JpegImagePlugin", "JpegImageFile", data, request)
    else:
        import cv2

        flags = cv2.IMREAD_GRAYSCALE if header.components == 1 else cv2.IMREAD_COLOR_RGB
        pixels = _opencv(data, flags | cv2.IMREAD_IGNORE_ORIENTATION, "JPEG", name)
        pixels = pixels.reshape(header.height, header.width, -1)
    return Decoded(oriented(pixels, orientation))


def _jpeg_header(data: bytes, name: str) -> _JpegHeader:
    """Size, components and EXIF of a JPEG whose end is there.

    Decoders fill what is missing of a cut JPEG with grey and only warn. Inside the coded pixels FF is never
    followed by D9, so an FF D9 after the first scan begins is an end; an embedded preview has its own,
    earlier, inside a segment that is stepped over.
    """
    position, size, exif = 2, None, None
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
            size = struct.unpack(">HHB", body[1:6])
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and exif is None:
            exif = body
        elif marker == 0xDA:
            if size is None:
                raise damaged(name, "JPEG", "its size is missing")
            if data.rfind(b"\xff\xd9", position) < 0:
                break
            height, width, components = size
            return _JpegHeader(height, width, components, exif)
        position += 2 + length
    raise damaged(name, "JPEG", f"it is cut short after {len(data)} bytes, its end is missing")


# WebP, BMP, GIF


def _webp(file: BinaryIO, request: Request) -> Decoded:
    data = file.read()
    # RIFF: the length counts what follows it, chunks padded to even lengths; the last pad byte is often left
    # out
    if len(data) < 8 + int.from_bytes(data[4:8], "little") - 1:
        raise damaged(request.name, "WebP", f"it is cut short after {len(data)} bytes")
    header = _pillow_header("WebPImagePlugin", "WebPImageFile", data, request)
    exif = header.info.get("exif")
    if getattr(header, "is_animated", False):
        pixels = _pillow_pixels(header, request)
    else:
        import cv2

        pixels = _opencv(data, cv2.IMREAD_UNCHANGED, "WebP", request.name)
        order = cv2.COLOR_BGRA2RGBA if pixels.shape[-1] == 4 else cv2.COLOR_BGR2RGB
        cv2.cvtColor(pixels, order, dst=pixels)
    return Decoded(oriented(pixels, _orientation(exif)))


def _bmp(file: BinaryIO, request: Request) -> Decoded:
    return Decoded(_pillow("BmpImagePlugin", "BmpImageFile", file.read(), request))


def _gif(file: BinaryIO, request: Request) -> Decoded:
    return Decoded(_pillow("GifImagePlugin", "GifImageFile", file.read(), request))


# the two decoders


def _opencv_takes(height: int, width: int) -> bool:
    return height * width < _OPENCV_PIXELS and max(height, width) < _OPENCV_SIDE


def _opencv(data: bytes, flags: int, kind: str, name: str) -> np.ndarray:
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise damaged(name, kind, f"it cannot be decoded ({error.err})") from error
    if pixels is None:
        raise damaged(name, kind, "it cannot be decoded")
    return pixels


def _pillow(module: str, plugin: str, data: bytes, request: Request) -> np.ndarray:
    return _pillow_pixels(_pillow_header(module, plugin, data, request), request)


def _pillow_header(module: str, plugin: str, data: bytes, request: Request) -> Any:
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


def _pillow_pixels(picture: Any, request: Request) -> np.ndarray:
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


def _orientation(exif: bytes | None) -> int:
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
    "png": _png,
    "jpg": _jpeg,
    "webp": _webp,
    "bmp": _bmp,
    "gif": _gif,
    "tif": _tiff,
    "npy": _npy,
}
