"""Masks that are pictures: a colour for each class (``ColorMasks``), or white on black (``BinaryMasks``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count, repeat
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from ...classes import OBJECT, Class, ClassSet
from ...errors import InputError, ReadError
from ...image import Image
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..encode import write_image
from .class_lists import class_list, write_class_list
from .format import Annotations, Recognised
from .known_classes import voc_color
from .mask_classes import ClassList, Color, Entry, found_list, hex_color, parse_color
from .mask_folders import MaskFolder, of_all
from .numbering import Encoding, Numbering, as_tuple, own_list, write_mask
from .roles import LOSSY
from .tree import Tree

MAX_COLORS = 256
"""Most colours that are taken for classes when no list names them."""

_NOISE = (
    40  # how far in RGB lossy compression moves a colour, but at edges; other classes are not much farther
)
_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)


class ColorMasks(MaskFolder):
    """A mask beside each image whose colours, RGB or of a palette, are classes: CamVid's 32, Dubai, CVAT's exports.

    Colours come from ``classes`` or from a list in the folder (see ``class_lists``). Without one, opening reads all
    masks, in threads, to see which colours there are, and names the classes by them. A colour that is in no list is an
    error when its mask is read; ``nearest`` takes the nearest one for masks that were kept as JPEG.
    """

    name: ClassVar[str] = "color-masks"
    title: ClassVar[str] = "coloured masks"
    source: ClassVar[str] = "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/"

    classes: str | list[Any] | dict[str, Any] | None = Field(
        None, description="A known list (cityscapes, camvid, voc), a file, or names with their colours."
    )
    background: str | list[str] | None = Field(
        None, description="Colours of no segment; else black, unless the list names it."
    )
    void: str | list[str] = Field(
        [], description="Colours where nobody said what is there, beside the list's."
    )
    nearest: float = Field(
        0, ge=0, le=441, description="Farthest in RGB that a colour may be from the one it is taken for."
    )

    @field_validator("background", "void")
    @classmethod
    def _colors(cls, given: str | list[str] | None) -> str | list[str] | None:
        for each in [given] if isinstance(given, str) else given or []:
            if parse_color(each) is None:
                raise ValueError("colours are written as '#rrggbb'")
        return given

    def recognise(self, tree: Tree) -> Recognised | None:
        return self.recognise_as(tree, "colors")

    def open(self, tree: Tree) -> Annotations:
        pairing = self.one_pairing(tree)
        colors = _Colors.of(self._listed(tree, pairing.masks), self.nearest)
        load = partial(_read_colors, colors)
        found = self.annotations(tree, pairing, colors.numbering.classes, load)
        if class_list(tree, self.classes) is None:
            black = "; black is taken for no segment" if self.background is None else ""
            note = f"no list of classes: the {len(found.classes)} colours of the masks are called by themselves{black}"
            return replace(found, notes=(note,))
        return found

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        if self.classes is None:
            listed = _own_colors(classes)
        else:
            listed = self._listed(Tree(folder), ())
        table = _numbered(listed)
        encoding = Encoding.of(table, classes)
        palette = np.array([entry.color for entry in table.entries], np.uint8)
        write_class_list(folder, listed.entries)
        return self.write_folder(folder, samples, classes, partial(_put_colors, encoding, palette))

    def _listed(self, tree: Tree, masks: Sequence[str]) -> ClassList:
        listed = class_list(tree, self.classes)
        if listed is None:
            listed = self._found(tree, masks)
        missing = [entry.name for entry in listed.entries if entry.color is None and entry.kind == "class"]
        if missing:
            raise InputError(
                f"{listed.origin} has no colour for {missing[0]!r}; give classes={{name: '#rrggbb'}}"
            )
        meant = dict.fromkeys(_as_colors(self.background), "background")
        meant |= dict.fromkeys(_as_colors(self.void), "void")
        entries = [entry for entry in listed.entries if entry.color is not None and entry.color not in meant]
        if self.background is None and _BLACK not in {entry.color for entry in entries}:
            meant.setdefault(_BLACK, "background")
        numbers: Iterator[int | None] = repeat(None)
        if listed.numbered:
            numbers = count(max((entry.value or 0 for entry in listed.entries), default=0) + 1)
        entries += [
            Entry(kind, number, color, kind=kind)  # type: ignore[arg-type]  # kind is one of the two above
            for (color, kind), number in zip(meant.items(), numbers, strict=False)
        ]
        return ClassList(tuple(entries), listed.origin)

    def _found(self, tree: Tree, masks: Sequence[str]) -> ClassList:
        """Classes named by their colours; masks that cannot be read say so when their truth is asked for."""
        found = of_all(_colors_of, [tree.file(path) for path in masks])
        known = {_BLACK} if self.background is None else set(_as_colors(self.background))
        colors = sorted({color for each in found for color in each} - known)
        if len(colors) > MAX_COLORS:
            raise InputError(
                f"{tree.root}: {len(colors)} colours are more than classes have; give their colours with classes= and, "
                f"if the masks were kept as JPEG, nearest={_NOISE}"
            )
        return found_list([Entry(hex_color(color), None, color) for color in colors])


@dataclass(frozen=True)
class _Colors:
    """Colours of masks: the number of each is its place among the ``keys`` from 1."""

    numbering: Numbering
    keys: tuple[int, ...]
    nearest: float

    @classmethod
    def of(cls, listed: ClassList, nearest: float) -> _Colors:
        meanings = listed.color_ids()
        classes = {entry.color: entry.name for entry in reversed(listed.entries) if entry.kind == "class"}
        for entry in listed.entries:
            if entry.kind == "class" and classes[entry.color] != entry.name:
                raise InputError(
                    f"{listed.origin}: {entry.name!r} and {classes[entry.color]!r} have one colour"
                )
        keys = tuple(_key(color) for color in meanings)
        ids = dict(enumerate(meanings.values(), 1))
        return cls(Numbering(listed.classes, ids, listed.origin), keys, nearest)

    def any_class(self, numbers: Iterable[int]) -> bool:
        """Whether any of the colours of these numbers is that of a class."""
        return any(self.numbering.ids[int(number)] > 0 for number in numbers)


def _read_colors(colors: _Colors, path: Path) -> tuple[Segmentation, ...]:
    """The truth in a coloured mask. Raises ``ReadError`` naming a colour that is in no list."""
    image = read(path)
    keys = _keys(image, path)
    numbers = np.take(_table(colors.keys), keys, mode="clip")
    unknown = numbers == 0
    if unknown.any():
        strange, counts = np.unique(keys[unknown], return_counts=True)
        distance, place = _distances(strange, np.array(colors.keys))
        far = distance > colors.nearest
        if far.any():
            worst = int(np.argmax(np.where(far, counts, 0)))
            needed, origin = int(np.ceil(distance[far].max())), colors.numbering.origin
            lossy = path.suffix.lower() in LOSSY
            noisy = place[distance <= _NOISE] + 1 if lossy else ()
            if needed > _NOISE and not colors.any_class([*np.unique(numbers[~unknown]), *noisy]):
                away = f", or move {Path(origin).name} away" if Path(origin).is_file() else ""
                raise ReadError(
                    f"{path}: none of the {len(strange)} colours of this mask is in {origin}, which belongs to other "
                    f"masks; give the right ones with classes={{name: '#rrggbb'}}{away}"
                )
            noise = needed <= _NOISE or lossy
            nearest = f", or allow the nearest with nearest={needed}" if noise else ""
            raise ReadError(
                f"{path}: the colour {hex_color(_rgb(strange[worst]).tolist())} on {counts[worst]} pixels is not in "
                f"{origin} ({int(far.sum())} such colours); correct the list, give classes={nearest}"
            )
        numbers[unknown] = (place + 1)[np.searchsorted(strange, keys[unknown])]
    return (colors.numbering.truth(numbers.view(np.uint16), path, image.geometry),)


@lru_cache(maxsize=4)
def _table(keys: tuple[int, ...]) -> np.ndarray:
    """Number of each of the 2**24 colours, 0 for those unknown; memory is only taken where it is touched."""
    table = np.zeros(2**24, np.int16)
    table[list(keys)] = np.arange(1, len(keys) + 1)
    table.flags.writeable = False
    return table


def _keys(image: Image, path: Path) -> np.ndarray:
    """Each colour as one number, (H, W) uint32: red + 256 green + 65536 blue."""
    pixels = image.pixels
    if image.ndim != 2 or pixels.dtype not in (np.uint8, bool):
        raise ReadError(f"{path} holds {pixels.dtype} of {image.shape}, wanted colours of 8 bits")
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8) * np.uint8(255)
    import cv2

    colored = np.zeros((*image.shape, 4), np.uint8)
    last = 0 if image.num_channels < 3 else 2
    cv2.mixChannels([np.ascontiguousarray(pixels)], [colored], [0, 0, last // 2, 1, last, 2])
    return colored.view("<u4")[..., 0]


def _key(color: Color) -> int:
    return color[0] | color[1] << 8 | color[2] << 16


def _rgb(keys: np.ndarray) -> np.ndarray:
    return np.stack([keys & 255, keys >> 8 & 255, keys >> 16 & 255], axis=-1).astype(np.int64)


def _distances(keys: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each colour to the nearest known one, and which that is."""
    best = np.full(len(keys), np.inf)
    place = np.zeros(len(keys), np.int64)
    for index, color in enumerate(_rgb(known)):
        distance = np.sqrt(((_rgb(keys) - color) ** 2).sum(axis=-1))
        closer = distance < best
        best[closer], place[closer] = distance[closer], index
    return best, place


