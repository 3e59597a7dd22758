"""A network fitted from the command line: stopped by Ctrl-C and gone on with, refused in a line where it cannot be."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from command_line import done, refused, smalti

from smalti.io.bundle import read_bundle

ROOT = Path(__file__).parents[1]
TINY = ("--set", 'network_settings={"width":4,"strides":[2,2],"block":"plain"}', "--set", "crop_px=[48,48]")
GIVEN = ("-m", "unet", *TINY, "--set", "batch_size=2", "--set", "steps=80", "--set", "validate_every=40")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    place = tmp_path_factory.mktemp("fitting")
    done(
        "scenes",
        "cells",
        "--task",
        "semantic",
        "--n",
        6,
        "--set",
        "size_hw=[48,48]",
        "--out",
        "plate",
        cwd=place,
    )
    return place


def weights(path):
    return read_bundle(path).files["weights.safetensors"]


def start(plate, *arguments):
    """The command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "smalti", *arguments],
        cwd=plate,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_says_how_to_go_on_and_going_on_ends_as_if_nothing_was(plate):
    command = ("fit", "plate", *GIVEN, "--out")
    stopped = start(plate, *command, "stopped.smalti")
    log = plate / "stopped.run" / "log.csv"
    end = time.monotonic() + 120
    while not (log.is_file() and log.read_text().count("\n") > 2) and time.monotonic() < end:
        time.sleep(0.005)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate(timeout=120)
    assert "smalti: stopped after step" in said and "give the same command with --resume" in said
    assert stopped.returncode == 130
    assert not (plate / "stopped.smalti").exists()

    done(*command, "stopped.smalti", "--resume", cwd=plate)
    done(*command, "whole.smalti", cwd=plate)
    assert weights(plate / "stopped.smalti") == weights(plate / "whole.smalti")
    rows = [line.split(",")[0] for line in log.read_text().splitlines()[1:]]
    assert rows == [str(step) for step in range(1, 81)]  # each step once


def test_a_budget_is_kept_and_the_plan_is_told(plate):
    given = ("-m", "unet", *TINY, "--set", "batch_size=2", "--budget", "8s", "--out", "b.smalti", "--json")
    answer = smalti("fit", "plate", *given, cwd=plate)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["seconds"] == pytest.approx(8, rel=0.4)  # of eight seconds export takes one or two
    assert told["report"]["steps"] >= 20
    plan = json.loads((plate / "b.run" / "plan.json").read_text())
    assert plan["budget_s"] == 8 and "passes over the images" in plan["reasons"]["steps"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-m", "forest", "--budget", "10s"], "no --budget"),
        (["-m", "forest", "--resume"], "no --resume"),
        (["-m", "unet", "--resume"], "no training to go on with"),
        (["-m", "unet", *TINY, "--budget", "0.1s"], "steps"),
        (["-m", "unet", "--budget", "soon"], "10m"),
        (["-m", "unet", "--plan", "none.json"], "none.json"),
        (["-m", "unet", "--plan", "odd.json"], "colour"),
        (["-m", "unet", "--set", "steps=0"], "steps"),
        (["-m", "unet", "--set", "weights=none.pth"], "none.pth"),
        (["-m", "unet", "--set", "teacher=none.smalti"], "none.smalti"),
        (["-m", "unet", *TINY, "--set", "steps=2", "--set", "freeze=encode"], "encode"),
        (["-m", "unet", *TINY, "--set", "steps=2", "--set", "freeze=*"], "frozen"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(plate, arguments, told):
    (plate / "odd.json").write_text('{"version": 1, "colour": "red"}')
    assert told in refused("fit", "plate", *arguments, "--out", "no.smalti", cwd=plate)
    assert not (plate / "no.smalti").exists()


def test_without_torch_the_extra_is_named(plate, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    said = refused("fit", "plate", "-m", "unet", "--out", "no.smalti", cwd=plate)
    assert "pip install 'smalti[train]'" in said
