"""Distances between the surfaces of two volumes: HD95 and normalised surface Dice, under each peer's definition."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
from harness import Comparison, row
from scipy.ndimage import gaussian_filter, zoom

from smalti.metrics.surface import surface_distances

SHAPE = (128, 256, 256)
SPACING = (2.5, 0.8, 0.8)
TOLERANCE = 3.0


def organs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A body of a few lobes, and the same with its outline moved by up to a few pixels, (128, 256, 256) bool."""
    generator = np.random.default_rng(seed)
    coarse = [n // 4 for n in SHAPE]
    z, y, x = (np.linspace(-1, 1, n).reshape([-1 if a == axis else 1 for a in range(3)])
               for axis, n in enumerate(coarse))  # fmt: skip
    field = np.full(coarse, -np.inf)
    for _ in range(5):
        center = generator.uniform(-0.4, 0.4, 3)
        radius = generator.uniform(0.2, 0.4, 3)
        away = sum(((axis - c) / r) ** 2 for axis, c, r in zip((z, y, x), center, radius, strict=True))
        field = np.maximum(field, 1 - np.sqrt(away))
    noise, shift = (gaussian_filter(generator.standard_normal(coarse), 3) for _ in range(2))
    truth = zoom(field + 2 * noise, 4, order=1) > 0
    return truth, zoom(field + 2 * noise + 2 * shift, 4, order=1) > 0


def close(peer: tuple[float, float], own: tuple[float, float]) -> bool:
    return bool(np.allclose(peer, own, rtol=0, atol=1e-6 * max(1.0, own[0])))


def note(truth: np.ndarray) -> str:
    return (
        f"HD95 and NSD at {TOLERANCE} mm of one organ of {np.count_nonzero(truth) / 1e6:.1f} million voxels in "
        f"{' x '.join(map(str, SHAPE))}, spacing {' x '.join(map(str, SPACING))} mm"
    )


if find_spec("surface_distance"):

    @row("surface-3d-deepmind", peer="surface-distance", target=5)
    def deepmind() -> Comparison:
        import surface_distance.metrics as peer

        warnings.simplefilter("ignore", DeprecationWarning)  # it asks for old names of scipy
        truth, predicted = organs(0)

        def theirs() -> tuple[float, float]:
            found = peer.compute_surface_distances(truth, predicted, SPACING)
            return (
                peer.compute_robust_hausdorff(found, 95),
                peer.compute_surface_dice_at_tolerance(found, TOLERANCE),
            )

        def ours() -> tuple[float, float]:
            found = surface_distances(truth, predicted, SPACING, definition="deepmind")
            return found.hausdorff(95), found.nsd(TOLERANCE)

        return Comparison(theirs, ours, close, note(truth))


if find_spec("monai"):

    @row("surface-3d-monai", peer="monai compute_hausdorff_distance and compute_surface_dice", target=4)
    def monai() -> Comparison:
        import torch
        from monai.metrics import compute_hausdorff_distance, compute_surface_dice

        torch.set_num_threads(1)
        truth, predicted = organs(0)
        tensors = [torch.from_numpy(mask)[None, None] for mask in (predicted, truth)]

        def theirs() -> tuple[float, float]:
            options = {"include_background": True, "spacing": SPACING}
            return (
                float(compute_hausdorff_distance(*tensors, percentile=95, **options)),
                float(compute_surface_dice(*tensors, [TOLERANCE], **options)),
            )

        def ours() -> tuple[float, float]:
            found = surface_distances(truth, predicted, SPACING, definition="monai")
            return found.hausdorff(95), found.nsd(TOLERANCE)

        return Comparison(
            theirs, ours, close, note(truth) + "; both functions are called, as a user of MONAI does"
        )
