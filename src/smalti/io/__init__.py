"""Images, label maps and segments in and out of files. Each family of formats is loaded when first used."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from ..image import Image
from .source import Source, opened, peek, signature, unreadable

_RASTER = "smalti.io.raster:read_image"

FORMATS: dict[str, str] = {
    ".png": _RASTER,
    ".jpg": _RASTER,
    ".jpeg": _RASTER,
    ".webp": _RASTER,
    ".bmp": _RASTER,
    ".gif": _RASTER,
    ".tif": _RASTER,
    ".tiff": _RASTER,
    ".npy": _RASTER,
    ".nii": "smalti.io.medical:read_nifti",
    ".nii.gz": "smalti.io.medical:read_nifti",
    ".nrrd": "smalti.io.nrrd:read_nrrd",
    ".dcm": "smalti.io.dicom:read_dicom",
}
"""Suffix of a file name -> ``module:function`` that reads it: ``function(source, **options) -> Image``."""

_FOLDER = "smalti.io.dicom:read_dicom"  # the one kind of image that is a folder

IMAGE_SUFFIXES = tuple(FORMATS)
"""The suffixes taken for images when a folder is read."""

_BY_NAME = {
    "read_image": "raster",
    "write_image": "encode",
    "read_labels": "labels",
    "read_labels_and_geometry": "labels",
    "write_labels": "labels",
    "replacing": "writing",
}

__all__ = ["FORMATS", "IMAGE_SUFFIXES", "read", *_BY_NAME]


def __getattr__(name: str) -> Any:
    if name in _BY_NAME:
        return getattr(import_module(f"{__name__}.{_BY_NAME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def read(source: Source, **options: Any) -> Image:
    """The image in a file, read by the family its suffix names, or else by what its first bytes are.

    A folder is read as the DICOM series in it. ``options`` go to the family's reader (for rasters see ``read_image``:
    ``page``, ``max_pixels``, ``spacing``).
    Raises ``ReadError`` for a file that is missing, empty, damaged, too large or of no known format.
    """
    reader = _by_suffix(source)
    if reader is None:
        with opened(source) as (file, name):
            head = peek(file)
            reader = FORMATS.get(f".{signature(head)}")
            if reader is None:
                raise unreadable(name, head)
            return _load(reader)(file, **options)
    return _load(reader)(source, **options)


def _by_suffix(source: Source) -> str | None:
    """The reader of folders, or that for the longest known suffix of a path: ``.nii.gz`` is tried before ``.gz``."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    if Path(source).is_dir():
        return _FOLDER
    suffixes = Path(source).suffixes
    names = ("".join(suffixes[start:]).lower() for start in range(len(suffixes)))
    return next((FORMATS[name] for name in names if name in FORMATS), None)


def _load(reader: str) -> Any:
    module, _, function = reader.partition(":")
    return getattr(import_module(module), function)
