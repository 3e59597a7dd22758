"""The fitted network that a plan describes, before and after it has learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..classes import ClassSet
from ..deep.nets import describe_net
from ..deep.network import Activated
from ..deep.weights import weights_bytes
from ..postprocess.decode import BorderDecoding
from ..postprocess.planes import Planes
from ..runtime.engines import NETWORK, Torch
from ..runtime.export import export_network
from ..runtime.fitted import PLAN, WEIGHTS, FittedNetwork, Tiling, part_name
from ..runtime.preparation import Fixed, OfImage, Preparation
from .fingerprint import Fingerprint
from .plan import Plan

LEARNED_DEPTH = 2.0
"""What depth that was learned weighs beside the interior. Of nuclei (DSB 2018, 69 images not learned from) TP / (TP +
FP + FN) at IoU 0.5 was 0.70 to 0.72 with 0.5, 0.74 with 2 (four networks of 1,200 steps of 8 or 2,400 of 4 crops)."""


def planes_of(plan: Plan, found: Fingerprint, classes: ClassSet) -> Planes:
    """What the network of the plan tells of each pixel."""
    targets = found.targets(classes, plan.border_px)
    return Planes(targets, found.ndim, plan.objects == "centers", plan.distance, plan.offset_unit_px)


def preparation_of(plan: Plan) -> Preparation:
    """What the plan says of pixels before the network sees them."""
    normalization: Fixed | OfImage
    if plan.normalise == "fixed":
        low, high = (None, None) if plan.clip is None else zip(*plan.clip, strict=True)
        normalization = Fixed(mean=plan.mean, std=plan.std, low=low, high=high)
    elif plan.normalise == "percentiles":
        normalization = OfImage(
            by="percentiles", low=plan.percentiles[0], high=plan.percentiles[1], polarity=plan.polarity
        )
    else:
        normalization = OfImage(polarity=plan.polarity)
    unit = None if plan.spacing is None else plan.unit
    return Preparation(normalization=normalization, spacing=plan.spacing, unit=unit, factor=plan.scale)


def first_decoding(plan: Plan) -> BorderDecoding | None:
    """How objects are found until that is tuned on images not learned from; None for the way's own defaults."""
    if plan.objects == "border" and plan.distance:
        return BorderDecoding(distance_weight=LEARNED_DEPTH)
    return None


def tiling_of(plan: Plan) -> Tiling:
    """Tiles of a few crops, with halos of half a crop: the network has learned to see no further than one."""
    ndim = len(plan.crop_px)
    grid, tile = (64, 1024) if ndim == 2 else (32, 128)
    halo = tuple(max(grid, grid * math.ceil(length / 2 / grid)) for length in plan.crop_px)
    return Tiling((tile,) * ndim, halo)


def untrained(
    name: str, plan: Plan, found: Fingerprint, classes: ClassSet, preparation: Preparation
) -> FittedNetwork:
    """The fitted network of a plan but for its weights; see ``with_networks``."""
    planes = planes_of(plan, found, classes)
    return FittedNetwork(
        name,
        classes,
        plan.task,
        found.kind,
        planes,
        preparation,
        first_decoding(plan),
        np.ones(len(planes.targets)),
        tiling_of(plan),
        {},
        flips=tuple(sorted(found.axes.index(axis) for axis in plan.flips)),
    )


def with_networks(model: FittedNetwork, networks: Sequence[nn.Module]) -> FittedNetwork:
    """The model carried out by these networks in memory, on whatever device they are."""
    return replace(model, loaded=tuple(Torch(_OnDevice(each, model.planes).eval()) for each in networks))


class _OnDevice(nn.Module):
    """Activated planes on the processor, of a network that may be elsewhere."""

    def __init__(self, network: nn.Module, planes: Planes) -> None:
        super().__init__()
        self.activated = Activated(network, planes)

    def forward(self, image: Tensor) -> Tensor:
        """B, C, *S to B, P, *S."""
        device = next(self.activated.parameters()).device
        return self.activated(image.to(device)).cpu()


def exported(
    model: FittedNetwork, plan: Plan, networks: Sequence[nn.Module], report: Mapping[str, Any]
) -> FittedNetwork:
    """The model with the parts of its bundle: the plan, and each network as ONNX and as weights."""
    parts: dict[str, bytes] = {PLAN: plan.to_json().encode()}
    for number, network in enumerate(networks):
        network = network.cpu().to(memory_format=torch.contiguous_format)
        parts[part_name(NETWORK, number)] = export_network(
            network, model.planes, len(model.channels), model.factors
        )
        parts[part_name(WEIGHTS, number)] = weights_bytes(network)
    net = describe_net(plan.network, plan.network_settings)
    return replace(model, parts=parts, loaded=None, about={"net": net, "report": dict(report)})
