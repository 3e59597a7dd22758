"""CVAT's tracks: what is drawn in a frame between two that were drawn by hand.

Boxes and ellipses move evenly. Points of polygons are matched by how far along the outline they lie, as in
``TrackManager.interpolate`` of CVAT's ``dataset_manager/annotation.py``; where both outlines have as many points at the
same places along them, each moves evenly to its counterpart. Masks stay as they are until the next.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np

from .cvat_shapes import Drawn


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A track in one frame: its shape, and whether it is out of sight from here on."""

    frame: int
    drawn: Drawn
    outside: bool


@dataclass(frozen=True, eq=False)
class Track:
    """One object through time; its keyframes ascend."""

    track_id: int
    keyframes: tuple[Keyframe, ...]

    def at(self, frame: int) -> Drawn | None:
        """Its shape in a frame; None before its first and while it is out of sight."""
        index = bisect_right(self.keyframes, frame, key=lambda each: each.frame) - 1
        if index < 0 or self.keyframes[index].outside:
            return None
        left = self.keyframes[index]
        if left.frame == frame or index + 1 == len(self.keyframes):
            return left.drawn
        right = self.keyframes[index + 1]
        return between(left.drawn, right.drawn, (frame - left.frame) / (right.frame - left.frame))


def between(left: Drawn, right: Drawn, part: float) -> Drawn:
    """The shape at ``part`` (0..1) of the way from one to the other."""
    if left.kind != right.kind or left.kind == "mask":
        return left
    if left.kind == "polygon":
        return replace(left, numbers=_outline_between(left.numbers, right.numbers, part))
    turn = (right.degrees - left.degrees + 180) % 360 - 180  # the shorter way round
    return replace(
        left,
        numbers=left.numbers + (right.numbers - left.numbers) * part,
        degrees=(left.degrees + turn * part) % 360,
    )


def _outline_between(left: np.ndarray, right: np.ndarray, part: float) -> np.ndarray:
    """An outline (P, 2) between two: every point of either meets the nearest along the other."""
    left, right = (np.concatenate([ring, ring[:1]]) for ring in (left, right))
    matches = _matches(_along(left), _along(right))
    pairs = [(index, other) for index, others in enumerate(matches) for other in others]
    moved = np.array([left[index] + (right[other] - left[index]) * part for index, other in pairs])
    first = np.cumsum([0, *map(len, matches)]).tolist()  # of each left point among the moved
    parts = []
    index = 0
    while index < len(left):
        others = matches[index]
        if len(others) > 1:
            base = right[others[0] : others[-1] + 1]
            parts.append(_thinned(moved[first[index] : first[index + 1]], base))
            index += 1
            continue
        stop = index + 1
        while stop < len(left) and matches[stop] == others:
            stop += 1
        parts.append(_thinned(moved[first[index] : first[stop]], left[index:stop]))
        index = stop
    return np.concatenate(parts)[:-1]


def _along(points: np.ndarray) -> np.ndarray:
    """How far along a line each of its points lies, 0..1."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    length = steps.sum()
    return np.concatenate([[0.0], np.cumsum(steps) / length if length else np.zeros(len(steps))])


def _matches(left: np.ndarray, right: np.ndarray) -> list[list[int]]:
    """For each point of the left line those of the right one that it meets."""
    matches = [[other] for other in _nearest(left, right).tolist()]
    unmet = np.setdiff1d(np.arange(len(right)), [each[0] for each in matches])
    for other, index in zip(unmet.tolist(), _nearest(right[unmet], left).tolist(), strict=True):
        matches[index].append(other)
    return [sorted(each) for each in matches]


def _nearest(values: np.ndarray, line: np.ndarray) -> np.ndarray:
    """For each value the index of the nearest in an ascending line, the first of several."""
    above = np.clip(np.searchsorted(line, values), 1, len(line) - 1)
    best = np.where(values - line[above - 1] <= line[above] - values, above - 1, above)
    return np.searchsorted(line, line[best])


def _thinned(points: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Of points that all meet one, those that are not too close to the one before; their mean if all are."""
    if len(points) == 1:
        return points
    least = np.hypot(*np.diff(base, axis=0).T).sum() / (2 * len(base))
    kept = [points[0]]
    for point in points[1:-1]:
        if np.hypot(*(point - kept[-1])) >= least:
            kept.append(point)
    kept.append(points[-1])
    if len(kept) == 2 and np.hypot(*(kept[0] - kept[1])) < least:
        return np.array([(kept[0] + kept[1]) / 2])
    return np.array(kept)
