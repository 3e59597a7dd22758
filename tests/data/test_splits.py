"""Splits: groups whole, classes even, the same for the same seed, written down."""

import json
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.data.presence import ClassPresence, class_presence
from smalti.data.splits import (
    Splits,
    apply_splits,
    balance,
    folds,
    make_folds,
    make_splits,
    read_splits,
    split,
    write_splits,
)
from smalti.data.stratify import distribute
from smalti.errors import InputError, ReadError
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


def made_up(n, num_classes=6, num_groups=None, seed=0):
    """A dataset without pixels, and which classes its samples are said to have: each half as frequent as the last."""
    rng = np.random.default_rng(seed)
    frequency = np.maximum(0.5 ** np.arange(num_classes), 0.02)
    present = rng.random((n, num_classes)) < frequency
    pixels = (present * rng.lognormal(6, 1, present.shape)).astype(np.int64) + present
    names = [f"image-{index:05}" for index in range(n)]
    groups = [None] * n if num_groups is None else [f"patient-{g}" for g in rng.zipf(1.8, n) % num_groups]
    samples = [Sample(name, group=group) for name, group in zip(names, groups, strict=True)]
    classes = ClassSet.from_names([f"class {k}" for k in range(num_classes)])
    return Dataset(samples, classes), ClassPresence(tuple(names), classes, pixels)


def sizes(dataset):
    return [len(dataset.split(name)) for name in ("train", "val", "test")]


def test_every_sample_is_in_one_split_of_the_size_asked_for():
    dataset, presence = made_up(200)
    done = split(dataset, SHARES, presence=presence)
    assert done.names == dataset.names
    assert sizes(done) == [140, 30, 30]


def test_groups_are_never_split_apart():
    dataset, presence = made_up(400, num_groups=40)
    for stratify in (True, False, "pixels"):
        done = split(dataset, SHARES, 3, stratify=stratify, presence=presence)
        places = {}
        for sample in done:
            places.setdefault(sample.group, set()).add(sample.split)
        assert {len(each) for each in places.values()} == {1}
        assert done.splits and set(done.splits) == set(SHARES)


def test_near_duplicates_tie_groups_together():
    groups = {"a": "g", "b": "g", "c": "h", "d": None, "e": None, "f": None}
    samples = [Sample(name, group=group) for name, group in groups.items()]
    dataset = Dataset(samples, ClassSet.from_names(["x"]))
    halves = {"train": 0.5, "test": 0.5}
    tied = {"b": "twins", "c": "twins"}
    for seed in range(10):
        done = split(dataset, halves, seed, stratify=False, groups=tied)
        assert len({done[name].split for name in "abc"}) == 1
    with pytest.raises(InputError, match=r"1 sample \(z\) is not in the dataset"):
        split(dataset, halves, stratify=False, groups={"z": "twins"})


def test_groups_by_a_key_of_the_metadata_or_none():
    samples = [Sample(str(i), group="all", metadata={"site": i % 4}) for i in range(40)]
    dataset = Dataset(samples, ClassSet.from_names(["x"]))
    by_site = split(dataset, {"train": 0.75, "test": 0.25}, by="site", stratify=False)
    assert len({sample.metadata["site"] for sample in by_site.split("test")}) == 1
    assert len(split(dataset, {"train": 0.75, "test": 0.25}, by=None, stratify=False).split("test")) == 10
    with pytest.raises(InputError, match="no column of metadata called 'sites'; nearest: site"):
        split(dataset, {"train": 0.75, "test": 0.25}, by="sites", stratify=False)
    with pytest.raises(InputError, match="1 groups of samples cannot fill 2 splits"):
        split(dataset, {"train": 0.75, "test": 0.25}, stratify=False)


def test_the_seed_decides_and_the_order_of_files_does_not():
    dataset, presence = made_up(300, num_groups=60)
    first = make_splits(dataset, SHARES, 5, presence=presence)
    order = np.random.default_rng(1).permutation(len(dataset))
    shuffled = dataset.with_samples([dataset[int(index)] for index in order])
    assert make_splits(shuffled, SHARES, 5, presence=presence).split_of == first.split_of
    assert make_splits(dataset, SHARES, 6, presence=presence).split_of != first.split_of
    for stratify in (False, "pixels"):
        some, other = (make_splits(dataset, SHARES, s, stratify=stratify, presence=presence) for s in (5, 6))
        assert some.split_of != other.split_of


