"""Which chain of augmentations a dataset is given: by what it is known to be, and by the axes that have a direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data.augment.augmentation import Augmentation, Chain
from ..data.augment.presets import preset
from .choices import Choices
from .fingerprint import Fingerprint

UNITS = {
    "nm": "microscopy",
    "um": "microscopy",
    "mm": "medical",
    "cm": "medical",
    "m": "aerial",
    "km": "aerial",
}
"""What images with a spacing in a unit are of."""
COLORS = ("red", "green", "blue")


def choose_augmentation(choices: Choices, found: Fingerprint) -> None:
    """Decide ``augment``: a preset without what its images cannot have, or would not look like any more.

    Beyond an image is its mirror image: a network that normalises image by image must not learn from crops whose
    corners are black, as no image it will see has any.
    """
    name, reason = choose_preset(found)
    chain, left_out = suited(preset(name, border="mirror"), found)
    said = f"as {name}: {reason}"
    if left_out:
        said += f"; without {', '.join(left_out)}"
    choices.decide("augment", chain, said)


def choose_preset(found: Fingerprint) -> tuple[str, str]:
    """The preset that suits, and why: volumes, units and reference systems say it, else where classes lie.

    A fixed up cannot be seen in pixels, but in truths: sky lies above in every image. Too few images say nothing of
    it; then colour pictures keep theirs.
    """
    if found.ndim == 3:
        return "medical", "volumes"
    if found.mapped:
        return "aerial", "images lie in a geographic reference system"
    leaning = found.leaning("y")
    if leaning is not None:
        side = "above" if leaning.lean[-2] < 0 else "below"
        return "photo", f"{leaning.name} lies {side} the middle in image after image, so up is not down"
    if found.spacing is not None and found.unit in UNITS:
        return UNITS[found.unit], f"pixels are measured in {found.unit}"
    if not found.directions_known and not found.grey:
        return "photo", "colour, and too few images to tell whether up may be down"
    things = found.task == "instance" or found.grey
    if things:
        what = "grey" if found.grey else "objects and nothing else"
        return "microscopy", f"{what}, and no class has its side of the image"
    return "aerial", "no class has its side of the image, as seen from above"


def suited(chain: Chain, found: Fingerprint) -> tuple[Chain, list[str]]:
    """The chain without steps that the images do not take, or that turn an axis over which has a direction; and their
    names."""
    left_out: list[str] = []
    steps = _suited(chain.steps, found, left_out)
    return chain.model_copy(update={"steps": tuple(steps)}), list(dict.fromkeys(left_out))


def _suited(steps: Sequence[Augmentation], found: Fingerprint, left_out: list[str]) -> list[Augmentation]:
    fixed = {axis for axis in found.axes if found.leaning(axis) is not None}
    kept = []
    for step in steps:
        inner: Any = getattr(step, "steps", None)
        if inner is not None:
            rest = _suited(inner, found, left_out)
            if rest:
                kept.append(step.model_copy(update={"steps": tuple(rest)}))
            continue
        axis = getattr(step, "axis", None)
        values = step.kind in ("tone", "filter") and "bool" in found.values.kinds
        if (
            values
            or found.ndim not in step.ndims
            or (step.name in ("hue-saturation", "jpeg") and not _takes(step.name, found))
        ):
            left_out.append(step.name)
        elif (step.name == "flip" and axis in fixed) or (step.name == "quarter-turn" and fixed & {"y", "x"}):
            left_out.append(f"{step.name} {axis}" if axis else step.name)
        else:
            kept.append(step)
    return kept


def _takes(name: str, found: Fingerprint) -> bool:
    """Whether colours can be turned, or pictures be written as JPEG."""
    colored = found.channels == COLORS
    if name == "hue-saturation":
        return colored and not found.grey
    return (colored or len(found.channels) == 1) and found.values.kinds == ("uint8",)
