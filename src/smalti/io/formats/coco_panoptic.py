"""COCO panoptic: a JSON with the classes of segments, and a PNG for each image whose colours are their ids.

Kirillov et al., "Panoptic Segmentation" (2019); https://cocodataset.org/#format-data and
https://github.com/cocodataset/panopticapi: a segment's id is R + 256 G + 65536 B, and 0 is void. What COCO has no key
for is described in ``coco_json``; the void of an annotation is there only where it is not all that has no segment.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...image import Image
from ...masks import decode_rle, encode_rle
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..encode import write_image
from ..headers import image_size
from .coco_annotations import Size, attributes_of
from .coco_files import HEAD_BYTES, CocoFile, Places, candidates, evidence, names_panoptic, read_files
from .coco_json import EXTRA, Origin, Picture, read_categories, read_images, samples_of, size_and_geometry
from .coco_writer import SplitFile, Writer, geometry_extra
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import place_image
from .records import columns, picture_truths, rows
from .tree import Tree, inside

HIGHEST_ID = 2**24 - 1


class _Map(NamedTuple):
    """What is known of the PNG of one image."""

    path: str
    segments: list[dict[str, Any]]
    left_out: list[int]  # ids of segments whose records lie: their pixels are void
    void: Mapping[str, Any] | None


class CocoPanoptic(AnnotationFormat):
    """COCO's panoptic segments: things and stuff that do not overlap, in PNG files, with 0 as void.

    Segment ids come as the attribute ``source_id`` and are written again where they are whole numbers below 2**24.
    """

    name: ClassVar[str] = "coco-panoptic"
    title: ClassVar[str] = "COCO panoptic"
    source: ClassVar[str] = "https://cocodataset.org/#format-data"

    need_images: bool = Field(
        True,
        description="Whether images whose file is missing are left out; else they are samples without pixels.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        for name in candidates(tree):
            head = tree.head(name, HEAD_BYTES)
            if evidence(head) > 1 and (b'"segments_info"' in head or names_panoptic(name)):
                folder = name.rpartition(".")[0] + "/"
                if any(path.startswith(folder) and path.endswith(".png") for path in tree.paths):
                    return Recognised(0.95, f"{name} has COCO's lists, and a folder of PNG files by its name")
        return None

    def open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        files = read_files(tree, True, problems)
        places = Places(tree, files)
        classes, tables = read_categories(files, problems)
        listed: list[tuple[CocoFile, Picture]] = []
        maps: list[tuple[Origin, Mapping[Any, int], _Map | None]] = []
        for file, class_ids in zip(files, tables, strict=True):
            pictures, left_out = read_images(file, places, self.need_images, problems)
            found = _maps(file, places, pictures, left_out, class_ids, problems)
            origin = Origin(file, tree.file(file.path))
            for key, picture in pictures.items():
                listed.append((file, picture))
                maps.append((origin, class_ids, found.get(key)))

        def make(index: int, name: str, image_file: str | None) -> Sample:
            picture, (origin, class_ids, its_map) = listed[index][1], maps[index]
            if its_map is None:
                return origin.sample(name, picture, image_file, None)
            load = partial(_truths, its_map, picture.size, image_file, picture.extra, class_ids, classes)
            return origin.sample(name, picture, image_file, load, Path(its_map.path))

        return Annotations(samples_of(listed, places, make, problems), classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        writer = Writer(folder, "panoptic", classes)
        names = []
        for sample in samples:
            truths = picture_truths(sample, self.title)
            part = writer.split(sample.split)
            image = place_image(sample, folder / part.images_folder, sample.name)
            if truths:
                size: Sequence[int] = truths[0].shape
                number = part.add(sample, image, (size[0], size[1]), geometry_extra(truths[0].geometry))
                _write_truth(folder, part, inside(sample.name), number, truths[0])
            else:
                size = (1, 1) if image is None else image_size(folder / part.images_folder / image)
                if len(size) != 2:
                    raise InputError(f"the image of {sample.name} is a volume of {size}; COCO holds pictures")
                part.add(sample, image, (size[0], size[1]), {})
            names.append(inside(sample.name))
        writer.close()
        return names


# Reading


def _maps(
    file: CocoFile,
    places: Places,
    pictures: Mapping[Any, Picture],
    left_out: set[Any],
    class_ids: Mapping[Any, int],
    problems: list[Problem],
) -> dict[Any, _Map]:
    """The maps of one JSON by the ids of their images."""
    stem = posixpath.basename(file.path).rpartition(".")[0]
    folders = places.folders(file, [f"{places.above}{file.folder}{stem}/", f"{stem}/", "panoptic/"])
    found: dict[Any, _Map] = {}
    for index, record in enumerate(file.table("annotations")):
        key = record.get("image_id") if isinstance(record, dict) else None
        name = f"annotation of image {key}" if isinstance(key, int | str) else f"annotation number {index}"
        if isinstance(key, int | str) and key in left_out:
            continue
        try:
            if not isinstance(key, int | str) or key not in pictures:
                raise InputError("its image_id is that of no image")
            if key in found:
                raise InputError("its image has another annotation already; keep one")
            picture = pictures[key]
            path = _map_path(record, places, folders, picture.path)
            segments, faults, without = _segments(record, class_ids)
        except (InputError, ReadError) as error:
            problems.append(Problem(file.path, name, str(error)))
            continue
        stem = posixpath.splitext(picture.file_name)[0]
        problems += [Problem(file.path, f"{name}, {which}", fault, stem) for which, fault in faults]
        extra = record.get(EXTRA)
        void = extra.get("void") if isinstance(extra, dict) else None
        found[key] = _Map(places.path(path), segments, without, void if isinstance(void, dict) else None)
    return found


def _map_path(
    record: Mapping[str, Any], places: Places, folders: Sequence[str], image_path: str | None
) -> str:
    file_name = record.get("file_name")
    if not isinstance(file_name, str) or not file_name:
        raise InputError(f"wanted the name of its PNG under file_name, got {file_name!r:.60}")
    path = places.find(file_name, folders)
    if path is None or path == image_path:
        raise InputError(f"its file {file_name} is not there; put it into a folder of the JSON's name")
    return path


def _segments(
    record: Mapping[str, Any], class_ids: Mapping[Any, int]
) -> tuple[list[dict[str, Any]], list[tuple[str, str]], list[int]]:
    """The segments of one map, what is wrong with others, and the ids of those."""
    segments = record.get("segments_info")
    if not isinstance(segments, list):
        raise InputError(f"wanted a list under segments_info, got {type(segments).__name__}")
    sound: dict[int, dict[str, Any]] = {}
    faults: list[tuple[str, str]] = []
    without: list[int] = []
    for index, segment in enumerate(segments):
        key = segment.get("id") if isinstance(segment, dict) else None
        if type(key) is not int or not 1 <= key <= HIGHEST_ID:
            fault = f"the id of a segment is a whole number from 1 to {HIGHEST_ID}, got {key!r:.60}"
            faults.append((f"segment number {index}", fault))
            continue
        fault = _fault(segment, class_ids)
        if key in sound:
            fault = "its id is another segment's already; give each its own"
        elif fault:
            without.append(key)
        else:
            sound[key] = segment
        if fault:
            faults.append((f"segment {key}", fault))
    return list(sound.values()), faults, without


def _fault(segment: Mapping[str, Any], class_ids: Mapping[Any, int]) -> str:
    category, score = segment.get("category_id"), segment.get("score")
    if not isinstance(category, int | str) or category not in class_ids:
        return f"there is no category {category!r:.60}"
    if segment.get("iscrowd") not in (None, 0, 1):
        return f"iscrowd is 0 or 1, got {segment['iscrowd']!r:.60}"
    if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
        return f"a score is a number from 0 to 1, got {score!r:.60}"
    return ""


def _truths(
    its_map: _Map,
    size: Size | None,
    image_file: str | None,
    extra: Mapping[str, Any],
    class_ids: Mapping[Any, int],
    classes: ClassSet,
) -> tuple[Segmentation, ...]:
    path, segments = its_map.path, its_map.segments
    ids = read_ids(Path(path))
    size, geometry = size_and_geometry(size, image_file, extra)
    if ids.shape != size:
        raise ReadError(f"{path} is {ids.shape} and its image {size} (height, width); one of them is wrong")
    labels, unknown = _labels(ids, [segment["id"] for segment in segments], its_map.left_out)
    if unknown:
        shown = ", ".join(map(str, unknown[:5]))
        raise ReadError(f"{path} has pixels of {len(unknown)} ids that segments_info does not list: {shown}")
    present = np.bincount(labels[labels > 0], minlength=len(segments) + 1)[1:]
    for segment, pixels in zip(segments, present.tolist(), strict=True):
        if not pixels and segment.get("area") != 0:
            raise ReadError(f"{path} has no pixel of segment {segment['id']}, which segments_info lists")
    try:
        void = (labels <= 0) if its_map.void is None else _void(its_map.void, size)
        truth = Segmentation.from_labels(
            np.maximum(labels, 0),
            class_ids=[class_ids[segment["category_id"]] for segment in segments],
            scores=[1.0 if (score := each.get("score")) is None else score for each in segments],
            classes=classes,
            geometry=geometry,
            void=void,
            attributes=columns([attributes_of(segment) for segment in segments]),
            copy=False,
        )
    except InputError as error:
        raise ReadError(f"{path}: {error}") from error
    return (truth,)


def _void(rle: Mapping[str, Any], size: Size) -> np.ndarray:
    """What nobody said anything of, as the annotation says. Raises ``InputError``."""
    if rle.get("size") != [*size]:
        raise InputError(
            f"the {EXTRA}.void of its annotation is {rle.get('size')!r:.60} and its image {size} (height, width)"
        )
    try:
        return decode_rle(rle)
    except InputError as error:
        raise InputError(f"the {EXTRA}.void of its annotation: {error}") from error


def read_ids(path: Path) -> np.ndarray:
    """The ids (H, W) int32 that the colours of a PNG are. Raises ``ReadError``."""
    pixels = read(path).pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4):
        raise ReadError(f"{path} is {pixels.dtype} {pixels.shape}; wanted a PNG of 8-bit colours")
    if pixels.shape[-1] == 1:  # all ids have equal bytes, and a tool that makes files smaller has seen it
        pixels = np.repeat(pixels, 3, axis=-1)
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return red | green << 8 | blue << 16


def _labels(ids: np.ndarray, known: Sequence[int], left_out: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """A label map (H, W) int32 in which ``known[0]`` is 1 and ``left_out`` -1, and ids that are in neither.

    Ids are looked up once for each stretch of equal ones.
    """
    flat = ids.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    values = flat[starts]
    listed = np.array([0, *known, *left_out], np.int64)
    meant = np.concatenate([np.arange(len(known) + 1), np.full(len(left_out), -1)]).astype(np.int32)
    order = np.argsort(listed, kind="stable")
    listed, meant = listed[order], meant[order]
    place = np.minimum(np.searchsorted(listed, values), len(listed) - 1)
    unknown = values[listed[place] != values]
    labels = np.repeat(meant[place], np.diff(np.append(starts, flat.size))).reshape(ids.shape)
    return labels, np.unique(unknown).tolist()


# Writing


def _write_truth(folder: Path, part: SplitFile, name: str, number: int, truth: Segmentation) -> None:
    """The map and the annotation of image ``number``."""
    truth = truth.panoptic()
    records = rows(truth)
    if len(truth) > HIGHEST_ID:
        raise InputError(f"a panoptic PNG holds {HIGHEST_ID} segments, {name} has {len(truth)}")
    ids = _ids(records)
    colors = np.concatenate([[0], ids]).astype("<u4")[truth.labels]
    pixels = colors.view(np.uint8).reshape(*truth.shape, 4)[..., :3]
    write_image(folder / "annotations" / part.stem / f"{name}.png", Image(np.ascontiguousarray(pixels)))
    segments = []
    for k, (ymin, xmin, ymax, xmax) in enumerate(truth.boxes.tolist()):
        attributes = records[k]
        segment: dict[str, Any] = {
            "id": ids[k],
            "category_id": int(truth.class_ids[k]),
            "area": int(truth.areas_px[k]),
            "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            "iscrowd": int(bool(attributes.pop("crowd", False))),
        }
        segment |= {} if truth.scores[k] == 1 else {"score": float(truth.scores[k])}
        segments.append(segment | ({"attributes": attributes} if attributes else {}))
    annotation: dict[str, Any] = {
        "image_id": number,
        "file_name": f"{name}.png",
        "segments_info": segments,
    }
    if not np.array_equal(truth.void, truth.labels == 0):
        annotation[EXTRA] = {"void": encode_rle(truth.void)}
    part.annotations.append(annotation)


def _ids(records: list[dict[str, Any]]) -> list[int]:
    """An id for each segment: its ``source_id``, which then need not stay an attribute, or the next free number."""
    ids: list[int] = []
    taken: set[int] = set()
    for record in records:
        own = record.get("source_id")
        if type(own) is int and 1 <= own <= HIGHEST_ID and own not in taken:
            del record["source_id"]
            taken.add(own)
            ids.append(own)
        else:
            ids.append(0)
    free = 1
    for index, own in enumerate(ids):
        if not own:
            while free in taken:
                free += 1
            taken.add(free)
            ids[index] = free
    return ids