def _colors_of(path: Path) -> list[Color]:
    try:
        keys = np.unique(_keys(read(path), path))
    except ReadError:
        return []
    return [(int(red), int(green), int(blue)) for red, green, blue in _rgb(keys[: MAX_COLORS * 4])]


def _as_colors(given: str | list[str] | None) -> list[Color]:
    parsed = [parse_color(each) for each in ([given] if isinstance(given, str) else given or [])]
    return [color for color in parsed if color is not None]


def _own_colors(classes: ClassSet) -> ClassList:
    """The classes in their colours, and free ones for background, void, and classes whose colour another has."""
    given = {_BLACK, _WHITE, *(each.color for each in classes)}
    free = (color for color in map(voc_color, range(1, 2**24)) if color not in given)
    taken: set[Color] = set()

    def own(wanted: Color) -> Color:
        color = next(free) if wanted in taken else wanted
        taken.add(color)
        return color

    numbered = own_list(classes, None, None)
    wanted = [*(each.color for each in classes), _BLACK, _WHITE]
    entries = (
        replace(entry, color=own(color)) for entry, color in zip(numbered.entries, wanted, strict=True)
    )
    return replace(numbered, entries=tuple(entries))


def _numbered(listed: ClassList) -> ClassList:
    entries = tuple(replace(entry, value=index) for index, entry in enumerate(listed.entries))
    return ClassList(entries, listed.origin)


