"""Training samples as plain arrays: into a draft, and out of it as a network takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from ...errors import InputError
from .draft import Draft, Truth, looked_up, native

_EVERY_BYTE = np.arange(256, dtype=np.float32)

Arrays = tuple[np.ndarray, np.ndarray | None] | tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
"""Pixels (*S, C), labels (*S,), and the class ids of the segments where labels number segments."""


@dataclass(frozen=True, eq=False)
class Augmented:
    """A training sample: ``pixels`` (*S, C) in the dtype that came and ``labels`` (*S,), in memory of its own.

    ``class_ids`` (N,) and ``kept`` (N,) are there where labels number segments: their classes, and which of those
    that came they are, 0-based, counted on through the samples that were mixed in. After mixup, ``mixed`` has the
    label maps and weights of all samples, and ``labels`` is the one that weighs most.
    """

    untoned: np.ndarray  # the pixels, and what the last tones make of their 8-bit values: done when asked for
    table: np.ndarray | None
    labels: np.ndarray | None
    class_ids: np.ndarray | None
    kept: np.ndarray | None
    void: int | None
    mixed: tuple[tuple[np.ndarray, float], ...] = ()

    @cached_property
    def pixels(self) -> np.ndarray:
        """The pixels (*S, C)."""
        return self.untoned if self.table is None else looked_up(self.untoned, self.table)

    def scores(self, class_ids: Sequence[int]) -> np.ndarray:
        """Soft truth: how much each pixel is of each class, (*S, K) float32. Class 0 is what is nothing.

        Void pixels have no score at all. Without mixup, scores are 0 or 1.
        """
        if self.labels is None:
            raise InputError("scores need a truth, and this sample has none")
        wanted = np.asarray(class_ids)
        scores = np.zeros((*self.labels.shape, len(wanted)), np.float32)
        for labels, weight in self.mixed or ((self.labels, 1.0),):
            classes = labels
            if self.class_ids is not None:
                known = np.concatenate([[0], self.class_ids, [-1]])
                classes = known[labels if self.void is None else np.where(labels == self.void, -1, labels)]
            for index, class_id in enumerate(wanted):
                if class_id != self.void or self.class_ids is not None:
                    scores[..., index] += np.float32(weight) * (classes == class_id)
        return scores

    def floats(self, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0) -> np.ndarray:
        """The pixels as a network takes them, channels first: ``(pixels - mean) / std``, (C, *S) float32.

        Of 8-bit pixels this is one look-up, together with the last tones.
        """
        channels = self.untoned.shape[-1]
        planes = np.empty((channels, *self.untoned.shape[:-1]), np.float32)
        means, stds = (
            np.broadcast_to(np.asarray(each, np.float32), channels).tolist() for each in (mean, std)
        )
        if self.untoned.dtype != np.uint8:
            given = np.moveaxis(self.untoned, -1, 0)
            for found, plane, middle, spread in zip(planes, given, means, stds, strict=True):
                np.subtract(plane, middle, out=found, casting="unsafe")
                found /= spread
            return planes
        values, found = _byte_planes(self.untoned), planes.reshape(channels, self.untoned.shape[0], -1)
        curves = [_EVERY_BYTE] if self.table is None else list(self.table.T.astype(np.float32))
        wanted = set(zip(means, stds, strict=True))
        if len(curves) == 1 and len(wanted) == 1:
            flat = (values.shape[0] * values.shape[1], -1)
            cv2.LUT(values.reshape(flat), (curves[0] - means[0]) / stds[0], dst=found.reshape(flat))
            return planes
        for channel in range(channels):
            curve = curves[min(channel, len(curves) - 1)]
            cv2.LUT(values[channel], (curve - means[channel]) / stds[channel], dst=found[channel])
        return planes


def _byte_planes(pixels: np.ndarray) -> np.ndarray:
    """The channels of 8-bit pixels (H, W, C) or (D, H, W, C), one after the other, (C, H or D, the rest)."""
    flat = pixels.reshape(pixels.shape[0], -1, pixels.shape[-1])
    if flat.shape[-1] not in (3, 4):
        return np.ascontiguousarray(np.moveaxis(flat, -1, 0))
    planes = np.empty((flat.shape[-1], *flat.shape[:2]), np.uint8)
    # to arrays that are there OpenCV splits in 7 us (256 x 256); if it has to make them itself, in 50
    cv2.split(flat, list(planes))
    return planes


def draft_of_arrays(
    pixels: np.ndarray,
    labels: np.ndarray | None,
    class_ids: np.ndarray | None,
    void: int | None,
    spacing: Sequence[float] | None,
    others: Sequence[Arrays],
    settings: dict[str, Any],
) -> Draft:
    """A draft of plain arrays. Raises ``InputError`` where they do not fit together."""
    # plain arrays of those mapped into memory, whose every slice costs a microsecond more
    pixels, labels = np.asarray(pixels), None if labels is None else np.asarray(labels)
    if pixels.ndim not in (3, 4) or pixels.dtype.kind not in "buif" or 0 in pixels.shape:
        raise InputError(
            f"pixels must be numbers (H, W, C) or (D, H, W, C), got {pixels.dtype} of shape {pixels.shape}"
        )
    ndim = pixels.ndim - 1
    if labels is not None and (labels.shape != pixels.shape[:-1] or labels.dtype.kind not in "bui"):
        raise InputError(
            f"labels must be integers {pixels.shape[:-1]}, got {labels.dtype} of shape {labels.shape}"
        )
    steps = None if spacing is None else np.array(spacing, np.float64)
    if steps is not None and (steps.shape != (ndim,) or not (np.isfinite(steps) & (steps > 0)).all()):
        raise InputError(f"spacing must be {ndim} positive numbers, one per axis, got {spacing}")
    ids = None if class_ids is None else np.asarray(class_ids)
    truths = []
    if labels is not None:
        labels = native(labels)
        labels = labels.view(np.uint8) if labels.dtype.kind == "b" else labels
        truths = [Truth([labels]) if ids is None else _numbered(labels, ids, void)]

    def partner(rng: np.random.Generator) -> Draft:
        pixels, labels, *rest = others[int(rng.integers(len(others)))]
        other_ids = rest[0] if rest else None
        return draft_of_arrays(pixels, labels, other_ids, void, spacing, (), settings)

    return Draft(
        pixels,
        truths,
        steps,
        class_ids=ids,
        void_label=void if ids is None else None,
        keeps_void=ids is not None and void is not None,
        partner=partner if len(others) else None,
        **settings,
    )


def _numbered(labels: np.ndarray, class_ids: np.ndarray, void: int | None) -> Truth:
    """A map of segment numbers int32, with void in a map of its own, so that numbers may grow past it."""
    unknown = None if void is None else labels == void
    numbers = labels if unknown is None else np.where(unknown, 0, labels)
    if int(numbers.max()) > len(class_ids) or int(numbers.min()) < 0:
        raise InputError(
            f"labels must number the {len(class_ids)} segments of class_ids, got {numbers.min()} to {numbers.max()}"
        )
    return Truth([numbers.astype(np.int32, copy=False)], None if unknown is None else unknown.view(np.uint8))


def finish_arrays(draft: Draft, min_visible: float, void: int | None) -> Augmented:
    """The arrays of a draft, copied where they are still those that came."""
    table = draft.take_table() if draft.num_values == draft.pixels.shape[-1] else None
    draft.settle()
    class_ids, kept = draft.class_ids, None
    if class_ids is not None:
        kept = drop(draft, min_visible)
        class_ids = class_ids[kept]
    maps = []
    for truth in draft.truths:
        labels = truth.layers[0]
        if truth.void is not None and void is not None:
            labels = np.where(truth.void > 0, np.int32(void), labels)
        maps.append((draft.own(labels), truth.weight))
    most = max(range(len(maps)), key=lambda index: maps[index][1]) if maps else 0
    return Augmented(
        draft.pixels if table is not None else draft.own(draft.pixels),
        table,
        maps[most][0] if maps else None,
        class_ids,
        kept,
        void,
        tuple(maps) if len(maps) > 1 else (),
    )


def drop(draft: Draft, min_visible: float) -> np.ndarray:
    """Drop segments of which too little is left and number the others anew; gives their former places, (M,)."""
    assert draft.class_ids is not None
    count = len(draft.class_ids)
    if draft.areas_px is None:
        return np.arange(count)
    present = draft.present_px()
    gone = (draft.areas_px > 0) & ((present == 0) | (present < min_visible * draft.areas_px))
    kept = np.flatnonzero(~gone)
    if gone.any():
        lookup = np.zeros(count + 1, np.int32)
        lookup[kept + 1] = np.arange(1, len(kept) + 1)
        rest = np.concatenate([[False], gone & (present > 0)])
        for truth in draft.truths:
            if draft.keeps_void and rest.any():
                unknown = np.any([rest[layer] for layer in truth.layers], axis=0).view(np.uint8)
                truth.void = unknown if truth.void is None else truth.void | unknown
            truth.layers = [lookup[layer] for layer in truth.layers]
    return kept
