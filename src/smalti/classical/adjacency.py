"""Regions that touch: which do, how far apart they are, and which of them are merged."""

from __future__ import annotations

import numpy as np

from ..classes import ClassSet

REGION = ClassSet.from_names(["region"])
"""What a method gives that divides the whole image and knows no objects."""


def neighbour_pairs(labels: np.ndarray) -> np.ndarray:
    """Pairs of labels that share an edge (a face in 3-D), (P, 2) with the smaller first, each once, sorted.

    ``labels`` (*S,) are 0..N; 0 takes part like any other.
    """
    span = int(labels.max()) + 1
    keys = []
    for axis in range(labels.ndim):
        one = np.moveaxis(labels, axis, 0)[:-1]
        other = np.moveaxis(labels, axis, 0)[1:]
        differ = one != other
        one, other = one[differ].astype(np.int64), other[differ].astype(np.int64)
        keys.append(np.unique(np.minimum(one, other) * span + np.maximum(one, other)))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), span), axis=1)


def region_means(labels: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each label 0..N, (N + 1,), and its mean of ``values`` (*S, C), (N + 1, C); 0 where it is empty."""
    flat = labels.reshape(-1)
    areas = np.bincount(flat)
    sums = np.stack([np.bincount(flat, values[..., c].reshape(-1)) for c in range(values.shape[-1])], axis=1)
    return areas, sums / np.maximum(areas, 1)[:, np.newaxis]


def merge_close(labels: np.ndarray, values: np.ndarray, distance: float) -> np.ndarray:
    """Merge neighbours while any two have means of ``values`` at most ``distance`` apart; (*S,) int32 from 1.

    ``labels`` (*S,) are 1..N, ``values`` (*S, C). Regions that are each other's nearest merge first, all such pairs
    at once, and take their common mean; this repeats until all neighbours are farther apart. It is the hierarchical
    merging of a region adjacency graph, in a few array operations a round instead of one pair at a time.
    """
    areas, means = region_means(labels, values)
    weights = np.maximum(areas, 1).astype(np.float64)
    pairs = neighbour_pairs(labels)
    group = np.arange(len(areas))
    while True:
        apart = np.linalg.norm(means[pairs[:, 0]] - means[pairs[:, 1]], axis=1)
        close = np.flatnonzero(apart <= distance)
        if not len(close):
            return _renumbered(group, labels)
        # Ties go by a scrambled pair number: by the lower one, a chain of equals would merge one pair a round.
        scrambled = (pairs[close, 0] * 2654435761 ^ pairs[close, 1] * 40503) % 1048573
        one, other = pairs[close[np.lexsort((scrambled, apart[close]))]].T
        rank = np.arange(len(one))
        best = np.full(len(areas), len(one))
        np.minimum.at(best, one, rank)
        np.minimum.at(best, other, rank)
        mutual = (best[one] == rank) & (best[other] == rank)
        one, other = one[mutual], other[mutual]
        total = weights[one] + weights[other]
        means[one] = (means[one] * weights[one, None] + means[other] * weights[other, None]) / total[:, None]
        weights[one] = total
        joined = np.arange(len(areas))
        joined[other] = one
        group = joined[group]
        pairs = _contracted(pairs, joined)


def merge_small(labels: np.ndarray, values: np.ndarray, min_area_px: int) -> np.ndarray:
    """Give each region below ``min_area_px`` pixels to the neighbour with the nearest mean; (*S,) int32 from 1.

    ``labels`` (*S,) are 1..N, ``values`` (*S, C). Repeats until every region is large enough or has no neighbour.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    areas, means = region_means(labels, values)
    weights: np.ndarray = areas.astype(np.float64)
    pairs = neighbour_pairs(labels)
    group = np.arange(len(areas))
    while True:
        both_ways = np.concatenate([pairs, pairs[:, ::-1]])
        both_ways = both_ways[weights[both_ways[:, 0]] < min_area_px]
        if not len(both_ways):
            return _renumbered(group, labels)
        one, other = both_ways.T
        apart = np.linalg.norm(means[one] - means[other], axis=1)
        order = np.lexsort((other, apart, one))
        small, first = np.unique(one[order], return_index=True)
        chosen = other[order][first]
        # A small region chooses one neighbour and a large one none, so no two large ones are ever joined.
        links = coo_array((np.ones(len(small), bool), (small, chosen)), shape=(len(means), len(means)))
        _, joined = connected_components(links, directed=False)
        sums = np.stack([np.bincount(joined, means[:, c] * weights) for c in range(means.shape[1])], axis=1)
        weights = np.bincount(joined, weights)
        means = sums / np.maximum(weights, 1)[:, np.newaxis]
        group = joined[group]
        pairs = _contracted(pairs, joined)


def _contracted(pairs: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """The pairs between the regions ``joined`` names, each once."""
    pairs = np.sort(joined[pairs], axis=1).astype(np.int64)  # the keys are beyond int32
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    keys = np.unique(pairs[:, 0] * len(joined) + pairs[:, 1])
    return np.stack(np.divmod(keys, len(joined)), axis=1)


def _renumbered(group: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``labels`` by their groups, numbered from 1 without gaps, in the order of each group's first pixel."""
    flat = group[labels].reshape(-1)
    first = np.full(len(group), flat.size)
    first[flat[::-1]] = np.arange(flat.size)[::-1]  # of several values for one place the last stays
    numbers = np.empty(len(group), np.int32)
    numbers[np.argsort(first)] = np.arange(1, len(group) + 1)
    return numbers[flat].reshape(labels.shape)
