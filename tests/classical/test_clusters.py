"""Clusters: by eye, in order of grey, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from smalti.classical.clusters import GaussianMixture, KMeans, fit_mixture, k_means, nearest_center
from smalti.image import Image
from smalti.segmenter import make_segmenter

BOTH = pytest.mark.parametrize("name", ["kmeans", "gaussian-mixture"])


def three_bands(dtype=np.uint8, scale=1) -> np.ndarray:
    rng = np.random.default_rng(0)
    bands = np.repeat([200, 20, 110], 200).reshape(3, 200) + rng.integers(-5, 6, (3, 200))
    return (bands * scale).astype(dtype)


@BOTH
@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.uint8, 1), (np.uint16, 250), (np.float32, 1e-6), (np.float64, 1)]
)
def test_bands_are_classes_in_order_of_grey(name, dtype, scale):
    found = make_segmenter(name, clusters=3).predict(Image.from_array(three_bands(dtype, scale)))
    assert np.array_equal(found.semantic_map(), np.repeat([[3], [1], [2]], 200, axis=1))
    assert found.classes.names == ("cluster_1", "cluster_2", "cluster_3")
    assert not any(entry.thing for entry in found.classes)


@BOTH
def test_any_number_of_channels(name):
    image = Image.from_array(np.repeat(three_bands()[..., None], 7, axis=-1))
    assert len(make_segmenter(name, clusters=3).predict(image)) == 3


@BOTH
def test_alpha_says_nothing_about_colour(name):
    grey = three_bands()
    alpha = np.random.default_rng(1).integers(0, 255, grey.shape).astype(np.uint8)
    with_alpha = Image.from_array(np.stack([grey, grey, grey, alpha], axis=-1))
    without = Image.from_array(np.stack([grey, grey, grey], axis=-1))
    method = make_segmenter(name, clusters=3)
    assert method.predict(with_alpha) == method.predict(without)


@BOTH
def test_fewer_values_than_classes(name):
    image = Image.from_array(np.array([[5, 5, 9, 9]], np.uint8))
    found = make_segmenter(name, clusters=4).predict(image)
    assert found.semantic_map().tolist() == [[1, 1, 2, 2]]
    constant = make_segmenter(name, clusters=4).predict(Image.from_array(np.full((3, 3), 7)))
    assert constant.semantic_map().tolist() == [[1] * 3] * 3


@BOTH
def test_a_sample_is_enough_and_is_drawn_the_same_every_time(name):
    bands = Image.from_array(three_bands())
    few = make_segmenter(name, sample_px=100)
    assert few.predict(bands) == few.predict(bands) == make_segmenter(name, sample_px=10**6).predict(bands)


def test_another_seed_draws_another_sample():
    photo = Image.from_array(data.coffee()[::2, ::2])
    one, other = (KMeans(clusters=8, sample_px=500, seed=seed).predict(photo) for seed in (0, 1))
    assert one != other


@BOTH
def test_volumes(name):
    volume = np.zeros((4, 5, 6))
    volume[2:] = 1
    assert len(make_segmenter(name, clusters=2).predict(Image.from_array(volume, ndim=3))) == 2


def test_no_pixel_is_nearer_to_another_mean():
    photo = data.coffee()[::8, ::8].reshape(-1, 3).astype(float)
    centers = k_means(photo, 5, np.random.default_rng(0))
    labels = nearest_center(photo, centers)
    means = np.stack([photo[labels == k].mean(axis=0) for k in range(5)])
    assert np.allclose(means, centers)


def test_means_cost_no_more_than_opencvs():
    import cv2

    photo = data.coffee()[::4, ::4].reshape(-1, 3).astype(np.float32)
    cv2.setRNGSeed(0)
    theirs, *_ = cv2.kmeans(photo, 4, None, (3, 100, 0.01), 3, cv2.KMEANS_PP_CENTERS)
    centers = k_means(photo.astype(float), 4, np.random.default_rng(0))
    ours = ((photo - centers[nearest_center(photo, centers)]) ** 2).sum()
    assert ours < theirs * 1.05


def test_a_mixture_sees_spread_where_means_do_not():
    """A narrow class inside the reach of a wide one: the nearest mean cuts the wide one, the likelihood does not."""
    rng = np.random.default_rng(0)
    narrow, wide = rng.normal(0, 1, 2000), rng.normal(12, 6, 2000)
    image = Image.from_array(np.stack([narrow, wide]))
    truth = np.repeat([[1], [2]], 2000, axis=1)
    by_mixture = (GaussianMixture(clusters=2).predict(image).semantic_map() == truth).mean()
    by_means = (KMeans(clusters=2).predict(image).semantic_map() == truth).mean()
    assert by_mixture > by_means


@pytest.mark.parametrize("count", [2, 3, 6, 9])  # with 4, either finds one of two optima, by the seed
def test_a_mixture_is_as_likely_as_scikit_learns_own(count):
    from sklearn.mixture import GaussianMixture as Mixture

    values = data.astronaut()[::6, ::6].reshape(-1, 3).astype(float)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    theirs = Mixture(count, reg_covar=1e-4, random_state=0).fit(values).score(values)
    ours = fit_mixture(values, count, np.random.default_rng(0)).score(values)
    assert ours > theirs - 0.05
