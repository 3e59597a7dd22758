"""From the fingerprint of a dataset to a plan: the rules, each with the number that led to what it decided.

Where a graphics card has hours, the rules are those of nnU-Net (Isensee et al., Nature Methods 18, 2021): crops as
large as memory allows, shrunk in the shape of the median image; halving along every axis down to four pixels; the
median spacing, of a coarse axis a finer one. Minutes on a processor are short of time and not of memory: steps must be
cheap enough to be many, so crops follow the objects, and what costs most, the first stage at full size, is made coarser
where nothing thin is lost by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ..errors import InputError
from .augmenting import choose_augmentation
from .choices import Choices
from .fingerprint import Fingerprint
from .machine import Machine
from .plan import Plan, seconds
from .sizing import Sizing, choose_sizes

# All numbers of this file are meant to be changed here and nowhere else.

BORDER_PX = ((6.0, 1), (20.0, 2), (math.inf, 3))
"""Median radius of objects up to which the border between them is so wide."""
NO_INTERIOR_PX = 2.5
"""Radius of small objects (5th percentile) below which a border leaves nothing inside: their centres are learned."""
DIVIDED = 0.1
"""Share of objects in several pieces from which centres are learned: a border cannot join what something hides."""
DISTANCE_FROM = 0.1
"""Share of touching objects from which depth is learned, too (Naylor et al., IEEE TMI 38, 2019). Most mistakes with
nuclei are objects that were not parted: by depth 1,200 steps found as many of them as 1,800 by the border alone."""
PER_IMAGE_FROM = 0.3
"""Share of the variance that lies between images from which each image is normalised by itself."""
CONTRAST_FROM = 4.0
"""Ratio of the spreads of images from which it is."""
TAIL_FROM = 6.0
"""Spreads up to the 99.5th percentile from which that is done by percentiles: few bright things make the spread."""
ONE_SIDED = 0.03
"""Share of images below which those whose segments are on the other side of the ground do not matter."""
TOLD_FROM = 0.9
"""Share of the images whose brightness tells by its tail which side that is, from which they are turned to one."""
HOUNSFIELD = (-500.0, 200.0)
"""Values below and above these, of signed whole numbers, are those of computed tomography (air is -1000)."""
FOCUS = 1 / 3
"""Share of crops around a class: nnU-Net's."""
FOCUS_OBJECTS = 0.8
"""Share where objects are to be told apart, as there is nothing to part in crops of the ground. With it, and large
images drawn more often, 2,400 steps of four crops found 0.754 of the nuclei, not 0.742 (docs/why/networks.md)."""
FOCUS_RARE = 0.5
RARE_PX = 1e-3
"""Share of the pixels below which a class is rare."""
RARE_IMAGES = 0.3
"""Share of the images below which a class is rare, and images with it are drawn more often."""
SIZES_DIFFER = 4.0
"""How many times the pixels of the smallest image the largest has from which large ones are drawn more often: a crop is
a small part of them, and most of what is to be found is in them."""
IMBALANCE = 50.0
"""How many times more pixels the commonest of several classes has than the rarest before rare ones count more."""
SCENE_LOSS = "cross-entropy+lovasz"
LOSS = "cross-entropy+dice"
SCENE_CLASSES = 5
"""Classes from which a picture that they fill is a scene: mean IoU is its measure, which Lovász's loss follows."""
LEARNING_RATE = {"adamw": 3e-3, "sgd": 1e-2}
WEIGHT_DECAY = {"adamw": 1e-2, "sgd": 3e-5}
WARMUP_SHARE = 0.05
GRAD_CLIP = 5.0
EMA_SHARE = 0.05
"""The mean of the weights looks back on about this share of all steps."""
VALIDATION_SHARE = 0.2
VALIDATION_IMAGES = 50
"""Most images that are held out: more make the score little surer and every validation longer."""
GPU_FLIPS = 2
"""Axes that images are turned over along at prediction with a graphics card; without one none, as each doubles it."""
FEWEST_STEPS = 20
"""Steps below which nothing is learned that is worth a file."""
MOST_STEPS = 250_000
"""Steps after which nothing more is: nnU-Net's 1000 epochs of 250."""
VALIDATIONS = 20
"""Validations that are aimed at in all."""
VALIDATION_TIME = 0.1
"""Most of the time that they take."""


