"""NRRD: a text header and raw or packed values, as ITK, 3D Slicer and dcmqi write them."""

from __future__ import annotations

import bz2
import math
import re
import zlib
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, ReadError
from ..geometry import UNKNOWN, Geometry
from ..image import Image
from .decoding import check_pixels, damaged, first_line
from .medical import RAS, numbered
from .source import MAX_PIXELS, Source, opened

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_SIGNS = {
    "right-anterior-superior": (1, 1),
    "ras": (1, 1),
    "left-anterior-superior": (-1, 1),
    "las": (-1, 1),
    "left-posterior-superior": (-1, -1),
    "lps": (-1, -1),
}
_VECTOR = re.compile(r"none|\([^)]*\)", re.IGNORECASE)


def read_nrrd(
    source: Source, *, max_pixels: int = MAX_PIXELS, spacing: Geometry | str | None = None
) -> Image:
    """The image in an NRRD file with its values in it: [z, y, x, channel], or [y, x, channel] of a plane.

    The affine is as ``medical`` has it: (x, y, z, 1), whole at the centre of a voxel, to the right, anterior, superior.

    Follows http://teem.sourceforge.net/nrrd/format.html for raw, gzip and bzip2 values; one axis that is no direction
    in space becomes the channels. Raises ``ReadError`` for anything else.
    """
    with opened(source) as (file, name):
        fields = _fields(file, name)
        try:
            image = _image(file, fields, name, max_pixels)
        except (KeyError, ValueError, IndexError, InputError, EOFError, OSError, zlib.error) as error:
            if isinstance(error, ReadError):
                raise
            what = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
            raise damaged(name, "NRRD", what) from error
    if spacing is not None:
        geometry = Geometry.parse(spacing, image.ndim) if isinstance(spacing, str) else spacing
        image = Image(image.pixels, image.channels, geometry, name)
    return image


def _fields(file: BinaryIO, name: str) -> dict[str, str]:
    magic = file.readline(64)
    if not re.match(rb"NRRD000\d\s*$", magic):
        raise ReadError(f"{name} is no NRRD file (it begins with {magic[:8]!r}); check what it is")
    fields: dict[str, str] = {}
    for _ in range(10_000):
        line = file.readline(1 << 20)
        if not line.endswith(b"\n"):
            raise damaged(name, "NRRD", "its header does not end")
        text = line.decode("utf-8", "replace").strip()
        if not text:
            break
        key, colon, value = text.partition(": ")
        if not text.startswith("#") and colon and ":=" not in key:
            fields[key.strip().lower().replace("centerings", "centers")] = value.strip()
    for key in ("data file", "datafile"):
        if key in fields:
            raise ReadError(f"{name} has its values in {fields[key]!r}; save it as one .nrrd file")
    return fields


def _image(file: BinaryIO, fields: dict[str, str], name: str, max_pixels: int) -> Image:
    size = [int(length) for length in fields["sizes"].split()]
    kind = next((kind for kind, names in _TYPES.items() if fields["type"].lower() in names), None)
    if kind is None:
        raise ReadError(f"{name} holds {fields['type']!r}, wanted integers or floats")
    directions = _directions(fields, len(size))
    spatial = [axis for axis in range(len(size)) if directions[axis] is not None]
    others = [axis for axis in range(len(size)) if directions[axis] is None]
    if len(spatial) not in (2, 3) or len(others) > 1:
        raise ReadError(f"{name} has the axes {fields['sizes']}, wanted x, y, z and one of channels at most")
    shape = tuple(size[axis] for axis in spatial[::-1])
    channels = size[others[0]] if others else 1
    check_pixels(name, shape, max_pixels, channels)
    order = "<" if fields.get("endian", "little").lower() == "little" else ">"
    dtype = np.dtype(order + kind)
    wanted = math.prod(size) * dtype.itemsize
    content = _values(file, fields, name, wanted)
    if len(content) < wanted:
        raise damaged(name, "NRRD", f"it has {len(content)} bytes of values, {wanted} were promised")
    array = np.frombuffer(content, dtype, math.prod(size)).reshape(size[::-1])
    axes = [len(size) - 1 - axis for axis in [*spatial[::-1], *others]]
    pixels = np.ascontiguousarray(array.transpose(axes)).reshape(*shape, channels)
    vectors = [directions[axis] for axis in spatial]
    return Image(
        pixels.astype(dtype.newbyteorder("="), copy=False),
        numbered(channels),
        _geometry(fields, vectors, len(spatial)),
        name,
    )


def _values(file: BinaryIO, fields: dict[str, str], name: str, wanted: int) -> bytes:
    """The values unpacked, no more than are wanted."""
    encoding = fields["encoding"].lower()
    if any(fields.get(key, "0") != "0" for key in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise ReadError(f"{name} skips lines or bytes before its values; save it without")
    if encoding == "raw":
        return file.read(wanted)
    if encoding in ("gzip", "gz"):
        return zlib.decompressobj(31).decompress(file.read(), wanted)
    if encoding in ("bzip2", "bz2"):
        return bz2.BZ2Decompressor().decompress(file.read(), wanted)
    raise ReadError(f"{name} is encoded as {encoding!r}, wanted raw, gzip or bzip2; save it again")


def _directions(fields: dict[str, str], count: int) -> list[list[float] | None]:
    """Step along each axis of the file in its space; None for one that is no direction in space."""
    if "space directions" in fields:
        found: list[list[float] | None] = []
        for text in _VECTOR.findall(fields["space directions"]):
            found.append(
                None if text.lower() == "none" else [float(part) for part in text.strip("()").split(",")]
            )
        if len(found) != count:
            raise ValueError(f"it has {len(found)} space directions for {count} axes")
        return found
    kinds = fields.get("kinds", "").lower().split()
    vector = [kind not in ("domain", "space", "???", "none") for kind in kinds]
    if len(vector) != count:
        vector = [axis == 3 for axis in range(count)]
    return [None if is_vector else [] for is_vector in vector]


def _geometry(fields: dict[str, str], vectors: list[Any], ndim: int) -> Geometry:
    signs = _SIGNS.get(fields.get("space", "").lower())
    if vectors[0]:
        columns = np.array(vectors, np.float64).T  # space dimension, ndim
        steps = tuple(float(step) for step in np.sqrt((columns**2).sum(axis=0))[::-1])
    else:
        columns = None
        texts = fields.get("spacings", "").split()
        numbers = [float(text) for text in texts if text.lower() != "nan"]
        steps = tuple(numbers[::-1]) if len(numbers) == ndim else ()
    known = len(steps) == ndim and all(math.isfinite(step) and step > 0 for step in steps)
    affine = None
    if columns is not None and columns.shape == (3, ndim) and signs is not None:
        affine = np.eye(4)
        affine[:3, :ndim] = columns
        if "space origin" in fields:
            affine[:3, 3] = [float(part) for part in fields["space origin"].strip("() ").split(",")]
        affine[:2] = affine[:2] * np.array(signs)[:, None] + 0.0  # no negative zeros
    if not known and affine is None:
        return UNKNOWN
    return Geometry(
        steps if known else None, "mm" if known else "px", affine, None if affine is None else RAS
    )
