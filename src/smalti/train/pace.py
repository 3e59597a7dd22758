"""How many steps a time has room for, found out while it passes."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

FIRST_LOOK = 10
"""Steps after which their time is known well enough to count with."""
SLOW_STEPS = 2
"""Steps at the beginning that say nothing: memory is asked for, kernels are chosen, images are read."""
RECENT = 0.5
"""Share of the steps, the newest ones, whose mean time those to come are taken to have."""
LEAST_RECENT, MOST_RECENT = 50, 1000
CHANGE = 0.03
"""Share of the steps by which their number must be wrong to be changed: the learning rate follows it."""
VALIDATION_SHARE = 0.15
"""Share of the time beyond which a validation is left out, but for the last."""


@dataclass
class Pace:
    """Follows the time that steps and validations take, and says how many steps there will be in all.

    ``budget_s`` is the time for both, None for as much as the steps take: their number stays then, and validations are
    every ``validate_every`` steps. ``seconds`` passed already, ``validation_s`` of them for validations, of which one
    takes ``each_s``. No clock is read here: all times are told.
    """

    budget_s: float | None
    validate_every: int
    seconds: float = 0.0
    validation_s: float = 0.0
    each_s: float = 0.0
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RECENT))
    _seen: int = 0

    def stepped(self, seconds: float) -> None:
        """A step took so long."""
        self.seconds += seconds
        self._seen += 1
        if self._seen > SLOW_STEPS:
            self._recent.append(seconds)

    def validated(self, seconds: float) -> None:
        """A validation did, with all that belongs to it."""
        self.seconds += seconds
        self.validation_s += seconds
        self.each_s = seconds

    def steps(self, step: int, steps: int) -> int:
        """How many steps there will be in all, ``step`` of which are done, where ``steps`` were planned so far."""
        if self.budget_s is None or self._seen < FIRST_LOOK:
            return steps
        count = max(LEAST_RECENT, min(MOST_RECENT, round(RECENT * step)))
        newest = list(self._recent)[-count:]
        each = sum(newest) / len(newest)
        left = self.budget_s - self.seconds - self.each_s  # the last validation is always there
        each += min(self.each_s / self.validate_every, each * VALIDATION_SHARE / (1 - VALIDATION_SHARE))
        found = max(step, step + math.floor(left / each)) if each > 0 else steps
        return found if abs(found - steps) > CHANGE * steps or found == step else steps

    def due(self, step: int) -> bool:
        """Whether there is a validation after this step, as planned and as far as there is time."""
        if step % self.validate_every:
            return False
        if self.budget_s is None:
            return True
        spent = self.validation_s + self.each_s
        in_time = spent <= VALIDATION_SHARE * (self.seconds + self.each_s)
        return (
            in_time and spent + self.each_s <= VALIDATION_SHARE * self.budget_s
        )  # there is the last one, too
