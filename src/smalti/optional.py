"""Optional dependencies come in through one door."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from .errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    Raises ``MissingExtra`` when ``module`` is not installed. A module that is installed but fails on its own
    missing import is reported with that import's name, so that a broken install is not taken for a missing one.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        inner = "" if error.name in (module, module.partition(".")[0]) else f" ({error.name} is missing)"
        raise MissingExtra(
            f"{module} is needed for this{inner}; install it with: pip install 'smalti[{extra}]'"
        ) from error
