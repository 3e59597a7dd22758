"""Segments that are in pieces, full of holes, or hardly there: stray pixels, islands, slips of the mouse."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from ...classes import ClassSet
from ...segmentation import Segmentation
from .examined import Examined, Named, Spots
from .finding import Finding, counted_of
from .usual import Usual, certainty

FAR_PX = 3.0
"""Pieces nearer to the main piece than this are ragged edges, not strays."""
CRUMB_SHARE = 0.02
"""A crumb has at most this share of the main piece's pixels ..."""
CRUMB_OF_IMAGE = 2e-4
"""... and of the image's, or ``CRUMB_PX`` where that is more."""
CRUMB_PX = 6
ISLAND_SHARE = 0.1
"""An island has at most this share of the pixels of the segment around it."""
USUAL_SHARE = 0.25
"""What more than this share of the segments of a class, or of all annotations, have is how they are drawn."""
MOST_KEPT = 2000
"""Annotations with such places that are remembered even where they are the rule."""
AS_IT_IS = "Nothing, if the set is meant to be so."
SMALLEST_KEPT = 8
"""Small segments of one image that are remembered."""


Row = tuple[int, int, float, tuple[int, ...]]
"""Segment, pixels, measure and box of a spot."""
Places = list[tuple[int, tuple[np.ndarray, ...]]]
"""For each spot its segment and the index arrays of its pixels."""


def _spots(rows: list[Row], ndim: int) -> Spots:
    return Spots(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.int64).reshape(-1, 2 * ndim),
    )


def _unit(spots: Spots) -> str:
    return "voxels" if spots.box.shape[1] == 6 else "pixels"


