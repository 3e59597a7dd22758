"""Reading and writing files. A format is one line in ``READERS``; its library is loaded when first used."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from ..image import Image

READERS: dict[str, str] = {
    ".bmp": "raster:read_image",
    ".gif": "raster:read_image",
    ".jpeg": "raster:read_image",
    ".jpg": "raster:read_image",
    ".npy": "raster:read_image",
    ".png": "raster:read_image",
    ".tif": "raster:read_image",
    ".tiff": "raster:read_image",
    ".webp": "raster:read_image",
}
"""Suffix to the ``module:function`` of this room that reads it."""

IMAGE_SUFFIXES = frozenset(READERS)

Source = str | os.PathLike[str] | bytes | IO[bytes]


def read(source: Source, **options: Any) -> Image:
    """The image of a path, bytes or open binary file, in the dtype it was stored in.

    The reader is chosen by suffix; raster formats are recognised by their first bytes, whatever they are called.
    ``options`` go to the reader, see ``raster.read_image``. Raises ``ReadError``.
    """
    suffix = Path(source).suffix.lower() if isinstance(source, str | os.PathLike) else ""
    module, _, function = READERS.get(suffix, "raster:read_image").partition(":")
    return getattr(import_module(f"{__name__}.{module}"), function)(source, **options)
