"""What lies between the camera and the scene, or over it: fog, shadow, cutout, the bias field of MR."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from .augmentation import Shares, Span, Within, between
from .draft import Draft
from .fields import smooth_field
from .intensity import Filter


class Fog(Filter):
    """Fog in drifts: values are drawn towards a bright one, here more and there less."""

    name: ClassVar[str] = "fog"
    ndims: ClassVar[tuple[int, ...]] = (2,)
    source: ClassVar[str] = (
        "Koschmieder's law of airlight: Narasimhan and Nayar, Vision and the atmosphere, IJCV 48 (2002)"
    )

    density: Shares = Field((0.2, 0.6), description="Share of light that comes from the fog, in the mean.")
    brightness: float = Field(0.9, ge=0, le=1, description="Of the fog, as a share of the range of values.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        density = between(self.density, rng)
        draft.settle()
        low, high = draft.limits()
        distance = max(2.0, max(draft.shape) / 4)
        field = smooth_field(draft.shape, [distance] * 2, rng) + 0.5 * smooth_field(
            draft.shape, [max(2.0, distance / 3)] * 2, rng
        )
        share = np.clip(density + 0.4 * density * field, 0, 1)[..., np.newaxis]
        values = draft.floats()
        values += share * (values.dtype.type(low + self.brightness * (high - low)) - values)
        draft.put(values)


class Shadow(Filter):
    """The shadow of something with straight edges."""

    name: ClassVar[str] = "shadow"
    ndims: ClassVar[tuple[int, ...]] = (2,)
    source: ClassVar[str] = (
        "a polygon in shade, as in Gonzalez and Woods, 4th ed. (2018), section 2.3: illumination"
    )

    darkness: Shares = Field((0.3, 0.6), description="Share of the light that is missing in the shadow.")
    softness: float = Field(
        0.02, ge=0, le=0.5, description="Width of its edge, as a share of the longer side."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        darkness = between(self.darkness, rng)
        draft.settle()
        low, _ = draft.limits()
        height, width = draft.shape
        center = rng.random(2) * (width, height)
        corners = int(rng.integers(3, 7))
        angles = np.sort(rng.random(corners)) * 2 * np.pi
        radii = (0.2 + 0.4 * rng.random(corners)) * max(height, width)
        polygon = center + radii[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        shade = np.zeros((height, width), np.float32)
        cv2.fillPoly(shade, [np.rint(polygon).astype(np.int32)], darkness)
        sigma = self.softness * max(height, width) / 2
        if sigma > 0.1:
            shade = cv2.GaussianBlur(shade, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        values = draft.floats()
        values -= (values - values.dtype.type(low)) * shade[..., np.newaxis]
        draft.put(values)


class Cutout(Filter):
    """Boxes cut out of the image, so that things are known by more than one of their parts."""

    name: ClassVar[str] = "cutout"
    source: ClassVar[str] = (
        "DeVries and Taylor, Improved regularization of CNNs with cutout, arXiv 1708.04552 (2017)"
    )

    count: int = Field(4, ge=1, le=1000, description="Boxes; they may overlap and reach beyond the image.")
    share: Shares = Field(
        (0.05, 0.2), description="Length of their sides, as a share of the image's, each drawn."
    )
    fill: Literal["lowest", "mean", "noise"] = Field("lowest", description="What is seen in them.")
    truth: Literal["kept", "void"] = Field(
        "kept", description="What the truth says there: as before, or void."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        draft.settle()
        values = draft.values.copy()
        low, high = draft.limits()
        mean = draft.means() if self.fill == "mean" else None
        for _ in range(self.count):
            place = []
            for length in draft.shape:
                side = max(1, round(between(self.share, rng) * length))
                start = int(np.floor(rng.random() * length)) - side // 2
                place.append(slice(max(0, start), max(0, start + side)))
            box = tuple(place)
            if self.fill == "noise":
                values[box] = low + rng.random(values[box].shape) * (high - low)
            else:
                values[box] = low if mean is None else np.rint(mean) if values.dtype.kind in "ui" else mean
            if self.truth == "void":
                draft.blank(box)
        draft.put(values)


class BiasField(Filter):
    """The uneven sensitivity of an MR coil: values times a field that changes slowly over the image."""

    name: ClassVar[str] = "bias-field"
    source: ClassVar[str] = (
        "Van Leemput et al., Automated model-based bias field correction of MR images, IEEE TMI 18 (1999)"
    )

    strength: Annotated[Span, Within(0, 2)] = Field(
        (0.05, 0.3), description="Standard deviation of the field's logarithm."
    )
    waves: int = Field(
        3, ge=1, le=16, description="About how often the field changes along the longest axis."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        strength = between(self.strength, rng)
        draft.settle()
        low, _ = draft.limits()
        lengths = draft.coarseness * draft.shape
        distance = lengths.max() / self.waves / draft.coarseness
        field = np.exp(np.float32(strength) * smooth_field(draft.shape, distance, rng))
        values = draft.floats()
        values -= values.dtype.type(low)
        values *= field[..., np.newaxis]
        values += values.dtype.type(low)
        draft.put(values)
