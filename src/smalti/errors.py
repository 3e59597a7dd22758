"""Errors whose message is meant for the person at the keyboard: what was wanted, what came, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SmaltiError(Exception):
    """Anything smalti refuses on purpose. The doors print the message alone, without a traceback."""


class InputError(SmaltiError, ValueError):
    """A value that cannot be used: a wrong shape, type, range or combination."""


class UnknownName(InputError):
    """A name that is in no table: a method, a parameter, a format, a property."""


class OverlapError(InputError):
    """A label map was asked of segments that overlap."""


class ReadError(SmaltiError, OSError):
    """A file that is missing, empty, damaged, too large or of no known format."""


class WriteError(SmaltiError, OSError):
    """A place that cannot be written."""


class Interrupted(SmaltiError):
    """Somebody stopped a long work; what it had come to is kept, and the message says how to go on."""


class MissingExtra(SmaltiError, ImportError):
    """An optional library is needed and not installed."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """The error for a ``name`` that is not among the ``known`` ones, with the nearest of them.

    >>> print(unknown_name("method", "ostu", ["otsu", "triangle"]))
    no method called 'ostu'; nearest: otsu; there are: otsu, triangle
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return UnknownName(f"no {kind} called {name!r}{hint}; there are: {', '.join(names)}")
