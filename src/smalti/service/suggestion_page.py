"""The page of what to annotate next: each window, how unsure the model is in it, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import cv2
import numpy as np

from ..image import Image
from ..io.display import to_display
from ..page.charts import bar, number, share
from ..page.document import document
from ..page.pictures import Place, figure, outlines, picture
from ..page.scale import colored, scale_key
from ..segmentation import Segmentation
from .suggestions import Seen, Suggestion, Suggestions

SIDE_PX = 320
UNSURE = 0.5
"""From this on a pixel is outlined: the best class leads the second by less than one half."""

Color = tuple[int, int, int]


def render(told: Suggestions, exhibits: Sequence[str]) -> str:
    """The page, of the HTML of each suggestion."""
    count = f"{number(told.looked_at)} {'image' if told.looked_at == 1 else 'images'}"
    notes = []
    if told.annotated:
        notes.append(f"{number(told.annotated)} of them are annotated already and were passed over.")
    notes += [f"{name} could not be used: {error}" for name, error in told.failed]
    remarks = "".join(f"<li>{escape(note)}</li>" for note in notes)
    meaning = {
        "margin": "Uncertainty is 1 less the lead of the most probable class over the second (margin).",
        "entropy": "Uncertainty is the entropy of the probabilities, over its highest value.",
    }[told.by]
    body = (
        f"<header><h1>What to annotate next</h1><p>{count}, as {escape(told.model.name)} sees them. The first is where "
        f"the model is least sure; each further one is unsure and unlike those before it. {meaning}</p>"
        + (f'<ul class="remarks">{remarks}</ul>' if remarks else "")
        + "</header>"
    )
    if exhibits:
        body += (
            '<section><p class="hint">Left the window, outlined where uncertainty is at least one half; point at it to '
            "see it without lines. In the middle the uncertainty, grey where there are labels already. Right where the "
            f'window lies.</p>{scale_key("sure", "unsure")}<div class="exhibits">{"".join(exhibits)}</div></section>'
        )
    else:
        body += f"<section><p>There is nothing to suggest: {told.nothing}.</p></section>"
    return document("What to annotate next", body + "<footer><p>Made by smalti suggest.</p></footer>")


def exhibit(rank: int, told: Suggestion, seen: Seen, colors: Mapping[str, Color]) -> tuple[str, np.ndarray]:
    """One suggestion as HTML, and its window as it is shown, (h, w, 3) uint8."""
    ndim = seen.image.ndim
    top, left = told.box[-2 - ndim : len(told.box) - ndim]
    window = top, left, told.box[-2], told.box[-1]
    image, unsure, known = seen.image, seen.unsure, seen.known
    where = f"{window[2] - top} × {window[3] - left} px at y {top}, x {left}"
    if ndim == 3:
        z = told.box[0]
        image = Image(image.pixels[z], image.channels)
        unsure, known = unsure[z], None if known is None else known[z]
        where += f", slice {z}"
    shown = to_display(image)
    inside = slice(top, window[2]), slice(left, window[3])
    left_out = None if known is None else known[inside]
    heat = colored(unsure[inside], SIDE_PX, left_out)
    whole = 0, 0, image.shape[0], image.shape[1]
    frame = np.zeros(image.shape, np.uint8)
    frame[inside] = 1
    pictures = (
        picture(
            shown,
            window,
            f"{told.image}, the window",
            [("meant", _area(unsure[inside], left_out, window))],
            SIDE_PX,
        ),
        picture(heat, (0, 0, *heat.shape[:2]), f"{told.image}, uncertainty", (), SIDE_PX, stretch=False),
        picture(
            shown, whole, f"{told.image}, where the window lies", [("meant", _all(frame, whole))], SIDE_PX
        ),
    )
    first, second = (
        f'<i class="swatch" style="background:rgb{colors[name]}"></i>{escape(name)} '
        f'<span class="soft">{share(part)}</span>'
        for name, part in told.between
    )
    html = (
        f'<article><div class="text"><p class="headline"><b>{rank}</b>{first} or {second}?</p><p><code>'
        f'{escape(told.image)}</code> <span class="soft">{where}</span></p><p class="notes"><span class="sure">'
        f'uncertainty {told.uncertainty:.2f}<span class="track">{bar(told.uncertainty)}</span></span></p></div>'
        f'<div class="pictures place">{"".join(figure(each) for each in pictures)}</div></article>'
    )
    return html, np.ascontiguousarray(shown[inside])


def _area(unsure: np.ndarray, left_out: np.ndarray | None, window: Place) -> str:
    """The outlines of what is unsure in a window, without specks."""
    levels = np.rint(unsure * 255).astype(np.uint8)
    area = cv2.medianBlur(levels, 5) >= UNSURE * 255 if min(levels.shape) > 4 else levels >= UNSURE * 255
    if left_out is not None:
        area &= ~left_out
    return _all(area.astype(np.uint8), (0, 0, window[2] - window[0], window[3] - window[1]))


def _all(mask: np.ndarray, place: Place) -> str:
    if not mask.any():
        return ""
    return outlines(Segmentation.from_labels(mask), np.array([1]), place)
