"""DICOM segmentation objects laid onto the slices they were drawn on.

Follows DICOM PS3.3, C.8.20 (Segmentation) with Supplement 243 (label maps): binary and fractional frames, each of one
segment, and label maps whose values are segment numbers. Frames find their slice by where they lie; where they do not
say it, by the image they name. Slices without a frame have no segment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...classes import ClassSet
from ...errors import ReadError, SmaltiError
from ...runs import Runs
from ...segmentation import Segmentation
from ..decoding import damaged, first_line
from ..dicom import Series
from ..dicom_files import Frame, Header, decoded, quiet, read_content
from .dicom_grid import NO_RUNS, Placer
from .records import columns

ClassFrom = Literal["label", "type"]

SCHEME = "99SMALTI"
"""Designator of smalti's own codes, private as the 99 says."""

VOID_CODE = "VOID"

_TRACKS = "track_id"


@dataclass(frozen=True)
class Segment:
    """What a segmentation object says of one segment."""

    number: int
    label: str
    category: str  # codes as value^meaning^scheme
    type: str
    tracking: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)  # score and attributes, where smalti wrote them

    @property
    def void(self) -> bool:
        """Whether it is where nobody said what there is."""
        return self.type.startswith(VOID_CODE + "^") and self.type.endswith("^" + SCHEME)

    def class_name(self, class_from: ClassFrom) -> str:
        """Its label, or the meaning of its property type."""
        meaning = self.type.split("^")[1] if "^" in self.type else ""
        return (meaning if class_from == "type" else self.label) or meaning or self.label or "object"


