"""The contract of every net in the table, present and future."""

from __future__ import annotations

import copy
import io
import json
import warnings

import numpy as np
import pytest
import torch

from smalti.deep.nets import NETS, make_net, make_network
from smalti.deep.network import Network
from smalti.errors import InputError, UnknownName

PLANES = 3

TINY = {
    "deeplab": {"encoder": "plain", "width": 8, "skip_width": 4, "encoder_parameters": {"width": 8}},
    "fast": {"width": 8},
    "fcn": {"width": 8, "encoder_parameters": {"width": 8}},
    "unet": {"width": 8, "strides": [2, 2]},
}
"""Parameters that make each net small; a net that is not here is tried with its own."""

VARIANTS = {
    "deeplab-resnet18-8": ("deeplab", {"output_stride": 8, "width": 8, "encoder_parameters": {"width": 8}}),
    "deeplab-resnet50": (
        "deeplab",
        {"encoder": "resnet50", "output_stride": None, "width": 8, "encoder_parameters": {"width": 8}},
    ),
    "fast-alone": ("fast", {"width": 8, "deep_supervision": False}),
    "fcn-32s": ("fcn", {"finest": 32, "width": 8, "encoder_parameters": {"width": 8}}),
    "fcn-resnet18-16s": (
        "fcn",
        {"encoder": "resnet18", "finest": 16, "width": 8, "encoder_parameters": {"width": 8}},
    ),
    "unet-residual-instance": (
        "unet",
        {"width": 8, "strides": [2, 2], "block": "residual", "norm": "instance"},
    ),
    "unet-separable-deep": (
        "unet",
        {"width": 8, "strides": [2, 2], "block": "separable", "stem_stride": 2, "deep_supervision": True},
    ),
}

ALL = {name: (name, TINY.get(name, {})) for name in sorted(NETS)} | VARIANTS


def make(which: str, channels: int = 2, ndim: int = 2, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    name, parameters = ALL[which]
    return make_network(name, channels, PLANES, ndim, parameters)


def offers_volumes(name: str) -> bool:
    try:
        make(name, ndim=3)
    except InputError:
        return False
    return True


VOLUMES = [name for name in ALL if offers_volumes(name)]


@pytest.fixture(params=ALL)
def which(request) -> str:
    return request.param


def worn(network: Network) -> Network:
    """The network with statistics and biases of norms as if it had seen images."""
    torch.manual_seed(5)
    for module in network.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.3, 1.5)
        if getattr(module, "running_mean", None) is not None or hasattr(module, "num_features"):
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval()


