"""One fit of a network: survey, plan, train, tune, export."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..classes import ClassSet
from ..deep.nets import describe_net, make_network
from ..deep.weights import freeze, load_state, weights_bytes
from ..evaluation.measures import OF_TASK, make_metric
from ..metrics.metric import Metric
from ..postprocess.planes import Planes
from ..runtime.engines import NETWORK
from ..runtime.export import export_network
from ..runtime.fitted import PLAN, WEIGHTS, FittedNetwork, Tiling, part_name
from ..runtime.preparation import Fixed, OfImage, Preparation
from ..sample import Sample
from .batches import ahead
from .crops import Crops, crops_of
from .fingerprint import Fingerprint
from .folds import folds, hold_out
from .logs import RunLog
from .loop import Schedule, State, train
from .machine import Machine
from .material import Material
from .objective import objective
from .optimizer import Ema, make_optimizer
from .plan import Plan
from .planning import FEWEST_STEPS, make_plan, timed
from .reports import EpochReport, StepReport
from .run import Keeper, Run
from .survey import survey
from .tuning import scored, tuned
from .validation import Validation, with_network

TAIL_SHARE = 0.06
"""Share of a budget that is kept for what comes after training: tuning, scoring and export."""
TIMED_STEPS = 3
"""Steps that are taken to see how long one lasts; the first, in which memory is asked for, is not counted."""
CACHE_SHARE = 0.3
"""Share of the memory that images may be kept in."""
LABELLED = {"semantic": "classes", "instance": "instances", "panoptic": "panoptic"}


@dataclass(frozen=True)
class Start:
    """What training begins with beside new weights: those of a file, what of them stays as it is, and a teacher."""

    weights: Mapping[str, Tensor] | None = None
    said: str = ""
    freeze: str | None = None
    teacher: FittedNetwork | None = None


def fit_network(
    name: str,
    given: Mapping[str, Any],
    samples: Sequence[Sample],
    classes: ClassSet,
    *,
    validation: Sequence[Sample] = (),
    plan: Plan | None = None,
    metric: str | None = None,
    start: Start | None = None,
    run: Run | None = None,
    told: Callable[[Plan], None] = lambda plan: None,
) -> FittedNetwork:
    """A network that has learned from annotated samples.

    ``name`` is what it will be called, ``given`` the fields of ``Plan`` that are decided already; with ``plan``
    everything is. ``validation`` are the samples of a split for it. ``metric`` is what validations are scored by unless
    it is the first of the task. ``told`` is given the plan before training begins.
    Raises ``InputError`` for samples nothing can be learned from, ``Interrupted`` when ``run.stopped`` says so, and
    ``Diverged``.
    """
    return Fitting(
        name, given, samples, classes, validation, plan, metric, start or Start(), run or Run(), told
    ).done()


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
        start: Start,
        run: Run,
        told: Callable[[Plan], None],
    ) -> None:
        self.began = perf_counter()
        self.name, self.classes, self.start, self.run, self.told = name, classes, start, run, told
        self.machine = Machine.here()
        self.device = torch.device("cuda" if self.machine.gpu else "cpu")
        self.found: Fingerprint = survey([*samples, *validation], classes)
        self.plan = plan or make_plan(self.found, given, self.machine)
        if self.plan.validate_on == "split" and not validation:
            validation = [sample for sample in samples if sample.split == "val"]
            samples = [sample for sample in samples if sample.split != "val"]
        self.samples, self.validation = list(samples), list(validation)
        self.metric: Metric = make_metric(metric or OF_TASK[self.plan.task][0], classes)
        self.planes = Planes(
            self.found.targets(classes, self.plan.border_px),
            self.found.ndim,
            self.plan.objects == "centers",
            self.plan.distance,
            self.plan.offset_unit_px,
        )
        self.preparation = preparation_of(self.plan)

    def done(self) -> FittedNetwork:
        """All of it."""
        if self.plan.folds > 1:
            parts = folds([*self.samples, *self.validation], self.plan.folds, self.plan.seed)
        elif self.plan.validate_on == "images":
            parts = [hold_out(self.samples, self.plan.validation_share, self.plan.seed)]
        else:
            parts = [(self.samples, self.validation if self.plan.validate_on == "split" else [])]
        trained, held = [], []
        for number, (learned, kept_back) in enumerate(parts):
            run = self.run if len(parts) == 1 else self.run.within(f"fold_{number + 1}")
            network, history = self._trained(learned, kept_back, run, len(parts), number)
            trained.append((network, history))
            held.append(kept_back)
        networks = [network for network, _ in trained]
        model = self._model(networks)
        unseen = [sample for kept_back in held for sample in kept_back]
        report = self._report(trained, len(parts[0][0]))
        if unseen:
            # with folds each image is judged by the networks together, of which all but one have seen it: the first
            # network and what it has not seen stand for all
            judge = with_network(model, networks[0])
            judged = held[0]
            judge = tuned(judge, judged, self.metric)
            report["validation"] = scored(judge, judged, self.metric)
            model = replace(model, decoding=judge.decoding, factors=judge.factors)
        report["seconds"] = perf_counter() - self.began
        return self._exported(model, networks, report)

    # ------------------------------------------------------------------------------------------------------------------
    # Training

    def _trained(
        self, learned: Sequence[Sample], kept_back: Sequence[Sample], run: Run, parts: int, number: int
    ) -> tuple[nn.Module, tuple[EpochReport, ...]]:
        """The network with its best weights, after training on some samples, and what its validations said."""
        plan = self.plan
        torch.manual_seed(plan.seed + number)
        network = make_network(
            plan.network,
            len(self.found.channels),
            len(self.planes),
            self.found.ndim,
            plan.network_settings,
        ).to(self.device)
        network = network.to(memory_format=torch.channels_last) if self.found.ndim == 2 else network
        if self.start.weights is not None:
            load_state(network, self.start.weights, self.start.said)
        if self.start.freeze:
            freeze(network, self.start.freeze)
        material = Material(
            learned, self.found.kind, self.preparation, int(CACHE_SHARE * self.machine.memory_bytes / parts)
        )
        crops = crops_of(plan, self.found, material, self.planes, self.classes, plan.seed + number)
        loss_of = objective(plan, self.found, self.planes, self.start.teacher)
        validate = Validation(kept_back, self._model([network]), self.metric) if kept_back else None
        plan = self._timed(plan, network, crops, loss_of, validate)
        self.plan = plan if parts == 1 else self.plan
        state = State(
            network,
            make_optimizer(
                network, plan.optimizer, learning_rate=plan.learning_rate, weight_decay=plan.weight_decay
            ),
            Ema(network, plan.ema_decay or 0.0),
            plan.steps or FEWEST_STEPS,
        )
        keeper = None
        if run.folder is not None:
            keeper = Keeper(run.folder, plan, tuple(sample.name for sample in learned))
            run.folder.mkdir(parents=True, exist_ok=True)
            if run.resume and keeper.there:
                keeper.bring_back(state)
            (run.folder / PLAN).write_text(plan.to_json(), encoding="utf-8")
        self.told(plan)
        log = self._log(run, state, len(learned), len(kept_back))

        def watch(report: StepReport | EpochReport) -> None:
            shown = validate.shown if validate is not None and isinstance(report, EpochReport) else ()
            if log is not None:
                log.report(report, shown)
            run.watch(report)

        with closing(ahead(crops, state.step, self._threads())) as batches:
            train(
                state,
                batches,
                loss_of,
                self._schedule(plan),
                validate=validate,
                main=self.metric.headline,
                watch=watch,
                keep=(lambda state: None) if keeper is None else keeper.keep,
                stopped=run.stopped,
                names=lambda numbers: ", ".join(dict.fromkeys(learned[each].name for each in numbers)),
            )
        if log is not None:
            log.close()
        network.load_state_dict(state.best)
        return network.eval(), state.history

    def _timed(
        self, plan: Plan, network: nn.Module, crops: Crops, loss_of: Any, validate: Validation | None
    ) -> Plan:
        """The plan with its steps: how many there is time for, once it is known how long one takes."""
        if plan.steps is not None or plan.budget_s is None:
            return (
                plan
                if plan.steps is not None
                else plan.with_changes(
                    "the default without a budget", steps=DEFAULT_EPOCHS * plan.epoch_steps
                )
            )
        seconds, validation_s = measured(network, crops, loss_of, plan, self.device), 0.0
        if validate is not None:
            start = perf_counter()
            validate(network)
            validation_s = perf_counter() - start
        overhead = perf_counter() - self.began + TAIL_SHARE * plan.budget_s
        return timed(plan, seconds, overhead_s=overhead, validation_s=validation_s)

    def _schedule(self, plan: Plan) -> Schedule:
        steps = plan.steps or FEWEST_STEPS
        budget = plan.budget_s
        left = None
        if budget is not None and plan.reasons.get("steps") != "as asked":
            left = max(1.0, budget * (1 - TAIL_SHARE) - (perf_counter() - self.began))
        return Schedule(
            epoch_steps=plan.epoch_steps,
            validate_every=plan.validate_every,
            learning_rate=plan.learning_rate,
            warmup_steps=round(plan.warmup_share * steps),
            kind=plan.schedule,
            grad_clip=plan.grad_clip,
            patience=plan.patience,
            budget_s=left,
            precision=torch.bfloat16 if plan.precision == "bfloat16" else torch.float32,
            device=self.device,
        )

    def _log(self, run: Run, state: State, learned: int, kept_back: int) -> RunLog | None:
        if run.folder is None:
            return None
        about = {
            "network": f"{self.plan.network}, {sum(each.numel() for each in state.network.parameters()):,} parameters",
            "images": f"{learned}, {kept_back} more for validation",
            "machine": str(self.machine),
        }
        return RunLog(run.folder, after_step=state.step, title=self.name, about=about)

    def _threads(self) -> int:
        """Threads that make batches: they are idle most of the time on a processor, which the network needs itself."""
        return max(1, self.machine.cores // 2) if self.machine.gpu else 1

    # ------------------------------------------------------------------------------------------------------------------
    # The model

    def _model(self, networks: Sequence[nn.Module]) -> FittedNetwork:
        """The fitted network that these networks would make, carried out by torch."""
        plan, ndim = self.plan, self.found.ndim
        axes = {axis: number for number, axis in enumerate(self.found.axes)}
        model = FittedNetwork(
            self.name,
            self.classes,
            plan.task,
            self.found.kind,
            self.planes,
            self.preparation,
            None,
            np.ones(len(self.planes.targets)),
            Tiling(*tiling_of(plan, ndim)),
            {},
            flips=tuple(sorted(axes[axis] for axis in plan.flips)),
        )
        return with_network(model, *networks)

    def _report(
        self, trained: Sequence[tuple[nn.Module, tuple[EpochReport, ...]]], images: int
    ) -> dict[str, Any]:
        network, history = trained[0]
        report: dict[str, Any] = {
            "images": images,
            "parameters": sum(each.numel() for each in network.parameters()),
            "networks": len(trained),
            "steps": history[-1].step if history else self.plan.steps,
            "epochs": round(
                (history[-1].step if history else self.plan.steps or 0) / self.plan.epoch_steps, 2
            ),
        }
        if self.found.missing:
            report["without_labels"] = list(self.found.missing)
        return report

    def _exported(
        self, model: FittedNetwork, networks: Sequence[nn.Module], report: Mapping[str, Any]
    ) -> FittedNetwork:
        parts: dict[str, bytes] = {PLAN: self.plan.to_json().encode()}
        for number, network in enumerate(networks):
            network = network.cpu().to(memory_format=torch.contiguous_format)
            content = export_network(network, self.planes, len(self.found.channels), model.factors)
            parts[part_name(NETWORK, number)] = content
            parts[part_name(WEIGHTS, number)] = weights_bytes(network)
        net = describe_net(self.plan.network, self.plan.network_settings)
        return replace(model, parts=parts, loaded=None, about={"net": net, "report": dict(report)})


DEFAULT_EPOCHS = 100
"""Passes over the images where neither a budget nor steps are given."""


def preparation_of(plan: Plan) -> Preparation:
    """What the plan says of pixels before the network sees them."""
    normalization: Fixed | OfImage
    if plan.normalise == "fixed":
        low, high = (None, None) if plan.clip is None else zip(*plan.clip, strict=True)
        normalization = Fixed(mean=plan.mean, std=plan.std, low=low, high=high)
    elif plan.normalise == "percentiles":
        normalization = OfImage(by="percentiles", low=plan.percentiles[0], high=plan.percentiles[1])
    else:
        normalization = OfImage()
    unit = None if plan.spacing is None else plan.unit
    return Preparation(normalization=normalization, spacing=plan.spacing, unit=unit, factor=plan.scale)


def tiling_of(plan: Plan, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Length of tiles and of their halos: a few crops, of which the network has learned to see no more than one."""
    grid = 64 if ndim == 2 else 32
    halo = tuple(max(grid, grid * math.ceil(length / 2 / grid)) for length in plan.crop_px)
    tile = tuple((1024 if ndim == 2 else 128) for _ in plan.crop_px)
    return tile, halo


def measured(network: nn.Module, crops: Crops, loss_of: Any, plan: Plan, device: torch.device) -> float:
    """Seconds of one step, on a copy of the network, which learns nothing by it."""
    from copy import deepcopy

    from .loop import learn

    copy = deepcopy(network)
    state = State(
        copy,
        make_optimizer(copy, plan.optimizer, learning_rate=1e-6, weight_decay=0.0),
        Ema(copy),
        TIMED_STEPS,
    )
    schedule = Schedule(
        epoch_steps=1,
        validate_every=1,
        learning_rate=1e-6,
        warmup_steps=0,
        precision=torch.bfloat16 if plan.precision == "bfloat16" else torch.float32,
        device=device,
    )
    times = []
    for number in range(TIMED_STEPS):
        batch = crops(number)
        start = perf_counter()
        learn(state, batch, 1e-6, loss_of, schedule)
        times.append(perf_counter() - start)
    return float(np.median(times[1:]))
