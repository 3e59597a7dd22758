"""What an augmentation is: a described record that changes a draft, by random numbers that are the sample's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, ValidationError, model_validator
from pydantic_core import core_schema

from ...errors import InputError
from ...image import Image
from ...segmentation import Segmentation
from ...segmenter import Parameters, parse_settings
from . import make_augmentation
from .arrays import Arrays, Augmented, draft_of_arrays, finish_arrays
from .draft import Draft
from .objects import Samples, draft_of_objects, finish_objects
from .warp import Border, Interpolation

Kind = Literal["spatial", "tone", "filter", "mixing", "chain"]


def sample_rng(seed: int, index: int, epoch: int = 0) -> np.random.Generator:
    """The random numbers of one sample in one epoch, the same in whatever order and process samples are made.

    Philox (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11) takes seed and epoch as its key and
    the sample as the upper part of its counter, so no two samples share a stretch of numbers.
    """
    if not (0 <= seed < 2**64 and 0 <= index < 2**64 and 0 <= epoch < 2**64):
        raise InputError(
            f"seed, index and epoch must be from 0 to 2**64 - 1, got {seed}, {index} and {epoch}"
        )
    key: Any = _Key(int(seed), int(epoch))  # numpy's types know one kind of seed sequence only
    return np.random.Generator(np.random.Philox(key, counter=[0, 0, 0, int(index)]))


class _Key(ISeedSequence):
    """Two words as they are. Given as ``key=``, numpy asks the system for entropy first: 11 us instead of 4."""

    def __init__(self, seed: int, epoch: int) -> None:
        self.words = (seed, epoch)

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        return np.array(self.words[:n_words], dtype)


@dataclass(frozen=True)
class Within:
    """Bounds of a span: two numbers, the first not above the second, between which one is drawn."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self.check, handler(source))

    def check(self, given: Any, handler: Callable[[Any], tuple[float, float]]) -> tuple[float, float]:
        """The span that is given. Raises ``ValueError`` for none, and for one that falls or leaves the bounds."""
        try:
            low, high = handler(given)
            fits = self.low <= low <= high <= self.high
        except ValidationError:
            fits = False
        if not fits:
            raise ValueError(
                f"wanted two numbers from {self.low:g} to {self.high:g} such as [{self.low:g},{self.high:g}], "
                "the first not above the second"
            )
        return low, high

    def __str__(self) -> str:
        return f"two numbers, {self.low:g} to {self.high:g}"


Span = tuple[float, float]
Degrees = Annotated[Span, Within(-180, 180)]
Ratios = Annotated[Span, Within(0.05, 20)]
Shares = Annotated[Span, Within(0, 1)]
SignedShares = Annotated[Span, Within(-1, 1)]


def between(span: Span, rng: np.random.Generator) -> float:
    """A number drawn evenly from the span."""
    low, high = span
    return low + (high - low) * rng.random() if low < high else low


def between_ratios(span: Span, rng: np.random.Generator) -> float:
    """A factor drawn evenly on the logarithmic scale, so that a half is as likely as a double."""
    low, high = span
    return float(low * (high / low) ** rng.random()) if low < high else low


class Augmentation(Parameters):
    """A change of an image and its truth. Subclasses write ``change``, which works on a draft of both.

    ``kind`` says what it touches: ``spatial`` where pixels lie, ``tone`` the value of each pixel by a curve,
    ``filter`` pixels in any other way, ``mixing`` several samples; a ``chain`` is made of others.
    """

    listing: ClassVar[str] = "augmentations"
    kind: ClassVar[Kind]
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str]

    probability: float = Field(1.0, ge=0, le=1, description="Share of samples that are changed.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        """Change the draft, whose pixels and truth move together."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it changes")

    def drawn(self, rng: np.random.Generator) -> list[Augmentation]:
        """What is done to one sample: this, or nothing, by its probability; of a chain its steps."""
        return [self] if self.probability >= 1 or rng.random() < self.probability else []

    def as_chain(self) -> Chain:
        """A chain of this one alone."""
        return Chain.make({"steps": (self,)})

    def apply(
        self,
        image: Image,
        segmentation: Segmentation | None,
        rng: np.random.Generator,
        *,
        others: Samples = (),
    ) -> tuple[Image, Segmentation | None]:
        """The image and its segments, changed by random numbers of ``rng`` (see ``sample_rng``).

        Segments of which less than the chain's ``min_visible`` is left are gone and their rests void; the others
        are renumbered 1..N with their class, score and attributes. What lies beyond the image is void. The spacing
        and the affine follow; where the image is bent, seen in perspective or put together from several, the affine
        is dropped. ``others`` are the samples that mixing draws from. Nothing that is given is changed.
        Raises ``InputError`` where image and segmentation differ in shape, and for what the chain cannot take.
        """
        chain = self.as_chain()
        draft = draft_of_objects(image, segmentation, others, chain.settings())
        chain.run(draft, rng)
        return finish_objects(draft, image, chain.min_visible)

    def apply_arrays(
        self,
        pixels: np.ndarray,
        labels: np.ndarray | None,
        rng: np.random.Generator,
        *,
        class_ids: np.ndarray | None = None,
        void: int | None = None,
        spacing: Sequence[float] | None = None,
        others: Sequence[Arrays] = (),
    ) -> Augmented:
        """The same on arrays, for training: no segments are made of the pixels.

        ``pixels`` (*S, C) and ``labels`` (*S,), class ids, or with ``class_ids`` (N,) numbers of segments. ``void``
        is the label of what nobody knows; what lies beyond the image gets it, or 0 where there is none. ``others``
        are tuples of pixels, labels and, as here, class_ids.
        """
        chain = self.as_chain()
        draft = draft_of_arrays(pixels, labels, class_ids, void, spacing, others, chain.settings())
        chain.run(draft, rng)
        return finish_arrays(draft, chain.min_visible, void)


