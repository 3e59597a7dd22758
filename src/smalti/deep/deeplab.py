"""DeepLabV3+: surroundings seen at several spacings at once, then a finer map for the outlines.

Chen, Zhu, Papandreou, Schroff, Adam: Encoder-decoder with atrous separable convolution for semantic image
segmentation, ECCV 2018. Letters: B images, C channels, H W size of the image, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from .blocks import ConvNorm, brought_to
from .encoders import make_encoder


class DeepLab(nn.Module):
    """Features (B, width, H / 4, W / 4), sizes rounded up; 2-D only.

    ``encoder`` is a name of ``encoders.ENCODERS``, made with ``encoder_parameters``; its last map is at
    ``output_stride``, with None wherever the encoder ends. ``rates`` are the spacings at a 16th of the size.
    """

    def __init__(
        self,
        in_channels: int,
        ndim: int = 2,
        encoder: str = "resnet18",
        output_stride: int | None = 16,
        width: int = 128,
        rates: Sequence[int] = (6, 12, 18),
        skip_width: int = 48,
        dropout: float = 0.1,
        encoder_parameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if ndim != 2:
            raise InputError(f"the net deeplab is for 2-D images, got {ndim} spatial axes; take unet or fcn")
        self.width = width
        self.stride = 4
        self.encoder = make_encoder(encoder, in_channels, 2, output_stride, encoder_parameters)
        spaced = [max(1, rate * 16 // self.encoder.strides[-1]) for rate in rates]
        self.pyramid = Pyramid(self.encoder.widths[-1], width, spaced, dropout)
        self.skip = ConvNorm(self.encoder.widths[0], skip_width, 2, kernel=1)
        self.decode = nn.Sequential(separable(width + skip_width, width), separable(width, width))

    @property
    def stages(self) -> list[list[nn.Module]]:
        """What looks at the image, in its order."""
        return self.encoder.stages

    def forward(self, image: Tensor) -> list[Tensor]:
        """B, C, H, W to the features."""
        finest, *_, coarsest = self.encoder(image)
        x = self.pyramid(coarsest)  # B, D, H / 16
        x = brought_to(x, finest.shape[2:])  # B, D, H / 4
        return [self.decode(torch.cat([x, self.skip(finest)], 1))]


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: each pixel, its surroundings at several spacings, and the whole image."""

    def __init__(self, in_channels: int, width: int, rates: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.near = nn.ModuleList(
            [
                ConvNorm(in_channels, width, 2, kernel=1),
                *(separable(in_channels, width, dilation) for dilation in rates),
            ]
        )
        self.whole = ConvNorm(in_channels, width, 2, kernel=1)
        self.join = nn.Sequential(ConvNorm((len(rates) + 2) * width, width, 2, kernel=1), nn.Dropout(dropout))

    def forward(self, features: Tensor) -> Tensor:
        """B, in_channels, h, w to B, width, h, w."""
        found = [near(features) for near in self.near]
        whole = self.whole(features.mean((2, 3), keepdim=True))  # B, D, 1, 1
        return self.join(torch.cat([*found, brought_to(whole, features.shape[2:])], 1))


def separable(in_channels: int, width: int, dilation: int = 1) -> nn.Sequential:
    """A look at the surroundings of each channel by itself, then one at all channels of a pixel."""
    return nn.Sequential(
        ConvNorm(in_channels, in_channels, 2, dilation=dilation, groups=in_channels),
        ConvNorm(in_channels, width, 2, kernel=1),
    )
