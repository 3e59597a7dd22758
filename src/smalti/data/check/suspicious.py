"""Masks that do not fit what their own image shows: moved aside, too large, too small, two objects in one, one in
two.

All of it is judged by the edges under the outlines (``outlines``) and against what is usual in the set: annotators
who draw a pixel outside the edge do so everywhere, and in tissue touching cells may have no seam. These are
estimates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...classes import ClassSet
from .edges import REACH_PX
from .edges import SHIFT_PX as SEARCHED_PX
from .examined import Examined, Named, Truth
from .finding import Finding
from .outlines import Fit, Neck, Pair
from .usual import Usual, certainty

MIN_ARCS = 6
"""Arcs (of ``edges.ARC_PX``) that the outlines of an image need to be judged together."""
SHIFT_PX, SHIFT_GAIN, ONE_WAY = 2.5, 1.08, 1.2
"""Least move of all outlines of an image that is told, and how much better they must fit there than here and than
as far the other way ..."""
SHIFT_OF_ONE_PX, SHIFT_GAIN_OF_ONE, ONE_WAY_OF_ONE = 3.5, 1.35, 1.6
"""... and of one segment."""
OFFSET_PX, OFFSET_GAIN = 1.7, 1.1
"""Least distance from outline to edge, beyond the usual one, of a whole image, and how much better it must fit
there ..."""
OFFSET_OF_ONE_PX, OFFSET_GAIN_OF_ONE = 2.5, 1.3
"""... and of one segment."""
STANDS_OUT, CLEARLY = 2.5, 0.6
"""Where half of the images' outlines fit no better than this many deviations above other places, edges cannot tell;
where they do, an image must fit as well at the other place as the second, against that ..."""
EVERYWHERE, EVERYWHERE_OF_ONE = 0.95, 0.8
"""... and in each quarter of the outlines it must fit there about as well as here: what was moved fits better all
over. Of 18 annotations of COCO moved by 3 pixels or more on purpose 15 have more than 0.95 (the two that seemed aside
as their annotators left them have 0.61 and 0.87), made-up outlines of one segment, moved, 0.85 or more ..."""
BETTER = 0.7
"""... and so much better than here, in deviations of the mean over its arcs."""
TELLING = 0.52
"""Only where half of the images' outlines fit this well are segments judged one by one."""
USUAL_SHARE = 0.25
"""What more than this share of the annotations have is how the set is, or how its images are."""
HOME, HOME_OF_ALL = 0.7, 0.9
"""Most of a segment's outline, and of all outlines, that may lie on edges where it is: dim objects beside bright
ones and plants beside their shadows do."""
AGREE = 0.58
"""Share of an outline that must find its edge at that distance."""
ONTO = 0.2
"""Most of a segment that may come to lie on others where it would fit better."""
FIT = 0.7
"""A segment must fit at the new place this well, against how well outlines fit in half of the set's images."""
SUREST = 0.95
"""Edges alone make nothing surer: outlines drawn roughly may fit somewhere else as well as most do here."""
ONE_OBJECT = 0.7
"""Least certainty with which two segments are told to be one."""
USUAL_SEAM = 0.6
"""How steep seams are against outlines where a set has too few to say."""
LEAST_CONTACT = 0.5
"""Segments that touch for less than this, against the root of the smaller area, are two."""
FEW = 10
"""With fewer things of a class nothing is usual."""
CONVEX = 0.88
"""Only where half of a class is this solid do dents mean anything."""


@dataclass(frozen=True)
class _Place:
    """Where something may be wrong: segments of one annotation, none for all of it, and their box."""

    where: Named
    truth: int
    segments: tuple[int, ...]
    box: tuple[int, ...]

    def finding(self, code: str, message: str, sure: float, measured: dict[str, float]) -> Finding:
        return Finding.of(
            code,
            message,
            samples=(self.where.name,),
            files=self.where.files,
            truth=self.truth,
            segments=self.segments,
            box=self.box,
            measured=measured,
            certainty=sure,
        )


