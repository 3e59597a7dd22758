"""Annotations that hold nothing, the same object twice, or objects on top of each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...classes import ClassSet
from ...overlaps import overlap
from ...segmentation import Segmentation
from .examined import Examined, Named, Pairs
from .finding import Finding, counted_of
from .voids import MUCH

SAME_IOU = 0.8
"""Two segments of one class with a higher IoU are one object."""
OVERLAP_SHARE = 0.05
"""Segments that share less of the smaller one than this touch, and do not overlap."""
OVERLAP_PX = 5
USUAL_SHARE = 0.25
"""Where more than this share of the annotations have overlaps, the set is meant to have them."""
MOST_KEPT = 2000
"""Annotations with overlaps that are remembered even where they are the rule."""
EMPTY_SHARE = 0.1
"""Where more than this share of the annotations are empty, the set is meant to have them (good parts, clear skies)."""


def overlapping_pairs(truth: Segmentation) -> Pairs:
    """Pairs of segments that share more than ``OVERLAP_SHARE`` of the smaller; crowds are meant to overlap."""
    if not truth.overlapping:
        none = np.zeros(0, np.int64)
        return Pairs(none, none, none, none.astype(float), none.astype(float), none.astype(bool))
    table = overlap(truth, truth)
    areas = np.minimum(truth.areas_px[table.truth - 1], truth.areas_px[table.predicted - 1])
    share = table.pixels / np.maximum(areas, 1)
    crowd = np.asarray(truth.attributes.get("crowd", np.zeros(len(truth), bool))).astype(bool)
    wanted = (table.truth < table.predicted) & (share > OVERLAP_SHARE) & (table.pixels >= OVERLAP_PX)
    wanted &= ~crowd[table.truth - 1] & ~crowd[table.predicted - 1]
    same = truth.class_ids[table.truth - 1] == truth.class_ids[table.predicted - 1]
    return Pairs(table.truth, table.predicted, table.pixels, table.iou, share, same).take(
        np.flatnonzero(wanted)
    )


def duplicated(pairs: Pairs) -> np.ndarray:
    """Which pairs are one object annotated twice, (P,) bool."""
    return pairs.same_class & (pairs.iou > SAME_IOU)


class InstanceJudge:
    """Empty annotations and overlaps where the set otherwise has none, and objects that are there twice."""

    def __init__(self, classes: ClassSet) -> None:
        self._classes = classes
        self._annotations = 0
        self._empty: list[tuple[Named, int]] = []
        self._overlapping = 0
        self._overlaps: list[Finding] = []
        self._certain: list[Finding] = []

    def add(self, sample: Examined) -> None:
        """Take the segments of one sample."""
        for truth in sample.truths:
            self._annotations += 1
            if not truth.areas_px.any() and truth.void_px <= MUCH * truth.size:
                self._empty.append((sample.where, truth.number))
            elif not truth.areas_px.all():
                self._certain.append(_without_pixels(sample.where, truth.number, truth.areas_px))
            twice = duplicated(truth.pairs)
            if twice.any():
                self._certain.append(
                    _pairs_finding(
                        "duplicate-instance", sample.where, truth.number, truth.pairs.take(twice), truth.boxes
                    )
                )
            if (~twice).any():
                rest = truth.pairs.take(~twice)
                self._overlapping += 1
                if self._overlapping <= max(
                    MOST_KEPT, self._annotations / 2
                ):  # else: the set is meant to have them
                    self._overlaps.append(
                        _pairs_finding("overlap", sample.where, truth.number, rest, truth.boxes)
                    )

    def findings(self) -> Iterator[Finding]:
        """What stands out."""
        yield from self._certain
        usual = len(self._empty) > 2 and len(self._empty) > EMPTY_SHARE * self._annotations
        for sample, number in self._empty:
            yield Finding.of(
                "empty-truth",
                f"The annotation of {sample.name} has no segment"
                f"{f', as {len(self._empty) / self._annotations:.0%} of this set' if usual else ''}.",
                samples=(sample.name,),
                files=sample.files,
                truth=number,
                measured={"empty_share": len(self._empty) / self._annotations},
                severity="info" if usual else "warning",
            )
        if self._overlapping > max(2, USUAL_SHARE * self._annotations):
            share = self._overlapping / self._annotations
            yield Finding.of(
                "overlap",
                f"{share:.0%} of the annotations have segments that overlap. So many are meant, and they are not "
                "listed one by one.",
                severity="info",
                hint="Nothing, if the set is meant to be so.",
                measured={"share": share, "annotations": self._overlapping},
                certainty=0.5,
            )
            return
        yield from self._overlaps


def _without_pixels(sample: Named, number: int, areas_px: np.ndarray) -> Finding:
    empty = np.flatnonzero(areas_px == 0) + 1
    what = f"Segment {empty[0]}" if len(empty) == 1 else f"{len(empty)} segments"
    return Finding.of(
        "empty-segment",
        f"{what} of {sample.name} {'has' if len(empty) == 1 else 'have'} no pixel.",
        samples=(sample.name,),
        files=sample.files,
        truth=number,
        segments=tuple(empty.tolist()),
        fixable=True,
    )


def _pairs_finding(code: str, sample: Named, number: int, pairs: Pairs, boxes: np.ndarray) -> Finding:
    worst = int(np.argmax(pairs.share))
    one, other = int(pairs.one[worst]), int(pairs.other[worst])
    rest = len(pairs) - 1
    more = f", and {rest} more {'pair' if rest == 1 else 'pairs'}" if rest else ""
    if code == "duplicate-instance":
        message = (
            f"Segments {one} and {other} of {sample.name} are one object (IoU {pairs.iou[worst]:.2f}){more}."
        )
    else:
        unit = "voxels" if boxes.shape[1] == 6 else "pixels"
        kind = "" if pairs.same_class[worst] else " of different classes"
        message = (
            f"Segments {one} and {other}{kind} of {sample.name} share {counted_of(int(pairs.pixels[worst]), unit)}, "
            f"{pairs.share[worst]:.0%} of the smaller{more}."
        )
    ndim = boxes.shape[1] // 2
    both = boxes[[one - 1, other - 1]]
    return Finding.of(
        code,
        message,
        samples=(sample.name,),
        files=sample.files,
        truth=number,
        segments=tuple(np.unique(np.stack([pairs.one, pairs.other])).tolist()),
        box=tuple(both[:, :ndim].min(axis=0).tolist() + both[:, ndim:].max(axis=0).tolist()),
        measured={
            "pairs": len(pairs),
            "iou": float(pairs.iou[worst]),
            "pixels": int(pairs.pixels[worst]),
            "share": float(pairs.share[worst]),
        },
        certainty=0.99 if code == "duplicate-instance" else 0.8,
        fixable=code == "duplicate-instance",
    )
