"""Pascal VOC: palette PNGs of classes and of objects, lists of names for each split, and XML with boxes.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge" (2010), and the 2012 development kit.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..writing import replacing
from .class_lists import ClassOption, class_list, write_class_list
from .documents import read_xml
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import PICTURES, place_image
from .known_classes import voc_color
from .mask_classes import Entry
from .mask_kinds import Mask, read_mask
from .numbering import Numbering, complete
from .records import picture_truths
from .tree import Tree, inside

VOID = 255
MAX_NUMBER = 254
CLASSES, OBJECTS, IMAGES = "SegmentationClass", "SegmentationObject", "JPEGImages"
LISTS, BOXES = "ImageSets/Segmentation", "Annotations"
_FLAGS = ("difficult", "truncated", "occluded")
_SAME_BOX = 0.5  # IoU from which a box in the XML is that of an object in the mask


class Voc(AnnotationFormat):
    """Pascal VOC: masks of classes and of objects, 255 for the void border, and boxes in XML.

    Each object has one class, that of most of its pixels. Where there are masks of classes alone, each class is a
    segment. Boxes are matched with objects to know which are difficult, truncated or occluded.
    """

    name: ClassVar[str] = "voc"
    title: ClassVar[str] = "Pascal VOC segmentation"
    source: ClassVar[str] = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"

    classes: ClassOption = Field(
        None,
        description="Names of the classes 1, 2, ... or a file of them; else those that lie beside the folders, else "
        "the 20 of Pascal VOC.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        if tree.focus is not None:
            return None
        folders = _roots(tree)
        return Recognised(0.95, f"there is a folder {folders[0]}{CLASSES}") if folders else None

    def open(self, tree: Tree) -> Annotations:
        roots = _roots(tree)
        if not roots or tree.focus is not None:
            raise ReadError(
                f"{tree.root / (tree.focus or '')} has no folder {CLASSES} of PNGs beside {IMAGES}"
            )
        listed = class_list(tree, self.classes) or class_list(tree, "voc")
        assert listed is not None
        numbering = Numbering.of(complete(listed, None, None))
        samples: list[Sample] = []
        problems: list[Problem] = []
        for root in roots:
            samples += _samples(tree, root, root if len(roots) > 1 else "", numbering, problems)
        return Annotations(samples, numbering.classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        value_of = {entry.id: number for number, entry in enumerate(classes, 1)}
        if len(value_of) > MAX_NUMBER:
            raise InputError(
                f"Pascal VOC has up to {MAX_NUMBER} classes, got {len(value_of)}; write coco instead"
            )
        names: list[str] = []
        lists: dict[str, list[str]] = {}
        for sample in samples:
            truths = picture_truths(sample, "Pascal VOC")
            name = inside(sample.name)
            image = place_image(sample, folder / IMAGES, name)
            names.append(name)
            lists.setdefault(sample.split or "trainval", []).append(name)
            if truths:
                _write_masks(folder, name, truths[0], value_of)
                _write_boxes(folder, name, image, truths[0])
        entries = [Entry("background", 0, (0, 0, 0), kind="background")]
        entries += [Entry(entry.name, value_of[entry.id], entry.color, entry.thing) for entry in classes]
        write_class_list(folder, [*entries, Entry("void", VOID, voc_color(VOID), kind="void")])
        for split, listed in lists.items():
            with replacing(folder / LISTS / f"{inside(split)}.txt") as part:
                part.write_text("\n".join(listed) + "\n", encoding="utf-8")
        return names


def _roots(tree: Tree) -> list[str]:
    """The folders, with a slash or empty for the dataset's own, that have masks of classes."""
    found: dict[str, None] = {}
    for folder in tree.folders:
        before, marker, _ = folder.partition(f"{CLASSES}/")
        if marker and (not before or before.endswith("/")):
            found[before] = None
    roots = list(found)
    return [
        root
        for root in roots
        if any(each.startswith(f"{root}{CLASSES}/") for each in tree.with_suffix(".png"))
    ]


