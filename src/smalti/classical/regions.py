"""Regions of like pixels: grown from marks, split and merged, or joined along weak edges."""

from __future__ import annotations

import itertools
from typing import ClassVar

import numpy as np
from pydantic import Field

from .. import compiled
from ..image import Image
from ..prompts import needed_prompts, segment_markers
from ..quiet import quieted
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts
from .adjacency import REGION, merge_close, merge_small
from .grey import check_ndim, color_planes, eight_bit, full_scale, pieces, rgb_planes


def grow_regions(
    values: np.ndarray, markers: np.ndarray, tolerance: float, connectivity: int = 1
) -> np.ndarray:
    """Regions grown from ``markers`` (*S,) over ``values`` (*S, C), (*S,) int32 with 0 where none may grow.

    Adams and Bischof (1994): of all pixels beside a region, the one nearest to the mean of that region joins it,
    and the mean follows. A pixel more than ``tolerance`` (Euclidean) from the mean stays out.
    """
    shape = (1,) * (3 - markers.ndim) + markers.shape
    moves = [
        move for move in itertools.product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, move)) <= connectivity
    ]
    labels = markers.astype(np.int32).reshape(-1)
    flat = np.ascontiguousarray(values, np.float64).reshape(len(labels), -1)
    compiled.growing.grow(flat, np.array(shape), np.array(moves), labels, float(tolerance))
    return labels.reshape(markers.shape)


class RegionGrowing(Method):
    """Segments grown from marks by the pixel most like one of them; background marks grow too and are left out."""

    name: ClassVar[str] = "region-growing"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    prompts: ClassVar[tuple[str, ...]] = ("points", "scribbles")
    source: ClassVar[str] = "Adams and Bischof, Seeded region growing, IEEE PAMI 16 (1994)"

    tolerance: float = Field(
        0.15,
        ge=0,
        description="Largest difference from a region's mean, root mean square over channels, full scale 1.",
    )
    connectivity: int = Field(
        1, ge=1, le=3, description="Axes one step of growth may move along: 1 over edges, 2 over corners too."
    )

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """One segment per number marked by points or scribbles. Raises ``InputError`` without any."""
        check_ndim(image, self.name, self.ndims)
        markers, background = segment_markers(needed_prompts(self, image, prompts), image.shape)
        values = full_scale(color_planes(image))
        values /= np.sqrt(values.shape[-1])
        labels = grow_regions(values, markers, self.tolerance, self.connectivity)
        labels[labels == background] = 0
        return Segmentation.from_labels(labels, geometry=image.geometry, copy=False)


class FloodFill(Method):
    """Pixels connected to a mark through values like the marked ones; what background marks reach is left out.

    The values under the marks of one segment, least to largest in each channel and widened by the tolerance, are
    those that may be filled. Two segments may fill the same pixels and then overlap; one that the background
    marks leave no pixel is dropped.
    """

    name: ClassVar[str] = "flood-fill"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    prompts: ClassVar[tuple[str, ...]] = ("points", "scribbles")
    source: ClassVar[str] = "Smith, Tint fill, SIGGRAPH (1979)"

    tolerance: float = Field(
        0.08, ge=0, description="Largest difference from the marked values in any channel, full scale 1."
    )
    connectivity: int = Field(
        1,
        ge=1,
        le=3,
        description="Axes one step of the fill may move along: 1 over edges, 2 over corners too.",
    )

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """One segment per number marked by points or scribbles. Raises ``InputError`` without any."""
        check_ndim(image, self.name, self.ndims)
        markers, background = segment_markers(needed_prompts(self, image, prompts), image.shape)
        values = full_scale(color_planes(image))
        ground = self._filled(values, markers == background)
        filled = [
            self._filled(values, markers == k) & ~ground for k in np.unique(markers) if 0 < k < background
        ]
        found = Segmentation.from_masks(filled, geometry=image.geometry)
        return found[found.areas_px > 0]

    def _filled(self, values: np.ndarray, marked: np.ndarray) -> np.ndarray:
        """Mask (*S,) of what the ``marked`` pixels reach."""
        if not marked.any():
            return marked
        tolerance = self.tolerance + 1e-9  # 20 / 255 is to hold for a difference of 20 however it is rounded
        low = values[marked].min(axis=0) - tolerance
        high = values[marked].max(axis=0) + tolerance
        labels = pieces(((values >= low) & (values <= high)).all(axis=-1), self.connectivity)
        reached = np.zeros(labels.max() + 1, bool)
        reached[labels[marked]] = True
        return reached[labels]


