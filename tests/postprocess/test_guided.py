"""The guided filter against its definition, and tiles against the whole, bit for bit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.postprocess.guided import guided_filter


def planes_of(shape, count=3, seed=0):
    rng = np.random.default_rng(seed)
    return np.moveaxis(rng.dirichlet(np.ones(count), shape), -1, 0).astype(np.float32)


def by_definition(probabilities, guide, radius, eps):
    """He, Sun and Tang 2013, eq. 19 to 21, one box at a time with a general solver."""
    shape = probabilities.shape[1:]
    channels = guide.reshape(*shape, -1).astype(np.float64)
    places = list(product(*map(range, shape)))
    boxes = {place: tuple(slice(max(0, i - radius), i + radius + 1) for i in place) for place in places}
    result = np.empty(probabilities.shape)
    for k, plane in enumerate(probabilities.astype(np.float64)):
        lines = {}
        for place, box in boxes.items():
            values = channels[box].reshape(-1, channels.shape[-1])
            target = plane[box].reshape(-1)
            covariance = np.cov(values.T, bias=True).reshape(values.shape[1], -1) + eps * np.eye(
                values.shape[1]
            )
            shared = (values * target[:, None]).mean(axis=0) - values.mean(axis=0) * target.mean()
            slope = np.linalg.solve(covariance, shared)
            lines[place] = (slope, target.mean() - slope @ values.mean(axis=0))
        for place, box in boxes.items():
            near = list(product(*(range(s.start, min(s.stop, n)) for s, n in zip(box, shape, strict=True))))
            slope = np.mean([lines[other][0] for other in near], axis=0)
            result[(k, *place)] = slope @ channels[place] + np.mean([lines[other][1] for other in near])
    result = np.clip(result, 0, 1)
    return result / result.sum(axis=0)


@pytest.mark.parametrize(("shape", "channels"), [((9, 11), 1), ((8, 7), 3), ((5, 6, 7), 1), ((4, 5, 5), 2)])
def test_as_defined(shape, channels):
    guide = np.random.default_rng(1).random((*shape, channels))
    guide = guide[..., 0] if channels == 1 else guide
    probabilities = planes_of(shape)
    found = guided_filter(probabilities, guide, 2, 0.01)
    assert found.dtype == np.float32
    assert np.allclose(found, by_definition(probabilities, guide, 2, 0.01), atol=1e-6)


def test_edges_of_the_guide_stay_and_noise_goes():
    guide = np.zeros((40, 40), np.uint8)
    guide[:, 20:] = 200
    noise = np.random.default_rng(0).normal(0, 0.1, (40, 40))
    first = np.clip(np.where(guide > 0, 0.9, 0.1) + noise, 0, 1).astype(np.float32)
    found = guided_filter(np.stack([first, 1 - first]), guide, 4)[0]
    assert np.abs(found - np.where(guide > 0, 0.9, 0.1)).mean() < 0.02
    assert (found[:, 20] - found[:, 19]).min() > 0.7


@pytest.mark.parametrize("shape", [(50, 60), (14, 20, 18)])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_with_their_halo_are_the_whole_bit_for_bit(shape, channels):
    radius = 3
    guide = np.random.default_rng(2).random((*shape, channels)).astype(np.float32) * 1000
    probabilities = planes_of(shape, seed=4)
    whole = guided_filter(probabilities, guide, radius)
    for start in (0, 7, shape[-1] - 9):
        low, high = max(0, start - 2 * radius), min(shape[-1], start + 9 + 2 * radius)
        tile = guided_filter(probabilities[..., low:high], guide[..., low:high, :], radius)
        assert np.array_equal(tile[..., start - low : start - low + 9], whole[..., start : start + 9])


def test_probabilities_stay_in_bounds_and_sum_to_one():
    guide = np.random.default_rng(5).random((30, 30, 3))
    certain = np.eye(4, dtype=np.float32)[np.random.default_rng(6).integers(0, 4, (30, 30))]
    found = guided_filter(np.moveaxis(certain, -1, 0), guide, 2, 1e-6)
    assert found.min() >= 0 and found.max() <= 1
    assert np.allclose(found.sum(axis=0), 1, atol=1e-6)


def test_repeated_and_constant_channels_are_no_trouble():
    grey = np.random.default_rng(7).random((20, 20))
    probabilities = planes_of((20, 20))
    alone = guided_filter(probabilities, grey, 3, 1e-4)
    thrice = guided_filter(probabilities, np.stack([grey] * 3, axis=-1), 3, 3e-4)  # three shares of one slope
    assert np.allclose(alone, thrice, atol=1e-5)
    flat = guided_filter(probabilities, np.full((20, 20, 2), 5.0), 20)
    assert np.allclose(flat, probabilities.mean(axis=(1, 2))[:, None, None], atol=1e-5)


def test_integers_are_taken_as_shares_of_their_range():
    grey = np.random.default_rng(8).integers(0, 256, (12, 12)).astype(np.uint8)
    probabilities = planes_of((12, 12))
    assert np.array_equal(guided_filter(probabilities, grey, 2), guided_filter(probabilities, grey / 255, 2))


@pytest.mark.parametrize(
    "arguments",
    [
        {"guide": np.zeros((4, 5))},
        {"guide": np.full((4, 4), np.nan)},
        {"guide": np.zeros((4, 4), complex)},
        {"radius_px": 0},
        {"radius_px": 129},
        {"eps": 0},
        {"probabilities": np.zeros((4, 4))},
        {"probabilities": np.full((2, 4, 4), 0.4)},
    ],
)
def test_what_does_not_fit_is_refused(arguments):
    with pytest.raises(InputError):
        guided_filter(**{"probabilities": planes_of((4, 4)), "guide": np.zeros((4, 4)), **arguments})
