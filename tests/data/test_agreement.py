"""How far annotators agree, and on which images they do not."""

from functools import partial

import numpy as np
import pytest

from smalti.classes import OBJECT, Class, ClassSet
from smalti.data.agreement import disagreement_map, kind_of, measure_agreement
from smalti.data.dataset import Dataset
from smalti.errors import InputError
from smalti.sample import Sample
from smalti.segmentation import Segmentation

TWO = ClassSet.from_names(["cell", "dirt"])


def sample(name, truths):
    return Sample(name, load_truths=partial(tuple, truths))


def disk(radius, center=(20, 20), class_id=1, size=(40, 44)):
    y, x = np.mgrid[: size[0], : size[1]]
    return class_id * (np.hypot(y - center[0], x - center[1]) < radius)


def semantic(maps, void=None):
    return [Segmentation.from_semantic_map(np.array(each), TWO, void=void) for each in maps]


@pytest.fixture
def dataset():
    return Dataset(
        [
            sample("alike", semantic([disk(10), disk(10), disk(10)])),
            sample("one generous", semantic([disk(10), disk(10), disk(14)])),
            sample("apart", semantic([disk(10), disk(10, (20, 30)), disk(10, class_id=2)])),
            sample("alone", semantic([disk(3)])),
            Sample("nobody"),
        ],
        TWO,
    )


def test_images_come_with_the_most_disagreement_first(dataset):
    found = measure_agreement(dataset)
    assert found.kind == "semantic"
    assert found.images["image"].tolist() == ["apart", "one generous", "alike"]
    assert found.images["iou"][-1] == found.images["consensus"][-1] == found.images["alpha"][-1] == 1
    assert 0 < found.images["iou"][0] < found.images["iou"][1] < 1
    assert found.images["annotators"].tolist() == [3, 3, 3]
    assert len(found.pairs) == 9


def test_scores_of_a_pair_by_hand(dataset):
    pairs = measure_agreement(dataset).pairs
    row = next(r for r in pairs.rows() if (r["image"], r["first"], r["second"]) == ("one generous", 1, 3))
    small, large = disk(10).sum(), disk(14).sum()
    assert row["iou"] == pytest.approx(small / large)
    assert row["dice"] == pytest.approx(2 * small / (small + large))
    assert row["boundary_f"] == 0  # the outlines are 4 pixels apart
    assert measure_agreement(dataset[1:2], tolerance=4.5).pairs["boundary_f"].min() > 0


def test_the_odd_one_out_and_the_bias_of_each(dataset):
    found = measure_agreement(dataset[1:2])
    assert found.images["odd_one"].tolist() == [3]
    assert found.annotators["odd_one"].tolist() == [0, 0, 1]
    assert found.annotators["area_ratio"][2] == pytest.approx(disk(14).sum() / disk(10).sum())
    assert found.annotators["consensus"][2] == pytest.approx(disk(10).sum() / disk(14).sum())
    assert measure_agreement(dataset[:1]).images["odd_one"].tolist() == [0]


def test_a_consensus_is_of_the_others():
    two = Dataset([sample("a", semantic([disk(10), disk(14)]))], TWO)
    found = measure_agreement(two)
    assert found.images["consensus"][0] == found.images["iou"][0] < 1


def test_classes_have_scores_of_their_own(dataset):
    found = measure_agreement(dataset)
    assert found.classes["class"].tolist() == ["cell", "dirt"]
    assert found.classes["images"].tolist() == [3, 1]
    assert found.classes["dice"][1] == 0


def test_alpha_is_one_for_the_same_and_about_nought_for_chance():
    rng = np.random.default_rng(0)
    noise = semantic(rng.integers(0, 3, (3, 60, 60)))
    assert abs(measure_agreement(Dataset([sample("noise", noise)], TWO)).alpha) < 0.03
    assert measure_agreement(Dataset([sample("same", noise[:1] * 3)], TWO)).alpha == 1


def test_void_is_left_out():
    half = disk(10)
    half[:, 22:] = 9
    found = measure_agreement(Dataset([sample("a", semantic([disk(10), half], void=9))], TWO))
    assert found.images["iou"][0] == found.images["boundary_f"][0] == found.alpha == 1
    assert found.annotators["area_ratio"].tolist() == [1, 1]


def objects(*places):
    masks = np.zeros((len(places), 40, 44), bool)
    for mask, (top, left) in zip(masks, places, strict=True):
        mask[top : top + 8, left : left + 8] = True
    return Segmentation.from_masks(masks, classes=TWO, class_ids=[1] * len(places), shape=(40, 44))


