"""Images as DICOM slices: copied where they were DICOM, else as secondary captures of 8 or 16 bits.

Whole numbers are put down as they are where 16 bits hold them, others in 65536 steps. Coordinates are decimal text of
16 characters, as DICOM has them. A volume of unknown spacing becomes one of 1 mm, which DICOM does not go without.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...geometry import Geometry
from ...image import Image
from ...optional import require
from ..dicom import Series
from ..dicom_files import read_content
from ..writing import replacing

_EXTRA = "medical"
_MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3, "km": 1e6, "inch": 25.4}
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_EXPLICIT = "1.2.840.10008.1.2.1"
_STEPS = 65535


def copy_series(series: Series, place: Path) -> list[Any]:
    """The files of a series, byte for byte, but for those that lack the numbers which others refer to."""
    sources = []
    for number, path in enumerate(series.files, 1):
        content = read_content(path)
        target = place / f"{number:04}.dcm"
        if all(
            content.get(key)
            for key in ("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID")
        ):
            with replacing(target) as part:
                shutil.copyfile(path, part)
        else:
            _complete(content, path)
            with replacing(target) as part:
                content.save_as(part)
        sources.append(content)
    return sources


def _complete(content: Any, path: Path) -> None:
    """Give a file that an anonymiser left without them the numbers that make it one of a series."""
    folder = str(path.parent)
    content.SOPInstanceUID = content.file_meta.get("MediaStorageSOPInstanceUID") or unique_id(
        folder, path.name
    )
    content.SOPClassUID = content.file_meta.get("MediaStorageSOPClassUID") or _CAPTURE
    content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID
    for key in ("SeriesInstanceUID", "StudyInstanceUID"):
        if not content.get(key):
            setattr(content, key, unique_id(folder, key))


def capture_image(image: Image, place: Path, name: str, patient: str) -> list[Any]:
    """An image as secondary captures, one for each slice."""
    stored, slope, intercept = _stored(image, name)
    lies = _place_of(image.geometry, image.ndim)
    slices = stored if image.ndim == 3 else stored[None]
    sources = []
    for z, values in enumerate(slices):
        content = _capture(values, slope, intercept, name, patient, z)
        if lies is not None:
            _put_place(content, lies, z, name)
        elif image.geometry.spacing is not None and image.geometry.unit in _MILLIMETRES:
            scale = _MILLIMETRES[image.geometry.unit]
            content.PixelSpacing = [_decimal(step * scale) for step in image.geometry.spacing]
        with replacing(place / f"{z + 1:04}.dcm") as part:
            content.save_as(part, enforce_file_format=True)
        sources.append(content)
    return sources


def _stored(image: Image, name: str) -> tuple[np.ndarray, str, str]:
    """Unsigned values (*S, C) of 8 or 16 bits, and the slope and intercept that bring the image's back."""
    pixels = image.pixels
    colored = image.num_channels == 3 and pixels.dtype == np.uint8
    if image.num_channels != 1 and not colored:
        raise InputError(
            f"{name} has {image.num_channels} channels of {pixels.dtype}; DICOM holds one, or red, green and blue of 8 "
            "bits: write nifti or smalti"
        )
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels, "1", "0"
    if pixels.dtype == bool:
        return pixels.astype(np.uint8), "1", "0"
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(f"{name} has values that are no numbers; DICOM holds none: write nifti or smalti")
    low, high = pixels.min().item(), pixels.max().item()
    whole = pixels.dtype.kind in "iu" or bool((pixels == np.rint(pixels)).all())
    if whole and high - min(low, 0) <= _STEPS and abs(low) < 2**31:
        base = min(int(low), 0)
        return (pixels.astype(np.int64) - base).astype(np.uint16), "1", str(base)
    slope = _decimal((float(high) - float(low)) / _STEPS or 1.0, up=True)
    intercept = _decimal(float(low))
    steps = np.rint((pixels.astype(np.float64) - float(intercept)) / float(slope))
    return np.clip(steps, 0, _STEPS).astype(np.uint16), slope, intercept


