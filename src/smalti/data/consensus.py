"""One truth from several annotators: the majority, STAPLE, and the segments most of them found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..metrics.panoptic import crowd_segments, joined_stuff
from ..metrics.semantic import class_numbers
from ..metrics.void import both_judged, without
from ..overlaps import overlap
from ..runs import Runs
from ..segmentation import Segmentation
from .votes import VOID, Votes, check_truths, void_of


def class_votes(truths: Sequence[Segmentation]) -> Votes:
    """What each annotator says of every pixel's class: 0 no segment, 1..K the classes in order, void nothing.

    Where an annotator's segments overlap, a pixel has the class it has in ``Segmentation.semantic_map``. Raises
    ``InputError`` unless the truths share shape and classes.
    """
    check_truths(truths)
    return Votes.of_maps([class_numbers(truth) for truth in truths], [void_of(truth) for truth in truths])


def majority(truths: Sequence[Segmentation]) -> Segmentation:
    """The class most annotators give each pixel, one segment per class; "no segment" is a vote like any other.

    Void where as many say one thing as another, so that two annotators' consensus is what they agree on, and where
    nobody says anything. An annotator does not vote where his truth is void. Raises ``InputError`` unless the
    truths share shape and classes.

    >>> from smalti.classes import ClassSet
    >>> cell = ClassSet.from_names(["cell"])
    >>> rows = [[0, 1, 1]], [[0, 0, 1]], [[0, 1, 1]]
    >>> truths = [Segmentation.from_semantic_map(np.array(row), cell) for row in rows]
    >>> majority(truths).semantic_map()
    array([[0, 1, 1]], dtype=int32)
    """
    votes = class_votes(truths)
    return class_map(votes.majority()[0][votes.place], truths[0])


def class_map(numbers: np.ndarray, like: Segmentation) -> Segmentation:
    """One segment per class of a map (*S,) of class numbers 1..K, 0 none, ``VOID``; the rest is as in ``like``."""
    void = numbers == VOID
    present = np.unique(numbers)
    present = present[present > 0]
    lookup = np.zeros(len(like.classes) + 1, np.int32)
    lookup[present] = np.arange(1, len(present) + 1)
    return Segmentation.from_labels(
        lookup[np.where(void, 0, numbers)],
        class_ids=like.classes.ids[present - 1],
        classes=like.classes,
        geometry=like.geometry,
        void=void,
        copy=False,
    )


@dataclass(frozen=True, eq=False)
class Staple:
    """What STAPLE found: the consensus, and how well each annotator does against it.

    ``class_ids`` (L,) are the labels anybody used, 0 (no segment) among them, ascending by their place in the class
    set. ``confusion`` (A, L, L) is, for each annotator, the probability of saying the label of the column where the
    label of the row is true. ``prior`` (L,) is how frequent each label was taken to be.
    """

    segmentation: Segmentation
    class_ids: np.ndarray
    confusion: np.ndarray
    prior: np.ndarray
    iterations: int
    converged: bool
    _frequency: np.ndarray = field(repr=False)  # (L,) expected pixels of each label
    _posterior: np.ndarray = field(repr=False)  # (U, L) of each pattern
    _place: np.ndarray = field(repr=False)  # (*S,) pattern of each pixel

    @property
    def sensitivity(self) -> np.ndarray:
        """Probability (A, L) that an annotator gives a label where it is true."""
        return np.diagonal(self.confusion, axis1=1, axis2=2)

    @property
    def specificity(self) -> np.ndarray:
        """Probability (A, L) that an annotator does not give a label where it is not true; 1 where it always is."""
        others = self._frequency.sum() - self._frequency
        wrong = np.einsum("t,atl->al", self._frequency, self.confusion) - self._frequency * self.sensitivity
        return 1 - np.divide(wrong, others, out=np.zeros_like(wrong), where=others > 0)

    def probability(self, class_id: int) -> np.ndarray:
        """Probability (*S,) float32 that a class (0: no segment) is true of each pixel. Raises ``InputError``."""
        (column,) = np.nonzero(self.class_ids == class_id)
        if not len(column):
            raise InputError(f"nobody used class {class_id}; used were {self.class_ids.tolist()}")
        return self._posterior[:, column[0]].astype(np.float32)[self._place]


def staple(
    truths: Sequence[Segmentation],
    prior: Mapping[int, float] | None = None,
    max_iterations: int = 1000,
    tolerance: float = 1e-7,
) -> Staple:
    """The most probable truth, and each annotator's confusion of labels, by expectation maximisation.

    STAPLE: Warfield, Zou, Wells, IEEE Trans. Medical Imaging 23 (2004), for any number of labels as in its
    section III; with one class this is the binary form and ``confusion`` holds sensitivity and specificity. It begins
    with the shares of votes and ends when no probability of ``confusion`` changes by ``tolerance`` or more, or after
    ``max_iterations``. ``prior`` gives the frequency of labels by class id, 0 for no segment; what it does not
    name, shares the rest as the annotators use it, and without it they all do. One label for each pixel: where
    an annotator's segments overlap, that of ``semantic_map``. A pixel an annotator left void says nothing about him or
    her. Pixels that nobody judged, or where two labels are equally probable, are void in the consensus.

    With much empty ground around small objects its frequency outweighs the votes, as the paper says; crop the truths or
    give a ``prior``. Raises ``InputError`` unless the truths share shape and classes.
    """
    votes = class_votes(truths)
    numbers = np.unique(votes.said[votes.said != VOID])
    if not len(numbers):
        raise InputError("all truths are void everywhere; there is nothing to find a consensus of")
    ids = np.concatenate([[0], truths[0].classes.ids])[numbers]
    tally = votes.tally(int(numbers[-1]) + 1)[:, numbers].astype(np.float64)
    judged = tally.sum(axis=1) > 0
    counts = votes.counts * judged
    frequency = _prior(counts @ tally, ids, prior)

    said = np.searchsorted(numbers, votes.said)  # (U, A); of void anything, it is masked
    says = [np.where(column == VOID, False, True) for column in votes.said.T]
    posterior = tally / np.maximum(tally.sum(axis=1, keepdims=True), 1)
    confusion = np.tile(np.eye(len(numbers)), (len(truths), 1, 1))
    converged = False
    iterations = 0
    while iterations < max_iterations and not converged:
        iterations += 1
        before = confusion
        confusion = np.stack(
            [
                _confusion(said[rows, a], (posterior * counts[:, None])[rows], before[a])
                for a, rows in enumerate(says)
            ]
        )
        posterior = _posterior(said, says, confusion, frequency)
        converged = iterations > 1 and float(np.abs(confusion - before).max()) < tolerance
    best = posterior.max(axis=1, keepdims=True)
    clear = judged & (np.count_nonzero(posterior >= best * (1 - 1e-12), axis=1) == 1)
    chosen = np.where(clear, numbers[posterior.argmax(axis=1)], VOID)
    return Staple(
        class_map(chosen[votes.place], truths[0]),
        ids,
        confusion,
        frequency,
        iterations,
        converged,
        counts @ posterior,
        posterior,
        votes.place,
    )


def _prior(used: np.ndarray, ids: np.ndarray, given: Mapping[int, float] | None) -> np.ndarray:
    """Frequency of each label (L,), summing to 1."""
    frequency = used / used.sum()
    if given is None:
        return frequency
    known = np.array([class_id in given for class_id in ids.tolist()])
    values = np.array([given.get(class_id, 0.0) for class_id in ids.tolist()], np.float64)
    total = values.sum()
    if (values < 0).any() or total > 1 + 1e-9 or (known.all() and abs(total - 1) > 1e-6):
        raise InputError(f"a prior is probabilities of labels that sum to 1, got {dict(given)}")
    if not known.all():
        values[~known] = (1 - total) * frequency[~known] / frequency[~known].sum()
    return values


def _confusion(said: np.ndarray, weights: np.ndarray, before: np.ndarray) -> np.ndarray:
    """How often an annotator says each label (columns) where each is true (rows), (L, L); as before for a label
    that is true nowhere he or she judged."""
    num_labels = weights.shape[1]
    sums = np.stack([np.bincount(said, weights[:, true], minlength=num_labels) for true in range(num_labels)])
    totals = sums.sum(axis=1, keepdims=True)
    return np.where(totals > 0, sums / np.where(totals > 0, totals, 1), before)


def _posterior(
    said: np.ndarray, says: Sequence[np.ndarray], confusion: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Probability of each label in each pattern (U, L), in logarithms as hundreds may multiply."""
    with np.errstate(divide="ignore"):
        logs = np.tile(np.log(prior), (len(said), 1))
        for a, rows in enumerate(says):
            logs[rows] += np.log(confusion[a])[:, said[rows, a]].T
    top = logs.max(axis=1, keepdims=True)
    shifted = np.exp(logs - np.where(np.isfinite(top), top, 0))
    total = shifted.sum(axis=1, keepdims=True)
    return np.where(total > 0, shifted / np.where(total > 0, total, 1), prior)


