"""A fitted network as one plain ONNX file that other programs run: pixels in, masks out, and told what it is.

Letters: B images, C channels, K targets, P planes, *S spatial axes, N objects.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from .. import __version__
from ..errors import InputError, ReadError, unknown_name
from ..image import Image
from ..postprocess.centers import CenterDecoding
from ..values import KINDS
from . import telemetry
from .engines import PLANES
from .export import AXES, CLASS_MAP, INPUT, OPSET
from .fitted import FittedNetwork
from .graph import OWN
from .messages import shown
from .nodes import TYPES, Nodes, Value
from .plain_image import LINEAR, prepared, resamples, sizes_of
from .plain_objects import objects_of
from .preparation import unit

OBJECTS, OBJECT_CLASSES, OBJECT_SCORES = "objects", "object_classes", "object_scores"

NAMESPACE = "smalti."
"""What the keys of the file's metadata begin with."""


@dataclass(frozen=True)
class Plain:
    """The bytes of the file, and the names of what it gives."""

    graph: bytes
    outputs: tuple[str, ...]


def plain_onnx(network: FittedNetwork, pixels: str | None = None) -> Plain:
    """The network with what is before and after it, as ONNX without operators of anybody's own.

    It takes ``image`` (B, C, *S) float32: pixels in the numbers of ``pixels``, one of ``values.KINDS``, 0 to 255 for
    uint8; by default those that were learned from. Normalisation is inside, by each image's own numbers where that is
    the way, as is resampling by a factor or to a fixed size, mirrored views, and the mean of several networks. It gives

    * ``planes`` (B, P, *S) float32, as ``Planes.activated`` has them;
    * ``class_map`` (B, *S) int32, class ids, 0 is none. By itself the class of the largest probability times its
      factor; with objects that of the object, in its place for a panoptic network the most probable of the rest;
    * where objects are found by centres ``objects`` (B, *S) int32, numbers from 1 that run on through the batch, and
      ``object_classes`` (N,) int32 and ``object_scores`` (N,) float32 of them.

    What the bundle says beyond that is in the metadata, under ``smalti.*`` as JSON. The watershed that parts objects by
    their borders is not inside. Images are taken to be at the spacing of the preparation, if it has one. Raises
    ``InputError`` for pixels of no such kind and for what ONNX cannot say, ``ReadError`` for a foreign network of
    operators that cannot be brought to operator set 18.
    """
    import onnx
    from onnx import helper

    pixels = pixels or next(iter(network.kind.values.kinds), "uint8")
    if pixels not in KINDS:
        raise unknown_name("kind of pixels", pixels, KINDS)
    graph = Nodes("smalti_")
    constants: list[Any] = []
    domains: dict[str, int] = {"": OPSET}
    functions: list[Any] = []
    image = graph.value(INPUT)
    seen = prepared(graph, image, network, pixels)
    planes: Value | None = None
    for number, name in enumerate(network.networks):
        model = _modern(onnx.load_model_from_string(network.parts[name]))
        found = _views(graph, model, seen, network, f"network{number + 1}_", constants)
        planes = found if planes is None else planes + found
        functions += model.functions
        domains |= {each.domain: each.version for each in model.opset_import if each.domain not in OWN}
    assert planes is not None
    if len(network.networks) > 1:
        planes = planes / np.float32(len(network.networks))
    if resamples(network):
        planes = graph.add("Resize", planes, None, None, sizes_of(graph, planes, image), **LINEAR)
    outputs = {PLANES: (planes, "float32", _shape(network, len(network.planes)))}
    outputs |= _answers(graph, planes, network)
    for name, (value, _, _) in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [value.name], [name]))
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "smalti",
            [helper.make_tensor_value_info(INPUT, TYPES["float32"], _shape(network, len(network.channels)))],
            [
                helper.make_tensor_value_info(name, TYPES[kind], dims)
                for name, (_, kind, dims) in outputs.items()
            ],
            constants,
        ),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in domains.items()],
        functions=functions,
        ir_version=9,
        producer_name="smalti",
        producer_version=__version__,
    )
    helper.set_model_props(made, _told(network, pixels, tuple(outputs)))
    onnx.checker.check_model(made)
    return Plain(made.SerializeToString(), tuple(outputs))


