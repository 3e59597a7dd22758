"""Fitted networks for other runtimes: measured on real images first, and refused where they lose too much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, SmaltiError, unknown_name
from ..io.bundle import check_name, load
from ..io.starters import model_path
from ..sample import Sample
from .actions import check_folder, check_output
from .calibration import MOST_IMAGES, images_of, made_up, quantized
from .datasets import Opening, open_dataset
from .measuring import measure_runtimes
from .models import network_in
from .runtime_table import RuntimeTable

if TYPE_CHECKING:
    from ..runtime.fitted import FittedNetwork

PLAIN = "onnx"
"""The target that is a plain ONNX file and no bundle."""

INT8 = "openvino-int8"

TOLERANCE = 0.5
"""Points of a score, hundredths of a number from 0 to 1, that a runtime may lose against the reference."""

LEAST_AGREEMENT = {"semantic": 0.98, "instance": 0.95, "panoptic": 0.95}
"""Agreement with the reference that is asked for where no metric says what a difference costs."""


class Refused(SmaltiError):
    """A variant that is not written because of what it loses; ``table`` has what was measured."""

    def __init__(self, reason: str, table: RuntimeTable) -> None:
        super().__init__(reason)
        self.table = table


@dataclass(frozen=True)
class Exported:
    """What came of an export: the file, what it is for, and what was measured before it was written."""

    path: Path
    bytes: int
    to: str
    table: RuntimeTable | None
    calibration: str | None = None
    outputs: tuple[str, ...] = ()
    agreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The part that programs read."""
        told: dict[str, Any] = {"path": str(self.path), "bytes": self.bytes, "to": self.to}
        if self.to == PLAIN:
            return told | {"outputs": list(self.outputs), "agreement": self.agreement}
        return told | {
            "calibrated_on": self.calibration,
            **({} if self.table is None else {"measured": self.table.to_json()}),
        }


def targets() -> tuple[str, ...]:
    """What a model can be exported to."""
    from ..runtime.engines import RUNTIMES

    return (PLAIN, *RUNTIMES)


