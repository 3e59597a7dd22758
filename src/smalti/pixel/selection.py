"""Which features a forest keeps: the most important ones, and the place in the image only where that is of use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .trees import MAX_FEATURES

PLACE_GAIN = 0.01
"""Mean IoU, of images not seen, that position must bring to be used: images of one scene may have it by chance."""

Gains = Callable[[list[int]], np.ndarray]
"""From the numbers of some features to what the splits of trees on these gained by each."""
Score = Callable[[list[int]], float]
"""From the numbers of some features to how well trees on these do on images they have not seen."""


def selected(families: Sequence[str], most: int, weigh_place: bool, gains: Gains, score: Score) -> list[int]:
    """The numbers of at most ``most`` features, in ascending order, of those that belong to these ``families``.

    With ``weigh_place`` position is kept only if trees do better by it on images they have not seen.
    """
    place = [number for number, family in enumerate(families) if weigh_place and family == "position"]
    plain = [number for number in range(len(families)) if number not in place]
    kept = most_important(plain, most, gains)
    if not place:
        return kept
    with_place = sorted([*kept, *place])
    if score(with_place) < score(kept) + PLACE_GAIN:
        return kept
    return most_important(with_place, most, gains)


def most_important(candidates: list[int], most: int, gains: Gains) -> list[int]:
    """The ``most`` candidates that splits gain most by; more than trees can take lose half of each part first."""
    while len(candidates) > most:
        at_once = len(candidates) <= MAX_FEATURES
        parts = np.array_split(candidates, -(-len(candidates) // MAX_FEATURES))
        candidates = []
        for part in (each.tolist() for each in parts):
            kept = most if at_once else max(1, len(part) // 2)
            candidates += [part[place] for place in np.argsort(-gains(part), kind="stable")[:kept]]
    return sorted(candidates)
