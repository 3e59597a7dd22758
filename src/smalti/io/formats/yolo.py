"""YOLO segmentation: a text file for each image, a line for each object, its outline in parts of width and height.

``class x1 y1 x2 y2 ...`` as https://docs.ultralytics.com/datasets/segment/ has it; classes count from 0. An outline
is one ring, and a pixel belongs to it if its centre lies inside by the even-odd rule. So a ring that runs to another
one and back along the same line is both, and holes and pieces are written with such bridges, the way Ultralytics'
converters join the pieces of COCO's polygons: nothing of them is lost. Written as a line for each piece, an object
would come back as several, and holes would be filled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ...classes import Class, ClassSet, segment_colors
from ...errors import InputError, ReadError
from ...masks import Polygon, trace_runs
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..writing import replacing
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import PICTURES, place_image
from .naming import unique_names
from .outlines import polygon_runs
from .pairing import Pair
from .records import CLASSES, about, extent, picture_truths, read_classes, write_classes
from .sample_lists import SAMPLES, read_samples, write_samples
from .tree import Tree, inside
from .yolo_lists import label_path, read_list, yaml_of

YAML = "data.yaml"
DIGITS = 9
"""Significant digits of coordinates: an error below a thousandth of a pixel in images of a million pixels' width."""

_KEYS = ("train", "val", "test")
_FARTHEST = 2.0  # in widths and heights; what is further out was not divided by them
_LABELS_LOOKED_AT = 8


class _Outline(NamedTuple):
    number: int  # of the class in the file
    flat_xy: list[float]  # x0, y0, x1, y1, ... in parts of width and height


