"""DICOM images: a file, or a series of slices put in order by where they lie and not by their names.

A volume is [z, y, x, channel]: x along the rows of a slice, y down its columns, z along the normal of both, which is
the direction slices are sorted in. The affine takes (x, y, z, 1) to the world of ``medical.RAS``: DICOM's own counts to
the left and posterior, so the first two signs are turned. Slices must have one size, one orientation and equal
distances; what does not is refused by a line that names the files. Values have the rescale slope and intercept of each
slice applied; those of whole numbers stay integers, others become float32. Where low values are to be shown white
(MONOCHROME1) they are still the low ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..geometry import UNKNOWN, Geometry
from ..image import Image, default_channels
from .decoding import check_pixels, damaged, first_line
from .dicom_files import (
    SEGMENTATIONS,
    Frame,
    Header,
    decoded,
    first_of,
    quiet,
    read_content,
    read_header,
    within,
)
from .medical import RAS
from .source import MAX_PIXELS, Source, opened

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # left, posterior to right, anterior
_SAME_DIRECTION = 1e-3  # cosines of one orientation differ by less
_UNEVEN = 0.02  # of the distance of slices; coordinates are often rounded to hundredths of a millimetre


@dataclass(frozen=True)
class Series:
    """Frames in order along z, the size (*S,) of the image they make, and where it lies.

    Calling it reads the image, so that a sample can keep it as its loader.
    """

    frames: tuple[Frame, ...]
    shape: tuple[int, ...]
    geometry: Geometry
    header: Header  # of the first file

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, each once, in the order of the frames."""
        return tuple(dict.fromkeys(frame.path for frame in self.frames))

    def __call__(self) -> Image:
        return read_series(self)


def read_dicom(
    source: Source, *, max_pixels: int = MAX_PIXELS, spacing: Geometry | str | None = None
) -> Image:
    """The image in a DICOM file, or the volume of the one series in a folder (its subfolders are not looked into).

    A file with one frame is a picture (H, W, C), with more a volume. ``spacing`` overrides the file's. Raises
    ``ReadError`` for a folder with several series, slices that make no volume, whole slides in tiles, segmentations
    (open these as a dataset) and pixels that no decoder is installed for.
    """
    if isinstance(source, (str, os.PathLike)) and Path(source).is_dir():
        return _spaced(_read(_only_series(Path(source)), max_pixels), spacing)
    with opened(source) as (file, name):
        if not isinstance(source, (str, os.PathLike)):
            source = file.read()  # it is read twice, which a stream cannot be
    header = read_header(source)
    if header is None:
        raise ReadError(f"{name} is no DICOM file; check what it is")
    if header.sop_class in SEGMENTATIONS:
        raise ReadError(f"{name} is a segmentation, not an image; open it as a dataset (dicom-seg)")
    series = arrange([header])
    if len(header.frames) == 1:
        series = Series(series.frames, series.shape[-2:], _flat(series.geometry), header)
    return _spaced(_read(series, max_pixels, source), spacing)


