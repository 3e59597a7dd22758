"""Images and their segmentations: into a draft, and out of it with columns and geometry as they now are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ...geometry import UNKNOWN, Geometry
from ...image import Image
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .arrays import drop
from .draft import Draft, Truth

Samples = Sequence[Sample] | Sequence[tuple[Image, Segmentation | None]]


def draft_of_objects(
    image: Image, segmentation: Segmentation | None, others: Samples, settings: dict[str, Any]
) -> Draft:
    """A draft of an image and its segments. Raises ``InputError`` where they differ in shape."""
    if segmentation is not None and segmentation.shape != image.shape:
        raise InputError(
            f"image and segmentation must have one shape, got {image.shape}, {segmentation.shape}"
        )
    spacing = image.geometry.spacing

    def partner(rng: np.random.Generator) -> Draft:
        other = others[int(rng.integers(len(others)))]
        if isinstance(other, Sample):
            other = (other.image, other.truth if other.annotated else None)
        if segmentation is not None and other[1] is not None and other[1].classes != segmentation.classes:
            raise InputError(
                f"samples that are mixed must share their classes, got {segmentation.classes} and {other[1].classes}"
            )
        return draft_of_objects(*other, (), settings)

    draft = Draft(
        image.pixels,
        [],
        None if spacing is None else np.array(spacing),
        channels=image.channels,
        keeps_void=True,
        partner=partner if len(others) else None,
        **settings,
    )
    if segmentation is not None:
        void = segmentation.void.view(np.uint8) if segmentation.void_px else None
        draft.truths = [Truth(list(segmentation.layers()), void)]
        draft.class_ids = segmentation.class_ids
        things = {int(entry.id): entry.thing for entry in segmentation.classes}
        draft.things = np.array([things[int(class_id)] for class_id in segmentation.class_ids], bool)
        draft.parts = [segmentation]
    return draft


def finish_objects(draft: Draft, image: Image, min_visible: float) -> tuple[Image, Segmentation | None]:
    """Image and segments of a draft; its numbers become a ``Segmentation``'s columns again."""
    draft.settle()
    geometry = _geometry(image.geometry, draft)
    result = Image(draft.pixels, image.channels, geometry, image.source)
    if draft.class_ids is None:
        return result, None
    parts: list[Segmentation] = draft.parts
    kept = drop(draft, min_visible)
    weights = _weights(draft, len(kept))
    scores = np.concatenate([part.scores for part in parts])[kept] * weights
    void = np.zeros(draft.shape, bool)
    for truth in draft.truths:
        if truth.void is not None:
            void |= truth.void > 0
    columns: dict[str, Any] = {
        "class_ids": draft.class_ids[kept],
        "scores": scores.clip(0, 1),
        "classes": parts[0].classes,
        "geometry": geometry,
        "void": void,
        "attributes": {name: column[kept] for name, column in _attributes(parts).items()},
    }
    layers = [layer for truth in draft.truths for layer in truth.layers]
    if len(layers) == 1:
        return result, Segmentation.from_labels(layers[0], **columns)
    several = Runs.concatenate([Runs.of_labels(layer.astype(np.int32), len(kept)) for layer in layers])
    areas = several.areas.reshape(len(layers), len(kept))
    home = areas.argmax(axis=0)  # a segment lies in one layer
    runs = several.take(home * len(kept) + np.arange(len(kept)))
    return result, Segmentation.from_runs(draft.shape, runs, **columns)


def _weights(draft: Draft, count: int) -> np.ndarray:
    """Weight of the truth each segment lies in."""
    weights = np.ones(count + 1)
    if len(draft.truths) > 1:
        for truth in draft.truths:
            for layer in truth.layers:
                weights[np.unique(layer)] = truth.weight
    return weights[1:]


def _attributes(parts: Sequence[Segmentation]) -> dict[str, np.ndarray]:
    """The attributes of all parts one after the other; of a part without one, 0, False or "" for its segments."""
    columns = {}
    for name in dict.fromkeys(name for part in parts for name in part.attributes):
        dtype = next(part.attributes[name].dtype for part in parts if name in part.attributes)
        columns[name] = np.concatenate(
            [part.attributes.get(name, np.zeros(len(part), dtype)) for part in parts]
        )
    return columns


def _geometry(geometry: Geometry, draft: Draft) -> Geometry:
    """Where the pixels lie now. A bent image, or one of several, has a spacing but no place in the world."""
    spacing = None if draft.spacing is None else tuple(draft.spacing.tolist())
    affine = None if geometry.affine is None or draft.bent else _moved_affine(geometry.affine, draft.moved)
    if spacing is None and affine is None:
        return UNKNOWN
    return Geometry(spacing, geometry.unit, affine, geometry.crs if affine is not None else None)


def _moved_affine(affine: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The affine of the result, in the convention of the image's own.

    Affines take x, y (, z) and 1. Those of 3 x 3 count from the corner of the first pixel, as georeferenced rasters
    do; those of 4 x 4 from the middle of the first voxel, as NIfTI and DICOM do.
    """
    ndim = len(moved) - 1
    order = [*range(ndim - 1, -1, -1), ndim]
    matrix = moved[order][:, order]
    if len(affine) == 3:
        corner = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        matrix = corner @ matrix @ np.linalg.inv(corner)
    if len(affine) > ndim + 1:  # a picture in a world of three axes
        wide = np.eye(len(affine))
        wide[:ndim, :ndim], wide[:ndim, -1] = matrix[:ndim, :ndim], matrix[:ndim, -1]
        matrix = wide
    return affine @ matrix
