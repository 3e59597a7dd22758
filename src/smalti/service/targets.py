"""What the probabilities of a fitted model are called, and drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from .models import Model

GROUND = (150, 150, 150)


def scoring_model(path: Path, what: str) -> Any:
    """The model in a file, which gives probabilities. Raises ``InputError`` for one that does not."""
    model = Model.of(path).loaded
    if not hasattr(model, "predict_scores"):
        raise InputError(
            f"{path} is of the method {getattr(model, 'name', '?')}, which gives no probabilities (predict_scores); "
            f"{what} needs a model that does, such as a forest"
        )
    return model


def target_names(model: Any, count: int) -> tuple[str, ...]:
    """A name for each of ``count`` probabilities: those of its targets, else of its classes, else numbers."""
    names = getattr(getattr(model, "targets", None), "names", None)
    if names is None and hasattr(model, "classes"):
        names = tuple(model.classes.names)
        names = ("background", *names) if len(names) == count - 1 else names
    if names is None or len(names) != count:
        names = [f"target {number}" for number in range(count)]
    return tuple(str(name) for name in names)


def target_colors(model: Any, names: tuple[str, ...]) -> list[tuple[int, int, int]]:
    """The colour of the class that is called so; grey for what is no class."""
    known = {each.name: each.color for each in getattr(model, "classes", ())}
    return [known.get(name, GROUND) for name in names]
