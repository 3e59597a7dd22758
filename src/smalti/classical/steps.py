"""Steps on an image before a method: less noise, more contrast, a flat background.

Values stay on the image's own scale. A step keeps the dtype where its result fits it (integers rounded);
where it cannot, the result is float32, or float64 for float64 and integers of more than 16 bits. An alpha
channel is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..errors import InputError
from ..image import Image
from ..segmenter import ImageStep
from .blur import gaussian_blur
from .grey import Polarity, check_finite, check_ndim
from .local_threshold import OddWindow


def float_type(dtype: np.dtype) -> type[np.floating]:
    """float32, or float64 for the dtypes whose values float32 cannot all hold."""
    return np.float32 if dtype.itemsize <= 2 or dtype.newbyteorder("=") == np.float32 else np.float64


def cast_back(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Float values in the dtype they came from: rounded and kept in range where it is an integer type."""
    if dtype.kind not in "ui":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    # float64 has no int64 maximum: the next value below it does.
    top = np.nextafter(float(limits.max), 0) if dtype.itemsize == 8 else limits.max
    return np.clip(np.rint(values), limits.min, top).astype(dtype)


def each_channel(image: Image, change: Callable[[np.ndarray], np.ndarray]) -> Image:
    """The image with ``change`` applied to every channel but alpha, which takes the dtype of the others."""
    changed = {
        name: change(np.ascontiguousarray(check_finite(image.channel(name))))
        for name in image.channels
        if name != "alpha"
    }
    dtype = np.result_type(*changed.values()) if changed else image.pixels.dtype
    planes = [changed.get(name, image.channel(name)) for name in image.channels]
    return image.with_pixels(np.stack([plane.astype(dtype) for plane in planes], axis=-1))


class Gaussian(ImageStep):
    """Gaussian blur of each channel. Keeps the dtype; bool becomes float32."""

    name: ClassVar[str] = "gaussian"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 3.5"

    sigma_px: float = Field(1.0, gt=0, le=1000, description="Standard deviation in pixels.")

    def apply(self, image: Image) -> Image:
        """The blurred image; it is mirrored at its edges."""
        check_ndim(image, self.name, self.ndims)
        return each_channel(image, self._blur)

    def _blur(self, plane: np.ndarray) -> np.ndarray:
        dtype = plane.dtype if plane.dtype != bool else np.dtype(np.float32)
        return cast_back(gaussian_blur(plane.astype(float_type(plane.dtype)), self.sigma_px), dtype)


class Median(ImageStep):
    """Median of the window around each pixel, per channel: specks go, edges stay. Keeps the dtype."""

    name: ClassVar[str] = "median"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "Tukey, Exploratory Data Analysis (1977)"

    window_px: OddWindow = Field(3, ge=3, le=255, description="Width of the window in pixels, odd.")

    def apply(self, image: Image) -> Image:
        """The filtered image; its outermost pixels are repeated outwards."""
        check_ndim(image, self.name, self.ndims)
        return each_channel(image, self._median)

    def _median(self, plane: np.ndarray) -> np.ndarray:
        if plane.ndim == 2 and (
            plane.dtype == np.uint8
            or (self.window_px <= 5 and plane.dtype in (np.uint16, np.int16, np.float32))
        ):
            import cv2

            return cv2.medianBlur(plane, self.window_px)
        from scipy import ndimage

        values = plane.astype(np.float32) if plane.dtype == np.float16 else plane
        return ndimage.median_filter(values, self.window_px, mode="nearest").astype(plane.dtype)


