"""The check of a whole dataset: every sample once, in as many processes as wanted, and then the judges."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol

from ...classes import ClassSet
from ...errors import InputError
from ...io.formats import ANNOTATION_FORMATS, make_format
from ...io.formats.format import Problem
from ...sample import Sample
from .balance import BalanceJudge
from .drift import DriftJudge
from .duplicates import DuplicateJudge
from .examine import Polygons, examine
from .examined import Examined
from .files import problem_findings
from .finding import Finding
from .instances import InstanceJudge
from .pieces import PieceJudge
from .report import CheckReport, sorted_findings
from .suspicious import SuspiciousJudge
from .voids import VoidJudge

Progress = Callable[[int, int], None]
"""Told after each sample: how many are done, and how many there are."""

_CHUNK = 8
_MISFITS = ("shifted", "dilated", "eroded")
_CONSEQUENCES = (
    (("duplicate-instance", "overlap", "tiny-segment"), (*_MISFITS, "merged", "split")),
    (("merged", "split"), _MISFITS),
)


class Checked(Protocol):
    """What can be checked: a ``Dataset``, or anything else with these."""

    @property
    def samples(self) -> Sequence[Sample]: ...
    @property
    def classes(self) -> ClassSet: ...
    @property
    def problems(self) -> Sequence[Problem]: ...


class Judge(Protocol):
    """One family of checks: it is told of every sample, then says what stands out."""

    def add(self, sample: Examined) -> None: ...
    def findings(self) -> Iterable[Finding]: ...


def check(
    dataset: Checked, *, jobs: int = 1, flips: bool = False, progress: Progress | None = None
) -> CheckReport:
    """What is wrong with a dataset, and what is in it.

    Every image is read once, in ``jobs`` processes; copies of images are read again to be compared, with ``flips``
    also mirrored and turned ones. Memory grows by some hundred bytes an image and some for each segment that stands
    out. Raises ``InputError`` where samples made in memory are to go to other processes.
    """
    started = time.perf_counter()
    examined = examine_all(dataset.samples, polygons_of(dataset), jobs)
    report = judge(dataset, _told(examined, len(dataset.samples), progress), flips=flips)
    return replace(report, seconds=time.perf_counter() - started)


def judge(dataset: Checked, examined: Iterable[Examined], *, flips: bool = False) -> CheckReport:
    """What stands out in a dataset whose samples have been ``examined``, one after the other."""
    balance, drift = BalanceJudge(dataset.classes), DriftJudge(dataset.classes)
    judges: list[Judge] = [
        InstanceJudge(dataset.classes),
        PieceJudge(dataset.classes),
        VoidJudge(dataset.classes),
        SuspiciousJudge(dataset.classes),
        DuplicateJudge(dataset.classes, dataset.samples.__getitem__, flips),
        drift,
        balance,
    ]
    findings = problem_findings(dataset.problems)
    for sample in examined:
        findings += sample.findings
        for each in judges:
            each.add(sample)
    for each in judges:
        findings += each.findings()
    return CheckReport(
        name=str(getattr(dataset, "path", None) or ""),
        format=str(getattr(dataset, "format", "")),
        samples=len(dataset.samples),
        findings=sorted_findings(_without_consequences(findings)),
        classes=tuple(balance.table()),
        splits=drift.summary(),
        unit=balance.unit,
    )


def _told(examined: Iterable[Examined], total: int, progress: Progress | None) -> Iterator[Examined]:
    for done, sample in enumerate(examined, 1):
        yield sample
        if progress is not None:
            progress(done, total)


def _without_consequences(findings: list[Finding]) -> list[Finding]:
    """Leave out what is suspected of segments of which something surer is known: that the second outline of one
    object or half an object does not fit is no news."""
    for surer, suspected in _CONSEQUENCES:
        known = {place for finding in findings if finding.code in surer for place in _places(finding)}
        findings = [
            finding for finding in findings if finding.code not in suspected or not _places(finding) & known
        ]
    return findings


def _places(finding: Finding) -> set[tuple[str, int, int]]:
    return {(name, finding.truth, k) for name in finding.samples for k in finding.segments}


def polygons_of(dataset: Checked) -> Polygons | None:
    """How the dataset's format gives the outlines in its files; None where it keeps none."""
    name = str(getattr(dataset, "format", ""))
    return make_format(name).polygons if name in ANNOTATION_FORMATS else None


def examine_all(
    samples: Sequence[Sample], polygons: Polygons | None = None, jobs: int = 1
) -> Iterator[Examined]:
    """``examine`` of every sample, in order, in ``jobs`` processes."""
    if jobs < 1:
        raise InputError(f"jobs must be 1 or more, got {jobs}")
    if jobs == 1:
        for index, sample in enumerate(samples):
            yield examine(sample, index, polygons)
        return
    from concurrent.futures import Future, ProcessPoolExecutor
    from multiprocessing import get_context

    _check_travels(samples, polygons)
    # spawned: forking a process in which OpenCV's or numba's threads run may hang
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        waiting: deque[Future[list[Examined]]] = deque()
        try:
            for first, chunk in _chunks(samples):
                waiting.append(pool.submit(_examine_chunk, first, chunk, polygons))
                if len(waiting) >= 4 * jobs:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _check_travels(samples: Sequence[Sample], polygons: Polygons | None) -> None:
    """Raise ``InputError`` where samples cannot be sent to another process."""
    import pickle

    try:
        pickle.dumps((list(samples[:1]), polygons))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise InputError(
            f"these samples live in this process alone ({error}); check them with jobs=1"
        ) from error


def _chunks(samples: Sequence[Sample]) -> Iterator[tuple[int, list[Sample]]]:
    each = iter(samples)
    first = 0
    while chunk := list(islice(each, _CHUNK)):
        yield first, chunk
        first += len(chunk)


def _examine_chunk(first: int, chunk: list[Sample], polygons: Polygons | None) -> list[Examined]:
    return [examine(sample, index, polygons) for index, sample in enumerate(chunk, first)]


def _one_thread() -> None:
    """Each worker keeps to one core; Ctrl-C is the parent's to handle."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
