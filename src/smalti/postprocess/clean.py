"""Steps on the segments after a method: drop small, fill holes, smooth, split touching, clear border.

Each keeps class, score and geometry, works in 2-D and 3-D, and takes segments that overlap as well: these are
treated one by one, while segments that do not overlap never come to overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from ..errors import InputError
from ..runs import Runs, index_array
from ..segmentation import Segmentation
from ..segmenter import SegmentStep
from .flooding import part_touching

Place = tuple[slice, ...]


class DropSmall(SegmentStep):
    """Segments below a size are dropped."""

    name: ClassVar[str] = "drop-small"
    source: ClassVar[str] = "area opening: Vincent, Morphological area openings and closings, NATO ASI (1993)"

    min_area_px: int = Field(20, ge=1, description="Segments with fewer pixels are dropped.")
    min_area: float | None = Field(
        None,
        gt=0,
        description="Smaller segments are dropped too: in the spacing's unit squared (cubed for a volume).",
    )

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """The segments that are large enough. Raises ``InputError`` for ``min_area`` without a spacing."""
        areas = segmentation.areas_px
        kept = areas >= self.min_area_px
        if self.min_area is not None:
            spacing = segmentation.geometry.spacing
            if spacing is None:
                raise InputError(
                    "min_area needs a known spacing; give one (--spacing 0.5um) or use min_area_px"
                )
            kept &= areas * np.prod(spacing) >= self.min_area
        return segmentation[kept]


class FillHoles(SegmentStep):
    """Holes in a segment become part of it: ground it encloses, from pixel side to pixel side.

    A hole that another segment lies in keeps it, where segments do not overlap; the ground around that one is
    filled. Ground inside two nested rings goes to the inner one.
    """

    name: ClassVar[str] = "fill-holes"
    source: ClassVar[str] = "Soille, Morphological Image Analysis, 2nd ed. (2003), section 6.3"

    max_area_px: int | None = Field(None, ge=1, description="Larger holes stay; left out, all are filled.")

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """The segments without their holes."""
        if segmentation.overlapping:
            crops = []
            for k in range(1, len(segmentation) + 1):
                crop, place = segmentation.crop(k)
                crops.append((crop | self._holes(crop), place))
            return _from_crops(segmentation, crops)
        labels = segmentation.labels.copy()
        low, high = np.split(segmentation.boxes, 2, axis=1)
        for k in np.argsort((high - low).prod(axis=1), kind="stable") + 1:
            crop, place = segmentation.crop(int(k))
            window = labels[place]
            window[self._holes(crop) & (window == 0)] = k
        return _from_labels(segmentation, labels)

    def _holes(self, crop: np.ndarray) -> np.ndarray:
        """Pixels of the holes of one segment's crop, bool."""
        if crop.all():
            return np.zeros_like(crop)
        spaces = np.pad(~crop, 1, constant_values=True)
        if crop.ndim == 2:
            import cv2

            count, numbers = cv2.connectedComponents(spaces.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        else:
            from scipy import ndimage

            numbers, count = ndimage.label(spaces, output=np.int32)
            count += 1
        areas = np.bincount(numbers.reshape(-1), minlength=count)
        filled = np.ones(count, bool) if self.max_area_px is None else areas <= self.max_area_px
        filled[0] = False
        filled[numbers.flat[0]] = False  # the ground around the segment, which the padding joins
        return filled[numbers][(slice(1, -1),) * crop.ndim]


class Smooth(SegmentStep):
    """Smoother outlines: a pixel goes to the segment, or ground, with the most Gaussian weight around it.

    Details thinner than about ``sigma_px`` go; a segment left without a pixel is dropped. Where segments
    touch, their common border is smoothed and no gap opens. Outlines at the image's edge stay there.
    """

    name: ClassVar[str] = "smooth"
    source: ClassVar[str] = (
        "Merriman, Bence and Osher, Motion of multiple junctions, J. Comput. Phys. 112 (1994)"
    )

    sigma_px: float = Field(
        1.5,
        gt=0,
        le=100,
        description="Standard deviation of the Gaussian weight, in pixels.",
    )

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """The segments with smoothed outlines."""
        if segmentation.overlapping:
            crops = []
            for k in range(1, len(segmentation) + 1):
                crop, place = self._crop(segmentation, k)
                crops.append((self._weight(crop) > 0.5, place))
            smoothed = _from_crops(segmentation, crops)
            return smoothed[smoothed.areas_px > 0]
        most = self._weight(segmentation.labels == 0)
        labels = np.zeros(segmentation.shape, np.int32)
        for k in range(1, len(segmentation) + 1):
            crop, place = self._crop(segmentation, k)
            weight = self._weight(crop)
            won = weight > most[place]
            most[place][won] = weight[won]
            labels[place][won] = k
        smoothed = _from_labels(segmentation, labels)
        return smoothed[smoothed.areas_px > 0]

    @property
    def _reach(self) -> int:
        return int(np.ceil(4 * self.sigma_px))

    def _crop(self, segmentation: Segmentation, k: int) -> tuple[np.ndarray, Place]:
        """Mask of segment k with room for its weight around it, as far as the image goes."""
        crop, place = segmentation.crop(k)
        if crop.size == 0:
            return crop, place
        before = [min(self._reach, part.start) for part in place]
        after = [
            min(self._reach, length - part.stop)
            for part, length in zip(place, segmentation.shape, strict=True)
        ]
        wide = tuple(
            slice(part.start - b, part.stop + a) for part, b, a in zip(place, before, after, strict=True)
        )
        return np.pad(crop, list(zip(before, after, strict=True))), wide

    def _weight(self, mask: np.ndarray) -> np.ndarray:
        """Gaussian weight of a mask around each pixel, (*S,) float32; edge pixels are repeated outwards."""
        weight = mask.astype(np.float32)
        if mask.size == 0:
            return weight
        if mask.ndim == 2:
            import cv2

            size = 2 * self._reach + 1
            return cv2.GaussianBlur(weight, (size, size), self.sigma_px, borderType=cv2.BORDER_REPLICATE)
        from scipy import ndimage

        return ndimage.gaussian_filter(weight, self.sigma_px, radius=self._reach, mode="nearest")


class SplitTouching(SegmentStep):
    """Segments that are several round objects grown together are cut at the necks between them.

    The distance to the outside is a landscape with one hill per object; hills that rise less than
    ``min_depth_px`` above the pass to a higher one are none of their own, and a watershed cuts at the passes.
    Pieces have the class and score of the segment they come from. Parts of a segment that do not touch, not
    even by a corner, become segments of their own. Distances are in pixels, of the finest axis where the
    spacing differs by axis.
    """

    name: ClassVar[str] = "split-touching"
    source: ClassVar[str] = (
        "Beucher and Lantuejoul, Use of watersheds in contour detection (1979); h-maxima: Soille, "
        "Morphological Image Analysis, 2nd ed. (2003), section 6.3.4"
    )

    min_depth_px: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="Least rise of a hill of the distance above the pass beside it, in pixels.",
    )

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """The pieces of all segments; those of one segment follow each other."""
        crops: list[tuple[np.ndarray, Place]] = []
        parents: list[int] = []
        for k in range(1, len(segmentation) + 1):
            crop, place = segmentation.crop(k)
            pieces = self._pieces(crop, segmentation)
            crops += [(piece, place) for piece in pieces]
            parents += [k - 1] * len(pieces)
        return _from_crops(segmentation, crops, parents)

    def _pieces(self, crop: np.ndarray, segmentation: Segmentation) -> list[np.ndarray]:
        """Masks of the pieces of one segment's crop."""
        if crop.size == 0:
            return [crop]
        spacing = segmentation.geometry.spacing
        equal = spacing is None or len(set(spacing)) == 1
        sampling = None if equal else np.array(spacing) / min(spacing)  # type: ignore[arg-type]
        # A rim of ground: what lies beyond the crop is not the segment.
        numbers = part_touching(np.pad(crop, 1), self.min_depth_px, crop.ndim, sampling)
        numbers = numbers[(slice(1, -1),) * crop.ndim]
        count = int(numbers.max())
        return [crop] if count == 1 else [numbers == piece for piece in range(1, count + 1)]


