"""Actions on datasets in the user's words: describe, convert, split, check, fetch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..data.dataset import Dataset, check_outside, check_place
from ..errors import InputError, WriteError
from ..io.formats.loss import LossReport
from ..table import Table

if TYPE_CHECKING:
    from ..data.check import CheckReport
    from ..data.licences import LicenceReview

Task = Literal["panoptic", "semantic", "instance"]

SHEET_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
"""Splits where nobody says other ones."""


@dataclass(frozen=True)
class Opening:
    """How a dataset is to be opened: by which format (None: recognised) and options, whole or in part."""

    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    skip_faulty: bool = False
    splits: Path | None = None  # a file that says which sample belongs where
    fold: str | None = None  # of a file of folds the one that is val; all others are train
    split: str | None = None  # only this one


def open_dataset(path: Path, opening: Opening = Opening()) -> Dataset:
    """The dataset at ``path``. Raises as ``Dataset.open`` does, and ``UnknownName`` for a split."""
    dataset = Dataset.open(
        path, opening.format, faulty="skip" if opening.skip_faulty else "raise", **opening.options
    )
    if opening.fold is not None and opening.splits is None:
        raise InputError(f"fold {opening.fold} is one of a file of folds; name that file with --splits")
    if opening.splits is not None:
        from ..data.splits import apply_splits, read_splits

        splits = read_splits(opening.splits)
        dataset = apply_splits(dataset, splits if opening.fold is None else splits.fold(opening.fold))
    return dataset if opening.split is None else dataset.split(opening.split)


def describe(dataset: Dataset) -> dict[str, Any]:
    """What a dataset is, without reading a pixel: format, why, samples of each split, classes, problems."""
    return {
        "path": str(dataset.path),
        "format": dataset.format,
        "reason": dataset.reason,
        "samples": len(dataset),
        "annotated": sum(sample.annotated for sample in dataset),
        "splits": dict(Counter(sample.split for sample in dataset if sample.split is not None)),
        "groups": len({sample.group for sample in dataset if sample.group is not None}),
        "classes": [{"id": entry.id, "name": entry.name, "thing": entry.thing} for entry in dataset.classes],
        "notes": list(dataset.notes),
        "problems": [str(problem) for problem in dataset.problems],
    }


def convert(
    source: Path,
    destination: Path,
    to: str,
    opening: Opening = Opening(),
    options: Mapping[str, Any] | None = None,
    strict: bool = False,
    origin: Mapping[str, str] | None = None,
) -> tuple[Dataset, LossReport]:
    """Write a dataset in another format; gives what it was opened as and what was lost.

    ``origin`` states parts of the provenance that the dataset itself does not. Raises as ``Dataset.open`` and
    ``Dataset.write`` do; the source is never changed.
    """
    dataset = open_dataset(source, opening)
    if origin:
        from ..data.licences import with_origin

        dataset = with_origin(dataset, **origin)
    return dataset, dataset.write(destination, to, strict=strict, **(options or {}))


def write_scenes(
    out: Path,
    kind: str,
    n: int,
    seed: int = 0,
    task: Task = "panoptic",
    format: str = "smalti",
    parameters: Mapping[str, Any] | None = None,
) -> LossReport:
    """Write ``n`` made-up scenes with their truth into a new folder; gives what the format could not hold."""
    from ..data.scenes import scene_classes, scenes

    given = dict(parameters or {})
    for name in {"seed", "task", "splits", "n", "kind"} & given.keys():
        raise InputError(f"{name} is no parameter of {kind} scenes but an option of its own: --{name}")
    made = scenes(kind, n, seed, task=task, **given)
    return Dataset(made, scene_classes(kind, task)).write(out, format)


def split_dataset(
    dataset: Dataset,
    shares: Mapping[str, float] | None,
    folds: int | None,
    seed: int,
    by: str | None,
    out: Path,
) -> tuple[Table, dict[str, tuple[float, float]]]:
    """Decide which sample belongs where and write it to ``out``.

    Gives how evenly the classes lie in the splits, and the splits that groups make larger or smaller than asked: the
    share each has, and was to have. Raises ``InputError`` for shares that do not sum to 1, where groups are too few,
    and for shares of folds, which are equal.
    """
    if shares is not None and folds is not None:
        raise InputError("folds are of equal size; give either --folds or --shares")
    if out.exists():
        raise WriteError(f"{out} is there already; nothing is overwritten, give a new file")
    check_outside(out, dataset.path)
    from ..data.presence import class_presence
    from ..data.splits import apply_splits, balance, make_folds, make_splits, write_splits

    presence = class_presence(dataset)
    if folds is not None:
        splits = make_folds(dataset, folds, seed, by=by, presence=presence)
    else:
        splits = make_splits(dataset, shares or SHARES, seed, by=by, presence=presence)
    write_splits(out, splits)
    return balance(apply_splits(dataset, splits), presence), splits.misses


def augment_sheet(
    dataset: Dataset, steps: list[str], out: Path, rows: int = 4, columns: int = 5, seed: int = 0
) -> list[str]:
    """Draw what a chain of steps written ``name:parameter=value``, or presets, makes of the first samples.

    Without ``steps`` the preset is the one for the first image: ``medical`` for a volume, ``photo`` for colours, else
    ``microscopy``. Gives the steps or presets used.
    """
    from ..data.augment import PRESETS, contact_sheet
    from ..data.augment.augmentation import Chain
    from ..io.encode import write_image

    if out.suffix.lower() not in SHEET_SUFFIXES:
        raise InputError(f"{out}: a contact sheet is written as {', '.join(SHEET_SUFFIXES)}")
    if not steps:
        image = dataset[0].image
        steps = ["medical" if image.ndim == 3 else "photo" if image.num_channels in (3, 4) else "microscopy"]
    chain: list[Any] = [part for step in steps for part in PRESETS.get(step, (step,))]
    write_image(
        out, contact_sheet(dataset, Chain.make({"steps": chain}), rows=rows, columns=columns, seed=seed)
    )
    return steps


def list_public() -> list[dict[str, Any]]:
    """The public datasets that can be fetched: name, title, bytes, licence, whether it allows commercial use."""
    from ..data.public import PUBLIC_DATASETS

    return [
        {
            "name": each.name,
            "title": each.title,
            "bytes": each.size,
            "licence": each.licence,
            "commercial": each.commercial,
            "verified": each.verified,
            "homepage": each.homepage,
            "citation": each.citation,
            "format": each.format,
            "options": dict(each.options),
        }
        for each in PUBLIC_DATASETS.values()
    ]


def parse_shares(text: str) -> dict[str, float]:
    """The shares a person types, ``train=0.8,test=0.2``. Raises ``InputError``."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise InputError(f"shares are written train=0.7,val=0.15,test=0.15, got {text!r}")
    return shares


