"""Active contours: curves that move until they lie where the image divides."""

from __future__ import annotations

import itertools
import operator
from typing import ClassVar

import numpy as np
from pydantic import Field

from ..errors import InputError
from ..image import Image
from ..prompts import given_prompts, prompt_markers
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts
from .grey import check_ndim, full_scale, grey_plane, pieces
from .threshold import Foreground

LEAST_SPAN = 1e-30
"""Planes of less range are not divided: its square is about to leave what floats can hold."""


def chan_vese_phase(plane: np.ndarray, smoothness: float, max_rounds: int, min_change: float) -> np.ndarray:
    """Mask (H, W) of one of the two phases that fit a ``plane`` of full scale 1 best; which one is not said.

    Minimises smoothness * length of the contour + squared differences from the mean of each phase, by the scheme
    of Getreuer (2012) from a checkerboard, until the level set changes by less than ``min_change`` or
    ``max_rounds`` are done. A constant plane has one phase: nothing is set. Raises ``InputError`` where the plane
    spans less than ``LEAST_SPAN``.
    """
    from skimage.segmentation import chan_vese

    span = float(plane.max()) - float(plane.min())
    if span == 0:
        return np.zeros(plane.shape, bool)
    if span < LEAST_SPAN:
        raise InputError(
            f"chan-vese needs pixels that span {LEAST_SPAN:g} of full scale or more, got {span:g}; "
            "multiply them until their white is 1"
        )
    # scikit-image stretches the plane to 0..1 by its own range; weighting its differences by that range undoes it.
    return chan_vese(
        plane.astype(np.float64),
        mu=smoothness / span**2,
        lambda1=1,
        lambda2=1,
        tol=min_change,
        max_num_iter=max_rounds,
    )


class ChanVese(Foreground):
    """The image in two phases, each near its own mean, with a short contour between; pieces of one are objects."""

    name: ClassVar[str] = "chan-vese"
    ndims: ClassVar[tuple[int, ...]] = (2,)
    source: ClassVar[str] = (
        "Chan and Vese, Active contours without edges, IEEE TIP 10 (2001); scheme: Getreuer, Chan-Vese "
        "segmentation, IPOL 2 (2012)"
    )

    smoothness: float = Field(
        0.1,
        ge=0,
        le=1e6,
        description="Cost of a pixel of contour against a squared difference at full scale 1: the paper's mu.",
    )
    max_rounds: int = Field(100, ge=1, description="Most rounds of moving the contour.")
    min_change: float = Field(
        1e-3, ge=0, description="The contour rests when its level set changes by less, root mean square."
    )

    def foreground(self, plane: np.ndarray) -> np.ndarray:
        """Mask (H, W) of the phase that is brighter (darker) on average."""
        mask = chan_vese_phase(full_scale(plane), self.smoothness, self.max_rounds, self.min_change)
        if mask.all() or not mask.any():
            return np.zeros(plane.shape, bool)
        inside_is_bright = plane[mask].mean() > plane[~mask].mean()
        return mask if inside_is_bright == (self.polarity == "bright") else ~mask


