"""A U-Net at 512 x 512 by each runtime, and a step of its training, against torch as it comes.

Peer and ours have the same weights, learned for a moment from made-up cells so that the masks mean something. The
masks are compared before anything is measured: ``smalti export --data`` says what a runtime loses on real images.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from harness import Comparison, row

SIDE, CROP, BATCH = 512, 256, 2
STEPS = 48
NUCLEUS = 1
SETTINGS: dict[str, Any] = {"width": 32, "strides": (2, 2, 2, 2)}


@cache
def cells(number: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture (3, side, side) float32 around 0 and its classes (side, side) int64: 1 in nuclei."""
    from smalti.data.scenes import make_scene

    sample = make_scene("cells", number, seed=5, task="semantic", size_hw=(side, side))
    pixels = sample.image.pixels.astype(np.float32)
    pixels = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels[..., :3]
    image = np.moveaxis((pixels - pixels.mean()) / pixels.std(), -1, 0)
    return np.ascontiguousarray(image), (sample.truth.semantic_map() == NUCLEUS).astype(np.int64)


def batch_of(first: int, side: int) -> tuple[Any, Any]:
    """So many pictures and their classes as tensors."""
    import torch

    pairs = [cells(first + number, side) for number in range(BATCH)]
    image, target = (np.stack(each) for each in zip(*pairs, strict=True))
    return torch.from_numpy(image), torch.from_numpy(target)


def new_network() -> Any:
    """The network before it has learned."""
    import torch

    from smalti.deep.nets import make_network

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return make_network("unet", 3, 2, 2, SETTINGS)


@cache
def trained() -> tuple[Any, dict[str, bytes]]:
    """The network, and the parts of its bundle that runtimes load."""
    import torch

    from smalti.classes import ClassSet
    from smalti.deep.network import Activated
    from smalti.postprocess.planes import Planes
    from smalti.postprocess.targets import Targets
    from smalti.runtime.engines import NETWORK
    from smalti.runtime.export import export_network

    planes = Planes(Targets.of((1,), ClassSet.from_names(["cell"], thing=False), True), 2)
    network = new_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(STEPS):
        image, target = batch_of(10 + BATCH * (step % 8), 96)
        loss = torch.nn.functional.cross_entropy(network(image)[0], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Activated(network.eval(), planes).eval(), {NETWORK: export_network(network, planes, 3)}


def inference(runtime: str) -> Comparison:
    """Torch in evaluation mode and float32 against a runtime, one picture at a time."""
    import torch

    from smalti.runtime.engines import NETWORK, load_runtime

    module, parts = trained()
    if runtime == "openvino-int8":
        from smalti.runtime.quantize import quantize

        parts = parts | quantize(
            parts[NETWORK], [cells(30 + number, 256)[0][np.newaxis] for number in range(8)]
        )
    loaded = load_runtime(runtime, parts, threads=1)
    batch = cells(0, SIDE)[0][np.newaxis]

    def peer() -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(batch)).numpy()

    least = 0.9999 if loaded.precision == "f32" else 0.995
    told = "" if loaded.remark is None else f"; {loaded.remark}"
    cell_share = float((peer()[0].argmax(0) == 1).mean())
    return Comparison(
        peer,
        lambda: loaded.run(batch),
        lambda one, other: (
            bool((one.argmax(1) == other.argmax(1)).mean() >= least) and 0.01 < cell_share < 0.99
        ),
        f"U-Net of width 32 and five stages, {SIDE} x {SIDE}, same weights, one thread; ours in {loaded.precision}"
        f"{told}; {least:.2%} of the pixels must have the same class",
    )


if find_spec("torch"):

    @row("infer-default", peer="torch eager float32", target=3)
    def infer_default() -> Comparison:
        return inference("onnxruntime")

    if find_spec("openvino"):

        @row("infer-openvino-bf16", peer="torch eager float32", target=6)
        def infer_bf16() -> Comparison:
            return inference("openvino-bf16")

    if find_spec("openvino") and find_spec("nncf"):

        @row("infer-openvino-int8", peer="torch eager float32", target=10)
        def infer_int8() -> Comparison:
            return inference("openvino-int8")

    @row("train-step", peer="torch eager float32, channels first", target=3)
    def train_step() -> Comparison:
        import torch

        from smalti.deep.network import Network
        from smalti.train.batches import Batch
        from smalti.train.loop import Schedule, State, learn
        from smalti.train.losses import make_loss
        from smalti.train.machine import Machine
        from smalti.train.optimizer import Ema, make_optimizer

        image, target = batch_of(40, CROP)
        loss_of = make_loss("cross-entropy+dice")
        theirs, own = new_network(), new_network().to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3)

        def peer() -> float:
            loss = loss_of(theirs.train()(image)[0], target)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 12.0)
            optimizer.step()
            return loss.item()

        precision = torch.bfloat16 if Machine.here().bf16 else torch.float32
        state = State(
            own, make_optimizer(own, "adamw", learning_rate=1e-3, weight_decay=0.01), Ema(own), 10**6
        )
        schedule = Schedule(
            epoch_steps=1, validate_every=1, learning_rate=1e-3, warmup_steps=0, precision=precision
        )
        batch = Batch(image, {"classes": target}, tuple(range(BATCH)))

        def loss_and_parts(image: Any, output: Any, targets: Any) -> Any:
            return loss_of(output[0], targets["classes"]), {}

        def ours() -> float:
            assert isinstance(own, Network)
            return learn(state, own, batch, 1e-3, loss_and_parts, schedule)[0]

        told = (
            "bfloat16" if precision == torch.bfloat16 else "float32, as this CPU does not compute in bfloat16"
        )
        return Comparison(
            peer,
            ours,
            lambda one, other: abs(one - other) < 0.02 * one,
            f"the same U-Net, loss and optimizer, {BATCH} crops of {CROP} x {CROP}, one thread; ours channels last in "
            f"{told}; the first losses agree to 2 %",
        )
