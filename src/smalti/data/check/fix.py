"""Repairs that need nobody's judgement, made in a copy of a dataset."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...io.formats import ANNOTATION_FORMATS, make_format
from ...io.formats.format import AnnotationFormat
from ...sample import Sample
from ...segmentation import Segmentation
from .instances import duplicated, overlapping_pairs
from .pieces import crumbs, islands
from .report import CheckReport

if TYPE_CHECKING:
    from ..dataset import Dataset

_DROPPED = ("unreadable", "size-mismatch", "unknown-class")
_COPIES = ("duplicate", "leakage")


@dataclass
class _Plan:
    """What is to be done to one sample: left out, or the segments of each annotation (from 1) by the fault."""

    left_out: str = ""
    segments: dict[int, dict[str, set[int]]] = field(default_factory=lambda: defaultdict(dict))


def fix(
    dataset: Dataset, report: CheckReport, folder: str | os.PathLike[str], format: str | None = None
) -> list[str]:
    """Write a copy of ``dataset`` with the findings of ``report`` that are ``fixable`` repaired; gives what was done.

    Samples that cannot be read and all but the first of equal ones are left out; stray pixels are erased, islands
    filled, the second outline of an object and segments without pixels removed, outlines cut at the image's border.
    ``format`` is that of the copy, by default the dataset's own, or smalti's where that is only read. The source is
    not changed. Raises ``WriteError`` for a folder that is not empty.
    """
    plans, done = _plans(report)
    kept = [
        _repaired(sample, plans[sample.name].segments) if sample.name in plans else sample
        for sample in dataset
        if not (sample.name in plans and plans[sample.name].left_out)
    ]
    dataset.with_samples(kept).write(folder, format or _writable(dataset.format))
    return done


def _writable(name: str) -> str:
    written = name in ANNOTATION_FORMATS and type(make_format(name)).write is not AnnotationFormat.write
    return name if written else "smalti"


def _plans(report: CheckReport) -> tuple[dict[str, _Plan], list[str]]:
    """What to do to each sample by name, and a line for each repair."""
    plans: dict[str, _Plan] = defaultdict(_Plan)
    done = []
    for finding in report.findings:
        if not finding.fixable or not finding.samples:
            continue
        if finding.code in _COPIES:
            for name in finding.samples[1:]:
                plans[name].left_out = "a copy"
                done.append(f"{name} is left out: the same as {finding.samples[0]}")
        elif finding.code in _DROPPED:
            plans[finding.samples[0]].left_out = finding.code
            done.append(f"{finding.samples[0]} is left out: {finding.message}")
        else:
            places = plans[finding.samples[0]].segments[finding.truth]
            places.setdefault(finding.code, set()).update(finding.segments)
            done.append(f"{finding.samples[0]}: {finding.code}: {finding.message}")
    return plans, done


def _repaired(sample: Sample, segments: Mapping[int, Mapping[str, set[int]]]) -> Sample:
    if not segments or not sample.annotated:
        return sample
    return replace(sample, load_truths=partial(_truths, sample, {k: dict(v) for k, v in segments.items()}))


def _truths(sample: Sample, segments: Mapping[int, Mapping[str, set[int]]]) -> tuple[Segmentation, ...]:
    return tuple(
        repair(truth, segments[number]) if number in segments else truth
        for number, truth in enumerate(sample.truths, 1)
    )


def repair(truth: Segmentation, faults: Mapping[str, set[int]]) -> Segmentation:
    """``truth`` with stray pixels of some segments erased and their islands filled, then others removed.

    ``faults`` has the numbers of the segments by the code of what is wrong with them.
    """
    changed = _redrawn(truth, faults)
    removed = set(faults.get("empty-segment", ()))
    if "duplicate-instance" in faults:
        pairs = overlapping_pairs(truth)
        pairs = pairs.take(duplicated(pairs))
        removed |= {
            max(one, other) for one, other in zip(pairs.one.tolist(), pairs.other.tolist(), strict=True)
        }
    return changed[[k for k in range(len(truth)) if k + 1 not in removed]] if removed else changed


def _redrawn(truth: Segmentation, faults: Mapping[str, set[int]]) -> Segmentation:
    erased = list(_places(crumbs(truth, truth.layers())[1], faults.get("stray-pixels", ())))
    filled = []
    if faults.get("island") and not truth.overlapping:
        filled = list(_places(islands(truth, truth.labels)[1], faults["island"]))
    if not erased and not filled:
        return truth
    void = truth.void
    masks = {k: truth.mask(k) for k, _ in erased + filled}
    for k, place in erased:
        masks[k][place] = False
    for k, place in filled:
        masks[k][place] = True
        void[place] = False
    drawn = (masks[k] if k in masks else truth.mask(k) for k in range(1, len(truth) + 1))
    return Segmentation.from_masks(
        drawn,
        shape=truth.shape,
        class_ids=truth.class_ids,
        scores=truth.scores,
        classes=truth.classes,
        geometry=truth.geometry,
        void=void,
        attributes=truth.attributes,
    )


def _places(
    found: Sequence[tuple[int, tuple[np.ndarray, ...]]], wanted: set[int] | tuple[()]
) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    return ((k, place) for k, place in found if k in wanted)