def make_plan(
    fingerprint: Fingerprint,
    settings: Mapping[str, Any] | None = None,
    machine: Machine | None = None,
    budget_s: float | None = None,
) -> Plan:
    """The plan for a dataset on a machine (this one unless told), with a reason for everything.

    ``settings`` are fields of ``Plan`` that are decided already, ``network_settings`` being those parameters of the
    net that are; ``augment`` may be the name of a preset. Steps are left open with a budget: ``timed`` fills them in
    when it is known how long one takes. Raises ``InputError`` for settings that no plan has, and where there is
    nothing to tell apart.
    """
    machine = machine or Machine.here()
    given = Plan.checked(settings or {})
    own = given.pop("network_settings", {})
    if budget_s is not None:
        given.setdefault("budget_s", float(budget_s))
    choices = Choices(given)
    _task(choices, fingerprint)
    sizing = choose_sizes(choices, fingerprint, machine, own)
    _objects(choices, fingerprint, sizing)
    _values(choices, fingerprint)
    _sampling(choices, fingerprint, sizing)
    choose_augmentation(choices, fingerprint)
    _loss(choices, fingerprint)
    _optimization(choices, machine)
    _validation(choices, fingerprint)
    _prediction(choices, fingerprint, machine)
    return Plan.make({**choices.values, "reasons": choices.reasons})


def _task(choices: Choices, found: Fingerprint) -> None:
    if len(found.present) + (found.background_share > 0) < 2:
        what = repr(found.present[0].name) if found.present else "nothing"
        raise InputError(
            f"a model learns to tell at least two classes apart, but only {what} is labelled; label a second class, "
            "or the background"
        )
    reason = {
        "semantic": "no class has two segments in one image",
        "instance": "a class has several segments in an image, and all classes are things",
        "panoptic": "a class has several segments in an image, and other classes are stuff",
    }[found.task]
    task: Any = found.task
    if found.sparse and task != "semantic":
        task = "semantic"
        reason = f"{1 - found.void_share:.0%} of the pixels are labelled: strokes show no outlines"
    if found.missing:
        reason += f"; no label of {', '.join(found.missing)}: left out"
    choices.decide("task", task, reason)


def _objects(choices: Choices, found: Fingerprint, sizing: Sizing) -> None:
    semantic = choices.values["task"] == "semantic"
    objects, reason = "none", "no thing is labelled"
    if not semantic and found.objects is not None:
        radius, touching = found.objects.radius_px, found.objects.touching
        low = radius.low * sizing.factor
        objects = "border"
        reason = f"{touching:.0%} of {radius.median:.3g} px objects (radius) touch another one"
        if found.objects.in_pieces > DIVIDED:
            objects = "centers"
            reason = f"{found.objects.in_pieces:.0%} of the objects are in pieces, which a border cannot join"
        elif low < NO_INTERIOR_PX:
            objects = "centers"
            reason = f"a radius of {low:.2g} px (5 % are below) leaves no inside to a border"
    objects = choices.decide("objects", objects, None if semantic else reason)
    median = 0.0 if found.objects is None else found.objects.radius_px.median * sizing.factor
    width = next(width for most, width in BORDER_PX if median <= most)
    width = max(width, sizing.stem_stride)
    choices.decide("border_px", width if objects == "border" else 0)
    choices.decide("offset_unit_px", round(max(1.0, median), 1) if objects == "centers" else 1.0)
    if not semantic and found.objects is not None and found.objects.touching >= DISTANCE_FROM:
        choices.decide("distance", True, f"{found.objects.touching:.0%} of the objects touch another one")
    else:
        choices.decide("distance", False)


def _values(choices: Choices, found: Fingerprint) -> None:
    difference = found.difference
    tomography = (
        found.ndim == 3 and found.values.kinds and all(kind.startswith("int") for kind in found.values.kinds)
    )
    tomography = tomography and all(
        each.low < HOUNSFIELD[0] and each.high > HOUNSFIELD[1] for each in found.intensities
    )
    how: Literal["fixed", "zscore", "percentiles"] = "fixed"
    reason = f"{difference.between:.0%} of the variance lies between images: one mean suits all"
    if tomography:
        low = found.intensities[0].low
        reason = f"whole numbers from {low:.0f} on are those of tomography, whose scale means something"
    elif difference.between >= PER_IMAGE_FROM or difference.contrast >= CONTRAST_FROM:
        how = "percentiles" if difference.tail >= TAIL_FROM else "zscore"
        if difference.between >= PER_IMAGE_FROM:
            reason = f"{difference.between:.0%} of the variance lies between images"
        else:
            reason = f"the spread of images differs {difference.contrast:.3g} times"
        if how == "percentiles":
            reason += f", and few bright pixels lie {difference.tail:.2g} spreads above the mean"
    if difference.brighter is not None and 0.1 <= difference.brighter <= 0.9:
        reason += (
            f"; segments are brighter than the ground in {difference.brighter:.0%} of the images, else darker"
        )
    how = choices.decide("normalise", how, reason)
    if how != "fixed":
        both = difference.brighter is not None and ONE_SIDED < difference.brighter < 1 - ONE_SIDED
        told = difference.told or 0.0
        if both and told >= TOLD_FROM:
            seen = f"segments are brighter or darker than the ground; the tail of the brightness tells in {told:.0%}"
            choices.decide("polarity", "bright", f"{seen} of the images")
        return
    labelled = tomography and all(each.labelled_std for each in found.intensities)
    means = [each.labelled_mean if labelled else each.mean for each in found.intensities]
    stds = [(each.labelled_std if labelled else each.std) or 1.0 for each in found.intensities]
    choices.decide("mean", tuple(means))
    choices.decide("std", tuple(stds))
    if labelled:
        choices.decide("clip", tuple((each.labelled_low, each.labelled_high) for each in found.intensities))


