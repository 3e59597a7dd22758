"""Checkpoints: what is saved comes back bit for bit, and whatever happens while saving, one that is whole stays."""

import errno
import json
import math
import resource
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from smalti.errors import InputError, ReadError, WriteError
from smalti.train import checkpoint as module
from smalti.train.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    digest_of,
    has_checkpoint,
    load_checkpoint,
    load_into,
    random_states,
    restore_random,
    save_checkpoint,
)
from smalti.train.reports import EpochReport

PLAN, DATASET = digest_of({"width": 8}), digest_of(["a", "b"])


def made(step=3, size=5, **changes):
    torch.manual_seed(step)
    tensors = {"model": {"conv.weight": torch.randn(size, 2), "count": torch.tensor(step)}}
    fields = {"step": step, "epoch": 1, "seed": 7, "plan": PLAN, "dataset": DATASET, "tensors": tensors}
    return Checkpoint(**(fields | changes))


def same(one, other):
    assert one.keys() == other.keys()
    for group in one:
        assert one[group].keys() == other[group].keys()
        for name, tensor in one[group].items():
            found = other[group][name]
            assert found.dtype == tensor.dtype
            assert found.shape == tensor.shape
            assert (
                found.contiguous()
                .view(-1)
                .view(torch.uint8)
                .equal(tensor.contiguous().view(-1).view(torch.uint8))
            )


def resealed(folder, **changes):
    """The JSON with other values and the digest that belongs to them, as somebody who means harm would write it."""
    content = json.loads((folder / CHECKPOINT).read_text())
    content.pop("sha256")
    version = content.pop("format")
    content |= changes
    content |= {"sha256": digest_of(content), "format": version}
    (folder / CHECKPOINT).write_text(json.dumps(content))


class TestRoundTrip:
    def test_every_bit_comes_back(self, tmp_path):
        tensors = {
            "model": {"w": torch.tensor([0.1, -0.0, math.nan, math.inf]), "n": torch.tensor(2**40)},
            "ema": {"half": torch.randn(3, 2).to(torch.bfloat16), "empty": torch.zeros(0, 4)},
            "optimizer": {
                "exp_avg/conv.weight": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
            },
            "random": random_states(),
        }
        saved = made(tensors=tensors, state={"steps": 10, "lr": [0.1, 1e-300], "of": {"betas": [0.9, 0.99]}})
        save_checkpoint(tmp_path / "run", saved)
        found = load_checkpoint(tmp_path / "run", plan=PLAN, dataset=DATASET)
        same(found.tensors, tensors)
        assert (found.step, found.epoch, found.seed, found.state) == (3, 1, 7, saved.state)
        assert found.versions["torch"] == torch.__version__

    def test_history_comes_back_with_scores_that_are_unknown(self, tmp_path):
        history = (
            EpochReport(4, 1, 0.1 + 0.2, {"miou": 0.5, "rare": math.nan}, "miou", True, 2.5),
            EpochReport(8, 2, 0.2, {"miou": 0.4, "rare": 0.1}, "miou", False, 2.5),
        )
        save_checkpoint(tmp_path, made(history=history))
        found = load_checkpoint(tmp_path)
        assert found.history[1] == history[1]
        assert found.history[0].train_loss == 0.1 + 0.2
        assert math.isnan(found.history[0].metrics["rare"])
        assert found.best.step == 4

    def test_tensors_that_share_memory_are_saved(self, tmp_path):
        weight = torch.randn(4, 2)
        save_checkpoint(
            tmp_path, made(tensors={"model": {"w": weight}, "ema": {"w": weight, "row": weight[1]}})
        )
        found = load_checkpoint(tmp_path).tensors
        assert found["model"]["w"].equal(weight)
        assert found["ema"]["row"].equal(weight[1])
        found["ema"]["w"].zero_()
        assert found["model"]["w"].equal(weight)

    def test_a_later_one_takes_the_place_of_an_earlier_one(self, tmp_path):
        for step in (1, 2, 3):
            save_checkpoint(tmp_path, made(step))
            assert load_checkpoint(tmp_path).step == step
            assert len(list(tmp_path.iterdir())) == 2

    def test_random_numbers_go_on_where_they_were(self, tmp_path):
        save_checkpoint(tmp_path, made(tensors={"random": random_states()}))
        wanted = torch.rand(5)
        torch.rand(100)
        restore_random(load_checkpoint(tmp_path).tensors["random"])
        assert torch.rand(5).equal(wanted)

    @pytest.mark.parametrize(
        "state", [{"betas": (0.9, 0.99)}, {1: 2}, {"loss": math.nan}, {"w": torch.ones(1)}]
    )
    def test_a_state_that_json_would_change_is_refused(self, tmp_path, state):
        with pytest.raises(InputError, match="plain JSON values"):
            save_checkpoint(tmp_path, made(state=state))
        assert not has_checkpoint(tmp_path)


