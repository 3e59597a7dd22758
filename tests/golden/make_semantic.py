"""Scores of made-up class maps by scikit-learn, for ``tests/metrics/test_semantic.py``.

    python tests/golden/make_semantic.py

writes ``semantic.json`` beside it. The maps come from ``maps``, which the test calls too.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np

CASES = [
    {"seed": 0, "shape": [40, 50], "classes": 4, "wrong": 0.2, "void": 0.0},
    {"seed": 1, "shape": [64, 64], "classes": 19, "wrong": 0.5, "void": 0.1},
    {"seed": 2, "shape": [6, 30, 20], "classes": 3, "wrong": 0.05, "void": 0.2},
    {"seed": 3, "shape": [30, 30], "classes": 8, "wrong": 0.98, "void": 0.0},
    {"seed": 4, "shape": [5, 5], "classes": 6, "wrong": 0.3, "void": 0.3},
    {"seed": 5, "shape": [20, 20], "classes": 1, "wrong": 0.1, "void": 0.0},
]


def maps(case: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth and predicted (*S,) with 0..K, 0 being none, and which pixels are void."""
    rng = np.random.default_rng(case["seed"])
    truth = rng.integers(0, case["classes"] + 1, case["shape"])
    if case["classes"] > 5:
        truth[truth == 2] = 1  # a class that truth does not have
    predicted = np.where(
        rng.random(truth.shape) < case["wrong"], rng.permutation(truth.ravel()).reshape(truth.shape), truth
    )
    if case["classes"] > 7:
        predicted[predicted == 3] = 2
    return truth, predicted, rng.random(truth.shape) < case["void"]


def main() -> None:
    """Write the numbers of every case."""
    import sklearn
    from sklearn import metrics

    written = []
    for case in CASES:
        truth, predicted, void = maps(case)
        first, second = truth[~void], predicted[~void]
        labels = list(range(1, case["classes"] + 1))
        every = [0, *labels]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")

            def of_class(score, labels=labels, first=first, second=second):  # type: ignore[no-untyped-def]
                return [
                    float(v) for v in score(first, second, labels=labels, average=None, zero_division=np.nan)
                ]

            classed = first > 0
            numbers = {
                "confusion": metrics.confusion_matrix(first, second, labels=every).tolist(),
                "accuracy": metrics.accuracy_score(first, second),
                "kappa": metrics.cohen_kappa_score(first, second),
                "mcc": metrics.matthews_corrcoef(first, second),
                "dice": of_class(metrics.f1_score),
                "precision": of_class(metrics.precision_score),
                "recall": of_class(metrics.recall_score),
                "iou": [
                    float(v)
                    for v in metrics.jaccard_score(
                        first, second, labels=labels, average=None, zero_division=0
                    )
                ],
                "accuracy_where_classed": metrics.accuracy_score(first[classed], second[classed]),
                "kappa_where_classed": metrics.cohen_kappa_score(first[classed], second[classed]),
                "mcc_where_classed": metrics.matthews_corrcoef(first[classed], second[classed]),
                "balanced_accuracy": metrics.balanced_accuracy_score(first, second),
            }
        written.append(case | {"scores": numbers})
    path = Path(__file__).with_suffix("").with_name("semantic.json")
    text = json.dumps({"peer": f"scikit-learn {sklearn.__version__}", "cases": written}, indent=1)
    path.write_text(text.replace("NaN", "null") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
