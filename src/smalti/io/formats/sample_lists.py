"""``samples.json``: what folders cannot say of the samples of a dataset written by smalti.

Names, splits and groups are told by folders. Where these would tell others than the samples have, or a sample's origin
is known, or the masks would be taken for those of another format, the list names the format and has one record for each
sample: ``{"name", "image", "mask", "split", "group", "provenance", "metadata"}``, all but the name only where there is
something to say, paths below the folder of the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError, ReadError
from ..writing import replacing
from .documents import read_json
from .format import Problem
from .pairing import Pair, Pairing
from .records import from_about
from .tree import Tree, inside

SAMPLES = "samples.json"

_MARK = "smalti_samples"
_VERSION = 1
_FORMAT = re.compile(rb'"smalti_samples":[0-9]+,"format":"([a-z-]{1,40})"')


def read_samples(tree: Tree) -> Pairing | None:
    """The pairs that ``samples.json`` lists; None where there is none, or one of another program.

    A record that lies is a ``Problem``. Raises ``ReadError`` for a list that cannot be read.
    """
    if SAMPLES not in tree.path_set or _MARK.encode() not in tree.head(SAMPLES, 64):
        return None
    path = tree.file(SAMPLES)
    content = read_json(path)
    records = content.get("samples")
    if content.get(_MARK) != _VERSION or not isinstance(records, list):
        raise ReadError(
            f"{path}: wanted version {_VERSION} of the list of samples, got {content.get(_MARK)!r}"
        )
    pairs: dict[str, Pair] = {}
    problems = []
    for index, record in enumerate(records):
        try:
            pair = _pair(tree, record)
            if pair.name in pairs:
                raise InputError(f"there is a sample {pair.name!r} already")
            pairs[pair.name] = pair
        except (ReadError, InputError) as error:
            problems.append(Problem(SAMPLES, f"sample {index}", str(error)))
    return Pairing(tuple(pairs.values()), tuple(problems))


def _pair(tree: Tree, record: Any) -> Pair:
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        raise InputError(f"wanted an object with a name, got {record!r}")
    paths: list[str | None] = []
    for key in ("image", "mask"):
        path = record.get(key)
        if path is None:
            paths.append(None)
            continue
        if not isinstance(path, str) or inside(path) not in tree.path_set:
            raise ReadError(f"it names the {key} {path!r}, which is not there")
        paths.append(inside(path))
    fields = from_about(record)
    split, group = fields.pop("split"), fields.pop("group")
    return Pair(inside(record["name"]), paths[0], paths[1], split, group, fields)


def listed_format(tree: Tree) -> str | None:
    """The format that ``samples.json`` says the folder was written in; None where it does not."""
    found = _FORMAT.search(tree.head(SAMPLES, 128)) if SAMPLES in tree.path_set else None
    return None if found is None else found[1].decode()


def write_samples(folder: Path, pairs: Sequence[Pair], format: str) -> None:
    """Put ``samples.json`` into ``folder``; the further fields of the pairs must be plain values."""
    records = []
    for pair in pairs:
        record = pair._asdict() | dict(pair.fields or {})
        del record["fields"]
        records.append({key: value for key, value in record.items() if value})
    with replacing(folder / SAMPLES) as part:
        content = {_MARK: _VERSION, "format": format, "samples": records}
        part.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
