"""smalti's own format: everything a sample knows, exactly, in files anybody can read with numpy and JSON.

``smalti.json`` lists classes and samples; ``images/`` has the image files as they came; ``truth/`` has an ``.npz`` for
each annotation with the table of runs (``smalti.Runs``) and its columns. Nothing in it can run code. Of images
that were no file, or a file that says less than is known, the list has under ``pixels`` what else belongs to them:
``ndim``, ``channels``, ``spacing`` with ``unit``, ``affine`` and ``crs``.
"""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import Geometry
from ...image import Image, default_channels
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import IMAGE_SUFFIXES, read
from ..archives import Archive
from ..writing import replacing
from .documents import read_json
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import place_image, suffix_of
from .records import about, from_about
from .tree import Tree, inside

MANIFEST = "smalti.json"
VERSION = 1
MAX_BYTES = 2_000_000_000
"""Most bytes of one annotation once it is inflated."""

_ATTRIBUTE = "attribute_"
_LARGE = 1e300  # for a spacing or affine
_COLUMNS = {
    **dict.fromkeys(("shape", "offsets", "start", "stop", "class_ids", "void_start", "void_stop"), (1, "iu")),
    "scores": (1, "iuf"),
    "spacing": (1, "iuf"),
    "affine": (2, "iuf"),
    "unit": (0, "U"),
    "crs": (0, "U"),
}
"""Name of an array to its number of axes and the kinds of dtype it may have."""

_DEFLATE_RATIO = 1100  # what deflate can do at most: columns of one value are honest


