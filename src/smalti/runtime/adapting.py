"""A graph of others made to take and give what those of smalti do: (B, C, *S) float32 to planes (B, P, *S) float32.

Everything that is particular to it is done by operators added to the graph itself, so that every runtime runs it the
same way and nothing else needs to know: channels moved, sizes padded and cut again, probabilities turned to logits,
planes brought to the size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import ReadError
from .engines import PLANES
from .graph import OWN, Port
from .messages import shown

Activation = Literal["logits", "probabilities", "sigmoid-logits", "sigmoid-probabilities", "map"]
"""What the numbers of an output are: for softmax over the planes, after softmax, each plane for itself before or
after a sigmoid (a pixel is of none where all are below a half), or the number of a plane in each pixel."""

OLDEST_OPSET = 11
"""From here on Resize and Pad take sizes that are worked out."""

_SURE = 30.0  # logit of what a map says: a probability of 1 up to float32
_LEAST = 1e-7  # probabilities are at least so much away from 0 and 1, where their logits are infinite


@dataclass(frozen=True)
class Shape:
    """How the image goes in and the planes come out.

    ``channel_last`` and ``class_last`` say where channels and classes are, ``size`` the fixed size of the image if it
    has one, ``multiple`` what its sides must divide by, ``fits`` whether planes come at the size of the image.
    ``order`` are the planes in the order they are wanted, ``zero_first`` whether one of zeros is to stand before them.
    """

    channels: int
    channel_last: bool
    size: tuple[int, ...] | None
    multiple: int
    class_last: bool
    activation: Activation
    order: tuple[int, ...]
    zero_first: bool
    fits: bool


def modern(model: Any) -> Any:
    """The model with operators of ``OLDEST_OPSET`` or later. Raises ``ReadError`` where it cannot be brought there."""
    from onnx import version_converter

    version = max((each.version for each in model.opset_import if each.domain in OWN), default=1)
    if version >= OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, 13)
    except Exception as error:  # its own kinds
        raise ReadError(
            f"the graph is of ONNX operator set {version} and cannot be brought to 13 ({shown(error)}); "
            "export it anew, with opset 13 or later"
        ) from error


def adapted(model: Any, given: Port, wanted: Port, shape: Shape) -> bytes:
    """The graph with an input (B, C, *S) and the one output ``planes`` (B, P, *S); ``model`` is changed."""
    return _Adapter(model, given, wanted, shape).adapted()


class _Adapter:
    """Writes operators before the input and after the output of a graph, under names that it does not have."""

    def __init__(self, model: Any, given: Port, wanted: Port, shape: Shape) -> None:
        self.model, self.given, self.wanted, self.shape = model, given, wanted, shape
        self.opset = max(each.version for each in model.opset_import if each.domain in OWN)
        taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        taken |= {each.name for each in (*model.graph.initializer, *model.graph.input, *model.graph.output)}
        self.prefix = "smalti"
        while any(name.startswith(self.prefix) for name in taken) or self.prefix in (PLANES, "image"):
            self.prefix += "_"
        self.count = 0
        self.nodes: list[Any] = []
        self.ndim = len(given.dims or ()) - 2
        self.image = "image" if "image" not in taken else f"{self.prefix}_image"
        self.free_planes = PLANES not in taken

    def adapted(self) -> bytes:
        from onnx import TensorProto, helper

        graph, shape = self.model.graph, self.shape
        batch = (self.given.dims or (None,))[0]
        sides: Sequence[int | str] = shape.size or ("depth", "height", "width")[-self.ndim :]
        if not self.free_planes:
            self._rename(PLANES)
        self._before()
        before, self.nodes = self.nodes, []
        self._after()
        nodes = [*before, *graph.node, *self.nodes]
        planes = len(shape.order) + shape.zero_first
        rest = [each for each in graph.input if each.name != self.given.name]
        del graph.node[:], graph.input[:], graph.output[:]
        del graph.value_info[:]  # they speak of sizes that may no longer be
        graph.node.extend(nodes)
        image = [batch if isinstance(batch, int) else "batch", shape.channels, *sides]
        graph.input.extend([helper.make_tensor_value_info(self.image, TensorProto.FLOAT, image), *rest])
        graph.output.append(
            helper.make_tensor_value_info(PLANES, TensorProto.FLOAT, [image[0], planes, *sides])
        )
        return self.model.SerializeToString()

    def _rename(self, name: str) -> None:
        """Something inside the graph is called as the output is to be."""
        other = self.name()
        for node in self.model.graph.node:
            for names in (node.input, node.output):
                for place, each in enumerate(names):
                    if each == name:
                        names[place] = other
        for each in self.model.graph.initializer:
            if each.name == name:
                each.name = other
        self.output = other if self.wanted.name == name else self.wanted.name

    def _before(self) -> None:
        from onnx import helper

        shape, values = self.shape, self.image
        if shape.multiple > 1:
            sides = self.sides_of(values)
            many = self.constant([shape.multiple])
            over = self.add("Mod", [sides, many])
            missing = self.add("Mod", [self.add("Sub", [many, over]), many])
            pads = self.add("Concat", [self.constant([0] * (4 + self.ndim)), missing], axis=0)
            values = self.add("Pad", [values, pads], mode="edge")
        self.padded = values
        if shape.channel_last:
            values = self.add("Transpose", [values], perm=[0, *range(2, 2 + self.ndim), 1])
        dtype = np.dtype(self.given.dtype)
        if dtype.kind in "iu":
            values = self.add("Round", [values])
        if dtype != np.float32:
            values = self.add("Cast", [values], to=helper.np_dtype_to_tensor_dtype(dtype))
        self.nodes.append(helper.make_node("Identity", [values], [self.given.name]))

    def _after(self) -> None:
        from onnx import TensorProto, helper

        shape = self.shape
        values = self.output if not self.free_planes else self.wanted.name
        if shape.activation == "map":
            values = self.add("Cast", [values], to=TensorProto.INT64)
            if len(self.wanted.dims or ()) == self.ndim + 1:
                values = self.unsqueezed(values)
            elif shape.class_last:
                values = self.add("Transpose", [values], perm=[0, 1 + self.ndim, *range(1, 1 + self.ndim)])
            numbers = self.constant(np.reshape(shape.order, (1, -1, *[1] * self.ndim)))
            values = self.add("Cast", [self.add("Equal", [values, numbers])], to=TensorProto.FLOAT)
            values = self.add("Mul", [values, self.constant(np.float32(_SURE))])
        else:
            if self.wanted.dtype != "float32":
                values = self.add("Cast", [values], to=TensorProto.FLOAT)
            if shape.class_last:
                values = self.add("Transpose", [values], perm=[0, 1 + self.ndim, *range(1, 1 + self.ndim)])
            values = self.logits(values)
        if not shape.fits:
            sizes = self.add("Concat", [self.part_of_shape(values, 0, 2), self.sides_of(self.padded)], axis=0)
            options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
            values = self.add("Resize", [values, "", "", sizes], **options)
        if shape.multiple > 1:
            axes = self.constant(list(range(2, 2 + self.ndim)))
            values = self.add(
                "Slice", [values, self.constant([0] * self.ndim), self.sides_of(self.image), axes]
            )
        self.nodes.append(helper.make_node("Identity", [values], [PLANES]))

    def logits(self, values: str) -> str:
        """Planes in the order that is wanted, as logits, a plane of zeros before them where that is asked for."""
        shape = self.shape
        if shape.activation.endswith("probabilities"):
            least, most = (self.constant(np.float32(end)) for end in (_LEAST, 1 - _LEAST))
            values = self.add("Clip", [values, least, most])
            share = self.add("Log", [values])
            if shape.activation == "probabilities":
                values = share
            else:
                other = self.add("Log", [self.add("Sub", [self.constant(np.float32(1)), values])])
                values = self.add("Sub", [share, other])
        if shape.order != tuple(range(len(shape.order))):
            values = self.add("Gather", [values, self.constant(list(shape.order))], axis=1)
        if shape.zero_first:
            pads = [0] * (2 * (2 + self.ndim))
            pads[1] = 1
            values = self.add("Pad", [values, self.constant(pads)])
        return values

    def unsqueezed(self, values: str) -> str:
        """With an axis of classes, which was an attribute until operator set 13."""
        if self.opset < 13:
            return self.add("Unsqueeze", [values], axes=[1])
        return self.add("Unsqueeze", [values, self.constant([1])])

    def sides_of(self, values: str) -> str:
        return self.part_of_shape(values, 2, 2 + self.ndim)

    def part_of_shape(self, values: str, first: int, last: int) -> str:
        size = self.add("Shape", [values])
        return self.add("Slice", [size, self.constant([first]), self.constant([last])])

    def constant(self, value: Any) -> str:
        from onnx import numpy_helper

        name = self.name()
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        name = self.name()
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def name(self) -> str:
        self.count += 1
        return f"{self.prefix}_{self.count}"
