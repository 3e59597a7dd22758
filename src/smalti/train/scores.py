"""Logits beside their target: the one softmax that all losses of classes read, and its gradient.

Letters: B images, K targets, *S the image's axes (H, W or D, H, W), N pixels of an image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from ..errors import InputError
from ..postprocess.targets import UNLABELLED


class Scores:
    """Logits (B, K, *S) beside their target (B, *S) int64, -1 where nobody said; the softmax is made once.

    Every loss here takes ``Scores`` in place of logits, so that the terms of a sum share them. What an unlabelled
    pixel has for logits changes nothing, and its gradient is 0. Half precision is brought to float32 first, autocast
    or not: a sum of 65,536 probabilities in bfloat16 has three digits at best.

    The losses read three things: ``log_own`` (B, N), the logarithm of the probability of each pixel's own class;
    ``sums`` (B, K), the probability of each class summed over an image; ``probabilities`` (B, K, N) themselves. All
    are 0 of what is unlabelled. Raises ``InputError`` for shapes or types that do not fit.
    """

    def __init__(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        if logits.ndim < 3 or target.shape != (logits.shape[0], *logits.shape[2:]):
            raise InputError(
                "logits must be (B, K, *S) and their target (B, *S), "
                f"got {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        if target.dtype != torch.int64 or not logits.is_floating_point():
            raise InputError(
                f"logits must be floats and their target int64, got {logits.dtype} and {target.dtype}"
            )
        # Of a GPU the answer would be waited for, and there the gather below stops the program itself.
        if target.device.type == "cpu" and target.numel() and int(target.max()) >= logits.shape[1]:
            raise InputError(
                f"the target names class {int(target.max())}, but there are logits of {logits.shape[1]}, "
                f"0 to {logits.shape[1] - 1}"
            )
        self.logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        self.target = target
        flat = target.flatten(1)
        self.labelled = flat > UNLABELLED  # B, N
        self.own = flat.clamp_min(0)  # B, N
        with torch.autocast(logits.device.type, enabled=False):
            self.log_own, self.sums, self.probabilities = _Softmax.apply(self.logits, self.own, self.labelled)

    @classmethod
    def of(cls, logits: torch.Tensor | Scores, target: torch.Tensor) -> Scores:
        """Those of the logits, or the ``Scores`` themselves where they are given."""
        return logits if isinstance(logits, Scores) else cls(logits, target)

    @property
    def classes(self) -> int:
        """K."""
        return self.logits.shape[1]

    def per_class(self, values: torch.Tensor) -> torch.Tensor:
        """Sums (B, K) of ``values`` (B, N) over the pixels of each class; those of unlabelled ones must be 0."""
        images = len(values)
        first = self.classes * torch.arange(images, device=values.device)[:, None]
        # One after the other, half a million float32 lose three digits.
        sums = torch.zeros(images * self.classes, dtype=wide(values), device=values.device)
        sums = sums.scatter_add(0, (self.own + first).flatten(), values.flatten().to(sums.dtype))
        return sums.view(images, self.classes).to(self.sums.dtype)

    def weights(self, class_weights: torch.Tensor | None) -> torch.Tensor:
        """``class_weights`` (K,) as they are computed with, ones for None. Raises ``InputError`` for another number."""
        if class_weights is None:
            return self.sums.new_ones(self.classes)
        if class_weights.shape != (self.classes,):
            raise InputError(
                f"class_weights must be one per class, {self.classes}, got {tuple(class_weights.shape)}"
            )
        return class_weights.to(self.sums)

    def pixel_weights(self, class_weights: torch.Tensor | None) -> torch.Tensor:
        """The weight (B, N) of each pixel's own class, 0 where it is unlabelled."""
        if class_weights is None:
            return self.labelled.to(self.sums.dtype)
        return self.weights(class_weights)[self.own] * self.labelled


class _Softmax(torch.autograd.Function):
    """The three tensors of ``Scores``, and the gradient of all at once.

    Nothing of the size of the logits is kept but the softmax, and no target is made one-hot. Forth and back,
    cross-entropy and Dice of 8 x 12 x 256 x 256 channels-last logits take 59 ms together on one core (AVX2); torch's
    cross-entropy alone takes 45 ms, Dice by one-hot targets 90 ms. Arrays are plane by plane, as torch's softmax over
    channels gives them whether or not channels are last.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, own: torch.Tensor, labelled: torch.Tensor) -> Any:
        log = functional.log_softmax(logits.detach(), dim=1).flatten(2)  # B, K, N
        log_own = log.gather(1, own[:, None])[:, 0].masked_fill_(~labelled, 0)  # B, N
        # 7x faster than filling where a mask says
        probabilities = log.exp_().mul_(labelled[:, None].to(log.dtype))
        ctx.save_for_backward(probabilities, own, labelled)
        ctx.set_materialize_grads(False)
        ctx.size = logits.shape[2:]
        return log_own, probabilities.sum(2), probabilities

    @staticmethod
    def backward(ctx: Any, of_log: Any, of_sums: Any, of_each: Any) -> Any:
        # With p the softmax: d log p_own / d z_k = [k = own] - p_k, and d p_j / d z_k = p_j ([j = k] - p_k).
        p, own, labelled = ctx.saved_tensors
        along = p.new_zeros(len(p), 1, p.shape[2])  # what every class of a pixel is moved by, B, 1, N
        if of_log is not None:
            of_log = (of_log * labelled)[:, None]
            along -= of_log
        if of_sums is not None:
            along -= torch.bmm(of_sums[:, None], p)
        if of_each is not None:
            along -= (p * of_each).sum(1, keepdim=True)
        gradient = p * along
        if of_sums is not None:
            gradient.addcmul_(p, of_sums[..., None])
        if of_each is not None:
            gradient.addcmul_(p, of_each)
        if of_log is not None:
            gradient.scatter_add_(1, own[:, None], of_log)
        return gradient.unflatten(2, ctx.size), None, None


def wide(values: torch.Tensor) -> torch.dtype:
    """What to sum many of them in; Apple's GPUs have no float64."""
    return torch.float32 if values.device.type == "mps" else torch.float64
