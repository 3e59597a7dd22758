from __future__ import annotations

import pytest
import torch

from smalti.deep.encoders import ENCODERS, make_encoder
from smalti.errors import InputError

OURS = ["plain", "resnet18", "resnet34", "resnet50"]
DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def norm_names(name: str) -> list[str]:
    return [
        f"{name}.{each}" for each in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]


def checkpoint_names(encoder: str) -> set[str]:
    """The names of a common ImageNet checkpoint without its ``fc.weight`` and ``fc.bias``, by their rule."""
    names = ["conv1.weight", *norm_names("bn1")]
    convolutions = 3 if encoder == "resnet50" else 2
    for stage, depth in enumerate(DEPTHS[encoder], 1):
        for block in range(depth):
            lead = f"layer{stage}.{block}"
            for number in range(1, convolutions + 1):
                names += [f"{lead}.conv{number}.weight", *norm_names(f"{lead}.bn{number}")]
            # a shortcut is a convolution where the width or the size changes: in the first stage of bottlenecks, too
            if block == 0 and (stage > 1 or encoder == "resnet50"):
                names += [f"{lead}.downsample.0.weight", *norm_names(f"{lead}.downsample.1")]
    return set(names)


@pytest.mark.parametrize("encoder", sorted(DEPTHS))
def test_names_of_resnets_are_those_of_the_checkpoints(encoder) -> None:
    assert set(make_encoder(encoder, 3).state_dict()) == checkpoint_names(encoder)


@pytest.mark.parametrize(
    ("encoder", "parameters"), [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_resnets_have_as_many_parameters_as_published(encoder, parameters) -> None:
    made = make_encoder(encoder, 3)
    classifier = made.widths[-1] * 1000 + 1000
    assert sum(one.numel() for one in made.parameters()) + classifier == parameters


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv1.weight", (64, 3, 7, 7)),
        ("layer1.0.conv1.weight", (64, 64, 1, 1)),
        ("layer2.0.conv2.weight", (128, 128, 3, 3)),
        ("layer2.0.downsample.0.weight", (512, 256, 1, 1)),
        ("layer4.2.conv3.weight", (2048, 512, 1, 1)),
    ],
)
def test_shapes_of_resnet50_are_those_of_the_checkpoints(name, shape) -> None:
    assert make_encoder("resnet50", 3).state_dict()[name].shape == shape


@pytest.mark.parametrize("output_stride", [None, 32, 16, 8])
@pytest.mark.parametrize("encoder", OURS)
def test_maps_have_the_widths_and_strides_that_are_said(encoder, output_stride) -> None:
    made = make_encoder(encoder, 1, output_stride=output_stride, parameters={"width": 4}).eval()
    with torch.no_grad():
        maps = made(torch.randn(1, 1, 70, 97))
    last = output_stride or 32
    assert made.strides == tuple(min(stride, last) for stride in (4, 8, 16, 32))
    sizes = [
        (width, -(-70 // stride), -(-97 // stride))
        for width, stride in zip(made.widths, made.strides, strict=True)
    ]
    assert [tuple(each.shape[1:]) for each in maps] == sizes


@pytest.mark.parametrize("encoder", OURS)
def test_output_stride_leaves_the_parameters(encoder) -> None:
    coarse, fine = (make_encoder(encoder, 1, output_stride=each, parameters={"width": 4}) for each in (32, 8))
    assert {n: v.shape for n, v in coarse.state_dict().items()} == {
        n: v.shape for n, v in fine.state_dict().items()
    }


@pytest.mark.parametrize("encoder", OURS)
def test_dilation_sees_as_a_stride_does(encoder) -> None:
    """With the same weights every fourth pixel at stride 8 is what stride 32 gives there."""
    torch.manual_seed(0)
    coarse, fine = (
        make_encoder(encoder, 1, output_stride=each, parameters={"width": 2}).eval() for each in (32, 8)
    )
    fine.load_state_dict(coarse.state_dict())
    image = torch.randn(1, 1, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(fine(image)[-1][..., ::4, ::4], coarse(image)[-1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("encoder", OURS)
def test_maps_of_volumes_have_three_axes(encoder) -> None:
    made = make_encoder(encoder, 1, 3, parameters={"width": 2}).eval()
    with torch.no_grad():
        maps = made(torch.randn(1, 1, 17, 33, 20))
    assert [tuple(each.shape[2:]) for each in maps] == [(5, 9, 5), (3, 5, 3), (2, 3, 2), (1, 2, 1)]


@pytest.mark.parametrize("encoder", OURS)
def test_stages_hold_every_parameter_once(encoder) -> None:
    made = make_encoder(encoder, 1, parameters={"width": 2})
    held = [id(one) for stage in made.stages for module in stage for one in module.parameters()]
    assert sorted(held) == sorted(id(one) for one in made.parameters())
    assert len(made.stages) == 5


def test_what_cannot_be_made_is_told() -> None:
    with pytest.raises(InputError, match="8, 16 and 32, got 4"):
        make_encoder("resnet18", 3, output_stride=4)
    with pytest.raises(InputError, match="5 stages"):
        make_encoder("plain", 3, parameters={"blocks": (1, 1)})
    with pytest.raises(InputError, match="depth"):
        make_encoder("resnet18", 3, parameters={"depth": 3})


def test_the_table_names_what_is_there() -> None:
    assert set(OURS) | {"hf"} == set(ENCODERS)