def stripes(size: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images of two channels with a block of their own each, and what each pixel is."""
    torch.manual_seed(1)
    target = torch.zeros(2, *size, dtype=torch.long)
    for number, (low, high) in enumerate([(0.1, 0.5), (0.4, 0.9)]):
        place = tuple(slice(int(low * length), int(high * length)) for length in size)
        target[(number, *place)] = 1
        target[(number, ..., slice(int(0.8 * size[-1]), None))] = 2
    image = torch.stack([(target == 1).float(), (target == 2).float()], 1)
    return image + 0.1 * torch.randn_like(image), target


def loss_of(planes: list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    found = []
    for each in planes:
        own = torch.nn.functional.interpolate(target[:, None].float(), each.shape[2:])[:, 0].long()
        found.append(torch.nn.functional.cross_entropy(each, own))
    return torch.stack(found).mean()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 13), (37, 53)])
def test_images_of_any_size_give_planes_of_their_size(which, size) -> None:
    network = make(which).eval()
    with torch.no_grad():
        planes = network(torch.randn(2, 2, *size))
    assert planes.shape == (2, PLANES, *size)
    assert torch.isfinite(planes).all()


@pytest.mark.parametrize("size", [(1, 1, 1), (5, 9, 17)])
@pytest.mark.parametrize("volume", VOLUMES)
def test_volumes_of_any_size_give_planes_of_their_size(volume, size) -> None:
    network = make(volume, ndim=3).eval()
    with torch.no_grad():
        planes = network(torch.randn(1, 2, *size))
    assert planes.shape == (1, PLANES, *size)


def test_fcn_and_unet_take_volumes() -> None:
    assert {"fcn", "unet"} <= set(VOLUMES)


def test_width_is_that_of_the_features(which) -> None:
    network = make(which)
    found = network.net(torch.randn(2, 2, 48, 32))
    assert found[0].shape[1] == network.net.width
    assert len(found) == len(network.heads)
    assert len(network.net.eval()(torch.randn(1, 2, 48, 32))) == 1


def test_in_training_the_finest_planes_have_the_size_of_the_image(which) -> None:
    planes = make(which).train()(torch.randn(1, 2, 32, 32))  # one image whose deepest map is one pixel
    assert planes[0].shape == (1, PLANES, 32, 32)
    sides = [each.shape[-1] for each in planes]
    assert sides == sorted(sides, reverse=True)


def test_every_parameter_gets_a_gradient(which) -> None:
    network = make(which).train()
    image, target = stripes((64, 48))
    loss_of(network(image), target).backward()
    without = [
        name for name, one in network.named_parameters() if one.grad is None or not one.grad.isfinite().all()
    ]
    assert without == []
    # a weight whose gradient is exactly zero would be one that nothing hears of
    assert [n for n, one in network.named_parameters() if one.ndim > 1 and not one.grad.any()] == []


def learning(network: Network, size: tuple[int, ...], steps: int) -> list[float]:
    """The losses of so many steps on one batch."""
    image, target = stripes(size)
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=0.03)
    losses = []
    for _ in range(steps):
        loss = loss_of(network(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# the coarsest have one score for 32 x 32 or 16 x 16 pixels, so that outlines stay wrong
COARSE = {"fcn-32s": 0.6, "fcn-resnet18-16s": 0.4}


def test_one_batch_is_learned_by_heart(which) -> None:
    # a U-Net at full size is quick and, four channels narrow, learns slowly
    losses = learning(make(which), (40, 40), 40 if which.startswith("unet") else 24)
    assert losses[0] > 0.8
    assert min(losses[-3:]) < COARSE.get(which, 0.25)


@pytest.mark.parametrize("volume", sorted(set(NETS) & set(VOLUMES)))
def test_one_volume_is_learned_by_heart(volume) -> None:
    losses = learning(make(volume, ndim=3), (16, 16, 16), 30)
    assert losses[0] > 0.8
    assert min(losses[-3:]) < 0.4


def test_the_same_seed_gives_the_same_weights(which) -> None:
    first, second, other = make(which), make(which), make(which, seed=1)
    assert first.state_dict().keys() == second.state_dict().keys()
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in first.state_dict().items())


def test_a_deep_copy_says_the_same_and_is_another(which) -> None:
    network = worn(make(which))
    image = torch.randn(1, 2, 33, 20)
    twin = copy.deepcopy(network)
    with torch.no_grad():
        before = network(image)
        assert torch.equal(twin(image), before)
        for one in twin.parameters():
            one.zero_()
        assert torch.equal(network(image), before)


def test_parameters_are_plain_values(which) -> None:
    name, parameters = ALL[which]
    assert make_net(name, 2, **json.loads(json.dumps(parameters))).width == make(which).net.width


def exported(network: Network, ndim: int) -> bytes:
    spatial = ("height", "width") if ndim == 2 else ("depth", "height", "width")
    axes = {0: "batch"} | {place + 2: name for place, name in enumerate(spatial)}
    content = io.BytesIO()
    with warnings.catch_warnings():
        # the other exporter, which takes forty times as long and writes the paths of this machine into the file
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings(
            "ignore", "ONNX export mode", UserWarning
        )  # of instance norms, which know one mode
        torch.onnx.export(
            network,
            (torch.zeros(2, 2, *[32] * ndim),),
            content,
            dynamo=False,
            opset_version=18,
            input_names=["image"],
            output_names=["planes"],
            dynamic_axes={"image": axes, "planes": axes},
        )
    return content.getvalue()


def assert_parity(network: Network, sizes: list[tuple[int, ...]]) -> None:
    """An export traced at one size gives what torch gives at others."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    content = exported(network, len(sizes[0]))
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    for number, size in enumerate(sizes, 1):
        image = torch.randn(number, 2, *size)
        with torch.no_grad():
            expected = network(image).numpy()
        (found,) = session.run(None, {"image": image.numpy()})
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, abs(expected).max()), rtol=0)
        assert np.ptp(expected) > 0 or size == (1,) * len(size)


def test_an_export_gives_the_same_at_sizes_it_was_not_traced_at(which) -> None:
    assert_parity(worn(make(which)), [(1, 1), (37, 53), (16, 90)])


@pytest.mark.parametrize("volume", sorted(set(NETS) & set(VOLUMES)))
def test_an_export_of_volumes_gives_the_same(volume) -> None:
    assert_parity(worn(make(volume, ndim=3)), [(1, 1, 1), (9, 21, 14)])


def test_channels_last_gives_the_same(which) -> None:
    network = worn(make(which))
    image = torch.randn(2, 2, 40, 33)
    with torch.no_grad():
        expected = network(image)
        last = network.to(memory_format=torch.channels_last)
        found = last(image.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_bf16_trains_and_predicts_nearly_the_same(which) -> None:
    network = worn(make(which))
    image, target = stripes((32, 32))
    with torch.no_grad():
        expected = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(image).float()
    assert (found - expected).abs().max() < 0.1 * max(1, expected.abs().max())
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of([each.float() for each in network.train()(image)], target)
    loss.backward()
    assert all(one.grad.isfinite().all() for one in network.parameters())


def test_a_name_or_parameter_nobody_knows_is_told() -> None:
    with pytest.raises(UnknownName, match="nearest: unet"):
        make_net("unett", 3)
    for odd in (
        {"depth": 3},
        {"width": "wide"},
        {"width": -4},
        {"block": "nobody"},
        {"norm": "nobody"},
        {"strides": 2},
        {"strides": [2] * 99},
        {"blocks": 0},
        {"stem_stride": 3},
    ):
        with pytest.raises(InputError, match="net unet|U-Net|norm"):
            make_net("unet", 3, **odd)
    with pytest.raises(UnknownName, match="encoder"):
        make_net("fcn", 3, encoder="resnet19")


@pytest.mark.parametrize("name", sorted(NETS))
def test_four_axes_are_refused(name) -> None:
    with pytest.raises(InputError, match="spatial axes"):
        make(name, ndim=4)
