"""Pictures for people: segments drawn over their image with outlines, numbers and a legend.

Nothing here is measured from: ``to_display`` stretches values so that they can be seen. All pictures are
``(H, W, 3)`` uint8 RGB. Text is set in the scalable font that comes with Pillow (Aileron), which has Latin
letters only; no font of the system is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from ..classes import OKABE_ITO, segment_colors
from ..errors import InputError
from ..image import Image
from ..segmentation import Segmentation

Colors = Literal["auto", "class", "segment"]

DARK, LIGHT = (20, 22, 26), (255, 255, 255)  # casings and text
PAPER, INK, FAINT = (255, 255, 255), (32, 35, 40), (118, 124, 132)
CHECKER = (104, 136)  # the two greys shown where there is no value
SMALL_PX, ZOOMED_PX, MAX_ZOOM = 400, 800, 32
SMALLEST_TEXT_PX = 11
MAX_SPREAD = 200_000  # segments up to which neighbours are given different colours: 1 s of greedy coloring


# Values to grey and colour


def to_display(image: Image) -> np.ndarray:
    """The pixels of a 2-D ``image`` as an (H, W, 3) uint8 RGB picture, FOR VIEWING ONLY.

    8-bit values stay as they are and bool becomes 0 or 255. Other integers and floats are stretched so that their
    0.5th percentile is black and their 99.5th white (of at most a million finite pixels); what lies beyond is
    clipped, infinities included. Red, green and blue are stretched together, other channels each by itself. A
    channel of one value is shown black if it is 0, else mid-grey.

    Shown are: one channel as grey; red, green and blue where the first three are so named; two other channels
    in magenta and green (told apart with any common colour vision); of three or more others the first three, as
    red, green and blue. Where the image has alpha it is laid over a grey checkerboard, and so are NaNs.
    Raises ``InputError`` for a volume.
    """
    if image.ndim != 2:
        raise InputError(f"a picture has 2 axes, got a volume of {image.shape}; choose one slice of it")
    shown = [index for index, name in enumerate(image.channels) if name != "alpha"][:3] or [0]
    pixels = image.pixels[..., shown]
    together = image.channels[:3] == ("red", "green", "blue")
    missing = np.isnan(pixels).any(axis=-1) if pixels.dtype.kind == "f" else None
    if pixels.dtype == bool:
        picture = pixels.view(np.uint8) * np.uint8(255)
    elif pixels.dtype == np.uint8:
        picture = pixels
    elif together:
        picture = _stretch(pixels)
    else:
        picture = np.stack([_stretch(pixels[..., index]) for index in range(len(shown))], axis=-1)
    if len(shown) == 1:
        picture = np.repeat(picture, 3, axis=-1)
    elif len(shown) == 2:
        picture = picture[..., [0, 1, 0]]
    picture = np.array(picture, order="C")
    if missing is not None and missing.any():
        picture[missing] = _checker(image.shape)[missing]
    if "alpha" in image.channels and image.num_channels > 1:
        picture = _over(_checker(image.shape), picture, _opacity(image.channel("alpha")))
    return picture


def _stretch(pixels: np.ndarray) -> np.ndarray:
    step = max(1, math.isqrt(pixels.size // 1_000_000))
    sample = pixels[::step, ::step].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        sample = pixels[np.isfinite(pixels)].astype(np.float64)
    if not sample.size:
        return np.where(pixels == np.inf, 255, 0).astype(np.uint8)
    low, high = np.percentile(sample, [0.5, 99.5])
    if low == high:  # nearly all pixels are alike: show what is not
        low, high = sample.min(), sample.max()
    if low == high:
        return np.full(pixels.shape, 0 if low == 0 else 128, np.uint8)
    # halves, so that the widest floats do not overflow; single precision is enough for 256 shades of short numbers
    kind = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
    scaled = (pixels.astype(kind) / 2 - kind(low / 2)) * kind(255 / (high / 2 - low / 2))
    return np.nan_to_num(np.rint(scaled.clip(0, 255))).astype(np.uint8)


def _checker(shape: tuple[int, ...], side: int = 8) -> np.ndarray:
    rows, columns = (np.arange(length) // side for length in shape)
    grey = np.array(CHECKER, np.uint8)[(rows[:, np.newaxis] + columns) % 2]
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)


def _opacity(alpha: np.ndarray) -> np.ndarray:
    """Alpha as 0..1 float32: the full range of integers, floats as they are."""
    if alpha.dtype.kind in "ui":
        return alpha.astype(np.float32) / np.iinfo(alpha.dtype).max
    return np.nan_to_num(alpha.astype(np.float32)).clip(0, 1)


def _over(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """``above`` painted over ``below``, both (..., 3), with ``opacity`` (...) 0..1."""
    share = opacity[..., np.newaxis]
    return np.rint(below * (1 - share) + above * share).astype(np.uint8)


# The overlay


def overlay(
    image: Image,
    segmentation: Segmentation,
    *,
    fill: float = 0.35,
    outlines: bool = True,
    ids: bool | None = None,
    class_names: bool = False,
    legend: bool | None = None,
    colors: Colors = "auto",
    zoom: int | None = None,
    z: int | None = None,
) -> np.ndarray:
    """The segments drawn over their image, (H, W, 3) uint8 RGB, ``zoom`` times the image's size.

    ``fill`` is how much of the segment's colour covers the image, 0..1. ``outlines`` lie inside the segment, 1-3
    pixels wide with the size of the picture, in a casing that keeps them apart from any background; where a
    segment leaves the picture there is none. Segments that overlap are drawn in order, the last on top, and the
    outlines of the covered ones show through.

    ``colors="class"`` gives every segment the colour of its class, ``"segment"`` one that differs from those of
    its neighbours. ``"auto"`` takes class colours where there is more than one class or only one segment.
    ``ids`` writes the segments' numbers and ``class_names`` their classes' names where they are widest, but only
    where the text fits inside; by default numbers are written where any class has more than one segment.
    ``legend`` adds a panel below the picture with the classes, their colours and how many segments each has, or
    its share of the picture where none has more than one; by default where there is more than one class.

    ``zoom`` is a whole number; by default an image whose longer side is below 400 pixels is enlarged to about 800
    (at most 32 times), every pixel a square, and others are left as they are. Of a volume the slice ``z`` is
    drawn, by default the one that cuts most segments. Values are shown as by ``to_display``.
    """
    if image.shape != segmentation.shape:
        raise InputError(f"image and segmentation must have one shape, got {image.shape} and {segmentation.shape}")
    if not 0 <= fill <= 1:
        raise InputError(f"fill must be from 0 to 1, got {fill}")
    if colors not in ("auto", "class", "segment"):
        raise InputError(f"colors must be auto, class or segment, got {colors!r}")
    if zoom is not None and zoom < 1:
        raise InputError(f"zoom must be a whole number from 1, got {zoom}")
    if image.ndim == 3:
        z = _busiest_slice(segmentation) if z is None else z
        if not 0 <= z < image.shape[0]:
            raise InputError(f"z must be a slice from 0 to {image.shape[0] - 1}, got {z}")
        image = Image(image.pixels[z], image.channels, source=image.source)
    elif z is not None:
        raise InputError("z chooses a slice of a volume; this image has 2 axes")

    labels, areas_px = _visible(segmentation, z)
    counts = np.bincount(np.searchsorted(segmentation.classes.ids, segmentation.class_ids[areas_px > 0]))
    several = bool((counts > 1).any())
    by_class = colors == "class" or (colors == "auto" and (np.count_nonzero(counts) > 1 or not several))
    palette = _class_palette(segmentation) if by_class else _segment_palette(labels, len(segmentation))

    if zoom is None:
        longest = max(image.shape)
        zoom = min(MAX_ZOOM, max(2, round(ZOOMED_PX / longest))) if longest < SMALL_PX else 1
    picture = _enlarged(to_display(image), zoom)
    visible = _enlarged(labels, zoom)
    _fill(picture, visible, palette, fill)
    if outlines:
        width = _line_width(picture)
        for hidden, place in _hidden(segmentation, labels, areas_px, z):
            _outline(picture[_scaled(place, zoom)], _enlarged(hidden, zoom), palette, width)
        _outline(picture, visible, palette, width)
    if (several if ids is None else ids) or class_names:
        texts = _texts(segmentation, several if ids is None else ids, class_names)
        picture = _write(picture, visible, segmentation.boxes * zoom, areas_px, texts)
    if (np.count_nonzero(counts) > 1) if legend is None else legend:
        picture = _with_legend(picture, segmentation, labels, palette, by_class, several)
    return picture


def _busiest_slice(segmentation: Segmentation) -> int:
    """The slice that most segments have pixels in, the first of several."""
    runs = segmentation.runs
    plane = runs.start // math.prod(segmentation.shape[1:])
    segment = np.repeat(np.arange(len(runs)), np.diff(runs.offsets))
    first = np.ones(len(plane), bool)
    first[1:] = (np.diff(plane) != 0) | (np.diff(segment) != 0)
    return int(np.bincount(plane[first], minlength=1).argmax())


def _visible(segmentation: Segmentation, z: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Label map (H, W) of the uppermost segments, and how many pixels each has there."""
    if segmentation.overlapping:
        labels, _ = segmentation.runs.paint(segmentation.shape)
    else:
        labels = segmentation.labels
    if z is not None:
        labels = labels[z]
    return labels, np.bincount(labels.reshape(-1), minlength=len(segmentation) + 1)[1:]


