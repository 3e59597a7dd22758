"""Superpixels: small compact regions that keep to edges, and larger regions merged from them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from ..classes import ClassSet
from ..image import Image
from ..segmentation import Segmentation
from ..segmenter import Method
from .adjacency import REGION, merge_close, merge_small
from .color_range import to_color_space
from .grey import check_ndim, full_scale, rgb_planes

SUPERPIXEL = ClassSet.from_names(["superpixel"])


def lab_planes(image: Image, name: str) -> np.ndarray:
    """CIE Lab (D65) of the image's sRGB colours at full scale 0..1, (*S, 3) float32; grey has a = b = 0."""
    return to_color_space(full_scale(rgb_planes(image, name), np.float32), "lab")


def slic_labels(lab: np.ndarray, count: int, compactness: float) -> np.ndarray:
    """Superpixels of ``lab`` (*S, 3), numbered from 1, (*S,) int32; about ``count`` of them.

    ``compactness`` is the paper's m: that many units of colour weigh as much as one superpixel's spacing.
    """
    from skimage.segmentation import slic

    # scikit-image stretches the values to 0..1 by their own range; dividing the compactness by that range undoes it.
    span = float(lab.max() - lab.min()) or 1.0
    labels = slic(
        lab,
        n_segments=count,
        compactness=compactness / span,
        convert2lab=False,
        start_label=1,
        channel_axis=-1,
    )
    return labels.astype(np.int32)


class Slic(Method):
    """About so many compact regions of like colour and near place, each connected."""

    name: ClassVar[str] = "slic"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = (
        "Achanta et al., SLIC superpixels compared to state-of-the-art, IEEE PAMI 34 (2012)"
    )

    superpixels: int = Field(400, ge=1, description="About so many superpixels.")
    compactness: float = Field(
        10.0,
        ge=1e-6,
        le=1e6,
        description="Colour difference in Lab that weighs as much as one spacing; larger is squarer.",
    )

    def predict(self, image: Image) -> Segmentation:
        """Superpixels that cover the whole image, of red-green-blue or grey."""
        check_ndim(image, self.name, self.ndims)
        labels = slic_labels(lab_planes(image, self.name), self.superpixels, self.compactness)
        return Segmentation.from_labels(labels, classes=SUPERPIXEL, geometry=image.geometry, copy=False)


class RagMerge(Slic):
    """Superpixels merged, nearest neighbours first, while neighbours are close in mean colour."""

    name: ClassVar[str] = "rag-merge"
    source: ClassVar[str] = (
        "Achanta et al. (2012) for the superpixels; Tremeau and Colantoni, Regions adjacency graph applied to color "
        "image segmentation, IEEE TIP 9 (2000)"
    )

    superpixels: int = Field(1000, ge=1, description="About so many superpixels to start from.")
    color_distance: float = Field(
        8.0, ge=0, description="Neighbours whose mean colours are at most this far apart in Lab merge."
    )
    min_area_px: int = Field(
        1, ge=1, description="Regions with fewer pixels join the nearest neighbour in colour."
    )

    def predict(self, image: Image) -> Segmentation:
        """Regions that cover the whole image, of red-green-blue or grey."""
        check_ndim(image, self.name, self.ndims)
        lab = lab_planes(image, self.name)
        labels = slic_labels(lab, self.superpixels, self.compactness)
        labels = merge_small(merge_close(labels, lab, self.color_distance), lab, self.min_area_px)
        return Segmentation.from_labels(labels, classes=REGION, geometry=image.geometry, copy=False)
