"""Values from 0 to 1 as colours that get lighter with them, and the scale that says which is which."""

from __future__ import annotations

from functools import cache
from html import escape

import cv2
import numpy as np

UNSAID = (128, 128, 128)
"""What is left out of a map; no colour of the scale is grey."""


@cache
def palette() -> np.ndarray:
    """Viridis (van der Walt and Smith 2015), (256, 3) uint8 RGB: even steps to the eye, and to colour-blind ones."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, np.newaxis], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]


def colored(values: np.ndarray, side_px: int, left_out: np.ndarray | None = None) -> np.ndarray:
    """A map (H, W) of 0..1 as colours (h, w, 3) uint8, made smaller to ``side_px`` where it is larger.

    ``left_out`` (bool, H, W) is shown in grey.
    """
    values = np.clip(values.astype(np.float32), 0, 1)
    scale = side_px / max(values.shape)
    if scale < 1:  # values are averaged and not their colours, whose mean would be no colour of the scale
        size = max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale))
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        if left_out is not None:
            left_out = cv2.resize(left_out.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)
    shown = palette()[np.rint(values * 255).astype(np.uint8)]
    if left_out is not None:
        shown[left_out] = UNSAID
    return shown


def scale_key(low: str, high: str) -> str:
    """The scale as HTML: its colours from 0 to 1 with words for both ends."""
    stops = ",".join("rgb({},{},{})".format(*palette()[place]) for place in range(0, 256, 15))
    return (
        f'<p class="scale"><span>0 <small>{escape(low)}</small></span><i style="background:linear-gradient(90deg,'
        f'{stops})"></i><span>1 <small>{escape(high)}</small></span></p>'
    )
