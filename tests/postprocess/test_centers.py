"""Objects by their centres: nearest centres against brute force, and truths that come back from perfect planes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perfect_planes import perfect_planes

from smalti.classes import OBJECT, ClassSet
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.postprocess.centers import (
    CenterDecoding,
    Votes,
    instances_by_centers,
    nearest_centers,
    typical_radius,
)
from smalti.postprocess.planes import Planes
from smalti.postprocess.targets import Targets
from smalti.segmentation import Segmentation

OBJECTS = Targets(("background", "object"), (0, 1))
IMAGES, VOLUMES = Planes(OBJECTS, 2, centers=True), Planes(OBJECTS, 3, centers=True)
EXACT = CenterDecoding(min_area_px=1, min_distance=0, smoothing=0)
TWO = ClassSet.from_names(["cat", "dog"])


def decoded(labels, decoding=EXACT, spacing=None):
    """What perfect planes of a label map decode to."""
    labels = np.asarray(labels)
    kinds = IMAGES if labels.ndim == 2 else VOLUMES
    planes = perfect_planes(labels, kinds, spacing=spacing)
    geometry = None if spacing is None else Geometry(spacing, "um")
    return instances_by_centers(
        planes[1:2],
        planes[0],
        planes[kinds.heat],
        planes[kinds.offsets],
        [1],
        OBJECT,
        decoding,
        geometry=geometry,
    )


def same_objects(labels, found):
    """Whether two label maps part the pixels alike, whatever the numbers."""
    pairs = np.unique(np.stack([np.asarray(labels).reshape(-1), found.reshape(-1)]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs) and (pairs[:, 0] == 0).all()


def balls(shape, centres, radius):
    """Discs or balls, each pixel to the nearest centre."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    apart = np.linalg.norm(grid[..., None, :] - np.array(centres), axis=-1)
    return np.where(apart.min(axis=-1) <= radius, apart.argmin(axis=-1) + 1, 0)


# The nearest centre


def brute_force(offsets, mask, centers, lengths, reach):
    ends = np.array(mask.shape).reshape(-1, *[1] * mask.ndim) - 1
    pointed = np.clip(np.indices(mask.shape) + offsets.astype(np.float64), 0, ends)
    apart = np.zeros((*mask.shape, len(centers)))
    for axis, length in enumerate(lengths):
        apart += (pointed[axis][..., None] * length - centers[:, axis] * length) ** 2
    return np.where(mask & (apart.min(axis=-1) <= reach**2), apart.argmin(axis=-1) + 1, 0)


@given(
    seed=st.integers(0, 10**6),
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    count=st.integers(1, 30),
    scatter=st.sampled_from([0, 0.5, 3, 1e4]),
    whole=st.booleans(),
    flat=st.booleans(),
    reach=st.sampled_from([np.inf, 2.0]),
)
def test_each_pixel_goes_to_the_centre_nearest_to_where_it_points(
    seed, shape, count, scatter, whole, flat, reach
):
    rng = np.random.default_rng(seed)
    centers = rng.random((count, len(shape))) * (np.array(shape) - 1)
    offsets = (rng.normal(size=(len(shape), *shape)) * scatter).astype(np.float32)
    if whole:  # many ties
        centers, offsets = np.round(centers), np.round(offsets)
    lengths = np.array([2.5, 1, 1.5])[: len(shape)] if flat else np.ones(len(shape))
    mask = rng.random(shape) < 0.8
    found = nearest_centers(offsets, mask, centers, lengths, reach)
    assert np.array_equal(found, brute_force(offsets, mask, centers, lengths, reach))


def test_without_centres_nothing_is_found():
    mask = np.ones((3, 4), bool)
    assert not nearest_centers(np.zeros((2, 3, 4)), mask, np.zeros((0, 2)), np.ones(2)).any()
    nothing = np.zeros((3, 4), np.float32)
    assert (
        len(instances_by_centers((nothing + 1)[None], nothing, nothing, np.stack([nothing] * 2), [1], OBJECT))
        == 0
    )


# There and back


def test_squares_that_touch_come_back():
    labels = np.kron([[1, 2, 3], [4, 5, 6], [0, 7, 8]], np.ones((5, 4), int))
    assert same_objects(labels, decoded(labels).labels)


def test_a_disc_in_a_ring_and_both_in_a_ring_come_back():
    middle = np.hypot(*(np.indices((61, 61)) - 30))
    labels = np.select([middle < 6, middle < 14, middle < 25], [1, 2, 3], 0)
    assert same_objects(labels, decoded(labels).labels)


def test_a_pixel_alone_comes_back():
    labels = np.zeros((9, 9), int)
    labels[0, 0], labels[2, 5], labels[8, 8], labels[5:8, 2:6] = 1, 2, 3, 4
    assert same_objects(labels, decoded(labels).labels)


@pytest.mark.parametrize("side", [1, 2])
def test_tiny_objects_side_by_side_do_not(side):
    labels = np.kron([[0, 0, 0], [1, 2, 0], [0, 0, 0]], np.ones((side, side), int))
    assert decoded(labels).areas_px.tolist() == [2 * side**2]


@pytest.mark.parametrize("radius", [3, 8, 20, 40])
def test_discs_that_touch_come_back_with_one_setting(radius):
    side = int(1.8 * radius)
    centres = [(radius + side * row, radius + side * column) for row in range(3) for column in range(3)]
    labels = balls((side * 4, side * 4), centres, radius)
    assert same_objects(labels, decoded(labels, CenterDecoding()).labels)


