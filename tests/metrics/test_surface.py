"""Surface distances: surface-distance's and MONAI's numbers kept, every pair of elements compared, and the choices."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.classes import ClassSet
from smalti.errors import InputError, UnknownName
from smalti.geometry import Geometry
from smalti.metrics.pair import Pair
from smalti.metrics.surface import (
    Surfaces,
    average_surface_distance,
    hausdorff,
    mean_average_surface_distance,
    surface_dice,
    surface_distances,
)
from smalti.metrics.surface_elements import surface_areas
from smalti.segmentation import Segmentation

GOLDEN = Path(__file__).parents[1] / "golden"
TWO = ClassSet.from_names(["a", "b"])


def maker():
    spec = importlib.util.spec_from_file_location("make_surface", GOLDEN / "make_surface.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = maker()
KEPT = json.loads((GOLDEN / "surface.json").read_text(encoding="utf-8"))["cases"]


def of(semantic_map, geometry=None, void=None):
    return Segmentation.from_semantic_map(np.array(semantic_map), TWO, geometry=geometry, void=void)


def square(top, left, size=8, shape=(20, 24)):
    mask = np.zeros(shape, bool)
    mask[top : top + size, left : left + size] = True
    return mask


def boundary(mask):
    """Pixels with a neighbour outside, one by one."""
    inside = {tuple(place) for place in np.argwhere(mask)}
    steps = [step * row for row in np.eye(mask.ndim, dtype=int) for step in (-1, 1)]
    return np.array([p for p in inside if any(tuple(np.array(p) + step) not in inside for step in steps)])


def every_pair(first, second, spacing):
    apart = np.linalg.norm((first[:, None] - second[None]) * spacing, axis=-1)
    return apart.min(axis=1), apart.min(axis=0)


@pytest.mark.parametrize("peer", ["deepmind", "monai"])
@pytest.mark.parametrize("case", KEPT)
def test_numbers_are_the_peers_under_their_definition(case, peer):
    given_ = MAKER.CASES[case]
    found = surface_distances(*MAKER.masks(**given_), given_["spacing"], definition=peer)
    ours = {
        "hausdorff": found.hausdorff(),
        "hausdorff95": found.hausdorff(95),
        "hausdorff50": found.hausdorff(50),
        "assd": found.assd,
        "mean_to_predicted": found.mean_to_predicted,
        "mean_to_truth": found.mean_to_truth,
        "nsd": [found.nsd(limit) for limit in MAKER.TOLERANCES],
    }
    for name, kept in KEPT[case][peer].items():
        kept = np.asarray(kept, float)
        if found.sides == 0 and np.isinf(kept).any():
            kept = np.nan  # surface-distance says infinity for what is nowhere; here that does not exist
        if found.sides == 1 and np.isnan(kept).any():
            kept = np.inf  # both say so in places: MONAI where it interpolates between infinities
        assert ours[name] == pytest.approx(kept, rel=1e-6, abs=1e-9, nan_ok=True), name


def test_every_golden_case_is_tried():
    assert set(KEPT) == set(MAKER.CASES)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.sampled_from([(7, 9), (1, 12), (4, 5, 6), (1, 6, 7), (3, 1, 9)]),
    seed=st.integers(0, 999),
    share=st.sampled_from([0.02, 0.2, 0.6, 1.0]),
    stretch=st.sampled_from([1.0, 0.3, 4.0, 40.0]),
)
def test_distances_of_every_pair_of_boundary_pixels(shape, seed, share, stretch):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random(shape) < share, rng.random(shape) < 0.3
    truth.flat[0] = predicted.flat[-1] = True
    spacing = (stretch,) + (1.0,) * (len(shape) - 1)
    found = surface_distances(truth, predicted, spacing)
    there, back = every_pair(boundary(truth), boundary(predicted), spacing)
    assert np.sort(found.to_predicted) == pytest.approx(np.sort(there))
    assert np.sort(found.to_truth) == pytest.approx(np.sort(back))
    assert found.hausdorff() == pytest.approx(max(there.max(), back.max()))
    assert found.hausdorff(95) == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert found.assd == pytest.approx((there.sum() + back.sum()) / (len(there) + len(back)))
    assert found.masd == pytest.approx((there.mean() + back.mean()) / 2)
    assert found.nsd(1.0) == pytest.approx(
        ((there <= 1).sum() + (back <= 1).sum()) / (len(there) + len(back))
    )


@pytest.mark.parametrize("definition", ["metrics-reloaded", "monai", "deepmind"])
@pytest.mark.parametrize("shape", [(30, 40), (12, 20, 20)])
def test_the_same_is_perfect_and_sides_may_be_swapped(definition, shape):
    truth, predicted = (np.random.default_rng(seed).random(shape) > 0.5 for seed in (1, 2))
    same = surface_distances(truth, truth, definition=definition)
    assert (same.hausdorff(), same.assd, same.masd, same.nsd(0)) == (0, 0, 0, 1)
    there = surface_distances(truth, predicted, definition=definition)
    back = surface_distances(predicted, truth, definition=definition)
    for name in ("assd", "masd"):
        assert getattr(there, name) == pytest.approx(getattr(back, name))
    assert there.hausdorff(95) == back.hausdorff(95)
    assert there.nsd(1) == pytest.approx(back.nsd(1))


def test_far_apart_in_a_large_volume():
    truth, predicted = np.zeros((40, 120, 120), bool), np.zeros((40, 120, 120), bool)
    truth[2:6, 3:9, 3:9] = predicted[30:36, 100:110, 90:115] = True
    for spacing in [(1.0, 1.0, 1.0), (6.0, 0.5, 0.5)]:
        found = surface_distances(truth, predicted, spacing)
        there, back = every_pair(boundary(truth), boundary(predicted), spacing)
        assert np.sort(found.to_predicted) == pytest.approx(np.sort(there))
        assert np.sort(found.to_truth) == pytest.approx(np.sort(back))


def test_areas_add_up_to_those_of_bodies():
    area = surface_areas((2.0, 3.0, 5.0))
    planes = {0b11110000: 15, 0b11001100: 10, 0b10101010: 6}  # above, before, beside
    for code, size in planes.items():
        assert area[code] == area[255 - code] == pytest.approx(size)
    assert area[0] == area[255] == 0
    assert area[1] == pytest.approx(np.linalg.norm([15, 10, 6]) / 8)  # one corner cut off halfway
    assert np.array_equal(area, area[::-1])


def test_longer_contours_weigh_more():
    truth, predicted = square(2, 2, 10, (40, 40)), square(2, 2, 10, (40, 40))
    predicted[30, 30] = True
    by_pixel = surface_distances(truth, predicted)
    by_length = surface_distances(truth, predicted, definition="deepmind")
    assert by_pixel.predicted_weights is None
    assert by_length.predicted_weights.sum() == pytest.approx(4 * 9 + 4 * math.sqrt(0.5) + 4 * math.sqrt(0.5))
    assert by_pixel.hausdorff() > 20
    assert by_pixel.hausdorff(95) == by_length.hausdorff(50) == 0


def test_the_tolerance_is_inclusive_whatever_the_rounding():
    found = surface_distances(square(4, 4), square(4, 7), (0.7, 0.7))
    assert found.hausdorff() == pytest.approx(2.1)
    assert found.nsd(2.1) == 1
    assert found.nsd(2.09) < 1


def test_scores_of_classes_know_the_spacing_and_the_unit():
    geometry = Geometry((2.0, 0.5), "mm")
    truth, moved = of(square(4, 4), geometry), of(square(4, 6), geometry)
    assert hausdorff(truth, moved)[0] == 1.0
    assert hausdorff(of(square(4, 4)), of(square(4, 6)))[0] == 2.0
    assert np.isnan(hausdorff(truth, moved)[1])
    assert surface_dice(truth, moved, 1.0)[0] == surface_dice(truth, moved, "1mm")[0] == 1
    assert surface_dice(truth, moved, 0.9)[0] < 1
    assert 0 < average_surface_distance(truth, moved)[0] < 1
    assert mean_average_surface_distance(truth, moved)[0] == average_surface_distance(truth, moved)[0]
    for wrong, told in [("1um", "in that unit"), ("1px", "in that unit"), (-1.0, "0 or more")]:
        with pytest.raises(InputError, match=told):
            surface_dice(truth, moved, wrong)
    with pytest.raises(InputError, match="one spacing"):
        hausdorff(truth, of(square(4, 6), Geometry((1.0, 0.5), "mm")))


def test_a_class_is_the_union_of_its_segments_and_they_may_overlap():
    parts = np.stack([square(2, 2), square(2, 8), square(4, 4)])
    truth = Segmentation.from_masks(parts, class_ids=[1, 1, 2], classes=TWO)
    whole = np.stack([parts[0] | parts[1], parts[2]])
    predicted = Segmentation.from_masks(whole, class_ids=[1, 2], classes=TWO)
    assert hausdorff(truth, predicted).tolist() == [0, 0]


def test_one_side_alone_is_what_the_caller_says():
    nothing, something = of(np.zeros((30, 40), int)), of(square(4, 4, 8, (30, 40)))
    for first, second in [(nothing, something), (something, nothing)]:
        assert np.isnan(hausdorff(first, second)[0])
        assert hausdorff(first, second, absent="diagonal")[0] == 50
        assert hausdorff(first, second, definition="monai")[0] == math.inf
        assert average_surface_distance(first, second, definition="deepmind")[0] == math.inf
        assert surface_dice(first, second, 3)[0] == 0
    for score in (hausdorff, average_surface_distance, mean_average_surface_distance):
        assert np.isnan(score(nothing, nothing, absent="diagonal")).all()
    assert np.isnan(surface_dice(nothing, nothing, 3)).all()


@pytest.mark.parametrize("definition", ["metrics-reloaded", "deepmind"])
@pytest.mark.parametrize("depth", [None, 5])
def test_the_edge_of_void_is_no_surface(definition, depth):
    truth = square(4, 4).astype(int)
    void = truth.copy()
    void[:, 9:] = 2
    full = np.ones_like(truth)
    full[:, 9:] = 2
    if depth:
        truth, void, full = (np.repeat(each[None], depth, axis=0) for each in (truth, void, full))
    classes = ClassSet.from_names(["a"])
    first = Segmentation.from_semantic_map(void, classes, void=2)
    second = Segmentation.from_semantic_map(truth, classes)
    assert hausdorff(first, second, definition=definition)[0] == 0
    assert surface_dice(first, second, 0, definition=definition)[0] == 1
    third = Segmentation.from_semantic_map(full, classes, void=2)
    there, back = (
        hausdorff(first, third, definition=definition),
        hausdorff(third, first, definition=definition),
    )
    assert there[0] == back[0] == pytest.approx(math.hypot(8, 4))  # from corner to corner of image and square


def test_what_is_wrong_is_told():
    mask = square(4, 4)
    with pytest.raises(InputError, match="bool, 2-D or 3-D"):
        surface_distances(mask.astype(int), mask)
    with pytest.raises(InputError, match="one shape"):
        surface_distances(mask, mask[:5])
    with pytest.raises(InputError, match="2 positive numbers"):
        surface_distances(mask, mask, (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="positive"):
        surface_distances(mask, mask, (1.0, 0.0))
    with pytest.raises(InputError, match="0 to 100"):
        surface_distances(mask, mask).hausdorff(101)
    with pytest.raises(UnknownName, match="definition"):
        surface_distances(mask, mask, definition="deepmnd")
    with pytest.raises(UnknownName, match="absent"):
        surface_distances(mask, mask, absent="zero")
    with pytest.raises(InputError, match="a mean needs"):
        Surfaces(absent="infinite")


def test_the_metric_is_the_mean_of_the_images_that_have_the_class():
    sides = [(square(4, 4), square(4, 6)), (square(4, 4), square(4, 8)), (square(4, 4), square(0, 0) & False)]
    metric = Surfaces(tolerance=2)
    kept = [metric.keep(Pair(of(first), of(second))) for first, second in sides]
    assert all(each.values.shape == (2, 6) for each in kept)
    found = metric.score(kept, np.array([[1.0, 1, 1], [2, 1, 0], [0, 0, 1]]))
    assert set(found) == {score.name for score in metric.scores}
    assert found["hausdorff_of_class"][:, 0] == pytest.approx([3, 8 / 3, np.nan], nan_ok=True)
    assert np.isnan(found["hausdorff_of_class"][:, 1]).all()
    assert found["hausdorff"] == pytest.approx([3, 8 / 3, np.nan], nan_ok=True)
    assert found["nsd"][2] == 0
    assert found["nsd"][0] == pytest.approx((1 + kept[1].values[0, 4] + 0) / 3)
    assert found["one_sided"].tolist() == pytest.approx([1 / 3, 0, 1])
    punished = Surfaces(tolerance=2, absent="diagonal")
    kept = [punished.keep(Pair(of(first), of(second))) for first, second in sides]
    assert punished.score(kept, np.ones((1, 3)))["hausdorff"][0] == pytest.approx(
        (2 + 4 + math.hypot(20, 24)) / 3
    )


def test_images_in_different_units_have_no_mean():
    metric = Surfaces()
    kept = [
        metric.keep(Pair(of(square(4, 4), geometry), of(square(4, 6), geometry)))
        for geometry in (Geometry((1.0, 1.0), "mm"), Geometry((1.0, 1.0), "um"), None)
    ]
    with pytest.raises(InputError, match="mm and px and um"):
        metric.score(kept, np.ones((1, 3)))


def test_a_thousand_resamples_of_many_images():
    metric = Surfaces()
    kept = [metric.keep(Pair(of(square(4, 4)), of(square(4, 4 + k)))) for k in range(3)]
    many = [kept[k % 3] for k in range(600)]
    weights = np.random.default_rng(0).multinomial(600, np.full(600, 1 / 600), 1000).astype(float)
    found = metric.score(many, weights)
    assert found["nsd"].shape == (1000,)
    assert found["hausdorff_of_class"].shape == (1000, 2)
    assert found["hausdorff"].mean() == pytest.approx(1, abs=0.02)
