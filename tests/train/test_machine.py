"""What a plan is told of the machine."""

import os
import sys

import pytest
from pydantic import ValidationError

from smalti.train import machine as machine_module
from smalti.train.machine import Machine


def test_this_machine_has_cores_and_memory():
    here = Machine.here()
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert here.memory_bytes >= 2**20
    assert str(here).startswith(f"{here.cores} cores, ")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_only_cores_that_may_be_used_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5})
    assert Machine.here().cores == 1


def test_the_limit_of_a_container_counts_and_no_limit_does_not(monkeypatch, tmp_path):
    limit, none = tmp_path / "limit", tmp_path / "none"
    limit.write_text("3000000\n")
    none.write_text("max\n")
    whole = Machine.here().memory_bytes
    monkeypatch.setattr(machine_module, "_CGROUP_LIMITS", (str(none), str(tmp_path / "absent")))
    assert Machine.here().memory_bytes >= whole
    monkeypatch.setattr(machine_module, "_CGROUP_LIMITS", (str(limit),))
    assert Machine.here().memory_bytes == 3_000_000


def test_without_torch_there_is_no_card(monkeypatch):
    monkeypatch.setattr(machine_module, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "torch", None)
    here = Machine.here()
    assert not here.gpu and not here.bf16


def test_a_machine_without_cores_cannot_be():
    with pytest.raises(ValidationError):
        Machine(cores=0)