def export_model(
    model: Path,
    to: str,
    out: Path,
    data: Path | None = None,
    opening: Opening | None = None,
    *,
    tolerance: float = TOLERANCE,
    metric: str | None = None,
    pixels: str | None = None,
    most: int = MOST_IMAGES,
    memory: bool = True,
    runtimes: Sequence[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write a fitted network for another runtime, or with ``to="onnx"`` as a file for other programs.

    For a runtime a bundle is written that is carried out by it unless another one is asked for. Before, every runtime
    that can be had (or those of ``runtimes`` beside ``to``) is measured on annotated images of ``data``: of the split
    of ``opening``, else of ``val`` or ``test``, else of all. INT8 is calibrated on the split ``train``, or where there
    is none on every second image, which is not measured on. At most ``most`` images are taken for either.

    ``tolerance`` is in points, hundredths of the score. Raises ``Refused``, with nothing written, where the score is
    lower than the reference's by more, or is none where the reference has one; without annotations where the agreement
    is below ``LEAST_AGREEMENT``. Raises ``InputError`` for a model that is no network and data that does not do,
    ``MissingExtra`` for a runtime that is not installed.
    """
    model = model_path(model)
    if to not in targets():
        raise unknown_name("target", to, targets())
    check_output(out, [model, data])
    if out.is_dir():
        raise InputError(f"{out} is a folder; give --out the name of a file")
    network = network_in(model, load(model))
    if to == PLAIN:
        return _plain(network, out, pixels)
    if pixels is not None:
        raise InputError(
            f"--pixels is of a plain file, --to {PLAIN}; a model takes every kind that it learned from"
        )
    check_name(out)
    if data is None:
        raise InputError(
            f"what {to} loses is measured on real images before it is written; name a dataset with --data"
        )
    chosen = images_of(open_dataset(data, _without_split(opening)), opening, to == INT8, most)
    calibration = None
    if to == INT8:
        assert chosen.calibrated is not None
        network, calibration = quantized(network, chosen.calibrated), chosen.calibration
    else:
        network.with_runtime(to)  # what cannot be had is said before anything is measured
    check_folder(out.parent)
    table = measure_runtimes(
        network,
        chosen.measured,
        None if runtimes is None else [*runtimes, to],
        metric=metric,
        source=chosen.source,
        memory=memory,
        progress=progress,
    )
    why = refusal(table, to, network.task, tolerance)
    if why is not None:
        raise Refused(why, table)
    record = {"to": to, "tolerance_points": tolerance, "calibrated_on": calibration, **table.to_json()}
    replace(network, runtime=to, loaded=None, about={**network.about, "export": record}).save(out)
    return Exported(out, out.stat().st_size, to, table, calibration)


def refusal(table: RuntimeTable, to: str, task: str, tolerance: float) -> str | None:
    """Why a runtime is not to be used, by what was measured; None where nothing speaks against it.

    A reference that finds nothing right, or has no score, says nothing of a loss: then agreement decides.
    """
    row, reference = table.row(to), table.row(table.reference)
    if row.missing is not None:
        return f"{to} cannot be measured: {row.missing}"
    if (
        row.score is not None and reference.score is not None and reference.score.value > 0
    ):  # neither 0 nor NaN
        value, least = row.score.value, reference.score.value
        lost = 100 * (least - value)
        if np.isfinite(value) and lost <= tolerance:
            return None
        told = f"loses {lost:.2f} points of" if np.isfinite(value) else "has no"
        return (
            f"{to} {told} {table.metric} against {table.reference} on {table.images} images ({value:.4f} and "
            f"{least:.4f}), and {tolerance:g} are tolerated; nothing was written (--tolerance takes another number)"
        )
    wanted = LEAST_AGREEMENT[task]
    if row.agreement is not None and row.agreement >= wanted:
        return None
    return (
        f"the masks of {to} agree with those of {table.reference} to {row.agreement or 0:.4f} on {table.images} "
        f"images, and {wanted:g} is asked for where no metric can be measured; nothing was written (annotated images "
        "would say what the difference costs)"
    )


def bench_model(
    model: Path,
    data: Path | None = None,
    opening: Opening | None = None,
    *,
    runtimes: Sequence[str] | None = None,
    metric: str | None = None,
    threads: int | None = None,
    most: int = MOST_IMAGES,
    memory: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RuntimeTable:
    """What each runtime is worth on this machine: on images of ``data``, else on made-up ones without a metric.

    Raises as ``measure_runtimes`` and ``open_dataset`` do, and ``InputError`` for a model that is no network.
    """
    model = model_path(model)
    network = network_in(model, load(model))
    if data is None:
        if opening is not None and opening.split is not None:
            raise InputError("--split is one of a dataset; name it with --data")
        samples: Sequence[Sample] = made_up(network)
        shape = " x ".join(map(str, samples[0].image.shape))
        source = f"{len(samples)} made-up images of {shape}"
    else:
        chosen = images_of(open_dataset(data, _without_split(opening)), opening, False, most)
        samples, source = chosen.measured, chosen.source
    return measure_runtimes(
        network,
        samples,
        runtimes,
        metric=metric,
        source=source,
        threads=threads,
        memory=memory,
        progress=progress,
    )


def _without_split(opening: Opening | None) -> Opening:
    """The whole dataset: which part is for what is decided here."""
    return replace(opening or Opening(), split=None)


def _plain(network: FittedNetwork, out: Path, pixels: str | None) -> Exported:
    """The plain ONNX file, tried on made-up images before it is written."""
    from ..io.writing import replacing
    from ..runtime.plain import agreement_of, plain_onnx

    if out.suffix.lower() != ".onnx":
        raise InputError(
            f"a plain network is written as name.onnx, got {out}; write {out.with_suffix('.onnx')}"
        )
    content = plain_onnx(network, pixels)
    agreement = agreement_of(content, network, [sample.image for sample in made_up(network)[:1]])
    check_folder(out.parent)
    with replacing(out) as temporary:
        temporary.write_bytes(content.graph)
    return Exported(out, out.stat().st_size, PLAIN, None, None, content.outputs, agreement)
