"""COCO instances: JSON files of annotations beside folders of images.

``annotations/instances_train2017.json`` lists the images of ``train2017/``; tools have many variations of it, so files
are found by their names. What COCO has no key for is described in ``coco_json``. ``area`` and ``bbox`` are not read:
they follow from the pixels.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ...classes import OBJECT, ClassSet
from ...errors import InputError, ReadError
from ...masks import Polygon, encode_rle, polygon_from_coco
from ...sample import Sample
from ...segmentation import Segmentation
from ..headers import image_size
from .coco_annotations import (
    Checks,
    Form,
    Size,
    annotations_of,
    name_of,
    segments_of,
    sound_polygons,
)
from .coco_files import (
    HEAD_BYTES,
    CocoFile,
    Places,
    candidates,
    evidence,
    names_panoptic,
    read_files,
    with_results,
)
from .coco_json import (
    Origin,
    Picture,
    read_categories,
    read_images,
    samples_of,
    size_and_geometry,
)
from .coco_writer import Writer, geometry_extra
from .documents import without_collecting
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import place_image
from .records import picture_truths
from .tree import Tree, inside

Records = list[dict[str, Any]]

_NO_IMAGE = "its image_id is that of no image"


class Coco(AnnotationFormat):
    """COCO's instances: outlines and run lengths, exactly as pycocotools sees them; every segment, class and score.

    Annotation ids come as the attribute ``source_id``, ``iscrowd`` as ``crowd``. Categories from 0 are classes from 1.
    """

    name: ClassVar[str] = "coco"
    title: ClassVar[str] = "COCO instances"
    source: ClassVar[str] = "https://cocodataset.org/#format-data"

    segmentation: Form = Field(
        "auto",
        description="Written masks: outlines but run lengths for holes and crowds (auto), or one form for everything.",
    )
    need_images: bool = Field(
        True,
        description="Whether images whose file is missing are left out; else they are samples without pixels.",
    )
    results: str = Field(
        "", description="A JSON list of COCO results, whose segments are read in place of the annotations."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        for name in candidates(tree):
            head = tree.head(name, HEAD_BYTES)
            panoptic = names_panoptic(name) or b'"segments_info"' in head
            if evidence(head) > 1 and not panoptic:
                return Recognised(0.9, f"{name} has COCO's lists of images and annotations")
        return None

    def open(self, tree: Tree) -> Annotations:
        with without_collecting():
            return self._open(tree)

    def _open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        files = read_files(tree, False, problems)
        if self.results:
            files = with_results(files, Path(self.results))
        places = Places(tree, files)
        classes, tables = read_categories(files, problems)
        listed: list[tuple[CocoFile, Picture]] = []
        origins: list[tuple[Origin, Mapping[Any, int]]] = []
        annotations: list[Records | None] = []
        for file, class_ids in zip(files, tables, strict=True):
            pictures, left_out = read_images(file, places, self.need_images, problems)
            grouped = _grouped(file, pictures, left_out, class_ids, problems)
            origin = Origin(file, tree.file(file.path))
            for key, picture in pictures.items():
                listed.append((file, picture))
                origins.append((origin, class_ids))
                if grouped is None or picture.extra.get("annotated") is False:
                    annotations.append(None)
                else:
                    annotations.append(grouped.get(key, []))

        def make(index: int, name: str, image_file: str | None) -> Sample:
            picture, (origin, class_ids), own = listed[index][1], origins[index], annotations[index]
            load = None
            if own is not None:
                where = f"{origin.path}, image {picture.record['id']}"
                load = partial(
                    _truths, where, own, picture.size, image_file, picture.extra, class_ids, classes
                )
            return origin.sample(name, picture, image_file, load)

        return Annotations(samples_of(listed, places, make, problems), classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        writer = Writer(folder, "instances", classes)
        names = []
        for sample in samples:
            truths = picture_truths(sample, self.title)
            part = writer.split(sample.split)
            image = place_image(sample, folder / part.images_folder, sample.name)
            extra: dict[str, Any] = {}
            if truths:
                size: Sequence[int] = truths[0].shape
                extra |= geometry_extra(truths[0].geometry)
                extra |= {"void": encode_rle(truths[0].void)} if truths[0].void_px else {}
            else:
                size = (1, 1) if image is None else image_size(folder / part.images_folder / image)
                extra["annotated"] = False
            if len(size) != 2:
                raise InputError(f"the image of {sample.name} is a volume of {size} and COCO holds pictures")
            number = part.add(sample, image, (size[0], size[1]), extra)
            for truth in truths[:1]:
                part.annotations += (
                    {"image_id": number} | each for each in annotations_of(truth, self.segmentation)
                )
            names.append(inside(sample.name))
        for part in writer.parts:
            part.annotations = _with_ids(part.annotations)
        writer.close()
        return names

    def polygons(self, sample: Sample) -> list[tuple[str, Polygon]]:
        if not isinstance(sample.load_truths, partial):
            return []
        annotations: Records = sample.load_truths.args[1]
        return [
            (name_of(record), polygon_from_coco(flat_xy))
            for record in annotations
            for flat_xy in sound_polygons(record.get("segmentation"))
        ]


def _truths(
    where: str,
    annotations: Records,
    size: Size | None,
    image_file: str | None,
    extra: Mapping[str, Any],
    class_ids: Mapping[Any, int],
    classes: ClassSet,
) -> tuple[Segmentation, ...]:
    size, geometry = size_and_geometry(size, image_file, extra)
    try:
        return (segments_of(annotations, size, class_ids, classes, geometry, extra.get("void")),)
    except InputError as error:
        raise ReadError(f"{where}, {error}") from error


def _grouped(
    file: CocoFile,
    pictures: Mapping[Any, Picture],
    left_out: set[Any],
    class_ids: dict[Any, int],
    problems: list[Problem],
) -> dict[Any, Records] | None:
    """The annotations of each image that nothing is wrong with; None where the file has no list of them."""
    if file.content.get("annotations") is None:
        return None
    records = file.table("annotations")
    if records and not class_ids:
        message = f"it has no categories; its segments are all taken for the class {OBJECT.names[0]!r}"
        problems.append(Problem(file.path, "", message))
        for record in records:
            if isinstance(record, dict):
                record["category_id"] = 0
        class_ids[0] = int(OBJECT.ids[0])
    checks = Checks()
    keys: set[Any] = set()
    grouped: dict[Any, Records] = {}
    faults: list[tuple[Any, str]] = []
    for record in records:
        fault = _fault(record, pictures, class_ids, keys) if isinstance(record, dict) else "wanted an object"
        if fault == _NO_IMAGE and record["image_id"] in left_out:
            continue
        if not fault:
            picture = pictures[record["image_id"]]
            fault = checks.fault(record, picture.size)
            if fault and (kept := sound_polygons(record.get("segmentation"))):
                fault += "; it is left out and the others are kept"
                record["segmentation"] = kept
                grouped.setdefault(record["image_id"], []).append(record)
        if fault:
            faults.append((record, fault))
        else:
            grouped.setdefault(record["image_id"], []).append(record)
    for record, fault in checks.late():
        faults.append((record, fault))
        own = grouped[record["image_id"]]
        own[:] = [each for each in own if each is not record]
    problems += _problems(file, pictures, faults, len(records))
    return grouped


def _fault(
    record: Mapping[str, Any], pictures: Mapping[Any, Picture], class_ids: Mapping[Any, int], keys: set[Any]
) -> str:
    """What is wrong with an annotation besides its mask; notes its id in ``keys``."""
    try:
        key = record.get("id")
        if key is not None:
            if not (type(key) is int and 0 <= key < 2**63) and not isinstance(key, str):
                return f"the id of an annotation is a whole number from 0 or a text, got {key!r:.60}"
            if key in keys:
                return "its id is another annotation's already; give each its own"
            keys.add(key)
        if record.get("image_id") not in pictures:
            return _NO_IMAGE if "image_id" in record else "it does not say its image_id"
        if record.get("category_id") not in class_ids:
            return f"there is no category {record.get('category_id')!r:.60}"
        if record.get("iscrowd") not in (None, 0, 1):
            return f"iscrowd is 0 or 1, got {record['iscrowd']!r:.60}"
        score = record.get("score")
        if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
            return f"a score is a number from 0 to 1, got {score!r:.60}"
    except TypeError:
        return "image_id and category_id are whole numbers, got lists or objects"
    return ""


def _problems(
    file: CocoFile, pictures: Mapping[Any, Picture], faults: Sequence[tuple[Any, str]], count: int
) -> Iterator[Problem]:
    """A problem for each fault; one for the file where all annotations have the same one, as boxes alone have."""
    messages = {fault for _, fault in faults}
    if len(faults) == count > 1 and len(messages) == 1:
        yield Problem(file.path, "", f"all of its {count} annotations are left out: {messages.pop()}")
        return
    for record, fault in faults:
        if not isinstance(record, dict):
            yield Problem(file.path, f"annotation {record!r:.40}", fault)
            continue
        try:
            picture = pictures.get(record.get("image_id"))
        except TypeError:
            picture = None
        image = "" if picture is None else posixpath.splitext(picture.file_name)[0]
        yield Problem(file.path, name_of(record), fault, image)


def _with_ids(annotations: Records) -> Records:
    """Annotations with ``id``: what ``source_id`` says where it gives every one a number of its own, else 1, 2, ..."""
    told = [annotation.get("attributes", {}).get("source_id") for annotation in annotations]
    own = all(type(key) is int and key > 0 for key in told) and len(set(told)) == len(told)
    finished = []
    for number, (annotation, key) in enumerate(zip(annotations, told, strict=True), 1):
        rest = dict(annotation)
        if rest["score"] == 1:
            del rest["score"]
        if own:
            attributes = {
                name: value for name, value in rest.pop("attributes").items() if name != "source_id"
            }
            rest |= {"attributes": attributes} if attributes else {}
        finished.append({"id": key if own else number} | rest)
    return finished
