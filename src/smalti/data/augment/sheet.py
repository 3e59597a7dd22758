"""A contact sheet: samples and what augmentations make of them, to be looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ...errors import InputError
from ...image import Image
from ...io.display import blend, checkerboard
from ...io.draw import overlay, side_by_side
from ...sample import Sample
from ...segmentation import Segmentation
from .augmentation import Augmentation, sample_rng

Pair = tuple[Image, Segmentation | None]


def contact_sheet(
    samples: Sequence[Sample] | Pair,
    augmentations: Augmentation | Sequence[Augmentation],
    *,
    rows: int = 4,
    columns: int = 5,
    seed: int = 0,
    height_px: int = 240,
) -> Image:
    """One row for each of the first ``rows`` samples: the original, then variants, with the outlines of segments.

    ``samples`` is a dataset, or one image with its truth, of which every row then shows other variants. With one
    augmentation (or chain) there are ``columns`` variants, those of the first epochs of a training with this
    ``seed``; with several, one of each. Void is shown as a checkerboard. Of a volume the slice that cuts most
    segments is shown. Raises ``InputError`` where there are no samples.
    """
    if rows < 1 or columns < 1:
        raise InputError(f"a sheet needs a row and a column, got {rows} and {columns}")
    one = isinstance(samples, tuple) and len(samples) == 2 and isinstance(samples[0], Image)
    count = rows if one else min(rows, len(samples))
    if not count:
        raise InputError("there are no samples to show")
    alone = isinstance(augmentations, Augmentation)
    steps = [augmentations] * columns if isinstance(augmentations, Augmentation) else list(augmentations)
    if not steps:
        raise InputError("there are no augmentations to show")
    others: Sequence[Sample] | Sequence[Pair] = [samples] if one else samples  # type: ignore[assignment]
    pictures, captions = [], []
    for row in range(count):
        pair, name = _pair(samples if one else samples[row])  # type: ignore[arg-type]
        z = _slice_of(*pair)
        pictures.append(_picture(*pair, z, height_px))
        captions.append((name or "original") + ("" if z is None else f", slice {z}"))
        for column, step in enumerate(steps):
            rng = sample_rng(seed, row, column if alone else 0)
            changed = step.apply(*pair, rng, others=others)
            pictures.append(_picture(*changed, _slice_of(*changed), height_px))
            captions.append(f"epoch {column}" if alone else step.name)
    originals = pictures[:: 1 + len(steps)]
    aspect = min(2.0, max(0.5, *(picture.shape[1] / picture.shape[0] for picture in originals)))
    cells = [in_cell(picture, height_px, round(height_px * aspect)) for picture in pictures]
    return Image(side_by_side(cells, captions, height_px=height_px, columns=1 + len(steps)))


def _pair(sample: Sample | Pair) -> tuple[Pair, str]:
    if isinstance(sample, Sample):
        return (sample.image, sample.truth if sample.annotated else None), sample.name.rpartition("/")[2]
    return sample, ""


def _slice_of(image: Image, truth: Segmentation | None) -> int | None:
    """The slice of a volume that cuts most segments, the middle one without any; None of a picture."""
    if image.ndim == 2:
        return None
    if truth is None:
        return image.shape[0] // 2
    return int(np.argmax([len(np.unique(plane)) for plane in truth.panoptic().labels]))


def _picture(image: Image, truth: Segmentation | None, z: int | None, height_px: int) -> np.ndarray:
    """The image with outlines, void as a checkerboard, enlarged by a whole number so that outlines stay thin."""
    shown = truth if truth is not None else Segmentation.from_labels(np.zeros(image.shape, np.uint8))
    zoom = max(1, min(32, round(height_px / image.shape[-2])))
    picture = overlay(image, shown, fill=0, ids=False, legend=False, zoom=zoom, z=z)
    if shown.void_px:
        void = shown.void if z is None else shown.void[z]
        void = void.repeat(zoom, axis=0).repeat(zoom, axis=1)
        picture[void] = blend(picture, checkerboard(void.shape), np.full(void.shape, 0.6))[void]
    return picture


def in_cell(picture: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """The picture as large as it fits in a white cell, so that columns stand below each other."""
    scale = min(height_px / picture.shape[0], width_px / picture.shape[1])
    size = [max(1, round(length * scale)) for length in picture.shape[:2]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cell = np.full((height_px, width_px, 3), 255, np.uint8)
    top, left = (height_px - size[0]) // 2, (width_px - size[1]) // 2
    cell[top : top + size[0], left : left + size[1]] = cv2.resize(picture, size[::-1], interpolation=method)
    return cell