class Panoptic(SegmentStep):
    """Segments that overlap no more: a contested pixel goes to the surest segment, so that labels can hold them."""

    name: ClassVar[str] = "panoptic"
    source: ClassVar[str] = "Kirillov et al., Panoptic Segmentation, CVPR (2019), section 4"

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """The same without overlap; segments left without a pixel are dropped."""
        return segmentation.panoptic()


class ClearBorder(SegmentStep):
    """Segments that touch the image's border are dropped, as they may go on beyond it.

    The border of a volume is all its six faces.
    """

    name: ClassVar[str] = "clear-border"
    source: ClassVar[str] = "Soille, Morphological Image Analysis, 2nd ed. (2003), section 6.3"

    margin_px: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="Segments this many pixels from the border or nearer are dropped.",
    )

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """The segments that lie wholly inside."""
        low, high = np.split(segmentation.boxes, 2, axis=1)
        inside = (low > self.margin_px).all(axis=1)
        inside &= (high < np.array(segmentation.shape) - self.margin_px).all(axis=1)
        return segmentation[inside]


def _from_labels(like: Segmentation, labels: np.ndarray) -> Segmentation:
    """The segments of ``like`` with other pixels, as a label map."""
    return Segmentation.from_labels(
        labels,
        class_ids=like.class_ids,
        scores=like.scores,
        classes=like.classes,
        geometry=like.geometry,
        copy=False,
    )


def _from_crops(
    like: Segmentation, crops: Sequence[tuple[np.ndarray, Place]], parents: Sequence[int] | None = None
) -> Segmentation:
    """One segment per mask and place of its box; class and score of its parent (0-based) in ``like``."""
    index = index_array(int(np.prod(like.shape))).dtype
    parts = []
    for crop, place in crops:
        if crop.size == 0:
            parts.append(Runs(np.zeros(2, np.int64), np.zeros(0, index), np.zeros(0, index)))
            continue
        runs = Runs.of_masks(crop[np.newaxis])
        corner = np.unravel_index(runs.start, crop.shape)
        start = np.ravel_multi_index(
            tuple(axis + part.start for axis, part in zip(corner, place, strict=True)), like.shape
        )
        parts.append(Runs(runs.offsets, start.astype(index), (start + runs.stop - runs.start).astype(index)))
    chosen = np.arange(len(like)) if parents is None else np.asarray(parents, np.int64)
    return Segmentation.from_runs(
        like.shape,
        Runs.concatenate(parts),
        class_ids=like.class_ids[chosen],
        scores=like.scores[chosen],
        classes=like.classes,
        geometry=like.geometry,
    )
