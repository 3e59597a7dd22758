"""What a model in training makes of validation images: truth and prediction beside each other, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..classes import Class
from ..data.augment.sheet import in_cell
from ..errors import InputError
from ..image import Image
from ..io.display import blend, checkerboard
from ..io.draw import Colors, overlay, side_by_side
from ..segmentation import Segmentation

MOST_SHOWN = 6
GAP_PX = 3
"""White between truth and prediction; between images there is more."""
SMALLEST_PX = 16
"""Length that an object of the usual size is to have in the picture."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A validation image with its truth and what was predicted; ``note`` is said of it, such as ``IoU 0.81``."""

    name: str
    image: Image
    truth: Segmentation
    predicted: Segmentation
    note: str = ""


def predictions_sheet(shown: Sequence[Shown], *, height_px: int = 240) -> np.ndarray:
    """Truth and prediction of the first six images, two images to a row, (H, W, 3) uint8 RGB.

    Where there are several classes colours are theirs, else they tell objects apart. Of a volume the slice with most
    labelled pixels is shown. Void is a checkerboard. Raises ``InputError`` where there are no images.
    """
    if not shown:
        raise InputError("there are no predictions to show")
    shown = shown[:MOST_SHOWN]
    by_class = len(classes_of(shown)) > 1 or all(
        len(np.unique(side.class_ids)) == len(side) for each in shown for side in (each.truth, each.predicted)
    )
    height, width = np.array([each.image.shape[-2:] for each in shown]).T
    width_px = round(height_px * float(np.clip((width / height).max(), 0.5, 2)))
    pictures, captions = [], []
    for each in shown:
        at = _place(each.truth, height_px, width_px, by_class)
        pair = [
            in_cell(_drawn(each.image, side, at, height_px, by_class), height_px, width_px)
            for side in (each.truth, each.predicted)
        ]
        gap = np.full((height_px, GAP_PX, 3), 255, np.uint8)
        pictures.append(np.hstack([pair[0], gap, pair[1]]))
        slice_of = "" if isinstance(at[0], slice) else f", slice {at[0]}"
        note = f", {each.note}" if each.note else ""
        captions.append(f"{each.name.rpartition('/')[2]}{slice_of}: truth | predicted{note}")
    return side_by_side(pictures, captions, height_px=height_px, columns=min(2, len(shown)))


def classes_of(shown: Sequence[Shown]) -> list[Class]:
    """The classes that are in any truth or prediction."""
    sides = [side for each in shown for side in (each.truth, each.predicted)]
    present = {int(class_id) for side in sides for class_id in side.class_ids}
    return [each for each in sides[0].classes if each.id in present]


def _place(truth: Segmentation, height_px: int, width_px: int, by_class: bool) -> tuple[int | slice, ...]:
    """What is shown of an image: of a volume one slice, of a large one every so many pixels.

    Where that would leave nothing of its objects it is a part of the image, where they are most.
    """
    step = max(1, truth.shape[-2] // height_px)
    plane: tuple[int, ...] = ()
    if truth.ndim == 3:
        labelled = truth.semantic_map() > 0
        plane = (int(labelled.reshape(len(labelled), -1).sum(axis=1).argmax()),)
    rows, columns = slice(None), slice(None)
    if step > 1 and not by_class and len(truth):
        low, high = truth.boxes[:, [-4, -3] if truth.ndim == 2 else [1, 2]], truth.boxes[:, -2:]
        step = min(step, max(1, int(np.median((high - low).max(axis=1)) // SMALLEST_PX)))
        middle = np.median((low + high) / 2, axis=0)
        rows, columns = (
            _around(int(place), step * cell, length)
            for place, cell, length in zip(middle, (height_px, width_px), truth.shape[-2:], strict=True)
        )
    return (*plane, slice(rows.start, rows.stop, step), slice(columns.start, columns.stop, step))


def _around(place: int, wanted: int, length: int) -> slice:
    """As many pixels of an axis as wanted, the place in their middle as far as the axis goes."""
    start = max(0, min(place - wanted // 2, length - wanted))
    return slice(start, start + wanted)


def _drawn(
    image: Image, side: Segmentation, at: tuple[int | slice, ...], height_px: int, by_class: bool
) -> np.ndarray:
    """One of the two, at a place, small ones enlarged by a whole number to about ``height_px``."""
    flat = side.panoptic()
    small = Segmentation.from_labels(
        np.ascontiguousarray(flat.labels[at]), class_ids=flat.class_ids, classes=flat.classes
    )
    zoom = max(1, min(32, round(height_px / small.shape[0])))
    colors: Colors = "class" if by_class else "segment"
    fill = 0.5 if by_class and len(flat.classes) > 1 else 0.2
    shown = Image(np.ascontiguousarray(image.pixels[at]), image.channels)
    picture = overlay(shown, small, fill=fill, ids=False, legend=False, colors=colors, zoom=zoom)
    if side.void_px:
        void = side.void[at].repeat(zoom, axis=0).repeat(zoom, axis=1)
        picture[void] = blend(picture, checkerboard(void.shape), np.full(void.shape, 0.6))[void]
    return picture
