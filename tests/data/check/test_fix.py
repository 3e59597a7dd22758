"""Repairs are made in a copy, of what needs nobody's judgement, and of nothing else."""

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.check import CheckReport, Finding, check, fix
from smalti.data.check.fix import repair
from smalti.data.dataset import Dataset
from smalti.errors import WriteError
from smalti.image import Image
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


def test_stray_pixels_are_erased_and_islands_filled():
    truth = Segmentation.from_labels(labelled(), classes=CLASSES, attributes={"note": ["a", "b"]})
    fixed = repair(truth, {"stray-pixels": {1}, "island": {1}})
    assert fixed.areas_px.tolist() == [400, 150]
    assert fixed.attributes["note"].tolist() == ["a", "b"]
    assert repair(truth, {"stray-pixels": {2}}) == truth


def test_filled_islands_are_void_no_more():
    labels = labelled()
    void = np.zeros(labels.shape, bool)
    void[14:16, 14:16] = void[60:] = True
    truth = Segmentation.from_labels(labels, classes=CLASSES, void=void)
    fixed = repair(truth, {"island": {1}})
    assert fixed.void_px == 4 * 64
    assert fixed.areas_px[0] == 402


def test_the_second_outline_of_an_object_is_removed():
    masks = np.zeros((3, 40, 40), bool)
    masks[0, 5:20, 5:20] = masks[1, 25:35, 25:35] = masks[2, 5:20, 5:21] = True
    truth = Segmentation.from_masks(masks, classes=CLASSES, scores=[1, 0.5, 1])
    fixed = repair(truth, {"duplicate-instance": {1, 3}})
    assert fixed == truth[[0, 1]]


def test_segments_without_pixels_are_removed():
    masks = np.zeros((2, 8, 8), bool)
    masks[1, 2:5, 2:5] = True
    truth = Segmentation.from_masks(masks, classes=CLASSES)
    assert repair(truth, {"empty-segment": {1}}) == truth[[1]]


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
    assert len(done) == 2
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
