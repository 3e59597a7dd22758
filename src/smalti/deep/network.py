"""A net with its heads: from the image to the planes that a segmentation is decoded from.

Letters: B images, C channels, P planes, *S spatial axes.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from ..postprocess.planes import Planes
from .blocks import CONVOLUTIONS, brought_to


class SubPixels(nn.Module):
    """A linear head that says 2 x 2 (x 2) pixels of each feature: planes of twice the size, sharper than interpolated.

    Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network, CVPR (2016). It begins with all of them alike (Aitken et al., 2017): no chequered pattern to unlearn.
    """

    def __init__(self, width: int, num_planes: int, ndim: int) -> None:
        super().__init__()
        self.parts = 2**ndim
        self.linear = CONVOLUTIONS[ndim](width, num_planes * self.parts, 1)
        with torch.no_grad():
            for parameter in (self.linear.weight, self.linear.bias):
                alike = parameter.view(num_planes, self.parts, *parameter.shape[1:])
                alike.copy_(alike[:, :1].clone().expand_as(alike))

    def forward(self, features: Tensor) -> Tensor:
        """B, D, *S to B, P, *2S."""
        found = self.linear(features)  # B, P * 2 ** ndim, *S
        if features.ndim == 4:
            return nn.functional.pixel_shuffle(found, 2)
        batch, _, depth, height, width = found.shape
        found = found.reshape(batch, -1, 2, 2, 2, depth, height, width)
        found = found.permute(0, 1, 5, 2, 6, 3, 7, 4)  # B, P, D, 2, H, 2, W, 2
        return found.reshape(batch, found.shape[1], 2 * depth, 2 * height, 2 * width)


class Network(nn.Module):
    """Planes (B, P, *S) of an image (B, C, *S): the features of ``net`` through one head, at image size.

    In training a list of planes, each at the size of its features: the loss is taken where the net looked, and those
    of the finest are at image size. ``net`` gives a list of features, finest first, and says their ``width`` and
    ``stride``; where it gives several in training, ``widths`` has that of each, coarsest first. ``still`` names
    modules that stay as in prediction while the rest trains: a frozen part must neither gather statistics nor drop
    anything.
    """

    def __init__(self, net: nn.Module, num_planes: int, ndim: int) -> None:
        super().__init__()
        self.net = net
        coarser = net.widths[-2::-1] if getattr(net, "deep_supervision", False) else ()
        self.sub_pixels = net.stride % 2 == 0
        heads = [CONVOLUTIONS[ndim](width, num_planes, 1) for width in (net.width, *coarser)]
        if self.sub_pixels:
            heads[0] = SubPixels(net.width, num_planes, ndim)
        self.heads = nn.ModuleList(heads)
        self.still: tuple[str, ...] = ()

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """B, C, *S to B, P, *S, in training a list of such."""
        planes = [head(each) for head, each in zip(self.heads, self.net(image), strict=False)]
        if self.sub_pixels:
            # of the last row and column half is beyond the image where its size is odd
            step = self.net.stride // 2
            size = [(length + step - 1) // step for length in image.shape[2:]]
            planes[0] = planes[0][(..., *(slice(length) for length in size))]
        planes[0] = brought_to(planes[0], image.shape[2:])  # B, P, *S
        return planes if self.training else planes[0]

    def train(self, mode: bool = True) -> Self:
        """Into training or prediction, but for what is ``still``."""
        super().train(mode)
        for name in self.still:
            self.get_submodule(name).eval()
        return self


class Activated(nn.Module):
    """A network and, after it, what ``Planes.activated`` does: probabilities, heat, offsets in pixels and depth."""

    def __init__(self, network: nn.Module, planes: Planes) -> None:
        super().__init__()
        self.network = network
        self.planes = planes

    def forward(self, image: Tensor) -> Tensor:
        """B, C, *S to activated planes, B, P, *S."""
        found, planes = self.network(image), self.planes
        parts = [found[:, planes.classes].softmax(1)]
        if planes.heat is not None:
            parts.append(found[:, planes.heat : planes.heat + 1].sigmoid())
        if planes.offsets is not None:
            parts.append(found[:, planes.offsets] * planes.offset_unit_px)
        if planes.distance_at is not None:
            parts.append(found[:, planes.distance_at : planes.distance_at + 1].sigmoid())
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
