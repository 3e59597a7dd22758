"""The numbers in NIfTI label files turned into segments: of classes, of regions that overlap, or of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...geometry import Geometry
from ...image import Image
from ...segmentation import Segmentation
from ..medical import read_nifti, read_nifti_header, whole_labels
from .class_lists import CLASSES as CLASS_FILE
from .class_lists import ClassOption, class_list
from .mask_classes import ClassList, Entry
from .mask_folders import of_all
from .nifti_files import Description, Volume, list_beside
from .numbering import Numbering, numbers_in, relabelled
from .segment_lists import read_segments
from .tree import Tree

MAX_CLASSES = 1024
"""Most numbers that are taken for classes when no list names them."""

IGNORE = "ignore"
"""The name by which nnU-Net knows void."""

_VOID_NAMES = (IGNORE, "void", "unlabeled", "unlabelled")
_APART_VOXELS = 0.5


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


# Classes


def label_reader(
    tree: Tree,
    description: Description | None,
    volumes: Sequence[Volume],
    classes: ClassOption,
    void: tuple[int, ...],
    same_place: bool,
) -> LabelReader:
    """The reader by the classes a person gives, or ``dataset.json`` has, or another list; else each number is one.

    ``void`` are numbers where nobody said what there is. Raises ``ReadError`` and ``InputError`` for what is no list.
    """
    if classes is None and description is not None and description.labels:
        labels = description.labels
        if any(isinstance(value, list | tuple) for value in labels.values()):
            return _of_regions(labels, void, description.path, same_place)
        told: ClassList | None = _in_known_colors(tree, _of_labels(labels, description.path))
    else:
        told = class_list(tree, classes)
    listed = (told or _found(tree, volumes, void)).with_numbers().with_meanings(void, ())
    if 0 not in {each.value for each in listed.entries}:
        listed = replace(listed, entries=(Entry("background", 0, kind="background"), *listed.entries))
    return LabelReader(Numbering.of(listed), same_place)


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
        if name == IGNORE:
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
