"""The page that explains a model: what it looks at, how good it says it is, and where it finds each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from ..image import Image
from ..io.display import to_display
from ..io.draw import overlay
from ..page.charts import number, share
from ..page.document import document
from ..page.pictures import Picture, figure, picture
from ..page.scale import colored, scale_key
from ..postprocess.uncertainty import margin
from ..segmentation import Segmentation
from ..table import Table
from .explanation import Explanation
from .targets import target_colors, target_names

SIDE_PX = 280
MOST_FEATURES = 20
MOST_CLASSES = 12
"""Maps of probability for an image; of more classes those that are most probable in it."""
SEEN = 0.2
"""A class that is nowhere this probable has no map, only its name."""

TITLES = {"oob_accuracy": "out-of-bag accuracy", "oob_iou": "out-of-bag IoU", "seconds": "seconds to fit"}


def render(told: Explanation, exhibits: Sequence[str]) -> str:
    """The page, of the HTML of each image."""
    kind = f"{told.method}, task {told.task}" if told.task else told.method
    failed = "".join(
        f"<li>{escape(name)} could not be used: {escape(error)}</li>" for name, error in told.failed
    )
    body = (
        f"<header><h1>{escape(told.model.name)} explained</h1><p>{escape(kind)}. Classes: "
        f"{escape(', '.join(told.classes))}.</p>"
        + (f'<ul class="remarks">{failed}</ul>' if failed else "")
        + "</header>"
    )
    if exhibits:
        body += (
            "<section><h2>Where each class is found</h2><p>How probable each class is at each pixel, and how unsure "
            "the model is: 1 less the lead of the most probable class over the second.</p>"
            f'{scale_key("no", "surely")}<div class="exhibits">{"".join(exhibits)}</div></section>'
        )
    if told.features is not None:
        body += _importances(told.features, told.families)
    body += _report(told.report)
    return document(f"{told.model.name} explained", body + "<footer><p>Made by smalti explain.</p></footer>")


def _importances(features: Table, families: Table | None) -> str:
    count = min(MOST_FEATURES, len(features))
    more = (
        f"<p>The {number(count)} most important of {number(len(features))}.</p>"
        if count < len(features)
        else ""
    )
    parts = [
        "<section><h2>What it looks at</h2><p>The share that splits on a feature have in telling classes apart, of 1 "
        "in all. Of features that say the same any may have it. Nearby is what a first forest said around a pixel.</p>"
    ]
    if families is not None:
        parts.append(f"<h3>By family</h3>{_bars('family', families['family'], families['importance'])}")
    kinds = features["family"][:count].tolist() if "family" in features else None
    shown = _bars("feature", features["feature"][:count], features["importance"][:count], kinds)
    parts.append(f"<h3>By feature</h3>{more}{shown}</section>")
    return "".join(parts)


def _bars(head: str, names: np.ndarray, values: np.ndarray, kinds: Sequence[str] | None = None) -> str:
    most = float(values.max(initial=0)) or 1.0
    kinds = kinds or [""] * len(names)
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}{f"<small>{escape(kind)}</small>" if kind else ""}</th>'
        f'<td>{value:.3f}</td><td class="wide"><div class="box"><i class="half" style="left:0;right:'
        f'{100 - 100 * value / most:.1f}%"></i></div></td></tr>'
        for name, value, kind in zip(names.tolist(), values.tolist(), kinds, strict=True)
    )
    return (
        f'<div class="scroll"><table class="scores shares"><thead><tr><th scope="col">{head}</th><th scope="col">'
        f'importance</th><th class="wide"></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _report(report: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in report.items() if isinstance(value, bool | int | float | str)}
    scores = {
        str(name): float(value)
        for name, value in (report["oob_iou"] if isinstance(report.get("oob_iou"), dict) else {}).items()
        if isinstance(value, int | float)
    }
    if not plain and not scores:
        return ""
    rows = "".join(
        f"<div><dt>{escape(TITLES.get(name, name.replace('_', ' ')))}</dt><dd>{_told(name, value)}</dd></div>"
        for name, value in plain.items()
    )
    tables = ""
    if scores:
        order = sorted(scores, key=lambda name: -scores[name])
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td>{scores[name]:.3f}</td><td class="wide"><div class="box"><i '
            f'class="half" style="left:0;right:{100 - 100 * min(max(scores[name], 0), 1):.1f}%"></i></div></td></tr>'
            for name in order
        )
        tables = (
            "<h3>Out of bag</h3><p>IoU of pixels that a tree has not learned from; other images may be harder.</p><div "
            'class="scroll"><table class="scores"><thead><tr><th scope="col">class</th><th scope="col">IoU</th><th '
            f'class="wide">0 to 1</th></tr></thead><tbody>{body}</tbody></table></div>'
        )
    return f'<section><h2>What is known of it</h2><dl class="facts">{rows}</dl>{tables}</section>'


def _told(name: str, value: bool | int | float | str) -> str:
    if name == "oob_accuracy" and isinstance(value, float):
        return f"{100 * value:.1f} %"
    return number(value)


def exhibit(name: str, image: Image, model: Any) -> str:
    """The pictures of one image as HTML: itself, its segments, how unsure the model is, each class's probability.

    Of a volume the slice that the model is least sure of.
    """
    scores = model.predict_scores(image)
    found = model.decode(scores, image.geometry) if _decodes(model) else model.predict(image)
    names = target_names(model, len(scores))
    colors = target_colors(model, names)
    unsure = margin(scores)
    where = ""
    if image.ndim == 3:
        z = int(unsure.mean((1, 2)).argmax())
        where = f", slice {z} of {image.shape[0]}"
        image, found = Image(image.pixels[z], image.channels), _slice(found, z)
        scores, unsure = scores[:, z], unsure[z]
    drawn = overlay(image, found, fill=0.6, outlines=False, ids=False, legend=False, zoom=1)
    cells = [
        _cell(_shown(to_display(image), f"{name}, image"), "image"),
        _cell(_shown(drawn, f"{name}, segments"), "segments"),
        _cell(_map(unsure, f"{name}, uncertainty"), f"uncertainty, mean {unsure.mean():.2f}"),
    ]
    means = scores.reshape(len(scores), -1).mean(1)
    seen = np.flatnonzero(scores.reshape(len(scores), -1).max(1) >= SEEN)
    kept = np.sort(seen[np.argsort(-means[seen], kind="stable")[:MOST_CLASSES]]).tolist()
    for k in kept:
        swatch = f'<i class="swatch" style="background:rgb{colors[k]}"></i>'
        told = f"{swatch}{escape(names[k])}, {share(float(means[k]))}"
        cells.append(_cell(_map(scores[k], f"{name}, {names[k]}"), told))
    without = [name for k, name in enumerate(names) if k not in kept]
    more = f'<p class="hint">Hardly anywhere: {escape(", ".join(without))}.</p>' if without else ""
    return (
        f'<article><div class="text"><p><code>{escape(name)}</code> <span class="soft">{image.shape[0]} × '
        f'{image.shape[1]} px{where}</span></p></div><div class="maps">{"".join(cells)}</div>'
        f'<div class="text">{more}</div></article>'
    )


def _decodes(model: Any) -> bool:
    """Whether the objects can be had from the probabilities, which then are computed once."""
    return hasattr(model, "decode") and getattr(model, "task", "semantic") != "semantic"


def _slice(found: Segmentation, z: int) -> Segmentation:
    flat = found.panoptic() if found.overlapping else found
    return Segmentation.from_labels(flat.labels[z], class_ids=flat.class_ids, classes=flat.classes)


def _shown(pixels: np.ndarray, caption: str) -> Picture:
    return picture(pixels, (0, 0, *pixels.shape[:2]), caption, (), SIDE_PX)


def _map(values: np.ndarray, caption: str) -> Picture:
    pixels = colored(values, SIDE_PX)
    return picture(pixels, (0, 0, *pixels.shape[:2]), caption, (), SIDE_PX, stretch=False)


def _cell(shown: Picture, told: str) -> str:
    return f"<div>{figure(shown)}<p>{told}</p></div>"
