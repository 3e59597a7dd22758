"""Loops over pixels and runs, compiled. Functions of plain arrays that trust their callers.

numba takes a third of a second to import, so the modules here are loaded when first used:
``from smalti import compiled`` costs nothing, ``compiled.runs`` loads that module.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

MODULES = (
    "borders",
    "centers",
    "contours",
    "depths",
    "detections",
    "distances",
    "edges",
    "growing",
    "guided",
    "hills",
    "judged",
    "levels",
    "moments",
    "nearest",
    "objects",
    "outlines",
    "overlaps",
    "rle",
    "runs",
    "shapes",
    "trees",
    "walking",
    "warping",
    "watershed",
)


def __getattr__(name: str) -> ModuleType:
    if name in MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
