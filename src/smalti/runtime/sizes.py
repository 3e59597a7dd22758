"""How large the tensors of an ONNX graph get, as far as that can be told before it runs."""

from __future__ import annotations

from math import prod
from typing import Any

from ..errors import ReadError
from .messages import messages

MAX_ELEMENTS = 2**28
"""Most numbers of one tensor, a GiB of float32: 32 planes of a volume of 200 pixels a side, 64 of 2048 x 2048."""

TRIED_PX = {2: 256, 3: 64}
"""Side of the image that a graph of any size is tried with, by the number of its spatial axes."""

MAKERS = frozenset(
    {
        *("ConstantOfShape", "EyeLike", "Expand", "OneHot", "Pad", "RandomNormal", "RandomUniform"),
        *("Range", "Resize", "Tile", "Upsample"),
    }
)
"""Operators that give much for little; what they give together is limited, too. They may be worked out at load."""

_SMALL = 4096  # numbers of a constant that shapes may be worked out from


def check_sizes(model: Any) -> None:
    """Raise ``ReadError`` where a tensor would be larger than ``MAX_ELEMENTS`` for an image of ``TRIED_PX``.

    Shapes are those that ``onnx.shape_inference`` works out, constants and arithmetic of shapes included; where they
    depend on pixels nothing is known, and nothing refused. The model is changed: large constants become inputs,
    since only their shapes matter and each step would copy them.
    """
    import onnx.inliner

    graph = model.graph
    del graph.value_info[:]  # what a stranger says of the shapes inside
    _open_inputs(graph)
    constants = [tensor for tensor in graph.initializer if prod(tensor.dims) > _SMALL]
    listed = {value.name for value in graph.input}
    for tensor in constants:
        if tensor.name not in listed:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    small = [tensor for tensor in graph.initializer if prod(tensor.dims) <= _SMALL]
    del graph.initializer[:]
    graph.initializer.extend(small)
    try:
        whole = onnx.inliner.inline_local_functions(model) if model.functions else model
        inferred = onnx.shape_inference.infer_shapes(whole, data_prop=True)
    except Exception as error:  # its own kinds, and whatever else its C++ raises
        raise ReadError("the shapes inside the ONNX graph contradict each other; it is damaged") from error
    counts: dict[str, int] = {}
    makers: set[str] = set()
    made: set[str] = set()
    for value, _ in messages(inferred):
        if type(value).__name__ == "NodeProto" and value.op_type in MAKERS:
            makers |= {value.op_type}
            made |= set(value.output)
        if type(value).__name__ != "ValueInfoProto":
            continue
        dims = [each.dim_value for each in value.type.tensor_type.shape.dim]
        count = prod(dims)
        if (
            count > MAX_ELEMENTS or min(dims, default=0) < 0
        ):  # below 0 where their product was too large for it
            raise ReadError(
                f"a tensor of the ONNX graph would have the shape {dims}, more than {MAX_ELEMENTS} numbers; "
                "it is refused"
            )
        counts[value.name] = count
    total = sum(counts.get(name, 0) for name in made)
    if total > 4 * MAX_ELEMENTS:
        raise ReadError(
            f"{', '.join(sorted(makers))} of the ONNX graph would make {total} numbers, more than "
            f"{4 * MAX_ELEMENTS}; it is refused"
        )


def _open_inputs(graph: Any) -> None:
    """Give the inputs of any size that of the image tried; batches are of one."""
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name in constants:
            continue
        dims = value.type.tensor_type.shape.dim
        side = TRIED_PX[3] if len(dims) == 5 else TRIED_PX[2]
        for axis, dim in enumerate(dims):
            if not dim.HasField("dim_value"):
                dim.dim_value = side if axis else 1
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
