"""Image files of a dataset that is being written."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...errors import InputError
from ...image import Image
from ...sample import Sample
from ..encode import write_image
from ..writing import replacing
from .tree import inside

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")


def suffix_of(path: Path) -> str:
    """The suffix of an image file in lower case, both parts of ``.nii.gz``."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def place_image(sample: Sample, folder: Path, name: str, suffixes: tuple[str, ...] = PICTURES) -> str | None:
    """Put the image of ``sample`` into ``folder`` under ``name`` (no suffix); gives its file name with suffix.

    A file that has one of ``suffixes`` is copied byte for byte. Others are decoded and written without loss, as PNG
    where that holds them and their spacing is unknown, else as TIFF. None if there is no image. Raises
    ``InputError`` where ``suffixes`` has neither.
    """
    name = inside(name)
    if sample.load_image is None:
        return None
    if sample.image_path is not None and suffix_of(sample.image_path) in suffixes:
        name += suffix_of(sample.image_path)
        with replacing(folder / name) as partial:
            shutil.copyfile(sample.image_path, partial)
        return name
    image = sample.image
    for suffix in (".png", ".tif") if not image.geometry.known else (".tif", ".png"):
        if suffix in suffixes and (suffix == ".tif" or _fits_png(image)):
            write_image(folder / (name + suffix), image)
            return name + suffix
    raise InputError(
        f"the image of {sample.name} ({image.pixels.dtype} {image.pixels.shape}) fits none of "
        f"{', '.join(suffixes)}; convert to a format that holds it, such as smalti"
    )


def _fits_png(image: Image) -> bool:
    kind, channels = image.pixels.dtype.name, image.num_channels
    return image.ndim == 2 and (
        (kind == "uint8" and channels <= 4) or (kind == "uint16" and channels in (1, 3, 4))
    )
