"""Where objects end: pixels with something else within reach, by looking along every step of a small ball."""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def mark_borders(labels, steps, firsts, reaches, ground_reaches, rim):
    """Pixels of a label map (D, H, W) where an object ends, as uint8 (D, H, W); labels < 0 are not known and no end.

    ``steps`` (M, 3) are sorted from near to far; those of a length up to r are the first ``firsts[r]``. A pixel of
    object k is marked if anything but k lies within ``reaches[k]`` steps' length, ground if two objects lie within
    ``ground_reach``.
    """
    depth, height, width = labels.shape
    found = np.zeros(labels.shape, np.uint8)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                label = labels[z, y, x]
                if label < 0:
                    continue
                reach = firsts[reaches[label]] if label > 0 else firsts[ground_reaches[0]]
                first = 0
                for k in range(reach):
                    to_z, to_y, to_x = z + steps[k, 0], y + steps[k, 1], x + steps[k, 2]
                    if not (0 <= to_z < depth and 0 <= to_y < height and 0 <= to_x < width):
                        continue
                    other = labels[to_z, to_y, to_x]
                    if other < 0 or other == label or (other == 0 and not rim):
                        continue
                    if label == 0 and k >= firsts[ground_reaches[other]]:
                        continue
                    if label > 0 or (first > 0 and other != first):
                        found[z, y, x] = 1
                        break
                    first = other
    return found
