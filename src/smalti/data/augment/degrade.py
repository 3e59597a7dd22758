"""What optics, sampling and storage do to an image: blur, sharpening, JPEG, low resolution."""

from __future__ import annotations

from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field

from ...errors import InputError
from .augmentation import Span, Within, between
from .draft import Draft
from .intensity import Filter
from .sampling import resized


class Blur(Filter):
    """Out of focus: smoothed by a Gaussian, in a volume by its spacing."""

    name: ClassVar[str] = "blur"
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 3.5"

    sigma_px: Annotated[Span, Within(0, 100)] = Field(
        (0.5, 1.5), description="Standard deviation, in pixels of the finest axis."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        sigma = between(self.sigma_px, rng)
        draft.settle()
        draft.put(_blurred(draft, sigma))


class Sharpen(Filter):
    """Edges raised: what a blur takes away is added (unsharp mask)."""

    name: ClassVar[str] = "sharpen"
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 3.6"

    amount: Annotated[Span, Within(0, 10)] = Field((0.2, 1.0), description="How much is added; 1 doubles it.")
    sigma_px: float = Field(1.0, gt=0, le=100, description="Of the blur, in pixels of the finest axis.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        amount = between(self.amount, rng)
        draft.settle()
        blurred = _blurred(draft, self.sigma_px)
        values = draft.values if blurred.dtype == draft.pixels.dtype else draft.floats()
        sharp = cv2.addWeighted(_plane(values), 1 + amount, _plane(blurred), -amount, 0)
        draft.put(sharp.reshape(values.shape))


def _plane(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(values.shape[0], -1)


def _blurred(draft: Draft, sigma_px: float) -> np.ndarray:
    """The values (*S, C) smoothed; 8 and unsigned 16 bits in their own type, the others as floats."""
    values = draft.values if draft.pixels.dtype in (np.uint8, np.uint16) else draft.floats()
    if sigma_px <= 0:
        return values.copy()
    sigmas = sigma_px / draft.coarseness
    shape = values.shape
    if draft.ndim == 3:
        if draft.turning[0] and shape[0] > 1:
            values = _blurred_along_z(values, float(sigmas[0]))
        planes = [_blurred_plane(plane, sigmas[1:]) for plane in values]
        return np.stack(planes).reshape(shape)
    return _blurred_plane(values, sigmas).reshape(shape)


def _blurred_plane(plane: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(
        np.ascontiguousarray(plane),
        (0, 0),
        sigmaX=float(sigmas[1]),
        sigmaY=float(sigmas[0]),
        borderType=cv2.BORDER_REFLECT_101 if min(plane.shape[:2]) > 1 else cv2.BORDER_REPLICATE,
    )


def _blurred_along_z(values: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(values.astype(np.float32), sigma, axis=0, mode="mirror")
    return np.rint(smooth).astype(values.dtype) if values.dtype.kind in "ui" else smooth.astype(values.dtype)


class Jpeg(Filter):
    """Stored as a JPEG and read again. For 8-bit pictures of one channel or three."""

    name: ClassVar[str] = "jpeg"
    ndims: ClassVar[tuple[int, ...]] = (2,)
    source: ClassVar[str] = "Wallace, The JPEG still picture compression standard, Commun. ACM 34 (1991)"

    quality: Annotated[Span, Within(1, 100)] = Field(
        (40.0, 95.0), description="Of libjpeg; 100 keeps nearly all."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        quality = round(between(self.quality, rng))
        values = draft.values
        if values.dtype != np.uint8 or values.shape[-1] not in (1, 3):
            raise InputError(
                f"jpeg needs 8-bit pixels of one channel or three, got {values.dtype} of {values.shape[-1]}"
            )
        draft.settle()
        # red and blue swap places, so that what OpenCV takes for blue is blue
        stored = np.ascontiguousarray(draft.values[..., ::-1])
        _, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
        read = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if stored.shape[-1] == 1 else cv2.IMREAD_COLOR)
        assert read is not None  # it was encoded just now
        draft.put(np.ascontiguousarray(read.reshape(stored.shape)[..., ::-1]))


class Downscale(Filter):
    """Seen at a lower resolution: shrunk by averaging and enlarged again. The truth stays sharp."""

    name: ClassVar[str] = "downscale"
    source: ClassVar[str] = "simulation of low resolution: Isensee et al., nnU-Net, Nature Methods 18 (2021)"

    factor: Annotated[Span, Within(0.05, 1)] = Field((0.4, 0.9), description="How much smaller it gets.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        factor = between(self.factor, rng)
        draft.settle()
        shape = draft.shape
        small = [
            max(1, round(length * factor)) if turns else length
            for length, turns in zip(shape, draft.turning, strict=True)
        ]
        kept = draft.pixels.dtype in (np.uint8, np.uint16)
        values = np.ascontiguousarray(draft.values if kept else draft.floats())
        if draft.ndim == 3:
            if small[0] < shape[0]:
                flat = values.reshape(shape[0], -1)
                low = _resized_rows(flat, small[0], cv2.INTER_AREA)
                values = _resized_rows(low, shape[0], cv2.INTER_LINEAR).reshape(values.shape)
            planes = [_low_resolution(plane, small[1:]) for plane in values]
            draft.put(np.stack(planes))
        else:
            draft.put(_low_resolution(values, small))


def _low_resolution(plane: np.ndarray, small: list[int]) -> np.ndarray:
    return resized(resized(plane, small, cv2.INTER_AREA), plane.shape[:2], cv2.INTER_LINEAR)


def _resized_rows(flat: np.ndarray, rows: int, interpolation: int) -> np.ndarray:
    """Another number of rows; in strips, as OpenCV takes rows of limited length."""
    strips = [
        np.ascontiguousarray(flat[:, first : first + 16384]) for first in range(0, flat.shape[1], 16384)
    ]
    return np.concatenate(
        [cv2.resize(strip, (strip.shape[1], rows), interpolation=interpolation) for strip in strips], axis=1
    )
