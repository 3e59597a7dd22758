"""COCO run-length encoding of 100 masks, against pycocotools.

Each side starts from the stack in the memory order it likes: pycocotools from ``(H, W, N)`` uint8 in Fortran
order, smalti from ``(N, H, W)`` bool in C order, as networks and numpy give it.
"""

from __future__ import annotations

import numpy as np
from harness import Comparison, row
from pycocotools import mask as coco

from smalti.masks import encode_rles


def blobs(num: int, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Wavy discs of mixed sizes, radius 1/80 to 1/3 of the height, ``(num, H, W)`` bool."""
    rng = np.random.default_rng(seed)
    height, width = shape
    y, x = np.mgrid[:height, :width]
    masks = np.empty((num, height, width), bool)
    for mask in masks:
        center_y, center_x = rng.uniform(0, height), rng.uniform(0, width)
        radius = height * np.exp(rng.uniform(np.log(1 / 80), np.log(1 / 3)))
        angle = np.arctan2(y - center_y, x - center_x)
        waves = sum(
            rng.uniform(0, 0.3 / k) * np.sin(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 7)
        )
        mask[:] = np.hypot(y - center_y, x - center_x) < radius * (1 + waves)
    return masks


@row("rle-encode", peer="pycocotools", what="time", target=1.0)
def rle_encode() -> Comparison:
    masks = blobs(100, (480, 640))
    fortran = np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))
    return Comparison(
        peer=lambda: coco.encode(fortran),
        ours=lambda: encode_rles(masks),
        agree=_same_text,
        note="100 masks of 480 x 640, each side from its own memory order (Fortran for pycocotools)",
    )


def _same_text(peer: list[dict], ours: list[dict]) -> bool:
    return [(rle["size"], rle["counts"].decode()) for rle in peer] == [
        (rle["size"], rle["counts"]) for rle in ours
    ]