class SuspiciousJudge:
    """Masks that do not fit their image. What may be suspicious is kept until it is known what is usual."""

    def __init__(self, classes: ClassSet) -> None:
        self._offsets, self._shifts_y, self._shifts_x = Usual(), Usual(), Usual()
        self._fits, self._stands_out = Usual(), Usual()
        self._solidity: dict[int, Usual] = defaultdict(Usual)
        self._areas: dict[int, Usual] = defaultdict(Usual)
        self._seams: dict[int, Usual] = defaultdict(Usual)
        self._annotations = 0
        self._misfits: list[tuple[_Place, Fit]] = []
        self._necks: list[tuple[_Place, int, float, Neck]] = []
        self._pairs: list[tuple[_Place, int, Pair]] = []

    def add(self, sample: Examined) -> None:
        """Take the outlines of one sample."""
        for truth in sample.truths:
            told = truth.outlines
            if told is None:
                continue
            self._annotations += 1
            whole = told.fits[0]
            if whole.arcs >= MIN_ARCS:
                self._offsets.add(np.array([whole.offset_px]))
                self._fits.add(np.array([whole.fit]))
                self._stands_out.add(np.array([whole.stands_out]))
                self._shifts_y.add(np.array([whole.shift_yx[0]]))
                self._shifts_x.add(np.array([whole.shift_yx[1]]))
            solidity = dict(zip(told.things.tolist(), told.solidity.tolist(), strict=True))
            classes = truth.class_ids[told.things - 1]
            for class_id in np.unique(classes).tolist():
                of_class = classes == class_id
                self._solidity[class_id].add(told.solidity[of_class])
                self._areas[class_id].add(truth.areas_px[told.things[of_class] - 1])
            for fit in told.fits:
                # stuff is many things at once, and its outline may follow what is no edge
                if (not fit.segment or fit.segment in solidity) and (
                    _may_be_aside(fit) or _may_be_grown(fit)
                ):
                    self._misfits.append((_place(sample.where, truth, fit.segment), fit))
            for neck in told.necks:
                class_id = int(truth.class_ids[neck.segment - 1])
                place = _place(sample.where, truth, neck.segment)
                self._necks.append((place, class_id, solidity[neck.segment], neck))
            for pair in told.touching:
                class_id = int(truth.class_ids[pair.one - 1])
                self._seams[class_id].add(np.array([pair.seam]))
                if pair.contact >= LEAST_CONTACT:
                    self._pairs.append((_place(sample.where, truth, pair.one, pair.other), class_id, pair))

    def findings(self) -> Iterator[Finding]:
        """What stands out; where a quarter of the annotations have it, one note instead."""
        found: dict[str, list[Finding]] = defaultdict(list)
        for each in (*self._told_misfits(), *self._told_necks(), *self._told_pairs()):
            found[each.code].append(each)
        for code, findings in found.items():
            count = len({(finding.samples, finding.truth) for finding in findings})
            if count <= max(3, USUAL_SHARE * self._annotations):
                yield from findings
                continue
            yield Finding.of(
                code,
                f"{count} of {self._annotations} annotations look so. So many are how the set is drawn, or the images "
                "have edges besides those of their segments; they are not listed one by one.",
                severity="info",
                hint="Nothing, if a look at some of them shows that they are right.",
                measured={"annotations": count, "of": self._annotations},
                certainty=0.5,
            )

    def _told_misfits(self) -> Iterator[Finding]:
        done: set[tuple[str, int]] = set()  # annotations that are off as a whole: no word of their segments
        for place, fit in self._misfits:
            key = place.where.name, place.truth
            grown, aside = self._grown_px(fit), self._is_aside(fit)
            if key in done or not (grown or aside):
                continue
            if not fit.segment:
                done.add(key)
            # outlines too large find edges aside as well, and those aside find some further in: the better fit is meant
            if aside and (not grown or fit.shift_fit > fit.offset_fit):
                yield _shifted(place, fit)
            else:
                yield _grown(place, fit, grown, self._offsets.median)

    def _is_aside(self, fit: Fit) -> bool:
        """Whether the edges of an outline lie aside of it."""
        moved = np.hypot(fit.shift_yx[0] - self._shifts_y.median, fit.shift_yx[1] - self._shifts_x.median)
        if not _may_be_aside(fit):
            return False
        if fit.segment:
            return moved >= SHIFT_OF_ONE_PX and self._may_judge(fit, fit.shift_fit)
        usual = self._stands_out.median
        return bool(
            fit.arcs >= MIN_ARCS
            and moved >= SHIFT_PX
            and usual >= STANDS_OUT
            and fit.shift_stands_out >= max(STANDS_OUT, CLEARLY * usual)
        )

    def _grown_px(self, fit: Fit) -> float:
        """How far outside an outline the edges lie beyond what is usual, below 0 inside; 0 where it means nothing."""
        beyond = fit.offset_px - self._offsets.median
        if not _may_be_grown(fit):
            return 0.0
        if fit.segment:
            return beyond if abs(beyond) >= OFFSET_OF_ONE_PX and self._may_judge(fit, fit.offset_fit) else 0.0
        return beyond if abs(beyond) >= OFFSET_PX and fit.arcs >= MIN_ARCS else 0.0

    def _may_judge(self, fit: Fit, fit_there: float) -> bool:
        """Whether one segment can be judged: outlines of this set lie on edges, its own does not, and it might."""
        usual = self._fits.median
        return usual >= TELLING and fit_there >= FIT * usual and fit.home <= HOME

    def _told_necks(self) -> Iterator[Finding]:
        for place, class_id, solidity, neck in self._necks:
            usual = self._solidity[class_id]
            if (
                len(usual) < FEW
                or usual.median < CONVEX
                or neck.area_px < 0.25 * self._areas[class_id].median
            ):
                continue
            dent = (usual.median - solidity) / max(usual.spread, 0.01)
            seen = neck.seam >= 0.3 and neck.seam_above_floor >= 1.5
            if dent >= 3 and neck.narrow <= (0.85 if seen else 0.5):
                yield place.finding(
                    "merged",
                    f"Segment {neck.segment} of {place.where.name} has a neck, {neck.narrow:.0%} as wide as its parts; "
                    f"the image {'has a seam there' if seen else 'shows no seam there'}.",
                    min(SUREST, certainty(dent * (1.3 if seen else 0.8) * (1.3 - neck.narrow), 1, 5)),
                    {
                        "solidity": solidity,
                        "usual_solidity": usual.median,
                        "neck": neck.narrow,
                        "seam": neck.seam,
                    },
                )

    def _told_pairs(self) -> Iterator[Finding]:
        for place, class_id, pair in self._pairs:
            usual, seams = self._solidity[class_id], self._seams[class_id]
            if len(usual) < FEW or usual.median < CONVEX:
                continue
            seam = pair.seam / (seams.median if len(seams) >= 2 * FEW else USUAL_SEAM)
            sure = one_object(pair.contact, seam, pair.together - usual.median)
            if sure >= ONE_OBJECT:
                sure = min(SUREST, sure)
                yield place.finding(
                    "split",
                    f"Segments {pair.one} and {pair.other} of {place.where.name} touch along a line that the image "
                    "hardly shows; together they have the shape of one object.",
                    sure,
                    {
                        "seam": pair.seam,
                        "usual_seam": seams.median,
                        "contact": pair.contact,
                        "solidity_together": pair.together,
                        "usual_solidity": usual.median,
                    },
                )


