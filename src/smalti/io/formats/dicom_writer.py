"""Writing DICOM series and binary segmentation objects, the latter through highdicom.

Files that were DICOM are copied. Other images become secondary captures of 8 or 16 bits, a file for each slice: whole
numbers as they are where 16 bits hold them, others in 65536 steps. Coordinates are decimal text of 16 characters, as
DICOM has them. A volume of unknown spacing is put down as 1 mm, which DICOM does not go without.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...classes import Class
from ...errors import InputError
from ...geometry import Geometry
from ...image import Image
from ...optional import require
from ...sample import Sample
from ...segmentation import Segmentation
from ..decoding import first_line
from ..dicom import Series
from ..dicom_files import read_content
from ..writing import replacing
from .dicom_seg import SCHEME, VOID_CODE
from .records import rows

_EXTRA = "medical"
_MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3, "km": 1e6, "inch": 25.4}
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_EXPLICIT = "1.2.840.10008.1.2.1"
_CATEGORY = f"CLASS^Annotated class^{SCHEME}"
_STEPS = 65535
_MAX_STACK = 4_000_000_000  # values of a stack of masks, which highdicom wants where segments overlap
_MAX_DESCRIPTION = 1024  # characters that DICOM allows
_ALWAYS_THERE = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
_TOO_LONG = '{"smalti":{"score":1}}'  # attributes that do not fit are left out, which the loss report states


def write_sample(folder: Path, name: str, sample: Sample) -> tuple[str | None, list[str]]:
    """Write a series and its segmentations into ``folder/name``; gives the first file of each below ``folder``.

    Raises ``InputError`` for what DICOM cannot hold: annotations without an image, channels that are no colours.
    """
    truths = sample.truths if sample.annotated else ()
    if sample.load_image is None:
        raise InputError(
            f"{sample.name} has no image, which a DICOM segmentation refers to; write smalti or nifti"
        )
    place = folder / name
    if isinstance(sample.load_image, Series):
        series = sample.load_image
        if truths and truths[0].shape != series.shape:
            raise InputError(f"{sample.name}: the image is {series.shape}, its truth {truths[0].shape}")
        sources = _copied(series, place)
    else:
        sources = _captured(sample.image, place, name, sample.group or "")
    written = []
    for number, truth in enumerate(truths, 1):
        file = f"{name}/seg-{number}.dcm"
        _write_seg(folder / file, sources, truth, number, name)
        written.append(file)
    return f"{name}/0001.dcm", written


# Images


def _copied(series: Series, place: Path) -> list[Any]:
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
    content.SOPInstanceUID = content.file_meta.get("MediaStorageSOPInstanceUID") or _uid(folder, path.name)
    content.SOPClassUID = content.file_meta.get("MediaStorageSOPClassUID") or _CAPTURE
    content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID
    for key in ("SeriesInstanceUID", "StudyInstanceUID"):
        if not content.get(key):
            setattr(content, key, _uid(folder, key))


def _captured(image: Image, place: Path, name: str, patient: str) -> list[Any]:
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
    uid = _uid(name, str(z), values.tobytes())
    content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID = uid
    content.SpecificCharacterSet = "ISO_IR 192"
    content.StudyInstanceUID, content.SeriesInstanceUID = _uid(name, "study"), _uid(name, "series")
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
    """The affine from (x, y, z, 1) to DICOM's world; None for a picture that lies nowhere."""
    affine = geometry.affine
    if affine is not None and affine.shape == (4, 4) and _is_rigid(affine):
        return np.asarray(np.diag([-1.0, -1, 1, 1]) @ affine)
    if ndim == 2:
        return None
    scale = _MILLIMETRES.get(geometry.unit)
    steps = (1.0, 1.0, 1.0)
    if geometry.spacing is not None and scale is not None:
        steps = (geometry.spacing[0] * scale, geometry.spacing[1] * scale, geometry.spacing[2] * scale)
    return np.diag([*steps[::-1], 1.0])


def _is_rigid(affine: np.ndarray) -> bool:
    """Whether rows and columns are perpendicular, and slices advance along their normal, as DICOM has it."""
    x, y, z = affine[:3, :3].T
    lengths = np.linalg.norm(x), np.linalg.norm(y)
    if min(lengths) == 0:
        return False
    # the flips of the first two axes keep the sense of turning
    return bool(abs(x @ y) < 1e-4 * lengths[0] * lengths[1] and np.cross(x, y) @ z > 0)


def _put_place(content: Any, affine: np.ndarray, z: int, name: str) -> None:
    x, y, step = affine[:3, :3].T
    lengths = [float(np.linalg.norm(vector)) for vector in (x, y, step)]
    content.FrameOfReferenceUID = _uid(name, "frame of reference")
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


def _uid(*parts: str | bytes) -> str:
    """A unique identifier that is the same for the same parts."""
    digest = hashlib.sha256(b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts))
    return f"2.25.{int.from_bytes(digest.digest()[:16], 'big') or 1}"


# Segmentations


