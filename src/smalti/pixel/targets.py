"""What a pixel can be told as: background, a class, or the border where objects end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..postprocess.border import border_targets
from ..segmentation import Segmentation

Task = Literal["semantic", "instance", "panoptic"]

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
        semantic = truth.semantic_map()
        highest = max(int(semantic.max(initial=0)), *self.class_ids)
        lookup = np.full(highest + 1, UNLABELLED, np.int16)
        for number, class_id in enumerate(self.class_ids):
            if class_id >= 0:
                lookup[class_id] = number
        targets = lookup[semantic]
        if self.bordered:
            targets[border_targets(truth, self.border_px)] = len(self) - 1
        if truth.void_px:
            targets[truth.void] = UNLABELLED
        return targets

    def check(self, counts: Sequence[int]) -> None:
        """Raise ``InputError`` unless there is something to tell apart: ``counts`` (K,) are labelled pixels."""
        named = [name for name, count in zip(self.names, counts, strict=True) if count]
        if len(named) < 2:
            what = f"only {named[0]!r}" if named else "nothing"
            raise InputError(
                f"a forest learns to tell at least two classes apart, but {what} is labelled; "
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
