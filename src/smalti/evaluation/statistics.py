"""What an evaluation kept of its images, in one file of plain arrays, so that two models can be compared later.

An ``.npz`` without pickled objects: opening a stranger's cannot run code.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..classes import ClassSet
from ..errors import ReadError
from ..io.archives import Archive
from ..io.writing import replacing
from ..metrics.error_types import STATES
from ..metrics.metric import Metric
from ..table import Table
from .evaluator import Evaluation
from .measures import TASKS, make_metric

VERSION = 1
FILE = "statistics.npz"
MAX_BYTES = 4_000_000_000
_DEFLATE_RATIO = 1100  # what deflate can do at most: columns of one value are honest


def save_statistics(evaluation: Evaluation, path: str | Path) -> None:
    """Write what ``evaluation`` kept to ``path``, an ``.npz``. Raises ``WriteError``."""
    told = {
        "smalti": VERSION,
        "task": evaluation.task,
        "classes": json.loads(evaluation.classes.to_json()),
        "names": list(evaluation.names),
        "groups": list(evaluation.groups),
        "columns": list(evaluation.columns),
        "metrics": [metric.name for metric in evaluation.metrics],
        "tolerance": evaluation.tolerance,
        "missing": list(evaluation.missing),
        "notes": list(evaluation.notes),
        "seconds": dict(evaluation.seconds),
    }
    arrays: dict[str, np.ndarray] = {
        "evaluation": np.frombuffer(json.dumps(told).encode(), np.uint8),
        "confusion": evaluation.confusion,
    }
    for number, kept in enumerate(evaluation.kept):
        for name, columns in _parts(kept):
            arrays[f"kept/{number}/{name}/values"] = np.concatenate([each.reshape(-1) for each in columns])
            arrays[f"kept/{number}/{name}/shapes"] = np.array([each.shape for each in columns], np.int64)
    arrays |= {
        f"column/{number}": np.asarray(each) for number, each in enumerate(evaluation.columns.values())
    }
    arrays |= {f"objects/{name}": column for name, column in evaluation.objects.columns.items()}
    with replacing(Path(path)) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_statistics(path: str | Path) -> Evaluation:
    """The evaluation that was written to ``path``, or into the folder ``path``; its images are not looked for.

    Raises ``ReadError`` for anything else, and for one of a newer version.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        raise ReadError(
            f"there is no {path}; give the folder of a report of smalti evaluate, or the {FILE} in it"
        )
    arrays = _arrays(path)
    try:
        told = json.loads(arrays["evaluation"].tobytes())
        if told["smalti"] != VERSION:
            raise ReadError(
                f"{path} is of version {told['smalti']!r}, wanted {VERSION}; a newer smalti may have made it"
            )
        if told["task"] not in TASKS:
            raise ReadError(f"{path}: no task {told['task']!r}")
        classes = ClassSet.from_json(json.dumps(told["classes"]))
        metrics = tuple(make_metric(name, classes, told["tolerance"]) for name in told["metrics"])
        kept = tuple(_kept(arrays, number, metric) for number, metric in enumerate(metrics))
        names = tuple(told["names"])
        evaluation = Evaluation(
            told["task"],
            classes,
            names,
            tuple(told["groups"]),
            {name: arrays[f"column/{number}"] for number, name in enumerate(told["columns"])},
            metrics,
            kept,
            arrays["confusion"],
            Table(
                {
                    name.removeprefix("objects/"): array
                    for name, array in arrays.items()
                    if name.startswith("objects/")
                }
            ),
            told["tolerance"],
            tuple(told["missing"]),
            tuple(told["notes"]),
            {str(name): float(value) for name, value in told["seconds"].items()},
        )
        _check(evaluation)
    except ReadError:
        raise
    except (
        Exception
    ) as error:  # scores of what a stranger wrote may fail in any way, also inside compiled loops
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ReadError(f"{path} is damaged or no evaluation of smalti: {reason}") from error
    return evaluation


def _check(evaluation: Evaluation) -> None:
    """Raise ``ValueError`` where the parts of a file do not fit each other, and whatever scoring them raises."""
    n, classes = len(evaluation), evaluation.classes
    if not n or not evaluation.metrics:
        raise ValueError("it has no image or no metric")
    if {len(evaluation.groups), *map(len, evaluation.kept), *map(len, evaluation.columns.values())} != {n}:
        raise ValueError(f"it does not hold as much of each of its {n} images")
    if not all(group is None or isinstance(group, str) for group in evaluation.groups):
        raise ValueError("groups are text")
    if evaluation.confusion.shape != (len(classes) + 1,) * 2:
        raise ValueError(f"its confusion is {evaluation.confusion.shape} for {len(classes)} classes")
    objects = evaluation.objects
    if len(objects):
        outside = objects["image"].min() < 0 or objects["image"].max() >= n
        if (
            outside
            or not np.isin(objects["class_id"], classes.ids).all()
            or not np.isin(objects["state"], range(len(STATES))).all()
        ):
            raise ValueError("its segments are of images, classes or states that there are none of")
    for metric, kept in zip(evaluation.metrics, evaluation.kept, strict=True):
        metric.score(kept, np.ones((1, n)))


def _parts(kept: Sequence[Any]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The arrays of what was kept: itself, or the fields of a named tuple of arrays."""
    if isinstance(kept[0], np.ndarray):
        yield "array", list(kept)
        return
    for name in kept[0]._fields:
        yield name, [np.asarray(getattr(each, name)) for each in kept]


def _kept(arrays: dict[str, np.ndarray], number: int, metric: Metric) -> list[Any]:
    if metric.keeps is np.ndarray:
        return _split(arrays, f"kept/{number}/array")
    columns = [_split(arrays, f"kept/{number}/{name}") for name in metric.keeps._fields]
    return [metric.keeps(*values) for values in zip(*columns, strict=True)]


def _split(arrays: dict[str, np.ndarray], name: str) -> list[Any]:
    values, shapes = arrays[f"{name}/values"], arrays[f"{name}/shapes"]
    ends = np.cumsum(shapes.prod(axis=1))
    if len(ends) and (shapes.min(initial=0) < 0 or ends[-1] != len(values)):
        raise ValueError(f"{name}: {len(values)} values do not fill their shapes")
    parts = np.split(values, ends[:-1])
    found = [part.reshape(shape) for part, shape in zip(parts, shapes.tolist(), strict=True)]
    return [str(each) if each.dtype.kind == "U" and each.ndim == 0 else each for each in found]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with Archive(path, max_bytes=MAX_BYTES, max_ratio=_DEFLATE_RATIO) as archive:
        for member in archive.members:
            try:
                array = np.lib.format.read_array(io.BytesIO(archive.read(member)), allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise ReadError(f"{path}, {member.name} is damaged: {error}") from error
            found[member.name.removesuffix(".npy")] = array
    return found
