"""Encoders: from the image to maps at a 4th, an 8th, a 16th and a 32nd of its size, for nets that decode them.

ResNet: He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016, with the stride of a bottleneck
in its 3 x 3 convolution (Goyal et al., 2017), and parameters named as those of the common ImageNet checkpoints.
Plain: Simonyan, Zisserman: Very deep convolutional networks (VGG), ICLR 2015, with batch normalisation. Dilation in
place of stride: Chen et al., DeepLab, TPAMI 2018. Letters: B images, C channels, *S spatial axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from ..segmenter import load_class
from .blocks import CONVOLUTIONS, MOST_BLOCKS, ConvNorm, Norm, check_ndim, made_of
from .blocks import norm as make_norm

ENCODERS: dict[str, str] = {
    "hf": "smalti.deep.hf:Backbone",
    "plain": "smalti.deep.encoders:Plain",
    "resnet18": "smalti.deep.encoders:ResNet18",
    "resnet34": "smalti.deep.encoders:ResNet34",
    "resnet50": "smalti.deep.encoders:ResNet50",
}
"""Name of each encoder to the ``module:Class`` it is loaded from.

Each gives a list of maps of an image of any size, finest first, and says their ``widths`` and ``strides``.
``first_convolution`` names the parameter that looks at the channels of the image; ``stages`` are lists of modules.
"""

OUTPUT_STRIDES = (8, 16, 32)
MAX_POOLS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def make_encoder(
    name: str,
    in_channels: int,
    ndim: int = 2,
    output_stride: int | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> nn.Module:
    """An encoder by name whose last map is at ``output_stride``, with None wherever it ends.

    Raises ``UnknownName`` and, for parameters that it does not have, ``InputError``.
    """
    return made_of(
        f"encoder {name}",
        load_class("encoder", name, ENCODERS),
        in_channels,
        ndim=ndim,
        output_stride=output_stride,
        **(parameters or {}),
    )


def strides_and_dilations(output_stride: int | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Strides of the four maps and dilations of their stages where none is beyond ``output_stride``."""
    full = (4, 8, 16, 32)
    last = full[-1] if output_stride is None else output_stride
    if last not in OUTPUT_STRIDES:
        raise InputError(f"an output stride is one of 8, 16 and 32, got {output_stride}")
    strides = tuple(min(stride, last) for stride in full)
    return strides, tuple(stride // kept for stride, kept in zip(full, strides, strict=True))


class Plain(nn.Module):
    """Stages of convolutions, each at half the size of the one before, the first two at a 2nd and a 4th."""

    first_convolution = "stem.0.0.weight"

    def __init__(
        self,
        in_channels: int,
        ndim: int = 2,
        output_stride: int | None = None,
        width: int = 32,
        max_width: int = 256,
        blocks: Sequence[int] = (1, 2, 2, 2, 2),
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        check_ndim(ndim)
        if len(blocks) != 5 or not all(1 <= count <= MOST_BLOCKS for count in blocks):
            raise InputError(
                f"the plain encoder has 5 stages of 1 to {MOST_BLOCKS} blocks, got {tuple(blocks)}"
            )
        self.strides, dilations = strides_and_dilations(output_stride)
        self.widths = tuple(min(max_width, width * 2**stage) for stage in range(4))
        self.stem = nn.Sequential()
        channels = in_channels
        for number in range(blocks[0]):
            self.stem.append(ConvNorm(channels, width, ndim, stride=1 if number else 2, kind=norm))
            channels = width
        self.layers = nn.ModuleList()
        before, spacing = 2, 1
        for own, stride, dilation, count in zip(
            self.widths, self.strides, dilations, blocks[1:], strict=True
        ):
            stage = nn.Sequential()
            for number in range(count):
                step = 1 if number else stride // before
                # the first looks at pixels that are still as near as in the stage before
                apart = dilation if number else spacing
                stage.append(ConvNorm(channels, own, ndim, stride=step, dilation=apart, kind=norm))
                channels = own
            self.layers.append(stage)
            before, spacing = stride, dilation

    @property
    def stages(self) -> list[list[nn.Module]]:
        """What looks at the image, in its order."""
        return [[self.stem], *([layer] for layer in self.layers)]

    def forward(self, image: Tensor) -> list[Tensor]:
        """B, C, *S to the four maps, finest first."""
        x = self.stem(image)  # B, width, *S / 2
        found = []
        for layer in self.layers:
            x = layer(x)  # B, widths[i], *S / strides[i]
            found.append(x)
        return found


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, the first strides; ``after`` is the dilation of the second."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        ndim: int,
        stride: int,
        dilation: int,
        after: int,
        kind: Norm = "batch",
    ) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, width, ndim, 3, stride, dilation)
        self.bn1 = make_norm(kind, width, ndim)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(width, width, ndim, 3, 1, after)
        self.bn2 = make_norm(kind, width, ndim)
        self.downsample = _shortcut(in_channels, width, ndim, stride, kind)

    def forward(self, features: Tensor) -> Tensor:
        """B, in_channels, *S to B, width, *S / stride."""
        x = self.relu(self.bn1(self.conv1(features)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + (features if self.downsample is None else self.downsample(features)))


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1, which narrow and widen, beside a shortcut; nothing is ``after``."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        ndim: int,
        stride: int,
        dilation: int,
        after: int,
        kind: Norm = "batch",
    ) -> None:
        super().__init__()
        wide = self.expansion * width
        self.conv1 = _conv(in_channels, width, ndim, 1)
        self.bn1 = make_norm(kind, width, ndim)
        self.conv2 = _conv(width, width, ndim, 3, stride, dilation)
        self.bn2 = make_norm(kind, width, ndim)
        self.conv3 = _conv(width, wide, ndim, 1)
        self.bn3 = make_norm(kind, wide, ndim)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, wide, ndim, stride, kind)

    def forward(self, features: Tensor) -> Tensor:
        """B, in_channels, *S to B, 4 width, *S / stride."""
        x = self.relu(self.bn1(self.conv1(features)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu(x + (features if self.downsample is None else self.downsample(features)))


class ResNet(nn.Module):
    """Four stages of residual blocks after a stem at a quarter of the size.

    ``width`` is 64 in the checkpoints. An ``output_stride`` below 32 dilates the stages that would stride beyond it,
    whose parameters stay the same; the first block of such a stage still looks at the spacing of the stage before.
    """

    first_convolution = "conv1.weight"
    block: type[BasicBlock] | type[Bottleneck] = BasicBlock
    depths: tuple[int, ...] = (2, 2, 2, 2)

    def __init__(
        self,
        in_channels: int,
        ndim: int = 2,
        output_stride: int | None = None,
        width: int = 64,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        check_ndim(ndim)
        self.strides, dilations = strides_and_dilations(output_stride)
        self.widths = tuple(width * 2**stage * self.block.expansion for stage in range(4))
        self.conv1 = _conv(in_channels, width, ndim, 7, 2)
        self.bn1 = make_norm(norm, width, ndim)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = MAX_POOLS[ndim](3, 2, 1)
        channels = width
        before, spacing = 4, 1
        for stage in range(4):
            blocks = nn.Sequential()
            for number in range(self.depths[stage]):
                stride = 1 if number else self.strides[stage] // before
                # what would stride looks at pixels that are still as near as in the stage before
                apart = dilations[stage] if number else spacing
                blocks.append(
                    self.block(channels, width * 2**stage, ndim, stride, apart, dilations[stage], norm)
                )
                channels = self.widths[stage]
            self.add_module(f"layer{stage + 1}", blocks)
            before, spacing = self.strides[stage], dilations[stage]
        for module in self.modules():
            if isinstance(module, CONVOLUTIONS[ndim]):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stages(self) -> list[list[nn.Module]]:
        """What looks at the image, in its order."""
        return [[self.conv1, self.bn1], [self.layer1], [self.layer2], [self.layer3], [self.layer4]]

    def forward(self, image: Tensor) -> list[Tensor]:
        """B, C, *S to the four maps, finest first."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))  # B, width, *S / 4
        found = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)  # B, widths[i], *S / strides[i]
            found.append(x)
        return found


class ResNet18(ResNet):
    """Two basic blocks a stage."""


class ResNet34(ResNet):
    """Three, four, six and three basic blocks."""

    depths = (3, 4, 6, 3)


class ResNet50(ResNet):
    """Three, four, six and three bottlenecks."""

    block = Bottleneck
    depths = (3, 4, 6, 3)


def _conv(
    in_channels: int, width: int, ndim: int, kernel: int, stride: int = 1, dilation: int = 1
) -> nn.Module:
    padding = dilation * (kernel // 2)
    return CONVOLUTIONS[ndim](in_channels, width, kernel, stride, padding, dilation, bias=False)


def _shortcut(in_channels: int, width: int, ndim: int, stride: int, kind: Norm) -> nn.Module | None:
    if stride == 1 and in_channels == width:
        return None
    return nn.Sequential(_conv(in_channels, width, ndim, 1, stride), make_norm(kind, width, ndim))
