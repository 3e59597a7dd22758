"""What a scene is: segments laid from front to back, and an image shaded from them, so that both agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, ClassVar, Literal, get_args
from zlib import crc32

import numpy as np

from ...classes import Class, ClassSet
from ...errors import InputError
from ...geometry import UNKNOWN, Geometry
from ...image import Image
from ...provenance import Provenance
from ...sample import Sample
from ...segmentation import Segmentation
from ...segmenter import Parameters

Task = Literal["panoptic", "semantic", "instance"]

SPLITS = ("train", "val", "test")
DEFAULT_SPLITS = (0.7, 0.15, 0.15)
LICENCE = "CC0-1.0"

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: its multiples fill the circle evenly (Weyl, Knuth 6.4)


@dataclass(frozen=True, eq=False)
class Scene:
    """One drawn scene: ``pixels`` (*S, C) and ``labels`` (*S,) int32 whose segment k has ``class_ids[k - 1]``.

    ``track_ids`` number the things of a clip, 0 for stuff; None where nothing is tracked.
    """

    pixels: np.ndarray
    labels: np.ndarray
    class_ids: np.ndarray
    geometry: Geometry = UNKNOWN
    channels: tuple[str, ...] = ()
    track_ids: np.ndarray | None = None


@dataclass
class Canvas:
    """A label map filled from front to back: a pixel belongs to the first segment that claims it."""

    labels: np.ndarray  # (*S,) int32, 0 where nobody has claimed yet
    class_ids: list[int] = field(default_factory=list)
    track_ids: list[int] = field(default_factory=list)
    _stuff: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, shape: Sequence[int]) -> Canvas:
        """An empty canvas."""
        return cls(np.zeros(tuple(shape), np.int32))

    def claim(
        self,
        class_id: int,
        mask: np.ndarray,
        place: tuple[slice, ...] = (),
        *,
        stuff: bool = False,
        min_px: int = 1,
        track_id: int = 0,
    ) -> np.ndarray | None:
        """Give the free pixels of ``mask`` to a segment: a new one, or for stuff the one of its class.

        ``place`` says where in the canvas ``mask`` lies. Gives the pixels that were free, shaped as ``mask``, or
        None where they are fewer than ``min_px``: then nothing is claimed, and nothing may be drawn.
        """
        labels = self.labels[place]
        visible = mask & (labels == 0)
        if np.count_nonzero(visible) < min_px:
            return None
        number = self._stuff.get(class_id, 0) if stuff else 0
        if number == 0:
            self.class_ids.append(class_id)
            self.track_ids.append(track_id)
            number = len(self.class_ids)
            if stuff:
                self._stuff[class_id] = number
        labels[visible] = number
        return visible

    def of_class(self, *class_ids: int) -> np.ndarray:
        """Where segments of these classes lie, (*S,) bool."""
        return np.isin([0, *self.class_ids], class_ids)[self.labels]


class SceneKind(Parameters):
    """A kind of scene. Its fields are what can be chosen about it; ``draw`` makes one."""

    listing: ClassVar[str] = "scenes"
    title: ClassVar[str]
    classes: ClassVar[ClassSet]

    def draw(self, seed: int, index: int) -> Scene:
        """Scene ``index`` of the series ``seed``; the same whenever and wherever it is drawn."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it draws")

    def clip_of(self, index: int) -> tuple[int, int] | None:
        """Clip and frame that an index stands for; None where scenes are pictures of their own."""
        return None

    def rng(self, *numbers: int) -> np.random.Generator:
        """The random numbers of one scene (or clip), told apart by kind and ``numbers``."""
        return np.random.default_rng([crc32(self.name.encode()), *numbers])

    def classes_of(self, task: Task) -> ClassSet:
        """The classes a truth for ``task`` uses."""
        if task not in get_args(Task):
            raise InputError(f"task must be {', '.join(get_args(Task))}, got {task!r}")
        return (
            ClassSet(entry for entry in self.classes if entry.thing) if task == "instance" else self.classes
        )

    def sample(
        self, index: int, seed: int, *, task: Task = "panoptic", splits: Sequence[float] = DEFAULT_SPLITS
    ) -> Sample:
        """Scene ``index`` as a sample, drawn when it is asked for its image or truth."""
        for what, number in (("index", index), ("seed", seed)):
            if not isinstance(number, int | np.integer) or not 0 <= number < 2**63:
                raise InputError(f"{what} must be a whole number from 0 to 2^63 - 1, got {number!r}")
        self.classes_of(task)
        index, seed = int(index), int(seed)
        clip = self.clip_of(index)
        name = f"{self.name}-{index:05d}" if clip is None else f"{self.name}-{clip[0]:04d}/{clip[1]:04d}"
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        metadata: dict[str, str | float] = {"scene": self.name, "seed": seed, "index": index}
        if chosen:
            metadata["parameters"] = json.dumps(chosen, sort_keys=True)
        return Sample(
            name,
            partial(_image, self, seed, index),
            partial(_truths, self, seed, index, task),
            split=split_of(index if clip is None else clip[0], splits),
            group=None if clip is None else f"{self.name}-{clip[0]:04d}",
            provenance=Provenance(f"smalti scenes {self.name} seed {seed} index {index}", LICENCE),
            metadata=metadata,
        )