def split_by_variance(values: np.ndarray, max_std: float, min_side_px: int) -> np.ndarray:
    """Blocks of a quadtree over ``values`` (H, W, C), numbered from 1, (H, W) int32.

    A block is halved along each side that leaves halves of at least ``min_side_px`` while the standard deviation
    in it, root mean square over channels, is above ``max_std``. Any image size is halved, odd sides unevenly.
    """
    height, width = values.shape[:2]
    centred = values - values.mean(axis=(0, 1))  # sums of squares then keep their digits
    sums = np.zeros((height + 1, width + 1, values.shape[2] + 1))
    sums[1:, 1:, :-1] = centred.cumsum(axis=0).cumsum(axis=1)
    sums[1:, 1:, -1] = (centred**2).sum(axis=-1).cumsum(axis=0).cumsum(axis=1)

    blocks = np.array([[0, 0, height, width]])
    labels = np.zeros((height, width), np.int32)
    count = 0
    while len(blocks):
        top, left, bottom, right = blocks.T
        area = ((bottom - top) * (right - left))[:, np.newaxis]
        means = (sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]) / area
        variance = (means[:, -1] - (means[:, :-1] ** 2).sum(axis=1)) / values.shape[2]
        tall, wide = bottom - top >= 2 * min_side_px, right - left >= 2 * min_side_px
        # The running sums round at the size of the whole image, so a flat block's variance is not exactly 0.
        split = (variance > max_std**2 + 1e-12) & (tall | wide)
        for block in blocks[~split]:
            count += 1
            labels[block[0] : block[2], block[1] : block[3]] = count
        top, left, bottom, right = blocks[split].T
        middle_y = np.where(tall[split], (top + bottom) // 2, bottom)
        middle_x = np.where(wide[split], (left + right) // 2, right)
        quarters = [
            (top, left, middle_y, middle_x),
            (top, middle_x, middle_y, right),
            (middle_y, left, bottom, middle_x),
            (middle_y, middle_x, bottom, right),
        ]
        blocks = np.concatenate([np.stack(quarter, axis=1) for quarter in quarters])
        blocks = blocks[(blocks[:, 0] < blocks[:, 2]) & (blocks[:, 1] < blocks[:, 3])]
    return labels


class SplitAndMerge(Method):
    """Blocks split in four while they vary, then neighbours merged while their means are close."""

    name: ClassVar[str] = "split-and-merge"
    source: ClassVar[str] = (
        "Horowitz and Pavlidis, Picture segmentation by a tree traversal algorithm, JACM 23 (1976)"
    )

    max_std: float = Field(
        0.04,
        ge=0,
        le=1,
        description="A block with a larger standard deviation over its channels is split, full scale 1.",
    )
    min_side_px: int = Field(4, ge=1, description="Blocks are not split to sides below this.")
    merge_distance: float = Field(
        0.08,
        ge=0,
        le=1,
        description="Neighbours whose means differ by at most this (root mean square) merge, full scale 1.",
    )
    min_area_px: int = Field(
        64, ge=1, description="Regions with fewer pixels join the nearest neighbour in colour."
    )

    def predict(self, image: Image) -> Segmentation:
        """Regions that cover the whole image; any number of channels."""
        check_ndim(image, self.name, self.ndims)
        values = full_scale(color_planes(image))
        labels = split_by_variance(values, self.max_std, self.min_side_px)
        values = values / np.sqrt(values.shape[-1])
        labels = merge_small(merge_close(labels, values, self.merge_distance), values, self.min_area_px)
        return Segmentation.from_labels(labels, classes=REGION, geometry=image.geometry, copy=False)


def join_alike(values: np.ndarray, distance: float) -> np.ndarray:
    """Pixels joined with every neighbour at most ``distance`` away in ``values`` (*S, C); (*S,) int32 from 1."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shape = values.shape[:-1]
    pixels = np.arange(np.prod(shape)).reshape(shape)
    ends = []
    for axis in range(len(shape)):
        apart = np.linalg.norm(np.diff(values, axis=axis), axis=-1)
        alike = apart <= distance
        one, other = (np.moveaxis(pixels, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        alike = np.moveaxis(alike, axis, 0)
        ends.append(np.stack([one[alike], other[alike]]))
    one, other = np.concatenate(ends, axis=1)
    links = coo_array((np.ones(len(one), bool), (one, other)), shape=(pixels.size, pixels.size))
    _, labels = connected_components(links, directed=False)
    return labels.reshape(shape).astype(np.int32) + 1


class MeanShift(Method):
    """Pixels moved to the mode of their neighbourhood in place and colour, and joined where the modes agree.

    Works on 8 bits a channel, as OpenCV's filter does: other depths are rounded to 1/255 of full scale. Grey counts as
    three equal channels, so a difference of grey is sqrt(3) times as long as one in a single channel: for a radius of
    r in grey give ``color_radius`` r * sqrt(3).
    """

    name: ClassVar[str] = "mean-shift"
    source: ClassVar[str] = (
        "Comaniciu and Meer, Mean shift: a robust approach toward feature space analysis, IEEE PAMI 24 (2002)"
    )

    radius_px: float = Field(
        8.0, ge=1, le=100, description="Radius of the neighbourhood in the image, in pixels."
    )
    color_radius: float = Field(
        0.1, gt=0, le=1, description="Radius of the neighbourhood in colour, full scale 1 in each channel."
    )
    min_area_px: int = Field(
        64, ge=1, description="Regions with fewer pixels join the nearest neighbour in colour."
    )

    def predict(self, image: Image) -> Segmentation:
        """Regions that cover the whole image, of red-green-blue or grey."""
        import cv2

        check_ndim(image, self.name, self.ndims)
        colors = eight_bit(rgb_planes(image, self.name))
        modes = cv2.pyrMeanShiftFiltering(colors, self.radius_px, self.color_radius * 255, maxLevel=0) / 255.0
        # Modes nearer than half the radius are one, as in the paper's implementation.
        labels = merge_small(join_alike(modes, self.color_radius / 2), modes, self.min_area_px)
        return Segmentation.from_labels(labels, classes=REGION, geometry=image.geometry, copy=False)


class Felzenszwalb(Method):
    """Pixels joined along weak edges while the edge between two regions is weak against those inside them."""

    name: ClassVar[str] = "felzenszwalb"
    source: ClassVar[str] = (
        "Felzenszwalb and Huttenlocher, Efficient graph-based image segmentation, IJCV 59 (2004)"
    )

    scale: float = Field(
        300.0, gt=0, description="The paper's k for 8-bit values: larger makes fewer, larger regions."
    )
    sigma_px: float = Field(0.8, ge=0, le=50, description="Standard deviation of the Gaussian applied first.")
    min_area_px: int = Field(
        64, ge=1, lt=2**31, description="Regions with fewer pixels are joined to a neighbour."
    )

    def predict(self, image: Image) -> Segmentation:
        """Regions that cover the whole image; any number of channels."""
        from skimage.segmentation import felzenszwalb

        check_ndim(image, self.name, self.ndims)
        values = full_scale(color_planes(image))
        with quieted(
            "Got image with third dimension"
        ):  # it asks whether many channels are meant; here they are
            labels = felzenszwalb(values, self.scale, self.sigma_px, self.min_area_px, channel_axis=-1)
        return Segmentation.from_labels(labels + 1, classes=REGION, geometry=image.geometry)
