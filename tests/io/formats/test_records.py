"""Attributes and what samples know of themselves as plain values, and back."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.io.formats import Tree
from smalti.io.formats.records import (
    CLASSES,
    about,
    checked_size,
    columns,
    from_about,
    read_classes,
    rows,
    write_classes,
)
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation


def test_columns_have_the_kind_that_all_values_have():
    records = [
        {"a": True, "b": 1, "c": 1, "d": "x", "e": 1, "f": [1], "g": 2**70, "h": None},
        {"a": False, "b": 2, "c": 0.5, "d": "y", "e": "z", "f": None, "g": 1.0},
        {},
    ]
    found = columns(records)
    assert {name: (column.dtype.kind, column.tolist()) for name, column in found.items()} == {
        "a": ("b", [True, False, False]),
        "b": ("i", [1, 2, 0]),
        "c": ("f", [1.0, 0.5, 0.0]),
        "d": ("U", ["x", "y", ""]),
        "e": ("U", ["1", "z", ""]),
        "f": ("U", ["[1]", "", ""]),
        "g": ("U", [str(2**70), "1.0", ""]),
        "h": ("b", [False, False, False]),
    }
    assert columns([]) == {}


def test_rows_leave_out_what_says_nothing():
    attributes = {"n": np.array([0, 3]), "crowd": np.array([True, False]), "text": np.array(["", "a"])}
    truth = Segmentation.from_masks(np.ones((2, 1, 1), bool), attributes=attributes)
    assert rows(truth) == [{"crowd": True}, {"n": 3, "text": "a"}]


def test_what_a_sample_knows_comes_back():
    fields = {
        "split": "val",
        "group": "p1",
        "provenance": Provenance(licence="CC0-1.0"),
        "metadata": {"stain": "HE", "age": 2.5},
    }
    assert from_about(about(Sample("a", **fields))) == fields
    assert about(Sample("a")) == {}
    assert from_about({})["split"] is None


@pytest.mark.parametrize(
    "record",
    [
        [],
        None,
        {"split": 3},
        {"group": []},
        {"metadata": []},
        {"metadata": {"a": True}},
        {"metadata": {"a": None}},
        {"provenance": {"licence": 3}},
        {"provenance": {"colour": "red"}},
    ],
)
def test_what_no_sample_knows(record):
    with pytest.raises(InputError):
        from_about(record)


def test_classes_that_are_listed_keep_their_ids_and_new_ones_follow(tmp_path):
    listed = ClassSet([Class(4, "sky", (1, 2, 3), thing=False)])
    write_classes(tmp_path, listed)
    found = read_classes(Tree(tmp_path), ["cell", "sky", "dirt", "cell"], {"dirt": (9, 9, 9)})
    assert [(entry.id, entry.name, entry.thing) for entry in found] == [
        (4, "sky", False),
        (5, "cell", True),
        (6, "dirt", True),
    ]
    assert found.named("dirt").color == (9, 9, 9)


def test_a_class_list_of_somebody_else_is_passed_over(tmp_path):
    (tmp_path / CLASSES).write_text('["cell", "sky"]')
    assert read_classes(Tree(tmp_path), ["dirt"]).names == ("dirt",)


@pytest.mark.parametrize(("size", "wanted"), [((4, 5), (4, 5)), ((4.0, 5.0), (4, 5)), ((1, 1), (1, 1))])
def test_sizes_are_whole_numbers(size, wanted):
    assert checked_size(*size) == wanted


@pytest.mark.parametrize(
    "size",
    [
        (0, 5),
        (-4, -5),
        (4.5, 5),
        ("4", 5),
        (True, True),
        (None, 5),
        (float("nan"), 5),
        (1e300, 1),
        (10**9, 10**9),
    ],
)
def test_sizes_that_cannot_be(size):
    with pytest.raises(InputError, match="height and width are whole numbers of pixels"):
        checked_size(*size)