def _described(value: Any) -> Any:
    """A step from its description: ``{"name": "rotate", "degrees": [-5, 5]}`` or ``rotate:degrees=[-5,5]``."""
    if isinstance(value, str):
        name, _, settings = value.partition(":")
        return make_augmentation(name, **parse_settings([part for part in settings.split(";") if part]))
    if isinstance(value, Mapping):
        if not isinstance(value.get("name"), str) or not all(isinstance(key, str) for key in value):
            raise InputError(f"an augmentation is described by its name and parameters, got {dict(value)}")
        return make_augmentation(**value)
    return value


Steps = Annotated[
    tuple[
        Annotated[
            SerializeAsAny[Augmentation], BeforeValidator(_described), PlainSerializer(Parameters.describe)
        ],
        ...,
    ],
    BeforeValidator(lambda steps: (steps,) if isinstance(steps, str | Mapping | Parameters) else steps),
]


class Chain(Augmentation):
    """Augmentations one after the other, each with its probability.

    Those that mix samples divide the chain into stretches. In each, the spatial ones come first, joined into one
    move, so that pixels are sampled once, and then the others in the order written, with neighbouring tones joined
    into one curve.
    """

    name: ClassVar[str] = "chain"
    kind: ClassVar[Kind] = "chain"
    source: ClassVar[str] = "composition of other augmentations"

    steps: Steps = Field((), description="Augmentations in order, such as rotate:degrees=[-5,5].")
    border: Border = Field(
        "void", description="Beyond the image: void, or mirror, the image and its truth reflected."
    )
    fill: float | None = Field(
        None,
        description="Value of pixels beyond the image; by default 0 for 8 bits, else the image's lowest.",
    )
    interpolation: Interpolation = Field(
        "linear", description="Of pixels that are moved; labels are never interpolated."
    )
    value_range: tuple[float, float] | None = Field(
        None, description="Lowest and highest value; by default 0 and 255 for 8 bits, else the image's own."
    )
    min_visible: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of a segment that must be left; otherwise it is dropped, its rest void.",
    )

    @model_validator(mode="after")
    def _check(self) -> Chain:
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ValueError("value_range must be a lower and a higher value")
        return self

    def as_chain(self) -> Chain:
        return self

    def settings(self) -> dict[str, Any]:
        """What a draft is to know of the chain."""
        return {
            "border": self.border,
            "fill": self.fill,
            "interpolation": self.interpolation,
            "value_range": self.value_range,
        }

    def drawn(self, rng: np.random.Generator) -> list[Augmentation]:
        if not super().drawn(rng):
            return []
        return [one for step in self.steps for one in step.drawn(rng)]

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        self.run(draft, rng)

    def run(self, draft: Draft, rng: np.random.Generator) -> None:
        """Change the draft by every step that is drawn; what is kept is carried out when the draft is settled."""
        stretch: list[Augmentation] = []
        for step in self.drawn(rng):
            if draft.ndim not in step.ndims:
                raise InputError(f"{step.name} takes {step.ndims[0]}-D images only, got {draft.ndim}-D")
            if step.kind == "mixing":
                _change(stretch, draft, rng)
                stretch = []
                step.change(draft, rng)
            else:
                stretch.append(step)
        _change(stretch, draft, rng)


def _change(stretch: Sequence[Augmentation], draft: Draft, rng: np.random.Generator) -> None:
    """The spatial steps first, then the others in order."""
    for step in stretch:
        if step.kind == "spatial":
            step.change(draft, rng)
    for step in stretch:
        if step.kind != "spatial":
            step.change(draft, rng)


class OneOf(Augmentation):
    """One of several augmentations, each as likely."""

    name: ClassVar[str] = "one-of"
    kind: ClassVar[Kind] = "chain"
    source: ClassVar[str] = "composition of other augmentations"

    steps: Steps = Field((), description="Augmentations, one of which is drawn, such as blur or sharpen.")

    def drawn(self, rng: np.random.Generator) -> list[Augmentation]:
        if not super().drawn(rng) or not self.steps:
            return []
        return self.steps[int(rng.integers(len(self.steps)))].drawn(rng)
