"""Boundary pixels assigned one to one, against the same assignment by scipy's sparse solver."""

from __future__ import annotations

import numpy as np
from harness import Comparison, row
from scipy.sparse import coo_array, csr_array, hstack
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from smalti.metrics.edges import correspondence, region_boundaries
from smalti.segmentation import Segmentation

SHAPE = (321, 481)
LIMIT = 0.0075 * float(np.hypot(*SHAPE))


def lines(points_yx: np.ndarray) -> np.ndarray:
    """The lines between the regions that are nearest to each of the points."""
    _, nearest = cKDTree(points_yx).query(np.moveaxis(np.indices(SHAPE), 0, -1))
    return region_boundaries(Segmentation.from_labels(nearest + 1))


def of_scipy(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pairs of flat indices; each predicted pixel may also have a column of its own, which stands for none."""
    sides = np.argwhere(predicted), np.argwhere(truth)
    near = cKDTree(sides[0]).sparse_distance_matrix(cKDTree(sides[1]), LIMIT, output_type="coo_matrix")
    count = len(sides[0])
    weights = np.rint(100 * near.data) + 1  # a weight of 0 would be no edge
    graph = coo_array((weights, (near.row, near.col)), shape=near.shape)
    alone = coo_array((np.full(count, 1e4 * LIMIT), (np.arange(count),) * 2), shape=(count, count))
    rows, columns = min_weight_full_bipartite_matching(csr_array(hstack([graph, alone])))
    kept = columns < len(sides[1])
    return np.stack([np.flatnonzero(truth)[columns[kept]], np.flatnonzero(predicted)[rows[kept]]], axis=1)


def total_steps(pairs: np.ndarray) -> float:
    ends = [np.stack(np.unravel_index(side, SHAPE), axis=1) for side in pairs.T]
    return float(np.rint(100 * np.linalg.norm(ends[0] - ends[1], axis=1)).sum())


@row("edge-pairs", peer="scipy min_weight_full_bipartite_matching", target=10)
def edge_pairs() -> Comparison:
    """Lines of two partitions of a photograph's size, within 0.75 % of the diagonal."""
    rng = np.random.default_rng(0)
    points = rng.random((150, 2)) * SHAPE
    moved = np.concatenate([points[:110] + rng.normal(0, 1.5, (110, 2)), rng.random((70, 2)) * SHAPE])
    truth, predicted = lines(points), lines(moved)
    return Comparison(
        lambda: of_scipy(truth, predicted),
        lambda: correspondence(truth, predicted),
        lambda peer, own: len(peer) == len(own) and total_steps(peer) == total_steps(own),
        f"{np.count_nonzero(truth)} and {np.count_nonzero(predicted)} pixels of lines on 321 x 481; as many pairs and "
        "the same sum of distances",
    )