class TestSavingFails:
    def test_whenever_it_is_killed_a_whole_checkpoint_is_there(self, tmp_path, monkeypatch):
        """What lies in the folder before and after each change is what a killed process leaves."""
        run, moments = tmp_path / "run", []
        save_checkpoint(run, made(1))

        def watched(name):
            act = getattr(Path, name)

            def acted(*arguments, **options):
                for when in ("before", "after"):
                    if when == "after":
                        result = act(*arguments, **options)
                    copy = tmp_path / f"moment{len(moments)}"
                    shutil.copytree(run, copy)
                    moments.append(copy)
                return result

            return acted

        with monkeypatch.context() as patch:
            for name in ("replace", "unlink"):
                patch.setattr(Path, name, watched(name))
            save_checkpoint(run, made(2, size=50))
        steps = [load_checkpoint(moment).step for moment in moments]
        assert steps == sorted(steps)
        assert set(steps) == {1, 2}
        same(load_checkpoint(moments[0]).tensors, made(1).tensors)
        same(load_checkpoint(moments[-1]).tensors, made(2, size=50).tensors)
        for moment in moments:  # and from there it goes on, and leaves nothing lying about
            save_checkpoint(moment, made(3))
            assert load_checkpoint(moment).step == 3
            assert len(list(moment.iterdir())) == 2

    @pytest.mark.parametrize("place", ["tensors", "json", "replace", "fsync"])
    @pytest.mark.parametrize("before", [False, True])
    def test_a_full_disk_leaves_the_last_good_one(self, tmp_path, monkeypatch, place, before):
        if before:
            save_checkpoint(tmp_path, made(1))

        def full(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        def full_if_written(path, mode="r", *arguments, **options):
            return full() if mode == "w" else opened(path, mode, *arguments, **options)

        opened = Path.open

        with monkeypatch.context() as patch:
            if place == "tensors":
                patch.setattr(module, "save_file", full)
            elif place == "json":
                patch.setattr(Path, "open", full_if_written)
            elif place == "replace":
                patch.setattr(Path, "replace", full)
            else:
                patch.setattr(module.os, "fsync", full)
            kept = "that of step 1 is kept" if before else "none was saved before"
            wanted = rf"step 2 could not be saved \({kept}\).*No space left on device; free some space"
            with pytest.raises(WriteError, match=wanted):
                save_checkpoint(tmp_path, made(2))
        if before:
            same(load_checkpoint(tmp_path).tensors, made(1).tensors)
            assert len(list(tmp_path.iterdir())) == 2
        else:
            assert list(tmp_path.iterdir()) == []
        save_checkpoint(tmp_path, made(2))
        assert load_checkpoint(tmp_path).step == 2

    def test_a_disk_that_fills_up_halfway_leaves_the_last_good_one(self, tmp_path):
        """The system itself ends the write: files may not grow beyond a limit."""
        save_checkpoint(tmp_path, made(1))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(WriteError, match="that of step 1 is kept"):
                save_checkpoint(tmp_path, made(2, size=100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert load_checkpoint(tmp_path).step == 1
        assert len(list(tmp_path.iterdir())) == 2


class TestNotWhatWasSaved:
    @pytest.fixture
    def run(self, tmp_path):
        save_checkpoint(tmp_path, made())
        return tmp_path

    def test_another_plan_or_dataset_is_refused(self, run):
        with pytest.raises(InputError, match="started with a plan that differs"):
            load_checkpoint(run, plan=digest_of({"width": 16}))
        with pytest.raises(InputError, match="same dataset to go on"):
            load_checkpoint(run, plan=PLAN, dataset=digest_of(["a"]))

    def test_no_checkpoint_is_said(self, tmp_path):
        with pytest.raises(ReadError, match="no training to go on with"):
            load_checkpoint(tmp_path)

    def test_a_newer_format_is_said(self, run):
        content = json.loads((run / CHECKPOINT).read_text()) | {"format": 2}
        (run / CHECKPOINT).write_text(json.dumps(content))
        with pytest.raises(ReadError, match="newer smalti"):
            load_checkpoint(run)

    @pytest.mark.parametrize("at", [0, 8, -1])
    def test_a_changed_byte_of_the_tensors_is_noticed(self, run, at):
        path = run / "checkpoint.safetensors"
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
        with pytest.raises(ReadError, match="another SHA-256"):
            load_checkpoint(run)

    def test_tensors_cut_short_or_gone_are_noticed(self, run):
        path = run / "checkpoint.safetensors"
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.raises(ReadError, match="bytes"):
            load_checkpoint(run)
        path.unlink()
        with pytest.raises(ReadError, match=r"no file .*checkpoint\.safetensors"):
            load_checkpoint(run)

    def test_an_edited_value_is_noticed_and_a_new_layout_is_not(self, run):
        path = run / CHECKPOINT
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content, sort_keys=True, indent=4))
        assert load_checkpoint(run).step == 3
        path.write_text(json.dumps(content | {"step": 4}))
        with pytest.raises(ReadError, match="damaged or was changed"):
            load_checkpoint(run)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            '{"format": 1',
            '{"format": true}',
            '{"format": 1}',
            "[" * 10**5,
            '{"format": 1, "x": NaN}',
        ],
    )
    def test_what_is_no_checkpoint_is_refused(self, run, text):
        (run / CHECKPOINT).write_text(text)
        with pytest.raises(ReadError):
            load_checkpoint(run)

    @pytest.mark.parametrize(
        "changes",
        [
            {"step": -1},
            {"step": True},
            {"step": 1.5},
            {"epoch": 10**40},
            {"plan": 5},
            {"state": []},
            {"history": [{"step": 1}]},
            {"history": {}},
            {"tensors": {"file": "../../secret", "bytes": 1, "sha256": "0" * 64}},
            {"tensors": {"file": ["checkpoint.safetensors"], "bytes": 1, "sha256": "0" * 64}},
            {"tensors": {"file": "checkpoint.safetensors", "bytes": "1", "sha256": "0" * 64}},
            {"tensors": {"file": "checkpoint.safetensors", "bytes": 1, "sha256": None}},
        ],
    )
    def test_hostile_values_are_refused(self, run, changes):
        resealed(run, **changes)
        with pytest.raises(ReadError):
            load_checkpoint(run)

    def test_a_file_of_tensors_that_is_none_is_refused(self, run):
        path = run / "checkpoint.safetensors"
        path.write_bytes(b"\x80\x04cos\nsystem\n" * 9)
        told = {"file": path.name, "bytes": path.stat().st_size, "sha256": module._file_digest(path)}
        resealed(run, tensors=told)
        with pytest.raises(ReadError, match="no file of tensors"):
            load_checkpoint(run)

    def test_another_network_is_said_by_its_tensors(self):
        kept = nn.Sequential(nn.Conv2d(1, 4, 3)).state_dict()
        with pytest.raises(
            ReadError, match=r"another network: 0\.weight is \(4, 1, 3, 3\), wanted \(8, 1, 3, 3\)"
        ):
            load_into(nn.Sequential(nn.Conv2d(1, 8, 3)), kept)
        with pytest.raises(ReadError, match=r"1\.weight is missing"):
            load_into(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), kept)
        with pytest.raises(ReadError, match=r"0\.bias is not of this network"):
            load_into(nn.Sequential(nn.Conv2d(1, 4, 3, bias=False)), kept)
