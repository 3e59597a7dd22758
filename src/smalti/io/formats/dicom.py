"""DICOM series with segmentation objects (DICOM-SEG).

A sample is a series: the slices that share its number, in whatever files. A segmentation object belongs to the series
whose images it refers to, else to the one of the same frame of reference whose grid it lies on, else it is a sample
without image. The patient is the group. Written are a folder for each sample, ``NAME/0001.dcm`` and so on, copied where
they were DICOM, with ``NAME/seg-1.dcm``; ``classes.json`` has the classes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...sample import Sample
from ...segmentation import Segmentation
from ..dicom import Series, arrange, group_series
from ..dicom_files import SEGMENTATIONS, Header, read_header
from .dicom_grid import fits, own_grid
from .dicom_seg import Reading, SegHeader, read_seg_header, read_segments_of
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .listing import natural
from .pairing import Pair
from .records import about, read_classes, write_classes
from .roles import split_of
from .sample_lists import read_samples, write_samples
from .tree import Tree, inside

_PEEKED = 64  # files looked into when a folder is recognised
_HEAD = 1024  # the SOP class stands in the first group
_SEGMENTED = re.compile("|".join(rf"{re.escape(uid)}(?![0-9.])" for uid in SEGMENTATIONS).encode())


class DicomSeg(AnnotationFormat):
    """DICOM series with segmentation objects: binary, fractional and label maps; written as binary ones."""

    name: ClassVar[str] = "dicom-seg"
    title: ClassVar[str] = "DICOM-SEG"
    source: ClassVar[str] = "https://dicom.nema.org/medical/dicom/current/output/html/part03.html#sect_C.8.20"

    class_from: Literal["label", "type"] = Field(
        "label",
        description="What tells the class of a segment: its label, or the meaning of its property type.",
    )
    threshold: float = Field(
        0.5, gt=0, le=1, description="Fraction from which on a pixel of a fractional segment belongs to it."
    )
    together: bool = Field(
        False, description="Segmentation objects of one series are one truth; else each is an annotator's."
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        paths = [tree.focus] if tree.focus is not None else _spread(tree.paths)
        heads = [tree.head(path, _HEAD) for path in paths]
        found = [head for head in heads if head[128:132] == b"DICM"]
        if not found:
            return None
        segmented = any(_SEGMENTED.search(head) for head in found)
        reason = f"{len(found)} of {len(heads)} files looked into are DICOM"
        if segmented:
            return Recognised(0.9, f"{reason}, with segmentations")
        return Recognised(0.75 if 2 * len(found) > len(heads) else 0.4, reason)

    def open(self, tree: Tree) -> Annotations:
        problems: list[Problem] = []
        headers = list(_headers(tree, problems))
        series = [
            one for one in map(partial(_series, tree, problems), group_series(headers)) if one is not None
        ]
        segs = [one for one in map(partial(_seg, tree, problems), headers) if one is not None]
        if not series and not segs and not problems:
            raise ReadError(f"{tree.root / (tree.focus or '')} has no DICOM images; check the folder")
        if tree.focus is not None:
            focus = tree.file(tree.focus)
            segs = [seg for seg in segs if seg.path == focus] or segs
        owned: dict[int, list[SegHeader]] = {}
        alone: list[SegHeader] = []
        for seg in segs:
            owner = _owner(seg, series)
            if owner is None:
                alone.append(seg)
            else:
                owned.setdefault(owner, []).append(seg)
        if tree.focus is not None and tree.file(tree.focus) in {seg.path for seg in segs}:
            series, owned = [series[index] for index in owned], dict(enumerate(owned.values()))
        found = [(one, owned.get(index, [])) for index, one in enumerate(series)]
        found += self._without_images(tree, alone, problems)
        classes = self._classes(tree, [seg for _, its in found for seg in its])
        reading = Reading(classes, self.class_from, self.threshold)
        names = _names(tree, [one for one, _ in found])
        samples = [
            self._sample(tree, name, one, its, reading) for name, (one, its) in zip(names, found, strict=True)
        ]
        samples.sort(key=lambda sample: natural(sample.name))
        return Annotations(_listed(tree, samples, problems), classes, problems)

    def write(self, folder: Path, samples: Iterable[Sample], classes: ClassSet) -> list[str]:
        from .dicom_writer import write_sample

        pairs: list[Pair] = []
        for sample in samples:
            name = inside(sample.name)
            image, truths = write_sample(folder, name, sample)
            fields = about(sample)
            split, group = fields.pop("split", None), fields.pop("group", None)
            pairs.append(Pair(name, image, truths[0] if truths else None, split, group, fields or None))
        write_classes(folder, classes)
        if pairs:
            tree = Tree(folder)
            derived = {sample.name: _told(tree, sample) for sample in DicomSeg.make({}).open(tree).samples}
            if any(derived.get(pair.name) != pair for pair in pairs):
                write_samples(folder, pairs, self.name)
        return [pair.name for pair in pairs]

    def _classes(self, tree: Tree, segs: Sequence[SegHeader]) -> ClassSet:
        return read_classes(
            tree,
            [
                segment.class_name(self.class_from)
                for seg in segs
                for segment in seg.segments
                if segment.number > 0 and not segment.void
            ],
        )

    def _without_images(
        self, tree: Tree, segs: Sequence[SegHeader], problems: list[Problem]
    ) -> Iterator[tuple[Series, list[SegHeader]]]:
        for seg in segs:
            try:
                yield own_grid(seg.image), [seg]
            except ReadError as error:
                problems.append(_problem(tree, seg.path, error))

    def _sample(
        self, tree: Tree, name: str, series: Series, segs: list[SegHeader], reading: Reading
    ) -> Sample:
        alone = series.header.sop_class in SEGMENTATIONS
        single = series.files[0] if len(series.files) == 1 and not alone else None
        if single is not None and len(series.frames) == 1 and series.geometry.affine is not None:
            single = None  # read by itself it is a picture, here a volume of one slice
        relative = series.files[0].relative_to(tree.root).as_posix()
        return Sample(
            name,
            None if alone else series,
            partial(_truths, tuple(segs), series, reading, self.together) if segs else None,
            single,
            tuple(seg.path for seg in segs),
            next((split for split in map(split_of, relative.split("/")[:-1]) if split), None),
            series.header.patient or None,
        )


def _truths(
    segs: tuple[SegHeader, ...], series: Series, reading: Reading, together: bool
) -> tuple[Segmentation, ...]:
    found = []
    for seg in segs:
        try:
            found.append(read_segments_of(seg, series, reading))
        except InputError as error:
            raise ReadError(f"{seg.path}: {error}") from error
    return (Segmentation.concatenate(found),) if together and len(found) > 1 else tuple(found)


# Files


def _spread(paths: Sequence[str]) -> list[str]:
    """Some of the files, from all over the listing."""
    step = max(1, len(paths) // _PEEKED)
    return list(paths[::step][:_PEEKED])


def _headers(tree: Tree, problems: list[Problem]) -> Iterator[Header]:
    for path in tree.paths:
        if tree.head(path, 132)[128:] == b"DICM":
            try:
                header = read_header(tree.file(path))
            except ReadError as error:
                problems.append(_problem(tree, tree.file(path), error))
                continue
            if header is not None:
                yield header


def _series(tree: Tree, problems: list[Problem], headers: list[Header]) -> Series | None:
    images = [header for header in headers if header.frames]
    if not images:
        return None  # reports, structures and other objects without pixels
    try:
        return arrange(images)
    except ReadError as error:
        problems.append(_problem(tree, images[0].path, error))
        return None


def _seg(tree: Tree, problems: list[Problem], header: Header) -> SegHeader | None:
    if header.sop_class not in SEGMENTATIONS:
        return None
    try:
        seg = read_seg_header(header)
    except ReadError as error:
        problems.append(_problem(tree, header.path, error))
        return None
    name = header.path.relative_to(tree.root).as_posix()
    problems += [Problem(name, record, message) for record, message in seg.problems]
    return None if seg.problems else seg


def _problem(tree: Tree, path: Path, error: ReadError) -> Problem:
    return Problem(
        path.relative_to(tree.root).as_posix(), "", str(error).removeprefix(str(path)).lstrip(" :")
    )


# Which belong together


def _owner(seg: SegHeader, series: Sequence[Series]) -> int | None:
    """The series that a segmentation object was drawn on."""
    for index, one in enumerate(series):
        if not seg.instances.isdisjoint(frame.uid for frame in one.frames if frame.uid):
            return index
    for index, one in enumerate(series):
        if one.header.series in seg.series:
            return index
    reference = seg.image.frame_of_reference
    for index, one in enumerate(series):
        if reference and one.header.frame_of_reference == reference and fits(seg.image, one):
            return index
    return None


def _names(tree: Tree, found: Sequence[Series]) -> list[str]:
    """The folder of a series where it has it for itself; else the file, or the folder and the series' number."""
    folders = [_folder(tree, one) for one in found]
    names: list[str] = []
    for one, folder in zip(found, folders, strict=True):
        first = one.files[0].relative_to(tree.root).as_posix()
        if folder and folders.count(folder) == 1:
            name = folder
        elif len(one.files) == 1:
            name = posixpath.splitext(first)[0]
        else:
            label = re.sub(r"[^\w.-]+", "-", one.header.label).strip("-.") or "1"
            name = posixpath.join(folder, f"series-{label}")
        while name in names:
            name += "-2"
        names.append(inside(name))
    return names


