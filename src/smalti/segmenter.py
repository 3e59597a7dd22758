"""What a segmenter is, how its parameters are declared, and the tables that find one by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import InputError, SmaltiError, unknown_name
from .image import Image
from .segmentation import Segmentation

SEGMENTERS: dict[str, str] = {
    "adaptive-gaussian": "smalti.classical.local_threshold:AdaptiveGaussian",
    "adaptive-mean": "smalti.classical.local_threshold:AdaptiveMean",
    "canny": "smalti.classical.edges:Canny",
    "chan-vese": "smalti.classical.contours:ChanVese",
    "color-range": "smalti.classical.color_range:ColorRange",
    "deeplab": "smalti.train.methods:DeepLab",
    "fast": "smalti.train.methods:Fast",
    "fcn": "smalti.train.methods:Fcn",
    "felzenszwalb": "smalti.classical.regions:Felzenszwalb",
    "fixed": "smalti.classical.threshold:Fixed",
    "flood-fill": "smalti.classical.regions:FloodFill",
    "forest": "smalti.pixel.forest:Forest",
    "gaussian-mixture": "smalti.classical.clusters:GaussianMixture",
    "geodesic-contour": "smalti.classical.contours:GeodesicContour",
    "grabcut": "smalti.classical.graphs:GrabCut",
    "gradient-watershed": "smalti.classical.watershed:GradientWatershed",
    "hysteresis": "smalti.classical.threshold:Hysteresis",
    "kmeans": "smalti.classical.clusters:KMeans",
    "li": "smalti.classical.threshold:Li",
    "log": "smalti.classical.edges:Log",
    "mean-shift": "smalti.classical.regions:MeanShift",
    "multi-otsu": "smalti.classical.threshold:MultiOtsu",
    "niblack": "smalti.classical.local_threshold:Niblack",
    "onnx": "smalti.runtime.imported:Onnx",
    "otsu": "smalti.classical.threshold:Otsu",
    "pipeline": "smalti.pipeline:Pipeline",
    "rag-merge": "smalti.classical.superpixels:RagMerge",
    "random-walker": "smalti.classical.graphs:RandomWalker",
    "region-growing": "smalti.classical.regions:RegionGrowing",
    "ridge": "smalti.classical.ridges:Ridge",
    "sauvola": "smalti.classical.local_threshold:Sauvola",
    "scharr": "smalti.classical.edges:Scharr",
    "slic": "smalti.classical.superpixels:Slic",
    "sobel": "smalti.classical.edges:Sobel",
    "split-and-merge": "smalti.classical.regions:SplitAndMerge",
    "triangle": "smalti.classical.threshold:Triangle",
    "unet": "smalti.train.methods:Unet",
    "watershed": "smalti.classical.watershed:Watershed",
}
"""Name of each method to the ``module:Class`` it is loaded from on first use."""

STEPS: dict[str, str] = {
    "bilateral": "smalti.classical.steps:Bilateral",
    "clahe": "smalti.classical.steps:Clahe",
    "clear-border": "smalti.postprocess.clean:ClearBorder",
    "color-space": "smalti.classical.channels:ColorSpaceStep",
    "grey": "smalti.classical.channels:GreyStep",
    "channels": "smalti.classical.channels:ChannelsStep",
    "drop-small": "smalti.postprocess.clean:DropSmall",
    "fill-holes": "smalti.postprocess.clean:FillHoles",
    "flatten-background": "smalti.classical.steps:FlattenBackground",
    "gaussian": "smalti.classical.steps:Gaussian",
    "median": "smalti.classical.steps:Median",
    "nl-means": "smalti.classical.steps:NlMeans",
    "panoptic": "smalti.postprocess.clean:Panoptic",
    "smooth": "smalti.postprocess.clean:Smooth",
    "split-touching": "smalti.postprocess.clean:SplitTouching",
}
"""Name of each step, before or after a method, to its ``module:Class``."""


@runtime_checkable
class Segmenter(Protocol):
    """Anything that turns an image into its segments."""

    def predict(self, image: Image) -> Segmentation:
        """The segments of ``image``; the image is left as it was."""
        ...


HIGHEST_LABEL = 2**31 - 2
"""The highest number a prompt may mark a segment with: int32 holds it and one more, for background."""


GROUND = 255
"""Background in scribbles of 8 bits, such as files have, where no number is negative."""


@dataclass(frozen=True, eq=False)
class Prompts:
    """What a person points at: points, boxes or scribbles, each of them optional and the same as left out if empty.

    ``points_yx`` (P, ndim) with ``point_labels`` (P,), 0 = background and k = segment k; all 1 when left out.
    ``boxes`` (N, 2 * ndim) of whole numbers, ``ymin, xmin, ymax, xmax``, half open.
    ``scribbles`` (*S,) integers: 0 = not said, -1 = background, k = segment k.

    The numbers say which marks belong together. A segmentation numbers its segments 1..N, so marked numbers come
    back renumbered in ascending order: marks of 3 and 7 give the segments 1 and 2.
    """

    points_yx: np.ndarray | None = None
    point_labels: np.ndarray | None = None
    boxes: np.ndarray | None = None
    scribbles: np.ndarray | None = None

    def __post_init__(self) -> None:
        points = _numbers("points_yx", self.points_yx)
        labels = _numbers("point_labels", self.point_labels, whole=True)
        boxes = _numbers("boxes", self.boxes, whole=True)
        scribbles = _numbers("scribbles", self.scribbles)
        if points is not None:
            points = np.atleast_2d(points)
            if points.ndim != 2 or points.shape[1] not in (2, 3):
                raise InputError(
                    f"points_yx must be y, x or z, y, x for each point, got shape {points.shape}"
                )
            labels = np.ones(len(points), np.int64) if labels is None else labels
            if labels.shape != (len(points),) or labels.min() < 0 or labels.max() > HIGHEST_LABEL:
                raise InputError(
                    f"point_labels must be {len(points)} numbers from 0 to {HIGHEST_LABEL}, got {labels}"
                )
            labels = labels.astype(np.int32)
        elif labels is not None:
            raise InputError("point_labels without points_yx; give both")
        if boxes is not None:
            boxes = np.atleast_2d(boxes)
            if boxes.ndim != 2 or boxes.shape[1] not in (4, 6):
                raise InputError(
                    f"boxes must be ymin, xmin, ymax, xmax (in 3-D all mins, then all maxs), got shape {boxes.shape}"
                )
            low, high = np.split(boxes, 2, axis=1)
            if not (low < high).all():
                raise InputError("boxes must be ymin, xmin, ymax, xmax (half open) with min < max")
        if scribbles is not None:
            if scribbles.dtype.kind not in "ui":
                raise InputError("scribbles must be integers: 0 not said, -1 background, k segment k")
            lowest, highest = int(scribbles.min()), int(scribbles.max())
            if lowest < -1 or highest > HIGHEST_LABEL:
                raise InputError(
                    f"scribbles are 0 not said, -1 background, k segment k up to {HIGHEST_LABEL}, "
                    f"got {lowest} to {highest}"
                )
            scribbles = scribbles.astype(np.int32, copy=False)
        object.__setattr__(self, "points_yx", points)
        object.__setattr__(self, "point_labels", labels)
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scribbles", scribbles)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is given: of ``points``, ``boxes`` and ``scribbles``, in this order."""
        given = {"points": self.points_yx, "boxes": self.boxes, "scribbles": self.scribbles}
        return tuple(kind for kind, prompts in given.items() if prompts is not None)

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ``InputError`` unless every prompt lies in an image of ``shape``."""
        ndim = len(shape)
        if self.points_yx is not None:
            points = self.points_yx
            if points.shape[1] != ndim or (points < 0).any() or (points >= shape).any():
                raise InputError(f"points_yx must lie inside the image of {shape}, got {points.tolist()}")
        if self.boxes is not None:
            boxes = self.boxes
            if boxes.shape[1] != 2 * ndim or (boxes < 0).any() or (boxes[:, ndim:] > shape).any():
                raise InputError(f"boxes must lie inside the image of {shape}, got {boxes.tolist()}")
        if self.scribbles is not None and np.asarray(self.scribbles).shape != shape:
            raise InputError(
                f"scribbles must cover the image, {shape}, got {np.asarray(self.scribbles).shape}; "
                "draw them on the image at its own size"
            )


def _numbers(name: str, given: Any, whole: bool = False) -> np.ndarray | None:
    """Given prompts as an array of finite numbers, of int64 if they must be ``whole``; None if there are none."""
    if given is None:
        return None
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise InputError(f"{name} must be rows of as many numbers each, got {given!r}") from error
    if array.size == 0:
        return None
    if array.dtype.kind not in "uif":
        raise InputError(f"{name} must be numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite numbers, got {array.tolist()}")
    if not whole:
        return array
    if (array != np.rint(array)).any() or (np.abs(array.astype(np.float64)) > 2**53).any():
        raise InputError(f"{name} must be whole numbers, got {array.tolist()}")
    return array.astype(np.int64)


class Parameters(BaseModel):
    """A frozen record whose typed, bounded, described fields are the one declaration of its parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    listing: ClassVar[str] = "methods"  # the command that lists its kind

    def describe(self) -> dict[str, Any]:
        """Name and parameters as plain JSON values; ``make_segmenter`` makes the same one again from them."""
        return {"name": self.name, **self.model_dump(mode="json")}

    @classmethod
    def make(cls, parameters: Mapping[str, Any]) -> Self:
        """One with these parameters; an unknown name or a bad value is one clear ``InputError``."""
        for given in parameters:
            if given not in cls.model_fields:
                raise unknown_name(f"parameter of {cls.name}", given, cls.model_fields)
        try:
            return cls(**parameters)
        except ValidationError as error:
            said = [_said(problem) for problem in error.errors()]
            own = [text for text, part in said if not part]
            hint = f"; see: smalti {cls.listing} {cls.name}" if own else ""
            raise InputError(f"{cls.name}: {'; '.join(own or [said[0][0]])}{hint}") from error


