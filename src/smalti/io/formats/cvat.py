"""CVAT's own XML, version 1.1: "for images", a list of images with shapes, and "for video", a list of tracks.

https://docs.cvat.ai/docs/manual/advanced/xml_format/. Images lie in ``images/`` beside ``annotations.xml``. CVAT does not
read what is under ``<meta>`` when it imports, so split, group and origin of the samples are kept there, as JSON.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal
from xml.etree import ElementTree

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...masks import trace_runs
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..source import MAX_PIXELS
from ..writing import replacing
from .cvat_shapes import (
    KINDS,
    THIN,
    Drawn,
    Specs,
    add_attributes,
    input_type,
    mask_element,
    parse_shape,
    polygon_element,
    xml_text,
)
from .cvat_tracks import Keyframe, Track
from .documents import read_xml
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import PICTURES, place_image
from .outlines import Shape
from .records import about, columns, extent, from_about, picture_truths, read_classes, rows, write_classes
from .tree import Tree, inside

ANNOTATIONS = "annotations.xml"
IMAGES = "images"
MAX_FRAMES = 10_000_000

_MOST_CORNERS = 10_000  # of a polygon that can still be edited


class Cvat(AnnotationFormat):
    """CVAT's XML: polygons where they say a segment exactly, masks for the rest, tracks for frames of a video."""

    name: ClassVar[str] = "cvat"
    title: ClassVar[str] = "CVAT XML 1.1"
    source: ClassVar[str] = "https://docs.cvat.ai/docs/manual/advanced/xml_format/"

    mode: Literal["auto", "images", "video"] = Field(
        "auto",
        description="Write for images or for video; auto takes video for frames of one group whose segments have a "
        "track_id.",
    )
    void: str = Field("__ignore__", min_length=1, description="Label of shapes where nobody said what there is.")
    flatten: bool = Field(
        False, description="A shape takes the pixels of those that it covers by z_order, then by coming later."
    )
    join_groups: bool = Field(
        False, description="Shapes of one label and group_id are pieces of one segment, as in CVAT's COCO export."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        for name in _documents(tree)[:20]:
            head = tree.head(name)
            if b"<annotations" in head and (b"<version>1" in head or b"<meta" in head or b"<image " in head):
                return Recognised(0.95, f"{name} begins as CVAT's annotations do")
        return None

    def open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        found: list[_Found] = []
        labels: dict[str, tuple[int, int, int] | None] = {}
        names: dict[str, str] = {}
        for path in _documents(tree):
            root = read_xml(tree.file(path))
            if root.tag != "annotations":
                if tree.focus is not None:
                    raise ReadError(f"{tree.file(path)} is no CVAT XML; wanted annotations at the top, got {root.tag}")
                continue
            document = _Document(tree, path, root, problems)
            labels = document.labels | labels
            video = root.find("track") is not None or document.mode == "interpolation"
            for each in document.frames() if video and root.find("image") is None else document.images():
                if each.name in names:
                    message = f"there is an image {each.name} in {names[each.name]} already; rename one"
                    problems.append(Problem(path, each.record, message, each.name))
                else:
                    names[each.name] = path
                    found.append(each)
        if not names and not problems:
            raise ReadError(f"{tree.root / (tree.focus or '')} has no CVAT XML with images or tracks")
        colors = {name: color for name, color in labels.items() if color is not None}
        classes = read_classes(tree, [name for name in labels if name != self.void], colors)
        samples = [self._sample(tree, each, classes) for each in found]
        if tree.focus is None:
            samples += _unannotated(tree, samples)
        return Annotations(samples, classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        if self.void in classes.names:
            raise InputError(f"a class is called {self.void!r}, which means void here; set void to another name")
        samples = list(samples)
        numbers = _frame_numbers(samples) if self.mode != "images" else None
        video = self.mode == "video" or (self.mode == "auto" and _are_tracked(samples, numbers))
        if video and numbers is None:
            raise InputError(
                f"{self.name}: a video is annotated frames of one group and split, named with their numbers at the "
                "end; write mode=images, or each group on its own"
            )
        written = [_write_image(folder, sample) for sample in samples]
        shapes = _Writer(self, classes)
        root = ElementTree.Element("annotations")
        ElementTree.SubElement(root, "version").text = "1.1"
        meta = ElementTree.SubElement(root, "meta")
        if video and numbers is not None:
            tracks = shapes.tracks(dict(zip(numbers, samples, strict=True)))
            _write_meta(meta, "interpolation", samples, shapes, numbers)
            root.extend(tracks)
        else:
            for number, (sample, file) in enumerate(zip(samples, written, strict=True)):
                if sample.annotated:
                    root.append(shapes.image(number, sample, file))
            _write_meta(meta, "annotation", samples, shapes, None)
        ElementTree.indent(root)
        with replacing(folder / ANNOTATIONS) as part:
            ElementTree.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)
        write_classes(folder, classes)
        return [inside(sample.name) for sample in samples]

    def _sample(self, tree: Tree, found: _Found, classes: ClassSet) -> Sample:
        image_path = None if found.image is None else tree.file(found.image)
        path = tree.file(found.file)
        truths = partial(self._truths, path, found.record, found.drawn, found.shape, image_path, classes)
        load_image = None if image_path is None else partial(read, image_path)
        return Sample(found.name, load_image, truths, image_path, (path,), **found.fields)

    def _truths(
        self,
        path: Path,
        record: str,
        drawn: Sequence[Drawn] | _Frame,
        shape: Shape,
        image_path: Path | None,
        classes: ClassSet,
    ) -> tuple[Segmentation, ...]:
        geometry = None
        if image_path is not None:
            there, geometry = extent(image_path)
            if there != shape:
                raise ReadError(f"{path}, {record}: it says {shape[0]} x {shape[1]} pixels, {image_path} has {there}")
        given = drawn.drawn() if isinstance(drawn, _Frame) else drawn
        shown = [each for each in given if each.label != self.void]
        voids = [each.runs(shape) for each in given if each.label == self.void]
        keys: dict[Any, int] = {}
        groups = [
            keys.setdefault(
                (each.label, each.attributes["group_id"])
                if self.join_groups and "group_id" in each.attributes
                else number,
                len(keys) + 1,
            )
            for number, each in enumerate(shown)
        ]
        runs = Runs.concatenate([each.runs(shape) for each in shown])
        if self.flatten:
            order = np.argsort([each.z_order for each in shown], kind="stable")
            runs = Runs.of_labels(runs.paint(shape, order)[0], len(shown))
        firsts = [shown[groups.index(number)] for number in range(1, len(keys) + 1)]
        truth = Segmentation.from_runs(
            shape,
            runs.merge(np.array(groups, np.int64), len(keys), shape[1]),
            class_ids=[classes.named(each.label).id for each in firsts],
            scores=[each.score for each in firsts],
            classes=classes,
            geometry=geometry,
            void=Runs.concatenate(voids).merge(np.ones(len(voids), np.int64), 1, shape[1]) if voids else None,
            attributes=columns([each.attributes for each in firsts]),
        )
        return (truth,)
