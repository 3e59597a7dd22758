"""What a forest looks at: its features by what their splits gained, one by one and by family."""

from __future__ import annotations

import numpy as np

from ..table import Table
from .fitted import FittedForest

CONTEXT = "context"
"""The family of what the first trees say around a pixel, which the second ones see."""


def feature_table(fitted: FittedForest) -> Table:
    """``feature``, ``family`` and ``importance`` of each feature, the most important first; importances sum to 1.

    They are the decrease of impurity by the splits on a feature (Breiman 2001), so of two features that say the same
    either may have it. Features of the context are named by the target they are about.
    """
    cascade = fitted.cascade
    bank = cascade.bank.features(cascade.channels, cascade.ndim)
    family_of = {bank[number].name: bank[number].family for number in cascade.wanted}
    shown = {}
    if cascade.context is not None:
        names = dict(zip(cascade.target_names, fitted.targets.names, strict=True))
        for each in cascade.context.features(cascade.target_names, cascade.ndim):
            family_of[each.name] = CONTEXT
            shown[each.name] = f"nearby {names[each.channel or '']} at {each.name.rpartition(' at ')[2]}"
    features = fitted.importances["feature"].tolist()
    return Table(
        {
            "feature": np.array([shown.get(name, name) for name in features]),
            "family": np.array([family_of.get(name, "") for name in features]),
            "importance": fitted.importances["importance"],
        }
    )


def family_table(features: Table) -> Table:
    """``family``, how many ``features`` it has and the sum of their ``importance``, the largest first."""
    names, family = np.unique(features["family"], return_inverse=True)
    sums = np.bincount(family, features["importance"], len(names))
    order = np.argsort(-sums, kind="stable")
    counts = np.bincount(family, minlength=len(names))
    return Table({"family": names[order], "features": counts[order], "importance": sums[order]})
