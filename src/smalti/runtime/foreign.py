"""Networks that others exported to ONNX, made bundles of: what goes in and comes out is found by trying."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError, unknown_name
from ..image import default_channels
from ..io.bundle import Bundle
from ..postprocess.planes import Planes
from ..postprocess.targets import BACKGROUND, Targets
from ..values import KINDS, ImageKind, Values
from .adapting import Shape, adapted, modern
from .engines import DEFAULT, NETWORK, OnnxRuntime
from .graph import GraphSummary, Port, check_graph
from .preparation import Fixed, Preparation
from .trial import LAYOUTS, Foreign, Found, Layout, Trial, for_each, numpy_name

METHOD = "onnx"
"""What the manifest of an imported network calls its method."""

TILE_PX = {2: (1024, 1024), 3: (128, 128, 128)}
HALO_PX = {2: (128, 128), 3: (32, 32, 32)}
"""Tiles of large images and what is seen around them: how far such a network sees is not known."""


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
    tried = Trial(content, given, foreign, shape)
    found, wanted, shape = tried.outcome(names)
    network = adapted(model, given, wanted, shape)
    targets, classes = _targets(foreign, names, found)
    _check_adapted(network, tried.sides, shape, len(targets))
    channels = tuple(foreign.channels or default_channels(shape.channels))
    whole = 1.0 if np.dtype(numpy_name(foreign.pixels)).kind != "u" else float(np.iinfo(foreign.pixels).max)
    normalization = Fixed(
        mean=tuple(value / (whole * foreign.scale) for value in for_each(foreign.mean, shape.channels)),
        std=tuple(value / (whole * foreign.scale) for value in for_each(foreign.std, shape.channels)),
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
    if dims is None or len(dims) not in (4, 5) or np.dtype(numpy_name(given.dtype)).kind not in "iuf":
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


def _targets(foreign: Foreign, names: Sequence[str], found: Found) -> tuple[Targets, ClassSet]:
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
