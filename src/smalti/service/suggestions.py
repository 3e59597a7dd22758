"""What to annotate next: the places, and what a page shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..image import Image
from ..pixel.suggest import By


@dataclass(frozen=True)
class Suggestion:
    """A place to annotate: a ``box`` (2 * ndim,) in pixels, mins and then maxs, half open.

    ``between`` are the two classes that the model is least able to tell apart there, with their mean probabilities.
    """

    image: str
    box: tuple[int, ...]
    uncertainty: float
    between: tuple[tuple[str, float], tuple[str, float]]
    crop: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The part that programs read."""
        ndim = len(self.box) // 2
        low, high = self.box[-2 - ndim : -ndim], self.box[-2:]
        place = {"y": low[0], "x": low[1], "height": high[0] - low[0], "width": high[1] - low[1]}
        return {
            "image": self.image,
            **({"z": self.box[0]} if ndim == 3 else {}),
            **place,
            "uncertainty": round(self.uncertainty, 6),
            "between": {name: round(share, 6) for name, share in self.between},
            **({"crop": self.crop} if self.crop else {}),
        }


@dataclass(frozen=True)
class Suggestions:
    """What to annotate next, best first, and what became of the images that were looked at.

    ``annotated`` images are labelled so far that no window was left; ``failed`` are the names and errors of others.
    """

    model: Path
    by: By
    items: tuple[Suggestion, ...]
    looked_at: int
    annotated: int
    failed: tuple[tuple[str, str], ...]
    page: Path | None = None

    @property
    def nothing(self) -> str | None:
        """Why there is nothing to suggest, None where there is something."""
        if self.items:
            return None
        if len(self.failed) == self.looked_at:
            return "no image could be used"
        if self.annotated + len(self.failed) == self.looked_at:
            return "give images that are not annotated yet"
        return "where there are no labels the model is certain"

    def to_json(self) -> dict[str, Any]:
        """The part that programs read."""
        return {
            "model": str(self.model),
            "by": self.by,
            "images": self.looked_at,
            "annotated": self.annotated,
            "suggestions": [{"rank": rank, **each.to_json()} for rank, each in enumerate(self.items, 1)],
            "failed": [{"image": name, "error": error} for name, error in self.failed],
            **({"page": str(self.page)} if self.page else {}),
        }


@dataclass(frozen=True, eq=False)
class Seen:
    """What a page shows of one suggestion: the whole image, its uncertainty and what is labelled, (*S,) each."""

    image: Image
    unsure: np.ndarray
    known: np.ndarray | None