class Yolo(AnnotationFormat):
    """YOLO's outlines, exact for pixels, holes and pieces; no scores, no void, no attributes."""

    name: ClassVar[str] = "yolo"
    title: ClassVar[str] = "YOLO segmentation"
    source: ClassVar[str] = "https://docs.ultralytics.com/datasets/segment/"

    missing_is_empty: bool = Field(
        True,
        description="Whether an image without labels among others that have some shows no object, as Ultralytics "
        "takes it; else it is not annotated.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        name = yaml_of(tree)
        if tree.focus is not None and name is None:
            return None
        labels = [path for path in tree.with_suffix(".txt") if "labels/" in path][:_LABELS_LOOKED_AT]
        found = [path for path in labels if _is_labels(tree.head(path, 512))]
        if name is not None and b"names" in tree.head(name, 1 << 16):
            return Recognised(0.95 if found or tree.focus else 0.5, f"{name} lists classes and images")
        return Recognised(0.8, f"{found[0]} has numbers of YOLO") if found else None

    def open(self, tree: Tree) -> Annotations:
        listed = read_list(tree)
        problems = list(listed.problems)
        known = self._known(tree, problems)
        labels = {image: label_path(image) for image in listed.images}
        present = tree.path_set.intersection(labels.values())
        numbers: set[int] = set()
        for path in sorted(present):
            outlines, faults = _parse(_content(tree.file(path)), listed.names)
            numbers |= {outline.number for outline in outlines}
            problems += [Problem(path, record, fault) for record, fault in faults]
        problems += _lonely(tree, set(labels.values()))
        if not labels and not problems:
            raise ReadError(
                f"{tree.root / (tree.focus or '')} lists no images; name the folder of the {YAML}"
            )
        names = listed.names or {number: f"class_{number}" for number in sorted(numbers)}
        classes, class_ids = _classes(tree, names)
        folders = {path.rpartition("/")[0] for path in present}
        shown = unique_names(list(listed.stems.values()), list(listed.stems))
        samples = []
        for (image, its_labels), name in zip(labels.items(), shown, strict=True):
            pair = known.get(image)
            empty = (
                self.missing_is_empty and pair is None and its_labels.rpartition("/")[0] in folders
            )  # as Ultralytics takes it
            image_path, label_file = tree.root / image, tree.root / its_labels
            load = partial(_truths, label_file, image_path, names, class_ids, classes)
            if pair is None:
                pair = Pair(name, image, None, listed.split(image), None)
            samples.append(
                Sample(
                    pair.name,
                    partial(read, image_path),
                    load if empty or its_labels in present else None,
                    image_path,
                    (label_file,) if its_labels in present else (),
                    pair.split,
                    pair.group,
                    **(pair.fields or {}),
                )
            )
        return Annotations(samples, classes, problems)

    def polygons(self, sample: Sample) -> list[tuple[str, Polygon]]:
        if not sample.truth_paths or sample.image_path is None:
            return []
        height, width = extent(sample.image_path)[0][-2:]
        outlines, _ = _parse(_content(sample.truth_paths[0]), {})
        return [
            (f"outline {number}", Polygon(np.reshape(each.flat_xy, (-1, 2)) * [width, height]))
            for number, each in enumerate(outlines, 1)
        ]

    def _known(self, tree: Tree, problems: list[Problem]) -> dict[str, Pair]:
        """What ``samples.json`` tells of images, by their paths."""
        pairing = read_samples(tree) if tree.focus is None or SAMPLES in tree.path_set else None
        if pairing is None:
            return {}
        problems += pairing.problems
        return {pair.image: pair for pair in pairing.pairs if pair.image is not None}

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        numbers = {entry.id: number for number, entry in enumerate(classes)}
        pairs: list[Pair] = []
        folders: dict[str, str] = {}
        everything = list(samples)
        divided = any(sample.split for sample in everything)
        for sample in everything:
            name = inside(sample.name)
            truths = picture_truths(sample, self.title)
            place = _folder_of(sample.split or "", folders) if divided else ""
            image = place_image(sample, folder / "images" / place, name, PICTURES)
            if image is None:
                raise InputError(f"{sample.name} has no image, and YOLO's outlines are in parts of its size")
            image = f"images/{place}/{image}" if place else f"images/{image}"
            if truths:
                if extent(folder / image)[0] != truths[0].shape:
                    raise InputError(f"the image of {name} and its truth {truths[0].shape} differ in size")
                with replacing(folder / label_path(image)) as part:
                    part.write_text("".join(_lines(truths[0], numbers)), encoding="ascii")
            fields = about(sample)
            split, group = fields.pop("split", None), fields.pop("group", None)
            mask = label_path(image) if truths else None
            pairs.append(Pair(name, image, mask, split, group, fields or None))
        self._write_lists(folder, classes, folders, pairs)
        return [pair.name for pair in pairs]

    def _write_lists(
        self, folder: Path, classes: ClassSet, folders: dict[str, str], pairs: list[Pair]
    ) -> None:
        """The YAML, and what it cannot say where there is such."""
        import yaml

        places = {split: f"images/{place}" for split, place in folders.items() if split}
        content: dict[str, Any] = {"path": "."}
        content |= {key: places[key] for key in _KEYS if key in places}
        others = [place for split, place in places.items() if split not in _KEYS]
        others += [f"images/{folders['']}"] if places and "" in folders else []
        if others:  # what YOLO has no key for is trained on
            content["train"] = [*([places["train"]] if "train" in places else []), *others]
        for key in ("train", "val"):  # both must be there
            content.setdefault(key, next(iter(places.values()), "images"))
        content["names"] = dict(enumerate(classes.names))
        with replacing(folder / YAML) as part:
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
            part.write_text(text, encoding="utf-8")
        write_classes(folder, classes)
        back = {str(sample.image_path): sample for sample in self.open(Tree(folder)).samples}
        for pair in pairs:
            found = back.get(str(folder / str(pair.image)))
            told = (pair.name, pair.split, pair.group, pair.mask is not None, pair.fields)
            if found is None or told != (found.name, found.split, found.group, found.annotated, None):
                write_samples(folder, pairs, self.name)
                return


# Reading


def _is_labels(head: bytes) -> bool:
    first = head.split(b"\n", 1)[0].split()
    try:
        numbers = [float(each) for each in first]
    except ValueError:
        return False
    return len(numbers) >= 5 and numbers[0] >= 0 and numbers[0].is_integer()


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error


def _parse(text: str, names: dict[int, str]) -> tuple[list[_Outline], list[tuple[str, str]]]:
    """The outlines in a label file, and what is wrong with other lines: which, and what.

    Any class is taken where there are no ``names``.
    """
    outlines, faults = [], []
    for index, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            outlines.append(_outline(words, names))
        except InputError as error:
            faults.append((f"line {index}", str(error)))
    return outlines, faults


def _outline(words: list[str], names: dict[int, str]) -> _Outline:
    try:
        numbers = list(map(float, words))
    except ValueError:
        raise InputError(f"wanted a class and coordinates, got {' '.join(words)[:60]!r}") from None
    if not numbers[0].is_integer() or numbers[0] < 0:
        raise InputError(f"a class is a whole number from 0, got {words[0][:20]}")
    number = int(numbers[0])
    if names and number not in names:
        raise InputError(f"there is no class {number}; the highest is {max(names)}")
    if len(numbers) == 5:
        raise InputError("it has a box and no outline; this is a dataset for detection")
    if len(numbers) < 7 or len(numbers) % 2 == 0:
        raise InputError(f"wanted a class and at least 3 points x y, got {len(numbers)} numbers")
    flat_xy = numbers[1:]
    if not (min(flat_xy) > -_FARTHEST and max(flat_xy) < _FARTHEST and math.isfinite(sum(flat_xy))):
        raise InputError("coordinates are parts of width and height from 0 to 1; these are not")
    return _Outline(number, flat_xy)


def _truths(
    path: Path, image_path: Path, names: dict[int, str], class_ids: dict[int, int], classes: ClassSet
) -> tuple[Segmentation, ...]:
    shape, geometry = extent(image_path)
    if len(shape) != 2:
        raise ReadError(f"{image_path} is a volume of {shape}, and YOLO's outlines are of pictures")
    size = shape[0], shape[1]
    outlines, _ = _parse(_content(path), names)
    scale = np.array([size[1], size[0]], np.float64)
    truth = Segmentation.from_runs(
        size,
        Runs.concatenate(
            [polygon_runs([np.reshape(outline.flat_xy, (-1, 2)) * scale], size) for outline in outlines]
        ),
        class_ids=[class_ids[outline.number] for outline in outlines],
        classes=classes,
        geometry=geometry,
    )
    return (truth,)


def _classes(tree: Tree, names: dict[int, str]) -> tuple[ClassSet, dict[int, int]]:
    """The classes, and the class id of each number: one more, or what ``classes.json`` says."""
    if CLASSES in tree.path_set:
        classes = read_classes(tree, names.values())
        return classes, {number: classes.named(name).id for number, name in names.items()}
    colors = segment_colors(len(names)).tolist()
    listed = [
        Class(number + 1, name, tuple(color))
        for (number, name), color in zip(sorted(names.items()), colors, strict=True)
    ]
    return ClassSet(listed), {number: number + 1 for number in names}


def _lonely(tree: Tree, labels: set[str]) -> Iterator[Problem]:
    """Label files in the folders of labels that no image belongs to."""
    folders = {path.rpartition("/")[0] for path in labels if "labels/" in path}
    for path in tree.with_suffix(".txt"):
        folder, _, name = path.rpartition("/")
        if folder in folders and path not in labels and name != "classes.txt":
            yield Problem(path, "", "no image belongs to these labels; add the image or take the file away")


# Writing


def _folder_of(split: str, folders: dict[str, str]) -> str:
    """The folder of a split, one of its own."""
    if split not in folders:
        safe = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in split) or "rest"
        while safe.lower() in (folder.lower() for folder in folders.values()):
            safe += "_"
        folders[split] = safe
    return folders[split]


