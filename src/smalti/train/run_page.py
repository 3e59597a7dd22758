"""The page of a run: how good the model is so far, how loss and metrics went, and what it makes of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

import numpy as np

from ..page.charts import number, share
from ..page.document import document
from ..page.lines import Line, lines, smoothed
from .reports import StepReport

MOST_METRICS = 5
"""Metrics with a line; the table has all."""
MOST_EPOCHS = 20
"""Epochs in the table, the last ones; ``epochs.csv`` has all."""
MOST_POINTS = 600
"""Points of a line; of more, several are one by their mean."""

_NOT_METRICS = ("step", "epoch", "seconds", "best", "train_loss")


@dataclass(frozen=True, eq=False)
class RunPage:
    """What the page shows: rows of both tables as text by column, and the epochs that have pictures."""

    title: str
    about: Mapping[str, str]
    steps: Sequence[Mapping[str, str]]
    epochs: Sequence[Mapping[str, str]]
    main: str = ""
    last: StepReport | None = None
    pictures: Sequence[int] = ()
    classes: Sequence[tuple[str, tuple[int, int, int]]] = ()

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, the one that decides first."""
        names = dict.fromkeys(name for row in self.epochs for name in row if name not in _NOT_METRICS)
        return sorted(names, key=lambda name: name != self.main)

    @property
    def best(self) -> int | None:
        """Row of the best epoch."""
        rows = [index for index, row in enumerate(self.epochs) if row.get("best") == "1"]
        return rows[-1] if rows else None


def render(page: RunPage) -> str:
    """The page as HTML; pictures and tables lie beside it."""
    body = _head(page) + _charts(page) + _pictures(page) + _table(page) + _speed(page)
    if page.about:
        facts = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
            for name, value in page.about.items()
        )
        body += f'<section><h2>What is trained</h2><dl class="facts">{facts}</dl></section>'
    body += (
        '<footer><p>Made by smalti fit. All numbers: <a href="log.csv">log.csv</a> and '
        '<a href="epochs.csv">epochs.csv</a>, or <code>tensorboard --logdir</code> of this folder.</p></footer>'
    )
    return document(f"Training of {page.title}", body)


def _head(page: RunPage) -> str:
    last = page.last
    where = f"Epoch {page.epochs[-1]['epoch']}" if page.epochs else "Before the first epoch"
    if last is not None:
        where += f" of {last.epochs}, step {number(last.step)} of {number(last.steps)}"
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    told = ""
    if page.best is not None:
        row = page.epochs[page.best]
        told = (
            f'<p class="headline"><b>{_score(row.get(page.main, ""))}</b>{escape(page.main)} on validation images, '
            f"the best so far, after epoch {escape(row['epoch'])}</p>"
        )
    return (
        f'<header><h1>Training of {escape(page.title)}</h1><p class="path">{where}; {when}</p>{told}</header>'
    )


