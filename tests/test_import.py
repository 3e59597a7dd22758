"""``import smalti`` costs nothing: everything heavy is loaded when it is first used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "skimage", "scipy", "cv2", "sklearn", "pydantic", "torch", "pandas", "matplotlib")


def in_fresh_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_heavy_is_loaded() -> None:
    loaded = in_fresh_process(
        f"import smalti, sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded == "", f"import smalti loads {loaded}; see python -X importtime -c 'import smalti'"


def test_import_is_quick_beside_numpy() -> None:
    # A test that asserts a time fails on a busy machine for no fault of the code. This promise is part of what
    # smalti is, so it is kept here with two safeguards: the best of five fresh processes counts, and the
    # 0.3 s promised are ten times what it takes. The test above catches the cause, whatever the machine does.
    program = (
        "import numpy; from time import perf_counter; start = perf_counter(); "
        "import smalti; print(perf_counter() - start)"
    )
    assert min(float(in_fresh_process(program)) for _ in range(5)) < 0.3