def test_objects_are_scored_as_objects():
    whole, missing = objects((2, 2), (2, 20), (20, 2)), objects((2, 2), (2, 20))
    merged = Segmentation.from_labels((whole.labels > 0).astype(int), class_ids=[1], classes=TWO)
    found = measure_agreement(
        Dataset([sample("missing", [whole, whole, missing]), sample("merged", [whole, whole, merged])], TWO)
    )
    assert found.kind == "panoptic"
    assert found.images["image"].tolist() == ["merged", "missing"]
    assert found.images["iou"][0] == 1  # every pixel has the class all say; only PQ sees the merged objects
    assert found.images["pq"][0] == pytest.approx((1 + 0 + 0) / 3)
    assert found.images["rq"][1] == pytest.approx((1 + 2 * 2 / 2.5) / 3)
    assert found.annotators["odd_one"].tolist() == [0, 0, 2]
    assert found.annotators["segments_ratio"][2] == pytest.approx(3 / 6)


def test_partitions_are_scored_without_classes():
    left_right = np.repeat([[1, 2]], 20, axis=1).repeat(30, axis=0)
    quarters = left_right + 2 * (np.arange(30) >= 15)[:, None]
    truths = [Segmentation.from_labels(each) for each in (left_right, left_right, quarters)]
    assert kind_of(truths) == "partition"
    found = measure_agreement(Dataset([sample("photo", truths)], OBJECT))
    assert found.images["covering"][0] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert found.images["vi"][0] == pytest.approx((0 + 1 + 1) / 3)
    assert found.annotators["segments_ratio"][2] == 2
    assert np.isnan(found.alpha)
    assert len(found.classes) == 0


def test_kinds():
    assert kind_of(semantic([disk(5)])) == "semantic"
    assert kind_of([objects((2, 2), (2, 20))]) == "panoptic"
    assert kind_of([]) == "semantic"
    assert kind_of([objects((2, 2), (2, 20)).replace(classes=OBJECT)]) == "panoptic"


def test_the_text_says_it_all(dataset):
    text = str(measure_agreement(dataset))
    assert text.startswith("3 images with several truths (semantic): iou 0.")
    for word in ("Krippendorff's alpha", "area_ratio", "dirt", "one generous", "lowest_iou"):
        assert word in text


def test_nothing_to_compare_and_truths_that_do_not_fit(dataset):
    with pytest.raises(InputError, match="none of 2 samples has several truths"):
        measure_agreement(dataset[3:])
    with pytest.raises(InputError, match="kind is one of semantic"):
        measure_agreement(dataset, kind="objects")
    odd = Dataset([sample("odd", [*semantic([disk(5)]), *semantic([disk(5)[:10]])])], TWO)
    with pytest.raises(InputError, match=r"sample 'odd': truths of one image must share shape"):
        measure_agreement(odd)


def test_disagreement_on_classes_is_the_share_that_differs():
    maps = [[[1, 1, 1, 9, 9]], [[1, 2, 0, 2, 9]], [[1, 2, 2, 1, 9]]]
    found = disagreement_map(semantic(maps, void=9))
    assert found.dtype == np.float32
    assert np.allclose(found, [[0, 1 / 3, 2 / 3, 1 / 2, 0]])
    with pytest.raises(InputError, match="2 or more"):
        disagreement_map(semantic(maps[:1], void=9))


def test_disagreement_on_objects_sees_a_merge():
    whole = objects((2, 2), (2, 10))
    merged = Segmentation.from_labels((whole.labels > 0).astype(int), class_ids=[1], classes=TWO)
    found = disagreement_map([whole, whole, merged])
    assert np.allclose(found, (whole.labels > 0) / 3)


def test_disagreement_on_partitions_is_how_little_regions_share():
    first = np.array([[1, 1, 1, 2]])
    second = np.array([[1, 1, 2, 2]])
    truths = [Segmentation.from_labels(each) for each in (first, second)]
    iou = {(1, 1): 2 / 3, (1, 2): 1 / 4, (2, 2): 1 / 2}
    wanted = [[1 - iou[int(a), int(b)] for a, b in zip(first[0], second[0], strict=True)]]
    assert np.allclose(disagreement_map(truths), wanted)


def test_disagreement_in_volumes():
    volume = np.zeros((3, 5, 6), int)
    volume[1] = 1
    classes = ClassSet([Class(1, "organ", (1, 2, 3))])
    truths = [Segmentation.from_semantic_map(each, classes) for each in (volume, volume * 0, volume)]
    assert np.allclose(disagreement_map(truths), volume / 3)
    found = measure_agreement(Dataset([sample("scan", truths)], classes))
    assert found.images["iou"][0] == pytest.approx(1 / 3)


@pytest.mark.realdata
def test_how_far_people_agree_on_photographs(data_dir):
    """The numbers of docs/agreement.md; the tolerance is 0.75 % of the diagonal, as the benchmark has it."""
    dataset = Dataset.open(data_dir / "bsds500").split("test")
    found = measure_agreement(dataset, tolerance=4.3)
    assert found.kind == "partition"
    assert len(found.images) == len(dataset) == 40
    assert found.scores["covering"] == pytest.approx(0.736, abs=0.001)
    assert found.scores["vi"] == pytest.approx(1.123, abs=0.001)
    assert 0.75 < found.scores["boundary_f"] < 0.85
    assert found.images["image"][0] == "test/289011"
    again = measure_agreement(dataset.with_samples(list(dataset)[::-1]), tolerance=4.3)
    assert str(again) == str(found)
