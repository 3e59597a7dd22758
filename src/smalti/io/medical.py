"""NIfTI and NRRD: volumes and where they lie in a patient.

These files keep x fastest, and an array of theirs is (x, y, z, channel). Ours is [z, y, x, channel], which is the same
bytes in the same order. The affine stays as the file has it: it takes the homogeneous voxel (x, y, z, 1), whole at the
centre of a voxel, to millimetres to the patient's Right, Anterior and Superior side. That world is the ``crs`` ``RAS``,
for DICOM and NRRD too, which count to the left and posterior: two signs change and no digit. The spacing is that of the
header, which the affine may contradict; both are kept.
"""

from __future__ import annotations

import bz2
import gzip
import math
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, ReadError
from ..geometry import UNKNOWN, Geometry
from ..image import Image
from ..optional import require
from .decoding import check_pixels, damaged, first_line
from .source import MAX_PIXELS, Source, opened
from .writing import replacing

RAS = "RAS"
"""The ``crs`` of medical images: millimetres (or what the header's unit is) to the right, anterior and superior."""

NIFTI_SUFFIXES = (".nii", ".nii.gz")

_EXTRA = "medical"
_GZIP_LEVEL = 3  # the next ones take twice as long for some per cent of a label map
_UNIT_OF = {0: "mm", 1: "m", 2: "mm", 3: "um"}  # 0 says nothing; programs take it for millimetres
_CODE_OF = {"m": 1, "mm": 2, "um": 3}
_MILLIMETRES = {"nm": 1e-6, "cm": 10.0, "km": 1e6, "inch": 25.4}
_COLORS = ("red", "green", "blue", "alpha")


@dataclass(frozen=True)
class NiftiHeader:
    """What the first bytes of a NIfTI file say: size (*S,), number of channels, where, and all the rest."""

    shape: tuple[int, ...]
    num_channels: int
    geometry: Geometry
    raw: Any  # nibabel's Nifti1Header or Nifti2Header


def read_nifti(
    source: Source, *, max_pixels: int = MAX_PIXELS, spacing: Geometry | str | None = None
) -> Image:
    """The image in a NIfTI file (``.nii``, ``.nii.gz``): [z, y, x, channel], or [y, x, channel] of a plane.

    The fourth axis (time, contrast) or the fifth (vectors) become channels. Values are scaled as the header says, as
    nibabel does it, and are then float64; unscaled ones keep their type. ``spacing`` overrides the header's.
    Raises ``ReadError`` as ``io.read`` does, and ``MissingExtra`` without nibabel.
    """
    with opened(source) as (file, name):
        stream = _unpacked(file)
        header = _read_header(stream, name, max_pixels)
        stream.seek(0)
        try:
            array = np.asarray(header.raw.data_from_fileobj(stream))
        except (OSError, EOFError, ValueError, zlib.error, TypeError) as error:
            raise damaged(name, "NIfTI", first_line(error)) from error
    channels: tuple[str, ...] = ()
    if array.dtype.names is not None:
        channels = _COLORS[: len(array.dtype.names)]
        array = np.stack([array[part] for part in array.dtype.names], axis=-1)
    pixels = array.reshape(*header.shape[::-1], header.num_channels, order="F")
    pixels = pixels.transpose(*range(len(header.shape))[::-1], len(header.shape))
    pixels = pixels.astype(_kept_dtype(pixels.dtype, name), copy=False)
    geometry = header.geometry
    if spacing is not None:
        geometry = Geometry.parse(spacing, len(header.shape)) if isinstance(spacing, str) else spacing
    return Image(pixels, channels or numbered(header.num_channels), geometry, name)


def read_nifti_header(source: Source, *, max_pixels: int = MAX_PIXELS) -> NiftiHeader:
    """Size and place of the image in a NIfTI file, without its values. Raises like ``read_nifti``."""
    with opened(source) as (file, name):
        return _read_header(_unpacked(file), name, max_pixels)


