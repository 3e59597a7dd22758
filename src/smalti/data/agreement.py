"""Do annotators agree? Scores of every pair and against the majority, and the images people disagree on most."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations, islice
from typing import Literal

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..metrics.boundary import Tolerance, boundary_f, boundary_iou, outline_f
from ..metrics.krippendorff import coincidences, krippendorff_alpha
from ..metrics.means import mean_of_present
from ..metrics.panoptic import panoptic_quality
from ..metrics.partition import partition_scores
from ..metrics.semantic import class_overlap
from ..overlaps import overlap
from ..sample import Sample
from ..segmentation import Segmentation
from ..table import Table
from .consensus import class_map, class_votes, common_segments, match_segments
from .dataset import Dataset
from .votes import VOID, Votes, check_truths, void_of

Kind = Literal["semantic", "panoptic", "partition"]

SCORES: dict[Kind, tuple[str, ...]] = {
    "semantic": ("iou", "dice", "boundary_f", "boundary_iou"),
    "panoptic": ("pq", "sq", "rq", "iou", "dice", "boundary_f", "boundary_iou"),
    "partition": ("covering", "rand_f", "vi", "boundary_f"),
}
"""The scores of each kind of truth; the first of them says who disagrees most."""

MAX_LOOKED_AT = 20  # images looked at to tell which kind of truth a dataset has


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far the annotators of a dataset agree; ``measure_agreement`` makes it.

    ``images`` has a row for each image with several truths, those that people disagree on most first; ``pairs`` one for
    each pair of annotators of each image; ``annotators`` one for each annotator, ``classes`` one for each class
    (none for partitions). ``alpha`` is Krippendorff's, over all pixels of all images; NaN for partitions.

    An annotator is known by the place his truth has among the truths of an image, from 1. Where each image has other
    annotators, as in BSDS500, that is no person and ``annotators`` says little.
    """

    kind: Kind
    images: Table
    pairs: Table
    annotators: Table
    classes: Table
    alpha: float

    @property
    def scores(self) -> dict[str, float]:
        """Mean of each score over the images."""
        return {name: float(np.mean(self.images[name])) for name in SCORES[self.kind]}

    def __str__(self) -> str:
        means = ", ".join(f"{name} {value:.3f}" for name, value in self.scores.items())
        alpha = "" if np.isnan(self.alpha) else f"; Krippendorff's alpha {self.alpha:.3f}"
        parts = [f"{len(self.images)} images with several truths ({self.kind}): {means}{alpha}"]
        parts += ["annotators", str(self.annotators)]
        parts += ["classes", str(self.classes)] if len(self.classes) else []
        return "\n".join([*parts, "images, most disagreement first", str(self.images)])


