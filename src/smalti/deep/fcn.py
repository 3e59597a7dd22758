"""FCN: the scores of coarse maps, brought to the size of finer ones and added to theirs.

Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, CVPR 2015, on any encoder and with
linear interpolation in place of learned upsampling. Letters: B images, C channels, *S spatial axes, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from .blocks import CONVOLUTIONS, ConvNorm, Norm, brought_to, check_ndim
from .encoders import make_encoder

FINEST = {32: 1, 16: 2, 8: 3}
"""Stride of the finest map that is added (the paper's FCN-32s, 16s and 8s), and how many maps then are."""


class Fcn(nn.Module):
    """Features (B, width, *S / finest), sizes rounded up. They are linear in each map, and a head is linear, so that
    adding features adds scores.

    ``encoder`` is a name of ``encoders.ENCODERS``, made with ``encoder_parameters``. ``dropout`` is that of features
    while training.
    """

    def __init__(
        self,
        in_channels: int,
        ndim: int = 2,
        encoder: str = "plain",
        finest: int = 8,
        width: int = 128,
        dropout: float = 0.0,
        norm: Norm = "batch",
        encoder_parameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_ndim(ndim)
        if finest not in FINEST:
            raise InputError(f"the finest map of an FCN is at stride 8, 16 or 32, got {finest}")
        self.width = width
        self.stride = finest
        self.encoder = make_encoder(encoder, in_channels, ndim, parameters=encoder_parameters)
        coarsest, *finer = self.encoder.widths[::-1][: FINEST[finest]]
        self.last = nn.Sequential(
            ConvNorm(coarsest, 2 * width, ndim, kind=norm),
            ConvNorm(2 * width, 2 * width, ndim, kernel=1, kind=norm),
        )
        self.drop = nn.Dropout(dropout)
        convolution = CONVOLUTIONS[ndim]
        self.scores = nn.ModuleList(convolution(each, width, 1) for each in (2 * width, *finer))

    @property
    def stages(self) -> list[list[nn.Module]]:
        """What looks at the image, in its order."""
        return self.encoder.stages

    def forward(self, image: Tensor) -> list[Tensor]:
        """B, C, *S to the features."""
        coarsest, *finer = self.encoder(image)[::-1]
        x = self.scores[0](self.drop(self.last(coarsest)))  # B, D, *S / 32
        for score, found in zip(self.scores[1:], finer, strict=False):
            x = brought_to(x, found.shape[2:]) + score(found)  # B, D, twice the size
        return [x]
