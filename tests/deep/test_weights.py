from __future__ import annotations

import json
import pickle
import struct

import pytest
import torch
from safetensors import torch as safetensors_torch

from smalti.deep.encoders import make_encoder
from smalti.deep.nets import describe_net, make_network, restored_network
from smalti.deep.weights import freeze, load_weights, load_weights_bytes, unfreeze, weights_bytes
from smalti.errors import InputError, ReadError
from smalti.postprocess.planes import Planes
from smalti.postprocess.targets import Targets

SMALL = {"encoder": "resnet18", "width": 4, "encoder_parameters": {"width": 2}}


def network_of(channels: int = 3, seed: int = 0, planes: int = 2):
    torch.manual_seed(seed)
    return make_network("fcn", channels, planes, parameters=SMALL)


def encoder_state(channels: int = 3) -> dict:
    """A checkpoint of the encoder as training on ImageNet gives it."""
    torch.manual_seed(9)
    state = make_encoder("resnet18", channels, parameters={"width": 2}).state_dict()
    state = {
        name: torch.randn_like(one) if one.is_floating_point() else one + 7 for name, one in state.items()
    }
    return state | {"fc.weight": torch.randn(10, 16), "fc.bias": torch.randn(10)}


def agree(network, state, lead: str = "") -> bool:
    own = network.net.encoder.state_dict()
    return all(torch.equal(own[name], state[lead + name]) for name in own)


def unchanged(network, before) -> bool:
    return all(torch.equal(one, before[name]) for name, one in network.state_dict().items())


def copied(network) -> dict:
    return {name: one.clone() for name, one in network.state_dict().items()}


@pytest.mark.parametrize(
    "lead", ["", "module.", "encoder.", "backbone.", "module.model.backbone.", "net.encoder."]
)
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_an_encoder_loads_by_name_whatever_is_put_before(tmp_path, lead, wrapper) -> None:
    state = encoder_state()
    told = {lead + name: one for name, one in state.items()}
    torch.save({wrapper: told, "epoch": 3, "loss": 0.5} if wrapper else told, tmp_path / "a.pth")
    network = network_of()
    said = load_weights(network, tmp_path / "a.pth")
    assert agree(network, state)
    assert said.part == "net.encoder"
    assert len(said.loaded) == len(state) - 2  # fc has no place, and is not worth a word
    assert said.missing == said.unused == said.unfit == said.adapted == ()


def test_safetensors_load_alike(tmp_path) -> None:
    state = encoder_state()
    safetensors_torch.save_file(state, tmp_path / "a.safetensors")
    network = network_of()
    load_weights(network, tmp_path / "a.safetensors")
    assert agree(network, state)


def test_half_precision_is_widened(tmp_path) -> None:
    state = {n: one.half() if one.is_floating_point() else one for n, one in encoder_state().items()}
    safetensors_torch.save_file(state, tmp_path / "a.safetensors")
    network = network_of()
    load_weights(network, tmp_path / "a.safetensors")
    found = network.net.encoder.conv1.weight
    assert found.dtype == torch.float32
    assert torch.equal(found, state["conv1.weight"].float())


def test_a_whole_network_loads_with_its_heads(tmp_path) -> None:
    source, network = network_of(seed=1), network_of()
    torch.save(source.state_dict(), tmp_path / "a.pt")
    said = load_weights(network, tmp_path / "a.pt")
    assert unchanged(network, source.state_dict())
    assert (said.part, said.missing) == ("", ())


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_the_first_convolution_is_fitted_to_the_channels(tmp_path, channels) -> None:
    state = encoder_state()
    torch.save(state, tmp_path / "a.pth")
    network = network_of(channels)
    said = load_weights(network, tmp_path / "a.pth")
    assert said.adapted == ("net.encoder.conv1.weight",)
    assert said.unfit == ()
    grey = torch.randn(1, 1, 9, 9)
    found = torch.nn.functional.conv2d(grey.repeat(1, channels, 1, 1), network.net.encoder.conv1.weight)
    expected = torch.nn.functional.conv2d(grey.repeat(1, 3, 1, 1), state["conv1.weight"])
    torch.testing.assert_close(found, expected)  # a grey image says as much in any number of channels


