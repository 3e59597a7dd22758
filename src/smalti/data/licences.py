"""Which images may go into a commercial model, who is to be named, and whether files are still what they were."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import ReadError
from ..io.formats.format import Problem
from ..provenance import Provenance
from ..sample import Sample, SampleList
from ..table import Table
from .dataset import Dataset
from .licence_terms import Answer, recognise_licence

NOTICE = "This reads the names of licences and is not legal advice; what they mean for a model is for a lawyer to say."

_SAID = {"yes": "may", "no": "may not", "ask": "are to be asked about"}


@dataclass(frozen=True, eq=False)
class LicenceReview:
    """The licences of a dataset's images; ``review_licences`` makes it.

    ``table`` has a row for each licence as it is written in the dataset, most images first: what it was recognised as
    (empty: not at all), how many images, ``commercial`` yes, ask or no, the obligations and the reason, and of how
    many of its images the author or the source is not known. ``images`` counts the images of each answer.
    """

    table: Table
    images: dict[Answer, int]
    without_licence: int
    without_author: int
    without_source: int
    unnamed: int  # images whose licence asks to name an author who is not known

    @property
    def summary(self) -> list[str]:
        """How many images may go into a commercial model, and what is not known, in sentences."""
        total = sum(self.images.values())
        counts = ", ".join(f"{count} {_SAID[answer]}" for answer, count in self.images.items() if count)
        lines = [f"Of {total} images go into a commercial model: {counts or 'none'}."]
        missing = [
            f"{count} without {what}"
            for what, count in (
                ("licence", self.without_licence),
                ("author", self.without_author),
                ("source", self.without_source),
            )
            if count
        ]
        if missing:
            lines.append(f"Not known: {', '.join(missing)}.")
        if self.unnamed:
            lines.append(f"{self.unnamed} images ask for an author to be named who is not known.")
        return lines

    def __str__(self) -> str:
        return "\n".join([*self.summary, str(self.table), NOTICE])


def review_licences(dataset: Dataset) -> LicenceReview:
    """What the licences of a dataset's images permit, by their names (``recognise_licence``). Not legal advice.

    No image is read.
    """
    origins = Counter(sample.provenance for sample in dataset)
    licences: Counter[str] = Counter()
    no_author: Counter[str] = Counter()
    no_source: Counter[str] = Counter()
    for origin, count in origins.items():
        licences[origin.licence] += count
        no_author[origin.licence] += 0 if origin.author else count
        no_source[origin.licence] += 0 if origin.source else count
    order = sorted(licences, key=lambda licence: (-licences[licence], licence))
    terms = [recognise_licence(licence) for licence in order]
    images: dict[Answer, int] = {"yes": 0, "ask": 0, "no": 0}
    for licence, known in zip(order, terms, strict=True):
        images[known.commercial] += licences[licence]
    table = Table(
        {
            "licence": _texts(licence or "(none)" for licence in order),
            "known_as": _texts(known.name for known in terms),
            "images": np.array([licences[licence] for licence in order], np.int64),
            "commercial": _texts(known.commercial for known in terms),
            "obligations": _texts(", ".join(known.obligations) for known in terms),
            "no_author": np.array([no_author[licence] for licence in order], np.int64),
            "no_source": np.array([no_source[licence] for licence in order], np.int64),
            "reason": _texts(known.reason for known in terms),
        }
    )
    unnamed = sum(
        no_author[licence] for licence, known in zip(order, terms, strict=True) if known.attribution
    )
    return LicenceReview(
        table, images, licences[""], sum(no_author.values()), sum(no_source.values()), unnamed
    )


def commercial(dataset: Dataset, share_alike: bool = True) -> Dataset:
    """The samples whose licence permits commercial use by its name, their obligations still to be met.

    What is to be asked about is left out; without ``share_alike`` so is what asks adaptations to be passed on under the
    same licence. Not legal advice.
    """

    def allowed(sample: Sample) -> bool:
        terms = recognise_licence(sample.provenance.licence)
        return terms.commercial == "yes" and (share_alike or not terms.share_alike)

    return dataset.filter(allowed)


def credits_of(dataset: Dataset) -> Table:
    """Whom to name: each author, source and licence of the images whose licence asks for it, with their number."""
    asked: Counter[tuple[str, str, str]] = Counter()
    for sample in dataset:
        origin = sample.provenance
        if recognise_licence(origin.licence).attribution:
            asked[origin.author, origin.source, origin.licence] += 1
    rows = sorted(asked)
    return Table(
        {
            "author": _texts(row[0] for row in rows),
            "source": _texts(row[1] for row in rows),
            "licence": _texts(row[2] for row in rows),
            "images": np.array([asked[row] for row in rows], np.int64),
        }
    )


def with_origin(dataset: Dataset, **parts: str) -> Dataset:
    """The dataset with these ``parts`` of a provenance (``source``, ``licence``, ...) where its files do not say them.

    Raises ``InputError`` for parts nobody knows.
    """
    stated = Provenance.from_json(parts)
    samples = dataset.samples

    def made(index: int) -> Sample:
        sample = samples[index]
        return replace(sample, provenance=replace(stated, **sample.provenance.to_json()))

    return dataset.with_samples(SampleList(samples.names, samples.image_files, made))


def with_hashes(dataset: Dataset, workers: int | None = None) -> Dataset:
    """The dataset with the SHA-256 of each image file in its provenance, where there is none yet.

    Of a folder (a DICOM series) it is that of its files' names and digests, as ``sha256sum *`` prints them. Samples
    whose image is no file stay as they are. Files are read in threads, each once. Raises ``ReadError`` for a file
    that cannot be read.
    """
    wanted = [
        sample.image_path
        for sample in dataset
        if sample.image_path is not None and not sample.provenance.sha256
    ]
    digests = dict(_digests(wanted, workers))
    for digest in digests.values():
        if isinstance(digest, ReadError):
            raise digest
    samples = dataset.samples

    def made(index: int) -> Sample:
        sample = samples[index]
        digest = digests.get(sample.image_path) if sample.image_path is not None else None
        if not isinstance(digest, str) or sample.provenance.sha256:
            return sample
        return replace(sample, provenance=replace(sample.provenance, sha256=digest))

    return dataset.with_samples(SampleList(samples.names, samples.image_files, made))


def verify_hashes(dataset: Dataset, workers: int | None = None) -> list[Problem]:
    """The image files that are not what their provenance says: changed, gone or unreadable, in the dataset's order.

    Samples without a hash or without an image file cannot be verified and are passed over.
    """
    checked = [sample for sample in dataset if sample.image_path is not None and sample.provenance.sha256]
    digests = dict(_digests([sample.image_path for sample in checked if sample.image_path], workers))
    problems = []
    for sample in checked:
        assert sample.image_path is not None
        digest = digests[sample.image_path]
        wanted = sample.provenance.sha256.lower()
        if isinstance(digest, ReadError):
            message = str(digest)
        elif digest != wanted:
            message = (
                f"the file was changed: its SHA-256 is {digest[:12]}..., recorded is {wanted[:12]}...; "
                "fetch it anew, or record the new one if the change was meant"
            )
        else:
            continue
        problems.append(Problem(str(sample.image_path), "", message, sample.name))
    return problems


def _digests(paths: Sequence[Path], workers: int | None) -> Iterator[tuple[Path, str | ReadError]]:
    """The digest of each path, once, or why it has none."""
    different = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        yield from zip(different, pool.map(_digest, different), strict=True)


def _digest(path: Path) -> str | ReadError:
    try:
        if not path.is_dir():
            return _file_digest(path)
        files = sorted(file for file in path.iterdir() if file.is_file())
        lines = "".join(f"{_file_digest(file)}  {file.name}\n" for file in files)
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    except OSError as error:
        return ReadError(f"{path} cannot be read: {error.strerror or error}")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _texts(values: Iterable[str]) -> np.ndarray:
    return np.array(list(values), np.str_)
