"""How wrong the classes of pixels are: from the likelihood of each pixel's own class, or from overlaps of classes.

Letters: B images, K targets, *S the image's axes (H, W or D, H, W), N pixels of an image.
"""

from __future__ import annotations

import numpy as np
import torch

from ..errors import InputError
from ..postprocess.flooding import edge_distance
from ..postprocess.targets import UNLABELLED
from .scores import Scores, wide


def cross_entropy(
    logits: torch.Tensor | Scores,
    target: torch.Tensor,
    class_weights: torch.Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    hardest: float = 1.0,
) -> torch.Tensor:
    """Mean of -log of the probability of each labelled pixel's class, weighted by its class.

    ``label_smoothing`` is the share of a pixel's target that is spread over all K classes (Szegedy et al. 2016).
    ``hardest`` is the share of the batch's labelled pixels, those of the largest loss, that count (online hard
    example mining, Shrivastava et al. 2016; of pixels, Wu et al. 2016): at least one, all of them by default.
    0 where nothing is labelled.
    """
    if not 0 <= label_smoothing < 1 or not 0 < hardest <= 1:
        raise InputError(
            "label_smoothing must be from 0 to below 1 and hardest above 0 to 1, "
            f"got {label_smoothing} and {hardest}"
        )
    scores = Scores.of(logits, target)
    weights = scores.pixel_weights(class_weights)
    losses = -scores.log_own * weights
    if label_smoothing:
        of_class = scores.weights(class_weights)
        planes = scores.logits.flatten(2)
        # -sum_k w_k log p_k, as log p_k = z_k - (z_own - log p_own)
        own = planes.gather(1, scores.own[:, None])[:, 0]
        spread = (own - scores.log_own) * of_class.sum() - (planes * of_class[:, None]).sum(1)
        spread = torch.where(scores.labelled, spread, 0)
        losses = (1 - label_smoothing) * losses + label_smoothing / scores.classes * spread
    if hardest < 1:
        count = int(scores.labelled.sum())
        if count:
            kept = losses.detach().masked_fill(~scores.labelled, -torch.inf).flatten()
            chosen = kept.topk(max(1, round(hardest * count)), sorted=False).indices
            losses, weights = losses.flatten()[chosen], weights.flatten()[chosen]
    return _over(losses.sum(), weights.sum())


def focal(
    logits: torch.Tensor | Scores,
    target: torch.Tensor,
    class_weights: torch.Tensor | None = None,
    *,
    gamma: float = 2.0,
) -> torch.Tensor:
    """Cross-entropy in which a pixel of probability p counts (1 - p) ** ``gamma`` (Lin et al. 2017, eq. 5).

    Easy pixels hardly matter so; ``gamma`` 0 is cross-entropy. Lin's alpha are the ``class_weights``. The mean is over
    the weights of all labelled pixels, however easy.
    """
    if gamma < 0:
        raise InputError(f"gamma must be 0 or more, got {gamma}")
    scores = Scores.of(logits, target)
    weights = scores.pixel_weights(class_weights)
    wrong = -torch.expm1(scores.log_own)
    if gamma < 1:
        wrong = wrong.clamp_min(1e-7)  # the slope of a root at 0 is infinite
    hard = wrong**gamma
    return _over((-scores.log_own * hard * weights).sum(), weights.sum())


def dice(
    logits: torch.Tensor | Scores,
    target: torch.Tensor,
    class_weights: torch.Tensor | None = None,
    *,
    per_image: bool = False,
    background: bool = True,
    absent: bool = False,
    smooth_px: float = 1.0,
) -> torch.Tensor:
    """1 - the mean over classes of the soft Dice (2 sum(p t) + s) / (sum(p) + sum(t) + s), s = ``smooth_px``.

    p are probabilities, t is 1 at pixels of the class (Milletari et al. 2016, without their squares; Drozdzal et al.
    2016). The sums are over the labelled pixels of the whole batch, or of each image with ``per_image``, which small
    objects in small crops make noisy. ``background`` False leaves target 0 out. A class that truth does not have has
    nothing to overlap with and is left out; with ``absent`` it counts, too, as s / (sum(p) + s), which pushes its
    last probabilities away hard. ``class_weights`` weigh the mean. 0 where no class counts.
    """
    scores = Scores.of(logits, target)
    own, predicted, truth = _overlaps(scores, per_image)
    found = (2 * own + smooth_px) / (predicted + truth + smooth_px)
    return _mean_of_classes(1 - found, truth, scores.weights(class_weights), background, absent)


