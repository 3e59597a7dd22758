"""No runtime reports to its makers or leaves anything in the home folder, whatever it does when left alone."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from smalti.runtime import telemetry

LIBRARIES = ("onnxruntime", "openvino", "nncf")

# What the libraries take for a place where they should be silent, as they do not on a user's machine.
SILENCING = ("CI", "TF_BUILD", "JENKINS_URL", "ORT_", "NNCF_", "GITHUB_", "PYTEST_", "XDG_")

PROGRAM = """
import os, sys
calls = []
def watch(event, details):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib")):
        calls.append(f"{event} {details}")
sys.addaudithook(watch)
before = dict(os.environ)
sys.modules["torch"] = None  # as if it were not installed: none of this needs it, and NNCF loads quicker without
import numpy as np
from onnx_graphs import network
from smalti.runtime.engines import load_runtime
image = np.zeros((1, 3, 16, 16), np.float32)
parts = {"network.onnx": network()}
load_runtime("onnxruntime", parts, 1).run(image)
if "openvino" in sys.argv:
    from smalti.runtime.quantize import quantize
    load_runtime("openvino", parts, 1).run(image)
    load_runtime("openvino-int8", quantize(parts["network.onnx"], [image + 1]), 1).run(image)
    import openvino.tools.ovc.telemetry_utils as utils
    assert utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub", utils.tm
assert dict(os.environ) == before, "the environment is the user's"
assert [name for name, module in sys.modules.items() if module is None] == ["torch"], "what was out of reach is back"
import json
print(json.dumps(calls))
"""


def test_nothing_is_sent_and_nothing_is_written(tmp_path):
    """In a process of its own with a home of its own; what it would send it would first keep there.

    By themselves ONNX Runtime 1.31 writes ``.cache/Microsoft/DeveloperTools/.onnxruntime`` there and OpenVINO 2026.4
    ``intel/openvino_ga_cid`` (seen without a network, 2026-11).
    """
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    tests = Path(__file__).resolve().parents[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SILENCING)}
    environment |= {
        "HOME": str(home),
        "LOCALAPPDATA": str(home),
        "TMPDIR": str(scratch),
        "PYTHONPATH": os.pathsep.join([str(tests.parent / "src"), str(tests / "fixtures")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    extra = ["openvino"] if find_spec("openvino") and find_spec("nncf") else []
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *extra], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert [str(path) for path in (*home.rglob("*"), *scratch.rglob("*"))] == []


def test_events_end_where_somebody_imported_it_before(monkeypatch):
    told = []
    imported = ModuleType("onnxruntime")
    imported.disable_telemetry_events = lambda: told.append("off")
    monkeypatch.setitem(sys.modules, "onnxruntime", imported)
    assert telemetry.onnxruntime() is imported
    assert told == ["off"]


def test_quantising_is_silent_where_somebody_imported_it_before(monkeypatch):
    pytest.importorskip("nncf")
    telemetry.nncf()
    decorator = sys.modules["nncf.telemetry.decorator"]
    told = []

    class Reporter:
        def __getattr__(self, name):
            return lambda *arguments, **more: told.append(name)

    reporter = Reporter()
    monkeypatch.setattr(decorator, "telemetry", reporter)
    with telemetry.silent_nncf():
        decorator.telemetry.send_event("category", "action", "label")
    assert told == []
    assert decorator.telemetry is reporter, "it is put back"


def test_no_other_module_imports_a_runtime():
    folder = Path(telemetry.__file__).parents[1]
    begins = tuple(f"{verb} {name}" for verb in ("import", "from") for name in LIBRARIES)
    found = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*.py"))
        if any(line.strip().startswith(begins) for line in path.read_text().splitlines())
    ]
    assert found == []
