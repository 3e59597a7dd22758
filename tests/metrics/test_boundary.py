"""Scores of outlines against counting neighbours and distances one by one."""

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.errors import InputError, OverlapError
from smalti.geometry import Geometry
from smalti.metrics.boundary import boundary_f, boundary_iou, outline_f
from smalti.segmentation import Segmentation

TWO = ClassSet.from_names(["a", "b"])


def of(semantic_map, geometry=None, void=None):
    return Segmentation.from_semantic_map(np.array(semantic_map), TWO, geometry=geometry, void=void)


def square(top, left, size=8, shape=(20, 20)):
    semantic_map = np.zeros(shape, int)
    semantic_map[top : top + size, left : left + size] = 1
    return semantic_map


def one_by_one(truth, predicted, reach, steps=(1, 1)):
    """F of the boundary pixels of two masks, each compared with every other."""

    def boundary(mask):
        points = []
        for place in np.argwhere(mask):
            for axis in range(mask.ndim):
                for step in (-1, 1):
                    near = place.copy()
                    near[axis] += step
                    if 0 <= near[axis] < mask.shape[axis] and not mask[tuple(near)]:
                        points.append(place * steps)
        return np.unique(points, axis=0)

    def share(points, others):
        away = np.linalg.norm(points[:, None] - others[None], axis=-1).min(axis=1)
        return np.mean(away <= reach + 1e-9)

    first, second = boundary(truth), boundary(predicted)
    precision, recall = share(second, first), share(first, second)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("reach", [0, 1, 2**0.5, 2, 3.7, 5])
def test_boundary_f_against_every_pair_of_pixels(reach):
    rng = np.random.default_rng(3)
    from scipy.ndimage import gaussian_filter

    first, second = (gaussian_filter(rng.random((30, 40)), 2) > 0.5 for _ in range(2))
    found = boundary_f(of(first), of(second), reach)
    assert found[0] == pytest.approx(one_by_one(first, second, reach))
    assert np.isnan(found[1])


def test_a_shift_counts_up_to_the_tolerance():
    truth, shifted = of(square(5, 5)), of(square(5, 8))
    assert boundary_f(truth, shifted, 3)[0] == 1
    assert boundary_f(truth, shifted, 2)[0] < 1
    assert boundary_f(truth, shifted, 2)[0] == boundary_f(shifted, truth, 2)[0]


def test_lengths_know_the_spacing():
    geometry = Geometry((2.0, 0.5), "um")
    truth, shifted = of(square(5, 5), geometry), of(square(5, 7), geometry)
    assert boundary_f(truth, shifted, "1um")[0] == 1
    assert boundary_f(truth, shifted, "0.9um")[0] == pytest.approx(
        one_by_one(square(5, 5) > 0, square(5, 7) > 0, 0.9, (2, 0.5))
    )
    assert boundary_f(truth, shifted, "2px")[0] == boundary_f(truth, shifted, 2)[0] == 1
    with pytest.raises(InputError, match="spacing, which is unknown"):
        boundary_f(of(square(5, 5)), of(square(5, 5)), "1um")
    with pytest.raises(InputError, match="image in um"):
        boundary_f(truth, shifted, "1mm")
    with pytest.raises(InputError, match="0 or more"):
        boundary_f(truth, shifted, -1)


def test_volumes():
    cube = np.zeros((6, 12, 12), int)
    cube[2:4, 3:8, 3:8] = 1
    moved = np.roll(cube, 1, axis=0)
    geometry = Geometry((5.0, 1.0, 1.0), "mm")
    truth, other = of(cube, geometry), of(moved, geometry)
    assert boundary_f(truth, other, "5mm")[0] == 1
    assert boundary_f(truth, other, "4mm")[0] == pytest.approx(one_by_one(cube > 0, moved > 0, 4, (5, 1, 1)))
    assert boundary_iou(truth, truth)[0] == 1


def test_the_border_of_image_and_void_is_no_outline():
    left = np.zeros((4, 8), int)
    left[:, :3] = 1
    void = left.copy()
    void[:, 3] = 2
    blind = Segmentation.from_semantic_map(void, ClassSet.from_names(["a"]), void=2)
    assert np.isnan(boundary_f(blind, blind, 0)[0])
    assert outline_f(blind, blind, 0) == 1
    assert boundary_f(of(left), of(left), 0)[0] == 1
    assert boundary_f(of(left), of(np.ones((4, 8), int)), 3)[0] == 0


def test_nothing_against_nothing_and_against_something():
    nothing, something = of(np.zeros((20, 20), int)), of(square(5, 5))
    assert np.isnan(boundary_f(nothing, nothing)).all()
    assert np.isnan(boundary_iou(nothing, nothing)).all()
    assert outline_f(nothing, nothing) == 1
    assert boundary_f(nothing, something)[0] == boundary_iou(something, nothing)[0] == 0
    assert outline_f(nothing, something) == 0


def test_outlines_of_touching_objects_count_without_classes():
    labels = np.zeros((10, 10), int)
    labels[:, :5], labels[:, 5:] = 1, 2
    halves, whole = Segmentation.from_labels(labels), Segmentation.from_labels(labels > 0)
    assert outline_f(halves, whole) == 0
    assert outline_f(halves, halves) == 1
    overlapping = Segmentation.from_masks(np.ones((2, 10, 10), bool))
    with pytest.raises(OverlapError):
        outline_f(overlapping, halves)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_boundary_iou_against_eroding_step_by_step(width):
    rng = np.random.default_rng(4)
    from scipy.ndimage import binary_erosion, gaussian_filter

    first, second = (gaussian_filter(rng.random((30, 40)), 3) > 0.5 for _ in range(2))
    bands = [m & ~binary_erosion(m, np.ones((3, 3)), width, border_value=0) for m in (first, second)]
    wanted = (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum()
    assert boundary_iou(of(first), of(second), width)[0] == wanted


def test_boundary_iou_sees_outlines_where_iou_sees_areas():
    big, bigger = of(square(10, 10, 180, (200, 200))), of(square(5, 5, 190, (200, 200)))
    small, smaller = of(square(10, 10, 10, (200, 200))), of(square(10, 10, 10, (200, 200)))
    assert boundary_iou(big, bigger)[0] < 0.1  # 2 % of the diagonal are 6 pixels: two frames hardly meet
    assert boundary_iou(small, smaller)[0] == 1


@pytest.mark.parametrize("depth", [1, 5])
def test_void_is_in_no_band_and_makes_none(depth):
    truth = square(5, 5, 12)
    void = truth.copy()
    void[5:17, 8:10] = 2
    classes = ClassSet.from_names(["a"])
    maps = [np.repeat(each[None], depth, axis=0) if depth > 1 else each for each in (void, truth)]
    first = Segmentation.from_semantic_map(maps[0], classes, void=2)
    second = Segmentation.from_semantic_map(maps[1], classes)
    assert boundary_iou(first, second, 1)[0] == boundary_iou(second, first, 1)[0] == 1
    assert boundary_f(first, second, 0)[0] == 1