def _place(where: Named, truth: Truth, *segments: int) -> _Place:
    """Segments of an annotation with the box around them; 0 stands for all of it."""
    if not segments[0]:
        return _Place(where, truth.number, (), ())
    boxes = truth.boxes[np.array(segments) - 1]
    ndim = boxes.shape[1] // 2
    box = (*boxes[:, :ndim].min(axis=0).tolist(), *boxes[:, ndim:].max(axis=0).tolist())
    return _Place(where, truth.number, segments, box)


def _may_be_aside(fit: Fit) -> bool:
    """Whether an outline would fit better aside; how far aside is judged by what is usual."""
    one_way = fit.shift_fit / max(fit.back_fit, 1e-6)
    if max(abs(each) for each in fit.shift_yx) >= SEARCHED_PX:  # best where the search ends: that is no peak
        return False
    if fit.segment:
        return (
            fit.shift_gain >= SHIFT_GAIN_OF_ONE
            and fit.everywhere >= EVERYWHERE_OF_ONE
            and one_way >= ONE_WAY_OF_ONE
            and fit.onto <= ONTO
        )
    better = (fit.shift_fit - fit.fit) * np.sqrt(fit.arcs)
    return bool(
        fit.shift_gain >= SHIFT_GAIN
        and fit.everywhere >= EVERYWHERE
        and one_way >= ONE_WAY
        and better >= BETTER
        and fit.home <= HOME_OF_ALL
    )


