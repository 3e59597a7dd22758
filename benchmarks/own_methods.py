"""Where a classical method is written here and not taken from a library: what that gives.

    python benchmarks/own_methods.py

Prints the table of docs/why/own-methods.md: milliseconds of the library and of ours on one photograph (medians of
five, one thread), and how the results compare.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from skimage import data, filters, segmentation
from sklearn.cluster import KMeans as PeerKMeans

from smalti.image import Image
from smalti.segmenter import make_segmenter


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Median milliseconds of five calls after one, and the result."""
    result = function()
    times = []
    for _ in range(5):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return 1e3 * median(times), result


def spread(pixels: np.ndarray, classes: np.ndarray) -> float:
    """Mean squared distance of pixels (N, C) to the mean of their class: what k-means makes small."""
    return float(
        sum(((pixels[classes == k] - pixels[classes == k].mean(0)) ** 2).sum() for k in np.unique(classes))
        / len(pixels)
    )


def between(plane: np.ndarray, thresholds: np.ndarray) -> float:
    """Variance between the classes that the thresholds make: what multi-Otsu makes large."""
    classes = np.digitize(plane, np.sort(thresholds), right=True)
    shares = [(classes == k).mean() for k in np.unique(classes)]
    means = [plane[classes == k].mean() for k in np.unique(classes)]
    return float(sum(p * (m - plane.mean()) ** 2 for p, m in zip(shares, means, strict=True)))


def rows() -> list[tuple[str, str, float, float, str]]:
    """Method, library, its milliseconds, ours, and the comparison."""
    coffee, coins, retina = data.coffee(), data.coins(), data.retina()
    found = []

    colors = coffee.reshape(-1, 3).astype(np.float64)
    peer, theirs = timed(lambda: PeerKMeans(6, n_init=1, random_state=0).fit_predict(colors))
    own, ours = timed(lambda: make_segmenter("kmeans", clusters=6).predict(Image(coffee)))
    gap = spread(colors, ours.semantic_map().ravel()) / spread(colors, theirs)
    found.append(("kmeans", "scikit-learn KMeans", peer, own, f"spread inside classes {gap:.3f} of theirs"))

    green = retina[..., 1]
    peer, theirs = timed(lambda: filters.threshold_multiotsu(green, 4))
    own, ours = timed(lambda: make_segmenter("multi-otsu", num_classes=4).predict(Image.from_array(green)))
    levels = ours.semantic_map()
    thresholds = np.array([green[levels == k].max() for k in range(1, 4)])
    gap = between(green, thresholds) / between(green, theirs)
    found.append(("multi-otsu", "scikit-image", peer, own, f"variance between classes {gap:.6f} of theirs"))

    for name, peer_function in (
        ("otsu", filters.threshold_otsu),
        ("triangle", filters.threshold_triangle),
        ("li", filters.threshold_li),
    ):
        peer, threshold = timed(lambda function=peer_function: function(coins))
        own, ours = timed(lambda name=name: make_segmenter(name).predict(Image.from_array(coins)))
        different = int(((ours.labels > 0) != (coins > threshold)).sum())
        found.append(
            (name, "scikit-image", peer, own, f"{different} pixels differ; ours with its pieces numbered")
        )

    start = segmentation.checkerboard_level_set(coins.shape, 6)
    gradient = segmentation.inverse_gaussian_gradient(coins)
    peer, _ = timed(
        lambda: segmentation.morphological_geodesic_active_contour(
            gradient, 100, start, smoothing=1, balloon=-1
        )
    )
    own, _ = timed(lambda: make_segmenter("geodesic-contour", rounds=100).predict(Image.from_array(coins)))
    found.append(
        ("geodesic-contour", "scikit-image", peer, own, "100 rounds; theirs differs between two calls")
    )
    return found


def main() -> None:
    """Print the table as Markdown."""
    print("| method | library | library, ms | ours, ms | results |")
    print("|---|---|---:|---:|---|")
    for name, library, peer, own, how in rows():
        print(f"| `{name}` | {library} | {peer:.3g} | {own:.3g} | {how} |")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
