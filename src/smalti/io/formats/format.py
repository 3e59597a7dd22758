"""What a format of annotated datasets is: recognised by its files, opened without reading pixels, written exactly."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ...classes import ClassSet
from ...errors import InputError
from ...masks import Polygon
from ...sample import Sample
from ...segmentation import Segmentation
from ...segmenter import Parameters
from .tree import Tree


@dataclass(frozen=True)
class Problem:
    """Something a dataset's files say that cannot be true, and what was done without it."""

    file: str
    record: str  # which one: "annotation 17", "line 3"; empty for the whole file
    message: str  # what was wanted, what came, what to do
    image: str = ""  # name of the sample it concerns, where it is one

    def __str__(self) -> str:
        return f"{self.file}{f', {self.record}' if self.record else ''}: {self.message}"

    @classmethod
    def of_file(cls, path: str, file: Path, error: Exception) -> Problem:
        """That all of ``path`` cannot be read, as ``error`` says, whose text begins with the place of the ``file``."""
        told = str(error).removeprefix(str(file)).lstrip(" :")
        return cls(path, "", f"it {told}" if told.startswith("is ") else told)


ReadMask = Callable[[Path], tuple[Segmentation, ...]]
"""Reads the truths in one mask file. Raises ``ReadError``."""


@dataclass(frozen=True)
class Annotations:
    """What a format found in a tree: the samples in order, their classes, and the records it had to leave out.

    ``notes`` say what was taken for granted where the files do not say it, such as what the number 0 means.
    ``read_mask`` reads one more mask of the same meaning, where masks are files of their own.
    """

    samples: Sequence[Sample]
    classes: ClassSet
    problems: Sequence[Problem] = field(default=())
    notes: Sequence[str] = ()
    read_mask: ReadMask | None = None


@dataclass(frozen=True)
class Recognised:
    """How surely a format takes a tree for its own (0..1), and by what, in words.

    ``options`` are those of which one must be given, such as ``masks=annotations``, where a tree holds several truths.
    """

    certainty: float
    reason: str
    options: tuple[str, ...] = ()


def typed_options(options: Sequence[str]) -> str:
    """``masks=a or masks=b`` for messages, with what to type in a shell."""
    return f"{' or '.join(options)} (--set {shlex.quote(options[0])} on the command line)"


class AnnotationFormat(Parameters):
    """A way to keep annotated images. Its fields are the options of reading and writing.

    Formats whose ``write`` stays as it is here are only read.
    """

    listing: ClassVar[str] = "formats"
    title: ClassVar[str]
    source: ClassVar[str]  # where the format is described

    def recognise(self, tree: Tree) -> Recognised | None:
        """Whether ``tree`` looks like this format, by names and the beginnings of files alone."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is recognised")

    def open(self, tree: Tree) -> Annotations:
        """The samples of ``tree``, lazily: no pixels are read.

        A record that lies (an image that is not there, an unknown class, counts that do not sum up) becomes a
        ``Problem`` and is left out. Raises ``ReadError`` for a file that cannot be read at all.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is read")

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        """Write ``samples`` into the empty ``folder``, images too; gives the name each has when read back.

        What the format cannot hold is put down as closely as it can; ``losses.compare`` tells the difference.
        Raises ``InputError`` for what it cannot put down at all, such as a volume in a format of pictures.
        """
        raise InputError(f"{self.name} is only read; choose another format to write")

    def polygons(self, sample: Sample) -> list[tuple[str, Polygon]]:
        """The outlines in the files of a ``sample`` of this format, each with the record it is of; in pixels, corner at
        (0, 0), neither clipped nor mended. None for what is kept as pixels. Raises as the sample's truths do.
        """
        return []