def write_nifti(
    path: str | os.PathLike[str],
    image: Image,
    *,
    like: str | os.PathLike[str] | None = None,
    version: int | None = None,
) -> None:
    """Write an image or a label map as NIfTI, packed if the name ends in ``.gz``; whole or not at all.

    ``like`` is a NIfTI file on the same grid, whose header (codes of its coordinate systems, units) is taken over; one
    on another grid is ignored. Without it, NIfTI-1 if single precision holds the affine exactly, else NIfTI-2 with
    its doubles; ``version`` 1 or 2 decides otherwise. Bool becomes uint8 and float16 float32. A 3 x 3 affine (of a map)
    has no place here. Raises ``WriteError`` for a place that cannot be written, ``MissingExtra`` without nibabel.
    """
    name = Path(path).name.lower()
    if not name.endswith(NIFTI_SUFFIXES):
        raise InputError(f"a NIfTI file ends in .nii or .nii.gz, got {Path(path).name}")
    kind = {"?": "u1", "e": "f4"}.get(image.pixels.dtype.char, image.pixels.dtype.newbyteorder("=").str)
    pixels = image.pixels.astype(kind, copy=False)
    header = _header_like(like, image) or _new_header(image.geometry, version)
    size = image.shape[::-1]
    if image.num_channels > 1:
        size += (1,) * (2 * (image.ndim == 2)) + (image.num_channels,)
    steps = header["pixdim"].copy()
    header.set_data_shape(size)
    header["pixdim"] = steps  # nibabel sets those of axes that are not there
    header.set_data_dtype(pixels.dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    offset = -(-(int(header["sizeof_hdr"]) + 4) // 16) * 16
    header["vox_offset"] = offset
    values = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    with replacing(path) as partial, partial.open("wb") as file:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
                _put(packed, header, offset, values)
        else:
            _put(file, header, offset, values)


def _put(file: Any, header: Any, offset: int, values: np.ndarray) -> None:
    block = header.binaryblock
    file.write(block + bytes(offset - len(block)))
    file.write(memoryview(values).cast("B"))


def whole_labels(image: Image) -> np.ndarray:
    """The values of an image of one channel as a label map (*S,) of integers from 0.

    Floats that are whole numbers are taken, as some programs write labels so. Raises ``ReadError`` for any other.
    """
    name = image.source
    if image.num_channels != 1:
        raise ReadError(f"{name} has {image.num_channels} channels, wanted a label map with one")
    labels = image.pixels[..., 0]
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all() or (labels != np.rint(labels)).any():
            wrong = labels[~(labels == np.rint(labels))].flat[0]
            raise ReadError(f"{name} holds the value {wrong:g}, wanted whole numbers; round the labels")
        if np.abs(labels).max() >= 2**31:
            raise ReadError(f"{name} holds a label of {np.abs(labels).max():g}, more than 2**31")
        labels = labels.astype(np.int32)
    if labels.dtype.kind == "b":
        labels = labels.view(np.uint8)
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise ReadError(f"{name} holds the label {labels.min()}, wanted 0 for none and 1.. for segments")
    return labels


def numbered(count: int) -> tuple[str, ...]:
    """Names of channels that are no colours: ``channel_0`` and so on; of a single one the usual."""
    return () if count == 1 else tuple(f"channel_{index}" for index in range(count))


# NIfTI headers


def _unpacked(file: BinaryIO) -> Any:
    """The file, or what is in it if it is packed; ``seek(0)`` starts again."""
    head = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if head == b"\x1f\x8b" else file


def _read_header(stream: Any, name: str, max_pixels: int) -> NiftiHeader:
    nibabel = require("nibabel", _EXTRA)
    try:
        head = stream.read(540)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(name, "NIfTI", first_line(error)) from error
    single = head[344:347] == b"n+1" or head[4:7] == b"n+2"
    if head[344:347] == b"ni1" or head[4:7] == b"ni2":
        raise ReadError(f"{name} is one half of a NIfTI pair (.hdr and .img); save it as one .nii file")
    if not single:
        raise ReadError(f"{name} is no NIfTI file (it begins with {head[:8]!r}); check what it is")
    kind = nibabel.Nifti2Header if head[4:7] == b"n+2" else nibabel.Nifti1Header
    try:
        raw = kind(head[: kind.template_dtype.itemsize], check=False)
        shape = tuple(int(length) for length in raw.get_data_shape())
        raw.get_data_dtype()
        affine = _affine(raw)
        if affine is not None and not np.isfinite(affine).all():
            raise ValueError("its affine holds values that are no numbers")
    except Exception as error:  # nibabel raises several kinds for values that make no sense
        raise damaged(name, "NIfTI", first_line(error)) from error
    spatial, channels = _axes(shape, name)
    check_pixels(name, spatial, max_pixels, channels)
    if raw.get_data_dtype().names is not None:
        if channels > 1:
            raise ReadError(
                f"{name} has colours along the axes {shape}, wanted colours or channels; split it"
            )
        channels = len(raw.get_data_dtype().names)
    return NiftiHeader(spatial, channels, _geometry(raw, affine, len(spatial)), raw)


def _axes(size: tuple[int, ...], name: str) -> tuple[tuple[int, ...], int]:
    """Shape (*S,) and number of channels of a file's (x, y, z, t, v)."""
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    plane = len(size) == 5 and size[2:4] == (1, 1)
    if len(size) == 5 and size[3] == 1:
        size = (*size[:3], size[4])
    if not 2 <= len(size) <= 4:
        shown = " x ".join(map(str, size))
        raise ReadError(f"{name} has the axes {shown}, wanted x, y, z and one of channels at most; split it")
    channels = size[3] if len(size) == 4 else 1
    return size[:2][::-1] if plane else size[:3][::-1], channels


def _affine(raw: Any) -> np.ndarray | None:
    """That of the s-form, else of the q-form; None where the file says of neither what it is."""
    if int(raw["sform_code"]) > 0:
        return np.asarray(raw.get_sform(), np.float64)
    return np.asarray(raw.get_qform(), np.float64) if int(raw["qform_code"]) > 0 else None


def _geometry(raw: Any, affine: np.ndarray | None, ndim: int) -> Geometry:
    code = int(raw["xyzt_units"]) & 7
    unit = _UNIT_OF.get(code, "mm")
    steps = tuple(abs(float(step)) for step in raw["pixdim"][1 : ndim + 1][::-1])
    known = all(math.isfinite(step) and step > 0 for step in steps)
    if affine is None and code == 0 and set(steps) == {1.0}:  # what is written where nothing is known
        known = False
    crs = None if affine is None else RAS
    return Geometry(steps if known else None, unit if known else "px", affine, crs)


def _header_like(like: str | os.PathLike[str] | None, image: Image) -> Any:
    """The header of a file on the same grid, None if it is on another."""
    if like is None or not os.fspath(like).lower().endswith(NIFTI_SUFFIXES):
        return None
    known = read_nifti_header(like)
    one, other = known.geometry, image.geometry
    same = (
        known.shape == image.shape
        and (one.spacing, one.unit) == (other.spacing, other.unit)
        and (one.affine is None) == (other.affine is None)
        and (one.affine is None or np.array_equal(one.affine, other.affine))
    )
    if not same:
        return None
    header = known.raw.as_byteswapped("<").copy()
    header["intent_code"], header["cal_min"], header["cal_max"] = 0, 0, 0
    return header


def _new_header(geometry: Geometry, version: int | None) -> Any:
    nibabel = require("nibabel", _EXTRA)
    affine = geometry.affine if geometry.affine is not None and geometry.affine.shape == (4, 4) else None
    spacing, unit = geometry.spacing, geometry.unit
    if unit in _MILLIMETRES:
        scale = _MILLIMETRES[unit]
        spacing = None if spacing is None else tuple(step * scale for step in spacing)
        affine = None if affine is None else np.diag([scale, scale, scale, 1]) @ affine
        unit = "mm"
    elif unit == "deg":
        spacing = None
    if spacing is None and affine is not None:
        spacing = tuple(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).tolist())[::-1]
    if version is None:
        single = affine is None or np.array_equal(affine.astype(np.float32), affine)
        version = 1 if single else 2
    header = {1: nibabel.Nifti1Header, 2: nibabel.Nifti2Header}[version](endianness="<")
    header["xyzt_units"] = _CODE_OF.get(unit, 0)
    header["pixdim"][1:4] = 1 if spacing is None else [*spacing[::-1], *[1] * (3 - len(spacing))]
    if affine is not None:
        header.set_sform(affine, 1)
    return header


def _kept_dtype(dtype: np.dtype, name: str) -> np.dtype:
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise ReadError(f"{name} holds {dtype}, wanted integers or floats of 64 bits at most; convert it")
    return dtype.newbyteorder("=")


# NRRD

_NRRD_TYPES = {
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
_NRRD_SIGNS = {
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

    Follows http://teem.sourceforge.net/nrrd/format.html for raw, gzip and bzip2 values; one axis that is no direction
    in space becomes the channels. Raises ``ReadError`` for anything else.
    """
    with opened(source) as (file, name):
        fields = _nrrd_fields(file, name)
        try:
            image = _nrrd_image(file, fields, name, max_pixels)
        except (KeyError, ValueError, IndexError, InputError, EOFError, OSError, zlib.error) as error:
            if isinstance(error, ReadError):
                raise
            what = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
            raise damaged(name, "NRRD", what) from error
    if spacing is not None:
        geometry = Geometry.parse(spacing, image.ndim) if isinstance(spacing, str) else spacing
        image = Image(image.pixels, image.channels, geometry, name)
    return image


def _nrrd_fields(file: BinaryIO, name: str) -> dict[str, str]:
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


def _nrrd_image(file: BinaryIO, fields: dict[str, str], name: str, max_pixels: int) -> Image:
    size = [int(length) for length in fields["sizes"].split()]
    kind = next((kind for kind, names in _NRRD_TYPES.items() if fields["type"].lower() in names), None)
    if kind is None:
        raise ReadError(f"{name} holds {fields['type']!r}, wanted integers or floats")
    directions = _nrrd_directions(fields, len(size))
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
    content = _nrrd_values(file, fields, name, wanted)
    if len(content) < wanted:
        raise damaged(name, "NRRD", f"it has {len(content)} bytes of values, {wanted} were promised")
    array = np.frombuffer(content, dtype, math.prod(size)).reshape(size[::-1])
    axes = [len(size) - 1 - axis for axis in [*spatial[::-1], *others]]
    pixels = np.ascontiguousarray(array.transpose(axes)).reshape(*shape, channels)
    vectors = [directions[axis] for axis in spatial]
    return Image(
        pixels.astype(dtype.newbyteorder("="), copy=False),
        numbered(channels),
        _nrrd_geometry(fields, vectors, len(spatial)),
        name,
    )


def _nrrd_values(file: BinaryIO, fields: dict[str, str], name: str, wanted: int) -> bytes:
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


def _nrrd_directions(fields: dict[str, str], count: int) -> list[list[float] | None]:
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


def _nrrd_geometry(fields: dict[str, str], vectors: list[Any], ndim: int) -> Geometry:
    signs = _NRRD_SIGNS.get(fields.get("space", "").lower())
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
