"""Compiled code is cached, and by one process at a time."""

import numpy as np
import pytest
from filelock import FileLock, Timeout

from smalti.compiled.jit import _save_one_at_a_time, compiled


@compiled
def total(values):
    """Sum of the values."""
    result = 0
    for value in values:
        result += value
    return result


def test_a_compiled_function_gives_what_it_would_give_uncompiled():
    values = np.arange(10)
    assert total(values) == total.py_func(values) == 45


def test_nobody_else_writes_the_cache_meanwhile(tmp_path):
    class Cache:
        cache_path = tmp_path / "cache"
        saved = None

        def save_overload(self, signature, data):
            with (
                pytest.raises(Timeout),
                FileLock(self.cache_path / ".numba.lock", timeout=0, thread_local=False),
            ):
                pass
            self.saved = signature, data

    cache = Cache()
    _save_one_at_a_time(cache)
    cache.save_overload("signature", "data")
    assert cache.saved == ("signature", "data")
