"""One fit of a network: survey, plan, train, tune, export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from torch import nn

from ..classes import ClassSet
from ..deep.nets import make_network
from ..deep.weights import LoadedWeights
from ..errors import InputError
from ..evaluation.measures import OF_TASK, make_metric
from ..metrics.metric import Metric
from ..runtime.fitted import FittedNetwork
from ..sample import Sample
from .batches import ahead
from .checkpoint import has_checkpoint
from .crops import Crops, crops_of
from .distributed import ALONE, Ranks, joined
from .folds import folds, hold_out
from .following import plan_to_follow
from .logs import RunLog
from .loop import Schedule, State, train
from .machine import Machine
from .material import Material
from .model import exported, planes_of, preparation_of, untrained, with_networks
from .objective import objective
from .optimizer import Ema, make_optimizer
from .plan import Plan
from .planning import FEWEST_STEPS, timed
from .reports import EpochReport, StepReport
from .run import Keeper, Run, nobody_watches
from .sharing import shared
from .starting import NOTHING, Start
from .survey import survey
from .timing import LEAST_SCORED, TUNING_SHARE, Times, times_of
from .tuning import Unseen, scored, tuned
from .validation import Validation

CACHE_SHARE = 0.3
"""Share of the memory that images may be kept in."""
RANKS_APART = 1000
"""How far apart the seeds of processes are that learn together, in what is dropped at random."""


@dataclass(frozen=True)
class Trained:
    """A network with its best weights after ``step`` of ``steps``, and what became of weights it began with."""

    network: nn.Module
    step: int
    steps: int
    loaded: LoadedWeights | None


def fit_network(
    name: str,
    given: Mapping[str, Any],
    samples: Sequence[Sample],
    classes: ClassSet,
    *,
    validation: Sequence[Sample] = (),
    plan: Plan | None = None,
    metric: str | None = None,
    start: Start = NOTHING,
    run: Run | None = None,
    told: Callable[[Plan], None] = lambda plan: None,
    began: float | None = None,
) -> FittedNetwork:
    """A network that has learned from annotated samples.

    ``name`` is what it will be called, ``given`` the fields of ``Plan`` that are decided already; with ``plan``
    all others are. ``validation`` are the samples of a split for it. ``metric`` is what validations are scored by
    unless it is the first of the task. ``told`` is given the plan before training begins. A budget counts from
    ``began`` on, by ``perf_counter``. Where torchrun started
    several processes they learn together, and each gets the same network.
    Raises ``InputError`` for samples nothing can be learned from, ``Interrupted`` when ``run.stopped`` says so, and
    ``Diverged``.
    """
    with joined() as ranks, torch.random.fork_rng():
        run = run or Run()
        if not ranks.leads:
            run, told = replace(run, watch=nobody_watches), lambda plan: None
        fitting = Fitting(
            name, given, samples, classes, validation, plan, metric, start, run, told, ranks, began
        )
        return shared(fitting.done(), ranks)


class Fitting:
    """One fit, from the samples to the fitted network."""

    def __init__(
        self,
        name: str,
        given: Mapping[str, Any],
        samples: Sequence[Sample],
        classes: ClassSet,
        validation: Sequence[Sample],
        plan: Plan | None,
        metric: str | None,
        start: Start = NOTHING,
        run: Run | None = None,
        told: Callable[[Plan], None] = lambda plan: None,
        ranks: Ranks = ALONE,
        began: float | None = None,
    ) -> None:
        self.began = perf_counter() if began is None else began
        self.name, self.classes, self.start, self.told, self.ranks = name, classes, start, told, ranks
        self.run = run or Run()
        self.machine = Machine.here()
        self.found = survey([*samples, *validation], classes)
        followed = plan_to_follow(plan, given, start, self.run, self.found, self.machine)
        self.plan = Plan.from_json(ranks.text(followed.to_json()))  # one for all, whatever each machine has
        if self.plan.validate_on == "split" and not validation:
            validation = [sample for sample in samples if sample.split == "val"]
            samples = [sample for sample in samples if sample.split != "val"]
            if not validation or not samples:
                raise InputError(
                    "the plan validates on the split val, and the samples have none beside others; set validate_on to "
                    "images or none"
                )
        self.samples, self.validation = list(samples), list(validation)
        self.metric: Metric = make_metric(metric or OF_TASK[self.plan.task][0], classes)
        self.planes = planes_of(self.plan, self.found, classes)
        self.preparation = preparation_of(self.plan)
        start.check(self.planes, self.preparation, self.found.channels)
        self.beside = {**start.said, "metric": self.metric.name}
        self.untrained = untrained(name, self.plan, self.found, classes, self.preparation)
        self.train_s: float | None = None
        self.times: Times | None = None

    def done(self) -> FittedNetwork | None:
        """All of it; None in a process that only helps to train."""
        trained, held = self._all_trained()
        if not self.ranks.leads:
            return None
        networks = [each.network for each in trained]
        model = with_networks(self.untrained, networks)
        judges = [with_networks(model, [network]) for network in networks]
        report = self._report(trained)
        unseen = [
            Unseen(sample, judge)
            for judge, kept_back in zip(judges, held, strict=True)
            for sample in kept_back
        ]
        if unseen:
            budget = self.plan.budget_s
            model = tuned(model, unseen, self.metric, None if budget is None else TUNING_SHARE * budget)
            decided = [
                replace(each, judge=replace(each.judge, decoding=model.decoding, factors=model.factors))
                for each in unseen
            ]
            most = None
            if budget is not None:
                most = LEAST_SCORED if self.times is None else self.times.scored
            report["validation"] = scored(decided, self.metric, most)
        model = exported(model, self.plan, networks, report)
        report["seconds"] = perf_counter() - self.began
        return replace(model, about={**model.about, "report": report})

    # Training

    def _parts(self) -> list[tuple[list[Sample], list[Sample]]]:
        """Samples to learn from and to validate on, for each network."""
        plan = self.plan
        if plan.folds > 1:
            return folds([*self.samples, *self.validation], plan.folds, plan.seed)
        if plan.validate_on == "images":
            return [hold_out(self.samples, plan.validation_share, plan.seed)]
        return [(self.samples, self.validation if plan.validate_on == "split" else [])]

    def _all_trained(self) -> tuple[list[Trained], list[list[Sample]]]:
        """The networks, and the samples that each has not learned from."""
        parts = self._parts()
        if self.ranks.leads:
            self.run.begin()
        trained = []
        for number, (learned, kept_back) in enumerate(parts):
            run = self.run if len(parts) == 1 else self.run.within(f"fold_{number + 1}")
            trained.append(self._trained(learned, kept_back, run, number))
        if len(parts) == 1 and self.plan.steps != trained[0].steps:
            self.plan = self.plan.with_changes("what the budget had room for", steps=trained[0].steps)
        return trained, [kept_back for _, kept_back in parts]

    def _trained(
        self, learned: Sequence[Sample], kept_back: Sequence[Sample], run: Run, number: int
    ) -> Trained:
        """A network that has learned from some samples."""
        plan, ranks = self.plan, self.ranks
        network, loaded, slow = self._network(number)
        crops = self._crops(learned, number)
        loss_of = objective(plan, self.found, self.planes, self.start.teacher)
        validate = Validation(kept_back, self.untrained, self.metric) if kept_back else None
        there = run.resume and run.folder is not None and has_checkpoint(run.folder)
        going_on = ranks.highest(there)[0] > 0  # before the first process writes one
        if plan.budget_s is not None and self.times is None and not going_on:
            left = plan.budget_s - (perf_counter() - self.began)
            self.times = times_of(plan, left, network, crops, loss_of, self._schedule(), validate)
            self._share_budget(plan.budget_s, self.times)
            plan = self.plan
        torch.manual_seed(plan.seed + number + RANKS_APART * ranks.number)
        state = State(
            network,
            make_optimizer(
                network,
                plan.optimizer,
                learning_rate=plan.learning_rate,
                weight_decay=plan.weight_decay,
                pretrained=slow,
            ),
            Ema(network, plan.ema_decay or 0.0),
            plan.steps or FEWEST_STEPS,
            self.train_s,
            validated=0 if self.times is None else self.times.validated,
        )
        keeper = None
        if run.folder is not None:
            keeper = Keeper(run.folder, plan, tuple(sample.name for sample in learned), self.beside)
            if going_on:
                keeper.bring_back(state)
                self.train_s = state.budget_s
                if not ranks.leads:  # what was kept is the generator of the first process
                    torch.manual_seed(plan.seed + number + RANKS_APART * ranks.number + state.step)
            elif ranks.leads:
                keeper.keep(state)  # a place that cannot be written is told before anything was learned
        if validate is not None and state.validated:
            validate.most = state.validated
        if number == 0:
            if ranks.leads:
                self.run.keep_plan(plan)
            self.told(plan)
        log = self._log(run, state, len(learned), len(kept_back)) if ranks.leads else None

        def watch(report: StepReport | EpochReport) -> None:
            shown = validate.shown if validate is not None and isinstance(report, EpochReport) else ()
            if log is not None:
                log.report(report, shown)
            run.watch(report)

        try:
            with closing(ahead(crops, state.step, self._threads())) as batches:
                train(
                    state,
                    batches,
                    loss_of,
                    self._schedule(),
                    validate=validate,
                    main=self.metric.headline,
                    watch=watch,
                    keep=(lambda state: None) if keeper is None else keeper.keep,
                    stopped=run.stopped,
                    names=lambda numbers: ", ".join(dict.fromkeys(learned[each].name for each in numbers)),
                    ranks=ranks,
                )
        finally:
            if log is not None:
                log.close()
        network.load_state_dict(state.best)
        return Trained(network.eval(), state.step, state.steps, loaded)

    def _network(self, number: int) -> tuple[nn.Module, LoadedWeights | None, nn.Module | None]:
        """A new network where it computes, what became of weights it begins with, and what of it learns slower."""
        plan = self.plan
        torch.manual_seed(plan.seed + number)
        network = make_network(
            plan.network,
            len(self.found.channels),
            len(self.planes),
            self.found.ndim,
            plan.network_settings,
        ).to(self.ranks.device)
        if self.found.ndim == 2:
            network = network.to(memory_format=torch.channels_last)
        return network, *self.start.give(network)

    def _crops(self, learned: Sequence[Sample], number: int) -> Crops:
        """What this process learns from."""
        ranks = self.ranks
        memory = int(CACHE_SHARE * self.machine.memory_bytes / ranks.count)
        material = Material(learned, self.found.kind, self.preparation, memory)
        seed = self.plan.seed + number
        return crops_of(
            self.plan, self.found, material, self.planes, self.classes, seed, ranks.number, ranks.count
        )

    def _share_budget(self, budget_s: float, times: Times) -> None:
        """What is left of the budget for training, and the plan with the steps that it has room for."""
        plan = self.plan
        if plan.steps is None:
            share = (budget_s - times.tail_s - (perf_counter() - self.began)) / plan.folds
            if self.ranks.leads:
                overhead_s = max(0.0, budget_s - share)
                plan = timed(plan, times.step_s, overhead_s=overhead_s, validation_s=times.validation_s)
            self.train_s = share
        self.plan = Plan.from_json(self.ranks.text(plan.to_json()))

    def _schedule(self) -> Schedule:
        plan = self.plan
        return Schedule(
            epoch_steps=max(1, -(-plan.epoch_steps // self.ranks.count)),
            validate_every=plan.validate_every,
            learning_rate=plan.learning_rate,
            warmup_steps=round(plan.warmup_share * (plan.steps or FEWEST_STEPS)),
            kind=plan.schedule,
            grad_clip=plan.grad_clip,
            patience=plan.patience,
            validation_s=0.0 if self.times is None else self.times.validation_s,
            precision=torch.bfloat16 if plan.precision == "bfloat16" else torch.float32,
            device=self.ranks.device,
        )

    def _log(self, run: Run, state: State, learned: int, kept_back: int) -> RunLog | None:
        if run.folder is None:
            return None
        parameters = sum(each.numel() for each in state.network.parameters())
        about = {
            "network": f"{self.plan.network}, {parameters:,} parameters",
            "images": f"{learned}, {kept_back} more for validation",
            "machine": str(self.machine),
        }
        return RunLog(run.folder, after_step=state.step, title=self.name, about=about)

    def _threads(self) -> int:
        """Threads that make batches: on a processor the network needs the others itself."""
        if self.ranks.device.type == "cpu":
            return 1
        return max(1, self.machine.cores // 2 // self.ranks.count)

    # What is told

    def _report(self, trained: Sequence[Trained]) -> dict[str, Any]:
        first = trained[0]
        parameters = sum(each.numel() for each in first.network.parameters())
        report: dict[str, Any] = {
            "images": len(self.samples) + (len(self.validation) if self.plan.folds > 1 else 0),
            "parameters": parameters,
            "steps": first.step,
            "epochs": round(first.step * self.ranks.count / self.plan.epoch_steps, 2),
        }
        if len(trained) > 1:
            report["networks"] = len(trained)
        if self.ranks.count > 1:
            report["processes"] = self.ranks.count
        if self.found.missing:
            report["without_labels"] = list(self.found.missing)
        if first.loaded is not None:
            report["weights"] = str(first.loaded)
        report |= {key: value for key, value in self.start.said.items() if key != "weights"}
        return report
