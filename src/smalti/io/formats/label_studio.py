"""Label Studio's JSON export: a list of tasks, each with what one or more people drew on its image.

https://labelstud.io/guide/task_format. Images are found by name below the folder of the JSON, wherever Label Studio
kept them. Several annotations of one task are several truths. Classes with their colours come from the labeling
configuration (``config.xml``), where it lies beside.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal
from xml.etree import ElementTree

import numpy as np
from pydantic import Field

from ...classes import Class, ClassSet
from ...errors import InputError, ReadError
from ...masks import Polygon, trace_runs
from ...provenance import Provenance
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..writing import replacing
from .documents import read_json, read_xml
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import place_image
from .label_studio_brush import encode_brush
from .label_studio_images import Images, is_picture, local_address
from .label_studio_regions import Drawn, Region, parse_results
from .outlines import Shape, united
from .records import (
    CLASSES,
    about,
    checked_size,
    columns,
    extent,
    from_about,
    picture_truths,
    read_classes,
    rows,
    write_classes,
    xml_text,
)
from .tree import Tree, inside

TASKS = "tasks.json"
CONFIG = "config.xml"

_MOST_CORNERS = 1_000  # of a polygon that is still handy to edit
_OWN = ("width", "height", "split", "group", "provenance", "metadata")


@dataclass(frozen=True, eq=False)
class _Task:
    name: str
    file: str
    record: str
    image: str | None
    shape: Shape | None
    annotations: tuple[Drawn, ...]
    fields: dict[str, Any] = field(default_factory=dict)


class LabelStudio(AnnotationFormat):
    """Label Studio's JSON: polygons where they say a segment exactly, brushes for the rest."""

    name: ClassVar[str] = "label-studio"
    title: ClassVar[str] = "Label Studio JSON"
    source: ClassVar[str] = "https://labelstud.io/guide/task_format"

    image_key: str = Field("image", min_length=1, description="Name under which a task's data has its image.")
    predictions: bool = Field(
        False, description="Read what models predicted too, as further annotators, with its scores."
    )
    least_alpha: int = Field(
        1, ge=1, le=255, description="Alpha from which on a pixel under a brush belongs to the segment."
    )
    void: str = Field(
        "__ignore__", min_length=1, description="Label of regions where nobody said what there is."
    )
    shapes: Literal["auto", "brush"] = Field(
        "auto",
        description="Written shapes: brushes only for holes and several pieces (auto), or for everything.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        for name in [tree.focus] if tree.focus is not None else tree.with_suffix(".json")[:20]:
            head = tree.head(name).lstrip(b"\xef\xbb\xbf \r\n\t")
            if name != CLASSES and head.startswith((b"[", b"{")) and _looks(head):
                return Recognised(0.9, f"{name} has Label Studio's tasks")
        return None

    def open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        tasks: dict[str, _Task] = {}
        paths = self._documents(tree)
        images = Images(tree)
        unread: list[tuple[str, ReadError]] = []
        for path in paths:
            file = tree.file(path)
            try:
                content = read_json(file, (list, dict))
            except ReadError as error:
                unread.append((path, error))
                continue
            for number, record in enumerate(content if isinstance(content, list) else [content]):
                title = f"task {record.get('id', number) if isinstance(record, dict) else number}"
                try:
                    task = self._task(images, path, title, record, problems)
                    if task.name in tasks:
                        other = tasks[task.name]
                        raise InputError(
                            f"{other.file}, {other.record} has the image {task.name} already; join them"
                        )
                    tasks[task.name] = task
                except (InputError, ReadError) as error:
                    problems.append(Problem(path, title, str(error)))
        if unread and not tasks:
            raise unread[0][1]
        problems += [Problem.of_file(path, tree.file(path), error) for path, error in unread]
        if not paths:
            raise ReadError(f"{tree.root / (tree.focus or '')} has no JSON of Label Studio's tasks")
        labels = {
            region.label for task in tasks.values() for drawn in task.annotations for region in drawn.regions
        }
        colors = _config(tree)
        names = [name for name in [*colors, *sorted(labels)] if name != self.void]
        known = {name: color for name, color in colors.items() if color is not None}
        classes = read_classes(tree, names, known)
        return Annotations([self._sample(tree, task, classes) for task in tasks.values()], classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        if self.void in classes.names:
            raise InputError(
                f"a class is called {self.void!r}, which means void here; set void to another name"
            )
        tasks: list[dict[str, Any]] = []
        names = []
        for sample in samples:
            name = inside(sample.name)
            truths = picture_truths(sample, self.title)
            file = place_image(sample, folder, name)
            data: dict[str, Any] = {self.image_key: local_address(file) if file else name}
            if truths:
                data |= {"width": truths[0].shape[1], "height": truths[0].shape[0]}
            annotations = [
                {
                    "id": len(tasks) * 100 + number,
                    "completed_by": number,
                    "was_cancelled": False,
                    "ground_truth": False,
                    "result": self._results(truth),
                }
                for number, truth in enumerate(truths, 1)
            ]
            tasks.append({"id": len(tasks) + 1, "annotations": annotations, "data": data | about(sample)})
            names.append(name)
        with replacing(folder / TASKS) as part:
            part.write_text(json.dumps(tasks, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        _write_config(folder, self.image_key, [*classes], self.void)
        write_classes(folder, classes)
        return names

    # Reading

    def _documents(self, tree: Tree) -> list[str]:
        if tree.focus is not None:
            return [tree.focus]
        return [path for path in tree.with_suffix(".json") if path != CLASSES and _looks(tree.head(path))]

    def _task(self, images: Images, path: str, title: str, record: Any, problems: list[Problem]) -> _Task:
        """One task. Raises ``InputError`` or ``ReadError`` where it cannot be a sample."""
        data = record.get("data") if isinstance(record, dict) else None
        if not isinstance(data, dict):
            raise InputError("a task is an object with data; export as JSON, not as JSON-MIN")
        reference = self._reference(data)
        image, name, source = images.find(posixpath.dirname(path), reference)
        size = None
        if "width" in data and "height" in data:
            size = checked_size(data["height"], data["width"], "height and width")
        annotations = []
        for number, (kind, annotation) in enumerate(self._given(record)):
            where = f"{title}, {kind} {annotation.get('id', number)}"
            results = annotation.get("result")
            if not isinstance(results, list):
                raise InputError(f"{kind} {annotation.get('id', number)}: wanted a list under 'result'")
            drawn = parse_results(results, size)
            problems += [Problem(path, f"{where}, {each}", message, name) for each, message in drawn.lies]
            if drawn.regions:
                size = size or drawn.regions[0].shape
            annotations.append(_scored(drawn, annotation) if kind == "prediction" else drawn)
        if annotations and size is None and image is None:
            raise InputError("there is neither its image nor a size; put the image beside the JSON")
        fields = self._fields(data, source, record.get("meta"))
        if annotations and annotations[0].answers:
            fields["metadata"] = {**annotations[0].answers, **fields["metadata"]}
        return _Task(name, path, title, image, size, tuple(annotations), fields)

    def _reference(self, data: dict[str, Any]) -> str:
        """Where the image is, as the task says."""
        given = data.get(self.image_key)
        if given is None:
            likely = [value for value in data.values() if isinstance(value, str) and is_picture(value)]
            given = likely[0] if len(likely) == 1 else None
        if not isinstance(given, str) or not given:
            raise InputError(
                f"its data has no image under {self.image_key!r} but {', '.join(data)}; set image_key"
            )
        return given

    def _given(self, record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """Annotations that were handed in, and predictions where they are wanted."""
        found = []
        key = "annotations" if "annotations" in record else "completions"
        for kind, name in (("annotation", key), ("prediction", "predictions"))[: 1 + self.predictions]:
            given = record.get(name) or []
            if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
                raise InputError(f"wanted a list of objects under {name!r}, got {str(given)[:60]}")
            found += [(kind, each) for each in given if not each.get("was_cancelled")]
        return found

    def _fields(self, data: dict[str, Any], source: str, meta: Any) -> dict[str, Any]:
        told = {name: data[name] for name in ("split", "group", "provenance", "metadata") if data.get(name)}
        for name in ("split", "group"):
            if isinstance(told.get(name), int | float):
                told[name] = str(told[name])
        fields = from_about(told)
        if source and not fields["provenance"].source:
            fields["provenance"] = Provenance(**{**fields["provenance"].to_json(), "source": source})
        more = (meta if isinstance(meta, dict) else {}) | data
        plain = {
            name: value
            for name, value in more.items()
            if name not in (self.image_key, *_OWN)
            and isinstance(value, str | int | float)
            and not isinstance(value, bool)
        }
        fields["metadata"] = {**plain, **fields["metadata"]}
        return fields

    def polygons(self, sample: Sample) -> list[tuple[str, Polygon]]:
        if not isinstance(sample.load_truths, partial):
            return []
        _, annotations, *_ = sample.load_truths.args
        return [
            (
                f"{region.record} ({region.label})",
                Polygon(region.numbers * np.array(region.shape[::-1]) / 100),
            )
            for drawn in annotations
            for region in drawn.regions
            if region.kind == "polygon"
        ]

    def _sample(self, tree: Tree, task: _Task, classes: ClassSet) -> Sample:
        image_path = None if task.image is None else tree.file(task.image)
        path = tree.file(task.file)
        truths = partial(
            self._truths, f"{path}, {task.record}", task.annotations, task.shape, image_path, classes
        )
        return Sample(
            task.name,
            None if image_path is None else partial(read, image_path),
            truths if task.annotations else None,
            image_path,
            (path,),
            **task.fields,
        )

    def _truths(
        self,
        where: str,
        annotations: Sequence[Drawn],
        shape: Shape | None,
        image_path: Path | None,
        classes: ClassSet,
    ) -> tuple[Segmentation, ...]:
        geometry = None
        if image_path is not None:
            there, geometry = extent(image_path)
            if len(there) != 2 or shape not in (None, there):
                raise ReadError(
                    f"{where}: it was drawn on {shape or 'a picture'}, {image_path} is {there}; is it another image?"
                )
            shape = there[0], there[1]
        assert shape is not None, "open leaves out tasks that have neither image nor size"
        truths = []
        for drawn in annotations:
            shown = [region for region in drawn.regions if region.label != self.void]
            voids = [self._runs(where, region) for region in drawn.regions if region.label == self.void]
            truths.append(
                Segmentation.from_runs(
                    shape,
                    Runs.concatenate([self._runs(where, region) for region in shown]),
                    class_ids=[classes.named(region.label).id for region in shown],
                    scores=[1.0 if region.score is None else region.score for region in shown],
                    classes=classes,
                    geometry=geometry,
                    void=united(voids, shape) if voids else None,
                    attributes=columns([region.attributes for region in shown]),
                )
            )
        return tuple(truths)

    def _runs(self, where: str, region: Region) -> Runs:
        try:
            return region.runs(self.least_alpha)
        except (InputError, ReadError) as error:
            raise ReadError(f"{where}, {region.record} ({region.label}): {error}") from error

    # Writing

    def _results(self, truth: Segmentation) -> list[dict[str, Any]]:
        height, width = size = (truth.shape[0], truth.shape[1])
        common = {
            "to_name": "image",
            "origin": "manual",
            "image_rotation": 0,
            "original_width": width,
            "original_height": height,
        }
        taken: set[str] = set()
        results = []
        outlines = trace_runs(truth.runs, truth.shape)
        for index, attributes in enumerate(rows(truth)):
            polygons = outlines[index]
            label = truth.classes.of(truth.class_ids[index]).name
            given = str(attributes.get("source_id", ""))
            if given and given not in taken:
                attributes.pop("source_id")
            name = given if given and given not in taken else _free(index + 1, taken)
            taken.add(name)
            simple = len(polygons) == 1 and not polygons[0].holes_xy
            if self.shapes == "auto" and simple and len(polygons[0].exterior_xy) <= _MOST_CORNERS:
                points = (polygons[0].exterior_xy * [100 / width, 100 / height]).tolist()
                kind, value = "polygon", {"points": points, "closed": True}
            else:
                kind, value = (
                    "brush",
                    {"format": "rle", "rle": encode_brush(truth.runs, index + 1, size)},
                )
            result = {"id": name, "type": f"{kind}labels", "from_name": kind, **common}
            result["value"] = value | {f"{kind}labels": [label]}
            if truth.scores[index] != 1:
                result["score"] = float(truth.scores[index])
            if attributes:
                result["meta"] = attributes
            results.append(result)
        if truth.void_px:
            rle = encode_brush(Runs.of_masks(truth.void[None]), 1, size)
            value = {"format": "rle", "rle": rle, "brushlabels": [self.void]}
            results.append(
                {"id": _free(0, taken), "type": "brushlabels", "from_name": "brush", **common, "value": value}
            )
        return results


def _looks(head: bytes) -> bool:
    """Whether a file begins as tasks do."""
    parts = (b'"annotations"', b'"completions"', b'"predictions"')
    listed = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"["
    return any(part in head for part in parts) and (b'"data"' in head or (listed and b'"result"' in head))


def _scored(drawn: Drawn, prediction: dict[str, Any]) -> Drawn:
    """Regions of a prediction; those without a score of their own have the prediction's."""
    score = prediction.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        return drawn
    regions = [replace(each, score=score if each.score is None else each.score) for each in drawn.regions]
    return replace(drawn, regions=regions)


def _free(number: int, taken: set[str]) -> str:
    name = f"region{number:04}"
    while name in taken:
        name += "x"
    return name


def _config(tree: Tree) -> dict[str, tuple[int, int, int] | None]:
    """Labels and their colours in a labeling configuration beside the tasks."""
    labels: dict[str, tuple[int, int, int] | None] = {}
    for path in tree.with_suffix(".xml"):
        if "/" in path or b"<View" not in tree.head(path):
            continue
        for element in read_xml(tree.file(path)).iter("Label"):
            match = re.fullmatch(r"#([0-9a-fA-F]{6})", element.get("background", ""))
            color = bytes.fromhex(match[1]) if match else None
            labels[element.get("value", "")] = None if color is None else (color[0], color[1], color[2])
    labels.pop("", None)
    return labels


def _write_config(folder: Path, image_key: str, classes: Sequence[Class], void: str) -> None:
    """The labeling configuration with which the tasks can be imported."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value=f"${image_key}")
    for kind in ("Polygon", "Brush"):
        labels = ElementTree.SubElement(view, f"{kind}Labels", name=kind.lower(), toName="image")
        for entry in classes:
            color = "#{:02x}{:02x}{:02x}".format(*entry.color)
            ElementTree.SubElement(labels, "Label", value=xml_text(entry.name), background=color)
        ElementTree.SubElement(labels, "Label", value=xml_text(void), background="#000000")
    ElementTree.indent(view)
    with replacing(folder / CONFIG) as part:
        ElementTree.ElementTree(view).write(part, encoding="utf-8")
