"""What a training tells of itself while it runs: a report after each step, and one after each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import ReadError


@dataclass(frozen=True)
class StepReport:
    """One step of an optimizer: ``step`` of ``steps``, both from 1, in ``epoch`` of ``epochs``.

    ``parts`` are what the loss is the sum of, by name. ``step_seconds`` is all the time since the step before, of which
    ``waiting_seconds`` passed until its images were there. ``images_per_second`` counts those of all devices.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    parts: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float = math.nan
    step_seconds: float = math.nan
    waiting_seconds: float = 0.0
    images_per_second: float = math.nan


@dataclass(frozen=True)
class EpochReport:
    """One pass over the data, and how good the model was on validation images after it.

    ``train_loss`` is the mean loss of its steps, the last of which is ``step``. ``metrics`` are higher for better,
    ``main`` names the one that decides, and ``best`` says that it was higher than in all epochs before; without
    validation images there are none and ``main`` is empty. ``seconds`` count the validation.
    """

    step: int
    epoch: int
    train_loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    main: str = ""
    best: bool = False
    seconds: float = math.nan

    @property
    def score(self) -> float:
        """The metric that decides; NaN where there is none."""
        return self.metrics.get(self.main, math.nan)

    def to_json(self) -> dict[str, Any]:
        """As plain values, None for a number that is not finite."""
        return {
            "step": int(self.step),
            "epoch": int(self.epoch),
            "train_loss": _or_none(self.train_loss),
            "metrics": {name: _or_none(value) for name, value in self.metrics.items()},
            "main": self.main,
            "best": bool(self.best),
            "seconds": _or_none(self.seconds),
        }

    @classmethod
    def from_json(cls, content: Any) -> EpochReport:
        """What ``to_json`` gave, NaN for None. Raises ``ReadError`` for anything else."""
        names = [each.name for each in fields(cls)]
        if not isinstance(content, dict) or sorted(content) != sorted(names):
            raise ReadError(f"a report of an epoch has {', '.join(names)}")
        metrics = content["metrics"]
        if not isinstance(metrics, dict) or not isinstance(content["main"], str):
            raise ReadError("metrics are numbers by name, and main is the name of one")
        return cls(
            whole(content["step"], "step"),
            whole(content["epoch"], "epoch"),
            _or_nan(content["train_loss"]),
            {name: _or_nan(value) for name, value in metrics.items()},
            content["main"],
            content["best"] is True,
            _or_nan(content["seconds"]),
        )


def best_of(history: Sequence[EpochReport]) -> EpochReport | None:
    """The last epoch that was better than all before it, if there is one."""
    return next((report for report in reversed(history) if report.best), None)


def whole(value: Any, what: str) -> int:
    """The value if it is a whole number from 0 that a program counts to. Raises ``ReadError``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ReadError(f"{what} is a whole number from 0, got {str(value)[:40]!r}")
    return value


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _or_nan(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ReadError(f"a finite number is wanted, got {str(value)[:40]!r}")
    return float(value)
