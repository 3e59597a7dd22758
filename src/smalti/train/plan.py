"""The plan of a training: every decision with its reason, as a file that a person can read, change and use again."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    create_model,
    model_validator,
)

from ..data.augment.augmentation import Chain
from ..data.augment.presets import preset
from ..errors import InputError, ReadError, unknown_name
from ..postprocess.border import MAX_WIDTH_PX
from ..postprocess.targets import Task

AXES = ("z", "y", "x")
WIDTH = 100
"""Columns of an explained plan."""
_NAME, _VALUE = 18, 26


def _chain(value: Any) -> Any:
    """A chain from the name of a preset, from its steps or from its description."""
    if isinstance(value, str):
        return preset(value)
    if isinstance(value, list | tuple):
        return Chain.make({"steps": tuple(value)})
    if isinstance(value, Mapping):
        return Chain.make({key: each for key, each in value.items() if key != "name"})
    return value


Augment = Annotated[Chain, BeforeValidator(_chain), PlainSerializer(Chain.describe)]
Lengths = tuple[Annotated[int, Field(ge=1, le=2**16)], ...]
Positive = Annotated[float, Field(gt=0)]
Loss = str | dict[str, float | dict[str, float | bool]]
LONGEST_SETTING = 256
LARGEST_SETTING = 2**16
"""A net's parameter beyond it is a slip, or meant to fill the memory."""


