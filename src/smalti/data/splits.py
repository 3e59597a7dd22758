"""Splits of a dataset: groups kept together, classes spread evenly, seeded and written down."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import __version__
from ..errors import InputError, ReadError, unknown_name
from ..io.formats.documents import read_json
from ..io.formats.listing import natural
from ..io.writing import replacing
from ..sample import Sample, SampleList
from ..table import Table
from .dataset import Dataset
from .presence import ClassPresence, class_presence
from .stratify import distribute

FILE_VERSION = 1

Stratify = Literal["presence", "pixels"] | bool
"""What is spread evenly: the images each class is in (True), its pixels, or nothing but the number of images."""


@dataclass(frozen=True)
class Splits:
    """Which sample belongs to which split, and how that was decided.

    ``names`` has the names of the samples of each split, in the order of the dataset; ``rule`` the arguments by which
    ``make_splits`` gives the same again, ``version`` the smalti that did.
    """

    names: Mapping[str, tuple[str, ...]]
    seed: int | None = None
    rule: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""

    def __post_init__(self) -> None:
        names: dict[str, str] = {}
        for split, members in self.names.items():
            if not split:
                raise InputError("a split needs a name")
            for name in members:
                if name in names:
                    raise InputError(f"sample {name!r} is in split {names[name]!r} and in {split!r}")
                names[name] = split

    @property
    def split_of(self) -> dict[str, str]:
        """The split of each sample by name."""
        return {name: split for split, members in self.names.items() for name in members}

    @property
    def misses(self) -> dict[str, tuple[float, float]]:
        """Splits that have more than 5 % of all samples too many or too few: what they have, and what was asked.

        That happens where groups are large: they are never split.
        """
        asked: Mapping[str, float] = self.rule.get("shares", {})
        total = max(1, sum(map(len, self.names.values())))
        shares = {split: len(members) / total for split, members in self.names.items() if split in asked}
        return {split: (has, asked[split]) for split, has in shares.items() if abs(has - asked[split]) > 0.05}

    def fold(self, name: str) -> Splits:
        """Two splits of folds: ``val`` is the fold called so, ``train`` all others."""
        if name not in self.names:
            raise InputError(f"no fold called {name!r}; there are: {', '.join(self.names)}")
        others = [one for fold, members in self.names.items() if fold != name for one in members]
        rule = {**self.rule, "val": name}
        return Splits({"train": tuple(others), "val": self.names[name]}, self.seed, rule, self.version)


def make_splits(
    dataset: Dataset,
    shares: Mapping[str, float],
    seed: int = 0,
    *,
    by: str | None = "group",
    stratify: Stratify = True,
    presence: ClassPresence | None = None,
    groups: Mapping[str, str] | None = None,
) -> Splits:
    """Which sample goes into which of the splits named in ``shares``, such as ``{"train": 0.8, "test": 0.2}``.

    Samples of one group stay together: by default ``Sample.group``, else a key of ``metadata`` such as ``by="site"``;
    samples without one are on their own, and with ``by=None`` all are. ``groups`` ties further samples together by
    name, near duplicates for instance; a sample that is in two groups joins them.

    ``stratify`` spreads each class over the splits as ``shares`` says: the images it is in, or with ``"pixels"`` its
    pixels (Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011, with groups in
    place of samples; see ``distribute``). The truths are read for it once, in threads; ``presence`` of an earlier
    ``class_presence`` spares that.

    The same samples, shares and seed give the same splits, in whatever order the samples come. Raises ``InputError``
    for shares that are not positive or do not sum to 1, where there are fewer groups than splits, and for a ``by`` that
    no sample has.
    """
    if not shares or not (
        all(share > 0 for share in shares.values()) and abs(sum(shares.values()) - 1) <= 1e-6
    ):
        raise InputError(f"shares of splits are above 0 and sum to 1, got {dict(shares)}")
    if seed < 0:
        raise InputError(f"seed is 0 or more, got {seed}")
    if stratify not in (True, False, "presence", "pixels"):
        raise InputError(f"stratify is True, False, 'presence' or 'pixels', got {stratify!r}")
    units, unit_of = _units(dataset, by, groups or {})
    if len(units) < len(shares):
        what = "samples" if len(units) == len(dataset) else "groups of samples"
        raise InputError(f"{len(units)} {what} cannot fill {len(shares)} splits; ask for fewer")
    amounts = np.zeros((len(units), 0))
    if stratify:
        pixels = (class_presence(dataset) if presence is None else presence).of(dataset.names)
        amounts = np.zeros((len(units), pixels.shape[1]))
        np.add.at(amounts, unit_of, pixels if stratify == "pixels" else pixels > 0)
    sizes = np.bincount(unit_of, minlength=len(units))
    chosen = distribute(amounts, sizes, np.array(list(shares.values())), np.random.default_rng(seed))[unit_of]
    names = {
        split: tuple(np.array(dataset.names, object)[chosen == index]) for index, split in enumerate(shares)
    }
    rule = {"shares": dict(shares), "by": by, "stratify": stratify, "groups": len(groups or {})}
    return Splits(names, seed, rule, __version__)


def split(
    dataset: Dataset,
    shares: Mapping[str, float],
    seed: int = 0,
    *,
    by: str | None = "group",
    stratify: Stratify = True,
    presence: ClassPresence | None = None,
    groups: Mapping[str, str] | None = None,
) -> Dataset:
    """The dataset with ``Sample.split`` of each sample as ``make_splits`` decides; see there."""
    return apply_splits(
        dataset,
        make_splits(dataset, shares, seed, by=by, stratify=stratify, presence=presence, groups=groups),
    )


def make_folds(
    dataset: Dataset,
    k: int = 5,
    seed: int = 0,
    *,
    by: str | None = "group",
    stratify: Stratify = True,
    presence: ClassPresence | None = None,
    groups: Mapping[str, str] | None = None,
) -> Splits:
    """``k`` equal splits ``fold-1`` ... ``fold-k``, decided as in ``make_splits``."""
    if k < 2:
        raise InputError(f"k is 2 folds or more, got {k}")
    shares = {f"fold-{number}": 1 / k for number in range(1, k + 1)}
    return make_splits(dataset, shares, seed, by=by, stratify=stratify, presence=presence, groups=groups)


def folds(
    dataset: Dataset,
    k: int = 5,
    seed: int = 0,
    *,
    by: str | None = "group",
    stratify: Stratify = True,
    presence: ClassPresence | None = None,
    groups: Mapping[str, str] | None = None,
) -> list[Dataset]:
    """The dataset ``k`` times, each with another fold as ``val`` and the rest as ``train``; see ``make_splits``."""
    made = make_folds(dataset, k, seed, by=by, stratify=stratify, presence=presence, groups=groups)
    return [apply_splits(dataset, made.fold(name)) for name in made.names]


def apply_splits(dataset: Dataset, splits: Splits | str | os.PathLike[str]) -> Dataset:
    """The dataset with ``Sample.split`` as ``splits``, or the file of them, says; all else of a sample stays.

    Samples are made when they are asked for, as before. Raises ``InputError`` for names the dataset does not have,
    and for samples that the splits do not name.
    """
    where = "the splits" if isinstance(splits, Splits) else str(splits)
    if not isinstance(splits, Splits):
        splits = read_splits(splits)
    split_of = splits.split_of
    unknown = sorted(split_of.keys() - set(dataset.names))
    missing = [name for name in dataset.names if name not in split_of]
    if unknown:
        raise InputError(
            f"{where}: {_listed(unknown)} not in the dataset; open the dataset that was split, or split anew"
        )
    if missing:
        raise InputError(f"{where}: {_listed(missing, ' of the dataset')} not named there; split anew")
    samples = dataset.samples

    def made(index: int) -> Sample:
        sample = samples[index]
        return replace(sample, split=split_of[sample.name])

    return dataset.with_samples(SampleList(samples.names, samples.image_files, made))


def write_splits(path: str | os.PathLike[str], splits: Splits) -> None:
    """Write splits as JSON: their rule, seed, version and the names of their samples. Raises ``WriteError``."""
    content = {
        "smalti": splits.version or __version__,
        "kind": "splits",
        "version": FILE_VERSION,
        "seed": splits.seed,
        "rule": dict(splits.rule),
        "splits": {split: list(members) for split, members in splits.names.items()},
    }
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_splits(path: str | os.PathLike[str]) -> Splits:
    """Splits that ``write_splits`` wrote, or any JSON with the names of samples by split under ``splits``.

    Raises ``ReadError`` for anything else, naming the file and what is wrong in it.
    """
    content = read_json(Path(path))
    found = content.get("splits")
    if not isinstance(found, dict) or not found:
        raise ReadError(f"{path}: wanted names of samples by split under 'splits'; is it a file of splits?")
    if content.get("version", FILE_VERSION) != FILE_VERSION:
        raise ReadError(
            f"{path}: version {content['version']!r} of this file is not known, {FILE_VERSION} is; update smalti"
        )
    for name, members in found.items():
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise ReadError(f"{path}: split {name!r} must be a list of names of samples")
    seed, rule = content.get("seed"), content.get("rule", {})
    if not isinstance(seed, int | None) or isinstance(seed, bool) or not isinstance(rule, dict):
        raise ReadError(f"{path}: seed must be a whole number and rule an object, got {seed!r} and {rule!r}")
    try:
        return Splits(
            {split: tuple(members) for split, members in found.items()},
            seed,
            rule,
            str(content.get("smalti", "")),
        )
    except InputError as error:
        raise ReadError(f"{path}: {error}") from error


def balance(dataset: Dataset, presence: ClassPresence | None = None, of: str = "images") -> Table:
    """How evenly the classes lie in the splits: a row for all images, then one for each class.

    ``images`` (or ``pixels``, with ``of="pixels"``) is how many there are in all, and the column of each split its
    share of them. ``furthest`` is the largest difference between a split's share of the class and its share of all
    images: 0 where a class is spread as the images are. Raises ``InputError`` where samples have no split.
    """
    if of not in ("images", "pixels"):
        raise InputError(f"the balance is of 'images' or 'pixels', got {of!r}")
    splits = [sample.split for sample in dataset]
    names = sorted(dict.fromkeys(name for name in splits if name is not None), key=_usual_place)
    if not names or None in splits:
        raise InputError(f"{splits.count(None)} samples are in no split; split the dataset first")
    pixels = (class_presence(dataset) if presence is None else presence).of(dataset.names)
    amounts = pixels if of == "pixels" else (pixels > 0).astype(np.int64)
    counted = np.concatenate([np.ones((len(dataset), 1), np.int64), amounts], axis=1)
    index = {name: row for row, name in enumerate(names)}
    sums = np.zeros((len(names), counted.shape[1]), np.int64)
    np.add.at(sums, [index[name] for name in splits if name is not None], counted)
    totals = sums.sum(axis=0)
    shares = np.divide(sums, totals, out=np.full(sums.shape, np.nan), where=totals > 0)
    columns = {"class": np.array(["(all images)", *dataset.classes.names]), of: totals}
    columns |= dict(zip(names, shares, strict=True))
    columns["furthest"] = np.abs(shares - shares[:, :1]).max(axis=0)
    return Table(columns)


def _listed(names: Sequence[str], where: str = "") -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} sample{'s' if len(names) > 1 else ''}{where} ({shown}) {'are' if len(names) > 1 else 'is'}"


def _units(dataset: Dataset, by: str | None, groups: Mapping[str, str]) -> tuple[list[str], np.ndarray]:
    """What stays together: the first name of each unit, ascending, and the unit of each sample (n,)."""
    known = set(dataset.names)
    unknown = sorted(groups.keys() - known)
    if unknown:
        raise InputError(f"groups: {_listed(unknown)} not in the dataset")
    if by not in ("group", None) and not any(by in sample.metadata for sample in dataset):
        columns = sorted({key for sample in dataset for key in sample.metadata})
        raise unknown_name("column of metadata", str(by), ["group", *columns])
    first: dict[tuple[str, str], str] = {}
    above = {name: name for name in dataset.names}  # a forest: every name under an earlier one of its unit
    for sample in dataset.samples if by is not None else ():
        group = sample.group if by == "group" else sample.metadata.get(str(by))
        if group is not None:
            _join(above, sample.name, first.setdefault(("by", str(group)), sample.name))
    for name, group in groups.items():
        _join(above, name, first.setdefault(("given", group), name))
    roots = [_root(above, name) for name in dataset.names]
    units = sorted(set(roots))
    number = {root: index for index, root in enumerate(units)}
    return units, np.array([number[root] for root in roots], np.int64)


def _root(above: dict[str, str], name: str) -> str:
    while above[name] != name:
        above[name] = above[above[name]]
        name = above[name]
    return name


def _join(above: dict[str, str], one: str, other: str) -> None:
    one, other = sorted((_root(above, one), _root(above, other)))
    above[other] = one


def _usual_place(split: str) -> tuple[int, tuple[object, ...]]:
    """Sorts train, val and test in this order, others after them as people count."""
    usual = ("train", "val", "test")
    return (usual.index(split) if split in usual else len(usual)), natural(split)
