"""``smalti check`` at the command line: what it says, what it writes, and what it refuses before any work."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from scenery import CELLS, cell_draft

from smalti.classes import ClassSet
from smalti.cli import main
from smalti.data.dataset import Dataset
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    drafts = [cell_draft(np.random.default_rng([7, i]), f"s{i}", 96) for i in range(3)]
    Dataset([draft.sample() for draft in drafts], CELLS).write(folder / "cells")
    return folder


@pytest.fixture
def smalti(place, monkeypatch, capsys, tmp_path):
    """Runs the command in the folder of ``cells``; gives its exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(place)
        monkeypatch.setattr(sys, "argv", ["smalti", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        told = capsys.readouterr()
        return stopped.value.code or 0, told.out, told.err

    return run


def spoilt(place, folder, count):
    """A copy of the cells whose first ``count`` images are cut short."""
    Dataset.open(place / "cells").write(folder)
    for image in sorted((folder / "images").rglob("s*"))[:count]:
        image.write_bytes(image.read_bytes()[:200])
    return folder


def test_the_copy_is_told_of(smalti, place, tmp_path):
    code, out, _ = smalti("cells", "--out", tmp_path / "report", "--fix", tmp_path / "copy")
    assert code == 0 and f"copy: {tmp_path / 'copy'}, with 3 of 3 samples" in out
    source = spoilt(place, tmp_path / "source", 1)
    code, out, _ = smalti(source, "--out", tmp_path / "report", "--fix", tmp_path / "other")
    assert code == 1 and "in the copy: s0: left out" in out and "with 2 of 3 samples" in out
    assert "1 error" in out and "1 errors" not in out


def test_what_was_found_is_told_where_no_copy_can_be_written(smalti, place, tmp_path):
    source = spoilt(place, tmp_path / "source", 3)
    code, out, error = smalti(source, "--out", tmp_path / "report", "--fix", tmp_path / "copy")
    assert code == 2 and "unreadable" in out and "report.html" in out
    assert "all 3 samples" in error and not (tmp_path / "copy").exists()
    assert json.loads((tmp_path / "report" / "report.json").read_text())["counts"]["error"] == 3


def test_places_are_looked_at_before_the_images(smalti, place, tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("images were looked at")

    monkeypatch.setattr("smalti.data.check.check", never)
    taken = tmp_path / "taken"
    taken.write_text("here")
    new = tmp_path / "new"
    for options, told in (
        (("--out", taken), "is a file"),
        (("--out", "cells/report"), "lies in the dataset"),
        (("--out", new, "--fix", "cells/copy"), "lies in the dataset"),
        (("--out", new, "--fix", taken), "is a file"),
        (("--out", new, "--fix", new), "folder of its own"),
    ):
        code, _, error = smalti("cells", *options)
        assert code == 2 and told in error and len(error.splitlines()) == 1, error
    assert not (place / "cells" / "report").exists() and not (place / "cells" / "copy").exists()


def test_findings_of_the_whole_set_have_no_empty_name(smalti, tmp_path):
    classes = ClassSet.from_names(["cell", "never"])
    truth = Segmentation.from_labels(np.ones((8, 8), int), classes=classes)
    Dataset([Sample.of("a", Image(np.zeros((8, 8, 3), np.uint8)), truth)], classes).write(tmp_path / "source")
    code, out, _ = smalti(tmp_path / "source", "--out", tmp_path / "report")
    assert code == 0 and "1 note" in out
    (line,) = (line for line in out.splitlines() if line.startswith("unused-class"))
    assert line.split() == ["unused-class", "info", "1", "Nothing", "belongs", "to", "never."]
