"""NIfTI images with label files of the same grid, in the layout of the Medical Segmentation Decathlon.

``imagesTr/NAME.nii.gz`` and ``labelsTr/NAME.nii.gz`` (``Ts`` for the test split) with ``dataset.json``, whose labels
have the names of the numbers. Label files hold class numbers, which every program expects. What these cannot say (two
objects of one class, scores, attributes) smalti puts beside them: ``instancesTr/NAME.nii.gz`` has the numbers of the
segments and ``NAME.segments.json`` what each is. Where segments overlap the surest is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import Geometry
from ...image import Image
from ...sample import Sample
from ...segmentation import Segmentation
from ..medical import NIFTI_SUFFIXES, read_nifti, read_nifti_header, whole_labels, write_nifti
from ..writing import replacing
from .class_lists import CLASSES as CLASS_FILE
from .class_lists import class_list, write_class_list
from .format import AnnotationFormat, Annotations, Recognised
from .images import place_image, suffix_of
from .mask_classes import ClassList, Entry
from .mask_folders import of_all
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
from .numbering import Encoding, Numbering, as_tuple, numbers_in, own_list, relabelled
from .pairing import Pair
from .records import about, rows
from .sample_lists import write_samples
from .segment_lists import read_segments, write_segments
from .tree import Tree, inside

MAX_CLASSES = 1024
"""Most numbers that are taken for classes when no list names them."""

_VERSIONS: Mapping[str, int | None] = {"auto": None, "1": 1, "2": 2}
_IGNORE = "ignore"  # the name by which nnU-Net knows void
_VOID_NAMES = (_IGNORE, "void", "unlabeled", "unlabelled")
_APART_VOXELS = 0.5


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
        reader = self._reader(tree, description, found.volumes)
        samples = [_sample(tree, volume, reader, found.channels, description) for volume in found.volumes]
        return Annotations(samples, reader.classes, found.problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        listed = own_list(classes, _above(classes) if self.void is None else self.void, None)
        entries = [replace(each, name=_IGNORE) if each.kind == "void" else each for each in listed.entries]
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
        derived = Nifti().open(Tree(folder)) if pairs else Annotations([], classes)
        if derived.problems or [_told(sample, folder) for sample in derived.samples] != pairs:
            write_samples(folder, pairs)
        return [pair.name for pair in pairs]

    # Reading

    def _reader(self, tree: Tree, description: Description | None, volumes: Sequence[Volume]) -> LabelReader:
        void = as_tuple(self.void)
        if self.classes is None and description is not None and description.labels:
            labels = description.labels
            if any(isinstance(value, list | tuple) for value in labels.values()):
                return _of_regions(labels, void, description.path, self.same_place)
            listed = _in_known_colors(tree, _of_labels(labels, description.path))
        else:
            listed = class_list(tree, self.classes)
        if listed is None:
            listed = _found(tree, volumes, void)
        listed = listed.with_numbers().with_meanings(void, ())
        if 0 not in {each.value for each in listed.entries}:
            listed = replace(listed, entries=(Entry("background", 0, kind="background"), *listed.entries))
        return LabelReader(Numbering.of(listed), self.same_place)

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


@dataclass(frozen=True)
class LabelReader:
    """How the numbers in label files become segments: of a class each, or of several where classes are regions."""

    numbering: Numbering
    same_place: bool
    regions: tuple[tuple[int, ...], ...] = ()  # numbers of each class, in the order of the classes
    void: tuple[int, ...] = ()  # for regions; else the numbering knows

    @property
    def classes(self) -> ClassSet:
        """The classes of the segments."""
        return self.numbering.classes

    def truth(self, path: Path, objects: Path | None, image: Path | None) -> Segmentation:
        """The segments in a label file. Raises ``ReadError`` naming the file."""
        volume = read_nifti(path)
        values = whole_labels(volume)
        if image is not None:
            self._check_place(path, volume, image)
        if self.regions:
            return self._region_truth(values, path, volume.geometry)
        truth = self.numbering.truth(values, path, volume.geometry)
        return truth if objects is None else self._object_truth(objects, truth)

    def _region_truth(self, values: np.ndarray, path: Path, geometry: Geometry) -> Segmentation:
        present = numbers_in(values)
        known = {0, *self.void, *(number for region in self.regions for number in region)}
        unknown = sorted(set(present.tolist()) - known)
        if unknown:
            raise ReadError(f"{path}: the number {unknown[0]} is not in {self.numbering.origin}; correct it")
        masks = {
            class_id: np.isin(values, region)
            for class_id, region in zip(self.classes.ids.tolist(), self.regions, strict=True)
            if not set(region).isdisjoint(present.tolist())
        }
        return Segmentation.from_masks(
            masks.values(),
            shape=values.shape,
            class_ids=list(masks),
            classes=self.classes,
            geometry=geometry,
            void=np.isin(values, self.void) if self.void else None,
        )

    def _object_truth(self, path: Path, semantic: Segmentation) -> Segmentation:
        """The segments that smalti wrote with their numbers; void is where the class numbers have it."""
        beside = Path(list_beside(str(path)))
        listed = read_segments(beside, self.classes, int)
        values = whole_labels(read_nifti(path))
        if values.shape != semantic.shape:
            raise ReadError(f"{path} is {values.shape}, the labels of the same name {semantic.shape}")
        present = numbers_in(values)
        order = {int(number): k for k, number in enumerate(listed.ids, 1)}
        unknown = sorted(set(present.tolist()) - {0} - set(order))
        if unknown:
            raise ReadError(f"{path}: the number {unknown[0]} is not in {beside.name}; correct one of them")
        return Segmentation.from_labels(
            relabelled(values, present, [order.get(number, 0) for number in present.tolist()]),
            class_ids=listed.class_ids,
            scores=listed.scores,
            classes=self.classes,
            geometry=semantic.geometry,
            void=semantic.void if semantic.void_px else None,
            attributes=listed.attributes,
            copy=False,
        )

    def _check_place(self, path: Path, labels: Image, image: Path) -> None:
        header = read_nifti_header(image)
        if header.shape != labels.shape:
            raise ReadError(f"{path} is {labels.shape}, its image {image.name} {header.shape}; resample one")
        one, other = header.geometry.affine, labels.geometry.affine
        if not self.same_place or one is None or other is None or not np.linalg.det(one):
            return
        ends = np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)], np.float64)
        size = np.array([*labels.shape[::-1], *[1] * (3 - labels.ndim)])
        corners = np.column_stack([ends * (size - 1), np.ones(8)])
        apart = np.abs(corners @ (np.linalg.inv(one) @ other - np.eye(4)).T).max()
        if apart > _APART_VOXELS:
            raise ReadError(
                f"{path} lies up to {apart:.1f} voxels away from its image {image.name} in the world; correct the "
                "affine of one, or open with same_place=false to go by voxels"
            )


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
    load_truths, truth_paths = None, ()
    if volume.labels is not None:
        objects = objects_beside(volume.labels)
        has_objects = objects != volume.labels and objects in tree.path_set
        path = tree.file(volume.labels)
        truth_paths = (path, tree.file(objects)) if has_objects else (path,)
        load_truths = partial(
            _read_truths,
            reader,
            path,
            truth_paths[1] if has_objects else None,
            images[0] if images else None,
        )
    fields = dict(volume.fields or {})
    if description is not None:
        fields.setdefault("provenance", description.provenance)
    return Sample(
        volume.name,
        partial(read_volume, images, channel_names(volume.images, channels)) if images else None,
        load_truths,
        images[0] if len(images) == 1 else None,
        truth_paths,
        volume.split,
        volume.group,
        **fields,
    )


# Classes


def _of_labels(labels: Mapping[str, Any], path: Path) -> ClassList:
    """The list of ``{"1": "liver"}`` (Decathlon) or ``{"liver": 1}`` (nnU-Net); 0 is no class."""
    entries = []
    for name, value in labels.items():
        if isinstance(value, str) and name.isdecimal():
            name, value = value, int(name)
        if type(value) is not int or not name:
            raise ReadError(f"{path}: the label {name!r} has {value!r}, wanted a number and a name")
        if value != 0:
            entries.append(Entry(name, value, kind="void" if name.lower() in _VOID_NAMES else "class"))
    try:
        return ClassList(tuple(entries), str(path))
    except InputError as error:
        raise ReadError(str(error)) from error


def _of_regions(
    labels: Mapping[str, Any], void: tuple[int, ...], path: Path, same_place: bool
) -> LabelReader:
    """nnU-Net's regions: names with several numbers, which overlap."""
    regions: dict[str, tuple[int, ...]] = {}
    unclear = list(void)
    for name, value in labels.items():
        numbers = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not numbers or not all(type(number) is int and number >= 0 for number in numbers):
            raise ReadError(f"{path}: the label {name!r} has {value!r}, wanted a number or several")
        if name == _IGNORE:
            unclear += numbers
        elif numbers != (0,):
            regions[name] = numbers
    classes = ClassSet.from_names(regions)
    return LabelReader(
        Numbering(classes, {}, str(path)), same_place, tuple(regions.values()), tuple(dict.fromkeys(unclear))
    )


