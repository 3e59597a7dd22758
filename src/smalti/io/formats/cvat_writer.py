"""Segmentations as the elements of a CVAT XML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any
from xml.etree import ElementTree

from ...classes import ClassSet
from ...masks import Polygon, trace_runs
from ...sample import Sample
from ...segmentation import Segmentation
from .cvat_documents import OWN
from .cvat_shapes import FLAGS, add_attributes, input_type, mask_element, polygon_element
from .records import about, picture_truths, rows, xml_text

_MOST_CORNERS = 10_000  # of a polygon that can still be edited


class Writer:
    """Makes elements, and remembers which attributes the labels come to need."""

    def __init__(self, title: str, classes: ClassSet, void: str) -> None:
        self.title = title
        self.classes = classes
        self.void = void
        self._values: dict[str, dict[str, list[Any]]] = {}
        self._void_used = False

    def image(self, number: int, sample: Sample, name: str) -> ElementTree.Element:
        """An ``image`` with the shapes of one sample."""
        truth = picture_truths(sample, self.title)[0]
        height, width = truth.shape
        element = ElementTree.Element(
            "image", id=str(number), name=xml_text(name), width=str(width), height=str(height)
        )
        if sample.split is not None:
            element.set("subset", xml_text(sample.split))
        outlines = trace_runs(truth.runs, truth.shape)
        for index, attributes in enumerate(rows(truth)):
            shape = _polygon(outlines[index]) if _fits_polygon(outlines[index]) else _mask(truth, index + 1)
            label = truth.classes.of(truth.class_ids[index]).name
            shape.set("label", xml_text(label))
            self._add(shape, label, attributes, float(truth.scores[index]))
            element.append(shape)
        if truth.void_px:
            element.append(self._void(truth))
        return element

    def tracks(self, samples: Mapping[int, Sample]) -> list[ElementTree.Element] | None:
        """A ``track`` for each track id of samples by frame; None where ids are missing, come twice or change class."""
        truths = {frame: picture_truths(sample, self.title)[0] for frame, sample in sorted(samples.items())}
        if len({truth.shape for truth in truths.values()}) > 1:
            return None
        members: dict[int, list[tuple[int, int]]] = {}
        for frame, truth in truths.items():
            ids = truth.attributes.get("track_id")
            if len(truth) and (
                ids is None or ids.dtype.kind not in "ui" or len(set(ids.tolist())) < len(ids)
            ):
                return None
            for index, track_id in enumerate([] if ids is None else ids.tolist()):
                members.setdefault(track_id, []).append((frame, index))
        following = dict(zip(truths, [*truths][1:], strict=False))
        outlines = {frame: trace_runs(truth.runs, truth.shape) for frame, truth in truths.items()}
        records = {frame: rows(truth) for frame, truth in truths.items()}
        elements = []
        for track_id, places in members.items():
            names = {truths[frame].classes.of(truths[frame].class_ids[index]).name for frame, index in places}
            if len(names) > 1:
                return None
            as_polygon = all(_fits_polygon(outlines[frame][index]) for frame, index in places)
            label = names.pop()
            track = ElementTree.Element("track", id=str(track_id), label=xml_text(label), source="manual")
            group_ids = {records[frame][index].get("group_id") for frame, index in places}
            if len(group_ids) == 1 and type(group_id := group_ids.pop()) is int:
                track.set("group_id", str(group_id))  # where CVAT itself has it
            told = _said_throughout(
                [(records[frame][index], truths[frame].scores[index]) for frame, index in places]
            )
            for (frame, index), attributes in zip(places, told, strict=True):
                outline = outlines[frame][index]
                shape = _polygon(outline) if as_polygon else _mask(truths[frame], index + 1)
                _in_frame(shape, frame)
                self._add(shape, label, attributes, 1.0)
                track.append(shape)
                if following.get(frame) not in (None, *(each for each, _ in places)):
                    track.append(_gone(shape, following[frame]))
            elements.append(track)
        return elements + self._void_track(truths, following)

    def write_meta(
        self, meta: ElementTree.Element, mode: str, samples: Sequence[Sample], frames: Sequence[int] | None
    ) -> None:
        """What stands before the images or tracks: the task, its labels, and what the samples know of themselves."""
        task = ElementTree.SubElement(meta, "task")
        told: dict[str, Any] = {}
        title = samples[0].group if samples else None
        values = {"name": title or "smalti", "size": str(len(samples)), "mode": mode}
        if frames is not None:
            height, width = samples[0].truth.shape
            values |= {"start_frame": str(min(frames)), "stop_frame": str(max(frames))}
            values |= {} if samples[0].split is None else {"subset": samples[0].split}
            size = ElementTree.SubElement(task, "original_size")
            for name, length in (("width", width), ("height", height)):
                ElementTree.SubElement(size, name).text = str(length)
            told = {
                str(frame): {"name": sample.name} | about(sample)
                for frame, sample in zip(frames, samples, strict=True)
            }
        else:
            told = {sample.name: record for sample in samples if (record := about(sample))}
        for name, value in values.items():
            ElementTree.SubElement(task, name).text = xml_text(value)
        labels = ElementTree.SubElement(task, "labels")
        for entry in self.classes:
            self._label(labels, entry.name, "#{:02x}{:02x}{:02x}".format(*entry.color))
        if self._void_used:
            self._label(labels, self.void, "#000000")
        if told:
            ElementTree.SubElement(meta, OWN).text = xml_text(json.dumps(told))

    def _label(self, labels: ElementTree.Element, name: str, color: str) -> None:
        label = ElementTree.SubElement(labels, "label")
        for tag, text in (("name", xml_text(name)), ("color", color), ("type", "any")):
            ElementTree.SubElement(label, tag).text = text
        attributes = ElementTree.SubElement(label, "attributes")
        for attribute, values in self._values.get(name, {}).items():
            each = ElementTree.SubElement(attributes, "attribute")
            kind = input_type(values)
            for tag, text in (
                ("name", xml_text(attribute)),
                ("mutable", "True"),
                ("input_type", kind),
                ("default_value", {"checkbox": "false", "number": "0", "text": ""}[kind]),
                ("values", {"checkbox": "false", "number": "-1e9;1e9;1", "text": ""}[kind]),
            ):
                ElementTree.SubElement(each, tag).text = text

    def _add(
        self, shape: ElementTree.Element, label: str, attributes: Mapping[str, Any], score: float
    ) -> None:
        known = self._values.setdefault(label, {})
        for name, value in add_attributes(shape, attributes, score).items():
            known.setdefault(name, []).append(value)

    def _void(self, truth: Segmentation) -> ElementTree.Element:
        self._void_used = True
        shape = mask_element(truth.void, 0, 0)
        shape.set("label", xml_text(self.void))
        add_attributes(shape, {}, 1.0)
        return shape

    def _void_track(
        self, truths: Mapping[int, Segmentation], following: Mapping[int, int]
    ) -> list[ElementTree.Element]:
        frames = [frame for frame, truth in truths.items() if truth.void_px]
        if not frames:
            return []
        track = ElementTree.Element("track", id="-1", label=xml_text(self.void), source="manual")
        for frame in frames:
            shape = self._void(truths[frame])
            _in_frame(shape, frame)
            del shape.attrib["label"]
            track.append(shape)
            if following.get(frame) not in (None, *frames):
                track.append(_gone(shape, following[frame]))
        return [track]


def _fits_polygon(polygons: Sequence[Polygon]) -> bool:
    """Whether one polygon says it all, and has no more corners than a person can edit."""
    return len(polygons) == 1 and not polygons[0].holes_xy and len(polygons[0].exterior_xy) <= _MOST_CORNERS


def _polygon(polygons: Sequence[Polygon]) -> ElementTree.Element:
    return polygon_element(polygons[0].exterior_xy)


def _mask(truth: Segmentation, k: int) -> ElementTree.Element:
    crop, place = truth.crop(k)
    return mask_element(crop, place[0].start, place[1].start)


def _in_frame(shape: ElementTree.Element, frame: int) -> None:
    shape.attrib.update(frame=str(frame), keyframe="1", outside="0")


def _gone(shape: ElementTree.Element, frame: int) -> ElementTree.Element:
    """The same shape out of sight from ``frame`` on."""
    gone = deepcopy(shape)
    gone.attrib.update(frame=str(frame), outside="1")
    return gone


def _said_throughout(records: Sequence[tuple[Mapping[str, Any], float]]) -> list[dict[str, Any]]:
    """Attributes of a track in each frame; one that it has anywhere is said everywhere, as it would stay otherwise."""
    nothing: dict[str, Any] = {}
    for attributes, score in records:
        nothing |= {name: type(value)() for name, value in attributes.items() if name not in FLAGS}
        nothing |= {"score": 1.0} if score != 1 else {}
    nothing.pop("track_id", None)
    return [
        nothing
        | {name: value for name, value in attributes.items() if name != "track_id"}
        | ({"score": float(score)} if "score" in nothing else {})
        for attributes, score in records
    ]
