"""Augmentation: image and truth changed together, by chains of described steps, each found by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...segmenter import load_class

if TYPE_CHECKING:
    from .augmentation import Augmentation

AUGMENTATIONS: dict[str, str] = {
    "bias-field": "smalti.data.augment.obstacles:BiasField",
    "blur": "smalti.data.augment.degrade:Blur",
    "brightness": "smalti.data.augment.intensity:Brightness",
    "chain": "smalti.data.augment.augmentation:Chain",
    "channel-dropout": "smalti.data.augment.intensity:ChannelDropout",
    "channel-shuffle": "smalti.data.augment.intensity:ChannelShuffle",
    "contrast": "smalti.data.augment.intensity:Contrast",
    "copy-paste": "smalti.data.augment.mixing:CopyPaste",
    "crop": "smalti.data.augment.framing:Crop",
    "cutout": "smalti.data.augment.obstacles:Cutout",
    "downscale": "smalti.data.augment.degrade:Downscale",
    "elastic": "smalti.data.augment.spatial:Elastic",
    "flip": "smalti.data.augment.spatial:Flip",
    "fog": "smalti.data.augment.obstacles:Fog",
    "gamma": "smalti.data.augment.intensity:Gamma",
    "gaussian-noise": "smalti.data.augment.intensity:GaussianNoise",
    "hue-saturation": "smalti.data.augment.intensity:HueSaturation",
    "jpeg": "smalti.data.augment.degrade:Jpeg",
    "mixup": "smalti.data.augment.mixing:Mixup",
    "mosaic": "smalti.data.augment.mixing:Mosaic",
    "one-of": "smalti.data.augment.augmentation:OneOf",
    "pad": "smalti.data.augment.framing:Pad",
    "perspective": "smalti.data.augment.spatial:Perspective",
    "poisson-noise": "smalti.data.augment.intensity:PoissonNoise",
    "quarter-turn": "smalti.data.augment.spatial:QuarterTurn",
    "resize": "smalti.data.augment.framing:Resize",
    "rotate": "smalti.data.augment.spatial:Rotate",
    "scale": "smalti.data.augment.spatial:Scale",
    "shadow": "smalti.data.augment.obstacles:Shadow",
    "sharpen": "smalti.data.augment.degrade:Sharpen",
    "shear": "smalti.data.augment.spatial:Shear",
    "shift": "smalti.data.augment.spatial:Shift",
}
"""Name of each augmentation to the ``module:Class`` it is loaded from on first use."""

_BY_NAME = {
    "Augmentation": "augmentation",
    "Augmented": "arrays",
    "Chain": "augmentation",
    "PRESETS": "presets",
    "contact_sheet": "sheet",
    "preset": "presets",
    "sample_rng": "augmentation",
}

__all__ = ["AUGMENTATIONS", "make_augmentation", *_BY_NAME]


def __getattr__(name: str) -> Any:
    if name in _BY_NAME:
        return getattr(import_module(f"{__name__}.{_BY_NAME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def make_augmentation(name: str, **parameters: Any) -> Augmentation:
    """An augmentation by name with these parameters; the rest have their defaults.

    Raises ``UnknownName`` for one or a parameter nobody knows and ``InputError`` for a value out of bounds.

    >>> make_augmentation("rotate", degrees=[-10, 10])
    Rotate(probability=1.0, degrees=(-10.0, 10.0), tilt_degrees=(-15.0, 15.0))
    """
    return load_class("augmentation", name, AUGMENTATIONS).make(parameters)
