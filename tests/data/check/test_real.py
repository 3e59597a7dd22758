"""What is told of real sets that many have looked at: few alarms, and those that were looked at are right."""

from collections import Counter

import pytest

from smalti.data.check import check
from smalti.data.dataset import Dataset

pytestmark = pytest.mark.realdata


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path_factory.mktemp("cache")))


def told(dataset):
    """Errors and warnings by kind, each counted once an annotation."""
    findings = [finding for finding in check(dataset).findings if finding.severity != "info"]
    return Counter(code for code, _ in {(finding.code, finding.samples) for finding in findings})


def test_nuclei(data_dir):
    """Stained ones have merged and split nuclei, as a look shows; hardly any mask lies beside its nucleus."""
    dataset = Dataset.open(data_dir / "dsb2018", "instance-maps", faulty="skip")
    dataset = dataset.with_samples(
        [sample for sample in list(dataset.samples)[::12] if "original" not in sample.name]
    )
    counts = told(dataset)
    assert counts["shifted"] <= 0.05 * len(dataset)
    assert counts["merged"] + counts["split"] + counts["dilated"] + counts["eroded"] <= 0.4 * len(dataset)
    expected = {"shifted", "merged", "split", "dilated", "eroded", "island", "near-duplicate"}
    assert not set(counts) - {
        *expected,
        "faulty-record",
    }  # the folder has three more images in another layout


def test_frames_of_videos(data_dir):
    """Neighbours are nearly alike, and the splits are different drives; outlines follow the edges."""
    dataset = Dataset.open(data_dir / "camvid", "label-maps", faulty="skip")
    frames = [sample for split in ("train", "val") for sample in list(dataset.split(split).samples)[:12]]
    counts = told(dataset.with_samples(frames))
    assert counts["sequence"] >= 1
    assert not set(counts) - {"sequence", "near-duplicate", "drift", "tiny-segment", "class-missing"}
    assert counts["leakage"] == 0


def test_panoptic_segments_of_coco(data_dir):
    """Outlines are drawn roughly there, and beside strong edges; as a look shows, none of these was moved."""
    dataset = Dataset.open(data_dir / "coco_panoptic_subset")
    assert check(dataset).of("shifted") == ()


def test_volumes(data_dir):
    """Slices of different people are alike, and no two of them are one."""
    report = check(Dataset.open(data_dir / "msd_hippocampus"))
    assert report.unit == "voxels"
    assert report.of("near-duplicate") == () and report.of("sequence") == ()


def test_outlines_of_coco(data_dir):
    """None crosses itself or leaves the image; overlap is meant there."""
    path = data_dir / "coco_panoptic_subset" / "annotations" / "instances_train2017.json"
    dataset = Dataset.open(path)
    report = check(dataset.with_samples(list(dataset.samples)[:20]))
    assert not report.failed
    assert not report.of("self-crossing") and not report.of("outside-image")
    assert {finding.severity for finding in report.of("overlap")} == {"info"}
