"""Cityscapes: ``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png`` and ``gtFine/SPLIT/CITY/NAME_gtFine_instanceIds.png``.

In ``instanceIds`` a number below 1000 is a label, of stuff or of a group outlined as one; from 1000 on it is label *
1000 + number of the object. ``labelIds`` has the labels alone. The 34 labels are in ``known_classes``; those that the
benchmark ignores are void. Source: Cordts et al. (2016), "The Cityscapes Dataset for Semantic Urban Scene
Understanding", and https://github.com/mcordts/cityscapesScripts.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError
from ...image import Image
from ...sample import Sample
from ...segmentation import Segmentation
from ..encode import write_image
from .class_lists import CLASSES, class_list, write_class_list
from .format import Annotations, Recognised
from .known_classes import CITYSCAPES
from .label_maps import read_classes
from .mask_classes import ClassList
from .mask_folders import MaskFolder
from .numbering import Encoding, Numbering, complete, own_list, write_mask
from .object_numbers import ObjectReader, divided_ids, read_objects
from .pairing import Pairing, find_pairs
from .sample_lists import read_samples
from .tree import Tree

DIVISOR = 1000
_HIGHEST_CLASS = 64  # its objects fit into 16 bits


class Cityscapes(MaskFolder):
    """Cityscapes' folders: panoptic truth from the instance numbers, by split and city.

    Classes are the 34 labels of Cityscapes unless ``classes`` or a ``classes.json`` beside the folders has others.
    """

    name: ClassVar[str] = "cityscapes"
    title: ClassVar[str] = "Cityscapes"
    source: ClassVar[str] = "https://github.com/mcordts/cityscapesScripts"

    classes: str | list[Any] | dict[str, Any] | None = Field(
        None, description="A file, or names with their numbers; else classes.json, else Cityscapes' labels."
    )
    annotations_of: Literal["gtFine", "gtCoarse"] = Field(
        "gtFine", description="Which of the two annotations."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        ends = tuple(
            f"_{kind}{suffix}"
            for kind in ("gtFine_labelIds", "gtFine_instanceIds", "gtCoarse_labelIds", "gtCoarse_instanceIds")
            for suffix in (".png", ".tif")  # smalti writes TIFF where there is a spacing
        )
        if tree.focus is not None or not any(
            "gtFine/" in each or "gtCoarse/" in each for each in tree.folders
        ):
            return None
        found = next((path for path in tree.paths if path.endswith(ends)), None)
        if found is None:
            return None
        return Recognised(0.95, f"{found} is named as in Cityscapes")

    def pairing(self, tree: Tree) -> Pairing:
        listed = read_samples(tree)
        if listed is not None:
            return listed
        images = self.images or "**/*_leftImg8bit.*"
        masks = self.masks or f"**/*_{self.annotations_of}_instanceIds.*"
        found = find_pairs(tree, images, masks, self.group)
        if self.masks or found.masks:
            return found
        return find_pairs(tree, images, f"**/*_{self.annotations_of}_labelIds.*", self.group)

    def open(self, tree: Tree) -> Annotations:
        pairing = self.one_pairing(tree)
        numbering = Numbering.of(self._listed(tree))
        if pairing.masks and "labelIds." in pairing.masks[0].rpartition("/")[2]:
            return self.annotations(tree, pairing, numbering.classes, partial(read_classes, numbering))
        reader = ObjectReader(numbering, DIVISOR, ())
        return self.annotations(tree, pairing, numbering.classes, partial(read_objects, reader))

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        official = {label.name for label in CITYSCAPES if not label.void}
        known = len(classes) > 0 and all(entry.name in official for entry in classes)
        if self.classes is not None or known:
            listed = self._listed(Tree(folder))
        else:
            listed = own_list(classes, None, None)
        highest = max((entry.value or 0 for entry in listed.entries if entry.kind == "class"), default=0)
        if highest > _HIGHEST_CLASS:
            raise InputError(
                f"Cityscapes numbers objects as class * 1000 in 16 bits, so classes up to {_HIGHEST_CLASS}, got "
                f"{highest}; write instance-maps or coco-panoptic"
            )
        encoding = Encoding.of(listed, classes)
        if not known:
            write_class_list(folder, listed.entries)
        return self.write_folder(
            folder,
            samples,
            classes,
            partial(_put, encoding, self.annotations_of),
            images="leftImg8bit/{place}_leftImg8bit",
            masks=self.annotations_of + "/{place}",
        )

    def _listed(self, tree: Tree) -> ClassList:
        option = self.classes
        if option is None and CLASSES not in tree.path_set:
            option = "cityscapes"
        listed = class_list(tree, option)
        assert listed is not None
        return complete(listed, None, None)


def _put(encoding: Encoding, kind: str, place: Path, truth: Segmentation) -> Path:
    """Write numbers of objects, of labels, and colours; gives the path of the first."""
    flat = truth.panoptic()
    ids, _ = divided_ids(flat, encoding, DIVISOR, place)
    values = np.array([encoding.none, *ids], np.int64)[flat.labels]
    if truth.void_px:
        values[truth.void] = encoding.void
    labels = encoding.values(truth)
    colors = np.zeros((256, 3), np.uint8)
    for entry in truth.classes:
        colors[encoding.value_of[entry.id]] = entry.color
    stem = place.with_name(f"{place.name}_{kind}")
    write_mask(stem.with_name(f"{stem.name}_labelIds"), labels, truth.geometry)
    write_image(stem.with_name(f"{stem.name}_color.png"), Image(colors[labels]))
    return write_mask(stem.with_name(f"{stem.name}_instanceIds"), values, truth.geometry)