def test_balls_that_touch_come_back_from_flat_voxels():
    labels = balls((20, 30, 56), [(14, 14, 14), (14, 14, 36)], 12)[::2]
    found = decoded(labels, CenterDecoding(), spacing=(2.0, 1.0, 1.0))
    assert same_objects(labels, found.labels)
    assert found.geometry.spacing == (2, 1, 1)


@st.composite
def boxes(draw, ndim):
    """Boxes that may touch but do not overlap, at least three pixels long: centres of smaller ones adjoin."""
    shape = (18 if ndim == 2 else 9,) * ndim
    labels = np.zeros(shape, int)
    for number in range(1, draw(st.integers(1, 8)) + 1):
        place = tuple(
            slice(low, low + draw(st.integers(3, 7)))
            for low in (draw(st.integers(0, length - 3)) for length in shape)
        )
        if not labels[place].any():
            labels[place] = number
    labels = np.pad(labels, 1)  # so that there is ground
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


@given(labels=st.one_of(boxes(2), boxes(3)))
def test_boxes_come_back(labels):
    assert same_objects(labels, decoded(labels).labels)


@given(labels=boxes(2), axis=st.sampled_from([0, 1]))
def test_what_is_found_turns_with_the_image(labels, axis):
    found, flipped = decoded(labels), decoded(np.flip(labels, axis))
    assert same_objects(found.labels, np.flip(flipped.labels, axis))


# Fields and figures


def two_discs():
    labels = balls((30, 60), [(15, 15), (15, 42)], 12)
    planes = perfect_planes(labels, IMAGES)
    return labels, planes[1:2], planes[0], planes[IMAGES.heat], planes[IMAGES.offsets]


def test_the_radius_is_that_of_the_objects():
    _, _, background, _, offsets = two_discs()
    assert typical_radius(offsets, background < 0.5, np.ones(2)) == pytest.approx(12, rel=0.05)
    ball = balls((25, 25, 25), [(12, 12, 12)], 10)
    planes = perfect_planes(ball, VOLUMES)
    assert typical_radius(planes[VOLUMES.offsets], ball > 0, np.ones(3)) == pytest.approx(10, rel=0.05)
    assert typical_radius(offsets, np.zeros((30, 60), bool), np.ones(2)) == 1


def test_a_weaker_centre_near_a_stronger_one_is_none():
    labels, *planes, heat, offsets = two_discs()
    heat[15, 20] = 0.9
    votes = Votes(*planes, heat, offsets)
    assert votes.centers(CenterDecoding()).round().tolist() == [[15, 15], [15, 42]]
    near = CenterDecoding(min_distance=0.1, smoothing=0)
    assert len(votes.centers(near)) == 3
    assert len(votes.centers(near.model_copy(update={"min_heat": 0.95}))) == 2
    assert len(votes.centers(near.model_copy(update={"smoothing": 0.1}))) == 2  # it was one pixel
    assert same_objects(labels, votes.objects([1], OBJECT, CenterDecoding()).labels)


def test_equally_hot_places_beside_each_other_are_one_centre_between_them():
    heat = np.zeros((6, 9), np.float32)
    heat[2:4, 4:6] = 1
    votes = Votes(np.ones((1, 6, 9)), np.zeros((6, 9)), heat, np.zeros((2, 6, 9)))
    assert votes.centers(CenterDecoding()).tolist() == [[2.5, 4.5]]


def test_what_points_to_no_centre_belongs_to_none():
    labels, interior, background, heat, offsets = two_discs()
    heat[:, 30:] = 0
    alone = instances_by_centers(interior, background, heat, offsets, [1], OBJECT, CenterDecoding(reach=1.5))
    assert same_objects(np.where(labels == 1, 1, 0), alone.labels)
    everything = instances_by_centers(
        interior, background, heat, offsets, [1], OBJECT, CenterDecoding(reach=5)
    )
    assert len(everything) == 1


def test_class_and_score_are_of_the_pixels():
    labels, interior, _, heat, offsets = two_discs()
    both = np.concatenate([interior * 0.6, interior * 0.2])
    both[:, :, 28:] = both[::-1, :, 28:]
    found = instances_by_centers(both, 1 - both.sum(axis=0), heat, offsets, [2, 1], TWO)
    assert found.class_ids.tolist() == [2, 1]
    assert found.scores == pytest.approx([0.6, 0.6], rel=1e-5)
    assert same_objects(labels, found.labels)


def test_noise_makes_neither_errors_nor_more_objects_than_fit():
    rng = np.random.default_rng(0)
    planes = rng.random((3, 80, 90), dtype=np.float32)
    offsets = rng.normal(size=(2, 80, 90)).astype(np.float32) * 1000
    found = instances_by_centers(planes[:1], 1 - planes[0], planes[1], offsets, [1], OBJECT)
    assert isinstance(found, Segmentation) and len(found) < 80 * 90 / 4


def test_constant_heat_has_one_centre():
    votes = Votes(np.ones((1, 20, 30)), np.zeros((20, 30)), np.ones((20, 30)), np.zeros((2, 20, 30)))
    assert len(votes.centers(CenterDecoding(min_distance=10))) == 1


@pytest.mark.parametrize("which", range(4))
def test_planes_that_do_not_fit_or_are_not_numbers_are_refused(which):
    fit = [np.zeros((1, 4, 5)), np.zeros((4, 5)), np.zeros((4, 5)), np.zeros((2, 4, 5))]
    for wrong in (fit[which][..., :-1], np.full_like(fit[which], np.nan), np.full_like(fit[which], np.inf)):
        planes = [*fit[:which], wrong, *fit[which + 1 :]]
        with pytest.raises(InputError):
            instances_by_centers(*planes, [1], OBJECT)