def _said(problem: Any) -> tuple[str, bool]:
    """A problem of pydantic's in words, and whether it is that of a part, such as a step, which names what it got."""
    where = ".".join(str(part) for part in problem["loc"]) or "parameters"
    part = isinstance(problem.get("ctx", {}).get("error"), InputError)
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" + ("" if part else f", got {problem['input']!r}"), part


class Method(Parameters):
    """A segmenter with declared parameters. Subclasses write ``predict``; those that take prompts,
    ``predict(image, prompts)``."""

    ndims: ClassVar[tuple[int, ...]] = (2,)
    prompts: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str]

    @property
    def takes(self) -> tuple[str, ...]:
        """Kinds of prompts that this method, as it is set up, takes."""
        return self.prompts

    def predict(self, image: Image) -> Segmentation:
        """The segments of ``image``; the image is left as it was."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it predicts")


def check_prompts(method: Segmenter, prompts: Prompts | None) -> None:
    """Raise ``InputError`` for kinds of prompts that the method does not take."""
    if not prompts:
        return
    takes = getattr(method, "takes", ())
    foreign = [kind for kind in prompts.kinds if kind not in takes]
    if foreign:
        name = getattr(method, "name", type(method).__name__)
        raise InputError(
            f"{name} takes no {' and no '.join(foreign)}; it takes {' and '.join(takes) or 'no prompts'}"
        )


class ImageStep(Parameters):
    """A step before a method: an image to an image."""

    ndims: ClassVar[tuple[int, ...]] = (2,)
    source: ClassVar[str]

    def apply(self, image: Image) -> Image:
        """The changed image; the given one is left as it was."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")


