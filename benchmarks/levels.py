"""Coarse mask logits to the final masks of a 4K image, against torch and against transformers.

The peers give bool masks of the image's size, ours the runs of a ``Segmentation``; that both hold the same pixels is
checked, and their IoU is 1. Peers of time work as a person would: torch one mask at a time, transformers by its call.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec

import numpy as np
from harness import Comparison, row
from scipy.ndimage import gaussian_filter

from smalti.postprocess.levels import segments_from_logits, segments_from_padded_logits
from smalti.segmentation import Segmentation

COUNT, COARSE_HW, INPUT_HW, IMAGE_HW = 12, (270, 480), (1080, 1920), (2160, 3840)


@cache
def mask_logits() -> np.ndarray:
    """Logits of 12 lobed objects with radii of 1/40 to 1/3 of the height and uneven edges, (12, 270, 480) float32."""
    rng = np.random.default_rng(0)
    height, width = COARSE_HW
    y, x = np.mgrid[:height, :width]
    logits = np.empty((COUNT, height, width), np.float32)
    radii = height * np.geomspace(1 / 40, 1 / 3, COUNT)
    for plane, radius in zip(logits, radii, strict=True):
        center_y, center_x = rng.uniform(0, height), rng.uniform(0, width)
        angle = np.arctan2(y - center_y, x - center_x)
        lobes = sum(
            rng.uniform(0, 0.4 / k) * np.sin(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 8)
        )
        inside_px = radius * (1 + lobes) - np.hypot(y - center_y, x - center_x)
        noise = gaussian_filter(rng.standard_normal((height, width)), 2)
        plane[:] = np.clip(1.5 * inside_px, -9, 9) + 2 * noise / noise.std()
    return logits


def same_masks(peer: Iterable[np.ndarray], ours: Segmentation) -> bool:
    """Whether each mask has the same pixels, so that its IoU is 1."""
    return all(np.array_equal(one, other) for one, other in zip(peer, ours.masks(), strict=True))


def ours() -> Segmentation:
    return segments_from_logits(mask_logits(), IMAGE_HW)


def note() -> str:
    share = np.count_nonzero(mask_logits() > 0) / mask_logits().size
    return (
        f"{COUNT} planes of {COARSE_HW[0]} x {COARSE_HW[1]} to {IMAGE_HW[0]} x {IMAGE_HW[1]}, objects of "
        f"{100 * share:.1f} % of the image on average; bool masks against runs, the same pixels"
    )


if find_spec("torch"):

    def interpolated() -> list[np.ndarray]:
        """Bool masks, one interpolation and one threshold at a time."""
        import torch
        from torch.nn.functional import interpolate

        planes = torch.from_numpy(mask_logits())[:, None, None]
        return [
            (interpolate(plane, size=IMAGE_HW, mode="bilinear", align_corners=False)[0, 0] > 0).numpy()
            for plane in planes
        ]

    @row("masks-4k-interpolate", peer="torch interpolate and threshold, one mask at a time", target=40)
    def against_torch() -> Comparison:
        import torch

        torch.set_num_threads(1)
        return Comparison(interpolated, ours, same_masks, note())

    row("masks-4k-memory", peer="torch as in masks-4k-interpolate", what="memory", limit_mb=20)(against_torch)


if find_spec("torch") and find_spec("transformers"):

    @row("masks-4k-transformers", peer="transformers SamImageProcessor.post_process_masks", target=80)
    def against_transformers() -> Comparison:
        import torch
        from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

        torch.set_num_threads(1)
        processor = SamImageProcessorPil()
        planes = torch.from_numpy(mask_logits())[None]  # one image
        input_size = {"height": INPUT_HW[0], "width": INPUT_HW[1]}

        def theirs() -> np.ndarray:
            masks = processor.post_process_masks([planes], [IMAGE_HW], [INPUT_HW], pad_size=input_size)
            return masks[0][0].numpy()

        def padded() -> Segmentation:
            return segments_from_padded_logits(mask_logits(), IMAGE_HW, input_hw=INPUT_HW, valid_hw=INPUT_HW)

        through = f"; through the network's input of {INPUT_HW[0]} x {INPUT_HW[1]}, as it does"
        return Comparison(theirs, padded, same_masks, note() + through)
