"""What a training makes small: the loss of the plan, and what a teacher says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from ..postprocess.planes import Planes
from ..runtime.fitted import FittedNetwork
from .distill import Distillation
from .fingerprint import Fingerprint
from .loop import Loss, Output
from .losses import PlanesLoss, class_weights_of, make_loss
from .plan import Plan


def objective(plan: Plan, found: Fingerprint, planes: Planes, teacher: FittedNetwork | None = None) -> Loss:
    """The loss that a plan asks for; with a ``teacher`` what it says counts as much as the truth does."""
    learn = PlanesLoss(planes, make_loss(plan.loss, class_weights(plan, found, planes)))
    distilled = None if teacher is None else Distillation(_asked(teacher), planes)

    def loss_of(
        image: Tensor, output: Output, targets: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss, parts = learn(output, targets)
        if distilled is None:
            return loss, parts
        more, taught = distilled(image, output)
        return loss + more, {**parts, **{f"teacher {name}": part for name, part in taught.items()}}

    return loss_of


def class_weights(plan: Plan, found: Fingerprint, planes: Planes) -> np.ndarray | None:
    """What a pixel of each target counts; the border, whose pixels nobody counted, as much as the rarest class."""
    if plan.class_weights == "none":
        return None
    shares = {each.id: each.pixel_share for each in found.classes} | {0: found.background_share}
    counts = np.array([shares.get(class_id, 0.0) for class_id in planes.targets.class_ids])
    counts[counts == 0] = counts[counts > 0].min()
    return class_weights_of(counts * found.total_px, plan.class_weights)


def _asked(teacher: FittedNetwork) -> Callable[[Tensor], Tensor]:
    def ask(image: Tensor) -> Tensor:
        return torch.from_numpy(teacher.run(image.detach().float().cpu().contiguous().numpy()))

    return ask
