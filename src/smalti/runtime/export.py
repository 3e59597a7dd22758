"""A trained network as an ONNX graph that ends where a user's question begins: with probabilities and class maps.

Letters: B images, C channels, K targets, P planes, *S spatial axes.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from ..errors import InputError
from ..optional import require
from ..postprocess.planes import Planes

OPSET = 18
"""Read by ONNX Runtime from 1.14 on and by every OpenVINO of today."""

TRACED_PX = {2: 64, 3: 32}
"""Length of an axis that the graph is traced with; it is dynamic afterwards."""

AXES = ("depth", "height", "width")

INPUT = "image"
PLANES = "planes"
CLASS_MAP = "class_map"


def export_network(
    network: Any, planes: Planes, in_channels: int, factors: np.ndarray | None = None
) -> bytes:
    """ONNX of a torch ``network`` that maps normalised images (B, C, *S) float32 to planes (B, P, *S).

    Batch, height, width (and depth) are dynamic. The outputs are ``planes`` (B, P, *S) float32 as
    ``Planes.activated`` gives them - probabilities that sum to 1 over the targets, heat and depth from 0 to 1, offsets
    in pixels - and ``class_map`` (B, *S) int32: the class id of the target whose probability times its factor
    (K,) is largest, 0 for background. A border between objects has no class: there the next best has the pixel.

    The network is left as it was. Raises ``InputError`` for one whose output is not (B, P, *S).
    """
    torch = require("torch", "train")
    require("onnx", "train")
    import onnx

    module = _deployed(network, planes, factors)
    shape = (2, in_channels, *[TRACED_PX[planes.ndim]] * planes.ndim)
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            found = network(torch.zeros(shape, device=device))  # activated, planes too many are not seen
            if tuple(found.shape) != (2, len(planes), *shape[2:]):
                raise InputError(
                    f"wanted a network that gives {(2, len(planes), *shape[2:])} of {shape}, got {tuple(found.shape)}"
                )
        names = dict(enumerate(AXES[-planes.ndim :], 2))
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            # torch calls its other exporter the coming one. That takes 10 s instead of 0.3 s for a U-Net, and writes
            # the paths of the machine it runs on into the file (torch 2.13).
            warnings.simplefilter("ignore", DeprecationWarning)
            # of a norm that looks at each image by itself, in training as in prediction
            warnings.filterwarnings("ignore", "ONNX export mode is set to TrainingMode.EVAL", UserWarning)
            torch.onnx.export(
                module.eval(),
                (torch.zeros(shape, device=device),),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[PLANES, CLASS_MAP],
                dynamic_axes={
                    INPUT: {0: "batch", **names},
                    PLANES: {0: "batch", **names},
                    CLASS_MAP: {0: "batch", **{axis - 1: name for axis, name in names.items()}},
                },
            )
    finally:
        network.train(was_training)
    model = onnx.load_model_from_string(buffer.getvalue())
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(planes)
    model.producer_name = "smalti"
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _deployed(network: Any, planes: Planes, factors: np.ndarray | None) -> Any:
    """A torch module: the network, and after it what ``export_network`` says."""
    import torch
    from torch import nn

    from ..deep.network import Activated

    ids = np.array(planes.targets.class_ids)
    kept = np.flatnonzero(ids >= 0)  # a border comes last
    weights = np.ones(len(ids)) if factors is None else np.asarray(factors, np.float64)

    class Deployed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.activated = Activated(network, planes)
            ones = (1,) * planes.ndim
            self.register_buffer("factors", torch.tensor(weights[kept], dtype=torch.float32).view(-1, *ones))
            self.register_buffer("class_ids", torch.tensor(ids[kept], dtype=torch.int32))

        def forward(self, image: Any) -> tuple[Any, Any]:
            found = self.activated(image)  # B, P, *S
            told = found[:, : len(kept)] * self.factors  # B, K without border, *S
            return found, self.class_ids[told.argmax(1)]

    return Deployed().to(next(network.parameters()).device)


HALVED_FROM = 256
"""Numbers of a constant from which it is stored in half: below, the few bytes are not worth a node."""


def halved(content: bytes) -> bytes:
    """The same graph with its large float32 constants as float16, brought back to float32 when it is loaded.

    Half the bytes, the same arithmetic: runtimes fold the casts away. Weights are rounded to 11 bits, relative error
    at most 5e-4; those beyond 65504 stay as they are.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(content)
    graph = model.graph
    kept, casts = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < HALVED_FROM or np.abs(values).max() > 65504:
            kept.append(tensor)
            continue
        half = f"{tensor.name}.half"
        kept.append(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()
