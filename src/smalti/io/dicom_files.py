"""DICOM files one by one: what the header says of each plane, and the stored values of their pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..optional import require
from .decoding import damaged, first_line
from .source import Source, opened

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of Segmentation Storage and Label Map Segmentation Storage."""

MAX_FRAMES = 200_000
"""Most frames of a file that is read."""

_EXTRA = "medical"
_DEFLATED, _META = b"1.2.840.10008.1.2.1.99", 1 << 14  # bytes in which a file says how it is stored
_HEADER = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("PatientID", "Modality", "SeriesNumber", "SeriesDescription", "InstanceNumber"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "TotalPixelMatrixRows"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)


@dataclass(frozen=True)
class Frame:
    """One plane: the file it is in, its number there (from 0), and where it lies as DICOM has it."""

    path: Path
    index: int
    uid: str  # SOP instance
    number: int  # instance number
    size_hw: tuple[int, int]
    position: tuple[float, ...] | None = (
        None  # of the centre of the first pixel: left, posterior, superior, mm
    )
    orientation: tuple[float, ...] | None = None  # unit vectors along a row and down a column
    spacing: tuple[float, float] | None = None  # between rows, between columns, mm
    distance: float | None = None  # to the next slice, where the file says it


@dataclass(frozen=True)
class Header:
    """What a DICOM file says before its pixels."""

    path: Path
    sop_class: str
    series: str
    frame_of_reference: str
    patient: str
    label: str  # number or description of the series, for names
    tiled: bool
    channels: int
    frames: tuple[Frame, ...]


def read_header(source: Source) -> Header | None:
    """What a DICOM file says of its image; None for a file that is none. Raises ``ReadError`` for a damaged one."""
    pydicom = require("pydicom", _EXTRA)
    with opened(source) as (file, name):
        head = file.read(_META)
        file.seek(0)
        if head[128:132] != b"DICM":
            return None
        _refuse_deflated(head, name)
        with quiet():
            try:
                content = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_HEADER))
                return _header(content, Path(name))
            except ReadError:
                raise
            except Exception as error:  # pydicom raises whatever a broken element leads to
                raise damaged(name, "DICOM", first_line(error)) from error


def read_content(source: Source, *, pixels: bool = True) -> Any:
    """All of a DICOM file as pydicom has it, or all but its pixels. Raises ``ReadError``."""
    pydicom = require("pydicom", _EXTRA)
    with opened(source) as (file, name), quiet():
        _refuse_deflated(file.read(_META), name)
        file.seek(0)
        try:
            content = pydicom.dcmread(file, stop_before_pixels=not pixels)
        except Exception as error:  # pydicom raises whatever a broken element leads to
            raise damaged(name, "DICOM", first_line(error)) from error
    return content


def _refuse_deflated(head: bytes, name: str) -> None:
    """Raise ``ReadError`` for a file packed as a whole: pydicom inflates it without limit."""
    if _DEFLATED in head:
        raise ReadError(
            f"{name} is deflated as a whole, which is not read; save it in another transfer syntax"
        )


def decoded(content: Any, path: Path) -> Iterator[np.ndarray]:
    """The pixel values of each frame as stored, colours as RGB: (H, W) or (H, W, 3). Raises ``ReadError``."""
    pixels = require("pydicom.pixels", _EXTRA)
    with quiet():
        try:
            syntax = content.file_meta.TransferSyntaxUID
            if syntax.is_compressed and not pixels.get_decoder(syntax).is_available:
                raise ReadError(
                    f"{path} is compressed as {syntax.name}, for which no decoder is installed; pip install "
                    "python-gdcm, or save it uncompressed"
                )
            if content.get("BitsAllocated") == 1 and not syntax.is_compressed and syntax.is_little_endian:
                yield from _bits(content)
                return
            palette = content.get("PhotometricInterpretation") == "PALETTE COLOR"
            colored = palette and "SegmentSequence" not in content
            for values in pixels.iter_pixels(content):
                found = pixels.apply_color_lut(values, content) if colored else values
                if found.dtype.kind not in "buif":
                    raise ReadError(f"{path} holds {found.dtype}, wanted integers or floats")
                yield found.astype(found.dtype.newbyteorder("="), copy=False)
        except ReadError:
            raise
        except Exception as error:  # decoders raise as they like
            raise damaged(str(path), "DICOM", first_line(error)) from error


