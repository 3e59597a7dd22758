"""What is known of a network that others exported: what its author says, and what trying it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError, unknown_name
from ..postprocess.targets import Task
from . import telemetry
from .adapting import Activation, Shape
from .graph import Port
from .messages import shown

Layout = Literal["channels-first", "channels-last"]
LAYOUTS: tuple[Layout, ...] = ("channels-first", "channels-last")
ACTIVATIONS: tuple[Activation, ...] = (
    "logits",
    "probabilities",
    "sigmoid-logits",
    "sigmoid-probabilities",
    "map",
)

MULTIPLES = (1, 8, 16, 32, 64)
"""What sides are tried to be multiples of, for graphs of any size: strides of the encoders in use."""


@dataclass(frozen=True)
class Foreign:
    """What its author knows of an exported network and the graph does not say.

    ``classes`` are the names of its planes in order, or of the numbers of its map. Where there is one plane more than
    names, the first is of the background; so is 0 in a map. ``background`` names the one that is among them, which
    need not be said of one called so. ``mean`` and ``std`` are for pixels times ``scale``,
    as ``(pixels * scale - mean) / std``, of ``pixels`` such as uint8. The rest is found by trying, and asked for
    where it cannot be told. ``channels`` are those of the image in the order that the network takes them.
    """

    classes: Sequence[str] | ClassSet
    mean: Sequence[float]
    std: Sequence[float]
    scale: float = 1.0
    pixels: str = "uint8"
    channels: Sequence[str] | None = None
    background: str | None = None
    task: Task = "semantic"
    output: str | None = None
    layout: Layout | None = None
    activation: Activation | None = None
    size: Sequence[int] | None = None


@dataclass(frozen=True)
class Found:
    """An output that may be the planes: how many there are, where, how they compare with the image, what they are."""

    port: Port
    planes: int
    class_last: bool
    fits: bool
    activation: Activation


class Trial:
    """What comes out of the graph for an image of noise."""

    def __init__(self, content: bytes, given: Port, foreign: Foreign, shape: Shape) -> None:
        self.given, self.foreign, self.shape = given, foreign, shape
        self.ndim = len(given.dims or ()) - 2
        runtime = telemetry.onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        try:
            self.session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own kinds
            raise ReadError(f"ONNX Runtime cannot load the graph: {shown(error)}") from error
        self.sides: tuple[int, ...] = ()
        self.names = [each.name for each in self.session.get_outputs()]
        if foreign.output is not None and foreign.output not in self.names:
            raise unknown_name("output of the graph", foreign.output, self.names)

    def outcome(self, names: Sequence[str]) -> tuple[Found, Port, Shape]:
        """The output that is the planes, as it came and as a port, and all of the shape."""
        said = "it was not run"
        for multiple in (1,) if self.shape.size else MULTIPLES:
            sides = self.shape.size or self._sides(multiple)
            try:
                given = {self.given.name: self._noise(sides)}
                outputs = dict(zip(self.names, self.session.run(self.names, given), strict=True))
            except Exception as error:  # its own kinds, for a size that it cannot take
                said = shown(error)
                continue
            ports = [
                Port(name, str(values.dtype), tuple(values.shape))
                for name, values in outputs.items()
                if isinstance(values, np.ndarray)
            ]
            found = [each for port in ports for each in self._read(port, outputs[port.name], sides, names)]
            if not found and multiple < MULTIPLES[-1] and not self.shape.size:
                said = f"it gave {', '.join(map(str, ports))}"
                continue  # sides that do not divide may come out rounded
            self.sides = sides
            return self._chosen(found, ports, names, multiple)
        raise InputError(
            f"the graph takes {self.given}, but not images of {' x '.join(map(str, sides))} ({said}); if it is made "
            "for one size, give --size"
        )

    def _sides(self, multiple: int) -> tuple[int, ...]:
        """Sides that are a multiple of this and of no larger one, not all the same, so that axes are told apart."""
        if multiple == 1:
            return ((97, 131), (33, 41, 47))[self.ndim == 3][: self.ndim]
        least = max(1, (64 if self.ndim == 2 else 16) // multiple) | 1
        return tuple(multiple * (least + 2 * axis) for axis in range(self.ndim))

    def _noise(self, sides: Sequence[int]) -> np.ndarray:
        """An image of noise as the network takes it, blurred a little by being of few numbers."""
        rng = np.random.default_rng(0)
        dtype = np.dtype(numpy_name(self.given.dtype))
        pixels = (
            rng.integers(0, 256, (1, self.shape.channels, *sides)).astype(np.float32) * self.foreign.scale
        )
        for channel in range(self.shape.channels):
            mean, std = (
                for_each(each, self.shape.channels)[channel] for each in (self.foreign.mean, self.foreign.std)
            )
            pixels[:, channel] = (pixels[:, channel] - mean) / std
        pixels = np.rint(pixels) if dtype.kind in "iu" else pixels
        return np.ascontiguousarray(np.moveaxis(pixels, 1, -1) if self.shape.channel_last else pixels).astype(
            dtype
        )

    def _read(
        self, port: Port, values: np.ndarray, sides: Sequence[int], names: Sequence[str]
    ) -> list[Found]:
        """An output as planes, if it can be that."""
        dims = values.shape
        counts = {len(names)} if self.foreign.background is not None else {len(names), len(names) + 1}
        if (
            values.dtype.kind not in "iufb"
            or not dims
            or dims[0] != 1
            or self.foreign.output not in (None, port.name)
        ):
            return []
        whole = values.dtype.kind in "iub"
        if len(dims) == self.ndim + 1 and _ratio(dims[1:], sides):
            return [Found(port, len(names) + 1, False, dims[1:] == tuple(sides), "map")]
        if len(dims) != self.ndim + 2:
            return []
        found = []
        for last in (False, True):
            count, inner = (dims[-1], dims[1:-1]) if last else (dims[1], dims[2:])
            if not _ratio(inner, sides):
                continue
            if count == 1 and whole:
                found.append(Found(port, len(names) + 1, last, inner == tuple(sides), "map"))
            elif count in counts:
                kind = _activation(values, -1 if last else 1)
                found.append(Found(port, count, last, inner == tuple(sides), kind))
        return found[:1]

    def _chosen(
        self, found: list[Found], ports: Sequence[Port], names: Sequence[str], multiple: int
    ) -> tuple[Found, Port, Shape]:
        gave = (
            f"the graph gave {', '.join(map(str, ports))} for an image of {' x '.join(map(str, self.sides))}"
        )
        if not found:
            raise InputError(
                f"{gave}, which is neither a map nor {len(names)} planes (or one more, for the background); "
                "give as many --classes as it has planes, or the --output that has them"
            )
        if len(found) > 1:
            raise InputError(f"{gave}; several of them can be planes of {len(names)} classes: give --output")
        one = found[0]
        activation = self.foreign.activation or one.activation
        if (activation == "map") != (one.activation == "map"):
            raise InputError(f"{gave}, which is {one.activation}; --activation {activation} does not fit it")
        one = replace(one, activation=activation)
        alone = activation.startswith("sigmoid")
        if one.planes == 1 and not alone:
            raise InputError(
                f"{gave}; one plane alone is {ACTIVATIONS[2]} or {ACTIVATIONS[3]}, not {activation}"
            )
        extra = one.planes > len(names)
        if alone and extra:
            raise InputError(
                f"{gave}; planes that are each for themselves have no background: name all in --classes"
            )
        order = list(range(one.planes))
        background = self.foreign.background
        if background is not None and not extra:
            place = list(names).index(background)
            order = [place, *(each for each in order if each != place)]
        elif activation == "map" and background is not None:  # its numbers are those of the names
            place = list(names).index(background)
            order = [place, *(each for each in range(len(names)) if each != place)]
        shape = replace(
            self.shape,
            multiple=multiple,
            class_last=one.class_last,
            activation=activation,
            order=tuple(order),
            zero_first=alone,
            fits=one.fits,
        )
        return one, one.port, shape


def _ratio(inner: Sequence[int], sides: Sequence[int]) -> bool:
    """Whether planes cover the image: the same whole number of its pixels to one of theirs, along each axis."""
    ratios = {own / one if one else 0.0 for own, one in zip(sides, inner, strict=True)}
    return len(ratios) == 1 and (min(ratios) >= 1 and min(ratios) == int(min(ratios)))


def _activation(values: np.ndarray, axis: int) -> Activation:
    """What numbers look like: shares that sum to 1, shares, or any."""
    low, high = float(values.min()), float(values.max())
    if low < -1e-4 or high > 1 + 1e-4:
        return "sigmoid-logits" if values.shape[axis] == 1 else "logits"
    if values.shape[axis] > 1 and np.allclose(values.sum(axis), 1, atol=1e-2):
        return "probabilities"
    return "sigmoid-probabilities"


def for_each(values: Sequence[float], count: int) -> list[float]:
    """One number for each of ``count`` channels, where one for all of them may be given."""
    return list(values) * count if len(values) == 1 else list(values)


def numpy_name(name: str) -> str:
    """The numpy dtype of a kind of pixels or numbers by name; those that numpy has not are of 32 bits."""
    return {"float": "float32", "bfloat16": "float32"}.get(name, name)
