"""What the planes of a network are, and their logits made into what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.classes import ClassSet
from smalti.errors import InputError, ReadError
from smalti.postprocess.planes import BLOCK, Planes
from smalti.postprocess.targets import Targets

CLASSES = ClassSet.from_names(["cell", "dust"])
TARGETS = Targets.of([1, 2], CLASSES, background=True, border_px=2)
EVERYTHING = Planes(TARGETS, 3, centers=True, distance=True, offset_unit_px=8.0)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("centers", [False, True])
@pytest.mark.parametrize("distance", [False, True])
def test_every_plane_has_one_place_and_one_name(ndim, centers, distance):
    planes = Planes(TARGETS, ndim, centers, distance)
    places = list(range(len(planes))[planes.classes])
    places += [planes.heat] if planes.heat is not None else []
    places += list(range(len(planes))[planes.offsets]) if planes.offsets is not None else []
    places += [planes.distance_at] if planes.distance_at is not None else []
    assert places == list(range(len(planes)))
    assert len(set(planes.names)) == len(planes) == 4 + centers * (1 + ndim) + distance


def test_planes_are_named():
    assert EVERYTHING.names == (
        *("background", "cell", "dust", "border"),
        *("center", "offset z", "offset y", "offset x", "distance"),
    )
    assert Planes(TARGETS, 2, centers=True).names[-3:] == ("center", "offset y", "offset x")


def test_activated_planes_by_hand():
    planes = Planes(Targets(("background", "cell"), (0, 1)), 2, True, True, offset_unit_px=4.0)
    logits = np.array([0, np.log(3), 0, 1.5, -2, np.log(4)], np.float32).reshape(-1, 1, 1)
    assert planes.activated(logits).reshape(-1) == pytest.approx([0.25, 0.75, 0.5, 6, -8, 0.8])


def test_an_array_of_ones_own_is_changed_and_any_other_is_left():
    logits = np.zeros((9, 2, 3, 4), np.float32)
    assert EVERYTHING.activated(logits) is logits and logits[0, 0, 0, 0] == 0.25
    for other in (np.zeros((9, 2, 3, 4)), np.zeros((9, 4, 3, 2), np.float32).transpose(0, 3, 2, 1)):
        found = EVERYTHING.activated(other)
        assert not other.any() and found.dtype == np.float32 and np.array_equal(found, logits)
    logits = np.zeros((9, 2, 3, 4), np.float32)
    logits.flags.writeable = False
    assert EVERYTHING.activated(logits)[0, 0, 0, 0] == 0.25 and not logits.any()


@given(arrays(np.float32, (9, 1, 2, 3), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_probabilities_sum_to_one_however_large_the_logits(logits):
    found = EVERYTHING.activated(logits.copy())
    assert np.isfinite(found).all()
    assert found[EVERYTHING.classes].sum(axis=0) == pytest.approx(np.ones((1, 2, 3)), abs=1e-6)
    assert ((found[[EVERYTHING.heat, EVERYTHING.distance_at]] >= 0) & (found[[4, 8]] <= 1)).all()
    assert found[EVERYTHING.offsets] == pytest.approx(8 * logits[EVERYTHING.offsets])


def test_large_images_are_activated_as_small_ones():
    planes = Planes(TARGETS, 2, centers=True)
    logits = np.random.default_rng(0).normal(size=(7, 3, BLOCK // 2)).astype(np.float32)
    parts = [planes.activated(np.ascontiguousarray(part)) for part in np.array_split(logits, 5, axis=2)]
    assert np.array_equal(planes.activated(logits), np.concatenate(parts, axis=2))


def test_planes_of_another_number_are_refused():
    for shape in ((8, 2, 3, 4), (9, 3, 4)):
        with pytest.raises(InputError, match="wanted 9 planes"):
            EVERYTHING.activated(np.zeros(shape, np.float32))


@pytest.mark.parametrize("wrong", [{"ndim": 1}, {"offset_unit_px": 0.0}, {"offset_unit_px": float("nan")}])
def test_records_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        Planes(**{"targets": TARGETS, "ndim": 2, **wrong})


def test_what_is_described_is_restored():
    assert Planes.restored(EVERYTHING.described(), CLASSES) == EVERYTHING


@pytest.mark.parametrize(
    "wrong",
    [
        {"ndim": "2"},
        {"ndim": True},
        {"ndim": 7},
        {"centers": 1},
        {"distance": "yes"},
        {"offset_unit_px": float("inf")},
        {"offset_unit_px": 10**400},
        {"offset_unit_px": "4"},
        {"offset_unit_px": -1.0},
        {"targets": None},
        {"targets": {"names": [], "class_ids": [], "border_px": 0}},
        {"targets": {"names": ["a"], "class_ids": [77], "border_px": 0}},
        {"targets": {"names": ["a", "b"], "class_ids": [-3, 1], "border_px": 0}},
        {"targets": {"names": ["a", "b"], "class_ids": [1, -1], "border_px": 10**6}},
        {"targets": {"names": ["a", "b"], "class_ids": [1, "x"], "border_px": 1}},
    ],
)
def test_descriptions_that_cannot_be_are_refused(wrong):
    with pytest.raises(ReadError):
        Planes.restored(EVERYTHING.described() | wrong, CLASSES)


def test_descriptions_that_lack_something_are_refused():
    for name in EVERYTHING.described():
        said = EVERYTHING.described()
        del said[name]
        with pytest.raises(ReadError):
            Planes.restored(said, CLASSES)
