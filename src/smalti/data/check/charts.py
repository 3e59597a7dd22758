"""Tables with bars for the page of a check: classes, sizes of segments, splits. Plain SVG and CSS, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ...page.charts import bar, number, share

Row = Mapping[str, Any]
MEANING = {
    "red": "red (share of the three)",
    "blue": "blue (share of the three)",
    "aspect": "width / height",
    "object size": "object size (a side)",
}
"""Names of measures as people read them."""


def class_table(rows: Sequence[Row], unit: str = "pixels") -> str:
    """A row for each class: images, segments, share of pixels or voxels, each with a bar."""
    used = [row for row in rows if row["segments"]]
    if not used:
        return "<p>No annotation has a segment.</p>"
    most = {name: max(row[name] for row in used) for name in ("images", "segments")}
    body = []
    for row in sorted(rows, key=lambda row: -row["pixels"]):
        color = "#{:02x}{:02x}{:02x}".format(*row["color"])
        cells = [
            f'<th scope="row"><i class="swatch" style="background:{color}"></i>{escape(row["name"])}'
            f"<small>{'thing' if row['thing'] else 'stuff'}</small></th>"
        ]
        for name, text in (
            ("images", number(row["images"])),
            ("segments", number(row["segments"])),
            ("pixel_share", share(row["pixel_share"])),
        ):
            part = row[name] if name == "pixel_share" else row[name] / most[name]
            cells.append(f"<td>{text}{bar(min(1.0, part))}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("class", "images", "segments", f"of all {unit} but void")
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def size_chart(rows: Sequence[Row], unit: str = "pixels") -> str:
    """Areas of the segments of each class on one logarithmic axis: 5 to 95 % as a line, the middle half as a bar."""
    rows = [row for row in rows if row["area_px"] and row["area_px"][2] is not None]
    if not rows:
        return ""
    low = math.floor(math.log10(max(1.0, min(row["area_px"][0] for row in rows))))
    high = max(low + 1, math.ceil(math.log10(max(row["area_px"][4] for row in rows) + 1)))

    def at(area: float) -> float:
        return 100 * (math.log10(max(area, 10**low)) - low) / (high - low)

    body = []
    for row in sorted(rows, key=lambda row: -row["area_px"][2]):
        least, lower, middle, upper, most = row["area_px"]
        body.append(
            f'<tr><th scope="row">{escape(row["name"])}</th><td>{number(middle)}</td><td class="wide">'
            f'<div class="box" role="img" aria-label="from {number(least)} to {number(most)} {unit}">'
            f'<i class="whisker" style="left:{at(least):.1f}%;right:{100 - at(most):.1f}%"></i>'
            f'<i class="half" style="left:{at(lower):.1f}%;right:{100 - at(upper):.1f}%"></i>'
            f'<i class="middle" style="left:{at(middle):.1f}%"></i></div></td></tr>'
        )
    ticks = "".join(
        f'<i style="left:{100 * (power - low) / (high - low):.1f}%">{number(10**power)}</i>'
        for power in range(low, high + 1)
    )
    axis = f'<tr class="axis"><th></th><td></td><td class="wide"><div class="ticks">{ticks}</div></td></tr>'
    what = f"{'volume' if unit == 'voxels' else 'area'} in {unit}"
    head = (
        f'<tr><th scope="col">class</th><th scope="col">half have less</th><th scope="col">{what}</th></tr>'
    )
    return (
        f'<div class="scroll"><table class="sizes"><thead>{head}</thead>'
        f"<tbody>{''.join(body)}{axis}</tbody></table></div>"
    )


def split_table(splits: Mapping[str, Row], unit: str = "pixels") -> str:
    """A column for each split: how many images, and the middle of every measure that drift is looked for in."""
    if not splits:
        return ""
    names = list(dict.fromkeys(name for row in splits.values() for name in row))
    if all(row.get("groups") == row.get("images") for row in splits.values()):
        names.remove("groups")
    head = "".join(f'<th scope="col">{escape(split)}</th>' for split in splits)
    body = "".join(
        f'<tr><th scope="row">{escape(unit if name == "size" else MEANING.get(name, name))}</th>'
        + "".join(f"<td>{number(row[name]) if name in row else '–'}</td>" for row in splits.values())
        + "</tr>"
        for name in names
    )
    return f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