@dataclass(frozen=True)
class SegHeader:
    """A segmentation object before its pixels: its segments, and the images it was drawn on."""

    path: Path
    image: Header
    segments: tuple[Segment, ...]
    series: frozenset[str]  # series that it refers to
    instances: frozenset[str]  # images that it refers to

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Records that contradict each other, and how."""
        numbers = [segment.number for segment in self.segments]
        return [
            (f"segment {number}", f"there are {numbers.count(number)} of this number; give each its own")
            for number in dict.fromkeys(numbers)
            if numbers.count(number) > 1
        ]


@dataclass(frozen=True)
class Reading:
    """How segments become classes and fractions pixels."""

    classes: ClassSet
    class_from: ClassFrom
    threshold: float


def read_seg_header(image: Header) -> SegHeader:
    """What a segmentation object says besides its frames. Raises ``ReadError``."""
    with _lies_told(image.path):
        return _seg_header(image)


def _seg_header(image: Header) -> SegHeader:
    content = read_content(image.path, pixels=False)
    segments = content.get("SegmentSequence")
    if not segments:
        raise damaged(str(image.path), "DICOM", "it describes no segment")
    found = tuple(_segment(item) for item in segments)
    series = list(content.get("ReferencedSeriesSequence") or ())
    instances = {
        str(each.get("ReferencedSOPInstanceUID", ""))
        for item in series
        for each in item.get("ReferencedInstanceSequence") or ()
    }
    for group in content.get("PerFrameFunctionalGroupsSequence") or ():
        instances.update(uid for uid, _ in _sources(group))
    return SegHeader(
        image.path,
        image,
        found,
        frozenset(str(item.get("SeriesInstanceUID", "")) for item in series) - {""},
        frozenset(instances - {""}),
    )


@contextmanager
def _lies_told(path: Path) -> Iterator[None]:
    """Elements of another kind than DICOM has there, missing or several where one is wanted, are damage."""
    with quiet():
        try:
            yield
        except SmaltiError:
            raise
        except Exception as error:  # pydicom reads elements when they are asked for, and raises as it likes
            raise damaged(str(path), "DICOM", first_line(error)) from error


def _segment(item: Any) -> Segment:
    description = str(item.get("SegmentDescription") or "")
    told: Any = {}
    if description.startswith('{"smalti"'):
        try:
            told = json.loads(description)["smalti"]
        except (ValueError, RecursionError):
            told = {}
    return Segment(
        int(item.SegmentNumber),
        str(item.get("SegmentLabel") or "").strip(),
        _code(item.get("SegmentedPropertyCategoryCodeSequence")),
        _code(item.get("SegmentedPropertyTypeCodeSequence")),
        str(item.get("TrackingID") or "").strip(),
        told if isinstance(told, Mapping) else {},
    )


def _code(sequence: Any) -> str:
    if not sequence:
        return ""
    item = sequence[0]
    value = next(
        (str(item.get(key)) for key in ("CodeValue", "LongCodeValue", "URNCodeValue") if item.get(key)), ""
    )
    return f"{value}^{item.get('CodeMeaning', '')}^{item.get('CodingSchemeDesignator', '')}"


def _sources(group: Any) -> Iterator[tuple[str, int]]:
    """Images that a frame was derived from, with the number of the frame in each (from 0)."""
    for derivation in group.get("DerivationImageSequence") or ():
        for source in derivation.get("SourceImageSequence") or ():
            numbers = source.get("ReferencedFrameNumber")
            first = numbers[0] if isinstance(numbers, Sequence) and not isinstance(numbers, str) else numbers
            yield str(source.get("ReferencedSOPInstanceUID", "")), int(first or 1) - 1


def read_segments_of(seg: SegHeader, grid: Series, reading: Reading) -> Segmentation:
    """The segments of an object on the slices of ``grid``. Raises ``ReadError`` naming file and segment."""
    name = str(seg.path)
    if seg.image.tiled:
        raise ReadError(
            f"{name} is of a whole slide in tiles, which is not read here; convert it to a label TIFF"
        )
    content = read_content(seg.path)
    placer = Placer(name, grid)
    wanted = {segment.number: segment for segment in seg.segments if segment.number > 0}
    pieces: dict[int, list[Runs]] = {number: [] for number in wanted}
    sums: dict[int, list[float]] = {number: [] for number in wanted}
    for number, mask, frame, source, total in _masks(content, seg, reading.threshold):
        if number not in wanted:
            raise ReadError(
                f"{name}: a frame is of segment {number}, which is not described; the file is damaged"
            )
        pieces[number].append(placer.runs(mask, frame, source))
        sums[number].append(total)
    width = grid.shape[-1]
    merged = [Runs.concatenate(pieces[number]) for number in wanted]
    runs = [each.merge(np.ones(len(each), np.int64), 1, width) if len(each) else NO_RUNS for each in merged]
    return _segmentation(
        list(wanted.values()), runs, [sums[number] for number in wanted], content, grid, reading
    )


def _segmentation(
    segments: list[Segment],
    runs: list[Runs],
    sums: list[list[float]],
    content: Any,
    grid: Series,
    reading: Reading,
) -> Segmentation:
    named = [k for k, segment in enumerate(segments) if not segment.void]
    voids = [runs[k] for k, segment in enumerate(segments) if segment.void]
    probable = content.get("SegmentationFractionalType") == "PROBABILITY"
    scores = []
    for k in named:
        area = int(runs[k].areas.sum())
        mean = sum(sums[k]) / area if probable and area else 1.0
        scores.append(min(max(float(segments[k].told.get("score", mean)), 0.0), 1.0))
    return Segmentation.from_runs(
        grid.shape,
        Runs.concatenate([runs[k] for k in named]),
        class_ids=[reading.classes.named(segments[k].class_name(reading.class_from)).id for k in named],
        scores=scores,
        classes=reading.classes,
        geometry=grid.geometry,
        void=Runs.concatenate(voids).merge(np.ones(len(voids), np.int64), 1, grid.shape[-1])
        if voids
        else None,
        attributes=columns([_attributes(segments[k]) for k in named]),
    )


def _attributes(segment: Segment) -> dict[str, Any]:
    """What is known of a segment; the codes and label only where they say more than the class."""
    told = segment.told.get("attributes")
    found: dict[str, Any] = dict(told) if isinstance(told, Mapping) else {}
    if not segment.told:
        found["source_id"] = segment.number
    if segment.tracking:
        found[_TRACKS if segment.tracking.isdecimal() else "tracking_id"] = (
            int(segment.tracking) if segment.tracking.isdecimal() else segment.tracking
        )
    if not segment.type.endswith("^" + SCHEME):
        found |= {"segment_label": segment.label, "category": segment.category, "type": segment.type}
    return {key: value for key, value in found.items() if value != ""}


def _masks(
    content: Any, seg: SegHeader, threshold: float
) -> Iterator[tuple[int, np.ndarray, Frame, tuple[str, int] | None, float]]:
    """Segment number, mask (H, W), frame, source image and sum of fractions of each part of each frame."""
    kind = str(content.get("SegmentationType", ""))
    groups = list(content.get("PerFrameFunctionalGroupsSequence") or ())
    shared = content.get("SharedFunctionalGroupsSequence")
    most = float(content.get("MaximumFractionalValue") or 1)
    padding = content.get("PixelPaddingValue")
    count = 0
    for index, plane in enumerate(decoded(content, seg.path)):
        if index >= len(seg.image.frames) or plane.shape != seg.image.frames[index].size_hw:
            raise damaged(str(seg.path), "DICOM", "its frames are not as many, or not as large, as it says")
        count, frame = index + 1, seg.image.frames[index]
        group = groups[index] if index < len(groups) else {}
        source = next(_sources(group), None)
        if kind == "LABELMAP":
            for number in np.unique(plane).tolist():
                if number != 0 and number != padding:
                    yield (
                        int(number),
                        plane == number,
                        frame,
                        source,
                        float(np.count_nonzero(plane == number)),
                    )
            continue
        number = _frame_segment(group, shared[0] if shared else {}, seg)
        if kind == "FRACTIONAL":
            fractions = plane / most
            mask = fractions >= threshold
            yield number, mask, frame, source, float(fractions[mask].sum())
        else:
            yield number, plane != 0, frame, source, float(np.count_nonzero(plane))
    if count < len(seg.image.frames):
        raise damaged(str(seg.path), "DICOM", f"it has {count} frames, {len(seg.image.frames)} were promised")


def _frame_segment(group: Any, shared: Any, seg: SegHeader) -> int:
    for each in (group, shared):
        found = each.get("SegmentIdentificationSequence")
        number = found[0].get("ReferencedSegmentNumber") if found else None
        if isinstance(number, int):
            return int(number)
    if len(seg.segments) == 1:
        return seg.segments[0].number
    raise damaged(str(seg.path), "DICOM", "a frame does not say of which segment it is")
