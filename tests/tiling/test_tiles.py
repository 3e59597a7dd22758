"""Tiles cover the image once, and their halo ends with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import InputError
from smalti.tiling.tiles import Tile, tiles


@st.composite
def grids(draw):
    ndim = draw(st.integers(1, 3))
    numbers = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(ndim))  # noqa: E731
    return numbers(1, 23), numbers(1, 30), numbers(0, 9)


@given(grids())
def test_every_pixel_is_in_one_tile_and_the_halo_is_around_it(grid):
    shape, size, halo = grid
    seen = np.zeros(shape, int)
    whole = np.arange(seen.size).reshape(shape)
    for tile in tiles(shape, size, halo):
        seen[tile.inner] += 1
        assert np.array_equal(whole[tile.outer][tile.inside], whole[tile.inner])
        assert tile.origin == tuple(axis.start for axis in tile.outer)
        for inner, outer, length, away, side in zip(tile.inner, tile.outer, shape, halo, size, strict=True):
            assert inner.stop - inner.start <= side
            assert outer.start == max(0, inner.start - away)
            assert outer.stop == min(length, inner.stop + away)
    assert (seen == 1).all()


def test_they_come_in_scan_order_and_the_last_are_smaller():
    found = [tile.inner for tile in tiles((5, 7), (4, 4), (1, 1))]
    assert found == [
        (slice(0, 4), slice(0, 4)),
        (slice(0, 4), slice(4, 7)),
        (slice(4, 5), slice(0, 4)),
        (slice(4, 5), slice(4, 7)),
    ]


def test_a_tile_can_be_widened_later():
    tile = Tile((slice(4, 8),), (slice(4, 8),)).widened((3,), (9,))
    assert tile == Tile((slice(4, 8),), (slice(1, 9),))
    assert tile.inside == (slice(3, 7),)


@pytest.mark.parametrize(
    ("size", "halo"), [((4,), (1, 1)), ((4, 4), (1,)), ((0, 4), (1, 1)), ((4, 4), (-1, 1))]
)
def test_sizes_that_fit_no_image_are_refused(size, halo):
    with pytest.raises(InputError, match="each of 2 axes"):
        list(tiles((9, 9), size, halo))
