"""NIfTI: volumes and where they lie in a patient.

These files keep x fastest, and an array of theirs is (x, y, z, channel). Ours is [z, y, x, channel], which is the same
bytes in the same order. The affine stays as the file has it: it takes the homogeneous voxel (x, y, z, 1), whole at the
centre of a voxel, to millimetres to the patient's Right, Anterior and Superior side. That world is the ``crs`` ``RAS``,
for DICOM and NRRD too, which count to the left and posterior: two signs change and no digit. The spacing is that of the
header, which the affine may contradict; both are kept.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, ReadError
from ..geometry import Geometry
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
        try:
            array = _values(stream, header.raw)
        except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
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
    file.write(values.reshape(-1).view(np.uint8).data)


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


# NIfTI files


def _values(stream: Any, raw: Any) -> np.ndarray:
    """The values in the order of the file, scaled; in memory of their own, as a mapped file may change or go."""
    from nibabel.volumeutils import apply_read_scaling

    dtype = raw.get_data_dtype()
    wanted = math.prod(int(length) for length in raw.get_data_shape()) * dtype.itemsize
    stream.seek(int(raw.get_data_offset()))
    memory = np.empty(wanted, np.uint8)
    filled = 0
    while filled < wanted and (count := stream.readinto(memory.data[filled:])):
        filled += count
    if filled < wanted:
        raise ValueError(f"it is cut short, {wanted} bytes of values were promised and {filled} are there")
    slope, intercept = raw.get_slope_inter()
    return np.asarray(apply_read_scaling(memory.view(dtype), slope, intercept))


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
    if known.shape != image.shape or (one.spacing, one.unit) != (other.spacing, other.unit):
        return None
    if one.affine is None or other.affine is None:
        same = one.affine is other.affine
    else:
        same = np.array_equal(one.affine, other.affine)
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
