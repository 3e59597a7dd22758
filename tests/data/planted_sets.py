"""Whole datasets with planted faults, some in memory and some on disk, and how a check of them is scored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from planted import SPOILERS
from scenery import CELLS, LAND, Draft, cell_draft, land_draft

from smalti.classes import Class, ClassSet
from smalti.data.check import CheckReport, Finding
from smalti.data.check.checking import judge, polygons_of
from smalti.data.check.examine import Examined, examine
from smalti.data.dataset import Dataset
from smalti.io.formats.native import read_truth, write_truth
from smalti.masks import Polygon, fill_polygons, trace_polygons
from smalti.sample import Sample
from smalti.segmentation import Segmentation


@dataclass(frozen=True)
class Fault:
    """Something planted: the code it should be found by, and where: samples, segments, or a value that must be
    named."""

    code: str
    samples: tuple[str, ...] = ()
    segments: tuple[int, ...] = ()
    value: str = ""

    def found_by(self, finding: Finding) -> bool:
        """Whether a finding tells of it."""
        return (
            finding.code == self.code
            and set(self.samples) <= set(finding.samples)
            and (
                not self.segments or not finding.segments or bool(set(self.segments) & set(finding.segments))
            )
            and (not self.value or any(self.value in str(each) for each in finding.measured.values()))
        )


@dataclass(frozen=True)
class PlantedSet:
    """A dataset in which everything that is wrong is known.

    Of the samples ``altered`` further findings are no surprise, nor are further ones of the codes ``tolerated``.
    """

    title: str
    dataset: Dataset
    faults: tuple[Fault, ...]
    altered: frozenset[str] = frozenset()
    tolerated: tuple[str, ...] = ()


@dataclass
class Score:
    """What a check made of planted sets: how many faults there were and were found, and findings of what is right."""

    planted: int = 0
    found: int = 0
    false: list[Finding] = field(default_factory=list)
    missed: list[Fault] = field(default_factory=list)
    images: int = 0


def score(report: CheckReport, planted: PlantedSet) -> Score:
    """Compare what was told with what was planted.

    A finding is false that names nothing planted, of whatever kind it is. Notes on what a set is like count where
    their kind is planted.
    """
    missed = [fault for fault in planted.faults if not any(map(fault.found_by, report.findings))]
    codes = {fault.code for fault in planted.faults}
    spoilt = [(set(fault.samples), set(fault.segments)) for fault in planted.faults if fault.samples]
    false = []
    for finding in report.findings:
        if any(fault.found_by(finding) for fault in planted.faults):
            continue
        if finding.severity == "info" and finding.code not in codes:
            continue
        if finding.code in planted.tolerated or set(finding.samples) & planted.altered:
            continue
        consequence = any(
            samples & set(finding.samples)
            and (not segments or not finding.segments or segments & set(finding.segments))
            for samples, segments in spoilt
        )
        if not consequence:
            false.append(finding)
    return Score(len(planted.faults), len(planted.faults) - len(missed), false, missed, len(planted.dataset))


class Bench:
    """Made-up sets of ``size`` images, faults planted into them, ``count`` of each kind, and a check that looks at
    what several sets share only once. What belongs on disk goes below ``folder``."""

    def __init__(self, folder: Path, seed: int = 0, size: int = 60, count: int = 5) -> None:
        self.folder, self.seed, self.count = folder, seed, count
        self.drafts = {
            "cells": [cell_draft(np.random.default_rng([seed, 1, i]), f"cells-{i:03}") for i in range(size)],
            "land": [land_draft(np.random.default_rng([seed, 2, i]), f"land-{i:03}") for i in range(size)],
        }
        self.clean = {kind: [draft.sample() for draft in drafts] for kind, drafts in self.drafts.items()}
        self.classes = {"cells": CELLS, "land": LAND}
        self._examined: dict[tuple[int, int], tuple[Sample, Examined]] = {}

    def check(self, dataset: Dataset) -> CheckReport:
        """As ``smalti.data.check.check``."""
        polygons = polygons_of(dataset)

        def looked_at() -> Iterator[Examined]:
            for index, sample in enumerate(dataset.samples):
                if sample.image_path is not None:
                    yield examine(sample, index, polygons)
                    continue
                key = id(sample), index
                if key not in self._examined:
                    self._examined[key] = sample, examine(sample, index)
                yield self._examined[key][1]

        return judge(dataset, looked_at())

    def rng(self, title: str) -> np.random.Generator:
        """Chance that differs from fault to fault and is the same on every machine."""
        return np.random.default_rng([self.seed, *title.encode()])

    def clean_sets(self) -> Iterator[PlantedSet]:
        """The sets without any fault."""
        for kind, samples in self.clean.items():
            yield PlantedSet(f"nothing ({kind})", Dataset(samples, self.classes[kind]), ())

    def sets(self) -> Iterator[PlantedSet]:
        """All sets with faults."""
        for title, (code, kind, spoil) in SPOILERS.items():
            rng = self.rng(title)
            samples = list(self.clean[kind])
            faults: list[Fault] = []
            for index in rng.permutation(len(samples)).tolist():
                spoilt = spoil(self.drafts[kind][index], rng) if len(faults) < self.count else None
                if spoilt is not None:
                    samples[index] = spoilt[0].sample()
                    faults.append(Fault(code, (samples[index].name,), spoilt[1]))
            yield PlantedSet(title, Dataset(samples, self.classes[kind]), tuple(faults))
        for make in (self._copies, self._void_classes, self._drifts, self._balances):
            yield from make()
        yield from self._on_disk()
        yield from self._outlines()

    # Copies and groups

    def _copies(self) -> Iterator[PlantedSet]:
        for title, code, alter, apart in (
            ("same image twice", "duplicate", same, False),
            ("nearly the same image", "near-duplicate", altered, False),
            ("same image in two splits", "leakage", same, True),
            ("nearly the same image in two splits", "leakage", altered, True),
        ):
            rng = self.rng(title)
            samples = [_in_split(draft, index) for index, draft in enumerate(self.drafts["cells"])]
            faults = []
            for number, index in enumerate(rng.permutation(len(samples))[: self.count].tolist()):
                copy = alter(replace(samples[index], name=f"copy-{number:03}"), rng, number)
                samples.append(replace(copy, split=_other(copy.split) if apart else copy.split))
                faults.append(Fault(code, (samples[index].name, copy.name)))
            yield PlantedSet(title, Dataset([each.sample() for each in samples], CELLS), tuple(faults))
        samples = [_in_split(draft, index) for index, draft in enumerate(self.drafts["cells"])]
        samples = [replace(draft, group=f"{draft.split}-{index // 6}") for index, draft in enumerate(samples)]
        faults = []
        for index in range(0, 6 * self.count, 6):
            group = f"slide {index // 6}"
            for at, split in ((index, "train"), (index + 1, "test")):
                samples[at] = replace(samples[at], group=group, split=split)
            faults.append(Fault("group-split", value=group))
        yield PlantedSet(
            "group in two splits", Dataset([each.sample() for each in samples], CELLS), tuple(faults)
        )

    # Void as a class

    def _void_classes(self) -> Iterator[PlantedSet]:
        for number in range(self.count):
            kind, name, class_id, band = (
                ("cells", "edge", 3, True),
                ("cells", "class 255", 255, False),
                ("land", "contour", 5, True),
                ("land", "ignore", 5, False),
                ("cells", "rim", 3, True),
            )[number % 5]
            rng = self.rng(f"void class {number}")
            classes = ClassSet([*self.classes[kind], Class(class_id, name, (90, 90, 90), thing=False)])
            chosen = rng.permutation(len(self.drafts[kind]))[:20].tolist()
            samples = [
                _with_void_class(self.drafts[kind][i], classes, class_id, band, rng).sample() for i in chosen
            ]
            fault = Fault("void-class", value=name)
            altered = frozenset(sample.name for sample in samples)
            yield PlantedSet("void kept as a class", Dataset(samples, classes), (fault,), altered)

    # Splits that differ

    def _drifts(self) -> Iterator[PlantedSet]:
        kinds: list[tuple[str, Callable[[Draft], Draft]]] = [
            ("brightness", lambda draft: _repainted(draft, 1.0, (25, 25, 25))),
            ("contrast", lambda draft: _repainted(draft, 1.5, (-30, -36, -32))),
            ("red", lambda draft: _repainted(draft, 1.0, (12, -6, -6))),
            ("size", lambda draft: _cropped(draft, 0.7)),
            ("object size", _enlarged),
        ]
        for number in range(self.count):
            measure, change = kinds[number % len(kinds)]
            drafts = [_in_split(draft, index) for index, draft in enumerate(self.drafts["cells"])]
            samples = [(change(draft) if draft.split == "test" else draft).sample() for draft in drafts]
            fault = Fault("drift", value=measure)
            # a change of one measure changes others with it: brighter images are less colourful
            yield PlantedSet("splits that differ", Dataset(samples, CELLS), (fault,), tolerated=("drift",))

    # Classes

    def _balances(self) -> Iterator[PlantedSet]:
        more = ClassSet([*CELLS, Class(3, "debris", (213, 94, 0)), Class(4, "bubble", (0, 114, 178))])
        for number in range(self.count):
            rng = self.rng(f"classes {number}")
            drafts = [_in_split(draft, index) for index, draft in enumerate(self.drafts["cells"])]
            truths = [_renamed(draft, more, rng) for draft in drafts]
            rare = [_only(draft, 3, at < 2) for at, draft in enumerate(truths)]
            yield PlantedSet(
                "rare class",
                Dataset([each.sample() for each in rare], more),
                (Fault("class-imbalance", value="debris"), Fault("unused-class", value="bubble")),
            )
            missing = [_only(draft, 3, draft.split == "train") for draft in truths]
            yield PlantedSet(
                "class that a split lacks",
                Dataset([each.sample() for each in missing], more),
                (Fault("class-missing", value="debris"), Fault("unused-class", value="bubble")),
            )

    # Files

    def _on_disk(self) -> Iterator[PlantedSet]:
        for title, code, damage in (
            ("image cut short", "unreadable", _cut_image),
            ("annotation cut short", "unreadable", _cut_truth),
            ("annotation of another size", "size-mismatch", _exchange_truth),
            ("number of no class", "unknown-class", _unknown_class),
            ("record of a missing file", "faulty-record", _missing_file),
        ):
            folder = self.folder / title.replace(" ", "-")
            Dataset(self.clean["cells"][: 4 * self.count], CELLS).write(folder)
            rng = self.rng(title)
            names = [self.clean["cells"][i].name for i in rng.permutation(4 * self.count)[: self.count]]
            for number, name in enumerate(names):
                damage(folder, name, number)
            faults = [Fault(code, () if code == "faulty-record" else (name,)) for name in names]
            if code == "faulty-record":
                faults = [Fault(code, value=f"sample {int(name[-3:])}") for name in names]
            yield PlantedSet(title, Dataset.open(folder, faulty="skip"), tuple(faults))

    # Outlines of a drawing tool

    def _outlines(self) -> Iterator[PlantedSet]:
        for title, code, bend in (
            ("outline that crosses itself", "self-crossing", _crossed),
            ("outline beyond the image", "outside-image", _beyond_image),
        ):
            folder = self.folder / title.replace(" ", "-")
            rng = self.rng(title)
            folder.mkdir(parents=True)
            faults = []
            for index, draft in enumerate(self.drafts["cells"][: 4 * self.count]):
                spoil = bend if index < self.count else None
                cv2.imwrite(str(folder / f"{draft.name}.png"), draft.pixels[..., ::-1])
                content = _labelme(draft, spoil, rng)
                (folder / f"{draft.name}.json").write_text(json.dumps(content))
                faults += [Fault(code, (draft.name,))] if spoil else []
            yield PlantedSet(title, Dataset.open(folder, faulty="skip"), tuple(faults))


def _in_split(draft: Draft, index: int) -> Draft:
    return replace(draft, split=("train", "train", "test")[index % 3])


def _other(split: str | None) -> str:
    return "train" if split == "test" else "test"


def same(draft: Draft, rng: np.random.Generator, number: int) -> Draft:
    """The image once more."""
    return draft


def altered(draft: Draft, rng: np.random.Generator, number: int) -> Draft:
    """The image once more, compressed, brightened, noisy, smaller or cut a little at its borders."""
    pixels, labels = draft.pixels, draft.truth.labels
    kind = number % 5
    if kind == 0:
        packed = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        pixels = cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]
    elif kind == 1:
        pixels = (pixels * 0.85 + 18).clip(0, 255).astype(np.uint8)
    elif kind == 2:
        pixels = (pixels + rng.normal(0, 5, pixels.shape)).clip(0, 255).astype(np.uint8)
    elif kind == 3:
        size = (int(pixels.shape[1] * 0.8), int(pixels.shape[0] * 0.8))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    else:
        top, left, bottom, right = (int(each) for each in rng.integers(1, 6, 4))
        place = (slice(top, -bottom), slice(left, -right))
        pixels, labels = pixels[place], labels[place]
    truth = Segmentation.from_labels(labels, class_ids=draft.truth.class_ids, classes=draft.truth.classes)
    return replace(draft, pixels=np.ascontiguousarray(pixels), truth=truth[truth.areas_px > 0])


def _with_void_class(
    draft: Draft, classes: ClassSet, class_id: int, band: bool, rng: np.random.Generator
) -> Draft:
    """A band along the outlines, or corners that nobody looked at, as a segment of a class of its own."""
    labels = draft.truth.labels.copy()
    if band:
        edges = np.zeros(labels.shape, np.uint8)
        edges[1:] |= labels[1:] != labels[:-1]
        edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
        labels[cv2.dilate(edges, np.ones((3, 3), np.uint8)) > 0] = len(draft.truth) + 1
    else:
        side = int(rng.integers(12, 30))
        labels[:side, :side] = len(draft.truth) + 1
    ids = np.append(draft.truth.class_ids, class_id)
    truth = Segmentation.from_labels(labels, class_ids=ids, classes=classes)
    return replace(draft, truth=truth[truth.areas_px > 0])


def _repainted(draft: Draft, factor: float, added: tuple[int, int, int]) -> Draft:
    pixels = draft.pixels * factor + np.array(added)
    return replace(draft, pixels=pixels.clip(0, 255).astype(np.uint8))


def _cropped(draft: Draft, part: float) -> Draft:
    side = int(draft.pixels.shape[0] * part)
    truth = Segmentation.from_labels(
        draft.truth.labels[:side, :side], class_ids=draft.truth.class_ids, classes=draft.truth.classes
    )
    pixels = np.ascontiguousarray(draft.pixels[:side, :side])
    return replace(draft, pixels=pixels, truth=truth[truth.areas_px > 0])


def _enlarged(draft: Draft) -> Draft:
    """The middle of the image at one and a half times its size, so that objects are larger and the image is not."""
    side = draft.pixels.shape[0]
    low, high = side // 6, side - side // 6
    pixels = cv2.resize(draft.pixels[low:high, low:high], (side, side), interpolation=cv2.INTER_CUBIC)
    labels = cv2.resize(draft.truth.labels[low:high, low:high], (side, side), interpolation=cv2.INTER_NEAREST)
    truth = Segmentation.from_labels(labels, class_ids=draft.truth.class_ids, classes=draft.truth.classes)
    return replace(draft, pixels=pixels, truth=truth[truth.areas_px > 0])


def _renamed(draft: Draft, classes: ClassSet, rng: np.random.Generator) -> Draft:
    """The same with one cell in eight called debris."""
    ids = np.where(rng.random(len(draft.truth)) < 1 / 8, 3, draft.truth.class_ids)
    ids[0] = 3
    return replace(draft, truth=draft.truth.replace(class_ids=ids, classes=classes))


def _only(draft: Draft, class_id: int, kept: bool) -> Draft:
    """The same with a class called cell unless it is to be kept."""
    ids = (
        draft.truth.class_ids
        if kept
        else np.where(draft.truth.class_ids == class_id, 1, draft.truth.class_ids)
    )
    return replace(draft, truth=draft.truth.replace(class_ids=ids))


def _cut_image(folder: Path, name: str, number: int) -> None:
    file = folder / "images" / f"{name}.png"
    if number % 3 == 0:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif number % 3 == 1:
        file.write_bytes(b"")
    else:
        file.write_bytes(b"<html>404 Not Found</html>")


def _cut_truth(folder: Path, name: str, number: int) -> None:
    file = folder / "truth" / f"{name}.npz"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * (number % 6 + 1) // 8])


def _exchange_truth(folder: Path, name: str, number: int) -> None:
    """The annotation of a smaller copy of the image, or of the image before it was turned."""
    file = folder / "truth" / f"{name}.npz"
    labels = read_truth(file, CELLS).labels
    labels = labels[::2, ::2] if number % 2 else labels[: labels.shape[0] - 10].T
    write_truth(file, Segmentation.from_labels(labels, classes=CELLS))


def _unknown_class(folder: Path, name: str, number: int) -> None:
    file = folder / "truth" / f"{name}.npz"
    with np.load(file) as columns:
        kept = dict(columns)
    kept["class_ids"] = kept["class_ids"].copy()
    kept["class_ids"][number % len(kept["class_ids"])] = (3, 255, 7, 9, 12)[number % 5]
    np.savez_compressed(file, **kept)


def _missing_file(folder: Path, name: str, number: int) -> None:
    shutil.move(folder / "images" / f"{name}.png", folder.parent / f"{folder.name}-{name}.png")


def _labelme(draft: Draft, spoil: Callable | None, rng: np.random.Generator) -> dict:
    """The truth as a drawing tool keeps it: outlines with some points left out, one of them spoilt."""
    height, width = draft.truth.shape
    chosen = int(rng.integers(len(draft.truth))) if spoil else -1
    shapes = []
    for k in range(1, len(draft.truth) + 1):
        ring = trace_polygons(draft.truth.mask(k))[0].exterior_xy
        ring = (ring[:: max(1, len(ring) // 24)] + rng.normal(0, 0.2, 2)).clip(0, [width, height])
        if k - 1 == chosen and spoil:
            ring = spoil(ring, (height, width), rng)
        label = draft.truth.classes.of(draft.truth.class_ids[k - 1]).name
        shapes.append({"label": label, "shape_type": "polygon", "points": ring.tolist()})
    return {
        "version": "5.8.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{draft.name}.png",
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _crossed(ring: np.ndarray, size_hw: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Some points in a row clicked in the wrong order, so that one sees it."""
    before = fill_polygons([Polygon(ring)], size_hw)
    while True:
        start, length = int(rng.integers(len(ring))), int(rng.integers(3, 7))
        bent = np.roll(ring, -start, axis=0)
        bent = np.concatenate([bent[:length][::-1], bent[length:]])
        changed = np.count_nonzero(fill_polygons([Polygon(bent)], size_hw) != before)
        if changed >= 20 and _edges_cross(bent[-1], bent[0], bent[length - 1], bent[length]):
            return bent


def _edges_cross(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether line a-b crosses line c-d well inside both."""
    part, other = np.linalg.solve(np.stack([b - a, c - d], axis=1), c - a)
    return bool(0.05 < part < 0.95 and 0.05 < other < 0.95)


def _beyond_image(ring: np.ndarray, size_hw: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Moved so far that a part of it lies outside."""
    height, width = size_hw
    reach = rng.uniform(4, 12)
    moves = (
        [width + reach - ring[:, 0].max(), 0],
        [-reach - ring[:, 0].min(), 0],
        [0, height + reach - ring[:, 1].max()],
        [0, -reach - ring[:, 1].min()],
    )
    return ring + np.array(moves[int(rng.integers(4))])
