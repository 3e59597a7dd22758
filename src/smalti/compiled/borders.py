"""Where objects end: pixels with something else within reach, by looking along every step of a small ball."""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def mark_borders(labels, margins, offsets, firsts, reaches, ground_reaches, rim):
    """Pixels of a padded label map (D, H, W) where an object ends, as uint8 of the size without its ``margins`` (3,).

    Labels < 0 are not known and no end; the margins, as wide as the longest step, are such. ``offsets`` (M,) are steps
    in the flattened map, sorted from near to far; those of a length up to r are the first ``firsts[r]``. A pixel of
    object k is marked if anything but k lies within ``reaches[k]`` steps' length, ground if two objects lie within
    ``ground_reach``.
    """
    depth, height, width = labels.shape
    flat = labels.reshape(-1)
    found = np.zeros((depth - 2 * margins[0], height - 2 * margins[1], width - 2 * margins[2]), np.uint8)
    ground_reach = firsts[ground_reaches[0]]
    for z in range(found.shape[0]):
        for y in range(found.shape[1]):
            start = ((z + margins[0]) * height + y + margins[1]) * width + margins[2]
            for x in range(found.shape[2]):
                place = start + x
                label = flat[place]
                if label > 0:
                    for k in range(firsts[reaches[label]]):
                        other = flat[place + offsets[k]]
                        if other != label and other >= 0 and (rim or other > 0):
                            found[z, y, x] = 1
                            break
                elif label == 0:
                    first = 0
                    for k in range(ground_reach):
                        other = flat[place + offsets[k]]
                        if other > 0 and k < firsts[ground_reaches[other]]:
                            if first > 0 and other != first:
                                found[z, y, x] = 1
                                break
                            first = other
    return found
