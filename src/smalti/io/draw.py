"""Pictures for people: segments drawn over their image with outlines, numbers and a legend.

All pictures are ``(H, W, 3)`` uint8 RGB. Text is set in the scalable font that comes with Pillow (Aileron),
so no font of the system is needed; it has Latin letters only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from ..classes import OKABE_ITO, segment_colors
from ..errors import InputError, MissingExtra
from ..image import Image
from ..segmentation import Segmentation
from .display import blend, to_display

Colors = Literal["auto", "class", "segment"]

DARK, LIGHT = (20, 22, 26), (255, 255, 255)  # casings and text
PAPER, INK, FAINT = (255, 255, 255), (32, 35, 40), (118, 124, 132)
SMALL_PX, ZOOMED_PX, MAX_ZOOM = 400, 800, 32
TEXT_SIZES_PX = (22, 17, 14, 11)  # what a text is set in where the largest size does not fit
CAPITAL = 0.72  # height of capitals and digits as a share of the font size
MAX_SPREAD = 50_000  # segments up to which neighbours are given different colours: a second of coloring


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

    ``fill`` is how much of the segment's colour covers the image, 0..1. ``outlines`` lie inside the segment,
    1-3 pixels wide with the size of the picture, in a casing that keeps them apart from any background; where
    a segment leaves the picture there is none. Segments that overlap are drawn in order, the last on top, and
    the outlines of the covered ones show through.

    ``colors="class"`` gives every segment the colour of its class, ``"segment"`` one that differs from those
    of its neighbours. ``"auto"`` takes class colours where there is more than one class or only one segment.
    ``ids`` writes the segments' numbers and ``class_names`` their classes' names where they are widest, but
    only where the text fits inside; by default numbers are written where any class has more than one segment.
    ``legend`` adds a panel below the picture with the classes, their colours and how many segments each has,
    or its share of the picture where none has more than one; by default where there is more than one class.

    ``zoom`` is a whole number; by default an image whose longer side is below 400 pixels is enlarged to about
    800 (at most 32 times), every pixel a square, and others are left as they are. Of a volume the slice ``z``
    is drawn, by default the one that cuts most segments. Values are shown as by ``to_display``.
    """
    if image.shape != segmentation.shape:
        raise InputError(
            f"image and segmentation must have one shape, got {image.shape}, {segmentation.shape}"
        )
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
    _, counts = np.unique(segmentation.class_ids[areas_px > 0], return_counts=True)
    num_classes, several = len(counts), bool((counts > 1).any())
    by_class = colors == "class" or (colors == "auto" and (num_classes > 1 or not several))
    palette = _class_palette(segmentation) if by_class else _segment_palette(labels, len(segmentation))

    if zoom is None:
        longest = max(image.shape)
        zoom = min(MAX_ZOOM, max(2, round(ZOOMED_PX / longest))) if longest < SMALL_PX else 1
    picture = _enlarged(to_display(image), zoom)
    visible = _enlarged(labels, zoom)
    _fill(picture, visible, palette, fill)
    if outlines:
        width = _line_width(picture)
        for k, mask, place in _hidden(segmentation, labels, areas_px, z):
            _outline(picture[_scaled(place, zoom)], _enlarged(mask, zoom), palette[[0, k]], width)
        _outline(picture, visible, palette, width)
    ids = several if ids is None else ids
    if ids or class_names:
        texts = _texts(segmentation, ids, class_names)
        picture = _write(picture, visible, segmentation.boxes * zoom, texts)
    if num_classes > 1 if legend is None else legend:
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


