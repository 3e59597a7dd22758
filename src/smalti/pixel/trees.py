"""Many trees as plain arrays: grown from labelled rows, walked for whole images, kept without a library."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from .. import compiled
from ..errors import InputError, ReadError

MAX_FEATURES = 256
"""Features of one set of trees: a node has a byte for the number of its feature."""
MAX_EDGES = 255
MOST_TREES = 10_000
"""Trees of a stored forest: each takes two kilobytes where they are walked, however few nodes it has."""
_NODES = 1 << 15
_LEAF = 1 << 31
_CELLS = 8192
_ROWS = 1 << 16


class Codes:
    """Values of features as small numbers: how many of a feature's ``edges``, at most 255, lie below the value.

    ``edges`` are ascending float32 arrays, one for each of F features; a feature of one value has none.
    """

    def __init__(self, edges: Sequence[np.ndarray]) -> None:
        # + 0.0 makes -0.0, whose bits lie elsewhere, 0.0
        self.edges = tuple(np.ascontiguousarray(each, np.float32) + np.float32(0) for each in edges)

    @classmethod
    def between(cls, rows: np.ndarray) -> Self:
        """Edges between the values of ``rows`` (N, F): between all of them where there are few, else by quantiles."""
        return cls([_edges(rows[:, feature]) for feature in range(rows.shape[1])])

    def __len__(self) -> int:
        return len(self.edges)

    def __getitem__(self, chosen: Sequence[int]) -> Codes:
        return Codes([self.edges[index] for index in chosen])

    def write(self, values: np.ndarray, feature: int, codes: np.ndarray) -> None:
        """Write the codes of the ``values`` of a feature, of any shape, N of them, into ``codes`` (N,) uint8."""
        flat, edges = np.ascontiguousarray(values, np.float32).reshape(-1), self.edges[feature]
        cells = np.empty(_CELLS + 1, np.uint8)
        compiled.trees.code(flat, flat.view(np.int32), edges, edges.view(np.int32), cells, codes)

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The codes of ``rows`` (N, F), feature by feature, (F, N) uint8."""
        codes = np.empty(rows.shape[::-1], np.uint8)
        for feature in range(rows.shape[1]):
            self.write(rows[:, feature], feature, codes[feature])
        return codes


