"""What a model says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..pixel.explain import family_table
from ..table import Table


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model says of itself. ``features`` has ``feature``, ``family`` and ``importance``; None where it has none.

    ``images`` are those whose pictures are on the ``page``, ``failed`` the names and errors of those that could not be
    used.
    """

    model: Path
    method: str
    task: str | None
    classes: tuple[str, ...]
    report: Mapping[str, Any]
    features: Table | None
    images: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    page: Path | None = None
    families: Table | None = field(init=False)

    def __post_init__(self) -> None:
        told = self.features is not None and "family" in self.features
        object.__setattr__(self, "families", family_table(self.features) if told and self.features else None)

    def to_json(self) -> dict[str, Any]:
        """The part that programs read."""
        return {
            "model": str(self.model),
            "method": self.method,
            "task": self.task,
            "classes": list(self.classes),
            "report": dict(self.report),
            "features": [] if self.features is None else list(self.features.rows()),
            "families": [] if self.families is None else list(self.families.rows()),
            "images": list(self.images),
            "failed": [{"image": name, "error": error} for name, error in self.failed],
            **({"page": str(self.page)} if self.page else {}),
        }
