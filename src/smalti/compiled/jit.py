"""The one way loops are compiled: numba, without the interpreter lock, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from filelock import FileLock

F = TypeVar("F", bound=Callable)


def compiled(function: F) -> F:
    """Compile ``function`` at its first call and keep the machine code beside the source.

    The first call ever on a machine pays for the compilation (0.2 to 3 s a function); later processes
    load the cached code in milliseconds. Where no folder can be written for the cache, the code is
    compiled anew in each process instead of failing.
    """
    try:
        dispatcher = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available": neither the package nor the home can be written
        return numba.njit(nogil=True)(function)
    _save_one_at_a_time(dispatcher._cache)
    return dispatcher


def _save_one_at_a_time(cache: Any) -> None:
    """Let one process at a time add to a function's cache.

    numba reads the index, picks a file name that is free, and writes both. Two processes that compile different
    signatures of one function at the same moment would pick the same name, and a later process would load the
    code of the wrong one.
    """
    save = cache.save_overload

    def save_overload(signature: Any, data: Any) -> None:
        folder = Path(cache.cache_path)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".numba.lock"):
            save(signature, data)

    cache.save_overload = save_overload
