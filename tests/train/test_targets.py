"""What a network is to say of a crop: by eye, against plain readings of the definitions, and turned with the crop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from smalti.classes import OBJECT, Class, ClassSet
from smalti.data.augment import Chain, sample_rng
from smalti.errors import InputError
from smalti.postprocess.border import border_targets
from smalti.postprocess.planes import Planes
from smalti.postprocess.targets import Targets
from smalti.segmentation import Segmentation
from smalti.train.targets import crop_targets

KINDS = ClassSet(
    [
        Class(4, "cell", (255, 0, 0)),
        Class(2, "wall", (0, 255, 0), thing=False),
        Class(9, "dust", (0, 0, 255)),
    ]
)
TARGETS = Targets.of([4, 2], KINDS, background=True, border_px=1)
EVERYTHING = Planes(Targets(("background", "object"), (0, 1)), 2, centers=True, distance=True)


def drawn(text):
    """A label map: digits are objects, dots are ground, question marks void."""
    numbers = {".": 0, "?": -1} | {str(digit): digit for digit in range(10)}
    return np.array([[numbers[sign] for sign in row] for row in text.split()])


def of_objects(labels, planes=EVERYTHING, spacing=None):
    labels = np.asarray(labels)
    return crop_targets(labels, np.ones(max(0, labels.max()), int), planes, OBJECT, spacing)


def label_maps(ndim):
    """Blocks of a few objects, ground and void, some in several pieces."""
    side = st.integers(1, 4)
    return st.tuples(st.integers(0, 10_000), *[side] * ndim).map(blocks)


def blocks(drawn_numbers):
    seed, *across = drawn_numbers
    coarse = np.random.default_rng(seed).integers(-1, 5, across)
    return np.kron(coarse, np.ones([3] * len(across), int)).astype(np.int32)


def test_classes_are_those_of_the_targets_and_void_is_not_said():
    labels = drawn(
        "11122 11122 11122 333.. 333?. 44444"
    )  # 3 is of a class that is no target, but ends the others
    found = crop_targets(labels, np.array([4, 4, 9, 2]), Planes(TARGETS, 2), KINDS)
    assert set(found) == {"classes"} and found["classes"].dtype == np.int64
    assert found["classes"].tolist() == [
        [1, 1, 3, 3, 1],
        [1, 1, 3, 3, 1],
        [3, 3, 3, 3, 3],
        [3, 3, 3, 3, 0],
        [3, 3, 3, -1, 0],
        [2, 2, 2, 2, 2],
    ]


@given(label_maps(2), st.booleans())
def test_classes_are_as_the_segmentation_says(labels, bordered):
    ids = np.array([4, 2, 4, 9])
    targets = Targets.of([4, 2], KINDS, background=True, border_px=2 * bordered)
    whole = Segmentation.from_labels(np.maximum(labels, 0), class_ids=ids, classes=KINDS, void=labels < 0)
    found = crop_targets(labels, ids, Planes(targets, 2), KINDS)["classes"]
    assert np.array_equal(found, targets.map(whole))
    if bordered:
        assert np.array_equal(border_targets(whole) & (labels >= 0), found == 3)


def test_offsets_lead_to_the_centre_of_mass_in_units():
    labels = np.zeros((6, 8), int)
    labels[1:4, 2:6] = 1
    found = of_objects(labels, Planes(EVERYTHING.targets, 2, centers=True, offset_unit_px=2.0))
    assert found["offsets"].shape == (2, 6, 8) and found["offsets"].dtype == np.float32
    assert found["offsets"][:, 1, 2].tolist() == [0.5, 0.75]
    assert found["offsets"][:, 3, 5].tolist() == [-0.5, -0.75]
    assert not found["offsets"][:, labels == 0].any()
    assert np.array_equal(found["object"], labels > 0)


def test_heat_is_one_at_the_pixels_nearest_to_each_centre_and_falls_with_the_size_of_the_object():
    labels = np.zeros((40, 60), int)
    labels[5:36, 2:33], labels[10:13, 40:44] = 1, 2
    heat = of_objects(labels)["heat"]
    assert np.argwhere(heat == 1).tolist() == [[11, 41], [11, 42], [20, 17]]
    sigma = 0.3 * np.sqrt(31 * 31 / np.pi)
    assert heat[20, 22] == pytest.approx(np.exp(-0.5 * (5 / sigma) ** 2), rel=1e-5)
    assert heat[12, 42] == pytest.approx(np.exp(-0.5), rel=1e-5)  # sigma is one pixel at least
    assert heat[0, 59] == 0


def test_a_centre_lies_on_its_object():
    ring = drawn("1111111 1.....1 1.....1 1.2...1 1.....1 1.....1 1111111")
    found = of_objects(ring)
    peaks = np.argwhere(found["heat"] == 1)
    assert all(ring[tuple(place)] for place in peaks)
    assert sorted(ring[tuple(place)] for place in peaks) == [1, 2]
    ways = found["offsets"][:, 0, 0] + 0
    assert ring[tuple(ways.astype(int))] == 1


def test_an_object_cut_by_the_crop_has_the_centre_of_what_is_seen():
    labels = np.zeros((9, 9), int)
    labels[3:6, 6:] = 1
    assert of_objects(labels)["offsets"][:, 4, 7].tolist() == [0, 0]


def plain_depth(labels, spacing):
    """The definition without void, one object at a time."""
    depth = np.zeros(labels.shape)
    for number in range(1, labels.max() + 1):
        own = labels == number
        if own.any():
            away = ndimage.distance_transform_edt(own, spacing) if not own.all() else np.ones(own.shape)
            depth[own] = away[own] / away[own].max()
    return depth


@pytest.mark.parametrize("spacing", [None, (3.0, 1.5)])
@given(labels=label_maps(2))
def test_distance_is_as_defined_in_images(labels, spacing):
    labels = np.maximum(labels, 0)
    found = of_objects(labels, spacing=spacing)["distance"]
    assert found == pytest.approx(plain_depth(labels, spacing), abs=1e-5)


@pytest.mark.parametrize("spacing", [None, (3.0, 1.0, 1.5)])
@given(labels=label_maps(3))
def test_distance_is_as_defined_in_volumes(labels, spacing):
    labels = np.maximum(labels, 0)
    planes = Planes(EVERYTHING.targets, 3, distance=True)
    found = of_objects(labels, planes, spacing)["distance"]
    assert found == pytest.approx(plain_depth(labels, spacing), abs=1e-5)


def test_neither_the_edge_of_the_crop_nor_void_ends_an_object():
    assert of_objects(np.ones((3, 4), int))["distance"].tolist() == [[1] * 4] * 3
    row = of_objects(drawn("1111.?222?"))["distance"][0]
    assert row[:4].tolist() == [1, 0.75, 0.5, 0.25]
    assert row[6:9].tolist() == [1, 1, 1] and row[[4, 5, 9]].tolist() == [0, 0, 0]


def test_stuff_and_classes_that_are_no_targets_have_no_centre():
    labels = drawn("11..22..33 11..22..33 11..22..33")
    planes = Planes(TARGETS, 2, centers=True, distance=True)
    found = crop_targets(labels, np.array([2, 4, 9]), planes, KINDS)
    assert np.array_equal(found["object"], labels == 2)
    assert np.array_equal(np.unique(labels[found["heat"] == 1]), [2])
    assert not found["distance"][labels != 2].any()


def test_nothing_to_see_gives_empty_targets():
    for labels in (np.zeros((5, 7), int), np.full((5, 7), -1)):
        found = of_objects(labels)
        assert not found["object"].any() and not found["heat"].any() and not found["offsets"].any()
        assert (found["classes"] == labels).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@given(labels=label_maps(3))
def test_targets_turn_with_the_crop(axis, labels):
    planes = Planes(EVERYTHING.targets, 3, centers=True, distance=True)
    labels, _ = ndimage.label(
        labels > 0
    )  # blocks and what hangs together of them: centres of mass are their own
    straight, flipped = of_objects(labels, planes), of_objects(np.flip(labels, axis), planes)
    for name in ("classes", "object", "distance"):
        assert straight[name] == pytest.approx(np.flip(flipped[name], axis), abs=1e-5)
    convex = [(labels[part] == number).all() for number, part in enumerate(ndimage.find_objects(labels), 1)]
    if all(convex):
        assert straight["heat"] == pytest.approx(np.flip(flipped["heat"], axis), abs=1e-5)
        back = np.flip(flipped["offsets"], axis + 1) * np.where(np.arange(3) == axis, -1, 1).reshape(
            3, 1, 1, 1
        )
        assert straight["offsets"] == pytest.approx(back, abs=1e-5)


def test_crops_come_as_augmentation_gives_them():
    labels = np.zeros((30, 30), np.int32)
    labels[5:15, 5:15], labels[5:15, 15:25] = 1, 2
    pixels = labels[..., None].astype(np.uint8)
    chain = Chain(steps=["rotate:degrees=[30,30]", "crop:size=[24,24]"])
    turned = chain.apply_arrays(pixels, labels, sample_rng(0, 0), class_ids=np.array([1, 1]), void=-1)
    found = crop_targets(turned.labels, turned.class_ids, EVERYTHING, OBJECT)
    assert np.array_equal(found["classes"] == -1, turned.labels == -1)
    assert np.array_equal(found["object"], turned.labels > 0)


def test_labels_that_do_not_fit_are_refused():
    for labels in (np.zeros((2, 3, 4), int), np.zeros((3, 4)), np.full((3, 4), 2)):
        with pytest.raises(InputError, match="labels"):
            crop_targets(labels, np.array([1]), EVERYTHING, OBJECT)
