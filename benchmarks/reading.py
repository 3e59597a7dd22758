"""Reading a photo and a label map, against the fastest well-kept library on the same file.

OpenCV, Pillow and imageio are timed on the file first and the fastest is the peer; the note says which. All read
from a path into an array that the caller may write to.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import imageio.v3
import numpy as np
import skimage
from harness import Comparison, row
from measure import cells
from PIL import Image as PillowImage

from smalti.io import read_image, read_labels, write_labels

PHOTO_SIZE_HW = (3000, 4500)
TRIES = 3


def folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="smalti-reading-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def fastest(readers: dict[str, Callable[[], np.ndarray]]) -> tuple[str, str]:
    """The reader with the best of a few tries, and what all of them took."""
    seconds = dict.fromkeys(readers, float("inf"))
    for _ in range(TRIES):
        for name, reader in readers.items():
            start = time.perf_counter()
            reader()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    told = ", ".join(f"{name} {1000 * taken:.0f} ms" for name, taken in seconds.items())
    return min(seconds, key=lambda name: seconds[name]), told


def compare(
    readers: dict[str, Callable[[], np.ndarray]], ours: Callable[[], np.ndarray], what: str
) -> Comparison:
    name, told = fastest(readers)
    return Comparison(
        peer=readers[name],
        ours=ours,
        agree=lambda peer, ours: peer.dtype == ours.dtype and np.array_equal(peer, ours),
        note=f"{what}; peer is {name}, the fastest of: {told}; same pixels",
    )


@row("read-jpeg", peer="opencv-python-headless", what="time", target=1.0)
def read_jpeg() -> Comparison:
    path = folder() / "photo.jpg"
    photo = cv2.imread(str(Path(skimage.__file__).parent / "data" / "coffee.png"))
    height, width = PHOTO_SIZE_HW
    photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(
        0, 4, photo.shape
    )  # an upscaled photo alone is smoother than real ones
    photo = np.clip(photo + grain, 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, 92])
    readers = {
        "OpenCV": lambda: cv2.imread(str(path), cv2.IMREAD_COLOR_RGB),
        "Pillow": lambda: np.array(PillowImage.open(path)),
        "imageio": lambda: imageio.v3.imread(path),
    }
    megapixels = height * width / 1e6
    megabytes = path.stat().st_size / 1e6
    return compare(readers, lambda: read_image(path).pixels, f"{megapixels:.1f} MP, {megabytes:.1f} MB, RGB")


@row("read-labels", peer="opencv-python-headless", what="time", target=1.0)
def read_labels_png() -> Comparison:
    path = folder() / "cells.labels.png"
    labels = cells(4096)
    write_labels(path, labels)
    readers = {
        "OpenCV": lambda: cv2.imread(str(path), cv2.IMREAD_UNCHANGED),
        "Pillow": lambda: np.array(PillowImage.open(path)),
        "imageio": lambda: imageio.v3.imread(path),
    }
    what = f"16-bit PNG 4096 x 4096, {labels.max()} cells, as write_labels writes it: rows unfiltered"
    return compare(readers, lambda: read_labels(path), what)