def _hidden(
    segmentation: Segmentation, labels: np.ndarray, areas_px: np.ndarray, z: int | None
) -> Iterator[tuple[int, np.ndarray, tuple[slice, ...]]]:
    """Segments that others cover in part: the number, a mask of 0 and 1, and its place in the picture."""
    if not segmentation.overlapping:
        return
    for index in np.flatnonzero(areas_px < segmentation.areas_px).tolist():
        mask, place = segmentation.crop(index + 1)
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
        yield index + 1, np.pad(mask.view(np.uint8), padding), wide


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

    Neighbours are segments whose zones of nearest pixels meet, whether or not they touch. Such a map is
    planar where segments are in one piece, and greedy colouring from the highest degree down gets by with the
    seven colours of the palette; where it does not, the colour after the neighbours' is taken.
    """
    num_colors = len(OKABE_ITO)
    chosen = np.arange(-1, count) % num_colors  # by number, where there is nothing to tell apart
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


def _strips(labels: np.ndarray) -> Iterator[slice]:
    """Rows in strips of about 200,000 pixels, whose temporary arrays stay in the processor's cache."""
    rows = max(1, 200_000 // labels.shape[1])
    return (slice(top, top + rows) for top in range(0, len(labels), rows))


def _fill(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, share: float) -> None:
    if share == 0:
        return
    for strip in _strips(labels):
        inside = labels[strip] > 0
        mixed = cv2.addWeighted(picture[strip], 1 - share, palette[labels[strip]], share, 0)
        np.copyto(picture[strip], mixed.reshape(picture[strip].shape), where=inside[..., np.newaxis])


def _line_width(picture: np.ndarray) -> float:
    """1 to 3 pixels: 1 up to 380 pixels a side (geometric mean), 3 from 1140."""
    return min(3.0, max(1.0, math.sqrt(picture.shape[0] * picture.shape[1]) / 380))


def _edge_distance(labels: np.ndarray, frame: bool) -> np.ndarray:
    """Distance in pixels to the nearest pixel beside another label (or at the frame of the picture)."""
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
    return cv2.distanceTransform(inner, cv2.DIST_L2, 5)


def _outline(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, width: float) -> None:
    """Colour lines along the inside of every segment, in a thin casing on both sides of the line."""
    luma = palette @ np.array([0.299, 0.587, 0.114])
    casing = np.where(luma[:, np.newaxis] > 70, DARK, LIGHT).astype(np.uint8)
    casing[0] = DARK
    areas_px = np.bincount(labels.reshape(-1), minlength=len(palette))
    widths = np.clip(np.sqrt(areas_px) / 8, 1, width).astype(
        np.float32
    )  # a small segment keeps room for its fill
    distance = _edge_distance(labels, frame=False)
    for strip in _strips(labels):
        near = np.nonzero(distance[strip] < width + 1)
        label, inward = labels[strip][near], distance[strip][near]
        inside, beyond = label > 0, widths[label] - inward
        around = np.where(inside, (beyond + 1).clip(0, 1) / 2, (1 - inward).clip(0, 1) * 0.6)
        line = np.where(inside, beyond.clip(0, 1), 0)
        cased = blend(picture[strip][near], casing[label], around)
        picture[strip][near] = blend(cased, palette[label], line)


# Text


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MissingExtra("text needs a Pillow with FreeType, this one has none; install Pillow's own wheel")
    return font


@cache
def _advance(character: str, size_px: int) -> float:
    return _font(size_px).getlength(character)


def _texts(segmentation: Segmentation, ids: bool, class_names: bool) -> list[tuple[str, ...]]:
    """What may be written in each segment, longest first."""
    names = [
        segmentation.classes.of(class_id).name if class_names else "" for class_id in segmentation.class_ids
    ]
    numbers = [str(k) if ids else "" for k in range(1, len(segmentation) + 1)]
    return [
        (f"{name} {number}", number) if name and number else (name or number,)
        for name, number in zip(names, numbers, strict=True)
    ]


def _write(
    picture: np.ndarray,
    labels: np.ndarray,
    boxes: np.ndarray,
    texts: Sequence[tuple[str, ...]],
) -> np.ndarray:
    """Each segment's text at its pole of inaccessibility, in the largest size that fits inside it."""
    largest = round(min(30.0, max(13.0, math.sqrt(picture.shape[0] * picture.shape[1]) / 36)))
    sizes = [size for size in (largest, *TEXT_SIZES_PX) if size <= largest]
    distance = _edge_distance(labels, frame=True)
    canvas = PillowImage.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    ndim = boxes.shape[1] // 2
    low, high = boxes[:, ndim - 2 : ndim], boxes[:, 2 * ndim - 2 :]
    for index in np.flatnonzero((high - low).min(axis=1) > sizes[-1] * CAPITAL).tolist():
        (top, left), (bottom, right) = low[index].tolist(), high[index].tolist()
        place = np.s_[top:bottom, left:right]
        mask = labels[place] == index + 1
        inward = distance[place] * mask
        deepest = inward.max()
        if 2 * deepest < sizes[-1] * CAPITAL:
            continue
        ys, xs = np.nonzero(inward >= deepest - 0.5)  # of a ridge the middle
        middle = np.argmin((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2)
        y, x = int(ys[middle]), int(xs[middle])
        for text, size in ((text, size) for text in texts[index] for size in sizes):
            half_height = math.ceil(size * CAPITAL / 2) + 1
            if half_height > deepest + 1:
                continue
            half_width = math.ceil(sum(_advance(character, size) for character in text) / 2) + 1
            if y < half_height or x < half_width:
                continue
            box = mask[y - half_height : y + half_height + 1, x - half_width : x + half_width + 1]
            if box.shape == (2 * half_height + 1, 2 * half_width + 1) and box.all():
                pen.text(
                    (left + x, top + y + size * CAPITAL / 2),
                    text,
                    fill=LIGHT,
                    font=_font(size),
                    anchor="ms",
                    stroke_width=max(1, round(size / 9)),
                    stroke_fill=DARK,
                )
                break
    return np.array(canvas)


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """The text, or as much of its beginning as fits in ``width`` pixels with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "\u2026") > width:
        text = text[:-1]
    return text.rstrip() + "\u2026"


def _with_legend(
    picture: np.ndarray,
    segmentation: Segmentation,
    labels: np.ndarray,
    palette: np.ndarray,
    by_class: bool,
    several: bool,
) -> np.ndarray:
    """The picture with a panel below it: a grid of the classes present, their colour and how much of each."""
    areas_px = np.bincount(labels.reshape(-1), minlength=len(segmentation) + 1)[1:]
    size = round(min(30.0, max(14.0, picture.shape[1] / 45)))
    font = _font(size)
    swatch, gap, margin = round(size * 0.9), round(size * 0.45), round(size * 0.8)
    widest = max(picture.shape[1] - 2 * margin, 14 * size)  # a narrow picture gets a panel wider than itself

    entries = []
    for entry in segmentation.classes:
        members = np.flatnonzero((segmentation.class_ids == entry.id) & (areas_px > 0))
        if len(members) == 0:
            continue
        share = 100 * areas_px[members].sum() / labels.size
        amount = str(len(members)) if several else ("<1%" if share < 1 else f"{share:.0f}%")
        name = _fitted(entry.name, font, widest - swatch - 2 * gap - font.getlength(amount))
        chips = (
            [entry.color] if by_class else list(dict.fromkeys(map(tuple, palette[members + 1].tolist())))[:4]
        )
        entries.append((chips, name, amount))
    if not entries:
        return picture

    spacing = 2 * margin
    for num_columns in range(len(entries), 0, -1):  # as many columns as fit, each as wide as its own entries
        num_rows = -(-len(entries) // num_columns)
        columns = [entries[first : first + num_rows] for first in range(0, len(entries), num_rows)]
        name_widths = [math.ceil(max(font.getlength(name) for _, name, _ in column)) for column in columns]
        amount_widths = [
            math.ceil(max(font.getlength(amount) for _, _, amount in column)) for column in columns
        ]
        used = sum(name_widths) + sum(amount_widths) + len(columns) * (swatch + 2 * gap + spacing) - spacing
        if used <= widest:
            break
    row = round(size * 1.6)
    panel_width = max(picture.shape[1], used + 2 * margin)

    canvas = PillowImage.new("RGB", (panel_width, picture.shape[0] + num_rows * row + 2 * margin), PAPER)
    canvas.paste(PillowImage.fromarray(picture), (0, 0))
    pen = ImageDraw.Draw(canvas)
    left = margin
    for column, name_width, amount_width in zip(columns, name_widths, amount_widths, strict=True):
        for number, (chips, name, amount) in enumerate(column):
            top = picture.shape[0] + margin + number * row + (row - swatch) // 2
            baseline = top + swatch / 2 + size * CAPITAL / 2
            for part, color in enumerate(chips):  # one swatch, divided among the segments' colours
                edges = [left + round(swatch * cut / len(chips)) for cut in (part, part + 1)]
                pen.rectangle((edges[0], top, edges[1] - 1, top + swatch - 1), fill=color)
            pen.text((left + swatch + gap, baseline), name, fill=INK, font=font, anchor="ls")
            pen.text(
                (left + swatch + 2 * gap + name_width, baseline), amount, fill=FAINT, font=font, anchor="ls"
            )
        left += swatch + 2 * gap + name_width + amount_width + spacing
    return np.array(canvas)


# Contact sheet


def side_by_side(
    pictures: Sequence[np.ndarray],
    captions: Sequence[str],
    *,
    height_px: int = 360,
    columns: int | None = None,
) -> np.ndarray:
    """Pictures (H, W, 3) uint8 scaled to one height and set in rows on white, each with its caption below.

    A row holds ``columns`` pictures, by default all of them. Raises ``InputError`` where captions do not
    match.
    """
    if not pictures or len(pictures) != len(captions):
        raise InputError(f"every picture needs a caption, got {len(captions)} for {len(pictures)} pictures")
    columns = columns or len(pictures)
    size = max(13, round(height_px / 22))
    font, gap = _font(size), max(8, height_px // 24)
    scaled = []
    for picture in pictures:
        width_px = max(1, round(picture.shape[1] * height_px / picture.shape[0]))
        method = cv2.INTER_AREA if picture.shape[0] > height_px else cv2.INTER_CUBIC
        scaled.append(cv2.resize(picture, (width_px, height_px), interpolation=method))
    rows = [range(first, min(first + columns, len(scaled))) for first in range(0, len(scaled), columns)]
    row_height = height_px + round(size * 1.9) + gap
    width_px = max(sum(scaled[index].shape[1] + gap for index in row) for row in rows) + gap
    canvas = PillowImage.new("RGB", (width_px, row_height * len(rows) + gap), PAPER)
    pen = ImageDraw.Draw(canvas)
    for number, row in enumerate(rows):
        left, top = gap, gap + number * row_height
        for index in row:
            canvas.paste(PillowImage.fromarray(scaled[index]), (left, top))
            caption = _fitted(captions[index], font, scaled[index].shape[1])
            pen.text((left, top + height_px + size * 1.35), caption, fill=INK, font=font, anchor="ls")
            left += scaled[index].shape[1] + gap
    return np.array(canvas)
