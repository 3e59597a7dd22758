"""The runtimes that an exported network is run by: the same planes from each, up to the precision that each states.

A runtime is a class: ``load`` makes it from the parts of a bundle, ``run`` gives the planes of a batch. It holds no
state but the loaded network, so that several threads may run it at once; it is not sent to other processes, which
load it anew from the bundle's path.

======================  =========================================================
``network.onnx``        the graph: (B, C, *S) float32 to planes (B, P, *S) float32
``network-int8.xml``    the same with 8-bit weights and activations, for OpenVINO
``network-int8.bin``    its numbers
======================  =========================================================
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from multiprocessing import parent_process
from threading import local
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from ..errors import InputError, ReadError, SmaltiError
from ..segmenter import load_class
from . import telemetry
from .graph import check_graph
from .messages import shown

logger = logging.getLogger(__name__)

RUNTIMES: dict[str, str] = {
    "onnxruntime": "smalti.runtime.engines:OnnxRuntime",
    "openvino": "smalti.runtime.engines:OpenVino",
    "openvino-bf16": "smalti.runtime.engines:OpenVinoBf16",
    "openvino-int8": "smalti.runtime.engines:OpenVinoInt8",
    "torch": "smalti.runtime.engines:Torch",
}
"""Name of each runtime to the ``module:Class`` it is loaded from on first use."""

DEFAULT = "onnxruntime"
"""The runtime that every install has."""

NETWORK = "network.onnx"
INT8_XML, INT8_BIN = "network-int8.xml", "network-int8.bin"

PLANES = "planes"
"""Name of the output that is run for; of a graph that has none of this name, the first."""


class Runtime(Protocol):
    """A loaded network. ``precision`` is what it computes in, ``remark`` what its user should know of that."""

    precision: str
    remark: str | None

    @classmethod
    def load(cls, parts: Mapping[str, bytes], threads: int | None = None) -> Self:
        """The network in the parts of a bundle, on ``threads`` cores; see ``default_threads``.

        Raises ``ReadError`` for a part that is missing, damaged or refused, ``MissingExtra`` for a missing library.
        """
        ...

    def run(self, batch: np.ndarray) -> np.ndarray:
        """The planes (B, P, *S) float32 of a batch (B, C, *S) float32, in memory of their own.

        Raises ``InputError`` for a batch that the network cannot take.
        """
        ...


def load_runtime(
    name: str,
    parts: Mapping[str, bytes],
    threads: int | None = None,
    make_module: Callable[[], Any] | None = None,
) -> Runtime:
    """A runtime by name with the network in ``parts``. ``make_module`` gives the torch module, weights and all.

    Raises ``UnknownName`` for a runtime nobody knows and what its ``load`` raises.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    found = load_class("runtime", name, RUNTIMES)
    if not issubclass(found, Torch):
        return found.load(parts, threads)
    if make_module is None:
        raise InputError(f"the runtime {name} is for networks of smalti; run this one by {DEFAULT}")
    return found.load(parts, threads, make_module)


