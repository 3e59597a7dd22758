"""How a budget is shared out: what steps, validations and all that comes after training take of it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from torch import nn

from .crops import Crops
from .loop import Loss, Schedule, State, learn
from .optimizer import Ema, make_optimizer
from .plan import Plan
from .planning import VALIDATION_TIME
from .validation import Validation

TIMED_STEPS = 4
"""Steps that are taken to see how long one lasts; the first, in which memory is asked for, is not counted."""
TUNING_SHARE = 0.03
"""Share of a budget in which decoding is tuned."""
SCORING_SHARE = 0.03
"""Share in which the validation images are scored once more in the end."""
EXPORT_S = 2.0
"""Seconds in which a network is written: 0.6 s for a U-Net of 2 M parameters on one core, and what a disk takes."""
LEAST_SCORED = 8
"""Images that are scored in the end, however long it takes."""
LOOK_SHARE = 0.02
"""Share of the time beyond which one validation image is enough to see how long one takes."""
FEWEST_VALIDATIONS = 4
"""Validations that a budget has time for: of many large images fewer are looked at, so that there are as many."""


@dataclass(frozen=True)
class Times:
    """Seconds of one step, of one validation of ``validated`` images, and of all that comes after training, where
    ``scored`` images are scored."""

    step_s: float
    validation_s: float = 0.0
    validated: int = 0
    tail_s: float = 0.0
    scored: int = 0


def times_of(
    plan: Plan,
    left_s: float,
    network: nn.Module,
    crops: Crops,
    loss_of: Loss,
    schedule: Schedule,
    validate: Validation | None,
) -> Times:
    """What things take here, of ``left_s`` seconds; a validation of all images may take too long."""
    step_s = step_seconds(network, crops, loss_of, schedule)
    tail_s = plan.folds * EXPORT_S
    if validate is None:
        return Times(step_s, tail_s=tail_s)
    each_s = validate.seconds(network, LOOK_SHARE * left_s)
    most = int(VALIDATION_TIME * left_s / FEWEST_VALIDATIONS / each_s)
    validated = max(1, min(validate.most, most))
    images = len(validate.samples) * plan.folds
    scored = min(images, max(LEAST_SCORED, int(SCORING_SHARE * left_s / each_s)))
    tail_s += TUNING_SHARE * left_s + scored * each_s
    return Times(step_s, validated * each_s, validated, tail_s, scored)


def step_seconds(network: nn.Module, crops: Crops, loss_of: Loss, schedule: Schedule) -> float:
    """Seconds of one step, on a copy of the network, which learns nothing by it, with data made beside it."""
    copy = deepcopy(network)
    copy.train()
    state = State(copy, make_optimizer(copy, learning_rate=1e-6, weight_decay=0.0), Ema(copy), TIMED_STEPS)
    times = []
    for number in range(TIMED_STEPS):
        batch = crops(number)
        start = perf_counter()
        learn(state, copy, batch, 1e-6, loss_of, schedule)
        state.ema.update(copy, number + 1)
        times.append(perf_counter() - start)
    return float(np.median(times[1:]))
