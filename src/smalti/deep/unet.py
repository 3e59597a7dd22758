"""U-Net: a contracting path and an expanding one that meet at every size.

Ronneberger, Fischer, Brox: U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015; in 3-D
Çiçek et al., MICCAI 2016; residual blocks as Isensee et al., nnU-Net revisited, MICCAI 2024; deep supervision as
Isensee et al., nnU-Net, Nature Methods 18 (2021). Letters: B images, C channels, *S spatial axes, W_i width of stage i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from .blocks import BLOCKS, MOST_BLOCKS, Block, ConvNorm, Norm, Stride, brought_to, check_ndim

MOST_STAGES = 12


class Unet(nn.Module):
    """Features (B, width, *S / stem stride); any size of image, as each map is brought to that of its partner.

    ``strides`` are those between stages, one number or one per axis each; there is one stage more. ``blocks`` is how
    many each stage of the contracting path has, the expanding one has one. ``stem_stride`` above 1 begins at a half
    or a quarter of the size. Stages at more than a quarter of the image's size are
    never ``separable``: there memory and not arithmetic takes the time.
    """

    def __init__(
        self,
        in_channels: int,
        ndim: int = 2,
        width: int = 32,
        max_width: int = 320,
        strides: Sequence[Stride] = (2, 2, 2, 2),
        stem_stride: int = 1,
        block: Block = "plain",
        blocks: int = 1,
        norm: Norm = "batch",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        check_ndim(ndim)
        if len(strides) > MOST_STAGES or not 1 <= blocks <= MOST_BLOCKS:
            raise InputError(
                f"a U-Net has up to {MOST_STAGES} strides and {MOST_BLOCKS} blocks a stage, "
                f"got {len(strides)} and {blocks}"
            )
        if stem_stride not in (1, 2, 4, 8):
            raise InputError(f"the stem of a U-Net strides by 1, 2, 4 or 8, got {stem_stride}")
        widths = [min(max_width, width * 2**stage) for stage in range(len(strides) + 1)]
        self.width = widths[0]
        self.stride = stem_stride
        self.deep_supervision = deep_supervision
        self.stem = nn.Sequential()
        channels = in_channels
        for _ in range(stem_stride.bit_length() - 1):
            self.stem.append(ConvNorm(channels, widths[0], ndim, stride=2, kind=norm))
            channels = widths[0]

        def stage(channels: int, width: int, number: int, stride: Stride, count: int) -> nn.Sequential:
            small = stem_stride * 2**number >= 4
            made = BLOCKS[block if small or block != "separable" else "plain"]
            return nn.Sequential(
                made(channels, width, ndim, stride, norm),
                *(made(width, width, ndim, 1, norm) for _ in range(count - 1)),
            )

        self.down = nn.ModuleList()
        for number, (width, stride) in enumerate(zip(widths, (1, *strides), strict=True)):
            self.down.append(stage(channels, width, number, stride, blocks))
            channels = width
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for number, width in reversed(list(enumerate(widths[:-1]))):
            self.narrow.append(ConvNorm(channels, width, ndim, kernel=1, kind=norm))
            self.up.append(stage(2 * width, width, number, 1, 1))
            channels = width
        self.widths = tuple(reversed(widths[:-1]))

    @property
    def stages(self) -> list[list[nn.Module]]:
        """What looks at the image, in its order: the contracting path."""
        return [[self.stem, self.down[0]], *([down] for down in self.down[1:])]

    def forward(self, image: Tensor) -> list[Tensor]:
        """B, C, *S to the features, finest first; coarser ones only in training with deep supervision."""
        x = self.stem(image)  # B, C or W_0, *S / stem stride
        skips = []
        for down in self.down:
            x = down(x)  # B, W_i, smaller by the stride
            skips.append(x)
        found = []
        for narrow, up, skip in zip(self.narrow, self.up, reversed(skips[:-1]), strict=True):
            x = brought_to(narrow(x), skip.shape[2:])  # B, W_i, as large as the skip
            x = up(torch.cat([skip, x], dim=1))
            found.append(x)
        if self.training and self.deep_supervision:
            return found[::-1]
        return [x]
