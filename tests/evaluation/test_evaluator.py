"""Predictions against truth over a dataset: everything is counted, nothing passed over in silence."""

import json
from functools import partial

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.data.scenes import scene_classes, scenes
from smalti.errors import InputError, ReadError, UnknownName
from smalti.evaluation.comparison import compare
from smalti.evaluation.evaluator import evaluate, task_of
from smalti.evaluation.predictions import align_classes, find_predictions
from smalti.evaluation.slices import slices
from smalti.evaluation.statistics import load_statistics, save_statistics
from smalti.evaluation.summary import summarise
from smalti.image import Image
from smalti.io.labels import write_labels
from smalti.metrics.panoptic import panoptic_quality
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CELLS = ClassSet([Class(1, "cell", (230, 159, 0))])
LAND = ClassSet(
    [
        Class(1, "field", (230, 159, 0), thing=False),
        Class(2, "wood", (0, 158, 115), thing=False),
        Class(3, "lake", (0, 114, 178), thing=False),
    ]
)


def cells(seed, count=6, size=48):
    """Discs that do not touch."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), int)
    y, x = np.mgrid[:size, :size]
    for k in range(1, count + 1):
        cy, cx, r = rng.uniform(6, size - 6), rng.uniform(6, size - 6), rng.uniform(2.5, 5)
        labels[((y - cy) ** 2 + (x - cx) ** 2 < r**2) & (labels == 0)] = k
    present = np.unique(labels[labels > 0])
    labels = np.where(labels > 0, np.searchsorted(present, labels) + 1, 0)
    return Segmentation.from_labels(labels, class_ids=[1] * len(present), classes=CELLS)


def worse(truth, rng, lost=0.3):
    """The same without some segments and with others moved by a pixel."""
    kept = rng.random(len(truth)) > lost
    moved = np.roll(truth.labels, int(rng.integers(0, 2)), axis=1)
    found = Segmentation.from_labels(moved, class_ids=truth.class_ids, classes=truth.classes)[kept]
    return found.replace(scores=rng.uniform(0.3, 1, len(found)))


@pytest.fixture(scope="module")
def dataset():
    samples = []
    for index in range(16):
        truth = cells(index)
        image = Image(np.where(truth.labels > 0, 200, 20 + index).astype(np.uint8)[..., None])
        samples.append(
            Sample.of(
                f"site{index % 2}/{index:02}",
                image,
                truth,
                group=f"p{index // 2}",
                metadata={"site": f"s{index % 2}"},
            )
        )
    return Dataset(samples, CELLS)


@pytest.fixture(scope="module")
def predicted(dataset):
    rng = np.random.default_rng(0)
    return {sample.name: worse(sample.truth, rng) for sample in dataset}


def value(evaluation, metric, score):
    found, kept = evaluation.metric(metric)
    return float(found.score(kept, np.ones((1, len(kept))))[score][0])


def test_the_truth_itself_is_perfect(dataset):
    evaluation = evaluate(dataset, dataset)
    assert evaluation.task == "instance"
    assert value(evaluation, "instances", "object_accuracy") == 1
    assert value(evaluation, "panoptic", "pq") == 1
    assert value(evaluation, "average_precision", "ap") == 1
    assert value(evaluation, "errors", "errors") == 0
    assert [note[:35] for note in evaluation.notes] == ["the predictions have no scores (all"]


def test_scores_are_those_of_the_metrics_over_all_images(dataset, predicted):
    evaluation = evaluate(dataset, predicted)
    parts = [panoptic_quality(sample.truth, predicted[sample.name]) for sample in dataset]
    assert value(evaluation, "panoptic", "pq") == pytest.approx(sum(parts[1:], parts[0]).pq)
    assert evaluation.confusion.sum() == 16 * 48 * 48
    assert (~evaluation.objects["predicted"]).sum() == sum(len(sample.truth) for sample in dataset)


def test_images_at_the_same_time_give_the_same(dataset, predicted):
    one, four = (evaluate(dataset, predicted, jobs=jobs) for jobs in (1, 4))
    for first, second in zip(one.kept, four.kept, strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_equal(a, b)


def test_missing_predictions_count_as_nothing_found(dataset, predicted):
    some = dict(list(predicted.items())[:12])
    evaluation = evaluate(dataset, some)
    empty = {name: found if name in some else found[[]] for name, found in predicted.items()}
    assert value(evaluation, "panoptic", "pq") == value(evaluate(dataset, empty), "panoptic", "pq")
    assert len(evaluation.missing) == 4
    assert "4 of 16 images have no prediction" in evaluation.notes[0]


def test_predictions_of_other_images_are_told(dataset, predicted):
    more = predicted | {"elsewhere": predicted["site0/00"]}
    assert any(
        "1 predictions belong to no annotated image: elsewhere" in note
        for note in evaluate(dataset, more).notes
    )


def test_nothing_in_common_is_refused(dataset, predicted):
    with pytest.raises(InputError, match="name them alike"):
        evaluate(dataset, {"x": predicted["site0/00"]})
    with pytest.raises(InputError, match="none of 1 samples is annotated"):
        evaluate(Dataset([Sample("a")], CELLS), predicted)


def test_sizes_that_differ_name_the_image(dataset, predicted):
    wrong = dict(predicted)
    wrong["site1/03"] = cells(0, size=40)
    with pytest.raises(InputError, match=r"site1/03: the prediction is \(40, 40\) and the truth \(48, 48\)"):
        evaluate(dataset, wrong)


def test_names_may_differ_in_their_folders(dataset, predicted):
    bare = {name.rpartition("/")[2]: found for name, found in predicted.items()}
    assert not evaluate(dataset, bare).missing


def test_classes_are_the_same_by_name():
    other = ClassSet([Class(7, "lake", (1, 1, 1)), Class(9, "wood", (2, 2, 2)), Class(11, "town", (3, 3, 3))])
    align = align_classes(LAND, other)
    assert list(align.classes.names) == ["field", "wood", "lake", "town"]
    found = Segmentation.from_labels(np.array([[1, 2, 3]]), class_ids=[7, 9, 11], classes=other)
    assert align(found).class_ids.tolist() == [3, 2, 4]
    assert any("no class 'town'" in note for note in align.notes)
    assert any("no class 'field'" in note for note in align.notes)


def test_predictions_may_know_different_classes(dataset):
    samples = list(dataset)[:2]
    other = ClassSet([Class(4, "dirt", (1, 1, 1)), Class(9, "cell", (2, 2, 2))])
    renumbered = samples[1].truth.replace(class_ids=np.full(len(samples[1].truth), 9), classes=other)
    found = {samples[0].name: samples[0].truth, samples[1].name: renumbered}
    evaluation = evaluate(Dataset(samples, CELLS), found)
    assert list(evaluation.classes.names) == ["cell", "dirt"]
    assert value(evaluation, "panoptic", "pq") == 1


def test_one_class_against_one_is_the_same_class(dataset, predicted):
    nuclei = ClassSet([Class(5, "nucleus", (9, 9, 9))])
    renamed = {
        name: found.replace(class_ids=np.full(len(found), 5), classes=nuclei)
        for name, found in predicted.items()
    }
    evaluation = evaluate(dataset, renamed)
    assert value(evaluation, "panoptic", "pq") == value(evaluate(dataset, predicted), "panoptic", "pq")
    assert "is taken for 'cell'" in evaluation.notes[0]


def test_classes_that_only_the_prediction_has_are_false():
    truth = Segmentation.from_labels(
        np.repeat([[1, 2]], 8, axis=0).repeat(4, axis=1), class_ids=[1, 2], classes=LAND
    )
    town = ClassSet([*LAND, Class(4, "town", (1, 1, 1), thing=False)])
    found = Segmentation.from_labels(truth.labels, class_ids=[1, 4], classes=town)
    dataset = Dataset([Sample.of("a", Image(np.zeros((8, 8, 1), np.uint8)), truth)], LAND)
    summary = summarise(evaluate(dataset, {"a": found}), by=())
    of_class = {
        row.class_name: row for row in summary.of_metric("classes", per_class=True) if row.name == "iou"
    }
    assert (of_class["field"].value, of_class["wood"].value, of_class["town"].value) == (1, 0, 0)
    assert np.isnan(of_class["lake"].value)
    assert "on neither side" in of_class["lake"].note


@pytest.mark.parametrize(
    ("kind", "task", "wanted"),
    [
        ("cells", "instance", "instance"),
        ("street", "panoptic", "panoptic"),
        ("street", "semantic", "semantic"),
    ],
)
def test_the_task_is_found_out(kind, task, wanted):
    made = scenes(kind, 3, task=task, size_hw=(96, 128))
    assert task_of(Dataset(made, scene_classes(kind, task))) == wanted


def test_regions_without_classes_are_scored_as_partitions():
    one = ClassSet.from_names(["region"])
    labels = np.repeat([[1, 2, 3]], 9, axis=0).repeat(3, axis=1)
    truth = Segmentation.from_labels(labels, class_ids=[1, 1, 1], classes=one)
    dataset = Dataset([Sample.of(name, Image(np.zeros((9, 9, 1), np.uint8)), truth) for name in "ab"], one)
    evaluation = evaluate(dataset, dataset)
    assert evaluation.task == "regions"
    assert value(evaluation, "partition", "covering") == 1


def test_metrics_may_be_chosen(dataset, predicted):
    evaluation = evaluate(dataset, predicted, metrics=["surface", "classes"])
    assert [metric.name for metric in evaluation.metrics] == ["surface", "classes"]
    with pytest.raises(UnknownName, match="panoptic"):
        evaluate(dataset, predicted, metrics=["panoptik"])


# Forms of predictions


def test_masks_named_as_the_images_are_read_as_the_truth_is(tmp_path):
    samples = []
    for index in range(3):
        labels = np.full((8, 8), 1, np.uint8)
        labels[:, 4:] = 2 + index % 2
        truth = Segmentation.from_labels(
            np.where(labels == 1, 1, 2), class_ids=[1, 2 + index % 2], classes=LAND
        )
        samples.append(Sample.of(f"tile{index}", Image(np.zeros((8, 8, 3), np.uint8)), truth))
        (tmp_path / "masks").mkdir(exist_ok=True)
        write_labels(tmp_path / "masks" / f"tile{index}.png", labels)
    Dataset(samples, LAND).write(tmp_path / "truth", "label-maps")
    truth = Dataset.open(tmp_path / "truth")
    evaluation = evaluate(truth, tmp_path / "masks")
    assert value(evaluation, "classes", "mean_iou") == 1


def test_label_maps_of_objects_as_predict_writes_them(dataset, predicted, tmp_path):
    for name, found in predicted.items():
        write_labels(tmp_path / f"{name.rpartition('/')[2]}.labels.png", found.labels)
    evaluation = evaluate(dataset, tmp_path)
    assert value(evaluation, "panoptic", "pq") == value(evaluate(dataset, predicted), "panoptic", "pq")


def _document(folder):
    (path,) = (path for path in folder.rglob("*.json") if path.name != "smalti-loss.json")
    return json.loads(path.read_text())


def test_coco_results(dataset, predicted, tmp_path):
    dataset.write(tmp_path / "truth", "coco")
    found = [Sample.of(sample.name, sample.image, predicted[sample.name]) for sample in dataset]
    Dataset(found, CELLS).write(tmp_path / "found", "coco", segmentation="rle")
    truth = Dataset.open(tmp_path / "truth", "coco")
    content, other = (_document(tmp_path / name) for name in ("truth", "found"))
    id_of = {image["file_name"]: image["id"] for image in content["images"]}
    name_of = {image["id"]: image["file_name"] for image in other["images"]}
    results = [
        {key: each[key] for key in ("category_id", "segmentation", "score")}
        | {"image_id": id_of[name_of[each["image_id"]]]}
        for each in other["annotations"]
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    evaluation = evaluate(truth, path)
    wanted = evaluate(dataset, predicted)
    for metric, score in (("average_precision", "ap"), ("panoptic", "pq")):
        assert value(evaluation, metric, score) == pytest.approx(value(wanted, metric, score))
    path.write_text(json.dumps([{**results[0], "image_id": 999}]))
    with pytest.raises(ReadError, match="result 0: no image of .* has the id 999"):
        evaluate(truth, path)
    path.write_text(json.dumps([{**results[0], "score": float("nan")}]))
    with pytest.raises(ReadError):
        evaluate(truth, path)
    with pytest.raises(InputError, match="give that JSON as truth"):
        find_predictions(dataset, path)


# Slices


def test_a_worse_site_is_found(dataset):
    rng = np.random.default_rng(1)
    found = {
        sample.name: worse(sample.truth, rng, 0.7 if sample.metadata["site"] == "s1" else 0.05)
        for sample in dataset
    }
    plain = Dataset(
        [Sample(s.name, s.load_image, s.load_truths, metadata=s.metadata) for s in dataset], CELLS
    )
    told = slices(evaluate(plain, found), ["site"])
    assert (told[0].column, told[0].label) == ("site", "s1")
    assert told[0].difference < -0.2
    assert told[0].p_corrected < 0.05


def test_small_objects_that_are_missed_are_found(dataset):
    found = {s.name: s.truth[s.truth.areas_px > np.median(s.truth.areas_px)] for s in dataset}
    told = slices(evaluate(dataset, found), ["object size"])
    assert told[0].label.startswith("lowest quarter")
    assert told[0].value == 0
    assert told[0].p_corrected < 0.05


def test_unknown_columns_are_refused(dataset, predicted):
    with pytest.raises(UnknownName, match="site"):
        slices(evaluate(dataset, predicted), ["sight"])


def test_brightness_is_read_when_asked_for(dataset, predicted):
    evaluation = evaluate(dataset, predicted, by=["brightness"])
    assert len({round(x, 3) for x in evaluation.columns["brightness"]}) > 4
    assert {each.column for each in slices(evaluation, ["brightness"])} == {"brightness"}


# Summaries and comparisons


def test_intervals_hold_the_value_and_go_by_group(dataset, predicted):
    summary = summarise(evaluate(dataset, predicted))
    assert (summary.unit, summary.drawn) == ("group", 8)
    for row in summary.rows:
        if not np.isnan(row.low) and not row.name.startswith(("count", "gain", "missed", "extra")):
            assert row.low <= row.value + 1e-9, row
            assert row.high >= row.value - 1e-9, row
    content = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert content["images"] == 16
    assert content["headline"]["value"] == pytest.approx(summary.headline.value)


def test_the_worst_image_comes_first(dataset, predicted):
    summary = summarise(evaluate(dataset, predicted), by=())
    worst = summary.worst(16)
    assert summary.of_image[worst[0]] == np.nanmin(summary.of_image)
    assert sorted(worst) == sorted(np.flatnonzero(~np.isnan(summary.of_image)))


def test_statistics_come_back_and_compare(dataset, predicted, tmp_path):
    first = evaluate(dataset, predicted)
    second = evaluate(dataset, dataset)
    save_statistics(first, tmp_path / "statistics.npz")
    back = load_statistics(tmp_path)
    assert back.names == first.names
    for one, other in zip(first.kept, back.kept, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_equal(a, b)
    found = compare(back, second)
    assert found.headline.verdict == "better"
    assert found.headline.second == 1
    assert found.headline.low > 0
    assert found.headline.more_needed == 0
    same = compare(back, first)
    assert same.headline.difference == 0
    assert same.headline.verdict == "undecided"
    json.dumps(found.to_json(), allow_nan=False)


def test_a_damaged_file_of_statistics_is_one_line(dataset, predicted, tmp_path):
    with pytest.raises(ReadError, match="give the folder of a report"):
        load_statistics(tmp_path)
    save_statistics(evaluate(dataset, predicted), tmp_path / "statistics.npz")
    content = (tmp_path / "statistics.npz").read_bytes()
    for cut in (10, len(content) // 2, len(content) - 5):
        (tmp_path / "statistics.npz").write_bytes(content[:cut])
        with pytest.raises(ReadError) as error:
            load_statistics(tmp_path)
        assert "\n" not in str(error.value)


def test_evaluations_that_cannot_be_compared_are_refused(dataset, predicted):
    first = evaluate(dataset, predicted)
    with pytest.raises(InputError, match="scored as"):
        compare(first, evaluate(dataset, predicted, "semantic"))
    with pytest.raises(InputError, match="tolerance of 2.0, the second of 3"):
        compare(
            evaluate(dataset, predicted, "semantic"), evaluate(dataset, predicted, "semantic", tolerance=3)
        )
    assert compare(first, evaluate(dataset, predicted, tolerance=3)).headline.difference == 0
    elsewhere = Dataset([Sample("x", None, lambda: (cells(3),))], CELLS)
    with pytest.raises(InputError, match="no image in common"):
        compare(first, evaluate(elsewhere, elsewhere, "instance"))


def test_void_in_a_prediction_excuses_nothing(dataset):
    sample = dataset[0]
    void = np.zeros((48, 48), bool)
    void[:, 24:] = True
    half = Segmentation.from_labels(
        np.where(void, 0, sample.truth.labels), class_ids=sample.truth.class_ids, classes=CELLS
    )
    one = Dataset([sample], CELLS)
    with_void = evaluate(one, {sample.name: half.replace(void=void)})
    without = evaluate(one, {sample.name: half})
    assert value(with_void, "panoptic", "pq") == value(without, "panoptic", "pq") < 1


def test_surfaces_are_kept_and_compared(dataset, predicted, tmp_path):
    first = evaluate(dataset, predicted, metrics=["surface"])
    save_statistics(first, tmp_path / "statistics.npz")
    found = compare(load_statistics(tmp_path), first)
    assert all(row.difference == 0 or np.isnan(row.difference) for row in found.rows)
    with pytest.raises(InputError, match="scored by surface, the second by classes"):
        compare(first, evaluate(dataset, predicted, metrics=["classes"]))
    json.dumps(summarise(first).to_json(), allow_nan=False)


def moved(truth, pixels):
    labels = np.roll(truth.labels, pixels, axis=1)
    return Segmentation.from_labels(labels, class_ids=truth.class_ids, classes=truth.classes)


def test_a_slice_is_worse_by_what_is_better(dataset):
    found = {s.name: moved(s.truth, 0 if s.metadata["site"] == "s0" else 2) for s in dataset}
    plain = Dataset(
        [Sample(s.name, s.load_image, s.load_truths, metadata=s.metadata) for s in dataset], CELLS
    )
    evaluation = evaluate(plain, found, metrics=["calibration", "panoptic"])
    told = slices(evaluation, ["site"])
    assert told[0].label == "s1"
    assert told[0].better == "lower"
    assert told[0].worse
    assert told[0].difference > 0


@pytest.mark.parametrize("groups", [None, 2])
def test_parts_that_are_alike_are_seldom_called_worse(groups):
    """Corrected p-values below 0.05 in at most a tenth of 60 worlds without any effect."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        samples = [
            Sample(
                f"{k}",
                None,
                partial(_one, cells(100 * seed + k)),
                group=None if groups is None else f"g{k // groups}",
                metadata={"site": f"s{k // 2 % 2}"},
            )
            for k in range(12)
        ]
        dataset = Dataset(samples, CELLS)
        found = {s.name: s.truth[rng.random(len(s.truth)) > 0.3] for s in samples}
        told = slices(evaluate(dataset, found, metrics=["panoptic"], jobs=1), count=200, seed=seed)
        alarms += any(each.p_corrected < 0.05 for each in told)
    assert alarms <= 6


