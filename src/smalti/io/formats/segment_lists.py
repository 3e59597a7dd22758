"""``NAME.segments.json`` beside a mask: what its numbers cannot say of the segments.

``{"segments": [{"id": 3, "class": "cell", "score": 0.9, "attributes": {...}}], "void": 65535}``: the number in the mask
(or the file of the mask, where each segment has one), the name of the class, and what else is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...segmentation import Segmentation
from ..writing import replacing
from .documents import read_json
from .records import columns, rows

SUFFIX = ".segments.json"


@dataclass(frozen=True)
class SegmentList:
    """What is known of segments besides their pixels, in the order of their numbers."""

    ids: tuple[int | str, ...]
    class_ids: tuple[int, ...]
    scores: tuple[float, ...]
    attributes: dict[str, np.ndarray]
    void: int | str | None  # the number or file of what nobody said anything of


def read_segments(path: Path, classes: ClassSet, kind: type[int] | type[str]) -> SegmentList:
    """The list in a file, its ids numbers or file names. Raises ``ReadError`` naming file and record."""
    content = read_json(path)
    records = content.get("segments")
    void = content.get("void")
    if not isinstance(records, list):
        raise ReadError(f"{path}: wanted a list under 'segments', got {type(records).__name__}")
    if void is not None and type(void) is not kind:
        raise ReadError(f"{path}: 'void' is {void!r}, wanted {kind.__name__}")
    ids, class_ids, scores, attributes = [], [], [], []
    for index, record in enumerate(records):
        try:
            number, name = record["id"], record["class"]
            score, extra = record.get("score", 1.0), record.get("attributes", {})
            if type(number) is not kind or not isinstance(extra, dict):
                raise InputError(f"wanted an id of {kind.__name__} and attributes as an object, got {record}")
            if not isinstance(score, int | float) or not 0 <= score <= 1:
                raise InputError(f"its score is {score!r}, wanted a number from 0 to 1")
            ids.append(number)
            class_ids.append(classes.named(name).id)
            scores.append(float(score))
            attributes.append(extra)
        except (InputError, KeyError, TypeError, AttributeError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ReadError(f"{path}, segment {index}: {what}") from error
    if len(set(ids)) < len(ids):
        raise ReadError(f"{path}: two segments have one id; give each its own")
    return SegmentList(tuple(ids), tuple(class_ids), tuple(scores), columns(attributes), void)


def write_segments(
    path: Path,
    truth: Segmentation,
    ids: Sequence[int | str],
    void: int | str | None,
    without: Iterable[str] = (),
) -> None:
    """Put down classes, scores and attributes (all but those ``without``) of ``truth`` under these ids."""
    records = []
    extra = rows(truth)
    for k, number in enumerate(ids):
        record: dict[str, Any] = {"id": number, "class": truth.classes.of(truth.class_ids[k]).name}
        if truth.scores[k] != 1:
            record["score"] = float(truth.scores[k])
        attributes = {name: value for name, value in extra[k].items() if name not in without}
        records.append(record | ({"attributes": attributes} if attributes else {}))
    content: dict[str, Any] = {"segments": records} | ({} if void is None else {"void": void})
    with replacing(path) as part:
        part.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