def _modest(settings: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a net: names, bools, numbers and short lists and mappings of them."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, list | tuple | dict) and len(value) <= LONGEST_SETTING:
            for each in value.values() if isinstance(value, dict) else value:
                check(name, each)
        elif isinstance(value, int | float) and not abs(value) <= LARGEST_SETTING:
            raise InputError(f"{name} of the net is a number up to {LARGEST_SETTING}, got {value!r}")
        elif not isinstance(value, str | int | float | None):
            raise InputError(
                f"{name} of the net is a name, a number or up to {LONGEST_SETTING} of them, got {type(value).__name__}"
            )

    for name, value in settings.items():
        check(name, value)
    return settings


NetSettings = Annotated[dict[str, Any], AfterValidator(_modest)]


class Plan(BaseModel):
    """How a network is trained. Lengths are in pixels of the images after ``spacing`` and ``scale``; values are as
    networks see them (``intensities.as_seen``: unsigned integers as shares of their kind's largest)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = Field(default=1, description="Version of this form.")
    task: Task = Field(description="What is looked for: semantic, instance or panoptic.")
    objects: Literal["none", "border", "centers"] = Field(
        description="How touching objects are told apart: by a border between them, by their centres, or not at all."
    )
    border_px: int = Field(ge=0, le=MAX_WIDTH_PX, description="Width of that border; 0 without one.")
    offset_unit_px: float = Field(
        default=1.0, gt=0, le=1e4, description="Pixels that an offset of 1 to an object's centre means."
    )
    distance: bool = Field(default=False, description="Whether the depth inside an object is learned, too.")

    spacing: tuple[Positive, ...] | None = Field(
        default=None,
        description="Distance between pixels along each axis that images are brought to; none leaves them.",
    )
    unit: str = Field(default="px", description="Unit of the spacing.")
    scale: float = Field(default=1.0, gt=0, le=4, description="Factor by which images are resized then.")
    normalise: Literal["fixed", "zscore", "percentiles"] = Field(
        description="What values are brought to 0 and 1 by: a mean and spread of all images, those of each image, or "
        "two percentiles of each image."
    )
    mean: tuple[float, ...] = Field(default=(), description="Of each channel, for fixed.")
    std: tuple[Positive, ...] = Field(default=(), description="Of each channel, for fixed.")
    clip: tuple[tuple[float, float], ...] | None = Field(
        default=None,
        description="Lowest and highest value of each channel, for fixed; beyond them values are cut.",
    )
    percentiles: tuple[float, float] = Field(default=(0.5, 99.5), description="The two percentiles.")
    polarity: Literal["kept", "bright"] = Field(
        default="kept",
        description="bright: images whose brightness has its tail on the dark side are turned over; not for fixed.",
    )

    crop_px: Lengths = Field(
        min_length=2, max_length=3, description="Size of the crops that are learned from."
    )
    batch_size: int = Field(
        ge=1, le=4096, description="Crops that are learned from at a time, on each device."
    )
    focus: Literal["class", "segment"] = Field(
        default="class",
        description="What some crops lie around: a pixel of a class, or a segment, each as often.",
    )
    focus_share: float = Field(ge=0, le=1, description="Share of such crops; the others lie anywhere.")
    draw: Literal["evenly", "rare", "size"] = Field(
        default="evenly",
        description="Whether images are drawn alike, more often where they have rare classes, or by the root of their "
        "size.",
    )
    augment: Augment = Field(description="How crops are changed at random.")

    network: str = Field(min_length=1, max_length=100, description="Name of the net.")
    network_settings: NetSettings = Field(default_factory=dict, description="Its parameters.")
    loss: Loss = Field(default="cross-entropy+dice", description="What is made small.")
    class_weights: Literal["none", "inverse", "sqrt", "effective", "enet"] = Field(
        default="none", description="How much more rare classes count."
    )

    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="How weights are changed.")
    learning_rate: float = Field(gt=0, le=10, description="How far, at most.")
    weight_decay: float = Field(ge=0, le=1, description="How strongly weights are drawn to 0.")
    warmup_share: float = Field(
        ge=0, le=0.9, description="Share of the steps in which the learning rate rises."
    )
    schedule: Literal["cosine", "poly", "one-cycle", "constant"] = Field(
        default="cosine", description="How it falls then."
    )
    ema_decay: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Share that the mean of the weights keeps in a step; none for no mean.",
    )
    grad_clip: float = Field(gt=0, description="Length that gradients are cut to.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Numbers that are calculated with."
    )
    budget_s: float | None = Field(default=None, gt=0, description="Seconds that training may take, or none.")
    steps: int | None = Field(
        default=None,
        ge=1,
        le=10**8,
        description="Steps of the optimizer; none for as many as the budget has room for.",
    )
    epoch_steps: int = Field(ge=1, description="Steps in which every image is taken once.")

    validate_on: Literal["split", "images", "none"] = Field(
        description="Images that are not learned from: those of the split val, some that are held out, or none."
    )
    validation_share: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the images that is held out."
    )
    validate_every: int = Field(ge=1, description="Steps from one validation to the next.")
    patience: int | None = Field(
        default=None, ge=1, description="Validations without a better one that end training."
    )
    folds: int = Field(
        default=1, ge=1, le=20, description="Networks, each trained without another part; 1 for one network."
    )
    flips: tuple[Literal["z", "y", "x"], ...] = Field(
        default=(), description="Axes along which images are turned over at prediction, in every combination."
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of every random choice.")

    reasons: dict[str, str] = Field(default_factory=dict, description="Why each was decided so.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        ndim = len(self.crop_px)
        if (self.objects == "border") != (self.border_px > 0):
            raise ValueError(
                f"objects border needs a border_px of 1 or more, any other 0; got {self.objects} and {self.border_px}"
            )
        if self.task == "semantic" and (self.objects != "none" or self.distance):
            raise ValueError(f"a semantic task tells no objects apart; got objects {self.objects}")
        if self.spacing is not None and (len(self.spacing) != ndim or self.unit == "px"):
            raise ValueError(
                f"spacing is {ndim} numbers, as crop_px, and has a unit; got {self.spacing} {self.unit}"
            )
        if self.normalise == "fixed" and not (0 < len(self.mean) == len(self.std)):
            raise ValueError("normalise fixed needs as many numbers of mean as of std, one per channel")
        if self.clip is not None and not (
            len(self.clip) == len(self.mean) and all(low < high for low, high in self.clip)
        ):
            raise ValueError("clip is a lower and a higher value for each channel, as many as of mean")
        if self.polarity != "kept" and self.normalise == "fixed":
            raise ValueError("polarity is for images that are normalised each by itself; normalise is fixed")
        if not 0 <= self.percentiles[0] < 50 < self.percentiles[1] <= 100:
            raise ValueError(f"percentiles are a number below 50 and one above it, got {self.percentiles}")
        if (self.validate_on == "images") != (self.validation_share > 0):
            raise ValueError(
                "validation_share is above 0 where images are held out and 0 otherwise; got "
                f"validate_on {self.validate_on} and {self.validation_share}"
            )
        if self.folds > 1 and self.validate_on == "none":
            raise ValueError("folds need images to hold out; validate_on is none")
        if len(set(self.flips)) < len(self.flips) or not set(self.flips) <= set(AXES[-ndim:]):
            raise ValueError(
                f"flips are some of {', '.join(AXES[-ndim:])}, each once, got {', '.join(self.flips)}"
            )
        known = type(self).model_fields
        for name in self.reasons:
            if name not in known:
                raise unknown_name("field of the plan that has a reason", name, known)
        return self

    @property
    def ndim(self) -> int:
        """Spatial axes, 2 or 3."""
        return len(self.crop_px)

    @property
    def validates(self) -> bool:
        """Whether there are images to validate on."""
        return self.validate_on != "none"

    @classmethod
    def checked(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Some of the fields, each with a value that it can have. Raises ``InputError`` for another name or value."""
        found = {}
        for name, value in settings.items():
            if name not in cls.model_fields or name == "reasons":
                raise unknown_name("setting of a plan", name, set(cls.model_fields) - {"reasons", "version"})
            field = cls.model_fields[name]
            form: Any = Annotated[field.annotation, Field(), *field.metadata]
            fields: dict[str, Any] = {name: (form, ...)}
            alone: Any = create_model("Setting", __config__=cls.model_config, **fields)
            try:
                found[name] = getattr(alone.model_validate({name: value}), name)
            except ValidationError as error:
                first = error.errors()[0]
                raise InputError(f"plan: {_said('.'.join(map(str, first['loc'])), first)}") from error
        return found

    @classmethod
    def make(cls, fields: Mapping[str, Any]) -> Self:
        """A plan of these fields. Raises ``InputError`` for an unknown one, one that is missing or a bad value."""
        for name in fields:
            if name not in cls.model_fields:
                raise unknown_name("field of a plan", str(name), cls.model_fields)
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"plan: {_said('.'.join(map(str, first['loc'])), first)}") from error
        except RecursionError as error:
            raise InputError(
                "plan: augmentations lie in each other too deep; write them side by side"
            ) from error

    def with_changes(self, reason: str = "as asked", **changes: Any) -> Self:
        """The plan with other values of some fields, for this ``reason``. Raises as ``make``."""
        reasons = self.reasons | dict.fromkeys((name for name in changes if name != "reasons"), reason)
        return self.make({**dict(self), "reasons": reasons, **changes})

    def to_json(self) -> str:
        """Text that ``from_json`` makes the same plan of, one field a line or so."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The plan that a text says.

        Raises ``ReadError`` for text that is no JSON, and ``InputError`` for a field that no plan has, which names the
        nearest one, for one that is missing or twice there and for values that cannot be.
        """
        try:
            said = json.loads(text, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            raise ReadError(f"the plan is not JSON: {error}") from error
        if not isinstance(said, dict):
            raise InputError(f"a plan is a JSON object of its fields, got {type(said).__name__}")
        return cls.make(said)

    def rows(self) -> list[tuple[str, str, str]]:
        """Decision, value and reason of all that has a reason, in the order of the fields."""
        named = [name for name in type(self).model_fields if name in self.reasons]
        return [(name, self._shown(name), self.reasons[name]) for name in named]

    def explain(self) -> str:
        """The rows as text of 100 columns."""
        lines = []
        for name, value, reason in self.rows():
            left = textwrap.wrap(value, _VALUE) or [""]
            right = textwrap.wrap(reason, WIDTH - _NAME - _VALUE - 4) or [""]
            for at in range(max(len(left), len(right))):
                columns = (
                    name if at == 0 else "",
                    left[at] if at < len(left) else "",
                    right[at] if at < len(right) else "",
                )
                lines.append(f"{columns[0]:<{_NAME}}  {columns[1]:<{_VALUE}}  {columns[2]}".rstrip())
        return "\n".join(lines)

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if name == "crop_px":
            return " x ".join(map(str, value))
        if name == "spacing":
            return (
                "as it is" if value is None else f"{' x '.join(f'{step:.3g}' for step in value)} {self.unit}"
            )
        if name == "objects" and value == "border":
            return f"border of {self.border_px} px"
        if name == "normalise" and value == "percentiles":
            return "percentiles {:g} and {:g}".format(*self.percentiles)
        if name == "normalise" and value == "fixed":
            means = ", ".join(
                f"{mean:.3g} ± {std:.3g}" for mean, std in zip(self.mean, self.std, strict=True)
            )
            return f"fixed: {means}"
        if name == "augment":
            return ", ".join(step.name for step in value.steps) or "none"
        if name == "network_settings":
            return ", ".join(f"{key} {_brief(each)}" for key, each in value.items()) or "none"
        if name == "loss" and not isinstance(value, str):
            return " + ".join(f"{_brief(each)} {key}" for key, each in value.items())
        if name == "budget_s" and value is not None:
            return f"{value / 60:.3g} min"
        if name == "validate_on" and value == "images":
            return f"{self.validation_share:.0%} of the images"
        return _brief(value)


def _brief(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(_brief(each) for each in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_brief(each)}" for key, each in value.items())
    return str(value)


def _said(where: str, problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{where} is missing; a plan has a value for it"
    if problem["type"] == "value_error" and not problem["loc"]:
        return message
    given = repr(problem["input"])
    return f"{where}: {message}, got {given if len(given) <= 80 else given[:77] + '...'}"


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, whose names are there once each: of two, one would be ignored."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{twice!r} is there twice in the plan; keep one of them")
    return found


def seconds(value: float) -> str:
    """A time as a person says it."""
    if value < 90:
        return f"{value:.3g} s"
    return f"{value / 60:.3g} min" if value < 5400 else f"{value / 3600:.3g} h"


def multiple(length: float, of: int) -> int:
    """The next multiple, upwards."""
    return max(1, math.ceil(length / of - 1e-9)) * of
