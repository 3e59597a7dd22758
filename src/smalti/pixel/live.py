"""A forest while somebody scribbles: the features of one image once, trees anew with every stroke."""

from __future__ import annotations

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..image import Image
from ..postprocess.decode import most_probable, won_segments
from ..postprocess.targets import Targets
from ..segmentation import Segmentation
from ..table import Table
from ..values import Values
from .calibration import Calibration
from .cascade import Cascade
from .fitted import FittedForest, smoothed
from .forest import Forest
from .sampling import cell_map, counted, leaf_size
from .scribbles import check_for_scribbles, scribble_targets, scribbled_sample
from .training import bank_of
from .trees import MAX_FEATURES, Codes, grow

SAMPLED = 50_000
"""Pixels of the image that the edges of its features are taken from."""


class LiveForest:
    """One image being scribbled on. Keeps a byte per pixel and feature, so that a stroke costs trees and no features.

    ``model`` is the forest of the last ``update``, to be saved or used on other images; ``probabilities`` (K, *S) are
    what it said. The same image and scribbles give the same, whatever was scribbled before.
    """

    def __init__(self, forest: Forest, image: Image | np.ndarray) -> None:
        check_for_scribbles(forest)
        if forest.select is not None:
            raise InputError("a live forest keeps all features it has looked at; leave select out")
        self.forest = forest
        self.image = (Image.from_array(image) if isinstance(image, np.ndarray) else image).without_alpha()
        channels, ndim = self.image.channels, self.image.ndim
        bank = bank_of(forest, channels, self.image.geometry, ndim, bool(forest.position))
        there = len(bank.features(channels, ndim))
        if there > MAX_FEATURES:
            raise InputError(
                f"a live forest looks at up to {MAX_FEATURES} features, these are {there}; "
                "give fewer families or sigmas"
            )
        wanted = tuple(range(there))
        pixels = int(np.prod(self.image.shape))
        drawn = np.random.default_rng(forest.seed).integers(0, pixels, min(pixels, SAMPLED))
        self._codes = np.empty((len(wanted), pixels), np.uint8)
        edges: list[np.ndarray] = [np.zeros(0, np.float32)] * len(wanted)
        for number, plane in bank.planes(self.image, wanted):
            own = Codes.between(plane.reshape(-1)[drawn][:, np.newaxis])
            own.write(plane, 0, self._codes[number])
            edges[number] = own.edges[0]
        self._cascade = (bank, channels, self.image.ndim, wanted, Codes(edges))
        self._values = Values().and_those_of(self.image)
        self._units = cell_map(self.image.shape, (0,) * self.image.ndim, self.image.shape).reshape(-1)
        self.model: FittedForest | None = None
        self.probabilities: np.ndarray | None = None

    def update(self, scribbles: np.ndarray, classes: ClassSet | None = None) -> Segmentation:
        """The classes that all ``scribbles`` (*S,) so far show: 0 = not said, -1 = background, k = class k.

        Raises ``InputError`` as ``Forest.fit`` does.
        """
        settings = self.forest
        truth = scribbled_sample(self.image, scribbles, classes).truth
        background = bool((scribble_targets(scribbles, self.image.shape) == -1).any())
        targets = Targets.of(np.unique(truth.class_ids).tolist(), truth.classes, background)
        marked = targets.map(truth).reshape(-1)
        places = np.flatnonzero(marked >= 0)
        known = marked[places].astype(np.int64)
        targets.check(np.bincount(known, minlength=len(targets)).tolist())
        chosen = settings.chosen(strokes=True, objects=False, few=True)
        weights = counted(settings, targets.names, known, np.ones(len(known)), chosen.balance)
        grown = grow(
            self._codes[:, places],
            known,
            weights,
            self._units[places],
            len(targets),
            count=settings.trees,
            min_leaf=leaf_size(chosen.min_leaf, known),
            max_depth=settings.max_depth,
            seed=settings.seed,
        )
        found = grown.trees.probabilities(self._codes)
        self.probabilities = found.T.reshape(-1, *self.image.shape)
        smoothing = settings.smoothing_px or 0
        smooth = smoothed(self.probabilities, self.image.pixels, smoothing)
        factors = np.ones(len(targets))
        winners, sums = most_probable(smooth, factors)
        cascade = Cascade(*self._cascade, grown.trees, values=self._values)
        names = np.array(cascade.feature_names)
        order = np.argsort(-grown.gains, kind="stable")
        self.model = FittedForest(
            settings,
            truth.classes,
            "semantic",
            targets,
            cascade,
            Calibration(),
            factors,
            None,
            smoothing,
            Table({"feature": names[order], "importance": grown.gains[order]}),
            {"images": 1, "pixels": len(places), "trees": len(grown.trees), "features": len(names)},
        )
        return won_segments(winners, sums, targets.class_ids, truth.classes, self.image.geometry)
