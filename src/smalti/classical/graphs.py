"""Cuts and walks on the graph of pixels, led by what a person marks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from ..errors import InputError
from ..image import Image
from ..prompts import needed_prompts, prompt_markers, segment_markers
from ..quiet import quieted
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts
from .grey import check_ndim, color_planes, eight_bit, full_scale, rgb_planes


def grab_cut(
    colors: np.ndarray, possible: np.ndarray, sure: np.ndarray, ground: np.ndarray, rounds: int, seed: int
) -> np.ndarray:
    """Mask (H, W) of the object in ``colors`` (H, W, 3) uint8: all of ``sure``, none of ``ground``.

    ``possible`` is where the object is looked for at first, ``ground`` what it cannot be; each is a mask (H, W).
    Sets the seed of OpenCV's random numbers in this thread, as its colour models start from a random k-means.
    """
    import cv2

    marks = np.where(possible, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[ground] = cv2.GC_BGD
    marks[sure] = cv2.GC_FGD
    cv2.setRNGSeed(seed)
    cv2.grabCut(colors, marks, None, None, None, rounds, cv2.GC_INIT_WITH_MASK)
    return (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)


def nearer_color(colors: np.ndarray, sure: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Mask (H, W) of the pixels whose colour is nearer to one under ``sure`` than to any under ``ground``."""
    from scipy.spatial import cKDTree

    distinct, place = np.unique(colors.reshape(-1, 3), axis=0, return_inverse=True)
    to_sure, to_ground = (
        cKDTree(np.unique(colors[marked], axis=0)).query(distinct.astype(np.float64))[0]
        for marked in (sure, ground)
    )
    return (to_sure < to_ground)[place].reshape(sure.shape)


class GrabCut(Method):
    """Objects cut from their ground by colour and edges, from a box around each or marks on each.

    Box number k and the marks numbered k belong to the same segment; what lies outside a box, or is marked
    as background or as another segment, is ground to it. Where a segment has marks but no box, an unmarked pixel
    is at first held to be what the nearest marked colour is, and ground where no ground is marked. Works on 8 bits
    a channel, as OpenCV's does: other depths are rounded to 1/255 of full scale.
    """

    name: ClassVar[str] = "grabcut"
    prompts: ClassVar[tuple[str, ...]] = ("boxes", "points", "scribbles")
    source: ClassVar[str] = "Rother, Kolmogorov and Blake, GrabCut, SIGGRAPH (2004)"

    rounds: int = Field(
        5, ge=1, le=1000, description="Rounds of fitting the colour models and cutting the graph."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the random start of the colour models.")

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """One segment per box or marked number; segments may overlap, and one that lost every pixel is dropped.

        Raises ``InputError`` without prompts, and where they leave no pixel to the object or none to the ground.
        """
        check_ndim(image, self.name, self.ndims)
        given = needed_prompts(self, image, prompts)
        markers, background = prompt_markers(given, image.shape)
        boxes = np.empty((0, 4), int) if given.boxes is None else given.boxes.astype(int)
        numbers = sorted(
            {*range(1, len(boxes) + 1), *np.unique(markers[(markers > 0) & (markers < background)])}
        )
        if not numbers:
            raise InputError(
                "the prompts mark background only; give a box around an object or mark it with 1"
            )
        colors = eight_bit(rgb_planes(image, self.name))
        masks = [self._cut(colors, markers, k, boxes[k - 1] if k <= len(boxes) else None) for k in numbers]
        found = Segmentation.from_masks(masks, geometry=image.geometry)
        return found[found.areas_px > 0]

    def _cut(self, colors: np.ndarray, markers: np.ndarray, k: int, box: np.ndarray | None) -> np.ndarray:
        """Mask of segment ``k``."""
        sure = markers == k
        ground = (markers != 0) & ~sure
        possible = sure.copy()
        if box is None and ground.any():
            possible |= nearer_color(colors, sure, ground) & ~ground
        if box is not None:
            possible[box[0] : box[2], box[1] : box[3]] = True
            ground |= ~possible
            possible &= ~ground
        if (markers != 0).all():
            return sure
        if not possible.any() or possible.all():
            missing, hint = (
                ("the ground", "give a smaller box") if possible.any() else ("the object", "unmark some")
            )
            raise InputError(f"the prompts leave no pixel to {missing} of segment {k}; {hint}")
        return grab_cut(colors, possible, sure, ground, self.rounds, self.seed)


DIRECT_PX = 1 << 19
"""Pixels up to which the random walk's equations are factorised: 2 s and exact for a quarter of a million, against
3 s for conjugate gradients to a tolerance of 1e-3 and 19 s to 1e-6."""
DIRECT_VOXELS = 1 << 14
"""The same for voxels, whose factors fill up much faster."""


def random_walk(values: np.ndarray, markers: np.ndarray, beta: float) -> np.ndarray:
    """The marker a random walk from each pixel most likely meets first, (*S,) int32.

    ``values`` (*S, C), ``markers`` (*S,) with 0 where nothing is said. A step over a difference d has the weight
    exp(-beta d^2 / (10 s sqrt(C))), d^2 summed over the C channels and s the standard deviation of all values: a
    constant image is walked by distance alone. Grady (2006). Solved exactly up to ``DIRECT_PX`` pixels or
    ``DIRECT_VOXELS`` voxels, beyond that by conjugate gradients to a thousandth, which moved 0.4 % of the pixels of a
    400 x 600 photograph.
    """
    from skimage.segmentation import random_walker

    numbers, compact = np.unique(markers, return_inverse=True)
    if numbers[0] != 0:
        return markers.astype(np.int32)
    if len(numbers) == 2:
        return np.full(markers.shape, numbers[1], np.int32)
    if values.min() == values.max():
        # Without a deviation there is no weight; any other values with beta 0 give the walk by distance.
        beta, values = 0.0, np.arange(markers.size, dtype=np.float64).reshape(*markers.shape, 1)
    compact = compact.reshape(markers.shape).astype(np.int32)
    direct = markers.size <= (DIRECT_PX if markers.ndim == 2 else DIRECT_VOXELS)
    with quieted("The probability range"):  # by the tolerance, which is stated
        labels = random_walker(
            values,
            compact,
            beta=beta,
            mode="bf" if direct else "cg_j",
            tol=1e-3,
            prob_tol=1e-2,
            channel_axis=-1,
        )
    return numbers[labels].astype(np.int32)


class RandomWalker(Method):
    """Each pixel to the mark a random walker who avoids edges most likely reaches first from there."""

    name: ClassVar[str] = "random-walker"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    prompts: ClassVar[tuple[str, ...]] = ("points", "scribbles")
    source: ClassVar[str] = "Grady, Random walks for image segmentation, IEEE PAMI 28 (2006)"

    beta: float = Field(
        130.0,
        ge=0,
        le=1e6,
        description="How strongly edges hold the walker back, per full scale; 0 walks by distance alone.",
    )

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """One segment per number marked by points or scribbles; mark background too, or all is object.

        Raises ``InputError`` without prompts.
        """
        check_ndim(image, self.name, self.ndims)
        markers, background = segment_markers(needed_prompts(self, image, prompts), image.shape)
        labels = random_walk(full_scale(color_planes(image)), markers, self.beta)
        return Segmentation.from_labels(np.where(labels == background, 0, labels), geometry=image.geometry)
