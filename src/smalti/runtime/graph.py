"""What an ONNX graph from a stranger may hold, checked before any runtime sees it.

A graph runs no code of its own, but the libraries that load one read files that it names, run loops as long as it
says and take the memory that it asks for. What is left out here is what segmentation does not need: files beside the
graph, loops, text, operators of others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import Any

import numpy as np

from ..errors import ReadError
from .messages import messages, shown
from .sizes import MAKERS, check_sizes

MAX_BYTES = 1_000_000_000
"""Most bytes of a graph; those of networks for segmentation have up to some hundred million."""

MAX_NODES = 100_000
"""Most operators, once every function is written out where it is called; the largest of our own has some hundred."""

MAX_NESTING = 4
"""Most graphs inside each other, which the branches of If are: exporters write one or two."""

OWN = ("", "ai.onnx")
"""Domains of the operators of ONNX itself."""

REFUSED = {
    "Loop": "it may run without end",
    "Scan": "it may run without end",
    "SequenceMap": "it is a loop",
    "RegexFullMatch": "it is about text",
    "StringConcat": "it is about text",
    "StringNormalizer": "it is about text",
    "StringSplit": "it is about text",
    "TfIdfVectorizer": "it is about text",
    "ImageDecoder": "it reads image files",
}
"""Operators of ONNX itself that are refused, and why.

How often Loop and Scan run is not known before they do, so nothing here could tell one that is done in a moment from
one that hangs; networks of convolutions and attention have none. If runs one of two branches once and is taken.
"""

CONTRIB = "com.microsoft"
TAKEN = frozenset(
    {
        *("QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearGlobalAveragePool"),
        *(
            "QLinearLeakyRelu",
            "QLinearMul",
            "QLinearReduceMean",
            "QLinearSigmoid",
            "QLinearSoftmax",
            "QLinearWhere",
        ),
        *(
            "QuantizeLinear",
            "DequantizeLinear",
            "DynamicQuantizeMatMul",
            "MatMulInteger16",
            "MatMulIntegerToFloat",
        ),
        *("MatMulNBits", "QAttention", "FusedConv", "FusedMatMul", "SkipLayerNormalization"),
        *("BiasGelu", "FastGelu", "Gelu", "QuickGelu"),
    }
)
"""Operators of ONNX Runtime that its quantiser and optimiser write; others, such as EPContext, read files."""

# Bits of a number of each TensorProto.DataType; text (8) and what is not listed are refused.
_BITS = {
    1: 32,
    2: 8,
    3: 8,
    4: 16,
    5: 16,
    6: 32,
    7: 64,
    9: 8,
    10: 16,
    11: 64,
    12: 32,
    13: 64,
    14: 64,
    15: 128,
    16: 16,
}
_BITS |= {17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2}
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its numpy ``dtype`` by name, and its ``dims``.

    A dim is a number, a name (any size, the same wherever the name is) or None (any size). ``dims`` is None where the
    graph does not even say how many there are.
    """

    name: str
    dtype: str
    dims: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        dims = (
            "any shape"
            if self.dims is None
            else " x ".join("?" if one is None else str(one) for one in self.dims)
        )
        return f"{shown(self.name)} ({shown(dims)} {self.dtype})"