def tversky(
    logits: torch.Tensor | Scores,
    target: torch.Tensor,
    class_weights: torch.Tensor | None = None,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    per_image: bool = False,
    background: bool = True,
    absent: bool = False,
    smooth_px: float = 1.0,
) -> torch.Tensor:
    """The mean over classes of (1 - TP / (TP + ``alpha`` FP + ``beta`` FN)) ** ``gamma`` in soft counts of pixels.

    Salehi et al. (2017), who found 0.3 and 0.7 best for small lesions: what is missed costs more than what is too
    much; 0.5 and 0.5 are Dice. Abraham & Khan (2019) take ``gamma`` 0.75 (1 over their 4/3) for small structures.
    The rest is as in ``dice``.
    """
    if min(alpha, beta) < 0 or alpha + beta <= 0 or gamma <= 0:
        raise InputError(
            "alpha and beta must be 0 or more, not both 0, and gamma above 0, "
            f"got {alpha}, {beta} and {gamma}"
        )
    scores = Scores.of(logits, target)
    own, predicted, truth = _overlaps(scores, per_image)
    costs = alpha * (predicted - own) + beta * (truth - own)
    lost = 1 - (own + smooth_px) / (own + costs + smooth_px)
    if gamma != 1:
        lost = lost.clamp_min(1e-7) ** gamma  # the slope of a root at 0 is infinite
    return _mean_of_classes(lost, truth, scores.weights(class_weights), background, absent)


def lovasz(
    logits: torch.Tensor | Scores,
    target: torch.Tensor,
    class_weights: torch.Tensor | None = None,
    *,
    per_image: bool = False,
    background: bool = True,
    absent: bool = False,
) -> torch.Tensor:
    """The mean over classes of the Lovász extension of the Jaccard loss, 1 - IoU (Berman et al. 2018, eq. 11).

    Its value at hard predictions is 1 - IoU itself, so it follows mIoU where cross-entropy follows accuracy; the paper
    uses it beside or after that. Each class's errors of a batch are sorted: 0.3 s for 8 x 12 x 256 x 256 logits on
    one core, six times cross-entropy. The options are as in ``dice``.
    """
    scores = Scores.of(logits, target)
    p = scores.probabilities
    with torch.no_grad():
        truth = scores.per_class(scores.labelled.to(p.dtype))  # B, K
        groups = [slice(i, i + 1) for i in range(len(p))] if per_image else [slice(None)]
        weights = scores.weights(class_weights)
        shares = torch.stack([_counted(truth[group].sum(0), weights, background, absent) for group in groups])
        total = shares.sum()
        slope = torch.zeros_like(p)  # of the loss by each probability: the sum of their products is the loss
        offset = p.new_zeros(())
        for group, of_group in zip(groups, shares.tolist(), strict=True):
            for k in range(scores.classes):
                if of_group[k]:
                    is_class = (scores.own[group] == k) & scores.labelled[group]
                    error = torch.where(is_class, 1 - p[group, k], p[group, k])
                    steps = _jaccard_steps(error, is_class, scores.labelled[group]) * of_group[k]
                    slope[group, k] = torch.where(is_class, -steps, steps)
                    offset += (steps * is_class).sum()  # the error of those is 1 - p
    return _over((p * slope).sum() + offset, total)


