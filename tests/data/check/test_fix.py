"""Repairs are made in a copy, of what needs nobody's judgement, and of nothing else."""

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.check import CheckReport, Finding, check, fix
from smalti.data.check.fix import fixed_how
from smalti.data.dataset import Dataset
from smalti.errors import InputError, WriteError
from smalti.image import Image
from smalti.io.formats.format import Problem
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet.from_names(["cell"])


def labelled():
    """A block of 400 pixels with an island of 4, and a crumb of 2 far from it; another block."""
    labels = np.zeros((64, 64), int)
    labels[5:25, 5:25] = 1
    labels[14:16, 14:16] = 0
    labels[50, 50:52] = 1
    labels[35:45, 30:45] = 2
    return labels


def dataset():
    rng = np.random.default_rng(0)
    truth = Segmentation.from_labels(labelled(), classes=CLASSES)
    images = [Image(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(3)]
    return Dataset(
        [Sample.of(name, images[i], truth, split="train") for name, i in (("a", 0), ("b", 1), ("c", 0))],
        CLASSES,
    )


def test_a_copy_is_written_and_the_source_stays(tmp_path):
    source = dataset()
    source.write(tmp_path / "source")
    opened = Dataset.open(tmp_path / "source")
    before = {path: path.read_bytes() for path in (tmp_path / "source").rglob("*") if path.is_file()}
    report = CheckReport(
        "x",
        "smalti",
        3,
        (
            Finding.of("duplicate", "a and c are the same image.", samples=("a", "c"), fixable=True),
            Finding.of("stray-pixels", "2 pixels.", samples=("b",), segments=(1,), fixable=True),
            Finding.of("shifted", "moved.", samples=("b",), segments=(2,)),
        ),
    )
    done = fix(opened, report, tmp_path / "copy")
    assert len(done.repairs) == 2
    assert [finding.code for finding in done.left] == ["shifted"]
    copy = Dataset.open(tmp_path / "copy")
    assert copy.names == ["a", "b"]
    assert copy["a"].truth == source["a"].truth
    assert copy["b"].truth.areas_px.tolist() == [396, 150]
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(WriteError, match="not empty"):
        fix(opened, report, tmp_path / "copy")


def test_what_was_found_and_fixed_is_not_found_again(tmp_path):
    dataset().write(tmp_path / "source")
    broken = next((tmp_path / "source" / "images").rglob("b.*"))
    broken.write_bytes(broken.read_bytes()[:200])
    opened = Dataset.open(tmp_path / "source")
    report = check(opened)
    assert {"unreadable", "duplicate"} <= {finding.code for finding in report.findings}
    fix(opened, report, tmp_path / "copy")
    again = check(Dataset.open(tmp_path / "copy"))
    assert not {"unreadable", "duplicate"} & {finding.code for finding in again.findings}


def test_records_that_were_left_out_at_opening_are_told_as_repairs(tmp_path):
    problem = Problem("a.json", "annotation 3", "it has no area", "a")
    source = Dataset(dataset().samples, CLASSES, problems=[problem])
    report = check(source)
    done = fix(source, report, tmp_path / "copy")
    assert "a: annotation 3 left out (faulty-record)" in [str(each) for each in done.repairs]
    assert [fixed_how(each) for each in report.of("faulty-record")] == ["left out"]


def test_samples_left_out_are_not_called_repaired():
    def of(code, **fields):
        return fixed_how(Finding.of(code, "told.", samples=("a",), **fields))

    assert of("unreadable", fixable=True) == "left out"
    assert of("duplicate", fixable=True) == "copies left out"
    assert of("duplicate") == of("shifted") == ""
    assert of("island", fixable=True) == "repaired"


def test_nothing_is_written_where_no_sample_would_be_left(tmp_path):
    source = dataset()
    findings = tuple(Finding.of("unreadable", "cut.", samples=(name,), fixable=True) for name in source.names)
    with pytest.raises(InputError, match="all 3 samples"):
        fix(source, CheckReport("x", "smalti", 3, findings), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
