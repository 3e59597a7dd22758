"""Several samples in one: mosaic, copy-paste of segments, mixup."""

from __future__ import annotations

from itertools import product
from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field

from ...errors import InputError
from .augmentation import Augmentation, Kind, Ratios, Shares, between, between_ratios
from .draft import Draft, Truth
from .moves import along_axes, translation
from .warp import Warp

_GONE = 1e30  # area of a segment that is not pasted: nothing that is there is enough of it


class Mixing(Augmentation):
    """What takes pixels and truth of other samples; where there are no others, of the same one."""

    kind: ClassVar[Kind] = "mixing"


class Mosaic(Mixing):
    """Pieces of four samples (eight volumes) side by side around a point, in a frame of the same size."""

    name: ClassVar[str] = "mosaic"
    source: ClassVar[str] = "Bochkovskiy, Wang and Liao, YOLOv4, arXiv 2004.10934 (2020)"

    center: Shares = Field(
        (0.3, 0.7), description="Where the pieces meet, as a share of each axis, each drawn."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        draft.settle()
        shape = draft.shape
        cuts = [min(length, max(0, round(between(self.center, rng) * length))) for length in shape]
        cells = [
            tuple(
                slice(0, cut) if first else slice(cut, length)
                for first, cut, length in zip(sides, cuts, shape, strict=True)
            )
            for sides in product((True, False), repeat=draft.ndim)
        ]
        cells = [
            cells[k] for k in rng.permutation(len(cells)) if all(part.start < part.stop for part in cells[k])
        ]
        pieces = [draft.clone(), *(draft.another(rng) for _ in cells[1:])]
        draft.count_areas()
        pixels = np.empty((*shape, draft.pixels.shape[-1]), draft.pixels.dtype)
        whole: list[tuple[tuple[slice, ...], list[np.ndarray], np.ndarray | None]] = []
        for number, (cell, piece) in enumerate(zip(cells, pieces, strict=True)):
            piece.count_areas()
            _cut(piece, [part.stop - part.start for part in cell], rng)
            offset = draft.join(piece) if number else 0
            pixels[cell] = piece.pixels
            if piece.truths:
                whole.append(
                    (cell, [_raised(layer, offset) for layer in piece.truths[0].layers], piece.truths[0].void)
                )
        draft.pixels = pixels
        if whole:
            dtype = np.result_type(*(layer.dtype for _, layers, _ in whole for layer in layers))
            joined = Truth(
                [np.zeros(shape, dtype) for _ in range(max(len(layers) for _, layers, _ in whole))]
            )
            if any(void is not None for *_, void in whole):
                joined.void = np.zeros(shape, np.uint8)
            for cell, layers, void in whole:
                for target, layer in zip(joined.layers, layers, strict=False):
                    target[cell] = layer
                if void is not None and joined.void is not None:
                    joined.void[cell] = void
            draft.truths = [joined]


def _cut(piece: Draft, size: list[int], rng: np.random.Generator) -> None:
    """A random piece of ``size``, with void around where it is smaller."""
    room = np.array(piece.shape) - size
    start = np.where(room >= 0, np.floor(rng.random(len(size)) * (room + 1)), room // 2)
    piece.settle()
    piece.move(translation(start), shape=size)
    piece.settle()


def _raised(layer: np.ndarray, offset: int) -> np.ndarray:
    """Numbers above 0 raised by ``offset``, in a type that holds them."""
    if not offset:
        return layer
    layer = layer.astype(np.int32)
    layer[layer > 0] += offset
    return layer


class CopyPaste(Mixing):
    """Segments of another sample pasted at random places, in front of what is there.

    They may be mirrored and change their size. What they hide is theirs in the truth as well. Where classes tell,
    only things are copied. Needs segments: of a map of classes nobody knows where one thing ends.
    """

    name: ClassVar[str] = "copy-paste"
    source: ClassVar[str] = (
        "Ghiasi et al., Simple copy-paste is a strong data augmentation method, CVPR (2021)"
    )

    count: tuple[Annotated[int, Field(ge=0, le=1000)], Annotated[int, Field(ge=0, le=1000)]] = Field(
        (1, 5), description="Fewest and most segments that are pasted."
    )
    factor: Ratios = Field((0.75, 1.33), description="How much larger they become; drawn as a ratio.")
    blend_px: float = Field(0.7, ge=0, le=20, description="Width of the seam in which both images are seen.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        if draft.class_ids is None:
            raise InputError(
                "copy-paste needs segments, and the labels are classes; give class_ids of the segments"
            )
        draft.settle()
        source = draft.another(rng)
        source.settle()
        present = source.present_px() > 0
        candidates = np.flatnonzero(present if source.things is None else present & source.things)
        fewest, most = min(self.count), max(self.count)
        wanted = min(len(candidates), int(rng.integers(fewest, most + 1)))
        if not wanted or not draft.truths:
            return
        chosen = rng.permutation(candidates)[:wanted]
        bent = draft.bent
        offset = draft.join(source)
        draft.bent = bent  # the frame is still the same
        assert draft.areas_px is not None
        draft.areas_px[offset:] = _GONE
        draft.pixels = draft.pixels.copy()
        for truth in draft.truths:
            truth.layers = [layer.astype(np.int32) for layer in truth.layers]
            truth.void = None if truth.void is None else truth.void.copy()
        for index in chosen.tolist():
            self._paste(draft, source, index + 1, offset, rng)

    def _paste(self, draft: Draft, source: Draft, number: int, offset: int, rng: np.random.Generator) -> None:
        layer = next(each for each in source.truths[0].layers if (each == number).any())
        places = np.nonzero(layer == number)
        low = np.array([at.min() for at in places])
        size = np.array([at.max() for at in places]) + 1 - low
        factors = np.where(source.turning, between_ratios(self.factor, rng), 1.0)
        out = np.maximum(1, np.rint(size * factors)).astype(int)
        step = size / out
        first = low + (size - 1) / 2 - step * (out - 1) / 2
        if rng.random() < 0.5:
            first[-1] += step[-1] * (out[-1] - 1)
            step[-1] *= -1
        warp = Warp(layer.shape, tuple(out.tolist()), [along_axes(step, first)], "mirror")
        mask = warp.on_labels((layer == number).view(np.uint8), 0)
        pixels = warp.on_pixels(source.pixels, 0.0, draft.interpolation)
        assert draft.areas_px is not None
        area = int(mask.sum())
        draft.areas_px[offset + number - 1] = area if area else _GONE
        start = np.floor(rng.random(draft.ndim) * draft.shape).astype(int) - out // 2
        low, high = np.maximum(start, 0), np.minimum(start + out, draft.shape)
        if not area or (low >= high).any():
            return
        place = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        part = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        inside = mask[part] > 0
        under = draft.pixels[place]
        if self.blend_px > 0 and draft.ndim == 2 and draft.pixels.dtype.kind != "b":
            share = cv2.GaussianBlur(
                mask.astype(np.float32), (0, 0), self.blend_px, borderType=cv2.BORDER_CONSTANT
            )
            share = (share[part] * inside)[..., np.newaxis]
            mixed = under + share * (pixels[part].astype(np.float64) - under)
            under[...] = np.rint(mixed) if under.dtype.kind in "ui" else mixed
        else:
            under[inside] = pixels[part][inside]
        for truth in draft.truths:
            for depth, layer in enumerate(truth.layers):
                layer[place][inside] = offset + number if depth == 0 else 0
            if truth.void is not None:
                truth.void[place][inside] = 0


class Mixup(Mixing):
    """Two samples shown through each other; the truth of each counts as much as its pixels.

    The truth becomes soft: ``Augmented.scores`` gives a score for each class, and of segments all are kept, with
    their scores times their sample's share. No other step that mixes may follow.
    """

    name: ClassVar[str] = "mixup"
    source: ClassVar[str] = "Zhang et al., mixup: beyond empirical risk minimization, ICLR (2018)"

    alpha: float = Field(
        0.4, gt=0, le=100, description="Of the Beta distribution of shares: small is nearly one sample."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        draft.settle()
        share = float(rng.beta(self.alpha, self.alpha))
        other = draft.another(rng)
        other.count_areas()
        _cut(other, list(draft.shape), rng)
        bent = draft.bent
        offset = draft.join(other)
        draft.bent = bent  # the frame is still the same
        if draft.pixels.dtype.kind == "b":
            raise InputError("mixup needs values, and these pixels are bool")
        mixed = draft.floats() * share + other.floats() * (1 - share)
        draft.put(mixed)
        for truth in draft.truths:
            truth.weight *= share
        draft.truths = draft.truths + [
            Truth([_raised(layer, offset) for layer in truth.layers], truth.void, truth.weight * (1 - share))
            for truth in other.truths
        ]
