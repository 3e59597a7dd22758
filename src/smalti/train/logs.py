"""The log of a run: tables of steps and epochs, files for TensorBoard, pictures, and a page that shows them all.

``log.csv`` has a row for every so many steps, ``epochs.csv`` one for each epoch, ``epoch_003.png`` what the model makes
of some validation images after it, ``index.html`` all of it at a glance. After a resume the tables go on, each step in
them once.
"""

from __future__ import annotations

import csv
import io
import logging
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import WriteError
from ..io.writing import replacing
from .event_files import EventFile
from .pictures import Shown, classes_of, predictions_sheet
from .reports import EpochReport, StepReport
from .run_page import RunPage, render

MOST_ROWS = 2000
"""Rows of ``log.csv``, about: of longer runs each is the mean of several steps."""
MOST_PICTURES = 30
"""Pictures that stay: of more, every second of the earlier ones goes."""
PICTURE_SHARE = 0.05
"""Share of the time since the log was begun that drawing may take; an epoch beyond it has no picture."""

PAGE = "index.html"
_PICTURE = re.compile(r"epoch_(\d{3,})\.png")
_LOG_COLUMNS = ("step", "epoch", "loss")
_EPOCH_COLUMNS = ("step", "epoch", "seconds", "best", "train_loss")
_log = logging.getLogger(__name__)


