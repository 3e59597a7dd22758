"""What the masks of a folder hold: numbers of classes, numbers of objects, colours, or one object against the rest.

All of these are PNG files in a folder called ``masks``. The names of folders say it, or the headers, or, where neither
does, the values of a few masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ...errors import ReadError, SmaltiError
from ...geometry import Geometry
from ..decoding import Request
from ..raster import decode
from ..source import opened
from .mask_classes import VOID_NUMBER, ClassList, Entry
from .tree import Tree

Kind = Literal["classes", "objects", "colors", "binary", "volumes"]

_LOOKED_AT = 5  # masks
OBJECT_WORDS = ("instance", "segmentationobject", "inst_")
_SOFT_EDGE = (10, 245)  # a soft mask has few values between
_FEWEST_SOFT = 16  # different values of a soft mask
_FEWEST_OBJECTS = 8  # in the masks looked at, to take connected pieces for more than chance
_PNG_PALETTE = 3


@dataclass(frozen=True)
class Look:
    """What masks hold, and by what that is known."""

    kind: Kind
    reason: str


class Mask(NamedTuple):
    """A mask as stored: (H, W) or (D, H, W) integers, (H, W, 3) if ``colored``."""

    values: np.ndarray
    geometry: Geometry
    colored: bool
    picture: bool = False  # stored with three channels, all the same if it is not ``colored``


def read_mask(path: Path) -> Mask:
    """The mask in a file. Raises ``ReadError``.

    Palettes give their indices, three equal channels one, and an alpha channel is left out.
    """
    with opened(path) as (file, name):
        decoded = decode(file, Request(name, stored=True))
    pixels = decoded.pixels
    channels = pixels.shape[-1]
    if pixels.dtype.kind not in "bui":
        raise ReadError(f"{path} holds {pixels.dtype}, wanted a mask of whole numbers")
    if pixels.dtype.kind == "i" and pixels.min() < 0:
        raise ReadError(f"{path} holds {pixels.min()}, wanted a mask of numbers from 0")
    if channels in (2, 4):
        pixels = pixels[..., :-1]
    picture = pixels.shape[-1] == 3 and pixels.ndim == 3
    if picture:
        if not (pixels[..., :1] == pixels).all():
            return Mask(pixels, decoded.geometry, True, True)
        pixels = pixels[..., :1]
    if pixels.shape[-1] != 1:
        raise ReadError(f"{path} has {channels} channels, wanted a mask with one, or a coloured one")
    mask = np.ascontiguousarray(pixels[..., 0])
    return Mask(mask.view(np.uint8) if mask.dtype == bool else mask, decoded.geometry, False, picture)


def read_numbers(path: Path) -> tuple[np.ndarray, Geometry]:
    """A mask of numbers and its spacing. Raises ``ReadError`` for a coloured one."""
    mask = read_mask(path)
    if mask.colored:
        raise ReadError(f"{path} is coloured, wanted a number for each pixel; open the folder as color-masks")
    return mask.values, mask.geometry


def palette_of(tree: Tree, path: str) -> np.ndarray | None:
    """The palette (N, 3) uint8 of a PNG, None where it has none."""
    head = tree.head(path, 2048)
    start = head.find(b"PLTE")
    if not head.startswith(b"\x89PNG") or head[25] != _PNG_PALETTE or start < 4:
        return None
    length = int.from_bytes(head[start - 4 : start], "big")
    found = head[start + 4 : start + 4 + length]
    return None if len(found) < length or length % 3 else np.frombuffer(found, np.uint8).reshape(-1, 3)


def look(tree: Tree, paths: Sequence[str], listed: ClassList | None) -> Look | None:
    """What the masks at ``paths`` hold, judged by five of them spread over all; None where none can be read.

    Coloured pictures, palettes that differ from mask to mask, and grey pictures whose greys are colours of a list of
    classes, are colours. A folder called ``instances`` has objects, and so have 16 bits unless a list of classes has
    all of their numbers. One value beside 0, or values nearly all of which lie near 0 and 255, are one object against
    the rest. Then a list of classes beside the masks decides for classes; without one, numbers 1, 2, 3 ... each of
    which is one connected piece are objects.
    """
    if not paths:
        return None
    chosen = [paths[index] for index in np.unique(np.linspace(0, len(paths) - 1, _LOOKED_AT).astype(int))]
    palettes = {
        None if palette is None else palette.tobytes()
        for palette in (palette_of(tree, path) for path in chosen)
    }
    masks = []
    for path in chosen:
        with suppress(SmaltiError):
            masks.append(read_mask(tree.file(path)))
    if not masks:
        return None
    if any(mask.colored for mask in masks):
        return Look("colors", "the masks are coloured")
    if len(palettes) > 1:
        return Look("colors", "the masks have palettes of their own")
    values = [mask.values for mask in masks]
    if any(mask.ndim == 3 for mask in values):
        return Look("volumes", "the masks are volumes")
    if listed is not None and listed.colored and all(mask.picture for mask in masks):
        known = {entry.color for entry in listed.entries}
        if all((grey, grey, grey) in known for mask in values for grey in np.unique(mask).tolist()):
            return Look("colors", "the masks are pictures in colours of a list of classes")
    return _by_values(values, any(word in chosen[0].lower() for word in OBJECT_WORDS), listed)


def _by_values(values: list[np.ndarray], objects_by_name: bool, listed: ClassList | None) -> Look:
    numbers = np.unique(np.concatenate([np.unique(mask) for mask in values]))
    shown = f"{numbers[0]}..{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    above = numbers[numbers > 0]
    entries = () if listed is None else listed.with_numbers().entries
    if objects_by_name:
        return Look("objects", "the masks lie in a folder of instances")
    if any(mask.dtype.itemsize > 1 for mask in values):
        known = {entry.value for entry in entries} | {0, VOID_NUMBER}
        if entries and known.issuperset(numbers.tolist()):
            return Look("classes", f"the masks hold the numbers {shown} of a list of classes")
        return Look("objects", f"the masks have numbers of 16 bits or more ({shown})")
    if len(above) <= 1 and (not len(above) or above[0] in (1, 255)):
        if not entries or _is_of_one(entries, above):
            return Look("binary", f"the masks hold nothing but {' and '.join(map(str, numbers))}")
    elif _is_soft(values):
        return Look("binary", f"the masks hold {shown}, but hardly anything between 0 and 255")
    if entries:
        return Look("classes", f"the masks hold the numbers {shown} and there is a list of classes")
    if _is_numbered_pieces(values):
        return Look("objects", "the masks hold 1, 2, 3 ..., and each number is one connected piece")
    return Look("classes", f"the masks hold the numbers {shown}")


def _is_of_one(entries: Sequence[Entry], above: np.ndarray) -> bool:
    """Whether a list names the one thing that masks of nothing but 0 and 255 show: no other number of it is meant."""
    classes = [entry.value for entry in entries if entry.kind == "class"]
    if len(classes) != 1 or above.tolist() == [1]:
        return False
    void = any(entry.kind == "void" for entry in entries)
    if not len(above):
        return not void
    return VOID_NUMBER not in {entry.value for entry in entries} or (classes == [VOID_NUMBER] and not void)


def _is_soft(values: list[np.ndarray]) -> bool:
    low, high = _SOFT_EDGE
    counts = np.sum([np.bincount(mask.reshape(-1), minlength=256) for mask in values], axis=0)
    between = counts[low + 1 : high].sum()
    return bool(np.count_nonzero(counts) >= _FEWEST_SOFT and counts[high:].sum() > between)


def _is_numbered_pieces(values: list[np.ndarray]) -> bool:
    from skimage.measure import label

    count = 0
    for mask in values:
        highest = int(mask.max())
        if len(np.unique(mask[mask > 0])) != highest:
            return False
        pieces = int(label(mask, connectivity=2).max())
        if pieces > 1.1 * highest + 1:
            return False
        count += highest
    return count >= _FEWEST_OBJECTS
