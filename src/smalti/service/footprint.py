"""The memory that a runtime needs, measured in a process that does nothing else."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from ..image import Image


def extra_memory(model: Path, runtime: str, image: Image, threads: int | None = None) -> int | None:
    """Bytes that a fresh process grows by, at its peak, while it loads the model and runs the network on an image.

    That is the runtime's library, the weights, and whatever the network needs for this image; not Python, numpy and
    smalti themselves, nor what finds segments in the planes, which is the same for all. None where the system does not
    tell, and where the process was ended, as happens when memory runs out.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_grown, model, runtime, image, threads).result()
        except BrokenProcessPool:
            return None


def _grown(model: Path, runtime: str, image: Image, threads: int | None) -> int | None:
    from ..io.bundle import read_bundle
    from ..runtime.fitted import FittedNetwork

    before = _bytes("VmRSS")
    network = FittedNetwork.from_bundle(read_bundle(model)).with_runtime(runtime, threads)
    network.predict_planes(image)
    peak = _bytes("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def _bytes(field: str) -> int | None:
    """What the system says of this process: VmRSS is what it holds now, VmHWM the most it ever held."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return 1024 * int(line.split()[1])
    if sys.platform == "darwin":  # there is the peak alone, which is what it holds while it only grows
        import resource

        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return None
