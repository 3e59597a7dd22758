"""Ratios and means of scores that need not exist."""

from __future__ import annotations

import numpy as np


def mean_of_present(scores: np.ndarray) -> float:
    """Mean of the scores (K,) that exist; 1 where none does."""
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if len(present) else 1.0


def mean_over_classes(scores: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the scores that exist; NaN where none does."""
    present = ~np.isnan(scores)
    return ratio(np.where(present, scores, 0.0).sum(axis=-1), present.sum(axis=-1))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One over the other, of one shape, NaN where that is nought."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)
