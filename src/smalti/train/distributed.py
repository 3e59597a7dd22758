"""Several processes that learn together, each on its own device: who leads, and what they agree on.

``torchrun --nproc_per_node 2 -m smalti fit ...`` starts them and tells each its number by environment variables. Every
process draws batches of its own, gradients are averaged, and so all have the same weights after each step. Process 0
leads: it validates, writes and speaks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..errors import InputError

TOLD_BY = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables by which torchrun tells a process where it belongs."""
LONGEST = timedelta(hours=6)
"""How long the others wait for the one that validates, tunes and exports."""


@dataclass(frozen=True)
class Ranks:
    """The ``number`` of this process among ``count`` that learn together; ``device`` is where it computes."""

    number: int = 0
    count: int = 1
    device: Any = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this process validates, writes and speaks for all."""
        return self.number == 0

    def highest(self, *numbers: float) -> list[float]:
        """The highest of what the processes say, number by number."""
        return self._together(numbers, "MAX")

    def mean(self, number: float) -> float:
        """The mean over the processes; NaN if one of them says so."""
        return self._together([number], "SUM")[0] / self.count

    def text(self, text: str) -> str:
        """What the leading process says, whatever the others would."""
        return self.bytes(text.encode()).decode()

    def bytes(self, content: bytes) -> bytes:
        """The bytes of the leading process."""
        if self.count == 1:
            return content
        import torch
        import torch.distributed as dist

        size = int(self.highest(len(content) if self.leads else 0)[0])
        sent = torch.zeros(size, dtype=torch.uint8)
        if self.leads and size:
            sent.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(sent, 0)
        return sent.numpy().tobytes()

    def tensors(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors of the leading process by name; the others give tensors of the same shapes."""
        if self.count == 1:
            return dict(tensors)
        import torch.distributed as dist

        sent = {}
        for name, tensor in tensors.items():
            sent[name] = tensor.detach().clone().cpu().contiguous()
            dist.broadcast(sent[name], 0)
            sent[name] = sent[name].to(tensor.device)
        return sent

    def parallel(self, network: Any) -> Any:
        """The network, whose gradients are averaged over the processes when it is called by this."""
        if self.count == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        own = None if self.device.type == "cpu" else [self.device.index]
        return DistributedDataParallel(network, device_ids=own)

    def _together(self, numbers: Sequence[float], how: str) -> list[float]:
        if self.count == 1:
            return list(numbers)
        import torch
        import torch.distributed as dist

        told = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(told, getattr(dist.ReduceOp, how))
        return told.tolist()


ALONE = Ranks()


def leading() -> bool:
    """Whether this process speaks: all do but those that torchrun started beside a first one."""
    return not _told() or os.environ["RANK"] == "0"


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks of the processes that torchrun started, joined until the block is left; alone where it did not.

    A process group that is there already is used, and stays. Raises ``InputError`` for more processes than graphics
    cards on a machine that has some.
    """
    import torch
    import torch.distributed as dist

    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = dist.is_available() and dist.is_initialized()
    if not there and not _told():
        yield Ranks(device=torch.device("cuda" if cards else "cpu"))
        return
    place = int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0")))
    if cards and place >= cards:
        raise InputError(
            f"there are {cards} graphics cards for process {place + 1}; start one process a card"
        )
    device = torch.device("cuda", place) if cards else torch.device("cpu")
    if cards:
        torch.cuda.set_device(device)
    if not there:
        # numbers and bytes are told between processors, gradients between cards
        dist.init_process_group("cpu:gloo,cuda:nccl" if cards else "gloo", timeout=LONGEST)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        if not there:
            dist.destroy_process_group()


def _told() -> bool:
    return all(name in os.environ for name in TOLD_BY) and os.environ["WORLD_SIZE"] != "1"
