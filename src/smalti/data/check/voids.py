"""Void that looks wrong: nearly everywhere, or kept as a class of its own that nobody means."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ...classes import ClassSet
from ...segmentation import Segmentation
from .examined import Contacts, Examined, Named
from .finding import Finding
from .usual import Usual, certainty

VOID_NAMES = re.compile(
    r"^(void|ignored?|unlabell?ed|unknown|undefined|uncertain|dont?[ _-]?care|don't care|no[ _-]?label|mask(ed)?|border"
    r"|class[ _-]?255|255|65535)$",
    re.IGNORECASE,
)
"""Names that people give to what is no class."""
VOID_NUMBERS = (255, 65535)
"""Numbers that tools write for it: the highest of 8 and of 16 bits."""
ALL = 0.995
MUCH = 0.5
THIN_PX = 3.5
"""A band is nowhere farther than this from its own border."""

NOTHING, VOID = 0, -1


def contacts(truth: Segmentation, labels: np.ndarray) -> Contacts:
    """Contacts in a picture whose label map (H, W) is ``labels``."""
    import cv2

    # places of void, nothing and the classes present in one short list, so that pairs can be counted
    ids = np.unique(np.concatenate([[VOID, NOTHING], truth.class_ids])).astype(np.int64)
    row = np.searchsorted(ids, np.concatenate([[NOTHING], truth.class_ids]))
    classes = row.astype(np.int32)[labels]
    if truth.void_px:
        classes[truth.void & (labels == 0)] = 0
    pairs = np.zeros(len(ids) ** 2, np.int64)
    border = np.zeros(labels.shape, bool)
    for one, other, ahead, behind in (
        (classes[1:], classes[:-1], border[1:], border[:-1]),
        (classes[:, 1:], classes[:, :-1], border[:, 1:], border[:, :-1]),
    ):
        differ = one != other
        ahead |= differ
        behind |= differ
        pairs += np.bincount(one[differ] * len(ids) + other[differ], minlength=len(pairs))
    table = pairs.reshape(len(ids), -1)
    table = np.triu(table + table.T, 1)
    meets = {(int(ids[i]), int(ids[j])): int(table[i, j]) for i, j in zip(*np.nonzero(table), strict=True)}
    flat = classes.reshape(-1)
    pixels = np.bincount(flat, minlength=len(ids))
    thin: np.ndarray = np.zeros(len(ids))
    if border.any():
        depth = cv2.distanceTransform((~border).view(np.uint8), cv2.DIST_L2, 3)
        thin = np.bincount(flat, (depth <= THIN_PX - 1).reshape(-1), minlength=len(ids))
    present = [index for index in range(len(ids)) if ids[index] > 0 and pixels[index]]
    return Contacts(
        meets,
        {int(ids[index]): int(pixels[index]) for index in present},
        {int(ids[index]): int(thin[index]) for index in present},
    )


class VoidJudge:
    """Images that are void, and classes that are void by name, by number or by how they lie."""

    def __init__(self, classes: ClassSet) -> None:
        self._classes = classes
        self._shares = Usual()
        self._covered: list[tuple[Named, int, float]] = []
        self._meets: dict[tuple[int, int], int] = defaultdict(int)
        self._pixels: dict[int, int] = defaultdict(int)
        self._thin: dict[int, int] = defaultdict(int)
        self._seen: dict[int, list[Named]] = defaultdict(list)
        self._images: dict[int, int] = defaultdict(int)

    def add(self, sample: Examined) -> None:
        """Take the void and the classes of one sample."""
        for truth in sample.truths:
            share = truth.void_px / truth.size
            self._shares.add(np.array([share]))
            if share > MUCH:
                self._covered.append((sample.where, truth.number, share))
            for pair, count in truth.contacts.meets.items():
                self._meets[pair] += count
            for class_id, count in truth.contacts.pixels.items():
                self._pixels[class_id] += count
                self._thin[class_id] += truth.contacts.thin[class_id]
                self._images[class_id] += 1
                if len(self._seen[class_id]) < 5:
                    self._seen[class_id].append(sample.where)

    def findings(self) -> Iterator[Finding]:
        """What stands out."""
        usual = self._shares.median
        for sample, number, share in self._covered:
            if share >= ALL:
                code, message = "all-void", f"{sample.name} is void all over."
            elif share > max(MUCH, 3 * usual) and share > usual + 4 * self._shares.spread:
                code = "mostly-void"
                message = f"{share:.0%} of {sample.name} is void; half of the set has {usual:.0%} or less."
            else:
                continue
            yield Finding.of(
                code,
                message,
                samples=(sample.name,),
                files=sample.files,
                truth=number,
                measured={"void_share": share, "usual_share": usual},
            )
        for entry in self._classes:
            if self._pixels[entry.id]:
                yield from self._class_finding(entry.id, entry.name)

    def _class_finding(self, class_id: int, name: str) -> Iterator[Finding]:
        thin = self._thin[class_id] / self._pixels[class_id]
        wrapped = self._wrapped(class_id)
        if VOID_NAMES.match(name.strip()):
            why, sure = "its name says so", 0.95
        elif class_id in VOID_NUMBERS or class_id - 1 in VOID_NUMBERS:
            why, sure = f"its number is {class_id}, what tools write for no label", 0.9
        elif thin >= 0.85 and wrapped >= 0.6:
            why = f"it is a thin band ({thin:.0%} of it) along {wrapped:.0%} of the outlines of all other classes"
            sure = certainty(wrapped, 0.5, 0.95)
        else:
            return
        samples = self._seen[class_id]
        yield Finding.of(
            "void-class",
            f"The class {name} looks like void: {why}. {self._images[class_id]} annotations have it.",
            samples=tuple(sample.name for sample in samples),
            files=tuple(file for sample in samples for file in sample.files[-1:]),
            measured={"class": name, "thin_share": thin, "wraps_share": wrapped},
            certainty=sure,
        )

    def _wrapped(self, class_id: int) -> float:
        """Share of the outlines of all other classes that this class lies along."""
        others = [(pair, count) for pair, count in self._meets.items() if max({*pair} - {class_id}) > 0]
        outline = sum(count for _, count in others)
        beside = sum(count for pair, count in others if class_id in pair)
        return beside / outline if outline else 0.0
