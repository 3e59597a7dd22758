"""Losses of made-up logits by MONAI and torch, for ``tests/train/test_losses.py``.

    python tests/golden/make_losses.py

writes ``losses.json`` beside it. The arrays come from ``scores``, which the test calls too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CASES = [
    {"seed": 0, "shape": [2, 9, 11], "classes": 3},
    {"seed": 1, "shape": [1, 5, 6, 7], "classes": 2},
    {"seed": 2, "shape": [3, 8, 8], "classes": 5},
]


def scores(case: dict) -> tuple[np.ndarray, np.ndarray]:
    """Logits (B, K, *S) float32 and target (B, *S) int64 without void; every image has every class."""
    rng = np.random.default_rng(case["seed"])
    images, *size = case["shape"]
    target = rng.integers(0, case["classes"], case["shape"])
    target.reshape(images, -1)[:, : case["classes"]] = np.arange(case["classes"])
    return rng.normal(0, 2, (images, case["classes"], *size)).astype(np.float32), target


def main() -> None:
    """Write the numbers of every case."""
    import monai
    import torch
    from monai.losses import DiceLoss, FocalLoss, TverskyLoss

    shared = {"to_onehot_y": True, "softmax": True, "smooth_nr": 1e-5, "smooth_dr": 1e-5}
    losses = {
        "dice of the batch": DiceLoss(batch=True, **shared),
        "dice of images": DiceLoss(**shared),
        "dice without background": DiceLoss(include_background=False, **shared),
        "tversky": TverskyLoss(alpha=0.3, beta=0.7, batch=True, **shared),
        "focal": FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0),
    }
    written = []
    for case in CASES:
        logits, target = (torch.from_numpy(each) for each in scores(case))
        numbers = {name: float(loss(logits, target[:, None])) for name, loss in losses.items()}
        numbers["focal"] *= case["classes"]  # MONAI's mean is over classes, too
        numbers["smoothed cross-entropy"] = float(
            torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
        )
        written.append(case | {"losses": numbers})
    path = Path(__file__).with_name("losses.json")
    peer = f"MONAI {monai.__version__}, torch {torch.__version__}"
    path.write_text(json.dumps({"peer": peer, "cases": written}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
