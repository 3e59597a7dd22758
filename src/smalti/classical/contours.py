"""Active contours: curves that move until they lie where the image divides."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ..image import Image
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts
from .grey import check_ndim, full_scale, grey_plane, pieces
from .markers import given_prompts, prompt_markers
from .threshold import Foreground


def chan_vese_phase(plane: np.ndarray, smoothness: float, max_rounds: int, min_change: float) -> np.ndarray:
    """Mask (H, W) of one of the two phases that fit a ``plane`` of full scale 1 best; which one is not said.

    Minimises smoothness * length of the contour + squared differences from the mean of each phase, by the scheme
    of Getreuer (2012) from a checkerboard, until the level set changes by less than ``min_change`` or
    ``max_rounds`` are done. A constant plane has one phase: nothing is set.
    """
    from skimage.segmentation import chan_vese

    span = float(plane.max()) - float(plane.min())
    if span == 0:
        return np.zeros(plane.shape, bool)
    # scikit-image stretches the plane to 0..1 by its own range; weighting its differences by that range undoes it.
    return chan_vese(
        plane.astype(np.float64),
        mu=smoothness / span**2,
        lambda1=1,
        lambda2=1,
        tol=min_change,
        max_num_iter=max_rounds,
    )
