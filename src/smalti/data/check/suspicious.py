"""Masks that do not fit what their own image shows: moved aside, too large, too small, two objects in one, one in two.

All of it is judged by the edges under the outlines (``outlines``) and against what is usual in the set:
annotators who draw
a pixel outside the edge do so everywhere, and in tissue touching cells may have no seam. These are estimates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...classes import ClassSet
from .edges import REACH_PX
from .edges import SHIFT_PX as SEARCHED_PX
from .finding import Finding
from .outlines import Fits
from .usual import Usual, certainty

if TYPE_CHECKING:
    from .examine import Examined, Named, Truth

MIN_ARCS = 6
"""Arcs (of ``edges.ARC_PX``) that the outlines of an image need to be judged together."""
SHIFT_PX, SHIFT_GAIN, ONE_WAY = 2.5, 1.08, 1.2
"""Least move of all outlines of an image that is told, and how much better they must fit there than here and
than as far
the other way ..."""
SHIFT_OF_ONE_PX, SHIFT_GAIN_OF_ONE, ONE_WAY_OF_ONE = 3.5, 1.35, 1.6
"""... and of one segment."""
OFFSET_PX, OFFSET_GAIN = 1.7, 1.1
"""Least distance from outline to edge, beyond the usual one, of a whole image, and how much better it must
fit there ..."""
OFFSET_OF_ONE_PX, OFFSET_GAIN_OF_ONE = 2.5, 1.3
"""... and of one segment."""
STANDS_OUT, CLEARLY = 2.5, 0.6
"""Where half of the images' outlines fit no better than this many deviations above other places, edges
cannot tell; where
they do, an image must fit as well at the other place as the second, against that ..."""
BETTER = 0.7
"""... and so much better than here, in deviations of the mean over its arcs."""
TELLING = 0.52
"""Only where half of the images' outlines fit this well are segments judged one by one."""
USUAL_SHARE = 0.25
"""What more than this share of the annotations have is how the set is, or how its images are."""
HOME = 0.7
"""Most of a segment's outline that may lie on edges of its own: dim objects beside bright ones do."""
AGREE = 0.58
"""Share of an outline that must find its edge at that distance."""
ONTO = 0.2
"""Most of a segment that may come to lie on others where it would fit better."""
FIT = 0.7
"""A segment must fit at the new place this well, against how well outlines fit in half of the set's images."""
ONE_OBJECT = 0.7
"""Least certainty with which two segments are told to be one."""
USUAL_SEAM = 0.6
"""How steep seams are against outlines where a set has too few to say."""
CONVEX = 0.88
"""Only where half of a class is this solid do dents mean anything."""


