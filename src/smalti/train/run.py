"""The folder of a training run: what is needed to go on with it, and what tells a person about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ReadError
from ..io.writing import replacing
from ..runtime.fitted import PLAN
from .checkpoint import (
    CHECKPOINT,
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

PROGRESS = ("steps", "budget_s", "due", "seconds", "validation_s", "loss_sum", "losses", "validated")
"""Plain values of a ``State`` that a checkpoint has beside its step and history."""


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

    def begin(self) -> None:
        """Forget what another training left in the folder and its folds, unless this one goes on with it."""
        if self.folder is None or self.resume:
            return
        for path in (*self.folder.glob(CHECKPOINT), *self.folder.glob(f"fold_*/{CHECKPOINT}")):
            path.unlink(missing_ok=True)

    @property
    def kept_plan(self) -> Plan | None:
        """The plan that was followed before, where there is one. Raises ``ReadError`` and ``InputError``."""
        path = None if self.folder is None else self.folder / PLAN
        if path is None or not path.is_file():
            return None
        try:
            return Plan.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error

    def keep_plan(self, plan: Plan) -> None:
        """Write the plan into the folder. Raises ``WriteError``."""
        if self.folder is None:
            return
        with replacing(self.folder / PLAN) as part:
            part.write_text(plan.to_json(), encoding="utf-8")


@dataclass(frozen=True)
class Keeper:
    """Keeps the state of a training by one plan on the samples of these ``names``, and brings it back.

    ``beside`` is what else decides what is learned: the files that a training begins with.
    """

    folder: Path
    plan: Plan
    names: tuple[str, ...]
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def plan_digest(self) -> str:
        """Of the plan without its reasons, which change nothing."""
        return digest_of({**self.plan.model_dump(mode="json"), "reasons": {}, "beside": dict(self.beside)})

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
                state={**{name: getattr(state, name) for name in PROGRESS}, "optimizer": plain},
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
        state.step = found.step
        for name in PROGRESS:
            setattr(state, name, found.state[name])
