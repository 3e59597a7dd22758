"""What a forest learns from: annotated images, looked over once, then read part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..geometry import Geometry
from ..image import Image
from ..postprocess.targets import UNLABELLED, Targets, Task, task_of
from ..sample import Sample
from ..segmentation import Segmentation
from ..tiling.tiles import Tile, tiles
from ..values import Values
from .features import Window
from .sampling import FEW_IMAGES, cell_map, cells_across
from .settings import ForestSettings

TILE_PX = {2: 1024, 3: 96}
"""Side of the tiles that images are worked through in, by number of axes: what bounds the memory."""
TILES_OF_ONE = 12
"""Tiles of a large image that are learned from."""
SPARSE = 0.2
"""Where a smaller share of the pixels is labelled, most of what trees say elsewhere cannot be checked."""


@dataclass(frozen=True, eq=False)
class Part:
    """A tile of an image with its halo: the ``targets`` (*S,) are -1 in the halo; ``units`` as ``Material.units``."""

    image: Image
    window: Window
    truth: Segmentation
    targets: np.ndarray
    units: np.ndarray | int


class Material:
    """Annotated samples as a forest sees them.

    ``parts`` are sample and tile of what is learned from: whole images, of large ones some tiles. ``sparse`` says
    that little is labelled, ``few`` that the images are so few that parts of them are left out instead of images.
    Raises ``InputError`` where there is nothing to learn.
    """

    def __init__(self, settings: ForestSettings, samples: Sequence[Sample], classes: ClassSet | None) -> None:
        self.samples = [sample for sample in samples if sample.annotated and sample.load_image is not None]
        if not self.samples:
            raise InputError(f"none of {len(samples)} samples has an image and an annotation to learn from")
        self.values, self._lock = Values(), Lock()
        self._read = lru_cache(maxsize=3)(self._read_anew)
        image, truth = self._read(0)
        self.ndim, self.channels = image.ndim, image.channels
        self.geometry = Geometry(image.geometry.spacing, image.geometry.unit)
        self.classes = classes or truth.classes
        self.parts: list[tuple[int, Tile]] = []
        self._shapes: list[tuple[int, ...]] = []
        self.task: Task = "semantic"
        self.targets, self.sparse = self._survey(settings)
        groups = [sample.group or sample.name for sample in self.samples]
        number = {name: index for index, name in enumerate(dict.fromkeys(groups))}
        grouped = any(sample.group for sample in self.samples) and len(number) > 1
        self.few = len(number) < FEW_IMAGES and not grouped
        self._group_units = [number[name] for name in groups]
        self._first_cell = np.cumsum([0, *(int(np.prod(cells_across(shape))) for shape in self._shapes)])

    def _survey(self, settings: ForestSettings) -> tuple[Targets, bool]:
        """One look at all truths: the task, the targets that are there, and whether little is labelled."""
        several, stuff = False, False
        present: set[int] = set()
        background, labelled, everything = 0, 0, 0
        side = (TILE_PX[self.ndim],) * self.ndim
        for index, sample in enumerate(self.samples):
            truth = sample.truth
            if truth.ndim != self.ndim:
                raise InputError(
                    f"sample {sample.name!r} has {truth.ndim} axes, the first one {self.ndim}; bring them to the same"
                )
            present.update(np.unique(truth.class_ids).tolist())
            known = truth.semantic_map(background=0, void=UNLABELLED)
            background += int(np.count_nonzero(known == 0))
            labelled += int(np.count_nonzero(known != UNLABELLED))
            everything += known.size
            self._shapes.append(truth.shape)
            several = several or len(np.unique(truth.class_ids)) < len(truth)
            stuff = stuff or any(not truth.classes.of(class_id).thing for class_id in truth.class_ids)
            grid = list(tiles(truth.shape, side, (0,) * self.ndim))
            grid = [tile for tile in grid if (known[tile.inner] != UNLABELLED).any()]
            if len(grid) > TILES_OF_ONE:
                drawn = np.random.default_rng([settings.seed, index]).choice(
                    len(grid), TILES_OF_ONE, replace=False
                )
                grid = [grid[at] for at in np.sort(drawn)]
            self.parts += [(index, tile) for tile in grid]
        if not self.parts:
            raise InputError(f"no pixel of {len(self.samples)} samples is labelled, all is void")
        self.task = task_of(several, stuff) if settings.task == "auto" else settings.task
        for class_id in present:
            self.classes.of(class_id)
        sparse = labelled < SPARSE * everything
        # strokes end where the hand stopped and not where the object does: they teach no border
        border = settings.border_px if self.task != "semantic" and not sparse else 0
        return Targets.of(present, self.classes, background > 0, border), sparse

    def _read_anew(self, index: int) -> tuple[Image, Segmentation]:
        sample = self.samples[index]
        image, truth = sample.image.without_alpha(), sample.truth
        if truth.shape != image.shape:
            raise InputError(f"sample {sample.name!r}: the image is {image.shape}, its truth {truth.shape}")
        with self._lock:
            self.values = self.values.and_those_of(image)
        return image, truth

    def load(self, number: int, reach: Callable[[Geometry], Sequence[int]]) -> Part:
        """A part with as many pixels around it as ``reach`` says for its geometry.

        Raises ``InputError`` for an image unlike the first one.
        """
        index, tile = self.parts[number]
        image, truth = self._read(index)
        if image.ndim != self.ndim or image.num_channels != len(self.channels):
            raise InputError(
                f"sample {self.samples[index].name!r} has {image.ndim} axes and {image.num_channels} channels, the "
                f"first one {self.ndim} and {len(self.channels)}; bring them to the same"
            )
        geometry = Geometry(image.geometry.spacing, image.geometry.unit)
        targets = self.targets.map(truth)
        whole = all(axis == slice(0, length) for axis, length in zip(tile.inner, image.shape, strict=True))
        if not whole:
            tile = tile.widened(reach(geometry), image.shape)
            outside = np.ones(image.shape, bool)[tile.outer]
            outside[tile.inside] = False
            targets = np.where(outside, UNLABELLED, targets[tile.outer])
            truth = _cut(truth, tile.outer)
        truth = truth.replace(geometry=geometry)
        pixels = image.pixels if whole else image.pixels[tile.outer]
        window = Window(tile.origin, image.shape)
        units: np.ndarray | int = self._group_units[index]
        if self.few:
            units = cell_map(pixels.shape[:-1], tile.origin, image.shape) + self._first_cell[index]
        return Part(Image(pixels, self.channels, geometry), window, truth, targets, units)


def _cut(truth: Segmentation, place: tuple[slice, ...]) -> Segmentation:
    """The segments in a part of the image, without overlap."""
    flat = truth.panoptic()
    present, labels = np.unique(flat.labels[place], return_inverse=True)
    first = int(present[0] == 0)
    return Segmentation.from_labels(
        labels.reshape(flat.labels[place].shape).astype(np.int32) + (1 - first),
        class_ids=flat.class_ids[present[first:] - 1],
        classes=flat.classes,
        void=flat.void[place] if flat.void_px else None,
    )
