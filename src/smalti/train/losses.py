"""What training makes small: losses of the classes by name and in sums, of the other planes, and of all together."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional

from ..errors import InputError, unknown_name
from ..postprocess.planes import Planes
from ..postprocess.targets import UNLABELLED
from . import pixel_losses
from .scores import Scores

LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "cross-entropy": pixel_losses.cross_entropy,
    "dice": pixel_losses.dice,
    "focal": pixel_losses.focal,
    "lovasz": pixel_losses.lovasz,
    "tversky": pixel_losses.tversky,
    "boundary": pixel_losses.boundary,
}
"""Functions of logits (B, K, *S), target (B, *S) int64 with -1 where nobody said, class weights and options."""

OVERLAPS = ("dice", "lovasz", "tversky")
"""Those in which each class counts alike, however few pixels it has: class weights are for the others. Given to these,
too, they would leave nothing against finding a rare class everywhere."""

Spec = str | Mapping[str, float | Mapping[str, Any]]
Balance = Literal["none", "inverse", "sqrt", "effective", "enet"]


@dataclass(frozen=True)
class Term:
    """One of ``LOSSES`` with what it counts in the sum and its options."""

    name: str
    weight: float = 1.0
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Loss:
    """A weighted sum of losses of the classes; see ``make_loss``. Calls give a number to make small."""

    terms: tuple[Term, ...]
    class_weights: tuple[float, ...] | None = None

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, **given: torch.Tensor) -> torch.Tensor:
        """The sum for ``logits`` (B, K, *S) of ``target`` (B, *S); ``given`` as in ``parts``."""
        return torch.stack(list(self.parts(logits, target, **given).values())).sum()

    def parts(
        self, logits: torch.Tensor, target: torch.Tensor, **given: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """What each term adds, weighted, by its name.

        ``given`` are tensors that only some terms take: the ``distances`` of ``boundary``.
        """
        scores = Scores.of(logits, target)
        weights = None
        if self.class_weights is not None:
            weights = torch.tensor(self.class_weights, dtype=torch.float32, device=scores.target.device)
            scores.weights(weights)  # as many as there are classes, whatever the terms make of them
        parts = {}
        for term in self.terms:
            function = LOSSES[term.name]
            own = {name: given[name] for name in given if name in _options(function)}
            of_classes = None if term.name in OVERLAPS else weights
            found = function(scores, scores.target, of_classes, **dict(term.options), **own)
            parts[term.name] = term.weight * found
        return parts

    def described(self) -> dict[str, dict[str, Any]]:
        """The terms as plain values, which ``make_loss`` takes."""
        return {term.name: {"weight": term.weight, **dict(term.options)} for term in self.terms}


def make_loss(spec: Spec, class_weights: Sequence[float] | np.ndarray | None = None) -> Loss:
    """The loss that ``spec`` says: names of ``LOSSES`` with what they count, or a mapping with their options, too.

    ``class_weights`` are one number of 0 or more per target, as ``class_weights_of`` gives them, and weigh what is
    summed over pixels, not ``OVERLAPS``. Raises ``UnknownName`` for a loss or option that is not there,
    ``InputError`` for anything else that cannot be.

    >>> make_loss("0.5*cross-entropy+lovasz").described()
    {'cross-entropy': {'weight': 0.5}, 'lovasz': {'weight': 1.0}}
    >>> make_loss({"cross-entropy": {"label_smoothing": 0.1}, "dice": 2}).terms[0].options
    (('label_smoothing', 0.1),)
    """
    terms = _terms_of_text(spec) if isinstance(spec, str) else _terms_of_mapping(spec)
    for term in terms:
        if term.name not in LOSSES:
            raise unknown_name("loss", term.name, LOSSES)
        known = _options(LOSSES[term.name])
        for name, value in term.options:
            if name not in known or name == "distances":
                raise unknown_name(f"option of {term.name}", name, known - {"distances"})
            if not isinstance(value, bool | int | float) or not math.isfinite(value):
                raise InputError(f"{name} of {term.name} must be a finite number or a bool, got {value!r}")
        if not (math.isfinite(term.weight) and term.weight > 0):
            raise InputError(f"{term.name} must count more than 0, got {term.weight}")
    names = [term.name for term in terms]
    if not names or len(set(names)) < len(names):
        raise InputError(f"a loss has one or more terms, each once, got {spec!r}")
    if class_weights is None:
        return Loss(tuple(terms))
    weights = np.asarray(class_weights, np.float64)
    if weights.ndim != 1 or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise InputError(
            f"class_weights must be numbers of 0 or more, one per class and not all 0, got {class_weights}"
        )
    return Loss(tuple(terms), tuple(weights.tolist()))


def _terms_of_text(spec: str) -> list[Term]:
    terms = []
    for part in spec.split("+"):
        found = re.fullmatch(r"\s*(?:([0-9.]+(?:e-?[0-9]+)?)\s*\*)?\s*([a-z_-]+)\s*", part)
        try:
            terms.append(Term(found[2], float(found[1] or 1)))  # type: ignore[index]
        except (TypeError, ValueError) as error:
            raise InputError(
                f"a loss is written as names with what they count, such as '0.5*cross-entropy+dice', got {spec!r}"
            ) from error
    return terms


def _terms_of_mapping(spec: Mapping[str, float | Mapping[str, Any]]) -> list[Term]:
    terms = []
    for name, said in spec.items():
        options = dict(said) if isinstance(said, Mapping) else {"weight": said}
        weight = options.pop("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise InputError(f"what {name} counts must be a number, got {weight!r}")
        terms.append(Term(str(name), float(weight), tuple(options.items())))
    return terms


def _options(function: Callable[..., torch.Tensor]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def class_weights_of(counts: Sequence[int] | np.ndarray, kind: Balance) -> np.ndarray:
    """What a pixel of each class is to count, (K,) float32, from ``counts`` (K,) of labelled pixels.

    With p the share of a class in all pixels: ``none`` 1; ``inverse`` 1 / p; ``sqrt`` 1 / sqrt(p); ``enet``
    1 / ln(1.02 + p), at most 50 (Paszke et al. 2016); ``effective`` (1 - b) / (1 - b ** count) (Cui et al. 2019) with
    b = 1 - K / all pixels, so that a class as large as the mean counts 0.63 of its pixels, a small one nearly all:
    neighbours say the same again, and b of whole images (0.999) would make all classes alike here. The mean over
    the classes that are there is 1; so is the weight of one that is not.
    """
    pixels = np.asarray(counts, np.float64)
    if pixels.ndim != 1 or not len(pixels) or not (np.isfinite(pixels) & (pixels >= 0)).all():
        raise InputError(f"counts must be numbers of 0 or more, one per class, got {counts}")
    present = pixels > 0
    weights = np.ones(len(pixels))
    if present.any():
        share = pixels[present] / pixels.sum()
        classes = int(present.sum())
        ways: dict[str, Callable[[], np.ndarray]] = {
            "none": lambda: np.ones(classes),
            "inverse": lambda: 1 / share,
            "sqrt": lambda: share**-0.5,
            "enet": lambda: 1 / np.log(1.02 + share),
            "effective": lambda: 1 / -np.expm1(-classes * share),
        }
        if kind not in ways:
            raise unknown_name("way to weigh classes", kind, ways)
        weights[present] = ways[kind]()
        weights[present] /= weights[present].mean()
    return weights.astype(np.float32)


def center_loss(
    logit: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean divergence of the heat that ``logit`` (B, *S) says from ``target`` (B, *S) from 0 to 1; 0 where they agree.

    That is cross-entropy less the target's own entropy, over the pixels that ``weight`` (B, *S) leaves. Its gradient
    by the logit is p - t. That of the mean square (Cheng et al. 2020) has p (1 - p) beside it, which is all but 0 once
    a network has learned that heat is rare; and the penalty-reduced focal loss (Zhou et al. 2019) wants pixels of
    heat 1, which a map of a quarter of the size may have none of. After 300 steps of a small U-Net on 120 images of
    DSB 2018, centres of 40 others were found with F1 0.74 to 0.75 for any threshold from 0.2 to 0.4; with the mean
    square that was 0.53 to 0.75 (one seed, weights 20 and 200).
    """
    logit = _full(logit)
    target = target.to(logit.dtype)
    own = torch.xlogy(target, target) + torch.xlogy(1 - target, 1 - target)
    said = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    return _mean(said + own, weight)