def _sampling(choices: Choices, found: Fingerprint, sizing: Sizing) -> None:
    rarest = min(found.present, key=lambda each: each.pixel_share)
    whole = all(length >= size for length, size in zip(sizing.crop_px, sizing.image_px, strict=True))
    if whole:
        share, reason = 0.0, "a crop holds a whole image"
    elif rarest.pixel_share < RARE_PX:
        share, reason = FOCUS_RARE, f"{rarest.name} has {rarest.pixel_share:.2%} of the pixels only"
    elif choices.values["task"] != "semantic":
        share, reason = FOCUS_OBJECTS, "most crops lie around objects, as the ground has none to tell apart"
    else:
        share = FOCUS
        reason = f"so that every class is seen; {rarest.name} has {rarest.pixel_share:.2g} of the pixels"
    choices.decide("focus", "class")
    choices.decide("focus_share", share, reason)
    seldom = min(found.present, key=lambda each: each.image_share)
    if seldom.image_share < RARE_IMAGES and len(found.present) > 1:
        choices.decide("draw", "rare", f"{seldom.name} is in {seldom.image_share:.0%} of the images only")
    elif (times := math.prod(size.high / size.low for size in found.sizes)) >= SIZES_DIFFER:
        choices.decide("draw", "size", f"the largest image has {times:.2g} times the pixels of the smallest")
    else:
        choices.decide("draw", "evenly")


def _loss(choices: Choices, found: Fingerprint) -> None:
    present = found.present
    shares = [each.pixel_share for each in present] + [found.background_share]
    shares = [share for share in shares if share > 0]
    scene = (
        choices.values["task"] == "semantic"
        and len(present) >= SCENE_CLASSES
        and found.background_share < 0.5
    )
    if scene:
        reason = f"{len(present)} classes fill the image: Lovász follows their mean IoU (Berman et al. 2018)"
    else:
        reason = f"Dice follows small classes, here down to {min(shares):.2g} of the pixels; cross-entropy is steady"
    choices.decide("loss", SCENE_LOSS if scene else LOSS, reason)
    ratio = max(shares) / min(shares)
    if len(present) > 1 and ratio >= IMBALANCE:
        choices.decide(
            "class_weights", "sqrt", f"the commonest class has {ratio:.0f} times the pixels of the rarest"
        )
    else:
        choices.decide("class_weights", "none")


def _optimization(choices: Choices, machine: Machine) -> None:
    optimizer = choices.decide("optimizer", "adamw")
    choices.decide("learning_rate", LEARNING_RATE[optimizer])
    choices.decide("weight_decay", WEIGHT_DECAY[optimizer])
    choices.decide("warmup_share", WARMUP_SHARE)
    choices.decide("schedule", "cosine")
    choices.decide("grad_clip", GRAD_CLIP)
    choices.decide("ema_decay", 0.99)
    if machine.bf16:
        choices.decide("precision", "bfloat16", "this machine calculates in it, twice as fast or more")
    else:
        choices.decide("precision", "float32", "this machine has no bfloat16 of its own")


def _validation(choices: Choices, found: Fingerprint) -> None:
    images, own = found.num_samples, found.splits.get("val", 0)
    held = max(1, min(round(VALIDATION_SHARE * images), VALIDATION_IMAGES))
    what = "one image" if images == 1 else "one group of images"
    if 0 < own < images:
        planned, reason = "split", f"the dataset has a split val of {own} images"
    elif found.num_groups < 2:
        planned = "none"
        reason = f"there is {what} only: nothing can be held out, and no score is to be trusted"
    else:
        planned = "images"
        groups = "" if found.num_groups == images else f", whole groups of {found.num_groups}"
        reason = f"about {held} of {images} images{groups}, to choose the best"
    where = choices.decide("validate_on", planned, reason)
    if where == "images" and found.num_groups < 2:
        raise InputError(f"validate_on images needs images to hold out, but there is {what}; give none")
    share = choices.decide("validation_share", held / images if where == "images" else 0.0)
    learned = images - own if where == "split" else images - round(share * images)
    epoch = choices.decide("epoch_steps", math.ceil(max(1, learned) / choices.values["batch_size"]))
    choices.decide("validate_every", epoch)
    choices.decide("folds", 1)


