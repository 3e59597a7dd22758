"""A dataset: samples in order, their classes, and where they came from."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, overload

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError, WriteError, unknown_name
from ..io.formats import make_format, recognise
from ..io.formats.format import AnnotationFormat, Problem, ReadMask
from ..io.formats.listing import LOSS_REPORT
from ..io.formats.loss import Loss, LossReport, compare, compare_classes
from ..io.formats.tree import Tree
from ..io.writing import replacing
from ..sample import Sample, SampleList
from ..segmentation import Segmentation
from .sizes import image_sizes


class Dataset(Sequence[Sample]):
    """Annotated images, read when they are asked for. Immutable.

    ``dataset[3]`` and ``dataset["street/0042"]`` are samples, ``dataset[10:20]`` a smaller dataset. ``format`` is the
    annotation format it was opened as and ``reason`` why; ``problems`` are the records that had to be left out, and
    ``notes`` what was taken for granted where the files do not say it. ``read_mask`` reads one more mask file as
    those of the dataset are read, where its masks are files of their own. Raises ``InputError`` where two samples
    have one name.
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        classes: ClassSet,
        *,
        problems: Iterable[Problem] = (),
        notes: Iterable[str] = (),
        format: str = "",
        reason: str = "",
        path: Path | None = None,
        read_mask: ReadMask | None = None,
    ) -> None:
        self.samples = SampleList.of(samples)
        self.classes = classes
        self.problems = tuple(problems)
        self.notes = tuple(notes)
        self.format = format
        self.reason = reason
        self.path = path
        self.read_mask = read_mask
        self._index = {name: index for index, name in enumerate(self.samples.names)}
        if len(self._index) < len(self.samples):
            counts = Counter(self.samples.names)
            repeated = [name for name, count in counts.items() if count > 1]
            raise InputError(f"samples need names of their own, repeated: {', '.join(repeated[:5])}")

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        format: str | AnnotationFormat | None = None,
        *,
        faulty: Literal["raise", "skip"] = "raise",
        **options: Any,
    ) -> Self:
        """The dataset in a folder, or listed by one file such as a COCO JSON.

        Without ``format`` it is recognised by its files, and ``reason`` says by which. ``options`` are those of the
        format (``smalti formats NAME`` lists them). No pixels are read. Records that lie raise ``ReadError``;
        ``faulty="skip"`` leaves them out and keeps them as ``problems``.
        """
        tree = Tree(path)
        reason = "as asked"
        if format is None:
            format, recognised = recognise(tree, options)
            reason = recognised.reason
        if isinstance(format, str):
            format = make_format(format, **options)
        elif options:
            raise InputError(f"{format.name} is made already; set {', '.join(options)} when making it")
        found = format.open(tree)
        if found.problems and faulty == "raise":
            more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
            raise ReadError(
                f"{found.problems[0]}{more}; smalti check lists them all, faulty='skip' "
                "(--skip-faulty) leaves such records out"
            )
        return cls(
            found.samples,
            found.classes,
            problems=found.problems,
            notes=found.notes,
            format=format.name,
            reason=reason,
            path=Path(path),
            read_mask=found.read_mask,
        )

    @property
    def names(self) -> list[str]:
        """Names of all samples."""
        return list(self.samples.names)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that samples belong to, in the order they come."""
        return tuple(dict.fromkeys(sample.split for sample in self.samples if sample.split is not None))

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int | str) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | str | slice) -> Sample | Self:
        if isinstance(index, slice):
            return self.with_samples(self.samples[index])
        if isinstance(index, str):
            if index not in self._index:
                raise unknown_name("sample", index, list(self._index)[:10_000])
            return self.samples[self._index[index]]
        return self.samples[index]

    def with_samples(self, samples: Iterable[Sample]) -> Self:
        """The same dataset with other samples."""
        return type(self)(
            samples,
            self.classes,
            problems=self.problems,
            notes=self.notes,
            format=self.format,
            reason=self.reason,
            path=self.path,
            read_mask=self.read_mask,
        )

    def filter(self, wanted: Callable[[Sample], bool]) -> Self:
        """The samples for which ``wanted`` is true."""
        return self.with_samples(sample for sample in self.samples if wanted(sample))

    def split(self, name: str) -> Self:
        """The samples of one split. Raises ``UnknownName``."""
        if name not in self.splits:
            raise unknown_name("split", name, self.splits)
        return self.filter(lambda sample: sample.split == name)

    def sizes(self) -> list[tuple[int, ...] | None]:
        """Size of each image, (H, W) or (D, H, W); None where there is no image or it cannot be read.

        Read from the files' headers, and remembered between runs until a file changes.
        """
        return image_sizes(self.path, self.samples)

    def write(
        self,
        folder: str | os.PathLike[str],
        format: str | AnnotationFormat = "smalti",
        *,
        strict: bool = False,
        **options: Any,
    ) -> LossReport:
        """Write the dataset with its images into a new ``folder``; gives what the format could not hold.

        What was written is read back and compared, sample by sample, and the report lies in the folder as
        ``smalti-loss.json``. ``strict`` raises ``InputError`` for any loss. Nothing is left of a conversion that
        failed. Raises ``WriteError`` for a folder that is not empty.
        """
        if isinstance(format, str):
            format = make_format(format, **options)
        folder = Path(folder)
        check_place(folder, self.path)
        if not self.samples:
            raise InputError(f"there is no sample to write into {folder}")
        stage = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        try:
            try:
                stage.mkdir(parents=True)
            except OSError as error:
                raise WriteError(f"cannot write {folder}: {error.strerror or error}") from error
            samples = self._in_its_classes()
            names = format.write(stage, samples, self.classes)
            report = self._loss(stage, folder, format, samples, names)
            if strict and report:
                lines = [line.strip() for line in report.lines()]
                raise InputError(f"{'; '.join(lines)}; nothing was written, as no loss was to be accepted")
            with replacing(stage / LOSS_REPORT) as part:
                part.write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False), encoding="utf-8")
            if folder.exists():
                folder.rmdir()
            stage.rename(folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return report

    def _in_its_classes(self) -> SampleList:
        """The samples, whose truths are of the dataset's classes; reading one that is not raises ``InputError``."""
        samples = self.samples

        def made(index: int) -> Sample:
            sample = samples[index]
            if sample.load_truths is None:
                return sample
            return replace(sample, load_truths=partial(_truths_in, sample, self.classes))

        return SampleList(samples.names, samples.image_files, made)

    def _loss(
        self, stage: Path, folder: Path, format: AnnotationFormat, samples: SampleList, names: Sequence[str]
    ) -> LossReport:
        """What the files in ``stage``, which are to be in ``folder``, do not hold of the ``samples``."""
        try:
            found = format.open(Tree(stage))
        except ReadError as error:
            reason = str(error).replace(str(stage), str(folder))
            raise InputError(f"{format.name} does not hold these samples: {reason}") from error
        written = {sample.name: sample for sample in found.samples}
        losses = {}
        for sample, name in zip(samples, names, strict=True):
            if name in written:
                losses[sample.name] = compare(sample, written[name])
            else:
                gone = sum(len(truth) for truth in sample.truths) if sample.annotated else 0
                losses[sample.name] = Loss(segments_lost=gone, image_changed="the sample is not kept")
        notes = [str(problem).replace(str(stage), str(folder)) for problem in found.problems]
        lost, changed = compare_classes(self.classes, found.classes)
        return LossReport(losses, format.name, (*notes, *lost), changed)

    def __repr__(self) -> str:
        splits = f", splits {', '.join(self.splits)}" if self.splits else ""
        kind = f"{self.format}, " if self.format else ""
        return f"Dataset({kind}{len(self)} samples, {len(self.classes)} classes{splits})"


