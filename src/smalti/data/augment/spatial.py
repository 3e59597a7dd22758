"""Where pixels lie: flips, turns, rotation, scale, shift, shear, elastic, perspective, crop, pad, resize."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from .augmentation import (
    Augmentation,
    Degrees,
    Kind,
    Ratios,
    SignedShares,
    Span,
    Within,
    between,
    between_ratios,
)
from .draft import Draft
from .moves import Bend, Rows, about, along_axes, translation

Axis = Literal["z", "y", "x"]

_FINER = 4  # times as close as its points is a bend refined


class Spatial(Augmentation):
    """What moves pixels. All moves of a chain are joined, and pixels are sampled once."""

    kind: ClassVar[Kind] = "spatial"


def _axis(name: Axis, ndim: int) -> int | None:
    """Index of an axis by name; None for z of a picture."""
    index = "zyx".index(name) - (3 - ndim)
    return index if index >= 0 else None


def _move_about_middle(draft: Draft, linear: np.ndarray | Rows) -> None:
    """Move by a linear map of places in units of the spacing; coarse axes stay."""
    if draft.spacing is not None:
        linear = np.array(linear)
        coarse = ~draft.turning
        linear[coarse] = 0
        linear[:, coarse] = 0
        linear[coarse, coarse] = 1
        linear = linear * draft.spacing / draft.spacing[:, np.newaxis]
    draft.move(about([(length - 1) / 2 for length in draft.shape], linear))


class Flip(Spatial):
    """Turned over along one axis."""

    name: ClassVar[str] = "flip"
    source: ClassVar[str] = (
        "Krizhevsky et al., ImageNet classification with deep CNNs, NIPS (2012), section 4.1"
    )

    probability: float = Field(0.5, ge=0, le=1, description="Share of samples that are changed.")
    axis: Axis = Field(
        "x", description="Axis that is reversed: x left and right, y up and down, z the slices."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        axis = _axis(self.axis, draft.ndim)
        if axis is not None:
            scales, offsets = [1.0] * draft.ndim, [0.0] * draft.ndim
            scales[axis], offsets[axis] = -1.0, draft.shape[axis] - 1.0
            draft.move(along_axes(scales, offsets))


class QuarterTurn(Spatial):
    """Turned in the plane of y and x by a multiple of 90 degrees, pixel by pixel."""

    name: ClassVar[str] = "quarter-turn"
    source: ClassVar[str] = (
        "Cohen and Welling, Group equivariant convolutional networks, ICML (2016): the group p4m"
    )

    turns: tuple[Literal[0, 1, 2, 3], ...] = Field(
        (0, 1, 2, 3),
        min_length=1,
        description="Quarter turns, one of which is drawn; anticlockwise on a screen.",
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        y, x = draft.ndim - 2, draft.ndim - 1
        for _ in range(self.turns[int(rng.integers(len(self.turns)))]):
            height, width = draft.shape[-2:]
            matrix = np.eye(draft.ndim + 1)
            matrix[[y, x], [y, x]] = 0
            matrix[y, x], matrix[x, y], matrix[x, -1] = 1, -1, width - 1
            draft.move(matrix, shape=(*draft.shape[:-2], width, height))


class Rotate(Spatial):
    """Rotated about the middle, in a volume by its spacing; beyond the image lies void."""

    name: ClassVar[str] = "rotate"
    source: ClassVar[str] = "Simard et al., Best practices for convolutional neural networks, ICDAR (2003)"

    degrees: Degrees = Field((-30.0, 30.0), description="In the plane of y and x, anticlockwise on a screen.")
    tilt_degrees: Degrees = Field(
        (-15.0, 15.0), description="Of a volume: about the x and about the y axis, too."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        angle = math.radians(between(self.degrees, rng))
        flat = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
        linear: np.ndarray | Rows = flat
        if draft.ndim == 3:
            turns = draft.turning
            linear = np.eye(3)
            if turns[1] and turns[2]:
                linear[1:, 1:] = flat
            for other in (2, 1):
                angle = math.radians(between(self.tilt_degrees, rng))
                turn = np.eye(3)
                turn[0, 0] = turn[other, other] = math.cos(angle)
                turn[0, other], turn[other, 0] = math.sin(angle), -math.sin(angle)
                if turns[0] and turns[other]:
                    linear = linear @ turn
        _move_about_middle(draft, linear)


class Scale(Spatial):
    """Larger or smaller about the middle, in a frame of the same size; the spacing follows."""

    name: ClassVar[str] = "scale"
    source: ClassVar[str] = "Krizhevsky et al., NIPS (2012); Simard et al., ICDAR (2003)"

    factor: Ratios = Field((0.75, 1.33), description="How much larger things become; drawn as a ratio.")
    stretch: Ratios = Field((1.0, 1.0), description="Height against width, drawn as a ratio; 1 keeps shapes.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        factor, stretch = between_ratios(self.factor, rng), between_ratios(self.stretch, rng)
        y, x = 1 / (factor * math.sqrt(stretch)), math.sqrt(stretch) / factor
        rows = (
            [[y, 0.0], [0.0, x]]
            if draft.ndim == 2
            else [[1 / factor, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, x]]
        )
        _move_about_middle(draft, rows)


class Shift(Spatial):
    """Moved along every axis."""

    name: ClassVar[str] = "shift"
    source: ClassVar[str] = "Simard et al., Best practices for convolutional neural networks, ICDAR (2003)"

    share: SignedShares = Field((-0.1, 0.1), description="Along each axis, as a share of the image's length.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        draft.move(translation([-between(self.share, rng) * length for length in draft.shape]))


class Shear(Spatial):
    """Slanted: x moves with y."""

    name: ClassVar[str] = "shear"
    source: ClassVar[str] = "Simard et al., Best practices for convolutional neural networks, ICDAR (2003)"

    degrees: Annotated[Span, Within(-60, 60)] = Field((-10.0, 10.0), description="Slant of what was upright.")

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        linear = np.eye(draft.ndim)
        linear[-1, -2] = np.tan(np.deg2rad(between(self.degrees, rng)))
        if draft.turning[-2:].all():
            _move_about_middle(draft, linear)


class Elastic(Spatial):
    """Bent smoothly: a grid of points is displaced at random, with cubic curves between them."""

    name: ClassVar[str] = "elastic"
    source: ClassVar[str] = (
        "Simard et al., ICDAR (2003); on a grid as in Ronneberger et al., U-Net, MICCAI (2015)"
    )

    amplitude_px: Annotated[Span, Within(0, 200)] = Field(
        (1.0, 4.0), description="Standard deviation of the displacement, in pixels of the finest axis."
    )
    distance_px: float = Field(
        64.0, ge=4, le=10_000, description="Between neighbouring points, in pixels of the finest axis."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        ratio = draft.coarseness
        step = np.maximum(self.distance_px / ratio, 1.0)
        counts = [
            int(np.ceil((length - 1) / each)) + 3 for length, each in zip(draft.shape, step, strict=True)
        ]
        amplitude = between(self.amplitude_px, rng)
        offsets = rng.standard_normal((*counts, draft.ndim), np.float32) * np.float32(amplitude)
        offsets = (offsets / ratio * draft.turning).astype(np.float32)
        refined = _refined(offsets, _FINER)
        draft.move(bend=Bend(refined, -step, step / _FINER))


def _refined(offsets: np.ndarray, times: int) -> np.ndarray:
    """Points ``times`` as close along every axis, from cubic curves, so that straight lines between look smooth."""
    for axis in range(offsets.ndim - 1):
        lined = np.moveaxis(offsets, axis, 0)
        flat = np.ascontiguousarray(lined).reshape(len(lined), -1)
        fine = (len(lined) - 1) * times + 1
        rows = np.arange(fine, dtype=np.float32)[:, np.newaxis] / np.float32(times)
        ys, xs = np.broadcast_arrays(rows, np.arange(flat.shape[1], dtype=np.float32))
        smooth = cv2.remap(
            flat,
            np.ascontiguousarray(xs),
            np.ascontiguousarray(ys),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        offsets = np.moveaxis(smooth.reshape(fine, *lined.shape[1:]), 0, axis)
    return np.ascontiguousarray(offsets)


class Perspective(Spatial):
    """Seen from another place: the four corners move, each by itself."""

    name: ClassVar[str] = "perspective"
    ndims: ClassVar[tuple[int, ...]] = (2,)
    source: ClassVar[str] = "Hartley and Zisserman, Multiple View Geometry, 2nd ed. (2004), section 2.3"

    share: Annotated[Span, Within(0, 0.4)] = Field(
        (0.0, 0.1), description="How far corners move at most, as a share of the image's sides."
    )

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        height, width = draft.shape
        far = np.array([width, height], np.float32) - 1
        corners_xy = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * far
        strength = between(self.share, rng)
        sources_xy = corners_xy + (rng.random((4, 2)) * 2 - 1).astype(np.float32) * strength * far
        if min(far) > 0:
            matrix = cv2.getPerspectiveTransform(corners_xy, sources_xy.astype(np.float32))
            draft.move(matrix[[1, 0, 2]][:, [1, 0, 2]])
