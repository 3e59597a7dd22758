"""What the runtimes of a network are worth on this machine: agreement, metric, latency and memory of each."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Latency:
    """Seconds for an image: ``median`` and ``p95``, the 95th percentile."""

    median: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Those of some runs."""
        median, p95 = np.percentile(seconds, [50, 95])
        return cls(float(median), float(p95))


@dataclass(frozen=True)
class Scored:
    """A score over the images with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RuntimeRow:
    """What one runtime does. ``missing`` says why it could not be had, and everything else is None then.

    ``precision`` is what it really computed in on this machine, ``remark`` what there is to say of that.
    ``agreement`` is that of its masks with those of the reference (``parity.Agreement``). ``run`` is the network alone,
    ``predict`` all from pixels to segments. ``memory`` is of ``footprint.extra_memory``, in bytes.
    """

    runtime: str
    precision: str | None = None
    remark: str | None = None
    agreement: float | None = None
    score: Scored | None = None
    run: Latency | None = None
    predict: Latency | None = None
    memory: int | None = None
    missing: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values, seconds rounded to microseconds; what is not known is None."""
        if self.missing is not None:
            return {"runtime": self.runtime, "missing": self.missing}
        told: dict[str, Any] = {"runtime": self.runtime, "precision": self.precision, "remark": self.remark}
        told["agreement"] = None if self.agreement is None else round(self.agreement, 6)
        if self.score is not None:
            parts = ("value", "low", "high")
            told["score"] = {part: _finite(getattr(self.score, part)) for part in parts}
        for name, latency in (("run", self.run), ("predict", self.predict)):
            if latency is not None:
                told[f"{name}_s"] = {
                    "median": round(latency.median, 6),
                    "p95": round(latency.p95, 6),
                }
        return told | {"memory_bytes": self.memory}


@dataclass(frozen=True)
class RuntimeTable:
    """The rows, and what they were measured on: ``images`` of ``source``, by so many ``threads`` of ``machine``.

    ``metric`` is the name of the score in the rows, None where nothing was scored. Agreement is with ``reference``.
    """

    rows: tuple[RuntimeRow, ...]
    reference: str
    metric: str | None
    images: int
    source: str
    threads: int
    machine: str
    notes: tuple[str, ...] = ()

    def row(self, runtime: str) -> RuntimeRow:
        """That of a runtime."""
        return next(each for each in self.rows if each.runtime == runtime)

    @property
    def faster(self) -> dict[str, float]:
        """How many times as fast the network runs as by the reference, for each that ran."""
        first = self.row(self.reference).run
        assert first is not None
        return {each.runtime: first.median / each.run.median for each in self.rows if each.run is not None}

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "reference": self.reference,
            "metric": self.metric,
            "images": self.images,
            "source": self.source,
            "threads": self.threads,
            "machine": self.machine,
            "notes": list(self.notes),
            "runtimes": [each.to_json() for each in self.rows],
        }


def machine() -> str:
    """Processor, cores and system, so that a number can be judged later."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}"


def _finite(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
