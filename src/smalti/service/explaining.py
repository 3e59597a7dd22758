"""What a fitted model looks at, what is known of it, and where it finds each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError, SmaltiError
from ..pixel.explain import family_table, feature_table
from ..pixel.fitted import FittedForest
from ..table import Table
from .actions import Reading, check_folder, read_named
from .inputs import STDIN, find_images
from .models import Model

PAGE = "explain.html"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model says of itself. ``features`` has ``feature``, ``family`` and ``importance``; None where it has none.

    ``images`` are those whose pictures are on the ``page``, ``failed`` the names and errors of those that could not be
    used.
    """

    model: Path
    method: str
    task: str | None
    classes: tuple[str, ...]
    report: Mapping[str, Any]
    features: Table | None
    images: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    page: Path | None = None
    families: Table | None = field(init=False)

    def __post_init__(self) -> None:
        told = self.features is not None and "family" in self.features
        object.__setattr__(self, "families", family_table(self.features) if told and self.features else None)

    def to_json(self) -> dict[str, Any]:
        """The part that programs read."""
        return {
            "model": str(self.model),
            "method": self.method,
            "task": self.task,
            "classes": list(self.classes),
            "report": dict(self.report),
            "features": [] if self.features is None else list(self.features.rows()),
            "families": [] if self.families is None else list(self.families.rows()),
            "images": list(self.images),
            "failed": [{"image": name, "error": error} for name, error in self.failed],
            **({"page": str(self.page)} if self.page else {}),
        }


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
    from dataclasses import replace

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
