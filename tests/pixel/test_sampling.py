"""Pixels drawn: rare classes often, hard places more often, and the weights make up for both."""

import numpy as np
import pytest

from smalti.pixel.sampling import CELL_PX, Rows, cell_map, cells_across, class_factors, draw, leaf_size

SHAPE = (90, 110)


@pytest.fixture
def targets():
    """Three classes, of about 88, 10 and 2 percent of the pixels; a corner is not labelled."""
    generator = np.random.default_rng(0)
    found = generator.choice(3, SHAPE, p=[0.88, 0.1, 0.02]).astype(np.int16)
    found[:20, :30] = -1
    return found


def drawn(targets, count, seed=0, **options):
    return draw(targets, count, 3, np.random.default_rng(seed), **options)


def test_all_labelled_pixels_where_there_are_few(targets):
    places, weights = drawn(targets, targets.size)
    assert np.array_equal(places, np.flatnonzero(targets >= 0))
    assert (weights == 1).all()
    places, weights = drawn(np.full(SHAPE, -1), 10)
    assert len(places) == len(weights) == 0


def test_never_more_than_asked_never_twice_and_only_labelled_ones(targets):
    places, weights = drawn(targets, 700)
    assert 600 < len(places) <= 700
    assert len(np.unique(places)) == len(places)
    assert (targets.reshape(-1)[places] >= 0).all()
    assert (weights > 0).all()


def test_classes_are_drawn_by_the_root_of_their_size(targets):
    places, _ = drawn(targets, 900)
    share = np.bincount(targets.reshape(-1)[places], minlength=3) / len(places)
    roots = np.sqrt(np.bincount(targets[targets >= 0]))
    assert share == pytest.approx(roots / roots.sum(), abs=0.05)


def wrongness(targets):
    """One half of the image is hard."""
    wrong = np.full(targets.shape, 0.02)
    wrong[:, 55:] = 0.8
    return wrong


@pytest.mark.parametrize("hard", [0.0, 0.5])
def test_weights_say_how_many_pixels_there_are(targets, hard):
    expected = np.bincount(targets[targets >= 0], minlength=3)
    right = (np.arange(targets.size) % SHAPE[1] >= 55)[targets.reshape(-1) >= 0].sum()
    sums, on_the_right = np.zeros(3), 0.0
    for seed in range(60):
        places, weights = drawn(targets, 500, seed, wrong=wrongness(targets), hard=hard)
        sums += np.bincount(targets.reshape(-1)[places], weights, 3) / 60
        on_the_right += weights[places % SHAPE[1] >= 55].sum() / 60
    assert sums == pytest.approx(expected, rel=0.06)
    assert on_the_right == pytest.approx(right, rel=0.03)


def test_hard_places_are_drawn_more_often(targets):
    wrong = wrongness(targets)
    evenly, _ = drawn(targets, 800)
    harder, weights = drawn(targets, 800, wrong=wrong, hard=0.6)
    share = [(places % SHAPE[1] >= 55).mean() for places in (evenly, harder)]
    assert share[0] == pytest.approx(0.53, abs=0.05)
    assert share[1] > share[0] + 0.15
    assert weights[harder % SHAPE[1] >= 55].mean() < weights[harder % SHAPE[1] < 55].mean()


def test_nothing_wrong_anywhere_is_no_harm(targets):
    places, weights = drawn(targets, 500, wrong=np.zeros(SHAPE), hard=0.9)
    assert len(places) > 400
    assert np.isfinite(weights).all()


def test_the_seed_decides(targets):
    assert np.array_equal(drawn(targets, 300)[0], drawn(targets, 300)[0])
    assert not np.array_equal(drawn(targets, 300)[0], drawn(targets, 300, seed=1)[0])


def test_class_factors_from_as_they_are_to_equal():
    targets, weights = np.array([0, 0, 0, 0, 0, 0, 1, 1]), np.array([1, 1, 1, 1, 1, 1, 1, 2.0])
    assert class_factors(targets, weights, 3, 0.0) == pytest.approx(np.ones(8))
    mass = np.bincount(targets, weights * class_factors(targets, weights, 3, 1.0))
    assert mass[0] == pytest.approx(mass[1])
    half = np.bincount(targets, weights * class_factors(targets, weights, 3, 0.5))
    assert 1 < half[0] / half[1] < 2


@pytest.mark.parametrize("whole", [(70, 130), (40, 33, 65)])
def test_cells_are_numbered_by_where_they_lie_in_the_whole(whole):
    cells = cell_map(whole, (0,) * len(whole), whole)
    assert cells.min() == 0
    assert cells.max() + 1 == np.prod(cells_across(whole)) == len(np.unique(cells))
    for number in (0, int(cells.max())):
        places = np.argwhere(cells == number)
        assert (np.ptp(places, axis=0) < CELL_PX).all()
    origin = tuple(length // 3 for length in whole)
    part = tuple(slice(first, first + 20) for first in origin)
    assert np.array_equal(cell_map(cells[part].shape, origin, whole), cells[part])


def test_rows_are_joined():
    def rows(count):
        return Rows(
            np.ones((count, 2), np.float32), np.zeros(count, int), np.ones(count), np.full(count, count)
        )

    joined = Rows.joined([rows(2), rows(0), rows(3)])
    assert len(joined) == 5
    assert joined.values.shape == (5, 2)
    assert joined.units.tolist() == [2, 2, 3, 3, 3]


def test_leaves_are_smaller_where_a_class_has_few_pixels():
    assert leaf_size(5, np.array([0, 2])) == 1
    assert leaf_size(5, np.repeat([0, 2], [500, 6])) == 3
    assert leaf_size(5, np.repeat([0, 2], [500, 30])) == 5
    assert leaf_size(1, np.repeat([0, 2], [500, 30])) == 1


def test_strokes_are_drawn_evenly_but_for_a_least_number():
    targets = np.repeat([0, 1, 2], [9000, 990, 10])
    for seed in range(5):
        places, weights = draw(targets, 1000, 3, np.random.default_rng(seed), power=1.0, least=10)
        drawn = np.bincount(targets[places], minlength=3)
        assert drawn[0] == pytest.approx(885, abs=15) and drawn[1] == pytest.approx(97, abs=15)
        assert drawn[2] == 10
        assert np.bincount(targets[places], weights) == pytest.approx([9000, 990, 10], rel=0.1)
