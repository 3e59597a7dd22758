"""CVAT's own XML, version 1.1: "for images", a list of images with shapes, and "for video", a list of tracks.

https://docs.cvat.ai/docs/manual/advanced/xml_format/. Images lie in ``images/`` beside ``annotations.xml``. CVAT does
not read what is under ``<meta>`` when it imports, so split, group and origin of the samples are kept there, as JSON.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal
from xml.etree import ElementTree

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...masks import Polygon
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..writing import replacing
from .cvat_documents import IMAGES, Document, Found, Frame, Pictures
from .cvat_shapes import Drawn
from .cvat_writer import Writer
from .documents import read_xml
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import place_image
from .outlines import Shape, united
from .records import columns, extent, from_about, read_classes, unannotated, write_classes, xml_text
from .tree import Tree, inside

ANNOTATIONS = "annotations.xml"


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
    void: str = Field(
        "__ignore__", min_length=1, description="Label of shapes where nobody said what there is."
    )
    flatten: bool = Field(
        False,
        description="A shape takes the pixels of those that it covers by z_order, then by coming later.",
    )
    join_groups: bool = Field(
        False,
        description="Shapes of one label and group_id are pieces of one segment, as in CVAT's COCO export.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        for name in _documents(tree)[:20]:
            head = tree.head(name)
            if b"<annotations" in head and (b"<version>1" in head or b"<meta" in head or b"<image " in head):
                return Recognised(0.95, f"{name} begins as CVAT's annotations do")
        return None

    def open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        found: dict[str, Found] = {}
        labels: dict[str, tuple[int, int, int] | None] = {}
        pictures = Pictures(tree)
        told: dict[str, Any] = {}
        unread: list[tuple[str, ReadError]] = []
        for path in _documents(tree):
            try:
                root = read_xml(tree.file(path))
            except ReadError as error:
                unread.append((path, error))
                continue
            if root.tag != "annotations":
                if tree.focus is not None:
                    raise ReadError(
                        f"{tree.file(path)} is no CVAT XML; wanted <annotations> at the top, got <{root.tag}>"
                    )
                continue
            document = Document(tree, path, root, pictures, problems)
            for each in document.found():
                if each.name in found:
                    message = f"the image {each.name} is in {found[each.name].file} already; rename one"
                    problems.append(Problem(path, each.record, message, each.name))
                else:
                    found[each.name] = each
            labels = document.labels | labels
            told |= document.told
        if unread and not found:
            raise unread[0][1]
        problems += [Problem.of_file(path, tree.file(path), error) for path, error in unread]
        if not found and not problems:
            raise ReadError(f"{tree.root / (tree.focus or '')} has no CVAT XML with images or tracks")
        colors = {name: color for name, color in labels.items() if color is not None}
        classes = read_classes(tree, [name for name in labels if name != self.void], colors)
        samples = [self._sample(tree, each, classes) for each in found.values()]
        if tree.focus is None:
            samples += _left(tree, pictures, found, told)
        return Annotations(samples, classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        if self.void in classes.names:
            raise InputError(
                f"a class is called {self.void!r}, which means void here; set void to another name"
            )
        samples = list(samples)
        writer = Writer(self.title, classes, self.void)
        root = ElementTree.Element("annotations")
        ElementTree.SubElement(root, "version").text = "1.1"
        meta = ElementTree.SubElement(root, "meta")
        frames = (
            _frame_numbers(samples) if self.mode != "images" and _are_frames(samples, self.mode) else None
        )
        tracks = writer.tracks(dict(zip(frames, samples, strict=True))) if frames else None
        if tracks is None and self.mode == "video":
            raise InputError(
                f"{self.title} for video wants annotated frames of one size, group and split, whose segments have a "
                "track_id of their own and keep their class; write mode=images"
            )
        names = [xml_text(inside(sample.name)) for sample in samples]
        files = [
            place_image(sample, folder / IMAGES, name) for sample, name in zip(samples, names, strict=True)
        ]
        if tracks is not None:
            root.extend(tracks)
            writer.write_meta(meta, "interpolation", samples, frames)
        else:
            for sample, name, file in zip(samples, names, files, strict=True):
                if sample.annotated:
                    root.append(writer.image(len(root) - 2, sample, file or name))
            writer.write_meta(meta, "annotation", samples, None)
        ElementTree.indent(root)
        with replacing(folder / ANNOTATIONS) as part:
            ElementTree.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)
        write_classes(folder, classes)
        return names

    def polygons(self, sample: Sample) -> list[tuple[str, Polygon]]:
        if not isinstance(sample.load_truths, partial):
            return []
        _, record, drawn, *_ = sample.load_truths.args
        given = drawn.drawn() if isinstance(drawn, Frame) else drawn
        return [
            (f"shape {number} ({each.label}) of {record}", Polygon(each.numbers))
            for number, each in enumerate(given, 1)
            if each.kind == "polygon" and len(each.numbers) > 2
        ]

    def _sample(self, tree: Tree, found: Found, classes: ClassSet) -> Sample:
        image_path = None if found.image is None else tree.file(found.image)
        path = tree.file(found.file)
        truths = partial(self._truths, path, found.record, found.drawn, found.shape, image_path, classes)
        load_image = None if image_path is None else partial(read, image_path)
        return Sample(found.name, load_image, truths, image_path, (path,), **found.fields)

    def _truths(
        self,
        path: Path,
        record: str,
        drawn: Sequence[Drawn] | Frame,
        shape: Shape,
        image_path: Path | None,
        classes: ClassSet,
    ) -> tuple[Segmentation, ...]:
        geometry = None
        if image_path is not None:
            there, geometry = extent(image_path)
            if there != shape:
                raise ReadError(
                    f"{path}, {record}: it says {shape[0]} x {shape[1]} pixels, {image_path} has "
                    f"{' x '.join(map(str, there))}; is it another image?"
                )
        given = drawn.drawn() if isinstance(drawn, Frame) else drawn
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
            void=united(voids, shape) if voids else None,
            attributes=columns([each.attributes for each in firsts]),
        )
        return (truth,)


def _documents(tree: Tree) -> list[str]:
    """XML files that may be CVAT's, those called as it calls them first."""
    if tree.focus is not None:
        return [tree.focus] if tree.focus.lower().endswith(".xml") else []
    names = sorted(tree.with_suffix(".xml"), key=lambda name: posixpath.basename(name) != ANNOTATIONS)
    return [
        name
        for name in names
        if posixpath.basename(name) == ANNOTATIONS or b"<annotations" in tree.head(name)
    ]


