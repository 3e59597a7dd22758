"""What a person may say of a training that takes a while: how long, by which plan, where it goes on, who watches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, ReadError

if TYPE_CHECKING:
    from ..train.plan import Plan
    from ..train.run import Watch

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TIME = re.compile(r"(?:\d+(?:\.\d+)?[smh])+")

RUN_SUFFIX = ".run"
"""What the folder of a training run is called after the model: ``m.smalti`` is trained in ``m.run``."""


@dataclass(frozen=True)
class Training:
    """``budget_s`` is the time it may take, ``plan`` a file that decides everything, ``resume`` whether it goes on.

    ``watch`` is given the reports of steps and epochs, ``told`` the plan before the first of them; ``stopped`` is
    asked after each step.
    """

    budget_s: float | None = None
    plan: Path | None = None
    resume: bool = False
    watch: Watch | None = None
    told: Callable[[Plan], None] = lambda plan: None
    stopped: Callable[[], bool] = lambda: False

    @property
    def said(self) -> tuple[str, ...]:
        """What is asked for that only methods which train for a while can follow."""
        given = {
            "--budget": self.budget_s is not None,
            "--plan": self.plan is not None,
            "--resume": self.resume,
        }
        return tuple(option for option, there in given.items() if there)


def seconds_of(text: str) -> float:
    """A time such as ``90s``, ``10m``, ``1.5h`` or ``1h30m`` in seconds; a number alone is seconds.

    >>> seconds_of("1h30m")
    5400.0
    """
    text = text.strip().lower()
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        value = float(text)
    elif _TIME.fullmatch(text):
        value = sum(
            float(number) * UNITS_S[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
        )
    else:
        raise InputError(f"a time is written as 90s, 10m, 1.5h or 1h30m, got {text!r}")
    if value <= 0:
        raise InputError(f"a budget is a time above 0, got {text!r}")
    return value


def run_folder(out: Path) -> Path:
    """The folder where a model that is written to ``out`` is trained."""
    return out.with_suffix(RUN_SUFFIX)


def fit_arguments(out: Path, training: Training, validation: Any) -> dict[str, Any]:
    """What the ``fit`` of a method that trains for a while is given beside its samples and classes.

    Raises ``ReadError`` and ``InputError`` for a plan that is none.
    """
    from ..train.plan import Plan
    from ..train.run import Run, nobody_watches

    plan = None
    if training.plan is not None:
        try:
            plan = Plan.from_json(training.plan.read_text(encoding="utf-8"))
        except OSError as error:
            raise ReadError(f"{training.plan} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ReadError(f"{training.plan} is no text, so it is no plan") from error
    run = Run(run_folder(out), training.resume, training.watch or nobody_watches, training.stopped)
    return {"validation": validation, "plan": plan, "run": run, "told": training.told}
