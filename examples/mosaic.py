"""Draw the picture of the README: the segments of the demo's photographs, laid like a mosaic.

make demo
.venv/bin/python examples/mosaic.py out/demo docs/mosaic.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import smalti
from smalti.io.draw import overlay

PANELS = ("coins", "brick", "hubble_deep_field", "retina")
HEIGHT_PX, WIDTH_PX, GAP_PX = 420, 520, 14
GROUND = (24, 27, 33)


def panel(labels: np.ndarray) -> np.ndarray:
    """The segments alone, ``(HEIGHT_PX, WIDTH_PX, 3)``: middle of the picture at the panel's proportions."""
    height, width = labels.shape
    tall = min(height, width * HEIGHT_PX // WIDTH_PX)
    wide = min(width, height * WIDTH_PX // HEIGHT_PX)
    top, left = (height - tall) // 2, (width - wide) // 2
    cut = labels[top : top + tall, left : left + wide]
    zoom = max(1, round(WIDTH_PX * 2 / wide))
    cut = cut.repeat(zoom, 0).repeat(zoom, 1)
    ground = smalti.Image(np.full((*cut.shape, 3), GROUND, np.uint8))
    drawn = overlay(
        ground, smalti.Segmentation.from_labels(cut), fill=0.85, ids=False, colors="segment", zoom=1
    )
    return cv2.resize(drawn, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Read the demo's label maps and write the picture."""
    demo, out = Path(sys.argv[1]), Path(sys.argv[2])
    panels = [panel(smalti.read_labels(demo / f"{name}.labels.png")) for name in PANELS]
    picture = np.full((2 * HEIGHT_PX + GAP_PX, 2 * WIDTH_PX + GAP_PX, 3), 255, np.uint8)
    for index, drawn in enumerate(panels):
        y, x = (index // 2) * (HEIGHT_PX + GAP_PX), (index % 2) * (WIDTH_PX + GAP_PX)
        picture[y : y + HEIGHT_PX, x : x + WIDTH_PX] = drawn
    smalti.write_image(out, smalti.Image(picture))


if __name__ == "__main__":
    main()
