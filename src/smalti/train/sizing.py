"""How large images, crops, batches and the net are: what follows from sizes, objects, memory and time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..geometry import METRES
from .choices import Choices
from .fingerprint import Fingerprint
from .machine import Machine
from .plan import multiple, seconds

# All numbers of this file are meant to be changed here and nowhere else.

SAME_SPACING = 0.05
"""Images whose spacing differs less along every axis are not resampled."""
ANISOTROPIC = 3.0
"""A coarsest axis this many times coarser than the others, and shorter, is brought to a finer spacing: nnU-Net's."""
LARGE_RADIUS_PX = 64.0
"""Objects of a larger median radius are looked at smaller, as long as they stay above half of it."""
SMALL_RADIUS_PX = 5.0
"""Radius that the 5th percentile of objects must keep when images are made smaller."""
THIN_PX = 3.0
"""Thickness that the thinnest class must keep then."""
SCENE_PX = 640
"""Length of a side above which pictures with a fixed up are made smaller: what they show is not told by detail."""
STEM_RADIUS_PX = {2: 3.0, 4: 12.0}
"""Radius of small objects (5th percentile) from which the net may begin at a half, and at a quarter, of the size."""
STEM_THICKNESS_PX = {2: {2: 4.0, 4: 10.0}, 3: {2: 2.5, 4: 10.0}}
"""Thickness of thin classes (a fifth are thinner) from which it may, by the axes: at full size a volume takes not
four but eight times as long."""
STEM_MOST = {"cpu": 2, "gpu": 1}
"""Most by which it does: a graphics card has the time for the full size."""
CONTEXT = 4.0
"""Sides of crops in diameters of large objects (95th percentile)."""
LEAST_CROP_PX = {2: 128, 3: 32}
USUAL_CROP_PX = 256
"""Sides of crops of pictures without objects to go by."""
MOST_CROP_PX = {2: 512, 3: 160}
STEP_PX = {"cpu": {2: 2**17, 3: 2**17}, "gpu": {2: 2**21, 3: 2**21}}
"""Pixels of a step, all crops together, at stem stride 1. On a processor they stay that many where the net begins
smaller, and steps are more instead, but for scenes, which have to be seen whole: of nuclei 1,800 steps of 2**17 pixels
found 0.69 where 450 of 2**19 in more time found 0.63 (docs/why/networks.md)."""
SHORT_S = 180.0
"""Budgets below which a step on a processor has half of them."""
MOST_BATCH = 16
LEAST_BATCH = 2
BATCH_AIM = {"objects": 8, "texture": 4, "scene": 4, "volume": 2}
"""Crops that a batch is to have; for that crops get smaller, those of pictures down to ``LEAST_CROP_PX``. A batch of
different images makes steps steadier; textures, scenes and volumes need the size more."""
BATCH_SHARE = 0.2
"""Most of the dataset that one batch holds, so that its crops are not the same again. nnU-Net's 5 % would leave a
dozen pictures a batch of two."""
WIDTHS: dict[str, dict[int, tuple[tuple[float, int], ...]]] = {
    "cpu": {2: ((180.0, 16), (1500.0, 24), (math.inf, 32)), 3: ((1500.0, 16), (math.inf, 24))},
    "gpu": {2: ((math.inf, 32),), 3: ((math.inf, 32),)},
}
"""Width of the first stage by the longest budget it is for."""
COARSEST_PX = 4
"""Length of the coarsest maps: nnU-Net's."""
MOST_STRIDE = 32
"""Most that the coarsest maps are smaller than the image."""
BLOCKS = {"cpu": {2: "separable", 3: "plain"}, "gpu": {2: "residual", 3: "residual"}}
"""Depthwise blocks take a half to a sixth of the time of dense ones on a processor, in 2-D."""
DEEP_SUPERVISION = {"cpu": False, "gpu": True}
BATCH_NORM_FROM = 4
"""Crops in a batch from which a normalisation over them is steady."""
BYTES_PER_PX = {2: 160, 3: 100}
"""Memory of a training step per pixel and channel of the first stage. Kept for the gradient of ``Unet`` were 80 to 107
in 2-D and 55 to 65 in 3-D (torch 2.13, widths 16 and 32, all blocks); half as much again for the gradients."""
MEMORY_SHARE = {"cpu": 0.4, "gpu": 0.8}
OTHER_NETS = {"deeplab": (1400, 1), "fast": (340, 8), "fcn": (230, 8)}
"""Memory of a training step per pixel of nets that are made as they are by default, counted as above, and how many
times the pixels of ``STEP_PX`` they have time for. A step of 256 x 256 took them 7.9, 1.1 and 0.7 s per million pixels
on one core (AVX2, channels last); a U-Net of width 24 took 10.4 s, beginning at half the size 2.3 s."""
OTHER_STRIDE = 32