def _in_known_colors(tree: Tree, listed: ClassList) -> ClassList:
    """Colours, and things or stuff, as ``classes.json`` has them for the same names and numbers."""
    if CLASS_FILE not in tree.path_set:
        return listed
    known = class_list(tree, CLASS_FILE)
    by_name = {} if known is None else {(each.name, each.value): each for each in known.entries}
    return replace(
        listed, entries=tuple(by_name.get((each.name, each.value), each) for each in listed.entries)
    )


def _found(tree: Tree, volumes: Sequence[Volume], void: tuple[int, ...]) -> ClassList:
    """A class for each number in all label files; files that cannot be read say so when their truth is asked for."""
    paths = [tree.file(volume.labels) for volume in volumes if volume.labels is not None]
    numbers = sorted({number for each in of_all(_numbers_of, paths) for number in each} - {0, *void})
    if len(numbers) > MAX_CLASSES:
        raise InputError(
            f"{tree.root}: {len(numbers)} numbers are more than classes have; name them with classes="
        )
    return ClassList(tuple(Entry(f"class {number}", number) for number in numbers), "what the labels hold")


def _numbers_of(path: Path) -> list[int]:
    try:
        return numbers_in(whole_labels(read_nifti(path))).tolist()
    except ReadError:
        return []


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