def _write_seg(path: Path, sources: Sequence[Any], truth: Segmentation, number: int, name: str) -> None:
    highdicom = require("highdicom", _EXTRA)
    values, descriptions = _described(highdicom, truth, name, number)
    if truth.ndim == 2:
        values = values[None]
    for source in sources:
        for keyword in _ALWAYS_THERE:  # empty where nobody knows, but highdicom wants to find them
            if keyword not in source:
                setattr(source, keyword, "")
    try:
        content = _segmentation(highdicom, sources, values, descriptions, number, name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: no DICOM segmentation can refer to its images, {first_line(error)}; write nifti or smalti"
        ) from error
    with replacing(path) as part:
        content.save_as(part)


def _segmentation(
    highdicom: Any,
    sources: Sequence[Any],
    values: np.ndarray,
    descriptions: list[Any],
    number: int,
    name: str,
) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names and numbers that a PACS might want otherwise
        return highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=values,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=descriptions,
            series_instance_uid=_uid(name, "segmentation", str(number)),
            series_number=100 + number,
            sop_instance_uid=_uid(name, "segmentation", str(number), values.tobytes()),
            instance_number=1,
            manufacturer="smalti",
            manufacturer_model_name="smalti",
            software_versions="1",
            device_serial_number="1",
            content_label="SMALTI",
            content_creator_name="smalti",
            omit_empty_frames=bool(values.any()),
            specific_character_set="ISO_IR 192",
        )


def _described(highdicom: Any, truth: Segmentation, name: str, number: int) -> tuple[np.ndarray, list[Any]]:
    """Values for highdicom, a label map or a stack of masks, and a description of each segment; void is the last.

    A truth of no segment has the void alone, as an object has one segment at least.
    """
    attributes = rows(truth)
    descriptions = [
        _description(highdicom, truth, k, attributes[k], _uid(name, str(number), str(k)))
        for k in range(len(truth))
    ]
    with_void = truth.void_px > 0 or not len(truth)
    if with_void:
        void = Class(1, "void", (128, 128, 128))
        codes = f"{VOID_CODE}^Nobody said what there is^{SCHEME}"
        descriptions.append(_segment(highdicom, len(truth) + 1, void, _CATEGORY, codes, ""))
    disjoint = not truth.overlapping and not (truth.void_px and bool((truth.void & (truth.labels > 0)).any()))
    if disjoint:
        labels = truth.labels
        if truth.void_px:
            labels = np.where(truth.void, len(truth) + 1, labels)
        dtype = np.uint8 if len(descriptions) < 256 else np.uint16
        return labels.astype(dtype), descriptions
    count = truth.void.size * len(descriptions)
    if count > _MAX_STACK:
        raise InputError(
            f"{name} has {len(descriptions)} overlapping segments of {truth.shape}, {count} values together, more than "
            f"the {_MAX_STACK} that are put into one object; write smalti"
        )
    masks = [*truth.masks(), *([truth.void] if with_void else [])]
    return np.stack(masks, axis=-1).astype(np.uint8), descriptions


def _description(
    highdicom: Any, truth: Segmentation, k: int, attributes: dict[str, Any], tracking_uid: str
) -> Any:
    entry = truth.classes.of(truth.class_ids[k])
    label = str(attributes.get("segment_label", ""))
    category = str(attributes.get("category", ""))
    code = str(attributes.get("type", ""))
    own = category.count("^") != 2 or code.count("^") != 2
    if own:
        category, code = _CATEGORY, f"{entry.id}^{entry.name}^{SCHEME}"
    tracking = attributes.get("tracking_id") or attributes.get("track_id") or ""
    described = _segment(highdicom, k + 1, entry, category, code, str(tracking), tracking_uid)
    described.SegmentLabel = (entry.name if own or not label else label)[:64]
    kept = {key: value for key, value in attributes.items() if key not in ("tracking_id", "track_id")}
    if not own:  # said by the codes, the label and the number
        kept = {key: value for key, value in kept.items() if key not in ("category", "type", "segment_label")}
        if kept == {"source_id": k + 1}:
            kept = {}
    score = float(truth.scores[k])
    if own or score != 1 or kept:
        text = json.dumps({"smalti": {"score": score, "attributes": kept}}, separators=(",", ":"))
        described.SegmentDescription = text if len(text) <= _MAX_DESCRIPTION else _TOO_LONG
    return described


def _segment(
    highdicom: Any, number: int, entry: Class, category: str, code: str, tracking: str, tracking_uid: str = ""
) -> Any:
    concepts = [highdicom.sr.CodedConcept(*_fields(each)) for each in (category, code)]
    track = {"tracking_uid": tracking_uid, "tracking_id": tracking} if tracking else {}
    return highdicom.seg.SegmentDescription(
        number,
        entry.name[:64],
        *concepts,
        highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        display_color=highdicom.color.CIELabColor.from_rgb(*entry.color),
        **track,
    )


def _fields(code: str) -> tuple[str, str, str]:
    """Value, scheme and meaning for highdicom."""
    value, meaning, scheme = code.split("^")
    return value or "0", (scheme or SCHEME)[:16], (meaning or value)[:64]