def _one(truth):
    return (truth,)


def test_hostile_statistics_are_one_line(dataset, predicted, tmp_path):
    path = tmp_path / "statistics.npz"
    save_statistics(evaluate(dataset, predicted), path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    told = json.loads(arrays["evaluation"].tobytes())

    def text(content):
        return np.frombuffer(content.encode(), np.uint8)

    wrong = {
        "nested": {"evaluation": text("[" * 100_000)},
        "groups": {"evaluation": text(json.dumps(told | {"groups": [[1]] * 16}))},
        "metrics": {"evaluation": text(json.dumps(told | {"metrics": []}))},
        "metric": {"evaluation": text(json.dumps(told | {"metrics": ["nothing"]}))},
        "names": {"evaluation": text(json.dumps(told | {"names": told["names"][:3]}))},
        "seconds": {"evaluation": text(json.dumps(told | {"seconds": None}))},
        "confusion": {"confusion": np.zeros(3)},
        "rows": {"kept/0/array/values": arrays["kept/0/array/values"][:-3]},
        "images": {"objects/image": arrays["objects/image"] - 5},
        "classes": {"objects/class_id": arrays["objects/class_id"] + 100},
        "float bits": {"kept/1/right/values": arrays["kept/1/right/values"].astype(float) + 0.5},
    }
    for name, change in wrong.items():
        np.savez(path, **(arrays | change))
        with pytest.raises(ReadError) as error:
            load_statistics(path)
        assert "\n" not in str(error.value), name


def test_two_masks_of_one_image_are_refused(dataset, predicted, tmp_path):
    for mark in (".labels", "_pred"):
        write_labels(tmp_path / f"00{mark}.png", predicted["site0/00"].labels)
    with pytest.raises(InputError, match="both predictions of '00'"):
        evaluate(dataset, tmp_path)


def test_faulty_predictions_are_told(dataset, tmp_path):
    dataset.write(tmp_path / "found", "coco")
    (path,) = (path for path in (tmp_path / "found").rglob("*.json") if path.name != "smalti-loss.json")
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = 77
    path.write_text(json.dumps(content))
    evaluation = evaluate(dataset, tmp_path / "found")
    assert any("faulty records count as not predicted" in note for note in evaluation.notes)
    assert value(evaluation, "panoptic", "pq") < 1


def test_no_common_class_is_refused(dataset):
    other = ClassSet.from_names(["Zelle", "Schmutz"])
    found = {s.name: s.truth.replace(classes=other) for s in dataset}
    with pytest.raises(InputError, match="none is the same"):
        evaluate(dataset, found)


def test_no_metric_and_one_twice(dataset, predicted):
    with pytest.raises(InputError, match="no metric is named"):
        evaluate(dataset, predicted, metrics=[])
    assert len(evaluate(dataset, predicted, metrics=["classes", "classes"]).metrics) == 1