class Bilateral(ImageStep):
    """Blur that stops at edges: pixels count less the further and the more different they are.

    Keeps the dtype; bool becomes float32.
    The difference of two colours is the sum over red, green and blue; channels that are not these are
    filtered each by itself.
    """

    name: ClassVar[str] = "bilateral"
    source: ClassVar[str] = "Tomasi and Manduchi, Bilateral filtering for gray and color images, ICCV (1998)"

    sigma_px: float = Field(3.0, gt=0, le=50, description="Standard deviation over distance, in pixels.")
    sigma_grey: float | None = Field(
        None,
        gt=0,
        description="Standard deviation over difference, in grey values; left out, a tenth of the range.",
    )

    def apply(self, image: Image) -> Image:
        """The filtered image."""
        import cv2

        check_ndim(image, self.name, self.ndims)

        def filtered(planes: np.ndarray) -> np.ndarray:
            low, high = float(planes.min()), float(planes.max())
            if low == high:
                return planes.copy()
            # OpenCV filters float32: values are taken as shares of the range, so none is lost.
            shares = ((planes.astype(np.float64) - low) / (high - low)).astype(np.float32)
            sigma = 0.1 if self.sigma_grey is None else self.sigma_grey / (high - low)
            size = 2 * int(np.ceil(2 * self.sigma_px)) + 1
            shares = cv2.bilateralFilter(shares, size, sigma, self.sigma_px, borderType=cv2.BORDER_REFLECT)
            dtype = planes.dtype if planes.dtype != bool else np.dtype(np.float32)
            return cast_back(shares.astype(np.float64) * (high - low) + low, dtype)

        if image.channels == ("red", "green", "blue"):
            return image.with_pixels(filtered(np.ascontiguousarray(check_finite(image.pixels))))
        if image.channels == ("red", "green", "blue", "alpha"):
            colors = filtered(np.ascontiguousarray(check_finite(image.pixels[..., :3])))
            return image.with_pixels(
                np.concatenate([colors, image.pixels[..., 3:].astype(colors.dtype)], axis=-1)
            )
        return each_channel(image, filtered)


class NlMeans(ImageStep):
    """Non-local means: each pixel becomes the mean of pixels whose surroundings look alike.

    Keeps the dtype; bool becomes float32.
    """

    name: ClassVar[str] = "nl-means"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = (
        "Buades, Coll and Morel, A non-local algorithm for image denoising, CVPR (2005); "
        "noise: Immerkaer, CVIU 64 (1996)"
    )

    strength: float | None = Field(
        None,
        gt=0,
        description="Difference of surroundings that still counts as alike, in grey values; "
        "left out, 0.8 of the noise estimated per channel.",
    )
    patch_px: OddWindow = Field(
        5,
        ge=3,
        le=31,
        description="Width of the surroundings compared, in pixels, odd.",
    )
    distance_px: int = Field(
        6,
        ge=1,
        le=30,
        description="How far away alike pixels are looked for, in pixels; at most 10 in a volume.",
    )

    def apply(self, image: Image) -> Image:
        """The denoised image. Raises ``InputError`` for a volume and a ``distance_px`` that would take hours."""
        check_ndim(image, self.name, self.ndims)
        if image.ndim == 3 and self.distance_px > 10:
            raise InputError(
                f"nl-means takes distance_px up to 10 for volumes, got {self.distance_px}, as its time grows with the "
                "cube; choose a smaller one"
            )
        return each_channel(image, self._denoise)

    def _denoise(self, plane: np.ndarray) -> np.ndarray:
        from skimage.restoration import denoise_nl_means

        dtype = plane.dtype if plane.dtype != bool else np.dtype(np.float32)
        values = plane.astype(float_type(plane.dtype))
        strength = 0.8 * estimate_noise(values) if self.strength is None else self.strength
        if strength == 0:
            return values.astype(dtype)
        values = denoise_nl_means(
            values, self.patch_px, self.distance_px, strength, fast_mode=True, preserve_range=True
        )
        return cast_back(values.reshape(plane.shape), dtype)  # it leaves out axes of length one


def estimate_noise(plane: np.ndarray) -> float:
    """Standard deviation of the noise in a plane or volume (*S,), the mean over the slices of a volume.

    Immerkaer (1996): the mean absolute response of a kernel that is blind to edges that are straight lines.
    """
    import cv2

    kernel = np.array([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]])
    slices = plane.astype(np.float64).reshape((-1, *plane.shape[-2:]))
    found = [np.abs(cv2.filter2D(one, -1, kernel, borderType=cv2.BORDER_REFLECT)).mean() for one in slices]
    return float(np.sqrt(np.pi / 2) / 6 * np.mean(found))