@dataclass(frozen=True)
class GraphSummary:
    """What a graph takes, gives and is made of. ``parameters`` are the numbers in it, ``ops`` how many of each kind."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opset: int
    parameters: int
    ops: Mapping[str, int]
    bytes: int


def check_graph(content: bytes) -> GraphSummary:
    """What the ONNX graph in ``content`` is, once it is known to be harmless and well formed.

    Raises ``ReadError`` with one line for: more than ``MAX_BYTES``, what is no ONNX or cut short, tensors whose
    numbers lie in other files or do not fill their shape, operators of other makers, loops, more than ``MAX_NODES``
    operators with functions written out, graphs nested deeper than ``MAX_NESTING``, tensors that would be larger than
    ``sizes.MAX_ELEMENTS`` as far as can be told before it runs and what makes them where it cannot, and what
    ``onnx.checker`` finds wrong.
    """
    import onnx
    from google.protobuf.message import DecodeError

    if len(content) > MAX_BYTES:
        raise ReadError(f"the ONNX graph has {len(content)} bytes, more than {MAX_BYTES}; it is refused")
    try:
        model = onnx.ModelProto.FromString(content)
    except (DecodeError, ValueError, RecursionError) as error:
        raise ReadError(
            "this is no ONNX graph, is cut short, or is nested too deep; get the file anew"
        ) from error
    if not model.graph.node:
        raise ReadError("the ONNX graph is empty, cut short, or no ONNX; get the file anew")
    functions = {(each.domain, each.name): each for each in model.functions}
    ops: Counter[str] = Counter()
    parameters = 0
    for message, depth in messages(model):
        if depth > MAX_NESTING:
            raise ReadError(
                f"the ONNX graph holds graphs inside each other deeper than {MAX_NESTING}; it is refused"
            )
        if isinstance(message, onnx.TensorProto):
            parameters += _count(message)
        elif isinstance(message, onnx.NodeProto):
            _check_operator(message, functions)
            if (
                depth and message.op_type in MAKERS
            ):  # what shape inference would say of it is not told outside
                raise ReadError(
                    f"the ONNX graph has the operator {message.op_type} in a branch of If, where its size cannot be "
                    "told before it runs; it is refused"
                )
            ops[message.op_type] += 1
    _check_functions(model.graph, functions)
    try:
        onnx.checker.check_model(content)
    except Exception as error:  # its own kinds, and whatever else its C++ raises
        raise ReadError(f"the ONNX graph is not valid: {shown(error)}") from error
    summary = _summary(model, parameters, ops, len(content))
    check_sizes(model)  # last, as it takes the model apart
    return summary


def _count(tensor: Any) -> int:
    """How many numbers a tensor holds. Raises ``ReadError`` unless they are all in it."""
    what = f"tensor {shown(tensor.name) or 'without name'} of the ONNX graph"
    if tensor.data_location or tensor.external_data:
        raise ReadError(
            f"{what} lies in another file, which is not read; save the model with its weights inside "
            "(onnx.save with save_as_external_data=False)"
        )
    bits = _BITS.get(tensor.data_type)
    if bits is None or tensor.string_data or tensor.HasField("segment"):
        raise ReadError(f"{what} holds no whole array of numbers; it is refused")
    if any(length < 0 for length in tensor.dims):
        raise ReadError(f"{what} has the shape {list(tensor.dims)}; it is damaged")
    count = prod(tensor.dims)
    if tensor.HasField("raw_data"):
        held, wanted = len(tensor.raw_data), (count * bits + 7) // 8
        if held != wanted:
            raise ReadError(
                f"{what} has {held} bytes, its shape {list(tensor.dims)} needs {wanted}; it is damaged"
            )
        return count
    held = sum(len(getattr(tensor, field)) for field in _FIELDS)
    if tensor.data_type in (14, 15):  # complex numbers are pairs
        wanted = 2 * count
    else:  # those of less than a byte are packed into one
        wanted = -(-count * bits // 8) if bits < 8 else count
    if held != wanted:
        raise ReadError(
            f"{what} has {held} numbers, its shape {list(tensor.dims)} needs {wanted}; it is damaged"
        )
    return count


def _check_operator(node: Any, functions: Mapping[tuple[str, str], Any]) -> None:
    if (node.domain, node.op_type) in functions:
        return
    if node.domain in OWN:
        if node.op_type in REFUSED:
            raise ReadError(
                f"the ONNX graph has the operator {node.op_type}, which is not run: {REFUSED[node.op_type]}"
            )
    elif node.domain != CONTRIB or node.op_type not in TAKEN:
        raise ReadError(
            f"the ONNX graph has the operator {shown(node.domain)}.{shown(node.op_type)}, which is neither of ONNX "
            "itself nor of those that ONNX Runtime's quantiser writes; export it without"
        )


def _check_functions(graph: Any, functions: Mapping[tuple[str, str], Any]) -> None:
    """Raise ``ReadError`` where functions call each other in a circle or written out are too many operators."""
    calls, written = {}, {}
    for key, body in [*functions.items(), (None, graph)]:
        nodes = [
            (each.domain, each.op_type) for each, _ in messages(body) if type(each).__name__ == "NodeProto"
        ]
        calls[key] = Counter(name for name in nodes if name in functions)
        written[key] = len(nodes)
    try:
        for key in TopologicalSorter(calls).static_order():
            written[key] += sum(times * written[name] for name, times in calls[key].items())
    except CycleError:
        raise ReadError("functions of the ONNX graph call each other in a circle; it is refused") from None
    if max(written.values()) > MAX_NODES:
        raise ReadError(f"the ONNX graph has more than {MAX_NODES} operators; it is refused")


def _summary(model: Any, parameters: int, ops: Counter[str], size: int) -> GraphSummary:
    graph = model.graph
    constants = {
        tensor.name for tensor in graph.initializer
    }  # up to IR version 3 they are among the inputs, too
    opset = max((each.version for each in model.opset_import if each.domain in OWN), default=0)
    return GraphSummary(
        tuple(_port(each) for each in graph.input if each.name not in constants),
        tuple(_port(each) for each in graph.output),
        opset,
        parameters,
        dict(ops.most_common()),
        size,
    )


def _port(value: Any) -> Port:
    from onnx import helper

    if not value.type.HasField("tensor_type"):
        raise ReadError(f"{shown(value.name)} of the ONNX graph is no tensor; it is refused")
    tensor = value.type.tensor_type
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except KeyError:
        raise ReadError(f"{shown(value.name)} of the ONNX graph holds no numbers; it is refused") from None
    if not tensor.HasField("shape"):
        return Port(value.name, dtype, None)
    dims = tuple(
        each.dim_value if each.HasField("dim_value") and each.dim_value >= 0 else each.dim_param or None
        for each in tensor.shape.dim
    )
    return Port(value.name, dtype, dims)