def measure_agreement(
    dataset: Dataset,
    kind: Kind | None = None,
    tolerance: Tolerance = 2.0,
    workers: int | None = None,
) -> Agreement:
    """How far the truths of each image agree, pair by pair and each with the majority of the others.

    Images with one truth are passed over. ``kind`` is what the truths say, by default found out with ``kind_of``:

    - ``semantic``: IoU and Dice, mean over the classes on either side, boundary F within ``tolerance`` (pixels, or a
      length such as ``"1.5um"``) and boundary IoU.
    - ``panoptic`` (objects, with or without stuff): also PQ, SQ, RQ; boundary F of the lines between segments.
    - ``partition`` (regions without a class that cover the image): covering, mean of both directions, adapted Rand F,
      variation of information and boundary F.

    ``consensus`` is the first of these scores of an annotator against the ``majority`` or ``common_segments`` of all
    *other* annotators, since a majority that includes his own vote would flatter him; for a partition it is the mean
    over the others. ``odd_one`` is the annotator furthest from it, 0 where several are. ``area_ratio`` is the labelled
    area over that of the consensus, ``segments_ratio`` the number of segments over the mean of the others. ``alpha`` is
    taken over pixels, which are not independent of each other: it tells chance from agreement, not how sure one
    may be. Raises ``InputError`` where no image has several truths.
    """
    if kind is None:
        looked_at = (sample.truths for sample in islice(_annotated(dataset), MAX_LOOKED_AT))
        kind = kind_of(truth for truths in looked_at if len(truths) > 1 for truth in truths)
    if kind not in SCORES:
        raise InputError(f"kind is one of {', '.join(SCORES)}, got {kind!r}")
    workers = min(4, os.cpu_count() or 1) if workers is None else workers
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(partial(_compare, kind=kind, tolerance=tolerance), _annotated(dataset)))
    images = [image for image in found if image is not None]
    if not images:
        raise InputError(f"none of {len(dataset)} samples has several truths; there is nothing to compare")
    images.sort(key=lambda image: (image.mean(0), image.name))
    total = sum((image.coincidence for image in images), np.zeros_like(images[0].coincidence))
    return Agreement(
        kind,
        _table_of_images(images, kind),
        _table_of_pairs(images, kind),
        _table_of_annotators(images),
        _table_of_classes(images, dataset.classes, kind),
        krippendorff_alpha(total) if kind != "partition" else float("nan"),
    )


def kind_of(truths: Iterable[Segmentation]) -> Kind:
    """What truths say: ``partition`` where there is one class and every image is cut up into several segments that
    leave nothing over, ``panoptic`` where a class has two segments, else ``semantic``."""
    seen = list(truths)
    if seen and all(len(t.classes) == 1 and len(t) > 1 and _covers(t) for t in seen):
        return "partition"
    several = any(len(np.unique(truth.class_ids)) < len(truth) for truth in seen)
    return "panoptic" if several else "semantic"


def disagreement_map(truths: Sequence[Segmentation], kind: Kind | None = None) -> np.ndarray:
    """Share of the annotators that differ from the majority at each pixel, (*S,) float32, 0 where all agree.

    ``semantic``: who does not say the class most say. ``panoptic``: who does not have the object there that most have,
    objects being the same as in ``match_segments``. Those whose truth is void do not count; nor does anything where
    nobody says something. ``partition``, where regions have no names: one minus the IoU of the two regions a pixel lies
    in, mean over the pairs of annotators. Raises ``InputError`` unless there are two or more of one shape and classes.
    """
    check_truths(truths, fewest=2)
    kind = kind_of(truths) if kind is None else kind
    if kind == "semantic":
        votes = class_votes(truths)
        return votes.differing().astype(np.float32)[votes.place]
    flat = [truth.panoptic() for truth in truths]
    voids = [void_of(truth) for truth in flat]
    if kind == "panoptic":
        numbers = [np.concatenate([[0], numbers]) for numbers in match_segments(flat)]
        objects = [lookup[truth.labels] for lookup, truth in zip(numbers, flat, strict=True)]
        votes = Votes.of_maps(objects, voids)
        return votes.differing().astype(np.float32)[votes.place]
    votes = Votes.of_maps([truth.labels for truth in flat], voids)
    apart, pairs = np.zeros(len(votes.said)), np.zeros(len(votes.said))
    for a, b in combinations(range(len(flat)), 2):
        table = overlap(flat[a], flat[b])
        both = np.flatnonzero((votes.said[:, [a, b]] > 0).all(axis=1))
        keys = votes.said[both, a].astype(np.int64) << 32 | votes.said[both, b]
        row = np.searchsorted(table.truth << 32 | table.predicted, keys)
        apart[both] += 1 - table.iou[row]
        pairs[both] += 1
    return (apart / np.maximum(pairs, 1)).astype(np.float32)[votes.place]


