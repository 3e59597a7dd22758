"""From probabilities to segments, each task once: semantic, instances, panoptic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, ValidationError

from ..classes import ClassSet
from ..errors import InputError, ReadError
from ..geometry import UNKNOWN, Geometry
from ..segmentation import Segmentation
from .flooding import edge_distance
from .hills import part_hills
from .parts import Keeping, blurred, checked_ids, finished, sampling_of

CORE = 0.5
"""Pixels more likely than this to be no background, and less likely than this to be border, are an object's core."""


class BorderDecoding(Keeping):
    """How probabilities of interior, border and background become objects; see ``instances``.

    Lengths are shares of the typical radius of the image's own objects, so that one record serves small nuclei and
    large ones; only ``min_area_px`` is in pixels.
    """

    name: ClassVar[str] = "border-decoding"
    source: ClassVar[str] = (
        "h-maxima of a smoothed landscape: Soille, Morphological Image Analysis, 2nd ed. (2003), section 6.3.3; "
        "interior and border classes: Caicedo et al., Evaluation of deep learning strategies for nucleus "
        "segmentation in fluorescence images, Cytometry A 95 (2019)"
    )

    min_depth: float = Field(
        default=0.2, ge=0, le=5, description="Least rise of an object's middle above the pass to the next."
    )
    border_weight: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="How much a border lowers the landscape beside the interior's 1.",
    )
    distance_weight: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="How much the distance to the outside, over a typical radius, raises it.",
    )
    smoothing: float = Field(
        default=0.2, ge=0, le=2, description="Sigma the landscape is smoothed by, in typical radii."
    )

    def to_json(self) -> str:
        """The fields as JSON text."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` wrote. Raises ``ReadError`` for anything else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ReadError(
                f"not a border decoding: {error.errors()[0]['msg']}, got {text[:80]!r}"
            ) from error


def semantic(
    probabilities: np.ndarray,
    class_ids: Sequence[int] | np.ndarray,
    classes: ClassSet,
    *,
    weights: Sequence[float] | np.ndarray | None = None,
    geometry: Geometry | None = None,
) -> Segmentation:
    """Each pixel to its most probable class: one segment per class that has any, in ascending order of class ids.

    ``probabilities`` (K, *S) sum to 1, plane k is of class ``class_ids[k]``, 0 = background (no segment). With
    ``weights`` (K,) the largest product wins, so that a class can be asked for more or less often. A segment's score
    is the mean probability of its class over its pixels. Of equal ones the first plane wins.
    """
    ids = checked_ids(class_ids, probabilities.shape[:1], unique=True)
    factors = np.ones(len(ids)) if weights is None else np.asarray(weights, np.float64)
    if factors.shape != ids.shape or not (np.isfinite(factors) & (factors >= 0)).all():
        raise InputError(f"weights must be {len(ids)} numbers of 0 or more, one per class, got {weights}")
    winners, sums = most_probable(probabilities, factors)
    return won_segments(winners, sums, ids, classes, geometry)


def most_probable(
    probabilities: np.ndarray, weights: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The plane (*S,) whose product with its weight (K,) is largest in each pixel, the first of equal ones, and the
    sum (K,) of the probabilities that each won with: what parts of an image have of it adds up."""
    kinds = len(probabilities)
    highest = np.full(probabilities.shape[1:], -1, np.float32)
    winners = np.zeros(probabilities.shape[1:], np.uint8 if kinds <= 256 else np.int32)
    for k, plane in enumerate(probabilities):
        weighted = plane if weights[k] == 1 else plane * np.float32(weights[k])
        higher = weighted > highest
        np.copyto(winners, k, where=higher)
        np.copyto(highest, weighted, where=higher)
    sums = [plane.sum(dtype=np.float64, where=winners == k) for k, plane in enumerate(probabilities)]
    return winners, np.array(sums)


def won_segments(
    winners: np.ndarray,
    sums: np.ndarray,
    class_ids: Sequence[int] | np.ndarray,
    classes: ClassSet,
    geometry: Geometry | None = None,
) -> Segmentation:
    """One segment per class that won somewhere, from what ``most_probable`` gave of the whole image."""
    ids = np.asarray(class_ids)
    pixels = np.zeros(len(ids), np.int64)
    for part in np.array_split(winners, max(1, winners.size >> 20)):  # bincount makes 8 bytes of each pixel
        pixels += np.bincount(part.reshape(-1), minlength=len(ids))
    present = [k for k in np.argsort(ids, kind="stable") if ids[k] > 0 and pixels[k]]
    numbers = np.zeros(len(ids), np.int32)
    numbers[present] = np.arange(1, len(present) + 1)
    return Segmentation.from_labels(
        numbers[winners],
        class_ids=ids[present],
        scores=np.clip(sums[present] / np.maximum(pixels[present], 1), 0, 1),
        classes=classes,
        geometry=geometry,
        copy=False,
    )