def _jaccard_steps(error: torch.Tensor, is_class: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """What each pixel adds to 1 - IoU when pixels turn wrong in the order of their error, largest first.

    All are (B, N). Unlabelled pixels come last, where they change nothing of the others, and are 0.
    """
    error = error.masked_fill(~labelled, -1).flatten()
    is_class = is_class.flatten()
    order = _falling(error)
    hits = is_class.gather(0, order).to(torch.int64).cumsum(0)
    place = torch.arange(1, len(hits) + 1, device=hits.device)
    truth = hits[-1]
    # In whole numbers up to the division, as float32 would not tell a volume's pixels apart.
    loss = 1 - (truth - hits) / (truth + place - hits).to(wide(error))
    steps = torch.diff(loss, prepend=loss.new_zeros(1)).to(error.dtype)
    return torch.empty_like(error).scatter_(0, order, steps).view(labelled.shape).masked_fill_(~labelled, 0)


def _falling(values: torch.Tensor) -> torch.Tensor:
    """The order (N,) int64 in which ``values`` (N,), from 0 on or -1, fall, equal ones by their place."""
    if values.device.type != "cpu" or values.dtype != torch.float32 or len(values) >= 2**31:
        return values.sort(descending=True, stable=True).indices
    # The bits of floats from 0 on rise with them. NumPy sorts value and place in one int64 in 7 ms for half a
    # million, torch the two apart in 51 ms (one core with AVX2).
    keys = -values.numpy().view(np.int32).astype(np.int64) << 32 | np.arange(len(values))
    keys.sort()
    return torch.from_numpy(keys & 0xFFFFFFFF)


def boundary(
    logits: torch.Tensor | Scores,
    target: torch.Tensor,
    class_weights: torch.Tensor | None = None,
    *,
    distances: torch.Tensor | None = None,
    background: bool = True,
) -> torch.Tensor:
    """Mean over labelled pixels of the probability put at wrong places times its distance to where it belongs.

    Kervadec et al. (2019), eq. 5: sum_k (p_k - t_k) phi_k, phi_k (``distances``, (B, K, *S)) the signed distance to
    the edge of class k, negative inside, as ``signed_distances`` gives it; made of the target where it is not given,
    which takes longer than a network's step and belongs into the threads that prepare batches. With t_k, which
    changes no gradient, a perfect prediction gives 0. Far from edges its slope is steep and says nothing about which
    class is likely: use it beside another loss, "dice+0.1*boundary". ``class_weights`` weigh the classes around a
    mean of 1; ``background`` False leaves target 0 out.
    """
    scores = Scores.of(logits, target)
    if distances is None:
        made = [signed_distances(one.cpu().numpy(), scores.classes) for one in scores.target]
        distances = torch.from_numpy(np.stack(made)).to(scores.target.device)
    if distances.shape != scores.logits.shape:
        raise InputError(
            f"distances must be {tuple(scores.logits.shape)} as the logits, got {tuple(distances.shape)}"
        )
    weights = scores.weights(class_weights)
    if not background:
        weights = weights * (torch.arange(len(weights), device=weights.device) > 0)
    weights = weights / weights.mean().clamp_min(torch.finfo(weights.dtype).tiny)
    phi = distances.to(scores.sums).flatten(2) * weights[:, None]  # B, K, N
    at_truth = phi.gather(1, scores.own[:, None])[:, 0] * scores.labelled
    total = (scores.probabilities * phi).sum() - at_truth.sum()
    return _over(total, scores.labelled.sum().to(total.dtype))


def signed_distances(target: np.ndarray, classes: int) -> np.ndarray:
    """Signed distance of each pixel to the edge of each class, negative inside, (K, *S) float32 from -1 to 1.

    ``target`` (*S,) integers, -1 = unlabelled. Each side is divided by its largest, as Ma et al. (2020) do, so that the
    size of the crop does not matter. An edge is where the class meets another, not where labels end. A class that
    is nowhere, or everywhere that is labelled, has no edge: 0.
    """
    unlabelled = target == UNLABELLED
    maps = np.zeros((classes, *target.shape), np.float32)
    for k in np.unique(target[~unlabelled]):
        inside, outside = target == k, (target != k) & ~unlabelled
        if outside.any():
            out, within = edge_distance(~inside), edge_distance(~outside)
            maps[k] = np.where(inside, -within / within[inside].max(), out / out[outside].max())
    return np.where(unlabelled, 0, maps).astype(np.float32, copy=False)


def _overlaps(scores: Scores, per_image: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of each class, (1 or B, K): its probability in its own pixels, that in all pixels, how many pixels it has."""
    # exp of 0 is 1 where nothing is labelled
    own = scores.per_class(scores.log_own.exp() * scores.labelled)
    predicted, truth = scores.sums, scores.per_class(scores.labelled.to(own.dtype))
    if per_image:
        return own, predicted, truth
    return own.sum(0, keepdim=True), predicted.sum(0, keepdim=True), truth.sum(0, keepdim=True)


def _counted(truth: torch.Tensor, weights: torch.Tensor, background: bool, absent: bool) -> torch.Tensor:
    """The weight of each class, 0 if it does not count, from how many pixels it has; a batch of void has none."""
    counted = truth.sum(-1, keepdim=True) > 0 if absent else truth > 0
    if not background:
        counted = counted & (torch.arange(len(weights), device=weights.device) > 0)
    return weights * counted


def _mean_of_classes(
    losses: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor, background: bool, absent: bool
) -> torch.Tensor:
    shares = _counted(truth, weights, background, absent)
    return _over((losses * shares).sum(), shares.sum())


def _over(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """``total`` / ``count``, and 0 with a gradient of 0 where the count is 0, as the total then is."""
    return total / torch.where(count > 0, count, 1)
