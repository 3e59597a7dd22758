"""What turns an image into probabilities: features, trees, and trees that also see what the first ones said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ReadError
from ..geometry import Geometry
from ..image import Image
from ..values import ImageKind, Values
from .features import FeatureBank, Window
from .trees import Codes, Trees

MOST_CHANNELS = 4096
"""Channels of an image a stored forest may be for."""
Walk = Callable[[Trees, np.ndarray], np.ndarray]
"""Trees and codes (F, N) to probabilities (N, K)."""


def all_trees(trees: Trees, codes: np.ndarray) -> np.ndarray:
    """The mean of all trees."""
    return trees.probabilities(codes)


@dataclass(frozen=True, eq=False)
class Cascade:
    """Trees on the ``wanted`` features of a ``bank``, and more trees that see their answer around each pixel.

    The second trees see the features and, smoothed by ``context``, the probabilities of the first ones (Tu and Bai,
    Auto-context, IEEE PAMI 32, 2010): that a pixel lies in a ring of border, below the sky, on a line that goes on.
    Without ``context`` the first ones have the word.
    """

    bank: FeatureBank
    channels: tuple[str, ...]
    ndim: int
    wanted: tuple[int, ...]
    codes: Codes
    trees: Trees
    context: FeatureBank | None = None
    context_codes: Codes | None = None
    context_trees: Trees | None = None
    values: Values = field(default_factory=Values)

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the planes of the first trees' probabilities, as the context's channels are called."""
        return tuple(f"target {number}" for number in range(self.trees.kinds))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of all features, in the order of the codes."""
        all_features = self.bank.features(self.channels, self.ndim)
        names = [all_features[number].name for number in self.wanted]
        if self.context is not None:
            names += [each.name for each in self.context.features(self.target_names, self.ndim)]
        return tuple(names)

    def taken(self, image: Image) -> Image:
        """The image as it was learned from; see ``ImageKind.taken``."""
        return ImageKind(self.ndim, self.channels, self.values).taken(image)

    def reach(self, geometry: Geometry) -> tuple[int, ...]:
        """How many pixels away along each axis a probability depends on, (ndim,)."""
        away = self.bank.reach(self.ndim, geometry, self.wanted, self.channels)
        if self.context is not None:
            around = self.context.reach(self.ndim, geometry, None, self.target_names)
            away = tuple(a + b for a, b in zip(away, around, strict=True))
        return away

    def code(self, image: Image, window: Window | None = None) -> np.ndarray:
        """Codes of the image's features, (F, N) uint8."""
        image = Image(image.pixels, self.channels, image.geometry)
        codes = np.empty((len(self.codes), int(np.prod(image.shape))), np.uint8)
        place = {number: column for column, number in enumerate(self.wanted)}
        for number, plane in self.bank.planes(image, self.wanted, window):
            self.codes.write(plane, place[number], codes[place[number]])
        return codes

    def look_around(self, first: np.ndarray, geometry: Geometry) -> Image:
        """The first trees' probabilities (K, *S) as the image whose features are the context."""
        return Image(np.ascontiguousarray(np.moveaxis(first, 0, -1)), self.target_names, geometry)

    def probabilities(
        self,
        image: Image,
        window: Window | None = None,
        walk: Walk = all_trees,
        walk_context: Walk = all_trees,
    ) -> np.ndarray:
        """Probability of each target, (K, *S) float32; right but for ``reach`` pixels where the image is cut."""
        codes = self.code(image, window)
        found = walk(self.trees, codes).T.reshape(-1, *image.shape)
        if self.context is None or self.context_codes is None or self.context_trees is None:
            return found
        around = self.look_around(found, image.geometry)
        more = np.empty((len(self.context_codes), codes.shape[1]), np.uint8)
        for number, plane in self.context.planes(around, None, window):
            self.context_codes.write(plane, number, more[number])
        return walk_context(self.context_trees, np.concatenate([codes, more])).T.reshape(-1, *image.shape)

    def described(self) -> dict[str, Any]:
        """What is no array, as plain values."""
        return {
            "bank": self.bank.model_dump(mode="json"),
            "channels": list(self.channels),
            "ndim": self.ndim,
            "wanted": list(self.wanted),
            "context": None if self.context is None else self.context.model_dump(mode="json"),
            "values": self.values.described(),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored as arrays, by name."""
        stored = {f"trees/{name}": array for name, array in self.trees.arrays().items()}
        stored |= _edge_arrays("edges", self.codes)
        if self.context_codes is not None and self.context_trees is not None:
            stored |= {f"context/{name}": array for name, array in self.context_trees.arrays().items()}
            stored |= _edge_arrays("context_edges", self.context_codes)
        return stored

    @classmethod
    def restored(cls, said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Cascade:
        """From ``described`` and ``arrays`` that came in a file. Raises ``ReadError`` and pydantic's errors."""
        bank = FeatureBank(**said["bank"])
        channels = tuple(str(name) for name in said["channels"])
        ndim = int(said["ndim"])
        if ndim not in (2, 3) or not 0 < len(channels) <= MOST_CHANNELS:
            raise ReadError(
                f"a forest is for images of 2 or 3 axes and some channels, not {ndim} and {channels}"
            )
        wanted = tuple(int(number) for number in said["wanted"])
        there = len(bank.features(channels, ndim))
        if not wanted or min(wanted) < 0 or max(wanted) >= there or len(set(wanted)) < len(wanted):
            raise ReadError(f"the forest wants features that its bank of {there} does not have")
        codes = _restored_edges("edges", arrays, len(wanted))
        trees = Trees.from_arrays(_below("trees/", arrays), len(codes))
        values = Values.restored(said["values"])
        plain = cls(bank, channels, ndim, wanted, codes, trees, values=values)
        if said["context"] is None:
            return plain
        context = FeatureBank(**said["context"])
        more = len(context.features(plain.target_names, ndim))
        around = _restored_edges("context_edges", arrays, more)
        second = Trees.from_arrays(_below("context/", arrays), len(codes) + more)
        return cls(bank, channels, ndim, wanted, codes, trees, context, around, second, values)


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _edge_arrays(name: str, codes: Codes) -> dict[str, np.ndarray]:
    lengths = np.array([len(each) for each in codes.edges], np.int64)
    return {name: np.concatenate([np.zeros(0, np.float32), *codes.edges]), f"{name}_lengths": lengths}


def _restored_edges(name: str, arrays: Mapping[str, np.ndarray], count: int) -> Codes:
    flat, lengths = arrays.get(name), arrays.get(f"{name}_lengths")
    if flat is None or lengths is None or flat.dtype != np.float32 or lengths.dtype != np.int64:
        raise ReadError(f"the forest needs arrays {name} of float32 and {name}_lengths of int64")
    if lengths.shape != (count,) or lengths.min(initial=0) < 0 or lengths.max(initial=0) > 255:
        raise ReadError(f"{name}_lengths must say how many edges, up to 255, each of {count} features has")
    if flat.shape != (lengths.sum(),) or not np.isfinite(flat).all():
        raise ReadError(f"{name} must be {lengths.sum()} finite numbers")
    edges = np.split(flat, np.cumsum(lengths)[:-1])
    if any((np.diff(each) <= 0).any() for each in edges):
        raise ReadError(f"{name} do not rise")
    return Codes(edges)
