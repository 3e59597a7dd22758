"""The memory that a runtime needs, measured in a process that does nothing else."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

from ..image import Image

_PROGRAM = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from smalti.service import footprint
footprint.tell()"""


def extra_memory(model: Path, runtime: str, image: Image, threads: int | None = None) -> int | None:
    """Bytes that a fresh process grows by, at its peak, while it loads the model and runs the network on an image.

    That is the runtime's library, the weights, and whatever the network needs for this image; not Python, numpy and
    smalti themselves, nor what finds segments in the planes, which is the same for all. None where the system does not
    tell, and where the process was ended, as happens when memory runs out.
    """
    asked = pickle.dumps((model, runtime, image, threads))  # our own, to our own process
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)], input=asked, capture_output=True, check=False
    )
    lines = done.stdout.decode().split()
    return int(lines[-1]) if done.returncode == 0 and lines and lines[-1].isdigit() else None


def tell() -> None:
    """What the fresh process does: it reads what is asked from its input and writes the bytes as its last word."""
    from ..io.bundle import read_bundle
    from ..runtime.fitted import FittedNetwork

    model, runtime, image, threads = pickle.load(sys.stdin.buffer)
    before = held("VmRSS")
    network = FittedNetwork.from_bundle(read_bundle(model)).with_runtime(runtime, threads)
    network.predict_planes(image)
    peak = held("VmHWM")
    sys.stdout.write("unknown" if before is None or peak is None else str(max(0, peak - before)))


def held(field: str) -> int | None:
    """Bytes of this process as the system says: VmRSS is what it holds now, VmHWM the most it ever held."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return 1024 * int(line.split()[1])
    if sys.platform == "darwin":  # there is the peak alone, which is what it holds while it only grows
        import resource

        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return None
