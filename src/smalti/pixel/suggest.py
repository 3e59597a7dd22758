"""Where annotating is most worth it: windows a model is unsure of, and of these some that differ from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from ..image import Image
from ..postprocess.uncertainty import Place, entropy, margin, most_uncertain_places

By = Literal["margin", "entropy"]
MEASURES = {"margin": margin, "entropy": entropy}

QUANTILES = 17
"""How many quantiles stand for the distribution of a value in a window."""
ALIKE = 0.02
"""Windows nearer to each other than this show the same thing: frames of a video, a file that was saved again."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A window of an image that may be suggested.

    ``image`` is the image's number and ``turn`` 0 for its most uncertain window, 1 for the next. ``between`` are the
    numbers of the two classes that it is least able to tell apart there, the more probable one first.
    ``probabilities`` (K,) are means over the window, ``looks`` (3, QUANTILES) its brightness, colour and edges.
    """

    image: int
    turn: int
    place: Place
    between: tuple[int, int]
    probabilities: np.ndarray
    looks: np.ndarray


def candidates(
    number: int,
    image: Image,
    probabilities: np.ndarray,
    size_px: int,
    most: int,
    by: By = "margin",
    known: np.ndarray | None = None,
) -> list[Candidate]:
    """Up to ``most`` windows of image ``number``, the most uncertain ones, apart from each other.

    ``probabilities`` are (K, *S), ``known`` (bool *S) is what is labelled already and does not count. A window is a
    square of ``size_px``, in a volume one of a slice. By ``margin`` those come first where the two best classes are
    close, which is where a label tells most about the border between them (Scheffer, Decomain and Wrobel 2001; Settles,
    Active learning literature survey, 2009, 3.1); by ``entropy`` those where many classes are possible.
    """
    if len(probabilities) < 2:
        raise InputError("a model that knows one class is never unsure; fit one that tells two apart")
    unsure = MEASURES[by](probabilities)
    size = (1,) * (image.ndim - 2) + (size_px, size_px)
    found = []
    for turn, place in enumerate(most_uncertain_places(unsure, size, known, most=most)):
        inside = slices_of(place.box)
        free = np.ones(unsure[inside].shape, bool) if known is None else ~known[inside]
        planes = probabilities[(slice(None), *inside)][:, free]
        means = planes.mean(1, dtype=np.float64)
        pair = wavering(planes, unsure[inside][free])
        between = (pair[0], pair[1]) if means[pair[0]] >= means[pair[1]] else (pair[1], pair[0])
        found.append(Candidate(number, turn, place, between, means, looks_of(image, inside)))
    return found


def choose(found: Sequence[Candidate], most: int) -> list[int]:
    """Numbers of up to ``most`` candidates to annotate, in this order: unsure ones, each unlike those before it.

    The first is the most uncertain one; each further one has the largest product of its uncertainty and its distance
    to the nearest of those chosen before. That is the greedy rule for weighted k-centres (Dyer and Frieze, Operations
    Research Letters 3, 1985), which without weights is the core-set of Sener and Savarese (ICLR 2018). One window of
    each image comes first, then second ones; at the end what looks like something chosen before. Windows that equal
    such a one, or of which the model is certain, are left out.
    """
    weights = np.array([each.place.value for each in found])
    turns = np.array([each.turn for each in found])
    shares = np.array([each.probabilities for each in found])
    looks = np.array([each.looks for each in found])
    if len(found):
        spread = looks.max((0, 2)) - looks.min((0, 2))
        looks = looks / np.where(spread > 0, spread, 1)[:, np.newaxis]
    nearest = np.ones(len(found))
    chosen: list[int] = []
    passes = [(turn, ALIKE) for turn in np.unique(turns).tolist()] + [(int(turns.max(initial=0)), 1e-9)]
    for turn, least in passes:
        while len(chosen) < most:
            gain = np.where((turns <= turn) & (nearest >= least), weights * nearest, 0)
            if not gain.any():
                break
            best = int(gain.argmax())
            chosen.append(best)
            by_class = np.abs(shares - shares[best]).sum(1) / 2
            by_looks = np.abs(looks - looks[best]).mean((1, 2))
            nearest = np.minimum(nearest, (by_class + by_looks) / 2)
            nearest[best] = 0
    return chosen


def slices_of(box: Sequence[int]) -> tuple[slice, ...]:
    """Where a box (2 * ndim,), all mins and then all maxs, lies in an array."""
    ndim = len(box) // 2
    return tuple(slice(low, high) for low, high in zip(box[:ndim], box[ndim:], strict=True))


def wavering(planes: np.ndarray, unsure: np.ndarray) -> tuple[int, int]:
    """The two classes that most of the uncertainty ``unsure`` (N,) lies between, by ``planes`` (K, N)."""
    two = np.sort(np.argsort(planes, axis=0, kind="stable")[-2:], axis=0)
    kinds = len(planes)
    sums = np.bincount(two[0] * kinds + two[1], unsure, kinds**2)
    first, second = divmod(int(sums.argmax()), kinds)
    return (first, second) if sums.any() else (int(two[0, 0]), int(two[1, 0]))


def looks_of(image: Image, inside: tuple[slice, ...]) -> np.ndarray:
    """Quantiles (3, QUANTILES) of brightness, of how far channels differ, and of edges: what a window looks like."""
    pixels = image.without_alpha().pixels[inside].astype(np.float64)
    pixels = pixels.reshape(pixels.shape[-3:])
    bright = pixels.mean(-1)
    edges = [np.abs(np.diff(bright, axis=axis)).reshape(-1) for axis in (0, 1)]
    edges.append(np.zeros(1))  # a window of one pixel has none
    steps = np.linspace(0, 1, QUANTILES)
    return np.stack(
        [np.quantile(values, steps) for values in (bright, pixels.std(-1), np.concatenate(edges))]
    )
