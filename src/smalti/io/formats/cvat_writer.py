"""Segmentations as the elements of a CVAT XML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from ...classes import ClassSet
from ...masks import Polygon, trace_runs
from ...sample import Sample
from ...segmentation import Segmentation
from .cvat_documents import OWN
from .cvat_shapes import add_attributes, input_type, mask_element, polygon_element, xml_text
from .records import about, picture_truths, rows

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
            if len(truth) and (ids is None or ids.dtype.kind not in "ui" or len(set(ids.tolist())) < len(ids)):
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
            for frame, index in places:
                truth = truths[frame]
                attributes = {name: value for name, value in records[frame][index].items() if name != "track_id"}
                shape = _polygon(outlines[frame][index]) if as_polygon else _mask(truth, index + 1)
                _in_frame(shape, frame)
                self._add(shape, label, attributes, float(truth.scores[index]), inherited=True)
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
        values = {"name": samples[0].group or "smalti", "size": str(len(samples)), "mode": mode}
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
        self,
        shape: ElementTree.Element,
        label: str,
        attributes: Mapping[str, Any],
        score: float,
        inherited: bool = False,
    ) -> None:
        """Attributes of a shape. In a track those it had before are said anew, as they would stay otherwise."""
        known = self._values.setdefault(label, {})
        left = add_attributes(shape, attributes, score)
        for name, value in left.items():
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
