"""What is done to pixels before a network sees them, as an ONNX graph: what ``preparation`` does.

Letters: B images, C channels, n pixels of an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .fitted import FittedNetwork
from .nodes import Nodes, Value
from .preparation import Fixed, OfImage

LINEAR: dict[str, Any] = {
    "mode": "linear",
    "coordinate_transformation_mode": "half_pixel",
    "antialias": 1,
    "exclude_outside": 1,
}


def resamples(network: FittedNetwork) -> bool:
    """Whether the network sees images at another size, whatever their spacing."""
    return network.preparation.size is not None or network.preparation.factor != 1


def prepared(graph: Nodes, image: Value, network: FittedNetwork, pixels: str) -> Value:
    """As ``Preparation.prepared`` does."""
    preparation, ndim = network.preparation, network.planes.ndim
    chosen = preparation.normalization
    own = (1, -1, *[1] * ndim)
    ends: tuple[Value, Value] | None = None
    if isinstance(chosen, Fixed):
        found = chosen.statistics(np.dtype("float32" if pixels == "float" else pixels))
        offset, scale = (
            graph.constant(np.array(each, np.float32).reshape(own)) for each in (found.offset, found.scale)
        )
        if found.low is not None and found.high is not None:
            low, high = (
                graph.constant(np.array(each, np.float32).reshape(own)) for each in (found.low, found.high)
            )
            ends = low, high
    elif chosen.by == "mean-std":
        offset, scale = _mean_and_spread(graph, image, ndim)
    else:
        first, last = _percentiles(graph, image, chosen, ndim, pixels != "float")
        offset = ((first + last) * np.float64(0.5)).to("float32")
        half = (last - first) * np.float64(0.5)
        scale = (half > np.float64(0)).where(half, np.float64(1)).to("float32")
        ends = offset - scale, offset + scale
    if isinstance(chosen, OfImage) and chosen.polarity == "bright":
        scale = scale * _turned(graph, image, ndim)
    if resamples(network):
        image = _resampled(graph, image, network)
    if ends is not None:
        image = image.clip(*ends)
    return (image - offset) / scale


def _mean_and_spread(graph: Nodes, image: Value, ndim: int) -> tuple[Value, Value]:
    """Of each channel of each image, (B, C, 1...); the spread of a channel of one value is 1."""
    axes = tuple(range(2, 2 + ndim))
    wide = image.to("float64")
    mean = wide.reduced("Mean", *axes, keep=True)
    around = wide - mean
    spread = graph.add("Sqrt", (around * around).reduced("Mean", *axes, keep=True))
    least = graph.add("Max", graph.add("Abs", mean), np.float64(1)) * np.float64(1e-12)
    return mean.to("float32"), (spread > least).where(spread, np.float64(1)).to("float32")


def _turned(graph: Nodes, image: Value, ndim: int) -> Value:
    """-1 where the brightness has its tail on the dark side, else 1, (B, 1, 1...) float32; see ``tail_of``."""
    around = image.to("float64").reduced("Mean", 1, keep=True)
    axes = tuple(range(2, 2 + ndim))
    around = around - around.reduced("Mean", *axes, keep=True)
    tail = (around * around * around).reduced("Mean", *axes, keep=True)
    return (tail < np.float64(0)).where(np.float64(-1), np.float64(1)).to("float32")


def _percentiles(graph: Nodes, image: Value, chosen: OfImage, ndim: int, whole: bool) -> tuple[Value, Value]:
    """The two percentiles of each channel of each image, (B, C, 1...) float64.

    Of whole numbers the least value that so many are not above, of others linearly between two, as numpy has it; of
    more than ``MOST_LOOKED_AT`` pixels smalti itself looks at a grid of them.
    """
    flat = image.reshape(0, 0, -1)  # B, C, n
    many = flat.shape(2, 3)
    found = []
    for percent, largest in ((chosen.low, 0), (chosen.high, 1)):
        if whole:
            place = many.to("float64") * np.array([percent / 100])
            at = graph.add("Max", graph.add("Ceil", place).to("int64") - np.int64(1), np.int64(0))
            share, after = None, at
        else:
            place = (many - np.int64(1)).to("float64") * np.array([percent / 100])
            at = graph.add("Floor", place).to("int64")
            share, after = place - graph.add("Floor", place), graph.add("Ceil", place).to("int64")
        # so many of the least, or of the largest, that both are among them
        last = many - np.int64(1)
        count = (last - at if largest else after) + np.array([1], np.int64)
        values, _ = graph.add("TopK", flat, count, axis=2, outputs=2, largest=largest, sorted=1)
        ends = [values.take(last - each if largest else each, axis=2).to("float64") for each in (at, after)]
        value = ends[0] if share is None else ends[0] + (ends[1] - ends[0]) * share
        found.append(value.reshape(0, 0, *[1] * ndim))
    return found[0], found[1]


def _resampled(graph: Nodes, image: Value, network: FittedNetwork) -> Value:
    """At the size that the network sees. Raises ``InputError`` for volumes."""
    preparation = network.preparation
    if network.planes.ndim == 3:
        raise InputError(
            "a network that sees volumes at another size cannot be a plain ONNX file, as runtimes do not resample "
            "volumes alike; use its bundle, or fit one with --set scale=1"
        )
    if preparation.size is not None:
        sides = graph.constant(np.array(preparation.size, np.int64))
    else:
        long = graph.add("Round", image.shape(2).to("float64") * np.float64(preparation.factor))
        sides = graph.add("Max", long.to("int64"), np.int64(1))
    sizes = graph.add("Concat", image.shape(0, 2), sides, axis=0)
    return graph.add("Resize", image, None, None, sizes, **LINEAR)


def sizes_of(graph: Nodes, planes: Value, image: Value) -> Value:
    """The shape of ``planes`` at the size of ``image``, as Resize takes it."""
    return graph.add("Concat", planes.shape(0, 2), image.shape(2), axis=0)
