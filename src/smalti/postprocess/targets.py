"""What a pixel can be told as: background, a class, or the border where objects end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError
from ..segmentation import Segmentation
from .border import MAX_WIDTH_PX, border_of_labels

Task = Literal["semantic", "instance", "panoptic"]
TASKS: tuple[Task, ...] = get_args(Task)

UNLABELLED = -1
BACKGROUND = "background"
BORDER = "border"


def task_of(several: bool, stuff: bool) -> Task:
    """What truths are for: semantic unless a class has two segments in an image; panoptic if there is stuff, too."""
    return "semantic" if not several else "panoptic" if stuff else "instance"


@dataclass(frozen=True)
class Targets:
    """The K things a pixel is told apart as: their ``names``, ``class_ids`` (0 = background), and the border.

    The border, if there is one, comes last and has the class id -1. ``border_px`` is its width.
    """

    names: tuple[str, ...]
    class_ids: tuple[int, ...]
    border_px: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def bordered(self) -> bool:
        """Whether the last target is the border between objects."""
        return self.border_px > 0

    @classmethod
    def of(cls, class_ids: Iterable[int], classes: ClassSet, background: bool, border_px: int = 0) -> Targets:
        """Targets for those classes that are somewhere, background if there is any, border where objects touch."""
        present = set(class_ids)
        kept = [each for each in classes if each.id in present]
        own = {each.name for each in kept}  # a class may be called so, too
        names = [*([_free(BACKGROUND, own)] if background else []), *(each.name for each in kept)]
        ids = [*([0] if background else []), *(each.id for each in kept)]
        if border_px:
            names.append(_free(BORDER, own))
            ids.append(-1)
        return cls(tuple(names), tuple(ids), border_px)

    def map(self, truth: Segmentation) -> np.ndarray:
        """The number of each pixel's target (*S,) int16, -1 where nobody said."""
        flat = truth.panoptic()
        things = np.array([truth.classes.of(class_id).thing for class_id in flat.class_ids], bool)
        labels = np.where(flat.void, np.int32(-1), flat.labels) if flat.void_px else flat.labels
        spacing = flat.geometry.spacing
        return self.map_labels(labels, flat.class_ids, things, spacing, areas_px=flat.areas_px)

    def map_labels(
        self,
        labels: np.ndarray,
        class_ids: np.ndarray,
        things: np.ndarray,
        spacing: Sequence[float] | None = None,
        *,
        areas_px: np.ndarray | None = None,
    ) -> np.ndarray:
        """The same of plain arrays: ``labels`` (*S,) int32 number segments of ``class_ids`` (N,), -1 is void.

        The other arguments are those of ``border.border_of_labels``.
        """
        number_of = {class_id: number for number, class_id in enumerate(self.class_ids) if class_id >= 0}
        numbers = [number_of.get(int(class_id), UNLABELLED) for class_id in (0, *class_ids)]
        targets = np.array([*numbers, UNLABELLED], np.int16)[np.maximum(labels, -1)]  # void, -1, is the last
        if self.bordered:
            border = border_of_labels(labels, things, self.border_px, spacing=spacing, areas_px=areas_px)
            targets[border] = len(self) - 1
        return targets

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return {"names": list(self.names), "class_ids": list(self.class_ids), "border_px": self.border_px}

    @classmethod
    def restored(cls, said: Mapping[str, Any], classes: ClassSet) -> Targets:
        """From ``described``; every class is one of ``classes``. Raises ``ReadError`` for what cannot be."""
        names, ids = tuple(map(str, said["names"])), tuple(int(one) for one in said["class_ids"])
        targets = cls(names, ids, int(said["border_px"]))
        if not ids or len(names) != len(ids) or len(set(ids)) != len(ids):
            raise ReadError(f"{len(names)} names of targets need as many different class ids, got {ids}")
        if targets.bordered != (ids[-1] == -1) or min(ids[:-1], default=0) < 0 or max(ids) <= 0:
            raise ReadError("a border is the last target, and there is a class before it")
        if not 0 <= targets.border_px <= MAX_WIDTH_PX:
            raise ReadError(f"border_px is from 0 to {MAX_WIDTH_PX}, got {targets.border_px}")
        for class_id in ids:
            if class_id > 0:
                classes.of(class_id)
        return targets

    def check(self, counts: Sequence[int]) -> None:
        """Raise ``InputError`` unless there is something to tell apart: ``counts`` (K,) are labelled pixels."""
        named = [name for name, count in zip(self.names, counts, strict=True) if count]
        if len(named) < 2:
            what = f"only {named[0]!r}" if named else "nothing"
            raise InputError(
                f"a model learns to tell at least two classes apart, but {what} is labelled; "
                "label a second class, or the background (in scribbles -1, 255 in their PNG)"
            )
        if sum(counts) < len(self):
            raise InputError(
                f"{sum(counts)} labelled pixels are fewer than the {len(self)} classes; label more"
            )


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += " (no class)"
    return name


def border_plane(planes: np.ndarray, targets: Targets) -> np.ndarray:
    """Probability of the border (*S,), zeros where none was learned."""
    return planes[-1] if targets.bordered else np.zeros(planes.shape[1:], np.float32)


def object_planes(
    planes: np.ndarray, targets: Targets
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Interior (k, *S) of the classes, border, background and the class ids (k,), of planes (K, *S) of targets."""
    places = [number for number, class_id in enumerate(targets.class_ids) if class_id > 0]
    ids = [targets.class_ids[number] for number in places]
    outside = (
        planes[targets.class_ids.index(0)]
        if 0 in targets.class_ids
        else np.zeros(planes.shape[1:], np.float32)
    )
    return planes[places], border_plane(planes, targets), outside, ids
