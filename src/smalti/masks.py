"""Masks as run lengths and as polygons, exactly.

COCO's run-length encoding is written byte for byte as pycocotools writes it. Polygons follow the corners of the
pixels, so their area is the number of pixels and filling them gives the same mask back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from . import compiled
from .errors import InputError
from .runs import Runs, index_array

MAX_COORDINATE = 2.0**31  # polygon vertices are refused beyond


# Run-length encoding


def encode_rle(mask: np.ndarray) -> dict[str, Any]:
    """COCO's compressed run-length encoding of a mask ``(H, W)`` bool: ``{"size": [H, W], "counts": str}``.

    Byte for byte what ``pycocotools.mask.encode`` gives, with ``counts`` as ``str`` so that it can go into JSON.
    Integers that are all 0 or 1 are taken too. Raises ``InputError`` for anything else.

    >>> encode_rle(np.array([[0, 1], [0, 1]], dtype=bool))
    {'size': [2, 2], 'counts': '22'}
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise InputError(f"a mask for run-length encoding is (H, W), got shape {mask.shape}")
    return encode_rles(mask[np.newaxis])[0]


def encode_rles(masks: np.ndarray) -> list[dict[str, Any]]:
    """``encode_rle`` of each mask of a stack ``(N, H, W)`` bool, which may be empty."""
    masks = _as_masks(masks)
    by_column = masks.transpose(0, 2, 1)
    if by_column.flags.c_contiguous and not masks.flags.c_contiguous:  # as pycocotools keeps them
        return _encode(Runs.of_masks(by_column), masks.shape[1:], by_column=True)
    return _encode(Runs.of_masks(masks), masks.shape[1:], by_column=False)


