"""A light net for CPUs: fine detail and wide context on two paths that tell each other what they see.

Hong, Pan, Sun, Jia: Deep dual-resolution networks for real-time and accurate semantic segmentation of road scenes
(DDRNet), 2021, at half its slim width, for images of some hundred pixels a side: the deep path ends at a 32nd of the
size and not at a 64th, and the features are met once more with those at a quarter, as thin things need (Chen et al.,
DeepLabV3+, 2018). Letters: B images, C channels, H W size of the image, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from .blocks import ConvNorm, Residual, brought_to

POOLS = ((5, 2), (9, 4), (17, 8))
"""Kernel and stride of the means that the context is made of, beside that over the whole image."""

LEAST_WIDTH = 8
"""Of a width of 4 the backward pass wrote beyond its memory, channels last on a CPU (torch 2.13)."""


class Fast(nn.Module):
    """Features (B, 2 width, H / 4, W / 4), sizes rounded up; 2-D only.

    The cost grows nearly with the square of ``width``. With ``deep_supervision`` the fine path is
    supervised half way, too.
    """

    def __init__(
        self,
        in_channels: int,
        ndim: int = 2,
        width: int = 16,
        deep_supervision: bool = True,
    ) -> None:
        super().__init__()
        if ndim != 2:
            raise InputError(f"the net fast is for 2-D images, got {ndim} spatial axes; take unet or fcn")
        if width < LEAST_WIDTH:
            raise InputError(f"the net fast has a width of {LEAST_WIDTH} or more, got {width}")
        fine = 2 * width
        self.width = fine
        self.stride = 4
        self.widths = (fine, fine)
        self.deep_supervision = deep_supervision
        self.stem = nn.Sequential(
            ConvNorm(in_channels, width, 2, stride=2),
            ConvNorm(width, width, 2, stride=2),
            _stage(width, width),
        )
        self.shared = _stage(width, fine, 2)
        self.fine = nn.ModuleList(_stage(fine, fine) for _ in range(2))
        self.deep = nn.ModuleList([_stage(fine, 4 * width, 2), _stage(4 * width, 8 * width, 2)])
        self.to_fine = nn.ModuleList(
            ConvNorm(scale * width, fine, 2, kernel=1, active=False) for scale in (4, 8)
        )
        self.to_deep = nn.ModuleList(
            [
                ConvNorm(fine, 4 * width, 2, stride=2, active=False),
                nn.Sequential(
                    ConvNorm(fine, 4 * width, 2, stride=2),
                    ConvNorm(4 * width, 8 * width, 2, stride=2, active=False),
                ),
            ]
        )
        self.last_fine = Residual(fine, 4 * width, 2)
        self.last_deep = Residual(8 * width, 8 * width, 2)
        self.context = Context(8 * width, 4 * width, 4 * width)
        self.narrow = ConvNorm(4 * width, fine, 2, active=False)
        self.skip = ConvNorm(width, fine, 2, kernel=1, active=False)
        self.last = ConvNorm(fine, fine, 2)

    @property
    def stages(self) -> list[list[nn.Module]]:
        """What looks at the image, in its order."""
        both = zip(self.fine, self.deep, self.to_fine, self.to_deep, strict=True)
        last = [self.last_fine, self.last_deep, self.context]
        return [[self.stem], [self.shared], *(list(each) for each in both), last]

    def forward(self, image: Tensor) -> list[Tensor]:
        """B, C, H, W to the features; in training with deep supervision also those at an eighth half way."""
        quarter = self.stem(image)  # B, W, H / 4
        deep = fine = self.shared(quarter)  # B, 2 W, H / 8
        half_way = fine
        for number in range(2):
            deep, own = (
                self.deep[number](deep),
                self.fine[number](fine),
            )  # B, 4 W then 8 W, H / 16 then H / 32
            fine = functional.relu(own + brought_to(self.to_fine[number](deep), own.shape[2:]))
            down = self.to_deep[number](own)
            deep = functional.relu(deep + down)
            half_way = fine if number == 0 else half_way
        fine = self.last_fine(fine)  # B, 4 W, H / 8
        deep = self.context(self.last_deep(deep))  # B, 4 W, H / 32
        x = self.narrow(fine + brought_to(deep, fine.shape[2:]))  # B, 2 W, H / 8
        x = functional.relu(brought_to(x, quarter.shape[2:]) + self.skip(quarter))
        x = self.last(x)  # B, 2 W, H / 4
        return [x, half_way] if self.training and self.deep_supervision else [x]


class Context(nn.Module):
    """Means over ever larger surroundings, the wider ones told to the next: the paper's DAPPM."""

    def __init__(self, in_channels: int, middle: int, width: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            # the rim is no evidence: only pixels that are there are counted
            nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)
            for kernel, stride in POOLS
        )
        count = len(POOLS) + 2
        self.bring = nn.ModuleList(
            ConvNorm(in_channels, middle, 2, kernel=1, active=False) for _ in range(count)
        )
        self.process = nn.ModuleList(ConvNorm(middle, middle, 2) for _ in range(count - 1))
        self.join = ConvNorm(count * middle, width, 2, kernel=1, active=False)
        self.shortcut = ConvNorm(in_channels, width, 2, kernel=1, active=False)

    def forward(self, features: Tensor) -> Tensor:
        """B, in_channels, h, w to B, width, h, w."""
        size = features.shape[2:]
        whole = features.mean((2, 3), keepdim=True)  # B, in_channels, 1, 1
        found = [self.bring[0](features)]
        surroundings = [pool(features) for pool in self.pools] + [whole]
        for bring, process, pooled in zip(self.bring[1:], self.process, surroundings, strict=True):
            found.append(process(functional.relu(brought_to(bring(pooled), size) + found[-1])))
        return functional.relu(self.join(torch.cat(found, 1)) + self.shortcut(features))


def _stage(in_channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(Residual(in_channels, width, 2, stride), Residual(width, width, 2))