def _charts(page: RunPage) -> str:
    x, loss = _column(page.steps, "step"), _column(page.steps, "loss")
    x, loss = _thinned(x), _thinned(loss)
    reach = max(1, len(loss) // 40)
    drawn = [Line("loss", x, smoothed(loss, reach)), Line("", x, loss, faint=True)]
    charts = [("Loss", lines(drawn, "step", "loss of training", may_be_logarithmic=True))]
    at = _column(page.epochs, "step")
    metrics = [
        Line(name, at, _column(page.epochs, name), mark=page.best if name == page.main else None)
        for name in page.metrics[:MOST_METRICS]
    ]
    charts.append(("Validation", lines(metrics, "step", "metric")))
    shown = "".join(f'<div><h3 style="margin-top:0">{title}</h3>{svg}</div>' for title, svg in charts if svg)
    columns = "display:grid;gap:0 2rem;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr))"
    return f'<section style="{columns}">{shown}</section>' if shown else ""


def _pictures(page: RunPage) -> str:
    if not page.pictures:
        return ""
    newest = page.pictures[-1]
    best = None if page.best is None else int(page.epochs[page.best]["epoch"])
    told = f"<section><h2>What it makes of validation images <small>after epoch {newest}</small></h2>{_picture(newest)}"
    if len(page.classes) > 1:
        told += '<ul class="chips">' + "".join(
            f'<li><span class="swatch" style="background:rgb{color}"></span>{escape(name)}</li>'
            for name, color in page.classes
        )
        told += "</ul>"
    if best is not None and best in page.pictures and best != newest:
        told += f"<h3>After epoch {best}, the best</h3>{_picture(best)}"
    earlier = [epoch for epoch in page.pictures if epoch not in (newest, best)]
    if earlier:
        links = ", ".join(f'<a href="{_name(epoch)}">{epoch}</a>' for epoch in earlier)
        told += f"<details><summary>Earlier ones</summary><p>After epoch {links}</p></details>"
    return told + "</section>"


def _picture(epoch: int) -> str:
    return (
        f'<p style="max-width:none"><a href="{_name(epoch)}"><img style="max-width:100%;height:auto" '
        f'alt="truth and prediction of validation images after epoch {epoch}" src="{_name(epoch)}"></a></p>'
    )


def _name(epoch: int) -> str:
    return f"epoch_{epoch:03d}.png"


def _table(page: RunPage) -> str:
    if not page.epochs:
        return ""
    names = page.metrics
    heads = "".join(
        f'<th scope="col">{escape(name)}</th>' for name in ("epoch", "step", "train loss", *names, "time")
    )
    rows = []
    for index, row in list(enumerate(page.epochs))[: -MOST_EPOCHS - 1 : -1]:
        best = " <small>best</small>" if index == page.best else ""
        cells = [number(int(row["step"])), _score(row.get("train_loss", ""))]
        cells += [_score(row.get(name, "")) for name in names] + [_seconds(_value(row, "seconds"))]
        rows.append(
            f'<tr><th scope="row">{escape(row["epoch"])}{best}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    more = f"<p>The last {MOST_EPOCHS} of {len(page.epochs)}.</p>" if len(page.epochs) > MOST_EPOCHS else ""
    return (
        f'<section><h2>Epochs</h2>{more}<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _speed(page: RunPage) -> str:
    recent = page.steps[-max(20, len(page.steps) // 20) :]
    per_step, waiting = (_mean(recent, name) for name in ("step_seconds", "waiting_seconds"))
    if not per_step > 0:
        return ""
    images, rate = _mean(recent, "images_per_second"), _mean(recent[-1:], "learning_rate")
    facts = {
        "a step": _seconds(per_step),
        "images a second": number(images) if math.isfinite(images) else "–",
        "waiting for data": share(min(1.0, waiting / per_step)) if waiting >= 0 else "–",
        "learning rate": f"{rate:.2g}" if math.isfinite(rate) else "–",
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return f'<section><h2>Speed <small>of late</small></h2><dl class="facts">{told}</dl></section>'


def _thinned(values: np.ndarray) -> np.ndarray:
    """The means of several neighbours, where there are more than can be seen."""
    several = -(-len(values) // MOST_POINTS)
    if several <= 1:
        return values
    starts = np.arange(0, len(values), several)
    counts = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values, starts) / counts


def _column(rows: Sequence[Mapping[str, str]], name: str) -> np.ndarray:
    return np.array([_value(row, name) for row in rows], float)


def _value(row: Mapping[str, str], name: str) -> float:
    try:
        return float(row.get(name, ""))
    except ValueError:
        return math.nan


def _mean(rows: Sequence[Mapping[str, str]], name: str) -> float:
    values = _column(rows, name)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else math.nan


def _score(text: str) -> str:
    value = _value({"": text}, "")
    return "–" if not math.isfinite(value) else f"{value:.3f}" if abs(value) < 100 else f"{value:.3g}"


def _seconds(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "–"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
