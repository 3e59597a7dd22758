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
from .optimizer import Ema, learning_rate_at
from .optimizer import Schedule as ScheduleKind
from .reports import EpochReport, StepReport

Output: TypeAlias = Tensor | list[Tensor]
Loss = Callable[[Tensor, Output, Mapping[str, Tensor]], tuple[Tensor, Mapping[str, Tensor]]]
"""From images (B, C, *S), what the network makes of them and the targets to the loss and its parts."""

FIRST_LOOK = 12
"""Steps after which the time of a step is known well enough to say how many a budget has room for."""


class Diverged(SmaltiError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Schedule:
    """How long to train, and how fast to learn meanwhile.

    ``epoch_steps`` are one pass over the data; validation is after every ``validate_every`` steps and at the end.
    With ``budget_s`` the number of steps follows the time they take, and the learning rate with it. ``patience`` is
    how many validations may pass without a better one.
    """

    epoch_steps: int
    validate_every: int
    learning_rate: float
    warmup_steps: int
    kind: ScheduleKind = "cosine"
    grad_clip: float = 5.0
    patience: int | None = None
    budget_s: float | None = None
    least_steps: int = 1
    precision: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass
class State:
    """Where a training is: everything that changes, so that to keep it is to keep the training.

    ``steps`` are all there will be, ``seconds`` what they took so far. ``best`` are the weights of the best validation.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    ema: Ema
    steps: int
    step: int = 0
    seconds: float = 0.0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: tuple[EpochReport, ...] = ()


def train(
    state: State,
    batches: Iterator[Batch],
    loss_of: Loss,
    schedule: Schedule,
    *,
    validate: Callable[[nn.Module], Mapping[str, float]] | None,
    main: str,
    watch: Callable[[StepReport | EpochReport], None],
    keep: Callable[[State], None],
    stopped: Callable[[], bool] = lambda: False,
    names: Callable[[tuple[int, ...]], str] = str,
) -> None:
    """Train ``state`` on until its last step.

    ``batches`` begin with the one that comes next. ``validate`` scores a network with the averaged weights, of which
    the score called ``main`` is to be high; without it the newest weights are the best ones. ``keep`` is given the
    state after each validation, and when ``stopped`` says so, which raises ``Interrupted``. A loss that is no finite
    number raises ``Diverged``: what was kept last is from before it.
    """
    losses: list[float] = []
    overhead_s, first = 0.0, state.step
    while state.step < state.steps:
        start = perf_counter()
        batch = next(batches)
        waited = perf_counter() - start
        rate = learning_rate_at(
            state.step,
            state.steps,
            schedule.learning_rate,
            min(schedule.warmup_steps, state.steps - 1),
            schedule.kind,
        )
        loss, parts = learn(state, batch, rate, loss_of, schedule)
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss became {loss} at step {state.step + 1} of {state.steps} (learning rate {rate:.2g}, images "
                f"{names(batch.numbers)}); look at these images, or set a lower learning_rate"
            )
        state.step += 1
        state.ema.update(state.network, state.step)
        losses.append(loss)
        seconds = perf_counter() - start
        state.seconds += seconds
        watch(_said(state, schedule, loss, parts, rate, seconds, waited, len(batch.image)))

        done = state.step - first
        if schedule.budget_s is not None and (done == FIRST_LOOK or done % schedule.validate_every == 0):
            state.steps = steps_in(schedule, state, overhead_s / max(1, done))
        last, stop = state.step >= state.steps, stopped()
        if (state.step % schedule.validate_every == 0 or last) and not stop:
            start = perf_counter()
            validated(state, schedule, validate, main, sum(losses) / len(losses), watch)
            losses = []
            seconds = perf_counter() - start
            state.seconds += seconds
            overhead_s += seconds
            keep(state)
            if not better_lately(state.history, schedule.patience):
                break
        elif stop:
            keep(state)
        if stop and not last:
            raise Interrupted(f"stopped after step {state.step} of {state.steps}")
    if not state.best:
        state.best = state.ema.weights()


def learn(
    state: State, batch: Batch, rate: float, loss_of: Loss, schedule: Schedule
) -> tuple[float, dict[str, float]]:
    """One optimizer step; the loss and its parts. Nothing is learned from a loss that is no finite number."""
    device = schedule.device
    state.network.train()
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]
    image = batch.image.to(device, memory_format=memory_format(batch.image))  # B, C, *S
    targets = {name: target.to(device) for name, target in batch.targets.items()}
    with torch.autocast(device.type, schedule.precision, enabled=schedule.precision != torch.float32):
        output = state.network(image)  # B, P, *S, or a list of them
    loss, parts = loss_of(image, output, targets)
    value = loss.item()
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
    validate: Callable[[nn.Module], Mapping[str, float]] | None,
    main: str,
    loss: float,
    watch: Callable[[StepReport | EpochReport], None],
) -> None:
    """Score the averaged weights, and keep them if they are the best so far; without a score the newest are."""
    start = perf_counter()
    scores: dict[str, float] = {}
    if validate is not None:
        with state.ema.applied_to(state.network) as averaged:
            scores = dict(validate(averaged.eval()))
    score = scores.get(main, math.nan)
    highest = max(
        (report.score for report in state.history if math.isfinite(report.score)), default=-math.inf
    )
    best = validate is None or score > highest or not state.best
    if best:
        state.best = state.ema.weights()
    report = EpochReport(
        step=state.step,
        epoch=math.ceil(state.step / schedule.epoch_steps),
        train_loss=loss,
        metrics=scores,
        main=main if scores else "",
        best=best and bool(scores),
        seconds=perf_counter() - start,
    )
    state.history += (report,)
    watch(report)


def steps_in(schedule: Schedule, state: State, overhead_s: float) -> int:
    """How many steps the budget has room for in all, if they go on taking as long, validation included."""
    assert schedule.budget_s is not None
    left = schedule.budget_s - state.seconds
    each = state.seconds / state.step if overhead_s else state.seconds / state.step * 1.1
    return max(state.step + int(left / each), schedule.least_steps, state.step)


def memory_format(image: Tensor) -> torch.memory_format:
    """Channels last, which convolutions on CPUs and tensor cores are fast at."""
    return torch.channels_last if image.ndim == 4 else torch.channels_last_3d


def better_lately(history: Sequence[EpochReport], patience: int | None) -> bool:
    """Whether one of the last ``patience`` validations was the best so far."""
    return patience is None or len(history) <= patience or any(report.best for report in history[-patience:])


def _said(
    state: State,
    schedule: Schedule,
    loss: float,
    parts: Mapping[str, float],
    rate: float,
    seconds: float,
    waited: float,
    images: int,
) -> StepReport:
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
        images_per_second=images / seconds,
    )
