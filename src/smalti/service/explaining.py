"""What a fitted model looks at, what is known of it, and where it finds each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError, SmaltiError
from ..pixel.explain import feature_table
from ..pixel.fitted import FittedForest
from ..table import Table
from .actions import Reading, check_folder, read_named
from .explanation import Explanation
from .inputs import STDIN, find_images
from .models import Model

PAGE = "explain.html"


def explain(
    model: Path,
    named: Sequence[str] = (),
    out: Path | None = None,
    reading: Reading | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Explanation:
    """What a model looks at and knows; with ``out`` also as a page, with pictures of each of the images ``named``.

    An image that cannot be used is in ``failed``. Raises ``ReadError`` for the model's file, ``InputError`` for images
    without ``out``, and for a model that tells neither importances nor, of images, probabilities.
    """
    fitted = Model.of(model).loaded
    features = _features(fitted)
    if named and out is None:
        raise InputError("the pictures of images go onto a page; name its folder with --out")
    if features is None and not (named and hasattr(fitted, "predict_scores")):
        raise InputError(
            f"{model} is of the method {getattr(fitted, 'name', '?')}, which has no features to tell the importance of"
            + ("" if named else "; smalti info says what the file holds")
        )
    told = Explanation(
        model,
        str(getattr(fitted, "name", "?")),
        getattr(fitted, "task", None),
        tuple(getattr(getattr(fitted, "classes", None), "names", ())),
        dict(getattr(fitted, "report", {})),
        features,
    )
    if out is None:
        return told
    return _written(told, fitted, find_images(named), out, reading or Reading(), progress)


def _features(fitted: Any) -> Table | None:
    if isinstance(fitted, FittedForest):
        return feature_table(fitted)
    table = getattr(fitted, "importances", None)
    there = isinstance(table, Table) and len(table) > 0 and "feature" in table and "importance" in table
    return table if there else None


def _written(
    told: Explanation,
    fitted: Any,
    paths: Sequence[Path],
    out: Path,
    reading: Reading,
    progress: Callable[[int, int], None],
) -> Explanation:
    from ..io.writing import replacing
    from .explanation_page import exhibit, render

    check_folder(out)
    shown, exhibits, failed = [], [], []
    for number, path in enumerate(paths, 1):
        name = "standard input" if path == STDIN else str(path)
        try:
            exhibits.append(exhibit(name, read_named(path, reading), fitted))
            shown.append(name)
        except (SmaltiError, MemoryError) as error:
            reason = "not enough memory for this image" if isinstance(error, MemoryError) else str(error)
            failed.append((name, reason))
        progress(number, len(paths))
    told = replace(told, images=tuple(shown), failed=tuple(failed), page=out / PAGE)
    with replacing(out / PAGE) as part:
        part.write_text(render(told, exhibits), encoding="utf-8")
    return told
