"""Values as codes, trees grown from them and walked: against numpy, against plain walks, and against strangers."""

import numpy as np
import pytest

from smalti.compiled import walking
from smalti.errors import InputError, ReadError
from smalti.pixel.trees import MAX_EDGES, MAX_FEATURES, MOST_TREES, Codes, Trees, grow


def f32(*values):
    return np.array(values, np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


HUGE, TINY = np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal
VALUES = {
    "uniform": rng().random(3000),
    "normal": rng().normal(size=3000),
    "negative": -rng().random(3000) - 0.5,
    "negative to zero": np.minimum(rng().normal(size=3000), 0),
    "zero and positive": np.maximum(rng().normal(size=3000), 0),
    "heavy tails": rng().standard_cauchy(3000) ** 3,
    "small and large": 10.0 ** rng().uniform(-38, 38, 3000) * rng().choice([-1, 1], 3000),
    "few": rng().integers(-2, 3, 3000),
    "ties": np.round(rng().normal(size=3000) * 40) / 40,
    "constant": np.full(50, 0.25),
    "one value": f32(-3),
    "extremes": f32(-HUGE, -1, -TINY, -0.0, 0, TINY, 1, HUGE),
    "far from zero": 1e6 + rng().random(3000),
    "bytes": rng().integers(0, 256, 3000) / 255,
    "a cluster and one far away": np.append(0.5 + 1e-5 * rng().random(3000), -1e30),
}


class TestCodes:
    @pytest.mark.parametrize("name", VALUES)
    def test_say_how_many_edges_lie_below(self, name):
        values = VALUES[name].astype(np.float32)
        codes = Codes.between(values[:, np.newaxis])
        edges = codes.edges[0]
        asked = np.concatenate(
            [values, -values, edges, np.nextafter(edges, HUGE), np.nextafter(edges, -HUGE)]
            + [f32(0, -0.0, TINY, -TINY, HUGE, -HUGE)]
        )
        found = codes.of(asked[:, np.newaxis])[0]
        assert found.dtype == np.uint8
        assert np.array_equal(found, np.searchsorted(edges, asked, "left"))

    @pytest.mark.parametrize(
        "edges",
        [
            f32(),
            f32(0),
            f32(-0.0),
            f32(-1, 0),
            f32(-1, -0.0, 1),
            f32(-HUGE, HUGE),
            f32(-TINY, TINY),
            f32(-1, 1),
            np.sort(np.unique(rng(3).normal(size=MAX_EDGES).astype(np.float32))),
        ],
        ids=len,
    )
    def test_of_given_edges(self, edges):
        asked = np.concatenate([edges, -edges, f32(0, -0.0, 0.5, -0.5, HUGE, -HUGE, TINY, -TINY)])
        found = Codes([edges]).of(asked[:, np.newaxis])[0]
        assert np.array_equal(found, np.searchsorted(edges, asked, "left"))

    @pytest.mark.parametrize("name", VALUES)
    def test_edges_part_values_and_are_not_too_many(self, name):
        values = VALUES[name].astype(np.float32)
        edges = Codes.between(values[:, np.newaxis]).edges[0]
        present = np.unique(values)
        assert len(edges) == min(len(present) - 1, MAX_EDGES) or len(present) > MAX_EDGES
        assert len(edges) <= MAX_EDGES and (np.diff(edges) > 0).all()
        assert np.isfinite(edges).all()
        parted = np.searchsorted(edges, present, "left")
        if 1 < len(present) <= MAX_EDGES + 1:
            assert len(np.unique(parted)) == len(present)
        elif len(present) > 1:
            assert len(np.unique(parted)) > 100

    def test_of_planes_of_any_shape_and_of_some_features(self):
        rows = rng().normal(size=(60, 3)).astype(np.float32)
        codes = Codes.between(rows)
        plane, found = rows[:, 1].reshape(4, 5, 3), np.empty(60, np.uint8)
        codes.write(plane, 1, found)
        assert np.array_equal(found, codes.of(rows)[1])
        chosen = codes[[2, 0]]
        assert len(codes) == 3 and len(chosen) == 2
        assert np.array_equal(chosen.of(rows[:, [2, 0]]), codes.of(rows)[[2, 0]])


def a_problem(count=3000, features=6, kinds=3, seed=0, noise=0.0):
    """Values (N, F) of which two matter, classes (N,), and 40 units (N,)."""
    generator = rng(seed)
    values = generator.normal(size=(count, features)).astype(np.float32)
    kinds_of = np.digitize(values[:, 1] + 0.5 * values[:, 4], np.linspace(-0.7, 0.7, kinds - 1))
    wrong = generator.random(count) < noise
    kinds_of[wrong] = generator.integers(0, kinds, wrong.sum())
    return values, kinds_of, generator.integers(0, 40, count)


def grown_from(values, kinds_of, units, weights=None, **options):
    codes = Codes.between(values)
    weights = np.ones(len(values)) if weights is None else weights
    grown = grow(codes.of(values), kinds_of, weights, units, int(kinds_of.max()) + 1, **options)
    return codes, grown


@pytest.fixture(scope="module")
def small():
    """Codes, 12 trees and the rows they grew from."""
    values, kinds_of, units = a_problem(noise=0.2)
    codes, grown = grown_from(values, kinds_of, units, count=12)
    return codes, grown, values, units


def leaf_by_leaf(trees, tree, codes):
    """The leaf (N, K) that each pixel of ``codes`` (F, N) reaches in a tree, step by step."""
    found = []
    for pixel in codes.T.astype(int):
        at = int(trees.roots[tree])
        while not trees.nodes[at] >> 31:
            node = int(trees.nodes[at])
            at = int(trees.roots[tree]) + (node >> 16) + int(pixel[node >> 8 & 255] > (node & 255))
        found.append(trees.leaves[trees.leaf_of[at]])
    return np.array(found)


def by_thresholds(trees, codes, values):
    """Probabilities (N, K) by the edges that the trees ask whether a value is above, without codes."""
    total = np.zeros((len(values), trees.kinds))
    for root in trees.roots:
        at = np.full(len(values), root)
        while True:
            node = trees.nodes[at].astype(np.int64)
            inner = np.flatnonzero(node < 1 << 31)
            if not len(inner):
                break
            node = node[inner]
            edge = [
                codes.edges[feature][code] for feature, code in zip(node >> 8 & 255, node & 255, strict=True)
            ]
            above = values[inner, node >> 8 & 255] > np.array(edge)
            at[inner] = root + (node >> 16) + above
        total += trees.leaves[trees.leaf_of[at]]
    return total / len(trees)


def sizes_and_depths(trees, tree):
    """Number of nodes and depth of the deepest of a tree."""
    end = np.append(trees.roots, len(trees.nodes))[tree + 1]
    nodes = trees.nodes[trees.roots[tree] : end].astype(np.int64)
    depth = np.zeros(len(nodes), int)
    for at, node in enumerate(nodes):
        if node < 1 << 31:
            depth[node >> 16] = depth[(node >> 16) + 1] = depth[at] + 1
    return len(nodes), depth.max()


class TestGrowing:
    def test_a_separable_problem_is_learned(self):
        values, kinds_of, units = a_problem()
        codes, grown = grown_from(values, kinds_of, units, count=30)
        fresh, expected, _ = a_problem(seed=1)
        assert (grown.trees.probabilities(codes.of(fresh)).argmax(1) == expected).mean() > 0.93
        assert grown.gains.sum() == pytest.approx(1)
        assert set(np.argsort(grown.gains)[-2:]) == {1, 4}

    def test_one_class_has_trees_of_one_leaf(self):
        values, _, units = a_problem(100)
        _, grown = grown_from(values, np.zeros(100, int), units, count=3)
        assert len(grown.trees.nodes) == 3
        assert not grown.gains.any()
        assert (grown.trees.leaves == 1).all()

    def test_constant_features_split_nothing(self):
        values = np.ones((100, 3), np.float32)
        _, grown = grown_from(values, rng().integers(0, 2, 100), np.arange(100) % 9, count=4)
        assert len(grown.trees.nodes) == 4
        assert grown.trees.leaves.sum(1) == pytest.approx(1)

    @pytest.mark.parametrize("min_leaf", [1, 7, 60])
    def test_no_leaf_has_fewer_rows_than_asked(self, min_leaf):
        values, kinds_of, units = a_problem(noise=0.3)
        codes, grown = grown_from(values, kinds_of, units, count=3, min_leaf=min_leaf)
        coded, trees = codes.of(values), grown.trees
        nodes = []
        for tree in range(3):
            marked = Trees(
                trees.nodes, trees.leaf_of, np.eye(len(trees.leaves), dtype=np.float32), trees.roots
            )
            reached = leaf_by_leaf(marked, tree, coded[:, grown.seen[tree][units]]).sum(0)
            assert reached[reached > 0].min() >= min_leaf
            nodes.append(sizes_and_depths(trees, tree)[0])
        assert min(nodes) > 5

    def test_smaller_leaves_make_larger_trees(self):
        problem = a_problem(noise=0.3)
        sizes = [len(grown_from(*problem, count=3, min_leaf=each)[1].trees.nodes) for each in (1, 7, 60)]
        assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]

    @pytest.mark.parametrize("max_depth", [1, 4])
    def test_no_more_decisions_in_a_row_than_asked(self, max_depth):
        _, grown = grown_from(*a_problem(noise=0.3), count=5, max_depth=max_depth)
        assert [sizes_and_depths(grown.trees, tree)[1] for tree in range(5)] == [max_depth] * 5

    def test_the_same_seed_gives_the_same_trees_in_any_number_of_threads(self):
        problem = a_problem(noise=0.2)
        (_, one), (_, two) = (grown_from(*problem, count=8, jobs=jobs, seed=5) for jobs in (1, 2))
        _, other = grown_from(*problem, count=8, jobs=1, seed=6)
        for name, array in one.trees.arrays().items():
            assert np.array_equal(array, two.trees.arrays()[name]), name
        assert np.array_equal(one.seen, two.seen)
        assert np.array_equal(one.gains, two.gains)
        assert not np.array_equal(one.trees.nodes, other.trees.nodes)

    def test_weights_count_as_rows_do(self):
        generator = rng(1)
        values = generator.integers(0, 2, (600, 1)).astype(np.float32)
        kinds_of = generator.integers(0, 2, 600)
        weights = np.where(kinds_of == 1, 3.0, 1.0)
        codes, grown = grown_from(values, kinds_of, np.arange(600), weights, count=200, tried=1)
        found = grown.trees.probabilities(codes.of(f32([0], [1])))
        for value in (0, 1):
            here = values[:, 0] == value
            expected = np.average(kinds_of[here], weights=weights[here])
            assert found[value, 1] == pytest.approx(expected, abs=0.01)

    def test_rows_of_no_weight_are_not_learned_from(self):
        values, kinds_of, units = a_problem()
        nonsense = np.concatenate([kinds_of, rng().integers(0, 3, len(units))])
        weights = np.repeat([1.0, 0.0], len(units))
        codes = Codes.between(values)
        both = codes.of(np.tile(values, (2, 1)))
        grown = grow(both, nonsense, weights, np.tile(units, 2), 3, count=5)
        alone = grow(codes.of(values), kinds_of, np.ones(len(units)), units, 3, count=5)
        assert np.array_equal(grown.trees.nodes, alone.trees.nodes)

    def test_features_tried(self):
        values, kinds_of, units = a_problem()
        _, all_tried = grown_from(values, kinds_of, units, count=9, tried=99, max_depth=1)
        roots = all_tried.trees.nodes[all_tried.trees.roots] >> 8 & 255
        assert set(roots.tolist()) == {1}
        _, one_tried = grown_from(values, kinds_of, units, count=30, tried=1, max_depth=1)
        assert len(set((one_tried.trees.nodes[one_tried.trees.roots] >> 8 & 255).tolist())) > 2

    def test_256_features_and_no_more(self):
        codes = rng().integers(0, 3, (MAX_FEATURES + 1, 40)).astype(np.uint8)
        kinds_of = (codes[MAX_FEATURES - 1] > 1).astype(int)
        arguments = kinds_of, np.ones(40), np.arange(40), 2
        grown = grow(codes[:MAX_FEATURES], *arguments, count=5, tried=256, min_leaf=1)
        assert set((grown.trees.nodes[grown.trees.roots] >> 8 & 255).tolist()) == {255}
        with pytest.raises(InputError, match="up to 256 features, got 257; select some"):
            grow(codes, *arguments)

    def test_a_tree_has_no_more_nodes_than_there_is_room_for(self):
        codes = rng().integers(0, 256, (4, 120_000)).astype(np.uint8)
        kinds_of, units = rng(1).integers(0, 2, 120_000), np.arange(120_000)
        grown = grow(codes, kinds_of, np.ones(120_000), units, 2, count=1, min_leaf=1, max_depth=100)
        assert 2**15 - 4 < len(grown.trees.nodes) < 2**15
        Trees.from_arrays(grown.trees.arrays(), 4)
        assert grown.trees.probabilities(codes[:, :20]).sum(1) == pytest.approx(1)

    def test_progress_is_told(self):
        steps = []
        grown_from(*a_problem(200), count=7, progress=lambda: steps.append(1))
        assert len(steps) == 7


