"""One image of a dataset with its truth, neither of them read before it is asked for, and many of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from .errors import InputError
from .image import Image
from .provenance import UNKNOWN_ORIGIN, Provenance
from .segmentation import Segmentation


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """An image, what annotators say it shows, and where it belongs.

    ``name`` is unique in its dataset: the image's path below the dataset's folder without its suffix, parts
    separated by ``/``, and for a video frame its number at the end. ``image`` and ``truth`` are read anew each time
    they are asked for; keep them if they are needed twice. ``split`` is ``train``, ``val``, ``test`` or what the
    dataset calls it; samples of one ``group`` (patient, video, slide) belong in one split. ``metadata`` has what
    else is known, such as ``site`` or ``stain``. ``image_path`` is None where the image is no file of its own.
    """

    name: str
    load_image: Callable[[], Image] | None = None
    load_truths: Callable[[], tuple[Segmentation, ...]] | None = None
    image_path: Path | None = None
    truth_paths: tuple[Path, ...] = ()
    split: str | None = None
    group: str | None = None
    provenance: Provenance = UNKNOWN_ORIGIN
    metadata: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def image(self) -> Image:
        """The image. Raises ``InputError`` where the dataset has none for this sample, else as ``io.read``."""
        if self.load_image is None:
            raise InputError(f"sample {self.name!r} has no image")
        return self.load_image()

    @property
    def truth(self) -> Segmentation:
        """What the first annotator says. Raises ``InputError`` where there is no annotation."""
        return self.truths[0]

    @property
    def truths(self) -> tuple[Segmentation, ...]:
        """What each annotator says, at least one."""
        truths = () if self.load_truths is None else self.load_truths()
        if not truths:
            raise InputError(f"sample {self.name!r} has no annotation")
        return truths

    @property
    def annotated(self) -> bool:
        """Whether there is a truth to read."""
        return self.load_truths is not None

    def __repr__(self) -> str:
        places = [
            f"{kind} {value}" for kind, value in (("split", self.split), ("group", self.group)) if value
        ]
        known = ["image"] * (self.load_image is not None) + ["truth"] * self.annotated
        return f"Sample({', '.join([self.name, *places, ' and '.join(known) or 'nothing known'])})"

    @classmethod
    def of(cls, name: str, image: Image, truth: Segmentation | None = None, **fields: object) -> Sample:
        """A sample of an image and truth in memory.

        Raises ``InputError`` where their sizes differ.
        """
        if truth is not None and truth.shape != image.shape:
            raise InputError(f"sample {name!r}: the image is {image.shape}, its truth {truth.shape}")
        load_truths = None if truth is None else lambda: (truth,)
        return cls(name, lambda: image, load_truths, **fields)  # type: ignore[arg-type]  # as the fields are


class SampleList(Sequence[Sample]):
    """Samples that are made when they are asked for: of a large dataset mostly names and files are wanted.

    ``names`` and ``image_files`` (None where there is none) are those of sample 0, 1, ..., and ``make(i)`` gives it.
    """

    def __init__(
        self, names: Sequence[str], image_files: Sequence[str | None], make: Callable[[int], Sample]
    ) -> None:
        if len(names) != len(image_files):
            raise InputError(f"{len(names)} names need as many image files, got {len(image_files)}")
        self.names = names
        self.image_files = image_files
        self._make = make

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> SampleList:
        """The same samples; a ``SampleList`` as it is."""
        if isinstance(samples, cls):
            return samples
        made = tuple(samples)
        files = [None if sample.image_path is None else str(sample.image_path) for sample in made]
        return cls([sample.name for sample in made], files, made.__getitem__)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Sample]:
        return map(self._make, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> SampleList: ...

    def __getitem__(self, index: int | slice) -> Sample | SampleList:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return self._make(chosen)
        return SampleList(
            [self.names[i] for i in chosen],
            [self.image_files[i] for i in chosen],
            lambda i: self._make(chosen[i]),
        )
