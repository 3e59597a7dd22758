"""Full scale: what the dtype says, and words for pixels whose full scale nobody knows."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.classical.grey import check_full_scale, eight_bit, full_scale
from smalti.errors import InputError


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.uint16, np.int16, np.uint32, np.int64, np.float16, np.float32]
)
def test_the_dtype_says_what_full_scale_is(dtype):
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "ui" else 1
    pixels = np.array([0, top], dtype)
    assert full_scale(pixels).tolist() == [0, 1]
    assert full_scale(pixels, np.float32).dtype == np.float32
    assert eight_bit(pixels).tolist() == [0, 255]


@pytest.mark.parametrize("function", [check_full_scale, full_scale, eight_bit])
def test_what_has_no_full_scale_is_refused_with_what_came_and_what_to_do(function):
    with pytest.raises(InputError, match=r"float32 must lie in 0..1, got 0..255; divide .* \(255 for"):
        function(np.array([0, 255], np.float32))
    with pytest.raises(InputError, match=r"0..1, got -0.5..1;"):
        function(np.array([-0.5, 1]))
    with pytest.raises(InputError, match=r"int16 must lie in 0..32767, got -3..7; shift"):
        function(np.array([-3, 7], np.int16))


def test_rounding_beyond_full_scale_is_taken_back():
    assert full_scale(np.array([-1e-7, 0.5, 1 + 1e-7])).tolist() == [0, 0.5, 1]
