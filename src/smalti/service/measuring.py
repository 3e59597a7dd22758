"""A network carried out by each runtime on the same images, one after the other, and what that shows."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, SmaltiError, UnknownName
from ..image import Image
from ..metrics.metric import Metric
from ..metrics.pair import Pair
from ..sample import Sample
from ..segmentation import Segmentation
from .footprint import extra_memory
from .parity import Agreement
from .runtime_table import Latency, RuntimeRow, RuntimeTable, Scored, machine

if TYPE_CHECKING:
    from ..evaluation.predictions import Alignment
    from ..runtime.engines import Runtime
    from ..runtime.fitted import FittedNetwork

REFERENCES = ("torch", "onnxruntime")
"""What others are compared with: the first of these that can be had."""


RUNS = 10
"""Runs that a latency is of at least; fewer images are run again."""


TOGETHER_PX = 20_000_000
"""Pixels of the images that are worked on together: they and one prediction of each are kept in memory."""


def measure_runtimes(
    model: FittedNetwork,
    samples: Sequence[Sample],
    runtimes: Sequence[str] | None = None,
    *,
    metric: str | None = None,
    classes: ClassSet | None = None,
    source: str = "",
    threads: int | None = None,
    memory: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RuntimeTable:
    """Carry out a network by each of ``runtimes``, all that there are by default, on the images of ``samples``.

    The reference, torch or else ONNX Runtime, is measured whatever is asked for. Runtimes that cannot be had are rows
    that say why. Where every sample is annotated they are scored by ``metric``, by default the first of the task, with
    ``classes`` of the truth where they are not those of the first one. Latencies are of one image after the other,
    each size seen once before; runtimes take turns, not images, so that none disturbs another.

    Raises ``InputError`` without images, and for images that the model does not take.
    """
    from ..runtime.engines import RUNTIMES, default_threads

    if not samples:
        raise InputError("runtimes are measured on images, and there is none")
    threads = threads or default_threads()
    asked = list(dict.fromkeys(RUNTIMES if runtimes is None else runtimes))
    judge = _Judge.of(model, samples, metric, classes)
    with _torch_threads():
        with _silent():
            loaded, missing = _loaded(model, [*REFERENCES, *asked], threads)
        reference = next((name for name in REFERENCES if name in loaded), None)
        if reference is None:
            raise InputError(f"neither torch nor ONNX Runtime can run the model: {missing[REFERENCES[-1]]}")
        wanted = dict.fromkeys([reference, *(name for name in asked if name in loaded)])
        measured = {name: _Measured(model, loaded[name], Agreement(model.task)) for name in wanted}
        largest = _looked_at(samples, measured, judge, progress)
    with _as_file(model, memory) as path:
        rows = []
        for name in dict.fromkeys([reference, *asked]):
            if name not in measured:
                rows.append(RuntimeRow(name, missing=missing[name]))
                continue
            grown = None if path is None else extra_memory(path, name, largest.image, threads)
            rows.append(measured[name].row(name, judge, grown))
    return RuntimeTable(
        tuple(rows),
        reference,
        None if judge is None else judge.metric.headline,
        len(samples),
        source,
        threads,
        machine(),
        (
            *(() if reference == REFERENCES[0] else (f"compared with {reference}, as {missing['torch']}",)),
            *(judge.align.notes if judge is not None else ()),
        ),
    )


def _looked_at(
    samples: Sequence[Sample],
    measured: Mapping[str, _Measured],
    judge: _Judge | None,
    progress: Callable[[int, int], None],
) -> Sample:
    """Every sample looked at by all of ``measured``, of which the first is the reference; gives the largest one."""
    done, largest, most_px = 0, samples[0], 0
    for images in _together(samples):
        truths = judge.truths(images) if judge is not None else [None] * len(images)
        reference: list[Segmentation] | None = None
        for each in measured.values():
            predicted = each.predicted([image for _, image in images], -(-RUNS // len(samples)))
            reference = predicted if reference is None else reference
            for first, other, truth in zip(reference, predicted, truths, strict=True):
                each.agreement.add(first, other)
                if judge is not None and truth is not None:
                    each.kept.append(judge.metric.keep(judge.pair(truth, other)))
            done += len(images)
            progress(done, len(measured) * len(samples))
        for sample, image in images:
            pixels = int(np.prod(image.shape))
            if pixels > most_px:
                largest, most_px = sample, pixels
    return largest


class _Timed:
    """A runtime that adds up the time it runs."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.precision, self.remark = runtime.precision, runtime.remark
        self.seconds = 0.0

    def run(self, batch: np.ndarray) -> np.ndarray:
        start = perf_counter()
        planes = self.runtime.run(batch)
        self.seconds += perf_counter() - start
        return planes


