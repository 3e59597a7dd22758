"""Where an image comes from and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .errors import InputError


@dataclass(frozen=True)
class Provenance:
    """Origin of one image, each part empty where nobody said.

    ``source`` is a URL, a dataset or an instrument; ``licence`` a name such as ``CC-BY-4.0`` or the address of its
    text; ``date`` as ISO 8601 (``2026-05-31``); ``sha256`` the digest of the image file, in hexadecimal.
    """

    source: str = ""
    licence: str = ""
    author: str = ""
    date: str = ""
    sha256: str = ""

    def to_json(self) -> dict[str, str]:
        """The parts that are known."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Provenance:
        """What ``to_json`` gave. Raises ``InputError`` for parts nobody knows and for values that are no text."""
        for name, value in content.items():
            if name not in cls.__dataclass_fields__ or not isinstance(value, str):
                raise InputError(
                    f"provenance is text under {', '.join(cls.__dataclass_fields__)}, got {name}: {value!r}"
                )
        return cls(**content)


UNKNOWN_ORIGIN = Provenance()
