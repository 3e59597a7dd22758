"""The frames of a clip seen together: which objects each side follows, and what they share in every frame."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..segmentation import Segmentation
from .metric import Additive
from .pair import Pair
from .panoptic import crowd_segments


class ClipMetric(Additive):
    """A metric of clips: what it keeps is the sum over a clip's frames, seen together and in order."""

    @abstractmethod
    def keep_clip(self, frames: Sequence[Pair]) -> np.ndarray:
        """The statistics of one clip, (S,) float64."""

    def keep(self, pair: Pair) -> np.ndarray:
        """The statistics of an image by itself: a clip of one frame."""
        return self.keep_clip([pair])


@dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks of one side of a clip, and their sightings, one for each frame a track is annotated in.

    Track n is ``keys[n]``: the place of its class in the class set, and its ``track_id``. ``frame``, ``track``,
    ``segment`` (number in that frame's ``tracked`` pair) are of each sighting (D,), and so are its pixels: ``whole`` as
    annotated, ``judged`` without void of either side, ``crowded`` in a crowd of the other side, ``excused`` in void or
    in a crowd of its own class there. Crowds are no tracks.
    """

    keys: tuple[tuple[int, int], ...]
    class_of: np.ndarray
    thing: np.ndarray
    frame: np.ndarray
    track: np.ndarray
    segment: np.ndarray
    whole: np.ndarray
    judged: np.ndarray
    crowded: np.ndarray
    excused: np.ndarray

    def __len__(self) -> int:
        """Number of tracks."""
        return len(self.keys)

    def by_frame(self, values: np.ndarray, num_frames: int) -> np.ndarray:
        """One of the columns as a table (N, T), 0 where a track is not seen."""
        table = np.zeros((len(self), num_frames), values.dtype)
        table[self.track, self.frame] = values
        return table


@dataclass(frozen=True, eq=False)
class Clip:
    """Both sides of a clip, and the pairs of sightings that share pixels: indices (P,) into either side's sightings."""

    classes: ClassSet
    num_frames: int
    truth: Tracks
    predicted: Tracks
    truth_sighting: np.ndarray
    predicted_sighting: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, frames: Sequence[Pair]) -> Clip:
        """The tracks of frames in order, each frame asked for once.

        Sightings of one class and one ``track_id`` are one track; where a side has no such attribute, the segments'
        numbers are the ids. Stuff is one track a class. Segments of one track in one frame are joined. Raises
        ``InputError`` for no frames, ids that are no integers or in some frames only, and frames of different shapes
        or classes.
        """
        sides: tuple[_Collected, _Collected] | None = None
        first: Segmentation | None = None
        columns = []
        for number, pair in enumerate(frames):
            if first is None or sides is None:
                first = pair.truth
                sides = _Collected(first.classes, "truth"), _Collected(first.classes, "predicted")
            elif pair.truth.shape != first.shape or pair.truth.classes != first.classes:
                raise InputError(
                    f"the frames of a clip must share shape and classes; frame 0 has {first.shape} {first.classes}, "
                    f"frame {number} {pair.truth.shape} {pair.truth.classes}"
                )
            pair = tracked(pair)
            table = pair.table
            sightings = [
                side.add(number, segmentation, judged, other, of, partner, table.pixels)
                for side, segmentation, judged, other, of, partner in zip(
                    sides,
                    (pair.truth, pair.predicted),
                    pair.judged,
                    pair.judged[::-1],
                    (table.truth, table.predicted),
                    (table.predicted, table.truth),
                    strict=True,
                )
            ]
            both = sightings[0][table.truth - 1], sightings[1][table.predicted - 1]
            kept = (both[0] >= 0) & (both[1] >= 0)
            columns.append(np.stack([both[0][kept], both[1][kept], table.pixels[kept]]))
        if first is None or sides is None:
            raise InputError("a clip needs at least one frame, got none")
        return cls(
            first.classes, len(columns), sides[0].tracks(), sides[1].tracks(), *np.concatenate(columns, 1)
        )

    @cached_property
    def iou(self) -> np.ndarray:
        """IoU of each pair of sightings, (P,)."""
        union = self.truth.judged[self.truth_sighting] + self.predicted.judged[self.predicted_sighting]
        return self.pixels / (union - self.pixels)

    @property
    def same_class(self) -> np.ndarray:
        """Which pairs of sightings are of one class, (P,) bool."""
        truth, predicted = self.pair_tracks
        return self.truth.class_of[truth] == self.predicted.class_of[predicted]

    @property
    def pair_tracks(self) -> tuple[np.ndarray, np.ndarray]:
        """The tracks of each pair of sightings, (P,) and (P,)."""
        return self.truth.track[self.truth_sighting], self.predicted.track[self.predicted_sighting]

    @property
    def pair_frame(self) -> np.ndarray:
        """The frame of each pair of sightings, (P,)."""
        return self.truth.frame[self.truth_sighting]