def _put_colors(encoding: Encoding, palette: np.ndarray, place: Path, truth: Segmentation) -> Path:
    pixels = palette[encoding.values(truth)]
    path = place.with_name(place.name + (".tif" if truth.geometry.known else ".png"))
    write_image(path, Image(pixels, geometry=truth.geometry))
    return path


class BinaryMasks(MaskFolder):
    """A mask beside each image that is bright where the one thing of interest is: DAVIS 2016, cracks, defects.

    Values above half of the range (127 of 8 bits) are it; in masks that hold nothing but 0 and 1, the 1. Of coloured
    masks the brightest channel counts. The class is called "object" unless a list of one class names it.
    """

    name: ClassVar[str] = "binary-masks"
    title: ClassVar[str] = "binary masks"
    source: ClassVar[str] = "https://davischallenge.org/davis2016/code.html"

    classes: str | list[Any] | dict[str, Any] | None = Field(
        None, description='A list of the one class, such as ["crack"].'
    )
    threshold: float | None = Field(
        None, description="Values above it are the object; else half of the range."
    )
    inverted: bool = Field(False, description="Dark is the object and bright the rest.")
    instances: bool = Field(False, description="Each connected piece is a segment.")
    connectivity: Literal[1, 2] = Field(
        2, description="Axes a step may move along inside a piece: 1 edges, 2 corners too."
    )
    void: int | tuple[int, ...] | None = Field(
        None, description="Values where nobody said what is there, such as the 128 of trimaps."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        found = self.recognise_as(tree, "binary")
        if found is None and self != BinaryMasks.make(
            {}
        ):  # then a list of one class, and 0 and 1, may be meant so
            found = self.recognise_as(tree, "binary", by_list=False)
            return None if found is None else replace(found, certainty=found.certainty / 2)
        return found

    def open(self, tree: Tree) -> Annotations:
        pairing = self.one_pairing(tree)
        classes = self._classes(tree)
        return self.annotations(tree, pairing, classes, partial(self._read, classes))

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        chosen = classes[0] if len(classes) == 1 else self._classes(Tree(folder))[0]
        write_class_list(folder, [Entry(chosen.name, 255, chosen.color, chosen.thing)])
        return self.write_folder(folder, samples, classes, self._put)

    def _classes(self, tree: Tree) -> ClassSet:
        listed = class_list(tree, self.classes)
        if listed is None:
            return OBJECT
        if len(listed.classes) != 1:
            raise InputError(
                f"{listed.origin} has {len(listed.classes)} classes, wanted the one of the masks; give classes=[name]"
            )
        (only,) = listed.classes
        return ClassSet([Class(1, only.name, only.color, only.thing)])

    def _read(self, classes: ClassSet, path: Path) -> tuple[Segmentation, ...]:
        image, grey = read_grey(path)
        void = None if self.void is None else np.isin(grey, as_tuple(self.void))
        mask = grey > (middle(grey, path) if self.threshold is None else self.threshold)
        if self.inverted:
            mask = ~mask
        if void is not None:
            mask &= ~void
        labels = _pieces(mask, self.connectivity) if self.instances else mask.view(np.uint8)
        truth = Segmentation.from_labels(
            labels, classes=classes, geometry=image.geometry, void=void, copy=False
        )
        return (truth,)

    def _put(self, place: Path, truth: Segmentation) -> Path:
        mask = truth.semantic_map() > 0
        if self.inverted:
            mask = ~mask
        values = np.where(mask, 255, 0)
        if self.void is not None and truth.void_px:
            values[truth.void] = as_tuple(self.void)[0]
        return write_mask(place, values, truth.geometry)


def read_grey(path: Path) -> tuple[Image, np.ndarray]:
    """A mask as a picture, and its values (H, W), of colours the brightest channel. Raises ``ReadError``."""
    image = read(path)
    if image.ndim != 2:
        raise ReadError(f"{path} is a volume of {image.shape}; open the folder as stacks")
    pixels = image.pixels[..., :-1] if image.num_channels in (2, 4) else image.pixels
    return image, pixels.max(axis=-1)


def middle(grey: np.ndarray, path: Path) -> float:
    """The value that divides bright from dark: half of the range; 0 for bits and for masks of nothing but 0 and 1.

    Up to 255 it is the range of 8 bits, however many there are room for.
    """
    if grey.dtype.kind == "f":
        return 0.5
    highest = int(grey.max())
    bits = grey.dtype == bool or (highest <= 1 and path.suffix.lower() not in LOSSY)
    return 0 if bits else np.iinfo(np.uint8 if highest <= 255 else grey.dtype).max // 2


def _pieces(mask: np.ndarray, connectivity: int) -> np.ndarray:
    import cv2

    _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4 * connectivity, ltype=cv2.CV_32S)
    return np.asarray(labels)
