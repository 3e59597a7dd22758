"""PNG: every colour type and depth as it is stored, checked chunk by chunk before it is decoded."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from ..errors import ReadError
from .decoding import (
    Decoded,
    Request,
    check_pixels,
    damaged,
    decode_by_opencv,
    decode_by_pillow,
    exif_orientation,
    opencv_takes,
    oriented,
)

_GREY, _RGB, _PALETTE, _GREY_ALPHA = 0, 2, 3, 4
# first row and column, step down and right of each pass of an interlaced PNG
_ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
_BLOCK_BYTES = 1 << 21  # inflated at a time: small enough to stay in the cache


_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # PNG, 3rd ed., table 12


@dataclass(frozen=True)
class _Chunks:
    """A checked PNG: a file of the chunks that bear on pixels, and what some of them hold."""

    file: bytes
    scanlines: bytes
    palette: bytes | None
    transparent: bytes | None
    exif: bytes | None


def decode_png(file: BinaryIO, request: Request) -> Decoded:
    """The one picture of a PNG. Raises ``ReadError`` for a file that is cut, changed or too large."""
    name = request.name
    head = file.read(29)
    if len(head) < 29 or head[12:16] != b"IHDR":
        raise damaged(name, "PNG", "its header is cut short")
    width, height, depth, color_type, compression, filters, interlaced = struct.unpack(
        ">IIBBBBB", head[16:29]
    )
    legal = depth in _DEPTHS.get(color_type, ()) and compression == filters == 0 and interlaced <= 1
    if not legal or width == 0 or height == 0:
        raise damaged(
            name, "PNG", f"its header says {width} x {height} of colour type {color_type}, {depth} bits"
        )
    check_pixels(name, (height, width), request.max_pixels)
    file.seek(0)
    chunks = _chunks(file.read(), name)
    if chunks.transparent is not None and len(chunks.transparent) != {_GREY: 2, _RGB: 6}.get(
        color_type, len(chunks.transparent)
    ):
        raise damaged(name, "PNG", f"its transparent colour takes {len(chunks.transparent)} bytes")
    pixels = None
    if color_type == _GREY and depth >= 8 and not interlaced:
        pixels = _unfiltered_grey(chunks.scanlines, height, width, depth)
    if pixels is None:
        if color_type == _PALETTE:
            _check_length(chunks.scanlines, height, width, depth, bool(interlaced), name)
            pixels = _by_palette(chunks, request)
        elif opencv_takes(height, width):
            pixels = _by_opencv(chunks.file, color_type, name).reshape(height, width, -1)
        elif depth == 8 and chunks.transparent is None:
            pixels = decode_by_pillow("PngImagePlugin", "PngImageFile", chunks.file, request)
        else:
            raise ReadError(f"{name} has {height} x {width} pixels of {depth} bits; convert it to TIFF")
    if color_type == _GREY and depth < 8:
        widened = 255 // (2**depth - 1)  # decoders spread the values over 8 bits
        if depth == 1:
            pixels = pixels != 0
        elif request.stored:
            pixels = pixels // widened
    if chunks.transparent is not None and color_type in (_GREY, _RGB) and not request.stored and depth > 1:
        pixels = _with_alpha(pixels, chunks.transparent, widened if depth < 8 else 1)
    return Decoded(oriented(pixels, exif_orientation(chunks.exif)))


def _chunks(data: bytes, name: str) -> _Chunks:
    """The chunks of a PNG, every one there, whole, up to IEND.

    The check sums are verified here (0.3 ms a megabyte), and profiles, comments and animations left out, because
    libpng prints what it finds wrong with them.
    """
    view = memoryview(data)
    kept, scanlines = [view[:8]], []
    found: dict[bytes, bytes] = {}
    position, kind = 8, b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise damaged(name, "PNG", "it is cut short, its end (IEND) is missing")
        kind = data[position + 4 : position + 8]
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            raise damaged(name, "PNG", f"it is cut short after {len(data)} bytes")
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise damaged(name, "PNG", f"the check sum at byte {end} is wrong")
        if kind == b"IDAT":
            scanlines.append(view[position + 8 : end])
        elif kind in (b"PLTE", b"eXIf", b"tRNS"):
            found[kind] = data[position + 8 : end]
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(view[position : end + 4])
        position = end + 4
    return _Chunks(
        b"".join(kept), b"".join(scanlines), found.get(b"PLTE"), found.get(b"tRNS"), found.get(b"eXIf")
    )


def _check_length(scanlines: bytes, height: int, width: int, depth: int, interlaced: bool, name: str) -> None:
    """Raise ``ReadError`` unless there are as many bytes as the rows take; Pillow leaves the rest at 0."""
    wanted = 0
    for top, left, down, right in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        rows, columns = -(-(height - top) // down), -(-(width - left) // right)
        wanted += rows * (1 + -(-columns * depth // 8)) if rows > 0 and columns > 0 else 0
    inflate, count = zlib.decompressobj(), 0
    try:
        while count < wanted:
            block = inflate.decompress(scanlines, min(_BLOCK_BYTES, wanted - count))
            if not block:
                raise damaged(name, "PNG", f"its rows hold {count} bytes, {wanted} were promised")
            count, scanlines = count + len(block), inflate.unconsumed_tail
    except zlib.error as error:
        raise damaged(name, "PNG", str(error)) from error


def _by_palette(chunks: _Chunks, request: Request) -> np.ndarray:
    """The colours of a PNG with a palette; its indices, whatever the palette holds, for a label map."""
    palette = chunks.palette
    if not palette or len(palette) % 3 or len(palette) > 3 * 256:
        raise damaged(request.name, "PNG", f"its palette has {len(palette or b'')} bytes")
    indices = decode_by_pillow("PngImagePlugin", "PngImageFile", chunks.file, replace(request, stored=True))
    if request.stored:
        return indices
    colors = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if indices.max() >= len(colors):
        raise damaged(request.name, "PNG", f"it uses colour {indices.max()} of a palette of {len(colors)}")
    if chunks.transparent is not None:
        alpha = np.full((len(colors), 1), 255, np.uint8)
        given = np.frombuffer(chunks.transparent, np.uint8)[: len(colors)]
        alpha[: len(given), 0] = given
        colors = np.hstack([colors, alpha])
    return colors[indices[..., 0]]


def _unfiltered_grey(scanlines: bytes, height: int, width: int, depth: int) -> np.ndarray | None:
    """Pixels (H, W, 1) of a grey PNG whose rows are all unfiltered, as ``write_labels`` writes them.

    Inflating is then all there is to do: 50 ms for labels of 4096² against libpng's 78 ms. ``None`` at the first
    row that is filtered, and for a stream that is damaged, which is left to the full decoder to say.
    """
    row_bytes = 1 + width * depth // 8
    inflate = zlib.decompressobj()
    pixels = np.empty((height, width, 1), f"uint{depth}")
    try:
        block = inflate.decompress(scanlines, 1)
        if block != b"\0":
            return None
        step = max(1, _BLOCK_BYTES // row_bytes)
        for top in range(0, height, step):
            rows = min(step, height - top)
            block += inflate.decompress(inflate.unconsumed_tail, rows * row_bytes - len(block))
            values = np.frombuffer(block, np.uint8).reshape(rows, row_bytes)
            if values[:, 0].any():
                return None
            pixels[top : top + rows, :, 0] = values[:, 1:].view(f">u{depth // 8}")
            block = b""
        if inflate.decompress(inflate.unconsumed_tail, 1) or not inflate.eof:
            return None
    except (zlib.error, ValueError):  # ValueError: fewer bytes than rows
        return None
    return pixels


def _by_opencv(content: bytes, color_type: int, name: str) -> np.ndarray:
    import cv2

    if color_type in (_GREY, _RGB):
        flags = cv2.IMREAD_GRAYSCALE if color_type == _GREY else cv2.IMREAD_COLOR_RGB
        return decode_by_opencv(
            content, flags | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION, "PNG", name
        )
    pixels = decode_by_opencv(content, cv2.IMREAD_UNCHANGED, "PNG", name)
    if color_type == _GREY_ALPHA:  # comes as blue, green, red and alpha, the colours equal
        return np.ascontiguousarray(pixels[..., [0, 3]])
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA, dst=pixels)


def _with_alpha(pixels: np.ndarray, transparent: bytes, widened: int) -> np.ndarray:
    """The pixels with an alpha channel, 0 where they have the one colour that stands for transparent."""
    key = np.frombuffer(transparent, ">u2") * widened
    opaque = (pixels != key).any(axis=-1, keepdims=True)
    alpha = opaque.astype(pixels.dtype) * np.iinfo(pixels.dtype).max
    return np.concatenate([pixels, alpha], axis=-1)