@dataclass(frozen=True, eq=False)
class _Image:
    """What was found for one image of A annotators and P pairs; its columns are in the order of ``SCORES``."""

    name: str
    pairs: list[tuple[int, int]]
    scores: np.ndarray  # (P, scores)
    consensus: np.ndarray  # (A,)
    areas: np.ndarray  # (A, 2): labelled pixels of each annotator and of the consensus of the others
    segments: np.ndarray  # (A,)
    coincidence: np.ndarray  # (K + 1, K + 1)
    of_class: np.ndarray  # (P, K, scores), NaN where there is none
    present: np.ndarray  # (K,) bool

    def mean(self, score: int) -> float:
        return float(self.scores[:, score].mean())

    @property
    def odd_one(self) -> int:
        """Annotator from 1 with the lowest score against the others' consensus; 0 where several have it."""
        lowest = np.flatnonzero(self.consensus <= self.consensus.min() + 1e-12)
        return int(lowest[0]) + 1 if len(lowest) == 1 else 0


def _annotated(dataset: Dataset) -> Iterable[Sample]:
    return (sample for sample in dataset if sample.annotated)


def _covers(truth: Segmentation) -> bool:
    return not truth.overlapping and int(truth.areas_px.sum()) + truth.void_px >= int(np.prod(truth.shape))


def _compare(sample: Sample, kind: Kind, tolerance: Tolerance) -> _Image | None:
    truths = sample.truths
    if len(truths) < 2:
        return None
    try:
        check_truths(truths)
    except InputError as error:
        raise InputError(f"sample {sample.name!r}: {error}") from error
    pairs = list(combinations(range(len(truths)), 2))
    num_classes = len(truths[0].classes)
    score = _partition_pair if kind == "partition" else partial(_class_pair, kind=kind)
    found = [score(truths[a], truths[b], tolerance=tolerance) for a, b in pairs]
    scores = np.array([overall for overall, _ in found])
    if kind == "partition":
        consensus = np.array(
            [
                np.mean([row[0] for pair, row in zip(pairs, scores, strict=True) if a in pair])
                for a in range(len(truths))
            ]
        )
        areas = np.array([[truth.areas_px.sum()] * 2 for truth in truths])
        coincidence = np.zeros((num_classes + 1,) * 2)
    else:
        votes = class_votes(truths)
        coincidence = coincidences(votes.tally(num_classes + 1), votes.counts)
        consensus, areas = _against_others(truths, votes, kind)
    present = np.isin(truths[0].classes.ids, np.concatenate([t.class_ids[t.areas_px > 0] for t in truths]))
    return _Image(
        sample.name,
        pairs,
        scores,
        consensus,
        areas,
        np.array([np.count_nonzero(truth.areas_px) for truth in truths]),
        coincidence,
        np.array([of_class for _, of_class in found]),
        present,
    )


def _class_pair(
    truth: Segmentation, other: Segmentation, kind: Kind, tolerance: Tolerance
) -> tuple[list[float], np.ndarray]:
    """The scores of two truths in the order of ``SCORES``, and those of each class (K, scores)."""
    pixels = class_overlap(truth, other)
    lines, bands = boundary_f(truth, other, tolerance), boundary_iou(truth, other)
    overall = [pixels.mean_iou, pixels.mean_dice, mean_of_present(lines), mean_of_present(bands)]
    of_class = [pixels.iou, pixels.dice, lines, bands]
    if kind == "panoptic":
        objects = panoptic_quality(truth, other)
        overall[2] = outline_f(truth.panoptic(), other.panoptic(), tolerance)
        overall = [objects.pq, objects.sq, objects.rq, *overall]
        of_class = [objects.pq_of_class, objects.sq_of_class, objects.rq_of_class, *of_class]
    return overall, np.stack(of_class, axis=1)


def _partition_pair(
    truth: Segmentation, other: Segmentation, tolerance: Tolerance
) -> tuple[list[float], np.ndarray]:
    found = partition_scores(truth, other)
    lines = outline_f(truth, other, tolerance)
    overall = [(found.covering + found.covered) / 2, found.rand_f, found.vi, lines]
    return overall, np.full((len(truth.classes), len(overall)), np.nan)