def download(
    name: str, out: Path, report: Callable[[str, int, int | None], None], keep: bool = False
) -> tuple[Path, list[str]]:
    """Fetch a public dataset into ``out``; gives what to open, and the digests that nobody has published.

    Raises as ``fetch`` does.
    """
    from ..data.download import fetch, fetched

    place = fetch(name, out, report=report, keep_archives=keep)
    return place, [f"{one.url}: sha256 {one.sha256}" for one in fetched(name, out) if not one.verified]


def review(dataset: Dataset, credits: Path | None, verify: bool) -> tuple[LicenceReview, list[str]]:
    """What the licences of a dataset permit, and which image files have changed since their digests were taken.

    With ``credits`` the list of whom to name is written there as CSV.
    """
    from ..data.licences import credits_of, review_licences, verify_hashes
    from ..io.writing import replacing

    if credits is not None:
        with replacing(credits) as part:
            credits_of(dataset).to_csv(part)
    return review_licences(dataset), [str(each) for each in verify_hashes(dataset)] if verify else []


def check_dataset(
    dataset: Dataset, out: Path, fixed: Path | None, jobs: int, progress: Callable[[int, int], None]
) -> CheckReport:
    """What is wrong with a dataset, written into ``out`` as ``report.html`` and ``report.json``.

    Raises ``WriteError``, before anything is looked at, where ``out`` is no place for a report or ``fixed`` none for
    a repaired copy.
    """
    if out.exists() and not out.is_dir():
        raise WriteError(f"{out} is a file; the report needs a folder")
    check_outside(out, dataset.path)
    if fixed is not None:
        check_place(fixed, dataset.path)
        if out.resolve().is_relative_to(fixed.resolve()):
            raise WriteError(f"{fixed} is to hold the report; give the repaired copy a folder of its own")
    from ..data.check import check, write_report

    report = check(dataset, jobs=jobs, progress=progress)
    write_report(report, out, dataset.__getitem__)
    return report


def fix_dataset(dataset: Dataset, report: CheckReport, folder: Path) -> tuple[list[str], int]:
    """Write a copy with the safe repairs; gives what was done, and how many samples it has. Raises as ``fix`` does."""
    from ..data.check import fix

    done = fix(dataset, report, folder)
    return [str(each) for each in done.repairs], len(done.dataset)
