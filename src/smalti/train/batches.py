"""Batches, made beside the network that learns from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

from torch import Tensor

AHEAD = 3
"""Batches that are made while one is learned from."""


@dataclass(frozen=True, eq=False)
class Batch:
    """``image`` (B, C, *S) normalised; ``targets`` (B, ..., *S) by name; ``numbers`` of the samples they are from."""

    image: Tensor
    targets: dict[str, Tensor]
    numbers: tuple[int, ...]


def ahead(make: Callable[[int], Batch], first: int, threads: int = 1) -> Generator[Batch, None, None]:
    """Batches ``first``, ``first + 1``, ... in order, made by ``threads`` beside the one that asks for them."""
    numbers = count(first)
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
        try:
            while True:
                while len(waiting) < AHEAD + threads - 1:
                    waiting.append(pool.submit(make, next(numbers)))
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()
