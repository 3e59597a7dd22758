"""COCO's average precision and recall of ranked objects, by masks and by their boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import compiled
from ..errors import InputError
from ..masks import rles_from_runs
from ..segmentation import Segmentation
from .means import mean_over_classes
from .metric import Metric, Score, Scores
from .pair import Pair
from .panoptic import crowd_segments

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
RANGES = np.array(list(AREAS.values()), np.float64)

# Which recalls are reported: area range and the number of detections of a class and image that count.
_RECALLS_OF = {
    "ar1": (0, 1),
    "ar10": (0, 10),
    "ar100": (0, 100),
    "ar_small": (1, 100),
    "ar_medium": (2, 100),
    "ar_large": (3, 100),
}
_SCORES = (
    Score("ap", "AP"),
    Score("ap50", "AP at IoU 0.5"),
    Score("ap75", "AP at IoU 0.75"),
    Score("ap_small", "AP, below 32² px"),
    Score("ap_medium", "AP, 32² to 96² px"),
    Score("ap_large", "AP, above 96² px"),
    Score("ar1", "AR, 1 detection"),
    Score("ar10", "AR, 10 detections"),
    Score("ar100", "AR, 100 detections"),
    Score("ar_small", "AR, below 32² px"),
    Score("ar_medium", "AR, 32² to 96² px"),
    Score("ar_large", "AR, above 96² px"),
    Score("ap_of_class", "AP", per_class=True),
    Score("ap50_of_class", "AP at IoU 0.5", per_class=True),
    Score("ar100_of_class", "AR, 100 detections", per_class=True),
)


class Ranked(NamedTuple):
    """What is kept of one image: its detections, by class and the surest first, and the objects to be found.

    ``class_ids`` (D,), ``scores`` (D,) and ``rank`` (D,), the place within class and image. Bit ``area * 10 +
    threshold`` of ``right`` (D,) says that the detection found an object, of ``left_out`` (D,) that it does not count.
    ``truth_ids`` (G,) are the classes of truth, ``wanted`` (A, G) what counts in which area range.
    """

    class_ids: np.ndarray
    scores: np.ndarray
    rank: np.ndarray
    right: np.ndarray
    left_out: np.ndarray
    truth_ids: np.ndarray
    wanted: np.ndarray
    all_ids: np.ndarray


def average_precision(pairs: Sequence[Pair], boundary: bool = False) -> dict[str, float]:
    """The twelve numbers of the COCO evaluation over a set of images: ``ap``, ``ap50``, ..., ``ar_large``.

    AP is the mean over classes, over the IoU thresholds 0.50, 0.55, ..., 0.95 and over the recalls 0, 0.01, ..., 1 of
    the largest precision TP / (TP + FP) at that recall or a higher one, detections of all images being taken from the
    highest score down. ``ap50`` and ``ap75`` are of one threshold, ``ap_small`` and the like of objects by their area
    in pixels. AR is the mean over classes and thresholds of the recall TP / (TP + FN) reached with the 1, 10 or 100
    surest detections of each class and image (Lin et al., Microsoft COCO, ECCV 2014, and the rules of its evaluation).

    Equal to pycocotools and hotcoco where nothing is void, with areas being those of the masks; pycocotools takes the
    box's area of results that come with a box as well. Crowds are regions where detections are neither right nor wrong,
    by the share of the detection inside. An object that is more than half void on the other side is not counted either,
    nor is such a detection that finds none. Classes of stuff have no objects to find and are left out.

    With ``boundary`` the IoU of two segments is the smaller of that of their masks and that of their bands, the pixels
    within 2 % of the image's diagonal of the outline (Cheng et al., Boundary IoU, CVPR 2021); in crowds masks decide.

    NaN where there is no object to find, whatever was detected. Raises ``InputError`` without images, and when
    the class sets of images differ.
    """
    _check(pairs)
    metric = BoundaryAveragePrecision() if boundary else AveragePrecision()
    scores = metric.score([metric.keep(pair) for pair in pairs], np.ones((1, len(pairs))))
    prefix = "boundary_" if boundary else ""
    return {score.name: float(scores[prefix + score.name][0]) for score in _SCORES if not score.per_class}


def hotcoco_average_precision(pairs: Sequence[Pair]) -> dict[str, float]:
    """The numbers of ``average_precision`` from hotcoco, an implementation of its own: to check one by the other.

    It gives no intervals, no boundary AP, and knows no void. Raises ``InputError`` for that, for volumes, and as
    ``average_precision``.
    """
    from hotcoco import COCO, COCOeval

    _check(pairs)
    classes = [one for one in pairs[0].truth.classes if one.thing]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for number, pair in enumerate(pairs, 1):
        if pair.void is not None or pair.truth.ndim != 2:
            raise InputError("hotcoco takes images without void; average_precision takes void and volumes")
        height, width = pair.truth.shape
        images.append({"id": number, "height": height, "width": width})
        annotations += _annotations(pair.truth, number, len(annotations))
        detections += _annotations(pair.predicted, number, len(detections), crowd=False)
    categories = [{"id": one.id, "name": one.name} for one in classes]
    truth, predicted = (
        COCO({"images": images, "annotations": side, "categories": categories})
        for side in (annotations, detections)
    )
    evaluation = COCOeval(truth, predicted, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    assert evaluation.eval is not None  # accumulated above
    precision, recall = (np.asarray(evaluation.eval[name]) for name in ("precision", "recall"))
    columns = {
        "ap": precision[..., 0, 2],
        "ap50": precision[:1, ..., 0, 2],
        "ap75": precision[5:6, ..., 0, 2],
    }
    columns |= {f"ap_{name}": precision[..., area, 2] for area, name in enumerate(AREAS) if area}
    columns |= {
        name: recall[..., area, (1, 10, 100).index(most)] for name, (area, most) in _RECALLS_OF.items()
    }
    return {
        name: float(values[values >= 0].mean()) if (values >= 0).any() else float("nan")
        for name, values in columns.items()
    }


class AveragePrecision(Metric):
    """COCO's mask AP and AR; see ``average_precision``."""

    name: ClassVar[str] = "average_precision"
    keeps: ClassVar[Any] = Ranked
    scores: ClassVar[tuple[Score, ...]] = _SCORES
    headline: ClassVar[str] = "ap"

    _prefix: ClassVar[str] = ""

    def keep(self, pair: Pair) -> Ranked:
        return rank_and_match(pair)

    def score(self, kept: Sequence[Any], weights: np.ndarray) -> Scores:
        precision, recalls = _of_classes(kept, weights)
        by_class = {
            "ap": precision[:, :, 0].mean(axis=2),
            "ap50": precision[:, :, 0, 0],
            "ap75": precision[:, :, 0, 5],
            **{f"ap_{name}": precision[:, :, area].mean(axis=2) for area, name in enumerate(AREAS) if area},
            **{name: recalls[:, :, place] for place, name in enumerate(_RECALLS_OF)},
        }
        scores = {name: mean_over_classes(values) for name, values in by_class.items()}
        scores |= {f"{name}_of_class": by_class[name] for name in ("ap", "ap50", "ar100")}
        return {self._prefix + name: values for name, values in scores.items()}