def default_threads() -> int:
    """Cores that this process may use, or as many as OMP_NUM_THREADS says; 1 in a process that another one started.

    ``predict --jobs`` starts one for each image at work, and each runtime would take all cores for itself.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said):
        return int(said)
    if parent_process() is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    precision = "f32"
    remark: str | None = None

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        names = [each.name for each in session.get_outputs()]
        self._output = PLANES if PLANES in names else names[0]
        self._alone = session.get_inputs()[0].shape[0] == 1

    @classmethod
    def load(cls, parts: Mapping[str, bytes], threads: int | None = None) -> Self:
        content = _graph(parts)
        runtime = telemetry.onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4  # it would print what it raises, too, with text from the graph
        # A plan of the memory for each size that ever came is not kept. A U-Net of 1.9 M parameters that was given 60
        # sizes up to 480 x 480 held 288 MB so and 348 MB with plans; its largest alone 265 MB (2026-11). Without the
        # arena it took 1.15x the CPU time, without spinning threads 1.2x.
        options.enable_mem_pattern = False
        try:
            return cls(runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"]))
        except Exception as error:  # its own kinds
            raise ReadError(f"ONNX Runtime cannot load the network: {shown(error)}") from error

    def run(self, batch: np.ndarray) -> np.ndarray:
        return _run(batch, self._alone, self._call)

    def _call(self, batch: np.ndarray) -> np.ndarray:
        return self._session.run([self._output], {self._input: batch})[0]


class OpenVino:
    """OpenVINO on the CPU, in float32."""

    hint: ClassVar[str] = "f32"

    def __init__(self, compiled: Any, precision: str, remark: str | None = None) -> None:
        self.precision = precision
        self.remark = remark
        self._compiled = compiled
        named = [PLANES in each.get_names() for each in compiled.outputs]
        self._output = named.index(True) if any(named) else 0
        batch = compiled.inputs[0].get_partial_shape()[0]
        self._alone = batch.is_static and batch.get_length() == 1
        self._mine = local()  # a request is for one thread at a time

    @classmethod
    def load(cls, parts: Mapping[str, bytes], threads: int | None = None) -> Self:
        content = _graph(parts)
        return cls._compiled_from(content, b"", threads)

    @classmethod
    def _compiled_from(cls, content: bytes, numbers: bytes, threads: int | None) -> Self:
        openvino = telemetry.openvino()
        core = openvino.Core()
        precision, remark = cls._precision(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        if remark:
            logger.warning(remark)
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": threads or default_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            compiled = core.compile_model(core.read_model(content, numbers), "CPU", settings)
        except Exception as error:  # RuntimeError with the lines of its C++ code
            raise ReadError(f"OpenVINO cannot load the network: {shown(_last_line(error))}") from error
        return cls(compiled, precision, remark)

    @classmethod
    def _precision(cls, capabilities: list[str]) -> tuple[str, str | None]:
        """What it computes in on a CPU of these ``capabilities``, and what is to be said of that."""
        return "f32", None

    def run(self, batch: np.ndarray) -> np.ndarray:
        return _run(batch, self._alone, self._call)

    def _call(self, batch: np.ndarray) -> np.ndarray:
        if not hasattr(self._mine, "request"):
            self._mine.request = self._compiled.create_infer_request()
        self._mine.request.infer([batch], share_inputs=True)
        return self._mine.request.get_output_tensor(self._output).data.copy()


class OpenVinoBf16(OpenVino):
    """OpenVINO on the CPU in bfloat16, 8 bits of mantissa: twice as fast or more where the CPU computes in it."""

    @classmethod
    def _precision(cls, capabilities: list[str]) -> tuple[str, str | None]:
        if "BF16" in capabilities:
            return "bf16", None
        return (
            "f32",
            "this CPU does not compute in bfloat16 (AVX512_BF16 or AMX would), so it is float32 after all",
        )


class OpenVinoInt8(OpenVino):
    """OpenVINO on the CPU with weights and activations of 8 bits, as ``quantize`` made them."""

    @classmethod
    def load(cls, parts: Mapping[str, bytes], threads: int | None = None) -> Self:
        from .intermediate import check_intermediate

        if INT8_XML not in parts or INT8_BIN not in parts:
            raise ReadError(
                f"the model has no {INT8_XML}; make it with: smalti export MODEL --to openvino-int8 --data DATASET"
            )
        check_intermediate(parts[INT8_XML], parts[INT8_BIN])
        return cls._compiled_from(parts[INT8_XML], parts[INT8_BIN], threads)

    @classmethod
    def _precision(cls, capabilities: list[str]) -> tuple[str, str | None]:
        return "int8", None


class Torch:
    """torch on the CPU as it comes, without compiling: what the other runtimes are compared with."""

    precision = "f32"
    remark: str | None = None

    def __init__(self, module: Any) -> None:
        self._module = module

    @classmethod
    def load(
        cls,
        parts: Mapping[str, bytes],
        threads: int | None = None,
        make_module: Callable[[], Any] | None = None,
    ) -> Self:
        """``make_module`` gives the module with its weights; ``threads``, where given, hold for all of torch."""
        from ..optional import require

        torch = require("torch", "train")
        if make_module is None:
            raise InputError("torch runs a module, and nothing says how to make it")
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(make_module().eval())

    def run(self, batch: np.ndarray) -> np.ndarray:
        return _run(batch, False, self._call)

    def _call(self, batch: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            planes = self._module(torch.from_numpy(batch))
        return planes.float().numpy()


def _graph(parts: Mapping[str, bytes]) -> bytes:
    """The graph of a bundle, checked. Raises ``ReadError`` unless it takes an image and nothing else."""
    if NETWORK not in parts:
        raise ReadError(
            f"the model has no {NETWORK}, so it was not exported; there are: {', '.join(parts) or 'none'}"
        )
    inputs = check_graph(parts[NETWORK]).inputs
    if len(inputs) != 1 or inputs[0].dtype != "float32" or len(inputs[0].dims or ()) not in (4, 5):
        said = ", ".join(map(str, inputs)) or "nothing"
        raise ReadError(f"the network takes {said}, wanted one batch of images; it is refused")
    return parts[NETWORK]


def _run(batch: np.ndarray, alone: bool, call: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The planes of a batch, image by image where the graph takes but one."""
    batch = np.ascontiguousarray(batch, np.float32)
    if not batch.flags.writeable:
        batch = (
            batch.copy()
        )  # torch and OpenVINO share its memory, and will not share what may not be written
    try:
        if alone and len(batch) > 1:
            return np.concatenate([call(batch[place : place + 1]) for place in range(len(batch))])
        return call(batch)
    except (SmaltiError, MemoryError):
        raise
    except Exception as error:  # each library raises its own kinds
        raise InputError(
            f"the network cannot take a batch of {batch.shape}: {shown(_last_line(error))}"
        ) from error


def _last_line(error: Exception) -> str:
    """What a C++ library says went wrong: below the places in its code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
