"""Comparing two segmentations: the overlap table, confusion of classes, IoU of masks and their suppression."""

from __future__ import annotations

import cv2
import numpy as np
from harness import Comparison, row
from pycocotools import mask as coco
from supervision.detection.utils.iou_and_nms import mask_non_max_suppression

from smalti.overlaps import confusion, mask_iou, nms, overlap
from smalti.segmentation import Segmentation

PITCH = 34  # pixels from cell to cell: 14,400 cells on 4096 x 4096


def cells(side: int, seed: int) -> np.ndarray:
    """A label map of round cells of many sizes, each a little off its place in a grid."""
    generator = np.random.default_rng(seed)
    labels = np.zeros((side, side), np.int32)
    yy, xx = np.ogrid[-16:17, -16:17]
    for label, (row_y, row_x) in enumerate(np.ndindex(side // PITCH, side // PITCH), 1):
        y, x = np.array([row_y, row_x]) * PITCH + 17 + generator.integers(-2, 3, 2)
        window = labels[max(y - 16, 0) : y + 17, max(x - 16, 0) : x + 17]
        disc = yy**2 + xx**2 <= generator.integers(80, 225)
        window[disc[-window.shape[0] :, -window.shape[1] :]] = label
    return labels


def blobs(count: int, height: int, width: int, seed: int) -> np.ndarray:
    """Masks (N, H, W) of ellipses of 8 to 100 pixels, anywhere, many of them overlapping."""
    generator = np.random.default_rng(seed)
    masks = np.zeros((count, height, width), np.uint8)
    for mask in masks:
        center = (int(generator.integers(0, width)), int(generator.integers(0, height)))
        axes = tuple(int(axis) for axis in generator.integers(8, 100, 2))
        cv2.ellipse(mask, center, axes, float(generator.integers(0, 180)), 0, 360, 1, -1)
    return masks.astype(bool)


def cell_overlap() -> Comparison:
    """The table of two label maps of cells, with the areas, from the maps."""
    truth, predicted = cells(4096, 0), cells(4096, 1)

    def by_unique() -> tuple[np.ndarray, np.ndarray]:
        return np.unique(truth.astype(np.int64) << 32 | predicted, return_counts=True)

    def agree(peer: tuple[np.ndarray, np.ndarray], ours: object) -> bool:
        both = (peer[0] >> 32 > 0) & (peer[0] & 0xFFFFFFFF > 0)
        keys = ours.truth.astype(np.int64) << 32 | ours.predicted  # type: ignore[attr-defined]
        return np.array_equal(peer[0][both], keys) and np.array_equal(peer[1][both], ours.pixels)  # type: ignore[attr-defined]

    return Comparison(
        by_unique,
        lambda: overlap(truth, predicted),
        agree,
        "14,400 cells a side, from the label maps; np.unique of 64-bit keys, which numpy 2.3 and later hashes instead "
        "of sorting. Limited by 1.4 million stretches and by reading 134 MB twice",
    )


row("overlap-4096", peer="numpy np.unique", target=10)(cell_overlap)
row("overlap-4096-memory", peer="numpy np.unique", what="memory", limit_mb=50)(cell_overlap)


@row("confusion-19", peer="numpy bincount", target=6)
def class_confusion() -> Comparison:
    """Confusion of two maps of 19 classes, as for street scenes."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 19, (32, 64), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
    predicted = truth.copy()
    wrong = generator.random(truth.shape) < 0.1
    predicted[wrong] = generator.integers(0, 19, int(wrong.sum()))
    predicted = cv2.medianBlur(predicted, 5)
    truth[generator.random(truth.shape) < 0.001] = 255

    def by_bincount() -> np.ndarray:
        counted = truth < 19
        return np.bincount(19 * truth[counted].astype(int) + predicted[counted], minlength=361).reshape(
            19, 19
        )

    return Comparison(
        by_bincount,
        lambda: confusion(truth, predicted, 19, void=255),
        np.array_equal,
        "1024 x 2048 uint8, void 255; the histogram of 19 * truth + predicted, as FCN's and torchvision's scripts do",
    )


@row("mask-iou", peer="pycocotools", target=1)
def all_pairs_iou() -> Comparison:
    """IoU of 100 masks with 100 others, each library from its own run lengths."""
    masks, others = blobs(100, 480, 640, 0), blobs(100, 480, 640, 1)
    peers = [
        coco.encode(np.asfortranarray(side.transpose(1, 2, 0).view(np.uint8))) for side in (masks, others)
    ]
    ours = [Segmentation.from_masks(side) for side in (masks, others)]
    return Comparison(
        lambda: coco.iou(*peers, [0] * 100),
        lambda: mask_iou(*ours),
        lambda peer, own: np.allclose(peer, own),
        "100 x 100 masks of 480 x 640, both from run lengths",
    )


@row("mask-nms", peer="supervision mask_non_max_suppression", target=5)
def suppression() -> Comparison:
    """Greedy suppression of 100 masks, both from the dense masks."""
    masks = blobs(100, 480, 640, 2)
    scores = np.random.default_rng(3).permutation(np.linspace(0.1, 1, 100))
    boxes = Segmentation.from_masks(masks).boxes[:, [1, 0, 3, 2]]
    rows = np.column_stack([boxes, scores, np.zeros(100)])

    def ours() -> np.ndarray:
        return nms(Segmentation.from_masks(masks, scores=scores), 0.3).scores

    return Comparison(
        lambda: mask_non_max_suppression(rows, masks, 0.3),
        ours,
        lambda peer, own: np.array_equal(np.sort(scores[peer]), np.sort(own)),
        "100 masks of 480 x 640, from dense masks; no longer side above 640, where supervision would resize them",
    )
