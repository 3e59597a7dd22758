"""Two processes that learn together, as torchrun starts them: by gloo, on the processor."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load
from tiny_trainings import TINY, fit, samples

from smalti.runtime.fitted import WEIGHTS
from smalti.train.distributed import ALONE, leading
from smalti.train.reports import StepReport

ROOT = Path(__file__).parents[2]

LEARN = """
import hashlib, json, os, sys
import torch
from pathlib import Path
from tiny_trainings import fit, samples
from smalti.errors import SmaltiError
from smalti.train.reports import StepReport

torch.distributed.init_process_group("gloo")
for folder, settings, of_ranks in json.loads(sys.argv[1]):
    seen = []
    try:
        more = settings | of_ranks.get(os.environ["RANK"], {})
        model = fit(samples(count=8), Path(folder), seen=seen, **more)
    except SmaltiError as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        continue
    content = model.parts["weights.safetensors"]
    losses = [report.loss for report in seen if isinstance(report, StepReport)]
    digest = hashlib.sha256(content).hexdigest()
    print(json.dumps({"weights": digest, "losses": losses, "report": dict(model.report)}))
    if os.environ["RANK"] == "0":
        Path(folder, "weights").write_bytes(content)
"""


def together(jobs, count=2):
    """What each of so many processes says of each job: a folder, settings, and more settings by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(count):
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests' / 'fixtures'}",
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, "-c", LEARN, json.dumps(jobs)]
        started.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    told = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        told.append([json.loads(line) for line in out.splitlines() if line.startswith("{")])
    return list(zip(*told, strict=True))


SETTINGS = {
    "network_settings": {**TINY, "norm": "instance"},
    "crop_px": [32, 32],
    "batch_size": 2,
    "steps": 6,
    "loss": "cross-entropy",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "focus_share": 0.0,
    "augment": {"steps": []},  # no void, so that the mean over pixels is that of the two means
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes say of a training, of one that is stopped, and of that gone on with; and the folder."""
    folder = tmp_path_factory.mktemp("together")
    stopped = str(folder / "stopped")
    jobs = [
        (str(folder / "whole"), SETTINGS, {}),
        (stopped, SETTINGS, {"1": {"stop_after": 3}}),
        (stopped, {**SETTINGS, "resume": True}, {}),
    ]
    return [*together(jobs), folder]


def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(told):
    (first, second), *_, folder = told
    assert first["weights"] == second["weights"]
    assert second["losses"] == [] and len(first["losses"]) == 6  # one speaks
    assert first["report"]["processes"] == 2
    alone = []
    model = fit(samples(count=8), seen=alone, **{**SETTINGS, "batch_size": 4})
    losses = [report.loss for report in alone if isinstance(report, StepReport)]
    assert first["losses"] == pytest.approx(losses, rel=1e-4)  # the same sums in another order
    assert losses[-1] < losses[0]
    own, other = load(model.parts[WEIGHTS]), load((folder / "whole" / "weights").read_bytes())
    for name in own:
        assert np.allclose(own[name], other[name], atol=1e-5), name


def test_a_stop_in_one_process_stops_both_and_both_go_on(told):
    whole, stopped, again, _ = told
    assert all(each["error"] == "Interrupted: stopped after step 3 of 6" for each in stopped)
    assert [each["weights"] for each in again] == [each["weights"] for each in whole]
    assert again[0]["losses"] == whole[0]["losses"][3:]


def test_a_process_alone_needs_no_others(monkeypatch):
    assert leading() and ALONE.leads
    assert ALONE.highest(3.0, True) == [3.0, True]
    assert (ALONE.mean(2.0), ALONE.text("plan"), ALONE.bytes(b"x")) == (2.0, "plan", b"x")
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert not leading()
