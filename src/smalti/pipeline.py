"""A method with steps before and after it, itself a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny

from .errors import InputError
from .image import Image
from .segmentation import Segmentation
from .segmenter import (
    ImageStep,
    Method,
    Parameters,
    Prompts,
    SegmentStep,
    check_prompts,
    make_segmenter,
    make_step,
    parse_settings,
)


def _described(value: Any, make: Any) -> Any:
    """A part from its description: ``{"name": "gaussian", "sigma_px": 2}`` or ``gaussian:sigma_px=2``."""
    if isinstance(value, str):
        name, _, settings = value.partition(":")
        return make(name, **parse_settings([part for part in settings.split(";") if part]))
    if isinstance(value, Mapping):
        if not isinstance(value.get("name"), str) or not all(isinstance(key, str) for key in value):
            raise InputError(
                f"a step or method is described by its name and parameters, all named by text, got {dict(value)}"
            )
        return make(**value)
    return value


def _in_a_row(value: Any) -> Any:
    """One step alone as the only one of a row."""
    return (value,) if isinstance(value, str | Mapping | Parameters) else value


def _image_step(value: Any) -> Any:
    step = _described(value, make_step)
    if isinstance(step, SegmentStep):
        raise InputError(f"{step.name} works on segments: give it after the method")
    return step


def _segment_step(value: Any) -> Any:
    step = _described(value, make_step)
    if isinstance(step, ImageStep):
        raise InputError(f"{step.name} works on the image: give it before the method")
    return step


def _method(value: Any) -> Any:
    return _described(value, make_segmenter)


_DESCRIBED = PlainSerializer(Parameters.describe)


class Pipeline(Method):
    """Steps on the image, then a method, then steps on its segments."""

    name: ClassVar[str] = "pipeline"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "composition of other methods"

    before: Annotated[
        tuple[Annotated[SerializeAsAny[ImageStep], BeforeValidator(_image_step), _DESCRIBED], ...],
        BeforeValidator(_in_a_row),
    ] = Field((), description="Steps on the image, such as gaussian:sigma_px=2, in order.")
    method: Annotated[SerializeAsAny[Method], BeforeValidator(_method), _DESCRIBED] = Field(
        "otsu", validate_default=True, description="The method between the steps, such as otsu:polarity=dark."
    )
    after: Annotated[
        tuple[Annotated[SerializeAsAny[SegmentStep], BeforeValidator(_segment_step), _DESCRIBED], ...],
        BeforeValidator(_in_a_row),
    ] = Field((), description="Steps on the segments, such as drop-small:min_area_px=20, in order.")

    @property
    def takes(self) -> tuple[str, ...]:
        """What the method between the steps takes."""
        return self.method.takes

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """The method's segments of the stepped image, stepped in turn; prompts go to the method.

        Raises ``InputError`` for prompts the method does not take.
        """
        check_prompts(self, prompts)
        for before in self.before:
            image = before.apply(image)
        to_method = (prompts,) if prompts else ()
        segmentation = self.method.predict(image, *to_method)
        for after in self.after:
            segmentation = after.apply(segmentation)
        return segmentation