def _left(tree: Tree, pictures: Pictures, found: dict[str, Found], told: dict[str, Any]) -> list[Sample]:
    """Images below ``images/`` and beside those that are listed, which nobody has annotated yet."""
    taken = {each.image for each in found.values() if each.image is not None}
    folders = {posixpath.dirname(path) for path in taken}
    below = tuple(posixpath.join(posixpath.dirname(each.file), IMAGES, "") for each in found.values())
    folders |= {posixpath.dirname(path) for path in pictures.paths if path.startswith(below)}
    samples = []
    for sample in unannotated(tree, taken, folders, set(found), IMAGES):
        try:
            samples.append(replace(sample, **from_about(told.get(sample.name, {}))))
        except InputError:  # what is told of it is no record of ours
            samples.append(sample)
    return samples


def _are_frames(samples: Sequence[Sample], mode: str) -> bool:
    """Whether samples are annotated, of one group and split; for ``auto`` also whether the first has track ids."""
    first = samples[0] if samples else None
    if first is None or not all(
        sample.annotated and (sample.group, sample.split) == (first.group, first.split) for sample in samples
    ):
        return False
    if mode == "video":
        return True
    return first.group is not None and len(samples) > 1 and "track_id" in first.truth.attributes


def _frame_numbers(samples: Sequence[Sample]) -> list[int]:
    """The numbers that names end with, where those are all different, else 0, 1, 2 ..."""
    found = [re.search(r"(\d{1,9})$", sample.name) for sample in samples]
    numbers = [int(match[1]) for match in found if match is not None]
    whole = len(set(numbers)) == len(samples)
    return numbers if whole else list(range(len(samples)))