class BoundaryAveragePrecision(AveragePrecision):
    """COCO's AP and AR with boundary IoU; see ``average_precision``."""

    name: ClassVar[str] = "boundary_average_precision"
    scores: ClassVar[tuple[Score, ...]] = tuple(
        Score(f"boundary_{score.name}", f"boundary {score.title}", per_class=score.per_class)
        for score in _SCORES
    )
    headline: ClassVar[str] = "boundary_ap"

    _prefix: ClassVar[str] = "boundary_"

    def keep(self, pair: Pair) -> Ranked:
        return rank_and_match(pair, boundary=True)


def rank_and_match(pair: Pair, boundary: bool = False) -> Ranked:
    """The detections of one image, ranked and matched by the rules of ``average_precision``."""
    kernels = compiled.detections
    truth, predicted = pair.judged
    crowd = crowd_segments(truth)
    things = np.array(sorted(one.id for one in truth.classes if one.thing), np.int32)
    order, rank, judged = (np.empty(len(predicted), np.int64) for _ in range(3))
    offsets = np.empty(len(predicted) + 1, np.int64)
    truth_judged = np.empty(len(truth), np.int64)
    kept, truths, ious = kernels.overlap_ranked(
        np.lexsort((-predicted.scores, predicted.class_ids)),
        predicted.class_ids,
        *_arrays(predicted),
        np.argsort(truth.class_ids, kind="stable"),
        truth.class_ids,
        *_arrays(truth),
        crowd,
        things,
        THRESHOLDS[0],
        order,
        rank,
        judged,
        truth_judged,
        offsets,
    )
    order = order[:kept]
    if boundary:
        detections = np.repeat(order, np.diff(offsets[: kept + 1]))
        outlined = np.flatnonzero(
            ~crowd[truths]
        )  # of a crowd the share of the mask counts, as in the paper's code
        bands = _boundary_ious(pair, truths[outlined] + 1, detections[outlined] + 1)
        ious[outlined] = np.minimum(ious[outlined], bands)
    areas, truth_areas = judged, truth_judged
    if truth.void_px:
        areas, truth_areas = pair.predicted.areas_px, pair.truth.areas_px
    wanted = np.empty((len(RANGES), len(truth)), bool)
    kernels.truths_to_find(truth.class_ids, things, truth_areas, truth_judged, crowd, RANGES, wanted)
    right, left_out = np.zeros(kept, np.uint64), np.zeros(kept, np.uint64)
    kernels.match_ranked(
        order, offsets, truths, ious, THRESHOLDS, crowd, wanted, areas, judged, RANGES, right, left_out
    )
    return Ranked(
        predicted.class_ids[order],
        predicted.scores[order],
        rank[:kept].astype(np.uint8),
        right,
        left_out,
        truth.class_ids,
        wanted,
        truth.classes.ids,
    )


