"""Which image, and which place in it, to annotate next: where a model is unsure, and not twice the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, SmaltiError, unknown_name
from ..image import Image
from ..pixel.suggest import MEASURES, By, Candidate, candidates, choose
from .actions import Reading, check_folder
from .datasets import Opening
from .places import Place, find_places
from .suggestions import Seen, Suggestion, Suggestions
from .targets import scoring_model, target_colors, target_names

PAGE = "suggest.html"


def suggest(
    model: Path,
    named: Sequence[str],
    most: int = 10,
    size_px: int = 128,
    by: By = "margin",
    out: Path | None = None,
    opening: Opening | None = None,
    reading: Reading | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Suggestions:
    """Up to ``most`` windows of ``size_px`` to annotate next, of image files or of a dataset.

    What is labelled in a dataset is left out. With ``out`` a page and the windows as PNG files are written there.
    One image is in memory at a time; those suggested are looked at once more for the page. An image that cannot be
    used is in ``failed``. Raises ``InputError`` for a model that gives no probabilities, and what ``find_places`` does.
    """
    if by not in MEASURES:
        raise unknown_name("measure of uncertainty", by, MEASURES)
    if most < 1 or size_px < 1:
        raise InputError(f"at least one window of at least one pixel is suggested, got {most} of {size_px}")
    fitted = scoring_model(model, "suggest")
    places = find_places(named, opening, reading)
    if out is not None:
        check_folder(out)
    drawn = min(most, len(places)) if out is not None else 0
    each = max(1, math.ceil(2 * most / max(1, len(places))))  # twice as many as wanted, to choose from
    found: list[Candidate] = []
    annotated, failed = 0, []
    for number, place in enumerate(places):
        try:
            seen = _candidates(fitted, number, place, size_px, each, by)
            annotated += not seen
            found += seen
        except (SmaltiError, MemoryError) as error:
            reason = "not enough memory for this image" if isinstance(error, MemoryError) else str(error)
            failed.append((place.name, reason))
        progress(number + 1, len(places) + drawn)
    chosen = [found[number] for number in choose(found, most)]
    names = target_names(fitted, len(found[0].probabilities)) if found else ()
    items = tuple(_told(each, places[each.image].name, names) for each in chosen)
    told = Suggestions(model, by, items, len(places), annotated, tuple(failed))
    if out is None:
        return told
    return _written(
        told,
        chosen,
        places,
        fitted,
        names,
        out,
        lambda done: progress(len(places) + done, len(places) + drawn),
    )


def _candidates(model: Any, number: int, place: Place, size_px: int, most: int, by: By) -> list[Candidate]:
    known = place.known()
    if known is not None and known.all():
        return []
    image = place.load()
    _check_size(place, image, known)
    return candidates(number, image, model.predict_scores(image), size_px, most, by, known)


def _check_size(place: Place, image: Image, known: np.ndarray | None) -> None:
    if known is not None and known.shape != image.shape:
        raise InputError(f"{place.name}: the image is {image.shape}, its annotation {known.shape}")


def _told(each: Candidate, name: str, names: Sequence[str]) -> Suggestion:
    first, second = each.between
    between = (
        (names[first], float(each.probabilities[first])),
        (names[second], float(each.probabilities[second])),
    )
    return Suggestion(name, each.place.box, each.place.value, between)


def _written(
    told: Suggestions,
    chosen: Sequence[Candidate],
    places: Sequence[Place],
    model: Any,
    names: tuple[str, ...],
    out: Path,
    progress: Callable[[int], None],
) -> Suggestions:
    """The same with the page and the crops in ``out``; each image is read and looked at once more."""
    from ..io.encode import write_image
    from ..io.writing import replacing
    from .suggestion_page import exhibit, render

    exhibits: dict[int, str] = {}
    items = list(told.items)
    colors = dict(zip(names, target_colors(model, names), strict=True))
    for done, number in enumerate(dict.fromkeys(each.image for each in chosen), 1):
        image, known = places[number].load(), places[number].known()
        seen = Seen(image, MEASURES[told.by](model.predict_scores(image)), known)
        for rank, each in enumerate(chosen):
            if each.image == number:
                exhibits[rank], crop = exhibit(rank + 1, items[rank], seen, colors)
                path = out / f"{rank + 1:02d}-{_file_name(items[rank].image)}.png"
                write_image(path, Image(crop))
                items[rank] = replace(items[rank], crop=str(path))
        progress(done)
    told = replace(told, items=tuple(items), page=out / PAGE)
    with replacing(out / PAGE) as part:
        part.write_text(render(told, [exhibits[rank] for rank in sorted(exhibits)]), encoding="utf-8")
    return told


def _file_name(image: str) -> str:
    """The name of an image as part of a file's: its last part, without what file systems do not take."""
    stem = Path(image).stem or "image"
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in stem)[:80]