def instances(
    interior: np.ndarray,
    border: np.ndarray,
    background: np.ndarray,
    class_ids: Sequence[int] | np.ndarray,
    classes: ClassSet,
    decoding: BorderDecoding | None = None,
    *,
    geometry: Geometry | None = None,
    distance: np.ndarray | None = None,
) -> Segmentation:
    """One segment per object, touching ones apart, from the probabilities of their interior, border and outside.

    ``interior`` (K, *S) of the classes ``class_ids`` (K,), ``border`` (*S,) and ``background`` (*S,) sum to 1; a
    ``border`` of zeros is taken too, and shape alone then parts what touches. The way, with the fields of
    ``decoding``:

    1. The landscape is the interior of all classes - ``border_weight`` * border + ``distance_weight`` * the distance
       to the end of the core (at most one typical radius, which counts 1), smoothed. The typical radius is
       ``typical_depth`` of the cores. A ``distance`` (*S,) that a model gave, from 0 where objects end to 1 in their
       middle, takes the place of that distance.
    2. Its peaks that rise more than ``min_depth`` above the pass to a higher one are the objects' middles; a
       watershed parts the foreground between them.
    3. Of each part an object keeps what is at least ``extent`` of its highest likelihood of being no background, so
       that a pale object keeps its rim where one threshold for the image would take it, and of that its largest piece.
    4. Its class is the one with the most interior over its pixels; its score the mean likelihood of being no
       background times that class's share of the interior.

    In the trial of ``border.border_targets``, six forests for either kind of image, this gave 0.70 to 0.72 where seeds
    above a threshold of the interior less half the border (0.5, smoothed by 1 px), flooded over the border, gave 0.62
    to 0.67, and connected pieces of the foreground 0.59 to 0.65. 1024 x 1024 pixels with 576 objects take 0.14 s.

    The radius and so the smoothing follow the whole of what is given: decode the probabilities of one image at once.
    Segments are in the order of their landscape peaks in the scan. Raises ``InputError`` for shapes that differ
    and NaN.
    """
    landscape = Landscape(interior, border, background, geometry, distance)
    return landscape.objects(class_ids, classes, decoding or BorderDecoding())


def panoptic(
    probabilities: np.ndarray,
    border: np.ndarray,
    class_ids: Sequence[int] | np.ndarray,
    classes: ClassSet,
    decoding: BorderDecoding | None = None,
    *,
    min_stuff_area_px: int = 1,
    geometry: Geometry | None = None,
) -> Segmentation:
    """Things one by one as ``instances`` gives them, then stuff as ``semantic`` does where no thing is; no overlap.

    ``probabilities`` (K, *S) of the classes ``class_ids``, 0 = background, and ``border`` (*S,) sum to 1; what the
    class set calls stuff is background to the things. Stuff of fewer than ``min_stuff_area_px`` pixels is dropped.
    """
    interior, outside, ids = things_and_rest(probabilities, class_ids, classes)
    if len(ids):
        things = instances(interior, border, outside, ids, classes, decoding, geometry=geometry)
    else:
        things = nothing(border.shape, classes, geometry)
    return with_stuff(things, probabilities, class_ids, min_stuff_area_px)


