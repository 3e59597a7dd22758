"""The report of an evaluation as one page that needs nothing else, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from ..io.writing import replacing
from ..metrics.calibration import Calibration
from ..metrics.error_types import FOUND, STATES, TYPES
from ..page.charts import bar, number, share
from ..page.document import document
from ..page.pictures import figure
from .evaluator import Evaluation
from .gallery import Exhibit, exhibits
from .plots import confusion_table, counted, curve, interval_table, slice_table, span, told, wilson
from .slices import SURE
from .summary import Summary

WORST = 12
"""Images in the gallery."""
SLICES = 20
"""Slices that are listed; the JSON has all."""
SIZES = 10
"""Parts by size of the curve over sizes."""

TITLES = {
    "average_precision": "Average precision (COCO)",
    "boundaries": "Boundaries",
    "boundary_average_precision": "Boundary average precision",
    "calibration": "Calibration of scores",
    "classes": "Classes of pixels",
    "instances": "Objects",
    "panoptic": "Panoptic quality",
    "cldice": "Centre lines",
    "clear_mot": "CLEAR MOT",
    "davis": "J and F (DAVIS)",
    "edges": "Edges",
    "hota": "HOTA",
    "identity": "Identities",
    "partition": "Regions",
    "segmentation_tracking": "Segmentation and tracking (STQ)",
    "surface": "Surfaces",
    "temporal_consistency": "Consistency over time",
    "tolerance_f1": "Within a tolerance",
    "video_panoptic": "Panoptic quality of tubes (VPQ)",
}
ADVICE = {
    "missed": "no predicted segment near it",
    "hallucinated": "predicted where nothing is",
    "wrong class": "found, and called something else",
    "poor boundary": "found, with an outline too far off",
    "split": "one object predicted as several",
    "merged": "several objects predicted as one",
    "duplicate": "predicted once more beside one that fits",
}


def write_report(summary: Summary, folder: str | Path) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.html`` into a folder. Raises ``WriteError``.

    The worst images are read once more for the gallery.
    """
    page, data = Path(folder) / "report.html", Path(folder) / "report.json"
    with replacing(data) as part:
        part.write_text(json.dumps(summary.to_json(), indent=1, ensure_ascii=False), encoding="utf-8")
    with replacing(page) as part:
        part.write_text(render(summary), encoding="utf-8")
    return page, data


def render(summary: Summary) -> str:
    """The page."""
    evaluation = summary.evaluation
    name = Path(evaluation.truth.path).name if evaluation.truth and evaluation.truth.path else "dataset"
    if evaluation.predictions is not None and evaluation.predictions.place:
        name = f"{Path(evaluation.predictions.place).name} on {name}"
    shown = [] if evaluation.truth is None else exhibits(evaluation, summary.worst(WORST), summary.of_image)
    parts = [
        _header(summary, name),
        _classes(summary),
        _errors(summary),
        _slices(summary),
        _sizes(evaluation),
        _reliability(evaluation),
        _confusion(evaluation),
        _gallery(shown, summary),
        _scores(summary),
        _footer(summary),
    ]
    return document(f"Evaluation of {name}", "".join(parts))


def _header(summary: Summary, name: str) -> str:
    evaluation, headline = summary.evaluation, summary.headline
    interval = (
        f"<p>{share(summary.level)} interval {span(headline)}, by drawing {counted(summary.drawn, summary.unit)} "
        "again and again.</p>"
        if span(headline)
        else ""
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in (*evaluation.notes, summary.note) if note)
    return (
        f"<header><h1>Evaluation of {escape(name)}</h1>"
        f"<p>{counted(len(evaluation), evaluation.unit)}, task {escape(evaluation.task)}.</p>"
        f'<p class="headline"><b>{told(headline.value)}</b> {escape(headline.title)}</p>{interval}'
        + (f'<ul class="remarks">{notes}</ul>' if notes else "")
        + "</header>"
    )


def _classes(summary: Summary) -> str:
    metric = summary.evaluation.metrics[0]
    rows = summary.of_metric(metric.name, per_class=True)
    names = list(dict.fromkeys(row.name for row in rows))
    if not names or len(summary.evaluation.classes) < 2:
        return ""
    first = [row for row in rows if row.name == names[0]]
    ordered = sorted((row for row in first if not np.isnan(row.value)), key=lambda row: -row.value)
    absent = [str(row.class_name) for row in first if np.isnan(row.value)]
    left_out = (
        f"<details><summary>{number(len(absent))} classes are on neither side of any image and in no mean</summary>"
        f"<p>{escape(', '.join(absent))}</p></details>"
        if absent
        else ""
    )
    return (
        f"<section><h2>Classes</h2><p>{escape(first[0].title)} of each, with its interval.</p>"
        f"{interval_table(ordered, 'class')}{left_out}</section>"
    )


