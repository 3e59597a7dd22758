"""Decisions of a plan on their way: what was given stays, what was not is decided, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Choices:
    """What was decided so far, and why; what the user gave is never decided otherwise."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = dict(given)
        self.values: dict[str, Any] = dict(given)
        self.reasons: dict[str, str] = dict.fromkeys(given, "as asked")

    def decide(self, name: str, value: Any, reason: str | None = None) -> Any:
        """The value, or what was given in its place; without a reason it belongs to another decision."""
        if name in self.given:
            return self.given[name]
        self.values[name] = value
        if reason is not None:
            self.reasons[name] = reason
        return value