class SuspiciousJudge:
    """Masks that do not fit their image."""

    def __init__(self, classes: ClassSet) -> None:
        self._classes = classes
        self._offsets, self._shifts_y, self._shifts_x = Usual(), Usual(), Usual()
        self._fits, self._stands_out = Usual(), Usual()
        self._solidity: dict[int, Usual] = defaultdict(Usual)
        self._areas: dict[int, Usual] = defaultdict(Usual)
        self._seams: dict[int, Usual] = defaultdict(Usual)
        self._kept: list[tuple[Named, Truth]] = []

    def add(self, sample: Examined) -> None:
        """Take the outlines of one sample."""
        for truth in sample.truths:
            told = truth.outlines
            if told is None:
                continue
            if told.fits.arcs[0] >= MIN_ARCS:
                self._offsets.add(told.fits.offset_px[:1])
                self._fits.add(told.fits.fit[:1])
                self._stands_out.add(told.fits.stands_out[:1])
                self._shifts_y.add(told.fits.shift_yx[0, :1])
                self._shifts_x.add(told.fits.shift_yx[0, 1:])
            classes = truth.class_ids[told.things - 1]
            for class_id in np.unique(classes).tolist():
                of_class = classes == class_id
                self._solidity[class_id].add(told.solidity[of_class])
                self._areas[class_id].add(truth.areas_px[told.things[of_class] - 1])
            for one, seam in zip(told.touching.one, told.touching.seam, strict=True):
                self._seams[int(truth.class_ids[one - 1])].add(np.array([seam]))
            self._kept.append((sample.where, truth))

    def findings(self) -> Iterator[Finding]:
        """What stands out; where a quarter of the annotations have it, one note instead."""
        found: dict[str, list[Finding]] = defaultdict(list)
        for where, truth in self._kept:
            assert truth.outlines is not None
            for each in (
                *self._misfits(where, truth, truth.outlines.fits),
                *self._merged(where, truth),
                *self._split(where, truth),
            ):
                found[each.code].append(each)
        for code, findings in found.items():
            places = {(finding.samples, finding.truth) for finding in findings}
            if len(places) > max(3, USUAL_SHARE * len(self._kept)):
                yield self._usual(code, len(places))
            else:
                yield from findings

    def _usual(self, code: str, annotations: int) -> Finding:
        return Finding.of(
            code,
            f"{annotations} of {len(self._kept)} annotations would be told of: so many are how this "
            f"set is drawn, or its "
            "images have other edges than those of its segments. They are not listed.",
            severity="info",
            hint="Nothing, if a look at some of them shows that they are right.",
            measured={"annotations": annotations, "of": len(self._kept)},
            certainty=0.5,
        )

    def _misfits(self, where: Named, truth: Truth, fits: Fits) -> Iterator[Finding]:
        usual_shift = np.array([self._shifts_y.median, self._shifts_x.median])
        moved = np.hypot(*(fits.shift_yx - usual_shift).T)
        # a fit that is best where the search ends is no peak
        moved[np.abs(fits.shift_yx).max(axis=1) >= SEARCHED_PX] = 0
        beyond = fits.offset_px - self._offsets.median
        inside = np.abs(fits.offset_px) < REACH_PX - 0.5
        one_way = fits.shift_fit / np.maximum(fits.back_fit, 1e-6)
        single = np.arange(len(fits.segment)) > 0
        aside = moved >= np.where(single, SHIFT_OF_ONE_PX, SHIFT_PX)
        aside &= fits.shift_gain >= np.where(single, SHIFT_GAIN_OF_ONE, SHIFT_GAIN)
        aside &= one_way >= np.where(single, ONE_WAY_OF_ONE, ONE_WAY)
        aside &= fits.onto <= ONTO
        usual = self._stands_out.median
        better = (fits.shift_fit - fits.fit) * np.sqrt(fits.arcs)
        aside[0] &= usual >= STANDS_OUT and better[0] >= BETTER
        aside[0] &= fits.shift_stands_out[0] >= max(STANDS_OUT, CLEARLY * usual)
        grown = inside & (np.abs(beyond) >= np.where(single, OFFSET_OF_ONE_PX, OFFSET_PX))
        grown &= (fits.offset_gain >= np.where(single, OFFSET_GAIN_OF_ONE, OFFSET_GAIN)) & (
            fits.agree >= AGREE
        )
        fitting = FIT * self._fits.median
        # stuff is many things at once, and its outline may follow what is no edge
        judged = ~single
        if self._fits.median >= TELLING and truth.outlines is not None:
            judged |= np.isin(fits.segment, truth.outlines.things)
        for found, fit in ((aside, fits.shift_fit), (grown, fits.offset_fit)):
            found &= judged & (((fit >= fitting) & (fits.home <= HOME)) | ~single)
            found[0] &= fits.arcs[0] >= MIN_ARCS
        # outlines too large find edges aside as well, and those aside find some further in: what fits better is meant
        aside &= ~grown | (fits.shift_fit > fits.offset_fit)
        for index in np.flatnonzero(aside | grown).tolist():
            if aside[index]:
                yield self._shifted(where, truth, fits, index)
            else:
                yield self._grown(where, truth, fits, index, float(beyond[index]))
            if index == 0:
                return

    def _shifted(self, where: Named, truth: Truth, fits: Fits, index: int) -> Finding:
        y, x = fits.shift_yx[index].tolist()
        ways = [f"{abs(y)} {'down' if y > 0 else 'up'}"] * (y != 0) + [
            f"{abs(x)} to the {'right' if x > 0 else 'left'}"
        ] * (x != 0)
        what = f"segment {fits.segment[index]}" if index else "all segments"
        return Finding.of(
            "shifted",
            f"The edges of {what} in {where.name} lie {' and '.join(ways)} of the outlines, in pixels.",
            measured={"shift_y_px": y, "shift_x_px": x, "gain": float(fits.shift_gain[index])},
            certainty=certainty(float(fits.shift_gain[index]), *((1.0, 1.3) if index == 0 else (1.1, 2.0))),
            **self._place(where, truth, fits, index),
        )

    def _grown(self, where: Named, truth: Truth, fits: Fits, index: int, beyond: float) -> Finding:
        code, larger = ("dilated", "larger") if beyond < 0 else ("eroded", "smaller")
        what = f"Segment {fits.segment[index]} of" if index else "The masks of"
        return Finding.of(
            code,
            f"{what} {where.name} {'is' if index else 'are'} {larger} than what the image shows: the edges lie "
            f"{abs(beyond):.1f} pixels {'inside' if beyond < 0 else 'outside'} the outline.",
            measured={
                "distance_px": float(beyond),
                "gain": float(fits.offset_gain[index]),
                "agreement": float(fits.agree[index]),
                "usual_px": self._offsets.median,
            },
            certainty=certainty(float(fits.offset_gain[index]), *((1.0, 1.3) if index == 0 else (1.1, 2.0))),
            **self._place(where, truth, fits, index),
        )

    def _place(self, where: Named, truth: Truth, fits: Fits, index: int) -> dict[str, object]:
        k = int(fits.segment[index])
        return {
            "samples": (where.name,),
            "files": where.files,
            "truth": truth.number,
            "segments": (k,) if k else (),
            "box": tuple(truth.boxes[k - 1].tolist()) if k else (),
        }

    def _merged(self, where: Named, truth: Truth) -> Iterator[Finding]:
        assert truth.outlines is not None
        necks, solidity = truth.outlines.necks, np.full(len(truth.class_ids) + 1, np.nan)
        solidity[truth.outlines.things] = truth.outlines.solidity
        for index, k in enumerate(necks.segment.tolist()):
            class_id = int(truth.class_ids[k - 1])
            usual, areas = self._solidity[class_id], self._areas[class_id]
            if len(usual) < 10 or usual.median < CONVEX:
                continue
            dent = (usual.median - solidity[k]) / max(usual.spread, 0.01)
            seam, floor = float(necks.seam[index]), float(necks.seam_above_floor[index])
            two = necks.area_px[index] >= 0.25 * areas.median and necks.narrow[index] <= 0.85
            seen = seam >= 0.3 and floor >= 1.5
            if dent >= 3 and two and (seen or necks.narrow[index] <= 0.5):
                sure = certainty(float(dent) * (1.3 if seen else 0.8) * (1.3 - necks.narrow[index]), 1, 5)
                yield Finding.of(
                    "merged",
                    f"Segment {k} of {where.name} has a neck: it is {necks.narrow[index]:.0%} as wide "
                    f"there as its parts "
                    f"are, and {'the image has a seam there' if seen else 'the image shows no seam'}.",
                    samples=(where.name,),
                    files=where.files,
                    truth=truth.number,
                    segments=(k,),
                    box=tuple(truth.boxes[k - 1].tolist()),
                    measured={
                        "solidity": float(solidity[k]),
                        "usual_solidity": usual.median,
                        "neck": float(necks.narrow[index]),
                        "seam": seam,
                    },
                    certainty=sure,
                )

    def _split(self, where: Named, truth: Truth) -> Iterator[Finding]:
        assert truth.outlines is not None
        pairs = truth.outlines.touching
        for index, (one, other) in enumerate(zip(pairs.one.tolist(), pairs.other.tolist(), strict=True)):
            class_id = int(truth.class_ids[one - 1])
            usual, seams = self._solidity[class_id], self._seams[class_id]
            if len(usual) < 10 or usual.median < CONVEX:
                continue
            seam = float(pairs.seam[index]) / (seams.median if len(seams) >= 20 else USUAL_SEAM)
            sure = one_object(float(pairs.contact[index]), seam, float(pairs.together[index]) - usual.median)
            if sure >= ONE_OBJECT:
                boxes = truth.boxes[[one - 1, other - 1]]
                yield Finding.of(
                    "split",
                    f"Segments {one} and {other} of {where.name} touch along a line that the image "
                    f"hardly shows; together "
                    "they have the shape of one object.",
                    samples=(where.name,),
                    files=where.files,
                    truth=truth.number,
                    segments=(one, other),
                    box=tuple(boxes[:, :2].min(axis=0).tolist() + boxes[:, 2:].max(axis=0).tolist()),
                    measured={
                        "seam": float(pairs.seam[index]),
                        "usual_seam": seams.median,
                        "contact": float(pairs.contact[index]),
                        "solidity_together": float(pairs.together[index]),
                        "usual_solidity": usual.median,
                    },
                    certainty=sure,
                )


def one_object(contact: float, seam: float, solidity: float) -> float:
    """How likely two touching segments are one object, 0..1.

    ``contact`` is the length of the line between them against the root of the smaller area, ``seam`` how
    steep the image is
    along it against what is usual for touching objects, ``solidity`` that of both together against the usual one. A
    logistic regression on 318 objects cut in two on purpose and 1547 pairs as annotators left them, in
    made-up cells and
    in photographs of nuclei (DSB 2018).
    """
    votes = (
        -4.73 + 2.64 * min(contact, 2.5) - 2.61 * np.log(seam + 0.08) + 33.1 * min(max(solidity, -0.2), 0.03)
    )
    return float(1 / (1 + np.exp(-votes)))
