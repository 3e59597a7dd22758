from __future__ import annotations

import json
import socket

import pytest
import torch

from smalti.deep.encoders import make_encoder
from smalti.deep.nets import describe_net, make_network
from smalti.deep.weights import freeze
from smalti.errors import InputError, ReadError

transformers = pytest.importorskip("transformers")

STAGES = {"hidden_sizes": [4, 6, 8, 10], "depths": [1, 1, 1, 1]}
CONFIGS = {
    "convnext": {"model_type": "convnext", **STAGES},
    "resnet": {"model_type": "resnet", "embedding_size": 4, "layer_type": "basic", **STAGES},
    "swin": {
        "model_type": "swin",
        "embed_dim": 4,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 3,
        "image_size": 64,
    },
    "dinov2": {
        "model_type": "dinov2",
        "hidden_size": 8,
        "num_hidden_layers": 8,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    },
}
STRIDES = {name: (14,) * 4 if name == "dinov2" else (4, 8, 16, 32) for name in CONFIGS}


def backbone(config: dict, channels: int = 3):
    torch.manual_seed(0)
    return make_encoder("hf", channels, parameters={"config": config})


@pytest.fixture(autouse=True)
def no_network(monkeypatch) -> None:
    def refuse(*_arguments, **_more):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def saved(tmp_path) -> str:
    """A folder with a tiny model of three channels, as a person has it on disk."""
    torch.manual_seed(1)
    values = CONFIGS["convnext"]
    config = transformers.AutoConfig.for_model(**values)
    transformers.ConvNextModel(config).save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (64, 96)])
@pytest.mark.parametrize("name", CONFIGS)
def test_maps_have_the_widths_and_strides_that_are_said(name, size) -> None:
    made = backbone(CONFIGS[name], channels=2).eval()
    assert made.strides == STRIDES[name]
    with torch.no_grad():
        maps = made(torch.randn(2, 2, *size))
    expected = [
        (2, width, -(-size[0] // stride), -(-size[1] // stride))
        for width, stride in zip(made.widths, made.strides, strict=True)
    ]
    assert [tuple(each.shape) for each in maps] == expected


@pytest.mark.parametrize("name", CONFIGS)
def test_nets_take_backbones_as_they_take_encoders(name) -> None:
    parameters = {
        "encoder": "hf",
        "output_stride": None,
        "width": 8,
        "encoder_parameters": {"config": CONFIGS[name]},
    }
    network = make_network("deeplab", 2, 3, parameters=json.loads(json.dumps(parameters)))
    planes = network.train()(torch.randn(2, 2, 37, 45))
    assert planes[0].shape == (2, 3, 37, 45)
    planes[0].square().mean().backward()
    heard = [one for one in network.net.encoder.parameters() if one.grad is not None and one.grad.any()]
    assert len(heard) > len(list(network.net.encoder.parameters())) // 2
    assert len(freeze(network, "encoder")) == len(list(network.net.encoder.parameters()))


def test_maps_lie_where_the_image_lies() -> None:
    """Filled up sizes are cut again: what is told of a corner does not move with the size of the image."""
    made = backbone(CONFIGS["resnet"]).eval()
    image = torch.zeros(1, 3, 128, 128)
    image[..., 60:68, 60:68] = 5.0
    with torch.no_grad():
        whole, part = made(image)[0], made(image[..., :101, :93])[0]
    assert part.shape[2:] == (26, 24)
    torch.testing.assert_close(part[..., :15, :15], whole[..., :15, :15], atol=1e-3, rtol=1e-2)


def test_weights_come_from_a_folder(saved) -> None:
    torch.manual_seed(0)
    made = make_encoder("hf", 3, parameters={"source": saved}).eval()
    reference = transformers.ConvNextModel.from_pretrained(saved).eval()
    image = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        states = reference(image, output_hidden_states=True).hidden_states
        found = made(image)
    norm = made.model.hidden_states_norms["stage4"]
    torch.testing.assert_close(found[-1], norm(states[-1]))


@pytest.mark.parametrize("channels", [1, 5])
def test_other_channels_get_the_mean_of_those_that_were(saved, channels) -> None:
    torch.manual_seed(0)
    three = make_encoder("hf", 3, parameters={"source": saved}).eval()
    other = make_encoder("hf", channels, parameters={"source": saved}).eval()
    grey = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        for found, expected in zip(
            other(grey.expand(-1, channels, -1, -1)), three(grey.expand(-1, 3, -1, -1)), strict=True
        ):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_description_needs_the_folder_no_more(saved) -> None:
    parameters = {"encoder": "hf", "output_stride": None, "width": 8, "encoder_parameters": {"source": saved}}
    told = json.loads(json.dumps(describe_net("deeplab", parameters)))
    assert saved not in json.dumps(told["parameters"]["encoder_parameters"].get("source", ""))
    made = make_network(told["name"], 3, 2, parameters=told["parameters"])
    first = make_network("deeplab", 3, 2, parameters=parameters)
    made.load_state_dict(first.state_dict())
    image = torch.randn(1, 3, 20, 20)
    assert torch.equal(made.eval()(image), first.eval()(image))


def test_pickled_weights_are_refused(saved, tmp_path) -> None:
    folder = tmp_path / "model"
    (weights,) = folder.glob("*.safetensors")
    weights.unlink()
    torch.save({"a": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(ReadError, match="safetensors"):
        make_encoder("hf", 3, parameters={"source": saved})


def test_code_beside_a_model_does_not_run(saved, tmp_path) -> None:
    folder = tmp_path / "model"
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    told = json.loads((folder / "config.json").read_text())
    evil = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoBackbone": "evil.Model"}
    for model_type in ("convnext", "evil"):
        (folder / "config.json").write_text(json.dumps(told | {"auto_map": evil, "model_type": model_type}))
        try:
            make_encoder("hf", 3, parameters={"source": saved})
        except (InputError, ReadError):
            assert model_type == "evil"
        assert not marker.exists()


def test_weights_of_another_network_are_told(saved, tmp_path) -> None:
    other = transformers.ResNetModel(transformers.AutoConfig.for_model(**CONFIGS["resnet"]))
    other.save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").rename(tmp_path / "model" / "model.safetensors")
    with pytest.raises(InputError, match="another network"):
        make_encoder("hf", 3, parameters={"source": saved})


def test_nothing_is_downloaded_unasked() -> None:
    with pytest.raises(ReadError, match="online=True"):
        make_encoder("hf", 3, parameters={"source": "nobody/such-model"})


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, "one of the two"),
        ({"config": {"model_type": "bert"}}, "bert is no backbone"),
        ({"config": {"model_type": "nothing"}}, "nothing is no backbone"),
        ({"config": {}}, "model_type"),
        ({"config": {"model_type": "timm_backbone", "backbone": "resnet18"}}, "model_type"),
        ({"config": CONFIGS["resnet"] | {"hidden_sizes": [4, 8], "depths": [1, 1]}}, "at least 4 stages"),
        ({"config": CONFIGS["resnet"] | {"quantization_config": {"bits": 4}}}, "quantised"),
        ({"config": CONFIGS["resnet"], "output_stride": 16}, "output_stride=None"),
    ],
)
def test_what_is_no_backbone_is_told(parameters, told) -> None:
    stride = parameters.pop("output_stride", None)
    with pytest.raises(InputError, match=told):
        make_encoder("hf", 3, 2, stride, parameters)


def test_volumes_are_refused() -> None:
    with pytest.raises(InputError, match="2-D"):
        make_encoder("hf", 3, 3, parameters={"config": CONFIGS["resnet"]})