def _capture(values: np.ndarray, slope: str, intercept: str, name: str, patient: str, z: int) -> Any:
    """One secondary capture of values (H, W, C), which lies nowhere yet."""
    pydicom = require("pydicom", _EXTRA)
    content = pydicom.Dataset()
    content.file_meta = pydicom.dataset.FileMetaDataset()
    content.file_meta.TransferSyntaxUID = _EXPLICIT
    content.file_meta.MediaStorageSOPClassUID = content.SOPClassUID = _CAPTURE
    uid = unique_id(name, str(z), values.tobytes())
    content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID = uid
    content.SpecificCharacterSet = "ISO_IR 192"
    content.StudyInstanceUID, content.SeriesInstanceUID = unique_id(name, "study"), unique_id(name, "series")
    content.PatientID = patient[:64]
    content.PatientName = content.PatientBirthDate = content.PatientSex = ""
    content.StudyDate = content.StudyTime = content.StudyID = content.AccessionNumber = ""
    content.ReferringPhysicianName = ""
    content.Modality, content.ConversionType = "OT", "WSD"
    content.SeriesNumber, content.InstanceNumber = 1, z + 1
    content.Rows, content.Columns, content.SamplesPerPixel = values.shape
    content.PhotometricInterpretation = "RGB" if values.shape[2] == 3 else "MONOCHROME2"
    if values.shape[2] == 3:
        content.PlanarConfiguration = 0
    bits = 8 * values.dtype.itemsize
    content.BitsAllocated = content.BitsStored = bits
    content.HighBit, content.PixelRepresentation = bits - 1, 0
    if (slope, intercept) != ("1", "0"):
        content.RescaleSlope, content.RescaleIntercept, content.RescaleType = slope, intercept, "US"
    data = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes()
    content.add_new("PixelData", "OB" if bits == 8 else "OW", data + b"\0" * (len(data) % 2))
    return content


def _place_of(geometry: Geometry, ndim: int) -> np.ndarray | None:
    """The affine from (x, y, z, 1) to DICOM's world; None for a picture, which would be a slice of a volume there.

    A volume whose affine DICOM cannot have lies at the origin, with its spacing: pixels go before places.
    """
    if ndim == 2:
        return None
    affine = geometry.affine
    if affine is not None and affine.shape == (4, 4) and _is_rigid(affine):
        return np.asarray(np.diag([-1.0, -1, 1, 1]) @ affine)
    scale = _MILLIMETRES.get(geometry.unit)
    steps = (1.0, 1.0, 1.0)
    if geometry.spacing is not None and scale is not None:
        steps = (geometry.spacing[0] * scale, geometry.spacing[1] * scale, geometry.spacing[2] * scale)
    return np.diag([*steps[::-1], 1.0])


def _is_rigid(affine: np.ndarray) -> bool:
    """Whether rows and columns are perpendicular, and slices advance along their normal, in which DICOM sorts them."""
    x, y, z = affine[:3, :3].T
    lengths = np.linalg.norm(x), np.linalg.norm(y)
    if min(lengths) == 0:
        return False
    # the flips of the first two axes keep the sense of turning
    return bool(abs(x @ y) < 1e-4 * lengths[0] * lengths[1] and np.cross(x, y) @ z > 0)


def _put_place(content: Any, affine: np.ndarray, z: int, name: str) -> None:
    x, y, step = affine[:3, :3].T
    lengths = [float(np.linalg.norm(vector)) for vector in (x, y, step)]
    content.FrameOfReferenceUID = unique_id(name, "frame of reference")
    content.PositionReferenceIndicator = ""
    content.ImageOrientationPatient = [_decimal(part) for part in (*(x / lengths[0]), *(y / lengths[1]))]
    content.ImagePositionPatient = [_decimal(part) for part in affine[:3, 3] + z * step]
    content.PixelSpacing = [_decimal(lengths[1]), _decimal(lengths[0])]
    content.SliceThickness = content.SpacingBetweenSlices = _decimal(lengths[2])


def _decimal(value: float, up: bool = False) -> str:
    """A number in 16 characters, as closely as they allow; ``up`` for one that must not come out smaller."""
    value = float(value)
    text = repr(value)
    digits = 15
    while len(text) > 16:
        text = f"{value:.{digits}g}"
        digits -= 1
    if up and float(text) < value:
        text = f"{value * (1 + 1e-8):.9g}"
    return text[:-2] if text.endswith(".0") else text


def unique_id(*parts: str | bytes) -> str:
    """A unique identifier that is the same for the same parts."""
    digest = hashlib.sha256(b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts))
    return f"2.25.{int.from_bytes(digest.digest()[:16], 'big') or 1}"