def rles_from_runs(runs: Runs, shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """COCO's compressed run-length encoding of every segment of an image of ``shape`` (H, W).

    Rows become columns without painting: the work follows the length of the outlines.
    """
    _check_shape(shape)
    runs.check(shape)
    return _encode(runs, shape, by_column=False)


def rle_from_runs(start: np.ndarray, stop: np.ndarray, shape: tuple[int, ...]) -> dict[str, Any]:
    """COCO's compressed run-length encoding of one segment's runs ``start``, ``stop`` (R,) (see ``Runs``)."""
    runs = Runs(np.array([0, len(start)]), np.asarray(start), np.asarray(stop))
    _check_shape(shape)
    runs.check(shape)
    return _encode(runs, shape, by_column=False)[0]


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """The mask ``(H, W)`` bool of COCO's run-length encoding.

    ``counts`` is compressed text (``str`` or ``bytes``) or the uncompressed list of numbers. Raises ``InputError``
    when a key is missing, the text is damaged, or the counts are negative or do not fill the image.

    >>> decode_rle({"size": [2, 2], "counts": [2, 2]})
    array([[False,  True],
           [False,  True]])
    """
    start, stop = runs_from_rle(rle)
    mask = np.zeros(tuple(rle["size"]), np.uint8)
    compiled.rle.paint(mask.reshape(-1), start, stop)
    return mask.view(bool)


def runs_from_rle(rle: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """``start`` and ``stop`` (R,) of COCO's run-length encoding, as ``Runs`` keeps them. Raises like ``decode_rle``."""
    height, width = _rle_size(rle)
    counts = _rle_counts(rle)
    if (counts < 0).any():
        index = int(np.argmax(counts < 0))
        raise InputError(f"run-length counts must not be negative, got {counts[index]} at index {index}")
    if (counts > height * width).any() or counts.sum() != height * width:
        total = sum(counts.tolist())  # in Python's integers, which do not overflow
        raise InputError(
            f"the counts of a {height} x {width} mask must sum to {height * width}, got {total}; "
            "check that size is [height, width] and that the counts are complete"
        )
    by_column = compiled.rle.runs_of_counts(counts, height)
    start, stop = compiled.rle.transpose_runs(*by_column, height, width)
    index_type = index_array(height * width).dtype
    return start.astype(index_type), stop.astype(index_type)


def _encode(runs: Runs, shape: tuple[int, ...], by_column: bool) -> list[dict[str, Any]]:
    height, width = (int(length) for length in shape)
    arrays = (np.asarray(array, np.int64) for array in (runs.offsets, runs.start, runs.stop))
    text, places = compiled.rle.encode_runs(*arrays, height, width, by_column)
    joined = text.tobytes().decode("ascii")
    ends = places.tolist()
    return [{"size": [height, width], "counts": joined[begin:end]} for begin, end in pairwise(ends)]


def _rle_size(rle: Mapping[str, Any]) -> tuple[int, int]:
    if not isinstance(rle, Mapping) or "size" not in rle or "counts" not in rle:
        came = f"the keys {sorted(map(str, rle))}" if isinstance(rle, Mapping) else type(rle).__name__
        raise InputError(f"a run-length encoded mask is a dict with 'size' and 'counts', got {came}")
    size = rle["size"]
    if (
        not isinstance(size, Sequence | np.ndarray)
        or len(size) != 2
        or not all(isinstance(length, int | np.integer) and length > 0 for length in size)
    ):
        raise InputError(f"the size of a run-length encoded mask is [height, width] in pixels, got {size!r}")
    return int(size[0]), int(size[1])


def _rle_counts(rle: Mapping[str, Any]) -> np.ndarray:
    counts = rle["counts"]
    if isinstance(counts, bytes | str):
        text = counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts
        kernels = compiled.rle
        numbers, problem, where = kernels.read_counts(np.frombuffer(text, np.uint8))
        if problem == kernels.UNKNOWN_CHARACTER:
            found = text[where : where + 1].decode("latin-1")
            raise InputError(
                f"compressed counts use the characters '0' to 'o', got {found!r} at character {where}; "
                "the text is damaged, or not COCO's compressed form"
            )
        if problem == kernels.CUT_SHORT:
            raise InputError("compressed counts end in the middle of a number; the text has been cut short")
        if problem == kernels.TOO_LONG:
            raise InputError(
                f"compressed counts hold a number of more than {5 * kernels.MAX_CHARACTERS} bits "
                f"at character {where}; the text is damaged"
            )
        return numbers
    try:
        numbers = np.asarray(counts)
    except ValueError:  # lists of different lengths
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise InputError(
            f"counts are a text or a flat list of integers, got {type(counts).__name__} of "
            f"{numbers.dtype} with shape {numbers.shape}"
        )
    if numbers.dtype.kind == "u" and numbers.size and numbers.max() > np.iinfo(np.int64).max:
        raise InputError(f"counts must be below 2**63, got {numbers.max()}")
    return numbers.astype(np.int64)


# Polygons


@dataclass(frozen=True, eq=False)
class Polygon:
    """One connected piece: an exterior ring and the holes in it.

    Vertices are (x, y), not (y, x): polygons exist for formats and drawing tools, all of which want x first.
    Coordinates are in pixels and name pixel *corners*: pixel (y, x) covers [x, x + 1] by [y, y + 1]. Rings are open
    (the first vertex is not repeated) and have at least 3 vertices.

    Traced exteriors have a positive signed area, sum(x_i * y_i+1 - x_i+1 * y_i) / 2, and holes a negative one. That
    is the "counter-clockwise" of RFC 7946 (GeoJSON) for readers of the bare numbers, and what geometry libraries
    test; on a screen, where y points down, it looks clockwise. A writer that flips y on the way to the world (as
    most georeferences do) must reverse the rings.

    Raises ``InputError`` for other shapes and for coordinates that are not finite or beyond 2**31.
    """

    exterior_xy: np.ndarray
    holes_xy: tuple[np.ndarray, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "exterior_xy", _as_ring(self.exterior_xy))
        object.__setattr__(self, "holes_xy", tuple(_as_ring(hole) for hole in self.holes_xy))

    @property
    def rings_xy(self) -> tuple[np.ndarray, ...]:
        """The exterior and then the holes."""
        return (self.exterior_xy, *self.holes_xy)

    @property
    def area_px(self) -> float:
        """Area of the exterior without the holes; of a traced mask exactly its number of pixels."""
        return abs(_signed_area(self.exterior_xy)) - sum(abs(_signed_area(hole)) for hole in self.holes_xy)


def trace_polygons(mask: np.ndarray) -> list[Polygon]:
    """The outlines of a mask ``(H, W)`` bool, one polygon for each piece connected along pixel edges.

    Nothing is lost: ``fill_polygons(trace_polygons(mask), mask.shape)`` is the mask, and ``area_px`` sums to its
    pixels, with holes, one-pixel lines and diagonal touches. Only corners are kept as vertices. Every ring is
    simple (it passes no point twice): pixels that touch at a corner alone are two polygons, and an exterior that
    touches itself there becomes an exterior and a hole. Polygons come in the order of their topmost row, then
    leftmost column.

    >>> trace_polygons(np.ones((2, 3), dtype=bool))[0].exterior_xy.tolist()
    [[0.0, 0.0], [3.0, 0.0], [3.0, 2.0], [0.0, 2.0]]
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise InputError(f"a mask to trace is (H, W), got shape {mask.shape}")
    return trace_runs(Runs.of_masks(_as_masks(mask[np.newaxis])), mask.shape)[0]


def trace_runs(runs: Runs, shape: tuple[int, ...]) -> list[list[Polygon]]:
    """``trace_polygons`` of every segment of an image of ``shape`` (H, W) at once, straight from its runs."""
    _check_shape(shape)
    runs.check(shape)
    arrays = (np.asarray(array, np.int64) for array in (runs.offsets, runs.start, runs.stop))
    vertices, offsets, piece, pieces = compiled.outlines.trace_runs(*arrays, int(shape[1]))
    rings: list[list[np.ndarray]] = [[] for _ in range(pieces[-1])]
    bounds = offsets.tolist()
    for index, owner in enumerate(piece.tolist()):
        rings[owner].append(vertices[bounds[index] : bounds[index + 1]])
    polygons = [Polygon(exterior, tuple(holes)) for exterior, *holes in rings]
    ends = pieces.tolist()
    return [polygons[begin:end] for begin, end in pairwise(ends)]


def fill_polygons(polygons: Sequence[Polygon], shape: tuple[int, ...]) -> np.ndarray:
    """The mask ``(H, W)`` bool of the pixels whose centre lies in any of the polygons.

    A polygon's rings are filled by the even-odd rule. A centre exactly on an edge belongs to the side of larger x
    (of larger y on a horizontal edge), so of polygons that share an edge exactly one has it: none is claimed twice
    and none left out. Exact for coordinates with a limited fraction (corners, halves, 1/256 of a pixel in images
    up to 2**17); with arbitrary fractions a centre within rounding (about 1e-12 px) of an edge may fall to
    either side of it, the same for both neighbours. Parts outside the image are cut off.
    """
    _check_shape(shape)
    mask = np.zeros(shape, np.uint8)
    for polygon in polygons:
        offsets = np.cumsum([0, *(len(ring) for ring in polygon.rings_xy)])
        compiled.outlines.fill_polygon(mask, np.concatenate(polygon.rings_xy), offsets)
    return mask.view(bool)


def polygon_from_coco(flat_xy: Sequence[float]) -> Polygon:
    """A polygon without holes from COCO's flat list ``[x0, y0, x1, y1, ...]`` of at least 3 points."""
    return Polygon(_coco_ring(flat_xy))


def polygon_to_coco(polygon: Polygon) -> list[float]:
    """COCO's flat list ``[x0, y0, x1, y1, ...]``; holes are cut open along a line to the exterior.

    COCO has no holes. Each is therefore joined to the exterior by a line that is walked to the hole and back, which
    adds nothing to either side: by COCO's own rule, ``fill_coco_polygons``, polygons traced from a mask give that mask
    back bit for bit, holes included (tested on random masks). Other readers that fill by the even-odd or the
    non-zero rule see the same picture.
    """
    ring = polygon.exterior_xy
    for hole in polygon.holes_xy:
        gaps = np.abs(polygon.exterior_xy - hole[0]).sum(axis=1)
        anchor = polygon.exterior_xy[np.argmin(gaps)]
        at = int(np.flatnonzero((ring == anchor).all(axis=1))[0])
        ring = np.concatenate([ring[: at + 1], hole, hole[:1], ring[at:]])
    return ring.ravel().tolist()


def fill_coco_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """The mask ``(height, width)`` bool that COCO's tools make of a ``segmentation`` list of flat xy lists.

    Bit for bit pycocotools' ``decode(merge(frPyObjects(polygons, height, width)))``: the rule of Lin et al. (2014),
    which rounds vertices to fifths of a pixel and so differs from ``fill_polygons`` by some pixels along slanted
    edges. For outlines traced from a mask both give that mask.
    """
    start, stop = runs_from_coco_polygons(polygons, height, width)
    mask = np.zeros((height, width), np.uint8)
    compiled.rle.paint(mask.reshape(-1), start, stop)
    return mask.view(bool)


def runs_from_coco_polygons(
    polygons: Sequence[Sequence[float]], height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """``start`` and ``stop`` (R,) of the pixels of ``fill_coco_polygons``, as ``Runs`` keeps them, without painting."""
    _check_shape((height, width))
    if not isinstance(polygons, Sequence) or isinstance(polygons, str | bytes):
        raise InputError(
            f"a COCO segmentation is a list of flat lists of numbers, got {type(polygons).__name__}"
        )
    index = index_array(height * width)
    pieces = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for flat_xy in polygons:
        positions = compiled.outlines.coco_crossings(_coco_ring(flat_xy), height, width)
        flat_runs = compiled.outlines.runs_of_crossings(positions, height * width)
        counts = compiled.rle.counts_of_runs(*flat_runs, height * width)
        by_column = compiled.rle.runs_of_counts(counts, height)
        pieces.append(compiled.rle.transpose_runs(*by_column, height, width))
    start, stop = (np.concatenate(side) for side in zip(*pieces, strict=True))
    if len(pieces) > 2:
        order = np.argsort(start, kind="stable")
        together = np.zeros(len(start), np.int64)
        _, start, stop = compiled.runs.unite(together, start[order], stop[order], width)
    return start.astype(index.dtype), stop.astype(index.dtype)


def simplify_polygon(polygon: Polygon, tolerance_px: float) -> Polygon:
    """A polygon with fewer vertices, none of the left-out ones further than ``tolerance_px`` from it.

    Douglas and Peucker (1973). Kept vertices do not move. A hole that would keep fewer than 3 vertices is dropped, an
    exterior that would is left as it is. Rings are simplified one by one, so at large tolerances they may cross
    themselves or each other.
    """
    if not 0 <= tolerance_px < float("inf"):
        raise InputError(f"tolerance_px must be 0 or more, got {tolerance_px}")
    exterior, *holes = (
        ring[compiled.outlines.simplify_ring(ring, float(tolerance_px))] for ring in polygon.rings_xy
    )
    return Polygon(
        exterior if len(exterior) >= 3 else polygon.exterior_xy,
        tuple(hole for hole in holes if len(hole) >= 3),
    )


def _coco_ring(flat_xy: Sequence[float]) -> np.ndarray:
    try:
        flat = np.asarray(flat_xy, np.float64)
    except (TypeError, ValueError):
        flat = np.empty((0, 0))
    if flat.ndim != 1 or flat.size < 6 or flat.size % 2:
        came = f"{flat.size} numbers" if flat.ndim == 1 else repr(flat_xy)[:60]
        raise InputError(
            f"a COCO polygon is a flat list x0, y0, x1, y1, ... of at least 3 points, got {came}"
        )
    return _as_ring(flat.reshape(-1, 2))


def _as_ring(xy: np.ndarray) -> np.ndarray:
    # a copy, so that it stays as checked and keeps no larger array alive
    ring = np.array(xy, np.float64, order="C")
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise InputError(f"a ring is at least 3 vertices (x, y), shape (n, 2), got shape {ring.shape}")
    if not np.abs(ring).max() <= MAX_COORDINATE:  # NaN is not smaller than anything
        raise InputError("polygon coordinates must be finite and at most 2**31 in size")
    ring.flags.writeable = False
    return ring


def _signed_area(ring_xy: np.ndarray) -> float:
    x, y = (ring_xy - ring_xy[0]).T
    return float(x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2


def _as_masks(masks: np.ndarray) -> np.ndarray:
    masks = np.asarray(masks)
    if masks.ndim != 3:
        raise InputError(f"masks are a stack (N, H, W), got shape {masks.shape}")
    _check_shape(masks.shape[1:])
    if masks.dtype == bool:
        return masks
    if masks.dtype.kind not in "iu" or (masks.size and (masks.min() < 0 or masks.max() > 1)):
        raise InputError(
            f"a mask is bool, or integers 0 and 1, got {masks.dtype}"
            + (f" from {masks.min()} to {masks.max()}" if masks.size else "")
            + "; write mask > 0 for everything labelled, labels == k for one segment"
        )
    return masks.astype(bool)


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or not all(isinstance(length, int | np.integer) and length > 0 for length in shape):
        raise InputError(
            f"this is for images of (height, width), at least one pixel each, got {tuple(shape)}"
        )
