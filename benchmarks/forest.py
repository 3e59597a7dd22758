"""The pixel forest: trees walked against scikit-learn's, scribbles against scikit-image's, memory against itself."""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

import numpy as np
from harness import Comparison, row
from skimage import data
from skimage.feature import multiscale_basic_features
from skimage.future import TrainableSegmenter, fit_segmenter, predict_segmenter
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree._tree import Tree

from smalti.data.scenes import make_scene
from smalti.image import Image
from smalti.pixel.features import FeatureBank
from smalti.pixel.fitted import FittedForest
from smalti.pixel.forest import Forest
from smalti.pixel.live import LiveForest
from smalti.pixel.trees import Codes, Trees, grow
from smalti.segmentation import Segmentation

FEATURES = 60
SIDE = 1024
LEARNED_FROM = 20_000
WRONG = 0.15
"""Share of the labels that are drawn at random: without them the trees of a made-up scene have 300 nodes only."""


def problem() -> tuple[np.ndarray, Codes, Trees]:
    """Features (60, 1024, 1024) float32 of a street scene and 100 trees that learned its classes from 20,000 pixels."""
    sample = make_scene("street", 0, task="semantic", size_hw=(SIDE, SIDE))
    planes = FeatureBank().compute(sample.image, range(FEATURES))
    _, classes = np.unique(sample.truth.semantic_map().reshape(-1), return_inverse=True)
    kinds = int(classes.max()) + 1
    generator = np.random.default_rng(0)
    places = generator.choice(classes.size, LEARNED_FROM, replace=False)
    known = classes[places]
    wrong = generator.random(LEARNED_FROM) < WRONG
    known[wrong] = generator.integers(0, kinds, wrong.sum())
    rows = planes.reshape(FEATURES, -1)[:, places].T
    codes = Codes.between(rows)
    units = generator.integers(0, LEARNED_FROM // 20, LEARNED_FROM)
    grown = grow(codes.of(rows), known, np.ones(LEARNED_FROM), units, kinds)
    return planes, codes, grown.trees


def exported(trees: Trees, codes: Codes) -> RandomForestClassifier:
    """The same trees as a scikit-learn forest."""
    kinds, features = trees.kinds, len(codes)
    blank = np.zeros((kinds, features), np.float32)
    forest = RandomForestClassifier(len(trees), max_depth=1, n_jobs=1).fit(blank, np.arange(kinds))
    ends = np.append(trees.roots[1:], len(trees.nodes))
    for estimator, begin, end in zip(forest.estimators_, trees.roots, ends, strict=True):
        nodes, leaf_of = trees.nodes[begin:end].astype(np.int64), trees.leaf_of[begin:end]
        leaf = nodes >= 1 << 31
        left, feature, code = nodes >> 16 & 0x7FFF, nodes >> 8 & 255, nodes & 255
        told = np.zeros(len(nodes), estimator.tree_.__getstate__()["nodes"].dtype)
        told["left_child"], told["right_child"] = np.where(leaf, -1, left), np.where(leaf, -1, left + 1)
        told["feature"] = np.where(leaf, -2, feature)
        told["n_node_samples"] = told["weighted_n_node_samples"] = 1
        values = np.full((len(nodes), 1, kinds), 1 / kinds)
        values[leaf, 0] = trees.leaves[leaf_of[leaf]]
        depth = np.zeros(len(nodes), np.int64)
        for at in np.flatnonzero(~leaf):
            told["threshold"][at] = codes.edges[feature[at]][code[at]]
            depth[left[at]] = depth[left[at] + 1] = depth[at] + 1
        tree = Tree(features, np.array([kinds], np.intp), 1)
        state = {"max_depth": int(depth.max()), "node_count": len(nodes), "nodes": told, "values": values}
        tree.__setstate__(state)
        estimator.tree_ = tree
    return forest


def predicted(planes: np.ndarray, codes: Codes, trees: Trees, jobs: int) -> np.ndarray:
    """Probabilities (N, K) from planes (F, H, W) of features."""
    coded = np.empty((len(planes), planes[0].size), np.uint8)
    for feature, plane in enumerate(planes):
        codes.write(plane, feature, coded[feature])
    return trees.probabilities(coded, jobs)


def close(peer: np.ndarray, own: np.ndarray) -> bool:
    return bool(np.abs(peer - own).max() < 1e-6)


def about(trees: Trees) -> str:
    return (
        f"{len(trees)} trees of {len(trees.nodes) / len(trees):,.0f} nodes on the mean, {FEATURES} features, "
        f"{trees.kinds} classes, {SIDE} x {SIDE} pixels; the trees learned from {LEARNED_FROM:,} pixels of a street "
        f"scene, {100 * WRONG:.0f} % of them labelled at random"
    )


@row("forest-predict", peer="scikit-learn RandomForestClassifier.predict_proba", target=3)
def predict() -> Comparison:
    planes, codes, trees = problem()
    forest = exported(trees, codes)
    rows = np.ascontiguousarray(planes.reshape(FEATURES, -1).T)
    return Comparison(
        lambda: forest.predict_proba(rows),
        lambda: predicted(planes, codes, trees, jobs=1),
        close,
        f"{about(trees)}. The very same trees, in scikit-learn's own arrays; probabilities equal to 1e-6; one "
        "thread. Both are given float32: scikit-learn the rows (N, F) it wants, ours the planes (F, H, W) that "
        "features come in, and turning these into codes is part of ours",
    )


@row("forest-predict-two", peer="smalti with one thread")
def predict_two() -> Comparison:
    planes, codes, trees = problem()
    return Comparison(
        lambda: predicted(planes, codes, trees, jobs=1),
        lambda: predicted(planes, codes, trees, jobs=2),
        np.array_equal,
        f"the same as forest-predict, two threads against one: {about(trees)}. The trees are walked by both threads, "
        "the features coded by one; not a bit differs",
    )


def astronaut_scribbles() -> tuple[np.ndarray, np.ndarray]:
    """A photograph (512, 512, 3), and strokes on it: 1 the suit, 2 skin and hair, -1 what is behind."""
    marks = np.zeros((512, 512), np.int32)
    for top, bottom, left, right, kind in (
        (330, 334, 90, 170, 1), (400, 460, 330, 334, 1), (300, 304, 260, 330, 1), (430, 434, 150, 230, 1),
        (100, 160, 220, 224, 2), (40, 44, 190, 260, 2), (180, 184, 200, 240, 2),
        (20, 24, 20, 120, -1), (150, 260, 40, 44, -1), (60, 200, 420, 424, -1), (30, 34, 320, 480, -1),
        (280, 360, 480, 484, -1),
    ):  # fmt: skip
        marks[top:bottom, left:right] = kind
    return data.astronaut(), marks


def as_peer(marks: np.ndarray) -> np.ndarray:
    """The marks as scikit-image has them, background the highest number."""
    return np.where(marks == -1, marks.max() + 1, marks)


def default_classifier() -> RandomForestClassifier:
    """What TrainableSegmenter takes, on one thread."""
    return RandomForestClassifier(n_estimators=100, n_jobs=1, random_state=0)


def one_thread() -> patch:
    """The forest takes as many threads as there are processors; here that is one."""
    return patch("smalti.pixel.trees.processors", lambda: 1)


ALIKE = 0.75
"""Share of the pixels that two forests on other features must name alike."""


def agree_on(least: float, peer: np.ndarray, own: Segmentation) -> bool:
    """Whether the two name ``least`` of the pixels alike."""
    found = own.semantic_map()
    return bool((np.where(found == 0, peer.max(), found) == peer).mean() >= least)


@row("scribble-512", peer="scikit-image TrainableSegmenter", target=5)
def scribble() -> Comparison:
    pixels, marks = astronaut_scribbles()
    labels = as_peer(marks)
    image = Image(pixels)

    def theirs() -> np.ndarray:
        features = partial(multiscale_basic_features, channel_axis=-1, workers=1)
        segmenter = TrainableSegmenter(default_classifier(), features)
        segmenter.fit(pixels, labels)
        return segmenter.predict(pixels)

    def ours() -> Segmentation:
        with one_thread():
            return Forest().fit(image, marks).predict(image)

    return Comparison(
        theirs,
        ours,
        partial(agree_on, ALIKE),
        f"from a photograph of 512 x 512 pixels in colour and {np.count_nonzero(marks):,} scribbled ones of three "
        "classes to the class of every pixel, fit and predict at their defaults, which compute the features twice, "
        "both of them; one thread. The features differ (72 there, 64 here), so the results do: they named 83 % of the "
        "pixels alike when this was written, and must name 75 %",
    )


@row("refit-512", peer="scikit-image fit_segmenter and predict_segmenter, features kept")
def refit() -> Comparison:
    pixels, marks = astronaut_scribbles()
    labels = as_peer(marks)
    features = multiscale_basic_features(pixels, channel_axis=-1, workers=1)
    live = LiveForest(Forest(), Image(pixels))
    less = marks.copy()
    less[marks == 2] = 0

    def theirs() -> np.ndarray:
        return predict_segmenter(features, fit_segmenter(labels, features, default_classifier()))

    def ours() -> Segmentation:
        with one_thread():
            return live.update(marks)

    with one_thread():
        live.update(less)  # a class is new, so nothing can have been kept
    return Comparison(
        theirs,
        ours,
        partial(agree_on, ALIKE),
        "the same photograph after another scribble: LiveForest.update, which grows the trees anew and predicts the "
        "whole view, against the same with scikit-image, the features kept in both; one thread. Ours is to be below "
        "0.5 s. The results named 84 % of the pixels alike when this was written, and must name 75 %",
    )


LARGE, HALF = (8192, 4096), (4096, 4096)
LABEL_MAP_MB = 4e-6 * LARGE[0] * LARGE[1]
LIMIT_MB = 230


def small_forest() -> FittedForest:
    """Ten trees on two scales of grey, with what they said as context."""
    pixels, marks = astronaut_scribbles()
    bank = FeatureBank(families=("gaussian", "gradient"), sigmas_px=(1.0, 3.0))
    return Forest(features=bank, trees=10, context_px=(), smoothing_px=0).fit(pixels[..., 0], marks)


def large_image(shape: tuple[int, int]) -> Image:
    """The photograph side by side with itself, in grey."""
    pixels = data.astronaut()[..., :1]
    return Image(np.tile(pixels, (shape[0] // 512, shape[1] // 512, 1)))


def same_but_at_the_end(half: Segmentation, whole: Segmentation) -> bool:
    rows = slice(0, HALF[0] - 64)
    return bool(np.array_equal(half.semantic_map()[rows], whole.semantic_map()[rows]))


@row("forest-memory", peer="smalti on half of the image", what="memory", repeats=1, limit_mb=LIMIT_MB)
def memory() -> Comparison:
    fitted = small_forest()
    half, whole = large_image(HALF), large_image(LARGE)
    return Comparison(
        lambda: fitted.predict(half),
        lambda: fitted.predict(whole),
        same_but_at_the_end,
        f"extra memory of predicting {' x '.join(map(str, LARGE))} grey pixels by 10 trees on 8 features, against "
        f"{' x '.join(map(str, HALF))}. The label map itself is {LABEL_MAP_MB:.0f} MB of the larger; what does not "
        "grow with the image is the tile of 1024 x 1024 pixels: its features, their codes and the probabilities",
    )