def furthest(dataset, presence, of="images"):
    return np.nanmax(balance(dataset, presence, of)["furthest"][1:])


def test_classes_are_spread_evenly():
    dataset, presence = made_up(1000)
    done = split(dataset, SHARES, presence=presence)
    assert furthest(done, presence) < 0.02
    by_chance = split(dataset, SHARES, stratify=False)
    assert furthest(by_chance, presence) > 2 * furthest(done, presence)


def test_pixels_are_spread_evenly_if_asked():
    dataset, presence = made_up(1000)
    images, pixels = (split(dataset, SHARES, stratify=s, presence=presence) for s in (True, "pixels"))
    assert furthest(pixels, presence, "pixels") < 0.03
    assert furthest(pixels, presence, "pixels") < furthest(images, presence, "pixels")


def test_classes_are_spread_evenly_in_groups():
    dataset, presence = made_up(2000, num_groups=200)
    done = split(dataset, SHARES, presence=presence)
    shares = np.array(sizes(done)) / 2000
    assert np.allclose(shares, [0.7, 0.15, 0.15], atol=0.02)
    assert furthest(done, presence) < 0.1


def test_a_rare_class_reaches_every_split():
    dataset, presence = made_up(100)
    pixels = presence.pixels.copy()
    pixels[:, 5] = 0
    pixels[[3, 50, 77], 5] = 10
    rare = ClassPresence(presence.names, presence.classes, pixels)
    done = folds(dataset, 3, presence=rare)
    for fold in done:
        held = {sample.name for sample in fold.split("val")}
        assert len(held & {"image-00003", "image-00050", "image-00077"}) == 1


@given(st.integers(0, 2**32 - 1))
def test_nothing_is_left_empty_and_all_is_dealt(seed):
    rng = np.random.default_rng(seed)
    num_splits = int(rng.integers(1, 5))
    num_groups = int(rng.integers(num_splits, 12))
    shares = rng.dirichlet(np.full(num_splits, 0.5)) + 1e-3
    amounts = rng.integers(0, 5, (num_groups, int(rng.integers(0, 4)))).astype(float)
    chosen = distribute(amounts, rng.integers(1, 20, num_groups), shares / shares.sum(), rng)
    assert set(chosen.tolist()) == set(range(num_splits))
    assert len(chosen) == num_groups


@pytest.mark.slow
def test_a_hundred_thousand_samples_take_seconds():
    dataset, presence = made_up(100_000, 20)
    start = time.perf_counter()
    done = split(dataset, SHARES, presence=presence)
    assert time.perf_counter() - start < 30  # about 2 s on one free core
    assert furthest(done, presence) < 0.01


def test_folds_hold_out_each_sample_once():
    dataset, presence = made_up(103, num_groups=50)
    done = folds(dataset, 4, seed=2, presence=presence)
    held = [sample.name for fold in done for sample in fold.split("val")]
    assert sorted(held) == dataset.names
    assert all(len(fold.split("train")) + len(fold.split("val")) == 103 for fold in done)
    assert make_folds(dataset, 4, seed=2, presence=presence).fold("fold-1").names["val"] == tuple(
        sample.name for sample in done[0].split("val")
    )
    with pytest.raises(InputError, match="k is 2"):
        folds(dataset, 1)
    with pytest.raises(InputError, match="no fold called 'fold-9'"):
        make_folds(dataset, 4, stratify=False).fold("fold-9")


@pytest.mark.parametrize(
    ("shares", "told"),
    [({}, "sum to 1"), ({"train": 0.8, "test": 0.3}, "sum to 1"), ({"train": 1.2, "test": -0.2}, "above 0")],
)
def test_shares_that_make_no_sense_are_refused(shares, told):
    with pytest.raises(InputError, match=told):
        split(made_up(10)[0], shares, stratify=False)


