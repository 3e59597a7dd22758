"""One image of a dataset with its truth, neither of them read before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
        places = [f"{kind} {value}" for kind, value in (("split", self.split), ("group", self.group)) if value]
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