def move_contour(
    gradient: np.ndarray, start: np.ndarray, grow: bool, stop_gradient: float, smoothing: int, rounds: int
) -> np.ndarray:
    """Mask (*S,) a contour encloses that set out from the edge of ``start`` and came to rest along edges.

    Each round moves it outwards if ``grow``, else inwards, where the ``gradient`` (*S,) is below ``stop_gradient``,
    draws it to the nearest ridge of the gradient, and smooths it: Marquez-Neila et al. (2014), eq. 47. Written here
    because scikit-image's smoothing remembers over calls which of its two orders was last, so that the same
    input gives two results; and it is 4 times faster: 0.5 s for 2.0 s on the coins, 303 x 384.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    # Beyond its edge the image goes on as it ends there and holds nothing, so it need not be two pixels wide.
    gradient = np.pad(gradient, 1, mode="edge").astype(np.float32)
    mask = np.pad(start, 1)
    slopes = np.gradient(gradient)
    free = gradient < stop_gradient
    spread = maximum_filter if grow else minimum_filter
    planes = _planes(mask.ndim)
    before = mask
    smoothed = 0
    for _ in range(rounds):
        moved = np.where(free, spread(mask, 3, mode="constant"), mask)
        pull = sum(
            slope * edge for slope, edge in zip(slopes, np.gradient(moved.astype(np.float32)), strict=True)
        )
        moved = (moved | (pull < 0)) & ~(pull > 0)
        for _ in range(smoothing):
            for smooth in (_open_up, _close_in) if smoothed % 2 else (_close_in, _open_up):
                moved = smooth(moved, planes)
            smoothed += 1
        if np.array_equal(moved, before):  # at rest, up to the two orders of smoothing
            break
        before, mask = mask, moved
    return mask[(slice(1, -1),) * mask.ndim]


def _planes(ndim: int) -> list[list[tuple[int, ...]]]:
    """Steps to the pixels of each discrete line (plane in 3-D) through a pixel, 4 in 2-D and 9 in 3-D."""
    steps = list(itertools.product((-1, 0, 1), repeat=ndim))
    normals = [normal for normal in steps if 0 < sum(map(abs, normal)) <= 2 and normal > (0,) * ndim]
    return [[step for step in steps if sum(map(operator.mul, step, normal)) == 0] for normal in normals]


def _close_in(mask: np.ndarray, planes: list[list[tuple[int, ...]]]) -> np.ndarray:
    """Pixels with a set pixel on every line through them: the infimum of dilations."""
    return np.logical_and.reduce([_gather(mask, plane, np.logical_or) for plane in planes])


def _open_up(mask: np.ndarray, planes: list[list[tuple[int, ...]]]) -> np.ndarray:
    """Pixels with some line through them all set: the supremum of erosions."""
    return np.logical_or.reduce([_gather(mask, plane, np.logical_and) for plane in planes])


def _gather(mask: np.ndarray, steps: list[tuple[int, ...]], join: np.ufunc) -> np.ndarray:
    """The pixels that ``steps`` lead to from each pixel, joined; outside nothing is set."""
    padded = np.pad(mask, 1)
    joined = mask.copy()
    for step in steps:
        place = tuple(
            slice(1 + move, 1 + move + length) for move, length in zip(step, mask.shape, strict=True)
        )
        join(joined, padded[place], out=joined)
    return joined


class GeodesicContour(Method):
    """A contour that shrinks or grows until it rests on edges.

    A box shrinks onto the object inside it and scribbles grow to the edges around them, one segment per box or
    number. Without prompts the contour starts at the border of the image and shrinks onto all objects there are,
    one segment per connected piece.
    """

    name: ClassVar[str] = "geodesic-contour"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    prompts: ClassVar[tuple[str, ...]] = ("boxes", "scribbles")
    source: ClassVar[str] = (
        "Caselles, Kimmel and Sapiro, Geodesic active contours, IJCV 22 (1997); scheme: Marquez-Neila, Baumela and "
        "Alvarez, A morphological approach to curvature-based evolution, IEEE PAMI 36 (2014)"
    )

    channel: str = Field("grey", description="Channel to look at; grey is the only one, or the luma of RGB.")
    sigma_px: float = Field(
        2.0, gt=0, le=100, description="Standard deviation of the Gaussian whose gradient is taken."
    )
    stop_gradient: float = Field(
        0.02,
        gt=0,
        le=10,
        description="Gradient (full scale 1, per pixel) from which on the contour is not pushed across.",
    )
    smoothing: int = Field(1, ge=0, le=10, description="Times the contour is smoothed a round.")
    rounds: int = Field(
        200,
        ge=2,
        multiple_of=2,
        description="Most rounds, an even number, as the two orders of smoothing take turns; each moves the contour "
        "one pixel, so it reaches this far.",
    )

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """One segment per box, scribbled number or, without prompts, connected piece; one that vanished is dropped."""
        from scipy.ndimage import gaussian_gradient_magnitude

        check_ndim(image, self.name, self.ndims)
        given = given_prompts(self, image, prompts)
        plane = full_scale(grey_plane(image, self.channel))
        gradient = gaussian_gradient_magnitude(plane, self.sigma_px, mode="nearest")
        if given is None:
            mask = self._moved(gradient, np.ones(image.shape, bool), grow=False)
            return Segmentation.from_labels(pieces(mask), geometry=image.geometry, copy=False)

        markers, background = prompt_markers(given, image.shape)
        masks = []
        for box in [] if given.boxes is None else given.boxes.astype(int):
            place = tuple(slice(low, high) for low, high in zip(*np.split(box, 2), strict=True))
            mask = np.zeros(image.shape, bool)
            mask[place] = self._moved(gradient[place], np.ones(mask[place].shape, bool), grow=False)
            masks.append(mask)
        for k in np.unique(markers[(markers > 0) & (markers < background)]):
            masks.append(self._moved(gradient, markers == k, grow=True))
        masks = [mask & (markers != background) for mask in masks]
        found = Segmentation.from_masks(masks, shape=image.shape, geometry=image.geometry)
        return found[found.areas_px > 0]

    def _moved(self, gradient: np.ndarray, start: np.ndarray, grow: bool) -> np.ndarray:
        return move_contour(gradient, start, grow, self.stop_gradient, self.smoothing, self.rounds)
