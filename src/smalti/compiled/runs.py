"""Label maps and masks to runs and back.

A run is a half-open stretch ``start:stop`` of the flattened image that lies in one row. Runs are kept segment by
segment: those of segment k are ``offsets[k - 1]:offsets[k]``, in ascending order.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

ZEROS = np.uint64(0)
ONES = np.uint64(0x0101010101010101)  # eight bool pixels that are all set


@compiled
def count_labels(labels, top):
    """Pixels of each label 0..top of a flat label map, ``(top + 1,)``."""
    areas = np.zeros(top + 1, np.int64)
    size = labels.size
    begin = 0
    while begin < size:
        label = labels[begin]
        end = begin + 1
        while end < size and labels[end] == label:
            end += 1
        areas[label] += end - begin
        begin = end
    return areas


@compiled
def find_runs(labels, width, num_segments, index):
    """Runs of a flat label map in rows of ``width``: offsets, starts, stops in the dtype of ``index``.

    One pass over the pixels marks where the label changes (eight marks are skipped at a time where there are
    none: 2.8x faster than branching on every pixel, 4096 x 4096 with 14,000 cells), then a counting sort by
    segment. Per-pixel noise pays for the marks: 2x slower than branching.
    """
    offsets = np.zeros(num_segments + 1, np.int64)
    capacity = max(1024, width + 1)
    segments = np.empty(capacity, np.int32)
    begins = np.empty(capacity, index.dtype)
    ends = np.empty(capacity, index.dtype)
    changes = np.zeros((width + 7) // 8 * 8, np.uint8)
    words = changes.view(np.uint64)
    found = 0
    for row in range(0, labels.size, width):
        if found + width > capacity:
            capacity *= 2
            segments = np.concatenate((segments, np.empty_like(segments)))
            begins = np.concatenate((begins, np.empty_like(begins)))
            ends = np.concatenate((ends, np.empty_like(ends)))
        line = labels[row : row + width]
        changes[0] = 1
        for x in range(1, width):
            changes[x] = line[x] != line[x - 1]
        inside = False
        for word in range(words.size):
            if words[word] == ZEROS:
                continue
            for x in range(8 * word, min(8 * word + 8, width)):
                if changes[x]:
                    if inside:
                        ends[found] = row + x
                        found += 1
                    inside = line[x] > 0
                    if inside:
                        segments[found] = line[x]
                        begins[found] = row + x
                        offsets[line[x]] += 1
        if inside:
            ends[found] = row + width
            found += 1
    for k in range(num_segments):
        offsets[k + 1] += offsets[k]
    place = offsets[:-1].copy()
    starts = np.empty(found, index.dtype)
    stops = np.empty(found, index.dtype)
    for run in range(found):
        k = segments[run] - 1
        starts[place[k]] = begins[run]
        stops[place[k]] = ends[run]
        place[k] += 1
    return offsets, starts, stops


@compiled
def _next_pixel(pixels, words, wanted, begin, end):
    """First pixel of ``begin:end`` that equals ``wanted``, or ``end``; skips 64 pixels, then eight at a time."""
    other = ZEROS if wanted else ONES
    pixel = begin
    while pixel < min(end, (begin + 7) // 8 * 8):
        if pixels[pixel] == wanted:
            return pixel
        pixel += 1
    word = pixel // 8
    while word + 8 <= end // 8:
        same = words[word] ^ other
        for ahead in range(1, 8):
            same |= words[word + ahead] ^ other
        if same != ZEROS:
            break
        word += 8
    while word < end // 8 and words[word] == other:
        word += 1
    pixel = max(pixel, 8 * word)
    while pixel < end and pixels[pixel] != wanted:
        pixel += 1
    return pixel


@compiled
def find_mask_runs(pixels, words, num_masks, width, index):
    """Runs of a flat stack of masks (uint8 0 or 1), ``words`` being the same memory eight pixels at a time."""
    size = pixels.size // max(num_masks, 1)
    offsets = np.zeros(num_masks + 1, np.int64)
    capacity = 1024
    starts = np.empty(capacity, index.dtype)
    stops = np.empty(capacity, index.dtype)
    found = 0
    for mask in range(num_masks):
        base = mask * size
        pixel = _next_pixel(pixels, words, 1, base, base + size)  # empty rows are passed over in one go
        while pixel < base + size:
            row_end = base + ((pixel - base) // width + 1) * width
            stop = _next_pixel(pixels, words, 0, pixel, row_end)
            if found == capacity:
                capacity *= 2
                starts = np.concatenate((starts, np.empty_like(starts)))
                stops = np.concatenate((stops, np.empty_like(stops)))
            starts[found] = pixel - base
            stops[found] = stop - base
            found += 1
            pixel = _next_pixel(pixels, words, 1, stop, base + size)
        offsets[mask + 1] = found
    return offsets, starts[:found].copy(), stops[:found].copy()


@compiled
def paint(labels, offsets, starts, stops, order):
    """Paint the segments (0-based) of ``order`` into flat ``labels``; returns how many pixels were taken already."""
    covered = 0
    for k in order:
        for run in range(offsets[k], offsets[k + 1]):
            for pixel in range(starts[run], stops[run]):
                if labels[pixel] != 0:
                    covered += 1
                labels[pixel] = k + 1
    return covered


@compiled
def is_free(labels, starts, stops):
    """Whether no pixel of these runs is labelled yet."""
    for run in range(starts.size):
        for pixel in range(starts[run], stops[run]):
            if labels[pixel] != 0:
                return False
    return True


@compiled
def boxes(offsets, starts, stops, height, width):
    """Bounding boxes ``(N, 6)``: zmin, ymin, xmin, zmax, ymax, xmax, half open; zeros where there are no runs."""
    count = offsets.size - 1
    out = np.zeros((count, 6), np.int64)
    for k in range(count):
        first = offsets[k]
        last = offsets[k + 1]
        if first == last:
            continue
        top_z = starts[first] // width // height
        low_z = starts[last - 1] // width // height
        top_y, low_y = height, 0
        left, right = width, 0
        for run in range(first, last):
            row = starts[run] // width
            y = row % height
            x = starts[run] - row * width
            top_y = min(top_y, y)
            low_y = max(low_y, y)
            left = min(left, x)
            right = max(right, stops[run] - row * width)
        out[k, 0] = top_z
        out[k, 1] = top_y
        out[k, 2] = left
        out[k, 3] = low_z + 1
        out[k, 4] = low_y + 1
        out[k, 5] = right
    return out


@compiled
def paint_crop(crop, starts, stops, origin_z, origin_y, origin_x, height, width):
    """Paint one segment's runs into a ``(D, H, W)`` uint8 crop whose corner is at the origin."""
    for run in range(starts.size):
        row = starts[run] // width
        z = row // height - origin_z
        y = row % height - origin_y
        shift = row * width + origin_x
        crop[z, y, starts[run] - shift : stops[run] - shift] = 1


@compiled
def unite(groups, starts, stops, width):
    """Runs sorted by group and start, with those of one group and row that overlap or touch made one."""
    out_groups = np.empty_like(groups)
    out_starts = np.empty_like(starts)
    out_stops = np.empty_like(stops)
    last = -1
    for run in range(starts.size):
        if (
            last >= 0
            and groups[run] == out_groups[last]
            and starts[run] <= out_stops[last]
            and starts[run] // width == out_starts[last] // width
        ):
            out_stops[last] = max(out_stops[last], stops[run])
        else:
            last += 1
            out_groups[last] = groups[run]
            out_starts[last] = starts[run]
            out_stops[last] = stops[run]
    return out_groups[: last + 1].copy(), out_starts[: last + 1].copy(), out_stops[: last + 1].copy()
