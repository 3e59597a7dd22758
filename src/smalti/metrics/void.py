"""Void: what nobody labelled is left out of both sides before anything is scored."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..runs import Runs
from ..segmentation import Segmentation


def check_shapes(truth: Segmentation, predicted: Segmentation) -> None:
    """Raise ``InputError`` unless both sides have one shape."""
    if truth.shape != predicted.shape:
        raise InputError(
            f"both sides must have one shape, got {truth.shape} and {predicted.shape}; resample one of them"
        )


def void_of_either(truth: Segmentation, predicted: Segmentation) -> np.ndarray | None:
    """Pixels (*S,) bool that are void on either side; None where there are none."""
    if not (truth.void_px or predicted.void_px):
        return None
    if not (truth.void_px and predicted.void_px):
        return truth.void if truth.void_px else predicted.void
    return truth.void | predicted.void


def both_judged(truth: Segmentation, predicted: Segmentation) -> tuple[Segmentation, Segmentation]:
    """Both sides without the pixels that are void in either; as they are where nothing is.

    Segments keep their numbers and may come out empty. Raises ``InputError`` when the shapes differ.
    """
    check_shapes(truth, predicted)
    if not (truth.void_px or predicted.void_px):
        return truth, predicted
    void = truth.void | predicted.void
    return without(truth, void), without(predicted, void)


def without(segmentation: Segmentation, region: np.ndarray) -> Segmentation:
    """The same segments without their pixels in ``region`` (*S,) bool, which becomes void.

    Segments keep their numbers; one that lies in the region altogether is empty.
    """
    columns: dict[str, Any] = {
        "class_ids": segmentation.class_ids,
        "scores": segmentation.scores,
        "classes": segmentation.classes,
        "geometry": segmentation.geometry,
        "attributes": segmentation.attributes,
        "void": region,
    }
    if not segmentation.overlapping:
        return Segmentation.from_labels(segmentation.labels * ~region, copy=False, **columns)
    # Each segment lies whole in one of the layers: its runs are those of that layer that are not empty.
    layers = segmentation.layers()
    count = len(segmentation)
    layer_of = np.zeros(count, np.int64)
    for number, layer in enumerate(layers):
        present = np.unique(layer)
        layer_of[present[present > 0] - 1] = number
        layer[region] = 0
    runs = Runs.concatenate([Runs.of_labels(layer, count) for layer in layers])
    return Segmentation.from_runs(
        segmentation.shape, runs.take(layer_of * count + np.arange(count)), **columns
    )
