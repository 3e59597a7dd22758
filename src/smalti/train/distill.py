"""What a network learns from another: its planes where people labelled nothing, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from ..errors import InputError
from ..postprocess.planes import Planes
from .losses import sampled

Teacher = Callable[[torch.Tensor], torch.Tensor]
"""From a batch (B, C, *S) float32 to its planes as ``Planes.activated`` gives them, (B, P, *S)."""


@dataclass(frozen=True)
class Distillation:
    """The loss of a student's planes beside those of a ``teacher``, which sees the same images.

    ``temperature`` and ``others``, what planes other than classes count, are as in ``distillation_loss``.
    """

    teacher: Teacher
    planes: Planes
    temperature: float = 2.0
    others: float = 1.0

    def __call__(
        self, image: torch.Tensor, output: torch.Tensor | Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of the student's ``output`` for ``image`` (B, C, *S), and its parts; of several maps the finest."""
        student = output if isinstance(output, torch.Tensor) else output[0]
        with torch.no_grad():
            taught = self.teacher(image.to(torch.float32)).to(student.device)
        return distillation_loss(
            student, taught, self.planes, temperature=self.temperature, others=self.others
        )


def distillation_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    planes: Planes,
    *,
    temperature: float = 2.0,
    others: float = 1.0,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """How far a student is from its teacher, and what each part adds, detached: ``classes``, ``heat`` and so on.

    ``student`` (B, P, *S) is what the network gives; ``teacher`` (B, P, *S') is activated: probabilities of the
    classes, heat and depth from 0 to 1, offsets in pixels. Pixels that nobody labelled teach like all others.

    Classes (Hinton et al. 2015): the mean over pixels of the divergence KL(teacher || student), both at
    ``temperature`` T, times T squared so that the gradient's size does not depend on T. Logits that are softened are
    the logarithms of the probabilities. Above 1, what the teacher takes for less likely says more. Other planes: the
    mean square of the difference once activated, times ``others``; offsets in their unit, and as they mean nothing
    outside objects, weighted by how likely the teacher finds a pixel to be no background.

    A teacher's map of another size is read at the nearest pixels. Raises ``InputError`` for planes that do not fit.
    """
    if student.ndim != teacher.ndim or not student.shape[1] == teacher.shape[1] == len(planes):
        raise InputError(
            f"student and teacher must have {len(planes)} planes ({', '.join(planes.names)}), "
            f"got {tuple(student.shape)} and {tuple(teacher.shape)}"
        )
    if temperature <= 0:
        raise InputError(f"temperature must be above 0, got {temperature}")
    with torch.autocast(student.device.type, enabled=False):
        kind = torch.promote_types(student.dtype, torch.float32)
        student = student.to(kind)
        teacher = sampled(teacher, student.shape[2:]).to(kind)
        parts = {"classes": _divergence(student[:, planes.classes], teacher[:, planes.classes], temperature)}
        if planes.heat is not None:
            heat = torch.sigmoid(student[:, planes.heat])
            parts["heat"] = others * functional.mse_loss(heat, teacher[:, planes.heat])
        if planes.offsets is not None:
            off = student[:, planes.offsets] - teacher[:, planes.offsets] / planes.offset_unit_px
            parts["offsets"] = others * _mean_in_objects(off.square().mean(1), teacher, planes)
        if planes.distance_at is not None:
            depth = torch.sigmoid(student[:, planes.distance_at])
            parts["distance"] = others * functional.mse_loss(depth, teacher[:, planes.distance_at])
    total = torch.stack(list(parts.values())).sum()
    return total, {name: part.detach() for name, part in parts.items()}


def _divergence(logits: torch.Tensor, probabilities: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over pixels of KL(teacher || student) * T ** 2, both (B, K, *S)."""
    floor = torch.finfo(torch.float32).tiny  # what underflowed to 0 has no logarithm
    log_taught = functional.log_softmax(probabilities.clamp_min(floor).log() / temperature, dim=1)
    log_said = functional.log_softmax(logits / temperature, dim=1)
    each = functional.kl_div(log_said, log_taught, reduction="sum", log_target=True)
    return each * (temperature**2 / max(1, logits[:, 0].numel()))


def _mean_in_objects(values: torch.Tensor, teacher: torch.Tensor, planes: Planes) -> torch.Tensor:
    ids = planes.targets.class_ids
    weight = 1 - teacher[:, ids.index(0)] if 0 in ids else torch.ones_like(values)
    return (values * weight).sum() / weight.sum().clamp_min(torch.finfo(values.dtype).tiny)
