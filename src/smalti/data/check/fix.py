"""Safe repairs of what a check found, in a copy: the dataset itself is never changed.

Safe is what nobody has to look at: pixels far from their segment are erased, holes inside a segment filled, the
second outline of one object and segments without pixels removed, outlines cut at the image's border (which drawing
them does), and samples left out that cannot be read or are there already.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...errors import InputError
from ...io.formats.format import AnnotationFormat
from ...io.formats.loss import LossReport
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from ..dataset import Dataset
from .files import code_of_problem
from .finding import KINDS, Finding, counted_of
from .instances import duplicated, overlapping_pairs
from .pieces import Places, crumbs, islands
from .report import CheckReport

REPAIRED = ("stray-pixels", "island", "duplicate-instance", "empty-segment", "outside-image")
"""Kinds of findings that are repaired in the annotation ..."""
LEFT_OUT = ("unreadable", "unknown-class", "duplicate", "leakage")
"""... and those for which a sample is left out. Of copies the first stays, of copies in several splits the one that
is not in the training split."""


@dataclass(frozen=True)
class Repair:
    """Something that was done to one sample."""

    code: str
    sample: str
    what: str

    def __str__(self) -> str:
        return f"{self.sample}: {self.what} ({self.code})"


@dataclass(frozen=True)
class Fixed:
    """The repaired copy, what was done, what is left for people, and what writing it lost."""

    dataset: Dataset
    repairs: tuple[Repair, ...]
    left: tuple[Finding, ...]
    loss: LossReport | None = None


def fix(
    dataset: Dataset,
    report: CheckReport,
    folder: str | os.PathLike[str],
    *,
    codes: Iterable[str] | None = None,
    format: str | AnnotationFormat = "smalti",
    **options: Any,
) -> Fixed:
    """Write a repaired copy of a dataset into a new ``folder``; gives what was done.

    Findings of the ``codes`` named are repaired, by default all that can be safely. Raises ``InputError`` for other
    codes and where no sample would be left, and as ``Dataset.write`` does.
    """
    plan = repaired(dataset, report, codes=codes)
    loss = plan.dataset.write(folder, format, **options)
    return replace(plan, loss=loss)


def repaired(dataset: Dataset, report: CheckReport, *, codes: Iterable[str] | None = None) -> Fixed:
    """The dataset with repairs that are made when its samples are read; nothing is written."""
    wanted = set((*REPAIRED, *LEFT_OUT) if codes is None else codes)
    unknown = sorted(wanted - {*REPAIRED, *LEFT_OUT})
    if unknown:
        raise InputError(
            f"{', '.join(unknown)} cannot be repaired without looking; what can: {', '.join((*REPAIRED, *LEFT_OUT))}"
        )
    chosen = [finding for finding in report.findings if finding.fixable and finding.code in wanted]
    repairs: list[Repair] = []
    gone: set[str] = set()
    by_sample: dict[str, list[Finding]] = defaultdict(list)
    for finding in chosen:
        if finding.code in LEFT_OUT:
            for name, why in _left_out(dataset, finding, gone):
                gone.add(name)
                repairs.append(Repair(finding.code, name, why))
        else:
            by_sample[finding.samples[0]].append(finding)
    samples = []
    for sample in dataset.samples:
        if sample.name in gone:
            continue
        findings = by_sample.get(sample.name, ())
        if findings:
            repairs += [Repair(each.code, sample.name, _done(each)) for each in findings]
            sample = replace(sample, load_truths=partial(_repaired_truths, sample, tuple(findings)))
        samples.append(sample)
    if not samples:
        raise InputError(f"repairs would leave out all {len(dataset)} samples; no copy is written")
    repairs += [
        Repair(
            code_of_problem(problem),
            problem.image or problem.file,
            f"{problem.record or 'all of it'} left out",
        )
        for problem in dataset.problems
    ]
    left = tuple(
        finding for finding in report.findings if finding not in chosen and finding.severity != "info"
    )
    return Fixed(dataset.with_samples(samples), tuple(repairs), left)


def _left_out(dataset: Dataset, finding: Finding, gone: set[str]) -> list[tuple[str, str]]:
    """Samples to leave out because of a finding, and why."""
    if finding.code in ("unreadable", "unknown-class"):
        return [(name, "left out, as it cannot be read") for name in finding.samples if name not in gone]
    names = [name for name in finding.samples if name not in gone]
    if not names:
        return []
    kept = next((name for name in names if dataset[name].split not in (None, "train")), names[0])
    return [(name, f"left out, as {kept} is the same image") for name in names if name != kept]


def _done(finding: Finding) -> str:
    """What is done about a finding, in words."""
    measured = finding.measured
    segments = ", ".join(str(k) for k in finding.segments[:5]) + (
        ", ..." if len(finding.segments) > 5 else ""
    )
    return {
        "stray-pixels": f"{counted_of(int(measured.get('pixels', 0)), 'pixels')} of segment {segments} erased",
        "island": f"{counted_of(int(measured.get('pixels', 0)), 'pixels')} inside segment {segments} filled",
        "duplicate-instance": f"the second of each pair among segments {segments} removed",
        "empty-segment": f"segment {segments} without pixels removed",
        "outside-image": f"{measured.get('record')} cut at the image's border",
    }[finding.code]


def _repaired_truths(sample: Sample, findings: Sequence[Finding]) -> tuple[Segmentation, ...]:
    return tuple(
        repair(truth, [finding for finding in findings if finding.truth == number])
        for number, truth in enumerate(sample.truths, 1)
    )


def repair(truth: Segmentation, findings: Iterable[Finding]) -> Segmentation:
    """One annotation with the repairs of ``findings`` made; those that change no pixels last, as they renumber."""
    segments: dict[str, set[int]] = defaultdict(set)
    for finding in findings:
        segments[finding.code] |= set(finding.segments)
    masks: dict[int, np.ndarray] = {}
    if segments["stray-pixels"]:
        _, places = crumbs(truth, truth.layers())
        _paint(masks, truth, places, segments["stray-pixels"], False)
    if segments["island"]:
        labels = truth.runs.paint(truth.shape)[0]
        _, places = islands(truth, labels)
        _paint(masks, truth, places, segments["island"], True)
    if masks:
        truth = _with_masks(truth, masks)
    gone = np.zeros(len(truth), bool)
    if segments["duplicate-instance"]:
        pairs = overlapping_pairs(truth)
        again = duplicated(pairs)
        for one, other in zip(pairs.one[again], pairs.other[again], strict=True):
            gone[other - 1] |= not gone[one - 1]
    if segments["empty-segment"]:
        gone |= truth.areas_px == 0
    return truth[~gone] if gone.any() else truth


def _paint(
    masks: dict[int, np.ndarray], truth: Segmentation, places: Places, wanted: set[int], value: bool
) -> None:
    for k, place in places:
        if k in wanted:
            masks.setdefault(k, truth.mask(k))[place] = value


def _with_masks(truth: Segmentation, masks: dict[int, np.ndarray]) -> Segmentation:
    """The segmentation with other pixels for some segments; what is filled is no longer void."""
    numbers = sorted(masks)
    changed = Runs.of_masks(np.stack([masks[k] for k in numbers]))
    both = Runs.concatenate([truth.runs, changed])
    source = np.arange(len(truth))
    source[np.array(numbers) - 1] = len(truth) + np.arange(len(numbers))
    void = truth.void
    for mask in masks.values():
        void &= ~mask
    return Segmentation.from_runs(
        truth.shape,
        both.take(source),
        class_ids=truth.class_ids,
        scores=truth.scores,
        classes=truth.classes,
        geometry=truth.geometry,
        void=void if void.any() else None,
        attributes=truth.attributes,
    )


def fixed_how(finding: Finding) -> str:
    """What becomes of it in a copy: ``repaired``, ``left out``, ``copies left out``, or empty for nothing."""
    if finding.code in (
        "faulty-record",
        "unreadable",
        "unknown-class",
    ):  # by the check's own reading, if not by a fix
        return "left out"
    if not finding.fixable:
        return ""
    return "repaired" if finding.code in REPAIRED else "copies left out"


def fixable_codes() -> list[str]:
    """Kinds of findings that ``fix`` can do something about, in the order of the table."""
    return [code for code in KINDS if code in (*REPAIRED, *LEFT_OUT)]