class TestWalking:
    @pytest.mark.parametrize(
        "pixels", [0, 1, 7, 8, 13, walking.BLOCK - 1, walking.BLOCK, 2 * walking.BLOCK + 5]
    )
    def test_probabilities_are_the_mean_of_the_leaves(self, small, pixels):
        codes, grown, values, _ = small
        coded = codes.of(values[:pixels])
        trees = grown.trees
        found = trees.probabilities(coded)
        assert found.shape == (pixels, 3) and found.dtype == np.float32
        if pixels:
            expected = np.mean([leaf_by_leaf(trees, tree, coded) for tree in range(len(trees))], axis=0)
            assert np.abs(found - expected).max() < 1e-6
            assert found.sum(1) == pytest.approx(1, abs=1e-5)

    def test_they_are_those_of_the_thresholds_themselves(self, small):
        codes, grown, _, _ = small
        fresh = 1.5 * rng(7).normal(size=(900, 6)).astype(np.float32)
        fresh[:200, 1] = rng(8).choice(codes.edges[1], 200)  # on an edge: not above it
        expected = by_thresholds(grown.trees, codes, fresh)
        assert np.abs(grown.trees.probabilities(codes.of(fresh)) - expected).max() < 1e-6

    def test_parts_and_threads_change_no_bit(self, small):
        codes, grown, values, _ = small
        coded = np.tile(codes.of(values), 23)[:, :66_001]
        whole = grown.trees.probabilities(coded, jobs=1)
        assert np.array_equal(grown.trees.probabilities(coded, jobs=2), whole)
        pieces = [grown.trees.probabilities(coded[:, at : at + 1001]) for at in range(0, 66_001, 1001)]
        assert np.array_equal(np.concatenate(pieces), whole)

    def test_some_of_the_trees(self, small):
        codes, grown, values, _ = small
        coded, trees = codes.of(values[:30]), grown.trees
        expected = np.mean([leaf_by_leaf(trees, tree, coded) for tree in (2, 5)], axis=0)
        assert trees.only(np.array([2, 5])).probabilities(coded) == pytest.approx(expected, abs=1e-6)
        chosen = np.arange(len(trees)) % 6 == 0
        assert len(trees.only(chosen)) == 2

    def test_unseen_asks_the_trees_that_did_not_learn_from_the_unit(self, small):
        codes, grown, values, units = small
        coded, trees = codes.of(values[:200]), grown.trees
        units = units[:200].copy()
        seen = grown.seen.copy()
        seen[:, units[3]] = True  # no tree is left for these
        found, counts = trees.unseen(coded, units, seen)
        leaves = np.stack([leaf_by_leaf(trees, tree, coded) for tree in range(len(trees))])
        asked = ~seen[:, units]
        assert np.array_equal(counts, asked.sum(0))
        left = counts > 0
        expected = (leaves * asked[:, :, np.newaxis]).sum(0)[left] / counts[left, np.newaxis]
        assert np.abs(found[left] - expected).max() < 1e-6
        assert not left.all() and np.isnan(found[~left]).all()

    def test_unseen_is_the_worse_and_honest_estimate(self):
        values, kinds_of, units = a_problem(noise=0.4)
        codes, grown = grown_from(values, kinds_of, units, count=40, min_leaf=1)
        coded = codes.of(values)
        fresh, expected, _ = a_problem(noise=0.4, seed=9)
        told, _ = grown.trees.unseen(coded, units, grown.seen)
        estimate = (told.argmax(1) == kinds_of).mean()
        honest = (grown.trees.probabilities(codes.of(fresh)).argmax(1) == expected).mean()
        learned = (grown.trees.probabilities(coded).argmax(1) == kinds_of).mean()
        assert estimate == pytest.approx(honest, abs=0.05)
        assert learned > honest + 0.2

    def test_units_are_drawn_together(self, small):
        _, grown, _, units = small
        assert grown.seen.shape == (12, units.max() + 1)
        assert 0.4 < grown.seen.mean() < 0.85