def common_segments(
    truths: Sequence[Segmentation], min_iou: float = 0.5, min_share: float = 0.5
) -> Segmentation:
    """The segments that at least ``min_share`` of the annotators found, each with the pixels most of those gave it.

    Segments are the same object where their IoU is above ``min_iou`` (``match_segments``); stuff of one class
    always is. An object's pixels are those that more than half of its finders give it; where exactly half do, and no
    other object lies there, the consensus is void. Its class is the one most finders say, of equals the first
    annotator's. An annotator whose truth is void on more than half of an object could not find it and is not counted,
    and void pixels are no votes; a ``crowd`` is taken as void. Attribute ``found_by`` is the number of finders.
    Where the truths do not overlap, neither do the results: the object found by more annotators wins. Raises
    ``InputError`` unless the truths share shape and classes.
    """
    check_truths(truths)
    if not 0 < min_share <= 1:
        raise InputError(f"min_share is above 0 up to 1, got {min_share}")
    truths = [_judgeable(truth) for truth in truths]
    numbers = match_segments(truths, min_iou)
    voids = [void_of(truth) for truth in truths]
    shape = truths[0].shape
    runs, class_ids, finders, eligible = [], [], [], []
    doubtful = np.zeros(shape, bool)
    for members in _members(numbers):
        place = _place_of(truths, members)
        for_it, against = _pixel_votes(truths, voids, members, place)
        whole = np.count_nonzero(for_it)
        able = len(truths) - sum(
            2 * np.count_nonzero(void[place] & (for_it > 0)) > whole
            for a, void in enumerate(voids)
            if void is not None and a not in members
        )
        if len(members) < min_share * able - 1e-9:
            continue
        mask = for_it > against
        doubtful[place] |= (for_it == against) & (for_it > 0)
        runs.append(_placed_runs(mask, place, shape))
        said = [int(truths[a].class_ids[k - 1]) for a, k in members.items()]
        class_ids.append(max(said, key=said.count))
        finders.append(len(members))
        eligible.append(able)
    found = Segmentation.from_runs(
        shape,
        Runs.concatenate(runs),
        class_ids=class_ids,
        scores=np.array(finders) / np.array(eligible) if finders else None,
        classes=truths[0].classes,
        geometry=truths[0].geometry,
        attributes={"found_by": np.array(finders, np.int64)},
    )
    if not any(truth.overlapping for truth in truths):
        found = found.panoptic()
    found = found[found.areas_px > 0]
    doubtful &= found.semantic_map() == 0
    if all(void is not None for void in voids):
        doubtful |= np.all([void for void in voids if void is not None], axis=0)
    return found.replace(void=doubtful, scores=np.ones(len(found)))


