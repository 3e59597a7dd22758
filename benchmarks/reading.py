"""Reading files: a photograph and a label map, against the fastest well-kept library for each."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage
from harness import Comparison, row
from overlap import cells

from smalti.io import read
from smalti.io.raster import read_labels, write_labels

FOLDER = tempfile.TemporaryDirectory()


@row("read-jpeg", peer="opencv-python-headless imread", target=1)
def read_photograph() -> Comparison:
    """A 12-megapixel JPEG."""
    photograph = cv2.imread(str(Path(skimage.__file__).parent / "data" / "coffee.png"))
    path = str(Path(FOLDER.name) / "photograph.jpg")
    cv2.imwrite(path, cv2.resize(photograph, (4000, 3000), interpolation=cv2.INTER_CUBIC))
    return Comparison(
        lambda: cv2.imread(path, cv2.IMREAD_COLOR_RGB),
        lambda: read(path).pixels,
        np.array_equal,
        "4000 x 3000 RGB; Pillow took 1.3 times OpenCV's time on it; ours also looks for the end of the file",
    )


@row("read-labels", peer="opencv-python-headless imread", target=1)
def read_label_map() -> Comparison:
    """A 16-bit PNG of 14,400 cells."""
    path = str(Path(FOLDER.name) / "labels.png")
    write_labels(path, cells(4096, 0))
    return Comparison(
        lambda: cv2.imread(path, cv2.IMREAD_UNCHANGED),
        lambda: read_labels(path),
        np.array_equal,
        "4096 x 4096, 14,400 cells, as write_labels writes it",
    )