@dataclass
class _Measured:
    """What one runtime has come to so far."""

    model: FittedNetwork
    runtimes: tuple[_Timed, ...]
    agreement: Agreement
    kept: list[Any] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)
    predicts: list[float] = field(default_factory=list)

    def predicted(self, images: Sequence[Image], times: int) -> list[Segmentation]:
        """The segments of each image; each is looked at so many times, and each size once before that."""
        made = replace(self.model, loaded=cast("tuple[Runtime, ...]", self.runtimes))
        seen: set[tuple[int, ...]] = set()
        found = []
        for image in images:
            if image.shape not in seen:
                made.predict(image)
                seen.add(image.shape)
            for _ in range(times):
                before, start = self._spent(), perf_counter()
                segments = made.predict(image)
                self.predicts.append(perf_counter() - start)
                self.runs.append(self._spent() - before)
            found.append(segments)
        return found

    def _spent(self) -> float:
        return sum(each.seconds for each in self.runtimes)

    def row(self, name: str, judge: _Judge | None, memory: int | None) -> RuntimeRow:
        first = self.runtimes[0]
        return RuntimeRow(
            name,
            first.precision,
            first.remark,
            self.agreement.value,
            None if judge is None else judge.scored(self.kept),
            Latency.of(self.runs),
            Latency.of(self.predicts),
            memory,
        )


@dataclass(frozen=True)
class _Judge:
    """The metric, and the classes that truth and prediction have in common."""

    metric: Metric
    align: Alignment
    groups: Sequence[str] | None

    @classmethod
    def of(
        cls,
        model: FittedNetwork,
        samples: Sequence[Sample],
        metric: str | None,
        classes: ClassSet | None,
    ) -> _Judge | None:
        """None where there are images without a truth. Raises ``InputError`` for a metric that is no share."""
        from ..evaluation.measures import OF_TASK, make_metric
        from ..evaluation.predictions import align_classes

        if not all(sample.annotated for sample in samples):
            if metric is not None:
                raise InputError(f"there is no {metric} without annotations, and not all images have one")
            return None
        align = align_classes(
            classes or getattr(samples, "classes", None) or samples[0].truth.classes, model.classes
        )
        made = make_metric(metric or OF_TASK[model.task][0], align.classes)
        head = next(each for each in made.scores if each.name == made.headline)
        if head.better != "higher" or head.unit or head.per_class:
            raise InputError(
                f"{made.name} is judged by {head.title}, which is no score from 0 to 1; name another metric"
            )
        groups = [sample.group for sample in samples if sample.group is not None]
        return cls(made, align, groups if len(groups) == len(samples) else None)

    def truths(self, images: Sequence[tuple[Sample, Image]]) -> list[Segmentation | None]:
        return [sample.truth.replace(classes=self.align.classes) for sample, _ in images]

    def pair(self, truth: Segmentation, predicted: Segmentation) -> Pair:
        return Pair(truth, self.align(predicted).replace(void=None))

    def scored(self, kept: Sequence[Any]) -> Scored:
        from ..metrics.interval import interval

        found = interval(self.metric, kept, groups=self.groups)[self.metric.headline]
        return Scored(float(found.value), float(found.low), float(found.high))


def _loaded(
    model: FittedNetwork, names: Sequence[str], threads: int
) -> tuple[dict[str, tuple[_Timed, ...]], dict[str, str]]:
    """Each runtime that can be had, and why each other one cannot."""
    loaded: dict[str, tuple[_Timed, ...]] = {}
    missing: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            loaded[name] = tuple(map(_Timed, model.with_runtime(name, threads).loaded or ()))
        except UnknownName:
            raise
        except SmaltiError as error:
            missing[name] = str(error)
    return loaded, missing


def _together(samples: Sequence[Sample]) -> Iterator[list[tuple[Sample, Image]]]:
    """The samples with their images, some at a time."""
    some: list[tuple[Sample, Image]] = []
    pixels = 0
    for sample in samples:
        image = sample.image
        if some and pixels + np.prod(image.shape) > TOGETHER_PX:
            yield some
            some, pixels = [], 0
        some.append((sample, image))
        pixels += int(np.prod(image.shape))
    yield some


@contextmanager
def _silent() -> Iterator[None]:
    """Runtimes do not log what their rows will say."""
    from ..runtime.engines import logger

    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def _torch_threads() -> Iterator[None]:
    """The cores of torch, which are one number for the whole process, as they were before."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


@contextmanager
def _as_file(model: FittedNetwork, wanted: bool) -> Iterator[Path | None]:
    """A file of the model for other processes, as long as they need it; None where nobody does."""
    if not wanted:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="smalti-") as folder:
        path = Path(folder) / "model.smalti"
        model.save(path)
        yield path