def _errors(summary: Summary) -> str:
    rows = {row.name: row for row in summary.of_metric("errors")}
    if not rows:
        return ""
    listed = []
    for kind in TYPES:
        key = kind.replace(" ", "_")
        listed.append((kind, rows[f"count_{key}"], rows[f"gain_{key}"]))
    listed.sort(key=lambda each: -np.nan_to_num(each[2].value))
    most = max((each[2].value for each in listed), default=0.0) or 1.0
    body = "".join(
        f'<tr><th scope="row">{kind}<small>{ADVICE[kind]}</small></th><td>{number(int(count.value))}</td>'
        f"<td><b>{gain.value:+.3f}</b>{bar(max(0.0, gain.value / most))}</td><td class='soft'>{span(gain)}</td></tr>"
        for kind, count, gain in listed
    )
    return (
        "<section><h2>What goes wrong</h2><p>How many segments are wrong in which way, and what panoptic quality would "
        "gain if all errors of this kind, and only they, were mended.</p>"
        '<div class="scroll"><table><thead><tr><th scope="col">kind of error</th><th scope="col">segments</th>'
        '<th scope="col">PQ gained</th><th scope="col">interval</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _slices(summary: Summary) -> str:
    if not summary.slices:
        return ""
    worse = [each for each in summary.slices if each.worse]
    sure = [each for each in worse if each.p_corrected < SURE]
    verdict = (
        f"{number(len(sure))} of {number(len(summary.slices))} parts are surely worse than the rest."
        if sure
        else f"None of {number(len(summary.slices))} parts is surely worse than the rest."
    )
    return (
        f"<section><h2>Where it is worse</h2><p>{verdict} P-values are corrected for looking at so many (Holm).</p>"
        f"{slice_table((worse or list(summary.slices))[:SLICES])}</section>"
    )


def _sizes(evaluation: Evaluation) -> str:
    """Share of the objects found over their size."""
    objects = evaluation.objects
    judged = [STATES.index(each) for each in (FOUND, *TYPES)]
    rows = ~objects["predicted"] & np.isin(objects["state"], judged)
    if evaluation.task not in ("instance", "panoptic") or rows.sum() < 5 * SIZES:
        return ""
    area = objects["area_px"][rows].astype(np.float64)
    found = objects["state"][rows] == STATES.index(FOUND)
    order = np.argsort(area, kind="stable")
    points, labels = [], []
    for place, part in enumerate(np.array_split(order, SIZES)):
        points.append(
            ((place + 0.5) / SIZES, float(found[part].mean()), *wilson(found[part].sum(), len(part)))
        )
        labels.append(number(round(float(np.median(area[part])))))
    unit = "voxels" if evaluation.truth is not None and _is_volume(evaluation) else "pixels"
    return (
        f"<section><h2>Found by size</h2><p>Share of the segments of truth that were found, in {SIZES} parts of equal "
        "number by size. The band takes segments for independent of each other.</p>"
        f"{curve(points, f'median size in {unit}', 'found', x_labels=labels)}</section>"
    )


def _is_volume(evaluation: Evaluation) -> bool:
    truth = evaluation.truth
    assert truth is not None
    first = next(sample for sample in truth if sample.annotated)
    return first.truth.ndim == 3


def _reliability(evaluation: Evaluation) -> str:
    """How often segments of a score are right, where predictions have scores."""
    both = zip(evaluation.metrics, evaluation.kept, strict=True)
    kept = next((kept for metric, kept in both if metric.name == Calibration.name), None)
    scores = evaluation.objects["score"][evaluation.objects["predicted"]]
    if kept is None or not len(scores) or (scores == 1).all():
        return ""
    found = Calibration().curve(np.sum(kept, axis=0))
    points = []
    for count, score, right in zip(found.count, found.mean_score, found.share_right, strict=True):
        if count:
            low, high = wilson(right * count, count)
            points.append((float(score), float(right), low, high))
    return (
        "<section><h2>Can scores be trusted?</h2><p>Share of the predicted segments of a score that are right. On the "
        "dashed line a score is a probability; below it predictions are too sure of themselves.</p>"
        f"{curve(points, 'score', 'right', diagonal=True)}</section>"
    )


def _confusion(evaluation: Evaluation) -> str:
    table = confusion_table(evaluation.confusion, evaluation.classes)
    if not table:
        return ""
    return (
        "<section><h2>Confusion</h2><p>Rows are classes in truth, columns what was predicted, in per cent of the row's "
        f"pixels.</p>{table}</section>"
    )


def _gallery(shown: Sequence[Exhibit], summary: Summary) -> str:
    if not shown:
        return ""
    rows = "".join(
        f'<article><div class="text"><p><code>{escape(each.name)}</code> <b>{told(each.score)}</b></p></div>'
        f'<div class="pictures three">{"".join(figure(picture) for picture in each.pictures)}</div></article>'
        for each in shown
    )
    return (
        f"<section><h2>The worst images</h2><p>By {escape(summary.headline.title)} of the image itself: truth, "
        'prediction, and the difference: <i class="key missed"></i> only in truth, <i class="key false"></i> only '
        'predicted, <i class="key confused"></i> another class or object, <i class="key void"></i> void. Point at a '
        f'picture to see it without lines.</p><div class="exhibits">{rows}</div></section>'
    )


def _scores(summary: Summary) -> str:
    parts = []
    for metric in summary.evaluation.metrics:
        rows = [row for row in summary.of_metric(metric.name) if metric.name != "errors"]
        if rows:
            title = TITLES.get(metric.name, metric.name.replace("_", " ").capitalize())
            parts.append(f"<h3>{escape(title)}</h3>{interval_table(rows)}")
    return f"<section><h2>All scores</h2>{''.join(parts)}</section>"


def _footer(summary: Summary) -> str:
    seconds = summary.evaluation.seconds
    busy = seconds["reading"] + seconds["scoring"]
    part = seconds["reading"] / busy if busy else 0.0
    return (
        f"<footer><p>Of the work, {share(part)} was reading images and masks, the rest scoring. All numbers are in "
        "report.json. Made by smalti evaluate.</p></footer>"
    )