def check_outside(place: Path, dataset: Path | None) -> None:
    """Refuse a ``place`` to write to that lies in the ``dataset`` it is written from. Raises ``WriteError``."""
    if dataset is not None and dataset.is_dir() and place.resolve().is_relative_to(dataset.resolve()):
        raise WriteError(
            f"{place} lies in the dataset {dataset}, which stays as it is; give a place beside it"
        )


def check_place(folder: Path, dataset: Path | None) -> None:
    """The same for a new ``folder``, which must not hold anything. Raises ``WriteError``."""
    if folder.exists() and not folder.is_dir():
        raise WriteError(f"{folder} is a file; give a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise WriteError(f"{folder} is not empty; nothing is overwritten, give a new folder")
    check_outside(folder, dataset)


def _truths_in(sample: Sample, classes: ClassSet) -> tuple[Segmentation, ...]:
    """The truths of a sample with ``classes`` in place of an equal selection of them."""
    truths = []
    for truth in sample.truths:
        if truth.classes != classes:
            for class_id in np.unique(truth.class_ids).tolist():
                own = truth.classes.of(class_id)
                if own.id not in classes.ids or classes.of(own.id).name != own.name:
                    raise InputError(
                        f"sample {sample.name!r} has the class {own.id} {own.name!r}, which its dataset does not have "
                        f"({', '.join(f'{each.id} {each.name!r}' for each in list(classes)[:8])}); give both the same"
                    )
            truth = truth.replace(classes=classes)
        truths.append(truth)
    return tuple(truths)