def _folder(tree: Tree, series: Series) -> str:
    parts = [path.parent.relative_to(tree.root).as_posix() for path in series.files]
    common = posixpath.commonpath(parts) if parts else ""
    return "" if common == "." else common


# The list of samples


def _listed(tree: Tree, samples: list[Sample], problems: list[Problem]) -> list[Sample]:
    """Samples under the names, splits and groups that ``samples.json`` has for their files."""
    listed = read_samples(tree)
    if listed is None:
        return samples
    problems += listed.problems
    by_file = {
        path.relative_to(tree.root).as_posix(): sample
        for sample in samples
        for path in [*(_files(sample)), *sample.truth_paths]
    }
    named = []
    for pair in listed.pairs:
        sample = by_file.get(pair.image or "") or by_file.get(pair.mask or "")
        if sample is not None:
            fields: dict[str, Any] = dict(pair.fields or {})
            named.append(
                Sample(
                    pair.name,
                    sample.load_image,
                    sample.load_truths,
                    sample.image_path,
                    sample.truth_paths,
                    pair.split,
                    pair.group,
                    **fields,
                )
            )
    return named


def _files(sample: Sample) -> tuple[Path, ...]:
    return sample.load_image.files if isinstance(sample.load_image, Series) else ()


def _told(tree: Tree, sample: Sample) -> Pair:
    """What the files alone say of a sample."""
    places = [
        path.relative_to(tree.root).as_posix() for path in (*_files(sample)[:1], *sample.truth_paths[:1])
    ]
    image = places[0] if _files(sample) else None
    mask = places[-1] if sample.truth_paths else None
    return Pair(sample.name, image, mask, sample.split, sample.group, None)
