"""``.mat`` files of regions, as the Berkeley segmentation benchmark and CrackForest have them; only read.

Arbelaez et al., "Contour Detection and Hierarchical Image Segmentation" (TPAMI 2011):
``groundTruth{k}.Segmentation`` is what annotator k drew, regions numbered from 1 that cover the image. CrackForest
(Shi et al. 2016) has the same record once, 1 for the ground and 2 for cracks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ...classes import Class, ClassSet
from ...errors import ReadError
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import PICTURES
from .roles import split_of
from .tree import Tree

MAX_BYTES = 200_000_000
REGION = ClassSet([Class(1, "region", (86, 180, 233))])
CRACK = ClassSet([Class(1, "crack", (213, 94, 0))])

_MAGIC = b"MATLAB 5.0 MAT-file"


class Bsds(AnnotationFormat):
    """The Berkeley benchmark's ``.mat`` files, with what each annotator drew; CrackForest's too.

    Boundaries are left out: they are the lines between the regions.
    """

    name: ClassVar[str] = "bsds"
    title: ClassVar[str] = "BSDS500 and CrackForest"
    source: ClassVar[str] = (
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html"
    )

    kind: Literal["auto", "regions", "cracks"] = Field(
        "auto",
        description="regions: numbered from 1; cracks: 1 is ground, 2 crack; auto: cracks where crack is in the name "
        "of the folder.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        if tree.focus is not None:
            return None
        found = [path for path in _truth_files(tree) if tree.head(path, 32).startswith(_MAGIC)]
        return Recognised(0.8, f"there are {len(found)} .mat files of truth") if found else None

    def open(self, tree: Tree) -> Annotations:
        images = {_key(path): path for path in tree.with_suffix(*PICTURES)}
        cracks = self.kind == "cracks" or (
            self.kind == "auto" and "crack" in tree.root.resolve().name.lower()
        )
        classes = CRACK if cracks else REGION
        samples, problems = [], []
        for path in _truth_files(tree):
            image = images.get(_key(path))
            if image is None:
                problems.append(Problem(path, "", "there is no image of its name; add it or remove the file"))
                continue
            split = next((split_of(part) for part in path.split("/")[:-1] if split_of(part)), None)
            samples.append(
                Sample(
                    "/".join(_key(path)),
                    partial(read, tree.file(image)),
                    partial(_truths, tree.file(path), classes, cracks),
                    tree.file(image),
                    (tree.file(path),),
                    split,
                )
            )
        if not samples and not problems:
            raise ReadError(f"there is no .mat file of truth below {tree.root}")
        return Annotations(samples, classes, problems)


def _truth_files(tree: Tree) -> list[str]:
    """Those in a folder of truth; a benchmark's other ``.mat`` files (results, ultrametric maps) are passed over."""
    return [path for path in tree.with_suffix(".mat") if "groundtruth" in path.lower()]


def _key(path: str) -> tuple[str, ...]:
    """The split and stem that an image shares with its truth."""
    *folders, name = path.split("/")
    return (*(part for part in folders if split_of(part)), name.rpartition(".")[0])


def _truths(path: Path, classes: ClassSet, cracks: bool) -> tuple[Segmentation, ...]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ReadError(f"{path} has more than {MAX_BYTES} bytes; it is refused")
        content = loadmat(path, variable_names=["groundTruth"])
    except FileNotFoundError:
        raise ReadError(f"no file {path}; it was there when the dataset was opened") from None
    except (MatReadError, ValueError, TypeError, KeyError, OSError, NotImplementedError, EOFError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{path} is no .mat file that can be read: {error}") from error
    truths = []
    for number, regions in enumerate(_regions(content.get("groundTruth"), path), 1):
        if regions.ndim != 2 or regions.dtype.kind not in "ui" or regions.size == 0:
            raise ReadError(
                f"{path}, annotator {number}: wanted regions (H, W) of whole numbers, got {regions.dtype} "
                f"{regions.shape}"
            )
        labels = regions == 2 if cracks else regions
        truths.append(Segmentation.from_labels(labels, classes=classes))
    if not truths:
        raise ReadError(f"{path} has no 'groundTruth' with a 'Segmentation'; is it a file of this benchmark?")
    return tuple(truths)


def _regions(found: object, path: Path) -> Iterator[np.ndarray]:
    """The maps of regions in the records of a cell array, or in a record alone."""
    if not isinstance(found, np.ndarray):
        return
    for record in found.reshape(-1):
        inner = record.reshape(-1)[0] if isinstance(record, np.ndarray) and record.size else record
        try:
            yield np.asarray(inner["Segmentation"])
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ReadError(f"{path} has a record without 'Segmentation'") from error
