"""From what a person names on the command line to the images that are meant."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, ReadError
from ..io import IMAGE_SUFFIXES

STDIN = Path("-")


def find_images(named: Sequence[str]) -> list[Path]:
    """The image files meant by files, folders, globs and ``-`` (standard input), in order, each once.

    A folder stands for the images directly in it, by suffix and name; smalti's own overlays and label maps are
    passed over. A file named outright is taken whatever it is called. Raises ``ReadError`` for a name that is
    nothing and a folder or glob without images.
    """
    found: dict[Path, None] = {}
    for name in named:
        path = Path(name)
        if name == "-" or path.is_file():
            found[path] = None
        elif path.is_dir():
            images = [one for one in sorted(path.iterdir()) if _is_image(one)]
            if not images:
                raise ReadError(
                    f"no images in folder {name}; known suffixes: {' '.join(sorted(IMAGE_SUFFIXES))}"
                )
            found.update(dict.fromkeys(images))
        elif glob.has_magic(name):
            images = [one for one in map(Path, sorted(glob.glob(name, recursive=True))) if _is_image(one)]
            if not images:
                raise ReadError(f"no images match {name!r}; quote the pattern and check the folder")
            found.update(dict.fromkeys(images))
        else:
            raise ReadError(f"no file or folder called {name}; check the path")
    return list(found)


def _is_image(path: Path) -> bool:
    ours = path.name.endswith((".labels.png", ".labels.tif", ".overlay.png"))
    return path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES) and not ours


def output_stems(images: Sequence[Path]) -> list[str]:
    """The name each image's outputs begin with. Raises ``InputError`` where two images would share one."""
    stems = ["stdin" if image == STDIN else image.stem for image in images]
    # Compared without case: on many file systems a.labels.png and A.labels.png are one file.
    repeated = [stem for stem, count in Counter(stem.lower() for stem in stems).items() if count > 1]
    if repeated:
        clash = [str(image) for image, stem in zip(images, stems, strict=True) if stem.lower() == repeated[0]]
        raise InputError(
            f"{' and '.join(clash[:3])} would all be written as {repeated[0]}.*; "
            "predict them into different folders with --out"
        )
    return stems
