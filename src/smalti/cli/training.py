"""How a training is watched: a live bar on a terminal, a line for each epoch elsewhere."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from ..train.reports import EpochReport, StepReport

    Watch = Callable[[StepReport | EpochReport], None]

SMOOTHED_OVER = 30
"""Steps that loss and times are averaged over, about: older ones count e times less."""
FEWEST_STEPS = 3
"""Steps before the time left is told; the first ones are slower than the others."""


@dataclass
class Progress:
    """Where a training stands, and the words for it."""

    step: StepReport | None = None
    epoch: EpochReport | None = None
    best: EpochReport | None = None
    clock: Callable[[], float] = time.monotonic
    _means: dict[str, float] = field(default_factory=dict)
    _steps: int = 0
    _since: tuple[int, float] | None = None  # the first step that was told of, and when

    def take(self, report: StepReport | EpochReport) -> None:
        """Go on to where the report says."""
        from ..train.reports import EpochReport

        if isinstance(report, EpochReport):
            self.epoch = report
            if report.best:
                self.best = report
            return
        self.step = report
        self._steps += 1
        share = max(1 / self._steps, 1 / SMOOTHED_OVER)  # a plain mean at first
        for name in ("loss", "step_seconds", "waiting_seconds"):
            value = getattr(report, name)
            old = self._means.get(name, value)
            self._means[name] = old + share * (value - old)
        if self._since is None:
            self._since = report.step, self.clock()

    @property
    def seconds_left(self) -> float:
        """Seconds to the last step at the pace so far, validations included; NaN while nobody knows."""
        if self.step is None or self._since is None:
            return math.nan
        done = self.step.step - self._since[0]
        if done < FEWEST_STEPS:
            return math.nan
        return (self.clock() - self._since[1]) / done * (self.step.steps - self.step.step)

    def told(self, width: int = 1000) -> str:
        """All that fits in a line of so many letters; what matters least goes first."""
        parts = [part for part in self._parts() if part[1]]
        while len(" · ".join(text for _, text in parts)) > width and len(parts) > 1:
            parts.remove(max(parts))
        return " · ".join(text for _, text in parts)[:width]

    def _parts(self) -> list[tuple[int, str]]:
        """What is told, in the order it is read, each with its rank: the highest matters least."""
        step = self.step
        if step is None:
            return [(0, "starting")]
        return [
            (1, f"epoch {step.epoch}/{step.epochs}"),
            (0, f"loss {self._means['loss']:.4g}"),
            (2, self._score()),
            (6, f"lr {step.learning_rate:.2g}" if math.isfinite(step.learning_rate) else ""),
            (4, _pace(self._means["step_seconds"])),
            (3, self._waiting()),
        ]

    def _score(self) -> str:
        epoch = self.epoch
        if epoch is None or not epoch.main:
            return ""
        told = f"{epoch.main} {_number(epoch.score)}"
        if self.best is not None and self.best is not epoch:
            told += f" (best {_number(self.best.score)})"
        return told

    def _waiting(self) -> str:
        seconds = self._means["step_seconds"]
        if not seconds > 0:
            return ""
        return f"waiting for data {min(1.0, self._means['waiting_seconds'] / seconds):.0%}".replace("%", " %")

    def epoch_line(self) -> str:
        """The epoch that is over, in one line."""
        epoch, step = self.epoch, self.step
        if epoch is None:
            return ""
        of, steps = ("", "") if step is None else (f"/{step.epochs}", f"/{step.steps}")
        parts = [f"epoch {epoch.epoch}{of}", f"step {epoch.step}{steps}", f"loss {epoch.train_loss:.4g}"]
        if epoch.main:
            told = f"{epoch.main} {_number(epoch.score)}"
            if epoch.best:
                told += ", the best so far"
            elif self.best is not None:
                told += f" (best {_number(self.best.score)} in epoch {self.best.epoch})"
            parts.append(told)
        if math.isfinite(epoch.seconds):
            parts.append(f"{epoch.seconds:.1f} s")
        if step is not None and step.step < step.steps and math.isfinite(self.seconds_left):
            parts.append(f"{_duration(self.seconds_left)} left")
        return ", ".join(parts)


@contextmanager
def training(as_json: bool = False, stream: TextIO | None = None) -> Iterator[Watch]:
    """A function to tell of steps and epochs: a live bar on a terminal, else a line for each epoch on standard error.

    With ``as_json`` nothing is shown. However the block ends, the bar is gone and the terminal as it was.
    """
    stream = sys.stderr if stream is None else stream
    progress = Progress()
    if as_json:
        yield progress.take
    elif stream.isatty():
        with _live(progress, stream) as watch:
            yield watch
    else:
        yield lambda report: _write_line(progress, report, stream)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, which ends a training after the step it is at; pressed again it ends at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def press(number: int, frame: Any) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _write_line(progress: Progress, report: StepReport | EpochReport, stream: TextIO) -> None:
    before = progress.epoch
    progress.take(report)
    if progress.epoch is not before:
        stream.write(progress.epoch_line() + "\n")
        stream.flush()


@contextmanager
def _live(progress: Progress, stream: TextIO) -> Iterator[Watch]:
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream)
    with Live(
        console=console,
        transient=True,
        refresh_per_second=4,
        get_renderable=lambda: _bar(progress, console.width),
    ):
        yield progress.take


def _bar(progress: Progress, width: int) -> Any:
    """A bar with the steps and the time left, and below it how it goes."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    step = progress.step
    done, total = (0, None) if step is None else (step.step, step.steps)
    grid = Table.grid(padding=(0, 1), expand=False)
    left = progress.seconds_left
    told = "" if total is None else f"step {done}/{total}"
    ends = f"{_duration(left)} left" if math.isfinite(left) else ""
    room = width - len(told) - len(ends) - len("training") - 4
    bar = ProgressBar(total=total, completed=done, width=max(4, min(40, room)))
    grid.add_row("training", bar, Text(told), Text(ends, style="cyan"))
    return Group(grid, Text(progress.told(width), style="dim", no_wrap=True, overflow="ellipsis"))


def _pace(seconds: float) -> str:
    if not math.isfinite(seconds):
        return ""
    return f"{1000 * seconds:.0f} ms/step" if seconds < 1 else f"{seconds:.2f} s/step"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"
