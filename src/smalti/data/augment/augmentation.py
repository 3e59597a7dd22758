"""What an augmentation is: a described record that changes a draft, by random numbers that are the sample's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic_core import core_schema

from ...errors import InputError
from ...segmenter import Parameters

if TYPE_CHECKING:
    from .draft import Draft

Kind = Literal["spatial", "tone", "filter", "mixing", "chain"]


def sample_rng(seed: int, index: int, epoch: int = 0) -> np.random.Generator:
    """The random numbers of one sample in one epoch, the same in whatever order and process samples are made.

    Philox (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11) takes seed and epoch as its key and
    the sample as the upper part of its counter, so no two samples share a stretch of numbers.
    """
    for name, number in (("seed", seed), ("index", index), ("epoch", epoch)):
        if not 0 <= number < 2**64:
            raise InputError(f"{name} must be a whole number from 0 to 2**64 - 1, got {number}")
    key = np.array([seed, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, index], np.uint64)))


@dataclass(frozen=True)
class Within:
    """Bounds of a range: two numbers, the first not above the second, one of which is drawn between."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, span: tuple[float, float]) -> tuple[float, float]:
        """The span itself. Raises ``ValueError`` for one that falls or leaves the bounds."""
        if not self.low <= span[0] <= span[1] <= self.high:
            raise ValueError(
                f"wanted two numbers from {self.low:g} to {self.high:g}, the first not above the second"
            )
        return span


Span = tuple[float, float]


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
    ``filter`` pixels in any other way, ``mixing`` two samples or more.
    """

    listing: ClassVar[str] = "augmentations"
    kind: ClassVar[Kind]
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str]

    probability: float = Field(1.0, ge=0, le=1, description="Share of samples that are changed.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        """Change the draft, whose pixels and truth move together."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it changes")


Degrees = Annotated[Span, Within(-180, 180)]
Steep = Annotated[Span, Within(-60, 60)]
Ratios = Annotated[Span, Within(0.05, 20)]
Shares = Annotated[Span, Within(0, 1)]
SignedShares = Annotated[Span, Within(-1, 1)]
