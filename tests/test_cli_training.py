"""Watching a training: a bar on a terminal, lines elsewhere, nothing beside JSON."""

import io
import math
import os
import pty
import re

import pytest

from smalti.cli.training import Progress, training
from smalti.train.reports import EpochReport, StepReport


def tell(watch, epochs=3, per_epoch=4):
    scores = [0.5, 0.75, 0.625]
    for epoch in range(1, epochs + 1):
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            watch(StepReport(step, 3 * per_epoch, epoch, 3, 2.0, {}, 1e-3, 0.2, 0.006, 40.0))
        score = scores[epoch - 1]
        best = score > max(scores[: epoch - 1], default=0)
        watch(EpochReport(epoch * per_epoch, epoch, 2.0, {"mIoU": score}, "mIoU", best, 1.5))


class Terminal:
    """A pseudo terminal of so many columns, and what was written to it."""

    def __init__(self, columns, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        for name in ("NO_COLOR", "TTY_COMPATIBLE", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        self.outer, inner = pty.openpty()
        self.stream = os.fdopen(inner, "w", encoding="utf-8")

    def read(self):
        self.stream.flush()
        os.set_blocking(self.outer, False)
        parts = []
        while True:
            try:
                parts.append(os.read(self.outer, 65536))
            except (BlockingIOError, OSError):
                return b"".join(parts).decode()


@pytest.fixture
def terminal(monkeypatch):
    made = Terminal(100, monkeypatch)
    yield made
    made.stream.close()
    os.close(made.outer)


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def test_a_terminal_shows_where_the_training_stands(terminal):
    with training(stream=terminal.stream) as watch:
        tell(watch)
    said = terminal.read()
    last = plain(said)
    assert re.search(r"training ━+ step 12/12 0:00 left", last)
    assert (
        "epoch 3/3 · loss 2 · mIoU 0.625 (best 0.750) · lr 0.001 · 200 ms/step · waiting for data 3 %" in last
    )


def test_nothing_of_the_bar_stays_when_it_ends(terminal):
    with pytest.raises(KeyboardInterrupt), training(stream=terminal.stream) as watch:
        tell(watch, epochs=1)
        raise KeyboardInterrupt
    said = terminal.read()
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1  # the cursor is there again
    assert said.endswith("\x1b[2K")  # the last thing is a line wiped out
    assert said.rpartition("\x1b[?25h")[2].count("\x1b[2K") == 2


def test_elsewhere_there_is_a_line_for_each_epoch():
    stream = io.StringIO()
    with training(stream=stream) as watch:
        tell(watch, epochs=1)
        assert stream.getvalue().count("\n") == 1  # as soon as it is over
        tell(watch)
    lines = stream.getvalue().splitlines()[1:]
    assert lines[0].startswith("epoch 1/3, step 4/12, loss 2, mIoU 0.500, the best so far, 1.5 s, ")
    assert lines[0].endswith(" left")
    assert lines[2] == "epoch 3/3, step 12/12, loss 2, mIoU 0.625 (best 0.750 in epoch 2), 1.5 s"


def test_beside_json_nothing_is_said(terminal, capfd):
    with training(as_json=True, stream=terminal.stream) as watch:
        tell(watch)
    assert terminal.read() == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("width", [10, 30, 50, 80, 120])
def test_a_narrow_terminal_gets_what_matters_most(width):
    progress = Progress()
    tell(progress.take, epochs=3)
    told = progress.told(width)
    assert len(told) <= width
    assert "loss 2" in told
    assert ("mIoU" in told) == (width >= 50)
    assert ("lr" in told) == (width >= 100)


def test_the_loss_is_a_mean_of_the_last_steps_and_not_the_last_one():
    progress = Progress()
    for number in range(1, 201):
        progress.take(StepReport(number, 400, 1, 1, 10.0 if number <= 100 else 1.0 + number % 2))
    assert "loss 1.7" in progress.told() or "loss 1.8" in progress.told()
    first = Progress()
    first.take(StepReport(1, 400, 1, 1, 3.0))
    assert "loss 3" in first.told()


def test_the_time_left_counts_validation_and_is_not_guessed_at_first():
    seconds = iter([0.0, *[40.0] * 10])
    progress = Progress(clock=lambda: next(seconds))
    progress.take(StepReport(101, 301, 1, 3, 1.0))
    assert math.isnan(progress.seconds_left)
    progress.take(StepReport(102, 301, 1, 3, 1.0))
    assert math.isnan(progress.seconds_left)
    progress.take(StepReport(201, 301, 2, 3, 1.0))
    assert progress.seconds_left == pytest.approx(40.0)


def test_a_score_that_is_unknown_is_a_dash():
    progress = Progress()
    progress.take(StepReport(1, 2, 1, 1, 1.0))
    progress.take(EpochReport(1, 1, 1.0, {"mIoU": math.nan}, "mIoU"))
    assert "mIoU –" in progress.told()
    assert progress.epoch_line() == "epoch 1/1, step 1/2, loss 1, mIoU –"
