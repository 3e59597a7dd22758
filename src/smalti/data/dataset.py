"""A dataset: samples in order, their classes, and where they came from."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self, overload

from ..classes import ClassSet
from ..errors import InputError, ReadError, WriteError, unknown_name
from ..io.formats import make_format, recognise
from ..io.formats.format import AnnotationFormat, Problem
from ..io.formats.loss import Loss, LossReport, compare
from ..io.formats.tree import LOSS_REPORT, Tree
from ..io.writing import replacing
from ..sample import Sample, SampleList
from .sizes import image_sizes


class Dataset(Sequence[Sample]):
    """Annotated images, read when they are asked for. Immutable.

    ``dataset[3]`` and ``dataset["street/0042"]`` are samples, ``dataset[10:20]`` a smaller dataset. ``format`` is the
    annotation format it was opened as and ``reason`` why; ``problems`` are the records that had to be left out.
    Raises ``InputError`` where two samples have one name.
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        classes: ClassSet,
        *,
        problems: Iterable[Problem] = (),
        format: str = "",
        reason: str = "",
        path: Path | None = None,
    ) -> None:
        self.samples = SampleList.of(samples)
        self.classes = classes
        self.problems = tuple(problems)
        self.format = format
        self.reason = reason
        self.path = path
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
                f"{found.problems[0]}{more}; smalti check lists them all, faulty='skip' leaves such records out"
            )
        return cls(
            found.samples,
            found.classes,
            problems=found.problems,
            format=format.name,
            reason=reason,
            path=Path(path),
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
            format=self.format,
            reason=self.reason,
            path=self.path,
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
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise WriteError(f"{folder} is not empty; nothing is overwritten, give a new folder")
        if not self.samples:
            raise InputError(f"there is no sample to write into {folder}")
        stage = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        try:
            try:
                stage.mkdir(parents=True)
            except OSError as error:
                raise WriteError(f"cannot write {folder}: {error.strerror or error}") from error
            names = format.write(stage, self.samples, self.classes)
            report = self._loss(stage, format, names)
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

    def _loss(self, folder: Path, format: AnnotationFormat, names: Sequence[str]) -> LossReport:
        found = format.open(Tree(folder))
        written = {sample.name: sample for sample in found.samples}
        losses = {}
        for sample, name in zip(self.samples, names, strict=True):
            if name in written:
                losses[sample.name] = compare(sample, written[name])
            else:
                gone = sum(len(truth) for truth in sample.truths) if sample.annotated else 0
                losses[sample.name] = Loss(segments_lost=gone, image_changed="the sample is not kept")
        notes = [str(problem) for problem in found.problems]
        missing = [entry.name for entry in self.classes if entry.name not in found.classes.names]
        if missing:
            notes.append(f"classes not kept: {', '.join(missing)}")
        return LossReport(losses, format.name, tuple(notes))

    def __repr__(self) -> str:
        splits = f", splits {', '.join(self.splits)}" if self.splits else ""
        kind = f"{self.format}, " if self.format else ""
        return f"Dataset({kind}{len(self)} samples, {len(self.classes)} classes{splits})"