def match_segments(truths: Sequence[Segmentation], min_iou: float = 0.5) -> list[np.ndarray]:
    """The number of the object that each segment of each annotator is, (N,) each; objects are numbered from 1.

    Pairs of annotators are matched one to one at IoU > ``min_iou``, whatever the class, and joined from the best match
    down, as long as no object gets two segments of one annotator. Segments of one class of stuff are one object.
    Segments without a partner, and crowds, are objects of their own.
    """
    check_truths(truths)
    first = np.concatenate([[0], np.cumsum([len(truth) for truth in truths])])
    stuff = [_is_stuff(truth) for truth in truths]
    edges: list[tuple[float, int, int]] = []
    for a, truth in enumerate(truths):
        for b in range(a + 1, len(truths)):
            found = overlap(*both_judged(truth, truths[b])).match(min_iou)
            single = ~(stuff[a][found.truth - 1] | stuff[b][found.predicted - 1])
            edges += zip(
                (-found.iou[single]).tolist(),
                (first[a] + found.truth[single] - 1).tolist(),
                (first[b] + found.predicted[single] - 1).tolist(),
                strict=True,
            )
    group = list(range(first[-1]))
    members = [{int(np.searchsorted(first, node, side="right")): node} for node in group]
    for _, one, other in sorted(edges):
        into, gone = sorted((group[one], group[other]))
        if into != gone and not members[into].keys() & members[gone].keys():
            for node in members[gone].values():
                group[node] = into
            members[into] |= members[gone]
    numbers = np.array(group, np.int64)
    for class_id in truths[0].classes.ids:
        nodes = np.flatnonzero(
            np.concatenate([kind & (t.class_ids == class_id) for t, kind in zip(truths, stuff, strict=True)])
        )
        if len(nodes):
            numbers[nodes] = nodes[0]
    _, numbers = np.unique(numbers, return_inverse=True)
    return np.split(numbers + 1, first[1:-1])


