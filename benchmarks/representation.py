"""Runs against dense arrays on five kinds of segmentation: the table of docs/why/runs.md.

    python benchmarks/representation.py

Dense is a label map where nothing overlaps and a stack of masks where it does, with numpy's and scipy's usual
calls; runs are what ``Segmentation`` does when it holds runs. Medians of five, one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from overlap import cells
from scipy import ndimage
from skimage.data import coffee

from smalti.overlaps import mask_iou, overlap
from smalti.segmentation import Segmentation


def photograph() -> np.ndarray:
    """Connected pieces of a k-means map of a photograph: thousands of specks and a few large regions."""
    samples = coffee().reshape(-1, 3).astype(np.float32)
    _, classes, _ = cv2.kmeans(samples, 6, None, (3, 20, 1.0), 1, cv2.KMEANS_PP_CENTERS)
    classes = classes.reshape(coffee().shape[:2])
    labels = np.zeros(classes.shape, np.int32)
    for value in range(6):
        pieces, _ = ndimage.label(classes == value)
        labels[pieces > 0] = pieces[pieces > 0] + labels.max()
    return labels


def balls() -> np.ndarray:
    """512 balls in 256 x 256 x 256."""
    labels = np.zeros((256, 256, 256), np.int32)
    zz, yy, xx = np.ogrid[-15:16, -15:16, -15:16]
    for label, place in enumerate(np.ndindex(8, 8, 8), 1):
        window = labels[tuple(slice(32 * at, 32 * at + 31) for at in place)]
        window[zz**2 + yy**2 + xx**2 <= (8 + label % 8) ** 2] = label
    return labels


def nested() -> np.ndarray:
    """200 discs inside each other, 1024 x 1024, as a stack of masks."""
    yy, xx = np.ogrid[-512:512, -512:512]
    return np.array([yy**2 + xx**2 <= radius**2 for radius in range(500, 100, -2)])


def milliseconds(function: Callable[[], Any]) -> float:
    """Median of five calls after one to warm up."""
    function()
    times = []
    for _ in range(5):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return 1e3 * median(times)


def label_rows(labels: np.ndarray) -> tuple[int, int, int, dict[str, tuple[float, float]]]:
    """Segments, bytes dense, bytes of runs, and milliseconds (dense, runs) of each operation."""
    count = int(labels.max())
    shifted = np.roll(labels, 3, axis=-1)
    one, other = Segmentation.from_labels(labels), Segmentation.from_labels(shifted)
    kept = np.arange(count) % 2 == 0
    lookup = np.zeros(count + 1, np.int32)
    lookup[1:][kept] = np.arange(1, kept.sum() + 1)

    def fresh() -> Segmentation:
        return Segmentation.from_runs(one.shape, one.runs)

    return (
        count,
        labels.nbytes,
        one.runs.nbytes,
        {
            "areas": (
                milliseconds(lambda: np.bincount(labels.ravel())),
                milliseconds(lambda: fresh().areas_px),
            ),
            "boxes": (
                milliseconds(lambda: ndimage.find_objects(labels)),
                milliseconds(lambda: fresh().boxes),
            ),
            "choose half": (milliseconds(lambda: lookup[labels]), milliseconds(lambda: fresh()[kept])),
            "overlap table": (
                milliseconds(lambda: np.unique(labels.astype(np.int64) << 32 | shifted, return_counts=True)),
                milliseconds(lambda: overlap(one, other)),
            ),
            "labels to runs": (0.0, milliseconds(lambda: Segmentation.from_labels(labels, copy=False).runs)),
            "runs to labels": (0.0, milliseconds(lambda: fresh().labels)),
        },
    )


def mask_rows(masks: np.ndarray) -> tuple[int, int, int, dict[str, tuple[float, float]]]:
    """The same for a stack of masks."""
    one = Segmentation.from_masks(masks)
    flat = masks.reshape(len(masks), -1).astype(np.float32)

    def fresh() -> Segmentation:
        return Segmentation.from_runs(one.shape, one.runs)

    def dense_iou() -> np.ndarray:
        shared = flat @ flat.T
        return shared / (flat.sum(1)[:, None] + flat.sum(1) - shared)

    return (
        len(masks),
        masks.nbytes,
        one.runs.nbytes,
        {
            "areas": (milliseconds(lambda: masks.sum((1, 2))), milliseconds(lambda: fresh().areas_px)),
            "boxes": (
                milliseconds(lambda: [ndimage.find_objects(mask.view(np.uint8))[0] for mask in masks]),
                milliseconds(lambda: fresh().boxes),
            ),
            "choose half": (milliseconds(lambda: masks[::2].copy()), milliseconds(lambda: fresh()[::2])),
            "overlap table": (milliseconds(dense_iou), milliseconds(lambda: mask_iou(one, one))),
            "labels to runs": (0.0, milliseconds(lambda: Segmentation.from_masks(masks))),
            "runs to labels": (0.0, milliseconds(lambda: fresh().panoptic())),
        },
    )


def main() -> None:
    """Print the table as Markdown."""
    noise = np.random.default_rng(0).integers(1, 50, (1024, 1024)).astype(np.int32)
    scenes = {
        "k-means pieces of a photograph, 400 x 600": label_rows(photograph()),
        "14,400 cells, 4096 x 4096": label_rows(cells(4096, 0)),
        "512 balls, 256 x 256 x 256": label_rows(balls()),
        "per-pixel noise of 49 labels, 1024 x 1024": label_rows(noise),
        "200 nested discs, 1024 x 1024 (masks)": mask_rows(nested()),
    }
    names = list(next(iter(scenes.values()))[3])
    print("| scene | segments | held, dense | held, runs | " + " | ".join(names) + " |")
    print("|---|---:|---:|---:|" + "---:|" * len(names))
    for scene, (count, dense, runs, rows) in scenes.items():
        cells_ = [f"{d:.3g} → {r:.3g}" if d else f"{r:.3g}" for d, r in rows.values()]
        print(
            f"| {scene} | {count:,} | {dense / 1e6:.2f} MB | {runs / 1e6:.2f} MB | "
            + " | ".join(cells_)
            + " |"
        )


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