def read_series(series: Series, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The image of a series. Raises ``ReadError`` as ``read_dicom``."""
    return _read(series, max_pixels)


def group_series(headers: Iterable[Header]) -> list[list[Header]]:
    """Headers of the images of each series, in the order they come; segmentations are left out.

    Files without the number of a series, as some anonymisers leave them, are one series in each folder.
    """
    groups: dict[tuple[str, ...], list[Header]] = {}
    for header in headers:
        if header.sop_class not in SEGMENTATIONS:
            folder = "" if header.series else str(header.path.parent)
            groups.setdefault((header.series, folder), []).append(header)
    return list(groups.values())


def arrange(headers: Sequence[Header]) -> Series:
    """The frames of one series in the order of z. Raises ``ReadError`` where they make no one image."""
    frames = [frame for header in headers for frame in header.frames]
    first = headers[0]
    where = str(first.path if len(headers) == 1 else first.path.parent)
    tiled = next((header.path for header in headers if header.tiled), None)
    if tiled is not None:
        raise ReadError(f"{tiled} is a whole slide in tiles, which is not read here; convert it to OME-TIFF")
    if not frames:
        raise ReadError(f"{where} has no pixels; it is another kind of DICOM object")
    for frame in frames[1:]:
        if frame.size_hw != frames[0].size_hw:
            raise ReadError(
                f"{where} has slices of different sizes, {frames[0].path.name} {frames[0].size_hw} and "
                f"{frame.path.name} {frame.size_hw}; keep those of one series"
            )
    placed = [frame for frame in frames if frame.position is not None and frame.orientation is not None]
    if len(placed) < len(frames):
        if placed or len(headers) > 1:
            lost = next(frame for frame in frames if frame not in placed)
            raise ReadError(
                f"{where}: {lost.path.name} does not say where it lies, so it has no place in a volume"
            )
        return _unplaced(first)
    return _stacked(frames, first, where)


# Order


def _unplaced(header: Header) -> Series:
    """One file whose frames lie nowhere: a picture, or planes in the order of the file."""
    frame = header.frames[0]
    count = len(header.frames)
    shape = frame.size_hw if count == 1 else (count, *frame.size_hw)
    geometry = UNKNOWN if frame.spacing is None or count > 1 else Geometry(frame.spacing, "mm")
    return Series(header.frames, shape, geometry, header)


def _stacked(frames: list[Frame], header: Header, where: str) -> Series:
    first = frames[0]
    row, column = np.array(first.orientation).reshape(2, 3)
    for frame in frames[1:]:
        turned = np.abs(np.array(frame.orientation) - np.array(first.orientation)).max() > _SAME_DIRECTION
        if turned or not _close(frame.spacing, first.spacing):
            what = "turned differently" if turned else "of different pixel spacings"
            raise ReadError(
                f"{where} has slices {what}, {first.path.name} and {frame.path.name}; keep those of one series"
            )
    normal = np.cross(row, column)
    heights = np.array([normal @ np.array(frame.position) for frame in frames])
    order = np.argsort(heights, kind="stable")
    frames = [frames[index] for index in order]
    points = np.array([frame.position for frame in frames])
    step = normal * (first.distance or 1.0)
    if len(frames) > 1:
        _check_distances(frames, heights[order], where)
        step = (points[-1] - points[0]) / (len(points) - 1)
        aside = np.abs(points - points[0] - np.arange(len(points))[:, None] * step).max()
        if aside > max(0.05, _UNEVEN * float(np.linalg.norm(step))):
            raise ReadError(f"{where} has slices that are shifted against each other by up to {aside:.2f} mm")
    affine = np.eye(4)
    between_rows, between_columns = first.spacing or (1.0, 1.0)
    affine[:3, 0], affine[:3, 1] = row * between_columns, column * between_rows
    affine[:3, 2], affine[:3, 3] = step, points[0]
    affine = _FLIP @ affine + 0.0  # no negative zeros
    spacing = (float(np.linalg.norm(step)), between_rows, between_columns)
    known = first.spacing is not None and (len(frames) > 1 or first.distance is not None)
    geometry = Geometry(spacing if known else None, "mm" if known else "px", affine, RAS)
    return Series(tuple(frames), (len(frames), *first.size_hw), geometry, header)


def _close(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.allclose(one, other, rtol=1e-3, atol=0))


def _check_distances(frames: Sequence[Frame], heights: np.ndarray, where: str) -> None:
    """Raise ``ReadError`` for two slices in one place and for gaps."""
    steps = np.diff(heights)
    usual = float(np.median(steps))
    lowest = int(np.argmin(steps))
    # positions are rounded to some 0.001 mm, but slices of microscopes lie closer
    if steps[lowest] <= max(0.02 * usual, min(1e-3, 0.02 * float(steps.max()))):
        one, other = frames[lowest], frames[lowest + 1]
        raise ReadError(
            f"{where} has two slices at {heights[lowest]:g} mm, {one.path.name} and {other.path.name}; keep one "
            "phase, echo or acquisition"
        )
    off = int(np.argmax(np.abs(steps - usual)))
    if abs(steps[off] - usual) > max(0.02, _UNEVEN * usual):
        raise ReadError(
            f"{where} has slices {usual:.2f} mm apart, but {steps[off]:.2f} mm between {frames[off].path.name} and "
            f"{frames[off + 1].path.name}; slices are missing, or it is more than one series"
        )


def _only_series(folder: Path) -> Series:
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    headers = [header for path in found if path.stat().st_size and (header := read_header(path)) is not None]
    groups = group_series(headers)
    if not groups:
        raise ReadError(
            f"{folder} is a folder without DICOM images; name the files in it, or the folder of a series"
        )
    if len(groups) > 1:
        shown = ", ".join(f"{group[0].label or group[0].series} ({len(group)} files)" for group in groups[:5])
        raise ReadError(f"{folder} has {len(groups)} series: {shown}; put each into a folder of its own")
    return arrange(groups[0])


def _flat(geometry: Geometry) -> Geometry:
    spacing = geometry.spacing
    return Geometry(None if spacing is None else spacing[-2:], geometry.unit, geometry.affine, geometry.crs)


def _spaced(image: Image, spacing: Geometry | str | None) -> Image:
    if spacing is None:
        return image
    geometry = Geometry.parse(spacing, image.ndim) if isinstance(spacing, str) else spacing
    return Image(image.pixels, image.channels, geometry, image.source)


# Pixels


def _read(series: Series, max_pixels: int, source: Source | None = None) -> Image:
    """The image of a series, whose one file may be elsewhere, at ``source``."""
    check_pixels(str(series.files[0]), series.shape, max_pixels, series.header.channels)
    planes: dict[Path, list[tuple[np.ndarray, float, float]]] = {}
    for path in series.files:
        planes[path] = _planes(path if source is None else source, path)
    parts = []
    for frame in series.frames:
        found = planes[frame.path]
        if frame.index >= len(found) or found[frame.index][0].shape[:2] != frame.size_hw:
            raise damaged(str(frame.path), "DICOM", "its pixels are not as many as it says")
        parts.append(found[frame.index])
    pixels = _rescaled(parts).reshape(*series.shape, -1)
    channels = default_channels(pixels.shape[-1]) if pixels.shape[-1] in (1, 3, 4) else ()
    place = series.files[0] if len(series.files) == 1 else series.files[0].parent
    return Image(pixels, channels, series.geometry, str(place))


def _rescaled(parts: Sequence[tuple[np.ndarray, float, float]]) -> np.ndarray:
    """Values times slope plus intercept, as integers where both are whole and the slope is 1."""
    plain = all(slope == 1 and intercept == 0 for _, slope, intercept in parts)
    if plain:
        return np.stack([values for values, _, _ in parts])
    if all(slope == 1 and intercept == int(intercept) for _, slope, intercept in parts):
        whole = np.stack([values.astype(np.int32) + int(intercept) for values, _, intercept in parts])
        fits = whole.min() >= -(2**15) and whole.max() < 2**15
        return whole.astype(np.int16) if fits else whole
    return np.stack(
        [
            (values.astype(np.float64) * slope + intercept).astype(np.float32)
            for values, slope, intercept in parts
        ]
    )


def _planes(source: Source, path: Path) -> list[tuple[np.ndarray, float, float]]:
    """Values (H, W) or (H, W, 3), slope and intercept of each frame of a file."""
    content = read_content(source)
    frames = list(decoded(content, path))
    with quiet():
        try:
            rescales = list(_rescales(content, len(frames)))
        except Exception as error:  # pydicom reads elements when they are asked for, and raises as it likes
            raise damaged(str(path), "DICOM", first_line(error)) from error
    return [(values, slope, intercept) for values, (slope, intercept) in zip(frames, rescales, strict=True)]


def _rescales(content: Any, count: int) -> Iterator[tuple[float, float]]:
    shared = first_of(content.get("SharedFunctionalGroupsSequence"))
    single = list(content.get("PerFrameFunctionalGroupsSequence") or ())
    for index in range(count):
        groups = [
            each for each in (single[index] if index < len(single) else None, shared) if each is not None
        ]
        rescale = within(groups, "PixelValueTransformationSequence") or content
        slope, intercept = rescale.get("RescaleSlope"), rescale.get("RescaleIntercept")
        yield 1.0 if slope is None else float(slope), float(intercept or 0.0)
