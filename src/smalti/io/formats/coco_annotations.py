"""Segments as COCO's annotations and back: the one place that knows how a segment looks in that JSON.

Lin et al., "Microsoft COCO: Common Objects in Context" (2014); the fields are those of
https://cocodataset.org/#format-data. Which pixels an annotation covers is what pycocotools makes of it, bit for bit:
polygons by its own rule (``masks.fill_coco_polygons``), run lengths as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import hypot
from typing import Any, Literal

import numpy as np

from ... import compiled
from ...classes import ClassSet
from ...errors import InputError
from ...geometry import Geometry
from ...masks import (
    MAX_COORDINATE,
    polygon_to_coco,
    rles_from_runs,
    runs_from_coco_polygons,
    runs_from_rle,
    trace_runs,
)
from ...runs import Runs, index_array
from ...segmentation import Segmentation
from .records import columns, rows

Form = Literal["auto", "rle", "polygon"]

Size = tuple[int, int]  # height and width in pixels

_COLUMNS = ("track_id", "group_id")  # attributes that some tools keep beside the others


# Writing


def annotations_of(found: Segmentation, form: Form) -> list[dict[str, Any]]:
    """A COCO annotation for each segment, without ``id`` and ``image_id``.

    ``auto`` gives outlines, and run lengths to what outlines cannot say or by COCO's custom do not: segments with
    holes, crowds, and those without pixels. ``polygon`` cuts holes open along a line. All are exact. ``score`` is
    always there; ``attributes`` has those that say anything.
    """
    traced = [[]] * len(found) if form == "rle" else trace_runs(found.runs, found.shape)
    records = rows(found)
    crowds = [bool(record.pop("crowd", False)) for record in records]
    outlined = [
        bool(polygons) and (form == "polygon" or not (crowd or any(polygon.holes_xy for polygon in polygons)))
        for polygons, crowd in zip(traced, crowds, strict=True)
    ]
    rles = [None] * len(found) if all(outlined) else rles_from_runs(found.runs, found.shape)
    annotations = []
    for k, (ymin, xmin, ymax, xmax) in enumerate(found.boxes.tolist()):
        annotation = {
            "category_id": int(found.class_ids[k]),
            "segmentation": [polygon_to_coco(polygon) for polygon in traced[k]] if outlined[k] else rles[k],
            "area": int(found.areas_px[k]),
            "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            "iscrowd": int(crowds[k]),
            "score": float(found.scores[k]),
        }
        annotations.append(annotation | ({"attributes": records[k]} if records[k] else {}))
    return annotations


def categories_of(classes: ClassSet) -> list[dict[str, Any]]:
    """The table of categories, with colour and ``isthing`` as in COCO's panoptic files."""
    return [
        {
            "id": entry.id,
            "name": entry.name,
            "supercategory": "thing" if entry.thing else "stuff",
            "isthing": int(entry.thing),
            "color": list(entry.color),
        }
        for entry in classes
    ]


# Reading


def segments_of(
    annotations: Sequence[Mapping[str, Any]],
    size: Size,
    class_ids: Mapping[Any, int],
    classes: ClassSet,
    geometry: Geometry | None = None,
    void: Mapping[str, Any] | None = None,
) -> Segmentation:
    """The segments of one image from annotations that ``Checks`` found nothing wrong with.

    ``class_ids`` has the class of each ``category_id`` and ``void`` is a run-length encoding. Raises ``InputError``
    naming the annotation for what only shows in its numbers.
    """
    starts: list[np.ndarray] = [index_array(size[0] * size[1])]
    stops = starts[:]
    for annotation in annotations:
        try:
            start, stop = _runs_of(annotation["segmentation"], size)
        except InputError as error:
            raise InputError(f"{name_of(annotation)}: {error}") from error
        starts.append(start)
        stops.append(stop)
    offsets = np.cumsum([len(start) for start in starts], dtype=np.int64)
    unlabelled = None
    if void is not None:
        try:
            start, stop = _runs_of(void, size)
        except InputError as error:
            raise InputError(f"void: {error}") from error
        unlabelled = Runs(np.array([0, len(start)]), start, stop)
    return Segmentation.from_runs(
        size,
        Runs(offsets, np.concatenate(starts), np.concatenate(stops)),
        class_ids=[class_ids[annotation["category_id"]] for annotation in annotations],
        scores=[1.0 if (score := each.get("score")) is None else score for each in annotations],
        classes=classes,
        geometry=geometry,
        void=unlabelled,
        attributes=columns([attributes_of(annotation) for annotation in annotations]),
    )


