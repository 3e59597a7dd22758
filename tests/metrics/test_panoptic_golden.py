"""Panoptic quality against a plain implementation of the paper: made-up maps, and COCO's own with known errors."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.metrics.interval import resamples
from smalti.metrics.pair import Pair
from smalti.metrics.panoptic import Panoptic, crowd_segments, panoptic_quality
from smalti.segmentation import Segmentation

GOLDEN = Path(__file__).parents[1] / "golden"
MADE = runpy.run_path(str(GOLDEN / "make_panoptic.py"))
STORED = json.loads((GOLDEN / "panoptic.json").read_text(encoding="utf-8"))
CLASSES = ClassSet([Class(k, f"class {k}", (k, k, k), k % 2 == 0) for k in range(1, 9)])


def segmentation(ids, class_of, classes=CLASSES, crowds=(), void=False):
    """A map of any ids with their classes, 0 being void or nothing."""
    names = np.array(sorted(class_of), np.int64)
    labels = np.where(ids > 0, np.searchsorted(names, ids) + 1, 0)
    return Segmentation.from_labels(
        labels,
        class_ids=[class_of[int(name)] for name in names],
        classes=classes,
        void=ids == 0 if void else None,
        attributes={"crowd": np.isin(names, list(crowds))},
    )


def pair_of(truth, truth_class, predicted, predicted_class, crowds, classes=CLASSES):
    return Pair(
        segmentation(truth, truth_class, classes, crowds, void=True),
        segmentation(predicted, predicted_class, classes),
    )


def counts_of(totals, classes=CLASSES):
    """What ``Panoptic`` kept, as the plain implementation gives it: sum of IoU, matched, extra, missed."""
    matched_iou, found, missed, extra = np.split(totals, 4)
    return dict(
        zip(classes.ids.tolist(), np.stack([matched_iou, found, extra, missed], 1).tolist(), strict=True)
    )


def same_counts(found, wanted):
    nothing = [0.0, 0, 0, 0]
    return all(np.allclose(found.get(k, nothing), wanted.get(k, nothing)) for k in {*found, *wanted})


@pytest.mark.parametrize("case", STORED["cases"], ids=lambda case: f"seed {case['seed']}")
def test_as_the_plain_implementation_counts(case):
    made = {key: value for key, value in case.items() if key != "counts"}
    assert made in MADE["CASES"]
    found = counts_of(Panoptic(CLASSES).keep(pair_of(*MADE["maps"](made))))
    assert same_counts(found, {int(kind): counts for kind, counts in case["counts"].items()})


def test_all_cases_together_for_things_and_stuff():
    metric = Panoptic(CLASSES)
    kept = [metric.keep(pair_of(*MADE["maps"](case))) for case in MADE["CASES"]]
    scores = metric.score(kept, np.ones((1, len(kept))))
    for name, value in STORED["together"].items():
        assert scores[name][0] == pytest.approx(value), name


def test_scores_of_resamples_are_those_of_the_images_repeated():
    metric = Panoptic(CLASSES)
    kept = [metric.keep(pair_of(*MADE["maps"](case))) for case in MADE["CASES"]]
    weights = resamples(len(kept), count=5)
    scores = metric.score(kept, weights)
    for draw, row in enumerate(weights.astype(int)):
        again = [each for each, times in zip(kept, row, strict=True) for _ in range(times)]
        alone = metric.score(again, np.ones((1, len(again))))
        for name, values in scores.items():
            assert np.allclose(values[draw], alone[name][0], equal_nan=True)


def test_one_image_has_the_same_scores_as_its_own_quality():
    truth, predicted = (segmentation(*MADE["maps"](MADE["CASES"][3])[side : side + 2]) for side in (0, 2))
    metric = Panoptic(CLASSES)
    scores = metric.score([metric.keep(Pair(truth, predicted))], np.ones((1, 1)))
    quality = panoptic_quality(truth, predicted)
    assert (scores["pq"][0], scores["sq"][0], scores["rq"][0]) == pytest.approx(
        (quality.pq, quality.sq, quality.rq)
    )
    assert np.allclose(scores["pq_of_class"][0], quality.pq_of_class, equal_nan=True)
    assert np.allclose(scores["sq_of_class"][0], quality.sq_of_class, equal_nan=True)


def test_images_without_any_segment_have_no_score():
    nothing = Segmentation.from_labels(np.zeros((2, 2), int), class_ids=[], classes=CLASSES)
    metric = Panoptic(CLASSES)
    scores = metric.score([metric.keep(Pair(nothing, nothing))], np.ones((1, 1)))
    assert all(np.isnan(values).all() for values in scores.values())
    other = Segmentation.from_labels(np.zeros((2, 2), int))
    with pytest.raises(InputError, match="the metric is for"):
        metric.keep(Pair(other, other))


def worsened(ids, class_of, classes, rng):
    """The map shifted, with some segments merged into a neighbour, gone, or of another class."""
    shift = tuple(int(step) for step in rng.integers(-6, 7, 2))
    ids = np.roll(ids, shift, (0, 1))
    class_of = dict(class_of)
    things = [name for name, kind in class_of.items() if classes.of(kind).thing]
    for name in things:
        fate = rng.random()
        if fate < 0.1:
            ids = np.where(ids == name, 0, ids)
        elif fate < 0.2:
            ids = np.where(ids == name, things[0], ids)
        elif fate < 0.3:
            class_of[name] = int(rng.choice([entry.id for entry in classes if entry.thing]))
    return ids, {name: kind for name, kind in class_of.items() if (ids == name).any()}


@pytest.mark.realdata
def test_coco_panoptic_truth_made_worse(data_dir):
    from smalti.data.dataset import Dataset

    dataset = Dataset.open(data_dir / "coco_panoptic_subset", "coco-panoptic")
    classes, rng = dataset.classes, np.random.default_rng(0)
    metric = Panoptic(classes)
    kept, plain, crowds_seen = [], [], 0
    for sample in list(dataset)[::2]:
        truth = sample.truth
        names = np.arange(1, len(truth) + 1)
        class_of = dict(zip(names.tolist(), truth.class_ids.tolist(), strict=True))
        crowds = set(names[crowd_segments(truth)].tolist())
        crowds_seen += len(crowds)
        ids = truth.labels.astype(np.int64)
        other, other_class = worsened(ids, class_of, classes, rng)
        void = truth.void
        assert np.array_equal(void, ids == 0)
        kept.append(metric.keep(Pair(truth, segmentation(other, other_class, classes))))
        plain.append(MADE["plain_counts"](ids, class_of, other, other_class, crowds))
        assert same_counts(counts_of(kept[-1], classes), plain[-1]), sample.name
    assert crowds_seen > 0
    total = MADE["summed"](plain)
    scores = metric.score(kept, np.ones((1, len(kept))))
    things = {entry.id for entry in classes if entry.thing}
    for of, kinds in (("", set(total)), ("_things", set(total) & things), ("_stuff", set(total) - things)):
        for name, value in MADE["qualities"](total, kinds).items():
            assert scores[f"{name}{of}"][0] == pytest.approx(value)
    assert 0.2 < scores["pq"][0] < 0.95