def test_other_shapes_are_listed_and_left(tmp_path) -> None:
    state = encoder_state()
    state["layer1.0.conv1.weight"] = torch.zeros(3, 2, 3, 3)
    state["layer9.weight"] = torch.zeros(4)
    del state["layer4.1.bn2.bias"], state["layer4.1.bn2.num_batches_tracked"]
    torch.save(state, tmp_path / "a.pth")
    network = network_of()
    before = copied(network)
    said = load_weights(network, tmp_path / "a.pth")
    assert said.unfit == (("net.encoder.layer1.0.conv1.weight", (2, 2, 3, 3), (3, 2, 3, 3)),)
    assert said.missing == ("net.encoder.layer4.1.bn2.bias",)
    assert said.unused == ("layer9.weight",)
    for name in (
        "net.encoder.layer1.0.conv1.weight",
        "net.encoder.layer4.1.bn2.bias",
        "heads.0.linear.weight",
    ):
        assert torch.equal(network.state_dict()[name], before[name])
    text = str(said)
    assert "wanted (2, 2, 3, 3), found (3, 2, 3, 3)" in text
    assert "layer4.1.bn2.bias" in text and "layer9.weight" in text


def test_other_planes_leave_the_head_as_it_was(tmp_path) -> None:
    source, network = network_of(seed=1, planes=5), network_of(planes=2)
    torch.save(source.state_dict(), tmp_path / "a.pt")
    before = copied(network)
    said = load_weights(network, tmp_path / "a.pt")
    assert [name for name, _, _ in said.unfit] == ["heads.0.linear.weight", "heads.0.linear.bias"]
    assert torch.equal(network.heads[0].linear.weight, before["heads.0.linear.weight"])
    assert torch.equal(network.net.last[0][0].weight, source.net.last[0][0].weight)


@pytest.mark.parametrize(
    "state",
    [{"blocks.0.weight": torch.zeros(3)}, {"conv1.weight": torch.zeros(5)}, {"a.bias": torch.zeros(1)}],
)
def test_a_checkpoint_of_another_network_is_told(tmp_path, state) -> None:
    torch.save(state, tmp_path / "a.pth")
    network = network_of()
    before = copied(network)
    with pytest.raises(InputError, match="checkpoint of another network"):
        load_weights(network, tmp_path / "a.pth")
    assert unchanged(network, before)


class Runs:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_a_file_that_would_run_code_is_refused_unrun(tmp_path) -> None:
    marker = tmp_path / "ran"
    torch.save({"state_dict": encoder_state(), "extra": Runs(marker)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Runs(marker)))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(ReadError, match="no plain state dict"):
            load_weights(network_of(), tmp_path / name)
    assert not marker.exists()


def test_files_that_are_no_weights_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"got a\.pkl"):
        load_weights(network_of(), tmp_path / "a.pkl")
    with pytest.raises(ReadError, match="no file"):
        load_weights(network_of(), tmp_path / "a.pth")
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(b"no weights at all")
        with pytest.raises(ReadError, match=name):
            load_weights(network_of(), tmp_path / name)
    torch.save([1, 2], tmp_path / "b.pt")
    with pytest.raises(InputError, match="no tensors"):
        load_weights(network_of(), tmp_path / "b.pt")


def test_a_truncated_checkpoint_is_told(tmp_path) -> None:
    torch.save(encoder_state(), tmp_path / "a.pth")
    safetensors_torch.save_file(encoder_state(), tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ReadError):
            load_weights(network_of(), tmp_path / name)


def test_values_that_are_no_numbers_are_refused(tmp_path) -> None:
    state = encoder_state()
    state["bn1.weight"][0] = torch.nan
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ReadError, match=r"bn1\.weight"):
        load_weights(network_of(), tmp_path / "a.pth")


def test_bytes_of_weights_come_back(tmp_path) -> None:
    source, network = network_of(seed=1), network_of()
    content = weights_bytes(source)
    assert content == weights_bytes(source.to(memory_format=torch.channels_last))
    load_weights_bytes(network, content)
    assert unchanged(network, source.state_dict())