def agreement_of(plain: Plain, network: FittedNetwork, images: Sequence[Image]) -> float:
    """The least share of pixels of an image whose class is the same by the plain file, run by ONNX Runtime alone, and
    by the network's bundle. Floating point decides the others: sums in another order."""
    runtime = telemetry.onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(plain.graph, options, providers=["CPUExecutionProvider"])
    least = 1.0
    for image in images:
        taken = network.kind.taken(image)
        given = np.moveaxis(taken.pixels, -1, 0)[np.newaxis].astype(np.float32)
        (found,) = session.run([CLASS_MAP], {INPUT: given})
        if OBJECTS in plain.outputs or network.task == "semantic":
            wanted = network.predict(image).semantic_map()
        else:
            wanted = _most_probable(network, network.predict_planes(image))
        least = min(least, float((found[0] == wanted).mean()))
    return least


def _most_probable(network: FittedNetwork, planes: np.ndarray) -> np.ndarray:
    ids = np.array(network.targets.class_ids)
    kept = np.flatnonzero(ids >= 0)
    weights = network.factors[kept].astype(np.float32).reshape(-1, *[1] * network.planes.ndim)
    return ids[kept][(planes[kept] * weights).argmax(0)]


def _shape(network: FittedNetwork, channels: int) -> list[int | str]:
    return ["batch", channels, *AXES[-network.planes.ndim :]]


def _modern(model: Any) -> Any:
    """The network with the operators of ``OPSET``."""
    from onnx import version_converter

    if max(each.version for each in model.opset_import if each.domain in OWN) == OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # its own kinds
        raise ReadError(
            f"the network's operators cannot be brought to ONNX operator set {OPSET} ({shown(error)}); "
            "export it anew with that"
        ) from error


def _views(
    graph: Nodes, model: Any, image: Value, network: FittedNetwork, prefix: str, constants: list[Any]
) -> Value:
    """Activated planes, the mean over mirrored views: these are run as one batch."""
    flips = network.flips
    views = [axes for count in range(len(flips) + 1) for axes in combinations(flips, count)]
    if len(views) > 1:
        if model.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
            raise InputError(
                "the network takes one image at a time, so its mirrored views cannot be run in one file"
            )
        image = graph.add("Concat", *(_mirrored(graph, image, axes) for axes in views), axis=0)
    planes = _inlined(graph, model, image, prefix, constants)
    if not network.activated:
        planes = _activated(graph, planes, network)
    if len(views) == 1:
        return planes
    parts = graph.add("Split", planes, axis=0, outputs=len(views), num_outputs=len(views))
    total: Value | None = None
    for axes, part in zip(views, parts, strict=True):
        back = _mirrored(graph, part, axes)
        if network.planes.offsets is not None and axes:  # they point the other way
            signs = np.ones(len(network.planes), np.float32)
            signs[[network.planes.offsets.start + axis for axis in axes]] = -1
            back = back * signs.reshape(1, -1, *[1] * network.planes.ndim)
        total = back if total is None else total + back
    assert total is not None
    return total / np.float32(len(views))


def _mirrored(graph: Nodes, values: Value, axes: tuple[int, ...]) -> Value:
    for axis in axes:
        values = values.part(-1, -(2**31), axis + 2, -1)
    return values


def _inlined(graph: Nodes, model: Any, image: Value, prefix: str, constants: list[Any]) -> Value:
    """The operators of a network that its planes need, under names of their own."""
    from onnx import compose, helper

    outputs = [each.name for each in model.graph.output]
    wanted = PLANES if PLANES in outputs else outputs[0]
    own = compose.add_prefix(model, prefix)
    held = {each.name for each in own.graph.initializer}
    (given,) = [each.name for each in own.graph.input if each.name not in held]
    needed, kept = {prefix + wanted}, []
    for node in reversed(own.graph.node):
        inside = any(each.HasField("g") or each.graphs for each in node.attribute)
        if inside or needed & set(node.output):
            kept.append(node)
            needed |= set(node.input) | (held if inside else set())
    graph.nodes.append(helper.make_node("Identity", [image.name], [given]))
    graph.nodes.extend(reversed(kept))
    constants.extend(each for each in own.graph.initializer if each.name in needed)
    return graph.value(prefix + wanted)


def _activated(graph: Nodes, planes: Value, network: FittedNetwork) -> Value:
    """As ``Planes.activated`` does."""
    kinds = network.planes
    parts = [graph.add("Softmax", planes.part(0, len(kinds.targets), 1), axis=1)]
    if kinds.heat is not None and kinds.offsets is not None:
        parts.append(graph.add("Sigmoid", planes.part(kinds.heat, kinds.heat + 1, 1)))
        offsets = planes.part(kinds.offsets.start, kinds.offsets.stop, 1)
        parts.append(offsets * np.float32(kinds.offset_unit_px))
    if kinds.distance_at is not None:
        parts.append(graph.add("Sigmoid", planes.part(kinds.distance_at, kinds.distance_at + 1, 1)))
    return graph.add("Concat", *parts, axis=1)