@dataclass(frozen=True)
class Sizing:
    """What other decisions ask of the sizes: ``factor`` brings lengths in pixels of the images to those of the plan, in
    which ``image_px`` is the median image."""

    factor: float
    stem_stride: int
    crop_px: tuple[int, ...]
    image_px: tuple[float, ...]


def choose_sizes(choices: Choices, found: Fingerprint, machine: Machine, own: Mapping[str, Any]) -> Sizing:
    """Decide spacing, scale, crop, batch, net and its parameters, of which ``own`` are given."""
    _check_own(own, found.ndim)
    where = "gpu" if machine.gpu else "cpu"
    budget = choices.values.get("budget_s")
    resized = _spacing(choices, found)
    scale = _scale(choices, found, resized)
    sizes = [size.median * factor * scale for size, factor in zip(found.sizes, resized, strict=True)]
    steps = _steps_between(choices, found)
    factor = scale * math.prod(resized) ** (1 / found.ndim)
    sharp = "maps of every size meet, so outlines stay sharp; strong at every budget (Isensee et al. 2021)"
    name = choices.decide("network", "unet", sharp)
    stem, stem_reason = _stem(found, factor, where, steps)
    stem = own.get("stem_stride", stem)
    width, width_reason = _width(budget, where, found.ndim)
    width = own.get("width", width)
    others = OTHER_NETS.get(name)
    if others is not None:
        stem = 2  # what is finer than that they do not tell apart
    most_px = STEP_PX[where][found.ndim] * (stem**found.ndim if others is None else others[1])
    if where == "cpu" and budget is not None and budget < SHORT_S:
        most_px //= 2
    memory = machine.gpu_bytes if machine.gpu_bytes is not None else machine.memory_bytes
    per_px = BYTES_PER_PX[found.ndim] * width / stem**found.ndim if others is None else others[0]
    room = int(MEMORY_SHARE[where] * memory / per_px)
    wanted, context, crop_reason = _wanted_crop(choices, found, sizes, factor)
    if context != "scene" and where == "cpu" and others is None:
        most_px //= stem**found.ndim
    usable = min(room, most_px)
    least_px = LEAST_CROP_PX[found.ndim] ** found.ndim
    wanted, shrunk = _fitting(wanted, min(max(usable // BATCH_AIM[context], least_px), usable // LEAST_BATCH))
    if shrunk:
        by = "memory" if room < most_px else "time"
        crop_reason += f"; smaller, as {by} allows a step {usable / 1e6:.2g} million pixels"
    strides: Any = own.get("strides") or _strides([length / stem for length in wanted], steps, stem)
    if others is not None:
        strides = [OTHER_STRIDE // stem]
    total = [stem * math.prod(_along(stride, axis) for stride in strides) for axis in range(found.ndim)]
    crop = tuple(
        max(of, int(length) // of * of) if shrunk else multiple(length, of)
        for length, of in zip(wanted, total, strict=True)
    )
    crop = choices.decide("crop_px", crop, crop_reason)
    if len(crop) != found.ndim:
        raise InputError(f"crop_px is {found.ndim} lengths for images of {found.ndim} axes, got {crop}")
    batch = _batch(choices, found, crop, usable, resized, scale)
    if others is not None:
        choices.decide("network_settings", dict(own), "as asked" if own else None)
        return Sizing(factor, stem, crop, tuple(sizes))
    settings = {
        "width": width,
        "strides": [list(stride) if isinstance(stride, tuple) else stride for stride in strides],
        "stem_stride": stem,
        "block": BLOCKS[where][found.ndim],
        "norm": "batch" if batch >= BATCH_NORM_FROM else "instance",
        "deep_supervision": DEEP_SUPERVISION[where],
    }
    coarsest = " x ".join(str(length // of) for length, of in zip(crop, total, strict=True))
    reasons = [
        width_reason,
        stem_reason,
        f"{len(strides)} halvings bring the crop to {coarsest}",
        f"a batch of {batch} is {'enough' if batch >= BATCH_NORM_FROM else 'too small'} for its own statistics",
    ]
    asked = f"{', '.join(own)} as asked; " if own else ""
    choices.decide("network_settings", {**settings, **own}, asked + "; ".join(reasons))
    return Sizing(factor, stem, crop, tuple(sizes))


def _check_own(own: Mapping[str, Any], ndim: int) -> None:
    """Raise ``InputError`` for those parameters of the net that sizes follow from and that cannot be."""
    width, stem, strides = own.get("width", 1), own.get("stem_stride", 1), own.get("strides", [2])
    if not isinstance(width, int) or width < 1:
        raise InputError(f"width of the net is a whole number from 1, got {width!r}")
    if not isinstance(stem, int) or stem not in (1, 2, 4):
        raise InputError(f"stem_stride of the net is 1, 2 or 4, got {stem!r}")
    given = strides if isinstance(strides, list | tuple) else ()
    each: list[Any] = [[stride] * ndim if isinstance(stride, int) else stride for stride in given]
    alike = bool(each) and all(
        isinstance(steps, list | tuple)
        and len(steps) == ndim
        and all(isinstance(step, int) and 1 <= step <= 8 for step in steps)
        for steps in each
    )
    if not alike:
        raise InputError(
            f"strides of the net are a number, or one for each of {ndim} axes, each, got {strides!r}"
        )


def _spacing(choices: Choices, found: Fingerprint) -> list[float]:
    """Decide the spacing, and give the factor of lengths along each axis."""
    medians = [1.0] * found.ndim
    target, reason = None, None
    if found.spacing is not None:
        medians = [each.median for each in found.spacing]
        spread = max(each.high / each.low for each in found.spacing) - 1
        finest = min(medians)
        coarse = max(range(found.ndim), key=lambda axis: medians[axis])
        others = [size.median for axis, size in enumerate(found.sizes) if axis != coarse]
        uneven = (
            found.ndim == 3
            and medians[coarse]
            > ANISOTROPIC * min(step for axis, step in enumerate(medians) if axis != coarse)
            and found.sizes[coarse].median * ANISOTROPIC < min(others)
        )
        if found.unit not in METRES or found.unit == "inch":
            reason = f"a spacing in {found.unit} says nothing of what is shown: pixels are left as they are"
        elif found.spacing_known < 1:
            reason = (
                f"only {found.spacing_known:.0%} of the images say their spacing: all are left as they are"
            )
        elif spread <= SAME_SPACING:
            reason = f"all images have {' x '.join(f'{step:.3g}' for step in medians)} {found.unit}"
        else:
            wanted = list(medians)
            reason = f"the median; it differs up to {spread + 1:.3g} times between images"
            if uneven:
                wanted[coarse] = max(finest, found.spacing[coarse].tenth)
                reason += f"; of the coarse {found.axes[coarse]} axis the 10th percentile"
            target = tuple(wanted)
    target = choices.decide("spacing", target, reason)
    if target is None or found.spacing is None:
        return [1.0] * found.ndim
    choices.decide("unit", found.unit)
    if len(target) != found.ndim:
        raise InputError(f"spacing is {found.ndim} numbers for images of {found.ndim} axes, got {target}")
    return [median / step for median, step in zip(medians, target, strict=True)]


def _scale(choices: Choices, found: Fingerprint, resized: Sequence[float]) -> float:
    factor = math.prod(resized) ** (1 / found.ndim)
    scale, reason = 1.0, None
    thin = found.thinnest_px or math.inf
    if choices.values["task"] != "semantic" and found.objects is not None:
        low, median = found.objects.radius_px.low * factor, found.objects.radius_px.median * factor
        while median * scale > LARGE_RADIUS_PX and low * scale / 2 >= SMALL_RADIUS_PX:
            scale /= 2
        reason = f"objects of {median:.3g} px radius are seen as well with {median * scale:.3g} px"
    elif found.ndim == 2 and found.leaning("y") is not None:
        longest = max(size.median for size in found.sizes) * factor
        while longest * scale / 2 >= SCENE_PX and thin * factor * scale / 2 >= THIN_PX:
            scale /= 2
        reason = f"scenes of {longest:.0f} px, whose thinnest class keeps {thin * factor * scale:.2g} px"
    return float(choices.decide("scale", scale, reason if scale < 1 else None))


def _steps_between(choices: Choices, found: Fingerprint) -> list[float]:
    """Distance between pixels along each axis once resampled, as a multiple of the finest."""
    spacing = choices.values["spacing"]
    if spacing is None:
        known = found.spacing is not None and found.unit in METRES and found.unit != "inch"
        spacing = [each.median for each in found.spacing] if known and found.spacing else [1.0] * found.ndim
    return [step / min(spacing) for step in spacing]


def _stem(found: Fingerprint, factor: float, where: str, steps: Sequence[float]) -> tuple[int, str]:
    if STEM_MOST[where] == 1:
        return 1, "full size from the start, as there is a graphics card"
    if max(steps) >= 2:
        return 1, f"full size from the start, as one axis is {max(steps):.2g} times coarser"
    small = math.inf
    if found.task != "semantic" and found.objects is not None:
        small = found.objects.radius_px.low * factor
    thin = (found.thin_px or math.inf) * factor
    chosen = 1
    for stride, radius in STEM_RADIUS_PX.items():
        if stride <= STEM_MOST[where] and small >= radius and thin >= STEM_THICKNESS_PX[found.ndim][stride]:
            chosen = stride
    what = f"thin classes have {thin:.2g} px"
    if small < thin:
        what = f"5 % of the objects are below a radius of {small:.2g} px"
    return chosen, f"begins at {'full size' if chosen == 1 else f'1/{chosen} of the size'}, as {what}"


def _width(budget: float | None, where: str, ndim: int) -> tuple[int, str]:
    table: tuple[tuple[float, int], ...] = WIDTHS[where][ndim]
    width = next(width for most, width in table if (math.inf if budget is None else budget) <= most)
    time = "any time" if budget is None else seconds(budget)
    return width, f"width {width} for {time} on a {where.upper()}"


def _wanted_crop(
    choices: Choices, found: Fingerprint, sizes: Sequence[float], factor: float
) -> tuple[list[float], str, str]:
    """Lengths of a crop before memory and time, never beyond the median image; what it has to show, and why."""
    shown = " x ".join(f"{size:.0f}" for size in sizes)
    if found.ndim == 3:
        return [min(size, MOST_CROP_PX[3]) for size in sizes], "volume", f"the median volume is {shown}"
    if choices.values["task"] != "semantic" and found.objects is not None:
        diameter = 2 * found.objects.radius_px.high * factor
        side = CONTEXT * diameter
        context, reason = "objects", f"{CONTEXT:g} times the diameter of large objects, {diameter:.3g} px"
    elif (leaning := found.leaning("y")) is not None:
        side = math.inf
        place = "above" if leaning.lean[0] < 0 else "below"
        context, reason = (
            "scene",
            f"the whole scene tells what is where: {leaning.name} lies {place} the middle",
        )
    else:
        side = float(USUAL_CROP_PX)
        context, reason = "texture", f"{side:.0f} px, as neither objects nor a layout ask for more"
    side = min(max(side, LEAST_CROP_PX[2]), MOST_CROP_PX[2])
    lengths = [min(side, size) for size in sizes]
    if all(length >= size for length, size in zip(lengths, sizes, strict=True)):
        reason += f"; the median image is {shown}"
    return lengths, context, reason


def _fitting(lengths: list[float], most_px: float) -> tuple[list[float], bool]:
    """The lengths made smaller in their shape until a crop has at most so many pixels."""
    ratio = math.prod(lengths) / max(1, most_px)
    if ratio <= 1:
        return lengths, False
    shrink = ratio ** (1 / len(lengths))
    return [max(8.0, length / shrink) for length in lengths], True


def _strides(lengths: Sequence[float], steps: Sequence[float], stem: int) -> list[int | tuple[int, ...]]:
    """Halvings: along an axis while it keeps ``COARSEST_PX`` pixels, and not before finer axes are as coarse."""
    ndim = len(lengths)
    now, far = list(lengths), list(steps)
    strides: list[int | tuple[int, ...]] = []
    while stem * 2 ** len(strides) < MOST_STRIDE:
        able = [axis for axis in range(ndim) if now[axis] / 2 >= COARSEST_PX]
        if not able:
            break
        finest = min(far[axis] for axis in able)
        stride = tuple(2 if axis in able and far[axis] < 2 * finest else 1 for axis in range(ndim))
        now = [length / step for length, step in zip(now, stride, strict=True)]
        far = [each * step for each, step in zip(far, stride, strict=True)]
        strides.append(2 if min(stride) == 2 else stride)
    return strides or [(1,) * ndim]


def _along(stride: int | Sequence[int], axis: int) -> int:
    return int(stride if isinstance(stride, int) else stride[axis])


def _batch(
    choices: Choices,
    found: Fingerprint,
    crop: Sequence[int],
    most_px: float,
    resized: Sequence[float],
    scale: float,
) -> int:
    crop_px = math.prod(crop)
    dataset_px = found.total_px * math.prod(resized) * scale**found.ndim
    bounds = {
        "pixels of a step": int(most_px // crop_px),
        "crops at most": MOST_BATCH,
        "of the dataset": int(BATCH_SHARE * dataset_px // crop_px),
    }
    least = min(bounds, key=lambda name: bounds[name])
    batch = max(LEAST_BATCH, bounds[least])
    reason = {
        "pixels of a step": f"{batch * crop_px / 1e6:.2g} million pixels a step, as memory and time allow",
        "crops at most": f"{MOST_BATCH} crops are as many as a step gains from",
        "of the dataset": f"{BATCH_SHARE:.0%} of the dataset",
    }[least]
    if bounds[least] < LEAST_BATCH:
        reason = f"the least; a crop has {crop_px / 1e6:.2g} million pixels"
    return int(choices.decide("batch_size", batch, reason))