def _prediction(choices: Choices, found: Fingerprint, machine: Machine) -> None:
    free = [axis for axis in found.axes if found.leaning(axis) is None]
    if machine.gpu and found.directions_known:
        chosen = tuple(free[::-1][:GPU_FLIPS][::-1])
        choices.decide("flips", chosen, "axes along which no class lies to one side; each doubles the time")
    else:
        choices.decide("flips", ())


def steps_for(budget_s: float, seconds_per_step: float, overhead_s: float = 0.0) -> int:
    """Steps that a budget has room for, ``overhead_s`` going to reading, validations and export.

    Raises ``InputError`` for a budget of fewer than ``FEWEST_STEPS``, which says how much is needed, and for times that
    are not positive.
    """
    if not (seconds_per_step > 0 and overhead_s >= 0 and math.isfinite(seconds_per_step + overhead_s)):
        raise InputError(
            f"a step takes more than 0 s and the rest 0 s or more, got {seconds_per_step} and {overhead_s}"
        )
    if not budget_s > 0:
        raise InputError(f"a budget is a time above 0 s, got {budget_s}")
    if math.isinf(budget_s):
        return MOST_STEPS
    steps = int((budget_s - overhead_s) / seconds_per_step)
    if steps < FEWEST_STEPS:
        needed = overhead_s + FEWEST_STEPS * seconds_per_step
        raise InputError(
            f"a budget of {seconds(budget_s)} has room for {max(0, steps)} steps of {seconds(seconds_per_step)}"
            f"{f' beside {seconds(overhead_s)} for all else' if overhead_s else ''}, {FEWEST_STEPS} are the least; "
            f"give {seconds(needed)} or more, smaller crops or a smaller batch"
        )
    return min(steps, MOST_STEPS)


def timed(
    plan: Plan,
    seconds_per_step: float,
    budget_s: float | None = None,
    overhead_s: float = 0.0,
    validation_s: float = 0.0,
) -> Plan:
    """The plan with the steps that its budget has room for, and what follows from their number.

    ``seconds_per_step`` was measured on the machine, ``validation_s`` is how long one validation takes, ``overhead_s``
    all else. A plan that has its steps already, or no budget, keeps them. Raises ``InputError`` as ``steps_for``.
    """
    budget = plan.budget_s if budget_s is None else budget_s
    asked = {name for name, reason in plan.reasons.items() if reason == "as asked"}
    changes: dict[str, Any] = {}
    reasons = dict(plan.reasons)
    steps = plan.steps
    if steps is None:
        if budget is None:
            return plan
        left = budget - overhead_s
        checks = VALIDATIONS
        if validation_s > 0:
            checks = max(1, min(checks, int(VALIDATION_TIME * left / validation_s)))
        steps = steps_for(
            budget, seconds_per_step, overhead_s + (checks * validation_s if plan.validates else 0.0)
        )
        epochs = steps / plan.epoch_steps
        told = f"{steps} steps of {seconds(seconds_per_step)} in {seconds(budget)}: "
        if epochs < 1:
            told += f"{epochs:.0%} of one pass over the images, so most are never seen; give a larger budget"
            if epochs >= 0.5:
                told = told.replace("most", "some")
        else:
            told += (
                f"{epochs:.2g} passes over the images"
                if epochs < 10
                else f"{epochs:.0f} passes over the images"
            )
        changes |= {"steps": steps, "budget_s": budget}
        reasons["steps"] = told
        if "validate_every" not in asked:
            every = max(math.ceil(steps / checks), min(plan.epoch_steps, math.ceil(steps / 4)))
            changes["validate_every"] = every
            each = f" of {seconds(validation_s)}" if validation_s else ""
            reasons["validate_every"] = f"{max(1, steps // every)} validations{each}"
    if "ema_decay" not in asked and plan.ema_decay is not None:
        changes["ema_decay"] = round(1 - 1 / max(2.0, EMA_SHARE * steps), 6)
        reasons["ema_decay"] = f"a mean over about {max(2, round(EMA_SHARE * steps))} of {steps} steps"
    return Plan.make({**dict(plan), **changes, "reasons": reasons})
