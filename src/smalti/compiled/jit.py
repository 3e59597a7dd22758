"""The one way loops are compiled: numba, without the interpreter lock, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable)


def compiled(function: F) -> F:
    """Compile ``function`` at its first call and keep the machine code beside the source.

    The first call ever on a machine pays for the compilation (0.2 to 3 s a function); later processes
    load the cached code in milliseconds. Where no folder can be written for the cache, the code is
    compiled anew in each process instead of failing.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available": neither the package nor the home can be written
        return numba.njit(nogil=True)(function)
