"""Scores of classes and panoptic quality: from arrays, and resampled by the thousand."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness import Comparison, row

from smalti.classes import Class, ClassSet
from smalti.metrics.interval import interval, resamples
from smalti.metrics.panoptic import Panoptic, panoptic_quality
from smalti.metrics.semantic import class_scores
from smalti.overlaps import confusion
from smalti.segmentation import Segmentation

PLAIN = Path(__file__).resolve().parents[1] / "tests" / "golden" / "make_panoptic.py"


def street() -> tuple[np.ndarray, np.ndarray]:
    """Two maps of 19 classes, 1024 x 2048 uint8, in patches, a tenth of them of another class."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 19, (32, 64), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
    predicted = truth.copy()
    wrong = generator.random(truth.shape) < 0.1
    predicted[wrong] = generator.integers(0, 19, int(wrong.sum()))
    return truth, cv2.medianBlur(predicted, 5)


def our_iou(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The confusion of two maps, the IoU of each class and their mean last."""
    pixels = np.zeros((20, 20))
    pixels[1:, 1:] = confusion(truth, predicted, 19)
    scores = class_scores(np.diagonal(pixels), pixels.sum(axis=1), pixels.sum(axis=0))
    return np.append(scores["iou"], scores["mean_iou"])


if find_spec("torchmetrics"):

    @row("miou-torchmetrics", peer="torchmetrics segmentation.MeanIoU", target=100)
    def mean_iou() -> Comparison:
        """Confusion and mean IoU of one street scene."""
        import torch
        from torchmetrics.segmentation import MeanIoU

        truth, predicted = street()
        tensors = [torch.from_numpy(side[None].astype(np.int64)) for side in (predicted, truth)]

        def peer() -> np.ndarray:
            metric = MeanIoU(num_classes=19, per_class=True, input_format="index")
            metric.update(*tensors)
            iou = metric.compute()
            return np.append(iou.numpy(), float(iou.mean()))

        return Comparison(
            peer,
            lambda: our_iou(truth, predicted),
            lambda theirs, own: np.allclose(theirs, own, atol=1e-6),
            "1024 x 2048, 19 classes, IoU of each and the mean; torchmetrics from int64 tensors, which it makes "
            "one-hot, ours from the uint8 maps. On the CPU, one thread",
        )

    @row("miou-jaccard", peer="torchmetrics MulticlassJaccardIndex")
    def jaccard() -> Comparison:
        """The same against torchmetrics' other way, which counts a confusion table."""
        import torch
        from torchmetrics.classification import MulticlassJaccardIndex

        truth, predicted = street()
        tensors = [torch.from_numpy(side[None].astype(np.int64)) for side in (predicted, truth)]

        def peer() -> np.ndarray:
            metric = MulticlassJaccardIndex(num_classes=19, average=None)
            metric.update(*tensors)
            iou = metric.compute()
            return np.append(iou.numpy(), float(iou.mean()))

        return Comparison(
            peer,
            lambda: our_iou(truth, predicted),
            lambda theirs, own: np.allclose(theirs, own, atol=1e-6),
            "as miou-torchmetrics, against its metric that counts a confusion table, checks of the input included",
        )


def regions(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map that numbers the pixels nearest to each point from 1."""
    marks = np.ones(shape, np.uint8)
    marks[points[:, 0], points[:, 1]] = 0
    _, nearest = cv2.distanceTransformWithLabels(marks, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    order = np.zeros(nearest.max() + 1, np.int32)
    order[nearest[points[:, 0], points[:, 1]]] = np.arange(1, len(points) + 1)
    return order[nearest]


@row("pq-arrays", peer="numpy the paper's algorithm", target=5)
def panoptic_arrays() -> Comparison:
    """PQ of pictures of Cityscapes' size, from the maps of ids."""
    plain: dict[str, Any] = runpy.run_path(str(PLAIN))
    classes = ClassSet(
        [Class(k, f"class {k}", (k, k, k), k <= 80) for k in range(1, 134)]
    )  # as many as COCO has, of each kind
    generator = np.random.default_rng(0)
    images = []
    for _ in range(3):
        points = np.unique(generator.integers(0, 1024, (64, 2)) * [1, 2], axis=0)
        kinds = np.concatenate(
            [generator.integers(1, 81, len(points) - 6), 81 + generator.permutation(53)[:6]]
        )
        truth = regions(points, (1024, 2048))
        predicted = regions(
            np.clip(points + generator.integers(-24, 25, points.shape), 0, [1023, 2047]), (1024, 2048)
        )
        truth[generator.integers(0, 900) :][:100, :800] = 0
        kept = [np.unique(side[side > 0]) for side in (truth, predicted)]
        images.append((truth, predicted, kinds, *kept))

    def peer() -> np.ndarray:
        parts = []
        for truth, predicted, kinds, seen, other in images:
            class_of = [{int(k): int(kinds[k - 1]) for k in each} for each in (seen, other)]
            parts.append(plain["plain_counts"](truth, class_of[0], predicted, class_of[1], set()))
        total = plain["summed"](parts)
        return np.array([total.get(k, [0, 0, 0, 0]) for k in range(1, 134)])

    def ours() -> np.ndarray:
        total = None
        for truth, predicted, kinds, *_ in images:
            sides = (
                Segmentation.from_labels(
                    truth, class_ids=kinds, classes=classes, void=truth == 0, copy=False
                ),
                Segmentation.from_labels(predicted, class_ids=kinds, classes=classes, copy=False),
            )
            quality = panoptic_quality(*sides)
            total = quality if total is None else total + quality
        assert total is not None
        return np.stack([total.matched_iou, total.found, total.extra, total.missed], axis=1)

    return Comparison(
        peer,
        ours,
        np.allclose,
        "3 images of 1024 x 2048 with 64 segments of 133 classes and void, from the maps of ids to the counts of each "
        "class; peer is tests/golden/make_panoptic.py: np.unique of pairs and dictionaries, as the reference has it",
    )


@row("bootstrap-pq", peer="numpy resampling image by image", repeats=1)
def resampled_pq() -> Comparison:
    """The 95 % interval of PQ over 5,000 images of 100 classes; below 2 seconds is wanted."""
    classes = ClassSet.from_names([f"class {k}" for k in range(100)])
    generator = np.random.default_rng(0)
    objects = generator.poisson(np.geomspace(2, 0.02, 100), (5000, 100))
    found = generator.binomial(objects, np.linspace(0.9, 0.4, 100))
    extra = generator.poisson(0.1 * np.geomspace(2, 0.02, 100), (5000, 100))
    kept = np.concatenate([0.8 * found, found, objects - found, extra], axis=1)
    metric = Panoptic(classes)
    weights = resamples(len(kept), count=1000)

    def peer() -> list[float]:
        scores = []
        for draw in weights.astype(np.int64):
            total = kept[np.repeat(np.arange(len(kept)), draw)].sum(axis=0)
            scores.append(float(metric.of_totals(total[None])["pq"][0]))
        return [float(end) for end in np.quantile(scores, [0.025, 0.975])]

    def ours() -> list[float]:
        pq = interval(metric, list(kept), method="percentile", widened=False)["pq"]
        return [float(pq.low), float(pq.high)]

    return Comparison(
        peer,
        ours,
        lambda theirs, own: np.allclose(theirs, own),
        "1,000 resamples of the 12 scores of PQ, 5,000 images, 100 classes, drawing included; wanted below 2 s. Peer "
        "gathers and sums the drawn images, draws given",
    )