def _samples(
    tree: Tree, root: str, prefix: str, numbering: Numbering, problems: list[Problem]
) -> list[Sample]:
    images = _stems(tree, f"{root}{IMAGES}/", PICTURES)
    masks = _stems(tree, f"{root}{CLASSES}/", (".png",))
    objects = _stems(tree, f"{root}{OBJECTS}/", (".png",))
    splits = _splits(tree, root, problems)
    listed = dict.fromkeys(splits) | dict.fromkeys(masks)
    found = []
    for name in listed:
        if name not in images:
            where = f"{root}{CLASSES}/{name}.png" if name in masks else f"{root}{LISTS}"
            problems.append(Problem(where, name, f"there is no image {IMAGES}/{name}; add it", prefix + name))
            continue
        paths = (
            tuple(tree.file(each[name]) for each in (masks, objects) if name in each) if name in masks else ()
        )
        box_file = f"{root}{BOXES}/{name}.xml"
        boxes = tree.file(box_file) if box_file in tree.path_set else None
        image = tree.file(images[name])
        found.append(
            Sample(
                prefix + name,
                partial(read, image),
                partial(_truths, paths, boxes, numbering) if paths else None,
                image,
                paths,
                splits.get(name),
            )
        )
    return found


def _stems(tree: Tree, folder: str, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Files below a folder by their path there without suffix."""
    return {
        path[len(folder) :].rpartition(".")[0]: path
        for path in tree.with_suffix(*suffixes)
        if path.startswith(folder)
    }


def _splits(tree: Tree, root: str, problems: list[Problem]) -> dict[str, str | None]:
    """The split of each listed name; that of ``trainval``, which joins two, is unknown."""
    splits: dict[str, str | None] = {}
    folder = f"{root}{LISTS}/"
    lists = [path for path in tree.with_suffix(".txt") if path.startswith(folder)]
    for path in sorted(lists, key=lambda each: not each.endswith("/trainval.txt")):
        split = path[len(folder) :].removesuffix(".txt")
        try:
            lines = tree.file(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ReadError(f"{tree.file(path)} is no list of names: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                splits[inside(line.strip())] = None if split == "trainval" else split
            except ReadError as error:
                problems.append(Problem(path, f"line {number}", str(error)))
    return splits


# Reading


def _truths(paths: tuple[Path, ...], box_file: Path | None, numbering: Numbering) -> tuple[Segmentation]:
    """The truth in a mask of classes and, where there is one, of objects."""
    class_file, object_file = paths[0], paths[1] if len(paths) > 1 else None
    semantic = numbering.truth(_numbers(read_mask(class_file), class_file, numbering), class_file, UNKNOWN)
    if object_file is None:
        return (semantic,)
    mask = read_mask(object_file)
    objects = _object_numbers(mask, object_file)
    if objects.shape != semantic.shape:
        raise ReadError(f"{object_file} is {objects.shape}, {class_file} {semantic.shape}")
    void = semantic.void | (
        objects == VOID if mask.values.dtype == np.uint8 else np.zeros(objects.shape, bool)
    )
    objects = np.where(void, 0, objects)
    truth = _instances(objects, semantic, object_file).replace(void=void)
    if box_file is not None and len(truth):
        truth = truth.replace(attributes=_flags(truth, box_file))
    return (truth,)


def _numbers(mask: Mask, path: Path, numbering: Numbering) -> np.ndarray:
    """Class numbers; colours are looked up in VOC's palette, as the masks of some exporters have them."""
    return _by_palette(mask, path) if mask.colored else mask.values


def _object_numbers(mask: Mask, path: Path) -> np.ndarray:
    return (_by_palette(mask, path) if mask.colored else mask.values).astype(np.int64)


def _by_palette(mask: Mask, path: Path) -> np.ndarray:
    weights = np.array([65536, 256, 1], np.int64)
    keys = np.array([voc_color(value) for value in range(256)], np.int64) @ weights
    order = np.argsort(keys)
    found = mask.values.astype(np.int64) @ weights
    places = np.searchsorted(keys[order], found).clip(max=255)
    numbers = order[places]
    strange = keys[numbers] != found
    if strange.any():
        color = mask.values[strange][0].tolist()
        raise ReadError(
            f"{path} has the colour {color} on {strange.sum()} pixels, which VOC's palette has not"
        )
    return numbers


def _instances(objects: np.ndarray, semantic: Segmentation, path: Path) -> Segmentation:
    """The objects, each of the class that most of its pixels have, and what is left of each class."""
    class_map = semantic.semantic_map()
    numbers = np.unique(objects)
    numbers = numbers[numbers > 0]
    labels = np.searchsorted(numbers, objects) + 1
    labels[objects == 0] = 0
    ids = semantic.classes.ids
    counts = np.zeros((len(numbers) + 1, int(ids.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (labels.reshape(-1), class_map.reshape(-1)), 1)
    counts[:, 0] = 0
    class_ids = counts[1:].argmax(axis=1)
    bare = np.flatnonzero(counts[1:].sum(axis=1) == 0)
    if len(bare):
        raise ReadError(f"{path} has the objects {numbers[bare][:5].tolist()} where no class is")
    rest = np.where(labels == 0, class_map, 0)
    more = np.unique(rest)
    more = more[more > 0]
    for k, class_id in enumerate(more, len(numbers) + 1):
        labels[rest == class_id] = k
    return Segmentation.from_labels(
        labels, class_ids=np.concatenate([class_ids, more]).astype(np.int64), classes=semantic.classes
    )


def _flags(truth: Segmentation, path: Path) -> dict[str, np.ndarray]:
    """Difficult, truncated and occluded of each segment, by the box of its class that covers it best."""
    flags = {name: np.zeros(len(truth), bool) for name in _FLAGS}
    boxes, records = [], []
    for record in read_xml(path).iter("object"):
        box = record.find("bndbox")
        try:
            corners = [float(box.findtext(key, "")) for key in ("ymin", "xmin", "ymax", "xmax")]  # type: ignore[union-attr]  # None raises
        except (AttributeError, ValueError):
            continue
        boxes.append(corners)
        records.append(record)
    if not boxes:
        return {}
    given = np.array(boxes) + np.array([-1, -1, 0, 0])  # from counted pixels, both ends in, to half open
    low = np.maximum(given[:, None, :2], truth.boxes[None, :, :2])
    high = np.minimum(given[:, None, 2:], truth.boxes[None, :, 2:])
    common = (high - low).clip(min=0).prod(axis=2)
    sizes = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (given, truth.boxes)]
    iou = common / np.maximum(sizes[0][:, None] + sizes[1][None] - common, 1)
    names = [truth.classes.of(class_id).name for class_id in truth.class_ids]
    for row, record in enumerate(records):
        fitting = np.array([name == record.findtext("name") for name in names])
        score = np.where(fitting, iou[row], 0)
        best = int(score.argmax())
        if score[best] >= _SAME_BOX:
            for name in _FLAGS:
                flags[name][best] = record.findtext(name, "0").strip() == "1"
    return {name: values for name, values in flags.items() if values.any()}


# Writing


def _write_masks(folder: Path, name: str, truth: Segmentation, value_of: Mapping[int, int]) -> None:
    flat = truth.panoptic()
    values = np.array([0, *(value_of[class_id] for class_id in flat.class_ids.tolist())], np.uint8)[
        flat.labels
    ]
    objects = flat.labels.copy()
    if truth.void_px:
        values[truth.void] = objects[truth.void] = VOID
    few = len(flat) <= MAX_NUMBER
    if not few and truth.void_px:
        objects[truth.void] = 0  # 16 bits have no void of their own; the mask of classes says it
    _write_png(folder / CLASSES / f"{name}.png", values)
    if few:
        _write_png(folder / OBJECTS / f"{name}.png", objects.astype(np.uint8))
    else:
        from ..labels import write_labels

        write_labels(folder / OBJECTS / f"{name}.png", objects)


def _write_png(path: Path, values: np.ndarray) -> None:
    """An 8-bit PNG with VOC's palette."""
    from PIL import Image as PillowImage

    picture = PillowImage.fromarray(values, "P")
    picture.putpalette([channel for value in range(256) for channel in voc_color(value)])
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    with replacing(path) as part:
        part.write_bytes(stream.getvalue())


def _write_boxes(folder: Path, name: str, image: str | None, truth: Segmentation) -> None:
    root = ElementTree.Element("annotation")
    _texts(root, {"filename": (image or f"{name}.png").rpartition("/")[2], "segmented": 1})
    size = ElementTree.SubElement(root, "size")
    _texts(size, {"width": truth.shape[1], "height": truth.shape[0], "depth": 3})
    for k, (class_id, (ymin, xmin, ymax, xmax)) in enumerate(
        zip(truth.class_ids.tolist(), truth.boxes.tolist(), strict=True)
    ):
        entry = truth.classes.of(class_id)
        if not entry.thing or not truth.areas_px[k]:
            continue
        record = ElementTree.SubElement(root, "object")
        _texts(record, {"name": entry.name, "pose": "Unspecified"})
        for flag in _FLAGS:
            _texts(record, {flag: int(truth.attributes[flag][k]) if flag in truth.attributes else 0})
        box = ElementTree.SubElement(record, "bndbox")
        _texts(box, {"xmin": xmin + 1, "ymin": ymin + 1, "xmax": xmax, "ymax": ymax})
    ElementTree.indent(root)
    with replacing(folder / BOXES / f"{name}.xml") as part:
        part.write_text(ElementTree.tostring(root, encoding="unicode"), encoding="utf-8")


def _texts(parent: ElementTree.Element, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)
