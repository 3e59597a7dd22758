"""NIfTI images with label files of the same grid, in the layout of the Medical Segmentation Decathlon.

``imagesTr/NAME.nii.gz`` and ``labelsTr/NAME.nii.gz`` (``Ts`` for the test split) with ``dataset.json``, whose labels
have the names of the numbers. Label files hold class numbers, which every program expects. What these cannot say (two
objects of one class, scores, attributes) smalti puts beside them: ``instancesTr/NAME.nii.gz`` has the numbers of the
segments and ``NAME.segments.json`` what each is. Where segments overlap the surest is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import ReadError
from ...geometry import Geometry
from ...image import Image
from ...sample import Sample
from ...segmentation import Segmentation
from ..medical import NIFTI_SUFFIXES, read_nifti, read_nifti_header, write_nifti
from ..writing import replacing
from .class_lists import write_class_list
from .format import AnnotationFormat, Annotations, Recognised
from .images import place_image, suffix_of
from .nifti_files import (
    DATASET,
    Description,
    Volume,
    channel_names,
    find_volumes,
    list_beside,
    objects_beside,
    place_of,
    read_description,
)
from .nifti_labels import IGNORE, LabelReader, label_reader
from .numbering import Encoding, as_tuple, own_list
from .pairing import Pair
from .records import about, rows
from .sample_lists import write_samples
from .segment_lists import write_segments
from .tree import Tree, inside

_VERSIONS: Mapping[str, int | None] = {"auto": None, "1": 1, "2": 2}


class Nifti(AnnotationFormat):
    """NIfTI images with labels: Medical Segmentation Decathlon, nnU-Net, and pairs told by their names."""

    name: ClassVar[str] = "nifti"
    title: ClassVar[str] = "NIfTI"
    source: ClassVar[str] = "http://medicaldecathlon.com/ and https://nifti.nimh.nih.gov/nifti-1"

    images: str = Field(
        "", description="File, folder or glob of the images, such as **/*_ct.nii.gz; empty to go by names."
    )
    labels: str = Field(
        "", description="File, folder or glob of the labels, such as **/*_seg.nii.gz; empty to go by names."
    )
    classes: str | list[Any] | dict[str, Any] | None = Field(
        None, description="A file, or names with their numbers; else what dataset.json says."
    )
    void: int | tuple[int, ...] | None = Field(
        None, description="Numbers where nobody said what is there; else those called ignore."
    )
    same_place: bool = Field(
        True, description="Labels must lie in the world where their image lies, to half a voxel."
    )
    version: Literal["auto", "1", "2"] = Field(
        "auto", description="NIfTI version to write; auto is 1 unless only 2 holds the affine exactly."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        if tree.focus not in (None, DATASET):
            return Recognised(0.7, f"{tree.focus} is a NIfTI file") if _is_nifti(tree.focus) else None
        count = len(tree.with_suffix(*NIFTI_SUFFIXES))
        if not count:
            return None
        described = b'"labels"' in tree.head(DATASET, 1 << 16)
        reason = f"there are {count} NIfTI files" + (f" and a {DATASET}" if described else "")
        return Recognised(0.95 if described else 0.8, reason)

    def open(self, tree: Tree) -> Annotations:
        if tree.focus not in (None, DATASET) and not _is_nifti(tree.focus):
            raise ReadError(f"{tree.root / tree.focus} is no NIfTI file; give one, or the folder")
        description = read_description(tree)
        found = find_volumes(tree, self.images, self.labels, description)
        if not found.volumes and not found.problems:
            raise ReadError(f"{tree.root} has no NIfTI images (.nii, .nii.gz); check the folder")
        void = as_tuple(self.void)
        reader = label_reader(tree, description, found.volumes, self.classes, void, self.same_place)
        samples = [_sample(tree, volume, reader, found.channels, description) for volume in found.volumes]
        read_mask = partial(_read_mask, reader)
        return Annotations(samples, reader.classes, found.problems, read_mask=read_mask)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        listed = own_list(classes, _above(classes) if self.void is None else self.void, None)
        entries = [replace(each, name=IGNORE) if each.kind == "void" else each for each in listed.entries]
        encoding = Encoding.of(listed, classes)
        pairs: list[Pair] = []
        void = False
        channels: tuple[str, ...] = ()
        origins = set()
        for sample in samples:
            truth = sample.truths[0] if sample.annotated else None
            pair = self._write_sample(folder, sample, truth, encoding)
            void |= truth is not None and truth.void_px > 0
            if not pairs and sample.load_image is not None:
                channels = sample.image.channels
            origins.add(sample.provenance)
            pairs.append(pair)
        write_class_list(folder, [each for each in entries if void or each.kind != "void"])
        named = {str(each.value): each.name for each in entries if void or each.kind != "void"}
        named = {"0": named["0"]} | named
        content = _description(pairs, named, channels)
        if len(origins) == 1:
            (origin,) = origins
            content |= {"reference": origin.source, "licence": origin.licence}
        with replacing(folder / DATASET) as part:
            part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        derived = Nifti.make({}).open(Tree(folder)) if pairs else Annotations([], classes)
        if derived.problems or [_told(sample, folder) for sample in derived.samples] != pairs:
            write_samples(folder, pairs, self.name)
        return [pair.name for pair in pairs]

    # Reading

    # Writing

    def _write_sample(
        self, folder: Path, sample: Sample, truth: Segmentation | None, encoding: Encoding
    ) -> Pair:
        name, version = inside(sample.name), _VERSIONS[self.version]
        place = place_of(name, sample.split, "image")
        image: str | None = None
        if sample.image_path is not None and suffix_of(sample.image_path) in NIFTI_SUFFIXES:
            image = place_image(sample, folder, place, NIFTI_SUFFIXES)
        elif sample.load_image is not None:
            image = f"{place}.nii.gz"
            write_nifti(folder / image, sample.image, version=version)
        labels = None
        if truth is not None:
            labels = f"{place_of(name, sample.split, 'label')}.nii.gz"
            like = None if image is None else folder / image
            geometry = truth.geometry
            if geometry.spacing is None and geometry.affine is None and like is not None:
                geometry = read_nifti_header(like).geometry
            put = partial(_put, geometry=geometry, like=like, version=version)
            flat = truth.panoptic()
            put(folder / labels, encoding.values(flat))
            if not _said_by_classes(flat):
                objects = folder / objects_beside(labels)
                put(objects, flat.labels)
                ids = list(range(1, len(flat) + 1))
                write_segments(folder / list_beside(objects_beside(labels)), flat, ids, None)
        fields = about(sample)
        split, group = fields.pop("split", None), fields.pop("group", None)
        return Pair(name, image, labels, split, group, fields or None)


def read_volume(paths: tuple[Path, ...], channels: tuple[str, ...]) -> Image:
    """The image in one file, or in one file for each channel. Raises ``ReadError`` where these differ in size."""
    images = [read_nifti(path) for path in paths]
    pixels = images[0].pixels
    for path, image in zip(paths[1:], images[1:], strict=True):
        if image.shape != images[0].shape:
            raise ReadError(f"{path} is {image.shape}, {paths[0].name} {images[0].shape}; resample one")
    if len(images) > 1:
        pixels = np.concatenate([image.pixels for image in images], axis=-1)
    named = len(channels) == pixels.shape[-1] > 1
    counted = (
        images[0].channels if len(images) == 1 else tuple(f"channel_{i}" for i in range(pixels.shape[-1]))
    )
    return Image(pixels, channels if named else counted, images[0].geometry, images[0].source)


def _read_truths(
    reader: LabelReader, path: Path, objects: Path | None, image: Path | None
) -> tuple[Segmentation, ...]:
    return (reader.truth(path, objects, image),)


def _is_nifti(path: str) -> bool:
    return path.lower().endswith(NIFTI_SUFFIXES)


def _sample(
    tree: Tree,
    volume: Volume,
    reader: LabelReader,
    channels: tuple[str, ...],
    description: Description | None,
) -> Sample:
    images = tuple(tree.file(path) for path in volume.images)
    load_truths, truth_paths = None, []
    if volume.labels is not None:
        path, beside = tree.file(volume.labels), objects_beside(volume.labels)
        objects = tree.file(beside) if beside != volume.labels and beside in tree.path_set else None
        truth_paths = [path] if objects is None else [path, objects]
        load_truths = partial(_read_truths, reader, path, objects, images[0] if images else None)
    fields = dict(volume.fields or {})
    if description is not None:
        fields.setdefault("provenance", description.provenance)
    return Sample(
        volume.name,
        partial(read_volume, images, channel_names(volume.images, channels)) if images else None,
        load_truths,
        images[0] if len(images) == 1 else None,
        tuple(truth_paths),
        volume.split,
        volume.group,
        **fields,
    )


def _read_mask(reader: LabelReader, path: Path) -> tuple[Segmentation, ...]:
    return _read_truths(reader, path, None, None)


def _above(classes: ClassSet) -> int:
    """The number above all classes, where nnU-Net wants void to be."""
    return int(max(classes.ids, default=0)) + 1


# Writing


def _put(path: Path, values: np.ndarray, geometry: Geometry, like: Path | None, version: int | None) -> None:
    """Write a label map in the smallest type that holds it."""
    kept = values.astype(np.min_scalar_type(int(values.max())))
    write_nifti(path, Image.from_array(kept, values.ndim, geometry=geometry), like=like, version=version)


def _said_by_classes(truth: Segmentation) -> bool:
    """Whether class numbers alone bring the segments back."""
    return (
        len(np.unique(truth.class_ids)) == len(truth)
        and bool((truth.scores == 1).all())
        and bool((truth.areas_px > 0).all())
        and not any(rows(truth))
        and not (truth.void_px and bool((truth.void & (truth.labels > 0)).any()))
    )


def _description(
    pairs: Sequence[Pair], labels: Mapping[str, str], channels: tuple[str, ...]
) -> dict[str, Any]:
    training = [
        {"image": f"./{pair.image}", "label": f"./{pair.mask}"}
        for pair in pairs
        if pair.split != "test" and pair.image is not None and pair.mask is not None
    ]
    test = [f"./{pair.image}" for pair in pairs if pair.split == "test" and pair.image is not None]
    return {
        "name": "",
        "description": "",
        "tensorImageSize": "3D" if len(channels) < 2 else "4D",
        "modality": {str(index): name for index, name in enumerate(channels)}
        if len(channels) > 1
        else {"0": "unknown"},
        "labels": labels,
        "numTraining": len(training),
        "numTest": len(test),
        "training": training,
        "test": test,
    }


def _told(sample: Sample, folder: Path) -> Pair:
    """What the files alone say of a sample."""
    paths = [sample.image_path, *sample.truth_paths[:1]]
    names = [None if path is None else path.relative_to(folder).as_posix() for path in paths]
    fields = about(sample)
    split, group = fields.pop("split", None), fields.pop("group", None)
    return Pair(sample.name, names[0], names[1] if len(names) > 1 else None, split, group, fields or None)