class Native(AnnotationFormat):
    """smalti's own: every pixel, class, score, attribute, void, split, group and origin."""

    name: ClassVar[str] = "smalti"
    title: ClassVar[str] = "smalti dataset"
    source: ClassVar[str] = "docs/datasets.md"

    def recognise(self, tree: Tree) -> Recognised | None:
        if tree.focus not in (None, MANIFEST) or not tree.head(MANIFEST).startswith(b'{"smalti"'):
            return None
        return Recognised(1.0, f"there is a {MANIFEST}")

    def open(self, tree: Tree) -> Annotations:
        manifest = tree.file(MANIFEST)
        content = read_json(manifest)
        if content.get("smalti") != VERSION:
            raise ReadError(
                f"{manifest}: wanted version {VERSION} under 'smalti', got {content.get('smalti')!r}; "
                "a newer smalti may have written it"
            )
        try:
            classes = ClassSet.from_json(json.dumps(content.get("classes")))
        except InputError as error:
            raise ReadError(f"{manifest}: classes: {error}") from error
        records = content.get("samples")
        if not isinstance(records, list):
            raise ReadError(f"{manifest}: wanted a list under 'samples', got {type(records).__name__}")
        samples: dict[str, Sample] = {}
        problems = []
        for number, record in enumerate(records):
            try:
                sample = _sample(tree, record, classes)
                if sample.name in samples:
                    raise InputError(f"there is a sample {sample.name!r} already; give each its own name")
                samples[sample.name] = sample
            except (ReadError, InputError) as error:
                problems.append(Problem(MANIFEST, f"sample {number}", str(error)))
        return Annotations(list(samples.values()), classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        records = [_write_sample(folder, sample, classes) for sample in samples]
        twice = [name for name, count in Counter(record["name"] for record in records).items() if count > 1]
        if twice:
            raise InputError(f"two samples are called {twice[0]!r}; give each its own name")
        content = {"smalti": VERSION, "classes": json.loads(classes.to_json()), "samples": records}
        with replacing(folder / MANIFEST) as part:
            part.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
        return [record["name"] for record in records]


def _sample(tree: Tree, record: Any, classes: ClassSet) -> Sample:
    """The sample of a record. Raises ``ReadError`` and ``InputError`` for one that lies."""
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        raise ReadError(f"wanted an object with a name, got {record!r:.60}")
    image, truths = record.get("image"), record.get("truths", [])
    if not isinstance(image, str | None):
        raise ReadError(f"its image is {image!r:.60}, wanted the path of a file")
    if not isinstance(truths, list) or not all(isinstance(each, str) for each in truths):
        raise ReadError(f"its truths are {truths!r:.60}, wanted a list of paths")
    for each in (*((image,) if image is not None else ()), *truths):
        if inside(each) not in tree.path_set:
            raise ReadError(f"sample {record['name']!r} names the file {each}, which is not there")
    image_path = None if image is None else tree.file(image)
    told = record.get("pixels")
    load_image = None
    if image_path is not None:
        load_image = partial(read, image_path) if told is None else _Pixels.of(image_path, told).read
    paths = tuple(tree.file(each) for each in truths)
    return Sample(
        inside(record["name"]),
        load_image,
        partial(_read_truths, paths, classes) if paths else None,
        image_path,
        paths,
        **from_about(record),
    )


@dataclass(frozen=True)
class _Pixels:
    """An image file and what it cannot say of its pixels."""

    path: Path
    ndim: int
    channels: tuple[str, ...]
    geometry: Geometry

    @classmethod
    def of(cls, path: Path, told: Any) -> _Pixels:
        """What a record says under ``pixels``. Raises ``ReadError`` for what ``_told`` cannot have written."""
        if not isinstance(told, Mapping):
            raise ReadError(f"its pixels are {told!r:.60}, wanted an object")
        ndim, channels, spacing = told.get("ndim"), told.get("channels"), told.get("spacing")
        unit, affine, crs = told.get("unit", "px"), told.get("affine"), told.get("crs")
        if type(ndim) is not int or ndim not in (2, 3):
            raise ReadError(f"its pixels have {ndim!r:.60} axes under 'ndim', wanted 2 or 3")
        if not isinstance(channels, list) or not all(isinstance(each, str) for each in channels):
            raise ReadError(f"its channels are {channels!r:.60}, wanted a list of names")
        if not isinstance(unit, str) or not isinstance(crs, str | None):
            raise ReadError(f"unit and crs of its pixels are text, got {unit!r:.60} and {crs!r:.60}")
        if spacing is not None and not _are_numbers(spacing):
            raise ReadError(f"the spacing of its pixels is {spacing!r:.60}, wanted a number for each axis")
        if affine is not None and not (isinstance(affine, list) and all(map(_are_numbers, affine))):
            raise ReadError(f"the affine of its pixels is {affine!r:.60}, wanted rows of numbers")
        if affine is not None and {len(row) for row in affine} != {len(affine)}:
            raise ReadError("the affine of its pixels is not square")
        geometry = Geometry(
            None if spacing is None else tuple(spacing),
            unit,
            None if affine is None else np.array(affine),
            crs,
        )
        geometry.check_ndim(ndim)
        return cls(path, ndim, tuple(channels), geometry)

    def read(self) -> Image:
        """The image. Raises ``ReadError`` where the file holds something else."""
        image = read(self.path)
        pixels = image.pixels
        if pixels.ndim == 3 and self.ndim == 3:
            pixels = pixels[None]  # a volume of one slice, which a TIFF cannot tell from a picture
        if pixels.ndim - 1 != self.ndim:
            raise ReadError(f"{self.path} is {image.shape}, wanted {self.ndim} axes as {MANIFEST} says")
        try:
            return Image(pixels, self.channels, self.geometry, image.source)
        except InputError as error:
            raise ReadError(f"{self.path}: {error}, as {MANIFEST} says") from error


def _are_numbers(given: Any) -> bool:
    if not isinstance(given, list):
        return False
    return all(type(each) in (int, float) and abs(each) < _LARGE for each in given)


def _told(image: Image) -> dict[str, Any]:
    """What belongs to an image besides its values."""
    geometry = image.geometry
    told: dict[str, Any] = {"ndim": image.ndim, "channels": list(image.channels)}
    if geometry.spacing is not None:
        told |= {"spacing": list(geometry.spacing), "unit": geometry.unit}
    if geometry.affine is not None:
        told["affine"] = geometry.affine.tolist()
    return told if geometry.crs is None else told | {"crs": geometry.crs}


def _write_image(folder: Path, sample: Sample, name: str) -> dict[str, Any]:
    """Write the image; gives what the record says of it.

    A file is copied where reading it is all that the sample does, or gives the same values; else values are written.
    """
    path, load = sample.image_path, sample.load_image
    if load is None:
        return {}
    if path is not None and suffix_of(path) in IMAGE_SUFFIXES:
        if isinstance(load, partial) and load.func is read and load.args == (path,) and not load.keywords:
            return {"image": f"images/{place_image(sample, folder / 'images', name, IMAGE_SUFFIXES)}"}
        image, stored = sample.image, read(path)
        same = image.pixels.dtype == stored.pixels.dtype and image.pixels.size == stored.pixels.size
        if not same or not _equal(image.pixels, stored.pixels):
            sample = replace(sample, image_path=None)
    else:
        image = sample.image
    placed = place_image(
        replace(sample, load_image=partial(_itself, image)), folder / "images", name, IMAGE_SUFFIXES
    )
    record: dict[str, Any] = {"image": f"images/{placed}"}
    plain = image.ndim == 2 and image.channels == default_channels(image.num_channels)
    if (
        not plain
        or image.geometry.known
        or image.geometry.affine is not None
        or image.geometry.crs is not None
    ):
        record["pixels"] = _told(image)
    return record


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the values are the same, where one may be a volume of one slice and the other a picture."""
    if one.ndim != other.ndim:
        one, other = (each[0] if each.ndim == 4 and len(each) == 1 else each for each in (one, other))
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _itself(image: Image) -> Image:
    return image


def _write_sample(folder: Path, sample: Sample, classes: ClassSet) -> dict[str, Any]:
    name = inside(sample.name)
    record: dict[str, Any] = {"name": name} | _write_image(folder, sample, name)
    if sample.annotated:
        truths = sample.truths
        record["truths"] = [
            f"truth/{name}.npz" if number == 1 else f"truth-{number}/{name}.npz"
            for number in range(1, len(truths) + 1)
        ]
        for path, truth in zip(record["truths"], truths, strict=True):
            if truth.classes != classes:
                raise InputError(f"sample {name!r} has other classes than its dataset: {truth.classes}")
            write_truth(folder / path, truth)
    return record | about(sample)


def write_truth(path: Path, truth: Segmentation) -> None:
    """One segmentation as ``.npz``, without its classes, which the manifest has."""
    geometry = truth.geometry
    columns: dict[str, np.ndarray] = {
        "shape": np.array(truth.shape, np.int64),
        "offsets": truth.runs.offsets,
        "start": truth.runs.start,
        "stop": truth.runs.stop,
        "class_ids": truth.class_ids,
        "scores": truth.scores,
    }
    if truth.void_px:
        void = Runs.of_masks(truth.void[None])
        columns |= {"void_start": void.start, "void_stop": void.stop}
    if geometry.spacing is not None:
        columns |= {"spacing": np.array(geometry.spacing), "unit": np.array(geometry.unit)}
    if geometry.affine is not None:
        columns["affine"] = geometry.affine
    if geometry.crs is not None:
        columns["crs"] = np.array(geometry.crs)
    columns |= {_ATTRIBUTE + name: column for name, column in truth.attributes.items()}
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **columns)


def read_truth(path: Path, classes: ClassSet) -> Segmentation:
    """The segmentation that ``write_truth`` wrote. Raises ``ReadError`` for a file that is damaged or lies."""
    columns = _columns(path)
    for name, (ndim, kinds) in _COLUMNS.items():
        column = columns.get(name)
        if column is not None and (column.ndim != ndim or column.dtype.kind not in kinds):
            what = {0: "one value", 1: "a row", 2: "a table"}[ndim] + (
                " of text" if kinds == "U" else " of numbers"
            )
            raise ReadError(f"{path}: {name} is {column.dtype} of {column.shape}, wanted {what}")
    try:
        void = None
        if "void_start" in columns:
            start, stop = columns["void_start"], columns["void_stop"]
            void = Runs(np.array([0, len(start)]), start, stop)
        spacing = columns.get("spacing")
        return Segmentation.from_runs(
            columns["shape"].tolist(),
            Runs(columns["offsets"], columns["start"], columns["stop"]),
            class_ids=columns["class_ids"],
            scores=columns["scores"],
            classes=classes,
            void=void,
            geometry=Geometry(
                None if spacing is None else tuple(spacing.tolist()),
                "px" if spacing is None else str(columns["unit"]),
                columns.get("affine"),
                str(columns["crs"]) if "crs" in columns else None,
            ),
            attributes={
                name.removeprefix(_ATTRIBUTE): column
                for name, column in columns.items()
                if name.startswith(_ATTRIBUTE)
            },
        )
    except KeyError as error:
        raise ReadError(f"{path} lacks {error}; it is no annotation that smalti wrote") from error
    except InputError as error:
        raise ReadError(f"{path}: {error}") from error


def _read_truths(paths: tuple[Path, ...], classes: ClassSet) -> tuple[Segmentation, ...]:
    return tuple(read_truth(path, classes) for path in paths)


def _columns(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, none larger than its file says and all together at most ``MAX_BYTES``."""
    columns = {}
    with Archive(path, max_bytes=MAX_BYTES, max_ratio=_DEFLATE_RATIO) as archive:
        for member in archive.members:
            content = io.BytesIO(archive.read(member))
            try:
                np.lib.format.read_magic(content)
                shape, _, dtype = np.lib.format.read_array_header_1_0(content)
                if math.prod(shape) * dtype.itemsize > member.size:
                    raise ReadError(f"{path}: {member.name} promises {shape} and holds less")
                content.seek(0)
                columns[member.name.removesuffix(".npy")] = np.lib.format.read_array(
                    content, allow_pickle=False
                )
            except (ValueError, EOFError) as error:
                raise ReadError(f"{path}, member {member.name} is damaged: {error}") from error
    return columns
