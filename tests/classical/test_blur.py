"""The blur against SciPy's, which it is for volumes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from smalti.classical.blur import gaussian_blur


@pytest.mark.parametrize(("edge", "mode"), [("mirrored", "reflect"), ("repeated", "nearest")])
@pytest.mark.parametrize("shape", [(20, 31), (3, 2), (1, 1), (7, 9, 11)])
@pytest.mark.parametrize("radius_px", [None, 3, 20])
def test_blur_is_scipys(shape, edge, mode, radius_px):
    plane = np.random.default_rng(0).random(shape)
    expected = ndimage.gaussian_filter(plane, 1.7, mode=mode, radius=radius_px)
    assert np.allclose(gaussian_blur(plane, 1.7, radius_px, edge), expected, atol=1e-12)
    assert gaussian_blur(plane.astype(np.float32), 1.7).dtype == np.float32