def test_other_arguments_that_make_no_sense_are_refused():
    dataset, presence = made_up(4)
    with pytest.raises(InputError, match="stratify is"):
        split(dataset, SHARES, stratify="classes")
    with pytest.raises(InputError, match="2 samples cannot fill 3 splits"):
        split(dataset[:2], SHARES, stratify=False)
    with pytest.raises(InputError, match=r"not known of 3 samples, such as 'image-00001'"):
        split(
            dataset, SHARES, presence=ClassPresence(presence.names[:1], presence.classes, presence.pixels[:1])
        )


# What is read of the truths


def labelled(rows, ids=(1, 2)):
    classes = ClassSet.from_names(["cell", "dirt"])
    return Segmentation.from_labels(np.array(rows), class_ids=list(ids), classes=classes)


def never():
    raise ReadError("broken.png is damaged")


def test_presence_counts_the_pixels_of_the_first_truth():
    truths = [labelled([[1, 1, 2]]), labelled([[1, 2, 0]], (1, 1)), labelled([[0, 0, 0]])]
    samples = [Sample(str(i), load_truths=partial(tuple, [truth])) for i, truth in enumerate(truths)]
    dataset = Dataset([*samples, Sample("blank")], truths[0].classes)
    found = class_presence(dataset)
    assert found.pixels.tolist() == [[2, 1], [2, 0], [0, 0], [0, 0]]
    assert found.present.tolist()[1] == [True, False]
    assert found.of(["2", "0"]).tolist() == [[0, 0], [2, 1]]
    done = split(dataset, {"train": 0.5, "test": 0.5})
    assert len(done.split("train")) == 2
    with pytest.raises(InputError, match="class presence is whole pixels"):
        ClassPresence(("a",), truths[0].classes, np.zeros((1, 3), int))


def test_a_truth_that_cannot_be_read_is_named():
    dataset = Dataset([Sample("street/7", load_truths=never)], ClassSet.from_names(["x"]))
    with pytest.raises(ReadError, match=r"sample 'street/7': broken.png is damaged"):
        class_presence(dataset)


# What is written down


def test_all_of_a_sample_but_its_split_stays():
    origin = Provenance(
        source="camera 3", licence="CC-BY-4.0", author="A. Nobody", date="2026-01-01", sha256="ab"
    )
    sample = Sample("a", group="g", provenance=origin, metadata={"site": "north"}, split="old")
    dataset = Dataset([sample, Sample("b")], ClassSet.from_names(["x"]), format="coco", reason="as asked")
    done = apply_splits(dataset, Splits({"train": ("a",), "test": ("b",)}))
    assert done["a"].split == "train"
    assert done["a"].provenance == origin
    assert (done["a"].group, done["a"].metadata, done.format) == ("g", {"site": "north"}, "coco")
    assert sample.split == "old"


def test_splits_are_written_and_read(tmp_path):
    dataset, presence = made_up(50)
    made = make_splits(dataset, SHARES, 7, presence=presence)
    file = tmp_path / "new" / "splits.json"
    write_splits(file, made)
    back = read_splits(file)
    assert back == made
    assert back.seed == 7
    assert back.rule["shares"] == SHARES
    content = json.loads(file.read_text())
    assert content["smalti"]
    assert content["splits"]["train"] == list(made.names["train"])
    assert apply_splits(dataset, file).splits == apply_splits(dataset, made).splits
    again = make_splits(dataset, back.rule["shares"], back.seed, presence=presence, by=back.rule["by"])
    assert again.names == back.names


def test_a_file_with_nothing_but_names_will_do(tmp_path):
    file = tmp_path / "by-hand.json"
    file.write_text('{"splits": {"train": ["a"], "test": ["b"]}}')
    dataset = Dataset([Sample("a"), Sample("b")], ClassSet.from_names(["x"]))
    assert apply_splits(dataset, file)["b"].split == "test"
    assert read_splits(file).seed is None


