"""The runtimes come in through this door, so that none of them reports to its makers; see ``docs/why/networks.md``.

ONNX Runtime (from 1.29 on, also on Linux and macOS) sends events to Microsoft and keeps an identifier below
``~/.cache/Microsoft``, both from its import on. OpenVINO sends one to Google Analytics when it is imported and keeps
an identifier below ``~/intel``; NNCF one for each call. All of them do so unless told otherwise. Import them nowhere
else in smalti.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from ..errors import MissingExtra
from ..optional import require

_lock = threading.RLock()

_SWITCH = "ORT_DISABLE_TELEMETRY"
_REPORTER = "openvino_telemetry"


def onnxruntime() -> ModuleType:
    """ONNX Runtime that does not report. Raises ``MissingExtra`` where it is not installed.

    Its switch is read when it is imported and holds as long as the process, so it is put back at once. Where somebody
    else imported it before, what it has not yet sent of our use is not sent.
    """
    with _lock:
        before = "onnxruntime" in sys.modules
        with _environment(_SWITCH, "1"):
            module = _installed("onnxruntime")
        if before:
            module.disable_telemetry_events()
    return module


def _installed(module: str) -> ModuleType:
    """A module that every install brings, so that no extra is to be named where it is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{module} comes with smalti and is missing here; pip install {module}") from error


def openvino() -> ModuleType:
    """OpenVINO that does not report. Raises ``MissingExtra`` where it is not installed.

    It takes silence for an answer: where ``openvino_telemetry`` cannot be imported it puts an empty class of its own
    in its place, so that module is out of reach for as long as the import takes.
    """
    with _lock, _out_of_reach(_REPORTER):
        return require("openvino", "openvino")


def nncf() -> ModuleType:
    """NNCF that does not report, nor does OpenVINO with it. Raises ``MissingExtra`` where it is not installed."""
    with _lock:
        openvino()
        with _out_of_reach(_REPORTER), _environment(_SWITCH, "1"):
            return require("nncf", "openvino")


@contextmanager
def silent_nncf() -> Iterator[ModuleType]:
    """NNCF to be called: it does not report even where somebody else has imported it before, with its reports on."""
    from unittest.mock import MagicMock

    module = nncf()
    decorator: Any = sys.modules["nncf.telemetry.decorator"]
    with _lock:  # one at a time, as it is put back: quantising takes all cores anyway
        reporter = decorator.telemetry
        decorator.telemetry = MagicMock()
        try:
            yield module
        finally:
            decorator.telemetry = reporter


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """An environment variable for the time inside; a library leaves those of its user as they were."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextmanager
def _out_of_reach(name: str) -> Iterator[None]:
    """A module that cannot be imported inside, as if it were not installed."""
    found = [
        key for key in list(sys.modules) if key.partition(".")[0] == name
    ]  # a list: others import meanwhile
    before = {key: sys.modules.pop(key) for key in found}
    sys.modules[name] = None  # type: ignore[assignment]  # so says the documentation of sys.modules
    try:
        yield
    finally:
        sys.modules.pop(name, None)
        sys.modules.update(before)
