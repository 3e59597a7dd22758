"""Label maps in and out of files, every id as it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import InputError, ReadError, unknown_name
from ..geometry import UNKNOWN, Geometry
from ..image import Image
from .decoding import Request
from .encode import encode_label_png
from .raster import decode
from .source import MAX_PIXELS, Source, opened
from .writing import replacing

_SUFFIXES = (".png", ".tif", ".tiff", ".npy")


def read_labels(source: Source, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The label map in a file, (H, W) or (D, H, W), integers as stored: nothing is stretched or inverted.

    Palette images give their indices, the pages of a TIFF become a volume, 1-bit masks give 0 and 1.
    Raises ``ReadError`` as ``read_image`` does, and for colours, floats and negative labels.
    """
    return read_labels_and_geometry(source, max_pixels=max_pixels)[0]


def read_labels_and_geometry(source: Source, *, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, Geometry]:
    """The label map of ``read_labels`` and the spacing that its file carries (TIFF only)."""
    with opened(source) as (file, name):
        decoded = decode(file, Request(name, max_pixels=max_pixels, stored=True))
    labels = decoded.pixels
    if labels.shape[-1] != 1:
        raise ReadError(
            f"{name} has {labels.shape[-1]} channels, wanted a label map with one; it looks like a picture: "
            "give the label file, or turn its colours into numbers first"
        )
    if labels.dtype.kind == "f":
        raise ReadError(f"{name} holds {labels.dtype}, wanted integer labels; round them and save as .tif")
    labels = labels[..., 0]
    if labels.dtype == bool:
        labels = labels.view(np.uint8)
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise ReadError(f"{name} holds the label {labels.min()}, wanted 0 for none and 1.. for segments")
    return labels, decoded.geometry


def write_labels(
    path: str | os.PathLike[str], labels: np.ndarray, geometry: Geometry = UNKNOWN, *, small: bool = False
) -> None:
    """Write a label map (H, W) or (D, H, W) so that every id comes back, whole or not at all.

    ``.png``: 16-bit grey, always, 2-D and up to 65535. ``.tif``: uint16, or uint32 where ids need it,
    deflated, a page for each z, with the spacing of ``geometry``; with ``small`` uint8 where that is enough.
    ``.npy``: as it is.
    Raises ``InputError`` for what is no label map or does not fit, ``WriteError`` for a place that cannot be
    written.
    """
    labels = np.asarray(labels)
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise unknown_name("label format", suffix or Path(path).name, _SUFFIXES)
    if labels.dtype.kind not in "bui" or labels.ndim not in (2, 3) or labels.size == 0:
        raise InputError(f"labels must be integers (H, W) or (D, H, W), got {labels.dtype} {labels.shape}")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0:
        raise InputError(f"labels must be 0 or more, got {lowest}")
    if suffix == ".png":
        if labels.ndim != 2:
            raise InputError(f"PNG holds no volume of {labels.shape}; write a .tif or .npy")
        if highest > 65535:
            raise InputError(f"PNG holds labels up to 65535, got {highest}; write a .tif or .npy")
        content = encode_label_png(labels.astype(np.uint16, copy=False))
        with replacing(path) as partial:
            partial.write_bytes(content)
    elif suffix == ".npy":
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, labels, allow_pickle=False)
    else:
        from .tiff import encode_tiff

        if highest >= 2**32:
            raise InputError(f"TIFF holds labels up to {2**32 - 1}, got {highest}; write a .npy")
        wide = np.uint16 if highest < 2**16 else np.uint32
        kept = labels.astype(np.uint8 if small and highest < 2**8 else wide, copy=False)
        image = Image.from_array(kept, ndim=kept.ndim, geometry=geometry)
        with replacing(path) as partial, partial.open("wb") as file:
            encode_tiff(file, image)