def answered(trees, coded):
    """Mean of the leaves, tree by tree."""
    return np.mean([leaf_by_leaf(trees, tree, coded) for tree in range(len(trees))], axis=0)


def by_hand(inner, right_chain):
    """A tree of ``inner`` inner nodes on one feature, as lopsided or as even as can be, its leaves all different."""
    nodes, made, left = [], 1, inner
    while len(nodes) < made:
        at = len(nodes)
        if left and (not right_chain or at % 2 == 0):
            nodes.append(made << 16 | (left * 7) % 256)
            made += 2
            left -= 1
        else:
            nodes.append(at << 16 | 255 | 1 << 31)
    nodes = np.array(nodes, np.uint32)
    leaf = nodes >= 1 << 31
    leaf_of = np.where(leaf, np.cumsum(leaf) - 1, -1).astype(np.int32)
    leaves = rng(inner).dirichlet(np.ones(3), inner + 1).astype(np.float32)
    arrays = {"nodes": nodes, "leaf_of": leaf_of, "leaves": leaves, "roots": np.zeros(1, np.int64)}
    return Trees.from_arrays(arrays, 1)


class TestCrowns:
    """Nodes that are met often are asked of all pixels, and nobody notices."""

    @pytest.mark.parametrize("right_chain", [True, False])
    @pytest.mark.parametrize("inner", [0, 1, 31, 32, 33, 254, 255, 256, 257, 600])
    def test_of_trees_of_any_size(self, inner, right_chain):
        trees = by_hand(inner, right_chain)
        for coded in (np.arange(256)[np.newaxis], rng().integers(0, 256, (1, 3000))):
            coded = coded.astype(np.uint8)
            assert np.array_equal(trees.probabilities(coded), leaf_by_leaf(trees, 0, coded))

    def test_none_where_pixels_are_few_and_as_many_as_fit_where_they_are_many(self, small):
        codes, grown, values, _ = small
        trees = grown.trees
        tall = trees.only(np.diff(np.append(trees.roots, len(trees.nodes))) > walking.WHOLE)
        assert len(tall) > 3
        few, many = (codes.of(values[:count]) for count in (walking.SELDOM - 1, 900))
        for coded, least, most in ((few, 0, 0), (many, 5, walking.CROWN)):
            counts, *_ = walking.crowns(coded, tall.nodes, tall.roots)
            assert (least <= counts).all() and (counts <= most).all()
            assert tall.probabilities(coded) == pytest.approx(answered(tall, coded), abs=1e-6)

    def test_planned_on_other_pixels_they_give_the_same(self, small):
        codes, grown, values, _ = small
        trees, coded = grown.trees, codes.of(values)
        told = []
        for planned_on in (coded[:, :40], coded[:, ::-3], np.zeros((6, 500), np.uint8)):
            sums = np.zeros((coded.shape[1], 3), np.float32)
            planned = walking.crowns(planned_on, trees.nodes, trees.roots)
            walking.add_trees(coded, trees.nodes, trees.leaf_of, trees.leaves, trees.roots, planned, sums)
            told.append(sums)
        assert np.array_equal(told[0], told[1]) and np.array_equal(told[0], told[2])
        assert told[0] / len(trees) == pytest.approx(answered(trees, coded), abs=1e-6)

    def test_the_pixels_looked_at_lie_in_all_columns(self):
        for width in (256, 512, 1024, 1000):
            looked_at = np.arange(walking.LOOKED_AT, dtype=np.int64) * walking.SPREAD % width**2
            assert len(np.unique(looked_at)) == walking.LOOKED_AT
            assert len(np.unique(looked_at % width)) > walking.LOOKED_AT / 2
            assert np.ptp(looked_at // width) > 0.9 * width

    def test_a_forest_of_too_many_trees_is_refused(self):
        arrays = by_hand(0, True).arrays()
        count = MOST_TREES + 1
        many = {name: np.repeat(array, count, axis=0) for name, array in arrays.items()}
        with pytest.raises(ReadError, match="up to 10000 trees"):
            Trees.from_arrays(many | {"roots": np.arange(count)}, 1)

    @pytest.mark.parametrize("kinds", [2, 4, 5])
    def test_any_number_of_classes(self, kinds):
        values, kinds_of, units = a_problem(kinds=kinds, noise=0.1)
        codes, grown = grown_from(values, kinds_of, units, count=9, min_leaf=150)
        coded = codes.of(2 * rng(5).normal(size=(1300, 6)).astype(np.float32))
        assert grown.trees.probabilities(coded) == pytest.approx(answered(grown.trees, coded), abs=1e-6)


class TestStored:
    def test_arrays_come_back(self, small):
        codes, grown, values, _ = small
        again = Trees.from_arrays(grown.trees.arrays(), 6)
        coded = codes.of(values[:99])
        assert np.array_equal(again.probabilities(coded), grown.trees.probabilities(coded))

    @pytest.mark.parametrize("name", ["nodes", "leaf_of", "leaves", "roots"])
    def test_arrays_of_another_kind_are_refused(self, small, name):
        arrays = small[1].trees.arrays()
        wider = {"nodes": np.int64, "leaf_of": np.int64, "leaves": np.float64, "roots": np.int32}[name]
        flat = arrays[name].reshape(-1)
        for wrong in (arrays[name].astype(wider), arrays[name][np.newaxis], flat[:0], None):
            changed = {key: value for key, value in arrays.items() if key != name}
            changed |= {} if wrong is None else {name: wrong}
            with pytest.raises(ReadError, match="the trees"):
                Trees.from_arrays(changed, 6)

    @pytest.mark.parametrize("name", ["nodes", "leaf_of", "leaves", "roots"])
    def test_arrays_cut_short_or_too_long_are_refused(self, small, name):
        arrays = small[1].trees.arrays()
        for wrong in (arrays[name][:-1], arrays[name][1:], np.concatenate([arrays[name], arrays[name][-1:]])):
            if name == "leaves" and len(wrong) > len(arrays[name]):
                continue  # a leaf that no node asks for does no harm
            with pytest.raises(ReadError, match="the trees"):
                Trees.from_arrays(arrays | {name: wrong}, 6)

    def inner_and_leaf(self, trees):
        nodes = trees.nodes[: trees.roots[1]]
        return np.flatnonzero(nodes < 1 << 31)[3], np.flatnonzero(nodes >= 1 << 31)[3]

    def damaged(self, trees, at, **parts):
        """The arrays with another child, feature, threshold or mark of a leaf in one node."""
        node = int(trees.nodes[at])
        child = parts.get("child", node >> 16 & 0x7FFF)
        feature = parts.get("feature", node >> 8 & 255)
        threshold = parts.get("threshold", node & 255)
        leaf = parts.get("leaf", node >> 31)
        nodes = trees.nodes.copy()
        nodes[at] = leaf << 31 | child << 16 | feature << 8 | threshold
        return trees.arrays() | {"nodes": nodes}

    def test_ways_that_do_not_end_are_refused(self, small):
        trees = small[1].trees
        inner, leaf = self.inner_and_leaf(trees)
        size = int(trees.roots[1])
        wrong = [
            self.damaged(trees, inner, child=int(inner)),
            self.damaged(trees, inner, child=0),
            self.damaged(trees, inner, child=size - 1),  # the right one is of the next tree
            self.damaged(trees, inner, child=0x7FFF),
            self.damaged(trees, leaf, child=0),
            self.damaged(trees, leaf, leaf=0),
            self.damaged(trees, leaf, threshold=254),
            self.damaged(trees, inner, leaf=1),
        ]
        for arrays in wrong:
            with pytest.raises(ReadError, match="the trees"):
                Trees.from_arrays(arrays, 6)

    def test_features_and_leaves_that_are_not_there_are_refused(self, small):
        trees = small[1].trees
        inner, leaf = self.inner_and_leaf(trees)
        for arrays in (self.damaged(trees, inner, feature=6), self.damaged(trees, leaf, feature=255)):
            with pytest.raises(ReadError, match="features beyond the 6"):
                Trees.from_arrays(arrays, 6)
        for number in (-1, len(trees.leaves)):
            leaf_of = trees.leaf_of.copy()
            leaf_of[leaf] = number
            with pytest.raises(ReadError, match="lead nowhere"):
                Trees.from_arrays(trees.arrays() | {"leaf_of": leaf_of}, 6)

    def test_leaves_that_are_no_probabilities_are_refused(self, small):
        trees = small[1].trees
        for value in (np.nan, np.inf, -0.1):
            leaves = trees.leaves.copy()
            leaves[5, 1] = value
            with pytest.raises(ReadError, match="no probabilities"):
                Trees.from_arrays(trees.arrays() | {"leaves": leaves}, 6)
        with pytest.raises(ReadError, match="no probabilities"):
            Trees.from_arrays(trees.arrays() | {"leaves": trees.leaves[:, :0]}, 6)

    def test_trees_out_of_order_are_refused(self, small):
        trees = small[1].trees
        for roots in (
            trees.roots[::-1],
            trees.roots + 1,
            trees.roots[:0],
            np.append(trees.roots, len(trees.nodes)),
        ):
            with pytest.raises(ReadError, match="the trees"):
                Trees.from_arrays(trees.arrays() | {"roots": roots}, 6)

    def test_any_bytes_are_refused_or_walk_to_an_end(self, small):
        """Bits turned at random: what is not refused is walked without a look outside."""
        codes, grown, values, _ = small
        arrays, generator, refused = grown.trees.arrays(), rng(4), 0
        coded = codes.of(values[:64])
        for _ in range(150):
            name = generator.choice(["nodes", "leaf_of", "roots"])
            changed = arrays[name].copy()
            changed.view(np.uint8)[generator.integers(changed.nbytes)] ^= 1 << generator.integers(8)
            try:
                trees = Trees.from_arrays(arrays | {name: changed}, 6)
            except ReadError:
                refused += 1
            else:
                assert np.isfinite(trees.probabilities(coded)).all()
        assert refused > 50


def test_a_class_of_one_unit_is_learned_by_every_tree():
    codes = np.array([[0] * 40 + [200] * 3], np.uint8)
    kinds_of = np.array([0] * 40 + [1] * 3)
    units = np.array([*range(40), 40, 40, 40])
    grown = grow(codes, kinds_of, np.ones(43), units, 2, count=30, min_leaf=1)
    assert grown.seen[:, 40].all()
    assert (grown.trees.probabilities(np.array([[200]], np.uint8))[0, 1] == 1.0).all()