def _answers(graph: Nodes, planes: Value, network: FittedNetwork) -> dict[str, tuple[Value, str, list]]:
    """The class map and, where they are found by centres, the objects: name to value, kind and dims."""
    ids = np.array(network.targets.class_ids)
    kept = np.flatnonzero(ids >= 0)
    dims = [each for axis, each in enumerate(_shape(network, 0)) if axis != 1]
    by_centers = network.planes.centers and isinstance(network.decoding or CenterDecoding(), CenterDecoding)
    if network.task == "semantic" or not by_centers:
        told = planes.take(kept, axis=1)
        weights = network.factors[kept].astype(np.float32)
        told = told * weights.reshape(1, -1, *[1] * network.planes.ndim)
        return {CLASS_MAP: (_winning(graph, told, ids[kept], 1), "int32", dims)}
    things = [each for each in kept if ids[each] > 0 and _thing(network, int(ids[each]))]
    rest = [each for each in kept if each not in things]
    if not things:
        raise InputError("the network finds objects by centres, and none of its classes is of objects")
    lengths = _lengths(network)
    decoding = network.decoding if isinstance(network.decoding, CenterDecoding) else CenterDecoding()
    heat, offsets = network.planes.heat, network.planes.offsets
    assert heat is not None and offsets is not None

    def one(inside: Nodes, number: Value, values: list[Value]) -> tuple[None, list[Value], list]:
        count, classes, scores = values
        own = planes.within(inside).take(number)  # P, *S
        outside = own.take(np.array(rest)).reduced("Sum", 0) if rest else None
        every = own.take(np.array(0, np.int64)) * np.float32(0) + np.float32(1)
        found, of_found, sure = objects_of(
            inside,
            own.take(np.array(things)),
            every if outside is None else every - outside,
            own.take(np.array(heat)),
            own.part(offsets.start, offsets.stop),
            ids[things],
            decoding,
            lengths,
        )
        told = inside.add("Concat", np.array([0], np.int32), of_found, axis=0).take(found)
        others = [each for each in rest if ids[each] > 0]
        if others:
            around = _winning(inside, own.take(np.array(rest)), ids[rest], 0)
            told = (found > np.int32(0)).where(told, around)
        numbered = (found > np.int32(0)).where(found + count, np.int32(0))
        many = of_found.size().reshape().to("int32")
        joined = (inside.add("Concat", *pair, axis=0) for pair in ((classes, of_found), (scores, sure)))
        return None, [count + many, *joined], [(numbered, "int32"), (told, "int32")]

    batch = planes.shape(0, 1).reshape()
    start = [
        (graph.constant(np.int32(0)), "int32"),
        (graph.constant(np.zeros(0, np.int32)), "int32"),
        (graph.constant(np.zeros(0, np.float32)), "float32"),
    ]

    _, classes, scores, found, told = graph.loop(batch, start, one)
    return {
        CLASS_MAP: (told, "int32", dims),
        OBJECTS: (found, "int32", dims),
        OBJECT_CLASSES: (classes, "int32", ["objects"]),
        OBJECT_SCORES: (scores, "float32", ["objects"]),
    }


def _thing(network: FittedNetwork, class_id: int) -> bool:
    """Whether a class is of objects: of an instance network all are."""
    return network.task == "instance" or network.classes.of(class_id).thing


def _winning(graph: Nodes, planes: Value, ids: np.ndarray, axis: int) -> Value:
    best = graph.add("ArgMax", planes, axis=axis, keepdims=0)
    return graph.constant(ids.astype(np.int32)).take(best)


def _lengths(network: FittedNetwork) -> np.ndarray:
    spacing = network.preparation.spacing
    if spacing is None:
        return np.ones(network.planes.ndim)
    return np.array(spacing) / min(spacing)


def _told(network: FittedNetwork, pixels: str, outputs: Sequence[str]) -> dict[str, str]:
    """What the file says of itself."""
    step = 1.0 if pixels == "float" else unit(np.dtype(pixels))
    told = {
        "version": __version__,
        "task": network.task,
        "classes": network.classes.described(),
        "channels": list(network.channels),
        "pixels": {"kind": pixels, "step": step},
        "preparation": network.preparation.described(),
        "planes": list(network.planes.names),
        "outputs": list(outputs),
        "factors": [float(value) for value in network.factors],
        "decoding": None if network.decoding is None else network.decoding.describe(),
        "card": network.to_bundle().card,
    }
    return {
        NAMESPACE + key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()
    }