def _lines(truth: Segmentation, numbers: dict[int, int]) -> Iterator[str]:
    """A line for each segment that has pixels."""
    height, width = truth.shape
    for class_id, polygons in zip(truth.class_ids, trace_runs(truth.runs, truth.shape), strict=True):
        if polygons:
            ring = one_ring(polygons) / (width, height)
            points = " ".join(f"{value:.{DIGITS}g}" for value in ring.ravel().tolist())
            yield f"{numbers[int(class_id)]} {points}\n"


def one_ring(polygons: Sequence[Polygon]) -> np.ndarray:
    """All rings of polygons as one (P, 2), which runs from each to the next and at the end back the same way.

    The next is the one whose first vertex is nearest, so that bridges are short; by the even-odd rule they are not
    there.
    """
    rings = [ring for polygon in polygons for ring in polygon.rings_xy]
    starts = np.array([ring[0] for ring in rings])
    left = np.ones(len(rings), bool)
    at, order = 0, [0]
    left[0] = False
    for _ in range(len(rings) - 1):
        gaps = np.where(left, np.abs(starts - starts[at]).sum(axis=1), math.inf)
        at = int(np.argmin(gaps))
        left[at] = False
        order.append(at)
    if len(rings) == 1:
        return rings[0]
    parts = [part for index in order for part in (rings[index], rings[index][:1])]
    return np.concatenate([*parts, starts[order[-2::-1]]])