def _edges(values: np.ndarray) -> np.ndarray:
    present = np.unique(values)
    if len(present) > MAX_EDGES + 1:
        present = np.unique(np.quantile(values, np.linspace(0, 1, MAX_EDGES + 1), method="nearest"))
    between = ((present[:-1].astype(np.float64) + present[1:]) / 2).astype(np.float32)
    # of two neighbouring floats the middle is rounded to one: the upper one must stay above the edge
    return np.where(between < present[1:], between, present[:-1])


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees over F coded features and K classes; see ``compiled.trees`` for the nodes.

    ``nodes`` (M,) uint32, ``leaf_of`` (M,) int32, ``leaves`` (L, K) float32 that sum to 1, ``roots`` (T,) int64.
    """

    nodes: np.ndarray
    leaf_of: np.ndarray
    leaves: np.ndarray
    roots: np.ndarray

    def __len__(self) -> int:
        return len(self.roots)

    @property
    def kinds(self) -> int:
        """Number of classes told apart."""
        return self.leaves.shape[1]

    def only(self, chosen: np.ndarray) -> Trees:
        """Some of the trees, by number or a bool for each; they share the arrays."""
        return Trees(self.nodes, self.leaf_of, self.leaves, self.roots[chosen])

    def probabilities(self, codes: np.ndarray, jobs: int | None = None) -> np.ndarray:
        """The mean of the trees' leaves for each pixel of ``codes`` (F, N) uint8, (N, K) float32."""
        pixels = codes.shape[1]
        sums = np.zeros((pixels, self.kinds), np.float32)
        walking = compiled.walking
        planned = walking.crowns(codes, self.nodes, self.roots)

        def walk(begin: int) -> None:
            part = slice(begin, begin + _ROWS)
            walking.add_trees(
                codes[:, part], self.nodes, self.leaf_of, self.leaves, self.roots, planned, sums[part]
            )

        over(walk, range(0, pixels, _ROWS), jobs)
        sums /= np.float32(max(len(self), 1))
        return sums

    def unseen(
        self, codes: np.ndarray, unit_of: np.ndarray, seen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same by those trees only that have not learned from the pixel's unit (Breiman's out-of-bag estimate).

        ``unit_of`` (N,) is the unit of each pixel, ``seen`` (T, U) which trees learned from which units. Gives the
        probabilities (N, K) and how many trees they are the mean of (N,); pixels without any are NaN.
        """
        sums = np.zeros((codes.shape[1], self.kinds), np.float32)
        counts = np.zeros(codes.shape[1], np.int32)
        compiled.walking.add_unseen(
            codes, unit_of, seen, self.nodes, self.leaf_of, self.leaves, self.roots, sums, counts
        )
        with np.errstate(invalid="ignore"):
            return sums / counts[:, np.newaxis].astype(np.float32), counts

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, to be stored."""
        return {"nodes": self.nodes, "leaf_of": self.leaf_of, "leaves": self.leaves, "roots": self.roots}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], features: int) -> Trees:
        """Trees from stored arrays of which nothing is believed: every walk must end in a leaf that is there.

        Raises ``ReadError``.
        """
        wanted = {
            "nodes": ("uint32", 1),
            "leaf_of": ("int32", 1),
            "leaves": ("float32", 2),
            "roots": ("int64", 1),
        }
        for name, (kind, ndim) in wanted.items():
            if name not in arrays or arrays[name].dtype != kind or arrays[name].ndim != ndim:
                raise ReadError(f"the trees need an array {name} of {kind} with {ndim} axes")
        nodes, leaf_of, leaves, roots = (np.ascontiguousarray(arrays[name]) for name in wanted)
        if len(roots) > MOST_TREES:
            raise ReadError(f"a forest has up to {MOST_TREES} trees, this one {len(roots)}")
        ends = np.append(roots[1:], len(nodes))
        if not len(roots) or roots[0] != 0 or (np.diff(np.append(roots, len(nodes))) < 1).any():
            raise ReadError("the trees do not follow each other in the array of nodes")
        sizes = ends - roots
        tree_of = np.repeat(np.arange(len(roots)), sizes)
        place = np.arange(len(nodes)) - roots[tree_of]
        child = (nodes >> 16 & 0x7FFF).astype(np.int64)
        is_leaf = nodes >= _LEAF
        # the children of a tree's inner nodes follow each other, so that each node has one parent and a walk an end
        inner = np.flatnonzero(~is_leaf)
        before = np.searchsorted(inner, roots)
        expected = 2 * (np.arange(len(inner)) - before[tree_of[inner]]) + 1
        count = np.bincount(tree_of[inner], minlength=len(roots))
        if (child[inner] != expected).any() or (sizes != 2 * count + 1).any():
            raise ReadError("the trees have nodes that lead nowhere")
        if len(leaf_of) != len(nodes):
            raise ReadError(f"the trees have {len(nodes)} nodes and {len(leaf_of)} places of leaves")
        leaf_there = ~is_leaf | ((leaf_of >= 0) & (leaf_of < len(leaves)))
        if not leaf_there.all() or (child[is_leaf] != place[is_leaf]).any():
            raise ReadError("the trees have nodes that lead nowhere")
        # those of leaves, too: a walk that has arrived goes on looking while its neighbours are on the way
        if (nodes >> 8 & 0xFF).max(initial=0) >= features or (nodes[is_leaf] & 0xFF != 0xFF).any():
            raise ReadError(f"the trees ask for features beyond the {features} that there are")
        if not leaves.shape[1] or not (leaves >= 0).all() or not (np.abs(leaves.sum(1) - 1) < 1e-3).all():
            raise ReadError("the trees have leaves that are no probabilities")
        return cls(nodes, leaf_of, leaves, roots)


@dataclass(frozen=True, eq=False)
class Grown:
    """Trees, which of U units each has ``seen`` (T, U), and what each feature's splits gained (F,), summing to 1."""

    trees: Trees
    seen: np.ndarray
    gains: np.ndarray


