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
    ``patience`` is how many validations may pass without a better one. ``validation_s`` is how long one takes, as far
    as is known.
    """

    epoch_steps: int
    validate_every: int
    learning_rate: float
    warmup_steps: int = 0
    kind: ScheduleKind = "cosine"
    grad_clip: float = 5.0
    patience: int | None = None
    validation_s: float = 0.0
    precision: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass
class State:
    """Where a training is: everything that changes, so that to keep it is to keep the training.

    ``steps`` are all there will be, in ``budget_s`` seconds if that is not None. ``seconds`` are those that passed so
    far, ``validation_s`` of them in validations. ``due`` says that a validation comes before the next step.
    ``loss_sum`` is that of the ``losses`` steps since the last one. ``best`` are the weights of the best validation, in
    which ``validated`` images were looked at.
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
    validated: int = 0
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
    pace = Pace(
        state.budget_s, schedule.validate_every, state.seconds, state.validation_s, schedule.validation_s
    )
    start = kept = clock()
    while state.step < state.steps or state.due:
        looked = state.due
        if looked:
            if ranks.leads:
                validated(state, schedule, validate, main, watch, clock)
            state.due, state.loss_sum, state.losses = False, 0.0, 0
            before, start = start, clock()
            pace.validated(start - before)
            ended, stop = ranks.highest(not better_lately(state.history, schedule.patience), stopped())
            if ended:
                state.steps = state.step  # whoever goes on later ends here, too
        else:
            asked = clock()
            batch = next(batches)
            waited = clock() - asked
            rate = rate_of(state, schedule)
            loss, parts = learn(state, network, batch, rate, loss_of, schedule, ranks)
            if not math.isfinite(loss):
                raise Diverged(
                    f"the loss, or its gradient, became {loss} at step {state.step + 1} of {state.steps} (learning "
                    f"rate {rate:.2g}, images {names(batch.numbers)}); look at these images, or set a lower "
                    "learning_rate"
                )
            state.step += 1
            state.ema.update(state.network, state.step)
            state.loss_sum, state.losses = state.loss_sum + loss, state.losses + 1
            if ranks.leads:
                seconds, images = clock() - start, len(batch.image) * ranks.count
                watch(step_report(state, schedule, loss, parts, rate, seconds, waited, images))
            before, start = start, clock()
            pace.stepped(start - before)
            stop, steps, due = ranks.highest(  # nobody goes on alone
                stopped(), pace.steps(state.step, state.steps) if ranks.leads else 0, pace.due(state.step)
            )
            state.steps = int(steps)
            state.due = bool(due) or state.step >= state.steps
        state.seconds, state.validation_s = pace.seconds, pace.validation_s
        if ranks.leads and (looked or stop or start - kept > KEEP_EVERY_S):
            check_weights(state)
            keep(state)
            kept = start
        if stop and (state.due or state.step < state.steps):
            raise Interrupted(f"stopped after step {state.step} of {state.steps}")
    state.best = ranks.tensors(state.best or state.ema.weights())


def learn(
    state: State,
    network: nn.Module,
    batch: Batch,
    rate: float,
    loss_of: Loss,
    schedule: Schedule,
    ranks: Ranks = ALONE,
) -> tuple[float, dict[str, float]]:
    """One optimizer step; the loss, the mean over ``ranks``, and its parts.

    ``network`` is that of the state, or what averages its gradients. Nothing is learned from a loss or a gradient that
    is no finite number, for which the loss given back is not finite either.
    """
    device = schedule.device
    network.train()
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]
    image = batch.image.to(device, memory_format=memory_format(batch.image))  # B, C, *S
    targets = {name: target.to(device) for name, target in batch.targets.items()}
    with torch.autocast(device.type, schedule.precision, enabled=schedule.precision != torch.float32):
        output = network(image)  # B, P, *S, or a list of them
    loss, parts = loss_of(image, output, targets)
    value = ranks.mean(loss.item())
    if math.isfinite(value):
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        size = nn.utils.clip_grad_norm_(state.network.parameters(), schedule.grad_clip)
        if math.isfinite(size.item()):
            state.optimizer.step()
        else:
            value = math.nan
    return value, {name: part.item() for name, part in parts.items()}


def validated(
    state: State,
    schedule: Schedule,
    validate: Validate | None,
    main: str,
    watch: Callable[[StepReport | EpochReport], None],
    clock: Callable[[], float] = perf_counter,
) -> None:
    """Score the averaged weights, and keep them if they are the best so far; without a score the newest are.

    Of weights that score the same the later ones are kept, which have seen more.
    """
    start = clock()
    scores: dict[str, float] = {}
    if validate is not None:
        with state.ema.applied_to(state.network) as averaged:
            scores = dict(validate(averaged.eval()))
    score = scores.get(main, math.nan)
    highest = max(
        (report.score for report in state.history if math.isfinite(report.score)), default=-math.inf
    )
    if validate is None or score >= highest or not state.best:
        state.best = state.ema.weights()
    report = EpochReport(
        step=state.step,
        epoch=math.ceil(state.step / schedule.epoch_steps),
        train_loss=state.loss_sum / max(1, state.losses),
        metrics=scores,
        main=main if scores else "",
        best=score > highest,
        seconds=clock() - start,
    )
    state.history += (report,)
    watch(report)


def rate_of(state: State, schedule: Schedule) -> float:
    """The learning rate of the next step."""
    warmup = min(schedule.warmup_steps, state.steps - 1)
    return learning_rate_at(state.step, state.steps, schedule.learning_rate, warmup, schedule.kind)


def check_weights(state: State) -> None:
    """Raise ``Diverged`` for weights that are no numbers: what was kept before is better."""
    with torch.no_grad():
        if all(bool(torch.isfinite(each).all()) for each in state.network.parameters()):
            return
    raise Diverged(f"weights are no numbers any more after step {state.step}; set a lower learning_rate")


def memory_format(image: Tensor) -> torch.memory_format:
    """Channels last, which convolutions on CPUs and tensor cores are fast at."""
    return torch.channels_last if image.ndim == 4 else torch.channels_last_3d


def better_lately(history: Sequence[EpochReport], patience: int | None) -> bool:
    """Whether one of the last ``patience`` validations was the best so far."""
    return patience is None or len(history) <= patience or any(report.best for report in history[-patience:])


def step_report(
    state: State,
    schedule: Schedule,
    loss: float,
    parts: Mapping[str, float],
    rate: float,
    seconds: float,
    waited: float,
    images: int,
) -> StepReport:
    """What is told of the step that was taken last."""
    return StepReport(
        step=state.step,
        steps=state.steps,
        epoch=math.ceil(state.step / schedule.epoch_steps),
        epochs=math.ceil(state.steps / schedule.epoch_steps),
        loss=loss,
        parts=parts,
        learning_rate=rate,
        step_seconds=seconds,
        waiting_seconds=waited,
        images_per_second=images / seconds if seconds > 0 else math.nan,
    )