def offset_loss(offsets: torch.Tensor, target: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Mean distance along an axis of ``offsets`` (B, ndim, *S) to ``target`` where ``inside`` (B, *S), 0 if nowhere.

    L1 as in Panoptic-DeepLab (Cheng et al. 2020): a pixel on the wrong side of where objects touch is far off, and a
    square would follow it.
    """
    return _mean((_full(offsets) - target).abs().mean(1), inside)


def distance_loss(
    logit: torch.Tensor,
    target: torch.Tensor,
    inside: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    kind: Literal["l1", "mse"] = "l1",
) -> torch.Tensor:
    """Mean error of the depth that ``logit`` (B, *S) says, ``target`` (B, *S) from 0 to 1; objects count half of it.

    Pixels where ``inside`` (B, *S) and those outside, whose depth is 0, have a mean each, so that few small objects
    matter as much as the ground between them; a batch without one of the two has the other alone. ``weight`` is as
    in ``center_loss``.
    """
    error = torch.sigmoid(_full(logit)) - target
    each = error.abs() if kind == "l1" else error**2
    weight = torch.ones_like(each) if weight is None else weight.to(each.dtype)
    sides = [weight * inside, weight * ~inside]
    there = torch.stack([(side > 0).any() for side in sides]).to(each.dtype)
    means = torch.stack([_mean(each, side) for side in sides])
    return (means * there).sum() / there.sum().clamp_min(1)


def _full(values: torch.Tensor) -> torch.Tensor:
    """As float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Of ``values`` (B, *S) where ``weight`` (B, *S) is not 0, 0 where it is nowhere."""
    if weight is None:
        return values.mean()
    weight = weight.to(values.dtype)
    total = weight.sum()
    return (values * weight).sum() / torch.where(total > 0, total, 1)


HEAT = 20.0
OFFSETS_PER_PX = 0.01
DISTANCE = 1.0


@dataclass(frozen=True)
class PlanesLoss:
    """The loss of all planes of a network: of the classes as ``classes`` says, and of those that ``planes`` has beside.

    The weights of heat and offsets are those of Panoptic-DeepLab (Cheng et al. 2020), which gives the latter for
    offsets in pixels.
    """

    planes: Planes
    classes: Loss
    heat: float = HEAT
    offsets_per_px: float = OFFSETS_PER_PX
    distance: float = DISTANCE

    def __call__(
        self, output: torch.Tensor | Sequence[torch.Tensor], targets: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of ``output`` (B, P, *S) and what each part adds to it, detached: they sum up to the loss.

        Several maps are for deep supervision, finest first: each counts half of the one before, all together 1
        (Isensee et al. 2021), and ``targets`` are brought to the size of each by taking the nearest pixel, so the
        finest may be smaller than the image, too. They are what ``crop_targets`` makes, with a batch axis:
        ``classes`` (B, *S) int64; ``heat`` and ``distance`` (B, *S), ``offsets`` (B, ndim, *S) and ``object``
        (B, *S) bool where the planes have them, and maybe ``signed_distances`` (B, K, *S) for the boundary loss.
        Where nobody said what a pixel is, no plane of it counts. Raises ``InputError`` for planes or targets that
        are missing.
        """
        maps = [output] if isinstance(output, torch.Tensor) else list(output)
        wanted = ["classes", *(["heat", "offsets"] if self.planes.centers else [])]
        wanted += ["distance"] if self.planes.distance else []
        wanted += ["object"] if len(wanted) > 1 else []
        missing = [name for name in wanted if name not in targets]
        if missing or not maps or any(each.shape[1] != len(self.planes) for each in maps):
            raise InputError(
                f"the planes are {len(self.planes)} ({', '.join(self.planes.names)}) with targets "
                f"{', '.join(wanted)}; got maps of {[each.shape[1] for each in maps]} planes and targets "
                f"{', '.join(targets)}"
            )
        shares = [0.5**level for level in range(len(maps))]
        sums: dict[str, torch.Tensor] = {}
        for share, each in zip(shares, maps, strict=True):
            here = {name: sampled(target, each.shape[2:]) for name, target in targets.items()}
            for name, part in self._parts(each, here).items():
                sums[name] = sums.get(name, 0) + share / sum(shares) * part
        return torch.stack(list(sums.values())).sum(), {name: part.detach() for name, part in sums.items()}

    def _parts(self, output: torch.Tensor, targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        planes = self.planes
        given = {"distances": targets["signed_distances"]} if "signed_distances" in targets else {}
        parts = self.classes.parts(output[:, planes.classes], targets["classes"], **given)
        with torch.autocast(output.device.type, enabled=False):
            labelled = targets["classes"] > UNLABELLED
            if planes.heat is not None:
                heat = center_loss(output[:, planes.heat], targets["heat"], labelled)
                parts["heat"] = self.heat * heat
            if planes.offsets is not None:
                inside = targets["object"] & labelled
                offset = offset_loss(output[:, planes.offsets], targets["offsets"], inside)
                parts["offsets"] = self.offsets_per_px * planes.offset_unit_px * offset
            if planes.distance_at is not None:
                depth = output[:, planes.distance_at]
                parts["distance"] = self.distance * distance_loss(
                    depth, targets["distance"], targets["object"], labelled
                )
        return parts


def sampled(values: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """``values`` (B, ..., *S) at another ``size``: those of the pixels nearest to the middles of the new ones."""
    for axis, new in enumerate(size, values.ndim - len(size)):
        old = values.shape[axis]
        if new != old:
            # floor of (i + 1/2) old / new, in whole numbers
            places = (2 * torch.arange(new, device=values.device) + 1) * old // (2 * new)
            values = values.index_select(axis, places)
    return values
