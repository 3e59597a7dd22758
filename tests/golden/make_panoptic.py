"""Panoptic quality as Kirillov et al. describe it (CVPR 2019, sec. 4), in plain numpy, and its numbers on made-up maps.

    python tests/golden/make_panoptic.py

writes ``panoptic.json`` beside it, for ``tests/metrics/test_panoptic_golden.py``. The reference implementation of the
paper cannot be installed from a package index; this is written from the paper and shares nothing with smalti.

A map holds 0 for void and otherwise the ids of its segments, each of one class; stuff has one segment a class.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

Counts = dict[int, list[float]]
"""Of each class: the sum of IoU, how many matched, extra, missed."""

SHIFT = 1 << 32

CASES = [
    {"seed": seed, "size": size, "segments": segments, "classes": classes, "void": void, "crowds": crowds}
    for seed, (size, segments, classes, void, crowds) in enumerate(
        [
            (40, 6, 3, 0.0, 0),
            (60, 12, 4, 0.3, 0),
            (60, 12, 4, 0.0, 3),
            (80, 25, 6, 0.3, 4),
            (80, 40, 2, 0.5, 6),
            (33, 3, 8, 0.2, 1),
        ]
    )
]


def plain_counts(
    truth: np.ndarray,
    truth_class: dict[int, int],
    predicted: np.ndarray,
    predicted_class: dict[int, int],
    crowds: set[int],
) -> Counts:
    """Match the segments of two maps and count them by class.

    A pair is matched if both are of one class, that of truth is no crowd, and their IoU is above 0.5, the union being
    without the pixels that are void in truth. An unmatched segment of truth is missed unless it is a crowd. An
    unmatched predicted one is extra unless more than half of it lies in void and crowds of its class.
    """
    keys, pixels = np.unique(truth.astype(np.int64) * SHIFT + predicted, return_counts=True)
    shared = {
        (int(key) // SHIFT, int(key) % SHIFT): int(count) for key, count in zip(keys, pixels, strict=True)
    }
    truth_area = dict.fromkeys(truth_class, 0)
    for (first, _), count in shared.items():
        if first:
            truth_area[first] += count
    areas = np.unique(predicted, return_counts=True)
    predicted_area = {int(key): int(count) for key, count in zip(*areas, strict=True)}

    counts: Counts = {k: [0.0, 0, 0, 0] for k in {*truth_class.values(), *predicted_class.values()}}
    matched_truth, matched_predicted = set(), set()
    for (first, second), count in shared.items():
        if not first or not second or first in crowds or truth_class[first] != predicted_class[second]:
            continue
        union = truth_area[first] + predicted_area[second] - count - shared.get((0, second), 0)
        if count / union > 0.5:
            counts[truth_class[first]][0] += count / union
            counts[truth_class[first]][1] += 1
            matched_truth.add(first)
            matched_predicted.add(second)
    for second, kind in predicted_class.items():
        if second in matched_predicted:
            continue
        excused = shared.get((0, second), 0)
        for crowd in crowds:
            if truth_class[crowd] == kind:
                excused += shared.get((crowd, second), 0)
        if excused / predicted_area[second] <= 0.5:
            counts[kind][2] += 1
    for first, kind in truth_class.items():
        if first not in matched_truth and first not in crowds:
            counts[kind][3] += 1
    return counts


def summed(parts: list[Counts]) -> Counts:
    """The counts of several images."""
    total: Counts = {}
    for part in parts:
        for kind, counts in part.items():
            total[kind] = [
                old + new for old, new in zip(total.get(kind, [0.0, 0, 0, 0]), counts, strict=True)
            ]
    return total


def qualities(counts: Counts, kinds: set[int]) -> dict[str, float]:
    """PQ, SQ and RQ: means over those of the classes that any segment has; SQ of a class without a match is 0."""
    each = [
        (iou / (tp + fp / 2 + fn / 2), iou / tp if tp else 0.0, tp / (tp + fp / 2 + fn / 2))
        for kind, (iou, tp, fp, fn) in counts.items()
        if kind in kinds and tp + fp + fn
    ]
    means = np.mean(each, axis=0) if each else [float("nan")] * 3
    return dict(zip(("pq", "sq", "rq"), (float(mean) for mean in means), strict=True))


def maps(case: dict) -> tuple[np.ndarray, dict[int, int], np.ndarray, dict[int, int], set[int]]:
    """A made-up image: regions around random points, each of some class, some of them crowds, and void.

    The prediction is the truth with its points moved a little, some dropped and some of another class. Even classes
    are things, odd ones stuff: regions of one class of stuff are one segment.
    """
    rng = np.random.default_rng(case["seed"])
    size, many = case["size"], case["segments"]
    points = rng.integers(0, size, (many, 2))
    kinds = rng.integers(1, case["classes"] + 1, many)
    moved = points + rng.integers(-3, 4, (many, 2))
    other_kinds = np.where(rng.random(many) < 0.15, rng.integers(1, case["classes"] + 1, many), kinds)
    left = rng.random(many) < 0.85
    left[0] = True
    yy, xx = np.mgrid[:size, :size]

    def regions(points: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
        away = np.hypot(yy[..., None] - points[:, 0], xx[..., None] - points[:, 1])
        ids = np.array([10 * kind + 1 if kind % 2 else 1000 + 7 * k for k, kind in enumerate(kinds)])
        labels = ids[away.argmin(axis=-1)]
        return labels, {int(i): int(kind) for i, kind in zip(ids, kinds, strict=True) if (labels == i).any()}

    truth, truth_class = regions(points, kinds)
    predicted, predicted_class = regions(moved[left], other_kinds[left])
    predicted[rng.random(predicted.shape) < 0.05] = 0
    hole = np.hypot(yy - rng.integers(size), xx - rng.integers(size)) < case["void"] * size
    truth[hole] = 0
    truth_class = {i: kind for i, kind in truth_class.items() if (truth == i).any()}
    predicted_class = {i: kind for i, kind in predicted_class.items() if (predicted == i).any()}
    things = [i for i, kind in truth_class.items() if kind % 2 == 0]
    return truth, truth_class, predicted, predicted_class, set(things[: case["crowds"]])


def main() -> None:
    """Write the numbers of every case and of all together."""
    each = [plain_counts(*maps(case)) for case in CASES]
    total = summed(each)
    kinds = {
        "": set(total),
        "_things": {k for k in total if k % 2 == 0},
        "_stuff": {k for k in total if k % 2},
    }
    together = {
        f"{name}{of}": value for of, some in kinds.items() for name, value in qualities(total, some).items()
    }
    cases = [
        case | {"counts": {str(kind): counts for kind, counts in sorted(found.items())}}
        for case, found in zip(CASES, each, strict=True)
    ]
    text = json.dumps(
        {"source": "Kirillov et al., CVPR 2019, sec. 4", "cases": cases, "together": together}, indent=1
    )
    Path(__file__).with_name("panoptic.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
