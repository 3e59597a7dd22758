"""What OpenVINO's own form of a graph, XML beside its numbers, may hold when it comes from a stranger."""

from __future__ import annotations

from math import prod
from xml.etree import ElementTree

from ..errors import ReadError
from .graph import MAX_BYTES, MAX_NODES
from .messages import shown
from .sizes import MAX_ELEMENTS

MAX_XML = 50_000_000
"""Most bytes of the XML, of which an operator takes about a thousand."""

MAX_DEPTH = 16
"""Most elements inside each other; OpenVINO writes six, and more only for the bodies of loops and branches."""

BODIES = ("TensorIterator", "Loop", "If")


def check_intermediate(xml: bytes, numbers: bytes) -> None:
    """Raise ``ReadError`` with one line unless the graph is one that ``quantize`` could have written.

    Refused are: too many bytes, document types and entities, elements nested deep, loops and branches, operators that
    are in none of OpenVINO's own sets, constants that lie outside of ``numbers`` and tensors larger than
    ``sizes.MAX_ELEMENTS``.
    """
    if len(xml) > MAX_XML or len(numbers) > MAX_BYTES:
        raise ReadError(f"OpenVINO's graph has {len(xml)} and {len(numbers)} bytes, too many; it is refused")
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml or not xml.lstrip().startswith(b"<?xml"):
        raise ReadError("OpenVINO's graph is no plain XML; it is refused")
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ReadError(f"OpenVINO's graph is no XML: {shown(error)}") from error
    level, count = [root], 0
    for _ in range(MAX_DEPTH):
        for element in level:
            if element.tag == "layer":
                count += 1
                _check_layer(element, len(numbers))
        level = [child for element in level for child in element]
    if level or count > MAX_NODES:
        raise ReadError("OpenVINO's graph is nested too deep or too large; it is refused")


def _check_layer(layer: ElementTree.Element, held: int) -> None:
    kind, made_by = layer.get("type", ""), layer.get("version", "")
    if kind in BODIES or not made_by.startswith("opset") or not made_by.removeprefix("opset").isdigit():
        raise ReadError(f"OpenVINO's graph has the operator {shown(made_by)}.{shown(kind)}, which is not run")
    try:
        dims = [[int(dim.text or "") for dim in port.findall("dim")] for port in layer.findall("output/port")]
        data = layer.find("data")
        if kind == "Const":
            if data is None:
                raise ValueError("a constant without data")
            start, size = int(data.get("offset", "")), int(data.get("size", ""))
            if not 0 <= start <= start + size <= held:
                raise ValueError(f"a constant at {start} to {start + size} of {held} bytes")
    except ValueError as error:
        raise ReadError(f"OpenVINO's graph is damaged: {shown(error)}") from error
    if any(prod(abs(length) for length in each) > MAX_ELEMENTS for each in dims):  # -1 is any length
        raise ReadError(f"OpenVINO's graph has a tensor of more than {MAX_ELEMENTS} numbers; it is refused")
