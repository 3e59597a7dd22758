"""Opening a folder of 20,000 annotated images and knowing their sizes, before any pixel is read."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from harness import Comparison, row
from PIL import Image as PillowImage

from smalti.data.dataset import Dataset

SAMPLES = 20_000

Listing = list[tuple[str, tuple[int, int]]]


def folder_of_pairs() -> Path:
    """``images/*.jpg`` and ``labels/*.png`` of two sizes in turn, with the names of two classes."""
    root = Path(tempfile.mkdtemp(prefix="smalti-scan-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    os.environ["SMALTI_CACHE"] = str(root.with_name(root.name + "-cache"))
    atexit.register(shutil.rmtree, os.environ["SMALTI_CACHE"], ignore_errors=True)
    files = {}
    for shape in ((48, 64), (64, 64)):
        picture = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
        labels = np.zeros(shape, np.uint8)
        labels[8:24, 8:24] = 1
        files[shape] = cv2.imencode(".jpg", picture)[1].tobytes(), cv2.imencode(".png", labels)[1].tobytes()
    (root / "images").mkdir()
    (root / "labels").mkdir()
    (root / "classes.txt").write_text("background\ncell\n")
    for index in range(SAMPLES):
        image, labels = files[(48, 64) if index % 2 else (64, 64)]
        (root / "images" / f"field_{index:05}.jpg").write_bytes(image)
        (root / "labels" / f"field_{index:05}.png").write_bytes(labels)
    return root


def by_glob_and_pillow(root: Path) -> Listing:
    masks = {path.stem: path for path in root.glob("labels/*.png")}
    found = []
    for path in sorted(root.glob("images/*.jpg")):
        if path.stem in masks:
            with PillowImage.open(path) as image:
                found.append((path.stem, (image.height, image.width)))
    return found


def by_dataset(root: Path) -> Listing:
    dataset = Dataset.open(root)
    return [(name, size) for name, size in zip(dataset.names, dataset.sizes(), strict=True) if size]


@row("scan-20k", peer="pillow and pathlib.glob", target=10, repeats=5)
def scan_20k() -> Comparison:
    root = folder_of_pairs()
    return Comparison(
        lambda: by_glob_and_pillow(root),
        lambda: by_dataset(root),
        lambda peer, ours: peer == ours,
        "20,000 pairs of JPEG and PNG opened and their sizes known; ours remembers sizes and checks each file's "
        "bytes and time of change, as on every opening but the first",
    )


@row("scan-20k-first", peer="pillow and pathlib.glob", repeats=5)
def scan_20k_first() -> Comparison:
    root = folder_of_pairs()

    def ours() -> Listing:
        shutil.rmtree(os.environ["SMALTI_CACHE"], ignore_errors=True)
        return by_dataset(root)

    return Comparison(
        lambda: by_glob_and_pillow(root),
        ours,
        lambda peer, ours: peer == ours,
        "the same with nothing remembered: every header is read, and the sizes are written down",
    )
