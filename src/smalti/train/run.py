"""The folder of a training run: what is needed to go on with it, and what tells a person about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .checkpoint import (
    Checkpoint,
    digest_of,
    has_checkpoint,
    load_checkpoint,
    load_into,
    random_states,
    restore_random,
    save_checkpoint,
)
from .loop import State
from .optimizer import optimizer_state, restore_optimizer
from .plan import Plan
from .reports import EpochReport, StepReport

Watch = Callable[[StepReport | EpochReport], None]


def nobody_watches(report: StepReport | EpochReport) -> None:
    """Nothing is done with it."""


@dataclass(frozen=True)
class Run:
    """Where a training keeps what it has come to, whether it goes on from there, who watches and who may stop it.

    Without ``folder`` nothing is kept but the result.
    """

    folder: Path | None = None
    resume: bool = False
    watch: Watch = nobody_watches
    stopped: Callable[[], bool] = lambda: False

    def within(self, name: str) -> Run:
        """The run of a part of it, such as one fold."""
        folder = None if self.folder is None else self.folder / name
        return Run(folder, self.resume, self.watch, self.stopped)


@dataclass(frozen=True)
class Keeper:
    """Keeps the state of a training by one plan on one dataset, and brings it back."""

    folder: Path
    plan: Plan
    names: tuple[str, ...]

    @property
    def plan_digest(self) -> str:
        """Of the plan without its reasons, which change nothing."""
        return digest_of({**self.plan.model_dump(mode="json"), "reasons": {}})

    @property
    def there(self) -> bool:
        """Whether there is something to go on with."""
        return has_checkpoint(self.folder)

    def keep(self, state: State) -> None:
        """Write the state in place of the one before. Raises ``WriteError``, and the one before stays."""
        tensors, plain = optimizer_state(state.optimizer, state.network)
        groups = {
            "model": state.network.state_dict(),
            "ema": state.ema.state,
            "best": state.best,
            "optimizer": tensors,
            "random": random_states(),
        }
        save_checkpoint(
            self.folder,
            Checkpoint(
                step=state.step,
                epoch=state.history[-1].epoch if state.history else 0,
                seed=self.plan.seed,
                plan=self.plan_digest,
                dataset=digest_of(list(self.names)),
                tensors=groups,
                history=state.history,
                state={"steps": state.steps, "seconds": state.seconds, "optimizer": plain},
            ),
        )

    def bring_back(self, state: State) -> None:
        """Make ``state`` what was kept last. Raises ``ReadError`` and ``InputError`` as ``load_checkpoint``."""
        found = load_checkpoint(self.folder, plan=self.plan_digest, dataset=digest_of(list(self.names)))
        load_into(state.network, found.tensors["model"])
        state.ema.restore(found.tensors["ema"])
        restore_optimizer(
            state.optimizer, state.network, found.tensors.get("optimizer", {}), found.state["optimizer"]
        )
        restore_random(found.tensors["random"])
        state.best = dict(found.tensors.get("best", {}))
        state.history = found.history
        state.step, state.steps = found.step, int(found.state["steps"])
        state.seconds = float(found.state["seconds"])
