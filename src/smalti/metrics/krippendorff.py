"""How far several annotators agree beyond chance."""

from __future__ import annotations

import numpy as np


def coincidences(votes: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Krippendorff's table of coincidences (L, L): how often one annotator says c where another says k.

    ``votes`` (U, L) is how many annotators gave each unit each label, ``counts`` (U,) how many units are like it (1 by
    default). Units with fewer than two votes say nothing of agreement and are left out. Tables may be added.
    """
    votes = np.asarray(votes, np.float64)
    raters = votes.sum(axis=1)
    weight = np.where(raters > 1, 1 / np.maximum(raters - 1, 1), 0)
    if counts is not None:
        weight = weight * counts
    table = (votes * weight[:, None]).T @ votes
    table[np.diag_indices(len(table))] -= (votes * weight[:, None]).sum(axis=0)
    return table


def krippendorff_alpha(coincidence: np.ndarray) -> float:
    """Krippendorff's alpha for labels without order, of a table of ``coincidences``.

    1 - observed / expected disagreement: 1 where all agree, 0 as by chance, below 0 for less than that. NaN where
    everybody always said the same one thing: without variation nothing tells agreement from chance. Unlike Fleiss'
    kappa it takes units that not everybody judged, which is what void is. Krippendorff, Computing Krippendorff's
    Alpha-Reliability (2011), sec. C.

    >>> votes = np.array([[2, 0], [2, 0], [0, 2], [1, 1]])
    >>> round(krippendorff_alpha(coincidences(votes)), 3)
    0.533
    """
    totals = coincidence.sum(axis=1)
    total = totals.sum()
    expected = total**2 - np.square(totals).sum()
    if expected <= 0:
        return float("nan")
    observed = total - np.trace(coincidence)
    return float(1 - (total - 1) * observed / expected)