def _is_stuff(truth: Segmentation) -> np.ndarray:
    """Which segments are stuff, (N,) bool; crowds are not."""
    stuff = np.array([not truth.classes.of(class_id).thing for class_id in truth.class_ids], bool)
    return stuff & ~crowd_segments(truth)


def _judgeable(truth: Segmentation) -> Segmentation:
    """The truth with one segment per class of stuff, and its crowds made void."""
    crowds = crowd_segments(truth)
    if crowds.any():
        region = truth.void
        for k in np.flatnonzero(crowds):
            region |= truth.mask(int(k) + 1)
        truth = without(truth[~crowds], region)
    return joined_stuff(truth)


def _members(numbers: Sequence[np.ndarray]) -> Iterator[dict[int, int]]:
    """For each object the annotators who have it (0-based) with the number of their segment."""
    objects: dict[int, dict[int, int]] = {}
    for a, column in enumerate(numbers):
        for k, number in enumerate(column.tolist(), 1):
            objects.setdefault(number, {})[a] = k
    return (objects[number] for number in sorted(objects))


def _place_of(truths: Sequence[Segmentation], members: Mapping[int, int]) -> tuple[slice, ...]:
    """The box around all segments of an object."""
    boxes = np.array([truths[a].boxes[k - 1] for a, k in members.items() if truths[a].areas_px[k - 1]])
    if not len(boxes):
        return (slice(0, 0),) * truths[0].ndim
    low, high = np.split(boxes, 2, axis=1)
    return tuple(slice(int(a), int(b)) for a, b in zip(low.min(axis=0), high.max(axis=0), strict=True))


def _pixel_votes(
    truths: Sequence[Segmentation],
    voids: Sequence[np.ndarray | None],
    members: Mapping[int, int],
    place: tuple[slice, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """How many finders of an object give it each pixel of the box at ``place``, and how many do not."""
    size = tuple(part.stop - part.start for part in place)
    for_it, against = np.zeros(size, np.int32), np.zeros(size, np.int32)
    for a, k in members.items():
        crop, at = truths[a].crop(k)
        inside = tuple(
            slice(one.start - whole.start, one.stop - whole.start)
            for one, whole in zip(at, place, strict=True)
        )
        says = np.zeros(size, bool)
        if crop.size:
            says[inside] = crop
        void = voids[a]
        judges = np.ones(size, bool) if void is None else ~void[place]
        for_it += says & judges
        against += ~says & judges
    return for_it, against


def _placed_runs(mask: np.ndarray, place: tuple[slice, ...], shape: tuple[int, ...]) -> Runs:
    """Runs of one segment whose ``mask`` fills the box at ``place`` of an image of ``shape``."""
    if not mask.size:
        return Runs(np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    runs = Runs.of_masks(mask[None])
    start = np.array(np.unravel_index(runs.start.astype(np.int64), mask.shape))
    start += np.array([part.start for part in place])[:, None]
    moved = np.ravel_multi_index(tuple(start), shape)
    return Runs(runs.offsets, moved, moved + (runs.stop - runs.start))
