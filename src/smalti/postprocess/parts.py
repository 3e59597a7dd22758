"""Parts of the foreground become segments: each cut to what is sure, in one piece, with a class and a score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from .. import compiled
from ..classes import ClassSet
from ..errors import InputError
from ..geometry import Geometry
from ..segmentation import Segmentation
from ..segmenter import Parameters


class Keeping(Parameters):
    """What an object keeps of its part of the foreground, however that was found; see ``finished``."""

    min_peak: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Objects nowhere as likely as this to be no background are dropped.",
    )
    extent: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="An object reaches to where it is this share of its highest likelihood.",
    )
    min_area_px: int = Field(default=10, ge=1, description="Objects with fewer pixels are dropped.")


def finished(
    parts: np.ndarray,
    sureness: np.ndarray,
    interior: np.ndarray,
    foreground: np.ndarray,
    class_ids: np.ndarray,
    classes: ClassSet,
    geometry: Geometry,
    *,
    extent: float,
    min_peak: float,
    min_area_px: int,
) -> Segmentation:
    """The objects in ``parts`` (*S,) int32, numbered from 1, in that order.

    Of each part stays what is at least ``extent`` of its highest ``sureness`` (*S,), and of that the largest piece;
    parts nowhere as sure as ``min_peak`` and pieces below ``min_area_px`` are dropped. The class is the one of
    ``class_ids`` (K,) with the most ``interior`` (K, *S) over the pixels, the score the mean ``foreground`` (*S,)
    times that class's share of the interior.
    """
    labels = parts.copy()
    count = int(labels.max(initial=0))
    compiled.objects.cut_objects(labels.reshape(-1), sureness.reshape(-1), count, extent, min_peak)
    volume = labels.reshape((1,) * (3 - labels.ndim) + labels.shape)
    areas = compiled.objects.keep_largest_pieces(volume, count)
    kept = 1 + np.flatnonzero(areas[1:] >= min_area_px)
    numbers = np.zeros(count + 1, np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    labels = numbers[labels]
    flat, count = labels.reshape(-1), len(kept)
    inside = np.stack([np.bincount(flat, plane.reshape(-1), count + 1)[1:] for plane in interior])
    sure = np.bincount(flat, foreground.reshape(-1), count + 1)[1:] / areas[kept]
    best = inside.argmax(axis=0)
    every = inside.sum(axis=0)
    share = np.divide(inside.max(axis=0), every, out=np.full(count, 1 / len(class_ids)), where=every > 0)
    return Segmentation.from_labels(
        labels,
        class_ids=class_ids[best],
        scores=np.clip(sure * share, 0, 1),
        classes=classes,
        geometry=geometry,
        copy=False,
    )


def blurred(values: np.ndarray, sigma: float, sampling: np.ndarray | None) -> np.ndarray:
    """Gaussian mean of float32 values, ``sigma`` in pixels of the finest axis; edge pixels repeat outwards.

    ``sampling`` are the lengths of a pixel along the axes in those of the finest, None where they are equal. Below a
    sigma of 0.1 the values come back as they are.
    """
    if sigma < 0.1:
        return values
    if values.ndim == 2 and sampling is None:
        import cv2

        size = 2 * int(np.ceil(4 * sigma)) + 1
        return cv2.GaussianBlur(values, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
    from scipy import ndimage

    sigmas = sigma if sampling is None else sigma / sampling
    return ndimage.gaussian_filter(values, sigmas, mode="nearest")


def sampling_of(geometry: Geometry) -> np.ndarray | None:
    """Lengths of a pixel along the axes in those of the finest one, None where they are equal or not known."""
    spacing = geometry.spacing
    if spacing is None or len(set(spacing)) == 1:
        return None
    return np.array(spacing) / min(spacing)


def checked_ids(
    class_ids: Sequence[int] | np.ndarray, shape: tuple[int, ...], unique: bool = False
) -> np.ndarray:
    """The class ids, one per plane, as an array. Raises ``InputError``."""
    ids = np.asarray(class_ids, np.int64)
    if ids.shape != shape or not len(ids):
        raise InputError(f"class_ids must be one per plane, {shape[0] if shape else 0}, got {len(ids)}")
    if unique and len(np.unique(ids)) < len(ids):
        raise InputError(f"class_ids must differ, got {ids.tolist()}")
    return ids