class RunLog:
    """The log in the folder of a run; the folder is made if needed.

    ``after_step`` is the step a run goes on after: rows and pictures of later ones, which will come again, go first;
    0 begins a new log in place of any before. ``title`` and ``about`` (plain facts by name) stand on the page.

    A log that cannot be written, on a full disk for instance, does not end a training: it is said once, as a warning of
    this module's logger and in ``problem``, and the tables catch up once there is room.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        after_step: int = 0,
        title: str = "a model",
        about: Mapping[str, str] | None = None,
        picture_share: float = PICTURE_SHARE,
    ) -> None:
        self.folder = Path(folder)
        self.title = title
        self.about = dict(about or {})
        self.problem: str | None = None
        self._picture_share = picture_share
        self._drawing_seconds = 0.0
        self._pending: list[StepReport] = []
        self._last: StepReport | None = None
        self._classes: tuple[tuple[str, tuple[int, int, int]], ...] = ()
        self._events: EventFile | None = None
        self._told_until = after_step
        self._steps = _Rows(self.folder / "log.csv", _LOG_COLUMNS, after_step)
        self._epochs = _Rows(self.folder / "epochs.csv", _EPOCH_COLUMNS, after_step)
        self._start = time.perf_counter()
        last = max((int(row["epoch"]) for row in self._epochs.rows), default=0)
        self._try(lambda: self._begin(after_step, last))

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def report(self, report: StepReport | EpochReport, shown: Sequence[Shown] = ()) -> None:
        """Log a step, or an epoch with what the model makes of validation images after it."""
        if isinstance(report, StepReport):
            self._step(report)
        else:
            self._epoch(report, shown)

    def close(self) -> None:
        """Write the steps that no row tells of yet, and what could not be written before."""
        self._write_pending()
        for rows in (self._steps, self._epochs):
            if not rows.whole:
                self._try(rows.rewrite)

    def _begin(self, after_step: int, last_epoch: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for epoch, path in self._pictures().items():
            if epoch > last_epoch:
                path.unlink(missing_ok=True)
        if after_step == 0:
            for path in self.folder.glob("events.out.tfevents.*"):
                path.unlink(missing_ok=True)
        self._steps.rewrite()
        self._epochs.rewrite()

    def _step(self, report: StepReport) -> None:
        self._last = report
        self._pending.append(report)
        every = max(1, report.steps // MOST_ROWS)
        if report.step % every == 0 or report.step == report.steps or not math.isfinite(report.loss):
            self._write_pending()

    def _write_pending(self) -> None:
        """A row of the means of the steps since the last one."""
        if not self._pending:
            return
        last, values = self._pending[-1], _means(self._pending)
        self._pending = []
        self._try(lambda: self._steps.append({"step": last.step, "epoch": last.epoch} | values))
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._add_event(last.step, {f"train/{name}": value for name, value in finite.items()})

    def _epoch(self, report: EpochReport, shown: Sequence[Shown]) -> None:
        row: dict[str, Any] = {
            "step": report.step,
            "epoch": report.epoch,
            "seconds": report.seconds,
            "best": int(report.best),
            "train_loss": report.train_loss,
        }
        self._try(lambda: self._epochs.append(row | dict(report.metrics)))
        told = {"train/epoch_loss": report.train_loss} | {
            f"validation/{name}": value for name, value in report.metrics.items()
        }
        self._add_event(report.step, {name: value for name, value in told.items() if math.isfinite(value)})
        start = time.perf_counter()
        if shown and self._drawing_seconds <= self._picture_share * (start - self._start):
            self._try(lambda: self._draw(report.epoch, shown))
            self._drawing_seconds += time.perf_counter() - start
        self._try(lambda: self._write_page(report))

    def _draw(self, epoch: int, shown: Sequence[Shown]) -> None:
        self._classes = tuple((each.name, each.color) for each in classes_of(shown))
        png = cv2.imencode(".png", predictions_sheet(shown)[..., ::-1])[1]
        with replacing(self.folder / f"epoch_{epoch:03d}.png") as part:
            part.write_bytes(png.tobytes())
        pictures = self._pictures()
        if len(pictures) > MOST_PICTURES:
            best = [int(row["epoch"]) for row in self._epochs.rows if row.get("best") == "1"][-1:]
            for drawn in sorted(pictures)[1:-1:2]:
                if drawn not in best:
                    pictures[drawn].unlink(missing_ok=True)

    def _pictures(self) -> dict[int, Path]:
        """The pictures there are by epoch."""
        found = ((_PICTURE.fullmatch(path.name), path) for path in self.folder.glob("epoch_*.png"))
        return {int(match[1]): path for match, path in found if match}

    def _write_page(self, report: EpochReport) -> None:
        page = RunPage(
            self.title,
            self.about,
            self._steps.rows,
            self._epochs.rows,
            report.main,
            self._last,
            sorted(self._pictures()),
            self._classes,
        )
        with replacing(self.folder / PAGE) as part:
            part.write_text(render(page), encoding="utf-8")

    def _add_event(self, step: int, values: Mapping[str, float]) -> None:
        if values:
            self._try(lambda: self._write_event(step, values))

    def _write_event(self, step: int, values: Mapping[str, float]) -> None:
        events = self._events or EventFile(self.folder, self._told_until)
        self._events = None  # after half a record nobody would read on: the next goes into another file
        events.add(step, values)
        self._events, self._told_until = events, step

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:  # WriteError is one
            if self.problem is None:
                reason = str(error) if isinstance(error, WriteError) else error.strerror or str(error)
                self.problem = f"the log in {self.folder} is not complete: {reason}"
                _log.warning("%s; training goes on", self.problem)


def _means(reports: Sequence[StepReport]) -> dict[str, float]:
    """The numbers of steps by column, each the mean over those that have it."""
    rows = []
    for report in reports:
        row = {"loss": report.loss} | {f"loss_{name}": value for name, value in report.parts.items()}
        for name in ("learning_rate", "step_seconds", "waiting_seconds", "images_per_second"):
            row[name] = getattr(report, name)
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


class _Rows:
    """A table on disk that grows: rows of text by column, those after a step left out when it is opened."""

    def __init__(self, path: Path, columns: Sequence[str], after_step: int) -> None:
        self.path = path
        self.columns = list(columns)
        self.rows: list[dict[str, str]] = []
        self.whole = False  # whether the file has all rows, and ends with one
        if after_step:
            self._read(after_step)

    def _read(self, after_step: int) -> None:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        text = text[: text.rfind("\n") + 1].replace("\0", "")  # a killed process leaves half a row
        head, *rows = list(csv.reader(io.StringIO(text))) or [[]]
        if head[:2] != self.columns[:2] or len(set(head)) < len(head):
            return
        self.columns = head
        for row in rows:
            step, epoch = (*row, "", "")[:2]
            short = step.isascii() and step.isdigit() and epoch.isascii() and epoch.isdigit()
            if len(row) == len(head) and short and len(step + epoch) < 30 and int(step) <= after_step:
                self.rows.append(dict(zip(head, row, strict=True)))

    def append(self, values: Mapping[str, Any]) -> None:
        """Add a row; columns that are new are added to all, those it has not stay empty. Raises ``OSError``."""
        row = {name: _text(value) for name, value in values.items()}
        self.rows.append(row)
        added = [name for name in row if name not in self.columns]
        self.columns += added
        goes_on, self.whole = self.whole and not added, False
        if not goes_on:
            self.rewrite()
            return
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(self._cells(row))
        self.whole = True

    def rewrite(self) -> None:
        """Write the file anew. Raises ``WriteError``."""
        with replacing(self.path) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(map(self._cells, self.rows))
        self.whole = True

    def _cells(self, row: Mapping[str, str]) -> list[str]:
        return [row.get(name, "") for name in self.columns]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
