"""Where an image comes from: opening it, and knowing it by its first bytes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import ReadError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, the bytes themselves, or a binary file object (read from where it stands)."""

MAX_PIXELS = 500_000_000
"""Most pixels of an image that is read without asking: 22,000 x 22,000, half a gigabyte as 8-bit grey."""

READABLE = "PNG, JPEG, WebP, BMP, GIF, TIFF, .npy, NIfTI, NRRD or DICOM"

_HEAD = 352  # DICOM and NIfTI say what they are after 128 and 344 bytes

# (kind, [(offset, bytes), ...]); a kind that FORMATS has no suffix for is known by name, to be refused by
# name
_SIGNATURES: tuple[tuple[str, tuple[tuple[int, bytes], ...]], ...] = (
    ("png", ((0, b"\x89PNG\r\n\x1a\n"),)),
    ("jpg", ((0, b"\xff\xd8\xff"),)),
    ("gif", ((0, b"GIF87a"),)),
    ("gif", ((0, b"GIF89a"),)),
    ("webp", ((0, b"RIFF"), (8, b"WEBP"))),
    ("tif", ((0, b"II*\0"),)),
    ("tif", ((0, b"MM\0*"),)),
    ("tif", ((0, b"II+\0"),)),
    ("tif", ((0, b"MM\0+"),)),
    ("npy", ((0, b"\x93NUMPY"),)),
    ("nrrd", ((0, b"NRRD000"),)),
    ("dcm", ((128, b"DICM"),)),
    ("nii", ((344, b"n+1\0"),)),
    ("nii", ((4, b"n+2\0"),)),
    ("HEIC", ((4, b"ftyphei"),)),
    ("HEIC", ((4, b"ftyphev"),)),
    ("HEIC", ((4, b"ftypmif1"),)),
    ("AVIF", ((4, b"ftypavi"),)),
    ("MP4 or QuickTime video", ((4, b"ftyp"),)),
    ("JPEG 2000", ((4, b"jP  \r\n\x87\n"),)),
    ("JPEG 2000", ((0, b"\xff\x4f\xff\x51"),)),
    ("JPEG XL", ((0, b"\xff\x0a"),)),
    ("JPEG XL", ((4, b"JXL \r\n\x87\n"),)),
    ("OpenEXR", ((0, b"v/1\x01"),)),
    ("Photoshop", ((0, b"8BPS"),)),
    ("PDF", ((0, b"%PDF"),)),
    ("zip or .npz", ((0, b"PK\x03\x04"),)),
    ("gzip", ((0, b"\x1f\x8b"),)),
    ("HDF5", ((0, b"\x89HDF\r\n"),)),
    ("SVG or XML", ((0, b"<svg"),)),
    ("SVG or XML", ((0, b"<?xml"),)),
    ("HTML", ((0, b"<!DOCTYPE"),)),
    ("HTML", ((0, b"<html"),)),
    ("bmp", ((0, b"BM"),)),  # last: two letters are little to go by
)


def signature(head: bytes) -> str | None:
    """The kind of file that begins with ``head`` (352 bytes are enough), or ``None``.

    A kind that can be read is its suffix without the point ("png"); others are what people call them
    ("HEIC").
    """
    for kind, parts in _SIGNATURES:
        if all(head[offset : offset + len(magic)] == magic for offset, magic in parts):
            return kind
    return None


def unreadable(name: str, head: bytes) -> ReadError:
    """The error for a file whose first bytes are those of nothing that can be read."""
    kind = signature(head)
    what = f"is {kind}" if kind else f"is not an image of a known format (it begins with {head[:8]!r})"
    return ReadError(f"{name} {what}; wanted {READABLE}: convert it first")


@contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """The source as a seekable binary file, with the name errors call it by.

    A file object that was passed in stays open. Raises ``ReadError`` when there is no such file, when it is a
    folder, when it may not be read and when it is empty.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, file, ours = "the image in memory", cast(BinaryIO, io.BytesIO(source)), True
    elif isinstance(source, (str, os.PathLike)):
        name, file, ours = str(source), _open(Path(source)), True
    elif callable(getattr(source, "read", None)):
        name, file, ours = str(getattr(source, "name", "the image stream")), source, False
        if not (source.seekable() and source.tell() == 0):  # standard input, a socket, the middle of a file
            file, ours = io.BytesIO(source.read()), True
    else:
        raise ReadError(f"wanted a path, bytes or a binary file to read, got {type(source).__name__}")
    try:
        try:
            first = file.read(1)
            file.seek(0)
        except OSError as error:
            raise ReadError(f"{name} cannot be read: {error.strerror or error}") from error
        if isinstance(first, str):
            raise ReadError(f"{name} gives text, wanted bytes; open it in binary mode ('rb')")
        if not first:
            raise ReadError(f"{name} is empty; wanted {READABLE}")
        yield file, name
    finally:
        if ours:
            file.close()


def _open(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise ReadError(f"{path} is a folder, wanted an image file; name the files in it")
        return path.open("rb")
    except FileNotFoundError:
        where = "" if path.parent.is_dir() else f" (there is no folder {path.parent})"
        raise ReadError(f"no file {path}{where}; check the name") from None
    except ReadError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise ReadError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def peek(file: BinaryIO) -> bytes:
    """The first bytes of a file, leaving it at its start."""
    head = file.read(_HEAD)
    file.seek(0)
    return head