def header_and_rest(content: bytes) -> tuple[dict, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header: dict, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def renamed(header: dict) -> None:
    header["other"] = header.pop("heads.0.linear.bias")


def reshaped(header: dict) -> None:
    header["heads.0.linear.weight"]["shape"].reverse()


def retyped(header: dict) -> None:
    header["heads.0.linear.bias"]["dtype"] = "I32"


def overlapping(header: dict) -> None:
    header["heads.0.linear.bias"]["data_offsets"] = header["heads.0.linear.weight"]["data_offsets"]


def huge(header: dict) -> None:
    header["heads.0.linear.bias"]["shape"] = [2**62]


@pytest.mark.parametrize("change", [renamed, reshaped, retyped, overlapping, huge])
def test_bytes_that_do_not_fit_are_refused(change) -> None:
    network = network_of()
    before = copied(network)
    header, rest = header_and_rest(weights_bytes(network_of(seed=1)))
    change(header)
    with pytest.raises(ReadError):
        load_weights_bytes(network, with_header(header, rest))
    assert unchanged(network, before)


def test_damaged_bytes_are_refused() -> None:
    network = network_of()
    before = copied(network)
    content = weights_bytes(network_of(seed=1))
    odd = copied(network_of(seed=1)) | {"heads.0.linear.bias": torch.tensor([torch.inf, 0])}
    for one in (
        b"",
        content[:-1],
        content + bytes(20_000_000),
        b"\xff" * len(content),
        struct.pack("<Q", 2**63) + content[8:],
        safetensors_torch.save(odd),
    ):
        with pytest.raises(ReadError):
            load_weights_bytes(network, one)
    assert unchanged(network, before)


def test_bytes_of_another_network_are_refused() -> None:
    with pytest.raises(ReadError, match="of these weights is|another network|bytes"):
        load_weights_bytes(network_of(planes=2), weights_bytes(network_of(planes=3)))


PLANES = Planes(Targets(("background", "cell"), (0, 1)), 2)


def test_a_network_is_restored_from_plain_values() -> None:
    said = json.loads(json.dumps(describe_net("fcn", SMALL)))
    network = network_of(seed=3).eval()
    restored = restored_network(said, 3, PLANES, weights_bytes(network)).eval()
    image = torch.randn(1, 3, 20, 30)
    assert torch.equal(restored(image), network(image))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"name": "fcn"},
        {"name": "nobody", "parameters": {}},
        {"name": "fcn", "parameters": {"depth": 3}},
        {"name": "fcn", "parameters": {"encoder": "resnet18", "width": 9_000}},  # would take gigabytes
        {"name": "unet", "parameters": {"blocks": 10**9}},  # would never end
        {
            "name": "fcn",
            "parameters": {"encoder": "hf", "encoder_parameters": {"source": "a/b", "online": True}},
        },
    ],
)
def test_a_net_that_the_bundle_does_not_hold_is_refused(said) -> None:
    with pytest.raises(ReadError):
        restored_network(said, 3, PLANES, weights_bytes(network_of()))


def step(network) -> None:
    """One step of training, which moves whatever may be moved."""
    optimizer = torch.optim.SGD([one for one in network.parameters() if one.requires_grad], lr=0.1)
    planes = network.train()(torch.randn(2, 3, 32, 32))
    sum(each.square().mean() for each in planes).backward()
    optimizer.step()


def moved(network, before) -> set[str]:
    return {name for name, one in network.state_dict().items() if not torch.equal(one, before[name])}


def test_a_frozen_encoder_stays_still_while_the_rest_learns() -> None:
    network = network_of()
    names = freeze(network, "encoder")
    assert set(names) == {name for name, _ in network.named_parameters() if name.startswith("net.encoder.")}
    before = copied(network)
    step(network)
    step(network)
    changed = moved(network, before)
    assert not any(name.startswith("net.encoder.") for name in changed)  # neither weights nor statistics
    assert {"heads.0.linear.weight", "net.last.0.1.running_mean"} <= changed


def test_stages_are_frozen_from_the_image_on() -> None:
    network = network_of()
    freeze(network, 2)
    before = copied(network)
    step(network)
    still = {name.split(".")[2] for name in before if name.startswith("net.encoder.")} - {
        name.split(".")[2] for name in moved(network, before) if name.startswith("net.encoder.")
    }
    assert still == {"conv1", "bn1", "layer1"}


def test_patterns_freeze_what_they_name() -> None:
    network = network_of()
    assert freeze(network, ["heads.*", "net.scores.0.bias"]) == [
        "net.scores.0.bias",
        "heads.0.linear.weight",
        "heads.0.linear.bias",
    ]
    before = copied(network)
    step(network)
    assert not {"heads.0.linear.weight", "heads.0.linear.bias", "net.scores.0.bias"} & moved(network, before)


def test_what_is_freed_learns_again() -> None:
    network = network_of()
    freeze(network, "encoder")
    unfreeze(network)
    before = copied(network)
    step(network)
    assert {"net.encoder.conv1.weight", "net.encoder.bn1.running_mean"} <= moved(network, before)


@pytest.mark.parametrize("net", ["deeplab", "fast", "fcn", "unet"])
def test_every_net_has_stages_to_freeze(net) -> None:
    network = make_network(net, 1, 2, parameters={"width": 8})
    names = freeze(network, "encoder")
    assert 0 < len(names) < len(list(network.parameters()))
    assert freeze(make_network(net, 1, 2, parameters={"width": 8}), 1) < names or len(network.net.stages) == 1


@pytest.mark.parametrize(("what", "told"), [(99, "5 stages"), (0, "5 stages"), ("nobody.*", "no parameter")])
def test_what_is_not_there_cannot_be_frozen(what, told) -> None:
    with pytest.raises(InputError, match=told):
        freeze(network_of(), what)
