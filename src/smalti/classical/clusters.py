"""Clusters of pixel values: what looks alike is one class, wherever it lies."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from .. import compiled
from ..classes import ClassSet
from ..image import Image
from ..quiet import quieted
from ..segmentation import Segmentation
from ..segmenter import Method
from .grey import LUMA, check_ndim, color_planes

CHUNK_PX = 1 << 18
"""Pixels assigned at a time: distances to all clusters of that many fit the cache's last level."""


def k_means(values: np.ndarray, count: int, rng: np.random.Generator, max_rounds: int = 100) -> np.ndarray:
    """Centres (K, C) of at most ``count`` clusters of ``values`` (N, C); fewer where there are fewer distinct values.

    Lloyd's rounds until no value changes its cluster, from k-means++ seeds (Arthur and Vassilvitskii 2007).
    """
    centers = values[rng.integers(len(values))][np.newaxis]
    nearest = ((values - centers[0]) ** 2).sum(axis=1)
    while len(centers) < count and nearest.max() > 0:
        chosen = rng.choice(len(values), p=nearest / nearest.sum())
        centers = np.concatenate([centers, values[chosen][np.newaxis]])
        nearest = np.minimum(nearest, ((values - values[chosen]) ** 2).sum(axis=1))
    labels = nearest_center(values, centers)
    for _ in range(max_rounds):
        areas = np.bincount(labels, minlength=len(centers))
        sums = [np.bincount(labels, channel, minlength=len(centers)) for channel in values.T]
        # A cluster that lost all its values stays where it is.
        centers = np.where(
            areas[:, None] > 0, np.stack(sums, axis=1) / np.maximum(areas, 1)[:, None], centers
        )
        previous, labels = labels, nearest_center(values, centers)
        if np.array_equal(previous, labels):
            break
    return centers


def nearest_center(values: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Index of the nearest of ``centers`` (K, C) for each of ``values`` (N, C), (N,) int64."""
    return compiled.nearest.nearest_center(np.ascontiguousarray(values), centers.astype(np.float64))


class Clustering(Method):
    """What the methods share that find classes of like pixels: the sample they are found on, and their order."""

    ndims: ClassVar[tuple[int, ...]] = (2, 3)

    clusters: int = Field(3, ge=1, le=64, description="Number of classes to find.")
    sample_px: int = Field(
        50_000,
        ge=100,
        description="Pixels, drawn at random, the classes are found on; all pixels are then assigned.",
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="Seed of the random draws: the same seed gives the same classes."
    )

    def predict(self, image: Image) -> Segmentation:
        """Every pixel in one of the classes cluster_1 (least mean value) to cluster_K; any number of channels.

        Where the image has fewer distinct values than classes were asked for, the last classes are not present.
        """
        check_ndim(image, self.name, self.ndims)
        planes = color_planes(image)
        values = planes.reshape(-1, planes.shape[-1])
        if values.dtype == bool:
            values = values.view(np.uint8)
        rng = np.random.default_rng(self.seed)
        drawn: np.ndarray | slice = slice(None)
        if len(values) > self.sample_px:
            drawn = np.sort(rng.choice(len(values), self.sample_px, replace=False))
        labels = self.assign(values, values[drawn].astype(np.float64), rng)

        weights = LUMA if planes.shape[-1] == 3 and image.channels[0] == "red" else np.ones(planes.shape[-1])
        grey = [np.bincount(labels, channel, minlength=self.clusters) for channel in values.T]
        areas = np.bincount(labels, minlength=self.clusters)
        means = np.where(areas > 0, np.tensordot(weights, grey, 1) / np.maximum(areas, 1), np.inf)
        class_of = np.empty(self.clusters, np.int32)
        class_of[np.argsort(means, kind="stable")] = np.arange(1, self.clusters + 1)
        return Segmentation.from_semantic_map(
            class_of[labels].reshape(image.shape), cluster_classes(self.clusters), geometry=image.geometry
        )

    def assign(self, values: np.ndarray, sample: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Cluster 0..K-1 of each of ``values`` (N, C), (N,), from classes found on ``sample`` (M, C) float64."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it clusters")


def cluster_classes(count: int) -> ClassSet:
    """Classes cluster_1..cluster_K, stuff: they say what pixels look like, not how many things there are."""
    return ClassSet.from_names([f"cluster_{k}" for k in range(1, count + 1)], thing=False)


class KMeans(Clustering):
    """Classes of pixels nearest to one of k mean colours, on the image's own scale."""

    name: ClassVar[str] = "kmeans"
    source: ClassVar[str] = "Lloyd, Least squares quantization in PCM, IEEE IT 28 (1982)"

    def assign(self, values: np.ndarray, sample: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The nearest of the means found on the sample."""
        return nearest_center(values, k_means(sample, self.clusters, rng))


REGULARISATION = 1e-4
"""Added to every variance of a mixture, where each channel has variance 1 over all values."""


def fit_mixture(sample: np.ndarray, count: int, rng: np.random.Generator, max_rounds: int = 100) -> Any:
    """scikit-learn's mixture of at most ``count`` Gaussians, fitted to ``sample`` (M, C) of mean 0 and variance 1.

    Expectation maximisation from the clusters of ``k_means``: the weight, mean and covariance of each.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture as Mixture

    labels = nearest_center(sample, k_means(sample, count, rng))
    areas = np.bincount(labels)
    members = [sample[labels == k] for k in np.flatnonzero(areas)]
    means = np.stack([cluster.mean(axis=0) for cluster in members])
    apart = [cluster - mean for cluster, mean in zip(members, means, strict=True)]
    covariances = np.stack([step.T @ step / len(step) for step in apart])
    covariances += REGULARISATION * np.eye(sample.shape[1])
    mixture = Mixture(
        len(members),
        weights_init=areas[areas > 0] / len(sample),
        means_init=means,
        precisions_init=np.linalg.inv(covariances),
        max_iter=max_rounds,
        reg_covar=REGULARISATION,
    )
    with quieted(category=ConvergenceWarning):  # max_rounds is the caller's to choose
        return mixture.fit(sample)


class GaussianMixture(Clustering):
    """Classes of pixels under the likeliest of k Gaussians, each with its own full covariance."""

    name: ClassVar[str] = "gaussian-mixture"
    source: ClassVar[str] = (
        "Dempster, Laird and Rubin, Maximum likelihood from incomplete data, JRSS B 39 (1977)"
    )

    max_rounds: int = Field(100, ge=1, description="Most rounds of expectation maximisation.")

    def assign(self, values: np.ndarray, sample: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The likeliest component of the mixture fitted to the sample, from k-means centres."""
        # Channels are brought to mean 0 and deviation 1 for the fit. A mixture of full covariances does not change
        # with that, but the small number the fit adds to each variance then fits every scale of values.
        mean, std = sample.mean(axis=0), sample.std(axis=0)
        std[std == 0] = 1
        sample = (sample - mean) / std
        if len(sample) == 1:
            return np.zeros(len(values), np.int64)
        mixture = fit_mixture(sample, self.clusters, rng, self.max_rounds)
        labels = np.empty(len(values), np.int64)
        for begin in range(0, len(values), CHUNK_PX):
            labels[begin : begin + CHUNK_PX] = mixture.predict(
                (values[begin : begin + CHUNK_PX] - mean) / std
            )
        return labels
