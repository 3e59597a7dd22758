"""What is told of splits that differ and of classes that are rare, and what small numbers do not say."""

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.check import check, write_report
from smalti.data.check.drift import compare
from smalti.data.check.usual import KEPT, Usual, certainty
from smalti.data.dataset import Dataset
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet.from_names(["leaf", "stem"])


def sample(name, level, split, group=None, class_id=1):
    rng = np.random.default_rng(sum(map(ord, name)))
    pixels = np.clip(rng.normal(level, 12, (24, 24, 3)), 0, 255).astype(np.uint8)
    labels = np.zeros((24, 24), int)
    labels[4:14, 4:14] = 1
    truth = Segmentation.from_labels(labels, class_ids=[class_id], classes=CLASSES)
    return Sample.of(name, Image(pixels), truth, split=split, group=group)


def codes(samples, classes=CLASSES):
    return [finding.code for finding in check(Dataset(samples, classes)).findings]


def half_brighter(count, group=None):
    """As many images in train as in test; those of test are brighter."""
    return [
        sample(f"{split}{i}", level + i % 7, split, group and f"{split} {group}")
        for split, level in (("train", 90), ("test", 120))
        for i in range(count)
    ]


def test_brighter_test_images_are_drift():
    assert "drift" in codes(half_brighter(20))


def test_few_images_do_not_alarm():
    assert "drift" not in codes(half_brighter(3))


def test_images_of_one_group_are_one_witness():
    assert "drift" not in codes(half_brighter(20, "video"))


def test_the_effect_is_cliffs_delta():
    effect, chance = compare(np.arange(20.0), np.arange(20.0) + 100)
    assert (effect, chance < 1e-6) == (1.0, True)
    effect, chance = compare(np.arange(20.0), np.arange(20.0))
    assert effect == pytest.approx(0) and chance > 0.9
    assert compare(np.ones(20), np.ones(20)) == (0.0, 1.0)
    assert compare(np.full(20, np.nan), np.ones(20)) == (0.0, 1.0)


def test_a_class_that_a_split_lacks():
    samples = [sample(f"{split}{i}", 90, split) for split in ("train", "test") for i in range(6)]
    samples += [sample(f"stem{i}", 90, "train", class_id=2) for i in range(6)]
    assert "class-missing" in codes(samples)


def test_unused_and_rare_classes_are_notes():
    samples = [sample(f"s{i}", 90, None) for i in range(60)] + [sample("stem", 90, None, class_id=2)]
    report = check(Dataset(samples, ClassSet([*CLASSES, *ClassSet.from_names(["leaf", "stem", "root"])[2:]])))
    told = {finding.code: finding for finding in report.findings}
    assert told["unused-class"].measured["names"] == "root"
    assert told["class-imbalance"].measured["names"] == "stem"
    assert {told[code].severity for code in ("unused-class", "class-imbalance")} == {"info"}
    rows = {row["name"]: row for row in report.classes}
    assert (rows["leaf"]["images"], rows["leaf"]["pixels"], rows["leaf"]["area_px"][2]) == (60, 6000, 100)


def test_the_share_of_a_class_is_that_of_all_pixels_but_void():
    labels = np.zeros((20, 20), int)
    labels[:10, :6] = 1
    void = np.zeros((20, 20), bool)
    void[10:] = True
    truth = Segmentation.from_labels(labels, classes=CLASSES, void=void)
    image = Image(np.zeros((20, 20, 3), np.uint8))
    report = check(Dataset([Sample.of("a", image, truth)], CLASSES))
    assert report.classes[0]["pixel_share"] == pytest.approx(60 / 200)
    assert report.unit == "pixels"


def test_volumes_are_counted_in_voxels(tmp_path):
    labels = np.zeros((4, 20, 20), int)
    labels[1:3, 5:15, 5:15] = 1
    truth = Segmentation.from_labels(labels, classes=CLASSES)
    image = Image(np.random.default_rng(0).integers(0, 255, (4, 20, 20, 1), dtype=np.uint8))
    dataset = Dataset([Sample.of("v", image, truth)], CLASSES)
    page, _ = write_report(check(dataset), tmp_path, dataset.__getitem__)
    assert "of all voxels" in page.read_text() and "volume in voxels" in page.read_text()


def test_what_is_usual_is_learnt_in_bounded_memory():
    usual = Usual()
    for start in range(0, 5 * KEPT, 1000):
        usual.add(np.arange(start, start + 1000) % KEPT + np.array([0.5]))
    usual.add(np.array([np.nan, np.inf]))
    assert len(usual) == 5 * KEPT
    assert usual.median == pytest.approx(KEPT / 2, rel=0.05)
    assert usual.spread == pytest.approx(1.4826 * KEPT / 4, rel=0.05)
    assert np.isnan(Usual().median)


def test_certainty_is_a_half_in_doubt():
    assert certainty(1.0, 1.0, 2.0) == 0.5
    assert certainty(2.0, 1.0, 2.0) == pytest.approx(0.95)
    assert certainty(-1.0, -1.0, -3.0) == 0.5