def _against_others(
    truths: Sequence[Segmentation], votes: Votes, kind: Kind
) -> tuple[np.ndarray, np.ndarray]:
    """Score (A,) of each annotator against the consensus of all others, and labelled pixels (A, 2) of both."""
    scores, areas = [], []
    for a, truth in enumerate(truths):
        others = votes.without(a)
        winner, _ = others.majority()
        judged = (votes.said[:, a] != VOID) & (winner != VOID)
        areas.append([int(votes.counts[judged & (said > 0)].sum()) for said in (votes.said[:, a], winner)])
        if kind == "panoptic":
            common = common_segments([*truths[:a], *truths[a + 1 :]])
            scores.append(panoptic_quality(common, truth).pq)
        else:
            scores.append(class_overlap(class_map(winner[others.place], truth), truth).mean_iou)
    return np.array(scores), np.array(areas)


def _table_of_images(images: Sequence[_Image], kind: Kind) -> Table:
    first = SCORES[kind][0]
    columns = {
        "image": np.array([image.name for image in images]),
        "annotators": np.array([len(image.consensus) for image in images]),
    }
    columns |= {
        name: np.array([image.mean(score) for image in images]) for score, name in enumerate(SCORES[kind])
    }
    columns[f"lowest_{first}"] = np.array([image.scores[:, 0].min() for image in images])
    columns["consensus"] = np.array([image.consensus.mean() for image in images])
    if kind != "partition":
        columns["alpha"] = np.array([krippendorff_alpha(image.coincidence) for image in images])
    columns["odd_one"] = np.array([image.odd_one for image in images])
    return Table(columns)


def _table_of_pairs(images: Sequence[_Image], kind: Kind) -> Table:
    rows = [(image.name, a + 1, b + 1) for image in images for a, b in image.pairs]
    scores = np.concatenate([image.scores for image in images])
    columns = dict(zip(("image", "first", "second"), map(np.array, zip(*rows, strict=True)), strict=True))
    return Table(columns | dict(zip(SCORES[kind], scores.T, strict=True)))


def _table_of_annotators(images: Sequence[_Image]) -> Table:
    numbers = range(max(len(image.consensus) for image in images))
    rows = []
    for a in numbers:
        of = [image for image in images if a < len(image.consensus)]
        pairs = [image.scores[i, 0] for image in of for i, pair in enumerate(image.pairs) if a in pair]
        own, common = np.sum([image.areas[a] for image in of], axis=0)
        others = sum((image.segments.sum() - image.segments[a]) / (len(image.segments) - 1) for image in of)
        rows.append(
            (
                a + 1,
                len(of),
                np.mean([image.consensus[a] for image in of]),
                np.mean(pairs),
                own / common if common else np.nan,
                sum(image.segments[a] for image in of) / others if others else np.nan,
                sum(image.odd_one == a + 1 for image in of),
            )
        )
    names = ("annotator", "images", "consensus", "others", "area_ratio", "segments_ratio", "odd_one")
    return Table(dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True)))


def _table_of_classes(images: Sequence[_Image], classes: ClassSet, kind: Kind) -> Table:
    present = np.sum([image.present for image in images], axis=0)
    used = np.flatnonzero(present) if kind != "partition" else np.zeros(0, np.int64)
    values = np.concatenate([image.of_class for image in images])[:, used]  # pairs, classes, scores
    exists = ~np.isnan(values)
    means = np.divide(
        np.nansum(values, axis=0),
        exists.sum(axis=0),
        out=np.full(values.shape[1:], np.nan),
        where=exists.any(axis=0),
    )
    columns = {"class": np.array([classes.names[k] for k in used]), "images": present[used]}
    return Table(columns | dict(zip(SCORES[kind], means.T, strict=True)))