def grow(
    codes: np.ndarray,
    kinds_of: np.ndarray,
    weights: np.ndarray,
    unit_of: np.ndarray,
    kinds: int,
    *,
    count: int = 100,
    min_leaf: int = 5,
    max_depth: int = 30,
    tried: int | None = None,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
    jobs: int | None = None,
) -> Grown:
    """``count`` trees from the pixels of ``codes`` (F, N) uint8, the same whatever the number of threads.

    ``kinds_of`` (N,) is the class of each pixel from 0, ``weights`` (N,) what it counts. Each tree learns from U units
    drawn with replacement from the U there are in ``unit_of`` (N,), and of each node sees ``tried`` features, the
    square root of F unless said (Breiman 2001). Pixels of one unit, such as an image, are alike: left out together
    they make an estimate by unseen ones honest.
    """
    features = len(codes)
    if features > MAX_FEATURES:
        raise InputError(f"trees take up to {MAX_FEATURES} features, got {features}; select some")
    units = int(unit_of.max()) + 1
    tried = max(1, round(features**0.5)) if tried is None else min(tried, features)
    kinds_of = np.ascontiguousarray(kinds_of, np.int64)
    by_row = np.ascontiguousarray(codes.T)
    units_of = [np.unique(unit_of[kinds_of == kind]) for kind in range(kinds)]
    seen = np.zeros((count, units), bool)
    gains = np.zeros((count, features))
    done: list[tuple[np.ndarray, ...]] = [()] * count

    def grow_one(index: int) -> None:
        generator = np.random.default_rng([seed, index])
        drawn = np.bincount(generator.integers(0, units, units), minlength=units)
        for own_units in units_of:  # a class of one stroke is not left out of a third of the trees
            if len(own_units) and not drawn[own_units].any():
                drawn[generator.choice(own_units)] = 1
        seen[index] = drawn > 0
        own = weights * drawn[unit_of]
        rows = np.flatnonzero(own > 0)
        room = min(2 * len(rows) + 1, _NODES - 1)
        splits, leaf_of = np.empty((room, 3), np.int32), np.empty(room, np.int32)
        leaves = np.empty((min(len(rows), _NODES) + 1, kinds), np.float32)
        number = int(generator.integers(1, 2**62))
        nodes, ends = compiled.trees.grow(
            by_row, kinds_of, own, rows, kinds, tried, min_leaf, max_depth, number,
            splits, leaf_of, leaves, gains[index],
        )  # fmt: skip
        done[index] = (_packed(splits[:nodes]), leaf_of[:nodes].copy(), leaves[:ends].copy())
        progress()

    over(grow_one, range(count), jobs)
    nodes, leaf_of, leaves = zip(*done, strict=True)
    before = np.cumsum([0, *(len(each) for each in leaves)])
    numbered = [np.where(each >= 0, each + first, -1) for each, first in zip(leaf_of, before, strict=False)]
    roots = np.cumsum([0, *(len(each) for each in nodes)])[:-1]
    gained = gains.sum(0)
    return Grown(
        Trees(
            np.concatenate(nodes),
            np.concatenate(numbered).astype(np.int32),
            np.concatenate(leaves),
            roots.astype(np.int64),
        ),
        seen,
        gained / max(gained.sum(), 1e-300),
    )


def _packed(splits: np.ndarray) -> np.ndarray:
    """Nodes (M,) uint32 from their feature, threshold and left child (M, 3)."""
    feature, threshold, child = splits.T.astype(np.int64)
    inner = child << 16 | feature << 8 | threshold
    leaf = np.arange(len(splits)) << 16 | 0xFF | _LEAF
    return np.where(child >= 0, inner, leaf).astype(np.uint32)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over(work: Callable[[int], None], indices: Sequence[int], jobs: int | None) -> None:
    """Do ``work`` for each index, in threads where that helps: compiled loops let other threads run."""
    jobs = min(len(indices), processors() if jobs is None else jobs)
    if jobs <= 1:
        for index in indices:
            work(index)
        return
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(work, indices):
            pass
