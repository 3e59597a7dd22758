"""A stranger's protobuf message, walked through whole, and what it says as text in a message of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def messages(root: Any) -> Iterator[tuple[Any, int]]:
    """Every message inside a protobuf message but those of tensors, with how many graphs it is nested in below it.

    By the fields that are there and not by a list of those where tensors and graphs are known to be, so that nothing
    is overlooked.
    """
    from google.protobuf.message import Message

    stack = [(root, -1)]
    while stack:
        message, depth = stack.pop()
        kind = type(message).__name__
        depth += kind in ("GraphProto", "FunctionProto")
        yield message, depth
        if kind == "TensorProto":
            continue
        for _, value in message.ListFields():
            if isinstance(value, Message):
                stack.append((value, depth))
            elif not isinstance(value, str | bytes | int | float):
                stack += [(each, depth) for each in value if isinstance(each, Message)]


def shown(text: Any) -> str:
    """A stranger's text in a message: one line, not long."""
    line = next(iter(str(text).strip().splitlines()), "")
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= 160 else f"{line[:157]}..."
