"""Ridges: a line seen by eye, all filters against scikit-image's response, vessels of a retina, odd input."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data, filters

from smalti.classical.ridges import Ridge, ridge_response
from smalti.errors import InputError
from smalti.image import Image
from smalti.segmenter import make_segmenter

FILTERS = ["frangi", "meijering", "sato"]


def cross(dtype: type = np.uint8) -> np.ndarray:
    """Two bright lines of three pixels that do not touch, and a bright disc that is not thin."""
    plane = np.full((60, 80), 20, dtype)
    plane[10:13, 5:45] = 200
    plane[30:55, 20:23] = 200
    y, x = np.mgrid[:60, :80]
    plane[(y - 40) ** 2 + (x - 55) ** 2 < 15**2] = 200
    return plane


@pytest.mark.parametrize("ridge_filter", FILTERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_lines_are_found_bright_or_dark(ridge_filter, dtype) -> None:
    plane = cross(dtype)
    for polarity, array in (("bright", plane), ("dark", 220 - plane)):
        method = Ridge(filter=ridge_filter, sigmas_px=(1.5,), polarity=polarity)
        found = method.predict(Image.from_array(array))
        assert found.labels[11, 8:42].all() and found.labels[33:52, 21].all()
        assert not found.labels[40, 55]  # the middle of the disc
        assert found.labels[11, 20] != found.labels[40, 21]


def test_parts_of_a_line_hang_on_to_its_clear_part() -> None:
    plane = np.zeros((20, 60))
    plane[10, 5:55] = np.linspace(1, 0.2, 50)
    weak = Ridge(sigmas_px=(1.0,), low=0.05, high=0.3).predict(Image.from_array(plane))
    assert len(weak) == 1 and weak.labels[10, 50]
    strict = Ridge(sigmas_px=(1.0,), low=0.3, high=0.3).predict(Image.from_array(plane))
    assert not strict.labels[10, 50]


@pytest.mark.parametrize("ridge_filter", FILTERS)
def test_response_as_scikit_image(ridge_filter) -> None:
    coins = data.coins()[:100, :100]
    reference = getattr(filters, ridge_filter)(
        coins.astype(float), sigmas=[1, 2], black_ridges=True, mode="reflect"
    )
    found = ridge_response(coins, ridge_filter, (1.0, 2.0), "dark")
    assert np.allclose(found, reference, rtol=1e-6, atol=1e-9)


def test_vessels_of_a_retina() -> None:
    retina = data.retina()[400:800, 400:800]
    found = Ridge(polarity="dark", channel="green", sigmas_px=(2.0, 4.0), min_area_px=100).predict(
        Image.from_array(retina)
    )
    assert 1 <= len(found) < 30
    assert 0.03 < found.coverage < 0.25
    vessels = found.labels > 0
    assert retina[vessels, 1].mean() < retina[~vessels, 1].mean()


@pytest.mark.parametrize("ridge_filter", FILTERS)
def test_odd_planes_and_volumes(ridge_filter) -> None:
    method = Ridge(filter=ridge_filter)
    for shape in [(1, 1), (1, 9), (9, 1), (5, 20, 30), (1, 20, 30)]:
        ndim = len(shape)
        assert len(method.predict(Image.from_array(np.full(shape, 0.1), ndim))) == 0
        method.predict(Image.from_array(np.random.default_rng(0).normal(size=shape), ndim))


def test_a_fibre_in_a_volume() -> None:
    volume = np.zeros((20, 20, 20), np.float32)
    volume[10, 10, 2:18] = 1
    found = Ridge(sigmas_px=(1.0,)).predict(Image.from_array(volume, ndim=3))
    assert len(found) == 1 and found.labels[10, 10, 4:16].all()


def test_parameters_are_checked() -> None:
    for bad in ({"filter": "gabor"}, {"sigmas_px": []}, {"sigmas_px": [0]}, {"low": 2, "high": 1}):
        with pytest.raises(InputError):
            make_segmenter("ridge", **bad)
    assert make_segmenter("ridge", sigmas_px=[2]).sigmas_px == (2.0,)