def _may_be_grown(fit: Fit) -> bool:
    """Whether an outline would fit better further in or out."""
    gain = OFFSET_GAIN_OF_ONE if fit.segment else OFFSET_GAIN
    return fit.offset_gain >= gain and fit.agree >= AGREE and abs(fit.offset_px) < REACH_PX - 0.5


def _sure(gain: float, single: bool) -> float:
    return min(SUREST, certainty(gain, *((1.1, 2.0) if single else (1.0, 1.3))))


def _shifted(place: _Place, fit: Fit) -> Finding:
    y, x = fit.shift_yx
    ways = [f"{abs(y)} {'down' if y > 0 else 'up'}"] * (y != 0)
    ways += [f"{abs(x)} to the {'right' if x > 0 else 'left'}"] * (x != 0)
    what = f"segment {fit.segment}" if fit.segment else "all segments"
    return place.finding(
        "shifted",
        f"The edges of {what} in {place.where.name} lie {' and '.join(ways)} of the outlines, in pixels.",
        _sure(fit.shift_gain, bool(fit.segment)),
        {"shift_y_px": y, "shift_x_px": x, "gain": fit.shift_gain},
    )


def _grown(place: _Place, fit: Fit, beyond_px: float, usual_px: float) -> Finding:
    code, larger, side = (
        ("dilated", "larger", "inside") if beyond_px < 0 else ("eroded", "smaller", "outside")
    )
    what = f"Segment {fit.segment} of" if fit.segment else "The masks of"
    return place.finding(
        code,
        f"{what} {place.where.name} {'is' if fit.segment else 'are'} {larger} than what the image shows: the edges lie "
        f"{abs(beyond_px):.1f} pixels {side} the outline.",
        _sure(fit.offset_gain, bool(fit.segment)),
        {
            "distance_px": beyond_px,
            "gain": fit.offset_gain,
            "agreement": fit.agree,
            "usual_px": usual_px,
        },
    )


def one_object(contact: float, seam: float, solidity: float) -> float:
    """How likely two touching segments are one object, 0..1.

    ``contact`` is the length of the line between them against the root of the smaller area, ``seam`` how steep the
    image is along it against what is usual for touching objects, ``solidity`` that of both together against the
    usual one. A logistic regression on 318 objects cut in two on purpose and 1547 pairs as annotators left them, in
    made-up cells and in photographs of nuclei (DSB 2018).
    """
    votes = (
        -4.73 + 2.64 * min(contact, 2.5) - 2.61 * np.log(seam + 0.08) + 33.1 * min(max(solidity, -0.2), 0.03)
    )
    return float(1 / (1 + np.exp(-votes)))