def tracked(pair: Pair) -> Pair:
    """The same with the segments of one track joined, on both sides; crowds stay as they are."""
    groups = [_groups(pair.truth, "truth"), _groups(pair.predicted, "predicted")]
    if all(group is None for group in groups):
        return pair
    sides = (pair.truth, pair.predicted)
    joined = [side if group is None else side.merge(group) for side, group in zip(sides, groups, strict=True)]
    return Pair(*joined)


class _Collected:
    """The tracks of one side, frame by frame."""

    def __init__(self, classes: ClassSet, side: str) -> None:
        self.classes = classes
        self.side = side
        self.places = {int(class_id): place for place, class_id in enumerate(classes.ids)}
        self.numbers: dict[tuple[int, int], int] = {}
        self.columns: list[np.ndarray] = []
        self.count = 0
        self.with_ids: bool | None = None

    def add(
        self,
        frame: int,
        whole: Segmentation,
        judged: Segmentation,
        other: Segmentation,
        of: np.ndarray,
        partner: np.ndarray,
        pixels: np.ndarray,
    ) -> np.ndarray:
        """Add a frame's segments; returns the sighting of each (N,), -1 for crowds and segments without a pixel.

        ``of`` and ``partner`` are the segments of this and the ``other`` side that share ``pixels``.
        """
        if len(whole):
            with_ids = "track_id" in whole.attributes
            if self.with_ids is not None and with_ids != self.with_ids:
                raise InputError(
                    f"segments of {self.side} have a track_id in some frames of the clip only; give it in all or none"
                )
            self.with_ids = with_ids
        crowds, other_crowds = crowd_segments(whole), crowd_segments(other)
        seen = np.flatnonzero(~crowds & (whole.areas_px > 0))
        ids = _track_ids(whole, self.side)
        numbers = [
            self.numbers.setdefault((self.places[class_id], track_id), len(self.numbers))
            for class_id, track_id in zip(whole.class_ids[seen].tolist(), ids[seen].tolist(), strict=True)
        ]
        same = whole.class_ids[of - 1] == other.class_ids[partner - 1]
        in_crowd = other_crowds[partner - 1]
        areas, left = whole.areas_px, judged.areas_px
        crowded = np.bincount(of - 1, pixels * in_crowd, len(whole))
        crowded_same = np.bincount(of - 1, pixels * (in_crowd & same), len(whole))
        rows = [
            np.full(len(seen), frame),
            np.array(numbers, np.int64),
            seen + 1,
            areas[seen],
            left[seen],
            np.minimum(crowded, left)[seen],
            (areas - left + np.minimum(crowded_same, left))[seen],
        ]
        self.columns.append(np.stack(rows).astype(np.int64))
        sighting = np.full(len(whole), -1)
        sighting[seen] = self.count + np.arange(len(seen))
        self.count += len(seen)
        return sighting

    def tracks(self) -> Tracks:
        keys = tuple(self.numbers)
        class_of = np.array([place for place, _ in keys], np.int64)
        thing = np.array([self.classes[place].thing for place, _ in keys], bool)
        return Tracks(keys, class_of, thing, *np.concatenate(self.columns, 1))


def _track_ids(segmentation: Segmentation, side: str) -> np.ndarray:
    """The track of each segment within its class, (N,) int64; 0 for stuff."""
    ids: Any = segmentation.attributes.get("track_id", np.arange(1, len(segmentation) + 1))
    if len(segmentation) and ids.dtype.kind not in "ui":
        raise InputError(f"track_id of {side} must be whole numbers, got {ids.dtype}")
    thing = np.array([segmentation.classes.of(class_id).thing for class_id in segmentation.class_ids], bool)
    return np.where(thing, ids.astype(np.int64), 0)


def _groups(segmentation: Segmentation, side: str) -> np.ndarray | None:
    """The groups that ``merge`` makes a segment of each track with; None where there is nothing to join."""
    single = np.where(crowd_segments(segmentation), np.arange(1, len(segmentation) + 1), 0)
    columns = (segmentation.class_ids, _track_ids(segmentation, side), single)
    keys = list(zip(*(column.tolist() for column in columns), strict=True))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys), 1)}
    return None if len(numbers) == len(keys) else np.array([numbers[key] for key in keys])