def test_unknown_and_missing_names_are_told(tmp_path):
    file = tmp_path / "splits.json"
    write_splits(file, Splits({"train": ("a", "b"), "test": ("c",)}))
    classes = ClassSet.from_names(["x"])
    with pytest.raises(InputError, match=r"splits.json: 2 samples \(b, c\) are not in the dataset"):
        apply_splits(Dataset([Sample("a")], classes), file)
    with pytest.raises(InputError, match=r"splits.json: 1 sample of the dataset \(d\) is not named"):
        apply_splits(Dataset([Sample(name) for name in "abcd"], classes), file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("{}", "wanted names of samples by split"),
        ('{"splits": {"train": "a"}}', "must be a list of names"),
        ('{"splits": {"train": [1]}}', "must be a list of names"),
        ('{"splits": {"train": ["a"], "test": ["a"]}}', "'a' is in split 'train' and in 'test'"),
        ('{"splits": {"train": ["a", "a"]}}', "'a' is in split 'train' and in 'train'"),
        ('{"splits": {"": ["a"]}}', "needs a name"),
        ('{"splits": {"train": ["a"]}, "version": 9}', "version 9"),
        ('{"splits": {"train": ["a"]}, "seed": "x"}', "seed must be"),
    ],
)
def test_files_that_lie_are_refused(tmp_path, text, told):
    file = tmp_path / "splits.json"
    file.write_text(text)
    with pytest.raises(ReadError, match=told) as caught:
        read_splits(file)
    assert "splits.json" in str(caught.value)


def test_the_balance_says_where_each_class_went():
    dataset, presence = made_up(4, 2)
    presence = ClassPresence(presence.names, presence.classes, np.array([[5, 0], [5, 0], [30, 0], [0, 0]]))
    done = apply_splits(dataset, Splits({"train": presence.names[:3], "test": presence.names[3:]}))
    table = balance(done, presence)
    assert table["class"].tolist() == ["(all images)", "class 0", "class 1"]
    assert table["images"].tolist() == [4, 3, 0]
    assert table["train"].tolist()[:2] == [0.75, 1]
    assert table["furthest"][1] == 0.25
    assert np.isnan(table["furthest"][2])
    assert balance(done, presence, "pixels")["pixels"].tolist()[1] == 40
    with pytest.raises(InputError, match="4 samples are in no split"):
        balance(dataset, presence)
    with pytest.raises(InputError, match="'images' or 'pixels'"):
        balance(done, presence, "areas")


def test_samples_are_made_when_they_are_asked_for():
    from smalti.sample import SampleList

    asked = []

    def make(index):
        asked.append(index)
        return Sample(f"s{index}")

    lazy = Dataset(SampleList([f"s{i}" for i in range(10)], [None] * 10, make), ClassSet.from_names(["x"]))
    done = apply_splits(lazy, Splits({"train": tuple(lazy.names)}))
    assert asked == []
    assert done[3].split == "train"
    assert asked == [3]


def test_groups_change_places_where_that_fits_better():
    sizes = np.array([50, 60, 40])
    for seed in range(10):
        chosen = distribute(
            sizes[:, None].astype(float), sizes, np.array([0.34, 0.4, 0.26]), np.random.default_rng(seed)
        )
        assert sizes[np.argsort(chosen)].tolist() == [50, 60, 40]


def test_shares_that_large_groups_forbid_are_told():
    dataset, presence = made_up(30, num_groups=3)
    made = make_splits(dataset, SHARES, presence=presence)
    has, asked = made.misses["train"]
    assert asked == 0.7
    assert has == len(made.names["train"]) / 30
    dataset, presence = made_up(200)
    assert not make_splits(dataset, SHARES, presence=presence).misses


@pytest.mark.parametrize("shares", [{"a": float("nan"), "b": 0.5}, {"a": float("inf"), "b": 0.5}])
def test_shares_are_numbers(shares):
    dataset, presence = made_up(10)
    with pytest.raises(InputError, match="above 0 and sum to 1"):
        make_splits(dataset, shares, presence=presence)


def test_a_negative_seed_is_refused():
    dataset, presence = made_up(10)
    with pytest.raises(InputError, match="seed"):
        make_splits(dataset, SHARES, -1, presence=presence)
