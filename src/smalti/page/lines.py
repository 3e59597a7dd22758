"""Lines over a count that goes on, such as the loss over steps, as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 112, 12, 44
LETTER_PX = 6.6
"""Width of a letter of a name, about."""

COLORS = ("var(--info)", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Of Okabe and Ito (2008), in the order they are given to lines; both grounds of a page let them be seen."""
LOGARITHMIC_FROM = 12
"""Times the smallest value that the largest is, from which an axis may be logarithmic."""


@dataclass(frozen=True, eq=False)
class Line:
    """Values over x, both (n,), NaN where there is none; ``name`` stands at its end, ``faint`` is background."""

    name: str
    x: np.ndarray
    y: np.ndarray
    faint: bool = False
    mark: int | None = None
    """Point that is marked, such as the best."""


def lines(drawn: Sequence[Line], x_title: str, y_title: str, *, may_be_logarithmic: bool = False) -> str:
    """The lines on one pair of axes, named at their ends. Nothing where no line has a value.

    The axis of y reaches as far as the values; if it ``may_be_logarithmic`` it is where they are positive and far
    apart. A line of one value is a dot.
    """
    there = [line for line in (_finite(each) for each in drawn) if len(line.x)]
    if not there:
        return ""
    values = np.concatenate([line.y for line in there])
    strong = np.concatenate([line.y for line in there if not line.faint] or [values])
    low, high = float(values.min()), float(values.max())
    apart = low > 0 and float(strong.max() / strong.min()) > LOGARITHMIC_FROM
    logarithmic = may_be_logarithmic and apart
    y_ticks = _powers(low, high) if logarithmic else _even(low, high)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])
    first = min(float(line.x[0]) for line in there)
    last = max(float(line.x[-1]) for line in there)
    if 0 < first < last / 20:
        first = 0.0
    x_ticks = [tick for tick in _even(first, last, whole=True) if first <= tick <= last]

    def across(x: np.ndarray | float) -> np.ndarray:
        share = (np.asarray(x, float) - first) / (last - first or 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def up(y: np.ndarray | float) -> np.ndarray:
        scaled = (np.log(v) if logarithmic else np.asarray(v, float) for v in (y, low, high))
        value, bottom, top = (np.asarray(each) for each in scaled)
        return TOP + (1 - (value - bottom) / ((top - bottom) or 1)) * (HEIGHT - TOP - BOTTOM)

    grid = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{up(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
        for y in y_ticks
    )
    grid += "".join(
        f'<text x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_told(x)}</text>'
        for x in x_ticks
    )
    named = [line for line in there if not line.faint]
    parts = []
    for line in [line for line in there if line.faint] + named[::-1]:  # the first named one on top
        color = "var(--bar)" if line.faint else COLORS[named.index(line) % len(COLORS)]
        parts.append(_curve(line, across(line.x), up(line.y), color))
    ends = _apart([float(up(line.y[-1])) for line in named])
    names = "".join(
        f'<text x="{WIDTH - RIGHT + 8}" y="{end + 4:.1f}" style="fill:{COLORS[index % len(COLORS)]}">'
        f"{escape(_short(line.name))}<title>{escape(line.name)}</title></text>"
        for index, (line, end) in enumerate(zip(named, ends, strict=True))
    )
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_title)} by '
        f'{escape(x_title)}">{grid}{"".join(parts)}{names}'
        f'<text class="title" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f'{escape(x_title)}</text><text class="title" transform="translate(14 {(HEIGHT - BOTTOM) / 2 + 6}) '
        f'rotate(-90)" text-anchor="middle">{escape(y_title)}</text></svg>'
    )


def smoothed(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean of up to ``reach`` values on either side of each, (n,), NaN passed over.

    >>> smoothed(np.array([1.0, 5.0, 3.0]), 1).tolist()
    [3.0, 3.0, 4.0]
    """
    there = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(there, values, 0))])
    counts = np.concatenate([[0], np.cumsum(there)])
    places = np.arange(len(values))
    low, high = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    amounts = counts[high] - counts[low]
    return np.where(amounts > 0, (sums[high] - sums[low]) / np.maximum(amounts, 1), np.nan)


def _finite(line: Line) -> Line:
    kept = np.isfinite(line.x) & np.isfinite(line.y)
    mark = line.mark
    if mark is not None:
        mark = int(kept[:mark].sum()) if kept[mark] else None
    return Line(line.name, line.x[kept], line.y[kept], line.faint, mark)


def _curve(line: Line, across: np.ndarray, up: np.ndarray, color: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    width = 1 if line.faint else 2
    marked = {line.mark} if line.mark is not None else set()
    dots = marked | ({0} if len(across) == 1 else set())
    return (
        f'<polyline class="line" style="stroke:{color};stroke-width:{width}" points="{points}"/>'
        + "".join(
            f'<circle style="fill:{color}" cx="{across[k]:.1f}" cy="{up[k]:.1f}" r="4"/>'
            for k in sorted(dots)
        )
    )


def _even(low: float, high: float, whole: bool = False) -> list[float]:
    """Round numbers around a range, about five."""
    if high <= low:
        room = abs(low) / 2 or 0.5
        low, high = low - room, high + room
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= rough * 0.999)
    if whole:
        step = max(1, round(step))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten in a range, or only the powers where that is many, and one below."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(powers) <= 4 else (1,)
    found = [float(f"{digit * 10.0**power:.12g}") for power in powers for digit in digits]
    below = [each for each in found if each <= low][-1:]
    return below + [each for each in found if low < each <= high]


def _apart(places: list[float], gap: float = 14) -> list[float]:
    """The places moved down as far as names need to stand clear of each other."""
    moved = list(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + gap)
    over = max(0.0, max(moved, default=0.0) - (HEIGHT - BOTTOM))
    return [place - over for place in moved]


def _short(name: str) -> str:
    most = int((RIGHT - 10) / LETTER_PX)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _told(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")
