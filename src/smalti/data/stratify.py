"""Dealing out groups of samples to splits so that each class is spread as asked."""

from __future__ import annotations

import numpy as np


def distribute(
    amounts: np.ndarray, sizes: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The split 0..S - 1 of each of G groups, (G,), none left empty.

    ``amounts`` (G, K) is how much of each class a group has, ``sizes`` (G,) its samples, ``shares`` (S,) what each
    split is to have of everything; there are at least as many groups as splits.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas, ECML PKDD 2011, algorithm 1): the class that the fewest
    undealt groups have comes first; each group with it goes to the split that still lacks most of the class, of equals
    the one that lacks most samples, of equals one at random. Changed for groups: those that
    are large beside the smallest split are dealt before small ones, which even out what they leave; otherwise the
    order is random. Groups without any class come last.
    """
    num_groups, num_splits = len(sizes), len(shares)
    order = rng.permutation(num_groups)
    order = order[np.argsort(-_magnitude(amounts, sizes, float(shares.min()))[order], kind="stable")]
    lacking = amounts.sum(axis=0)[:, None] * shares  # (K, S)
    room = sizes.sum() * shares
    chosen = np.full(num_groups, -1)
    empty = num_splits
    left = num_groups

    def deal(group: int, wanted: np.ndarray) -> None:
        nonlocal empty, left
        open_to = np.ones(num_splits, bool)
        if left <= empty:  # those that have none yet get one each of the last
            open_to = np.bincount(chosen[chosen >= 0], minlength=num_splits) == 0
        for scores in (wanted, room):
            best = np.where(open_to, scores, -np.inf)
            open_to &= best >= best.max() - 1e-9 * max(1.0, abs(best.max()))
        candidates = np.flatnonzero(open_to)
        pick = candidates[0] if len(candidates) == 1 else rng.choice(candidates)
        if empty and not (chosen == pick).any():
            empty -= 1
        chosen[group] = pick
        lacking[:, pick] -= amounts[group]
        room[pick] -= sizes[group]
        left -= 1

    has = amounts[order] > 0
    undealt = np.ones(num_groups, bool)  # in the order of ``order``
    for _ in range(amounts.shape[1]):
        counts = has[undealt].sum(axis=0)
        if not counts.any():
            break
        rarest = int(np.argmin(np.where(counts > 0, counts, num_groups + 1)))
        for place in np.flatnonzero(undealt & has[:, rarest]):
            deal(order[place], lacking[rarest])
            undealt[place] = False
    for place in np.flatnonzero(undealt):
        deal(order[place], room)
    return chosen


def _magnitude(amounts: np.ndarray, sizes: np.ndarray, smallest: float) -> np.ndarray:
    """How large each group is beside the smallest split, (G,): 0 up to a tenth of it, 1 up to twice that, and so on.

    What counts is the larger of its share of the samples and of any class. Steps and not the size itself, so that
    the seed decides between groups that are about as large.
    """
    columns = np.column_stack([sizes, amounts]).astype(float)
    totals = columns.sum(axis=0)
    parts = np.divide(columns, totals, out=np.zeros_like(columns), where=totals > 0).max(axis=1)
    return np.ceil(np.log2(np.maximum(parts / (0.1 * smallest), 1)))