def _of_classes(kept: Sequence[Ranked], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision (B, K, A, T) and the recalls (B, K, 6) of every class; NaN without an object to find."""
    weights = np.ascontiguousarray(weights, np.float64)
    ids = kept[0].all_ids
    by_id = np.argsort(ids)
    columns = zip(*kept, strict=True)
    class_ids, scores, rank, right, left_out, truth_ids = (np.concatenate(next(columns)) for _ in range(6))
    wanted = np.concatenate(next(columns), axis=1)
    images = np.repeat(np.arange(len(kept)), [len(one.scores) for one in kept])
    truth_images = np.repeat(np.arange(len(kept)), [len(one.truth_ids) for one in kept])
    index = by_id[np.searchsorted(ids, class_ids, sorter=by_id)]
    truth_index = by_id[np.searchsorted(ids, truth_ids, sorter=by_id)]

    order = np.lexsort((-scores, index))  # equal scores stay in the order of the images, as in pycocotools
    ends = np.searchsorted(index[order], np.arange(len(ids) + 1))
    num_thresholds = len(THRESHOLDS)
    precision = np.full((len(weights), len(ids), len(AREAS), num_thresholds), np.nan)
    recalls = np.full((len(weights), len(ids), len(_RECALLS_OF)), np.nan)
    for k in np.unique(truth_index[wanted.any(axis=0)]):
        chosen = order[ends[k] : ends[k + 1]]
        own = truth_index == k
        num_truths = np.stack([np.bincount(truth_images[own & some], minlength=len(kept)) for some in wanted])
        num_truths = weights @ num_truths.T.astype(np.float64)  # B, A
        present, image = np.unique(images[chosen], return_inverse=True)
        weights_here = np.ascontiguousarray(weights[:, present])
        precision[:, k] = compiled.detections.precision_of_class(
            image, right[chosen], left_out[chosen], num_truths, weights_here, RECALLS, num_thresholds
        )
        for column, (area, most) in enumerate(_RECALLS_OF.values()):
            of_range = right[chosen] >> np.uint64(area * num_thresholds) & np.uint64(2**num_thresholds - 1)
            found = np.bitwise_count(of_range) * (rank[chosen] < most)
            hits = np.bincount(image, found, len(present)) / num_thresholds
            exists = num_truths[:, area] > 0
            np.divide(weights_here @ hits, num_truths[:, area], out=recalls[:, k, column], where=exists)
    return precision, recalls


def _boundary_ious(pair: Pair, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """IoU (P,) of the bands of pairs of segments, numbered from 1."""
    width = max(1, round(0.02 * float(np.linalg.norm(pair.truth.shape))))
    bands = [
        {int(k): _band(side, int(k), width, pair.void) for k in np.unique(numbers)}
        for side, numbers in zip(pair.judged, (rows, columns), strict=True)
    ]
    ious = np.zeros(len(rows))
    for index, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        (first, place), (second, other) = bands[0][row], bands[1][column]
        low = [max(a.start, b.start) for a, b in zip(place, other, strict=True)]
        high = [max(min(a.stop, b.stop), start) for a, b, start in zip(place, other, low, strict=True)]
        parts = [
            band[tuple(slice(a - s.start, b - s.start) for a, b, s in zip(low, high, where, strict=True))]
            for band, where in ((first, place), (second, other))
        ]
        shared = np.count_nonzero(parts[0] & parts[1])
        area, other_area = np.count_nonzero(first), np.count_nonzero(second)
        united = area + other_area - shared
        ious[index] = shared / united if united else 0.0
    return ious


def _band(
    side: Segmentation, k: int, width: int, void: np.ndarray | None
) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Pixels of segment ``k`` with something else, or the end of the image, within ``width``, and where they lie.

    Void beside a segment is looked through, as nobody drew a line there.
    """
    crop, place = side.crop(k)
    around = tuple(slice(max(s.start - width, 0), s.stop + width) for s in place)
    inside = tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(place, around, strict=True))
    solid = np.zeros_like(crop) if void is None else void[around].copy()
    if void is None:
        solid, inside = crop, tuple(slice(None) for _ in place)
    else:
        solid[inside] |= crop
    if crop.ndim == 2:
        import cv2

        kernel = np.ones((2 * width + 1,) * 2, np.uint8)
        kept = cv2.erode(
            np.ascontiguousarray(solid).view(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
        ).view(bool)
    else:
        from scipy.ndimage import minimum_filter

        kept = minimum_filter(solid, 2 * width + 1, mode="constant", cval=0)
    return crop & ~kept[inside], place


def _annotations(side: Segmentation, image: int, before: int, crowd: bool = True) -> list[dict[str, Any]]:
    """The things of one side as COCO's annotations, numbered after the ``before`` that there are."""
    crowds = crowd_segments(side) & crowd
    boxes, areas, scores = side.boxes.tolist(), side.areas_px.tolist(), side.scores.tolist()
    things = [k for k, class_id in enumerate(side.class_ids.tolist()) if side.classes.of(class_id).thing]
    rles = rles_from_runs(side.runs, side.shape)
    return [
        {
            "id": before + number,
            "image_id": image,
            "category_id": int(side.class_ids[k]),
            "segmentation": rles[k],
            "area": areas[k],
            "bbox": [boxes[k][1], boxes[k][0], boxes[k][3] - boxes[k][1], boxes[k][2] - boxes[k][0]],
            "iscrowd": int(crowds[k]),
            "score": scores[k],
        }
        for number, k in enumerate(things, 1)
    ]


def _arrays(side: Segmentation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return side.runs.offsets, side.runs.start, side.runs.stop


def _check(pairs: Sequence[Pair]) -> None:
    if not len(pairs):
        raise InputError("no images to score; give at least one Pair")
    if any(pair.truth.classes != pairs[0].truth.classes for pair in pairs):
        raise InputError(
            "all images must have the same classes; replace(classes=...) gives one those of another"
        )