def _hidden(segmentation, labels, areas_px, z):  # type: ignore[no-untyped-def]  # a generator of the next function
    """Segments that others cover in part: a label map around each, and its place in the picture."""
    if not segmentation.overlapping:
        return
    for index in np.flatnonzero(areas_px < segmentation.areas_px):
        mask, place = segmentation.crop(int(index) + 1)
        if z is not None:
            if not place[0].start <= z < place[0].stop:
                continue
            mask, place = mask[z - place[0].start], place[1:]
        if mask.sum() == areas_px[index]:
            continue
        # one pixel more on every side, as far as there is one, so that the outline has an outside
        wide = tuple(
            slice(max(0, part.start - 1), min(length, part.stop + 1))
            for part, length in zip(place, labels.shape, strict=True)
        )
        padding = [(a.start - b.start, b.stop - a.stop) for a, b in zip(place, wide, strict=True)]
        yield np.pad(mask, padding) * np.int32(index + 1), wide


def _enlarged(array: np.ndarray, zoom: int) -> np.ndarray:
    return array if zoom == 1 else array.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _scaled(place: tuple[slice, ...], zoom: int) -> tuple[slice, ...]:
    return tuple(slice(part.start * zoom, part.stop * zoom) for part in place)


# Colours


def _class_palette(segmentation: Segmentation) -> np.ndarray:
    """Colour of every segment's class, (N + 1, 3) uint8; row 0 is unused."""
    colors = [segmentation.classes.of(class_id).color for class_id in segmentation.class_ids]
    return np.array([(0, 0, 0), *colors], np.uint8)


