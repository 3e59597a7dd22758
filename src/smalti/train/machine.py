"""The machine that trains, as far as a plan asks for it."""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

UNKNOWN_MEMORY = 4 * 2**30
"""Memory that is taken for granted where a system does not say."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Machine(BaseModel):
    """Processor cores, memory in bytes, that of the graphics card if there is one, and whether bfloat16 is fast."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cores: int = Field(default=1, ge=1, description="Processor cores that may be used.")
    memory_bytes: int = Field(default=UNKNOWN_MEMORY, ge=2**20, description="Memory that may be used.")
    gpu_bytes: int | None = Field(
        default=None, ge=2**20, description="Memory of the graphics card; none without one."
    )
    bf16: bool = Field(default=False, description="Whether it calculates in bfloat16 itself.")

    @property
    def gpu(self) -> bool:
        """Whether there is a graphics card."""
        return self.gpu_bytes is not None

    @classmethod
    def here(cls) -> Self:
        """This one, with what limits a container and this process. torch is asked for the card if it is installed."""
        gpu_bytes, bf16 = _accelerator()
        return cls(cores=_cores(), memory_bytes=_memory_bytes(), gpu_bytes=gpu_bytes, bf16=bf16)

    def __str__(self) -> str:
        memory = f"{self.memory_bytes / 2**30:.0f} GiB"
        card = f", a card with {self.gpu_bytes / 2**30:.0f} GiB" if self.gpu_bytes is not None else ", no GPU"
        return f"{self.cores} cores, {memory}{card}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    """Physical memory, or what a container may have of it."""
    found = [_windows_memory() if sys.platform == "win32" else _unix_memory()]
    for path in _CGROUP_LIMITS:
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return max(2**20, min(found))


def _unix_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN_MEMORY


def _windows_memory() -> int:
    kilobytes = ctypes.c_ulonglong(0)
    kernel = getattr(ctypes, "windll", None)
    if kernel is None or not kernel.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return UNKNOWN_MEMORY
    return kilobytes.value * 1024


def _accelerator() -> tuple[int | None, bool]:
    if find_spec("torch") is None:
        return None, False
    import torch

    if torch.cuda.is_available():
        free = torch.cuda.get_device_properties(0).total_memory
        return int(free), bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # asked by getattr: the names are torch's own and may go; without them float32 is right, if slower
    asked = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return None, any(bool(supported()) for supported in asked if supported is not None)