def attributes_of(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """What an annotation, or a segment of a panoptic file, says besides pixels, class and score."""
    found: dict[str, Any] = {}
    if annotation.get("id") is not None:
        found["source_id"] = annotation["id"]
    found |= {name: annotation[name] for name in _COLUMNS if type(annotation.get(name)) is int}
    if isinstance(annotation.get("attributes"), Mapping):
        found |= annotation["attributes"]
    if annotation.get("iscrowd"):
        found["crowd"] = True
    return found


def name_of(annotation: Mapping[str, Any]) -> str:
    """How messages call an annotation."""
    return f"annotation {annotation.get('id')}"


class Checks:
    """What is wrong with the ``segmentation`` of many annotations, found without rasterising.

    Compressed run lengths are collected and looked at together, which takes a tenth of the time.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._sizes: list[int] = []
        self._waiting: list[Mapping[str, Any]] = []

    def fault(self, annotation: Mapping[str, Any], size: Size | None) -> str:
        """What is wrong with one annotation of an image of ``size``; empty if nothing, or if it is not known yet."""
        segmentation = annotation.get("segmentation")
        if isinstance(segmentation, list):
            for flat_xy in segmentation:
                try:
                    # the length of all numbers as a vector is above each of them and NaN where one is; it takes
                    # half the time of looking at each, and what it finds is looked at closely
                    if len(flat_xy) < 6 or len(flat_xy) % 2 or not hypot(*flat_xy) <= MAX_COORDINATE:
                        break
                except (TypeError, OverflowError):
                    break
            else:
                return "" if segmentation else _without(annotation)
            return _faulty_polygons(segmentation)
        if isinstance(segmentation, dict):
            return self._rle_fault(annotation, segmentation, size)
        if segmentation is None:
            return _without(annotation)
        return f"wanted polygons or run lengths under 'segmentation', got {type(segmentation).__name__}"

    def _rle_fault(self, annotation: Mapping[str, Any], rle: Mapping[str, Any], size: Size | None) -> str:
        counts, said = rle.get("counts"), rle.get("size")
        if size is None or said != [*size]:
            if (
                not isinstance(said, list)
                or len(said) != 2
                or not all(type(side) is int and side > 0 for side in said)
            ):
                return f"the size of a run-length encoded mask is [height, width] in pixels, got {said!r:.60}"
            if size is not None:
                return (
                    f"its mask is {said[0]} x {said[1]} and its image {size[0]} x {size[1]} (height x width)"
                )
        pixels = said[0] * said[1]
        if isinstance(counts, str) and counts.isascii():
            self._texts.append(counts)
            self._sizes.append(min(pixels, 2**62))
            self._waiting.append(annotation)
            return ""
        if isinstance(counts, list):
            try:
                total = sum(counts)
                if type(total) is int and total == pixels and min(counts, default=0) >= 0:
                    return ""
            except TypeError:
                pass
        return _rle_message(rle)

    def late(self) -> Iterable[tuple[Mapping[str, Any], str]]:
        """The annotations whose run lengths were waiting and are wrong, with what is wrong with them."""
        if not self._waiting:
            return
        text = np.frombuffer("".join(self._texts).encode("ascii"), np.uint8)
        ends = np.cumsum([len(each) for each in self._texts], dtype=np.int64)
        fine = compiled.rle.fill_their_images(text, ends, np.array(self._sizes, np.int64))
        for index in np.flatnonzero(~fine).tolist():
            annotation = self._waiting[index]
            yield annotation, _rle_message(annotation["segmentation"])


def sound_polygons(segmentation: Any) -> list[Any]:
    """The polygons that nothing is wrong with."""
    if not isinstance(segmentation, list):
        return []
    return [flat_xy for flat_xy in segmentation if not _polygon_fault(flat_xy)]


def _runs_of(segmentation: Any, size: Size) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(segmentation, Mapping):
        if list(segmentation.get("size", ())) != list(size):
            raise InputError(f"its mask is {segmentation.get('size')!r} and its image {size} (height, width)")
        return runs_from_rle(segmentation)
    return runs_from_coco_polygons(segmentation, *size)


def _without(annotation: Mapping[str, Any]) -> str:
    kinds = [kind for kind in ("keypoints", "bbox") if annotation.get(kind)]
    what = " and ".join({"keypoints": "keypoints", "bbox": "a box"}[kind] for kind in kinds)
    return f"it has {what or 'nothing to see'} and no mask; segmentation needs polygons or run lengths"


def _faulty_polygons(segmentation: list[Any]) -> str:
    for index, flat_xy in enumerate(segmentation, 1):
        fault = _polygon_fault(flat_xy)
        if fault:
            return f"polygon {index} of {len(segmentation)} {fault}"
    return ""


def _polygon_fault(flat_xy: Any) -> str:
    if not isinstance(flat_xy, list) or any(type(value) not in (int, float) for value in flat_xy):
        return "is no list of numbers x0, y0, x1, y1, ..."
    if len(flat_xy) % 2:
        return f"has {len(flat_xy)} numbers; wanted pairs of x and y"
    if len(flat_xy) < 6:
        return f"has {len(flat_xy) // 2} points; wanted at least 3"
    if not all(-MAX_COORDINATE <= value <= MAX_COORDINATE for value in flat_xy):
        return "has coordinates that are not finite or beyond 2**31"
    return ""


def _rle_message(rle: Mapping[str, Any]) -> str:
    try:
        runs_from_rle(rle)
    except InputError as error:
        return str(error)
    return "its run lengths are wrong"