def split_of(number: int, shares: Sequence[float] = DEFAULT_SPLITS) -> str:
    """Train, val or test for scene ``number``, whatever comes after it.

    The golden-ratio sequence spreads the numbers evenly, so the shares hold for every beginning of the series up
    to one or two scenes. Raises ``InputError`` for shares that are not three numbers from 0 that sum to 1.
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"splits are the shares of train, val and test, summing to 1, got {tuple(shares)}")
    place = (number * _GOLDEN % 2**64) / 2**64
    if place < shares[0]:
        return "train"
    return "val" if place < shares[0] + shares[1] or shares[2] == 0 else "test"


@lru_cache(maxsize=4)
def _drawn(kind: SceneKind, seed: int, index: int) -> Scene:
    """The scene, kept for the call that asks for the other half of it; its arrays are read-only."""
    scene = kind.draw(seed, index)
    for array in (scene.pixels, scene.labels):
        array.flags.writeable = False
    return scene


def _image(kind: SceneKind, seed: int, index: int) -> Image:
    scene = _drawn(kind, seed, index)
    return Image(scene.pixels.copy(), scene.channels, scene.geometry)


def _truths(kind: SceneKind, seed: int, index: int, task: Task) -> tuple[Segmentation, ...]:
    scene = _drawn(kind, seed, index)
    attributes = {} if scene.track_ids is None else {"track_id": scene.track_ids}
    everything = Segmentation.from_labels(
        scene.labels,
        class_ids=scene.class_ids,
        classes=kind.classes,
        geometry=scene.geometry,
        attributes=attributes,
    )
    if task == "panoptic":
        return (everything,)
    if task == "semantic":
        class_ids, groups = np.unique(scene.class_ids, return_inverse=True)
        merged = everything.merge(groups + 1)
        return (merged.replace(attributes={}, class_ids=class_ids),)
    things = kind.classes_of("instance")
    kept = everything[np.isin(scene.class_ids, things.ids)]
    return (kept.replace(classes=things),)


def colored(*entries: tuple[str, bool, tuple[int, int, int]]) -> ClassSet:
    """Classes 1..K of (name, thing, colour)."""
    return ClassSet(Class(k, name, color, thing) for k, (name, thing, color) in enumerate(entries, 1))


def check_size(size_hw: Sequence[int], smallest: int = 32, largest: int = 8192) -> Any:
    """``size_hw`` itself. Raises ``ValueError`` for sides too short or too long to draw."""
    if min(size_hw) < smallest or max(size_hw) > largest:
        raise ValueError(f"every side must be {smallest} to {largest} pixels")
    return size_hw