def components(mask_or_labels: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    """Connected pieces of a mask, or of equal labels, numbered from 1; 0 stays 0. Gives them and how many."""
    if mask_or_labels.dtype == bool and mask_or_labels.ndim == 2:
        import cv2

        count, found = cv2.connectedComponents(
            mask_or_labels.view(np.uint8), connectivity=4 if connectivity == 1 else 8
        )
        return found, count - 1
    from skimage.measure import label

    found, count = label(mask_or_labels, background=0, connectivity=connectivity, return_num=True)
    return found, count


def crumbs(truth: Segmentation, layers: list[np.ndarray]) -> tuple[Spots, Places]:
    """Pieces of segments that are tiny and lie apart from the rest of them, but for those at the image's border.

    ``measure`` is the distance to the main piece in pixels. Also gives, for each, its segment and its pixels.
    """
    rows: list[Row] = []
    pixels: Places = []
    for layer in layers:
        found, count = components(layer, truth.ndim)
        present = np.unique(layer)
        if count == np.count_nonzero(present):
            continue
        areas = np.bincount(found.reshape(-1), minlength=count + 1)
        owner = np.zeros(count + 1, np.int64)
        owner[found.reshape(-1)] = layer.reshape(-1)
        main = np.zeros(len(truth) + 1, np.int64)
        order = np.argsort(areas[1:], kind="stable") + 1
        main[owner[order]] = order  # the largest piece of a segment is written last
        limit = np.maximum(
            CRUMB_PX, np.minimum(CRUMB_SHARE * areas[main[owner]], CRUMB_OF_IMAGE * layer.size)
        )
        small = (areas <= limit) & (areas * 4 <= areas[main[owner]]) & (np.arange(count + 1) != main[owner])
        small[0] = False
        if small.any():
            _add_crumbs(found, small, owner, main, areas, rows, pixels)
    return _spots(rows, truth.ndim), pixels


def _add_crumbs(
    found: np.ndarray,
    small: np.ndarray,
    owner: np.ndarray,
    main: np.ndarray,
    areas: np.ndarray,
    rows: list[Row],
    pixels: Places,
) -> None:
    from scipy.spatial import cKDTree

    at = np.nonzero(small[found])
    piece = found[at]
    order = np.argsort(piece, kind="stable")
    at = tuple(axis[order] for axis in at)
    numbers, first = np.unique(piece[order], return_index=True)
    bounds = np.append(first, len(piece))
    trees: dict[int, cKDTree] = {}
    for number, low, high in zip(numbers.tolist(), bounds[:-1], bounds[1:], strict=True):
        k = int(owner[number])
        if k not in trees:
            trees[k] = cKDTree(_rim(found == main[k]))
        place = tuple(axis[low:high] for axis in at)
        box = tuple(int(axis.min()) for axis in place) + tuple(int(axis.max()) + 1 for axis in place)
        distance = float(trees[k].query(np.stack(place, axis=1))[0].min())
        if distance >= FAR_PX and not _at_border(box, found.shape):
            rows.append((k, int(areas[number]), distance, box))
            pixels.append((k, place))


def _at_border(box: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a box reaches the border, where what it holds may be the tip of something larger."""
    return min(box[: len(shape)]) == 0 or any(
        high == length for high, length in zip(box[len(shape) :], shape, strict=True)
    )


def _rim(mask: np.ndarray) -> np.ndarray:
    """Pixels (P, ndim) of a mask that have a neighbour outside it or lie on the image's border."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        ahead = [slice(None)] * mask.ndim
        behind = [slice(None)] * mask.ndim
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        inner[tuple(ahead)] &= mask[tuple(behind)]
        inner[tuple(behind)] &= mask[tuple(ahead)]
    return np.argwhere(mask & ~inner)


def islands(truth: Segmentation, labels: np.ndarray) -> tuple[Spots, Places]:
    """Small compact places without a label, or void, that one segment encloses.

    ``labels`` is the truth as a label map. ``measure`` is the share of the segment's pixels. Also gives, for each,
    the segment around it and its pixels.
    """
    found, count = components(labels == 0, 1)
    if count == 0:
        return _spots([], truth.ndim), []
    flat = found.reshape(-1)
    areas = np.bincount(flat, minlength=count + 1)
    around = _enclosing(found, labels, count)
    share = areas / np.maximum(np.append(0, truth.areas_px)[around], 1)
    wanted = np.flatnonzero((around > 0) & (share <= ISLAND_SHARE))
    if not len(wanted):
        return _spots([], truth.ndim), []
    at = np.nonzero(np.isin(found, wanted))
    order = np.argsort(found[at], kind="stable")
    at = tuple(axis[order] for axis in at)
    bounds = np.append(0, np.cumsum(areas[wanted]))
    rows: list[Row] = []
    pixels: Places = []
    for number, low, high in zip(wanted.tolist(), bounds[:-1], bounds[1:], strict=True):
        place = tuple(axis[low:high] for axis in at)
        box = tuple(int(axis.min()) for axis in place) + tuple(int(axis.max()) + 1 for axis in place)
        sides = np.array(box[truth.ndim :]) - np.array(box[: truth.ndim])
        if areas[number] >= 0.4 * np.prod(sides) and sides.max() <= 4 * sides.min():
            rows.append((int(around[number]), int(areas[number]), float(share[number]), box))
            pixels.append((int(around[number]), place))
    return _spots(rows, truth.ndim), pixels


def _enclosing(found: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """For each unlabelled piece the one segment all around it; 0 where there are several or the image ends."""
    lowest = np.full(count + 1, np.iinfo(np.int64).max)
    highest = np.zeros(count + 1, np.int64)
    for axis in range(labels.ndim):
        one, other = [slice(None)] * labels.ndim, [slice(None)] * labels.ndim
        one[axis], other[axis] = slice(1, None), slice(None, -1)
        for here, there in ((tuple(one), tuple(other)), (tuple(other), tuple(one))):
            met = (found[here] > 0) & (labels[there] > 0)
            pieces, segments = found[here][met], labels[there][met]
            np.minimum.at(lowest, pieces, segments)
            np.maximum.at(highest, pieces, segments)
        for end in (0, -1):
            lowest[np.unique(np.take(found, end, axis))] = 0
    around = np.where(lowest == highest, highest, 0)
    around[0] = 0
    return around


def smallest(truth: Segmentation) -> Spots:
    """The smallest segments of things that neither the image's border nor void may have cut; ``measure`` is their
    class id."""
    height_width = np.array(truth.shape)
    low, high = np.split(truth.boxes, 2, axis=1)
    inside = ((low > 0) & (high < height_width)).all(axis=1)
    things = np.array([truth.classes.of(each).thing for each in truth.class_ids], bool)
    limit = max(50, 1e-3 * np.prod(height_width))
    wanted = np.flatnonzero(inside & things & (truth.areas_px > 0) & (truth.areas_px <= limit))
    wanted = wanted[np.argsort(truth.areas_px[wanted], kind="stable")][:SMALLEST_KEPT]
    if truth.void_px:
        void = truth.void
        around = [
            tuple(slice(start - 1, stop + 1) for start, stop in zip(low[k], high[k], strict=True))
            for k in wanted
        ]
        wanted = wanted[[not void[place].any() for place in around]]
    return Spots(
        wanted + 1, truth.areas_px[wanted], truth.class_ids[wanted].astype(float), truth.boxes[wanted]
    )


class PieceJudge:
    """Stray pixels and islands where they are rare, and segments far below the size of their class."""

    def __init__(self, classes: ClassSet) -> None:
        self._classes = classes
        self._areas: dict[int, Usual] = defaultdict(Usual)
        self._segments: dict[int, int] = defaultdict(int)
        self._annotations = 0
        self._having: dict[tuple[str, int], int] = defaultdict(int)
        self._found_in: Counter[str] = Counter()
        self._found: list[tuple[str, Named, int, Spots, np.ndarray]] = []
        self._small: list[tuple[Named, int, Spots]] = []

    def add(self, sample: Examined) -> None:
        """Take the pieces of one sample."""
        for truth in sample.truths:
            self._annotations += 1
            for class_id in np.unique(truth.class_ids).tolist():
                of_class = truth.class_ids == class_id
                self._segments[class_id] += int(of_class.sum())
                self._areas[class_id].add(np.log(np.maximum(truth.areas_px[of_class], 1)))
            for code, spots in (("stray-pixels", truth.crumbs), ("island", truth.islands)):
                if len(spots):
                    classes = truth.class_ids[spots.segment - 1]
                    for segment in np.unique(spots.segment):
                        self._having[code, int(truth.class_ids[segment - 1])] += 1
                    self._found_in[code] += 1
                    if self._found_in[code] <= max(
                        MOST_KEPT, self._annotations / 2
                    ):  # else: how the set is drawn
                        self._found.append((code, sample.where, truth.number, spots, classes))
            if len(truth.smallest):
                self._small.append((sample.where, truth.number, truth.smallest))

    def findings(self) -> Iterator[Finding]:
        """What stands out."""
        found = self._found_in
        told: set[str] = set()
        for code, sample, number, spots, classes in self._found:
            rare = np.array([self._rare(code, each) for each in classes.tolist()], bool)
            if found[code] > max(2, USUAL_SHARE * self._annotations) or not rare.all():
                told.add(code)
            if found[code] <= max(2, USUAL_SHARE * self._annotations) and rare.any():
                share = found[code] / self._annotations
                yield _spots_finding(code, sample, number, spots, np.flatnonzero(rare), 0.95 - 1.5 * share)
        for code in sorted(told):
            yield self._usual(code, found[code])
        for sample, number, spots in self._small:
            yield from self._tiny(sample, number, spots)

    def _rare(self, code: str, class_id: int) -> bool:
        having = self._having[code, class_id]
        return having <= max(2, USUAL_SHARE * self._segments[class_id])

    def _usual(self, code: str, annotations: int) -> Finding:
        """One note for what is no exception in this set."""
        if code == "stray-pixels":
            what, why = (
                "pieces of a few pixels apart from the rest of their segment",
                "drawn, or how its things are seen, with others before them",
            )
        else:
            what, why = "small unlabelled places inside a segment", "drawn"
        shares = {
            self._classes.of(class_id).name: having / self._segments[class_id]
            for (each, class_id), having in self._having.items()
            if each == code
        }
        most = sorted(shares, key=lambda name: -shares[name])[:3]
        listed = ", ".join(f"{name} ({shares[name]:.0%})" for name in most)
        return Finding.of(
            code,
            f"{annotations} of {self._annotations} annotations have {what}, most often in segments of {listed}. "
            f"So many are how the set is {why}, rather than slips; they are not listed one by one.",
            severity="info",
            hint=AS_IT_IS,
            measured={"annotations": annotations, "of": self._annotations},
            certainty=0.5,
        )

    def _tiny(self, sample: Named, number: int, spots: Spots) -> Iterator[Finding]:
        scores = np.zeros(len(spots))
        for index, class_id in enumerate(spots.measure.astype(int).tolist()):
            areas = self._areas[class_id]
            if len(areas) >= 20:
                below = areas.median - np.log(spots.area[index])
                tiny = (
                    below > max(np.log(20), 3.5 * areas.spread)
                    and areas.share_below(np.log(spots.area[index] + 0.5)) <= 0.03
                )
                scores[index] = below if tiny else 0
        tiny = np.flatnonzero(scores)
        if not len(tiny):
            return
        areas = self._areas[int(spots.measure[tiny[0]])]
        least = spots.area[tiny]
        many = f"{len(tiny)} segments" if len(tiny) > 1 else f"Segment {spots.segment[tiny[0]]}"
        sizes = f"{least.min()} to {least.max()}" if least.min() < least.max() else f"{least.min()}"
        unit = _unit(spots) if least.max() > 1 else _unit(spots)[:-1]
        yield Finding.of(
            "tiny-segment",
            f"{many} in {sample.name} {'have' if len(tiny) > 1 else 'has'} {sizes} {unit}; half of the class have "
            f"{np.exp(areas.median):.0f} or more.",
            samples=(sample.name,),
            files=sample.files,
            truth=number,
            segments=tuple(spots.segment[tiny].tolist()),
            box=tuple(spots.box[tiny[0]].tolist()),
            measured={"pixels": int(least.min()), "usual_pixels": float(np.exp(areas.median))},
            certainty=certainty(float(scores[tiny].max()), np.log(20), np.log(200)),
        )


def _spots_finding(
    code: str, sample: Named, number: int, spots: Spots, chosen: np.ndarray, sure: float
) -> Finding:
    segments = sorted(set(spots.segment[chosen].tolist()))
    pixels = int(spots.area[chosen].sum())
    largest = chosen[np.argmax(spots.area[chosen])]
    numbers = f"segment {segments[0]}" if len(segments) == 1 else f"{len(segments)} segments"
    unit = _unit(spots)
    apart = "lies by itself" if pixels == 1 else "lie by themselves"
    places = "one place" if len(chosen) == 1 else f"{len(chosen)} places"
    if code == "stray-pixels":
        message = (
            f"{counted_of(pixels, unit)} of {numbers} in {sample.name} {apart} "
            f"in {places}, up to {spots.measure[chosen].max():.0f} {unit} from the rest."
        )
        measured = {
            "pixels": pixels,
            "places": len(chosen),
            "distance_px": float(spots.measure[chosen].max()),
        }
    else:
        message = (
            f"{counted_of(pixels, unit)} without a label {'lies' if pixels == 1 else 'lie'} inside {numbers} in "
            f"{sample.name}, in {places}."
        )
        measured = {"pixels": pixels, "places": len(chosen), "share": float(spots.measure[chosen].max())}
    return Finding.of(
        code,
        message,
        samples=(sample.name,),
        files=sample.files,
        truth=number,
        segments=tuple(segments),
        box=tuple(spots.box[largest].tolist()),
        measured=measured,
        certainty=sure,
        fixable=True,
    )
