"""Masks that hold a number for each pixel: of its class (``LabelMaps``) or of its object (``InstanceMaps``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ...classes import OBJECT, ClassSet
from ...errors import InputError, ReadError
from ...sample import Sample
from ...segmentation import Segmentation
from ..encode import encode_label_png
from ..labels import write_labels
from ..writing import replacing
from .class_lists import VOID, ClassList, Color, Entry, class_list, found_list, write_class_list
from .format import Annotations, Recognised
from .mask_folders import MaskFolder, Numbers, of_all
from .mask_kinds import Mask, palette_of, read_mask
from .segment_lists import SUFFIX, read_segments, write_segments
from .tree import Tree

MAX_CLASSES = 256
"""Most numbers that are taken for classes when no list names them."""


class LabelMaps(MaskFolder):
    """A mask beside each image whose numbers, or palette indices, are classes: CamVid, ADE20K, VOC, Cityscapes.

    Classes come from ``classes`` or from a list in the folder (see ``class_lists``). Without one, opening reads all
    masks, in threads, to see which numbers there are, and calls them "class 7" and so on.
    """

    name: ClassVar[str] = "label-maps"
    title: ClassVar[str] = "label maps"
    source: ClassVar[str] = "https://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html"

    classes: str | list[Any] | dict[str, Any] | None = Field(
        None,
        description="A known list (cityscapes, cityscapes-train, camvid, voc), a file, or names with numbers.",
    )
    void: int | tuple[int, ...] | None = Field(
        None,
        description="Numbers that mean nobody said what is there; else what the list calls void, or 255.",
    )
    background: int | tuple[int, ...] | None = Field(
        None,
        description="Numbers that mean no segment; else 0, unless the list names it; [] makes 0 a class.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        return self.recognise_as(tree, "classes")

    def open(self, tree: Tree) -> Annotations:
        pairing = self.one_pairing(tree)
        listed = class_list(tree, self.classes)
        if listed is None:
            listed = _found_classes(tree, pairing.masks, _tuple(self.void), _tuple(self.background))
        listed = complete(listed, self.void, self.background)
        palette = palette_of(tree, pairing.masks[0]) if pairing.masks else None
        if palette is not None and not listed.colored:
            listed = _in_palette_colors(listed, palette)
        numbers = Numbering.of(listed)
        return self.annotations(tree, pairing, numbers.classes, partial(read_classes_mask, numbers))

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        listed = None if self.classes is None else complete(class_list(Tree(folder), self.classes), self.void, self.background)
        if listed is None:
            void = _free(classes, _tuple(self.void) or (255,))
            entries = [Entry(each.name, each.id, each.color, each.thing) for each in classes]
            entries.append(Entry("void", void, (0, 0, 0), kind="void"))
            write_class_list(folder, entries)
            value_of = {each.id: each.id for each in classes}
            none = 0
        else:
            write_class_list(folder, listed.entries)
            value_of, void, none = _values(listed, classes)
        return self.write_folder(folder, samples, partial(_put_classes, value_of, void, none))
