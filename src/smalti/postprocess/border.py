"""The border class: the pixels it is learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import compiled
from ..errors import InputError
from ..segmentation import Segmentation

MAX_WIDTH_PX = 30


def border_targets(
    truth: Segmentation, width_px: int = 2, radius_share: float = 0.4, rim: bool = True
) -> np.ndarray:
    """Pixels where objects end, against each other or the ground, (*S,) bool: the rest of each is its interior.

    A pixel of an object is border if something else lies within ``width_px``, but never more than ``radius_share`` of
    the object's own radius (that of the disc or ball of its size), and at least its outermost pixels; ground is, if
    two objects lie within half of what is border inside them, and at least where it touches both. Without ``rim`` an
    object ends only against another one. Lengths are in pixels of the finest axis where the spacing differs by axis.

    Stuff is ground here, pixels that are void or beyond the image are no end of anything. Where segments overlap the
    surest counts. Raises ``InputError`` for a width outside 1..30.

    Which is better no trial could tell: of nuclei (DSB 2018, 24 fluorescence and 14 stained images, forests of 10 and
    8 others, ``instances`` at its defaults) TP / (TP + FP + FN) at IoU 0.5 was 0.705 with a rim of 1 px, 0.702 with
    2 px and 0.720 without when classes were drawn as often as they are, 0.700, 0.712 and 0.703 when drawn more
    evenly; the standard error of the differences is 0.01. A rim has pixels in every image that has objects, so it is
    the default.
    """
    flat = truth.panoptic()
    things = np.array([flat.classes.of(class_id).thing for class_id in flat.class_ids], bool)
    labels = flat.labels
    if flat.void_px:
        labels = np.where(flat.void, np.int32(-1), labels)
    spacing = flat.geometry.spacing
    return border_of_labels(labels, things, width_px, radius_share, rim, spacing, areas_px=flat.areas_px)


def border_of_labels(
    labels: np.ndarray,
    things: np.ndarray,
    width_px: int = 2,
    radius_share: float = 0.4,
    rim: bool = True,
    spacing: Sequence[float] | None = None,
    *,
    areas_px: np.ndarray | None = None,
) -> np.ndarray:
    """The pixels of ``border_targets`` (*S,) bool, of plain arrays: what batches are made of.

    ``labels`` (*S,) int32 number the segments 1..N, 0 is none, -1 void; ``things`` (N,) bool says which are objects.
    ``spacing`` is the length of a pixel along each axis, in any unit. ``areas_px`` (N,) are the sizes of the segments
    as far as they are known to be others than in ``labels``, such as beyond the edge of a crop.
    """
    if not 1 <= width_px <= MAX_WIDTH_PX or width_px != int(width_px):
        raise InputError(f"width_px is a whole number from 1 to {MAX_WIDTH_PX}, got {width_px}")
    if not radius_share >= 0:
        raise InputError(f"radius_share is 0 or more, got {radius_share}")
    labels = only_things(labels, things)
    volume = as_volume(labels)
    if areas_px is None:
        areas_px = compiled.centers.sum_places(volume, len(things))[0][1:]
    lengths = steps_px(labels.ndim, spacing)
    reaches = np.concatenate([[0], np.minimum(width_px, radius_share * radii_px(areas_px, lengths))])
    ground_reaches = np.maximum(reaches / 2, 1).astype(np.int64)
    ground_reaches[0] = ground_reaches.max()
    reaches = np.maximum(reaches, 1).astype(np.int64)
    steps, firsts = ball(int(width_px), lengths)
    margins = np.abs(steps).max(axis=0)
    padded = np.full(np.array(volume.shape) + 2 * margins, -1, np.int32)
    inside = tuple(
        slice(margin, margin + length) for margin, length in zip(margins, volume.shape, strict=True)
    )
    padded[inside] = volume
    offsets = steps @ (np.array(padded.strides) // padded.itemsize)
    found = compiled.borders.mark_borders(padded, margins, offsets, firsts, reaches, ground_reaches, rim)
    return found.reshape(labels.shape).view(bool)


def only_things(labels: np.ndarray, things: np.ndarray) -> np.ndarray:
    """The labels (*S,) int32 with 0 where the segment is none of the ``things`` (N,); what is below 0 stays."""
    if things.all():
        return np.ascontiguousarray(labels, np.int32)
    numbers = np.concatenate([[0], np.arange(1, len(things) + 1) * things, [-1]]).astype(np.int32)
    return numbers[np.maximum(labels, -1)]


def as_volume(pixels: np.ndarray) -> np.ndarray:
    """An image (H, W) as a volume of one slice, a volume (D, H, W) as it is."""
    return pixels.reshape((1,) * (3 - pixels.ndim) + pixels.shape)


def radii_px(areas_px: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Radius of the disc, or ball, of ``areas_px`` (N,) pixels that are so long, in pixels of the finest axis, (N,)."""
    sizes = areas_px * np.prod(lengths)
    return np.sqrt(sizes / np.pi) if len(lengths) == 2 else np.cbrt(sizes * 0.75 / np.pi)


def steps_px(ndim: int, spacing: Sequence[float] | None) -> np.ndarray:
    """Length of one pixel along each axis, in pixels of the finest one, (ndim,)."""
    lengths = np.ones(ndim) if spacing is None else np.array(spacing, np.float64)
    return lengths / lengths.min()


def ball(radius: float, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps (M, 3) to the pixels within ``radius``, near ones first, and how many lie within 0, 1, 2... of it."""
    ndim = len(lengths)
    reaches = [int(radius / length) for length in lengths]
    steps = np.indices([2 * reach + 1 for reach in reaches]).reshape(ndim, -1).T - reaches
    apart = np.sqrt(((steps * lengths) ** 2).sum(axis=1))
    order = np.argsort(apart, kind="stable")
    order = order[(apart[order] > 0) & (apart[order] <= radius)]
    padded = np.zeros((len(order), 3), np.int64)
    padded[:, 3 - ndim :] = steps[order]
    return padded, np.searchsorted(apart[order], np.arange(int(radius) + 1), side="right")
