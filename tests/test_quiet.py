"""Warnings kept quiet, and put back whoever leaves first."""

from __future__ import annotations

import warnings

import pytest

from smalti.quiet import quieted


def test_only_the_named_warnings_are_quiet():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quieted("known"):
            warnings.warn("known and stated", UserWarning, stacklevel=1)
            warnings.warn("news", UserWarning, stacklevel=1)
        warnings.warn("known no more", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["news", "known no more"]


def test_filters_are_put_back_by_the_last_to_leave_in_any_order():
    before = list(warnings.filters)
    first, second = quieted("one"), quieted("two")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert warnings.filters != before
    second.__exit__(None, None, None)
    assert warnings.filters == before


def test_filters_are_put_back_after_an_error():
    before = list(warnings.filters)
    with pytest.raises(ZeroDivisionError), quieted():
        1 / 0  # noqa: B018
    assert warnings.filters == before
