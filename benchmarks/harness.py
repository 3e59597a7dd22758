"""What a row of the benchmark table is: a peer's way and ours to the same result, made from the same input.

A row is a function that makes its input and returns a ``Comparison``. Nothing is measured here; ``run.py`` does.

    @row("measure-1024", peer="scikit-image", target=20)
    def measure_1024() -> Comparison:
        labels = cells(1024)
        return Comparison(lambda: regionprops_table(labels), lambda: measure(labels), agree, "900 cells")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

What = Literal["time", "memory"]


@dataclass(frozen=True)
class Comparison:
    """Two functions without arguments on the same input, and whether their results agree.

    ``agree(peer_result, our_result)`` is asked once, before anything is measured. Making the input belongs
    outside the two functions; whatever a user would have to do on every call belongs inside.
    """

    peer: Callable[[], Any]
    ours: Callable[[], Any]
    agree: Callable[[Any, Any], bool]
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A named comparison. ``target`` is the ratio to reach, ``limit_mb`` the most extra memory of ours."""

    name: str
    prepare: Callable[[], Comparison]
    peer: str
    what: What = "time"
    target: float | None = None
    repeats: int | None = None
    limit_mb: float | None = None


ROWS: dict[str, Row] = {}
"""All rows that have been imported, by name."""


def row(
    name: str,
    *,
    peer: str,
    what: What = "time",
    target: float | None = None,
    repeats: int | None = None,
    limit_mb: float | None = None,
) -> Callable[[Callable[[], Comparison]], Callable[[], Comparison]]:
    """Enter the decorated function as row ``name`` of the table.

    ``peer`` starts with the name of an installed distribution, whose version is put behind it:
    ``"scikit-image regionprops_table"`` becomes ``"scikit-image 0.26.0 regionprops_table"``.
    ``repeats`` is the number of rounds where the run's own choice will not do.
    """
    distribution, _, rest = peer.partition(" ")
    versioned = f"{distribution} {version(distribution)} {rest}".strip()

    def enter(prepare: Callable[[], Comparison]) -> Callable[[], Comparison]:
        if name in ROWS:
            raise ValueError(f"two rows are called {name!r}; each needs a name of its own")
        if limit_mb is not None and what != "memory":
            raise ValueError(f"row {name!r} has limit_mb but measures {what}; limit_mb is for what='memory'")
        ROWS[name] = Row(name, prepare, versioned, what, target, repeats, limit_mb)
        return prepare

    return enter