class Clahe(ImageStep):
    """Contrast-limited adaptive histogram equalisation: local contrast is stretched, but not noise.

    Keeps the dtype; bool becomes float32.
    8-bit images are stretched over 0..255, others over their own lowest to highest value. Of RGB the largest
    of red, green and blue is stretched and the others follow, so hue and saturation stay. A constant image
    stays.
    """

    name: ClassVar[str] = "clahe"
    source: ClassVar[str] = (
        "Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV (1994)"
    )

    clip_limit: float = Field(
        2.0,
        ge=1,
        le=256,
        description="How many times its even share a grey value may count; 1 changes least.",
    )
    tiles: int = Field(8, ge=1, le=256, description="Tiles along each axis whose histograms are equalised.")

    def apply(self, image: Image) -> Image:
        """The equalised image."""
        check_ndim(image, self.name, self.ndims)
        if image.channels[:3] != ("red", "green", "blue"):
            return each_channel(image, self._equalize)
        colors = check_finite(image.pixels[..., :3])
        if colors.dtype.kind != "b" and colors.min() < 0:
            raise InputError(f"clahe takes colours of 0 or more, got {colors.min():g}; shift them first")
        value = colors.max(axis=-1)
        stretched = self._equalize(value).astype(np.float64)
        ratio = stretched / np.where(value > 0, value, 1)
        changed = np.where(
            (value > 0)[..., np.newaxis], colors * ratio[..., np.newaxis], stretched[..., np.newaxis]
        )
        dtype = colors.dtype if colors.dtype != bool else np.dtype(np.float32)
        changed = cast_back(changed, dtype)
        return image.with_pixels(np.concatenate([changed, image.pixels[..., 3:].astype(dtype)], axis=-1))

    def _equalize(self, plane: np.ndarray) -> np.ndarray:
        dtype = plane.dtype if plane.dtype != bool else np.dtype(np.float32)
        low, high = plane.min(), plane.max()
        if low == high:
            return plane.astype(dtype)
        height, width = plane.shape
        rows, columns = min(self.tiles, height), min(self.tiles, width)
        if dtype == np.uint8:
            import cv2

            return cv2.createCLAHE(self.clip_limit, (columns, rows)).apply(plane)
        # OpenCV's 16-bit form has 65536 bins, more than a tile has pixels, which undoes the clip limit.
        from skimage.exposure import equalize_adapthist

        low, high = float(low), float(high)
        shares = equalize_adapthist(
            (plane.astype(np.float64) - low) / (high - low),
            kernel_size=(-(-height // rows), -(-width // columns)),
            clip_limit=self.clip_limit / 256,
            nbins=256,
        )
        return cast_back(low + shares * (high - low), dtype)


class FlattenBackground(ImageStep):
    """Uneven light taken out: the background is estimated, subtracted, and its mean added back. Gives floats.

    gaussian: a blur with ``radius_px`` as its standard deviation. opening: the highest ground under bright
    objects (over dark ones) narrower than a square of 2 * radius_px + 1. rolling-ball: what a ball of that
    radius touches when it rolls under the grey values, which are heights in pixels; slow for large radii.
    """

    name: ClassVar[str] = "flatten-background"
    source: ClassVar[str] = "Sternberg, Biomedical image processing, IEEE Computer 16 (1983)"

    method: Literal["gaussian", "opening", "rolling-ball"] = Field(
        "gaussian", description="How the background is estimated."
    )
    radius_px: float = Field(
        50.0,
        ge=1,
        le=2000,
        description="Size in pixels, larger than the largest object.",
    )
    polarity: Polarity = Field(
        "bright",
        description="Whether objects are brighter or darker than the ground; no matter for gaussian.",
    )

    @model_validator(mode="after")
    def _rolls_in_time(self) -> Self:
        if self.method == "rolling-ball" and self.radius_px > 200:
            raise ValueError(
                f"rolling-ball takes radius_px up to 200, got {self.radius_px:g}, as its time grows with the square; "
                "use opening or gaussian for a larger one"
            )
        return self

    def apply(self, image: Image) -> Image:
        """The image on a flat background."""
        check_ndim(image, self.name, self.ndims)
        return each_channel(image, self._flatten)

    def _flatten(self, plane: np.ndarray) -> np.ndarray:
        values = plane.astype(float_type(plane.dtype))
        background = self.background(values)
        return values - background + background.mean(dtype=np.float64).astype(values.dtype)

    def background(self, values: np.ndarray) -> np.ndarray:
        """The ground of one channel (H, W) of floats."""
        if self.method == "gaussian":
            return gaussian_blur(values, self.radius_px)
        sign = 1 if self.polarity == "bright" else -1
        if self.method == "opening":
            import cv2

            # Far more rows than the image has change nothing.
            size = [min(2 * int(self.radius_px) + 1, 2 * length + 1) for length in values.shape[::-1]]
            square = cv2.getStructuringElement(cv2.MORPH_RECT, size)
            return sign * cv2.morphologyEx(sign * values, cv2.MORPH_OPEN, square)
        from skimage.restoration import rolling_ball

        return sign * rolling_ball(sign * values, radius=self.radius_px)
