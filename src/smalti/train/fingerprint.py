"""What a dataset is like: sizes, values, classes and objects, as a plan needs to know them.

The idea of a fingerprint that settles the plan is nnU-Net's (Isensee et al., Nature Methods 18, 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..classes import ClassSet
from ..errors import ReadError, SmaltiError
from ..postprocess.targets import Targets, Task
from ..values import ImageKind, Values
from .intensities import Difference, Intensity

AXES = ("z", "y", "x")
LEAN = {"z": 0.15, "y": 0.15, "x": 0.25}
"""Share of the image's length by which a class lies off the middle where an axis has a fixed direction. Left and right
are told apart by few things, so there it must be plainer: a pavement stays on its side for one whole video."""
LEAN_ERRORS = 6.0
"""Standard errors that it must be off: few, as many classes are asked along several axes."""
FEWEST_TO_LEAN = 8
"""Images with a class below which nothing is said of where it lies."""
SPARSE = 0.2
"""Where a smaller share of the pixels is labelled, the truth is strokes and shows no outline."""


class Spread(BaseModel):
    """The low end, the middle and the high end of many numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    median: float
    high: float


class Spacing(BaseModel):
    """The distance between pixels along one axis, over all images that say it: least, 10th percentile, median, most."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float = Field(gt=0)
    tenth: float = Field(gt=0)
    median: float = Field(gt=0)
    high: float = Field(gt=0)


class ClassFound(BaseModel):
    """One class of the class set: how much of it there is, how thick it is, and where in the image it lies.

    Objects are its segments where the task has objects and it is a thing, else connected pieces; their radius is that
    of the disc or ball as large, and its ends are the 5th and 95th percentile.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: int = Field(ge=1)
    name: str
    thing: bool
    pixel_share: float = Field(ge=0, le=1, description="Share of all labelled pixels.")
    image_share: float = Field(ge=0, le=1, description="Share of the images that have it.")
    segments: int = Field(ge=0, description="Segments in all truths that were looked at.")
    thickness_px: float | None = Field(
        default=None, gt=0, description="Median over images; none where there is none."
    )
    radius_px: Spread | None = Field(default=None, description="Radius of its objects.")
    lean: tuple[float, ...] = Field(
        default=(), description="Mean place along each axis less the middle, as share of it."
    )
    lean_error: tuple[float, ...] = Field(default=(), description="Standard error of that over images.")


class Objects(BaseModel):
    """Objects of all classes together."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    radius_px: Spread = Field(description="5th percentile, median and 95th of their radii.")
    per_image: Spread = Field(description="Fewest, median and most in an image.")
    touching: float = Field(ge=0, le=1, description="Share with another one at most one pixel away.")
    in_pieces: float = Field(ge=0, le=1, description="Pieces beyond the first, by objects.")


class Fingerprint(BaseModel):
    """What a dataset is like. Lengths are in pixels; values are as networks see them (``intensities.as_seen``).

    ``smalti.train.survey.survey`` takes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_samples: int = Field(ge=1, description="Samples with an image and a truth.")
    num_truths: int = Field(ge=1, description="Truths that were looked at for classes, evenly chosen.")
    num_images: int = Field(ge=1, description="Images that were read, evenly chosen.")
    num_groups: int = Field(ge=1, description="Groups of samples; one without a group is one by itself.")
    splits: dict[str, int] = Field(description="Samples of each split that is named.")
    task: Task = Field(description="What the truths are for.")
    ndim: Literal[2, 3] = Field(description="Spatial axes.")
    channels: tuple[str, ...] = Field(min_length=1, description="Channels without alpha.")
    values: Values = Field(description="Kinds of numbers and the highest value.")
    grey: bool = Field(description="Whether no image shows colour: one channel, or three alike.")
    sizes: tuple[Spread, ...] = Field(
        description="Least, median and largest length of images along each axis."
    )
    total_px: int = Field(ge=1, description="Pixels of all samples together, from the truths looked at.")
    spacing: tuple[Spacing, ...] | None = Field(
        default=None, description="Along each axis, where images say it."
    )
    unit: str = Field(default="px", description="Unit of the spacing.")
    spacing_known: float = Field(
        default=0.0, ge=0, le=1, description="Share of the images that say their spacing."
    )
    mapped: bool = Field(default=False, description="Whether images lie in a geographic reference system.")
    intensities: tuple[Intensity, ...] = Field(description="Of each channel.")
    difference: Difference = Field(description="How images differ from each other.")
    classes: tuple[ClassFound, ...] = Field(min_length=1, description="All classes of the class set.")
    background_share: float = Field(ge=0, le=1, description="Share of labelled pixels that are no segment.")
    background_images: float = Field(ge=0, le=1, description="Share of the images that have such pixels.")
    void_share: float = Field(ge=0, le=1, description="Share of all pixels that nobody labelled.")
    objects: Objects | None = Field(
        default=None, description="Objects of all classes; none where there are none."
    )

    @property
    def kind(self) -> ImageKind:
        """The kind of images a model of this learns from."""
        return ImageKind(self.ndim, self.channels, self.values)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the spatial axes: y, x or z, y, x."""
        return AXES[-self.ndim :]

    @property
    def present(self) -> tuple[ClassFound, ...]:
        """Classes that are labelled somewhere."""
        return tuple(each for each in self.classes if each.segments)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of classes without any label, which nothing can be learned of."""
        return tuple(each.name for each in self.classes if not each.segments)

    @property
    def sparse(self) -> bool:
        """Whether so little is labelled that truths are strokes and not outlines."""
        return 1 - self.void_share < SPARSE

    @property
    def thinnest_px(self) -> float | None:
        """Thickness of the thinnest class, None where nothing is labelled."""
        known = [each.thickness_px for each in self.present if each.thickness_px is not None]
        return min(known) if known else None

    @property
    def thin_px(self) -> float | None:
        """Thickness below which a fifth of the classes are, None where nothing is labelled."""
        known = sorted(each.thickness_px for each in self.present if each.thickness_px is not None)
        return known[len(known) // 5] if known else None

    def leaning(self, axis: str) -> ClassFound | None:
        """The class that lies farthest off the middle along an axis in all images alike, None where there is none."""
        at = self.axes.index(axis)
        found = [
            each
            for each in self.present
            if each.lean
            and each.image_share * self.num_images >= FEWEST_TO_LEAN
            and abs(each.lean[at]) > max(LEAN[axis], LEAN_ERRORS * each.lean_error[at])
        ]
        return max(found, key=lambda each: abs(each.lean[at]), default=None)

    @property
    def directions_known(self) -> bool:
        """Whether there are images enough to tell by classes which axes have a fixed direction."""
        return any(each.image_share * self.num_images >= FEWEST_TO_LEAN for each in self.present)

    def targets(self, classes: ClassSet, border_px: int = 0) -> Targets:
        """What pixels are told as: classes that are there, background if there is any, and the border if asked for."""
        present = [each.id for each in self.present]
        return Targets.of(present, classes, self.background_share > 0, border_px)

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return self.model_dump(mode="json")

    @classmethod
    def restored(cls, said: Mapping[str, Any]) -> Self:
        """From ``described``. Raises ``ReadError`` for what cannot be."""
        try:
            values = Values.restored(said["values"])
            return cls.model_validate({**said, "values": values})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ReadError(f"not a fingerprint: {where}: {first['msg']}, got {first['input']!r}") from error
        except SmaltiError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ReadError(f"not a fingerprint: {error!r}") from error
