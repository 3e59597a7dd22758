"""Numbers of surface-distance and MONAI for made-up masks: python tests/golden/make_surface.py.

Writes surface.json beside this file. The masks come from ``masks``, which the tests call as well. Infinite and missing
numbers are kept as text, as JSON has none. Needs surface-distance 0.1 and MONAI; the former asks scipy and numpy for
names that their current versions may no longer have.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

IMAGE, VOLUME = (40, 50), (12, 30, 31)
SPACINGS: dict[str, dict[str, Any]] = {
    "image": {"shape": IMAGE, "spacing": (1.0, 1.0)},
    "oblong pixels": {"shape": IMAGE, "spacing": (2.0, 0.7)},
    "volume": {"shape": VOLUME, "spacing": (1.0, 1.0, 1.0)},
    "thick slices": {"shape": VOLUME, "spacing": (5.0, 0.7, 0.9)},
}
KINDS = (
    "moved",  # smooth pieces, some at the border, and the same a few pixels further
    "speckled",  # every configuration of neighbours
    "touching the border",
    "far apart",
    "single pixels",
    "pixel and pieces",
    "the same",
    "nothing predicted",
    "nothing in truth",
    "nothing",
)
CASES = {f"{kind}, {name}": {"kind": kind, **given} for kind in KINDS for name, given in SPACINGS.items()}
TOLERANCES = (0.5, 1.3, 3.1)


def masks(kind: str, shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of one case, (*shape,) bool."""
    rng = np.random.default_rng(KINDS.index(kind) * 10 + len(shape))
    pieces = _blurred(rng.random(shape)) > 0.5
    pixel, nothing = np.zeros(shape, bool), np.zeros(shape, bool)
    pixel[(4,) * len(shape)] = True
    corner, whole = np.zeros(shape, bool), np.zeros(shape, bool)
    corner[(slice(0, 6),) * len(shape)] = True
    whole[(slice(0, None), *(slice(3, None),) * (len(shape) - 1))] = True
    return {
        "moved": (pieces, np.roll(pieces, 2, tuple(range(len(shape))))),
        "speckled": (rng.random(shape) < 0.3, rng.random(shape) < 0.6),
        "touching the border": (corner, whole),
        "far apart": (corner, np.flip(corner)),
        "single pixels": (pixel, np.flip(pixel)),
        "pixel and pieces": (pixel, pieces),
        "the same": (pieces, pieces),
        "nothing predicted": (pieces, nothing),
        "nothing in truth": (nothing, pieces),
        "nothing": (nothing, nothing),
    }[kind]


def _blurred(noise: np.ndarray) -> np.ndarray:
    """The mean of 5 pixels along each axis, twice: without a library, so that it stays what it is."""
    for axis in [*range(noise.ndim)] * 2:
        noise = sum(np.roll(noise, step, axis) for step in range(-2, 3)) / 5
    return np.argsort(np.argsort(noise.ravel())).reshape(noise.shape) / noise.size


def main() -> None:
    """Ask both peers about every case."""
    import surface_distance.metrics as surface
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    warnings.simplefilter("ignore")
    for name, value in (("Inf", np.inf), ("NaN", np.nan)):
        if not hasattr(np, name):
            setattr(np, name, value)

    import torch

    cases = {}
    for case, given in CASES.items():
        truth, predicted = masks(**given)
        spacing = given["spacing"]
        found = surface.compute_surface_distances(truth, predicted, spacing)
        to_predicted, to_truth = surface.compute_average_surface_distance(found)
        deepmind = {
            "hausdorff": surface.compute_robust_hausdorff(found, 100),
            "hausdorff95": surface.compute_robust_hausdorff(found, 95),
            "hausdorff50": surface.compute_robust_hausdorff(found, 50),
            "mean_to_predicted": to_predicted,
            "mean_to_truth": to_truth,
            "nsd": [surface.compute_surface_dice_at_tolerance(found, limit) for limit in TOLERANCES],
        }
        pair = [torch.from_numpy(mask.copy())[None, None] for mask in (predicted, truth)]
        options: dict[str, Any] = {"include_background": True, "spacing": spacing}
        monai = {
            "hausdorff": compute_hausdorff_distance(*pair, **options),
            "hausdorff95": compute_hausdorff_distance(*pair, percentile=95, **options),
            "hausdorff50": compute_hausdorff_distance(*pair, percentile=50, **options),
            "assd": compute_average_surface_distance(*pair, symmetric=True, **options),
            "mean_to_truth": compute_average_surface_distance(*pair, **options),
            "nsd": [compute_surface_dice(*pair, [limit], **options) for limit in TOLERANCES],
        }
        cases[case] = {"deepmind": _plain(deepmind), "monai": _plain(monai)}
    peers = {"surface-distance": version("surface-distance"), "monai": version("monai")}
    text = json.dumps({"peers": peers, "cases": cases}, indent=1)
    (Path(__file__).parent / "surface.json").write_text(text + "\n", encoding="utf-8")


def _plain(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _plain(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_plain(value) for value in values]
    number = float(values)
    return number if np.isfinite(number) else str(number)


if __name__ == "__main__":
    main()
