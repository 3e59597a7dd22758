"""The nearest of a few points for each of many: the assignment step of clustering."""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def nearest_center(values, centers):
    """Index of the nearest row of ``centers`` (K, C) float64 for each row of ``values`` (N, C), (N,) int64.

    Of centres equally near, the first.
    """
    labels = np.empty(values.shape[0], np.int64)
    for row in range(values.shape[0]):
        least = np.inf
        for k in range(centers.shape[0]):
            apart = 0.0
            for channel in range(values.shape[1]):
                apart += (values[row, channel] - centers[k, channel]) ** 2
            if apart < least:
                least = apart
                labels[row] = k
    return labels
