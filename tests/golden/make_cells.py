"""Numbers of StarDist and Cellpose for made-up label maps: python tests/golden/make_cells.py, where both are installed.

Writes cells.json beside this file. The maps come from ``label_maps``, which the tests call as well.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

THRESHOLDS = [0.1, 0.3, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]

CASES: dict[str, dict[str, Any]] = {
    "isolated": {"seed": 0, "pitch": 24, "radius": (5, 11), "shift": 2},
    "touching": {"seed": 1, "pitch": 14, "radius": (7, 12), "shift": 3},
    "shifted far": {"seed": 2, "pitch": 16, "radius": (6, 10), "shift": 7},
    "split and merged": {"seed": 3, "pitch": 20, "radius": (8, 12), "shift": 2, "cut": 0.4, "joined": 0.3},
    "missed and extra": {"seed": 4, "pitch": 20, "radius": (5, 10), "shift": 2, "dropped": 0.4},
    "exactly half": {"seed": 5, "pitch": 16, "radius": (6, 9), "shift": 0, "cut": 1.0},
    "volume": {"seed": 6, "shape": (20, 40, 40), "pitch": 12, "radius": (3, 6), "shift": 1, "cut": 0.2},
}


def label_maps(
    seed: int,
    pitch: int,
    radius: tuple[int, int],
    shift: int,
    shape: tuple[int, ...] = (150, 170),
    cut: float = 0.0,
    joined: float = 0.0,
    dropped: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction, int32 without gaps: balls on a jittered grid, moved, some cut, joined or dropped."""
    random = np.random.default_rng(seed)
    truth, predicted = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    axes = np.indices(shape)
    corners = np.stack(np.meshgrid(*(np.arange(pitch // 2, n, pitch) for n in shape), indexing="ij"), -1)
    label = 0
    for number, corner in enumerate(corners.reshape(-1, len(shape)), 1):
        center = corner + random.integers(-1, 2, len(shape))
        size = random.integers(*radius)
        column = (-1, *(1,) * len(shape))
        if random.random() >= dropped / 2:
            truth[((axes - center.reshape(column)) ** 2).sum(axis=0) <= size**2] = number
        if random.random() < dropped:
            continue
        center = center + random.integers(-shift, shift + 1, len(shape))
        ball = ((axes - center.reshape(column)) ** 2).sum(axis=0) <= (size + random.integers(-1, 2)) ** 2
        label += random.random() >= joined or label == 0
        predicted[ball] = label
        if random.random() < cut:
            label += 1
            predicted[ball & (axes[-1] > center[-1])] = label
    return _without_gaps(truth), _without_gaps(predicted)


def _without_gaps(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)


def by_peers(truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """What the two tools say of a pair of label maps."""
    from cellpose import metrics
    from stardist.matching import matching

    stardist = [matching(truth, predicted, threshold)._asdict() for threshold in THRESHOLDS]
    accuracy, found, extra, missed = metrics.average_precision(truth, predicted, threshold=THRESHOLDS)
    return {
        "stardist": [
            {name: value if isinstance(value, str) else float(value) for name, value in one.items()}
            for one in stardist
        ],
        "cellpose": {
            "ap": accuracy.tolist(),
            "tp": found.tolist(),
            "fp": extra.tolist(),
            "fn": missed.tolist(),
            "aji": float(metrics.aggregated_jaccard_index([truth], [predicted])[0]),
        },
    }


if __name__ == "__main__":
    numbers = {name: by_peers(*label_maps(**case)) for name, case in CASES.items()}
    peers = ", ".join(f"{name} {version(name)}" for name in ("stardist", "cellpose"))
    text = json.dumps({"peer": peers, "thresholds": THRESHOLDS, "numbers": numbers}, indent=1)
    Path(__file__).with_name("cells.json").write_text(text + "\n")
