"""Plots of an evaluation as plain SVG and HTML tables: intervals, confusion, curves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ..classes import ClassSet
from ..page.charts import number, share
from .slices import Slice
from .summary import ScoreRow

MOST_CLASSES = 30
"""Classes shown in the table of confusion; of more, those with most pixels."""


def interval_table(rows: Sequence[ScoreRow], head: str = "score") -> str:
    """A row for each score: its value, its interval, and both drawn between 0 and 1 where they lie there."""
    body = "".join(
        f'<tr><th scope="row">{escape(row.class_name or row.title)}</th><td><b>{told(row.value)}</b></td>'
        f'<td class="soft">{span(row)}</td><td class="wide">{_drawn(row)}</td></tr>'
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="scores"><thead><tr><th scope="col">{escape(head)}</th>'
        '<th scope="col">value</th><th scope="col">interval</th><th scope="col" class="wide">0 to 1</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def confusion_table(confusion: np.ndarray, classes: ClassSet) -> str:
    """Where the pixels of each class of truth went, in per cent of the row; the darker the more."""
    names = ["(none)", *classes.names]
    order = np.argsort(-confusion.sum(axis=1) - confusion.sum(axis=0), kind="stable")[:MOST_CLASSES]
    shown = [int(k) for k in np.sort(order) if confusion[k].sum() or confusion[:, k].sum()]
    if len(shown) < 2:
        return ""
    head = "".join(f'<th scope="col"><span>{escape(names[k])}</span></th>' for k in shown)
    body = []
    for k in shown:
        total = confusion[k].sum()
        cells = []
        for other in shown:
            part = confusion[k, other] / total if total else 0.0
            kind = "right" if other == k else "wrong"
            text = share(part) if part >= 0.0005 else ""
            cells.append(
                f'<td class="{kind}" style="--part:{part:.3f}" title="{number(int(confusion[k, other]))} pixels of '
                f'{escape(names[k])} predicted as {escape(names[other])}">{text}</td>'
            )
        body.append(f'<tr><th scope="row">{escape(names[k])}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="confusion"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def curve(
    points: Sequence[tuple[float, float, float, float]],
    x_title: str,
    y_title: str,
    *,
    diagonal: bool = False,
    x_labels: Sequence[str] | None = None,
) -> str:
    """A line through points (x, y, low, high), all in 0..1, with a band for the intervals."""
    width, height, left, bottom = 560, 300, 52, 44

    def at(x: float, y: float) -> str:
        return f"{left + x * (width - left - 12):.1f},{12 + (1 - y) * (height - bottom - 12):.1f}"

    there = [point for point in points if not np.isnan(point[1])]
    if len(there) < 2:
        return ""
    ends = [(x, y if np.isnan(low) else low, y if np.isnan(high) else high) for x, y, low, high in there]
    band = " ".join(at(x, min(high, 1.0)) for x, _, high in ends)
    band += " " + " ".join(at(x, max(low, 0.0)) for x, low, _ in reversed(ends))
    line = " ".join(at(x, y) for x, y, _, _ in there)
    dots = "".join('<circle cx="{}" cy="{}" r="3"/>'.format(*at(x, y).split(",")) for x, y, _, _ in there)
    grid = "".join(
        f'<line class="grid" x1="{left}" x2="{width - 12}" y1="{at(0, y).split(",")[1]}" '
        f'y2="{at(0, y).split(",")[1]}"/><text x="{left - 8}" y="{float(at(0, y).split(",")[1]) + 4:.1f}" '
        f'text-anchor="end">{y:g}</text>'
        for y in (0, 0.25, 0.5, 0.75, 1)
    )
    labels = x_labels or [f"{x:g}" for x in (0, 0.25, 0.5, 0.75, 1)]
    places = [x for x, *_ in points] if x_labels else [0, 0.25, 0.5, 0.75, 1]
    ticks = "".join(
        f'<text x="{at(x, 0).split(",")[0]}" y="{height - bottom + 18}" text-anchor="middle">{escape(label)}</text>'
        for x, label in zip(places, labels, strict=True)
    )
    ideal = f'<polyline class="ideal" points="{at(0, 0)} {at(1, 1)}"/>' if diagonal else ""
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(y_title)} by '
        f'{escape(x_title)}">{grid}{ticks}{ideal}<polygon class="band" points="{band}"/>'
        f'<polyline class="line" points="{line}"/>{dots}'
        f'<text class="title" x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">{escape(x_title)}</text>'
        f'<text class="title" transform="translate(14 {(height - bottom) / 2 + 6}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_title)}</text></svg>'
    )


def slice_table(found: Sequence[Slice]) -> str:
    """A row for each slice: how it compares with the rest, and how surely."""
    body = "".join(
        f'<tr><th scope="row">{escape(each.column.replace("_", " "))}<small>{escape(each.label)}</small></th>'
        f"<td>{number(each.images)}</td><td>{'' if each.segments is None else number(each.segments)}</td>"
        f"<td><b>{told(each.value)}</b></td><td>{told(each.rest)}</td>"
        f"<td>{each.difference:+.3f}</td><td>{_p(each.p_corrected)}</td></tr>"
        for each in found
    )
    heads = ("part", "images", "segments", "score", "the rest", "difference", "p, corrected")
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def wilson(right: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share, of things independent of each other (Wilson, JASA 22, 1927).

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    z = 1.959964
    share, factor = right / count, 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / factor
    reach = z / factor * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)))
    return middle - reach, middle + reach


def counted(count: int, unit: str) -> str:
    """``1 image``, ``12 images``."""
    return f"{number(count)} {unit}{'' if count == 1 else 's'}"


def told(value: float) -> str:
    """A score for people."""
    if np.isnan(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else number(float(value))


def span(row: ScoreRow) -> str:
    """Both ends of an interval for people."""
    return "" if np.isnan(row.low) else f"{told(row.low)} to {told(row.high)}"


def _drawn(row: ScoreRow) -> str:
    if np.isnan(row.value):
        return f'<span class="soft">{escape(row.note)}</span>'
    if not (0 <= row.value <= 1 and (np.isnan(row.low) or (row.low >= -0.01 and row.high <= 1.01))):
        return ""
    whisker = ""
    if not np.isnan(row.low):
        low, high = max(row.low, 0), min(row.high, 1)
        whisker = f'<i class="whisker" style="left:{100 * low:.1f}%;right:{100 - 100 * high:.1f}%"></i>'
    return f'<div class="box"><i class="half" style="left:0;right:{100 - 100 * row.value:.1f}%"></i>{whisker}</div>'


def _p(value: float) -> str:
    if np.isnan(value):
        return "–"
    return "&lt; 0.001" if value < 0.001 else f"{value:.3f}"