def things_and_rest(
    probabilities: np.ndarray, class_ids: Sequence[int] | np.ndarray, classes: ClassSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interior (k, *S) of the things among ``probabilities`` (K, *S), what is none of them (*S,), and their ids (k,).

    ``class_ids`` (K,) are of the planes, 0 = background; stuff is background to the things.
    """
    ids = checked_ids(class_ids, probabilities.shape[:1], unique=True)
    thing = np.array([class_id != 0 and classes.of(class_id).thing for class_id in ids])
    shape = probabilities.shape[1:]
    outside = probabilities[~thing].sum(axis=0) if not thing.all() else np.zeros(shape, np.float32)
    return probabilities[thing], outside, ids[thing]


def nothing(shape: Sequence[int], classes: ClassSet, geometry: Geometry | None = None) -> Segmentation:
    """No segment at all."""
    labels = np.zeros(tuple(shape), np.int32)
    return Segmentation.from_labels(labels, class_ids=[], classes=classes, geometry=geometry)


def with_stuff(
    things: Segmentation,
    probabilities: np.ndarray,
    class_ids: Sequence[int] | np.ndarray,
    min_stuff_area_px: int = 1,
) -> Segmentation:
    """The things, however they were found, and stuff where there is none of them; see ``panoptic``."""
    ids = checked_ids(class_ids, probabilities.shape[:1], unique=True)
    thing = np.array([class_id != 0 and things.classes.of(class_id).thing for class_id in ids])
    if thing.all():
        return things
    stuff = semantic(probabilities[~thing], ids[~thing], things.classes)
    labels = np.where(things.labels == 0, stuff.labels, 0)
    kept = np.bincount(labels.reshape(-1), minlength=len(stuff) + 1)[1:] >= max(1, min_stuff_area_px)
    numbers = np.zeros(len(stuff) + 1, np.int32)
    numbers[1:][kept] = len(things) + np.arange(1, kept.sum() + 1)
    planes = {int(class_id): plane for class_id, plane in zip(ids, probabilities, strict=True)}
    scores = [
        planes[int(stuff.class_ids[k])].mean(dtype=np.float64, where=labels == k + 1)
        for k in np.flatnonzero(kept)
    ]
    return Segmentation.from_labels(
        things.labels + numbers[labels],
        class_ids=np.concatenate([things.class_ids, stuff.class_ids[kept]]),
        scores=np.concatenate([things.scores, np.clip(scores, 0, 1)]),
        classes=things.classes,
        geometry=things.geometry,
        copy=False,
    )


class Landscape:
    """One image's probabilities of objects, ready to be decoded many times; what does not change is kept.

    The arguments are those of ``instances``.
    """

    def __init__(
        self,
        interior: np.ndarray,
        border: np.ndarray,
        background: np.ndarray,
        geometry: Geometry | None = None,
        distance: np.ndarray | None = None,
    ) -> None:
        if interior.ndim not in (3, 4) or not interior.shape[1:] == border.shape == background.shape:
            raise InputError(
                "interior must be (K, *S), border and background (*S,) of one shape, "
                f"got {interior.shape}, {border.shape} and {background.shape}"
            )
        self.interior, self.geometry = interior, UNKNOWN if geometry is None else geometry
        self.geometry.check_ndim(border.ndim)
        self.sampling = sampling_of(self.geometry)
        self.middle = interior.sum(axis=0, dtype=np.float32)
        self.border = border.astype(np.float32, copy=False)
        self.foreground = 1 - background.astype(np.float32, copy=False)
        if not np.isfinite(self.middle - self.border + self.foreground).all():
            raise InputError("probabilities must be finite numbers, got NaN or infinity")
        core = (self.foreground > CORE) & (self.border < CORE)
        to_edge = edge_distance(core, self.sampling).astype(np.float32)
        self.radius = typical_depth(core, to_edge)
        if distance is None:
            self.distance = np.minimum(to_edge / np.float32(self.radius), 1)
        elif distance.shape != border.shape or not np.isfinite(distance).all():
            raise InputError(f"distance must be finite numbers {border.shape}, got {distance.shape}")
        else:
            self.distance = np.clip(distance.astype(np.float32, copy=False), 0, 1)
        self._flooded: tuple[BorderDecoding, np.ndarray, np.ndarray] | None = None

    def objects(
        self, class_ids: Sequence[int] | np.ndarray, classes: ClassSet, decoding: BorderDecoding
    ) -> Segmentation:
        """The objects, as ``instances`` describes them."""
        ids = checked_ids(class_ids, self.interior.shape[:1])
        parts, sureness = self._flood(decoding)
        return finished(
            parts,
            sureness,
            self.interior,
            self.foreground,
            ids,
            classes,
            self.geometry,
            extent=decoding.extent,
            min_peak=decoding.min_peak,
            min_area_px=decoding.min_area_px,
        )

    def _flood(self, decoding: BorderDecoding) -> tuple[np.ndarray, np.ndarray]:
        """The foreground parted between the objects' middles, (*S,) int32, and its smoothed likelihood."""
        # What comes after the flood does not matter to it, but for the foreground that any object can reach.
        floor = np.float32(decoding.min_peak * decoding.extent)
        key = decoding.model_copy(update={"min_area_px": 1, "extent": 1.0, "min_peak": float(floor)})
        if self._flooded is None or self._flooded[0] != key:
            height = self.middle - np.float32(decoding.border_weight) * self.border
            height += np.float32(decoding.distance_weight) * self.distance
            sigma = decoding.smoothing * self.radius
            height = blurred(height, sigma, self.sampling)
            sureness = blurred(self.foreground, min(1.0, sigma), self.sampling)
            mask = sureness > floor
            self._flooded = (key, part_hills(height, decoding.min_depth, mask), sureness)
        return self._flooded[1:]


def typical_depth(core: np.ndarray, distance: np.ndarray) -> float:
    """The depth of a typical connected piece of ``core`` (*S,) bool, its highest ``distance`` (*S,) to the outside.

    That is the median over the pieces, each counting as the square of its depth, in volumes the cube: specks do not
    have the say, nor do blobs unless they are many or huge. 1 where there is no core; in the unit of ``distance``.
    By the mean distance of all pixels, one blob in an image of 375 nuclei made the radius so long that the smoothing
    left 133 of them. Of 90 images of DSB 2018 that a forest had not learned from AP50 rose from 0.703 to 0.707 so, and
    to 0.715 with a ``min_depth`` of 0.2 in place of 0.3 (2026-11).
    """
    from scipy import ndimage

    pieces, count = ndimage.label(core)
    depths = np.zeros(count + 1, np.float32)
    np.maximum.at(depths, pieces[core], distance[core])
    if not count:
        return 1.0
    depths = np.sort(depths[1:])
    share = np.cumsum(depths.astype(np.float64) ** core.ndim)
    return float(depths[np.searchsorted(share, share[-1] / 2)])
