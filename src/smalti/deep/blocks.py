"""What nets are set from: convolutions with their normalisation, in 2-D and 3-D, and bringing maps to a size.

Letters: B images, C channels, *S spatial axes (H W or D H W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError, SmaltiError

Norm = Literal["batch", "instance"]
Block = Literal["plain", "residual", "separable"]
Stride = int | tuple[int, ...]

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    def forward(self, features: Tensor) -> Tensor:
        if self.training and features.shape[0] * features.shape[2:].numel() == 1:
            # one value has no variance: a map of one pixel in a batch of one is normalised as in prediction
            return functional.batch_norm(
                features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(features)


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """Over the batch; one pixel in a batch of one is normalised by the running statistics."""


class BatchNorm3d(_BatchNorm, nn.BatchNorm3d):
    """The same of volumes."""


class _InstanceNorm(nn.modules.instancenorm._InstanceNorm):
    def forward(self, features: Tensor) -> Tensor:
        # functional.instance_norm refuses maps of one pixel, which tiny images come to; they are normalised to zero
        return torch.instance_norm(
            features, self.weight, self.bias, None, None, True, self.momentum, self.eps, False
        )


class InstanceNorm2d(_InstanceNorm, nn.InstanceNorm2d):
    """Over each image by itself; a map of one pixel gives the bias."""


class InstanceNorm3d(_InstanceNorm, nn.InstanceNorm3d):
    """The same of volumes."""


NORMS = {
    ("batch", 2): BatchNorm2d,
    ("batch", 3): BatchNorm3d,
    ("instance", 2): InstanceNorm2d,
    ("instance", 3): InstanceNorm3d,
}
INTERPOLATIONS = {2: "bilinear", 3: "trilinear"}


MOST_BLOCKS = 64
"""Most blocks of a stage: a number in a file is no reason to make modules without end."""


def made_of(what: str, made: Callable[..., nn.Module], *arguments: Any, **parameters: Any) -> nn.Module:
    """A module of plain values. Raises ``InputError`` that begins with ``what`` for those it cannot be made with."""
    try:
        return made(*arguments, **parameters)
    except SmaltiError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise InputError(f"{what}: {error}") from error


def check_ndim(ndim: int) -> None:
    """Raise ``InputError`` unless there are two or three spatial axes."""
    if ndim not in CONVOLUTIONS:
        raise InputError(f"a net works on 2 or 3 spatial axes, got {ndim}")


def per_axis(value: Stride, ndim: int) -> tuple[int, ...]:
    """One number for each axis."""
    values = (value,) * ndim if isinstance(value, int) else tuple(value)
    if len(values) != ndim:
        raise InputError(f"a stride is one number or {ndim}, one per axis, got {values}")
    return values


def norm(kind: Norm, width: int, ndim: int) -> nn.Module:
    """The normalisation of ``width`` channels: over the batch, or over each image by itself."""
    if (kind, ndim) not in NORMS or width < 1:
        raise InputError(f"a norm is batch or instance, of at least one channel, got {kind} of {width}")
    return NORMS[kind, ndim](width, affine=True)


class ConvNorm(nn.Sequential):
    """Convolution, normalisation and, unless ``active`` is false, ReLU; at stride 1 the size stays."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        ndim: int,
        *,
        kernel: Stride = 3,
        stride: Stride = 1,
        dilation: int = 1,
        groups: int = 1,
        kind: Norm = "batch",
        active: bool = True,
    ) -> None:
        kernel = per_axis(kernel, ndim)
        padding = tuple(dilation * (length // 2) for length in kernel)
        layers: list[nn.Module] = [
            CONVOLUTIONS[ndim](
                in_channels,
                width,
                kernel,
                per_axis(stride, ndim),
                padding,
                dilation,
                groups,
                bias=False,
            ),
            norm(kind, width, ndim),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if active else []))


class Plain(nn.Sequential):
    """Two convolutions (Ronneberger et al., U-Net, 2015), with a normalisation after each."""

    def __init__(
        self, in_channels: int, width: int, ndim: int, stride: Stride = 1, kind: Norm = "batch"
    ) -> None:
        super().__init__(
            ConvNorm(in_channels, width, ndim, stride=stride, kind=kind),
            ConvNorm(width, width, ndim, kind=kind),
        )


class Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al., Deep residual learning, 2016)."""

    def __init__(
        self, in_channels: int, width: int, ndim: int, stride: Stride = 1, kind: Norm = "batch"
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(in_channels, width, ndim, stride=stride, kind=kind),
            ConvNorm(width, width, ndim, kind=kind, active=False),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != width or max(per_axis(stride, ndim)) > 1:
            self.shortcut = ConvNorm(
                in_channels, width, ndim, kernel=1, stride=stride, kind=kind, active=False
            )

    def forward(self, features: Tensor) -> Tensor:
        """B, in_channels, *S to B, width, *S / stride."""
        return functional.relu(self.body(features) + self.shortcut(features))


class Separable(nn.Module):
    """A wide look at each channel by itself, then two mixes of all channels, beside a shortcut.

    The order of Liu et al., A ConvNet for the 2020s (2022), with normalisations that an export folds into the
    convolutions. On CPUs it takes a half to a sixth of the time of two dense convolutions of the same width.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        ndim: int,
        stride: Stride = 1,
        kind: Norm = "batch",
        *,
        kernel: int = 5,
        expansion: int = 3,
    ) -> None:
        super().__init__()
        same = in_channels == width and max(per_axis(stride, ndim)) == 1
        self.bring: nn.Module = nn.Identity()
        if not same:
            self.bring = ConvNorm(
                in_channels, width, ndim, kernel=stride_kernel(stride, ndim), stride=stride, kind=kind
            )
        self.body = nn.Sequential(
            ConvNorm(width, width, ndim, kernel=kernel, groups=width, kind=kind, active=False),
            ConvNorm(width, expansion * width, ndim, kernel=1, kind=kind),
            ConvNorm(expansion * width, width, ndim, kernel=1, kind=kind, active=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """B, in_channels, *S to B, width, *S / stride."""
        features = self.bring(features)
        return features + self.body(features)


BLOCKS: dict[str, type[nn.Module]] = {"plain": Plain, "residual": Residual, "separable": Separable}


def stride_kernel(stride: Stride, ndim: int) -> tuple[int, ...]:
    """Kernel of a convolution that makes maps smaller: 3 along the axes it strides over, else 1."""
    return tuple(3 if step > 1 else 1 for step in per_axis(stride, ndim))


def brought_to(features: Tensor, size: Sequence[int]) -> Tensor:
    """The maps (B, C, *S) interpolated linearly to another size, corners of pixels on corners."""
    mode = INTERPOLATIONS[features.ndim - 2]
    return functional.interpolate(features, size=tuple(size), mode=mode, align_corners=False)
