"""Known warnings of libraries kept from the user, from any number of threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_before: warnings.catch_warnings | None = None


@contextmanager
def quieted(message: str = "", category: type[Warning] = Warning) -> Iterator[None]:
    """Warnings of this ``category`` whose text begins with ``message`` (a regular expression) are not shown inside.

    ``warnings.catch_warnings`` alone is not for threads: each puts back the filters it found, so the last to leave
    may put back those of another that has left. Here the first to enter keeps the filters and the last to leave
    puts them back, and nobody waits for anybody's work. Until then the filters of all who are inside hold for all.
    """
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = warnings.catch_warnings()
            _before.__enter__()
        _inside += 1
        warnings.filterwarnings("ignore", message, category)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _before is not None:
                _before.__exit__(None, None, None)
                _before = None
