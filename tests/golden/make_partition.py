"""Numbers of scikit-image and scikit-learn for made-up label maps: python tests/golden/make_partition.py.

Writes partition.json beside this file. The label maps come from ``label_maps``, which the tests call as well.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

CASES: dict[str, dict[str, Any]] = {
    "moved": {"seed": 0, "shift": 3},
    "with background": {"seed": 1, "shift": 2, "background": 0.3},
    "split": {"seed": 2, "split": 0.6},
    "merged": {"seed": 3, "merge": 0.6},
    "speckled": {"seed": 4, "noise": 0.2, "background": 0.2},
    "unrelated": {"seed": 5, "unrelated": True, "background": 0.1},
    "volume": {"seed": 6, "shape": (3, 4, 5), "shift": 1, "background": 0.2},
    "the same": {"seed": 7},
    "one region": {"seed": 8, "shape": (1, 1), "split": 1.0},
}


def label_maps(
    seed: int,
    shape: tuple[int, ...] = (5, 6),
    block: int = 6,
    shift: int = 0,
    split: float = 0.0,
    merge: float = 0.0,
    noise: float = 0.0,
    background: float = 0.0,
    unrelated: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """A map of blocks and another made from it: moved, cut up, run together, speckled."""
    rng = np.random.default_rng(seed)

    def blocks() -> np.ndarray:
        numbers = rng.permutation(int(np.prod(shape))).reshape(shape) + 1
        numbers[rng.random(shape) < background] = 0
        return np.kron(numbers, np.ones((block,) * len(shape), np.int64))

    truth = blocks()
    predicted = blocks() if unrelated else np.roll(truth, shift, tuple(range(truth.ndim)))
    top = int(predicted.max())
    for label in range(1, top + 1):
        if rng.random() < split:
            part = (predicted == label) & (np.arange(predicted.shape[-1]) % block < block // 3)
            predicted = np.where(part, label + top, predicted)
        if rng.random() < merge:
            predicted = np.where(predicted == label, label // 2 + 1, predicted)
    speckled = rng.random(predicted.shape) < noise
    return truth, np.where(speckled, rng.integers(0, top + 1, predicted.shape), predicted)


def main() -> None:
    from skimage.metrics import adapted_rand_error, variation_of_information
    from sklearn.metrics import adjusted_rand_score, rand_score

    cases = {}
    for name, parameters in CASES.items():
        truth, predicted = label_maps(**parameters)
        found: dict[str, Any] = {}
        for background, ignored in (("region", ()), ("truth_ignored", (0,))):
            found[background] = {
                "adapted_rand": [
                    float(x) for x in adapted_rand_error(truth, predicted, ignore_labels=ignored)
                ],
                "vi": [float(x) for x in variation_of_information(truth, predicted, ignore_labels=ignored)],
            }
        found["ari"] = float(adjusted_rand_score(truth.ravel(), predicted.ravel()))
        found["rand_index"] = float(rand_score(truth.ravel(), predicted.ravel()))
        cases[name] = found
    peers = {peer: version(peer) for peer in ("scikit-image", "scikit-learn")}
    path = Path(__file__).with_name("partition.json")
    path.write_text(json.dumps({"peers": peers, "cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
