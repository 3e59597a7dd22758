"""Networks that others exported to ONNX, made bundles of: what goes in and comes out is found by trying."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError, unknown_name
from ..image import default_channels
from ..io.bundle import Bundle
from ..postprocess.planes import Planes
from ..postprocess.targets import BACKGROUND, Targets, Task
from ..values import KINDS, ImageKind, Values
from . import telemetry
from .adapting import Activation, Shape, adapted, modern
from .engines import DEFAULT, NETWORK, OnnxRuntime
from .graph import GraphSummary, Port, check_graph
from .messages import shown
from .preparation import Fixed, Preparation

METHOD = "onnx"
"""What the manifest of an imported network calls its method."""

Layout = Literal["channels-first", "channels-last"]
LAYOUTS: tuple[Layout, ...] = ("channels-first", "channels-last")
ACTIVATIONS: tuple[Activation, ...] = (
    "logits",
    "probabilities",
    "sigmoid-logits",
    "sigmoid-probabilities",
    "map",
)

TILE_PX = {2: (1024, 1024), 3: (128, 128, 128)}
HALO_PX = {2: (128, 128), 3: (32, 32, 32)}
"""Tiles of large images and what is seen around them: how far such a network sees is not known."""

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


def import_onnx(content: bytes, foreign: Foreign, report: dict[str, Any] | None = None) -> Bundle:
    """A bundle of an ONNX graph that has no manifest, tried on a random image.

    Raises ``ReadError`` for a graph that is refused or cannot be run, and ``InputError`` that says what was found
    and which option tells what is missing.
    """
    import onnx

    summary = check_graph(content)
    names = list(foreign.classes.names if isinstance(foreign.classes, ClassSet) else foreign.classes)
    if foreign.background is None and BACKGROUND in names:
        foreign = replace(foreign, background=BACKGROUND)
    _check(foreign, names)
    model = modern(onnx.ModelProto.FromString(content))
    content = model.SerializeToString()
    check_graph(content)
    given, shape = _input(summary, foreign)
    tried = _Trial(content, given, foreign, shape)
    found, wanted, shape = tried.outcome(names)
    network = adapted(model, given, wanted, shape)
    targets, classes = _targets(foreign, names, found)
    _check_adapted(network, tried.sides, shape, len(targets))
    channels = tuple(foreign.channels or default_channels(shape.channels))
    whole = 1.0 if np.dtype(_dtype(foreign.pixels)).kind != "u" else float(np.iinfo(foreign.pixels).max)
    normalization = Fixed(
        mean=tuple(value / (whole * foreign.scale) for value in _each(foreign.mean, shape.channels)),
        std=tuple(value / (whole * foreign.scale) for value in _each(foreign.std, shape.channels)),
    )
    values = Values((foreign.pixels,), 1.0 if whole > 1 else 0.0)
    manifest = {
        "method": METHOD,
        "task": foreign.task,
        "classes": classes.described(),
        "kind": ImageKind(tried.ndim, channels, values).described(),
        "channels": list(channels),
        "planes": Planes(targets, tried.ndim).described(),
        "preparation": Preparation(normalization=normalization, size=shape.size).described(),
        "decoding": None,
        "factors": [1.0] * len(targets),
        "tiling": {
            "tile_px": list(shape.size or TILE_PX[tried.ndim]),
            "halo_px": [0] * tried.ndim if shape.size else list(HALO_PX[tried.ndim]),
        },
        "flips": [],
        "activated": False,
        "runtime": DEFAULT,
        "report": {
            "parameters": summary.parameters,
            "input": str(given),
            "output": f"{wanted}: {found.activation}",
            "size": list(shape.size) if shape.size else "any",
            **(report or {}),
        },
    }
    return Bundle(manifest, files={NETWORK: network}, card=_card(manifest))


def _check(foreign: Foreign, names: Sequence[str]) -> None:
    numbers = [*foreign.mean, *foreign.std, foreign.scale]
    if not foreign.mean or not foreign.std or not all(math.isfinite(each) for each in numbers):
        raise InputError("mean and std are finite numbers, one or one for each channel")
    if min(foreign.std) <= 0 or foreign.scale <= 0:
        raise InputError(f"std and scale are above 0, got {list(foreign.std)} and {foreign.scale}")
    if not names:
        raise InputError("a network tells at least one class; name those of its planes with --classes")
    if foreign.pixels not in KINDS:
        raise unknown_name("kind of pixels", foreign.pixels, KINDS)
    if foreign.background is not None and foreign.background not in names:
        raise InputError(f"the background {foreign.background!r} is none of the classes {', '.join(names)}")
    if list(names) == [foreign.background]:
        raise InputError("the background is the only class; name what else the network tells")


def _input(summary: GraphSummary, foreign: Foreign) -> tuple[Port, Shape]:
    """The input for the image, and what its dims say."""
    if len(summary.inputs) != 1:
        raise InputError(
            f"the graph takes {len(summary.inputs)} inputs ({', '.join(map(str, summary.inputs)) or 'none'}); one that "
            "takes an image alone is wanted, so export it with the others fixed"
        )
    given = summary.inputs[0]
    dims = given.dims
    if dims is None or len(dims) not in (4, 5) or np.dtype(_dtype(given.dtype)).kind not in "iuf":
        raise InputError(
            f"the graph takes {given}; wanted numbers of 4 axes (batch, channels, height, width) or of 5 for volumes"
        )
    if isinstance(dims[0], int) and dims[0] != 1:
        raise InputError(
            f"the graph takes batches of {dims[0]} images only; export it for batches of 1 or any"
        )
    known = max(len(foreign.mean), len(foreign.std), len(foreign.channels or ()))
    layout = foreign.layout or _layout(given, dims, known)
    place = 1 if layout == "channels-first" else len(dims) - 1
    length = dims[place]
    count = length if isinstance(length, int) else known
    for what, each in (("mean", foreign.mean), ("std", foreign.std), ("channels", foreign.channels)):
        if each is not None and len(each) not in ((1, count) if what != "channels" else (count,)):
            raise InputError(
                f"the graph takes {given}, {layout}, so {count} channels; {what} are {len(each)}: give as many, or "
                "another --layout"
            )
    sides = dims[2:] if place == 1 else dims[1:-1]
    return given, Shape(
        count, place != 1, _size(given, sides, foreign.size), 1, False, "logits", (), False, True
    )


def _layout(given: Port, dims: tuple[int | str | None, ...], known: int) -> Layout:
    """Where the channels are: at the only place whose length can be that of channels."""
    lengths = dims[1], dims[-1]
    fits = [length == known if known > 1 else length in (1, 2, 3, 4) for length in lengths]
    if not any(fits):
        fits = [not isinstance(length, int) or length == known for length in lengths]
    if fits[0] == fits[1]:
        raise InputError(
            f"the graph takes {given}; it cannot be told where its channels are, so give --layout, one of "
            f"{', '.join(LAYOUTS)}"
            + ("" if any(fits) else ", and as many numbers of --mean and --std as channels")
        )
    return LAYOUTS[fits.index(True)]


def _size(given: Port, sides: Sequence[Any], said: Sequence[int] | None) -> tuple[int, ...] | None:
    fixed = [side if isinstance(side, int) else None for side in sides]
    if said is not None:
        if len(said) != len(sides) or min(said) < 1:
            raise InputError(f"the graph takes {given}; --size has {len(sides)} numbers, got {list(said)}")
        if any(own not in (None, one) for own, one in zip(fixed, said, strict=True)):
            raise InputError(f"the graph takes {given}, which --size {list(said)} does not fit; leave it out")
        return tuple(said)
    if None not in fixed:
        return tuple(side for side in fixed if side is not None)
    if any(fixed):
        raise InputError(f"the graph takes {given}, of which some sides are fixed; give --size")
    return None


@dataclass(frozen=True)
class _Found:
    """An output that may be the planes: how many there are, where, how they compare with the image, what they are."""

    port: Port
    planes: int
    class_last: bool
    fits: bool
    activation: Activation


class _Trial:
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

    def outcome(self, names: Sequence[str]) -> tuple[_Found, Port, Shape]:
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
        dtype = np.dtype(_dtype(self.given.dtype))
        pixels = (
            rng.integers(0, 256, (1, self.shape.channels, *sides)).astype(np.float32) * self.foreign.scale
        )
        for channel in range(self.shape.channels):
            mean, std = (
                _each(each, self.shape.channels)[channel] for each in (self.foreign.mean, self.foreign.std)
            )
            pixels[:, channel] = (pixels[:, channel] - mean) / std
        pixels = np.rint(pixels) if dtype.kind in "iu" else pixels
        return np.ascontiguousarray(np.moveaxis(pixels, 1, -1) if self.shape.channel_last else pixels).astype(
            dtype
        )

    def _read(
        self, port: Port, values: np.ndarray, sides: Sequence[int], names: Sequence[str]
    ) -> list[_Found]:
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
            return [_Found(port, len(names) + 1, False, dims[1:] == tuple(sides), "map")]
        if len(dims) != self.ndim + 2:
            return []
        found = []
        for last in (False, True):
            count, inner = (dims[-1], dims[1:-1]) if last else (dims[1], dims[2:])
            if not _ratio(inner, sides):
                continue
            if count == 1 and whole:
                found.append(_Found(port, len(names) + 1, last, inner == tuple(sides), "map"))
            elif count in counts:
                kind = _activation(values, -1 if last else 1)
                found.append(_Found(port, count, last, inner == tuple(sides), kind))
        return found[:1]

    def _chosen(
        self, found: list[_Found], ports: Sequence[Port], names: Sequence[str], multiple: int
    ) -> tuple[_Found, Port, Shape]:
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


def _targets(foreign: Foreign, names: Sequence[str], found: _Found) -> tuple[Targets, ClassSet]:
    """What the planes are of, the background first; classes have the ids 1, 2, ... where they are names alone."""
    kept = [name for name in names if name != foreign.background]
    if isinstance(foreign.classes, ClassSet):
        classes = ClassSet([each for each in foreign.classes if each.name != foreign.background])
    else:
        classes = ClassSet.from_names(kept)
    outside = (
        foreign.background is not None or found.planes > len(names) or found.activation.startswith("sigmoid")
    )
    label = foreign.background or BACKGROUND
    while outside and label in kept:
        label += " (no class)"
    head = ([label], [0]) if outside else ([], [])
    ids = [classes.named(name).id for name in kept]
    return Targets((*head[0], *kept), (*head[1], *ids)), classes


def _check_adapted(network: bytes, sides: Sequence[int], shape: Shape, planes: int) -> None:
    """Raise ``ReadError`` unless what was made runs and gives what it should."""
    size = shape.size or tuple(side + 1 for side in sides)
    batch = np.zeros((1, shape.channels, *size), np.float32)
    gave = OnnxRuntime.load({NETWORK: network}).run(batch).shape
    if gave != (1, planes, *size):
        raise ReadError(
            f"the graph gave {gave} for an image of {size}, wanted {(1, planes, *size)}; it is refused"
        )


def _each(values: Sequence[float], count: int) -> list[float]:
    return list(values) * count if len(values) == 1 else list(values)


def _dtype(name: str) -> str:
    return {"float": "float32", "bfloat16": "float32"}.get(name, name)


def _card(manifest: dict[str, Any]) -> str:
    """The page of the bundle that a person reads."""
    report = manifest["report"]
    names = ", ".join(manifest["planes"]["targets"]["names"])
    lines = [
        "# An imported network",
        "",
        f"Task: {manifest['task']}. Planes: {names}.",
        f"Channels: {', '.join(manifest['channels'])}; {manifest['kind']['ndim']} axes; size: {report['size']}.",
        "",
        f"Made from an ONNX graph of {report['parameters']} parameters that took {report['input']} "
        f"and gave {report['output']}.",
        "",
        "Nothing is known of how well it does or what it learned from. Score it with `smalti evaluate`.",
    ]
    return "\n".join(lines) + "\n"