class SegmentStep(Parameters):
    """A step after a method: segments to segments."""

    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str]

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """The changed segmentation."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")


@cache
def known_segmenters() -> dict[str, str]:
    """All methods that can be asked for: the table here and the entry points of installed packages."""
    return {entry.name: entry.value for entry in entry_points(group="smalti.segmenters")} | SEGMENTERS


def load_class(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """The class a table names, imported now. Raises ``UnknownName``."""
    if name not in table:
        raise unknown_name(kind, name, table)
    module, _, attribute = table[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except SmaltiError:
        raise
    except (ImportError, AttributeError) as error:
        raise SmaltiError(f"{kind} {name!r} could not be loaded from {table[name]}: {error}") from error


def segmenter_class(name: str) -> type[Method]:
    """The class of a method by name, imported now. Raises ``UnknownName``."""
    return load_class("method", name, known_segmenters())


def make_segmenter(name: str, **parameters: Any) -> Method:
    """A method by name with these parameters; the rest have their defaults.

    Raises ``UnknownName`` for a method or parameter nobody knows and ``InputError`` for a value out of bounds.
    """
    return segmenter_class(name).make(parameters)


def make_step(name: str, **parameters: Any) -> ImageStep | SegmentStep:
    """A step by name with these parameters. Raises as ``make_segmenter`` does."""
    return load_class("step", name, STEPS).make(parameters)


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """What a person types as ``name=value``, values as JSON where they are JSON and as text otherwise.

    >>> parse_settings(["bins=64", "polarity=dark", "range=[0, 9]"])
    {'bins': 64, 'polarity': 'dark', 'range': [0, 9]}
    """
    parameters: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise InputError(f"a setting is written name=value, got {setting!r}")
        if name in parameters:
            raise InputError(f"{name} is set twice")
        try:
            parameters[name] = json.loads(value)
        except json.JSONDecodeError:
            parameters[name] = value.strip()
    return parameters
