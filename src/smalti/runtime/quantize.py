"""Networks of 8-bit weights and activations, calibrated on images, for OpenVINO."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, ReadError, SmaltiError
from . import telemetry
from .engines import INT8_BIN, INT8_XML
from .graph import check_graph
from .intermediate import check_intermediate
from .messages import shown

MAX_BATCHES = 300
"""Most batches looked at; ranges of activations hardly change after some hundred (NNCF's own default)."""


def quantize(content: bytes, batches: Iterable[np.ndarray], most: int = MAX_BATCHES) -> dict[str, bytes]:
    """The parts ``network-int8.xml`` and ``.bin`` of a bundle, from an ONNX graph and up to ``most`` batches.

    ``batches`` are (B, C, *S) float32 as ``Runtime.run`` takes them, of images like those to come; what they hold is
    kept in memory until the end. Weights are quantised symmetrically per channel, activations asymmetrically, by the
    ranges seen, with biases corrected (NNCF's post-training quantisation). Nothing is told of the loss: compare.

    Raises ``InputError`` where there is no batch or the graph cannot take it, ``ReadError`` for a graph that is
    refused or cannot be quantised, ``MissingExtra`` without ``openvino`` and ``nncf``.
    """
    check_graph(content)
    kept = [np.ascontiguousarray(batch, np.float32) for batch in islice(batches, most)]
    if not kept:
        raise InputError("quantising needs at least one batch of images to see the range of values; got none")
    openvino = telemetry.openvino()
    with telemetry.silent_nncf() as nncf, _no_output():
        try:
            model = openvino.Core().read_model(content, b"")
            quantized = nncf.quantize(
                model,
                nncf.Dataset(kept),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(kept),
                fast_bias_correction=True,
            )
            parts = _parts(openvino, quantized)
        except (SmaltiError, MemoryError):
            raise
        except Exception as error:  # of two libraries, each with its own kinds
            shapes = ", ".join(sorted({str(batch.shape) for batch in kept})[:3])
            raise ReadError(
                f"the network could not be quantised with batches of {shapes}: {shown(error)}"
            ) from error
    check_intermediate(parts[INT8_XML], parts[INT8_BIN])
    return parts


def _parts(openvino: Any, model: Any) -> dict[str, bytes]:
    """The two files that OpenVINO writes; it writes to paths only."""
    with tempfile.TemporaryDirectory(prefix="smalti-") as folder:
        path = Path(folder) / INT8_XML
        openvino.save_model(model, path, compress_to_fp16=False)
        return {INT8_XML: path.read_bytes(), INT8_BIN: path.with_suffix(".bin").read_bytes()}


@contextmanager
def _no_output() -> Iterator[None]:
    """NNCF without its bars and lines on standard output, which belongs to whoever calls."""
    bars: Any = import_module("nncf.common.logging.track_progress")
    log = logging.getLogger("nncf")
    before = bars.Progress, bars.WeightedProgress, log.level
    bars.Progress, bars.WeightedProgress = _hidden(before[0]), _hidden(before[1])
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        bars.Progress, bars.WeightedProgress = before[:2]
        log.setLevel(before[2])


def _hidden(bar: type) -> type:
    def __init__(self: Any, *columns: Any, **options: Any) -> None:
        bar.__init__(self, *columns, **(options | {"disable": True}))  # type: ignore[misc]

    return type(bar.__name__, (bar,), {"__init__": __init__})
