"""What is in the frame: crop, pad, resize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...errors import InputError
from .draft import Draft
from .moves import along_axes, translation
from .spatial import Spatial

Length = Annotated[int, Field(ge=1, le=100_000)]
Size = Annotated[tuple[Length, ...], Field(max_length=3)]


def _size(size: Sequence[int], ndim: int, name: str) -> list[int]:
    """One length for every axis, from as many as there are axes or from one for all."""
    if len(size) not in (1, ndim):
        raise InputError(f"{name}: size must be one number or {ndim}, one per axis, got {tuple(size)}")
    return list(size) * (ndim if len(size) == 1 else 1)


class Crop(Spatial):
    """A piece of a given size, padded where the image is smaller.

    Around ``anywhere``, every place is as likely. Around a ``class``, one of the classes in the image is drawn and
    then a pixel of it, so that rare ones are seen as often as common ones; around a ``segment``, one of them is
    drawn and the middle of its box taken. Where nothing is labelled the place is anywhere. Around the ``center``
    nothing is drawn. A crop is a window: what
    a rotation later in the chain brings into it from outside is the image, not void.
    """

    name: ClassVar[str] = "crop"
    source: ClassVar[str] = (
        "oversampling of the foreground: Isensee et al., nnU-Net, Nature Methods 18 (2021)"
    )

    size: Size = Field(
        (256,), min_length=1, description="Pixels along each axis, z, y, x, or one number for all."
    )
    around: Literal["anywhere", "center", "class", "segment"] = Field(
        "anywhere", description="What the crop is to show."
    )
    jitter: float = Field(
        0.25, ge=0, le=0.5, description="How far from the middle its target may lie, as a share of the crop."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        size = _size(self.size, draft.ndim, self.name)
        targets = None if self.around in ("anywhere", "center") else _target(draft, self.around, rng)
        starts = []
        for axis, (length, wanted) in enumerate(zip(draft.shape, size, strict=True)):
            room = length - wanted
            draw = 0.0 if self.around == "center" else rng.random()
            if room < 0 or self.around == "center":
                start = room // 2
            elif targets is None:
                start = math.floor(draw * (room + 1))
            else:
                middle = targets[axis] + (2 * draw - 1) * self.jitter * wanted
                start = min(room, max(0, round(middle - (wanted - 1) / 2)))
            starts.append(start)
        draft.move(translation(starts), shape=size)


def _target(draft: Draft, around: str, rng: np.random.Generator) -> list[float] | None:
    """A place of a class or segment drawn at random, in pixels of the frame as it is; None where there is none."""
    layers = draft.truths[0].layers if draft.truths else []
    highest = max((int(layer.max()) for layer in layers), default=0)
    if highest <= 0:
        return None
    counts = np.zeros(highest + 1, np.int64)
    for layer in layers:
        counts += np.bincount(layer.reshape(-1), minlength=highest + 1)
    counts[0] = 0
    if draft.void_label is not None and draft.void_label <= highest:
        counts[draft.void_label] = 0
    present = np.flatnonzero(counts)
    if not len(present):
        return None
    if around == "class" and draft.class_ids is not None:
        classes = draft.class_ids[present - 1]
        kinds = np.unique(classes)
        wanted = present[classes == kinds[rng.integers(len(kinds))]]
    else:
        wanted = present[[rng.integers(len(present))]]
    if around == "segment":
        layer = next(layer for layer in layers if (layer == wanted[0]).any())
        point = np.array([(at.min() + at.max()) / 2 for at in np.nonzero(layer == wanted[0])])
    else:
        number = int(rng.integers(counts[wanted].sum()))
        chosen = np.zeros(highest + 1, bool)
        chosen[wanted] = True
        for layer in layers:
            places = np.flatnonzero(chosen[layer.reshape(-1)])
            if number < len(places):
                point = np.array(np.unravel_index(places[number], layer.shape), float)
                break
            number -= len(places)
    return draft.locate(point[np.newaxis])[0].tolist()


class Pad(Spatial):
    """Padded on all sides alike to at least a size, and to a multiple, as networks want it."""

    name: ClassVar[str] = "pad"
    source: ClassVar[str] = "Ronneberger et al., U-Net, MICCAI (2015): sizes that divide by the strides"

    size: Size = Field(
        (), description="At least so many pixels along each axis, z, y, x; one number for all."
    )
    multiple_of: Length = Field(1, description="The length of every axis becomes a multiple of this.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        least = _size(self.size or (1,), draft.ndim, self.name)
        wanted = [max(pair) for pair in zip(draft.shape, least, strict=True)]
        wanted = [-(-length // self.multiple_of) * self.multiple_of for length in wanted]
        if tuple(wanted) != draft.shape:
            starts = [-((wide - length) // 2) for wide, length in zip(wanted, draft.shape, strict=True)]
            draft.move(translation(starts), shape=wanted)


class Resize(Spatial):
    """Brought to a size; smaller by half or more, pixels are averaged. The spacing follows."""

    name: ClassVar[str] = "resize"
    source: ClassVar[str] = "Gonzalez and Woods, Digital Image Processing, 4th ed. (2018), section 2.4"

    size: Size = Field(
        (256,), min_length=1, description="Pixels along each axis, z, y, x, or one number for all."
    )
    fit: Literal["stretch", "inside"] = Field(
        "stretch",
        description="stretch: every axis by itself; inside: shapes are kept, and what is left is void.",
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        size, shape = np.array(_size(self.size, draft.ndim, self.name)), np.array(draft.shape)
        step = shape / size
        if self.fit == "inside":
            step = np.full(draft.ndim, step.max())
        draft.move(along_axes(step, (shape - 1) / 2 - step * (size - 1) / 2), shape=size)