def _bits(content: Any) -> Iterator[np.ndarray]:
    """Frames of one bit a pixel, packed one after the other without a gap, the lowest bit first.

    pydicom 3.0.2 cannot tell such frames apart where they are smaller than two bytes, and unpacks all at once.
    """
    data = np.frombuffer(content.PixelData, np.uint8)
    height, width, count = int(content.Rows), int(content.Columns), int(content.get("NumberOfFrames") or 1)
    size = height * width
    if 8 * len(data) < size * count:
        raise ValueError(f"it has {8 * len(data)} bits of pixels, {size * count} were promised")
    for start in range(0, size * count, size):
        packed = data[start // 8 : -(-(start + size) // 8)]
        first = start % 8
        yield np.unpackbits(packed, bitorder="little")[first : first + size].reshape(height, width)


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings of oddities, which change nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Headers


def _header(content: Any, path: Path) -> Header:
    def text(keyword: str) -> str:
        value = content.get(keyword)
        return "" if value is None else str(value).strip()

    sop_class = text("SOPClassUID") or str(content.file_meta.get("MediaStorageSOPClassUID", ""))
    frames: tuple[Frame, ...] = ()
    if content.get("Rows") and content.get("Columns"):
        frames = tuple(_frames(content, path))
    return Header(
        path,
        sop_class,
        text("SeriesInstanceUID"),
        text("FrameOfReferenceUID"),
        text("PatientID"),
        text("SeriesNumber") or text("SeriesDescription"),
        content.get("TotalPixelMatrixRows") is not None,
        int(content.get("SamplesPerPixel") or 1),
        frames,
    )


def _frames(content: Any, path: Path) -> Iterator[Frame]:
    size = int(content.Rows), int(content.Columns)
    uid = str(content.get("SOPInstanceUID") or "")
    number = int(content.get("InstanceNumber") or 0)
    count = int(content.get("NumberOfFrames") or 1)
    if not 1 <= count <= MAX_FRAMES:
        raise ReadError(f"{path} says it has {count} frames, wanted 1 to {MAX_FRAMES}; it is refused")
    shared = first_of(content.get("SharedFunctionalGroupsSequence"))
    single = list(content.get("PerFrameFunctionalGroupsSequence") or ())
    if single and len(single) != count:
        raise damaged(str(path), "DICOM", f"it describes {len(single)} frames and has {count}")
    for index in range(count):
        groups = [group for group in (single[index] if single else None, shared) if group is not None]
        plane = within(groups, "PlanePositionSequence") or content
        turned = within(groups, "PlaneOrientationSequence") or content
        measures = within(groups, "PixelMeasuresSequence") or content
        spacing = _numbers(measures.get("PixelSpacing"), 2) or _numbers(content.get("ImagerPixelSpacing"), 2)
        distance = _numbers(measures.get("SpacingBetweenSlices"), 1) or _numbers(
            measures.get("SliceThickness"), 1
        )
        yield Frame(
            path,
            index,
            uid,
            number,
            size,
            _numbers(plane.get("ImagePositionPatient"), 3),
            _orientation(turned.get("ImageOrientationPatient"), path),
            None if spacing is None or min(spacing) <= 0 else (spacing[0], spacing[1]),
            None if distance is None or distance[0] <= 0 else distance[0],
        )


def first_of(sequence: Any) -> Any:
    """The first item of a sequence, None where there is none."""
    return sequence[0] if sequence else None


def within(groups: Sequence[Any], keyword: str) -> Any:
    """The item of a functional group, of the frame itself rather than the one all share."""
    return next((found for group in groups if (found := first_of(group.get(keyword))) is not None), None)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None or value == "":
        return None
    parts = [value] if isinstance(value, int | float | str) else list(value)
    numbers = tuple(float(part) for part in parts)
    return numbers if len(numbers) == count and bool(np.isfinite(numbers).all()) else None


def _orientation(value: Any, path: Path) -> tuple[float, ...] | None:
    numbers = _numbers(value, 6)
    if numbers is None:
        return None
    row, column = np.array(numbers).reshape(2, 3)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.5 or abs(row @ column) > 0.01 or not np.allclose(lengths, 1, atol=0.01):
        raise damaged(
            str(path), "DICOM", f"its orientation {numbers} is no pair of perpendicular unit vectors"
        )
    return numbers