def _segment_palette(labels: np.ndarray, count: int) -> np.ndarray:
    """Colours of segments 1..count that differ between neighbours, (count + 1, 3) uint8; row 0 is unused.

    Neighbours are segments whose zones of nearest pixels meet, whether or not they touch. Such a map is planar
    where segments are in one piece, and greedy colouring from the highest degree down gets by with the seven
    colours of the palette; where it does not, the colour after the neighbours' is taken.
    """
    num_colors = len(OKABE_ITO)
    chosen = np.arange(-1, count) % num_colors
    if 1 < count <= MAX_SPREAD:
        first, second = _neighbours(labels, count)
        order = np.argsort(first, kind="stable")
        ends = np.cumsum(np.bincount(first, minlength=count + 1))
        around = np.split(second[order], ends[:-1])
        color = [-1] * (count + 1)
        for k in sorted(range(1, count + 1), key=lambda k: -len(around[k])):
            taken = {color[other] for other in around[k].tolist()}
            wishes = [(k - 1 + shift) % num_colors for shift in range(num_colors)]
            color[k] = next((wish for wish in wishes if wish not in taken), wishes[0])
        chosen[1:] = color[1:]
    return segment_colors(num_colors)[chosen]


def _neighbours(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of segments whose zones meet, each pair in both directions."""
    step = -(-max(labels.shape) // 2048)  # 2048 pixels a side show who lies beside whom
    labels = np.ascontiguousarray(labels[::step, ::step])
    ground = labels == 0
    if ground.all():
        return np.zeros(0, int), np.zeros(0, int)
    if ground.any():
        _, nearest = cv2.distanceTransformWithLabels(
            ground.view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        owner = np.zeros(int(nearest.max()) + 1, np.int32)
        owner[nearest[~ground]] = labels[~ground]
        labels = owner[nearest]
    codes = []
    for one, other in (
        (labels[:, :-1], labels[:, 1:]),
        (labels[:-1], labels[1:]),
        (labels[:-1, :-1], labels[1:, 1:]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ):
        meet = one != other
        codes.append(np.unique(one[meet].astype(np.int64) * (count + 1) + other[meet]))
    first, second = np.divmod(np.unique(np.concatenate(codes)), count + 1)
    pairs = np.unique(np.concatenate([first * (count + 1) + second, second * (count + 1) + first]))
    first, second = np.divmod(pairs, count + 1)
    return first, second


# Paint


def _fill(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, share: float) -> None:
    if share == 0:
        return
    rows = max(1, 4_000_000 // labels.shape[1])  # strips that stay in the cache
    for top in range(0, len(labels), rows):
        strip = picture[top : top + rows]
        inside = labels[top : top + rows]
        mixed = cv2.addWeighted(strip, 1 - share, palette[inside], share, 0)
        np.copyto(strip, mixed.reshape(strip.shape), where=(inside > 0)[..., np.newaxis])


def _line_width(picture: np.ndarray) -> float:
    """1 to 3 pixels: 1 up to 500 pixels a side (geometric mean), 3 from 1500."""
    return min(3.0, max(1.0, math.sqrt(picture.shape[0] * picture.shape[1]) / 500))


def _edge_distance(labels: np.ndarray, frame: bool) -> np.ndarray:
    """Distance in pixels to the nearest pixel that has a neighbour of another label (or lies at the frame)."""
    inner = np.ones(labels.shape, np.uint8)
    for one, other, a, b in (
        (labels[:, :-1], labels[:, 1:], inner[:, :-1], inner[:, 1:]),
        (labels[:-1], labels[1:], inner[:-1], inner[1:]),
    ):
        same = one == other
        a &= same
        b &= same
    if frame:
        inner[[0, -1]] = 0
        inner[:, [0, -1]] = 0
    elif inner.all():
        return np.full(labels.shape, np.inf, np.float32)
    return cv2.distanceTransform(inner, cv2.DIST_L2, 3)


def _outline(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, width: float) -> None:
    """Colour lines along the inside of every segment, in a thin casing on both sides of the line."""
    luma = palette @ np.array([0.299, 0.587, 0.114])
    casing = np.where(luma[:, np.newaxis] > 70, DARK, LIGHT)
    distance = _edge_distance(labels, frame=False)
    near = np.flatnonzero(distance < width + 1)
    label = labels.reshape(-1)[near]
    distance = distance.reshape(-1)[near]
    pixels = picture.reshape(-1, 3) if picture.flags.c_contiguous else None
    before = pixels[near] if pixels is not None else picture.reshape(-1, 3)[near]
    inside = label > 0
    around = np.where(inside, (width + 1 - distance).clip(0, 1) * 0.5, (1 - distance).clip(0, 1) * 0.6)
    line = np.where(inside, (width - distance).clip(0, 1), 0)
    painted = _over(_over(before, casing[label], around), palette[label], line)
    if pixels is not None:
        pixels[near] = painted
    else:
        picture[np.unravel_index(near, labels.shape)] = painted
