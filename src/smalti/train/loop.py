"""The training loop, which can be read aloud."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..errors import Interrupted, SmaltiError
from .batches import Batch
from .distributed import ALONE, Ranks
from .optimizer import Ema, learning_rate_at
from .optimizer import Schedule as ScheduleKind
from .pace import Pace
from .reports import EpochReport, StepReport

Output: TypeAlias = Tensor | list[Tensor]
Loss = Callable[[Tensor, Output, Mapping[str, Tensor]], tuple[Tensor, Mapping[str, Tensor]]]
"""From images (B, C, *S), what the network makes of them and the targets to the loss and its parts."""
Validate = Callable[[nn.Module], Mapping[str, float]]

KEEP_EVERY_S = 300.0
"""Seconds after which the state is kept whether or not there was a validation."""


class Diverged(SmaltiError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Schedule:
    """How fast to learn while training, and when to look how good the network is.

    ``epoch_steps`` are one pass over the data; validation is after every ``validate_every`` steps and at the end.
    ``patience`` is how many validations may pass without a better one.
    """

    epoch_steps: int
    validate_every: int
    learning_rate: float
    warmup_steps: int = 0
    kind: ScheduleKind = "cosine"
    grad_clip: float = 5.0
    patience: int | None = None
    precision: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass
class State:
    """Where a training is: everything that changes, so that to keep it is to keep the training.

    ``steps`` are all there will be, in ``budget_s`` seconds if that is not None. ``seconds`` are those that passed so
    far, ``validation_s`` of them in validations. ``due`` says that a validation comes before the next step.
    ``loss_sum`` is that of the ``losses`` steps since the last one. ``best`` are the weights of the best validation.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    ema: Ema
    steps: int
    budget_s: float | None = None
    step: int = 0
    due: bool = False
    seconds: float = 0.0
    validation_s: float = 0.0
    loss_sum: float = 0.0
    losses: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: tuple[EpochReport, ...] = ()


def train(
    state: State,
    batches: Iterator[Batch],
    loss_of: Loss,
    schedule: Schedule,
    *,
    validate: Validate | None = None,
    main: str = "",
    watch: Callable[[StepReport | EpochReport], None] = lambda report: None,
    keep: Callable[[State], None] = lambda state: None,
    stopped: Callable[[], bool] = lambda: False,
    names: Callable[[tuple[int, ...]], str] = str,
    ranks: Ranks = ALONE,
    clock: Callable[[], float] = perf_counter,
) -> None:
    """Train ``state`` on until its last step.

    ``batches`` begin with the one that comes next. ``validate`` scores a network with the averaged weights, of which
    the score called ``main`` is to be high; without it the newest weights are the best ones. ``keep`` is given the
    state after each validation, and when ``stopped`` says so, which raises ``Interrupted``. A loss that is no finite
    number raises ``Diverged``: what was kept last is from before it. Of several ``ranks`` the first one validates,
    watches and keeps.
    """
    network = ranks.parallel(state.network)
    pace = Pace(state.budget_s, schedule.validate_every, state.seconds, state.validation_s)
    kept = clock()
    while state.step < state.steps or state.due:
        start = clock()
        if state.due:
            if ranks.leads:
                validated(state, schedule, validate, main, watch, clock)
            state.due, state.loss_sum, state.losses = False, 0.0, 0
            pace.validated(clock() - start)
            going_on = better_lately(state.history, schedule.patience)
            ended, stop = ranks.highest(not going_on, stopped())
            if ended:
                state.steps = state.step  # to go on later is to have ended, too
        else:
            batch = next(batches)
            waited = clock() - start
            rate = rate_of(state, schedule)
            loss, parts = learn(state, network, batch, rate, loss_of, schedule, ranks)
            if not math.isfinite(loss):
                raise Diverged(
                    f"the loss or its gradient became {loss} at step {state.step + 1} of {state.steps} (learning rate "
                    f"{rate:.2g}, images {names(batch.numbers)}); look at these images, or set a lower learning_rate"
                )
            state.step += 1
            state.ema.update(state.network, state.step)
            state.loss_sum, state.losses = state.loss_sum + loss, state.losses + 1
            seconds = clock() - start
            pace.stepped(seconds)
            steps, due = (pace.steps(state.step, state.steps), pace.due(state.step)) if ranks.leads else (0, 0)
            stop, steps, due = ranks.highest(stopped(), steps, due)  # nobody goes on alone
            state.steps = int(steps)
            state.due = bool(due) or state.step == state.steps
            images = len(batch.image) * ranks.count
            if ranks.leads:
                watch(step_report(state, schedule, loss, parts, rate, seconds, waited, images))
        state.seconds, state.validation_s = pace.seconds, pace.validation_s
        looked = state.losses == 0
        if ranks.leads and (looked or stop or clock() - kept > KEEP_EVERY_S):
            check_weights(state)
            keep(state)
            kept = clock()
            pace.seconds += kept - start - (state.seconds - (pace.seconds - 0.0)) if False else 0.0
        if stop and (state.due or state.step < state.steps):
            raise Interrupted(f"stopped after step {state.step} of {state.steps}")
    state.best = ranks.tensors(state.best or state.ema.weights())
