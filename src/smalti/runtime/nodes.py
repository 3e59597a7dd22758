"""ONNX written as arithmetic: values that know how they come about, and the graph that this makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

TYPES = {"float32": 1, "int32": 6, "int64": 7, "bool": 9, "float64": 11}
"""Numbers of the kinds of values in ONNX (TensorProto.DataType)."""


class Nodes:
    """The operators of a graph, one after the other, under names of their own.

    ``inner`` are the operators of a graph inside, such as the body of a loop: it may use the values of the outer one.
    """

    def __init__(self, prefix: str = "n", names: Any = None) -> None:
        self.nodes: list[Any] = []
        self.prefix = prefix
        self._names = count() if names is None else names

    def inner(self) -> Nodes:
        """An empty graph inside this one."""
        return Nodes(self.prefix, self._names)

    def name(self) -> str:
        """One that nothing has."""
        return f"{self.prefix}{next(self._names)}"

    def value(self, name: str) -> Value:
        """What there is under a name."""
        return Value(self, name)

    def constant(self, value: Any, dtype: Any = None) -> Value:
        """A number or an array, of its own kind: a float is float64."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype)
        return self.add("Constant", value=numpy_helper.from_array(array, self.name()))

    def add(self, operator: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """The value, or the tuple of values, that an operator gives. Inputs that are no values become constants."""
        from onnx import helper

        names = [
            each.name if isinstance(each, Value) else "" if each is None else self.constant(each).name
            for each in inputs
        ]
        made = [self.name() for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, names, made, **attributes))
        values = tuple(Value(self, name) for name in made)
        return values[0] if outputs == 1 else values

    def loop(
        self,
        times: Value | None,
        carried: Sequence[tuple[Value, str]],
        body: Callable[[Nodes, Value, list[Value]], tuple[Any, list[Any], list[tuple[Any, str]]]],
    ) -> list[Value]:
        """``body(inside, number, values)`` again and again, ``times`` or as long as it says.

        It gives whether to go on (None: always), the ``carried`` values for the next time, and values with their kinds
        that are stacked. Given are the last carried values, and the stacks.
        """
        from onnx import helper

        inside = self.inner()
        number, going = inside.name(), inside.name()
        inputs = [
            helper.make_tensor_value_info(number, TYPES["int64"], []),
            helper.make_tensor_value_info(going, TYPES["bool"], []),
        ]
        values = []
        for _, kind in carried:
            name = inside.name()
            inputs.append(helper.make_tensor_value_info(name, TYPES[kind], None))
            values.append(inside.value(name))
        on, after, stacked = body(inside, inside.value(number), values)
        last = inside.add("Identity", inside.value(going) if on is None else on)
        outputs = [helper.make_tensor_value_info(last.name, TYPES["bool"], [])]
        kinds = [*(kind for _, kind in carried), *(kind for _, kind in stacked)]
        for value, kind in zip([*after, *(each for each, _ in stacked)], kinds, strict=True):
            own = inside.add("Identity", value)
            outputs.append(helper.make_tensor_value_info(own.name, TYPES[kind], None))
        graph = helper.make_graph(inside.nodes, inside.name(), inputs, outputs)
        found = self.add(
            "Loop",
            times,
            self.constant(True),
            *(value for value, _ in carried),
            outputs=len(kinds),
            body=graph,
        )
        return [found] if isinstance(found, Value) else list(found)


class Value:
    """A value of a graph, with the arithmetic that ONNX has for it. Both sides of an operator are of one kind."""

    def __init__(self, graph: Nodes, name: str) -> None:
        self.graph, self.name = graph, name

    def within(self, graph: Nodes) -> Value:
        """The same, for operators of a graph inside."""
        return Value(graph, self.name)

    def __add__(self, other: Any) -> Value:
        return self.graph.add("Add", self, other)

    def __sub__(self, other: Any) -> Value:
        return self.graph.add("Sub", self, other)

    def __mul__(self, other: Any) -> Value:
        return self.graph.add("Mul", self, other)

    def __truediv__(self, other: Any) -> Value:
        return self.graph.add("Div", self, other)

    def __gt__(self, other: Any) -> Value:
        return self.graph.add("Greater", self, other)

    def __ge__(self, other: Any) -> Value:
        return self.graph.add("GreaterOrEqual", self, other)

    def __lt__(self, other: Any) -> Value:
        return self.graph.add("Less", self, other)

    def __le__(self, other: Any) -> Value:
        return self.graph.add("LessOrEqual", self, other)

    def equals(self, other: Any) -> Value:
        """Where both are the same."""
        return self.graph.add("Equal", self, other)

    def __and__(self, other: Any) -> Value:
        return self.graph.add("And", self, other)

    def __or__(self, other: Any) -> Value:
        return self.graph.add("Or", self, other)

    def __invert__(self) -> Value:
        return self.graph.add("Not", self)

    def to(self, kind: str) -> Value:
        """The numbers as of another kind."""
        return self.graph.add("Cast", self, to=TYPES[kind])

    def where(self, yes: Any, no: Any) -> Value:
        """``yes`` where this is true, else ``no``."""
        return self.graph.add("Where", self, yes, no)

    def clip(self, low: Any, high: Any) -> Value:
        """At least ``low`` and at most ``high``."""
        return self.graph.add("Min", self.graph.add("Max", self, low), high)

    def reshape(self, *shape: int | Value) -> Value:
        """The numbers in another shape; parts of it may be values (1,)."""
        if all(isinstance(each, int) for each in shape):
            return self.graph.add("Reshape", self, np.array(shape, np.int64))
        parts = [each if isinstance(each, Value) else np.array([each], np.int64) for each in shape]
        return self.graph.add("Reshape", self, self.graph.add("Concat", *parts, axis=0))

    def shaped(self, shape: Value) -> Value:
        """The numbers in the ``shape`` (n,)."""
        return self.graph.add("Reshape", self, shape)

    def shape(self, first: int = 0, last: int | None = None) -> Value:
        """Its lengths (n,) int64, or those of some axes."""
        more = {} if last is None else {"end": last}
        return self.graph.add("Shape", self, start=first, **more)

    def size(self) -> Value:
        """How many numbers, (1,) int64."""
        return self.graph.add("Reshape", self.graph.add("Size", self), np.array([1], np.int64))

    def part(self, first: Any, last: Any, axis: int = 0, step: int = 1) -> Value:
        """From ``first`` to before ``last`` along an axis."""
        ends = [each if isinstance(each, Value) else np.array([each], np.int64) for each in (first, last)]
        return self.graph.add("Slice", self, *ends, np.array([axis], np.int64), np.array([step], np.int64))

    def take(self, at: Any, axis: int = 0) -> Value:
        """What is at the places ``at`` along an axis."""
        return self.graph.add("Gather", self, at, axis=axis)

    def reduced(self, how: str, *axes: int, keep: bool = False) -> Value:
        """``how`` is Sum, Mean, Max or Min over axes, or over all."""
        given = [np.array(axes, np.int64)] if axes else []
        return self.graph.add(f"Reduce{how}", self, *given, keepdims=int(keep))

    def scattered(self, at: Value, values: Any, how: str) -> Value:
        """With ``values`` (n,) put to the places ``at`` (n,) of a flat array, as ``how`` says: add, max or none."""
        return self.graph.add("ScatterElements", self, at, values, axis=0, reduction=how)
