"""Coarse mask logits to the segments of the image, without planes of the image's size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import compiled
from ..classes import ClassSet
from ..errors import InputError
from ..geometry import Geometry
from ..runs import Runs, index_array
from ..segmentation import Segmentation

ONCE, TWICE = 2.0**-20, 2.0**-19
"""Shares of the threshold: between values farther from it than that, rounding reaches it by no interpolation."""
SMALLEST = 1e-37
"""The same where the threshold is near 0: a value that no interpolation rounds to 0."""


def segments_from_logits(
    logits: np.ndarray,
    size_hw: Sequence[int],
    *,
    threshold: float = 0.0,
    boxes: np.ndarray | None = None,
    class_ids: Iterable[int] | None = None,
    scores: Iterable[float] | None = None,
    classes: ClassSet | None = None,
    geometry: Geometry | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Segmentation:
    """One segment per plane of ``logits`` (N, h, w): where it is above ``threshold`` once interpolated to ``size_hw``.

    The pixels are those of torch's ``interpolate(logits, size_hw, mode="bilinear", align_corners=False) > threshold``,
    which most networks that give masks are followed by. They are told in float32, products fused and in the order
    torch has on processors with AVX2, and so bit for bit the same there. torch itself rounds otherwise for exactly
    three planes at once, for sizes whose height and width sum to at most 128, and on other devices; a pixel can
    differ then where its value is within rounding of the threshold. Whatever the size, up or down, only the outlines
    are worked on: 12 planes of 270 x 480 to 2160 x 3840 take milliseconds and the memory of their runs
    (``masks-4k-interpolate`` in ``docs/results.md``).

    ``logits`` are finite floats of any size, computed with as float32. ``boxes`` (N, 4) int, ``ymin, xmin, ymax,
    xmax`` half open in pixels of the image as in ``Segmentation.boxes``, cut each segment; networks that tell masks
    inside of boxes want that. Segment k is plane k: segments may overlap, and those without a pixel are kept as
    empty ones; ``found[found.areas_px > 0]`` drops them, ``found.panoptic()`` gives each pixel to the surest segment.
    The rest is as in ``Segmentation.from_masks``. Raises ``InputError`` for other shapes and for NaN or infinity.

    >>> logits = np.array([[[-1.0, 1.0], [-1.0, 1.0]]])
    >>> segments_from_logits(logits, (2, 6)).labels
    array([[0, 0, 0, 1, 1, 1],
           [0, 0, 0, 1, 1, 1]], dtype=int32)
    """
    planes, height, width = _checked_planes(logits), *_checked_size("size_hw", size_hw)
    axis_y = compiled.levels.axis_weights(planes.shape[1], height)
    axis_x = compiled.levels.axis_weights(planes.shape[2], width)
    found = compiled.levels.level_runs(
        planes,
        planes.view(np.int32),
        axis_y,
        axis_x,
        _levels(threshold, ONCE),
        _checked_boxes(boxes, len(planes), height, width),
    )
    columns = {"class_ids": class_ids, "scores": scores, "classes": classes}
    return _segmentation(found, (height, width), columns, geometry, attributes)


def segments_from_padded_logits(
    logits: np.ndarray,
    size_hw: Sequence[int],
    *,
    input_hw: Sequence[int],
    valid_hw: Sequence[int],
    threshold: float = 0.0,
    boxes: np.ndarray | None = None,
    class_ids: Iterable[int] | None = None,
    scores: Iterable[float] | None = None,
    classes: ClassSet | None = None,
    geometry: Geometry | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Segmentation:
    """As ``segments_from_logits`` where the network saw the image resized and padded.

    ``input_hw`` is the size of what the network was given, padding included, and ``valid_hw`` of its upper left part
    that shows the image. ``logits`` (N, h, w) cover all of the input: they are interpolated to ``input_hw``, cut to
    ``valid_hw`` and interpolated to ``size_hw``, as ``post_process_masks`` of transformers' ``SamImageProcessor`` does
    for Segment Anything, with the same pixels. With ``valid_hw = input_hw`` that is a size in between, which some
    networks' post-processing goes through. Where the padding is a whole number of the logits' own rows and columns
    and nobody's results are to be met, cut it off and use ``segments_from_logits``, which interpolates once.

    Raises ``InputError`` as that does, and for a valid part larger than the input.
    """
    planes, height, width = _checked_planes(logits), *_checked_size("size_hw", size_hw)
    input_height, input_width = _checked_size("input_hw", input_hw)
    valid = _checked_size("valid_hw", valid_hw)
    if valid[0] > input_height or valid[1] > input_width:
        raise InputError(
            f"valid_hw is the part of the input that shows the image, at most {input_height} x {input_width}, "
            f"got {valid[0]} x {valid[1]}"
        )
    weights = compiled.levels.axis_weights
    found = compiled.levels.stretched_level_runs(
        planes,
        planes.view(np.int32),
        (weights(planes.shape[1], input_height), weights(planes.shape[2], input_width)),
        valid,
        weights(valid[0], height),
        weights(valid[1], width),
        (_levels(threshold, TWICE), _levels(threshold, ONCE)),
        _checked_boxes(boxes, len(planes), height, width),
    )
    columns = {"class_ids": class_ids, "scores": scores, "classes": classes}
    return _segmentation(found, (height, width), columns, geometry, attributes)


def _segmentation(
    found: tuple[np.ndarray, np.ndarray, np.ndarray, int],
    shape: tuple[int, int],
    columns: dict[str, Any],
    geometry: Geometry | None,
    attributes: Mapping[str, Any] | None,
) -> Segmentation:
    offsets, start, stop, sound = found
    if sound < len(offsets) - 1:
        raise InputError(
            f"logits must be finite numbers, got NaN or infinity in plane {sound}; NaN says that the network or what "
            "it was given is broken, infinity can be clipped: np.clip(logits, -1e4, 1e4)"
        )
    dtype = index_array(math.prod(shape)).dtype
    runs = Runs(offsets, start.astype(dtype), stop.astype(dtype))
    return Segmentation(shape, len(runs), runs=runs, geometry=geometry, attributes=attributes, **columns)


def _checked_planes(logits: np.ndarray) -> np.ndarray:
    planes = np.asarray(logits)
    if planes.ndim != 3 or 0 in planes.shape[1:]:
        raise InputError(
            f"logits must be (N, h, w) with at least one value a plane, got shape {planes.shape}"
        )
    if planes.dtype.kind != "f":
        raise InputError(
            f"logits must be floats, before any threshold, got {planes.dtype}; masks that are bool go to "
            "Segmentation.from_masks"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is told as infinity
        return np.require(planes, np.float32, ["C", "W"])  # read-only arrays would be compiled for once more


def _checked_size(name: str, size_hw: Sequence[int]) -> tuple[int, int]:
    size = np.asarray(size_hw)
    if size.shape != (2,) or size.dtype.kind not in "ui" or (size < 1).any():
        raise InputError(f"{name} must be (height, width), whole numbers of at least 1, got {size_hw}")
    return int(size[0]), int(size[1])


def _checked_boxes(boxes: np.ndarray | None, count: int, height: int, width: int) -> np.ndarray:
    if boxes is None:
        return np.tile(np.array([0, 0, height, width]), (count, 1))
    given = np.asarray(boxes)
    if given.shape != (count, 4) or given.dtype.kind not in "ui":
        raise InputError(
            f"boxes must be ({count}, 4) whole numbers, ymin, xmin, ymax, xmax of each plane in pixels of the image, "
            f"got {given.dtype} of shape {given.shape}"
        )
    return np.clip(given.astype(np.int64), 0, [height, width, height, width])


def _levels(threshold: float, share: float) -> tuple[float, np.float32, np.float32]:
    """The threshold in float32, what is surely out and what is surely in whatever it is interpolated with."""
    level = float(np.float32(threshold))
    if not math.isfinite(level):
        raise InputError(f"the threshold must be a finite number, got {threshold}")
    margin = share * abs(level)
    low = level - margin - (SMALLEST if level else 0)  # around 0 signs stay, whatever is rounded
    return level, np.float32(low), np.float32(level + margin + SMALLEST)
