"""smalti's own format: everything a sample knows, exactly, in files anybody can read with numpy and JSON.

``smalti.json`` lists classes and samples; ``images/`` has the image files as they came; ``truth/`` has an ``.npz`` for
each annotation with the table of runs (``smalti.Runs``) and its columns. Nothing in it can run code.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import Geometry
from ...provenance import Provenance
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import IMAGE_SUFFIXES, read
from ..archives import Archive
from ..writing import replacing
from .documents import read_json
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import place_image
from .tree import Tree, inside

MANIFEST = "smalti.json"
VERSION = 1
MAX_BYTES = 2_000_000_000
"""Most bytes of one annotation once it is inflated."""

_ATTRIBUTE = "attribute_"
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
        samples, problems = [], []
        for number, record in enumerate(records):
            try:
                samples.append(_sample(tree, record, classes))
            except (ReadError, InputError, KeyError, TypeError, AttributeError) as error:
                message = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                problems.append(Problem(MANIFEST, f"sample {number}", message))
        return Annotations(samples, classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        records = [_write_sample(folder, sample, classes) for sample in samples]
        content = {"smalti": VERSION, "classes": json.loads(classes.to_json()), "samples": records}
        with replacing(folder / MANIFEST) as part:
            part.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
        return [record["name"] for record in records]


def _sample(tree: Tree, record: dict[str, Any], classes: ClassSet) -> Sample:
    name, image = record["name"], record.get("image")
    paths = tuple(tree.file(each) for each in record.get("truths", ()))
    for each in (image, *record.get("truths", ())):
        if each is not None and inside(each) not in tree.path_set:
            raise ReadError(f"sample {name!r} names the file {each}, which is not there")
    split, group = record.get("split"), record.get("group")
    if not all(isinstance(each, str | None) for each in (split, group)) or not isinstance(name, str):
        raise ReadError(f"name, split and group are text, got {name!r}, {split!r} and {group!r}")
    image_path = None if image is None else tree.file(image)
    return Sample(
        inside(name),
        None if image_path is None else partial(read, image_path),
        partial(_read_truths, paths, classes) if paths else None,
        image_path,
        paths,
        split,
        group,
        Provenance.from_json(record.get("provenance", {})),
        dict(record.get("metadata", {})),
    )


def _write_sample(folder: Path, sample: Sample, classes: ClassSet) -> dict[str, Any]:
    name = inside(sample.name)
    record: dict[str, Any] = {"name": name}
    image = place_image(sample, folder / "images", name, IMAGE_SUFFIXES)
    if image is not None:
        record["image"] = f"images/{image}"
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
    for key in ("split", "group"):
        if getattr(sample, key) is not None:
            record[key] = getattr(sample, key)
    if origin := sample.provenance.to_json():
        record["provenance"] = origin
    if sample.metadata:
        record["metadata"] = dict(sample.metadata)
    return record


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
    except (InputError, TypeError) as error:
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
